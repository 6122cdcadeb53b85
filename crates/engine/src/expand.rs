//! Variables in instance names, conditions, profiles and control groups.
//!
//! Source: behaviour of Upstart 1.13.2, init(5), instance. Nothing recurses: what is open is kept in
//! a list.

use crate::text::Text;
use alloc::vec::Vec;
use core::cell::Cell;
use core::fmt;

/// The longest text that is expanded, and the most that variables may add to it, in bytes: a short
/// text may name long variables many times.
pub const EXPANDED_MAX: usize = 1 << 16;

/// Why a text cannot be expanded. The words are the original's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExpandError {
    /// No variable has this name.
    UnknownParameter(Text),
    /// `:` in braces without `-` or `+` behind it.
    ExpectedOperator,
    /// An opened brace is not closed.
    MismatchedBraces,
    /// More than [`EXPANDED_MAX`] bytes.
    TooLong,
}

impl fmt::Display for ExpandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExpandError::UnknownParameter(name) => write!(f, "Unknown parameter: {name}"),
            ExpandError::ExpectedOperator => f.write_str("Expected operator"),
            ExpandError::MismatchedBraces => f.write_str("Mismatched braces"),
            ExpandError::TooLong => write!(f, "Expansion of more than {EXPANDED_MAX} bytes"),
        }
    }
}

/// Returns the text with its variables replaced by those of `env`, rows of `KEY=VALUE`; the last row
/// of a key counts. What is replaced is told at [`expand_by`].
pub fn expand(text: &Text, env: &[Text]) -> Result<Text, ExpandError> {
    expand_by(text.bytes(), |name| {
        env.iter().rev().find_map(|row| row.bytes().strip_prefix(name)?.strip_prefix(b"="))
    })
}

/// Returns the text with its variables replaced: `$NAME`, `${NAME}`, `${NAME-if unset}`,
/// `${NAME:-if unset or empty}`, `${NAME+if set}`, `${NAME:+if set and not empty}`. What stands in
/// braces is expanded first; what came in for a variable is not looked at again. `${}` is a dollar
/// sign, and so is one before any other character. `variable` says what a name stands for.
pub fn expand_by<'v>(
    text: &[u8],
    variable: impl Fn(&[u8]) -> Option<&'v [u8]>,
) -> Result<Text, ExpandError> {
    let mut open: Vec<Brace> = Vec::new();
    let mut out = Vec::new();
    let mut rest = text;
    let spent = Cell::new(0_usize);
    let variable = |name: &[u8]| {
        let value = variable(name);
        spent.set(spent.get().saturating_add(value.map_or(0, <[u8]>::len)));
        value
    };
    while let Some((byte, tail)) = rest.split_first() {
        match (*byte, open.last_mut()) {
            (b'$', _) if tail.starts_with(b"{}") => {
                out.push(b'$');
                rest = tail.get(2..).unwrap_or_default();
                continue;
            }
            (b'$', _) if tail.starts_with(b"{") => {
                open.push(Brace { before: core::mem::take(&mut out), chosen: None });
                rest = tail.get(1..).unwrap_or_default();
                continue;
            }
            (b'$', _) => {
                let name = name(tail);
                match name.is_empty() {
                    true => out.push(b'$'),
                    false => out.extend_from_slice(lookup(name, &variable)?),
                }
                rest = tail.get(name.len()..).unwrap_or_default();
            }
            (b'}', Some(_)) => {
                if let Some(brace) = open.pop() {
                    out = brace.close(out, &variable)?;
                }
                rest = tail;
            }
            (b':' | b'-' | b'+', Some(brace)) if brace.chosen.is_none() => {
                let (operator, width) = operator(rest)?;
                brace.chosen = Some((operator, core::mem::take(&mut out)));
                rest = rest.get(width..).unwrap_or_default();
            }
            (byte, _) => {
                out.push(byte);
                rest = tail;
            }
        }
        if text.len().max(spent.get()) > EXPANDED_MAX {
            return Err(ExpandError::TooLong);
        }
    }
    match open.is_empty() {
        true => Ok(Text::from(out)),
        false => Err(ExpandError::MismatchedBraces),
    }
}

/// Returns the name of a variable that the text begins with; empty where it begins with none.
pub fn name(text: &[u8]) -> &[u8] {
    let inner = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'_';
    let length = match text.first() {
        Some(byte) if !byte.is_ascii_digit() => text.iter().take_while(inner).count(),
        _ => 0,
    };
    text.get(..length).unwrap_or_default()
}

/// Reports whether a text that is to be expanded names a variable, in braces or without.
pub fn mentions(text: &[u8], variable: &[u8]) -> bool {
    let behind = text.split(|byte| *byte == b'$').skip(1);
    behind.into_iter().any(|rest| {
        let rest = rest.strip_prefix(b"{").unwrap_or(rest);
        !variable.is_empty() && name(rest) == variable
    })
}

/// What stands between the name and the other text in braces.
#[derive(Clone, Copy)]
enum Operator {
    /// The other text is taken where the variable is not there.
    Otherwise { empty_counts: bool },
    /// The other text is taken where the variable is there.
    Instead { empty_counts: bool },
}

