//! Arguments by a table of options, as Python reads them. Source: Python 3.11, getopt.py.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// How an option is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// Its letters.
    pub letters: &'static [char],
    /// Its long names.
    pub names: &'static [&'static str],
    /// Whether it takes a value.
    pub takes: bool,
}

/// An option that was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its place in the table.
    pub place: usize,
    /// How it was written: `-c`, `--configuration`.
    pub written: String,
    /// Its value; empty where it takes none.
    pub value: String,
}

/// Reads arguments up to the first that is no option; returns the options and the words after them. An
/// error is in Python's words.
pub fn getopt(arguments: &[String], forms: &[Form]) -> Result<(Vec<Found>, Vec<String>), String> {
    let mut found = Vec::new();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.as_slice().first() {
        if argument == "--" {
            rest.next();
            break;
        }
        if let Some(long) = argument.strip_prefix("--") {
            rest.next();
            let (name, value) = match long.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (long, None),
            };
            let (place, form, full) = by_name(name, forms)?;
            let value = match (form.takes, value) {
                (false, Some(_)) => {
                    return Err(format!("option --{full} must not have an argument"))
                }
                (false, None) => String::new(),
                (true, Some(value)) => value.to_owned(),
                (true, None) => match rest.next() {
                    Some(value) => value.clone(),
                    None => return Err(format!("option --{full} requires argument")),
                },
            };
            found.push(Found { place, written: format!("--{full}"), value });
        } else if argument.len() > 1 && argument.starts_with('-') {
            rest.next();
            let mut letters = argument.chars();
            letters.next();
            while let Some(letter) = letters.next() {
                let row = forms.iter().enumerate().find(|(_, row)| row.letters.contains(&letter));
                let (place, form) =
                    row.ok_or_else(|| format!("option -{letter} not recognized"))?;
                let mut value = String::new();
                if form.takes {
                    value = letters.as_str().to_owned();
                    letters = "".chars();
                    if value.is_empty() {
                        let next = rest.next().cloned();
                        value =
                            next.ok_or_else(|| format!("option -{letter} requires argument"))?;
                    }
                }
                found.push(Found { place, written: format!("-{letter}"), value });
            }
        } else {
            break;
        }
    }
    Ok((found, rest.as_slice().to_vec()))
}

/// Finds an option by its long name or the beginning of only one.
fn by_name<'a>(name: &str, forms: &'a [Form]) -> Result<(usize, &'a Form, &'static str), String> {
    let rows = forms.iter().enumerate();
    let all = rows.flat_map(|(place, row)| row.names.iter().map(move |name| (place, row, *name)));
    let fitting: Vec<_> = all.filter(|(_, _, known)| known.starts_with(name)).collect();
    let exact = fitting.iter().find(|(_, _, known)| *known == name);
    match (exact, fitting.as_slice()) {
        (Some(found), _) => Ok(*found),
        (None, []) => Err(format!("option --{name} not recognized")),
        (None, [first, more @ ..]) if more.iter().all(|row| row.0 == first.0) => Ok(*first),
        (None, _) => Err(format!("option --{name} not a unique prefix")),
    }
}
