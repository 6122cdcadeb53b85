//! avail, reread, update, add and remove: the configuration and what becomes of it.

use super::names;
use crate::control::{exit, Control, Next};
use crate::failure::{Failure, Outcome};
use std::collections::BTreeMap;
use xmlrpc::{Code, Value};

/// `avail`
pub fn avail(control: &mut Control, argument: &str) -> Outcome<Next> {
    if !argument.is_empty() {
        return control.misused("Error: avail accepts no arguments", "avail", exit::GENERIC);
    }
    let answer = match control.call("getAllConfigInfo", &[]) {
        Ok(answer) => answer,
        Err(failure) => return shutting_down(control, failure, "ERROR: supervisor shutting down"),
    };
    for one in names::list(&answer)? {
        let name = names::join(names::text(one, "group")?, names::text(one, "name")?);
        let truth = |name: &str| one.member(name).is_some_and(Value::truth);
        let used = if truth("inuse") { "in use" } else { "avail" };
        let start = if truth("autostart") { "auto" } else { "manual" };
        let (group, process) = (names::int(one, "group_prio")?, names::int(one, "process_prio")?);
        control.say(&format!("{name:32} {used:9} {start:9} {group}:{process}"))?;
    }
    Ok(Next::Go)
}

/// `reread`
pub fn reread(control: &mut Control, argument: &str) -> Outcome<Next> {
    if !argument.is_empty() {
        return control.misused("Error: reread accepts no arguments", "reread", exit::GENERIC);
    }
    let changes = match control.call("reloadConfig", &[]) {
        Ok(answer) => Changes::read(&answer)?,
        Err(Failure::Fault(fault)) if fault.code() == Some(Code::CantReread) => {
            return control.mistaken(&format!("ERROR: {}", fault.text));
        }
        Err(failure) => return shutting_down(control, failure, "ERROR: supervisor shutting down"),
    };
    let mut lines = BTreeMap::new();
    let kinds = [
        (&changes.added, "available"),
        (&changes.changed, "changed"),
        (&changes.removed, "disappeared"),
    ];
    for (names, word) in kinds {
        lines.extend(names.iter().map(|name| (name, word)));
    }
    if lines.is_empty() {
        control.say("No config updates to processes")?;
    }
    for (name, word) in lines {
        control.say(&format!("{name}: {word}"))?;
    }
    Ok(Next::Go)
}

/// `update [GROUP...]`
pub fn update(control: &mut Control, argument: &str) -> Outcome<Next> {
    let changes = match control.call("reloadConfig", &[]) {
        Ok(answer) => Changes::read(&answer)?,
        Err(failure) => return shutting_down(control, failure, "ERROR: already shutting down"),
    };
    let mut wanted: Vec<&str> = argument.split_whitespace().collect();
    if wanted.contains(&"all") {
        wanted.clear();
    }
    if !wanted.is_empty() {
        let answer = control.call("getAllProcessInfo", &[])?;
        let mut known = changes.added.clone();
        for one in names::list(&answer)? {
            known.push(names::text(one, "group")?.to_owned());
        }
        for (place, name) in wanted.iter().enumerate() {
            let again = wanted.iter().take(place).any(|earlier| earlier == name);
            if !again && !known.iter().any(|known| known == name) {
                control.mistaken(&format!("ERROR: no such group: {name}"))?;
            }
        }
    }
    let chosen = |name: &&String| wanted.is_empty() || wanted.contains(&name.as_str());
    for name in changes.removed.iter().filter(chosen) {
        let results = control.call("stopProcessGroup", &[name.as_str().into()])?;
        control.say(&format!("{name}: stopped"))?;
        let failed = |result: &Value| {
            result.member("status").and_then(Value::int) == Some(Code::Failed.number())
        };
        if names::list(&results)?.iter().any(failed) {
            control.mistaken(&format!("{name}: has problems; not removing"))?;
            continue;
        }
        control.call("removeProcessGroup", &[name.as_str().into()])?;
        control.say(&format!("{name}: removed process group"))?;
    }
    for name in changes.changed.iter().filter(chosen) {
        control.call("stopProcessGroup", &[name.as_str().into()])?;
        control.say(&format!("{name}: stopped"))?;
        control.call("removeProcessGroup", &[name.as_str().into()])?;
        control.call("addProcessGroup", &[name.as_str().into()])?;
        control.say(&format!("{name}: updated process group"))?;
    }
    for name in changes.added.iter().filter(chosen) {
        control.call("addProcessGroup", &[name.as_str().into()])?;
        control.say(&format!("{name}: added process group"))?;
    }
    Ok(Next::Go)
}

/// `add GROUP...`
pub fn add(control: &mut Control, argument: &str) -> Outcome<Next> {
    for name in argument.split_whitespace() {
        let fault = match control.call("addProcessGroup", &[name.into()]) {
            Ok(_) => {
                control.say(&format!("{name}: added process group"))?;
                continue;
            }
            Err(Failure::Fault(fault)) => fault,
            Err(failure) => return Err(failure),
        };
        if fault.code() == Some(Code::ShutdownState) {
            control.mistaken("ERROR: shutting down")?;
        } else if fault.code() == Some(Code::AlreadyAdded) {
            control.say("ERROR: process group already active")?;
        } else if fault.code() == Some(Code::BadName) {
            control.mistaken(&format!("ERROR: no such process/group: {name}"))?;
        } else {
            return Err(Failure::Fault(fault));
        }
    }
    Ok(Next::Go)
}

/// `remove GROUP...`
pub fn remove(control: &mut Control, argument: &str) -> Outcome<Next> {
    for name in argument.split_whitespace() {
        let fault = match control.call("removeProcessGroup", &[name.into()]) {
            Ok(_) => {
                control.say(&format!("{name}: removed process group"))?;
                continue;
            }
            Err(Failure::Fault(fault)) => fault,
            Err(failure) => return Err(failure),
        };
        if fault.code() == Some(Code::StillRunning) {
            control.mistaken(&format!("ERROR: process/group still running: {name}"))?;
        } else if fault.code() == Some(Code::BadName) {
            control.mistaken(&format!("ERROR: no such process/group: {name}"))?;
        } else {
            return Err(Failure::Fault(fault));
        }
    }
    Ok(Next::Go)
}

fn shutting_down(control: &mut Control, failure: Failure, words: &str) -> Outcome<Next> {
    match failure {
        Failure::Fault(fault) if fault.code() == Some(Code::ShutdownState) => {
            control.mistaken(words)
        }
        other => Err(other),
    }
}

/// What a new reading of the configuration changed, by groups.
struct Changes {
    added: Vec<String>,
    changed: Vec<String>,
    removed: Vec<String>,
}

impl Changes {
    fn read(answer: &Value) -> Outcome<Changes> {
        let parts = names::list(answer)?.first().map(names::list).transpose()?.unwrap_or_default();
        let names = |place: usize| -> Outcome<Vec<String>> {
            let part = parts.get(place).map(names::list).transpose()?.unwrap_or_default();
            Ok(part.iter().filter_map(|name| name.text().map(str::to_owned)).collect())
        };
        Ok(Changes { added: names(0)?, changed: names(1)?, removed: names(2)? })
    }
}
