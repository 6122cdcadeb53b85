//! From one keeper to the next: all that this one has, left to the binary that it becomes; and a keeper
//! made of what another has left. The format is `engine::handover`.

use super::facts::{self, Facts, Only};
use super::held::Heirs;
use super::lives::{self, Lives};
use super::probation::Fallen;
use super::table::{Fate, Log, Resumed};
use super::{Keeper, FOSTERED, REPORT, SETUP};
use engine::handover::{Fault, Item, Items, Standing, Writer};
use engine::keeper::{held, Replaced};
use engine::process::{Exit, Pid, Slot};
use std::collections::TryReserveError;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use sys::epoll::Interest;
use sys::lifeline::Way;
use sys::limits::Inherited;
use sys::own::{Argv, Binary, Heirlooms};
use sys::report::Report;
use sys::signals::SignalSet;
use sys::{memfd, Errno};

/// The number of the daemon and of the logger among the items.
const DAEMON: u8 = 0;
const LOGGER: u8 = 1;

/// What a keeper is, beside what it has.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The process that the user started.
    pub named: Pid,
    /// How often it has gone on in another binary.
    pub upgrades: u32,
    /// Whether it took the place of one that was killed, and no daemon has been ready since.
    pub replaced: Replaced,
    /// Whether some processes may be no children of it.
    pub kin: Kin,
    /// How the binary ended that it had gone on in and came back from, the last time that it tried.
    pub given_up: Option<Exit>,
    /// How it stands with keepers that end soon after they began.
    pub lives: Lives,
    /// What it was started with.
    pub arguments: Vec<CString>,
}

/// Whose children the processes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kin {
    /// The keeper's own, all of them.
    Own,
    /// Perhaps those of a keeper that was killed, and so somebody else's now.
    Foster,
}

/// The role of a keeper that goes on with what another has left.
pub const NEXT: &CStr = c"--role=keeper";

/// What stands behind the file where the binary before goes on after all.
pub const BACK: &CStr = c"--back";

/// The role of one that only shows that it could.
pub const REHEARSAL: &CStr = c"--role=rehearse";

/// Whether what a keeper takes is its own from then on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Performance {
    /// It is.
    Real,
    /// It is, and was before: the binary that had taken it over has died of a fault.
    Back,
    /// It is another's, who lives.
    Rehearsal,
}

/// Returns the arguments by which a binary of ours takes a role with a file: its descriptor, and the
/// highest that is left beside it.
pub fn arguments(role: &CStr, file: &OwnedFd, highest: RawFd) -> Argv {
    let whereabouts = whereabouts(file, highest);
    Argv::new(vec![c"upright-keeper".to_owned(), role.to_owned(), whereabouts])
}

/// Returns the arguments by which the binary before an upgrade takes a keeper's role with a file after all.
pub fn taken_back(file: &OwnedFd, highest: RawFd) -> Argv {
    let mut words = way_back(&whereabouts(file, highest));
    // Nobody knows how the other one ended.
    words.push(c"0".to_owned());
    Argv::new(words)
}

/// Writes the first items: what every keeper leaves, and all that outlives one that is killed.
pub fn write_self(
    own: &Identity,
    inherited: &Inherited,
    unseen: SignalSet,
) -> Result<Writer, TryReserveError> {
    let mut writer = Writer::new()?;
    let stack = sys::procfs::stat(sys::own::pid()).map_or(0, |stat| stat.stack);
    writer.add(&Item::Keeper {
        named: own.named,
        upgrades: own.upgrades,
        replaced: own.replaced == Replaced::Yes,
        foster: own.kin == Kin::Foster,
        unseen: unseen.bits(),
        stack,
    })?;
    let Lives { short, began, until } = own.lives;
    let until = until.map_or(0, |until| until.0);
    writer.add(&Item::Lives { short, began: began.0, until })?;
    let (soft, hard, ignored) = inherited.words();
    writer.add(&Item::Inherited { soft, hard, ignored })?;
    own.arguments.iter().try_for_each(|text| writer.add(&Item::Argument(text.to_bytes())))?;
    Ok(writer)
}

/// Ties PID 1 to the binary before it, which would find everything as it had left it.
fn keep_way_back(
    mut items: Items<'_>,
    heirlooms: &mut Heirlooms,
    kept: Vec<OwnedFd>,
    whereabouts: &CStr,
) {
    let previous = items.find_map(|item| match item {
        Item::Previous { fd } => Some(fd),
        Item::Keeper { .. }
        | Item::Inherited { .. }
        | Item::Argument(_)
        | Item::Peer { .. }
        | Item::Row { .. }
        | Item::Output { .. }
        | Item::End { .. }
        | Item::Orphan { .. }
        | Item::Orphans { .. }
        | Item::Held { .. }
        | Item::Lives { .. }
        | Item::Heir { .. }
        | Item::Facts { .. } => None,
    });
    if kept.is_empty() {
        return;
    }
    let binary = previous.and_then(|fd| heirlooms.take(fd)).and_then(|fd| Binary::of(fd).ok());
    if let Some(binary) = binary {
        sys::lifeline::tie(binary, Way::new(way_back(whereabouts), kept, 0));
    }
}

