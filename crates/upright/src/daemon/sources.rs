//! Job files: found in the directories, told apart, read within bounds. Source: spec 2.2.

use crate::supervisord::plain;
use engine::names::JobName;
use engine::text::Text;
use shown::words::system as words;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The longest job file. A longer one is no job file and is not read.
pub const FILE_MAX: u64 = 1024 * 1024;

/// How deep directories may lie in each other.
const DEPTH_MAX: usize = 16;

/// How many files and directories of one source are looked at.
const ENTRIES_MAX: usize = 200_000;

/// A file that was changed so short a time before it was looked at may change again without its
/// time telling: the kernel's clock for files ticks slowly.
const TICK: Duration = Duration::from_millis(50);

/// Returns the first thing that `init.conf` says, which is a mistake whatever it is. A file that is not
/// there, or has comments alone, is none. Source: spec 2.1.
pub fn fault_of_init_conf(path: &Path) -> Option<String> {
    let mut text = Vec::new();
    File::open(path).ok()?.take(FILE_MAX).read_to_end(&mut text).ok()?;
    let lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).enumerate();
    let mut said = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with(b"#"));
    let number = said.next().map(|(place, _)| place + 1)?;
    Some(format!("{}:{number}: Unknown stanza", path.display()))
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// It defines a job.
    Conf,
    /// It changes one.
    Override,
}

impl Kind {
    const fn extension(self) -> &'static str {
        match self {
            Kind::Conf => ".conf",
            Kind::Override => ".override",
        }
    }
}

/// What tells a file's content from what it was: device, inode, size, and when it was changed, mixed
/// into one word. Two of them are the same by chance once in 2^64 changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity(u64);

impl Identity {
    /// The identity of a file that is only proposed.
    pub const PROPOSED: Identity = Identity(0);

    fn of(metadata: &Metadata) -> Identity {
        let (seconds, nanos) = (metadata.mtime() as u64, metadata.mtime_nsec() as u64);
        let parts = [metadata.dev(), metadata.ino(), metadata.size(), seconds, nanos];
        // Source: the finalizer of SplitMix64, once for each part.
        Identity(parts.into_iter().fold(0, |sum: u64, part| {
            let mixed = (sum ^ part).wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ mixed >> 31
        }))
    }
}

/// A file of a job as it was when it was last looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Which of the sources has it.
    pub source: u32,
    /// What it is.
    pub kind: Kind,
    /// What tells its content.
    pub identity: Identity,
    /// Whether a later change must show in the identity.
    pub settled: bool,
}

/// What one source has.
#[derive(Debug, Default)]
pub struct Walked {
    /// The files of each job.
    pub jobs: BTreeMap<JobName, Vec<Seen>>,
    /// What could not be read, in sentences.
    pub troubles: Vec<String>,
}

/// Returns the directory that a source's files are named from: a source may be a single file.
pub fn root(source: &Path) -> &Path {
    match source.parent() {
        Some(parent) if source.is_file() && parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) if source.is_file() => parent,
        Some(_) | None => source,
    }
}

/// Walks a source. `enter` is told each directory before it is read, relative to the source: what
/// changes from then on is the caller's to notice.
pub fn walk(source: &Path, number: u32, enter: &mut dyn FnMut(&Path)) -> Walked {
    let mut walk = Walk { source: root(source), number, walked: Walked::default(), entries: 0 };
    if source.is_file() {
        enter(Path::new(""));
        if let (Some(name), Ok(metadata)) = (source.file_name(), fs::metadata(source)) {
            walk.file(Path::new(name), &metadata);
        }
    } else {
        walk.directories(enter);
    }
    walk.walked
}

struct Walk<'a> {
    source: &'a Path,
    number: u32,
    walked: Walked,
    entries: usize,
}

/// A directory to be read: where, and those that it lies in.
struct Open {
    relative: PathBuf,
    above: Vec<(u64, u64)>,
}

impl Walk<'_> {
    fn directories(&mut self, enter: &mut dyn FnMut(&Path)) {
        let Ok(metadata) = fs::metadata(self.source) else { return };
        let top = vec![(metadata.dev(), metadata.ino())];
        let mut open = vec![Open { relative: PathBuf::new(), above: top }];
        while let Some(directory) = open.pop() {
            enter(&directory.relative);
            let path = self.source.join(&directory.relative);
            let entries = match fs::read_dir(&path) {
                Ok(entries) => entries,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => {
                    let (shown, why) = (path.display(), words(&error));
                    let trouble = format!("{shown}: Unable to load configuration: {why}");
                    self.walked.troubles.push(trouble);
                    continue;
                }
            };
            for entry in entries.flatten() {
                self.entries += 1;
                if self.entries > ENTRIES_MAX {
                    let shown = self.source.display();
                    self.walked.troubles.push(format!(
                        "{shown}: more than {ENTRIES_MAX} files: the rest is not looked at"
                    ));
                    return;
                }
                open.extend(self.entry(&directory, &entry.file_name()));
            }
        }
    }

    /// Follows links, as the original's first walk does.
    fn entry(&mut self, directory: &Open, name: &OsStr) -> Option<Open> {
        let relative = directory.relative.join(name);
        let metadata = fs::metadata(self.source.join(&relative)).ok()?;
        if metadata.is_file() {
            self.file(&relative, &metadata);
        }
        if !metadata.is_dir() || is_debris(name.as_bytes()) {
            return None;
        }
        let here = (metadata.dev(), metadata.ino());
        if directory.above.contains(&here) || directory.above.len() >= DEPTH_MAX {
            let shown = self.source.join(&relative);
            let trouble = format!("{}: Too many levels of symbolic links", shown.display());
            self.walked.troubles.push(trouble);
            return None;
        }
        let above = directory.above.iter().copied().chain([here]).collect();
        Some(Open { relative, above })
    }

    fn file(&mut self, relative: &Path, metadata: &Metadata) {
        if let Some((name, kind)) = job_of(relative) {
            let seen = seen(self.number, kind, metadata);
            self.walked.jobs.entry(name).or_default().push(seen);
        }
    }
}

