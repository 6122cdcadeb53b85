//! Tokens: what a client of a server shows in place of a password. Each has a role over jobs and an end.
//! Only digests are known here: who knows all of this cannot pass for anybody.

use crate::rights::{covers, Role, WORD_MAX};
use crate::text::Text;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use serde::{Deserialize, Serialize};

/// The first line of the text. One that begins otherwise is of another version and not read.
const HEAD: &str = "upright tokens 1";

/// How many tokens there may be at once; those that have ended do not count.
pub const TOKENS_MAX: usize = 1000;

/// How many patterns one may have.
pub const JOBS_MAX: usize = 100;

/// The longest text that is read, in bytes.
pub const TEXT_MAX: usize = 64 * 1024 * 1024;

/// The longest name of a token, in bytes.
const NAME_MAX: usize = 64;

/// The SHA-256 of a token. Comparing two takes as long wherever they differ.
#[derive(Clone, Copy, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

impl PartialEq for Digest {
    fn eq(&self, other: &Digest) -> bool {
        let differing = self.0.iter().zip(&other.0).fold(0, |all, (a, b)| all | (a ^ b));
        core::hint::black_box(differing) == 0
    }
}

/// Nothing of it: a log is no place for it.
impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest")
    }
}

impl From<[u8; 32]> for Digest {
    fn from(bytes: [u8; 32]) -> Digest {
        Digest(bytes)
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl TryFrom<String> for Digest {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Digest, &'static str> {
        const WRONG: &str = "a digest has 64 hexadecimal digits";
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(WRONG);
        }
        let mut bytes = [0; 32];
        for (place, byte) in bytes.iter_mut().enumerate() {
            let pair = text.get(place * 2..place * 2 + 2).unwrap_or_default();
            *byte = u8::from_str_radix(pair, 16).map_err(|_| WRONG)?;
        }
        Ok(Digest(bytes))
    }
}

/// A token, but for its digest: what people are shown of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenView {
    /// What it is called.
    pub name: String,
    /// What who shows it may do.
    pub role: Role,
    /// Over which jobs: patterns, `*` alone is everything.
    pub jobs: Vec<Text>,
    /// When it was made, in seconds since 1970 (UTC).
    pub created: u64,
    /// Who made it: the user's number.
    pub by: u32,
    /// When it ends, in seconds since 1970 (UTC); none: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
}

/// A token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// What people are shown.
    #[serde(flatten)]
    pub view: TokenView,
    /// What is compared.
    pub digest: Digest,
}

/// All tokens, by their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    all: Vec<Token>,
}

impl TokenView {
    /// Reports whether it has ended.
    pub fn is_over(&self, now: u64) -> bool {
        self.expires.is_some_and(|at| at <= now)
    }

    /// Reports whether it gives a role over a job; without one, over everything.
    pub fn gives(&self, role: Role, job: Option<&[u8]>) -> bool {
        let administers = self.role == Role::Administer;
        let everything = || self.jobs.iter().any(|pattern| covers(pattern.bytes(), None));
        self.role >= role
            && (self.jobs.iter().any(|pattern| covers(pattern.bytes(), job))
                || (administers && everything()))
    }

    /// Returns what is wrong with it, after its name.
    fn fault(&self) -> Option<&'static str> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let named = (1..=NAME_MAX).contains(&self.name.len()) && self.name.chars().all(plain);
        let pattern =
            |text: &Text| (1..=WORD_MAX).contains(&text.len()) && !text.bytes().contains(&0);
        match (named, self.jobs.len(), self.jobs.iter().all(pattern)) {
            (false, _, _) => Some("a name has 1 to 64 letters, digits, `-', `_' and `.'"),
            (_, 0, _) => Some("over which jobs? `*' is everything"),
            (_, 1..=JOBS_MAX, true) => None,
            (_, _, _) => Some("at most 100 patterns of at most 256 bytes"),
        }
    }
}

impl Tokens {
    /// Returns those that have not ended, by their names.
    pub fn views(&self, now: u64) -> Vec<TokenView> {
        let live = self.all.iter().filter(|token| !token.view.is_over(now));
        live.map(|token| token.view.clone()).collect()
    }

    /// Adds one; those that have ended are forgotten.
    pub fn add(&mut self, token: Token, now: u64) -> Result<(), String> {
        if let Some(why) = token.view.fault() {
            return Err(format!("{}: {why}", token.view.name));
        }
        self.all.retain(|one| !one.view.is_over(now));
        let name = &token.view.name;
        if self.all.iter().any(|one| one.view.name == *name || one.digest == token.digest) {
            return Err(format!("{name}: there is such a token; revoke it first"));
        }
        if self.all.len() >= TOKENS_MAX {
            return Err(format!("{name}: there are {TOKENS_MAX} tokens; revoke one first"));
        }
        let place = self.all.partition_point(|one| one.view.name < *name);
        self.all.insert(place, token);
        Ok(())
    }

    /// Forgets the one of this name. Reports whether there was one.
    pub fn remove(&mut self, name: &str) -> bool {
        let before = self.all.len();
        self.all.retain(|token| token.view.name != name);
        self.all.len() < before
    }

    /// Returns the one with this digest, unless it has ended. All are looked at, whichever it is.
    pub fn find(&self, digest: &Digest, now: u64) -> Option<&TokenView> {
        let found = self.all.iter().fold(None, |found, token| match token.digest == *digest {
            true => Some(token),
            false => found,
        });
        found.map(|token| &token.view).filter(|view| !view.is_over(now))
    }

