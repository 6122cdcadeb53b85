//! News of the world becomes inputs of the engine. The only file that makes them.

use super::cgroups::News;
use super::connections::{of_token, Accepting, ConnectionId, Cursor, Heard, Tongue};
use super::gateway::Kind;
use super::orphans::Census;
use super::upgrade::not_upgraded;
use super::{outputs, Daemon, Standing, CONTROL, KEEPER, LOGGER, SESSION, TRIAL, WATCH};
use crate::keeper::handover::Kin;
use crate::options::Mode;
use crate::session::FIRST;
use engine::control::answer::{Answer, Version};
use engine::control::call::{Call, Follow, Listed};
use engine::control::fault::Fault;
use engine::control::rights::Caller;
use engine::keeper::FromKeeper;
use engine::logroute::{self, FromLogger};
use engine::machine::request::{Refusal, Request, Target};
use engine::machine::{Effect, Found, Input, Level, Remaining, ShutdownKind, Variation, Whose};
use engine::names::{EventName, JobName};
use engine::process::{InstanceId, Pid, Slot, Stream};
use engine::signal::Signal;
use engine::text::Text;
use engine::view::{Asker, InstanceView, SettingsView};
use shown::words::system as words;
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use sys::epoll::{Interest, Ready};
use sys::{seqpacket, Errno};

/// How many messages of the keeper are taken in one turn.
const KEEPER_BATCH: usize = 2048;

/// So many messages of the keeper in one turn show that it may have more to tell, as when this
/// process was stopped for a while.
const BEHIND: usize = 32;

/// How many turns in a row deadlines wait for that.
const BEHIND_MAX: u32 = 100;

/// How many calls of one connection are taken in one turn.
const CALLS_BATCH: usize = 64;

/// How many instances or jobs of a list are looked at together.
const PAGE: usize = 128;

impl Daemon {
    /// Takes everything that has come and hands it to the engine in order.
    pub(super) fn take_batch(&mut self, ready: &[Ready]) {
        let mut effects = Vec::new();
        let news: Vec<Input> = self.news.drain(..).collect();
        news.into_iter().for_each(|input| self.handle(input, &mut effects));
        let mut told = 0;
        for event in ready {
            match event.token {
                KEEPER => told = self.hear_keeper(&mut effects),
                LOGGER => self.hear_logger(),
                TRIAL => self.hear_trial(),
                token => {
                    if let Some(kind) = Kind::of_token(token) {
                        self.hear_gateway(kind, &mut effects);
                    }
                }
            }
        }
        self.count_again();
        // A deadline has not passed as long as what it waits for may be among the news: the channel
        // holds few, and the keeper tells the rest when there is room.
        let behind = told >= BEHIND && self.behind < BEHIND_MAX;
        self.behind = if behind { self.behind + 1 } else { 0 };
        if !behind {
            self.handle(Input::Tick, &mut effects);
        }
        self.give_up_drains();
        self.give_up_lending();
        self.give_up_logs();
        self.give_up_lookups();
        self.give_up_trial();
        let news = if ready.is_empty() { News::None } else { News::Some };
        self.remove_groups(sys::clock::monotonic(), news);
        let again = std::mem::take(&mut self.again).into_iter().map(|id| (id, false));
        let mut clients: BTreeMap<ConnectionId, bool> = again.collect();
        for event in ready {
            if let Some(id) = of_token(event.token) {
                clients.insert(id, event.hangup);
            }
        }
        clients.into_iter().for_each(|(id, hangup)| self.hear_client(id, hangup, &mut effects));
        self.take_newcomers(ready, &mut effects);
        if ready.iter().any(|event| event.token == WATCH) {
            self.watching.hear(sys::clock::monotonic());
        }
        self.tend_applying(&mut effects);
        self.look_at_changes();
        self.read_files(&mut effects);
        self.record(effects);
    }

