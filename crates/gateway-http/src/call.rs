//! What a method does.

use crate::acts::{self, Wait};
use crate::control::Control;
use crate::listeners::Listeners;
use crate::logs::{self, Channel, Paths};
use crate::methods::{self, Act, Daemon, Method, Row, System, METHODS};
use crate::processes::{self, Process};
use crate::web::Web;
use engine::control::answer::Answer;
use engine::control::call::Call;
use engine::control::fault::Fault as Refusal;
use engine::machine::request::Request;
use engine::machine::ShutdownKind;
use engine::spec::KillMode;
use engine::text::Text;
use engine::view::{ConfiguredView, GroupsView, SettingsView};
use std::rc::Rc;
use xmlrpc::{write, Code, Fault, Value};

/// The version of the interface.
const API: &str = "3.0";

/// The version of Supervisor that this stands for: clients compare it.
const SUPERVISOR: &str = "4.3.0";

/// How many calls one multicall may have.
const MULTICALL_MAX: usize = 1000;

/// The event that `sendRemoteCommEvent` makes, with TYPE and DATA.
const REMOTE: &str = "remote-communication";

/// What calls are carried out with.
pub struct Gateway {
    /// The daemon.
    pub control: Control,
    /// What this one is called.
    pub identifier: Rc<str>,
    /// What is for people, and for collectors of numbers.
    pub web: Rc<Web>,
    /// Who is told what clients send to event listeners.
    pub listeners: Rc<Listeners>,
}

impl Gateway {
    /// Returns the same for a client.
    pub fn of(&self, control: Control) -> Gateway {
        Gateway {
            control,
            identifier: Rc::clone(&self.identifier),
            web: Rc::clone(&self.web),
            listeners: Rc::clone(&self.listeners),
        }
    }
}

type Told = Result<Value, Fault>;

/// Carries a call out.
pub async fn carry_out(gateway: &Rc<Gateway>, name: &str, given: &[Value]) -> Told {
    let row = find(gateway, name, given)?;
    if row.method == Method::System(System::Multicall) {
        return multicall(gateway, given).await;
    }
    single(gateway, row, given).await
}

fn find(gateway: &Rc<Gateway>, name: &str, given: &[Value]) -> Result<&'static Row, Fault> {
    let row = methods::find(name).ok_or_else(|| Code::UnknownMethod.fault())?;
    if gateway.control.is_ending() && !row.outlives() {
        return Err(Code::ShutdownState.fault());
    }
    if !row.takes(given.len()) {
        return Err(Code::IncorrectParameters.fault());
    }
    Ok(row)
}

/// One after the other; a result stands bare, as Supervisor has it.
async fn multicall(gateway: &Rc<Gateway>, given: &[Value]) -> Told {
    let calls = given.first().and_then(Value::list);
    let calls = calls.ok_or_else(|| Code::IncorrectParameters.about("an array of calls"))?;
    if calls.len() > MULTICALL_MAX {
        let why = format!("more than {MULTICALL_MAX} calls at once");
        return Err(Code::IncorrectParameters.about(why));
    }
    let mut results = Vec::new();
    for call in calls {
        let parameters = call.member("params").and_then(Value::list).unwrap_or_default();
        let told = match call.member("methodName").and_then(Value::text) {
            None => Err(Code::IncorrectParameters.about("No methodName")),
            Some("system.multicall") => {
                Err(Code::IncorrectParameters.about("Recursive system.multicall forbidden"))
            }
            Some(name) => match find(gateway, name, parameters) {
                Ok(row) => single(gateway, row, parameters).await,
                Err(fault) => Err(fault),
            },
        };
        results.push(told.unwrap_or_else(|fault| write::record(&fault)));
    }
    Ok(Value::List(results))
}

/// A call that is not many.
async fn single(gateway: &Rc<Gateway>, row: &Row, given: &[Value]) -> Told {
    match row.method {
        Method::Daemon(what) => about_the_daemon(gateway, what, given).await,
        Method::Act(what) => act(gateway, what, given).await,
        Method::Process(what) => about_processes(&gateway.control, what, given).await,
        Method::System(System::List) => {
            Ok(Value::List(METHODS.iter().map(|row| row.name.into()).collect()))
        }
        Method::System(System::Help) => described(given).map(|row| row.help.into()),
        Method::System(System::Signature) => described(given)
            .map(|row| Value::List(row.signature.iter().map(|kind| (*kind).into()).collect())),
        // It is the one that is not single.
        Method::System(System::Multicall) => Err(Code::IncorrectParameters.fault()),
    }
}

