//! Our own standard output, written without ever waiting for whoever reads it.

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::SendFlags;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

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

/// Standard output.
pub struct Outlet {
    way: Way,
}

impl Outlet {
    /// Takes a look at descriptor 1. `Errno::BADF` where there is none.
    pub fn open() -> Result<Outlet, Errno> {
        let kind = FileType::from_raw_mode(rustix::fs::fstat(stdout())?.st_mode);
        let way = match kind {
            FileType::Socket => Way::Socket,
            FileType::RegularFile => Way::File,
            _ => {
                let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
                match rustix::fs::open("/proc/self/fd/1", flags, Mode::empty()) {
                    Ok(own) => Way::Own(own),
                    Err(_) => Way::Asked,
                }
            }
        };
        Ok(Outlet { way })
    }

    /// Returns the descriptor to watch for room; none where writing never waits.
    pub fn watched(&self) -> Option<BorrowedFd<'_>> {
        match &self.way {
            Way::Own(own) => Some(own.as_fd()),
            Way::Socket | Way::Asked => Some(stdout()),
            Way::File => None,
        }
    }

    /// Writes what there is room for. `Errno::AGAIN` where there is none.
    pub fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        loop {
            let written = match &self.way {
                Way::Own(own) => rustix::io::write(own, bytes),
                Way::Socket => {
                    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
                    rustix::net::send(stdout(), bytes, flags)
                }
                Way::File => rustix::io::write(stdout(), bytes),
                Way::Asked => asked(bytes),
            };
            match written {
                Err(Errno::INTR) => {}
                done => return done,
            }
        }
    }
}

fn asked(bytes: &[u8]) -> Result<usize, Errno> {
    use rustix::event::{poll, PollFd, PollFlags, Timespec};
    let out = stdout();
    let mut fds = [PollFd::new(&out, PollFlags::OUT)];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    if poll(&mut fds, Some(&at_once))? == 0 {
        return Err(Errno::AGAIN);
    }
    // A pipe that is ready takes PIPE_BUF bytes without waiting.
    rustix::io::write(out, &bytes[..bytes.len().min(4096)])
}

fn stdout() -> BorrowedFd<'static> {
    // SAFETY: descriptor 1 is repaired before anything is started and never closed after, and a
    // closed one would be an error of the call (EBADF), not of memory.
    unsafe { BorrowedFd::borrow_raw(1) }
}
