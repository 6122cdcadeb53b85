//! The way back for PID 1: a keeper that has gone on in another binary, and dies of a fault before its
//! daemon asks for anything, becomes the binary before it again.
//!
//! The kernel would answer the death of PID 1 with a panic. The way back is what the binary before had
//! left: its file, and every descriptor that is named there, are kept open beside the copies that are
//! used, so that they are as they were, whatever has become of this process's memory.

use crate::own::{Argv, Binary};
use crate::signals::{self, SignalSet};
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// Signals that the kernel sends for a fault of ours, or that we raise where something must never be:
/// ILL, TRAP, ABRT, BUS, FPE, SEGV, SYS.
const FAULTS: [u8; 7] = [4, 5, 6, 7, 8, 11, 31];

/// The stack on which a fault is answered; the usual one may be the fault.
const STACK: usize = 16 * 1024;

/// What is needed to go back.
struct Lifeline {
    binary: Binary,
    argv: Argv,
    kept: Vec<OwnedFd>,
    stack: Vec<u8>,
}

static TIED: AtomicPtr<Lifeline> = AtomicPtr::new(ptr::null_mut());

/// Keeps a way back to `binary`, which is started with `argv` and inherits `kept` under their numbers,
/// until it is [`cut`]. Once in a process, as PID 1, with all signals blocked: the faults are not, then.
pub fn tie(binary: Binary, argv: Argv, kept: Vec<OwnedFd>) {
    let mut lifeline = Box::new(Lifeline { binary, argv, kept, stack: vec![0; STACK] });
    let stack =
        libc::stack_t { ss_sp: lifeline.stack.as_mut_ptr().cast(), ss_flags: 0, ss_size: STACK };
    // SAFETY: the stack lives, at its place, until `cut` has taken it out of use.
    unsafe { libc::sigaltstack(&stack, ptr::null_mut()) };
    TIED.store(Box::into_raw(lifeline), Ordering::Release);
    for signal in FAULTS {
        // SAFETY: the structure is plain numbers; the function keeps to what a signal may interrupt.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = fallen as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            libc::sigaction(i32::from(signal), &action, ptr::null_mut());
        }
    }
    signals::block(FAULTS.iter().fold(SignalSet::ALL, |set, one| set.without(*one)));
}

/// Lets go of the way back: what runs has shown that it does. A fault ends the process as ever.
pub fn cut() {
    let tied = TIED.swap(ptr::null_mut(), Ordering::AcqRel);
    if tied.is_null() {
        return;
    }
    signals::block(SignalSet::ALL);
    let none = libc::stack_t { ss_sp: ptr::null_mut(), ss_flags: libc::SS_DISABLE, ss_size: 0 };
    for signal in FAULTS {
        // SAFETY: SIG_DFL is no code of ours.
        unsafe { libc::signal(i32::from(signal), libc::SIG_DFL) };
    }
    // SAFETY: no stack is given, and nobody can be on the other one; what is dropped was made by
    // `Box::into_raw` and taken out of `TIED`, so nobody else has it.
    unsafe {
        libc::sigaltstack(&none, ptr::null_mut());
        drop(Box::from_raw(tied));
    }
}

/// Goes back. A child that shares our memory comes here by a fault of its own and dies of it, and what
/// somebody else sends is no fault.
extern "C" fn fallen(signal: i32, about: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel passes what it knows, valid until we return. All calls may be made at any moment.
    // What TIED leads to is only read, and `cut` has not run: it is this thread that would, and it is here.
    unsafe {
        let own = libc::getpid();
        if (*about).si_code <= 0 && (*about).si_pid() != own {
            return;
        }
        libc::signal(signal, libc::SIG_DFL);
        if own == 1 {
            let tied = TIED.swap(ptr::null_mut(), Ordering::AcqRel);
            if let Some(lifeline) = tied.as_ref() {
                let words =
                    b"upright: the new keeper has died of a fault; the one before goes on\n";
                libc::write(2, words.as_ptr().cast(), words.len());
                for fd in &lifeline.kept {
                    libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, 0);
                }
                lifeline.binary.execute(&lifeline.argv);
            }
        }
        libc::raise(signal);
    }
}
