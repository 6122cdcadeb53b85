//! How a child that shares our table of descriptors comes by its own.
//!
//! Any other child is born with a copy of every descriptor that we hold, and its exec closes them one
//! by one: with a thousand services that takes longer than all the rest of its birth. So it shares the
//! table (CLONE_FILES). What it is to have lies in a message on the socket of a port, and before
//! anything else it leaves the table with a copy of its first few places alone (close_range(2),
//! CLOSE_RANGE_UNSHARE, Linux 5.9), closes those too and takes the message. What we close meanwhile it
//! does not need, and whatever ends it, nothing of ours has changed; we do not wait for it.

use crate::raw;
use crate::report::{self, Gravity};
use crate::seqpacket::{self, FDS_MAX};
use crate::spawn::{fork, Sharing, Side, HIGH};
use crate::wait::exit_of;
use engine::process::{Exit, Pid, Step};
use rustix::io::{DupFlags, Errno};
use rustix::net::{
    recvmsg, sendmsg, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use rustix::process::{getrlimit, Resource};
use std::collections::VecDeque;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};

/// Of what is below this place a child has copies. The kernel's smallest table has as many places, and
/// it is whole words of its bit sets: those of copies that end within one were wrong before Linux 6.11.
const LOW: RawFd = 64;

/// The lowest place that is not an input or output of every process.
pub(crate) const FIRST: RawFd = 3;

/// How many ports there are at most; all of them lie below [`LOW`]. Of a thousand children that are made
/// as fast as they can be, one in a hundred finds none free and is born with a copy.
const PORTS: usize = 16;

/// How many descriptors we may have at least where there are ports.
const ENOUGH: u64 = 512;

/// How many ports are looked at for a free one: those whose children hang are not all gone through.
const LOOKED_AT: usize = 4;

/// How many descriptors a child is told of at most.
const HAND_MAX: usize = 8 + FDS_MAX;

/// The descriptors of a child by their numbers, in our table or in its own.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hand {
    pub report: Option<RawFd>,
    pub plan: Option<RawFd>,
    pub null: Option<RawFd>,
    pub input: Option<RawFd>,
    pub log: Option<RawFd>,
    pub errors: Option<RawFd>,
    pub script: Option<RawFd>,
    pub witness: Option<RawFd>,
    pub given: [Option<RawFd>; FDS_MAX],
}

impl Hand {
    /// Returns the place of each, in the order in which they are sent.
    fn places(&mut self) -> impl Iterator<Item = &mut Option<RawFd>> {
        let Hand { report, plan, null, input, log, errors, script, witness, given } = self;
        [report, plan, null, input, log, errors, script, witness].into_iter().chain(given)
    }
}

/// Where a child finds its descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Table {
    /// In its copy of our table, under our numbers.
    Copied,
    /// In a message on this socket; the table is ours until it has left it.
    Shared(RawFd),
}

impl Table {
    /// Returns what such a child has in common with us from its birth.
    pub fn sharing(self) -> Sharing {
        match self {
            Table::Copied => Sharing::Nothing,
            Table::Shared(_) => Sharing::Table,
        }
    }
}

/// A pair of sockets: what is sent to a child lies there until it takes it.
struct Port {
    send: OwnedFd,
    /// Below [`LOW`].
    receive: OwnedFd,
    taker: Option<Pid>,
}

impl Port {
    fn at_one_of(places: &mut Vec<OwnedFd>) -> Option<Port> {
        let (send, receive) = seqpacket::pair().ok()?;
        let send = rustix::io::fcntl_dupfd_cloexec(&send, LOW).ok()?;
        let mut place = places.pop()?;
        rustix::io::dup3(&receive, &mut place, DupFlags::CLOEXEC).ok()?;
        Some(Port { send, receive: place, taker: None })
    }

