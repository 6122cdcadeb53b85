//! Taking the place of a keeper that was killed: what its heirs have, made into another keeper.
//!
//! The logger is the first heir: it has every output, and beside them what the keeper held. The daemon
//! gives it what may be newer, and is the heir itself where there is no logger. Whoever it is starts a
//! keeper from its own binary and ends; the new keeper starts both of them anew. Two of them cannot
//! come about: a keeper has the facts locked.

use crate::keeper::{facts, handover};
use engine::handover::{Item, Items, Standing, Writer};
use engine::keeper::{held, End, FromKeeper};
use engine::process::{Exit, Slot, Stream};
use engine::time::{Mono, Span};
use std::collections::{BTreeMap, TryReserveError};
use std::fmt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;
use sys::epoll::{Epoll, Interest};
use sys::own::Binary;
use sys::{memfd, pidfd, procfs, Errno};

/// SIGSTOP, by which a process that is found stopped is said to have been.
const STOP: u8 = 19;

/// How many keepers in a row are started that end before they have heirs of their own.
const TRIES: u32 = 6;

/// The waits before the first keeper that follows another, and those after it in a row; the last one from
/// then on.
const WAITS: [Span; 5] = [Span::ZERO, Span::ZERO, Span::millis(100), Span::secs(1), Span::secs(5)];

/// A keeper that ended sooner is not followed by another at once, however well it began.
const SHORT: Span = Span::secs(1);
const PACE: Span = Span::millis(100);

/// How many may end while a new binary is on probation before the one before is gone back to.
const ON_PROBATION: u32 = 2;

/// How long it is waited for a keeper to have heirs.
const PATIENCE: Span = Span::secs(60);

/// What an heir has.
#[derive(Debug, Default)]
pub struct Estate {
    /// What the keeper held, by key.
    pub held: BTreeMap<u32, OwnedFd>,
    /// The ends of processes' pipes that it kept.
    pub ends: BTreeMap<(Slot, End), OwnedFd>,
}

/// An output: whose, its reading end, and its route as the keeper was sent it.
pub struct Output<'a> {
    /// Whose.
    pub slot: Slot,
    /// Which.
    pub stream: Stream,
    /// The reading end.
    pub read: BorrowedFd<'a>,
    /// Where it goes.
    pub route: Vec<u8>,
}

/// What another process is in the new keeper's table.
struct Found {
    standing: Standing,
    stopped: u8,
    process: Option<OwnedFd>,
}

impl Estate {
    /// Reports whether another keeper can be made of it.
    pub fn is_whole(&self) -> bool {
        [held::FACTS, held::ORIGIN].iter().all(|key| self.held.contains_key(key))
    }

    /// Reports whether somebody else waits for the end of the keeper, and starts another.
    pub fn is_waited_for(&self) -> bool {
        self.held.contains_key(&held::WAITED) && !self.is_whole()
    }

