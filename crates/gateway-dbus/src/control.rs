//! Control, asked as the client whose connection it is.

use crate::link::{Busy, Link};
use engine::control::answer::Answer;
use engine::control::call::{Call, Follow};
use engine::control::codec::{Continues, Inbox};
use engine::control::command::Command;
use engine::control::fault::Fault;
use engine::control::notice::Notice;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::UnixStream;
use tokio::time::{sleep, timeout, Instant};

/// How long a daemon may be away before a call is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long to wait before it is tried again.
const PAUSE: Duration = Duration::from_millis(50);

/// Why there is no answer.
#[derive(Debug)]
pub enum Trouble {
    /// The connection is gone.
    Lost,
    /// The answer is an error.
    Fault(Fault),
}

/// A connection to control.
#[derive(Debug)]
pub struct Line {
    stream: UnixStream,
    inbox: Inbox,
}

impl Line {
    /// Takes a connection over.
    pub fn new(stream: std::os::unix::net::UnixStream) -> io::Result<Line> {
        stream.set_nonblocking(true)?;
        Ok(Line { stream: UnixStream::from_std(stream)?, inbox: Inbox::default() })
    }

    /// Sends a call, with the descriptor that belongs to it.
    pub async fn send(&mut self, call: &Call, file: Option<&OwnedFd>) -> Result<(), Trouble> {
        let mut bytes = Vec::new();
        call.encode(&mut bytes);
        let sent = match file {
            Some(file) => {
                let sent = self.stream.async_io(Interest::WRITABLE, || {
                    Ok(crate::socket::send(&self.stream, &bytes, &[file.as_fd()])?)
                });
                sent.await.map_err(|_| Trouble::Lost)?
            }
            None => 0,
        };
        let rest = bytes.get(sent..).unwrap_or_default();
        self.stream.write_all(rest).await.map_err(|_| Trouble::Lost)
    }

    /// Returns the whole answer to a call of this command, however many frames it takes.
    pub async fn answer(&mut self, command: Command) -> Result<Answer, Trouble> {
        let mut whole: Option<Answer> = None;
        loop {
            let (answer, continues) = self.frame(command).await?;
            match &mut whole {
                Some(whole) => whole.join(answer),
                None => whole = Some(answer),
            }
            if let (Some(whole), Continues::No) = (&mut whole, continues) {
                return Ok(std::mem::replace(whole, Answer::Done));
            }
        }
    }

    /// Returns the next notice of a stream. Nothing is lost when the wait is given up.
    pub async fn notice(&mut self) -> Result<Notice, Trouble> {
        loop {
            if let (Answer::Notice(notice), _) = self.frame(Command::Events).await? {
                return Ok(notice);
            }
        }
    }

    /// Returns the next notice where it is there already.
    pub async fn notice_at_hand(&mut self) -> Option<Result<Notice, Trouble>> {
        tokio::select! {
            biased;
            notice = self.notice() => Some(notice),
            () = std::future::ready(()) => None,
        }
    }

    async fn frame(&mut self, command: Command) -> Result<(Answer, Continues), Trouble> {
        let mut buffer = [0; 16 * 1024];
        loop {
            match self.inbox.take() {
                Some(Ok(frame)) => {
                    return Answer::decode(command, &frame).map_err(Trouble::Fault);
                }
                Some(Err(_)) => return Err(Trouble::Lost),
                None => {}
            }
            match self.stream.try_read(&mut buffer) {
                Ok(0) => return Err(Trouble::Lost),
                Ok(length) => self.inbox.feed(buffer.get(..length).unwrap_or(&[])),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.stream.readable().await.map_err(|_| Trouble::Lost)?;
                }
                Err(_) => return Err(Trouble::Lost),
            }
        }
    }
}

/// Who is asking.
#[derive(Clone, Debug)]
pub enum Who {
    /// The client at the other end of this socket.
    Socket(Arc<OwnedFd>),
    /// A client of the bus.
    Bus {
        /// Who the bus says it is.
        uid: u32,
        /// Its process.
        pid: i32,
    },
}

