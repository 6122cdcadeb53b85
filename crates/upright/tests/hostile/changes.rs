//! Changes of job files while Upright runs: noticed by themselves, and never in the way.

use crate::world::{eventually, World, STEADY};
use engine::control::call::Call;
use engine::signal::Signal;
use std::fs;
use std::os::unix::fs::symlink;

/// Waits until exactly these jobs are known.
fn await_jobs(world: &World, jobs: &[&str]) {
    eventually(&format!("the jobs are {jobs:?}; it said:\n{}", world.said()), || {
        (world.jobs() == jobs).then_some(())
    });
}

/// Waits until a job has this description.
fn await_usage(world: &World, job: &str, usage: &str) {
    eventually(&format!("{job} is described as {usage}"), || {
        let (_, out, _) = world.run(&["initctl", "usage", job]);
        out.contains(usage).then_some(())
    });
}

#[test]
fn new_changed_renamed_linked_and_deleted_files_are_noticed() {
    let world = World::start("noticed", |_| {});
    let before = world.before();
    fs::write(world.conf().join("a.conf"), "usage one\nexec sleep 1\n").unwrap();
    await_jobs(&world, &["a", STEADY]);
    fs::write(world.conf().join("a.conf"), "usage two\nexec sleep 1\n").unwrap();
    await_usage(&world, "a", "two");
    world.write("a.conf", "usage three\nexec sleep 1\n");
    await_usage(&world, "a", "three");
    fs::write(world.conf().join("a.override"), "usage four\n").unwrap();
    await_usage(&world, "a", "four");
    fs::remove_file(world.conf().join("a.override")).unwrap();
    await_usage(&world, "a", "three");
    fs::rename(world.conf().join("a.conf"), world.conf().join("b.conf")).unwrap();
    await_jobs(&world, &["b", STEADY]);
    fs::write(world.dir.join("elsewhere"), "exec sleep 1\n").unwrap();
    symlink(world.dir.join("elsewhere"), world.conf().join("c.conf")).unwrap();
    fs::hard_link(world.dir.join("elsewhere"), world.conf().join("d.conf")).unwrap();
    await_jobs(&world, &["b", "c", "d", STEADY]);
    for name in ["b", "c", "d"] {
        fs::remove_file(world.conf().join(format!("{name}.conf"))).unwrap();
    }
    await_jobs(&world, &[STEADY]);
    world.check(&before);
}

#[test]
fn directories_that_come_go_and_come_back_are_noticed() {
    let world = World::start("directories", |_| {});
    let before = world.before();
    let deep = world.conf().join("net/deep");
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("a.conf"), "exec sleep 1\n").unwrap();
    await_jobs(&world, &["net/deep/a", STEADY]);
    fs::write(deep.join("b.conf"), "exec sleep 1\n").unwrap();
    await_jobs(&world, &["net/deep/a", "net/deep/b", STEADY]);
    fs::remove_dir_all(world.conf().join("net")).unwrap();
    await_jobs(&world, &[STEADY]);
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("c.conf"), "exec sleep 1\n").unwrap();
    await_jobs(&world, &["net/deep/c", STEADY]);
    fs::rename(world.conf().join("net"), world.dir.join("away")).unwrap();
    await_jobs(&world, &[STEADY]);
    fs::rename(world.dir.join("away"), world.conf().join("other")).unwrap();
    await_jobs(&world, &["other/deep/c", STEADY]);
    fs::remove_dir_all(world.conf().join("other")).unwrap();
    await_jobs(&world, &[STEADY]);
    world.check(&before);
}

#[test]
fn a_link_to_a_directory_is_followed_and_a_changed_one_too() {
    let world = World::start("linked", |_| {});
    for version in ["one", "two"] {
        let directory = world.dir.join(version);
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join("a.conf"), format!("usage {version}\nexec sleep 1\n")).unwrap();
    }
    let link = world.dir.join("link");
    symlink(world.dir.join("one"), &link).unwrap();
    fs::rename(&link, world.conf().join("current")).unwrap();
    await_usage(&world, "current/a", "one");
    symlink(world.dir.join("two"), &link).unwrap();
    fs::rename(&link, world.conf().join("current")).unwrap();
    await_usage(&world, "current/a", "two");
    fs::remove_file(world.conf().join("current")).unwrap();
    await_jobs(&world, &[STEADY]);
}

#[test]
fn a_source_that_is_deleted_is_told_and_watched_again_when_it_is_back() {
    let world = World::start("source", |_| {});
    let before = world.before();
    fs::write(world.conf().join("a.conf"), "exec sleep 1\n").unwrap();
    await_jobs(&world, &["a", STEADY]);
    fs::rename(world.conf(), world.dir.join("away")).unwrap();
    world.await_said("conf: Configuration directory deleted\n");
    assert_eq!(world.jobs(), ["a", STEADY], "jobs stay until a reload");
    world.ask(Call::ReloadConfiguration).unwrap();
    assert_eq!(world.jobs(), [STEADY], "a running job stays until it has stopped");
    fs::create_dir(world.conf()).unwrap();
    fs::write(world.conf().join("b.conf"), "exec sleep 1\n").unwrap();
    await_jobs(&world, &["b", STEADY]);
    fs::write(world.conf().join("c.conf"), "exec sleep 1\n").unwrap();
    await_jobs(&world, &["b", "c", STEADY]);
    fs::remove_dir_all(world.conf()).unwrap();
    await_jobs(&world, &[STEADY]);
    fs::create_dir(world.conf()).unwrap();
    fs::write(world.conf().join("d.conf"), "exec sleep 1\n").unwrap();
    await_jobs(&world, &["d", STEADY]);
    world.check(&before);
}

