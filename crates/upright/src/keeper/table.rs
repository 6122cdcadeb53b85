//! The facts of the kernel, one row per slot. Grows where memory can be had and says so where not.

use super::held::Heirs;
use engine::keeper::{End, FromKeeper, HEAD, TOGETHER};
use engine::process::{Exit, Pid, Slot, Step, Stream};
use std::collections::{HashMap, TryReserveError, VecDeque};
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use sys::epoll::Epoll;
use sys::report::{Progress, Report};

/// A row's place in the table; given to another slot once the row is gone.
pub type Index = u32;

/// What is known of one slot's process.
pub struct Row {
    /// Whose row it is.
    pub slot: Slot,
    /// How far its process has come.
    pub fate: Fate,
    /// The signal that stopped it last; none once it was told to go on.
    pub stopped: Option<u8>,
    /// Its output, until the logger has read it to the end.
    pub log: Option<Log>,
    /// The process where it is no child of ours, for the keeper before us was killed.
    pub foster: Option<OwnedFd>,
    owner: Owner,
    untold: Facts,
    telling: Queued,
    passing: Queued,
    unpassed: Parts,
}

/// Whether the daemon still needs the row.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Owner {
    Daemon,
    Nobody,
}

/// Whether a row is in a queue.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Queued {
    In,
    Out,
}

/// How far a process has come.
pub enum Fate {
    /// It sets itself up.
    Spawning(Pid, Report),
    /// Its set-up has failed and it is not reaped yet.
    Failing(Pid, Step, i32),
    /// It runs; steps that were refused but only tune.
    Running(Pid, u32),
    /// It has ended.
    Ended(Pid, u32, Exit),
    /// It had ended before it was adopted: it is not told as spawned.
    Gone(Pid, Exit),
    /// It never ran.
    Failed(Step, i32),
}

/// The output of a process.
pub struct Log {
    /// Our copy of the reading end.
    pub read: OwnedFd,
    /// Where it goes; opaque here.
    pub route: Box<[u8]>,
}

/// Ends of a slot's pipes that are kept for others, by their numbers.
pub type Ends = [Option<OwnedFd>; End::ALL.len()];

/// Something of a row that the logger is to have.
pub enum Part<'a> {
    /// An output.
    Output(Stream, &'a Log),
    /// A copy of an end; with none it is not kept any more.
    End(End, Option<BorrowedFd<'a>>),
}

/// Parts of a row that the logger does not have, in the order in which they are passed on.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Parts(u8);

impl Parts {
    const NONE: Parts = Parts(0);
    const fn output(stream: Stream) -> Parts {
        Parts(1 << stream.code())
    }

    const fn end(end: End) -> Parts {
        Parts(4 << end.code())
    }

    fn with(self, other: Parts) -> Parts {
        Parts(self.0 | other.0)
    }

    fn has(self, other: Parts) -> bool {
        self.0 & other.0 != 0
    }

    fn without(self, other: Parts) -> Parts {
        Parts(self.0 & !other.0)
    }

    fn without_first(self) -> Parts {
        Parts(self.0 & self.0.wrapping_sub(1))
    }
}

/// A row of another keeper's table.
pub struct Resumed {
    /// Whose it is.
    pub slot: Slot,
    /// How far its process has come.
    pub fate: Fate,
    /// The signal that stopped it.
    pub stopped: Option<u8>,
    /// Its process, where it is no child of ours.
    pub foster: Option<OwnedFd>,
    /// Whether the daemon has let go of it.
    pub released: bool,
}

/// How many rows there are at most: far more than processes.
const ROWS_MAX: usize = 1 << 23;

/// Facts that the daemon has not been told, in the order in which it is told them.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Facts(u8);

impl Facts {
    const NONE: Facts = Facts(0);
    const BEGUN: Facts = Facts(1);
    const STOPPED: Facts = Facts(2);
    const OVER: Facts = Facts(4);
    const ALL: Facts = Facts(7);

    fn has(self, other: Facts) -> bool {
        self.0 & other.0 != 0
    }

    fn with(self, other: Facts) -> Facts {
        Facts(self.0 | other.0)
    }

    fn without(self, other: Facts) -> Facts {
        Facts(self.0 & !other.0)
    }
}

/// What was told together.
pub struct Batch {
    told: [(Index, Facts); TOGETHER],
    length: usize,
}

impl Batch {
    /// Returns how many messages it is.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Reports whether there was nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }
}

/// Mixes the few words of a key. The keys are numbers that our own daemon counts up, so nobody can
/// choose them to collide.
#[derive(Default)]
struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u32(&mut self, word: u32) {
        self.write_u64(u64::from(word));
    }

    fn write_i32(&mut self, word: i32) {
        self.write_u64(word as u64);
    }

    fn write_isize(&mut self, word: isize) {
        self.write_u64(word as u64);
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95).rotate_left(26);
    }
}

