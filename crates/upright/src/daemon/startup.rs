//! How a daemon begins: it hears what the keeper has, makes the machine again or anew, and listens.

use super::applying::Applying;
use super::catalogue::Catalogue;
use super::cgroups::Groups;
use super::connections::Connections;
use super::dbus::Dbus;
use super::files::Files;
use super::gateway::Gateways;
use super::http::Http;
use super::journal;
use super::link::{Link, Sent};
use super::locks::LAST_MOMENT;
use super::lookup::Lookups;
use super::programs::Programs;
use super::rights::Accounts;
use super::settings::{Settings, SYSTEM_ADDRESS};
use super::shared::Shared;
use super::talk::{Grade, Voice};
use super::upgrade;
use super::watching::Watching;
use super::{Daemon, Seen, Standing, CONTROL, KEEPER, LOGGER, SESSION, TURN_CPU, WATCH};
use crate::options::{Mode, Options, Startup};
use engine::control::rights::Rights;
use engine::journal::{undone, Record};
use engine::keeper::{held, FromKeeper, NotUpgraded, Replaced, Scope, ToKeeper};
use engine::machine::state::Goal;
use engine::machine::{self, Effect, Engine, Input, Level};
use engine::names::EventName;
use engine::process::{InstanceId, Role, Slot};
use engine::recovery::{recover, Phase, Table};
use engine::signal::Signal;
use engine::text::Text;
use engine::time::{Mono, Span};
use shown::words::system as words;
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

/// How long processes that nobody knows any more are waited for after KILL.
const STRANGERS: Span = Span::secs(10);

/// How long to wait before the keeper is sent something again.
const ROOM: Span = Span::millis(5);

/// Why there is no daemon.
#[derive(Debug)]
pub(super) enum Refused {
    /// It cannot start: why.
    Start(String),
    /// The configuration of Supervisor's programs is wrong, which has been said; everything ends.
    Usage,
}

impl From<String> for Refused {
    fn from(why: String) -> Refused {
        Refused::Start(why)
    }
}

/// What the keeper told a new daemon.
struct Told {
    attempt: u32,
    /// The process that the user started.
    keeper: engine::process::Pid,
    upgrades: u32,
    replaced: Replaced,
    /// Another binary was the keeper and was given up.
    given_up: Option<NotUpgraded>,
    held: BTreeMap<u32, OwnedFd>,
    logger: Option<OwnedFd>,
    table: Table,
    /// To be heard once there is a machine.
    news: Vec<FromKeeper>,
    /// Whether the table was told to its end.
    whole: bool,
}

/// Begins: returns a daemon that is ready for its first turn.
pub(super) fn begin(options: Options, mut link: Link) -> Result<Daemon, Refused> {
    sys::timer::arm(TURN_CPU);
    let epoll = Epoll::new(256).map_err(|errno| format!("epoll: {errno}"))?;
    let watch = |fd, token| epoll.add(fd, token, Interest::Read);
    watch(link.fd(), KEEPER).map_err(|errno| format!("epoll: {errno}"))?;
    let mut epoll = epoll;
    let mut told = Told::listen(&mut link, &mut epoll).map_err(Refused::Start)?;
    let settings = Settings::new(options, told.keeper);
    let mut daemon = nothing_yet(settings, link, epoll);
    let journal = told.held.remove(&held::JOURNAL);
    let anew = journal.is_none() && told.table.rows().next().is_none();
    daemon.upgrade_given_up = told.given_up.map(upgrade::given_up);
    daemon.take_programs(&mut told.held);
    daemon.take_rights(&mut told.held);
    daemon.take_audit(&mut told.held);
    daemon.lock_state(&mut told.held, LAST_MOMENT);
    daemon.take_tokens(&mut told.held);
    daemon.take_gateways(&mut told.held);
    daemon.take_pools(&mut told.held);
    daemon.take_test();
    match anew {
        true => daemon.begin_anew()?,
        false => daemon.go_on(&mut told, journal.as_ref())?,
    }
    daemon.forget_read();
    daemon.pass_listeners();
    told.logger.take().into_iter().for_each(|logger| daemon.take_logger(logger));
    daemon.take_files(&mut told.held);
    daemon.take_groups(&mut told.held);
    daemon.take_shared(&mut told.held);
    daemon.wait_for_changes()?;
    if let Err(why) = daemon.lock_logs(&mut told.held).and_then(|()| daemon.listen(&mut told.held))
    {
        if anew {
            // Nothing runs yet: the keeper need not try again what cannot be.
            daemon.end_programs();
            daemon.http.remove_files();
            daemon.link.send(&ToKeeper::Quit { code: 1 }, &[]);
        }
        return Err(Refused::Start(why));
    }
    if let Some(why) = daemon.upgrade_given_up.as_ref().filter(|_| told.attempt == 0) {
        daemon.say(Level::Error, why);
    }
    daemon.hear_all(std::mem::take(&mut told.news));
    Ok(daemon)
}

