//! Pipes as the logger uses them: bytes are moved or looked at, hardly ever copied.

use engine::process::{Pid, Stream};
use rustix::buffer::spare_capacity;
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::pipe::{self, PipeFlags, SpliceFlags};
use std::os::fd::{AsFd, OwnedFd};

/// Moves at most `length` bytes from a pipe to `offset` of a file, without waiting for the pipe.
///
/// What the file got is exactly what the pipe lost, also when the caller is killed meanwhile. Zero:
/// the pipe is empty and nobody can write to it any more; `Errno::AGAIN`: it is empty.
pub fn to_file(
    pipe: impl AsFd,
    file: impl AsFd,
    offset: u64,
    length: usize,
) -> Result<usize, Errno> {
    let mut at = offset;
    let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
    again(|| pipe::splice(&pipe, None, &file, Some(&mut at), length, flags))
}

/// Reads into a buffer; zero is the end.
pub fn read(from: impl AsFd, buffer: &mut [u8]) -> Result<usize, Errno> {
    again(|| rustix::io::read(&from, &mut *buffer))
}

/// Writes as much of a buffer as there is room for; returns how much that was.
pub fn write(to: impl AsFd, buffer: &[u8]) -> Result<usize, Errno> {
    again(|| rustix::io::write(&to, buffer))
}

/// Returns how many bytes could be read at once.
pub fn readable(from: impl AsFd) -> Result<usize, Errno> {
    rustix::io::ioctl_fionread(from).map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX))
}

/// Returns how many bytes a pipe holds at most.
pub fn capacity(pipe: impl AsFd) -> Result<usize, Errno> {
    pipe::fcntl_getpipe_size(pipe)
}

/// Changes how many bytes a pipe holds at most and returns what it became. `Errno::PERM` beyond
/// /proc/sys/fs/pipe-max-size or the user's share, `Errno::BUSY` where it holds more now.
pub fn set_capacity(pipe: impl AsFd, bytes: usize) -> Result<usize, Errno> {
    pipe::fcntl_setpipe_size(pipe, bytes)
}

/// Makes a pipe, close-on-exec: the end to read and the end to write.
pub fn new() -> Result<(OwnedFd, OwnedFd), Errno> {
    pipe::pipe_with(PipeFlags::CLOEXEC)
}

/// Opens the reading end of the pipe that a process has as this output, where nobody has that
/// end any more. Nothing where there is no such pipe, or it is not ours to open.
pub fn unread(pid: Pid, stream: Stream) -> Option<OwnedFd> {
    let own = format!("/proc/{pid}/fd/{}", 1 + stream.code());
    let open = |access: OFlags| {
        rustix::fs::open(&own, access | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty()).ok()
    };
    let stat = rustix::fs::stat(&own).ok()?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Fifo {
        return None;
    }
    let write = open(OFlags::WRONLY)?;
    let mut asked = [PollFd::new(&write, PollFlags::OUT)];
    poll(&mut asked, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).ok()?;
    let [asked] = asked;
    asked.revents().contains(PollFlags::ERR).then(|| open(OFlags::RDONLY)).flatten()
}

/// Makes reads and writes of this open file, whoever else shares it, return `Errno::AGAIN` instead
/// of waiting.
pub fn set_nonblocking(fd: impl AsFd) -> Result<(), Errno> {
    let flags = rustix::fs::fcntl_getfl(&fd)?;
    rustix::fs::fcntl_setfl(&fd, flags | rustix::fs::OFlags::NONBLOCK)
}

/// A private pipe to look at what is in another one without taking it.
pub struct Peek {
    reader: OwnedFd,
    writer: OwnedFd,
}

/// How many bytes one look shows at most.
pub const PEEK_MAX: usize = 64 * 1024;

impl Peek {
    /// Makes the private pipe, four times as large as one look where that is allowed, because a
    /// look takes one place per piece and pieces are often smaller than a page.
    pub fn new() -> Result<Peek, Errno> {
        let (reader, writer) = pipe::pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        // Refused, a look shows less.
        let _ = pipe::fcntl_setpipe_size(&writer, 4 * PEEK_MAX);
        Ok(Peek { reader, writer })
    }

