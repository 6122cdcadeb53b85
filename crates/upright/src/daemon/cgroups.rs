//! The control groups of instances: made before their processes, left when those are gone.
//!
//! Upright's own directory is a group below the one that it was started in, locked, and its descriptor
//! is with the keeper: so a later daemon, also of another keeper, goes on with the same groups, and
//! who finds one that is not locked knows that its Upright is dead.

use super::link::Sent;
use super::Daemon;
use crate::options::{Grouping, Mode};
use crate::session::FIRST;
use engine::cgroup::{self, Place, Whose};
use engine::keeper::{held, ToKeeper};
use engine::machine::{Effect, Input, Level, SpawnOrder};
use engine::names::{InstanceName, JobName};
use engine::process::{Exit, InstanceId, Pid, Slot, Step};
use engine::signal::Signal;
use engine::time::{Mono, Span};
use shown::words::system as words;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use sys::cgroup::Expected;

/// How many Uprights may be in one group.
const UPRIGHTS_MAX: u32 = 256;

/// How long the group of an instance without processes stays after the last end of any: most of those
/// are started again, and while all are being stopped nothing is to come in between.
const STAYS: Span = Span::millis(50);

/// How long groups stay at most where ends never stop coming.
const STAYS_MAX: Span = Span::secs(1);

/// How many groups are removed in one turn: 30 microseconds each, for which whatever comes meanwhile waits.
const REMOVED_AT_ONCE: usize = 8;

/// How long PID 1 waits before it looks again for a hierarchy that was not mounted yet.
const LOOKS_AGAIN: Span = Span::secs(1);

/// How many of those that a dead Upright left are named.
const LEFT_MAX: usize = 20;

/// The group of our own processes, where they must not be in the one above ours.
const OWN: &str = "upright.own";

/// Where a process is born.
pub struct Born {
    /// The directory of its group.
    pub directory: OwnedFd,
    /// The file to write to where it cannot be born there.
    pub procs: CString,
}

/// The groups.
pub struct Groups {
    tree: Tree,
    /// Controllers that our group's groups have.
    controllers: BTreeSet<&'static str>,
    /// Instances that may have no process any more.
    ended: BTreeMap<InstanceId, Ended>,
    /// Those of them in whose groups somebody lives yet.
    lived_in: BTreeMap<InstanceId, Ended>,
    /// When the first of those has ended that are to be removed together, and when that is to be.
    due: Option<(Mono, Mono)>,
    /// Groups within those that several jobs share.
    shared: BTreeMap<InstanceId, PathBuf>,
    /// Slots that do not get all that their `cgroup` stanzas say.
    refused: BTreeSet<Slot>,
    /// What has been said already: each only once.
    said: BTreeSet<String>,
}

/// Whether a turn brings news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// It does.
    Some,
    /// It does not.
    None,
}

/// The groups of an instance.
struct Made {
    /// The innermost.
    directory: OwnedFd,
    /// Where that is.
    path: PathBuf,
    /// What could not be done, each in a sentence.
    problems: Vec<String>,
}

/// An instance one of whose processes has ended.
struct Ended {
    job: JobName,
    instance: InstanceName,
    /// Its group, where that is within one that several jobs share.
    shared: Option<PathBuf>,
}

/// What we have of the hierarchy.
enum Tree {
    /// Nothing, by choice.
    Unwanted,
    /// Nobody has looked.
    Unknown,
    /// There is nothing that we may write to; why, and when that was seen.
    None(String, Mono),
    /// Our own directory.
    Own(Own),
}

/// Our own directory.
struct Own {
    path: PathBuf,
    directory: OwnedFd,
    held: Held,
}

/// Whether the keeper holds its descriptor.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Held {
    Yes,
    No,
}

impl Groups {
    /// Begins without any.
    pub fn new(grouping: Grouping) -> Groups {
        let tree = match grouping {
            Grouping::Own => Tree::Unknown,
            Grouping::None => Tree::Unwanted,
        };
        Groups {
            tree,
            controllers: BTreeSet::new(),
            ended: BTreeMap::new(),
            lived_in: BTreeMap::new(),
            due: None,
            shared: BTreeMap::new(),
            refused: BTreeSet::new(),
            said: BTreeSet::new(),
        }
    }

    /// Returns when groups that nobody is in are to be removed.
    pub fn due(&self) -> Option<Mono> {
        self.due.map(|(_, due)| due)
    }

