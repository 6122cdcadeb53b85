//! A call with its parameters understood, and back to the wire.

use super::audit::Origin;
use super::codec;
use super::command::{self, Command};
use super::fault::Fault;
use super::params::Params;
use super::priority;
use crate::intent::{Intent, Lasting};
use crate::machine::request::{Request, Target, Wait, Which};
use crate::machine::{Level, ShutdownKind};
use crate::names::InstanceName;
use crate::process::Stream;
use crate::rights::Role;
use crate::signal::Signal;
use crate::text::Text;
use crate::token::Digest;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// The longest token, in bytes.
pub const TOKEN_MAX: usize = 64;

/// What a client calls a request by, so that it can ask for it again after a lost connection.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Token(String);

impl Token {
    /// Returns the token as text.
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Token {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Token, &'static str> {
        if (1..=TOKEN_MAX).contains(&text.len()) {
            Ok(Token(text))
        } else {
            Err("a token has 1 to 64 bytes")
        }
    }
}

impl From<Token> for Text {
    fn from(token: Token) -> Text {
        Text::from(token.0)
    }
}

impl From<Token> for String {
    fn from(token: Token) -> String {
        token.0
    }
}

/// Whose jobs a list has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// The user's.
    Own,
    /// Also Upright's own, in the group `upright/`.
    All,
}

/// Whether a stream goes on after what is kept has been told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follow {
    /// It goes on as long as the connection.
    On,
    /// It ends: the last answer is [`super::answer::Answer::Done`].
    Off,
}

/// What becomes of a variable that is set already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clash {
    /// It gets the new value.
    Replace,
    /// It keeps the old one.
    Keep,
}

/// Whose environment is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnvScope {
    /// The one that new instances get.
    Global,
    /// An instance's: the job as given, and the instance.
    Instance(Text, InstanceName),
}

/// Which log is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Log {
    /// That of one of an instance's outputs.
    Of(Target, Stream),
    /// That of what stands in for Supervisor's daemon.
    Own,
}

/// How many rotations ago a file was written to: 0 is the one that is written to now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Back(pub u16);

/// A token that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewToken {
    /// What it is called.
    pub name: Text,
    /// Its digest: the token itself stays with whoever made it.
    pub digest: Digest,
    /// What who shows it may do.
    pub role: Role,
    /// Over which jobs.
    pub jobs: Vec<Text>,
    /// How long it holds, in seconds; none: until it is revoked.
    pub lifetime: Option<u64>,
}

/// What files are put in force for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meant {
    /// To stay.
    ToStay,
    /// To be put to the test: as long as the connection lasts the end of an essential job ends nothing.
    ToTest,
    /// As they were before the test: what it stopped is started again.
    AsBefore,
}

/// A file as it is proposed to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proposed {
    /// Where it stands, from the root on.
    pub path: Text,
    /// What is in it; none: it is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Text>,
}

