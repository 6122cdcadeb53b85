//! What one keeper leaves to the next: the format of the file in memory that is passed on where a
//! keeper goes on in another binary, or where another takes the place of one that was killed.
//!
//! A file is [`MAGIC`], the version, then items: a kind, the length of what follows, and that.
//! Descriptors are given by their numbers: whoever starts the next keeper lets it inherit them. What
//! a later release adds to the end of an item, and items of a kind that is not known, are passed over,
//! so a file can be read by the release before and by the one after. All numbers are little endian.

use crate::keeper::End;
use crate::process::{Exit, InstanceId, Pid, Role, Slot, Step, Stream};
use alloc::collections::TryReserveError;
use alloc::vec::Vec;

/// What a file begins with.
pub const MAGIC: [u8; 8] = *b"upkeeper";

/// The version of the format; a file of another one cannot be read.
pub const VERSION: u32 = 1;

/// How many bytes an item has before what it says: kind and length.
const FRAME: usize = 5;

/// One thing that is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// The keeper itself.
    Keeper {
        /// The process that the user started.
        named: Pid,
        /// How often it has gone on in another binary.
        upgrades: u32,
        /// Whether it took the place of one that was killed, and no daemon has been ready since.
        replaced: bool,
        /// Whether it ever took the place of one that was killed.
        foster: bool,
        /// Signals that no daemon has journalled: bit n - 1 is signal n.
        unseen: u64,
        /// Where its stack began, as `/proc` tells; what forked and did not execute has the same.
        stack: u64,
    },
    /// What it was started with and gives back to its children.
    Inherited {
        /// The soft limit of descriptors; all ones: none.
        soft: u64,
        /// The hard one.
        hard: u64,
        /// Signals that were ignored.
        ignored: u64,
    },
    /// An argument that it was started with, in their order.
    Argument(&'a [u8]),
    /// The daemon (0) or the logger (1), still alive.
    Peer {
        /// Which.
        which: u8,
        /// Its process.
        pid: Pid,
        /// The keeper's end of its channel.
        channel: i32,
    },
    /// A row of the table.
    Row {
        /// Its place there.
        index: u32,
        /// Whose it is.
        slot: Slot,
        /// How far its process has come.
        standing: Standing,
        /// The signal that stopped it; 0: none.
        stopped: u8,
        /// Whether the daemon has let go of it.
        released: bool,
        /// What its process is heard by, where it has one: the report of its set-up, or a descriptor
        /// of the process where it is no child.
        fd: Option<i32>,
    },
    /// A process's output that is not at its end.
    Output {
        /// Whose.
        slot: Slot,
        /// Which.
        stream: Stream,
        /// The reading end.
        fd: i32,
        /// A [`crate::logroute::LogRoute`], encoded.
        route: &'a [u8],
    },
    /// An end of one of its pipes that is kept.
    End {
        /// Whose.
        slot: Slot,
        /// Which.
        end: End,
        /// The descriptor.
        fd: i32,
    },
    /// How a process without a slot ended.
    Orphan {
        /// Its number in the order of such exits.
        sequence: u64,
        /// Its process.
        pid: Pid,
        /// How.
        exit: Exit,
    },
    /// The number of the last such exit.
    Orphans {
        /// The number.
        last: u64,
    },
    /// A held descriptor.
    Held {
        /// Its key.
        key: u32,
        /// The descriptor.
        fd: i32,
    },
    /// The binary that the keeper went on in before.
    Previous {
        /// The descriptor.
        fd: i32,
    },
    /// What children wrote down since, for the binary before where it goes on after all.
    Facts {
        /// The descriptor.
        fd: i32,
    },
    /// How it stands with keepers that end soon after they began.
    Lives {
        /// How many in a row before this one.
        short: u32,
        /// When this one began, in nanoseconds of the monotonic clock.
        began: u64,
        /// Until when it may be given up for the binary before; 0: not at all.
        until: u64,
    },
    /// Where a keeper that was started by an heir writes a byte once there are heirs again.
    Heir {
        /// The descriptor, the writing end of a pipe.
        fd: i32,
    },
}

