//! The channel to the daemon: servers come in, control connections are asked for.

use crate::call::Gateway;
use crate::control::Control;
use crate::listen::{self, Crowd};
use crate::listeners::{Listeners, Terms};
use crate::web::Web;
use engine::control::gateway::{decode, encode, FromGateway, ToGateway, MESSAGE_MAX};
use engine::control::Level;
use engine::token::Digest;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;
use sys::seqpacket;
use tokio::io::Interest;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout, Instant};

/// How long the daemon may take to answer: one that died with the question in hand never does.
const PATIENCE: Duration = Duration::from_secs(1);

/// How many letters of a line are said: each may take six bytes, and a message has a bound.
const LINE_MAX: usize = 600;

/// How long answers have at the end, and how often it is looked whether there are any.
const FAREWELL: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_millis(2);

/// The channel, as those use it who serve clients.
pub struct Link {
    /// Datagrams, though the type is that of streams: it is what makes a socket safe to wait for.
    channel: tokio::net::UnixStream,
    /// The number of the last question.
    asked: Cell<u64>,
    waiting: RefCell<BTreeMap<u64, oneshot::Sender<Option<UnixStream>>>>,
    /// The servers that are served.
    servers: RefCell<BTreeSet<u16>>,
    crowd: Rc<Crowd>,
    listeners: Rc<Listeners>,
}

/// Serves what the daemon gives, until the channel ends.
pub async fn serve(channel: OwnedFd) -> io::Result<()> {
    let channel = UnixStream::from(channel);
    channel.set_nonblocking(true)?;
    let link = Rc::new(Link {
        channel: tokio::net::UnixStream::from_std(channel)?,
        asked: Cell::new(0),
        waiting: RefCell::default(),
        servers: RefCell::default(),
        crowd: Rc::default(),
        listeners: Rc::default(),
    });
    link.send(&FromGateway::Begun).await?;
    while let Some((message, fds)) = link.receive().await? {
        link.take(message, fds);
    }
    // The end of the channel is how the daemon asks for the end: answers that are on their way arrive.
    let until = Instant::now() + FAREWELL;
    while link.crowd.is_busy() && Instant::now() < until {
        sleep(PAUSE).await;
    }
    Ok(())
}

impl Link {
    /// Returns one more control connection for whoever this server lets in.
    pub async fn line(&self, server: u16) -> io::Result<UnixStream> {
        self.one_more(|ask| FromGateway::Line { ask, server }).await
    }

    /// Returns one for whoever shows this server a token; `ConnectionRefused` where there is no such.
    pub async fn token_line(
        &self,
        server: u16,
        digest: Digest,
        client: Option<String>,
    ) -> io::Result<UnixStream> {
        self.one_more(|ask| FromGateway::Token { ask, server, digest, client }).await
    }

    async fn one_more(&self, message: impl FnOnce(u64) -> FromGateway) -> io::Result<UnixStream> {
        let (sender, receiver) = oneshot::channel();
        let ask = self.asked.get() + 1;
        self.asked.set(ask);
        self.waiting.borrow_mut().insert(ask, sender);
        let answered = async {
            self.send(&message(ask)).await?;
            receiver.await.map_err(io::Error::other)
        };
        let answered = timeout(PATIENCE, answered).await;
        self.waiting.borrow_mut().remove(&ask);
        match answered {
            Ok(Ok(Some(line))) => Ok(line),
            Ok(Ok(None)) => Err(io::ErrorKind::ConnectionRefused.into()),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    fn take(self: &Rc<Link>, message: ToGateway, mut fds: Vec<OwnedFd>) {
        let mut first = || (!fds.is_empty()).then(|| fds.remove(0));
        match message {
            ToGateway::Server { number, section, login, identifier } => {
                // A daemon that took over says it once more.
                let Some(socket) = first().filter(|_| self.servers.borrow_mut().insert(number))
                else {
                    return;
                };
                let control = Control::new(Rc::clone(self), number);
                let listeners = Rc::clone(&self.listeners);
                let (web, identifier) = (Rc::new(Web::default()), identifier.into());
                let gateway = Gateway { control, identifier, web, listeners };
                if let Err(why) = listen::begin(socket, gateway, login, &self.crowd) {
                    eprintln!("upright-http: [{section}]: is not served: {why}");
                }
            }
            ToGateway::Control { ask } => {
                if let Some(waiting) = self.waiting.borrow_mut().remove(&ask) {
                    // Whoever asked may be gone.
                    let _ = waiting.send(first().map(UnixStream::from));
                }
            }
            ToGateway::Listeners { pools } => self.listeners.set_count(self, pools, first()),
            ToGateway::Pool { name, server, buffer_size, events, listeners } => {
                let buffer_size = usize::try_from(buffer_size).unwrap_or(usize::MAX);
                let terms = Terms { name, server, buffer_size, events, listeners };
                self.listeners.add_pool(terms);
            }
            ToGateway::Listener { job, start } => self.listeners.open(job, start, fds),
            // Another gateway's.
            ToGateway::Client { .. } | ToGateway::Bus { .. } => {}
        }
    }

    /// Returns the next message that is understood; nothing at the end of the channel.
    async fn receive(&self) -> io::Result<Option<(ToGateway, Vec<OwnedFd>)>> {
        let mut buffer = vec![0; MESSAGE_MAX];
        loop {
            let receive = || Ok(seqpacket::receive(&self.channel, &mut buffer)?);
            let received = self.channel.async_io(Interest::READABLE, receive).await?;
            if received.length == 0 {
                return Ok(None);
            }
            if let Some(message) = decode(buffer.get(..received.length).unwrap_or(&[])) {
                return Ok(Some((message, received.fds.into_iter().flatten().collect())));
            }
        }
    }

    /// Has the daemon say a line; where it does not listen now, the line is lost.
    pub fn say(&self, level: Level, line: &str) {
        let line: String = line.chars().take(LINE_MAX).collect();
        let bytes = encode(&FromGateway::Say { level, line });
        let _ = seqpacket::send(&self.channel, &[&bytes], &[]);
    }

    async fn send(&self, message: &FromGateway) -> io::Result<()> {
        let bytes = encode(message);
        let send = || Ok(seqpacket::send(&self.channel, &[&bytes], &[])?);
        self.channel.async_io(Interest::WRITABLE, send).await
    }
}
