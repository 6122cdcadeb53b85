//! The channel to the daemon: clients come in, control connections are asked for.

use crate::bus::{self, Bus};
use crate::client;
use engine::control::gateway::{decode, encode, FromGateway, ToGateway, MESSAGE_MAX};
use rustix::io::Errno;
use rustix::net::{
    recvmsg, sendmsg, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
};
use std::collections::HashMap;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::Interest;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep, Instant};

/// How many descriptors one message brings at most.
const FDS_MAX: usize = 3;

/// How long answers have at the end, and how often it is looked whether there are any.
const FAREWELL: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_millis(2);

/// The channel, as those use it who serve clients.
#[derive(Debug)]
pub struct Link {
    /// Datagrams, though the type is that of streams: it is what makes a socket safe to wait for.
    channel: tokio::net::UnixStream,
    asked: Mutex<Asked>,
    /// How many calls are being carried out.
    busy: AtomicUsize,
    /// Who serves the bus.
    bus: Mutex<Option<JoinHandle<()>>>,
}

/// What the daemon has been asked and not answered.
#[derive(Debug, Default)]
struct Asked {
    next: u64,
    waiting: HashMap<u64, oneshot::Sender<Option<UnixStream>>>,
}

/// Serves what the daemon gives, until the channel ends.
pub async fn serve(channel: OwnedFd) -> io::Result<()> {
    let channel = UnixStream::from(channel);
    channel.set_nonblocking(true)?;
    let channel = tokio::net::UnixStream::from_std(channel)?;
    let link = Arc::new(Link {
        channel,
        asked: Mutex::default(),
        busy: AtomicUsize::new(0),
        bus: Mutex::default(),
    });
    link.send(&FromGateway::Begun, None).await?;
    while let Some((message, fds)) = link.receive().await? {
        link.take(message, fds);
    }
    // The end of the channel is how the daemon asks for the end: answers that are on their way arrive.
    let until = Instant::now() + FAREWELL;
    while link.busy.load(Ordering::Relaxed) > 0 && Instant::now() < until {
        sleep(PAUSE).await;
    }
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
    /// gave; nothing where the daemon refuses.
    pub async fn more(&self, client: &OwnedFd) -> Option<UnixStream> {
        self.ask(|ask| FromGateway::More { ask }, Some(client.as_fd())).await
    }

    /// Returns a control connection for a client that comes over the bus.
    pub async fn vouch(&self, uid: u32, pid: i32) -> Option<UnixStream> {
        self.ask(|ask| FromGateway::Vouch { ask, uid, pid }, None).await
    }

    async fn ask(
        &self,
        message: impl FnOnce(u64) -> FromGateway,
        fd: Option<BorrowedFd<'_>>,
    ) -> Option<UnixStream> {
        let (sender, receiver) = oneshot::channel();
        let number = {
            let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            asked.next += 1;
            let number = asked.next;
            asked.waiting.insert(number, sender);
            number
        };
        if self.send(&message(number), fd).await.is_err() {
            self.forget(number);
            return None;
        }
        receiver.await.ok().flatten()
    }

    fn forget(&self, number: u64) -> Option<oneshot::Sender<Option<UnixStream>>> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.waiting.remove(&number)
    }

    fn take(self: &Arc<Link>, message: ToGateway, fds: [Option<OwnedFd>; FDS_MAX]) {
        match (message, fds) {
            (ToGateway::Client { uid }, [Some(socket), Some(notices), Some(calls)]) => {
                let (notices, calls) = (UnixStream::from(notices), UnixStream::from(calls));
                tokio::spawn(client::serve(self.clone(), uid, socket, notices, calls));
            }
            (ToGateway::Control { ask }, [control, ..]) => {
                if let Some(waiting) = self.forget(ask) {
                    // Whoever asked may be gone.
                    let _ = waiting.send(control.map(UnixStream::from));
                }
            }
            (ToGateway::Bus { uid, listener, address }, [Some(socket), Some(notices), None]) => {
                let (socket, notices) = (UnixStream::from(socket), UnixStream::from(notices));
                let bus = Bus { address, uid, socket, listener, notices };
                let serving = tokio::spawn(bus::serve(self.clone(), bus));
                let mut before = self.bus.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(before) = before.replace(serving) {
                    before.abort();
                }
            }
            (
                ToGateway::Client { .. }
                | ToGateway::Bus { .. }
                | ToGateway::Server { .. }
                | ToGateway::Listeners { .. }
                | ToGateway::Pool { .. }
                | ToGateway::Listener { .. },
                _,
            ) => {}
        }
    }

    /// Returns the next message that is understood; nothing at the end of the channel.
    async fn receive(&self) -> io::Result<Option<(ToGateway, [Option<OwnedFd>; FDS_MAX])>> {
        loop {
            let mut buffer = [0; MESSAGE_MAX];
            let (length, fds) = self
                .channel
                .async_io(Interest::READABLE, || Ok(receive(&self.channel, &mut buffer)?))
                .await?;
            if length == 0 {
                return Ok(None);
            }
            if let Some(message) = decode(buffer.get(..length).unwrap_or(&[])) {
                return Ok(Some((message, fds)));
            }
        }
    }

    async fn send(&self, message: &FromGateway, fd: Option<BorrowedFd<'_>>) -> io::Result<()> {
        let bytes = encode(message);
        self.channel.async_io(Interest::WRITABLE, || Ok(send(&self.channel, &bytes, fd)?)).await
    }
}

fn receive(
    channel: impl AsFd,
    buffer: &mut [u8],
) -> Result<(usize, [Option<OwnedFd>; FDS_MAX]), Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    let message = recvmsg(channel, &mut [IoSliceMut::new(buffer)], &mut ancillary, flags)?;
    let mut fds: [Option<OwnedFd>; FDS_MAX] = Default::default();
    let received = ancillary.drain().flat_map(|message| match message {
        RecvAncillaryMessage::ScmRights(fds) => Some(fds),
        _ => None,
    });
    for (place, fd) in fds.iter_mut().zip(received.flatten()) {
        *place = Some(fd);
    }
    if message.flags.contains(ReturnFlags::TRUNC) {
        return Err(Errno::MSGSIZE);
    }
    Ok((message.bytes, fds))
}

fn send(channel: impl AsFd, bytes: &[u8], fd: Option<BorrowedFd<'_>>) -> Result<(), Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let fds: Vec<BorrowedFd<'_>> = fd.into_iter().collect();
    if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(&fds)) {
        return Err(Errno::MSGSIZE);
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    sendmsg(channel, &[IoSlice::new(bytes)], &mut ancillary, flags).map(drop)
}
