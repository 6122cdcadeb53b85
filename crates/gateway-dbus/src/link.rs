//! The channel to the daemon: clients come in, control connections are asked for.

use crate::bus::{self, Bus};
use crate::client;
use engine::control::gateway::{FromGateway, ToGateway};
use gateway::{farewell, Channel};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::JoinHandle;

/// The channel, as those use it who serve clients.
#[derive(Debug)]
pub struct Link {
    channel: Channel,
    /// How many calls are being carried out.
    busy: AtomicUsize,
    /// Who serves the bus.
    bus: Mutex<Option<JoinHandle<()>>>,
}

/// Serves what the daemon gives, until the channel ends.
pub async fn serve(channel: OwnedFd) -> io::Result<()> {
    let channel = Channel::begin(channel).await?;
    let link = Arc::new(Link { channel, busy: AtomicUsize::new(0), bus: Mutex::default() });
    while let Some((message, fds)) = link.channel.receive().await? {
        link.take(message, fds);
    }
    farewell(|| link.busy.load(Ordering::Relaxed) > 0).await;
    Ok(())
}

/// A call that is being carried out, as long as this is kept.
#[derive(Debug)]
pub struct Busy(Arc<Link>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Link {
    /// Notes that a call is being carried out.
    pub fn busy(self: &Arc<Link>) -> Busy {
        self.busy.fetch_add(1, Ordering::Relaxed);
        Busy(self.clone())
    }

    /// Returns one more control connection for the client at the other end of a socket that the daemon
    /// gave; `ConnectionRefused` where the daemon refuses.
    pub async fn more(&self, client: &OwnedFd) -> io::Result<UnixStream> {
        self.channel.ask(|ask| FromGateway::More { ask }, Some(client.as_fd())).await
    }

    /// Returns a control connection for a client that comes over the bus; the same.
    pub async fn vouch(&self, uid: u32, pid: i32) -> io::Result<UnixStream> {
        self.channel.ask(|ask| FromGateway::Vouch { ask, uid, pid }, None).await
    }

    fn take(self: &Arc<Link>, message: ToGateway, fds: Vec<OwnedFd>) {
        let mut fds = fds.into_iter();
        let (socket, notices, third) = (fds.next(), fds.next(), fds.next());
        match (message, socket, notices, third) {
            (ToGateway::Client { uid }, Some(socket), Some(notices), Some(calls)) => {
                let (notices, calls) = (UnixStream::from(notices), UnixStream::from(calls));
                tokio::spawn(client::serve(self.clone(), uid, socket, notices, calls));
            }
            (ToGateway::Bus { uid, listener, address }, Some(socket), Some(notices), None) => {
                let (socket, notices) = (UnixStream::from(socket), UnixStream::from(notices));
                let bus = Bus { address, uid, socket, listener, notices };
                let serving = tokio::spawn(bus::serve(self.clone(), bus));
                let mut before = self.bus.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(before) = before.replace(serving) {
                    before.abort();
                }
            }
            // Without its descriptors, another gateway's, or what the channel has answered.
            (
                ToGateway::Client { .. }
                | ToGateway::Bus { .. }
                | ToGateway::Control { .. }
                | ToGateway::Server { .. }
                | ToGateway::Listeners { .. }
                | ToGateway::Pool { .. }
                | ToGateway::Listener { .. },
                ..,
            ) => {}
        }
    }
}
