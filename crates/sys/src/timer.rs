//! A limit on the processor time of one turn: who spins is ended, and started anew by the keeper.

use engine::time::Span;
use std::ptr;

/// Begins a turn: unless [`disarm`] is called first, SIGPROF ends the process after it has used this
/// much processor time.
pub fn arm(limit: Span) {
    set(limit);
}

/// Ends a turn.
pub fn disarm() {
    set(Span::ZERO);
}

fn set(limit: Span) {
    let none = libc::timeval { tv_sec: 0, tv_usec: 0 };
    let value = libc::timeval {
        tv_sec: limit.as_secs().min(u64::from(u32::MAX)) as _,
        tv_usec: (limit.0 / 1000 % 1_000_000) as _,
    };
    let timer = libc::itimerval { it_interval: none, it_value: value };
    // SAFETY: the kernel reads the structure, which lives here, and returns no old one.
    unsafe { libc::setitimer(libc::ITIMER_PROF, &raw const timer, ptr::null_mut()) };
}
