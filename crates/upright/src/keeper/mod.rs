//! The keeper: parent of every process, owner of what must outlive a crash, PID 1 where we are init.
//!
//! It holds the facts of the kernel and decides nothing but when to start its own peers again. One
//! loop, no disk, no lock, nothing that waits; memory is asked for and done without where refused.
//! What is to be told is a bit in a row, not a queue, so a daemon that is dead, slow or hung loses
//! nothing and costs nothing.

pub(crate) mod facts;
pub(crate) mod handover;
mod held;
mod lives;
mod orphans;
mod peer;
mod probation;
mod proof;
mod rehearsal;
mod requests;
mod streams;
mod table;
mod telling;

use crate::supervisord::front::Read;
use crate::supervisord::options::NAME;
use engine::keeper::held as held_keys;
use engine::keeper::{End, LogWire, NotUpgraded, Replaced, ToKeeper, ANEW, MESSAGE_MAX};
use engine::process::{Exit, Pid, Slot};
use engine::time::{Mono, Span};
use facts::Facts;
use handover::{Identity, Kin, Performance};
use held::{Heirs, Held};
use lives::Lives;
use orphans::Orphans;
use peer::{Again, Heard, Peer};
use probation::Probation;
pub use proof::wait as be_proof;
pub use rehearsal::run as rehearse;
use rehearsal::Rehearsal;
use std::collections::VecDeque;
use std::ffi::CString;
use std::os::fd::OwnedFd;
use sys::epoll::{Epoll, Interest, Ready};
use sys::ground::Grounds;
use sys::limits::Inherited;
use sys::own::{Argv, Binary};
use sys::signals::{Arrived, SignalFd, SignalSet};
use sys::wait::{change, Change, Whom};
use sys::{memfd, pidfd, seqpacket, Errno};
use table::{is_loose, tighten_queue, Index, Table};
use telling::Stage;

/// The signals that are the daemon's to answer: INT, TERM, HUP, QUIT, USR1, USR2, WINCH, PWR, and
/// RTMIN+3, which container engines send an entry point that is called init.
const TOLD: [u8; 9] = [1, 2, 3, 10, 12, 15, 28, 30, 37];

/// SIGCHLD.
const CHILD: u8 = 17;

/// How long a child may take to set itself up.
const SETUP: Span = Span::secs(30);

/// How long the logger may take to write what is left when everything ends.
const FINISH: Span = Span::secs(5);

/// The buffer for messages. Longer than what the allocator begins with: then it is mapped by itself,
/// and what no message ever filled takes no memory.
const BUFFER: usize = 3 * MESSAGE_MAX;

/// How many events, messages and exits are taken in one turn of the loop.
const EVENTS: usize = 64;

/// Few messages: each may be a spawn, whose report is a descriptor until it is read, and which has a
/// port of the few that there are until it has left our table of descriptors.
const MESSAGES: usize = 16;

const EXITS: usize = 512;

/// How many ends the daemon may have asked for and not been lent; it is lent no more than that.
const LEND_MAX: usize = 64;

/// How many messages a dead peer's channel can possibly still have.
const LEFT_OVER: usize = 4096;

/// What an event is about. The report of row n is `REPORT + n`, its process that is no child of ours
/// `FOSTERED + n`.
const SIGNALS: u64 = 0;
const DAEMON: u64 = 1;
const LOGGER: u64 = 2;
const REPORT: u64 = 1 << 32;
const FOSTERED: u64 = 1 << 33;

/// How often it is looked whether a process that has ended was reaped, by whoever is its parent, and
/// for how long.
const LOOK: Span = Span::millis(5);
const REAPED: Span = Span::secs(2);

/// Runs the keeper with the arguments that the process was started with; returns its exit status.
pub fn run(arguments: Vec<CString>) -> i32 {
    run_with(arguments, None)
}

