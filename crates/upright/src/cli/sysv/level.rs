//! Runlevels: which one there is, and going to another.

use super::{request, Failed, How, Tool};
use crate::cli::connect::Refusal;
use engine::control::call::Call;
use engine::machine::request::{Request, Wait};
use engine::text::Text;
use std::io::ErrorKind;
use std::path::Path;
use sys::utmp::{self, Kind, Record, UTMP, WTMP};

/// A runlevel: a letter or digit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Level(u8);

/// The runlevel and the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Levels {
    pub(super) now: Level,
    pub(super) before: Level,
}

impl Level {
    /// The machine is down, or goes there.
    pub(super) const HALT: Level = Level(b'0');
    /// Maintenance.
    pub(super) const SINGLE: Level = Level(b'1');
    /// The machine starts again.
    pub(super) const REBOOT: Level = Level(b'6');
    /// There was none before.
    pub(super) const NONE: Level = Level(b'N');

    /// Reads what telinit may be asked for: `0` to `6`, `S`, `s`.
    pub(super) fn parse(text: &[u8]) -> Option<Level> {
        match text {
            [digit @ b'0'..=b'6'] => Some(Level(*digit)),
            [b'S' | b's'] => Some(Level(b'S')),
            _ => None,
        }
    }

    /// Returns it as a letter.
    pub(super) fn letter(self) -> char {
        char::from(self.0)
    }

    fn of(letter: u8) -> Level {
        if letter.is_ascii_graphic() {
            Level(letter)
        } else {
            Level::NONE
        }
    }

    fn first(text: &[u8]) -> Level {
        text.first().map_or(Level::NONE, |letter| Level::of(*letter))
    }
}

impl Levels {
    /// Returns the levels that a list of records knows of: those of the last change.
    fn of(records: &[Record]) -> Option<Levels> {
        let changes =
            |record: &&Record| record.kind == Kind::Runlevel && record.user != b"shutdown";
        let last = records.iter().rev().find(changes)?;
        let [now, before, ..] = last.pid.to_le_bytes();
        Some(Levels { now: Level::of(now), before: Level::of(before) })
    }

    /// Returns the levels that a file of records knows of.
    pub(super) fn in_file(path: &Path) -> Option<Levels> {
        Levels::of(&utmp::read(path).ok()?)
    }

    /// Returns the levels of the environment, where a job of a runlevel asks, else those of a file.
    pub(super) fn known(tool: &Tool<'_, '_>, path: &Path) -> Option<Levels> {
        match tool.world.variable("RUNLEVEL") {
            Some(now) => {
                let before = tool.world.variable("PREVLEVEL").unwrap_or_default();
                Some(Levels { now: Level::first(&now), before: Level::first(&before) })
            }
            None => Levels::in_file(path),
        }
    }

    /// Returns the record of the change.
    fn record(self) -> Record {
        let number = i32::from(self.now.0) + 256 * i32::from(self.before.0);
        Record::of_machine(Kind::Runlevel, number, "runlevel")
    }
}

/// Goes to a runlevel: writes the records, then emits the event. Waits for nobody: the end of the
/// machine is the end of who would wait.
pub(super) fn change(tool: &mut Tool<'_, '_>, to: Level, how: Option<How>) -> Result<(), Failed> {
    let known = Levels::known(tool, Path::new(UTMP));
    let levels = Levels { now: to, before: known.map_or(Level::NONE, |levels| levels.now) };
    let mut client = match tool.connect() {
        Ok(client) => client,
        Err(refusal) => return without_upright(tool, to, how, &refusal),
    };
    record(levels);
    let mut env = vec![
        Text::from(format!("RUNLEVEL={}", levels.now.letter())),
        Text::from(format!("PREVLEVEL={}", levels.before.letter())),
    ];
    env.extend(how.map(|how| Text::from(format!("INIT_HALT={}", how.word()))));
    env.append(&mut tool.said.env);
    let request = Request::Emit(Text::from("runlevel"), env, Wait::Accepted);
    match client.ask(Call::Ask(request, None)) {
        Ok(_) => Ok(()),
        Err(trouble) => Err(tool.error(&trouble.to_string())),
    }
}

/// Asks another init, where one listens; Upright is not there, or not yet after an installation.
fn without_upright(
    tool: &mut Tool<'_, '_>,
    to: Level,
    how: Option<How>,
    refusal: &Refusal,
) -> Result<(), Failed> {
    let nobody = match refusal {
        Refusal::Kernel(error) => {
            matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused)
        }
        Refusal::Stranger(_) => false,
    };
    if nobody && request::send(to, how).is_ok() {
        return Ok(());
    }
    let why = format!("Unable to connect to Upright, which would change the runlevel: {refusal}");
    Err(tool.error(&why))
}

/// Writes who was where to the records. They are for people to look at: where one cannot be written
/// (no such file, a disk that cannot be written yet) the machine goes on.
fn record(levels: Levels) {
    let change = levels.record();
    let boot = Record::of_machine(Kind::Boot, 0, "reboot");
    // A record that does not know the level before this one is of an earlier boot.
    if Levels::in_file(Path::new(UTMP)).map(|known| known.now) != Some(levels.before) {
        let _ = utmp::put_in(Path::new(UTMP), &boot);
    }
    let _ = utmp::put_in(Path::new(UTMP), &change);
    if Levels::in_file(Path::new(WTMP)).map(|known| known.now) != Some(levels.before) {
        let _ = utmp::append(Path::new(WTMP), &boot);
    }
    let _ = utmp::append(Path::new(WTMP), &change);
}

impl How {
    /// Returns the value of `INIT_HALT`.
    pub(super) fn word(self) -> &'static str {
        match self {
            How::Halt => "HALT",
            How::Off => "POWEROFF",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(pid: i32, user: &str) -> Record {
        Record::of_machine(Kind::Runlevel, pid, user)
    }

    #[test]
    fn telinit_knows_eight_levels() {
        let known = ["0", "1", "2", "3", "4", "5", "6", "S", "s"];
        let letters: String =
            known.iter().map(|text| Level::parse(text.as_bytes()).unwrap().letter()).collect();
        assert_eq!(letters, "0123456SS");
        for other in ["", "7", "N", "a", "22", "S ", "\0"] {
            assert_eq!(Level::parse(other.as_bytes()), None, "{other:?}");
        }
    }

    #[test]
    fn the_last_change_says_the_level_and_an_end_of_the_machine_is_none() {
        let two = Levels { now: Level(b'2'), before: Level::NONE };
        let records = [change(two.record().pid, "runlevel"), change(0, "shutdown")];
        assert_eq!(Levels::of(&records), Some(two));
        assert_eq!(Levels::of(&[]), None);
        // As sysvinit writes it, where there was no level before.
        assert_eq!(Levels::of(&[change(i32::from(b'2'), "runlevel")]), Some(two));
    }
}
