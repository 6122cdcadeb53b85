//! Why a call got no answer, and how that travels.

use super::wire::WireFailure;
use super::{INTERFACE, SERVICE};
use crate::machine::request::{Failure, Refusal, Superseder};
use crate::names::{InstanceName, JobName};
use crate::text::Text;
use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use serde::{Deserialize, Serialize};

/// Why a call got no answer. `Display` is for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// What came is not a message; the connection ends.
    BadMessage(String),
    /// No such interface.
    InterfaceNotFound(String),
    /// No such method.
    MethodNotFound(String),
    /// A parameter is missing, unknown or wrong.
    InvalidParameter {
        /// Its name.
        parameter: String,
        /// What is wrong, after the name.
        message: String,
    },
    /// The answer does not fit in one frame and the caller did not say `more`.
    ExpectedMore,
    /// The caller may not do that.
    NotPermitted {
        /// The method.
        command: String,
        /// Which rule says so.
        rule: String,
        /// The whole of it, with the way in.
        message: String,
    },
    /// The engine refused, or it did not come about.
    Refused(Box<Refused>),
    /// No such variable.
    NoSuchVariable(Text),
    /// This cannot be had here; why.
    Unavailable(String),
    /// An error of a later version: its name and what it says.
    Other(String, String),
}

/// A [`Refusal`] as it travels, with what the job wrote last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Which refusal: `unknown-job`, `already-running` ...
    pub code: String,
    /// In words.
    pub message: String,
    /// The job, where one is concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<Text>,
    /// The instance, where one is concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<InstanceName>,
    /// The event, where one is concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<Text>,
    /// Why the job failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<WireFailure>,
    /// What of its file that is about: the program, the directory, the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concern: Option<Text>,
    /// The last lines that the job wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Text>,
}

impl Refused {
    /// Returns why the job failed, where that is what happened.
    pub fn failure(&self) -> Option<Failure> {
        self.failure.as_ref().and_then(WireFailure::failure)
    }
}

/// Why nothing was written to the standard input of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputRefusal {
    /// It has no pipe there: its job is none that has.
    None,
    /// The process has closed it.
    Closed,
    /// The process does not read what is there already.
    Full,
}

impl InputRefusal {
    /// Returns the word that programs branch on, and the sentence for people.
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            InputRefusal::None => {
                ("no-input", "it reads from /dev/null; `input pipe` in its job file gives it an input that can be written to")
            }
            InputRefusal::Closed => ("input-closed", "it has closed its standard input"),
            InputRefusal::Full => (
                "input-full",
                "its standard input is full, for it does not read what is there; try again later",
            ),
        }
    }
}

/// Returns the word that programs branch on.
pub fn code(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::UnknownJob(..) => "unknown-job",
        Refusal::UnknownInstance(..) | Refusal::UnknownJobInstance(..) => "unknown-instance",
        Refusal::AlreadyRunning(..) => "already-running",
        Refusal::AlreadyStopped(..) => "already-stopped",
        Refusal::NotRunning(..) => "not-running",
        Refusal::Failed(..) => "failed",
        Refusal::Superseded(..) => "superseded",
        Refusal::EventFailed(..) => "event-failed",
        Refusal::BadEnv => "bad-env",
        Refusal::EmptyEventName => "empty-event-name",
        Refusal::BadName(..) => "bad-name",
        Refusal::Expansion(..) => "expansion",
        Refusal::ShuttingDown => "shutting-down",
        Refusal::TooMuch(..) => "too-much",
        Refusal::Masked(..) => "masked",
        Refusal::NotKept(..) => "not-kept",
        Refusal::CheckFailed(..) => "check-failed",
        Refusal::NoCheck(..) => "no-check",
    }
}

