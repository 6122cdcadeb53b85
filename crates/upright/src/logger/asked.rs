//! What readers of logs ask for: a file opened, a file emptied, and how much has come.
//!
//! They may not open files themselves, and the daemon that speaks for them does not wait for a disk.

use super::run::Logger;
use super::source::Source;
use engine::logroute::{Count, FromLogger, COUNTS_MAX};
use engine::process::{InstanceId, Stream};
use engine::text::Text;
use std::collections::BTreeMap;
use sys::{logfile, Errno};

/// Of how many outputs that have ended it is remembered what came.
const PAST_MAX: usize = 4096;

/// How much came of outputs, whose pipes have ended, by what they are called.
#[derive(Default)]
pub struct Past(BTreeMap<(Box<str>, Stream), (u64, u64)>);

impl Past {
    /// Adds what came of a source that ends.
    pub fn count(&mut self, source: &Source) {
        if source.slot.instance == InstanceId::NONE || (source.taken, source.dropped) == (0, 0) {
            return;
        }
        let key = (source.label.clone(), source.stream);
        if self.0.len() >= PAST_MAX && !self.0.contains_key(&key) {
            self.0.pop_first();
        }
        let sum = self.0.entry(key).or_default();
        sum.0 = sum.0.saturating_add(source.taken);
        sum.1 = sum.1.saturating_add(source.dropped);
    }
}

impl Logger {
    /// Answers with the file of that path, opened for reading.
    pub(super) fn open(&mut self, number: u64, path: &Text) {
        self.catch_up(path);
        let mut opened = logfile::open_to_read(path.bytes());
        let full = matches!(opened, Err(Errno::MFILE | Errno::NFILE | Errno::NOMEM));
        if full && self.close_some(16) {
            opened = logfile::open_to_read(path.bytes());
        }
        let (errno, file) = match opened {
            Ok((file, _)) => (0, Some(file)),
            Err(errno) => (errno.raw_os_error(), None),
        };
        if let Some(daemon) = &mut self.daemon {
            daemon.tell_with(&FromLogger::Opened { number, errno }, file);
        }
    }

    /// Empties the file of that path; one that is not there is empty.
    pub(super) fn clear(&mut self, number: u64, path: &Text) {
        self.catch_up(path);
        let errno = match logfile::clear(path.bytes()) {
            Ok(()) | Err(Errno::NOENT) => 0,
            Err(errno) => errno.raw_os_error(),
        };
        if let Some(daemon) = &mut self.daemon {
            daemon.tell(&FromLogger::Cleared { number, errno });
        }
    }

    /// Writes what is in the pipes of a file, so that who asks finds what was written before.
    fn catch_up(&mut self, path: &Text) {
        // What the keeper said before is heard before, though it came by another way.
        self.hear_keeper();
        let file = self.by_path.get(path).and_then(|number| self.files.row(*number));
        let sources = file.map(|file| file.sources.clone()).unwrap_or_default();
        sources.into_iter().for_each(|id| self.write_all(id));
    }

    /// Answers with how much came of every output.
    pub(super) fn count(&mut self, number: u64) {
        let mut sums = self.past.0.clone();
        let mut sizes: BTreeMap<(Box<str>, Stream), u64> = BTreeMap::new();
        for id in self.sources.numbers() {
            let Some(source) =
                self.sources.row(id).filter(|source| source.slot.instance != InstanceId::NONE)
            else {
                continue;
            };
            let key = (source.label.clone(), source.stream);
            let file = source.file.and_then(|number| self.files.row(number));
            let state = file.and_then(|file| logfile::state_of(file.file.path.bytes()).ok());
            sizes.extend(state.map(|state| (key.clone(), state.size)));
            let sum = sums.entry(key).or_default();
            sum.0 = sum.0.saturating_add(source.taken);
            sum.1 = sum.1.saturating_add(source.dropped);
        }
        let Some(daemon) = &mut self.daemon else { return };
        let rows = sums.into_iter().map(|(key, (taken, dropped))| {
            let size = sizes.get(&key).copied();
            Count { label: key.0.into_string(), stream: key.1, taken, dropped, size }
        });
        let rows: Vec<Count> = rows.collect();
        for rows in rows.chunks(COUNTS_MAX) {
            daemon.tell(&FromLogger::Counted { number, rows: rows.to_vec() });
        }
        daemon.tell(&FromLogger::Counted { number, rows: Vec::new() });
    }
}
