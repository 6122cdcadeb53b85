//! What `show-config` and `check-config` print of job descriptions.
//! Source: initctl(8) and initctl of Upstart 1.13.2, recorded.

use super::wire::arg_text;
use crate::glob;
use crate::spec::{Arg, Condition, Node, Operand};
use crate::text::Text;
use crate::view::JobView;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// Events that Upright itself emits and that no job has to declare.
const INIT_EVENTS: &[&str] = &[
    "startup",
    "debug",
    "control-alt-delete",
    "keyboard-request",
    "power-status-changed",
    "session-end",
    "exited",
];

/// Events whose first argument is a job's name.
const JOB_EVENTS: &[&str] = &["starting", "started", "stopping", "stopped"];

/// How `check-config` treats alternatives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strictness {
    /// A condition that can come true some way is fine.
    CanComeTrue,
    /// Everything it names must be known.
    Everything,
}

/// Returns the job as `show-config` prints it.
pub fn show_config(job: &JobView) -> String {
    let mut out = heading(job);
    for (stanza, condition) in conditions(job) {
        out.push_str(&format!("  {stanza} {}\n", bracketed(condition)));
    }
    out
}

/// Returns the job as `show-config --enumerate` prints it: one line per event it names.
pub fn show_config_enumerate(job: &JobView) -> String {
    let mut out = heading(job);
    for (stanza, condition) in conditions(job) {
        for operand in operands(&condition.nodes) {
            let (name, rest) = job_of(operand);
            out.push_str(&format!("  {stanza} {} (job:", operand.event));
            if let Some(name) = name {
                out.push_str(&format!(" {name}"));
            }
            out.push_str(", env:");
            for arg in rest {
                out.push_str(&format!(" {}", arg_text(arg)));
            }
            out.push_str(")\n");
        }
    }
    out
}

/// Returns what `check-config` prints of `jobs`, nothing where all is well. `known` are all jobs,
/// `ignored` events that shall pass for known.
pub fn check_config(
    jobs: &[JobView],
    known: &[JobView],
    ignored: &[Text],
    strictness: Strictness,
) -> String {
    let known = Known {
        jobs: known.iter().map(|job| job.name.text().bytes()).collect(),
        emits: known.iter().flat_map(|job| &job.emits).collect(),
        ignored,
        strictness,
    };
    let mut out = String::new();
    for job in jobs {
        let faults: Vec<String> = conditions(job)
            .flat_map(|(stanza, condition)| {
                let faults = known.faults(&condition.nodes).into_iter();
                faults.map(move |fault| format!("  {stanza}: {fault}\n"))
            })
            .collect();
        if !faults.is_empty() {
            out.push_str(&format!("{}\n{}", job.name, faults.concat()));
        }
    }
    out
}

fn heading(job: &JobView) -> String {
    let mut out = format!("{}\n", job.name);
    for event in &job.emits {
        out.push_str(&format!("  emits {event}\n"));
    }
    out
}

fn conditions(job: &JobView) -> impl Iterator<Item = (&'static str, &Condition)> {
    let start = job.start_on.as_ref().map(|condition| ("start on", condition));
    let stop = job.stop_on.as_ref().map(|condition| ("stop on", condition));
    start.into_iter().chain(stop).filter(|(_, condition)| !condition.nodes.is_empty())
}

fn operands(nodes: &[Node]) -> impl DoubleEndedIterator<Item = &Operand> {
    nodes.iter().filter_map(|node| match node {
        Node::Event(operand) => Some(operand),
        Node::And | Node::Or => None,
    })
}

/// Returns the condition with every operator's operands in brackets; a single event has none.
fn bracketed(condition: &Condition) -> String {
    let mut stack: Vec<String> = Vec::new();
    for node in &condition.nodes {
        let word = match node {
            Node::Event(operand) => {
                let mut shown = format!("{}", operand.event);
                for arg in &operand.args {
                    shown.push_str(&format!(" {}", arg_text(arg)));
                }
                stack.push(shown);
                continue;
            }
            Node::And => "and",
            Node::Or => "or",
        };
        let second = stack.pop().unwrap_or_default();
        let first = stack.pop().unwrap_or_default();
        stack.push(format!("({first} {word} {second})"));
    }
    stack.pop().unwrap_or_default()
}

