//! The channel to the daemon: servers come in, control connections are asked for.

use crate::call::Gateway;
use crate::control::Control;
use crate::listen::{self, Crowd};
use crate::listeners::{Listeners, Terms};
use crate::web::Web;
use engine::control::gateway::{FromGateway, ToGateway};
use engine::control::Level;
use engine::token::Digest;
use gateway::{farewell, Channel};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;

/// How many letters of a line are said: each may take six bytes, and a message has a bound.
const LINE_MAX: usize = 600;

/// The channel, as those use it who serve clients.
pub struct Link {
    channel: Channel,
    /// The servers that are served.
    servers: RefCell<BTreeSet<u16>>,
    crowd: Rc<Crowd>,
    listeners: Rc<Listeners>,
}

/// Serves what the daemon gives, until the channel ends.
pub async fn serve(channel: OwnedFd) -> io::Result<()> {
    let link = Rc::new(Link {
        channel: Channel::begin(channel).await?,
        servers: RefCell::default(),
        crowd: Rc::default(),
        listeners: Rc::default(),
    });
    while let Some((message, fds)) = link.channel.receive().await? {
        link.take(message, fds);
    }
    farewell(|| link.crowd.is_busy()).await;
    Ok(())
}

impl Link {
    /// Returns one more control connection for whoever this server lets in.
    pub async fn line(&self, server: u16) -> io::Result<UnixStream> {
        self.channel.ask(|ask| FromGateway::Line { ask, server }, None).await
    }

    /// Returns one for whoever shows this server a token; `ConnectionRefused` where there is no such.
    pub async fn token_line(
        &self,
        server: u16,
        digest: Digest,
        client: Option<String>,
    ) -> io::Result<UnixStream> {
        self.channel.ask(|ask| FromGateway::Token { ask, server, digest, client }, None).await
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
            ToGateway::Listeners { pools } => self.listeners.set_count(self, pools, first()),
            ToGateway::Pool { name, server, buffer_size, events, listeners } => {
                let buffer_size = usize::try_from(buffer_size).unwrap_or(usize::MAX);
                let terms = Terms { name, server, buffer_size, events, listeners };
                self.listeners.add_pool(terms);
            }
            ToGateway::Listener { job, start } => self.listeners.open(job, start, fds),
            // Another gateway's, or what the channel has answered.
            ToGateway::Client { .. } | ToGateway::Bus { .. } | ToGateway::Control { .. } => {}
        }
    }

    /// Has the daemon say a line; where it does not listen now, the line is lost.
    pub fn say(&self, level: Level, line: &str) {
        let line: String = line.chars().take(LINE_MAX).collect();
        self.channel.say(&FromGateway::Say { level, line });
    }
}
