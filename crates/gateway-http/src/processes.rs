//! Programs, and instances of jobs, as Supervisor's processes: their names, states and words.
//!
//! A program of Supervisor's configuration is what that says: `GROUP:PROCESS`, in the state that the
//! daemon tells. Any other job is a group, an instance of it a process of that name; the one instance
//! of a job without instance names is called as the job. So `web` is `web`, and tty1 of getty is
//! `getty:tty1`.

use crate::control::Control;
use crate::logs::Paths;
use engine::control::answer::Answer;
use engine::control::call::{Call, Listed};
use engine::control::fault::Fault;
use engine::machine::request::{Ended, Target, Which};
use engine::machine::state::{Goal, State as Of};
use engine::names::InstanceName;
use engine::process::{Exit, Role, Step};
use engine::text::Text;
use engine::time::Span;
use engine::view::{InstanceView, LastExit, ProgramView};
use std::collections::BTreeMap;
use sys::clock::{shown_at, Day, Shown};
use xmlrpc::states::State;
use xmlrpc::{Code, Value};

/// Upright's own jobs: nobody's processes.
const OWN: &str = "upright/";

/// A process as Supervisor's clients know it.
#[derive(Clone, Debug)]
pub struct Process {
    /// The group; of a job that is no program the job.
    pub group: String,
    /// The name within the group; of a job that is no program the instance, or the job again where
    /// that has no name.
    pub name: String,
    view: InstanceView,
    program: Option<ProgramView>,
    logs: Option<Paths>,
}

/// What a client's name for something means.
pub enum Named<'a> {
    /// The process of a group.
    One(&'a str, &'a str),
    /// A group as a whole: `group:*` or `group:`.
    Group(&'a str),
}

/// Divides a client's name. Source: Supervisor 4.3.0, options.py, `split_namespec`.
pub fn named(name: &str) -> Named<'_> {
    match name.split_once(':') {
        Some((group, "" | "*")) => Named::Group(group),
        Some((group, process)) => Named::One(group, process),
        None => Named::One(name, name),
    }
}

/// Returns all processes, by group and name.
pub async fn all(control: &Control) -> Result<Vec<Process>, xmlrpc::Fault> {
    list(control, None).await
}

/// Returns those of a group, by priority and name; `BAD_NAME` where it is not there. One of a job
/// that has no instance now is there and empty.
pub async fn group(control: &Control, name: &str) -> Result<Vec<Process>, xmlrpc::Fault> {
    if name.is_empty() || name.starts_with(OWN) {
        return Err(Code::BadName.about(name));
    }
    let mut all = all(control).await?;
    all.retain(|process| process.group == name);
    if all.is_empty() {
        return list(control, Some(name)).await;
    }
    all.sort_by_key(Process::priority);
    Ok(all)
}

/// Returns the one of that name; `BAD_NAME` where it is not there, or a group is named.
pub async fn one(control: &Control, name: &str) -> Result<Process, xmlrpc::Fault> {
    let (group, process) = of_one(name)?;
    for job in jobs_of(name, group, process) {
        let all = match list(control, Some(job)).await {
            Ok(all) => all,
            Err(fault) if fault.code() == Some(Code::BadName) => continue,
            Err(fault) => return Err(fault),
        };
        let is_it = |one: &Process| one.group == group && one.name == process;
        if let Some(found) = all.into_iter().find(is_it) {
            return Ok(found);
        }
    }
    Err(Code::BadName.about(name))
}

/// Returns what `getProcessInfo` answers of the program of that name; nothing where no program is
/// called so. It is one question, as each by itself would wake the daemon.
pub async fn report_of_program(
    control: &Control,
    name: &str,
    second: i64,
) -> Result<Option<Value>, xmlrpc::Fault> {
    let (group, process) = of_one(name)?;
    for job in jobs_of(name, group, process) {
        let programs = match control.ask(Call::Programs(Some(Text::from(job)))).await {
            Ok(Answer::Programs(programs)) => programs,
            Ok(_) => continue,
            Err(fault) => match refusal(&fault, name) {
                fault if fault.code() == Some(Code::BadName) => continue,
                fault => return Err(fault),
            },
        };
        let is_it = |one: &&ProgramView| {
            let (of, called) = (one.group.bytes(), one.process.bytes());
            one.priorities.is_some() && of == group.as_bytes() && called == process.as_bytes()
        };
        if let Some(program) = programs.iter().find(is_it) {
            return Ok(Some(Told::of(program, second).value(&Paths::of(program), second)));
        }
    }
    Ok(None)
}

