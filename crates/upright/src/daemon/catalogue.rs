//! Every job with its files, which of them have changed, and what they come to. Source: spec 2.1 to
//! 2.6.

use super::loading::{self, Mistaken, Read};
use super::sources::{self, Identity, Kind, Seen};
use crate::proposal::Proposal;
use engine::machine::Level;
use engine::names::JobName;
use engine::packed::pack_together;
use engine::plan::Jobs;
use engine::text::Text;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is said of a file.
pub type Said = Vec<(Level, String)>;

/// The files of all jobs. What is in them is not kept.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    sources: Vec<PathBuf>,
    jobs: BTreeMap<JobName, Entry>,
    /// Jobs whose files have changed and have not been read.
    dirty: BTreeSet<JobName>,
    /// Jobs whose files cannot be used, and why.
    broken: BTreeMap<JobName, String>,
}

#[derive(Clone, Debug, Default)]
struct Entry {
    files: Files,
    /// The source that its description is from.
    origin: Option<u32>,
}

/// The files of a job, in the order of the sources. Nearly all have one.
#[derive(Clone, Debug)]
enum Files {
    One(Seen),
    Some(Box<[Seen]>),
}

impl Files {
    fn all(&self) -> &[Seen] {
        match self {
            Files::One(seen) => std::slice::from_ref(seen),
            Files::Some(seen) => seen,
        }
    }
}

impl Default for Files {
    fn default() -> Files {
        Files::Some(Box::default())
    }
}

impl From<Vec<Seen>> for Files {
    fn from(seen: Vec<Seen>) -> Files {
        match <[Seen; 1]>::try_from(seen) {
            Ok([seen]) => Files::One(seen),
            Err(seen) => Files::Some(seen.into()),
        }
    }
}

impl Catalogue {
    /// Returns a catalogue of these sources in which nothing is known.
    pub fn new(sources: Vec<PathBuf>) -> Catalogue {
        Catalogue { sources, ..Catalogue::default() }
    }

    /// Gives up the memory that reading many files has left half used.
    pub fn rest(&mut self) {
        pack_together(&mut self.jobs);
    }

    /// Returns the sources in their order.
    pub fn sources(&self) -> &[PathBuf] {
        &self.sources
    }

    /// Reports whether everything that changed has been read.
    pub fn is_settled(&self) -> bool {
        self.dirty.is_empty()
    }

    /// Returns why the file of a job cannot be used, where the last good description stands.
    pub fn trouble(&self, name: &JobName) -> Option<&str> {
        self.broken.get(name).map(String::as_str)
    }

    /// Returns the files that a job's description is from: its own, and the one that changes it.
    pub fn files_of(&self, name: &JobName) -> Vec<Text> {
        let Some(entry) = self.jobs.get(name) else { return Vec::new() };
        let Some(origin) = entry.origin else { return Vec::new() };
        let all = entry.files.all();
        let conf = all.iter().find(|seen| seen.kind == Kind::Conf && seen.source == origin);
        let over = all.iter().find(|seen| seen.kind == Kind::Override && seen.source <= origin);
        let file = |seen: &Seen| {
            let path = sources::path_of(path(&self.sources, seen.source)?, name, seen.kind);
            // Whoever reads it may stand in another directory.
            let path = std::path::absolute(&path).unwrap_or(path);
            Some(Text::from(path.into_os_string().into_vec()))
        };
        conf.into_iter().chain(over).filter_map(file).collect()
    }

    /// Walks a source again: jobs whose files there are not as they were have changed.
    pub fn walk(&mut self, number: usize, said: &mut Said, enter: &mut dyn FnMut(&Path)) {
        let Ok(number) = u32::try_from(number) else { return };
        let Some(source) = path(&self.sources, number) else { return };
        let walked = sources::walk(source, number, enter);
        said.extend(walked.troubles.into_iter().map(|trouble| (Level::Error, trouble)));
        let mut found = walked.jobs;
        let had = self.jobs.iter().filter(|(_, entry)| entry.files.all().iter().any(of(number)));
        for name in had.map(|(name, _)| name) {
            if !found.contains_key(name) {
                found.insert(name.clone(), Vec::new());
            }
        }
        for (name, files) in found {
            self.note(&name, files, |seen| seen.source == number);
        }
    }

