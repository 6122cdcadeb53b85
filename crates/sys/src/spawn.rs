//! Forking a child that performs a plan.

use crate::child;
use crate::ground::Grounds;
use crate::limits::Inherited;
use crate::port::{Hand, Table};
use crate::raw::{self, CloneArgs};
use crate::report::Report;
use crate::seqpacket::FDS_MAX;
use crate::signals::last_error;
use engine::process::Pid;
use rustix::io::Errno;
use rustix::pipe::{pipe_with, PipeFlags};
use std::os::fd::{AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};

/// Where the child finds its plan.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// In memory.
    Bytes(&'a [u8]),
    /// In a file that the child reads by itself, so that its parent never does.
    File {
        /// The file, usually a memfd.
        fd: BorrowedFd<'a>,
        /// The plan's length in bytes.
        length: usize,
    },
}

/// What a child is made from.
#[derive(Clone, Copy, Debug)]
pub struct Launch<'a> {
    /// What it does.
    pub plan: Source<'a>,
    /// `/dev/null`, where it is open already.
    pub null: Option<BorrowedFd<'a>>,
    /// Standard input of `Console::Log`; none: `/dev/null`.
    pub input: Option<BorrowedFd<'a>>,
    /// Standard output of `Console::Log`.
    pub log: Option<BorrowedFd<'a>>,
    /// Standard error of `Console::Log`; none: where the output goes.
    pub errors: Option<BorrowedFd<'a>>,
    /// What becomes descriptor 9.
    pub script: Option<BorrowedFd<'a>>,
    /// What the plan says which descriptors become.
    pub given: &'a [Option<OwnedFd>],
    /// The directory of the control group that the child is born into, where the kernel allows that;
    /// else it joins those that its plan names. To be born into one costs nothing, while to move a
    /// process makes the kernel wait for all processors, some milliseconds where it was long ago.
    pub group: Option<BorrowedFd<'a>>,
    /// What the child gets back of what we changed for ourselves.
    pub inherited: &'a Inherited,
    /// Where the child writes down that it is there; none where nobody could read it after us.
    pub witness: Option<Witness<'a>>,
}

/// What a child writes down just before it executes its program, so that it is known though its parent
/// is killed at that moment. A child whose parent is gone before does not execute anything.
#[derive(Clone, Copy, Debug)]
pub struct Witness<'a> {
    /// The file.
    pub fd: BorrowedFd<'a>,
    /// The place there.
    pub at: u64,
    /// What is written, with the child's own number at [`PID_AT`].
    pub record: [u8; engine::keeper::HEAD],
    /// The parent.
    pub parent: Pid,
}

/// Where a record has the number of its process. Source: `engine::keeper`, the field `a` of a head.
pub(crate) const PID_AT: usize = 16;

/// A child that sets itself up.
#[derive(Debug)]
pub struct Spawned {
    /// Its number; ours until it is reaped.
    pub pid: Pid,
    /// What it says about its set-up.
    pub report: Report,
}

/// All that a child is told.
#[derive(Clone, Debug)]
pub(crate) struct Task<'a> {
    pub plan: Text<'a>,
    pub hand: Hand,
    pub table: Table,
    pub joined: Joined,
    pub inherited: Inherited,
    pub witness: Option<Entry>,
}

/// Where a child finds the text of its plan.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Text<'a> {
    /// In memory.
    Bytes(&'a [u8]),
    /// In the file that it was handed, so many bytes.
    File(usize),
}

/// What a [`Witness`] is, but for its file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub at: u64,
    pub record: [u8; engine::keeper::HEAD],
    pub parent: Pid,
}

impl<'a> Launch<'a> {
    fn task(&self, report: &OwnedFd) -> Task<'a> {
        let raw = |fd: Option<BorrowedFd<'_>>| fd.map(|fd| fd.as_raw_fd());
        let (plan, file) = match self.plan {
            Source::Bytes(plan) => (Text::Bytes(plan), None),
            Source::File { fd, length } => (Text::File(length), Some(fd)),
        };
        let mut given = [None; FDS_MAX];
        for (place, fd) in given.iter_mut().zip(self.given.iter().flatten()) {
            *place = Some(fd.as_raw_fd());
        }
        let hand = Hand {
            report: Some(report.as_raw_fd()),
            plan: raw(file),
            null: raw(self.null),
            input: raw(self.input),
            log: raw(self.log),
            errors: raw(self.errors),
            script: raw(self.script),
            witness: self.witness.map(|witness| witness.fd.as_raw_fd()),
            given,
        };
        let witness =
            self.witness.map(|Witness { fd: _, at, record, parent }| Entry { at, record, parent });
        let joined = self.group.map_or(Joined::No, |_| Joined::Yes);
        let inherited = self.inherited.clone();
        Task { plan, hand, table: Table::Copied, joined, inherited, witness }
    }
}

/// Makes a child that performs the plan, sharing our memory where plan and kernel allow it, else by a
/// fork, and our table of descriptors until it has its own, where the kernel allows that. Every
/// descriptor without close-on-exec reaches the program; where it was shared, of ours 0 to 2 alone.
pub fn spawn(launch: &Launch<'_>, grounds: &mut Grounds) -> Result<Spawned, Errno> {
    let (report, end) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    let mut task = launch.task(&end);
    task.table = grounds.ports.send(task.hand);
    let shared = task.table != Table::Copied;
    let born = match grounds.start(&task, launch.group) {
        Some(pid) => Ok(pid),
        None => born_by_fork(task, launch.group),
    };
    if shared {
        grounds.ports.sent_to(born.ok());
    }
    born.map(|pid| Spawned { pid, report: Report::new(report) })
}

