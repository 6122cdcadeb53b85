//! From files to jobs: parsing, and what is said about what does not parse.

use super::catalogue::Said;
use super::sources;
use engine::dialect::upstart::{apply_override, parse};
use engine::dialect::{Parsed, Severity};
use engine::machine::Level;
use engine::names::JobName;
use engine::spec::JobSpec;
use shown::words::system as words;
use std::io;
use std::path::Path;
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
pub fn read_job(name: &JobName, conf: &Path, over: Option<&Path>, said: &mut Said) -> Read {
    let text = match read(conf, said) {
        Ok(Some(text)) => text,
        Ok(None) => return Read::Gone,
        Err(why) => return Read::Broken { why, without: None },
    };
    if name.is_reserved() {
        let (shown, group) = (conf.display(), JobName::RESERVED);
        let why = format!("{shown}: the group {group} is Upright's own; give the job another name");
        said.push((Level::Error, why.clone()));
        return Read::Broken { why, without: None };
    }
    let parsed = parse(name.clone(), &text);
    if let Some(why) = tell(&parsed, conf, said) {
        return Read::Broken { why, without: None };
    }
    let Some(over) = over else { return Read::Good(Arc::new(parsed.spec)) };
    let without = || Some(Arc::new(parsed.spec.clone()));
    let text = match read(over, said) {
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

fn read(path: &Path, said: &mut Said) -> Result<Option<Vec<u8>>, String> {
    match sources::read(path) {
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
