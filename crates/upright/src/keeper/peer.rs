//! The daemon or the logger as the keeper sees it: a process with a channel, started anew when gone.

use engine::process::{Exit, Pid};
use engine::time::{Mono, Span};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use sys::epoll::{Epoll, Interest};
use sys::own::{Argv, Binary};
use sys::seqpacket::{self, Received};
use sys::Errno;

/// The waits before the first start and those after it in a row; the last one from then on.
const WAITS: [Span; 5] = [Span::ZERO, Span::ZERO, Span::millis(100), Span::secs(1), Span::secs(5)];

/// A process that ended sooner is not started again at once, however well it began.
const SHORT: Span = Span::secs(1);

/// A wait before something is tried again that failed for want of memory or descriptors.
const RETRY: Span = Span::millis(100);

/// One of our own processes.
pub struct Peer {
    name: &'static str,
    argv: Argv,
    token: u64,
    state: State,
    ready: Ready,
    /// How often it was started in a row without becoming ready.
    starts: usize,
    /// How many of them in a row died without having become ready, for the daemon to be told.
    early_deaths: u32,
    /// Our end of its channel.
    channel: Option<OwnedFd>,
    /// Its end of the channel between daemon and logger, until it is handed on.
    pub link: Option<OwnedFd>,
    sending: Sending,
    watched: Interest,
    expected: Expected,
}

/// Whether its end is wanted, so that another can be started at once.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expected {
    Yes,
    No,
}

/// Whether there is a process.
#[derive(Clone, Copy)]
enum State {
    /// It is to be started at this time.
    Due(Mono),
    /// It was started at this time.
    Alive(Pid, Mono),
    /// It ended and is not to be started again.
    Over,
}

/// Whether a process has done what its start is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ready {
    Yes,
    No,
}

/// Whether its channel takes what is sent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sending {
    /// It does.
    Open,
    /// It is full; the set says when it is not.
    Full,
    /// The kernel had no memory for it; to be tried again at this time.
    Refused(Mono),
}

/// Whether a process that has ended is started again.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// It is.
    Yes,
    /// It is not: it was asked to end.
    No,
}

/// What came of a send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocked;

/// What came of listening to a peer.
pub enum Heard {
    /// A message of that length, and its descriptors.
    Message(Received),
    /// Nothing for now.
    Nothing,
    /// The channel is at its end.
    End,
}

impl Peer {
    /// Makes one that is due at once. Its channel is watched under `token`.
    pub fn new(name: &'static str, token: u64, argv: Argv) -> Peer {
        Peer {
            name,
            argv,
            token,
            state: State::Due(Mono(0)),
            ready: Ready::No,
            starts: 0,
            early_deaths: 0,
            channel: None,
            link: None,
            sending: Sending::Open,
            watched: Interest::Read,
            expected: Expected::No,
        }
    }

    /// Makes one that somebody plays who has the other end of this channel, and that is never started.
    pub fn played(channel: OwnedFd) -> Peer {
        let peer = Peer::new("nobody", 0, Argv::new(Vec::new()));
        Peer { state: State::Over, channel: Some(channel), ..peer }
    }

    /// Takes a process over that the keeper has started in another binary, and ends it: the next one
    /// is of this binary. What it has said is heard, for its end is.
    pub fn resume(&mut self, pid: Pid, channel: OwnedFd, epoll: &Epoll, now: Mono) {
        // Where it cannot be watched, its end is heard of all the same.
        let _ = epoll.add(&channel, self.token, Interest::Read);
        (self.channel, self.watched) = (Some(channel), Interest::Read);
        (self.state, self.ready) = (State::Alive(pid, now), Ready::Yes);
        self.expected = Expected::Yes;
        self.end();
    }

