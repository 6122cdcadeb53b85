//! The control sockets: connections of clients, bounded in number, in memory and in time.

use engine::control::answer::Answer;
use engine::control::audit::Entry;
use engine::control::call::{Call, Follow};
use engine::control::command::Row;
use engine::control::conversation::{Conversation, OUT_MAX};
use engine::control::fault::Fault;
use engine::control::notice::{self, Notice};
use engine::control::rights::{Caller, Judge, Sight, OVERFLOW_UID};
use engine::machine;
use engine::machine::request::RequestId;
use engine::names::{InstanceName, JobName};
use engine::time::{Mono, Span};
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use sys::epoll::{Epoll, Interest};
use sys::{seqpacket, Errno};

/// How many clients may be connected at once.
const CONNECTIONS_MAX: usize = 1024;

/// How many of those may wait for an answer or for notices: the others can always be let go for
/// somebody new.
const WAITING_MAX: usize = CONNECTIONS_MAX - 128;

/// How many of each may be of one user that is neither root nor the owner, or of one server.
const STRANGERS_MAX: usize = 128;
const STRANGERS_WAITING_MAX: usize = STRANGERS_MAX - 32;

/// How many connections are taken in one turn.
const ACCEPT_BATCH: usize = 32;

/// How many bytes one connection is read from in one turn.
const READ_MAX: usize = 256 * 1024;

/// A subscriber whose unsent bytes exceed this loses notices; it is told how many.
const BACKLOG_MAX: usize = 256 * 1024;

/// A list goes on while fewer than this many bytes wait to be sent.
const PAGES_MAX: usize = 128 * 1024;

/// How many bytes all clients together may leave unfinished or unread. Beyond it, who holds most is
/// let go.
const HELD_MAX: usize = 16 * 1024 * 1024;

/// How many notices are kept for streams that are resumed, and about how many bytes.
const KEPT_MAX: usize = 256;
const KEPT_BYTES: usize = 1024 * 1024;

/// After so many notices subscribers are sent theirs in the middle of a turn.
const UNSENT_MAX: usize = 128;

/// A message that is begun must be finished within this time.
const UNFINISHED_MAX: Span = Span::secs(30);

/// How long nobody is taken in when there is no descriptor for it.
const PAUSE: Span = Span::millis(200);

/// Identifies a connection; never given twice.
pub type ConnectionId = u32;

/// Where a list goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cursor {
    /// The instances from this one on; from the first on where there is none.
    Instances(Option<(JobName, InstanceName)>),
    /// The jobs from this one on.
    Jobs(Option<JobName>),
}

/// What the client of a connection waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Awaits {
    /// Nothing.
    Nothing,
    /// The reply to a request.
    Reply(RequestId),
    /// Notices, after this one.
    Notices(u64),
    /// The next pages of a list.
    Pages(Cursor),
    /// All job files to have been read.
    Files,
    /// Files to be in force.
    Applying,
    /// Whether another binary can be gone on in.
    Upgrade,
    /// A process's standard input to be written to.
    Input,
    /// What the logger does with a log.
    Logger,
    /// The tokens of this number to be on the disk.
    Kept(u64),
    /// What programs say; so much of it was lost.
    Outputs(u64),
}

/// What became of a connection that was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It is still there.
    There,
    /// It is broken.
    Gone,
    /// It speaks D-Bus; nothing of it has been read.
    Dbus,
}

/// What may be spoken on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tongue {
    /// Varlink.
    Varlink,
    /// What the first byte says: `{` is Varlink, NUL is D-Bus.
    Either,
}

/// Whether somebody new can be taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepting {
    /// Whoever was there has been.
    Yes,
    /// There is no descriptor for it until one is given back.
    Paused,
}

/// A stream that is open.
#[derive(Clone, Copy, Debug)]
pub struct Stream {
    /// The command that began it.
    pub row: &'static Row,
    /// How much of it is shown.
    pub sight: Sight,
}

/// Whether the client has said its last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speech {
    GoesOn,
    /// It has closed its side for sending, and may still want its answers.
    Ended,
}