/// The same, with what the first daemon is to read.
pub fn run_with(arguments: Vec<CString>, read: Option<Read>) -> i32 {
    sys::entry::close_from(3);
    let inherited = Inherited::capture();
    prepare();
    show(&arguments);
    begin(&inherited, &arguments, read)
}

/// Runs a first keeper, and another one as often as everything is to begin anew.
fn begin(inherited: &Inherited, arguments: &[CString], mut read: Option<Read>) -> i32 {
    loop {
        let made = Keeper::new(inherited.clone(), arguments.to_vec()).map(|mut keeper| {
            // Without memory for it the daemon reads what it may.
            let file = read.take().map(|read| memfd::sealed(c"upright-read", read.bytes()));
            if let Some(Ok(file)) = file {
                keeper.held.hold(held_keys::READ, file);
            }
            keeper.run()
        });
        match made {
            Ok(ANEW) => {}
            Ok(code) => return code,
            Err(errno) => {
                sys::say::line(format_args!("upright: cannot start: {}", sys::say::Why(errno)));
                return 1;
            }
        }
    }
}

/// Runs a keeper that goes on with what another has left; returns its exit status.
pub fn go_on(arguments: &[CString]) -> i32 {
    prepare();
    let left = arguments.get(2).map_or(c"", CString::as_c_str);
    let back = arguments.get(3).is_some_and(|word| word.as_c_str() == handover::BACK);
    let performance = if back { Performance::Back } else { Performance::Real };
    let resumed = Keeper::resume(left, performance).map(|keeper| {
        keeper.map(|mut keeper| {
            let cause = arguments.get(4).map(|word| sys::lifeline::cause(word.to_bytes()));
            keeper.identity.given_up = cause.filter(|_| back);
            keeper.begin_probation();
            keeper
        })
    });
    match resumed {
        Ok(Some(mut keeper)) => match keeper.shown().run() {
            ANEW => {
                let (inherited, own) = (keeper.inherited.clone(), keeper.identity.clone());
                drop(keeper);
                begin(&inherited, &own.arguments, None)
            }
            code => code,
        },
        Ok(None) => 0,
        Err(why) => {
            sys::say::line(format_args!("upright: the keeper cannot go on: {why}"));
            sys::lifeline::go_back();
            1
        }
    }
}

/// Makes the process what a keeper must be.
fn prepare() {
    sys::signals::reset_dispositions();
    sys::signals::block(SignalSet::ALL);
    sys::limits::raise_descriptors();
    if sys::own::is_first() {
        sys::first::take_keys();
    } else if let Err(errno) = sys::own::become_subreaper() {
        sys::say::line(format_args!(
            "upright: cannot become the parent of orphans: {}; daemons that fork are not followed",
            sys::say::Why(errno)
        ));
    }
}

/// Shows the process under its name: what looks for `supervisord` finds it.
fn show(arguments: &[CString]) {
    const SUPERVISORD: &[u8] = NAME.as_bytes();
    match arguments.first().map(|name| name.as_bytes()) {
        Some(SUPERVISORD) => sys::entry::show_as(c"supervisord"),
        Some(_) | None => sys::entry::show_as(c"upright-keeper"),
    }
}

