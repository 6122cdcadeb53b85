//! The options of `init`, as Upstart had them, and those that Upright adds.
//!
//! Read twice: once before the keeper starts, so that a mistake is told at once, and again by each
//! daemon. Source: spec 13; the words of mistakes are libnih's.

use crate::cli::layout;
use crate::cli::shape::{Flag, Shape};
use crate::supervisord::options::Given;
use engine::machine::{Budget, Level};
use engine::spec::Console;
use engine::time::Span;
use std::ffi::{CString, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

/// Whose Upright this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The machine's, or a container's.
    System,
    /// A user's session.
    User,
    /// In the foreground, for the jobs of some directories (`upright up`).
    Up,
    /// In the place of Supervisor's daemon, for the programs of its configuration (`supervisord`).
    Supervisord,
}

/// The event that begins everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Startup {
    /// This one.
    Event(String),
    /// None.
    Nothing,
}

/// When the machine's Upright connects to the system's D-Bus daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bus {
    /// At the start, where the daemon is there; and when told.
    AtStart,
    /// At SIGUSR1 only.
    WhenTold,
}

/// Whether jobs have control groups of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grouping {
    /// They do, where there is a place for them.
    Own,
    /// They do not.
    None,
}

/// Whether jobs of a user's session inherit the session's environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inherit {
    /// All of it.
    All,
    /// Only PATH and TERM.
    Little,
}

/// What the command line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Whose Upright this is.
    pub mode: Mode,
    /// Directories of job files that replace the default ones.
    pub confdirs: Vec<PathBuf>,
    /// Directories before all others.
    pub prepended: Vec<PathBuf>,
    /// Directories after all others.
    pub appended: Vec<PathBuf>,
    /// Where output goes.
    pub logdir: Option<PathBuf>,
    /// Where what operators have decided is kept.
    pub statedir: Option<PathBuf>,
    /// Size and count of rotated log files.
    pub log_rotate: Option<(u64, u32)>,
    /// Permission bits of log files.
    pub log_mode: Option<u16>,
    /// Owner of log files, `USER[:GROUP]`.
    pub log_owner: Option<Vec<u8>>,
    /// How long stopping everything may take; none: what the place decides. Zero: no limit.
    pub stop_timeout: Option<Span>,
    /// The log of who did what, or `none`.
    pub audit: Option<PathBuf>,
    /// How many restarts there may be over all jobs; none: what `[supervisord]` says, or as usual.
    pub restart_budget: Option<Budget>,
    /// The file that says who may do what.
    pub rights: Option<PathBuf>,
    /// Where the control socket is made.
    pub socket: Option<PathBuf>,
    /// The file whose server sections say where Supervisor's clients are served.
    pub servers: Option<PathBuf>,
    /// The first event.
    pub startup: Startup,
    /// What a user's jobs inherit.
    pub inherit: Inherit,
    /// Where the output of jobs goes that do not say it.
    pub console: Console,
    /// When to go on the machine's bus.
    pub bus: Bus,
    /// Whether jobs have control groups of their own.
    pub grouping: Grouping,
    /// The least level that is said.
    pub level: Level,
    /// Supervisor's configurations: the one of `supervisord` with what its command line says, or those that
    /// `upright up` names.
    pub programs: Vec<Given>,
}

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// To run.
    Run(Box<Options>),
    /// To print this and end well.
    Print(String),
}

impl Default for Options {
    fn default() -> Options {
        Options {
            mode: Mode::System,
            confdirs: Vec::new(),
            prepended: Vec::new(),
            appended: Vec::new(),
            logdir: None,
            statedir: None,
            log_rotate: None,
            log_mode: None,
            log_owner: None,
            stop_timeout: None,
            audit: None,
            restart_budget: None,
            rights: None,
            socket: None,
            servers: None,
            startup: Startup::Event(String::from("startup")),
            inherit: Inherit::All,
            console: Console::Log,
            bus: Bus::AtStart,
            grouping: Grouping::Own,
            level: Level::Message,
            programs: Vec::new(),
        }
    }
}