struct Connection {
    stream: UnixStream,
    conversation: Conversation,
    out: Vec<u8>,
    /// Descriptors that travel with the byte at that place of `out`.
    attached: VecDeque<(usize, OwnedFd)>,
    awaits: Awaits,
    interest: Interest,
    /// When the message that is not finished was begun.
    begun: Option<Mono>,
    speech: Speech,
    tongue: Tongue,
    /// The last descriptor that came.
    file: Option<OwnedFd>,
    /// What is to be written down of the call that is being answered.
    entry: Option<Entry>,
    /// Whether something ends with it, so that it is not let go for being idle.
    kept: bool,
}

impl Connection {
    fn waits(&self) -> bool {
        if self.kept {
            return true;
        }
        match self.awaits {
            Awaits::Nothing
            | Awaits::Pages(_)
            | Awaits::Files
            | Awaits::Applying
            | Awaits::Upgrade
            | Awaits::Logger
            | Awaits::Kept(_)
            | Awaits::Input => false,
            Awaits::Reply(_) | Awaits::Notices(_) | Awaits::Outputs(_) => true,
        }
    }

    fn reads(&self) -> bool {
        self.conversation.reads() && self.speech == Speech::GoesOn
    }

    /// Says why the connection is going to be closed, unless it is in the middle of a frame.
    fn tell(&self, why: &str) {
        if self.out.is_empty() {
            refuse(&self.stream, why);
        }
    }

    /// Sends what can be sent now. Reports whether the other side is still there.
    fn send(&mut self) -> bool {
        let mut sent = 0;
        while sent < self.out.len() {
            let until = match self.attached.front() {
                Some((at, file)) if *at <= sent => {
                    // One byte goes whole or not at all, and so does the descriptor.
                    let byte = self.out.get(sent..sent + 1).unwrap_or(&[]);
                    match seqpacket::send(&self.stream, &[byte], &[file.as_fd()]) {
                        Ok(()) => sent += 1,
                        Err(Errno::AGAIN) => break,
                        Err(_) => return false,
                    }
                    self.attached.pop_front();
                    continue;
                }
                Some((at, _)) => *at,
                None => self.out.len(),
            };
            match self.stream.write(self.out.get(sent..until).unwrap_or(&[])) {
                Ok(0) => return false,
                Ok(length) => sent += length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        self.out.drain(..sent);
        for (at, _) in &mut self.attached {
            *at -= sent.min(*at);
        }
        if self.out.is_empty() {
            self.out.shrink_to(4096);
        }
        true
    }
}

/// A notice that is kept, and when it happened where that is known.
#[derive(Debug)]
struct Kept {
    at: Option<Mono>,
    notice: Notice,
}

/// All connections, and the notices kept for them.
pub struct Connections {
    open: BTreeMap<ConnectionId, Connection>,
    next: ConnectionId,
    waiting: BTreeMap<RequestId, Vec<ConnectionId>>,
    kept: VecDeque<Kept>,
    kept_bytes: usize,
    unsent: usize,
    /// What is to be written down of calls that were answered.
    ended: Vec<String>,
    /// The user that Upright runs as.
    owner: u32,
    paused: Option<Mono>,
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
    /// Returns no connections to an Upright of this user.
    pub fn new(owner: u32) -> Connections {
        Connections {
            open: BTreeMap::new(),
            next: 1,
            waiting: BTreeMap::new(),
            kept: VecDeque::new(),
            kept_bytes: 0,
            unsent: 0,
            ended: Vec::new(),
            owner,
            paused: None,
        }
    }

    /// Takes in who has connected, at most a batch a turn, and adds them to `comers`. Where there is no
    /// room, whoever has been idle longest is let go.
    pub fn accept(
        &mut self,
        listener: &UnixListener,
        tongue: Tongue,
        epoll: &Epoll,
        now: Mono,
        comers: &mut Vec<ConnectionId>,
    ) -> Accepting {
        const MFILE: i32 = Errno::MFILE.raw_os_error();
        const NFILE: i32 = Errno::NFILE.raw_os_error();
        const NOMEM: i32 = Errno::NOMEM.raw_os_error();
        const NOBUFS: i32 = Errno::NOBUFS.raw_os_error();
        for _ in 0..ACCEPT_BATCH {
            let stream = match listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) => match error.raw_os_error() {
                    Some(MFILE | NFILE | NOMEM | NOBUFS) => {
                        // The listener would stay ready: it is left alone for a while.
                        self.let_idle_go(None, epoll);
                        self.paused = Some(now + PAUSE);
                        return Accepting::Paused;
                    }
                    _ if error.kind() == io::ErrorKind::WouldBlock => return Accepting::Yes,
                    _ => continue,
                },
            };
            if let Ok(peer) = sys::peer::of(&stream) {
                comers.extend(self.take_in(stream, Caller::Peer(peer), tongue, epoll));
            }
        }
        Accepting::Yes
    }

