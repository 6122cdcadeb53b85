//! The directories of job files, watched. Source: spec 2.3.
//!
//! Changes are collected until it has been quiet for a moment, but never for long: a storm of them
//! is one change, and one that never ends is looked at again and again.

use super::sources;
use engine::time::{Mono, Span};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use sys::watch::{Event, Watch, WatchId, What};
use sys::Errno;

/// For how long nothing must have happened.
const QUIET: Span = Span::millis(50);

/// How long a change waits at most.
const LATEST: Span = Span::millis(500);

/// A source of which more files than this have changed is walked as a whole.
const FILES_MAX: usize = 1024;

/// How many batches of events are taken in one turn.
const BATCHES: usize = 4;

/// What a watched directory is to a source.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// One of its directories, by its path in it.
    Within(usize, PathBuf),
    /// The nearest there is above a source that is not there, and the entry that leads to it.
    Above(usize, OsString),
}

impl Place {
    fn source(&self) -> usize {
        match self {
            Place::Within(source, _) | Place::Above(source, _) => *source,
        }
    }
}

/// What has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// Files, by source and path in it.
    pub files: BTreeSet<(usize, PathBuf)>,
    /// Sources that have to be walked.
    pub walks: BTreeSet<usize>,
    /// Sources that were deleted or moved away, whatever is there now.
    pub lost: BTreeSet<usize>,
    /// Those of them that were moved.
    pub moved: BTreeSet<usize>,
}

/// The watched directories.
#[derive(Debug, Default)]
pub struct Watching {
    watch: Option<Watch>,
    /// Why nothing can be watched.
    refused: Option<Errno>,
    places: BTreeMap<WatchId, Vec<Place>>,
    /// What the paths of each source begin with.
    roots: BTreeMap<usize, PathBuf>,
    changed: Changed,
    /// When the first and the last of the changes came that are not settled.
    since: Option<(Mono, Mono)>,
}

impl Watching {
    /// Begins to watch nothing.
    pub fn new() -> Watching {
        match Watch::new() {
            Ok(watch) => Watching { watch: Some(watch), ..Watching::default() },
            Err(errno) => Watching { refused: Some(errno), ..Watching::default() },
        }
    }

