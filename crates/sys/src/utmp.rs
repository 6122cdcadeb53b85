//! Records of who is logged in and when the machine came up, went down and changed its runlevel.
//!
//! Read and written as bytes, for libc's functions are not there in every libc and keep a global
//! state. Source of the format: utmp(5), glibc.

use rustix::fs::{fcntl_lock, FlockOperation};
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

/// Who is here now.
pub const UTMP: &str = "/var/run/utmp";

/// What has been.
pub const WTMP: &str = "/var/log/wtmp";

/// Where the parts of a record are. glibc keeps 32-bit times on machines that could once run 32-bit
/// programs of the same family.
#[cfg(not(target_arch = "aarch64"))]
mod place {
    pub(super) const SIZE: usize = 384;
    pub(super) const TIME: usize = 340;
    pub(super) const WIDE: bool = false;
}

/// Where the parts of a record are.
#[cfg(target_arch = "aarch64")]
mod place {
    pub(super) const SIZE: usize = 400;
    pub(super) const TIME: usize = 344;
    pub(super) const WIDE: bool = true;
}

const PID: usize = 4;
const LINE: std::ops::Range<usize> = 8..40;
const ID: std::ops::Range<usize> = 40..44;
const USER: std::ops::Range<usize> = 44..76;
const HOST: std::ops::Range<usize> = 76..332;

/// The most that is read of a file: 16 MiB, from its end where it is larger.
const READ_MAX: u64 = 16 << 20;

/// How often, and how long apart, a file is tried that somebody else has locked: ten seconds in all,
/// as glibc waits.
const LOCK_TRIES: u32 = 200;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// What a record is about. Source: utmp(5), `ut_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A change of the runlevel, and the end of the machine, which programs tell apart by the user.
    Runlevel,
    /// The machine came up.
    Boot,
    /// Somebody is logged in.
    User,
    /// Anything else.
    Other(i16),
}

/// A record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What it is about.
    pub kind: Kind,
    /// A process; of a runlevel the level and 256 times the one before, as letters.
    pub pid: i32,
    /// A terminal without `/dev/`, `~` for the machine.
    pub line: Vec<u8>,
    /// What tells records of one kind apart; `~~` for the machine.
    pub id: Vec<u8>,
    /// Who; for the machine what happened.
    pub user: Vec<u8>,
    /// From where; for the machine the kernel's release.
    pub host: Vec<u8>,
    /// When, in seconds since 1970.
    pub seconds: u64,
    /// And microseconds.
    pub micros: u32,
}

impl Kind {
    fn number(self) -> i16 {
        match self {
            Kind::Runlevel => 1,
            Kind::Boot => 2,
            Kind::User => 7,
            Kind::Other(number) => number,
        }
    }

    fn of(number: i16) -> Kind {
        match number {
            1 => Kind::Runlevel,
            2 => Kind::Boot,
            7 => Kind::User,
            other => Kind::Other(other),
        }
    }
}

impl Record {
    /// Returns a record about the machine, of now.
    pub fn of_machine(kind: Kind, pid: i32, user: &str) -> Record {
        let now = crate::clock::wall().0;
        let mut host = std::fs::read("/proc/sys/kernel/osrelease").unwrap_or_default();
        while host.last() == Some(&b'\n') {
            host.pop();
        }
        Record {
            kind,
            pid,
            line: b"~".to_vec(),
            id: b"~~".to_vec(),
            user: user.as_bytes().to_vec(),
            host,
            seconds: now / 1_000_000_000,
            micros: u32::try_from(now % 1_000_000_000 / 1000).unwrap_or(0),
        }
    }

    fn encode(&self) -> [u8; place::SIZE] {
        let mut bytes = [0; place::SIZE];
        put(&mut bytes, 0, &self.kind.number().to_ne_bytes());
        put(&mut bytes, PID, &self.pid.to_ne_bytes());
        for (part, text) in
            [(LINE, &self.line), (ID, &self.id), (USER, &self.user), (HOST, &self.host)]
        {
            put(&mut bytes, part.start, text.get(..part.len()).unwrap_or(text));
        }
        if place::WIDE {
            put(&mut bytes, place::TIME, &self.seconds.to_ne_bytes());
            put(&mut bytes, place::TIME + 8, &u64::from(self.micros).to_ne_bytes());
        } else {
            // Wraps in 2106, as the format does.
            put(&mut bytes, place::TIME, &(self.seconds as u32).to_ne_bytes());
            put(&mut bytes, place::TIME + 4, &self.micros.to_ne_bytes());
        }
        bytes
    }

    fn decode(bytes: &[u8; place::SIZE]) -> Record {
        let text = |part: std::ops::Range<usize>| {
            let text = bytes.get(part).unwrap_or_default();
            let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
            text.get(..end).unwrap_or_default().to_vec()
        };
        let [a, b, ..] = *bytes;
        let (seconds, micros) = if place::WIDE {
            let micros = u64::from_ne_bytes(part(bytes, place::TIME + 8));
            (u64::from_ne_bytes(part(bytes, place::TIME)), u32::try_from(micros).unwrap_or(0))
        } else {
            let seconds = u32::from_ne_bytes(part(bytes, place::TIME));
            (u64::from(seconds), u32::from_ne_bytes(part(bytes, place::TIME + 4)))
        };
        Record {
            kind: Kind::of(i16::from_ne_bytes([a, b])),
            pid: i32::from_ne_bytes(part(bytes, PID)),
            line: text(LINE),
            id: text(ID),
            user: text(USER),
            host: text(HOST),
            seconds,
            micros,
        }
    }
}

