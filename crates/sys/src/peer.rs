//! Who is at the other end of a Unix socket.

use crate::signals::last_error;
use engine::process::Pid;
use rustix::io::Errno;
use std::os::fd::{AsFd, AsRawFd};

/// The credentials that the other side had when it connected or listened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its process; 0 where it is in a pid namespace that we do not see.
    pub pid: Pid,
    /// Its user; 65534 where our user namespace does not know it.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
}

/// Returns the other side's credentials, as the kernel vouches for them.
pub fn credentials(socket: impl AsFd) -> Result<Peer, Errno> {
    let socket = socket.as_fd().as_raw_fd();
    let mut told = libc::ucred { pid: 0, uid: u32::MAX, gid: u32::MAX };
    let mut length = size_of::<libc::ucred>() as libc::socklen_t;
    let (level, name) = (libc::SOL_SOCKET, libc::SO_PEERCRED);
    // Not rustix: its process number cannot be the 0 of a peer in another pid namespace.
    // SAFETY: the kernel writes at most `length` bytes to a structure of that size.
    let returned =
        unsafe { libc::getsockopt(socket, level, name, (&raw mut told).cast(), &raw mut length) };
    match returned {
        0 => Ok(Peer { pid: told.pid, uid: told.uid, gid: told.gid }),
        _ => Err(last_error()),
    }
}