    /// Orphans have ended: groups may be empty now.
    pub fn look_again(&mut self, now: Mono) {
        if !self.lived_in.is_empty() {
            self.ended.append(&mut self.lived_in);
            self.put_off(now);
        }
    }

    /// Groups are to be removed, but not yet.
    fn put_off(&mut self, now: Mono) {
        let first = self.due.map_or(now, |(first, _)| first);
        self.due = Some((first, (now + STAYS).min(first + STAYS_MAX)));
    }

    fn base(&self) -> Option<&Path> {
        match &self.tree {
            Tree::Own(own) => Some(&own.path),
            Tree::Unwanted | Tree::Unknown | Tree::None(..) => None,
        }
    }

    /// Makes the groups of an instance's place, and sets what is set there; nothing where there can be
    /// none.
    fn make(&mut self, id: InstanceId, place: &Place) -> Option<io::Result<Made>> {
        let left = self.ended.contains_key(&id) || self.lived_in.contains_key(&id);
        let expected = if left { Expected::There } else { Expected::New };
        let Tree::Own(own) = &self.tree else { return None };
        let base = own.path.clone();
        let (mut path, mut paths, mut innermost) = (base.clone(), Vec::new(), None);
        for part in &place.parts {
            path.push(part);
            paths.push(path.clone());
            let outer = innermost.as_ref().unwrap_or(&own.directory);
            innermost = match sys::cgroup::make_in(outer, part, expected) {
                Ok(made) => Some(made),
                Err(error) => return Some(Err(error)),
            };
        }
        let directory = innermost?;
        let problems = self.set(&base, place, &paths);
        Some(Ok(Made { directory, path, problems }))
    }

    /// Sets what is set at a place; returns what could not be done, each in a sentence.
    fn set(&mut self, base: &Path, place: &Place, paths: &[PathBuf]) -> Vec<String> {
        let mut problems = Vec::new();
        if !place.controllers.is_empty() {
            self.enable(base, &place.controllers, &mut problems);
            let outer = paths.split_last().map(|(_, outer)| outer).unwrap_or_default();
            outer.iter().for_each(|group| allow(group, &place.controllers, &mut problems));
        }
        for setting in &place.settings {
            let group = match setting.whose {
                Whose::Own => paths.last(),
                Whose::Shared => paths.first(),
            };
            let Some(group) = group else { continue };
            if let Err(error) = sys::cgroup::write(group, setting.file, &setting.value) {
                let why = match error.kind() {
                    io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => {
                        "its controller is not to be had here".to_owned()
                    }
                    _ => error.to_string(),
                };
                problems
                    .push(format!("`{}` cannot be set to {}: {why}", setting.file, setting.value));
            }
        }
        problems
    }

    /// Gives our groups these controllers. In the group above ours there must be no process then,
    /// unless it is the root: our own move out of the way, others' never.
    fn enable(&mut self, base: &Path, wanted: &BTreeSet<&'static str>, problems: &mut Vec<String>) {
        let missing: BTreeSet<&'static str> =
            wanted.difference(&self.controllers).copied().collect();
        if missing.is_empty() {
            return;
        }
        let Some(above) = base.parent() else { return };
        let before = problems.len();
        allow(above, &missing, problems);
        if problems.len() > before && make_room(above, base) {
            problems.truncate(before);
            allow(above, &missing, problems);
        }
        if problems.len() == before {
            allow(base, &missing, problems);
        }
        if problems.len() == before {
            self.controllers.extend(missing);
        }
    }
}

/// Lets the groups within one have controllers.
fn allow(group: &Path, controllers: &BTreeSet<&'static str>, problems: &mut Vec<String>) {
    let there = sys::cgroup::read(group, "cgroup.subtree_control").unwrap_or_default();
    for name in controllers {
        if there.split_whitespace().any(|one| one == *name) {
            continue;
        }
        let known = sys::cgroup::read(group, "cgroup.controllers").unwrap_or_default();
        if !known.split_whitespace().any(|one| one == *name) {
            problems.push(format!("there is no {name} controller in {}", group.display()));
        } else if let Err(error) =
            sys::cgroup::write(group, "cgroup.subtree_control", &format!("+{name}"))
        {
            let why = match error.kind() {
                io::ErrorKind::ResourceBusy => "processes that are not Upright's are in it".into(),
                _ => error.to_string(),
            };
            problems.push(format!("{} cannot have {name}: {why}", group.display()));
        }
    }
}

