//! Our own standard output and error, written without ever waiting for whoever reads it.

use engine::process::Stream;
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::SendFlags;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// How bytes get out without waiting.
enum Way {
    /// An open file of our own, so that others that share the descriptor are not disturbed by
    /// O_NONBLOCK (a shell's terminal would be).
    Own(OwnedFd),
    /// A socket: each call says that it will not wait.
    Socket,
    /// A regular file: never waits.
    File,
    /// It could not be opened again: asked for room before each small write.
    Asked,
}

/// Standard output or error.
pub struct Outlet {
    stream: Stream,
    way: Way,
}

impl Outlet {
    /// Takes a look at its descriptor. `Errno::BADF` where there is none.
    pub fn open(stream: Stream) -> Result<Outlet, Errno> {
        let out = own(stream);
        let kind = FileType::from_raw_mode(rustix::fs::fstat(out)?.st_mode);
        let way = match kind {
            FileType::Socket => Way::Socket,
            FileType::RegularFile => Way::File,
            _ => {
                let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
                match rustix::fs::open(
                    format!("/proc/self/fd/{}", out.as_raw_fd()),
                    flags,
                    Mode::empty(),
                ) {
                    Ok(own) => Way::Own(own),
                    Err(_) => Way::Asked,
                }
            }
        };
        Ok(Outlet { stream, way })
    }

    /// Returns the descriptor to watch for room; none where writing never waits.
    pub fn watched(&self) -> Option<BorrowedFd<'_>> {
        match &self.way {
            Way::Own(own) => Some(own.as_fd()),
            Way::Socket | Way::Asked => Some(own(self.stream)),
            Way::File => None,
        }
    }

    /// Writes what there is room for. `Errno::AGAIN` where there is none.
    pub fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        let out = own(self.stream);
        loop {
            let written = match &self.way {
                Way::Own(own) => rustix::io::write(own, bytes),
                Way::Socket => {
                    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
                    rustix::net::send(out, bytes, flags)
                }
                Way::File => rustix::io::write(out, bytes),
                Way::Asked => asked(out, bytes),
            };
            match written {
                Err(Errno::INTR) => {}
                done => return done,
            }
        }
    }
}

fn asked(out: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize, Errno> {
    use rustix::event::{poll, PollFd, PollFlags, Timespec};
    let mut fds = [PollFd::new(&out, PollFlags::OUT)];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    if poll(&mut fds, Some(&at_once))? == 0 {
        return Err(Errno::AGAIN);
    }
    // A pipe that is ready takes PIPE_BUF bytes without waiting.
    rustix::io::write(out, &bytes[..bytes.len().min(4096)])
}

fn own(stream: Stream) -> BorrowedFd<'static> {
    // SAFETY: descriptors 1 and 2 are repaired before anything is started and never closed after, and a
    // closed one would be an error of the call (EBADF), not of memory.
    unsafe { BorrowedFd::borrow_raw(1 + RawFd::from(stream.code())) }
}