/// What a client calls, its parameters checked for form only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// Start, Stop, Restart, Reload, Signal or Emit. Asked again with the same token, it is joined to the
    /// request that runs or to its answer.
    Ask(Request, Option<Token>),
    /// Write this to the standard input of an instance's main process, as far as there is room for it.
    SendInput(Target, Text),
    /// Emit, with the descriptor that came with the call: a job that the event starts has it, and is
    /// told its number by UPSTART_FDS.
    EmitFile(Text, Vec<Text>, Wait, Option<Token>),
    /// The state of one instance. With no environment and no instance of that name the answer is
    /// `stop/waiting`; with one, the instance is unknown.
    Status(Target),
    /// The states of all instances, or of one job's.
    List(Option<Text>, Listed),
    /// Why an instance is in its state.
    Why(Target),
    /// When every instance was wanted, began, ran and ended.
    Timeline,
    /// The descriptions of all jobs or of one.
    ShowConfig(Option<Text>),
    /// How a job's main process is run and ended.
    Settings(Text),
    /// The states of all jobs or of one, as Supervisor's clients want them.
    Programs(Option<Text>),
    /// The usage text of a job.
    Usage(Text),
    /// Read the job files again.
    ReloadConfiguration,
    /// What runs here.
    Version,
    /// The least priority that is logged.
    GetLogPriority,
    /// Change it.
    SetLogPriority(Level),
    /// The disk can be written from now on.
    NotifyDiskWriteable,
    /// Go on in the binary that now stands where this one was started from.
    Upgrade,
    /// A D-Bus daemon can be reached at this address.
    NotifyDbusAddress(Text),
    /// A control group manager can be reached at this address.
    NotifyCgroupManagerAddress(Text),
    /// What happens, after the notice of that number as far back as it is kept; without one, from
    /// now on.
    Events(Option<u64>, Follow),
    /// What programs say from now on, as far as their configuration wants others to hear of it.
    Outputs,
    /// The file of one of an instance's outputs.
    LogPath(Target, Stream),
    /// Stop everything, then end; why.
    Shutdown(ShutdownKind),
    /// The value of a variable.
    GetEnv(EnvScope, Text),
    /// Set variables, each `NAME=VALUE`.
    SetEnv(EnvScope, Vec<Text>, Clash),
    /// Remove variables.
    UnsetEnv(EnvScope, Vec<Text>),
    /// All variables.
    ListEnv(EnvScope),
    /// Put the variables back to what they were.
    ResetEnv(EnvScope),
    /// What stands in for Supervisor's daemon.
    Supervisor,
    /// Read Supervisor's configuration again, and tell which groups differ from those in force.
    Reread,
    /// Put a group of that configuration in force, and start what starts by itself.
    AddGroup(Text),
    /// Forget a group of which nothing runs.
    RemoveGroup(Text),
    /// The file of a log, opened for reading: the answer brings its descriptor.
    OpenLog(Log, Back),
    /// Empty a log.
    ClearLog(Log),
    /// How much was written to every log.
    LogCounts,
    /// What Supervisor's configuration, as it was last read, says of its programs.
    Configured,
    /// Where descriptions are read from.
    Sources,
    /// What these files would change, beside all others as they are.
    Plan(Vec<Proposed>),
    /// Read no file until this connection ends.
    Hold,
    /// Put what all files say in force. Where some are named, others that are broken do not matter.
    Apply(Vec<Text>, Meant),
    /// Make a token.
    CreateToken(Box<NewToken>),
    /// All tokens.
    ListTokens,
    /// End the token of that name.
    RevokeToken(Text),
}

impl Call {
    /// Returns the command that this is a call of.
    pub fn command(&self) -> Command {
        match self {
            Call::Ask(Request::Start(..) | Request::StartOnce(..), _) => Command::Start,
            Call::Ask(Request::Intend(..), _) => Command::Intend,
            Call::Ask(Request::Stop(..), _) => Command::Stop,
            Call::Ask(Request::Restart(..), _) => Command::Restart,
            Call::Ask(Request::Reload(..), _) => Command::Reload,
            Call::Ask(Request::Check(..), _) => Command::Check,
            Call::Ask(Request::Signal(..), _) => Command::Signal,
            Call::Ask(Request::Emit(..), _) => Command::Emit,
            Call::SendInput(..) => Command::SendInput,
            Call::EmitFile(..) => Command::EmitFile,
            Call::Status(..) => Command::Status,
            Call::List(..) => Command::List,
            Call::Why(..) => Command::Why,
            Call::Timeline => Command::Timeline,
            Call::ShowConfig(..) => Command::ShowConfig,
            Call::Settings(..) => Command::Settings,
            Call::Programs(..) => Command::Programs,
            Call::Usage(..) => Command::Usage,
            Call::ReloadConfiguration => Command::ReloadConfiguration,
            Call::Version => Command::Version,
            Call::GetLogPriority => Command::GetLogPriority,
            Call::SetLogPriority(..) => Command::SetLogPriority,
            Call::NotifyDiskWriteable => Command::NotifyDiskWriteable,
            Call::Upgrade => Command::Upgrade,
            Call::NotifyDbusAddress(..) => Command::NotifyDbusAddress,
            Call::NotifyCgroupManagerAddress(..) => Command::NotifyCgroupManagerAddress,
            Call::Events(..) => Command::Events,
            Call::Outputs => Command::Outputs,
            Call::LogPath(..) => Command::LogPath,
            Call::Shutdown(..) => Command::Shutdown,
            Call::GetEnv(..) => Command::GetEnv,
            Call::SetEnv(..) => Command::SetEnv,
            Call::UnsetEnv(..) => Command::UnsetEnv,
            Call::ListEnv(..) => Command::ListEnv,
            Call::ResetEnv(..) => Command::ResetEnv,
            Call::Supervisor => Command::Supervisor,
            Call::Reread => Command::Reread,
            Call::AddGroup(..) => Command::AddGroup,
            Call::RemoveGroup(..) => Command::RemoveGroup,
            Call::OpenLog(..) => Command::OpenLog,
            Call::ClearLog(..) => Command::ClearLog,
            Call::LogCounts => Command::LogCounts,
            Call::Configured => Command::Configured,
            Call::Sources => Command::Sources,
            Call::Plan(..) => Command::Plan,
            Call::Hold => Command::Hold,
            Call::Apply(..) => Command::Apply,
            Call::CreateToken(..) => Command::CreateToken,
            Call::ListTokens => Command::ListTokens,
            Call::RevokeToken(..) => Command::RevokeToken,
        }
    }