/// Asks control on somebody's behalf; goes on with a new daemon where one takes over.
#[derive(Debug)]
pub struct Asker {
    link: Arc<Link>,
    who: Who,
    line: Option<Line>,
}

impl Asker {
    /// Asks on this client's behalf, at first over `line`.
    pub fn new(link: Arc<Link>, who: Who, line: Option<Line>) -> Asker {
        Asker { link, who, line }
    }

    /// Returns another that asks for the same client, at first over `line`.
    pub fn another_over(&self, line: Line) -> Asker {
        Asker { line: Some(line), ..self.another() }
    }

    /// Notes that a call is being carried out.
    pub fn busy(&self) -> Busy {
        self.link.busy()
    }

    fn another(&self) -> Asker {
        Asker { link: self.link.clone(), who: self.who.clone(), line: None }
    }

    /// Asks and waits for the answer. What was asked of a daemon that died is asked again: what
    /// changes something has a token, and is not done twice.
    pub async fn ask(&mut self, call: &Call) -> Result<Answer, Fault> {
        self.ask_with(call, None).await
    }

    async fn ask_with(&mut self, call: &Call, file: Option<&OwnedFd>) -> Result<Answer, Fault> {
        let until = Instant::now() + PATIENCE;
        loop {
            let line = self.line().await?;
            let asked = match line.send(call, file).await {
                Ok(()) => line.answer(call.command()).await,
                Err(trouble) => Err(trouble),
            };
            match asked {
                Ok(answer) => return Ok(answer),
                Err(Trouble::Fault(fault)) => return Err(fault),
                Err(Trouble::Lost) => self.line = None,
            }
            if Instant::now() >= until {
                return Err(away());
            }
            sleep(PAUSE).await;
        }
    }

    /// Sends a call whose answer may take long, and gives the connection away with it: what is asked
    /// after that comes after it, and waits for nothing.
    pub async fn begin(
        &mut self,
        call: Call,
        file: Option<Arc<OwnedFd>>,
    ) -> Result<Pending, Fault> {
        // A failure shows when the answer is waited for.
        let _ = self.line().await?.send(&call, file.as_deref()).await;
        let mut asker = self.another();
        std::mem::swap(&mut asker.line, &mut self.line);
        Ok(Pending { asker, call, file })
    }

    /// Begins to follow what happens, after the notice of that number.
    pub async fn follow(&mut self, after: Option<u64>) -> Result<Line, Fault> {
        let call = Call::Events(after, Follow::On);
        // A failure shows at the next notice.
        let _ = self.line().await?.send(&call, None).await;
        self.line.take().ok_or_else(away)
    }

    async fn line(&mut self) -> Result<&mut Line, Fault> {
        let line = match self.line.take() {
            Some(line) => line,
            None => {
                let more = async {
                    match &self.who {
                        Who::Socket(socket) => self.link.more(socket).await,
                        Who::Bus { uid, pid } => self.link.vouch(*uid, *pid).await,
                    }
                };
                let stream = timeout(PATIENCE, more).await.ok().flatten().ok_or_else(away)?;
                Line::new(stream).map_err(|_| away())?
            }
        };
        Ok(self.line.insert(line))
    }
}

fn away() -> Fault {
    Fault::Unavailable(String::from("Upright does not answer; try again later"))
}

/// A call that was sent.
#[derive(Debug)]
pub struct Pending {
    asker: Asker,
    call: Call,
    file: Option<Arc<OwnedFd>>,
}

impl Pending {
    /// Waits for the answer.
    pub async fn answer(mut self) -> Result<Answer, Fault> {
        if let Some(line) = &mut self.asker.line {
            match line.answer(self.call.command()).await {
                Ok(answer) => return Ok(answer),
                Err(Trouble::Fault(fault)) => return Err(fault),
                Err(Trouble::Lost) => self.asker.line = None,
            }
        }
        self.asker.ask_with(&self.call, self.file.as_deref()).await
    }
}
