//! `upright`, for people: what is going on, why, and what to type next.

mod changes;
pub mod check;
mod commands;
mod events;
mod follower;
mod graph;
mod log;
mod ondisk;
mod origin;
mod plan;
mod several;
mod startup;
mod status;
mod tokens;
mod tree;
mod unknown;
mod up;
mod why;
mod why_event;

use super::client::{Client, Trouble};
use super::shape::Shape;
use super::{complete, connect};
use super::{Look, World};
use clap::ArgMatches;
use engine::control::answer::Answer;
use engine::control::call::{Call, Log};
use engine::control::fault::{Fault, Refused};
use engine::machine::request::{Target, Which};
use engine::names::InstanceName;
use engine::text::Text;
use shown::words::{printable, reason};
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

pub(in crate::cli) use events::KINDS;

/// Why a command did not succeed; it has been said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It was refused, or it failed.
    Failed,
    /// The command line is wrong.
    Usage,
    /// Nobody answers.
    NoDaemon,
    /// It is as it was asked to be, but for what is to be done.
    Differs,
}

impl Exit {
    fn code(self) -> u8 {
        match self {
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::NoDaemon => 3,
            Exit::Differs => 2,
        }
    }
}

/// How a command shows what it has to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// For people.
    Words,
    /// For programs: JSON, as the interface describes it.
    Json,
}

/// A command on its way.
struct Session<'a, 'b> {
    world: &'a mut World<'b>,
    form: Form,
    socket: Option<Vec<u8>>,
}

/// Runs `upright` with its arguments; returns the exit code.
pub fn run(world: &mut World<'_>) -> u8 {
    let hands = |row: &&commands::CommandRow| row.talks == commands::Talks::Hands;
    let first = world.args.first().map(Vec::as_slice).unwrap_or_default();
    let named = |row: &&commands::CommandRow| row.name.as_bytes() == first;
    if let Some(row) = commands::COMMANDS.iter().filter(hands).find(named) {
        world.args.remove(0);
        let mut session = Session { world, form: Form::Words, socket: None };
        return (row.run)(&mut session, &ArgMatches::default()).map_or_else(Exit::code, |()| 0);
    }
    if let Some(asked) = status::asked_plainly(&world.args) {
        let status::Asked { job, listed, form, socket } = asked;
        let mut session = Session { world, form, socket };
        let shown = status::show(&mut session, job, listed, status::table);
        return shown.map_or_else(Exit::code, |()| 0);
    }
    let args = behind_the_command(std::mem::take(&mut world.args));
    let name = OsString::from("upright");
    let args = std::iter::once(name).chain(args.into_iter().map(OsString::from_vec));
    let matches = match commands::cli().try_get_matches_from(args) {
        Ok(matches) => matches,
        Err(error) => return mistake(world, &error),
    };
    let Some((name, matches)) = matches.subcommand() else { return Exit::Usage.code() };
    let Some(row) = commands::COMMANDS.iter().find(|row| row.name == name) else {
        return Exit::Usage.code();
    };
    let form = match matches.try_get_one::<bool>("json") {
        Ok(Some(true)) => Form::Json,
        Ok(_) | Err(_) => Form::Words,
    };
    let socket = match matches.try_get_one::<OsString>("socket") {
        Ok(Some(socket)) => Some(socket.as_bytes().to_vec()),
        Ok(None) | Err(_) => None,
    };
    match (row.run)(&mut Session { world, form, socket }, matches) {
        Ok(()) => 0,
        Err(exit) => exit.code(),
    }
}

/// Puts `--json` and `--socket` behind the command where they stand before it.
fn behind_the_command(mut args: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let mut before = 0;
    loop {
        match args.get(before).map(Vec::as_slice) {
            Some(b"--json") => before += 1,
            Some(b"--socket") => before += 2,
            Some(word) if word.starts_with(b"--socket=") => before += 1,
            Some(_) | None => break,
        }
    }
    if before > 0 && before < args.len() {
        let command = args.remove(before);
        args.insert(0, command);
    }
    args
}

/// Returns what the command line may have.
pub fn shape() -> Shape {
    let mut cli = commands::cli();
    // With the options that every command has.
    cli.build();
    Shape::of_command(&cli)
}

/// Prints what may come next in a command line.
fn complete(session: &mut Session<'_, '_>, _: &ArgMatches) -> Result<(), Exit> {
    complete::run(session.world);
    Ok(())
}

/// Says what is wrong with the command line, or what help was asked for.
fn mistake(world: &mut World<'_>, error: &clap::Error) -> u8 {
    let text = error.render().to_string();
    if error.use_stderr() {
        let _ = world.err.write_all(text.as_bytes());
        Exit::Usage.code()
    } else {
        world.print(&text);
        0
    }
}