struct Keeper {
    epoll: Epoll,
    signals: SignalFd,
    own: Binary,
    null: Option<OwnedFd>,
    inherited: Inherited,
    identity: Identity,
    heirs: Heirs,
    facts: Facts,
    grounds: Grounds,
    table: Table,
    orphans: Orphans,
    held: Held,
    daemon: Peer,
    logger: Peer,
    stage: Stage,
    /// Signals that the present daemon has not been told of.
    arrived: SignalSet,
    /// Signals that no daemon has journalled.
    unseen: SignalSet,
    /// A request for which there was no memory; nothing more is heard until that is told.
    refused: Option<(Slot, Errno)>,
    /// Rows in set-up by the time at which that has failed; those that are through stay until then
    /// or until they are first.
    deadlines: VecDeque<(Mono, Index, Slot)>,
    /// Processes that are no children of ours, have ended and are not reaped, with when that was seen.
    unreaped: VecDeque<(Mono, Index, Slot)>,
    /// Another binary that shows that it can take over.
    rehearsal: Option<Rehearsal>,
    /// The time in which the binary before would go on again.
    probation: Option<Probation>,
    /// What the heir that has started this keeper waits at.
    heir: Option<OwnedFd>,
    /// Why another binary could not be gone on in, until the daemon is told.
    not_upgraded: Option<NotUpgraded>,
    /// Ends that the daemon has asked for and was not lent yet.
    to_lend: VecDeque<(Slot, End)>,
    ending: Option<Ending>,
    buffer: Vec<u8>,
    reap_again: bool,
    found_strange: bool,
    /// Whether memory is to be given back in the next quiet moment.
    bulky: bool,
    now: Mono,
}

/// Everything ends.
#[derive(Clone, Copy)]
struct Ending {
    code: i32,
    by: Mono,
    finish: Finish,
}

/// Whether the logger was told to finish.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Finish {
    Told,
    Untold,
}

impl Keeper {
    /// Makes the first keeper of all.
    fn new(inherited: Inherited, arguments: Vec<CString>) -> Result<Keeper, Errno> {
        let own = Identity {
            named: sys::own::pid(),
            upgrades: 0,
            replaced: Replaced::No,
            kin: Kin::Own,
            given_up: None,
            lives: Lives::new(),
            arguments,
        };
        let mut keeper = Keeper::bare(inherited, own)?;
        let (facts, copy) = Facts::new(keeper.heirs)?;
        keeper.facts = facts;
        if let Some(copy) = copy {
            keeper.held.hold(facts::KEY, copy);
        }
        keeper.leave_origin();
        Ok(keeper)
    }

    /// Makes a keeper that has nothing yet.
    fn bare(inherited: Inherited, identity: Identity) -> Result<Keeper, Errno> {
        let watched = TOLD.iter().fold(SignalSet::NONE.with(CHILD), |set, one| set.with(*one));
        let signals = SignalFd::new(watched)?;
        let epoll = Epoll::new(EVENTS)?;
        epoll.add(&signals, SIGNALS, Interest::Read)?;
        let daemon = [c"upright-daemon".to_owned(), c"--role=daemon".to_owned()];
        let arguments = identity.arguments.iter().cloned();
        let daemon = Argv::new(daemon.into_iter().chain(arguments).collect());
        let logger = Argv::new(vec![c"upright-logger".to_owned(), c"--role=logger".to_owned()]);
        let heirs = if sys::own::is_first() { Heirs::None } else { Heirs::Some };
        Ok(Keeper {
            epoll,
            signals,
            own: Binary::open()?,
            null: None,
            inherited,
            identity,
            heirs,
            facts: Facts::default(),
            grounds: Grounds::new(),
            table: Table::new(heirs),
            orphans: Orphans::default(),
            held: Held::new(heirs),
            daemon: Peer::new("daemon", DAEMON, daemon),
            logger: Peer::new("logger", LOGGER, logger),
            stage: Stage::Welcome,
            arrived: SignalSet::NONE,
            unseen: SignalSet::NONE,
            refused: None,
            deadlines: VecDeque::new(),
            unreaped: VecDeque::new(),
            rehearsal: None,
            probation: None,
            heir: None,
            not_upgraded: None,
            to_lend: VecDeque::with_capacity(LEND_MAX),
            ending: None,
            buffer: vec![0; BUFFER],
            reap_again: true,
            found_strange: false,
            bulky: false,
            now: sys::clock::monotonic(),
        })
    }

    fn shown(&mut self) -> &mut Keeper {
        show(&self.identity.arguments);
        self
    }

