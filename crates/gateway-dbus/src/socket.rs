//! A client's socket, within bounds: what it sends is looked at before the library makes room for it.

use rustix::io::Errno;
use rustix::net::{recvmsg, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;
use tokio::io::Interest;
use tokio::net::UnixStream;
use zbus::connection::socket::{ReadHalf, Socket, Split, WriteHalf};
use zbus::export::async_trait::async_trait;

/// The longest message that is taken, in bytes: as on control.
pub const MESSAGE_MAX: usize = 1024 * 1024;

/// The longest line of the handshake, and how many there may be.
const LINE_MAX: usize = 512;
const LINES_MAX: usize = 32;

/// How many descriptors one message may bring; there is no call that takes more than one.
const FDS_MAX: usize = 4;

/// How long the part of a message is that tells how long it is. Source: D-Bus specification, Message
/// Format.
const HEAD: usize = 16;

/// A client's socket.
#[derive(Debug)]
pub struct Bounded(Arc<UnixStream>);

impl Bounded {
    /// Takes a socket over.
    pub fn new(stream: std::os::unix::net::UnixStream) -> io::Result<Bounded> {
        stream.set_nonblocking(true)?;
        Ok(Bounded(Arc::new(UnixStream::from_std(stream)?)))
    }
}

impl Socket for Bounded {
    type ReadHalf = Reader;
    type WriteHalf = Writer;

    fn split(self) -> Split<Reader, Writer> {
        Split::new(Reader { stream: self.0.clone(), at: At::Line(0, Vec::new()) }, Writer(self.0))
    }
}

/// Where in what a client says the next byte stands.
#[derive(Debug)]
enum At {
    /// In a line of the handshake, the so-maniest; what of it has come.
    Line(usize, Vec<u8>),
    /// In the head of a message; what of it has come, and how many descriptors.
    Head(Vec<u8>, usize),
    /// In the rest of a message; how many bytes are to come, how many descriptors have.
    Rest(usize, usize),
}

/// Where a client's bytes come from.
#[derive(Debug)]
pub struct Reader {
    stream: Arc<UnixStream>,
    at: At,
}

impl Reader {
    /// How many bytes may be read at once: never beyond what the bounds are known for.
    fn most(&self) -> usize {
        match &self.at {
            // So that what follows the handshake is read as a message.
            At::Line(..) => 1,
            At::Head(head, _) => HEAD - head.len(),
            At::Rest(left, _) => *left,
        }
    }

    /// Follows what has come; an error ends the connection.
    fn follow(&mut self, bytes: &[u8], fds: usize) -> Result<(), &'static str> {
        let next = match &mut self.at {
            At::Line(number, line) => {
                line.extend_from_slice(bytes);
                if line.len() > LINE_MAX || *number > LINES_MAX || fds > 0 {
                    return Err("the handshake is too long");
                }
                match line.ends_with(b"\r\n") {
                    true if line.ends_with(b"BEGIN\r\n") => At::Head(Vec::new(), 0),
                    true => At::Line(*number + 1, Vec::new()),
                    false => return Ok(()),
                }
            }
            At::Head(head, brought) => {
                head.extend_from_slice(bytes);
                *brought += fds;
                if head.len() < HEAD {
                    return Ok(());
                }
                let left = rest_of(head).ok_or("a message is too long")?;
                At::Rest(left, *brought)
            }
            At::Rest(left, brought) => {
                *left -= bytes.len().min(*left);
                *brought += fds;
                if *brought > FDS_MAX {
                    return Err("a message brings too many descriptors");
                }
                match left {
                    0 => At::Head(Vec::new(), 0),
                    _ => return Ok(()),
                }
            }
        };
        self.at = match next {
            At::Rest(0, _) => At::Head(Vec::new(), 0),
            next => next,
        };
        Ok(())
    }
}

/// Returns how many bytes follow the head of a message; nothing where the whole is too long.
fn rest_of(head: &[u8]) -> Option<usize> {
    let number = |at: usize| {
        let bytes: [u8; 4] = head.get(at..at + 4)?.try_into().ok()?;
        let number = match head.first()? {
            b'B' => u32::from_be_bytes(bytes),
            _ => u32::from_le_bytes(bytes),
        };
        usize::try_from(number).ok()
    };
    let (body, fields) = (number(4)?, number(12)?);
    let rest = fields.checked_next_multiple_of(8)?.checked_add(body)?;
    (rest <= MESSAGE_MAX - HEAD).then_some(rest)
}

