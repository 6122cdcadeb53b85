//! Control, asked as the client whose connection it is.

use crate::link::{Busy, Link};
use engine::control::answer::{Answer, Version};
use engine::control::call::{Call, Follow};
use engine::control::command::Command;
use engine::control::fault::Fault;
use engine::control::notice::Notice;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, Instant};

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
pub struct Line(gateway::Line);

impl Line {
    /// Takes a connection over.
    pub fn new(stream: std::os::unix::net::UnixStream) -> io::Result<Line> {
        gateway::Line::new(stream).map(Line)
    }

    /// Sends a call, with the descriptor that belongs to it.
    pub async fn send(&mut self, call: &Call, file: Option<&OwnedFd>) -> Result<(), Trouble> {
        let mut bytes = Vec::new();
        call.encode(&mut bytes);
        self.0.send(&bytes, file.map(OwnedFd::as_fd)).await.map_err(|_| Trouble::Lost)
    }

    /// Returns the whole answer to a call of this command, however many frames it takes.
    pub async fn answer(&mut self, command: Command) -> Result<Answer, Trouble> {
        let answered = self.0.answer(command).await;
        answered.map_err(|_| Trouble::Lost)?.map_err(Trouble::Fault)
    }

    /// Returns the next notice of a stream. Nothing is lost when the wait is given up.
    pub async fn notice(&mut self) -> Result<Notice, Trouble> {
        loop {
            let part = self.0.part(Command::Events).await;
            let (answer, _) = part.map_err(|_| Trouble::Lost)?.map_err(Trouble::Fault)?;
            if let Answer::Notice(notice) = answer {
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
            if *call == Call::Upgrade {
                return self.upgraded(until).await;
            }
            if Instant::now() >= until {
                return Err(away());
            }
            sleep(PAUSE).await;
        }
    }

    /// The end of the connection was the answer: another binary is gone on in. What runs then says whether
    /// it is that one. To ask for it again would be another upgrade.
    async fn upgraded(&mut self, until: Instant) -> Result<Answer, Fault> {
        loop {
            let line = self.line().await?;
            let asked = match line.send(&Call::Version, None).await {
                Ok(()) => line.answer(Call::Version.command()).await,
                Err(trouble) => Err(trouble),
            };
            match asked {
                Ok(Answer::Version(Version { given_up: Some(why), .. })) => {
                    return Err(Fault::Unavailable(why));
                }
                Ok(_) => return Ok(Answer::Done),
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
            None => self.one_more().await?,
        };
        Ok(self.line.insert(line))
    }

    /// Asks the daemon for a connection, and the next one where it died with the question in hand.
    async fn one_more(&self) -> Result<Line, Fault> {
        let until = Instant::now() + PATIENCE;
        loop {
            let more = match &self.who {
                Who::Socket(socket) => self.link.more(socket).await,
                Who::Bus { uid, pid } => self.link.vouch(*uid, *pid).await,
            };
            match more.and_then(Line::new) {
                Ok(line) => return Ok(line),
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    return Err(away())
                }
                Err(_) if Instant::now() >= until => return Err(away()),
                Err(_) => sleep(PAUSE).await,
            }
        }
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
