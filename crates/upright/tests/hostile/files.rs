//! Files that are no job files, whatever they are called.

use crate::world::{eventually, memory, World, STEADY};
use engine::control::call::Call;
use std::fs::{self, File};
use std::os::unix::fs::{symlink, PermissionsExt};
use std::path::Path;
use std::process::Command;

/// A stream of bytes that is the same every time.
struct Bytes(u64);

impl Iterator for Bytes {
    type Item = u8;
    fn next(&mut self) -> Option<u8> {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        Some((self.0 >> 32) as u8)
    }
}

fn reload(world: &World) {
    world.ask(Call::ReloadConfiguration).unwrap();
}

#[test]
fn any_bytes_as_a_job_file_are_told_and_the_other_jobs_go_on() {
    const BEGINNINGS: [&str; 8] = [
        "",
        "exec ",
        "script\n",
        "start on ",
        "start on (a or (b and ",
        "env X=\"",
        "limit nofile ",
        "description \"x\"\nexec sleep 1\n",
    ];
    let world = World::start("bytes", |_| {});
    let before = world.before();
    for (number, beginning) in BEGINNINGS.iter().cycle().take(400).enumerate() {
        let mut text = beginning.as_bytes().to_vec();
        text.extend(Bytes(number as u64 + 1).take(number * 7));
        fs::write(world.conf().join(format!("x{number}.conf")), text).unwrap();
    }
    fs::write(world.conf().join("good.conf"), "exec sleep 1\n").unwrap();
    reload(&world);
    assert!(world.status("good").is_some());
    assert_eq!(world.status("x1"), None, "{}", world.said());
    world.await_said(&format!("{}/x1.conf:1: ", world.conf().display()));
    world.check(&before);
}

#[test]
fn a_file_of_100_mb_is_not_read_and_the_error_says_why() {
    let world = World::start("large", |_| {});
    let before = world.before();
    let had = memory(world.daemon());
    let file = File::create(world.conf().join("large.conf")).unwrap();
    file.set_len(100 * 1024 * 1024).unwrap();
    reload(&world);
    world.await_said("large.conf: Error while loading configuration file: ");
    world.await_said("larger than 1 MiB");
    assert_eq!(world.status("large"), None);
    world.check(&before);
    let grown = memory(world.daemon()).saturating_sub(had);
    assert!(grown < 8 * 1024, "the daemon grew by {grown} KiB");
}

#[test]
fn directories_that_contain_each_other_by_links_are_walked_once() {
    let world = World::start("loop", |conf| {
        fs::create_dir_all(conf.join("a/b")).unwrap();
        fs::write(conf.join("a/b/deep.conf"), "exec sleep 1\n").unwrap();
        symlink(conf, conf.join("a/b/top")).unwrap();
        symlink("..", conf.join("a/b/up")).unwrap();
        symlink("itself", conf.join("itself")).unwrap();
        symlink("nowhere", conf.join("nowhere.conf")).unwrap();
    });
    let before = world.before();
    reload(&world);
    assert_eq!(world.jobs(), ["a/b/deep", STEADY]);
    world.check(&before);
}

#[test]
fn what_is_no_regular_file_is_no_job_file() {
    let world = World::start("fifo", |_| {});
    let before = world.before();
    let fifo = world.conf().join("fifo.conf");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    symlink("/dev/zero", world.conf().join("device.conf")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(world.conf().join("socket.conf")).unwrap();
    fs::create_dir(world.conf().join("directory.conf")).unwrap();
    reload(&world);
    assert_eq!(world.jobs(), [STEADY]);
    world.check(&before);
}

#[test]
fn a_file_that_may_not_be_read_is_told_with_the_reason() {
    // Root may read everything: Upright runs as another user, where we can become one.
    let other = (sys::peer::own_uid() == 0).then_some(12_345);
    let world = World::start_as("unreadable", other, |_| {});
    let secret = world.conf().join("secret.conf");
    fs::write(&secret, "exec sleep 1\n").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o0)).unwrap();
    let closed = world.conf().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o0)).unwrap();
    fs::write(world.conf().join("good.conf"), "exec sleep 1\n").unwrap();
    reload(&world);
    world.await_said("secret.conf: Error while loading configuration file: Permission denied\n");
    world.await_said("closed: Unable to load configuration: Permission denied\n");
    assert_eq!(world.jobs(), ["good", STEADY]);
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn files_that_come_and_go_while_they_are_read_disturb_nobody() {
    let world = World::start("vanishing", |_| {});
    let before = world.before();
    let (conf, text) = (world.conf(), "exec sleep 1\n".repeat(500));
    let coming = std::thread::spawn(move || {
        for number in 0..2_000 {
            let file = conf.join(format!("v{}.conf", number % 40));
            fs::write(&file, &text).unwrap();
            fs::remove_file(&file).unwrap();
        }
    });
    while !coming.is_finished() {
        reload(&world);
    }
    coming.join().unwrap();
    reload(&world);
    assert_eq!(world.jobs(), [STEADY]);
    world.check(&before);
}

fn many(conf: &Path, count: usize, text: &str) {
    for number in 0..count {
        fs::write(conf.join(format!("job{number:05}.conf")), text).unwrap();
    }
}

#[test]
fn ten_thousand_files_at_once_are_loaded_and_listed_in_pages() {
    const COUNT: usize = 10_000;
    let world = World::start("many", |_| {});
    let before = world.before();
    let had = memory(world.daemon());
    many(&world.conf(), COUNT, "start on never\nrespawn\nexec sleep 1000\n");
    reload(&world);
    eventually("all are loaded", || (world.jobs().len() == COUNT + 1).then_some(()));
    world.check(&before);
    let each = memory(world.daemon()).saturating_sub(had) * 1024 / COUNT as u64;
    assert!(each < 8 * 1024, "{each} bytes for a job");
    fs::remove_dir_all(world.conf()).unwrap();
    fs::create_dir(world.conf()).unwrap();
    reload(&world);
    assert_eq!(world.jobs(), [STEADY]);
}
