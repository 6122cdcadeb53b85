//! Shell patterns as fnmatch(3) with flags 0 reads them: `*` and `?` cross slashes, `[...]` with
//! ranges, `[!...]` and POSIX classes, `\` escapes.

/// Reports whether `text` matches `pattern`. Linear in their product, without recursion.
/// Source: init(5), start on; POSIX fnmatch, flags 0, C locale.
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        if pattern.get(p) == Some(&b'*') {
            p += 1;
            retry = Some((p, t));
            continue;
        }
        if t == text.len() && p == pattern.len() {
            return true;
        }
        if let (Some(byte), true) = (text.get(t), p < pattern.len()) {
            if let Some(next) = one(pattern, p, *byte) {
                p = next;
                t += 1;
                continue;
            }
        }
        match retry {
            Some((star, from)) if from < text.len() => {
                p = star;
                t = from + 1;
                retry = Some((star, t));
            }
            _ => return false,
        }
    }
}

/// Matches one byte against the pattern's element at `p`; returns where the next element begins.
fn one(pattern: &[u8], p: usize, byte: u8) -> Option<usize> {
    match pattern[p] {
        b'?' => Some(p + 1),
        b'[' => match bracket(&pattern[p + 1..], byte) {
            Some((true, length)) => Some(p + 1 + length),
            Some((false, _)) => None,
            None => (byte == b'[').then_some(p + 1),
        },
        b'\\' => match pattern.get(p + 1) {
            Some(literal) => (*literal == byte).then_some(p + 2),
            None => None,
        },
        literal => (literal == byte).then_some(p + 1),
    }
}

/// Reads what follows a `[`: whether it contains the byte, and its length with the `]`. Nothing
/// where there is no closing bracket: the `[` is a plain character then.
fn bracket(rest: &[u8], byte: u8) -> Option<(bool, usize)> {
    let negated = matches!(rest.first(), Some(b'!' | b'^'));
    let mut at = usize::from(negated);
    let first = at;
    let mut found = false;
    loop {
        let mut low = *rest.get(at)?;
        if low == b']' && at > first {
            return Some((found != negated, at + 1));
        }
        if low == b'[' && rest.get(at + 1) == Some(&b':') {
            if let Some(end) = rest[at + 2..].windows(2).position(|pair| pair == b":]") {
                found |= class(&rest[at + 2..at + 2 + end], byte);
                at += end + 4;
                continue;
            }
        }
        if low == b'\\' {
            at += 1;
            low = *rest.get(at)?;
        }
        at += 1;
        let mut high = low;
        if rest.get(at) == Some(&b'-') && !matches!(rest.get(at + 1), None | Some(b']')) {
            at += 1;
            high = *rest.get(at)?;
            if high == b'\\' {
                at += 1;
                high = *rest.get(at)?;
            }
            at += 1;
        }
        found |= (low..=high).contains(&byte);
    }
}

fn class(name: &[u8], byte: u8) -> bool {
    match name {
        b"alpha" => byte.is_ascii_alphabetic(),
        b"digit" => byte.is_ascii_digit(),
        b"alnum" => byte.is_ascii_alphanumeric(),
        b"upper" => byte.is_ascii_uppercase(),
        b"lower" => byte.is_ascii_lowercase(),
        b"space" => byte.is_ascii_whitespace() || byte == 0x0b,
        b"blank" => matches!(byte, b' ' | b'\t'),
        b"punct" => byte.is_ascii_punctuation(),
        b"print" => (0x20..0x7f).contains(&byte),
        b"graph" => byte.is_ascii_graphic(),
        b"cntrl" => byte.is_ascii_control(),
        b"xdigit" => byte.is_ascii_hexdigit(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    fn check(pattern: &str, text: &str, expected: bool) {
        assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} ~ {text}");
    }

    #[test]
    fn patterns_match_as_fnmatch_does() {
        for (pattern, text) in [
            ("", ""),
            ("*", ""),
            ("*", "a/b"),
            ("a*c", "abbc"),
            ("a*b*c", "aXbYbZc"),
            ("?", "/"),
            ("[!2345]", "1"),
            ("[2-5]", "4"),
            ("[]a]", "]"),
            ("[!]a]", "b"),
            ("[[:digit:]]x", "7x"),
            ("\\*", "*"),
            ("[", "["),
            ("[a", "[a"),
            ("?*", "TERM"),
            ("[\\]]", "]"),
            ("[a-]", "-"),
        ] {
            check(pattern, text, true);
        }
        for (pattern, text) in [
            ("", "a"),
            ("?", ""),
            ("[!2345]", "3"),
            ("[2345]", ""),
            ("a*c", "abb"),
            ("\\*", "a"),
            ("[!a]", "a"),
            ("?*", ""),
            ("a\\", "a"),
        ] {
            check(pattern, text, false);
        }
    }

    #[test]
    fn a_pattern_of_many_stars_is_no_attack() {
        let text = "a".repeat(4000);
        check(&("*a".repeat(200) + "b"), &text, false);
    }
}
