use crate::keeper::{file, route, slot, Keeper};
use engine::logroute::LogFile;
use std::fs::File;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// A small generator (xorshift), so that a seed repeats a run's choices.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}

/// Writes numbered lines in pieces of any length until told to stop; returns how many.
fn writer(mut to: File, seed: u64, stop: Arc<AtomicBool>) -> JoinHandle<u64> {
    std::thread::spawn(move || {
        let (mut dice, mut line, mut bytes) = (Dice(seed), 0, Vec::new());
        while !stop.load(Ordering::Relaxed) {
            bytes.clear();
            for _ in 0..=dice.roll(60) {
                let width = dice.roll(90) as usize;
                writeln!(bytes, "{line} {:x<width$}", "").unwrap();
                line += 1;
            }
            for piece in bytes.chunks(1 + dice.roll(6000) as usize) {
                to.write_all(piece).unwrap();
            }
            if dice.roll(4) == 0 {
                std::thread::sleep(Duration::from_micros(dice.roll(300)));
            }
        }
        line
    })
}

fn check_numbers(all: &[String], lines: u64) {
    let text = all.concat();
    let mut expected = 0;
    for line in text.lines() {
        let (number, _) = line.split_once(' ').unwrap_or((line, ""));
        assert_eq!(number.parse(), Ok(expected), "line {expected} is missing or doubled: {line}");
        expected += 1;
    }
    assert_eq!(expected, lines, "the end is missing");
}

#[test]
fn every_line_arrives_once_though_the_logger_is_killed_two_hundred_times() {
    let mut keeper = Keeper::new();
    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = Vec::new();
    for number in 0..3 {
        let path = keeper.dir.path(&format!("log{number}"));
        // Small files, so that kills meet rotations.
        let log = LogFile { rotate_size: 20_000, rotate_count: 1_000_000, ..file(&path) };
        let pipe = keeper.pipe(slot(number), &route(log));
        writers.push(writer(pipe, 0x9e37_79b9 + u64::from(number), Arc::clone(&stop)));
    }
    let mut dice = Dice(4711);
    let few = |keeper: &Keeper| (0..3).any(|n| keeper.dir.all(&format!("log{n}")).len() < 20);
    let mut kills = 0;
    // More than that only where the machine is so busy that there was little to interrupt.
    while kills < 200 || kills < 5000 && few(&keeper) {
        kills += 1;
        std::thread::sleep(Duration::from_micros(dice.roll(6000)));
        keeper.kill();
        keeper.start();
    }
    stop.store(true, Ordering::Relaxed);
    let lines: Vec<u64> = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
    for _ in 0..3 {
        keeper.ended();
    }
    for (number, lines) in lines.into_iter().enumerate() {
        let all = keeper.dir.all(&format!("log{number}"));
        assert!(all.len() >= 20, "there were rotations to interrupt: {}", all.len());
        check_numbers(&all, lines);
    }
}

#[test]
fn a_line_is_in_one_file_wherever_rotation_cuts() {
    let mut keeper = Keeper::new();
    let path = keeper.dir.path("log");
    let log = LogFile { rotate_size: 3000, rotate_count: 100_000, ..file(&path) };
    let pipe = keeper.pipe(slot(1), &route(log));
    let stop = Arc::new(AtomicBool::new(false));
    let writer = writer(pipe, 77, Arc::clone(&stop));
    while keeper.dir.all("log").len() < 50 {
        keeper.drain(slot(1));
    }
    stop.store(true, Ordering::Relaxed);
    let lines = writer.join().unwrap();
    keeper.ended();
    let all = keeper.dir.all("log");
    check_numbers(&all, lines);
    for old in &all[..all.len() - 1] {
        assert!(old.ends_with('\n'), "cut within a line: {old}");
        assert!(old.len() < 3000 + 110, "more than a line too long: {}", old.len());
        assert!(old.len() > 3000 - 110, "more than a line too short: {}", old.len());
    }
}
