//! A log file: opened when there is something to write, looked at before every write, rotated.

use super::cut::{cut, Cut, End};
use super::rotation;
use engine::logroute::LogFile;
use engine::time::{Mono, Span};
use std::os::fd::{BorrowedFd, OwnedFd};
use sys::pipe::{self, Peek, PEEK_MAX};
use sys::{logfile, Errno};

/// How long after a rotation that was refused the next one is tried; the file grows meanwhile.
const ROTATE_AGAIN: Span = Span::secs(1);

/// A log file that pipes are written to.
pub struct Destination {
    /// What the newest route says of it.
    pub file: LogFile,
    /// The pipes that are written to it, by number.
    pub sources: Vec<u32>,
    /// Why it cannot be written now.
    pub fault: Option<Box<Fault>>,
    /// Whether it was written since the clock hand last passed (see `Logger::close_some`).
    pub used: bool,
    open: Option<Open>,
    rotate_at: Mono,
    told: Told,
}

/// Why a file cannot be written, and what that has cost.
#[derive(Debug)]
pub struct Fault {
    /// What the kernel said.
    pub errno: Errno,
    /// Bytes dropped since.
    pub dropped: u64,
}

struct Open {
    fd: OwnedFd,
    device: u64,
    inode: u64,
}

/// What was said on standard error already: each once as long as the file is known.
#[derive(Default)]
struct Told {
    owner: bool,
    rotation: bool,
}

/// Bytes that were moved into a file.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    /// How many; none: the pipe is at its end.
    pub length: usize,
    /// Where they begin.
    pub at: u64,
    /// The device of the file.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
}

impl Destination {
    /// Makes a destination that is not open yet.
    pub fn new(file: LogFile) -> Destination {
        Destination {
            file,
            sources: Vec::new(),
            fault: None,
            used: false,
            open: None,
            rotate_at: Mono(0),
            told: Told::default(),
        }
    }

    /// Reports whether it takes a descriptor.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Closes it; the next write opens what has its name then.
    pub fn close(&mut self) {
        self.open = None;
    }

    /// Moves at most `length` bytes from a pipe to the end of the file, rotating it where it is full.
    ///
    /// `Errno::AGAIN`: the pipe is empty. Any other error is the file's.
    pub fn take(
        &mut self,
        from: BorrowedFd<'_>,
        length: usize,
        look: &mut Look,
        now: Mono,
    ) -> Result<Taken, Errno> {
        let mut at = self.prepare()?;
        let length = match self.step(at, from, length, look, now)? {
            Cut::Move(length) => length,
            Cut::Rotate => {
                self.rotate(now);
                at = self.prepare()?;
                match self.step(at, from, length, look, now)? {
                    Cut::Move(length) => length,
                    // The new file is full already: somebody else fills it. One more time round.
                    Cut::Rotate => return Err(Errno::AGAIN),
                }
            }
        };
        let open = self.open.as_ref().ok_or(Errno::NOENT)?;
        let moved = match pipe::to_file(from, &open.fd, at, length) {
            // A file system that cannot be spliced to.
            Err(Errno::INVAL) => look.copy(from, &open.fd, at, length)?,
            moved => moved?,
        };
        Ok(Taken { length: moved, at, device: open.device, inode: open.inode })
    }

    /// Writes bytes to the end of the file; all of them, or an error and how many were written.
    pub fn append(&mut self, bytes: &[u8]) -> Result<Taken, (Errno, usize)> {
        let mut written = 0;
        let mut first = None;
        while written < bytes.len() {
            let at = self.prepare().map_err(|errno| (errno, written))?;
            let open = self.open.as_ref().ok_or((Errno::NOENT, written))?;
            let rest = bytes.get(written..).unwrap_or_default();
            match logfile::write_at(&open.fd, rest, at) {
                Ok(0) => return Err((Errno::NOSPC, written)),
                Ok(length) => written += length,
                Err(errno) => return Err((errno, written)),
            }
            first.get_or_insert((at, open.device, open.inode));
        }
        let (at, device, inode) = first.unwrap_or_default();
        Ok(Taken { length: written, at, device, inode })
    }

    /// Rotates the file where it is full, for bytes that do not come from a pipe.
    pub fn rotate_if_full(&mut self, now: Mono) -> Result<(), Errno> {
        let size = self.prepare()?;
        if self.limit(now).is_some_and(|limit| size >= limit) {
            self.rotate(now);
        }
        Ok(())
    }