async fn about_the_daemon(gateway: &Rc<Gateway>, what: Daemon, given: &[Value]) -> Told {
    let control = &gateway.control;
    match what {
        Daemon::ApiVersion => Ok(API.into()),
        Daemon::Version => Ok(SUPERVISOR.into()),
        Daemon::Identification => Ok((*gateway.identifier).into()),
        // In any other state this is not asked: see `find`.
        Daemon::State => Ok(Value::Record(vec![
            ("statecode".to_owned(), Value::Int(1)),
            ("statename".to_owned(), "RUNNING".into()),
        ])),
        Daemon::Pid => pid(control).await,
        Daemon::ReadMainLog => logs::read_main(control, int(given, 0)?, int(given, 1)?).await,
        Daemon::ClearMainLog => logs::clear_main(control).await.map(|()| Value::Bool(true)),
        Daemon::Shutdown => done(control, Call::Shutdown(ShutdownKind::Shutdown), "shutdown").await,
        Daemon::Restart => done(control, Call::Shutdown(ShutdownKind::Restart), "restart").await,
        Daemon::Reload => reload(control).await,
        Daemon::AddGroup => add(control, text(given, 0)?).await,
        Daemon::RemoveGroup => remove(control, text(given, 0)?).await,
        Daemon::SendEvent => send_event(gateway, text(given, 0)?, text(given, 1)?).await,
    }
}

async fn act(gateway: &Rc<Gateway>, what: Act, given: &[Value]) -> Told {
    match what {
        Act::Start => acts::start(gateway, text(given, 0)?, wait(given, 1)).await,
        Act::StartGroup => acts::start_group(gateway, text(given, 0)?, wait(given, 1)).await,
        Act::StartAll => acts::start_all(gateway, wait(given, 0)).await,
        Act::Stop => acts::stop(gateway, text(given, 0)?, wait(given, 1)).await,
        Act::StopGroup => acts::stop_group(gateway, text(given, 0)?, wait(given, 1)).await,
        Act::StopAll => acts::stop_all(gateway, wait(given, 0)).await,
        Act::Signal => acts::signal(gateway, text(given, 0)?, param(given, 1)?).await,
        Act::SignalGroup => acts::signal_group(gateway, text(given, 0)?, param(given, 1)?).await,
        Act::SignalAll => acts::signal_all(gateway, param(given, 0)?).await,
    }
}

async fn about_processes(control: &Control, what: methods::Process, given: &[Value]) -> Told {
    match what {
        methods::Process::Info => {
            let name = text(given, 0)?;
            match processes::report_of_program(control, name, now()).await? {
                Some(report) => Ok(report),
                None => {
                    let process = processes::one(control, name).await?;
                    let mut reports = reports(control, vec![process]).await?;
                    reports.pop().ok_or_else(|| Code::BadName.about(name))
                }
            }
        }
        methods::Process::AllInfo => {
            let all = processes::all(control).await?;
            Ok(Value::List(reports(control, all).await?))
        }
        methods::Process::Configuration => configuration(control).await,
        methods::Process::ReadStdout => read(control, Channel::Stdout, given).await,
        methods::Process::ReadStderr => read(control, Channel::Stderr, given).await,
        methods::Process::TailStdout => tail(control, Channel::Stdout, given).await,
        methods::Process::TailStderr => tail(control, Channel::Stderr, given).await,
        methods::Process::ClearLogs => {
            let process = processes::one(control, text(given, 0)?).await?;
            logs::clear(control, &process).await.map(|()| Value::Bool(true))
        }
        methods::Process::ClearAllLogs => {
            let mut results = Vec::new();
            for process in processes::all(control).await? {
                let told = logs::clear(control, &process).await;
                results.push(process.result(told));
            }
            Ok(Value::List(results))
        }
        methods::Process::SendStdin => send_stdin(control, given).await,
    }
}

fn param(given: &[Value], place: usize) -> Result<&Value, Fault> {
    given.get(place).ok_or_else(|| Code::IncorrectParameters.fault())
}

