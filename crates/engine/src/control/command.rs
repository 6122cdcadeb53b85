//! THE TABLE of commands: a row is everything about one.

use super::call::{decode, Call};
use super::fault::Fault;
use super::params::Params;
use super::rights::Reach;
use crate::rights::Role;
use core::fmt;

/// What can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Command {
    /// Start a job.
    Start,
    /// Stop an instance.
    Stop,
    /// Stop and start again.
    Restart,
    /// Send the reload signal.
    Reload,
    /// Run a job's check.
    Check,
    /// Send an instance any signal.
    Signal,
    /// Decide what becomes of a job beyond the present run.
    Intend,
    /// Write to an instance's standard input.
    SendInput,
    /// Emit an event.
    Emit,
    /// Emit an event with a descriptor.
    EmitFile,
    /// The state of one instance.
    Status,
    /// The states of all.
    List,
    /// Why an instance is in its state.
    Why,
    /// When every instance was wanted, began, ran and ended.
    Timeline,
    /// Descriptions of jobs.
    ShowConfig,
    /// How a job's main process is run.
    Settings,
    /// The states of programs, as Supervisor's clients want them.
    Programs,
    /// The usage text of a job.
    Usage,
    /// Read the job files again.
    ReloadConfiguration,
    /// What runs here.
    Version,
    /// The least logged priority.
    GetLogPriority,
    /// Change the least logged priority.
    SetLogPriority,
    /// The disk can be written now.
    NotifyDiskWriteable,
    /// Go on in the binary that stands in this one's place.
    Upgrade,
    /// A D-Bus daemon can be reached now.
    NotifyDbusAddress,
    /// A control group manager can be reached now.
    NotifyCgroupManagerAddress,
    /// What happens, as it happens.
    Events,
    /// What programs say that watchers are told of.
    Outputs,
    /// The file of an instance's output.
    LogPath,
    /// Stop everything and end.
    Shutdown,
    /// The value of a variable.
    GetEnv,
    /// Set variables.
    SetEnv,
    /// Remove variables.
    UnsetEnv,
    /// All variables.
    ListEnv,
    /// Put the variables back.
    ResetEnv,
    /// What stands in for Supervisor's daemon.
    Supervisor,
    /// Read Supervisor's configuration again.
    Reread,
    /// Put a group of it in force.
    AddGroup,
    /// Forget a group of it.
    RemoveGroup,
    /// Empty the file of an output.
    ClearLog,
    /// The file of an output, opened.
    OpenLog,
    /// How much was written to logs.
    LogCounts,
    /// What Supervisor's configuration says of its programs.
    Configured,
    /// Where descriptions are read from.
    Sources,
    /// What other files would change.
    Plan,
    /// Read no file until this connection ends.
    Hold,
    /// Put what files say in force, as a whole.
    Apply,
    /// Make a token.
    CreateToken,
    /// All tokens.
    ListTokens,
    /// End a token.
    RevokeToken,
}

/// Whether a command changes anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touch {
    /// It only reads.
    Reads,
    /// It changes something, or may.
    Changes,
}

/// How a command is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replies {
    /// Once, at once.
    AtOnce,
    /// Once, when what was asked has come to rest (unless the caller does not wait).
    Settled,
    /// Once, at once, or when the job's check has ended, where it has one.
    Checked,
    /// At once, a list in as many frames as it takes.
    Pages,
    /// Again and again, until the connection ends.
    Stream,
}

/// A parameter of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name on the wire.
    pub name: &'static str,
    /// Whether it must be there.
    pub needed: bool,
}

/// Everything about one command.
pub struct Row {
    /// Which one.
    pub command: Command,
    /// The method's name in the interface.
    pub method: &'static str,
    /// The role that the caller must have: over the job that is named, where one can be; else over
    /// everything. None: everybody may who can connect.
    pub role: Option<Role>,
    /// What a server's section must grant at least, for whoever comes through it; none: no server
    /// grants it.
    pub reach: Option<Reach>,
    /// Whether it changes anything.
    pub touch: Touch,
    /// The right in words, after "permission to".
    pub right: &'static str,
    /// How it is answered.
    pub replies: Replies,
    /// What it takes.
    pub parameters: &'static [Parameter],
    /// One sentence for people.
    pub help: &'static str,
    /// Makes the call of its parameters.
    pub(super) decode: fn(Params) -> Result<Call, Fault>,
}

