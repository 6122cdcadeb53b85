//! What a spawn shall be. Made when it is asked for, from the instance: that is why a spawn can be
//! asked for again after a crash.

use super::{environment, Engine, SpawnOrder};
use crate::names::{InstanceName, JobName};
use crate::process::{Role, Slot};
use crate::text::Text;
use alloc::vec::Vec;

impl Engine {
    /// Returns what the process of a slot shall be; nothing where the slot is not in use any more.
    pub fn order(&self, slot: Slot) -> Option<SpawnOrder> {
        if slot.role == Role::Check {
            return self.check_order(slot);
        }
        let instance = self.instances.look(&slot.instance)?;
        instance.processes.get(&slot.role).filter(|process| process.slot == slot)?;
        let spec = self.jobs.look(&instance.job)?.spec.clone();
        let mut env = instance.env.to_vec();
        if matches!(slot.role, Role::PreStop | Role::PostStop) {
            instance.stop_env.iter().for_each(|row| environment::set(&mut env, row));
        }
        let env = self.with_identity(env, &instance.job, &instance.name);
        Some(SpawnOrder { slot, spec, instance: instance.name.clone(), env })
    }

    /// Adds what says whose process it is.
    pub(super) fn with_identity(
        &self,
        mut env: Vec<Text>,
        job: &JobName,
        instance: &InstanceName,
    ) -> Vec<Text> {
        let job = environment::row(b"UPSTART_JOB", job.text().bytes());
        let name = environment::row(b"UPSTART_INSTANCE", instance.text().bytes());
        for row in [&job, &name].into_iter().chain(&self.config.forced) {
            environment::set(&mut env, row);
        }
        env
    }
}
