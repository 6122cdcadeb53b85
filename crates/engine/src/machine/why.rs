//! Why an instance is in its state: what `why` answers, told from what the machine has and remembers.

use super::condition::Matches;
use super::history::{Entry, History};
use super::instance::{Instance, Waiter};
use super::job::{Job, Next};
use super::request::{Asked, Ended, Failure};
use super::ring::Knot;
use super::state::{Goal, State};
use super::{Engine, Note, EMITTED};
use crate::dialect::meant::did_you_mean;
use crate::dialect::upstart::check::INIT_EVENTS;
use crate::dialect::upstart::show;
use crate::glob;
use crate::intent::Intent;
use crate::names::{InstanceName, JobName};
use crate::plan;
use crate::process::{Exit, Role};
use crate::signal::Signal;
use crate::spec::{Condition, JobSpec, Node, Operand};
use crate::text::Text;
use crate::time::Mono;
use crate::view::{LastExit, Need, Remembered, RunView, WhyView};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// How many of the last runs are told.
const RUNS_MAX: usize = 8;

/// How many jobs are named that say that they emit an event.
const EMITTERS_MAX: usize = 3;

impl Engine {
    /// Returns what `why` answers for an instance, also for one that is gone.
    pub fn why(&self, job: &JobName, name: &InstanceName) -> Option<WhyView> {
        let registered = self.jobs.look(job)?;
        let id = self.names.get(&(job.clone(), name.clone())).copied();
        let instance = id.and_then(|id| self.instances.look(&id));
        let mut status =
            instance.map_or_else(|| self.view_gone(job, name), |instance| self.view(instance));
        status.warnings.extend(self.changed_words(job, registered));
        let entries = self.entries_of(job, &status.instance);
        let remembered = |entry: &Entry| {
            let (cause, decision) = entry.note.words();
            Remembered { ago: self.now.since(entry.at), cause, decision }
        };
        let spec = &registered.spec;
        let from = id.map_or_else(|| Knot::Job(job.clone()), Knot::Instance);
        let due = instance.and_then(Instance::due).map(|(at, _)| at.since(self.now));
        Some(WhyView {
            verdict: self.verdict(registered, instance, entries),
            due,
            ring: self.ring(from),
            start_on: self.needs(spec.start_on.as_deref(), &registered.start),
            stop_on: instance.map_or_else(Vec::new, |instance| {
                self.needs(spec.stop_on.as_deref(), &instance.stop)
            }),
            waiters: self.all_waiters(spec, instance),
            runs: self.runs(entries),
            history: entries.iter().map(remembered).collect(),
            files: Vec::new(),
            section: None,
            status,
        })
    }

    /// Returns who waits for an instance; where its job is essential, that is Upright too.
    fn all_waiters(&self, spec: &JobSpec, instance: Option<&Instance>) -> Vec<String> {
        let mut all = instance.map_or_else(Vec::new, |instance| self.waiter_words(instance));
        let name = instance.map(|instance| instance.name.clone()).unwrap_or_default();
        all.extend(self.check_words(&spec.name, &name));
        if spec.policy.essential {
            all.push(
                "Upright: the job is essential, and everything ends when it has ended for good"
                    .into(),
            );
        }
        all
    }

    pub(super) fn entries_of(&self, job: &JobName, name: &InstanceName) -> &[Entry] {
        let history: Option<&History> = self.histories.get(&(job.clone(), name.clone()));
        history.map_or(&[], |history| &history.entries)
    }

    /// Says what becomes of a job whose files have changed while it runs.
    fn changed_words(&self, name: &JobName, job: &Job) -> Option<String> {
        let words = match job.next {
            Next::Same => return None,
            Next::Changed(ref next) => {
                // Their values may be secrets: only the owner may see those.
                let changes = plan::changes(&job.spec, next);
                let keys: Vec<String> = changes.iter().map(|change| change.name(false)).collect();
                let when = match self.instances_of(name) {
                    0 | 1 => "after a stop or restart",
                    _ => "when all its instances have stopped",
                };
                let keys = keys.join(", ");
                format!("its file has changed ({keys}); the new one is in force {when}")
            }
            Next::Removed => String::from("its file is gone; the job is forgotten when it stops"),
        };
        Some(words)
    }

