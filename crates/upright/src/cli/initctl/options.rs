//! Options as libnih reads them. Source: nih_option_parser of libnih 1.0, its behaviour.

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

/// An option.
#[derive(Debug)]
pub(super) struct OptionRow {
    pub(super) short: Option<u8>,
    pub(super) long: &'static str,
    /// The argument's name in help, where it takes one.
    pub(super) argument: Option<&'static str>,
    /// What help says; none: it is not shown.
    pub(super) help: Option<&'static str>,
    pub(super) effect: Effect,
}

/// Options of every command.
pub(super) const COMMON: &[OptionRow] = &[
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

/// Where options may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Before the first argument.
    UntilFirst,
    /// Anywhere; `--` ends them.
    Anywhere,
}

/// Why a command line is not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    Help,
    Version,
    /// What is wrong with it.
    Mistake(String),
}

/// A command line that is being read.
struct Reader<'a> {
    args: &'a [Vec<u8>],
    rows: &'a [&'static OptionRow],
    settings: &'a mut Settings,
    /// The argument that is being looked at.
    at: usize,
    /// After this one nothing is an option.
    end: Option<usize>,
    /// The last argument that an option took.
    taken: Option<usize>,
}

/// Reads options into `settings`; returns the other arguments.
pub(super) fn parse(
    settings: &mut Settings,
    args: &[Vec<u8>],
    rows: &[&'static OptionRow],
    order: Order,
) -> Result<Vec<Vec<u8>>, Stop> {
    let mut reader = Reader { args, rows, settings, at: 0, end: None, taken: None };
    let mut rest = Vec::new();
    for (at, arg) in args.iter().enumerate() {
        reader.at = at;
        match arg.as_slice() {
            [b'-', b'-'] if reader.options_go_on(at) => reader.end = Some(at),
            [b'-', b'-', option @ ..] if reader.options_go_on(at) => reader.long(option)?,
            [b'-', letters @ ..] if !letters.is_empty() && reader.options_go_on(at) => {
                reader.short(letters)?;
            }
            _ if reader.taken.is_some_and(|taken| at <= taken) => {}
            _ => {
                rest.push(arg.clone());
                if order == Order::UntilFirst {
                    reader.end = Some(at);
                }
            }
        }
    }
    Ok(rest)
}

impl Reader<'_> {
    fn options_go_on(&self, at: usize) -> bool {
        self.end.is_none_or(|end| at <= end)
    }

    /// Reads one or more letters. The first may have its argument right behind it.
    fn short(&mut self, letters: &[u8]) -> Result<(), Stop> {
        for (place, letter) in letters.iter().enumerate() {
            let Some(row) = self.rows.iter().find(|row| row.short == Some(*letter)) else {
                let letter = char::from(*letter);
                return Err(Stop::Mistake(format!("invalid option: -{letter}")));
            };
            match letters.get(1..) {
                Some(value) if place == 0 && row.argument.is_some() && !value.is_empty() => {
                    return self.apply(row, value);
                }
                Some(_) | None => self.found(row)?,
            }
        }
        Ok(())
    }

    /// Reads a long option, its argument after `=` or the next argument that is no option.
    fn long(&mut self, option: &[u8]) -> Result<(), Stop> {
        let equals = option.iter().position(|byte| *byte == b'=');
        let name = option.get(..equals.unwrap_or(option.len())).unwrap_or_default();
        let shown = || String::from_utf8_lossy(option);
        let Some(row) = self.rows.iter().find(|row| row.long.as_bytes() == name) else {
            return Err(Stop::Mistake(format!("invalid option: --{}", shown())));
        };
        match equals {
            None => self.found(row),
            Some(_) if row.argument.is_none() => {
                Err(Stop::Mistake(format!("unexpected argument: --{}", shown())))
            }
            Some(at) => self.apply(row, option.get(at + 1..).unwrap_or_default()),
        }
    }

    fn found(&mut self, row: &OptionRow) -> Result<(), Stop> {
        if row.argument.is_none() {
            return self.apply(row, b"");
        }
        match self.next_argument() {
            Some(value) => self.apply(row, &value),
            None => {
                let option = self.args.get(self.at).cloned().unwrap_or_default();
                let option = String::from_utf8_lossy(&option).into_owned();
                Err(Stop::Mistake(format!("missing argument: {option}")))
            }
        }
    }

    /// Takes the next argument that is no option and that no other option has taken.
    fn next_argument(&mut self) -> Option<Vec<u8>> {
        let mut at = self.taken.map_or(self.at, |taken| taken.max(self.at));
        loop {
            at += 1;
            let arg = self.args.get(at)?;
            if !arg.starts_with(b"-") || self.end.is_some_and(|end| at > end) {
                self.taken = Some(at);
                return Some(arg.clone());
            }
            if arg == b"--" {
                self.end = Some(at);
            }
        }
    }

    fn apply(&mut self, row: &OptionRow, value: &[u8]) -> Result<(), Stop> {
        match row.effect {
            Effect::Bus(bus) => self.settings.bus = Some(bus),
            Effect::Dest => self.settings.dest = true,
            Effect::User => self.settings.user = true,
            Effect::Loudness(loudness) => self.settings.loudness = loudness,
            Effect::NoWait => self.settings.no_wait = true,
            Effect::Global => self.settings.global = true,
            Effect::Retain => self.settings.retain = true,
            Effect::Enumerate => self.settings.enumerate = true,
            Effect::Ignore => {
                let names = value.split(|byte| *byte == b',').filter(|name| !name.is_empty());
                self.settings.ignored.extend(names.map(Text::from));
            }
            Effect::Everything => self.settings.everything = true,
            Effect::Help => return Err(Stop::Help),
            Effect::Version => return Err(Stop::Version),
        }
        Ok(())
    }
}
