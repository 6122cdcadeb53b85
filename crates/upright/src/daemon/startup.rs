//! How a daemon begins: it hears what the keeper has, makes the machine again or anew, and listens.

use super::catalogue::Catalogue;
use super::connections::Connections;
use super::journal;
use super::link::{Link, Sent};
use super::settings::Settings;
use super::talk::Voice;
use super::watching::Watching;
use super::{Daemon, CONTROL, KEEPER, LOGGER, SESSION, WATCH};
use crate::options::{Mode, Options, Startup};
use engine::keeper::{held, FromKeeper, ToKeeper};
use engine::machine::{Engine, Input, Level};
use engine::names::EventName;
use engine::recovery::{recover, Table};
use engine::text::Text;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::Path;
use sys::epoll::{Epoll, Interest};

/// How many daemons may die early before a new one distrusts the turns since the last snapshot.
const DISTRUST_TURNS: u32 = 3;

/// How many before it distrusts the snapshot too.
const DISTRUST_ALL: u32 = 6;

/// What the keeper told a new daemon.
struct Told {
    attempt: u32,
    keeper: engine::process::Pid,
    held: BTreeMap<u32, OwnedFd>,
    logger: Option<OwnedFd>,
    table: Table,
    signals: Vec<u8>,
}

/// Begins: returns a daemon that is ready for its first turn.
pub(super) fn begin(options: Options, link: Link) -> Result<Daemon, String> {
    let epoll = Epoll::new(256).map_err(|errno| format!("epoll: {errno}"))?;
    let watch = |fd, token| epoll.add(fd, token, Interest::Read);
    watch(link.fd(), KEEPER).map_err(|errno| format!("epoll: {errno}"))?;
    let mut epoll = epoll;
    let told = listen_to_keeper(&link, &mut epoll)?;
    let settings = Settings::new(options, told.keeper);
    let voice = Voice::new(settings.options.mode);
    let rights = Daemon::rights(settings.uid);
    let mut daemon = Daemon {
        engine: Engine::new(settings.config()),
        voice,
        epoll,
        link,
        keeper_full: false,
        logger: None,
        listeners: Vec::new(),
        connections: Connections::new(rights),
        journal: None,
        todo: VecDeque::new(),
        news: VecDeque::new(),
        touched: BTreeSet::new(),
        drains: Vec::new(),
        sweeping: BTreeMap::new(),
        troubles: BTreeMap::new(),
        again: BTreeSet::new(),
        catalogue: Catalogue::new(settings.sources.clone()),
        watching: Watching::new(),
        orphans_seen: 0,
        level: Level::Message,
        ended: false,
        settings,
    };
    if let Some(logger) = told.logger {
        daemon.take_logger(logger);
    }
    if let Some(fd) = daemon.watching.fd() {
        let watched = daemon.epoll.add(fd, WATCH, Interest::Read);
        watched.map_err(|errno| format!("epoll: {errno}"))?;
    }
    let mut held = told.held;
    match held.remove(&held::JOURNAL) {
        Some(fd) => daemon.recover(&fd, &told.table, told.attempt),
        None => daemon.begin_anew(),
    }
    daemon.listen(&mut held)?;
    let signals = told.signals.into_iter().map(|signal| FromKeeper::Signalled { signal });
    let mut effects = Vec::new();
    signals.for_each(|message| daemon.hear(message, &mut effects));
    daemon.record(effects);
    daemon.say_ready()?;
    Ok(daemon)
}

