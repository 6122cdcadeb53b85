//! What operators have decided of jobs beyond the present run: taken, kept, and what it forbids.

use super::request::{Refusal, Reply, RequestId};
use super::{Effect, Engine};
use crate::intent::{Intended, Intent, Keeping, Lasting, INTENTS_MAX};
use crate::names::JobName;
use crate::text::Text;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

impl Engine {
    /// Returns what is intended with a job, where that is not what its file says.
    pub fn intended(&self, job: &JobName) -> Option<Intended> {
        self.intents.look(job).copied()
    }

    /// Returns every intent, in the order of the jobs' names.
    pub fn intents(&self) -> impl Iterator<Item = (&JobName, Intended)> + '_ {
        self.intents.iter().map(|(job, intended)| (job, *intended))
    }

    /// Returns the number of the text that is to be kept and may not be, for a daemon that takes over.
    pub fn unkept(&self) -> Option<u64> {
        (self.globals.kept < self.globals.to_keep).then_some(self.globals.to_keep)
    }

    /// Takes what the disk has: at the start, and when the disk can be read at last.
    pub(super) fn recall(&mut self, intents: BTreeMap<JobName, Intent>) {
        for (job, intent) in intents {
            // What was said meanwhile is later.
            if self.intents.look(&job).is_none() {
                self.intents.insert(job.clone(), Intended { intent, lasting: Lasting::Kept });
                self.forget_half(&job);
            }
        }
    }

    /// Takes a decision; nothing takes one back.
    pub(super) fn intend(
        &mut self,
        request: RequestId,
        job: &Text,
        intent: Option<Intent>,
        lasting: Lasting,
    ) -> Result<(), Refusal> {
        let unknown = || Refusal::UnknownJob(job.clone());
        let name = JobName::try_from(job.clone()).map_err(|_| unknown())?;
        let before = self.intended(&name);
        if (self.jobs.look(&name).is_none() && before.is_none()) || name.is_reserved() {
            return Err(unknown());
        }
        if before.is_none() && intent.is_some() && self.intents.len() >= INTENTS_MAX {
            let why = format!("{INTENTS_MAX} jobs are disabled, stopped or masked; enable some");
            return Err(Refusal::TooMuch(why));
        }
        match intent {
            Some(intent) => {
                self.intents.insert(name.clone(), Intended { intent, lasting });
                self.forget_half(&name);
            }
            None => {
                self.intents.remove(&name);
            }
        }
        let was_kept = before.is_some_and(|before| before.lasting == Lasting::Kept);
        if lasting == Lasting::Kept || was_kept {
            self.keep();
            self.globals.keeping.push(request);
        } else {
            self.reply(request, Reply::Done(None), None);
        }
        Ok(())
    }

    /// Somebody starts a job: what held only until then is over.
    pub(super) fn lift(&mut self, job: &JobName) {
        let Some(Intended { intent: Intent::Stopped, lasting }) = self.intended(job) else {
            return;
        };
        self.intents.remove(job);
        match lasting {
            Lasting::Kept => self.keep(),
            Lasting::Runtime => {}
        }
    }

    /// Reports whether events leave the job alone.
    pub(super) fn is_left_alone(&self, job: &JobName) -> bool {
        self.intents.look(job).is_some()
    }

    /// Refuses to start what is masked.
    pub(super) fn unmasked(&self, job: &JobName) -> Result<(), Refusal> {
        match self.intended(job) {
            Some(Intended { intent: Intent::Masked, .. }) => Err(Refusal::Masked(job.clone())),
            Some(Intended { intent: Intent::Disabled | Intent::Stopped, .. }) | None => Ok(()),
        }
    }

    /// The text of that number is kept, or is not.
    pub(super) fn kept(&mut self, number: u64, keeping: Keeping) {
        if number != self.globals.to_keep {
            return;
        }
        self.globals.kept = number;
        for request in core::mem::take(&mut self.globals.keeping) {
            let reply = match keeping {
                Keeping::Done => Reply::Done(None),
                Keeping::Failed(_) | Keeping::Nowhere => Reply::Refused(Refusal::NotKept(keeping)),
            };
            self.reply(request, reply, None);
        }
    }

    fn keep(&mut self) {
        self.globals.to_keep += 1;
        let number = self.globals.to_keep;
        self.out.push(Effect::Keep(number));
    }

    /// The job waits for nothing any more: events that half matched go on.
    fn forget_half(&mut self, job: &JobName) {
        let matched: Option<Vec<_>> =
            self.jobs.edit(job).map(|job| job.start.reset().into_iter().collect());
        matched.into_iter().flatten().for_each(|event| self.unblock(event));
    }
}
