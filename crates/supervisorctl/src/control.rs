//! One run of the client: what commands work with.

use crate::commands;
use crate::failure::{Failure, Outcome};
use crate::input::Input;
use crate::session::Session;
use crate::settings::Settings;
use crate::watch::Watch;
use std::io::{self, IsTerminal, Write};
use std::rc::Rc;
use sys::tty::Silent;
use xmlrpc::{Code, Value};

/// The version of the interface that is spoken.
const API: &str = "3.0";

/// What a run's end says. Source: LSB 4.1, init script actions.
pub mod exit {
    /// All is well.
    pub const FINE: u8 = 0;
    /// Something went wrong.
    pub const GENERIC: u8 = 1;
    /// Arguments are wrong.
    pub const ARGUMENTS: u8 = 2;
    /// The server does not have what is needed.
    pub const UNIMPLEMENTED: u8 = 3;
    /// `status`: something that was asked about does not run.
    pub const STATUS_STOPPED: u8 = 3;
    /// The server refuses connections.
    pub const REFUSED: u8 = 4;
    /// `status`: something is unknown.
    pub const STATUS_UNKNOWN: u8 = 4;
    /// The server is of another version.
    pub const VERSION: u8 = 5;
    /// It does not run.
    pub const NOT_RUNNING: u8 = 7;
    /// Ended by Ctrl-C.
    pub const INTERRUPTED: u8 = 130;
}

/// What follows a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Another one.
    Go,
    /// The end of the shell.
    Leave,
}

/// One run of the client.
pub struct Control {
    /// What it is to do.
    pub settings: Settings,
    /// The code that it will end with; a later success does not mend it.
    pub exit: u8,
    /// What is typed.
    pub input: Input,
    /// Waiting that Ctrl-C ends.
    pub watch: Rc<Watch>,
    out: Box<dyn Write>,
    session: Option<Session>,
}

impl Control {
    /// Makes one that talks to standard output.
    pub fn new(settings: Settings, watch: Rc<Watch>) -> Outcome<Control> {
        let out = Box::new(io::BufWriter::new(io::stdout()));
        let input = Input::new()?;
        Ok(Control { settings, exit: exit::FINE, input, watch, out, session: None })
    }

    /// Carries a line out as the original's shell does; every failure is said.
    pub fn line(&mut self, line: &str) -> Outcome<Next> {
        let line = line.trim();
        let (word, argument) = split(line);
        let Some(command) = commands::find(word) else {
            if !line.is_empty() {
                self.say(&format!("*** Unknown syntax: {line}"))?;
                self.exit = exit::GENERIC;
            }
            return Ok(Next::Go);
        };
        loop {
            self.session = None;
            let failure = match (command.run)(self, argument) {
                Ok(next) => return Ok(next),
                Err(Failure::Interrupted) => return Err(Failure::Interrupted),
                Err(Failure::OutputGone) => return Err(Failure::OutputGone),
                Err(failure) => failure,
            };
            let strange = matches!(failure, Failure::Status(401, _));
            if strange {
                self.say("Server requires authentication")?;
            }
            if strange && self.settings.interactive {
                self.settings.username = Some(self.ask("Username:")?);
                self.settings.password = Some(self.ask_silently("Password:")?);
                self.say("")?;
                continue;
            }
            if !strange {
                self.say(&failure.line())?;
            }
            self.hint(&failure);
            self.exit = exit::GENERIC;
            return Ok(Next::Go);
        }
    }

    /// Prints a line.
    pub fn say(&mut self, text: &str) -> Outcome<()> {
        self.print(text.as_bytes())?;
        self.print(b"\n")
    }

    /// Prints bytes as they are.
    pub fn print(&mut self, bytes: &[u8]) -> Outcome<()> {
        self.out.write_all(bytes).map_err(gone)
    }

    /// Sees to it that everything printed has gone out.
    pub fn flush(&mut self) -> Outcome<()> {
        self.out.flush().map_err(gone)
    }

    /// Prints a question and returns the line that is typed.
    pub fn ask(&mut self, question: &str) -> Outcome<String> {
        self.print(question.as_bytes())?;
        self.flush()?;
        let watch = Rc::clone(&self.watch);
        self.input.line(&watch)?.ok_or(Failure::InputEnded)
    }

    /// The same, but a terminal does not show what is typed.
    fn ask_silently(&mut self, question: &str) -> Outcome<String> {
        let _silent = Silent::new();
        self.ask(question)
    }

    /// Calls the server.
    pub fn call(&mut self, method: &str, parameters: &[Value]) -> Outcome<Value> {
        let watch = Rc::clone(&self.watch);
        self.session()?.call(method, parameters, &watch)
    }

