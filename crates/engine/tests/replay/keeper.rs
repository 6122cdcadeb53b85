//! Any bytes as messages between keeper, daemon and logger.

use crate::bytes::Bytes;
use engine::keeper::{End, FromKeeper, Lengths, LogWire, Replaced, Scope, ToKeeper, Wants, HEAD};
use engine::logroute::{self, FromLogger, LogRoute, ToLogger};
use engine::process::{Exit, InstanceId, Role, Slot, Step, Stream};
use engine::signal::Signal;
use serde::de::DeserializeOwned;
use serde::Serialize;
use std::fmt::Debug;

/// Reads the bytes as a message of each kind, then as choices that make one of each kind.
pub fn run(data: &[u8]) {
    if let Some(message) = ToKeeper::decode(data) {
        asked(&message, Some(data));
    }
    let mut rest = data;
    while !rest.is_empty() {
        let (first, others) = ToKeeper::split(rest);
        assert_eq!([first, others].concat(), rest);
        assert!(!first.is_empty(), "it would go on for ever");
        rest = others;
    }
    if let Some(message) = FromKeeper::decode(data) {
        told(message, Some(data));
    }
    if let Some(message) = LogWire::decode(data) {
        logged(&message, Some(data));
    }
    routed::<LogRoute>(data);
    routed::<ToLogger>(data);
    routed::<FromLogger>(data);
    let mut bytes = Bytes::new(data);
    let from = from_keeper(&mut bytes);
    told(from, None);
    let slot = slot(&mut bytes);
    let log = match bytes.below(9) {
        0 => LogWire::Daemon,
        1 => LogWire::Finish,
        2 => LogWire::Eof { slot, stream: bytes.pick(&Stream::ALL) },
        3 => LogWire::Ready,
        4 => LogWire::Held { key: bytes.number() as u32 },
        5 => LogWire::Drop { key: bytes.number() as u32 },
        6 => LogWire::End { slot, end: bytes.pick(&End::ALL) },
        7 => LogWire::Again { slot, stream: bytes.pick(&Stream::ALL) },
        _ => LogWire::Pipe { slot, stream: bytes.pick(&Stream::ALL), route: bytes.piece() },
    };
    logged(&log, None);
    asked(&to_keeper(&mut bytes), None);
}

/// Returns a slot of few instances and generations, sometimes of any.
pub fn slot(bytes: &mut Bytes<'_>) -> Slot {
    let instance = InstanceId(bytes.number() as u32);
    Slot { instance, role: bytes.pick(&Role::ALL), generation: bytes.number() }
}

/// Returns a way to end.
pub fn exit(bytes: &mut Bytes<'_>) -> Exit {
    match bytes.below(4) {
        0 => Exit::Status(bytes.byte()),
        1 => Exit::Signal { signal: bytes.byte(), core: false },
        2 => Exit::Signal { signal: bytes.byte(), core: true },
        _ => Exit::Unknown,
    }
}

/// Returns a step that can fail.
pub fn step(bytes: &mut Bytes<'_>) -> Step {
    bytes.pick(&Step::TABLE).0
}

/// Returns a message of the keeper.
pub fn from_keeper(bytes: &mut Bytes<'_>) -> FromKeeper {
    let (slot, pid, word) = (slot(bytes), bytes.number() as i32, bytes.number());
    match bytes.below(10) {
        0 => FromKeeper::Welcome {
            attempt: word as u32,
            keeper: pid,
            upgrades: word as u32 >> 1,
            replaced: if word & 1 == 0 { Replaced::No } else { Replaced::Yes },
        },
        1 => FromKeeper::Held { key: word as u32 },
        2 => FromKeeper::Logger,
        3 => FromKeeper::Told,
        4 => FromKeeper::Spawned { slot, pid, warnings: word as u32 },
        5 => FromKeeper::SpawnFailed { slot, step: step(bytes), errno: pid },
        6 => FromKeeper::Stopped { slot, signal: word as u8 },
        7 => FromKeeper::Exited { slot, pid, exit: exit(bytes) },
        8 => FromKeeper::OrphanExited { sequence: word, pid, exit: exit(bytes) },
        _ => FromKeeper::Signalled { signal: word as u8 },
    }
}

fn to_keeper<'a>(bytes: &mut Bytes<'a>) -> ToKeeper<'a> {
    let (slot, word) = (slot(bytes), bytes.number());
    let signal = Signal::new(bytes.byte()).unwrap_or(Signal::TERM);
    match bytes.below(11) {
        0 => ToKeeper::Signal { slot, signal, scope: bytes.pick(&[Scope::Process, Scope::Group]) },
        1 => ToKeeper::Release { slot },
        2 => ToKeeper::Adopt { slot, pid: word as i32 },
        3 => ToKeeper::Hold { key: word as u32 },
        4 => ToKeeper::Drop { key: word as u32 },
        5 => ToKeeper::Ready,
        6 => ToKeeper::OrphansSeen { sequence: word },
        7 => ToKeeper::Quit { code: word as i32 },
        8 => ToKeeper::SignalSeen { signal },
        9 => ToKeeper::Lend { slot, end: bytes.pick(&End::ALL) },
        _ => {
            let wants = Wants {
                log: bytes.flag(),
                pty: bytes.flag(),
                plan_in_fd: bytes.flag(),
                script_fd: bytes.flag(),
                input: bytes.flag(),
                errors: bytes.flag(),
                tap: bytes.flag(),
                group_fd: bytes.flag(),
            };
            let pipe_owner = (word as u32, bytes.number() as u32);
            let (plan, route) = (bytes.piece(), bytes.piece());
            ToKeeper::Spawn { slot, wants, pipe_owner, plan, route, errors: bytes.rest() }
        }
    }
}

/// Checks that a message is read as what was written; `came` are the bytes it came as, of which
/// everything that means something is written again.
fn asked(message: &ToKeeper<'_>, came: Option<&[u8]>) {
    let written = |message: &ToKeeper<'_>| {
        let (mut head, mut lengths) = ([0; HEAD], Lengths::default());
        let parts = message.encode(&mut head, &mut lengths).concat();
        [&head[..], &parts].concat()
    };
    let wire = written(message);
    assert_eq!(ToKeeper::decode(&wire).as_ref(), Some(message));
    if let (ToKeeper::Spawn { .. }, Some(came)) = (message, came) {
        let meant = |wire: &[u8]| (wire[..16].to_vec(), wire[24..].to_vec());
        assert_eq!(meant(&wire), meant(came), "a spawn is nothing but what it says");
    }
}

fn told(message: FromKeeper, came: Option<&[u8]>) {
    let wire = message.encode();
    assert_eq!(FromKeeper::decode(&wire), Some(message));
    assert!(came.is_none_or(|came| came.len() == wire.len()), "no message has a payload");
}

fn logged(message: &LogWire<'_>, came: Option<&[u8]>) {
    let mut head = [0; HEAD];
    let payload = message.encode(&mut head);
    let wire = [&head[..], payload].concat();
    assert_eq!(LogWire::decode(&wire).as_ref(), Some(message));
    if let (LogWire::Pipe { .. }, Some(came)) = (message, came) {
        assert_eq!(&wire[HEAD..], &came[HEAD..], "the route is passed on as it is");
    }
}

fn routed<T: Serialize + DeserializeOwned + PartialEq + Debug>(data: &[u8]) {
    let Some(message) = logroute::decode::<T>(data) else { return };
    let wire = logroute::encode(&message);
    assert_eq!(logroute::decode::<T>(&wire), Some(message));
}
