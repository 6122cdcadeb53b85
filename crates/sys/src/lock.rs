//! A lock on a directory, so that two of us do not write to it. It is held as long as anybody has
//! the descriptor open, whoever dies meanwhile.

use engine::process::Pid;
use rustix::fs::{flock, open, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use std::os::fd::OwnedFd;
use std::path::Path;

/// Why a directory is not ours.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused {
    /// Somebody else has it; the process that took it, where it said so.
    Taken(Option<Pid>),
    /// The lock file cannot be made.
    Failed(Errno),
}

/// The longest number of a process, in bytes.
const DIGITS: usize = 16;

/// Takes the lock of a directory: a file in it, which says that `owner` has it.
pub fn take(directory: &Path, owner: Pid) -> Result<OwnedFd, Refused> {
    let file = directory.join(".upright.lock");
    // Only for reading: a file that is open for writing keeps its file system from becoming read-only,
    // which the root does while the lock is held, when a machine ends.
    let flags = OFlags::CREATE | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let mode = Mode::from_raw_mode(0o644);
    let fd = open(&file, flags, mode).map_err(Refused::Failed)?;
    match flock(&fd, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => {
            let mut said = [0; DIGITS];
            let read = rustix::io::pread(&fd, &mut said, 0).unwrap_or(0);
            let said = std::str::from_utf8(said.get(..read).unwrap_or(&[])).unwrap_or("");
            return Err(Refused::Taken(said.trim().parse().ok()));
        }
        Err(errno) => return Err(Refused::Failed(errno)),
    }
    // For people who look; nothing depends on it.
    let flags = OFlags::WRONLY | OFlags::TRUNC | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    if let Ok(writable) = open(&file, flags, Mode::empty()) {
        let _ = rustix::io::pwrite(writable, format!("{owner}\n").as_bytes(), 0);
    }
    Ok(fd)
}

/// Makes a lock file that nobody has made before, and takes it.
pub fn make(file: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDONLY | OFlags::CLOEXEC;
    let fd = open(file, flags, Mode::from_raw_mode(0o644))?;
    flock(&fd, FlockOperation::NonBlockingLockExclusive)?;
    Ok(fd)
}

/// Reports whether somebody has a lock file.
pub fn is_taken(file: &Path) -> bool {
    let Ok(fd) = open(file, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty())
    else {
        return false;
    };
    flock(&fd, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn a_directory_is_taken_once_and_free_again_when_the_last_copy_is_closed() {
        let directory = Scratch::directory("lock");
        let lock = take(&directory, 4711).unwrap();
        assert_eq!(take(&directory, 1).unwrap_err(), Refused::Taken(Some(4711)));
        let mode = rustix::fs::fcntl_getfl(&lock).unwrap() & OFlags::RWMODE;
        assert_eq!(mode, OFlags::RDONLY, "the file system can become read-only meanwhile");
        let copy = lock.try_clone().unwrap();
        drop(lock);
        assert_eq!(take(&directory, 1).unwrap_err(), Refused::Taken(Some(4711)));
        drop(copy);
        // A child that another test is just about to execute has a copy, too.
        while take(&directory, 1).is_err() {
            std::thread::yield_now();
        }
        std::fs::remove_dir_all(&directory).unwrap();
        assert_eq!(take(&directory, 1).unwrap_err(), Refused::Failed(Errno::NOENT));
    }
}
