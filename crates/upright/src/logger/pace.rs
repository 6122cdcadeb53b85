//! When a pipe is emptied: at once while it is quiet, in larger helpings while it is busy.
//!
//! Moving a helping costs about as much as moving a page, so a pipe that is always ready again is
//! left alone for a moment, until there is enough in it. A single line never waits: only a pipe that was ready
//! again at once several times in a row is left alone, and for at most [`PAUSE_MAX`].

use engine::time::{Mono, Span};

/// The longest time a busy pipe is left alone, in microseconds.
pub const PAUSE_MAX: u16 = 800;

/// The shortest pause that is worth a timer, in microseconds.
const PAUSE_MIN: u16 = 50;

/// A pipe that is ready again within this time is busy.
const AT_ONCE: Span = Span(200_000);

/// How often in a row it must have been.
const STREAK: u8 = 8;

/// So few bytes at once are not worth a turn.
const LITTLE: usize = 8 * 1024;

/// So many bytes at once are enough; a longer pause would only make the writer wait.
const ENOUGH: usize = 128 * 1024;

/// A pipe with that many bytes at once is not quiet.
const MUCH: usize = 32 * 1024;

/// How busy one pipe is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    /// How often in a row it was ready again at once.
    streak: u8,
    /// The pause, in units of a microsecond; 0: none yet.
    pause: u16,
    /// When it was last emptied.
    last: Mono,
    /// When much was last found in it.
    busy: Mono,
}

/// What to do with a pipe that was just emptied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Wait for its next byte.
    Watch,
    /// Leave it alone for that long.
    Pause(Span),
}

impl Pace {
    /// Notes that `moved` bytes of a pipe that holds `capacity` were moved in a turn that began at
    /// `now`, and returns what to do next.
    pub fn moved(&mut self, now: Mono, moved: usize, capacity: usize) -> Next {
        let again = now.since(self.last);
        self.last = now;
        if moved >= MUCH {
            self.busy = now;
        }
        if again.0 > AT_ONCE.0 + 2000 * u64::from(self.pause) {
            (self.streak, self.pause) = (0, 0);
            return Next::Watch;
        }
        if self.streak < STREAK {
            self.streak += 1;
            return Next::Watch;
        }
        self.pause = match moved {
            ..LITTLE => 2 * self.pause,
            ENOUGH.. => self.pause / 2,
            _ => self.pause,
        };
        self.pause = self.pause.clamp(PAUSE_MIN, PAUSE_MAX);
        if moved > capacity / 4 {
            return Next::Watch;
        }
        Next::Pause(Span(u64::from(self.pause) * 1000))
    }

    /// Returns when much was last found in the pipe.
    pub fn busy(&self) -> Mono {
        self.busy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Serves a pipe of 64 KiB every `every` microseconds and returns what is done in the end.
    fn after(times: u64, every: u64, moved: usize) -> Next {
        let mut pace = Pace::default();
        let mut next = Next::Watch;
        for time in 1..=times {
            next = pace.moved(Mono(time * every * 1000), moved, 64 * 1024);
        }
        next
    }

    #[test]
    fn a_quiet_pipe_never_waits() {
        assert_eq!(after(1, 1, 100), Next::Watch);
        assert_eq!(after(1000, 5000, 100), Next::Watch);
        assert_eq!(after(7, 1, 100), Next::Watch, "a few lines at once are not busy");
    }

    #[test]
    fn a_pipe_that_is_ready_again_and_again_waits_longer_and_longer_up_to_a_limit() {
        let Next::Pause(first) = after(9, 10, 100) else { panic!("a pause") };
        assert_eq!(first, Span(50_000));
        assert_eq!(after(100, 10, 100), Next::Pause(Span(800_000)));
    }

    #[test]
    fn a_pipe_that_fills_fast_is_not_kept_waiting() {
        assert_eq!(after(100, 10, 32 * 1024), Next::Watch);
        assert_eq!(after(100, 10, 16 * 1024), Next::Pause(Span(50_000)));
    }

    #[test]
    fn a_pause_ends_the_streak_where_little_came_of_it() {
        let mut pace = Pace::default();
        for time in 1..100 {
            pace.moved(Mono(time * 10_000), 100, 64 * 1024);
        }
        assert_eq!(pace.moved(Mono(50_000_000), 100, 64 * 1024), Next::Watch);
    }
}
