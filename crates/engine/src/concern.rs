//! What of a job a step before its process was about.

use crate::command;
use crate::errno::Errno;
use crate::machine::request::{Failure, Refusal, Reply};
use crate::process::{Role, Step};
use crate::spec::JobSpec;
use crate::text::Text;
use alloc::format;
use alloc::string::{String, ToString};

impl JobSpec {
    /// Returns what of the job's file a step was about: the program, the directory, the user.
    pub fn concern(&self, role: Role, step: Step) -> Option<Text> {
        let attrs = &self.attrs;
        match step {
            Step::Exec => command::argv(self.commands.get(&role)?).argv.into_iter().next(),
            Step::Chroot => attrs.chroot.clone(),
            Step::Chdir => attrs.chdir.clone(),
            Step::User | Step::Setuid => attrs.setuid.clone(),
            Step::Group | Step::Setgid => attrs.setgid.clone(),
            Step::Profile => attrs.apparmor_switch.clone(),
            Step::Fork
            | Step::Plan
            | Step::Session
            | Step::Console
            | Step::Log
            | Step::Cgroup
            | Step::Limit
            | Step::Nice
            | Step::Oom
            | Step::Groups
            | Step::Timeout
            | Step::Socket => None,
        }
    }

    /// Returns why a job failed, with what of its file that is about.
    pub fn words_of(&self, failure: &Failure) -> String {
        let concern = match *failure {
            Failure::NotSpawned(role, step, _) => self.concern(role, step),
            Failure::Ended(..)
            | Failure::RespawnLimit
            | Failure::StartRetries
            | Failure::Timeout(..)
            | Failure::Unkillable(_) => None,
        };
        let words = failure.words(concern.as_ref());
        match (failure, &self.attrs.chroot) {
            // Where the program is looked for.
            (Failure::NotSpawned(_, Step::Exec, _), Some(root)) => {
                format!("{words} (within its chroot {})", root.lossy())
            }
            (_, _) => words,
        }
    }
}

impl Failure {
    /// Returns it in words; `concern` is what of the job's file it is about, where that is known.
    pub fn words(&self, concern: Option<&Text>) -> String {
        let (Failure::NotSpawned(role, step, errno), Some(concern)) = (self, concern) else {
            return self.to_string();
        };
        format!("{role} process: {} {}: {}", step.words(), concern.lossy(), Errno(*errno))
    }
}

impl crate::machine::Engine {
    /// Returns what of its job's file a refusal is about, where a step before the process failed.
    pub fn concern(&self, reply: &Reply) -> Option<Text> {
        let Reply::Refused(refusal) = reply else { return None };
        let Refusal::Failed(_, job, _, Failure::NotSpawned(role, step, _)) = refusal else {
            return None;
        };
        self.spec(job)?.concern(*role, *step)
    }
}