    /// Reads a call of this command from its parameters as JSON.
    pub fn decode(command: Command, parameters: &[u8]) -> Result<Call, Fault> {
        of_params(command::row(command), codec::read_parameters(parameters)?)
    }

    /// Appends the call as a message, its NUL included.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.write(None, out);
    }

    /// As [`Call::encode`], with where it came from: what a gateway says of its client.
    pub fn encode_from(&self, origin: &Origin, out: &mut Vec<u8>) {
        self.write(Some(origin), out);
    }

    fn write(&self, origin: Option<&Origin>, out: &mut Vec<u8>) {
        let row = command::row(self.command());
        codec::write_call(row, &self.params(), origin, out);
    }

    fn params(&self) -> Params {
        let none = Params::default();
        match self {
            Call::Ask(request, token) => Params { token: token.clone(), ..ask_params(request) },
            Call::SendInput(target, input) => {
                Params { input: Some(input.clone()), ..target_params(target) }
            }
            Call::EmitFile(event, env, wait, token) => {
                let request = Request::Emit(event.clone(), env.clone(), *wait);
                Params { token: token.clone(), ..ask_params(&request) }
            }
            Call::Status(target) | Call::Why(target) => target_params(target),
            Call::LogPath(target, stream) => log_params(&Log::Of(target.clone(), *stream), 0),
            Call::OpenLog(log, Back(back)) => log_params(log, *back),
            Call::ClearLog(log) => log_params(log, 0),
            Call::List(job, listed) => {
                Params { job: job.clone(), all: (*listed == Listed::All).then_some(true), ..none }
            }
            Call::ShowConfig(job) | Call::Programs(job) => Params { job: job.clone(), ..none },
            Call::Settings(job) | Call::Usage(job) => Params { job: Some(job.clone()), ..none },
            Call::ReloadConfiguration
            | Call::Outputs
            | Call::Version
            | Call::Timeline
            | Call::GetLogPriority
            | Call::Supervisor
            | Call::Reread
            | Call::Upgrade
            | Call::LogCounts
            | Call::Configured
            | Call::Sources
            | Call::Hold
            | Call::ListTokens
            | Call::NotifyDiskWriteable => none,
            Call::Plan(files) => {
                Params { files: (!files.is_empty()).then(|| files.clone()), ..none }
            }
            Call::NotifyDbusAddress(address) | Call::NotifyCgroupManagerAddress(address) => {
                Params { address: Some(address.clone()), ..none }
            }
            Call::Shutdown(kind) => {
                let session = (*kind == ShutdownKind::Logout).then_some(true);
                let restart = (*kind == ShutdownKind::Restart).then_some(true);
                Params { session, restart, ..none }
            }
            Call::SetLogPriority(level) => {
                Params { priority: Some(String::from(priority::name(*level))), ..none }
            }
            Call::Events(after, follow) => {
                Params { after: *after, follow: (*follow == Follow::Off).then_some(false), ..none }
            }
            Call::GetEnv(scope, name) => Params { name: Some(name.clone()), ..scope_params(scope) },
            Call::SetEnv(scope, variables, clash) => Params {
                variables: Some(variables.clone()),
                replace: (*clash == Clash::Keep).then_some(false),
                ..scope_params(scope)
            },
            Call::UnsetEnv(scope, names) => {
                Params { names: Some(names.clone()), ..scope_params(scope) }
            }
            Call::ListEnv(scope) | Call::ResetEnv(scope) => scope_params(scope),
            Call::AddGroup(name) | Call::RemoveGroup(name) | Call::RevokeToken(name) => {
                Params { name: Some(name.clone()), ..none }
            }
            Call::Apply(names, meant) => apply_params(names, *meant),
            Call::CreateToken(new) => token_params(new),
        }
    }
}

