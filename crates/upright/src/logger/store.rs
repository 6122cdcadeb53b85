//! A file that is replaced as a whole: after a power cut at any moment there is the old text or the new
//! one. The logger does it, which is there to wait for disks.

use engine::logroute::FromLogger;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use sys::{memfd, Errno};

/// What is done to a directory, so that a test can cut the power between any two of them.
trait Disk {
    /// Makes an empty file, or empties the one that is there.
    fn create(&mut self, name: &str) -> io::Result<()>;
    /// Appends to the file that was created last.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Waits until that file's content cannot be lost.
    fn sync(&mut self) -> io::Result<()>;
    /// Puts a file in the place of another.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;
    /// Waits until the names cannot be lost.
    fn sync_names(&mut self) -> io::Result<()>;
}

/// Replaces a file of this name.
fn replace(disk: &mut impl Disk, name: &str, text: &[u8]) -> io::Result<()> {
    let new = format!(".{name}.new");
    disk.create(&new)?;
    disk.append(text)?;
    // Else the name may come to stand for a file whose content was lost.
    disk.sync()?;
    disk.rename(&new, name)?;
    disk.sync_names()
}

/// Permission bits of a file for everybody's eyes, and of one for our own.
pub const MODE: u32 = 0o644;
pub const PRIVATE_MODE: u32 = 0o600;

/// Writes the text of a memfd to the file of that path, whose directory is made, and says what came of
/// it.
pub fn store(number: u64, path: &Path, text: Option<&OwnedFd>, mode: u32) -> FromLogger {
    let written = text.ok_or(io::ErrorKind::InvalidInput.into()).and_then(|text| {
        let text = memfd::read_all(text)?;
        let directory = path.parent().unwrap_or(Path::new("/")).to_owned();
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or(io::ErrorKind::InvalidInput)?;
        DirBuilder::new().recursive(true).mode(0o755).create(&directory)?;
        replace(&mut Directory { directory, file: None, mode }, name, &text)
    });
    let errno = match written {
        Ok(()) => 0,
        Err(error) => error.raw_os_error().unwrap_or(Errno::INVAL.raw_os_error()),
    };
    FromLogger::Stored { number, errno }
}

struct Directory {
    directory: PathBuf,
    file: Option<File>,
    /// Permission bits of a new file.
    mode: u32,
}

impl Directory {
    fn file(&mut self) -> io::Result<&mut File> {
        self.file.as_mut().ok_or(io::ErrorKind::NotFound.into())
    }
}

