//! Files as they are proposed to be, over those that there are: what a plan is made of.

use crate::supervisord::plain;
use engine::control::call::Proposed;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Proposed files by their paths; of one that is removed there is no text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proposal {
    files: BTreeMap<PathBuf, Option<Vec<u8>>>,
}

impl Proposal {
    /// Returns what these files come to.
    pub fn new(files: Vec<Proposed>) -> Proposal {
        let file = |file: Proposed| {
            let path = plain(Path::new(OsStr::from_bytes(file.path.bytes())));
            (path, file.text.map(|text| text.bytes().to_vec()))
        };
        Proposal { files: files.into_iter().map(file).collect() }
    }

    /// Returns what is proposed for a path: a text, or that it is not there; nothing where it stays as
    /// it is.
    pub fn get(&self, path: &Path) -> Option<Option<&[u8]>> {
        if self.files.is_empty() {
            return None;
        }
        let path = plain(&std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf()));
        self.files.get(&path).map(Option::as_deref)
    }

    /// Returns the paths, each with whether there is a file.
    pub fn paths(&self) -> impl Iterator<Item = (&Path, bool)> {
        self.files.iter().map(|(path, text)| (path.as_path(), text.is_some()))
    }

    /// Returns the entries that proposed files make in a directory.
    pub fn entries(&self, directory: &Path) -> BTreeSet<OsString> {
        let there = self.files.iter().filter(|(_, text)| text.is_some());
        let below = there.filter_map(|(path, _)| path.strip_prefix(directory).ok());
        below.filter_map(|rest| Some(rest.components().next()?.as_os_str().to_owned())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::text::Text;

    #[test]
    fn a_proposed_file_is_known_by_any_path_to_it_and_is_an_entry_of_its_directories() {
        let file = |path: &str, text: Option<&str>| Proposed {
            path: Text::from(path),
            text: text.map(Text::from),
        };
        let proposal = Proposal::new(vec![
            file("/etc/x/../init/net/web.conf", Some("exec a")),
            file("/etc/init/db.conf", None),
        ]);
        assert_eq!(proposal.get(Path::new("/etc/init/net/web.conf")), Some(Some(&b"exec a"[..])));
        assert_eq!(proposal.get(Path::new("/etc/./init/db.conf")), Some(None));
        assert_eq!(proposal.get(Path::new("/etc/init/other.conf")), None);
        assert_eq!(proposal.entries(Path::new("/etc/init")), BTreeSet::from(["net".into()]));
    }
}
