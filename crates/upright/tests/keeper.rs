//! The real keeper in a process of its own, with a daemon and a logger that this test plays.
//!
//! The keeper starts its peers from its own binary, which here is this test: a peer so started passes
//! its channel on to the test and then only waits to be ended. Each case has a keeper of its own.

use engine::keeper::{
    held, End, FromKeeper, Lengths, LogWire, Replaced, Scope, ToKeeper, Wants, HEAD, TOGETHER,
};
use engine::process::{Exit, InstanceId, Pid, Role, Slot, Step, Stream};
use engine::signal::Signal;
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::ffi::{CString, OsString};
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use sys::epoll::{Epoll, Interest};
use sys::plan::{Console, Debug, Plan};
use sys::{memfd, own, peer, seqpacket, Errno};

/// As the real one has it: what is given back is to be seen.
#[global_allocator]
static HEAP: sys::heap::Heap = sys::heap::Heap;

/// One case: a sentence and what checks it.
type Case = (&'static str, fn(&mut Stage));

/// Every case.
const CASES: &[Case] = &[
    ("a new daemon is welcomed and told an empty table", welcome),
    ("an exit is told again until it is released", kept_until_released),
    ("a repeated spawn does not start a second process", repeated_spawn),
    ("spawned comes before exited, a thousand times", order),
    ("a program that cannot be executed is a failed spawn every time", failed_exec),
    ("an exit that no daemon was there for is told to the next", exit_without_daemon),
    ("what a dead daemon asked for last is done", last_words),
    ("the end of an orphan is told until it is seen", orphans),
    ("an orphan that is adopted is a slot's process", adopted),
    ("an orphan that has ended is adopted with its exit", adopted_too_late),
    ("a stop is told, again to a new daemon, and no more once it goes on", stopped),
    ("a process that is debugged is told as spawned, then as stopped", debugged),
    ("a held descriptor outlives the daemon until it is dropped", held_descriptors),
    ("a new logger gets every pipe again that is not at its end", pipes_again),
    ("the logger has an output before there is a process that writes to it", output_first),
    (
        "standard error of its own comes with its own route, until it is read out",
        errors_of_their_own,
    ),
    ("ends of pipes are lent, outlive the daemon and are closed with the process", lent),
    ("daemon and logger get a new channel when one of them is new", link),
    ("two thousand children at once lose nothing while the daemon does not read", flood),
    ("what a burst has taken is given back once it is quiet", given_back),
    ("a signal is told to new daemons until it is seen", signals),
    ("what is asked for together is all done", together),
    ("a plan and a script in files reach the child", plan_in_file),
    ("a service has no descriptor of the keeper's and the keeper keeps none of its", descriptors),
    ("quitting lets the logger finish and exits with the code", quit),
    ("a daemon that did not become ready counts as an attempt", attempts),
    ("a message that is not understood is passed over", strange),
    ("a child that hangs in its set-up hinders nobody", hanging),
    ("without memory spawns are refused until there is some again", without_memory),
    ("without descriptors spawns are refused until there are some again", without_descriptors),
    ("a group is signalled, but never the keeper's own", groups),
];

fn main() {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    match arguments.get(1).and_then(|argument| argument.to_str()) {
        Some("--role=daemon") => stand_in(b"d"),
        Some("--role=logger") => stand_in(b"l"),
        Some("--keeper") => {
            let arguments = arguments.into_iter().map(|a| CString::new(a.into_vec()).unwrap());
            std::process::exit(upright::keeper::run(arguments.collect()));
        }
        wanted => {
            let wanted = wanted.filter(|wanted| !wanted.starts_with('-')).unwrap_or("");
            let mut passed = 0;
            for (name, case) in CASES.iter().filter(|(name, _)| name.contains(wanted)) {
                println!("test {name} ...");
                case(&mut Stage::new());
                passed += 1;
            }
            // The words of the usual harness, for who sums up. A case that fails ends the process.
            println!("test result: ok. {passed} passed; 0 failed; 0 ignored;");
        }
    }
}

/// A peer that the keeper has started: passes its channel to the test and waits for its end.
fn stand_in(kind: &[u8]) -> ! {
    let channel = own::channel().expect("the keeper gives a channel");
    let path = std::env::var_os("UPRIGHT_TEST_SOCKET").expect("the test names its socket");
    let mut test = UnixStream::connect(path).expect("the test listens");
    seqpacket::send(&test, &[kind], &[channel.as_fd()]).expect("one descriptor is passed");
    drop(channel);
    let _ = test.read(&mut [0]);
    std::process::exit(0)
}

/// A keeper and the peers that it has started and no case has asked for yet.
struct Stage {
    keeper: Child,
    directory: PathBuf,
    listener: UnixListener,
    loggers: VecDeque<Peer>,
    daemons: VecDeque<Peer>,
    generation: u64,
}

/// One started peer: its channel to the keeper, which this test speaks on.
struct Peer {
    channel: OwnedFd,
    /// What came together with what was taken last.
    heard: RefCell<VecDeque<FromKeeper>>,
    process: Pid,
    _alive: UnixStream,
}

/// Waits for a descriptor. The limit ends a test that would hang; nothing depends on its length.
fn wait(fd: impl AsFd, interest: Interest) {
    let mut epoll = Epoll::new(1).unwrap();
    epoll.add(fd, 0, interest).unwrap();
    let ready = epoll.wait(Some(60_000_000_000)).unwrap().count();
    assert_eq!(ready, 1, "waited 60 s for {interest:?}");
}

/// Waits for a fact that no descriptor tells; the limit is as in [`wait`].
fn until(what: &str, fact: impl Fn() -> bool) {
    let begin = sys::clock::monotonic();
    while !fact() {
        assert!(sys::clock::monotonic().since(begin).as_secs() < 60, "waited 60 s: {what}");
        std::thread::yield_now();
    }
}

impl Stage {
    fn new() -> Stage {
        let directory = std::env::temp_dir().join(format!("upright-keeper-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let socket = directory.join("socket");
        let _ = std::fs::remove_file(&socket);
        let listener = UnixListener::bind(&socket).unwrap();
        let keeper = Command::new(std::env::current_exe().unwrap())
            .args(["--keeper", "one", "two words"])
            .env("UPRIGHT_TEST_SOCKET", &socket)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let (loggers, daemons) = Default::default();
        Stage { keeper, directory, listener, loggers, daemons, generation: 0 }
    }

    fn keeper(&self) -> Pid {
        Pid::try_from(self.keeper.id()).unwrap()
    }

    fn accept(&mut self) {
        wait(&self.listener, Interest::Read);
        let (stream, _) = self.listener.accept().unwrap();
        wait(&stream, Interest::Read);
        let mut kind = [0];
        let mut received = seqpacket::receive(&stream, &mut kind).unwrap();
        let channel = received.fds[0].take().unwrap();
        let process = peer::of(&stream).unwrap().pid;
        let peer = Peer { channel, heard: RefCell::default(), process, _alive: stream };
        match &kind {
            b"d" => self.daemons.push_back(peer),
            _ => self.loggers.push_back(peer),
        }
    }

    /// Returns the next daemon that is started.
    fn daemon(&mut self) -> Peer {
        while self.daemons.is_empty() {
            self.accept();
        }
        self.daemons.pop_front().unwrap()
    }

    /// Returns the next logger that is started.
    fn logger(&mut self) -> Peer {
        while self.loggers.is_empty() {
            self.accept();
        }
        self.loggers.pop_front().unwrap()
    }

    /// Returns the next daemon and what it is told of the table.
    fn told(&mut self) -> (Peer, Vec<FromKeeper>) {
        let daemon = self.daemon();
        assert!(matches!(daemon.next(), FromKeeper::Welcome { .. }));
        let mut all = Vec::new();
        loop {
            match daemon.next() {
                FromKeeper::Told => break,
                message => all.push(message),
            }
        }
        // The next one then is not waited for long.
        daemon.ask(&ToKeeper::Ready);
        (daemon, all)
    }

    /// Sets a limit of the keeper's, soft one only.
    fn limit(&self, limit: &str) {
        let (pid, limit) = (self.keeper().to_string(), format!("--{limit}:"));
        let done = Command::new("prlimit").args(["--pid", &pid, &limit]).status().unwrap();
        assert!(done.success());
    }

    fn slot(&mut self) -> Slot {
        self.generation += 1;
        Slot { instance: InstanceId(7), role: Role::Main, generation: self.generation }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the keeper, if it has ended: {:?}", self.keeper.try_wait());
        }
        // Stopped, so that it starts no other peer for those that are ended here, which would then find
        // the next case's socket.
        let keeper = self.keeper();
        let _ = sys::signals::send(keeper, Signal::new(19).unwrap());
        let stopped = || sys::procfs::stat(keeper).is_none_or(|stat| b"TZ".contains(&stat.state));
        let begin = sys::clock::monotonic();
        while !stopped() && sys::clock::monotonic().since(begin).as_secs() < 60 {
            std::thread::yield_now();
        }
        // All that is left of the case: they are this keeper's children and nobody else's.
        for child in sys::procfs::children_of(self.keeper()) {
            let _ = sys::signals::send(child, Signal::KILL);
        }
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

impl Peer {
    fn send(&self, message: &ToKeeper<'_>, fds: &[BorrowedFd<'_>]) {
        let (mut head, mut lengths) = ([0; HEAD], Lengths::default());
        let [a, b, c, d, e, f] = message.encode(&mut head, &mut lengths);
        let parts = [&head[..], a, b, c, d, e, f];
        loop {
            match seqpacket::send(&self.channel, &parts, fds) {
                Ok(()) => return,
                Err(Errno::AGAIN) => wait(&self.channel, Interest::Write),
                Err(errno) => panic!("{message:?}: {errno}"),
            }
        }
    }

    fn ask(&self, message: &ToKeeper<'_>) {
        self.send(message, &[]);
    }

    fn spawn_with(&self, slot: Slot, plan: &Plan, wants: Wants) {
        let plan = plan.encode();
        let pipe_owner = (0, 0);
        self.ask(&ToKeeper::Spawn {
            slot,
            wants,
            pipe_owner,
            plan: &plan,
            route: b"a route",
            errors: b"errors' route",
        });
    }

    fn spawn(&self, slot: Slot, line: &str) {
        self.spawn_with(slot, &shell(line), Wants::default());
    }

    fn kill(&self, slot: Slot, scope: Scope) {
        self.ask(&ToKeeper::Signal { slot, signal: Signal::KILL, scope });
    }

    fn receive(&self, buffer: &mut [u8]) -> seqpacket::Received {
        loop {
            match seqpacket::receive(&self.channel, buffer) {
                Ok(received) => return received,
                Err(Errno::AGAIN) => wait(&self.channel, Interest::Read),
                Err(errno) => panic!("{errno}"),
            }
        }
    }

    fn next_with(&self) -> (FromKeeper, Option<OwnedFd>) {
        if let Some(message) = self.heard.borrow_mut().pop_front() {
            return (message, None);
        }
        let mut buffer = [0; HEAD * TOGETHER];
        let mut received = self.receive(&mut buffer);
        let mut rest = &buffer[..received.length];
        while !rest.is_empty() {
            let (message, others) = FromKeeper::split(rest);
            let message = FromKeeper::decode(message).expect("the keeper speaks its protocol");
            self.heard.borrow_mut().push_back(message);
            rest = others;
        }
        let message = self.heard.borrow_mut().pop_front();
        match message.expect("no message is empty") {
            FromKeeper::Held { key: held::FACTS | held::ORIGIN } => self.next_with(),
            message => (message, received.fds[0].take()),
        }
    }

    /// Returns the next message, passing over links to the logger.
    fn next(&self) -> FromKeeper {
        loop {
            match self.next_with().0 {
                FromKeeper::Logger => {}
                message => return message,
            }
        }
    }

    fn spawned(&self, slot: Slot) -> Pid {
        match self.next() {
            FromKeeper::Spawned { slot: other, pid, warnings: 0 } if other == slot => pid,
            other => panic!("{slot} should be spawned: {other:?}"),
        }
    }

    fn exited(&self, slot: Slot) -> Exit {
        match self.next() {
            FromKeeper::Exited { slot: other, exit, .. } if other == slot => exit,
            other => panic!("{slot} should have ended: {other:?}"),
        }
    }

    /// Asks for what changes nothing and waits for the answer: all that was sent before is done then.
    fn settle(&self, stage: &mut Stage) {
        let slot = stage.slot();
        self.ask(&ToKeeper::Adopt { slot, pid: 1 });
        assert_eq!(self.exited(slot), Exit::Unknown);
        self.ask(&ToKeeper::Release { slot });
    }

    /// Ends the peer as a crash would.
    fn die(self) {
        sys::signals::send(self.process, Signal::KILL).unwrap();
    }

    /// As a logger: returns the next pipe with its slot and route, or none for a link.
    fn passed(&self) -> (Option<(Slot, Vec<u8>)>, Option<OwnedFd>) {
        let mut buffer = [0; 256];
        let mut received = self.receive(&mut buffer);
        let what = match LogWire::decode(&buffer[..received.length]).unwrap() {
            LogWire::Pipe { slot, stream: _, route } => Some((slot, route.to_vec())),
            LogWire::Daemon => None,
            // What heirs of the keeper need.
            LogWire::Held { .. } | LogWire::Drop { .. } | LogWire::End { .. } => {
                return self.passed();
            }
            other => panic!("{other:?}"),
        };
        (what, received.fds[0].take())
    }

    /// As a logger: returns the next pipe with all that is said of it.
    fn both(&self) -> Option<(Slot, Stream, Vec<u8>, OwnedFd)> {
        let mut buffer = [0; 256];
        loop {
            let mut received = self.receive(&mut buffer);
            let message = LogWire::decode(&buffer[..received.length])?;
            if let LogWire::Pipe { slot, stream, route } = message {
                return Some((slot, stream, route.to_vec(), received.fds[0].take()?));
            }
        }
    }

    /// As a logger: returns the next pipe, passing over links.
    fn pipe(&self) -> (Slot, OwnedFd) {
        loop {
            if let (Some((slot, route)), Some(fd)) = self.passed() {
                assert_eq!(route, b"a route");
                return (slot, fd);
            }
        }
    }

    /// As a logger that keeps no copies: hears that an end is not kept any more.
    fn hear_of_no_more(&self, slot: Slot, end: End) {
        let mut buffer = [0; 256];
        loop {
            let received = self.receive(&mut buffer);
            let message = LogWire::decode(&buffer[..received.length]).unwrap();
            if message == (LogWire::End { slot, end }) && received.fds[0].is_none() {
                return;
            }
        }
    }

    /// As a logger: says that a pipe is at its end.
    fn eof(&self, slot: Slot) {
        self.say(LogWire::Eof { slot, stream: Stream::Stdout });
    }

    /// As a logger: asks for a pipe once more.
    fn again(&self, slot: Slot) {
        self.say(LogWire::Again { slot, stream: Stream::Stdout });
    }

    fn say(&self, message: LogWire<'_>) {
        let mut head = [0; HEAD];
        message.encode(&mut head);
        seqpacket::send(&self.channel, &[&head], &[]).unwrap();
    }
}

fn shell(line: &str) -> Plan {
    let argv = ["sh", "-c", line].map(|text| CString::new(text).unwrap()).to_vec();
    let env = vec![c"PATH=/usr/bin:/bin".to_owned()];
    Plan { env, ..Plan::new(c"/bin/sh".to_owned(), argv) }
}

/// Does nothing, quickly.
fn nothing() -> Plan {
    Plan::new(c"/bin/true".to_owned(), vec![c"true".to_owned()])
}

/// Reads a pipe of the keeper's, which does not block, to its end.
fn read_all(fd: OwnedFd) -> Vec<u8> {
    let mut file = std::fs::File::from(fd);
    let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        wait(&file, Interest::Read);
        match file.read(&mut buffer) {
            Ok(0) => return all,
            Ok(length) => all.extend_from_slice(&buffer[..length]),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock),
        }
    }
}

const LOG: Wants = Wants {
    log: true,
    pty: false,
    plan_in_fd: false,
    script_fd: false,
    input: false,
    errors: false,
    tap: false,
    group_fd: false,
};

const KILLED: Exit = Exit::Signal { signal: 9, core: false };

fn welcome(stage: &mut Stage) {
    let daemon = stage.daemon();
    let keeper = stage.keeper();
    assert_eq!(
        daemon.next(),
        FromKeeper::Welcome { attempt: 0, keeper, upgrades: 0, replaced: Replaced::No }
    );
    assert_eq!(daemon.next(), FromKeeper::Told);
    let arguments = sys::procfs::arguments(daemon.process).unwrap();
    let test = std::env::current_exe().unwrap().into_os_string().into_vec();
    let expected: [&[u8]; 6] =
        [b"upright-daemon", b"--role=daemon", &test, b"--keeper", b"one", b"two words"];
    assert_eq!(arguments, expected);
    assert_eq!(sys::procfs::stat(keeper).unwrap().comm, b"upright-keeper");
    let stat = sys::procfs::stat(daemon.process).unwrap();
    assert_eq!((stat.session, stat.pgrp, stat.ppid), (daemon.process, daemon.process, keeper));
}

fn kept_until_released(stage: &mut Stage) {
    let (daemon, _) = stage.told();
    let slot = stage.slot();
    daemon.spawn(slot, "exit 3");
    let pid = daemon.spawned(slot);
    assert_eq!(daemon.exited(slot), Exit::Status(3));
    let spawned = FromKeeper::Spawned { slot, pid, warnings: 0 };
    let exited = FromKeeper::Exited { slot, pid, exit: Exit::Status(3) };
    daemon.spawn(slot, "exit 4");
    assert_eq!(daemon.next(), spawned, "told again when asked again");
    assert_eq!(daemon.next(), exited);
    daemon.die();
    let (daemon, told) = stage.told();
    assert_eq!(told, [spawned, exited]);
    daemon.ask(&ToKeeper::Release { slot });
    daemon.ask(&ToKeeper::Release { slot });
    daemon.die();
    assert_eq!(stage.told().1, [], "released");
}

fn repeated_spawn(stage: &mut Stage) {
    let (daemon, _) = stage.told();
    let slot = stage.slot();
    daemon.spawn(slot, "exec sleep 60");
    daemon.spawn(slot, "exec sleep 60");
    let pid = daemon.spawned(slot);
    daemon.spawn(slot, "exec sleep 60");
    assert_eq!(daemon.spawned(slot), pid);
    let children = sys::procfs::children_of(stage.keeper());
    assert_eq!(children.len(), 3, "daemon, logger and one service: {children:?}");
    daemon.kill(slot, Scope::Process);
    // Told once more for the second request, where that came after the first answer.
    loop {
        match daemon.next() {
            FromKeeper::Spawned { pid: again, .. } => assert_eq!(again, pid),
            FromKeeper::Exited { exit, .. } => break assert_eq!(exit, KILLED),
            other => panic!("{other:?}"),
        }
    }
}

fn order(stage: &mut Stage) {
    let (daemon, _) = stage.told();
    for _ in 0..1000 {
        let slot = stage.slot();
        daemon.spawn_with(slot, &nothing(), Wants::default());
        daemon.spawned(slot);
        assert_eq!(daemon.exited(slot), Exit::Status(0));
        daemon.ask(&ToKeeper::Release { slot });
    }
}

fn together(stage: &mut Stage) {
    let (daemon, _) = stage.told();
    let slots: Vec<Slot> = (0..TOGETHER).map(|_| stage.slot()).collect();
    for slot in &slots {
        daemon.spawn(*slot, "exec sleep 60");
        daemon.spawned(*slot);
    }
    let all = |message: fn(Slot) -> ToKeeper<'static>| {
        let mut datagram = Vec::new();
        for slot in &slots {
            let mut head = [0; HEAD];
            message(*slot).encode(&mut head, &mut Lengths::default());
            datagram.extend_from_slice(&head);
        }
        seqpacket::send(&daemon.channel, &[&datagram], &[]).unwrap();
    };
    all(|slot| ToKeeper::Signal { slot, signal: Signal::KILL, scope: Scope::Group });
    let mut left: Vec<Slot> = slots.clone();
    while !left.is_empty() {
        match daemon.next() {
            FromKeeper::Exited { slot, exit: KILLED, .. } => left.retain(|other| *other != slot),
            other => panic!("{other:?}"),
        }
    }
    all(|slot| ToKeeper::Release { slot });
    daemon.settle(stage);
    daemon.die();
    let (_, told) = stage.told();
    assert_eq!(told, [], "every row is released");
}

