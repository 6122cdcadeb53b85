//! Starting again: the limit, the back-off, and spawns that are tried again. Source: spec 7.6.

use super::budget::Budget;
use super::instance::{Due, Hold, Window};
use super::request::Failure;
use super::state::Main;
use super::{Engine, Level, Note};
use crate::errno::Errno;
use crate::process::{InstanceId, Role, Slot};
use crate::spec::{Backoff, JobSpec, Policy, RespawnLimit};
use crate::time::{Mono, Span};
use crate::view::ProgramState;
use alloc::format;

/// The first wait after the kernel had no room for a process; doubled up to [`RETRY_CAP`].
const RETRY_DELAY: Span = Span::millis(100);

/// The longest wait for the kernel to have room for a process.
const RETRY_CAP: Span = Span::secs(5);

/// How often at most it is said that the budget of restarts is spent.
const TELL_SPENT: Span = Span::secs(60);

impl Engine {
    /// Main ended unasked and shall be started again, unless that happened too often.
    pub(super) fn respawn_or_give_up(
        &mut self,
        id: InstanceId,
        slot: Slot,
        policy: &Policy,
        since: Mono,
    ) {
        let now = self.now;
        #[cfg(feature = "planted")]
        let over = self.planted(super::Bug::RespawnOverLimit);
        let Some(instance) = self.instances.edit(&id) else { return };
        if now.since(since) >= policy.backoff.reset {
            instance.count_anew();
        }
        instance.respawn.ran_from = Some(since);
        instance.respawn.charged = now.since(since) < super::budget::GOOD_RUN;
        // A run that was too short to count as a good one was a failed start.
        let short = policy.start_retries.filter(|_| policy.backoff.reset > Span::ZERO);
        let counted = policy.start_retries.is_none() || short.is_some();
        let limit = policy.respawn_limit;
        #[cfg(feature = "planted")]
        let limit = match limit {
            RespawnLimit::Within { count, interval } if count > 0 && over => {
                RespawnLimit::Within { count: count + 1, interval }
            }
            RespawnLimit::Within { .. } | RespawnLimit::Unlimited => limit,
        };
        let allowed = instance.respawn.allow(now, limit);
        if counted {
            instance.respawn.failures = instance.respawn.failures.saturating_add(1);
        }
        let spent = short.is_some_and(|retries| instance.respawn.failures > retries);
        if !allowed || spent {
            let failure = if allowed { Failure::StartRetries } else { Failure::RespawnLimit };
            if !self.slow_down(id, policy, failure) {
                self.give_up(id, slot, failure);
                return;
            }
        }
        let Some(instance) = self.instances.edit(&id) else { return };
        instance.respawn.total = instance.respawn.total.saturating_add(1);
        instance.main = Main::Lost;
        let count = instance.respawn.count;
        self.remember(id, Note::Respawns(count));
        self.report_flapping(id);
        self.say(Level::Warn, |engine| {
            format!("{} main process ended, respawning", engine.shown(id))
        });
    }

    /// Main ended before it was ready, or could not be executed: whoever waits for the start is told,
    /// and it is tried again, unless that happened too often.
    pub(super) fn start_failed(
        &mut self,
        id: InstanceId,
        slot: Slot,
        policy: &Policy,
        failure: Failure,
    ) {
        let ends = self.globals.shutdown.is_some();
        let Some(instance) = self.instances.edit(&id) else { return };
        instance.main = Main::Lost;
        let failures = instance.respawn.failures.saturating_add(1);
        instance.respawn.failures = failures;
        instance.respawn.charged = true;
        self.tell_failed(id, &failure);
        let spent = failures > policy.start_retries.unwrap_or(0);
        if ends || (spent && !self.slow_down(id, policy, Failure::StartRetries)) {
            self.give_up(id, slot, Failure::StartRetries);
            return;
        }
        if let Some(instance) = self.instances.edit(&id) {
            instance.respawn.total = instance.respawn.total.saturating_add(1);
        }
        self.remember(id, Note::StartsAgain(failures));
        self.report_flapping(id);
        self.say(Level::Warn, |engine| {
            format!("{} ended too early, starting again", engine.shown(id))
        });
        self.refuse_waiters(id, failure, Some(slot));
    }

    fn give_up(&mut self, id: InstanceId, slot: Slot, failure: Failure) {
        let early = failure == Failure::StartRetries;
        let why = if early { "ended too early at every start" } else { "respawning too fast" };
        self.say(Level::Warn, |engine| format!("{} {why}, stopped", engine.shown(id)));
        if early {
            self.tell_program(id, ProgramState::Fatal);
        }
        self.fail(id, failure, Some(slot));
        self.will_stop(id);
    }

