//! Signals: blocked and read from a descriptor, sent, and put back to what a new process expects.

use crate::raw;
use engine::process::Pid;
use engine::signal::Signal;
use rustix::io::Errno;
use std::mem::zeroed;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::ptr;

/// The number of signals that Linux has.
const COUNT: u8 = 64;

/// A set of signals as the kernel holds it: bit n - 1 is signal n.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SignalSet(u64);

impl SignalSet {
    /// No signal.
    pub const NONE: SignalSet = SignalSet(0);
    /// Every signal.
    pub const ALL: SignalSet = SignalSet(u64::MAX);

    /// Returns the set with the signal of that number in it too.
    pub const fn with(self, signal: u8) -> SignalSet {
        if signal >= 1 && signal <= COUNT {
            SignalSet(self.0 | 1 << (signal - 1))
        } else {
            self
        }
    }

    /// Returns the set without the signal of that number.
    pub const fn without(self, signal: u8) -> SignalSet {
        SignalSet(self.0 & !SignalSet::NONE.with(signal).0)
    }

    /// Reports whether the signal of that number is in it.
    pub const fn has(self, signal: u8) -> bool {
        self.0 & SignalSet::NONE.with(signal).0 != 0
    }

    /// Returns the set as a number: bit n - 1 is signal n.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Returns the set of that number.
    pub const fn of_bits(bits: u64) -> SignalSet {
        SignalSet(bits)
    }

    /// Reports whether it has no signal.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns the lowest signal in it.
    pub fn first(self) -> Option<u8> {
        (1..=COUNT).find(|signal| self.has(*signal))
    }
}

/// Blocks exactly these signals in the calling thread (KILL and STOP never are).
pub fn block(set: SignalSet) {
    let set: *const u64 = &set.0;
    let arguments = [libc::SIG_SETMASK as usize, set.expose_provenance(), 0, size_of::<u64>(), 0];
    // SAFETY: the kernel reads eight bytes of the set, which lives here; nothing is written back.
    // The raw call, for libc keeps two signals of its own out of the set.
    let _ = unsafe { raw::call(libc::SYS_rt_sigprocmask, arguments) };
}

/// Returns the signals that the calling thread blocks.
pub fn blocked() -> SignalSet {
    let mut now = 0u64;
    let none = ptr::null::<u64>();
    // SAFETY: no new set is given, and eight bytes are written to a number that lives here.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            none,
            &mut now,
            size_of::<u64>(),
        );
    }
    SignalSet(now)
}

/// Returns the signals that are ignored, as [`SignalSet`] bits: what an executed program would
/// inherit. Caught signals are reset by the kernel.
pub(crate) fn ignored() -> u64 {
    (1..=COUNT).filter(|signal| is_ignored(*signal)).fold(0, |set, signal| set | 1 << (signal - 1))
}

/// Makes the process ignore SIGPIPE, so that a write says EPIPE in place of ending it.
pub fn ignore_pipe() {
    // SAFETY: SIG_IGN is no code of ours.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
}

/// Puts every signal's disposition back to the default, so that no child inherits an ignored one.
pub fn reset_dispositions() {
    reset(u64::MAX);
}

/// Resets the dispositions of these signals; async-signal-safe.
pub(crate) fn reset(set: u64) {
    let default = [0usize; ACTION];
    for signal in (1..=COUNT).filter(|signal| SignalSet(set).has(*signal)) {
        // KILL and STOP refuse, rightly.
        action(signal, default.as_ptr(), ptr::null_mut());
    }
}

fn is_ignored(signal: u8) -> bool {
    let mut now = [0usize; ACTION];
    action(signal, ptr::null(), now.as_mut_ptr());
    now[0] == libc::SIG_IGN
}

/// The words that the kernel's `struct sigaction` has at most. On x86, ARM and RISC-V the first is
/// what is done; all zeroes is the default.
const ACTION: usize = 8;

/// Sets and reads a disposition. Raw, as libc refuses the signals that it keeps for itself, which a
/// parent may yet have left ignored.
fn action(signal: u8, new: *const usize, old: *mut usize) {
    let (new, old) = (new.expose_provenance(), old.expose_provenance());
    let arguments = [usize::from(signal), new, old, size_of::<u64>(), 0];
    // SAFETY: each is null or points to [`ACTION`] words, which is more than the kernel reads or
    // writes; no code of ours is ever named.
    let _ = unsafe { raw::call(libc::SYS_rt_sigaction, arguments) };
}

