//! Control groups of version 2: where our own is, how others are made, and who is in them.

use engine::process::Pid;
use rustix::fs::{flock, FlockOperation, OFlags};
use rustix::io::Errno;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// How deep groups within groups are looked into.
const DEPTH: usize = 16;

/// Returns the directory of our own group; nothing where no hierarchy of version 2 is mounted, or only
/// a part that we are not in.
pub fn own() -> Option<PathBuf> {
    let own = crate::procfs::cgroup(std::process::id() as Pid)?;
    let mounts = fs::read("/proc/self/mountinfo").ok()?;
    let mut mounts = mounts.split(|byte| *byte == b'\n').filter_map(mount);
    mounts.find_map(|(root, at)| {
        let below = match root.as_slice() {
            b"/" => own.as_slice(),
            root => {
                own.strip_prefix(root).filter(|rest| matches!(rest.first(), None | Some(b'/')))?
            }
        };
        let below = below.strip_prefix(b"/").unwrap_or(below);
        let mut path = PathBuf::from(OsString::from_vec(at));
        if !below.is_empty() {
            path.push(std::ffi::OsStr::from_bytes(below));
        }
        path.join("cgroup.procs").exists().then_some(path)
    })
}

/// Returns which part of a hierarchy of version 2 is mounted where; nothing for another mount.
/// Source: proc_pid_mountinfo(5).
fn mount(line: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut fields = line.split(|byte| *byte == b' ');
    let (root, at) = (fields.nth(3)?, fields.next()?);
    fields.find(|field| *field == b"-")?;
    (fields.next()? == b"cgroup2").then(|| (plain(root), plain(at)))
}

/// Takes back what the kernel does to blanks, as in `\040`.
fn plain(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = field;
    while let Some((byte, tail)) = rest.split_first() {
        let digits = tail.get(..3).filter(|_| *byte == b'\\');
        let code = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|code| u8::from_str_radix(code, 8).ok()) {
            Some(code) => {
                out.push(code);
                rest = tail.get(3..).unwrap_or_default();
            }
            None => {
                out.push(*byte);
                rest = tail;
            }
        }
    }
    out
}

/// Makes a group where there is none.
pub fn make(group: &Path) -> io::Result<()> {
    match fs::create_dir(group) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        outcome => outcome,
    }
}

/// Whether a group is expected to be there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// It is.
    There,
    /// It is not.
    New,
}

/// Makes a group within another where there is none, and opens it as what a child can be born into.
pub fn make_in(outer: impl AsFd, name: &str, expected: Expected) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let open = || rustix::fs::openat(&outer, name, flags, rustix::fs::Mode::empty());
    match expected {
        Expected::There => match open() {
            Err(Errno::NOENT) => {}
            opened => return Ok(opened?),
        },
        Expected::New => {}
    }
    let mode = rustix::fs::Mode::RWXU | rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO;
    match rustix::fs::mkdirat(&outer, name, mode) {
        Ok(()) | Err(Errno::EXIST) => Ok(open()?),
        Err(errno) => Err(errno.into()),
    }
}

/// Opens a group and takes the lock on it, which lasts as long as anybody has the descriptor. Nothing
/// where somebody else has it, or it is another directory meanwhile.
pub fn lock(group: &Path) -> io::Result<Option<OwnedFd>> {
    let file = File::open(group)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => return Ok(None),
        Err(errno) => return Err(errno.into()),
    }
    let (locked, there) = (file.metadata()?, fs::metadata(group)?);
    Ok((locked.ino() == there.ino()).then(|| OwnedFd::from(file)))
}

/// Returns the directory that a descriptor is of.
pub fn path(group: &OwnedFd) -> io::Result<PathBuf> {
    fs::read_link(format!("/proc/self/fd/{}", group.as_raw_fd()))
}

/// Writes into a file of a group. Where the kernel would first have to free memory, it does that later.
pub fn write(group: &Path, file: &str, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    let mut file = options.write(true).custom_flags(flags).open(group.join(file))?;
    file.write_all(text.as_bytes())
}

/// Reads a file of a group.
pub fn read(group: &Path, file: &str) -> io::Result<String> {
    fs::read_to_string(group.join(file))
}

/// Returns the processes of a group and of those within it.
pub fn members(group: &Path) -> Vec<Pid> {
    let mut all = Vec::new();
    for group in with_inner(group) {
        let Ok(list) = read(&group, "cgroup.procs") else { continue };
        // A process of another namespace is shown as 0.
        all.extend(list.lines().filter_map(|line| line.parse::<Pid>().ok()).filter(|pid| *pid > 0));
    }
    all
}

/// Reports whether a process lives in a group, or in one within it.
pub fn is_populated(group: &Path) -> bool {
    read(group, "cgroup.events").is_ok_and(|events| events.lines().any(|l| l == "populated 1"))
}

/// Ends every process of a group and of those within it, at one moment. Source: the kernel's cgroup-v2
/// document; before Linux 5.14 there is no such file.
pub fn kill(group: &Path) -> io::Result<()> {
    write(group, "cgroup.kill", "1")
}

/// Removes a group in which nobody lives, and those within it.
pub fn remove(group: &Path) -> io::Result<()> {
    match fs::remove_dir(group) {
        Err(error) if error.raw_os_error() == Some(libc::EBUSY) && !is_populated(group) => {
            with_inner(group).iter().rev().try_for_each(fs::remove_dir)
        }
        outcome => outcome,
    }
}

/// Returns a group and those within it, each before its own.
fn with_inner(group: &Path) -> Vec<PathBuf> {
    let mut all = vec![group.to_path_buf()];
    let mut from = 0;
    for _ in 0..DEPTH {
        let level: Vec<PathBuf> = all.get(from..).unwrap_or_default().to_vec();
        from = all.len();
        for group in level {
            let Ok(entries) = fs::read_dir(&group) else { continue };
            let inner =
                entries.flatten().filter(|entry| entry.file_type().is_ok_and(|t| t.is_dir()));
            all.extend(inner.map(|entry| entry.path()));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hierarchy_of_version_2_is_found_among_the_mounts() {
        let line = b"36 25 0:31 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw";
        assert_eq!(mount(line), Some((b"/".to_vec(), b"/sys/fs/cgroup".to_vec())));
        let line = b"36 25 0:31 /a /mnt/a\\040b\\134 rw - cgroup2 none rw";
        assert_eq!(mount(line), Some((b"/a".to_vec(), b"/mnt/a b\\".to_vec())));
        assert_eq!(mount(b"36 25 0:31 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu"), None);
        assert_eq!(mount(b""), None);
    }
}
