//! The protocol from both ends: what one side writes the other reads, and nothing that arrives does
//! harm.

use super::answer::{Answer, Version};
use super::call::{
    Back, Call, Clash, EnvScope, Follow, Listed, Log, Meant, NewToken, Proposed, Token,
};
use super::codec::{Continues, Inbox, TooLong, FRAME_MAX, MESSAGE_MAX};
use super::command::{Command, Replies, COMMANDS};
use super::conversation::{Conversation, OUT_MAX};
use super::fault::{Fault, Refused};
use super::notice::Notice;
use super::rights::{Caller, Peer, Rights, Sight};
use crate::intent::{Intended, Intent, Keeping, Lasting};
use crate::machine::request::{
    Asked, Failure, Refusal, Reply, Request, Superseder, Target, Wait, Which,
};
use crate::machine::state::{Goal, State};
use crate::machine::{self, Level, ShutdownKind};
use crate::names::{EventName, InstanceName, JobName};
use crate::plan::{ChangeView, Fate, FateView, PlanRow, RowKind, Takes};
use crate::process::{Exit, Role, Step, Stream};
use crate::rights::Role as Right;
use crate::signal::Signal;
use crate::spec::{Arg, Condition, JobSpec, KillMode, Node, Operand};
use crate::text::Text;
use crate::time::Span;
use crate::token::{Digest, TokenView};
use crate::view::{
    ConfiguredView, CountView, InstanceView, JobView, LastExit, LogState, LogView, Mark, MarkKind,
    Need, OutputView, ProgramState, ProgramView, Remembered, RunView, SettingsView, SourceKind,
    SourceView, TimelineView, WhyView,
};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

const OWNER: Caller = Caller::Peer(Peer { uid: 1000, gid: 1000, pid: 7, groups: Vec::new() });
const STRANGER: Caller = Caller::Peer(Peer { uid: 1001, gid: 1001, pid: 8, groups: Vec::new() });
fn judge() -> Rights {
    Rights::of_owner(1000)
}

/// Small pseudo-random numbers from a seed (xorshift), the same on every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }
}

fn conversation(caller: Caller) -> Conversation {
    Conversation::new(caller)
}

/// Returns what is answered to one message that needs no daemon.
fn answered(caller: Caller, message: &str) -> String {
    let mut conversation = conversation(caller);
    let mut out = Vec::new();
    conversation.feed(message.as_bytes());
    conversation.feed(b"\0");
    assert_eq!(conversation.take(&judge(), &mut out), None, "{message}");
    String::from_utf8(out).unwrap()
}

fn instance(job: &str) -> InstanceView {
    InstanceView {
        goal: Goal::Start,
        state: State::Running,
        processes: vec![(Role::Main, 123), (Role::PostStart, 124)],
        since: Span::millis(1500),
        ..InstanceView::at_rest(JobName::try_from(job).unwrap(), InstanceName::default())
    }
}

fn target(job: &str) -> Target {
    Target { job: Text::from(job), which: Which::Env(Vec::new()) }
}