    /// Lets go who took too long and takes in who has connected: most have asked already.
    fn take_newcomers(&mut self, ready: &[Ready], effects: &mut Vec<Effect>) {
        let now = sys::clock::monotonic();
        self.connections.overdue(now).into_iter().for_each(|id| self.close(id));
        self.end_streams(now);
        if self.connections.end_pause(now) {
            self.watch_listeners(Interest::Read);
        }
        let mut accepting = Accepting::Yes;
        let mut comers = Vec::new();
        for event in ready {
            let listener = self.listeners.iter().find(|(token, _)| *token == event.token);
            let Some((CONTROL | SESSION, listener)) = listener else { continue };
            if accepting == Accepting::Yes {
                let tongue = if event.token == SESSION { Tongue::Either } else { Tongue::Varlink };
                let (epoll, comers) = (&self.epoll, &mut comers);
                accepting = self.connections.accept(listener, tongue, epoll, now, comers);
            }
        }
        if accepting == Accepting::Paused {
            self.watch_listeners(Interest::Nothing);
        }
        comers.into_iter().for_each(|id| self.hear_client(id, false, effects));
    }

    fn watch_listeners(&self, interest: Interest) {
        for (token, listener) in &self.listeners {
            let _ = self.epoll.modify(listener, *token, interest);
        }
    }

    pub(super) fn handle(&mut self, input: Input, effects: &mut Vec<Effect>) {
        self.engine.handle(sys::clock::monotonic(), input, effects);
    }

    /// Takes what the keeper tells; returns how many messages there were.
    fn hear_keeper(&mut self, effects: &mut Vec<Effect>) -> usize {
        self.keeper_full = false;
        let mut told = 0;
        while told < KEEPER_BATCH || self.link.has_more() {
            match self.link.receive() {
                Ok(Some((message, fd))) => {
                    match (message, fd) {
                        (FromKeeper::Logger, Some(fd)) => self.take_logger(fd),
                        (FromKeeper::Lent { slot, end }, fd) => self.lent(slot, end, fd),
                        (_, _) => {}
                    }
                    self.hear(message, effects);
                    told += 1;
                }
                Ok(None) => return told,
                Err(_) => {
                    self.standing = Standing::Lost;
                    return told;
                }
            }
        }
        told
    }

    pub(super) fn hear(&mut self, message: FromKeeper, effects: &mut Vec<Effect>) {
        if self.hear_lookup(&message) {
            return;
        }
        match message {
            FromKeeper::Spawned { slot, pid, warnings } => {
                self.note_original(slot, pid);
                self.tell_early(slot, pid);
                let warnings = self.with_group_refusals(slot, warnings);
                self.chronicle_spawned(slot, pid);
                self.handle(Input::Spawned(slot, pid, warnings), effects);
                self.begin_listener(slot);
            }
            FromKeeper::SpawnFailed { slot, step, errno } => {
                self.handle(Input::SpawnFailed(slot, step, errno), effects);
            }
            FromKeeper::Stopped { slot, signal } => {
                self.handle(Input::Stopped(slot, signal), effects);
            }
            FromKeeper::Exited { slot, pid, exit } => {
                self.note_gateway_gone(slot);
                self.note_end(slot, exit, effects);
                self.lending.forget(slot);
                self.note_speaker(slot, pid);
                self.tell_early(slot, pid);
                if self.engine.leaves_its_group(slot) && sys::signals::group_exists(pid) {
                    self.note_group(slot, pid, effects);
                }
                self.handle(Input::Exited(slot, pid, exit), effects);
            }
            FromKeeper::OrphanExited { sequence, .. } => {
                self.seen.orphan = self.seen.orphan.max(sequence);
                self.seen.uncounted = true;
            }
            FromKeeper::Signalled { signal } => {
                self.seen.signals.insert(signal);
                self.signalled(signal, effects);
            }
            FromKeeper::Welcome { .. }
            | FromKeeper::Held { .. }
            | FromKeeper::Logger
            | FromKeeper::Lent { .. }
            | FromKeeper::Told => {}
            FromKeeper::NotUpgraded { why } => self.refuse_upgrade(not_upgraded(why)),
        }
    }

    /// A main that was told to end has left others in its group, or those that nobody reaped yet.
    fn note_group(&mut self, slot: Slot, group: Pid, effects: &mut Vec<Effect>) {
        let engine = &self.engine;
        self.lingering.retain(|slot, _| engine.lingers(*slot));
        self.lingering.insert(slot, group);
        let living = Census::take(self.settings.keeper).of_group(group);
        self.handle(Input::Remains(slot, Remaining::of(&living)), effects);
    }