fn failed_exec(stage: &mut Stage) {
    let (daemon, _) = stage.told();
    let plan = Plan::new(c"/nonexistent".to_owned(), vec![c"x".to_owned()]);
    let errno = Errno::NOENT.raw_os_error();
    for _ in 0..200 {
        let slot = stage.slot();
        daemon.spawn_with(slot, &plan, Wants::default());
        assert_eq!(daemon.next(), FromKeeper::SpawnFailed { slot, step: Step::Exec, errno });
        daemon.ask(&ToKeeper::Release { slot });
    }
    daemon.settle(stage);
    assert_eq!(sys::procfs::children_of(stage.keeper()).len(), 2, "all are reaped");
}

fn exit_without_daemon(stage: &mut Stage) {
    let (daemon, _) = stage.told();
    let slot = stage.slot();
    daemon.spawn(slot, "exec sleep 60");
    let pid = daemon.spawned(slot);
    // Stopped, the daemon reads nothing and is no longer asked; the exit is there before the next.
    sys::signals::send(daemon.process, Signal::new(19).unwrap()).unwrap();
    let service = sys::pidfd::open(pid).unwrap();
    sys::pidfd::send(&service, Signal::KILL).unwrap();
    wait(&service, Interest::Read);
    daemon.die();
    let exited = FromKeeper::Exited { slot, pid, exit: KILLED };
    let (_, told) = stage.told();
    assert_eq!(told, [FromKeeper::Spawned { slot, pid, warnings: 0 }, exited]);
}

