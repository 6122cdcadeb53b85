//! `upright up`: becomes the core, in the foreground.

use super::{texts, Exit, Session};
use crate::cli::connect;
use clap::ArgMatches;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The core's file name.
const CORE: &str = "upright-core";

pub(super) fn up(session: &mut Session<'_, '_>, matches: &ArgMatches) -> Result<(), Exit> {
    let own = std::env::current_exe().unwrap_or_default();
    let core = match find_core(&own) {
        Ok(core) => core,
        Err(looked) => {
            let looked: Vec<String> = looked.iter().map(|p| p.display().to_string()).collect();
            let looked = looked.join(" and ");
            session.world.say(&format!("upright: cannot find {CORE}: looked for {looked}"));
            return Err(Exit::Failed);
        }
    };
    let directories = texts(matches, "dir").into_iter().map(|text| text.bytes().to_vec());
    let arguments = arguments(session.socket.take(), directories.collect());
    let error = Command::new(&core).args(arguments).exec();
    let why = connect::words(&error);
    session.world.say(&format!("upright: cannot run {}: {why}", core.display()));
    Err(Exit::Failed)
}

/// Returns what the core is given. The directories come last and are never options.
fn arguments(socket: Option<Vec<u8>>, directories: Vec<Vec<u8>>) -> Vec<OsString> {
    let mut all = vec![OsString::from("--up")];
    if let Some(socket) = socket {
        all.push(OsString::from("--socket"));
        all.push(OsString::from_vec(socket));
    }
    all.push(OsString::from("--"));
    all.extend(directories.into_iter().map(OsString::from_vec));
    all
}

/// Returns where the core is: beside this program, or where a package puts it.
fn find_core(own: &Path) -> Result<PathBuf, Vec<PathBuf>> {
    let directory = own.parent().unwrap_or(Path::new("/"));
    let places = [directory.join(CORE), directory.join("../lib/upright").join(CORE)];
    match places.iter().find(|place| place.is_file()) {
        Some(found) => Ok(found.clone()),
        None => Err(places.to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_core_is_looked_for_beside_this_program_and_in_the_packages_place() {
        let root = std::env::temp_dir().join(format!("upright-up-{}", std::process::id()));
        let (bin, lib) = (root.join("bin"), root.join("lib/upright"));
        std::fs::create_dir_all(&bin).unwrap();
        std::fs::create_dir_all(&lib).unwrap();
        let own = bin.join("upright");
        assert_eq!(find_core(&own).unwrap_err().len(), 2);
        std::fs::write(lib.join(CORE), "").unwrap();
        assert_eq!(find_core(&own), Ok(bin.join("../lib/upright").join(CORE)));
        std::fs::write(bin.join(CORE), "").unwrap();
        assert_eq!(find_core(&own), Ok(bin.join(CORE)));
        std::fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn directories_are_passed_on_as_they_are() {
        let given = arguments(Some(b"/s".to_vec()), vec![b"a".to_vec(), b"-b".to_vec()]);
        assert_eq!(given, ["--up", "--socket", "/s", "--", "a", "-b"]);
    }
}
