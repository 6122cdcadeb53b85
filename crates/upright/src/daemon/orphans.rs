//! Processes that jobs left behind: whose they are, and how they are ended. What cannot be
//! attributed is never touched.

use crate::session::FIRST;
use engine::machine::Candidate;
use engine::names::{InstanceName, JobName};
use engine::process::Pid;
use engine::signal::Signal;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
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

/// What tells a daemon whose environment is gone: sshd, nginx and others write their titles over it
/// and leave every session and group they came from.
#[derive(Clone, Copy)]
pub struct Traces<'a> {
    /// Where the stack of the original began; nothing where it was gone too soon, or became another
    /// program since.
    pub stack: Option<u64>,
    /// What the job runs.
    pub command: &'a [u8],
}

/// A search for what the original of a job left behind.
pub struct Search<'a> {
    /// The original, which has ended.
    pub original: Pid,
    /// Whose children orphans become.
    pub keeper: Pid,
    /// Whose children those become whose parent is another than the keeper, where there may be such.
    pub foster: Option<Pid>,
    /// Nothing that is older is the job's. In clock ticks since boot.
    pub began: u64,
    /// What is known of this original.
    pub own: Traces<'a>,
    /// What is known of the others whose daemons are not known yet.
    pub others: Vec<Traces<'a>>,
}

impl Traces<'_> {
    /// Reports whether a process was the same program, without an exec between them.
    fn was(&self, stat: &Stat) -> bool {
        self.stack.is_some_and(|stack| stack != 0 && stack == stat.stack)
    }

    /// Reports whether the command names a program.
    fn names(&self, program: &[u8]) -> bool {
        let part = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-._".contains(byte);
        !program.is_empty() && self.command.split(|byte| !part(byte)).any(|word| word == program)
    }
}

impl Search<'_> {
    /// Reports whether a process that names no job can only be of this one: nobody else waits for a
    /// daemon, or this job's command alone names its program.
    fn may_have_left(&self, stat: &Stat) -> bool {
        let named = || procfs::environ(stat.pid).is_some_and(|env| names_a_job(&env));
        if stat.start_time < self.began || self.others.iter().any(|o| o.was(stat)) || named() {
            return false;
        }
        if procfs::is_ours(stat.pid) {
            return false;
        }
        let program = procfs::program(stat.pid).unwrap_or_default();
        let runs = |traces: &Traces<'_>| traces.names(&stat.comm) || traces.names(&program);
        self.others.is_empty() || (runs(&self.own) && !self.others.iter().any(runs))
    }
}

fn runs_our_program(pid: Pid) -> bool {
    let file = |of: &str| fs::metadata(format!("/proc/{of}/exe")).map(|m| (m.dev(), m.ino())).ok();
    file(&pid.to_string()).is_some_and(|its| file("self") == Some(its))
}

fn names_a_job(env: &[Vec<u8>]) -> bool {
    env.iter().any(|row| row.starts_with(b"UPSTART_JOB="))
}

impl Census {
    /// Looks at all processes but ours: the keeper may have started another logger just now, which
    /// nobody shall take for a job's.
    pub fn take(keeper: Pid) -> Census {
        let ours = |stat: &Stat| {
            stat.ppid == keeper && stat.comm.starts_with(b"upright-") && runs_our_program(stat.pid)
        };
        let all = procfs::all().into_iter().filter_map(procfs::stat);
        let mut all: Vec<Stat> = all.filter(|stat| !ours(stat)).collect();
        all.sort_by_key(|stat| (stat.start_time, stat.pid));
        Census { all }
    }

    /// Returns what the original of a job left behind, of the keeper's new children: those that are
    /// in its control group, whose `members` are given; only where there is none, those that are of
    /// its session, carry the job's name or were the same program, oldest first; and only where there
    /// is none of these, those that [`Search::may_have_left`].
    pub fn left_by(
        &self,
        search: &Search<'_>,
        subject: &Subject<'_>,
        members: &BTreeSet<Pid>,
    ) -> Vec<Candidate> {
        let orphans = self.all.iter().filter(|stat| {
            let orphan = stat.ppid == search.keeper || search.foster == Some(stat.ppid);
            orphan && !subject.known.contains(&stat.pid) && stat.state != b'Z'
        });
        // What an earlier run left is in it too, but older.
        let (grouped, orphans): (Vec<&Stat>, Vec<&Stat>) = orphans
            .partition(|stat| members.contains(&stat.pid) && stat.start_time >= search.began);
        let (theirs, others): (Vec<&Stat>, Vec<&Stat>) = orphans.into_iter().partition(|stat| {
            stat.session == search.original
                || stat.pgrp == search.original
                || search.own.was(stat)
                || subject.owns(stat.pid)
        });
        // Of the others only our own: elsewhere there are those of the whole machine.
        let others = others.into_iter().filter(|stat| stat.ppid == search.keeper);
        let nameless = others.filter(|stat| search.may_have_left(stat));
        let chosen = match (grouped.is_empty(), theirs.is_empty()) {
            (false, _) => grouped,
            (true, false) => theirs,
            (true, true) => nameless.collect(),
        };
        chosen
            .into_iter()
            .map(|stat| Candidate { pid: stat.pid, session: stat.session, parent: stat.ppid })
            .collect()
    }

