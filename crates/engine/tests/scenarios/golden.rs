//! Golden files: what stands in a file is compared with what really is.

use std::path::Path;

/// Fails where `expected`, the content of `file`, is not `text`. With `UPDATE_EXPECT=1` in the
/// environment the file is written instead.
pub fn same(file: &Path, expected: &str, text: &str) -> Result<(), String> {
    let Some(line) = first_difference(expected, text) else { return Ok(()) };
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        return std::fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()));
    }
    Err(format!(
        "{} differs; look at the change, then run again with UPDATE_EXPECT=1\n{line}",
        file.display()
    ))
}

/// Returns the first line that differs, as both have it.
pub fn first_difference(expected: &str, text: &str) -> Option<String> {
    if expected == text {
        return None;
    }
    let (mut left, mut right) = (expected.lines(), text.lines());
    let mut number = 0;
    loop {
        number += 1;
        let pair = (left.next(), right.next());
        if pair == (None, None) {
            return Some(format!("line {number}: only the end of the file differs"));
        }
        if pair.0 != pair.1 {
            let [expected, got] = [pair.0, pair.1].map(|line| line.unwrap_or("(the end)"));
            return Some(format!("line {number}:\n  expected: {expected}\n  got:      {got}"));
        }
    }
}
