//! The daemon: the engine and its event loop. One thread, one epoll.
//!
//! One turn: wait, take the whole batch, order it (exits and readiness, deadlines, requests, new
//! connections), handle, write the turn into the journal, perform the effects in order, flush.
//! `inputs` is the only file that makes inputs, `effects` the only one that performs effects.

mod applying;
mod audit;
mod autologs;
mod bus;
mod catalogue;
mod cgroups;
mod chronicle;
mod connections;
mod dbus;
mod effects;
mod files;
mod gateway;
mod groups;
mod hosts;
mod http;
mod inputs;
mod intents;
mod journal;
mod lending;
mod lines;
mod link;
mod loading;
mod locks;
mod logs;
mod lookup;
mod nobody;
mod orphans;
mod outputs;
mod planning;
mod pools;
mod programs;
mod prospect;
mod reloading;
mod rescue;
mod rights;
mod settings;
mod shared;
mod sockets;
pub(crate) mod sources;
mod speeches;
mod startup;
mod streams;
mod succession;
mod talk;
mod telling;
mod tokens;
mod upgrade;
mod variables;
mod watching;

use crate::keeper::handover::Kin;
use crate::options::{self, Asked};
use applying::Applying;
use audit::Audit;
use catalogue::Catalogue;
use cgroups::Groups;
use chronicle::Chronicle;
use connections::{ConnectionId, Connections};
use dbus::Dbus;
use engine::control::rights::Rights;
use engine::machine::request::{Reply, RequestId};
use engine::machine::{Effect, Engine, Input, Level};
use engine::process::{Pid, Slot};
use engine::signal::Signal;
use engine::time::{Mono, Span};
use files::Files;
use gateway::Gateways;
use http::Http;
use journal::Journal;
use lending::Lending;
use link::Link;
use logs::Logs;
use lookup::Lookups;
use pools::Pools;
use programs::Programs;
use rights::Accounts;
use settings::Settings;
use shared::Shared;
use speeches::Speeches;
use startup::Refused;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use sys::epoll::{Epoll, Interest, Ready};
use talk::{Grade, Voice};
use tokens::Keeping;
use upgrade::Trial;
use watching::Watching;

/// How much processor time one turn may use; a daemon that spins is ended, and a new one begins
/// where it was.
const TURN_CPU: Span = Span::secs(20);

/// The limit is set anew when it is older than this; a turn has that much less at most.
const TURN_CPU_SLACK: Span = Span::secs(1);

/// How long an answer that quotes a job's last lines waits for them.
const DRAIN_TIMEOUT: Span = Span::millis(500);

/// A turn with this many effects needed memory that is given back in the next quiet moment.
const BUSY: usize = 256;

/// Room for so many effects is kept from turn to turn.
const IN_LINE_KEPT: usize = 16;

/// How often it is counted what is left of a job whose processes are somebody else's children.
const RECOUNT: Span = Span::millis(20);

/// How many bytes of a job's output are quoted.
const TAIL: u32 = 2048;

/// How long the keeper is given to tell more of what it could not tell before.
const BREATH: Span = Span::millis(2);

const KEEPER: u64 = 1;
const LOGGER: u64 = 2;
const CONTROL: u64 = 3;
const SESSION: u64 = 4;
const WATCH: u64 = 5;
const DBUS: u64 = 6;
const TRIAL: u64 = 7;
const HTTP: u64 = 8;

