//! `initctl` and its links, as Upstart 1.13.2 has them: words, options and exit codes.

mod act;
pub mod commands;
mod help;
mod options;
mod sessions;

use super::client::{Client, Trouble};
use super::connect::{self, Address, SYSTEM_SOCKET};
use super::options::{parse, Order, Stop};
use super::shape::Shape;
use super::World;
use commands::{CommandRow, COMMANDS};
use engine::control::answer::Answer;
use engine::control::call::Call;
use engine::control::fault::Fault;
use engine::text::Text;
use options::{Loudness, Settings};
use shown::words::printable;
use std::path::PathBuf;

/// Where the system bus of D-Bus listens.
const SYSTEM_BUS: &str = "/run/dbus/system_bus_socket";

/// Why a command did not succeed; it has been said.
struct Failed;

/// A command on its way.
struct Session<'a, 'b> {
    world: &'a mut World<'b>,
    settings: Settings,
}

/// Runs `initctl`, or the command whose name it was called by; returns the exit code.
pub fn run(world: &mut World<'_>) -> u8 {
    let args = std::mem::take(&mut world.args);
    let mut session = Session { world, settings: Settings::default() };
    match session.dispatch(&args) {
        Ok(()) => 0,
        Err(Failed) => 1,
    }
}

impl Session<'_, '_> {
    /// Finds the command, by the program's name or as the first argument, and runs it.
    fn dispatch(&mut self, args: &[Vec<u8>]) -> Result<(), Failed> {
        if let Some(row) = commands::find(self.world.program.as_bytes()) {
            return self.command(row, args, "");
        }
        let common: Vec<_> = options::COMMON.iter().collect();
        let mut settings = std::mem::take(&mut self.settings);
        let parsed =
            parse(args, &common, Order::UntilFirst, |effect, value| settings.apply(effect, value));
        self.settings = settings;
        let rest = match parsed {
            Ok(rest) => rest,
            Err(stop) => {
                let program = self.world.program.clone();
                return self.stopped(&stop, || help::program(&program));
            }
        };
        let Some((name, _)) = rest.split_first() else {
            return Err(self.mistake("missing command"));
        };
        match commands::find(name) {
            Some(row) => self.command(row, rest.get(1..).unwrap_or_default(), row.name),
            None => {
                let name = String::from_utf8_lossy(name);
                Err(self.mistake(&format!("invalid command: {name}")))
            }
        }
    }

    /// Runs a command with what stands after its name; `shown` is that name where it was given as
    /// an argument.
    fn command(
        &mut self,
        row: &'static CommandRow,
        args: &[Vec<u8>],
        shown: &str,
    ) -> Result<(), Failed> {
        let all: Vec<_> = row.options.iter().chain(options::COMMON).collect();
        let mut settings = std::mem::take(&mut self.settings);
        let parsed =
            parse(args, &all, Order::Anywhere, |effect, value| settings.apply(effect, value));
        self.settings = settings;
        match parsed {
            Ok(rest) => (row.run)(self, &rest),
            Err(stop) => {
                let program = self.world.program.clone();
                self.stopped(&stop, || help::command(&program, shown, row))
            }
        }
    }

    fn stopped(&mut self, stop: &Stop, help: impl FnOnce() -> String) -> Result<(), Failed> {
        match stop {
            Stop::Help => {
                let help = help();
                self.world.print(&help);
                Ok(())
            }
            Stop::Version => {
                let version = crate::cli::layout::version(&self.world.program);
                self.world.print(&version);
                Ok(())
            }
            Stop::Mistake(what) => Err(self.mistake(what)),
        }
    }

    /// Says what is wrong with the command line, and where help is.
    fn mistake(&mut self, what: &str) -> Failed {
        let program = &self.world.program;
        let text = format!("{program}: {what}\nTry `{program} --help' for more information.");
        self.world.say(&text);
        Failed
    }

    /// Says what went wrong.
    fn error(&mut self, what: &str) -> Failed {
        let text = format!("{}: {what}", self.world.program);
        self.world.say(&text);
        Failed
    }

    /// Prints an ordinary line, unless told to be quiet.
    fn message(&mut self, text: &str) {
        self.tell(Loudness::Message, text);
    }

    /// Prints a line that only matters to who wants to know more.
    fn info(&mut self, text: &str) {
        self.tell(Loudness::Info, text);
    }

    fn tell(&mut self, at: Loudness, text: &str) {
        if self.settings.loudness <= at {
            self.world.print(text);
            self.world.print("\n");
        }
    }

