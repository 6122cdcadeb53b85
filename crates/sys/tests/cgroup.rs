//! Control groups on the kernel's own hierarchy of version 2, where we may write to it.

use engine::process::{Exit, Pid};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use sys::cgroup::{self, Expected};
use sys::ground::Grounds;
use sys::limits::Inherited;
use sys::plan::Plan;
use sys::spawn::{spawn, Launch, Source};

/// A group of this test's own, removed in the end.
struct Group(PathBuf);

impl Group {
    fn new(name: &str) -> Option<Group> {
        let made = cgroup::own().map(|own| own.join(format!("{name}-{}", std::process::id())));
        let made = made.filter(|path| cgroup::make(path).is_ok());
        if made.is_none() {
            println!("passed over: there is no hierarchy of version 2 that we may write to");
        }
        made.map(Group)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = cgroup::kill(&self.0);
        let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while self.0.exists()
            && cgroup::remove(&self.0).is_err()
            && std::time::Instant::now() < until
        {
            std::thread::yield_now();
        }
    }
}

fn opened(group: &Path) -> OwnedFd {
    let outer = std::fs::File::open(group.parent().unwrap()).unwrap();
    let name = group.file_name().and_then(|name| name.to_str()).unwrap();
    cgroup::make_in(outer, name, Expected::There).unwrap()
}

fn sleeper(group: &Path, change: impl FnOnce(&mut Plan), born: bool) -> Pid {
    let words = [c"sleep", c"1000"].map(|word| word.to_owned());
    let mut plan = Plan::new(c"/bin/sleep".to_owned(), words.to_vec());
    let procs = group.join("cgroup.procs").into_os_string().into_encoded_bytes();
    plan.cgroups = vec![std::ffi::CString::new(procs).unwrap()];
    change(&mut plan);
    let (plan, inherited) = (plan.encode(), Inherited::capture());
    let directory = opened(group);
    let launch = Launch {
        plan: Source::Bytes(&plan),
        null: None,
        input: None,
        log: None,
        errors: None,
        script: None,
        given: &[],
        group: born.then(|| directory.as_fd()),
        inherited: &inherited,
        witness: None,
    };
    spawn(&launch, &mut Grounds::new()).unwrap().pid
}

fn until(what: &str, mut is: impl FnMut() -> bool) {
    let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !is() {
        assert!(std::time::Instant::now() < until, "{what}");
        std::thread::yield_now();
    }
}

#[test]
fn a_child_is_born_into_its_group_or_joins_it_and_all_are_killed_together() {
    let Some(group) = Group::new("upright-test-born") else { return };
    let group = &group.0;
    // In the parent's memory, by a fork, and where the kernel has no such births.
    let shares = sleeper(group, |_| {}, true);
    let forked = sleeper(group, |plan| plan.oom_score_adj = Some(1), true);
    let joins = sleeper(group, |_| {}, false);
    until("all are members", || {
        let mut members = cgroup::members(group);
        members.sort();
        let mut all = [shares, forked, joins];
        all.sort();
        members == all
    });
    assert!(cgroup::is_populated(group));
    assert!(cgroup::remove(group).is_err(), "it is lived in");
    if let Err(error) = cgroup::kill(group) {
        println!("passed over: cgroup.kill: {error}");
        return;
    }
    for pid in [shares, forked, joins] {
        let killed = Exit::Signal { signal: 9, core: false };
        assert_eq!(sys::wait::exit_of(pid), Some(killed));
    }
    until("nobody is in it", || !cgroup::is_populated(group));
}

#[test]
fn a_child_is_not_in_the_group_that_is_gone_and_runs_all_the_same() {
    let Some(group) = Group::new("upright-test-gone") else { return };
    let directory = opened(&group.0);
    cgroup::remove(&group.0).unwrap();
    let words = [c"true".to_owned()].to_vec();
    let plan = Plan::new(c"/bin/true".to_owned(), words).encode();
    let inherited = Inherited::capture();
    let launch = Launch {
        plan: Source::Bytes(&plan),
        null: None,
        input: None,
        log: None,
        errors: None,
        script: None,
        given: &[],
        group: Some(directory.as_fd()),
        inherited: &inherited,
        witness: None,
    };
    let pid = spawn(&launch, &mut Grounds::new()).unwrap().pid;
    assert_eq!(sys::wait::exit_of(pid), Some(Exit::Status(0)));
}

#[test]
fn a_group_is_locked_by_one_and_removed_with_those_within_it() {
    let Some(group) = Group::new("upright-test-lock") else { return };
    let group = &group.0;
    let lock = cgroup::lock(group).unwrap().unwrap();
    assert!(cgroup::lock(group).unwrap().is_none(), "it is another's");
    assert_eq!(cgroup::path(&lock).unwrap(), *group);
    drop(lock);
    assert!(cgroup::lock(group).unwrap().is_some());
    cgroup::make(&group.join("a")).unwrap();
    cgroup::make(&group.join("a/b")).unwrap();
    cgroup::make(group).unwrap();
    assert!(cgroup::members(group).is_empty());
    cgroup::remove(group).unwrap();
    assert!(!group.exists());
    assert!(cgroup::write(group, "cgroup.procs", "0").is_err());
}

#[test]
fn a_group_is_made_where_there_is_none_whatever_was_expected() {
    let Some(group) = Group::new("upright-test-made") else { return };
    for expected in [Expected::New, Expected::There] {
        for _ in 0..2 {
            cgroup::make_in(opened(&group.0), "a", expected).unwrap();
            assert!(group.0.join("a").is_dir());
        }
        cgroup::remove(&group.0.join("a")).unwrap();
    }
}
