//! What one process of an instance is: its role, its slot, how it ended.

use alloc::format;
use alloc::string::String;
use core::fmt;
use serde::{Deserialize, Serialize};

/// What a process does for its instance. The order is the one of status output (Source: Upstart
/// 1.13.2, `processes` property).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The service or task itself.
    Main,
    /// Prepares; main is not started before it succeeded.
    PreStart,
    /// Runs after main was started; the start is complete when it ended.
    PostStart,
    /// Runs before main is told to stop, while it still serves.
    PreStop,
    /// Cleans up after main is gone.
    PostStop,
    /// Loads a security profile before anything else runs.
    Security,
    /// Says whether the job may be touched, beside its other processes.
    Check,
}

impl Role {
    /// Every role, in the order of status output.
    pub const ALL: [Role; 7] = [
        Role::Main,
        Role::PreStart,
        Role::PostStart,
        Role::PreStop,
        Role::PostStop,
        Role::Security,
        Role::Check,
    ];

    /// Returns the name used in job files, events, logs and status.
    pub const fn name(self) -> &'static str {
        match self {
            Role::Main => "main",
            Role::PreStart => "pre-start",
            Role::PostStart => "post-start",
            Role::PreStop => "pre-stop",
            Role::PostStop => "post-stop",
            Role::Security => "security",
            Role::Check => "check",
        }
    }

    /// Returns the number used on the keeper's wire.
    pub const fn code(self) -> u8 {
        match self {
            Role::Main => 0,
            Role::PreStart => 1,
            Role::PostStart => 2,
            Role::PreStop => 3,
            Role::PostStop => 4,
            Role::Security => 5,
            Role::Check => 6,
        }
    }

    /// Returns the role with that number.
    pub fn from_code(code: u8) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.code() == code)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One of the two outputs of a process.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Standard output; with standard error, where that has no way of its own.
    #[default]
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    /// Both.
    pub const ALL: [Stream; 2] = [Stream::Stdout, Stream::Stderr];

    /// Returns the name used in configurations and on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        }
    }

    /// Returns the number used on the keeper's wire: 0 or 1.
    pub const fn code(self) -> u8 {
        match self {
            Stream::Stdout => 0,
            Stream::Stderr => 1,
        }
    }

    /// Returns the stream with that number.
    pub fn from_code(code: u8) -> Option<Stream> {
        Stream::ALL.into_iter().find(|stream| stream.code() == code)
    }
}

/// Identifies an instance for the life of the engine; never given twice.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct InstanceId(pub u32);

impl InstanceId {
    /// No instance: slots of what the daemon runs for itself. The engine counts from 1.
    pub const NONE: InstanceId = InstanceId(0);
}

/// Identifies one process of one instance; never used twice. The keeper's table is keyed by it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Slot {
    /// The instance the process belongs to.
    pub instance: InstanceId,
    /// What it does there.
    pub role: Role,
    /// Counts the processes of the whole engine; a later process has a greater number.
    pub generation: u64,
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}#{}", self.instance.0, self.role, self.generation)
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A process number. Shown and sent, never used alone to decide who somebody is.
pub type Pid = i32;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exit {
    /// It exited with this status, 0 to 255.
    Status(u8),
    /// A signal ended it.
    Signal {
        /// The number of the signal.
        signal: u8,
        /// Whether the kernel wrote a core file.
        core: bool,
    },
    /// It is gone and nobody can say how: its parent was another process than ours.
    Unknown,
    /// The kernel killed it, for its control group or the machine had no memory left.
    OutOfMemory,
}

/// Where a spawn failed; the child reports it with an errno.
///
/// The texts are those of Upstart's log (Source: job_process.c of Upstart 1.13.2) where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// The keeper could not fork, or make a pipe. Retried by the engine; not a failed start.
    Fork,
    /// The plan could not be read.
    Plan,
    /// setsid failed.
    Session,
    /// The console could not be opened.
    Console,
    /// A log pipe or pseudo terminal could not be set up.
    Log,
    /// Joining the cgroup failed.
    Cgroup,
    /// A resource limit could not be set.
    Limit,
    /// The niceness could not be set.
    Nice,
    /// The OOM score could not be set.
    Oom,
    /// The root directory could not be changed.
    Chroot,
    /// The working directory could not be changed.
    Chdir,
    /// The user is unknown.
    User,
    /// The group is unknown.
    Group,
    /// The supplementary groups could not be set.
    Groups,
    /// The group could not be taken.
    Setgid,
    /// The user could not be taken.
    Setuid,
    /// The security profile could not be switched.
    Profile,
    /// The program could not be executed.
    Exec,
    /// A step did not end in its time.
    Timeout,
    /// The socket that the job shares could not be opened.
    Socket,
}

impl Step {
    /// Every step with its wire number and the words that follow `Failed to spawn J P process:`.
    pub const TABLE: [(Step, u8, &'static str); 20] = [
        (Step::Fork, 1, "unable to fork"),
        (Step::Plan, 2, "unable to read the spawn plan"),
        (Step::Session, 3, "unable to start a session"),
        (Step::Console, 4, "unable to open console"),
        (Step::Log, 5, "unable to set up logging"),
        (Step::Cgroup, 6, "unable to enter control group"),
        (Step::Limit, 7, "unable to set resource limit"),
        (Step::Nice, 8, "unable to set priority"),
        (Step::Oom, 9, "unable to set oom adjustment"),
        (Step::Chroot, 10, "unable to change root directory"),
        (Step::Chdir, 11, "unable to change working directory"),
        (Step::User, 12, "unable to find setuid user"),
        (Step::Group, 13, "unable to find setgid group"),
        (Step::Groups, 14, "unable to set supplementary groups"),
        (Step::Setgid, 15, "unable to set group"),
        (Step::Setuid, 16, "unable to set user"),
        (Step::Profile, 17, "unable to switch security profile"),
        (Step::Exec, 18, "unable to execute"),
        (Step::Timeout, 19, "a step did not end in time"),
        (Step::Socket, 20, "unable to open its socket"),
    ];

    /// Returns the number used on the wire.
    pub fn code(self) -> u8 {
        Step::TABLE.iter().find(|row| row.0 == self).map_or(0, |row| row.1)
    }

    /// Returns the step with that number.
    pub fn from_code(code: u8) -> Option<Step> {
        Step::TABLE.iter().find(|row| row.1 == code).map(|row| row.0)
    }

    /// Returns what is said where a process goes on without this step: why, and how it goes on.
    pub fn refused(self) -> (String, &'static str) {
        let (why, how) = match self == Step::Console {
            true => ("not to be had", "/dev/null is in its place"),
            false => ("not permitted", "it runs without"),
        };
        (format!("{}: {why}", self.words()), how)
    }

    /// Returns the words that follow `Failed to spawn J P process:`.
    pub fn words(self) -> &'static str {
        Step::TABLE.iter().find(|row| row.0 == self).map_or("unable to spawn", |row| row.2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_and_step_has_its_own_number_on_the_wire() {
        for role in Role::ALL {
            assert_eq!(Role::from_code(role.code()), Some(role));
        }
        for (step, code, _) in Step::TABLE {
            assert_eq!(Step::from_code(code), Some(step));
            assert_eq!(step.code(), code);
        }
    }
}
