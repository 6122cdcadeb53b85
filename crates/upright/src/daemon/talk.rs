//! What Upright says itself. It never waits: a line that nobody takes is dropped.

use crate::options::Mode;
use engine::machine::Level;
use sys::say::{Lines, Pace, Stream};

/// Where Upright's own lines go. Source: spec 9: a user's init writes what matters to standard error
/// with its name before it, and the rest to standard output; PID 1 writes to the kernel's log.
#[derive(Clone, Copy, Debug)]
pub struct Voice {
    mode: Mode,
    pace: Pace,
}

impl Voice {
    /// Returns the voice of a mode.
    pub fn new(mode: Mode) -> Voice {
        Voice { mode, pace: sys::say::pace() }
    }

    /// Says a line.
    pub fn say(&self, level: Level, line: &str) {
        let mut speech = self.speech();
        speech.add(level, line);
        speech.end();
    }

    /// Begins to say several lines.
    pub fn speech(&self) -> Speech {
        Speech { voice: *self, lines: None }
    }
}

/// Lines that are said together.
pub struct Speech {
    voice: Voice,
    lines: Option<Lines>,
}

impl Speech {
    /// Adds a line where it fits to those that are there; the first one always does.
    pub fn add(&mut self, level: Level, line: &str) -> bool {
        let Voice { mode, pace } = self.voice;
        let name = match mode {
            Mode::System | Mode::User => "init",
            Mode::Up => "upright",
        };
        let plain = match level {
            Level::Warn | Level::Error | Level::Fatal => false,
            Level::Debug | Level::Info | Level::Message => mode == Mode::User,
        };
        let to = if plain { Stream::Output } else { Stream::Error };
        let lines = self.lines.get_or_insert_with(|| Lines::new(to, pace));
        if plain {
            return lines.add(to, format_args!("{line}"));
        }
        // A path before the first colon: libnih leaves the blank out. Source: spec 2.5.
        let gap =
            if line.split(':').next().is_some_and(|path| path.contains(' ')) { " " } else { "" };
        lines.add(to, format_args!("{name}:{gap}{line}"))
    }

    /// Says them.
    pub fn end(self) {
        if let Some(lines) = self.lines {
            lines.write();
        }
    }
}
