//! THE TABLE of the commands for people: a row is everything about one.

use super::{
    changes, check, events, graph, log, plan, startup, status, tokens, up, why, Exit, Session,
};
use clap::builder::ValueParser;
use clap::{Arg, ArgAction, ArgMatches, Command, ValueHint};

/// Everything about one command.
pub(super) struct CommandRow {
    pub(super) name: &'static str,
    /// One sentence.
    pub(super) about: &'static str,
    /// What it takes beside `--json` and `--socket`.
    pub(super) arguments: fn() -> Vec<Arg>,
    /// Whom it talks to.
    pub(super) talks: Talks,
    pub(super) run: fn(&mut Session<'_, '_>, &ArgMatches) -> Result<(), Exit>,
}

/// Whom a command talks to, and so which options it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Talks {
    /// The daemon: `--json` and `--socket`.
    Daemon,
    /// Nobody: `--json`.
    Nobody,
    /// It becomes another program.
    Becomes,
    /// It reads its arguments itself: they are those of another program.
    Hands,
}

/// Every command, in the order of help.
pub(super) const COMMANDS: &[CommandRow] = &[
    CommandRow {
        name: "up",
        about: "Run the jobs of directories in the foreground, until Ctrl-C",
        arguments: || {
            let passed = up::OPTIONS.iter().map(|(name, value, help)| option(name, value, help));
            let own = [
                Arg::new("session").long("session").action(ArgAction::SetTrue).help(
                    "As a user's session: job files of ~/.config/upstart, a session file, logs in files",
                ),
                socket("Make the control socket there"),
                many("dir", "DIR", "Directories of job files, and configurations of Supervisor [default: ., of a session the user's own]")
                    .value_hint(ValueHint::DirPath),
            ];
            passed.chain(own).collect()
        },
        talks: Talks::Becomes,
        run: up::up,
    },
    CommandRow {
        name: "run",
        about: "Run one program as the init of a container: reap, pass signals on, exit as it does",
        arguments: || vec![many("program", "PROGRAM", "The program with its arguments, after the flags of tini")],
        talks: Talks::Hands,
        run: up::run,
    },
    CommandRow {
        name: "status",
        about: "Show all jobs, or one: its state, since when, how its last run ended",
        arguments: || {
            let tree = flag("tree", 't', "Show which event started what");
            vec![all(), tree, job("The job to look at, a pattern, or a group of programs").required(false)]
        },
        talks: Talks::Daemon,
        run: status::status,
    },
    CommandRow {
        name: "start",
        about: "Start a job and wait until it runs; a task, until it is done",
        arguments: || {
            let mut all = vec![Arg::new("once")
                .long("once")
                .action(ArgAction::SetTrue)
                .help("This time only: a job that is stopped for good stays so")];
            all.extend(change());
            all
        },
        talks: Talks::Daemon,
        run: changes::start,
    },
    CommandRow {
        name: "stop",
        about: "Stop a job and wait until it is gone",
        arguments: || {
            let mut all =
                vec![Arg::new("persist").long("persist").action(ArgAction::SetTrue).help(
                    "For good: nothing starts it by itself until somebody does, not even a boot",
                )];
            all.extend(change());
            all
        },
        talks: Talks::Daemon,
        run: changes::stop,
    },
    CommandRow {
        name: "restart",
        about: "Stop a job, start it again and wait until it runs",
        arguments: change,
        talks: Talks::Daemon,
        run: changes::restart,
    },
    CommandRow {
        name: "reload",
        about: "Send a job its reload signal, after its check where it has one",
        arguments: which_of_them,
        talks: Talks::Daemon,
        run: changes::reload,
    },
    CommandRow {
        name: "check-service",
        about: "Run a job's check, which comes before its restart and reload, and nothing else",
        arguments: which,
        talks: Talks::Daemon,
        run: changes::check_service,
    },
    CommandRow {
        name: "enable",
        about: "Let jobs be started by events again, as their files say",
        arguments: || intended("Start them now, too"),
        talks: Talks::Daemon,
        run: changes::enable,
    },
    CommandRow {
        name: "disable",
        about: "Let events start jobs no more, over reboots too; who asks still does",
        arguments: || intended("Stop them now, too"),
        talks: Talks::Daemon,
        run: changes::disable,
    },
    CommandRow {
        name: "mask",
        about: "Let nothing start jobs, over reboots too",
        arguments: || intended("Stop them now, too"),
        talks: Talks::Daemon,
        run: changes::mask,
    },
    CommandRow {
        name: "unmask",
        about: "Let jobs be started again, as their files say",
        arguments: || intended("Start them now, too"),
        talks: Talks::Daemon,
        run: changes::enable,
    },
    CommandRow {
        name: "emit",
        about: "Emit an event and wait until all that it started or stopped is at rest",
        arguments: || {
            vec![
                no_wait(),
                one("event", "EVENT", "The event's name").required(true),
                env("Variables that the event carries"),
            ]
        },
        talks: Talks::Daemon,
        run: changes::emit,
    },
    CommandRow {
        name: "log",
        about: "Show what a job wrote",
        arguments: || {
            let mut all = vec![
                flag("follow", 'f', "Go on as it writes more, also into a new file"),
                Arg::new("lines")
                    .short('n')
                    .long("lines")
                    .value_name("N")
                    .value_parser(clap::value_parser!(usize))
                    .default_value("10")
                    .help("How many lines to begin with"),
            ];
            all.extend(which());
            all
        },
        talks: Talks::Daemon,
        run: log::log,
    },
    CommandRow {
        name: "events",
        about: "Show what has happened lately: events, and states of jobs",
        arguments: || {
            vec![
                flag("follow", 'f', "Show what happens from now on, as it happens"),
                Arg::new("after")
                    .long("after")
                    .value_name("NUMBER")
                    .value_parser(clap::value_parser!(u64))
                    .help("Begin after the one of this number"),
                one("since", "TIME", "Only what happened within this time: 90, 90s, 5m, 2h, 1d").long("since"),
                one("job", "PATTERN", "Only of jobs whose names match").long("job"),
                one("event", "PATTERN", "Only events whose names match").long("event"),
                one("kind", "KIND", "Only these: event, state, goal, failed, job or program").long("kind"),
            ]
        },
        talks: Talks::Daemon,
        run: events::events,
    },
    CommandRow {
        name: "why",
        about: "Tell why a job is in the state it is in, and what happened to it; or whom an event starts",
        arguments: which,
        talks: Talks::Daemon,
        run: why::why,
    },
    CommandRow {
        name: "why-not",
        about: "Tell what must still happen for a job to start",
        arguments: which,
        talks: Talks::Daemon,
        run: why::why_not,
    },
    CommandRow {
        name: "history",
        about: "Show the last decisions about a job, oldest first",
        arguments: which,
        talks: Talks::Daemon,
        run: why::history,
    },
    CommandRow {
        name: "blame",
        about: "Show how long each job of the start-up took, the longest first",
        arguments: || vec![whole()],
        talks: Talks::Daemon,
        run: startup::blame,
    },
    CommandRow {
        name: "critical-chain",
        about: "Show what the job that was ready last waited for, back to what began it",
        arguments: || vec![whole(), job("The job to begin with").required(false)],
        talks: Talks::Daemon,
        run: startup::critical_chain,
    },
    CommandRow {
        name: "plot",
        about: "Draw the start-up as SVG: a bar for each job, events, the longest way through it",
        arguments: || vec![whole()],
        talks: Talks::Daemon,
        run: startup::plot,
    },
    CommandRow {
        name: "graph",
        about: "Draw jobs, the events that start and stop them, and their states, as SVG",
        arguments: || {
            vec![
                Arg::new("dot")
                    .long("dot")
                    .action(ArgAction::SetTrue)
                    .help("In the language of Graphviz, to be laid out by dot"),
                many("job", "JOB", "Only these jobs and what stands next to them"),
            ]
        },
        talks: Talks::Daemon,
        run: graph::graph,
    },
    CommandRow {
        name: "check",
        about: "Check job files and supervisord.conf without running anything",
        arguments: || {
            vec![many(
                "file",
                "FILE",
                "Job files (.conf), programs (.conf, .ini), or directories of them",
            )
            .required(true)
            .value_hint(ValueHint::FilePath)]
        },
        talks: Talks::Nobody,
        run: check::check,
    },
    CommandRow {
        name: "plan",
        about: "Show what changed files would add, change, restart and remove; 2: something, 0: nothing",
        arguments: changed_files,
        talks: Talks::Daemon,
        run: plan::plan,
    },
    CommandRow {
        name: "apply",
        about: "Do what plan shows, as a whole or not at all, and wait until what was restarted is up",
        arguments: || {
            let mut all = vec![
                one("rollback-after", "TIME", "Take all of it back unless everything is up in time: 30s, 5m")
                    .long("rollback-after"),
                flag("yes", 'y', "Do not ask, at a terminal either"),
            ];
            all.extend(changed_files());
            all
        },
        talks: Talks::Daemon,
        run: plan::apply,
    },
    CommandRow {
        name: "token-create",
        about: "Make a token for clients of a server: a role over jobs, with an end; shown once",
        arguments: || {
            vec![
                one("role", "ROLE", "What it gives: look, operate or administer")
                    .long("role")
                    .required(true),
                one("expires", "TIME", "How long it holds: 12h, 90d, never")
                    .long("expires")
                    .default_value("90d"),
                one("name", "TOKEN", "What it is called").required(true),
                many("job", "PATTERN", "Over which jobs; * is everything").required(true),
            ]
        },
        talks: Talks::Daemon,
        run: tokens::create,
    },
    CommandRow {
        name: "token-list",
        about: "Show the tokens that have not ended",
        arguments: Vec::new,
        talks: Talks::Daemon,
        run: tokens::list,
    },
    CommandRow {
        name: "token-revoke",
        about: "End tokens at once",
        arguments: || vec![many("name", "TOKEN", "The tokens").required(true)],
        talks: Talks::Daemon,
        run: tokens::revoke,
    },
    CommandRow {
        name: "reload-configuration",
        about: "Read the job files again",
        arguments: Vec::new,
        talks: Talks::Daemon,
        run: changes::reload_configuration,
    },
    CommandRow {
        name: "down",
        about: "Stop all jobs in order, then end Upright, and wait until it is gone",
        arguments: || {
            let logout = Arg::new("logout").long("logout").action(ArgAction::SetTrue);
            let logout =
                logout.help("As the end of a user's session: session-end with TYPE=logout");
            vec![no_wait(), logout]
        },
        talks: Talks::Daemon,
        run: changes::down,
    },
    CommandRow {
        name: "upgrade",
        about: "Go on in the binary that was installed in place of the running one",
        arguments: Vec::new,
        talks: Talks::Daemon,
        run: changes::upgrade,
    },
    CommandRow {
        name: "complete",
        about: "Print what may come next in a command line, for shells",
        arguments: || vec![many("word", "WORD", "The words of that command line, the last as far as it is typed")],
        talks: Talks::Hands,
        run: super::complete,
    },
    CommandRow {
        name: "version",
        about: "Show what runs here",
        arguments: Vec::new,
        talks: Talks::Daemon,
        run: status::version,
    },
];