    /// Says in a sentence why the instance is in its state: the decision that put it there.
    fn verdict(&self, job: &Job, instance: Option<&Instance>, entries: &[Entry]) -> String {
        let wanted = instance.is_some_and(|i| i.goal == Goal::Start || i.restart);
        let begun = entries.iter().rposition(|entry| starts(&entry.note));
        if wanted {
            let run = begun.map_or(entries, |at| entries.get(at..).unwrap_or_default());
            let again = run.iter().rev().find(|entry| is_again(&entry.note));
            let words = match (again, begun.and_then(|at| entries.get(at))) {
                (Some(again), _) => again_words(job, run, &again.note),
                (None, Some(first)) => first.note.words().0,
                (None, None) => String::from("its start is longer ago than is remembered"),
            };
            return words;
        }
        if let Some(intended) = self.intended(&job.spec.name) {
            let words = intended.words(&job.spec.name);
            let last = entries.iter().rev().find(|entry| asked(&entry.note).is_some());
            return match last.map(|entry| &entry.note) {
                Some(Note::AskedBy(Asked::Stop, by)) if intended.intent == Intent::Stopped => {
                    format!("{words}; {} asked for the stop", **by)
                }
                Some(_) | None => words,
            };
        }
        let run = entries.get(begun.map_or(0, |at| at + 1)..).unwrap_or_default();
        if let Some(entry) = run.iter().find(|entry| ends(&entry.note)) {
            return ending_words(job, run, entry);
        }
        if entries.iter().any(|entry| entry.note != Note::Redefined) {
            return String::from("what stopped it is longer ago than is remembered");
        }
        match (&job.spec.start_on, job.spec.policy.autostart) {
            (Some(_), _) => {
                String::from("it has not been started: its `start on` has not come true")
            }
            (None, true) => String::from("it has not been started yet"),
            (None, false) => {
                format!(
                    "it has not been started, and nothing starts it by itself; `start {}` does",
                    job.spec.name
                )
            }
        }
    }

    /// Draws a condition: operators of one kind in a row are one line.
    fn needs(&self, condition: Option<&Condition>, matched: &Matches) -> Vec<Need> {
        let Some(condition) = condition else { return Vec::new() };
        let tree = Tree::of(condition, matched);
        let mut needs = Vec::new();
        let mut open: Vec<(usize, u32, Option<&Node>)> = Vec::new();
        open.extend(condition.nodes.len().checked_sub(1).map(|root| (root, 0, None)));
        while let Some((at, depth, above)) = open.pop() {
            let Some(node) = condition.nodes.get(at) else { continue };
            let met = tree.truth.get(at).copied().unwrap_or(false);
            let words = match node {
                Node::Event(operand) => {
                    needs.push(self.operand_need(operand, matched, at, depth));
                    continue;
                }
                Node::And => "all of",
                Node::Or => "any of",
            };
            let same = above == Some(node);
            let below = if same { depth } else { depth + 1 };
            if !same {
                let words = String::from(words);
                needs.push(Need { depth, words, met, by: None, note: String::new() });
            }
            let Some(Some((left, right))) = tree.children.get(at) else { continue };
            open.extend([(*right, below, Some(node)), (*left, below, Some(node))]);
        }
        needs
    }

    fn operand_need(&self, operand: &Operand, matched: &Matches, at: usize, depth: u32) -> Need {
        let by = matched.event(at).map(|event| self.event_words(event));
        let note = if by.is_some() { String::new() } else { self.bringer_words(operand) };
        let words = show::operand(operand).lossy().into_owned();
        Need { depth, words, met: by.is_some(), by, note }
    }

    /// Says what is known of who would bring an event that has not come.
    fn bringer_words(&self, operand: &Operand) -> String {
        let Some(named) = literal_job(operand) else { return self.emitter_words(operand) };
        let known = JobName::try_from(named.clone()).ok();
        let Some((name, job)) = known.as_ref().and_then(|n| Some((n, self.jobs.look(n)?))) else {
            return format!("there is no job {named}");
        };
        let event = operand.event.text().bytes();
        let mut of_job = self.names_of(name).filter_map(|id| self.instances.look(&id));
        match of_job.next() {
            Some(i) if (i.goal, i.state) == (Goal::Start, State::Running) => match event {
                b"starting" | b"started" => {
                    format!("{name} runs already: that was before")
                }
                _ => format!("{name} runs"),
            },
            Some(instance) => {
                let waits = self.hold_words(instance);
                format!("{name} is {}/{}, waiting for {waits}", instance.goal, instance.state)
            }
            None => {
                let entries = self.entries_of(name, &InstanceName::default());
                match (entries.is_empty(), job.spec.start_on.as_deref()) {
                    (true, Some(on)) => {
                        format!("{name} does not run: it starts on {}", show::condition(on))
                    }
                    (_, _) => format!("{name} does not run: {}", self.verdict(job, None, entries)),
                }
            }
        }
    }

