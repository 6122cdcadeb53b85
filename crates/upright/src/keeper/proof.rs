//! What a binary shows before anybody depends on it: it is asked by a daemon that is none for one of
//! everything that a keeper is asked for, starts a process, ends it, and tells how it ended.
//!
//! In a rehearsal, in a child, it is what lets the keeper go on in that binary; as PID 1 it is done once
//! more in earnest, with the way back behind it (`probation`).

use super::peer::Peer;
use super::telling::Stage;
use super::{Keeper, MESSAGES};
use engine::keeper::{End, FromKeeper, Lengths, Scope, ToKeeper, Wants, HEAD, MESSAGE_MAX};
use engine::process::{InstanceId, Pid, Role, Slot, Stream};
use engine::signal::Signal;
use engine::time::Span;
use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;
use sys::epoll::{Epoll, Interest};
use sys::plan::Plan;
use sys::wait::{change, Change, Whom};
use sys::{pidfd, seqpacket};

/// The role of the process that is started: it waits to be ended, and not for long.
pub const ROLE: &str = "--role=proof";

/// How long the process waits, and is waited for.
const PATIENCE: Span = Span::secs(20);

/// Whose process it is: nobody's.
const SLOT: Slot = Slot { instance: InstanceId(u32::MAX), role: Role::Main, generation: u64::MAX };

/// Whose process is adopted, one that there is not.
const ADOPTED: Slot = Slot { generation: u64::MAX - 1, ..SLOT };

/// A key that nobody holds anything under.
const KEY: u32 = u32::MAX;

/// How many messages the daemon that is none reads: the table, and its own.
const HEARD_MAX: usize = 1 << 20;

impl Keeper {
    /// Shows it; says what is wrong where it cannot. What the keeper has is as it was.
    pub(super) fn prove(&mut self) -> Result<(), String> {
        let pair = || seqpacket::pair().map_err(|errno| errno.to_string());
        let ((ours, asker), (of_logger, logger)) = (pair()?, pair()?);
        let identity = self.identity.clone();
        // Nothing of it outlives this keeper.
        let facts = std::mem::take(&mut self.facts);
        let daemon = std::mem::replace(&mut self.daemon, Peer::played(ours));
        let real_logger = std::mem::replace(&mut self.logger, Peer::played(of_logger));
        let done = self.play(&asker, &logger);
        self.daemon.hang_up(&self.epoll);
        self.logger.hang_up(&self.epoll);
        (self.daemon, self.logger, self.facts) = (daemon, real_logger, facts);
        (self.identity, self.stage) = (identity, Stage::Welcome);
        done
    }

    fn play(&mut self, asker: &OwnedFd, logger: &OwnedFd) -> Result<(), String> {
        if let Ok(null) = sys::entry::open_null() {
            self.ask(asker, &ToKeeper::Hold { key: KEY }, &[null.as_fd()])?;
        }
        self.ask(asker, &ToKeeper::Drop { key: KEY }, &[])?;
        let argv = [c"upright-core".to_owned(), CString::new(ROLE).unwrap_or_default()];
        let plan = Plan::new(c"/proc/self/exe".to_owned(), argv.to_vec()).encode();
        let spawn = ToKeeper::Spawn {
            slot: SLOT,
            wants: Wants { log: true, input: true, ..Wants::default() },
            pipe_owner: sys::own::ids(),
            plan: &plan,
            route: &[],
            errors: &[],
        };
        self.ask(asker, &spawn, &[])?;
        self.ask(asker, &ToKeeper::Lend { slot: SLOT, end: End::Input }, &[])?;
        self.ask(asker, &ToKeeper::Adopt { slot: ADOPTED, pid: Pid::MAX }, &[])?;
        self.ask(asker, &ToKeeper::OrphansSeen { sequence: 0 }, &[])?;
        self.ask(asker, &ToKeeper::Ready, &[])?;
        self.be_logger(logger);
        self.end_process(asker)?;
        self.expire();
        let _ = self.timeout();
        self.be_daemon(asker)?;
        self.ask(asker, &ToKeeper::Release { slot: SLOT }, &[])?;
        self.ask(asker, &ToKeeper::Release { slot: ADOPTED }, &[])?;
        for stream in Stream::ALL {
            if let Some(index) = self.table.find(SLOT) {
                self.table.read_out(index, stream);
            }
        }
        // What is in line is forgotten when its turn comes.
        self.tell();
        self.be_logger(logger);
        match [SLOT, ADOPTED].iter().any(|slot| self.table.find(*slot).is_some()) {
            false => Ok(()),
            true => Err(String::from("it does not forget what it is to forget")),
        }
    }

