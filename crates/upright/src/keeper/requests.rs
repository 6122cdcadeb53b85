//! What the daemon asks of the keeper, done.

use super::held::Heirs;
use super::streams::{self, Kept, Own};
use super::table::{Fate, Index, Log};
use super::{Ending, Finish, Keeper, FINISH, FOSTERED, LEND_MAX, REPORT, SETUP};
use engine::keeper::{End, NotUpgraded, Replaced, Scope, ToKeeper, Wants};
use engine::process::{Exit, Pid, Slot, Step};
use engine::signal::Signal;
use std::os::fd::{AsFd, OwnedFd};
use sys::epoll::Interest;
use sys::seqpacket::FDS_MAX;
use sys::spawn::{Launch, Source, Spawned};
use sys::Errno;

/// The descriptors that came with a message.
type Attached = [Option<OwnedFd>; FDS_MAX];

/// What a spawn is made from, as the daemon sent it.
struct Spawn<'a> {
    slot: Slot,
    wants: Wants,
    pipe_owner: (u32, u32),
    plan: &'a [u8],
    route: &'a [u8],
    errors: &'a [u8],
}

impl Keeper {
    /// Does what a message asks. One that is not understood is passed over: the daemon may be newer.
    pub(super) fn request(&mut self, message: &[u8], fds: &mut Attached) {
        match ToKeeper::decode(message) {
            Some(ToKeeper::Spawn { slot, wants, pipe_owner, plan, route, errors }) => {
                self.spawn(&Spawn { slot, wants, pipe_owner, plan, route, errors }, fds);
            }
            Some(ToKeeper::Signal { slot, signal, scope }) => self.signal(slot, signal, scope),
            Some(ToKeeper::Release { slot }) => {
                if let Some(index) = self.table.find(slot) {
                    self.table.release(index);
                }
            }
            Some(ToKeeper::Adopt { slot, pid }) => self.adopt(slot, pid),
            Some(ToKeeper::Lend { slot, end }) => self.lend(slot, end),
            Some(ToKeeper::Hold { key }) => self.hold(key, fds),
            Some(ToKeeper::Drop { key }) => self.held.drop(key),
            Some(ToKeeper::Ready) => {
                self.daemon.ready();
                self.identity.replaced = Replaced::No;
                self.bulky = true;
                self.last();
            }
            Some(ToKeeper::OrphansSeen { sequence }) => self.orphans.seen(sequence),
            Some(ToKeeper::SignalSeen { signal }) => {
                self.unseen = self.unseen.without(signal.number());
            }
            Some(ToKeeper::Upgrade) => self.upgrade(fds),
            Some(ToKeeper::Quit { code }) => self.quit(code),
            None => self.strange(message.len()),
        }
    }

    fn spawn(&mut self, spawn: &Spawn<'_>, fds: &mut Attached) {
        if let Some(index) = self.table.find(spawn.slot) {
            return self.table.tell_all_of(index);
        }
        let (mut route, mut errors) = (Vec::new(), Vec::new());
        let room = self
            .table
            .reserve()
            .and_then(|()| match spawn.wants {
                Wants { input: false, tap: false, errors: false, .. } => Ok(()),
                _ => self.table.reserve_more(),
            })
            .and_then(|()| route.try_reserve_exact(spawn.route.len()))
            .and_then(|()| errors.try_reserve_exact(spawn.errors.len()));
        if room.is_err() {
            self.refused = Some((spawn.slot, Errno::NOMEM));
            return;
        }
        let (own, Kept { read, read_errors, ends }) =
            match streams::make(spawn.wants, spawn.pipe_owner) {
                Ok(streams) => streams,
                Err(errno) => {
                    let passes = matches!(errno, Errno::MFILE | Errno::NFILE | Errno::NOMEM);
                    let step = if passes { Step::Fork } else { Step::Log };
                    let fate = Fate::Failed(step, errno.raw_os_error());
                    self.table.insert(spawn.slot, fate, None);
                    return;
                }
            };
        route.extend_from_slice(spawn.route);
        errors.extend_from_slice(spawn.errors);
        let log = |read: Option<OwnedFd>, route: Vec<u8>| {
            read.map(|read| Log { read, route: route.into_boxed_slice() })
        };
        let fate = Fate::Failed(Step::Fork, Errno::CANCELED.raw_os_error());
        let index = self.table.insert(spawn.slot, fate, log(read, route));
        self.table.keep_errors(index, log(read_errors, errors));
        self.table.keep_ends(index, ends);
        if self.heirs == Heirs::Some {
            // Before there is a process: a pipe that only we could read would break under its writer
            // if we were killed.
            self.pass();
        }
        match self.launch(index, spawn, own, fds) {
            Ok(spawned) => self.table.begun(index, spawned.pid, spawned.report),
            Err((step, errno)) => self.table.refused(index, step, errno.raw_os_error()),
        }
        self.follow(index, spawn.slot);
    }

