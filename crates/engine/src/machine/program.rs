//! What clients of Supervisor see: its states, as a projection of ours. Never a second machine.
//! Source: Supervisor 4.3.0, process states.

use super::exits::is_normal;
use super::history::{History, Note};
use super::instance::{Due, Hold, Instance, Warning};
use super::request::{Asked, Failure};
use super::state::{Goal, State};
use super::Engine;
use crate::dialect::supervisord::repr;
use crate::errno::Errno;
use crate::names::{InstanceName, JobName};
use crate::process::{Exit, Role, Step};
use crate::spec::{Command, JobSpec};
use crate::text::Text;
use crate::time::Mono;
use crate::view::{LastExit, ProgramState, ProgramView};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

impl Engine {
    /// Returns every job as a client of Supervisor is shown it, by group and name.
    pub fn programs(&self) -> Vec<ProgramView> {
        let mut views: Vec<ProgramView> =
            self.jobs.keys().filter_map(|job| self.program(job)).collect();
        views.sort_by(|a, b| (&a.group, &a.process).cmp(&(&b.group, &b.process)));
        views
    }

    /// Returns what a client of Supervisor is shown of a job's one instance; nothing where the job is
    /// not known.
    pub fn program(&self, job: &JobName) -> Option<ProgramView> {
        let spec = &self.jobs.look(job)?.spec;
        let key = (job.clone(), InstanceName::default());
        let instance = self.names.get(&key).and_then(|id| self.instances.look(id));
        let history = self.histories.get(&key);
        let state = match instance {
            Some(instance) => state(instance),
            None => history.map_or(ProgramState::Stopped, at_rest),
        };
        let main = instance.and_then(|instance| instance.processes.get(&Role::Main));
        let last = history.and_then(|history| history.last_exit.as_ref());
        let ago = |at: Mono| self.now.since(at);
        let failures = instance.map_or(0, |instance| instance.respawn.failures);
        let (group, process) = name(job, spec);
        let order = spec.policy.order.as_ref();
        Some(ProgramView {
            job: job.clone(),
            group,
            process,
            priorities: order.map(|order| (order.group_priority, order.priority)),
            state,
            pid: main.and_then(|main| main.pid),
            started: history.and_then(started).map(ago),
            stopped: last.map(|(at, _)| ago(*at)),
            exit: match (main, last) {
                (None, Some((_, LastExit::Ended { exit, .. }))) => Some(*exit),
                (Some(_), _) | (None, _) => None,
            },
            spawn_error: error(state, last.map(|(_, end)| end), spec),
            failures,
            // Where the usual place is, the daemon knows.
            stdout_log: None,
            stderr_log: None,
        })
    }
}

/// Returns the group and the name within it: a job of a group is called `GROUP:NAME`, or as its group.
fn name(job: &JobName, spec: &JobSpec) -> (Text, Text) {
    let whole = job.text();
    let Some(order) = &spec.policy.order else { return (whole.clone(), whole.clone()) };
    let behind = whole.bytes().strip_prefix(order.group.bytes());
    let process = behind.and_then(|rest| rest.strip_prefix(b":"));
    (order.group.clone(), process.map_or_else(|| whole.clone(), Text::from))
}

/// Returns the state of an instance that there is.
pub(super) fn state(instance: &Instance) -> ProgramState {
    if instance.warnings.iter().any(|warning| matches!(warning, Warning::Unkillable(_))) {
        return ProgramState::Unknown;
    }
    let ending = match instance.goal {
        Goal::Stop => ProgramState::Stopping,
        Goal::Start if instance.processes.contains_key(&Role::Main) => ProgramState::Stopping,
        // On its way to be started again.
        Goal::Start => ProgramState::Exited,
    };
    match (instance.state, instance.hold, instance.due()) {
        (State::Starting, Some(Hold::Deadline), _) if instance.respawn.failures == 0 => {
            ProgramState::Exited
        }
        (_, Some(Hold::Deadline), Some((_, Due::Backoff | Due::Turn | Due::Retry(_)))) => {
            ProgramState::Backoff
        }
        (
            State::Starting | State::Security | State::PreStart | State::Spawned | State::PostStart,
            ..,
        ) => match instance.goal {
            Goal::Start => ProgramState::Starting,
            Goal::Stop => ProgramState::Stopping,
        },
        (State::Running, ..) => ProgramState::Running,
        (State::PreStop | State::Stopping | State::Killed | State::PostStop, ..) => ending,
        (State::Waiting, ..) => ProgramState::Stopped,
    }
}

