//! Where the daemon's journal is: bytes as the real one writes them, or, because most worlds need
//! not prove the format again, the records themselves.

use engine::journal::{self, Header, Record, HEADER, RECORDS_AT};

/// A journal.
pub enum Paper {
    /// A header and encoded records.
    Bytes(Vec<u8>),
    /// What they would say.
    Records(Vec<Record>, u64),
}

impl Paper {
    /// Returns an empty journal of the same kind.
    pub fn anew(&self) -> Paper {
        match self {
            Paper::Bytes(_) => {
                let mut bytes = vec![0; RECORDS_AT];
                bytes[..HEADER].copy_from_slice(&Header::default().bytes());
                Paper::Bytes(bytes)
            }
            Paper::Records(..) => Paper::Records(Vec::new(), 0),
        }
    }

    /// Adds a record and makes it valid.
    pub fn commit(&mut self, record: &Record) {
        match self {
            Paper::Bytes(bytes) => {
                bytes.extend(journal::encode(record));
                let committed = (bytes.len() - RECORDS_AT) as u64;
                store(bytes, |header| header.committed = committed);
            }
            Paper::Records(records, _) => records.push(record.clone()),
        }
    }

    /// Takes note that one more effect has been done.
    pub fn tick(&mut self) {
        match self {
            Paper::Bytes(bytes) => store(bytes, |header| header.ticked += 1),
            Paper::Records(_, ticked) => *ticked += 1,
        }
    }

    /// Reads it all.
    pub fn read(&self) -> Result<(Vec<Record>, u64), String> {
        match self {
            Paper::Bytes(bytes) => match journal::read(bytes) {
                Ok((header, decoded)) if decoded.fault.is_none() => {
                    Ok((decoded.records, header.ticked))
                }
                fault => Err(format!("the journal cannot be read: {fault:?}")),
            },
            Paper::Records(records, ticked) => Ok((records.clone(), *ticked)),
        }
    }
}

fn store(bytes: &mut [u8], change: impl FnOnce(&mut Header)) {
    if let Ok(mut header) = Header::parse(bytes) {
        change(&mut header);
        bytes[..HEADER].copy_from_slice(&header.bytes());
    }
}
