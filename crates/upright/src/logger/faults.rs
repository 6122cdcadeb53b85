//! Files that cannot be written: output is kept in its pipe, then dropped or waited with, and the
//! file is tried again.

use super::destination::Fault;
use super::run::{Logger, Timer};
use super::serve::{discard, Step, TURN};
use super::source::{Kind, Watch};
use super::{say, words};
use engine::logroute::FromLogger;
use engine::spec::OnFull;
use engine::time::Span;
use sys::{pipe, Errno};

/// How long after a failed write the next one is tried.
pub const RETRY: Span = Span::secs(1);

/// How many files are tried at once; the others at the next time.
const RETRY_MAX: usize = 256;

/// How many turns one source has when its file is tried again: enough for a grown pipe.
const KEPT_TURNS: usize = 16;

/// How many pipes without a writer are kept for one file; beyond, the oldest output is dropped. A job
/// that is respawned for ever on a read-only disk would leave pipes for ever.
const ENDED_MAX: usize = 16;

impl Logger {
    /// Notes that the file of a source cannot be written.
    pub(super) fn fail(&mut self, id: u32, errno: Errno) {
        let Some(source) = self.sources.row(id) else { return };
        let Some(number) = source.file else { return };
        let Some(file) = self.files.row_mut(number) else { return };
        if file.fault.is_none() {
            let so = match file.file.on_full {
                OnFull::Drop => "output that does not fit into its pipe is dropped until it can",
                OnFull::Block => "the job waits with its output until it can",
            };
            let (label, path, why) = (&source.label, &file.file.path, words(errno));
            say(&format!("{label}: log {path}: cannot be written: {why}; {so}"));
            file.fault = Some(Box::new(Fault { errno, dropped: 0 }));
        }
        self.faulty.insert(number);
        self.schedule(RETRY, Timer::Retry);
        self.tell_trouble(id);
        let sources = self.files.row(number).map(|file| file.sources.clone()).unwrap_or_default();
        for other in sources {
            self.rearm(other, Watch::Edge);
        }
    }

    /// Keeps the output of a source whose file cannot be written, or drops the older half of it
    /// where its pipe may be full and the job shall not wait.
    pub(super) fn hold(&mut self, id: u32) {
        let Logger { sources, files, look, .. } = self;
        let Some(source) = sources.row_mut(id) else { return };
        let Some(file) = source.file.and_then(|number| files.row_mut(number)) else { return };
        let Some(fault) = &mut file.fault else { return };
        let there = pipe::readable(&source.fd).unwrap_or(0);
        // Writes of a little more than half a page fill a pipe with half of what it could hold. The
        // job may have changed its size.
        let capacity = pipe::capacity(&source.fd).unwrap_or(source.capacity as usize);
        let full = there >= capacity / 2;
        match (file.file.on_full, source.kind) {
            (OnFull::Block, _) => {}
            (OnFull::Drop, Kind::Pipe) if full => {
                let dropped = discard(source, look, there / 2);
                source.dropped += dropped as u64;
                fault.dropped += dropped as u64;
                if let Some(partial) = &mut source.partial {
                    partial.ahead = partial.ahead.saturating_sub(dropped);
                }
                if let Some(treat) = &mut source.treat {
                    treat.dropped(dropped);
                }
            }
            (OnFull::Drop, Kind::Terminal) if there > 0 => {
                source.dropped += source.pending.len() as u64;
                fault.dropped += source.pending.len() as u64;
                source.pending = Vec::new();
            }
            (OnFull::Drop, Kind::Pipe | Kind::Terminal) => {}
        }
        if source.ended {
            self.bound_ended(id);
        }
    }

    /// Drops the oldest output of a file that has too many pipes without a writer.
    fn bound_ended(&mut self, id: u32) {
        let Logger { sources, files, look, .. } = self;
        let number = sources.row(id).and_then(|source| source.file);
        let Some(file) = number.and_then(|number| files.row_mut(number)) else { return };
        let ended = |id: &&u32| sources.row(**id).is_some_and(|source| source.ended);
        let ended: Vec<u32> = file.sources.iter().filter(ended).copied().collect();
        let Some(oldest) = ended.first().filter(|_| ended.len() > ENDED_MAX).copied() else {
            return;
        };
        if let (Some(source), Some(fault)) = (sources.row_mut(oldest), &mut file.fault) {
            let there = pipe::readable(&source.fd).unwrap_or(0);
            let dropped = discard(source, look, there) as u64;
            source.dropped += dropped;
            fault.dropped += dropped;
        }
        self.tell_trouble(oldest);
        self.end(oldest);
    }

