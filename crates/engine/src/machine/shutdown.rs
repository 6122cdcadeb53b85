//! The end of everything: all instances stop in order, then whatever else descends from Upright is
//! asked to end, then Upright ends. Source: spec 13, quiesce, except that nothing is left behind
//! alive.

use super::instance::{Due, Hold, Instance};
use super::lifecycle::polite_scope;
use super::request::{Refusal, Reply, RequestId, Superseder};
use super::state::Goal;
use super::{Effect, Engine, EventId, Level, ShutdownKind, SignalScope};
use crate::names::{EventName, JobName};
use crate::process::{InstanceId, Role, Slot};
use crate::signal::Signal;
use crate::spec::{Order, Reader};
use crate::text::Text;
use crate::time::{Mono, Span};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// What the processes get on top of the longest kill timeout before everything is ended at once.
const GRACE: Span = Span::secs(1);

/// The least time that everything gets, the time that what `session-end` started gets before it is
/// told to stop, and the most that is left to what no job answers for. Source: spec 13, quiesce.
const SHORTEST: Span = Span::secs(5);

/// How long after that Upright still waits for the kernel to end them.
const LAST: Span = Span::secs(3);

/// How long event listeners are left alone when nothing else is to be stopped any more: what has happened
/// at the end reaches them too. Source: Supervisor 4.3.0, whose groups stop in different passes of its loop.
const HEARING: Span = Span::millis(500);

/// The hundredths of a stop timeout after which whatever has not been asked to end is asked, after
/// which it is ended, and after which Upright goes whatever still lives. What is left of it is for
/// the logger.
const ASK: u64 = 60;
const KILL: u64 = 90;
const END: u64 = 95;

/// An end that is under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Shutdown {
    /// Why.
    kind: ShutdownKind,
    /// When it began.
    began: Mono,
    /// When whatever was not asked to end before is asked; none: it has been.
    ask_at: Option<Mono>,
    /// When whatever still runs is sent KILL.
    kill_at: Mono,
    /// When Upright ends, whatever still lives.
    end_at: Mono,
    /// Whether KILL has been sent.
    killed: bool,
    /// Whether `Quit` has been said.
    quit: bool,
    /// The code of `Quit`.
    code: i32,
    /// What is left beside the jobs.
    strays: Strays,
    /// Instances from this number on were started by the end itself; their own stops start nothing
    /// more, so that the end comes to an end.
    first_late: u32,
    /// Event listeners, which are told of the end.
    #[serde(default)]
    listeners: Listeners,
}

/// How far the stop of event listeners is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Listeners {
    /// Others run, or there are none.
    #[default]
    Untouched,
    /// They hear what has happened, until then.
    Hearing(Mono),
    /// They have.
    Told,
}

/// What is known of processes that descend from Upright and that no slot has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Strays {
    /// Nothing yet: there are jobs.
    #[default]
    Unknown,
    /// They were sent this, and are counted as they end.
    Asked(Signal),
    /// There is none.
    Gone,
}

impl Shutdown {
    /// Reports whether an instance was started by the end itself.
    pub(super) fn is_late(&self, id: InstanceId) -> bool {
        id.0 >= self.first_late
    }

    /// Reports whether it has been said that Upright ends now.
    pub(super) fn is_over(&self) -> bool {
        self.quit
    }

    /// Returns when time is news for the end.
    pub(super) fn deadline(&self) -> Option<Mono> {
        let next = match (self.quit, self.killed) {
            (true, _) => return None,
            (false, false) => self.ask_at.map_or(self.kill_at, |at| at.min(self.kill_at)),
            (false, true) => self.end_at,
        };
        match self.listeners {
            Listeners::Hearing(until) => Some(next.min(until)),
            Listeners::Untouched | Listeners::Told => Some(next),
        }
    }

    /// Reports whether event listeners, the next to be stopped, are still to hear what has happened.
    fn are_hearing(&mut self, now: Mono) -> bool {
        let until = match self.listeners {
            Listeners::Untouched => now + HEARING,
            Listeners::Hearing(until) => until,
            Listeners::Told => return false,
        };
        let hear = now < until && !self.killed;
        self.listeners = if hear { Listeners::Hearing(until) } else { Listeners::Told };
        hear
    }
}

impl Engine {
    /// Begins the end, or hurries one that is under way: whatever still runs is sent KILL.
    pub(super) fn interrupt(&mut self) {
        let now = self.now;
        match &mut self.globals.shutdown {
            None => return self.shut_down(ShutdownKind::Shutdown, 0),
            Some(shutdown) if shutdown.quit || shutdown.killed => return,
            Some(shutdown) => {
                (shutdown.ask_at, shutdown.kill_at, shutdown.end_at) = (None, now, now + LAST);
            }
        }
        self.say(Level::Message, |_| String::from("Interrupted again: KILL for what still runs"));
    }

