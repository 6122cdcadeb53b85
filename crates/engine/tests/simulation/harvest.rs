//! What the simulation finds of the bugs that are planted.

use crate::plant::Plant;
use crate::world::Broken;
use engine::machine::Bug;
use std::fmt::Write;
use std::sync::Mutex;

/// How many seeds each bug is looked for in, at least.
const SEEDS: u64 = 120;

/// How many at most, where it was not found in those.
const MOST: u64 = 20_000;

struct Found {
    seed: u64,
    step: u64,
    why: String,
}

/// Looks for a bug; returns in how many of how many seeds it was found, and the first.
fn look(bug: Bug, steps: u64) -> (usize, u64, Option<Found>) {
    let plant = Plant { bug: Some(bug) };
    let found = Mutex::new(Vec::new());
    let breaks = |seed: u64| {
        if let Some((step, Broken(why))) = crate::live(seed, steps, plant, None) {
            let mut found = found.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            found.push(Found { seed, step, why });
            return true;
        }
        false
    };
    let mut tried = SEEDS;
    crate::search(1..SEEDS + 1, |seed| {
        breaks(seed);
        false
    });
    if found.lock().is_ok_and(|found| found.is_empty()) {
        let first = crate::search(SEEDS + 1..MOST + 1, breaks);
        tried = first.unwrap_or(MOST);
    }
    let mut found = found.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    found.retain(|found| found.seed <= tried);
    found.sort_by_key(|found| found.seed);
    let count = found.len();
    (count, tried, found.into_iter().next())
}

/// Looks for every bug, or for those with `SIM_BUG` in their words. Returns the table, and the bugs that were not found.
pub fn harvest(steps: u64) -> (String, Vec<&'static str>) {
    let mut table = String::from(
        "| planted bug | found in | of seeds | first seed | at step | what was seen |\n|---|---|---|---|---|---|\n",
    );
    let mut missed = Vec::new();
    let only = std::env::var("SIM_BUG").unwrap_or_default();
    for (bug, words) in Bug::TABLE.into_iter().filter(|(_, words)| words.contains(&only)) {
        let (count, tried, first) = look(bug, steps);
        let Some(Found { seed, step, why }) = first else {
            missed.push(words);
            continue;
        };
        let why: String = why.chars().take(110).collect::<String>().replace('|', "/");
        let _ = writeln!(table, "| {words} | {count} | {tried} | {seed} | {step} | {why} |");
    }
    (table, missed)
}

#[test]
fn every_planted_bug_is_found() {
    let (table, missed) = harvest(crate::number("SIM_STEPS", crate::STEPS));
    println!("{table}");
    assert!(missed.is_empty(), "not found: {missed:?}\n{table}");
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/simulation.md");
        let text = std::fs::read_to_string(path).expect("docs/simulation.md is there");
        let (before, _) = text.split_once("<!-- found -->").expect("it says where the table goes");
        let text = format!("{before}<!-- found -->\n{table}");
        std::fs::write(path, text).expect("docs/simulation.md can be written");
    }
}
