//! PID 1 has gone on in another binary, and that one has yet to show what it is worth: for a while
//! everything it does is written down, so that the binary before can go on where this one fails.
//!
//! What is written is what it would leave to a next one (`handover`), after each request and each end,
//! and beside it what children write down themselves (`facts`), for a keeper that dies while it makes one.

use super::facts::{self, Facts};
use super::handover::{way_back, whereabouts};
use super::held::Heirs;
use super::Keeper;
use engine::handover::{Item, Items, Standing};
use engine::keeper::FromKeeper;
use engine::process::{Exit, Pid, Slot};
use engine::signal::Signal;
use engine::time::{Mono, Span};
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::AsRawFd;
use sys::lifeline::{self, Way};
use sys::own::Heirlooms;

/// How long it lasts.
const LASTS: Span = Span::secs(30);

/// How much is written down at most: with thousands of processes that is over sooner.
const WRITTEN: u64 = 128 * 1024 * 1024;

/// How many seconds of processor time what this binary does at once when it begins may take.
const PROOF: u32 = 10;

/// The time in which there is a way back.
pub struct Probation {
    /// When it is over.
    pub until: Mono,
    /// How many bytes may still be written.
    left: u64,
}

impl Keeper {
    /// Begins it, where there is a way back: this binary does before anybody depends on it what a keeper
    /// does, and goes back where it cannot.
    pub(super) fn begin_probation(&mut self) {
        if !lifeline::is_tied() {
            return;
        }
        lifeline::hurry(PROOF);
        if let Err(why) = self.prove() {
            sys::say::line(format_args!("upright: the new keeper cannot do its work: {why}"));
            lifeline::go_back();
        }
        let Ok((facts, _)) = Facts::new(Heirs::Some) else { return lifeline::cut() };
        self.facts = facts;
        self.now = sys::clock::monotonic();
        self.probation = Some(Probation { until: self.now + LASTS, left: WRITTEN });
        self.keep_way_back();
        lifeline::hurry(0);
    }

    /// Has the way back lead to what is now; ends probation where it is over.
    pub(super) fn keep_way_back(&mut self) {
        let Some(until) = self.probation.as_ref().map(|probation| probation.until) else { return };
        let written = match self.now < until && self.ending.is_none() {
            true => self.write_down(&self.identity),
            false => return self.end_probation(),
        };
        // A way back to what is not so any more would have services twice.
        let Ok(file) = written else { return self.end_probation() };
        let length = sys::memfd::length(&file).unwrap_or(WRITTEN);
        let highest = self.heirlooms_and(&file).iter().map(AsRawFd::as_raw_fd).max().unwrap_or(0);
        let words = way_back(&whereabouts(&file, highest));
        lifeline::renew(Way::new(words, vec![file], highest));
        if let Some(probation) = &mut self.probation {
            match probation.left.checked_sub(length) {
                Some(left) => probation.left = left,
                None => self.end_probation(),
            }
        }
    }

    /// There is no way back any more.
    pub(super) fn end_probation(&mut self) {
        lifeline::cut();
        self.probation = None;
        self.facts = Facts::default();
    }
}

/// What a binary that was given up has done since it last wrote that down.
#[derive(Default)]
pub(super) struct Fallen {
    /// How processes ended that it had reaped.
    ends: BTreeMap<Slot, Exit>,
}

impl Fallen {
    /// Looks what there is, and ends what was being started: nobody was told of it, so it is started
    /// again.
    pub(super) fn find(items: Items<'_>, heirlooms: &mut Heirlooms) -> Fallen {
        let (mut known, mut slots, mut stack) = (BTreeSet::new(), BTreeSet::new(), 0);
        let mut file = None;
        for item in items {
            match item {
                Item::Keeper { stack: before, .. } => stack = before,
                Item::Peer { pid, .. } => {
                    known.insert(pid);
                }
                Item::Row { slot, standing, .. } => {
                    slots.insert(slot);
                    known.extend(process(standing));
                }
                Item::Facts { fd } => file = heirlooms.take(fd),
                Item::Inherited { .. }
                | Item::Lives { .. }
                | Item::Heir { .. }
                | Item::Argument(_)
                | Item::Output { .. }
                | Item::End { .. }
                | Item::Orphan { .. }
                | Item::Orphans { .. }
                | Item::Held { .. }
                | Item::Previous { .. } => {}
            }
        }
        let kill = |pid: Pid| {
            if sys::wait::is_child(pid) {
                let _ = sys::signals::send(pid, Signal::KILL);
            }
        };
        // First those that have not executed their programs: who does it now has written that down.
        let same = |pid: &Pid| sys::procfs::stat(*pid).is_some_and(|stat| stat.stack == stack);
        let mut children = sys::procfs::children_of(sys::own::pid());
        children.retain(|pid| !known.contains(pid));
        children.into_iter().filter(|pid| stack != 0 && same(pid)).for_each(kill);
        let mut ends = BTreeMap::new();
        for (_, message) in file.as_ref().map(facts::read).unwrap_or_default() {
            if let FromKeeper::Spawned { slot, pid, .. } = message {
                if !slots.contains(&slot) {
                    kill(pid);
                }
            }
            if let FromKeeper::Exited { slot, exit, .. } = message {
                ends.insert(slot, exit);
            }
        }
        Fallen { ends }
    }

    /// Returns the item as it is now.
    pub(super) fn put_right<'a>(&self, item: Item<'a>) -> Item<'a> {
        let Item::Row { index, slot, standing: Standing::Running(pid, warnings), .. } = item else {
            return item;
        };
        let (Some(exit), false) = (self.ends.get(&slot), sys::wait::is_child(pid)) else {
            return item;
        };
        let standing = Standing::Ended(pid, warnings, *exit);
        Item::Row { index, slot, standing, stopped: 0, released: false, fd: None }
    }
}

fn process(standing: Standing) -> Option<Pid> {
    match standing {
        Standing::Spawning(pid, _) | Standing::Failing(pid, ..) | Standing::Running(pid, _) => {
            Some(pid)
        }
        Standing::Ended(..) | Standing::Gone(..) | Standing::Failed(..) => None,
    }
}
