//! One run of a job: everything that is decided about it.

use crate::few::Few;
use crate::list::List;
use crate::machine::condition::Matches;
use crate::machine::event::EventId;
use crate::machine::request::{Failure, RequestId};
use crate::machine::state::{Goal, Main, State};
use crate::names::{InstanceName, JobName};
use crate::process::{Pid, Role, Slot};
use crate::rare::{Rare, Usual};
use crate::text::Text;
use crate::time::Mono;
use crate::view::ProgramState;
use alloc::boxed::Box;
use core::fmt;
use serde::{Deserialize, Serialize};

/// An instance of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Its job.
    pub job: JobName,
    /// Its name.
    pub name: InstanceName,
    /// What is wanted.
    pub goal: Goal,
    /// Where it is.
    pub state: State,
    /// Since when.
    pub since: Mono,
    /// What is known of its main process.
    pub main: Main,
    /// The one thing it waits for.
    pub hold: Option<Hold>,
    /// When something is due, and what.
    pub deadline: Option<Box<(Mono, Due)>>,
    /// Whether a restart was asked for: the goal becomes start again at `stopping`.
    pub restart: bool,
    /// What the start gave it: arguments, or the events' variables.
    pub given: List<Text>,
    /// Given by a later start; taken over on entering `starting`.
    pub given_next: Option<Box<List<Text>>>,
    /// The events that started it, a job's own with the job; none where a client asked.
    #[serde(default)]
    pub started_by: List<Text>,
    /// Its environment.
    pub env: List<Text>,
    /// What the stop gave it; only for pre-stop and post-stop.
    pub stop_env: List<Text>,
    /// Its processes.
    pub processes: Few<Role, Process>,
    /// How far `stop on` is met.
    pub stop: Matches,
    /// Who waits for it to settle.
    pub waiters: List<Waiter>,
    /// Why the present run failed; the first reason counts.
    pub failure: Option<Failure>,
    /// Whether the machine itself, and nobody else, decided that the present run is over.
    #[serde(default)]
    pub ended: bool,
    /// Respawns in the present window.
    pub respawn: Rare<Window>,
    /// Chain of `exited` events that led to this run.
    pub depth: u8,
    /// How often the present spawn was tried again for want of room in the kernel.
    pub retries: u8,
    /// The slot of the last main process: what it left is attributed to it.
    pub last_main: Option<Slot>,
    /// The slot whose leftovers are being ended (`kill mode tree`).
    pub sweeping: Option<Box<Slot>>,
    /// Whether those have been sent KILL.
    pub swept_hard: bool,
    /// How many of them lived when last looked at.
    pub left: u32,
    /// What lives on in main's group after it, under another `kill mode` than `tree`.
    pub remaining: Option<Box<Remaining>>,
    /// Steps of the present run that were refused but only tune.
    pub warnings: List<Warning>,
    /// The one of Supervisor's states that it was last told to be in; none: nothing was told yet.
    #[serde(default)]
    pub told: Option<ProgramState>,
    /// What the kernel has killed in its group for want of memory; none: nothing.
    #[serde(default)]
    pub oom: Option<Box<Oom>>,
}

/// What the kernel has killed in an instance's group for want of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Oom {
    /// How many processes, when last told.
    pub kills: u64,
    /// Whether one of those that live, or are about to be told as ended, may be among them.
    pub starved: bool,
}

/// Something refused or missed that did not stop the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Warning {
    /// A tuning step was refused by the kernel.
    Refused(Role, crate::process::Step),
    /// `expect` did not come about in its time.
    ExpectMissed,
    /// A process does not end, even after KILL.
    Unkillable(Role),
    /// Processes live on after main ended.
    LivesOn(u32),
    /// These live on in main's group, as the kill mode has it.
    Remains(Remaining),
}

/// How many numbers of those that remain are kept.
const REMAINING_MAX: usize = 4;

/// Living processes of the group of a main that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remaining {
    /// How many there are.
    pub count: u32,
    /// The numbers of the first few; 0 where there are fewer.
    first: [Pid; REMAINING_MAX],
}

impl Remaining {
    /// Returns what is remembered of these processes.
    pub fn of(pids: &[Pid]) -> Self {
        let mut first = [0; REMAINING_MAX];
        for (place, pid) in first.iter_mut().zip(pids) {
            *place = *pid;
        }
        Remaining { count: pids.len() as u32, first }
    }
}

/// In words: `2 processes of its group live on: 203, 204`.
impl fmt::Display for Remaining {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.count {
            1 => f.write_str("a process of its group lives on: ")?,
            count => write!(f, "{count} processes of its group live on: ")?,
        }
        let known = self.first.iter().take(self.count as usize);
        for (place, pid) in known.enumerate() {
            write!(f, "{}{pid}", if place == 0 { "" } else { ", " })?;
        }
        match (self.count as usize).saturating_sub(REMAINING_MAX) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

/// A process of an instance that has been asked for and has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its slot.
    pub slot: Slot,
    /// Its number, once the keeper has told.
    pub pid: Option<Pid>,
    /// When it was asked for; when it ran, once it does.
    pub since: Mono,
    /// Whether its time limit has passed and it was told to end.
    pub overdue: bool,
    /// Its number where it was left behind by the original of an `expect`.
    pub adopted: Option<Pid>,
    /// The number of the original, once it ended as `expect` wanted and what it left is looked at.
    pub left_by: Option<Pid>,
    /// Whether it said that it is ready before the news came that it runs.
    #[serde(default)]
    pub early: bool,
}

