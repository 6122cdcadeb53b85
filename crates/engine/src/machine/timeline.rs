//! When each instance was wanted, began, ran and ended, as its history tells: what a start-up is drawn
//! from.

use super::history::Entry;
use super::request::{Asked, Ended};
use super::state::{Goal, State};
use super::{Engine, Note};
use crate::names::EventName;
use crate::process::Role;
use crate::view::{Mark, MarkKind, TimelineView};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// How many marks of an instance are told: the first ones, with the start-up.
const MARKS_MAX: usize = 24;

impl Engine {
    /// Returns the times of every instance whose history is remembered, by their names.
    pub fn timeline(&self) -> Vec<TimelineView> {
        let known = self.histories.iter().filter(|((job, _), _)| !job.is_reserved());
        known
            .map(|((job, instance), history)| {
                let marks = history.entries.iter().filter_map(|entry| self.mark(entry));
                TimelineView {
                    job: job.clone(),
                    instance: instance.clone(),
                    marks: marks.take(MARKS_MAX).collect(),
                }
            })
            .collect()
    }

    fn mark(&self, entry: &Entry) -> Option<Mark> {
        let (what, by) = marked(&entry.note)?;
        Some(Mark { ago: self.now.since(entry.at), what, by })
    }
}

/// Returns what a decision means for the times, and by what it came.
fn marked(note: &Note) -> Option<(MarkKind, String)> {
    let wanted = |asked: &Asked| match asked {
        Asked::Start | Asked::Restart | Asked::Reload | Asked::Check => MarkKind::Wanted,
        Asked::Stop => MarkKind::Unwanted,
    };
    if let Note::Asked(asked) = note {
        return Some((wanted(asked), String::new()));
    }
    if let Note::AskedBy(asked, by) = note {
        return Some((wanted(asked), by.to_string()));
    }
    if let Note::ByEvents(asked, names) = note {
        let names: Vec<String> = names.iter().map(EventName::to_string).collect();
        return Some((wanted(asked), format!("event {}", names.join(", "))));
    }
    if let Note::Ended(Role::Main, _, exit) = note {
        return Some((MarkKind::Ended, Ended(*exit).to_string()));
    }
    if let Note::Failed(failure) = note {
        return Some((MarkKind::Failed, failure.to_string()));
    }
    let plain = PLAIN.iter().find(|(_, is)| is(note));
    plain.map(|(kind, _)| (*kind, String::new()))
}

/// Reports whether a decision is one that is meant.
type Is = fn(&Note) -> bool;

/// Decisions that say all by themselves.
const PLAIN: [(MarkKind, Is); 6] = [
    (MarkKind::Again, |note| matches!(note, Note::Respawns(_) | Note::StartsAgain(_))),
    (MarkKind::Main, |note| matches!(note, Note::Spawned(Role::Main, _))),
    (MarkKind::Begun, |note| matches!(note, Note::Spawned(Role::PreStart | Role::Security, _))),
    (MarkKind::Runs, |note| *note == Note::Rest(Goal::Start, State::Running)),
    (MarkKind::Gone, |note| *note == Note::Rest(Goal::Stop, State::Waiting)),
    (MarkKind::Unwanted, |note| *note == Note::Stops),
];
