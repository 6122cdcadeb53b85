//! What reading a configuration wants to know of this machine: the environment, files, directories,
//! users.

use crate::proposal::Proposal;
pub use engine::dialect::supervisord::Extent;
use engine::dialect::supervisord::{self, Config, Facts, File, User, Want};
use engine::glob;
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};
use sys::users;

/// The largest file that is read, in bytes; of a longer one nothing is.
pub const FILE_MAX: u64 = 4 * 1024 * 1024;

/// How often reading may ask for more. Includes, then directories and users of what they brought in.
const ROUNDS_MAX: usize = 16;

/// How many files a pattern finds at most.
const FOUND_MAX: usize = supervisord::FILES_MAX + 1;

/// Returns what a configuration says on this machine. `path` is what it was called by.
pub fn read(path: &Path, file: &[u8], extent: Extent) -> Config {
    complete(file, start(&directory(), path, extent))
}

fn directory() -> PathBuf {
    std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"))
}

/// Returns what is wrong with the value that the command line gives a key of `[supervisord]`.
pub fn judge(key: &str, text: &str, mut facts: Facts) -> Result<(), String> {
    for _ in 1..ROUNDS_MAX {
        let (judged, wants) = supervisord::judge(key, text, &facts);
        if wants.is_empty() {
            return judged;
        }
        wants.into_iter().for_each(|want| find_out(&mut facts, want, &Proposal::default()));
    }
    supervisord::judge(key, text, &facts).0
}

/// Returns what a configuration says, given some facts; the missing ones are found out here.
pub fn complete(file: &[u8], mut facts: Facts) -> Config {
    complete_over(file, &mut facts, &Proposal::default())
}

/// As [`complete`], with files as they are proposed; the facts are complete then.
pub fn complete_over(file: &[u8], facts: &mut Facts, over: &Proposal) -> Config {
    for _ in 1..ROUNDS_MAX {
        let wants = supervisord::first_wants(file, facts);
        if wants.is_empty() {
            break;
        }
        wants.into_iter().for_each(|want| find_out(facts, want, over));
    }
    for _ in 1..ROUNDS_MAX {
        let config = supervisord::read(file, facts);
        if config.wants.is_empty() {
            return config;
        }
        config.wants.into_iter().for_each(|want| find_out(facts, want, over));
    }
    supervisord::read(file, facts)
}

/// Reports whether the first line that says something opens a section, as no job file's does.
pub fn begins_with_section(file: &[u8]) -> bool {
    let lines = file.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let mut lines = lines.filter(|line| !line.is_empty() && !line.starts_with(b"#"));
    lines.find(|line| !line.starts_with(b";")).is_some_and(|line| line.starts_with(b"["))
}

/// Reports whether a file is one of Supervisor's configurations: by its name, or by its content.
pub fn is_configuration(path: &Path) -> bool {
    let extension = path.extension().map(OsStr::as_bytes);
    path.is_file()
        && match extension {
            Some(b"ini") => true,
            Some(b"conf") => bytes(path).is_some_and(|bytes| begins_with_section(&bytes)),
            Some(_) | None => false,
        }
}

/// Returns how much of a configuration a file is that nobody names as the whole.
pub fn extent_of(file: &[u8]) -> Extent {
    let section = |line: &[u8]| line.trim_ascii_start().starts_with(b"[supervisord]");
    match file.split(|byte| *byte == b'\n').any(section) {
        true => Extent::Whole,
        false => Extent::Part,
    }
}

/// Returns what is known before anything is asked for; paths are relative to `directory`.
pub fn start(directory: &Path, path: &Path, extent: Extent) -> Facts {
    let here = plain(&directory.join(path.parent().unwrap_or(Path::new(""))));
    let lossy = |bytes: &OsStr| String::from_utf8_lossy(bytes.as_bytes()).into_owned();
    let environment = std::env::vars_os().map(|(key, value)| (lossy(&key), lossy(&value)));
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    Facts {
        path: lossy(path.as_os_str()),
        here: lossy(here.as_os_str()),
        temporary: temporary(directory),
        directory: lossy(directory.as_os_str()),
        host: host.trim_end().to_owned(),
        uid: sys::peer::own_uid(),
        environment: environment.collect(),
        extent,
        ..Facts::default()
    }
}

/// Returns a path without `.` and `..`, by its text alone. Source: Python's `os.path.abspath`.
pub fn plain(path: &Path) -> PathBuf {
    let mut out = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::ParentDir => drop(out.pop()),
            Component::Normal(name) => out.push(name),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    out
}

