//! Names of processes and groups as they are typed and shown.

use crate::failure::{Failure, Outcome};
use xmlrpc::Value;

/// Returns what a group and a process are shown as: one word where both are the same.
/// Source: Supervisor 4.3.0, options.py, `make_namespec`.
pub fn join(group: &str, process: &str) -> String {
    if group == process {
        process.to_owned()
    } else {
        format!("{group}:{process}")
    }
}

/// Returns group and process of what was typed; no process where the whole group is meant.
/// Source: Supervisor 4.3.0, options.py, `split_namespec`.
pub fn split(typed: &str) -> (&str, Option<&str>) {
    match typed.split_once(':') {
        Some((group, "" | "*")) => (group, None),
        Some((group, process)) => (group, Some(process)),
        None => (typed, Some(typed)),
    }
}

/// Returns a text member of an answer, which must be there.
pub fn text<'a>(record: &'a Value, name: &str) -> Outcome<&'a str> {
    record.member(name).and_then(Value::text).ok_or_else(|| missing(name))
}

/// Returns a number member of an answer, which must be there.
pub fn int(record: &Value, name: &str) -> Outcome<i64> {
    record.member(name).and_then(Value::int).ok_or_else(|| missing(name))
}

/// Returns the array that an answer must be.
pub fn list(answer: &Value) -> Outcome<&[Value]> {
    answer.list().ok_or_else(|| Failure::Unreadable("an array was expected".to_owned()))
}

fn missing(name: &str) -> Failure {
    Failure::Unreadable(format!("the answer has no {name}"))
}