impl Session<'_, '_> {
    fn colours(&self) -> bool {
        self.world.look == Look::Coloured
    }

    /// Returns a connection for what is told beside the answer; nothing, and no word, where there is none.
    fn client_aside(&self) -> Option<Client> {
        let places = connect::places(self.world, self.socket.as_deref()).ok()?;
        let (stream, address) = connect::find(places, self.world.uid).ok()?;
        let client = Client::new(stream, address, self.world.uid);
        Some(client.with_patience(std::time::Duration::ZERO))
    }

    fn client(&mut self) -> Result<Client, Exit> {
        let places = match connect::places(self.world, self.socket.as_deref()) {
            Ok(places) => places,
            Err(why) => {
                self.world.say(&format!("upright: {why}"));
                return Err(Exit::Usage);
            }
        };
        match connect::find(places, self.world.uid) {
            Ok((stream, address)) => Ok(Client::new(stream, address, self.world.uid)),
            Err(nobody) => {
                self.world.say(&format!("upright: {nobody}"));
                Err(Exit::NoDaemon)
            }
        }
    }

    /// Asks; where people look on, a refusal is said in words.
    fn ask(&mut self, call: Call) -> Result<Answer, Exit> {
        let about = About::of(&call);
        // The connection is over before another one is made.
        let answered = self.client()?.ask(call);
        match answered {
            Ok(answer) => Ok(answer),
            Err(trouble) => Err(self.trouble(trouble, &about)),
        }
    }

    /// Asks, and prints the answer as JSON where that is wanted; else returns it.
    fn ask_in_words(&mut self, call: Call) -> Result<Option<Answer>, Exit> {
        let answer = self.ask(call)?;
        match self.form {
            Form::Words => Ok(Some(answer)),
            Form::Json => {
                self.world.print(&format!("{}\n", answer.to_json()));
                Ok(None)
            }
        }
    }

    fn trouble(&mut self, trouble: Trouble, about: &About) -> Exit {
        let fault = match trouble {
            Trouble::Fault(fault) => fault,
            Trouble::Lost(error) => {
                let why = connect::words(&error);
                self.world.say(&format!(
                    "upright: the connection was lost before the answer came, and nobody answered \
                     again: {why}"
                ));
                return Exit::NoDaemon;
            }
        };
        match (&fault, self.form) {
            (_, Form::Json) => {
                self.world.print(&format!("{}\n", fault.to_json()));
            }
            (Fault::Refused(refused), Form::Words) => self.refused(refused, about),
            (_, Form::Words) => {
                let text = printable(&fault.to_string());
                self.world.say(&format!("upright: {text}"));
            }
        }
        Exit::Failed
    }

    /// Says why a request was refused, what the job wrote last, and what to type next.
    fn refused(&mut self, refused: &Refused, about: &About) {
        let job = refused.job.clone().or_else(|| about.job.clone());
        let name = job.map(|job| printable(&job.lossy()));
        let shown = match (&name, &refused.instance) {
            (Some(name), Some(instance)) if !instance.text().is_empty() => {
                Some(format!("{name} ({})", printable(&instance.text().lossy())))
            }
            (Some(name), _) => Some(name.clone()),
            (None, _) => None,
        };
        match (refused.failure(), &shown) {
            (Some(failure), Some(shown)) => {
                let verb = about.verb;
                let concern = refused.concern.as_ref();
                let why = reason(&failure, concern);
                self.world.say(&format!("{shown}: cannot {verb}: {why}"));
            }
            (None, Some(shown)) if refused.code == "expansion" => {
                let why = printable(&refused.message);
                self.world.say(&format!("{shown}: cannot {}: {why}", about.verb));
            }
            (None, Some(shown)) if does_not_run(refused) => {
                self.world.say(&format!("{shown}: cannot {}: it does not run.", about.verb));
                return;
            }
            (_, _) => {
                let lines: Vec<String> = refused.message.lines().map(printable).collect();
                self.world.say(&format!("upright: {}", lines.join("\n")));
            }
        }
        if let Some(output) = &refused.output {
            self.world.say("The last that it wrote:");
            for line in output.lossy().lines() {
                self.world.say(&format!("  | {}", printable(line)));
            }
        }
        match (refused.code.as_str(), name) {
            ("check-failed", Some(name)) if about.verb != "check" => {
                self.world.say(&format!("Nothing was touched: {name} goes on as it was."));
            }
            ("failed" | "superseded", Some(name)) => {
                self.world.say(&format!("Look at `upright why {name}` and `upright log {name}`."));
            }
            ("unknown-job", _) => {
                let job = refused.job.clone().or_else(|| about.job.clone()).unwrap_or_default();
                for line in unknown::tell(self, &job) {
                    self.world.say(&line);
                }
            }
            ("expansion", Some(name)) => {
                let shown = refused.message.rsplit_once("parameter: ");
                let variable = shown.map_or("NAME", |(_, variable)| variable.trim());
                let (verb, variable) = (about.verb, printable(variable));
                self.world.say(&format!(
                    "It has instances, told apart by variables: `upright {verb} {name} {variable}=VALUE`."
                ));
            }
            ("unknown-instance", Some(name)) => {
                self.world.say(&format!("`upright status {name}` shows what there is of it."));
            }
            (_, _) => {}
        }
    }
}

