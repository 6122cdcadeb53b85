//! A connection to control.

use engine::control::answer::Answer;
use engine::control::codec::{Continues, Inbox};
use engine::control::command::Command;
use engine::control::fault::Fault;
use std::collections::VecDeque;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::UnixStream;

/// A connection: calls go over it, their answers and what happens come over it. An error is its end.
#[derive(Debug)]
pub struct Line {
    stream: UnixStream,
    inbox: Inbox,
    files: VecDeque<OwnedFd>,
}

impl Line {
    /// Takes a connection over.
    pub fn new(stream: std::os::unix::net::UnixStream) -> io::Result<Line> {
        stream.set_nonblocking(true)?;
        let stream = UnixStream::from_std(stream)?;
        Ok(Line { stream, inbox: Inbox::default(), files: VecDeque::new() })
    }

    /// Sends the bytes of calls, with the descriptor that belongs to the first.
    pub async fn send(&mut self, bytes: &[u8], file: Option<BorrowedFd<'_>>) -> io::Result<()> {
        let sent = match file {
            Some(file) => {
                let send = || Ok(sys::peer::write(&self.stream, bytes, &[file])?);
                self.stream.async_io(Interest::WRITABLE, send).await?
            }
            None => 0,
        };
        self.stream.write_all(bytes.get(sent..).unwrap_or_default()).await
    }

    /// Returns the whole answer to a call of this command, however many frames it takes.
    pub async fn answer(&mut self, command: Command) -> io::Result<Result<Answer, Fault>> {
        let mut whole: Option<Answer> = None;
        loop {
            let (answer, continues) = match self.part(command).await? {
                Ok(part) => part,
                Err(fault) => return Ok(Err(fault)),
            };
            match &mut whole {
                Some(whole) => whole.join(answer),
                None => whole = Some(answer),
            }
            if let (Some(whole), Continues::No) = (&mut whole, continues) {
                return Ok(Ok(std::mem::replace(whole, Answer::Done)));
            }
        }
    }

    /// Returns the next frame of the answer to a call of this command. Nothing is lost when the wait is
    /// given up.
    pub async fn part(
        &mut self,
        command: Command,
    ) -> io::Result<Result<(Answer, Continues), Fault>> {
        let mut buffer = [0; 16 * 1024];
        loop {
            match self.inbox.take() {
                Some(Ok(frame)) => return Ok(Answer::decode(command, &frame)),
                Some(Err(_)) => return Err(io::ErrorKind::InvalidData.into()),
                None => {}
            }
            let read = || sys::peer::read(&self.stream, &mut buffer).map_err(io::Error::from);
            let (length, file) = self.stream.async_io(Interest::READABLE, read).await?;
            if length == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.inbox.feed(buffer.get(..length).unwrap_or(&[]));
            self.files.extend(file);
        }
    }

    /// Takes the descriptors that have come, in their order.
    pub fn take_files(&mut self) -> VecDeque<OwnedFd> {
        std::mem::take(&mut self.files)
    }
}