    /// Opens the file unless what is open still has its name, and returns its size.
    pub fn prepare(&mut self) -> Result<u64, Errno> {
        self.used = true;
        if let Some(open) = &self.open {
            match logfile::state_of(self.file.path.bytes()) {
                Ok(now) if now.inode == open.inode && now.device == open.device => {
                    return Ok(now.size);
                }
                // Renamed or deleted.
                Ok(_) | Err(_) => self.open = None,
            }
        }
        let LogFile { path, mode, uid, gid, .. } = &self.file;
        let rights = logfile::Rights { mode: *mode, uid: *uid, gid: *gid };
        let opened = logfile::open(path.bytes(), rights)?;
        if let (Some(errno), false) = (opened.owner_refused, self.told.owner) {
            self.told.owner = true;
            self.say("cannot be given to its owner", errno, "it stays with the logger's");
        }
        let state = opened.state;
        self.open = Some(Open { fd: opened.file, device: state.device, inode: state.inode });
        Ok(state.size)
    }

    /// Reports whether the file ends with an unfinished line.
    pub fn line_is_open(&mut self) -> bool {
        match self.prepare() {
            Ok(size) => size > 0 && self.end(size) == End::Open,
            Err(_) => false,
        }
    }

    /// Returns how the file ends.
    fn end(&self, size: u64) -> End {
        let mut last = [0];
        if size > 0 {
            if let Ok((file, _)) = logfile::open_to_read(self.file.path.bytes()) {
                if logfile::read_at(file, &mut last, size - 1).is_ok() && last == *b"\n" {
                    return End::Line;
                }
            }
        }
        End::Open
    }

    /// Says on standard error what happened to the file.
    pub fn say(&self, what: &str, errno: Errno, so: &str) {
        super::say(&format!("log {}: {what}: {}; {so}", self.file.path, super::words(errno)));
    }

    fn limit(&self, now: Mono) -> Option<u64> {
        (self.file.rotate_size > 0 && now >= self.rotate_at).then_some(self.file.rotate_size)
    }

    /// Decides how many of the pipe's bytes go into this file next.
    fn step(
        &self,
        size: u64,
        from: BorrowedFd<'_>,
        length: usize,
        look: &mut Look,
        now: Mono,
    ) -> Result<Cut, Errno> {
        let Some(limit) = self.limit(now) else { return Ok(Cut::Move(length)) };
        let room = usize::try_from(limit.saturating_sub(size)).unwrap_or(usize::MAX);
        if room >= length {
            return Ok(Cut::Move(length));
        }
        let there = pipe::readable(from)?.min(length);
        if there <= room {
            return Ok(Cut::Move(there.max(1)));
        }
        if room > PEEK_MAX {
            return Ok(Cut::Move(room - PEEK_MAX));
        }
        look.peek.look(from, length, &mut look.seen)?;
        Ok(cut(size, limit, &look.seen, self.end(size)))
    }

    fn rotate(&mut self, now: Mono) {
        let path = self.file.path.bytes();
        let done = match (self.file.rotate_count, &self.open) {
            (0, Some(open)) => logfile::empty(&open.fd),
            (0, None) => Ok(()),
            (count, _) => rotation::shift(path, count),
        };
        match done {
            Ok(()) if self.file.rotate_count == 0 => {}
            Ok(()) => self.open = None,
            Err(errno) => {
                self.rotate_at = now + ROTATE_AGAIN;
                if !self.told.rotation {
                    self.told.rotation = true;
                    self.say("cannot be rotated", errno, "it grows until it can");
                }
            }
        }
    }
}

/// What is needed to look at bytes before they are moved; one for all pipes.
pub struct Look {
    /// The private pipe.
    pub peek: Peek,
    /// What was seen last.
    pub seen: Vec<u8>,
}

impl Look {
    /// Copies bytes where they cannot be moved: written first, taken after, so that nothing is lost
    /// and at most one look is repeated after a kill.
    fn copy(
        &mut self,
        from: BorrowedFd<'_>,
        to: &OwnedFd,
        at: u64,
        length: usize,
    ) -> Result<usize, Errno> {
        self.peek.look(from, length, &mut self.seen)?;
        let written = logfile::write_at(to, &self.seen, at)?;
        self.peek.take_out(from, written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;
    use std::io::Write;
    use std::os::fd::AsFd;

    #[test]
    fn what_cannot_be_moved_is_copied() {
        let (reader, writer) = pipe::new().unwrap();
        let (back, file) = pipe::new().unwrap();
        drop(back);
        let mut look = Look { peek: Peek::new().unwrap(), seen: Vec::new() };
        std::fs::File::from(writer).write_all(b"hello").unwrap();
        assert_eq!(look.copy(reader.as_fd(), &file, 0, 4), Err(Errno::SPIPE));
        assert_eq!(pipe::readable(&reader), Ok(5), "nothing is taken that was not written");
        let path = Scratch::path("copy");
        let file = OwnedFd::from(std::fs::File::create(&path).unwrap());
        assert_eq!(look.copy(reader.as_fd(), &file, 2, 4), Ok(4));
        assert_eq!(std::fs::read(&path).unwrap(), b"\0\0hell");
        assert_eq!(pipe::readable(&reader), Ok(1));
    }
}