/// Room for so many rows that are gone is not worth a look.
const LOOSE: usize = 256;

type Numbers<K> = HashMap<K, Index, BuildHasherDefault<Mix>>;

/// Every row, found by slot and by pid, and the rows that have something to tell or to pass on.
pub struct Table {
    heirs: Heirs,
    rows: Vec<Option<Row>>,
    /// Beside the rows, as few have any.
    ends: HashMap<Index, Ends, BuildHasherDefault<Mix>>,
    /// Standard errors with a pipe of their own.
    errors: HashMap<Index, Log, BuildHasherDefault<Mix>>,
    free: Vec<Index>,
    by_slot: Numbers<Slot>,
    by_pid: Numbers<Pid>,
    to_tell: VecDeque<Index>,
    to_pass: VecDeque<Index>,
}

impl Table {
    /// Makes an empty one.
    pub fn new(heirs: Heirs) -> Table {
        Table {
            heirs,
            rows: Vec::new(),
            ends: HashMap::default(),
            errors: HashMap::default(),
            free: Vec::new(),
            by_slot: Numbers::default(),
            by_pid: Numbers::default(),
            to_tell: VecDeque::new(),
            to_pass: VecDeque::new(),
        }
    }

    /// Returns the row of a slot.
    pub fn find(&self, slot: Slot) -> Option<Index> {
        self.by_slot.get(&slot).copied()
    }

    /// Returns the row of a process that is not reaped yet.
    pub fn find_pid(&self, pid: Pid) -> Option<Index> {
        self.by_pid.get(&pid).copied()
    }

    /// Returns every row with its place.
    pub fn all(&self) -> impl Iterator<Item = (Index, &Row)> {
        (0..).zip(&self.rows).filter_map(|(index, row)| Some((index, row.as_ref()?)))
    }

    /// Puts a row of another keeper's table at its place; reports whether there was room, and no other.
    pub fn resume(&mut self, index: Index, row: Resumed) -> bool {
        let room = self.reserve().is_ok() && usize::try_from(index).is_ok_and(|i| i < ROWS_MAX);
        if !room || self.find(row.slot).is_some() || self.row(index).is_some() {
            return false;
        }
        while Index::try_from(self.rows.len()).is_ok_and(|length| length <= index) {
            if self.reserve().is_err() {
                return false;
            }
            self.free.push(Index::try_from(self.rows.len()).unwrap_or(Index::MAX));
            self.rows.push(None);
        }
        self.free.retain(|free| *free != index);
        self.free.push(index);
        let Resumed { slot, fate, stopped, foster, released } = row;
        self.insert(slot, fate, None);
        if let Some(row) = self.row(index) {
            (row.stopped, row.foster) = (stopped, foster);
            if released {
                (row.owner, row.untold) = (Owner::Nobody, Facts::NONE);
            }
        }
        true
    }

    /// Gives a row back its output; reports whether there is one.
    pub fn resume_output(&mut self, slot: Slot, stream: Stream, log: Log) -> bool {
        let Some(index) = self.find(slot).filter(|_| self.reserve_more().is_ok()) else {
            return false;
        };
        match stream {
            Stream::Stderr => self.keep_errors(index, Some(log)),
            Stream::Stdout => {
                if let Some(row) = self.row(index) {
                    row.log = Some(log);
                }
                self.pass(index, Parts::output(stream));
            }
        }
        true
    }

    /// Takes the memory for what few rows have: ends, and a standard error of its own.
    pub fn reserve_more(&mut self) -> Result<(), TryReserveError> {
        self.ends.try_reserve(1)?;
        self.errors.try_reserve(1)
    }

    /// Keeps a row's standard error, for which [`Table::reserve_more`] was called just before.
    pub fn keep_errors(&mut self, index: Index, errors: Option<Log>) {
        if let Some(errors) = errors {
            self.errors.insert(index, errors);
            self.pass(index, Parts::output(Stream::Stderr));
        }
    }