    /// Returns the descriptor to wait for.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.watch.as_ref().map(Watch::fd)
    }

    /// Forgets what is watched of a source that is about to be walked.
    pub fn leave(&mut self, source: usize) {
        self.places.values_mut().for_each(|places| places.retain(|one| one.source() != source));
    }

    /// Watches a directory of a source.
    pub fn enter(&mut self, source: usize, root: &Path, relative: &Path) -> Result<(), Errno> {
        self.roots.insert(source, root.to_path_buf());
        let place = Place::Within(source, relative.to_path_buf());
        self.add(&root.join(relative), place)
    }

    /// Watches for a source that is not there.
    pub fn await_source(&mut self, source: usize, path: &Path) -> Result<(), Errno> {
        let Ok(path) = std::path::absolute(path) else { return Ok(()) };
        let mut missing = path.as_path();
        while let (Some(above), Some(name)) = (missing.parent(), missing.file_name()) {
            match self.add(above, Place::Above(source, name.to_owned())) {
                Err(Errno::NOENT | Errno::NOTDIR) => missing = above,
                // Made meanwhile: it is walked after all.
                Ok(()) if missing.exists() => {
                    let now = sys::clock::monotonic();
                    self.changed.walks.insert(source);
                    self.since.get_or_insert((now, now));
                    return Ok(());
                }
                added => return added,
            }
        }
        Ok(())
    }

    fn add(&mut self, path: &Path, place: Place) -> Result<(), Errno> {
        let Some(watch) = &self.watch else { return Err(self.refused.unwrap_or(Errno::NOSYS)) };
        let places = self.places.entry(watch.add(path)?).or_default();
        if !places.contains(&place) {
            places.push(place);
        }
        Ok(())
    }

    /// Watches no more what no source needs.
    pub fn prune(&mut self) {
        let Some(watch) = &self.watch else { return };
        self.places.retain(|id, places| {
            if places.is_empty() {
                watch.remove(*id);
            }
            !places.is_empty()
        });
    }

    /// Takes what has happened.
    pub fn hear(&mut self, now: Mono) {
        for _ in 0..BATCHES {
            let events = match self.watch.as_ref().map(Watch::take) {
                Some(Ok(events)) => events,
                Some(Err(_)) | None => return,
            };
            if events.is_empty() {
                return;
            }
            events.iter().for_each(|event| self.note(event));
            if self.changed != Changed::default() {
                let first = self.since.map_or(now, |(first, _)| first);
                self.since = Some((first, now));
            }
        }
    }

    fn note(&mut self, event: &Event) {
        if event.what == What::Overflow {
            let all = self.places.values().flatten().map(Place::source);
            self.changed.walks.extend(all);
            return;
        }
        let Some(places) = self.places.get(&event.watch).cloned() else { return };
        for place in &places {
            match place {
                Place::Above(source, name) if event.name == name.as_bytes() => {
                    self.changed.walks.insert(*source);
                }
                Place::Above(source, _)
                    if matches!(event.what, What::Deleted | What::MovedAway) =>
                {
                    self.changed.walks.insert(*source);
                }
                Place::Above(..) => {}
                Place::Within(source, directory) => self.within(event, *source, directory),
            }
        }
        if event.what == What::Ended {
            self.places.remove(&event.watch);
        }
    }

    fn within(&mut self, event: &Event, source: usize, directory: &Path) {
        let relative = directory.join(OsStr::from_bytes(&event.name));
        let root = directory.as_os_str().is_empty();
        match event.what {
            What::Deleted | What::MovedAway => {
                self.changed.walks.insert(source);
                if root {
                    self.changed.lost.insert(source);
                }
                if root && event.what == What::MovedAway {
                    self.changed.moved.insert(source);
                }
            }
            What::Ended | What::Overflow => {}
            What::Made | What::MovedIn | What::Written | What::Gone if event.directory => {
                if !sources::is_debris(&event.name) {
                    self.changed.walks.insert(source);
                }
            }
            What::Written | What::MovedIn | What::Gone if sources::job_of(&relative).is_some() => {
                self.changed.files.insert((source, relative));
            }
            // A file that is made is looked at when it has been written; a link is whole at once.
            What::Made | What::MovedIn => self.made(source, relative),
            What::Gone if self.is_directory(source, &relative) => {
                self.changed.walks.insert(source);
            }
            What::Written | What::Gone => {}
        }
        let files = self.changed.files.len();
        if files > FILES_MAX {
            let all = std::mem::take(&mut self.changed.files);
            self.changed.walks.extend(all.into_iter().map(|(source, _)| source));
        }
    }

    fn made(&mut self, source: usize, relative: PathBuf) {
        let Some(path) = self.roots.get(&source).map(|root| root.join(&relative)) else { return };
        let Ok(metadata) = fs::symlink_metadata(&path) else { return };
        let whole = metadata.is_symlink() || metadata.nlink() > 1;
        if whole && sources::job_of(&relative).is_some() {
            self.changed.files.insert((source, relative));
        } else if metadata.is_symlink() && path.is_dir() {
            self.changed.walks.insert(source);
        }
    }

    /// Reports whether a source had a directory there, perhaps by a link.
    fn is_directory(&self, source: usize, relative: &Path) -> bool {
        self.places.values().flatten().any(|place| match place {
            Place::Within(of, directory) => *of == source && directory == relative,
            Place::Above(..) => false,
        })
    }

    /// Returns when the changes are to be looked at.
    pub fn due(&self) -> Option<Mono> {
        self.since.map(|(first, last)| (last + QUIET).min(first + LATEST))
    }

    /// Returns the changes once they are to be looked at.
    pub fn take(&mut self, now: Mono) -> Option<Changed> {
        self.due().filter(|due| *due <= now)?;
        self.since = None;
        Some(std::mem::take(&mut self.changed))
    }
}
