//! Users and groups that no file names but a name service may know: `getent` is asked, an ordinary
//! child with a deadline, and the start waits for it. Nothing of it is journalled: a daemon that is
//! started meanwhile asks anew, for the start is still to be done then.

use super::effects::Done;
use super::Daemon;
use engine::keeper::{FromKeeper, ToKeeper, Wants};
use engine::process::{Exit, InstanceId, Role, Slot, Step};
use engine::signal::Signal;
use engine::time::{Mono, Span};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use sys::plan::{Chdir, Console, Debug, Identity, Plan, Refused};
use sys::users::{self, User};
use sys::{memfd, Errno};

/// How long a start waits for all that it asks; a service that answers later does not answer.
const PATIENCE: Span = Span::secs(10);

/// How much of an answer is read, in bytes.
const ANSWER_MAX: u64 = 1024 * 1024;

/// What `getent` says where there is no such entry. Source: getent(1).
const ABSENT: Exit = Exit::Status(2);

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Question {
    /// The user of a name.
    User(Vec<u8>),
    /// The group of a name.
    Group(Vec<u8>),
    /// The groups that a user is in.
    Groups(Vec<u8>),
}

impl Question {
    /// Returns the question where `getent` can be asked it: to a number it would find whoever has it.
    pub fn about(self) -> Option<Question> {
        let (_, name) = self.words();
        let asked = !name.is_empty() && !name.iter().all(u8::is_ascii_digit) && name[0] != b'-';
        asked.then_some(self)
    }

    fn words(&self) -> (&'static str, &[u8]) {
        match self {
            Question::User(name) => ("passwd", name),
            Question::Group(name) => ("group", name),
            Question::Groups(name) => ("initgroups", name),
        }
    }
}

/// What was answered to one start.
#[derive(Default)]
pub struct Answers(BTreeMap<Question, Result<Vec<u8>, Errno>>);

impl Answers {
    /// Returns the user as the name service has it; none where it was not asked yet.
    pub fn user(&self, name: &[u8]) -> Option<Result<User, Errno>> {
        let answer = self.0.get(&Question::User(name.to_vec()))?;
        Some(answer.clone().and_then(|text| users::first_user(&text).ok_or(Errno::NOENT)))
    }

    /// Returns the number of a group; none where it was not asked yet.
    pub fn group(&self, name: &[u8]) -> Option<Result<u32, Errno>> {
        let answer = self.0.get(&Question::Group(name.to_vec()))?;
        Some(answer.clone().and_then(|text| users::first_group(&text).ok_or(Errno::NOENT)))
    }

    /// Returns the groups of a user, `primary` first; none where it was not asked yet.
    pub fn groups_of(&self, name: &[u8], primary: u32) -> Option<Result<Vec<u32>, Errno>> {
        let answer = self.0.get(&Question::Groups(name.to_vec()))?;
        Some(answer.clone().map(|text| users::listed_groups(&text, primary)))
    }
}

/// What is being asked, and for which starts.
#[derive(Default)]
pub struct Lookups {
    asked: BTreeMap<Slot, Asked>,
    starts: BTreeMap<Slot, Start>,
    /// Starts that may go on.
    ready: BTreeSet<Slot>,
    count: u64,
}

/// A start that asks.
#[derive(Default)]
struct Start {
    answers: Answers,
    by: Option<Mono>,
}

/// A child that was asked.
struct Asked {
    start: Slot,
    question: Question,
    answer: OwnedFd,
    by: Mono,
}

impl Lookups {
    /// Returns what is known for a start.
    pub fn answers(&self, start: Slot) -> Option<&Answers> {
        self.starts.get(&start).map(|start| &start.answers)
    }

    /// Forgets a start that goes on, or does not.
    pub fn forget(&mut self, start: Slot) {
        self.starts.remove(&start);
    }

    /// Returns when the next child has taken too long.
    pub fn next_deadline(&self) -> Option<Mono> {
        self.asked.values().map(|asked| asked.by).min()
    }

    /// A slot of no instance. The keeper has none of the last daemon's: that are ended at the start.
    fn new_slot(&mut self) -> Slot {
        self.count += 1;
        let own = u64::from(std::process::id()) << 32;
        Slot { instance: InstanceId::NONE, role: Role::Security, generation: own | self.count }
    }

    fn answered(&mut self, child: Slot, answer: Result<Vec<u8>, Errno>) {
        let Some(asked) = self.asked.remove(&child) else { return };
        let Some(start) = self.starts.get_mut(&asked.start) else { return };
        start.answers.0.insert(asked.question, answer);
        self.ready.insert(asked.start);
    }
}

