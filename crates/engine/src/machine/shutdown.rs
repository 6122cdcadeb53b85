//! The end of everything: all instances stop in order, then Upright ends. Source: spec 13,
//! quiesce, except that nothing is left behind alive.

use super::request::{Refusal, Reply, RequestId, Superseder};
use super::state::Goal;
use super::{Effect, Engine, EventId, Level, ShutdownKind, SignalScope};
use crate::names::EventName;
use crate::process::{InstanceId, Slot};
use crate::signal::Signal;
use crate::text::Text;
use crate::time::{Mono, Span};
use alloc::format;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// What the processes get on top of the longest kill timeout before everything is ended at once.
const GRACE: Span = Span::secs(1);

/// The least time that everything gets. Source: spec 13, quiesce.
const SHORTEST: Span = Span::secs(5);

/// How long after that Upright still waits for the kernel to end them.
const LAST: Span = Span::secs(3);

/// An end that is under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shutdown {
    /// When whatever still runs is sent KILL.
    kill_at: Mono,
    /// Whether that has been done.
    killed: bool,
    /// Whether `Quit` has been said.
    quit: bool,
    /// Instances from this number on were started by the end itself; their own stops start nothing
    /// more, so that the end comes to an end.
    first_late: u32,
}

impl Shutdown {
    /// Reports whether an instance was started by the end itself.
    pub(super) fn is_late(&self, id: InstanceId) -> bool {
        id.0 >= self.first_late
    }

    /// Returns when time is news for the end.
    pub(super) fn deadline(&self) -> Option<Mono> {
        match (self.quit, self.killed) {
            (true, _) => None,
            (false, false) => Some(self.kill_at),
            (false, true) => Some(self.kill_at + LAST),
        }
    }
}

impl Engine {
    pub(super) fn shut_down(&mut self, kind: ShutdownKind) {
        if self.globals.shutdown.is_some() {
            return;
        }
        let running = self.instances.iter().filter_map(|(id, _)| self.spec_of(*id));
        let longest = running.map(|spec| spec.policy.kill_timeout).max();
        let kill_at = self.now + longest.unwrap_or(SHORTEST).max(SHORTEST) + GRACE;
        let first_late = self.globals.next_instance;
        self.globals.shutdown = Some(Shutdown { kill_at, killed: false, quit: false, first_late });
        self.say(Level::Info, |_| format!("Quiescing due to {} request", kind.name()));
        if let Ok(name) = EventName::try_from("session-end") {
            let env = Vec::from([Text::from(format!("TYPE={}", kind.name()))]);
            self.emit(name, env, Vec::new(), 0, None);
        }
        let users = self.instances.iter().filter(|(_, instance)| !instance.job.is_reserved());
        let ids: Vec<InstanceId> = users.map(|(id, _)| *id).collect();
        for id in ids {
            self.stop_for_shutdown(id);
        }
    }

    fn stop_for_shutdown(&mut self, id: InstanceId) {
        let Some(instance) = self.instances.edit(&id) else { return };
        if instance.goal == Goal::Stop && !instance.restart {
            return;
        }
        instance.restart = false;
        self.supersede(id, &Superseder::Shutdown);
        self.change_goal(id, Goal::Stop);
    }

    /// Ends Upright when nothing is left, or when waiting has lasted too long. What `session-end`
    /// started is given the same time as everything else.
    pub(super) fn end_shutdown(&mut self) {
        let Some(mut shutdown) = self.globals.shutdown.clone() else { return };
        if shutdown.quit {
            return;
        }
        let quiet = self.globals.work.is_empty() && !self.instances.is_empty();
        if quiet && self.instances.iter().all(|(_, instance)| instance.job.is_reserved()) {
            // Upright's own go last: through them clients see how everything else stops.
            self.refuse_pending();
            let own: Vec<InstanceId> = self.instances.keys().copied().collect();
            own.into_iter().for_each(|id| self.stop_for_shutdown(id));
        }
        let over = self.instances.is_empty() && self.globals.work.is_empty();
        if !over && self.now >= shutdown.kill_at && !shutdown.killed {
            shutdown.killed = true;
            self.kill_everything();
        }
        if over || (shutdown.killed && self.now >= shutdown.kill_at + LAST) {
            shutdown.quit = true;
            self.name_leftovers();
            self.refuse_pending();
            // What was started after everything had been killed: a post-stop, a hook.
            self.kill_processes();
            self.out.push(Effect::Quit(0));
        }
        self.globals.shutdown = Some(shutdown);
    }

    fn kill_everything(&mut self) {
        self.kill_processes();
        let ids: Vec<InstanceId> = self.instances.keys().copied().collect();
        for id in ids {
            self.stop_for_shutdown(id);
        }
    }

    fn kill_processes(&mut self) {
        let slots: Vec<Slot> = self
            .instances
            .iter()
            .flat_map(|(_, instance)| instance.processes.values().map(|process| process.slot))
            .collect();
        for slot in slots {
            self.out.push(Effect::Signal(slot, Signal::KILL, SignalScope::Group));
        }
    }

    /// Whoever still waits for something is told why it will not come.
    fn refuse_pending(&mut self) {
        let pending: Vec<RequestId> = self.requests.keys().copied().collect();
        for request in pending {
            self.reply(request, Reply::Refused(Refusal::ShuttingDown), None);
        }
    }

    fn name_leftovers(&mut self) {
        let ids: Vec<InstanceId> = self.instances.keys().copied().collect();
        for id in ids {
            self.say(Level::Warn, |engine| {
                format!("job {} failed to stop: its processes do not end", engine.shown(id))
            });
        }
    }

    /// Reports whether a job may still be started by these events: only what `session-end` and the
    /// events of stopping jobs ask for, but not what such a job asks for in its turn, and that only
    /// until everything is killed.
    pub(super) fn may_start(&self, events: &[EventId]) -> bool {
        let of_the_end = |id: &EventId| {
            self.events.look(id).is_some_and(|event| {
                let name = event.name.text().bytes();
                !event.late && matches!(name, b"session-end" | b"stopping" | b"stopped")
            })
        };
        match &self.globals.shutdown {
            None => true,
            Some(shutdown) => !(shutdown.killed || shutdown.quit) && events.iter().any(of_the_end),
        }
    }

    /// Reports whether everything is being stopped.
    pub fn shutting_down(&self) -> bool {
        self.globals.shutdown.is_some()
    }
}
