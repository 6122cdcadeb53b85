//! The channel to the keeper: what the machine wants done goes out in order, what the kernel did
//! comes in.
//!
//! Nothing is lost when the channel is full: what cannot be sent yet stays first in line, and a
//! spawn's plan is made only when it can go.

use crate::heir::Estate;
use engine::keeper::{FromKeeper, ToKeeper, HEAD, MESSAGE_MAX};
use std::cell::RefCell;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use sys::{seqpacket, Errno};

/// The channel.
pub struct Link {
    channel: OwnedFd,
    /// What the keeper holds, should it be killed.
    estate: RefCell<Estate>,
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
        Link { channel, estate: RefCell::default() }
    }

    /// Takes what the keeper held, now that it is gone.
    pub fn take_estate(&self) -> Estate {
        self.estate.take()
    }

    /// Keeps a copy of what the keeper holds. PID 1 says nothing of how it began, and needs no heir.
    fn keep(&self, key: u32, fd: BorrowedFd<'_>) {
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
        let (mut head, mut lengths) = ([0; HEAD], [[0; 4]; 2]);
        let parts = message.encode(&mut head, &mut lengths);
        let [a, b, c, d] = parts;
        match seqpacket::send(&self.channel, &[&head, a, b, c, d], fds) {
            Ok(()) => {
                match (message, fds) {
                    (ToKeeper::Hold { key }, [fd, ..]) => self.keep(*key, *fd),
                    (ToKeeper::Drop { key }, _) => {
                        self.estate.borrow_mut().held.remove(key);
                    }
                    _ => {}
                }
                Sent::Yes
            }
            Err(Errno::AGAIN | Errno::NOBUFS | Errno::NOMEM | Errno::TOOMANYREFS) => Sent::Full,
            Err(_) => Sent::Gone,
        }
    }

    /// Receives one message with its descriptor. Nothing where there is none now; an error where
    /// the keeper is gone. What is not of this version is passed over.
    pub fn receive(&self) -> Result<Option<(FromKeeper, Option<OwnedFd>)>, Errno> {
        let mut buffer = [0; HEAD * 2];
        loop {
            match seqpacket::receive(&self.channel, &mut buffer) {
                Ok(received) if received.length == 0 => return Err(Errno::PIPE),
                Ok(received) => {
                    let [fd, ..] = received.fds;
                    let bytes = buffer.get(..received.length).unwrap_or(&[]);
                    if let Some(message) = FromKeeper::decode(bytes) {
                        if let (FromKeeper::Held { key }, Some(fd)) = (message, &fd) {
                            self.keep(key, fd.as_fd());
                        }
                        return Ok(Some((message, fd)));
                    }
                }
                Err(Errno::AGAIN) => return Ok(None),
                Err(Errno::MSGSIZE) => {}
                Err(errno) => return Err(errno),
            }
        }
    }
}

/// How long a plan and a route may be together to travel in the message itself.
pub const INLINE_MAX: usize = MESSAGE_MAX - HEAD - 8;
