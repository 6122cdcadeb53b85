//! The way back for PID 1: a keeper that has gone on in another binary, and dies of a fault or ends by
//! itself while it is on probation, becomes the binary before it again.
//!
//! The kernel would answer the death of PID 1 with a panic. The way back is the file of the binary before
//! and what it is told: first what it had left itself, with every descriptor that is named there kept open
//! beside the copies that are used; then, once this one does something, what this one would leave.

use crate::own::{Argv, Binary};
use crate::signals::{self, SignalSet};
use engine::process::Exit;
use std::ffi::{c_char, CStr, CString};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// The signal by which a keeper is given up that does not come to an end: PROF.
const TOO_LATE: u8 = 27;

/// THE TABLE of signals that are the end of a keeper, with the word by which the binary before is told
/// which it was: those that the kernel sends for a fault of ours, or that we raise where something must
/// never be (ILL, TRAP, ABRT, BUS, FPE, SEGV, SYS), and [`TOO_LATE`].
const FAULTS: [(u8, &CStr); 8] = [
    (4, c"4"),
    (5, c"5"),
    (6, c"6"),
    (7, c"7"),
    (8, c"8"),
    (11, c"11"),
    (TOO_LATE, c"27"),
    (31, c"31"),
];

/// The word where it was none of them: it ended by itself.
const ENDED: &CStr = c"0";

/// The stack on which a fault is answered; the usual one may be the fault.
const STACK: usize = 16 * 1024;

/// How many arguments the binary before is started with at most, the cause and the null among them.
const WORDS: usize = 8;

/// What the binary before is told, and what it needs for that.
pub struct Way {
    argv: Argv,
    /// Every descriptor that is named is at most this.
    highest: RawFd,
    _kept: Vec<OwnedFd>,
}

impl Way {
    /// Makes one of the arguments, behind which the cause will stand, and of the descriptors that are
    /// named there and are nobody else's; the others are open by themselves, up to `highest`.
    pub fn new(words: Vec<CString>, kept: Vec<OwnedFd>, highest: RawFd) -> Way {
        let highest = kept.iter().map(AsRawFd::as_raw_fd).max().unwrap_or(0).max(highest);
        Way { argv: Argv::new(words), highest, _kept: kept }
    }
}

/// What is needed to go back at all.
struct Lifeline {
    binary: Binary,
    stack: Vec<u8>,
}

static TIED: AtomicPtr<Lifeline> = AtomicPtr::new(ptr::null_mut());
static WAY: AtomicPtr<Way> = AtomicPtr::new(ptr::null_mut());

/// Keeps a way back to `binary` until it is [`cut`]. Once in a process, as PID 1, with all signals
/// blocked: the faults are not, then.
pub fn tie(binary: Binary, way: Way) {
    let mut lifeline = Box::new(Lifeline { binary, stack: vec![0; STACK] });
    let stack =
        libc::stack_t { ss_sp: lifeline.stack.as_mut_ptr().cast(), ss_flags: 0, ss_size: STACK };
    // SAFETY: the stack lives, at its place, until `cut` has taken it out of use.
    unsafe { libc::sigaltstack(&stack, ptr::null_mut()) };
    WAY.store(Box::into_raw(Box::new(way)), Ordering::Release);
    TIED.store(Box::into_raw(lifeline), Ordering::Release);
    for (signal, _) in FAULTS {
        // SAFETY: the structure is plain numbers; the function keeps to what a signal may interrupt.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = fallen as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            libc::sigaction(i32::from(signal), &action, ptr::null_mut());
        }
    }
    // SAFETY: the function may be called at the end of any process, and looks whose it is.
    unsafe { libc::atexit(ended) };
    signals::block(FAULTS.iter().fold(SignalSet::ALL, |set, (one, _)| set.without(*one)));
}

/// From now on the way back is another; nothing where there is none.
pub fn renew(way: Way) {
    if TIED.load(Ordering::Acquire).is_null() {
        return;
    }
    let before = WAY.swap(Box::into_raw(Box::new(way)), Ordering::AcqRel);
    if !before.is_null() {
        // SAFETY: made by `Box::into_raw`, and taken out of `WAY`, so nobody else has it: whoever goes
        // back interrupts this thread and does not return to it.
        drop(unsafe { Box::from_raw(before) });
    }
}