    /// Copies the first bytes of `pipe`, at most `length` and [`PEEK_MAX`], into `seen`, in place of
    /// what it held; there may be more of them than shown. `Errno::AGAIN`: the pipe is empty. Nothing
    /// shown: it is empty and nobody can write to it any more.
    pub fn look(&self, pipe: impl AsFd, length: usize, seen: &mut Vec<u8>) -> Result<(), Errno> {
        seen.clear();
        let length = length.min(PEEK_MAX);
        seen.reserve(length);
        let flags = SpliceFlags::NONBLOCK;
        let copied = again(|| pipe::tee(&pipe, &self.writer, length, flags))?;
        while seen.len() < copied {
            match rustix::io::read(&self.reader, spare_capacity(seen)) {
                Ok(0) => return Err(Errno::PIPE),
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }

    /// Takes at most `length` bytes out of `pipe` without waiting for them, and returns how many.
    ///
    /// Through the private pipe, so that no /dev/null is needed (there may be none) and a pipe that
    /// somebody else empties meanwhile is not waited for.
    pub fn take_out(&self, pipe: impl AsFd, length: usize) -> Result<usize, Errno> {
        let (mut taken, mut bytes) = (0, [0; 4096]);
        while taken < length {
            let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
            let part = length - taken;
            match again(|| pipe::splice(&pipe, None, &self.writer, None, part, flags)) {
                Ok(0) | Err(Errno::AGAIN) => break,
                Ok(moved) => taken += moved,
                Err(errno) => return Err(errno),
            }
            while again(|| rustix::io::read(&self.reader, &mut bytes)).is_ok_and(|read| read > 0) {}
        }
        Ok(taken)
    }
}

fn again<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::last::last;

    #[test]
    fn a_look_takes_nothing() {
        let (reader, writer) = new().unwrap();
        let (peek, mut seen) = (Peek::new().unwrap(), Vec::new());
        assert_eq!(peek.look(&reader, 10, &mut seen), Err(Errno::AGAIN));
        rustix::io::write(&writer, b"hello").unwrap();
        for _ in 0..2 {
            peek.look(&reader, 4, &mut seen).unwrap();
            assert_eq!(seen, b"hell");
        }
        assert_eq!(readable(&reader), Ok(5));
        let mut buffer = [0; 9];
        assert_eq!(read(&reader, &mut buffer), Ok(5));
        drop(writer);
        assert_eq!(last(|| peek.look(&reader, 4, &mut seen)), Ok(()));
        assert!(seen.is_empty(), "the end shows nothing");
    }

    #[test]
    fn what_is_taken_out_is_gone_and_nothing_else() {
        let (reader, writer) = new().unwrap();
        let peek = Peek::new().unwrap();
        assert_eq!(peek.take_out(&reader, 10), Ok(0), "an empty pipe is not waited for");
        rustix::io::write(&writer, &[b'x'; 50_000]).unwrap();
        rustix::io::write(&writer, b"rest").unwrap();
        assert_eq!(peek.take_out(&reader, 50_000), Ok(50_000));
        let mut seen = Vec::new();
        peek.look(&reader, 10, &mut seen).unwrap();
        assert_eq!(seen, b"rest");
    }

    #[test]
    fn a_pipe_moves_to_the_offset_that_was_given() {
        let (reader, writer) = new().unwrap();
        let file = rustix::fs::memfd_create("log", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        rustix::io::write(&writer, b"hello").unwrap();
        assert_eq!(to_file(&reader, &file, 2, 4), Ok(4));
        assert_eq!(readable(&reader), Ok(1));
        assert_eq!(rustix::fs::fstat(&file).unwrap().st_size, 6);
        assert_eq!(to_file(&reader, &file, 6, 4), Ok(1));
        assert_eq!(to_file(&reader, &file, 7, 4), Err(Errno::AGAIN));
        drop(writer);
        assert_eq!(last(|| to_file(&reader, &file, 7, 4)), Ok(0));
    }
}
