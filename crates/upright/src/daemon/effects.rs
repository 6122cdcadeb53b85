//! What the engine decided is done here, in order. The only file that performs effects.

use super::journal::Journal;
use super::link::{Sent, INLINE_MAX};
use super::lookup::Answers;
use super::orphans::{signal_all, Census, Search, Subject, Traces};
use super::planning::{self, Refusal, Unready};
use super::talk::Grade;
use super::{Daemon, Drain, Standing, BUSY, DRAIN_TIMEOUT, IN_LINE_KEPT, TAIL};
use engine::control::answer::Answer;
use engine::journal::Record;
use engine::keeper::{held, Scope, ToKeeper, Wants, TOGETHER};
use engine::logroute::{self, ToLogger};
use engine::machine::request::{Reply, RequestId};
use engine::machine::state::State;
use engine::machine::{self, Effect, Input, Level, SignalScope, SpawnOrder};
use engine::process::{Pid, Role, Slot, Step};
use engine::signal::Signal;
use engine::spec::Command;
use engine::text::Text;
use engine::time::Span;
use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd};
use sys::{memfd, procfs, seqpacket, Errno};

/// What became of an effect.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Done {
    /// It is done.
    Yes,
    /// The keeper has to read first; it stays first in line.
    Later,
}

/// Returns what the keeper is asked for by an effect; nothing where that takes more than a few words.
fn request(effect: &Effect) -> Option<ToKeeper<'static>> {
    match effect {
        Effect::Signal(slot, signal, scope) => {
            let scope = match scope {
                SignalScope::Process => Scope::Process,
                SignalScope::Group => Scope::Group,
            };
            Some(ToKeeper::Signal { slot: *slot, signal: *signal, scope })
        }
        Effect::Release(slot) => Some(ToKeeper::Release { slot: *slot }),
        Effect::Adopt(slot, pid) => Some(ToKeeper::Adopt { slot: *slot, pid: *pid }),
        Effect::Spawn(_)
        | Effect::Survey(..)
        | Effect::Sweep(..)
        | Effect::SweepAll(_)
        | Effect::Reply(..)
        | Effect::Notice(..)
        | Effect::Say(..)
        | Effect::Keep(_)
        | Effect::Quit(_) => None,
    }
}

impl Daemon {
    /// Writes a turn into the journal and puts its effects in line.
    pub(super) fn record(&mut self, mut effects: Vec<Effect>) {
        Effect::in_order(&mut effects);
        self.chronicle_kills(&effects);
        let changes = self.engine.take_changes();
        let level = self.engine.level();
        let heard = std::mem::replace(&mut self.level, level) != level;
        if heard || !changes.is_empty() || !effects.is_empty() {
            let record = Record { changes, effects };
            let written = match &mut self.journal {
                Some(journal) => journal.append(&record),
                None => Ok(()),
            };
            if let Err(errno) = written {
                self.lose_journal(errno);
            }
            self.bulky |= record.effects.len() >= BUSY || self.epoll.paused();
            self.todo.extend(record.effects);
        }
    }

    /// The journal could not be written: a new one is tried at every turn, and it is said once.
    fn lose_journal(&mut self, errno: Errno) {
        self.journal = None;
        if std::mem::replace(&mut self.journal_lost, true) {
            return;
        }
        self.say(
            Level::Error,
            &format!("the journal cannot be written ({errno}): until it can, a crash of the daemon forgets what happens now"),
        );
    }

    /// Performs what is in line until it is empty or the keeper has to read first.
    pub(super) fn perform_todo(&mut self) {
        self.resume_starts();
        loop {
            let done = self.say_together() + self.ask_together();
            if done > 0 {
                self.tick(done);
                continue;
            }
            let Some(effect) = self.todo.pop_front() else { break };
            match self.perform(&effect) {
                Done::Yes => self.tick(1),
                Done::Later => {
                    self.todo.push_front(effect);
                    self.keeper_full = true;
                    return;
                }
            }
        }
        self.todo.shrink_to(IN_LINE_KEPT);
        self.confirm_seen();
    }

