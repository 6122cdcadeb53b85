//! What Python's text is like where a configuration file can tell: blanks, `repr`, `int`, `shlex`.
//!
//! Source: CPython 3.11, observed; compared at random with the real one in `tests/supervisor`.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// Reports whether `str.isspace` holds of a character.
pub fn is_space(char: char) -> bool {
    char.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&char)
}

/// Returns a text without blanks at both ends, as `str.strip`.
pub fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// Returns what `repr` makes of a text.
pub fn repr(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::from(quote);
    for char in text.chars() {
        match char {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            char if char == quote => out.extend(['\\', quote]),
            char if is_printable(char) => out.push(char),
            char => out.push_str(&escape(char)),
        }
    }
    out.push(quote);
    out
}

/// Returns what `ascii` makes of a text.
pub fn ascii(text: &str) -> String {
    let escaped = |char: char| if char.is_ascii() { String::from(char) } else { escape(char) };
    repr(text).chars().map(escaped).collect()
}

fn escape(char: char) -> String {
    match u32::from(char) {
        code @ 0..=0xff => format!("\\x{code:02x}"),
        code @ 0x100..=0xffff => format!("\\u{code:04x}"),
        code => format!("\\U{code:08x}"),
    }
}

fn is_printable(char: char) -> bool {
    let format_character = matches!(u32::from(char), 0xad | 0x600..=0x605 | 0x61c | 0x6dd | 0x70f
        | 0x180e | 0x200b..=0x200f | 0x202a..=0x202e | 0x2060..=0x206f | 0xd800..=0xf8ff | 0xfeff
        | 0xfff0..=0xfffb | 0xfffe..=0xffff | 0xe0000..=0x10ffff);
    char == ' ' || !(char.is_control() || is_space(char) || format_character)
}

/// Returns the number that `int(text, radix)` reads; nothing where it raises. Numbers beyond 64 bits
/// come out as the nearest one. Digits of other scripts, which Python takes too, are refused.
pub fn int(text: &str, radix: u32) -> Option<i64> {
    let text = strip(text);
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, text.get(1..)?),
        Some(b'+') => (false, text.get(1..)?),
        Some(_) | None => (false, text),
    };
    let unprefixed = match radix {
        8 => digits.strip_prefix("0o").or(digits.strip_prefix("0O")),
        _ => None,
    };
    // Behind a prefix, one `_` may stand first.
    let digits = unprefixed.map(|rest| rest.strip_prefix('_').unwrap_or(rest)).unwrap_or(digits);
    if digits.is_empty() {
        return None;
    }
    let mut value: i64 = 0;
    for group in digits.split('_') {
        if group.is_empty() {
            return None;
        }
        for char in group.chars() {
            let digit = i64::from(char.to_digit(radix)?);
            value = value.saturating_mul(i64::from(radix)).saturating_add(digit);
        }
    }
    Some(if negative { -value } else { value })
}

/// Returns the words of a text as `shlex.shlex` splits it, with `/.+-():` among the characters of
/// words. Quotes stay where they are; without a second quote: an error in Python's words.
pub fn shell_tokens(text: &str) -> Result<Vec<String>, &'static str> {
    let mut tokens = Vec::new();
    let mut chars = text.chars().peekable();
    let mut token = String::new();
    while let Some(char) = chars.next() {
        if token.is_empty() {
            match char {
                ' ' | '\t' | '\r' | '\n' => {}
                '#' => skip_line(&mut chars),
                '"' | '\'' => tokens.push(quoted(char, &mut chars)?),
                char if is_word(char) => token.push(char),
                char => tokens.push(char.to_string()),
            }
            continue;
        }
        match char {
            '#' => skip_line(&mut chars),
            '"' | '\'' => token.push(char),
            char if is_word(char) => token.push(char),
            char => {
                tokens.push(core::mem::take(&mut token));
                if !matches!(char, ' ' | '\t' | '\r' | '\n') {
                    tokens.push(char.to_string());
                }
            }
        }
    }
    if !token.is_empty() {
        tokens.push(token);
    }
    Ok(tokens)
}

type Chars<'a> = core::iter::Peekable<core::str::Chars<'a>>;

fn is_word(char: char) -> bool {
    char.is_ascii_alphanumeric() || "_/.+-():".contains(char)
}

fn skip_line(chars: &mut Chars<'_>) {
    chars.by_ref().find(|char| *char == '\n');
}

fn quoted(quote: char, chars: &mut Chars<'_>) -> Result<String, &'static str> {
    let mut token = String::from(quote);
    for char in chars.by_ref() {
        token.push(char);
        if char == quote {
            return Ok(token);
        }
    }
    Err("No closing quotation")
}