/// Hears the keeper out: what it holds, its table, then that this was all.
fn listen_to_keeper(link: &Link, epoll: &mut Epoll) -> Result<Told, String> {
    let mut told = Told {
        attempt: 0,
        keeper: 0,
        held: BTreeMap::new(),
        logger: None,
        table: Table::default(),
        signals: Vec::new(),
    };
    loop {
        match link.receive() {
            Ok(None) => {
                epoll.wait(None).map_err(|errno| format!("epoll: {errno}"))?.for_each(drop);
            }
            Ok(Some((message, fd))) => match message {
                FromKeeper::Welcome { attempt, keeper } => {
                    told.attempt = attempt;
                    told.keeper = keeper;
                }
                FromKeeper::Held { key } => {
                    if let Some(fd) = fd {
                        told.held.insert(key, fd);
                    }
                }
                FromKeeper::Logger => told.logger = fd,
                FromKeeper::Told => return Ok(told),
                FromKeeper::Signalled { signal } => told.signals.push(signal),
                FromKeeper::Spawned { .. }
                | FromKeeper::SpawnFailed { .. }
                | FromKeeper::Stopped { .. }
                | FromKeeper::Exited { .. }
                | FromKeeper::OrphanExited { .. } => told.table.tell(&message),
            },
            Err(errno) => return Err(format!("the keeper is gone: {errno}")),
        }
    }
}

impl Daemon {
    /// The first daemon: reads the job files and emits what begins everything.
    fn begin_anew(&mut self) {
        self.engine.hear(self.settings.options.level);
        let mut effects = Vec::new();
        self.reload();
        self.read_all_files(&mut effects);
        for (name, env) in first_events(&self.settings.options) {
            match EventName::try_from(Text::from(name.as_str())) {
                Ok(name) => self.handle(Input::Happened(name, env), &mut effects),
                Err(error) => self.say(Level::Error, &format!("event `{name}`: {error}")),
            }
        }
        // In the journal before it is done; the journal begins with what the turn came to.
        self.todo.extend(effects);
        self.engine.take_changes();
        self.compact();
    }

    /// A daemon after a crash: the machine of the journal, brought into step with the keeper.
    fn recover(&mut self, fd: &OwnedFd, table: &Table, attempt: u32) {
        let (mut records, mut ticked, mut trouble) = journal::read(fd);
        if attempt >= DISTRUST_ALL {
            records.clear();
            trouble = Some(format!("{attempt} daemons died: starting from the job files alone"));
        } else if attempt >= DISTRUST_TURNS {
            records.truncate(1);
            ticked = 0;
            trouble = Some(format!("{attempt} daemons died: starting from the last snapshot"));
        }
        let lost = records.is_empty();
        let (engine, catching) = recover(self.settings.config(), records, ticked, table);
        self.engine = engine;
        if let Some(trouble) = trouble {
            self.voice.say(Level::Error, &trouble);
        }
        let mut effects = Vec::new();
        if lost {
            self.engine.hear(self.settings.options.level);
            self.reload();
            self.read_all_files(&mut effects);
        } else {
            // What changed while nobody looked is found in the turns that follow.
            self.walk_all();
        }
        self.todo.extend(catching.effects);
        for input in catching.inputs {
            self.handle(input, &mut effects);
        }
        self.todo.extend(effects);
        self.engine.take_changes();
        self.compact();
        self.say(Level::Info, "daemon restarted; all jobs go on");
    }

    pub(super) fn take_logger(&mut self, fd: OwnedFd) {
        self.drop_logger();
        if self.epoll.add(&fd, LOGGER, Interest::Read).is_ok() {
            self.logger = Some(fd);
        }
    }

    pub(super) fn drop_logger(&mut self) {
        if let Some(logger) = self.logger.take() {
            let _ = self.epoll.delete(&logger);
        }
    }

    /// Listens at the places of control: those that the keeper held, else new ones.
    fn listen(&mut self, held: &mut BTreeMap<u32, OwnedFd>) -> Result<(), String> {
        let session = self.settings.session.clone();
        for (key, token) in [(held::CONTROL, CONTROL), (held::SESSION, SESSION)] {
            let listener = match held.remove(&key) {
                Some(fd) => Some(UnixListener::from(fd)),
                None if token == CONTROL => self.listen_in_files(),
                None => match session.as_deref().map(listen_abstract) {
                    Some(Ok(listener)) => Some(listener),
                    Some(Err(error)) => {
                        let at = session.unwrap_or_default();
                        return Err(format!("cannot listen at abstract socket {at}: {error}"));
                    }
                    None => None,
                },
            };
            let Some(listener) = listener else { continue };
            let added = listener.set_nonblocking(true).is_ok()
                && self.epoll.add(&listener, token, Interest::Read).is_ok();
            if added {
                self.hold(key, listener.as_fd());
                self.listeners.push((token, listener));
            }
        }
        if self.listeners.is_empty() {
            return Err(String::from("there is no place for a control socket (see --socket)"));
        }
        self.write_session_file();
        Ok(())
    }