/// Reports whether a call failed as there is no job of that name.
fn is_unknown_job(trouble: &Trouble) -> bool {
    let Trouble::Fault(Fault::Refused(refused)) = trouble else { return false };
    refused.code == "unknown-job"
}

/// Reports whether a job that has no named instances has none at all.
fn does_not_run(refused: &Refused) -> bool {
    let unnamed = refused.instance.as_ref().is_none_or(|name| name.text().is_empty());
    refused.code == "unknown-instance" && unnamed
}

/// What a call is about, for the words of its refusal.
struct About {
    job: Option<Text>,
    verb: &'static str,
}

impl About {
    fn of(call: &Call) -> About {
        use engine::machine::request::Request;
        let (job, verb) = match call {
            Call::Ask(Request::Start(target, _) | Request::StartOnce(target, _), _) => {
                (Some(&target.job), "start")
            }
            Call::Ask(Request::Intend(job, ..), _) => (Some(job), "do that"),
            Call::Ask(Request::Stop(target, _), _) => (Some(&target.job), "stop"),
            Call::Ask(Request::Restart(target, _), _) => (Some(&target.job), "restart"),
            Call::Ask(Request::Reload(target), _) => (Some(&target.job), "reload"),
            Call::Ask(Request::Check(target), _) => (Some(&target.job), "check"),
            Call::Ask(Request::Signal(target, _), _) => (Some(&target.job), "signal"),
            Call::SendInput(target, _) => (Some(&target.job), "write to"),
            Call::Settings(job) => (Some(job), "look"),
            Call::Status(target)
            | Call::Why(target)
            | Call::LogPath(target, _)
            | Call::OpenLog(Log::Of(target, _), _) => (Some(&target.job), "look"),
            Call::ClearLog(Log::Of(target, _)) => (Some(&target.job), "empty the log of"),
            Call::List(job, _) => (job.as_ref(), "look"),
            Call::Ask(Request::Emit(..), _) | Call::EmitFile(..) => (None, "emit"),
            Call::ShowConfig(_)
            | Call::Programs(_)
            | Call::Timeline
            | Call::Usage(_)
            | Call::ReloadConfiguration
            | Call::Version
            | Call::GetLogPriority
            | Call::SetLogPriority(_)
            | Call::NotifyDiskWriteable
            | Call::Upgrade
            | Call::Events(..)
            | Call::Outputs
            | Call::NotifyDbusAddress(_)
            | Call::NotifyCgroupManagerAddress(_)
            | Call::Shutdown(_)
            | Call::GetEnv(..)
            | Call::SetEnv(..)
            | Call::UnsetEnv(..)
            | Call::ListEnv(_)
            | Call::ResetEnv(_)
            | Call::Supervisor
            | Call::Reread
            | Call::AddGroup(_)
            | Call::OpenLog(Log::Own, _)
            | Call::ClearLog(Log::Own)
            | Call::LogCounts
            | Call::Configured
            | Call::RemoveGroup(_)
            | Call::Sources
            | Call::Plan(_)
            | Call::Hold
            | Call::Apply(..)
            | Call::CreateToken(_)
            | Call::ListTokens
            | Call::RevokeToken(_) => (None, "do that"),
        };
        About { job: job.cloned(), verb }
    }
}

/// Returns an argument's bytes.
fn text(matches: &ArgMatches, name: &str) -> Option<Text> {
    matches.get_one::<OsString>(name).map(|value| Text::from(value.as_bytes()))
}

/// Returns the bytes of an argument that may be given more than once.
fn texts(matches: &ArgMatches, name: &str) -> Vec<Text> {
    let values = matches.get_many::<OsString>(name).into_iter().flatten();
    values.map(|value| Text::from(value.as_bytes())).collect()
}

/// Returns the job that the arguments name, and which instance.
fn target(session: &mut Session<'_, '_>, matches: &ArgMatches) -> Result<Target, Exit> {
    let job = text(matches, "job").unwrap_or_default();
    let which = match text(matches, "instance") {
        None => Which::Env(texts(matches, "env")),
        Some(name) => match InstanceName::try_from(name) {
            Ok(name) => Which::Named(name),
            Err(error) => {
                session.world.say(&format!("upright: --instance: {error}"));
                return Err(Exit::Usage);
            }
        },
    };
    Ok(Target { job, which })
}

#[cfg(test)]
mod tests;
