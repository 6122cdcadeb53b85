//! Words of the keeper on its standard error: no memory is taken, nothing is waited for.

use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use std::fmt::{Arguments, Display, Formatter, Write};
use std::io::IsTerminal;
use std::os::fd::BorrowedFd;

/// How long a line is at most, its end included.
const LINE: usize = 512;

/// How much a pipe takes whole or not at all. Source: pipe(7), PIPE_BUF.
const TOGETHER: usize = 4096;

/// How many lines are written at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// One: a terminal has room for few bytes, and who writes more waits for it.
    Single,
    /// As many as a pipe takes whole.
    Together,
}

/// Returns the pace that our standard output and error allow.
pub fn pace() -> Pace {
    if rustix::stdio::stdout().is_terminal() || rustix::stdio::stderr().is_terminal() {
        Pace::Single
    } else {
        Pace::Together
    }
}

/// Where words go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Output,
    /// Standard error.
    Error,
}

/// Lines for one stream that are written at once.
pub struct Lines {
    to: Stream,
    pace: Pace,
    bytes: [u8; TOGETHER],
    length: usize,
}

impl Lines {
    /// Begins with none.
    pub fn new(to: Stream, pace: Pace) -> Lines {
        Lines { to, pace, bytes: [0; TOGETHER], length: 0 }
    }

    /// Adds a line, cut off after 511 bytes. Not one for another stream, and none where a line might
    /// not fit any more.
    pub fn add(&mut self, to: Stream, text: Arguments<'_>) -> bool {
        let alone = self.pace == Pace::Single && self.length > 0;
        let room = self.bytes.get_mut(self.length..self.length + LINE);
        let (Some(room), true) = (room, to == self.to && !alone) else { return false };
        self.length += fill(room, text);
        true
    }

    /// Writes them; dropped where that would have to wait.
    pub fn write(&self) {
        let to = match self.to {
            Stream::Output => rustix::stdio::stdout(),
            Stream::Error => rustix::stdio::stderr(),
        };
        write(to, self.bytes.get(..self.length).unwrap_or(&[]));
    }
}

/// A line in the making.
struct Line<'a> {
    room: &'a mut [u8],
    length: usize,
}

impl Write for Line<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let room = self.room.get_mut(self.length..).unwrap_or(&mut []);
        for (place, byte) in room.iter_mut().zip(text.as_bytes()) {
            *place = *byte;
        }
        self.length += text.len().min(room.len());
        Ok(())
    }
}

/// Writes a line and its end into the room; returns its length.
fn fill(room: &mut [u8], text: Arguments<'_>) -> usize {
    let last = room.len().saturating_sub(1);
    let mut line = Line { room, length: 0 };
    let _ = line.write_fmt(text);
    line.length = line.length.min(last);
    let _ = line.write_str("\n");
    line.length
}

/// Writes one line to standard error; cut off after 511 bytes, dropped where it would have to wait.
pub fn line(text: Arguments<'_>) {
    let mut room = [0; LINE];
    let length = fill(&mut room, text);
    write(rustix::stdio::stderr(), room.get(..length).unwrap_or(&[]));
}

/// Writes a whole text and a newline to standard output, however long that takes.
pub fn text(text: &str) {
    for piece in [text.as_bytes(), b"\n"] {
        let mut rest = piece;
        while !rest.is_empty() {
            match rustix::io::write(rustix::stdio::stdout(), rest) {
                Ok(written) => rest = rest.get(written..).unwrap_or(&[]),
                Err(Errno::INTR) => {}
                Err(_) => return,
            }
        }
    }
}

fn write(to: BorrowedFd<'_>, bytes: &[u8]) {
    let mut asked = [PollFd::new(&to, PollFlags::OUT)];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    let room = poll(&mut asked, Some(&at_once)).is_ok_and(|count| count > 0);
    if room && asked.iter().all(|fd| fd.revents().contains(PollFlags::OUT)) {
        let _ = rustix::io::write(to, bytes);
    }
}

/// Shows an error of the kernel's without taking memory, which `Errno` itself does.
pub struct Why(pub Errno);

impl Display for Why {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Errno::NOMEM => f.write_str("out of memory"),
            Errno::MFILE => f.write_str("the limit of open files is reached"),
            Errno::NFILE => f.write_str("the system's limit of open files is reached"),
            Errno::AGAIN => f.write_str("the limit of processes is reached"),
            Errno::PERM => f.write_str("operation not permitted"),
            Errno::ACCESS => f.write_str("permission denied"),
            Errno::NOENT => f.write_str("no such file or directory"),
            Errno::NOSYS => f.write_str("this kernel cannot do it"),
            errno => write!(f, "error {}", errno.raw_os_error()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_off_and_none_is_added_that_might_not_fit_or_goes_elsewhere() {
        let mut lines = Lines::new(Stream::Error, Pace::Together);
        let long = "x".repeat(2 * LINE);
        assert!(lines.add(Stream::Error, format_args!("short")));
        assert!(!lines.add(Stream::Output, format_args!("elsewhere")));
        while lines.add(Stream::Error, format_args!("{long}")) {}
        let text = std::str::from_utf8(&lines.bytes[..lines.length]).unwrap();
        let all: Vec<usize> = text.lines().map(str::len).collect();
        assert_eq!(all, [[5].as_slice(), &[LINE - 1; 7]].concat());
        assert!(text.ends_with('\n') && text.len() <= TOGETHER);
    }

    #[test]
    fn a_terminal_is_given_one_line_at_a_time() {
        let mut lines = Lines::new(Stream::Output, Pace::Single);
        assert!(lines.add(Stream::Output, format_args!("one")));
        assert!(!lines.add(Stream::Output, format_args!("two")));
    }
}
