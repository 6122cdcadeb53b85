//! What the daemon and a gateway say to each other beside control itself: who is served.
//!
//! One message is one datagram of JSON; descriptors travel beside it. A gateway has no rights of its
//! own. For each client that it serves the daemon gives it a control connection, and what is called on
//! that is decided by who the client is, not by who the gateway is. Who that is, the daemon reads from
//! the client's own socket. Only of clients that come over a bus it has to be told, by a gateway which
//! it has put on that bus itself. Whom a server lets in over a network has no user number at all: what
//! may be done then is what the server's section grants.

use crate::machine::Level;
use crate::token::Digest;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// The longest message in bytes.
pub const MESSAGE_MAX: usize = 4096;

/// The number of no server, by which a gateway asks for a connection to hear what event listeners are told.
pub const LISTENERS: u16 = u16::MAX;

/// What a gateway is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ToGateway {
    /// A client has connected. Attached: its socket, from which nothing has been read, and two control
    /// connections that are served with its rights.
    Client {
        /// Who it is.
        uid: u32,
    },
    /// The answer to [`FromGateway::More`], [`FromGateway::Vouch`], [`FromGateway::Line`] or [`FromGateway::Token`]. Attached: a control connection;
    /// none where the daemon refuses.
    Control {
        /// The number of what is answered.
        ask: u64,
    },
    /// A server is to be served. Attached: the socket that it listens at.
    Server {
        /// Its number.
        number: u16,
        /// What its section is called.
        section: String,
        /// User and password that clients must know; none: whoever can connect is let in. A password
        /// may be `{SHA}` and a digest.
        login: Option<(String, String)>,
        /// What this Upright calls itself.
        identifier: String,
    },
    /// These pools of event listeners there are, and no others; they follow. Attached: a file in memory
    /// for what the next gateway has to know.
    Listeners {
        /// How many [`ToGateway::Pool`] follow.
        pools: u16,
    },
    /// A pool of event listeners.
    Pool {
        /// Its name.
        name: String,
        /// What this Upright calls itself.
        server: String,
        /// How many events wait at most.
        buffer_size: u64,
        /// What it subscribes to.
        events: Vec<String>,
        /// The jobs that are its listeners, in the order in which they are served.
        listeners: Vec<String>,
    },
    /// A listener runs. Attached: where its standard input is written to, where its standard output is
    /// read from, and where that is to be written for its log.
    Listener {
        /// Its job.
        job: String,
        /// The number of its start.
        start: u64,
    },
    /// Attached: a socket that is connected to a bus daemon, and a control connection with the rights
    /// of those who listen there, to tell them what happens. An earlier bus is left.
    Bus {
        /// Who made the connection: whom to say that one is.
        uid: u32,
        /// Whose rights the control connection has.
        listener: u32,
        /// Where it leads, for messages.
        address: String,
    },
}

/// What a gateway asks of the daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FromGateway {
    /// A gateway has begun; an earlier one is no more.
    Begun,
    /// One more control connection for a client. Attached: the client's socket, as it was given.
    More {
        /// The number of this message.
        ask: u64,
    },
    /// A control connection for a client that comes over the bus.
    Vouch {
        /// The number of this message.
        ask: u64,
        /// Who the bus says it is.
        uid: u32,
        /// Its process, for messages.
        pid: i32,
    },
    /// A control connection for whoever a server lets in.
    Line {
        /// The number of this message.
        ask: u64,
        /// The server's.
        server: u16,
    },
    /// A control connection for whoever shows a server a token; none where there is no such token.
    Token {
        /// The number of this message.
        ask: u64,
        /// The server's.
        server: u16,
        /// The digest of what was shown.
        digest: Digest,
        /// The client's address, for the log.
        client: Option<String>,
    },
    /// A line for Upright's log.
    Say {
        /// How loud.
        level: Level,
        /// The line.
        line: String,
    },
}

/// Returns a message as it travels.
pub fn encode<T: Serialize>(message: &T) -> Vec<u8> {
    super::codec::encoded(message)
}

/// Reads a message; nothing where it is none that is known here.
pub fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Option<T> {
    serde_json::from_slice(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_is_read_as_it_was_written_and_anything_else_is_none() {
        let address = String::from("unix:path=/run/dbus/system_bus_socket");
        let to = [
            ToGateway::Client { uid: 1000 },
            ToGateway::Control { ask: u64::MAX },
            ToGateway::Listeners { pools: 1 },
            ToGateway::Pool {
                name: String::from("lis"),
                server: String::from("supervisor"),
                buffer_size: 10,
                events: Vec::from([String::from("TICK")]),
                listeners: Vec::from([String::from("lis:a")]),
            },
            ToGateway::Listener { job: String::from("lis:a"), start: 7 },
            ToGateway::Bus { uid: 0, listener: 65534, address },
            ToGateway::Server {
                number: 1,
                section: String::from("inet_http_server"),
                login: Some((String::from("al"), String::from("{SHA}a\"\n"))),
                identifier: String::from("supervisor"),
            },
        ];
        for message in to {
            assert_eq!(decode(&encode(&message)), Some(message));
        }
        for message in [
            FromGateway::Begun,
            FromGateway::More { ask: 1 },
            FromGateway::Vouch { ask: 2, uid: 7, pid: 12 },
            FromGateway::Line { ask: 3, server: LISTENERS },
            FromGateway::Token {
                ask: 4,
                server: 0,
                digest: Digest::from([7; 32]),
                client: Some(String::from("192.0.2.7:1")),
            },
            FromGateway::Say { level: Level::Warn, line: String::from("a \"b\"") },
        ] {
            let bytes = encode(&message);
            assert!(bytes.len() <= MESSAGE_MAX);
            assert_eq!(decode::<FromGateway>(&bytes), Some(message));
            assert_eq!(decode::<ToGateway>(&bytes), None);
        }
        assert_eq!(decode::<ToGateway>(b"{\"client\":{\"uid\":-1}}"), None);
    }
}
