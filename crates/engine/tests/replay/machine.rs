//! A machine that is driven by choices: likely news of its own processes, and unlikely news.

use crate::bytes::Bytes;
use crate::keeper;
use engine::dialect::upstart::parse;
use engine::intent::{Intent, Keeping, Lasting};
use engine::machine::request::{Request, RequestId, Target, Wait, Which};
use engine::machine::{Candidate, Config, Effect, Engine, Input, Level, Remaining, ShutdownKind};
use engine::names::{EventName, InstanceName, JobName};
use engine::process::{Exit, Role, Slot};
use engine::signal::Signal;
use engine::spec::{
    Arg, Backoff, Command, Condition, EnvRow, Expect, JobSpec, KillMode, Node, NormalExit, Operand,
    Order, Respawn, RespawnLimit,
};
use engine::text::Text;
use engine::time::{Mono, Span};
use std::sync::Arc;

const JOBS: [&str; 4] = ["a", "b", "c", "d"];
const EVENTS: [&str; 10] = [
    "e",
    "f",
    "startup",
    "starting",
    "started",
    "stopping",
    "stopped",
    "exited",
    "e/failed",
    "session-end",
];
const ROWS: [&str; 7] = ["N=1", "N=2", "N=", "X=$N", "JOB=a", "RESULT=ok", "plain"];

/// What is known of the machine from its effects: what a driver needs to go on.
#[derive(Clone, Debug, Default)]
pub struct Driver {
    /// Monotonic time.
    pub now: Mono,
    /// Slots that were asked for, the latest last.
    pub slots: Vec<Slot>,
    /// Requests that were asked, and whether they were answered.
    pub requests: Vec<(RequestId, bool)>,
    /// The slot that the last news told of, though it never was asked for.
    pub stranger: Option<Slot>,
    /// What is intended was last to be written down under this number.
    pub keep: Option<u64>,
}

/// Returns what every machine here is told at its start.
pub fn config() -> Config {
    Config {
        table: vec![Text::from("PATH=/bin"), Text::from("TERM=linux")],
        own: vec![Text::from("X=own"), Text::from("HOME=/")],
        forced: vec![Text::from("UPSTART_SESSION=1")],
        ..Config::default()
    }
}

impl Driver {
    /// Returns the next news; time goes on by what the machine waits for or by a choice.
    pub fn next(&mut self, bytes: &mut Bytes<'_>, engine: &Engine) -> Input {
        let kind = bytes.byte();
        if kind & 0x80 != 0 {
            self.now = self.now + Span::millis(u64::from(bytes.byte()) << (kind >> 4 & 7));
        }
        match kind & 0x1f {
            0 | 1 => Input::Define(Arc::new(spec(bytes))),
            2 => Input::Remove(job(bytes)),
            3..=7 => {
                let token = bytes.flag().then(|| Text::from(bytes.pick(&["t", "u", "v"])));
                let token = token.filter(|token| engine.find_token(token).is_none());
                let id = engine.next_request();
                self.requests.push((id, false));
                Input::Ask(id, token, request(bytes), None)
            }
            8 => Input::Gone(match self.requests.get(bytes.below(8)) {
                Some((id, _)) => *id,
                None => engine.next_request(),
            }),
            9 | 10 => Input::Happened(event(bytes), rows(bytes)),
            11..=16 => Input::Spawned(self.slot(bytes), pid(bytes), u32::from(bytes.below(4) == 3)),
            17 => Input::SpawnFailed(self.slot(bytes), keeper::step(bytes), 2),
            18 | 19 => Input::Stopped(self.slot(bytes), bytes.pick(&[19, 20, 5])),
            20..=23 => Input::Exited(self.slot(bytes), pid(bytes), exit(bytes)),
            24 => Input::Survey(self.slot(bytes), candidates(bytes)),
            25 => Input::Swept(self.slot(bytes), bytes.below(3) as u32),
            26 if bytes.below(4) == 0 => {
                let pids: Vec<i32> = (0..bytes.below(7) as i32).map(|n| 200 + n).collect();
                Input::Remains(self.slot(bytes), Remaining::of(&pids))
            }
            26 if bytes.below(8) == 0 => Input::Shutdown(bytes.pick(&[
                ShutdownKind::Shutdown,
                ShutdownKind::Logout,
                ShutdownKind::Restart,
            ])),
            26 if bytes.below(4) == 0 => Input::SweptAll(bytes.below(3) as u32),
            26 => Input::Pass(engine::signal::Signal::USR1),
            28 => Input::Kept(
                self.keep.unwrap_or_else(|| u64::from(bytes.byte())),
                bytes.pick(&[Keeping::Done, Keeping::Failed(28), Keeping::Nowhere]),
            ),
            29 if bytes.below(4) == 0 => Input::Recalled(engine::intent::read(bytes.piece()).0),
            27 => Input::Define(Arc::new(parse(job(bytes), bytes.piece()).spec)),
            _ => {
                self.now = self.now.max(engine.next_deadline().unwrap_or(self.now));
                Input::Tick
            }
        }
    }

