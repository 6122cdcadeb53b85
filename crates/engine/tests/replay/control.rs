//! Any bytes as what a client sends, in any pieces; and as what a server answers.

use crate::bytes::Bytes;
use engine::control::answer::{Answer, Version};
use engine::control::call::{Call, EnvScope};
use engine::control::codec::{Continues, MESSAGE_MAX};
use engine::control::command::{Command, Replies, COMMANDS};
use engine::control::conversation::{Conversation, OUT_MAX};
use engine::control::fault::Fault;
use engine::control::notice::Notice;
use engine::control::rights::{Caller, Peer, Rights, Sight, OVERFLOW_UID};
use engine::dialect::supervisord::configured;
use engine::dialect::upstart::parse;
use engine::machine::request::{Failure, Refusal, Reply, RequestId};
use engine::machine::state::{Goal, State};
use engine::machine::{self, Config, Effect, Engine, Found, Input, Level};
use engine::names::{EventName, InstanceName, JobName};
use engine::process::{Exit, Role};
use engine::rights::{self, Nameless};
use engine::signal::Signal;
use engine::spec::KillMode;
use engine::text::Text;
use engine::time::{Mono, Span};
use engine::token::TokenView;
use engine::view::{GroupsView, LogState, LogView, SettingsView, SupervisorState, SupervisorView};
use std::sync::Arc;

/// How many bytes at the front say in which pieces the others come and what is answered.
const SCHEDULE: usize = 16;

/// The most that one answer may add to what waits to be sent.
const ANSWER_MAX: usize = 2 * MESSAGE_MAX;

/// Runs one conversation twice, in the chosen pieces and at once, and the bytes as replies.
pub fn run(data: &[u8]) {
    let (schedule, stream) = data.split_at(SCHEDULE.min(data.len()));
    let mut schedule = Bytes::new(schedule);
    let uid = schedule.pick(&[0, 1000, 1001, OVERFLOW_UID]);
    let choice = schedule.byte();
    let mut stream = stream.to_vec();
    if choice == 255 {
        // A message that never ends.
        stream.resize(stream.len() + MESSAGE_MAX, b' ');
    }
    let step = 1 + usize::from(choice & 0x7f);
    let choices: Vec<u8> = (0..8).map(|_| schedule.byte()).collect();
    let pieces: Vec<&[u8]> = stream.chunks(if choice == 255 { 1 << 16 } else { step }).collect();
    let sent = converse(uid, &pieces, &choices);
    assert_eq!(sent, converse(uid, &[&stream], &choices), "pieces make no difference");
    for message in stream.split(|byte| *byte == 0).take(8) {
        replied(message);
    }
}

/// What a conversation came to.
#[derive(Debug, PartialEq, Eq)]
struct Sent {
    calls: Vec<Call>,
    frames: Vec<u8>,
    closing: bool,
}

fn converse(uid: u32, pieces: &[&[u8]], choices: &[u8]) -> Sent {
    let rights = Rights::of_owner(1000);
    let caller = Caller::Peer(Peer { uid, gid: 7, pid: 9, groups: Vec::new() });
    let sight = rights.sight(&caller, &Nameless);
    let mut conversation = Conversation::new(caller);
    conversation.see(sight);
    let mut daemon = Daemon::new();
    let mut sent = Sent { calls: Vec::new(), frames: Vec::new(), closing: false };
    let mut out = Vec::new();
    for piece in pieces {
        if !conversation.reads() {
            break;
        }
        conversation.feed(piece);
        while let Some(call) = conversation.take(&rights, &mut out) {
            assert!(conversation.waits());
            let choice = choices[sent.calls.len() % choices.len()];
            understood(&call);
            stream(&mut conversation, &call, choice, sight, &mut out);
            let before = out.len();
            let answer = daemon.answer(&call, choice);
            conversation.answer(answer.clone(), &mut out);
            arrived(&call, answer, &out[before..]);
            assert!(!conversation.waits(), "one answer ends the call");
            assert!(out.len() <= OUT_MAX + ANSWER_MAX);
            sent.calls.push(call);
            frames(&out);
            sent.frames.append(&mut out);
        }
        frames(&out);
        sent.frames.append(&mut out);
    }
    // Bounds: what is not understood is not kept.
    assert!(conversation.take(&rights, &mut out).is_none() && out.is_empty());
    sent.closing = conversation.closing();
    sent
}