    /// Begins the end; `code` is what Upright exits with.
    pub(super) fn shut_down(&mut self, kind: ShutdownKind, code: i32) {
        if let Some(shutdown) = &mut self.globals.shutdown {
            // It stops everything as well, and nothing begins anew.
            if shutdown.kind == ShutdownKind::Restart && !shutdown.quit {
                (shutdown.kind, shutdown.code) = (kind, code);
            }
            return;
        }
        let part = |whole: Span, hundredths: u64| Span(whole.0 / 100 * hundredths);
        let (ask_at, kill_at, end_at) = match self.config.stop_timeout {
            Some(most) => {
                let at = |hundredths| self.now + part(most, hundredths);
                (Some(at(ASK)), at(KILL), at(END))
            }
            None => {
                let kill_at = self.now + self.longest_end() + GRACE;
                (Some(self.now + SHORTEST), kill_at, kill_at + LAST)
            }
        };
        self.globals.shutdown = Some(Shutdown {
            kind,
            began: self.now,
            ask_at,
            kill_at,
            end_at,
            killed: false,
            quit: false,
            code,
            strays: Strays::Unknown,
            first_late: self.globals.next_instance,
            listeners: Listeners::Untouched,
        });
        self.say(Level::Info, |_| format!("Quiescing due to {} request", kind.name()));
        if let Ok(name) = EventName::try_from("session-end") {
            let env = Vec::from([Text::from(format!("TYPE={}", kind.name()))]);
            self.emit(name, env, Vec::new(), 0, None, super::cause::OF_UPRIGHT.into());
        }
        self.drop_checks();
        let users = self.instances.iter().filter(|(_, instance)| !instance.job.is_reserved());
        let ids: Vec<InstanceId> = users.map(|(id, _)| *id).collect();
        for id in ids {
            self.cut_kill_timeout(id);
            if self.place_of(id).is_none() {
                self.stop_for_shutdown(id);
            }
        }
    }

    /// Returns how long an orderly end may take: what is in no group ends together, groups one after
    /// the other.
    fn longest_end(&self) -> Span {
        let mut longest: BTreeMap<Option<(i64, Text)>, Span> = BTreeMap::new();
        for (id, _) in self.instances.iter() {
            let Some(spec) = self.spec_of(*id) else { continue };
            let group = self.place_of(*id).map(|order| (order.group_priority, order.group));
            let most = longest.entry(group).or_default();
            *most = (*most).max(spec.policy.kill_timeout);
        }
        let ungrouped = longest.remove(&None).unwrap_or(SHORTEST).max(SHORTEST);
        longest.values().fold(ungrouped, |sum, most| Span(sum.0.saturating_add(most.0)))
    }

    fn place_of(&self, id: InstanceId) -> Option<Order> {
        self.spec_of(id).and_then(|spec| spec.policy.order.clone())
    }

    /// Stops the group that is next: the one with the greatest priority, once nothing is left of those
    /// before it. Reports whether it did. Source: Supervisor 4.3.0, ordered stop.
    pub(super) fn stop_next_group(&mut self) -> bool {
        if self.globals.shutdown.as_ref().is_none_or(|shutdown| shutdown.quit) {
            return false;
        }
        // Most ends come while others of the group are waited for: that is seen without a look at all.
        if self.ordered == 0 || self.one_is_stopping() {
            return false;
        }
        let ids = self.instances.keys();
        let places = ids.filter_map(|id| Some((self.place_of(*id)?, *id)));
        let mut places: Vec<(Order, InstanceId)> = places.collect();
        places.sort();
        let Some((last, id)) = places.last().cloned() else { return false };
        let listens = self.spec_of(id).is_some_and(|spec| spec.attrs.reader == Reader::Gateway);
        let now = self.now;
        let shutdown = self.globals.shutdown.as_mut();
        if listens && shutdown.is_some_and(|shutdown| shutdown.are_hearing(now)) {
            return false;
        }
        let same = |order: &Order| order.group == last.group;
        for (_, id) in places.iter().rev().filter(|(order, _)| same(order)) {
            self.stop_for_shutdown(*id);
        }
        true
    }

    /// Where nothing is left that could go on by itself, forgets the conditions that are met by half and
    /// keep jobs from their end, then tells what has no process to stop. Reports whether there was any.
    /// Source: spec 13: an end is over when no process is left.
    pub(super) fn free_what_is_stuck(&mut self) -> bool {
        let ends = self.globals.shutdown.as_ref().filter(|shutdown| !shutdown.quit);
        let Some(first_late) = ends.map(|shutdown| shutdown.first_late) else { return false };
        if !self.globals.work.is_empty() || !self.is_stuck() {
            return false;
        }
        if self.forget_half_met() {
            return true;
        }
        let wanted = |instance: &Instance| instance.goal == Goal::Start || instance.restart;
        let late = self.instances.iter().filter(|(id, i)| id.0 >= first_late && wanted(i));
        let late: Vec<InstanceId> = late.map(|(id, _)| *id).collect();
        late.iter().for_each(|id| self.stop_for_shutdown(*id));
        !late.is_empty()
    }

