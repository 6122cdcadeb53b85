//! The loop: wait, serve what is ready in turn, fire timers, see whether it is over.

use super::asked::Past;
use super::channel::{Channel, RECEIVE_MAX};
use super::destination::{Destination, Look};
use super::forward::Forwarders;
use super::routes::Gone;
use super::say;
use super::slab::Slab;
use super::source::{Source, Watch};
use super::store::{store, MODE, PRIVATE_MODE};
use crate::heir::Estate;
use engine::keeper::{held, LogWire};
use engine::logroute::{decode, ToLogger, AUDIT, OWN};
use engine::packed::pack_together;
use engine::process::{Slot, Stream};
use engine::text::Text;
use engine::time::{Mono, Span};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Instant;
use sys::epoll::{Epoll, Interest, Ready};
use sys::pipe::Peek;
use sys::{start, Errno};

/// How many sources are served between two looks at everything else.
const BATCH: usize = 64;

/// How many messages of one channel are taken between two looks at everything else.
const MESSAGES: usize = 256;

/// So many new pipes needed memory that is given back in the next quiet moment, as the start did.
const BUSY: usize = 256;

/// The buffer for messages. Three times as long as the longest of them: then the allocator maps it by
/// itself, and what no message ever filled takes no memory.
const BUFFER: usize = 3 * RECEIVE_MAX;

const KEEPER: u64 = u64::MAX;
const DAEMON: u64 = u64::MAX - 1;
const OUTLET: u64 = u64::MAX - 2;

/// What a timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// A busy pipe was left alone long enough.
    Resume(u32),
    /// An unfinished line was left in its pipe long enough.
    Line(u32),
    /// Files that could not be written are tried again.
    Retry,
    /// Pipes that were grown and are quiet are shrunk.
    Quiet,
    /// Another keeper could not be started in the place of one that is gone.
    Succeed,
    /// Pipes for which no descriptor was free are asked for again.
    Untaken,
}

/// Whether the keeper has been heard out, and what it had passed on was served.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Start {
    Fresh,
    CaughtUp,
}

/// Everything the logger knows.
pub struct Logger {
    pub(super) epoll: Epoll,
    pub(super) keeper: Option<Channel>,
    pub(super) daemon: Option<Channel>,
    pub(super) sources: Slab<Source>,
    pub(super) by_slot: BTreeMap<(Slot, Stream), u32>,
    pub(super) files: Slab<Destination>,
    pub(super) by_path: BTreeMap<Text, u32>,
    /// Files by the order of opening, for the clock hand.
    pub(super) opened: VecDeque<u32>,
    pub(super) faulty: BTreeSet<u32>,
    pub(super) grown: Vec<u32>,
    /// How many descriptors there may be.
    pub(super) descriptors: u64,
    /// Outputs whose pipes could not be taken.
    pub(super) untaken: BTreeSet<(Slot, Stream)>,
    /// What came of outputs that have ended.
    pub(super) past: Past,
    /// The last processes whose output ended.
    pub(super) gone: VecDeque<Gone>,
    pub(super) forwarders: Forwarders,
    /// Sources whose lines wait in their pipe for standard output.
    pub(super) stalled: BTreeSet<u32>,
    pub(super) look: Look,
    pub(super) timers: BTreeSet<(Mono, Timer)>,
    pub(super) now: Mono,
    started: Instant,
    /// Where the next round of tries begins.
    pub(super) retry_from: u32,
    /// How many pipes have come since memory was given back.
    pub(super) new_pipes: usize,
    buffer: Vec<u8>,
    finish: bool,
    /// What the keeper holds, should it be killed.
    pub(super) estate: Estate,
    /// Another keeper has been started in its place.
    pub(super) succeeded: bool,
}