/// Returns a daemon that knows nothing but its settings.
fn nothing_yet(settings: Settings, link: Link, epoll: Epoll) -> Daemon {
    Daemon {
        engine: Engine::new(settings.config()),
        voice: Voice::new(settings.options.mode, settings.keeper),
        epoll,
        link,
        keeper_full: false,
        watched: Interest::Read,
        logger: None,
        listeners: Vec::new(),
        connections: Connections::new(settings.uid),
        rights: Rights::of_owner(settings.uid),
        accounts: Accounts::default(),
        tokens_due: None,
        keeping: Default::default(),
        journal: None,
        todo: VecDeque::new(),
        news: VecDeque::new(),
        touched: BTreeSet::new(),
        drains: Vec::new(),
        state_locked: false,
        lookups: Lookups::default(),
        arguments: Vec::new(),
        trial: None,
        upgrade_given_up: None,
        sweeping: BTreeMap::new(),
        lingering: BTreeMap::new(),
        following: BTreeSet::new(),
        stacks: BTreeMap::new(),
        troubles: BTreeMap::new(),
        lending: Default::default(),
        logs: Default::default(),
        speeches: Default::default(),
        armed: Mono(0),
        bulky: true,
        seen: Seen::default(),
        given_up: None,
        journal_lost: false,
        again: BTreeSet::new(),
        files: Files::default(),
        pools: Default::default(),
        shared: Shared::default(),
        gateways: Gateways::default(),
        dbus: Dbus::default(),
        http: Http::default(),
        groups: Groups::new(settings.options.grouping),
        catalogue: Catalogue::new(settings.sources.clone()),
        applying: Applying::default(),
        watching: Watching::new(),
        programs: Programs::default(),
        chronicle: None,
        audit: None,
        level: Level::Message,
        behind: 0,
        standing: Standing::Starting,
        settings,
    }
}

impl Told {
    /// Hears the keeper out: what it holds, its table, then that this was all.
    fn listen(link: &mut Link, epoll: &mut Epoll) -> Result<Told, String> {
        let mut told = Told {
            attempt: 0,
            keeper: 0,
            upgrades: 0,
            replaced: Replaced::No,
            given_up: None,
            held: BTreeMap::new(),
            logger: None,
            table: Table::default(),
            news: Vec::new(),
            whole: false,
        };
        while !told.whole {
            told.hear(link, epoll, None)?;
        }
        Ok(told)
    }

    /// Waits for what the keeper tells next, for at most so long, and takes it.
    fn hear(
        &mut self,
        link: &mut Link,
        epoll: &mut Epoll,
        patience: Option<Span>,
    ) -> Result<(), String> {
        let mut heard = false;
        while let Some((message, fd)) =
            link.receive().map_err(|errno| format!("the keeper is gone: {errno}"))?
        {
            heard = true;
            self.take(message, fd);
            if message == FromKeeper::Told {
                return Ok(());
            }
        }
        if !heard {
            let waited = epoll.wait(patience.map(|span| span.0));
            waited.map_err(|errno| format!("epoll: {errno}"))?.for_each(drop);
        }
        Ok(())
    }

    fn take(&mut self, message: FromKeeper, fd: Option<OwnedFd>) {
        match message {
            FromKeeper::Welcome { attempt, keeper, upgrades, replaced } => {
                (self.attempt, self.keeper) = (attempt, keeper);
                (self.upgrades, self.replaced) = (upgrades, replaced);
            }
            FromKeeper::Held { key } => {
                if let Some(fd) = fd {
                    self.held.insert(key, fd);
                }
            }
            FromKeeper::Logger => self.logger = fd,
            FromKeeper::Told => self.whole = true,
            FromKeeper::Signalled { .. } => self.news.push(message),
            FromKeeper::Spawned { .. }
            | FromKeeper::SpawnFailed { .. }
            | FromKeeper::Stopped { .. }
            | FromKeeper::Exited { .. }
            | FromKeeper::OrphanExited { .. } => self.table.tell(&message),
            FromKeeper::NotUpgraded { why } => self.given_up = Some(why),
            // Said to the daemon that asked.
            FromKeeper::Lent { .. } => {}
        }
    }
}