fn sample_calls() -> Vec<Call> {
    let env = vec![Text::from("A=1"), Text::from(b"B=\xff")];
    let by_env = Target { job: Text::from("web"), which: Which::Env(env.clone()) };
    let by_name = Target {
        job: Text::from(b"we\xffb"),
        which: Which::Named(InstanceName::try_from("x").unwrap()),
    };
    let token = Token::try_from(String::from("client-1")).ok();
    let scope = EnvScope::Instance(Text::from("web"), InstanceName::default());
    vec![
        Call::Ask(Request::Start(by_env.clone(), Wait::Settled), token.clone()),
        Call::Ask(Request::Start(by_name.clone(), Wait::Accepted), None),
        Call::Ask(Request::Stop(target("a"), Wait::Settled), token.clone()),
        Call::Ask(Request::Restart(target("a"), Wait::Accepted), token.clone()),
        Call::Ask(Request::Reload(by_name.clone()), token.clone()),
        Call::Ask(Request::Check(by_name.clone()), token.clone()),
        Call::Ask(Request::Signal(by_name, Signal::USR1), token.clone()),
        Call::SendInput(by_env.clone(), Text::from(b"line\n\xff")),
        Call::Settings(Text::from("web")),
        Call::Ask(Request::Emit(Text::from("ev"), env.clone(), Wait::Settled), token),
        Call::Ask(Request::Emit(Text::default(), Vec::new(), Wait::Accepted), None),
        Call::EmitFile(Text::from("ev"), env.clone(), Wait::Settled, None),
        Call::Status(by_env.clone()),
        Call::List(None, Listed::Own),
        Call::List(Some(Text::from("web")), Listed::All),
        Call::Why(by_env.clone()),
        Call::ShowConfig(Some(Text::from("web"))),
        Call::ShowConfig(None),
        Call::Timeline,
        Call::Programs(Some(Text::from("web"))),
        Call::Programs(None),
        Call::Usage(Text::from("web")),
        Call::ReloadConfiguration,
        Call::Version,
        Call::GetLogPriority,
        Call::SetLogPriority(Level::Warn),
        Call::NotifyDiskWriteable,
        Call::Upgrade,
        Call::Events(None, Follow::On),
        Call::Events(Some(u64::MAX), Follow::Off),
        Call::Outputs,
        Call::LogPath(by_env.clone(), Stream::Stdout),
        Call::LogPath(by_env.clone(), Stream::Stderr),
        Call::OpenLog(Log::Of(by_env.clone(), Stream::Stderr), Back(0)),
        Call::OpenLog(Log::Own, Back(3)),
        Call::ClearLog(Log::Of(by_env, Stream::Stdout)),
        Call::ClearLog(Log::Own),
        Call::LogCounts,
        Call::Configured,
        Call::Shutdown(ShutdownKind::Shutdown),
        Call::Shutdown(ShutdownKind::Logout),
        Call::Ask(Request::StartOnce(target("a"), Wait::Accepted), None),
        Call::Ask(Request::Intend(Text::from("web"), Some(Intent::Masked), Lasting::Runtime), None),
        Call::Ask(Request::Intend(Text::from("web"), None, Lasting::Kept), None),
        Call::Shutdown(ShutdownKind::Restart),
        Call::Supervisor,
        Call::Reread,
        Call::AddGroup(Text::from("web")),
        Call::RemoveGroup(Text::from("web")),
        Call::Sources,
        Call::Hold,
        Call::Apply(Vec::new(), Meant::ToStay),
        Call::Apply(vec![Text::from("/etc/init/web.conf")], Meant::ToTest),
        Call::Apply(Vec::new(), Meant::AsBefore),
        Call::Plan(Vec::new()),
        Call::Plan(vec![
            Proposed { path: Text::from("/etc/init/web.conf"), text: Some(Text::from(b"\xff")) },
            Proposed { path: Text::from("/etc/init/db.conf"), text: None },
        ]),
        Call::CreateToken(Box::new(NewToken {
            name: Text::from("ci"),
            digest: Digest::from([0xa7; 32]),
            role: Right::Operate,
            jobs: vec![Text::from("web-*")],
            lifetime: Some(60),
        })),
        Call::ListTokens,
        Call::RevokeToken(Text::from("ci")),
        Call::NotifyDbusAddress(Text::from("unix:path=/run/bus")),
        Call::NotifyCgroupManagerAddress(Text::from("unix:path=/run/cgmanager")),
        Call::GetEnv(EnvScope::Global, Text::from("PATH")),
        Call::SetEnv(scope.clone(), env.clone(), Clash::Keep),
        Call::SetEnv(EnvScope::Global, env.clone(), Clash::Replace),
        Call::UnsetEnv(scope.clone(), env),
        Call::ListEnv(scope),
        Call::ResetEnv(EnvScope::Global),
    ]
}

#[test]
fn every_command_survives_the_wire() {
    let calls = sample_calls();
    for row in COMMANDS {
        assert!(calls.iter().any(|call| call.command() == row.command), "{row:?} has no sample");
    }
    for call in calls {
        let mut wire = Vec::new();
        call.encode(&mut wire);
        let mut conversation = conversation(OWNER);
        conversation.feed(&wire);
        let mut out = Vec::new();
        let read = conversation.take(&judge(), &mut out);
        assert_eq!(read.as_ref(), Some(&call), "{}", String::from_utf8_lossy(&wire));
        assert!(out.is_empty());
    }
}

fn sample_answers() -> Vec<(Command, Answer)> {
    let mut full = instance("web");
    full.instance = InstanceName::try_from("tty 1").unwrap();
    full.waits_for = String::from("event net-up");
    full.respawns = 3;
    full.intended = Some(Intended { intent: Intent::Stopped, lasting: Lasting::Runtime });
    full.warnings = vec![String::from("nice -5: not permitted")];
    let exits = [
        LastExit::Ended { process: Role::Main, exit: Exit::Status(0) },
        LastExit::Ended { process: Role::Main, exit: Exit::Signal { signal: 11, core: true } },
        LastExit::Ended { process: Role::PreStart, exit: Exit::Unknown },
        LastExit::NotSpawned { process: Role::Main, step: Step::Exec, errno: 2 },
    ];
    let mut answers: Vec<(Command, Answer)> = exits
        .into_iter()
        .map(|exit| {
            let last_exit = Some((exit, Span::secs(9)));
            let view = InstanceView { last_exit, ..full.clone() };
            (Command::Status, Answer::Instance(Some(Box::new(view))))
        })
        .collect();
    answers.extend([
        (Command::Start, Answer::Instance(None)),
        (Command::Reload, Answer::Checked(None, Text::from("ok"))),
        (Command::List, Answer::Instances(vec![instance("a"), full.clone()])),
        (Command::List, Answer::Instances(Vec::new())),
        (Command::Why, Answer::Why(Box::new(sample_why(full)))),
        (Command::ShowConfig, Answer::Jobs(vec![sample_job()])),
        (Command::Programs, Answer::Programs(programs())),
        (Command::Timeline, Answer::Timeline(times())),
        (Command::Programs, Answer::Programs(Vec::new())),
        (Command::Settings, Answer::Settings(Box::new(sample_settings()))),
        (Command::Usage, Answer::Usage(None)),
        (Command::Usage, Answer::Usage(Some(Text::from(b"\xff")))),
        (Command::Version, Answer::Version(Version::own(7))),
        (Command::GetLogPriority, Answer::Priority(Level::Fatal)),
        (Command::SendInput, Answer::Taken(u64::MAX)),
        (Command::Outputs, Answer::Speech(sample_speech())),
        (Command::LogPath, Answer::Path(Text::from("/var/log/web.log"))),
        (
            Command::OpenLog,
            Answer::Log(LogView { path: Text::from(b"/\xff"), state: LogState::Empty }),
        ),
        (Command::LogCounts, Answer::Counts(counts())),
        (Command::Configured, Answer::Configured(vec![configured()])),
        (Command::Sources, Answer::Sources(sources())),
        (Command::Plan, Answer::Plan(plan())),
        (Command::Apply, Answer::Plan(plan())),
        (Command::ClearLog, Answer::Done),
        (Command::ListTokens, Answer::Tokens(vec![sample_token()])),
        (Command::GetEnv, Answer::Value(Text::from("v"))),
        (Command::ListEnv, Answer::Variables(vec![Text::from("A=1")])),
        (Command::Shutdown, Answer::Done),
    ]);
    answers
}

