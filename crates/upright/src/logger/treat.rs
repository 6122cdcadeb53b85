//! Outputs that are not written as they are. What is at the front of the pipe is looked at, treated and
//! written, and only then taken out of it: when the logger is killed nothing is lost and at most one look
//! is repeated. A message of capture mode that is not finished then is taken for output.

use super::destination::{Destination, Look};
use super::forward::Forwarder;
use super::run::Logger;
use super::serve::{discard, note, Step};
use super::source::Source;
use engine::logroute::{FromLogger, Said};
use engine::process::{Slot, Stream};
use engine::text::Text;
use engine::time::Mono;
use engine::treat::{State, Treatment};
use std::os::unix::net::UnixDatagram;
use sys::clock;
use sys::pipe::PEEK_MAX;

/// How much is told at once.
const PART_MAX: usize = 16 * 1024;

/// A line for syslog that is longer is broken there.
const SYSLOG_MAX: usize = 2048;

/// User, informational. Source: syslog(3).
const PRIORITY: u8 = 14;

/// What is made of an output, and how far that has come.
pub struct Treat {
    /// How.
    pub how: Treatment,
    state: State,
    /// Treated and not written yet.
    pending: Vec<u8>,
    /// How many bytes at the front of the pipe that was made of.
    ahead: usize,
    /// A line for syslog that is not finished.
    line: Vec<u8>,
    /// What watchers are to be told.
    told: Vec<(Vec<u8>, Said)>,
}

impl Treat {
    /// Begins; nothing where nothing is made of it.
    pub fn new(how: Treatment) -> Option<Box<Treat>> {
        (!how.is_none()).then(|| {
            let (state, pending, line, told) = Default::default();
            Box::new(Treat { how, state, pending, ahead: 0, line, told })
        })
    }

    /// Goes on in another way.
    pub fn change(treat: &mut Option<Box<Treat>>, how: Treatment) {
        match treat {
            Some(treat) => treat.how = how,
            None => *treat = Treat::new(how),
        }
    }

    /// So many bytes were taken out of the front of the pipe by somebody else.
    pub fn dropped(&mut self, bytes: usize) {
        self.ahead = self.ahead.saturating_sub(bytes);
        if self.ahead == 0 {
            self.pending = Vec::new();
        }
    }

    fn feed(&mut self, label: &str, bytes: &[u8]) {
        let treated = self.state.feed(&self.how, bytes);
        let captured = treated.captured.into_iter().map(|message| (message, Said::Message));
        self.told.extend(captured);
        self.note(label, treated.log);
    }

    /// Takes what is to be written.
    fn note(&mut self, label: &str, log: Vec<u8>) {
        if self.how.syslog {
            self.line.extend_from_slice(&log);
            while let Some(end) = self
                .line
                .iter()
                .position(|byte| *byte == b'\n')
                .or_else(|| (self.line.len() >= SYSLOG_MAX).then_some(SYSLOG_MAX - 1))
            {
                let line: Vec<u8> = self.line.drain(..=end).collect();
                to_syslog(label, line.strip_suffix(b"\n").unwrap_or(&line));
            }
        }
        if self.how.events && !log.is_empty() {
            self.told.push((log.clone(), Said::Log));
        }
        self.pending.extend(log);
    }

    fn end(&mut self, label: &str) {
        let held = self.state.end(&self.how);
        self.note(label, held);
        if !self.line.is_empty() {
            to_syslog(label, &std::mem::take(&mut self.line));
        }
    }
}

