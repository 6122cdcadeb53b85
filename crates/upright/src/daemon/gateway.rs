//! Gateways: processes of their own that speak what the daemon does not, as jobs of the reserved group,
//! and are given what they serve.
//!
//! The channel to a gateway is a pair that the keeper holds both ends of: what is said while there is no
//! gateway, or no daemon, is there for the next one. A gateway has no rights of its own (see
//! [`engine::control::gateway`]).

use super::connections::Tongue;
use super::nobody::{self, NOBODY};
use super::{Daemon, DBUS, HTTP};
use engine::control::gateway::{decode, encode, FromGateway, ToGateway, MESSAGE_MAX};
use engine::control::rights::Caller;
use engine::keeper::{held, ToKeeper};
use engine::machine::request::{Request, Target, Wait, Which};
use engine::machine::{Effect, Input, Level, SpawnOrder};
use engine::names::JobName;
use engine::process::{Role, Slot};
use engine::signal::Signal;
use engine::spec::{Attrs, Backoff, Command, JobSpec, Policy, Respawn, RespawnLimit};
use engine::text::Text;
use engine::time::Span;
use shown::words::system as words;
use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use sys::epoll::Interest;
use sys::{seqpacket, users, Errno};

/// The descriptor at which a gateway finds its channel.
const CHANNEL: u8 = 0;

/// The descriptor at which it finds its program, where it could not go there, and what that is called.
const PROGRAM: u8 = 3;
const OPENED: &str = "/proc/self/fd/3";

/// How many messages of a gateway are taken in one turn.
const BATCH: usize = 64;

/// Which gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// For D-Bus clients.
    Dbus,
    /// For clients that come over HTTP.
    Http,
}

/// Everything about a kind of gateway.
pub struct Row {
    kind: Kind,
    /// The job that it is.
    pub job: &'static str,
    /// Its program, beside our own.
    program: &'static str,
    /// Whom it runs as where we are root, the first that there is; else [`NOBODY`].
    users: [&'static str; 2],
    /// What its channel is told by in the event loop.
    token: u64,
    /// What the keeper holds the two ends of its channel under: ours, its.
    held: (u32, u32),
    /// How often it is started again.
    limit: RespawnLimit,
    /// How far two of its starts are apart at least.
    pace: Span,
}

/// Every kind.
const GATEWAYS: [Row; 2] = [
    Row {
        kind: Kind::Dbus,
        job: "upright/dbus",
        program: "upright-dbus",
        users: ["upright-dbus", "nobody"],
        token: DBUS,
        held: (held::DBUS, held::DBUS_OWN),
        // The next client starts it again.
        limit: RespawnLimit::Within { count: 10, interval: Span::secs(5) },
        pace: Span::ZERO,
    },
    Row {
        kind: Kind::Http,
        job: "upright/http",
        program: "upright-http",
        users: ["upright-http", "nobody"],
        token: HTTP,
        held: (held::HTTP, held::HTTP_OWN),
        // Clients wait at its sockets; one that ends at once burns nothing.
        limit: RespawnLimit::Unlimited,
        pace: Span::secs(1),
    },
];

impl Kind {
    /// Returns everything about it.
    pub fn row(self) -> &'static Row {
        let [dbus, http] = &GATEWAYS;
        match self {
            Kind::Dbus => dbus,
            Kind::Http => http,
        }
    }

    /// Returns the kind whose channel has this token in the event loop.
    pub fn of_token(token: u64) -> Option<Kind> {
        GATEWAYS.iter().find(|row| row.token == token).map(|row| row.kind)
    }

    fn of_job(job: &JobName) -> Option<Kind> {
        GATEWAYS.iter().find(|row| row.job.as_bytes() == job.text().bytes()).map(|row| row.kind)
    }
}

/// What the daemon knows of its gateways.
#[derive(Default)]
pub struct Gateways {
    dbus: Gateway,
    http: Gateway,
}

