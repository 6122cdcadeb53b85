//! Bytes from one source, as many as are its turn.

use super::destination::{Destination, Look, Taken};
use super::forward::{Forwarder, Partial, STUCK};
use super::pace::Next;
use super::run::{Logger, Timer};
use super::source::{Kind, Source, Watch, PIPE_DEFAULT, PIPE_GROWN};
use super::tail::TAIL_MAX;
use super::treat::treated;
use engine::time::{Mono, Span};
use std::os::fd::AsFd;
use sys::pipe::{self, PEEK_MAX};
use sys::Errno;

/// How many bytes of one source are moved in its turn.
pub const TURN: usize = 1024 * 1024;

/// How many bytes are read from a pseudo terminal at once; the kernel gives no more.
pub const TERMINAL_READ: usize = 4096;

/// How many pipes are grown at most: pipe memory belongs to the user, 64 MiB in all by default.
const GROWN_MAX: usize = 16;

/// A grown pipe that was never half full for this long is shrunk again.
const QUIET: Span = Span::secs(2);

/// How long an unfinished line that is forwarded only is left in its pipe, where a kill of the logger
/// cannot harm it. It cannot stay for ever: a pipe has few places, and a writer may fill them with
/// few bytes. Also how long lines wait there before standard output is looked at again.
const LINE_WAIT: Span = STUCK;

/// What became of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// That many bytes are out of the source.
    Moved(usize),
    /// It is empty.
    Empty,
    /// What is in it stays there until there is news.
    Waits,
    /// It is empty for good.
    End,
    /// Its file cannot be written.
    Fault(Errno),
}

impl Logger {
    /// Gives a source its turn.
    pub(super) fn serve(&mut self, id: u32, hangup: bool) {
        if let Some(source) = self.sources.row_mut(id) {
            source.ended |= hangup;
        }
        match self.step(id, TURN) {
            Step::Moved(length) => self.go_on(id, length),
            Step::Empty => {
                let usual = self.usual_watch(id);
                self.watch(id, usual);
            }
            Step::Waits => self.watch(id, Watch::Edge),
            Step::End => self.end(id),
            Step::Fault(errno) => self.fail(id, errno),
        }
    }

    /// Moves up to `most` bytes of a source.
    pub(super) fn step(&mut self, id: u32, most: usize) -> Step {
        let mut step = self.try_step(id, most);
        let full = matches!(step, Step::Fault(Errno::MFILE | Errno::NFILE | Errno::NOMEM));
        if full && self.close_some(16) {
            step = self.try_step(id, most);
        }
        if let (Step::Moved(length), Some(source)) = (step, self.sources.row_mut(id)) {
            source.taken += length as u64;
        }
        step
    }

    fn try_step(&mut self, id: u32, most: usize) -> Step {
        let Logger { sources, files, look, forwarders, stalled, timers, now, .. } = self;
        let Some(source) = sources.row_mut(id) else { return Step::Waits };
        let forwarder = forwarders.of(source.forward);
        let number = source.file;
        if source.treat.is_some() && source.kind == Kind::Pipe {
            let file = number.and_then(|number| files.row_mut(number));
            let was_open = file.as_ref().is_some_and(|file| file.is_open());
            let step = treated(source, file, forwarder, look, *now);
            return self.after_treating(id, number, was_open, step);
        }
        let Some(file) = number.and_then(|number| files.row_mut(number)) else {
            return match (source.kind, source.partial.take()) {
                (Kind::Pipe, None) => throw_away(source, look, most),
                (Kind::Pipe, Some(mut partial)) => {
                    let step = forward(source, &mut partial, forwarder, look);
                    if step == Step::Waits && forwarder.backlog() > 0 {
                        stalled.insert(id);
                    }
                    if step == Step::Waits && !partial.timed {
                        partial.timed = true;
                        timers.insert((*now + LINE_WAIT, Timer::Line(id)));
                    }
                    source.partial = Some(partial);
                    step
                }
                (Kind::Terminal, partial) => {
                    source.partial = partial;
                    read_terminal(source, forwarder).unwrap_or_else(|length| {
                        source.pending = Vec::new();
                        Step::Moved(length)
                    })
                }
            };
        };
        let was_open = file.is_open();
        let step = match source.kind {
            Kind::Pipe => write_pipe(source, file, forwarder, look, most, *now),
            Kind::Terminal => write_terminal(source, file, forwarder, *now),
        };
        let opened = !was_open && file.is_open();
        if let (true, Some(number)) = (opened, number) {
            self.note_opened(number);
        }
        if step == Step::Waits {
            self.hold(id);
        }
        step
    }

    fn after_treating(&mut self, id: u32, number: Option<u32>, was_open: bool, step: Step) -> Step {
        let file = number.and_then(|number| self.files.row(number));
        if let (Some(number), false, Some(true)) =
            (number, was_open, file.map(|file| file.is_open()))
        {
            self.note_opened(number);
        }
        self.tell_said(id);
        if step == Step::Waits {
            self.hold(id);
        }
        step
    }