    /// Reports whether there are instances, and none that does more than wait for an event or rest
    /// without a process.
    fn is_stuck(&self) -> bool {
        let mut any = false;
        self.instances.iter().filter(|(_, i)| !i.job.is_reserved()).all(|(_, instance)| {
            any = true;
            match instance.hold {
                Some(Hold::Event(_)) => true,
                Some(
                    Hold::Process(_) | Hold::Spawn | Hold::Ready | Hold::Deadline | Hold::Sweep,
                ) => false,
                None => instance.processes.is_empty(),
            }
        }) && any
    }

    /// Forgets what conditions have matched; reports whether any had.
    fn forget_half_met(&mut self) -> bool {
        let jobs = self.jobs.iter().filter(|(_, job)| job.start.any());
        let jobs: Vec<JobName> = jobs.map(|(name, _)| name.clone()).collect();
        let instances = self.instances.iter().filter(|(_, instance)| instance.stop.any());
        let instances: Vec<InstanceId> = instances.map(|(id, _)| *id).collect();
        let starts = jobs.iter().filter_map(|name| Some(self.jobs.edit(name)?.start.reset()));
        let mut matched: Vec<EventId> = starts.flatten().collect();
        let stops = instances.iter().filter_map(|id| Some(self.instances.edit(id)?.stop.reset()));
        matched.extend(stops.flatten());
        let any = !matched.is_empty();
        matched.into_iter().for_each(|event| self.unblock(event));
        any
    }

    /// Reports whether an instance that has a place is being stopped. The last that was is looked at
    /// first, then those after it.
    fn one_is_stopping(&mut self) -> bool {
        let stops = |(id, instance): &(&InstanceId, &Instance)| {
            let stops = instance.goal == Goal::Stop && !instance.restart;
            stops && self.spec_of(**id).is_some_and(|spec| spec.policy.order.is_some())
        };
        let all = self.instances.from(&self.seen_stopping).chain(self.instances.iter());
        let one = all.into_iter().find(stops).map(|(id, _)| *id);
        self.seen_stopping = one.unwrap_or(InstanceId::NONE);
        one.is_some()
    }

    /// Returns when a process that is asked to end now is sent KILL: after its job's kill timeout,
    /// and before the stop timeout is over.
    pub(super) fn kill_time(&mut self, id: InstanceId, timeout: Span) -> Mono {
        let wanted = self.now + timeout;
        let (Some(shutdown), Some(most)) = (&self.globals.shutdown, self.config.stop_timeout)
        else {
            return wanted;
        };
        let latest = shutdown.kill_at;
        if wanted > latest {
            let left = latest.since(self.now);
            self.say(Level::Message, |engine| {
                let shown = engine.shown(id);
                format!("{shown}: its kill timeout of {timeout} is cut to {left} by the stop timeout of {most}")
            });
        }
        wanted.min(latest)
    }

