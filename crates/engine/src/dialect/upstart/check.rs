//! What `initctl check-config` says: conditions that can never come true.
//! Source: initctl(8) of Upstart 1.13.2.

use super::show;
use crate::glob;
use crate::spec::{Condition, JobSpec, Node, Operand};
use crate::text::Text;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

/// Events that init emits by itself.
pub(crate) const INIT_EVENTS: &[&str] = &[
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
            let faulty = on.as_ref().map_or(&[][..], |on| self.faulty(on, options.strict));
            for (what, unknown) in faulty.iter().rev().filter_map(|node| self.unknown(node)) {
                for piece in ["  ", words, ": unknown ", what, " "] {
                    out.extend_from_slice(piece.as_bytes());
                }
                out.extend_from_slice(unknown.bytes());
                out.push(b'\n');
            }
        }
        (out.len() > name).then(|| Text::from(out))
    }

    /// Returns the outermost part of a condition that is not true where every known event has
    /// happened; nothing where every operator is. (The original complains of `(a or b) or c` where
    /// only `c` is known, but not of `a or c`.)
    fn faulty<'o>(&self, on: &'o Condition, strict: bool) -> &'o [Node] {
        let mut faulty = &[][..];
        // Of each tree so far: where it begins, and whether it is true.
        let mut trees: Vec<(usize, bool)> = Vec::new();
        for (root, node) in on.nodes.iter().enumerate() {
            let operator = match node {
                Node::Event(_) => {
                    trees.push((root, self.unknown(node).is_none()));
                    root == 0 && on.nodes.len() == 1
                }
                Node::And | Node::Or => {
                    let right = trees.pop().unwrap_or((root, true));
                    let left = trees.pop().unwrap_or((right.0, true));
                    let value = match *node == Node::And || strict {
                        true => left.1 && right.1,
                        false => left.1 || right.1,
                    };
                    trees.push((left.0, value));
                    true
                }
            };
            if let (true, Some((begins, false))) = (operator, trees.last()) {
                faulty = on.nodes.get(*begins..=root).unwrap_or_default();
            }
        }
        faulty
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