    /// Where orphans have ended, counts again what is left of jobs that are being swept.
    fn count_again(&mut self) {
        // Nobody tells of the ends of those that are not the keeper's.
        let uncounted =
            std::mem::take(&mut self.seen.uncounted) || self.settings.kin == Kin::Foster;
        if self.settings.kin == Kin::Foster {
            let open: BTreeSet<Slot> = self.engine.sweeps().map(|(slot, _)| slot).collect();
            self.sweeping.retain(|slot, _| open.contains(slot));
        }
        if uncounted {
            self.groups.look_again(sys::clock::monotonic());
        }
        let strays = self.engine.strays().is_some();
        let nobody = self.sweeping.is_empty() && self.lingering.is_empty() && !strays;
        if !uncounted || nobody {
            return;
        }
        let census = Census::take(self.settings.keeper);
        if strays {
            let left = self.strays(&census).len();
            self.news.push_back(Input::SweptAll(left as u32));
        }
        let engine = &self.engine;
        self.lingering.retain(|slot, _| engine.lingers(*slot));
        for (slot, group) in &self.lingering {
            let remaining = Remaining::of(&census.of_group(*group));
            self.news.push_back(Input::Remains(*slot, remaining));
        }
        let slots: Vec<_> = self.sweeping.keys().copied().collect();
        for slot in slots {
            let left = self.left_over(&census, slot).len();
            if left == 0 {
                self.sweeping.remove(&slot);
            }
            self.news.push_back(Input::Swept(slot, left as u32));
        }
    }

    /// A signal that the keeper got. Source: spec 13; TERM to PID 1 is an ordered stop.
    fn signalled(&mut self, signal: u8, effects: &mut Vec<Effect>) {
        const HUP: u8 = 1;
        const INT: u8 = 2;
        const QUIT: u8 = 3;
        const USR1: u8 = 10;
        const USR2: u8 = 12;
        const TERM: u8 = 15;
        const WINCH: u8 = 28;
        const PWR: u8 = 30;
        /// What container engines send an entry point that is called init. Source: systemd(1),
        /// SIGRTMIN+3; podman-run(1), --systemd.
        const HALT: u8 = 37;
        let first = self.settings.options.mode == Mode::System && self.settings.keeper == FIRST;
        if self.settings.options.mode == Mode::Supervisord {
            return self.signalled_supervisord(signal, effects);
        }
        let event = match signal {
            HUP => {
                self.reload();
                self.reload_programs(effects);
                self.read_rights();
                return;
            }
            TERM | HALT => None,
            INT if first => Some("control-alt-delete"),
            WINCH if first => Some("keyboard-request"),
            PWR if first => Some("power-status-changed"),
            INT if self.settings.options.mode == Mode::Up => {
                return self.handle(Input::Interrupt, effects);
            }
            INT | QUIT => None,
            USR1 | USR2 | WINCH => {
                if let Some(signal) = Signal::new(signal) {
                    self.handle(Input::Pass(signal), effects);
                }
                if signal == USR1 {
                    self.join_system_bus(Level::Message, effects);
                }
                return;
            }
            _ => return,
        };
        match event.map(EventName::try_from) {
            Some(Ok(name)) => self.handle(Input::Happened(name, Vec::new()), effects),
            Some(Err(_)) => {}
            None => self.handle(Input::Shutdown(ShutdownKind::Shutdown), effects),
        }
    }

