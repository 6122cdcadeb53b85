//! What a client may ask the machine to do, and the one reply each request gets.

use crate::errno::Errno;
use crate::intent::{Intent, Keeping, Lasting};
use crate::names::{EventName, InstanceName, JobName};
use crate::process::{Exit, Role, Step};
use crate::signal::Signal;
use crate::text::Text;
use crate::view::InstanceView;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use serde::{Deserialize, Serialize};

/// Identifies a request for the life of the engine; never given twice.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct RequestId(pub u64);

/// Whether the reply is given when the request has been carried out, or at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wait {
    /// When the job has come to rest.
    Settled,
    /// As soon as the request is on its way.
    Accepted,
}

/// Which instance of a job is meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Which {
    /// The one whose name the `instance` stanza makes of these `KEY=VALUE`s, which a start or
    /// restart also gives to the job.
    Env(Vec<Text>),
    /// The one of that name; its environment stays as it is. What a job's own process asks.
    Named(InstanceName),
}

/// The job, and which of its instances.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The job's name as given; it need not exist.
    pub job: Text,
    /// The instance.
    pub which: Which,
}

/// What the machine is asked to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// Start a job.
    Start(Target, Wait),
    /// Stop an instance.
    Stop(Target, Wait),
    /// Stop and start again: main is always replaced.
    Restart(Target, Wait),
    /// Send the reload signal to main.
    Reload(Target),
    /// Send main this signal; nothing else changes.
    Signal(Target, Signal),
    /// Emit an event with these `KEY=VALUE`s.
    Emit(Text, Vec<Text>, Wait),
    /// As `Start`, but what was intended with the job stays.
    StartOnce(Target, Wait),
    /// Let this be intended with a job, or nothing but what its file says.
    Intend(Text, Option<Intent>, Lasting),
    /// Run a job's check, and nothing else.
    Check(Target),
}

/// The one reply to a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// It has been done; this is the instance then. Nothing for an event.
    Done(Option<InstanceView>),
    /// It was not, or did not come about.
    Refused(Refusal),
}

/// Why a request was not carried out. `Display` gives the original's words where it has some.
/// Source: D-Bus errors of Upstart 1.13.2.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// There is no job of that name.
    UnknownJob(Text),
    /// The job has no such instance.
    UnknownInstance(InstanceName),
    /// This job has no such instance, and the client asked for both by name.
    UnknownJobInstance(JobName, InstanceName),
    /// The goal is start already.
    AlreadyRunning(JobName, InstanceName),
    /// The goal is stop already.
    AlreadyStopped(JobName, InstanceName),
    /// There is no main process to signal.
    NotRunning(JobName, InstanceName),
    /// The job failed before it came to rest.
    Failed(Asked, JobName, InstanceName, Failure),
    /// Somebody asked for something else before the job came to rest.
    Superseded(Asked, JobName, InstanceName, Superseder),
    /// A job that the event started or stopped failed.
    EventFailed(EventName),
    /// A `KEY=VALUE` has no `=`.
    BadEnv,
    /// The event's name is empty.
    EmptyEventName,
    /// A name is too long or has a control character.
    BadName(Text),
    /// The instance's name cannot be made; the second is the job's usage text.
    Expansion(String, Option<Text>),
    /// Upright is shutting down.
    ShuttingDown,
    /// A bound of the engine is reached; which.
    TooMuch(String),
    /// Nothing starts this job.
    Masked(JobName),
    /// What is intended holds, but could not be kept.
    NotKept(Keeping),
    /// The job's check, which comes before what was asked, did not succeed: nothing was touched.
    CheckFailed(Asked, JobName, InstanceName, Failure),
    /// The job has no check.
    NoCheck(JobName),
}

/// What had been asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Asked {
    /// A start.
    Start,
    /// A stop.
    Stop,
    /// A restart.
    Restart,
    /// A reload.
    Reload,
    /// A check.
    Check,
}

/// Who asked for something else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Superseder {
    /// A client that asked for this.
    Request(Asked),
    /// An event that made the job do this.
    Event(EventName, Asked),
    /// The end of Upright itself.
    Shutdown,
}

/// Why a job failed. At most one a run counts: the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Failure {
    /// A process ended in a way that is not normal.
    Ended(Role, Exit),
    /// A process could not be started.
    NotSpawned(Role, Step, i32),
    /// Main ended too often.
    RespawnLimit,
    /// A process did not end in its time and was told to; how it then ended, if it did.
    Timeout(Role, Option<Exit>),
    /// A process does not end, even after KILL: the kernel holds it (state D).
    Unkillable(Role),
    /// Main ended too early, or could not be executed, as often as a start is tried.
    StartRetries,
}