/// Returns the job that an operand of a job's event names, and the other arguments: the first
/// argument where it has no name, else `JOB=`.
fn job_of(operand: &Operand) -> (Option<&Text>, Vec<&Arg>) {
    let mut name = None;
    let mut rest = Vec::new();
    let job_event = operand.event.text().utf8().is_some_and(|event| JOB_EVENTS.contains(&event));
    for (place, arg) in operand.args.iter().enumerate() {
        let named = match arg {
            Arg::Positional(value) if place == 0 => Some(value),
            Arg::Equal(key, value) if *key == "JOB" => Some(value),
            Arg::Positional(_) | Arg::Equal(..) | Arg::NotEqual(..) => None,
        };
        match named {
            Some(value) if job_event && name.is_none() => name = Some(value),
            Some(_) | None => rest.push(arg),
        }
    }
    (name, rest)
}

/// What conditions may name.
struct Known<'a> {
    jobs: BTreeSet<&'a [u8]>,
    emits: Vec<&'a Text>,
    ignored: &'a [Text],
    strictness: Strictness,
}

/// The value of a node, and where its own operands begin.
#[derive(Clone, Copy)]
struct Value {
    fine: bool,
    begins: usize,
}

impl Known<'_> {
    /// Returns what is wrong with a condition: of the outermost part that cannot come true, every
    /// operand that is unknown, the last one first.
    fn faults(&self, nodes: &[Node]) -> Vec<String> {
        let mut values: Vec<Value> = Vec::new();
        let mut stack: Vec<Value> = Vec::new();
        for (place, node) in nodes.iter().enumerate() {
            let value = match node {
                Node::Event(operand) => {
                    Value { fine: self.unknown(operand).is_empty(), begins: place }
                }
                Node::And | Node::Or => {
                    let missing = Value { fine: true, begins: place };
                    let second = stack.pop().unwrap_or(missing);
                    let first = stack.pop().unwrap_or(second);
                    let both = *node == Node::And || self.strictness == Strictness::Everything;
                    let fine =
                        if both { first.fine && second.fine } else { first.fine || second.fine };
                    Value { fine, begins: first.begins }
                }
            };
            values.push(value);
            stack.push(value);
        }
        let last = nodes.len().saturating_sub(1);
        let faulty = nodes.iter().zip(&values).enumerate().rev().find(|(place, (node, value))| {
            let counts = *place == last || !matches!(node, Node::Event(_));
            counts && !value.fine
        });
        let Some((place, (_, value))) = faulty else { return Vec::new() };
        let part = nodes.get(value.begins..=place).unwrap_or_default();
        operands(part).rev().flat_map(|operand| self.unknown(operand)).collect()
    }

    fn unknown(&self, operand: &Operand) -> Vec<String> {
        let mut unknown = Vec::new();
        if !self.knows_event(operand.event.text()) {
            unknown.push(format!("unknown event {}", operand.event));
        }
        if let (Some(job), _) = job_of(operand) {
            if !job.bytes().starts_with(b"$") && !self.jobs.contains(job.bytes()) {
                unknown.push(format!("unknown job {job}"));
            }
        }
        unknown
    }

    fn knows_event(&self, event: &Text) -> bool {
        let own = event
            .utf8()
            .is_some_and(|event| INIT_EVENTS.contains(&event) || JOB_EVENTS.contains(&event));
        own || self.ignored.contains(event)
            || self.emits.iter().any(|emits| glob::matches(emits.bytes(), event.bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::{EventName, JobName};

    /// Reads a condition in reverse Polish order: operands separated by `;`, `&` and `|`.
    fn condition(text: &str) -> Option<Condition> {
        if text.is_empty() {
            return None;
        }
        let node = |part: &str| {
            let mut words = part.split_whitespace();
            let event = match words.next().unwrap() {
                "&" => return Node::And,
                "|" => return Node::Or,
                event => EventName::try_from(event).unwrap(),
            };
            let args = words.map(|word| match word.split_once('=') {
                Some((key, value)) => Arg::Equal(Text::from(key), Text::from(value)),
                None => Arg::Positional(Text::from(word)),
            });
            Node::Event(Operand { event, args: args.collect() })
        };
        Some(Condition { nodes: text.split(';').map(node).collect() })
    }

    fn job(name: &str, emits: &[&str], start_on: &str, stop_on: &str) -> JobView {
        JobView {
            name: JobName::try_from(name).unwrap(),
            usage: None,
            description: None,
            emits: emits.iter().map(|text| Text::from(*text)).collect(),
            start_on: condition(start_on),
            stop_on: condition(stop_on),
        }
    }

    /// The jobs of the recorded transcript `14-showconfig`, sorted.
    fn recorded() -> Vec<JobView> {
        [
            job("bar", &[], "startup", ""),
            job("cplx", &[], "A;started B;starting C;D;|;|;&", ""),
            job("dol", &[], "started JOB=$X INSTANCE=y", ""),
            job(
                "foo",
                &["boing", "blip", "zap-*"],
                "starting A;B;C var=2;|;&",
                "bar HELLO=world testing=123;stopping wibble;|",
            ),
            job("grape", &[], "starting nojob", "peach"),
            job(
                "job2",
                &[],
                "started foo INSTANCE=x RESULT=ok",
                "runlevel [!2345];started INSTANCE=x JOB=bar;&",
            ),
            job("nothing", &[], "", ""),
            job("ok", &[], "started foo;boing;|", "zap-x;stopped JOB=bar;|"),
        ]
        .into()
    }

    #[test]
    fn show_config_prints_what_the_original_printed() {
        let shown: String = recorded().iter().map(show_config).collect();
        crate::expect::same("tests/show-config.txt", &shown);
    }

    #[test]
    fn show_config_enumerates_what_the_original_enumerated() {
        let shown: String = recorded().iter().map(show_config_enumerate).collect();
        crate::expect::same("tests/show-config-enumerate.txt", &shown);
    }

    #[track_caller]
    fn check(job: &str, ignored: &[&str], strictness: Strictness, expected: &str) {
        let known = recorded();
        let jobs: Vec<JobView> =
            known.iter().filter(|row| *row.name.text() == job).cloned().collect();
        let ignored: Vec<Text> = ignored.iter().map(|text| Text::from(*text)).collect();
        assert_eq!(check_config(&jobs, &known, &ignored, strictness), expected);
    }

    #[test]
    fn check_config_names_the_last_unknown_operand_first() {
        let foo = "foo\n  start on: unknown event C\n  start on: unknown event B\n  start on: \
                   unknown job A\n  stop on: unknown job wibble\n  stop on: unknown event bar\n";
        check("foo", &[], Strictness::CanComeTrue, foo);
        let cplx = "cplx\n  start on: unknown event D\n  start on: unknown job C\n  start on: \
                    unknown job B\n  start on: unknown event A\n";
        check("cplx", &[], Strictness::CanComeTrue, cplx);
    }

    #[test]
    fn check_config_is_content_where_a_condition_can_come_true() {
        check("ok", &[], Strictness::CanComeTrue, "");
        check("ok", &[], Strictness::Everything, "");
        check("dol", &[], Strictness::CanComeTrue, "");
        check("cplx", &["A", "D"], Strictness::CanComeTrue, "");
    }

    #[test]
    fn check_config_names_an_alternative_that_can_never_come_true() {
        let odd = [job("odd", &[], "X;startup;&;startup;|", "")];
        let faults = check_config(&odd, &odd, &[], Strictness::CanComeTrue);
        assert_eq!(
            faults,
            "odd
  start on: unknown event X
"
        );
    }

    #[test]
    fn check_config_lets_ignored_events_pass() {
        let grape = "grape\n  start on: unknown job nojob\n  stop on: unknown event peach\n";
        check("grape", &[], Strictness::CanComeTrue, grape);
        check(
            "grape",
            &["peach"],
            Strictness::CanComeTrue,
            "grape\n  start on: unknown job nojob\n",
        );
    }

    #[test]
    fn a_condition_that_is_no_condition_is_shown_and_checked_without_harm() {
        for text in ["&", "|;&", "A;&", "A;B"] {
            let job = job("odd", &[], text, text);
            show_config(&job);
            show_config_enumerate(&job);
            check_config(core::slice::from_ref(&job), &[], &[], Strictness::Everything);
        }
    }
}
