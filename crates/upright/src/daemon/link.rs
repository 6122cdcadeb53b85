//! The channel to the keeper: what the machine wants done goes out in order, what the kernel did
//! comes in.
//!
//! Nothing is lost when the channel is full: what cannot be sent yet stays first in line, and a
//! spawn's plan is made only when it can go.

use crate::heir::Estate;
use engine::keeper::{held, FromKeeper, Lengths, ToKeeper, HEAD, MESSAGE_MAX, TOGETHER};
use std::cell::RefCell;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use sys::{seqpacket, Errno};

/// The channel.
pub struct Link {
    channel: OwnedFd,
    /// What the keeper holds, should it be killed.
    estate: RefCell<Estate>,
    inbox: Inbox,
}

/// A datagram that is not all taken yet.
struct Inbox {
    bytes: [u8; HEAD * TOGETHER],
    rest: Range<usize>,
    fd: Option<OwnedFd>,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It is on its way.
    Yes,
    /// The keeper has to read first.
    Full,
    /// The keeper is gone.
    Gone,
}

impl Link {
    /// Takes the channel over.
    pub fn new(channel: OwnedFd) -> Link {
        let inbox = Inbox { bytes: [0; HEAD * TOGETHER], rest: 0..0, fd: None };
        Link { channel, estate: RefCell::default(), inbox }
    }

    /// Takes what the keeper held, now that it is gone.
    pub fn take_estate(&self) -> Estate {
        self.estate.take()
    }

    /// Keeps a copy of what the keeper holds. PID 1 says nothing of how it began, and needs no heir.
    /// The binary before an upgrade is the logger's alone: it is told when that is over.
    fn keep(&self, key: u32, fd: BorrowedFd<'_>) {
        if key == held::PREVIOUS {
            return;
        }
        let mut estate = self.estate.borrow_mut();
        match fd.try_clone_to_owned() {
            Ok(copy) if sys::own::parent() != 1 => estate.held.insert(key, copy),
            Ok(_) | Err(_) => estate.held.remove(&key),
        };
    }

    /// Returns the descriptor to wait for.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.channel.as_fd()
    }

    /// Sends one message.
    pub fn send(&self, message: &ToKeeper<'_>, fds: &[BorrowedFd<'_>]) -> Sent {
        let (mut head, mut lengths) = ([0; HEAD], Lengths::default());
        let parts = message.encode(&mut head, &mut lengths);
        let [a, b, c, d, e, f] = parts;
        let all = [&head[..], a, b, c, d, e, f];
        let sent = self.sent(seqpacket::send(&self.channel, &all, fds));
        match (sent, message, fds) {
            (Sent::Yes, ToKeeper::Hold { key }, [fd, ..]) => self.keep(*key, *fd),
            (Sent::Yes, ToKeeper::Drop { key }, _) => {
                self.estate.borrow_mut().held.remove(key);
            }
            _ => {}
        }
        sent
    }

    /// Sends messages that travel together, at most [`TOGETHER`].
    pub fn send_together(&self, messages: impl Iterator<Item = ToKeeper<'static>>) -> Sent {
        let mut all = [0; HEAD * TOGETHER];
        let mut length = 0;
        for (place, message) in all.chunks_exact_mut(HEAD).zip(messages) {
            let mut head = [0; HEAD];
            message.encode(&mut head, &mut Lengths::default());
            place.copy_from_slice(&head);
            length += HEAD;
        }
        self.sent(seqpacket::send(&self.channel, &[all.get(..length).unwrap_or(&[])], &[]))
    }

    fn sent(&self, outcome: Result<(), Errno>) -> Sent {
        match outcome {
            Ok(()) => Sent::Yes,
            Err(Errno::AGAIN | Errno::NOBUFS | Errno::NOMEM | Errno::TOOMANYREFS) => Sent::Full,
            Err(_) => Sent::Gone,
        }
    }

    /// Receives one message with its descriptor. Nothing where there is none now; an error where
    /// the keeper is gone. What is not of this version is passed over.
    pub fn receive(&mut self) -> Result<Option<(FromKeeper, Option<OwnedFd>)>, Errno> {
        loop {
            while let Some((message, fd)) = self.inbox.take() {
                if let Some(message) = FromKeeper::decode(message) {
                    if let (FromKeeper::Held { key }, Some(fd)) = (message, &fd) {
                        self.keep(key, fd.as_fd());
                    }
                    return Ok(Some((message, fd)));
                }
            }
            match seqpacket::receive(&self.channel, &mut self.inbox.bytes) {
                Ok(received) if received.length == 0 => return Err(Errno::PIPE),
                Ok(received) => {
                    let [fd, ..] = received.fds;
                    (self.inbox.rest, self.inbox.fd) = (0..received.length, fd);
                }
                Err(Errno::AGAIN) => return Ok(None),
                Err(Errno::MSGSIZE) => {}
                Err(errno) => return Err(errno),
            }
        }
    }

    /// Reports whether a message was received that is not taken yet: no descriptor tells of it.
    pub fn has_more(&self) -> bool {
        !self.inbox.rest.is_empty()
    }
}

impl Inbox {
    fn take(&mut self) -> Option<(&[u8], Option<OwnedFd>)> {
        let rest = self.bytes.get(self.rest.clone()).filter(|rest| !rest.is_empty())?;
        let (message, others) = FromKeeper::split(rest);
        self.rest.start = self.rest.end - others.len();
        Some((message, self.fd.take()))
    }
}

/// How long a plan and a route may be together to travel in the message itself.
pub const INLINE_MAX: usize = MESSAGE_MAX - HEAD - 8;
