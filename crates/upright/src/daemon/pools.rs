//! Pools of event listeners: which there are, and the ends of their pipes, for the gateway that talks with
//! them. What is said there is the gateway's affair.

use super::gateway::Kind;
use super::link::Sent;
use super::{Daemon, Standing};
use engine::control::gateway::ToGateway;
use engine::control::rights::{Grant, Reach};
use engine::dialect::supervisord::{namespec, Config, GroupKind};
use engine::keeper::{held, End, ToKeeper};
use engine::machine::{Effect, Level};
use engine::plan::{ChangeView, Takes};
use engine::process::{Role, Slot};
use engine::spec::Reader;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use sys::memfd;

/// The one judge of answers that there is. Source: Supervisor 4.3.0, dispatchers, default_handler.
const HANDLER: &str = "supervisor.dispatchers:default_handler";

/// What the daemon knows of pools.
#[derive(Default)]
pub struct Pools {
    told: Vec<Pool>,
    /// Where the gateway writes down what the next one has to know.
    memory: Option<OwnedFd>,
}

/// A pool, as the keeper holds it for the next daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    name: String,
    server: String,
    buffer_size: u64,
    events: Vec<String>,
    listeners: Vec<String>,
}

impl Daemon {
    /// Takes over what the keeper held for the pools.
    pub(super) fn take_pools(&mut self, held: &mut BTreeMap<u32, OwnedFd>) {
        let note = held.remove(&held::POOLS).and_then(|fd| memfd::read_all(&fd).ok());
        self.pools.told =
            note.and_then(|note| serde_json::from_slice(&note).ok()).unwrap_or_default();
        self.pools.memory = held.remove(&held::POOLS_MEMORY);
    }

    /// Serves these pools too, each in place of one of the same name.
    pub(super) fn add_pools(&mut self, pools: Vec<Pool>, effects: &mut Vec<Effect>) {
        if pools.is_empty() {
            return;
        }
        self.pools.told.retain(|old| pools.iter().all(|new| new.name != old.name));
        self.pools.told.extend(pools);
        let served = self.hold_pools().and_then(|()| self.need_gateway(Kind::Http, effects));
        if let Err(why) = served {
            self.say(Level::Error, &format!("event listeners are told nothing: {why}"));
        }
    }

    /// Reports whether a pool that is in force is told the same events, and as many may wait.
    pub(super) fn is_told_so(&self, wanted: Option<&Pool>) -> bool {
        wanted.is_none_or(|wanted| self.told_otherwise(wanted).is_empty())
    }

    /// Returns what its section says otherwise of what a pool that is in force is told: by the next event.
    pub(super) fn told_otherwise(&self, wanted: &Pool) -> Vec<ChangeView> {
        let told = self.pools.told.iter().find(|pool| pool.name == wanted.name);
        let Some(told) = told else { return Vec::new() };
        let size = |pool: &Pool| pool.buffer_size.to_string();
        let keys = [
            ("events", told.events.join(","), wanted.events.join(",")),
            ("buffer_size", size(told), size(wanted)),
        ];
        let changed = keys.into_iter().filter(|(_, old, new)| old != new);
        let view = |(key, old, new)| ChangeView {
            key: String::from(key),
            also: Vec::new(),
            old: Some(old),
            new: Some(new),
            takes: Takes::AtOnce,
        };
        changed.map(view).collect()
    }

    /// Serves a pool no more.
    pub(super) fn remove_pool(&mut self, name: &str) {
        let before = self.pools.told.len();
        self.pools.told.retain(|pool| pool.name != name);
        if self.pools.told.len() == before {
            return;
        }
        if let Err(why) = self.hold_pools() {
            self.say(Level::Error, &format!("event listeners: {why}"));
        }
    }

    /// Has the keeper hold what the next daemon has to know, and tells a gateway that runs.
    fn hold_pools(&mut self) -> Result<(), String> {
        let note = serde_json::to_vec(&self.pools.told).unwrap_or_default();
        if let Ok(note) = memfd::sealed(c"upright-pools", &note) {
            self.hold(held::POOLS, note.as_fd());
        }
        if self.pools.memory.is_none() {
            let memory = memfd::create(c"upright-listeners");
            let memory = memory.map_err(|errno| format!("no memory for them: {errno}"))?;
            self.hold(held::POOLS_MEMORY, memory.as_fd());
            self.pools.memory = Some(memory);
        }
        if self.gateways.of(Kind::Http).begun {
            self.tell_pools();
            self.pass_listeners();
        }
        Ok(())
    }

