//! Where a server is, and connections to it.

use crate::decoder::{Decoder, Head};
use crate::failure::{Failure, Outcome};
use crate::watch::Watch;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use sys::ready::Want;

/// How long an answer's body may be: a whole log, as XML.
const BODY_MAX: usize = 512 * 1024 * 1024;

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Server {
    /// At a socket in the file system.
    Unix(PathBuf),
    /// At a port of a host.
    Tcp(String, u16),
}

impl Server {
    /// Reads `unix://PATH` or `http://HOST[:PORT]`. Source: Supervisor 4.3.0, xmlrpc.py,
    /// `SupervisorTransport`.
    pub fn parse(url: &str) -> Outcome<Server> {
        if let Some(path) = url.strip_prefix("unix://") {
            return Ok(Server::Unix(PathBuf::from(path)));
        }
        let Some(rest) = url.strip_prefix("http://") else {
            return Err(Failure::Value(format!("Unknown protocol for serverurl {url}")));
        };
        let place = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
        let (host, port) = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, port)) => (host, port.strip_prefix(':')),
            None => match place.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (place, None),
            },
        };
        let port = match port.filter(|port| !port.is_empty()) {
            None => 80,
            Some(port) => port.parse().map_err(|_| {
                Failure::Value(format!("Port could not be cast to integer value as '{port}'"))
            })?,
        };
        Ok(Server::Tcp(host.to_ascii_lowercase(), port))
    }

    /// Connects.
    pub fn connect(&self) -> Outcome<Connection> {
        let socket = match self {
            Server::Unix(path) => Socket::Unix(UnixStream::connect(path)?),
            Server::Tcp(host, port) => {
                let found = (host.as_str(), *port).to_socket_addrs();
                let places: Vec<_> = found.map_err(|_| Failure::Host(host.clone()))?.collect();
                let stream = TcpStream::connect(places.as_slice())?;
                // A request is written at once; waiting for more of it would only cost time.
                let _ = stream.set_nodelay(true);
                Socket::Tcp(stream)
            }
        };
        Ok(Connection { socket })
    }

    /// Returns what the `Host` field says.
    pub fn host(&self) -> String {
        match self {
            Server::Unix(_) => "localhost".to_owned(),
            Server::Tcp(host, 80) => host.clone(),
            Server::Tcp(host, port) => format!("{host}:{port}"),
        }
    }
}

/// A connection to a server.
#[derive(Debug)]
pub struct Connection {
    socket: Socket,
}

#[derive(Debug)]
enum Socket {
    Unix(UnixStream),
    Tcp(TcpStream),
}

/// An answer, whole.
#[derive(Debug)]
pub struct Answer {
    /// Its beginning.
    pub head: Head,
    /// The rest.
    pub body: Vec<u8>,
}

impl Connection {
    /// Sends a request.
    pub fn send(&mut self, request: &[u8]) -> io::Result<()> {
        match &mut self.socket {
            Socket::Unix(socket) => socket.write_all(request),
            Socket::Tcp(socket) => socket.write_all(request),
        }
    }

    /// Reads some bytes; none is the end.
    pub fn read(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; 64 * 1024];
        loop {
            let read = match &mut self.socket {
                Socket::Unix(socket) => socket.read(&mut bytes),
                Socket::Tcp(socket) => socket.read(&mut bytes),
            };
            match read {
                Ok(length) => {
                    bytes.truncate(length);
                    return Ok(bytes);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Sends a request and waits for the whole answer.
    pub fn exchange(&mut self, request: &[u8], watch: &Watch) -> Outcome<Answer> {
        self.send(request)?;
        let (mut decoder, mut body) = (Decoder::default(), Vec::new());
        while !decoder.is_done() {
            watch.wait(&[Want::Read(self.as_fd())])?;
            let bytes = self.read()?;
            if !bytes.is_empty() {
                decoder.feed(&bytes, &mut body).map_err(Failure::Unreadable)?;
            } else if !decoder.end() {
                return Err(Failure::HungUp);
            }
            if body.len() > BODY_MAX {
                return Err(Failure::Unreadable(format!("more than {BODY_MAX} bytes")));
            }
        }
        match decoder.head() {
            Some(head) => Ok(Answer { head: head.clone(), body }),
            None => Err(Failure::HungUp),
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.socket {
            Socket::Unix(socket) => socket.as_fd(),
            Socket::Tcp(socket) => socket.as_fd(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_both_kinds_are_read() {
        let tcp = |host: &str, port| Server::Tcp(host.into(), port);
        for (url, wanted) in [
            ("unix:///run/s.sock", Server::Unix("/run/s.sock".into())),
            ("http://localhost:9001", tcp("localhost", 9001)),
            ("http://LocalHost/x?y", tcp("localhost", 80)),
            ("http://u:p@h:1/", tcp("h", 1)),
            ("http://[::1]:9001/", tcp("::1", 9001)),
        ] {
            assert_eq!(Server::parse(url).unwrap(), wanted, "{url}");
        }
        for url in ["ftp://x", "https://x", "x", "http://h:99999", "http://h:x"] {
            assert!(Server::parse(url).is_err(), "{url}");
        }
    }
}