    /// Decides how a source that was just served is watched next.
    fn go_on(&mut self, id: u32, length: usize) {
        let usual = self.usual_watch(id);
        let (now, room) = (self.now, self.grown.len() < GROWN_MAX);
        let Some(source) = self.sources.row_mut(id) else { return };
        if usual == Watch::Edge || source.kind == Kind::Terminal || source.ended {
            return self.rearm_if_edge(id, usual);
        }
        let full = length >= PIPE_DEFAULT as usize / 2;
        if full && source.capacity == PIPE_DEFAULT && room && source.partial.is_none() {
            // Refused (the user's pipe memory is used up): it goes on as it is.
            if let Ok(capacity) = pipe::set_capacity(&source.fd, PIPE_GROWN as usize) {
                source.capacity = u32::try_from(capacity).unwrap_or(PIPE_GROWN);
                self.note_grown(id);
            }
        }
        let Some(source) = self.sources.row_mut(id) else { return };
        match source.pace.moved(now, length, source.capacity as usize) {
            Next::Watch => self.watch(id, Watch::Level),
            Next::Pause(span) => {
                self.timers.insert((now + span, Timer::Resume(id)));
                self.watch(id, Watch::Paused);
            }
        }
    }

    fn rearm_if_edge(&mut self, id: u32, usual: Watch) {
        match usual {
            Watch::Edge => self.rearm(id, Watch::Edge),
            Watch::Level | Watch::Paused => self.watch(id, Watch::Level),
        }
    }

    /// Remembers a pipe that is larger than usual.
    pub(super) fn note_grown(&mut self, id: u32) {
        self.grown.push(id);
        self.schedule(QUIET, Timer::Quiet);
    }

    /// Shrinks pipes that were grown and are quiet; the timer goes on only as long as one is grown.
    pub(super) fn shrink_quiet(&mut self) {
        let now = self.now;
        let mut grown = std::mem::take(&mut self.grown);
        grown.retain(|id| {
            let Some(source) = self.sources.row_mut(*id) else { return false };
            if now.since(source.pace.busy()) < QUIET {
                return true;
            }
            match pipe::set_capacity(&source.fd, PIPE_DEFAULT as usize) {
                Ok(_) => source.capacity = PIPE_DEFAULT,
                // It holds more than that now.
                Err(_) => return true,
            }
            false
        });
        self.grown = grown;
        if !self.grown.is_empty() {
            self.schedule(QUIET, Timer::Quiet);
        }
    }

    /// Takes an unfinished line out of its pipe that was left there long enough.
    pub(super) fn take_partial(&mut self, id: u32) {
        let Logger { sources, forwarders, look, .. } = self;
        let Some(source) = sources.row_mut(id).filter(|source| source.file.is_none()) else {
            return;
        };
        let Some(mut partial) = source.partial.take() else { return };
        partial.timed = false;
        let forwarder = forwarders.of(source.forward);
        let waits = partial.ahead == 0 && forwarder.backlog() == 0;
        if waits && look.peek.look(&source.fd, PEEK_MAX, &mut look.seen).is_ok() {
            queue(source, &mut partial, forwarder, look);
            source.taken += discard(source, look, partial.ahead) as u64;
            partial.ahead = 0;
        }
        source.partial = Some(partial);
        self.serve(id, false);
    }
}

/// Moves bytes from a pipe to its file; lines that are forwarded, too, are looked at before.
fn write_pipe(
    source: &mut Source,
    file: &mut Destination,
    forwarder: &mut Forwarder,
    look: &mut Look,
    mut most: usize,
    now: Mono,
) -> Step {
    // A file is opened by its first byte, and an end is no byte.
    if source.ended || !file.is_open() {
        match pipe::readable(&source.fd) {
            Ok(0) if source.ended => return Step::End,
            Ok(0) => return Step::Empty,
            Ok(_) => {}
            Err(_) => return Step::End,
        }
    }
    if let Some(mut partial) = source.partial.take() {
        let looked = look.peek.look(&source.fd, PEEK_MAX, &mut look.seen);
        let fresh = look.seen.get(partial.ahead..).unwrap_or_default();
        forwarder.feed(source.prefix(), &mut partial, if looked.is_ok() { fresh } else { &[] });
        forwarder.flush();
        if looked.is_ok() {
            partial.ahead = partial.ahead.max(look.seen.len());
            most = most.min(look.seen.len());
        }
        source.partial = Some(partial);
        match looked {
            Ok(()) if look.seen.is_empty() => return Step::End,
            Ok(()) => {}
            Err(_) => return Step::Empty,
        }
    }
    if file.fault.is_some() {
        return Step::Waits;
    }
    match file.take(source.fd.as_fd(), most, look, now) {
        Ok(Taken { length: 0, .. }) => Step::End,
        Ok(taken) => {
            note(source, taken);
            Step::Moved(taken.length)
        }
        Err(Errno::AGAIN) => Step::Empty,
        Err(errno) => Step::Fault(errno),
    }
}