fn apply_params(names: &[Text], meant: Meant) -> Params {
    Params {
        names: (!names.is_empty()).then(|| names.to_vec()),
        trial: (meant == Meant::ToTest).then_some(true),
        undo: (meant == Meant::AsBefore).then_some(true),
        ..Params::default()
    }
}

fn token_params(new: &NewToken) -> Params {
    Params {
        name: Some(new.name.clone()),
        digest: Some(new.digest.into()),
        role: Some(String::from(new.role.word())),
        jobs: Some(new.jobs.clone()),
        lifetime: new.lifetime,
        ..Params::default()
    }
}

fn log_params(log: &Log, back: u16) -> Params {
    let params = match log {
        Log::Of(target, stream) => {
            Params { stream: stream_param(*stream), ..target_params(target) }
        }
        Log::Own => Params::default(),
    };
    Params { back: (back != 0).then_some(back), ..params }
}

fn target_params(target: &Target) -> Params {
    let params = Params { job: Some(target.job.clone()), ..Params::default() };
    match &target.which {
        Which::Env(env) if env.is_empty() => params,
        Which::Env(env) => Params { env: Some(env.clone()), ..params },
        Which::Named(instance) => Params { instance: Some(instance.text().clone()), ..params },
    }
}

fn ask_params(request: &Request) -> Params {
    let no_wait = |wait: &Wait| match wait {
        Wait::Settled => None,
        Wait::Accepted => Some(false),
    };
    match request {
        Request::StartOnce(target, wait) => {
            Params { once: Some(true), wait: no_wait(wait), ..target_params(target) }
        }
        Request::Intend(job, intent, lasting) => Params {
            job: Some(job.clone()),
            intent: intent.map(|intent| String::from(intent.word())),
            runtime: (*lasting == Lasting::Runtime).then_some(true),
            ..Params::default()
        },
        Request::Start(target, wait)
        | Request::Stop(target, wait)
        | Request::Restart(target, wait) => Params { wait: no_wait(wait), ..target_params(target) },
        Request::Reload(target) | Request::Check(target) => target_params(target),
        Request::Signal(target, signal) => {
            Params { signal: Some(signal.number()), ..target_params(target) }
        }
        Request::Emit(event, env, wait) => Params {
            event: Some(event.clone()),
            env: (!env.is_empty()).then(|| env.clone()),
            wait: no_wait(wait),
            ..Params::default()
        },
    }
}

fn scope_params(scope: &EnvScope) -> Params {
    match scope {
        EnvScope::Global => Params::default(),
        EnvScope::Instance(job, instance) => Params {
            job: Some(job.clone()),
            instance: Some(instance.text().clone()),
            ..Params::default()
        },
    }
}

/// Turns parameters into the call of a row, whose `decode` this is for most.
pub(super) mod decode {
    use super::{
        log, needed, priority, scope, stream, target, wait, Back, Box, Call, Clash, Digest, Fault,
        Follow, Intent, Lasting, Listed, Meant, NewToken, Params, Request, Role, ShutdownKind,
        Signal,
    };
    use alloc::format;

    pub(crate) fn start(p: Params) -> Result<Call, Fault> {
        let (target, wait) = (target(&p)?, wait(&p));
        let request = match p.once {
            Some(true) => Request::StartOnce(target, wait),
            Some(false) | None => Request::Start(target, wait),
        };
        Ok(Call::Ask(request, p.token))
    }

    pub(crate) fn stop(p: Params) -> Result<Call, Fault> {
        Ok(Call::Ask(Request::Stop(target(&p)?, wait(&p)), p.token))
    }

    pub(crate) fn restart(p: Params) -> Result<Call, Fault> {
        Ok(Call::Ask(Request::Restart(target(&p)?, wait(&p)), p.token))
    }

