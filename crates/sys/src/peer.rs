//! Who is at the other end of a Unix socket, and who we are ourselves.

use engine::control::rights::Peer;
use rustix::io::Errno;
use rustix::net::sockopt::socket_peercred;
use std::os::fd::AsFd;

/// Returns who made the other end: of a connection that was accepted, the client; of one that was
/// made, who listens there.
pub fn of(socket: impl AsFd) -> Result<Peer, Errno> {
    let credentials = socket_peercred(socket)?;
    Ok(Peer {
        uid: credentials.uid.as_raw(),
        gid: credentials.gid.as_raw(),
        pid: credentials.pid.as_raw_nonzero().get(),
    })
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