    /// Names the jobs that say that they emit an event.
    fn emitter_words(&self, operand: &Operand) -> String {
        let event = operand.event.text().bytes();
        let says = |job: &Job| job.spec.about.emits.iter().any(|p| glob::matches(p.bytes(), event));
        let jobs = self.jobs.iter().filter(|(_, job)| says(job));
        let names: Vec<String> =
            jobs.take(EMITTERS_MAX).map(|(name, _)| name.text().to_string()).collect();
        match names.is_empty() {
            true => self.meant_event(event),
            false => format!("says `emits`: {}", names.join(", ")),
        }
    }

    /// Asks whether another event was meant, where nothing is known that emits one of this name and that
    /// of another is near.
    fn meant_event(&self, event: &[u8]) -> String {
        let emitted = EMITTED.iter().map(|row| row.name);
        if emitted.clone().chain(INIT_EVENTS.iter().copied()).any(|name| name.as_bytes() == event) {
            return String::new();
        }
        let said = self.jobs.iter().flat_map(|(_, job)| &job.spec.about.emits);
        let said = said.filter(|name| !name.bytes().iter().any(|byte| b"*?[".contains(byte)));
        let names: Vec<&str> = emitted.chain(said.filter_map(Text::utf8)).collect();
        match did_you_mean(event, &names, "").as_str() {
            "" => String::new(),
            question => format!("no job says that it emits it; {question}"),
        }
    }

    pub(super) fn names_of<'a>(
        &'a self,
        job: &'a JobName,
    ) -> impl Iterator<Item = crate::process::InstanceId> + 'a {
        let from = (job.clone(), InstanceName::default());
        let of_job = self.names.range(from..).take_while(move |((name, _), _)| name == job);
        of_job.map(|(_, id)| *id)
    }

    fn waiter_words(&self, instance: &Instance) -> Vec<String> {
        let words = |waiter: &Waiter| match waiter {
            Waiter::Event(event) => format!("event {}", self.event_words(*event)),
            Waiter::Request(_) | Waiter::Accepted(_) => String::from("a client"),
        };
        instance.waiters.iter().map(words).collect()
    }

    /// Returns the last runs that the history tells of, oldest first.
    fn runs(&self, entries: &[Entry]) -> Vec<RunView> {
        let mut runs = Runs::default();
        entries.iter().for_each(|entry| runs.take(entry, self.now));
        let first = runs.over.len().saturating_sub(RUNS_MAX);
        runs.over.split_off(first)
    }
}

/// The runs that a history tells of, while it is read.
#[derive(Default)]
struct Runs {
    over: Vec<RunView>,
    /// When the present one began, and the original of an `expect`.
    began: Option<Mono>,
    original: Option<Mono>,
    /// The signals that were sent from here in the present one.
    sent: Vec<u8>,
}

impl Runs {
    fn take(&mut self, entry: &Entry, now: Mono) {
        let note = &entry.note;
        let ago = now.since(entry.at);
        if let Note::Spawned(Role::Main, _) = note {
            self.began = Some(entry.at);
            self.sent.clear();
        } else if let Note::Signalled(Role::Main, signal)
        | Note::Reloads(signal)
        | Note::Signals(signal)
        | Note::Passed(signal) = note
        {
            self.sent.push(signal.number());
        } else if let Note::Ended(Role::Main, _, exit) = note {
            let lasted = self.began.map(|from| entry.at.since(from));
            self.original = self.began.take();
            let exit = LastExit::Ended { process: Role::Main, exit: *exit };
            let note = signal_words(&exit, &self.sent);
            self.over.push(RunView { ago, lasted, exit, note });
        } else if let Note::Followed(..) = note {
            // It was the original of `expect` that ended: the run goes on.
            self.over.pop();
            self.began = self.original.take();
        } else if let Note::NotSpawned(process, step, errno) = note {
            let exit = LastExit::NotSpawned { process: *process, step: *step, errno: *errno };
            self.over.push(RunView { ago, lasted: None, exit, note: String::new() });
        }
    }
}

/// Returns the job that an operand for a job's event names, where it is a name and no pattern.
pub(super) fn literal_job(operand: &Operand) -> Option<&Text> {
    let (job, _) = show::job_of(operand);
    job.filter(|job| !job.bytes().iter().any(|byte| b"*?[$".contains(byte)))
}

/// A condition's tree with what is true of it.
pub(super) struct Tree {
    pub(super) truth: Vec<bool>,
    pub(super) children: Vec<Option<(usize, usize)>>,
}

