//! Python's `%` formatting of a text with a table of names: `%(here)s`, `%(process_num)02d`, `%%`.
//!
//! Source: CPython 3.11 and `expand` of Supervisor 4.3.0, observed.

use super::python::{ascii, repr};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};

/// The widest field and the finest precision that are made, in characters; Python stops at 2^63.
const WIDTH_MAX: usize = 1 << 16;

/// The longest text that comes out, in bytes.
const EXPANDED_MAX: usize = 1 << 20;

/// What a name stands for; cheap to copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// A text.
    Text(Rc<str>),
    /// A number: `process_num` and `numprocs`.
    Number(i64),
}

/// Names and what they stand for; a copy for each program shares the texts.
pub type Names = BTreeMap<Rc<str>, Word>;

/// Returns a text with its names replaced. `key` is what the error calls it; the error is in the
/// original's words.
pub fn expand(text: &str, names: &Names, key: &str) -> Result<String, String> {
    if !text.contains('%') {
        return Ok(text.to_string());
    }
    let mut format = Format { text, at: 0, chars: 0, names, whole: true };
    format.run().map_err(|wrong| match wrong {
        Wrong::Unknown(name) => {
            let all: alloc::vec::Vec<&str> = names.keys().map(|name| &**name).collect();
            format!(
                "Format string {} for {} contains names ({}) which cannot be expanded. \
                 Available names: {}",
                repr(text),
                repr(key),
                repr(&name),
                all.join(", ")
            )
        }
        Wrong::Format(why) => {
            format!("Format string {} for {} is badly formatted: {why}", repr(text), repr(key))
        }
    })
}

enum Wrong {
    Unknown(String),
    Format(String),
}

fn wrong(why: &str) -> Wrong {
    Wrong::Format(why.to_string())
}

struct Format<'a> {
    text: &'a str,
    at: usize,
    /// How many characters stand before `at`.
    chars: usize,
    names: &'a Names,
    /// Whether a sign without a name still finds the one thing it may stand for.
    whole: bool,
}

#[derive(Default)]
struct Field {
    minus: bool,
    plus: bool,
    blank: bool,
    hash: bool,
    zero: bool,
    width: usize,
    precision: Option<usize>,
}

