//! Taking the place of a keeper that was killed: what its heirs have, made into another keeper.
//!
//! The logger is the first heir: it has every output, and beside them what the keeper held. The daemon
//! gives it what may be newer, and is the heir itself where there is no logger. Whoever it is starts a
//! keeper from its own binary and ends; the new keeper starts both of them anew. Two of them cannot
//! come about: a keeper has the facts locked.

use crate::keeper::{facts, handover};
use engine::handover::{Item, Items, Standing, Writer};
use engine::keeper::{held, End, FromKeeper};
use engine::process::{Exit, Pid, Slot, Stream};
use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use sys::own::Binary;
use sys::{memfd, pidfd, procfs};

/// SIGSTOP, by which a process that is found stopped is said to have been.
const STOP: u8 = 19;

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

    /// Starts a keeper that goes on with this and with these outputs; returns its process.
    pub fn succeed(&self, outputs: &[Output<'_>]) -> Result<Pid, String> {
        let (Some(facts), Some(origin)) =
            (self.held.get(&held::FACTS), self.held.get(&held::ORIGIN))
        else {
            return Err(String::from("it has not said what it had"));
        };
        let origin = memfd::read_all(origin).map_err(|errno| errno.to_string())?;
        let origin = Items::of(&origin).map_err(|_| String::from("what it had cannot be read"))?;
        let no_memory = |_| String::from("out of memory");
        let mut writer = Writer::new().map_err(no_memory)?;
        let mut before = 0;
        for item in origin {
            let item = match item {
                Item::Keeper { named, upgrades, unseen, stack, .. } => {
                    before = stack;
                    let (replaced, foster) = (true, true);
                    Item::Keeper { named, upgrades, replaced, foster, unseen, stack }
                }
                other => other,
            };
            writer.add(&item).map_err(no_memory)?;
        }
        let mut processes = Vec::new();
        for (index, message) in facts::read(facts) {
            let Some((slot, found)) = find(&message, before) else { continue };
            let Found { standing, stopped, process } = found;
            let fd = process.as_ref().map(AsRawFd::as_raw_fd);
            let row = Item::Row { index, slot, standing, stopped, released: false, fd };
            writer.add(&row).map_err(no_memory)?;
            processes.extend(process);
        }
        for Output { slot, stream, read, route } in outputs {
            let (slot, stream, fd) = (*slot, *stream, read.as_raw_fd());
            writer.add(&Item::Output { slot, stream, fd, route }).map_err(no_memory)?;
        }
        for ((slot, end), fd) in &self.ends {
            let item = Item::End { slot: *slot, end: *end, fd: fd.as_raw_fd() };
            writer.add(&item).map_err(no_memory)?;
        }
        for (key, fd) in &self.held {
            writer.add(&Item::Held { key: *key, fd: fd.as_raw_fd() }).map_err(no_memory)?;
        }
        let file = memfd::sealed(c"upright-handover", writer.bytes());
        let file = file.map_err(|errno| errno.to_string())?;
        let kept = outputs.iter().map(|output| output.read);
        let held = self.held.values().chain(self.ends.values());
        let kept = kept.chain(processes.iter().chain(held).map(AsFd::as_fd));
        let heirlooms: Vec<BorrowedFd<'_>> = kept.chain([file.as_fd()]).collect();
        let highest = heirlooms.iter().map(AsRawFd::as_raw_fd).max().unwrap_or(0);
        let binary = Binary::open().map_err(|errno| errno.to_string())?;
        let argv = handover::arguments(handover::NEXT, &file, highest);
        binary.start_heir(&argv, &heirlooms).map_err(|errno| errno.to_string())
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
