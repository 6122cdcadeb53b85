//! Checked names. What holds one has been checked once, where it came in.

use crate::text::Text;
use alloc::string::String;
use core::fmt;
use serde::{Deserialize, Serialize};

/// The longest name of a job, an instance or an event, in bytes.
pub const NAME_MAX: usize = 4096;

/// Says what is wrong with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// It has no byte.
    Empty,
    /// It has more than [`NAME_MAX`] bytes.
    TooLong,
    /// It has a NUL or a newline.
    Control,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NameError::Empty => "a name must have at least one character",
            NameError::TooLong => "a name may have at most 4096 bytes",
            NameError::Control => "a name must not contain a NUL or a newline",
        })
    }
}

fn check(text: &Text) -> Result<(), NameError> {
    if text.len() > NAME_MAX {
        Err(NameError::TooLong)
    } else if text.bytes().iter().any(|b| matches!(b, 0 | b'\n')) {
        Err(NameError::Control)
    } else {
        Ok(())
    }
}

fn check_full(text: &Text) -> Result<(), NameError> {
    if text.is_empty() {
        Err(NameError::Empty)
    } else {
        check(text)
    }
}

/// The name of a job: its file's path below the configuration directory, without the extension.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Text", into = "Text")]
pub struct JobName(Text);

/// The name of an instance: the expanded `instance` stanza, often empty.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "Text", into = "Text")]
pub struct InstanceName(Text);

/// The name of an event.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Text", into = "Text")]
pub struct EventName(Text);

impl TryFrom<Text> for JobName {
    type Error = NameError;
    fn try_from(text: Text) -> Result<Self, NameError> {
        check_full(&text).map(|()| JobName(text))
    }
}

impl TryFrom<Text> for InstanceName {
    type Error = NameError;
    fn try_from(text: Text) -> Result<Self, NameError> {
        check(&text).map(|()| InstanceName(text))
    }
}

impl TryFrom<Text> for EventName {
    type Error = NameError;
    fn try_from(text: Text) -> Result<Self, NameError> {
        check_full(&text).map(|()| EventName(text))
    }
}

impl TryFrom<&str> for JobName {
    type Error = NameError;
    fn try_from(text: &str) -> Result<Self, NameError> {
        JobName::try_from(Text::from(text))
    }
}

impl TryFrom<&str> for InstanceName {
    type Error = NameError;
    fn try_from(text: &str) -> Result<Self, NameError> {
        InstanceName::try_from(Text::from(text))
    }
}

impl TryFrom<&str> for EventName {
    type Error = NameError;
    fn try_from(text: &str) -> Result<Self, NameError> {
        EventName::try_from(Text::from(text))
    }
}

impl From<JobName> for Text {
    fn from(name: JobName) -> Text {
        name.0
    }
}

impl From<InstanceName> for Text {
    fn from(name: InstanceName) -> Text {
        name.0
    }
}

impl From<EventName> for Text {
    fn from(name: EventName) -> Text {
        name.0
    }
}

impl JobName {
    /// The group of Upright's own jobs, which no file describes and no event reaches.
    pub const RESERVED: &'static str = "upright/";

    /// Reports whether it names one of Upright's own jobs.
    pub fn is_reserved(&self) -> bool {
        self.0.bytes().starts_with(JobName::RESERVED.as_bytes())
    }

    /// Returns the name as text.
    pub fn text(&self) -> &Text {
        &self.0
    }

    /// Returns the name a log line or a status line shows: `job` or `job (instance)`.
    pub fn with_instance(&self, instance: &InstanceName) -> String {
        let mut shown = String::from(self.0.lossy());
        if !instance.0.is_empty() {
            shown.push_str(" (");
            shown.push_str(&instance.0.lossy());
            shown.push(')');
        }
        shown
    }
}

impl InstanceName {
    /// Returns the name as text.
    pub fn text(&self) -> &Text {
        &self.0
    }
}

impl EventName {
    /// Returns the name as text.
    pub fn text(&self) -> &Text {
        &self.0
    }
}

impl fmt::Display for JobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for InstanceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for JobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Debug for InstanceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Debug for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
