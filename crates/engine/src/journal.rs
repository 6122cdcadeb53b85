//! The journal's format: a header and records, as bytes. Who writes them where is the caller's.
//!
//! A journal is a header of [`RECORDS_AT`] bytes, of which the first [`HEADER`] count, then records
//! one after the other. A record becomes valid by one store: `committed` grows over it. Effects are
//! counted through the whole journal, so `ticked` needs no reset when a record is added: the effects
//! still to be done are those of all records after the first `ticked` ones, see [`undone`].
//!
//! A turn is: handle all inputs, write one record after the last (`encode`), store `committed`,
//! then do each effect and store `ticked`. Compaction begins a new journal (a new memfd, held in
//! place of the old one only when it is complete) whose first record is a snapshot together with
//! the effects that are still undone, and `ticked` 0.

use crate::machine::{Changes, Effect};
use crate::pack::{self, pack, unpack};
use alloc::vec::Vec;
use core::fmt;
use serde::{Deserialize, Serialize};

/// What a journal begins with.
pub const MAGIC: [u8; 8] = *b"upright\n";

/// The version of the format; a daemon that finds another one starts from the keeper's table.
pub const VERSION: u32 = 3;

/// How many bytes of the first page the header uses.
pub const HEADER: usize = 32;

/// Where the version stands: four bytes, little endian.
pub const VERSION_AT: usize = 8;

/// Where the length of the valid records stands: eight bytes, aligned for an atomic store, in the
/// machine's own byte order.
pub const COMMITTED_AT: usize = 16;

/// Where the number of effects done stands: eight bytes, as [`COMMITTED_AT`].
pub const TICKED_AT: usize = 24;

/// Where the records begin: after one page, so that the header can be mapped alone.
pub const RECORDS_AT: usize = 4096;

/// The longest record in bytes; a longer length is damage.
pub const RECORD_MAX: usize = 1 << 30;

/// How many bytes a record has before its payload: length and checksum, four each.
const FRAME: usize = 8;

/// What the header says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// How many bytes of records are valid, counted from [`RECORDS_AT`].
    pub committed: u64,
    /// How many effects of all the records together have been done.
    pub ticked: u64,
}

/// One turn of the daemon, or a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// What the turn changed.
    pub changes: Changes,
    /// What it wanted done, in order.
    pub effects: Vec<Effect>,
}

/// What is wrong with a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It does not begin as a journal does.
    NotAJournal,
    /// It is of this version, which is not ours.
    Version(u32),
    /// At this place a record is cut off.
    Torn(usize),
    /// At this place a record is not what was written.
    Checksum(usize),
    /// At this place a record cannot be read, and why.
    Unreadable(usize, pack::Fault),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::NotAJournal => f.write_str("journal: it does not begin as a journal does"),
            Fault::Version(version) => {
                write!(f, "journal: it has version {version}, this program reads {VERSION}")
            }
            Fault::Torn(at) => write!(f, "journal: the record at byte {at} is cut off"),
            Fault::Checksum(at) => write!(f, "journal: the record at byte {at} is damaged"),
            Fault::Unreadable(at, why) => {
                write!(f, "journal: the record at byte {at} cannot be read: {why}")
            }
        }
    }
}

/// The readable records of a journal, and why there are no more where that is not its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    /// The records before the first fault.
    pub records: Vec<Record>,
    /// What stopped the reading.
    pub fault: Option<Fault>,
}

impl Header {
    /// Returns the header's bytes.
    pub fn bytes(&self) -> [u8; HEADER] {
        let mut out = [0; HEADER];
        out[..MAGIC.len()].copy_from_slice(&MAGIC);
        out[VERSION_AT..VERSION_AT + 4].copy_from_slice(&VERSION.to_le_bytes());
        out[COMMITTED_AT..COMMITTED_AT + 8].copy_from_slice(&self.committed.to_ne_bytes());
        out[TICKED_AT..TICKED_AT + 8].copy_from_slice(&self.ticked.to_ne_bytes());
        out
    }