impl Disk for Directory {
    fn create(&mut self, name: &str) -> io::Result<()> {
        let path = self.directory.join(name);
        // Whatever stands there under that name is not written through.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        self.file = Some(File::options().write(true).create_new(true).mode(self.mode).open(path)?);
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file()?.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file()?.sync_all()
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.directory.join(from), self.directory.join(to))
    }

    fn sync_names(&mut self) -> io::Result<()> {
        File::open(&self.directory)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;
    use engine::intent::{self, Intent};
    use engine::names::JobName;
    use std::collections::{BTreeMap, BTreeSet};
    use std::os::unix::fs::PermissionsExt;

    const NAME: &str = "intents";

    /// A disk whose power fails after so many steps; a byte written is a step. What was not synced is
    /// there in part, in whole or not at all, each name and each file by itself.
    #[derive(Clone, Default)]
    struct Cut {
        left: usize,
        /// Files by number: what is safe of them, and what was written.
        files: Vec<(usize, Vec<u8>)>,
        names: BTreeMap<String, usize>,
        /// What the names may be after the cut: as they were at each change since they were synced.
        past: Vec<BTreeMap<String, usize>>,
        /// What it takes for granted, to see that the test finds it.
        careless: Careless,
    }

    /// What a store could be careless of.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    enum Careless {
        #[default]
        Nothing,
        /// It does not wait for the content before it renames.
        Content,
        /// It does not wait for the names before it says that all is done.
        Names,
    }

    /// How many states there were after all cuts, by what stood in the file.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    struct Seen {
        cuts: usize,
        old: usize,
        new: usize,
        /// Neither, or the old one after it was said that the new one is safe.
        neither: usize,
    }

    impl Cut {
        fn step(&mut self) -> io::Result<()> {
            self.left = self.left.checked_sub(1).ok_or(io::ErrorKind::Other)?;
            Ok(())
        }

        /// Every content that the name may have when there is power again.
        fn after(&self) -> BTreeSet<Option<Vec<u8>>> {
            let mut seen = BTreeSet::new();
            for names in self.past.iter().chain([&self.names]) {
                let Some(number) = names.get(NAME) else {
                    seen.insert(None);
                    continue;
                };
                let (safe, text) = &self.files[*number];
                for length in *safe..=text.len() {
                    seen.insert(Some(text[..length].to_vec()));
                    // Room that was given to the file before its bytes were there.
                    let mut zeros = text[..length].to_vec();
                    zeros.resize(text.len(), 0);
                    seen.insert(Some(zeros));
                }
            }
            seen
        }
    }

    impl Disk for Cut {
        fn create(&mut self, name: &str) -> io::Result<()> {
            self.step()?;
            self.past.push(self.names.clone());
            self.files.push((0, Vec::new()));
            self.names.insert(name.to_owned(), self.files.len() - 1);
            Ok(())
        }

        fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
            for byte in bytes {
                self.step()?;
                self.files.last_mut().unwrap().1.push(*byte);
            }
            Ok(())
        }

        fn sync(&mut self) -> io::Result<()> {
            self.step()?;
            if self.careless != Careless::Content {
                let file = self.files.last_mut().unwrap();
                file.0 = file.1.len();
            }
            Ok(())
        }

        fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
            self.step()?;
            self.past.push(self.names.clone());
            let number = self.names.remove(from).unwrap();
            self.names.insert(to.to_owned(), number);
            Ok(())
        }

        fn sync_names(&mut self) -> io::Result<()> {
            self.step()?;
            if self.careless != Careless::Names {
                self.past.clear();
            }
            Ok(())
        }
    }

    /// What the commands make of the intents of two jobs: before and after. Nothing: no file was there.
    /// `start --once` changes none, and writes nothing.
    type Intents = &'static [(&'static str, Intent)];
    const COMMANDS: [(&str, Option<Intents>, Intents); 7] = [
        ("the first of all", None, &[("web", Intent::Disabled)]),
        (
            "disable",
            Some(&[("db", Intent::Masked)]),
            &[("db", Intent::Masked), ("web", Intent::Disabled)],
        ),
        ("enable", Some(&[("web", Intent::Disabled)]), &[]),
        ("mask", Some(&[("web", Intent::Disabled)]), &[("web", Intent::Masked)]),
        (
            "unmask",
            Some(&[("db", Intent::Disabled), ("web", Intent::Masked)]),
            &[("db", Intent::Disabled)],
        ),
        ("stop --persist", Some(&[]), &[("web", Intent::Stopped)]),
        ("start", Some(&[("web", Intent::Stopped)]), &[]),
    ];

    fn text(intents: Intents) -> Vec<u8> {
        let name = |job: &str| JobName::try_from(job).unwrap();
        let all: Vec<(JobName, Intent)> = intents.iter().map(|row| (name(row.0), row.1)).collect();
        intent::write(all.iter().map(|(job, intent)| (job, *intent)))
    }

    /// Cuts the power after every step and every byte of one change.
    fn cut_everywhere(before: Option<Intents>, after: Intents, careless: Careless) -> Seen {
        let mut whole = Cut { left: usize::MAX, ..Cut::default() };
        let old = before.map(text);
        if let Some(old) = &old {
            replace(&mut whole, NAME, old).unwrap();
        }
        let new = Some(text(after));
        let steps = 4 + text(after).len();
        let mut seen = Seen::default();
        for left in 0..=steps {
            let mut disk = Cut { left, careless, ..whole.clone() };
            let done = replace(&mut disk, NAME, &text(after)).is_ok();
            assert_eq!(done, left == steps, "after {left} steps");
            seen.cuts += 1;
            for found in disk.after() {
                match (found == new, found == old && !done) {
                    (true, _) => seen.new += 1,
                    (false, true) => seen.old += 1,
                    (false, false) => seen.neither += 1,
                }
            }
        }
        seen
    }

    #[test]
    fn a_power_cut_at_any_moment_leaves_the_old_text_or_the_new_one() {
        let mut all = Seen::default();
        for (command, before, after) in COMMANDS {
            let seen = cut_everywhere(before, after, Careless::Nothing);
            println!("{command}: {seen:?}");
            assert_eq!(seen.neither, 0, "{command}: {seen:?}");
            assert!(seen.old > 0 && seen.new > 0, "{command}: {seen:?}");
            all = Seen {
                cuts: all.cuts + seen.cuts,
                old: all.old + seen.old,
                new: all.new + seen.new,
                neither: all.neither + seen.neither,
            };
        }
        println!("all: {all:?}");
    }

    #[test]
    fn a_store_that_waits_for_less_is_found_out() {
        for careless in [Careless::Content, Careless::Names] {
            for (command, before, after) in COMMANDS {
                let seen = cut_everywhere(before, after, careless);
                println!("{careless:?}, {command}: {seen:?}");
                assert!(seen.neither > 0, "{careless:?}, {command}: {seen:?}");
            }
        }
    }

    #[test]
    fn a_file_is_replaced_and_what_stands_in_the_way_is_not_written_through() {
        let directory = Scratch::path("store");
        let path = directory.join("deep").join(NAME);
        let text = memfd::sealed(c"text", b"one").unwrap();
        assert_eq!(store(1, &path, Some(&text), MODE), FromLogger::Stored { number: 1, errno: 0 });
        let elsewhere = directory.join("elsewhere");
        fs::write(&elsewhere, "theirs").unwrap();
        std::os::unix::fs::symlink(&elsewhere, directory.join("deep/.intents.new")).unwrap();
        let text = memfd::sealed(c"text", b"two").unwrap();
        assert_eq!(
            store(2, &path, Some(&text), PRIVATE_MODE),
            FromLogger::Stored { number: 2, errno: 0 }
        );
        assert_eq!(fs::read(&path).unwrap(), b"two");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, PRIVATE_MODE);
        assert_eq!(fs::read(&elsewhere).unwrap(), b"theirs");
        let errno = match store(3, Path::new("/proc/nowhere/intents"), Some(&text), MODE) {
            FromLogger::Stored { number: 3, errno } => errno,
            other => panic!("{other:?}"),
        };
        assert_ne!(errno, 0);
    }
}
