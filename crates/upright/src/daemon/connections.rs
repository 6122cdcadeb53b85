//! The control sockets: connections of clients, bounded in number, in memory and in time.

use engine::control::answer::Answer;
use engine::control::call::{Call, Follow};
use engine::control::conversation::Conversation;
use engine::control::fault::Fault;
use engine::control::notice::Notice;
use engine::control::rights::{Peer, Rights};
use engine::machine::request::RequestId;
use engine::time::{Mono, Span};
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use sys::epoll::{Epoll, Interest};

/// How many clients may be connected at once.
const CONNECTIONS_MAX: usize = 1024;

/// How many of those may be of one user that is neither root nor the owner.
const STRANGERS_MAX: usize = 128;

/// How many bytes one connection is read from in one turn.
const READ_MAX: usize = 256 * 1024;

/// A subscriber whose unsent bytes exceed this loses notices; it is told how many.
const BACKLOG_MAX: usize = 256 * 1024;

/// How many notices are kept for streams that are resumed.
const KEPT_MAX: usize = 1024;

/// A message that is begun must be finished within this time.
const UNFINISHED_MAX: Span = Span::secs(30);

/// Identifies a connection; never given twice.
pub type ConnectionId = u32;

/// What the client of a connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaits {
    /// Nothing.
    Nothing,
    /// The reply to a request.
    Reply(RequestId),
    /// Notices, after this one.
    Notices(u64),
}

struct Connection {
    stream: UnixStream,
    conversation: Conversation,
    out: Vec<u8>,
    awaits: Awaits,
    interest: Interest,
    begun: Option<Mono>,
}

/// All connections, and the notices kept for them.
pub struct Connections {
    open: BTreeMap<ConnectionId, Connection>,
    next: ConnectionId,
    waiting: BTreeMap<RequestId, Vec<ConnectionId>>,
    kept: VecDeque<Notice>,
    rights: Rights,
}

/// The epoll token of a connection.
pub fn token(id: ConnectionId) -> u64 {
    1 << 32 | u64::from(id)
}

/// The connection of an epoll token.
pub fn of_token(token: u64) -> Option<ConnectionId> {
    (token >> 32 == 1).then_some(token as u32)
}

impl Connections {
    /// Returns no connections, under these rights.
    pub fn new(rights: Rights) -> Connections {
        Connections {
            open: BTreeMap::new(),
            next: 1,
            waiting: BTreeMap::new(),
            kept: VecDeque::new(),
            rights,
        }
    }