    /// Returns the keeper's end of its channel.
    pub fn channel(&self) -> Option<BorrowedFd<'_>> {
        self.channel.as_ref().map(OwnedFd::as_fd)
    }

    /// Returns the process where there is one.
    pub fn pid(&self) -> Option<Pid> {
        match self.state {
            State::Alive(pid, _) => Some(pid),
            State::Due(_) | State::Over => None,
        }
    }

    /// Returns how many in a row died without becoming ready.
    pub fn early_deaths(&self) -> u32 {
        self.early_deaths
    }

    /// Returns when something is to be done for it, if nothing happens before.
    pub fn due(&self) -> Option<Mono> {
        match (self.state, self.sending) {
            (State::Due(at), _) => Some(at),
            (State::Alive(..), Sending::Refused(at)) if self.channel.is_some() => Some(at),
            (State::Alive(..) | State::Over, _) => None,
        }
    }

    /// Reports whether it is to be started now.
    pub fn is_due(&self, now: Mono) -> bool {
        matches!(self.state, State::Due(at) if at <= now)
    }

    /// Reports whether it lives and has done what its start is for.
    pub fn is_ready(&self) -> bool {
        self.pid().is_some() && self.ready == Ready::Yes
    }

    /// It has done what its start is for: the next one is at once again.
    pub fn ready(&mut self) {
        self.ready = Ready::Yes;
        self.starts = 1;
        self.early_deaths = 0;
    }

    /// Starts it with a new channel; where that fails it is due again after a while.
    pub fn start(&mut self, own: &Binary, epoll: &Epoll, now: Mono) -> Result<(), Errno> {
        self.starts = self.starts.saturating_add(1);
        let started = seqpacket::pair().and_then(|(ours, theirs)| {
            epoll.add(&ours, self.token, Interest::Read)?;
            Ok((own.start(&self.argv, &theirs)?, ours))
        });
        match started {
            Ok((pid, channel)) => {
                self.state = State::Alive(pid, now);
                (self.ready, self.sending) = (Ready::No, Sending::Open);
                (self.channel, self.watched) = (Some(channel), Interest::Read);
                Ok(())
            }
            Err(errno) => {
                self.state = State::Due(now + wait(self.starts).max(RETRY));
                Err(errno)
            }
        }
    }

    /// It has ended and is reaped. Everything it said must have been heard before.
    pub fn ended(&mut self, exit: Exit, again: Again, epoll: &Epoll, now: Mono) {
        let State::Alive(pid, since) = self.state else { return };
        self.hang_up(epoll);
        if std::mem::replace(&mut self.expected, Expected::No) == Expected::Yes {
            (self.state, self.starts) = (State::Due(now), 0);
            return;
        }
        if self.ready == Ready::No {
            self.early_deaths = self.early_deaths.saturating_add(1);
        }
        if now.since(since) < SHORT {
            self.starts = self.starts.max(2);
        }
        let wait = wait(self.starts);
        self.state = State::Due(now + wait);
        if again == Again::No {
            self.state = State::Over;
            return;
        }
        let name = self.name;
        match exit {
            Exit::Status(status) => sys::say::line(format_args!(
                "upright: {name} (process {pid}) exited with status {status}; starting it again after {wait}"
            )),
            Exit::Signal { signal, .. } => sys::say::line(format_args!(
                "upright: {name} (process {pid}) was ended by signal {signal}; starting it again after {wait}"
            )),
            // The kernel tells a parent of a signal only.
            Exit::Unknown | Exit::OutOfMemory => {}
        }
    }

    /// It is not to be started again.
    pub fn stop_starting(&mut self) {
        if let State::Due(_) = self.state {
            self.state = State::Over;
        }
    }

    /// Reports whether there is no process and is not to be one.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// Lets go of the channel: the peer reads its end.
    pub fn hang_up(&mut self, epoll: &Epoll) {
        self.link = None;
        if let Some(channel) = self.channel.take() {
            // Not left to the close: a child that sets itself up still has a copy, and with it the
            // set would report an end for ever.
            let _ = epoll.delete(channel);
        }
    }

    /// Ends the process; it is reaped like any other.
    pub fn end(&self) {
        if let State::Alive(pid, _) = self.state {
            // Not reaped yet, so it is there; there is nothing to do where that is refused.
            let _ = sys::signals::send(pid, engine::signal::Signal::KILL);
        }
    }

    /// Receives one message, without waiting.
    pub fn hear(&self, buffer: &mut [u8]) -> Heard {
        let Some(channel) = &self.channel else { return Heard::Nothing };
        match seqpacket::receive(channel, buffer) {
            Ok(received) if received.length == 0 => Heard::End,
            Ok(received) => Heard::Message(received),
            Err(Errno::CONNRESET | Errno::PIPE) => Heard::End,
            // Too long for the protocol: gone, and no message of ours.
            Err(Errno::MSGSIZE) => Heard::Message(Received { length: 0, fds: Default::default() }),
            Err(_) => Heard::Nothing,
        }
    }

    /// Reports whether it would take a message now, so that one is worth making.
    pub fn listens(&mut self, now: Mono) -> bool {
        if matches!(self.sending, Sending::Refused(until) if until <= now) {
            self.sending = Sending::Open;
        }
        self.sending == Sending::Open && self.channel.is_some()
    }

    /// Sends a message, or remembers why not.
    pub fn send(
        &mut self,
        parts: &[&[u8]],
        fds: &[BorrowedFd<'_>],
        now: Mono,
    ) -> Result<(), Blocked> {
        let channel = self.channel.as_ref().ok_or(Blocked)?;
        match seqpacket::send(channel, parts, fds) {
            Ok(()) => {
                self.sending = Sending::Open;
                Ok(())
            }
            Err(Errno::AGAIN) => {
                self.sending = Sending::Full;
                Err(Blocked)
            }
            // A peer that is gone is seen by its end; anything else passes.
            Err(_) => {
                self.sending = Sending::Refused(now + RETRY);
                Err(Blocked)
            }
        }
    }

    /// Its channel has room again.
    pub fn has_room(&mut self) {
        if self.sending == Sending::Full {
            self.sending = Sending::Open;
        }
    }

    /// Watches the channel for what is wanted of it now.
    pub fn watch(&mut self, epoll: &Epoll, heard: Interest) {
        let Some(channel) = &self.channel else { return };
        let interest = match (self.sending, heard) {
            (Sending::Full, Interest::Read | Interest::ReadEdge | Interest::Both) => Interest::Both,
            (Sending::Full, Interest::Write | Interest::Nothing) => Interest::Write,
            (Sending::Open | Sending::Refused(_), heard) => heard,
        };
        if interest != self.watched {
            // Takes no memory, so it cannot fail for a channel that is open.
            let _ = epoll.modify(channel.as_fd(), self.token, interest);
            self.watched = interest;
        }
    }
}

fn wait(starts: usize) -> Span {
    WAITS.get(starts).or(WAITS.last()).copied().unwrap_or(RETRY)
}
