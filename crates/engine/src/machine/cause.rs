//! Causes: who asked, which events came, how a process ended. What subscribers are told beside what
//! happened.

use super::history::Note;
use super::request::Asked;
use super::Engine;
use crate::process::{InstanceId, Role};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// What is told of an event that nobody asked for: it comes from the machine or its surroundings.
pub(super) const OF_UPRIGHT: &str = "Upright";

impl Engine {
    /// Says what made an instance want what it wants; empty where that is longer ago than is remembered.
    pub(super) fn cause_of(&self, id: InstanceId) -> String {
        let Some(instance) = self.instances.look(&id) else { return String::new() };
        let mut back = self.entries_of(&instance.job, &instance.name).iter().rev();
        let Some(decision) = back.find(|entry| is_decision(&entry.note)) else {
            return String::new();
        };
        if matches!(decision.note, Note::ByEvents(Asked::Start, _)) {
            let by: Vec<_> = instance.started_by.iter().map(|event| event.lossy()).collect();
            return format!("start on came true by {}", by.join(", "));
        }
        let of_itself =
            matches!(decision.note, Note::Respawns(_) | Note::StartsAgain(_) | Note::Stops);
        let ended = of_itself.then(|| back.find(|entry| is_end(&entry.note))).flatten();
        ended.unwrap_or(decision).note.words().0
    }

    /// Says why a process was told to end; empty where it was not.
    pub(super) fn cause_of_end(&self, id: InstanceId, role: Role) -> String {
        let Some(instance) = self.instances.look(&id) else { return String::new() };
        let entries = self.entries_of(&instance.job, &instance.name).iter().rev();
        let mut run =
            entries.take_while(|entry| !matches!(entry.note, Note::Spawned(of, _) if of == role));
        let told = run.any(|entry| matches!(entry.note, Note::Signalled(of, _) if of == role));
        if told {
            self.cause_of(id)
        } else {
            String::new()
        }
    }

    /// Says who emits an event by a request.
    pub(super) fn cause_of_request(&self) -> String {
        match &self.asker {
            Some(by) => format!("{} emitted it", **by),
            None => String::from("a client emitted it"),
        }
    }
}

fn is_decision(note: &Note) -> bool {
    matches!(
        note,
        Note::Asked(_)
            | Note::AskedBy(..)
            | Note::ByEvents(..)
            | Note::Respawns(_)
            | Note::StartsAgain(_)
            | Note::Stops
            | Note::Failed(_)
    )
}

fn is_end(note: &Note) -> bool {
    matches!(note, Note::Ended(Role::Main, ..) | Note::NotSpawned(..) | Note::Failed(_))
}