impl Row {
    /// Reports whether it can be about one job.
    pub fn is_over_job(&self) -> bool {
        self.parameters.iter().any(|parameter| parameter.name == "job")
    }
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.method)
    }
}

const JOB: Parameter = Parameter { name: "job", needed: true };
const ANY_JOB: Parameter = Parameter { name: "job", needed: false };
const ENV: Parameter = Parameter { name: "env", needed: false };
const INSTANCE: Parameter = Parameter { name: "instance", needed: false };
const WAIT: Parameter = Parameter { name: "wait", needed: false };
const TOKEN: Parameter = Parameter { name: "token", needed: false };
const STREAM: Parameter = Parameter { name: "stream", needed: false };
const BACK: Parameter = Parameter { name: "back", needed: false };
const ADDRESS: Parameter = Parameter { name: "address", needed: true };
const TARGET: &[Parameter] = &[JOB, ENV, INSTANCE];
const CHANGE: &[Parameter] = &[JOB, ENV, INSTANCE, WAIT, TOKEN];

/// Every command.
pub const COMMANDS: &[Row] = &[
    Row {
        command: Command::Start,
        method: "Start",
        role: Some(Role::Operate),
        reach: Some(Reach::Manage),
        touch: Touch::Changes,
        right: "start jobs",
        replies: Replies::Settled,
        parameters: &[JOB, ENV, INSTANCE, Parameter { name: "once", needed: false }, WAIT, TOKEN],
        help: "Starts a job and waits until it runs; a task, until it is done.",
        decode: decode::start,
    },
    Row {
        command: Command::Stop,
        method: "Stop",
        role: Some(Role::Operate),
        reach: Some(Reach::Manage),
        touch: Touch::Changes,
        right: "stop jobs",
        replies: Replies::Settled,
        parameters: CHANGE,
        help: "Stops a job and waits until it is gone.",
        decode: decode::stop,
    },
    Row {
        command: Command::Restart,
        method: "Restart",
        role: Some(Role::Operate),
        reach: Some(Reach::Manage),
        touch: Touch::Changes,
        right: "restart jobs",
        replies: Replies::Settled,
        parameters: CHANGE,
        help: "Checks a job that has a check, stops it, starts it and waits until it runs.",
        decode: decode::restart,
    },
    Row {
        command: Command::Reload,
        method: "Reload",
        role: Some(Role::Operate),
        reach: Some(Reach::Manage),
        touch: Touch::Changes,
        right: "reload jobs",
        replies: Replies::Checked,
        parameters: &[JOB, ENV, INSTANCE, TOKEN],
        help: "Checks a job that has a check, then sends its main process the reload signal.",
        decode: decode::reload,
    },
    Row {
        command: Command::Check,
        method: "Check",
        role: Some(Role::Operate),
        reach: Some(Reach::Manage),
        touch: Touch::Changes,
        right: "check jobs",
        replies: Replies::Checked,
        parameters: &[JOB, ENV, INSTANCE, TOKEN],
        help: "Runs a job's check, as before a restart or reload, and nothing else.",
        decode: decode::check,
    },
    Row {
        command: Command::Signal,
        method: "Signal",
        role: Some(Role::Operate),
        reach: Some(Reach::Manage),
        touch: Touch::Changes,
        right: "send signals to jobs",
        replies: Replies::AtOnce,
        parameters: &[JOB, ENV, INSTANCE, Parameter { name: "signal", needed: true }, TOKEN],
        help: "Sends a job's main process a signal.",
        decode: decode::signal,
    },
    Row {
        command: Command::Intend,
        method: "Intend",
        role: Some(Role::Operate),
        reach: Some(Reach::Manage),
        touch: Touch::Changes,
        right: "enable, disable or mask jobs",
        replies: Replies::AtOnce,
        parameters: &[
            JOB,
            Parameter { name: "intent", needed: false },
            Parameter { name: "runtime", needed: false },
            TOKEN,
        ],
        help: "Disables, stops for good or masks a job; without an intent, enables it.",
        decode: decode::intend,
    },
    Row {
        command: Command::SendInput,
        method: "SendInput",
        role: Some(Role::Operate),
        reach: Some(Reach::Manage),
        touch: Touch::Changes,
        right: "write to the input of jobs",
        replies: Replies::AtOnce,
        parameters: &[JOB, ENV, INSTANCE, Parameter { name: "input", needed: true }],
        help: "Writes to the standard input of a job's main process.",
        decode: decode::send_input,
    },
    Row {
        command: Command::Emit,
        method: "Emit",
        role: Some(Role::Operate),
        reach: Some(Reach::Manage),
        touch: Touch::Changes,
        right: "emit events",
        replies: Replies::Settled,
        parameters: &[Parameter { name: "event", needed: true }, ENV, WAIT, TOKEN],
        help: "Emits an event and waits until all that it started or stopped is at rest.",
        decode: decode::emit,
    },
    Row {
        command: Command::EmitFile,
        method: "EmitFile",
        role: Some(Role::Operate),
        reach: Some(Reach::Manage),
        touch: Touch::Changes,
        right: "emit events",
        replies: Replies::Settled,
        parameters: &[Parameter { name: "event", needed: true }, ENV, WAIT, TOKEN],
        help: "Emits an event with a descriptor for the jobs that it starts.",
        decode: decode::emit_file,
    },
    Row {
        command: Command::Status,
        method: "Status",
        role: None,
        reach: Some(Reach::Look),
        touch: Touch::Reads,
        right: "see jobs",
        replies: Replies::AtOnce,
        parameters: TARGET,
        help: "Shows the state of a job.",
        decode: decode::status,
    },
    Row {
        command: Command::List,
        method: "List",
        role: None,
        reach: Some(Reach::Look),
        touch: Touch::Reads,
        right: "see jobs",
        replies: Replies::Pages,
        parameters: &[ANY_JOB, Parameter { name: "all", needed: false }],
        help: "Shows the states of all jobs.",
        decode: decode::list,
    },
    Row {
        command: Command::Why,
        method: "Why",
        role: None,
        reach: Some(Reach::Look),
        touch: Touch::Reads,
        right: "see jobs",
        replies: Replies::AtOnce,
        parameters: TARGET,
        help: "Tells why a job is in the state it is in.",
        decode: decode::why,
    },
    Row {
        command: Command::Timeline,
        method: "Timeline",
        role: None,
        reach: Some(Reach::Look),
        touch: Touch::Reads,
        right: "see jobs",
        replies: Replies::Pages,
        parameters: &[],
        help: "Tells when every job was wanted, began, ran and ended.",
        decode: decode::timeline,
    },
    Row {
        command: Command::ShowConfig,
        method: "ShowConfig",
        role: None,
        reach: Some(Reach::Look),
        touch: Touch::Reads,
        right: "see jobs",
        replies: Replies::Pages,
        parameters: &[ANY_JOB],
        help: "Shows what jobs emit and when they start and stop by themselves.",
        decode: decode::show_config,
    },
    Row {
        command: Command::Settings,
        method: "Settings",
        role: Some(Role::Look),
        reach: Some(Reach::Look),
        touch: Touch::Reads,
        right: "read the command lines of jobs",
        replies: Replies::AtOnce,
        parameters: &[JOB],
        help: "Shows how a job's main process is run and ended.",
        decode: decode::settings,
    },
    Row {
        command: Command::Programs,
        method: "Programs",
        role: None,
        reach: Some(Reach::Look),
        touch: Touch::Reads,
        right: "see jobs",
        replies: Replies::Pages,
        parameters: &[ANY_JOB],
        help: "Lists jobs with the states that Supervisor has for programs.",
        decode: decode::programs,
    },
    Row {
        command: Command::Usage,
        method: "Usage",
        role: None,
        reach: Some(Reach::Look),
        touch: Touch::Reads,
        right: "see jobs",
        replies: Replies::AtOnce,
        parameters: &[JOB],
        help: "Shows what a start of the job wants to be told.",
        decode: decode::usage,
    },
    Row {
        command: Command::ReloadConfiguration,
        method: "ReloadConfiguration",
        role: Some(Role::Administer),
        reach: Some(Reach::Manage),
        touch: Touch::Changes,
        right: "reload configuration",
        replies: Replies::AtOnce,
        parameters: &[],
        help: "Reads the job files again.",
        decode: decode::reload_configuration,
    },
    Row {
        command: Command::Version,
        method: "Version",
        role: None,
        reach: Some(Reach::Look),
        touch: Touch::Reads,
        right: "ask for the version",
        replies: Replies::AtOnce,
        parameters: &[],
        help: "Shows what runs here.",
        decode: decode::version,
    },
    Row {
        command: Command::GetLogPriority,
        method: "GetLogPriority",
        role: None,
        reach: Some(Reach::Look),
        touch: Touch::Reads,
        right: "see the log priority",
        replies: Replies::AtOnce,
        parameters: &[],
        help: "Shows the least priority that is logged.",
        decode: decode::get_log_priority,
    },
    Row {
        command: Command::SetLogPriority,
        method: "SetLogPriority",
        role: Some(Role::Administer),
        reach: None,
        touch: Touch::Changes,
        right: "set log priority",
        replies: Replies::AtOnce,
        parameters: &[Parameter { name: "priority", needed: true }],
        help: "Changes the least priority that is logged.",
        decode: decode::set_log_priority,
    },
    Row {
        command: Command::NotifyDiskWriteable,
        method: "NotifyDiskWriteable",
        role: Some(Role::Administer),
        reach: None,
        touch: Touch::Changes,
        right: "notify disk is writeable",
        replies: Replies::AtOnce,
        parameters: &[],
        help: "Tells that the disk can be written, so that kept output goes to its files.",
        decode: decode::notify_disk_writeable,
    },
    Row {
        command: Command::Upgrade,
        method: "Upgrade",
        role: Some(Role::Administer),
        reach: None,
        touch: Touch::Changes,
        right: "upgrade Upright",
        replies: Replies::AtOnce,
        parameters: &[],
        help: "Goes on in the binary that now stands where this one was started from.",
        decode: decode::upgrade,
    },
    Row {
        command: Command::NotifyDbusAddress,
        method: "NotifyDbusAddress",
        role: Some(Role::Administer),
        reach: None,
        touch: Touch::Changes,
        right: "notify D-Bus address",
        replies: Replies::AtOnce,
        parameters: &[ADDRESS],
        help: "Tells where a D-Bus daemon listens, to be reached through it.",
        decode: decode::notify_dbus_address,
    },
    Row {
        command: Command::NotifyCgroupManagerAddress,
        method: "NotifyCgroupManagerAddress",
        role: Some(Role::Administer),
        reach: None,
        touch: Touch::Changes,
        right: "notify cgroup manager address",
        replies: Replies::AtOnce,
        parameters: &[ADDRESS],
        help: "Tells where a control group manager listens; none is needed.",
        decode: decode::notify_cgroup_manager_address,
    },
    Row {
        command: Command::Events,
        method: "Events",
        role: None,
        reach: Some(Reach::Look),
        touch: Touch::Reads,
        right: "see events",
        replies: Replies::Stream,
        parameters: &[
            Parameter { name: "after", needed: false },
            Parameter { name: "follow", needed: false },
        ],
        help: "Shows what happens, as it happens.",
        decode: decode::events,
    },
    Row {
        command: Command::Outputs,
        method: "Outputs",
        role: Some(Role::Look),
        reach: Some(Reach::Look),
        touch: Touch::Reads,
        right: "read the output of jobs",
        replies: Replies::Stream,
        parameters: &[],
        help: "Shows what programs say for listeners, as they say it.",
        decode: decode::outputs,
    },
    Row {
        command: Command::LogPath,
        method: "LogPath",
        role: Some(Role::Look),
        reach: Some(Reach::Look),
        touch: Touch::Reads,
        right: "read the output of jobs",
        replies: Replies::AtOnce,
        parameters: &[JOB, ENV, INSTANCE, STREAM],
        help: "Tells which file a job's output is written to.",
        decode: decode::log_path,
    },
    Row {
        command: Command::Shutdown,
        method: "Shutdown",
        role: Some(Role::Administer),
        reach: Some(Reach::Manage),
        touch: Touch::Changes,
        right: "shut down",
        replies: Replies::AtOnce,
        parameters: &[
            Parameter { name: "session", needed: false },
            Parameter { name: "restart", needed: false },
        ],
        help: "Stops everything in order, then ends Upright.",
        decode: decode::shutdown,
    },
    Row {
        command: Command::GetEnv,
        method: "GetEnv",
        role: Some(Role::Administer),
        reach: None,
        touch: Touch::Reads,
        right: "query job environment",
        replies: Replies::AtOnce,
        parameters: &[Parameter { name: "name", needed: true }, ANY_JOB, INSTANCE],
        help: "Shows a variable that new jobs get.",
        decode: decode::get_env,
    },
    Row {
        command: Command::SetEnv,
        method: "SetEnv",
        role: Some(Role::Administer),
        reach: None,
        touch: Touch::Changes,
        right: "modify job environment",
        replies: Replies::AtOnce,
        parameters: &[
            Parameter { name: "variables", needed: true },
            Parameter { name: "replace", needed: false },
            ANY_JOB,
            INSTANCE,
        ],
        help: "Sets variables that new jobs get.",
        decode: decode::set_env,
    },
    Row {
        command: Command::UnsetEnv,
        method: "UnsetEnv",
        role: Some(Role::Administer),
        reach: None,
        touch: Touch::Changes,
        right: "modify job environment",
        replies: Replies::AtOnce,
        parameters: &[Parameter { name: "names", needed: true }, ANY_JOB, INSTANCE],
        help: "Removes variables that new jobs get.",
        decode: decode::unset_env,
    },
    Row {
        command: Command::ListEnv,
        method: "ListEnv",
        role: Some(Role::Administer),
        reach: None,
        touch: Touch::Reads,
        right: "query job environment",
        replies: Replies::AtOnce,
        parameters: &[ANY_JOB, INSTANCE],
        help: "Shows all variables that new jobs get.",
        decode: decode::list_env,
    },
    Row {
        command: Command::ResetEnv,
        method: "ResetEnv",
        role: Some(Role::Administer),
        reach: None,
        touch: Touch::Changes,
        right: "modify job environment",
        replies: Replies::AtOnce,
        parameters: &[ANY_JOB, INSTANCE],
        help: "Puts the variables that new jobs get back to what they were.",
        decode: decode::reset_env,
    },
    Row {
        command: Command::Supervisor,
        method: "Supervisor",
        role: None,
        reach: Some(Reach::Look),
        touch: Touch::Reads,
        right: "see jobs",
        replies: Replies::AtOnce,
        parameters: &[],
        help: "Shows what Supervisor's configuration says of its daemon.",
        decode: decode::supervisor,
    },
    Row {
        command: Command::Reread,
        method: "Reread",
        role: Some(Role::Administer),
        reach: Some(Reach::Manage),
        touch: Touch::Changes,
        right: "reload configuration",
        replies: Replies::AtOnce,
        parameters: &[],
        help: "Reads Supervisor's configuration again and tells which groups differ.",
        decode: decode::reread,
    },
    Row {
        command: Command::AddGroup,
        method: "AddGroup",
        role: Some(Role::Administer),
        reach: Some(Reach::Manage),
        touch: Touch::Changes,
        right: "reload configuration",
        replies: Replies::AtOnce,
        parameters: &[Parameter { name: "name", needed: true }],
        help: "Puts a group of Supervisor's configuration, as it was last read, in force.",
        decode: decode::add_group,
    },
    Row {
        command: Command::RemoveGroup,
        method: "RemoveGroup",
        role: Some(Role::Administer),
        reach: Some(Reach::Manage),
        touch: Touch::Changes,
        right: "reload configuration",
        replies: Replies::AtOnce,
        parameters: &[Parameter { name: "name", needed: true }],
        help: "Forgets a group of Supervisor's configuration of which nothing runs.",
        decode: decode::remove_group,
    },
    Row {
        command: Command::ClearLog,
        method: "ClearLog",
        role: Some(Role::Operate),
        reach: Some(Reach::Manage),
        touch: Touch::Changes,
        right: "clear the output of jobs",
        replies: Replies::AtOnce,
        parameters: &[ANY_JOB, ENV, INSTANCE, STREAM],
        help: "Empties the file that a job's output is written to.",
        decode: decode::clear_log,
    },
    Row {
        command: Command::OpenLog,
        method: "OpenLog",
        role: Some(Role::Look),
        reach: Some(Reach::Look),
        touch: Touch::Reads,
        right: "read the output of jobs",
        replies: Replies::AtOnce,
        parameters: &[ANY_JOB, ENV, INSTANCE, STREAM, BACK],
        help: "Opens the file that a job's output is written to, and sends it along.",
        decode: decode::open_log,
    },
    Row {
        command: Command::LogCounts,
        method: "LogCounts",
        role: None,
        reach: Some(Reach::Look),
        touch: Touch::Reads,
        right: "see jobs",
        replies: Replies::Pages,
        parameters: &[],
        help: "Tells how much output of each job was taken and dropped.",
        decode: decode::log_counts,
    },
    Row {
        command: Command::Configured,
        method: "Configured",
        role: Some(Role::Look),
        reach: Some(Reach::Look),
        touch: Touch::Reads,
        right: "read the command lines of jobs",
        replies: Replies::Pages,
        parameters: &[],
        help: "Shows the programs of Supervisor's configuration as it was last read.",
        decode: decode::configured,
    },
    Row {
        command: Command::Sources,
        method: "Sources",
        role: None,
        reach: Some(Reach::Look),
        touch: Touch::Reads,
        right: "see where descriptions are read from",
        replies: Replies::Pages,
        parameters: &[],
        help: "Shows the directories and files that jobs and programs are read from.",
        decode: decode::sources,
    },
    Row {
        command: Command::Plan,
        method: "Plan",
        role: Some(Role::Look),
        reach: None,
        touch: Touch::Reads,
        right: "see what files would change",
        replies: Replies::Pages,
        parameters: &[Parameter { name: "files", needed: false }],
        help: "Shows what files, as they are or as they are proposed, would change.",
        decode: decode::plan,
    },
    Row {
        command: Command::Hold,
        method: "Hold",
        role: Some(Role::Administer),
        reach: None,
        touch: Touch::Changes,
        right: "hold files back",
        replies: Replies::AtOnce,
        parameters: &[],
        help: "Reads no file until this connection ends.",
        decode: decode::hold,
    },
    Row {
        command: Command::Apply,
        method: "Apply",
        role: Some(Role::Administer),
        reach: None,
        touch: Touch::Changes,
        right: "put files in force",
        replies: Replies::Pages,
        parameters: &[
            Parameter { name: "names", needed: false },
            Parameter { name: "trial", needed: false },
            Parameter { name: "undo", needed: false },
        ],
        help: "Reads all files and puts them in force as a whole, or nothing of them.",
        decode: decode::apply,
    },
    Row {
        command: Command::CreateToken,
        method: "CreateToken",
        role: Some(Role::Administer),
        reach: None,
        touch: Touch::Changes,
        right: "make tokens",
        replies: Replies::AtOnce,
        parameters: &[
            Parameter { name: "name", needed: true },
            Parameter { name: "digest", needed: true },
            Parameter { name: "role", needed: true },
            Parameter { name: "jobs", needed: true },
            Parameter { name: "lifetime", needed: false },
        ],
        help: "Makes a token for clients of servers, of which only a digest is known.",
        decode: decode::create_token,
    },
    Row {
        command: Command::ListTokens,
        method: "ListTokens",
        role: Some(Role::Administer),
        reach: None,
        touch: Touch::Reads,
        right: "see tokens",
        replies: Replies::AtOnce,
        parameters: &[],
        help: "Shows all tokens that have not ended.",
        decode: decode::list_tokens,
    },
    Row {
        command: Command::RevokeToken,
        method: "RevokeToken",
        role: Some(Role::Administer),
        reach: None,
        touch: Touch::Changes,
        right: "revoke tokens",
        replies: Replies::AtOnce,
        parameters: &[Parameter { name: "name", needed: true }],
        help: "Ends a token at once.",
        decode: decode::revoke_token,
    },
];

