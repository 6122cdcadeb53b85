use crate::keeper::{file, route, slot, Keeper};
use engine::logroute::{FromLogger, LogFile, ToLogger};
use engine::spec::OnFull;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A small file system of its own, where that is allowed.
struct Disk(PathBuf);

impl Disk {
    fn mount(at: &Path) -> Option<Disk> {
        fs::create_dir(at).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=4m", "upright-test"])
            .arg(at)
            .status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Disk(at.to_path_buf()));
        }
        println!("passed over: mounting a tmpfs is not allowed here");
        None
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn recovered(keeper: &Keeper) -> u64 {
    loop {
        match keeper.told() {
            FromLogger::Recovered { dropped, .. } => return dropped,
            FromLogger::Trouble { .. }
            | FromLogger::Drained { .. }
            | FromLogger::Said { .. }
            | FromLogger::Opened { .. }
            | FromLogger::Cleared { .. }
            | FromLogger::Counted { .. }
            | FromLogger::Succeeded
            | FromLogger::Stored { .. } => {}
        }
    }
}

#[test]
fn a_full_disk_costs_what_does_not_fit_into_the_pipe_and_the_log_says_how_much() {
    let mut keeper = Keeper::new();
    let Some(disk) = Disk::mount(&keeper.dir.path("disk")) else { return };
    let path = disk.0.join("log");
    fs::write(disk.0.join("ballast"), vec![0; 3900 * 1024]).unwrap();
    let mut pipe = keeper.pipe(slot(1), &route(file(&path)));
    let line = [b"x".repeat(99), b"\n".to_vec()].concat();
    for _ in 0..50_000 {
        pipe.write_all(&line).unwrap();
    }
    let FromLogger::Trouble { path: named, errno, .. } = keeper.told() else { panic!("trouble") };
    assert_eq!((named.lossy().as_ref(), errno), (path.to_str().unwrap(), 28));
    fs::remove_file(disk.0.join("ballast")).unwrap();
    // What the pipe kept fits now.
    keeper.ask(&ToLogger::Writable);
    let dropped = recovered(&keeper);
    assert!(dropped > 3_000_000, "{dropped}");
    pipe.write_all(b"end\n").unwrap();
    keeper.drain(slot(1));
    let log = fs::read_to_string(&path).unwrap();
    let note =
        format!("upright: {dropped} bytes of output were dropped here: No space left on device\n");
    let at = log.find(&note).unwrap_or_else(|| panic!("no note of {dropped}: {log:.200}"));
    assert!(at == 0 || log.as_bytes()[at - 1] == b'\n', "the note is a line of its own");
    assert!(log.ends_with("end\n"));
    let kept = log.matches('x').count() + log.matches('\n').count() - 2;
    assert!(kept as u64 + dropped >= 5_000_000, "{kept} + {dropped}");
    assert!(kept as u64 + dropped <= 5_000_001, "{kept} + {dropped}");
}

#[test]
fn a_job_that_shall_wait_loses_nothing_on_a_full_disk() {
    let mut keeper = Keeper::new();
    let Some(disk) = Disk::mount(&keeper.dir.path("disk")) else { return };
    let path = disk.0.join("log");
    fs::write(disk.0.join("ballast"), vec![0; 4000 * 1024]).unwrap();
    let log = LogFile { on_full: OnFull::Block, ..file(&path) };
    let mut pipe = keeper.pipe(slot(1), &route(log));
    let writer = std::thread::spawn(move || {
        for number in 0..300_000 {
            writeln!(pipe, "{number:07}").unwrap();
        }
    });
    let FromLogger::Trouble { errno, .. } = keeper.told() else { panic!("trouble") };
    assert_eq!(errno, 28);
    assert!(!writer.is_finished(), "it waits in its write");
    fs::remove_file(disk.0.join("ballast")).unwrap();
    assert_eq!(recovered(&keeper), 0, "by itself, within a second or so");
    writer.join().unwrap();
    assert_eq!(keeper.ended(), slot(1));
    let expected: String = (0..300_000).map(|number| format!("{number:07}\n")).collect();
    assert!(fs::read_to_string(&path).unwrap() == expected);
}