    pub(crate) fn reload(p: Params) -> Result<Call, Fault> {
        Ok(Call::Ask(Request::Reload(target(&p)?), p.token))
    }

    pub(crate) fn check(p: Params) -> Result<Call, Fault> {
        Ok(Call::Ask(Request::Check(target(&p)?), p.token))
    }

    pub(crate) fn signal(p: Params) -> Result<Call, Fault> {
        let number = needed("signal", p.signal)?;
        let wrong = || Fault::parameter("signal", "is a number from 1 to 64");
        let signal = Signal::new(number).ok_or_else(wrong)?;
        Ok(Call::Ask(Request::Signal(target(&p)?, signal), p.token))
    }

    pub(crate) fn intend(p: Params) -> Result<Call, Fault> {
        let intent = p.intent.map(|word| {
            let wrong = || Fault::parameter("intent", "is none of disabled, stopped, masked");
            Intent::from_word(&word).ok_or_else(wrong)
        });
        let lasting = if p.runtime == Some(true) { Lasting::Runtime } else { Lasting::Kept };
        let request = Request::Intend(needed("job", p.job)?, intent.transpose()?, lasting);
        Ok(Call::Ask(request, p.token))
    }

    pub(crate) fn send_input(p: Params) -> Result<Call, Fault> {
        let input = needed("input", p.input.clone())?;
        Ok(Call::SendInput(target(&p)?, input))
    }

    pub(crate) fn emit(p: Params) -> Result<Call, Fault> {
        let wait = wait(&p);
        let event = needed("event", p.event)?;
        Ok(Call::Ask(Request::Emit(event, p.env.unwrap_or_default(), wait), p.token))
    }

    pub(crate) fn emit_file(p: Params) -> Result<Call, Fault> {
        let wait = wait(&p);
        let event = needed("event", p.event)?;
        Ok(Call::EmitFile(event, p.env.unwrap_or_default(), wait, p.token))
    }

    pub(crate) fn status(p: Params) -> Result<Call, Fault> {
        Ok(Call::Status(target(&p)?))
    }

    pub(crate) fn list(p: Params) -> Result<Call, Fault> {
        let listed = if p.all == Some(true) { Listed::All } else { Listed::Own };
        Ok(Call::List(p.job, listed))
    }

    pub(crate) fn why(p: Params) -> Result<Call, Fault> {
        Ok(Call::Why(target(&p)?))
    }

    pub(crate) fn timeline(_: Params) -> Result<Call, Fault> {
        Ok(Call::Timeline)
    }

    pub(crate) fn show_config(p: Params) -> Result<Call, Fault> {
        Ok(Call::ShowConfig(p.job))
    }

    pub(crate) fn settings(p: Params) -> Result<Call, Fault> {
        Ok(Call::Settings(needed("job", p.job)?))
    }

    pub(crate) fn programs(p: Params) -> Result<Call, Fault> {
        Ok(Call::Programs(p.job))
    }

    pub(crate) fn usage(p: Params) -> Result<Call, Fault> {
        Ok(Call::Usage(needed("job", p.job)?))
    }

    pub(crate) fn reload_configuration(_: Params) -> Result<Call, Fault> {
        Ok(Call::ReloadConfiguration)
    }

    pub(crate) fn version(_: Params) -> Result<Call, Fault> {
        Ok(Call::Version)
    }

    pub(crate) fn get_log_priority(_: Params) -> Result<Call, Fault> {
        Ok(Call::GetLogPriority)
    }

    pub(crate) fn set_log_priority(p: Params) -> Result<Call, Fault> {
        let word = needed("priority", p.priority)?;
        match priority::from_name(&word) {
            Some(level) => Ok(Call::SetLogPriority(level)),
            None => Err(Fault::parameter(
                "priority",
                &format!("{word:?} is none of debug, info, message, warn, error, fatal"),
            )),
        }
    }

    pub(crate) fn upgrade(_: Params) -> Result<Call, Fault> {
        Ok(Call::Upgrade)
    }

    pub(crate) fn notify_disk_writeable(_: Params) -> Result<Call, Fault> {
        Ok(Call::NotifyDiskWriteable)
    }

    pub(crate) fn events(p: Params) -> Result<Call, Fault> {
        let follow = if p.follow == Some(false) { Follow::Off } else { Follow::On };
        Ok(Call::Events(p.after, follow))
    }