fn last_words(stage: &mut Stage) {
    let (daemon, _) = stage.told();
    let slots: Vec<Slot> = (0..20).map(|_| stage.slot()).collect();
    slots.iter().for_each(|slot| daemon.spawn(*slot, "exit 5"));
    daemon.die();
    let (daemon, told) = stage.told();
    let mut messages: VecDeque<FromKeeper> = told.into();
    let mut exits: Vec<Slot> = Vec::new();
    while exits.len() < slots.len() {
        if let FromKeeper::Exited { slot, exit, .. } =
            messages.pop_front().unwrap_or_else(|| daemon.next())
        {
            assert_eq!(exit, Exit::Status(5));
            exits.push(slot);
        }
    }
    exits.sort();
    assert_eq!(exits, slots);
}

/// Makes an orphan that runs a line of shell; returns once its parent has ended.
fn orphan(stage: &mut Stage, daemon: &Peer, line: &str) {
    let slot = stage.slot();
    daemon.spawn(slot, &format!("({line}) & exit 0"));
    daemon.spawned(slot);
    assert_eq!(daemon.exited(slot), Exit::Status(0));
    daemon.ask(&ToKeeper::Release { slot });
}

/// A line that ends only after its parent, `$$` of a subshell, is gone and reaped.
const OUTLIVES: &str = "while kill -0 $$ 2>/dev/null; do :; done; exit 7";