    /// Tries files again that could not be written, as many as are their turn.
    pub(super) fn retry_some(&mut self) {
        let behind = self.faulty.range(self.retry_from..);
        let all = behind.chain(self.faulty.range(..self.retry_from));
        let some: Vec<u32> = all.take(RETRY_MAX).copied().collect();
        for number in some {
            self.retry_from = number.saturating_add(1);
            self.retry(number);
        }
        if !self.faulty.is_empty() {
            self.schedule(RETRY, Timer::Retry);
        }
    }

    /// Tries every file again that could not be written.
    pub(super) fn retry_all(&mut self) {
        for number in self.faulty.clone() {
            self.retry(number);
        }
    }

    fn retry(&mut self, number: u32) {
        let Some(file) = self.files.row_mut(number) else {
            self.faulty.remove(&number);
            return;
        };
        let Some(fault) = file.fault.take() else {
            self.faulty.remove(&number);
            return;
        };
        let was_open = file.is_open();
        let mut failed = file.prepare().err();
        let mut dropped = fault.dropped;
        if failed.is_none() && dropped > 0 {
            let note = note(&fault, file.line_is_open());
            match file.append(note.as_bytes()) {
                // A note that was begun counts: it is not written twice.
                Ok(_) => dropped = 0,
                Err((errno, 0)) => failed = Some(errno),
                Err((errno, _)) => {
                    dropped = 0;
                    failed = Some(errno);
                }
            }
        }
        let mut sources = file.sources.clone();
        if !was_open && file.is_open() {
            self.note_opened(number);
        }
        sources.sort_by_key(|id| self.sources.row(*id).map(|source| source.slot.generation));
        if failed.is_none() {
            failed = sources.iter().find_map(|id| self.write_kept(*id));
        }
        match failed {
            Some(errno) => self.still_faulty(number, Fault { errno, dropped }, &sources),
            None => self.recover(number, &sources),
        }
    }

    /// Writes what a source kept, all of it: a disk with a little room is still a full disk.
    fn write_kept(&mut self, id: u32) -> Option<Errno> {
        for _ in 0..KEPT_TURNS {
            match self.step(id, TURN) {
                Step::Moved(_) => {}
                Step::Empty | Step::Waits | Step::End => return None,
                Step::Fault(errno) => return Some(errno),
            }
        }
        None
    }

    fn still_faulty(&mut self, number: u32, fault: Fault, sources: &[u32]) {
        if let Some(file) = self.files.row_mut(number) {
            file.fault = Some(Box::new(fault));
        }
        for id in sources {
            if self.sources.row(*id).is_some_and(|source| source.dropped != source.told) {
                self.tell_trouble(*id);
            }
        }
    }

    fn recover(&mut self, number: u32, sources: &[u32]) {
        self.faulty.remove(&number);
        if let Some(file) = self.files.row(number) {
            say(&format!("log {}: is written again", file.file.path));
        }
        for id in sources {
            let Some(source) = self.sources.row_mut(*id) else { continue };
            source.told = source.dropped;
            let message = FromLogger::Recovered { slot: source.slot, dropped: source.dropped };
            if let Some(daemon) = &mut self.daemon {
                daemon.tell(&message);
            }
            let usual = self.usual_watch(*id);
            self.rearm(*id, usual);
        }
    }

    /// Tells the daemon that output of a source cannot be written.
    pub(super) fn tell_trouble(&mut self, id: u32) {
        let Some(source) = self.sources.row_mut(id) else { return };
        let Some(file) = source.file.and_then(|number| self.files.row(number)) else { return };
        let Some(fault) = &file.fault else { return };
        source.told = source.dropped;
        let message = FromLogger::Trouble {
            slot: source.slot,
            path: file.file.path.clone(),
            errno: fault.errno.raw_os_error(),
            dropped: source.dropped,
        };
        if let Some(daemon) = &mut self.daemon {
            daemon.tell(&message);
        }
    }

    /// Tells a new daemon of everything that cannot be written.
    pub(super) fn tell_all_troubles(&mut self) {
        for number in self.faulty.clone() {
            let sources = self.files.row(number).map(|file| file.sources.clone());
            for id in sources.unwrap_or_default() {
                self.tell_trouble(id);
            }
        }
    }
}

/// Returns the line that stands where output is missing.
fn note(fault: &Fault, line_is_open: bool) -> String {
    let begin = if line_is_open { "\n" } else { "" };
    let (dropped, why) = (fault.dropped, words(fault.errno));
    format!("{begin}upright: {dropped} bytes of output were dropped here: {why}\n")
}
