//! Linux signal numbers and names, as job files and events spell them.

/// A signal number, 1 to 64.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(try_from = "u8", into = "u8")]
pub struct Signal(u8);

impl Signal {
    /// Ask to reload.
    pub const HUP: Signal = Signal(1);
    /// Interrupt from the keyboard.
    pub const INT: Signal = Signal(2);
    /// QUIT.
    pub const QUIT: Signal = Signal(3);
    /// End at once; cannot be caught.
    pub const KILL: Signal = Signal(9);
    /// First signal of the user's choice.
    pub const USR1: Signal = Signal(10);
    /// Second signal of the user's choice.
    pub const USR2: Signal = Signal(12);
    /// Ask to end.
    pub const TERM: Signal = Signal(15);
    /// Go on after a stop.
    pub const CONT: Signal = Signal(18);

    /// Returns the signal with that number where there is one.
    pub const fn new(number: u8) -> Option<Signal> {
        if number >= 1 && number <= 64 {
            Some(Signal(number))
        } else {
            None
        }
    }

    /// Returns the number.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Returns the name without `SIG`, or nothing for a number that has none (real-time signals).
    pub fn name(self) -> Option<&'static str> {
        NAMES.iter().find(|row| row.1 == self.0).map(|row| row.0)
    }

    /// Returns the signal of a name, with or without `SIG`, upper case only.
    /// Source: init(5), kill signal; aliases IOT, CLD and POLL as in libnih.
    pub fn from_name(name: &str) -> Option<Signal> {
        let name = name.strip_prefix("SIG").unwrap_or(name);
        NAMES.iter().find(|row| row.0 == name).map(|row| Signal(row.1))
    }
}

impl TryFrom<u8> for Signal {
    type Error = &'static str;
    fn try_from(number: u8) -> Result<Self, &'static str> {
        Signal::new(number).ok_or("a signal number is 1 to 64")
    }
}

impl From<Signal> for u8 {
    fn from(signal: Signal) -> u8 {
        signal.0
    }
}

impl core::fmt::Display for Signal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => write!(f, "{}", self.0),
        }
    }
}

/// Names and numbers, the same on every Linux architecture that Upright builds for (x86, ARM,
/// RISC-V). The first row of a number is the name that is shown.
const NAMES: &[(&str, u8)] = &[
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("IOT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("POLL", 29),
    ("PWR", 30),
    ("SYS", 31),
];
