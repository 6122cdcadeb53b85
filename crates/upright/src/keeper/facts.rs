//! What is known of every slot, in a file in memory that outlives the keeper: where it is killed,
//! whoever takes its place reads there which process is whose and how those ended that it reaped.
//!
//! The row of the table with number n has the bytes from n times [`HEAD`] on, a message as the daemon
//! would be told it. A child writes its own row just before it executes its program (`sys::spawn`), so
//! that there is no moment at which it runs and nobody knows; the keeper writes what comes after.

use super::held::Heirs;
use super::table::{Fate, Index, Row};
use engine::keeper::{held, FromKeeper, HEAD};
use engine::process::Slot;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use sys::spawn::Witness;
use sys::{memfd, Errno};

/// The file; none where nobody can take the keeper's place, or where there was no memory for it.
#[derive(Default)]
pub struct Facts(Option<OwnedFd>);

/// Whether this is the only keeper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Only {
    /// It is.
    Yes,
    /// Another one has taken the place already.
    No,
}

impl Facts {
    /// Makes an empty file where there are heirs, and returns it with a copy to be held.
    pub fn new(heirs: Heirs) -> Result<(Facts, Option<OwnedFd>), Errno> {
        if heirs == Heirs::None {
            return Ok((Facts(None), None));
        }
        let copy = memfd::create(c"upright-facts")?;
        let file = mine(&copy)?;
        memfd::lock(&file);
        Ok((Facts(Some(file)), Some(copy)))
    }

    /// Goes on with the file of the keeper before.
    pub fn resume(file: &OwnedFd) -> (Facts, Only) {
        // Made first: whoever closes a descriptor of the file has not locked it any more.
        let own = mine(file).ok();
        let only = if memfd::lock(file) { Only::Yes } else { Only::No };
        (Facts(own), only)
    }

    /// Returns the file.
    pub fn file(&self) -> Option<BorrowedFd<'_>> {
        self.0.as_ref().map(OwnedFd::as_fd)
    }

    /// Returns what the child of a row writes down.
    pub fn witness(&self, index: Index, slot: Slot) -> Option<Witness<'_>> {
        let fd = self.0.as_ref()?.as_fd();
        let record = FromKeeper::Spawned { slot, pid: 0, warnings: 0 }.encode();
        Some(Witness { fd, at: place(index), record, parent: sys::own::pid() })
    }

    /// Writes down what is known of a row now.
    pub fn note(&self, index: Index, row: &Row) {
        let Some(file) = &self.0 else { return };
        let slot = row.slot;
        let message = match row.fate {
            Fate::Spawning(..) | Fate::Failing(..) => return,
            Fate::Running(pid, warnings) => FromKeeper::Spawned { slot, pid, warnings },
            Fate::Ended(pid, _, exit) | Fate::Gone(pid, exit) => {
                FromKeeper::Exited { slot, pid, exit }
            }
            Fate::Failed(step, errno) => FromKeeper::SpawnFailed { slot, step, errno },
        };
        // Without memory for it the keeper's own death would lose this; nothing else can be done.
        let _ = memfd::write_all_at(file, &message.encode(), place(index));
    }
}

/// Returns what another keeper's file says of each row.
pub fn read(file: &OwnedFd) -> Vec<(Index, FromKeeper)> {
    let bytes = memfd::read_all(file).unwrap_or_default();
    let messages = bytes.chunks_exact(HEAD).map(FromKeeper::decode);
    let all = (0..).zip(messages).filter_map(|(index, message)| Some((index, message?)));
    all.collect()
}

/// The key under which the file is held.
pub const KEY: u32 = held::FACTS;

/// Returns a copy that is out of the way of a child's own descriptors.
fn mine(file: &OwnedFd) -> Result<OwnedFd, Errno> {
    file.try_clone().map_err(|_| Errno::MFILE).and_then(sys::spawn::out_of_the_way)
}

fn place(index: Index) -> u64 {
    u64::from(index) * HEAD as u64
}
