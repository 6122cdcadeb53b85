//! The test plays the keeper and the daemon: it holds the pipes, starts the logger and kills it.

use engine::keeper::{LogWire, HEAD};
use engine::logroute::{decode, encode, Forward, FromLogger, LogFile, LogRoute, ToLogger};
use engine::process::{InstanceId, Role, Slot, Stream};
use engine::spec::OnFull;
use engine::text::Text;
use engine::treat::Treatment;
use std::fs::{self, File};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use sys::epoll::{Epoll, Interest};
use sys::{pipe, seqpacket, Errno};

/// How long the test waits for something that must happen before it fails, in nanoseconds.
const PATIENCE: u64 = 60_000_000_000;

/// A directory of its own, removed in the end.
pub struct Dir(PathBuf);

impl Dir {
    pub fn new() -> Dir {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("upright-logger-{}-{number}", std::process::id());
        let dir = Dir(std::env::temp_dir().join(name));
        let _ = fs::remove_dir_all(&dir.0);
        fs::create_dir(&dir.0).unwrap();
        dir
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn read(&self, name: &str) -> String {
        String::from_utf8(fs::read(self.path(name)).unwrap_or_default()).unwrap()
    }

    /// The log and its old files, the oldest first.
    pub fn all(&self, name: &str) -> Vec<String> {
        let prefix = format!("{name}.");
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.0).unwrap() {
            let entry = entry.unwrap().file_name().into_string().unwrap();
            numbers.extend(entry.strip_prefix(&prefix).and_then(|n| n.parse::<u32>().ok()));
        }
        numbers.sort_by(|a, b| b.cmp(a));
        let mut all: Vec<String> =
            numbers.iter().map(|number| self.read(&format!("{name}.{number}"))).collect();
        all.push(self.read(name));
        all
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub fn slot(number: u32) -> Slot {
    Slot { instance: InstanceId(number), role: Role::Main, generation: u64::from(number) }
}

pub fn file(path: &Path) -> LogFile {
    LogFile {
        path: Text::from(path.to_str().unwrap()),
        rotate_size: 0,
        rotate_count: 3,
        mode: 0o640,
        uid: None,
        gid: None,
        on_full: OnFull::Drop,
    }
}

pub fn route(file: LogFile) -> LogRoute {
    LogRoute {
        label: String::from("web"),
        file: Some(file),
        forward: Forward::No,
        treat: Treatment::default(),
    }
}

struct Held {
    slot: Slot,
    route: Vec<u8>,
    reader: OwnedFd,
}

pub struct Keeper {
    pub dir: Dir,
    pipes: Vec<Held>,
    logger: Option<(Child, OwnedFd, OwnedFd)>,
    /// Shell commands before the logger is executed: limits.
    before: String,
    stdout: Option<OwnedFd>,
}

impl Keeper {
    /// A keeper with a running logger.
    pub fn new() -> Keeper {
        Keeper::with("", None)
    }

    pub fn with(before: &str, stdout: Option<OwnedFd>) -> Keeper {
        let before = String::from(before);
        let mut keeper =
            Keeper { dir: Dir::new(), pipes: Vec::new(), logger: None, before, stdout };
        keeper.start();
        keeper
    }

    /// Starts the logger and gives it every pipe there is.
    pub fn start(&mut self) {
        let (ours, theirs) = seqpacket::pair().unwrap();
        let script = format!("{} exec \"$0\" --role=logger 3<&0 </dev/null", self.before);
        let stderr = File::options().create(true).append(true).open(self.dir.path("stderr"));
        let stdout = match &self.stdout {
            Some(fd) => Stdio::from(fd.try_clone().unwrap()),
            None => Stdio::null(),
        };
        let child = Command::new("sh")
            .args(["-c", &script, env!("CARGO_BIN_EXE_upright-core")])
            .stdin(Stdio::from(theirs))
            .stdout(stdout)
            .stderr(stderr.unwrap())
            .spawn()
            .unwrap();
        let (daemon, logger_daemon) = seqpacket::pair().unwrap();
        send(&ours, LogWire::Daemon, Some(&logger_daemon));
        for held in &self.pipes {
            let message =
                LogWire::Pipe { slot: held.slot, stream: Stream::Stdout, route: &held.route };
            send(&ours, message, Some(&held.reader));
        }
        self.logger = Some((child, ours, daemon));
    }

    /// Makes a pipe for a process and returns the end it writes to.
    pub fn pipe(&mut self, slot: Slot, route: &LogRoute) -> File {
        let (reader, writer) = pipe::new().unwrap();
        self.give(slot, route, reader);
        File::from(writer)
    }

    /// Gives the logger something to read from.
    pub fn give(&mut self, slot: Slot, route: &LogRoute, reader: OwnedFd) {
        let held = Held { slot, route: encode(route), reader };
        let message = LogWire::Pipe { slot, stream: Stream::Stdout, route: &held.route };
        send(self.channel(), message, Some(&held.reader));
        self.pipes.push(held);
    }

    /// Kills the logger and waits for its end.
    pub fn kill(&mut self) {
        let (mut child, ours, _) = self.logger.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        // What it said before it died counts.
        while let Some(said) = said(&ours) {
            match said {
                Said::Ended(slot) => self.drop_pipe(slot),
                Said::Again(_) => {}
            }
        }
    }

    /// Waits until the logger says that a pipe is at its end; what it asks for again it gets.
    pub fn ended(&mut self) -> Slot {
        let slot = loop {
            match said(self.channel()) {
                Some(Said::Ended(slot)) => break slot,
                Some(Said::Again(slot)) => self.pass(slot),
                None => wait(self.channel()),
            }
        };
        self.drop_pipe(slot);
        slot
    }

    /// Waits until the logger asks for a pipe again, and passes it, before any is at its end.
    pub fn asked_again(&self) {
        loop {
            match said(self.channel()) {
                Some(Said::Again(slot)) => return self.pass(slot),
                Some(Said::Ended(slot)) => panic!("{slot} is at its end"),
                None => wait(self.channel()),
            }
        }
    }

    fn pass(&self, slot: Slot) {
        let held = self.pipes.iter().find(|held| held.slot == slot).unwrap();
        let message = LogWire::Pipe { slot, stream: Stream::Stdout, route: &held.route };
        send(self.channel(), message, Some(&held.reader));
    }

    /// Reports whether the end of a pipe was not told yet.
    pub fn holds(&self, slot: Slot) -> bool {
        self.pipes.iter().any(|held| held.slot == slot)
    }

    pub fn ask(&self, message: &ToLogger) {
        let (_, _, daemon) = self.logger.as_ref().unwrap();
        seqpacket::send(daemon, &[&encode(message)], &[]).unwrap();
    }

    /// Waits for the logger's next message to the daemon.
    pub fn told(&self) -> FromLogger {
        self.told_with().0
    }

    /// The same, with the descriptor that came along.
    pub fn told_with(&self) -> (FromLogger, Option<OwnedFd>) {
        let (_, _, daemon) = self.logger.as_ref().unwrap();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match seqpacket::receive(daemon, &mut buffer) {
                Ok(received) => {
                    let [file, ..] = received.fds;
                    return (decode(&buffer[..received.length]).expect("a message"), file);
                }
                Err(Errno::AGAIN) => wait(daemon),
                Err(errno) => panic!("the logger is gone: {errno}"),
            }
        }
    }

    /// Waits until everything that is in a pipe now is written, and returns the last bytes.
    pub fn drain(&self, slot: Slot) -> String {
        self.ask(&ToLogger::Drain { slot, tail: 2048 });
        loop {
            if let FromLogger::Drained { slot: of, tail } = self.told() {
                assert_eq!(of, slot);
                return String::from(tail.lossy());
            }
        }
    }

    /// Lets the logger write what is left and end.
    pub fn finish(&mut self) -> ExitStatus {
        send(self.channel(), LogWire::Finish, None);
        self.logger.take().unwrap().0.wait().unwrap()
    }

    /// Goes away, as a keeper does that is killed, and leaves the logger.
    pub fn die(&mut self) -> Child {
        self.pipes.clear();
        self.logger.take().unwrap().0
    }

    fn channel(&self) -> &OwnedFd {
        &self.logger.as_ref().unwrap().1
    }

    fn drop_pipe(&mut self, slot: Slot) {
        self.pipes.retain(|held| held.slot != slot);
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        if let Some((mut child, _, _)) = self.logger.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!("the logger said: {}", self.dir.read("stderr"));
        }
    }
}