    /// Says a message as the daemon would, and has it heard.
    fn ask(
        &mut self,
        asker: &OwnedFd,
        message: &ToKeeper<'_>,
        fds: &[BorrowedFd<'_>],
    ) -> Result<(), String> {
        let (mut head, mut lengths) = ([0; HEAD], Lengths::default());
        let parts = message.encode(&mut head, &mut lengths);
        let mut all = vec![head.as_slice()];
        all.extend(parts);
        seqpacket::send(asker, &all, fds).map_err(|errno| format!("it is not asked: {errno}"))?;
        self.hear_daemon(MESSAGES);
        Ok(())
    }

    /// Takes what a logger is passed.
    fn be_logger(&mut self, logger: &OwnedFd) {
        let mut buffer = vec![0; MESSAGE_MAX];
        for _ in 0..HEARD_MAX {
            self.logger.has_room();
            self.pass();
            let mut heard = false;
            while matches!(seqpacket::receive(logger, &mut buffer), Ok(one) if one.length > 0) {
                heard = true;
            }
            if !heard {
                return;
            }
        }
    }

    /// Ends the process, where there is one, and waits until it has been seen.
    fn end_process(&mut self, asker: &OwnedFd) -> Result<(), String> {
        let index = self.table.find(SLOT);
        let pid = index.and_then(|index| self.table.row(index)).and_then(|row| row.pid());
        for signal in [Signal::CONT, Signal::TERM] {
            self.ask(asker, &ToKeeper::Signal { slot: SLOT, signal, scope: Scope::Process }, &[])?;
        }
        let Some(pid) = pid else { return Ok(()) };
        let mut watch = Epoll::new(1).map_err(|errno| errno.to_string())?;
        let opened = pidfd::open(pid).ok();
        let watched = opened.as_ref().map(|one| watch.add(one, 0, Interest::Read));
        // Where it cannot be watched it is looked after.
        let pause = if matches!(watched, Some(Ok(()))) { PATIENCE } else { Span::millis(1) };
        let until = sys::clock::monotonic() + PATIENCE;
        while sys::clock::monotonic() < until {
            match change(Whom::Pid(pid)) {
                Some((pid, Change::Exited(exit))) => {
                    self.changed(pid, Change::Exited(exit));
                    return Ok(());
                }
                Some((pid, stopped)) => self.changed(pid, stopped),
                None => {
                    watch.wait(Some(pause.0)).map_err(|errno| errno.to_string())?.for_each(drop)
                }
            }
        }
        Err(String::from("a process that it has started and was to end does not end"))
    }

    /// Takes what a daemon is told; says what is missing.
    fn be_daemon(&mut self, asker: &OwnedFd) -> Result<(), String> {
        let (mut over, mut told, mut lent, mut adopted) = (false, false, false, false);
        let mut buffer = vec![0; MESSAGE_MAX];
        for _ in 0..HEARD_MAX {
            self.daemon.has_room();
            self.tell();
            let mut heard = false;
            while let Ok(one) = seqpacket::receive(asker, &mut buffer) {
                if one.length == 0 {
                    break;
                }
                heard = true;
                let mut rest = buffer.get(..one.length).unwrap_or(&[]);
                while !rest.is_empty() {
                    let (message, others) = FromKeeper::split(rest);
                    rest = others;
                    match FromKeeper::decode(message) {
                        Some(
                            FromKeeper::Exited { slot: SLOT, .. }
                            | FromKeeper::SpawnFailed { slot: SLOT, .. },
                        ) => over = true,
                        Some(FromKeeper::Exited { slot: ADOPTED, .. }) => adopted = true,
                        Some(FromKeeper::Lent { slot: SLOT, .. }) => lent = true,
                        Some(FromKeeper::Told) => told = true,
                        Some(_) => {}
                        None => return Err(String::from("it says what cannot be read")),
                    }
                }
            }
            if !heard {
                break;
            }
        }
        match (told, over, lent, adopted) {
            (true, true, true, true) => Ok(()),
            (false, ..) => Err(String::from("it does not tell all that it has")),
            (_, false, ..) => Err(String::from("it does not tell how a process ended")),
            (_, _, false, _) => Err(String::from("it does not lend what it is asked for")),
            (.., false) => Err(String::from("it does not tell of a process that is not there")),
        }
    }
}

/// Plays the process that is started.
pub fn wait() -> i32 {
    std::thread::sleep(Duration::from_nanos(PATIENCE.0));
    0
}
