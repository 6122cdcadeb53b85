//! The machine: instances, events and requests, and what becomes of them.
//!
//! [`Engine::handle`] takes one piece of news and appends what is to be done; [`Engine::next_deadline`]
//! says when time itself is news. Same inputs, same effects. Nothing recurses: an event that is
//! emitted is put in line, a released instance moves on until something holds it again, and a turn
//! is cut off after [`TURN_STEPS`] steps, to be continued by the next one.

mod audit;
mod budget;
mod cause;
mod changes;
mod check;
mod condition;
#[cfg(test)]
mod costs;
mod deadlines;
mod environment;
mod essential;
mod event;
mod exits;
mod history;
mod input;
mod instance;
mod intents;
mod job;
mod jobs;
mod ledger;
mod lifecycle;
mod look;
mod offering;
mod orders;
mod owed;
#[cfg(feature = "planted")]
mod planted;
mod program;
mod programs;
mod ready;
mod reports;
pub mod request;
mod requests;
mod respawn;
mod rest;
mod ring;
mod shutdown;
pub mod state;
mod timeline;
mod variables;
mod why;

pub use budget::Budget;
pub use changes::Changes;
pub use event::{Emitted, EventId, CHAIN_MAX, EMITTED};
pub use history::{Entry, History, Note, HISTORY_MAX, PAST_MAX};
pub use input::{
    Candidate, Effect, Input, JobChange, Level, Notice, Probation, ProgramNews, ShutdownKind,
    SignalScope, SpawnOrder,
};
pub use instance::{Due, Hold, Instance, Process, Remaining, Waiter, Warning};
pub(crate) use owed::Belief;
#[cfg(feature = "planted")]
pub use planted::Bug;
pub use requests::Found;
pub use variables::{Variation, Whose};

use crate::intent::Intended;
use crate::list::List;
use crate::names::{EventName, InstanceName, JobName};
use crate::process::{InstanceId, Slot};
use crate::shared::Shared;
use crate::text::Text;
use crate::time::{Mono, Span};
use crate::view::Asker;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;
use budget::Spent;
use check::Check;
use event::Event;
use history::Remembering;
use job::Job;
use ledger::Ledger;
use request::RequestId;
use requests::{Answered, Pending};
use serde::{Deserialize, Serialize};
use shutdown::Shutdown;

/// How many events are offered or finished in one turn. Two jobs that start each other for ever
/// reach it; everything else goes on between the turns.
pub const TURN_STEPS: u32 = 20_000;

/// How many events may be on their way at once; a request for one more is refused.
pub const EVENTS_MAX: usize = 100_000;

/// Room for how many steps is kept from turn to turn.
const WORK_KEPT: usize = 64;

/// How many requests may wait at once; one more is refused.
pub const REQUESTS_MAX: usize = 10_000;

/// How long the keeper may take for one spawn before the step is taken to hang.
pub const SPAWN_TIMEOUT: Span = Span::secs(30);

/// How long after KILL a process that is still there is reported as one that cannot be killed.
pub const UNKILLABLE_AFTER: Span = Span::secs(10);

/// What the machine is told once, at its start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// The environment that every job starts from, `KEY=VALUE` each. Source: spec 6.1.
    pub table: Vec<Text>,
    /// Upright's own environment, which a bare `env KEY` copies from.
    pub own: Vec<Text>,
    /// Given to every process last, whatever the job says (`UPSTART_SESSION=...` in user mode).
    pub forced: Vec<Text>,
    /// Makes the jitter of back-offs differ between machines.
    pub seed: u64,
    /// How long an orderly end may take at most; none: the longest kill timeout decides.
    pub stop_timeout: Option<Span>,
    /// How many restarts there may be over all jobs.
    pub budget: Budget,
    /// The bug that the simulation must find.
    #[cfg(feature = "planted")]
    pub planted: Option<Bug>,
}