fn sample_job() -> JobView {
    let event = |name: &str, args: Vec<Arg>| {
        Node::Event(Operand { event: EventName::try_from(name).unwrap(), args })
    };
    let args = vec![
        Arg::Positional(Text::from("A")),
        Arg::Equal(Text::from("K"), Text::from("v=w!")),
        Arg::NotEqual(Text::from("L"), Text::from("")),
    ];
    let nodes = vec![event("starting", args), event("/AND", Vec::new()), Node::And];
    JobView {
        name: JobName::try_from("web").unwrap(),
        usage: Some(Text::from("web PORT=n")),
        description: None,
        author: Some(Text::from("we")),
        version: Some(Text::from("1")),
        emits: vec![Text::from("x-*")],
        start_on: Some(Condition { nodes }),
        stop_on: None,
    }
}

fn sample_why(status: InstanceView) -> WhyView {
    let need = Need {
        depth: 1,
        words: String::from("net-up"),
        met: true,
        by: Some(String::from("net-up IFACE=lo")),
        note: String::from("says `emits`: udev"),
    };
    let open = Need { met: false, by: None, note: String::new(), ..need.clone() };
    let ended =
        LastExit::Ended { process: Role::Main, exit: Exit::Signal { signal: 9, core: true } };
    WhyView {
        status,
        verdict: String::from("somebody asked"),
        due: Some(Span::millis(40)),
        ring: vec![String::from("a waits for b")],
        start_on: vec![need, open],
        stop_on: Vec::new(),
        waiters: vec![String::from("event startup")],
        runs: vec![
            RunView {
                ago: Span::secs(9),
                lasted: Some(Span::secs(2)),
                exit: ended,
                note: String::from("it crashed"),
            },
            RunView {
                ago: Span::secs(5),
                lasted: None,
                exit: LastExit::NotSpawned { process: Role::Main, step: Step::Exec, errno: 2 },
                note: String::new(),
            },
        ],
        files: vec![Text::from(b"/etc/init/web\xff.conf")],
        section: Some(String::from("program:web")),
        history: vec![Remembered {
            ago: Span::secs(1),
            cause: String::from("asked"),
            decision: String::from("start"),
        }],
    }
}

fn sample_settings() -> SettingsView {
    SettingsView {
        task: true,
        respawn: false,
        command: Some(Text::from("serve --port 1")),
        directory: Some(Text::from(b"/srv/\xff")),
        user: None,
        kill_signal: Signal::HUP,
        kill_timeout: Span::secs(9),
        kill_mode: KillMode::Tree,
        normal_exit: vec![0, 300],
        rotate_size: u64::MAX,
        rotate_count: 5,
    }
}

fn sample_speech() -> super::notice::Speech {
    super::notice::Speech {
        missed: 3,
        job: JobName::try_from("group:web").unwrap(),
        instance: InstanceName::default(),
        stream: Stream::Stderr,
        pid: 71,
        captured: true,
        said: Text::from(b"hello\xff"),
    }
}

fn sample_token() -> TokenView {
    TokenView {
        name: String::from("ci"),
        role: Right::Look,
        jobs: vec![Text::from(b"web\xff")],
        created: 7,
        by: 1000,
        expires: None,
    }
}

fn sources() -> Vec<SourceView> {
    let some = |path: &str| vec![Text::from(path)];
    let jobs = SourceView {
        path: Text::from(b"/etc/init\xff"),
        kind: SourceKind::Jobs,
        files: Vec::new(),
        patterns: Vec::new(),
    };
    let (files, patterns) = (some("/s.conf"), some("/conf.d/*.conf"));
    let (path, kind) = (Text::from("/s.conf"), SourceKind::Programs);
    vec![jobs, SourceView { path, kind, files, patterns }]
}

fn plan() -> Vec<PlanRow> {
    let fates = [Fate::Restarts, Fate::GoesOn, Fate::Waits, Fate::Stops, Fate::Starts, Fate::Rests];
    let fate = |fate| FateView {
        instance: (fate == Fate::Waits).then(|| InstanceName::try_from("1").unwrap()),
        fate,
        pid: Some(7),
    };
    let change = ChangeView {
        key: String::from("env A"),
        also: vec![String::from("environment")],
        old: None,
        new: Some(String::from("b")),
        takes: Takes::Restart,
    };
    let changed = PlanRow {
        job: Some(Text::from(b"web\xff")),
        program: true,
        files: vec![Text::from("/etc/init/web.conf")],
        section: Some(String::from("program:web")),
        changes: vec![change],
        instances: fates.into_iter().map(fate).collect(),
        start_on: Some(String::from("startup")),
        ..PlanRow::new(RowKind::Change)
    };
    let parsed = crate::dialect::upstart::parse(JobName::try_from("a").unwrap(), b"exce a\n");
    let broken = PlanRow { mistakes: parsed.diagnostics, ..PlanRow::new(RowKind::Broken) };
    let why = Some(String::from("too long"));
    let unread = PlanRow { why, ..PlanRow::new(RowKind::Broken) };
    vec![changed, broken, unread, PlanRow { count: Some(3), ..PlanRow::new(RowKind::Untouched) }]
}

