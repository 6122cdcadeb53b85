//! The log of Supervisor's daemon: its lines, written by the logger as any output. Source: Supervisor
//! 4.3.0, activity log.

use super::lines::Lines;
use super::talk::Grade;
use std::cell::Cell;
use std::os::fd::OwnedFd;
use sys::clock::{self, Day, Moment, Shown};

/// The log.
pub struct Chronicle {
    lines: Lines,
    least: u8,
    /// Whether it says already who is still to end before everything ends.
    names_the_dying: Cell<bool>,
}

impl Chronicle {
    /// Makes one of the writing end of a pipe, for lines of at least that number.
    pub fn new(end: OwnedFd, least: u8) -> Chronicle {
        Chronicle { lines: Lines::new(end), least, names_the_dying: Cell::new(false) }
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
        self.lines.write(line(moment, millis, grade, text), |missed| {
            let text = format!("{missed} lines of this log were lost: nobody took them in time");
            line(moment, millis, Grade::Warn, &text)
        });
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
    fn the_lines_of_a_thousand_starts_find_room_though_nobody_takes_them() {
        let (read, end) = sys::pipe::new().unwrap();
        if sys::pipe::set_capacity(&read, 1 << 20).is_err() {
            println!("passed over: no pipe may be that large here");
            return;
        }
        sys::pipe::set_capacity(&read, 1 << 16).unwrap();
        let log = Chronicle::new(end, Grade::Info.number());
        for number in 0..2000 {
            log.write(Grade::Info, &format!("{number:04} {}", "x".repeat(100)));
        }
        assert_eq!(log.lines.missed(), 0);
        assert!(sys::pipe::readable(&read).unwrap() > 2000 * 100);
    }

    #[test]
    fn what_finds_no_room_is_counted_and_told() {
        let (read, end) = sys::pipe::new().unwrap();
        let log = Chronicle::new(end, Grade::Info.number());
        log.write(Grade::Debug, "not heard");
        assert_eq!(sys::pipe::readable(&read), Ok(0));
        while log.lines.missed() == 0 {
            log.write(Grade::Info, &"x".repeat(5000));
        }
        let mut buffer = vec![0; 2 << 20];
        while sys::pipe::readable(&read).unwrap() > 0 {
            sys::pipe::read(&read, &mut buffer).unwrap();
        }
        log.write(Grade::Info, "again");
        let length = sys::pipe::read(&read, &mut buffer).unwrap();
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        assert!(text.contains("WARN 1 lines of this log were lost") && text.contains("INFO again"));
    }
}
