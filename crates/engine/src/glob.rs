//! Patterns of the shell, as fnmatch(3) without flags: a pattern matches a whole text.

/// Reports whether the pattern matches the text. `*` any run, `?` any byte, `[a-z]` and `[!a-z]` one
/// of a set, a backslash makes the next byte literal. `/` and a leading dot are nothing special.
/// Takes time in proportion to both lengths multiplied. Source: fnmatch(3), C locale.
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where the last `*` was and how much of the text it has taken; only the last one matters.
    let mut star: Option<(usize, usize)> = None;
    while let Some(byte) = text.get(t) {
        match one(pattern.get(p..).unwrap_or_default(), *byte) {
            One::Star => {
                p += 1;
                star = Some((p, t));
            }
            One::Takes(width) => {
                p += width;
                t += 1;
            }
            One::Refuses => match star {
                Some((behind, taken)) => {
                    p = behind;
                    t = taken + 1;
                    star = Some((behind, t));
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).unwrap_or_default().iter().all(|byte| *byte == b'*')
}

/// What the beginning of a pattern does with one byte.
enum One {
    /// It is a `*`.
    Star,
    /// It matches, and is so many bytes long.
    Takes(usize),
    /// It does not match.
    Refuses,
}

fn one(pattern: &[u8], byte: u8) -> One {
    let takes = |taken: bool, width| if taken { One::Takes(width) } else { One::Refuses };
    match pattern {
        [] => One::Refuses,
        [b'*', ..] => One::Star,
        [b'?', ..] => One::Takes(1),
        [b'[', set @ ..] => match class(set, byte) {
            Some((taken, width)) => takes(taken, width + 1),
            // Without an end it is a bracket like any other byte.
            None => takes(byte == b'[', 1),
        },
        [b'\\', literal, ..] => takes(byte == *literal, 2),
        [literal, ..] => takes(byte == *literal, 1),
    }
}

/// Reads a set up to its `]`: whether the byte is in it, and its length. None: it does not end.
fn class(set: &[u8], byte: u8) -> Option<(bool, usize)> {
    let negated = matches!(set.first(), Some(b'!' | b'^'));
    let first = usize::from(negated);
    let mut at = first;
    let mut found = false;
    loop {
        let (low, width) = member(set, at, first)?;
        if width == 0 {
            return Some((found != negated, at + 1));
        }
        at += width;
        let ranges = set.get(at) == Some(&b'-') && !matches!(set.get(at + 1), None | Some(b']'));
        if !ranges {
            found |= low == byte;
            continue;
        }
        let (high, width) = member(set, at + 1, at + 1)?;
        at += 1 + width;
        found |= (low..=high).contains(&byte);
    }
}

/// Reads a member of a set: the byte and its width; width 0 for the `]` that ends the set, which
/// the one at `first` does not.
fn member(set: &[u8], at: usize, first: usize) -> Option<(u8, usize)> {
    match (set.get(at)?, at == first) {
        (b']', false) => Some((b']', 0)),
        (b'\\', _) => Some((*set.get(at + 1)?, 2)),
        (byte, _) => Some((*byte, 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_fnmatch_does() {
        let rows = [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "a/b", true),
            ("a*c", "abcbc", true),
            ("a*c", "abcb", false),
            ("*a*b*", "xxaxxbxx", true),
            ("?", "", false),
            ("?", "/", true),
            ("[!2345]", "6", true),
            ("[!2345]", "3", false),
            ("[2345]", "3", true),
            ("[2345]", "", false),
            ("[a-c]x", "bx", true),
            ("[a-c]x", "dx", false),
            ("[]a]", "]", true),
            ("[!]a]", "]", false),
            ("[a-]", "-", true),
            ("[^a]", "b", true),
            ("[\\]]", "]", true),
            ("[a", "[a", true),
            ("[a", "a", false),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("a\\", "a\\", true),
            ("zap-*", "zap-x", true),
            ("zap-*", "zap", false),
        ];
        for (pattern, text, expected) in rows {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn many_stars_do_not_take_for_ever() {
        let pattern = b"*a".repeat(1000);
        assert!(!matches(&pattern, &[b'a'; 999]));
    }
}
