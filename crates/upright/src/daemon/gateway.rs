//! The D-Bus gateway: a process of its own that is started when the first D-Bus client comes, as the
//! job `upright/dbus`, and is given what it serves.
//!
//! The channel to it is a pair that the keeper holds both ends of: what is said while there is no
//! gateway, or no daemon, is there for the next one. A gateway has no rights; who its clients are is
//! read from their sockets here (see [`engine::control::gateway`]).

use super::bus;
use super::connections::{ConnectionId, Tongue};
use super::{Daemon, GATEWAY, SESSION};
use crate::options::{Bus, Mode};
use engine::control::answer::Answer;
use engine::control::fault::Fault;
use engine::control::gateway::{decode, encode, FromGateway, ToGateway, MESSAGE_MAX};
use engine::control::rights::{Peer, OVERFLOW_UID};
use engine::keeper::{held, ToKeeper};
use engine::machine::request::{Request, Target, Wait, Which};
use engine::machine::{Effect, Input, Level, SpawnOrder};
use engine::names::JobName;
use engine::process::{Role, Slot};
use engine::signal::Signal;
use engine::spec::{Attrs, Command, JobSpec, Policy, Respawn};
use engine::text::Text;
use engine::time::Span;
use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use sys::epoll::Interest;
use sys::{memfd, seqpacket, users, Errno};

/// The job that the gateway is.
const JOB: &str = "upright/dbus";

/// The gateway's program, beside our own.
const PROGRAM: &str = "upright-dbus";

/// The descriptor at which the gateway finds its channel.
const CHANNEL: u8 = 0;

/// Whom the gateway runs as where we are root, the first that there is.
const USERS: [&str; 2] = ["upright-dbus", "nobody"];

/// How many messages of the gateway are taken in one turn.
const BATCH: usize = 64;

/// What the daemon knows of its gateway.
pub struct Gateway {
    channel: Option<Channel>,
    /// The address of the bus that it is on, or is to go on.
    bus: Option<String>,
    /// Whether one lives that has said so.
    begun: bool,
    /// Whether a connection to the bus waits for one that has not.
    queued: bool,
    /// Whether it was said that clients are refused.
    refuses: bool,
}

struct Channel {
    ours: OwnedFd,
    theirs: OwnedFd,
}

/// What a process is given beside its plan, and what that becomes there.
pub struct Given(Vec<(u8, OwnedFd)>);

impl Given {
    /// Adds what else it is given.
    pub fn and(mut self, more: Vec<(u8, OwnedFd)>) -> Given {
        self.0.extend(more);
        self
    }

    /// Returns the numbers that the descriptors become.
    pub fn numbers(&self) -> Vec<u8> {
        self.0.iter().map(|(number, _)| *number).collect()
    }

    /// Returns the descriptors in the same order.
    pub fn fds(&self) -> impl Iterator<Item = &OwnedFd> {
        self.0.iter().map(|(_, fd)| fd)
    }
}

impl Gateway {
    /// Returns a gateway that nobody has needed yet.
    pub fn new() -> Gateway {
        Gateway { channel: None, bus: None, begun: false, queued: false, refuses: false }
    }

    /// Returns what the gateway's own process is given; nothing for any other.
    pub fn given(&self, order: &SpawnOrder) -> Given {
        let own = order.spec.name.text().bytes() == JOB.as_bytes();
        let channel = self.channel.as_ref().filter(|_| own && order.slot.role == Role::Main);
        let copy = channel.and_then(|channel| channel.theirs.try_clone().ok());
        Given(copy.into_iter().map(|copy| (CHANNEL, copy)).collect())
    }

