//! tail, maintail and clear: what was written.

use super::names;
use crate::control::{exit, Control, Next};
use crate::failure::{Failure, Outcome};
use crate::foreground;
use engine::dialect::supervisord::repr;
use xmlrpc::{Code, Fault, Value};

/// How much of a log is shown if nothing else is said, in bytes.
const USUAL: i64 = 1600;

/// `tail [-f|-BYTES] NAME [stdout|stderr]`
pub fn tail(control: &mut Control, argument: &str) -> Outcome<Next> {
    if !control.is_up()? {
        return Ok(Next::Go);
    }
    let mut words: Vec<&str> = argument.split_whitespace().collect();
    if words.is_empty() {
        return control.misused("Error: too few arguments", "tail", exit::GENERIC);
    }
    if words.len() > 3 {
        return control.misused("Error: too many arguments", "tail", exit::GENERIC);
    }
    let modifier = words.first().is_some_and(|word| word.starts_with('-')).then(|| words.remove(0));
    let (name, channel) = match words.as_slice() {
        [] => return control.mistaken("Error: tail requires process name"),
        [name] => (*name, "stdout".to_owned()),
        [name, .., channel] => (*name, channel.to_lowercase()),
    };
    let method = match channel.as_str() {
        "stdout" => "readProcessStdoutLog",
        "stderr" => "readProcessStderrLog",
        other => return control.mistaken(&format!("Error: bad channel {}", repr(other))),
    };
    let bytes = match modifier {
        None => USUAL,
        Some("-f") => {
            return foreground::follow(control, &format!("/logtail/{name}/{channel}"));
        }
        Some(modifier) => match modifier.get(1..).and_then(|text| text.parse::<i64>().ok()) {
            Some(bytes) => bytes,
            None => return control.mistaken(&format!("Error: bad argument {modifier}")),
        },
    };
    let asked = [name.into(), Value::Int(bytes.saturating_neg()), Value::Int(0)];
    let answer = control.call(method, &asked);
    show(control, name, answer, &[(Code::BadName, "no such process name")])
}

/// `maintail [-f|-BYTES]`
pub fn maintail(control: &mut Control, argument: &str) -> Outcome<Next> {
    if !control.is_up()? {
        return Ok(Next::Go);
    }
    let words: Vec<&str> = argument.split_whitespace().collect();
    let bytes = match words.as_slice() {
        [] => USUAL,
        ["-f"] => return foreground::follow(control, "/mainlogtail"),
        [word] => match word.strip_prefix('-').and_then(|text| text.parse::<i64>().ok()) {
            Some(bytes) => bytes,
            None => return control.mistaken(&format!("Error: bad argument {word}")),
        },
        [_, _, ..] => {
            return control.misused("Error: too many arguments", "maintail", exit::GENERIC)
        }
    };
    let asked = [Value::Int(bytes.saturating_neg()), Value::Int(0)];
    let answer = control.call("readLog", &asked);
    show(control, "supervisord", answer, &[])
}

fn show(
    control: &mut Control,
    name: &str,
    answer: Outcome<Value>,
    more: &[(Code, &str)],
) -> Outcome<Next> {
    let refusals = [(Code::NoFile, "no log file"), (Code::Failed, "unknown error reading log")];
    match answer {
        Ok(log) => control.say(log.text().unwrap_or_default())?,
        Err(Failure::Fault(fault)) => {
            let code = fault.code();
            let found = refusals.iter().chain(more).find(|(known, _)| Some(*known) == code);
            match found {
                Some((_, words)) => {
                    return control.mistaken(&format!("{name}: ERROR ({words})"));
                }
                None => return Err(Failure::Fault(fault)),
            }
        }
        Err(failure) => return Err(failure),
    }
    Ok(Next::Go)
}

/// `clear NAME...`
pub fn clear(control: &mut Control, argument: &str) -> Outcome<Next> {
    if !control.is_up()? {
        return Ok(Next::Go);
    }
    let words: Vec<&str> = argument.split_whitespace().collect();
    if words.is_empty() {
        return control.misused("Error: clear requires a process name", "clear", exit::GENERIC);
    }
    if words.contains(&"all") {
        let answer = control.call("clearAllProcessLogs", &[])?;
        for result in names::list(&answer)? {
            let shown = names::join(names::text(result, "group")?, names::text(result, "name")?);
            let number = names::int(result, "status")?;
            say_cleared(control, &shown, number)?;
        }
        return Ok(Next::Go);
    }
    for word in words {
        let (group, process) = names::split(word);
        // What the original calls a process that was not named.
        let shown = names::join(group, process.unwrap_or("None"));
        let number = match control.call("clearProcessLogs", &[word.into()]) {
            Ok(_) => Code::Success.number(),
            Err(Failure::Fault(Fault { number, .. })) => number,
            Err(failure) => return Err(failure),
        };
        say_cleared(control, &shown, number)?;
    }
    Ok(Next::Go)
}

fn say_cleared(control: &mut Control, shown: &str, number: i64) -> Outcome<()> {
    let code = Code::from_number(number);
    let line = if code == Some(Code::Success) {
        format!("{shown}: cleared")
    } else if code == Some(Code::BadName) {
        format!("{shown}: ERROR (no such process)")
    } else if code == Some(Code::Failed) {
        format!("{shown}: ERROR (failed)")
    } else {
        return Err(Failure::Value(format!("Unknown result code {number} for {shown}")));
    };
    control.say(&line)?;
    control.note(number, None);
    Ok(())
}
