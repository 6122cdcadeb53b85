//! Who is at the other end of a Unix socket, and who we are ourselves.

use crate::signals::last_error;
use engine::control::rights::Peer;
use rustix::io::Errno;
use rustix::net::{
    recv, recvmsg, sendmsg, socket_with, AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage,
    RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags,
    SocketType,
};
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// How many descriptors are written at once at most.
const FDS_MAX: usize = 4;

/// How many groups of a peer are counted at once, and at most. Source: NGROUPS_MAX.
const GROUPS_ROOM: usize = 64;
const GROUPS_MAX: usize = 65_536;

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
        0 => {
            let groups = groups(socket);
            Ok(Peer { pid: told.pid, uid: told.uid, gid: told.gid, groups })
        }
        _ => Err(last_error()),
    }
}

/// Returns the other groups of who made the other end; none before Linux 4.13.
fn groups(socket: std::os::fd::RawFd) -> Vec<u32> {
    let mut room = vec![0_u32; GROUPS_ROOM];
    loop {
        let mut length = size_of_val(&room[..]) as libc::socklen_t;
        let (level, name) = (libc::SOL_SOCKET, libc::SO_PEERGROUPS);
        let at = room.as_mut_ptr().cast();
        // SAFETY: the kernel writes at most `length` bytes to a list of that size.
        let returned = unsafe { libc::getsockopt(socket, level, name, at, &raw mut length) };
        let count = length as usize / size_of::<u32>();
        match returned {
            0 => {
                room.truncate(count);
                room.shrink_to_fit();
                return room;
            }
            // So many there are.
            _ if last_error() == Errno::RANGE && (room.len()..=GROUPS_MAX).contains(&count) => {
                room.resize(count.max(room.len() + 1), 0);
            }
            _ => return Vec::new(),
        }
    }
}

/// Connects to who listens at a path, or at an abstract name, without waiting: `Errno::AGAIN` where
/// too many are in line. Close-on-exec, non-blocking.
pub fn connect(at: &Place<'_>) -> Result<OwnedFd, Errno> {
    let address = match at {
        Place::Path(path) => SocketAddrUnix::new(*path)?,
        Place::Abstract(name) => SocketAddrUnix::new_abstract_name(name)?,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::net::connect(&socket, &address)?;
    Ok(socket)
}

/// Where a Unix socket listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place<'a> {
    /// In the file system.
    Path(&'a [u8]),
    /// Under a name that no file has.
    Abstract(&'a [u8]),
}

/// Reads what is there, and the first descriptor that came with it, close-on-exec. Zero bytes are the
/// end.
pub fn read(socket: impl AsFd, buffer: &mut [u8]) -> Result<(usize, Option<OwnedFd>), Errno> {
    receive(socket, buffer, RecvFlags::DONTWAIT)
}

/// Reads as [`read`] does, and waits until there is something.
pub fn await_read(socket: impl AsFd, buffer: &mut [u8]) -> Result<(usize, Option<OwnedFd>), Errno> {
    receive(socket, buffer, RecvFlags::empty())
}

fn receive(
    socket: impl AsFd,
    buffer: &mut [u8],
    waiting: RecvFlags,
) -> Result<(usize, Option<OwnedFd>), Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC | waiting;
    let message = recvmsg(socket, &mut [IoSliceMut::new(buffer)], &mut ancillary, flags)?;
    let fds = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    Ok((message.bytes, fds))
}

/// Writes what there is room for, with at most four descriptors, and returns how many bytes that were.
/// `Errno::AGAIN` where there is none.
pub fn write(socket: impl AsFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> Result<usize, Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(Errno::INVAL);
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    sendmsg(socket, &[IoSlice::new(bytes)], &mut ancillary, flags)
}

/// Returns the first byte that the other side has sent, and leaves it there; nothing at the end.
/// `Errno::AGAIN` where there is none yet.
pub fn first_byte(socket: impl AsFd) -> Result<Option<u8>, Errno> {
    let mut byte = [0];
    let (length, _) = recv(socket, &mut byte, RecvFlags::PEEK | RecvFlags::DONTWAIT)?;
    Ok((length > 0).then_some(byte[0]))
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
        let said = std::fs::read_to_string("/proc/self/status").unwrap();
        let own = said.lines().find_map(|line| line.strip_prefix("Groups:")).unwrap();
        let own: Vec<u32> = own.split_whitespace().map(|word| word.parse().unwrap()).collect();
        assert_eq!(peer.groups, own);
    }

    #[test]
    fn a_look_at_the_first_byte_leaves_it_there() {
        let (mut a, b) = std::os::unix::net::UnixStream::pair().unwrap();
        assert_eq!(first_byte(&b), Err(Errno::AGAIN));
        std::io::Write::write_all(&mut a, b"{x").unwrap();
        assert_eq!(first_byte(&b), Ok(Some(b'{')));
        assert_eq!(first_byte(&b), Ok(Some(b'{')));
        drop(a);
        assert_eq!(first_byte(&b), Ok(Some(b'{')));
        assert_eq!(std::io::Read::read(&mut &b, &mut [0; 8]).unwrap(), 2);
        assert_eq!(crate::last::last(|| first_byte(&b)), Ok(None));
    }
}