    fn tell(&self, message: &ToGateway, fds: &[BorrowedFd<'_>]) -> Result<(), String> {
        let Some(channel) = &self.channel else { return Err(String::from("it does not run")) };
        let sent = seqpacket::send(&channel.ours, &[&encode(message)], fds);
        sent.map_err(|errno| match errno {
            Errno::AGAIN | Errno::TOOMANYREFS => String::from("too many clients wait for it"),
            errno => errno.to_string(),
        })
    }
}

impl Daemon {
    /// Takes over what the keeper held for the gateway.
    pub(super) fn take_gateway(&mut self, held: &mut BTreeMap<u32, OwnedFd>) {
        self.take_files(held);
        self.gateway.bus = held.remove(&held::BUS).and_then(|fd| {
            let address = memfd::read_all(&fd).ok()?;
            String::from_utf8(address).ok()
        });
        let ends = (held.remove(&held::GATEWAY), held.remove(&held::GATEWAY_OWN));
        if let (Some(ours), Some(theirs)) = ends {
            self.gateway.begun = true;
            self.watch_gateway(Channel { ours, theirs });
        }
    }

    fn watch_gateway(&mut self, channel: Channel) -> bool {
        let added = self.epoll.add(&channel.ours, GATEWAY, Interest::Read).is_ok();
        if added {
            self.gateway.channel = Some(channel);
        }
        added
    }

    /// Hands a D-Bus client over. Where that cannot be, it is let go with a word in the log.
    pub(super) fn meet(&mut self, id: ConnectionId, effects: &mut Vec<Effect>) {
        let Some((stream, peer)) = self.connections.give_away(id, &self.epoll) else { return };
        let refused = self.hand_over(&stream, peer, effects).err();
        // Once, so that nobody fills the log by knocking.
        let said = std::mem::replace(&mut self.gateway.refuses, refused.is_some());
        if let (Some(why), false) = (refused, said) {
            self.say(Level::Warn, &format!("D-Bus clients are refused: {why}"));
        }
    }

    fn hand_over(
        &mut self,
        stream: &UnixStream,
        peer: Peer,
        effects: &mut Vec<Effect>,
    ) -> Result<(), String> {
        self.need_gateway(effects)?;
        let (calls, notices) = (self.control_for(peer)?, self.control_for(peer)?);
        let message = ToGateway::Client { uid: peer.uid };
        self.gateway.tell(&message, &[stream.as_fd(), calls.as_fd(), notices.as_fd()])
    }

    /// Makes a control connection that is served with the rights of `peer`; returns the far end.
    fn control_for(&mut self, peer: Peer) -> Result<UnixStream, String> {
        let pair = UnixStream::pair();
        let (ours, theirs) = pair.map_err(|error| format!("no control connection: {error}"))?;
        self.connections.take_in(ours, peer, Tongue::Varlink, &self.epoll);
        Ok(theirs)
    }

    /// Sees to it that the gateway runs, or is about to.
    fn need_gateway(&mut self, effects: &mut Vec<Effect>) -> Result<(), String> {
        let name = JobName::try_from(JOB).map_err(|error| error.to_string())?;
        if self.gateway.channel.is_some() && self.engine.is_wanted(&name) {
            return Ok(());
        }
        if self.engine.shutting_down() {
            return Err(String::from("Upright is shutting down"));
        }
        let program = program()?;
        self.open_channel()?;
        let spec = Arc::new(self.gateway_spec(name, &program));
        if self.engine.spec(&spec.name) != Some(&spec) {
            self.handle(Input::Define(spec), effects);
        }
        let target = Target { job: Text::from(JOB), which: Which::Env(Vec::new()) };
        let request = Request::Start(target, Wait::Accepted);
        self.handle(Input::Ask(self.engine.next_request(), None, request, None), effects);
        Ok(())
    }

    fn open_channel(&mut self) -> Result<(), String> {
        self.close_channel();
        let pair = seqpacket::pair();
        let (ours, theirs) = pair.map_err(|errno| format!("no channel to {PROGRAM}: {errno}"))?;
        self.hold(held::GATEWAY, ours.as_fd());
        self.hold(held::GATEWAY_OWN, theirs.as_fd());
        match self.watch_gateway(Channel { ours, theirs }) {
            true => Ok(()),
            false => Err(format!("no channel to {PROGRAM}")),
        }
    }

    /// Whoever waits in the channel is let go: with both ends it goes too.
    fn close_channel(&mut self) {
        let Some(channel) = self.gateway.channel.take() else { return };
        let _ = self.epoll.delete(&channel.ours);
        for key in [held::GATEWAY, held::GATEWAY_OWN] {
            self.link.send(&ToKeeper::Drop { key }, &[]);
        }
        self.gateway.begun = false;
        self.gateway.queued = false;
    }