    /// Warns of what pools want and do not get.
    pub(super) fn warn_of_wants(&self, config: &Config) {
        for group in &config.groups {
            let GroupKind::Listeners(pool) = &group.kind else { continue };
            let name = &group.name;
            if pool.result_handler != HANDLER {
                let handler = &pool.result_handler;
                self.say(
                    Level::Warn,
                    &format!(
                        "[eventlistener:{name}]: result_handler={handler} does not run, as there is \
                         no Python here; an answer other than OK gives the event back"
                    ),
                );
            }
        }
    }

    /// Tells a gateway which pools there are.
    pub(super) fn tell_pools(&mut self) {
        let Some(memory) = &self.pools.memory else { return };
        let count = u16::try_from(self.pools.told.len()).unwrap_or(u16::MAX);
        let gateway = self.gateways.of(Kind::Http);
        let mut told = gateway.tell(&ToGateway::Listeners { pools: count }, &[memory.as_fd()]);
        for pool in self.pools.told.iter().cloned() {
            let Pool { name, server, buffer_size, events, listeners } = pool;
            let message = ToGateway::Pool { name, server, buffer_size, events, listeners };
            told = told.and_then(|()| gateway.tell(&message, &[]));
        }
        if let Err(why) = told {
            self.say(Level::Error, &format!("event listeners are told nothing: {why}"));
        }
    }

    /// Sees to it that the gateway has the ends of every listener that lives.
    pub(super) fn pass_listeners(&mut self) {
        let mains =
            self.engine.processes().filter(|(slot, pid)| slot.role == Role::Main && pid.is_some());
        let mains: Vec<Slot> = mains.map(|(slot, _)| slot).collect();
        mains.into_iter().for_each(|slot| self.begin_listener(slot));
    }

    /// Has the keeper lend the ends of a process that runs, should it be a listener.
    pub(super) fn begin_listener(&mut self, slot: Slot) {
        if self.listener_of(slot).is_none() || self.pass_listener(slot) {
            return;
        }
        for end in End::ALL {
            if self.link.send(&ToKeeper::Lend { slot, end }, &[]) == Sent::Gone {
                self.standing = Standing::Lost;
            }
        }
    }

    /// Gives the gateway the ends of a listener, once all of them are there. Reports whether they are.
    pub(super) fn pass_listener(&mut self, slot: Slot) -> bool {
        let Some(job) = self.listener_of(slot) else { return false };
        let ends = End::ALL.map(|end| self.lending.end(slot, end));
        let ends: Vec<BorrowedFd<'_>> = ends.iter().flatten().map(AsFd::as_fd).collect();
        if ends.len() < End::ALL.len() {
            return false;
        }
        let gateway = self.gateways.of(Kind::Http);
        if gateway.begun {
            let message = ToGateway::Listener { job, start: slot.generation };
            if let Err(why) = gateway.tell(&message, &ends) {
                self.say(Level::Error, &format!("an event listener is told nothing: {why}"));
            }
        }
        true
    }

    /// Returns the job of a slot whose output a gateway reads.
    fn listener_of(&self, slot: Slot) -> Option<String> {
        let (main, attrs) = self.engine.main_of(slot.instance)?;
        let (job, _) = self.engine.name_of(slot.instance)?;
        let own = main == slot && attrs.reader == Reader::Gateway;
        own.then(|| job.text().lossy().into_owned())
    }

    /// Returns what whoever talks with listeners may do: look.
    pub(super) fn granted_to_listeners(&self, server: u16) -> Option<Grant> {
        (!self.pools.told.is_empty()).then_some(Grant { server, reach: Reach::Look })
    }
}

/// Returns what the programs of a group are told; nothing where they are no event listeners.
pub fn pool_of(config: &Config, name: &str) -> Option<Pool> {
    let group = config.groups.iter().find(|group| group.name == name)?;
    let GroupKind::Listeners(pool) = &group.kind else { return None };
    let listeners = group.programs.iter().map(|program| namespec(group, program));
    Some(Pool {
        name: group.name.clone(),
        server: config.daemon.identifier.clone(),
        buffer_size: u64::try_from(pool.buffer_size).unwrap_or(1).max(1),
        events: pool.events.iter().map(|event| (*event).to_owned()).collect(),
        listeners: listeners.collect(),
    })
}