/// Moves our own processes out of the group above ours, where nobody else is in it.
fn make_room(above: &Path, base: &Path) -> bool {
    let listed = sys::cgroup::read(above, "cgroup.procs").unwrap_or_default();
    let there: Vec<Pid> = listed.lines().filter_map(|line| line.parse().ok()).collect();
    let mine = |pid: &Pid| {
        let own = [std::process::id() as Pid, sys::own::parent()].contains(pid);
        own || sys::procfs::is_ours(*pid)
    };
    let own = base.join(OWN);
    !there.is_empty()
        && there.iter().all(mine)
        && sys::cgroup::make(&own).is_ok()
        && there
            .iter()
            .all(|pid| sys::cgroup::write(&own, "cgroup.procs", &pid.to_string()).is_ok())
}

/// A directory for our groups, locked, and those whose Uprights are dead while their services live.
struct Found {
    lock: OwnedFd,
    base: PathBuf,
    left: Vec<PathBuf>,
}

/// Finds a directory for our groups below the group that we are in: one that nobody uses.
fn found() -> io::Result<Found> {
    let none = || io::Error::other("no hierarchy of version 2 is mounted here");
    let above = sys::cgroup::own().ok_or_else(none)?;
    let mut populated = Vec::new();
    for number in 1..=UPRIGHTS_MAX {
        let name = match number {
            1 => String::from("upright"),
            number => format!("upright.{number}"),
        };
        let base = above.join(name);
        let naming =
            |error: io::Error| io::Error::other(format!("{}: {}", base.display(), words(&error)));
        sys::cgroup::make(&base).map_err(naming)?;
        let Ok(Some(lock)) = sys::cgroup::lock(&base) else { continue };
        if sys::cgroup::is_populated(&base) {
            populated.push(base);
            continue;
        }
        // What a dead one has left.
        let left = std::fs::read_dir(&base).into_iter().flatten().flatten();
        left.filter(|entry| entry.path().is_dir()).for_each(|entry| {
            let _ = sys::cgroup::remove(&entry.path());
        });
        return Ok(Found { lock, base, left: populated });
    }
    Err(io::Error::other(format!("{} Uprights are in {}", UPRIGHTS_MAX, above.display())))
}

impl Daemon {
    /// Takes over the groups of an earlier daemon.
    pub(super) fn take_groups(&mut self, held: &mut BTreeMap<u32, OwnedFd>) {
        let Some(fd) = held.remove(&held::GROUPS) else { return };
        let Ok(path) = sys::cgroup::path(&fd) else { return };
        let shares = |slot: &Slot| {
            let job = self.engine.name_of(slot.instance).map(|(job, _)| job);
            let spec = job.and_then(|job| self.engine.spec(job));
            spec.is_some_and(|spec| spec.attrs.cgroups.iter().any(|row| row.name.is_some()))
        };
        let there: Vec<(InstanceId, Pid)> = self
            .engine
            .processes()
            .filter_map(|(slot, pid)| Some((slot.instance, pid.filter(|_| shares(&slot))?)))
            .collect();
        for (id, pid) in there {
            let Some(group) = sys::procfs::cgroup(pid) else { continue };
            let group = Path::new(std::ffi::OsStr::from_bytes(&group));
            let base = path.file_name().unwrap_or_default();
            let mut parts = group.components().skip_while(|part| part.as_os_str() != base).skip(1);
            if let (Some(outer), Some(inner)) = (parts.next(), parts.next()) {
                self.groups.shared.insert(id, path.join(outer).join(inner));
            }
        }
        if let Tree::Unknown = self.groups.tree {
            self.groups.tree = Tree::Own(Own { path, directory: fd, held: Held::Yes });
        }
    }

