//! What processes use of memory and of the processor, as `/proc` says.

use engine::process::Pid;
use std::collections::BTreeMap;
use sys::procfs::{self, Stat, TICKS};

/// Of a machine with more processes than this only those are looked at that are asked about.
const PROCESSES_MAX: usize = 32 * 1024;

/// What a process, or several together, use.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Resident memory in bytes. What several share is counted for each.
    pub memory: u64,
    /// Processor time in clock ticks, of children that were waited for as well.
    pub ticks: u64,
    /// How many there are.
    pub processes: u64,
    /// When the first began, in seconds since the machine began.
    pub began: f64,
}

impl Usage {
    /// Adds what another uses.
    pub fn with(self, other: Usage) -> Usage {
        Usage {
            memory: self.memory.saturating_add(other.memory),
            ticks: self.ticks.saturating_add(other.ticks),
            processes: self.processes + other.processes,
            began: self.began.min(other.began),
        }
    }

    /// Returns the processor time in seconds.
    pub fn seconds(&self) -> f64 {
        seconds(self.ticks)
    }
}

/// Returns clock ticks in seconds.
pub fn seconds(ticks: u64) -> f64 {
    ticks as f64 / TICKS as f64
}

/// All processes at one moment.
pub struct Census(BTreeMap<Pid, Stat>);

impl Census {
    /// Looks at all processes; where there are too many, at these alone.
    pub fn take(asked: &[Pid]) -> Census {
        let mut all = procfs::all();
        if all.len() > PROCESSES_MAX {
            all = asked.to_vec();
        }
        Census(all.into_iter().filter_map(|pid| Some((pid, procfs::stat(pid)?))).collect())
    }

    /// Returns what each of these uses together with the processes that descend from it, up to the
    /// next that is asked about itself. Those that cannot be seen are missing.
    pub fn usage(&self, asked: &[Pid]) -> BTreeMap<Pid, Usage> {
        let page = procfs::page_size();
        let mut found: BTreeMap<Pid, Usage> = BTreeMap::new();
        for pid in asked {
            if let Some(stat) = self.0.get(pid) {
                found.insert(*pid, Usage { began: seconds(stat.start_time), ..Usage::default() });
            }
        }
        for stat in self.0.values() {
            let Some(usage) = self.owner(stat, &found).and_then(|pid| found.get_mut(&pid)) else {
                continue;
            };
            usage.memory = usage.memory.saturating_add(stat.resident.saturating_mul(page));
            usage.ticks = usage.ticks.saturating_add(stat.ticks).saturating_add(stat.waited);
            usage.processes += 1;
        }
        found
    }

    /// Returns what a process uses without those that descend from it.
    pub fn alone(&self, pid: Pid) -> Option<Usage> {
        let stat = self.0.get(&pid)?;
        let memory = stat.resident.saturating_mul(procfs::page_size());
        let began = seconds(stat.start_time);
        Some(Usage { memory, ticks: stat.ticks, processes: 1, began })
    }

    /// Returns the nearest of those asked about that a process is or descends from.
    fn owner(&self, stat: &Stat, asked: &BTreeMap<Pid, Usage>) -> Option<Pid> {
        let mut at = stat;
        // The table was not taken at one moment: a ring must not hold us.
        for _ in 0..self.0.len() {
            if asked.contains_key(&at.pid) {
                return Some(at.pid);
            }
            at = self.0.get(&at.ppid)?;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: Pid, ppid: Pid) -> (Pid, Stat) {
        let own = procfs::stat(Pid::try_from(std::process::id()).unwrap()).unwrap();
        let stat = Stat { pid, ppid, ticks: 7, waited: 3, resident: 2, start_time: 300, ..own };
        (pid, stat)
    }

    #[test]
    fn descendants_count_for_the_nearest_that_is_asked_about() {
        let rows = [(1, 0), (2, 1), (3, 2), (4, 3), (5, 1), (8, 9), (9, 8)];
        let census = Census(rows.into_iter().map(|(pid, ppid)| process(pid, ppid)).collect());
        let usage = census.usage(&[2, 4, 77]);
        assert_eq!(usage.keys().copied().collect::<Vec<Pid>>(), [2, 4]);
        let memory = 4 * procfs::page_size();
        assert_eq!(usage[&2], Usage { memory, ticks: 20, processes: 2, began: 3.0 });
        assert_eq!(usage[&4].processes, 1);
    }

    #[test]
    fn the_own_process_is_seen_to_use_memory() {
        let own = Pid::try_from(std::process::id()).unwrap();
        let usage = Census::take(&[own]).usage(&[own]);
        assert!(usage[&own].memory > 0 && usage[&own].began > 0.0, "{usage:?}");
    }
}
