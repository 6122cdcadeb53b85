//! Telling that jobs of a group come to other states of Supervisor's: each in its turn, also those that
//! are left at once, which [`super::program`] never shows. Source: Supervisor 4.3.0, events.

use super::exits::is_normal;
use super::program::{at_rest, state};
use super::request::Failure;
use super::{Engine, Notice, ProgramNews};
use crate::process::{Exit, InstanceId, Pid, Role};
use crate::view::ProgramState;

/// How a main process ended, for who is told.
pub(super) type End = Option<(Pid, Exit)>;

impl Engine {
    /// Tells that an instance has come to a state, unless it was told so before.
    pub(super) fn tell_program(&mut self, id: InstanceId, to: ProgramState) {
        self.tell_program_end(id, to, None);
    }

    /// Tells that the end of main has brought an instance to a state. One that ends by itself has been
    /// running, however short.
    pub(super) fn tell_ended(&mut self, id: InstanceId, to: ProgramState, end: End) {
        let told = self.instances.look(&id).and_then(|instance| instance.told);
        if to == ProgramState::Exited && told == Some(ProgramState::Starting) {
            let pid = end.map(|(pid, _)| pid);
            self.tell(id, ProgramState::Running, pid, None);
        }
        self.tell_program_end(id, to, end);
    }

    /// Tells that a start has failed.
    pub(super) fn tell_failed(&mut self, id: InstanceId, failure: &Failure) {
        let exit = match failure {
            Failure::Ended(_, exit) => Some(*exit),
            Failure::NotSpawned(..)
            | Failure::RespawnLimit
            | Failure::Timeout(..)
            | Failure::Unkillable(_)
            | Failure::StartRetries => None,
        };
        self.tell(id, ProgramState::Backoff, None, exit);
    }

    /// Tells that an instance is being stopped, where there is a process that can be.
    pub(super) fn tell_stopping(&mut self, id: InstanceId) {
        let main = |instance: &super::Instance| instance.processes.contains_key(&Role::Main);
        if self.instances.look(&id).is_some_and(main) {
            self.tell_program(id, ProgramState::Stopping);
        }
    }

    /// Tells that one which is being started is to stop, or the other way round, before it can.
    pub(super) fn tell_other_goal(&mut self, id: InstanceId) {
        const BOTH: [ProgramState; 2] = [ProgramState::Starting, ProgramState::Stopping];
        let Some(instance) = self.instances.look(&id) else { return };
        let shown = state(instance);
        if BOTH.contains(&shown) && instance.told.is_some_and(|told| BOTH.contains(&told)) {
            self.tell_program(id, shown);
        }
    }

    /// Tells that an instance is at rest, where its last state was none in which it rests.
    pub(super) fn tell_at_rest(&mut self, id: InstanceId) {
        match self.instances.look(&id).and_then(|instance| instance.told) {
            None | Some(ProgramState::Stopped | ProgramState::Exited | ProgramState::Fatal) => {}
            Some(
                ProgramState::Starting
                | ProgramState::Running
                | ProgramState::Backoff
                | ProgramState::Stopping
                | ProgramState::Unknown,
            ) => self.tell_program(id, ProgramState::Stopped),
        }
    }

    fn tell_program_end(&mut self, id: InstanceId, to: ProgramState, end: End) {
        let main = self.instances.look(&id).and_then(|i| i.processes.get(&Role::Main));
        let living = main.and_then(|main| main.pid);
        let pid = match to {
            ProgramState::Running | ProgramState::Stopping | ProgramState::Unknown => living,
            ProgramState::Stopped | ProgramState::Exited => end.map(|(pid, _)| pid),
            ProgramState::Starting | ProgramState::Backoff | ProgramState::Fatal => None,
        };
        self.tell(id, to, pid, end.map(|(_, exit)| exit));
    }

    fn tell(&mut self, id: InstanceId, to: ProgramState, pid: Option<Pid>, exit: Option<Exit>) {
        let Some(spec) = self.spec_of(id) else { return };
        let Some(instance) = self.instances.look(&id) else { return };
        if spec.policy.order.is_none() {
            // Its description may have become that of a job in no group.
            if instance.told.is_some() {
                self.instances.edit(&id).into_iter().for_each(|instance| instance.told = None);
            }
            return;
        }
        let from = instance.told.unwrap_or_else(|| {
            let key = (instance.job.clone(), instance.name.clone());
            self.histories.get(&key).map_or(ProgramState::Stopped, at_rest)
        });
        if instance.told == Some(to) {
            return;
        }
        let tries = instance.respawn.failures;
        let expected = exit.is_some_and(|exit| is_normal(exit, &spec.policy.normal_exit));
        let job = instance.job.clone();
        if let Some(instance) = self.instances.edit(&id) {
            instance.told = Some(to);
        }
        let news = ProgramNews { job, from, to, pid, tries, exit, expected };
        self.notice(Notice::Program(news));
    }
}