    /// Makes sure of the group that a process is to be born in; none where there can be none.
    pub(super) fn group_of(&mut self, order: &SpawnOrder) -> Option<Born> {
        let wants = !order.spec.attrs.cgroups.is_empty();
        if order.spec.name.is_reserved() {
            return None;
        }
        self.find_base();
        let (name, instance) = (&order.spec.name, &order.instance);
        let (place, error) = cgroup::place(&order.spec.attrs.cgroups, name, instance, &order.env);
        let made = match self.groups.make(order.slot.instance, &place) {
            None => {
                self.do_without_groups(order, wants);
                return None;
            }
            Some(made) => made,
        };
        let Made { directory, path, mut problems } = match made {
            Ok(made) => made,
            Err(error) => {
                let line = format!("has no control group of its own: {error}");
                self.doubt_group(order, &[line], wants);
                return None;
            }
        };
        problems.extend(error.map(|error| format!("it is in no shared group: {error}")));
        self.doubt_group(order, &problems, true);
        if place.parts.len() > 1 {
            self.groups.shared.insert(order.slot.instance, path.clone());
        }
        if self.groups.controllers.contains("memory") {
            self.news.extend(oom_kills(order.slot, &path));
        }
        let procs = CString::new(path.join("cgroup.procs").as_os_str().as_bytes()).ok()?;
        Some(Born { directory, procs })
    }

    /// Looks for our own directory where nobody has, and sees to it that the keeper holds it.
    fn find_base(&mut self) {
        let first = self.settings.options.mode == Mode::System && self.settings.keeper == FIRST;
        let now = sys::clock::monotonic();
        let looks = match &self.groups.tree {
            Tree::Unwanted => false,
            Tree::Unknown => true,
            // A machine's own mounts come later than its first jobs.
            Tree::None(_, seen) => first && now.since(*seen) > LOOKS_AGAIN,
            Tree::Own(_) => false,
        };
        if looks {
            self.groups.tree = match found() {
                Ok(Found { lock, base, left }) => {
                    left.iter().for_each(|dead| self.say_left(dead));
                    Tree::Own(Own { path: base, directory: lock, held: Held::No })
                }
                Err(error) => Tree::None(error.to_string(), now),
            };
        }
        let Tree::Own(own) = &mut self.groups.tree else { return };
        if own.held == Held::No {
            let message = ToKeeper::Hold { key: held::GROUPS };
            if self.link.send(&message, &[own.directory.as_fd()]) == Sent::Yes {
                own.held = Held::Yes;
            }
        }
    }

    /// Says what an Upright has left that was killed with all of its own processes at once.
    fn say_left(&self, dead: &Path) {
        let inner = std::fs::read_dir(dead).into_iter().flatten().flatten();
        let named = inner.filter_map(|entry| {
            let members = sys::cgroup::members(&entry.path());
            let pids: Vec<String> = members.iter().take(LEFT_MAX).map(Pid::to_string).collect();
            let name = entry.file_name().to_string_lossy().into_owned();
            let name = name.strip_suffix(".job").unwrap_or(&name).to_owned();
            (!pids.is_empty()).then(|| format!("{name} ({})", pids.join(", ")))
        });
        let named: Vec<String> = named.take(LEFT_MAX).collect();
        let shown = dead.display();
        self.say(
            Level::Warn,
            &format!(
                "an Upright that was killed has left processes: {}; they are nobody's now and are left alone: `echo 1 > {shown}/cgroup.kill' ends them all",
                named.join(", ")
            ),
        );
    }

    /// A job runs without a group; who wanted something of one is told once why there is none.
    fn do_without_groups(&mut self, order: &SpawnOrder, wants: bool) {
        if !wants {
            return;
        }
        let why = match &self.groups.tree {
            Tree::Unwanted => String::from("Upright was started with --no-cgroups"),
            Tree::None(why, _) => why.clone(),
            Tree::Unknown | Tree::Own(_) => return,
        };
        self.groups.refused.insert(order.slot);
        if self.groups.said.insert(String::new()) {
            let shown = order.spec.name.with_instance(&order.instance);
            self.say(
                Level::Warn,
                &format!("{shown}: `cgroup` has no effect, for this job and all others: {why}; jobs run as if it were not there"),
            );
        }
    }

    /// Says what could not be done for a process, the same of a job once.
    fn doubt_group(&mut self, order: &SpawnOrder, problems: &[String], matters: bool) {
        if problems.is_empty() {
            return;
        }
        if matters {
            self.groups.refused.insert(order.slot);
        }
        let shown = order.spec.name.with_instance(&order.instance);
        for problem in problems {
            let line = format!("{shown}: {problem}; it runs without");
            if self.groups.said.len() < UPRIGHTS_MAX as usize
                && self.groups.said.insert(line.clone())
            {
                self.say(Level::Warn, &line);
            }
        }
    }