    /// Returns the connection that this command uses.
    pub fn session(&mut self) -> Outcome<&mut Session> {
        match &mut self.session {
            Some(session) => Ok(session),
            none @ None => Ok(none.insert(Session::new(&self.settings)?)),
        }
    }

    /// Says a mistake in the arguments, with the command's help below it.
    pub fn misused(&mut self, what: &str, command: &str, code: u8) -> Outcome<Next> {
        self.say(what)?;
        self.exit = code;
        let help = commands::find(command).map(|command| command.help).unwrap_or_default();
        self.say(help)?;
        Ok(Next::Go)
    }

    /// Says a mistake.
    pub fn mistaken(&mut self, what: &str) -> Outcome<Next> {
        self.say(what)?;
        self.exit = exit::GENERIC;
        Ok(Next::Go)
    }

    /// Makes sure that a server answers whose interface is ours; says why not.
    pub fn is_up(&mut self) -> Outcome<bool> {
        let url = self.settings.url.clone();
        let failure = match self.call("getVersion", &[]) {
            Ok(version) => {
                let version = version.text().unwrap_or_default();
                if version == API {
                    return Ok(true);
                }
                self.say(&format!(
                    "Sorry, this version of supervisorctl expects to talk to a server with API \
                     version {API}, but the remote version is {version}."
                ))?;
                self.exit = exit::VERSION;
                return Ok(false);
            }
            Err(failure) => failure,
        };
        let unknown = matches!(
            &failure,
            Failure::Fault(fault) if fault.code() == Some(Code::UnknownMethod)
        );
        if unknown {
            self.say(
                "Sorry, supervisord responded but did not recognize the supervisor namespace \
                 commands that supervisorctl uses to control it.  Please check that the \
                 [rpcinterface:supervisor] section is enabled in the configuration file (see \
                 sample.conf).",
            )?;
            self.exit = exit::UNIMPLEMENTED;
        } else if failure.is_kernel(io::ErrorKind::ConnectionRefused) {
            self.say(&format!("{url} refused connection"))?;
            self.exit = exit::REFUSED;
        } else if failure.is_kernel(io::ErrorKind::NotFound) {
            self.say(&format!("{url} no such file"))?;
            self.exit = exit::NOT_RUNNING;
        } else {
            return Err(failure);
        }
        self.hint(&failure);
        Ok(false)
    }

    /// Says what to type next, to a person; what reads the original's output gets no other line.
    pub fn hint(&mut self, failure: &Failure) {
        if !self.settings.guessed && !io::stderr().is_terminal() {
            return;
        }
        let file = self.settings.file.as_ref().map(|path| path.display().to_string());
        let (named, file) = match file {
            Some(file) => (format!(" -c {file}"), file),
            None => (String::new(), "supervisord.conf".to_owned()),
        };
        let away = failure.is_kernel(io::ErrorKind::ConnectionRefused)
            || failure.is_kernel(io::ErrorKind::NotFound);
        let hint = if let Failure::Host(host) = failure {
            format!("No such host: {host}. The URL is http://HOST:PORT or unix:///PATH.")
        } else if away {
            format!(
                "Nothing listens there. Start it: supervisord{named}. If it listens elsewhere: \
                 supervisorctl -s unix:///PATH status"
            )
        } else if failure.is_kernel(io::ErrorKind::PermissionDenied) {
            "The socket is somebody else's. Run this as its owner (sudo), or open it with chmod= \
             and chown= in [unix_http_server]."
                .to_owned()
        } else if matches!(failure, Failure::Status(401, _)) {
            format!(
                "Say who you are: -u NAME -p PASSWORD, or username= and password= in \
                 [supervisorctl] of {file}."
            )
        } else {
            return;
        };
        // Standard output first, so that the hint stands below what it is about.
        let _ = self.out.flush();
        eprintln!("supervisorctl: {hint}");
    }

    /// Changes the code that the run ends with by what came of one process.
    pub fn note(&mut self, number: i64, ignored: Option<Code>) {
        let code = Code::from_number(number);
        if code == Some(Code::Success) || (code.is_some() && code == ignored) {
            return;
        }
        let dead = [Code::SpawnError, Code::AbnormalTermination, Code::NotRunning];
        let is_dead = code.is_some_and(|code| dead.contains(&code));
        self.exit = if is_dead { exit::NOT_RUNNING } else { exit::GENERIC };
    }
}

/// Divides a line into its command and the rest. `?` is `help`; a word ends where its letters,
/// digits and underscores do. Source: Python 3.11, cmd.py, `Cmd.parseline`.
fn split(line: &str) -> (&str, &str) {
    if let Some(rest) = line.strip_prefix('?') {
        return ("help", rest.trim());
    }
    let end = line.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let (word, rest) = line.split_at(end.unwrap_or(line.len()));
    (word, rest.trim())
}

fn gone(error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::OutputGone,
        _ => Failure::Kernel(error),
    }
}