impl Tree {
    pub(super) fn of(condition: &Condition, matched: &Matches) -> Tree {
        let mut tree = Tree { truth: Vec::new(), children: Vec::new() };
        let mut stack: Vec<usize> = Vec::new();
        for (at, node) in condition.nodes.iter().enumerate() {
            let is = |at: usize| tree.truth.get(at).copied().unwrap_or(false);
            let pair = match node {
                Node::Event(_) => None,
                Node::And | Node::Or => {
                    let (right, left) = (stack.pop(), stack.pop());
                    left.zip(right)
                }
            };
            let value = match (node, pair) {
                (Node::Event(_), _) => matched.event(at).is_some(),
                (Node::And, Some((left, right))) => is(left) && is(right),
                (Node::Or, Some((left, right))) => is(left) || is(right),
                (Node::And | Node::Or, None) => false,
            };
            tree.truth.push(value);
            tree.children.push(pair);
            stack.push(at);
        }
        tree
    }
}

/// Returns what somebody asked for, or a condition that came true.
fn asked(note: &Note) -> Option<Asked> {
    let (Note::Asked(asked) | Note::AskedBy(asked, _) | Note::ByEvents(asked, _)) = note else {
        return None;
    };
    Some(*asked)
}

fn starts(note: &Note) -> bool {
    matches!(asked(note), Some(Asked::Start | Asked::Restart)) || *note == Note::ByItself
}

fn ends(note: &Note) -> bool {
    asked(note) == Some(Asked::Stop) || matches!(note, Note::Failed(_) | Note::Stops)
}

fn is_again(note: &Note) -> bool {
    matches!(note, Note::Respawns(_) | Note::StartsAgain(_))
}

/// Says that main is started again, and how it ended.
fn again_words(job: &Job, run: &[Entry], again: &Note) -> String {
    let (cause, decision) = again.words();
    match last_end(job, run) {
        Some(end) => format!("{end}: {decision}"),
        None => format!("{cause}: {decision}"),
    }
}

/// Says why a run is over.
fn ending_words(job: &Job, run: &[Entry], entry: &Entry) -> String {
    let end = last_end(job, run);
    if let Note::Failed(failure) = &entry.note {
        let often = matches!(failure, Failure::RespawnLimit | Failure::StartRetries);
        if let (true, Some(end), Some(false)) = (often, &end, runs_at_all(run)) {
            return format!("it failed: {end}, at every start");
        }
        return match end.filter(|_| often) {
            Some(end) => format!("it failed: {failure}; the last time {end}"),
            None => format!("it failed: {}", job.spec.words_of(failure)),
        };
    }
    match end.filter(|_| entry.note == Note::Stops) {
        Some(end) if job.spec.policy.task => format!("it is a task, and {end}"),
        Some(end) => format!("{end}, and it is not to be started again"),
        None => entry.note.words().0,
    }
}

/// Reports whether main ran at all before it came to what the last entry about it says.
fn runs_at_all(run: &[Entry]) -> Option<bool> {
    run.iter().rev().find_map(|entry| {
        if let Note::Ended(Role::Main, ..) = &entry.note {
            return Some(true);
        }
        matches!(&entry.note, Note::NotSpawned(..)).then_some(false)
    })
}

/// Says how main last ended in a run.
fn last_end(job: &Job, run: &[Entry]) -> Option<String> {
    run.iter().rev().find_map(|entry| {
        if let Note::Ended(Role::Main, _, exit) = &entry.note {
            let was = if matches!(exit, Exit::Signal { .. }) { "was " } else { "" };
            return Some(format!("its main process {was}{}", Ended(*exit)));
        }
        let Note::NotSpawned(role, step, errno) = &entry.note else { return None };
        Some(job.spec.words_of(&Failure::NotSpawned(*role, *step, *errno)))
    })
}

/// Says what is known of the signal that ended a run. `sent` are those that were sent from here.
fn signal_words(exit: &LastExit, sent: &[u8]) -> String {
    let LastExit::Ended { exit: Exit::Signal { signal, core }, .. } = exit else {
        return String::new();
    };
    // ILL, TRAP, ABRT, BUS, FPE, SEGV and SYS: raised by what the process itself did.
    let crashed = matches!(signal, 4..=8 | 11 | 31);
    let words = match (crashed, sent.contains(signal)) {
        (_, true) => "sent by Upright",
        (true, false) if *core => "it crashed and left a core",
        (true, false) => "it crashed",
        (false, false) if *signal == Signal::KILL.number() => {
            "not sent by Upright: the kernel for want of memory, or somebody else"
        }
        (false, false) => "not sent by Upright",
    };
    String::from(words)
}