fn tokens(job: Text, choice: u8) -> Vec<TokenView> {
    let (name, jobs) = (format!("t{choice}"), vec![job]);
    let expires = (choice & 1 == 1).then_some(u64::from(choice));
    let token = TokenView { name, role: rights::Role::Look, jobs, created: 7, by: 0, expires };
    vec![token; usize::from(choice & 3)]
}

/// Everything that is sent is whole frames: JSON objects ended by NUL.
fn frames(out: &[u8]) {
    let Some(whole) = out.strip_suffix(b"\0") else {
        assert!(out.is_empty(), "a frame without its end");
        return;
    };
    for frame in whole.split(|byte| *byte == 0) {
        let value: serde_json::Value = serde_json::from_slice(frame).expect("a frame is JSON");
        assert!(value.get("parameters").is_some_and(serde_json::Value::is_object), "{value}");
    }
}

/// A call goes back to the wire and comes again as the same call.
fn understood(call: &Call) {
    let (mut wire, mut out) = (Vec::new(), Vec::new());
    call.encode(&mut wire);
    let root = Caller::Peer(Peer { uid: 0, gid: 0, pid: 1, groups: Vec::new() });
    let mut other = Conversation::new(root);
    other.feed(&wire);
    let again = other.take(&Rights::of_owner(0), &mut out);
    let said = String::from_utf8_lossy(&out).into_owned();
    assert_eq!(again.as_ref(), Some(call), "{} {said}", String::from_utf8_lossy(&wire));
}

/// Notices go out while a stream is open and never otherwise.
fn stream(
    conversation: &mut Conversation,
    call: &Call,
    choice: u8,
    sight: Sight,
    out: &mut Vec<u8>,
) {
    for what in notices(choice) {
        let before = out.len();
        let notice = Notice { sequence: u64::MAX, missed: u64::from(choice), age: None, what };
        conversation.notice(&notice, out);
        let frame = out[before..].strip_suffix(b"\0");
        assert_eq!(frame.is_some(), matches!(call, Call::Events(..)));
        let Some(frame) = frame else { continue };
        let seen = match sight {
            Sight::Full => notice,
            Sight::NamesOnly => notice.without_values(),
        };
        let read = Answer::decode(Command::Events, frame);
        assert_eq!(read, Ok((Answer::Notice(seen), Continues::Yes)));
    }
}

fn notices(choice: u8) -> Vec<machine::Notice> {
    let env = vec![Text::from("A=\0secret"), Text::from(b"B\xff=x"), Text::from("plain")];
    let name = EventName::try_from(Text::from(&[b'e', choice | 0x80])).expect("a name");
    let event = machine::Notice::Event { name, env, failed: choice & 1 == 1, cause: String::new() };
    let job = JobName::try_from("web").expect("a name");
    let (from, to) = (State::Waiting, State::Starting);
    let instance = InstanceName::default();
    vec![event, machine::Notice::State { job, instance, goal: Goal::Start, from, to }]
}

/// What the server sent is what the client reads.
fn arrived(call: &Call, answer: Result<Answer, Fault>, sent: &[u8]) {
    if sent.is_empty() {
        // The caller wanted no answer.
        return;
    }
    let row = COMMANDS.iter().find(|row| row.command == call.command()).expect("a row");
    let mut read: Option<Answer> = None;
    for frame in sent.strip_suffix(b"\0").expect("its end").split(|byte| *byte == 0) {
        match Answer::decode(row.command, frame) {
            Ok((part, _)) => match &mut read {
                Some(whole) => whole.join(part),
                None => read = Some(part),
            },
            Err(fault) => {
                let expected = answer.err();
                assert_eq!(Some(&fault), expected.as_ref(), "{call:?}");
                return;
            }
        }
    }
    match row.replies {
        // The end of a stream has no form of its own.
        Replies::Stream => {}
        Replies::AtOnce | Replies::Settled | Replies::Checked | Replies::Pages => {
            assert_eq!(read, answer.ok(), "{call:?}");
        }
    }
}