    /// Reads the header at the beginning of a journal.
    pub fn parse(journal: &[u8]) -> Result<Header, Fault> {
        let (head, _) = journal.split_first_chunk::<HEADER>().ok_or(Fault::NotAJournal)?;
        if head[..MAGIC.len()] != MAGIC {
            return Err(Fault::NotAJournal);
        }
        let mut version = [0; 4];
        version.copy_from_slice(&head[VERSION_AT..VERSION_AT + 4]);
        let version = u32::from_le_bytes(version);
        if version != VERSION {
            return Err(Fault::Version(version));
        }
        let word = |at: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&head[at..at + 8]);
            u64::from_ne_bytes(word)
        };
        Ok(Header { committed: word(COMMITTED_AT), ticked: word(TICKED_AT) })
    }
}

/// Returns a record as it is written: length, checksum, payload.
///
/// A record that could not be written (none of its types can fail to be) becomes one without
/// payload, which [`decode_all`] reports.
pub fn encode(record: &Record) -> Vec<u8> {
    let payload = pack(record).unwrap_or_default();
    let mut out = Vec::with_capacity(FRAME + payload.len());
    out.extend_from_slice(&u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(&checksum(&payload).to_le_bytes());
    out.extend_from_slice(&payload);
    out
}

/// Reads the committed bytes of a journal, those after its header. Stops at the first fault: what
/// comes after a record that is missing must not be applied.
pub fn decode_all(committed: &[u8]) -> Decoded {
    let mut decoded = Decoded::default();
    let mut rest = committed;
    while !rest.is_empty() {
        match decode(rest, committed.len() - rest.len()) {
            Ok((record, after)) => {
                decoded.records.push(record);
                rest = after;
            }
            Err(fault) => {
                decoded.fault = Some(fault);
                break;
            }
        }
    }
    decoded
}

/// Reads a whole journal: the header, then what it says is committed. What lies above is a turn
/// that never happened.
pub fn read(journal: &[u8]) -> Result<(Header, Decoded), Fault> {
    let header = Header::parse(journal)?;
    let records = journal.get(RECORDS_AT..).unwrap_or_default();
    let length = usize::try_from(header.committed).unwrap_or(usize::MAX);
    Ok(match records.get(..length) {
        Some(committed) => (header, decode_all(committed)),
        None => {
            let mut decoded = decode_all(records);
            decoded.fault.get_or_insert(Fault::Torn(records.len()));
            (header, decoded)
        }
    })
}

/// Returns the effects of the records that have not been done, in order. The first of them may
/// have been done when the daemon ended before it said so.
pub fn undone(records: &[Record], ticked: u64) -> Vec<Effect> {
    let all = records.iter().flat_map(|record| &record.effects);
    all.skip(usize::try_from(ticked).unwrap_or(usize::MAX)).cloned().collect()
}

fn decode(rest: &[u8], at: usize) -> Result<(Record, &[u8]), Fault> {
    let (frame, rest) = rest.split_first_chunk::<FRAME>().ok_or(Fault::Torn(at))?;
    let [length, sum] =
        [[frame[0], frame[1], frame[2], frame[3]], [frame[4], frame[5], frame[6], frame[7]]];
    let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
    if length > RECORD_MAX {
        return Err(Fault::Checksum(at));
    }
    let (payload, after) = rest.split_at_checked(length).ok_or(Fault::Torn(at))?;
    if checksum(payload) != u32::from_le_bytes(sum) {
        return Err(Fault::Checksum(at));
    }
    match unpack(payload) {
        Ok(record) => Ok((record, after)),
        Err(why) => Err(Fault::Unreadable(at, why)),
    }
}

/// Tells a damaged record from a whole one. Not against intent: only the daemon can write there.
/// Source: FNV-1a, 64 bits, over words of eight bytes in place of bytes (a turn of a thousand jobs
/// writes megabytes), each scattered before the next, and folded.
fn checksum(bytes: &[u8]) -> u32 {
    let mut sum: u64 = 0xcbf2_9ce4_8422_2325 ^ bytes.len() as u64;
    let mut add = |word: u64| {
        sum = (sum ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        sum ^= sum >> 29;
    };
    let (words, rest) = bytes.as_chunks::<8>();
    words.iter().for_each(|word| add(u64::from_le_bytes(*word)));
    rest.iter().for_each(|byte| add(u64::from(*byte)));
    (sum ^ sum >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a session with two services that run, and half a condition of a third.
    #[test]
    fn the_journal_of_the_first_release_with_this_format_is_read_and_goes_on() {
        let kept = include_bytes!("../tests/saved/journal-3.bin");
        let (_, decoded) = read(kept).unwrap();
        assert_eq!(decoded.fault, None);
        let changes = decoded.records.into_iter().map(|record| record.changes);
        let engine = Engine::restore(Config::default(), changes);
        let names: Vec<alloc::string::String> =
            engine.job_names().map(alloc::string::ToString::to_string).collect();
        assert_eq!(names, ["a", "half", "web"]);
        assert_eq!(engine.processes().filter(|(_, pid)| pid.is_some()).count(), 2);
    }
    use crate::machine::{Config, Engine, Input, Level};
    use crate::names::JobName;
    use crate::spec::{Command, JobSpec};
    use crate::text::Text;
    use crate::time::Mono;
    use alloc::sync::Arc;

    fn records() -> Vec<Record> {
        let mut engine = Engine::new(Config::default());
        let mut spec = JobSpec::new(JobName::try_from(Text::from(b"a\xff")).unwrap());
        spec.commands.insert(crate::process::Role::Main, Command::Exec(Text::from("true")));
        let spec = Arc::new(spec);
        let mut all = Vec::new();
        for input in [Input::Define(spec), Input::Tick] {
            let mut effects = Vec::new();
            engine.handle(Mono(1), input, &mut effects);
            effects.clear();
            effects.push(Effect::Say(Level::Info, "one".into()));
            effects.push(Effect::Quit(2));
            all.push(Record { changes: engine.take_changes(), effects });
        }
        all
    }

    fn journal(records: &[Record], tail: &[u8]) -> Vec<u8> {
        let body: Vec<u8> = records.iter().flat_map(encode).collect();
        let mut journal = Vec::from([0; RECORDS_AT]);
        let header = Header { committed: body.len() as u64, ticked: 3 };
        journal[..HEADER].copy_from_slice(&header.bytes());
        journal.extend(body);
        journal.extend(tail);
        journal
    }

    #[test]
    fn what_was_committed_is_read_again_and_a_torn_tail_never_happened() {
        let records = records();
        let whole = journal(&records, &[]);
        let torn = encode(&records[0]);
        for cut in [0, 1, 7, 8, torn.len() - 1, torn.len()] {
            let journal = [&whole[..], &torn[..cut]].concat();
            let (header, decoded) = read(&journal).unwrap();
            assert_eq!(header.ticked, 3);
            assert_eq!(decoded, Decoded { records: records.clone(), fault: None });
        }
    }

    #[test]
    fn the_effects_that_are_not_ticked_are_those_after_the_first_so_many() {
        let records = records();
        assert_eq!(undone(&records, 3), [Effect::Quit(2)]);
        assert_eq!(undone(&records, 0).len(), 4);
        assert_eq!(undone(&records, u64::MAX), []);
    }

    #[test]
    fn damage_is_reported_and_what_came_before_it_is_kept() {
        let records = records();
        let whole = journal(&records, &[]);
        let second = RECORDS_AT + encode(&records[0]).len();
        let mut damaged = whole.clone();
        damaged[second + 20] ^= 1;
        let (_, decoded) = read(&damaged).unwrap();
        assert_eq!(decoded.records, records[..1]);
        assert_eq!(decoded.fault, Some(Fault::Checksum(second - RECORDS_AT)));
        let (_, decoded) = read(&whole[..whole.len() - 1]).unwrap();
        assert_eq!(decoded.records, records[..1]);
        assert_eq!(decoded.fault, Some(Fault::Torn(second - RECORDS_AT)));
        let mut long = whole.clone();
        long[second + 3] = 0x7f;
        assert_eq!(read(&long).unwrap().1.records.len(), 1);
        let nothing = [&0u32.to_le_bytes()[..], &checksum(b"").to_le_bytes()].concat();
        assert!(matches!(decode_all(&nothing).fault, Some(Fault::Unreadable(0, _))));
    }

    #[test]
    fn what_is_no_journal_of_this_version_is_refused_with_a_reason() {
        let mut bytes = journal(&[], &[]);
        bytes[VERSION_AT] = 9;
        assert_eq!(read(&bytes), Err(Fault::Version(9)));
        assert_eq!(read(&bytes[..HEADER - 1]), Err(Fault::NotAJournal));
        bytes[0] = 0;
        assert_eq!(read(&bytes), Err(Fault::NotAJournal));
    }
}
