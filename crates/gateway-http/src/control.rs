//! Control: connections to the daemon, and calls over them.

use crate::link::Link;
use engine::control::answer::{Answer, Version};
use engine::control::audit::Origin;
use engine::control::call::{Back, Call, Follow, Log, Token};
use engine::control::codec::Continues;
use engine::control::command::Command;
use engine::control::fault::Fault;
use engine::control::notice::{Notice, Speech};
use engine::token::Digest;
use engine::view::LogView;
use gateway::Line;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;
use tokio::time::{sleep, Instant};

/// How long a daemon may be away before a call is given up.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long to wait before it is tried again.
const PAUSE: Duration = Duration::from_millis(50);

/// How many connections are kept for later.
const KEPT_MAX: usize = 16;

/// How many calls are sent before the first answer is read: few enough for the sockets to hold both.
const AHEAD: usize = 32;

/// The daemon, as whoever one server lets in may use it, for one client.
#[derive(Clone)]
pub struct Control {
    shared: Rc<Shared>,
    origin: Rc<Origin>,
}

/// What all clients of a server share.
struct Shared {
    link: Rc<Link>,
    server: u16,
    /// The token in whose name it is, and the client's address; none: the server's own.
    token: Option<(Digest, Option<String>)>,
    kept: RefCell<Vec<Line>>,
    ending: Rc<Cell<bool>>,
    tokens: Rc<Cell<u64>>,
    /// What tells our tokens from those of other processes and of earlier ones of the same number.
    begun: u128,
}

impl Control {
    /// Makes one for a server.
    pub fn new(link: Rc<Link>, server: u16) -> Control {
        let since = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
        let (kept, ending, tokens) = (RefCell::default(), Rc::default(), Rc::default());
        let begun = since.as_nanos();
        let shared = Shared { link, server, token: None, kept, ending, tokens, begun };
        Control { shared: Rc::new(shared), origin: Rc::default() }
    }

    /// Returns the same for a client.
    pub fn of(&self, origin: Origin) -> Control {
        Control { shared: Rc::clone(&self.shared), origin: Rc::new(origin) }
    }