fn text(given: &[Value], place: usize) -> Result<&str, Fault> {
    let wrong =
        || Code::IncorrectParameters.about(format_args!("parameter {} is no string", place + 1));
    match param(given, place)? {
        Value::Text(text) => Ok(text),
        // What a client sends that is careful about its bytes.
        Value::Bytes(bytes) => std::str::from_utf8(bytes).map_err(|_| wrong()),
        Value::Int(_)
        | Value::Bool(_)
        | Value::Double(_)
        | Value::Date(_)
        | Value::Nil
        | Value::List(_)
        | Value::Record(_) => Err(wrong()),
    }
}

/// A number, also one that is written as text: the original takes whatever Python's `int` takes.
fn int(given: &[Value], place: usize) -> Result<i64, Fault> {
    let number = match param(given, place)? {
        Value::Int(number) => Some(*number),
        Value::Bool(truth) => Some(i64::from(*truth)),
        // As far as it goes; what is no number is none here either.
        Value::Double(number) => number.is_finite().then_some(*number as i64),
        Value::Text(text) => whole_number(text),
        Value::Bytes(bytes) => std::str::from_utf8(bytes).ok().and_then(whole_number),
        Value::Date(_) | Value::Nil | Value::List(_) | Value::Record(_) => None,
    };
    let wrong =
        || Code::IncorrectParameters.about(format_args!("parameter {} is no int", place + 1));
    number.ok_or_else(wrong)
}

/// Reads decimal digits, a sign before them, single `_` between them, blanks around. Source: Python,
/// int().
fn whole_number(text: &str) -> Option<i64> {
    let text = text.trim();
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    digits.split('_').all(is_number).then(|| text.replace('_', "").parse().ok()).flatten()
}

fn wait(given: &[Value], place: usize) -> Wait {
    match given.get(place).is_none_or(Value::truth) {
        true => Wait::Settled,
        false => Wait::Accepted,
    }
}

async fn done(control: &Control, call: Call, what: &str) -> Told {
    match control.ask(call).await {
        Ok(_) => Ok(Value::Bool(true)),
        Err(fault) => Err(processes::refusal(&fault, what)),
    }
}

async fn pid(control: &Control) -> Told {
    match control.ask(Call::Version).await {
        Ok(Answer::Version(version)) => Ok(Value::Int(version.pid.into())),
        Ok(_) => Err(Code::Failed.fault()),
        Err(fault) => Err(processes::refusal(&fault, "getPID")),
    }
}

/// Reads Supervisor's configuration, else the job files: these are in force as soon as they have been
/// read, nothing is left to be added or removed.
async fn reload(control: &Control) -> Told {
    let groups = match control.ask(Call::Reread).await {
        Ok(Answer::Groups(groups)) => groups,
        Ok(_) => GroupsView::default(),
        Err(Refusal::Unavailable(_)) => match control.ask(Call::ReloadConfiguration).await {
            Ok(_) => GroupsView::default(),
            Err(fault) => return Err(Code::CantReread.about(fault)),
        },
        Err(fault) => return Err(processes::refusal(&fault, "reloadConfig")),
    };
    let names = |names: Vec<String>| Value::List(names.into_iter().map(Value::Text).collect());
    let all = [groups.added, groups.changed, groups.removed].map(names);
    Ok(Value::List(vec![Value::List(all.into())]))
}

/// Reports whether a fault says that there is no such group in a configuration of Supervisor's: it
/// may be a job.
fn may_be_a_job(fault: &Refusal) -> bool {
    let unknown = |fault: &Refusal| matches!(fault, Refusal::Refused(refused) if refused.code == "unknown-group");
    matches!(fault, Refusal::Unavailable(_)) || unknown(fault)
}

async fn add(control: &Control, name: &str) -> Told {
    match control.ask(Call::AddGroup(name.into())).await {
        Ok(_) => return Ok(Value::Bool(true)),
        Err(fault) if may_be_a_job(&fault) => {}
        Err(fault) => return Err(processes::refusal(&fault, name)),
    }
    processes::group(control, name).await?;
    Err(Code::AlreadyAdded.about(name))
}

