//! Who is at the other end of a Unix socket, and who we are ourselves.

use crate::signals::last_error;
use engine::control::rights::Peer;
use rustix::io::Errno;
use std::os::fd::{AsFd, AsRawFd};

/// Returns who made the other end, as the kernel vouches for it: of a connection that was accepted,
/// the client; of one that was made, who listens there. The process is 0 where it is in a pid
/// namespace that we do not see, the user 65534 where our user namespace does not know it.
pub fn of(socket: impl AsFd) -> Result<Peer, Errno> {
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

/// Returns the user this process runs as (the real one: whoever asked for it).
pub fn own_uid() -> u32 {
    rustix::process::getuid().as_raw()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_other_end_of_our_own_pair_is_us() {
        let (a, _b) = std::os::unix::net::UnixStream::pair().unwrap();
        let peer = of(&a).unwrap();
        assert_eq!(peer.uid, own_uid());
        assert_eq!(peer.pid, std::process::id() as i32);
    }
}
