//! Roles, whom they are granted to, and over which jobs. What a file says; who is asking and what for
//! is [`crate::control::rights`].

use crate::dialect::meant::did_you_mean;
use crate::glob;
use crate::names::JobName;
use crate::text::Text;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use serde::{Deserialize, Serialize};

/// The longest name of a user or group, and the longest pattern, in bytes.
pub const WORD_MAX: usize = 256;

/// What the names of Upright's own jobs begin with. Only patterns that begin so mean them.
const OWN: &[u8] = JobName::RESERVED.as_bytes();

/// What somebody may do. Each contains those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Read output, and how a job is run.
    Look,
    /// Start, stop and signal it.
    Operate,
    /// Give it variables; over everything, also change Upright itself.
    Administer,
}

impl Role {
    /// Every role, the least first, with its word and what it is for.
    pub const TABLE: [(Role, &'static str, &'static str); 3] = [
        (Role::Look, "look", "learn where output is and how jobs are run"),
        (Role::Operate, "operate", "start, stop, signal, enable and disable jobs"),
        (Role::Administer, "administer", "see and set variables of jobs"),
    ];

    /// Returns its word.
    pub fn word(self) -> &'static str {
        Role::TABLE.iter().find(|row| row.0 == self).map_or("", |row| row.1)
    }

    /// Returns the role of a word.
    pub fn from_word(word: &[u8]) -> Option<Role> {
        Role::TABLE.iter().find(|row| row.1.as_bytes() == word).map(|row| row.0)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// To whom something is granted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Who {
    /// The user of this name or number.
    User(Text),
    /// Who is in the group of this name or number.
    Group(Text),
    /// Every user.
    Everybody,
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Who::User(name) => write!(f, "user {}", quoted(name.bytes())),
            Who::Group(name) => write!(f, "group {}", quoted(name.bytes())),
            Who::Everybody => f.write_str("everybody"),
        }
    }
}

/// A role and who has it: what a job's own `allow` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allow {
    /// The role.
    pub role: Role,
    /// Who has it.
    pub who: Who,
}

impl fmt::Display for Allow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.role, self.who)
    }
}

/// A line of the file of rights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// What, to whom.
    pub allow: Allow,
    /// Over the jobs whose names match one of these patterns; `*` alone is everything.
    pub jobs: Vec<Text>,
}

/// A user's place in a system of names and numbers, which the caller knows and the engine does not.
pub trait Names {
    /// Returns the number of the user of that name.
    fn user(&self, name: &Text) -> Option<u32>;
    /// Returns the number of the group of that name.
    fn group(&self, name: &Text) -> Option<u32>;
    /// Returns the name of the user of that number, for messages.
    fn name_of(&self, uid: u32) -> Option<Text>;
    /// Returns the seconds since 1970 (UTC): tokens end by the calendar.
    fn now(&self) -> u64;
}

/// No names at all: only numbers count, and time stands still.
pub struct Nameless;

impl Names for Nameless {
    fn user(&self, _: &Text) -> Option<u32> {
        None
    }
    fn group(&self, _: &Text) -> Option<u32> {
        None
    }
    fn name_of(&self, _: u32) -> Option<Text> {
        None
    }
    fn now(&self) -> u64 {
        0
    }
}

impl Allow {
    /// Reports whether this gives a user the role, or one that contains it.
    pub fn gives(&self, role: Role, uid: u32, groups: &[u32], names: &dyn Names) -> bool {
        // The role first: to look up a name costs a file.
        self.role >= role
            && match &self.who {
                Who::User(name) => number(name).or_else(|| names.user(name)) == Some(uid),
                Who::Group(name) => {
                    let gid = number(name).or_else(|| names.group(name));
                    gid.is_some_and(|gid| groups.contains(&gid))
                }
                Who::Everybody => true,
            }
    }
}

impl Granted {
    /// Reports whether it is granted over a job; without one, over everything.
    pub fn is_over(&self, job: Option<&[u8]>) -> bool {
        self.jobs.iter().any(|pattern| covers(pattern.bytes(), job))
    }
}

/// Reports whether a pattern means a job; without one, everything. Whoever administers everything
/// administers Upright's own jobs too, which no other pattern means that does not name them.
pub fn covers(pattern: &[u8], job: Option<&[u8]>) -> bool {
    match job {
        None => pattern == b"*",
        Some(job) => {
            (!job.starts_with(OWN) || pattern.starts_with(OWN)) && glob::matches(pattern, job)
        }
    }
}

/// Returns a name that is a number. `u32::MAX` is nobody.
pub fn number(name: &Text) -> Option<u32> {
    let text = name.utf8().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    text.parse().ok().filter(|number| *number != u32::MAX)
}

/// What is wrong with the words of a right: which of them, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The place of the word; behind the last one where it is missing.
    pub word: usize,
    /// What is wrong.
    pub message: &'static str,
    /// What would be right.
    pub help: String,
}

