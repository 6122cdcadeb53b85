//! Where everything about listeners is written down for the next gateway: a file in memory that the keeper
//! holds.
//!
//! It has two places that are written in turn, so that one is whole whenever the writer dies. What was
//! written last is what is read.

use std::io;
use std::os::fd::OwnedFd;
use sys::memfd;

/// Where the second place begins. What is not written takes no memory.
const SECOND: u64 = 1 << 30;

/// How long the head of a place is: number, length and sum, eight bytes each.
const HEAD: usize = 24;

/// How long what is written may be.
const LENGTH_MAX: u64 = 256 * 1024 * 1024;

/// The file.
pub struct Memory {
    file: OwnedFd,
    /// The number of what was written last.
    number: u64,
}

impl Memory {
    /// Opens it; returns what was last written too, where something whole is there.
    pub fn open(file: OwnedFd) -> (Memory, Option<Vec<u8>>) {
        let places = [0, SECOND].map(|offset| read(&file, offset));
        let last = places.into_iter().flatten().max_by_key(|(number, _)| *number);
        let number = last.as_ref().map_or(0, |(number, _)| *number);
        (Memory { file, number }, last.map(|(_, content)| content))
    }

    /// Writes in place of what was written before last.
    pub fn write(&mut self, content: &[u8]) -> io::Result<()> {
        let number = self.number.wrapping_add(1);
        let offset = if number.is_multiple_of(2) { 0 } else { SECOND };
        let length = content.len() as u64;
        if length > LENGTH_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let head = [number, length, sum(number, content)].map(u64::to_le_bytes).concat();
        memfd::write_all_at(&self.file, content, offset + HEAD as u64)?;
        memfd::write_all_at(&self.file, &head, offset)?;
        self.number = number;
        Ok(())
    }
}

/// Returns what is at a place, and its number; nothing where it is not whole.
fn read(file: &OwnedFd, offset: u64) -> Option<(u64, Vec<u8>)> {
    let mut head = [0; HEAD];
    memfd::read_at(file, &mut head, offset).ok().filter(|read| *read == HEAD)?;
    let mut numbers = head.chunks_exact(8).filter_map(|bytes| bytes.try_into().ok());
    let mut next = || numbers.next().map(u64::from_le_bytes);
    let (number, length, wanted) = (next()?, next()?, next()?);
    let length = usize::try_from(length).ok().filter(|length| *length as u64 <= LENGTH_MAX)?;
    let mut content = vec![0; length];
    let read = memfd::read_at(file, &mut content, offset + HEAD as u64).ok()?;
    (number > 0 && read == length && sum(number, &content) == wanted).then_some((number, content))
}

/// A sum that tells what is whole. Source: FNV-1a.
fn sum(number: u64, content: &[u8]) -> u64 {
    let number = number.to_le_bytes();
    let add = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    number.iter().chain(content).fold(0xcbf2_9ce4_8422_2325, add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_last_and_whole_is_read() {
        let file = memfd::create(c"memory").unwrap();
        let again = || Memory::open(file.try_clone().unwrap());
        let (mut memory, nothing) = again();
        assert_eq!(nothing, None);
        for text in ["first", "the second one", "third"] {
            memory.write(text.as_bytes()).unwrap();
            assert_eq!(again().1.as_deref(), Some(text.as_bytes()));
        }
        // A writer that died: what it had begun to write is not there.
        memfd::write_all_at(&file, b"xyz", HEAD as u64).unwrap();
        memfd::write_all_at(&file, &9u64.to_le_bytes(), 0).unwrap();
        let (mut memory, last) = again();
        assert_eq!(last.as_deref(), Some(&b"third"[..]));
        memory.write(b"fourth").unwrap();
        assert_eq!(again().1.as_deref(), Some(&b"fourth"[..]));
    }
}
