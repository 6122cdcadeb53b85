//! What a new daemon does: the machine made again from the journal, then brought into step with
//! the keeper's table. The table wins.
//!
//! The caller reads the keeper's messages up to `Told` into a [`Table`], calls [`recover`], writes
//! a new journal whose first record is the machine's snapshot together with the returned effects,
//! performs those (ticking them as ever), and then handles the returned inputs as its first turn.
//! If it dies meanwhile the next one does the same again: everything here is safe to do twice.

use crate::journal::{undone, Record};
use crate::keeper::{FromKeeper, Replaced};
use crate::machine::{Belief, Config, Effect, Engine, Input, SignalScope};
use crate::process::{Exit, Pid, Slot, Step};
use crate::signal::Signal;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

/// What the keeper knows of one slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Its process runs.
    Running {
        /// Its number.
        pid: Pid,
        /// Steps that were refused but only tune, as in [`FromKeeper::Spawned`].
        warnings: u32,
        /// The signal that stopped it, until it is told to go on.
        stopped: Option<u8>,
    },
    /// There never was a process.
    Failed(Step, i32),
    /// Its process has ended.
    Exited {
        /// Its number.
        pid: Pid,
        /// Steps that were refused but only tune.
        warnings: u32,
        /// How it ended.
        exit: Exit,
    },
}

/// The keeper's table, as far as it tells it: a slot that is still being set up is not in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    rows: BTreeMap<Slot, Phase>,
    orphans: BTreeMap<u64, (Pid, Exit)>,
}

impl Table {
    /// Takes a message into the table; those that say nothing of a process are passed over.
    pub fn tell(&mut self, message: &FromKeeper) {
        match *message {
            FromKeeper::Spawned { slot, pid, warnings } => {
                self.rows.insert(slot, Phase::Running { pid, warnings, stopped: None });
            }
            FromKeeper::SpawnFailed { slot, step, errno } => {
                self.rows.insert(slot, Phase::Failed(step, errno));
            }
            FromKeeper::Stopped { slot, signal } => {
                if let Some(Phase::Running { stopped, .. }) = self.rows.get_mut(&slot) {
                    *stopped = Some(signal);
                }
            }
            FromKeeper::Exited { slot, pid, exit } => {
                let warnings = match self.rows.get(&slot) {
                    Some(Phase::Running { warnings, .. } | Phase::Exited { warnings, .. }) => {
                        *warnings
                    }
                    Some(Phase::Failed(..)) | None => 0,
                };
                self.rows.insert(slot, Phase::Exited { pid, warnings, exit });
            }
            FromKeeper::OrphanExited { sequence, pid, exit } => {
                self.orphans.insert(sequence, (pid, exit));
            }
            FromKeeper::Welcome { .. }
            | FromKeeper::Held { .. }
            | FromKeeper::Logger
            | FromKeeper::Told
            | FromKeeper::Signalled { .. }
            | FromKeeper::Lent { .. }
            | FromKeeper::NotUpgraded { .. } => {}
        }
    }

    /// Returns what is known of a slot.
    pub fn phase(&self, slot: Slot) -> Option<Phase> {
        self.rows.get(&slot).copied()
    }

    /// Returns all rows in the order of their slots.
    pub fn rows(&self) -> impl Iterator<Item = (Slot, Phase)> + '_ {
        self.rows.iter().map(|(slot, phase)| (*slot, *phase))
    }

    /// Returns how the latest process of that number, which belonged to no slot, ended.
    pub fn orphan(&self, pid: Pid) -> Option<Exit> {
        self.orphans.values().rev().find(|(of, _)| *of == pid).map(|(_, exit)| *exit)
    }
}

/// What brings the machine and the kernel into step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catching {
    /// To be performed first, in order.
    pub effects: Vec<Effect>,
    /// To be handled then, in order.
    pub inputs: Vec<Input>,
}

