//! What Upright says itself. It never waits: a line that nobody takes is dropped.

use crate::options::Mode;
use engine::machine::Level;

/// Where Upright's own lines go. Source: spec 9: a user's init writes what matters to standard error
/// with its name before it, and the rest to standard output; PID 1 writes to the kernel's log.
#[derive(Clone, Copy, Debug)]
pub struct Voice {
    mode: Mode,
}

impl Voice {
    /// Returns the voice of a mode.
    pub fn new(mode: Mode) -> Voice {
        Voice { mode }
    }

    /// Says a line.
    pub fn say(&self, level: Level, line: &str) {
        let name = match self.mode {
            Mode::System | Mode::User => "init",
            Mode::Up => "upright",
        };
        // A path before the first colon: libnih leaves the blank out. Source: spec 2.5.
        let gap =
            if line.split(':').next().is_some_and(|path| path.contains(' ')) { " " } else { "" };
        match level {
            Level::Warn | Level::Error | Level::Fatal => {
                sys::say::line(format_args!("{name}:{gap}{line}"));
            }
            Level::Debug | Level::Info | Level::Message if self.mode == Mode::User => {
                sys::say::out(format_args!("{line}"));
            }
            Level::Debug | Level::Info | Level::Message => {
                sys::say::line(format_args!("{name}:{gap}{line}"));
            }
        }
    }
}
