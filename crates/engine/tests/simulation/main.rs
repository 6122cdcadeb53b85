//! The simulation: a seed makes jobs, clients, a kernel, deaths and failures; what must always be
//! true is checked after every step.
//!
//! `SIM_SEEDS=N` runs so many seeds, `SIM_FIRST=S` begins at that one, `SIM_STEPS=M` makes each world
//! live so many steps. A failure prints its seed and what happened; put the seed into `seeds.txt`.

mod agenda;
mod books;
mod client;
#[cfg(feature = "planted")]
mod harvest;
mod kernel;
mod paper;
mod plant;
mod program;
mod rng;
mod specs;
mod world;

use plant::Plant;
use std::ops::Range;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicU64, Ordering};
use world::{Broken, World};

/// How many seeds a plain `cargo test` runs.
const SEEDS: u64 = 1_500;

/// How many steps a world lives before it comes to rest.
const STEPS: u64 = 200;

/// How many lines of a failed world are shown.
const SHOWN: usize = 220;

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(otherwise)
}

/// Lives through the world of a seed; returns at which step it broke, and why.
fn live(
    seed: u64,
    steps: u64,
    plant: Plant,
    transcript: Option<&mut Vec<String>>,
) -> Option<(u64, Broken)> {
    let mut world = World::new(seed, plant, transcript.is_some());
    let end = catch_unwind(AssertUnwindSafe(|| world.run(steps)));
    if let (Some(into), Some(lines)) = (transcript, world.transcript.take()) {
        *into = lines;
    }
    match end {
        Ok(Ok(())) => None,
        Ok(Err(broken)) => Some((world.step, broken)),
        Err(_) => Some((world.step, Broken("it panics".into()))),
    }
}

/// Fails with the story of a seed where its world breaks.
fn check(seed: u64, steps: u64) {
    let Some((step, Broken(why))) = live(seed, steps, Plant::default(), None) else { return };
    let mut lines = Vec::new();
    live(seed, steps, Plant::default(), Some(&mut lines));
    let from = lines.len().saturating_sub(number("SIM_SHOWN", SHOWN as u64) as usize);
    panic!(
        "{}\nseed {seed}, {steps} steps, broken at step {step}: {why}\nagain: SIM_FIRST={seed} SIM_SEEDS=1 SIM_STEPS={steps} cargo test -p engine --test simulation",
        lines[from..].join("\n"),
    );
}

/// Lives through worlds on every processor until one breaks; returns the first that did.
fn search(seeds: Range<u64>, breaks: impl Fn(u64) -> bool + Sync) -> Option<u64> {
    let (next, broken) = (AtomicU64::new(seeds.start), AtomicU64::new(u64::MAX));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= seeds.end || broken.load(Ordering::Relaxed) < seed {
                    return;
                }
                if breaks(seed) {
                    broken.fetch_min(seed, Ordering::Relaxed);
                }
            });
        }
    });
    Some(broken.into_inner()).filter(|seed| *seed < u64::MAX)
}

#[test]
fn nothing_breaks_in_any_world() {
    let (first, steps) = (number("SIM_FIRST", 1), number("SIM_STEPS", STEPS));
    let seeds = first..first.saturating_add(number("SIM_SEEDS", SEEDS));
    if let Some(seed) = search(seeds, |seed| live(seed, steps, Plant::default(), None).is_some()) {
        check(seed, steps);
    }
}

#[test]
fn seeds_that_once_broke_stay_whole() {
    for line in include_str!("seeds.txt").lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split_whitespace();
        let mut next = || words.next().and_then(|word| word.parse().ok());
        let (Some(seed), Some(steps)) = (next(), next()) else { continue };
        check(seed, steps);
    }
}
