//! Servers for Supervisor's clients: where they listen, who is let in, what may be done through them.
//!
//! The sockets are opened here and held by the keeper, so that clients only wait while there is no
//! gateway or no daemon. What is spoken at them is the gateway's affair.

use super::gateway::Kind;
use super::{sockets, Daemon};
use crate::supervisord::{self, Extent};
use engine::control::gateway::{ToGateway, LISTENERS};
use engine::control::rights::{Grant, Reach, OVERFLOW_UID};
use engine::dialect::supervisord::{Access, Server};
use engine::keeper::{held, ToKeeper};
use engine::machine::{Effect, Level};
use engine::text::Text;
use engine::view::Asker;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use sys::memfd;

/// How many servers there may be.
const SERVERS_MAX: usize = 16;

/// What the daemon knows of its servers.
#[derive(Default)]
pub struct Http {
    told: Told,
    /// Where they listen, in the same order.
    sockets: Vec<OwnedFd>,
}

/// What is to be served, as the keeper holds it for the next daemon: with its passwords, so that no
/// file need be read again, and nobody but us can read it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Told {
    identifier: String,
    servers: Vec<Server>,
}

impl Http {
    /// Returns what is to be said of servers at which strangers from other machines are let in.
    pub fn warnings(&self) -> impl Iterator<Item = String> + '_ {
        let open = self.told.servers.iter().filter(|server| sockets::is_open_to_all(server));
        open.map(|server| {
            let may = match server.access {
                Access::Full | Access::Local => "do everything",
                Access::ReadOnly => "look at everything",
            };
            format!(
                "[{}]: open to other machines without a password: whoever reaches it may {may}; set \
                 username and password, or access = local",
                server.section
            )
        })
    }

    /// Reports whether there is a server of this number.
    pub fn serves(&self, server: u16) -> bool {
        usize::from(server) < self.told.servers.len()
    }

    /// Returns the section of a server, for messages.
    pub fn section(&self, server: u16) -> &str {
        let server = self.told.servers.get(usize::from(server));
        server.map_or("a server", |server| &server.section)
    }

    /// Removes what the servers left in the file system.
    pub fn remove_files(&self) {
        self.told.servers.iter().for_each(sockets::remove);
    }
}

impl Daemon {
    /// Takes over what the keeper held for the servers.
    pub(super) fn take_servers(&mut self, held: &mut BTreeMap<u32, OwnedFd>) {
        let note = held.remove(&held::SERVERS).and_then(|fd| memfd::read_all(&fd).ok());
        let told: Option<Told> = note.and_then(|note| serde_json::from_slice(&note).ok());
        let Some(mut told) = told else { return };
        let sockets = (0..told.servers.len()).map_while(|number| held.remove(&key(number)));
        self.http.sockets = sockets.collect();
        told.servers.truncate(self.http.sockets.len());
        self.http.told = told;
    }

    /// Serves what the file says that the options name.
    pub(super) fn serve_at_start(&mut self, effects: &mut Vec<Effect>) {
        let Some(path) = self.settings.options.servers.clone() else { return };
        let served = std::fs::read(&path).map_err(|error| error.to_string()).and_then(|file| {
            let config = supervisord::read(&path, &file, Extent::Whole);
            match &config.refusal {
                Some(why) => Err(why.clone()),
                None => self.serve_http(&config.daemon.identifier, &config.servers, effects),
            }
        });
        if let Err(why) = served {
            self.say(Level::Error, &format!("{}: nothing is served: {why}", path.display()));
        }
    }

    /// Serves these servers from now on, and no others. Where one cannot be opened, those before are
    /// served on.
    pub(super) fn serve_http(
        &mut self,
        identifier: &str,
        servers: &[Server],
        effects: &mut Vec<Effect>,
    ) -> Result<(), String> {
        let told = Told { identifier: identifier.to_owned(), servers: servers.to_vec() };
        if servers.len() > SERVERS_MAX {
            return Err(format!("there are {} servers, more than {SERVERS_MAX}", servers.len()));
        }
        if told != self.http.told {
            self.change_servers(told)?;
        }
        match servers.is_empty() {
            true => Ok(()),
            false => self.need_gateway(Kind::Http, effects),
        }
    }

