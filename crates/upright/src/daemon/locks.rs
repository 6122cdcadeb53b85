//! Two Uprights must not write into one directory of log files: they would rotate each other's.

use super::link::Sent;
use super::Daemon;
use crate::options::Mode;
use engine::keeper::{held, ToKeeper};
use engine::machine::Level;
use std::collections::BTreeMap;
use std::fs::DirBuilder;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::{Duration, Instant};
use sys::lock::{take, Refused};

/// How long a lock is waited for at the start. An Upright that has ended answers nobody any more a moment
/// before the kernel has closed the last of what it held.
pub(super) const LAST_MOMENT: Duration = Duration::from_secs(3);

/// How often it is asked for meanwhile.
const AGAIN: Duration = Duration::from_millis(10);

/// Why a directory is not locked.
enum NotLocked {
    Keeper,
    By(Refused),
}

impl Daemon {
    /// Takes the log directory, unless the keeper holds it for us already. An error where another
    /// Upright has it; a directory that cannot be locked (a read-only disk) is used without.
    pub(super) fn lock_logs(&mut self, held: &mut BTreeMap<u32, OwnedFd>) -> Result<(), String> {
        let Some(directory) = self.settings.logdir.clone() else { return Ok(()) };
        let shown = directory.display();
        match self.lock(&directory, held::LOG_LOCK, held, LAST_MOMENT) {
            Ok(()) => Ok(()),
            Err(NotLocked::Keeper) => Err(String::from("the keeper does not listen")),
            Err(NotLocked::By(Refused::Taken(owner))) => {
                let who = owner.map_or_else(String::new, |pid| format!(" (process {pid})"));
                Err(format!(
                    "log directory {shown}: another Upright{who} writes there; end it, or give this one another directory with --logdir"
                ))
            }
            Err(NotLocked::By(Refused::Failed(errno))) => {
                self.say(Level::Info, &format!("log directory {shown}: not locked: {errno}"));
                Ok(())
            }
        }
    }

    /// Takes the state directory as the log directory. Where another Upright has it, this one keeps
    /// nothing; it is waited for as long as `patience` says.
    pub(super) fn lock_state(&mut self, held: &mut BTreeMap<u32, OwnedFd>, patience: Duration) {
        let Some(directory) = self.settings.statedir.clone() else { return };
        if self.state_locked {
            return;
        }
        let shown = directory.display();
        match self.lock(&directory, held::STATE_LOCK, held, patience) {
            Ok(()) => self.state_locked = true,
            Err(NotLocked::By(Refused::Taken(owner))) => {
                let who = owner.map_or_else(String::new, |pid| format!(" (process {pid})"));
                let line = format!(
                    "state directory {shown}: another Upright{who} has it: what is disabled or masked here holds until this one ends; give it another directory with --statedir"
                );
                self.say(Level::Warn, &line);
                self.settings.statedir = None;
            }
            // It is read all the same; who wants something kept is told why it cannot be.
            Err(NotLocked::Keeper | NotLocked::By(Refused::Failed(_))) => {}
        }
    }

    fn lock(
        &mut self,
        directory: &Path,
        key: u32,
        held: &mut BTreeMap<u32, OwnedFd>,
        patience: Duration,
    ) -> Result<(), NotLocked> {
        if held.remove(&key).is_some() {
            return Ok(());
        }
        let mode = if self.settings.options.mode == Mode::System { 0o755 } else { 0o700 };
        // Where it cannot be made the lock says so.
        let _ = DirBuilder::new().recursive(true).mode(mode).create(directory);
        let lock = self.taken(directory, patience).map_err(NotLocked::By)?;
        match self.link.send(&ToKeeper::Hold { key }, &[lock.as_fd()]) {
            Sent::Yes => Ok(()),
            Sent::Full | Sent::Gone => Err(NotLocked::Keeper),
        }
    }

    fn taken(&self, directory: &Path, patience: Duration) -> Result<OwnedFd, Refused> {
        let until = Instant::now() + patience;
        loop {
            match take(directory, self.settings.named) {
                Err(Refused::Taken(_)) if Instant::now() < until => {
                    std::thread::sleep(AGAIN);
                }
                told => return told,
            }
        }
    }
}