impl Format<'_> {
    fn run(&mut self) -> Result<String, Wrong> {
        let mut out = String::new();
        while let Some(char) = self.next() {
            if char != '%' {
                out.push(char);
                continue;
            }
            self.field(&mut out)?;
            if out.len() > EXPANDED_MAX {
                return Err(wrong("the text becomes too long"));
            }
        }
        Ok(out)
    }

    fn next(&mut self) -> Option<char> {
        let char = self.peek()?;
        self.at += char.len_utf8();
        self.chars += 1;
        Some(char)
    }

    fn peek(&self) -> Option<char> {
        self.text.get(self.at..)?.chars().next()
    }

    /// Takes a character where it is the next one.
    fn take(&mut self, wanted: impl Fn(char) -> bool) -> Option<char> {
        self.peek().filter(|char| wanted(*char))?;
        self.next()
    }

    fn field(&mut self, out: &mut String) -> Result<(), Wrong> {
        if self.take(|char| char == '%').is_some() {
            out.push('%');
            return Ok(());
        }
        let mut value = None;
        if self.take(|char| char == '(').is_some() {
            let name = self.name()?;
            let word = self.names.get(&*name).cloned();
            value = Some(word.ok_or(Wrong::Unknown(name))?);
            self.whole = true;
        }
        let mut field = Field::default();
        while let Some(flag) = self.take(|char| "-+ #0".contains(char)) {
            match flag {
                '-' => field.minus = true,
                '+' => field.plus = true,
                ' ' => field.blank = true,
                '#' => field.hash = true,
                _ => field.zero = true,
            }
        }
        self.star(value.as_ref())?;
        field.width = self.number("width too big")?.unwrap_or(0);
        if self.take(|char| char == '.').is_some() {
            self.star(value.as_ref())?;
            field.precision = Some(self.number("precision too big")?.unwrap_or(0));
        }
        self.take(|char| "hlL".contains(char));
        let place = self.chars;
        let Some(conversion) = self.next() else { return Err(wrong("incomplete format")) };
        if !core::mem::replace(&mut self.whole, false) {
            return Err(wrong("not enough arguments for format string"));
        }
        let subject = match value {
            Some(word) => Subject::Word(word),
            None => Subject::Table,
        };
        match self.convert(conversion, &field, subject)? {
            Some(text) => out.push_str(&text),
            None => {
                let code = u32::from(conversion);
                let shown = if ('\u{1f}'..='~').contains(&conversion) { conversion } else { '?' };
                let why = format!("unsupported format character '{shown}' (0x{code:x})");
                return Err(Wrong::Format(format!("{why} at index {place}")));
            }
        }
        Ok(())
    }

    /// Returns the name up to the parenthesis that closes it; parentheses within are part of it.
    fn name(&mut self) -> Result<String, Wrong> {
        let start = self.at;
        let mut open = 1;
        while open > 0 {
            match self.next() {
                Some('(') => open += 1,
                Some(')') => open -= 1,
                Some(_) => {}
                None => return Err(wrong("incomplete format key")),
            }
        }
        Ok(self.text.get(start..self.at - 1).unwrap_or("").to_string())
    }

    /// A width from the arguments takes the value for it, and then there is none left to show.
    fn star(&mut self, value: Option<&Word>) -> Result<(), Wrong> {
        if self.take(|char| char == '*').is_none() {
            return Ok(());
        }
        let left = core::mem::replace(&mut self.whole, false);
        match value {
            Some(Word::Number(_)) if left => Ok(()),
            Some(_) | None if left => Err(wrong("* wants int")),
            Some(_) | None => Err(wrong("not enough arguments for format string")),
        }
    }

    fn number(&mut self, too_big: &str) -> Result<Option<usize>, Wrong> {
        let mut number = None;
        while let Some(digit) = self.take(|char| char.is_ascii_digit()) {
            let digit = digit.to_digit(10).unwrap_or(0) as usize;
            let value = number.unwrap_or(0) * 10 + digit;
            if value > WIDTH_MAX {
                return Err(wrong(too_big));
            }
            number = Some(value);
        }
        Ok(number)
    }

    fn convert(
        &self,
        conversion: char,
        field: &Field,
        subject: Subject,
    ) -> Result<Option<String>, Wrong> {
        let text = match conversion {
            's' => self.shown(&subject, |text| text.to_string()),
            'r' => self.shown(&subject, repr),
            'a' => self.shown(&subject, ascii),
            'd' | 'i' | 'u' | 'o' | 'x' | 'X' => {
                let number = subject.number().ok_or_else(|| {
                    let wanted =
                        if "diu".contains(conversion) { "a real number" } else { "an integer" };
                    let kind = subject.kind();
                    Wrong::Format(format!("%{conversion} format: {wanted} is required, not {kind}"))
                })?;
                return Ok(Some(field.integer(number, conversion)));
            }
            'e' | 'E' | 'f' | 'F' | 'g' | 'G' => {
                let number = subject.number().ok_or_else(|| {
                    Wrong::Format(format!("must be real number, not {}", subject.kind()))
                })?;
                return Ok(Some(field.real(number as f64, conversion)));
            }
            'c' => match &subject {
                Subject::Word(Word::Text(text)) if text.chars().count() == 1 => text.to_string(),
                Subject::Word(Word::Number(code)) => {
                    let char = u32::try_from(*code).ok().and_then(char::from_u32);
                    String::from(char.ok_or(wrong("%c arg not in range(0x110000)"))?)
                }
                Subject::Word(Word::Text(_)) | Subject::Table => {
                    return Err(wrong("%c requires int or char"))
                }
            },
            _ => return Ok(None),
        };
        let cut = match (conversion, field.precision) {
            ('c', _) | (_, None) => text,
            (_, Some(precision)) => text.chars().take(precision).collect(),
        };
        Ok(Some(field.pad("", &cut, ' ')))
    }

    fn shown(&self, subject: &Subject, text: impl Fn(&str) -> String) -> String {
        match subject {
            Subject::Word(Word::Text(word)) => text(word),
            Subject::Word(Word::Number(number)) => number.to_string(),
            Subject::Table => {
                let row = |(name, word): (&Rc<str>, &Word)| match word {
                    Word::Text(word) => format!("{}: {}", repr(name), repr(word)),
                    Word::Number(number) => format!("{}: {number}", repr(name)),
                };
                let rows: alloc::vec::Vec<String> = self.names.iter().map(row).collect();
                format!("{{{}}}", rows.join(", "))
            }
        }
    }
}

