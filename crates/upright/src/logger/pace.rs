//! When a pipe is emptied: at once while it is quiet, in larger helpings while it is busy.
//!
//! Moving a helping costs about as much as moving a page, so a pipe that is always ready again is
//! left alone until it is about half full. A single line never waits: only a pipe that was ready
//! again at once several times in a row is left alone, and for at most [`PAUSE_MAX`].

use engine::time::{Mono, Span};

/// The longest time a busy pipe is left alone, in microseconds.
pub const PAUSE_MAX: u16 = 1000;

/// The shortest pause that is worth a timer, in microseconds.
const PAUSE_MIN: u16 = 50;

/// A pipe that is ready again within this time is busy.
const AT_ONCE: Span = Span(200_000);

/// How often in a row it must have been.
const STREAK: u8 = 8;

/// So few bytes at once are not worth a turn.
const LITTLE: usize = 16 * 1024;

/// So many bytes at once are enough; a longer pause would only make the writer wait.
const ENOUGH: usize = 64 * 1024;

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
    pub fn moved(&mut self, now: Mono, moved: usize, _capacity: usize) -> Next {
        let again = now.since(self.last);
        self.last = now;
        if moved >= MUCH {
            self.busy = now;
        }
        if again.0 > AT_ONCE.0 + 2000 * u64::from(self.pause) {
            (self.streak, self.pause) = (0, 0);
            return Next::Watch;
        }
        match moved {
            ..LITTLE if self.streak < STREAK => self.streak += 1,
            ..LITTLE => self.pause = (2 * self.pause).clamp(PAUSE_MIN, PAUSE_MAX),
            ENOUGH.. => (self.streak, self.pause) = (0, self.pause / 2),
            _ => {}
        }
        match self.pause {
            ..PAUSE_MIN => Next::Watch,
            pause => Next::Pause(Span(u64::from(pause) * 1000)),
        }
    }

    /// Returns when much was last found in the pipe.
    pub fn busy(&self) -> Mono {
        self.busy
    }
}