    /// Forks the child of a row.
    fn launch(
        &mut self,
        index: Index,
        spawn: &Spawn<'_>,
        own: Own,
        fds: &mut Attached,
    ) -> Result<Spawned, (Step, Errno)> {
        let Wants { script_fd, plan_in_fd, group_fd, .. } = spawn.wants;
        let missing = (Step::Plan, Errno::BADF);
        let script = if script_fd {
            Some(fds.iter_mut().rev().find_map(Option::take).ok_or(missing)?)
        } else {
            None
        };
        let file = if plan_in_fd { fds.iter_mut().find_map(Option::take) } else { None };
        let plan = if plan_in_fd {
            let length = spawn.plan.try_into().map(u64::from_le_bytes);
            let length = length.ok().and_then(|length| usize::try_from(length).ok());
            let length = length.ok_or((Step::Plan, Errno::INVAL))?;
            Source::File { fd: file.as_ref().ok_or(missing)?.as_fd(), length }
        } else {
            Source::Bytes(spawn.plan)
        };
        let group = if group_fd { fds.iter_mut().find_map(Option::take) } else { None };
        if self.null.is_none() {
            self.null = sys::entry::open_null().ok();
        }
        let spill = self.table.end_of(spawn.slot, End::Spill);
        let launch = Launch {
            plan,
            null: self.null.as_ref().map(OwnedFd::as_fd),
            input: own.input.as_ref().map(OwnedFd::as_fd),
            log: own.output.as_ref().map(OwnedFd::as_fd),
            errors: own.errors.as_ref().map(OwnedFd::as_fd).or(spill),
            script: script.as_ref().map(OwnedFd::as_fd),
            given: fds,
            group: group.as_ref().map(OwnedFd::as_fd),
            inherited: &self.inherited,
            witness: self.facts.witness(index, spawn.slot),
        };
        sys::spawn::spawn(&launch, &mut self.grounds).map_err(|errno| (Step::Fork, errno))
    }

    /// Goes on in the attached binary, once it has shown that it can take over.
    fn upgrade(&mut self, fds: &mut Attached) {
        let binary = fds.iter_mut().find_map(Option::take);
        let begun = match (binary, self.ending, &self.rehearsal) {
            (Some(binary), None, None) => self.rehearse(binary),
            (_, _, _) => Err(Errno::INVAL),
        };
        if let Err(errno) = begun {
            self.not_upgraded = Some(NotUpgraded::Refused(errno.raw_os_error()));
        }
    }

    /// Listens to a child's report, up to a time. Where the kernel refuses to watch it, the report
    /// is read when the child ends, or when the time is over.
    fn follow(&mut self, index: u32, slot: Slot) {
        if let Some(Fate::Spawning(_, report)) = self.table.row(index).map(|row| &row.fate) {
            let _ = self.epoll.add(report, REPORT + u64::from(index), Interest::Read);
            if self.deadlines.try_reserve(1).is_ok() {
                self.deadlines.push_back((self.now + SETUP, index, slot));
            }
        }
    }

    fn signal(&mut self, slot: Slot, signal: Signal, scope: Scope) {
        let row = self.table.find(slot).and_then(|index| self.table.row(index));
        let Some((row, pid)) = row.and_then(|row| row.pid().map(|pid| (row, pid))) else { return };
        if signal == Signal::CONT {
            row.stopped = None;
        }
        if let Some(foster) = &row.foster {
            // The number may be another's once it has ended: somebody else reaps it.
            if scope == Scope::Process {
                let _ = sys::pidfd::send(foster, signal);
                return;
            }
            if sys::pidfd::has_ended(foster) {
                return;
            }
        }
        // Not reaped yet, so the number is its own. A refusal (a program that became somebody else)
        // shows as what it is: the process does not end.
        let _ = match scope {
            Scope::Process => sys::signals::send(pid, signal),
            Scope::Group => sys::signals::send_group(pid, signal),
        };
    }

    fn adopt(&mut self, slot: Slot, pid: Pid) {
        if let Some(index) = self.table.find(slot) {
            return self.table.tell_all_of(index);
        }
        if self.table.reserve().is_err() {
            self.refused = Some((slot, Errno::NOMEM));
            return;
        }
        let ours = [self.daemon.pid(), self.logger.pid()].contains(&Some(pid))
            || self.table.find_pid(pid).is_some();
        let foster = if ours { None } else { self.foster(pid) };
        let fate = if !ours && (foster.is_some() || sys::wait::is_child(pid)) {
            Fate::Running(pid, 0)
        } else {
            Fate::Gone(pid, self.orphans.take(pid).unwrap_or(Exit::Unknown))
        };
        let index = self.table.insert(slot, fate, None);
        if let Some(row) = self.table.row(index) {
            row.foster = foster;
            if let Some(foster) = &row.foster {
                let _ = self.epoll.add(foster, FOSTERED + u64::from(index), Interest::ReadEdge);
            }
            self.facts.note(index, row);
        }
    }

    /// A daemon that asks for more than it is told in time is not one of ours.
    fn lend(&mut self, slot: Slot, end: End) {
        if self.to_lend.len() < LEND_MAX {
            self.to_lend.push_back((slot, end));
        }
    }

    fn hold(&mut self, key: u32, fds: &mut Attached) {
        let Some(fd) = fds.iter_mut().find_map(Option::take) else { return };
        if !self.held.hold(key, fd) {
            sys::say::line(format_args!("upright: no room to hold descriptor {key}; it is closed"));
        }
    }

    /// Says once per keeper that a message was passed over, so that a daemon which is newer does not
    /// fill the console.
    fn strange(&mut self, length: usize) {
        if !std::mem::replace(&mut self.found_strange, true) {
            sys::say::line(format_args!(
                "upright: the daemon sent {length} bytes that are no request known here; passed over"
            ));
        }
    }

    fn quit(&mut self, code: i32) {
        self.end_probation();
        self.held.drop_all();
        self.daemon.hang_up(&self.epoll);
        self.ending = Some(Ending { code, by: self.now + FINISH, finish: Finish::Untold });
    }
}