    /// Takes in a connection of which it is known in whose name it speaks.
    pub fn take_in(
        &mut self,
        stream: UnixStream,
        caller: Caller,
        tongue: Tongue,
        epoll: &Epoll,
    ) -> Option<ConnectionId> {
        stream.set_nonblocking(true).ok()?;
        if self.full_for(&caller) && !self.let_idle_go(Some(&caller), epoll) {
            refuse(&stream, "too many connections, and all of them wait; try again later");
            return None;
        }
        let id = self.next;
        if epoll.add(&stream, token(id), Interest::Read).is_err() {
            refuse(&stream, "no room for another connection; try again later");
            return None;
        }
        self.next = self.next.wrapping_add(1).max(1);
        let conversation = Conversation::new(caller);
        let connection = Connection {
            stream,
            conversation,
            out: Vec::new(),
            attached: VecDeque::new(),
            awaits: Awaits::Nothing,
            interest: Interest::Read,
            begun: None,
            speech: Speech::GoesOn,
            tongue,
            file: None,
            entry: None,
            kept: false,
        };
        self.open.insert(id, connection);
        Some(id)
    }

    fn owns(&self, caller: &Caller) -> bool {
        match caller {
            Caller::Peer(peer) => {
                peer.uid != OVERFLOW_UID && (peer.uid == 0 || peer.uid == self.owner)
            }
            // Whoever is behind it must leave room for the others.
            Caller::Server(_) | Caller::Token(_) => false,
        }
    }

    fn full_for(&self, caller: &Caller) -> bool {
        let same = |connection: &&Connection| connection.conversation.caller().is_same(caller);
        self.open.len() >= CONNECTIONS_MAX
            || (!self.owns(caller) && self.open.values().filter(same).count() >= STRANGERS_MAX)
    }

    /// Lets the connection go that has been idle longest: strangers first, and for a stranger only
    /// one of the same user. Reports whether there was one.
    fn let_idle_go(&mut self, comer: Option<&Caller>, epoll: &Epoll) -> bool {
        let idle = self.open.iter().filter(|(_, connection)| {
            let caller = connection.conversation.caller();
            !connection.waits()
                && comer.is_none_or(|comer| self.owns(comer) || comer.is_same(caller))
        });
        let first = idle.min_by_key(|(id, connection)| {
            let stranger = !self.owns(connection.conversation.caller());
            let silent = connection.out.is_empty() && connection.begun.is_none();
            (!stranger, !silent, **id)
        });
        let Some(id) = first.map(|(id, _)| *id) else { return false };
        if let Some(connection) = self.open.get(&id) {
            connection.tell("too many connections: this one was idle longest; connect again");
        }
        self.close(id, epoll);
        true
    }

    /// Reports whether one more client of this connection's user may wait.
    pub fn may_wait(&self, id: ConnectionId) -> Result<(), Fault> {
        let Some(caller) = self.caller(id) else { return Ok(()) };
        let mut waiting = (0, 0);
        for connection in self.open.values().filter(|connection| connection.waits()) {
            waiting.0 += 1;
            waiting.1 += usize::from(connection.conversation.caller().is_same(caller));
        }
        let stranger = !self.owns(caller) && waiting.1 >= STRANGERS_WAITING_MAX;
        if waiting.0 < WAITING_MAX && !stranger {
            return Ok(());
        }
        let most = if stranger { STRANGERS_WAITING_MAX } else { WAITING_MAX };
        Err(Fault::Unavailable(format!("{most} clients wait already; try again later")))
    }