#[test]
fn a_file_that_is_broken_leaves_the_last_good_one_in_force_and_status_says_so() {
    let world = World::start("broken", |_| {});
    let before = world.before();
    world.write("a.conf", "usage good\nexec sleep 1\n");
    await_usage(&world, "a", "good");
    world.write("a.conf", "usage bad\nexecute\n");
    world.await_said("a.conf:2: Unknown stanza\n");
    await_usage(&world, "a", "good");
    let warned = world.status("a").unwrap().warnings.join("\n");
    assert!(warned.contains("the last good one is") && warned.contains("a.conf:2:"), "{warned}");
    world.write("a.conf", "usage better\nexec sleep 1\n");
    await_usage(&world, "a", "better");
    assert_eq!(world.status("a").unwrap().warnings, [""; 0]);
    world.write("a.conf", "execute\n");
    eventually("it is broken again", || (!world.status("a")?.warnings.is_empty()).then_some(()));
    fs::remove_file(world.conf().join("a.conf")).unwrap();
    await_jobs(&world, &[STEADY]);
    world.check(&before);
}

#[test]
fn what_changed_while_the_daemon_was_dead_is_found_by_the_next_one() {
    let world = World::start("dead", |_| {});
    let steady = world.main(STEADY);
    let daemon = world.daemon();
    world.write("old.conf", "exec sleep 1\n");
    await_jobs(&world, &["old", STEADY]);
    sys::pidfd::send(sys::pidfd::open(daemon).unwrap(), Signal::KILL).unwrap();
    world.write("new.conf", "exec sleep 1\n");
    fs::remove_file(world.conf().join("old.conf")).unwrap();
    await_jobs(&world, &["new", STEADY]);
    assert_ne!(world.daemon(), daemon);
    assert_eq!(world.main(STEADY), steady);
}

#[test]
fn a_storm_of_changes_settles_and_everybody_is_answered_meanwhile() {
    const COUNT: usize = 10_000;
    let world = World::start("storm", |_| {});
    let before = world.before();
    let conf = world.conf();
    let storm = std::thread::spawn(move || {
        for round in ["one", "two", "three"] {
            for number in 0..COUNT {
                let text = format!("usage {round}\nexec sleep 1\n");
                fs::write(conf.join(format!("job{number:05}.conf")), text).unwrap();
            }
        }
    });
    let mut answers = 0;
    while !storm.is_finished() {
        assert!(world.main(STEADY).is_some());
        answers += 1;
    }
    storm.join().unwrap();
    assert!(answers > 0);
    eventually("all are known", || (world.jobs().len() == COUNT + 1).then_some(()));
    await_usage(&world, "job00000", "three");
    await_usage(&world, "job09999", "three");
    world.check(&before);
}

#[test]
fn a_hang_up_signal_reads_everything_again() {
    let world = World::start("hup", |_| {});
    fs::rename(world.conf(), world.dir.join("away")).unwrap();
    world.await_said("conf: Configuration directory deleted\n");
    fs::write(world.dir.join("away/a.conf"), "exec sleep 1\n").unwrap();
    fs::rename(world.dir.join("away"), world.conf()).unwrap();
    world.signal(Signal::HUP);
    await_jobs(&world, &["a", STEADY]);
    world.await_said("Reloading configuration\n");
}

#[test]
fn variables_are_set_shown_removed_and_put_back_for_all_and_for_one_job() {
    let world = World::start("variables", |conf| {
        let text = "env OWN=1\nexec sleep 1000\n";
        fs::write(conf.join("web.conf"), text).unwrap();
    });
    let ok = |arguments: &[&str], output: &str| {
        let all: Vec<&str> = ["initctl"].iter().chain(arguments).copied().collect();
        assert_eq!(world.run(&all), (0, output.to_owned(), String::new()), "{arguments:?}");
    };
    ok(&["set-env", "A=1", "AB=2", "EMPTY"], "");
    ok(&["get-env", "AB"], "2\n");
    ok(&["get-env", "EMPTY"], "\n");
    ok(&["set-env", "--retain", "A=9"], "");
    ok(&["get-env", "A"], "1\n");
    ok(&["unset-env", "ABC"], "");
    ok(&["get-env", "AB"], "2\n");
    ok(&["unset-env", "AB"], "");
    let missing = world.run(&["initctl", "get-env", "AB"]);
    assert_eq!(missing, (1, String::new(), "initctl: No such variable: AB\n".to_owned()));
    let (_, all, _) = world.run(&["initctl", "list-env"]);
    assert!(all.contains("A=1\n") && all.contains("EMPTY=\n"), "{all}");
    // Survives the daemon.
    let daemon = world.daemon();
    sys::pidfd::send(sys::pidfd::open(daemon).unwrap(), Signal::KILL).unwrap();
    eventually("a new daemon", || (world.daemon() != daemon).then_some(()));
    ok(&["get-env", "A"], "1\n");
    ok(&["reset-env"], "");
    let (code, _, _) = world.run(&["initctl", "get-env", "A"]);
    assert_eq!(code, 1);
}