/// How far a row's process has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It sets itself up, with these warnings so far.
    Spawning(Pid, u32),
    /// Its set-up has failed and it is not reaped yet.
    Failing(Pid, Step, i32),
    /// It runs, with these warnings.
    Running(Pid, u32),
    /// It has ended.
    Ended(Pid, u32, Exit),
    /// It had ended before it was adopted.
    Gone(Pid, Exit),
    /// It never ran.
    Failed(Step, i32),
}

/// A file that is being written.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// Begins a file.
    pub fn new() -> Result<Writer, TryReserveError> {
        let mut writer = Writer { bytes: Vec::new() };
        writer.put(&MAGIC)?;
        writer.put(&VERSION.to_le_bytes())?;
        Ok(writer)
    }

    /// Returns what was written.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Adds an item.
    pub fn add(&mut self, item: &Item<'_>) -> Result<(), TryReserveError> {
        let at = self.bytes.len();
        self.put(&[kind(item), 0, 0, 0, 0])?;
        match *item {
            Item::Keeper { named, upgrades, replaced, foster, unseen, stack } => {
                self.put(&named.to_le_bytes())?;
                self.put(&upgrades.to_le_bytes())?;
                self.put(&[u8::from(replaced), u8::from(foster)])?;
                self.put(&unseen.to_le_bytes())?;
                self.put(&stack.to_le_bytes())?;
            }
            Item::Inherited { soft, hard, ignored } => {
                for word in [soft, hard, ignored] {
                    self.put(&word.to_le_bytes())?;
                }
            }
            Item::Argument(text) => self.put(text)?,
            Item::Peer { which, pid, channel } => {
                self.put(&[which])?;
                self.put(&pid.to_le_bytes())?;
                self.put(&channel.to_le_bytes())?;
            }
            Item::Row { index, slot, standing, stopped, released, fd } => {
                self.put(&index.to_le_bytes())?;
                self.put_slot(slot)?;
                self.put_standing(standing)?;
                self.put(&[stopped, u8::from(released)])?;
                self.put(&fd.unwrap_or(-1).to_le_bytes())?;
            }
            Item::Output { slot, stream: _, fd, route } => {
                self.put_slot(slot)?;
                self.put(&fd.to_le_bytes())?;
                self.put(route)?;
            }
            Item::End { slot, end, fd } => {
                self.put_slot(slot)?;
                self.put(&[end.code()])?;
                self.put(&fd.to_le_bytes())?;
            }
            Item::Orphan { sequence, pid, exit } => {
                self.put(&sequence.to_le_bytes())?;
                self.put(&pid.to_le_bytes())?;
                self.put(&exit_bytes(exit))?;
            }
            Item::Orphans { last } => self.put(&last.to_le_bytes())?,
            Item::Held { key, fd } => {
                self.put(&key.to_le_bytes())?;
                self.put(&fd.to_le_bytes())?;
            }
            Item::Previous { fd } | Item::Facts { fd } | Item::Heir { fd } => {
                self.put(&fd.to_le_bytes())?;
            }
            Item::Lives { short, began, until } => {
                self.put(&short.to_le_bytes())?;
                self.put(&began.to_le_bytes())?;
                self.put(&until.to_le_bytes())?;
            }
        }
        let length = u32::try_from(self.bytes.len() - at - FRAME).unwrap_or(u32::MAX);
        if let Some(place) = self.bytes.get_mut(at + 1..at + FRAME) {
            place.copy_from_slice(&length.to_le_bytes());
        }
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), TryReserveError> {
        self.bytes.try_reserve(bytes.len())?;
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn put_slot(&mut self, slot: Slot) -> Result<(), TryReserveError> {
        self.put(&slot.instance.0.to_le_bytes())?;
        self.put(&[slot.role.code()])?;
        self.put(&slot.generation.to_le_bytes())
    }

    /// Every standing is as long as every other, so that what follows is at its place.
    fn put_standing(&mut self, standing: Standing) -> Result<(), TryReserveError> {
        let no_exit = exit_bytes(Exit::Unknown);
        let (kind, pid, warnings, exit, step, errno) = match standing {
            Standing::Spawning(pid, warnings) => (0, pid, warnings, no_exit, 0, 0),
            Standing::Failing(pid, step, errno) => (1, pid, 0, no_exit, step.code(), errno),
            Standing::Running(pid, warnings) => (2, pid, warnings, no_exit, 0, 0),
            Standing::Ended(pid, warnings, exit) => (3, pid, warnings, exit_bytes(exit), 0, 0),
            Standing::Gone(pid, exit) => (4, pid, 0, exit_bytes(exit), 0, 0),
            Standing::Failed(step, errno) => (5, 0, 0, no_exit, step.code(), errno),
        };
        self.put(&[kind])?;
        self.put(&pid.to_le_bytes())?;
        self.put(&warnings.to_le_bytes())?;
        self.put(&exit)?;
        self.put(&[step])?;
        self.put(&errno.to_le_bytes())
    }
}

