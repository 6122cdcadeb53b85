//! The clocks. The first decides, the last is only shown.

use engine::time::{Mono, Span};
use rustix::time::{clock_gettime, ClockId, Timespec};

/// Returns the time since boot without the time asleep.
pub fn monotonic() -> Mono {
    Mono(nanos(clock_gettime(ClockId::Monotonic)))
}

/// Returns the time since boot with the time asleep.
pub fn boot() -> Mono {
    Mono(nanos(clock_gettime(ClockId::Boottime)))
}

/// Returns the time since 1970 (UTC); zero where the clock is before that.
pub fn wall() -> Span {
    Span(nanos(clock_gettime(ClockId::Realtime)))
}

fn nanos(time: Timespec) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
}
