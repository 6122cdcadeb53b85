//! Files as the logger uses them: opened by a path that is never trusted, written at a place.

use rustix::fs::{self, FileType, Gid, Mode, OFlags, Stat, Uid};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

/// What is known of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// The device it is on.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
    /// Its length in bytes.
    pub size: u64,
    /// Whether it is a regular file.
    pub regular: bool,
}

/// What a path names, as far as a log can be written to it.
#[derive(Debug)]
pub struct Opened {
    /// The file, for writing only.
    pub file: OwnedFd,
    /// What it is.
    pub state: State,
    /// Why a new file could not be given to its owner; it is the caller's then.
    pub owner_refused: Option<Errno>,
}

/// Who a new file belongs to and who may use it.
#[derive(Clone, Copy, Debug)]
pub struct Rights {
    /// Permission bits.
    pub mode: u16,
    /// The user; none: the caller.
    pub uid: Option<u32>,
    /// The group; none: the caller's.
    pub gid: Option<u32>,
}

/// How a path is opened that others may have put something at.
const CAREFULLY: OFlags = OFlags::NOFOLLOW
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC)
    .union(OFlags::LARGEFILE);

/// Opens a log for writing, makes it, and the directories above it, where it is missing.
///
/// Never follows a symbolic link at the end (`Errno::LOOP`), never waits for a reader of a FIFO.
/// `Errno::SPIPE` where the path names something that has no places to write at.
pub fn open(path: &[u8], rights: Rights) -> Result<Opened, Errno> {
    let flags = OFlags::WRONLY | CAREFULLY;
    let name = OsStr::from_bytes(path);
    for _ in 0..4 {
        match fs::open(name, flags, Mode::empty()) {
            Ok(file) => return existing(file),
            Err(Errno::NOENT) => {}
            // A FIFO that nobody reads, or a device without a driver.
            Err(Errno::NXIO) => return Err(Errno::SPIPE),
            Err(errno) => return Err(errno),
        }
        let mode = Mode::from_raw_mode(u32::from(rights.mode) & 0o7777);
        match fs::open(name, flags | OFlags::CREATE | OFlags::EXCL, mode) {
            Ok(file) => return created(file, mode, rights),
            Err(Errno::NOENT) => make_directories(path)?,
            // Somebody else was quicker: it exists now.
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
    }
    Err(Errno::NOENT)
}

fn existing(file: OwnedFd) -> Result<Opened, Errno> {
    let state = state(&fs::fstat(&file)?);
    if state.regular {
        Ok(Opened { file, state, owner_refused: None })
    } else {
        Err(Errno::SPIPE)
    }
}

fn created(file: OwnedFd, mode: Mode, rights: Rights) -> Result<Opened, Errno> {
    let stat = fs::fstat(&file)?;
    let mut owner_refused = None;
    if rights.uid.is_some() || rights.gid.is_some() {
        let (uid, gid) = (rights.uid.map(Uid::from_raw), rights.gid.map(Gid::from_raw));
        owner_refused = fs::fchown(&file, uid, gid).err();
    }
    // After the owner, because a change of owner clears bits; the mask and a default ACL do too.
    if stat.st_mode & 0o7777 != mode.as_raw_mode() || rights.uid.is_some() {
        let _ = fs::fchmod(&file, mode);
    }
    Ok(Opened { file, state: state(&stat), owner_refused })
}

fn make_directories(path: &[u8]) -> Result<(), Errno> {
    let mode = Mode::from_raw_mode(0o755);
    for (at, _) in path.iter().enumerate().skip(1).filter(|(_, byte)| **byte == b'/') {
        match fs::mkdir(OsStr::from_bytes(&path[..at]), mode) {
            Ok(()) | Err(Errno::EXIST) => {}
            // On the way down only the last one matters: above it a directory may be there that
            // nobody may change.
            Err(errno) if fs::stat(OsStr::from_bytes(&path[..at])).is_err() => return Err(errno),
            Err(_) => {}
        }
    }
    Ok(())
}

/// Returns what the path names now, not following a symbolic link at its end.
pub fn state_of(path: &[u8]) -> Result<State, Errno> {
    fs::lstat(OsStr::from_bytes(path)).map(|stat| state(&stat))
}

/// Renames a file; what had the new name is gone.
pub fn rename(from: &[u8], to: &[u8]) -> Result<(), Errno> {
    fs::rename(OsStr::from_bytes(from), OsStr::from_bytes(to))
}

/// Removes a file's name.
pub fn remove(path: &[u8]) -> Result<(), Errno> {
    fs::unlink(OsStr::from_bytes(path))
}

/// Cuts a file to no bytes.
pub fn empty(file: impl AsFd) -> Result<(), Errno> {
    fs::ftruncate(file, 0)
}

/// Writes bytes at a place and returns how many were written.
pub fn write_at(file: impl AsFd, bytes: &[u8], offset: u64) -> Result<usize, Errno> {
    loop {
        match rustix::io::pwrite(&file, bytes, offset) {
            Err(Errno::INTR) => {}
            done => return done,
        }
    }
}

/// Opens a regular file to read back what was logged; its state with it.
pub fn open_to_read(path: &[u8]) -> Result<(OwnedFd, State), Errno> {
    let flags = OFlags::RDONLY | CAREFULLY;
    let file = fs::open(OsStr::from_bytes(path), flags, Mode::empty())?;
    let state = state(&fs::fstat(&file)?);
    if state.regular {
        Ok((file, state))
    } else {
        Err(Errno::SPIPE)
    }
}

/// Cuts the regular file that a path names to no bytes, not following a symbolic link at its end.
pub fn clear(path: &[u8]) -> Result<(), Errno> {
    let flags = OFlags::WRONLY | CAREFULLY;
    let file = match fs::open(OsStr::from_bytes(path), flags, Mode::empty()) {
        Err(Errno::NXIO) => return Err(Errno::SPIPE),
        opened => opened?,
    };
    match existing(file) {
        Ok(opened) => empty(&opened.file),
        Err(errno) => Err(errno),
    }
}

/// Reads bytes from a place and returns how many there were.
pub fn read_at(file: impl AsFd, buffer: &mut [u8], offset: u64) -> Result<usize, Errno> {
    loop {
        match rustix::io::pread(&file, &mut *buffer, offset) {
            Err(Errno::INTR) => {}
            done => return done,
        }
    }
}

/// Reports whether a descriptor is a pipe or a FIFO.
pub fn is_pipe(fd: impl AsFd) -> bool {
    fs::fstat(fd).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Fifo)
}

fn state(stat: &Stat) -> State {
    State {
        device: stat.st_dev as _,
        inode: stat.st_ino as _,
        size: u64::try_from(stat.st_size).unwrap_or(0),
        regular: FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile,
    }
}