fn kind(item: &Item<'_>) -> u8 {
    match item {
        Item::Keeper { .. } => 1,
        Item::Inherited { .. } => 2,
        Item::Argument(_) => 3,
        Item::Peer { .. } => 4,
        Item::Row { .. } => 5,
        Item::Output { stream: Stream::Stdout, .. } => 6,
        Item::Output { stream: Stream::Stderr, .. } => 12,
        Item::Orphan { .. } => 7,
        Item::Orphans { .. } => 8,
        Item::Held { .. } => 9,
        Item::Previous { .. } => 10,
        Item::End { .. } => 11,
        Item::Facts { .. } => 13,
        Item::Lives { .. } => 14,
        Item::Heir { .. } => 15,
    }
}

fn exit_bytes(exit: Exit) -> [u8; 2] {
    match exit {
        Exit::Status(status) => [0, status],
        Exit::Signal { signal, core: false } => [1, signal],
        Exit::Signal { signal, core: true } => [2, signal],
        Exit::Unknown => [3, 0],
        Exit::OutOfMemory => [4, 0],
    }
}

/// The items of a file, in their order. Ends at the first that is cut off; items of a kind that is not
/// known, or that say what cannot be, are passed over.
#[derive(Clone, Debug)]
pub struct Items<'a> {
    rest: &'a [u8],
}

/// Why a file cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It does not begin as one does.
    NotOne,
    /// It is of this version, which is not ours.
    Version(u32),
}

impl<'a> Items<'a> {
    /// Reads the beginning of a file.
    pub fn of(file: &'a [u8]) -> Result<Items<'a>, Fault> {
        let (magic, rest) = file.split_first_chunk::<8>().ok_or(Fault::NotOne)?;
        let (version, rest) = rest.split_first_chunk::<4>().ok_or(Fault::NotOne)?;
        match (*magic == MAGIC, u32::from_le_bytes(*version)) {
            (false, _) => Err(Fault::NotOne),
            (true, VERSION) => Ok(Items { rest }),
            (true, other) => Err(Fault::Version(other)),
        }
    }

    /// Returns the highest number of a descriptor that is named.
    pub fn highest(self) -> i32 {
        let of = |item: Item<'_>| match item {
            Item::Peer { channel, .. } => channel,
            Item::Row { fd, .. } => fd.unwrap_or(0),
            Item::Output { fd, .. }
            | Item::End { fd, .. }
            | Item::Held { fd, .. }
            | Item::Previous { fd }
            | Item::Facts { fd }
            | Item::Heir { fd } => fd,
            Item::Keeper { .. }
            | Item::Inherited { .. }
            | Item::Argument(_)
            | Item::Orphan { .. }
            | Item::Orphans { .. }
            | Item::Lives { .. } => 0,
        };
        self.map(of).max().unwrap_or(0)
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Item<'a>;

    fn next(&mut self) -> Option<Item<'a>> {
        loop {
            let ([kind, length @ ..], rest) = self.rest.split_first_chunk::<FRAME>()?;
            let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
            let (said, rest) = rest.split_at_checked(length)?;
            self.rest = rest;
            if let Some(item) = read(*kind, Said(said)) {
                return Some(item);
            }
        }
    }
}