/// Returns the whole command line.
pub(super) fn cli() -> Command {
    let commands = COMMANDS.iter().map(|row| {
        let command = Command::new(row.name).about(row.about).args((row.arguments)());
        let json =
            || Arg::new("json").long("json").action(ArgAction::SetTrue).help("Answer in JSON");
        match row.talks {
            Talks::Daemon => command
                .arg(json())
                .arg(socket("Ask the Upright at this socket: a path, or unix:abstract=NAME")),
            Talks::Nobody => command.arg(json()),
            Talks::Becomes | Talks::Hands => command,
        }
    });
    Command::new("upright")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Starts and supervises services, and says why each is in the state it is in")
        .after_help("Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 nobody answers.")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(false)
        .subcommands(commands)
}

fn one(name: &'static str, shown: &'static str, help: &'static str) -> Arg {
    Arg::new(name).value_name(shown).value_parser(ValueParser::os_string()).help(help)
}

fn many(name: &'static str, shown: &'static str, help: &'static str) -> Arg {
    one(name, shown, help).num_args(0..).action(ArgAction::Append)
}

fn job(help: &'static str) -> Arg {
    one("job", "JOB", help).required(true)
}

fn env(help: &'static str) -> Arg {
    many("env", "KEY=VALUE", help)
}

fn flag(name: &'static str, short: char, help: &'static str) -> Arg {
    Arg::new(name).short(short).long(name).action(ArgAction::SetTrue).help(help)
}

