//! `upright check`: what is wrong with job files, without running anything.

use super::{texts, Exit, Form, Session};
use crate::cli::connect;
use clap::ArgMatches;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The largest job file that is read.
const FILE_MAX: u64 = 1024 * 1024;

pub(super) fn check(session: &mut Session<'_, '_>, matches: &ArgMatches) -> Result<(), Exit> {
    let mut result = Ok(());
    for file in texts(matches, "file") {
        let path = Path::new(OsStr::from_bytes(file.bytes()));
        let found = read(path);
        let _ = (&found, session.form == Form::Json);
        if let Err(why) = found {
            session.world.say(&format!("{}: {why}", path.display()));
            result = Err(Exit::Failed);
        }
    }
    result
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let why = |error: std::io::Error| format!("cannot read it: {}", connect::words(&error));
    let length = std::fs::metadata(path).map_err(why)?.len();
    if length > FILE_MAX {
        return Err(format!("it has {length} bytes; a job file has at most {FILE_MAX}"));
    }
    std::fs::read(path).map_err(why)
}