#[test]
fn a_log_in_the_way_of_a_file_is_written_once_it_can_be() {
    let mut keeper = Keeper::new();
    fs::write(keeper.dir.path("dir"), "in the way").unwrap();
    let mut pipe = keeper.pipe(slot(1), &route(file(&keeper.dir.path("dir/log"))));
    pipe.write_all(b"one\n").unwrap();
    let FromLogger::Trouble { errno, dropped, .. } = keeper.told() else { panic!("trouble") };
    assert_eq!((errno, dropped), (20, 0));
    assert_eq!(keeper.drain(slot(1)), "one\n", "the barrier does not wait for the disk");
    fs::remove_file(keeper.dir.path("dir")).unwrap();
    keeper.ask(&ToLogger::Writable);
    assert_eq!(recovered(&keeper), 0);
    keeper.drain(slot(1));
    assert_eq!(keeper.dir.read("dir/log"), "one\n");
    let said = keeper.dir.read("stderr");
    assert!(said.contains("web: log /") && said.contains("Not a directory"), "{said}");
}

#[test]
fn a_symbolic_link_is_not_followed() {
    let mut keeper = Keeper::new();
    let path = keeper.dir.path("log");
    fs::write(keeper.dir.path("precious"), "").unwrap();
    std::os::unix::fs::symlink(keeper.dir.path("precious"), &path).unwrap();
    let mut pipe = keeper.pipe(slot(1), &route(file(&path)));
    pipe.write_all(b"one\n").unwrap();
    let FromLogger::Trouble { errno, .. } = keeper.told() else { panic!("trouble") };
    assert_eq!(errno, 40);
    drop(pipe);
    fs::remove_file(&path).unwrap();
    assert_eq!(keeper.ended(), slot(1), "tried again by itself, though the writer is gone");
    assert_eq!((keeper.dir.read("precious"), keeper.dir.read("log")), ("".into(), "one\n".into()));
}

#[test]
fn a_file_size_limit_is_trouble_and_not_the_end() {
    // 512-byte blocks.
    let mut keeper = Keeper::with("ulimit -f 16;", None);
    let path = keeper.dir.path("log");
    let mut pipe = keeper.pipe(slot(1), &route(file(&path)));
    pipe.write_all(&[b'x'; 20_000]).unwrap();
    let FromLogger::Trouble { errno, .. } = keeper.told() else { panic!("trouble") };
    assert_eq!(errno, 27);
    fs::rename(&path, keeper.dir.path("full")).unwrap();
    keeper.ask(&ToLogger::Writable);
    pipe.write_all(b"y").unwrap();
    keeper.drain(slot(1));
    assert!(keeper.dir.read("full").len() <= 16 * 1024);
    assert!(!keeper.dir.read("log").is_empty());
}

#[test]
fn pipes_left_by_dead_processes_on_a_disk_that_is_never_writable_are_bounded() {
    let mut keeper = Keeper::new();
    fs::write(keeper.dir.path("dir"), "in the way").unwrap();
    let log = file(&keeper.dir.path("dir/log"));
    for number in 0..32 {
        let mut pipe = keeper.pipe(slot(number), &route(log.clone()));
        writeln!(pipe, "{number}").unwrap();
    }
    for number in 0..16 {
        assert_eq!(keeper.ended(), slot(number), "the oldest is dropped first");
    }
    fs::remove_file(keeper.dir.path("dir")).unwrap();
    keeper.ask(&ToLogger::Writable);
    for _ in 16..32 {
        keeper.ended();
    }
    let log = keeper.dir.read("dir/log");
    let expected: String = (16..32).map(|number| format!("{number}\n")).collect();
    let note = "upright: 38 bytes of output were dropped here: Not a directory\n";
    assert_eq!(log, format!("{note}{expected}"));
}
