//! The parameters of a call: every name that any command takes, each with its type.

use super::call::{Proposed, Token};
use super::fault::Fault;
use crate::text::Text;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;
use serde::de::{self, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// How many items one list of a call may have.
pub(super) const LIST_MAX: usize = 4096;

/// What came, by name. A command takes out what it knows; what is left is an error.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Params {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) job: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) instance: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) env: Option<Vec<Text>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) wait: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) token: Option<Token>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) event: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) all: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) priority: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) after: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) follow: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) names: Option<Vec<Text>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) variables: Option<Vec<Text>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) replace: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) address: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) session: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) restart: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) signal: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) once: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) intent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) runtime: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stream: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) back: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) input: Option<Text>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) digest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) role: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) jobs: Option<Vec<Text>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) lifetime: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) files: Option<Vec<Proposed>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) trial: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) undo: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) interface: Option<String>,
    /// The first name that no command takes.
    #[serde(skip)]
    pub(super) unknown: Option<String>,
}

impl Params {
    /// Returns the names that are set.
    pub(super) fn present(&self) -> impl Iterator<Item = &'static str> {
        [
            ("job", self.job.is_some()),
            ("instance", self.instance.is_some()),
            ("env", self.env.is_some()),
            ("wait", self.wait.is_some()),
            ("token", self.token.is_some()),
            ("event", self.event.is_some()),
            ("all", self.all.is_some()),
            ("priority", self.priority.is_some()),
            ("after", self.after.is_some()),
            ("follow", self.follow.is_some()),
            ("name", self.name.is_some()),
            ("names", self.names.is_some()),
            ("variables", self.variables.is_some()),
            ("replace", self.replace.is_some()),
            ("address", self.address.is_some()),
            ("session", self.session.is_some()),
            ("restart", self.restart.is_some()),
            ("signal", self.signal.is_some()),
            ("once", self.once.is_some()),
            ("intent", self.intent.is_some()),
            ("runtime", self.runtime.is_some()),
            ("stream", self.stream.is_some()),
            ("back", self.back.is_some()),
            ("input", self.input.is_some()),
            ("digest", self.digest.is_some()),
            ("role", self.role.is_some()),
            ("jobs", self.jobs.is_some()),
            ("lifetime", self.lifetime.is_some()),
            ("files", self.files.is_some()),
            ("trial", self.trial.is_some()),
            ("undo", self.undo.is_some()),
            ("interface", self.interface.is_some()),
        ]
        .into_iter()
        .filter_map(|(name, set)| set.then_some(name))
    }

    /// Returns what may stand in a log of a call: no value of a variable, no input, no token.
    pub(super) fn audited(&self) -> Vec<(&'static str, String)> {
        let text = |text: &Option<Text>| text.as_ref().map(|text| text.lossy().into_owned());
        let keys = |rows: &Option<Vec<Text>>| {
            let key = |row: &Text| {
                let key = row.bytes().split(|byte| *byte == b'=').next().unwrap_or_default();
                String::from_utf8_lossy(key).into_owned()
            };
            rows.as_ref().map(|rows| rows.iter().take(20).map(key).collect::<Vec<_>>().join(","))
        };
        let list = |rows: &Option<Vec<Text>>| {
            let shown = |row: &Text| row.lossy().into_owned();
            rows.as_ref().map(|rows| rows.iter().take(20).map(shown).collect::<Vec<_>>().join(","))
        };
        let yes = |flag: Option<bool>| flag.filter(|flag| *flag).map(|_| String::from("yes"));
        let all = [
            ("job", text(&self.job)),
            ("instance", text(&self.instance)),
            ("event", text(&self.event)),
            ("name", text(&self.name)),
            ("variables", keys(&self.env).or(keys(&self.variables)).or(keys(&self.names))),
            ("signal", self.signal.map(|number| format!("{number}"))),
            ("intent", self.intent.clone()),
            ("priority", self.priority.clone()),
            ("role", self.role.clone()),
            ("jobs", list(&self.jobs)),
            ("lifetime", self.lifetime.map(|seconds| format!("{seconds}"))),
            ("once", yes(self.once)),
            ("session", yes(self.session)),
            ("restart", yes(self.restart)),
            ("trial", yes(self.trial)),
            ("undo", yes(self.undo)),
        ];
        all.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
    }

    /// Refuses a name that is not among `taken`.
    pub(super) fn only(&self, taken: &[super::command::Parameter]) -> Result<(), Fault> {
        let stray = self.present().find(|name| taken.iter().all(|row| row.name != *name));
        match (stray, &self.unknown) {
            (Some(name), _) => Err(Fault::parameter(name, "is not a parameter of this method")),
            (None, Some(name)) => Err(Fault::parameter(name, "is not a parameter of this method")),
            (None, None) => Ok(()),
        }
    }

    /// Reads one value by its name.
    fn read<'de, M: MapAccess<'de>>(&mut self, name: &str, map: &mut M) -> Result<(), M::Error> {
        match name {
            "job" => self.job = map.next_value()?,
            "instance" => self.instance = map.next_value()?,
            "env" => self.env = map.next_value::<Option<List<Text>>>()?.map(|list| list.0),
            "wait" => self.wait = map.next_value()?,
            "token" => self.token = map.next_value()?,
            "event" => self.event = map.next_value()?,
            "all" => self.all = map.next_value()?,
            "priority" => self.priority = map.next_value()?,
            "after" => self.after = map.next_value()?,
            "follow" => self.follow = map.next_value()?,
            "name" => self.name = map.next_value()?,
            "names" => self.names = map.next_value::<Option<List<Text>>>()?.map(|list| list.0),
            "variables" => {
                self.variables = map.next_value::<Option<List<Text>>>()?.map(|list| list.0);
            }
            "replace" => self.replace = map.next_value()?,
            "address" => self.address = map.next_value()?,
            "session" => self.session = map.next_value()?,
            "restart" => self.restart = map.next_value()?,
            "signal" => self.signal = map.next_value()?,
            "once" => self.once = map.next_value()?,
            "intent" => self.intent = map.next_value()?,
            "runtime" => self.runtime = map.next_value()?,
            "stream" => self.stream = map.next_value()?,
            "back" => self.back = map.next_value()?,
            "input" => self.input = map.next_value()?,
            "digest" => self.digest = map.next_value()?,
            "role" => self.role = map.next_value()?,
            "jobs" => self.jobs = map.next_value::<Option<List<Text>>>()?.map(|list| list.0),
            "lifetime" => self.lifetime = map.next_value()?,
            "files" => self.files = map.next_value::<Option<List<Proposed>>>()?.map(|list| list.0),
            "trial" => self.trial = map.next_value()?,
            "undo" => self.undo = map.next_value()?,
            "interface" => self.interface = map.next_value()?,
            _ => {
                map.next_value::<IgnoredAny>()?;
                if self.unknown.is_none() {
                    self.unknown = Some(String::from(name));
                }
            }
        }
        Ok(())
    }
}

/// Reads an object of parameters; `at` is the name that was being read when it failed.
pub(super) struct ParamsSeed<'a> {
    pub(super) at: &'a mut Option<String>,
}

impl<'de> DeserializeSeed<'de> for ParamsSeed<'_> {
    type Value = Params;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Params, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ParamsSeed<'_> {
    type Value = Params;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Params, E> {
        Ok(Params::default())
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Params, M::Error> {
        let mut params = Params::default();
        while let Some(name) = map.next_key::<String>()? {
            let read = params.read(&name, &mut map);
            if read.is_err() {
                *self.at = Some(name);
            }
            read?;
        }
        Ok(params)
    }
}

/// A list of bounded length.
struct List<T>(Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<List<T>, D::Error> {
        struct Items<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Items<T> {
            type Value = List<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }
            fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<List<T>, S::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    if items.len() == LIST_MAX {
                        let why = format!("a list may have at most {LIST_MAX} items");
                        return Err(de::Error::custom(why));
                    }
                    items.push(item);
                }
                Ok(List(items))
            }
        }
        deserializer.deserialize_seq(Items(PhantomData))
    }
}