/// The small things that every turn's record carries. No counter runs out by counting; they wrap so
/// that one which a damaged record has run out breaks nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Globals {
    /// When the last turn was.
    now: Mono,
    next_instance: u32,
    next_generation: u64,
    next_event: u64,
    next_request: u64,
    next_answer: u64,
    next_notice: u64,
    /// Messages below this level are not said.
    level: Level,
    shutdown: Option<Shutdown>,
    /// Events to offer or to finish, in order.
    work: VecDeque<Work>,
    /// Instances with clients that wait only until their request is on its way.
    accepting: BTreeSet<InstanceId>,
    /// How often what is intended was to be written down, and the last time that it was.
    #[serde(default)]
    to_keep: u64,
    #[serde(default)]
    kept: u64,
    /// Who waits for that.
    #[serde(default)]
    keeping: Vec<RequestId>,
    /// What of the budget of restarts is spent.
    #[serde(default)]
    spent: Spent,
    /// Whether descriptions are put to the test.
    #[serde(default)]
    testing: Testing,
}

/// Whether descriptions are put to the test, and can be taken back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Testing {
    #[default]
    No,
    Yes,
    /// They are, and this essential job has ended, the first one; with its code.
    Ended(JobName, InstanceName, i32),
}

/// A step of [`Engine::handle`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Work {
    Offer(EventId),
    Finish(EventId),
}

/// The machine. All of its state but what can be made again from the rest is in the ledgers.
#[derive(Clone, Debug)]
pub struct Engine {
    config: Config,
    globals: Globals,
    jobs: Ledger<JobName, Job>,
    instances: Ledger<InstanceId, Instance>,
    events: Ledger<EventId, Event>,
    requests: Ledger<RequestId, Pending>,
    answers: Ledger<u64, Answered>,
    /// The table of variables, where it is not the one of the beginning.
    variables: Ledger<(), Vec<Text>>,
    /// What operators have decided of jobs.
    intents: Ledger<JobName, Intended>,
    /// Checks that run, each by a number of its own.
    checks: Ledger<InstanceId, Check>,
    histories: BTreeMap<(JobName, InstanceName), History>,
    /// History entries since the last record.
    remembered: Vec<Remembering>,
    /// Made again from the ledgers by [`Engine::index`].
    names: BTreeMap<(JobName, InstanceName), InstanceId>,
    starts: BTreeMap<EventName, BTreeSet<JobName>>,
    stops: BTreeMap<EventName, BTreeMap<JobName, BTreeSet<(InstanceName, InstanceId)>>>,
    deadlines: BTreeSet<(Mono, InstanceId)>,
    /// How many jobs have a place among others.
    ordered: usize,
    tokens: BTreeMap<Text, Found>,
    /// Named instances that are gone and remembered, by the time of their last entry.
    past: BTreeMap<JobName, BTreeSet<(Mono, InstanceName)>>,
    /// The check of each instance that has one under way.
    checking: BTreeMap<(JobName, InstanceName), InstanceId>,
    /// The last lists and name that were made: the next ones mostly equal them.
    last_env: List<Text>,
    last_given: List<Text>,
    last_causes: List<Text>,
    last_names: List<EventName>,
    last_emitted: Option<EventName>,
    last_asker: Option<Shared<Asker>>,
    /// Who asks, while what is asked is carried out.
    asker: Option<Shared<Asker>>,
    /// Where an instance that is being stopped in its order was seen last.
    seen_stopping: InstanceId,
    /// How much there was of what was put together last (see [`Engine::rest`]).
    rested: [usize; 4],
    /// Of the turn that is being handled.
    now: Mono,
    out: Vec<Effect>,
    /// The code of the first essential job that has ended for good in this turn.
    essential: Option<i32>,
}