fn orphans(stage: &mut Stage) {
    let (daemon, _) = stage.told();
    orphan(stage, &daemon, OUTLIVES);
    let first = daemon.next();
    let FromKeeper::OrphanExited { sequence, exit: Exit::Status(7), .. } = first else {
        panic!("{first:?}");
    };
    daemon.die();
    let (daemon, told) = stage.told();
    assert_eq!(told, [first], "told again until seen");
    daemon.ask(&ToKeeper::OrphansSeen { sequence });
    orphan(stage, &daemon, OUTLIVES);
    let second = daemon.next();
    let FromKeeper::OrphanExited { sequence: next, .. } = second else { panic!("{second:?}") };
    assert_eq!(next, sequence + 1);
    daemon.die();
    assert_eq!(stage.told().1, [second]);
}

fn adopted(stage: &mut Stage) {
    let (daemon, _) = stage.told();
    let logger = stage.logger();
    orphan(stage, &daemon, "exec sleep 60");
    let mut left = sys::procfs::children_of(stage.keeper());
    left.retain(|child| ![daemon.process, logger.process].contains(child));
    let [pid] = left[..] else { panic!("one orphan: {left:?}") };
    let slot = stage.slot();
    daemon.ask(&ToKeeper::Adopt { slot, pid });
    assert_eq!(daemon.spawned(slot), pid);
    for other in [pid, logger.process, daemon.process, 0, -1] {
        let slot = stage.slot();
        daemon.ask(&ToKeeper::Adopt { slot, pid: other });
        assert_eq!(daemon.exited(slot), Exit::Unknown, "{other} is not to be had");
    }
    daemon.kill(slot, Scope::Process);
    assert_eq!(daemon.exited(slot), KILLED);
}