/// What it knows of one.
#[derive(Default)]
pub struct Gateway {
    channel: Option<Channel>,
    /// Whether one lives that has said so.
    pub begun: bool,
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

impl Gateways {
    /// Returns the one of this kind.
    pub fn of(&mut self, kind: Kind) -> &mut Gateway {
        match kind {
            Kind::Dbus => &mut self.dbus,
            Kind::Http => &mut self.http,
        }
    }
}

impl Gateway {
    /// Says something to it, now or as soon as it runs.
    pub fn tell(&self, message: &ToGateway, fds: &[BorrowedFd<'_>]) -> Result<(), String> {
        let Some(channel) = &self.channel else { return Err(String::from("it does not run")) };
        let bytes = encode(message);
        if bytes.len() > MESSAGE_MAX {
            return Err(format!("what it is to be told has more than {MESSAGE_MAX} bytes"));
        }
        let sent = seqpacket::send(&channel.ours, &[&bytes], fds);
        sent.map_err(|errno| match errno {
            Errno::AGAIN | Errno::TOOMANYREFS => String::from("too many clients wait for it"),
            errno => errno.to_string(),
        })
    }
}

impl Daemon {
    /// Takes over what the keeper held for the gateways.
    pub(super) fn take_gateways(&mut self, held: &mut BTreeMap<u32, OwnedFd>) {
        self.take_bus(held);
        self.take_servers(held);
        for row in &GATEWAYS {
            let ends = (held.remove(&row.held.0), held.remove(&row.held.1));
            if let (Some(ours), Some(theirs)) = ends {
                self.gateways.of(row.kind).begun = true;
                self.watch_gateway(row, Channel { ours, theirs });
            }
        }
        // The daemon before may have died before it was said; who knows it passes over it.
        if self.gateways.of(Kind::Http).begun {
            self.http_begun();
        }
    }

    fn watch_gateway(&mut self, row: &Row, channel: Channel) -> bool {
        let added = self.epoll.add(&channel.ours, row.token, Interest::Read).is_ok();
        if added {
            self.gateways.of(row.kind).channel = Some(channel);
        }
        added
    }

    /// Makes a control connection that is served in the name of `caller`; returns the far end.
    pub(super) fn control_for(&mut self, caller: Caller) -> Result<UnixStream, String> {
        let pair = UnixStream::pair();
        let (ours, theirs) =
            pair.map_err(|error| format!("no control connection: {}", words(&error)))?;
        self.connections.take_in(ours, caller, Tongue::Varlink, &self.epoll);
        Ok(theirs)
    }

    /// Sees to it that a gateway runs, or is about to.
    pub(super) fn need_gateway(
        &mut self,
        kind: Kind,
        effects: &mut Vec<Effect>,
    ) -> Result<(), String> {
        let row = kind.row();
        let name = JobName::try_from(row.job).map_err(|error| error.to_string())?;
        if self.gateways.of(kind).channel.is_some() && self.engine.is_wanted(&name) {
            return Ok(());
        }
        if self.engine.shutting_down() {
            return Err(String::from("Upright is shutting down"));
        }
        let program = program(row.program)?;
        self.open_channel(row)?;
        let spec = Arc::new(self.gateway_spec(row, name, &program));
        if self.engine.spec(&spec.name) != Some(&spec) {
            self.handle(Input::Define(spec), effects);
        }
        let target = Target { job: Text::from(row.job), which: Which::Env(Vec::new()) };
        let request = Request::Start(target, Wait::Accepted);
        self.handle(Input::Ask(self.engine.next_request(), None, request, None), effects);
        Ok(())
    }