fn no_wait() -> Arg {
    flag("no-wait", 'n', "Return as soon as it is on its way")
}

fn whole() -> Arg {
    flag("all", 'a', "Also jobs that somebody started by hand")
}

fn all() -> Arg {
    flag("all", 'a', "Also Upright's own jobs")
}

fn socket(help: &'static str) -> Arg {
    one("socket", "ADDRESS", help).long("socket")
}

fn option(name: &'static str, shown: &'static str, help: &'static str) -> Arg {
    one(name, shown, help).long(name).allow_hyphen_values(true)
}

fn which() -> Vec<Arg> {
    which_as("The job")
}

/// Of commands that may be meant for several jobs at once.
fn which_of_them() -> Vec<Arg> {
    which_as("The job, a pattern (web-*), or a group of programs")
}

fn which_as(help: &'static str) -> Vec<Arg> {
    vec![
        job(help),
        env("Variables, which also say which instance of the job is meant"),
        one("instance", "NAME", "The instance of that name").long("instance").conflicts_with("env"),
    ]
}

fn changed_files() -> Vec<Arg> {
    vec![
        one("into", "DIR", "The directory in which they would stand, where there are several")
            .long("into")
            .value_hint(ValueHint::DirPath),
        many(
            "file",
            "FILE",
            "Files as they would stand, or a directory as the whole content [default: what is there]",
        )
        .value_hint(ValueHint::AnyPath),
    ]
}

fn intended(now: &'static str) -> Vec<Arg> {
    let set = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
    };
    vec![
        set("now", now),
        set("runtime", "Only as long as this Upright runs"),
        many("job", "JOB", "The jobs").required(true),
    ]
}

fn change() -> Vec<Arg> {
    let mut all = vec![no_wait()];
    all.extend(which_of_them());
    all
}
