//! The kernel and the keeper, as far as the machine can tell: processes that live as their
//! programs say, and the keeper's table of them.

use crate::agenda::Agenda;
use crate::program::{self, Act, Mood, Polite, Program, Session};
use crate::rng::Rng;
use engine::keeper::FromKeeper;
use engine::machine::{Candidate, SignalScope};
use engine::process::{Exit, InstanceId, Pid, Role, Slot, Step};
use engine::recovery::Table;
use engine::signal::Signal;
use engine::spec::JobSpec;
use engine::time::{Mono, Span};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// What the daemon asks of the keeper.
#[derive(Clone, Debug)]
pub enum Ask {
    /// Fork and execute.
    Spawn(Slot, Arc<JobSpec>),
    /// Send a signal.
    Signal(Slot, Signal, SignalScope),
    /// Forget a row.
    Release(Slot),
    /// Make this process the slot's.
    Adopt(Slot, Pid),
}

/// A process.
pub struct Process {
    /// Of which instance.
    pub instance: InstanceId,
    /// What it is there, or what its first ancestor was.
    pub role: Role,
    /// The process that was spawned: itself or its first ancestor.
    pub origin: Pid,
    parent: Pid,
    session: Pid,
    life: Life,
    acts: VecDeque<(Span, Act)>,
    polite: Polite,
    stubborn: Span,
    pending: Option<Signal>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Life {
    SettingUp,
    Runs,
    Stopped,
    /// It has been killed and the kernel does not let go of it.
    Dying,
}

/// How far a row has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It sets itself up.
    Spawning(Pid),
    /// It runs.
    Running { pid: Pid, warnings: u32, stopped: Option<u8> },
    /// It has ended.
    Ended { pid: Pid, warnings: u32, exit: Exit },
    /// It never ran.
    Failed(Step, i32),
}

#[derive(Clone, Copy, Debug)]
enum Happening {
    Act(Pid),
    Ends(Pid, Exit),
    SetUp(Slot, Option<(Step, i32)>),
}

/// The keeper's own number.
const KEEPER: Pid = 1;

/// Everything that is not the daemon and not the clients.
pub struct Kernel {
    /// What new processes are like.
    pub mood: Mood,
    /// What the daemon has sent and the keeper has not read.
    pub asked: VecDeque<Ask>,
    /// What the keeper has said and the daemon has not read.
    pub told: VecDeque<FromKeeper>,
    /// What is wrong with what the daemon asked.
    pub wrong: Vec<String>,
    /// What happened, for the transcript.
    pub words: Vec<String>,
    rows: BTreeMap<Slot, Fate>,
    orphans: VecDeque<(u64, Pid, Exit)>,
    processes: BTreeMap<Pid, Process>,
    agenda: Agenda<Happening>,
    next_pid: Pid,
    next_orphan: u64,
    /// Slots whose process was executed, or that were released.
    used: BTreeSet<Slot>,
    rng: Rng,
}

impl Kernel {
    /// Returns a kernel without processes.
    pub fn new(seed: u64) -> Kernel {
        Kernel {
            mood: Mood::Wild,
            asked: VecDeque::new(),
            told: VecDeque::new(),
            wrong: Vec::new(),
            words: Vec::new(),
            rows: BTreeMap::new(),
            orphans: VecDeque::new(),
            processes: BTreeMap::new(),
            agenda: Agenda::new(),
            next_pid: 100,
            next_orphan: 1,
            used: BTreeSet::new(),
            rng: Rng::new(seed ^ 0x6b65_726e),
        }
    }

    /// Returns when something happens next.
    pub fn next(&self) -> Option<Mono> {
        self.agenda.next()
    }

    /// Lets the next thing happen that is due; reports whether there was one.
    pub fn happen(&mut self, now: Mono) -> bool {
        let Some(happening) = self.agenda.take(now) else { return false };
        match happening {
            Happening::Act(pid) => self.act(now, pid),
            Happening::Ends(pid, exit) => self.end(pid, exit),
            Happening::SetUp(slot, failure) => self.set_up(now, slot, failure),
        }
        true
    }

