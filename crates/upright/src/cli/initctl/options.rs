//! The options of initctl.

use crate::cli::options::{OptionRow, Stop};
use engine::text::Text;

/// What the options of a command line have said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) bus: Option<Bus>,
    pub(super) dest: bool,
    pub(super) user: bool,
    pub(super) loudness: Loudness,
    pub(super) no_wait: bool,
    pub(super) global: bool,
    pub(super) retain: bool,
    pub(super) enumerate: bool,
    pub(super) ignored: Vec<Text>,
    pub(super) everything: bool,
}

/// A bus of D-Bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bus {
    System,
    Session,
}

/// The least that is printed, the most talkative first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Loudness {
    Debug,
    Info,
    #[default]
    Message,
    Error,
}

/// What an option does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Bus(Bus),
    Dest,
    User,
    Loudness(Loudness),
    NoWait,
    Global,
    Retain,
    Enumerate,
    Ignore,
    Everything,
    Help,
    Version,
}

/// Options of every command.
pub(super) const COMMON: &[OptionRow<Effect>] = &[
    OptionRow {
        short: None,
        long: "session",
        argument: None,
        help: Some("use existing D-Bus session bus to connect to init daemon (for testing)"),
        effect: Effect::Bus(Bus::Session),
    },
    OptionRow {
        short: None,
        long: "system",
        argument: None,
        help: Some("use D-Bus system bus to connect to init daemon"),
        effect: Effect::Bus(Bus::System),
    },
    OptionRow {
        short: None,
        long: "dest",
        argument: Some("NAME"),
        help: Some("destination well-known name on D-Bus bus"),
        effect: Effect::Dest,
    },
    OptionRow {
        short: None,
        long: "user",
        argument: None,
        help: Some("run in user mode (as used for user sessions)"),
        effect: Effect::User,
    },
    OptionRow {
        short: Some(b'q'),
        long: "quiet",
        argument: None,
        help: Some("reduce output to errors only"),
        effect: Effect::Loudness(Loudness::Error),
    },
    OptionRow {
        short: Some(b'v'),
        long: "verbose",
        argument: None,
        help: Some("increase output to include informational messages"),
        effect: Effect::Loudness(Loudness::Info),
    },
    OptionRow {
        short: None,
        long: "debug",
        argument: None,
        help: None,
        effect: Effect::Loudness(Loudness::Debug),
    },
    OptionRow {
        short: None,
        long: "error",
        argument: None,
        help: None,
        effect: Effect::Loudness(Loudness::Error),
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

impl Settings {
    /// Does what an option says.
    pub(super) fn apply(&mut self, effect: &Effect, value: &[u8]) -> Result<(), Stop> {
        match *effect {
            Effect::Bus(bus) => self.bus = Some(bus),
            Effect::Dest => self.dest = true,
            Effect::User => self.user = true,
            Effect::Loudness(loudness) => self.loudness = loudness,
            Effect::NoWait => self.no_wait = true,
            Effect::Global => self.global = true,
            Effect::Retain => self.retain = true,
            Effect::Enumerate => self.enumerate = true,
            Effect::Ignore => {
                let names = value.split(|byte| *byte == b',').filter(|name| !name.is_empty());
                self.ignored.extend(names.map(Text::from));
            }
            Effect::Everything => self.everything = true,
            Effect::Help => return Err(Stop::Help),
            Effect::Version => return Err(Stop::Version),
        }
        Ok(())
    }
}