/// Returns the words that a binary is started with where it goes on after all.
pub fn way_back(whereabouts: &CStr) -> Vec<CString> {
    [c"upright-keeper", NEXT, whereabouts, BACK].map(CStr::to_owned).to_vec()
}

/// Returns where a file is found, as [`arguments`] says it: its descriptor, and the highest beside it.
pub fn whereabouts(file: &OwnedFd, highest: RawFd) -> CString {
    let number = file.as_raw_fd();
    CString::new(format!("{number}:{}", highest.max(number))).unwrap_or_default()
}

impl Keeper {
    /// Goes on in another binary. Returns only where that cannot be.
    pub(super) fn become_binary(&mut self, binary: &Binary) -> Errno {
        let file = match self.left() {
            Ok(file) => file,
            Err(errno) => return errno,
        };
        let heirlooms = self.heirlooms_and(&file);
        let highest = heirlooms.iter().map(AsRawFd::as_raw_fd).max().unwrap_or(0);
        binary.become_it(&arguments(NEXT, &file, highest), &heirlooms)
    }

    /// Writes down all that is left to another binary.
    pub(super) fn left(&self) -> Result<OwnedFd, Errno> {
        let mut own = self.identity.clone();
        own.upgrades = own.upgrades.saturating_add(1);
        own.lives = Lives::new();
        self.write_down(&own)
    }

    /// Writes down all that there is, as that of a keeper like this.
    pub(super) fn write_down(&self, own: &Identity) -> Result<OwnedFd, Errno> {
        let written = self.write_all(own).map_err(|_| Errno::NOMEM);
        written.and_then(|writer| memfd::sealed(c"upright-handover", writer.bytes()))
    }

    /// Returns every descriptor that the file names, and the file's own.
    pub(super) fn heirlooms_and<'a>(&'a self, file: &'a OwnedFd) -> Vec<BorrowedFd<'a>> {
        self.heirlooms().chain([file.as_fd()]).collect()
    }

    fn write_all(&self, own: &Identity) -> Result<Writer, TryReserveError> {
        let mut writer = write_self(own, &self.inherited, self.unseen)?;
        writer.add(&Item::Previous { fd: self.own.fd().as_raw_fd() })?;
        for (which, peer) in [(DAEMON, &self.daemon), (LOGGER, &self.logger)] {
            if let (Some(pid), Some(channel)) = (peer.pid(), peer.channel()) {
                writer.add(&Item::Peer { which, pid, channel: channel.as_raw_fd() })?;
            }
        }
        for (index, row) in self.table.all() {
            let (standing, fd) = match &row.fate {
                Fate::Spawning(pid, report) => {
                    (Standing::Spawning(*pid, report.warnings()), Some(report.as_fd().as_raw_fd()))
                }
                Fate::Failing(pid, step, errno) => (Standing::Failing(*pid, *step, *errno), None),
                Fate::Running(pid, warnings) => (Standing::Running(*pid, *warnings), None),
                Fate::Ended(pid, warnings, exit) => (Standing::Ended(*pid, *warnings, *exit), None),
                Fate::Gone(pid, exit) => (Standing::Gone(*pid, *exit), None),
                Fate::Failed(step, errno) => (Standing::Failed(*step, *errno), None),
            };
            let fd = row.foster.as_ref().map(AsRawFd::as_raw_fd).or(fd);
            let (slot, stopped) = (row.slot, row.stopped.unwrap_or(0));
            let released = row.is_released();
            writer.add(&Item::Row { index, slot, standing, stopped, released, fd })?;
            for (stream, Log { read, route }) in self.table.outputs(index, row) {
                writer.add(&Item::Output { slot, stream, fd: read.as_raw_fd(), route })?;
            }
            for (end, fd) in self.table.ends_of(index) {
                writer.add(&Item::End { slot, end, fd: fd.as_raw_fd() })?;
            }
        }
        for (sequence, pid, exit) in self.orphans.all() {
            writer.add(&Item::Orphan { sequence, pid, exit })?;
        }
        writer.add(&Item::Orphans { last: self.orphans.last() })?;
        for (key, fd) in self.held.all() {
            writer.add(&Item::Held { key, fd: fd.as_raw_fd() })?;
        }
        if let Some(fd) = self.probation.as_ref().and(self.facts.file()) {
            writer.add(&Item::Facts { fd: fd.as_raw_fd() })?;
        }
        Ok(writer)
    }