    /// Returns what a gateway's own process is given; nothing for any other. One that somebody started
    /// by hand gets a channel here.
    pub(super) fn given_to_gateway(&mut self, order: &SpawnOrder) -> Given {
        let kind = Kind::of_job(&order.spec.name).filter(|_| order.slot.role == Role::Main);
        let Some(kind) = kind else { return Given(Vec::new()) };
        if self.gateways.of(kind).channel.is_none() {
            if let Err(why) = self.open_channel(kind.row()) {
                self.say(Level::Error, &format!("{}: {why}", kind.row().job));
            }
        }
        let channel = self.gateways.of(kind).channel.as_ref();
        let copy = channel.and_then(|channel| channel.theirs.try_clone().ok());
        let mut given: Vec<(u8, OwnedFd)> = copy.into_iter().map(|copy| (CHANNEL, copy)).collect();
        let command = order.spec.commands.get(&Role::Main);
        if command == Some(&Command::Exec(Text::from(OPENED))) {
            let opened = program(kind.row().program).and_then(|path| {
                File::open(&path).map_err(|error| format!("{}: {}", path.display(), words(&error)))
            });
            match opened {
                Ok(file) => given.push((PROGRAM, file.into())),
                Err(why) => self.say(Level::Error, &format!("{}: {why}", kind.row().job)),
            }
        }
        Given(given)
    }

    fn open_channel(&mut self, row: &Row) -> Result<(), String> {
        self.close_channel(row.kind);
        let no = |why: &dyn std::fmt::Display| format!("no channel to {}: {why}", row.program);
        let (ours, theirs) = seqpacket::pair().map_err(|errno| no(&errno))?;
        self.hold(row.held.0, ours.as_fd());
        self.hold(row.held.1, theirs.as_fd());
        match self.watch_gateway(row, Channel { ours, theirs }) {
            true => Ok(()),
            false => Err(no(&"it cannot be watched")),
        }
    }

    /// Whoever waits in the channel is let go: with both ends it goes too.
    pub(super) fn close_channel(&mut self, kind: Kind) {
        let gateway = self.gateways.of(kind);
        gateway.begun = false;
        let Some(channel) = gateway.channel.take() else { return };
        let _ = self.epoll.delete(&channel.ours);
        let (ours, theirs) = kind.row().held;
        for key in [ours, theirs] {
            self.link.send(&ToKeeper::Drop { key }, &[]);
        }
        match kind {
            Kind::Dbus => self.dbus.queued = false,
            Kind::Http => {}
        }
    }

    /// Gives up gateways that are not wanted any more: stopped, or they could not be started.
    pub(super) fn give_up_gateways(&mut self) {
        for row in &GATEWAYS {
            if self.gateways.of(row.kind).channel.is_none() {
                continue;
            }
            let wanted = JobName::try_from(row.job).is_ok_and(|name| self.engine.is_wanted(&name));
            if !wanted {
                self.close_channel(row.kind);
            }
        }
    }