    /// Gives up a gateway that is not wanted any more: stopped, or it could not be started.
    pub(super) fn give_up_gateway(&mut self) {
        if self.gateway.channel.is_none() {
            return;
        }
        let wanted = JobName::try_from(JOB).is_ok_and(|name| self.engine.is_wanted(&name));
        if !wanted {
            self.close_channel();
        }
    }

    fn gateway_spec(&self, name: JobName, program: &Path) -> JobSpec {
        let privileged = self.settings.uid == 0 && self.settings.options.mode == Mode::System;
        let exists = |user: &&&str| users::user(Path::new("/"), user.as_bytes()).is_ok();
        let user = USERS.iter().find(|user| privileged && exists(user));
        let mut spec = JobSpec::new(name);
        spec.attrs =
            Attrs { setuid: user.map(|user| Text::from(*user)), ..Attrs::default() }.into();
        // It ends when its channel does, once the answers that are on their way have arrived. The signal
        // says nothing; KILL follows where that does not help.
        let (kill_signal, kill_timeout) = (Signal::CONT, Span::secs(2));
        let policy =
            Policy { respawn: Respawn::Failed, kill_signal, kill_timeout, ..Policy::default() };
        spec.policy = policy.into();
        // The shell's quotes: they cost nothing where the path needs none.
        let path = program.as_os_str().as_bytes();
        let quoted = path.split(|byte| *byte == b'\'').collect::<Vec<_>>().join(&b"'\\''"[..]);
        let line =
            if quoted.iter().all(|byte| byte.is_ascii_alphanumeric() || b"/-_.".contains(byte)) {
                quoted
            } else {
                [b"'", &quoted[..], b"'"].concat()
            };
        spec.commands.insert(Role::Main, Command::Exec(Text::from(line)));
        spec
    }

    /// Takes what the gateway asks.
    pub(super) fn hear_gateway(&mut self, effects: &mut Vec<Effect>) {
        let mut buffer = [0; MESSAGE_MAX];
        for _ in 0..BATCH {
            let Some(channel) = &self.gateway.channel else { return };
            match seqpacket::receive(&channel.ours, &mut buffer) {
                Ok(received) if received.length == 0 => return self.close_channel(),
                Ok(received) => {
                    let bytes = buffer.get(..received.length).unwrap_or(&[]);
                    let [fd, ..] = received.fds;
                    if let Some(message) = decode(bytes) {
                        self.answer_gateway(message, fd, effects);
                    }
                }
                Err(Errno::MSGSIZE) => {}
                Err(_) => return,
            }
        }
    }

    fn answer_gateway(
        &mut self,
        message: FromGateway,
        fd: Option<OwnedFd>,
        effects: &mut Vec<Effect>,
    ) {
        let (ask, peer) = match message {
            FromGateway::Begun => return self.gateway_begun(effects),
            FromGateway::More { ask } => (ask, fd.and_then(|fd| self.client_of(fd))),
            // Only a gateway that was put on a bus can have clients there.
            FromGateway::Vouch { ask, uid, pid } => {
                let peer = Peer { uid, gid: uid, pid };
                (ask, self.gateway.bus.is_some().then_some(peer))
            }
        };
        let control = peer.and_then(|peer| self.control_for(peer).ok());
        let fds: Vec<BorrowedFd<'_>> = control.iter().map(AsFd::as_fd).collect();
        if let Err(why) = self.gateway.tell(&ToGateway::Control { ask }, &fds) {
            self.say(Level::Warn, &format!("{JOB}: cannot be answered: {why}"));
        }
    }

    /// Returns who is at the other end of a client's socket: only of one that was accepted where we
    /// listen, so that nobody can pass somebody else's off as one.
    fn client_of(&self, fd: OwnedFd) -> Option<Peer> {
        let stream = UnixStream::from(fd);
        let (_, listener) = self.listeners.iter().find(|(token, _)| *token == SESSION)?;
        let (own, ours) = (stream.local_addr().ok()?, listener.local_addr().ok()?);
        let same = own.as_abstract_name()? == ours.as_abstract_name()?;
        same.then(|| sys::peer::of(&stream).ok()).flatten()
    }