/// Divides the name of one; `BAD_NAME` where none can be called so.
fn of_one(name: &str) -> Result<(&str, &str), xmlrpc::Fault> {
    match named(name) {
        Named::One(group, process) if !group.is_empty() && !group.starts_with(OWN) => {
            Ok((group, process))
        }
        Named::One(..) | Named::Group(_) => Err(Code::BadName.about(name)),
    }
}

/// Returns the jobs that a process of that name may be of: a program is a job of the whole name, an
/// instance has that of its job.
fn jobs_of<'a>(name: &'a str, group: &'a str, process: &str) -> impl Iterator<Item = &'a str> {
    let whole = (group != process).then_some(name);
    whole.into_iter().chain([group])
}

async fn list(control: &Control, job: Option<&str>) -> Result<Vec<Process>, xmlrpc::Fault> {
    let calls = [Call::List(job.map(Text::from), Listed::Own), Call::Programs(job.map(Text::from))];
    let refused = |fault: Fault| refusal(&fault, job.unwrap_or_default());
    let (mut views, mut programs) = (Vec::new(), BTreeMap::new());
    for answer in control.ask_all(&calls).await.map_err(refused)? {
        match answer.map_err(refused)? {
            Answer::Instances(more) => views.extend(more),
            Answer::Programs(more) => {
                programs.extend(more.into_iter().map(|program| (program.job.clone(), program)));
            }
            _ => {}
        }
    }
    let process = |view: InstanceView| {
        let program = programs.get(&view.job).cloned();
        Process::new(view, program)
    };
    let mut processes: Vec<Process> = views.into_iter().map(process).collect();
    processes.retain(|process| !process.group.starts_with(OWN));
    processes.sort_by(|a, b| (&a.group, &a.name).cmp(&(&b.group, &b.name)));
    Ok(processes)
}

/// Returns what the answer of control is in Supervisor's words, where it has none of its own.
pub fn refusal(fault: &Fault, name: &str) -> xmlrpc::Fault {
    match fault {
        Fault::Refused(refused) => match refused.code.as_str() {
            "unknown-job" | "unknown-instance" | "unknown-group" => Code::BadName.about(name),
            "already-added" => Code::AlreadyAdded.about(name),
            "still-running" => Code::StillRunning.about(name),
            "unreadable" => Code::CantReread.about(&refused.message),
            "shutting-down" => Code::ShutdownState.fault(),
            "already-running" => Code::AlreadyStarted.about(name),
            "already-stopped" | "not-running" => Code::NotRunning.about(name),
            _ => Code::Failed.about(format_args!("{name}: {}", refused.message)),
        },
        Fault::BadMessage(_)
        | Fault::InterfaceNotFound(_)
        | Fault::MethodNotFound(_)
        | Fault::InvalidParameter { .. }
        | Fault::ExpectedMore
        | Fault::NotPermitted { .. }
        | Fault::NoSuchVariable(_)
        | Fault::Unavailable(_)
        | Fault::Other(..) => Code::Failed.about(fault),
    }
}

impl Process {
    /// Makes one of what control says of an instance and of its job.
    pub fn new(view: InstanceView, program: Option<ProgramView>) -> Process {
        // An instance has a log of its own.
        let alone = program.as_ref().filter(|_| view.instance.text().is_empty());
        let logs = alone.map(Paths::of);
        // What is no program has states of more words than a program's.
        let program = program.filter(|program| program.priorities.is_some());
        let text = |text: &Text| text.lossy().into_owned();
        let (job, instance) = (text(view.job.text()), text(view.instance.text()));
        let (group, name) = match &program {
            Some(program) => (text(&program.group), text(&program.process)),
            None if instance.is_empty() => (job.clone(), job),
            None => (job, instance),
        };
        Process { group, name, view, program, logs }
    }

    /// Reports whether it is a program of Supervisor's configuration.
    pub fn is_program(&self) -> bool {
        self.program.is_some()
    }

    /// Returns its place among all: the smaller the earlier, groups first. What is no program has
    /// that of one that says nothing. Source: Supervisor 4.3.0, the default of `priority`.
    pub fn priority(&self) -> (i64, i64) {
        self.program.as_ref().and_then(|program| program.priorities).unwrap_or((999, 999))
    }

    /// Returns what control calls it.
    pub fn target(&self) -> Target {
        let which = if self.view.instance.text().is_empty() {
            Which::Env(Vec::new())
        } else {
            Which::Named(InstanceName::clone(&self.view.instance))
        };
        Target { job: self.view.job.text().clone(), which }
    }