    pub(crate) fn outputs(_: Params) -> Result<Call, Fault> {
        Ok(Call::Outputs)
    }

    pub(crate) fn log_path(p: Params) -> Result<Call, Fault> {
        Ok(Call::LogPath(target(&p)?, stream(&p)?))
    }

    pub(crate) fn sources(_: Params) -> Result<Call, Fault> {
        Ok(Call::Sources)
    }

    pub(crate) fn plan(p: Params) -> Result<Call, Fault> {
        let files = p.files.unwrap_or_default();
        let stray = files.iter().find(|file| !file.path.bytes().starts_with(b"/"));
        match stray {
            Some(file) => {
                let why = format!("has a path that does not begin at the root: {}", file.path);
                Err(Fault::parameter("files", &why))
            }
            None => Ok(Call::Plan(files)),
        }
    }

    pub(crate) fn hold(_: Params) -> Result<Call, Fault> {
        Ok(Call::Hold)
    }

    pub(crate) fn apply(p: Params) -> Result<Call, Fault> {
        let meant = match (p.trial, p.undo) {
            (Some(true), Some(true)) => {
                let why = "is given together with `trial`; one of them says what it is for";
                return Err(Fault::parameter("undo", why));
            }
            (Some(true), _) => Meant::ToTest,
            (_, Some(true)) => Meant::AsBefore,
            (_, _) => Meant::ToStay,
        };
        Ok(Call::Apply(p.names.unwrap_or_default(), meant))
    }

    pub(crate) fn create_token(p: Params) -> Result<Call, Fault> {
        let digest = Digest::try_from(needed("digest", p.digest)?);
        let digest =
            digest.map_err(|why| Fault::parameter("digest", &format!("is none: {why}")))?;
        let word = needed("role", p.role)?;
        let wrong = || Fault::parameter("role", "is none of look, operate, administer");
        let role = Role::from_word(word.as_bytes()).ok_or_else(wrong)?;
        let (name, jobs) = (needed("name", p.name)?, needed("jobs", p.jobs)?);
        let lifetime = p.lifetime;
        Ok(Call::CreateToken(Box::new(NewToken { name, digest, role, jobs, lifetime })))
    }

    pub(crate) fn list_tokens(_: Params) -> Result<Call, Fault> {
        Ok(Call::ListTokens)
    }

    pub(crate) fn revoke_token(p: Params) -> Result<Call, Fault> {
        Ok(Call::RevokeToken(needed("name", p.name)?))
    }

    pub(crate) fn notify_dbus_address(p: Params) -> Result<Call, Fault> {
        Ok(Call::NotifyDbusAddress(needed("address", p.address)?))
    }

    pub(crate) fn notify_cgroup_manager_address(p: Params) -> Result<Call, Fault> {
        Ok(Call::NotifyCgroupManagerAddress(needed("address", p.address)?))
    }

    pub(crate) fn shutdown(p: Params) -> Result<Call, Fault> {
        Ok(Call::Shutdown(match (p.session, p.restart) {
            (Some(true), Some(true)) => {
                let why = "is given together with `session`; one of them says what is to end";
                return Err(Fault::parameter("restart", why));
            }
            (Some(true), _) => ShutdownKind::Logout,
            (_, Some(true)) => ShutdownKind::Restart,
            (_, _) => ShutdownKind::Shutdown,
        }))
    }

    pub(crate) fn get_env(p: Params) -> Result<Call, Fault> {
        let scope = scope(&p)?;
        Ok(Call::GetEnv(scope, needed("name", p.name)?))
    }

    pub(crate) fn set_env(p: Params) -> Result<Call, Fault> {
        let scope = scope(&p)?;
        let clash = if p.replace == Some(false) { Clash::Keep } else { Clash::Replace };
        Ok(Call::SetEnv(scope, needed("variables", p.variables)?, clash))
    }

    pub(crate) fn unset_env(p: Params) -> Result<Call, Fault> {
        let scope = scope(&p)?;
        Ok(Call::UnsetEnv(scope, needed("names", p.names)?))
    }

    pub(crate) fn list_env(p: Params) -> Result<Call, Fault> {
        Ok(Call::ListEnv(scope(&p)?))
    }