fn seen(source: u32, kind: Kind, metadata: &Metadata) -> Seen {
    let age = metadata.modified().ok().and_then(|at| SystemTime::now().duration_since(at).ok());
    let identity = Identity::of(metadata);
    Seen { source, kind, identity, settled: age.is_some_and(|age| age > TICK) }
}

/// Looks at one file of a source.
pub fn look(source: &Path, number: u32, name: &JobName, kind: Kind) -> Option<Seen> {
    let metadata = fs::metadata(path_of(source, name, kind)).ok()?;
    metadata.is_file().then(|| seen(number, kind, &metadata))
}

/// Returns where a file of a job is.
pub fn path_of(source: &Path, name: &JobName, kind: Kind) -> PathBuf {
    let mut relative = name.text().bytes().to_vec();
    relative.extend_from_slice(kind.extension().as_bytes());
    root(source).join(OsStr::from_bytes(&relative))
}

/// Returns which job's file a path is, relative to its source.
pub fn job_of(relative: &Path) -> Option<(JobName, Kind)> {
    let bytes = relative.as_os_str().as_bytes();
    [Kind::Conf, Kind::Override].into_iter().find_map(|kind| {
        let name = bytes.strip_suffix(kind.extension().as_bytes())?;
        if name.is_empty() || name.ends_with(b"/") {
            return None;
        }
        Some((JobName::try_from(Text::from(name)).ok()?, kind))
    })
}

/// Returns which job's file a path is in a source, where the source has it.
pub fn place_of(source: &Path, path: &Path) -> Option<(JobName, Kind)> {
    let absolute = |path: &Path| plain(&std::path::absolute(path).unwrap_or_else(|_| path.into()));
    if source.is_file() && absolute(source) != path {
        return None;
    }
    let relative = path.strip_prefix(absolute(root(source))).ok()?;
    let mut directories = relative.parent().into_iter().flat_map(Path::components);
    match directories.any(|part| is_debris(part.as_os_str().as_bytes())) {
        true => None,
        false => job_of(relative),
    }
}

/// Reports whether a directory is not one of jobs: hidden, a backup, an editor's, a revision
/// control's or a package manager's. Source: spec 2.2.
pub fn is_debris(name: &[u8]) -> bool {
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

/// Opens a file to be read; a pipe or a device is never waited for, and refused.
pub fn open(path: &Path) -> io::Result<(File, Metadata)> {
    const NONBLOCK: i32 = 0o4000;
    const NOCTTY: i32 = 0o400;
    let file = File::options().read(true).custom_flags(NONBLOCK | NOCTTY).open(path)?;
    let metadata: Metadata = file.metadata()?;
    match metadata.is_file() {
        true => Ok((file, metadata)),
        false => Err(io::Error::other("not a regular file")),
    }
}

/// Reads a file of at most [`FILE_MAX`] bytes.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let (file, metadata) = open(path)?;
    if metadata.len() > FILE_MAX {
        return Err(too_long());
    }
    let mut bytes = Vec::new();
    file.take(FILE_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_MAX {
        return Err(too_long());
    }
    Ok(bytes)
}

fn too_long() -> io::Error {
    io::Error::other("larger than 1 MiB: not a job file")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn names_are_made_as_upstart_makes_them() {
        let named =
            |path: &str| job_of(Path::new(path)).map(|(name, kind)| (name.to_string(), kind));
        let conf = |name: &str| Some((name.to_owned(), Kind::Conf));
        assert_eq!(named("net/apache.conf"), conf("net/apache"));
        assert_eq!(named(".hidden.conf"), conf(".hidden"));
        assert_eq!(named("a.b.conf"), conf("a.b"));
        assert_eq!(named("a.override"), Some(("a".to_owned(), Kind::Override)));
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

    #[test]
    fn init_conf_may_have_comments_alone() {
        let path = Scratch::path("init.conf");
        assert_eq!(fault_of_init_conf(&path), None);
        for (text, line) in [("# nothing\n\n", None), ("# one\n  reload-signal HUP\nx\n", Some(2))]
        {
            fs::write(&path, text).unwrap();
            let words = line.map(|line: u32| format!("{}:{line}: Unknown stanza", path.display()));
            assert_eq!(fault_of_init_conf(&path), words);
        }
    }
}