/// Returns the directory of temporary files. Source: Python's `tempfile.gettempdir`, which also tries
/// whether it can write there.
fn temporary(directory: &Path) -> String {
    let said =
        ["TMPDIR", "TEMP", "TMP"].into_iter().filter_map(std::env::var_os).map(PathBuf::from);
    let usual = ["/tmp", "/var/tmp", "/usr/tmp"].into_iter().map(PathBuf::from);
    let found = said.chain(usual).find(|path| path.is_dir());
    found.unwrap_or_else(|| directory.to_owned()).to_string_lossy().into_owned()
}

fn find_out(facts: &mut Facts, want: Want, over: &Proposal) {
    match want {
        Want::Directory(path) => {
            let there = Path::new(&facts.directory).join(&path).is_dir();
            facts.directories.insert(path, there);
        }
        Want::User(name) => {
            let root = Path::new("/");
            let found = match name.parse() {
                Ok(uid) => users::user_by_id(root, uid),
                Err(_) => users::user(root, name.as_bytes()),
            };
            let user = found.ok().map(|user| User {
                uid: user.uid,
                gid: user.gid,
                home: String::from_utf8_lossy(&user.home).into_owned(),
            });
            facts.users.insert(name, user);
        }
        Want::Group(name) => {
            let root = Path::new("/");
            let gid = match name.parse() {
                Ok(gid) => users::group_by_id(root, gid),
                Err(_) => users::group(root, name.as_bytes()),
            };
            facts.groups.insert(name, gid.ok());
        }
        Want::Files(pattern) => {
            let found = find(&pattern, over).into_iter().map(|path| {
                let bytes = bytes_over(&path, over);
                let path = path.into_os_string().into_vec();
                File { path: String::from_utf8_lossy(&path).into_owned(), bytes }
            });
            let found = found.collect();
            facts.files.insert(pattern, found);
        }
    }
}

/// Returns a file's bytes as they are proposed, else as [`bytes`].
pub fn bytes_over(path: &Path, over: &Proposal) -> Option<Vec<u8>> {
    match over.get(path) {
        Some(text) => text.map(<[u8]>::to_vec),
        None => bytes(path),
    }
}

/// Returns a file's bytes; nothing where it cannot be read or is too long.
pub fn bytes(path: &Path) -> Option<Vec<u8>> {
    let file = std::fs::File::open(path).ok()?;
    let mut bytes = Vec::new();
    file.take(FILE_MAX + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= FILE_MAX).then_some(bytes)
}

/// Returns the paths that an absolute pattern matches; a sign never crosses a stroke, and names that
/// begin with a dot are only found by a dot. Source: Python's `glob.glob`.
fn find(pattern: &str, over: &Proposal) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::from("/")];
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        let mut next = Vec::new();
        for path in found {
            if !part.contains(['*', '?', '[']) {
                next.push(path.join(part));
                continue;
            }
            // A stroke backwards means itself to Python.
            let escaped = part.replace('\\', "\\\\");
            let entries = std::fs::read_dir(&path).into_iter().flatten().filter_map(Result::ok);
            let names: BTreeSet<OsString> =
                entries.map(|entry| entry.file_name()).chain(over.entries(&path)).collect();
            let fits = |name: &OsStr| {
                let name = name.as_bytes();
                (!name.starts_with(b".") || part.starts_with('.'))
                    && glob::matches(escaped.as_bytes(), name)
            };
            next.extend(names.into_iter().filter(|name| fits(name)).map(|name| path.join(name)));
            next.sort();
            next.truncate(FOUND_MAX);
        }
        found = next;
    }
    found.retain(|path| match over.get(path) {
        Some(text) => text.is_some(),
        None => path.symlink_metadata().is_ok() || !over.entries(path).is_empty(),
    });
    found
}

#[cfg(test)]
mod tests {
    use super::Proposal;
    use crate::scratch::Scratch;

    #[test]
    fn patterns_find_what_pythons_glob_finds() {
        let top = Scratch::path("glob");
        for file in ["a/1.conf", "a/.2.conf", "b/3.conf", "b/3.ini", "c/[x].conf"] {
            let path = top.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let find = |pattern: &str| -> Vec<String> {
            let found = super::find(&format!("{}/{pattern}", top.display()), &Proposal::default());
            let found = found.iter().map(|path| path.strip_prefix(&top).unwrap());
            found.map(|path| path.display().to_string()).collect()
        };
        assert_eq!(find("*/*.conf"), ["a/1.conf", "b/3.conf", "c/[x].conf"]);
        assert_eq!(find("a/.*"), ["a/.2.conf"]);
        assert_eq!(find("b/3.[a-h]*"), ["b/3.conf"]);
        assert_eq!(find("b/3.ini"), ["b/3.ini"]);
        assert_eq!(find("b/none"), [""; 0]);
        assert_eq!(find("c/[[]x].conf"), ["c/[x].conf"]);
    }
}
