//! Refusals as D-Bus errors. Source: spec 12, Errors.

use engine::control::fault::{Fault, Refused};

/// What errors of Upstart's own begin with.
const UPSTART: &str = "com.ubuntu.Upstart0_6.Error.";

/// What errors of D-Bus itself begin with.
const FREEDESKTOP: &str = "org.freedesktop.DBus.Error.";

/// An error as it goes to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Its name.
    pub name: String,
    /// What it says.
    pub message: String,
}

/// A code of a refusal, and the error that it is. A code that is not here is `Failed`.
const CODES: [(&str, &str, &str); 14] = [
    ("unknown-job", UPSTART, "UnknownJob"),
    ("unknown-instance", UPSTART, "UnknownInstance"),
    ("already-running", UPSTART, "AlreadyStarted"),
    ("already-stopped", UPSTART, "AlreadyStopped"),
    ("not-running", UPSTART, "NotRunning"),
    ("failed", UPSTART, "JobFailed"),
    ("superseded", UPSTART, "JobFailed"),
    ("check-failed", UPSTART, "JobFailed"),
    ("event-failed", UPSTART, "EventFailed"),
    ("bad-env", FREEDESKTOP, "InvalidArgs"),
    ("empty-event-name", FREEDESKTOP, "InvalidArgs"),
    ("bad-name", FREEDESKTOP, "InvalidArgs"),
    ("expansion", FREEDESKTOP, "InvalidArgs"),
    ("too-much", FREEDESKTOP, "LimitsExceeded"),
];

impl Error {
    /// Returns an error of D-Bus itself.
    pub fn plain(name: &str, message: impl Into<String>) -> Error {
        Error { name: format!("{FREEDESKTOP}{name}"), message: message.into() }
    }

    /// Returns the error of an argument.
    pub fn argument(message: impl Into<String>) -> Error {
        Error::plain("InvalidArgs", message)
    }

    /// Returns an error of Upstart's own.
    pub fn upstart(name: &str, message: impl Into<String>) -> Error {
        Error { name: format!("{UPSTART}{name}"), message: message.into() }
    }

    /// Returns the error of a method that is not there, in libnih's words.
    pub fn unknown_method(member: &str, signature: &str, interface: &str) -> Error {
        let message = format!(
            "Method \"{member}\" with signature \"{signature}\" on interface \"{interface}\" doesn't exist\n"
        );
        Error::plain("UnknownMethod", message)
    }

    /// Reports whether there is no such job.
    pub fn is_unknown_job(&self) -> bool {
        self.name.strip_prefix(UPSTART) == Some("UnknownJob")
    }

    /// Reports whether there is no such instance.
    pub fn is_unknown_instance(&self) -> bool {
        self.name.strip_prefix(UPSTART) == Some("UnknownInstance")
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Error {
        let message = fault.to_string();
        match &fault {
            Fault::Refused(refused) => of_refusal(refused, message),
            Fault::NotPermitted { .. } => Error::upstart("PermissionDenied", message),
            Fault::NoSuchVariable(_) | Fault::InvalidParameter { .. } => Error::argument(message),
            Fault::BadMessage(_)
            | Fault::InterfaceNotFound(_)
            | Fault::MethodNotFound(_)
            | Fault::ExpectedMore
            | Fault::Unavailable(_)
            | Fault::Other(..) => Error::plain("Failed", message),
        }
    }
}

fn of_refusal(refused: &Refused, message: String) -> Error {
    let row = CODES.iter().find(|(code, ..)| *code == refused.code);
    match row {
        Some((_, UPSTART, "UnknownInstance")) if refused.job.is_some() => {
            Error::upstart("UnknownJobInstance", message)
        }
        Some((_, prefix, name)) => Error { name: format!("{prefix}{name}"), message },
        None => Error::plain("Failed", message),
    }
}