    fn gateway_begun(&mut self, effects: &mut Vec<Effect>) {
        self.gateway.begun = true;
        if std::mem::take(&mut self.gateway.queued) {
            return;
        }
        // One that was on the bus is gone with its connection.
        if let Some(address) = self.gateway.bus.clone() {
            if let Err(why) = self.join_bus(&address, effects) {
                self.say(Level::Warn, &format!("{JOB}: not on the bus again: {why}"));
            }
        }
    }

    /// Notes that a gateway has ended, should it be one.
    pub(super) fn note_gateway_gone(&mut self, slot: Slot) {
        let name = self.engine.name_of(slot.instance);
        if name.is_some_and(|(job, _)| job.text().bytes() == JOB.as_bytes()) {
            self.gateway.begun = false;
        }
    }

    /// Goes on a bus that somebody says is there. Source: spec 12, NotifyDBusAddress.
    pub(super) fn notify_dbus_address(
        &mut self,
        address: &Text,
        effects: &mut Vec<Effect>,
    ) -> Result<Answer, Fault> {
        if self.settings.options.mode == Mode::System && self.settings.keeper == 1 {
            return Err(Fault::NotPermitted {
                command: String::from("NotifyDbusAddress"),
                rule: String::from("PID 1 is on the system's bus"),
                message: String::from("Not permissible to notify D-Bus address for PID 1"),
            });
        }
        let address = address.lossy();
        self.join_bus(&address, effects).map_err(Fault::Unavailable)?;
        Ok(Answer::Done)
    }

    /// Goes on the system's bus at the start, where it is there.
    pub(super) fn join_bus_at_start(&mut self, effects: &mut Vec<Effect>) {
        match self.settings.options.bus {
            Bus::AtStart => self.join_system_bus(Level::Debug, effects),
            Bus::WhenTold => self.say(Level::Info, "Not connecting to system bus"),
        }
    }

    /// Goes on the system's bus, unless this is a user's session. Source: spec 12, 13, SIGUSR1.
    pub(super) fn join_system_bus(&mut self, level: Level, effects: &mut Vec<Effect>) {
        if self.settings.options.mode != Mode::System {
            return;
        }
        let said = std::env::var("DBUS_SYSTEM_BUS_ADDRESS").ok();
        let address = said.unwrap_or_else(|| String::from(bus::SYSTEM));
        if let Err(why) = self.join_bus(&address, effects) {
            self.say(level, &format!("Unable to connect to the system bus: {why}"));
        }
    }

    /// Connects to a bus daemon and gives the connection to the gateway. It is made here because who
    /// makes it is who the bus lets own the name.
    fn join_bus(&mut self, address: &str, effects: &mut Vec<Effect>) -> Result<(), String> {
        let stream = bus::connect(address)?;
        self.need_gateway(effects)?;
        // On the machine's bus anybody may listen.
        let listener = match self.settings.options.mode {
            Mode::System => OVERFLOW_UID,
            Mode::User | Mode::Up | Mode::Supervisord => self.settings.uid,
        };
        let pid = std::process::id() as i32;
        let notices = self.control_for(Peer { uid: listener, gid: listener, pid })?;
        let message =
            ToGateway::Bus { uid: self.settings.uid, listener, address: String::from(address) };
        self.gateway.tell(&message, &[stream.as_fd(), notices.as_fd()])?;
        self.gateway.queued = !self.gateway.begun;
        self.gateway.bus = Some(String::from(address));
        if let Ok(note) = memfd::sealed(c"upright-bus", address.as_bytes()) {
            self.hold(held::BUS, note.as_fd());
        }
        Ok(())
    }
}

/// Returns the gateway's program.
fn program() -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(|error| format!("where is our program? {error}"))?;
    let path = own.with_file_name(PROGRAM);
    let executable = path.metadata().is_ok_and(|file| file.permissions().mode() & 0o111 != 0);
    match executable {
        true => Ok(path),
        false => Err(format!("{} is not installed", path.display())),
    }
}