    /// The keeper does what one message asks.
    pub fn serve(&mut self, now: Mono, ask: Ask) {
        match ask {
            Ask::Spawn(slot, spec) => self.spawn(now, slot, &spec),
            Ask::Signal(slot, signal, scope) => self.signal(now, slot, signal, scope),
            Ask::Release(slot) => self.release(slot),
            Ask::Adopt(slot, pid) => self.adopt(slot, pid),
        }
    }

    /// Returns the table as a new daemon is told it; what was under way to the old one is lost.
    pub fn tell_all(&mut self) -> Table {
        self.told.clear();
        let mut table = Table::default();
        for (slot, fate) in &self.rows {
            messages(*slot, *fate).iter().for_each(|message| table.tell(message));
        }
        for (sequence, pid, exit) in &self.orphans {
            table.tell(&FromKeeper::OrphanExited { sequence: *sequence, pid: *pid, exit: *exit });
        }
        table
    }

    /// The keeper is killed where it is not PID 1. What runs lives on and the new keeper knows it;
    /// what was being set up dies with it; what the daemon had asked and the keeper not read is lost.
    pub fn keeper_dies(&mut self) {
        self.words.push("the keeper is killed".into());
        self.asked.clear();
        self.orphans.clear();
        let rows = std::mem::take(&mut self.rows);
        for (slot, fate) in rows {
            match fate {
                Fate::Spawning(pid) => {
                    self.processes.remove(&pid);
                }
                Fate::Running { pid, warnings, .. } => {
                    let is_stopped = |p: &Process| p.life == Life::Stopped;
                    let stopped = self.processes.get(&pid).is_some_and(is_stopped).then_some(19);
                    self.rows.insert(slot, Fate::Running { pid, warnings, stopped });
                }
                // Written down when it was reaped.
                Fate::Ended { .. } => {
                    self.rows.insert(slot, fate);
                }
                Fate::Failed(..) => {}
            }
        }
        self.told.clear();
    }

    /// Returns what the original of that number left, the oldest first.
    pub fn candidates(&self, original: Pid) -> Vec<Candidate> {
        let left = self.processes.iter().filter(|(pid, process)| {
            process.origin == original && **pid != original && self.row_of(**pid).is_none()
        });
        left.map(|(pid, p)| Candidate { pid: *pid, session: p.session, parent: p.parent }).collect()
    }

    /// Signals whatever can be attributed to a slot.
    pub fn sweep(&mut self, now: Mono, slot: Slot, signal: Signal) {
        for pid in self.leftovers(slot) {
            self.deliver(now, pid, signal);
        }
    }

    /// Returns how many processes can be attributed to a slot whose own is gone.
    pub fn left(&self, slot: Slot) -> u32 {
        self.leftovers(slot).len() as u32
    }

    fn leftovers(&self, slot: Slot) -> Vec<Pid> {
        let of = |(pid, p): &(&Pid, &Process)| {
            p.instance == slot.instance && self.row_of(**pid).is_none()
        };
        self.processes.iter().filter(of).map(|(pid, _)| *pid).collect()
    }

    /// Signals whatever is in no row.
    pub fn sweep_all(&mut self, now: Mono, signal: Signal) {
        let strays: Vec<Pid> =
            self.processes.keys().copied().filter(|pid| self.row_of(*pid).is_none()).collect();
        strays.into_iter().for_each(|pid| self.deliver(now, pid, signal));
    }

    /// Returns how many processes are in no row and not held by the kernel.
    pub fn strays(&self) -> u32 {
        let stray = |pid: &&Pid| self.row_of(**pid).is_none() && !self.is_held(**pid);
        self.processes.keys().filter(stray).count() as u32
    }

