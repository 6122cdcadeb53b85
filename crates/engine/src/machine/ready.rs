//! Readiness: how main tells that it serves, and which process main then is. No ptrace: the
//! original of `expect fork` and `expect daemon` is waited for, and the leader among what it left
//! is taken for main.

use super::instance::{Due, Hold, Instance, Process, Survey, Warning};
use super::state::{Goal, State};
use super::{Candidate, Effect, Engine, Level, Note, SPAWN_TIMEOUT};
use crate::process::{Exit, InstanceId, Pid, Role, Slot};
use crate::spec::{Expect, JobSpec};
use crate::time::{Mono, Span};
use alloc::format;

/// What the original left needs this long to come to rest: re-parented, sessions made.
const SETTLE: Span = Span::millis(50);

/// A process that leads its session may be the middle one of a double fork: for `expect daemon`
/// it is given this long to be replaced.
const LEADER_PATIENCE: Span = Span::millis(800);

impl Engine {
    /// Main runs but is not ready: waits for what `expect` says, for a time.
    pub(super) fn await_readiness(&mut self, id: InstanceId, spec: &JobSpec) {
        if let Some(instance) = self.instances.edit(&id) {
            instance.hold = Some(Hold::Ready);
        }
        let due = match spec.policy.expect {
            Expect::Up(span) => (self.now + span, Due::Up),
            Expect::None | Expect::Stop | Expect::Fork | Expect::Daemon => {
                (self.now + spec.policy.expect_timeout, Due::Expect(self.now))
            }
        };
        self.set_due(id, Some(due));
    }

    /// The time of `expect` is over: the original is taken for main.
    pub(super) fn expect_missed(&mut self, id: InstanceId, since: Mono) {
        let span = self.now.since(since);
        self.say(Level::Warn, |engine| {
            format!(
                "{} main process: expect did not come about in {span}; going on with the original process (check the expect stanza)",
                engine.shown(id)
            )
        });
        self.remember(id, Note::ExpectMissed(span));
        if let Some(instance) = self.instances.edit(&id) {
            instance.warnings.push(Warning::ExpectMissed);
        }
        self.report_unhealthy(id, Role::Main, "expect did not come about in its time");
        self.release_hold(id, Hold::Ready);
    }

    /// Takes note that main's process ended where that is what `expect` waits for. Reports whether
    /// it was.
    pub(super) fn original_ended(
        &mut self,
        id: InstanceId,
        slot: Slot,
        pid: Pid,
        exit: Exit,
    ) -> bool {
        let Some(spec) = self.spec_of(id) else { return false };
        let Some(instance) = self.instances.look(&id) else { return false };
        let follows = matches!(spec.policy.expect, Expect::Fork | Expect::Daemon);
        let Some(main) = instance.processes.get(&Role::Main) else { return false };
        let rests = instance.state == State::Running && instance.hold.is_none();
        let awaited = match main.adopted {
            // The middle one of a double fork that took its time leaves the daemon in its turn.
            Some(_) => {
                let young = self.now.since(main.since) < spec.policy.expect_timeout;
                young && instance.goal == Goal::Start && (rests || main.pid.is_none())
            }
            // A daemon that was too slow for `expect timeout` is still followed.
            None => {
                let late = rests && instance.warnings.contains(&Warning::ExpectMissed);
                late || instance.hold == Some(Hold::Ready)
            }
        };
        // Where nobody can say how the original ended, what it left tells.
        let well = exit == Exit::Status(0) || (exit == Exit::Unknown && main.adopted.is_none());
        if !follows || !awaited || !well {
            return false;
        }
        let until = match instance.due() {
            Some((until, Due::Expect(_))) => until,
            Some(_) | None => self.now + spec.policy.expect_timeout,
        };
        let Some(instance) = self.instances.edit(&id) else { return false };
        instance.hold = Some(Hold::Ready);
        if let Some(main) = instance.processes.get_mut(&Role::Main) {
            main.left_by = Some(pid);
            main.pid = None;
        }
        debug_assert_eq!(slot.role, Role::Main);
        self.set_due(id, Some((self.now + SETTLE, Due::Settle(self.now, until, Survey::First))));
        true
    }