/// Returns the records of a file, the oldest first; what is no whole record is passed over.
pub fn read(path: &Path) -> io::Result<Vec<Record>> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    let one = place::SIZE as u64;
    file.seek(SeekFrom::Start(size.saturating_sub(READ_MAX) / one * one))?;
    let mut bytes = Vec::new();
    file.take(READ_MAX + one).read_to_end(&mut bytes)?;
    Ok(records(&bytes).collect())
}

/// Writes a record over the one that it takes the place of, which for the machine is the one of its
/// kind; at the end where there is none. Fails where there is no file, as there is none on a machine
/// that keeps no such records.
pub fn put_in(path: &Path, record: &Record) -> io::Result<()> {
    let mut file = open(path, OpenOptions::new().read(true).write(true))?;
    let mut bytes = Vec::new();
    (&mut file).take(READ_MAX).read_to_end(&mut bytes)?;
    let old = records(&bytes).position(|other| other.kind == record.kind);
    let at = old.unwrap_or(bytes.len() / place::SIZE) * place::SIZE;
    file.seek(SeekFrom::Start(at as u64))?;
    file.write_all(&record.encode())
}

/// Appends a record. Fails where there is no file.
pub fn append(path: &Path, record: &Record) -> io::Result<()> {
    let mut file = open(path, OpenOptions::new().write(true))?;
    // A torn record at the end would shift all that follow.
    let end = file.metadata()?.len() / place::SIZE as u64 * place::SIZE as u64;
    file.seek(SeekFrom::Start(end))?;
    file.write_all(&record.encode())
}

/// Opens a file and locks it as glibc does; the lock goes with the descriptor.
fn open(path: &Path, options: &OpenOptions) -> io::Result<File> {
    let file = options.open(path)?;
    for _ in 0..LOCK_TRIES {
        match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(Errno::AGAIN | Errno::ACCESS | Errno::INTR) => std::thread::sleep(LOCK_PAUSE),
            Err(errno) => return Err(errno.into()),
        }
    }
    Err(Errno::AGAIN.into())
}

fn records(bytes: &[u8]) -> impl Iterator<Item = Record> + '_ {
    let whole = bytes.chunks_exact(place::SIZE);
    whole.filter_map(|bytes| bytes.try_into().ok().map(Record::decode))
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    for (place, byte) in bytes.iter_mut().skip(at).zip(value) {
        *place = *byte;
    }
}

fn part<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let part = bytes.get(at..at + N).and_then(|part| part.try_into().ok());
    part.unwrap_or([0; N])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    fn scratch(name: &str) -> Scratch {
        Scratch::path(&format!("utmp-{name}"))
    }

    fn record(kind: Kind, user: &str) -> Record {
        Record { seconds: 1_700_000_000, micros: 7, ..Record::of_machine(kind, 12850, user) }
    }

    #[test]
    fn the_format_is_that_of_libc() {
        #[cfg(target_env = "gnu")]
        {
            assert_eq!(size_of::<libc::utmpx>(), place::SIZE);
            assert_eq!(std::mem::offset_of!(libc::utmpx, ut_tv), place::TIME);
            assert_eq!(std::mem::offset_of!(libc::utmpx, ut_host), HOST.start);
            assert_eq!(std::mem::offset_of!(libc::utmpx, ut_user), USER.start);
            assert_eq!(std::mem::offset_of!(libc::utmpx, ut_id), ID.start);
            assert_eq!(std::mem::offset_of!(libc::utmpx, ut_line), LINE.start);
        }
        let record = record(Kind::Boot, "reboot");
        assert_eq!(Record::decode(&record.encode()), record);
    }

    #[test]
    fn what_is_too_long_is_cut_and_what_is_no_record_passed_over() {
        let mut long = record(Kind::Other(9), "");
        long.id = b"abcdefg".to_vec();
        assert_eq!(Record::decode(&long.encode()).id, b"abcd");
        let path = scratch("torn");
        std::fs::write(&path, [&long.encode()[..], b"torn"].concat()).unwrap();
        append(&path, &record(Kind::Runlevel, "runlevel")).unwrap();
        let kinds: Vec<Kind> = read(&path).unwrap().iter().map(|record| record.kind).collect();
        assert_eq!(kinds, [Kind::Other(9), Kind::Runlevel]);
    }

    #[test]
    fn a_record_of_the_machine_takes_the_place_of_the_one_of_its_kind() {
        let path = scratch("place");
        std::fs::write(&path, []).unwrap();
        put_in(&path, &record(Kind::Boot, "reboot")).unwrap();
        put_in(&path, &record(Kind::Runlevel, "runlevel")).unwrap();
        put_in(&path, &record(Kind::User, "ann")).unwrap();
        put_in(&path, &record(Kind::Runlevel, "shutdown")).unwrap();
        let users: Vec<_> = read(&path).unwrap().into_iter().map(|record| record.user).collect();
        assert_eq!(users, [&b"reboot"[..], b"shutdown", b"ann"]);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(append(&path, &users_record()).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(put_in(&path, &users_record()).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    fn users_record() -> Record {
        record(Kind::User, "ann")
    }
}