    /// Reads what a client has sent.
    pub fn read(&mut self, id: ConnectionId, hangup: bool) -> Heard {
        let Some(connection) = self.open.get_mut(&id) else { return Heard::Gone };
        if connection.tongue == Tongue::Either {
            match sys::peer::first_byte(&connection.stream) {
                Ok(Some(0)) => return Heard::Dbus,
                Ok(Some(_)) => connection.tongue = Tongue::Varlink,
                // Nothing is read before it is known: what comes just now may be D-Bus.
                Err(Errno::AGAIN) => return Heard::There,
                Ok(None) | Err(_) => {}
            }
        }
        let mut buffer = [0; 16 * 1024];
        let mut read = 0;
        while read < READ_MAX && connection.reads() {
            match sys::peer::read(&connection.stream, &mut buffer) {
                Ok((0, _)) => connection.speech = Speech::Ended,
                Ok((length, file)) => {
                    connection.conversation.feed(buffer.get(..length).unwrap_or(&[]));
                    connection.file = file.or(connection.file.take());
                    read += length;
                    // That was all there is. What comes after it, its end too, is told again.
                    if length < buffer.len() && !hangup {
                        break;
                    }
                }
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(_) => return Heard::Gone,
            }
        }
        // Gone altogether, and told so again and again for as long as it is not closed.
        if hangup && !connection.reads() {
            return Heard::Gone;
        }
        Heard::There
    }

    /// Returns the next call of a client that waits for nothing, of those that the judge lets it make.
    pub fn take(&mut self, id: ConnectionId, judge: &dyn Judge) -> Option<Call> {
        let connection = self.open.get_mut(&id)?;
        connection.conversation.take(judge, &mut connection.out)
    }

    /// Returns in whose name a connection speaks.
    pub fn caller(&self, id: ConnectionId) -> Option<&Caller> {
        self.open.get(&id).map(|connection| connection.conversation.caller())
    }

    /// Takes the descriptor that came with a client's call; another call has none.
    pub fn take_file(&mut self, id: ConnectionId) -> Option<OwnedFd> {
        self.open.get_mut(&id)?.file.take()
    }

    /// Notes since when a client owes the rest of a message.
    pub fn note_begun(&mut self, id: ConnectionId, now: Mono) {
        let Some(connection) = self.open.get_mut(&id) else { return };
        let conversation = &connection.conversation;
        if conversation.waits() || conversation.unread() == 0 || conversation.is_ready() {
            connection.begun = None;
        } else {
            connection.begun.get_or_insert(now);
        }
    }

    /// Reports whether there is a call to be taken of a client that sends nothing more for now.
    pub fn is_ready(&self, id: ConnectionId) -> bool {
        self.open.get(&id).is_some_and(|connection| {
            connection.conversation.is_ready() && connection.out.len() <= OUT_MAX
        })
    }

    /// Answers a client's call.
    pub fn answer(&mut self, id: ConnectionId, answer: Result<Answer, Fault>) {
        let Some(connection) = self.open.get_mut(&id) else { return };
        connection.awaits = Awaits::Nothing;
        if let Some(entry) = connection.entry.take() {
            self.ended.push(entry.end(Some(&answer)));
        }
        connection.conversation.answer(answer, &mut connection.out);
    }

    /// Answers a client's call, and sends a descriptor along.
    pub fn answer_with(&mut self, id: ConnectionId, answer: Result<Answer, Fault>, file: OwnedFd) {
        let Some(connection) = self.open.get_mut(&id) else { return };
        let at = connection.out.len();
        connection.awaits = Awaits::Nothing;
        connection.conversation.answer(answer, &mut connection.out);
        // Where nobody wants the answer, nobody gets the descriptor.
        if connection.out.len() > at {
            connection.attached.push_back((at, file));
        }
    }

    /// Notes what is to be written down once the call that was taken is answered.
    pub fn note(&mut self, id: ConnectionId, entry: Entry) {
        if let Some(connection) = self.open.get_mut(&id) {
            connection.entry = Some(entry);
        }
    }

    /// Returns what is to be written down of calls that were answered since.
    pub fn take_ended(&mut self) -> Vec<String> {
        std::mem::take(&mut self.ended)
    }

    /// Begins a list, where the client takes it in parts.
    pub fn begin_list(&mut self, id: ConnectionId, from: Cursor) -> bool {
        let Some(connection) = self.open.get_mut(&id) else { return false };
        let parts = connection.conversation.takes_pages();
        if parts {
            connection.awaits = Awaits::Pages(from);
        }
        parts
    }