/// Returns the state of a job that has no instance: what ended its last run says it.
pub(super) fn at_rest(history: &History) -> ProgramState {
    let mut by_itself = false;
    for entry in history.entries.iter().rev() {
        let note = &entry.note;
        if matches!(note, Note::Failed(Failure::StartRetries)) {
            return ProgramState::Fatal;
        }
        let asked = matches!(
            note,
            Note::Asked(Asked::Stop)
                | Note::AskedBy(Asked::Stop, _)
                | Note::ByEvents(Asked::Stop, _)
        );
        if asked && !by_itself {
            return ProgramState::Stopped;
        }
        if matches!(note, Note::Spawned(Role::Main, _) | Note::NotSpawned(Role::Main, ..)) {
            break;
        }
        by_itself |= *note == Note::Stops;
    }
    if by_itself {
        ProgramState::Exited
    } else {
        ProgramState::Stopped
    }
}

/// Returns when main was last started.
fn started(history: &History) -> Option<Mono> {
    let is_start = |note: &Note| {
        matches!(note, Note::Spawned(Role::Main, _) | Note::NotSpawned(Role::Main, ..))
    };
    history.entries.iter().rev().find(|entry| is_start(&entry.note)).map(|entry| entry.at)
}

/// Returns what keeps it from running. Source: Supervisor 4.3.0, spawnerr.
fn error(state: ProgramState, last: Option<&LastExit>, spec: &JobSpec) -> String {
    match (state, last) {
        (
            ProgramState::Backoff | ProgramState::Fatal,
            Some(LastExit::NotSpawned { step, errno, .. }),
        ) => not_spawned(*step, *errno, spec),
        (ProgramState::Backoff | ProgramState::Fatal, Some(LastExit::Ended { .. })) => {
            String::from("Exited too quickly (process log may have details)")
        }
        (ProgramState::Exited, Some(LastExit::Ended { exit, .. }))
            if !is_normal(*exit, &spec.policy.normal_exit) =>
        {
            let code = match exit {
                Exit::Status(status) => i32::from(*status),
                Exit::Signal { .. } | Exit::Unknown | Exit::OutOfMemory => -1,
            };
            format!("Bad exit code {code}")
        }
        _ => String::new(),
    }
}

/// Source: Supervisor 4.3.0, get_execv_args.
fn not_spawned(step: Step, errno: i32, spec: &JobSpec) -> String {
    let errno = Errno(errno);
    let plain = || format!("{}: {errno}", step.words());
    let Some(Command::Words(text)) = spec.commands.get(&Role::Main) else { return plain() };
    let text = text.lossy();
    let words = match crate::command::words(&text) {
        Ok(words) => words,
        Err(why) => return format!("can't parse command {}: {why}", repr(&text)),
    };
    let Some(program) = words.first() else { return String::from("command is empty") };
    if step != Step::Exec {
        return plain();
    }
    match errno {
        Errno::NOT_FOUND => format!("can't find command '{program}'"),
        Errno::IS_DIRECTORY => format!("command at '{program}' is a directory"),
        // Others may have the right to it that this user has not.
        Errno::PERMISSION_DENIED if spec.attrs.setuid.is_some() => {
            format!("no permission to run command '{program}'")
        }
        Errno::PERMISSION_DENIED => format!("command at '{program}' is not executable"),
        _ => plain(),
    }
}
