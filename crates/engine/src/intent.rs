//! What an operator has decided of a job beyond the present run, and the text that keeps it over a
//! reboot: a line for each job, `disabled web`.

use crate::names::JobName;
use crate::text::Text;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use serde::{Deserialize, Serialize};

/// The first line of the text. One that begins otherwise is of another version and not read.
const HEAD: &[u8] = b"upright intents 1\n";

/// The longest text that is read, in bytes.
pub const TEXT_MAX: usize = 8 * 1024 * 1024;

/// How many jobs may have an intent at once; one more is refused.
pub const INTENTS_MAX: usize = 20_000;

/// What becomes of a job whatever its file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Intent {
    /// Events do not start it; who asks for it does.
    Disabled,
    /// As [`Intent::Disabled`], until somebody starts it.
    Stopped,
    /// Nothing starts it.
    Masked,
}

impl Intent {
    /// Every intent with its word, in the text and in commands.
    pub const TABLE: [(Intent, &'static str); 3] =
        [(Intent::Disabled, "disabled"), (Intent::Stopped, "stopped"), (Intent::Masked, "masked")];

    /// Returns its word.
    pub fn word(self) -> &'static str {
        Intent::TABLE.iter().find(|row| row.0 == self).map_or("", |row| row.1)
    }

    /// Returns the intent of a word.
    pub fn from_word(word: &str) -> Option<Intent> {
        Intent::TABLE.iter().find(|row| row.1 == word).map(|row| row.0)
    }
}

impl fmt::Display for Intent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// How long an intent holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lasting {
    /// Until it is taken back, over reboots too.
    Kept,
    /// As long as this Upright runs.
    Runtime,
}

/// An intent, and how long it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intended {
    /// What is intended.
    pub intent: Intent,
    /// How long.
    pub lasting: Lasting,
}

impl Intended {
    /// Returns in words what it does to a job, and how it ends.
    pub fn words(&self, job: &JobName) -> String {
        let until = match self.lasting {
            Lasting::Kept => "until",
            Lasting::Runtime => "until Upright ends, or until",
        };
        match self.intent {
            Intent::Disabled => {
                format!(
                    "it is disabled: nothing starts it by itself {until} `upright enable {job}`"
                )
            }
            Intent::Stopped => {
                format!("it is stopped for good: nothing starts it by itself {until} `upright start {job}`")
            }
            Intent::Masked => {
                format!("it is masked: nothing starts it {until} `upright unmask {job}`")
            }
        }
    }
}

/// What became of a text that was to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keeping {
    /// It is on the disk.
    Done,
    /// It could not be written: the error's number.
    Failed(i32),
    /// There is no directory for it.
    Nowhere,
}

/// Returns the text of intents.
pub fn write<'a>(intents: impl Iterator<Item = (&'a JobName, Intent)>) -> Vec<u8> {
    let mut text = HEAD.to_vec();
    for (job, intent) in intents {
        text.extend_from_slice(intent.word().as_bytes());
        text.push(b' ');
        text.extend_from_slice(job.text().bytes());
        text.push(b'\n');
    }
    text
}

/// Returns the intents of a text, and what is wrong with it in a sentence for each line. Nothing of a
/// text of another version is read.
pub fn read(text: &[u8]) -> (BTreeMap<JobName, Intent>, Vec<String>) {
    let mut intents = BTreeMap::new();
    let mut wrong = Vec::new();
    let Some(lines) = text.strip_prefix(HEAD) else {
        wrong.push(String::from(
            "it does not begin with `upright intents 1`: nothing of it is read",
        ));
        return (intents, wrong);
    };
    for (number, line) in lines.split(|byte| *byte == b'\n').enumerate() {
        if line.is_empty() {
            continue;
        }
        let mut halves = line.splitn(2, |byte| *byte == b' ');
        let word = core::str::from_utf8(halves.next().unwrap_or_default()).unwrap_or_default();
        let name = JobName::try_from(Text::from(halves.next().unwrap_or_default()));
        match (Intent::from_word(word), name) {
            (Some(intent), Ok(name)) if intents.len() < INTENTS_MAX => {
                intents.insert(name, intent);
            }
            (Some(_), Ok(_)) => {
                wrong.push(format!("line {}: only {INTENTS_MAX} jobs can have one", number + 2));
                break;
            }
            (None, _) | (_, Err(_)) => wrong.push(format!(
                "line {}: `{}` is none of disabled, stopped, masked and a job",
                number + 2,
                String::from_utf8_lossy(line)
            )),
        }
    }
    (intents, wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> JobName {
        JobName::try_from(Text::from(text)).unwrap()
    }

    #[test]
    fn what_was_written_is_read() {
        let all = [("a b", Intent::Masked), ("db", Intent::Stopped), ("web/1", Intent::Disabled)];
        let all: BTreeMap<JobName, Intent> = all.into_iter().map(|(n, i)| (name(n), i)).collect();
        let text = write(all.iter().map(|(job, intent)| (job, *intent)));
        assert_eq!(text, b"upright intents 1\nmasked a b\nstopped db\ndisabled web/1\n");
        assert_eq!(read(&text), (all, Vec::new()));
    }

    #[test]
    fn a_broken_line_costs_itself_alone_and_another_version_everything() {
        let (intents, wrong) = read(b"upright intents 1\nmaskd web\ndisabled db\nmasked \n");
        assert_eq!(intents.into_keys().collect::<Vec<_>>(), [name("db")]);
        assert_eq!(wrong.len(), 2);
        assert!(wrong[0].starts_with("line 2: `maskd web`"), "{wrong:?}");
        let (intents, wrong) = read(b"upright intents 2\ndisabled db\n");
        assert!(intents.is_empty() && wrong.len() == 1);
        assert!(read(b"").0.is_empty());
    }
}
