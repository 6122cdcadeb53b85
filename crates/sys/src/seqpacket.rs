//! Datagrams with descriptors over a SEQPACKET socketpair: the channel between our own processes.

use rustix::io::Errno;
use rustix::net::{
    recvmsg, sendmsg, socketpair, AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage,
    RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags,
    SocketType,
};
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// How many descriptors one message carries at most.
pub const FDS_MAX: usize = 10;

/// Makes a connected pair, close-on-exec, non-blocking.
pub fn pair() -> Result<(OwnedFd, OwnedFd), Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
}

/// Reports whether a descriptor is a socket of this kind.
pub fn is_one(fd: impl AsFd) -> bool {
    rustix::net::sockopt::socket_type(fd).is_ok_and(|kind| kind == SocketType::SEQPACKET)
}

/// Sends one datagram made of `parts`, with at most [`FDS_MAX`] descriptors. `Errno::AGAIN` where the
/// other side does not read; nothing is sent then.
pub fn send(to: impl AsFd, parts: &[&[u8]], fds: &[BorrowedFd<'_>]) -> Result<(), Errno> {
    let mut slices = [IoSlice::new(&[]); 8];
    if parts.len() > slices.len() || fds.len() > FDS_MAX {
        return Err(Errno::MSGSIZE);
    }
    for (slice, part) in slices.iter_mut().zip(parts) {
        *slice = IoSlice::new(part);
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(Errno::MSGSIZE);
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    loop {
        match sendmsg(&to, &slices[..parts.len()], &mut ancillary, flags) {
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// A received datagram.
#[derive(Debug)]
pub struct Received {
    /// How many bytes of the buffer it fills. Zero: the other side is gone.
    pub length: usize,
    /// The descriptors that came with it, close-on-exec, in their order.
    pub fds: [Option<OwnedFd>; FDS_MAX],
}

/// Receives one datagram into `buffer`. `Errno::AGAIN` where there is none, `Errno::MSGSIZE` where it
/// was longer than the buffer (it is gone then, its descriptors closed). What the other side said before
/// it went is received first.
pub fn receive(from: impl AsFd, buffer: &mut [u8]) -> Result<Received, Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    let mut reset = false;
    let message = loop {
        match recvmsg(&from, &mut [IoSliceMut::new(buffer)], &mut ancillary, flags) {
            Ok(message) => break message,
            Err(Errno::INTR) => {}
            // The other side went without having read all of ours. That is said once, and before
            // what it had sent, which is still there.
            Err(Errno::CONNRESET) if !reset => reset = true,
            Err(errno) => return Err(errno),
        }
    };
    let mut fds: [Option<OwnedFd>; FDS_MAX] = Default::default();
    let received = ancillary.drain().flat_map(|message| match message {
        RecvAncillaryMessage::ScmRights(fds) => Some(fds),
        _ => None,
    });
    for (place, fd) in fds.iter_mut().zip(received.flatten()) {
        *place = Some(fd);
    }
    if message.flags.contains(ReturnFlags::TRUNC) {
        return Err(Errno::MSGSIZE);
    }
    Ok(Received { length: message.bytes, fds })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::last::last;

    #[test]
    fn a_datagram_and_its_descriptor_arrive_together() {
        let (a, b) = pair().unwrap();
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        send(&a, &[b"he", b"llo"], &[writer.as_fd()]).unwrap();
        drop(writer);
        let mut buffer = [0; 16];
        let got = receive(&b, &mut buffer).unwrap();
        assert_eq!(&buffer[..got.length], b"hello");
        let [Some(writer), None, ..] = got.fds else { panic!("one descriptor") };
        rustix::io::write(&writer, b"x").unwrap();
        assert_eq!(rustix::io::read(&reader, &mut buffer).unwrap(), 1);
        assert_eq!(receive(&b, &mut buffer).unwrap_err(), Errno::AGAIN);
        drop(a);
        let end = last(|| receive(&b, &mut buffer)).unwrap();
        assert_eq!(end.length, 0, "the end is an empty datagram");
    }

    #[test]
    fn what_was_said_by_one_who_went_without_listening_is_received() {
        let (a, b) = pair().unwrap();
        send(&a, &[b"last"], &[]).unwrap();
        send(&b, &[b"never read"], &[]).unwrap();
        drop(a);
        let mut buffer = [0; 16];
        assert_eq!(receive(&b, &mut buffer).unwrap().length, 4);
        assert_eq!(last(|| receive(&b, &mut buffer)).unwrap().length, 0);
    }

    #[test]
    fn a_datagram_that_is_too_long_is_an_error_and_the_next_one_arrives() {
        let (a, b) = pair().unwrap();
        send(&a, &[b"too long"], &[]).unwrap();
        send(&a, &[b"ok"], &[]).unwrap();
        let mut buffer = [0; 4];
        assert_eq!(receive(&b, &mut buffer).unwrap_err(), Errno::MSGSIZE);
        assert_eq!(receive(&b, &mut buffer).unwrap().length, 2);
    }
}
