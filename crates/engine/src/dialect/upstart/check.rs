//! What `initctl check-config` says: conditions that can never come true.
//! Source: initctl(8) of Upstart 1.13.2.

use super::show;
use crate::glob;
use crate::spec::{Condition, JobSpec, Node, Operand};
use crate::text::Text;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

/// Events that init emits by itself.
const INIT_EVENTS: &[&str] = &[
    "startup",
    "debug",
    "control-alt-delete",
    "keyboard-request",
    "power-status-changed",
    "starting",
    "started",
    "stopping",
    "stopped",
];

/// How strict the check is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Events that count as known (`--ignore-events`).
    pub ignored: Vec<Text>,
    /// Whether every operator is taken for `and` (`--warn`).
    pub strict: bool,
    /// Whether this is a user's session, whose init also emits `session-end`.
    pub session: bool,
}

/// Returns a block of lines for each of `jobs` that has a condition which cannot come true: its name,
/// then the unknown events and jobs, the last one first. `all` are the jobs that are there.
pub fn config(jobs: &[&JobSpec], all: &[&JobSpec], options: &Options) -> Vec<Text> {
    let known = Known::new(all, options);
    jobs.iter().filter_map(|job| known.complaints(job, options)).collect()
}

struct Known<'a> {
    jobs: BTreeSet<&'a [u8]>,
    events: BTreeSet<&'a [u8]>,
    patterns: Vec<&'a [u8]>,
}

impl<'a> Known<'a> {
    fn new(all: &[&'a JobSpec], options: &'a Options) -> Known<'a> {
        let jobs = all.iter().map(|job| job.name.text().bytes()).collect();
        let mut events: BTreeSet<&[u8]> = INIT_EVENTS.iter().map(|name| name.as_bytes()).collect();
        events.extend(options.session.then_some(&b"session-end"[..]));
        events.extend(options.ignored.iter().map(Text::bytes));
        let mut patterns = Vec::new();
        for emitted in all.iter().flat_map(|job| &job.about.emits) {
            match emitted.bytes().iter().any(|byte| b"*?[\\".contains(byte)) {
                true => patterns.push(emitted.bytes()),
                false => drop(events.insert(emitted.bytes())),
            }
        }
        Known { jobs, events, patterns }
    }

    fn complaints(&self, spec: &JobSpec, options: &Options) -> Option<Text> {
        let mut out = Vec::from(spec.name.text().bytes());
        out.push(b'\n');
        let name = out.len();
        for (words, on) in [("start on", &spec.start_on), ("stop on", &spec.stop_on)] {
            let Some(on) = on.as_ref().filter(|on| !self.can_be(on, options.strict)) else {
                continue;
            };
            for (what, unknown) in on.nodes.iter().rev().filter_map(|node| self.unknown(node)) {
                for piece in ["  ", words, ": unknown ", what, " "] {
                    out.extend_from_slice(piece.as_bytes());
                }
                out.extend_from_slice(unknown.bytes());
                out.push(b'\n');
            }
        }
        (out.len() > name).then(|| Text::from(out))
    }

    /// Reports whether the condition, and every operator in it, is true where every known event has
    /// happened. (The original complains of `(a or b) or c` where only `c` is known, but not of
    /// `a or c`.)
    fn can_be(&self, on: &Condition, strict: bool) -> bool {
        let mut values: Vec<bool> = Vec::new();
        for node in &on.nodes {
            let value = match node {
                Node::Event(_) => self.unknown(node).is_none(),
                Node::And | Node::Or => {
                    let both = (values.pop().unwrap_or(true), values.pop().unwrap_or(true));
                    let value = match *node == Node::And || strict {
                        true => both.0 && both.1,
                        false => both.0 || both.1,
                    };
                    if !value {
                        return false;
                    }
                    value
                }
            };
            values.push(value);
        }
        values.pop().unwrap_or(true)
    }

    /// Returns what an operand names that is not there.
    fn unknown<'o>(&self, node: &'o Node) -> Option<(&'static str, &'o Text)> {
        let Node::Event(operand) = node else { return None };
        let event: &Operand = operand;
        if let (Some(job), _) = show::job_of(event) {
            let known = job.bytes().starts_with(b"$") || self.jobs.contains(job.bytes());
            return (!known).then_some(("job", job));
        }
        let name = event.event.text();
        let known = self.events.contains(name.bytes())
            || self.patterns.iter().any(|pattern| glob::matches(pattern, name.bytes()));
        (!known).then_some(("event", name))
    }
}
