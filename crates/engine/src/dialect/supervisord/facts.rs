//! What reading needs to know of the world. It is given; what is not yet known is asked for.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

/// A file that `[include]` found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its path, as the pattern makes it.
    pub path: String,
    /// Its bytes; nothing where it cannot be read.
    pub bytes: Option<Vec<u8>>,
}

/// A row of the users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Number of the user.
    pub uid: u32,
    /// Number of the user's own group.
    pub gid: u32,
    /// Home directory.
    pub home: String,
}

/// What is known of the world. An entry that is missing in one of the maps is not known; `None` in
/// one says that there is no such thing.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The path of the configuration, as it was given.
    pub path: String,
    /// The directory of the configuration, absolute.
    pub here: String,
    /// The working directory, absolute.
    pub directory: String,
    /// The directory of temporary files.
    pub temporary: String,
    /// The name of the machine.
    pub host: String,
    /// The number of the user who runs all this.
    pub uid: u32,
    /// How much of a configuration the file is.
    pub extent: Extent,
    /// The environment.
    pub environment: Vec<(String, String)>,
    /// Keys of `[supervisord]` that the command line sets, each with its value: they beat the file's.
    pub given: Vec<(String, String)>,
    /// What a pattern of `[include]` matches.
    pub files: BTreeMap<String, Vec<File>>,
    /// Whether a path is a directory.
    pub directories: BTreeMap<String, bool>,
    /// Users by name or number.
    pub users: BTreeMap<String, Option<User>>,
    /// Groups by name or number.
    pub groups: BTreeMap<String, Option<u32>>,
}

/// How much of a configuration a file is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Extent {
    /// All of it: without `[supervisord]` it is refused.
    #[default]
    Whole,
    /// A file that `[include]` of another one names, looked at alone.
    Part,
}

/// A fact that was missing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Want {
    /// The files that match an absolute pattern with `*`, `?` and `[...]`.
    Files(String),
    /// Whether this is a directory.
    Directory(String),
    /// A user by name or number.
    User(String),
    /// A group by name or number.
    Group(String),
}

/// The facts with what was asked of them in vain.
pub(super) struct Inquiry<'a> {
    pub facts: &'a Facts,
    pub wants: BTreeSet<Want>,
}

impl<'a> Inquiry<'a> {
    /// Returns what a pattern matches; nothing as long as that is not known.
    pub fn files(&mut self, pattern: &str) -> Option<&'a [File]> {
        let known = self.facts.files.get(pattern).map(Vec::as_slice);
        if known.is_none() {
            self.wants.insert(Want::Files(pattern.into()));
        }
        known
    }

    /// Reports whether a path is a directory; taken for one as long as that is not known.
    pub fn is_directory(&mut self, path: &str) -> bool {
        let known = self.facts.directories.get(path).copied();
        known.unwrap_or_else(|| {
            self.wants.insert(Want::Directory(path.into()));
            true
        })
    }

    /// Returns a user; somebody as long as that is not known.
    pub fn user(&mut self, name: &str) -> Option<User> {
        self.facts.users.get(name).cloned().unwrap_or_else(|| {
            self.wants.insert(Want::User(name.into()));
            Some(User { uid: 0, gid: 0, home: String::from("/") })
        })
    }

    /// Returns a group's number; any as long as that is not known.
    pub fn group(&mut self, name: &str) -> Option<u32> {
        self.facts.groups.get(name).copied().unwrap_or_else(|| {
            self.wants.insert(Want::Group(name.into()));
            Some(0)
        })
    }

    /// Returns a path with `~` and `~user` replaced. Source: Python's `os.path.expanduser`.
    pub fn expand_user(&mut self, path: &str) -> String {
        let Some(rest) = path.strip_prefix('~') else { return path.into() };
        let (name, rest) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let home = match name {
            "" => {
                self.variable("HOME").or_else(|| self.home(&alloc::format!("{}", self.facts.uid)))
            }
            name => self.home(name),
        };
        let Some(home) = home else { return path.into() };
        let joined = alloc::format!("{}{rest}", home.trim_end_matches('/'));
        if joined.is_empty() {
            String::from("/")
        } else {
            joined
        }
    }

    /// Returns a path as `normpath(abspath(expanduser(path)))`.
    pub fn normal_path(&mut self, path: &str) -> String {
        let path = self.expand_user(path);
        normal(&join(&self.facts.directory, &path))
    }

    fn home(&mut self, name: &str) -> Option<String> {
        self.user(name).map(|user| user.home)
    }

    fn variable(&self, name: &str) -> Option<String> {
        let row = self.facts.environment.iter().find(|(key, _)| key == name);
        row.map(|(_, value)| value.clone())
    }
}

/// Returns a path below a directory; an absolute one stays. Source: Python's `os.path.join`.
pub fn join(directory: &str, path: &str) -> String {
    match path.starts_with('/') {
        true => path.into(),
        false if directory.is_empty() || directory.ends_with('/') => {
            alloc::format!("{directory}{path}")
        }
        false => alloc::format!("{directory}/{path}"),
    }
}

/// Returns an absolute path without `.`, `..` and doubled strokes. Source: `os.path.normpath`.
pub fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    // Two strokes in front, and not three, stay. Source: POSIX.
    let lead = if path.starts_with("//") && !path.starts_with("///") { "//" } else { "/" };
    alloc::format!("{lead}{}", parts.join("/"))
}

/// Returns the directory part of a path. Source: Python's `os.path.dirname`.
pub fn parent(path: &str) -> &str {
    let head = path.rfind('/').and_then(|at| path.get(..=at)).unwrap_or("");
    let bare = head.trim_end_matches('/');
    if bare.is_empty() {
        head
    } else {
        bare
    }
}