    /// Takes in who has connected, at most a batch a turn.
    pub fn accept(&mut self, listener: &UnixListener, epoll: &Epoll) {
        const BATCH: usize = 64;
        for _ in 0..BATCH {
            let stream = match listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return,
            };
            let Ok(peer) = sys::peer::of(&stream) else { continue };
            if stream.set_nonblocking(true).is_err() {
                continue;
            }
            if self.full_for(peer) {
                refuse(&stream, "too many connections; try again later");
                continue;
            }
            let id = self.next;
            if epoll.add(&stream, token(id), Interest::Read).is_err() {
                refuse(&stream, "no room for another connection; try again later");
                continue;
            }
            self.next = self.next.wrapping_add(1).max(1);
            let conversation = Conversation::new(peer, self.rights);
            let connection = Connection {
                stream,
                conversation,
                out: Vec::new(),
                awaits: Awaits::Nothing,
                interest: Interest::Read,
                begun: None,
            };
            self.open.insert(id, connection);
        }
    }

    fn full_for(&self, peer: Peer) -> bool {
        if self.open.len() >= CONNECTIONS_MAX {
            return true;
        }
        let owner = peer.uid == 0 || peer.uid == self.rights.owner;
        let same = |connection: &&Connection| connection.conversation.peer().uid == peer.uid;
        !owner && self.open.values().filter(same).count() >= STRANGERS_MAX
    }

    /// Reads what a client has sent. Reports whether it is still there.
    pub fn read(&mut self, id: ConnectionId, now: Mono) -> bool {
        let Some(connection) = self.open.get_mut(&id) else { return false };
        let mut buffer = [0; 16 * 1024];
        let mut read = 0;
        while read < READ_MAX && connection.conversation.reads() {
            match connection.stream.read(&mut buffer) {
                Ok(0) => return false,
                Ok(length) => {
                    connection.conversation.feed(buffer.get(..length).unwrap_or(&[]));
                    connection.begun.get_or_insert(now);
                    read += length;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        true
    }

    /// Returns the next call of a client that waits for nothing.
    pub fn take(&mut self, id: ConnectionId) -> Option<Call> {
        let connection = self.open.get_mut(&id)?;
        let call = connection.conversation.take(&mut connection.out);
        if call.is_some() {
            connection.begun = None;
        }
        call
    }

    /// Answers a client's call.
    pub fn answer(&mut self, id: ConnectionId, answer: Result<Answer, Fault>) {
        let Some(connection) = self.open.get_mut(&id) else { return };
        connection.awaits = Awaits::Nothing;
        connection.conversation.answer(answer, &mut connection.out);
    }

    /// Lets a client wait for the reply to a request.
    pub fn await_reply(&mut self, id: ConnectionId, request: RequestId) {
        let Some(connection) = self.open.get_mut(&id) else { return };
        connection.awaits = Awaits::Reply(request);
        self.waiting.entry(request).or_default().push(id);
    }

    /// Returns who waits for a request, and forgets it.
    pub fn take_waiting(&mut self, request: RequestId) -> Vec<ConnectionId> {
        self.waiting.remove(&request).unwrap_or_default()
    }

    /// Reports whether any of those who wait for a request may see a job's output.
    pub fn may_see_output(&self, request: RequestId) -> bool {
        let waiting = self.waiting.get(&request).into_iter().flatten();
        waiting.filter_map(|id| self.open.get(id)).any(|connection| {
            connection.conversation.sight() == engine::control::rights::Sight::Full
        })
    }

    /// Begins a stream of notices after the one of this number; without one, after the last.
    /// A stream that does not follow ends with what is kept.
    pub fn subscribe(&mut self, id: ConnectionId, after: Option<u64>, next: u64, follow: Follow) {
        let from = match (after, follow) {
            // The numbers have begun anew since.
            (Some(after), _) if after >= next => 0,
            (Some(after), _) => after,
            (None, Follow::On) => next.saturating_sub(1),
            (None, Follow::Off) => self.kept.front().map_or(0, |first| first.sequence - 1),
        };
        if let Some(connection) = self.open.get_mut(&id) {
            connection.awaits = Awaits::Notices(from);
        }
        self.send_notices(id);
        if follow == Follow::Off {
            self.answer(id, Ok(Answer::Done));
        }
    }

    /// Keeps a notice for all subscribers; one that is kept already is not kept again.
    pub fn publish(&mut self, notice: Notice) {
        if self.kept.back().is_some_and(|last| last.sequence >= notice.sequence) {
            return;
        }
        if self.kept.len() >= KEPT_MAX {
            self.kept.pop_front();
        }
        self.kept.push_back(notice);
    }

    /// Sends subscribers what they have not seen.
    pub fn send_all_notices(&mut self) {
        let subscribed = self.open.iter().filter(|(_, connection)| match connection.awaits {
            Awaits::Notices(_) => true,
            Awaits::Nothing | Awaits::Reply(_) => false,
        });
        let ids: Vec<ConnectionId> = subscribed.map(|(id, _)| *id).collect();
        ids.into_iter().for_each(|id| self.send_notices(id));
    }

    fn send_notices(&mut self, id: ConnectionId) {
        let Some(connection) = self.open.get_mut(&id) else { return };
        let Awaits::Notices(mut seen) = connection.awaits else { return };
        let first = self.kept.partition_point(|notice| notice.sequence <= seen);
        for kept in self.kept.range(first..) {
            if connection.out.len() > BACKLOG_MAX {
                break;
            }
            let notice = Notice { missed: kept.sequence - seen - 1, ..kept.clone() };
            connection.conversation.notice(&notice, &mut connection.out);
            seen = kept.sequence;
            connection.awaits = Awaits::Notices(seen);
        }
    }

    /// Sends what can be sent and watches for what comes next. Reports whether the client is still
    /// there.
    pub fn flush(&mut self, id: ConnectionId, epoll: &Epoll) -> bool {
        let Some(connection) = self.open.get_mut(&id) else { return false };
        let mut sent = 0;
        while sent < connection.out.len() {
            match connection.stream.write(connection.out.get(sent..).unwrap_or(&[])) {
                Ok(0) => return false,
                Ok(length) => sent += length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        connection.out.drain(..sent);
        if connection.out.is_empty() {
            connection.out.shrink_to(4096);
            if connection.conversation.closing() {
                return false;
            }
        }
        let interest = match (connection.conversation.reads(), connection.out.is_empty()) {
            (true, true) => Interest::Read,
            (true, false) => Interest::Both,
            (false, false) => Interest::Write,
            (false, true) => Interest::Nothing,
        };
        if interest != connection.interest {
            connection.interest = interest;
            return epoll.modify(&connection.stream, token(id), interest).is_ok();
        }
        true
    }

    /// Closes a connection; returns the request nobody waits for any more.
    pub fn close(&mut self, id: ConnectionId, epoll: &Epoll) -> Option<RequestId> {
        let connection = self.open.remove(&id)?;
        let _ = epoll.delete(connection.stream.as_fd());
        let Awaits::Reply(request) = connection.awaits else { return None };
        let waiting = self.waiting.get_mut(&request)?;
        waiting.retain(|waiting| *waiting != id);
        if waiting.is_empty() {
            self.waiting.remove(&request);
            return Some(request);
        }
        None
    }

    /// Returns connections that have not finished a message in time.
    pub fn overdue(&self, now: Mono) -> Vec<ConnectionId> {
        let overdue = self.open.iter().filter(|(_, connection)| {
            !connection.conversation.waits()
                && connection.begun.is_some_and(|begun| now.since(begun) > UNFINISHED_MAX)
        });
        overdue.map(|(id, _)| *id).collect()
    }

    /// Returns when the next unfinished message is overdue.
    pub fn next_deadline(&self) -> Option<Mono> {
        let begun = self.open.values().filter(|connection| !connection.conversation.waits());
        begun
            .filter_map(|connection| connection.begun)
            .min()
            .map(|begun| begun + UNFINISHED_MAX + Span::millis(1))
    }

    /// Returns the connections that have something to be sent.
    pub fn with_output(&self) -> Vec<ConnectionId> {
        let unsent = self.open.iter().filter(|(_, connection)| !connection.out.is_empty());
        unsent.map(|(id, _)| *id).collect()
    }

    /// Returns all connections.
    pub fn ids(&self) -> Vec<ConnectionId> {
        self.open.keys().copied().collect()
    }
}

/// Tells somebody who cannot be served why, as far as the socket takes it.
fn refuse(mut stream: &UnixStream, why: &str) {
    let mut frame = Fault::Unavailable(String::from(why)).frame();
    frame.push(0);
    let _ = stream.write(&frame);
}
