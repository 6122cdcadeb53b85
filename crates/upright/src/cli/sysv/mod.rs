//! The commands of System V's init as Upstart 1.13.2 has them: telinit, runlevel, shutdown, halt,
//! poweroff, reboot. Source: spec 11.6.

mod level;
mod reboot;
mod request;
mod runlevel;
mod shutdown;
mod telinit;
mod wall;
mod when;

use super::client::Client;
use super::connect::{self, Address, SYSTEM_SOCKET};
use super::options::{parse, OptionRow, Order, Stop};
use super::shape::Shape;
use super::{layout, World};
use engine::text::Text;
use level::Level;
use std::path::PathBuf;

/// Why a command did not succeed; it has been said.
struct Failed;

/// Everything about one command.
pub struct ToolRow {
    /// Its name.
    pub name: &'static str,
    /// Its arguments in help.
    usage: &'static str,
    /// One sentence.
    synopsis: &'static str,
    /// More, below the options.
    help: &'static str,
    options: &'static [OptionRow<Effect>],
    run: fn(&mut Tool<'_, '_>, &[Vec<u8>]) -> Result<(), Failed>,
}

/// What an option does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    /// Adds to the event.
    Env,
    /// Goes down to this level, in this way.
    Down(Level, Option<How>),
    /// Warns and does nothing else.
    OnlyWarn,
    /// Ends a shutdown that waits.
    Cancel,
    /// Says the time.
    Time,
    /// Does it at once.
    Force,
    /// Leaves the disks alone.
    NoSync,
    /// Switches off in place of standing still.
    Off,
    /// Writes the record and does nothing else.
    OnlyRecord,
    /// Is read and has no effect, as in the original.
    Nothing,
    Quiet,
    Talk,
    Help,
    Version,
}

/// How the machine ends where the level does not say it. Source: `INIT_HALT`, spec 11.6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Halt,
    Off,
}

/// What the options have said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Said {
    env: Vec<Text>,
    down: Option<(Level, Option<How>)>,
    time: Option<Vec<u8>>,
    only_warn: bool,
    cancel: bool,
    force: bool,
    no_sync: bool,
    off: bool,
    only_record: bool,
    quiet: bool,
}

/// A command on its way.
struct Tool<'a, 'b> {
    world: &'a mut World<'b>,
    said: Said,
}

/// THE TABLE of the commands.
pub const TOOLS: &[ToolRow] = &[
    ToolRow {
        name: "telinit",
        usage: "RUNLEVEL",
        synopsis: "Change runlevel.",
        help: "RUNLEVEL should be one of 0123456S, where s and S are considered identical.\n\n\
               RUNLEVEL may also be Q or q: the init daemon then reads its configuration again, \
               which is rarely needed, as it notices changes by itself. U or u: it goes on in the \
               binary that was installed in its place, with every service.",
        options: &[
            with_argument(b'e', "KEY=VALUE", Some("variable of the runlevel event"), Effect::Env),
            with_argument(b't', "SLEEPTIME", None, Effect::Nothing),
        ],
        run: telinit::run,
    },
    ToolRow {
        name: "runlevel",
        usage: "[UTMP]",
        synopsis: "Output previous and current runlevel.",
        help: "The system /var/run/utmp file is used unless the alternate file UTMP is given.",
        options: &[],
        run: runlevel::run,
    },
    ToolRow {
        name: "shutdown",
        usage: "TIME [MESSAGE]",
        synopsis: "Bring the system down.",
        help: "TIME may have different formats, the most common is simply the word 'now' which \
               will bring the system down immediately.  Other valid formats are +m, where m is \
               the number of minutes to wait until shutting down and hh:mm which specifies the \
               time on the 24hr clock.\n\nLogged in users are warned by a message sent to their \
               terminal, you may include an optional MESSAGE included with this.  Messages can be \
               sent without actually bringing the system down by using the -k option.\n\nIf TIME \
               is given, the command will remain in the foreground until the shutdown occurs.  It \
               may be cancelled by Control-C, or by another user using the -c option.\n\nThe \
               system is brought down into maintenance (single-user) mode by default, you can \
               change this with either the -r or -h option which specify a reboot or system halt \
               respectively.  The -h option can be further modified with -H or -P to specify \
               whether to halt the system, or to power it off afterwards.  The default is left up \
               to the shutdown scripts.",
        options: SHUTDOWN,
        run: shutdown::run,
    },
    ToolRow {
        name: "reboot",
        usage: "[REBOOTCOMMAND]",
        synopsis: "Reboot the system.",
        help: FORCE_HELP,
        options: REBOOT,
        run: |tool, args| reboot::run(tool, args, reboot::Asked::Restart),
    },
    ToolRow {
        name: "halt",
        usage: "",
        synopsis: "Halt the system.",
        help: FORCE_HELP,
        options: REBOOT,
        run: |tool, args| reboot::run(tool, args, reboot::Asked::Halt),
    },
    ToolRow {
        name: "poweroff",
        usage: "",
        synopsis: "Power off the system.",
        help: FORCE_HELP,
        options: REBOOT,
        run: |tool, args| reboot::run(tool, args, reboot::Asked::Off),
    },
];

