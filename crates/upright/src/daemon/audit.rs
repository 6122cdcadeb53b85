//! Who did what: every call that changes something, and every one that is refused, is a line that the
//! logger writes, as any output.

use super::lines::Lines;
use super::settings::Settings;
use super::Daemon;
use engine::keeper::held;
use engine::logroute::{encode, Forward, LogFile, LogRoute, ToLogger};
use engine::machine::Level;
use engine::spec::OnFull;
use engine::text::Text;
use engine::time::{Mono, Span};
use engine::treat::Treatment;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use sys::clock::{self, Day, Moment, Shown};
use sys::seqpacket;

/// How many refusals are written in a second: nobody writes the others away by knocking.
const REFUSALS_MAX: u32 = 50;
const REFUSALS_TIME: Span = Span::secs(1);

/// Permission bits of the file.
const MODE: u16 = 0o640;

/// The log.
pub struct Audit {
    lines: Lines,
    /// The other end, for each new logger.
    read: OwnedFd,
    /// When the last second began in which refusals are counted, and how many it had.
    refusals: Cell<(Mono, u32)>,
}

impl Audit {
    fn new(end: OwnedFd, read: OwnedFd) -> Audit {
        Audit { lines: Lines::new(end), read, refusals: Cell::new((Mono(0), 0)) }
    }

    /// Writes a line of somebody who was not let do something, unless there are too many of them.
    fn refusal(&self, line: &str) {
        let now = clock::monotonic();
        let (begun, count) = self.refusals.get();
        let (begun, count) = match now.since(begun) < REFUSALS_TIME {
            true => (begun, count.saturating_add(1)),
            false => (now, 1),
        };
        self.refusals.set((begun, count));
        match count > REFUSALS_MAX {
            true => self.lines.miss(),
            false => self.write(line),
        }
    }

    fn write(&self, line: &str) {
        self.lines.write(stamped(line), |missed| {
            stamped(&format!("result=lost lines={missed} why=\"more than were written in time\""))
        });
    }
}

/// Returns a line with the time before it and its end.
fn stamped(line: &str) -> Vec<u8> {
    let moment = clock::moment(clock::wall().as_secs());
    let Moment { year, day: Day { month, day }, clock: Shown { hour, minute }, second } = moment;
    let stamp = format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}");
    format!("{stamp} {line}\n").into_bytes()
}

impl Daemon {
    /// Goes on with the log that there is, else begins one where there is to be one.
    pub(super) fn take_audit(&mut self, held: &mut BTreeMap<u32, OwnedFd>) {
        if self.settings.audit.is_none() {
            return;
        }
        let ends = (held.remove(&held::AUDIT), held.remove(&held::AUDIT_READ));
        if let (Some(end), Some(read)) = ends {
            self.audit = Some(Audit::new(end, read));
            return;
        }
        match sys::pipe::new() {
            Ok((read, end)) => {
                self.hold(held::AUDIT_READ, read.as_fd());
                self.hold(held::AUDIT, end.as_fd());
                self.audit = Some(Audit::new(end, read));
            }
            Err(errno) => {
                let line = format!("there is no log of who did what: {errno}");
                self.say(Level::Error, &line);
            }
        }
    }

    /// Tells a logger where the log goes.
    pub(super) fn pass_audit(&self) {
        let (Some(audit), Some(route)) = (&self.audit, route(&self.settings)) else { return };
        let Some(logger) = &self.logger else { return };
        // A logger that does not listen is ended, and the next one told.
        let message = encode(&ToLogger::Audit { route });
        let _ = seqpacket::send(logger, &[&message], &[audit.read.as_fd()]);
    }

    /// Writes what has been answered.
    pub(super) fn write_audit(&mut self) {
        let ended = self.connections.take_ended();
        let Some(audit) = &self.audit else { return };
        ended.iter().for_each(|line| audit.write(line));
    }

    /// Writes that somebody was not let do something.
    pub(super) fn write_refusal(&self, line: &str) {
        if let Some(audit) = &self.audit {
            audit.refusal(line);
        }
    }
}

fn route(settings: &Settings) -> Option<LogRoute> {
    const ROTATION: (u64, u32) = (10 * 1024 * 1024, 5);
    let path = settings.audit.as_ref()?;
    let (rotate_size, rotate_count) = settings.options.log_rotate.unwrap_or(ROTATION);
    let file = LogFile {
        path: Text::from(path.as_os_str().as_bytes()),
        rotate_size,
        rotate_count,
        mode: MODE,
        uid: None,
        gid: settings.log_group,
        on_full: OnFull::Drop,
    };
    let (label, treat) = (String::from("upright/audit"), Treatment::default());
    Some(LogRoute { label, file: Some(file), forward: Forward::No, treat })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_beyond_a_number_are_counted_and_told() {
        let (read, end) = sys::pipe::new().unwrap();
        let audit = Audit::new(end, read.try_clone().unwrap());
        let many = u64::from(REFUSALS_MAX) * 20;
        (0..many).for_each(|number| audit.refusal(&format!("knock={number}")));
        let lost = audit.lines.missed();
        audit.write("command=Stop");
        let mut buffer = vec![0; 1 << 20];
        let length = sys::pipe::read(&read, &mut buffer).unwrap();
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        assert!(lost > 0, "a thousand within some seconds: {text}");
        assert_eq!(text.matches(" knock=").count() as u64, many - lost);
        assert!(text.contains(&format!(" result=lost lines={lost} ")), "{text}");
        assert!(text.ends_with(" command=Stop\n"), "{text}");
    }
}
