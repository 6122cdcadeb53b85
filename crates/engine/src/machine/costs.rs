//! What one job costs does not grow with the number of jobs: entries that are looked at are counted.

use super::{Config, Effect, Engine, Input, ShutdownKind};
use crate::dialect::upstart::parse;
use crate::names::{EventName, JobName};
use crate::process::{Exit, Slot};
use crate::signal::Signal;
use crate::spec::Order;
use crate::text::Text;
use crate::time::Mono;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Whether jobs have places, and so end one group after the other.
#[derive(Clone, Copy, Debug)]
enum Places {
    None,
    /// So many jobs in each group.
    Groups(usize),
}

struct World {
    engine: Engine,
    running: Vec<Slot>,
}

impl World {
    fn handle(&mut self, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.engine.handle(Mono(1), input, &mut effects);
        self.engine.take_changes();
        effects
    }

    /// Returns how many jobs and instances have been looked at since the last call.
    fn looks(&self) -> usize {
        self.engine.jobs.looked_at.replace(0) + self.engine.instances.looked_at.replace(0)
    }

    fn spawn(&mut self, effects: &[Effect]) {
        for effect in effects {
            if let Effect::Spawn(slot) = effect {
                assert!(self.engine.awaited_since(*slot).is_none());
                self.handle(Input::Spawned(*slot, pid(*slot), 0));
                self.running.push(*slot);
            }
        }
    }
}

fn pid(slot: Slot) -> i32 {
    slot.generation as i32 + 100
}

fn started(jobs: usize, places: Places) -> World {
    let mut world = World { engine: Engine::new(Config::default()), running: Vec::new() };
    for number in 0..jobs {
        let name = JobName::try_from(&*format!("s{number:04}")).unwrap();
        let mut spec = parse(name, b"start on startup\nrespawn\nexec x\n").spec;
        if let Places::Groups(each) = places {
            let group = Text::from(format!("g{}", number / each));
            let order = Order { group_priority: (number / each) as i64, group, priority: 1 };
            spec.policy.order = Some(order);
        }
        world.handle(Input::Define(Arc::new(spec)));
    }
    let startup = EventName::try_from("startup").unwrap();
    let effects = world.handle(Input::Happened(startup, Vec::new()));
    world.spawn(&effects);
    assert_eq!(world.running.len(), jobs);
    world
}

/// Ends all that were told to, and whoever is told to meanwhile.
fn stop(world: &mut World) {
    let mut effects = world.handle(Input::Shutdown(ShutdownKind::Shutdown));
    while let Some(first) = effects.iter().position(|one| matches!(one, Effect::Signal(..))) {
        if let Effect::Signal(slot, ..) = effects.remove(first) {
            let exit = Exit::Signal { signal: Signal::TERM.number(), core: false };
            effects.extend(world.handle(Input::Exited(slot, pid(slot), exit)));
        }
    }
    assert!(effects.iter().any(|one| matches!(one, Effect::SweepAll(_))), "all have ended");
}

/// Returns how many entries are looked at for each job: by its start, its respawn and its stop.
fn looks(jobs: usize, places: Places) -> [usize; 3] {
    let mut world = started(jobs, places);
    let start = world.looks();
    for slot in core::mem::take(&mut world.running) {
        let effects = world.handle(Input::Exited(slot, pid(slot), Exit::Status(1)));
        world.spawn(&effects);
    }
    assert_eq!(world.running.len(), jobs);
    let respawn = world.looks();
    stop(&mut world);
    [start, respawn, world.looks()].map(|all| all / jobs)
}

#[test]
fn no_job_is_started_respawned_or_stopped_by_looking_at_all_others() {
    for places in [Places::None, Places::Groups(2000)] {
        let (few, many) = (looks(50, places), looks(1000, places));
        for (few, many) in few.into_iter().zip(many) {
            assert!(many <= few + few / 2, "{places:?}: {few} looks a job, {many} with more jobs");
        }
    }
}
