//! Users and groups, read from the files themselves: no name service, no lock, nothing that waits.
//!
//! Source of the formats: passwd(5), group(5). Lines that are not of the format are passed over, as
//! glibc does; so are those of the compatibility mode (`+`, `-`).

use rustix::io::Errno;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A user as `/etc/passwd` has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: Vec<u8>,
    /// The number.
    pub uid: u32,
    /// The primary group.
    pub gid: u32,
    /// The home directory.
    pub home: Vec<u8>,
    /// The login shell; empty is `/bin/sh`.
    pub shell: Vec<u8>,
}

/// Why a user or group is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// The file has no such entry.
    Absent {
        /// The file.
        file: PathBuf,
    },
    /// The file could not be read.
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        errno: Errno,
    },
}

impl Unknown {
    /// Returns what the kernel would say.
    pub fn errno(&self) -> Errno {
        match self {
            Unknown::Absent { .. } => Errno::NOENT,
            Unknown::Unreadable { errno, .. } => *errno,
        }
    }
}

/// Returns the user of that name as `etc/passwd` below `root` has it.
pub fn user(root: &Path, name: &[u8]) -> Result<User, Unknown> {
    let (file, content) = read(root, "etc/passwd")?;
    let found = passwd(&content).find(|user| user.name == name);
    found.ok_or(Unknown::Absent { file })
}

/// Returns the first user of that number as `etc/passwd` below `root` has it.
pub fn user_by_id(root: &Path, uid: u32) -> Result<User, Unknown> {
    let (file, content) = read(root, "etc/passwd")?;
    let found = passwd(&content).find(|user| user.uid == uid);
    found.ok_or(Unknown::Absent { file })
}

/// Returns the number of the group of that name as `etc/group` below `root` has it.
pub fn group(root: &Path, name: &[u8]) -> Result<u32, Unknown> {
    let (file, content) = read(root, "etc/group")?;
    let found = groups(&content).find(|group| group.name == name);
    found.map(|group| group.gid).ok_or(Unknown::Absent { file })
}

/// Returns the number back where the file says that there is such a group.
pub fn group_by_id(root: &Path, gid: u32) -> Result<u32, Unknown> {
    let (file, content) = read(root, "etc/group")?;
    let found = groups(&content).find(|group| group.gid == gid);
    found.map(|group| group.gid).ok_or(Unknown::Absent { file })
}

/// Returns the groups that a user of that name is in: `primary` first, then those that list it in
/// `etc/group` below `root`. Source: initgroups(3).
pub fn groups_of(root: &Path, name: &[u8], primary: u32) -> Result<Vec<u32>, Unknown> {
    match read(root, "etc/group") {
        Ok((_, content)) => Ok(memberships(&content, name, primary)),
        Err(Unknown::Unreadable { errno: Errno::NOENT, .. }) => Ok(vec![primary]),
        Err(unknown) => Err(unknown),
    }
}

/// Returns the names of all users and of all groups; none of a file that cannot be read.
pub fn names(root: &Path) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let content = |name| read(root, name).map(|(_, content)| content).unwrap_or_default();
    let (users, all) = (content("etc/passwd"), content("etc/group"));
    let users = passwd(&users).map(|user| user.name).collect();
    (users, groups(&all).map(|group| group.name.to_vec()).collect())
}

/// Returns the first user of a text like `/etc/passwd`, as getent(1) writes it.
pub fn first_user(text: &[u8]) -> Option<User> {
    passwd(text).next()
}

/// Returns the number of the first group of a text like `/etc/group`.
pub fn first_group(text: &[u8]) -> Option<u32> {
    groups(text).next().map(|group| group.gid)
}

/// Returns `primary`, then the numbers behind the name in a line of `getent initgroups`.
pub fn listed_groups(text: &[u8], primary: u32) -> Vec<u32> {
    let mut all = vec![primary];
    let words = text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    for gid in words.skip(1).filter_map(number) {
        if !all.contains(&gid) {
            all.push(gid);
        }
    }
    all
}

/// A group as `/etc/group` has it.
struct Group<'a> {
    name: &'a [u8],
    gid: u32,
    members: &'a [u8],
}

fn memberships(content: &[u8], name: &[u8], primary: u32) -> Vec<u32> {
    let mut all = vec![primary];
    let lists = |group: &Group<'_>| group.members.split(|byte| *byte == b',').any(|m| m == name);
    for group in groups(content).filter(lists) {
        if !all.contains(&group.gid) {
            all.push(group.gid);
        }
    }
    all
}

