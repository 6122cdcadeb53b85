//! The server's side of one connection: bytes in, calls out, answers back.
//!
//! One call is answered at a time, in the order they came; a call that waits lets the others wait.
//! What needs nobody (introspection, mistakes, missing rights) is answered here.

use super::answer::{self, Answer};
use super::call::{self, Call};
use super::codec::{self, Continues, Envelope, Inbox, MESSAGE_MAX};
use super::command::{self, Command, Replies, Row};
use super::fault::Fault;
use super::notice::{Notice, Speech};
use super::params::Params;
use super::rights::{Asked, Caller, Judge, Sight};
use super::{INTERFACE, SERVICE};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// While more than this many bytes wait to be sent, no further call is taken.
pub const OUT_MAX: usize = 256 * 1024;

/// One connection.
#[derive(Debug)]
pub struct Conversation {
    caller: Caller,
    sight: Sight,
    inbox: Inbox,
    open: Option<Open>,
    closing: bool,
}

/// The call that is being answered.
#[derive(Debug)]
struct Open {
    row: &'static Row,
    more: bool,
    oneway: bool,
}

impl Conversation {
    /// Returns the conversation with somebody who has just connected.
    pub fn new(caller: Caller) -> Conversation {
        let sight = Sight::NamesOnly;
        Conversation { caller, sight, inbox: Inbox::default(), open: None, closing: false }
    }

    /// Returns in whose name the connection speaks.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Says how much of notices the caller may see from now on; before that, the least.
    pub fn see(&mut self, sight: Sight) {
        self.sight = sight;
    }

    /// Returns how much of notices the caller sees.
    pub fn sight(&self) -> Sight {
        self.sight
    }

