//! Files that take the places of others all at once, and give them back.
//!
//! Each new one is written beside its place and on the disk before the first takes it. What was there keeps its
//! inode under another name until all is well, so that what comes back is what was there.

use super::proposed::Replacements;
use shown::words::system;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{chown, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// What a file's name has behind it until it takes its place, and after it has given it up. No walk takes either
/// for a job file, and no pattern of an include finds what begins with a dot.
pub const NEW: &str = "upright-new";
pub const OLD: &str = "upright-old";

/// What was done, in its order.
#[derive(Debug, Default)]
pub struct Written {
    done: Vec<Done>,
}

#[derive(Debug)]
enum Done {
    /// A directory was made.
    Directory(PathBuf),
    /// A new file was written beside its place.
    Staged(PathBuf),
    /// What was there has another name, too.
    Kept { place: PathBuf, old: PathBuf },
    /// There is a file where there was none.
    Made(PathBuf),
}

/// Writes what is to stand elsewhere, and removes what is to go: all of it, or nothing.
pub fn write(files: &Replacements) -> Result<Written, String> {
    let mut written = Written::default();
    match written.replace(files) {
        Ok(()) => Ok(written),
        Err(why) => {
            let undone = written.undo();
            Err(undone.err().map_or(why.clone(), |worse| format!("{why}; and {worse}")))
        }
    }
}

/// Returns what an apply has left that did not come to its end.
pub fn leftovers<'a>(directories: impl Iterator<Item = &'a Path>) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for directory in directories {
        let entries = fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok);
        let ours = entries.map(|entry| entry.path()).filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            name.starts_with('.') && (name.ends_with(NEW) || name.ends_with(OLD))
        });
        found.extend(ours);
    }
    found.sort();
    found.dedup();
    found
}

impl Written {
    fn replace(&mut self, files: &Replacements) -> Result<(), String> {
        let mut staged = Vec::new();
        for (place, one) in files {
            // What a link leads to is what is replaced.
            let target = match one.from {
                Some(_) => fs::canonicalize(place).unwrap_or_else(|_| place.clone()),
                None => place.clone(),
            };
            if let Some((from, text)) = &one.from {
                self.directories(&target)?;
                let new = beside(&target, NEW);
                stage(&new, &target, from, text).map_err(|error| why(&new, &error))?;
                self.done.push(Done::Staged(new.clone()));
                staged.push((target, Some(new)));
            } else {
                staged.push((target, None));
            }
        }
        for (target, new) in staged {
            let old = beside(&target, OLD);
            match keep(&target, &old) {
                Ok(()) => self.done.push(Done::Kept { place: target.clone(), old }),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.done.push(Done::Made(target.clone()));
                }
                Err(error) => return Err(why(&target, &error)),
            }
            let done = match &new {
                Some(new) => fs::rename(new, &target),
                None => fs::remove_file(&target),
            };
            done.and_then(|()| sync(&target)).map_err(|error| why(&target, &error))?;
        }
        Ok(())
    }

    fn directories(&mut self, target: &Path) -> Result<(), String> {
        let mut missing: Vec<&Path> =
            target.ancestors().skip(1).take_while(|above| !above.exists()).collect();
        missing.reverse();
        for directory in missing {
            fs::create_dir(directory).map_err(|error| why(directory, &error))?;
            self.done.push(Done::Directory(directory.to_path_buf()));
        }
        Ok(())
    }

    /// Gives every place back to what was there.
    pub fn undo(self) -> Result<(), String> {
        let mut worst = Ok(());
        for done in self.done.into_iter().rev() {
            let undone = match &done {
                Done::Directory(path) => fs::remove_dir(path),
                Done::Staged(path) | Done::Made(path) => match fs::remove_file(path) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                    other => other,
                },
                Done::Kept { place, old } => fs::rename(old, place).and_then(|()| sync(place)),
            };
            if let Err(error) = undone {
                let (Done::Directory(path)
                | Done::Staged(path)
                | Done::Made(path)
                | Done::Kept { place: path, .. }) = &done;
                worst = Err(format!("what was there cannot come back: {}", why(path, &error)));
            }
        }
        worst
    }

    /// All is well: forgets what was there.
    pub fn settle(self) {
        for done in &self.done {
            if let Done::Kept { old, .. } = done {
                // One that stays is named by the next plan.
                let _ = fs::remove_file(old);
            }
        }
    }
}