/// Returns the machine that the journal's records make, and what brings it into step with the
/// keeper's table. `ticked` is what the journal's header says. Without records it is a machine that
/// knows no job, and whatever the table has is ended.
///
/// Where the keeper is another than the one that was told last, what that one had not read is lost:
/// what is being ended is told to end once more, and what was to go on to go on.
pub fn recover(
    config: Config,
    records: Vec<Record>,
    ticked: u64,
    table: &Table,
    replaced: Replaced,
) -> (Engine, Catching) {
    let undone = undone(&records, ticked);
    let mut engine = Engine::restore(config, records.into_iter().map(|record| record.changes));
    for (slot, _) in table.rows() {
        engine.never_reuse(slot);
    }
    let mut catching = reconcile(&engine, table, &undone);
    let added = core::mem::take(&mut catching.effects);
    catching.effects = undone.into_iter().filter(|effect| to_redo(effect, table)).collect();
    catching.effects.extend(added);
    match replaced {
        Replaced::No => {}
        Replaced::Yes => tell_again(&engine, table, &mut catching),
    }
    (engine, catching)
}

/// Adds the signals that a keeper may not have sent before it was killed.
fn tell_again(engine: &Engine, table: &Table, catching: &mut Catching) {
    #[cfg(feature = "planted")]
    if engine.planted(crate::machine::Bug::SignalLost) {
        return;
    }
    for (slot, signal, scope) in engine.endings() {
        let again = Effect::Signal(slot, signal, scope);
        if !catching.effects.contains(&again) {
            catching.effects.push(again);
        }
    }
    for (slot, phase) in table.rows().filter(|(slot, _)| engine.was_continued(*slot)) {
        if let Phase::Running { stopped: Some(_), .. } = phase {
            catching.effects.push(Effect::Signal(slot, Signal::CONT, SignalScope::Process));
        }
    }
}

/// Returns what brings a machine into step with a table, `undone` being the effects that will be
/// performed before those returned.
fn reconcile(engine: &Engine, table: &Table, undone: &[Effect]) -> Catching {
    let mut catching = Catching::default();
    let mut known = BTreeSet::new();
    for (slot, belief) in engine.beliefs() {
        known.insert(slot);
        match table.phase(slot) {
            Some(phase) => catch_up(slot, belief, phase, &mut catching),
            #[cfg(feature = "planted")]
            None if belief == Belief::Asked
                && engine.planted(crate::machine::Bug::SpawnedAgain) =>
            {
                catching.inputs.push(Input::SpawnFailed(slot, Step::Fork, 11));
            }
            None => miss(slot, belief, table, undone, &mut catching),
        }
    }
    for (slot, phase) in table.rows().filter(|(slot, _)| !known.contains(slot)) {
        catching.effects.push(match phase {
            Phase::Running { .. } => Effect::Signal(slot, Signal::KILL, SignalScope::Group),
            Phase::Failed(..) | Phase::Exited { .. } => Effect::Release(slot),
        });
    }
    for (slot, signal) in engine.sweeps() {
        let again = Effect::Sweep(slot, signal);
        if !undone.contains(&again) {
            catching.effects.push(again);
        }
    }
    for again in [engine.strays().map(Effect::SweepAll), engine.unkept().map(Effect::Keep)] {
        catching.effects.extend(again.filter(|again| !undone.contains(again)));
    }
    catching
}

/// The keeper has a row: what the machine has not seen of it becomes inputs.
fn catch_up(slot: Slot, belief: Belief, phase: Phase, catching: &mut Catching) {
    let inputs = &mut catching.inputs;
    let ran = match belief {
        Belief::Asked | Belief::Overdue | Belief::Adopting(_) => false,
        Belief::Runs(_) | Belief::Left => true,
    };
    match phase {
        Phase::Running { pid, warnings, stopped } => {
            if !ran {
                inputs.push(Input::Spawned(slot, pid, warnings));
            }
            inputs.extend(stopped.map(|signal| Input::Stopped(slot, signal)));
        }
        Phase::Failed(step, errno) => inputs.push(Input::SpawnFailed(slot, step, errno)),
        Phase::Exited { .. } if belief == Belief::Left => {
            catching.effects.push(Effect::Release(slot));
        }
        Phase::Exited { pid, warnings, exit } => {
            if !ran {
                inputs.push(Input::Spawned(slot, pid, warnings));
            }
            inputs.push(Input::Exited(slot, pid, exit));
        }
    }
}

