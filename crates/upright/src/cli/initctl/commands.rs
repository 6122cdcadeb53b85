//! THE TABLE of initctl's commands: a row is everything about one.

use super::act;
use super::options::Effect;
use super::{Failed, Session};
use crate::cli::options::OptionRow;

/// Where a command stands in `initctl help`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// About jobs.
    Job,
    /// About events.
    Event,
    /// About the environment of jobs.
    Environment,
    /// About everything else.
    Other,
}

impl Group {
    /// Every group in the order of `initctl help`.
    pub(super) const ALL: [Group; 4] = [Group::Job, Group::Event, Group::Environment, Group::Other];

    pub(super) fn title(self) -> &'static str {
        match self {
            Group::Job => "Job",
            Group::Event => "Event",
            Group::Environment => "Environment",
            Group::Other => "Other",
        }
    }
}

/// Everything about one command.
pub struct CommandRow {
    /// Its name, also as a link.
    pub name: &'static str,
    /// Where it stands in help.
    pub group: Group,
    /// Its arguments in help.
    pub(super) usage: &'static str,
    /// One sentence.
    pub(super) synopsis: &'static str,
    /// More, below the options.
    pub(super) help: &'static str,
    pub(super) options: &'static [OptionRow<Effect>],
    pub(super) run: fn(&mut Session<'_, '_>, &[Vec<u8>]) -> Result<(), Failed>,
}

/// Returns the command of that name.
pub fn find(name: &[u8]) -> Option<&'static CommandRow> {
    COMMANDS.iter().find(|row| row.name.as_bytes() == name)
}

const fn no_wait(help: &'static str) -> OptionRow<Effect> {
    OptionRow {
        short: Some(b'n'),
        long: "no-wait",
        argument: None,
        help: Some(help),
        effect: Effect::NoWait,
    }
}

const GLOBAL: OptionRow<Effect> = OptionRow {
    short: Some(b'g'),
    long: "global",
    argument: None,
    help: Some("apply to the global job environment"),
    effect: Effect::Global,
};

const RETAIN: OptionRow<Effect> = OptionRow {
    short: Some(b'r'),
    long: "retain",
    argument: None,
    help: Some("do not replace the value of a variable that is set already"),
    effect: Effect::Retain,
};

const JOB_USAGE: &str = "JOB [KEY=VALUE]...";

