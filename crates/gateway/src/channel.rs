//! The channel to the daemon: what is to be served comes in, control connections are asked for.

use engine::control::gateway::{decode, encode, FromGateway, ToGateway, MESSAGE_MAX};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use sys::seqpacket;
use tokio::io::Interest;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout, Instant};

/// How long the daemon may take to answer: one that died with the question in hand never does.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long answers have at the end, and how often it is looked whether there are any.
const FAREWELL: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_millis(2);

/// The channel, at descriptor 0 of a gateway's process.
#[derive(Debug)]
pub struct Channel {
    /// Datagrams, though the type is that of streams: it is what makes a socket safe to wait for.
    socket: tokio::net::UnixStream,
    asked: Mutex<Asked>,
}

/// What the daemon has been asked and not answered.
#[derive(Debug, Default)]
struct Asked {
    last: u64,
    waiting: BTreeMap<u64, oneshot::Sender<Option<UnixStream>>>,
}

impl Channel {
    /// Takes the descriptor over and says that the gateway has begun.
    pub async fn begin(fd: OwnedFd) -> io::Result<Channel> {
        let socket = UnixStream::from(fd);
        socket.set_nonblocking(true)?;
        let socket = tokio::net::UnixStream::from_std(socket)?;
        let channel = Channel { socket, asked: Mutex::default() };
        channel.send(&FromGateway::Begun, &[]).await?;
        Ok(channel)
    }

    /// Returns the next message that is understood, with its descriptors; nothing at the end of the
    /// channel. Answers to what was asked go to those who wait for them.
    pub async fn receive(&self) -> io::Result<Option<(ToGateway, Vec<OwnedFd>)>> {
        let mut buffer = vec![0; MESSAGE_MAX];
        loop {
            let receive = || Ok(seqpacket::receive(&self.socket, &mut buffer)?);
            let received = self.socket.async_io(Interest::READABLE, receive).await?;
            if received.length == 0 {
                return Ok(None);
            }
            let mut fds = received.fds.into_iter().flatten();
            match decode(buffer.get(..received.length).unwrap_or(&[])) {
                Some(ToGateway::Control { ask }) => {
                    if let Some(waiting) = self.asked().waiting.remove(&ask) {
                        // Whoever asked may be gone.
                        let _ = waiting.send(fds.next().map(UnixStream::from));
                    }
                }
                Some(message) => return Ok(Some((message, fds.collect()))),
                None => {}
            }
        }
    }

    /// Asks for a control connection, with the descriptor of whoever it is for. `ConnectionRefused` where
    /// the daemon refuses, `TimedOut` where it does not answer within a second.
    pub async fn ask(
        &self,
        message: impl FnOnce(u64) -> FromGateway,
        fd: Option<BorrowedFd<'_>>,
    ) -> io::Result<UnixStream> {
        self.ask_within(PATIENCE, message, fd).await
    }

    async fn ask_within(
        &self,
        patience: Duration,
        message: impl FnOnce(u64) -> FromGateway,
        fd: Option<BorrowedFd<'_>>,
    ) -> io::Result<UnixStream> {
        let (sender, receiver) = oneshot::channel();
        let number = {
            let mut asked = self.asked();
            asked.last += 1;
            let number = asked.last;
            asked.waiting.insert(number, sender);
            number
        };
        let _place = Place { channel: self, number };
        let (message, fds) = (message(number), fd.as_slice());
        let answered = async {
            self.send(&message, fds).await?;
            receiver.await.map_err(io::Error::other)
        };
        match timeout(patience, answered).await {
            Ok(Ok(Some(line))) => Ok(line),
            Ok(Ok(None)) => Err(io::ErrorKind::ConnectionRefused.into()),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// Sends a message where the daemon listens now; elsewhere it is lost.
    pub fn say(&self, message: &FromGateway) {
        let _ = seqpacket::send(&self.socket, &[&encode(message)], &[]);
    }

    async fn send(&self, message: &FromGateway, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let bytes = encode(message);
        let send = || Ok(seqpacket::send(&self.socket, &[&bytes], fds)?);
        self.socket.async_io(Interest::WRITABLE, send).await
    }

    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A question that somebody waits for, as long as this is kept.
struct Place<'a> {
    channel: &'a Channel,
    number: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.channel.asked().waiting.remove(&self.number);
    }
}

/// Waits for half a second at most, until nothing is under way. The end of the channel is how the daemon
/// asks for the end: answers that are on their way arrive.
pub async fn farewell(is_busy: impl Fn() -> bool) {
    let until = Instant::now() + FAREWELL;
    while is_busy() && Instant::now() < until {
        sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    fn within(test: impl std::future::Future<Output = ()>) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_io().enable_time().build().unwrap().block_on(test);
    }

    /// A channel and the daemon's end of it, which was told that the gateway has begun.
    async fn pair() -> (Channel, OwnedFd) {
        let (gateway, daemon) = seqpacket::pair().unwrap();
        let channel = Channel::begin(gateway).await.unwrap();
        assert_eq!(heard(&daemon), Some(FromGateway::Begun));
        (channel, daemon)
    }

    fn heard(daemon: &OwnedFd) -> Option<FromGateway> {
        let mut buffer = [0; 256];
        let received = seqpacket::receive(daemon, &mut buffer).ok()?;
        decode(&buffer[..received.length])
    }

    fn tell(daemon: &OwnedFd, message: &ToGateway, fds: &[BorrowedFd<'_>]) {
        seqpacket::send(daemon, &[&encode(message)], fds).unwrap();
    }

    const LONG: Duration = Duration::from_secs(60);

    fn question(ask: u64) -> FromGateway {
        FromGateway::Line { ask, server: 7 }
    }

    #[test]
    fn an_answer_goes_to_whoever_asked_and_all_else_to_who_serves() {
        within(async {
            let (channel, daemon) = pair().await;
            let (line, _other) = UnixStream::pair().unwrap();
            tell(&daemon, &ToGateway::Control { ask: 99 }, &[]);
            tell(&daemon, &ToGateway::Control { ask: 1 }, &[line.as_fd()]);
            tell(&daemon, &ToGateway::Listeners { pools: 3 }, &[]);
            let asked = channel.ask_within(LONG, question, None);
            let (asked, served) = tokio::join!(asked, channel.receive());
            assert!(asked.is_ok());
            assert!(matches!(served, Ok(Some((ToGateway::Listeners { pools: 3 }, _)))));
            assert_eq!(heard(&daemon), Some(question(1)));
        });
    }

    #[test]
    fn a_refusal_is_told_and_a_question_that_is_not_answered_is_forgotten() {
        within(async {
            let (channel, daemon) = pair().await;
            tell(&daemon, &ToGateway::Control { ask: 1 }, &[]);
            tell(&daemon, &ToGateway::Listeners { pools: 3 }, &[]);
            let asked = channel.ask_within(LONG, question, None);
            let (refused, _) = tokio::join!(asked, channel.receive());
            assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
            let lost = channel.ask_within(Duration::from_millis(10), question, None).await;
            assert_eq!(lost.unwrap_err().kind(), io::ErrorKind::TimedOut);
            assert!(channel.asked().waiting.is_empty());
        });
    }

    #[test]
    fn the_end_of_the_channel_is_told() {
        within(async {
            let (channel, daemon) = pair().await;
            drop(daemon);
            assert!(channel.receive().await.unwrap().is_none());
        });
    }
}