    /// Takes in what the machine wants done, and checks that it says nothing twice.
    pub fn see(&mut self, effects: &[Effect]) {
        for effect in effects {
            match effect {
                // A process that is followed has a slot of its own.
                Effect::Spawn(slot) | Effect::Adopt(slot, _) => {
                    assert!(!self.slots.contains(slot), "{slot} is used again");
                    self.slots.push(*slot);
                }
                Effect::Reply(id, ..) => {
                    let asked = self.requests.iter_mut().find(|(asked, _)| asked == id);
                    let (_, answered) = asked.expect("only what was asked is answered");
                    assert!(!std::mem::replace(answered, true), "{id:?} is answered twice");
                }
                Effect::Signal(slot, ..)
                | Effect::Release(slot)
                | Effect::Survey(slot, _)
                | Effect::Sweep(slot, _) => {
                    let known = self.slots.contains(slot) || self.stranger == Some(*slot);
                    assert!(known, "{slot} was never asked for");
                }
                Effect::Keep(number) => self.keep = Some(*number),
                Effect::SweepAll(_) | Effect::Notice(..) | Effect::Say(..) | Effect::Quit(_) => {}
            }
        }
    }

    /// One of the latest slots most of the time, seldom one that never was.
    fn slot(&mut self, bytes: &mut Bytes<'_>) -> Slot {
        let back = bytes.below(16);
        let known = self.slots.iter().rev().nth(back).copied();
        self.stranger = known.is_none().then(|| keeper::slot(bytes));
        known.or(self.stranger).unwrap_or_else(|| keeper::slot(bytes))
    }
}

fn pid(bytes: &mut Bytes<'_>) -> i32 {
    100 + bytes.below(4) as i32
}

fn exit(bytes: &mut Bytes<'_>) -> Exit {
    let likely = [Exit::Status(0), Exit::Status(1), Exit::Signal { signal: 15, core: false }];
    match bytes.below(4) {
        3 => keeper::exit(bytes),
        at => likely[at],
    }
}

fn candidates(bytes: &mut Bytes<'_>) -> Vec<Candidate> {
    let one = |bytes: &mut Bytes<'_>| Candidate {
        pid: pid(bytes),
        session: pid(bytes),
        parent: bytes.pick(&[1, 100, 101]),
    };
    (0..bytes.below(4)).map(|_| one(bytes)).collect()
}

fn job(bytes: &mut Bytes<'_>) -> JobName {
    JobName::try_from(bytes.pick(&JOBS)).expect("a name")
}

fn event(bytes: &mut Bytes<'_>) -> EventName {
    EventName::try_from(bytes.pick(&EVENTS)).expect("a name")
}

fn rows(bytes: &mut Bytes<'_>) -> Vec<Text> {
    (0..bytes.below(3)).map(|_| Text::from(bytes.pick(&ROWS))).collect()
}

fn request(bytes: &mut Bytes<'_>) -> Request {
    let kind = bytes.below(8);
    let wait = bytes.pick(&[Wait::Settled, Wait::Accepted]);
    if kind < 2 {
        return Request::Emit(Text::from(bytes.pick(&EVENTS)), rows(bytes), wait);
    }
    let which = match bytes.below(4) {
        0 => {
            let name = bytes.pick(&["", "1", "2"]);
            Which::Named(InstanceName::try_from(name).expect("a name"))
        }
        _ => Which::Env(rows(bytes)),
    };
    let target = Target { job: Text::from(bytes.pick(&["a", "b", "c", "d", "none"])), which };
    match kind {
        2..=4 => Request::Start(target, wait),
        5 => Request::Stop(target, wait),
        6 => Request::Restart(target, wait),
        _ => match bytes.below(6) {
            0..=2 => Request::Reload(target),
            3 => Request::StartOnce(target, wait),
            4 => Request::Check(target),
            _ => {
                let intents =
                    [None, Some(Intent::Disabled), Some(Intent::Stopped), Some(Intent::Masked)];
                let lasting = bytes.pick(&[Lasting::Kept, Lasting::Runtime]);
                Request::Intend(target.job, bytes.pick(&intents), lasting)
            }
        },
    }
}