const FORCE_HELP: &str = "This command is intended to instruct the kernel to reboot or halt the \
    system; when run without the -f option, or when in a system runlevel other than 0 or 6, it will \
    actually execute /sbin/shutdown.";

const SHUTDOWN: &[OptionRow<Effect>] = &[
    flag(b'r', Some("reboot after shutdown"), Effect::Down(Level::REBOOT, None)),
    flag(b'h', Some("halt or power off after shutdown"), Effect::Down(Level::HALT, None)),
    flag(
        b'H',
        Some("halt after shutdown (implies -h)"),
        Effect::Down(Level::HALT, Some(How::Halt)),
    ),
    flag(
        b'P',
        Some("power off after shutdown (implies -h)"),
        Effect::Down(Level::HALT, Some(How::Off)),
    ),
    flag(b'c', Some("cancel a running shutdown"), Effect::Cancel),
    flag(b'k', Some("only send warnings, don't shutdown"), Effect::OnlyWarn),
    flag(b'a', None, Effect::Nothing),
    flag(b'n', None, Effect::Nothing),
    flag(b'f', None, Effect::Nothing),
    flag(b'F', None, Effect::Nothing),
    flag(b'y', None, Effect::Nothing),
    with_argument(b'i', "LEVEL", None, Effect::Nothing),
    flag(b'L', None, Effect::Nothing),
    with_argument(b't', "SLEEPTIME", None, Effect::Nothing),
    with_argument(b'g', "TIME", None, Effect::Time),
];

const REBOOT: &[OptionRow<Effect>] = &[
    OptionRow {
        short: Some(b'n'),
        long: "no-sync",
        argument: None,
        help: Some("don't sync before reboot or halt"),
        effect: Effect::NoSync,
    },
    OptionRow {
        short: Some(b'f'),
        long: "force",
        argument: None,
        help: Some("force reboot or halt, don't call shutdown(8)"),
        effect: Effect::Force,
    },
    OptionRow {
        short: Some(b'p'),
        long: "poweroff",
        argument: None,
        help: Some("switch off the power when called as halt"),
        effect: Effect::Off,
    },
    OptionRow {
        short: Some(b'w'),
        long: "wtmp-only",
        argument: None,
        help: Some("don't actually reboot or halt, only write wtmp record"),
        effect: Effect::OnlyRecord,
    },
    flag(b'd', None, Effect::Nothing),
    flag(b'i', None, Effect::Nothing),
    flag(b'h', None, Effect::Nothing),
];

/// Options of every command.
const COMMON: &[OptionRow<Effect>] = &[
    OptionRow {
        short: Some(b'q'),
        long: "quiet",
        argument: None,
        help: Some("reduce output to errors only"),
        effect: Effect::Quiet,
    },
    OptionRow {
        short: Some(b'v'),
        long: "verbose",
        argument: None,
        help: Some("increase output to include informational messages"),
        effect: Effect::Talk,
    },
    OptionRow {
        short: None,
        long: "help",
        argument: None,
        help: Some("display this help and exit"),
        effect: Effect::Help,
    },
    OptionRow {
        short: None,
        long: "version",
        argument: None,
        help: Some("output version information and exit"),
        effect: Effect::Version,
    },
];