fn passwd(content: &[u8]) -> impl Iterator<Item = User> + '_ {
    lines(content).filter_map(|line| {
        let fields: Vec<&[u8]> = line.split(|byte| *byte == b':').collect();
        let [name, _, uid, gid, _, home, shell] = fields[..] else { return None };
        Some(User {
            name: name.to_vec(),
            uid: number(uid)?,
            gid: number(gid)?,
            home: home.to_vec(),
            shell: shell.to_vec(),
        })
    })
}

fn groups(content: &[u8]) -> impl Iterator<Item = Group<'_>> {
    lines(content).filter_map(|line| {
        let fields: Vec<&[u8]> = line.split(|byte| *byte == b':').collect();
        let [name, _, gid, members] = fields[..] else { return None };
        Some(Group { name, gid: number(gid)?, members })
    })
}

fn lines(content: &[u8]) -> impl Iterator<Item = &[u8]> {
    let lines = content.split(|byte| *byte == b'\n');
    lines.filter(|line| !matches!(line.first(), None | Some(b'#' | b'+' | b'-' | b':')))
}

/// A decimal number; `u32::MAX` is the kernel's word for nobody at all and never a user.
fn number(text: &[u8]) -> Option<u32> {
    let digits = text.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(text).ok()?.parse().ok()?;
    (digits && number != u32::MAX).then_some(number)
}

fn read(root: &Path, name: &str) -> Result<(PathBuf, Vec<u8>), Unknown> {
    let file = root.join(OsStr::from_bytes(name.as_bytes()));
    match std::fs::read(&file) {
        Ok(content) => Ok((file, content)),
        Err(error) => {
            let errno = error.raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error);
            Err(Unknown::Unreadable { file, errno })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn what_getent_writes_is_read() {
        let user = first_user(b"ldap.user:*:70000:70001:A, B:/srv/ldap.user:/bin/sh\n").unwrap();
        assert_eq!((user.name.as_slice(), user.uid, user.gid), (&b"ldap.user"[..], 70000, 70001));
        assert_eq!(first_user(b""), None);
        assert_eq!(first_group(b"team:x:70002:a,b\n"), Some(70002));
        assert_eq!(
            listed_groups(b"ldap.user            70001 70002 27\n", 5),
            [5, 70001, 70002, 27]
        );
        assert_eq!(listed_groups(b"", 5), [5]);
    }

    #[test]
    fn a_user_is_found_by_name_and_by_number_among_lines_that_are_none() {
        let content =
            b"# comment\n+nis\nshort:x:1\nbad:x:-1:0::/:\nroot:x:0:0:root:/root:/bin/sh\n\
            \nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin";
        let all: Vec<User> = passwd(content).collect();
        let names: Vec<&[u8]> = all.iter().map(|user| &user.name[..]).collect();
        assert_eq!(names, [&b"root"[..], b"nobody"]);
        assert_eq!((all[1].uid, &all[1].home[..]), (65534, &b"/nonexistent"[..]));
    }

    #[test]
    fn the_groups_of_a_user_are_its_own_then_those_that_list_it() {
        let content =
            b"root:x:0:\nadm:x:4:syslog,ann\nann:x:1000:ann\nanna:x:9:anna,bann\ndup:x:4:ann\n";
        assert_eq!(memberships(content, b"ann", 1000), [1000, 4]);
        assert_eq!(memberships(content, b"nobody", 7), [7]);
    }

    #[test]
    fn nobody_is_the_user_of_the_number_that_means_nobody() {
        assert_eq!(number(b"4294967295"), None);
        assert_eq!(number(b"+5"), None);
        assert_eq!(number(b""), None);
        assert_eq!(number(b"42"), Some(42));
    }

    #[test]
    fn a_missing_file_and_a_missing_name_are_told_apart() {
        let root = Scratch::path("users");
        std::fs::create_dir_all(root.join("etc")).unwrap();
        let missing = user(&root, b"web").unwrap_err();
        assert!(matches!(missing, Unknown::Unreadable { errno: Errno::NOENT, .. }), "{missing:?}");
        std::fs::write(root.join("etc/passwd"), "web:x:7:8::/srv:\n").unwrap();
        assert_eq!(user(&root, b"web").unwrap().gid, 8);
        assert_eq!(user_by_id(&root, 7).unwrap().name, b"web");
        let absent = user(&root, b"db").unwrap_err();
        assert_eq!(absent, Unknown::Absent { file: root.join("etc/passwd") });
        assert_eq!(groups_of(&root, b"web", 8).unwrap(), [8]);
        assert_eq!(names(&root), (vec![b"web".to_vec()], vec![]));
    }
}