    /// Returns the same for a client that shows a token; `ConnectionRefused` where there is no such.
    pub async fn of_token(&self, digest: Digest, origin: Origin) -> io::Result<Control> {
        let Shared { link, server, ending, tokens, begun, .. } = &*self.shared;
        let shared = Shared {
            link: Rc::clone(link),
            server: *server,
            token: Some((digest, origin.client.clone())),
            kept: RefCell::default(),
            ending: Rc::clone(ending),
            tokens: Rc::clone(tokens),
            begun: *begun,
        };
        let until = Instant::now() + PATIENCE;
        let line = loop {
            match shared.line().await {
                Ok(line) => break Line::new(line)?,
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    return Err(error)
                }
                Err(error) if Instant::now() >= until => return Err(error),
                Err(_) => sleep(PAUSE).await,
            }
        };
        shared.kept.borrow_mut().push(line);
        Ok(Control { shared: Rc::new(shared), origin: Rc::new(origin) })
    }

    /// Reports whether the daemon is known to end.
    pub fn is_ending(&self) -> bool {
        self.shared.ending.get()
    }

    /// Asks and waits for the answer. What was asked of a daemon that died is asked again of the next
    /// one: what changes something has a token, and is not done twice.
    pub async fn ask(&self, call: Call) -> Result<Answer, Fault> {
        let call = self.with_token(call);
        let until = Instant::now() + PATIENCE;
        loop {
            match self.exchange(std::slice::from_ref(&call)).await {
                Ok(mut told) => return told.answers.pop().unwrap_or_else(|| Err(away())),
                Err(error) if is_over(&error, until) => return Err(lost(&error)),
                Err(_) if matches!(call, Call::Shutdown(_)) => return Ok(Answer::Done),
                // To ask for it again would be another upgrade; what runs now says what became of it.
                Err(_) if call == Call::Upgrade => {
                    return match Box::pin(self.ask(Call::Version)).await? {
                        Answer::Version(Version { given_up: Some(why), .. }) => {
                            Err(Fault::Unavailable(why))
                        }
                        _ => Ok(Answer::Done),
                    };
                }
                Err(_) => sleep(PAUSE).await,
            }
        }
    }

    /// Asks many things that change nothing; returns an answer to each.
    pub async fn ask_all(&self, calls: &[Call]) -> Result<Vec<Result<Answer, Fault>>, Fault> {
        let until = Instant::now() + PATIENCE;
        let mut answers = Vec::new();
        for some in calls.chunks(AHEAD) {
            loop {
                match self.exchange(some).await {
                    Ok(more) => break answers.extend(more.answers),
                    Err(error) if is_over(&error, until) => return Err(lost(&error)),
                    Err(_) => sleep(PAUSE).await,
                }
            }
        }
        Ok(answers)
    }

    /// Asks for a log's file; its descriptor comes along where it is there.
    pub async fn open_log(&self, log: Log) -> Result<(LogView, Option<File>), Fault> {
        let call = Call::OpenLog(log, Back::default());
        let until = Instant::now() + PATIENCE;
        loop {
            match self.exchange(std::slice::from_ref(&call)).await {
                Ok(Answers { mut answers, mut files }) => match answers.pop() {
                    Some(Ok(Answer::Log(view))) => {
                        return Ok((view, files.pop_front().map(File::from)));
                    }
                    Some(Err(fault)) => return Err(fault),
                    Some(Ok(_)) | None => return Err(away()),
                },
                Err(error) if is_over(&error, until) => return Err(lost(&error)),
                Err(_) => sleep(PAUSE).await,
            }
        }
    }

    /// Begins to listen to what happens, after the notice of that number or from now on.
    pub async fn events(&self, after: Option<u64>, follow: Follow) -> Result<Events, Fault> {
        let shared = Rc::clone(&self.shared);
        let mut events = Events { shared, line: None, seen: after, follow };
        events.connect().await?;
        Ok(events)
    }

    /// Begins to listen to what programs write and listeners are to be told.
    pub async fn outputs(&self) -> io::Result<Outputs> {
        let mut line = Line::new(self.shared.line().await?)?;
        let mut bytes = Vec::new();
        Call::Outputs.encode(&mut bytes);
        line.send(&bytes, None).await?;
        Ok(Outputs(line))
    }

    /// Sends calls over one connection and reads the answers.
    async fn exchange(&self, calls: &[Call]) -> io::Result<Answers> {
        let kept = self.shared.kept.borrow_mut().pop();
        let mut line = match kept {
            Some(line) => line,
            None => Line::new(self.shared.line().await?)?,
        };
        let answers = self.exchange_over(&mut line, calls).await;
        let mut kept = self.shared.kept.borrow_mut();
        match &answers {
            Ok(_) if kept.len() < KEPT_MAX => kept.push(line),
            Ok(_) => {}
            // The others have ended with the daemon that had them, too.
            Err(_) => kept.clear(),
        }
        answers
    }

    async fn exchange_over(&self, line: &mut Line, calls: &[Call]) -> io::Result<Answers> {
        let mut bytes = Vec::new();
        calls.iter().for_each(|call| call.encode_from(&self.origin, &mut bytes));
        line.send(&bytes, None).await?;
        let mut answers = Vec::new();
        for call in calls {
            let answer = line.answer(call.command()).await?;
            if matches!(call, Call::Shutdown(_)) && answer.is_ok() {
                self.shared.ending.set(true);
            }
            if let Err(Fault::Refused(refused)) = &answer {
                if refused.code == "shutting-down" {
                    self.shared.ending.set(true);
                }
            }
            answers.push(answer);
        }
        Ok(Answers { answers, files: line.take_files() })
    }

    fn with_token(&self, call: Call) -> Call {
        match call {
            Call::Ask(request, None) => {
                let shared = &self.shared;
                shared.tokens.set(shared.tokens.get() + 1);
                let (process, number) = (std::process::id(), shared.tokens.get());
                let token = format!("http-{process}-{:x}-{number}", shared.begun);
                Call::Ask(request, Token::try_from(token).ok())
            }
            other => other,
        }
    }
}