/// Sends a line as the original does: the process's name before it. Where nobody listens it is in the log
/// file alone. Source: Supervisor 4.3.0, `handle_syslog`; RFC 3164.
fn to_syslog(label: &str, line: &[u8]) {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let Ok(socket) = UnixDatagram::unbound() else { return };
    let moment = clock::moment(clock::wall().as_secs());
    let month = usize::try_from(moment.day.month).ok().and_then(|month| month.checked_sub(1));
    let month = month.and_then(|month| MONTHS.get(month)).copied().unwrap_or("Jan");
    let (day, hour) = (moment.day.day, moment.clock.hour);
    let (minute, second) = (moment.clock.minute, moment.second);
    let stamp = format!("{month} {day:2} {hour:02}:{minute:02}:{second:02}");
    let head = match label.rsplit(':').next() {
        // The daemon's own line.
        None | Some("") => format!("<{PRIORITY}>{stamp} supervisord: "),
        Some(process) => format!("<{PRIORITY}>{stamp} supervisord: {process} "),
    };
    let _ = socket.set_nonblocking(true);
    let _ = socket.send_to(&[head.as_bytes(), line].concat(), "/dev/log");
}

/// Gives an output its turn.
pub fn treated(
    source: &mut Source,
    file: Option<&mut Destination>,
    forwarder: &mut Forwarder,
    look: &mut Look,
    now: Mono,
) -> Step {
    let Some(mut treat) = source.treat.take() else { return Step::Waits };
    let step = step(source, &mut treat, file, forwarder, look, now);
    source.treat = Some(treat);
    step
}

fn step(
    source: &mut Source,
    treat: &mut Treat,
    file: Option<&mut Destination>,
    forwarder: &mut Forwarder,
    look: &mut Look,
    now: Mono,
) -> Step {
    let mut over = false;
    if treat.ahead == 0 && treat.pending.is_empty() {
        let before = treat.pending.len();
        match look.peek.look(&source.fd, PEEK_MAX, &mut look.seen) {
            Ok(()) if look.seen.is_empty() => {
                over = true;
                treat.end(&source.label);
            }
            Ok(()) => {
                treat.feed(&source.label, &look.seen);
                treat.ahead = look.seen.len();
            }
            Err(_) => return Step::Empty,
        }
        if let Some(mut partial) = source.partial.take() {
            let fresh = treat.pending.get(before..).unwrap_or_default();
            forwarder.feed(source.prefix(), &mut partial, fresh);
            forwarder.flush();
            source.partial = Some(partial);
        }
    }
    if let Some(file) = file {
        if file.fault.is_some() {
            return Step::Waits;
        }
        if !treat.pending.is_empty() {
            let written = file.rotate_if_full(now).map_err(|errno| (errno, 0));
            match written.and_then(|()| file.append(&treat.pending)) {
                Ok(taken) => note(source, taken),
                Err((errno, written)) => {
                    treat.pending.drain(..written.min(treat.pending.len()));
                    return Step::Fault(errno);
                }
            }
        }
    }
    treat.pending = Vec::new();
    let taken = discard(source, look, std::mem::take(&mut treat.ahead));
    match over {
        true => Step::End,
        false => Step::Moved(taken),
    }
}

impl Logger {
    /// Tells the daemon what an output said.
    pub(super) fn tell_said(&mut self, id: u32) {
        let Some(source) = self.sources.row_mut(id) else { return };
        let (slot, stream) = (source.slot, source.stream);
        let Some(treat) = &mut source.treat else { return };
        for (bytes, kind) in std::mem::take(&mut treat.told) {
            self.tell_parts(slot, stream, &bytes, kind);
        }
    }

    fn tell_parts(&mut self, slot: Slot, stream: Stream, bytes: &[u8], kind: Said) {
        let Some(daemon) = &mut self.daemon else { return };
        let mut rest = bytes;
        loop {
            let (part, after) = rest.split_at(rest.len().min(PART_MAX));
            let kind = match (kind, after.is_empty()) {
                (Said::Message | Said::Part, false) => Said::Part,
                (kind, _) => kind,
            };
            daemon.tell(&FromLogger::Said { slot, stream, said: Text::from(part), kind });
            if after.is_empty() {
                return;
            }
            rest = after;
        }
    }
}
