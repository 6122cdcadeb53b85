//! The two channels: to the keeper on descriptor 3, to the daemon on what the keeper sends.

use engine::keeper::{LogWire, HEAD, MESSAGE_MAX};
use engine::logroute::{encode, FromLogger};
use engine::process::{Slot, Stream};
use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use sys::seqpacket::{self, Received};
use sys::Errno;

/// The longest message in bytes, either channel.
pub const RECEIVE_MAX: usize = MESSAGE_MAX;

/// How many messages may wait for a daemon that does not read; the oldest are dropped.
const OUTBOX_MAX: usize = 1024;

/// A channel and what waits to be sent.
pub struct Channel {
    fd: OwnedFd,
    outbox: VecDeque<(Vec<u8>, Option<OwnedFd>)>,
    /// Whether it is watched for room, too.
    pub watched_for_room: bool,
}

impl Channel {
    /// Makes a channel of a socket.
    pub fn new(fd: OwnedFd) -> Channel {
        Channel { fd, outbox: VecDeque::new(), watched_for_room: false }
    }

    /// Receives one message. `Errno::AGAIN` where there is none.
    pub fn receive(&self, buffer: &mut [u8]) -> Result<Received, Errno> {
        seqpacket::receive(&self.fd, buffer)
    }

    /// Tells the keeper that a pipe is at its end. Never dropped: as many wait as there were pipes.
    pub fn ended(&mut self, slot: Slot, stream: Stream) {
        self.tell_keeper(LogWire::Eof { slot, stream });
    }

    /// Tells the keeper that it has been heard out.
    pub fn ready(&mut self) {
        self.tell_keeper(LogWire::Ready);
    }

    /// Asks the keeper for a pipe once more.
    pub fn again(&mut self, slot: Slot, stream: Stream) {
        self.tell_keeper(LogWire::Again { slot, stream });
    }

    fn tell_keeper(&mut self, message: LogWire<'_>) {
        let mut head = [0; HEAD];
        message.encode(&mut head);
        self.outbox.push_back((head.to_vec(), None));
        self.flush();
    }

    /// Tells the daemon something.
    pub fn tell(&mut self, message: &FromLogger) {
        self.tell_with(message, None);
    }

    /// Tells the daemon something with a descriptor.
    pub fn tell_with(&mut self, message: &FromLogger, fd: Option<OwnedFd>) {
        if self.outbox.len() >= OUTBOX_MAX {
            self.outbox.pop_front();
        }
        self.outbox.push_back((encode(message), fd));
        self.flush();
    }

    /// Sends what there is room for; reports whether everything is sent.
    pub fn flush(&mut self) -> bool {
        while let Some((message, fd)) = self.outbox.front() {
            let fds: &[BorrowedFd<'_>] = match fd {
                Some(fd) => &[fd.as_fd()],
                None => &[],
            };
            match seqpacket::send(&self.fd, &[message], fds) {
                Err(Errno::AGAIN | Errno::NOBUFS | Errno::NOMEM) => return false,
                // The other side is gone: its end is seen when reading. What is too long is lost.
                Ok(()) | Err(_) => self.outbox.pop_front(),
            };
        }
        self.outbox = VecDeque::new();
        true
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