    /// Starts a keeper that goes on with this and with these outputs, and another one where it ends before
    /// it has heirs of its own, up to [`TRIES`] in a row. `begun` is told when the first has been started.
    pub fn succeed(&self, outputs: &[Output<'_>], mut begun: impl FnMut()) -> Result<(), Trouble> {
        let (Some(facts), Some(origin)) =
            (self.held.get(&held::FACTS), self.held.get(&held::ORIGIN))
        else {
            return Err(Trouble::from("it has not said what it had"));
        };
        let origin = memfd::read_all(origin)?;
        let origin = Items::of(&origin).map_err(|_| Trouble::from("what it had cannot be read"))?;
        let mut before = Before::of(origin.clone());
        while before.short < TRIES {
            before.pause();
            let binary = self.binary(&before)?;
            let heirs = self.start(origin.clone(), facts, &before, &binary, outputs)?;
            begun();
            match wait(&heirs) {
                Established::Yes => return Ok(()),
                Established::No => before = before.and_one(),
            }
        }
        Err(Trouble::GivenUp)
    }

    /// Returns the binary of the next keeper: the own one, or the one before an upgrade that was none.
    fn binary(&self, before: &Before) -> Result<Chosen, Trouble> {
        let previous = self.held.get(&held::PREVIOUS).filter(|_| before.goes_back());
        let previous = previous.and_then(|fd| Binary::of(fd.try_clone().ok()?).ok());
        if let Some(binary) = previous {
            sys::say::line(format_args!(
                "upright: the keeper has ended twice since it went on in another binary; going on in the one before"
            ));
            return Ok(Chosen { binary, way: Way::Back });
        }
        Ok(Chosen { binary: Binary::open()?, way: Way::On })
    }

    /// Starts one; returns what it writes to once it has heirs.
    fn start(
        &self,
        origin: Items<'_>,
        facts: &OwnedFd,
        lives: &Before,
        Chosen { binary, way }: &Chosen,
        outputs: &[Output<'_>],
    ) -> Result<OwnedFd, Trouble> {
        let mut writer = Writer::new()?;
        let mut before = 0;
        for item in origin {
            let item = match item {
                Item::Keeper { named, upgrades, unseen, stack, .. } => {
                    before = stack;
                    let (replaced, foster) = (true, true);
                    Item::Keeper { named, upgrades, replaced, foster, unseen, stack }
                }
                Item::Lives { .. } => {
                    let short = if *way == Way::Back { 0 } else { lives.short };
                    Item::Lives { short, began: 0, until: 0 }
                }
                other => other,
            };
            writer.add(&item)?;
        }
        let (heirs, heir) = sys::pipe::new()?;
        writer.add(&Item::Heir { fd: heir.as_raw_fd() })?;
        let mut processes = Vec::new();
        let found = facts::read(facts).into_iter().filter_map(|(index, message)| {
            let (slot, found) = find(&message, before)?;
            Some((index, message, slot, found))
        });
        let found: Vec<_> = found.collect();
        // A child that found its keeper gone has taken its record back before it ended.
        let now: BTreeMap<_, _> = facts::read(facts).into_iter().collect();
        let found = found.into_iter().filter(|(index, said, ..)| now.get(index) == Some(said));
        for (index, _, slot, found) in found {
            let Found { standing, stopped, process } = found;
            let fd = process.as_ref().map(AsRawFd::as_raw_fd);
            let row = Item::Row { index, slot, standing, stopped, released: false, fd };
            writer.add(&row)?;
            processes.extend(process);
        }
        for Output { slot, stream, read, route } in outputs {
            let (slot, stream, fd) = (*slot, *stream, read.as_raw_fd());
            writer.add(&Item::Output { slot, stream, fd, route })?;
        }
        for ((slot, end), fd) in &self.ends {
            let item = Item::End { slot: *slot, end: *end, fd: fd.as_raw_fd() };
            writer.add(&item)?;
        }
        let over = |key: u32| *way == Way::Back && key == held::PREVIOUS;
        for (key, fd) in self.held.iter().filter(|(key, _)| !over(**key)) {
            writer.add(&Item::Held { key: *key, fd: fd.as_raw_fd() })?;
        }
        let file = memfd::sealed(c"upright-handover", writer.bytes())?;
        let kept = outputs.iter().map(|output| output.read);
        let held = self.held.values().chain(self.ends.values());
        let kept = kept.chain(processes.iter().chain(held).map(AsFd::as_fd));
        let heirlooms: Vec<BorrowedFd<'_>> = kept.chain([file.as_fd(), heir.as_fd()]).collect();
        let highest = heirlooms.iter().map(AsRawFd::as_raw_fd).max().unwrap_or(0);
        let argv = match way {
            Way::On => handover::arguments(handover::NEXT, &file, highest),
            Way::Back => handover::taken_back(&file, highest),
        };
        binary.start_heir(&argv, &heirlooms)?;
        Ok(heirs)
    }
}

/// Why no other keeper could be started.
#[derive(Debug)]
pub enum Trouble {
    /// This was in the way, and may pass.
    Now(String),
    /// As many as are tried have ended at once.
    GivenUp,
}

impl From<&str> for Trouble {
    fn from(why: &str) -> Trouble {
        Trouble::Now(String::from(why))
    }
}

impl From<Errno> for Trouble {
    fn from(errno: Errno) -> Trouble {
        Trouble::Now(errno.to_string())
    }
}

impl From<TryReserveError> for Trouble {
    fn from(_: TryReserveError) -> Trouble {
        Trouble::from("out of memory")
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Now(why) => f.write_str(why),
            Trouble::GivenUp => write!(f, "{} in a row ended as soon as they had begun", TRIES - 1),
        }
    }
}

/// A binary, and which way it leads.
struct Chosen {
    binary: Binary,
    way: Way,
}

/// Whether the next keeper is one of the own binary, or of the one before an upgrade.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    On,
    Back,
}

/// What is known of the keepers before the next one.
#[derive(Clone, Copy)]
struct Before {
    /// How many in a row ended before they had heirs, or on probation, the last one among them.
    short: u32,
    /// How long the last one lived.
    lived: Span,
    /// Whether it was on probation.
    on_probation: bool,
}

impl Before {
    fn of(mut origin: Items<'_>) -> Before {
        let lives = origin.find_map(|item| {
            let Item::Lives { short, began, until } = item else { return None };
            Some((short, began, until))
        });
        let now = sys::clock::monotonic();
        let (short, began, until) = lives.unwrap_or((0, 0, 0));
        let (lived, on_probation) = (now.since(Mono(began)), now < Mono(until));
        Before { short: short.saturating_add(1), lived, on_probation }
    }