    fn hold(&self, key: u32, fd: std::os::fd::BorrowedFd<'_>) {
        if self.link.send(&ToKeeper::Hold { key }, &[fd]) != Sent::Yes {
            self.say(Level::Error, "a control socket would not survive a crash of the daemon");
        }
    }

    fn listen_in_files(&mut self) -> Option<UnixListener> {
        let path = self.settings.socket.clone()?;
        match listen_at(&path) {
            Ok(listener) => Some(listener),
            Err(error) => {
                let optional =
                    self.settings.session.is_some() && self.settings.options.socket.is_none();
                let level = if optional { Level::Info } else { Level::Error };
                self.voice_at(level, &format!("control socket {}: {error}", path.display()));
                self.settings.socket = None;
                None
            }
        }
    }

    fn voice_at(&self, level: Level, line: &str) {
        if level >= self.settings.options.level {
            self.voice.say(level, line);
        }
    }

    fn write_session_file(&self) {
        let (Some(file), Some(session)) = (&self.settings.session_file, &self.settings.session)
        else {
            return;
        };
        let written = file
            .parent()
            .map_or(Ok(()), make_private)
            .and_then(|()| write_new(file, &format!("UPSTART_SESSION=unix:abstract={session}\n")));
        if let Err(error) = written {
            self.voice_at(Level::Warn, &format!("session file {}: {error}", file.display()));
        }
    }

    fn say_ready(&mut self) -> Result<(), String> {
        match self.link.send(&ToKeeper::Ready, &[]) {
            Sent::Yes => Ok(()),
            Sent::Full | Sent::Gone => Err(String::from("the keeper does not listen")),
        }
    }
}

/// Removes what a session left in the file system.
pub(super) fn remove_files(settings: &Settings) {
    if let Some(file) = &settings.session_file {
        let _ = fs::remove_file(file);
    }
    if let Some(socket) = &settings.socket {
        let _ = fs::remove_file(socket);
    }
}

/// Returns the events that begin everything. In the foreground also those that a boot would bring,
/// so that jobs of a machine run as they are.
fn first_events(options: &Options) -> Vec<(String, Vec<Text>)> {
    let mut events = Vec::new();
    if let Startup::Event(name) = &options.startup {
        events.push((name.clone(), Vec::new()));
        if options.mode == Mode::Up {
            events.push((String::from("filesystem"), Vec::new()));
            let env = vec![Text::from("RUNLEVEL=2"), Text::from("PREVLEVEL=N")];
            events.push((String::from("runlevel"), env));
        }
    }
    events
}

fn listen_abstract(name: &str) -> io::Result<UnixListener> {
    UnixListener::bind_addr(&SocketAddr::from_abstract_name(name)?)
}

/// Listens at a path; takes the place of a socket that nobody answers at.
fn listen_at(path: &Path) -> io::Result<UnixListener> {
    if let Some(parent) = path.parent() {
        make_private(parent)?;
    }
    // Made under another name and moved over, so that it is never there with the wrong mode.
    let made = path.with_extension(format!("{}", std::process::id()));
    if UnixStream::connect(path).is_ok() {
        return Err(io::Error::other("another Upright answers there"));
    }
    let _ = fs::remove_file(&made);
    let listener = UnixListener::bind(&made)?;
    // Everybody may connect; what they may do is decided by who they are.
    let opened = fs::set_permissions(&made, Permissions::from_mode(0o666))
        .and_then(|()| fs::rename(&made, path));
    if let Err(error) = opened {
        let _ = fs::remove_file(&made);
        return Err(error);
    }
    Ok(listener)
}

fn make_private(directory: &Path) -> io::Result<()> {
    let mode = if directory.starts_with("/run/upright") { 0o755 } else { 0o700 };
    DirBuilder::new().recursive(true).mode(mode).create(directory)
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let made = path.with_extension("new");
    fs::write(&made, text)?;
    fs::rename(&made, path)
}