/// A client reads whatever comes without breaking, and what it understands it can say again.
fn replied(message: &[u8]) {
    for row in COMMANDS {
        let Ok((answer, _)) = Answer::decode(row.command, message) else { continue };
        let json = answer.clone().to_json();
        let frame = format!("{{\"parameters\":{json}}}");
        let again = Answer::decode(row.command, frame.as_bytes()).map(|(answer, _)| answer);
        assert_eq!(again, Ok(answer), "{json}");
    }
}

/// Answers calls: with a machine of a few jobs where it can, else with something made up.
struct Daemon {
    engine: Engine,
}

impl Daemon {
    fn new() -> Daemon {
        let mut engine = Engine::new(Config::default());
        let jobs: [(&str, &[u8]); 3] = [
            ("web", b"start on started db\nexec serve\nrespawn\nusage \"WHAT=\xff\"\n"),
            ("db", b"instance $N\nexport N\ntask\npre-start exec x\nexec y\nemits q*\n"),
            ("log", b"start on e A=$B\nstop on not or (this and \"that \\\" \")\n"),
        ];
        for (name, file) in jobs {
            let spec = parse(JobName::try_from(name).expect("a name"), file).spec;
            engine.handle(Mono(1), Input::Define(Arc::new(spec)), &mut Vec::new());
        }
        Daemon { engine }
    }

    fn answer(&mut self, call: &Call, choice: u8) -> Result<Answer, Fault> {
        if choice & 0x40 != 0 {
            return Err(fault(choice));
        }
        let text = Text::from(&[b'=', choice, b'\n']);
        let job = JobName::try_from("web").expect("a name");
        Ok(match call {
            Call::Ask(request, token) => {
                return self.asked(request.clone(), token.clone().map(Text::from), choice);
            }
            Call::EmitFile(event, env, wait, token) => {
                let request =
                    engine::machine::request::Request::Emit(event.clone(), env.clone(), *wait);
                return self.asked(request, token.clone().map(Text::from), choice);
            }
            Call::Status(_) => Answer::Instance(Some(Box::new(self.engine.view_at_rest(&job)))),
            Call::List(..) => {
                let views = self.engine.list(None, 10);
                let times = if choice & 0x3f == 0x3f { 300 } else { usize::from(choice & 3) };
                let views = views.iter().cycle().take(times * views.len());
                let answer = Answer::Instances(views.cloned().collect());
                return if times > 100 { Err(Fault::ExpectedMore) } else { Ok(answer) };
            }
            Call::Why(_) => {
                let why = self.engine.why(&job, &InstanceName::default());
                Answer::Why(Box::new(why.expect("web is there")))
            }
            Call::ShowConfig(_) => {
                let names = self.engine.job_names();
                Answer::Jobs(names.filter_map(|name| self.engine.job_view(name)).collect())
            }
            Call::Timeline => Answer::Timeline(self.engine.timeline()),
            Call::Programs(_) => Answer::Programs(self.engine.programs()),
            Call::Settings(_) => Answer::Settings(Box::new(settings(text, choice))),
            Call::Usage(_) => Answer::Usage((choice & 1 == 0).then_some(text)),
            Call::Version => Answer::Version(Version::own(1)),
            Call::GetLogPriority => Answer::Priority(Level::TABLE[usize::from(choice % 6)].0),
            Call::SendInput(_, input) => Answer::Taken(input.len() as u64),
            Call::LogPath(..) => Answer::Path(text),
            Call::OpenLog(..) => Answer::Log(LogView { path: text, state: LogState::Missing }),
            Call::LogCounts | Call::Sources | Call::Plan(_) | Call::Apply(..) => nothing_of(call),
            Call::Configured => self.configured(&job),
            Call::GetEnv(EnvScope::Global, name) => {
                return Err(Fault::NoSuchVariable(name.clone()))
            }
            Call::GetEnv(EnvScope::Instance(..), _) => Answer::Value(text),
            Call::ListEnv(_) => Answer::Variables(vec![text; usize::from(choice & 7)]),
            Call::Events(..)
            | Call::Outputs
            | Call::ReloadConfiguration
            | Call::SetLogPriority(_)
            | Call::NotifyDiskWriteable
            | Call::Upgrade
            | Call::NotifyDbusAddress(_)
            | Call::NotifyCgroupManagerAddress(_)
            | Call::Shutdown(_)
            | Call::SetEnv(..)
            | Call::UnsetEnv(..)
            | Call::ResetEnv(_)
            | Call::AddGroup(_)
            | Call::ClearLog(_)
            | Call::RemoveGroup(_)
            | Call::Hold
            | Call::CreateToken(_)
            | Call::RevokeToken(_) => Answer::Done,
            Call::ListTokens => Answer::Tokens(tokens(text, choice)),
            Call::Reread => Answer::Groups(GroupsView::default()),
            Call::Supervisor => Answer::Supervisor(Box::new(supervisor())),
        })
    }

