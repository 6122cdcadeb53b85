//! Waiting for one of a few descriptors: for clients, which have no loop of their own.

use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use std::os::fd::BorrowedFd;
use std::time::Duration;

/// What is waited for.
#[derive(Clone, Copy, Debug)]
pub enum Want<'a> {
    /// That reading does not block: there is something, or the end.
    Read(BorrowedFd<'a>),
    /// That writing a little (PIPE_BUF, 4096 bytes) does not block.
    Write(BorrowedFd<'a>),
}

/// Waits until one of them has come, or for that long; says of each whether it has.
pub fn wait(wants: &[Want<'_>], timeout: Option<Duration>) -> Result<Vec<bool>, Errno> {
    let mut fds: Vec<PollFd<'_>> = wants
        .iter()
        .map(|want| match want {
            Want::Read(fd) => PollFd::from_borrowed_fd(*fd, PollFlags::IN),
            Want::Write(fd) => PollFd::from_borrowed_fd(*fd, PollFlags::OUT),
        })
        .collect();
    let timeout = timeout.map(|span| Timespec {
        tv_sec: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: span.subsec_nanos().into(),
    });
    loop {
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) => return Ok(fds.iter().map(|fd| !fd.revents().is_empty()).collect()),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::fd::AsFd;

    #[test]
    fn it_says_which_one_is_ready() {
        let (read, mut write) = std::io::pipe().unwrap();
        let none = [Want::Read(read.as_fd()), Want::Write(write.as_fd())];
        assert_eq!(wait(&none, None).unwrap(), [false, true]);
        let never = [Want::Read(read.as_fd())];
        assert_eq!(wait(&never, Some(Duration::from_millis(1))).unwrap(), [false]);
        write.write_all(b"x").unwrap();
        assert_eq!(wait(&never, None).unwrap(), [true]);
    }
}
