//! Starts, stops and signals: of one process, of a group, of all.

use crate::call::Gateway;
use crate::processes::{self, named, Named, Process};
use engine::control::answer::Answer;
use engine::control::call::Call;
use engine::control::fault::Fault as Refusal;
use engine::machine::request::{Failure, Request};
use engine::process::Role;
use engine::signal::Signal;
use std::rc::Rc;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use xmlrpc::states::State;
use xmlrpc::{Code, Fault, Value};

pub use engine::machine::request::Wait;

/// How many processes of a group are started or stopped at once: each takes a connection to the
/// daemon for as long as it takes.
const AT_ONCE: usize = 32;

type Told = Result<Value, Fault>;

/// What is done.
#[derive(Clone, Copy, Debug)]
enum Act {
    Start(Wait),
    Stop(Wait),
    Signal(Sign),
}

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    /// A signal.
    Real(Signal),
    /// Number 0: it is only looked whether there is somebody.
    Nothing,
}

/// Starts one; a group where one is named.
pub async fn start(gateway: &Rc<Gateway>, name: &str, wait: Wait) -> Told {
    one_or_group(gateway, name, Act::Start(wait)).await
}

/// Starts what of a group does not run.
pub async fn start_group(gateway: &Rc<Gateway>, name: &str, wait: Wait) -> Told {
    let all = processes::group(&gateway.control, name).await?;
    Ok(many(gateway, all, Act::Start(wait)).await)
}

/// Starts every program, and again what else has run before and is no task.
pub async fn start_all(gateway: &Rc<Gateway>, wait: Wait) -> Told {
    let mut all = processes::all(&gateway.control).await?;
    all.retain(|process| process.is_program() || process.has_run());
    all.sort_by_key(Process::priority);
    Ok(many(gateway, without_tasks(gateway, all).await?, Act::Start(wait)).await)
}

/// Stops one; a group where one is named.
pub async fn stop(gateway: &Rc<Gateway>, name: &str, wait: Wait) -> Told {
    one_or_group(gateway, name, Act::Stop(wait)).await
}

/// Stops what of a group runs.
pub async fn stop_group(gateway: &Rc<Gateway>, name: &str, wait: Wait) -> Told {
    let all = processes::group(&gateway.control, name).await?;
    Ok(many(gateway, all, Act::Stop(wait)).await)
}

/// Stops what runs, and is no task.
pub async fn stop_all(gateway: &Rc<Gateway>, wait: Wait) -> Told {
    let mut all = processes::all(&gateway.control).await?;
    all.retain(Process::is_up);
    all.sort_by_key(Process::priority);
    Ok(many(gateway, without_tasks(gateway, all).await?, Act::Stop(wait)).await)
}

/// Sends one a signal; a group where one is named.
pub async fn signal(gateway: &Rc<Gateway>, name: &str, signal: &Value) -> Told {
    let all = group_of(gateway, name).await?;
    match (all, read_signal(signal)) {
        (Some(all), signal) => Ok(signal_many(gateway, all, signal).await),
        (None, Ok(sign)) => on_one(gateway, name, Act::Signal(sign)).await,
        (None, Err(fault)) => {
            // Who is meant is looked at before what is meant.
            processes::one(&gateway.control, name).await?;
            Err(fault)
        }
    }
}

/// Sends what of a group lives a signal.
pub async fn signal_group(gateway: &Rc<Gateway>, name: &str, signal: &Value) -> Told {
    let all = processes::group(&gateway.control, name).await?;
    Ok(signal_many(gateway, all, read_signal(signal)).await)
}

/// Sends all that lives a signal, but no task.
pub async fn signal_all(gateway: &Rc<Gateway>, signal: &Value) -> Told {
    let mut all = processes::all(&gateway.control).await?;
    all.retain(Process::is_alive);
    all.sort_by_key(Process::priority);
    let all = without_tasks(gateway, all).await?;
    Ok(signal_many(gateway, all, read_signal(signal)).await)
}

/// A signal that there is not is told of each that would have been sent it. Source: Supervisor 4.3.0,
/// signalProcessGroup.
async fn signal_many(
    gateway: &Rc<Gateway>,
    all: Vec<Process>,
    signal: Result<Sign, Fault>,
) -> Value {
    match signal {
        Ok(sign) => many(gateway, all, Act::Signal(sign)).await,
        Err(fault) => {
            let concerned = all.iter().filter(|process| process.is_alive());
            Value::List(concerned.map(|process| process.result(Err(fault.clone()))).collect())
        }
    }
}

/// The real-time signals that have a name. Source: Python 3.11, signal.
const REAL_TIME: [(&str, u8); 2] = [("RTMIN", 34), ("RTMAX", 64)];

