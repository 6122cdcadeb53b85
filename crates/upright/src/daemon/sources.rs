//! Job files: found in the directories, read within bounds. Source: spec 2.2, 2.6.

use engine::names::JobName;
use engine::text::Text;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The longest job file. A longer one is no job file and is not read.
pub const FILE_MAX: u64 = 1024 * 1024;

/// How deep directories may lie in each other.
const DEPTH_MAX: usize = 16;

/// How many files of all directories are looked at.
const FILES_MAX: usize = 200_000;

/// What was found: for each job its file, and what kept others from being read.
#[derive(Debug, Default)]
pub struct Found {
    /// Jobs in the order of their names.
    pub jobs: BTreeMap<JobName, Files>,
    /// What could not be read, in sentences.
    pub troubles: Vec<String>,
}

/// The files of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The job file.
    pub conf: PathBuf,
    /// The override that applies.
    pub over: Option<PathBuf>,
}

/// Walks the directories. The first that has a job wins; its override is the first found up to
/// there.
pub fn find(sources: &[PathBuf]) -> Found {
    let mut found = Found::default();
    let mut overrides: BTreeMap<JobName, PathBuf> = BTreeMap::new();
    for source in sources {
        let mut walk = Walk { confs: Vec::new(), overrides: Vec::new(), seen: BTreeSet::new() };
        if source.is_file() {
            walk.file(source.parent().unwrap_or(Path::new("/")), source.clone());
        } else {
            walk.directory(source, &mut found.troubles);
        }
        for (name, path) in walk.overrides {
            overrides.entry(name).or_insert(path);
        }
        for (name, conf) in walk.confs {
            let over = overrides.get(&name).cloned();
            found.jobs.entry(name).or_insert(Files { conf, over });
        }
    }
    found
}

struct Walk {
    confs: Vec<(JobName, PathBuf)>,
    overrides: Vec<(JobName, PathBuf)>,
    seen: BTreeSet<(u64, u64)>,
}

impl Walk {
    fn directory(&mut self, source: &Path, troubles: &mut Vec<String>) {
        let mut open = vec![(source.to_path_buf(), 0)];
        while let Some((directory, depth)) = open.pop() {
            let entries = match fs::read_dir(&directory) {
                Ok(entries) => entries,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => {
                    let shown = directory.display();
                    troubles.push(format!("{shown}: Unable to load configuration: {error}"));
                    continue;
                }
            };
            for entry in entries.flatten() {
                let path = entry.path();
                // Follows links, as the original's first walk does.
                let Ok(metadata) = fs::metadata(&path) else { continue };
                if metadata.is_dir() {
                    let name = entry.file_name();
                    let fresh = self.seen.insert((metadata.dev(), metadata.ino()));
                    if fresh && depth < DEPTH_MAX && !is_debris(name.as_bytes()) {
                        open.push((path, depth + 1));
                    }
                } else if metadata.is_file() && self.confs.len() < FILES_MAX {
                    self.file(source, path);
                }
            }
        }
        self.confs.sort();
        self.overrides.sort();
    }

    fn file(&mut self, source: &Path, path: PathBuf) {
        let Ok(relative) = path.strip_prefix(source) else { return };
        let bytes = relative.as_os_str().as_bytes();
        if let Some(name) = job_name(bytes, b".conf") {
            self.confs.push((name, path));
        } else if let Some(name) = job_name(bytes, b".override") {
            self.overrides.push((name, path));
        }
    }
}

fn job_name(relative: &[u8], extension: &[u8]) -> Option<JobName> {
    let name = relative.strip_suffix(extension)?;
    let last = name.rsplit(|byte| *byte == b'/').next()?;
    if last.is_empty() {
        return None;
    }
    JobName::try_from(Text::from(name)).ok()
}

/// Reports whether a directory is not one of jobs: hidden, a backup, an editor's, a revision
/// control's or a package manager's. Source: spec 2.2.
fn is_debris(name: &[u8]) -> bool {
    const NAMES: &[&[u8]] =
        &[b"RCS", b"CVS", b"CVS.adm", b"SCCS", b"BitKeeper", b"{arch}", b"_darcs"];
    const ENDS: &[&[u8]] = &[
        b"~",
        b".bak",
        b".BAK",
        b".swp",
        b".swo",
        b".swn",
        b",v",
        b".rpmsave",
        b".rpmorig",
        b".rpmnew",
    ];
    let semicolon = name.len() >= 9
        && name[name.len() - 9] == b';'
        && name[name.len() - 8..].iter().all(u8::is_ascii_hexdigit);
    name.starts_with(b".")
        || (name.starts_with(b"#") && name.ends_with(b"#"))
        || NAMES.contains(&name)
        || ENDS.iter().any(|end| name.ends_with(end))
        || name.windows(6).any(|window| window == b".dpkg-")
        || semicolon
}

/// Reads a file of at most [`FILE_MAX`] bytes; a pipe or a device is never opened for reading.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    const NONBLOCK: i32 = 0o4000;
    let file = File::options().read(true).custom_flags(NONBLOCK).open(path)?;
    let metadata: Metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(FILE_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_MAX {
        return Err(io::Error::other("larger than 1 MiB: not a job file"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_as_upstart_makes_them() {
        let named = |path: &str| job_name(path.as_bytes(), b".conf").map(|name| name.to_string());
        assert_eq!(named("net/apache.conf").as_deref(), Some("net/apache"));
        assert_eq!(named(".hidden.conf").as_deref(), Some(".hidden"));
        assert_eq!(named("a.b.conf").as_deref(), Some("a.b"));
        assert_eq!(named(".conf"), None);
        assert_eq!(named("net/.conf"), None);
        assert_eq!(named("x.conf~"), None);
    }

    #[test]
    fn debris_of_editors_and_package_managers_is_no_directory_of_jobs() {
        for name in [".git", "CVS", "old~", "x.dpkg-old", "a;0123abcd", "#x#", "x.swp"] {
            assert!(is_debris(name.as_bytes()), "{name}");
        }
        for name in ["net", "a.b", "x;y", "CVSroot"] {
            assert!(!is_debris(name.as_bytes()), "{name}");
        }
    }
}