/// What a journal tells of the daemons before this one, as far as it is believed.
struct Past {
    records: Vec<Record>,
    ticked: u64,
    /// What had to be given up, in a sentence.
    given_up: Option<String>,
}

impl Past {
    /// Reads the journal, and believes less of it the more daemons have died of it.
    fn read(fd: Option<&OwnedFd>, attempt: u32) -> Past {
        let read = fd.map(journal::read);
        let (mut records, mut ticked, fault) =
            read.unwrap_or_else(|| (Vec::new(), 0, Some(String::from("there is no journal"))));
        let mut given_up = fault.map(|fault| match records.is_empty() {
            true => format!("{fault}; all services were ended and Upright began anew"),
            false => format!("{fault}; what happened after that is forgotten"),
        });
        if attempt >= DISTRUST_ALL {
            records.clear();
            given_up = Some(format!(
                "{attempt} daemons died in a row: all services were ended and Upright began anew"
            ));
        } else if attempt >= DISTRUST_TURNS {
            records.truncate(1);
            if let Some(snapshot) = records.first_mut() {
                // What else was in line follows from the machine and the table once more.
                let left = undone(std::slice::from_ref(snapshot), ticked);
                let ends = left.into_iter().filter(|effect| matches!(effect, Effect::Quit(_)));
                snapshot.effects = ends.collect();
            }
            ticked = 0;
            given_up = Some(format!(
                "{attempt} daemons died in a row: what happened after the last snapshot is forgotten"
            ));
        }
        Past { records, ticked, given_up }
    }

    /// Returns what subscribers were told, or were about to be.
    fn notices(&self) -> Vec<(u64, machine::Notice)> {
        let effects = self.records.iter().flat_map(|record| &record.effects);
        let notices = effects.filter_map(|effect| match effect {
            Effect::Notice(sequence, notice) => Some((*sequence, notice.clone())),
            Effect::Spawn(_)
            | Effect::Signal(..)
            | Effect::Release(_)
            | Effect::Adopt(..)
            | Effect::Survey(..)
            | Effect::Sweep(..)
            | Effect::SweepAll(_)
            | Effect::Reply(..)
            | Effect::Say(..)
            | Effect::Keep(_)
            | Effect::Quit(_) => None,
        });
        notices.collect()
    }
}

impl Daemon {
    /// The first daemon, or one that can believe nothing: reads the job files and emits what begins
    /// everything.
    fn begin_anew(&mut self) -> Result<(), Refused> {
        self.engine.hear(self.settings.options.level);
        self.make_user_directories();
        let mut effects = Vec::new();
        self.recall_intents(&mut effects);
        self.reload();
        self.read_all_files(&mut effects);
        // Nobody was there yet to be told of the jobs.
        effects.retain(|effect| !matches!(effect, Effect::Notice(..)));
        self.engine.number_notices_anew();
        self.rescue(&mut effects);
        self.begin_programs(&mut effects)?;
        for (name, env) in first_events(&self.settings.options) {
            match EventName::try_from(Text::from(name.as_str())) {
                Ok(name) => self.handle(Input::Happened(name, env), &mut effects),
                Err(error) => self.say(Level::Error, &format!("event `{name}`: {error}")),
            }
        }
        self.say_where_nothing_starts();
        self.join_bus_at_start(&mut effects);
        self.serve_at_start(&mut effects);
        self.todo.extend(effects);
        Ok(())
    }

    /// Says to who waits before a terminal that nothing will happen, and what would make it happen.
    fn say_where_nothing_starts(&self) {
        if self.settings.options.mode != Mode::Up || self.engine.processes().next().is_some() {
            return;
        }
        let all = self.engine.list(None, usize::MAX);
        if all.iter().any(|instance| instance.goal == Goal::Start) {
            return;
        }
        let places = self.settings.sources.iter().map(|place| place.display().to_string());
        let places = places.collect::<Vec<_>>().join(", ");
        let what = match self.engine.job_count() {
            0 => format!("no jobs in {places}: a file NAME.conf with a line `exec PROGRAM' becomes one at once"),
            many => format!(
                "nothing in {places} starts by itself (jobs: {many}): `upright start NAME' starts one, a line `start on startup' in its file does whenever Upright begins"
            ),
        };
        self.say(Level::Warn, &what);
    }