    fn change_servers(&mut self, told: Told) -> Result<(), String> {
        let sockets = self.open_servers(&told.servers)?;
        let old = std::mem::replace(&mut self.http, Http { told, sockets });
        let new = &self.http.told.servers;
        let gone = old.told.servers.iter().filter(|old| !new.iter().any(|new| alike(old, new)));
        gone.for_each(sockets::remove);
        self.hold_servers(old.sockets.len());
        for warning in self.http.warnings().collect::<Vec<_>>() {
            self.say(Level::Warn, &warning);
        }
        // A gateway that runs ends with its channel; the next one is told of these.
        self.close_channel(Kind::Http);
        Ok(())
    }

    /// Returns a socket for each server: the one that is open at that place, else a new one.
    fn open_servers(&self, servers: &[Server]) -> Result<Vec<OwnedFd>, String> {
        let mut opened: Vec<OwnedFd> = Vec::new();
        for (number, server) in servers.iter().enumerate() {
            let there = self.http.told.servers.iter().position(|old| alike(old, server));
            let there = there.and_then(|place| self.http.sockets.get(place));
            let socket = match there {
                Some(socket) => sockets::dress(server)
                    .and_then(|()| socket.try_clone().map_err(|error| error.to_string())),
                None => sockets::open(server, |line| self.say(Level::Warn, line)),
            };
            match socket {
                Ok(socket) => opened.push(socket),
                Err(why) => {
                    let new = servers.iter().take(number);
                    let old = &self.http.told.servers;
                    let new = new.filter(|new| !old.iter().any(|old| alike(old, new)));
                    new.for_each(sockets::remove);
                    return Err(why);
                }
            }
        }
        Ok(opened)
    }

    /// Has the keeper hold what the next daemon needs, and nothing of the `before` servers else.
    fn hold_servers(&self, before: usize) {
        for (number, socket) in self.http.sockets.iter().enumerate() {
            self.hold(key(number), socket.as_fd());
        }
        for number in self.http.sockets.len()..before {
            self.link.send(&ToKeeper::Drop { key: key(number) }, &[]);
        }
        let note = serde_json::to_vec(&self.http.told).unwrap_or_default();
        if let Ok(note) = memfd::sealed(c"upright-servers", &note) {
            self.hold(held::SERVERS, note.as_fd());
        }
    }

    /// Tells a new gateway what it serves.
    pub(super) fn http_begun(&mut self) {
        for (number, server) in self.http.told.servers.iter().enumerate() {
            let Some(socket) = self.http.sockets.get(number) else { continue };
            let message = ToGateway::Server {
                number: number as u16,
                section: server.section.clone(),
                login: server.login.clone(),
                identifier: self.http.told.identifier.clone(),
            };
            if let Err(why) = self.gateways.of(Kind::Http).tell(&message, &[socket.as_fd()]) {
                self.say(Level::Error, &format!("[{}]: is not served: {why}", server.section));
            }
        }
        self.tell_pools();
        self.pass_listeners();
    }

    /// Returns who asks where somebody came through a server: the gateway, for its section.
    pub(super) fn asker_at(&self, server: u16) -> Asker {
        let gateway = self.engine.processes().find(|(slot, _)| {
            let job = self.engine.name_of(slot.instance).map(|(job, _)| job);
            job.is_some_and(|job| job.text().bytes() == Kind::Http.row().job.as_bytes())
        });
        let pid = gateway.and_then(|(_, pid)| pid).unwrap_or(0);
        let about = std::fs::metadata(format!("/proc/{pid}"));
        let uid = about.map_or(OVERFLOW_UID, |about| about.uid());
        let section = self.http.section(server);
        Asker { uid, pid, program: Text::from(format!("for [{section}]")) }
    }

    /// Returns what a server's section grants.
    pub(super) fn granted(&self, server: u16) -> Option<Grant> {
        if server == LISTENERS {
            return self.granted_to_listeners(server);
        }
        let access = self.http.told.servers.get(usize::from(server))?.access;
        let reach = match access {
            Access::Full | Access::Local => Reach::Manage,
            Access::ReadOnly => Reach::Look,
        };
        Some(Grant { server, reach })
    }
}

/// Reports whether two listen at the same place.
fn alike(one: &Server, other: &Server) -> bool {
    sockets::place(one) == sockets::place(other)
}

fn key(number: usize) -> u32 {
    held::SERVER + number as u32
}
