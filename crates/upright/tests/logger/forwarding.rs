use crate::keeper::{file, route, slot, wait, Keeper};
use engine::logroute::{Forward, LogRoute};
use engine::treat::Treatment;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Write};
use std::time::Duration;
use sys::pipe;

fn forwarded(label: &str) -> LogRoute {
    LogRoute {
        label: String::from(label),
        file: None,
        forward: Forward::Labelled,
        treat: Treatment::default(),
    }
}

/// Reads standard output of the logger until it ends with this.
fn read_until(from: &mut File, end: &str) -> String {
    let (mut text, mut buffer) = (String::new(), [0; 4096]);
    while !text.ends_with(end) {
        wait(&*from);
        let length = from.read(&mut buffer).unwrap();
        assert!(length > 0, "the end after: {text}");
        text.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
    }
    text
}

#[test]
fn forwarded_lines_carry_the_label_and_are_in_the_file_without_it() {
    let (reader, writer) = pipe::new().unwrap();
    let mut keeper = Keeper::with("", Some(writer));
    let mut out = File::from(reader);
    let path = keeper.dir.path("log");
    let mut both =
        keeper.pipe(slot(1), &LogRoute { forward: Forward::Labelled, ..route(file(&path)) });
    both.write_all(b"one\nhalf").unwrap();
    assert_eq!(read_until(&mut out, "one\n"), "web | one\n");
    keeper.drain(slot(1));
    assert_eq!(keeper.dir.read("log"), "one\nhalf", "the file does not wait for the line's end");
    both.write_all(b" a line\nend").unwrap();
    assert_eq!(read_until(&mut out, "line\n"), "web | half a line\n");
    drop(both);
    assert_eq!(read_until(&mut out, "end\n"), "web | end\n", "the end of output ends the line");
    assert_eq!(keeper.ended(), slot(1));
    assert_eq!(keeper.dir.read("log"), "one\nhalf a line\nend");
}

#[test]
fn lines_of_two_jobs_are_not_mixed() {
    let (reader, writer) = pipe::new().unwrap();
    let mut keeper = Keeper::with("", Some(writer));
    let mut out = File::from(reader);
    let mut web = keeper.pipe(slot(1), &forwarded("web"));
    let mut db = keeper.pipe(slot(2), &forwarded("db (main)"));
    web.write_all(b"he").unwrap();
    db.write_all(b"there\n").unwrap();
    assert_eq!(read_until(&mut out, "there\n"), "db (main) | there\n");
    web.write_all(b"llo\n").unwrap();
    assert_eq!(read_until(&mut out, "llo\n"), "web | hello\n");
    assert_eq!(keeper.drain(slot(1)), "hello\n");
}

#[test]
fn an_unfinished_line_stays_in_its_pipe_when_the_logger_is_killed() {
    let (reader, writer) = pipe::new().unwrap();
    let mut keeper = Keeper::with("", Some(writer));
    let mut out = File::from(reader);
    let mut web = keeper.pipe(slot(1), &forwarded("web"));
    web.write_all(b"one\nunfini").unwrap();
    assert_eq!(read_until(&mut out, "one\n"), "web | one\n");
    keeper.kill();
    keeper.start();
    web.write_all(b"shed\n").unwrap();
    let rest = read_until(&mut out, "shed\n");
    // Killed between writing and taking, the first line comes once more.
    assert!(rest == "web | unfinished\n" || rest == "web | one\nweb | unfinished\n", "{rest}");
}

#[test]
fn an_unfinished_line_that_fills_its_pipe_does_not_stop_the_job() {
    let (reader, writer) = pipe::new().unwrap();
    let mut keeper = Keeper::with("", Some(writer));
    let mut out = File::from(reader);
    let mut web = keeper.pipe(slot(1), &forwarded("web"));
    let job = std::thread::spawn(move || web.write_all(&[b'x'; 200_000]).unwrap());
    let mut text = String::new();
    while text.matches('x').count() < 200_000 {
        text.push_str(&read_until(&mut out, "\n"));
    }
    job.join().unwrap();
    assert!(text.lines().all(|line| line.starts_with("web | x")));
    assert_eq!(keeper.ended(), slot(1));
}

#[test]
fn standard_output_that_nobody_reads_stops_no_file_and_what_it_missed_is_counted() {
    let (reader, writer) = pipe::new().unwrap();
    let mut keeper = Keeper::with("", Some(writer));
    let mut out = File::from(reader);
    let path = keeper.dir.path("log");
    let mut both =
        keeper.pipe(slot(1), &LogRoute { forward: Forward::Labelled, ..route(file(&path)) });
    let mut only = keeper.pipe(slot(2), &forwarded("only"));
    for number in 0..100_000 {
        writeln!(both, "{number}").unwrap();
        writeln!(only, "{number}").unwrap();
    }
    keeper.drain(slot(1));
    assert_eq!(keeper.dir.read("log").lines().count(), 100_000);
    drop((both, only));
    let (mut text, mut buffer) = (String::new(), [0; 65_536]);
    while !text.contains("standard output was not read in time\n") {
        wait(&out);
        let length = out.read(&mut buffer).unwrap();
        assert!(length > 0);
        text.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
    }
    let known = |line: &str| {
        let rest = line.strip_prefix("web | ").or(line.strip_prefix("only | "));
        rest.is_some_and(|number| number.parse::<u32>().is_ok()) || line.starts_with("upright: ")
    };
    let whole = text.rsplit_once('\n').unwrap().0;
    assert!(whole.lines().all(known), "every line is whole");
}

#[test]
fn no_forwarded_line_is_lost_though_the_logger_is_killed() {
    const LINES: u32 = 60_000;
    let (reader, writer) = pipe::new().unwrap();
    let mut keeper = Keeper::with("", Some(writer));
    let mut out = File::from(reader);
    let mut web = keeper.pipe(slot(1), &forwarded("web"));
    let job = std::thread::spawn(move || {
        // As the standard library of C writes to a pipe: in blocks, whatever a line is.
        let lines: String = (0..LINES).map(|number| format!("<{number}>\n")).collect();
        for block in lines.as_bytes().chunks(4096) {
            web.write_all(block).unwrap();
            std::thread::sleep(Duration::from_micros(200));
        }
    });
    let reading = std::thread::spawn(move || {
        let mut text = String::new();
        out.read_to_string(&mut text).unwrap();
        text
    });
    let mut killed = 0u64;
    while !job.is_finished() {
        std::thread::sleep(Duration::from_millis(killed % 5));
        keeper.kill();
        keeper.start();
        killed += 1;
    }
    job.join().unwrap();
    if keeper.holds(slot(1)) {
        keeper.ended();
    }
    keeper.finish();
    // The last ones who have the other end.
    drop(keeper);
    let text = reading.join().unwrap();
    let numbers = text.split('<').filter_map(|part| part.split_once('>')?.0.parse().ok());
    let seen: BTreeSet<u32> = numbers.collect();
    let missing: Vec<u32> = (0..LINES).filter(|number| !seen.contains(number)).collect();
    let first = missing.first();
    assert!(missing.is_empty(), "{} lost after {killed} kills, {first:?}", missing.len());
}
