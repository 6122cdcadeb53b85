//! Compares what the dialects make of real files with what the originals made of them.
//!
//! `corpus [--corpus DIR] --dialect upstart|supervisor|all`. DIR is a corpus of files with a verdict
//! and the original's reading of each; it is not part of the project. Exit status 0 only where every
//! file is identical or stands with its reason in `tests/corpus-differences.tsv`, and every row
//! there about a file of this corpus is needed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

mod original;
mod supervisor;
mod upstart;

/// A difference: the file, the kind of comparison, what differs.
pub struct Difference {
    pub file: String,
    pub kind: &'static str,
    pub reason: String,
}

/// What one dialect's comparison found.
#[derive(Default)]
pub struct Outcome {
    pub differences: Vec<Difference>,
    /// The files that were compared.
    pub files: BTreeSet<String>,
    /// Lines such as `1302/1302 verdicts identical`.
    pub totals: Vec<String>,
}

impl Outcome {
    /// Notes that a file is read otherwise.
    pub fn differ(&mut self, file: &str, kind: &'static str, reason: String) {
        self.differences.push(Difference { file: file.to_owned(), kind, reason });
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("corpus: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<bool, String> {
    let (corpus, dialect) = arguments()?;
    if !corpus.is_dir() {
        return Err(format!("{} is no directory; say where with --corpus", corpus.display()));
    }
    let mut same = true;
    if dialect != "supervisor" {
        let outcome = upstart::compare(&corpus.join("upstart"))?;
        same &= report("upstart", &outcome)?;
    }
    if dialect != "upstart" {
        let outcome = supervisor::compare(&corpus.join("supervisor"))?;
        same &= report("supervisor", &outcome)?;
    }
    Ok(same)
}

fn arguments() -> Result<(PathBuf, String), String> {
    let (mut corpus, mut dialect) = (PathBuf::from("../shared/corpus"), String::from("all"));
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or(format!("{name} wants a value"))?;
        match (name.as_str(), value.as_str()) {
            ("--corpus", _) => corpus = PathBuf::from(value),
            ("--dialect", "upstart" | "supervisor" | "all") => dialect = value,
            _ => {
                return Err(format!(
                    "{name} {value}: --corpus DIR, --dialect upstart|supervisor|all"
                ))
            }
        }
    }
    Ok((corpus, dialect))
}

/// Prints what differs without a reason, reasons that nothing needs, and the totals.
fn report(dialect: &str, outcome: &Outcome) -> Result<bool, String> {
    let reasons = reasons(dialect)?;
    let mut used = BTreeSet::new();
    let mut unexplained = 0;
    for difference in &outcome.differences {
        let Difference { file, kind, reason } = difference;
        let key = (file.clone(), (*kind).to_owned());
        let rule = (String::from("*"), (*kind).to_owned());
        match reasons.get(&key).or(reasons.get(&rule)) {
            Some(why) => {
                println!("{dialect}/{file}: {kind}: {reason} (known: {why})");
                used.insert(key);
            }
            None => {
                println!("{dialect}/{file}: {kind}: {reason}");
                unexplained += 1;
            }
        }
    }
    let unused =
        reasons.keys().filter(|key| !used.contains(*key) && outcome.files.contains(&key.0));
    let unused: Vec<_> = unused.collect();
    for (file, kind) in &unused {
        println!("{dialect}/{file}: {kind}: a reason stands in the list, but nothing differs");
    }
    for total in &outcome.totals {
        println!("{dialect}: {total}");
    }
    Ok(unexplained == 0 && unused.is_empty())
}

/// Reads the known differences of a dialect: `dialect/file<TAB>kind<TAB>reason` lines. The
/// file `*` is a rule for all files.
fn reasons(dialect: &str) -> Result<BTreeMap<(String, String), String>, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus-differences.tsv");
    let mut reasons = BTreeMap::new();
    for line in read(&path)?.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let mut fields = line.split('\t');
        let (Some(file), Some(kind), Some(reason), None) =
            (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            return Err(format!("{}: not `FILE<TAB>KIND<TAB>REASON`: {line}", path.display()));
        };
        if let Some(file) = file.strip_prefix(&format!("{dialect}/")) {
            reasons.insert((file.to_owned(), kind.to_owned()), reason.to_owned());
        }
    }
    Ok(reasons)
}

/// Reads a text file; the error names it.
pub fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}