    /// Returns every living descendant of the keeper, but those that are `known` and theirs. Never
    /// one of another login session than Upright's, unless it is PID 1, with which all of them end.
    pub fn strays(&self, keeper: Pid, known: &BTreeSet<Pid>) -> Vec<Pid> {
        let mut parents = BTreeSet::from([keeper]);
        // A child may be older than its parent is now: it was adopted. So until nothing is added.
        loop {
            let more = self.all.iter().filter(|stat| {
                parents.contains(&stat.ppid)
                    && !parents.contains(&stat.pid)
                    && !known.contains(&stat.pid)
            });
            let more: Vec<Pid> = more.map(|stat| stat.pid).collect();
            if more.is_empty() {
                break;
            }
            parents.extend(more);
        }
        let ours = login_session(std::process::id() as Pid);
        let lives = |stat: &&Stat| stat.state != b'Z' && stat.pid != keeper;
        let strays = self.all.iter().filter(lives).map(|stat| stat.pid);
        strays
            .filter(|pid| parents.contains(pid))
            .filter(|pid| keeper == FIRST || login_session(*pid) == ours)
            .collect()
    }

    /// Signals processes of this census, each first opened and looked at again, so that a number
    /// that has become another's is left alone.
    pub fn signal(&self, pids: &[Pid], signal: Signal) {
        for pid in pids {
            let seen = self.all.iter().find(|stat| stat.pid == *pid).map(|stat| stat.start_time);
            let same = || procfs::stat(*pid).is_some_and(|stat| Some(stat.start_time) == seen);
            // An error means that it has ended meanwhile.
            let _ = sys::pidfd::signal(*pid, signal, same);
        }
    }

    /// Returns the living processes of a group.
    pub fn of_group(&self, group: Pid) -> Vec<Pid> {
        let members = self.all.iter().filter(|stat| stat.pgrp == group && stat.state != b'Z');
        members.map(|stat| stat.pid).collect()
    }

    /// Returns every living process of a job that no slot has: the members of its control group, those
    /// that carry its name, and their descendants. Never one of another login session than Upright's.
    pub fn left_over(&self, subject: &Subject<'_>, members: &BTreeSet<Pid>) -> Vec<Pid> {
        let mut found: BTreeSet<Pid> = BTreeSet::new();
        let ours = login_session(std::process::id() as Pid);
        for stat in self.all.iter().filter(|stat| stat.state != b'Z') {
            let mine =
                found.contains(&stat.ppid) || members.contains(&stat.pid) || subject.owns(stat.pid);
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
    fs::read(format!("/proc/{pid}/sessionid")).ok()
}

/// Signals processes by number, each first opened and looked at again, so that a number that has
/// become another's is left alone.
pub fn signal_all(pids: &[Pid], subject: &Subject<'_>, signal: Signal) {
    for pid in pids {
        let is_meant = || subject.owns(*pid) || procfs::stat(*pid).is_some();
        // An error means that it has ended meanwhile.
        let _ = sys::pidfd::signal(*pid, signal, is_meant);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_names_a_program_by_a_whole_word() {
        let names = |command: &'static str, program: &str| {
            Traces { stack: None, command: command.as_bytes() }.names(program.as_bytes())
        };
        assert!(names("exec /usr/sbin/nginx -g 'daemon on;'", "nginx"));
        assert!(names("A=1 exec \"$D\"/haproxy", "haproxy"));
        assert!(!names("/usr/sbin/nginx-debug", "nginx"));
        assert!(!names("/usr/sbin/nginx", ""));
    }

    #[test]
    fn a_process_was_the_same_program_where_its_stack_began_at_the_same_place() {
        let own = procfs::stat(std::process::id() as Pid).unwrap();
        let with = |stack| Traces { stack, command: b"" }.was(&own);
        assert!(with(Some(own.stack)));
        assert!(!with(Some(own.stack + 16)) && !with(None));
        let unseen = Stat { stack: 0, ..own.clone() };
        assert!(!Traces { stack: Some(0), command: b"" }.was(&unseen));
    }
}