    /// Reports whether nothing lies there: whoever took the last has left our table before.
    fn is_free(&self) -> bool {
        rustix::io::ioctl_fionread(&self.receive).is_ok_and(|length| length == 0)
    }

    fn send(&self, mut hand: Hand) -> Result<(), Errno> {
        let mut fds = [self.send.as_fd(); HAND_MAX];
        let mut count = 0;
        for (place, fd) in fds.iter_mut().zip(hand.places().filter_map(|number| *number)) {
            // SAFETY: the caller's, who has borrowed them from their owners until we return.
            *place = unsafe { BorrowedFd::borrow_raw(fd) };
            count += 1;
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(HAND_MAX))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        let fds = fds.get(..count).unwrap_or(&[]);
        if !ancillary.push(SendAncillaryMessage::ScmRights(fds)) {
            return Err(Errno::MSGSIZE);
        }
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        sendmsg(&self.send, &[IoSlice::new(b"h")], &mut ancillary, flags).map(|_| ())
    }
}

/// The ports that there are, those whose children are the oldest first.
pub(crate) struct Ports {
    all: VecDeque<Port>,
    /// Kept for those that are made yet.
    places: Vec<OwnedFd>,
}

impl Ports {
    /// Takes the places for them. None where the kernel, or a sandbox that we are in, does not let a
    /// child leave our table, which one is made to find out, and where we may have so few descriptors
    /// that they are for services.
    pub fn new() -> Ports {
        let mut ports = Ports::none();
        let most = getrlimit(Resource::Nofile).current;
        if most.is_none_or(|most| most >= ENOUGH) && probe().is_some() {
            ports.places = places().unwrap_or_default();
        }
        ports
    }

    /// Has none and makes none: every child is born with a copy of our table.
    pub fn none() -> Ports {
        Ports { all: VecDeque::new(), places: Vec::new() }
    }

    /// Sends a child that is about to be made its descriptors, which are open until this returns;
    /// returns how it comes by them.
    pub fn send(&mut self, hand: Hand) -> Table {
        let Some(port) = self.free() else { return Table::Copied };
        let table = match port.send(hand) {
            Ok(()) => Table::Shared(port.receive.as_raw_fd()),
            Err(_) => Table::Copied,
        };
        self.all.push_back(port);
        table
    }

    /// Notes whose the descriptors are that were sent last; nobody's: then they are taken back.
    pub fn sent_to(&mut self, taker: Option<Pid>) {
        let Some(port) = self.all.back_mut() else { return };
        port.taker = taker;
        if taker.is_none() {
            let _ = seqpacket::receive(&port.receive, &mut [0]);
        }
    }

    /// A child has ended and is reaped. What it had not taken is taken back; where it ended by itself
    /// it could not leave our table, which is reported for it.
    pub fn ended(&mut self, pid: Pid, exit: Exit) {
        let Some(port) = self.all.iter_mut().find(|port| port.taker == Some(pid)) else { return };
        port.taker = None;
        let Ok(message) = seqpacket::receive(&port.receive, &mut [0]) else { return };
        if let (Exit::Status(_), [Some(report), ..]) = (exit, &message.fds) {
            let failure = report::encode(Gravity::Failure, Step::Fork, Errno::NOMEM);
            let _ = rustix::io::write(report, &failure);
        }
    }

    fn free(&mut self) -> Option<Port> {
        for _ in 0..self.all.len().min(LOOKED_AT) {
            let port = self.all.pop_front()?;
            if port.is_free() {
                return Some(port);
            }
            self.all.push_back(port);
        }
        if self.places.is_empty() {
            return None;
        }
        self.all.try_reserve(1).ok()?;
        Port::at_one_of(&mut self.places)
    }
}

/// One whose message is not taken stays open: its child is on its way yet.
impl Drop for Ports {
    fn drop(&mut self) {
        for port in self.all.drain(..).filter(|port| !port.is_free()) {
            let _: [RawFd; 2] = [port.send.into_raw_fd(), port.receive.into_raw_fd()];
        }
    }
}

