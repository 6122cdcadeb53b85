//! The journal in its memfd: a turn is written, made valid by one store, and its effects ticked.

use engine::journal::{self, encode, Header, Record, COMMITTED_AT, RECORDS_AT, TICKED_AT};
use engine::machine::{Changes, Effect};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use sys::page::Page;
use sys::{memfd, Errno};

/// A journal shorter than this is not compacted.
const COMPACT_FROM: u64 = 64 * 1024;

/// A journal this many times as long as its snapshot is compacted.
const COMPACT_TIMES: u64 = 3;

/// The journal that is being written.
pub struct Journal {
    fd: OwnedFd,
    page: Page,
    header: Header,
    snapshot: u64,
}

impl Journal {
    /// Begins a journal with everything there is and what is still to be done.
    pub fn begin(changes: Changes, effects: Vec<Effect>) -> Result<Journal, Errno> {
        let fd = memfd::create(c"upright-journal")?;
        let header = Header::default();
        memfd::write_all_at(&fd, &header.bytes(), 0)?;
        memfd::set_length(&fd, RECORDS_AT as u64)?;
        let page = Page::map(&fd)?;
        let mut journal = Journal { fd, page, header, snapshot: 0 };
        journal.append(&Record { changes, effects })?;
        journal.snapshot = journal.header.committed;
        Ok(journal)
    }

    /// Returns the descriptor, for the keeper to hold.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Writes a turn and makes it valid.
    pub fn append(&mut self, record: &Record) -> Result<(), Errno> {
        let bytes = encode(record);
        let at = RECORDS_AT as u64 + self.header.committed;
        memfd::write_all_at(&self.fd, &bytes, at)?;
        self.header.committed += bytes.len() as u64;
        self.page.store(COMMITTED_AT, self.header.committed);
        Ok(())
    }

    /// Notes that so many more effects have been done.
    pub fn tick(&mut self, done: u64) {
        self.header.ticked += done;
        self.page.store(TICKED_AT, self.header.ticked);
    }

    /// Reports whether the journal has become long enough to begin a new one.
    pub fn is_long(&self) -> bool {
        self.header.committed > COMPACT_FROM.max(self.snapshot.saturating_mul(COMPACT_TIMES))
    }
}

/// What a journal that the keeper held says: its records, how many effects were done, and what is
/// wrong with it.
pub fn read(fd: &OwnedFd) -> (Vec<Record>, u64, Option<String>) {
    let bytes = match memfd::read_all(fd) {
        Ok(bytes) => bytes,
        Err(errno) => return (Vec::new(), 0, Some(format!("journal: cannot be read: {errno}"))),
    };
    match journal::read(&bytes) {
        Ok((header, decoded)) => {
            (decoded.records, header.ticked, decoded.fault.map(|fault| fault.to_string()))
        }
        Err(fault) => (Vec::new(), 0, Some(fault.to_string())),
    }
}