    /// What the original left has had time to settle: looks at it.
    pub(super) fn survey(&mut self, id: InstanceId) {
        let Some(main) = self.instances.look(&id).and_then(|i| i.processes.get(&Role::Main)) else {
            return;
        };
        if let Some(original) = main.left_by {
            self.out.push(Effect::Survey(main.slot, original));
        }
        // Asked again if the answer gets lost with a daemon.
        let again = self.now + Span::secs(1);
        let due = match self.instances.look(&id).and_then(Instance::due) {
            Some((_, due @ Due::Settle(..))) => due,
            Some(_) | None => return,
        };
        self.set_due(id, Some((again, due)));
    }

    /// Chooses main among what the original left.
    pub(super) fn surveyed(&mut self, slot: Slot, candidates: &[Candidate]) {
        let id = slot.instance;
        let Some(spec) = self.spec_of(id) else { return };
        let Some(instance) = self.instances.look(&id) else { return };
        let Some(main) = instance.processes.get(&Role::Main).copied() else { return };
        let (Some(original), true) = (main.left_by, main.slot == slot) else { return };
        let Some((_, Due::Settle(ended, until, survey))) = instance.due() else { return };
        match leader(original, candidates) {
            Some(leader) => {
                let patient = spec.policy.expect == Expect::Daemon
                    && leader.session == leader.pid
                    && self.now < (ended + LEADER_PATIENCE).min(until);
                if patient {
                    let due = Due::Settle(ended, until, survey);
                    self.set_due(id, Some((self.now + SETTLE, due)));
                } else {
                    self.follow(id, original, leader.pid);
                }
            }
            None if survey == Survey::First => {
                let due = Due::Settle(ended, until, Survey::Empty);
                self.set_due(id, Some((self.now + SETTLE, due)));
            }
            None => {
                if main.adopted.is_none() {
                    self.say(Level::Warn, |engine| {
                        format!(
                            "{} main process ({original}) ended and left no process to follow; check the expect stanza",
                            engine.shown(id)
                        )
                    });
                }
                let since = main.since;
                if let Some(instance) = self.instances.edit(&id) {
                    instance.processes.remove(&Role::Main);
                }
                self.main_ended(id, slot, (original, Exit::Status(0)), since);
                self.release_hold(id, Hold::Ready);
            }
        }
    }

    fn follow(&mut self, id: InstanceId, from: Pid, to: Pid) {
        self.say(Level::Info, |engine| {
            format!("{} main process ({from}) became new process ({to})", engine.shown(id))
        });
        self.remember(id, Note::Followed(from, to));
        let slot = self.new_slot(id, Role::Main);
        let process = Process { adopted: Some(to), ..Process::asked_for(slot, self.now) };
        if let Some(instance) = self.instances.edit(&id) {
            instance.processes.insert(Role::Main, process);
            instance.warnings.retain(|warning| *warning != Warning::ExpectMissed);
            instance.last_main = Some(slot);
            instance.hold = Some(Hold::Spawn);
        }
        self.out.push(Effect::Adopt(slot, to));
        self.set_due(id, Some((self.now + SPAWN_TIMEOUT, Due::Spawn(Role::Main))));
    }
}

/// Returns the candidate that is main: one that left the original's session before one that
/// stayed, of those the oldest (they come in that order).
fn leader(original: Pid, candidates: &[Candidate]) -> Option<Candidate> {
    let left = candidates.iter().find(|candidate| candidate.session != original);
    left.or(candidates.first()).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn main_is_the_oldest_that_left_the_session_else_the_oldest() {
        let of = |pid, session| Candidate { pid, session, parent: 1 };
        assert_eq!(leader(10, &[of(11, 10), of(12, 12), of(13, 13)]), Some(of(12, 12)));
        assert_eq!(leader(10, &[of(11, 10), of(12, 10)]), Some(of(11, 10)));
        assert_eq!(leader(10, &[]), None);
    }
}
