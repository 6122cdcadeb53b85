//! Calls to one server, over one connection as long as it lasts.

use crate::failure::{Failure, Outcome};
use crate::server::{Connection, Server};
use crate::settings::Settings;
use crate::watch::Watch;
use engine::text::base64_encode;
use xmlrpc::Value;

const AGENT: &str = concat!("supervisorctl/", env!("CARGO_PKG_VERSION"), " (Upright)");

/// Calls to one server.
pub struct Session {
    server: Server,
    /// The field that says who we are, with its line's end.
    authorization: String,
    connection: Option<Connection>,
}

impl Session {
    /// Makes one for the server that the settings name; connects when something is called.
    pub fn new(settings: &Settings) -> Outcome<Session> {
        let authorization = match (&settings.username, &settings.password) {
            (Some(name), Some(password)) => {
                let both = base64_encode(format!("{name}:{password}").as_bytes());
                format!("Authorization: Basic {both}\r\n")
            }
            (None, _) | (_, None) => String::new(),
        };
        Ok(Session { server: Server::parse(&settings.url)?, authorization, connection: None })
    }

    /// Calls `supervisor.METHOD`.
    pub fn call(&mut self, method: &str, parameters: &[Value], watch: &Watch) -> Outcome<Value> {
        let body = xmlrpc::write::call(&format!("supervisor.{method}"), parameters);
        let request = format!(
            "POST /RPC2 HTTP/1.1\r\nHost: {}\r\nUser-Agent: {AGENT}\r\nContent-Type: text/xml\r\n\
             Accept: text/xml\r\n{}Content-Length: {}\r\n\r\n{body}",
            self.server.host(),
            self.authorization,
            body.len()
        );
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.server.connect()?,
        };
        let answer = connection.exchange(request.as_bytes(), watch)?;
        if answer.head.status != 200 {
            return Err(Failure::Status(answer.head.status, answer.head.reason));
        }
        if answer.head.keeps {
            self.connection = Some(connection);
        }
        let text = String::from_utf8(answer.body)
            .map_err(|_| Failure::Unreadable("the answer is not UTF-8".to_owned()))?;
        xmlrpc::read::answer(&text)?.map_err(Failure::Fault)
    }

    /// Connects anew and asks for a page that is sent bit by bit.
    pub fn stream(&self, path: &str) -> Outcome<Connection> {
        let mut connection = self.server.connect()?;
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: {AGENT}\r\nAccept: */*\r\n{}\r\n",
            escaped(path),
            self.server.host(),
            self.authorization
        );
        connection.send(request.as_bytes())?;
        Ok(connection)
    }
}

/// Returns a path with what a request line cannot have as `%XX`.
fn escaped(path: &str) -> String {
    let mut out = String::new();
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~:*@!$&'()+,;=".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