fn born_by_fork(task: Task<'_>, group: Option<BorrowedFd<'_>>) -> Result<Pid, Errno> {
    let sharing = task.table.sharing();
    // Where it is refused, by a kernel or a sandbox that has no clone3 or by the group, a plain fork
    // does, and the child reports what it then cannot do.
    let born = group.and_then(|group| fork_into(group, sharing).ok());
    let (side, joined) = match born {
        Some(side) => (side, Joined::Yes),
        None => (fork(sharing)?, Joined::No),
    };
    match side {
        Side::Child => child::run(Task { joined, ..task }),
        Side::Parent(pid) => Ok(pid),
    }
}

/// Whether a child is in its control group already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Joined {
    /// It was born there.
    Yes,
    /// It has to join it.
    No,
}

/// Returns what makes a child be born into a group.
pub(crate) fn into_group(group: BorrowedFd<'_>) -> CloneArgs {
    /// CLONE_INTO_CGROUP of linux/sched.h; libc's constant is too narrow for it.
    const INTO_CGROUP: u64 = 1 << 33;
    CloneArgs {
        flags: INTO_CGROUP,
        exit_signal: libc::SIGCHLD as u64,
        cgroup: u64::try_from(group.as_raw_fd()).unwrap_or(u64::MAX),
        ..CloneArgs::default()
    }
}

/// What a fork has in common with its parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// Nothing: it has copies.
    Nothing,
    /// The table of descriptors.
    Table,
}

impl Sharing {
    pub fn flags(self) -> libc::c_int {
        match self {
            Sharing::Nothing => 0,
            Sharing::Table => libc::CLONE_FILES,
        }
    }
}

/// Forks a child that is born into a group.
fn fork_into(group: BorrowedFd<'_>, sharing: Sharing) -> Result<Side, Errno> {
    let into = into_group(group);
    let args = CloneArgs { flags: into.flags | sharing.flags() as u64, ..into };
    let place = (&raw const args).expose_provenance();
    // SAFETY: as in `fork`; the kernel reads `args`, which outlives the call.
    let pid = unsafe { raw::call(libc::SYS_clone3, [place, size_of::<CloneArgs>(), 0, 0, 0]) }?;
    Ok(match pid {
        0 => Side::Child,
        pid => Side::Parent(pid as Pid),
    })
}

/// Which of the two a fork has returned in.
pub(crate) enum Side {
    /// The new process. It may make system calls only, and must execute or end.
    Child,
    /// The one that was there before, and the new one's number.
    Parent(Pid),
}

/// Forks.
pub(crate) fn fork(sharing: Sharing) -> Result<Side, Errno> {
    let flags = libc::SIGCHLD | sharing.flags();
    // The raw call: no lock of libc's is taken and nothing registered for a fork runs. With every
    // argument but the first zero their order, which differs by architecture, does not matter.
    // SAFETY: a new process with a copy of our memory and of this thread alone; each of the callers
    // in this crate goes on with system calls only.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0usize, 0usize, 0usize, 0usize) };
    match Pid::try_from(pid) {
        Ok(0) => Ok(Side::Child),
        Ok(pid) if pid > 0 => Ok(Side::Parent(pid)),
        Ok(_) | Err(_) => Err(last_error()),
    }
}

/// The lowest descriptor that none of 0, 1, 2, 3 and 9 can be.
pub(crate) const HIGH: RawFd = 10;

/// Returns the descriptor, or a copy above those that a child is given, which then takes its place;
/// async-signal-safe. Only for a descriptor that this process never uses again.
pub(crate) fn above(fd: RawFd) -> Result<RawFd, Errno> {
    if fd >= HIGH {
        return Ok(fd);
    }
    // SAFETY: the descriptor is a child's own copy, known to its caller alone.
    unsafe {
        let copy = rustix::io::fcntl_dupfd_cloexec(BorrowedFd::borrow_raw(fd), HIGH)?;
        rustix::io::close(fd);
        Ok(copy.into_raw_fd())
    }
}

/// Makes `to` the same as `from`, without close-on-exec; async-signal-safe. `from` comes from
/// [`above`], so it never is `to` itself.
pub(crate) fn place(from: RawFd, to: RawFd) -> Result<(), Errno> {
    let number = |fd: RawFd| usize::try_from(fd).map_err(|_| Errno::BADF);
    // SAFETY: plain numbers; `to` is one of the few that a child is about to be given.
    unsafe { raw::call(libc::SYS_dup3, [number(from)?, number(to)?, 0, 0, 0]) }.map(|_| ())
}

/// Moves a descriptor out of the way of those that a child is given.
pub fn out_of_the_way(fd: OwnedFd) -> Result<OwnedFd, Errno> {
    if fd.as_raw_fd() >= HIGH {
        return Ok(fd);
    }
    rustix::io::fcntl_dupfd_cloexec(&fd, HIGH)
}