/// What is formatted: the word of a name, or, for `%s` alone, the whole table.
enum Subject {
    Word(Word),
    Table,
}

impl Subject {
    fn number(&self) -> Option<i64> {
        match self {
            Subject::Word(Word::Number(number)) => Some(*number),
            Subject::Word(Word::Text(_)) | Subject::Table => None,
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Subject::Word(Word::Text(_)) => "str",
            Subject::Word(Word::Number(_)) => "int",
            Subject::Table => "dict",
        }
    }
}

impl Field {
    fn integer(&self, number: i64, conversion: char) -> String {
        let size = number.unsigned_abs();
        let (prefix, digits) = match conversion {
            'o' => ("0o", format!("{size:o}")),
            'x' => ("0x", format!("{size:x}")),
            'X' => ("0X", format!("{size:X}")),
            _ => ("", size.to_string()),
        };
        let zeros = "0".repeat(self.precision.unwrap_or(0).saturating_sub(digits.len()));
        let prefix = if self.hash { prefix } else { "" };
        let lead = format!("{}{prefix}", self.sign(number < 0));
        self.pad(&lead, &format!("{zeros}{digits}"), if self.zero { '0' } else { ' ' })
    }

    fn real(&self, number: f64, conversion: char) -> String {
        let size = number.abs();
        let precision = self.precision.unwrap_or(6);
        let digits = match conversion {
            'f' | 'F' => self.dotted(format!("{size:.precision$}"), precision),
            'e' | 'E' => scientific(size, precision),
            _ => self.general(size, precision.max(1)),
        };
        let digits = if conversion.is_uppercase() { digits.to_uppercase() } else { digits };
        self.pad(self.sign(number < 0.0), &digits, if self.zero { '0' } else { ' ' })
    }

    fn dotted(&self, mut digits: String, precision: usize) -> String {
        if self.hash && precision == 0 {
            digits.push('.');
        }
        digits
    }

    fn general(&self, size: f64, precision: usize) -> String {
        let shown = scientific(size, precision - 1);
        let (digits, exponent) = shown.split_once('e').unwrap_or((&shown, "+00"));
        let power: i32 = exponent.parse().unwrap_or(0);
        let precision = i32::try_from(precision).unwrap_or(i32::MAX);
        let trim = |digits: &str| match digits.contains('.') && !self.hash {
            true => digits.trim_end_matches('0').trim_end_matches('.').to_string(),
            false => digits.to_string(),
        };
        if power < -4 || power >= precision {
            return format!("{}e{exponent}", trim(digits));
        }
        let places = usize::try_from(precision - 1 - power).unwrap_or(0);
        trim(&self.dotted(format!("{size:.places$}"), places))
    }

    fn sign(&self, negative: bool) -> &'static str {
        match (negative, self.plus, self.blank) {
            (true, _, _) => "-",
            (false, true, _) => "+",
            (false, false, true) => " ",
            (false, false, false) => "",
        }
    }

    /// Fills up to the width: on the right, between the sign and the digits, or on the left.
    fn pad(&self, lead: &str, text: &str, fill: char) -> String {
        let have = lead.chars().count() + text.chars().count();
        let missing = self.width.saturating_sub(have);
        match (self.minus, fill) {
            (true, _) => format!("{lead}{text}{}", " ".repeat(missing)),
            (false, '0') => format!("{lead}{}{text}", "0".repeat(missing)),
            (false, _) => format!("{}{lead}{text}", " ".repeat(missing)),
        }
    }
}

/// Returns a number as C writes it with `%e`: an exponent of at least two digits.
fn scientific(size: f64, precision: usize) -> String {
    let shown = format!("{size:.precision$e}");
    let (digits, exponent) = shown.split_once('e').unwrap_or((&shown, "0"));
    let power: i32 = exponent.parse().unwrap_or(0);
    let sign = if power < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", power.unsigned_abs())
}
