//! What a process of ours does first: take what it was given, settle what it inherited.

use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU64, Ordering};

static TAKEN: AtomicU64 = AtomicU64::new(0);

/// Takes a descriptor, 3 to 63, that the process was started with, and makes it close-on-exec.
/// Nothing where it is not open or was taken before.
pub fn take_descriptor(number: u8) -> Option<OwnedFd> {
    if !(3..64).contains(&number) {
        return None;
    }
    let raw = RawFd::from(number);
    // SAFETY: only looked at by a call that reports a closed one as an error.
    let there = unsafe { BorrowedFd::borrow_raw(raw) };
    rustix::io::fcntl_getfd(there).ok()?;
    if TAKEN.fetch_or(1 << number, Ordering::Relaxed) & (1 << number) != 0 {
        return None;
    }
    rustix::io::fcntl_setfd(there, rustix::io::FdFlags::CLOEXEC).ok()?;
    // SAFETY: it is open, and given away at most once (TAKEN). It came with the start, so nobody
    // else in this process owns it.
    Some(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// Makes writes to a closed pipe and beyond a file size limit return errors instead of ending the
/// process.
pub fn ignore_write_signals() {
    for signal in [libc::SIGPIPE, libc::SIGXFSZ] {
        // SAFETY: ignoring a signal installs no code of ours.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}

/// Sets the file creation mask, so that modes are exactly as asked for.
pub fn clear_umask() {
    rustix::process::umask(rustix::fs::Mode::empty());
}

/// Raises the number of descriptors to what is allowed, and returns how many there may be then. Refused,
/// there may be as many as before.
pub fn raise_descriptor_limit() -> u64 {
    use rustix::process::{getrlimit, setrlimit, Resource, Rlimit};
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let _ =
            setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    }
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}