    fn configured(&self, job: &JobName) -> Answer {
        let spec = self.engine.spec(job).expect("web is there");
        Answer::Configured(vec![configured(spec, None)])
    }

    fn asked(
        &mut self,
        request: engine::machine::request::Request,
        token: Option<Text>,
        choice: u8,
    ) -> Result<Answer, Fault> {
        let found = token.as_ref().and_then(|token| self.engine.find_token(token));
        let reply = match found {
            Some(Found::Answered(reply)) => Some(reply),
            Some(Found::Pending(_)) => None,
            None => {
                let id = self.engine.next_request();
                self.turn(Input::Ask(id, token, request, None), id)
            }
        };
        let output = (choice & 1 == 1).then(|| Text::from(&[choice, b'\n']));
        Answer::of_reply(reply.unwrap_or(Reply::Done(None)), output, None)
    }

    fn turn(&mut self, input: Input, id: RequestId) -> Option<Reply> {
        let mut effects = Vec::new();
        self.engine.handle(Mono(2), input, &mut effects);
        effects.into_iter().find_map(|effect| match effect {
            Effect::Reply(to, reply, _) if to == id => Some(reply),
            _ => None,
        })
    }
}

fn fault(choice: u8) -> Fault {
    let job = || JobName::try_from("web").expect("a name");
    let name = || InstanceName::try_from("1").expect("a name");
    let failure = Failure::Ended(Role::PreStart, Exit::Signal { signal: choice, core: true });
    let asked = engine::machine::request::Asked::Start;
    let refusal = match choice & 7 {
        0 => return Fault::Unavailable(String::from("\u{1b}\"")),
        1 => return Fault::NoSuchVariable(Text::from(&[choice])),
        2 => return Fault::ExpectedMore,
        3 => Refusal::UnknownInstance(name()),
        4 => Refusal::Expansion(String::from("x"), Some(Text::from(&[choice]))),
        5 => Refusal::BadName(Text::from(&[choice, 0])),
        _ => Refusal::Failed(asked, job(), name(), failure),
    };
    Fault::refused(&refusal, Some(Text::from(&[choice, b'\n'])))
}

fn settings(text: Text, choice: u8) -> SettingsView {
    SettingsView {
        task: choice & 1 == 0,
        respawn: choice & 2 == 0,
        command: Some(text),
        directory: None,
        user: None,
        kill_signal: Signal::TERM,
        kill_timeout: Span::secs(5),
        kill_mode: KillMode::Group,
        normal_exit: vec![1],
        rotate_size: u64::from(choice),
        rotate_count: 1,
    }
}

fn supervisor() -> SupervisorView {
    SupervisorView {
        identifier: String::from("supervisor"),
        state: SupervisorState::Running,
        pid: 1,
        logfile: Text::from("/log"),
    }
}

/// An empty list.
fn nothing_of(call: &Call) -> Answer {
    if call.command() == Command::Sources {
        Answer::Sources(Vec::new())
    } else if [Command::Plan, Command::Apply].contains(&call.command()) {
        Answer::Plan(Vec::new())
    } else {
        Answer::Counts(Vec::new())
    }
}
