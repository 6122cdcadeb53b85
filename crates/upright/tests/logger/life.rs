use crate::keeper::{file, route, slot, Keeper};
use engine::logroute::{Forward, LogFile, LogRoute};
use engine::treat::Treatment;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

#[test]
fn an_end_is_told_and_makes_no_file() {
    let mut keeper = Keeper::new();
    let path = keeper.dir.path("log");
    drop(keeper.pipe(slot(1), &route(file(&path))));
    assert_eq!(keeper.ended(), slot(1));
    assert!(!path.exists(), "a file is made by its first byte");
}

#[test]
fn the_end_comes_after_the_last_byte() {
    let mut keeper = Keeper::new();
    let path = keeper.dir.path("log");
    for number in 0..50 {
        let mut pipe = keeper.pipe(slot(number), &route(file(&path)));
        writeln!(pipe, "{number}").unwrap();
        drop(pipe);
        assert_eq!(keeper.ended(), slot(number));
        assert!(keeper.dir.read("log").ends_with(&format!("{number}\n")));
    }
}

#[test]
fn a_flood_leaves_its_turn_to_the_neighbour_and_to_the_daemon() {
    let mut keeper = Keeper::new();
    let (flood, calm) = (keeper.dir.path("flood"), keeper.dir.path("calm"));
    let log = LogFile { rotate_size: 4_000_000, rotate_count: 1, ..file(&flood) };
    let mut flooding = keeper.pipe(slot(1), &route(log));
    let mut pipe = keeper.pipe(slot(2), &route(file(&calm)));
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let flood = std::thread::spawn(move || {
        let bytes = [b'x'; 65_536];
        while !stopped.load(Ordering::Relaxed) {
            flooding.write_all(&bytes).unwrap();
        }
    });
    let mut expected = String::new();
    for number in 0..200 {
        let line = format!("{number}\n");
        pipe.write_all(line.as_bytes()).unwrap();
        expected.push_str(&line);
        assert!(keeper.drain(slot(2)).ends_with(&line));
    }
    stop.store(true, Ordering::Relaxed);
    flood.join().unwrap();
    assert_eq!(keeper.dir.read("calm"), expected);
}

#[test]
fn what_is_left_is_written_before_the_end_even_where_writers_live_on() {
    let mut keeper = Keeper::new();
    let path = keeper.dir.path("log");
    let mut pipe = keeper.pipe(slot(1), &route(file(&path)));
    pipe.write_all(b"last words\n").unwrap();
    assert!(keeper.finish().success());
    assert_eq!(keeper.dir.read("log"), "last words\n");
}

#[test]
fn a_logger_whose_keeper_died_serves_its_pipes_to_their_end() {
    let mut keeper = Keeper::new();
    let path = keeper.dir.path("log");
    let mut pipe = keeper.pipe(slot(1), &route(file(&path)));
    pipe.write_all(b"one\n").unwrap();
    keeper.drain(slot(1));
    let mut logger = keeper.die();
    for _ in 0..100 {
        pipe.write_all(&[b'x'; 4096]).unwrap();
    }
    drop(pipe);
    assert!(logger.wait().unwrap().success());
    assert_eq!(keeper.dir.read("log").len(), 4 + 409_600);
}

#[test]
fn output_without_a_route_is_taken_and_thrown_away() {
    let mut keeper = Keeper::new();
    let nowhere = LogRoute {
        label: String::from("web"),
        file: None,
        forward: Forward::No,
        treat: Treatment::default(),
    };
    let mut pipe = keeper.pipe(slot(1), &nowhere);
    pipe.write_all(&vec![b'x'; 1 << 20]).unwrap();
    drop(pipe);
    assert_eq!(keeper.ended(), slot(1));
}

#[test]
fn a_slot_that_never_was_has_no_last_bytes() {
    let keeper = Keeper::new();
    assert_eq!(keeper.drain(slot(7)), "");
}
