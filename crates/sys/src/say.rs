//! Words of the keeper on its standard error: no memory is taken, nothing is waited for.

use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use std::fmt::{Arguments, Display, Formatter, Write};
use std::os::fd::BorrowedFd;

/// A line that fits into one page of a pipe.
struct Line {
    bytes: [u8; 512],
    length: usize,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let room = self.bytes.get_mut(self.length..).unwrap_or(&mut []);
        for (place, byte) in room.iter_mut().zip(text.as_bytes()) {
            *place = *byte;
        }
        self.length += text.len().min(room.len());
        Ok(())
    }
}

/// Writes one line to standard error; cut off after 510 bytes, dropped where it would have to wait.
pub fn line(text: Arguments<'_>) {
    write_line(rustix::stdio::stderr(), text);
}

/// Writes one line to standard output; cut off and dropped as [`line`].
pub fn out(text: Arguments<'_>) {
    write_line(rustix::stdio::stdout(), text);
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

fn write_line(to: BorrowedFd<'_>, text: Arguments<'_>) {
    let mut line = Line { bytes: [0; 512], length: 0 };
    let _ = line.write_fmt(text);
    line.length = line.length.min(line.bytes.len() - 1);
    let _ = line.write_str("\n");
    let mut asked = [PollFd::new(&to, PollFlags::OUT)];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    let room = poll(&mut asked, Some(&at_once)).is_ok_and(|count| count > 0);
    if room && asked.iter().all(|fd| fd.revents().contains(PollFlags::OUT)) {
        let _ = rustix::io::write(to, line.bytes.get(..line.length).unwrap_or(&[]));
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