impl Engine {
    /// Returns a machine that knows no job.
    pub fn new(config: Config) -> Engine {
        Engine {
            config,
            globals: Globals {
                now: Mono(0),
                next_instance: 1,
                next_generation: 1,
                next_event: 1,
                next_request: 1,
                next_answer: 1,
                next_notice: 1,
                level: Level::Message,
                shutdown: None,
                work: VecDeque::new(),
                accepting: BTreeSet::new(),
                to_keep: 0,
                kept: 0,
                keeping: Vec::new(),
                spent: Spent::default(),
                testing: Testing::No,
            },
            jobs: Ledger::new(),
            instances: Ledger::new(),
            events: Ledger::new(),
            requests: Ledger::new(),
            answers: Ledger::new(),
            variables: Ledger::new(),
            intents: Ledger::new(),
            checks: Ledger::new(),
            histories: BTreeMap::new(),
            remembered: Vec::new(),
            names: BTreeMap::new(),
            starts: BTreeMap::new(),
            stops: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            ordered: 0,
            tokens: BTreeMap::new(),
            past: BTreeMap::new(),
            checking: BTreeMap::new(),
            last_env: List::new(),
            last_given: List::new(),
            last_causes: List::new(),
            last_names: List::new(),
            last_emitted: None,
            last_asker: None,
            asker: None,
            seen_stopping: InstanceId::NONE,
            rested: [0; 4],
            now: Mono(0),
            out: Vec::new(),
            essential: None,
        }
    }

    /// Takes one piece of news at the time `now` and appends what is to be done, in order. A time
    /// before that of an earlier call counts as that time. Deadlines pass with [`Input::Tick`] alone:
    /// after the news of a turn, which may be what they wait for.
    pub fn handle(&mut self, now: Mono, input: Input, out: &mut Vec<Effect>) {
        self.now = self.now.max(now);
        self.globals.now = self.now;
        // Lent for the turn, so that what a large turn needed is not kept for ever.
        self.out = core::mem::take(out);
        match input {
            Input::Define(spec) => self.define(spec),
            Input::Revise(spec) => self.revise(spec),
            Input::Remove(name) => self.undefine(&name),
            Input::Ask(id, token, request, by) => self.ask(id, token, request, by),
            Input::Replace(id, target, by) => self.replace(id, &target, by),
            Input::Probation(probation) => self.put_to_the_test(probation),
            Input::Gone(id) => self.gone(id),
            Input::Happened(name, env) => {
                self.emit(name, env, Vec::new(), 0, None, cause::OF_UPRIGHT.into());
            }
            Input::Spawned(slot, pid, refused) => self.spawned(slot, pid, refused),
            Input::SpawnFailed(slot, step, errno) => self.spawn_failed(slot, step, errno),
            Input::Stopped(slot, signal) => self.stopped(slot, signal),
            Input::Exited(slot, pid, exit) => self.exited(slot, pid, exit),
            Input::Survey(slot, candidates) => self.surveyed(slot, &candidates),
            Input::Swept(slot, left) => self.swept(slot, left),
            Input::SweptAll(left) => self.swept_all(left),
            Input::Shutdown(kind) => self.shut_down(kind, kind.code()),
            Input::Pass(signal) => self.pass(signal),
            Input::Remains(slot, remaining) => self.remains(slot, remaining),
            Input::Vary(whose, variation) => self.vary(whose, &variation),
            Input::Recalled(intents) => self.recall(intents),
            Input::Kept(number, keeping) => self.kept(number, keeping),
            Input::Interrupt => self.interrupt(),
            Input::OomKills(slot, kills) => self.oom_kills(slot, kills),
            Input::Tick => {
                self.pass_deadlines();
                self.pass_check_deadlines();
            }
        }
        self.settle();
        if let Some(code) = self.essential.take() {
            self.shut_down(ShutdownKind::Shutdown, code);
            self.settle();
        }
        // Each time at least one instance more is told to stop.
        while self.stop_next_group() || self.free_what_is_stuck() {
            self.settle();
        }
        self.answer_accepted();
        self.end_shutdown();
        *out = core::mem::take(&mut self.out);
    }