fn spec(bytes: &mut Bytes<'_>) -> JobSpec {
    let mut spec = JobSpec::new(job(bytes));
    let commands = bytes.byte();
    for (bit, role) in Role::ALL.into_iter().enumerate().take(5) {
        if commands >> bit & 1 == 1 {
            spec.commands.insert(role, Command::Exec(Text::from(role.name())));
        }
    }
    if commands & 0x20 != 0 {
        policy(bytes, &mut spec);
    }
    if commands & 0x40 != 0 {
        spec.start_on = Some(condition(bytes).into());
    }
    if commands & 0x80 != 0 {
        spec.stop_on = Some(condition(bytes).into());
    }
    let more = bytes.byte();
    if more & 0x80 != 0 {
        spec.commands.insert(Role::Check, Command::Exec(Text::from("check")));
    }
    if more & 1 != 0 {
        spec.instance = Text::from(bytes.pick(&["$N", "${N:-x}", "$JOB", "n"]));
    }
    if more & 2 != 0 {
        spec.env.push(EnvRow::Set(Text::from("V"), Text::from("x")));
        spec.env.push(EnvRow::Inherit(Text::from(bytes.pick(&["X", "NONE"]))));
        spec.export = vec![Text::from("V"), Text::from("N")].into();
    }
    if more & 4 != 0 {
        spec.attrs.apparmor_load = Some(Text::from("/etc/profile"));
        spec.attrs.apparmor_switch = Some(Text::from(bytes.pick(&["p", "$N"])));
    }
    spec
}

fn policy(bytes: &mut Bytes<'_>, spec: &mut JobSpec) {
    let policy = &mut spec.policy;
    let choice = bytes.byte();
    policy.task = choice & 1 != 0;
    policy.respawn = if choice & 2 == 0 { Respawn::Never } else { Respawn::Failed };
    policy.expect =
        [Expect::None, Expect::Stop, Expect::Fork, Expect::Daemon][usize::from(choice >> 2 & 3)];
    if choice & 0x20 != 0 {
        policy.expect = Expect::Up(bytes.pick(&[Span::ZERO, Span::secs(1), Span(u64::MAX)]));
        policy.start_retries = bytes.pick(&[None, Some(0), Some(3), Some(u32::MAX)]);
    }
    if choice & 0x40 != 0 {
        policy.respawn = Respawn::Always;
        let group = Text::from(bytes.pick(&["a", "b"]));
        policy.order = Some(Order { group_priority: 1, group, priority: 1 });
    }
    policy.kill_mode =
        bytes.pick(&[KillMode::Group, KillMode::Tree, KillMode::Process, KillMode::Mixed]);
    let ends = |count| RespawnLimit::Within { count, interval: Span::secs(5) };
    policy.respawn_limit = bytes.pick(&[ends(10), ends(1), ends(0), RespawnLimit::Unlimited]);
    let spans = [Span::ZERO, Span::millis(1), Span::secs(1), Span::secs(5), Span(u64::MAX)];
    if choice & 0x10 != 0 {
        policy.backoff = Backoff {
            delay: bytes.pick(&spans),
            factor_percent: bytes.pick(&[200, 0, 100, u32::MAX]),
            cap: bytes.pick(&spans),
            jitter_percent: bytes.pick(&[0, 20, u32::MAX]),
            reset: bytes.pick(&spans),
            pace: bytes.pick(&spans),
            step: bytes.pick(&spans),
            retry: (choice & 0x08 != 0).then_some(Span::secs(1)),
        };
    }
    if choice & 0x20 != 0 {
        policy.kill_timeout = bytes.pick(&spans);
        policy.expect_timeout = bytes.pick(&spans);
    }
    if choice & 0x40 != 0 {
        policy.normal_exit = vec![NormalExit::Status(1), NormalExit::Signal(Signal::TERM)];
    }
    if choice & 0x80 != 0 {
        for role in Role::ALL.into_iter().skip(1).take(4) {
            policy.timeouts.insert(role, bytes.pick(&spans));
        }
    }
    policy.reload_signal = bytes.pick(&[Some(Signal::HUP), None]);
}

fn condition(bytes: &mut Bytes<'_>) -> Condition {
    let mut nodes = vec![operand(bytes)];
    for _ in 0..bytes.below(3) {
        nodes.push(operand(bytes));
        nodes.push(bytes.pick(&[Node::And, Node::Or]));
    }
    Condition { nodes }
}

fn operand(bytes: &mut Bytes<'_>) -> Node {
    let event = event(bytes);
    let arg = |bytes: &mut Bytes<'_>| match bytes.below(3) {
        0 => Arg::Positional(Text::from(bytes.pick(&["a", "b", "c", "*", "1"]))),
        1 => Arg::Equal(Text::from("JOB"), Text::from(bytes.pick(&["a", "b", "c", "[ab]"]))),
        _ => Arg::NotEqual(Text::from("N"), Text::from(bytes.pick(&["1", "2", "$N", "*"]))),
    };
    let args = (0..bytes.below(3)).map(|_| arg(bytes)).collect();
    Node::Event(Operand { event, args })
}

/// Looks at everything that can be looked at; none of it may break.
pub fn look(engine: &Engine) {
    let views = engine.list(None, 100);
    for view in &views {
        assert!(engine.why(&view.job, &view.instance).is_some(), "what is listed has reasons");
        engine.job_view(&view.job);
    }
    let slots: Vec<Slot> = engine.processes().map(|(slot, _)| slot).collect();
    for slot in slots {
        engine.order(slot);
    }
    engine.next_deadline();
    let levels = Level::TABLE.map(|row| row.0);
    assert!(levels.contains(&engine.level()));
}
