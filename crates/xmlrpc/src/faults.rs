//! What Supervisor's interface answers in place of a result.

use std::fmt;

/// Why a call was refused. Source: Supervisor 4.3.0, xmlrpc.py, `Faults`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Code {
    /// There is no such method.
    UnknownMethod,
    /// The number or the kinds of the parameters are wrong.
    IncorrectParameters,
    /// A parameter's value is wrong.
    BadArguments,
    /// Nothing is known of a method's signature.
    SignatureUnsupported,
    /// The daemon stops or starts again.
    ShutdownState,
    /// There is no such process or group.
    BadName,
    /// There is no such signal.
    BadSignal,
    /// There is no such file.
    NoFile,
    /// The program may not be executed.
    NotExecutable,
    /// It failed.
    Failed,
    /// The process ended while it was to start.
    AbnormalTermination,
    /// The process could not be made.
    SpawnError,
    /// The process runs already.
    AlreadyStarted,
    /// The process does not run.
    NotRunning,
    /// No fault: what a group's call says of each process that it changed.
    Success,
    /// The group is active already.
    AlreadyAdded,
    /// A process of the group runs.
    StillRunning,
    /// The configuration cannot be read again.
    CantReread,
}

/// Every code with its number and its name.
const CODES: [(Code, i64, &str); 18] = [
    (Code::UnknownMethod, 1, "UNKNOWN_METHOD"),
    (Code::IncorrectParameters, 2, "INCORRECT_PARAMETERS"),
    (Code::BadArguments, 3, "BAD_ARGUMENTS"),
    (Code::SignatureUnsupported, 4, "SIGNATURE_UNSUPPORTED"),
    (Code::ShutdownState, 6, "SHUTDOWN_STATE"),
    (Code::BadName, 10, "BAD_NAME"),
    (Code::BadSignal, 11, "BAD_SIGNAL"),
    (Code::NoFile, 20, "NO_FILE"),
    (Code::NotExecutable, 21, "NOT_EXECUTABLE"),
    (Code::Failed, 30, "FAILED"),
    (Code::AbnormalTermination, 40, "ABNORMAL_TERMINATION"),
    (Code::SpawnError, 50, "SPAWN_ERROR"),
    (Code::AlreadyStarted, 60, "ALREADY_STARTED"),
    (Code::NotRunning, 70, "NOT_RUNNING"),
    (Code::Success, 80, "SUCCESS"),
    (Code::AlreadyAdded, 90, "ALREADY_ADDED"),
    (Code::StillRunning, 91, "STILL_RUNNING"),
    (Code::CantReread, 92, "CANT_REREAD"),
];

impl Code {
    /// Returns the code of a number.
    pub fn from_number(number: i64) -> Option<Code> {
        CODES.iter().find(|(_, known, _)| *known == number).map(|(code, _, _)| *code)
    }

    /// Returns its number on the wire.
    pub fn number(self) -> i64 {
        CODES[self as usize].1
    }

    /// Returns its name, which begins the text of its faults.
    pub fn name(self) -> &'static str {
        CODES[self as usize].2
    }

    /// Returns the fault of this code that has nothing to add.
    pub fn fault(self) -> Fault {
        Fault { number: self.number(), text: self.name().to_owned() }
    }

    /// Returns the fault of this code that is about something: `BAD_NAME: web`.
    pub fn about(self, what: impl fmt::Display) -> Fault {
        Fault { number: self.number(), text: format!("{}: {what}", self.name()) }
    }
}

/// A call's refusal as it is on the wire. The number may be one that we do not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Which refusal.
    pub number: i64,
    /// What is said.
    pub text: String,
}

impl Fault {
    /// Returns its code, if it is one of Supervisor's.
    pub fn code(&self) -> Option<Code> {
        Code::from_number(self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_stands_at_its_own_place_and_is_found_by_its_number() {
        for (place, (code, number, name)) in CODES.iter().enumerate() {
            assert_eq!(*code as usize, place, "{name}");
            assert_eq!(Code::from_number(*number), Some(*code));
            assert_eq!((code.number(), code.name()), (*number, *name));
        }
        assert_eq!(Code::from_number(5), None);
        assert_eq!(Code::BadName.about("web").text, "BAD_NAME: web");
    }
}