    /// Says the lines that are next in line, as many as one write takes; returns how many that were.
    /// After many deaths a write for each would cost as much as the starts.
    fn say_together(&mut self) -> u64 {
        if let Some(chronicle) = &self.chronicle {
            let mut said = 0;
            while let Some(Effect::Say(level, line)) = self.todo.front() {
                chronicle.write(Grade::of_machine(*level), line);
                self.todo.pop_front();
                said += 1;
            }
            return said;
        }
        let heard = self.engine.level();
        let mut speech = self.voice.speech();
        let mut said = 0;
        while let Some(Effect::Say(level, line)) = self.todo.front() {
            if *level >= heard && !speech.add(*level, line) {
                break;
            }
            self.todo.pop_front();
            said += 1;
        }
        speech.end();
        said
    }

    /// Asks the keeper for what is next in line, as much as one message takes; returns how many effects
    /// that were. One alone is not worth it, nor is anything while the keeper has to read.
    fn ask_together(&mut self) -> u64 {
        let asked = self.todo.iter().map_while(request);
        let asked = asked.take_while(ToKeeper::travels_with_others).take(TOGETHER);
        let count = asked.clone().count();
        if count < 2 || self.keeper_full {
            return 0;
        }
        match self.link.send_together(asked) {
            Sent::Yes => {
                self.todo.drain(..count);
                count as u64
            }
            Sent::Full => {
                self.keeper_full = true;
                0
            }
            Sent::Gone => {
                self.standing = Standing::Lost;
                self.todo.drain(..count);
                count as u64
            }
        }
    }

    fn tick(&mut self, done: u64) {
        if let Some(journal) = &mut self.journal {
            journal.tick(done);
        }
    }

    /// Begins a new journal where the old one has become long, or there is none. Reports whether
    /// what is in line may be done: nothing is before a journal has it, unless there can be none.
    pub(super) fn keep_journal(&mut self) -> bool {
        if self.journal.as_ref().is_some_and(|journal| !journal.is_long()) || self.keeper_full {
            return self.journal.is_some();
        }
        // Everything that was touched is in the snapshot.
        let effects: Vec<Effect> = self.todo.iter().cloned().collect();
        let journal = match Journal::begin(self.engine.snapshot(), effects) {
            Ok(journal) => journal,
            Err(errno) => {
                self.lose_journal(errno);
                return true;
            }
        };
        let message = ToKeeper::Hold { key: held::JOURNAL };
        match self.link.send(&message, &[journal.fd()]) {
            Sent::Yes => {
                self.journal = Some(journal);
                self.journal_lost = false;
                self.bulky = true;
            }
            Sent::Full => self.keeper_full = true,
            Sent::Gone => self.standing = Standing::Lost,
        }
        self.journal.is_some()
    }

    /// Tells the keeper that the start is over: everything is done that was to be done for it.
    pub(super) fn say_ready(&mut self) {
        let ready = self.standing == Standing::Starting && self.todo.is_empty();
        if !ready || self.journal.is_none() || self.keeper_full {
            return;
        }
        match self.link.send(&ToKeeper::Ready, &[]) {
            Sent::Yes => {
                self.standing = Standing::Going;
                self.tell_front();
            }
            Sent::Full => self.keeper_full = true,
            Sent::Gone => self.standing = Standing::Lost,
        }
    }

    /// Tells the keeper what it need not tell a later daemon. Orphans' ends stay with it while one
    /// may be that of a process which is about to become a slot's.
    fn confirm_seen(&mut self) {
        self.following.retain(|slot| self.engine.follows(*slot));
        let orphans = (self.seen.orphan > 0 && self.following.is_empty())
            .then_some(ToKeeper::OrphansSeen { sequence: self.seen.orphan });
        let signals = self.seen.signals.iter().filter_map(|signal| Signal::new(*signal));
        let signals = signals.map(|signal| ToKeeper::SignalSeen { signal });
        for message in signals.chain(orphans) {
            if self.link.send(&message, &[]) != Sent::Yes {
                return;
            }
        }
        self.seen.signals.clear();
        if self.following.is_empty() {
            self.seen.orphan = 0;
        }
    }