/// Runs the logger on descriptor 3, the channel to the keeper, and returns its exit code.
pub fn run() -> i32 {
    let Some(keeper) = start::take_descriptor(3) else {
        say("logger: descriptor 3 is not open; it is started by the keeper, not by hand");
        return 64;
    };
    start::ignore_write_signals();
    start::clear_umask();
    let descriptors = start::raise_descriptor_limit();
    match Logger::new(keeper, descriptors) {
        Ok(logger) => logger.go(),
        Err(errno) => {
            say(&format!("logger: cannot start: {}", super::words(errno)));
            71
        }
    }
}

impl Logger {
    fn new(keeper: OwnedFd, descriptors: u64) -> Result<Logger, Errno> {
        let epoll = Epoll::new(BATCH)?;
        epoll.add(&keeper, KEEPER, Interest::Read)?;
        Ok(Logger {
            epoll,
            keeper: Some(Channel::new(keeper)),
            daemon: None,
            sources: Slab::new(),
            by_slot: BTreeMap::new(),
            files: Slab::new(),
            by_path: BTreeMap::new(),
            opened: VecDeque::new(),
            faulty: BTreeSet::new(),
            grown: Vec::new(),
            untaken: BTreeSet::new(),
            descriptors,
            past: Past::default(),
            gone: VecDeque::new(),
            forwarders: Forwarders::new(),
            stalled: BTreeSet::new(),
            look: Look { peek: Peek::new()?, seen: Vec::new() },
            timers: BTreeSet::new(),
            now: Mono(0),
            started: Instant::now(),
            retry_from: 0,
            new_pipes: 0,
            buffer: Vec::new(),
            finish: false,
            estate: Estate::default(),
            succeeded: false,
        })
    }

    fn go(mut self) -> i32 {
        let mut batch: Vec<Ready> = Vec::new();
        let mut start = Start::Fresh;
        loop {
            let wait = match start {
                Start::Fresh => Some(0),
                Start::CaughtUp => self.timers.first().map(|(at, _)| at.since(self.time()).0),
            };
            let mut busy = self.new_pipes >= BUSY;
            let rest = || {
                pack_together(&mut self.by_slot);
                pack_together(&mut self.by_path);
            };
            match self.epoll.wait_at_rest(wait, &mut busy, rest) {
                Ok(ready) => batch.extend(ready),
                Err(errno) => {
                    say(&format!("logger: cannot wait: {}", super::words(errno)));
                    return 71;
                }
            }
            if self.new_pipes >= BUSY && !busy {
                self.new_pipes = 0;
            }
            self.now = self.time();
            let news = batch.iter().any(|ready| ready.token == KEEPER);
            if start == Start::Fresh && !news {
                start = Start::CaughtUp;
                self.new_pipes = BUSY;
                if let Some(keeper) = &mut self.keeper {
                    keeper.ready();
                }
            }
            for forwarder in self.forwarders.all() {
                forwarder.now = self.now;
            }
            for ready in batch.drain(..) {
                self.dispatch(ready);
                if self.succeeded {
                    return 0;
                }
            }
            self.fire();
            self.write_out();
            if self.finish {
                self.finish();
                return 0;
            }
            if self.succeeded || self.is_left_alone() {
                return 0;
            }
        }
    }

    /// Reports whether there is nothing to write and nobody to start a keeper for. Without outputs, too,
    /// there may be services, and a daemon that is alive may not be for long.
    fn is_left_alone(&self) -> bool {
        let heir = self.daemon.is_some() || self.estate.is_whole();
        self.keeper.is_none() && self.sources.is_empty() && !heir
    }

