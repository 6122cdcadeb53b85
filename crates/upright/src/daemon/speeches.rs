//! What programs say for others to hear: the logger tells it, in parts where it is long, and whoever
//! listens is told. Nothing of it is kept.

use super::Daemon;
use engine::control::notice::Speech;
use engine::logroute::Said;
use engine::names::{InstanceName, JobName};
use engine::process::{Pid, Slot, Stream};
use engine::spec::LogPolicy;
use engine::text::Text;
use engine::treat::CAPTURE_MAX;
use std::collections::{BTreeMap, VecDeque};

/// How many processes are remembered that have ended: their last words may come after.
const ENDED_MAX: usize = 256;

/// How much may wait for the keeper; beyond, the process's number is not told.
const EARLY_MAX: usize = 64;

/// How many messages may be unfinished at once; beyond, the oldest slot's is none.
const UNFINISHED_MAX: usize = 64;

/// What is not told yet, and who spoke.
#[derive(Default)]
pub struct Speeches {
    parts: BTreeMap<(Slot, Stream), Vec<u8>>,
    ended: VecDeque<(Slot, Speaker)>,
    /// What came before the keeper's word that the process is there.
    early: Vec<(Slot, Speech)>,
}

/// Who speaks.
#[derive(Clone)]
struct Speaker {
    job: JobName,
    instance: InstanceName,
    pid: Pid,
}

impl Speeches {
    /// Returns the whole of what was said once its last part is there.
    fn join(&mut self, of: (Slot, Stream), said: &Text, kind: Said) -> Option<Vec<u8>> {
        match kind {
            Said::Log => Some(said.bytes().to_vec()),
            Said::Message => {
                let mut whole = self.parts.remove(&of).unwrap_or_default();
                whole.extend_from_slice(said.bytes());
                Some(whole)
            }
            Said::Part => {
                if self.parts.len() >= UNFINISHED_MAX && !self.parts.contains_key(&of) {
                    self.parts.pop_first();
                }
                let whole = self.parts.entry(of).or_default();
                if whole.len() + said.bytes().len() <= CAPTURE_MAX as usize {
                    whole.extend_from_slice(said.bytes());
                }
                None
            }
        }
    }
}

impl Daemon {
    /// Remembers a process that ends, where its last words may be waited for.
    pub(super) fn note_speaker(&mut self, slot: Slot, pid: Pid) {
        let Some((main, attrs)) = self.engine.main_of(slot.instance) else { return };
        let errors = attrs.log.errors.as_ref();
        let told = |policy: &LogPolicy| policy.treat.events || policy.treat.capture > 0;
        if main != slot || !(told(&attrs.log) || errors.is_some_and(|errors| told(errors))) {
            return;
        }
        let Some((job, instance)) = self.engine.name_of(slot.instance) else { return };
        let speaker = Speaker { job: job.clone(), instance: instance.clone(), pid };
        let ended = &mut self.speeches.ended;
        if ended.len() >= ENDED_MAX {
            ended.pop_front();
        }
        ended.push_back((slot, speaker));
    }

    /// A process is there: what it said already is told.
    pub(super) fn tell_early(&mut self, slot: Slot, pid: Pid) {
        if self.speeches.early.is_empty() {
            return;
        }
        let early = std::mem::take(&mut self.speeches.early);
        let (now, later) = early.into_iter().partition(|(other, _)| *other == slot);
        self.speeches.early = later;
        let now: Vec<(Slot, Speech)> = now;
        for (_, speech) in now {
            self.connections.tell_speech(&Speech { pid, ..speech });
        }
    }

    fn speaker(&self, slot: Slot) -> Option<Speaker> {
        let ended = self.speeches.ended.iter().rev().find(|(other, _)| *other == slot);
        if let Some((_, speaker)) = ended {
            return Some(speaker.clone());
        }
        let (job, instance) = self.engine.name_of(slot.instance)?;
        let pid = self.engine.pid_of(slot).unwrap_or(0);
        Some(Speaker { job: job.clone(), instance: instance.clone(), pid })
    }

    /// The logger has heard something that others want to hear.
    pub(super) fn said(&mut self, slot: Slot, stream: Stream, said: &Text, kind: Said) {
        let Some(whole) = self.speeches.join((slot, stream), said, kind) else { return };
        let Some(Speaker { job, instance, pid }) = self.speaker(slot) else { return };
        let speech = Speech {
            missed: 0,
            job,
            instance,
            stream,
            pid,
            captured: kind != Said::Log,
            said: Text::from(whole),
        };
        match pid == 0 && self.speeches.early.len() < EARLY_MAX {
            true => self.speeches.early.push((slot, speech)),
            false => self.connections.tell_speech(&speech),
        }
    }
}