impl Process {
    /// Returns one that is asked for now.
    pub fn asked_for(slot: Slot, now: Mono) -> Process {
        Process {
            slot,
            pid: None,
            since: now,
            overdue: false,
            adopted: None,
            left_by: None,
            early: false,
        }
    }
}

/// The one thing an instance waits for; without one it moves on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hold {
    /// `starting` or `stopping` has to finish.
    Event(EventId),
    /// The keeper has to say what became of main.
    Spawn,
    /// Main has to be ready.
    Ready,
    /// This process has to end.
    Process(Role),
    /// Its deadline has to come: back-off, or a spawn tried again.
    Deadline,
    /// Processes that main left have to be swept (`kill mode tree`).
    Sweep,
}

/// What happens when an instance's deadline comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Due {
    /// The keeper has not answered a spawn: the step hangs.
    Spawn(Role),
    /// The back-off is over.
    Backoff,
    /// A spawn is tried again.
    Retry(Role),
    /// A process has used up its time.
    Overdue(Role),
    /// The polite signal has not helped.
    Kill(Role),
    /// KILL has not helped.
    Unkillable(Role),
    /// `expect` has not come about. The time it started.
    Expect(Mono),
    /// What the original left has had time to settle. When the original ended, when `expect` ends,
    /// and what was seen of it.
    Settle(Mono, Mono, Survey),
    /// What main left has had time to end politely.
    Sweep,
    /// Main has stayed up as long as `expect up` wants.
    Up,
    /// It is its turn in the budget of restarts.
    Turn,
}

/// What looking for the leavings of an original has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Survey {
    /// Nobody has looked, or there was something.
    First,
    /// There was nothing. A look at all processes is not one moment: what forks and ends while it
    /// goes on is in none of its places, so it takes two to say so.
    Empty,
}

/// Who waits for an instance to settle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Waiter {
    /// An event that started or stopped it: it cannot finish before.
    Event(EventId),
    /// A client that waits until it has settled.
    Request(RequestId),
    /// A client that waits only until its request is on its way.
    Accepted(RequestId),
}

/// Respawns counted in a fixed window. Source: spec 7.6.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// When the window began.
    pub began: Option<Mono>,
    /// Respawns in it.
    pub count: u32,
    /// Failures in a row, for the back-off.
    pub failures: u32,
    /// Respawns since the instance exists.
    pub total: u64,
    /// When the main ran that is being respawned.
    #[serde(default)]
    pub ran_from: Option<Mono>,
    /// Whether it is tried again slowly, for it would have been given up.
    #[serde(default)]
    pub slow: bool,
    /// Whether the next start is one that the budget of restarts is charged with.
    #[serde(default)]
    pub charged: bool,
}

impl Usual for Window {
    const USUAL: &'static Window = &Window {
        began: None,
        count: 0,
        failures: 0,
        total: 0,
        ran_from: None,
        slow: false,
        charged: false,
    };
}

impl Instance {
    /// Returns a new instance at rest.
    pub fn new(job: JobName, name: InstanceName, now: Mono) -> Instance {
        Instance {
            job,
            name,
            goal: Goal::Stop,
            state: State::Waiting,
            since: now,
            main: Main::Absent,
            hold: None,
            deadline: None,
            restart: false,
            given: List::new(),
            given_next: None,
            started_by: List::new(),
            env: List::new(),
            stop_env: List::new(),
            processes: Few::new(),
            stop: Matches::default(),
            waiters: List::new(),
            failure: None,
            ended: false,
            respawn: Rare::new(),
            depth: 0,
            retries: 0,
            last_main: None,
            remaining: None,
            sweeping: None,
            swept_hard: false,
            left: 0,
            warnings: List::new(),
            told: None,
            oom: None,
        }
    }

    /// Somebody wants a start: it waits for nothing and is tried as often as ever.
    pub fn forgive(&mut self) {
        self.count_anew();
        if self.respawn.charged {
            self.respawn.charged = false;
        }
    }

    /// Counts failed starts anew.
    pub fn count_anew(&mut self) {
        if self.respawn.failures != 0 || self.respawn.slow {
            self.respawn.failures = 0;
            self.respawn.slow = false;
        }
    }

    /// Returns when something is due, and what.
    pub fn due(&self) -> Option<(Mono, Due)> {
        self.deadline.as_deref().copied()
    }

    /// Reports whether main's original has ended as `expect` wanted and what it left is looked for.
    pub fn is_left(&self) -> bool {
        self.processes.get(&Role::Main).is_some_and(|main| main.left_by.is_some())
    }
}