    /// Returns where its output is, where that was told along with it.
    pub fn logs(&self) -> Option<&Paths> {
        self.logs.as_ref()
    }

    /// Returns what clients call it.
    pub fn shown(&self) -> String {
        if self.group == self.name {
            self.name.clone()
        } else {
            format!("{}:{}", self.group, self.name)
        }
    }

    /// Reports whether it has run before.
    pub fn has_run(&self) -> bool {
        self.view.last_exit.is_some()
    }

    /// Returns the fault of a program that has come to rest as there could be no process.
    pub fn not_spawned(&self) -> Option<xmlrpc::Fault> {
        match &self.view.last_exit {
            Some((LastExit::NotSpawned { step, errno, .. }, _)) => {
                Some(code_of_no_process(*step, *errno).about(self.error()))
            }
            Some((LastExit::Ended { .. }, _)) | None => None,
        }
    }

    /// Returns the fault of a program that is at rest, or waits for the next try, as there could be no
    /// process.
    pub fn waits_without_process(&self) -> Option<xmlrpc::Fault> {
        match self.state() {
            State::Backoff | State::Fatal if self.is_program() => self.not_spawned(),
            State::Backoff
            | State::Fatal
            | State::Stopped
            | State::Starting
            | State::Running
            | State::Stopping
            | State::Exited
            | State::Unknown => None,
        }
    }

    /// Returns the state that Supervisor has for it.
    pub fn state(&self) -> State {
        if let Some(program) = &self.program {
            return state_of(program);
        }
        let held_back = self.view.waits_for.starts_with("its back-off");
        match (self.view.goal, self.view.state) {
            (Goal::Start, _) if held_back => State::Backoff,
            (Goal::Start, Of::Running | Of::PreStop) => State::Running,
            (Goal::Start, Of::Stopping | Of::Killed | Of::PostStop) if self.pid() != 0 => {
                State::Stopping
            }
            (
                Goal::Start,
                Of::Waiting
                | Of::Starting
                | Of::Security
                | Of::PreStart
                | Of::Spawned
                | Of::PostStart
                | Of::Stopping
                | Of::Killed
                | Of::PostStop,
            ) => State::Starting,
            (Goal::Stop, Of::Waiting) => match &self.view.last_exit {
                None => State::Stopped,
                Some((LastExit::NotSpawned { .. }, _)) => State::Fatal,
                Some((LastExit::Ended { process: Role::Main, exit }, _)) => match exit {
                    Exit::Status(_) => State::Exited,
                    Exit::Signal { .. } | Exit::Unknown | Exit::OutOfMemory => State::Stopped,
                },
                Some((LastExit::Ended { .. }, _)) => State::Fatal,
            },
            (
                Goal::Stop,
                Of::Starting
                | Of::Security
                | Of::PreStart
                | Of::Spawned
                | Of::PostStart
                | Of::Running
                | Of::PreStop
                | Of::Stopping
                | Of::Killed
                | Of::PostStop,
            ) => State::Stopping,
        }
    }

    /// Reports whether a start has nothing to do and a stop has.
    pub fn is_up(&self) -> bool {
        match self.state() {
            State::Starting | State::Running | State::Backoff => true,
            State::Stopped | State::Stopping | State::Exited | State::Fatal | State::Unknown => {
                false
            }
        }
    }

    /// Reports whether there is something that a signal can be sent to.
    pub fn is_alive(&self) -> bool {
        self.pid() != 0
    }

    fn pid(&self) -> i64 {
        if let Some(program) = &self.program {
            return program.pid.map_or(0, i64::from);
        }
        let main = self.view.processes.iter().find(|(role, _)| *role == Role::Main);
        main.map_or(0, |(_, pid)| i64::from(*pid))
    }

    /// Returns why it does not run, where something went wrong.
    fn error(&self) -> String {
        if let Some(program) = &self.program {
            return program.spawn_error.clone();
        }
        let failed = matches!(self.state(), State::Fatal | State::Backoff);
        match &self.view.last_exit {
            Some((last, _)) if failed => words(last),
            Some(_) | None => String::new(),
        }
    }

    /// Returns what `getProcessInfo` answers, at this moment.
    pub fn report(&self, second: i64, logs: &Paths) -> Value {
        let told = match &self.program {
            Some(program) => Told::of(program, second),
            None => self.told(second),
        };
        told.value(logs, second)
    }