    fn and_one(self) -> Before {
        Before { short: self.short.saturating_add(1), lived: Span::ZERO, ..self }
    }

    /// Waits before the next one, and says so where this was not the first.
    fn pause(&self) {
        let (number, wait) = (self.short, self.wait());
        if number > 1 {
            sys::say::line(format_args!(
                "upright: {number} keepers in a row have ended soon; starting another one after {wait}"
            ));
        }
        std::thread::sleep(Duration::from_nanos(wait.0));
    }

    fn wait(&self) -> Span {
        let place = usize::try_from(self.short).unwrap_or(usize::MAX);
        let wait = WAITS.get(place).or(WAITS.last()).copied().unwrap_or(Span::ZERO);
        if self.lived < SHORT {
            wait.max(PACE)
        } else {
            wait
        }
    }

    fn goes_back(&self) -> bool {
        self.on_probation && self.short >= ON_PROBATION
    }
}

/// Whether a keeper has heirs.
enum Established {
    Yes,
    No,
}

/// Waits until a keeper has heirs, or has ended.
fn wait(heirs: &OwnedFd) -> Established {
    let until = sys::clock::monotonic() + PATIENCE;
    let Ok(mut epoll) = Epoll::new(1) else { return Established::Yes };
    let watched = sys::pipe::set_nonblocking(heirs).is_ok();
    if !watched || epoll.add(heirs, 0, Interest::Read).is_err() {
        return Established::Yes;
    }
    loop {
        match sys::pipe::read(heirs, &mut [0; 1]) {
            Ok(0) => return Established::No,
            Ok(_) => return Established::Yes,
            Err(_) => {}
        }
        let left = until.since(sys::clock::monotonic());
        // One that takes so long is there all the same, and may be of a release that says nothing.
        if left == Span::ZERO || epoll.wait(Some(left.0)).is_err() {
            return Established::Yes;
        }
    }
}

/// Looks what has become of a process. `before` is where the stack of the keeper began: what still has
/// it has not executed its program, and will not, for its parent is gone; it is started again.
fn find(message: &FromKeeper, before: u64) -> Option<(Slot, Found)> {
    let over = |standing| Found { standing, stopped: 0, process: None };
    match *message {
        FromKeeper::Spawned { slot, pid, warnings } => {
            let gone = over(Standing::Ended(pid, warnings, Exit::Unknown));
            // The keeper had not reaped it, so its number was taken until a moment ago, and is not
            // given again before all others were.
            let Ok(process) = pidfd::open(pid) else { return Some((slot, gone)) };
            let Some(stat) = procfs::stat(pid) else { return Some((slot, gone)) };
            if before != 0 && stat.stack == before {
                let _ = pidfd::send(&process, engine::signal::Signal::KILL);
                return None;
            }
            let stopped = if stat.state == b'T' { STOP } else { 0 };
            let standing = Standing::Running(pid, warnings);
            Some((slot, Found { standing, stopped, process: Some(process) }))
        }
        FromKeeper::Exited { slot, pid, exit } => Some((slot, over(Standing::Ended(pid, 0, exit)))),
        FromKeeper::SpawnFailed { slot, step, errno } => {
            Some((slot, over(Standing::Failed(step, errno))))
        }
        FromKeeper::Welcome { .. }
        | FromKeeper::Held { .. }
        | FromKeeper::Logger
        | FromKeeper::Told
        | FromKeeper::Stopped { .. }
        | FromKeeper::OrphanExited { .. }
        | FromKeeper::Signalled { .. }
        | FromKeeper::Lent { .. }
        | FromKeeper::NotUpgraded { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn before(short: u32, lived: Span, on_probation: bool) -> Before {
        Before { short, lived, on_probation }
    }

    #[test]
    fn each_keeper_that_follows_one_which_ended_soon_is_waited_for_longer() {
        let waits = |lived| [1, 2, 3, 4, 5, 99].map(|short| before(short, lived, false).wait().0);
        let long =
            [Span::ZERO, WAITS[2], WAITS[3], WAITS[4], WAITS[4], WAITS[4]].map(|wait| wait.0);
        assert_eq!(waits(SHORT), long);
        assert_eq!(waits(Span::ZERO), long.map(|wait| wait.max(PACE.0)));
    }

    #[test]
    fn the_second_that_ends_on_probation_leads_to_the_binary_before() {
        assert!(!before(1, SHORT, true).goes_back());
        assert!(before(2, SHORT, true).goes_back());
        assert!(!before(2, SHORT, false).goes_back());
    }
}