    /// Returns the catalogue as it would be were all sources walked now, with files as they are proposed.
    pub fn proposed(&self, over: &Proposal, said: &mut Said) -> Catalogue {
        let mut catalogue = self.clone();
        (0..self.sources.len()).for_each(|number| catalogue.walk(number, said, &mut |_| {}));
        for (path, there) in over.paths() {
            for (number, source) in (0_u32..).zip(&self.sources) {
                let Some((name, kind)) = sources::place_of(source, path) else { continue };
                let identity = Identity::PROPOSED;
                let seen = Seen { source: number, kind, identity, settled: true };
                let same = |seen: &Seen| seen.source == number && seen.kind == kind;
                catalogue.note(&name, there.then_some(seen).into_iter().collect(), same);
                catalogue.dirty.insert(name);
            }
        }
        catalogue
    }

    /// Returns the jobs that have files.
    pub fn names(&self) -> impl Iterator<Item = &JobName> {
        self.jobs.iter().filter(|(_, entry)| !entry.files.all().is_empty()).map(|(name, _)| name)
    }

    /// Reports whether the files of a job have changed and have not been read.
    pub fn is_dirty(&self, name: &JobName) -> bool {
        self.dirty.contains(name)
    }

    /// Returns what is wrong with the files that a job's description would be read from.
    pub fn judge(&self, name: &JobName, over: &Proposal) -> Option<Mistaken> {
        let all = self.jobs.get(name)?.files.all();
        let conf = all.iter().find(|seen| seen.kind == Kind::Conf)?;
        let changed_by = all.iter().find(|seen| seen.kind == Kind::Override);
        let changed_by = changed_by.filter(|seen| seen.source <= conf.source);
        let file = |seen: &Seen| {
            Some(sources::path_of(path(&self.sources, seen.source)?, name, seen.kind))
        };
        let changed_by = changed_by.and_then(file);
        loading::judge(name, &file(conf)?, changed_by.as_deref(), over)
    }

    /// Looks at one file again.
    pub fn look(&mut self, number: usize, relative: &Path) {
        let Ok(number) = u32::try_from(number) else { return };
        let Some(source) = path(&self.sources, number) else { return };
        let Some((name, kind)) = sources::job_of(relative) else { return };
        let seen = sources::look(source, number, &name, kind);
        let same = |seen: &Seen| seen.source == number && seen.kind == kind;
        self.note(&name, seen.into_iter().collect(), same);
    }

    /// Looks again at the files of one job, where it has some; an override may have come to them. Reports
    /// whether they have changed, and then takes the job to be read.
    pub fn look_again(&mut self, name: &JobName) -> bool {
        let Some(entry) = self.jobs.get(name) else { return false };
        let had: BTreeSet<u32> = entry.files.all().iter().map(|seen| seen.source).collect();
        for number in had {
            let Some(source) = path(&self.sources, number) else { continue };
            let kinds: &[Kind] =
                if source.is_dir() { &[Kind::Conf, Kind::Override] } else { &[Kind::Conf] };
            let now = kinds.iter().filter_map(|kind| sources::look(source, number, name, *kind));
            let now: Vec<Seen> = now.collect();
            self.note(name, now, |seen| seen.source == number && kinds.contains(&seen.kind));
        }
        self.dirty.remove(name)
    }