    /// Goes on trying slowly in place of giving up, where the job wants that. Reports whether it does.
    fn slow_down(&mut self, id: InstanceId, policy: &Policy, failure: Failure) -> bool {
        let Some(every) = policy.backoff.retry else { return false };
        let Some(instance) = self.instances.edit(&id) else { return false };
        if !core::mem::replace(&mut instance.respawn.slow, true) {
            self.say(Level::Warn, |engine| {
                format!("{} {failure}; trying again every {every}", engine.shown(id))
            });
            self.remember(id, Note::Slows(failure));
        }
        true
    }

    /// Main has been ready: failed starts are counted anew, unless only a longer run counts.
    pub(super) fn started_well(&mut self, id: InstanceId, policy: &Policy) {
        if policy.start_retries.is_some() && policy.backoff.reset == Span::ZERO {
            if let Some(instance) = self.instances.edit(&id) {
                instance.count_anew();
            }
        }
    }

    /// Holds a start that follows a failure for as long as the back-off says. Reports whether it
    /// does.
    pub(super) fn hold_for_backoff(&mut self, id: InstanceId, spec: &JobSpec) -> bool {
        let seed = self.config.seed;
        let Some(instance) = self.instances.edit(&id) else { return false };
        let backoff = &spec.policy.backoff;
        let failures = instance.respawn.failures;
        let paced = match instance.respawn.ran_from {
            Some(_) => instance.respawn.ran_from.take(),
            None => None,
        };
        let left = paced.map_or(Span::ZERO, |from| (from + backoff.pace).since(self.now));
        let waits = failures > 0 && backoff.delay != Span::ZERO;
        let waits = waits.then(|| wait(backoff, failures, seed ^ u64::from(id.0)));
        let slow = backoff.retry.filter(|_| instance.respawn.slow);
        let span = slow.or(waits).unwrap_or(Span::ZERO).max(left);
        if span == Span::ZERO {
            return self.hold_for_turn(id);
        }
        instance.hold = Some(Hold::Deadline);
        if failures > 0 {
            self.tell_program(id, ProgramState::Backoff);
        }
        self.remember(id, Note::BacksOff(span));
        if failures > 0 {
            self.report_backoff(id, span);
        }
        self.set_due(id, Some((self.now + span, Due::Backoff)));
        true
    }

    /// Holds a start that the budget of restarts has no room for until it has. Reports whether it
    /// does.
    pub(super) fn hold_for_turn(&mut self, id: InstanceId) -> bool {
        let (now, budget) = (self.now, self.config.budget);
        let Some(instance) = self.instances.edit(&id) else { return false };
        // Upright's own jobs are what the others are looked at with.
        if !instance.respawn.charged {
            return false;
        }
        instance.respawn.charged = false;
        if instance.job.is_reserved() {
            return false;
        }
        #[cfg(feature = "planted")]
        let before = self.globals.spent;
        let span = self.globals.spent.take(now, budget);
        #[cfg(feature = "planted")]
        if span > Span::ZERO && self.config.planted == Some(super::Bug::TurnShared) {
            self.globals.spent = before;
        }
        if span == Span::ZERO {
            return false;
        }
        instance.hold = Some(Hold::Deadline);
        // What the host takes is none of the time in which the limit counts.
        instance.respawn.began = instance.respawn.began.map(|began| began + span);
        if instance.respawn.failures > 0 {
            self.tell_program(id, ProgramState::Backoff);
        }
        self.remember(id, Note::Deferred(span));
        self.say(Level::Info, |engine| format!("{} restart deferred by {span}", engine.shown(id)));
        self.say_spent(budget);
        self.set_due(id, Some((now + span, Due::Turn)));
        true
    }

    /// Says now and then that the budget of restarts is spent.
    fn say_spent(&mut self, budget: Budget) {
        let told = &mut self.globals.spent.told;
        if told.is_some_and(|at| self.now.since(at) < TELL_SPENT) {
            return;
        }
        *told = Some(self.now);
        self.say(Level::Warn, |_| {
            format!(
                "more than {} jobs a second are to be started again: they wait their turn \
                 (restart budget); `upright status` shows them",
                budget.per_second
            )
        });
    }

    /// The kernel had no room for a process: tried again later. Not a failed start.
    pub(super) fn retry_spawn(&mut self, id: InstanceId, role: Role, errno: i32) {
        let Some(instance) = self.instances.edit(&id) else { return };
        let tried = instance.retries;
        instance.retries = tried.saturating_add(1);
        instance.processes.remove(&role);
        let span = Span(RETRY_DELAY.0 << tried.min(6)).min(RETRY_CAP);
        instance.hold = Some(Hold::Deadline);
        if role == Role::Main {
            self.tell_program(id, ProgramState::Backoff);
        }
        self.remember(id, Note::Retries(role, span, errno));
        self.say(Level::Warn, |engine| {
            format!(
                "{} {role} process: the kernel has no room for it: {}; trying again in {span}",
                engine.shown(id),
                Errno(errno)
            )
        });
        self.set_due(id, Some((self.now + span, Due::Retry(role))));
    }
}