/// Leaves our parent's table and takes what was sent; `hand` has our own numbers then, or as many of
/// them as there was room for. Nothing of our parent's table is touched where that is refused.
/// Async-signal-safe, sets no `errno`.
pub(crate) fn take(port: RawFd, hand: &mut Hand) -> Result<(), Errno> {
    let mut wanted = *hand;
    *hand = Hand::default();
    leave()?;
    // Of what our parent is about to close we may have got copies, the end of our own report among them.
    close(FIRST, port - 1);
    close(port + 1, LOW - 1);
    // SAFETY: below `LOW`, so there is a copy of it, which nobody but us knows.
    let port = unsafe { BorrowedFd::borrow_raw(port) };
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(HAND_MAX))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    recvmsg(port, &mut [IoSliceMut::new(&mut [0])], &mut ancillary, flags)?;
    let mut received = ancillary.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(fds) => Some(fds),
        _ => None,
    });
    let mut fds = received.next().into_iter().flatten();
    for (place, wanted) in hand.places().zip(wanted.places()) {
        if wanted.is_some() {
            *place = Some(fds.next().ok_or(Errno::MFILE)?.into_raw_fd());
        }
    }
    Ok(())
}

/// Gives this process a table of its own, with what is below [`LOW`].
fn leave() -> Result<(), Errno> {
    let (from, to) = (LOW as usize, u32::MAX as usize);
    let unshare = libc::CLOSE_RANGE_UNSHARE as usize;
    // SAFETY: plain numbers. Nothing of this process uses what is there: it is a child before its exec.
    unsafe { raw::call(libc::SYS_close_range, [from, to, unshare, 0, 0]) }.map(|_| ())
}

/// Closes what there is from one place to another in a table of our own.
fn close(from: RawFd, to: RawFd) {
    let (from, to) = (from as usize, to as usize);
    // SAFETY: as in `leave`. It does not fail where that did not, but for a range that ends before it begins.
    let _ = unsafe { raw::call(libc::SYS_close_range, [from, to, 0, 0, 0]) };
}

/// Makes a child leave our table and looks what became of both.
fn probe() -> Option<()> {
    let end = seqpacket::pair().ok()?.0;
    let ours = rustix::io::fcntl_dupfd_cloexec(&end, LOW).ok()?;
    match fork(Sharing::Table).ok()? {
        Side::Child => {
            let left = leave().is_ok();
            // SAFETY: ends this process at once; nothing of it is to be torn down.
            unsafe { libc::_exit(i32::from(!left)) }
        }
        Side::Parent(pid) => {
            let left = exit_of(pid) == Some(Exit::Status(0));
            let whole = rustix::io::fcntl_getfd(&ours).is_ok();
            if !whole {
                // Closed already: its number may be another's before long.
                let _ = ours.into_raw_fd();
                return None;
            }
            left.then_some(())
        }
    }
}