    /// Takes over what is there now of those files of a job that are meant.
    fn note(&mut self, name: &JobName, now: Vec<Seen>, meant: impl Fn(&Seen) -> bool) {
        let entry = self.jobs.entry(name.clone()).or_default();
        let (mut before, others): (Vec<Seen>, Vec<Seen>) =
            entry.files.all().iter().partition(|seen| meant(seen));
        before.sort_by_key(|seen| (seen.source, seen.kind));
        let mut after = now;
        after.sort_by_key(|seen| (seen.source, seen.kind));
        let same = before.len() == after.len()
            && before.iter().zip(&after).all(|(old, new)| {
                old.kind == new.kind && old.identity == new.identity && old.settled
            });
        if !same || self.broken.contains_key(name) {
            self.dirty.insert(name.clone());
        }
        let mut files: Vec<Seen> = others.into_iter().chain(after).collect();
        files.sort_by_key(|seen| (seen.source, seen.kind));
        entry.files = files.into();
    }

    /// Marks jobs that are known elsewhere and have no file: they are to be forgotten.
    pub fn miss<'a>(&mut self, known: impl Iterator<Item = &'a JobName>) {
        for name in known {
            if self.jobs.get(name).is_none_or(|entry| entry.files.all().is_empty()) {
                self.dirty.insert(name.clone());
            }
        }
    }

    /// Returns some of the jobs that have changed and takes them to be read.
    pub fn take_dirty(&mut self, most: usize) -> Vec<JobName> {
        let mut names = Vec::new();
        while names.len() < most {
            let Some(name) = self.dirty.pop_first() else { break };
            names.push(name);
        }
        names
    }

    /// Reads the files of jobs. `old` is what they are now: where a file that was good cannot be
    /// used any more, that stands.
    pub fn read(
        &mut self,
        names: &[JobName],
        old: &Jobs,
        over: &Proposal,
        said: &mut Said,
    ) -> Jobs {
        let mut new = Jobs::new();
        for name in names {
            if let Some(mut spec) = self.read_one(name, old, over, said) {
                // At once, so that the next one's reading has the memory.
                if let (Some(own), Some((_, like))) =
                    (Arc::get_mut(&mut spec), new.last_key_value())
                {
                    own.share(like);
                }
                new.insert(name.clone(), spec);
            }
            if self.jobs.get(name).is_some_and(|entry| entry.files.all().is_empty()) {
                self.jobs.remove(name);
            }
        }
        new
    }

    fn read_one(
        &mut self,
        name: &JobName,
        old: &Jobs,
        proposal: &Proposal,
        said: &mut Said,
    ) -> Option<Arc<engine::spec::JobSpec>> {
        self.broken.remove(name);
        let entry = self.jobs.get_mut(name)?;
        let confs = entry.files.all().iter().filter(|seen| seen.kind == Kind::Conf);
        for number in confs.map(|seen| seen.source) {
            let file = |number: u32, kind: Kind| {
                path(&self.sources, number).map(|source| sources::path_of(source, name, kind))
            };
            let Some(conf) = file(number, Kind::Conf) else { continue };
            let over = entry.files.all().iter().find(|seen| seen.kind == Kind::Override);
            let over = over.filter(|seen| seen.source <= number);
            let over = over.and_then(|seen| file(seen.source, Kind::Override));
            let stands = old.get(name).filter(|_| entry.origin.is_none_or(|from| from == number));
            match loading::read_job(name, &conf, over.as_deref(), proposal, said) {
                Read::Good(spec) => {
                    entry.origin = Some(number);
                    return Some(spec);
                }
                Read::Gone => {}
                Read::Broken { why, without } => {
                    if let Some(old) = stands {
                        self.broken.insert(name.clone(), why);
                        return Some(old.clone());
                    }
                    if let Some(spec) = without {
                        entry.origin = Some(number);
                        return Some(spec);
                    }
                }
            }
        }
        None
    }
}

fn path(sources: &[PathBuf], number: u32) -> Option<&Path> {
    sources.get(usize::try_from(number).ok()?).map(PathBuf::as_path)
}

fn of(number: u32) -> impl Fn(&Seen) -> bool {
    move |seen| seen.source == number
}