impl Window {
    /// Counts a respawn and reports whether the limit allows it. Either number being 0 means
    /// unlimited.
    pub fn allow(&mut self, now: Mono, limit: RespawnLimit) -> bool {
        let RespawnLimit::Within { count, interval } = limit else { return self.count_freely() };
        if count == 0 || interval == Span::ZERO {
            return self.count_freely();
        }
        match self.began {
            Some(began) if now.since(began) < interval => self.count = self.count.saturating_add(1),
            Some(_) | None => {
                self.began = Some(now);
                self.count = 1;
            }
        }
        self.count <= count
    }

    fn count_freely(&mut self) -> bool {
        self.count = self.count.saturating_add(1);
        true
    }
}

/// Returns how long the n-th start after a failure waits.
pub fn wait(backoff: &Backoff, failures: u32, seed: u64) -> Span {
    let mut span = backoff.delay;
    // A steady step needs no counting: with a small one and a far cap that would take for ever.
    if backoff.factor_percent == 100 {
        let steps = u64::from(failures.saturating_sub(1));
        span = Span(span.0.saturating_add(backoff.step.0.saturating_mul(steps)));
    }
    let grows = if backoff.factor_percent == 100 { 1 } else { failures };
    for _ in 1..grows {
        if span >= backoff.cap {
            break;
        }
        let next = Span(span.0.saturating_mul(u64::from(backoff.factor_percent)) / 100);
        let next = Span(next.0.saturating_add(backoff.step.0));
        // What does not change now never will: however many failures, few steps.
        if next == span {
            break;
        }
        span = next;
    }
    span = span.min(backoff.cap.max(backoff.delay));
    let share = (span.0 / 100).saturating_mul(u64::from(backoff.jitter_percent));
    let random = mix(seed.wrapping_add(u64::from(failures)));
    Span(span.0.saturating_add(if share == 0 { 0 } else { random % share }))
}

/// Scatters a number. Source: splitmix64.
fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_respawns_in_five_seconds_are_allowed_and_the_eleventh_is_not() {
        let mut window = Window::default();
        let limit = RespawnLimit::default();
        let allowed = (0..20).take_while(|n| window.allow(Mono(n * 1_000_000), limit)).count();
        assert_eq!(allowed, 10);
        assert!(window.allow(Mono(0) + Span::secs(6), limit), "a new window begins");
    }

    #[test]
    fn a_limit_of_zero_is_unlimited() {
        for (count, interval) in [(0, Span::secs(5)), (5, Span::ZERO)] {
            let mut window = Window::default();
            let limit = RespawnLimit::Within { count, interval };
            assert!((0..1000).all(|_| window.allow(Mono(1), limit)));
        }
    }

    #[test]
    fn the_wait_doubles_up_to_the_cap_and_jitter_only_adds() {
        let backoff = Backoff {
            delay: Span::secs(1),
            factor_percent: 200,
            cap: Span::secs(8),
            jitter_percent: 0,
            ..Backoff::default()
        };
        let waits: alloc::vec::Vec<u64> = (1..7).map(|n| wait(&backoff, n, 7).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 8, 8]);
        let jittered = Backoff { jitter_percent: 20, ..backoff };
        for failures in 1..100 {
            let span = wait(&jittered, failures, 7);
            assert!(span >= wait(&backoff, failures, 7) && span < Span::millis(9600));
        }
    }

    #[test]
    fn a_wait_that_does_not_grow_is_found_at_once_however_often_it_failed() {
        let steady = Backoff {
            delay: Span::secs(1),
            factor_percent: 100,
            jitter_percent: 0,
            ..Backoff::default()
        };
        assert_eq!(wait(&steady, u32::MAX, 7), Span::secs(1));
        let shrinking = Backoff { factor_percent: 50, ..steady };
        assert_eq!(wait(&shrinking, u32::MAX, 7), Span::ZERO);
    }

    #[test]
    fn the_longest_wait_with_the_greatest_jitter_is_the_longest_wait() {
        let most = Span(u64::MAX);
        let longest =
            Backoff { delay: most, cap: most, jitter_percent: u32::MAX, ..Backoff::default() };
        assert_eq!(wait(&longest, 3, 7), most);
    }
}