/// The daemon's state beside the engine's. None of it needs to survive.
struct Daemon {
    engine: Engine,
    settings: Settings,
    voice: Voice,
    epoll: Epoll,
    link: Link,
    /// Whether the keeper has to read before more can be sent.
    keeper_full: bool,
    /// What its channel is watched for.
    watched: Interest,
    logger: Option<OwnedFd>,
    listeners: Vec<(u64, UnixListener)>,
    connections: Connections,
    /// Who may do what.
    rights: Rights,
    /// When it is looked whether a token has ended that reads along.
    tokens_due: Option<Mono>,
    /// How far the disk is behind with tokens.
    keeping: Keeping,
    /// What users and groups are called.
    accounts: Accounts,
    journal: Option<Journal>,
    /// Effects that are still to be done, in order.
    todo: VecDeque<Effect>,
    /// What the daemon found out by itself while it performed effects.
    news: VecDeque<Input>,
    /// Connections to flush at the end of the turn.
    touched: BTreeSet<ConnectionId>,
    /// Answers that wait for a job's last lines.
    drains: Vec<Drain>,
    /// Ends of processes' pipes that the keeper has lent or is asked for.
    lending: Lending,
    /// What the logger is asked for by clients.
    logs: Logs,
    /// Whether the state directory is this Upright's.
    state_locked: bool,
    /// Users and groups that a name service is asked for.
    lookups: Lookups,
    /// What programs say for others to hear.
    speeches: Speeches,
    /// What the keeper was started with.
    arguments: Vec<CString>,
    /// Another binary that is being tried.
    trial: Option<Trial>,
    /// Why the one before was given up again, in a sentence.
    upgrade_given_up: Option<String>,
    /// Slots whose leftovers are being ended.
    sweeping: BTreeMap<Slot, Signal>,
    /// Mains that have ended and whose groups, under these numbers, live on.
    lingering: BTreeMap<Slot, Pid>,
    /// Slots whose original has ended as `expect` wanted: the end of what it left may be among those
    /// of orphans.
    following: BTreeSet<Slot>,
    /// Where the stacks of originals of `expect` began, while their daemons are not known.
    stacks: BTreeMap<Slot, u64>,
    /// Output that could not be written, by slot, in a sentence.
    troubles: BTreeMap<Slot, String>,
    /// When the limit of a turn's processor time was set.
    armed: Mono,
    /// Whether memory is to be given back in the next quiet moment.
    bulky: bool,
    /// What is journalled and need not be told to a later daemon.
    seen: Seen,
    /// What had to be given up at the start, in a sentence.
    given_up: Option<String>,
    /// Whether it was said that there can be no journal.
    journal_lost: bool,
    /// Connections that have sent more calls than one turn took.
    again: BTreeSet<ConnectionId>,
    /// Descriptors that came with events.
    files: Files,
    /// Pools of event listeners.
    pools: Pools,
    /// Sockets that jobs share.
    shared: Shared,
    /// Who answers clients that do not speak our own protocol.
    gateways: Gateways,
    /// D-Bus clients.
    dbus: Dbus,
    /// Servers for Supervisor's clients.
    http: Http,
    /// The control groups of instances.
    groups: Groups,
    /// Every job with its files.
    catalogue: Catalogue,
    /// Files that are being put in force.
    applying: Applying,
    /// The directories of the job files.
    watching: Watching,
    /// The programs of Supervisor's configuration.
    programs: Programs,
    /// The log of Supervisor's daemon, where this one stands in for it.
    chronicle: Option<Chronicle>,
    /// The log of who did what; none: it is not kept.
    audit: Option<Audit>,
    /// The level that the journal has.
    level: Level,
    /// How many turns in a row had more of the keeper's news than time.
    behind: u32,
    standing: Standing,
}

/// News of the keeper's that it tells again until it is told that they are journalled.
#[derive(Default)]
struct Seen {
    /// The last orphan's exit.
    orphan: u64,
    /// Whether one has come since the leftovers were last counted.
    uncounted: bool,
    /// Signals.
    signals: BTreeSet<u8>,
}

/// How far the daemon has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// What its start has to do is not all done; should it die, the keeper counts that.
    Starting,
    /// It goes on from turn to turn.
    Going,
    /// The keeper has been told to end.
    Over,
    /// The keeper is gone, which was not to be.
    Lost,
}

/// An answer that waits for the last lines of a slot's output.
struct Drain {
    slot: Slot,
    until: Mono,
    request: RequestId,
    reply: Reply,
}

/// Runs the daemon with the arguments that the keeper was started with; returns its exit status. Ends only when the keeper is gone or says so.
pub fn run(arguments: Vec<CString>) -> i32 {
    let options = match options::read(&options::words(arguments.clone())) {
        Ok(Asked::Run(options)) => *options,
        Ok(Asked::Print(_)) | Err(_) => return 2,
    };
    let Some(channel) = sys::own::channel() else {
        sys::say::line(format_args!("upright-daemon: is started by the keeper only"));
        return 2;
    };
    match startup::begin(options, Link::new(channel)) {
        Ok(mut daemon) => {
            daemon.arguments = arguments;
            let code = daemon.serve();
            // The kernel takes it back at once; piece by piece it would take as long as all the stops.
            std::mem::forget(daemon);
            code
        }
        // The keeper has been told to end; what is wrong was said to whoever looks.
        Err(Refused::Usage) => 0,
        Err(Refused::Start(why)) => {
            sys::say::line(format_args!("init: cannot start: {why}"));
            1
        }
    }
}