async fn remove(control: &Control, name: &str) -> Told {
    match control.ask(Call::RemoveGroup(name.into())).await {
        Ok(_) => return Ok(Value::Bool(true)),
        Err(fault) if may_be_a_job(&fault) => {}
        Err(fault) => return Err(processes::refusal(&fault, name)),
    }
    let all = processes::group(control, name).await?;
    if all.iter().any(|process| !process.state().is_stopped()) {
        return Err(Code::StillRunning.about(name));
    }
    Err(Code::Failed.about(format_args!("{name}: a job goes when its file is removed")))
}

/// Returns what `getProcessInfo` says of each.
async fn reports(control: &Control, all: Vec<Process>) -> Result<Vec<Value>, Fault> {
    let paths = logs::paths(control, &all).await?;
    let now = now();
    Ok(all.iter().zip(&paths).map(|(process, paths)| process.report(now, paths)).collect())
}

/// Returns the time, in seconds since 1970.
fn now() -> i64 {
    i64::try_from(sys::clock::wall().0 / 1_000_000_000).unwrap_or(i64::MAX)
}

async fn read(control: &Control, channel: Channel, given: &[Value]) -> Told {
    let (offset, length) = (int(given, 1)?, int(given, 2)?);
    let process = processes::one(control, text(given, 0)?).await?;
    logs::read(control, &process, channel, offset, length).await
}

async fn tail(control: &Control, channel: Channel, given: &[Value]) -> Told {
    let (offset, length) = (int(given, 1)?, int(given, 2)?);
    let process = processes::one(control, text(given, 0)?).await?;
    logs::tail(control, &process, channel, offset, length).await
}

/// Writes all of it, or as much as the process leaves room for. Source: Supervisor 4.3.0 keeps what
/// does not fit, however much; here that is a fault.
async fn send_stdin(control: &Control, given: &[Value]) -> Told {
    let (name, mut rest) = (text(given, 0)?, typed(given, 1)?.as_bytes());
    let process = processes::one(control, name).await?;
    if !process.is_alive() {
        return Err(Code::NotRunning.about(name));
    }
    while !rest.is_empty() {
        let call = Call::SendInput(process.target(), Text::from(rest));
        match control.ask(call).await {
            Ok(Answer::Taken(taken)) => {
                let taken = usize::try_from(taken).unwrap_or(rest.len()).max(1);
                rest = rest.get(taken..).unwrap_or_default();
            }
            Ok(_) => break,
            Err(refused) => return Err(unwritten(name, &refused)),
        }
    }
    Ok(Value::Bool(true))
}

/// What is no text is named in the fault. Source: Supervisor 4.3.0, sendProcessStdin.
fn typed(given: &[Value], place: usize) -> Result<&str, Fault> {
    let about = |shown: &dyn std::fmt::Display| Code::IncorrectParameters.about(shown);
    match param(given, place)? {
        Value::Int(number) => Err(about(number)),
        Value::Double(number) => Err(about(number)),
        Value::Bool(true) => Err(about(&"True")),
        Value::Bool(false) => Err(about(&"False")),
        Value::Text(_)
        | Value::Bytes(_)
        | Value::Date(_)
        | Value::Nil
        | Value::List(_)
        | Value::Record(_) => text(given, place),
    }
}

fn unwritten(name: &str, refused: &engine::control::fault::Fault) -> Fault {
    use engine::control::fault::Fault::Refused;
    match refused {
        Refused(refused) if refused.code == "not-running" => Code::NotRunning.about(name),
        Refused(refused) if ["no-input", "input-closed"].contains(&refused.code.as_str()) => {
            Code::NoFile.about(name)
        }
        other => processes::refusal(other, name),
    }
}

/// Event listeners are told, and an event is emitted, on which jobs may start.
async fn send_event(gateway: &Gateway, kind: &str, data: &str) -> Told {
    let env = vec![Text::from(format!("TYPE={kind}")), Text::from(format!("DATA={data}"))];
    let request = Request::Emit(Text::from(REMOTE), env, engine::machine::request::Wait::Accepted);
    let done = done(&gateway.control, Call::Ask(request, None), "sendRemoteCommEvent").await?;
    gateway.listeners.remote(kind, data);
    Ok(done)
}

fn described(given: &[Value]) -> Result<&'static Row, Fault> {
    methods::find(text(given, 0)?).ok_or_else(|| Code::SignatureUnsupported.fault())
}