#[async_trait]
impl ReadHalf for Reader {
    async fn recvmsg(&mut self, buffer: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
        let most = self.most().min(buffer.len());
        let buffer = buffer.get_mut(..most).unwrap_or_default();
        let stream = self.stream.clone();
        let (length, fds) =
            stream.async_io(Interest::READABLE, || Ok(receive(&stream, buffer)?)).await?;
        let bytes = buffer.get(..length).unwrap_or_default();
        self.follow(bytes, fds.len())
            .map_err(|why| io::Error::new(io::ErrorKind::InvalidData, why))?;
        Ok((length, fds))
    }

    fn can_pass_unix_fd(&self) -> bool {
        true
    }
}

/// Where bytes for a client go.
#[derive(Debug)]
pub struct Writer(Arc<UnixStream>);

#[async_trait]
impl WriteHalf for Writer {
    async fn sendmsg(&mut self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<usize> {
        self.0.async_io(Interest::WRITABLE, || Ok(sys::peer::write(&*self.0, bytes, fds)?)).await
    }

    async fn close(&mut self) -> io::Result<()> {
        Ok(rustix::net::shutdown(&*self.0, rustix::net::Shutdown::Both)?)
    }
}

fn receive(stream: &UnixStream, buffer: &mut [u8]) -> Result<(usize, Vec<OwnedFd>), Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(FDS_MAX))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    let message = recvmsg(stream, &mut [IoSliceMut::new(buffer)], &mut ancillary, flags)?;
    let fds = ancillary.drain().flat_map(|message| match message {
        RecvAncillaryMessage::ScmRights(fds) => Some(fds),
        _ => None,
    });
    Ok((message.bytes, fds.flatten().collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(order: u8, body: u32, fields: u32) -> [u8; HEAD] {
        let number = |number: u32| match order {
            b'B' => number.to_be_bytes(),
            _ => number.to_le_bytes(),
        };
        let mut head = [0; HEAD];
        head[0] = order;
        head[4..8].copy_from_slice(&number(body));
        head[12..16].copy_from_slice(&number(fields));
        head
    }

    #[test]
    fn the_head_of_a_message_tells_how_much_follows_up_to_the_bound() {
        assert_eq!(rest_of(&head(b'l', 0, 0)), Some(0));
        assert_eq!(rest_of(&head(b'l', 3, 9)), Some(19));
        assert_eq!(rest_of(&head(b'B', 3, 9)), Some(19));
        let most = (MESSAGE_MAX - HEAD) as u32;
        assert_eq!(rest_of(&head(b'l', most, 0)), Some(most as usize));
        for (body, fields) in [(most + 1, 0), (most, 1), (u32::MAX, u32::MAX), (0, u32::MAX)] {
            assert_eq!(rest_of(&head(b'l', body, fields)), None);
        }
    }

    async fn reader() -> (UnixStream, Reader) {
        let (client, server) = UnixStream::pair().unwrap();
        (client, Bounded(Arc::new(server)).split().take().0)
    }

    fn within(test: impl std::future::Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
        runtime.block_on(test);
    }

    #[test]
    fn the_handshake_is_read_to_its_end_and_not_a_byte_further() {
        within(async {
            let (client, mut reader) = reader().await;
            let said = b"\0AUTH EXTERNAL 30\r\nBEGIN\r\nlmessage";
            client.try_write(said).unwrap();
            let mut read = Vec::new();
            while !read.ends_with(b"BEGIN\r\n") {
                let mut buffer = [0; 64];
                let (length, _) = reader.recvmsg(&mut buffer).await.unwrap();
                read.extend_from_slice(&buffer[..length]);
            }
            assert!(matches!(&reader.at, At::Head(head, 0) if head.is_empty()));
        });
    }

    #[test]
    fn a_message_that_claims_to_be_huge_ends_the_connection_before_room_is_made() {
        within(async {
            let (client, mut reader) = reader().await;
            reader.at = At::Head(Vec::new(), 0);
            client.try_write(&head(b'l', 100_000_000, 0)).unwrap();
            let error = reader.recvmsg(&mut [0; HEAD]).await.unwrap_err();
            assert_eq!(error.to_string(), "a message is too long");
        });
    }

    #[test]
    fn a_handshake_without_end_ends_the_connection() {
        within(async {
            let (client, mut reader) = reader().await;
            client.try_write(&[b'x'; LINE_MAX + 1]).unwrap();
            let mut last = Ok((1, Vec::new()));
            for _ in 0..=LINE_MAX {
                last = reader.recvmsg(&mut [0; 64]).await;
            }
            assert!(last.is_err());
        });
    }
}