    /// What was being stopped already has no more time than the rest.
    fn cut_kill_timeout(&mut self, id: InstanceId) {
        let latest = self.globals.shutdown.as_ref().map(|shutdown| shutdown.kill_at);
        let due = self.instances.look(&id).and_then(|instance| instance.due());
        let (Some((at, due @ Due::Kill(_))), Some(latest)) = (due, latest) else { return };
        if self.config.stop_timeout.is_some() && at > latest {
            self.set_due(id, Some((latest, due)));
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
        let stopped = self.instances.is_empty() && self.globals.work.is_empty();
        if stopped && shutdown.strays == Strays::Unknown {
            let signal = if shutdown.killed { Signal::KILL } else { Signal::TERM };
            shutdown.strays = Strays::Asked(signal);
            shutdown.kill_at = shutdown.kill_at.min(self.now + SHORTEST);
            shutdown.end_at = shutdown.end_at.min(self.now + SHORTEST + LAST);
            self.out.push(Effect::SweepAll(signal));
        }
        if !stopped && shutdown.ask_at.is_some_and(|at| self.now >= at) {
            let longest = self.stop_late(shutdown.first_late);
            match (self.config.stop_timeout, longest) {
                (Some(_), _) => self.ask_the_rest(),
                // What is told to stop only now has its own time for that.
                (None, Some(longest)) => {
                    shutdown.kill_at = shutdown.kill_at.max(self.now + longest + GRACE);
                    shutdown.end_at = shutdown.kill_at + LAST;
                }
                (None, None) => {}
            }
        }
        shutdown.ask_at = shutdown.ask_at.filter(|at| self.now < *at);
        let over = stopped && shutdown.strays == Strays::Gone;
        if !over && self.now >= shutdown.kill_at && !shutdown.killed {
            shutdown.killed = true;
            self.kill_everything();
            // What comes to be beside the jobs while they end is looked for once more.
            shutdown.strays = match shutdown.strays {
                Strays::Asked(_) => Strays::Asked(Signal::KILL),
                Strays::Unknown | Strays::Gone => Strays::Unknown,
            };
            self.out.push(Effect::SweepAll(Signal::KILL));
        }
        if over || (shutdown.killed && self.now >= shutdown.end_at) {
            shutdown.quit = true;
            self.name_leftovers();
            self.refuse_pending();
            // What was started after everything had been killed: a post-stop, a hook.
            self.kill_processes();
            let took = match self.now.since(shutdown.began).as_secs() {
                0 => String::from("<1 second"),
                1 => String::from("1 second"),
                seconds => format!("{seconds} seconds"),
            };
            let kind = shutdown.kind.name();
            self.say(Level::Info, |_| format!("Quiesce {kind} sequence took {took}"));
            self.out.push(Effect::Quit(shutdown.code));
        }
        self.globals.shutdown = Some(shutdown);
    }

    /// The daemon says how many processes that no slot has still live.
    pub(super) fn swept_all(&mut self, left: u32) {
        let stopped = self.instances.is_empty() && self.globals.work.is_empty();
        if let Some(shutdown) = &mut self.globals.shutdown {
            if stopped && left == 0 && matches!(shutdown.strays, Strays::Asked(_)) {
                shutdown.strays = Strays::Gone;
            }
        }
    }

    /// Returns the signal that such processes were last sent, while they are waited for.
    pub fn strays(&self) -> Option<Signal> {
        let shutdown = self.globals.shutdown.as_ref().filter(|shutdown| !shutdown.quit)?;
        match shutdown.strays {
            Strays::Asked(signal) => Some(signal),
            Strays::Unknown | Strays::Gone => None,
        }
    }

    /// Tells what the end itself has started to stop; returns the longest of their kill timeouts.
    fn stop_late(&mut self, first_late: u32) -> Option<Span> {
        let late: Vec<InstanceId> =
            self.instances.keys().copied().filter(|id| id.0 >= first_late).collect();
        let mut longest = None;
        for id in late {
            let timeout = self.spec_of(id).map(|spec| spec.policy.kill_timeout);
            longest = longest.max(timeout);
            self.stop_for_shutdown(id);
        }
        longest
    }

    /// Asks every process that nobody has asked, while there still is time for it to end well.
    fn ask_the_rest(&mut self) {
        let mut unasked: Vec<(InstanceId, Role)> = Vec::new();
        for (id, instance) in self.instances.iter() {
            let asked = match instance.due() {
                Some((_, Due::Kill(role) | Due::Unkillable(role))) => Some(role),
                Some(_) | None => None,
            };
            let roles = instance.processes.keys().filter(|role| Some(**role) != asked);
            unasked.extend(roles.map(|role| (*id, *role)));
        }
        for (id, role) in unasked {
            let Some(spec) = self.spec_of(id) else { continue };
            self.say(Level::Warn, |engine| {
                let shown = engine.shown(id);
                format!(
                    "{shown} {role} process is asked to end now: most of the stop timeout is over"
                )
            });
            self.signal(id, role, spec.policy.kill_signal, polite_scope(spec.policy.kill_mode));
        }
        self.out.push(Effect::SweepAll(Signal::TERM));
    }

    fn kill_everything(&mut self) {
        self.kill_processes();
        let ids: Vec<InstanceId> = self.instances.keys().copied().collect();
        for id in ids {
            self.stop_for_shutdown(id);
        }
    }

    fn kill_processes(&mut self) {
        let mut slots: Vec<Slot> = Vec::new();
        for (_, instance) in self.instances.iter() {
            let killed = match instance.due() {
                Some((_, Due::Unkillable(role))) => Some(role),
                Some(_) | None => None,
            };
            let others = instance.processes.iter().filter(|(role, _)| Some(**role) != killed);
            slots.extend(others.map(|(_, process)| process.slot));
        }
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

    /// Returns why everything is being stopped, where it is.
    pub fn shutdown_kind(&self) -> Option<ShutdownKind> {
        self.globals.shutdown.as_ref().map(|shutdown| shutdown.kind)
    }

    /// Reports whether everything is being stopped.
    pub fn shutting_down(&self) -> bool {
        self.globals.shutdown.is_some()
    }
}