fn counts() -> Vec<CountView> {
    let job = JobName::try_from("web").unwrap();
    let instance = InstanceName::try_from("1").unwrap();
    let (taken, dropped) = (u64::MAX, 7);
    let count = CountView { job, instance, stream: Stream::Stderr, taken, dropped, size: Some(1) };
    let none = CountView { size: None, instance: InstanceName::default(), ..count.clone() };
    vec![count, none]
}

fn configured() -> ConfiguredView {
    let job = JobSpec::new(JobName::try_from("group:web").unwrap());
    let view = crate::dialect::supervisord::configured(&job, None);
    let file = Some(Text::from(b"/log\xff"));
    ConfiguredView { stdout: OutputView { file, ..OutputView::default() }, ..view }
}

fn times() -> Vec<TimelineView> {
    let mark = |ago, what, by: &str| Mark { ago: Span(ago), what, by: String::from(by) };
    let marks =
        vec![mark(7_001_000, MarkKind::Wanted, "event startup"), mark(0, MarkKind::Runs, "")];
    let job = JobName::try_from("web").unwrap();
    let instance = InstanceName::try_from("1").unwrap();
    vec![TimelineView { job, instance, marks }]
}

fn programs() -> Vec<ProgramView> {
    let states = ProgramState::TABLE.iter().map(|row| row.0);
    let program = |state| ProgramView {
        job: JobName::try_from("web:1").unwrap(),
        group: Text::from("web"),
        process: Text::from("1"),
        priorities: (state != ProgramState::Stopped).then_some((999, -1)),
        state,
        pid: (state == ProgramState::Running).then_some(7),
        started: Some(Span::secs(90_061)),
        stopped: (state == ProgramState::Exited).then_some(Span::secs(1)),
        exit: (state == ProgramState::Exited).then_some(Exit::Signal { signal: 9, core: true }),
        spawn_error: String::from(if state == ProgramState::Fatal { "can't" } else { "" }),
        failures: 3,
        stdout_log: Some(Text::from("/var/log/web.log")),
        stderr_log: (state == ProgramState::Exited).then(|| Text::from(&b"/var/log/\xff"[..])),
    };
    states.map(program).collect()
}

/// Opens a call of this command in a conversation with the owner.
fn opened(command: Command) -> Conversation {
    let call = sample_calls().into_iter().find(|call| call.command() == command).unwrap();
    let mut wire = Vec::new();
    call.encode(&mut wire);
    let mut conversation = conversation(OWNER);
    conversation.feed(&wire);
    assert_eq!(conversation.take(&judge(), &mut Vec::new()), Some(call));
    conversation
}

/// Returns what a client reads of these bytes.
fn read(command: Command, wire: &[u8]) -> Result<Answer, Fault> {
    let mut inbox = Inbox::default();
    inbox.feed(wire);
    let mut whole: Option<Answer> = None;
    loop {
        let message = inbox.take().expect("a last frame").unwrap();
        let (answer, continues) = Answer::decode(command, &message)?;
        match &mut whole {
            Some(whole) => whole.join(answer),
            None => whole = Some(answer),
        }
        if continues == Continues::No {
            assert!(inbox.is_empty());
            return Ok(whole.unwrap());
        }
    }
}

#[test]
fn every_answer_survives_the_wire() {
    for (command, answer) in sample_answers() {
        let mut out = Vec::new();
        opened(command).answer(Ok(answer.clone()), &mut out);
        assert_eq!(read(command, &out), Ok(answer), "{}", String::from_utf8_lossy(&out));
    }
}

