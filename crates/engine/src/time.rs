//! Time as the engine sees it: a point and a length, both told from outside.

use alloc::format;
use alloc::string::String;
use core::fmt;
use core::ops::{Add, Sub};
use serde::{Deserialize, Serialize};

/// A point on CLOCK_MONOTONIC, in nanoseconds since boot. Only ever compared with its own kind.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Mono(pub u64);

/// A length of time in nanoseconds.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Span(pub u64);

impl Span {
    /// No time at all.
    pub const ZERO: Span = Span(0);

    /// Returns `seconds` as a span; saturates at 584 years.
    pub const fn secs(seconds: u64) -> Span {
        Span(seconds.saturating_mul(1_000_000_000))
    }

    /// Returns `millis` milliseconds as a span; saturates.
    pub const fn millis(millis: u64) -> Span {
        Span(millis.saturating_mul(1_000_000))
    }

    /// Returns whole milliseconds, rounded up, so that a sleep of that length is never too short.
    pub const fn as_millis_ceil(self) -> u64 {
        self.0.div_ceil(1_000_000)
    }

    /// Returns seconds for display and for policies given in seconds.
    pub const fn as_secs(self) -> u64 {
        self.0 / 1_000_000_000
    }

    /// Returns `self` times `factor`, saturating.
    pub const fn times(self, factor: u64) -> Span {
        Span(self.0.saturating_mul(factor))
    }
}

impl Mono {
    /// Returns the time from `earlier` to `self`, zero where `earlier` is later.
    pub const fn since(self, earlier: Mono) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Span> for Mono {
    type Output = Mono;
    fn add(self, span: Span) -> Mono {
        Mono(self.0.saturating_add(span.0))
    }
}

impl Sub<Span> for Mono {
    type Output = Mono;
    fn sub(self, span: Span) -> Mono {
        Mono(self.0.saturating_sub(span.0))
    }
}

impl fmt::Debug for Mono {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "@{}", Span(self.0))
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Span {
    /// Returns it in its two greatest units, for people: `850ms`, `12s`, `5m 3s`, `2h 10m`, `3d 4h`.
    pub fn in_words(self) -> String {
        let seconds = self.as_secs();
        let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
        let two = |first: u64, unit: char, second: u64, next: char| match second {
            0 => format!("{first}{unit}"),
            _ => format!("{first}{unit} {second}{next}"),
        };
        match (days, hours, minutes, seconds) {
            (0, 0, 0, 0) => format!("{}ms", self.0 / 1_000_000),
            (0, 0, 0, _) => format!("{seconds}s"),
            (0, 0, _, _) => two(minutes, 'm', seconds % 60, 's'),
            (0, _, _, _) => two(hours, 'h', minutes % 60, 'm'),
            (_, _, _, _) => two(days, 'd', hours % 24, 'h'),
        }
    }
}

impl fmt::Display for Span {
    /// Seconds with as many decimals as needed, at most milliseconds: `0.05s`, `5s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0 / 1_000_000;
        let (seconds, rest) = (millis / 1000, millis % 1000);
        match rest {
            0 => write!(f, "{seconds}s"),
            _ if rest % 100 == 0 => write!(f, "{seconds}.{}s", rest / 100),
            _ if rest % 10 == 0 => write!(f, "{seconds}.{:02}s", rest / 10),
            _ => write!(f, "{seconds}.{rest:03}s"),
        }
    }
}
