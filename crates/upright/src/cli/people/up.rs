//! `upright up`: becomes the core, in the foreground.

use super::{text, texts, Exit, Session};
use crate::cli::connect;
use clap::ArgMatches;
use engine::text::Text;
use shown::words::printable;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The core's file name.
const CORE: &str = "upright-core";

/// Options that the core is given as they are: name, value, help.
pub(super) const OPTIONS: &[(&str, &str, &str)] = &[
    (
        "stop-timeout",
        "SECONDS",
        "Stop everything within this time [default: 10 as PID 1, else none]",
    ),
    (
        "restart-budget",
        "RATE[:BURST]",
        "Restart at most so many jobs a second that ended soon [default: 50:1000]",
    ),
    ("logdir", "DIR", "Keep what jobs write in files there [default: none as PID 1]"),
    (
        "statedir",
        "DIR",
        "Keep what is disabled, masked or stopped for good there [default: nowhere]",
    ),
    ("audit", "FILE", "Write there who did what [default: nowhere]"),
    (
        "rights",
        "FILE",
        "Let users and groups do what is granted there [default: DIR/upright.rights]",
    ),
    (
        "default-console",
        "CONSOLE",
        "Where output goes by default: log, stdout, none, output, owner",
    ),
];

pub(super) fn up(session: &mut Session<'_, '_>, matches: &ArgMatches) -> Result<(), Exit> {
    let directories: Vec<Vec<u8>> =
        texts(matches, "dir").into_iter().map(|text| text.bytes().to_vec()).collect();
    if let Some(missing) = missing(&directories) {
        session.world.say(&format!("upright: cannot run {missing}"));
        return Err(Exit::Failed);
    }
    let named = OPTIONS.iter().map(|(name, ..)| (*name, text(matches, name)));
    let socket = session.socket.take().map(Text::from);
    let options = named.chain([("socket", socket)]);
    let options = options.filter_map(|(name, value)| Some((name, value?.bytes().to_vec())));
    let mode = if matches.get_flag("session") { "--user" } else { "--up" };
    let arguments = arguments(mode, options.collect(), directories);
    become_core(session, arguments)
}

/// Runs one program and nothing else; the core reads the arguments.
pub(super) fn run(session: &mut Session<'_, '_>, _: &ArgMatches) -> Result<(), Exit> {
    let given = std::mem::take(&mut session.world.args).into_iter().map(OsString::from_vec);
    let role = OsString::from("--role=run");
    become_core(session, std::iter::once(role).chain(given).collect())
}

fn become_core(session: &mut Session<'_, '_>, arguments: Vec<OsString>) -> Result<(), Exit> {
    let own = sys::own::path().unwrap_or_default();
    let core = match find_core(&own) {
        Ok(core) => core,
        Err(looked) => {
            let looked: Vec<String> = looked.iter().map(|p| p.display().to_string()).collect();
            let looked = looked.join(" and ");
            session.world.say(&format!("upright: cannot find {CORE}: looked for {looked}"));
            return Err(Exit::Failed);
        }
    };
    let error = Command::new(&core).args(arguments).exec();
    let why = connect::words(&error);
    session.world.say(&format!("upright: cannot run {}: {why}", core.display()));
    Err(Exit::Failed)
}

/// Returns the first directory or file that is not there, and why. The core would wait for it to come,
/// which is right for a machine's own directories; who named it here has mistyped it.
fn missing(given: &[Vec<u8>]) -> Option<String> {
    let mut given = given.iter().map(|path| Path::new(OsStr::from_bytes(path)));
    given.find_map(|path| {
        let error = std::fs::metadata(path).err()?;
        let why = connect::words(&error);
        let shown = printable(&path.to_string_lossy());
        Some(format!(
            "{shown}: {why}\nName a directory of job files (NAME.conf), or a supervisord.conf."
        ))
    })
}

/// Returns what the core is given. The directories come last and are never options.
fn arguments(
    mode: &str,
    options: Vec<(&str, Vec<u8>)>,
    directories: Vec<Vec<u8>>,
) -> Vec<OsString> {
    let mut all = vec![OsString::from(mode)];
    for (name, value) in options {
        all.push(OsString::from(format!("--{name}")));
        all.push(OsString::from_vec(value));
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
    use crate::scratch::Scratch;

    #[test]
    fn the_core_is_looked_for_beside_this_program_and_in_the_packages_place() {
        let root = Scratch::path("up");
        let (bin, lib) = (root.join("bin"), root.join("lib/upright"));
        std::fs::create_dir_all(&bin).unwrap();
        std::fs::create_dir_all(&lib).unwrap();
        let own = bin.join("upright");
        assert_eq!(find_core(&own).unwrap_err().len(), 2);
        std::fs::write(lib.join(CORE), "").unwrap();
        assert_eq!(find_core(&own), Ok(bin.join("../lib/upright").join(CORE)));
        std::fs::write(bin.join(CORE), "").unwrap();
        assert_eq!(find_core(&own), Ok(bin.join(CORE)));
    }

    #[test]
    fn a_directory_that_is_not_there_is_named_with_what_would_be_right() {
        let there = std::env::temp_dir().into_os_string().into_vec();
        assert_eq!(missing(std::slice::from_ref(&there)), None);
        let wrong = b"/nonexistent/jobs".to_vec();
        assert_eq!(
            missing(&[there, wrong]).as_deref(),
            Some(
                "/nonexistent/jobs: No such file or directory\n\
                 Name a directory of job files (NAME.conf), or a supervisord.conf."
            )
        );
    }

    #[test]
    fn directories_are_passed_on_as_they_are() {
        let options = vec![("socket", b"/s".to_vec())];
        let given = arguments("--up", options, vec![b"a".to_vec(), b"-b".to_vec()]);
        assert_eq!(given, ["--up", "--socket", "/s", "--", "a", "-b"]);
    }
}