impl Failure {
    /// Returns the value of PROCESS in the events of the failure.
    pub fn process(&self) -> &'static str {
        match self {
            Failure::Ended(role, _)
            | Failure::NotSpawned(role, _, _)
            | Failure::Timeout(role, _)
            | Failure::Unkillable(role) => role.name(),
            Failure::RespawnLimit => "respawn",
            Failure::StartRetries => "start",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // That is a failure of a main alone that is still waited for.
            Failure::Ended(role, exit @ Exit::Status(0)) => {
                let ended = Ended(*exit);
                write!(f, "{role} process {ended} before it was ready; check the expect stanza")
            }
            Failure::Ended(role, exit) => write!(f, "{role} process {}", Ended(*exit)),
            Failure::NotSpawned(role, step, errno) => {
                write!(f, "{role} process: {}", step.words())?;
                // Nothing of the kernel's went wrong where it has no number.
                if *errno == 0 {
                    Ok(())
                } else {
                    write!(f, ": {}", Errno(*errno))
                }
            }
            Failure::RespawnLimit => f.write_str("respawning too fast"),
            Failure::StartRetries => f.write_str("ended too early at every start"),
            Failure::Timeout(role, _) => write!(f, "{role} process did not end in its time"),
            Failure::Unkillable(role) => {
                write!(f, "{role} process does not end, even after KILL: the kernel holds it")
            }
        }
    }
}

/// The end of a process in words: `terminated with status 1`, `killed by TERM signal`.
pub struct Ended(pub Exit);

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Exit::Status(0) => f.write_str("exited normally"),
            Exit::Status(status) => write!(f, "terminated with status {status}"),
            Exit::Signal { signal, .. } => match crate::signal::Signal::new(signal) {
                Some(signal) => write!(f, "killed by {signal} signal"),
                None => write!(f, "killed by signal {signal}"),
            },
            Exit::Unknown => f.write_str("ended, status unknown"),
            Exit::OutOfMemory => {
                write!(f, "killed by {} signal: out of memory", Signal::KILL)
            }
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::UnknownJob(job) => write!(f, "Unknown job: {job}"),
            Refusal::UnknownInstance(instance) => write!(f, "Unknown instance: {instance}"),
            Refusal::UnknownJobInstance(job, instance) => {
                write!(f, "Unknown instance: {instance} of job {job}")
            }
            Refusal::AlreadyRunning(job, instance) => {
                write!(f, "Job is already running: {}", job.with_instance(instance))
            }
            Refusal::AlreadyStopped(job, instance) => {
                write!(f, "Job has already been stopped: {}", job.with_instance(instance))
            }
            Refusal::NotRunning(job, instance) => {
                write!(f, "Job is not running: {}", job.with_instance(instance))
            }
            Refusal::Failed(Asked::Start, ..) => f.write_str("Job failed to start"),
            Refusal::Failed(Asked::Stop, ..) => f.write_str("Job failed while stopping"),
            Refusal::Failed(Asked::Restart, ..) => f.write_str("Job failed to restart"),
            Refusal::Failed(Asked::Reload, ..) => f.write_str("Job failed to reload"),
            Refusal::Failed(Asked::Check, ..) => f.write_str("Job failed its check"),
            Refusal::Superseded(asked, job, instance, by) => {
                let shown = job.with_instance(instance);
                let what = match asked {
                    Asked::Start => "starting",
                    Asked::Stop => "stopping",
                    Asked::Restart => "restarting",
                    Asked::Reload => "reloading",
                    Asked::Check => "being checked",
                };
                write!(f, "Job was overtaken while {what}: {shown}: {}", words(by))
            }
            Refusal::EventFailed(_) => f.write_str("Event failed"),
            Refusal::BadEnv => f.write_str("Env must be KEY=VALUE pairs"),
            Refusal::EmptyEventName => f.write_str("Name may not be empty string"),
            Refusal::BadName(name) => {
                write!(f, "Name is too long or has a control character: {name:?}")
            }
            Refusal::Expansion(why, None) => f.write_str(why),
            Refusal::Expansion(why, Some(usage)) => write!(f, "{why}\nUsage: {usage}"),
            Refusal::ShuttingDown => f.write_str("Upright is shutting down"),
            Refusal::TooMuch(what) => write!(f, "Too much at once: {what}"),
            Refusal::Masked(job) => {
                write!(f, "Job is masked: {job}: nothing starts it until `upright unmask {job}`")
            }
            Refusal::CheckFailed(asked, job, instance, failure) => {
                let shown = job.with_instance(instance);
                let untouched = match asked {
                    Asked::Restart => "; it was not restarted",
                    Asked::Reload => "; it was not reloaded",
                    Asked::Start | Asked::Stop | Asked::Check => "",
                };
                write!(f, "Check failed: {shown}: {failure}{untouched}")
            }
            Refusal::NoCheck(job) => {
                write!(f, "Job has no check: {job}: `check exec COMMAND` in its file gives it one")
            }
            Refusal::NotKept(Keeping::Failed(errno)) => write!(
                f,
                "It holds, but only until the next boot, as it cannot be written down: {}",
                Errno(*errno)
            ),
            Refusal::NotKept(Keeping::Nowhere | Keeping::Done) => f.write_str(
                "It holds, but only until Upright ends, which has no directory to write it down \
                 (--statedir DIR). Say --runtime to mean that",
            ),
        }
    }
}

fn words(by: &Superseder) -> String {
    let verb = |asked: &Asked| match asked {
        Asked::Start => "start",
        Asked::Stop => "stop",
        Asked::Restart => "restart",
        Asked::Reload => "reload",
        Asked::Check => "check",
    };
    match by {
        Superseder::Request(asked) => format!("somebody asked for a {}", verb(asked)),
        Superseder::Event(event, asked) => format!("event {event} asked for a {}", verb(asked)),
        Superseder::Shutdown => String::from("Upright is shutting down"),
    }
}
