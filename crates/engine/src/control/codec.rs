//! Messages: JSON ended by NUL, read piece by piece, within bounds.

use super::audit::Origin;
use super::command::{Replies, Row};
use super::fault::Fault;
use super::params::{Params, ParamsSeed};
use super::INTERFACE;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use serde::de::{self, DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// The longest message that is read, in bytes, without its NUL.
pub const MESSAGE_MAX: usize = 1024 * 1024;

/// The longest frame that is written, in bytes; only a single thing that is longer by itself gets a
/// longer one, up to [`MESSAGE_MAX`].
pub const FRAME_MAX: usize = 64 * 1024;

/// Bytes as they arrive, cut into messages.
#[derive(Debug, Default)]
pub struct Inbox {
    bytes: Vec<u8>,
    /// Where the next message begins.
    start: usize,
    /// Up to here there is no NUL after `start`.
    searched: usize,
    broken: bool,
}

/// A message is longer than [`MESSAGE_MAX`]; nothing more is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

impl Inbox {
    /// Adds what arrived.
    pub fn feed(&mut self, bytes: &[u8]) {
        if !self.broken {
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// Returns how many bytes wait to be taken.
    pub fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    /// Reports whether nothing waits to be taken.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reports whether [`Inbox::take`] would return something.
    pub fn is_ready(&self) -> bool {
        let unsearched = self.bytes.get(self.searched..).unwrap_or_default();
        self.len() > MESSAGE_MAX || unsearched.contains(&0)
    }

    /// Takes the next whole message, without its NUL. After `TooLong` the inbox stays empty.
    pub fn take(&mut self) -> Option<Result<Vec<u8>, TooLong>> {
        let unsearched = self.bytes.get(self.searched..).unwrap_or_default();
        let Some(found) = unsearched.iter().position(|byte| *byte == 0) else {
            self.searched = self.bytes.len();
            if self.len() > MESSAGE_MAX {
                return self.give_up();
            }
            self.compact();
            return None;
        };
        let end = self.searched + found;
        if end - self.start > MESSAGE_MAX {
            return self.give_up();
        }
        let message = self.bytes.get(self.start..end).unwrap_or_default().to_vec();
        self.start = end + 1;
        self.searched = self.start;
        Some(Ok(message))
    }

    fn give_up(&mut self) -> Option<Result<Vec<u8>, TooLong>> {
        *self = Inbox { broken: true, ..Inbox::default() };
        Some(Err(TooLong))
    }

    /// Moves what is left to the front, once nothing whole is left: each byte moves once.
    fn compact(&mut self) {
        if self.start == 0 {
            return;
        }
        self.bytes.drain(..self.start);
        self.searched -= self.start;
        self.start = 0;
        if self.bytes.is_empty() {
            self.bytes = Vec::new();
        }
    }
}

/// A call as it came, before anybody asked what it means.
#[derive(Debug, Default)]
pub(super) struct Envelope {
    pub(super) method: String,
    pub(super) params: Params,
    pub(super) more: bool,
    pub(super) oneway: bool,
    pub(super) upgrade: bool,
    /// Where it came from, of a gateway.
    pub(super) origin: Option<Origin>,
}

/// Reads a call. A parameter of a wrong type is that parameter's fault, anything else the message's.
pub(super) fn read_call(message: &[u8]) -> Result<Envelope, Fault> {
    let mut at = None;
    let mut deserializer = serde_json::Deserializer::from_slice(message);
    let read = EnvelopeSeed { at: &mut at }.deserialize(&mut deserializer);
    let read = read.and_then(|envelope| deserializer.end().map(|()| envelope));
    read.map_err(|error| wrong(at, &error))
}

/// Reads the parameters of a call that stand for themselves.
pub(super) fn read_parameters(parameters: &[u8]) -> Result<Params, Fault> {
    let mut at = None;
    let mut deserializer = serde_json::Deserializer::from_slice(parameters);
    let read = ParamsSeed { at: &mut at }.deserialize(&mut deserializer);
    let read = read.and_then(|params| deserializer.end().map(|()| params));
    read.map_err(|error| wrong(at, &error))
}

/// Says what is wrong: with the parameter that was being read, else with the whole.
fn wrong(at: Option<String>, error: &serde_json::Error) -> Fault {
    match at {
        Some(name) if error.is_data() => Fault::parameter(&name, &format!("is wrong: {error}")),
        Some(_) | None => Fault::BadMessage(error.to_string()),
    }
}

struct EnvelopeSeed<'a> {
    at: &'a mut Option<String>,
}

impl<'de> DeserializeSeed<'de> for EnvelopeSeed<'_> {
    type Value = Envelope;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Envelope, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for EnvelopeSeed<'_> {
    type Value = Envelope;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with \"method\" and \"parameters\"")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Envelope, M::Error> {
        let mut method = None;
        let mut envelope = Envelope::default();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "method" => method = Some(map.next_value()?),
                "parameters" => {
                    envelope.params = map.next_value_seed(ParamsSeed { at: &mut *self.at })?;
                }
                "more" => envelope.more = flag(&mut map)?,
                "oneway" => envelope.oneway = flag(&mut map)?,
                "upgrade" => envelope.upgrade = flag(&mut map)?,
                "origin" => envelope.origin = map.next_value()?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        envelope.method = method.ok_or_else(|| de::Error::missing_field("method"))?;
        Ok(envelope)
    }
}