    fn time(&self) -> Mono {
        Mono(u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    fn dispatch(&mut self, ready: Ready) {
        match ready.token {
            KEEPER => self.hear_keeper(),
            DAEMON => self.hear_daemon(),
            OUTLET => {}
            source => self.serve(u32::try_from(source).unwrap_or(u32::MAX), ready.hangup),
        }
    }

    fn fire(&mut self) {
        // A timer may set itself anew, but never in the past: the loop ends.
        while let Some(&(at, timer)) = self.timers.first() {
            if at > self.now || self.succeeded {
                break;
            }
            self.timers.pop_first();
            match timer {
                Timer::Resume(id) => {
                    if self.sources.row(id).is_some_and(|source| source.watch == Watch::Paused) {
                        self.serve(id, false);
                    }
                }
                Timer::Line(id) => self.take_partial(id),
                Timer::Retry => self.retry_some(),
                Timer::Quiet => self.shrink_quiet(),
                Timer::Succeed => self.succeed(),
                Timer::Untaken => self.ask_again(),
            }
        }
    }

    /// Sends what waits, and watches for room exactly as long as something does.
    fn write_out(&mut self) {
        for (channel, token) in [(&mut self.keeper, KEEPER), (&mut self.daemon, DAEMON)] {
            let Some(channel) = channel else { continue };
            let waits = !channel.flush();
            if waits != channel.watched_for_room {
                channel.watched_for_room = waits;
                let interest = if waits { Interest::Both } else { Interest::Read };
                let _ = self.epoll.modify(&*channel, token, interest);
            }
        }
        if self.forwarders.flush() {
            for id in std::mem::take(&mut self.stalled) {
                self.serve(id, false);
            }
        }
        for forwarder in self.forwarders.all() {
            let waits = !forwarder.flush();
            if waits == forwarder.watched {
                continue;
            }
            if let Some(fd) = forwarder.outlet().and_then(|outlet| outlet.watched()) {
                let _ = match waits {
                    true => self.epoll.add(fd, OUTLET, Interest::Write),
                    false => self.epoll.delete(fd),
                };
            }
            forwarder.watched = waits;
        }
    }

    /// Sends what waits, for at most that long.
    pub(super) fn write_out_within(&mut self, span: Span) {
        let until = self.time() + span;
        let Ok(mut room) = Epoll::new(1) else { return };
        for forwarder in self.forwarders.all() {
            if let Some(fd) = forwarder.outlet().and_then(|outlet| outlet.watched()) {
                let _ = room.add(fd, OUTLET, Interest::Write);
            }
        }
        for channel in [&mut self.keeper, &mut self.daemon].into_iter().flatten() {
            channel.flush();
        }
        while !self.forwarders.flush() {
            let left = until.since(self.time());
            if left == Span::ZERO || room.wait(Some(left.0)).is_err() {
                return;
            }
        }
    }

    /// Takes what the keeper says.
    pub(super) fn hear_keeper(&mut self) {
        let mut buffer = self.buffer();
        for _ in 0..MESSAGES {
            let Some(keeper) = &self.keeper else { break };
            let mut received = match keeper.receive(&mut buffer) {
                Ok(received) => received,
                Err(Errno::AGAIN) => break,
                // Too long to be one of ours: it is gone already.
                Err(Errno::MSGSIZE) => continue,
                Err(_) => {
                    self.lose_keeper();
                    break;
                }
            };
            if received.length == 0 {
                self.lose_keeper();
                break;
            }
            let [fd, ..] = &mut received.fds;
            self.obey(buffer.get(..received.length).unwrap_or_default(), fd.take());
        }
        self.buffer = buffer;
    }

    fn obey(&mut self, message: &[u8], fd: Option<OwnedFd>) {
        match LogWire::decode(message) {
            Some(LogWire::Pipe { slot, stream, route }) => self.add((slot, stream), route, fd),
            Some(LogWire::Daemon) => self.meet_daemon(fd),
            Some(LogWire::Held { key }) => self.inherit(key, fd),
            Some(LogWire::Drop { key }) => {
                self.estate.held.remove(&key);
            }
            Some(LogWire::End { slot, end }) => {
                self.estate.ends.remove(&(slot, end));
                self.estate.ends.extend(fd.map(|fd| ((slot, end), fd)));
            }
            Some(LogWire::Finish) => self.finish = true,
            Some(LogWire::Eof { .. } | LogWire::Again { .. } | LogWire::Ready) | None => {
                say("logger: the keeper sent a message that is not understood");
            }
        }
    }

    fn lose_keeper(&mut self) {
        if let Some(keeper) = self.keeper.take() {
            let _ = self.epoll.delete(&keeper);
        }
        // Who waits has every pipe, too.
        self.succeeded |= self.estate.is_waited_for();
        if self.daemon.is_none() {
            self.succeed();
        }
    }

    fn inherit(&mut self, key: u32, fd: Option<OwnedFd>) {
        if let Some(fd) = fd {
            self.estate.held.insert(key, fd);
        }
    }

    fn meet_daemon(&mut self, fd: Option<OwnedFd>) {
        let Some(fd) = fd else { return };
        self.lose_daemon();
        if self.epoll.add(&fd, DAEMON, Interest::Read).is_ok() {
            self.daemon = Some(Channel::new(fd));
            self.tell_all_troubles();
        }
    }

    fn lose_daemon(&mut self) {
        if let Some(daemon) = self.daemon.take() {
            let _ = self.epoll.delete(&daemon);
        }
        if self.keeper.is_none() {
            self.succeed();
        }
    }

    pub(super) fn hear_daemon(&mut self) {
        let mut buffer = self.buffer();
        for _ in 0..MESSAGES {
            let Some(daemon) = &self.daemon else { break };
            let (length, [fd, ..]) = match daemon.receive(&mut buffer) {
                Ok(received) => (received.length, received.fds),
                Err(Errno::AGAIN) => break,
                Err(Errno::MSGSIZE) => continue,
                Err(_) => (0, Default::default()),
            };
            if length == 0 {
                self.lose_daemon();
                break;
            }
            let message = decode(buffer.get(..length).unwrap_or_default());
            // Given back first: a barrier hears the keeper, too.
            self.buffer = buffer;
            match message {
                Some(ToLogger::Drain { slot, tail }) => self.drain(slot, tail),
                Some(ToLogger::Reopen) => self.close_all(),
                Some(ToLogger::Writable) => self.retry_all(),
                // Of this the keeper has told the logger last.
                Some(ToLogger::Held { key: held::ORIGIN }) if self.estate.is_whole() => {}
                Some(ToLogger::Held { key }) => self.inherit(key, fd),
                Some(ToLogger::Succeed) => self.succeed_now(),
                Some(ToLogger::Own { route }) => self.add_route((OWN, Stream::Stdout), route, fd),
                Some(ToLogger::Audit { route }) => {
                    self.add_route((AUDIT, Stream::Stdout), route, fd);
                }
                Some(ToLogger::Store { number, path }) => {
                    let path = Path::new(OsStr::from_bytes(path.bytes()));
                    let answer = store(number, path, fd.as_ref(), MODE);
                    if let Some(daemon) = &mut self.daemon {
                        daemon.tell(&answer);
                    }
                }
                Some(ToLogger::StorePrivate { number, path }) => {
                    let path = Path::new(OsStr::from_bytes(path.bytes()));
                    let answer = store(number, path, fd.as_ref(), PRIVATE_MODE);
                    if let Some(daemon) = &mut self.daemon {
                        daemon.tell(&answer);
                    }
                }
                Some(ToLogger::Open { number, path }) => self.open(number, &path),
                Some(ToLogger::Clear { number, path }) => self.clear(number, &path),
                Some(ToLogger::Count { number }) => self.count(number),
                None => say("logger: the daemon sent a message that is not understood"),
            }
            buffer = self.buffer();
        }
        self.buffer = buffer;
    }

    /// Sets a timer unless it is set already.
    pub(super) fn schedule(&mut self, span: Span, timer: Timer) {
        if !self.timers.iter().any(|(_, set)| *set == timer) {
            self.timers.insert((self.now + span, timer));
        }
    }

    /// Takes the buffer for messages, or a new one where it is in use.
    fn buffer(&mut self) -> Vec<u8> {
        match std::mem::take(&mut self.buffer) {
            buffer if buffer.is_empty() => vec![0; BUFFER],
            buffer => buffer,
        }
    }
}
