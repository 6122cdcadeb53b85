//! What `initctl show-config` and `check-config` say of a job. Source: initctl(8) of Upstart 1.13.2.

use crate::spec::{Arg, Condition, JobSpec, Node, Operand};
use crate::text::Text;
use alloc::vec::Vec;

/// Returns an argument as the file wrote it, without its quotes.
pub fn argument(arg: &Arg) -> Text {
    let (key, sign, value): (&[u8], &[u8], &Text) = match arg {
        Arg::Positional(value) => (b"", b"", value),
        Arg::Equal(key, value) => (key.bytes(), b"=", value),
        Arg::NotEqual(key, value) => (key.bytes(), b"!=", value),
    };
    Text::from([key, sign, value.bytes()].concat())
}

/// Returns an operand: the event and its arguments.
pub fn operand(operand: &Operand) -> Text {
    let mut out = Vec::from(operand.event.text().bytes());
    for arg in &operand.args {
        out.push(b' ');
        out.extend_from_slice(argument(arg).bytes());
    }
    Text::from(out)
}

/// Returns a condition with parentheses around every operator; a single operand has none.
pub fn condition(condition: &Condition) -> Text {
    enum Piece {
        Tree(usize),
        Word(&'static [u8]),
    }
    let sizes = sizes(condition);
    let mut out = Vec::new();
    let mut pieces = Vec::new();
    pieces.extend(condition.nodes.len().checked_sub(1).map(Piece::Tree));
    while let Some(piece) = pieces.pop() {
        let root = match piece {
            Piece::Tree(root) => root,
            Piece::Word(word) => {
                out.extend_from_slice(word);
                continue;
            }
        };
        let word: &[u8] = match condition.nodes.get(root) {
            Some(Node::Event(event)) => {
                out.extend_from_slice(operand(event).bytes());
                continue;
            }
            Some(Node::And) => b" and ",
            Some(Node::Or) => b" or ",
            None => continue,
        };
        let Some((left, right)) = children(&sizes, root) else { continue };
        out.push(b'(');
        pieces.push(Piece::Word(b")"));
        pieces.push(Piece::Tree(right));
        pieces.push(Piece::Word(word));
        pieces.push(Piece::Tree(left));
    }
    Text::from(out)
}

/// Returns how many nodes each tree has that ends at a node.
fn sizes(condition: &Condition) -> Vec<usize> {
    let mut sizes: Vec<usize> = Vec::with_capacity(condition.nodes.len());
    for (root, node) in condition.nodes.iter().enumerate() {
        let size = match node {
            Node::Event(_) => 1,
            Node::And | Node::Or => match children(&sizes, root) {
                Some((left, right)) => {
                    let size = |at: usize| sizes.get(at).copied().unwrap_or(1);
                    1 + size(left) + size(right)
                }
                None => 1,
            },
        };
        sizes.push(size);
    }
    sizes
}

/// Returns the roots of the operands of the operator at `root`.
fn children(sizes: &[usize], root: usize) -> Option<(usize, usize)> {
    let right = root.checked_sub(1)?;
    let left = right.checked_sub(*sizes.get(right)?)?;
    Some((left, right))
}

/// Returns what `show-config` prints for a job: its name, then a line for each of its events and
/// conditions. The last line is ended too.
pub fn config(spec: &JobSpec) -> Text {
    let mut out = head(spec);
    for (words, on) in conditions(spec) {
        line(&mut out, &[words, condition(on).bytes()]);
    }
    Text::from(out)
}

/// Returns what `show-config -e` prints for a job: a line for each operand.
pub fn config_enumerated(spec: &JobSpec) -> Text {
    let mut out = head(spec);
    for (words, on) in conditions(spec) {
        for node in &on.nodes {
            let Node::Event(operand) = node else { continue };
            let (job, args) = job_of(operand);
            let mut shown = Vec::new();
            for arg in args {
                shown.push(b' ');
                shown.extend_from_slice(argument(arg).bytes());
            }
            let space: &[u8] = if job.is_some() { b" " } else { b"" };
            let job = job.map_or(&b""[..], Text::bytes);
            let event = operand.event.text().bytes();
            line(&mut out, &[words, event, b" (job:", space, job, b", env:", &shown, b")"]);
        }
    }
    Text::from(out)
}

fn head(spec: &JobSpec) -> Vec<u8> {
    let mut out = Vec::from(spec.name.text().bytes());
    out.push(b'\n');
    for event in &spec.about.emits {
        line(&mut out, &[b"emits ", event.bytes()]);
    }
    out
}

fn line(out: &mut Vec<u8>, pieces: &[&[u8]]) {
    out.extend_from_slice(b"  ");
    for piece in pieces {
        out.extend_from_slice(piece);
    }
    out.push(b'\n');
}

fn conditions(spec: &JobSpec) -> impl Iterator<Item = (&'static [u8], &Condition)> {
    let start = spec.start_on.as_deref().into_iter().map(|on| (&b"start on "[..], on));
    start.chain(spec.stop_on.as_deref().into_iter().map(|on| (&b"stop on "[..], on)))
}

/// Returns the job that an operand is about, where its event is one of a job, and the arguments
/// that are left: the first one where it has no name, or any `JOB=`.
pub fn job_of(operand: &Operand) -> (Option<&Text>, impl Iterator<Item = &Arg>) {
    let of_job =
        matches!(operand.event.text().bytes(), b"starting" | b"started" | b"stopping" | b"stopped");
    let named =
        operand.args.iter().enumerate().filter(|_| of_job).find_map(|(at, arg)| match arg {
            Arg::Positional(job) if at == 0 => Some((at, job)),
            Arg::Equal(key, job) if *key == "JOB" => Some((at, job)),
            Arg::Positional(_) | Arg::Equal(_, _) | Arg::NotEqual(_, _) => None,
        });
    let skip = named.map(|(at, _)| at);
    let rest = operand.args.iter().enumerate().filter(move |(at, _)| Some(*at) != skip);
    (named.map(|(_, job)| job), rest.map(|(_, arg)| arg))
}
