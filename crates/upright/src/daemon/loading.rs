//! From files to jobs: parsing, and what is said about what does not parse.

use super::sources::{self, Files, Found};
use engine::dialect::upstart::{apply_override, parse};
use engine::dialect::{Parsed, Severity};
use engine::machine::{Input, Level};
use engine::names::JobName;
use engine::spec::JobSpec;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What reading the directories came to.
#[derive(Debug, Default)]
pub struct Loaded {
    /// What the machine is told, in the order of the jobs' names.
    pub inputs: Vec<Input>,
    /// What is said.
    pub said: Vec<(Level, String)>,
}

/// Reads all job files. A job in `known` whose file is gone, or does not parse any more, is removed.
/// Source: spec 2.4, 2.5.
pub fn load<'a>(directories: &[PathBuf], known: impl Iterator<Item = &'a JobName>) -> Loaded {
    let Found { jobs, troubles } = sources::find(directories);
    let mut loaded = Loaded::default();
    loaded.said.extend(troubles.into_iter().map(|trouble| (Level::Error, trouble)));
    let mut defined: BTreeMap<JobName, Arc<JobSpec>> = BTreeMap::new();
    for (name, files) in jobs {
        if let Some(spec) = read_job(&name, &files, &mut loaded.said) {
            defined.insert(name, Arc::new(spec));
        }
    }
    for name in known {
        if !defined.contains_key(name) {
            loaded.inputs.push(Input::Remove(name.clone()));
        }
    }
    loaded.inputs.extend(defined.into_values().map(Input::Define));
    loaded
}

fn read_job(name: &JobName, files: &Files, said: &mut Vec<(Level, String)>) -> Option<JobSpec> {
    let text = read(&files.conf, said)?;
    let parsed = parse(name.clone(), &text);
    tell(&parsed, &files.conf, said);
    if parsed.error().is_some() {
        return None;
    }
    let Some(over) = &files.over else { return Some(parsed.spec) };
    let Some(text) = read(over, said) else { return Some(parsed.spec) };
    let overridden = apply_override(&parsed.spec, &text);
    tell(&overridden, over, said);
    // A broken override is not applied at all, and never half of it.
    match overridden.error() {
        None => Some(overridden.spec),
        Some(_) => Some(parsed.spec),
    }
}

fn read(path: &Path, said: &mut Vec<(Level, String)>) -> Option<Vec<u8>> {
    match sources::read(path) {
        Ok(text) => Some(text),
        Err(error) => {
            let shown = path.display();
            let line = format!("{shown}: Error while loading configuration file: {error}");
            said.push((Level::Error, line));
            None
        }
    }
}

/// Says the errors in the one-line form that scripts parse: the first as the original says it, the
/// others too; warnings where somebody listens.
fn tell(parsed: &Parsed, path: &Path, said: &mut Vec<(Level, String)>) {
    let shown = path.display().to_string();
    for diagnostic in &parsed.diagnostics {
        let level = match diagnostic.severity {
            Severity::Error => Level::Error,
            Severity::Warning => Level::Info,
            Severity::Hint => Level::Debug,
        };
        said.push((level, diagnostic.one_line(&shown)));
    }
}
