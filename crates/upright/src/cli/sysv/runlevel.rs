//! `runlevel`: shows the runlevel before and the present one.

use super::level::Levels;
use super::{Failed, Tool};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use sys::utmp::UTMP;

/// Runs it.
pub(super) fn run(tool: &mut Tool<'_, '_>, args: &[Vec<u8>]) -> Result<(), Failed> {
    let path = args.first().map_or(Path::new(UTMP), |path| Path::new(OsStr::from_bytes(path)));
    match Levels::known(tool, path) {
        Some(levels) => {
            let line = format!("{} {}\n", levels.before.letter(), levels.now.letter());
            tool.world.print(&line);
            Ok(())
        }
        None => {
            tool.world.print("unknown\n");
            Err(Failed)
        }
    }
}
