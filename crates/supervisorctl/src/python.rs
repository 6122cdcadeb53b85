//! Texts as Python writes them, which the original's messages quote.

use std::io;

/// Returns the kernel's words for an error, without the number that Rust adds.
pub fn words(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error ").next().unwrap_or_default().to_owned()
}

/// Returns an error of the kernel as Python's class for it and its text.
pub fn os_error(error: &io::Error) -> (&'static str, String) {
    let class = match error.kind() {
        io::ErrorKind::NotFound => "FileNotFoundError",
        io::ErrorKind::PermissionDenied => "PermissionError",
        io::ErrorKind::ConnectionRefused => "ConnectionRefusedError",
        io::ErrorKind::ConnectionReset => "ConnectionResetError",
        io::ErrorKind::BrokenPipe => "BrokenPipeError",
        io::ErrorKind::TimedOut => "TimeoutError",
        _ => "OSError",
    };
    let text = match error.raw_os_error() {
        Some(number) => format!("[Errno {number}] {}", words(error)),
        None => words(error),
    };
    (class, text)
}

/// Returns words in as few rows as fit the width, column by column, two blanks between.
/// Source: Python's cmd.py, `Cmd.columnize`.
pub fn columns(words: &[&str], width: usize) -> String {
    let widths = |rows: usize| -> Vec<usize> {
        words.chunks(rows).map(|column| column.iter().map(|w| w.len()).max().unwrap_or(0)).collect()
    };
    let total = |widths: &[usize]| widths.iter().sum::<usize>() + 2 * widths.len().max(1) - 2;
    let count = words.len().max(1);
    let rows = (1..count).find(|rows| total(&widths(*rows)) <= width).unwrap_or(count);
    let widths = widths(rows);
    let mut out = String::new();
    for row in 0..rows {
        let line: Vec<String> = words
            .chunks(rows)
            .zip(&widths)
            .filter_map(|(column, width)| column.get(row).map(|word| format!("{word:width$}")))
            .collect();
        out.push_str(&line.join("  "));
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_in_columns_that_fit() {
        assert_eq!(columns(&["a", "bb", "c"], 80), "a  bb  c\n");
        assert_eq!(columns(&["aa", "b", "c", "d"], 6), "aa  c\nb   d\n");
        assert_eq!(columns(&["aaaa", "bb"], 3), "aaaa\nbb  \n");
        assert_eq!(columns(&[], 3), "\n");
    }
}