fn adopted_too_late(stage: &mut Stage) {
    let (daemon, _) = stage.told();
    orphan(stage, &daemon, OUTLIVES);
    let message = daemon.next();
    let FromKeeper::OrphanExited { pid, .. } = message else { panic!("{message:?}") };
    let slot = stage.slot();
    for _ in 0..2 {
        daemon.ask(&ToKeeper::Adopt { slot, pid });
        assert_eq!(daemon.next(), FromKeeper::Exited { slot, pid, exit: Exit::Status(7) });
    }
    daemon.ask(&ToKeeper::Release { slot });
    daemon.die();
    assert_eq!(stage.told().1, [], "the orphan's end went with the slot");
}

fn stopped(stage: &mut Stage) {
    let (daemon, _) = stage.told();
    let slot = stage.slot();
    daemon.spawn(slot, "kill -STOP $$; exit 3");
    let pid = daemon.spawned(slot);
    let stop = FromKeeper::Stopped { slot, signal: 19 };
    assert_eq!(daemon.next(), stop);
    daemon.die();
    let (daemon, told) = stage.told();
    assert_eq!(told, [FromKeeper::Spawned { slot, pid, warnings: 0 }, stop]);
    daemon.ask(&ToKeeper::Signal { slot, signal: Signal::CONT, scope: Scope::Process });
    assert_eq!(daemon.exited(slot), Exit::Status(3));
    daemon.die();
    let (_, told) = stage.told();
    assert_eq!(told.len(), 2, "begun and over, no stop: {told:?}");
}

fn debugged(stage: &mut Stage) {
    let (daemon, _) = stage.told();
    let slot = stage.slot();
    let plan = Plan { debug: Debug::Stop, ..shell("exit 3") };
    daemon.spawn_with(slot, &plan, Wants::default());
    daemon.spawned(slot);
    assert_eq!(daemon.next(), FromKeeper::Stopped { slot, signal: 19 });
    daemon.ask(&ToKeeper::Signal { slot, signal: Signal::CONT, scope: Scope::Group });
    assert_eq!(daemon.exited(slot), Exit::Status(3));
}

fn held_descriptors(stage: &mut Stage) {
    let (daemon, _) = stage.told();
    let old = memfd::sealed(c"old", b"old").unwrap();
    let journal = memfd::sealed(c"journal", b"journal").unwrap();
    daemon.send(&ToKeeper::Hold { key: held::JOURNAL }, &[old.as_fd()]);
    daemon.send(&ToKeeper::Hold { key: held::JOURNAL }, &[journal.as_fd()]);
    daemon.send(&ToKeeper::Hold { key: 9 }, &[old.as_fd()]);
    daemon.ask(&ToKeeper::Drop { key: 9 });
    daemon.die();
    let daemon = stage.daemon();
    assert!(matches!(daemon.next(), FromKeeper::Welcome { .. }));
    let (message, fd) = daemon.next_with();
    assert_eq!(message, FromKeeper::Held { key: held::JOURNAL });
    assert_eq!(memfd::read_all(fd.unwrap()).unwrap(), b"journal");
    assert_eq!(daemon.next(), FromKeeper::Told, "the other was dropped");
    daemon.ask(&ToKeeper::Drop { key: held::JOURNAL });
    daemon.die();
    assert_eq!(stage.told().1, []);
}

fn pipes_again(stage: &mut Stage) {
    let (daemon, _) = stage.told();
    let plan = |line: &str| Plan { console: Console::Log, ..shell(line) };
    let (ends, stays) = (stage.slot(), stage.slot());
    daemon.spawn_with(ends, &plan("echo said; exit 0"), LOG);
    daemon.spawned(ends);
    assert_eq!(daemon.exited(ends), Exit::Status(0));
    daemon.ask(&ToKeeper::Release { slot: ends });
    daemon.spawn_with(stays, &plan("echo stays; exec sleep 60"), LOG);
    daemon.spawned(stays);
    let logger = stage.logger();
    assert_eq!((logger.pipe().0, logger.pipe().0), (ends, stays));
    logger.die();
    let logger = stage.logger();
    let (slot, fd) = logger.pipe();
    assert_eq!(slot, ends, "its output was not read, though nobody needs the row any more");
    assert_eq!(read_all(fd), b"said\n");
    logger.eof(ends);
    assert_eq!(logger.pipe().0, stays);
    logger.die();
    let logger = stage.logger();
    let (slot, fd) = logger.pipe();
    assert_eq!(slot, stays, "the other is at its end");
    drop(fd);
    logger.again(stays);
    let (slot, fd) = logger.pipe();
    assert_eq!(slot, stays, "it is passed once more where it could not be taken");
    daemon.kill(stays, Scope::Process);
    assert_eq!(daemon.exited(stays), KILLED);
    assert_eq!(read_all(fd), b"stays\n");
}