#[test]
fn every_notice_survives_the_wire_and_shows_values_to_the_owner_only() {
    let kinds = [
        machine::Notice::Event {
            name: EventName::try_from("ev").unwrap(),
            env: vec![Text::from("A=secret"), Text::from("B")],
            failed: true,
            cause: String::from("uid 7 (initctl, process 8) emitted it"),
        },
        machine::Notice::State {
            job: JobName::try_from("web").unwrap(),
            instance: InstanceName::default(),
            goal: Goal::Stop,
            from: State::Running,
            to: State::PreStop,
        },
        machine::Notice::Goal {
            job: JobName::try_from("web").unwrap(),
            instance: InstanceName::try_from("a").unwrap(),
            goal: Goal::Start,
            state: State::Waiting,
            cause: String::from("main process (7) killed by KILL signal"),
        },
        machine::Notice::Failed {
            job: JobName::try_from("web").unwrap(),
            instance: InstanceName::default(),
            failure: Failure::Ended(Role::Main, Exit::Status(3)),
        },
        machine::Notice::Job {
            job: JobName::try_from("web").unwrap(),
            change: machine::JobChange::Removed,
        },
        machine::Notice::Program(machine::ProgramNews {
            job: JobName::try_from("grp:web").unwrap(),
            from: ProgramState::Running,
            to: ProgramState::Exited,
            pid: Some(123),
            tries: 1,
            exit: Some(Exit::Signal { signal: 9, core: true }),
            expected: true,
        }),
        machine::Notice::Restarted,
    ];
    for (sequence, what) in (7_u64..).zip(kinds) {
        let age = sequence.is_multiple_of(2).then_some(Span::millis(sequence));
        let notice = Notice { sequence, missed: 2, age, what };
        for peer in [OWNER, STRANGER] {
            let owns = peer == OWNER;
            let mut conversation = conversation(peer);
            if owns {
                conversation.see(Sight::Full);
            }
            let mut out = Vec::new();
            conversation.notice(&notice, &mut out);
            assert!(out.is_empty(), "nobody asked yet");
            Call::Events(None, Follow::On).encode(&mut out);
            conversation.feed(&out);
            assert_eq!(conversation.take(&judge(), &mut out), Some(Call::Events(None, Follow::On)));
            out.clear();
            conversation.notice(&notice, &mut out);
            out.pop();
            let (read, continues) = Answer::decode(Command::Events, &out).unwrap();
            let seen = if owns { notice.clone() } else { notice.without_values() };
            assert_eq!((read, continues), (Answer::Notice(seen), Continues::Yes));
        }
        let told = format!("{:?}", notice.without_values());
        assert!(!told.contains("secret"), "{told}");
    }
}

fn sample_refusals() -> Vec<Refusal> {
    let job = || JobName::try_from("web").unwrap();
    let unnamed = InstanceName::default;
    let failures = [
        Failure::Ended(Role::Main, Exit::Status(1)),
        Failure::NotSpawned(Role::Main, Step::Chdir, 2),
        Failure::RespawnLimit,
        Failure::StartRetries,
        Failure::Timeout(Role::PreStart, None),
        Failure::Timeout(Role::PreStart, Some(Exit::Signal { signal: 9, core: false })),
        Failure::Unkillable(Role::Main),
    ];
    let mut refusals: Vec<Refusal> = failures
        .into_iter()
        .map(|failure| Refusal::Failed(Asked::Start, job(), unnamed(), failure))
        .collect();
    refusals.extend([
        Refusal::UnknownJob(Text::from(b"\xff")),
        Refusal::UnknownInstance(unnamed()),
        Refusal::UnknownJobInstance(job(), unnamed()),
        Refusal::AlreadyRunning(job(), unnamed()),
        Refusal::AlreadyStopped(job(), unnamed()),
        Refusal::NotRunning(job(), unnamed()),
        Refusal::Superseded(Asked::Stop, job(), unnamed(), Superseder::Shutdown),
        Refusal::EventFailed(EventName::try_from("ev").unwrap()),
        Refusal::BadEnv,
        Refusal::EmptyEventName,
        Refusal::BadName(Text::from("\n")),
        Refusal::Expansion(String::from("Unknown parameter: A"), Some(Text::from("web A=a"))),
        Refusal::ShuttingDown,
        Refusal::TooMuch(String::from("requests")),
        Refusal::Masked(JobName::try_from("web").unwrap()),
        Refusal::NotKept(Keeping::Nowhere),
        Refusal::NoCheck(job()),
    ]);
    let ended = Failure::Ended(Role::Check, Exit::Status(1));
    let asked = [Asked::Restart, Asked::Reload, Asked::Check];
    refusals.extend(asked.map(|asked| Refusal::CheckFailed(asked, job(), unnamed(), ended)));
    refusals
}

#[test]
fn every_refusal_survives_the_wire_with_its_words_its_failure_and_the_last_output() {
    for refusal in sample_refusals() {
        let output = Some(Text::from("bind: address in use\n"));
        let mut out = Vec::new();
        let reply = Reply::Refused(refusal.clone());
        opened(Command::Start).answer(Answer::of_reply(reply, output.clone(), None), &mut out);
        let Err(Fault::Refused(refused)) = read(Command::Start, &out) else {
            panic!("{refusal:?}");
        };
        assert_eq!(refused.message, format!("{refusal}"));
        assert_eq!(*refused, Refused { output, ..Refused::from(&refusal) });
        if let Refusal::Failed(_, job, _, failure) | Refusal::CheckFailed(_, job, _, failure) =
            refusal
        {
            assert_eq!(refused.failure(), Some(failure));
            assert_eq!(refused.job.as_ref(), Some(job.text()));
        }
    }
}

#[test]
fn every_fault_survives_the_wire() {
    let faults = [
        Fault::BadMessage(String::from("why")),
        Fault::InterfaceNotFound(String::from("a.b")),
        Fault::MethodNotFound(String::from("a.b.C")),
        Fault::parameter("job", "is missing"),
        Fault::ExpectedMore,
        Fault::NotPermitted {
            command: String::from("Start"),
            rule: String::from("owner"),
            message: String::from("no"),
        },
        Fault::NoSuchVariable(Text::from("X")),
        Fault::Unavailable(String::from("not here")),
        Fault::Other(String::from("org.upright.control.Later"), String::from("new")),
    ];
    for fault in faults {
        let mut out = Vec::new();
        opened(Command::Start).answer(Err(fault.clone()), &mut out);
        assert_eq!(read(Command::Start, &out), Err(fault));
    }
}