impl Daemon {
    fn serve(&mut self) -> i32 {
        self.end_turn();
        loop {
            match self.standing {
                Standing::Starting | Standing::Going => self.turn(),
                Standing::Over => return 0,
                Standing::Lost => return self.lose_keeper(),
            }
        }
    }

    fn turn(&mut self) {
        let now = sys::clock::monotonic();
        let deadlines = [
            self.engine.next_deadline(),
            self.drains.iter().map(|drain| drain.until).min(),
            self.connections.next_deadline(),
            self.lending.due(),
            self.logs.due(),
            self.tokens_due,
            self.lookups.next_deadline(),
            self.watching.due().filter(|_| !self.applying.holds()),
            self.applying.due(),
            self.trial.as_ref().map(Trial::until),
            self.recount_due(now),
            self.groups.due(),
        ];
        let first = deadlines.into_iter().flatten().min();
        let read = self.catalogue.is_settled() || self.applying.holds();
        let quiet = self.news.is_empty() && !self.applying.is_ready();
        let idle = quiet && self.again.is_empty() && read;
        let timeout = match (idle, first) {
            (false, _) => Some(0),
            (true, Some(_)) if self.behind > 0 => Some(BREATH.0),
            (true, Some(at)) => Some(at.since(now).0),
            (true, None) => None,
        };
        let mut busy = self.bulky;
        let rest = || {
            self.engine.rest();
            self.catalogue.rest();
        };
        let waited = self.epoll.wait_at_rest(timeout, &mut busy, rest);
        let waited = waited.map(Iterator::collect::<Vec<Ready>>);
        // After a pause it is what is done next that tells: who only asks leaves nothing to give back.
        self.bulky = busy && !self.epoll.resumed();
        let ready = waited.unwrap_or_else(|errno| {
            self.say(Level::Error, &format!("waiting failed: {errno}"));
            Vec::new()
        });
        if now.since(self.armed) > TURN_CPU_SLACK {
            sys::timer::arm(TURN_CPU);
            self.armed = now;
        }
        self.take_batch(&ready);
        self.end_turn();
    }

    /// Returns when it is to be counted again what is left of jobs, where nobody tells.
    fn recount_due(&self, now: Mono) -> Option<Mono> {
        let waited_for = !self.sweeping.is_empty() || !self.lingering.is_empty();
        (self.settings.kin == Kin::Foster && waited_for).then(|| now + RECOUNT)
    }

    /// Performs what the turn decided, now that it is recorded, and sends what there is to send.
    fn end_turn(&mut self) {
        if self.keep_journal() {
            self.perform_todo();
            self.keep_journal();
        }
        self.say_ready();
        self.give_up_gateways();
        self.forget_files();
        self.close_shared();
        self.connections.send_all_notices();
        self.write_audit();
        let ids = match self.todo.is_empty() {
            true => std::mem::take(&mut self.touched).into_iter().collect(),
            false => Vec::new(),
        };
        let ids: BTreeSet<ConnectionId> =
            ids.into_iter().chain(self.connections.with_output()).collect();
        ids.into_iter().for_each(|id| self.flush(id));
        while let Some(id) = self.connections.greediest() {
            self.close(id);
        }
        let interest = if self.keeper_full { Interest::Both } else { Interest::Read };
        if interest != self.watched {
            // Takes no memory, so it cannot fail for a channel that is open.
            let _ = self.epoll.modify(self.link.fd(), KEEPER, interest);
            self.watched = interest;
        }
    }

    fn flush(&mut self, id: ConnectionId) {
        if !self.connections.flush(id, &self.epoll) {
            self.close(id);
        } else if self.connections.is_ready(id) {
            self.again.insert(id);
        }
    }

    fn close(&mut self, id: ConnectionId) {
        if let Some(request) = self.connections.close(id, &self.epoll) {
            self.news.push_back(Input::Gone(request));
        }
    }

    fn say(&self, level: Level, line: &str) {
        if let Some(chronicle) = &self.chronicle {
            chronicle.write(Grade::of(level), line);
        } else if level >= self.engine.level() {
            self.voice.say(level, line);
        }
    }
}