    /// Returns the outputs of a row that are not at their ends.
    pub fn outputs<'a>(
        &'a self,
        index: Index,
        row: &'a Row,
    ) -> impl Iterator<Item = (Stream, &'a Log)> {
        let both = [(Stream::Stdout, row.log.as_ref()), (Stream::Stderr, self.errors.get(&index))];
        both.into_iter().filter_map(|(stream, log)| Some((stream, log?)))
    }

    /// Keeps ends of a row, for which [`Table::reserve_more`] was called just before.
    pub fn keep_ends(&mut self, index: Index, ends: Ends) {
        for end in End::ALL {
            if ends.get(usize::from(end.code())).is_some_and(Option::is_some) {
                self.pass_end(index, end);
            }
        }
        if ends.iter().any(Option::is_some) {
            self.ends.insert(index, ends);
        }
    }

    /// Gives a row back an end that another keeper kept.
    pub fn resume_end(&mut self, slot: Slot, end: End, fd: OwnedFd) {
        let Some(index) = self.find(slot).filter(|_| self.reserve_more().is_ok()) else { return };
        let mut ends = self.ends.remove(&index).unwrap_or_default();
        if let Some(place) = ends.get_mut(usize::from(end.code())) {
            *place = Some(fd);
        }
        self.keep_ends(index, ends);
    }

    /// Returns an end that is kept.
    pub fn end_of(&self, slot: Slot, end: End) -> Option<BorrowedFd<'_>> {
        self.find(slot).and_then(|index| self.end(index, end))
    }

    /// Returns every end that is kept of a row.
    pub fn ends_of(&self, index: Index) -> impl Iterator<Item = (End, BorrowedFd<'_>)> {
        End::ALL.into_iter().filter_map(move |end| Some((end, self.end(index, end)?)))
    }

    fn end(&self, index: Index, end: End) -> Option<BorrowedFd<'_>> {
        end_in(&self.ends, index, end)
    }

    fn drop_end(&mut self, index: Index, end: End) {
        let Some(ends) = self.ends.get_mut(&index) else { return };
        let dropped = ends.get_mut(usize::from(end.code())).and_then(Option::take);
        if ends.iter().all(Option::is_none) {
            self.ends.remove(&index);
        }
        if dropped.is_some() {
            self.pass_end(index, end);
        }
    }

    /// The logger has copies only to leave them to another keeper.
    fn pass_end(&mut self, index: Index, end: End) {
        if self.heirs == Heirs::Some {
            self.pass(index, Parts::end(end));
        }
    }

    /// Returns a row.
    pub fn row(&mut self, index: Index) -> Option<&mut Row> {
        self.rows.get_mut(usize::try_from(index).ok()?)?.as_mut()
    }

    /// Takes all the memory that one more row will ever need, so that nothing fails afterwards.
    pub fn reserve(&mut self) -> Result<(), TryReserveError> {
        if self.free.is_empty() {
            self.rows.try_reserve(1)?;
        }
        let rows = self.rows.len() + 1;
        self.free.try_reserve(rows - self.free.len().min(rows))?;
        self.by_slot.try_reserve(1)?;
        self.by_pid.try_reserve(1)?;
        self.to_tell.try_reserve(rows - self.to_tell.len().min(rows))?;
        self.to_pass.try_reserve(rows - self.to_pass.len().min(rows))
    }

    /// Adds a row, for which [`Table::reserve`] was called just before.
    pub fn insert(&mut self, slot: Slot, fate: Fate, log: Option<Log>) -> Index {
        let row = Row {
            slot,
            fate,
            stopped: None,
            log,
            foster: None,
            owner: Owner::Daemon,
            untold: Facts::NONE,
            telling: Queued::Out,
            passing: Queued::Out,
            unpassed: Parts::NONE,
        };
        let (pid, has_log) = (row.pid(), row.log.is_some());
        let place = self.free.pop();
        let index = place.unwrap_or(Index::try_from(self.rows.len()).unwrap_or(Index::MAX));
        match usize::try_from(index).ok().and_then(|index| self.rows.get_mut(index)) {
            Some(empty) => *empty = Some(row),
            None => self.rows.push(Some(row)),
        }
        self.by_slot.insert(slot, index);
        if let Some(pid) = pid {
            self.by_pid.insert(pid, index);
        }
        self.tell_all_of(index);
        if has_log {
            self.pass(index, Parts::output(Stream::Stdout));
        }
        index
    }

    /// A row that was added as one that never ran has its process after all.
    pub fn begun(&mut self, index: Index, pid: Pid, report: Report) {
        if let Some(row) = self.row(index) {
            row.fate = Fate::Spawning(pid, report);
            self.by_pid.insert(pid, index);
        }
    }

    /// Such a row has none, for this reason, and so nothing that could be read or lent.
    pub fn refused(&mut self, index: Index, step: Step, errno: i32) {
        if let Some(row) = self.row(index) {
            row.fate = Fate::Failed(step, errno);
        }
        End::ALL.into_iter().for_each(|end| self.drop_end(index, end));
        Stream::ALL.into_iter().for_each(|stream| self.read_out(index, stream));
    }

    /// The set-up of a row's process has reported something.
    pub fn progress(&mut self, epoll: &Epoll, index: Index) {
        let Some(row) = self.row(index) else { return };
        let Fate::Spawning(pid, report) = &mut row.fate else { return };
        let pid = *pid;
        let progress = report.read();
        let warnings = report.warnings();
        if progress == Progress::Pending {
            return;
        }
        // Not left to the close: a later child that sets itself up still has a copy of the report,
        // and with it the set would report its end for ever.
        let _ = epoll.delete(report);
        match progress {
            Progress::Pending => {}
            Progress::Runs => {
                row.fate = Fate::Running(pid, warnings);
                self.tell(index, Facts::BEGUN);
            }
            Progress::Failed { step, errno } => row.fate = Fate::Failing(pid, step, errno),
        }
    }

    /// A row's process has ended and is reaped.
    pub fn ended(&mut self, epoll: &Epoll, index: Index, exit: Exit) {
        // What it said about its set-up comes first, whichever of the two we came to hear of first.
        self.progress(epoll, index);
        let Some(row) = self.row(index) else { return };
        let pid = row.pid();
        let mut told = false;
        match row.fate {
            // Unreachable but for a report that cannot be read: then what is known is the exit.
            Fate::Spawning(pid, _) => row.fate = Fate::Ended(pid, 0, exit),
            Fate::Running(pid, warnings) => row.fate = Fate::Ended(pid, warnings, exit),
            Fate::Failing(_, step, errno) => {
                row.fate = Fate::Failed(step, errno);
                told = step == Step::Timeout;
            }
            Fate::Ended(..) | Fate::Gone(..) | Fate::Failed(..) => return,
        }
        row.stopped = None;
        if let Some(foster) = row.foster.take() {
            let _ = epoll.delete(foster);
        }
        if let Some(pid) = pid {
            self.by_pid.remove(&pid);
        }
        self.drop_end(index, End::Input);
        if !told {
            self.tell(index, Facts::OVER);
        }
        self.forget_if_done(index);
    }

    /// A row's process was stopped by a signal.
    pub fn stopped(&mut self, epoll: &Epoll, index: Index, signal: u8) {
        self.progress(epoll, index);
        if let Some(row) = self.row(index) {
            row.stopped = Some(signal);
            self.tell(index, Facts::STOPPED);
        }
    }

    /// A set-up has taken too long: the start has failed, whether or not its process can be ended.
    pub fn timed_out(&mut self, epoll: &Epoll, index: Index) {
        self.progress(epoll, index);
        let Some(row) = self.row(index) else { return };
        if let Fate::Spawning(pid, report) = &row.fate {
            let pid = *pid;
            let _ = epoll.delete(report);
            row.fate = Fate::Failing(pid, Step::Timeout, TIMED_OUT);
            self.tell(index, Facts::OVER);
        }
    }

    /// The daemon has journalled how it ended.
    pub fn release(&mut self, index: Index) {
        let Some(row) = self.row(index) else { return };
        if row.is_over() {
            row.owner = Owner::Nobody;
            row.untold = Facts::NONE;
            End::ALL.into_iter().for_each(|end| self.drop_end(index, end));
            self.forget_if_done(index);
        }
    }

    /// The logger has read an output to its end.
    pub fn read_out(&mut self, index: Index, stream: Stream) {
        if stream == Stream::Stderr {
            self.errors.remove(&index);
        }
        if let Some(row) = self.row(index) {
            if stream == Stream::Stdout {
                row.log = None;
            }
            // What has ended meanwhile is not passed on.
            row.unpassed = row.unpassed.without(Parts::output(stream));
            self.forget_if_done(index);
        }
    }

    /// Tells everything that is known of a row once more.
    pub fn tell_all_of(&mut self, index: Index) {
        self.tell(index, Facts::ALL);
    }

    /// Tells the whole table once more, to a new daemon.
    pub fn tell_all(&mut self) {
        for index in self.indices() {
            self.tell_all_of(index);
        }
    }

    /// Passes an output on once more, which the logger could not take.
    pub fn pass_again(&mut self, index: Index, stream: Stream) {
        let place = usize::try_from(index).ok();
        let row = place.and_then(|place| self.rows.get(place)).and_then(Option::as_ref);
        if row.is_some_and(|row| self.outputs(index, row).any(|(other, _)| other == stream)) {
            self.pass(index, Parts::output(stream));
        }
    }

    /// Passes every output on once more, to a new logger: the oldest first, so that what a process
    /// wrote comes before what the next one of its job did.
    pub fn pass_all(&mut self) {
        for index in self.indices() {
            let row = usize::try_from(index).ok().and_then(|place| self.rows.get(place));
            if row.and_then(Option::as_ref).is_some_and(|row| row.log.is_some()) {
                self.pass(index, Parts::output(Stream::Stdout));
            }
            if self.errors.contains_key(&index) {
                self.pass(index, Parts::output(Stream::Stderr));
            }
            for end in End::ALL {
                if self.end(index, end).is_some() {
                    self.pass_end(index, end);
                }
            }
        }
        let rows = &self.rows;
        let age = |index: &Index| {
            let place = usize::try_from(*index).ok().and_then(|index| rows.get(index));
            place.and_then(Option::as_ref).map(|row| row.slot.generation)
        };
        self.to_pass.make_contiguous().sort_unstable_by_key(age);
    }

    /// Returns what is to be told next.
    fn next_to_tell(&mut self) -> Option<(Index, FromKeeper)> {
        while let Some(index) = self.to_tell.front().copied() {
            if let Some(message) = self.row(index).and_then(Row::fact) {
                return Some((index, message));
            }
            self.to_tell.pop_front();
            if let Some(row) = self.row(index) {
                row.telling = Queued::Out;
            }
            self.forget_if_done(index);
        }
        None
    }

    /// Encodes what is to be told next, as much as there is room for, and takes it for told.
    pub fn next_batch(&mut self, room: &mut [u8; HEAD * TOGETHER]) -> Batch {
        let mut batch = Batch { told: [(0, Facts::NONE); TOGETHER], length: 0 };
        let places = room.chunks_exact_mut(HEAD).zip(0..);
        for (place, told) in places {
            let Some((index, message)) = self.next_to_tell() else { break };
            place.copy_from_slice(&message.encode());
            if let Some(told) = batch.told.get_mut::<usize>(told) {
                *told = (index, self.told(index));
            }
            batch.length += 1;
        }
        batch
    }

    /// What [`Table::next_batch`] returned could not be told.
    pub fn untold(&mut self, batch: &Batch) {
        let told = batch.told.iter().take(batch.length);
        told.for_each(|(index, fact)| self.tell(*index, *fact));
    }

    fn told(&mut self, index: Index) -> Facts {
        let Some(row) = self.row(index) else { return Facts::NONE };
        let first = [Facts::BEGUN, Facts::STOPPED, Facts::OVER];
        let told = first.into_iter().find(|fact| row.untold.has(*fact));
        let told = told.unwrap_or(Facts::NONE);
        row.untold = row.untold.without(told);
        told
    }

    /// Returns what is to be passed to the logger next.
    pub fn next_to_pass(&mut self) -> Option<(Slot, Part<'_>)> {
        while let Some(index) = self.to_pass.front().copied() {
            if self.row(index).is_some_and(|row| row.unpassed != Parts::NONE) {
                let row = usize::try_from(index).ok().and_then(|place| self.rows.get(place))?;
                let (row, ends) = (row.as_ref()?, &self.ends);
                let mut outputs = self.outputs(index, row);
                let output = outputs.find(|(stream, _)| row.unpassed.has(Parts::output(*stream)));
                if let Some((stream, log)) = output {
                    return Some((row.slot, Part::Output(stream, log)));
                }
                let first = End::ALL.into_iter().find(|end| row.unpassed.has(Parts::end(*end)))?;
                return Some((row.slot, Part::End(first, end_in(ends, index, first))));
            }
            self.passed();
        }
        None
    }

    /// What [`Table::next_to_pass`] returned was passed.
    pub fn passed(&mut self) {
        let Some(index) = self.to_pass.front().copied() else { return };
        if let Some(row) = self.row(index) {
            row.unpassed = row.unpassed.without_first();
            if row.unpassed != Parts::NONE {
                return;
            }
            row.passing = Queued::Out;
        }
        self.to_pass.pop_front();
        self.forget_if_done(index);
    }

    /// Reports whether some output was not read to its end yet.
    pub fn has_output(&self) -> bool {
        !self.errors.is_empty() || self.rows.iter().flatten().any(|row| row.log.is_some())
    }

    /// Reports whether it has room for many more rows than there are, as a burst leaves it.
    pub fn is_loose(&self) -> bool {
        let (room, rows) = (self.rows.capacity(), self.rows.len());
        let ends_in_none = self.rows.last().is_some_and(Option::is_none);
        is_loose(room, self.by_slot.len()) && (ends_in_none || is_loose(room, rows))
    }

    /// Gives back the room of rows that are gone, as far as none that is there stands behind it. Where
    /// there is no memory for the smaller table, it stays as it is.
    pub fn tighten(&mut self) {
        while self.rows.last().is_some_and(Option::is_none) {
            self.rows.pop();
        }
        let rows = self.rows.len();
        self.free.retain(|free| usize::try_from(*free).is_ok_and(|free| free < rows));
        // For as many as there are rows memory is reserved, and stays so.
        if let Some(smaller) = smaller(&mut self.rows, rows) {
            self.rows = smaller;
        }
        if let Some(smaller) = smaller(&mut self.free, rows) {
            self.free = smaller;
        }
        tighten_queue(&mut self.to_tell, rows);
        tighten_queue(&mut self.to_pass, rows);
        tighten_map(&mut self.by_slot);
        tighten_map(&mut self.by_pid);
        tighten_map(&mut self.ends);
        tighten_map(&mut self.errors);
    }

    fn indices(&self) -> impl Iterator<Item = Index> {
        0..Index::try_from(self.rows.len()).unwrap_or(Index::MAX)
    }

    /// A row is in the queue once, so the memory reserved for as many as there are rows is enough.
    fn tell(&mut self, index: Index, facts: Facts) {
        let Some(row) = self.row(index).filter(|row| row.owner == Owner::Daemon) else { return };
        row.untold = row.untold.with(facts);
        if row.telling == Queued::Out {
            row.telling = Queued::In;
            self.to_tell.push_back(index);
        }
    }

    fn pass(&mut self, index: Index, part: Parts) {
        let Some(row) = self.row(index) else { return };
        row.unpassed = row.unpassed.with(part);
        if row.passing == Queued::Out {
            row.passing = Queued::In;
            self.to_pass.push_back(index);
        }
    }

    /// A row is gone once nobody needs it: the daemon, the logger, the kernel, a queue.
    fn forget_if_done(&mut self, index: Index) {
        let quiet = !self.errors.contains_key(&index);
        let done = self.row(index).is_some_and(|row| {
            quiet
                && row.owner == Owner::Nobody
                && row.log.is_none()
                && row.pid().is_none()
                && (row.telling, row.passing) == (Queued::Out, Queued::Out)
        });
        let place = usize::try_from(index).ok().and_then(|index| self.rows.get_mut(index));
        if let Some(row) = place.filter(|_| done).and_then(Option::take) {
            self.by_slot.remove(&row.slot);
            self.ends.remove(&index);
            self.free.push(index);
        }
    }
}