impl Daemon {
    /// Asks for a start; it is done once more when there is an answer.
    pub(super) fn look_up(
        &mut self,
        start: Slot,
        question: Question,
        chroot: Option<CString>,
    ) -> Done {
        if self.lookups.asked.values().any(|asked| asked.start == start) {
            return Done::Yes;
        }
        let answer = match memfd::create(c"upright-lookup") {
            Ok(answer) => answer,
            Err(errno) => return self.refuse_spawn(start, Step::User, errno),
        };
        let child = self.lookups.new_slot();
        let plan = plan(&question, chroot);
        let message = ToKeeper::Spawn {
            slot: child,
            wants: Wants::default(),
            pipe_owner: (self.settings.uid, self.settings.gid),
            plan: &plan,
            route: &[],
            errors: &[],
        };
        let done = self.send(&message, &[answer.as_fd()]);
        if let Done::Yes = done {
            let until = sys::clock::monotonic() + PATIENCE;
            let by = *self.lookups.starts.entry(start).or_default().by.get_or_insert(until);
            self.lookups.asked.insert(child, Asked { start, question, answer, by });
        }
        done
    }

    /// Takes what the keeper tells of a child that was asked; reports whether it was one.
    pub(super) fn hear_lookup(&mut self, message: &FromKeeper) -> bool {
        let (slot, answer) = match *message {
            FromKeeper::Spawned { slot, .. } | FromKeeper::Stopped { slot, .. } => (slot, None),
            FromKeeper::SpawnFailed { slot, errno, .. } => {
                (slot, Some(Err(Errno::from_raw_os_error(errno))))
            }
            FromKeeper::Exited { slot, exit, .. } => (slot, Some(self.read_answer(slot, exit))),
            FromKeeper::Welcome { .. }
            | FromKeeper::Held { .. }
            | FromKeeper::Logger
            | FromKeeper::Told
            | FromKeeper::OrphanExited { .. }
            | FromKeeper::Signalled { .. }
            | FromKeeper::Lent { .. }
            | FromKeeper::NotUpgraded { .. } => return false,
        };
        if slot.instance != InstanceId::NONE {
            return false;
        }
        if let Some(answer) = answer {
            self.lookups.answered(slot, answer);
            // Where the keeper has no room the row stays; the next daemon releases it.
            self.link.send(&ToKeeper::Release { slot }, &[]);
        }
        true
    }

    fn read_answer(&self, child: Slot, exit: Exit) -> Result<Vec<u8>, Errno> {
        let asked = self.lookups.asked.get(&child).ok_or(Errno::SRCH)?;
        match exit {
            Exit::Status(0) if memfd::length(&asked.answer)? <= ANSWER_MAX => {
                memfd::read_all(&asked.answer)
            }
            Exit::Status(0) => Err(Errno::FBIG),
            ABSENT => Err(Errno::NOENT),
            Exit::Status(_) | Exit::Signal { .. } | Exit::Unknown | Exit::OutOfMemory => {
                Err(Errno::IO)
            }
        }
    }

    /// Ends children that have taken too long.
    pub(super) fn give_up_lookups(&mut self) {
        let now = sys::clock::monotonic();
        let late = self.lookups.asked.iter().filter(|(_, asked)| asked.by <= now);
        for slot in late.map(|(slot, _)| *slot).collect::<Vec<Slot>>() {
            let signal = ToKeeper::Signal {
                slot,
                signal: Signal::KILL,
                scope: engine::keeper::Scope::Process,
            };
            self.link.send(&signal, &[]);
            self.lookups.answered(slot, Err(Errno::TIMEDOUT));
        }
    }

    /// Does those starts once more that have been answered.
    pub(super) fn resume_starts(&mut self) {
        while let Some(start) = self.lookups.ready.pop_first() {
            match self.spawn(start) {
                Done::Yes => {}
                Done::Later => {
                    self.lookups.ready.insert(start);
                    return;
                }
            }
        }
    }
}

fn plan(question: &Question, chroot: Option<CString>) -> Vec<u8> {
    let (database, name) = question.words();
    let word = |bytes: &[u8]| CString::new(bytes).unwrap_or_default();
    let candidates = [c"/usr/bin/getent", c"/bin/getent"].map(CString::from).to_vec();
    let plan = Plan {
        argv: vec![c"getent".into(), word(database.as_bytes()), word(name)],
        env: vec![c"PATH=/usr/bin:/bin".into(), c"LC_ALL=C".into()],
        candidates,
        cgroups: Vec::new(),
        console: Console::Null,
        given: vec![1],
        profile: None,
        oom_score_adj: None,
        limits: Vec::new(),
        umask: None,
        nice: None,
        chroot,
        chdir: Some(Chdir { path: c"/".into(), refused: Refused::Fails }),
        identity: Identity { groups: None, gid: None, uid: None },
        debug: Debug::Run,
    };
    plan.encode()
}
