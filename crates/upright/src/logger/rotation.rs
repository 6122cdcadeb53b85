//! Old logs: `path.1` is the youngest.

use sys::{logfile, Errno};

/// Gives `path` the name `path.1` and every older file up to `count` the next name.
///
/// Only the files up to the first unused name are moved, the oldest first. So nothing but the oldest
/// file is ever removed, and a rotation that was cut off between two renames leaves an unused name
/// that the next one fills. `count` is at least 1.
pub fn shift(path: &[u8], count: u32) -> Result<(), Errno> {
    let mut free = 1;
    while free < count && logfile::state_of(&name(path, free)).is_ok() {
        free += 1;
    }
    // The oldest goes first, on its own: to put another in its place, a file system (ext4) would write
    // that one to the disk while everybody waits.
    match logfile::remove(&name(path, free)) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(errno) => return Err(errno),
    }
    for number in (1..free).rev() {
        logfile::rename(&name(path, number), &name(path, number + 1))?;
    }
    logfile::rename(path, &name(path, 1))
}

/// Returns the name of an old file.
pub fn name(path: &[u8], number: u32) -> Vec<u8> {
    let mut name = path.to_vec();
    name.push(b'.');
    name.extend_from_slice(number.to_string().as_bytes());
    name
}
