//! Where the output is cut when a file is near its size.
//!
//! A file is cut at the last line end that fits. A line that does not fit into what is left begins
//! the next file; a line that was begun in this file is finished in it, so that no line is in two
//! files, unless it is longer than one look into the pipe. A file is therefore at most one line, or
//! [`sys::pipe::PEEK_MAX`] bytes, longer than its size. Cutting at exactly the size was rejected:
//! every rotated file would then begin with half a line.

use sys::pipe::PEEK_MAX;

/// What to do next with the bytes at the front of a pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Move that many bytes, or as many of them as there are.
    Move(usize),
    /// The file is full: begin the next one.
    Rotate,
}

/// Whether the file's end is the end of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Its last byte is a newline.
    Line,
    /// It is empty, or a line is unfinished.
    Open,
}

/// Decides for a file of `size` bytes that is full at `limit`, with `seen` at the front of the pipe
/// and more behind it than fits.
pub fn cut(size: u64, limit: u64, seen: &[u8], end: End) -> Cut {
    let room = usize::try_from(limit.saturating_sub(size)).unwrap_or(usize::MAX);
    if seen.is_empty() {
        return Cut::Move(1);
    }
    let fitting = seen.get(..room).unwrap_or(seen);
    if let Some(last) = fitting.iter().rposition(|byte| *byte == b'\n') {
        return Cut::Move(last + 1);
    }
    if seen.len() <= room {
        return Cut::Move(seen.len());
    }
    if end == End::Line || size.saturating_sub(limit) >= PEEK_MAX as u64 {
        return Cut::Rotate;
    }
    match seen.iter().position(|byte| *byte == b'\n') {
        Some(first) => Cut::Move(first + 1),
        None => Cut::Move(seen.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_cut_at_the_last_line_end_that_fits() {
        assert_eq!(cut(90, 100, b"abc\ndef\nghi\n", End::Line), Cut::Move(8));
        assert_eq!(cut(90, 100, b"abc\ndefgh\nij\n", End::Open), Cut::Move(10));
    }

    #[test]
    fn a_line_that_does_not_fit_begins_the_next_file() {
        assert_eq!(cut(95, 100, b"abcdefghi\n", End::Line), Cut::Rotate);
        assert_eq!(cut(100, 100, b"a\n", End::Line), Cut::Rotate);
    }

    #[test]
    fn a_line_that_was_begun_is_finished_in_its_file() {
        assert_eq!(cut(95, 100, b"abcdefghi\nj\n", End::Open), Cut::Move(10));
        assert_eq!(cut(100, 100, b"no end yet", End::Open), Cut::Move(10));
        assert_eq!(cut(0, 5, b"longer than the file\n", End::Open), Cut::Move(21));
    }

    #[test]
    fn a_line_without_end_is_cut_after_one_look_more() {
        let over = 100 + PEEK_MAX as u64;
        assert_eq!(cut(over - 1, 100, b"xxx", End::Open), Cut::Move(3));
        assert_eq!(cut(over, 100, b"xxx", End::Open), Cut::Rotate);
    }
}