/// Reads `ROLE user NAME`, `ROLE group NAME` or `ROLE everybody`; returns how many words that were.
pub fn read(words: &[&[u8]]) -> Result<(Allow, usize), Mistake> {
    let mistake = |word, message, help| Mistake { word, message, help };
    let role = words.first().copied().unwrap_or_default();
    let Some(role) = Role::from_word(role) else {
        let names = Role::TABLE.map(|row| row.1);
        let help = did_you_mean(role, &names, "expected one of look, operate, administer");
        return Err(mistake(0, "no such role", help));
    };
    let kind = words.get(1).copied().unwrap_or_default();
    let name = words.get(2).copied().unwrap_or_default();
    let named = |make: fn(Text) -> Who| match name.len() {
        0 => {
            let help =
                format!("expected the name or number of a {}", String::from_utf8_lossy(kind));
            Err(mistake(2, "a name is missing", help))
        }
        1..=WORD_MAX if !name.contains(&0) && !name.contains(&b':') => Ok(make(Text::from(name))),
        _ => {
            let help = format!("a name has at most {WORD_MAX} bytes, and neither colon nor NUL");
            Err(mistake(2, "this is no name", help))
        }
    };
    let (who, taken) = match kind {
        b"user" => (named(Who::User)?, 3),
        b"group" => (named(Who::Group)?, 3),
        b"everybody" => (Who::Everybody, 2),
        kind => {
            let otherwise = "expected `user NAME`, `group NAME` or `everybody`";
            let help = did_you_mean(kind, &["user", "group", "everybody"], otherwise);
            return Err(mistake(1, "nobody is named", help));
        }
    };
    Ok((Allow { role, who }, taken))
}

/// Returns a word as it can be written in a file of rights.
pub fn quoted(word: &[u8]) -> String {
    let text = String::from_utf8_lossy(word);
    match text.is_empty() || text.contains(|c: char| c.is_whitespace() || c == '#') {
        true => format!("\"{text}\""),
        false => text.into_owned(),
    }
}

/// Returns the pattern that means this job alone, as it can be written in a file of rights.
pub fn pattern_of(job: &[u8]) -> String {
    let mut pattern = Vec::new();
    for byte in job {
        if b"*?[\\".contains(byte) {
            pattern.push(b'\\');
        }
        pattern.push(*byte);
    }
    quoted(&pattern)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_jobs_and_the_star_alone_means_everything() {
        for (pattern, job, meant) in [
            ("web", Some("web"), true),
            ("web-*", Some("web-1"), true),
            ("web:*", Some("web:a/b"), true),
            ("web-*", Some("web"), false),
            ("*", Some("web"), true),
            ("*", None, true),
            ("**", None, false),
            ("web", None, false),
            ("*", Some("upright/http"), false),
            ("u*", Some("upright/http"), false),
            ("upright/*", Some("upright/http"), true),
            ("upright/*", Some("upright2"), false),
        ] {
            assert_eq!(
                covers(pattern.as_bytes(), job.map(str::as_bytes)),
                meant,
                "{pattern} {job:?}"
            );
        }
        assert!(covers(pattern_of(b"a*[1]").as_bytes(), Some(b"a*[1]")));
        assert!(!covers(pattern_of(b"a*[1]").as_bytes(), Some(b"ab1")));
        assert_eq!(pattern_of(b"a b"), "\"a b\"");
    }

    #[test]
    fn a_right_is_read_as_it_is_written() {
        for text in ["look user bob", "operate group 1000", "administer everybody"] {
            let words: Vec<&[u8]> = text.split(' ').map(str::as_bytes).collect();
            let (allow, taken) = read(&words).unwrap();
            assert_eq!((format!("{allow}"), taken), (String::from(text), words.len()));
        }
        for (text, word, help) in [
            ("lok user bob", 0, "did you mean `look`?"),
            ("", 0, "expected one of look, operate, administer"),
            ("look usr bob", 1, "did you mean `user`?"),
            ("look", 1, "expected `user NAME`, `group NAME` or `everybody`"),
            ("look group", 2, "expected the name or number of a group"),
            ("look user a:b", 2, "a name has at most 256 bytes, and neither colon nor NUL"),
        ] {
            let words: Vec<&[u8]> = text.split(' ').map(str::as_bytes).collect();
            let mistake = read(&words).unwrap_err();
            assert_eq!((mistake.word, mistake.help.as_str()), (word, help), "{text}");
        }
    }

    #[test]
    fn numbers_are_taken_as_they_are_and_nobodys_number_is_nobody() {
        let gives = |who, uid, groups: &[u32]| {
            Allow { role: Role::Operate, who }.gives(Role::Look, uid, groups, &Nameless)
        };
        assert!(gives(Who::User(Text::from("7")), 7, &[]));
        assert!(!gives(Who::User(Text::from("7")), 8, &[7]));
        assert!(gives(Who::Group(Text::from("7")), 8, &[1, 7]));
        assert!(gives(Who::Everybody, 9, &[]));
        assert!(!gives(Who::User(Text::from("4294967295")), u32::MAX, &[]));
        assert!(!gives(Who::User(Text::from("bob")), 7, &[]));
        let more = Allow { role: Role::Look, who: Who::Everybody };
        assert!(!more.gives(Role::Operate, 7, &[], &Nameless));
    }
}
