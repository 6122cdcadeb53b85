//! Processes that jobs left behind: whose they are, and how they are ended. What cannot be
//! attributed is never touched.

use engine::machine::Candidate;
use engine::names::{InstanceName, JobName};
use engine::process::Pid;
use engine::signal::Signal;
use std::collections::BTreeSet;
use sys::procfs::{self, Stat};

/// A look at all processes at one moment, shared by everything that one turn asks.
pub struct Census {
    all: Vec<Stat>,
}

/// Whose processes are looked for.
pub struct Subject<'a> {
    /// The job.
    pub job: &'a JobName,
    /// The instance.
    pub instance: &'a InstanceName,
    /// What every process of this Upright has in its environment (`UPSTART_SESSION=...`).
    pub forced: &'a [engine::text::Text],
    /// Processes that are somebody's: slots of this and other jobs, and our own.
    pub known: &'a BTreeSet<Pid>,
}

impl Census {
    /// Looks at all processes.
    pub fn take() -> Census {
        let mut all: Vec<Stat> = procfs::all().into_iter().filter_map(procfs::stat).collect();
        all.sort_by_key(|stat| (stat.start_time, stat.pid));
        Census { all }
    }

    /// Returns what the original of a job left behind: the keeper's new children that are of its
    /// session or carry the job's name, oldest first.
    pub fn left_by(&self, original: Pid, keeper: Pid, subject: &Subject<'_>) -> Vec<Candidate> {
        let orphans = self.all.iter().filter(|stat| {
            stat.ppid == keeper && !subject.known.contains(&stat.pid) && stat.state != b'Z'
        });
        let theirs = orphans.filter(|stat| {
            stat.session == original || stat.pgrp == original || subject.owns(stat.pid)
        });
        theirs
            .map(|stat| Candidate { pid: stat.pid, session: stat.session, parent: stat.ppid })
            .collect()
    }

    /// Returns every living process of a job that no slot has: those that carry its name, and
    /// their descendants. Never one of another login session than Upright's.
    pub fn left_over(&self, subject: &Subject<'_>) -> Vec<Pid> {
        let mut found: BTreeSet<Pid> = BTreeSet::new();
        let ours = login_session(std::process::id() as Pid);
        for stat in self.all.iter().filter(|stat| stat.state != b'Z') {
            let mine = found.contains(&stat.ppid) || subject.owns(stat.pid);
            if mine && !subject.known.contains(&stat.pid) && login_session(stat.pid) == ours {
                found.insert(stat.pid);
            }
        }
        found.into_iter().collect()
    }
}

impl Subject<'_> {
    /// Reports whether a process carries the job's name in its environment.
    fn owns(&self, pid: Pid) -> bool {
        let Some(env) = procfs::environ(pid) else { return false };
        let has = |key: &[u8], value: &[u8]| {
            env.iter().any(|row| row.strip_prefix(key).is_some_and(|found| found == value))
        };
        has(b"UPSTART_JOB=", self.job.text().bytes())
            && has(b"UPSTART_INSTANCE=", self.instance.text().bytes())
            && self.forced.iter().all(|forced| env.iter().any(|row| row == forced.bytes()))
    }
}

/// Returns the audit session of a process; none where the kernel keeps no such record.
fn login_session(pid: Pid) -> Option<Vec<u8>> {
    std::fs::read(format!("/proc/{pid}/sessionid")).ok()
}

/// Signals processes by number, each first opened and looked at again, so that a number that has
/// become another's is left alone.
pub fn signal_all(pids: &[Pid], subject: &Subject<'_>, signal: Signal) {
    for pid in pids {
        let Ok(opened) = sys::pidfd::open(*pid) else { continue };
        if subject.owns(*pid) || procfs::stat(*pid).is_some() {
            // An error means that it has ended meanwhile.
            let _ = sys::pidfd::send(&opened, signal);
        }
    }
}
