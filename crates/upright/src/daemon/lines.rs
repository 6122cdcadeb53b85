//! Lines of the daemon's own on their way to the logger, through a pipe that the keeper holds.

use std::cell::Cell;
use std::os::fd::OwnedFd;
use sys::Errno;

/// The longest line, which is as much as a pipe takes whole or not at all. Source: pipe(7), PIPE_BUF.
const LINE_MAX: usize = 4096;

/// How much may be on its way: a line for each start of a thousand programs and one for each success.
/// Where the kernel allows less, its default.
const ROOM: usize = 1024 * 1024;

/// The writing end. It never waits: a line for which there is no room is counted, which is said later.
pub struct Lines {
    end: OwnedFd,
    missed: Cell<u64>,
}

impl Lines {
    /// Makes them of the writing end of a pipe.
    pub fn new(end: OwnedFd) -> Lines {
        // Refused, a full pipe would make the daemon wait; it is a pipe that we have made.
        let _ = sys::pipe::set_nonblocking(&end);
        Lines { end, missed: Cell::new(0) }
    }

    /// Returns how many were lost and not told yet.
    #[cfg(test)]
    pub fn missed(&self) -> u64 {
        self.missed.get()
    }

    /// Counts a line that is not written.
    pub fn miss(&self) {
        self.missed.set(self.missed.get().saturating_add(1));
    }

    /// Writes a line with its end; before it, where some were lost, the one that `told` makes of their
    /// number.
    pub fn write(&self, line: Vec<u8>, told: impl Fn(u64) -> Vec<u8>) {
        let missed = self.missed.get();
        if missed > 0 {
            if self.send(told(missed)).is_err() {
                return self.miss();
            }
            self.missed.set(0);
        }
        if self.send(line).is_err() {
            self.miss();
        }
    }

    fn send(&self, mut line: Vec<u8>) -> Result<(), Errno> {
        if line.len() > LINE_MAX {
            line.truncate(LINE_MAX - 1);
            line.push(b'\n');
        }
        match sys::pipe::write(&self.end, &line) {
            // The pipe grows when it is found full: most never are.
            Err(Errno::AGAIN) if self.grow() => sys::pipe::write(&self.end, &line).map(drop),
            written => written.map(drop),
        }
    }

    fn grow(&self) -> bool {
        let before = sys::pipe::capacity(&self.end).unwrap_or(ROOM);
        before < ROOM && sys::pipe::set_capacity(&self.end, ROOM).is_ok()
    }
}