    /// Returns every descriptor that [`Keeper::write_all`] names.
    fn heirlooms(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let rows = self.table.all().flat_map(|(index, row)| {
            let report = match &row.fate {
                Fate::Spawning(_, report) => Some(report.as_fd()),
                Fate::Failing(..)
                | Fate::Running(..)
                | Fate::Ended(..)
                | Fate::Gone(..)
                | Fate::Failed(..) => None,
            };
            let own = [report, row.foster.as_ref().map(OwnedFd::as_fd)].into_iter().flatten();
            let logs = self.table.outputs(index, row).map(|(_, log)| log.read.as_fd());
            own.chain(logs).chain(self.table.ends_of(index).map(|(_, fd)| fd))
        });
        let peers = [&self.daemon, &self.logger].into_iter().filter_map(|peer| peer.channel());
        let facts = self.probation.as_ref().and(self.facts.file());
        let held = self.held.all().map(|(_, fd)| fd);
        rows.chain(peers).chain(held).chain([self.own.fd()]).chain(facts)
    }

    /// Makes a keeper of what another has left; nothing where another has taken its place already.
    /// `whereabouts` is what [`arguments`] makes.
    pub(super) fn resume(
        whereabouts: &CStr,
        performance: Performance,
    ) -> Result<Option<Keeper>, String> {
        let numbers = whereabouts.to_str().ok().and_then(|text| text.split_once(':'));
        let numbers = numbers.and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
        let Some((file, highest)) = numbers else { return Err(String::from("no file is named")) };
        let (mut heirlooms, kept) = match performance == Performance::Real && sys::own::is_first() {
            true => Heirlooms::inherit_copies(highest),
            false => (Heirlooms::inherit(highest), Vec::new()),
        };
        let file = heirlooms.take(file).ok_or("the file is not open")?;
        let bytes = memfd::read_all(&file).map_err(|errno| errno.to_string())?;
        let items = Items::of(&bytes).map_err(|fault| match fault {
            Fault::NotOne => String::from("the file is none that a keeper leaves"),
            Fault::Version(version) => format!("the file is of version {version}"),
        })?;
        keep_way_back(items.clone(), &mut heirlooms, kept, whereabouts);
        let mut keeper = Keeper::of_self(items.clone())?;
        keeper.heir = lives::heir(items.clone(), &mut heirlooms);
        let fallen = match performance {
            Performance::Back => Fallen::find(items.clone(), &mut heirlooms),
            Performance::Real | Performance::Rehearsal => Fallen::default(),
        };
        // In a rehearsal the other one lives, and has the place.
        let only = keeper.take_held(items.clone(), &mut heirlooms);
        if only == Only::No && performance != Performance::Rehearsal {
            keeper.tell_heir();
            return Ok(None);
        }
        if performance == Performance::Real {
            keeper.hold_previous(items.clone(), &mut heirlooms);
        }
        for item in items {
            keeper.take_item(fallen.put_right(item), &mut heirlooms);
        }
        match keeper.heir {
            Some(_) => keeper.hold_waited(),
            None => keeper.leave_origin(),
        }
        Ok(Some(keeper))
    }

    fn of_self(items: Items<'_>) -> Result<Keeper, String> {
        let mut own = Identity {
            named: sys::own::pid(),
            upgrades: 0,
            replaced: Replaced::No,
            kin: Kin::Own,
            given_up: None,
            lives: Lives::new(),
            arguments: Vec::new(),
        };
        let (mut inherited, mut unread) = (Inherited::capture(), SignalSet::NONE);
        for item in items {
            match item {
                Item::Keeper { named, upgrades, replaced, foster, unseen, stack: _ } => {
                    (own.named, own.upgrades) = (named, upgrades);
                    own.replaced = if replaced { Replaced::Yes } else { Replaced::No };
                    own.kin = if foster { Kin::Foster } else { Kin::Own };
                    unread = SignalSet::of_bits(unseen);
                }
                Item::Lives { short, .. } => own.lives.short = short,
                Item::Inherited { soft, hard, ignored } => {
                    inherited = Inherited::of(soft, hard, ignored);
                }
                Item::Argument(text) => {
                    own.arguments.push(CString::new(text).unwrap_or_default());
                }
                Item::Peer { .. }
                | Item::Row { .. }
                | Item::Output { .. }
                | Item::End { .. }
                | Item::Orphan { .. }
                | Item::Orphans { .. }
                | Item::Held { .. }
                | Item::Previous { .. }
                | Item::Heir { .. }
                | Item::Facts { .. } => {}
            }
        }
        let keeper = Keeper::bare(inherited, own).map_err(|errno| errno.to_string());
        keeper.map(|keeper| Keeper { unseen: unread, ..keeper })
    }