fn send(to: &OwnedFd, message: LogWire<'_>, fd: Option<&OwnedFd>) {
    let mut head = [0; HEAD];
    let payload = message.encode(&mut head);
    let fds: Vec<_> = fd.iter().map(|fd| fd.as_fd()).collect();
    loop {
        match seqpacket::send(to, &[&head, payload], &fds) {
            Err(Errno::AGAIN) => wait_for(to, Interest::Write),
            sent => return sent.unwrap(),
        }
    }
}

/// What the logger has to say of a pipe.
enum Said {
    Ended(Slot),
    Again(Slot),
}

fn said(from: &OwnedFd) -> Option<Said> {
    let mut buffer = [0; 256];
    match seqpacket::receive(from, &mut buffer) {
        Ok(received) if received.length > 0 => match LogWire::decode(&buffer[..received.length]) {
            Some(LogWire::Eof { slot, stream: Stream::Stdout }) => Some(Said::Ended(slot)),
            Some(LogWire::Again { slot, stream: Stream::Stdout }) => Some(Said::Again(slot)),
            Some(LogWire::Ready) => said(from),
            other => panic!("not a message for a keeper: {other:?}"),
        },
        Ok(_) | Err(_) => None,
    }
}

pub fn wait(fd: impl AsFd) {
    wait_for(fd, Interest::Read);
}

fn wait_for(fd: impl AsFd, interest: Interest) {
    let mut epoll = Epoll::new(1).unwrap();
    epoll.add(fd, 0, interest).unwrap();
    assert!(epoll.wait(Some(PATIENCE)).unwrap().next().is_some(), "nothing came in a minute");
}
