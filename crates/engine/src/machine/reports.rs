//! Events that report what becomes of a job, so that another one can act on it: `failed`, `backoff`,
//! `flapping`, `ready` and `unhealthy`. Each is emitted only where a condition names it, so that nobody
//! pays for what nobody wants; never delivered to the job that it reports, nor along a long chain.

use super::lifecycle::exit_env;
use super::request::Failure;
use super::{environment, Engine, Note};
use crate::names::EventName;
use crate::process::{Exit, InstanceId, Role};
use crate::text::Text;
use crate::time::Span;
use crate::view::LastExit;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// The time in which reports of one instance are counted.
const WINDOW: Span = Span::secs(60);

/// How many reports of one kind an instance may cause in that time; more are left out.
const REPORTS_MAX: usize = 5;

/// How many restarts in that time are flapping.
const FLAPPING: usize = 3;

/// A kind of report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Report {
    Failed,
    Backoff,
    Flapping,
    Ready,
    Unhealthy,
}

impl Report {
    fn name(self) -> &'static str {
        match self {
            Report::Failed => "failed",
            Report::Backoff => "backoff",
            Report::Flapping => "flapping",
            Report::Ready => "ready",
            Report::Unhealthy => "unhealthy",
        }
    }

    /// Reports whether a decision that is remembered is one that this reports.
    fn counts(self, note: &Note) -> bool {
        match self {
            Report::Failed => matches!(note, Note::Failed(_)),
            Report::Backoff => matches!(note, Note::BacksOff(_)),
            Report::Flapping => matches!(note, Note::Respawns(_) | Note::StartsAgain(_)),
            Report::Ready => matches!(note, Note::Spawned(Role::Main, _)),
            Report::Unhealthy => matches!(note, Note::ExpectMissed(_) | Note::Failed(_)),
        }
    }
}

impl Engine {
    /// Emits `failed`: the present run has failed, for the first reason that there is.
    pub(super) fn report_failed(&mut self, id: InstanceId, failure: Failure) {
        self.report(id, Report::Failed, |engine| {
            let mut env = Vec::from([
                environment::row(b"PROCESS", failure.process().as_bytes()),
                environment::row(b"REASON", failure.to_string().as_bytes()),
            ]);
            env.extend(match failure {
                Failure::Ended(_, exit) | Failure::Timeout(_, Some(exit)) => exit_env(exit),
                Failure::RespawnLimit | Failure::StartRetries => engine.last_end(id),
                Failure::NotSpawned(..) | Failure::Timeout(_, None) | Failure::Unkillable(_) => {
                    None
                }
            });
            let respawns = engine.instances.look(&id).map_or(0, |i| i.respawn.total);
            env.push(Text::from(format!("RESPAWNS={respawns}")));
            env
        });
    }

    /// Emits `backoff`: the next start waits.
    pub(super) fn report_backoff(&mut self, id: InstanceId, span: Span) {
        self.report(id, Report::Backoff, |engine| {
            let failures = engine.instances.look(&id).map_or(0, |i| i.respawn.failures);
            let mut env = Vec::from([
                Text::from(format!("DELAY={}", seconds(span))),
                Text::from(format!("FAILURES={failures}")),
            ]);
            env.extend(engine.last_end(id));
            env
        });
    }

    /// Emits `flapping` where main has just been started again for the third time in a minute.
    pub(super) fn report_flapping(&mut self, id: InstanceId) {
        self.report(id, Report::Flapping, |engine| {
            let window = WINDOW.as_secs();
            let mut env = Vec::from([
                Text::from(format!("RESTARTS={FLAPPING}")),
                Text::from(format!("WITHIN={window}")),
            ]);
            env.extend(engine.last_end(id));
            env
        });
    }

    /// Emits `ready`: main serves.
    pub(super) fn report_ready(&mut self, id: InstanceId) {
        let main = self.instances.look(&id).and_then(|i| i.processes.get(&Role::Main));
        let Some((pid, since)) = main.map(|main| (main.pid, main.since)) else { return };
        self.report(id, Report::Ready, |engine| {
            let after = seconds(engine.now.since(since));
            let pid = pid.map(|pid| Text::from(format!("PID={pid}")));
            pid.into_iter().chain([Text::from(format!("AFTER={after}"))]).collect()
        });
    }

    /// Emits `unhealthy`: a process does not do what it should, and lives.
    pub(super) fn report_unhealthy(&mut self, id: InstanceId, role: Role, reason: &str) {
        self.report(id, Report::Unhealthy, |engine| {
            let process = engine.instances.look(&id).and_then(|i| i.processes.get(&role));
            let mut env = Vec::from([
                environment::row(b"PROCESS", role.name().as_bytes()),
                environment::row(b"REASON", reason.as_bytes()),
            ]);
            let pid = process.and_then(|process| process.pid);
            env.extend(pid.map(|pid| Text::from(format!("PID={pid}"))));
            env
        });
    }

    fn report(
        &mut self,
        id: InstanceId,
        report: Report,
        evidence: impl FnOnce(&Engine) -> Vec<Text>,
    ) {
        let Ok(name) = EventName::try_from(report.name()) else { return };
        if !self.starts.contains_key(&name) && !self.stops.contains_key(&name) {
            return;
        }
        let Some(instance) = self.instances.look(&id) else { return };
        if instance.job.is_reserved() {
            return;
        }
        let entries = self.entries_of(&instance.job, &instance.name);
        let young = entries.iter().rev().take_while(|e| self.now.since(e.at) < WINDOW);
        let times = young.filter(|entry| report.counts(&entry.note)).count();
        let told = match report {
            Report::Flapping => times == FLAPPING,
            Report::Failed | Report::Backoff | Report::Ready | Report::Unhealthy => {
                times <= REPORTS_MAX
            }
        };
        if !told {
            return;
        }
        let mut env = self.subject(instance);
        env.extend(evidence(self));
        let (job, depth) = (instance.job.clone(), instance.depth.saturating_add(1));
        let cause = self.cause_of(id);
        self.emit(name, env, Vec::new(), depth, Some(job), cause);
    }

    /// Returns how main last ended, as a variable.
    fn last_end(&self, id: InstanceId) -> Option<Text> {
        let instance = self.instances.look(&id)?;
        let (exit, _) = self.last_exit(self.history_of(&instance.job, &instance.name))?;
        match exit {
            LastExit::Ended { exit, .. } => exit_env(exit),
            LastExit::NotSpawned { .. } => exit_env(Exit::Unknown),
        }
    }
}

/// Seconds with three decimals, as RUNTIME, DELAY and AFTER show them.
pub(super) fn seconds(span: Span) -> String {
    format!("{}.{:03}", span.as_secs(), span.0 / 1_000_000 % 1000)
}
