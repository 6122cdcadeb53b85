//! Which files would stand where: from what is named on a command line to what is proposed.

use crate::daemon::sources::{self, FILE_MAX};
use crate::supervisord;
use engine::control::call::{Call, Proposed};
use engine::control::codec::MESSAGE_MAX;
use engine::glob;
use engine::text::Text;
use engine::view::{SourceKind, SourceView};
use shown::words::{printable, system};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A file that would stand somewhere else than it does, or be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replacement {
    /// The file whose content it would have, and that; none: it would be removed.
    pub from: Option<(PathBuf, Vec<u8>)>,
}

/// What would stand where it does not stand now, by its path.
pub type Replacements = BTreeMap<PathBuf, Replacement>;

/// Returns what is to be replaced so that what is named stands where it belongs. What is there already is
/// left out.
pub fn read(
    given: &[Text],
    into: Option<&Path>,
    sources: &[SourceView],
) -> Result<Replacements, String> {
    let paths: Vec<PathBuf> =
        given.iter().map(|path| absolute(Path::new(OsStr::from_bytes(path.bytes())))).collect();
    let into = into.map(absolute);
    let mut all = Replacements::new();
    let alone = paths.len() == 1;
    for path in &paths {
        match path.is_dir() {
            true if !alone => {
                let shown = path.display();
                return Err(format!(
                    "{shown} is a directory, which stands for the whole content of another: name it alone"
                ));
            }
            true => directory(path, into.as_deref(), sources, &mut all)?,
            false => {
                let text = content(path)?;
                let target = place_of(path, into.as_deref(), sources)?;
                add(&mut all, target, path, text);
            }
        }
    }
    Ok(all)
}

/// Returns the files as the daemon is told of them, where they fit into one call.
pub fn proposed(all: &Replacements) -> Result<Vec<Proposed>, String> {
    let file = |(path, one): (&PathBuf, &Replacement)| Proposed {
        path: Text::from(path.as_os_str().as_bytes()),
        text: one.from.as_ref().map(|(_, text)| Text::from(text.as_slice())),
    };
    let files: Vec<Proposed> = all.iter().map(file).collect();
    let mut wire = Vec::new();
    Call::Plan(files.clone()).encode(&mut wire);
    match wire.len() <= MESSAGE_MAX {
        true => Ok(files),
        false => Err(format!(
            "the files that differ are {} bytes to be sent, of which {MESSAGE_MAX} can be at once; do it in parts",
            wire.len()
        )),
    }
}

/// Notes a file unless it stands there as it is.
fn add(all: &mut Replacements, target: PathBuf, path: &Path, text: Vec<u8>) {
    if target != path && std::fs::read(&target).ok().as_ref() != Some(&text) {
        all.insert(target, Replacement { from: Some((path.to_path_buf(), text)) });
    }
}

/// Lets the files of a directory stand for all of those of a source.
fn directory(
    given: &Path,
    into: Option<&Path>,
    sources: &[SourceView],
    all: &mut Replacements,
) -> Result<(), String> {
    let source = source_of(given, into, sources)?;
    let target = path(&source.path);
    let (new, old) = match source.kind {
        SourceKind::Jobs => (job_files(given), job_files(&target)),
        SourceKind::Programs => {
            let root = target.parent().unwrap_or(Path::new("/")).to_path_buf();
            let name = target.file_name().unwrap_or_default();
            let main = given.join(name);
            let bytes = content(&main)?;
            let extent = supervisord::extent_of(&bytes);
            let config = supervisord::read(&main, &bytes, extent);
            let new = config.files.iter().map(|file| absolute(Path::new(&file.path)));
            let new = new.filter_map(|file| Some((file.strip_prefix(given).ok()?.into(), file)));
            let old = source.files.iter().map(path);
            let old = old.filter_map(|file| Some((file.strip_prefix(&root).ok()?.into(), file)));
            let (new, old): (Files, Files) = (new.collect(), old.collect());
            return replace(&root, new, old, all);
        }
    };
    replace(&target, new, old, all)
}

/// Files by their paths within a directory.
type Files = BTreeMap<PathBuf, PathBuf>;

fn replace(root: &Path, new: Files, old: Files, all: &mut Replacements) -> Result<(), String> {
    for (relative, file) in &new {
        add(all, root.join(relative), file, content(file)?);
    }
    for (relative, file) in old {
        if !new.contains_key(&relative) {
            all.insert(file, Replacement { from: None });
        }
    }
    Ok(())
}

fn job_files(directory: &Path) -> Files {
    let walked = sources::walk(directory, 0, &mut |_| {});
    let files = walked.jobs.iter().flat_map(|(name, seen)| {
        seen.iter().map(|seen| sources::path_of(directory, name, seen.kind))
    });
    files.filter_map(|file| Some((file.strip_prefix(directory).ok()?.into(), file))).collect()
}