    fn perform(&mut self, effect: &Effect) -> Done {
        match effect {
            Effect::Spawn(slot) => return self.spawn(*slot),
            Effect::Signal(..) | Effect::Release(_) | Effect::Adopt(..) => {
                return match request(effect) {
                    Some(message) => self.send(&message, &[]),
                    None => Done::Yes,
                };
            }
            Effect::Survey(slot, original) => self.survey(*slot, *original),
            Effect::Sweep(slot, signal) => self.sweep(*slot, *signal),
            Effect::SweepAll(signal) => self.sweep_all(*signal),
            Effect::Reply(request, reply, output) => self.reply(*request, reply.clone(), *output),
            Effect::Notice(sequence, notice) => self.publish(*sequence, notice),
            Effect::Say(level, line) => self.say(*level, line),
            Effect::Keep(number) => self.keep_intents(*number),
            Effect::Quit(code) => return self.quit(*code),
        }
        Done::Yes
    }

    pub(super) fn send(&mut self, message: &ToKeeper<'_>, fds: &[BorrowedFd<'_>]) -> Done {
        match self.link.send(message, fds) {
            Sent::Yes => Done::Yes,
            Sent::Full => Done::Later,
            // It stays undone in the journal, for the daemon of the next keeper.
            Sent::Gone => {
                self.standing = Standing::Lost;
                Done::Later
            }
        }
    }

    pub(super) fn spawn(&mut self, slot: Slot) -> Done {
        if self.keeper_full {
            return Done::Later;
        }
        let Some(order) = self.engine.order(slot) else {
            self.lookups.forget(slot);
            return Done::Yes;
        };
        if slot.role == Role::Security && !planning::has_apparmor() {
            self.say_no_apparmor(&order, "`apparmor load` has no effect");
            return self.refuse_spawn(slot, Step::Profile, Errno::OPNOTSUPP);
        }
        let shared = match self.shared_of(&order) {
            Ok(shared) => shared,
            Err(errno) => return self.refuse_spawn(slot, Step::Socket, errno),
        };
        let given = self.given_to_gateway(&order).and(self.files.given(&order)).and(shared);
        let born = self.group_of(&order);
        let (group, procs) = born.map(|born| (born.directory, born.procs)).unzip();
        let none = Answers::default();
        let answers = self.lookups.answers(slot).unwrap_or(&none);
        let prepared = planning::prepare(&self.settings, &order, given.numbers(), procs, answers);
        let prepared = match prepared {
            Ok(prepared) => prepared,
            Err(Unready::Asks(question, root)) => return self.look_up(slot, question, root),
            Err(Unready::Refused(Refusal(step, errno))) => {
                if (step, errno) == (Step::Profile, Errno::OPNOTSUPP) {
                    self.say_no_apparmor(&order, "cannot start: `apparmor switch` wants a profile");
                }
                return self.refuse_spawn(slot, step, errno);
            }
        };
        let mut wants = Wants { group_fd: group.is_some(), ..prepared.wants };
        let mut plan = prepared.plan;
        let mut in_file = None;
        if plan.len() + prepared.route.len() + prepared.errors.len() > INLINE_MAX {
            match memfd::sealed(c"upright-plan", &plan) {
                Ok(fd) => {
                    plan = (plan.len() as u64).to_le_bytes().to_vec();
                    wants = Wants { plan_in_fd: true, ..wants };
                    in_file = Some(fd);
                }
                Err(errno) => return self.refuse_spawn(slot, Step::Fork, errno),
            }
        }
        let message = ToKeeper::Spawn {
            slot,
            wants,
            pipe_owner: prepared.pipe_owner,
            plan: &plan,
            route: &prepared.route,
            errors: &prepared.errors,
        };
        let fds: Vec<BorrowedFd<'_>> = in_file
            .iter()
            .chain(&group)
            .chain(given.fds())
            .chain(&prepared.script)
            .map(AsFd::as_fd)
            .collect();
        let done = self.send(&message, &fds);
        if done == Done::Yes {
            self.lookups.forget(slot);
        }
        done
    }

    fn say_no_apparmor(&self, order: &SpawnOrder, what: &str) {
        let shown = order.spec.name.with_instance(&order.instance);
        self.say(
            Level::Warn,
            &format!("{shown}: {what}: this kernel has no AppArmor, or it is turned off"),
        );
    }

    pub(super) fn refuse_spawn(&mut self, slot: Slot, step: Step, errno: Errno) -> Done {
        self.lookups.forget(slot);
        self.news.push_back(Input::SpawnFailed(slot, step, errno.raw_os_error()));
        Done::Yes
    }

    /// Finds what the original of a slot left behind.
    fn survey(&mut self, slot: Slot, original: Pid) {
        self.following.insert(slot);
        let census = Census::take(self.settings.keeper);
        let since = self.engine.awaited_since(slot);
        let began = since.map_or(u64::MAX, |since| {
            let age = sys::clock::monotonic().since(since);
            (sys::clock::boot() - age).0 / (Span::secs(1).0 / procfs::TICKS)
        });
        let others = self.engine.awaited().filter(|(of, _)| *of != slot);
        let search = Search {
            original,
            keeper: self.settings.keeper,
            foster: self.settings.foster(),
            began,
            own: self.traces(slot),
            others: others.map(|(other, _)| self.traces(other)).collect(),
        };
        let members = self.members(slot.instance);
        let candidates = self.subject(slot, |subject| census.left_by(&search, subject, &members));
        if let Some(candidates) = candidates {
            self.news.push_back(Input::Survey(slot, candidates));
        }
    }

    /// Takes note of what an original is while it lives, should its daemon be looked for.
    pub(super) fn note_original(&mut self, slot: Slot, pid: Pid) {
        if self.engine.awaited_since(slot).is_none() {
            return;
        }
        let engine = &self.engine;
        self.stacks.retain(|of, _| engine.awaited_since(*of).is_some());
        if let Some(stat) = procfs::stat(pid) {
            self.stacks.insert(slot, stat.stack);
        }
    }

    fn traces(&self, slot: Slot) -> Traces<'_> {
        let job = self.engine.name_of(slot.instance).map(|(job, _)| job);
        let spec = job.and_then(|job| self.engine.spec(job));
        let command = spec.and_then(|spec| spec.commands.get(&slot.role));
        let command = command.map_or(&b""[..], |command| match command {
            Command::Exec(text) | Command::Script(text) | Command::Words(text) => text.bytes(),
        });
        Traces { stack: self.stacks.get(&slot).copied(), command }
    }

    /// Ends what is left of a slot's job.
    fn sweep(&mut self, slot: Slot, signal: Signal) {
        let census = Census::take(self.settings.keeper);
        let left = self.left_over(&census, slot);
        if !self.kill_group(slot.instance, &left, signal) {
            self.subject(slot, |subject| signal_all(&left, subject, signal));
        }
        if !left.is_empty() {
            self.sweeping.insert(slot, signal);
        }
        self.news.push_back(Input::Swept(slot, left.len() as u32));
    }

    /// Ends whatever descends from us and is no job's process.
    fn sweep_all(&mut self, signal: Signal) {
        let census = Census::take(self.settings.keeper);
        let left = self.strays(&census);
        census.signal(&left, signal);
        if !left.is_empty() {
            let all: Vec<String> = left.iter().map(Pid::to_string).collect();
            let all = all.join(", ");
            self.say(Level::Info, &format!("Sending {signal} signal to what jobs left: {all}"));
        }
        self.news.push_back(Input::SweptAll(left.len() as u32));
    }

    /// Returns what descends from the keeper, but the processes of jobs with theirs, and our own.
    pub(super) fn strays(&self, census: &Census) -> Vec<Pid> {
        let jobs = self.engine.processes().filter_map(|(_, pid)| pid);
        let known: BTreeSet<Pid> = jobs.chain([std::process::id() as Pid]).collect();
        census.strays(self.settings.keeper, &known)
    }

    /// Returns the living processes of a slot's job that no slot has.
    pub(super) fn left_over(&self, census: &Census, slot: Slot) -> Vec<Pid> {
        let members = self.members(slot.instance);
        self.subject(slot, |subject| census.left_over(subject, &members)).unwrap_or_default()
    }

    fn subject<T>(&self, slot: Slot, look: impl FnOnce(&Subject<'_>) -> T) -> Option<T> {
        let (job, instance) = self.engine.name_of(slot.instance)?;
        let slots = self.engine.processes().filter_map(|(_, pid)| pid);
        let ours = [std::process::id() as Pid, self.settings.keeper];
        let known: BTreeSet<Pid> = slots.chain(ours).collect();
        let forced = self.engine.forced();
        Some(look(&Subject { job, instance, forced, known: &known }))
    }

    /// Answers everybody who waits for a request. What failed is answered with the job's last
    /// lines, once the logger has written them.
    fn reply(&mut self, request: RequestId, reply: Reply, output: Option<Slot>) {
        let awaited = self.applying.awaits(request) || self.connections.has_waiting(request);
        if let (Some(slot), true) = (output, awaited) {
            if self.tell_logger(&ToLogger::Drain { slot, tail: TAIL }) {
                let until = sys::clock::monotonic() + DRAIN_TIMEOUT;
                self.drains.push(Drain { slot, until, request, reply });
                return;
            }
        }
        self.answer(request, &reply, None);
    }

    fn answer(&mut self, request: RequestId, reply: &Reply, output: Option<&Text>) {
        if self.applying.awaits(request) {
            return self.applying.answer(request, reply, output);
        }
        let concern = self.engine.concern(reply);
        for id in self.connections.take_waiting(request) {
            let answer = Answer::of_reply(reply.clone(), output.cloned(), concern.clone());
            self.connections.answer(id, answer);
            self.touched.insert(id);
        }
    }

    /// The logger has written everything of a slot: answers may quote it.
    pub(super) fn drained(&mut self, slot: Slot, tail: Option<&Text>) {
        let (ready, waiting) =
            std::mem::take(&mut self.drains).into_iter().partition(|drain| drain.slot == slot);
        self.drains = waiting;
        let ready: Vec<Drain> = ready;
        for drain in ready {
            self.answer(drain.request, &drain.reply, tail.filter(|tail| !tail.is_empty()));
        }
    }

    /// Answers without the last lines where the logger takes too long.
    pub(super) fn give_up_drains(&mut self) {
        let now = sys::clock::monotonic();
        let late: Vec<Slot> =
            self.drains.iter().filter(|drain| drain.until <= now).map(|drain| drain.slot).collect();
        late.into_iter().for_each(|slot| self.drained(slot, None));
    }

    /// Sends the logger a message. Reports whether it is on its way.
    pub(super) fn tell_logger(&self, message: &ToLogger) -> bool {
        let bytes = logroute::encode(message);
        self.logger.as_ref().is_some_and(|logger| seqpacket::send(logger, &[&bytes], &[]).is_ok())
    }

    fn publish(&mut self, sequence: u64, notice: &machine::Notice) {
        self.files.note();
        if let machine::Notice::State { to: State::Waiting, .. } = notice {
            self.shared.note();
        }
        self.chronicle_notice(notice);
        let now = sys::clock::monotonic();
        self.connections.publish(Some(now), sequence, notice.clone());
    }

    /// Everything has stopped: whoever waits is answered, then the keeper is told to end.
    fn quit(&mut self, code: i32) -> Done {
        let waiting: BTreeSet<Slot> = self.drains.iter().map(|drain| drain.slot).collect();
        waiting.into_iter().for_each(|slot| self.drained(slot, None));
        self.connections.ids().into_iter().for_each(|id| self.flush(id));
        super::startup::remove_files(&self.settings);
        self.http.remove_files();
        self.end_programs();
        self.leave_groups();
        let done = self.send(&ToKeeper::Quit { code }, &[]);
        if let (Done::Yes, Standing::Starting | Standing::Going) = (&done, self.standing) {
            self.standing = Standing::Over;
        }
        done
    }
}