const fn flag(letter: u8, help: Option<&'static str>, effect: Effect) -> OptionRow<Effect> {
    OptionRow { short: Some(letter), long: "", argument: None, help, effect }
}

const fn with_argument(
    letter: u8,
    argument: &'static str,
    help: Option<&'static str>,
    effect: Effect,
) -> OptionRow<Effect> {
    OptionRow { short: Some(letter), long: "", argument: Some(argument), help, effect }
}

/// Returns the command of that name.
pub fn find(name: &str) -> Option<&'static ToolRow> {
    TOOLS.iter().find(|row| row.name == name)
}

/// Returns what their command lines may have.
pub fn shapes() -> Vec<Shape> {
    let shape = |row: &ToolRow| {
        let options = row.options.iter().chain(COMMON);
        Shape::simple((row.name, row.synopsis, row.help), row.usage, options)
    };
    TOOLS.iter().map(shape).collect()
}

/// Runs a command; returns the exit code.
pub fn run(world: &mut World<'_>, row: &ToolRow) -> u8 {
    let args = std::mem::take(&mut world.args);
    let mut tool = Tool { world, said: Said::default() };
    match tool.run(row, &args) {
        Ok(()) => 0,
        Err(Failed) => 1,
    }
}

impl Said {
    fn apply(&mut self, effect: Effect, value: &[u8]) -> Result<(), Stop> {
        match effect {
            Effect::Env => self.env.push(Text::from(value)),
            Effect::Down(level, how) => self.down = Some((level, how)),
            Effect::OnlyWarn => self.only_warn = true,
            Effect::Cancel => self.cancel = true,
            Effect::Time => self.time = Some(value.to_vec()),
            Effect::Force => self.force = true,
            Effect::NoSync => self.no_sync = true,
            Effect::Off => self.off = true,
            Effect::OnlyRecord => self.only_record = true,
            Effect::Nothing => {}
            Effect::Quiet => self.quiet = true,
            Effect::Talk => self.quiet = false,
            Effect::Help => return Err(Stop::Help),
            Effect::Version => return Err(Stop::Version),
        }
        Ok(())
    }
}

impl Tool<'_, '_> {
    fn run(&mut self, row: &ToolRow, args: &[Vec<u8>]) -> Result<(), Failed> {
        let all: Vec<_> = row.options.iter().chain(COMMON).collect();
        let mut said = std::mem::take(&mut self.said);
        let rest = parse(args, &all, Order::Anywhere, |effect, value| said.apply(*effect, value));
        self.said = said;
        match rest {
            Ok(rest) => (row.run)(self, &rest),
            Err(Stop::Help) => {
                let help = layout::simple(
                    &self.world.program,
                    row.usage,
                    row.synopsis,
                    &layout::options(&all),
                    row.help,
                );
                self.world.print(&help);
                Ok(())
            }
            Err(Stop::Version) => {
                let version = layout::version(&self.world.program);
                self.world.print(&version);
                Ok(())
            }
            Err(Stop::Mistake(what)) => Err(self.mistake(&what)),
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

    fn need_root(&mut self) -> Result<(), Failed> {
        match self.world.uid {
            0 => Ok(()),
            _ => Err(self.error("Need to be root")),
        }
    }

    /// Connects to the machine's Upright.
    fn connect(&self) -> Result<Client, connect::Refusal> {
        let named = self.world.variable("UPRIGHT_SOCKET");
        let named = named.and_then(|name| Address::parse(&name));
        let address = named.unwrap_or_else(|| Address::Path(PathBuf::from(SYSTEM_SOCKET)));
        let stream = connect::connect(&address, self.world.uid)?;
        Ok(Client::new(stream, address, self.world.uid))
    }
}

#[cfg(test)]
mod tests;