    /// Makes the directory that a user's job files belong into, and the one above it, where they are
    /// not there. Source: spec 2.1.
    fn make_user_directories(&self) {
        let Some(config) = &self.settings.config_home else { return };
        for directory in [config.clone(), config.join("upstart")] {
            // Where it cannot be made it stays away, and is watched for.
            let _ = DirBuilder::new().mode(0o700).create(directory);
        }
    }

    fn hear_all(&mut self, news: Vec<FromKeeper>) {
        let mut effects = Vec::new();
        news.into_iter().for_each(|news| self.hear(news, &mut effects));
        self.record(effects);
    }

    /// A later daemon: goes on where the last one was, as far as there is a record of it.
    fn go_on(&mut self, told: &mut Told, journal: Option<&OwnedFd>) -> Result<(), Refused> {
        let mut past = Past::read(journal, told.attempt);
        self.given_up = past.given_up.take();
        if let Some(given_up) = &self.given_up {
            self.voice.say(Level::Error, given_up);
        }
        match past.records.is_empty() {
            true => self.begin_again(told),
            false => {
                self.recover(past, &told.table, told.replaced);
                Ok(())
            }
        }
    }

    /// Wakes up for changes of the job files.
    fn wait_for_changes(&self) -> Result<(), String> {
        let Some(fd) = self.watching.fd() else { return Ok(()) };
        let watched = self.epoll.add(fd, WATCH, Interest::Read);
        watched.map_err(|errno| format!("epoll: {errno}"))
    }

    /// A daemon after a crash: the machine of the journal, brought into step with the keeper.
    /// Nothing is done before a new journal has it all, so that this can be done again.
    fn recover(&mut self, past: Past, table: &Table, replaced: Replaced) {
        for (sequence, what) in past.notices() {
            self.connections.publish(None, sequence, what);
        }
        let config = self.settings.config();
        let (engine, catching) = recover(config, past.records, past.ticked, table, replaced);
        self.engine = engine;
        self.allow_restarts();
        self.following = self.engine.followed().collect();
        // What changed while nobody looked is found in the turns that follow.
        self.walk_all();
        self.todo.extend(catching.effects);
        let mut effects = Vec::new();
        for input in catching.inputs {
            self.handle(input, &mut effects);
        }
        // Their connections have ended with the daemon that had them.
        for request in self.engine.without_token() {
            self.handle(Input::Gone(request), &mut effects);
        }
        self.engine.tell_restarted(&mut effects);
        self.todo.extend(effects);
        match replaced {
            Replaced::No => self.say(Level::Info, "daemon restarted; all jobs go on"),
            Replaced::Yes => self.say_replaced(table),
        }
    }

    fn say_replaced(&self, table: &Table) {
        let running = table.rows().filter(|(_, phase)| matches!(phase, Phase::Running { .. }));
        let (running, keeper) = (running.count(), self.settings.keeper);
        self.say(
            Level::Warn,
            &format!(
                "the keeper was killed; process {keeper} has taken its place, in the background, and {running} processes go on; `upright down' or `kill {keeper}' ends them and Upright in order"
            ),
        );
    }

    /// Begins anew where processes run that nobody knows any more: they are ended first, so that
    /// there is never a second main.
    fn begin_again(&mut self, told: &mut Told) -> Result<(), Refused> {
        for (slot, _) in told.table.rows() {
            self.engine.never_reuse(slot);
        }
        // The table does not tell what is still being set up: generations count up by one, so those
        // from here on are none that was ever given.
        let generation = sys::clock::monotonic().0;
        let instance = InstanceId(0);
        self.engine.never_reuse(Slot { instance, role: Role::Main, generation });
        self.end_strangers(told)?;
        self.begin_anew()
    }

    /// Ends every process of the table and waits until it is gone, for a time.
    fn end_strangers(&mut self, told: &mut Told) -> Result<(), String> {
        let until = sys::clock::monotonic() + STRANGERS;
        let lives = |phase: Phase| match phase {
            Phase::Running { .. } => true,
            Phase::Failed(..) | Phase::Exited { .. } => false,
        };
        let strangers: Vec<Slot> = told.table.rows().map(|(slot, _)| slot).collect();
        for slot in &strangers {
            if told.table.phase(*slot).is_some_and(lives) {
                let (slot, signal, scope) = (*slot, Signal::KILL, Scope::Group);
                self.tell(&ToKeeper::Signal { slot, signal, scope }, told)?;
            }
        }
        while told.table.rows().any(|(_, phase)| lives(phase)) {
            let left = until.since(sys::clock::monotonic());
            if left == Span::ZERO {
                self.say(Level::Error, "processes of an earlier daemon do not end, even by KILL");
                break;
            }
            told.hear(&mut self.link, &mut self.epoll, Some(left))?;
        }
        for slot in strangers {
            self.tell(&ToKeeper::Release { slot }, told)?;
        }
        Ok(())
    }