fn read_signal(value: &Value) -> Result<Sign, Fault> {
    let (shown, signal) = match value {
        Value::Int(0) => return Ok(Sign::Nothing),
        Value::Text(text) if text.trim() == "0" => return Ok(Sign::Nothing),
        Value::Int(number) => {
            let signal = u8::try_from(*number).ok().and_then(Signal::new);
            (number.to_string(), signal)
        }
        Value::Text(text) => {
            let word = text.trim().to_ascii_uppercase();
            let by_number = || word.parse().ok().and_then(Signal::new);
            let name = word.strip_prefix("SIG").unwrap_or(&word);
            let edge =
                REAL_TIME.iter().find(|row| row.0 == name).and_then(|row| Signal::new(row.1));
            (text.clone(), Signal::from_name(name).or(edge).or_else(by_number))
        }
        Value::Bool(_)
        | Value::Double(_)
        | Value::Bytes(_)
        | Value::Date(_)
        | Value::Nil
        | Value::List(_)
        | Value::Record(_) => ("that".to_owned(), None),
    };
    // A number that has no name is none that Supervisor knows.
    let known = |signal: &Signal| {
        signal.name().is_some() || REAL_TIME.iter().any(|row| Signal::new(row.1) == Some(*signal))
    };
    signal.filter(known).map(Sign::Real).ok_or_else(|| Code::BadSignal.about(shown))
}

async fn one_or_group(gateway: &Rc<Gateway>, name: &str, act: Act) -> Told {
    match group_of(gateway, name).await? {
        Some(all) => Ok(many(gateway, all, act).await),
        None => on_one(gateway, name, act).await,
    }
}

/// Returns the processes of the group that is named so; nothing where the name is that of one process.
async fn group_of(gateway: &Rc<Gateway>, name: &str) -> Result<Option<Vec<Process>>, Fault> {
    let Named::Group(group) = named(name) else { return Ok(None) };
    match processes::group(&gateway.control, group).await {
        Ok(all) => Ok(Some(all)),
        // It is called what the client called it.
        Err(fault) if fault.code() == Some(Code::BadName) => Err(Code::BadName.about(name)),
        Err(fault) => Err(fault),
    }
}

async fn on_one(gateway: &Rc<Gateway>, name: &str, act: Act) -> Told {
    let process = processes::one(&gateway.control, name).await?;
    if !act.concerns(&process) {
        let no_process = match act {
            // What cannot be executed is looked at first. Source: Supervisor 4.3.0, startProcess.
            Act::Start(_) => process.waits_without_process(),
            Act::Stop(_) | Act::Signal(_) => None,
        };
        return Err(no_process.unwrap_or_else(|| act.needless().about(name)));
    }
    perform(gateway, &process, act, name).await.map(|()| Value::Bool(true))
}

/// Does it to all that it concerns; the results stand in the order of these.
async fn many(gateway: &Rc<Gateway>, all: Vec<Process>, act: Act) -> Value {
    let room = Rc::new(Semaphore::new(AT_ONCE));
    let mut running = JoinSet::new();
    let concerned = all.into_iter().filter(|process| act.concerns(process));
    for (place, process) in concerned.enumerate() {
        let (gateway, room) = (Rc::clone(gateway), Rc::clone(&room));
        running.spawn_local(async move {
            // It is never closed.
            let _permit = room.acquire().await;
            let told = perform(&gateway, &process, act, &process.shown()).await;
            (place, process.result(told))
        });
    }
    let mut results = Vec::new();
    while let Some(result) = running.join_next().await {
        results.extend(result);
    }
    results.sort_by_key(|(place, _)| *place);
    Value::List(results.into_iter().map(|(_, result)| result).collect())
}

async fn without_tasks(gateway: &Rc<Gateway>, all: Vec<Process>) -> Result<Vec<Process>, Fault> {
    let calls: Vec<Call> = all.iter().map(|process| Call::Settings(process.target().job)).collect();
    let answers = gateway.control.ask_all(&calls).await;
    let answers = answers.map_err(|fault| processes::refusal(&fault, "all"))?;
    let mut left = Vec::new();
    for (process, answer) in all.into_iter().zip(answers) {
        match answer {
            Ok(Answer::Settings(view)) if view.task && !process.is_program() => {}
            Ok(_) => left.push(process),
            Err(fault) => return Err(processes::refusal(&fault, &process.shown())),
        }
    }
    Ok(left)
}

impl Act {
    fn concerns(self, process: &Process) -> bool {
        match self {
            Act::Start(_) => !process.is_up(),
            Act::Stop(_) => process.is_up(),
            Act::Signal(_) => process.is_alive(),
        }
    }

    /// The fault where there is nothing to do.
    fn needless(self) -> Code {
        match self {
            Act::Start(_) => Code::AlreadyStarted,
            Act::Stop(_) | Act::Signal(_) => Code::NotRunning,
        }
    }
}