/// What an item says and was not read yet.
struct Said<'a>(&'a [u8]);

impl Said<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take().map(|[byte]| byte)
    }

    fn word(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn number(&mut self) -> Option<i32> {
        self.take().map(i32::from_le_bytes)
    }

    fn long(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn slot(&mut self) -> Option<Slot> {
        let instance = InstanceId(self.word()?);
        Some(Slot { instance, role: Role::from_code(self.byte()?)?, generation: self.long()? })
    }

    fn exit(&mut self) -> Option<Exit> {
        match self.take()? {
            [0, status] => Some(Exit::Status(status)),
            [1, signal] => Some(Exit::Signal { signal, core: false }),
            [2, signal] => Some(Exit::Signal { signal, core: true }),
            [3, _] => Some(Exit::Unknown),
            [4, _] => Some(Exit::OutOfMemory),
            _ => None,
        }
    }

    fn standing(&mut self) -> Option<Standing> {
        let (kind, pid, warnings) = (self.byte()?, self.number()?, self.word()?);
        let (exit, step, errno) = (self.exit()?, self.byte()?, self.number()?);
        Some(match kind {
            0 => Standing::Spawning(pid, warnings),
            1 => Standing::Failing(pid, Step::from_code(step)?, errno),
            2 => Standing::Running(pid, warnings),
            3 => Standing::Ended(pid, warnings, exit),
            4 => Standing::Gone(pid, exit),
            5 => Standing::Failed(Step::from_code(step)?, errno),
            _ => return None,
        })
    }
}

fn read<'a>(kind: u8, mut said: Said<'a>) -> Option<Item<'a>> {
    Some(match kind {
        1 => {
            let (named, upgrades) = (said.number()?, said.word()?);
            let (replaced, foster) = (said.byte()? != 0, said.byte()? != 0);
            let (unseen, stack) = (said.long()?, said.long()?);
            Item::Keeper { named, upgrades, replaced, foster, unseen, stack }
        }
        2 => Item::Inherited { soft: said.long()?, hard: said.long()?, ignored: said.long()? },
        3 => Item::Argument(said.0),
        4 => Item::Peer { which: said.byte()?, pid: said.number()?, channel: said.number()? },
        5 => {
            let (index, slot, standing) = (said.word()?, said.slot()?, said.standing()?);
            let (stopped, released) = (said.byte()?, said.byte()? != 0);
            let fd = said.number().filter(|fd| *fd >= 0);
            Item::Row { index, slot, standing, stopped, released, fd }
        }
        6 | 12 => {
            let (slot, fd) = (said.slot()?, said.number()?);
            let stream = if kind == 6 { Stream::Stdout } else { Stream::Stderr };
            Item::Output { slot, stream, fd, route: said.0 }
        }
        7 => Item::Orphan { sequence: said.long()?, pid: said.number()?, exit: said.exit()? },
        8 => Item::Orphans { last: said.long()? },
        9 => Item::Held { key: said.word()?, fd: said.number()? },
        10 => Item::Previous { fd: said.number()? },
        11 => {
            let (slot, end) = (said.slot()?, End::from_code(said.byte()?)?);
            Item::End { slot, end, fd: said.number()? }
        }
        13 => Item::Facts { fd: said.number()? },
        14 => Item::Lives { short: said.word()?, began: said.long()?, until: said.long()? },
        15 => Item::Heir { fd: said.number()? },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOT: Slot = Slot { instance: InstanceId(7), role: Role::PostStop, generation: 1 << 50 };

    fn every_item() -> Vec<Item<'static>> {
        let signal = Exit::Signal { signal: 11, core: true };
        let standings = [
            Standing::Spawning(70, 1 << 9),
            Standing::Failing(71, Step::Chdir, 2),
            Standing::Running(72, 0),
            Standing::Ended(73, 4, signal),
            Standing::Gone(74, Exit::Unknown),
            Standing::Failed(Step::Exec, 13),
        ];
        let mut items = alloc::vec![
            Item::Keeper {
                named: 4711,
                upgrades: 3,
                replaced: true,
                foster: true,
                unseen: 1 << 14,
                stack: 1 << 46,
            },
            Item::Inherited { soft: 1024, hard: u64::MAX, ignored: 4096 },
            Item::Argument(b"--user"),
            Item::Argument(b""),
            Item::Peer { which: 1, pid: 99, channel: 12 },
            Item::Output { slot: SLOT, stream: Stream::Stdout, fd: 30, route: b"[]" },
            Item::End { slot: SLOT, end: End::Spill, fd: 31 },
            Item::Output { slot: SLOT, stream: Stream::Stderr, fd: 32, route: b"" },
            Item::Orphan { sequence: 8, pid: 5, exit: Exit::Status(255) },
            Item::Orphans { last: 9 },
            Item::Held { key: 3, fd: 14 },
            Item::Previous { fd: 10 },
            Item::Facts { fd: 15 },
            Item::Lives { short: 2, began: 1 << 40, until: 1 << 41 },
            Item::Heir { fd: 16 },
        ];
        items.extend(standings.into_iter().zip(0..).map(|(standing, index)| {
            let (stopped, released) = (index as u8, index == 3);
            let fd = (index < 3).then_some(40);
            Item::Row { index, slot: SLOT, standing, stopped, released, fd }
        }));
        items
    }

    fn written(items: &[Item<'_>]) -> Vec<u8> {
        let mut writer = Writer::new().unwrap();
        items.iter().for_each(|item| writer.add(item).unwrap());
        writer.bytes().to_vec()
    }

    #[test]
    fn what_is_left_is_read_as_it_was_written() {
        let items = every_item();
        let file = written(&items);
        assert_eq!(Items::of(&file).unwrap().collect::<Vec<_>>(), items);
        assert_eq!(Items::of(&file).unwrap().highest(), 40);
    }

    /// Kept when the format was new; what is added to it later is not in there.
    #[test]
    fn what_the_first_release_with_this_format_left_is_read() {
        let kept = include_bytes!("../tests/saved/handover-1.bin");
        let mut items = every_item();
        items.retain(|item| {
            let later = matches!(
                item,
                Item::End { .. } | Item::Facts { .. } | Item::Lives { .. } | Item::Heir { .. }
            );
            !later && !matches!(item, Item::Output { stream: Stream::Stderr, .. })
        });
        assert_eq!(Items::of(kept).unwrap().collect::<Vec<_>>(), items);
    }

    #[test]
    fn what_a_later_release_adds_is_passed_over_and_another_version_is_refused() {
        let items = every_item();
        let mut file = written(&items);
        file.extend_from_slice(&[200, 3, 0, 0, 0, 1, 2, 3]);
        let longer = [8, 10, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 77, 77];
        file.extend_from_slice(&longer);
        let read: Vec<Item<'_>> = Items::of(&file).unwrap().collect();
        assert_eq!(read.split_last(), Some((&Item::Orphans { last: 9 }, items.as_slice())));
        file[8] = 2;
        assert_eq!(Items::of(&file).err(), Some(Fault::Version(2)));
        file[0] = b'x';
        assert_eq!(Items::of(&file).err(), Some(Fault::NotOne));
    }

    #[test]
    fn a_file_that_is_cut_off_anywhere_is_read_as_far_as_it_goes() {
        let items = every_item();
        let file = written(&items);
        for length in 0..file.len() {
            let Ok(read) = Items::of(&file[..length]) else { continue };
            let read: Vec<Item<'_>> = read.collect();
            assert!(items.starts_with(&read), "{length}");
        }
    }
}
