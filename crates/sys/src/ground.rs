//! What a child stands on that shares our memory until it executes: its stack, and its own copy of
//! what it is told. A fork would copy every page table of ours for a child that needs none of them,
//! and take from us, page by page, what we write to next.
//!
//! The parent does not wait (a program on a dead mount would hang it), so nothing that it touches
//! may be the child's: not the message with the plan, not `errno`. The kernel says when the ground
//! is free, as it does of a thread's stack (CLONE_CHILD_CLEARTID): it clears [`Head::taken`] when
//! the child has left our memory, by execution or by its end, whatever ended it.

use crate::child;
use crate::port::Ports;
use crate::raw::{self, CloneArgs};
use crate::spawn::{into_group, Sharing, Task, Text};
use engine::process::{Exit, Pid};
use std::collections::VecDeque;
use std::ffi::{c_int, c_void};
use std::os::fd::BorrowedFd;
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::atomic::{AtomicI32, Ordering};

/// Below the stack, out of bounds: a stack that grows too far ends the child and nobody else. As
/// large as the largest page.
const GUARD: usize = 64 * 1024;

/// For the stack, the plan and the head. Only what is touched is memory: two pages for most.
const ROOM: usize = 64 * 1024;

/// What the stack has at least.
const STACK: usize = 32 * 1024;

/// How many free grounds are kept.
const KEPT: usize = 2;

/// How many grounds are looked at for a free one: those whose children hang are not all gone through.
const LOOKED_AT: usize = 4;

/// At the end of the room.
struct Head {
    /// The kernel clears it when the child has left. Not zero as long as it stands here.
    taken: AtomicI32,
    /// All that the child is told, in memory that nobody else writes to.
    task: Option<Task<'static>>,
}

/// A mapping of [`GUARD`] and [`ROOM`]. Dropped it stays mapped: its child may stand on it yet.
struct Ground(NonNull<u8>);

impl Ground {
    fn map() -> Option<Ground> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping that nobody else knows, the upper part of which is made accessible,
        // and a head written where it is.
        unsafe {
            let base = libc::mmap(ptr::null_mut(), GUARD + ROOM, libc::PROT_NONE, flags, -1, 0);
            if base == libc::MAP_FAILED {
                return None;
            }
            let ground = Ground(NonNull::new(base.cast())?);
            if libc::mprotect(base.byte_add(GUARD), ROOM, access) != 0 {
                ground.unmap();
                return None;
            }
            ground.head().write(Head { taken: AtomicI32::new(0), task: None });
            Some(ground)
        }
    }

    /// Gives it back to the kernel.
    ///
    /// # Safety
    ///
    /// Nobody stands on it.
    unsafe fn unmap(self) {
        // SAFETY: the mapping is ours alone.
        unsafe { libc::munmap(self.0.as_ptr().cast(), GUARD + ROOM) };
    }

    fn head(&self) -> *mut Head {
        let at = GUARD + ROOM - size_of::<Head>().next_multiple_of(16);
        // SAFETY: within the mapping.
        unsafe { self.0.as_ptr().add(at).cast() }
    }

    /// Reports whether nobody stands on it. What its child did is then seen to be over.
    fn is_free(&self) -> bool {
        // SAFETY: the head is there as long as the mapping; this field is shared with the kernel.
        unsafe { (*self.head()).taken.load(Ordering::Acquire) == 0 }
    }

    /// Writes what the child is told; returns the end of its stack.
    ///
    /// # Safety
    ///
    /// It is free, and the plan leaves room for the stack.
    unsafe fn prepare(&self, task: &Task<'_>, plan: &[u8]) -> *mut c_void {
        let head = self.head();
        // SAFETY: from the head downwards there is the room for plan and stack, which nobody uses. The
        // copy of the plan stays as long as the child stands here, who alone reads it.
        unsafe {
            let copy = head.cast::<u8>().sub(plan.len());
            ptr::copy_nonoverlapping(plan.as_ptr(), copy, plan.len());
            let plan = Text::Bytes(slice::from_raw_parts(copy, plan.len()));
            let Task { plan: _, hand, table, joined, ref inherited, witness } = *task;
            let inherited = inherited.clone();
            (*head).task = Some(Task { plan, hand, table, joined, inherited, witness });
            copy.sub(copy.addr() % 16).cast()
        }
    }
}