/// Returns which source a directory stands for.
fn source_of<'a>(
    given: &Path,
    into: Option<&Path>,
    sources: &'a [SourceView],
) -> Result<&'a SourceView, String> {
    let fits = |source: &&SourceView| {
        let place = path(&source.path);
        match (into, source.kind) {
            (Some(into), SourceKind::Jobs) => place == into,
            (Some(into), SourceKind::Programs) => place == into || place.parent() == Some(into),
            (None, SourceKind::Jobs) => !place.is_file(),
            // One whose configuration it has under that name.
            (None, SourceKind::Programs) => {
                place.file_name().is_some_and(|name| given.join(name).is_file())
            }
        }
    };
    let mut found: Vec<&SourceView> = sources.iter().filter(fits).collect();
    let programs = |source: &&SourceView| source.kind == SourceKind::Programs;
    if into.is_none() && found.iter().filter(|source| programs(source)).count() == 1 {
        found.retain(|source| programs(source));
    }
    match found.as_slice() {
        [one] => Ok(one),
        several => Err(ambiguous(given, into, several, sources)),
    }
}

/// Returns where a file would stand.
fn place_of(file: &Path, into: Option<&Path>, sources: &[SourceView]) -> Result<PathBuf, String> {
    let shown = file.display();
    let name = file.file_name().ok_or_else(|| format!("{shown}: names no file"))?;
    if let Some(into) = into {
        let target = into.join(name);
        let fits = |source: &SourceView| match source.kind {
            SourceKind::Jobs => sources::place_of(&path(&source.path), &target).is_some(),
            SourceKind::Programs => is_of(source, &target),
        };
        return match sources.iter().any(fits) {
            true => Ok(target),
            false => {
                Err(format!("{}: nothing is read from there; {}", target.display(), names(sources)))
            }
        };
    }
    let mut targets: Vec<PathBuf> = match supervisord::is_configuration(file) {
        true => program_places(file, name, sources),
        false => {
            let jobs = sources.iter().filter(|source| source.kind == SourceKind::Jobs);
            let places = jobs.map(|source| path(&source.path)).filter_map(|place| {
                let there = match sources::place_of(&place, file) {
                    Some(_) => file.to_path_buf(),
                    None if place.is_file() => place.clone(),
                    None => place.join(name),
                };
                sources::place_of(&place, &there).map(|_| there)
            });
            places.collect()
        }
    };
    if targets.iter().any(|target| target == file) {
        return Ok(file.to_path_buf());
    }
    // Of several the one that has it.
    if targets.len() > 1 && targets.iter().filter(|target| target.exists()).count() == 1 {
        targets.retain(|target| target.exists());
    }
    targets.dedup();
    match targets.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(format!("{shown}: would be read from nowhere; {}", names(sources))),
        several => {
            let all: Vec<String> = several.iter().map(|one| one.display().to_string()).collect();
            Err(format!("{shown}: could be {}: --into DIR says which", all.join(" or ")))
        }
    }
}

/// Where a configuration, or a file that one includes, may stand.
fn program_places(file: &Path, name: &OsStr, sources: &[SourceView]) -> Vec<PathBuf> {
    let mut places = Vec::new();
    for source in sources.iter().filter(|source| source.kind == SourceKind::Programs) {
        let main = path(&source.path);
        let files = source.files.iter().map(path).chain([main]);
        let own = files.filter(|there| there == file || there.file_name() == Some(name));
        let patterns = source.patterns.iter().filter_map(|pattern| {
            let place = path(pattern).parent()?.join(name);
            is_of(source, &place).then_some(place)
        });
        let found = own.chain(patterns);
        places.extend(found);
    }
    places.sort();
    places.dedup();
    places
}

/// Reports whether a configuration is there, or includes what is there.
fn is_of(source: &SourceView, place: &Path) -> bool {
    let bytes = place.as_os_str().as_bytes();
    path(&source.path) == place
        || source.files.iter().any(|file| path(file) == place)
        || source.patterns.iter().any(|pattern| glob::matches(pattern.bytes(), bytes))
}

fn ambiguous(
    given: &Path,
    into: Option<&Path>,
    several: &[&SourceView],
    sources: &[SourceView],
) -> String {
    let shown = given.display();
    match (into, several) {
        (Some(into), []) => {
            format!("{}: nothing is read from there; {}", into.display(), names(sources))
        }
        (None, []) => format!("{shown}: no directory of job files is read; {}", names(sources)),
        (_, several) => {
            let all: Vec<String> = several.iter().map(|one| printable(&one.path.lossy())).collect();
            let all = all.join(" or ");
            format!("{shown}: could be the content of {all}: --into DIR says which")
        }
    }
}

fn names(sources: &[SourceView]) -> String {
    let all: Vec<String> = sources.iter().map(|one| printable(&one.path.lossy())).collect();
    match all.is_empty() {
        true => String::from("this Upright reads no files"),
        false => format!("this Upright reads {}", all.join(", ")),
    }
}

fn content(path: &Path) -> Result<Vec<u8>, String> {
    let why =
        |error: std::io::Error| format!("{}: cannot be read: {}", path.display(), system(&error));
    let length = std::fs::metadata(path).map_err(why)?.len();
    if length > FILE_MAX {
        return Err(format!("{}: has {length} bytes, at most {FILE_MAX} can be", path.display()));
    }
    std::fs::read(path).map_err(why)
}

fn path(text: &Text) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(text.bytes()))
}

fn absolute(path: &Path) -> PathBuf {
    supervisord::plain(&std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf()))
}