/// Reports whether there is room for many more than there are.
pub fn is_loose(capacity: usize, length: usize) -> bool {
    capacity > 4 * length + LOOSE
}

/// Gives back the room of a queue beyond `room`, or what is in it, where it is loose. An allocation that
/// fails must not end the keeper, as one within `shrink_to` would.
pub fn tighten_queue<T>(queue: &mut VecDeque<T>, room: usize) {
    let room = queue.len().max(room);
    let mut smaller = VecDeque::new();
    if is_loose(queue.capacity(), room) && smaller.try_reserve_exact(room).is_ok() {
        smaller.append(queue);
        *queue = smaller;
    }
}

/// Returns the same with room for so many, where it is loose and there is memory for it.
fn smaller<T>(list: &mut Vec<T>, room: usize) -> Option<Vec<T>> {
    let mut smaller = Vec::new();
    let loose = is_loose(list.capacity(), room);
    (loose && smaller.try_reserve_exact(room.max(list.len())).is_ok()).then(|| {
        smaller.append(list);
        smaller
    })
}

fn tighten_map<K: Eq + Hash, V>(map: &mut HashMap<K, V, BuildHasherDefault<Mix>>) {
    let mut smaller = HashMap::default();
    if is_loose(map.capacity(), map.len()) && smaller.try_reserve(map.len()).is_ok() {
        smaller.extend(map.drain());
        *map = smaller;
    }
}