#[test]
fn a_message_comes_out_however_it_was_cut() {
    let messages: Vec<Vec<u8>> = (0..40).map(|n| vec![b'a' + n % 26; n as usize * 37]).collect();
    let stream: Vec<u8> = messages.iter().flat_map(|m| [m.as_slice(), b"\0"].concat()).collect();
    for seed in 1..200 {
        let mut dice = Dice(seed);
        let mut inbox = Inbox::default();
        let mut taken = Vec::new();
        let mut rest = stream.as_slice();
        while !rest.is_empty() {
            let size = if dice.roll(3) == 0 { 4000 } else { 9 };
            let (piece, later) = rest.split_at((dice.roll(size) + 1).min(rest.len()));
            inbox.feed(piece);
            rest = later;
            if dice.roll(2) == 0 {
                taken.extend(inbox.take());
            }
        }
        taken.extend(core::iter::from_fn(|| inbox.take()));
        let taken: Vec<Vec<u8>> = taken.into_iter().map(Result::unwrap).collect();
        assert_eq!(taken, messages, "seed {seed}");
        assert!(inbox.is_empty());
    }
}

#[test]
fn a_message_of_the_greatest_length_passes_and_a_longer_one_ends_the_inbox() {
    let mut inbox = Inbox::default();
    inbox.feed(&vec![b'x'; MESSAGE_MAX]);
    assert_eq!(inbox.take(), None);
    inbox.feed(b"\0");
    assert_eq!(inbox.take().unwrap().unwrap().len(), MESSAGE_MAX);
    inbox.feed(&vec![b'x'; MESSAGE_MAX + 1]);
    assert_eq!(inbox.take(), Some(Err(TooLong)));
    inbox.feed(b"more\0");
    assert_eq!((inbox.take(), inbox.len()), (None, 0));
}

#[test]
fn a_message_that_is_too_long_is_answered_and_the_connection_closed() {
    let mut conversation = conversation(OWNER);
    let mut out = Vec::new();
    conversation.feed(&vec![b' '; MESSAGE_MAX + 1]);
    assert!(!conversation.reads());
    assert_eq!(conversation.take(&judge(), &mut out), None);
    assert!(conversation.closing());
    assert!(String::from_utf8_lossy(&out).contains("more than 1048576 bytes"));
}

#[test]
fn deep_nesting_is_an_error_and_no_end_of_the_stack() {
    let deep = "[".repeat(MESSAGE_MAX - 200);
    let objects = "{\"a\":".repeat((MESSAGE_MAX - 200) / 5);
    for deep in [deep, objects] {
        for around in [
            "",
            "{\"method\":",
            "{\"x\":",
            "{\"method\":\"org.upright.control.Start\",\"parameters\":",
            "{\"method\":\"org.upright.control.Start\",\"parameters\":{\"job\":",
            "{\"method\":\"org.upright.control.Start\",\"parameters\":{\"env\":[",
            "{\"method\":\"org.upright.control.Start\",\"parameters\":{\"stray\":",
        ] {
            let answer = answered(OWNER, &format!("{around}{deep}"));
            assert!(answer.starts_with("{\"error\":"), "{around}");
        }
    }
}

#[test]
fn bytes_at_random_are_answered_with_errors_and_never_do_harm() {
    let words: [&[u8]; 14] = [
        b"\0",
        b"{",
        b"}",
        b"\"",
        b"[",
        b"]",
        b":",
        b",",
        b"\"method\"",
        b"\"parameters\"",
        b"\"org.upright.control.Start\"",
        b"null",
        b"-1e999",
        b"\\u0000\xff",
    ];
    for seed in 1..400 {
        let mut dice = Dice(seed * 7919);
        let mut conversation = conversation(OWNER);
        for _ in 0..50 {
            let mut piece = Vec::new();
            for _ in 0..dice.roll(20) {
                match dice.roll(3) {
                    0 => piece.push(dice.roll(256) as u8),
                    _ => piece.extend_from_slice(words[dice.roll(words.len())]),
                }
            }
            conversation.feed(&piece);
            check_frames(&mut conversation, seed);
        }
    }
}

#[test]
fn calls_with_a_few_wrong_bytes_never_do_harm() {
    let calls = sample_calls();
    for seed in 1..4000 {
        let mut dice = Dice(seed * 104_729);
        let mut wire = Vec::new();
        calls[dice.roll(calls.len())].encode(&mut wire);
        for _ in 0..=dice.roll(3) {
            let place = dice.roll(wire.len());
            match dice.roll(3) {
                0 => wire[place] = dice.roll(256) as u8,
                1 => wire.insert(place, b"{}[]\",:\\0"[dice.roll(9)]),
                _ => {
                    wire.remove(place);
                }
            }
        }
        let mut conversation = conversation(STRANGER);
        conversation.feed(&wire);
        conversation.feed(b"\0");
        check_frames(&mut conversation, seed);
    }
}

