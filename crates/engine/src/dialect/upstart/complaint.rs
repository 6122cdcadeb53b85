//! Everything that can be said about an Upstart job file, one row each.

use crate::dialect::Severity;

/// What is wrong, or worth knowing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Complaint {
    /// A word that begins no stanza, or no form of this one.
    UnknownStanza,
    /// A stanza that only ChromeOS's init knows.
    ChromeOsStanza,
    /// Something is missing.
    ExpectedToken,
    /// Something is too much.
    UnexpectedToken,
    /// The file ends in a backslash.
    TrailingSlash,
    /// A quote is open at the end of the file.
    UnterminatedQuote,
    /// A script is open at the end of the file.
    UnterminatedBlock,
    /// Not a number of seconds.
    Interval,
    /// Not a limit.
    Limit,
    /// Not an exit status or signal.
    ExitStatus,
    /// Not a signal.
    SignalStatus,
    /// Not a file creation mask.
    Umask,
    /// Not a niceness.
    Nice,
    /// Not an OOM adjustment.
    Oom,
    /// Not an OOM score.
    OomScore,
    /// An operator without an operand.
    ExpectedEvent,
    /// Two operands without an operator.
    ExpectedOperator,
    /// A positional argument after a named one.
    ExpectedVariable,
    /// Parentheses that do not pair.
    Parentheses,
    /// Not a size.
    Size,
    /// Not a count of files.
    Count,
    /// Not permission bits.
    Mode,
    /// Not a user and group.
    Owner,
    /// Not the place of a socket.
    Socket,
    /// Not a right.
    Allow,
    /// Not a backoff.
    Backoff,
    /// `and` beside `or`.
    MixedOperators,
    /// A line without a word within the parentheses of a condition.
    LinesInParentheses,
    /// `!=` in a condition.
    NotEqual,
    /// A variable that the condition can never see.
    UnknownVariable,
    /// A comment that begins within a word.
    CommentInWord,
    /// A blank that a backslash swallows.
    SwallowedBlank,
    /// `respawn limit` or `respawn backoff` without `respawn`.
    RespawnOff,
    /// `expect` with a `script`.
    ExpectScript,
    /// A second command for the same process.
    Replaced,
    /// `manual` before `start on`.
    ManualFirst,
    /// An exit status that no process can have.
    ImpossibleStatus,
    /// A soft limit above the hard one.
    SoftAboveHard,
    /// A stanza that is kept but not acted on.
    NoEffect,
}