    /// Returns when time will be news: `Input::Tick` is due then.
    pub fn next_deadline(&self) -> Option<Mono> {
        if !self.globals.work.is_empty() {
            return Some(self.now);
        }
        let first = self.deadlines.first().map(|(at, _)| *at);
        let shutdown = self.globals.shutdown.as_ref().and_then(Shutdown::deadline);
        [first, shutdown, self.check_deadline()].into_iter().flatten().min()
    }

    /// Says how loud a message must be to be said.
    pub fn hear(&mut self, level: Level) {
        self.globals.level = level;
    }

    /// Says how many restarts there may be over all jobs.
    pub fn allow_restarts(&mut self, budget: Budget) {
        self.config.budget = budget;
    }

    /// Returns what every process of this Upright has in its environment beside its job's name.
    pub fn forced(&self) -> &[Text] {
        &self.config.forced
    }

    /// Returns how loud a message must be to be said.
    pub fn level(&self) -> Level {
        self.globals.level
    }

    fn settle(&mut self) {
        for _ in 0..TURN_STEPS {
            match self.globals.work.pop_front() {
                Some(Work::Offer(event)) => self.offer(event),
                Some(Work::Finish(event)) => self.finish(event),
                None => return self.globals.work.shrink_to(WORK_KEPT),
            }
        }
    }

    fn say(&mut self, level: Level, words: impl FnOnce(&Engine) -> String) {
        if level >= self.globals.level {
            let words = words(self);
            self.out.push(Effect::Say(level, words));
        }
    }

    fn notice(&mut self, notice: Notice) {
        let job = match &notice {
            Notice::Goal { job, .. }
            | Notice::Failed { job, .. }
            | Notice::Job { job, .. }
            | Notice::State { job, .. }
            | Notice::Program(ProgramNews { job, .. }) => Some(job),
            Notice::Event { .. } | Notice::Restarted => None,
        };
        if job.is_some_and(JobName::is_reserved) {
            return;
        }
        let sequence = self.globals.next_notice;
        self.globals.next_notice = self.globals.next_notice.wrapping_add(1);
        self.out.push(Effect::Notice(sequence, notice));
    }

    /// Numbers notices from 1 again, where nobody was told of those that there were.
    pub fn number_notices_anew(&mut self) {
        self.globals.next_notice = 1;
    }

    /// Returns the sequence number that the next notice will have.
    pub fn next_notice(&self) -> u64 {
        self.globals.next_notice
    }

    /// Tells subscribers that a new daemon has taken over from one that was replaced.
    pub fn tell_restarted(&mut self, out: &mut Vec<Effect>) {
        core::mem::swap(&mut self.out, out);
        self.notice(Notice::Restarted);
        core::mem::swap(&mut self.out, out);
    }

    fn remember(&mut self, id: InstanceId, note: Note) {
        let Some((job, name)) = self.name_of(id) else { return };
        let (job, name) = (job.clone(), name.clone());
        self.remember_of(job, name, note);
    }

    fn remember_of(&mut self, job: JobName, name: InstanceName, note: Note) {
        let entry = Entry { at: self.now, note };
        self.unretire(&job, &name);
        let history = self.histories.entry((job.clone(), name.clone())).or_default();
        history.add(entry.at, entry.note.clone());
        self.remembered.push(Remembering::Entry(job.clone(), name.clone(), entry));
        self.retire(job, name);
    }

    fn new_slot(&mut self, instance: InstanceId, role: crate::process::Role) -> Slot {
        let generation = self.globals.next_generation;
        self.globals.next_generation = generation.wrapping_add(1);
        Slot { instance, role, generation }
    }

    fn new_instance(&mut self) -> InstanceId {
        let id = InstanceId(self.globals.next_instance);
        self.globals.next_instance = self.globals.next_instance.wrapping_add(1);
        id
    }

    /// Returns what a log line calls an instance.
    fn shown(&self, id: InstanceId) -> String {
        self.name_of(id).map_or_else(String::new, |(job, name)| job.with_instance(name))
    }
}
