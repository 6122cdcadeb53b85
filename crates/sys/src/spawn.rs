//! Forking a child that performs a plan.

use crate::child;
use crate::ground::Grounds;
use crate::limits::Inherited;
use crate::raw::{self, CloneArgs};
use crate::report::Report;
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

/// Makes a child that performs the plan, sharing our memory where plan and kernel allow it, else by a
/// fork. Every descriptor without close-on-exec reaches the program.
pub fn spawn(launch: &Launch<'_>, grounds: &mut Grounds) -> Result<Spawned, Errno> {
    let (report, end) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    if let Some(pid) = grounds.start(launch, end.as_raw_fd()) {
        return Ok(Spawned { pid, report: Report::new(report) });
    }
    // Where it is refused, by a kernel or a sandbox that has no clone3 or by the group, a plain fork
    // does, and the child reports what it then cannot do.
    let born = launch.group.and_then(|group| fork_into(group).ok());
    let (side, joined) = match born {
        Some(side) => (side, Joined::Yes),
        None => (fork()?, Joined::No),
    };
    match side {
        Side::Child => child::run(launch, end.as_raw_fd(), joined),
        Side::Parent(pid) => Ok(Spawned { pid, report: Report::new(report) }),
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

/// Forks a child that is born into a group.
fn fork_into(group: BorrowedFd<'_>) -> Result<Side, Errno> {
    let args = into_group(group);
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
pub(crate) fn fork() -> Result<Side, Errno> {
    // The raw call: no lock of libc's is taken and nothing registered for a fork runs. With every
    // argument but the first zero their order, which differs by architecture, does not matter.
    // SAFETY: a new process with a copy of our memory and of this thread alone; each of the callers
    // in this crate goes on with system calls only.
    let pid =
        unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0usize, 0usize, 0usize, 0usize) };
    match Pid::try_from(pid) {
        Ok(0) => Ok(Side::Child),
        Ok(pid) if pid > 0 => Ok(Side::Parent(pid)),
        Ok(_) | Err(_) => Err(last_error()),
    }
}

/// The lowest descriptor that none of 0, 1, 2, 3 and 9 can be.
const HIGH: RawFd = 10;

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