    /// Returns the text that keeps them: a line for each, in JSON.
    pub fn write(&self) -> Vec<u8> {
        let mut text = format!("{HEAD}\n").into_bytes();
        for token in &self.all {
            text.extend_from_slice(&serde_json::to_vec(token).unwrap_or_default());
            text.push(b'\n');
        }
        text
    }

    /// Reads such a text, and says what is wrong with it, a sentence for each line. Nothing of a text of
    /// another version is read.
    pub fn read(text: &[u8]) -> (Tokens, Vec<String>) {
        let (mut tokens, mut wrong) = (Tokens::default(), Vec::new());
        let mut lines = text.split(|byte| *byte == b'\n');
        if lines.next() != Some(HEAD.as_bytes()) {
            wrong.push(format!("it does not begin with `{HEAD}`: nothing of it is read"));
            return (tokens, wrong);
        }
        for (number, line) in lines.enumerate().filter(|(_, line)| !line.is_empty()) {
            let read = serde_json::from_slice::<Token>(line).map_err(|error| format!("{error}"));
            if let Err(why) = read.and_then(|token| tokens.add(token, 0)) {
                wrong.push(format!("line {}: {why}", number + 2));
            }
        }
        (tokens, wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(name: &str, byte: u8, expires: Option<u64>) -> Token {
        let jobs = [Text::from("web-*"), Text::from("a b")].into();
        let name = String::from(name);
        let view = TokenView { name, role: Role::Operate, jobs, created: 5, by: 0, expires };
        Token { view, digest: Digest::from([byte; 32]) }
    }

    #[test]
    fn what_was_written_is_read_and_no_text_has_more_than_digests() {
        let mut tokens = Tokens::default();
        tokens.add(token("ci", 0xab, Some(100)), 0).unwrap();
        tokens.add(token("backup", 1, None), 0).unwrap();
        let text = tokens.write();
        let expected = format!(
            "upright tokens 1\n\
             {{\"name\":\"backup\",\"role\":\"operate\",\"jobs\":[\"web-*\",\"a b\"],\"created\":5,\
             \"by\":0,\"digest\":\"{}\"}}\n\
             {{\"name\":\"ci\",\"role\":\"operate\",\"jobs\":[\"web-*\",\"a b\"],\"created\":5,\"by\":0,\
             \"expires\":100,\"digest\":\"{}\"}}\n",
            "01".repeat(32),
            "ab".repeat(32),
        );
        assert_eq!(String::from_utf8_lossy(&text), expected);
        assert_eq!(Tokens::read(&text), (tokens.clone(), Vec::new()));
        assert_eq!(tokens.views(99).len(), 2);
        assert_eq!(tokens.views(100).len(), 1);
        assert!(!format!("{tokens:?}").contains("abab"), "{tokens:?}");
    }

    #[test]
    fn a_token_is_found_by_its_digest_until_it_ends_or_is_revoked() {
        let mut tokens = Tokens::default();
        tokens.add(token("ci", 7, Some(100)), 0).unwrap();
        let find = |tokens: &Tokens, byte: u8, now| {
            tokens.find(&Digest::from([byte; 32]), now).map(|view| view.name.clone())
        };
        assert_eq!(find(&tokens, 7, 99).as_deref(), Some("ci"));
        assert_eq!((find(&tokens, 7, 100), find(&tokens, 8, 0)), (None, None));
        let mut near = [7; 32];
        near[31] = 6;
        assert_eq!(tokens.find(&Digest::from(near), 0), None);
        assert!(tokens.remove("ci") && !tokens.remove("ci"));
        assert_eq!(find(&tokens, 7, 0), None);
    }

    #[test]
    fn what_cannot_be_a_token_is_refused_with_a_reason() {
        let mut tokens = Tokens::default();
        tokens.add(token("ci", 7, Some(100)), 0).unwrap();
        for (wrong, why) in [
            (token("ci", 8, None), "ci: there is such a token; revoke it first"),
            (token("other", 7, None), "other: there is such a token; revoke it first"),
            (token("a b", 8, None), "a b: a name has 1 to 64 letters, digits, `-', `_' and `.'"),
        ] {
            assert_eq!(tokens.add(wrong, 0).unwrap_err(), why);
        }
        let mut nothing = token("x", 9, None);
        nothing.view.jobs.clear();
        assert_eq!(tokens.add(nothing, 0).unwrap_err(), "x: over which jobs? `*' is everything");
        // One that has ended makes room for another of its name.
        tokens.add(token("ci", 8, None), 100).unwrap();
    }

    #[test]
    fn a_broken_line_costs_itself_alone_and_another_version_everything() {
        let mut tokens = Tokens::default();
        tokens.add(token("ci", 7, None), 0).unwrap();
        let mut text = tokens.write();
        text.extend_from_slice(b"{\"name\":1}\nnonsense\n");
        let (read, wrong) = Tokens::read(&text);
        assert_eq!((read, wrong.len()), (tokens, 2));
        assert!(wrong[0].starts_with("line 3: "), "{wrong:?}");
        assert_eq!(Tokens::read(b"upright tokens 2\n").1.len(), 1);
        for text in ["", "zz", &"0g".repeat(32), &"é".repeat(32)] {
            assert!(Digest::try_from(String::from(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn a_token_gives_its_role_and_those_it_contains_over_its_jobs() {
        let view = token("ci", 7, None).view;
        for (role, job, gives) in [
            (Role::Look, Some("web-1"), true),
            (Role::Operate, Some("a b"), true),
            (Role::Administer, Some("web-1"), false),
            (Role::Look, Some("db"), false),
            (Role::Look, None, false),
        ] {
            assert_eq!(view.gives(role, job.map(str::as_bytes)), gives, "{role} {job:?}");
        }
    }
}
