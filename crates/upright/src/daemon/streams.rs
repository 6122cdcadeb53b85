//! Streams that are open: a right that was taken away, or a token that has ended, ends what it began.

use super::connections::{ConnectionId, Stream};
use super::Daemon;
use engine::control::fault::Fault;
use engine::control::rights::{Asked, Caller, Sight};
use engine::rights::Names;
use engine::time::{Mono, Span};

/// How often it is looked whether a token has ended that reads along. Its end is one of the calendar, which
/// may be set forward.
const LOOK_MAX: u64 = 60;

impl Daemon {
    /// Ends the streams whose readers may not read them any more, or would be shown less than when they
    /// began; they are told so.
    pub(super) fn judge_streams(&mut self) {
        for (id, stream) in self.connections.streams() {
            if let Err(fault) = self.judged(id, &stream) {
                self.connections.answer(id, Err(fault));
                self.touched.insert(id);
            }
        }
        self.await_tokens();
    }

    /// Lets a client hear what programs say from now on.
    pub(super) fn await_outputs(&mut self, id: ConnectionId) {
        self.connections.await_outputs(id);
        self.await_tokens();
    }

    fn judged(&self, id: ConnectionId, stream: &Stream) -> Result<(), Fault> {
        let Some(caller) = self.connections.caller(id) else { return Ok(()) };
        self.rights.allowed(caller, &Asked::again(stream.row), None, &self.accounts)?;
        match (stream.sight, self.rights.sight(caller, &self.accounts)) {
            (Sight::Full, Sight::NamesOnly) => {
                let rule = String::from("nothing grants you `administer' over everything now");
                let message = format!(
                    "You do not have permission to see the values of events any more: {rule}. Asked again, \
                     events are shown without."
                );
                Err(Fault::NotPermitted { command: stream.row.method.to_owned(), message, rule })
            }
            (Sight::Full | Sight::NamesOnly, _) => Ok(()),
        }
    }

    /// Decides when it is looked again whether a token has ended that reads along.
    pub(super) fn await_tokens(&mut self) {
        let now = self.accounts.now();
        let ends = self.connections.streams().into_iter().filter_map(|(id, _)| {
            let Caller::Token(shown) = self.connections.caller(id)? else { return None };
            self.rights.tokens.find(&shown.digest, now)?.expires
        });
        let wait = ends.min().map(|at| at.saturating_sub(now).clamp(1, LOOK_MAX));
        self.tokens_due = wait.map(|wait| sys::clock::monotonic() + Span::secs(wait));
    }

    /// Looks whether a token has ended that reads along, where that is due.
    pub(super) fn end_streams(&mut self, now: Mono) {
        if self.tokens_due.is_some_and(|due| due <= now) {
            self.judge_streams();
        }
    }
}
