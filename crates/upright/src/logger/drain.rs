//! The barrier: what was in a pipe when asked is written; and the end, which is one for every pipe.

use super::run::Logger;
use super::serve::{Step, TURN};
use super::tail::TAIL_MAX;
use engine::logroute::FromLogger;
use engine::process::{Slot, Stream};
use engine::text::Text;
use engine::time::Span;
use sys::pipe::{self, PEEK_MAX};

/// How many helpings one barrier takes at most. A helping may be a single line near a rotation.
const HELPINGS: usize = 64 * 1024;

/// How long the end waits for whoever reads standard output.
const LAST_LINES: Span = Span::secs(1);

impl Logger {
    /// Writes what is in the slot's pipe now and answers with its last bytes.
    ///
    /// Where its file cannot be written the answer comes at once, with the last bytes of what waits.
    pub(super) fn drain(&mut self, slot: Slot, wanted: u32) {
        // What the keeper said before is heard before, though it came by another way.
        self.hear_keeper();
        let wanted = usize::try_from(wanted).unwrap_or(TAIL_MAX).min(TAIL_MAX);
        for stream in Stream::ALL {
            if let Some(id) = self.by_slot.get(&(slot, stream)).copied() {
                self.write_all(id);
            }
        }
        // What went wrong is said on standard error, where that is a stream of its own.
        let tail = Stream::ALL.into_iter().rev().map(|stream| self.tail_of(slot, stream, wanted));
        let tail = tail.into_iter().find(|tail| !tail.is_empty()).unwrap_or_default();
        if let Some(daemon) = &mut self.daemon {
            daemon.tell(&FromLogger::Drained { slot, tail: Text::from(tail) });
        }
    }

    fn tail_of(&self, slot: Slot, stream: Stream, wanted: usize) -> Vec<u8> {
        match self.by_slot.get(&(slot, stream)).copied() {
            Some(id) => self.last_bytes(id, wanted),
            None => self.last_bytes_of_gone(slot, stream, wanted),
        }
    }

    /// Writes what is left in every pipe, as much as there is now, and what waits for others.
    pub(super) fn finish(&mut self) {
        // What the daemon said before it told the keeper to end.
        self.hear_daemon();
        self.retry_all();
        for id in self.sources.numbers() {
            self.write_all(id);
        }
        for id in self.sources.numbers() {
            let Some(source) = self.sources.row_mut(id) else { continue };
            if let Some(mut partial) = source.partial.take() {
                self.forwarders.of(source.forward).end(source.prefix(), &mut partial);
                source.partial = Some(partial);
            }
        }
        self.write_out_within(LAST_LINES);
    }

    /// Writes what is in a source's pipe now.
    pub(super) fn write_all(&mut self, id: u32) {
        let Some(source) = self.sources.row(id) else { return };
        let mut left = pipe::readable(&source.fd).unwrap_or(0);
        // One more than needed finds the end, so that it is told now.
        for _ in 0..HELPINGS {
            match self.step(id, left.clamp(1, TURN)) {
                Step::Moved(length) => left = left.saturating_sub(length),
                Step::Empty | Step::Waits => return,
                Step::End => return self.end(id),
                Step::Fault(errno) => return self.fail(id, errno),
            }
            if left == 0 {
                return;
            }
        }
    }

    fn last_bytes(&self, id: u32, wanted: usize) -> Vec<u8> {
        let Some(source) = self.sources.row(id) else { return Vec::new() };
        let file = source.file.and_then(|number| self.files.row(number));
        let mut tail = match (file, &source.partial) {
            (Some(file), _) => source.tail.read(file.file.path.bytes(), wanted),
            (None, Some(partial)) => partial.last.clone(),
            (None, None) => Vec::new(),
        };
        let waits = match file {
            Some(file) => file.fault.is_some(),
            None => true,
        };
        let mut seen = Vec::new();
        if waits && self.look.peek.look(&source.fd, PEEK_MAX, &mut seen).is_ok() {
            tail.extend_from_slice(&source.pending);
            tail.extend_from_slice(&seen);
        }
        last(tail, wanted)
    }

    fn last_bytes_of_gone(&self, slot: Slot, stream: Stream, wanted: usize) -> Vec<u8> {
        let mut gone = self.gone.iter().rev();
        let Some(gone) = gone.find(|gone| (gone.slot, gone.stream) == (slot, stream)) else {
            return Vec::new();
        };
        match &gone.path {
            Some(path) => gone.tail.read(path.bytes(), wanted),
            None => last(gone.last.clone(), wanted),
        }
    }
}

fn last(mut bytes: Vec<u8>, wanted: usize) -> Vec<u8> {
    bytes.drain(..bytes.len().saturating_sub(wanted));
    bytes
}