fn lent(stage: &mut Stage) {
    let (daemon, _) = stage.told();
    let slot = stage.slot();
    let line = "read a; echo got $a; echo wrong >&2; read b || exec sleep 60";
    let plan = Plan { console: Console::Log, ..shell(line) };
    daemon.spawn_with(slot, &plan, Wants { input: true, tap: true, ..LOG });
    let pid = daemon.spawned(slot);
    let ask = |daemon: &Peer, end: End| {
        daemon.ask(&ToKeeper::Lend { slot, end });
        let (message, fd) = daemon.next_with();
        assert_eq!(message, FromKeeper::Lent { slot, end });
        fd
    };
    let input = ask(&daemon, End::Input).unwrap();
    assert_eq!(sys::pipe::write(&input, b"it\n"), Ok(3));
    drop(input);
    daemon.die();
    let (daemon, told) = stage.told();
    assert_eq!(told, [FromKeeper::Spawned { slot, pid, warnings: 0 }]);
    let tap = ask(&daemon, End::Tap).unwrap();
    wait(&tap, Interest::Read);
    let mut buffer = [0; 16];
    assert_eq!(sys::pipe::read(&tap, &mut buffer), Ok(7));
    assert_eq!(&buffer[..7], b"got it\n");
    let spill = ask(&daemon, End::Spill).unwrap();
    assert_eq!(sys::pipe::write(&spill, b"spilt\n"), Ok(6));
    drop(spill);
    let logger = stage.logger();
    let (_, log) = logger.pipe();
    daemon.kill(slot, Scope::Process);
    assert_eq!(daemon.exited(slot), KILLED, "it waited for more input, which was not at its end");
    assert!(ask(&daemon, End::Input).is_none());
    daemon.ask(&ToKeeper::Release { slot });
    logger.hear_of_no_more(slot, End::Spill);
    let said = String::from_utf8(read_all(log)).unwrap();
    assert!(said.contains("wrong\n") && said.contains("spilt\n"), "{said}");
    assert_eq!(read_all(tap), b"");
}

/// Otherwise it would break under its writer where the keeper is killed in between. That of a process
/// which cannot be made at all, for its script is missing, shows the order.
fn output_first(stage: &mut Stage) {
    let (daemon, _) = stage.told();
    let slot = stage.slot();
    daemon.spawn_with(slot, &shell("echo said"), Wants { script_fd: true, ..LOG });
    let logger = stage.logger();
    let (other, _, _, fd) = logger.both().unwrap();
    assert_eq!((other, read_all(fd)), (slot, Vec::new()));
    let message = daemon.next();
    assert!(matches!(message, FromKeeper::SpawnFailed { step: Step::Plan, .. }), "{message:?}");
}

fn errors_of_their_own(stage: &mut Stage) {
    let (daemon, _) = stage.told();
    let slot = stage.slot();
    let plan = Plan { console: Console::Log, ..shell("echo said; echo wrong >&2") };
    daemon.spawn_with(slot, &plan, Wants { errors: true, ..LOG });
    daemon.spawned(slot);
    assert_eq!(daemon.exited(slot), Exit::Status(0));
    daemon.ask(&ToKeeper::Release { slot });
    let logger = stage.logger();
    let (output, errors) = (logger.both().unwrap(), logger.both().unwrap());
    assert_eq!((output.0, output.1), (slot, Stream::Stdout));
    assert_eq!((errors.0, errors.1), (slot, Stream::Stderr));
    assert_eq!((&output.2[..], &errors.2[..]), (&b"a route"[..], &b"errors' route"[..]));
    assert_eq!(read_all(output.3), b"said\n");
    logger.eof(slot);
    logger.die();
    let logger = stage.logger();
    let (other, stream, _, fd) = logger.both().unwrap();
    assert_eq!((other, stream), (slot, Stream::Stderr), "the one that is not at its end");
    assert_eq!(read_all(fd), b"wrong\n");
}

fn link(stage: &mut Stage) {
    let linked = |daemon: &Peer, logger: &Peer| {
        let from_daemon = loop {
            if let (FromKeeper::Logger, Some(fd)) = daemon.next_with() {
                break fd;
            }
        };
        let (None, Some(from_logger)) = logger.passed() else { panic!("no pipe was made") };
        seqpacket::send(&from_daemon, &[b"hello"], &[]).unwrap();
        let mut buffer = [0; 8];
        let received = seqpacket::receive(&from_logger, &mut buffer).unwrap();
        assert_eq!(&buffer[..received.length], b"hello");
    };
    let (daemon, logger) = (stage.daemon(), stage.logger());
    linked(&daemon, &logger);
    daemon.die();
    let daemon = stage.daemon();
    linked(&daemon, &logger);
    logger.die();
    let logger = stage.logger();
    linked(&daemon, &logger);
}