    fn gateway_spec(&self, row: &Row, name: JobName, program: &Path) -> JobSpec {
        let user = self.unprivileged(row);
        let mut spec = JobSpec::new(name);
        spec.attrs = Attrs { setuid: user, ..Attrs::default() }.into();
        // It ends when its channel does, once the answers that are on their way have arrived. The signal
        // says nothing; KILL follows where that does not help.
        let (kill_signal, kill_timeout) = (Signal::CONT, Span::secs(2));
        let backoff = Backoff { pace: row.pace, ..Backoff::default() };
        let policy = Policy {
            respawn: Respawn::Failed,
            respawn_limit: row.limit,
            backoff,
            kill_signal,
            kill_timeout,
            ..Policy::default()
        };
        spec.policy = policy.into();
        let program = match spec.attrs.setuid.is_some() && !nobody::all_can_execute(program) {
            // Whoever it runs as cannot go there; what is open already needs no way.
            true => Path::new(OPENED),
            false => program,
        };
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

    /// Returns whom a gateway runs as: nobody else where we may not become anybody.
    fn unprivileged(&self, row: &Row) -> Option<Text> {
        if self.settings.uid != 0 {
            return None;
        }
        let found = |name: &&str| users::user(Path::new("/"), name.as_bytes()).ok();
        let user = row.users.iter().find_map(|name| Some((Text::from(*name), found(name)?)));
        let (name, uid, gid) = match user {
            Some((name, user)) => (name, user.uid, user.gid),
            None => (Text::from(NOBODY.to_string()), NOBODY, NOBODY),
        };
        nobody::may_become(uid, gid).then_some(name)
    }

    /// Takes what a gateway asks.
    pub(super) fn hear_gateway(&mut self, kind: Kind, effects: &mut Vec<Effect>) {
        let mut buffer = [0; MESSAGE_MAX];
        for _ in 0..BATCH {
            let Some(channel) = &self.gateways.of(kind).channel else { return };
            match seqpacket::receive(&channel.ours, &mut buffer) {
                Ok(received) if received.length == 0 => return self.close_channel(kind),
                Ok(received) => {
                    let bytes = buffer.get(..received.length).unwrap_or(&[]);
                    let [fd, ..] = received.fds;
                    if let Some(message) = decode(bytes) {
                        self.answer_gateway(kind, message, fd, effects);
                    }
                }
                Err(Errno::MSGSIZE) => {}
                Err(_) => return,
            }
        }
    }

    fn answer_gateway(
        &mut self,
        kind: Kind,
        message: FromGateway,
        fd: Option<OwnedFd>,
        effects: &mut Vec<Effect>,
    ) {
        let (ask, caller) = match (message, kind) {
            (FromGateway::Begun, kind) => {
                self.gateways.of(kind).begun = true;
                return match kind {
                    Kind::Dbus => self.dbus_begun(effects),
                    Kind::Http => self.http_begun(),
                };
            }
            (FromGateway::More { ask }, Kind::Dbus) => {
                (ask, fd.and_then(|fd| self.client_of(fd)).map(Caller::Peer))
            }
            (FromGateway::Vouch { ask, uid, pid }, Kind::Dbus) => {
                (ask, self.vouched(uid, pid).map(Caller::Peer))
            }
            (FromGateway::Line { ask, server }, Kind::Http) => {
                (ask, self.granted(server).map(Caller::Server))
            }
            (FromGateway::Token { ask, server, digest, client }, Kind::Http) => {
                let shown = self.shown_token(server, digest, client.as_deref());
                (ask, shown.map(Caller::Token))
            }
            (FromGateway::Say { level, line }, _) => return self.say(level, &line),
            // What it has no clients for.
            (FromGateway::More { ask } | FromGateway::Vouch { ask, .. }, Kind::Http)
            | (FromGateway::Line { ask, .. } | FromGateway::Token { ask, .. }, Kind::Dbus) => {
                (ask, None)
            }
        };
        let control = caller.and_then(|caller| self.control_for(caller).ok());
        let fds: Vec<BorrowedFd<'_>> = control.iter().map(AsFd::as_fd).collect();
        if let Err(why) = self.gateways.of(kind).tell(&ToGateway::Control { ask }, &fds) {
            self.say(Level::Warn, &format!("{}: cannot be answered: {why}", kind.row().job));
        }
    }

    /// Notes that a gateway has ended, should it be one.
    pub(super) fn note_gateway_gone(&mut self, slot: Slot) {
        let kind = self.engine.name_of(slot.instance).and_then(|(job, _)| Kind::of_job(job));
        if let Some(kind) = kind {
            self.gateways.of(kind).begun = false;
        }
    }
}

/// Returns a gateway's program.
fn program(name: &str) -> Result<PathBuf, String> {
    let own = std::env::current_exe()
        .map_err(|error| format!("where is our program? {}", words(&error)))?;
    let path = own.with_file_name(name);
    let executable = path.metadata().is_ok_and(|file| file.permissions().mode() & 0o111 != 0);
    match executable {
        true => Ok(path),
        false => Err(format!("{} is not installed", path.display())),
    }
}