impl Complaint {
    /// Every complaint with its name for programs, how bad it is, and what is said. The texts of
    /// errors are the original's (Source: Upstart 1.13.2 and libnih 1.0.4) where it has one.
    pub const TABLE: [(Complaint, &'static str, Severity, &'static str); 39] = [
        (Complaint::UnknownStanza, "unknown-stanza", Severity::Error, "Unknown stanza"),
        (Complaint::ChromeOsStanza, "chromeos-stanza", Severity::Error, "Unknown stanza"),
        (Complaint::ExpectedToken, "expected-token", Severity::Error, "Expected token"),
        (Complaint::UnexpectedToken, "unexpected-token", Severity::Error, "Unexpected token"),
        (Complaint::TrailingSlash, "trailing-slash", Severity::Error, "Trailing slash in file"),
        (
            Complaint::UnterminatedQuote,
            "unterminated-quote",
            Severity::Error,
            "Unterminated quoted string",
        ),
        (Complaint::UnterminatedBlock, "unterminated-block", Severity::Error, "Unterminated block"),
        (
            Complaint::Interval,
            "illegal-interval",
            Severity::Error,
            "Illegal interval, expected number of seconds",
        ),
        (
            Complaint::Limit,
            "illegal-limit",
            Severity::Error,
            "Illegal limit, expected 'unlimited' or integer",
        ),
        (
            Complaint::ExitStatus,
            "illegal-exit-status",
            Severity::Error,
            "Illegal exit status, expected integer",
        ),
        (
            Complaint::SignalStatus,
            "illegal-signal",
            Severity::Error,
            "Illegal signal status, expected integer",
        ),
        (
            Complaint::Umask,
            "illegal-umask",
            Severity::Error,
            "Illegal file creation mask, expected octal integer",
        ),
        (
            Complaint::Nice,
            "illegal-nice",
            Severity::Error,
            "Illegal nice value, expected -20 to 19",
        ),
        (
            Complaint::Oom,
            "illegal-oom",
            Severity::Error,
            "Illegal oom adjustment, expected -16 to 15 or 'never'",
        ),
        (
            Complaint::OomScore,
            "illegal-oom-score",
            Severity::Error,
            "Illegal oom score adjustment, expected -999 to 1000 or 'never'",
        ),
        (Complaint::ExpectedEvent, "expected-event", Severity::Error, "Expected event"),
        (Complaint::ExpectedOperator, "expected-operator", Severity::Error, "Expected operator"),
        (
            Complaint::ExpectedVariable,
            "expected-variable",
            Severity::Error,
            "Expected variable name before value",
        ),
        (
            Complaint::Parentheses,
            "mismatched-parentheses",
            Severity::Error,
            "Mismatched parentheses",
        ),
        (
            Complaint::Size,
            "illegal-size",
            Severity::Error,
            "Illegal size, expected bytes, or a number with K, M or G",
        ),
        (Complaint::Count, "illegal-count", Severity::Error, "Illegal count, expected integer"),
        (
            Complaint::Mode,
            "illegal-mode",
            Severity::Error,
            "Illegal file mode, expected octal integer",
        ),
        (
            Complaint::Owner,
            "illegal-owner",
            Severity::Error,
            "Illegal owner, expected USER or USER:GROUP",
        ),
        (
            Complaint::Socket,
            "illegal-socket",
            Severity::Error,
            "Illegal socket, expected tcp://HOST:PORT or unix:///PATH",
        ),
        (
            Complaint::Allow,
            "illegal-right",
            Severity::Error,
            "Illegal right, expected ROLE user NAME, ROLE group NAME or ROLE everybody",
        ),
        (
            Complaint::Backoff,
            "illegal-backoff",
            Severity::Error,
            "Illegal backoff, expected DELAY [CAP [FACTOR]]",
        ),
        (
            Complaint::MixedOperators,
            "mixed-operators",
            Severity::Warning,
            "`and` and `or` are mixed without parentheses",
        ),
        (
            Complaint::LinesInParentheses,
            "lines-in-parentheses",
            Severity::Hint,
            "the original refuses a line without a word within parentheses",
        ),
        (
            Complaint::NotEqual,
            "not-equal",
            Severity::Hint,
            "`!=` matches only where the event has the variable",
        ),
        (
            Complaint::UnknownVariable,
            "unknown-variable",
            Severity::Warning,
            "the job does not set this variable, so this event can never match",
        ),
        (
            Complaint::CommentInWord,
            "comment-in-word",
            Severity::Warning,
            "a comment begins within a word",
        ),
        (
            Complaint::SwallowedBlank,
            "swallowed-blank",
            Severity::Warning,
            "the blank before this backslash becomes a backslash",
        ),
        (
            Complaint::RespawnOff,
            "respawn-off",
            Severity::Warning,
            "this does not turn respawning on",
        ),
        (
            Complaint::ExpectScript,
            "expect-script",
            Severity::Warning,
            "commands of the script fork too, so the wrong process may be followed",
        ),
        (
            Complaint::Replaced,
            "replaced",
            Severity::Warning,
            "this replaces the command given before",
        ),
        (
            Complaint::ManualFirst,
            "manual-first",
            Severity::Warning,
            "a later `start on` makes this `manual` vain",
        ),
        (
            Complaint::ImpossibleStatus,
            "impossible-status",
            Severity::Warning,
            "no process ends with this status",
        ),
        (
            Complaint::SoftAboveHard,
            "soft-above-hard",
            Severity::Warning,
            "the soft limit is above the hard limit, which the kernel refuses",
        ),
        (Complaint::NoEffect, "no-effect", Severity::Warning, "this stanza takes no effect"),
    ];

    fn row(self) -> (&'static str, Severity, &'static str) {
        let row = Complaint::TABLE.iter().find(|row| row.0 == self);
        row.map_or(("unknown", Severity::Error, "Unknown"), |row| (row.1, row.2, row.3))
    }

    /// Returns the name for programs.
    pub fn code(self) -> &'static str {
        self.row().0
    }

    /// Returns how bad it is.
    pub fn severity(self) -> Severity {
        self.row().1
    }

    /// Returns what is said.
    pub fn text(self) -> &'static str {
        self.row().2
    }
}