    /// Sends a message before there are turns; waits for room where there is none.
    fn tell(&mut self, message: &ToKeeper<'_>, told: &mut Told) -> Result<(), String> {
        loop {
            match self.link.send(message, &[]) {
                Sent::Yes => return Ok(()),
                Sent::Full => told.hear(&mut self.link, &mut self.epoll, Some(ROOM))?,
                Sent::Gone => return Err(String::from("the keeper is gone")),
            }
        }
    }

    pub(super) fn take_logger(&mut self, fd: OwnedFd) {
        self.drop_logger();
        if self.epoll.add(&fd, LOGGER, Interest::Read).is_ok() {
            self.logger = Some(fd);
            if let Some(number) = self.engine.unkept() {
                self.keep_intents(number);
            }
            self.pass_chronicle();
            self.pass_audit();
            self.ask_logger_again();
            self.keep_tokens();
        }
    }

    pub(super) fn drop_logger(&mut self) {
        if let Some(logger) = self.logger.take() {
            let _ = self.epoll.delete(&logger);
        }
    }

    /// Listens at the places of control: those that the keeper held, else new ones.
    fn listen(&mut self, held: &mut BTreeMap<u32, OwnedFd>) -> Result<(), String> {
        for (key, token) in [(held::CONTROL, CONTROL), (held::SESSION, SESSION)] {
            let listener = match held.remove(&key) {
                Some(fd) => Some(UnixListener::from(fd)),
                None if token == CONTROL => self.listen_in_files(),
                None => self.listen_without_files()?,
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

    /// Listens at the session's address. The machine's Upright listens where Upstart did, for D-Bus
    /// clients; and at a session's where there is no place in the file system: on a read-only root, as
    /// an arbitrary user.
    fn listen_without_files(&self) -> Result<Option<UnixListener>, String> {
        let instead = || crate::session::name(self.settings.uid, self.settings.keeper);
        let instead = self.listeners.is_empty().then(instead);
        let needed = self.settings.session.clone().or(instead);
        let at = needed.as_deref().unwrap_or(SYSTEM_ADDRESS);
        let cannot =
            |error: &io::Error| format!("cannot listen at abstract socket {at}: {}", words(error));
        match listen_abstract(at) {
            Ok(listener) => Ok(Some(listener)),
            Err(error) if needed.is_none() => {
                let line = cannot(&error);
                self.voice_at(Level::Info, &line);
                Ok(None)
            }
            Err(error) => Err(cannot(&error)),
        }
    }

    pub(super) fn hold(&self, key: u32, fd: std::os::fd::BorrowedFd<'_>) {
        if self.link.send(&ToKeeper::Hold { key }, &[fd]) != Sent::Yes {
            self.say(Level::Error, "a descriptor would not survive a crash of the daemon");
        }
    }

    fn listen_in_files(&mut self) -> Option<UnixListener> {
        let path = self.settings.socket.clone()?;
        match listen_at(&path) {
            Ok(listener) => Some(listener),
            Err(error) => {
                // There is another way in, at an abstract address.
                let optional = self.settings.options.socket.is_none();
                let level = if optional { Level::Info } else { Level::Error };
                self.voice_at(
                    level,
                    &format!("control socket {}: {}", path.display(), words(&error)),
                );
                self.settings.socket = None;
                None
            }
        }
    }

    fn voice_at(&self, level: Level, line: &str) {
        if let Some(chronicle) = &self.chronicle {
            chronicle.write(Grade::of(level), line);
        } else if level >= self.settings.options.level {
            self.voice.say(level, line);
        }
    }

    fn write_session_file(&self) {
        let (Some(file), Some(session)) = (&self.settings.session_file, &self.settings.session)
        else {
            return;
        };
        let text = format!("UPSTART_SESSION=unix:abstract={session}\n");
        if fs::read(file).is_ok_and(|there| there == text.as_bytes()) {
            return;
        }
        let written =
            file.parent().map_or(Ok(()), make_private).and_then(|()| write_new(file, &text));
        if let Err(error) = written {
            self.voice_at(
                Level::Warn,
                &format!("session file {}: {}", file.display(), words(&error)),
            );
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