/// Reports whether there is a way back.
pub fn is_tied() -> bool {
    !TIED.load(Ordering::Acquire).is_null()
}

/// Goes back by itself after so many seconds of processor time, unless told otherwise before: 0 is
/// never. Not of time as such: a machine that stands still is no fault of ours.
pub fn hurry(seconds: u32) {
    let wait = libc::timeval { tv_sec: seconds.into(), tv_usec: 0 };
    let none = libc::timeval { tv_sec: 0, tv_usec: 0 };
    let once = libc::itimerval { it_interval: none, it_value: wait };
    // SAFETY: reads the structure, which lives here, and writes nothing.
    unsafe { libc::setitimer(libc::ITIMER_PROF, &once, ptr::null_mut()) };
}

/// Lets go of the way back: what runs has shown that it does. A fault ends the process as ever.
pub fn cut() {
    let tied = TIED.swap(ptr::null_mut(), Ordering::AcqRel);
    if tied.is_null() {
        return;
    }
    hurry(0);
    signals::block(SignalSet::ALL);
    let none = libc::stack_t { ss_sp: ptr::null_mut(), ss_flags: libc::SS_DISABLE, ss_size: 0 };
    for (signal, _) in FAULTS {
        // SAFETY: SIG_DFL is no code of ours.
        unsafe { libc::signal(i32::from(signal), libc::SIG_DFL) };
    }
    let way = WAY.swap(ptr::null_mut(), Ordering::AcqRel);
    // SAFETY: no stack is given, and nobody can be on the other one; what is dropped was made by
    // `Box::into_raw` and taken out of `TIED` and `WAY`, so nobody else has it.
    unsafe {
        libc::sigaltstack(&none, ptr::null_mut());
        drop(Box::from_raw(tied));
        if !way.is_null() {
            drop(Box::from_raw(way));
        }
    }
}

/// Goes back now; returns where there is no way back.
pub fn go_back() {
    back(ENDED);
}

/// Returns how a keeper was given up, by the word that the binary before is told.
pub fn cause(word: &[u8]) -> Exit {
    let fault = FAULTS.iter().find(|(_, text)| text.to_bytes() == word);
    fault.map_or(Exit::Unknown, |(signal, _)| Exit::Signal { signal: *signal, core: false })
}

/// The end of the process by itself, which of PID 1 is one as any.
extern "C" fn ended() {
    back(ENDED);
}

/// A fault. A child that shares our memory comes here by one of its own and dies of it, and what
/// somebody else sends is no fault.
extern "C" fn fallen(signal: i32, about: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel passes what it knows, valid until we return. All calls may be made at any moment.
    unsafe {
        if (*about).si_code <= 0 && (*about).si_pid() != libc::getpid() {
            return;
        }
        libc::signal(signal, libc::SIG_DFL);
        let cause = FAULTS.iter().find(|(one, _)| i32::from(*one) == signal);
        back(cause.map_or(ENDED, |(_, word)| word));
        libc::raise(signal);
    }
}

/// Becomes the binary before; returns where that cannot be. Async-signal-safe.
fn back(cause: &CStr) {
    // SAFETY: plain calls that may be made at any moment. What TIED and WAY lead to is only read, and is
    // not dropped meanwhile: it is this thread that would, and it is here, or has ended what it did.
    unsafe {
        if libc::getpid() != 1 {
            return;
        }
        let tied = TIED.swap(ptr::null_mut(), Ordering::AcqRel);
        let (Some(lifeline), Some(way)) = (tied.as_ref(), WAY.load(Ordering::Acquire).as_ref())
        else {
            return;
        };
        let words = b"upright: the new keeper has died of a fault; the one before goes on\n";
        libc::write(2, words.as_ptr().cast(), words.len());
        hurry(0);
        for fd in 3..=way.highest {
            libc::fcntl(fd, libc::F_SETFD, 0);
        }
        let mut list: [*const c_char; WORDS] = [ptr::null(); WORDS];
        let mut places = list.iter_mut().take(WORDS - 1);
        let mut next = way.argv.addresses();
        while !(*next).is_null() {
            places.next().into_iter().for_each(|place| *place = *next);
            next = next.add(1);
        }
        places.next().into_iter().for_each(|place| *place = cause.as_ptr());
        lifeline.binary.execute(list.as_ptr());
    }
}
