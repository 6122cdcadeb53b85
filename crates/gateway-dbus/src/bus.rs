//! The same on a message bus, where everybody is who the bus says they are. Source: spec 12, Bus.

use crate::client::{carry_out, converse, Answered, Desk, Done, Teller};
use crate::control::{Asker, Line, Who};
use crate::faults::Error;
use crate::link::Link;
use std::collections::HashMap;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::time::timeout;
use zbus::connection::Builder;
use zbus::message::Message;
use zbus::names::UniqueName;
use zbus::Connection;

/// The name on the bus.
pub const NAME: &str = "com.ubuntu.Upstart";

/// How many calls of all callers together may wait for their answers.
pub const WAITING_MAX: usize = 1024;

/// How many callers are known at once, and how many calls of one are in line.
const CALLERS_MAX: usize = 256;
const LINE_MAX: usize = 64;

/// How long the bus may take for its part.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a caller is remembered that calls nothing.
const REMEMBERED: Duration = Duration::from_secs(30);

/// A bus to go on.
pub struct Bus {
    /// Where it is, for messages.
    pub address: String,
    /// Who made the connection.
    pub uid: u32,
    /// The connection.
    pub socket: UnixStream,
    /// Whose rights what is told there is told by.
    pub listener: u32,
    /// A control connection with those.
    pub notices: UnixStream,
}

/// Serves those who are on a bus, until the bus is gone; says why it ends.
pub async fn serve(link: Arc<Link>, bus: Bus) {
    let address = bus.address.clone();
    match go_on(link, bus).await {
        Ok(()) => eprintln!("upright-dbus: {address}: the bus is gone"),
        Err(why) => eprintln!("upright-dbus: {address}: not on the bus: {why}"),
    }
}

async fn go_on(link: Arc<Link>, bus: Bus) -> Result<(), String> {
    let who = Who::Bus { uid: bus.listener, pid: 0 };
    let notices = Line::new(bus.notices).map_err(|error| error.to_string())?;
    let mut follower = Asker::new(link.clone(), who, Some(notices));
    let notices = follower.follow(None).await.map_err(|fault| fault.to_string())?;
    let joined =
        Builder::unix_stream(bus.socket).user_id(bus.uid).name(NAME).build_message_stream();
    let joined = timeout(PATIENCE, joined).await.map_err(|_| String::from("it does not answer"))?;
    let stream = joined.map_err(|error| match error {
        zbus::Error::NameTaken => format!("{NAME}: Name already taken"),
        error => error.to_string(),
    })?;
    let connection = Connection::from(&stream);
    let desk = Desk::Bus(Callers { link, bus: connection.clone(), queues: HashMap::new() });
    // However it ends, the bus is gone.
    let _ = converse(desk, Teller::new(connection, follower, notices), stream).await;
    Ok(())
}

/// Everybody who calls over the bus: each one's calls are carried out in their order.
#[derive(Debug)]
pub struct Callers {
    link: Arc<Link>,
    bus: Connection,
    queues: HashMap<String, mpsc::Sender<(Message, mpsc::Sender<Done>)>>,
}

impl Callers {
    /// Puts a call in its caller's line.
    pub fn take(&mut self, call: &Message, done: &mpsc::Sender<Done>) -> Option<Answered> {
        let header = call.header();
        let Some(sender) = header.sender() else {
            return Some(Err(Error::plain("AccessDenied", "The bus does not say who is calling")));
        };
        self.queues.retain(|_, queue| !queue.is_closed());
        let full = || Error::plain("LimitsExceeded", "Too many calls wait; try again later");
        if self.queues.len() >= CALLERS_MAX && !self.queues.contains_key(sender.as_str()) {
            return Some(Err(full()));
        }
        let queue = self.queues.entry(sender.to_string()).or_insert_with(|| {
            let (queue, calls) = mpsc::channel(LINE_MAX);
            tokio::spawn(serve_caller(
                self.link.clone(),
                self.bus.clone(),
                sender.to_owned(),
                calls,
            ));
            queue
        });
        match queue.try_send((call.clone(), done.clone())) {
            Ok(()) => None,
            Err(TrySendError::Full(_) | TrySendError::Closed(_)) => Some(Err(full())),
        }
    }
}

/// Carries out what one caller calls, with that caller's rights.
async fn serve_caller(
    link: Arc<Link>,
    bus: Connection,
    name: UniqueName<'static>,
    mut calls: mpsc::Receiver<(Message, mpsc::Sender<Done>)>,
) {
    let mut asker = None;
    loop {
        let (call, done) = match timeout(REMEMBERED, calls.recv()).await {
            Ok(Some(call)) => call,
            Ok(None) => return,
            // What is in line already is still carried out.
            Err(_) => {
                calls.close();
                continue;
            }
        };
        if asker.is_none() {
            asker = who(&bus, &name).await.map(|who| Asker::new(link.clone(), who, None));
        }
        let answer = match &mut asker {
            Some(asker) => carry_out(asker, &call, &done).await,
            None => {
                let why = "The bus does not say who is calling";
                Some(Err(Error::plain("AccessDenied", why)))
            }
        };
        if let Some(answer) = answer {
            // Without anybody to take it the bus is gone.
            let busy = link.busy();
            let _ = done.send(Done { call, answer, busy }).await;
        }
    }
}

/// Asks the bus who somebody is.
async fn who(bus: &Connection, name: &UniqueName<'static>) -> Option<Who> {
    let name = name.as_str();
    let ask = async |method: &'static str| -> Option<u32> {
        let driver = Some("org.freedesktop.DBus");
        let called = bus.call_method(driver, "/org/freedesktop/DBus", driver, method, &name);
        let reply = timeout(PATIENCE, called).await.ok()?.ok()?;
        reply.body().deserialize().ok()
    };
    let uid = ask("GetConnectionUnixUser").await?;
    let pid = ask("GetConnectionUnixProcessID").await.and_then(|pid| i32::try_from(pid).ok());
    Some(Who::Bus { uid, pid: pid.unwrap_or(0) })
}