/// Returns descriptors that keep the places of all ports.
fn places() -> Result<Vec<OwnedFd>, Errno> {
    let (first, _) = seqpacket::pair()?;
    let mut places = Vec::new();
    places.try_reserve_exact(PORTS).map_err(|_| Errno::NOMEM)?;
    while places.len() < PORTS {
        let place = rustix::io::fcntl_dupfd_cloexec(&first, HIGH)?;
        if place.as_raw_fd() >= LOW {
            break;
        }
        places.push(place);
    }
    Ok(places)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Progress, Report};
    use rustix::pipe::{pipe_with, PipeFlags};

    fn allowed() -> Option<Ports> {
        let ports = Ports::new();
        if ports.places.is_empty() {
            println!("passed over: no child may leave our table here");
            return None;
        }
        Some(ports)
    }

    fn report() -> (Report, OwnedFd) {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).unwrap();
        (Report::new(read), write)
    }

    /// Reads a report to its end. Children of other tests may have a copy until they execute.
    fn settled(report: &mut Report) -> Progress {
        loop {
            match report.read() {
                Progress::Pending => std::thread::yield_now(),
                progress => return progress,
            }
        }
    }

    /// Sends a report to a child that does not come for it; returns its end that is read.
    fn left_behind(ports: &mut Ports, taker: Option<Pid>) -> Report {
        let (read, write) = report();
        let hand = Hand { report: Some(write.as_raw_fd()), ..Hand::default() };
        assert_ne!(ports.send(hand), Table::Copied);
        ports.sent_to(taker);
        read
    }

    #[test]
    fn what_a_child_did_not_take_is_closed_when_it_has_ended() {
        let Some(mut ports) = allowed() else { return };
        let (mut first, mut second) =
            (left_behind(&mut ports, Some(7)), left_behind(&mut ports, Some(8)));
        assert_eq!(first.read(), Progress::Pending);
        ports.ended(7, Exit::Signal { signal: 9, core: false });
        assert_eq!((settled(&mut first), second.read()), (Progress::Runs, Progress::Pending));
        ports.ended(9, Exit::Status(0));
        assert_eq!(second.read(), Progress::Pending, "somebody else");
        ports.ended(8, Exit::Status(255));
        let failed = Progress::Failed { step: Step::Fork, errno: Errno::NOMEM.raw_os_error() };
        assert_eq!(settled(&mut second), failed, "it could not leave our table");
        let mut third = left_behind(&mut ports, None);
        assert_eq!(settled(&mut third), Progress::Runs, "it was never made");
    }

    #[test]
    fn a_port_is_used_again_once_what_lay_there_is_gone_and_no_sooner() {
        let Some(mut ports) = allowed() else { return };
        let many = ports.places.len();
        let waiting: Vec<_> =
            (1..).take(many).map(|pid| left_behind(&mut ports, Some(pid))).collect();
        let (_, write) = report();
        let hand = Hand { report: Some(write.as_raw_fd()), ..Hand::default() };
        assert_eq!(ports.send(hand), Table::Copied, "all are taken");
        (1..).take(many).for_each(|pid| ports.ended(pid, Exit::Signal { signal: 9, core: false }));
        assert_ne!(ports.send(hand), Table::Copied);
        assert_eq!(waiting.len(), many);
    }

    #[test]
    fn a_child_has_what_it_was_sent_and_nothing_else_though_its_parent_has_closed_it() {
        let Some(mut ports) = allowed() else { return };
        let (mut read, write) = report();
        let high = rustix::io::fcntl_dupfd_cloexec(&write, LOW).unwrap();
        let number = high.as_raw_fd();
        let hand = Hand { report: Some(write.as_raw_fd()), log: Some(number), ..Hand::default() };
        let Table::Shared(port) = ports.send(hand) else { panic!("none is free") };
        let (begin, begun) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        let pid = match fork(Sharing::Table).unwrap() {
            Side::Child => {
                let mut hand = hand;
                let _ = rustix::io::read(&begin, &mut [0]);
                let taken = take(port, &mut hand);
                let log = hand.log.filter(|log| *log != number);
                // SAFETY: plain numbers. Ends this process at once; nothing of it is to be torn down.
                unsafe {
                    let gone = libc::fcntl(number, libc::F_GETFD) < 0;
                    let there = log.is_some_and(|log| libc::fcntl(log, libc::F_GETFD) >= 0);
                    libc::_exit(i32::from(!(taken.is_ok() && gone && there)))
                }
            }
            Side::Parent(pid) => pid,
        };
        ports.sent_to(Some(pid));
        drop((write, high));
        rustix::io::write(&begun, b"x").unwrap();
        assert_eq!(exit_of(pid), Some(Exit::Status(0)));
        assert_eq!(settled(&mut read), Progress::Runs);
        assert!(ports.all.iter().all(Port::is_free));
    }
}