/// Every command, in the order of `initctl help`.
pub const COMMANDS: &[CommandRow] = &[
    CommandRow {
        name: "start",
        group: Group::Job,
        usage: JOB_USAGE,
        synopsis: "Start job.",
        help: "JOB is the name of the job that is to be started, this may be followed by zero or \
               more environment variables to be defined in the new job.\n\nThe environment may \
               also serve to distinguish between job instances, and thus decide whether a new \
               instance will be started or an error returned if an existing instance is already \
               running.",
        options: &[no_wait("do not wait for job to start before exiting")],
        run: act::start,
    },
    CommandRow {
        name: "stop",
        group: Group::Job,
        usage: JOB_USAGE,
        synopsis: "Stop job.",
        help: "JOB is the job to stop. Where it has several instances, the environment says which \
               one; its pre-stop and post-stop processes get it too.",
        options: &[no_wait("do not wait for job to stop before exiting")],
        run: act::stop,
    },
    CommandRow {
        name: "restart",
        group: Group::Job,
        usage: JOB_USAGE,
        synopsis: "Restart job.",
        help: "JOB is the job to stop and start again. Where it has several instances, the \
               environment says which one.",
        options: &[no_wait("do not wait for job to restart before exiting")],
        run: act::restart,
    },
    CommandRow {
        name: "reload",
        group: Group::Job,
        usage: JOB_USAGE,
        synopsis: "Send HUP signal to job.",
        help: "JOB is the job whose main process gets the signal (another one where the job says \
               `reload signal'). Where it has several instances, the environment says which one.",
        options: &[],
        run: act::reload,
    },
    CommandRow {
        name: "status",
        group: Group::Job,
        usage: JOB_USAGE,
        synopsis: "Query status of job.",
        help: "JOB is the job to look at. Where it has several instances, the environment says \
               which one.",
        options: &[],
        run: act::status,
    },
    CommandRow {
        name: "list",
        group: Group::Job,
        usage: "",
        synopsis: "List known jobs.",
        help: "Every instance is shown with its status, and every job that has none.",
        options: &[],
        run: act::list,
    },
    CommandRow {
        name: "emit",
        group: Group::Event,
        usage: "EVENT [KEY=VALUE]...",
        synopsis: "Emit an event.",
        help: "EVENT is the event's name, followed by the variables it carries.",
        options: &[no_wait("do not wait for event to finish before exiting")],
        run: act::emit,
    },
    CommandRow {
        name: "get-env",
        group: Group::Environment,
        usage: "VARIABLE",
        synopsis: "Retrieve value of a job environment variable.",
        help: "Inside a job it is the job's own environment, unless --global is given.",
        options: &[GLOBAL],
        run: act::get_env,
    },
    CommandRow {
        name: "list-env",
        group: Group::Environment,
        usage: "",
        synopsis: "Show all job environment variables.",
        help: "Inside a job it is the job's own environment, unless --global is given.",
        options: &[GLOBAL],
        run: act::list_env,
    },
    CommandRow {
        name: "reset-env",
        group: Group::Environment,
        usage: "",
        synopsis: "Revert all job environment variable changes.",
        help: "Inside a job it is the job's own environment, unless --global is given.",
        options: &[GLOBAL],
        run: act::reset_env,
    },
    CommandRow {
        name: "set-env",
        group: Group::Environment,
        usage: "VARIABLE[=VALUE]...",
        synopsis: "Set one or more job environment variables.",
        help: "Inside a job it is the job's own environment, unless --global is given.",
        options: &[GLOBAL, RETAIN],
        run: act::set_env,
    },
    CommandRow {
        name: "unset-env",
        group: Group::Environment,
        usage: "VARIABLE...",
        synopsis: "Remove one or more job environment variables.",
        help: "Inside a job it is the job's own environment, unless --global is given.",
        options: &[GLOBAL],
        run: act::unset_env,
    },
    CommandRow {
        name: "reload-configuration",
        group: Group::Other,
        usage: "",
        synopsis: "Reload the configuration of the init daemon.",
        help: "",
        options: &[],
        run: act::reload_configuration,
    },
    CommandRow {
        name: "version",
        group: Group::Other,
        usage: "",
        synopsis: "Request the version of the init daemon.",
        help: "",
        options: &[],
        run: act::version,
    },
    CommandRow {
        name: "log-priority",
        group: Group::Other,
        usage: "[PRIORITY]",
        synopsis: "Change the minimum priority of log messages from the init daemon.",
        help: "PRIORITY is one of debug, info, message, warn, error and fatal. Without it, the \
               present one is shown.",
        options: &[],
        run: act::log_priority,
    },
    CommandRow {
        name: "show-config",
        group: Group::Other,
        usage: "[CONF]",
        synopsis: "Show emits, start on and stop on details for job configurations.",
        help: "CONF is the job to show; without it, all are shown.",
        options: &[OptionRow {
            short: Some(b'e'),
            long: "enumerate",
            argument: None,
            help: Some("show one line for each event and job that can start or stop the job"),
            effect: Effect::Enumerate,
        }],
        run: act::show_config,
    },
    CommandRow {
        name: "check-config",
        group: Group::Other,
        usage: "[CONF]",
        synopsis: "Check for unreachable jobs/event conditions.",
        help:
            "CONF is the job to check; without it, all are checked. Shown is what can never come \
               true with the jobs there are.",
        options: &[
            OptionRow {
                short: Some(b'i'),
                long: "ignore-events",
                argument: Some("EVENT_LIST"),
                help: Some("ignore specified list of events (comma-separated)"),
                effect: Effect::Ignore,
            },
            OptionRow {
                short: Some(b'w'),
                long: "warn",
                argument: None,
                help: Some("show everything unknown, also where another way is open"),
                effect: Effect::Everything,
            },
        ],
        run: act::check_config,
    },
    CommandRow {
        name: "usage",
        group: Group::Other,
        usage: "JOB",
        synopsis: "Show job usage message if available.",
        help: "JOB is the job whose usage is shown.",
        options: &[],
        run: act::usage,
    },
    CommandRow {
        name: "notify-cgroup-manager-address",
        group: Group::Other,
        usage: "ADDRESS",
        synopsis: "Inform Upstart of D-Bus address cgroup manager is available on.",
        help: "Accepted for the sake of old scripts: control groups need no manager any more.",
        options: &[],
        run: act::notify_cgroup_manager_address,
    },
    CommandRow {
        name: "notify-dbus-address",
        group: Group::Other,
        usage: "ADDRESS",
        synopsis: "Inform Upstart of D-Bus address to connect to.",
        help: "Clients on the bus at ADDRESS are answered from then on.",
        options: &[],
        run: act::notify_dbus_address,
    },
    CommandRow {
        name: "notify-disk-writeable",
        group: Group::Other,
        usage: "",
        synopsis: "Inform Upstart that disk is now writeable.",
        help: "Output that jobs wrote before is then written to its files.",
        options: &[],
        run: act::notify_disk_writeable,
    },
    CommandRow {
        name: "list-sessions",
        group: Group::Other,
        usage: "",
        synopsis: "List all sessions.",
        help: "Shown are the number of the process and the address of each.",
        options: &[],
        run: act::list_sessions,
    },
    CommandRow {
        name: "help",
        group: Group::Other,
        usage: "",
        synopsis: "display list of commands",
        help: "",
        options: &[],
        run: act::help,
    },
];
