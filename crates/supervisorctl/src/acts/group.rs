//! start, stop, restart and signal: one thing done to names, groups or all.

use super::names;
use crate::control::{exit, Control, Next};
use crate::failure::{Failure, Outcome};
use xmlrpc::{Code, Fault, Value};

/// Everything about one of them.
struct Verb {
    /// The methods for all, for a group, for one.
    methods: [&'static str; 3],
    /// What was done, as it is said.
    done: &'static str,
    /// What a refusal is called.
    refusals: &'static [(Code, &'static str)],
    /// Whether `FAILED` says its own text.
    says_failure: bool,
    /// The refusal that does not make the run fail.
    ignored: Option<Code>,
    /// The exit code for a group that is not there.
    no_group: u8,
}

const START: Verb = Verb {
    methods: ["startAllProcesses", "startProcessGroup", "startProcess"],
    done: "started",
    refusals: &[
        (Code::BadName, "no such process"),
        (Code::NoFile, "no such file"),
        (Code::NotExecutable, "file is not executable"),
        (Code::AlreadyStarted, "already started"),
        (Code::SpawnError, "spawn error"),
        (Code::AbnormalTermination, "abnormal termination"),
    ],
    says_failure: false,
    ignored: Some(Code::AlreadyStarted),
    no_group: exit::ARGUMENTS,
};

const STOP: Verb = Verb {
    methods: ["stopAllProcesses", "stopProcessGroup", "stopProcess"],
    done: "stopped",
    refusals: SIGNAL.refusals,
    says_failure: true,
    ignored: Some(Code::NotRunning),
    no_group: exit::GENERIC,
};

const SIGNAL: Verb = Verb {
    methods: ["signalAllProcesses", "signalProcessGroup", "signalProcess"],
    done: "signalled",
    refusals: &[
        (Code::BadName, "no such process"),
        (Code::BadSignal, "bad signal name"),
        (Code::NotRunning, "not running"),
    ],
    says_failure: true,
    ignored: None,
    no_group: exit::GENERIC,
};

/// `start NAME...`
pub fn start(control: &mut Control, argument: &str) -> Outcome<Next> {
    if !control.is_up()? {
        return Ok(Next::Go);
    }
    if argument.is_empty() {
        let mistake = "Error: start requires a process name";
        return control.misused(mistake, "start", exit::ARGUMENTS);
    }
    each(control, &START, argument.split_whitespace(), &[])
}

/// `stop NAME...`
pub fn stop(control: &mut Control, argument: &str) -> Outcome<Next> {
    if !control.is_up()? {
        return Ok(Next::Go);
    }
    if argument.is_empty() {
        return control.misused("Error: stop requires a process name", "stop", exit::GENERIC);
    }
    each(control, &STOP, argument.split_whitespace(), &[])
}

/// `restart NAME...`
pub fn restart(control: &mut Control, argument: &str) -> Outcome<Next> {
    if !control.is_up()? {
        return Ok(Next::Go);
    }
    if argument.is_empty() {
        return control.misused("Error: restart requires a process name", "restart", exit::GENERIC);
    }
    stop(control, argument)?;
    start(control, argument)
}

/// `signal SIGNAL NAME...`
pub fn signal(control: &mut Control, argument: &str) -> Outcome<Next> {
    if !control.is_up()? {
        return Ok(Next::Go);
    }
    let mut words = argument.split_whitespace().peekable();
    match (words.next(), words.peek()) {
        (Some(signal), Some(_)) => each(control, &SIGNAL, words, &[signal.into()]),
        (_, None) | (None, _) => {
            let mistake = "Error: signal requires a signal name and a process name";
            control.misused(mistake, "signal", exit::GENERIC)
        }
    }
}

fn each<'a>(
    control: &mut Control,
    verb: &Verb,
    names: impl Iterator<Item = &'a str>,
    more: &[Value],
) -> Outcome<Next> {
    let [all, group, one] = verb.methods;
    let names: Vec<&str> = names.collect();
    if names.contains(&"all") {
        let results = control.call(all, more)?;
        say_results(control, verb, &results)?;
        return Ok(Next::Go);
    }
    for name in names {
        let called = |name: &str| [&[Value::from(name)], more].concat();
        match names::split(name) {
            (group_name, None) => match control.call(group, &called(group_name)) {
                Ok(results) => say_results(control, verb, &results)?,
                Err(Failure::Fault(fault)) if fault.code() == Some(Code::BadName) => {
                    control.say(&format!("{group_name}: ERROR (no such group)"))?;
                    control.exit = verb.no_group;
                }
                Err(failure) => return Err(failure),
            },
            (group_name, Some(process)) => {
                let shown = names::join(group_name, process);
                match control.call(one, &called(name)) {
                    Ok(_) => control.say(&format!("{shown}: {}", verb.done))?,
                    Err(Failure::Fault(fault)) => say_result(control, verb, &shown, &fault)?,
                    Err(failure) => return Err(failure),
                }
            }
        }
    }
    Ok(Next::Go)
}

fn say_results(control: &mut Control, verb: &Verb, results: &Value) -> Outcome<()> {
    for result in names::list(results)? {
        let shown = names::join(names::text(result, "group")?, names::text(result, "name")?);
        let told = Fault {
            number: names::int(result, "status")?,
            text: names::text(result, "description")?.to_owned(),
        };
        say_result(control, verb, &shown, &told)?;
    }
    Ok(())
}

fn say_result(control: &mut Control, verb: &Verb, shown: &str, told: &Fault) -> Outcome<()> {
    let code = told.code();
    let refusal = verb.refusals.iter().find(|(refusal, _)| Some(*refusal) == code);
    let line = match refusal {
        Some((_, words)) => format!("{shown}: ERROR ({words})"),
        None if code == Some(Code::Success) => format!("{shown}: {}", verb.done),
        None if code == Some(Code::Failed) && verb.says_failure => told.text.clone(),
        None => {
            let what = format!("Unknown result code {} for {shown}", told.number);
            return Err(Failure::Value(what));
        }
    };
    control.say(&line)?;
    control.note(told.number, verb.ignored);
    Ok(())
}
