//! Where one process's output goes, and what the daemon and the logger say to each other.

use crate::pack::{pack, unpack};
use crate::process::{InstanceId, Role, Slot, Stream};
use crate::spec::OnFull;
use crate::text::Text;
use crate::treat::Treatment;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// What the logger must know to write one pipe's bytes, on its own, whoever else has died. On the
/// wire a row without names: the keeper holds one for every process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Row", into = "Row")]
pub struct LogRoute {
    /// `job` or `job (instance)`, for messages and for the prefix of forwarded lines.
    pub label: String,
    /// The file; none: forwarded only.
    pub file: Option<LogFile>,
    /// Which of Upright's own outputs lines are written to.
    pub forward: Forward,
    /// What is made of it before.
    pub treat: Treatment,
}

/// Which of Upright's own outputs the lines of a process are written to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Forward {
    /// None.
    #[default]
    No,
    /// Standard output, with the label before them.
    Labelled,
    /// This one, as they are.
    Bare(Stream),
}

/// A log file and its rotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFile {
    /// Absolute path.
    pub path: Text,
    /// Rotated when it has reached this many bytes; 0: never.
    pub rotate_size: u64,
    /// Rotated files kept, `path.1` the youngest; 0: a full file is begun anew.
    pub rotate_count: u32,
    /// Permission bits of a new file.
    pub mode: u16,
    /// Owner of a new file; none: whoever the logger runs as.
    pub uid: Option<u32>,
    /// Group of a new file; none: whoever the logger runs as.
    pub gid: Option<u32>,
    /// What happens when it cannot be written.
    pub on_full: OnFull,
}

type Row = (String, Option<FileRow>, Tail);

/// Was a truth value once, which is written as the first two of its variants are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Tail {
    No,
    Labelled,
    Bare(Stream),
    Treated(Forward, Treatment),
}
type FileRow = (Text, u64, u32, u16, Option<u32>, Option<u32>, OnFull);

impl From<LogRoute> for Row {
    fn from(route: LogRoute) -> Row {
        let LogRoute { label, file, forward, treat } = route;
        let tail = match (treat.is_none(), forward) {
            (false, _) => Tail::Treated(forward, treat),
            (true, Forward::No) => Tail::No,
            (true, Forward::Labelled) => Tail::Labelled,
            (true, Forward::Bare(stream)) => Tail::Bare(stream),
        };
        let row = |file: LogFile| {
            let LogFile { path, rotate_size, rotate_count, mode, uid, gid, on_full } = file;
            (path, rotate_size, rotate_count, mode, uid, gid, on_full)
        };
        (label, file.map(row), tail)
    }
}

impl From<Row> for LogRoute {
    fn from((label, file, tail): Row) -> LogRoute {
        let (forward, treat) = match tail {
            Tail::No => (Forward::No, Treatment::default()),
            Tail::Labelled => (Forward::Labelled, Treatment::default()),
            Tail::Bare(stream) => (Forward::Bare(stream), Treatment::default()),
            Tail::Treated(forward, treat) => (forward, treat),
        };
        let file = file.map(|(path, rotate_size, rotate_count, mode, uid, gid, on_full)| LogFile {
            path,
            rotate_size,
            rotate_count,
            mode,
            uid,
            gid,
            on_full,
        });
        LogRoute { label, file, forward, treat }
    }
}

/// The slot of what the daemon itself writes: that of no process, as instances count from 1.
pub const OWN: Slot = Slot { instance: InstanceId::NONE, role: Role::Main, generation: 0 };

/// The slot of what the daemon writes down of who did what.
pub const AUDIT: Slot = Slot { instance: InstanceId::NONE, role: Role::Main, generation: 1 };

/// What the daemon asks of the logger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToLogger {
    /// Write everything that is in the slot's pipe now, then answer `Drained` with the tail.
    Drain {
        /// Whose output.
        slot: Slot,
        /// How many bytes of tail are wanted at most.
        tail: u32,
    },
    /// Forget open files, so that the next byte goes to a file of the proper name.
    Reopen,
    /// The disk is writable now: write what was kept.
    Writable,
    /// The keeper is gone; the attached descriptor is what it held under this key.
    Held {
        /// The key.
        key: u32,
    },
    /// The keeper is gone: take its place, and say so.
    Succeed,
    /// The attached descriptor is the reading end of what the daemon itself writes ([`OWN`]); told
    /// again by each daemon.
    Own {
        /// Where it goes.
        route: LogRoute,
    },
    /// Replace this file as a whole by what is in the attached memfd, and answer `Stored` when it is safe
    /// on the disk.
    Store {
        /// The number of the answer.
        number: u64,
        /// Absolute path; the directory is made.
        path: Text,
    },
    /// As `Store`, for the eyes of whoever we run as alone.
    StorePrivate {
        /// The number of the answer.
        number: u64,
        /// Absolute path; the directory is made.
        path: Text,
    },
    /// As `Own`, of what is written down of who did what ([`AUDIT`]).
    Audit {
        /// Where it goes.
        route: LogRoute,
    },
}

/// What the logger tells the daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromLogger {
    /// Everything that was in the pipe when asked is written (or dropped).
    Drained {
        /// Whose output.
        slot: Slot,
        /// The last bytes that came from this slot.
        tail: Text,
    },
    /// Output of a slot could not be written.
    Trouble {
        /// Whose output.
        slot: Slot,
        /// The file.
        path: Text,
        /// Why, as the kernel said it.
        errno: i32,
        /// Bytes of this slot dropped so far.
        dropped: u64,
    },
    /// A new keeper has been started, and this logger ends.
    Succeeded,
    /// Output of a slot is written again.
    Recovered {
        /// Whose output.
        slot: Slot,
        /// Bytes of this slot dropped so far.
        dropped: u64,
    },
    /// An output said something that watchers are told of.
    Said {
        /// Whose.
        slot: Slot,
        /// Which output.
        stream: Stream,
        /// What, or a part of it.
        said: Text,
        /// What it is.
        kind: Said,
    },
    /// The answer to [`ToLogger::Store`].
    Stored {
        /// Its number.
        number: u64,
        /// Why it could not be; 0: it is on the disk.
        errno: i32,
    },
}

/// What an output said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Said {
    /// Something that is written.
    Log,
    /// A part of a message between the signs of capture mode; more follows.
    Part,
    /// The last part of one.
    Message,
}

/// Encodes a message between daemon and logger, or a route.
pub fn encode<T: Serialize>(message: &T) -> Vec<u8> {
    pack(message).unwrap_or_default()
}

/// Decodes a message between daemon and logger, or a route.
pub fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Option<T> {
    unpack(bytes).ok()
}