    /// Returns where a client's list goes on, where there is room for more of it.
    pub fn wants_page(&self, id: ConnectionId) -> Option<Cursor> {
        let connection = self.open.get(&id)?;
        match &connection.awaits {
            Awaits::Pages(cursor) if connection.out.len() < PAGES_MAX => Some(cursor.clone()),
            Awaits::Pages(_)
            | Awaits::Nothing
            | Awaits::Reply(_)
            | Awaits::Notices(_)
            | Awaits::Files
            | Awaits::Applying
            | Awaits::Upgrade
            | Awaits::Kept(_)
            | Awaits::Outputs(_)
            | Awaits::Logger
            | Awaits::Input => None,
        }
    }

    /// Sends a part of a list that goes on there, or its last.
    pub fn page(&mut self, id: ConnectionId, part: Answer, next: Option<Cursor>) {
        let Some(next) = next else { return self.answer(id, Ok(part)) };
        let Some(connection) = self.open.get_mut(&id) else { return };
        connection.conversation.page(part, &mut connection.out);
        connection.awaits = match connection.conversation.waits() {
            true => Awaits::Pages(next),
            false => Awaits::Nothing,
        };
    }

    /// Lets a client wait until all job files have been read.
    pub fn await_files(&mut self, id: ConnectionId) {
        if let Some(connection) = self.open.get_mut(&id) {
            connection.awaits = Awaits::Files;
        }
    }

    /// Keeps a connection, however idle, for something ends with it.
    pub fn keep(&mut self, id: ConnectionId) {
        if let Some(connection) = self.open.get_mut(&id) {
            connection.kept = true;
        }
    }

    /// Lets a client wait until files are in force, or cannot be.
    pub fn await_applying(&mut self, id: ConnectionId) {
        if let Some(connection) = self.open.get_mut(&id) {
            connection.awaits = Awaits::Applying;
        }
    }

    /// Lets a client wait until another binary was tried.
    pub fn await_upgrade(&mut self, id: ConnectionId) {
        if let Some(connection) = self.open.get_mut(&id) {
            connection.awaits = Awaits::Upgrade;
        }
    }

    /// Lets a client hear what programs say from now on.
    pub fn await_outputs(&mut self, id: ConnectionId) {
        if let Err(fault) = self.may_wait(id) {
            return self.answer(id, Err(fault));
        }
        if let Some(connection) = self.open.get_mut(&id) {
            connection.awaits = Awaits::Outputs(0);
        }
    }

    /// Tells whoever listens what a program said. Who does not read loses it, and is told how much.
    pub fn tell_speech(&mut self, speech: &notice::Speech) {
        for connection in self.open.values_mut() {
            let Awaits::Outputs(missed) = connection.awaits else { continue };
            if connection.out.len() > BACKLOG_MAX {
                connection.awaits = Awaits::Outputs(missed.saturating_add(1));
                continue;
            }
            let speech = notice::Speech { missed, ..speech.clone() };
            connection.conversation.speech(&speech, &mut connection.out);
            connection.awaits = Awaits::Outputs(0);
        }
    }

    /// Lets a client wait until a standard input was written to.
    pub fn await_input(&mut self, id: ConnectionId) {
        if let Some(connection) = self.open.get_mut(&id) {
            connection.awaits = Awaits::Input;
        }
    }

    /// Lets a client wait until the logger has answered.
    pub fn await_logger(&mut self, id: ConnectionId) {
        if let Some(connection) = self.open.get_mut(&id) {
            connection.awaits = Awaits::Logger;
        }
    }

    /// Lets a client wait until tokens are on the disk.
    pub fn await_kept(&mut self, id: ConnectionId, number: u64) {
        if let Some(connection) = self.open.get_mut(&id) {
            connection.awaits = Awaits::Kept(number);
        }
    }

