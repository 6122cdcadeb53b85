//! Words, command lines and blocks of a job file, as libnih 1.0.4 reads them.
//!
//! Source: behaviour of Upstart 1.13.2, init(5). Quotes and backslashes are peculiar; each
//! peculiarity says so where it is.

use super::complaint::Complaint;
use crate::dialect::{Diagnostic, Place, DIAGNOSTICS_MAX};
use crate::text::Text;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::mem;
use core::ops::Range;

/// In a line up to this many bytes a column is counted in characters.
const COUNTED_MAX: usize = 65_536;

/// A position in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Offset of the next byte.
    pub at: usize,
    /// Its line, from 1.
    pub line: u32,
    /// Offset of the line's first byte.
    pub line_start: usize,
}

/// A complaint with where it belongs. The column is found only when somebody will read it.
#[derive(Clone, Debug)]
pub struct Fault {
    /// What is wrong.
    pub complaint: Complaint,
    /// The line that the original reports.
    pub line: u32,
    /// Where the piece begins.
    pub from: Cursor,
    /// Offset behind the piece.
    pub to: usize,
    /// What would be right.
    pub help: Option<String>,
}

impl Fault {
    /// Returns a complaint about a word, reported for the line it begins in.
    pub fn at(complaint: Complaint, word: &Word) -> Fault {
        Fault { complaint, line: word.from.line, from: word.from, to: word.to, help: None }
    }

    /// Returns the fault with what would be right.
    pub fn help(self, help: impl Into<String>) -> Fault {
        Fault { help: Some(help.into()), ..self }
    }

    /// Returns the fault as it is told. `file` is the text it is about.
    pub fn diagnostic(self, file: &[u8]) -> Diagnostic {
        let line = file.get(self.from.line_start..self.from.at).unwrap_or_default();
        // A character is counted by its first byte; in an endless line bytes are good enough.
        let column = match line.len() {
            0..=COUNTED_MAX => line.iter().filter(|byte| **byte & 0xc0 != 0x80).count(),
            length => length,
        };
        Diagnostic {
            severity: self.complaint.severity(),
            code: self.complaint.code().into(),
            message: self.complaint.text().into(),
            line: (self.complaint != Complaint::SignalStatus).then_some(self.line),
            place: Place {
                line: self.from.line,
                column: u32::try_from(column + 1).unwrap_or(u32::MAX),
                start: self.from.at,
                end: self.to.max(self.from.at),
            },
            help: self.help,
        }
    }
}

/// A word of a file.
#[derive(Clone, Debug)]
pub struct Word {
    /// What it says.
    pub text: Vec<u8>,
    /// Where it begins.
    pub from: Cursor,
    /// Offset behind its last byte.
    pub to: usize,
}

impl Word {
    /// Returns what it says as a text that can be kept.
    pub fn into_text(self) -> Text {
        Text::from(self.text)
    }

    /// Returns what it says for a person.
    pub fn lossy(&self) -> String {
        String::from_utf8_lossy(&self.text).into_owned()
    }
}

/// What ends a token, and what becomes of its quotes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// A blank, a comment or the end of the line; quotes stay.
    Keyword,
    /// A blank, a comment or the end of the line; quotes go.
    Argument,
    /// As an argument, and parentheses too.
    Operand,
    /// A comment or the end of the line; quotes stay.
    Command,
}

impl Shape {
    fn ends(self, byte: u8) -> bool {
        match self {
            Shape::Keyword | Shape::Argument => is_blank(byte) || matches!(byte, b'#' | b'\n'),
            Shape::Operand => is_blank(byte) || matches!(byte, b'#' | b'\n' | b'(' | b')'),
            Shape::Command => matches!(byte, b'#' | b'\n'),
        }
    }

    fn dequotes(self) -> bool {
        match self {
            Shape::Keyword | Shape::Command => false,
            Shape::Argument | Shape::Operand => true,
        }
    }

    /// Returns what a byte is, given the escape and the quote it stands in.
    fn piece(self, byte: u8, escaped: bool, quote: Option<u8>) -> Piece {
        match (escaped, quote, byte) {
            (true, _, b'\n') | (false, Some(_), b'\n') => Piece::Fold,
            (true, _, _) => Piece::Plain,
            (false, _, b'\\') => Piece::Slash,
            (false, Some(open), _) if byte == open => Piece::Mark,
            (false, None, b'"' | b'\'') => Piece::Mark,
            (false, None, _) if self.ends(byte) => Piece::End,
            (false, _, _) if is_blank(byte) => Piece::Blank,
            (false, _, _) => Piece::Plain,
        }
    }
}