/// Programs as the configuration has them, and jobs as they are.
async fn configuration(control: &Control) -> Told {
    let programs = match control.ask(Call::Configured).await {
        Ok(Answer::Configured(views)) => views,
        Ok(_) | Err(Refusal::Unavailable(_)) => Vec::new(),
        Err(fault) => return Err(processes::refusal(&fault, "getAllConfigInfo")),
    };
    let mut all = processes::all(control).await?;
    all.retain(|process| !process.is_program());
    let mut jobs: Vec<Text> = all.iter().map(|process| process.target().job).collect();
    jobs.dedup();
    let asked: Vec<Call> = jobs
        .iter()
        .flat_map(|job| [Call::Settings(job.clone()), Call::ShowConfig(Some(job.clone()))])
        .collect();
    let mut settings = std::collections::BTreeMap::new();
    let mut answers =
        control.ask_all(&asked).await.map_err(|fault| processes::refusal(&fault, ""))?.into_iter();
    for job in jobs {
        let how = match answers.next() {
            Some(Ok(Answer::Settings(view))) => *view,
            Some(Err(fault)) => return Err(processes::refusal(&fault, &job.lossy())),
            Some(Ok(_)) | None => continue,
        };
        let by_itself = match answers.next() {
            Some(Ok(Answer::Jobs(views))) => views.iter().any(|view| view.start_on.is_some()),
            Some(Ok(_) | Err(_)) | None => false,
        };
        settings.insert(job, (how, by_itself));
    }
    let paths = logs::paths(control, &all).await?;
    let rows = all.iter().zip(&paths).filter_map(|(process, paths)| {
        let (how, by_itself) = settings.get(&process.target().job)?;
        Some(configured(process, how, *by_itself, paths))
    });
    let mut rows: Vec<Value> = rows.chain(programs.iter().map(program)).collect();
    rows.sort_by_cached_key(|row| {
        let text =
            |name: &str| row.member(name).and_then(Value::text).unwrap_or_default().to_owned();
        (text("name"), text("group"))
    });
    Ok(Value::List(rows))
}