    /// Returns what is told of what is no program.
    fn told(&self, second: i64) -> Told {
        let state = self.state();
        let alive = matches!(state, State::Running | State::Stopping | State::Starting);
        let last = self.view.last_exit.as_ref();
        let stop = last.map_or(0, |(_, ago)| since(second, *ago));
        Told {
            group: self.group.clone(),
            name: self.name.clone(),
            state,
            pid: self.pid(),
            error: self.error(),
            start: if alive { since(second, self.view.since) } else { 0 },
            stop,
            has_run: stop != 0,
            status: match last {
                Some((LastExit::Ended { exit, .. }, _)) if !alive => status_of(exit),
                Some(_) | None => 0,
            },
        }
    }

    /// Returns what a call about many says of this one.
    pub fn result(&self, told: Result<(), xmlrpc::Fault>) -> Value {
        let (status, description) = match told {
            Ok(()) => (Code::Success.number(), "OK".to_owned()),
            Err(fault) => (fault.number, fault.text),
        };
        Value::Record(vec![
            ("name".to_owned(), self.name.as_str().into()),
            ("group".to_owned(), self.group.as_str().into()),
            ("status".to_owned(), status.into()),
            ("description".to_owned(), description.into()),
        ])
    }
}

/// Returns what Supervisor calls it that there was no process.
pub fn code_of_no_process(step: Step, errno: i32) -> Code {
    use std::io::ErrorKind::{InvalidInput, IsADirectory, NotFound, PermissionDenied};
    match (step, std::io::Error::from_raw_os_error(errno).kind()) {
        (Step::Exec, NotFound) => Code::NoFile,
        // The second is a command that is none: a quote that is not closed.
        (Step::Exec, PermissionDenied | InvalidInput | IsADirectory) => Code::NotExecutable,
        _ => Code::SpawnError,
    }
}

/// What `getProcessInfo` tells; moments in seconds of the clock, 0 for never.
struct Told {
    group: String,
    name: String,
    state: State,
    pid: i64,
    error: String,
    start: i64,
    stop: i64,
    has_run: bool,
    status: i64,
}

impl Told {
    fn of(program: &ProgramView, second: i64) -> Told {
        let state = state_of(program);
        let start = program.started.map_or(0, |span| since(second, span));
        Told {
            group: program.group.lossy().into_owned(),
            name: program.process.lossy().into_owned(),
            state,
            pid: program.pid.map_or(0, i64::from),
            error: program.spawn_error.clone(),
            start,
            stop: program.stopped.map_or(0, |span| since(second, span)),
            has_run: start != 0,
            // A start that failed has no status. Source: Supervisor 4.3.0, finish().
            status: match (state, &program.exit) {
                (State::Backoff | State::Fatal, _) | (_, None) => 0,
                (_, Some(exit)) => status_of(exit),
            },
        }
    }

    fn value(self, logs: &Paths, second: i64) -> Value {
        let description = match self.state {
            State::Running => {
                format!("pid {}, uptime {}", self.pid, uptime((second - self.start).max(0)))
            }
            State::Fatal | State::Backoff if self.error.is_empty() => {
                format!("unknown error (try \"tail {}\")", self.name)
            }
            State::Fatal | State::Backoff => self.error.clone(),
            State::Stopped | State::Exited if !self.has_run => "Not started".to_owned(),
            State::Stopped | State::Exited => date(self.stop),
            State::Starting | State::Stopping | State::Unknown => String::new(),
        };
        let member = |name: &str, value: Value| (name.to_owned(), value);
        Value::Record(vec![
            member("name", self.name.into()),
            member("group", self.group.into()),
            member("start", self.start.into()),
            member("stop", self.stop.into()),
            member("now", second.into()),
            member("state", self.state.number().into()),
            member("statename", self.state.name().into()),
            member("spawnerr", self.error.into()),
            member("exitstatus", self.status.into()),
            member("logfile", path(&logs.stdout)),
            member("stdout_logfile", path(&logs.stdout)),
            member("stderr_logfile", path(&logs.stderr)),
            member("pid", self.pid.into()),
            member("description", description.into()),
        ])
    }
}

fn since(second: i64, span: Span) -> i64 {
    second - i64::try_from(span.as_secs()).unwrap_or(0)
}

fn status_of(exit: &Exit) -> i64 {
    match exit {
        Exit::Status(status) => i64::from(*status),
        Exit::Signal { .. } | Exit::OutOfMemory => -1,
        Exit::Unknown => 0,
    }
}

fn state_of(program: &ProgramView) -> State {
    State::from_number(i64::from(program.state.code())).unwrap_or(State::Unknown)
}

