//! The sessions of a user: one file each, `PID.session`, with the address of its control socket.

use crate::cli::connect::{self, Address};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// How many bytes of a session file are read; an address is far shorter.
const FILE_MAX: usize = 4096;

/// A file of the directory of sessions.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A session that runs: its process and its address.
    Session(u32, String),
    /// The file of one that is gone.
    Stale(PathBuf),
}

/// Returns what stands in the directory, by process number; nothing where it cannot be read.
/// Source: initctl(8), list-sessions.
pub(super) fn read(directory: &Path) -> Option<Vec<Found>> {
    let mut found: Vec<(u32, Found)> = fs::read_dir(directory)
        .ok()?
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let pid = number(&entry.file_name())?;
            let path = entry.path();
            let lives = Path::new("/proc").join(pid.to_string()).exists();
            match address(&path) {
                // Where the process was killed, another one may have taken its place and answer there.
                Some(address) if lives || answers(&address) => {
                    Some((pid, Found::Session(pid, address)))
                }
                Some(_) | None if !lives => Some((pid, Found::Stale(path))),
                Some(_) | None => None,
            }
        })
        .collect();
    found.sort_by_key(|(pid, _)| *pid);
    Some(found.into_iter().map(|(_, found)| found).collect())
}

fn answers(address: &str) -> bool {
    let address = Address::parse(address.as_bytes());
    address.is_some_and(|address| connect::connect(&address, sys::peer::own_uid()).is_ok())
}

fn number(name: &OsStr) -> Option<u32> {
    let digits = name.as_bytes().strip_suffix(b".session")?;
    std::str::from_utf8(digits).ok().filter(|text| !text.starts_with('+'))?.parse().ok()
}

fn address(path: &Path) -> Option<String> {
    let text = fs::read(path).ok().filter(|text| text.len() <= FILE_MAX)?;
    let text = String::from_utf8(text).ok()?;
    let address = text.strip_prefix("UPSTART_SESSION=")?;
    let address = address.strip_suffix('\n').unwrap_or(address);
    (!address.is_empty()).then(|| address.to_owned())
}