/// What a byte does within a token.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Piece {
    /// It ends the token.
    End,
    /// It is a backslash; the next byte decides.
    Slash,
    /// It is an end of line that becomes a blank.
    Fold,
    /// It is a blank that stays where something follows.
    Blank,
    /// It opens or closes a quote.
    Mark,
    /// It stands for itself.
    Plain,
}

/// Blanks and ends of lines that a token went over.
#[derive(Default)]
struct Passed {
    /// Where the blanks are.
    blanks: Range<usize>,
    /// Whether an end of line was among them: then all of it is one blank.
    folded: bool,
}

/// Reports whether the byte separates words within a line.
pub fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r')
}

/// Reads a file from front to back.
pub struct Reader<'a> {
    file: &'a [u8],
    cursor: Cursor,
    remarks: Vec<Fault>,
}

impl<'a> Reader<'a> {
    /// Returns a reader that stands at the beginning.
    pub fn new(file: &'a [u8]) -> Reader<'a> {
        Reader { file, cursor: Cursor { at: 0, line: 1, line_start: 0 }, remarks: Vec::new() }
    }

    /// Returns where it stands.
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// Goes back to where it stood.
    pub fn rewind(&mut self, cursor: Cursor) {
        self.cursor = cursor;
    }

    /// Reports whether everything is read.
    pub fn at_end(&self) -> bool {
        self.cursor.at >= self.file.len()
    }

    /// Notes what is worth saying but stops nobody; at most [`DIAGNOSTICS_MAX`] are kept.
    pub fn remark(&mut self, fault: Fault) {
        if self.remarks.len() < DIAGNOSTICS_MAX {
            self.remarks.push(fault);
        }
    }

    /// Hands over what was noted.
    pub fn take_remarks(&mut self) -> Vec<Fault> {
        mem::take(&mut self.remarks)
    }

    /// Returns a complaint about the place where it stands.
    pub fn fault_here(&self, complaint: Complaint) -> Fault {
        let word = Word { text: Vec::new(), from: self.cursor, to: self.cursor.at };
        Fault::at(complaint, &word)
    }

    /// Returns a complaint about the word that stands next, with what the original does not say.
    fn fault_next(&self, complaint: Complaint) -> Fault {
        let rest = self.file.get(self.cursor.at..).unwrap_or_default();
        let ends = |byte: &u8| is_blank(*byte) || matches!(byte, b'\n' | b'#');
        let length = rest.iter().position(ends).unwrap_or(rest.len());
        Fault { to: self.cursor.at + length, ..self.fault_here(complaint) }
    }

    /// Returns the next byte.
    pub fn peek(&self) -> Option<u8> {
        self.file.get(self.cursor.at).copied()
    }

    /// Steps over the next byte.
    pub fn step(&mut self) {
        if let Some(byte) = self.peek() {
            self.cursor.at += 1;
            if byte == b'\n' {
                self.cursor.line = self.cursor.line.saturating_add(1);
                self.cursor.line_start = self.cursor.at;
            }
        }
    }

    /// Steps over blanks and over ends of lines behind a backslash.
    pub fn skip_blanks(&mut self) {
        loop {
            match self.peek() {
                Some(byte) if is_blank(byte) => self.step(),
                Some(b'\\') if self.file.get(self.cursor.at + 1) == Some(&b'\n') => {
                    self.step();
                    self.step();
                }
                _ => return,
            }
        }
    }

    /// Steps over the rest of the line.
    pub fn skip_line(&mut self) {
        let rest = self.file.get(self.cursor.at..).unwrap_or_default();
        match rest.iter().position(|byte| *byte == b'\n') {
            Some(length) => {
                self.cursor.at += length;
                self.step();
            }
            None => self.cursor.at = self.file.len(),
        }
    }

    /// Reports whether the stanza goes on.
    pub fn has_token(&self) -> bool {
        !matches!(self.peek(), None | Some(b'#' | b'\n'))
    }

    /// Steps over a comment and the end of the line; anything else is a fault.
    pub fn end_of_line(&mut self) -> Result<(), Fault> {
        if self.has_token() {
            return Err(self.fault_next(Complaint::UnexpectedToken).help("the stanza ends here"));
        }
        self.skip_line();
        Ok(())
    }

    /// Reads a keyword: quotes stay, so that a quoted keyword is none.
    pub fn keyword(&mut self, wanted: &str) -> Result<Word, Fault> {
        self.wanted(Shape::Keyword, wanted)
    }

    /// Reads an argument, without its quotes; an empty one is none.
    pub fn argument(&mut self, wanted: &str) -> Result<Word, Fault> {
        self.wanted(Shape::Argument, wanted)
    }

    /// Reads a word of a condition, which parentheses end too. Also returns how it is written.
    pub fn operand(&mut self, wanted: &str) -> Result<(Word, &'a [u8]), Fault> {
        let word = self.wanted(Shape::Operand, wanted)?;
        let written = self.file.get(word.from.at..word.to).unwrap_or_default();
        Ok((word, written))
    }

    /// Reads a command line with its quotes, and the end of the line.
    pub fn command(&mut self) -> Result<Text, Fault> {
        let word = self.wanted(Shape::Command, "the command to run")?;
        self.end_of_line()?;
        Ok(word.into_text())
    }

    fn wanted(&mut self, shape: Shape, wanted: &str) -> Result<Word, Fault> {
        let missing = self.fault_here(Complaint::ExpectedToken);
        let word = self.token(shape)?;
        if word.text.is_empty() {
            let fault = Fault { line: self.cursor.line, to: word.to, ..missing };
            return Err(fault.help(match word.to > word.from.at {
                true => format!("an empty text is not possible here, expected {wanted}"),
                false => format!("expected {wanted}"),
            }));
        }
        if shape != Shape::Keyword && word.text.contains(&0) {
            let fault = Fault::at(Complaint::UnexpectedToken, &word);
            return Err(fault.help("there is a NUL byte in it"));
        }
        self.skip_blanks();
        Ok(word)
    }

    /// Reads up to what ends the shape. A run of blanks within quotes stays; the end of a line
    /// within quotes or behind a backslash becomes one blank, with the blanks around it. A
    /// backslash before a blank or a backslash makes it literal; before anything else it stays.
    fn token(&mut self, shape: Shape) -> Result<Word, Fault> {
        let from = self.cursor;
        let mut word = Word { text: Vec::new(), from, to: from.at };
        let mut slash: Option<Cursor> = None;
        let mut quote: Option<(u8, Cursor)> = None;
        // What was passed over and is written only where something follows.
        let mut passed = Passed { blanks: 0..0, folded: false };
        while let Some(byte) = self.peek() {
            let escape = slash.take();
            let piece = shape.piece(byte, escape.is_some(), quote.map(|(open, _)| open));
            match piece {
                Piece::End => break,
                Piece::Slash => slash = Some(self.cursor),
                Piece::Fold => passed.folded = true,
                Piece::Blank if passed.blanks.is_empty() => {
                    passed.blanks = self.cursor.at..self.cursor.at + 1;
                }
                Piece::Blank => passed.blanks.end += 1,
                Piece::Mark | Piece::Plain => {
                    let literal = is_blank(byte) || byte == b'\\';
                    let swallows = shape == Shape::Command && quote.is_none() && !literal;
                    self.write_passed(&mut word.text, mem::take(&mut passed), {
                        escape.filter(|_| swallows)
                    });
                    if escape.is_some() && !(shape.dequotes() && literal) {
                        word.text.push(b'\\');
                    }
                    if piece == Piece::Mark {
                        quote = quote.xor(Some((byte, self.cursor)));
                    }
                    if piece == Piece::Plain || !shape.dequotes() {
                        word.text.push(byte);
                    }
                    word.to = self.cursor.at + 1;
                }
            }
            self.step();
        }
        self.closed(slash, quote)?;
        self.comment_in_word(&word);
        Ok(word)
    }

    /// Writes what was passed over. `swallows` is a backslash, outside quotes in a command line,
    /// before what it does not escape: there the original copies as many bytes as there were
    /// blanks, but from one place too far, so the first blank goes and the backslash doubles.
    fn write_passed(&mut self, text: &mut Vec<u8>, passed: Passed, swallows: Option<Cursor>) {
        if passed.folded {
            text.push(b' ');
            return;
        }
        let mut range = passed.blanks;
        if let (Some(from), false) = (swallows, range.is_empty()) {
            range = range.start + 1..range.end + 1;
            let slash = Word { text: Vec::new(), from, to: from.at + 1 };
            let fault = Fault::at(Complaint::SwallowedBlank, &slash);
            self.remark(fault.help("quote the character instead"));
        }
        text.extend_from_slice(self.file.get(range).unwrap_or_default());
    }

    /// Fails where the file ended within the token; the line is the last one reached.
    fn closed(&self, slash: Option<Cursor>, quote: Option<(u8, Cursor)>) -> Result<(), Fault> {
        let line = self.cursor.line;
        if let Some(from) = slash {
            let fault =
                Fault { line, from, to: from.at + 1, ..self.fault_here(Complaint::TrailingSlash) };
            return Err(fault.help("a backslash continues the line, and there is none after it"));
        }
        if let Some((mark, from)) = quote {
            let fault = self.fault_here(Complaint::UnterminatedQuote);
            let help = format!("nothing closes this {}", char::from(mark));
            return Err(Fault { line, from, to: from.at + 1, ..fault }.help(help));
        }
        Ok(())
    }

    /// `a#b` is the word `a` and a comment, which few people mean.
    fn comment_in_word(&mut self, word: &Word) {
        let touches = word.to == self.cursor.at && word.to > word.from.at;
        if touches && self.peek() == Some(b'#') {
            let mark = Word { text: Vec::new(), from: self.cursor, to: self.cursor.at + 1 };
            let fault = Fault::at(Complaint::CommentInWord, &mark);
            self.remark(fault.help("quote the word, or put a blank before the `#`"));
        }
    }

    /// Reads the lines up to `end script`, without the blanks that all of them begin with. The
    /// reader stands behind `script`.
    pub fn script(&mut self) -> Result<Text, Fault> {
        let opened = self.cursor;
        self.end_of_line()?;
        let body = self.cursor;
        let mut common: Option<usize> = None;
        while !self.at_end() {
            let end = self.cursor;
            if self.ends_script() {
                let lines = self.file.get(body.at..end.at).unwrap_or_default();
                return self.dedented(lines, common.unwrap_or(0), body);
            }
            let rest = self.file.get(self.cursor.at..).unwrap_or_default();
            let first = self.file.get(body.at..).unwrap_or_default();
            common = Some(match common {
                None => rest.iter().take_while(|byte| is_blank(**byte)).count(),
                Some(common) => {
                    let pairs = rest.iter().zip(first).take(common);
                    pairs.take_while(|(one, other)| one == other).count()
                }
            });
            self.skip_line();
        }
        let fault = self.fault_here(Complaint::UnterminatedBlock);
        Err(Fault { from: opened, to: opened.at, ..fault }.help("a line `end script` is missing"))
    }

    fn dedented(&self, lines: &[u8], common: usize, body: Cursor) -> Result<Text, Fault> {
        if lines.contains(&0) {
            let word = Word { text: Vec::new(), from: body, to: body.at };
            let fault = Fault::at(Complaint::UnexpectedToken, &word);
            return Err(fault.help("the script has a NUL byte"));
        }
        if common == 0 {
            return Ok(Text::from(lines));
        }
        let mut text = Vec::with_capacity(lines.len());
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            text.extend_from_slice(line.get(common..).unwrap_or_default());
        }
        Ok(Text::from(text))
    }

