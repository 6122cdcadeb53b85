//! Why a command came to no result.

use crate::python;
use engine::dialect::supervisord::repr;
use std::io;
use xmlrpc::Fault;

/// What went wrong with a command, besides what the command itself has words for.
#[derive(Debug)]
pub enum Failure {
    /// The server refused.
    Fault(Fault),
    /// The server answered with another status than 200.
    Status(u16, String),
    /// The kernel refused.
    Kernel(io::Error),
    /// The server's name leads nowhere.
    Host(String),
    /// The server hung up before it answered.
    HungUp,
    /// The answer is none that can be read.
    Unreadable(String),
    /// Something has a value that nobody expected.
    Value(String),
    /// Standard input ended where an answer was asked for.
    InputEnded,
    /// Ctrl-C.
    Interrupted,
    /// Nobody reads our output any more.
    OutputGone,
}

/// What a command returns.
pub type Outcome<T> = Result<T, Failure>;

impl Failure {
    /// Returns the line that the original prints where one of Python's exceptions reaches the top;
    /// in place of Python's file and line it names ours.
    pub fn line(&self) -> String {
        let (class, text) = match self {
            Failure::Fault(fault) => {
                let text = repr(&fault.text);
                ("xmlrpc.client.Fault", format!("<Fault {}: {text}>", fault.number))
            }
            Failure::Status(status, reason) => (
                "xmlrpc.client.ProtocolError",
                format!("<ProtocolError for 127.0.0.1/RPC2: {status} {reason}>"),
            ),
            Failure::Kernel(error) => python::os_error(error),
            Failure::Host(_) => {
                ("socket.gaierror", "[Errno -2] Name or service not known".to_owned())
            }
            Failure::HungUp => (
                "http.client.RemoteDisconnected",
                "Remote end closed connection without response".to_owned(),
            ),
            Failure::Unreadable(why) => ("xmlrpc.client.ResponseError", why.clone()),
            Failure::Value(what) => ("ValueError", what.clone()),
            Failure::InputEnded => ("EOFError", "EOF when reading a line".to_owned()),
            Failure::Interrupted => ("KeyboardInterrupt", String::new()),
            Failure::OutputGone => ("BrokenPipeError", "[Errno 32] Broken pipe".to_owned()),
        };
        format!("error: <class '{class}'>, {text}: file: {} line: {}", file!(), line!())
    }

    /// Reports whether it is this refusal of the kernel.
    pub fn is_kernel(&self, kind: io::ErrorKind) -> bool {
        matches!(self, Failure::Kernel(error) if error.kind() == kind)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Kernel(error)
    }
}

impl From<xmlrpc::read::Unreadable> for Failure {
    fn from(error: xmlrpc::read::Unreadable) -> Failure {
        Failure::Unreadable(error.0)
    }
}