    /// Returns the refusals that a spawned process is to be told with: the kernel's, and ours.
    pub(super) fn with_group_refusals(&mut self, slot: Slot, refused: u32) -> u32 {
        match self.groups.refused.remove(&slot) {
            true => refused | 1 << Step::Cgroup.code(),
            false => refused,
        }
    }

    /// Returns the directory of an instance's group, where it has one.
    pub(super) fn group_at(&self, id: InstanceId) -> Option<PathBuf> {
        let base = self.groups.base()?;
        if let Some(shared) = self.groups.shared.get(&id) {
            return Some(shared.clone());
        }
        let (job, instance) = self.engine.name_of(id)?;
        Some(base.join(cgroup::own(job, instance)))
    }

    /// Returns the processes that are in an instance's group.
    pub(super) fn members(&self, id: InstanceId) -> BTreeSet<Pid> {
        let group = self.group_at(id);
        group.map(|group| sys::cgroup::members(&group)).unwrap_or_default().into_iter().collect()
    }

    /// Ends an instance's group where all that live in it are to be ended; reports whether it did.
    pub(super) fn kill_group(&self, id: InstanceId, left: &[Pid], signal: Signal) -> bool {
        let members = self.members(id);
        let all = signal == Signal::KILL
            && !members.is_empty()
            && members.iter().all(|pid| left.contains(pid));
        all && self.group_at(id).is_some_and(|group| sys::cgroup::kill(&group).is_ok())
    }

    /// A process has ended: its instance's group may be left, and the kernel may have killed it for
    /// want of memory.
    pub(super) fn note_end(&mut self, slot: Slot, exit: Exit, effects: &mut Vec<Effect>) {
        if self.groups.base().is_none() {
            return;
        }
        if self.groups.controllers.contains("memory")
            && matches!(exit, Exit::Signal { signal, .. } if signal == Signal::KILL.number())
        {
            let group = self.group_at(slot.instance);
            let told = group.and_then(|group| oom_kills(slot, &group));
            told.into_iter().for_each(|input| self.handle(input, effects));
        }
        let Some((job, instance)) = self.engine.name_of(slot.instance) else { return };
        let shared = self.groups.shared.get(&slot.instance).cloned();
        let ended = Ended { job: job.clone(), instance: instance.clone(), shared };
        self.groups.ended.insert(slot.instance, ended);
        self.groups.put_off(sys::clock::monotonic());
    }

    /// Removes groups that are left and empty, a few at a time, in turns that bring no news; where there
    /// are no such turns, in others.
    pub(super) fn remove_groups(&mut self, now: Mono, news: News) {
        let Some((first, _)) = self.groups.due.filter(|(_, due)| *due <= now) else { return };
        if news == News::Some && now < first + STAYS_MAX {
            return;
        }
        for _ in 0..REMOVED_AT_ONCE {
            let Some((id, ended)) = self.groups.ended.pop_first() else {
                self.groups.due = None;
                return;
            };
            if self.engine.has_processes(&ended.job, &ended.instance) {
                continue;
            }
            let Some(base) = self.groups.base() else { return };
            let group = match &ended.shared {
                Some(shared) => shared.clone(),
                None => base.join(cgroup::own(&ended.job, &ended.instance)),
            };
            if !remove(&group) {
                self.groups.lived_in.insert(id, ended);
            } else if ended.shared.is_some() {
                self.groups.shared.retain(|_, path| *path != group);
            }
        }
    }

    /// Removes all that is empty, ours too.
    pub(super) fn leave_groups(&mut self) {
        let Some(base) = self.groups.base().map(Path::to_path_buf) else { return };
        let inner = std::fs::read_dir(&base).into_iter().flatten().flatten();
        inner.filter(|entry| entry.path().is_dir()).for_each(|entry| {
            remove(&entry.path());
        });
        let _ = sys::cgroup::remove(&base);
    }
}

fn oom_kills(slot: Slot, group: &Path) -> Option<Input> {
    let events = sys::cgroup::read(group, "memory.events").ok()?;
    cgroup::oom_kills(&events).map(|kills| Input::OomKills(slot, kills))
}

/// Removes a group, and the one around it that jobs shared; reports whether it is gone.
fn remove(group: &Path) -> bool {
    let gone = match sys::cgroup::remove(group) {
        Ok(()) => true,
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    };
    if let Some(around) = group
        .parent()
        .filter(|around| gone && around.extension().is_some_and(|extension| extension == "group"))
    {
        let _ = std::fs::remove_dir(around);
    }
    gone
}