fn flood(stage: &mut Stage) {
    const COUNT: usize = 2000;
    let (daemon, _) = stage.told();
    for _ in 0..COUNT {
        let slot = stage.slot();
        daemon.spawn_with(slot, &nothing(), Wants::default());
    }
    let mut seen: BTreeMap<u64, usize> = BTreeMap::new();
    for _ in 0..2 * COUNT {
        match daemon.next() {
            FromKeeper::Spawned { slot, .. } => {
                assert_eq!(seen.insert(slot.generation, 1), None, "{slot} is begun once");
            }
            FromKeeper::Exited { slot, exit, .. } => {
                assert_eq!(exit, Exit::Status(0));
                assert_eq!(seen.insert(slot.generation, 2), Some(1), "{slot} is over once");
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(seen.len(), COUNT);
}

fn given_back(stage: &mut Stage) {
    const COUNT: usize = 3000;
    let (daemon, _) = stage.told();
    let keeper = stage.keeper();
    // KiB.
    let taken = || {
        let status = std::fs::read_to_string(format!("/proc/{keeper}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
    };
    let before = taken();
    let stays = stage.slot();
    daemon.spawn(stays, "exec sleep 60");
    daemon.spawned(stays);
    let slots: Vec<Slot> = (0..COUNT).map(|_| stage.slot()).collect();
    for slots in slots.chunks(100) {
        slots.iter().for_each(|slot| daemon.spawn_with(*slot, &nothing(), Wants::default()));
        for _ in 0..2 * slots.len() {
            daemon.next();
        }
    }
    // Nobody has let go of their rows.
    let most = taken();
    assert!(most > before + 200, "{before} KiB, then {most}");
    slots.iter().for_each(|slot| daemon.ask(&ToKeeper::Release { slot: *slot }));
    until("it is given back", || taken() < before + (most - before) / 3);
    daemon.kill(stays, Scope::Process);
    assert_eq!(daemon.exited(stays), KILLED);
    daemon.settle(stage);
}

fn signals(stage: &mut Stage) {
    let (daemon, _) = stage.told();
    sys::signals::send(stage.keeper(), Signal::TERM).unwrap();
    assert_eq!(daemon.next(), FromKeeper::Signalled { signal: 15 });
    sys::signals::send(stage.keeper(), Signal::HUP).unwrap();
    assert_eq!(daemon.next(), FromKeeper::Signalled { signal: 1 });
    daemon.ask(&ToKeeper::SignalSeen { signal: Signal::HUP });
    daemon.die();
    let (daemon, told) = stage.told();
    assert_eq!(told, []);
    assert_eq!(daemon.next(), FromKeeper::Signalled { signal: 15 }, "not seen");
    daemon.ask(&ToKeeper::SignalSeen { signal: Signal::TERM });
    daemon.die();
    let (daemon, _) = stage.told();
    daemon.settle(stage);
}

fn plan_in_file(stage: &mut Stage) {
    let (daemon, _) = stage.told();
    let slot = stage.slot();
    let mut plan = shell("");
    plan.argv = ["sh", "/proc/self/fd/9"].map(|text| CString::new(text).unwrap()).to_vec();
    plan.env.push(CString::new([&b"LONG="[..], &vec![b'x'; 100_000]].concat()).unwrap());
    let bytes = plan.encode();
    let file = memfd::sealed(c"plan", &bytes).unwrap();
    let script = memfd::sealed(c"script", b"exit $((${#LONG} / 10000))").unwrap();
    let wants = Wants { plan_in_fd: true, script_fd: true, ..Wants::default() };
    let length = (bytes.len() as u64).to_le_bytes();
    let pipe_owner = (0, 0);
    let spawn =
        |slot| ToKeeper::Spawn { slot, wants, pipe_owner, plan: &length, route: b"", errors: b"" };
    daemon.send(&spawn(slot), &[file.as_fd(), script.as_fd()]);
    daemon.spawned(slot);
    assert_eq!(daemon.exited(slot), Exit::Status(10));
    let slot = stage.slot();
    daemon.ask(&spawn(slot));
    let errno = Errno::BADF.raw_os_error();
    assert_eq!(daemon.next(), FromKeeper::SpawnFailed { slot, step: Step::Plan, errno });
}

fn descriptors(stage: &mut Stage) {
    let (daemon, _) = stage.told();
    let logger = stage.logger();
    let count = |pid: Pid| std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    let serve = |stage: &mut Stage| {
        let slot = stage.slot();
        let plan = Plan { console: Console::Log, ..shell("exec ls /proc/self/fd") };
        daemon.spawn_with(slot, &plan, LOG);
        daemon.spawned(slot);
        assert_eq!(daemon.exited(slot), Exit::Status(0));
        daemon.ask(&ToKeeper::Release { slot });
        let (slot, fd) = logger.pipe();
        assert_eq!(read_all(fd), b"0\n1\n2\n3\n", "3 is the directory itself");
        logger.eof(slot);
    };
    // What is over is let go of when the keeper has heard so, which the test is not told. Its own, and
    // those over which children that are on their way come by theirs: less than one for each of these.
    (0..60).for_each(|_| serve(stage));
    until("the keeper keeps few", || count(stage.keeper()) <= 44);
}

fn quit(stage: &mut Stage) {
    let (daemon, _) = stage.told();
    let logger = stage.logger();
    daemon.ask(&ToKeeper::Quit { code: 42 });
    let mut buffer = [0; 64];
    // The link to the logger may have come before.
    while daemon.receive(&mut buffer).length > 0 {}
    loop {
        let received = logger.receive(&mut buffer);
        match LogWire::decode(&buffer[..received.length]).unwrap() {
            LogWire::Daemon | LogWire::Held { .. } => {}
            LogWire::Finish => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(stage.keeper.try_wait().unwrap().is_none(), "it waits for the logger");
    drop((daemon, logger));
    assert_eq!(stage.keeper.wait().unwrap().code(), Some(42));
}

fn attempts(stage: &mut Stage) {
    let attempt = |stage: &mut Stage| {
        let daemon = stage.daemon();
        match daemon.next() {
            FromKeeper::Welcome { attempt, .. } => (daemon, attempt),
            other => panic!("{other:?}"),
        }
    };
    for expected in 0..3 {
        let (daemon, got) = attempt(stage);
        assert_eq!(got, expected);
        daemon.die();
    }
    let (daemon, got) = attempt(stage);
    assert_eq!(got, 3);
    daemon.ask(&ToKeeper::Ready);
    daemon.die();
    let (_, got) = attempt(stage);
    assert_eq!(got, 0, "the last one was ready");
}

fn strange(stage: &mut Stage) {
    let (daemon, _) = stage.told();
    for bytes in [&[0u8; 3][..], &[1; 32], &[255; 4000], &vec![7; 100_000]] {
        seqpacket::send(&daemon.channel, &[bytes], &[]).unwrap();
    }
    let slot = stage.slot();
    let (wants, pipe_owner) = (Wants::default(), (0, 0));
    daemon.ask(&ToKeeper::Spawn {
        slot,
        wants,
        pipe_owner,
        plan: b"no plan",
        route: b"",
        errors: b"",
    });
    let errno = Errno::INVAL.raw_os_error();
    assert_eq!(daemon.next(), FromKeeper::SpawnFailed { slot, step: Step::Plan, errno });
    let unknown = stage.slot();
    daemon.ask(&ToKeeper::Release { slot: unknown });
    daemon.kill(unknown, Scope::Group);
    daemon.ask(&ToKeeper::OrphansSeen { sequence: u64::MAX });
    daemon.ask(&ToKeeper::Hold { key: 5 });
    daemon.settle(stage);
}

fn hanging(stage: &mut Stage) {
    let (daemon, _) = stage.told();
    let fifo = stage.directory.join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    // To open a fifo that nobody reads takes for ever, as a dead network mount would.
    let path = CString::new(fifo.into_os_string().into_vec()).unwrap();
    let hangs = stage.slot();
    let plan = Plan { cgroups: vec![path], ..shell("exit 0") };
    daemon.spawn_with(hangs, &plan, Wants::default());
    for _ in 0..20 {
        let slot = stage.slot();
        daemon.spawn(slot, "exit 0");
        daemon.spawned(slot);
        assert_eq!(daemon.exited(slot), Exit::Status(0));
        daemon.ask(&ToKeeper::Release { slot });
    }
    // It has copies of the channels; the set must not report the ends of those that are gone.
    stage.logger().die();
    daemon.die();
    let (daemon, told) = stage.told();
    assert_eq!(told, [], "nothing is known of it yet");
    stage.logger();
    daemon.settle(stage);
    // The keeper sleeps, which one that is told of an end for ever never does.
    let keeper = stage.keeper();
    until("the keeper sleeps", || sys::procfs::stat(keeper).unwrap().state == b'S');
    daemon.kill(hangs, Scope::Process);
    let mut last = daemon.next();
    if let FromKeeper::Spawned { .. } = last {
        last = daemon.next();
    }
    let FromKeeper::Exited { slot, exit, .. } = last else { panic!("{last:?}") };
    assert_eq!((slot, exit), (hangs, KILLED));
}

fn groups(stage: &mut Stage) {
    let (daemon, _) = stage.told();
    let slot = stage.slot();
    daemon.spawn(slot, "sleep 60 & sleep 60; exit 0");
    let pid = daemon.spawned(slot);
    until("both are there", || sys::procfs::children_of(pid).len() == 2);
    let mut group = sys::procfs::children_of(pid);
    group.push(pid);
    daemon.kill(slot, Scope::Group);
    until("the whole group is gone", || {
        group.iter().all(|process| sys::procfs::stat(*process).is_none())
    });
    // The shell's end, and those of its children that it has not reaped itself while it died. Of what is
    // told together slots come before orphans.
    let mut ends = Vec::new();
    for _ in 0..2 {
        daemon.ask(&ToKeeper::Adopt { slot: stage.slot(), pid: 1 });
        loop {
            match daemon.next() {
                FromKeeper::Exited { exit: Exit::Unknown, .. } => break,
                FromKeeper::Exited { exit, .. } | FromKeeper::OrphanExited { exit, .. } => {
                    ends.push(exit);
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert!((1..=3).contains(&ends.len()), "{ends:?}");
    assert_eq!(ends, vec![KILLED; ends.len()], "the whole group");
    // At once after the request the child may still be in the keeper's own group.
    for _ in 0..50 {
        let slot = stage.slot();
        daemon.spawn(slot, "exec sleep 60");
        daemon.kill(slot, Scope::Group);
        daemon.spawned(slot);
        assert_eq!(daemon.exited(slot), KILLED);
    }
}

/// Spawns until that fails; returns how.
fn spawn_until_refused(stage: &mut Stage, daemon: &Peer, route: &[u8]) -> (Step, i32) {
    for _ in 0..10_000 {
        let slot = stage.slot();
        let plan = Plan { console: Console::Log, ..nothing() }.encode();
        let pipe_owner = (0, 0);
        daemon.ask(&ToKeeper::Spawn {
            slot,
            wants: LOG,
            pipe_owner,
            plan: &plan,
            route,
            errors: b"",
        });
        loop {
            match daemon.next() {
                FromKeeper::SpawnFailed { slot: other, step: Step::Fork, errno } => {
                    assert_eq!(other, slot);
                    daemon.ask(&ToKeeper::Release { slot });
                    return (Step::Fork, errno);
                }
                // Where memory is short, the program may fail to run too.
                FromKeeper::SpawnFailed { .. } | FromKeeper::Exited { .. } => break,
                FromKeeper::Spawned { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }
    panic!("never refused");
}

fn without_memory(stage: &mut Stage) {
    let (daemon, _) = stage.told();
    let statm = std::fs::read_to_string(format!("/proc/{}/statm", stage.keeper())).unwrap();
    let pages: u64 = statm.split_whitespace().next().unwrap().parse().unwrap();
    stage.limit(&format!("as={}", pages * 4096 + (1 << 20)));
    let refused = spawn_until_refused(stage, &daemon, &[b'r'; 50_000]);
    assert_eq!(refused, (Step::Fork, Errno::NOMEM.raw_os_error()));
    // More of them than any store of refusals could hold.
    for _ in 0..100 {
        let slot = stage.slot();
        let (wants, pipe_owner) = (LOG, (0, 0));
        let route = &[b'r'; 50_000];
        daemon.ask(&ToKeeper::Spawn { slot, wants, pipe_owner, plan: b"", route, errors: b"" });
        let message = daemon.next();
        assert!(matches!(message, FromKeeper::SpawnFailed { step: Step::Fork, .. }), "{message:?}");
    }
    stage.limit("as=unlimited");
    let slot = stage.slot();
    daemon.spawn(slot, "exit 4");
    daemon.spawned(slot);
    assert_eq!(daemon.exited(slot), Exit::Status(4));
}

fn without_descriptors(stage: &mut Stage) {
    let (daemon, _) = stage.told();
    // What it has at rest, and some.
    stage.limit("nofile=50");
    let refused = spawn_until_refused(stage, &daemon, b"r");
    assert_eq!(refused, (Step::Fork, Errno::MFILE.raw_os_error()));
    // Neither peer can be started now; they are tried again.
    stage.logger().die();
    daemon.die();
    stage.limit("nofile=200");
    let (daemon, told) = stage.told();
    assert!(told.len() >= 4, "{told:?}");
    stage.logger();
    let slot = stage.slot();
    daemon.spawn(slot, "exit 4");
    daemon.spawned(slot);
    assert_eq!(daemon.exited(slot), Exit::Status(4));
}