    fn run(&mut self) -> i32 {
        let mut batch = Vec::with_capacity(EVENTS);
        loop {
            self.now = sys::clock::monotonic();
            self.expire();
            self.cut_rehearsal();
            self.look_again();
            self.start_what_is_due();
            self.keep_way_back();
            self.outlive_probation();
            self.tell();
            self.pass();
            self.let_heir_go();
            if self.reap_again && self.reap() {
                self.keep_way_back();
                self.tell();
                self.pass();
            }
            if let Some(code) = self.end() {
                return code;
            }
            self.watch();
            batch.clear();
            let timeout = self.timeout();
            let (table, deadlines) = (&mut self.table, &mut self.deadlines);
            self.bulky |= table.is_loose() || is_loose(deadlines.capacity(), deadlines.len());
            let rest = || {
                table.tighten();
                tighten_queue(deadlines, 0);
            };
            if let Ok(ready) = self.epoll.wait_at_rest(timeout, &mut self.bulky, rest) {
                batch.extend(ready.take(EVENTS));
            }
            self.now = sys::clock::monotonic();
            batch.iter().for_each(|ready| self.handle(*ready));
            self.grounds.trim();
        }
    }

    fn handle(&mut self, ready: Ready) {
        match ready.token {
            SIGNALS => self.signalled(),
            DAEMON => {
                if ready.writable {
                    self.daemon.has_room();
                }
                if ready.hangup {
                    self.refused = None;
                }
                if ready.readable || ready.hangup {
                    self.hear_daemon(MESSAGES);
                }
            }
            LOGGER => {
                if ready.writable {
                    self.logger.has_room();
                }
                if ready.readable || ready.hangup {
                    self.hear_logger(MESSAGES);
                }
            }
            row if row >= FOSTERED => {
                if let Ok(index) = Index::try_from(row - FOSTERED) {
                    self.look_at(index, self.now);
                }
            }
            report => {
                if let Ok(index) = Index::try_from(report.wrapping_sub(REPORT)) {
                    self.table.progress(&self.epoll, index);
                }
            }
        }
    }

    fn signalled(&mut self) {
        let Arrived { signals, child } = self.signals.take_all();
        for signal in TOLD.into_iter().filter(|signal| signals.has(*signal)) {
            self.arrived = self.arrived.with(signal);
            self.unseen = self.unseen.with(signal);
        }
        if !signals.has(CHILD) {
            return;
        }
        // The one that the kernel names is told first: to look for others it goes through all
        // children, which is done while the daemon is at work already.
        self.reap_again = true;
        if let Some((pid, change)) = child.and_then(|pid| change(Whom::Pid(pid))) {
            self.changed(pid, change);
        }
    }

    /// Takes what has become of children; reports whether there was anything.
    fn reap(&mut self) -> bool {
        for taken in 0..EXITS {
            let Some((pid, change)) = change(Whom::Any) else {
                self.reap_again = false;
                return taken > 0;
            };
            self.changed(pid, change);
        }
        true
    }

    fn changed(&mut self, pid: Pid, change: Change) {
        match (self.table.find_pid(pid), change) {
            (Some(index), Change::Exited(exit)) => {
                self.grounds.ended(pid, exit);
                self.ended(index, exit);
            }
            (Some(index), Change::Stopped(signal)) => {
                self.table.stopped(&self.epoll, index, signal)
            }
            (None, Change::Exited(exit)) if self.daemon.pid() == Some(pid) => {
                self.hear_last_of_daemon();
                let again = if self.ending.is_some() { Again::No } else { Again::Yes };
                self.daemon.ended(exit, again, &self.epoll, self.now);
            }
            (None, Change::Exited(exit)) if self.logger.pid() == Some(pid) => {
                self.hear_logger(LEFT_OVER);
                let told = self.ending.is_some_and(|ending| ending.finish == Finish::Told);
                let again = if told { Again::No } else { Again::Yes };
                self.logger.ended(exit, again, &self.epoll, self.now);
            }
            (None, Change::Exited(exit)) if self.is_rehearsed_by(pid) => self.rehearsed(exit),
            (None, Change::Exited(exit)) => self.orphans.ended(pid, exit),
            (None, Change::Stopped(_)) => {}
        }
    }