/// Returns a job's settings in the words of a program's: what a job has nothing of is as a program
/// that does without.
fn configured(process: &Process, how: &SettingsView, by_itself: bool, logs: &Paths) -> Value {
    let text = |text: &Option<Text>| match text {
        Some(text) => Value::Text(String::from_utf8_lossy(text.bytes()).into_owned()),
        None => "none".into(),
    };
    let command = how.command.clone().unwrap_or_default();
    let statuses =
        how.normal_exit.iter().map(|status| i64::from(*status)).filter(|status| *status != 0);
    let whole_group = how.kill_mode != KillMode::Process;
    let seconds = how.kill_timeout.0.div_ceil(1_000_000_000);
    let rotate = |number: u64| Value::Int(i64::try_from(number).unwrap_or(i64::MAX));
    let mut members: Vec<(&str, Value)> = vec![
        ("name", process.name.as_str().into()),
        ("group", process.group.as_str().into()),
        ("autostart", by_itself.into()),
        ("directory", text(&how.directory)),
        ("uid", text(&how.user)),
        ("command", String::from_utf8_lossy(command.bytes()).into_owned().into()),
        ("exitcodes", Value::List(std::iter::once(0).chain(statuses).map(Value::Int).collect())),
        ("group_prio", Value::Int(process.priority().0)),
        ("process_prio", Value::Int(process.priority().1)),
        ("inuse", true.into()),
        ("killasgroup", whole_group.into()),
        ("redirect_stderr", logs.stderr.is_none().into()),
        ("startretries", Value::Int(0)),
        ("startsecs", Value::Int(0)),
        ("stopsignal", i64::from(how.kill_signal.number()).into()),
        ("stopwaitsecs", i64::try_from(seconds).unwrap_or(i64::MAX).into()),
        ("serverurl", "none".into()),
    ];
    for (names, path) in [(STDOUT, logs.stdout.as_deref()), (STDERR, logs.stderr.as_deref())] {
        let (size, count) = match path {
            Some(_) => (how.rotate_size, u64::from(how.rotate_count)),
            None => (0, 0),
        };
        let [capture, events, file, backups, bytes, syslog] = names;
        members.extend([
            (capture, Value::Int(0)),
            (events, false.into()),
            (file, path.unwrap_or("none").into()),
            (backups, rotate(count)),
            (bytes, rotate(size)),
            (syslog, false.into()),
        ]);
    }
    Value::Record(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// Returns what a program's section says.
fn program(view: &ConfiguredView) -> Value {
    let text = |text: &Text| Value::Text(text.lossy().into_owned());
    let or_none = |said: Option<Value>| said.unwrap_or_else(|| "none".into());
    let number = |number: u64| Value::Int(i64::try_from(number).unwrap_or(i64::MAX));
    let codes = view.exitcodes.iter().map(|code| Value::Int(i64::from(*code)));
    let mut members: Vec<(&str, Value)> = vec![
        ("name", text(&view.process)),
        ("group", text(&view.group)),
        ("autostart", view.autostart.into()),
        ("directory", or_none(view.directory.as_ref().map(text))),
        ("uid", or_none(view.uid.map(|uid| i64::from(uid).into()))),
        ("command", text(&view.command)),
        ("exitcodes", Value::List(codes.collect())),
        ("group_prio", Value::Int(view.priorities.0)),
        ("process_prio", Value::Int(view.priorities.1)),
        ("inuse", view.in_force.into()),
        ("killasgroup", view.kills_group.into()),
        ("redirect_stderr", view.redirects_stderr.into()),
        ("startretries", i64::from(view.start_retries).into()),
        ("startsecs", number(view.start_seconds)),
        ("stopsignal", i64::from(view.stop_signal).into()),
        ("stopwaitsecs", number(view.stop_seconds)),
        ("serverurl", or_none(view.server_url.as_deref().map(Value::from))),
    ];
    for (names, output) in [(STDOUT, &view.stdout), (STDERR, &view.stderr)] {
        let [capture, events, file, backups, bytes, syslog] = names;
        // As the original: what goes elsewhere has no file of its own.
        let own = !(view.redirects_stderr && names == STDERR);
        members.extend([
            (capture, number(output.capture)),
            (events, output.events.into()),
            (file, or_none(output.file.as_ref().filter(|_| own).map(text))),
            (backups, i64::from(output.backups).into()),
            (bytes, number(output.max_bytes)),
            (syslog, output.syslog.into()),
        ]);
    }
    Value::Record(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

const STDOUT: [&str; 6] = [
    "stdout_capture_maxbytes",
    "stdout_events_enabled",
    "stdout_logfile",
    "stdout_logfile_backups",
    "stdout_logfile_maxbytes",
    "stdout_syslog",
];

const STDERR: [&str; 6] = [
    "stderr_capture_maxbytes",
    "stderr_events_enabled",
    "stderr_logfile",
    "stderr_logfile_backups",
    "stderr_logfile_maxbytes",
    "stderr_syslog",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_waited_for_is_what_python_counts_as_true() {
        for (value, waits) in [
            (Value::Bool(false), false),
            (Value::Int(2), true),
            (Value::Double(0.0), false),
            ("".into(), false),
            ("false".into(), true),
            (Value::Nil, false),
            (Value::List(Vec::new()), false),
            (Value::Record(vec![("a".to_owned(), Value::Nil)]), true),
        ] {
            assert_eq!(wait(std::slice::from_ref(&value), 0) == Wait::Settled, waits, "{value:?}");
        }
        assert_eq!(wait(&[], 0), Wait::Settled);
    }

    #[test]
    fn a_number_may_be_text_as_python_reads_it() {
        let read = |value: Value| int(&[value], 0).map_err(|fault| fault.number);
        for (value, wanted) in [
            (Value::Int(-7), Ok(-7)),
            (Value::Bool(true), Ok(1)),
            (Value::Double(-2.9), Ok(-2)),
            (" +12 ".into(), Ok(12)),
            ("-1_000".into(), Ok(-1000)),
            ("".into(), Err(2)),
            ("-".into(), Err(2)),
            ("1__0".into(), Err(2)),
            ("_1".into(), Err(2)),
            ("--1".into(), Err(2)),
            ("0x1".into(), Err(2)),
            ("1.0".into(), Err(2)),
            ("99999999999999999999".into(), Err(2)),
            (Value::Double(f64::NAN), Err(2)),
            (Value::List(Vec::new()), Err(2)),
        ] {
            assert_eq!(read(value.clone()), wanted, "{value:?}");
        }
    }
}