    pub(crate) fn reset_env(p: Params) -> Result<Call, Fault> {
        Ok(Call::ResetEnv(scope(&p)?))
    }

    pub(crate) fn supervisor(_: Params) -> Result<Call, Fault> {
        Ok(Call::Supervisor)
    }

    pub(crate) fn reread(_: Params) -> Result<Call, Fault> {
        Ok(Call::Reread)
    }

    pub(crate) fn add_group(p: Params) -> Result<Call, Fault> {
        Ok(Call::AddGroup(needed("name", p.name)?))
    }

    pub(crate) fn remove_group(p: Params) -> Result<Call, Fault> {
        Ok(Call::RemoveGroup(needed("name", p.name)?))
    }

    pub(crate) fn open_log(p: Params) -> Result<Call, Fault> {
        Ok(Call::OpenLog(log(&p)?, Back(p.back.unwrap_or_default())))
    }

    pub(crate) fn clear_log(p: Params) -> Result<Call, Fault> {
        Ok(Call::ClearLog(log(&p)?))
    }

    pub(crate) fn log_counts(_: Params) -> Result<Call, Fault> {
        Ok(Call::LogCounts)
    }

    pub(crate) fn configured(_: Params) -> Result<Call, Fault> {
        Ok(Call::Configured)
    }
}

fn needed<T>(name: &str, value: Option<T>) -> Result<T, Fault> {
    value.ok_or_else(|| Fault::parameter(name, "is missing"))
}

fn instance_name(text: &Text) -> Result<InstanceName, Fault> {
    InstanceName::try_from(text.clone())
        .map_err(|error| Fault::parameter("instance", &format!("is no instance's name: {error}")))
}

fn target(p: &Params) -> Result<Target, Fault> {
    let job = needed("job", p.job.clone())?;
    let which = match (&p.instance, &p.env) {
        (Some(_), Some(_)) => {
            let why = "is given together with `env`; one of them says which instance is meant";
            return Err(Fault::parameter("instance", why));
        }
        (Some(name), None) => Which::Named(instance_name(name)?),
        (None, env) => Which::Env(env.clone().unwrap_or_default()),
    };
    Ok(Target { job, which })
}

/// Without a job it is Upright's own that is meant, of which there is one.
fn log(p: &Params) -> Result<Log, Fault> {
    let stray = [("env", p.env.is_some()), ("instance", p.instance.is_some())];
    let stray = stray.into_iter().chain([("stream", p.stream.is_some())]).find(|(_, set)| *set);
    match (&p.job, stray) {
        (Some(_), _) => Ok(Log::Of(target(p)?, stream(p)?)),
        (None, None) => Ok(Log::Own),
        (None, Some((name, _))) => {
            Err(Fault::parameter("job", &format!("is missing, `{name}` alone says nothing")))
        }
    }
}

/// Standard output is not said.
fn stream_param(stream: Stream) -> Option<String> {
    (stream != Stream::Stdout).then(|| String::from(stream.name()))
}

fn stream(p: &Params) -> Result<Stream, Fault> {
    let Some(word) = &p.stream else { return Ok(Stream::Stdout) };
    let found = Stream::ALL.into_iter().find(|stream| stream.name() == word);
    found.ok_or_else(|| {
        Fault::parameter("stream", &format!("{word:?} is neither stdout nor stderr"))
    })
}

fn wait(p: &Params) -> Wait {
    match p.wait {
        Some(false) => Wait::Accepted,
        Some(true) | None => Wait::Settled,
    }
}

fn scope(p: &Params) -> Result<EnvScope, Fault> {
    match (&p.job, &p.instance) {
        (None, None) => Ok(EnvScope::Global),
        (None, Some(_)) => {
            Err(Fault::parameter("job", "is missing, `instance` alone says nothing"))
        }
        (Some(job), instance) => {
            let name = instance.as_ref().map(instance_name).transpose()?;
            Ok(EnvScope::Instance(job.clone(), name.unwrap_or_default()))
        }
    }
}

/// Turns parameters into a call: first what the row takes, then what it makes of it.
pub(super) fn of_params(row: &command::Row, params: Params) -> Result<Call, Fault> {
    params.only(row.parameters)?;
    (row.decode)(params)
}