/// The keeper has no row: what was asked for is asked again, what ran has ended.
fn miss(slot: Slot, belief: Belief, table: &Table, undone: &[Effect], catching: &mut Catching) {
    let again = match belief {
        Belief::Asked => Effect::Spawn(slot),
        Belief::Overdue => {
            // Asked again it would be killed again.
            catching.inputs.push(Input::SpawnFailed(slot, Step::Timeout, 0));
            return;
        }
        Belief::Adopting(pid) => Effect::Adopt(slot, pid),
        Belief::Runs(pid) => {
            let exit = table.orphan(pid).unwrap_or(Exit::Unknown);
            catching.inputs.push(Input::Exited(slot, pid, exit));
            return;
        }
        // The machine asks again by itself when its deadline comes.
        Belief::Left => return,
    };
    if !undone.contains(&again) {
        catching.effects.push(again);
    }
}

/// Reports whether an effect of the turn that was interrupted has to be done, perhaps again.
fn to_redo(effect: &Effect, table: &Table) -> bool {
    match effect {
        // The row says what became of it, and has been made inputs of.
        Effect::Spawn(slot) | Effect::Adopt(slot, _) => table.phase(*slot).is_none(),
        Effect::Signal(..)
        | Effect::Release(_)
        | Effect::Survey(..)
        | Effect::Sweep(..)
        | Effect::SweepAll(_)
        | Effect::Reply(..)
        | Effect::Notice(..)
        | Effect::Say(..)
        | Effect::Keep(_)
        | Effect::Quit(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::request::{Request, Target, Wait, Which};
    use crate::names::{EventName, JobName};
    use crate::process::{InstanceId, Role};
    use crate::spec::{Command, JobSpec};
    use crate::text::Text;
    use crate::time::Mono;
    use alloc::format;
    use alloc::sync::Arc;
    use alloc::vec;

    /// A journal of three turns: a job is defined, its start asked for, its process runs.
    fn journalled(turns: usize) -> (Vec<Record>, Slot) {
        let mut spec = JobSpec::new(JobName::try_from("web").unwrap());
        spec.commands.insert(Role::Main, Command::Exec(Text::from("serve")));
        let target = Target { job: Text::from("web"), which: Which::Env(Vec::new()) };
        let mut engine = Engine::new(Config::default());
        let slot = Slot { instance: InstanceId(1), role: Role::Main, generation: 1 };
        let start = Request::Start(target, Wait::Settled);
        let inputs = [
            Input::Define(Arc::new(spec)),
            Input::Ask(engine.next_request(), None, start, None),
            Input::Spawned(slot, 100, 0),
        ];
        let mut records = Vec::new();
        for input in inputs.into_iter().take(turns) {
            let mut effects = Vec::new();
            engine.handle(Mono(1), input, &mut effects);
            records.push(Record { changes: engine.take_changes(), effects });
        }
        (records, slot)
    }

    fn table(messages: &[FromKeeper]) -> Table {
        let mut table = Table::default();
        messages.iter().for_each(|message| table.tell(message));
        table
    }

    fn caught(turns: usize, ticked: u64, messages: &[FromKeeper]) -> Catching {
        let (records, _) = journalled(turns);
        recover(Config::default(), records, ticked, &table(messages), Replaced::No).1
    }

    const DONE: u64 = u64::MAX;

    #[test]
    fn a_spawn_that_the_keeper_does_not_know_is_asked_for_once_more() {
        let (_, slot) = journalled(2);
        for ticked in [0, DONE] {
            let spawns = |effect: &&Effect| **effect == Effect::Spawn(slot);
            let catching = caught(2, ticked, &[]);
            assert_eq!(catching.effects.iter().filter(spawns).count(), 1, "ticked {ticked}");
            assert_eq!(catching.inputs, []);
        }
    }

    #[test]
    fn what_the_keeper_knows_of_a_spawn_is_news_and_the_spawn_is_not_repeated() {
        let (_, slot) = journalled(2);
        let runs = FromKeeper::Spawned { slot, pid: 100, warnings: 4 };
        let catching = caught(2, 0, &[runs]);
        assert!(!catching.effects.contains(&Effect::Spawn(slot)));
        assert_eq!(catching.inputs, [Input::Spawned(slot, 100, 4)]);
        let exit = Exit::Status(3);
        let catching = caught(2, DONE, &[runs, FromKeeper::Exited { slot, pid: 100, exit }]);
        let both = [Input::Spawned(slot, 100, 4), Input::Exited(slot, 100, exit)];
        assert_eq!(catching, Catching { effects: vec![], inputs: both.to_vec() });
        let failed = FromKeeper::SpawnFailed { slot, step: Step::Exec, errno: 2 };
        assert_eq!(caught(2, DONE, &[failed]).inputs, [Input::SpawnFailed(slot, Step::Exec, 2)]);
    }

    #[test]
    fn a_process_that_the_keeper_does_not_know_has_ended_as_an_orphan_or_nobody_knows_how() {
        let (_, slot) = journalled(3);
        assert_eq!(caught(3, DONE, &[]).inputs, [Input::Exited(slot, 100, Exit::Unknown)]);
        let exit = Exit::Status(1);
        let orphan = FromKeeper::OrphanExited { sequence: 5, pid: 100, exit };
        assert_eq!(caught(3, DONE, &[orphan]).inputs, [Input::Exited(slot, 100, exit)]);
    }

    #[test]
    fn a_process_that_stopped_while_nobody_listened_is_told_of() {
        let (_, slot) = journalled(3);
        let runs = FromKeeper::Spawned { slot, pid: 100, warnings: 0 };
        assert_eq!(caught(3, DONE, &[runs]), Catching::default());
        let stopped = FromKeeper::Stopped { slot, signal: 19 };
        assert_eq!(caught(3, DONE, &[runs, stopped]).inputs, [Input::Stopped(slot, 19)]);
    }

    #[test]
    fn a_row_that_the_machine_does_not_know_is_killed_or_released_and_its_number_never_reused() {
        let of = |generation| Slot { instance: InstanceId(9), role: Role::Main, generation };
        let alive = FromKeeper::Spawned { slot: of(70), pid: 5, warnings: 0 };
        let dead = FromKeeper::SpawnFailed { slot: of(80), step: Step::Exec, errno: 2 };
        let table = table(&[alive, dead]);
        let (mut engine, catching) =
            recover(Config::default(), Vec::new(), 0, &table, Replaced::No);
        assert_eq!(
            catching.effects,
            [Effect::Signal(of(70), Signal::KILL, SignalScope::Group), Effect::Release(of(80))]
        );
        let (records, _) = journalled(1);
        let mut effects = Vec::new();
        let spec = Engine::restore(Config::default(), records.into_iter().map(|r| r.changes))
            .spec(&JobName::try_from("web").unwrap())
            .cloned();
        engine.handle(Mono(1), Input::Define(spec.unwrap()), &mut effects);
        let target = Target { job: Text::from("web"), which: Which::Env(Vec::new()) };
        let start = Request::Start(target, Wait::Settled);
        engine.handle(Mono(1), Input::Ask(engine.next_request(), None, start, None), &mut effects);
        let slot = Slot { instance: InstanceId(10), role: Role::Main, generation: 81 };
        assert!(effects.contains(&Effect::Spawn(slot)), "{effects:?}");
    }

    #[test]
    fn counters_that_a_damaged_record_has_run_out_break_nothing() {
        for counter in ["instance", "generation", "event", "request", "answer", "notice"]
            .map(|of| format!("\"next_{of}\":"))
        {
            let (records, _) = journalled(3);
            let spent = |record: &Record| {
                let json = serde_json::to_string(record).unwrap();
                let (before, after) = json.split_once(&counter).unwrap();
                let rest = after.trim_start_matches(|digit: char| digit.is_ascii_digit());
                let most =
                    if counter.contains("instance") { u64::from(u32::MAX) } else { u64::MAX };
                serde_json::from_str(&format!("{before}{counter}{most}{rest}")).unwrap()
            };
            let records: Vec<Record> = records.iter().map(spent).collect();
            let (mut engine, catching) =
                recover(Config::default(), records, DONE, &table(&[]), Replaced::No);
            let token = Some(Text::from("t"));
            let name = EventName::try_from("e").unwrap();
            let emit = Request::Emit(Text::from("e"), Vec::new(), Wait::Settled);
            let news = [
                Input::Happened(name, Vec::new()),
                Input::Ask(engine.next_request(), token, emit, None),
            ];
            let mut effects = Vec::new();
            for input in catching.inputs.into_iter().chain(news) {
                engine.handle(Mono(2), input, &mut effects);
            }
            assert!(!effects.is_empty(), "{counter}");
        }
    }
}