    fn ended(&mut self, index: Index, exit: Exit) {
        self.table.ended(&self.epoll, index, exit);
        if let Some(row) = self.table.row(index) {
            self.facts.note(index, row);
        }
    }

    /// Looks whether a process that is no child of ours has ended, which was first seen at `since`.
    fn look_at(&mut self, index: Index, since: Mono) {
        let Some(row) = self.table.row(index) else { return };
        let (slot, Some(foster), Some(pid)) = (row.slot, &row.foster, row.pid()) else { return };
        match sys::pidfd::end(foster, pid) {
            pidfd::End::Over(exit) => self.ended(index, exit),
            // Whoever is its parent does not look after its children.
            pidfd::End::NotOver if self.now.since(since) > REAPED => {
                self.ended(index, Exit::Unknown)
            }
            pidfd::End::NotOver => {
                if self.unreaped.try_reserve(1).is_ok() {
                    self.unreaped.push_back((since, index, slot));
                }
            }
        }
    }

    fn look_again(&mut self) {
        for _ in 0..self.unreaped.len() {
            let Some((since, index, slot)) = self.unreaped.pop_front() else { return };
            if self.table.row(index).is_some_and(|row| row.slot == slot) {
                self.look_at(index, since);
            }
        }
    }

    /// Hears what a daemon said before it ended; what is refused now is not in the table, where the
    /// next one looks.
    fn hear_last_of_daemon(&mut self) {
        for _ in 0..LEFT_OVER {
            self.refused = None;
            self.hear_daemon(LEFT_OVER);
            if self.refused.is_none() {
                return;
            }
        }
    }

    fn hear_daemon(&mut self, most: usize) {
        let mut buffer = std::mem::take(&mut self.buffer);
        for _ in 0..most {
            if self.refused.is_some() || self.ending.is_some() {
                break;
            }
            match self.daemon.hear(&mut buffer) {
                Heard::Message(mut received) => {
                    let mut rest = buffer.get(..received.length).unwrap_or(&[]);
                    loop {
                        let (message, others) = ToKeeper::split(rest);
                        self.request(message, &mut received.fds);
                        self.keep_way_back();
                        rest = others;
                        if rest.is_empty() {
                            break;
                        }
                    }
                }
                Heard::Nothing => break,
                Heard::End => {
                    self.daemon.hang_up(&self.epoll);
                    self.daemon.end();
                    break;
                }
            }
        }
        self.buffer = buffer;
    }

    fn hear_logger(&mut self, most: usize) {
        let mut buffer = std::mem::take(&mut self.buffer);
        for _ in 0..most {
            match self.logger.hear(&mut buffer) {
                Heard::Message(received) => {
                    let message = buffer.get(..received.length).unwrap_or(&[]);
                    match LogWire::decode(message) {
                        Some(LogWire::Eof { slot, stream }) => {
                            if let Some(index) = self.table.find(slot) {
                                self.table.read_out(index, stream);
                            }
                        }
                        Some(LogWire::Again { slot, stream }) => {
                            if let Some(index) = self.table.find(slot) {
                                self.table.pass_again(index, stream);
                            }
                        }
                        Some(LogWire::Ready) => {
                            self.logger.ready();
                            self.bulky = true;
                        }
                        Some(
                            LogWire::Pipe { .. }
                            | LogWire::Daemon
                            | LogWire::Held { .. }
                            | LogWire::Drop { .. }
                            | LogWire::End { .. }
                            | LogWire::Finish,
                        )
                        | None => {}
                    }
                    self.keep_way_back();
                }
                Heard::Nothing => break,
                Heard::End => {
                    self.logger.hang_up(&self.epoll);
                    self.logger.end();
                    break;
                }
            }
        }
        self.buffer = buffer;
    }