impl Ground {
    /// Starts a child on it, whose stack ends there.
    ///
    /// # Safety
    ///
    /// It is free, and the child does nothing to our memory beside it.
    unsafe fn occupy(
        &self,
        begin: extern "C" fn(*mut c_void) -> c_int,
        stack: *mut c_void,
        group: Option<BorrowedFd<'_>>,
        table: Sharing,
    ) -> Option<Pid> {
        let flags = libc::CLONE_VM | libc::CLONE_CHILD_CLEARTID | table.flags();
        let head = self.head();
        // SAFETY: the stack is the child's own until the kernel has cleared `taken`.
        unsafe {
            let taken = &(*head).taken;
            taken.store(1, Ordering::Release);
            let pid = match group {
                None => {
                    let flags = flags | libc::SIGCHLD;
                    raw::start(flags, stack, taken.as_ptr(), begin, head.cast())
                }
                Some(group) => {
                    let bottom = self.0.as_ptr().add(GUARD);
                    let into = into_group(group);
                    let args = CloneArgs {
                        flags: into.flags | flags as u64,
                        child_tid: taken.as_ptr().expose_provenance() as u64,
                        stack: bottom.expose_provenance() as u64,
                        stack_size: (stack.addr() - bottom.addr()) as u64,
                        ..into
                    };
                    raw::clone3(&args, begin, head.cast())
                }
            };
            if pid.is_err() {
                taken.store(0, Ordering::Release);
            }
            pid.ok().and_then(|pid| Pid::try_from(pid).ok())
        }
    }
}

/// The grounds that there are, those where the oldest children stand first, and how children come by
/// their descriptors.
pub struct Grounds {
    all: VecDeque<Ground>,
    memory: Memory,
    pub(crate) ports: Ports,
}

/// Whether children may share our memory at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Memory {
    Allowed,
    Refused,
}

impl Grounds {
    /// Begins with none. Children share our memory where the kernel keeps their ends apart from ours:
    /// before Linux 5.16 a core dump of one would end all who share memory with it.
    pub fn new() -> Grounds {
        let release = release().unwrap_or((0, 0));
        let memory = match raw::LEAVES_ERRNO_ALONE && release >= (5, 16) {
            true => Memory::Allowed,
            false => Memory::Refused,
        };
        Grounds { all: VecDeque::new(), memory, ports: Ports::new() }
    }

    /// Has none and makes none: every child is a fork with a copy of our table of descriptors.
    pub fn none() -> Grounds {
        Grounds { all: VecDeque::new(), memory: Memory::Refused, ports: Ports::none() }
    }

    /// Shares our table with no child.
    pub fn with_copied_tables(self) -> Grounds {
        Grounds { ports: Ports::none(), ..self }
    }

    /// A child has ended and is reaped. Where that was so early that it had not taken what it was to
    /// have, that is closed, and what it could not say itself is in its report.
    pub fn ended(&mut self, pid: Pid, exit: Exit) {
        self.ports.ended(pid, exit);
    }

    /// Starts a child on a ground of its own. Nothing where there can be none; a fork may do then.
    pub(crate) fn start(&mut self, task: &Task<'_>, group: Option<BorrowedFd<'_>>) -> Option<Pid> {
        let Text::Bytes(plan) = task.plan else { return None };
        if self.memory == Memory::Refused
            || plan.len() > ROOM - STACK
            || !child::may_share(plan, task.joined)
        {
            return None;
        }
        self.all.try_reserve(1).ok()?;
        let ground = self.free().or_else(Ground::map)?;
        // SAFETY: it is free; the length was looked at.
        let stack = unsafe { ground.prepare(task, plan) };
        // SAFETY: it was prepared for `stand`, which reads the task and writes to its stack, nothing
        // else of our memory, makes system calls without errno and executes or ends.
        let pid = unsafe { ground.occupy(stand, stack, group, task.table.sharing()) };
        self.all.push_back(ground);
        pid
    }

    /// Gives back what is free beyond the few that are kept.
    pub fn trim(&mut self) {
        while self.all.len() > KEPT {
            let Some(ground) = self.free() else { return };
            // SAFETY: it is free.
            unsafe { ground.unmap() };
        }
    }

    fn free(&mut self) -> Option<Ground> {
        for _ in 0..self.all.len().min(LOOKED_AT) {
            let ground = self.all.pop_front()?;
            if ground.is_free() {
                return Some(ground);
            }
            self.all.push_back(ground);
        }
        None
    }
}