/// What an option does.
enum Effect {
    Plain(fn(&mut Options)),
    Value(&'static str, fn(&mut Options, OsString) -> Result<(), String>),
    Help,
    Version,
}

/// The longest stop timeout: a day.
const STOP_TIMEOUT_MAX: u64 = 86_400;

/// An option: its long name, its letter, what it does, its help.
struct Row {
    long: &'static str,
    short: Option<char>,
    effect: Effect,
    help: &'static str,
}

/// Where output may go by default, by the words of `--default-console`.
pub const CONSOLES: &[(&str, Console)] = &[
    ("none", Console::None),
    ("log", Console::Log),
    ("stdout", Console::Stdout),
    ("output", Console::Output),
    ("owner", Console::Owner),
];

/// THE TABLE of options.
const OPTIONS: &[Row] = &[
    Row {
        long: "append-confdir",
        short: None,
        effect: Effect::Value("DIR", |o, v| {
            o.appended.push(v.into());
            Ok(())
        }),
        help: "add a directory of job files after all others",
    },
    Row {
        long: "audit",
        short: None,
        effect: Effect::Value("FILE", |o, v| {
            o.audit = Some(v.into());
            Ok(())
        }),
        help:
            "write there who did what; none: nowhere (upright_audit.log of the machine's Upright)",
    },
    Row {
        long: "confdir",
        short: None,
        effect: Effect::Value("DIR", |o, v| {
            o.confdirs.push(v.into());
            Ok(())
        }),
        help: "read job files here in place of the default directories (repeatable)",
    },
    Row {
        long: "default-console",
        short: None,
        effect: Effect::Value("VALUE", |o, v| {
            let row = CONSOLES.iter().find(|row| row.0.as_bytes() == v.as_bytes());
            let wrong = || format!("invalid console type specified: {}", v.display());
            o.console = row.ok_or_else(wrong)?.1;
            Ok(())
        }),
        help:
            "where output goes of jobs without a console stanza: none, log, stdout, output or owner",
    },
    Row {
        long: "logdir",
        short: None,
        effect: Effect::Value("DIR", |o, v| {
            o.logdir = Some(v.into());
            Ok(())
        }),
        help: "write the jobs' output to files in this directory",
    },
    Row {
        long: "log-mode",
        short: None,
        effect: Effect::Value("OCTAL", |o, v| {
            let mode = v.to_str().and_then(|text| u16::from_str_radix(text, 8).ok());
            o.log_mode = Some(mode.filter(|mode| *mode <= 0o7777).ok_or_else(|| {
                format!("invalid mode of log files: {}, expected octal digits", v.display())
            })?);
            Ok(())
        }),
        help: "permissions of log files, unless the job says otherwise (0640)",
    },
    Row {
        long: "log-owner",
        short: None,
        effect: Effect::Value("USER[:GROUP]", |o, v| {
            o.log_owner = Some(v.as_bytes().to_vec());
            Ok(())
        }),
        help: "owner of log files, unless the job says otherwise",
    },
    Row {
        long: "log-rotate",
        short: None,
        effect: Effect::Value("SIZE:COUNT", |o, v| {
            let rotation = v.to_str().and_then(rotation).ok_or_else(|| {
                format!("invalid rotation: {}, expected for example 10M:5", v.display())
            })?;
            o.log_rotate = Some(rotation);
            Ok(())
        }),
        help:
            "rotate log files of this size and keep so many, unless the job says otherwise (10M:5)",
    },
    Row {
        long: "no-cgroups",
        short: None,
        effect: Effect::Plain(|o| o.grouping = Grouping::None),
        help: "give jobs no control groups of their own",
    },
    Row {
        long: "no-dbus",
        short: None,
        effect: Effect::Plain(|o| o.bus = Bus::WhenTold),
        help: "do not connect to the system's D-Bus daemon at the start",
    },
    Row {
        long: "no-inherit-env",
        short: None,
        effect: Effect::Plain(|o| o.inherit = Inherit::Little),
        help: "jobs of a user's session do not inherit its environment",
    },
    Row {
        long: "no-log",
        short: None,
        effect: Effect::Plain(|o| o.console = Console::None),
        help: "drop the output of jobs without a console stanza",
    },
    Row {
        long: "no-startup-event",
        short: None,
        effect: Effect::Plain(|o| o.startup = Startup::Nothing),
        help: "emit no event at the start",
    },
    Row {
        long: "prepend-confdir",
        short: None,
        effect: Effect::Value("DIR", |o, v| {
            o.prepended.push(v.into());
            Ok(())
        }),
        help: "add a directory of job files before all others",
    },
    Row {
        long: "restart-budget",
        short: None,
        effect: Effect::Value("RATE[:BURST]", |o, v| {
            let budget = v.to_str().and_then(Budget::from_text).ok_or_else(|| {
                format!("invalid budget of restarts: {}, expected for example 50:1000", v.display())
            })?;
            o.restart_budget = Some(budget);
            Ok(())
        }),
        help: "restart at most so many jobs a second that ended soon, 0 for any number (50:1000)",
    },
    Row {
        long: "rights",
        short: None,
        effect: Effect::Value("FILE", |o, v| {
            o.rights = Some(v.into());
            Ok(())
        }),
        help: "let users and groups do what this file grants them",
    },
    Row {
        long: "servers",
        short: None,
        effect: Effect::Value("FILE", |o, v| {
            o.servers = Some(v.into());
            Ok(())
        }),
        help: "serve Supervisor's clients as the [..._http_server] sections of this file say",
    },
    Row {
        long: "session",
        short: None,
        effect: Effect::Plain(|o| o.mode = Mode::User),
        help: "run as a user's session, as --user",
    },
    Row {
        long: "socket",
        short: None,
        effect: Effect::Value("PATH", |o, v| {
            o.socket = Some(v.into());
            Ok(())
        }),
        help: "make the control socket here",
    },
    Row {
        long: "startup-event",
        short: None,
        effect: Effect::Value("NAME", |o, v| {
            let name = v.into_string().map_err(|_| String::from("event name is not UTF-8"))?;
            o.startup = Startup::Event(name);
            Ok(())
        }),
        help: "emit this event at the start in place of startup",
    },
    Row {
        long: "statedir",
        short: None,
        effect: Effect::Value("DIR", |o, v| {
            o.statedir = Some(v.into());
            Ok(())
        }),
        help: "keep there what is disabled, masked or stopped for good",
    },
    Row {
        long: "stop-timeout",
        short: None,
        effect: Effect::Value("SECONDS", |o, v| {
            let seconds = v.to_str().and_then(|text| text.parse::<u64>().ok());
            let seconds = seconds.filter(|seconds| *seconds <= STOP_TIMEOUT_MAX);
            o.stop_timeout = Some(Span::secs(seconds.ok_or_else(|| {
                format!(
                    "invalid stop timeout: {}, expected 0 (none) to {STOP_TIMEOUT_MAX} seconds",
                    v.display()
                )
            })?));
            Ok(())
        }),
        help: "stop everything within this time, cutting kill timeouts (10 as PID 1, else none)",
    },
    Row {
        long: "system",
        short: None,
        effect: Effect::Plain(|o| o.mode = Mode::System),
        help: "run as the machine's init although the process is not PID 1",
    },
    Row {
        long: "up",
        short: None,
        effect: Effect::Plain(|o| o.mode = Mode::Up),
        help: "run the job files of the directories that follow, in the foreground",
    },
    Row {
        long: "user",
        short: None,
        effect: Effect::Plain(|o| o.mode = Mode::User),
        help: "run as a user's session",
    },
    Row {
        long: "quiet",
        short: Some('q'),
        effect: Effect::Plain(|o| o.level = Level::Error),
        help: "say errors only",
    },
    Row {
        long: "verbose",
        short: Some('v'),
        effect: Effect::Plain(|o| o.level = Level::Info),
        help: "say what happens",
    },
    Row {
        long: "debug",
        short: None,
        effect: Effect::Plain(|o| o.level = Level::Debug),
        help: "say everything",
    },
    Row { long: "help", short: None, effect: Effect::Help, help: "show this and end" },
    Row { long: "version", short: None, effect: Effect::Version, help: "show the version and end" },
];

/// Returns arguments as the C runtime gave them in the form that [`read`] wants.
pub fn words(arguments: Vec<CString>) -> Vec<OsString> {
    arguments.into_iter().map(|argument| OsString::from_vec(argument.into_bytes())).collect()
}

/// Reads the arguments, the program's name first. A mistake comes back as the lines to print.
pub fn read(arguments: &[OsString]) -> Result<Asked, String> {
    if let Some(given) = Given::of_arguments(arguments) {
        return Ok(Asked::Run(Box::new(of_supervisord(given))));
    }
    let program = arguments.first().map_or_else(|| "init".into(), |argument| argument.clone());
    let program = PathBuf::from(program);
    let program = program.file_name().unwrap_or("init".as_ref()).to_string_lossy().into_owned();
    let mistake =
        |what: String| format!("{program}: {what}\nTry `{program} --help' for more information.");
    let mut options = Options::default();
    let mut rest = arguments.iter().skip(1);
    while let Some(argument) = rest.next() {
        let bytes = argument.as_bytes();
        let Some(name) = bytes.strip_prefix(b"-").filter(|name| !name.is_empty()) else {
            // Words of the kernel's command line are ignored; with --up they are directories.
            options.confdirs.push(argument.into());
            continue;
        };
        let name = name.strip_prefix(b"-").unwrap_or(name);
        if name.is_empty() {
            continue;
        }
        let mut halves = name.splitn(2, |byte| *byte == b'=');
        let word = String::from_utf8_lossy(halves.next().unwrap_or_default()).into_owned();
        let given = halves.next().map(|value| OsString::from(std::ffi::OsStr::from_bytes(value)));
        let shown = argument.to_string_lossy();
        let known =
            |row: &&Row| row.long == word || row.short.is_some_and(|c| word == c.to_string());
        match OPTIONS.iter().find(known).map(|row| &row.effect) {
            None => return Err(mistake(format!("invalid option: {shown}"))),
            Some(Effect::Help) => return Ok(Asked::Print(help(&program))),
            Some(Effect::Version) => return Ok(Asked::Print(version(&program))),
            Some(Effect::Plain(_)) if given.is_some() => {
                return Err(mistake(format!("unexpected argument: {shown}")))
            }
            Some(Effect::Plain(effect)) => effect(&mut options),
            Some(Effect::Value(_, effect)) => {
                let value = given.or_else(|| rest.next().cloned());
                let value = value.ok_or_else(|| mistake(format!("missing argument: {shown}")))?;
                effect(&mut options, value).map_err(mistake)?;
            }
        }
    }
    Ok(Asked::Run(Box::new(options)))
}

/// Returns the options of a daemon that stands in for Supervisor's. What a job does not say is as it
/// is there: nothing is begun by an event, and the output of jobs that say nothing goes nowhere.
fn of_supervisord(given: Given) -> Options {
    let mode = Mode::Supervisord;
    // Each program says how long it may take to end.
    let stop_timeout = Some(Span::ZERO);
    Options { mode, stop_timeout, programs: vec![given], ..Options::default() }
}

/// Reads `SIZE:COUNT`, the size in bytes or with K, M or G behind it.
fn rotation(text: &str) -> Option<(u64, u32)> {
    let (size, count) = text.split_once(':')?;
    let (digits, unit) = match size.as_bytes().last()? {
        b'K' => (&size[..size.len() - 1], 1 << 10),
        b'M' => (&size[..size.len() - 1], 1 << 20),
        b'G' => (&size[..size.len() - 1], 1 << 30),
        _ => (size, 1),
    };
    Some((digits.parse::<u64>().ok()?.checked_mul(unit)?, count.parse().ok()?))
}

/// Returns what init's command line may have.
pub fn shape() -> Shape {
    let flag = |row: &Row| Flag {
        short: row.short,
        long: Some(row.long.to_owned()),
        value: match row.effect {
            Effect::Value(value, _) => Some(value.to_owned()),
            Effect::Plain(_) | Effect::Help | Effect::Version => None,
        },
        help: Some(row.help.to_owned()),
    };
    Shape {
        name: String::from("init"),
        about: String::from("Process management daemon."),
        more: String::from(MORE),
        flags: OPTIONS.iter().map(flag).collect(),
        places: Vec::new(),
        commands: Vec::new(),
    }
}

/// What a page says of it beside its options.
const MORE: &str = "The first process of a machine, of a container or of a user's session: it starts, stops \
    and supervises services as job files say, and Supervisor's programs as supervisord.conf says.\n\n\
    SIGTERM, or SIGINT where it is not the machine's, stops everything in order. SIGHUP reads the job \
    files again. SIGUSR1 connects to the system's D-Bus daemon.";

fn help(program: &str) -> String {
    let mut text =
        format!("Usage: {program} [OPTION]...\nProcess management daemon.\n\nOptions:\n");
    for row in OPTIONS {
        let value = match row.effect {
            Effect::Value(value, _) => format!("={value}"),
            Effect::Plain(_) | Effect::Help | Effect::Version => String::new(),
        };
        let short = row.short.map_or_else(|| String::from("    "), |c| format!("-{c}, "));
        let name = format!("  {short}--{}{value}", row.long);
        layout::described(&mut text, &name, row.help, layout::WIDTH - layout::COLUMN - 1);
    }
    text + "\nSend the SIGTERM signal to stop everything in order."
}

fn version(program: &str) -> String {
    format!("{program} (upright {})", env!("CARGO_PKG_VERSION"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(arguments: &[&str]) -> Result<Asked, String> {
        let arguments: Vec<OsString> =
            ["/sbin/init"].iter().chain(arguments).map(OsString::from).collect();
        read(&arguments)
    }

    #[test]
    fn options_are_read_as_libnih_reads_them() {
        let Ok(Asked::Run(options)) =
            reads(&["--user", "--confdir=/a", "--confdir", "/b", "-v", "--no-startup-event", "--"])
        else {
            panic!("valid")
        };
        assert_eq!(options.mode, Mode::User);
        assert_eq!(options.confdirs, [PathBuf::from("/a"), PathBuf::from("/b")]);
        assert_eq!((options.level, options.startup), (Level::Info, Startup::Nothing));
    }

    #[test]
    fn a_mistake_is_told_in_the_words_of_the_original() {
        for (arguments, words) in [
            (&["--x"][..], "init: invalid option: --x"),
            (&["--user=1"], "init: unexpected argument: --user=1"),
            (&["--logdir"], "init: missing argument: --logdir"),
            (&["--default-console", "x"], "init: invalid console type specified: x"),
            (
                &["--log-rotate", "10X:1"],
                "init: invalid rotation: 10X:1, expected for example 10M:5",
            ),
            (
                &["--stop-timeout=soon"],
                "init: invalid stop timeout: soon, expected 0 (none) to 86400 seconds",
            ),
        ] {
            let told = reads(arguments).unwrap_err();
            assert_eq!(told, format!("{words}\nTry `init --help' for more information."));
        }
    }

    #[test]
    fn sizes_of_log_files_are_bytes_or_have_a_unit() {
        assert_eq!(rotation("10M:5"), Some((10 << 20, 5)));
        assert_eq!(rotation("4096:0"), Some((4096, 0)));
        for wrong in ["", "5", ":5", "M:5", "1T:1", "-1:2", "99999999999G:1", "1:x"] {
            assert_eq!(rotation(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn help_names_every_option() {
        let Ok(Asked::Print(text)) = reads(&["--help"]) else { panic!("help") };
        assert!(text.lines().all(|line| line.len() < 80), "{text}");
        let words: Vec<&str> = text.split_whitespace().collect();
        let text = words.join(" ");
        assert!(OPTIONS.iter().all(|row| text.contains(row.long) && text.contains(row.help)));
    }
}
