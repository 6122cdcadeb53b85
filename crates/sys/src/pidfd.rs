//! Processes of somebody else, named so that the number cannot become another's.

use crate::signals::last_error;
use engine::process::Pid;
use engine::signal::Signal;
use rustix::io::Errno;
use rustix::process::{pidfd_open, Pid as Number, PidfdFlags};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// Opens a process; readable once it has ended.
pub fn open(pid: Pid) -> Result<OwnedFd, Errno> {
    pidfd_open(Number::from_raw(pid).ok_or(Errno::SRCH)?, PidfdFlags::empty())
}

/// Sends a signal to a process, if it then still is the one that is meant: it is opened first, so that
/// its number cannot become another's meanwhile. Where a container's filter refuses that call, which
/// needs no right, the number itself has to do.
pub fn signal(pid: Pid, signal: Signal, is_meant: impl Fn() -> bool) -> Result<(), Errno> {
    match open(pid) {
        Ok(opened) if is_meant() => match send(&opened, signal) {
            Err(Errno::NOSYS | Errno::PERM) => crate::signals::send(pid, signal),
            sent => sent,
        },
        Err(Errno::NOSYS | Errno::PERM) if is_meant() => crate::signals::send(pid, signal),
        Ok(_) => Err(Errno::SRCH),
        Err(errno) => Err(errno),
    }
}

/// Sends a signal to the process.
pub fn send(pidfd: impl AsFd, signal: Signal) -> Result<(), Errno> {
    let (fd, number) = (pidfd.as_fd().as_raw_fd(), i32::from(signal.number()));
    // SAFETY: plain numbers, and no further particulars of the signal.
    match unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, number, 0usize, 0usize) } {
        0 => Ok(()),
        _ => Err(last_error()),
    }
}