    /// Returns the command whose stream is open; nothing where none is.
    pub fn streams(&self) -> Option<&'static Row> {
        self.open.as_ref().map(|open| open.row).filter(|row| row.replies == Replies::Stream)
    }

    /// Reports whether the caller should read from the socket: not while a whole message of the
    /// greatest length waits already, so that what a peer sends ahead stays in the kernel.
    pub fn reads(&self) -> bool {
        !self.closing && self.inbox.len() <= MESSAGE_MAX
    }

    /// Reports whether the connection shall be closed once everything is sent.
    pub fn closing(&self) -> bool {
        self.closing
    }

    /// Reports whether a call is being answered.
    pub fn waits(&self) -> bool {
        self.open.is_some()
    }

    /// Returns how many bytes of messages wait to be taken.
    pub fn unread(&self) -> usize {
        self.inbox.len()
    }

    /// Reports whether there is a message to be taken and no call is being answered.
    pub fn is_ready(&self) -> bool {
        self.open.is_none() && !self.closing && self.inbox.is_ready()
    }

    /// Reports whether the open call is answered in as many frames as it takes.
    pub fn takes_pages(&self) -> bool {
        let pages = |open: &Open| open.row.replies == Replies::Pages && open.more && !open.oneway;
        self.open.as_ref().is_some_and(pages)
    }

    /// Adds what was read from the socket.
    pub fn feed(&mut self, bytes: &[u8]) {
        if !self.closing {
            self.inbox.feed(bytes);
        }
    }

    /// Returns the next call for the daemon; it is open until [`Self::answer`]. Nothing while a
    /// call is open, while `out` is full, and when nothing whole has come. The judge decides what the
    /// caller may do.
    pub fn take(&mut self, judge: &dyn Judge, out: &mut Vec<u8>) -> Option<Call> {
        while self.open.is_none() && !self.closing && out.len() <= OUT_MAX {
            let envelope = match self.inbox.take()? {
                Ok(message) => codec::read_call(&message),
                Err(codec::TooLong) => {
                    Err(Fault::BadMessage(format!("a message of more than {MESSAGE_MAX} bytes")))
                }
            };
            match envelope.and_then(|envelope| self.understand(envelope, judge, out)) {
                Ok(Some(call)) => return Some(call),
                Ok(None) => {}
                Err(fault) => self.refuse(&fault, out),
            }
        }
        None
    }

    /// Answers the open call. Nothing happens where there is none.
    pub fn answer(&mut self, answer: Result<Answer, Fault>, out: &mut Vec<u8>) {
        let Some(open) = self.open.take() else { return };
        if open.oneway {
            return;
        }
        let written = answer.and_then(|answer| answer.encode(open.more, out));
        if let Err(fault) = written {
            self.refuse(&fault, out);
        }
    }

    /// Sends a part of the answer to the open call; the last part is the [`Self::answer`]. Nothing
    /// happens where no such call is open.
    pub fn page(&mut self, part: Answer, out: &mut Vec<u8>) {
        if !self.takes_pages() {
            return;
        }
        if let Err(fault) = part.encode_part(out) {
            self.open = None;
            self.refuse(&fault, out);
        }
    }

    /// Sends one notice of the open stream, without values where the peer may not read them.
    /// Nothing happens where no stream is open.
    pub fn notice(&mut self, notice: &Notice, out: &mut Vec<u8>) {
        if self.streams().is_none() {
            return;
        }
        let seen = match self.sight {
            Sight::Full => notice.clone(),
            Sight::NamesOnly => notice.without_values(),
        };
        let body = codec::encoded(&super::wire::WireNotice::from(seen));
        codec::write_frame(&body, Continues::Yes, out);
    }

    /// Sends what a program said to whoever asked for that. Nothing happens where nobody did.
    pub fn speech(&mut self, speech: &Speech, out: &mut Vec<u8>) {
        let asked = self.open.as_ref().map(|open| open.row.command);
        if asked == Some(Command::Outputs) {
            codec::write_frame(&codec::encoded(speech), Continues::Yes, out);
        }
    }

    /// Understands one message: a call for the daemon, or nothing where it is answered already.
    fn understand(
        &mut self,
        envelope: Envelope,
        judge: &dyn Judge,
        out: &mut Vec<u8>,
    ) -> Result<Option<Call>, Fault> {
        let Envelope { method, params, more, oneway, upgrade, origin } = envelope;
        let decide = |asked: &Asked<'_>| {
            judge.decide(&self.caller, &Asked { origin: origin.as_ref(), ..*asked })
        };
        let known = understand(&method, params, more, upgrade, decide);
        match known {
            Err(fault) if fault_ends_nothing(&fault) && oneway => Ok(None),
            Err(fault) => Err(fault),
            Ok(Known::Service(body)) => {
                if !oneway {
                    codec::write_frame(&body, Continues::No, out);
                }
                Ok(None)
            }
            Ok(Known::Call(row, call)) => {
                self.open = Some(Open { row, more, oneway });
                Ok(Some(call))
            }
        }
    }

    fn refuse(&mut self, fault: &Fault, out: &mut Vec<u8>) {
        out.extend_from_slice(&fault.frame());
        out.push(0);
        if !fault_ends_nothing(fault) {
            self.closing = true;
        }
    }
}

fn fault_ends_nothing(fault: &Fault) -> bool {
    !matches!(fault, Fault::BadMessage(_))
}

enum Known {
    Service(Vec<u8>),
    Call(&'static Row, Call),
}

fn understand(
    method: &str,
    params: Params,
    more: bool,
    upgrade: bool,
    decide: impl Fn(&Asked<'_>) -> Result<(), Fault>,
) -> Result<Known, Fault> {
    let (interface, name) = method.rsplit_once('.').unwrap_or(("", method));
    if interface == SERVICE {
        return answer::service(name, params.interface.as_deref()).map(Known::Service);
    }
    if interface != INTERFACE {
        return Err(Fault::InterfaceNotFound(String::from(interface)));
    }
    let row = command::by_method(name).ok_or_else(|| Fault::MethodNotFound(method.into()))?;
    let job = params.job.as_ref().filter(|_| row.is_over_job());
    let env = params.env.as_deref().unwrap_or_default();
    decide(&Asked { row, job, env, params: Some(&params), origin: None })?;
    if upgrade {
        return Err(Fault::parameter("upgrade", "is not possible for this method"));
    }
    if row.replies == Replies::Stream && !more {
        return Err(Fault::ExpectedMore);
    }
    call::of_params(row, params).map(|call| Known::Call(row, call))
}