    /// Fails the set-ups that have taken too long. Their processes are ended, where the kernel can.
    fn expire(&mut self) {
        while let Some((at, index, slot)) = self.deadlines.front().copied() {
            let row = self.table.row(index).filter(|row| row.slot == slot && row.is_spawning());
            if row.is_some() && at > self.now {
                return;
            }
            self.deadlines.pop_front();
            if let Some(pid) = row.and_then(|row| row.pid()) {
                self.table.timed_out(&self.epoll, index);
                let _ = sys::signals::send(pid, engine::signal::Signal::KILL);
            }
        }
    }

    fn start_what_is_due(&mut self) {
        if self.daemon.is_due(self.now) && self.ending.is_none() && self.start_daemon() {
            self.link();
        }
        if self.logger.is_due(self.now) && self.start_logger() {
            self.link();
        }
    }

    fn start_daemon(&mut self) -> bool {
        if let Err(errno) = self.daemon.start(&self.own, &self.epoll, self.now) {
            let why = sys::say::Why(errno);
            sys::say::line(format_args!("upright: cannot start the daemon: {why}; trying again"));
            return false;
        }
        self.stage = Stage::Welcome;
        self.arrived = self.unseen;
        self.to_lend.clear();
        self.held.tell_all();
        self.table.tell_all();
        self.orphans.tell_all();
        true
    }

    fn start_logger(&mut self) -> bool {
        if let Err(errno) = self.logger.start(&self.own, &self.epoll, self.now) {
            let why = sys::say::Why(errno);
            sys::say::line(format_args!("upright: cannot start the logger: {why}; trying again"));
            return false;
        }
        self.held.pass_all();
        self.table.pass_all();
        true
    }

    /// Makes the channel between daemon and logger anew, as one of them is new. Without descriptors
    /// for it they work without: output is written, but nobody can ask for its end.
    fn link(&mut self) {
        match seqpacket::pair() {
            Ok((daemon, logger)) => {
                self.daemon.link = Some(daemon);
                self.logger.link = Some(logger);
            }
            Err(errno) => {
                let why = sys::say::Why(errno);
                sys::say::line(format_args!("upright: cannot connect daemon and logger: {why}"));
            }
        }
    }

    /// Returns the exit status once everything has ended, or had the time to.
    fn end(&mut self) -> Option<i32> {
        let ending = self.ending?;
        // A logger that ended before it could finish is started once more for what is left.
        self.daemon.stop_starting();
        if ending.finish == Finish::Told || !self.table.has_output() {
            self.logger.stop_starting();
        }
        let over = self.daemon.is_over() && self.logger.is_over();
        if !over && ending.by > self.now {
            return None;
        }
        self.daemon.end();
        self.logger.end();
        Some(ending.code)
    }

    fn watch(&mut self) {
        let daemon = match self.refused {
            None => Interest::Read,
            Some(_) => Interest::Nothing,
        };
        self.daemon.watch(&self.epoll, daemon);
        self.logger.watch(&self.epoll, Interest::Read);
    }

    /// Returns how long to wait for an event, in nanoseconds; nothing: for ever.
    fn timeout(&self) -> Option<u64> {
        if self.reap_again {
            return Some(0);
        }
        let daemon = self.daemon.due();
        let logger = self.logger.due();
        let setup = self.deadlines.front().map(|(at, ..)| *at);
        let ending = self.ending.map(|ending| ending.by);
        let look = (!self.unreaped.is_empty()).then(|| self.now + LOOK);
        let rehearsal = self.rehearsal.as_ref().map(|rehearsal| rehearsal.until);
        let probation = self.probation.as_ref().map(|probation| probation.until);
        let lives = self.identity.lives.until;
        let next = [daemon, logger, setup, ending, look, rehearsal, probation, lives];
        let next = next.into_iter().flatten().min()?;
        Some(next.since(self.now).0)
    }
}