    fn take_held(&mut self, items: Items<'_>, heirlooms: &mut Heirlooms) -> Only {
        let mut only = Only::Yes;
        for item in items {
            let Item::Held { key, fd } = item else { continue };
            // Who knows it is an heir: that is said when the one who has started this keeper may go.
            if [held::ORIGIN, held::WAITED].contains(&key) && self.heir.is_some() {
                continue;
            }
            let Some(fd) = heirlooms.take(fd) else { continue };
            if key == facts::KEY {
                let (facts, is_only) = Facts::resume(&fd);
                (self.facts, only) = (facts, is_only);
            }
            self.held.hold(key, fd);
        }
        only
    }

    fn take_item(&mut self, item: Item<'_>, heirlooms: &mut Heirlooms) {
        match item {
            Item::Keeper { .. }
            | Item::Inherited { .. }
            | Item::Argument(_)
            | Item::Held { .. }
            | Item::Previous { .. }
            | Item::Lives { .. }
            | Item::Heir { .. }
            | Item::Facts { .. } => {}
            Item::Peer { which, pid, channel } => {
                let peer = if which == DAEMON { &mut self.daemon } else { &mut self.logger };
                if let Some(channel) = heirlooms.take(channel).filter(|_| sys::wait::is_child(pid))
                {
                    peer.resume(pid, channel, &self.epoll, self.now);
                }
            }
            Item::Row { index, slot, standing, stopped, released, fd } => {
                let fd = fd.and_then(|fd| heirlooms.take(fd));
                let stopped = Some(stopped).filter(|signal| *signal != 0);
                self.take_row(index, slot, standing, fd, |fate, foster| Resumed {
                    slot,
                    fate,
                    stopped,
                    foster,
                    released,
                });
            }
            Item::Output { slot, stream, fd, route } => {
                if let Some(read) = heirlooms.take(fd) {
                    self.table.resume_output(slot, stream, Log { read, route: route.into() });
                }
            }
            Item::End { slot, end, fd } => {
                if let Some(fd) = heirlooms.take(fd) {
                    self.table.resume_end(slot, end, fd);
                }
            }
            Item::Orphan { sequence, pid, exit } => {
                self.orphans.resume(Some((sequence, pid, exit)), sequence);
            }
            Item::Orphans { last } => self.orphans.resume(None, last),
        }
    }

    fn take_row(
        &mut self,
        index: u32,
        slot: Slot,
        standing: Standing,
        fd: Option<OwnedFd>,
        row: impl FnOnce(Fate, Option<OwnedFd>) -> Resumed,
    ) {
        let (fate, foster) = match standing {
            Standing::Spawning(pid, warnings) => match fd {
                Some(report) => (Fate::Spawning(pid, Report::resume(report, warnings)), None),
                None => (Fate::Running(pid, warnings), None),
            },
            Standing::Failing(pid, step, errno) => (Fate::Failing(pid, step, errno), None),
            Standing::Running(pid, warnings) => {
                let foster = fd.or_else(|| self.foster(pid));
                match foster.is_some() || sys::wait::is_child(pid) {
                    true => (Fate::Running(pid, warnings), foster),
                    false => (Fate::Ended(pid, warnings, Exit::Unknown), None),
                }
            }
            Standing::Ended(pid, warnings, exit) => (Fate::Ended(pid, warnings, exit), None),
            Standing::Gone(pid, exit) => (Fate::Gone(pid, exit), None),
            Standing::Failed(step, errno) => (Fate::Failed(step, errno), None),
        };
        if let Some(foster) = &foster {
            let _ = self.epoll.add(foster, FOSTERED + u64::from(index), Interest::ReadEdge);
        }
        if let Fate::Spawning(_, report) = &fate {
            let _ = self.epoll.add(report, REPORT + u64::from(index), Interest::Read);
            self.deadlines.push_back((self.now + SETUP, index, slot));
        }
        self.table.resume(index, row(fate, foster));
    }

    /// Opens a process that is no child of ours, where there may be such.
    pub(super) fn foster(&self, pid: Pid) -> Option<OwnedFd> {
        let foster = self.identity.kin == Kin::Foster && !sys::wait::is_child(pid);
        foster.then(|| sys::pidfd::open(pid).ok()).flatten()
    }

    /// Holds what the next keeper has to know of this one, should it be killed.
    pub(super) fn leave_origin(&mut self) {
        if self.heirs == Heirs::None {
            return;
        }
        let written = write_self(&self.identity, &self.inherited, self.unseen).ok();
        let file = written.and_then(|w| memfd::sealed(c"upright-origin", w.bytes()).ok());
        if let Some(file) = file {
            self.held.hold(held::ORIGIN, file);
        }
    }
}