    /// Returns the rows of the table.
    pub fn rows(&self) -> impl Iterator<Item = (Slot, Fate)> + '_ {
        self.rows.iter().map(|(slot, fate)| (*slot, *fate))
    }

    /// Returns the slots whose processes are there, executed or not.
    pub fn living(&self) -> impl Iterator<Item = (Slot, Pid)> + '_ {
        self.rows.iter().filter_map(|(slot, fate)| match fate {
            Fate::Spawning(pid) | Fate::Running { pid, .. } => Some((*slot, *pid)),
            Fate::Ended { .. } | Fate::Failed(..) => None,
        })
    }

    /// Reports whether something that an original left behind still lives, without being a slot's.
    pub fn has_heirs(&self, original: Pid) -> bool {
        !self.candidates(original).is_empty()
    }

    /// Reports whether a process is there.
    pub fn lives(&self, pid: Pid) -> bool {
        self.processes.contains_key(&pid)
    }

    /// Reports whether a process has been killed and the kernel does not let go of it.
    pub fn is_held(&self, pid: Pid) -> bool {
        self.processes.get(&pid).is_some_and(|process| process.life == Life::Dying)
    }

    fn row_of(&self, pid: Pid) -> Option<Slot> {
        self.living().find(|(_, of)| *of == pid).map(|(slot, _)| slot)
    }

    /// Tells all of a row. What is over may be told more than once, until it is released.
    fn tell(&mut self, slot: Slot) {
        if let Some(fate) = self.rows.get(&slot) {
            self.told.extend(messages(slot, *fate));
            self.tell_again(slot);
        }
    }

    fn tell_again(&mut self, slot: Slot) {
        if let Some(Fate::Ended { .. } | Fate::Failed(..)) = self.rows.get(&slot) {
            if self.mood == Mood::Wild && self.rng.chance(4) {
                self.told.extend(messages(slot, self.rows[&slot]));
            }
        }
    }

    fn spawn(&mut self, now: Mono, slot: Slot, spec: &JobSpec) {
        if self.rows.contains_key(&slot) {
            return self.tell(slot);
        }
        if self.used.contains(&slot) {
            self.wrong.push(format!("slot {slot:?} is used again"));
        }
        let wild = self.mood == Mood::Wild;
        if wild && self.rng.chance(6) {
            self.rows.insert(slot, Fate::Failed(Step::Fork, 11));
            return self.tell(slot);
        }
        let pid = self.fork(slot.instance, slot.role, None, Session::Own);
        let program = program::of(&mut self.rng, slot.role, spec, self.mood);
        self.load(pid, program);
        self.rows.insert(slot, Fate::Spawning(pid));
        let hangs = wild && self.rng.chance(3);
        let failure = match hangs {
            true => Some((Step::Timeout, 110)),
            false if wild && self.rng.chance(5) => {
                Some((self.rng.pick(&[Step::Exec, Step::Chdir, Step::Fork]), 2))
            }
            false => None,
        };
        let slow = rng_span(&mut self.rng, wild);
        let at = now + if hangs { Span::secs(30) } else { slow };
        self.agenda.add(at, Happening::SetUp(slot, failure));
    }

    fn fork(
        &mut self,
        instance: InstanceId,
        role: Role,
        parent: Option<Pid>,
        session: Session,
    ) -> Pid {
        let pid = self.next_pid;
        self.next_pid += 1;
        let of = parent.and_then(|parent| self.processes.get(&parent));
        let process = Process {
            instance,
            role,
            origin: of.map_or(pid, |of| of.origin),
            parent: parent.unwrap_or(KEEPER),
            session: of.filter(|_| session == Session::Same).map_or(pid, |of| of.session),
            life: if parent.is_some() { Life::Runs } else { Life::SettingUp },
            acts: VecDeque::new(),
            polite: Polite::Ignores,
            stubborn: Span::ZERO,
            pending: None,
        };
        self.processes.insert(pid, process);
        pid
    }

    fn load(&mut self, pid: Pid, program: Program) {
        if let Some(process) = self.processes.get_mut(&pid) {
            process.acts = program.acts.into();
            process.polite = program.polite;
            process.stubborn = program.stubborn;
        }
    }

    fn set_up(&mut self, now: Mono, slot: Slot, failure: Option<(Step, i32)>) {
        let Some(Fate::Spawning(pid)) = self.rows.get(&slot).copied() else { return };
        match failure {
            Some((step, errno)) => {
                self.processes.remove(&pid);
                self.rows.insert(slot, Fate::Failed(step, errno));
                self.words.push(format!("{slot:?} fails at {step:?}"));
            }
            None => {
                let warnings = if self.rng.chance(4) { 1 << Step::Oom.code() } else { 0 };
                self.rows.insert(slot, Fate::Running { pid, warnings, stopped: None });
                self.used.insert(slot);
                self.words.push(format!("{slot:?} is executed as {pid}"));
                if let Some(process) = self.processes.get_mut(&pid) {
                    process.life = Life::Runs;
                }
                self.plan(now, pid);
            }
        }
        self.tell(slot);
    }

    /// Puts the next thing that a process does on the agenda.
    fn plan(&mut self, now: Mono, pid: Pid) {
        if let Some((after, _)) = self.processes.get(&pid).and_then(|p| p.acts.front()) {
            self.agenda.add(now + *after, Happening::Act(pid));
        }
    }

    fn act(&mut self, now: Mono, pid: Pid) {
        let Some(process) = self.processes.get_mut(&pid).filter(|p| p.life == Life::Runs) else {
            return;
        };
        let (instance, role) = (process.instance, process.role);
        match process.acts.pop_front() {
            Some((_, Act::End(exit))) => return self.end(pid, exit),
            Some((_, Act::Stop)) => {
                process.life = Life::Stopped;
                self.words.push(format!("{pid} stops itself"));
                if let Some(slot) = self.row_of(pid) {
                    if let Some(Fate::Running { stopped, .. }) = self.rows.get_mut(&slot) {
                        *stopped = Some(19);
                        self.told.push_back(FromKeeper::Stopped { slot, signal: 19 });
                    }
                }
                return;
            }
            Some((_, Act::Fork(program, session))) => {
                let child = self.fork(instance, role, Some(pid), session);
                self.load(child, program);
                self.words.push(format!("{pid} forks {child}"));
                self.plan(now, child);
            }
            None => {}
        }
        self.plan(now, pid);
    }

    fn end(&mut self, pid: Pid, exit: Exit) {
        let Some(process) = self.processes.remove(&pid) else { return };
        self.words.push(format!("{pid} ends: {exit:?}"));
        for child in self.processes.values_mut().filter(|child| child.parent == pid) {
            child.parent = KEEPER;
        }
        let Some(slot) = self.rows.iter().find_map(|(slot, fate)| match fate {
            Fate::Spawning(of) | Fate::Running { pid: of, .. } if *of == pid => Some(*slot),
            Fate::Spawning(_) | Fate::Running { .. } | Fate::Ended { .. } | Fate::Failed(..) => {
                None
            }
        }) else {
            if process.parent == KEEPER {
                let sequence = self.next_orphan;
                self.next_orphan += 1;
                self.orphans.push_back((sequence, pid, exit));
                self.told.push_back(FromKeeper::OrphanExited { sequence, pid, exit });
            }
            return;
        };
        match self.rows.get(&slot).copied() {
            // Its report ends as that of a process that was executed does.
            Some(Fate::Spawning(_)) if self.rng.chance(50) => {
                self.rows.insert(slot, Fate::Ended { pid, warnings: 0, exit });
                self.used.insert(slot);
                self.tell(slot);
            }
            Some(Fate::Running { pid, warnings, .. }) => {
                self.rows.insert(slot, Fate::Ended { pid, warnings, exit });
                self.told.push_back(FromKeeper::Exited { slot, pid, exit });
                self.tell_again(slot);
                self.used.insert(slot);
            }
            // It was never executed: where the keeper dies before it has told so, it is asked for again.
            Some(_) | None => {
                self.rows.insert(slot, Fate::Failed(Step::Timeout, 110));
                self.tell(slot);
            }
        }
    }

    fn signal(&mut self, now: Mono, slot: Slot, signal: Signal, scope: SignalScope) {
        let row = self.rows.get_mut(&slot);
        let Some(Fate::Spawning(pid) | Fate::Running { pid, .. }) = row.as_deref().copied() else {
            return;
        };
        if let (Signal::CONT, Some(Fate::Running { stopped, .. })) = (signal, row) {
            *stopped = None;
        }
        let session = self.processes.get(&pid).map(|p| p.session);
        let whom: Vec<Pid> = match scope {
            SignalScope::Process => vec![pid],
            SignalScope::Group => {
                let of = |p: &Process| Some(p.session) == session;
                self.processes.iter().filter(|(_, p)| of(p)).map(|(pid, _)| *pid).collect()
            }
        };
        for pid in whom {
            self.deliver(now, pid, signal);
        }
    }

    fn deliver(&mut self, now: Mono, pid: Pid, signal: Signal) {
        let Some(process) = self.processes.get_mut(&pid) else { return };
        let killed = Exit::Signal { signal: signal.number(), core: false };
        self.words.push(format!("{pid} gets {signal}"));
        match (signal, process.life) {
            (_, Life::Dying) => {}
            (Signal::KILL, _) if process.stubborn == Span::ZERO => self.end(pid, killed),
            (Signal::KILL, _) => {
                process.life = Life::Dying;
                let at = now + process.stubborn;
                self.agenda.add(at, Happening::Ends(pid, killed));
            }
            (Signal::CONT, Life::Stopped) => {
                process.life = Life::Runs;
                let pending = process.pending.take();
                self.plan(now, pid);
                if let Some(signal) = pending {
                    self.deliver(now, pid, signal);
                }
            }
            (Signal::TERM | Signal::INT, Life::Stopped) => process.pending = Some(signal),
            (Signal::TERM | Signal::INT, Life::SettingUp) => self.end(pid, killed),
            (Signal::TERM | Signal::INT, Life::Runs) => match process.polite {
                Polite::Ends(after, exit) => {
                    let exit = exit.unwrap_or(killed);
                    self.agenda.add(now + after, Happening::Ends(pid, exit));
                }
                Polite::Ignores => {}
            },
            (_, Life::SettingUp | Life::Runs | Life::Stopped) => {}
        }
    }

    fn release(&mut self, slot: Slot) {
        if matches!(self.rows.get(&slot), Some(Fate::Ended { .. } | Fate::Failed(..))) {
            self.rows.remove(&slot);
            self.used.insert(slot);
        }
    }

    fn adopt(&mut self, slot: Slot, pid: Pid) {
        if self.rows.contains_key(&slot) {
            return self.tell(slot);
        }
        if self.used.contains(&slot) {
            self.wrong.push(format!("slot {slot:?} is used again"));
        }
        let is_child = self.processes.get(&pid).is_some_and(|p| p.parent == KEEPER);
        let fate = if is_child && self.row_of(pid).is_none() {
            Fate::Running { pid, warnings: 0, stopped: None }
        } else {
            let exit = self.orphans.iter().rev().find(|(_, of, _)| *of == pid).map(|o| o.2);
            Fate::Ended { pid, warnings: 0, exit: exit.unwrap_or(Exit::Unknown) }
        };
        self.used.insert(slot);
        self.rows.insert(slot, fate);
        self.tell(slot);
    }
}

fn rng_span(rng: &mut Rng, wild: bool) -> Span {
    match (wild, rng.below(10)) {
        (false, _) | (true, 0..=6) => Span::ZERO,
        (true, 7 | 8) => rng.span(1, 300),
        (true, _) => rng.span(300, 4000),
    }
}

/// Returns everything that the keeper tells of a row.
fn messages(slot: Slot, fate: Fate) -> Vec<FromKeeper> {
    match fate {
        Fate::Spawning(_) => Vec::new(),
        Fate::Running { pid, warnings, stopped } => {
            let stopped = stopped.map(|signal| FromKeeper::Stopped { slot, signal });
            let runs = FromKeeper::Spawned { slot, pid, warnings };
            [Some(runs), stopped].into_iter().flatten().collect()
        }
        Fate::Ended { pid, warnings, exit } => Vec::from([
            FromKeeper::Spawned { slot, pid, warnings },
            FromKeeper::Exited { slot, pid, exit },
        ]),
        Fate::Failed(step, errno) => Vec::from([FromKeeper::SpawnFailed { slot, step, errno }]),
    }
}