impl Default for Grounds {
    fn default() -> Grounds {
        Grounds::new()
    }
}

/// Where the child begins.
extern "C" fn stand(head: *mut c_void) -> c_int {
    // SAFETY: the head that `start` prepared; nobody writes to the task as long as we stand here.
    let task = unsafe { &(*head.cast::<Head>()).task };
    if let Some(task) = task {
        child::run(task.clone());
    }
    255
}

/// Returns the kernel's version, its first two numbers.
fn release() -> Option<(u32, u32)> {
    // SAFETY: plain bytes, which the kernel fills in.
    let name = unsafe {
        let mut name: libc::utsname = std::mem::zeroed();
        (libc::uname(&raw mut name) == 0).then_some(name)?
    };
    let bytes = name.release.map(|byte| byte as u8);
    let mut numbers = bytes.split(|byte| !byte.is_ascii_digit()).map(|digits| {
        let text = std::str::from_utf8(digits).ok()?;
        text.parse::<u32>().ok()
    });
    Some((numbers.next()??, numbers.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Inherited;
    use crate::port::{Hand, Table};
    use crate::raw;
    use crate::signals::{self, SignalSet};
    use crate::spawn::Joined;
    use engine::process::Exit;
    use engine::signal::Signal;
    use rustix::pipe::pipe;
    use std::os::fd::{AsRawFd, RawFd};

    /// A child that reads a pipe, as one would hang in a dead mount. Its descriptor is the report's.
    extern "C" fn hang(head: *mut c_void) -> c_int {
        // SAFETY: the head that the test prepared.
        let task = unsafe { (*head.cast::<Head>()).task.as_ref() };
        let report = task.and_then(|task| task.hand.report).unwrap_or(-1);
        signals::block(SignalSet::NONE);
        let mut byte = 0u8;
        let place = (&raw mut byte).expose_provenance();
        // SAFETY: one byte is written to where it lives.
        let read = unsafe { raw::call(libc::SYS_read, [report as usize, place, 1, 0, 0]) };
        read.map_or(1, |_| 0)
    }

    fn hanging(grounds: &mut Grounds, report: RawFd) -> Pid {
        let task = Task {
            plan: Text::Bytes(&[]),
            hand: Hand { report: Some(report), ..Hand::default() },
            table: Table::Copied,
            joined: Joined::No,
            inherited: Inherited::capture(),
            witness: None,
        };
        let ground = grounds.free().or_else(Ground::map).unwrap();
        // SAFETY: it is free; `hang` writes to its stack alone.
        let pid = unsafe {
            let stack = ground.prepare(&task, &[]);
            ground.occupy(hang, stack, None, Sharing::Nothing).unwrap()
        };
        grounds.all.push_back(ground);
        pid
    }

    #[test]
    fn the_ground_of_a_child_that_hangs_is_free_once_it_has_ended_and_no_sooner() {
        let mut grounds = Grounds::new();
        if grounds.memory == Memory::Refused {
            println!("passed over: children do not share memory on this kernel");
            return;
        }
        for end in [None, Some(Signal::KILL), Signal::new(3)] {
            let (reader, writer) = pipe().unwrap();
            let pids = [(); 3].map(|()| hanging(&mut grounds, reader.as_raw_fd()));
            assert!(grounds.free().is_none());
            grounds.trim();
            assert_eq!(grounds.all.len(), 3);
            match end {
                // Of the pipe: every child has a copy of the writer, so there is something to read.
                None => {
                    rustix::io::write(&writer, b"xxx").unwrap();
                }
                // One of the signals would dump core: that is the end of the child alone.
                Some(signal) => pids.iter().for_each(|pid| signals::send(*pid, signal).unwrap()),
            }
            for pid in pids {
                let exit = crate::wait::exit_of(pid);
                match (exit, end) {
                    (Some(Exit::Status(0)), None) => {}
                    (Some(Exit::Signal { signal, .. }), Some(end)) => {
                        assert_eq!(signal, end.number());
                    }
                    other => panic!("{other:?}"),
                }
            }
            grounds.trim();
            assert_eq!(grounds.all.len(), KEPT);
        }
    }

    #[test]
    fn kernels_from_5_16_on_keep_the_ends_of_those_who_share_memory_apart() {
        let release = release().unwrap();
        let allowed = release >= (5, 16) && raw::LEAVES_ERRNO_ALONE;
        assert_eq!(Grounds::new().memory == Memory::Allowed, allowed);
    }
}