    /// Steps over `end script`, a comment behind it and the end of the line, where that is next.
    fn ends_script(&mut self) -> bool {
        let back = self.cursor;
        self.skip_plain_blanks();
        let ended = self.skip_word(b"end") && self.skip_plain_blanks() && self.skip_word(b"script");
        self.skip_plain_blanks();
        if ended && self.end_of_line().is_ok() {
            return true;
        }
        self.cursor = back;
        false
    }

    fn skip_word(&mut self, word: &[u8]) -> bool {
        let rest = self.file.get(self.cursor.at..).unwrap_or_default();
        let found = rest.starts_with(word)
            && rest
                .get(word.len())
                .is_none_or(|byte| is_blank(*byte) || matches!(byte, b'#' | b'\n'));
        if found {
            self.cursor.at += word.len();
        }
        found
    }

    fn skip_plain_blanks(&mut self) -> bool {
        let from = self.cursor.at;
        while self.peek().is_some_and(is_blank) {
            self.cursor.at += 1;
        }
        self.cursor.at > from
    }

    /// Steps over everything.
    pub fn skip_all(&mut self) {
        while !self.at_end() {
            self.skip_line();
        }
    }

    /// Steps over the line it stands in and, where the line has the word `script`, the script. For
    /// going on behind a stanza that could not be read. Reports whether a script ended; none where
    /// the line heads no script.
    pub fn skip_script(&mut self) -> Option<bool> {
        let rest = self.file.get(self.cursor.line_start..).unwrap_or_default();
        let line = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let mut words = line.split(|byte| is_blank(*byte)).take_while(|word| *word != b"exec");
        let heads = words.any(|word| word == b"script") && !self.line_ends_script();
        self.skip_line();
        if !heads {
            return None;
        }
        let back = self.cursor;
        while !self.at_end() {
            if self.ends_script() {
                return Some(true);
            }
            self.skip_line();
        }
        self.cursor = back;
        Some(false)
    }

    fn line_ends_script(&mut self) -> bool {
        let back = self.cursor;
        self.cursor.at = self.cursor.line_start;
        let ends = self.ends_script();
        self.cursor = back;
        ends
    }
}
