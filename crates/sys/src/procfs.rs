//! What `/proc` says about processes. Between two answers a process may be gone and its number
//! another's: the start time tells.

use crate::wait::of_wait_status;
use engine::process::{Exit, Pid};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;

/// Clock ticks in a second, as programs are shown them. Source: USER_HZ, the same on every
/// architecture that Rust's Linux targets have.
pub const TICKS: u64 = 100;

/// What `/proc/PID/stat` says. Source: proc_pid_stat(5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// The process.
    pub pid: Pid,
    /// Its name, at most 15 bytes.
    pub comm: Vec<u8>,
    /// `R` running, `S` sleeping, `D` in a wait that cannot be interrupted, `T` stopped, `t` traced,
    /// `Z` ended and not reaped.
    pub state: u8,
    /// Its parent.
    pub ppid: Pid,
    /// Its process group.
    pub pgrp: Pid,
    /// Its session.
    pub session: Pid,
    /// When it started, in clock ticks since boot. With the number it names the process for ever.
    pub start_time: u64,
    /// Its processor time, in clock ticks.
    pub ticks: u64,
    /// That of the children that it has waited for.
    pub waited: u64,
    /// How many pages of memory it has resident.
    pub resident: u64,
    /// Where its stack began. A fork keeps it, an exec draws another at random: processes of one
    /// place were one program. Zero where it has ended or is not ours to see.
    pub stack: u64,
    /// How it ended, as wait(2) has it. Zero where it has not, or where that is not ours to see.
    pub ended: i32,
}

