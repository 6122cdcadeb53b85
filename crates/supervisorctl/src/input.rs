//! Standard input, line by line, without reading ahead of what is asked for.

use crate::failure::Outcome;
use crate::watch::Watch;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use sys::ready::Want;

/// The longest line.
const LINE_MAX: usize = 1024 * 1024;

/// Standard input.
pub struct Input {
    file: File,
    held: Vec<u8>,
    ended: bool,
}

impl Input {
    /// Takes standard input.
    pub fn new() -> io::Result<Input> {
        let file = File::from(io::stdin().as_fd().try_clone_to_owned()?);
        Ok(Input { file, held: Vec::new(), ended: false })
    }

    /// Waits for a line; returns it without its end, or nothing where no more will come.
    pub fn line(&mut self, watch: &Watch) -> Outcome<Option<String>> {
        loop {
            if let Some(line) = self.take() {
                return Ok(Some(line));
            }
            if self.ended {
                return Ok(None);
            }
            watch.wait(&[Want::Read(self.file.as_fd())])?;
            self.read()?;
        }
    }

    /// Reads what is there; waits if nothing is.
    pub fn read(&mut self) -> Outcome<()> {
        let mut bytes = [0; 4096];
        match self.file.read(&mut bytes) {
            Ok(0) => self.ended = true,
            Ok(length) => self.held.extend(bytes.iter().take(length)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Returns the next line that has come, the last one even where its end has not.
    pub fn take(&mut self) -> Option<String> {
        let end = self.held.iter().position(|byte| *byte == b'\n');
        let whole = self.ended || self.held.len() > LINE_MAX;
        let end = match end {
            Some(end) => end + 1,
            None if whole && !self.held.is_empty() => self.held.len(),
            None => return None,
        };
        let line: Vec<u8> = self.held.drain(..end).collect();
        let line = line.strip_suffix(b"\n").unwrap_or(&line);
        Some(String::from_utf8_lossy(line).into_owned())
    }

    /// Reports whether no line is left and none will come.
    pub fn is_over(&self) -> bool {
        self.ended && self.held.is_empty()
    }
}

impl AsFd for Input {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