impl From<&Refusal> for Refused {
    fn from(refusal: &Refusal) -> Refused {
        let plain = Refused {
            code: String::from(code(refusal)),
            message: refusal.to_string(),
            ..Refused::default()
        };
        let of = |job: &JobName, instance: &InstanceName| Refused {
            job: Some(job.text().clone()),
            instance: Some(instance.clone()),
            ..plain.clone()
        };
        match refusal {
            Refusal::UnknownJob(job) => Refused { job: Some(job.clone()), ..plain },
            Refusal::UnknownInstance(instance) => {
                Refused { instance: Some(instance.clone()), ..plain }
            }
            Refusal::UnknownJobInstance(job, instance)
            | Refusal::AlreadyRunning(job, instance)
            | Refusal::AlreadyStopped(job, instance)
            | Refusal::NotRunning(job, instance) => of(job, instance),
            Refusal::Failed(_, job, instance, why)
            | Refusal::CheckFailed(_, job, instance, why) => {
                Refused { failure: Some((*why).into()), ..of(job, instance) }
            }
            Refusal::Superseded(_, job, instance, by) => Refused {
                event: match by {
                    Superseder::Event(event, _) => Some(event.text().clone()),
                    Superseder::Request(_) | Superseder::Shutdown => None,
                },
                ..of(job, instance)
            },
            Refusal::EventFailed(event) => Refused { event: Some(event.text().clone()), ..plain },
            Refusal::BadEnv
            | Refusal::EmptyEventName
            | Refusal::BadName(_)
            | Refusal::Expansion(..)
            | Refusal::ShuttingDown
            | Refusal::NotKept(_)
            | Refusal::TooMuch(_) => plain,
            Refusal::Masked(job) | Refusal::NoCheck(job) => {
                Refused { job: Some(job.text().clone()), ..plain }
            }
        }
    }
}

/// The parameters of every error, as they travel; each error uses some.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Body {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    interface: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    method: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parameter: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    command: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

#[derive(Serialize)]
struct Frame<'a, P: Serialize> {
    error: String,
    parameters: &'a P,
}

#[derive(Deserialize)]
struct Parameters<P> {
    parameters: P,
}

impl Fault {
    /// Returns the fault of a parameter; `message` goes on after its name.
    pub fn parameter(name: &str, message: &str) -> Fault {
        Fault::InvalidParameter { parameter: name.to_owned(), message: message.to_owned() }
    }

    /// Returns the fault of a refusal, with what the job wrote last.
    pub fn refused(refusal: &Refusal, output: Option<Text>) -> Fault {
        let output = output.filter(|text| !text.is_empty());
        Fault::Refused(Box::new(Refused { output, ..Refused::from(refusal) }))
    }

    /// Returns the fault of a refusal that is not the machine's, by the word that programs branch on.
    pub fn refusal(code: &str, message: String) -> Fault {
        Fault::Refused(Box::new(Refused { code: code.to_owned(), message, ..Refused::default() }))
    }

    /// Returns the fault as one JSON object with `error` and `parameters`.
    pub fn to_json(&self) -> String {
        String::from_utf8(self.frame()).unwrap_or_default()
    }

    /// Returns the fault of an input that cannot be written to.
    pub fn no_input(refusal: InputRefusal, job: &JobName, instance: &InstanceName) -> Fault {
        let (code, why) = refusal.words();
        let message = format!("{}: {why}", job.with_instance(instance));
        let (job, instance) = (Some(job.text().clone()), Some(instance.clone()));
        Fault::Refused(Box::new(Refused {
            code: String::from(code),
            message,
            job,
            instance,
            ..Refused::default()
        }))
    }

    /// Returns the error's full name.
    pub fn name(&self) -> String {
        let (interface, name) = match self {
            Fault::BadMessage(..) => (INTERFACE, "BadMessage"),
            Fault::InterfaceNotFound(..) => (SERVICE, "InterfaceNotFound"),
            Fault::MethodNotFound(..) => (SERVICE, "MethodNotFound"),
            Fault::InvalidParameter { .. } => (SERVICE, "InvalidParameter"),
            Fault::ExpectedMore => (SERVICE, "ExpectedMore"),
            Fault::NotPermitted { .. } => (INTERFACE, "NotPermitted"),
            Fault::Refused(..) => (INTERFACE, "Refused"),
            Fault::NoSuchVariable(..) => (INTERFACE, "NoSuchVariable"),
            Fault::Unavailable(..) => (INTERFACE, "Unavailable"),
            Fault::Other(name, _) => return name.clone(),
        };
        format!("{interface}.{name}")
    }

