//! D-Bus clients: the gateway for them is started when the first one comes, as the job
//! `upright/dbus`. Who its clients are is read from their sockets here.

use super::bus;
use super::connections::ConnectionId;
use super::gateway::Kind;
use super::rights::groups_of;
use super::{Daemon, SESSION};
use crate::options::{Bus, Mode};
use engine::control::answer::Answer;
use engine::control::fault::Fault;
use engine::control::gateway::ToGateway;
use engine::control::rights::{Caller, Peer, OVERFLOW_UID};
use engine::keeper::held;
use engine::machine::{Effect, Level};
use engine::text::Text;
use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::UnixStream;
use sys::memfd;

/// What the daemon knows of D-Bus.
#[derive(Default)]
pub struct Dbus {
    /// The address of the bus that the gateway is on, or is to go on.
    bus: Option<String>,
    /// Whether a connection to the bus waits for a gateway that has not begun.
    pub queued: bool,
    /// Whether it was said that clients are refused.
    refuses: bool,
}

impl Daemon {
    /// Takes over what the keeper held of the bus.
    pub(super) fn take_bus(&mut self, held: &mut BTreeMap<u32, OwnedFd>) {
        self.dbus.bus = held.remove(&held::BUS).and_then(|fd| {
            let address = memfd::read_all(&fd).ok()?;
            String::from_utf8(address).ok()
        });
    }

    /// Hands a D-Bus client over. Where that cannot be, it is let go with a word in the log.
    pub(super) fn meet(&mut self, id: ConnectionId, effects: &mut Vec<Effect>) {
        let Some((stream, caller)) = self.connections.give_away(id, &self.epoll) else { return };
        let Caller::Peer(peer) = caller else { return };
        let refused = self.hand_over(&stream, peer, effects).err();
        // Once, so that nobody fills the log by knocking.
        let said = std::mem::replace(&mut self.dbus.refuses, refused.is_some());
        if let (Some(why), false) = (refused, said) {
            self.say(Level::Warn, &format!("D-Bus clients are refused: {why}"));
        }
    }

    fn hand_over(
        &mut self,
        stream: &UnixStream,
        peer: Peer,
        effects: &mut Vec<Effect>,
    ) -> Result<(), String> {
        self.need_gateway(Kind::Dbus, effects)?;
        let message = ToGateway::Client { uid: peer.uid };
        let caller = Caller::Peer(peer);
        let (calls, notices) = (self.control_for(caller.clone())?, self.control_for(caller)?);
        let fds = [stream.as_fd(), calls.as_fd(), notices.as_fd()];
        self.gateways.of(Kind::Dbus).tell(&message, &fds)
    }

    /// Returns who is at the other end of a client's socket: only of one that was accepted where we
    /// listen, so that nobody can pass somebody else's off as one.
    pub(super) fn client_of(&self, fd: OwnedFd) -> Option<Peer> {
        let stream = UnixStream::from(fd);
        let (_, listener) = self.listeners.iter().find(|(token, _)| *token == SESSION)?;
        let (own, ours) = (stream.local_addr().ok()?, listener.local_addr().ok()?);
        let same = own.as_abstract_name()? == ours.as_abstract_name()?;
        same.then(|| sys::peer::of(&stream).ok()).flatten()
    }

    /// Returns whom the gateway vouches for: only a gateway that was put on a bus can have clients
    /// there.
    pub(super) fn vouched(&self, uid: u32, pid: i32) -> Option<Peer> {
        self.dbus.bus.is_some().then(|| {
            // The bus says who, not of which groups.
            let (gid, groups) = groups_of(uid);
            Peer { uid, gid, pid, groups }
        })
    }

    /// Puts a new gateway on the bus.
    pub(super) fn dbus_begun(&mut self, effects: &mut Vec<Effect>) {
        if std::mem::take(&mut self.dbus.queued) {
            return;
        }
        // One that was on the bus is gone with its connection.
        if let Some(address) = self.dbus.bus.clone() {
            if let Err(why) = self.join_bus(&address, effects) {
                let job = Kind::Dbus.row().job;
                self.say(Level::Warn, &format!("{job}: not on the bus again: {why}"));
            }
        }
    }

    /// Goes on a bus that somebody says is there. Source: spec 12, NotifyDBusAddress.
    pub(super) fn notify_dbus_address(
        &mut self,
        address: &Text,
        effects: &mut Vec<Effect>,
    ) -> Result<Answer, Fault> {
        if self.settings.options.mode == Mode::System && self.settings.keeper == 1 {
            return Err(Fault::NotPermitted {
                command: String::from("NotifyDbusAddress"),
                rule: String::from("PID 1 is on the system's bus"),
                message: String::from("Not permissible to notify D-Bus address for PID 1"),
            });
        }
        let address = address.lossy();
        self.join_bus(&address, effects).map_err(Fault::Unavailable)?;
        Ok(Answer::Done)
    }

    /// Goes on the system's bus at the start, where it is there.
    pub(super) fn join_bus_at_start(&mut self, effects: &mut Vec<Effect>) {
        match self.settings.options.bus {
            Bus::AtStart => self.join_system_bus(Level::Debug, effects),
            Bus::WhenTold => self.say(Level::Info, "Not connecting to system bus"),
        }
    }

    /// Goes on the system's bus, unless this is a user's session. Source: spec 12, 13, SIGUSR1.
    pub(super) fn join_system_bus(&mut self, level: Level, effects: &mut Vec<Effect>) {
        if self.settings.options.mode != Mode::System {
            return;
        }
        let said = std::env::var("DBUS_SYSTEM_BUS_ADDRESS").ok();
        let address = said.unwrap_or_else(|| String::from(bus::SYSTEM));
        if let Err(why) = self.join_bus(&address, effects) {
            self.say(level, &format!("Unable to connect to the system bus: {why}"));
        }
    }

    /// Connects to a bus daemon and gives the connection to the gateway. It is made here because who
    /// makes it is who the bus lets own the name.
    fn join_bus(&mut self, address: &str, effects: &mut Vec<Effect>) -> Result<(), String> {
        let stream = bus::connect(address)?;
        self.need_gateway(Kind::Dbus, effects)?;
        // On the machine's bus anybody may listen.
        let listener = match self.settings.options.mode {
            Mode::System => OVERFLOW_UID,
            Mode::User | Mode::Up | Mode::Supervisord => self.settings.uid,
        };
        let pid = std::process::id() as i32;
        let peer = Peer { uid: listener, gid: listener, pid, groups: Vec::new() };
        let notices = self.control_for(Caller::Peer(peer))?;
        let message =
            ToGateway::Bus { uid: self.settings.uid, listener, address: String::from(address) };
        self.gateways.of(Kind::Dbus).tell(&message, &[stream.as_fd(), notices.as_fd()])?;
        self.dbus.queued = !self.gateways.of(Kind::Dbus).begun;
        self.dbus.bus = Some(String::from(address));
        if let Ok(note) = memfd::sealed(c"upright-bus", address.as_bytes()) {
            self.hold(held::BUS, note.as_fd());
        }
        Ok(())
    }
}