    /// Connects as initctl(8) says, asks, and says what went wrong.
    fn ask(&mut self, call: Call) -> Result<Answer, Failed> {
        self.open()?.ask(call).map_err(|trouble| match trouble {
            Trouble::Fault(Fault::Refused(refused)) if refused.code == CHECK_FAILED => {
                if let Some(output) = &refused.output {
                    self.world.say(&printable_lines(output));
                }
                self.error(&refused.message)
            }
            Trouble::Fault(_) | Trouble::Lost(_) => self.error(&trouble.to_string()),
        })
    }

    fn open(&mut self) -> Result<Client, Failed> {
        let session = self.world.variable("UPSTART_SESSION");
        if self.settings.bus.is_none() && (session.is_some() || self.settings.user) {
            let Some(session) = session else {
                return Err(self.error(
                    "UPSTART_SESSION isn't set in the environment. Unable to locate the Upstart \
                     instance.",
                ));
            };
            self.refuse_dest()?;
            return match Address::parse(&session) {
                Some(address) => self.connect(address),
                None => {
                    let session = String::from_utf8_lossy(&session).into_owned();
                    let why = format!("Unable to connect to Upstart: {session} is no address");
                    Err(self.error(&why))
                }
            };
        }
        let system = Address::Path(PathBuf::from(SYSTEM_SOCKET));
        match self.settings.bus {
            None => {
                self.refuse_dest()?;
                let named = self.world.variable("UPRIGHT_SOCKET");
                let named = named.and_then(|name| Address::parse(&name));
                // In a container PID 1 may have no place for a socket in the file system.
                if let (None, Err(_)) = (&named, connect::connect(&system, self.world.uid)) {
                    if let Some((stream, address)) = connect::first(self.world.uid) {
                        return Ok(Client::new(stream, address, self.world.uid));
                    }
                }
                self.connect(named.unwrap_or(system))
            }
            Some(options::Bus::System) => match connect::connect(&system, self.world.uid) {
                Ok(stream) => Ok(Client::new(stream, system, self.world.uid)),
                Err(_) => Err(self.no_system_bus()),
            },
            Some(options::Bus::Session) => Err(self.no_session_bus()),
        }
    }

    fn refuse_dest(&mut self) -> Result<(), Failed> {
        if self.settings.dest {
            return Err(self.mistake("--dest given without --system"));
        }
        Ok(())
    }

    fn connect(&mut self, address: Address) -> Result<Client, Failed> {
        match connect::connect(&address, self.world.uid) {
            Ok(stream) => Ok(Client::new(stream, address, self.world.uid)),
            Err(refusal) => {
                let address = match &address {
                    Address::Path(path) => path.display().to_string(),
                    Address::Abstract(name) => String::from_utf8_lossy(name).into_owned(),
                };
                Err(self.error(&format!(
                    "Unable to connect to Upstart: Failed to connect to socket {address}: {refusal}"
                )))
            }
        }
    }

    /// The original would reach the system's instance over D-Bus; here the control socket is its
    /// only door, so that this only tells why there is none.
    fn no_system_bus(&mut self) -> Failed {
        let bus = std::os::unix::net::UnixStream::connect(SYSTEM_BUS);
        let why = match bus {
            Err(error) => {
                format!("Failed to connect to socket {SYSTEM_BUS}: {}", connect::words(&error))
            }
            Ok(_) => format!("no Upright listens at {SYSTEM_SOCKET}"),
        };
        self.error(&format!("Unable to connect to system bus: {why}"))
    }

    fn no_session_bus(&mut self) -> Failed {
        let bus = self.world.variable("DBUS_SESSION_BUS_ADDRESS");
        let why = match (bus, self.world.variable("DISPLAY")) {
            (None, None) => "Unable to autolaunch a dbus-daemon without a $DISPLAY for X11",
            (_, _) => "Upright is not on it; leave --session out to use its control socket",
        };
        self.error(&format!("Unable to connect to session bus: {why}"))
    }
}

/// The word of a refusal for a check that failed: the one whose output the original, which has no
/// checks, could not have left out.
const CHECK_FAILED: &str = "check-failed";

/// Returns what a job wrote, fit for a terminal.
fn printable_lines(output: &Text) -> String {
    let lines: Vec<String> = output.lossy().lines().map(printable).collect();
    lines.join("\n")
}

/// Returns what its command line may have.
pub fn shape() -> Shape {
    let command = |row: &CommandRow| {
        let options = row.options.iter().chain(options::COMMON);
        Shape::simple((row.name, row.synopsis, row.help), row.usage, options)
    };
    Shape {
        commands: COMMANDS.iter().map(command).collect(),
        ..Shape::simple(("initctl", "Control the init daemon.", ""), "", options::COMMON)
    }
}

/// Returns every command's name, for who makes links.
pub fn names() -> impl Iterator<Item = &'static str> {
    COMMANDS.iter().map(|row| row.name)
}

#[cfg(test)]
mod tests;
