//! What happens to programs, in the lines of Supervisor's log. Source: Supervisor 4.3.0, process.

use super::chronicle::Chronicle;
use super::talk::Grade;
use super::Daemon;
use engine::logroute::ToLogger;
use engine::machine::{Effect, Input, Level, Notice, ProgramNews, ShutdownKind};
use engine::names::JobName;
use engine::process::{Exit, Pid, Role, Slot};
use engine::signal::Signal;
use engine::spec::Expect;
use engine::view::ProgramState;

/// Returns an end in words.
fn ended(exit: Exit) -> String {
    match exit {
        Exit::Status(status) => format!("exit status {status}"),
        Exit::Signal { signal, core } => {
            let name =
                Signal::new(signal).map_or(format!("signal {signal}"), |s| format!("SIG{s}"));
            let core = if core { " (core dumped)" } else { "" };
            format!("terminated by {name}{core}")
        }
        Exit::OutOfMemory => String::from("terminated by SIGKILL"),
        Exit::Unknown => String::from("status unknown"),
    }
}

impl Daemon {
    /// A main process runs.
    pub(super) fn chronicle_spawned(&self, slot: Slot, pid: Pid) {
        let (Some(log), Role::Main) = (&self.chronicle, slot.role) else { return };
        let name = self.engine.name_of(slot.instance).map(|(job, _)| job);
        let job = name.filter(|job| !job.is_reserved());
        if let Some(name) = job.and_then(|job| self.process_name(job)) {
            log.write(Grade::Info, &format!("spawned: '{name}' with pid {pid}"));
        }
    }

    /// Programs that were told to stop and outlasted their time are sent KILL in this turn.
    pub(super) fn chronicle_kills(&self, effects: &[Effect]) {
        let Some(log) = &self.chronicle else { return };
        for effect in effects {
            let Effect::Signal(slot, Signal::KILL, _) = effect else { continue };
            let Some(pid) = self.engine.outlasting(*slot) else { continue };
            let named = self.engine.name_of(slot.instance);
            if let Some(name) = named.and_then(|(job, _)| self.process_name(job)) {
                log.write(Grade::Warn, &format!("killing '{name}' ({pid}) with SIGKILL"));
            }
        }
    }

    /// Everything ends, and this is the first that is told to: says who has to end before that.
    fn chronicle_dying(&self, log: &Chronicle) {
        if !self.engine.shutting_down() || !log.is_to_name_the_dying() {
            return;
        }
        let mut dying = self.engine.programs();
        dying.retain(|program| program.priorities.is_some() && !program.state.is_at_rest());
        dying.sort_by_key(|program| program.priorities);
        let names: Vec<String> =
            dying.iter().map(|program| program.process.lossy().into_owned()).collect();
        log.write(Grade::Info, &format!("waiting for {} to die", names.join(", ")));
    }

    /// Returns the name that a program's process has in its group; nothing for other jobs.
    fn process_name(&self, job: &JobName) -> Option<String> {
        let order = self.engine.spec(job)?.policy.order.clone()?;
        let name = job.text().lossy().into_owned();
        let group = order.group.lossy().into_owned();
        let within = name.strip_prefix(&group).and_then(|rest| rest.strip_prefix(':'));
        Some(within.map_or(name.clone(), str::to_owned))
    }

    /// Something has happened of which subscribers are told.
    pub(super) fn chronicle_notice(&self, notice: &Notice) {
        let Some(log) = &self.chronicle else { return };
        if let Notice::Program(news) = notice {
            if news.to == ProgramState::Stopping {
                self.chronicle_dying(log);
            }
            if let Some((grade, line)) = self.line_of(news) {
                log.write(grade, &line);
            }
        }
    }

    fn line_of(&self, news: &ProgramNews) -> Option<(Grade, String)> {
        let job = &news.job;
        let name = self.process_name(job)?;
        let grade = if news.expected { Grade::Info } else { Grade::Warn };
        match (news.to, news.exit) {
            (ProgramState::Running, _) => {
                let span = match self.engine.spec(job)?.policy.expect {
                    Expect::Up(span) => span.as_secs(),
                    Expect::None | Expect::Stop | Expect::Fork | Expect::Daemon => 0,
                };
                Some((
                    Grade::Info,
                    format!("success: {name} entered RUNNING state, process has stayed up for > than {span} seconds (startsecs)"),
                ))
            }
            (ProgramState::Backoff, None) => {
                let why = self.engine.program(job)?.spawn_error;
                Some((Grade::Info, format!("spawnerr: {why}")))
            }
            (ProgramState::Backoff, Some(exit)) => {
                Some((Grade::Warn, format!("exited: {name} ({}; not expected)", ended(exit))))
            }
            (ProgramState::Exited, Some(exit)) => {
                let expected = if news.expected { "expected" } else { "not expected" };
                Some((grade, format!("exited: {name} ({}; {expected})", ended(exit))))
            }
            (ProgramState::Stopped, Some(exit)) => {
                Some((grade, format!("stopped: {name} ({})", ended(exit))))
            }
            (ProgramState::Stopping, _) if self.engine.shutting_down() => None,
            (ProgramState::Stopping, _) => {
                Some((Grade::Info, format!("waiting for {name} to stop")))
            }
            (ProgramState::Fatal, _) => Some((
                Grade::Info,
                format!("gave up: {name} entered FATAL state, too many start retries too quickly"),
            )),
            (
                ProgramState::Stopped
                | ProgramState::Starting
                | ProgramState::Exited
                | ProgramState::Unknown,
                _,
            ) => None,
        }
    }

    /// A signal to Supervisor's daemon. Source: Supervisor 4.3.0, signals.
    pub(super) fn signalled_supervisord(&mut self, number: u8, effects: &mut Vec<Effect>) {
        let Some(signal) = Signal::new(number) else { return };
        let said = |grade, what: &str| {
            if let Some(log) = &self.chronicle {
                log.write(grade, &format!("received SIG{signal} indicating {what}"));
            }
        };
        match signal {
            Signal::TERM | Signal::INT | Signal::QUIT => {
                said(Grade::Warn, "exit request");
                self.handle(Input::Shutdown(ShutdownKind::Shutdown), effects);
            }
            Signal::HUP
                if self
                    .engine
                    .shutdown_kind()
                    .is_some_and(|kind| kind != ShutdownKind::Restart) =>
            {
                if let Some(log) = &self.chronicle {
                    log.write(
                        Grade::Warn,
                        "ignored SIGHUP indicating restart request (shutdown in progress)",
                    );
                }
            }
            Signal::HUP => {
                said(Grade::Warn, "restart request");
                match self.may_begin_anew() {
                    Ok(()) => self.handle(Input::Shutdown(ShutdownKind::Restart), effects),
                    Err(fault) => {
                        let line = format!("cannot restart, everything goes on as it is: {fault}");
                        self.say(Level::Error, &line);
                    }
                }
            }
            Signal::USR2 => {
                said(Grade::Info, "log reopen request");
                self.tell_logger(&ToLogger::Reopen);
                self.say(Level::Message, "supervisord logreopen");
            }
            _ => said(Grade::Debug, "nothing"),
        }
    }
}