/// Notes where bytes of a source were written.
pub fn note(source: &mut Source, taken: Taken) {
    source.tail.wrote(taken.device, taken.inode, taken.at, taken.length as u64);
    if let Some(partial) = &mut source.partial {
        partial.ahead = partial.ahead.saturating_sub(taken.length);
    }
}

/// Reads from a pseudo terminal and writes what was read; what could not be written stays pending.
fn write_terminal(
    source: &mut Source,
    file: &mut Destination,
    forwarder: &mut Forwarder,
    now: Mono,
) -> Step {
    if file.fault.is_some() && !source.pending.is_empty() {
        return Step::Waits;
    }
    if source.pending.is_empty() {
        if let Ok(step) = read_terminal(source, forwarder) {
            return step;
        }
    }
    if file.fault.is_some() {
        return Step::Waits;
    }
    let pending = std::mem::take(&mut source.pending);
    let failed = match file.rotate_if_full(now).map_err(|errno| (errno, 0)) {
        Ok(()) => match file.append(&pending) {
            Ok(taken) => {
                note(source, taken);
                return Step::Moved(taken.length);
            }
            Err(failed) => failed,
        },
        Err(failed) => failed,
    };
    let (errno, written) = failed;
    source.pending = pending.get(written..).unwrap_or_default().to_vec();
    Step::Fault(errno)
}

/// Reads what is pending next; `Err` is how much that is.
fn read_terminal(source: &mut Source, forwarder: &mut Forwarder) -> Result<Step, usize> {
    let mut buffer = [0; TERMINAL_READ];
    match pipe::read(&source.fd, &mut buffer) {
        Ok(0) => Ok(Step::End),
        Ok(length) => {
            let bytes = buffer.get(..length).unwrap_or_default();
            source.pending = bytes.to_vec();
            if let Some(mut partial) = source.partial.take() {
                forwarder.feed(source.prefix(), &mut partial, bytes);
                forwarder.flush();
                remember(&mut partial.last, bytes);
                source.partial = Some(partial);
            }
            Err(length)
        }
        Err(Errno::AGAIN) => Ok(Step::Empty),
        // The last process that had it open is gone.
        Err(_) => Ok(Step::End),
    }
}

/// Forwards complete lines of a pipe that has no file: they are written first and taken after, so
/// that after a kill at most one look is repeated.
fn forward(
    source: &mut Source,
    partial: &mut Partial,
    forwarder: &mut Forwarder,
    look: &mut Look,
) -> Step {
    let half = source.capacity as usize / 2;
    // Lines wait in the pipe for standard output, and the job with them. Where nobody reads it, they
    // wait in memory once the pipe may be full, and then they are dropped.
    let blocked = |forwarder: &Forwarder, source: &Source| {
        let full = || pipe::readable(&source.fd).unwrap_or(0) >= half;
        forwarder.backlog() > 0 && !source.ended && !(forwarder.is_stuck() && full())
    };
    if blocked(forwarder, source) {
        return Step::Waits;
    }
    if partial.ahead == 0 {
        match look.peek.look(&source.fd, PEEK_MAX, &mut look.seen) {
            Ok(()) if look.seen.is_empty() => return Step::End,
            Ok(()) => {}
            Err(Errno::AGAIN) => return Step::Empty,
            Err(_) => return Step::End,
        }
        match look.seen.iter().rposition(|byte| *byte == b'\n') {
            Some(last) => look.seen.truncate(last + 1),
            None if source.ended || look.seen.len() >= half => {}
            None => return Step::Waits,
        }
        queue(source, partial, forwarder, look);
        forwarder.flush();
        if blocked(forwarder, source) {
            return Step::Waits;
        }
    }
    Step::Moved(discard(source, look, std::mem::take(&mut partial.ahead)))
}

/// Queues the bytes that were seen; they are still in the pipe.
fn queue(source: &Source, partial: &mut Partial, forwarder: &mut Forwarder, look: &Look) {
    forwarder.feed(source.prefix(), partial, &look.seen);
    remember(&mut partial.last, &look.seen);
    partial.ahead = look.seen.len();
}

fn throw_away(source: &mut Source, look: &mut Look, most: usize) -> Step {
    match pipe::readable(&source.fd) {
        Ok(0) | Err(_) if source.ended => Step::End,
        Ok(0) | Err(_) => Step::Empty,
        Ok(there) => Step::Moved(discard(source, look, there.min(most))),
    }
}

/// Takes bytes that are in a pipe out of it, and returns how many it took.
pub fn discard(source: &Source, look: &Look, length: usize) -> usize {
    look.peek.take_out(&source.fd, length).unwrap_or(0)
}

fn remember(last: &mut Vec<u8>, bytes: &[u8]) {
    let bytes = bytes.get(bytes.len().saturating_sub(TAIL_MAX)..).unwrap_or_default();
    let spare = (last.len() + bytes.len()).saturating_sub(TAIL_MAX);
    last.drain(..spare.min(last.len()));
    last.extend_from_slice(bytes);
}