    /// The tokens of this number are on the disk, or cannot be. Returns who waited for it.
    pub fn kept(&mut self, number: u64, fault: Option<Fault>) -> Vec<ConnectionId> {
        let waits = |one: &Connection| matches!(one.awaits, Awaits::Kept(of) if of <= number);
        let waiting = self.open.iter().filter(|(_, one)| waits(one));
        let ids: Vec<ConnectionId> = waiting.map(|(id, _)| *id).collect();
        for id in &ids {
            self.answer(*id, fault.clone().map_or(Ok(Answer::Done), Err));
        }
        ids
    }

    /// All job files have been read. Returns who waited for it.
    pub fn files_read(&mut self) -> Vec<ConnectionId> {
        let waiting = self.open.iter().filter(|(_, one)| one.awaits == Awaits::Files);
        let ids: Vec<ConnectionId> = waiting.map(|(id, _)| *id).collect();
        ids.iter().for_each(|id| self.answer(*id, Ok(Answer::Done)));
        ids
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

    /// Reports whether anybody waits for a request. Who may ask for it may see the job's output.
    pub fn has_waiting(&self, request: RequestId) -> bool {
        self.waiting.get(&request).is_some_and(|waiting| !waiting.is_empty())
    }

    /// Returns the streams that are open.
    pub fn streams(&self) -> Vec<(ConnectionId, Stream)> {
        let stream = |connection: &Connection| {
            let conversation = &connection.conversation;
            Some(Stream { row: conversation.streams()?, sight: conversation.sight() })
        };
        self.open.iter().filter_map(|(id, one)| Some((*id, stream(one)?))).collect()
    }

    /// Begins a stream of notices after the one of this number; without one, after the last.
    /// A stream that does not follow ends with what is kept.
    pub fn subscribe(
        &mut self,
        id: ConnectionId,
        after: Option<u64>,
        next: u64,
        follow: Follow,
        sight: Sight,
    ) {
        let from = match (after, follow) {
            // The numbers have begun anew since.
            (Some(after), _) if after >= next => 0,
            (Some(after), _) => after,
            (None, Follow::On) => next.saturating_sub(1),
            (None, Follow::Off) => self.kept.front().map_or(0, |first| first.notice.sequence - 1),
        };
        if let Some(connection) = self.open.get_mut(&id) {
            connection.awaits = Awaits::Notices(from);
            connection.conversation.see(sight);
        }
        self.send_notices(id);
        if follow == Follow::Off {
            self.answer(id, Ok(Answer::Done));
        }
    }

    /// Keeps a notice for all subscribers; one that is kept already is not kept again. Where one turn
    /// brings many, who reads fast is sent some before the oldest are forgotten.
    pub fn publish(&mut self, at: Option<Mono>, sequence: u64, what: machine::Notice) {
        if self.kept.back().is_some_and(|last| last.notice.sequence >= sequence) {
            return;
        }
        let notice = Notice { sequence, missed: 0, age: None, what };
        self.kept_bytes += size(&notice);
        self.kept.push_back(Kept { at, notice });
        self.unsent += 1;
        if self.unsent >= UNSENT_MAX {
            self.send_all_notices();
        }
        // The last stays, however long it is: with it everybody learns what was lost before.
        while self.kept.len() > 1 && (self.kept.len() > KEPT_MAX || self.kept_bytes > KEPT_BYTES) {
            let Some(oldest) = self.kept.pop_front() else { return };
            self.kept_bytes -= size(&oldest.notice);
        }
    }

    /// Sends subscribers what they have not seen.
    pub fn send_all_notices(&mut self) {
        self.unsent = 0;
        let subscribed = self.open.iter().filter(|(_, connection)| match connection.awaits {
            Awaits::Notices(_) => true,
            Awaits::Nothing
            | Awaits::Reply(_)
            | Awaits::Pages(_)
            | Awaits::Files
            | Awaits::Applying
            | Awaits::Upgrade
            | Awaits::Outputs(_)
            | Awaits::Logger
            | Awaits::Kept(_)
            | Awaits::Input => false,
        });
        let ids: Vec<ConnectionId> = subscribed.map(|(id, _)| *id).collect();
        for id in ids {
            self.send_notices(id);
            if let Some(connection) = self.open.get_mut(&id) {
                // Who is gone is found out by the flush at the end of the turn.
                connection.send();
            }
        }
    }

    fn send_notices(&mut self, id: ConnectionId) {
        let Some(connection) = self.open.get_mut(&id) else { return };
        let Awaits::Notices(mut seen) = connection.awaits else { return };
        let first = self.kept.partition_point(|kept| kept.notice.sequence <= seen);
        let now = sys::clock::monotonic();
        for Kept { at, notice } in self.kept.range(first..) {
            if connection.out.len() > BACKLOG_MAX {
                break;
            }
            let (missed, age) = (notice.sequence - seen - 1, at.map(|at| now.since(at)));
            let told = Notice { missed, age, ..notice.clone() };
            connection.conversation.notice(&told, &mut connection.out);
            seen = notice.sequence;
            connection.awaits = Awaits::Notices(seen);
        }
    }

    /// Sends what can be sent. Who read too slowly and has room again is sent what is kept, and with it how
    /// much was lost: nothing else may happen for long. Reports whether the client is still there.
    fn send_on(&mut self, id: ConnectionId) -> bool {
        loop {
            let Some(connection) = self.open.get_mut(&id) else { return false };
            if !connection.send() {
                return false;
            }
            let Awaits::Notices(seen) = connection.awaits else { return true };
            let is_behind = self.kept.back().is_some_and(|last| last.notice.sequence > seen);
            if !is_behind || connection.out.len() > BACKLOG_MAX {
                return true;
            }
            self.send_notices(id);
        }
    }

    /// Sends what can be sent and watches for what comes next. Reports whether the client is still
    /// there.
    pub fn flush(&mut self, id: ConnectionId, epoll: &Epoll) -> bool {
        if !self.send_on(id) {
            return false;
        }
        let Some(connection) = self.open.get_mut(&id) else { return false };
        let conversation = &connection.conversation;
        let more = matches!(connection.awaits, Awaits::Pages(_));
        if connection.out.is_empty() {
            let over = connection.speech == Speech::Ended
                && !conversation.waits()
                && !conversation.is_ready();
            if conversation.closing() || over {
                return false;
            }
        }
        let interest = match (connection.reads(), connection.out.is_empty() && !more) {
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
        self.ended.extend(connection.entry.map(|entry| entry.end(None)));
        let Awaits::Reply(request) = connection.awaits else { return None };
        let waiting = self.waiting.get_mut(&request)?;
        waiting.retain(|waiting| *waiting != id);
        if waiting.is_empty() {
            self.waiting.remove(&request);
            return Some(request);
        }
        None
    }

    /// Gives a connection away, to be served by somebody else.
    pub fn give_away(&mut self, id: ConnectionId, epoll: &Epoll) -> Option<(UnixStream, Caller)> {
        let connection = self.open.remove(&id)?;
        let _ = epoll.delete(connection.stream.as_fd());
        Some((connection.stream, connection.conversation.caller().clone()))
    }

    /// Returns connections that have not finished a message in time; they are told.
    pub fn overdue(&self, now: Mono) -> Vec<ConnectionId> {
        let overdue = self.open.iter().filter(|(_, connection)| {
            connection.begun.is_some_and(|begun| now.since(begun) > UNFINISHED_MAX)
        });
        overdue
            .map(|(id, connection)| {
                connection.tell("the message was not finished within 30 s");
                *id
            })
            .collect()
    }

    /// Returns who holds most, where all together hold too much; it is told.
    pub fn greediest(&self) -> Option<ConnectionId> {
        let held =
            |connection: &Connection| connection.out.len() + connection.conversation.unread();
        if self.open.values().map(held).sum::<usize>() <= HELD_MAX {
            return None;
        }
        let (id, connection) = self.open.iter().max_by_key(|(_, connection)| held(connection))?;
        connection.tell("the unfinished messages of all clients are too much");
        Some(*id)
    }

    /// Returns when something here is due: an unfinished message, or the end of a pause.
    pub fn next_deadline(&self) -> Option<Mono> {
        let begun = self.open.values().filter_map(|connection| connection.begun).min();
        let overdue = begun.map(|begun| begun + UNFINISHED_MAX + Span::millis(1));
        [overdue, self.paused].into_iter().flatten().min()
    }

    /// Ends a pause that is over. Reports whether there was one.
    pub fn end_pause(&mut self, now: Mono) -> bool {
        let over = self.paused.is_some_and(|until| until <= now);
        if over {
            self.paused = None;
        }
        over
    }

    /// Returns the connections that have something to be sent.
    pub fn with_output(&self) -> Vec<ConnectionId> {
        let unsent = self.open.iter().filter(|(_, connection)| !connection.out.is_empty());
        unsent.map(|(id, _)| *id).collect()
    }

    /// Returns the connections in the name of a token that are no streams.
    pub fn of_token(&self, name: &str) -> Vec<ConnectionId> {
        let is_its = |caller: &Caller| matches!(caller, Caller::Token(shown) if shown.name == name);
        let is_its = |one: &Conversation| is_its(one.caller()) && one.streams().is_none();
        let its = self.open.iter().filter(|(_, one)| is_its(&one.conversation));
        its.map(|(id, _)| *id).collect()
    }

    /// Returns all connections.
    pub fn ids(&self) -> Vec<ConnectionId> {
        self.open.keys().copied().collect()
    }
}

/// About how many bytes a notice takes.
fn size(notice: &Notice) -> usize {
    const AROUND: usize = 128;
    AROUND
        + match &notice.what {
            machine::Notice::Event { env, cause, .. } => {
                env.iter().map(|row| row.len()).sum::<usize>() + cause.len()
            }
            machine::Notice::Goal { cause, .. } => cause.len(),
            machine::Notice::State { .. }
            | machine::Notice::Failed { .. }
            | machine::Notice::Job { .. }
            | machine::Notice::Program(_)
            | machine::Notice::Restarted => 0,
        }
}

/// Tells somebody who cannot be served why, as far as the socket takes it.
fn refuse(mut stream: &UnixStream, why: &str) {
    let mut frame = Fault::Unavailable(String::from(why)).frame();
    frame.push(0);
    let _ = stream.write(&frame);
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::control::rights::{Peer, Rights};
    use engine::names::EventName;
    use engine::text::Text;
    use std::io::Read;

    #[test]
    fn who_has_read_on_is_told_what_is_kept_and_what_was_lost_though_nothing_more_happens() {
        let epoll = Epoll::new(8).unwrap();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let own = sys::peer::own_uid();
        let mut connections = Connections::new(own);
        let caller = Caller::Peer(Peer { uid: own, gid: 0, pid: 1, groups: Vec::new() });
        let id = connections.take_in(ours, caller, Tongue::Varlink, &epoll).unwrap();
        let mut call = Vec::new();
        Call::Events(None, Follow::On).encode(&mut call);
        theirs.write_all(&call).unwrap();
        assert_eq!(connections.read(id, false), Heard::There);
        let taken = connections.take(id, &Rights::of_owner(own)).unwrap();
        assert_eq!(taken, Call::Events(None, Follow::On));
        connections.subscribe(id, None, 1, Follow::On, Sight::Full);
        const LAST: u64 = 2_000;
        for sequence in 1..=LAST {
            let name = EventName::try_from("noise").unwrap();
            let env = vec![Text::from("X=".repeat(300))];
            let what = machine::Notice::Event { name, env, failed: false, cause: String::new() };
            connections.publish(None, sequence, what);
        }
        connections.send_all_notices();
        // From now on nothing happens but that the client reads.
        theirs.set_nonblocking(true).unwrap();
        let (mut text, mut bytes) = (Vec::new(), [0; 64 * 1024]);
        loop {
            let before = text.len();
            while let Ok(length @ 1..) = theirs.read(&mut bytes) {
                text.extend_from_slice(&bytes[..length]);
            }
            assert!(connections.flush(id, &epoll));
            if text.len() == before && connections.with_output().is_empty() {
                break;
            }
        }
        let frames = text.split(|byte| *byte == 0).filter(|frame| !frame.is_empty());
        let mut seen = 0;
        let mut lost = 0;
        for frame in frames {
            let frame: serde_json::Value = serde_json::from_slice(frame).unwrap();
            let number = |name: &str| frame["parameters"][name].as_u64().unwrap_or(0);
            assert_eq!(number("sequence"), seen + number("missed") + 1);
            (seen, lost) = (number("sequence"), lost + number("missed"));
        }
        assert!(seen == LAST && lost > 0, "{seen} of {LAST} seen, {lost} lost");
    }
}