/// An end that is kept of a row.
fn end_in(
    ends: &HashMap<Index, Ends, BuildHasherDefault<Mix>>,
    index: Index,
    end: End,
) -> Option<BorrowedFd<'_>> {
    ends.get(&index)?.get(usize::from(end.code()))?.as_ref().map(AsFd::as_fd)
}

/// ETIMEDOUT, the same on every architecture that Upright builds for.
const TIMED_OUT: i32 = 110;

impl Row {
    /// Returns the process as long as it is not reaped.
    pub fn pid(&self) -> Option<Pid> {
        match self.fate {
            Fate::Spawning(pid, _) | Fate::Failing(pid, ..) | Fate::Running(pid, _) => Some(pid),
            Fate::Ended(..) | Fate::Gone(..) | Fate::Failed(..) => None,
        }
    }

    /// Reports whether its set-up still goes on.
    pub fn is_spawning(&self) -> bool {
        matches!(self.fate, Fate::Spawning(..))
    }

    /// Reports whether the daemon has let go of it.
    pub fn is_released(&self) -> bool {
        self.owner == Owner::Nobody
    }

    /// Reports whether the daemon may let go of it.
    fn is_over(&self) -> bool {
        match self.fate {
            Fate::Spawning(..) | Fate::Running(..) => false,
            Fate::Failing(_, step, _) => step == Step::Timeout,
            Fate::Ended(..) | Fate::Gone(..) | Fate::Failed(..) => true,
        }
    }

