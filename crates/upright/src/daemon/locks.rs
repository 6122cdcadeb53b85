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
use sys::lock::{take, Refused};

impl Daemon {
    /// Takes the log directory, unless the keeper holds it for us already. An error where another
    /// Upright has it; a directory that cannot be locked (a read-only disk) is used without.
    pub(super) fn lock_logs(&mut self, held: &mut BTreeMap<u32, OwnedFd>) -> Result<(), String> {
        let Some(directory) = &self.settings.logdir else { return Ok(()) };
        if held.remove(&held::LOG_LOCK).is_some() {
            return Ok(());
        }
        let mode = if self.settings.options.mode == Mode::System { 0o755 } else { 0o700 };
        // Where it cannot be made the lock says so.
        let _ = DirBuilder::new().recursive(true).mode(mode).create(directory);
        let shown = directory.display();
        match take(directory, self.settings.named) {
            Ok(lock) => {
                let message = ToKeeper::Hold { key: held::LOG_LOCK };
                match self.link.send(&message, &[lock.as_fd()]) {
                    Sent::Yes => Ok(()),
                    Sent::Full | Sent::Gone => Err(String::from("the keeper does not listen")),
                }
            }
            Err(Refused::Taken(owner)) => {
                let who = owner.map_or_else(String::new, |pid| format!(" (process {pid})"));
                Err(format!(
                    "log directory {shown}: another Upright{who} writes there; end it, or give this one another directory with --logdir"
                ))
            }
            Err(Refused::Failed(errno)) => {
                self.say(Level::Info, &format!("log directory {shown}: not locked: {errno}"));
                Ok(())
            }
        }
    }
}
