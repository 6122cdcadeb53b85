//! `upright check`: what is wrong with job files, without running anything.

use super::words::printable;
use super::{texts, Exit, Form, Session};
use crate::cli::connect;
use clap::ArgMatches;
use engine::dialect::{self, Parsed};
use engine::names::JobName;
use engine::text::Text;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The largest job file that is read, in bytes.
const FILE_MAX: u64 = 1024 * 1024;

/// How many files of directories are checked at most.
const FILES_MAX: usize = 100_000;

pub(super) fn check(session: &mut Session<'_, '_>, matches: &ArgMatches) -> Result<(), Exit> {
    let mut result = Ok(());
    for given in texts(matches, "file") {
        let given = PathBuf::from(OsStr::from_bytes(given.bytes()));
        for path in files(&given) {
            let shown = printable(&path.display().to_string());
            match read(&path) {
                Ok((file, parsed)) => {
                    session.judge(&shown, &file, &parsed);
                    if parsed.error().is_some() {
                        result = Err(Exit::Failed);
                    }
                }
                Err(why) => {
                    session.world.say(&format!("{shown}: {why}"));
                    result = Err(Exit::Failed);
                }
            }
        }
    }
    result
}

impl Session<'_, '_> {
    /// Prints what is to be said of a file.
    fn judge(&mut self, path: &str, file: &[u8], parsed: &Parsed) {
        match self.form {
            Form::Json => {
                let json = serde_json::json!({ "file": path, "diagnostics": parsed.diagnostics });
                self.world.print(&format!("{json}\n"));
            }
            Form::Words if parsed.diagnostics.is_empty() => {
                self.world.print(&format!("{path}: ok\n"));
            }
            Form::Words => {
                for diagnostic in &parsed.diagnostics {
                    self.world.print(&dialect::render(diagnostic, path, file));
                }
            }
        }
    }
}

/// Returns the file itself, or of a directory its job files, in the order of their names. What
/// begins with a dot is passed over.
fn files(given: &Path) -> Vec<PathBuf> {
    if !given.is_dir() {
        return vec![given.to_owned()];
    }
    let mut found = Vec::new();
    let mut directories = vec![given.to_owned()];
    while let Some(directory) = directories.pop() {
        let entries = std::fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok);
        for entry in entries {
            if entry.file_name().as_bytes().starts_with(b".") || found.len() == FILES_MAX {
                continue;
            }
            let path = entry.path();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => directories.push(path),
                Ok(_) if extension(&path).is_some() => found.push(path),
                Ok(_) | Err(_) => {}
            }
        }
    }
    found.sort();
    found
}

/// What a job file's name says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Job,
    Override,
}

fn extension(path: &Path) -> Option<Kind> {
    match path.extension()?.as_bytes() {
        b"conf" => Some(Kind::Job),
        b"override" => Some(Kind::Override),
        _ => None,
    }
}

/// Reads a file as the daemon would.
pub fn read(path: &Path) -> Result<(Vec<u8>, Parsed), String> {
    let why = |error: std::io::Error| format!("cannot be read: {}", connect::words(&error));
    let length = std::fs::metadata(path).map_err(why)?.len();
    if length > FILE_MAX {
        return Err(format!("has {length} bytes; a job file has at most {FILE_MAX}"));
    }
    if extension(path).is_none() {
        return Err(String::from("is no job file: its name must end in .conf or .override"));
    }
    let stem = path.file_stem().unwrap_or_default();
    let name = JobName::try_from(Text::from(stem.as_bytes()))
        .map_err(|error| format!("cannot be a job: {error}"))?;
    let file = std::fs::read(path).map_err(why)?;
    let parsed = dialect::upstart::parse(name, &file);
    Ok((file, parsed))
}