fn flag<'de, M: MapAccess<'de>>(map: &mut M) -> Result<bool, M::Error> {
    Ok(map.next_value::<Option<bool>>()?.unwrap_or(false))
}

#[derive(Serialize)]
struct WireCall<'a> {
    method: String,
    parameters: &'a Params,
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    more: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<&'a Origin>,
}

/// Appends a call with its NUL.
pub(super) fn write_call(
    row: &Row,
    parameters: &Params,
    origin: Option<&Origin>,
    out: &mut Vec<u8>,
) {
    let more = match row.replies {
        Replies::AtOnce | Replies::Settled | Replies::Checked => false,
        Replies::Pages | Replies::Stream => true,
    };
    let method = format!("{INTERFACE}.{}", row.method);
    let call = WireCall { method, parameters, more, origin };
    out.extend_from_slice(&encoded(&call));
    out.push(0);
}

/// Whether another frame follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Continues {
    /// One more at least.
    Yes,
    /// This is the last.
    No,
}

/// Appends a frame with its NUL; `parameters` is JSON already.
pub(super) fn write_frame(parameters: &[u8], continues: Continues, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"parameters\":");
    out.extend_from_slice(parameters);
    match continues {
        Continues::Yes => out.extend_from_slice(b",\"continues\":true}\0"),
        Continues::No => out.extend_from_slice(b"}\0"),
    }
}

/// Returns the JSON of a value that always has one.
pub(super) fn encoded<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_else(|_| Vec::from(&b"{}"[..]))
}

#[derive(Deserialize)]
struct ReplyHead {
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    continues: Option<bool>,
}

#[derive(Deserialize)]
struct ReplyBody<P> {
    parameters: P,
}

/// Reads whether a reply is an error, and whether another follows.
pub(super) fn read_head(message: &[u8]) -> Result<Continues, Fault> {
    let head: ReplyHead = serde_json::from_slice(message)
        .map_err(|error| Fault::BadMessage(format!("in a reply: {error}")))?;
    match head.error {
        Some(name) => Err(Fault::of_frame(&name, message)),
        None if head.continues == Some(true) => Ok(Continues::Yes),
        None => Ok(Continues::No),
    }
}

#[derive(Deserialize)]
struct Reply<P> {
    parameters: P,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    continues: Option<bool>,
}

/// Reads a reply at once where it is what was asked for, as nearly all are: a list is long, and read
/// twice it takes twice as long.
pub(super) fn read_reply<'a, P: Deserialize<'a>>(message: &'a [u8]) -> Option<(P, Continues)> {
    let Reply { parameters, error, continues } = serde_json::from_slice(message).ok()?;
    let continues = if continues == Some(true) { Continues::Yes } else { Continues::No };
    error.is_none().then_some((parameters, continues))
}

/// Reads the parameters of a reply.
pub(super) fn read_body<'a, P: Deserialize<'a>>(message: &'a [u8]) -> Result<P, Fault> {
    serde_json::from_slice::<ReplyBody<P>>(message)
        .map(|body| body.parameters)
        .map_err(|error| Fault::BadMessage(format!("in a reply: {error}")))
}
