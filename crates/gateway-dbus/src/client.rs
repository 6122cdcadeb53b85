//! One connection: its calls are carried out in their order, and it is told what happens.

use crate::bus::{self, Callers};
use crate::control::{Asker, Line, Trouble, Who};
use crate::faults::Error;
use crate::link::{Busy, Link};
use crate::router::{route, Outcome};
use crate::signals::signals;
use crate::socket::Bounded;
use crate::value::Value;
use engine::control::fault::Fault;
use engine::control::notice::Notice;
use std::future::poll_fn;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;
use zbus::connection::Builder;
use zbus::export::futures_core::Stream;
use zbus::message::{Flags, Message, Type};
use zbus::{Connection, Guid, MessageStream};

/// How long the handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(30);

/// How many calls of one client may wait for their answers; the next is read when one has come.
const WAITING_MAX: usize = 64;

/// Serves a client at the other end of a socket, until it goes.
pub async fn serve(
    link: Arc<Link>,
    uid: u32,
    socket: OwnedFd,
    notices: UnixStream,
    calls: UnixStream,
) {
    let Ok(own) = socket.try_clone() else { return };
    let who = Who::Socket(Arc::new(own));
    let (Ok(notices), Ok(calls)) = (Line::new(notices), Line::new(calls)) else { return };
    let asker = Asker::new(link, who, Some(calls));
    // From before its first call on, so that it hears of what that does.
    let mut follower = asker.another_over(notices);
    let Ok(notices) = follower.follow(None).await else { return };
    let Ok(bounded) = Bounded::new(UnixStream::from(socket)) else { return };
    let handshake =
        Builder::socket(bounded).server(Guid::generate()).p2p().user_id(uid).build_message_stream();
    if let Ok(Ok(stream)) = timeout(HANDSHAKE, handshake).await {
        let connection = Connection::from(&stream);
        let teller = Teller::new(connection.clone(), follower, notices);
        // An error is that the client is gone.
        let _ = converse(Desk::Client(asker), teller, stream).await;
        let _ = connection.close().await;
    }
}

/// What a call came to.
pub type Answered = Result<Value, Error>;

/// A call that has been carried out.
#[derive(Debug)]
pub struct Done {
    /// The call.
    pub call: Message,
    /// What it came to.
    pub answer: Answered,
    /// It is not over before the answer is sent.
    pub busy: Busy,
}

/// Tells the other side what happens.
pub struct Teller {
    connection: Connection,
    follower: Asker,
    notices: Line,
    /// The last notice that was told.
    last: Option<u64>,
}

/// Why a connection is served no longer.
pub enum Over {
    /// It is gone.
    Gone,
    /// Upright will not have it.
    Refused,
}

impl From<zbus::Error> for Over {
    fn from(_: zbus::Error) -> Over {
        Over::Gone
    }
}

impl Teller {
    /// Returns one that tells over `connection` what `notices` bring.
    pub fn new(connection: Connection, follower: Asker, notices: Line) -> Teller {
        Teller { connection, follower, notices, last: None }
    }

    /// Tells what a wait for a notice came to; where the daemon was replaced, follows the new one.
    async fn hear(&mut self, heard: Result<Notice, Trouble>) -> Result<(), Over> {
        match heard {
            Ok(notice) => {
                self.last = Some(notice.sequence);
                for signal in signals(&notice.what) {
                    self.connection.send(&signal.message()?).await?;
                }
                Ok(())
            }
            // Less may be seen than before: the rest is.
            Err(Trouble::Lost | Trouble::Fault(Fault::NotPermitted { .. })) => {
                let followed = self.follower.follow(self.last).await;
                self.notices = followed.map_err(|_| Over::Refused)?;
                Ok(())
            }
            Err(Trouble::Fault(_)) => Err(Over::Refused),
        }
    }

    /// Answers a call, after everything that happened before the answer.
    async fn reply(&mut self, call: &Message, answer: &Answered) -> Result<(), Over> {
        while let Some(notice) = self.notices.notice_at_hand().await {
            self.hear(notice).await?;
        }
        let header = call.header();
        if header.primary().flags().contains(Flags::NO_REPLY_EXPECTED) {
            return Ok(());
        }
        let message = match answer {
            Ok(value) => value.message(Message::method_return(&header))?,
            Err(Error { name, message }) => {
                let builder = Message::error(&header, name.as_str());
                Value::Text(message.clone()).message(builder)?
            }
        };
        Ok(self.connection.send(&message).await?)
    }
}

/// Who carries the calls of a connection out.
pub enum Desk {
    /// All are one client's.
    Client(Asker),
    /// Each is somebody's who is on the bus.
    Bus(Callers),
}

impl Desk {
    /// How many calls may wait for their answers; the next is read when one has come.
    fn most(&self) -> usize {
        match self {
            Desk::Client(_) => WAITING_MAX,
            Desk::Bus(_) => bus::WAITING_MAX,
        }
    }

    /// Carries a call out; what takes longer is told through `done`.
    async fn take(&mut self, call: &Message, done: &mpsc::Sender<Done>) -> Option<Answered> {
        match self {
            Desk::Client(asker) => carry_out(asker, call, done).await,
            Desk::Bus(callers) => callers.take(call, done),
        }
    }
}

/// Carries a call out; what takes longer is told through `done`.
pub async fn carry_out(
    asker: &mut Asker,
    call: &Message,
    done: &mpsc::Sender<Done>,
) -> Option<Answered> {
    match route(asker, call).await {
        Outcome::Now(answer) => Some(answer),
        Outcome::Later(later) => {
            let (call, done, busy) = (call.clone(), done.clone(), asker.busy());
            tokio::spawn(async move {
                let answer = later.answer().await;
                // Whoever called may be gone.
                let _ = done.send(Done { call, answer, busy }).await;
            });
            None
        }
    }
}

/// Goes on until the other side or Upright is gone.
pub async fn converse(
    mut desk: Desk,
    mut teller: Teller,
    mut stream: MessageStream,
) -> Result<(), Over> {
    let (sender, mut done) = mpsc::channel::<Done>(WAITING_MAX);
    let mut waiting = 0;
    loop {
        tokio::select! {
            biased;
            notice = teller.notices.notice() => teller.hear(notice).await?,
            Some(Done { call, answer, busy }) = done.recv() => {
                waiting -= 1;
                teller.reply(&call, &answer).await?;
                drop(busy);
            }
            message = next(&mut stream), if waiting < desk.most() => {
                let Some(Ok(call)) = message else { return Ok(()) };
                if call.message_type() == Type::MethodCall {
                    let _busy = teller.follower.busy();
                    match desk.take(&call, &sender).await {
                        Some(answer) => teller.reply(&call, &answer).await?,
                        None => waiting += 1,
                    }
                }
            }
        }
    }
}

async fn next(stream: &mut MessageStream) -> Option<zbus::Result<Message>> {
    poll_fn(|context| Pin::new(&mut *stream).poll_next(context)).await
}
