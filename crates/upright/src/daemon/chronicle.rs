//! The log of Supervisor's daemon: its lines, written by the logger as any output. Source: Supervisor
//! 4.3.0, activity log.

use super::talk::Grade;
use std::cell::Cell;
use std::os::fd::OwnedFd;
use sys::clock::{self, Day, Moment, Shown};
use sys::Errno;

/// The longest line, which is as much as a pipe takes whole or not at all. Source: pipe(7), PIPE_BUF.
const LINE_MAX: usize = 4096;

/// The log. It never waits: a line for which there is no room is counted, which is said later.
pub struct Chronicle {
    end: OwnedFd,
    least: u8,
    missed: Cell<u64>,
    /// Whether it says already who is still to end before everything ends.
    names_the_dying: Cell<bool>,
}

impl Chronicle {
    /// Makes one of the writing end of a pipe, for lines of at least that number.
    pub fn new(end: OwnedFd, least: u8) -> Chronicle {
        // Refused, a full pipe would make the daemon wait; it is a pipe that we have made.
        let _ = sys::pipe::set_nonblocking(&end);
        Chronicle { end, least, missed: Cell::new(0), names_the_dying: Cell::new(false) }
    }

    /// Reports whether lines of a grade are written.
    pub fn hears(&self, grade: Grade) -> bool {
        grade.number() >= self.least
    }

    /// Reports whether it is still to be said who has to end before everything ends. That is once.
    pub fn is_to_name_the_dying(&self) -> bool {
        !self.names_the_dying.replace(true)
    }

    /// Writes a line.
    pub fn write(&self, grade: Grade, text: &str) {
        if !self.hears(grade) {
            return;
        }
        let wall = clock::wall();
        let moment = clock::moment(wall.as_secs());
        let millis = wall.0 / 1_000_000 % 1000;
        let missed = self.missed.get();
        if missed > 0 {
            let text = format!("{missed} lines of this log were lost: nobody took them in time");
            if self.send(line(moment, millis, Grade::Warn, &text)).is_err() {
                self.missed.set(missed.saturating_add(1));
                return;
            }
            self.missed.set(0);
        }
        if self.send(line(moment, millis, grade, text)).is_err() {
            self.missed.set(self.missed.get().saturating_add(1));
        }
    }

    fn send(&self, mut line: Vec<u8>) -> Result<(), Errno> {
        if line.len() > LINE_MAX {
            line.truncate(LINE_MAX - 1);
            line.push(b'\n');
        }
        sys::pipe::write(&self.end, &line).map(drop)
    }
}

fn line(moment: Moment, millis: u64, grade: Grade, text: &str) -> Vec<u8> {
    let Moment { year, day: Day { month, day }, clock: Shown { hour, minute }, second } = moment;
    let code = grade.code();
    let stamp = format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}");
    format!("{stamp},{millis:03} {code} {text}\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_look_as_the_originals() {
        let day = Day { month: 2, day: 3 };
        let moment = Moment { year: 2026, day, clock: Shown { hour: 4, minute: 5 }, second: 6 };
        let line = line(moment, 7, Grade::Warn, "received SIGTERM indicating exit request");
        let expected = "2026-02-03 04:05:06,007 WARN received SIGTERM indicating exit request\n";
        assert_eq!(String::from_utf8(line).unwrap(), expected);
    }

    #[test]
    fn what_finds_no_room_is_counted_and_told() {
        let (read, end) = sys::pipe::new().unwrap();
        let log = Chronicle::new(end, Grade::Info.number());
        log.write(Grade::Debug, "not heard");
        assert_eq!(sys::pipe::readable(&read), Ok(0));
        while log.missed.get() == 0 {
            log.write(Grade::Info, &"x".repeat(5000));
        }
        let mut buffer = vec![0; 1 << 20];
        sys::pipe::read(&read, &mut buffer).unwrap();
        log.write(Grade::Info, "again");
        let length = sys::pipe::read(&read, &mut buffer).unwrap();
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        assert!(text.contains("WARN 1 lines of this log were lost") && text.contains("INFO again"));
    }
}