/// Returns the row of a command. The rows stand in the order of the enum; a test holds them to it.
pub fn row(command: Command) -> &'static Row {
    &COMMANDS[command as usize]
}

/// Returns the row of a method's name.
pub fn by_method(method: &str) -> Option<&'static Row> {
    COMMANDS.iter().find(|row| row.method == method)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::DESCRIPTION;
    use alloc::vec::Vec;

    /// The methods of the published description: name and parameters, `?` kept.
    fn described() -> Vec<(&'static str, Vec<(&'static str, bool)>)> {
        let lines = DESCRIPTION.lines().filter_map(|line| line.strip_prefix("method "));
        lines
            .map(|line| {
                let (name, rest) = line.split_once('(').unwrap();
                let (parameters, _) = rest.split_once(')').unwrap();
                let parameters = parameters.split(", ").filter(|text| !text.is_empty());
                let parameters = parameters.map(|text| {
                    let (name, kind) = text.split_once(": ").unwrap();
                    (name, !kind.starts_with('?'))
                });
                (name, parameters.collect())
            })
            .collect()
    }

    #[test]
    fn rows_stand_in_the_order_of_the_enum_and_names_are_unique() {
        for (place, row) in COMMANDS.iter().enumerate() {
            assert_eq!(row.command as usize, place, "{}", row.method);
            assert_eq!(super::row(row.command).method, row.method);
            assert_eq!(by_method(row.method).unwrap().command, row.command, "names are unique");
        }
        assert_eq!(COMMANDS.len(), Command::RevokeToken as usize + 1, "no row is missing");
    }

    #[test]
    fn every_row_has_a_help_line_of_one_sentence_and_a_right_in_words() {
        for row in COMMANDS {
            assert!(row.help.ends_with('.') && row.help.matches('.').count() == 1, "{}", row.help);
            assert!(row.help.starts_with(|c: char| c.is_ascii_uppercase()), "{}", row.help);
            assert!(row.help.len() <= 80, "{}", row.help);
            assert!(row.right.starts_with(|c: char| c.is_ascii_lowercase()), "{}", row.right);
        }
    }

    #[test]
    fn what_changes_something_needs_a_privilege_and_only_requests_take_a_token() {
        for row in COMMANDS {
            let token = row.parameters.iter().any(|parameter| parameter.name == "token");
            // What a process has been sent nobody can ask for again.
            let at_once = [Command::SendInput, Command::ClearLog];
            let request = row.role == Some(Role::Operate) && !at_once.contains(&row.command);
            assert_eq!(token, request, "{}", row.method);
            let waits = row.parameters.iter().any(|parameter| parameter.name == "wait");
            assert_eq!(waits, row.replies == Replies::Settled, "{}", row.method);
            assert!(row.touch == Touch::Reads || row.role >= Some(Role::Operate), "{row:?}");
        }
    }

    #[test]
    fn the_published_description_has_exactly_the_tables_methods_and_parameters() {
        let table: Vec<_> = COMMANDS
            .iter()
            .map(|row| {
                let parameters = row.parameters.iter().map(|p| (p.name, p.needed)).collect();
                (row.method, parameters)
            })
            .collect::<Vec<(_, Vec<_>)>>();
        assert_eq!(described(), table);
    }
}