/// Signals that were taken from a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrived {
    /// Which.
    pub signals: SignalSet,
    /// One child that SIGCHLD was about. There may be more: the kernel keeps one of them.
    pub child: Option<Pid>,
}

/// A descriptor that reads as the signals which have arrived.
pub struct SignalFd(OwnedFd);

impl SignalFd {
    /// Makes one for these signals, which must be blocked; non-blocking, close-on-exec.
    pub fn new(set: SignalSet) -> Result<SignalFd, Errno> {
        let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
        // SAFETY: the kernel reads eight bytes of the set, which lives here, and returns a new
        // descriptor that nobody else owns.
        unsafe {
            let fd = libc::syscall(libc::SYS_signalfd4, -1, &set.0, size_of::<u64>(), flags);
            match i32::try_from(fd) {
                Ok(fd) if fd >= 0 => Ok(SignalFd(OwnedFd::from_raw_fd(fd))),
                Ok(_) | Err(_) => Err(last_error()),
            }
        }
    }

    /// Returns the signals that have arrived since the last call.
    pub fn take(&self) -> SignalSet {
        self.take_all().signals
    }

    /// Returns what has arrived since the last call, with the child that it is about.
    pub fn take_all(&self) -> Arrived {
        let mut taken = Arrived { signals: SignalSet::NONE, child: None };
        // SAFETY: the structure is plain numbers.
        let mut batch: [libc::signalfd_siginfo; 8] = unsafe { zeroed() };
        let one = size_of::<libc::signalfd_siginfo>();
        // At most one of each standard signal is pending; real-time ones queue, so this is bounded.
        for _ in 0..16 {
            // SAFETY: the kernel fills at most the batch, whose size it is told.
            let length = unsafe {
                libc::read(self.0.as_raw_fd(), batch.as_mut_ptr().cast(), one * batch.len())
            };
            let count = usize::try_from(length).unwrap_or(0) / one;
            for info in batch.iter().take(count) {
                let signal = u8::try_from(info.ssi_signo).unwrap_or(0);
                taken.signals = taken.signals.with(signal);
                if i32::from(signal) == libc::SIGCHLD {
                    taken.child = Pid::try_from(info.ssi_pid).ok().filter(|pid| *pid > 0);
                }
            }
            if count < batch.len() {
                break;
            }
        }
        taken
    }
}

impl AsFd for SignalFd {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Sends a signal to a process. Only for a child of ours that is not reaped yet: nothing else keeps
/// the number from being somebody else's.
pub fn send(pid: Pid, signal: Signal) -> Result<(), Errno> {
    if pid <= 1 {
        return Err(Errno::SRCH);
    }
    kill(pid, signal)
}

/// Sends a signal to the process group of a child of ours that is not reaped yet; to the child alone
/// where it still is in our own group.
pub fn send_group(pid: Pid, signal: Signal) -> Result<(), Errno> {
    if pid <= 1 {
        return Err(Errno::SRCH);
    }
    // SAFETY: plain numbers.
    let (group, own) = unsafe { (libc::getpgid(pid), libc::getpgrp()) };
    if group <= 1 || group == own {
        return kill(pid, signal);
    }
    kill(-group, signal)
}

/// Reports whether a process group has a member, dead ones that nobody reaped included.
pub fn group_exists(group: Pid) -> bool {
    // SAFETY: plain numbers; signal 0 is sent to nobody.
    group > 1 && (unsafe { libc::kill(-group, 0) } == 0 || last_error() == Errno::PERM)
}

fn kill(target: Pid, signal: Signal) -> Result<(), Errno> {
    // SAFETY: plain numbers.
    match unsafe { libc::kill(target, i32::from(signal.number())) } {
        0 => Ok(()),
        _ => Err(last_error()),
    }
}

/// Returns what the last failed libc call said.
pub(crate) fn last_error() -> Errno {
    let error = std::io::Error::last_os_error();
    Errno::from_raw_os_error(error.raw_os_error().unwrap_or(libc::EIO))
}