/// Takes and answers all calls; everything that is sent must be whole JSON objects.
#[track_caller]
fn check_frames(conversation: &mut Conversation, seed: u64) {
    let mut out = Vec::new();
    while conversation.take(&judge(), &mut out).is_some() {
        conversation.answer(Ok(Answer::Done), &mut out);
    }
    let Some(frames) = out.strip_suffix(b"\0") else {
        assert!(out.is_empty(), "seed {seed}: a frame without its end");
        return;
    };
    for frame in frames.split(|byte| *byte == 0) {
        let value: serde_json::Value = serde_json::from_slice(frame).unwrap();
        assert!(value.is_object(), "seed {seed}");
    }
}

#[test]
fn mistakes_are_named() {
    for (message, expected) in [
        (
            r#"{"method":"org.upright.control.Start","parameters":{}}"#,
            r#"{"error":"org.varlink.service.InvalidParameter","parameters":{"parameter":"job","message":"is missing"}}"#,
        ),
        (
            r#"{"method":"org.upright.control.Start"}"#,
            r#"{"error":"org.varlink.service.InvalidParameter","parameters":{"parameter":"job","message":"is missing"}}"#,
        ),
        (
            r#"{"method":"org.upright.control.Start","parameters":{"job":"a","jbo":1}}"#,
            r#"{"error":"org.varlink.service.InvalidParameter","parameters":{"parameter":"jbo","message":"is not a parameter of this method"}}"#,
        ),
        (
            r#"{"method":"org.upright.control.Version","parameters":{"job":"a"}}"#,
            r#"{"error":"org.varlink.service.InvalidParameter","parameters":{"parameter":"job","message":"is not a parameter of this method"}}"#,
        ),
        (
            r#"{"method":"org.upright.control.Why","parameters":{"job":7}}"#,
            r#"{"error":"org.varlink.service.InvalidParameter","parameters":{"parameter":"job","message":"is wrong: invalid type: integer `7`, expected a string, or {\"b64\": \"...\"} where it is not UTF-8 at line 1 column 57"}}"#,
        ),
        (
            r#"{"method":"org.upright.control.Stop","parameters":{"job":"a","token":""}}"#,
            r#"{"error":"org.varlink.service.InvalidParameter","parameters":{"parameter":"token","message":"is wrong: a token has 1 to 64 bytes at line 1 column 72"}}"#,
        ),
        (
            r#"{"method":"org.upright.control.Status","parameters":{"job":"a","env":[],"instance":""}}"#,
            r#"{"error":"org.varlink.service.InvalidParameter","parameters":{"parameter":"instance","message":"is given together with `env`; one of them says which instance is meant"}}"#,
        ),
        (
            r#"{"method":"org.upright.control.SetLogPriority","parameters":{"priority":"loud"}}"#,
            r#"{"error":"org.varlink.service.InvalidParameter","parameters":{"parameter":"priority","message":"\"loud\" is none of debug, info, message, warn, error, fatal"}}"#,
        ),
        (
            r#"{"method":"org.upright.control.Events"}"#,
            r#"{"error":"org.varlink.service.ExpectedMore","parameters":{}}"#,
        ),
        (
            r#"{"method":"org.upright.control.Nope"}"#,
            r#"{"error":"org.varlink.service.MethodNotFound","parameters":{"method":"org.upright.control.Nope"}}"#,
        ),
        (
            r#"{"method":"com.example.x.Start"}"#,
            r#"{"error":"org.varlink.service.InterfaceNotFound","parameters":{"interface":"com.example.x"}}"#,
        ),
        (
            r#"{"method":"org.varlink.service.GetInterfaceDescription","parameters":{"interface":"x"}}"#,
            r#"{"error":"org.varlink.service.InterfaceNotFound","parameters":{"interface":"x"}}"#,
        ),
        (
            "hello",
            r#"{"error":"org.upright.control.BadMessage","parameters":{"message":"expected value at line 1 column 1"}}"#,
        ),
        (
            r#"{"parameters":{}}"#,
            r#"{"error":"org.upright.control.BadMessage","parameters":{"message":"missing field `method` at line 1 column 17"}}"#,
        ),
    ] {
        assert_eq!(answered(OWNER, message), format!("{expected}\0"), "{message}");
    }
}

