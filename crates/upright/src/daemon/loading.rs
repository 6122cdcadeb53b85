//! From files to jobs: parsing, and what is said about what does not parse.

use super::catalogue::Said;
use super::sources;
use crate::proposal::Proposal;
use engine::dialect::upstart::{apply_override, parse};
use engine::dialect::{Diagnostic, Parsed, Severity};
use engine::machine::Level;
use engine::names::JobName;
use engine::spec::JobSpec;
use shown::words::system as words;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What the files of a job came to.
pub enum Read {
    /// This.
    Good(Arc<JobSpec>),
    /// The file is not there any more.
    Gone,
    /// A file cannot be used.
    Broken {
        /// Which and why, in one line.
        why: String,
        /// The job without its override, where it is the override that cannot be used: a broken
        /// override is not applied at all, and never half of it (spec 15, row 17).
        without: Option<Arc<JobSpec>>,
    },
}

/// Reads a job file and the override that applies.
pub fn read_job(
    name: &JobName,
    conf: &Path,
    over: Option<&Path>,
    proposal: &Proposal,
    said: &mut Said,
) -> Read {
    let text = match read(conf, proposal, said) {
        Ok(Some(text)) => text,
        Ok(None) => return Read::Gone,
        Err(why) => return Read::Broken { why, without: None },
    };
    if name.is_reserved() {
        let why = reserved(conf);
        said.push((Level::Error, why.clone()));
        return Read::Broken { why, without: None };
    }
    let parsed = parse(name.clone(), &text);
    if let Some(why) = tell(&parsed, conf, said) {
        return Read::Broken { why, without: None };
    }
    let Some(over) = over else { return Read::Good(Arc::new(parsed.spec)) };
    let without = || Some(Arc::new(parsed.spec.clone()));
    let text = match read(over, proposal, said) {
        Ok(Some(text)) => text,
        Ok(None) => return Read::Good(Arc::new(parsed.spec)),
        Err(why) => return Read::Broken { why, without: without() },
    };
    let overridden = apply_override(&parsed.spec, &text);
    match tell(&overridden, over, said) {
        Some(why) => Read::Broken { why, without: without() },
        None => Read::Good(Arc::new(overridden.spec)),
    }
}

/// Reads a file as it is proposed, else as it is.
fn bytes(path: &Path, proposal: &Proposal) -> io::Result<Vec<u8>> {
    match proposal.get(path) {
        Some(Some(text)) => Ok(text.to_vec()),
        Some(None) => Err(io::ErrorKind::NotFound.into()),
        None => sources::read(path),
    }
}

/// What is wrong with a file of a job.
pub struct Mistaken {
    /// The file.
    pub path: PathBuf,
    /// Its mistakes, each at its place.
    pub mistakes: Vec<Diagnostic>,
    /// Why it cannot be used, where no place of it is to blame.
    pub why: Option<String>,
}

/// Returns what is wrong with a job file, or with the override that applies.
pub fn judge(
    name: &JobName,
    conf: &Path,
    over: Option<&Path>,
    proposal: &Proposal,
) -> Option<Mistaken> {
    let wrong = |path: &Path, why: Option<String>, mistakes: Vec<Diagnostic>| {
        let errors = mistakes.iter().any(|one| one.severity == Severity::Error);
        (errors || why.is_some()).then(|| Mistaken { path: path.to_path_buf(), mistakes, why })
    };
    let read = |path: &Path| match bytes(path, proposal) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(wrong(path, Some(words(&error)), Vec::new())),
    };
    let text = match read(conf) {
        Ok(text) => text?,
        Err(mistaken) => return mistaken,
    };
    if name.is_reserved() {
        return wrong(conf, Some(reserved(conf)), Vec::new());
    }
    let parsed = parse(name.clone(), &text);
    let mistaken = wrong(conf, None, parsed.diagnostics);
    let (None, Some(over)) = (&mistaken, over) else { return mistaken };
    match read(over) {
        Ok(text) => wrong(over, None, apply_override(&parsed.spec, &text?).diagnostics),
        Err(mistaken) => mistaken,
    }
}

fn reserved(conf: &Path) -> String {
    let (shown, group) = (conf.display(), JobName::RESERVED);
    format!("{shown}: the group {group} is Upright's own; give the job another name")
}

fn read(path: &Path, proposal: &Proposal, said: &mut Said) -> Result<Option<Vec<u8>>, String> {
    match bytes(path, proposal) {
        Ok(text) => Ok(Some(text)),
        // Gone since it was found: that will be told too.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            let (shown, why) = (path.display(), words(&error));
            let line = format!("{shown}: Error while loading configuration file: {why}");
            said.push((Level::Error, line.clone()));
            Err(line)
        }
    }
}

/// Says the errors in the one-line form that scripts parse: the first as the original says it, the
/// others too; warnings where somebody listens. Returns the first error.
fn tell(parsed: &Parsed, path: &Path, said: &mut Said) -> Option<String> {
    let shown = path.display().to_string();
    for diagnostic in &parsed.diagnostics {
        let level = match diagnostic.severity {
            Severity::Error => Level::Error,
            Severity::Warning => Level::Info,
            Severity::Hint => Level::Debug,
        };
        said.push((level, diagnostic.one_line(&shown)));
    }
    parsed.error().map(|error| error.one_line(&shown))
}
