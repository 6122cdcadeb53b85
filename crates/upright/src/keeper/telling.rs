//! What the keeper tells its peers: everything once to a new one, then what is new.

use super::handover::Identity;
use super::peer::Blocked;
use super::table::Part;
use super::{Finish, Keeper};
use engine::keeper::{FromKeeper, LogWire, NotUpgraded, HEAD, TOGETHER};
use engine::process::Step;
use std::os::fd::{AsFd, BorrowedFd};

/// How far a new daemon has been told what is there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Nothing yet.
    Welcome,
    /// Who it is; that another binary was given up is next.
    GivenUp,
    /// Held descriptors are next.
    Held,
    /// Rows and orphans are next, then the end of the table.
    Rows,
    /// Everything; what follows is news.
    News,
}

impl Keeper {
    /// Tells the daemon what it has not been told, as far as it listens.
    pub(super) fn tell(&mut self) {
        if self.ending.is_none() && self.daemon.listens(self.now) {
            // What is not told now stays where it is until the channel has room.
            let _ = self.tell_daemon();
        }
    }

    fn tell_daemon(&mut self) -> Result<(), Blocked> {
        if self.stage == Stage::Welcome {
            let attempt = self.daemon.early_deaths();
            let Identity { named, upgrades, replaced, .. } = self.identity;
            self.say(FromKeeper::Welcome { attempt, keeper: named, upgrades, replaced }, &[])?;
            self.stage = Stage::GivenUp;
        }
        if self.stage == Stage::GivenUp {
            if let Some(exit) = self.identity.given_up {
                let why = NotUpgraded::GivenUp(exit);
                self.say(FromKeeper::NotUpgraded { why }, &[])?;
            }
            self.stage = Stage::Held;
        }
        if self.stage == Stage::Held {
            while let Some((key, fd)) = self.held.next_to_tell() {
                let message = FromKeeper::Held { key }.encode();
                self.daemon.send(&[&message], &[fd], self.now)?;
                self.held.told();
            }
            self.stage = Stage::Rows;
        }
        if let Some(link) = self.daemon.link.take() {
            if let Err(Blocked) = self.say(FromKeeper::Logger, &[link.as_fd()]) {
                self.daemon.link = Some(link);
                return Err(Blocked);
            }
        }
        if let Some((slot, errno)) = self.refused {
            let errno = errno.raw_os_error();
            self.say(FromKeeper::SpawnFailed { slot, step: Step::Fork, errno }, &[])?;
            self.refused = None;
        }
        if let Some(why) = self.not_upgraded {
            self.say(FromKeeper::NotUpgraded { why }, &[])?;
            self.not_upgraded = None;
        }
        while let Some((slot, end)) = self.to_lend.front().copied() {
            let message = FromKeeper::Lent { slot, end }.encode();
            let fd = self.table.end_of(slot, end);
            self.daemon.send(&[&message], fd.as_slice(), self.now)?;
            self.to_lend.pop_front();
        }
        loop {
            let mut news = [0; HEAD * TOGETHER];
            let batch = self.table.next_batch(&mut news);
            if batch.is_empty() {
                break;
            }
            let news = news.get(..batch.len() * HEAD).unwrap_or(&[]);
            if let Err(Blocked) = self.daemon.send(&[news], &[], self.now) {
                self.table.untold(&batch);
                return Err(Blocked);
            }
        }
        while let Some(message) = self.orphans.next_to_tell() {
            self.say(message, &[])?;
            self.orphans.told();
        }
        if self.stage == Stage::Rows {
            self.say(FromKeeper::Told, &[])?;
            self.stage = Stage::News;
        }
        while let Some(signal) = self.arrived.first() {
            self.say(FromKeeper::Signalled { signal }, &[])?;
            self.arrived = self.arrived.without(signal);
        }
        Ok(())
    }

    fn say(&mut self, message: FromKeeper, fds: &[BorrowedFd<'_>]) -> Result<(), Blocked> {
        self.daemon.send(&[&message.encode()], fds, self.now)
    }

    /// Passes to the logger what it does not have, as far as it listens.
    pub(super) fn pass(&mut self) {
        if self.logger.listens(self.now) {
            // As above.
            let _ = self.tell_logger();
        }
    }

    fn tell_logger(&mut self) -> Result<(), Blocked> {
        let mut head = [0; HEAD];
        if let Some(link) = self.logger.link.take() {
            LogWire::Daemon.encode(&mut head);
            if let Err(Blocked) = self.logger.send(&[&head], &[link.as_fd()], self.now) {
                self.logger.link = Some(link);
                return Err(Blocked);
            }
        }
        while let Some((key, fd)) = self.held.next_to_pass() {
            let wire = match fd {
                Some(_) => LogWire::Held { key },
                None => LogWire::Drop { key },
            };
            wire.encode(&mut head);
            self.logger.send(&[&head], fd.as_slice(), self.now)?;
            self.held.passed();
        }
        while let Some((slot, part)) = self.table.next_to_pass() {
            match part {
                Part::Output(stream, log) => {
                    let route = &log.route;
                    let route = LogWire::Pipe { slot, stream, route }.encode(&mut head);
                    self.logger.send(&[&head, route], &[log.read.as_fd()], self.now)?;
                }
                Part::End(end, fd) => {
                    LogWire::End { slot, end }.encode(&mut head);
                    self.logger.send(&[&head], fd.as_slice(), self.now)?;
                }
            }
            self.table.passed();
        }
        if let Some(ending) = self.ending.as_mut().filter(|e| e.finish == Finish::Untold) {
            LogWire::Finish.encode(&mut head);
            self.logger.send(&[&head], &[], self.now)?;
            ending.finish = Finish::Told;
        }
        Ok(())
    }
}
