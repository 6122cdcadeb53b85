//! A level-triggered epoll set whose entries carry a number of the caller's choice.

use crate::{clock, heap, memory};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{poll, PollFd, PollFlags};
use rustix::io::Errno;
use rustix::time::Timespec;
use std::os::fd::{AsFd, OwnedFd};

/// How long a moment is without news until it is quiet, in nanoseconds.
const QUIET: u64 = 100_000_000;

/// News so soon after memory was given back, in nanoseconds, say that it was a pause, not the end.
const PAUSE: u64 = 2_000_000_000;

/// So many pauses in a row are waited for; what goes on for ever at that pace is no burst.
const PAUSES: u8 = 16;

/// What a descriptor is watched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Bytes, connections or an end.
    Read,
    /// As `Read`, told once for every write of the other side and once after every change of what is
    /// watched, not as long as there is something (edge-triggered).
    ReadEdge,
    /// Room to write.
    Write,
    /// Both.
    Both,
    /// Errors and hang-ups only.
    Nothing,
}

/// A descriptor that is ready.
#[derive(Clone, Copy, Debug)]
pub struct Ready {
    /// The number it was added with.
    pub token: u64,
    /// There is something to read, or the end.
    pub readable: bool,
    /// There is room to write.
    pub writable: bool,
    /// The other side is gone or the descriptor failed.
    pub hangup: bool,
}

/// An epoll set with room for one batch of events.
pub struct Epoll {
    fd: OwnedFd,
    batch: Vec<Event>,
    /// How often in a row there was news soon after memory was given back.
    pauses: u8,
    /// Whether the last of them was no end.
    resumed: bool,
}

impl Epoll {
    /// Makes a set that returns at most `batch` events at a time.
    pub fn new(batch: usize) -> Result<Epoll, Errno> {
        Ok(Epoll {
            fd: epoll::create(CreateFlags::CLOEXEC)?,
            batch: Vec::with_capacity(batch),
            pauses: 0,
            resumed: false,
        })
    }

    /// Watches a descriptor.
    pub fn add(&self, fd: impl AsFd, token: u64, interest: Interest) -> Result<(), Errno> {
        epoll::add(&self.fd, fd, EventData::new_u64(token), flags(interest))
    }

    /// Changes what a descriptor is watched for.
    pub fn modify(&self, fd: impl AsFd, token: u64, interest: Interest) -> Result<(), Errno> {
        epoll::modify(&self.fd, fd, EventData::new_u64(token), flags(interest))
    }

    /// Stops watching a descriptor.
    pub fn delete(&self, fd: impl AsFd) -> Result<(), Errno> {
        epoll::delete(&self.fd, fd)
    }

    /// Waits for events; `timeout` in nanoseconds, none waits for ever. An interrupted wait returns
    /// no event.
    pub fn wait(
        &mut self,
        timeout: Option<u64>,
    ) -> Result<impl Iterator<Item = Ready> + '_, Errno> {
        self.fill(timeout)?;
        Ok(self.events())
    }

    /// Waits as [`Epoll::wait`]. Where the process has been `busy` and it is quiet now, it does what it
    /// has kept for such a moment, then memory is given back; nothing but the wait itself is run after
    /// that, since whatever is run is mapped again. The process is busy still where it was a pause only.
    pub fn wait_at_rest(
        &mut self,
        timeout: Option<u64>,
        busy: &mut bool,
        rest: impl FnOnce(),
    ) -> Result<impl Iterator<Item = Ready> + '_, Errno> {
        self.resumed = false;
        match timeout {
            _ if !*busy => self.fill(timeout)?,
            Some(timeout) if timeout <= QUIET => self.fill(Some(timeout))?,
            Some(_) | None => {
                self.fill(Some(QUIET))?;
                if self.batch.is_empty() {
                    rest();
                    let rested = clock::monotonic();
                    heap::give_back();
                    memory::forget_code();
                    self.fill(timeout.map(|timeout| timeout - QUIET))?;
                    let paused = clock::monotonic().since(rested).0 < PAUSE;
                    self.pauses = if paused { self.pauses.saturating_add(1) } else { 0 };
                    *busy = paused && self.pauses < PAUSES;
                    self.resumed = paused;
                }
            }
        }
        Ok(self.events())
    }

    /// Reports whether the last wait gave memory back and ended so soon that it was a pause.
    pub fn resumed(&self) -> bool {
        self.resumed
    }

    /// Reports whether news came so soon after the last rest that it was a pause in a burst.
    pub fn paused(&self) -> bool {
        self.pauses > 0 && self.pauses < PAUSES
    }

    #[inline(always)]
    fn fill(&mut self, timeout: Option<u64>) -> Result<(), Errno> {
        let mut timeout = timeout.map(|nanos| Timespec {
            tv_sec: i64::try_from(nanos / 1_000_000_000).unwrap_or(i64::MAX),
            tv_nsec: (nanos % 1_000_000_000) as _,
        });
        // epoll_wait counts in milliseconds, and epoll_pwait2 is not everywhere (Linux 5.11): a short
        // wait is done by ppoll, which counts in nanoseconds.
        if let Some(short) = timeout.filter(|time| time.tv_sec == 0 && is_short(time.tv_nsec)) {
            match poll(&mut [PollFd::new(&self.fd, PollFlags::IN)], Some(&short)) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
            timeout = Some(Timespec { tv_sec: 0, tv_nsec: 0 });
        }
        self.batch.clear();
        match epoll::wait(&self.fd, spare_capacity(&mut self.batch), timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(errno),
        }
    }

    fn events(&self) -> impl Iterator<Item = Ready> + '_ {
        self.batch.iter().map(|event| {
            let flags = event.flags;
            Ready {
                token: event.data.u64(),
                readable: flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::RDHUP),
                writable: flags.intersects(EventFlags::OUT),
                hangup: flags.intersects(EventFlags::HUP | EventFlags::ERR),
            }
        })
    }
}

fn is_short(nanos: i64) -> bool {
    (1..2_000_000).contains(&nanos)
}

fn flags(interest: Interest) -> EventFlags {
    match interest {
        Interest::Read => EventFlags::IN,
        Interest::ReadEdge => EventFlags::IN | EventFlags::ET,
        Interest::Write => EventFlags::OUT,
        Interest::Both => EventFlags::IN | EventFlags::OUT,
        Interest::Nothing => EventFlags::empty(),
    }
}