/// What calls were answered with, and the descriptors that came along.
struct Answers {
    answers: Vec<Result<Answer, Fault>>,
    files: VecDeque<OwnedFd>,
}

impl Shared {
    async fn line(&self) -> io::Result<std::os::unix::net::UnixStream> {
        match &self.token {
            None => self.link.line(self.server).await,
            Some((digest, client)) => {
                self.link.token_line(self.server, *digest, client.clone()).await
            }
        }
    }
}

/// What programs write, as they write it.
pub struct Outputs(Line);

impl Outputs {
    /// Waits for what is next; an error where the daemon has died or refuses.
    pub async fn next(&mut self) -> io::Result<Speech> {
        loop {
            match self.0.part(Command::Outputs).await? {
                Ok((Answer::Speech(speech), _)) => return Ok(speech),
                // One of a later version.
                Ok((_, Continues::Yes)) => {}
                Ok((_, Continues::No)) | Err(_) => return Err(io::ErrorKind::Other.into()),
            }
        }
    }
}

/// What happens, as it happens.
pub struct Events {
    shared: Rc<Shared>,
    line: Option<Line>,
    seen: Option<u64>,
    follow: Follow,
}

impl Events {
    /// Waits for what is next. Nothing where the stream does not go on. A daemon that died is waited
    /// for, and asked for what came since.
    pub async fn next(&mut self) -> Result<Option<Notice>, Fault> {
        loop {
            let Some(line) = &mut self.line else {
                self.connect().await?;
                continue;
            };
            match line.part(Command::Events).await {
                Ok(Ok((Answer::Notice(notice), _))) => {
                    self.seen = Some(notice.sequence);
                    return Ok(Some(notice));
                }
                // One of a later version.
                Ok(Ok((_, Continues::Yes))) => {}
                Ok(Ok((_, Continues::No))) => return Ok(None),
                Ok(Err(fault)) => return Err(fault),
                Err(_) => self.line = None,
            }
        }
    }

    async fn connect(&mut self) -> Result<(), Fault> {
        let until = Instant::now() + PATIENCE;
        loop {
            let opened = self.shared.line().await.and_then(Line::new);
            let connected = match opened {
                Ok(mut line) => {
                    let mut bytes = Vec::new();
                    Call::Events(self.seen, self.follow).encode(&mut bytes);
                    line.send(&bytes, None).await.map(|()| line)
                }
                Err(error) => Err(error),
            };
            match connected {
                Ok(line) => {
                    self.line = Some(line);
                    return Ok(());
                }
                Err(error) if is_over(&error, until) => return Err(lost(&error)),
                Err(_) => sleep(PAUSE).await,
            }
        }
    }
}

/// Reports whether it is not tried again: the time is over, or the token is.
fn is_over(error: &io::Error, until: Instant) -> bool {
    error.kind() == io::ErrorKind::ConnectionRefused || Instant::now() >= until
}

fn away() -> Fault {
    Fault::Unavailable("Upright does not answer; try again later".to_owned())
}

fn lost(error: &io::Error) -> Fault {
    if error.kind() == io::ErrorKind::ConnectionRefused {
        let rule = String::from("what let you in, a token or the server itself, has ended");
        let message = format!("You do not have permission any more: {rule}.");
        return Fault::NotPermitted { command: String::new(), message, rule };
    }
    Fault::Unavailable(format!("Upright does not answer: {error}"))
}