    fn hear_logger(&mut self) {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let Some(logger) = &self.logger else { return };
            match seqpacket::receive(logger, &mut buffer) {
                Ok(received) if received.length == 0 => {
                    self.drop_logger();
                    return;
                }
                Ok(received) => {
                    let bytes = buffer.get(..received.length).unwrap_or(&[]);
                    let [file, ..] = received.fds;
                    if let Some(message) = logroute::decode(bytes) {
                        self.logger_said(message, file);
                    }
                }
                Err(Errno::AGAIN) => return,
                Err(Errno::MSGSIZE) => {}
                Err(_) => {
                    self.drop_logger();
                    return;
                }
            }
        }
    }

    fn logger_said(&mut self, message: FromLogger, file: Option<OwnedFd>) {
        match message {
            FromLogger::Opened { number, errno } => self.log_opened(number, errno, file),
            FromLogger::Cleared { number, errno } => self.log_cleared(number, errno),
            FromLogger::Counted { number, rows } => self.logs_counted(number, rows),
            FromLogger::Drained { slot, tail } => self.drained(slot, Some(&tail)),
            FromLogger::Trouble { slot, path, errno, dropped } => {
                let why = words(&std::io::Error::from_raw_os_error(errno));
                let whose = self.output_of(slot.instance);
                let line =
                    format!("output to {path} cannot be written: {why}; {dropped} bytes dropped");
                self.say(Level::Warn, &format!("{whose}{line}"));
                self.troubles.insert(slot, line);
            }
            FromLogger::Recovered { slot, dropped } => {
                let whose = self.output_of(slot.instance);
                self.say(
                    Level::Warn,
                    &format!("{whose}output is written again; {dropped} bytes were dropped"),
                );
                self.troubles.remove(&slot);
            }
            FromLogger::Said { slot, stream, said, kind } => self.said(slot, stream, &said, kind),
            // Of use only once there is no keeper, and heard then in `succession`.
            FromLogger::Succeeded => {}
            FromLogger::Stored { number, errno } => self.stored(number, errno),
        }
    }

    pub(super) fn shown(&self, id: InstanceId) -> String {
        let name = self.engine.name_of(id);
        name.map_or_else(String::new, |(job, instance)| job.with_instance(instance))
    }

    /// Returns what a line about an instance's output begins with; output may outlive its instance, and
    /// is then known by its file.
    fn output_of(&self, id: InstanceId) -> String {
        let shown = self.shown(id);
        if shown.is_empty() {
            shown
        } else {
            format!("{shown}: ")
        }
    }

    fn hear_client(&mut self, id: ConnectionId, hangup: bool, effects: &mut Vec<Effect>) {
        let heard = self.connections.read(id, hangup);
        if heard == Heard::Dbus {
            return self.meet(id, effects);
        }
        for _ in 0..CALLS_BATCH {
            let Some(call) = self.take_call(id) else { break };
            self.serve_call(id, call, effects);
        }
        self.send_pages(id);
        match heard {
            Heard::There => {
                self.connections.note_begun(id, sys::clock::monotonic());
                self.touched.insert(id);
            }
            Heard::Gone | Heard::Dbus => self.close(id),
        }
    }

    /// Turns a call that brings a descriptor into the request that it is.
    fn with_file(&mut self, id: ConnectionId, call: Call) -> Result<Call, Fault> {
        let file = self.connections.take_file(id);
        let Call::EmitFile(event, mut env, wait, token) = call else { return Ok(call) };
        self.connections.may_wait(id)?;
        let missing = || Fault::parameter("file", "did not come: send a descriptor along");
        env.push(self.keep_file(file.ok_or_else(missing)?)?);
        Ok(Call::Ask(Request::Emit(event, env, wait), token))
    }

    fn serve_call(&mut self, id: ConnectionId, call: Call, effects: &mut Vec<Effect>) {
        let call = match self.with_file(id, call) {
            Ok(call) => call,
            Err(fault) => return self.connections.answer(id, Err(fault)),
        };
        let answer = match call {
            Call::Ask(request, token) => {
                let token = token.map(|token| Text::from(token.text()));
                match self.connections.may_wait(id) {
                    Ok(()) => return self.ask(id, request, token, effects),
                    Err(fault) => Err(fault),
                }
            }
            Call::Outputs => return self.await_outputs(id),
            Call::Events(after, follow) => match self.connections.may_wait(id) {
                Ok(()) => return self.subscribe(id, after, follow),
                Err(fault) => Err(fault),
            },
            Call::List(None, Listed::Own)
                if self.connections.begin_list(id, Cursor::Instances(None)) =>
            {
                return;
            }
            Call::ShowConfig(None) if self.connections.begin_list(id, Cursor::Jobs(None)) => {
                return;
            }
            Call::SendInput(target, input) => return self.send_input(id, &target, input),
            Call::OpenLog(log, back) => return self.open_log(id, &log, back),
            Call::ClearLog(log) => return self.clear_log(id, &log),
            Call::LogCounts => return self.count_logs(id),
            Call::Configured => self.configured(),
            Call::Shutdown(kind) => self.shut_down(kind, effects),
            Call::NotifyDbusAddress(address) => self.notify_dbus_address(&address, effects),
            // Control groups are made without anybody's help.
            Call::NotifyCgroupManagerAddress(_) => Ok(Answer::Done),
            Call::ReloadConfiguration => return self.reload_configuration(id, effects),
            Call::Supervisor => self.supervisor(self.sees_own_log(id)),
            Call::Programs(job) => self.programs(id, job.as_ref()),
            Call::CreateToken(new) => return self.create_token(id, *new),
            Call::RevokeToken(name) => return self.revoke_token(id, &name),
            Call::ListTokens => Ok(self.list_tokens()),
            Call::Sources | Call::Plan(_) => Ok(self.serve_plans(id, call)),
            Call::Hold | Call::Apply(..) => return self.serve_apply(id, call, effects),
            Call::Reread => self.reread(),
            Call::AddGroup(name) => self.add_group(&name, effects),
            Call::RemoveGroup(name) => self.remove_group(&name, effects),
            Call::SetLogPriority(level) => Ok(self.hear_from(level)),
            Call::Upgrade => return self.upgrade(id),
            Call::NotifyDiskWriteable => self.disk_writable(effects),
            Call::GetEnv(..)
            | Call::SetEnv(..)
            | Call::UnsetEnv(..)
            | Call::ListEnv(..)
            | Call::ResetEnv(..) => self.serve_variables(call, effects),
            Call::EmitFile(..)
            | Call::Status(_)
            | Call::List(..)
            | Call::Why(_)
            | Call::ShowConfig(_)
            | Call::Timeline
            | Call::Settings(_)
            | Call::Usage(_)
            | Call::Version
            | Call::GetLogPriority
            | Call::LogPath(..) => self.look(call),
        };
        self.connections.answer(id, answer);
    }

    /// Says messages from this level on.
    fn hear_from(&mut self, level: Level) -> Answer {
        self.engine.hear(level);
        Answer::Done
    }

    fn reload_configuration(&mut self, id: ConnectionId, effects: &mut Vec<Effect>) {
        self.reload();
        self.reload_programs(effects);
        self.read_rights();
        self.connections.await_files(id);
    }

    fn subscribe(&mut self, id: ConnectionId, after: Option<u64>, follow: Follow) {
        let next = self.engine.next_notice();
        let sight = self.sight_of(id);
        self.connections.subscribe(id, after, next, follow, sight);
        self.await_tokens();
    }

    fn shut_down(
        &mut self,
        kind: ShutdownKind,
        effects: &mut Vec<Effect>,
    ) -> Result<Answer, Fault> {
        if kind == ShutdownKind::Logout && self.settings.options.mode == Mode::System {
            let why = "this is the machine's Upright, which is no session that could end";
            return Err(Fault::Unavailable(String::from(why)));
        }
        if kind == ShutdownKind::Restart {
            self.may_begin_anew()?;
        }
        self.handle(Input::Shutdown(kind), effects);
        Ok(Answer::Done)
    }

    pub(super) fn vary(&mut self, whose: Whose, variation: Variation, effects: &mut Vec<Effect>) {
        self.handle(Input::Vary(whose, variation), effects);
    }

    /// Goes on with a list for as long as there is room for it.
    fn send_pages(&mut self, id: ConnectionId) {
        while let Some(cursor) = self.connections.wants_page(id) {
            let (part, next) = match cursor {
                Cursor::Instances(from) => {
                    let mut views = self.engine.list(from.as_ref(), PAGE + 1);
                    let next = (views.len() > PAGE).then(|| views.pop()).flatten();
                    let next = next.map(|view| Cursor::Instances(Some((view.job, view.instance))));
                    let views = views.into_iter().filter(|view| !view.job.is_reserved());
                    (Answer::Instances(views.map(|view| self.troubled(view)).collect()), next)
                }
                Cursor::Jobs(from) => {
                    let mut views = self.engine.job_views(from.as_ref(), PAGE + 1);
                    let next = (views.len() > PAGE).then(|| views.pop()).flatten();
                    views.retain(|view| !view.name.is_reserved());
                    (Answer::Jobs(views), next.map(|view| Cursor::Jobs(Some(view.name))))
                }
            };
            self.connections.page(id, part, next);
        }
    }

    /// Carries out a request, or joins it to the one of the same token.
    fn ask(
        &mut self,
        id: ConnectionId,
        request: Request,
        token: Option<Text>,
        effects: &mut Vec<Effect>,
    ) {
        match token.as_ref().and_then(|token| self.engine.find_token(token)) {
            Some(Found::Pending(running)) => self.connections.await_reply(id, running),
            Some(Found::Answered(reply)) => {
                let concern = self.engine.concern(&reply);
                self.connections.answer(id, Answer::of_reply(reply, None, concern));
            }
            None => {
                if let Err(fault) = self.read_again(&request, effects) {
                    return self.connections.answer(id, Err(fault));
                }
                let number = self.engine.next_request();
                self.connections.await_reply(id, number);
                let by = self.asker_of(id);
                self.handle(Input::Ask(number, token, request, by), effects);
            }
        }
    }

    /// Returns who asks over a connection.
    pub(super) fn asker_of(&self, id: ConnectionId) -> Option<Asker> {
        self.connections.caller(id).map(|caller| match caller {
            Caller::Peer(peer) => Asker {
                uid: peer.uid,
                pid: peer.pid,
                program: sys::procfs::name(peer.pid).unwrap_or_default().into(),
            },
            Caller::Server(grant) => self.asker_at(grant.server),
            Caller::Token(shown) => {
                let asker = self.asker_at(shown.grant.server);
                let by = format!("{} with the token {}", asker.program, shown.name);
                Asker { program: Text::from(by), ..asker }
            }
        })
    }

    /// Answers a call that changes nothing.
    fn look(&self, call: Call) -> Result<Answer, Fault> {
        let refused = |refusal: Refusal| Fault::refused(&refusal, None);
        match call {
            Call::Status(target) => {
                let view = self.status(&target).map_err(refused)?;
                Ok(Answer::Instance(Some(Box::new(view))))
            }
            Call::List(None, listed) => {
                let shown = |view: &InstanceView| listed == Listed::All || !view.job.is_reserved();
                let views = self.engine.list(None, usize::MAX).into_iter().filter(shown);
                Ok(Answer::Instances(views.map(|view| self.troubled(view)).collect()))
            }
            Call::List(Some(job), _) => Ok(self.list_of(self.known(&job).map_err(refused)?)),
            Call::Why(target) => self.why(&target).map_err(refused),
            Call::ShowConfig(None) => {
                let jobs = self.engine.job_names().filter(|name| !name.is_reserved());
                Ok(Answer::Jobs(jobs.filter_map(|name| self.engine.job_view(name)).collect()))
            }
            Call::ShowConfig(Some(job)) => {
                let name = self.known(&job).map_err(refused)?;
                Ok(Answer::Jobs(self.engine.job_view(&name).into_iter().collect()))
            }
            Call::Timeline => Ok(Answer::Timeline(self.engine.timeline())),
            Call::Settings(job) => {
                let view = self.settings_of(&self.known(&job).map_err(refused)?);
                let view = view.ok_or(Refusal::UnknownJob(job)).map_err(refused)?;
                Ok(Answer::Settings(Box::new(view)))
            }
            Call::Usage(job) => Ok(self.usage(&self.known(&job).map_err(refused)?)),
            Call::Version => Ok(Answer::Version(Version {
                given_up: self.upgrade_given_up.clone(),
                ..Version::own(sys::own::parent())
            })),
            Call::GetLogPriority => Ok(Answer::Priority(self.engine.level())),
            Call::LogPath(target, stream) => self.log_path(&target, stream),
            Call::Ask(..)
            | Call::SendInput(..)
            | Call::OpenLog(..)
            | Call::ClearLog(_)
            | Call::LogCounts
            | Call::Configured
            | Call::Programs(_)
            | Call::EmitFile(..)
            | Call::Events(..)
            | Call::Outputs
            | Call::NotifyDbusAddress(_)
            | Call::NotifyCgroupManagerAddress(_)
            | Call::Shutdown(_)
            | Call::ReloadConfiguration
            | Call::SetLogPriority(_)
            | Call::NotifyDiskWriteable
            | Call::Upgrade
            | Call::GetEnv(..)
            | Call::SetEnv(..)
            | Call::UnsetEnv(..)
            | Call::ListEnv(..)
            | Call::Supervisor
            | Call::Reread
            | Call::Sources
            | Call::Plan(_)
            | Call::Hold
            | Call::Apply(..)
            | Call::AddGroup(_)
            | Call::RemoveGroup(_)
            | Call::CreateToken(_)
            | Call::ListTokens
            | Call::RevokeToken(_)
            | Call::ResetEnv(..) => Ok(Answer::Done),
        }
    }

    fn usage(&self, job: &JobName) -> Answer {
        Answer::Usage(self.engine.job_view(job).and_then(|view| view.usage))
    }

    fn list_of(&self, job: JobName) -> Answer {
        // Its own rows alone: what one job costs is not to grow with the number of jobs.
        let most = self.engine.instances_of(&job).max(1);
        let views = self.engine.list(Some(&(job, Default::default())), most);
        Answer::Instances(views.into_iter().map(|view| self.troubled(view)).collect())
    }

    fn programs(&self, id: ConnectionId, job: Option<&Text>) -> Result<Answer, Fault> {
        let mut views = match job {
            Some(job) => {
                let name = self.known(job).map_err(|refusal| Fault::refused(&refusal, None))?;
                self.engine.program(&name).into_iter().collect()
            }
            None => self.engine.programs(),
        };
        for view in &mut views {
            let spec = self.engine.spec(&view.job).filter(|spec| spec.instance.is_empty());
            let Some(spec) = spec.filter(|_| self.sees_log_of(id, &view.job)) else { continue };
            let path = |stream| {
                let path = outputs::log_path(&self.settings, spec, &Default::default(), stream);
                path.map(|path| Text::from(path.into_os_string().into_vec()))
            };
            (view.stdout_log, view.stderr_log) = (path(Stream::Stdout), path(Stream::Stderr));
        }
        Ok(Answer::Programs(views))
    }

    fn why(&self, target: &Target) -> Result<Answer, Refusal> {
        let (job, instance) = self.engine.find_past(target)?;
        let why = self.engine.why(&job, &instance);
        let mut why = why.ok_or_else(|| Refusal::UnknownJob(target.job.clone()))?;
        why.status = self.troubled(why.status);
        why.files = self.catalogue.files_of(&job);
        if let Some((file, section)) = self.origin_of_program(&job) {
            (why.files, why.section) = (vec![file], Some(section));
        }
        Ok(Answer::Why(Box::new(why)))
    }

    /// Adds what the options say where the job's file does not.
    fn settings_of(&self, name: &JobName) -> Option<SettingsView> {
        let mut view = self.engine.settings_view(name)?;
        let policy = &self.engine.spec(name)?.attrs.log;
        (view.rotate_size, view.rotate_count) = outputs::rotation(&self.settings, policy);
        Some(view)
    }

    fn known(&self, job: &Text) -> Result<JobName, Refusal> {
        let name = JobName::try_from(job.clone()).ok();
        let name = name.filter(|name| self.engine.spec(name).is_some());
        name.ok_or_else(|| Refusal::UnknownJob(job.clone()))
    }

    fn status(&self, target: &Target) -> Result<InstanceView, Refusal> {
        let (job, id) = self.engine.find(target)?;
        let view = id.and_then(|id| self.engine.view_of(id));
        Ok(self.troubled(view.unwrap_or_else(|| self.engine.view_at_rest(&job))))
    }

    /// Adds what the logger said of an instance's output, and what the daemon had to give up.
    fn troubled(&self, mut view: InstanceView) -> InstanceView {
        view.warnings.extend(self.given_up.clone());
        for (slot, trouble) in &self.troubles {
            let named = self.engine.name_of(slot.instance);
            if named.is_some_and(|(job, name)| *job == view.job && *name == view.instance) {
                view.warnings.push(trouble.clone());
            }
        }
        if let Some(trouble) = self.catalogue.trouble(&view.job) {
            view.warnings.push(format!("its file cannot be used, the last good one is: {trouble}"));
        }
        if view.job.text().bytes() == Kind::Http.row().job.as_bytes() {
            view.warnings.extend(self.http.warnings());
        }
        view
    }

    fn log_path(&self, target: &Target, stream: Stream) -> Result<Answer, Fault> {
        let (job, id) =
            self.engine.find(target).map_err(|refusal| Fault::refused(&refusal, None))?;
        let instance = id.and_then(|id| self.engine.name_of(id)).map(|(_, name)| name.clone());
        let instance = instance.unwrap_or_default();
        let spec = self.engine.spec(&job);
        let path = spec.and_then(|spec| outputs::log_path(&self.settings, spec, &instance, stream));
        match path {
            Some(path) => Ok(Answer::Path(Text::from(path.as_os_str().as_bytes()))),
            None => {
                let which = match stream {
                    Stream::Stdout => "output",
                    Stream::Stderr => "standard error",
                };
                let why = format!("{job}: its {which} is not kept in a file of its own");
                Err(Fault::Unavailable(why))
            }
        }
    }
}