/// What is in no file has none.
fn path(path: &Option<String>) -> Value {
    path.as_deref().unwrap_or_default().into()
}

fn words(last: &LastExit) -> String {
    match last {
        LastExit::Ended { process, exit } => format!("{process} process {}", Ended(*exit)),
        LastExit::NotSpawned { process, step, errno: 0 } => {
            format!("{process} process: {}", step.words())
        }
        LastExit::NotSpawned { process, step, errno } => {
            format!("{process} process: {}: {}", step.words(), engine::errno::Errno(*errno))
        }
    }
}

/// Returns seconds as Python shows a time span: `H:MM:SS`, with days before it.
fn uptime(seconds: i64) -> String {
    let clock = format!("{}:{:02}:{:02}", seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    match seconds / 86400 {
        0 => clock,
        1 => format!("1 day, {clock}"),
        days => format!("{days} days, {clock}"),
    }
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Returns a moment as `%b %d %I:%M %p` in local time.
fn date(second: i64) -> String {
    let (day, clock) = shown_at(u64::try_from(second).unwrap_or(0));
    written(day, clock)
}

fn written(Day { month, day }: Day, Shown { hour, minute }: Shown) -> String {
    let name = MONTHS.get(month.saturating_sub(1) as usize).copied().unwrap_or_default();
    let half = if hour < 12 { "AM" } else { "PM" };
    let hour = match hour % 12 {
        0 => 12,
        hour => hour,
    };
    format!("{name} {day:02} {hour:02}:{minute:02} {half}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::control::command::Command;

    /// What the daemon says of a job, as it travels: goal, state and what else it says.
    fn process(goal: &str, state: &str, more: &str) -> Process {
        let told = format!(
            r#"{{"parameters":{{"instance":{{"job":"web","goal":"{goal}","state":"{state}","age":90000{more}}}}}}}"#
        );
        match Answer::decode(Command::Status, told.as_bytes()) {
            Ok((Answer::Instance(Some(view)), _)) => Process::new(*view, None),
            other => panic!("{told}: {other:?}"),
        }
    }

    const FAILED: &str =
        r#","last_exit":{"process":"main","step":"exec","errno":2},"last_exit_age":60000"#;

    #[test]
    fn every_goal_and_state_has_a_state_of_supervisors() {
        let ended =
            |how: &str| format!(r#","last_exit":{{"process":"main",{how}}},"last_exit_age":1000"#);
        for (goal, state, more, wanted) in [
            ("start", "running", String::new(), State::Running),
            ("start", "pre-start", String::new(), State::Starting),
            ("start", "post-stop", ended(r#""status":1"#), State::Starting),
            ("stop", "killed", String::new(), State::Stopping),
            ("stop", "waiting", String::new(), State::Stopped),
            ("stop", "waiting", ended(r#""status":0"#), State::Exited),
            ("stop", "waiting", ended(r#""signal":15"#), State::Stopped),
            ("stop", "waiting", FAILED.to_owned(), State::Fatal),
            (
                "start",
                "starting",
                r#","waits_for":"its back-off to end, in 1s""#.to_owned(),
                State::Backoff,
            ),
        ] {
            assert_eq!(process(goal, state, &more).state(), wanted, "{goal} {state} {more}");
        }
    }

    #[test]
    fn words_are_those_of_the_original() {
        assert_eq!(uptime(59), "0:00:59");
        assert_eq!(uptime(3600 * 25 + 61), "1 day, 1:01:01");
        assert_eq!(uptime(86400 * 12), "12 days, 0:00:00");
        let now = 1_000_000;
        let moment = |hour, minute| (Day { month: 2, day: 3 }, Shown { hour, minute });
        for ((day, clock), wanted) in [
            (moment(0, 5), "Feb 03 12:05 AM"),
            (moment(12, 0), "Feb 03 12:00 PM"),
            (moment(23, 59), "Feb 03 11:59 PM"),
        ] {
            assert_eq!(written(day, clock), wanted);
        }
        let text =
            |value: &Value, name: &str| value.member(name).unwrap().text().unwrap().to_owned();
        let failed = process("stop", "waiting", FAILED)
            .report(now, &Paths { stdout: Some("/l".to_owned()), stderr: None });
        assert!(text(&failed, "description").ends_with("No such file or directory"), "{failed:?}");
        assert_eq!(text(&failed, "logfile"), "/l");
        let never = process("stop", "waiting", "").report(now, &Paths::default());
        assert_eq!(text(&never, "description"), "Not started");
        assert_eq!(never.member("stop").unwrap().int(), Some(0));
    }
}