fn beside(place: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(place.file_name().unwrap_or(OsStr::new("")));
    name.push(".");
    name.push(end);
    place.with_file_name(name)
}

/// Gives what is there another name, too; where there can be only one, a copy.
fn keep(place: &Path, old: &Path) -> io::Result<()> {
    let _ = fs::remove_file(old);
    match fs::hard_link(place, old) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            fs::copy(place, old)?;
            like(old, &fs::metadata(place)?)
        }
        other => other,
    }
}

/// Writes a file beside its place, with mode and owner of what is there, else with the mode of where it came from.
fn stage(new: &Path, target: &Path, from: &Path, text: &[u8]) -> io::Result<()> {
    let _ = fs::remove_file(new);
    let mut file: File = OpenOptions::new().write(true).create_new(true).mode(0o600).open(new)?;
    file.write_all(text)?;
    match fs::metadata(target) {
        Ok(there) => like(new, &there)?,
        Err(_) => {
            let mode = fs::metadata(from)?.permissions().mode() & 0o777;
            fs::set_permissions(new, PermissionsExt::from_mode(mode))?;
        }
    }
    file.sync_all()
}

fn like(path: &Path, there: &fs::Metadata) -> io::Result<()> {
    let own = fs::metadata(path)?;
    if (own.uid(), own.gid()) != (there.uid(), there.gid()) {
        chown(path, Some(there.uid()), Some(there.gid()))?;
    }
    fs::set_permissions(path, PermissionsExt::from_mode(there.mode() & 0o7777))
}

fn sync(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

fn why(path: &Path, error: &io::Error) -> String {
    format!("{}: {}", path.display(), system(error))
}

#[cfg(test)]
mod tests {
    use super::super::proposed::Replacement;
    use super::*;
    use crate::scratch::Scratch;
    use std::collections::BTreeMap;

    fn contents(directory: &Path) -> BTreeMap<String, String> {
        let entries = fs::read_dir(directory).unwrap().map(Result::unwrap);
        let files = entries.filter(|entry| entry.path().is_file());
        let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
        files.map(|one| (name(&one.path()), fs::read_to_string(one.path()).unwrap())).collect()
    }

    fn to(files: &[(&Path, Option<&str>)], from: &Path) -> Replacements {
        let one = |text: &Option<&str>| Replacement {
            from: text.map(|text| (from.to_path_buf(), text.as_bytes().to_vec())),
        };
        files.iter().map(|(path, text)| (path.to_path_buf(), one(text))).collect()
    }

    #[test]
    fn what_is_written_can_be_taken_back_to_the_same_files_and_leaves_nothing() {
        let there = Scratch::directory("writing-back");
        let (a, b, c) = (there.join("a.conf"), there.join("b.conf"), there.join("net/c.conf"));
        fs::write(&a, "a").unwrap();
        fs::write(&b, "b").unwrap();
        fs::set_permissions(&a, PermissionsExt::from_mode(0o640)).unwrap();
        let (before, inode) = (contents(&there), fs::metadata(&a).unwrap().ino());
        let files = to(&[(&a, Some("x")), (&b, None), (&c, Some("y"))], &a);
        let written = write(&files).unwrap();
        assert_eq!((fs::read_to_string(&a).unwrap(), b.exists()), ("x".into(), false));
        assert_eq!(fs::metadata(&a).unwrap().mode() & 0o777, 0o640);
        assert_eq!(fs::read_to_string(&c).unwrap(), "y");
        assert_eq!(leftovers([&*there].into_iter()).len(), 2);
        written.undo().unwrap();
        assert_eq!((contents(&there), fs::metadata(&a).unwrap().ino()), (before, inode));
        assert!(!there.join("net").exists());
        write(&files).unwrap().settle();
        assert_eq!(contents(&there), BTreeMap::from([("a.conf".into(), "x".into())]));
    }

    #[test]
    fn where_one_cannot_be_written_none_is() {
        let there = Scratch::directory("writing-none");
        let (a, b) = (there.join("a.conf"), there.join("b.conf/x.conf"));
        fs::write(&a, "a").unwrap();
        fs::write(there.join("b.conf"), "b").unwrap();
        let before = contents(&there);
        let refused = write(&to(&[(&a, Some("x")), (&b, Some("y"))], &a)).unwrap_err();
        assert!(refused.contains("x.conf"), "{refused}");
        assert_eq!(contents(&there), before);
    }
}