    /// Returns the first fact that is not told, dropping those that are none.
    fn fact(&mut self) -> Option<FromKeeper> {
        for fact in [Facts::BEGUN, Facts::STOPPED, Facts::OVER] {
            if self.untold.has(fact) {
                if let Some(message) = self.message(fact) {
                    return Some(message);
                }
                self.untold = self.untold.without(fact);
            }
        }
        None
    }

    fn message(&self, fact: Facts) -> Option<FromKeeper> {
        let slot = self.slot;
        match (&self.fate, fact) {
            (Fate::Running(pid, warnings) | Fate::Ended(pid, warnings, _), Facts::BEGUN) => {
                Some(FromKeeper::Spawned { slot, pid: *pid, warnings: *warnings })
            }
            (Fate::Running(..), Facts::STOPPED) => {
                self.stopped.map(|signal| FromKeeper::Stopped { slot, signal })
            }
            (Fate::Ended(pid, _, exit) | Fate::Gone(pid, exit), Facts::OVER) => {
                Some(FromKeeper::Exited { slot, pid: *pid, exit: *exit })
            }
            (Fate::Failed(step, errno), Facts::OVER) => {
                Some(FromKeeper::SpawnFailed { slot, step: *step, errno: *errno })
            }
            (Fate::Failing(_, step @ Step::Timeout, errno), Facts::OVER) => {
                Some(FromKeeper::SpawnFailed { slot, step: *step, errno: *errno })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;
    use engine::process::{InstanceId, Role};
    use std::ffi::CString;
    use std::os::unix::ffi::OsStrExt;
    use std::process::Command;
    use sys::ground::Grounds;
    use sys::limits::Inherited;
    use sys::plan::Plan;
    use sys::spawn::{spawn, Launch, Source};

    fn slot(generation: u64) -> Slot {
        Slot { instance: InstanceId(1), role: Role::Main, generation }
    }

    fn told(table: &mut Table) -> Vec<FromKeeper> {
        let mut all = Vec::new();
        while let Some((index, message)) = table.next_to_tell() {
            all.push(message);
            table.told(index);
        }
        all
    }

    /// A child that opens a fifo which nobody reads, as one would enter a dead network mount.
    fn hanging_child() -> (Pid, Report) {
        let fifo = Scratch::path("hangs");
        let made = Command::new("mkfifo").arg(&*fifo).status().unwrap();
        assert!(made.success());
        let path = CString::new(fifo.as_os_str().as_bytes()).unwrap();
        let plan = Plan::new(c"/bin/true".to_owned(), vec![c"true".to_owned()]);
        let plan = Plan { cgroups: vec![path], ..plan }.encode();
        let (inherited, plan) = (Inherited::capture(), Source::Bytes(&plan));
        let launch = Launch {
            plan,
            null: None,
            input: None,
            log: None,
            errors: None,
            script: None,
            given: &[],
            group: None,
            inherited: &inherited,
            witness: None,
        };
        let spawned = spawn(&launch, &mut Grounds::new()).unwrap();
        // It has the fifo open, or waits for that, once it sleeps.
        while sys::procfs::stat(spawned.pid).unwrap().state != b'S' {
            std::thread::yield_now();
        }
        (spawned.pid, spawned.report)
    }

    #[test]
    fn a_set_up_that_takes_too_long_is_told_once_and_its_row_stays_until_it_is_reaped() {
        let (mut table, epoll) = (Table::new(Heirs::None), Epoll::new(1).unwrap());
        let (pid, report) = hanging_child();
        table.reserve().unwrap();
        let index = table.insert(slot(1), Fate::Spawning(pid, report), None);
        table.progress(&epoll, index);
        assert_eq!(told(&mut table), [], "it goes on");
        table.release(index);
        table.timed_out(&epoll, index);
        let failed =
            FromKeeper::SpawnFailed { slot: slot(1), step: Step::Timeout, errno: TIMED_OUT };
        assert_eq!(told(&mut table), [failed]);
        table.tell_all();
        assert_eq!(told(&mut table), [failed], "to a new daemon too");
        table.release(index);
        assert_eq!(table.find_pid(pid), Some(index), "its end must be known for its own");
        sys::signals::send(pid, engine::signal::Signal::KILL).unwrap();
        let exit = sys::wait::exit_of(pid).unwrap();
        table.ended(&epoll, index, exit);
        assert_eq!(told(&mut table), []);
        assert_eq!((table.find_pid(pid), table.find(slot(1))), (None, None));
    }

    #[test]
    fn rows_come_and_go_in_any_order_and_none_is_left_over_or_told_twice() {
        let (mut table, epoll) = (Table::new(Heirs::None), Epoll::new(1).unwrap());
        let (mut live, mut over, mut next): (Vec<Slot>, Vec<Slot>, u64) = Default::default();
        let (mut begun, mut ended) = (0, 0);
        let mut numbers = 0x9e37_79b9_7f4a_7c15u64;
        for _ in 0..20_000 {
            numbers ^= numbers << 13;
            numbers ^= numbers >> 7;
            numbers ^= numbers << 17;
            let pick = (numbers >> 32) as usize;
            match numbers % 4 {
                0 => {
                    next += 1;
                    table.reserve().unwrap();
                    table.insert(slot(next), Fate::Running(next as Pid, 0), None);
                    live.push(slot(next));
                }
                1 if !live.is_empty() => {
                    let slot = live.swap_remove(pick % live.len());
                    let index = table.find_pid(slot.generation as Pid).unwrap();
                    assert_eq!(table.find(slot), Some(index));
                    table.ended(&epoll, index, Exit::Status(0));
                    over.push(slot);
                }
                2 if !over.is_empty() => {
                    // Only what was told is released, as by the daemon.
                    for message in told(&mut table) {
                        match message {
                            FromKeeper::Spawned { .. } => begun += 1,
                            FromKeeper::Exited { .. } => ended += 1,
                            other => panic!("{other:?}"),
                        }
                    }
                    let slot = over.swap_remove(pick % over.len());
                    let index = table.find(slot).unwrap();
                    table.release(index);
                    assert_eq!(table.find(slot), None);
                }
                _ => {}
            }
        }
        let all = live.len() + over.len();
        assert_eq!((table.by_slot.len(), table.by_pid.len()), (all, live.len()));
        assert_eq!(table.rows.iter().flatten().count(), all);
        assert_eq!(table.rows.len(), all + table.free.len());
        let untold = told(&mut table).len();
        assert_eq!(begun + ended + untold, 2 * (next as usize) - live.len());
    }
}