    /// Returns the fault as a frame, without the NUL.
    pub fn frame(&self) -> Vec<u8> {
        let some = |text: &String| Some(text.clone());
        let body = match self {
            Fault::Refused(refused) => return frame_of(self.name(), &**refused),
            Fault::InterfaceNotFound(interface) => {
                Body { interface: some(interface), ..Body::default() }
            }
            Fault::MethodNotFound(method) => Body { method: some(method), ..Body::default() },
            Fault::InvalidParameter { parameter, message } => {
                Body { parameter: some(parameter), message: some(message), ..Body::default() }
            }
            Fault::ExpectedMore => Body::default(),
            Fault::NotPermitted { command, rule, message } => Body {
                command: some(command),
                rule: some(rule),
                message: some(message),
                ..Body::default()
            },
            Fault::NoSuchVariable(name) => Body { name: Some(name.clone()), ..Body::default() },
            Fault::BadMessage(message) | Fault::Unavailable(message) | Fault::Other(_, message) => {
                Body { message: some(message), ..Body::default() }
            }
        };
        frame_of(self.name(), &body)
    }

    /// Reads the error of this name out of its whole frame.
    pub(super) fn of_frame(name: &str, frame: &[u8]) -> Fault {
        if name.strip_prefix(INTERFACE) == Some(".Refused") {
            return match serde_json::from_slice::<Parameters<Refused>>(frame) {
                Ok(refused) => Fault::Refused(Box::new(refused.parameters)),
                Err(error) => Fault::Other(name.to_owned(), error.to_string()),
            };
        }
        let body = match serde_json::from_slice::<Parameters<Body>>(frame) {
            Ok(body) => body.parameters,
            Err(_) => Body::default(),
        };
        let message = body.message.unwrap_or_default();
        if let Some(error) = name.strip_prefix(INTERFACE) {
            match error {
                ".BadMessage" => return Fault::BadMessage(message),
                ".NoSuchVariable" => return Fault::NoSuchVariable(body.name.unwrap_or_default()),
                ".Unavailable" => return Fault::Unavailable(message),
                ".NotPermitted" => {
                    return Fault::NotPermitted {
                        command: body.command.unwrap_or_default(),
                        rule: body.rule.unwrap_or_default(),
                        message,
                    }
                }
                _ => {}
            }
        }
        match name.strip_prefix(SERVICE) {
            Some(".InterfaceNotFound") => {
                Fault::InterfaceNotFound(body.interface.unwrap_or_default())
            }
            Some(".MethodNotFound") => Fault::MethodNotFound(body.method.unwrap_or_default()),
            Some(".InvalidParameter") => {
                Fault::InvalidParameter { parameter: body.parameter.unwrap_or_default(), message }
            }
            Some(".ExpectedMore") => Fault::ExpectedMore,
            Some(_) | None => Fault::Other(name.to_owned(), message),
        }
    }
}

fn frame_of<P: Serialize>(error: String, parameters: &P) -> Vec<u8> {
    serde_json::to_vec(&Frame { error, parameters }).unwrap_or_default()
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::BadMessage(why) => write!(f, "not a message of this protocol: {why}"),
            Fault::InterfaceNotFound(name) => write!(f, "no interface {name:?}"),
            Fault::MethodNotFound(name) => write!(f, "no method {name:?}"),
            Fault::InvalidParameter { parameter, message } => write!(f, "{parameter} {message}"),
            Fault::ExpectedMore => {
                f.write_str("the answer does not fit in one frame: call with \"more\": true")
            }
            Fault::NotPermitted { message, .. } | Fault::Unavailable(message) => {
                f.write_str(message)
            }
            Fault::Refused(refused) => f.write_str(&refused.message),
            Fault::NoSuchVariable(name) => write!(f, "No such variable: {name}"),
            Fault::Other(name, message) if message.is_empty() => f.write_str(name),
            Fault::Other(name, message) => write!(f, "{message} ({name})"),
        }
    }
}
