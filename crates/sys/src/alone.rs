//! One child that takes our place: in a group of its own, in front of the terminal where we were,
//! with the signals as we found them. Source: tini.

use crate::own::Argv;
use crate::signals::{self, last_error, SignalSet};
use crate::spawn::{fork, Sharing, Side};
use engine::process::Pid;
use engine::signal::Signal;
use rustix::io::Errno;
use rustix::pipe::{pipe_with, PipeFlags};
use std::ffi::{CStr, CString};
use std::os::fd::AsRawFd;
use std::ptr;

/// Signals that are ours to die of, or to do without: FPE, ILL, SEGV, BUS, ABRT, TRAP, SYS, TTIN,
/// TTOU.
const OWN: [u8; 9] = [8, 4, 11, 7, 6, 5, 31, TTIN, TTOU];
const TTIN: u8 = 21;
const TTOU: u8 = 22;

/// The signals that we were started with.
pub struct Before {
    blocked: SignalSet,
    ignored: [bool; 2],
}

impl Before {
    /// Blocks every signal that is to be passed on and returns what was before, with the blocked ones.
    /// A write to a terminal that is not ours any more does not stop us.
    pub fn block() -> (Before, SignalSet) {
        let passed = OWN.iter().fold(SignalSet::ALL, |set, own| set.without(*own));
        let before = Before {
            blocked: signals::blocked(),
            ignored: [TTIN, TTOU].map(|signal| signals::ignored() & 1 << (signal - 1) != 0),
        };
        signals::block(passed);
        for signal in [TTIN, TTOU] {
            // SAFETY: SIG_IGN is no code of ours.
            unsafe { libc::signal(i32::from(signal), libc::SIG_IGN) };
        }
        (before, passed)
    }

    fn restore(&self) {
        for (signal, ignored) in [TTIN, TTOU].into_iter().zip(self.ignored) {
            if !ignored {
                signals::reset(1 << (signal - 1));
            }
        }
        signals::block(self.blocked);
    }
}

/// Starts a program, searched in PATH, with our environment; returns its number once it is executed,
/// else why it is not.
pub fn start(argv: Vec<CString>, before: &Before) -> Result<Pid, Errno> {
    let program = argv.first().cloned().ok_or(Errno::INVAL)?;
    let argv = Argv::new(argv);
    let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
    match fork(Sharing::Nothing)? {
        Side::Child => execute(&program, &argv, before, write.as_raw_fd()),
        Side::Parent(pid) => {
            drop(write);
            let mut told = [0; size_of::<i32>()];
            match rustix::io::retry_on_intr(|| rustix::io::read(&read, &mut told)) {
                Ok(length) if length == told.len() => {
                    crate::wait::exit_of(pid);
                    Err(Errno::from_raw_os_error(i32::from_ne_bytes(told)))
                }
                Ok(_) | Err(_) => Ok(pid),
            }
        }
    }
}

fn execute(program: &CStr, argv: &Argv, before: &Before, report: i32) -> ! {
    // SAFETY: plain numbers; the lists end with a null and live until the call is over; the report is
    // written from a number that lives here. No other thread was copied, so what execvp takes is free.
    unsafe {
        let parents = libc::getpgrp();
        libc::setpgid(0, 0);
        // Only where we were in front: a shell may have started us in the background.
        if libc::tcgetpgrp(0) == parents {
            libc::tcsetpgrp(0, libc::getpgrp());
        }
        before.restore();
        libc::execvp(program.as_ptr(), argv.addresses());
        let errno = last_error().raw_os_error().to_ne_bytes();
        libc::write(report, errno.as_ptr().cast(), errno.len());
        libc::_exit(127)
    }
}

/// Asks for this signal when our parent ends.
pub fn die_with_parent(signal: Signal) -> Result<(), Errno> {
    // SAFETY: plain numbers.
    match unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, i32::from(signal.number()), 0, 0, 0) } {
        0 => Ok(()),
        _ => Err(last_error()),
    }
}

/// Reports whether orphans of our descendants become our children.
pub fn is_subreaper() -> bool {
    let mut is: i32 = 0;
    // SAFETY: the kernel writes one number, which lives here.
    let asked =
        unsafe { libc::prctl(libc::PR_GET_CHILD_SUBREAPER, ptr::from_mut(&mut is), 0, 0, 0) };
    asked == 0 && is == 1
}