async fn perform(
    gateway: &Rc<Gateway>,
    process: &Process,
    act: Act,
    name: &str,
) -> Result<(), Fault> {
    let target = process.target();
    let request = match act {
        // Nothing becomes of it there. Source: Supervisor 4.3.0, startProcess.
        Act::Start(_) if process.is_program() && process.state() == State::Stopping => {
            return Err(Code::AbnormalTermination.about(name));
        }
        Act::Start(wait) => Request::Start(target, wait),
        Act::Stop(wait) => Request::Stop(target, wait),
        Act::Signal(Sign::Nothing) => return Ok(()),
        Act::Signal(Sign::Real(signal)) => Request::Signal(target, signal),
    };
    match gateway.control.ask(Call::Ask(request, None)).await {
        // Whether there is a process is known by then.
        Ok(_) if matches!(act, Act::Start(Wait::Accepted)) && process.is_program() => {
            let now = processes::one(&gateway.control, &process.shown()).await;
            now.ok().and_then(|now| now.waits_without_process()).map_or(Ok(()), Err)
        }
        Ok(_) => Ok(()),
        Err(fault) => {
            let told = failed(&fault, act, name);
            match process.is_program() && told.code() == Some(Code::AbnormalTermination) {
                true => Err(of_program(gateway, process, &fault, name).await),
                false => Err(told),
            }
        }
    }
}

/// A program whose last try was no process has the fault of that, whichever try it was; one that ended
/// before it had stayed up could not be spawned. Source: Supervisor 4.3.0, startProcess.
async fn of_program(gateway: &Gateway, process: &Process, fault: &Refusal, name: &str) -> Fault {
    let now = processes::one(&gateway.control, &process.shown()).await;
    if let Some(fault) = now.ok().and_then(|now| now.not_spawned()) {
        return fault;
    }
    let Refusal::Refused(refused) = fault else { return Code::AbnormalTermination.about(name) };
    match refused.failure() {
        Some(Failure::Ended(Role::Main, _) | Failure::StartRetries) => Code::SpawnError.about(name),
        Some(
            Failure::Ended(..)
            | Failure::NotSpawned(..)
            | Failure::RespawnLimit
            | Failure::Timeout(..)
            | Failure::Unkillable(_),
        )
        | None => Code::AbnormalTermination.about(name),
    }
}

/// Returns the fault of a start that failed by what failed; of all else, what it is called anyway.
fn failed(fault: &Refusal, act: Act, name: &str) -> Fault {
    let Refusal::Refused(refused) = fault else { return processes::refusal(fault, name) };
    let starting = match act {
        Act::Start(_) => true,
        Act::Stop(_) | Act::Signal(_) => false,
    };
    // It was there when it was asked for: what ended meanwhile does not run, and is no bad name.
    if !starting && refused.code == "unknown-instance" {
        return act.needless().about(name);
    }
    if !starting || !matches!(refused.code.as_str(), "failed" | "superseded") {
        return processes::refusal(fault, name);
    }
    match refused.failure() {
        Some(Failure::NotSpawned(_, step, errno)) => {
            processes::code_of_no_process(step, errno).about(name)
        }
        Some(
            Failure::Ended(..)
            | Failure::RespawnLimit
            | Failure::StartRetries
            | Failure::Timeout(..)
            | Failure::Unkillable(_),
        )
        | None => Code::AbnormalTermination.about(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::control::fault::Refused;

    #[test]
    fn signals_are_known_by_name_and_number_and_of_the_real_time_ones_the_first_and_the_last() {
        let text = |word: &str| Value::Text(word.to_owned());
        let numbers = [34, 64].map(Value::Int);
        let words = ["CONT", "sigcont", " 18 ", "RTMIN", "SIGRTMAX", "34", "64", "CLD"].map(text);
        for known in numbers.iter().chain(&words) {
            assert!(matches!(read_signal(known), Ok(Sign::Real(_))), "{known:?}");
        }
        for unknown in [Value::Int(35), Value::Int(65), text("RTMIN+1"), text("63"), text("")] {
            assert_eq!(read_signal(&unknown).unwrap_err().code(), Some(Code::BadSignal));
        }
    }

    #[test]
    fn what_ended_before_its_stop_came_does_not_run() {
        let gone = || {
            let (code, message) = ("unknown-instance".into(), "Unknown instance: web".into());
            Refusal::Refused(Box::new(Refused { code, message, ..Refused::default() }))
        };
        for act in [Act::Stop(Wait::Settled), Act::Signal(Sign::Real(Signal::TERM))] {
            assert_eq!(failed(&gone(), act, "web").code(), Some(Code::NotRunning), "{act:?}");
        }
        let start = Act::Start(Wait::Settled);
        assert_eq!(failed(&gone(), start, "web").code(), Some(Code::BadName));
    }
}
