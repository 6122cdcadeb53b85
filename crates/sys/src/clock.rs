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

/// What a clock on the wall shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// 0 to 23.
    pub hour: u32,
    /// 0 to 59.
    pub minute: u32,
}

/// A day of some year.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Day {
    /// 1 to 12.
    pub month: u32,
    /// 1 to 31.
    pub day: u32,
}

/// Returns what clocks show now in the local time zone (`TZ`, else `/etc/localtime`); UTC where that
/// is not known.
pub fn shown() -> Shown {
    shown_at(wall().0 / 1_000_000_000).1
}

/// A moment as calendars and clocks show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The year.
    pub year: i32,
    /// The day of it.
    pub day: Day,
    /// What clocks show.
    pub clock: Shown,
    /// 0 to 60.
    pub second: u32,
}

/// Returns what calendars and clocks show so many seconds after 1970 (UTC) in the local time zone; the
/// beginning of 1970 where it is not known.
pub fn moment(seconds: u64) -> Moment {
    match local(seconds) {
        Some(local) => {
            let (day, clock) = of(&local);
            let year = local.tm_year.saturating_add(1900);
            Moment { year, day, clock, second: number(local.tm_sec, 60) }
        }
        None => {
            let (day, clock) = shown_at(0);
            Moment { year: 1970, day, clock, second: 0 }
        }
    }
}

/// Returns what calendars and clocks show so many seconds after 1970 (UTC); the same of the last
/// second that is known where it is too late, and of 1970 where nothing is.
pub fn shown_at(seconds: u64) -> (Day, Shown) {
    let Some(local) = local(seconds) else {
        let minutes = u32::try_from(seconds / 60 % (24 * 60)).unwrap_or(0);
        return (Day { month: 1, day: 1 }, Shown { hour: minutes / 60, minute: minutes % 60 });
    };
    of(&local)
}

fn local(seconds: u64) -> Option<libc::tm> {
    let moment = seconds.try_into().ok()?;
    // SAFETY: the structure is plain numbers and a pointer that may be null.
    let mut local: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: reads one number and fills the structure; both live here.
    let known = unsafe { !libc::localtime_r(&moment, &mut local).is_null() };
    known.then_some(local)
}

fn number(value: i32, most: u32) -> u32 {
    u32::try_from(value).unwrap_or(0).min(most)
}

fn of(local: &libc::tm) -> (Day, Shown) {
    let day = Day { month: number(local.tm_mon, 11) + 1, day: number(local.tm_mday, 31).max(1) };
    (day, Shown { hour: number(local.tm_hour, 23), minute: number(local.tm_min, 59) })
}

fn nanos(time: Timespec) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
}
