//! What Upright says itself. It never waits: a line that nobody takes is dropped.

use crate::options::Mode;
use engine::machine::Level;
use engine::process::Pid;
use sys::say::{Lines, Pace, Stream};

/// Where Upright's own lines go. Source: spec 9: a user's init writes what matters to standard error
/// with its name before it, and the rest to standard output; PID 1 writes to the kernel's log.
#[derive(Clone, Copy, Debug)]
pub struct Voice {
    mode: Mode,
    pace: Pace,
    place: Place,
}

/// How grave a line of Supervisor's log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grade {
    /// Something cannot go on as it was meant.
    Critical,
    /// Something does not work.
    Error,
    /// Somebody should look.
    Warn,
    /// What happens.
    Info,
    /// For whoever looks closely.
    Debug,
}

impl Grade {
    /// Every grade with its number and its letters in the log. Source: Supervisor 4.3.0, loggers.
    const TABLE: [(Grade, u8, &'static str); 5] = [
        (Grade::Critical, 50, "CRIT"),
        (Grade::Error, 40, "ERRO"),
        (Grade::Warn, 30, "WARN"),
        (Grade::Info, 20, "INFO"),
        (Grade::Debug, 10, "DEBG"),
    ];

    fn row(self) -> (Grade, u8, &'static str) {
        let found = Grade::TABLE.into_iter().find(|row| row.0 == self);
        found.unwrap_or((self, 0, ""))
    }

    /// Returns its number; the graver, the greater.
    pub fn number(self) -> u8 {
        self.row().1
    }

    /// Returns its four letters.
    pub fn code(self) -> &'static str {
        self.row().2
    }

    /// Returns the grade of what the machine says of a job: of programs the log tells it in Supervisor's
    /// words already.
    pub fn of_machine(level: Level) -> Grade {
        match level {
            Level::Fatal => Grade::Critical,
            Level::Error => Grade::Error,
            Level::Warn | Level::Message | Level::Info | Level::Debug => Grade::Debug,
        }
    }

    /// Returns the grade of what the daemon itself says.
    pub fn of(level: Level) -> Grade {
        match level {
            Level::Fatal => Grade::Critical,
            Level::Error => Grade::Error,
            Level::Warn => Grade::Warn,
            Level::Message => Grade::Info,
            Level::Info | Level::Debug => Grade::Debug,
        }
    }
}

/// Who hears a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Whoever has our standard output and error.
    Streams,
    /// The kernel's log, which shows it on the console too: we are a machine's PID 1.
    Kernel,
}

impl Voice {
    /// Returns the voice of a mode, whose keeper is this process.
    pub fn new(mode: Mode, keeper: Pid) -> Voice {
        let first = mode == Mode::System && keeper == 1 && sys::first::in_machine();
        let place = if first { Place::Kernel } else { Place::Streams };
        Voice { mode, pace: sys::say::pace(), place }
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
        let Voice { mode, pace, place } = self.voice;
        let name = match mode {
            Mode::System | Mode::User => "init",
            Mode::Up => "upright",
            Mode::Supervisord => "supervisord",
        };
        let plain = match level {
            Level::Warn | Level::Error | Level::Fatal => false,
            Level::Debug | Level::Info | Level::Message => mode == Mode::User,
        };
        // A path before the first colon: libnih leaves the blank out. Source: spec 2.5.
        let gap =
            if line.split(':').next().is_some_and(|path| path.contains(' ')) { " " } else { "" };
        if place == Place::Kernel {
            let told = sys::say::kernel(urgency(level), format_args!("{name}:{gap}{line}"));
            if told.is_ok() {
                return true;
            }
        }
        let to = if plain { Stream::Output } else { Stream::Error };
        let lines = self.lines.get_or_insert_with(|| Lines::new(to, pace));
        if plain {
            return lines.add(to, format_args!("{line}"));
        }
        lines.add(to, format_args!("{name}:{gap}{line}"))
    }

    /// Says them.
    pub fn end(self) {
        if let Some(lines) = self.lines {
            lines.write();
        }
    }
}

/// Returns the kernel's number for a level. Source: libnih, nih_logger_syslog.
fn urgency(level: Level) -> u8 {
    match level {
        Level::Debug => 7,
        Level::Info => 6,
        Level::Message => 5,
        Level::Warn => 4,
        Level::Error => 3,
        Level::Fatal => 2,
    }
}
