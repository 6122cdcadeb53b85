//! `upright check`: what is wrong with job files and with Supervisor's configurations, without running
//! anything.

use super::{texts, Exit, Form, Session};
use crate::cli::connect;
use crate::supervisord;
use clap::ArgMatches;
use engine::dialect::rights::{self, Accounts};
use engine::dialect::{self, Diagnostic, Parsed, Severity};
use engine::names::JobName;
use engine::text::Text;
use shown::words::printable;
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
                Ok(judged) => {
                    let errors = judged.iter().flat_map(|file| &file.diagnostics);
                    if errors.into_iter().any(|one| one.severity == Severity::Error) {
                        result = Err(Exit::Failed);
                    }
                    judged.iter().for_each(|file| session.judge(file));
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
    fn judge(&mut self, file: &Judged) {
        let Judged { path, bytes, diagnostics } = file;
        match self.form {
            Form::Json => {
                let json = serde_json::json!({ "file": path, "diagnostics": diagnostics });
                self.world.print(&format!("{json}\n"));
            }
            Form::Words if diagnostics.is_empty() => {
                self.world.print(&format!("{path}: ok\n"));
            }
            Form::Words => {
                for diagnostic in diagnostics {
                    self.world.print(&dialect::render(diagnostic, path, bytes));
                }
            }
        }
    }
}

/// A file and what is to be said of it.
struct Judged {
    path: String,
    bytes: Vec<u8>,
    diagnostics: Vec<Diagnostic>,
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

/// What a file's name says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A job, or Supervisor's programs: the content tells.
    Conf,
    /// What changes a job.
    Override,
    /// Supervisor's programs.
    Ini,
    /// Who may do what.
    Rights,
}

fn extension(path: &Path) -> Option<Kind> {
    match path.extension()?.as_bytes() {
        b"conf" => Some(Kind::Conf),
        b"override" => Some(Kind::Override),
        b"ini" => Some(Kind::Ini),
        b"rights" => Some(Kind::Rights),
        _ => None,
    }
}

/// Reads a file as the daemon would; of Supervisor's also what it includes.
fn read(path: &Path) -> Result<Vec<Judged>, String> {
    let bytes = bytes(path)?;
    let Some(kind) = extension(path) else {
        return Err(String::from(
            "is no job file: its name must end in .conf or .override, in .ini for programs, or in .rights",
        ));
    };
    if kind == Kind::Ini || (kind == Kind::Conf && supervisord::begins_with_section(&bytes)) {
        return Ok(programs(path, &bytes));
    }
    if kind == Kind::Rights {
        let diagnostics = rights::read(&bytes, Some(&accounts())).diagnostics;
        let path = printable(&path.display().to_string());
        return Ok(vec![Judged { path, bytes, diagnostics }]);
    }
    let parsed = parse(path, &bytes)?;
    let path = printable(&path.display().to_string());
    Ok(vec![Judged { path, bytes, diagnostics: parsed.diagnostics }])
}

/// Returns who there is on this machine.
fn accounts() -> Accounts {
    let (users, groups) = sys::users::names(Path::new("/"));
    let texts = |names: Vec<Vec<u8>>| names.into_iter().map(Text::from).collect();
    Accounts { users: texts(users), groups: texts(groups) }
}

/// Reads a job file as the daemon would.
pub fn read_job(path: &Path) -> Result<Parsed, String> {
    parse(path, &bytes(path)?)
}

fn bytes(path: &Path) -> Result<Vec<u8>, String> {
    let why = |error: std::io::Error| format!("cannot be read: {}", connect::words(&error));
    let length = std::fs::metadata(path).map_err(why)?.len();
    if length > FILE_MAX {
        return Err(format!("has {length} bytes; a job file has at most {FILE_MAX}"));
    }
    std::fs::read(path).map_err(why)
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Parsed, String> {
    let stem = path.file_stem().unwrap_or_default();
    let name = JobName::try_from(Text::from(stem.as_bytes()))
        .map_err(|error| format!("cannot be a job: {error}"))?;
    Ok(dialect::upstart::parse(name, bytes))
}

/// Returns what is to be said of Supervisor's programs, for each file that was read. A file without
/// `[supervisord]` is looked at as one that another includes.
fn programs(path: &Path, bytes: &[u8]) -> Vec<Judged> {
    let extent = supervisord::extent_of(bytes);
    let config = supervisord::read(path, bytes, extent);
    let mut files: Vec<Judged> = Vec::new();
    for source in config.files {
        let path = printable(&source.path);
        files.push(Judged { path, bytes: source.bytes, diagnostics: Vec::new() });
    }
    for remark in config.remarks {
        if let Some(file) = files.get_mut(remark.file) {
            file.diagnostics.push(remark.diagnostic);
        }
    }
    for file in &mut files {
        file.diagnostics.sort_by_key(|one| one.place.start);
    }
    files
}