fn operator(rest: &[u8]) -> Result<(Operator, usize), ExpandError> {
    match rest {
        [b':', b'-', ..] => Ok((Operator::Otherwise { empty_counts: false }, 2)),
        [b':', b'+', ..] => Ok((Operator::Instead { empty_counts: false }, 2)),
        [b'-', ..] => Ok((Operator::Otherwise { empty_counts: true }, 1)),
        [b'+', ..] => Ok((Operator::Instead { empty_counts: true }, 1)),
        _ => Err(ExpandError::ExpectedOperator),
    }
}

/// An opened brace.
struct Brace {
    /// What stands before it.
    before: Vec<u8>,
    /// The operator and the name before it; what follows is the other text.
    chosen: Option<(Operator, Vec<u8>)>,
}

impl Brace {
    /// Returns what stands before the brace with what it stands for. `last` is what was read since
    /// the operator, or since the brace.
    fn close<'v>(
        self,
        last: Vec<u8>,
        variable: &impl Fn(&[u8]) -> Option<&'v [u8]>,
    ) -> Result<Vec<u8>, ExpandError> {
        let mut out = self.before;
        let there = |name: &[u8], empty_counts: bool| {
            variable(name).filter(|value| empty_counts || !value.is_empty())
        };
        let value: &[u8] = match &self.chosen {
            None => lookup(&last, variable)?,
            Some((Operator::Otherwise { empty_counts }, name)) => {
                there(name, *empty_counts).unwrap_or(&last)
            }
            Some((Operator::Instead { empty_counts }, name)) => {
                there(name, *empty_counts).map_or(&[], |_| &last)
            }
        };
        out.extend_from_slice(value);
        Ok(out)
    }
}

fn lookup<'v>(
    name: &[u8],
    variable: &impl Fn(&[u8]) -> Option<&'v [u8]>,
) -> Result<&'v [u8], ExpandError> {
    variable(name).ok_or_else(|| ExpandError::UnknownParameter(Text::from(name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    fn check(text: &str, expected: &str) {
        let variables =
            [("A", "a"), ("B", "b c"), ("E", ""), ("G", "A"), ("X", "$Y"), ("FA", "fa")];
        let shown = expand_by(text.as_bytes(), |name| {
            let row = variables.iter().find(|row| row.0.as_bytes() == name);
            row.map(|row| row.1.as_bytes())
        });
        let shown = shown.map_or_else(|error| error.to_string(), |text| text.to_string());
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn a_plain_name_is_replaced() {
        check("$A", "a");
        check("x$A.$B/$E", "xa.b c/");
        check("${A}x", "ax");
        check("$AA", "Unknown parameter: AA");
        check("${N}", "Unknown parameter: N");
    }

    #[test]
    fn a_dollar_sign_before_anything_else_stays() {
        check("$", "$");
        check("$1 $- $$", "$1 $- $$");
        check("${}A", "$A");
        check("a}b", "a}b");
    }

    #[test]
    fn an_operator_chooses_another_text() {
        check("${N-x y}", "x y");
        check("${E-x}", "");
        check("${E:-x}", "x");
        check("${A:-x}", "a");
        check("${A+x}", "x");
        check("${E+x}", "x");
        check("${E:+x}", "");
        check("${N+x}", "");
        check("${N:-x-y:z}", "x-y:z");
    }

    #[test]
    fn what_stands_in_braces_is_expanded_first() {
        check("${F$G}", "fa");
        check("${N:-${M:-deep}}", "deep");
        check("${N-$A${E:-}}", "a");
        check("${A-$N}", "Unknown parameter: N");
    }

    #[test]
    fn what_came_in_for_a_variable_is_not_looked_at_again() {
        check("$X", "$Y");
    }

    #[test]
    fn a_malformed_text_says_what_is_wrong() {
        check("${A:b}", "Expected operator");
        check("${A:", "Expected operator");
        check("${A!b}", "Unknown parameter: A!b");
        check("${A", "Mismatched braces");
        check("${A-", "Mismatched braces");
    }

    #[test]
    fn the_last_row_of_a_key_counts() {
        let env = ["A=1", "AB=2", "A=x=y", "B"].map(Text::from);
        assert_eq!(expand(&Text::from("$A ${AB}"), &env), Ok(Text::from("x=y 2")));
        let missing = ExpandError::UnknownParameter(Text::from("B"));
        assert_eq!(expand(&Text::from("$B"), &env), Err(missing));
    }

    #[test]
    fn depth_is_harmless() {
        let depth = EXPANDED_MAX / 5;
        let text = [b"${N-".repeat(depth), b"}".repeat(depth)].concat();
        assert_eq!(expand_by(&text, |_| None), Ok(Text::default()));
        let open = b"${N-".repeat(depth);
        assert_eq!(expand_by(&open, |_| None), Err(ExpandError::MismatchedBraces));
    }

    #[test]
    fn length_is_bounded() {
        let value = "x".repeat(1000);
        for text in ["$V".repeat(1000), "$V${N-".repeat(1000), "x".repeat(EXPANDED_MAX + 1)] {
            let expanded =
                expand_by(text.as_bytes(), |name| (name == b"V").then_some(value.as_bytes()));
            assert_eq!(expanded, Err(ExpandError::TooLong));
        }
    }
}