#[test]
fn a_stranger_is_refused_before_the_parameters_are_looked_at() {
    let answer =
        answered(STRANGER, r#"{"method":"org.upright.control.Stop","parameters":{"x":1}}"#);
    assert!(answer.starts_with(r#"{"error":"org.upright.control.NotPermitted""#), "{answer}");
    assert!(answer.contains("uid 1000 or as root"), "{answer}");
}

#[test]
fn a_list_of_too_many_strings_is_refused() {
    let strings = "\"\",".repeat(5000);
    let message = format!(
        r#"{{"method":"org.upright.control.Start","parameters":{{"job":"a","env":[{strings}""]}}}}"#
    );
    let answer = answered(OWNER, &message);
    assert!(answer.contains("a list may have at most 4096 items"), "{answer}");
}

#[test]
fn the_service_interface_describes_itself_and_ours() {
    let info = answered(STRANGER, r#"{"method":"org.varlink.service.GetInfo"}"#);
    assert!(info.contains(r#""interfaces":["org.varlink.service","org.upright.control"]"#));
    let ask = r#"{"method":"org.varlink.service.GetInterfaceDescription","parameters":{"interface":"NAME"}}"#;
    for name in ["org.varlink.service", "org.upright.control"] {
        let answer = answered(STRANGER, &ask.replace("NAME", name));
        assert!(answer.contains(&format!("\\ninterface {name}\\n")), "{answer}");
    }
}

#[test]
fn a_long_list_comes_in_pages_each_within_a_frame() {
    let mut views: Vec<InstanceView> = (0..2000).map(|n| instance(&format!("job{n:04}"))).collect();
    views[1000].warnings = vec!["w".repeat(2 * FRAME_MAX)];
    let mut out = Vec::new();
    opened(Command::List).answer(Ok(Answer::Instances(views.clone())), &mut out);
    let frames = out.split(|byte| *byte == 0);
    let long = frames.filter(|frame| frame.len() >= FRAME_MAX).count();
    assert_eq!(long, 1, "only the one thing that is longer by itself");
    assert_eq!(read(Command::List, &out), Ok(Answer::Instances(views)));
}

#[test]
fn a_long_list_is_refused_to_who_did_not_say_more_and_a_short_one_is_not() {
    for (count, pages) in [(2, Ok(())), (2000, Err(Fault::ExpectedMore))] {
        let views: Vec<InstanceView> = (0..count).map(|n| instance(&format!("{n}"))).collect();
        let mut conversation = conversation(OWNER);
        let mut out = Vec::new();
        conversation.feed(b"{\"method\":\"org.upright.control.List\"}\0");
        assert_eq!(conversation.take(&judge(), &mut out), Some(Call::List(None, Listed::Own)));
        conversation.answer(Ok(Answer::Instances(views.clone())), &mut out);
        assert_eq!(read(Command::List, &out), pages.map(|()| Answer::Instances(views)));
    }
}

#[test]
fn a_history_that_does_not_fit_loses_its_oldest_decisions() {
    let remembered = |n: u64| Remembered {
        ago: Span::secs(n),
        cause: "c".repeat(4000),
        decision: String::new(),
    };
    let why = WhyView {
        status: instance("web"),
        verdict: String::from("so it is"),
        due: None,
        ring: Vec::new(),
        start_on: Vec::new(),
        stop_on: Vec::new(),
        waiters: Vec::new(),
        runs: Vec::new(),
        files: Vec::new(),
        section: None,
        history: (0..40).rev().map(remembered).collect(),
    };
    let mut out = Vec::new();
    opened(Command::Why).answer(Ok(Answer::Why(Box::new(why.clone()))), &mut out);
    assert!(out.len() <= FRAME_MAX);
    let Ok(Answer::Why(read)) = read(Command::Why, &out) else { panic!("no why") };
    assert!(read.history.len() > 10 && read.history.len() < 40);
    assert!(why.history.ends_with(&read.history), "the youngest stay");
}

#[test]
fn calls_sent_ahead_are_answered_one_by_one_in_their_order() {
    let mut conversation = conversation(OWNER);
    let (mut out, mut wire) = (Vec::new(), Vec::new());
    Call::Shutdown(ShutdownKind::Shutdown).encode(&mut wire);
    Call::Version.encode(&mut wire);
    conversation.feed(&wire);
    assert_eq!(conversation.take(&judge(), &mut out), Some(Call::Shutdown(ShutdownKind::Shutdown)));
    assert_eq!(conversation.take(&judge(), &mut out), None, "the first is still open");
    assert!(conversation.waits());
    conversation.answer(Ok(Answer::Done), &mut out);
    assert_eq!(conversation.take(&judge(), &mut out), Some(Call::Version));
    conversation.answer(Ok(Answer::Done), &mut out);
    conversation.answer(Ok(Answer::Done), &mut out);
    assert_eq!(out, b"{\"parameters\":{}}\0{\"parameters\":{}}\0", "one answer for one call");
}

#[test]
fn a_oneway_call_gets_no_answer_not_even_a_refusal() {
    for (peer, call) in [
        (OWNER, r#"{"method":"org.upright.control.Shutdown","oneway":true}"#),
        (STRANGER, r#"{"method":"org.upright.control.Shutdown","oneway":true}"#),
        (OWNER, r#"{"method":"org.varlink.service.GetInfo","oneway":true}"#),
        (OWNER, r#"{"method":"org.upright.control.Nope","oneway":true}"#),
    ] {
        let mut conversation = conversation(peer);
        let mut out = Vec::new();
        conversation.feed(format!("{call}\0").as_bytes());
        if conversation.take(&judge(), &mut out).is_some() {
            conversation.answer(Ok(Answer::Done), &mut out);
        }
        assert!(out.is_empty() && !conversation.waits(), "{call}");
    }
}

#[test]
fn no_call_is_taken_from_a_peer_that_does_not_read_its_answers() {
    let mut conversation = conversation(OWNER);
    let mut wire = Vec::new();
    Call::Version.encode(&mut wire);
    conversation.feed(&wire);
    let mut out = vec![0; OUT_MAX + 1];
    assert_eq!(conversation.take(&judge(), &mut out), None);
    out.clear();
    assert_eq!(conversation.take(&judge(), &mut out), Some(Call::Version));
}

#[test]
fn what_comes_in_pages_or_streams_is_asked_for_with_more() {
    for call in sample_calls() {
        let row = super::command::row(call.command());
        let mut wire = Vec::new();
        call.encode(&mut wire);
        let more = String::from_utf8_lossy(&wire).contains("\"more\":true");
        assert_eq!(more, matches!(row.replies, Replies::Pages | Replies::Stream), "{row:?}");
    }
}
