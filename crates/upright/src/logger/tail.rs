//! The last bytes of one process's output, read back from where they were written: the file has
//! them already, so nothing is copied while output flows.

use super::rotation;
use std::os::fd::OwnedFd;
use sys::logfile;

/// The longest tail in bytes.
pub const TAIL_MAX: usize = 2048;

/// How many stretches are remembered at most, where several processes write to one file by turns.
const RUNS_MAX: usize = 16;

/// Where the last bytes of one process are.
#[derive(Debug, Default)]
pub struct Tail {
    /// Oldest first; one, as long as nobody else writes to the file.
    runs: Vec<Run>,
}

#[derive(Debug)]
struct Run {
    device: u64,
    inode: u64,
    start: u64,
    end: u64,
}

impl Tail {
    /// Notes that `length` bytes were written at `at`.
    pub fn wrote(&mut self, device: u64, inode: u64, at: u64, length: u64) {
        if let Some(last) = self.runs.last_mut() {
            if last.end == at && last.inode == inode && last.device == device {
                last.end = at + length;
                return;
            }
            // The file was cut by somebody: what was at those places is gone.
            if last.inode == inode && last.device == device && at < last.end {
                self.runs.clear();
            }
        }
        let enough = |runs: &[Run]| runs.iter().map(|run| run.end - run.start).sum::<u64>();
        while self.runs.len() >= RUNS_MAX
            || self.runs.get(1..).is_some_and(|rest| enough(rest) >= TAIL_MAX as u64)
        {
            self.runs.remove(0);
        }
        self.runs.reserve_exact(1);
        self.runs.push(Run { device, inode, start: at, end: at + length });
    }

    /// Returns up to `wanted` of the last bytes, as far as they are still in `path` or `path.1`.
    pub fn read(&self, path: &[u8], wanted: usize) -> Vec<u8> {
        let mut wanted = wanted.min(TAIL_MAX);
        let mut files = Vec::new();
        for name in [path.to_vec(), rotation::name(path, 1)] {
            files.extend(logfile::open_to_read(&name));
        }
        let mut parts = Vec::new();
        for run in self.runs.iter().rev() {
            let part = run.read(&files, wanted);
            let short = part.is_empty();
            wanted -= part.len();
            parts.push(part);
            if wanted == 0 || short {
                break;
            }
        }
        parts.reverse();
        parts.concat()
    }
}

impl Run {
    fn read(&self, files: &[(OwnedFd, logfile::State)], wanted: usize) -> Vec<u8> {
        let same = |state: &logfile::State| {
            state.inode == self.inode && state.device == self.device && state.size >= self.end
        };
        let Some((file, _)) = files.iter().find(|(_, state)| same(state)) else {
            return Vec::new();
        };
        let length = (self.end - self.start).min(wanted as u64);
        let mut part = vec![0; usize::try_from(length).unwrap_or(0)];
        let read = logfile::read_at(file, &mut part, self.end - length).unwrap_or(0);
        part.truncate(read);
        part
    }
}