/// Returns what is known of a process; nothing where it is gone.
pub fn stat(pid: Pid) -> Option<Stat> {
    parse(&fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// Returns how a process ended that nobody has reaped yet; nothing where it has not ended, is reaped, or
/// where that is not ours to see.
pub fn unreaped_end(pid: Pid) -> Option<Exit> {
    let stat = stat(pid).filter(|stat| stat.state == b'Z')?;
    // A zero may stand for what is hidden; this is hidden by the same rule.
    let visible = || fs::read(format!("/proc/{pid}/io")).is_ok();
    (stat.ended != 0 || visible()).then(|| of_wait_status(stat.ended))
}

/// Returns the children of a process that are there now, those that have ended and are not reaped
/// among them.
pub fn children_of(pid: Pid) -> Vec<Pid> {
    // A process has one list per thread; we and what we ask about have few.
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let mut children = Vec::new();
    for thread in threads.flatten() {
        match fs::read_to_string(thread.path().join("children")) {
            Ok(list) => children.extend(list.split_ascii_whitespace().flat_map(str::parse::<Pid>)),
            // A kernel without CONFIG_PROC_CHILDREN.
            Err(_) => {
                let ours = |other: &Pid| stat(*other).is_some_and(|stat| stat.ppid == pid);
                return all().into_iter().filter(ours).collect();
            }
        }
    }
    children
}

/// Returns every process.
pub fn all() -> Vec<Pid> {
    let Ok(list) = fs::read_dir("/proc") else { return Vec::new() };
    list.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// Returns the environment that a process was executed with, `KEY=VALUE` each; nothing where it is
/// gone or not ours to read.
pub fn environ(pid: Pid) -> Option<Vec<Vec<u8>>> {
    let all = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let variables = all.split(|byte| *byte == 0).filter(|variable| !variable.is_empty());
    Some(variables.map(<[u8]>::to_vec).collect())
}

/// Returns the arguments of a process; empty for one of the kernel's and for one that has ended.
pub fn arguments(pid: Pid) -> Option<Vec<Vec<u8>>> {
    let all = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let all = all.strip_suffix(&[0]).unwrap_or(&all);
    Some(all.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect())
}

/// Returns the file name of the program that a process runs; nothing where it is gone or not ours to
/// read.
pub fn program(pid: Pid) -> Option<Vec<u8>> {
    let path = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    let name = path.file_name()?.as_bytes();
    Some(name.strip_suffix(b" (deleted)").unwrap_or(name).to_vec())
}

/// Returns the name that a process goes by, at most 15 bytes: that of the link it was called by, where
/// it was; nothing where it is gone.
pub fn name(pid: Pid) -> Option<Vec<u8>> {
    let mut name = fs::read(format!("/proc/{pid}/comm")).ok()?;
    name.pop_if(|last| *last == b'\n');
    Some(name)
}

/// Returns how many files a process has open; nothing where it is gone or not ours to see.
pub fn open_files(pid: Pid) -> Option<usize> {
    Some(fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count())
}

/// Returns the bytes of a page of memory.
pub fn page_size() -> u64 {
    rustix::param::page_size() as u64
}

/// Reports whether a process runs the very file that we do: another of Upright's own, or a child of
/// one that has not executed its program yet.
pub fn is_ours(pid: Pid) -> bool {
    let file = |path: &str| fs::metadata(path).ok().map(|file| (file.dev(), file.ino()));
    let own = file("/proc/self/exe");
    own.is_some() && own == file(&format!("/proc/{pid}/exe"))
}

/// Returns the control group of a process in the unified hierarchy, `/` first.
pub fn cgroup(pid: Pid) -> Option<Vec<u8>> {
    let all = fs::read(format!("/proc/{pid}/cgroup")).ok()?;
    let mut lines = all.split(|byte| *byte == b'\n');
    lines.find_map(|line| line.strip_prefix(b"0::")).map(<[u8]>::to_vec)
}

/// The name may hold anything, a `)` too: it ends at the last one.
fn parse(line: &[u8]) -> Option<Stat> {
    let open = line.iter().position(|byte| *byte == b'(')?;
    let close = line.iter().rposition(|byte| *byte == b')')?;
    let pid = std::str::from_utf8(line.get(..open)?).ok()?.trim().parse().ok()?;
    let rest = std::str::from_utf8(line.get(close + 1..)?).ok()?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<Pid>().ok();
    let ticks = |first: usize| {
        let both = fields.get(first..first + 2)?.iter().flat_map(|field| field.parse::<u64>());
        Some(both.fold(0, u64::saturating_add))
    };
    Some(Stat {
        pid,
        comm: line.get(open + 1..close)?.to_vec(),
        state: *fields.first()?.as_bytes().first()?,
        ppid: number(1)?,
        pgrp: number(2)?,
        session: number(3)?,
        start_time: fields.get(19)?.parse().ok()?,
        ticks: ticks(11)?,
        waited: ticks(13)?,
        resident: fields.get(21)?.parse().unwrap_or(0),
        stack: fields.get(25)?.parse().ok()?,
        ended: fields.get(49).and_then(|field| field.parse().ok()).unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_blanks_and_brackets_does_not_shift_the_fields() {
        let line = b"42 (a) S (b) R 7 8 9 0 -1 0 0 0 0 0 30 4 2 1 20 0 1 0 12345 0 55 0 0 0 777 0";
        let stat = parse(line).unwrap();
        assert_eq!(stat.comm, b"a) S (b");
        assert_eq!((stat.pid, stat.state, stat.ppid), (42, b'R', 7));
        assert_eq!((stat.pgrp, stat.session, stat.start_time), (8, 9, 12345));
        assert_eq!((stat.ticks, stat.waited, stat.resident, stat.stack), (34, 3, 55, 777));
        assert_eq!(parse(b"42 (a"), None);
        assert_eq!(parse(b")("), None);
    }

    #[test]
    fn a_process_finds_itself_among_the_children_of_its_parent() {
        let own = Pid::try_from(std::process::id()).unwrap();
        let stat = stat(own).unwrap();
        assert!(children_of(stat.ppid).contains(&own));
        assert!(all().contains(&own));
        let environment: Vec<_> = std::env::vars_os().collect();
        assert_eq!(environ(own).unwrap().len(), environment.len());
        assert_eq!(arguments(own).unwrap().len(), std::env::args_os().count());
        let program = std::env::current_exe().unwrap();
        assert_eq!(self::program(own).unwrap(), program.file_name().unwrap().as_bytes());
        assert_ne!(stat.stack, 0);
    }
}
