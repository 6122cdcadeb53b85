//! Another binary stands where the running one was started from: a good one is gone on in, of any other
//! it is said what is wrong with it, and nothing has changed.

use crate::poison::{mains, STEADY};
use crate::world::{eventually, World};
use engine::control::answer::Answer;
use engine::control::call::Call;
use engine::process::Pid;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// What is put in its place and may be executed or not, and what is said of it.
const BROKEN: &[(Kind, u32, &str)] = &[
    (Kind::Text("\x7fELF and nothing that follows"), 0o755, "Exec format error"),
    (Kind::Text("#!/bin/sh\n"), 0o644, "Permission denied"),
    (Kind::Text("#!/bin/sh\nexit 0\n"), 0o755, "does not say whether it can go on"),
    (Kind::Copy("/bin/true"), 0o755, "does not say whether it can go on: exit status: 0"),
    (Kind::Copy("/bin/echo"), 0o755, "it says: --role=try"),
];

/// What a file is made of.
enum Kind {
    Text(&'static str),
    Copy(&'static str),
}

impl Kind {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Kind::Text(text) => text.as_bytes().to_vec(),
            Kind::Copy(path) => fs::read(path).unwrap(),
        }
    }
}

fn refused(world: &World) -> String {
    match world.ask(Call::Upgrade) {
        Err(trouble) => trouble.to_string(),
        Ok(answer) => panic!("{answer:?}"),
    }
}

/// Written by another process: what this one has open for writing the children have, too, which tests
/// beside this one fork at any moment, and the kernel executes nothing that anybody may still write.
fn put(core: &Path, text: &[u8], mode: u32) {
    let new = core.with_extension("new");
    let mut writer = Command::new("sh")
        .args(["-ec", "cat > \"$1\"; chmod \"$2\" \"$1\"", "sh"])
        .arg(&new)
        .arg(format!("{mode:o}"))
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    writer.stdin.take().unwrap().write_all(text).unwrap();
    assert!(writer.wait().unwrap().success());
    fs::rename(&new, core).unwrap();
}

/// Plays the core in this program's place: it passes the trial, as the real one does for it, and dies
/// when it is to be the keeper.
pub fn play(arguments: &[String]) -> ! {
    if arguments.iter().any(|argument| argument == "--role=try") {
        let error = Command::new(env!("CARGO_BIN_EXE_upright-core")).args(arguments).exec();
        panic!("the core: {error}");
    }
    std::process::abort();
}

/// How often an upgrade is tried of which the keeper is killed twice while it is on probation.
const ROUNDS: usize = 5;

fn start(name: &str, good: &[u8]) -> World {
    let job = |name: &&str| {
        let text = format!("start on startup\nexec PROGRAM steady DIR {name}\n");
        ((*name).to_owned(), text)
    };
    let jobs: Vec<(String, String)> = STEADY.iter().map(job).collect();
    World::start_core(name, &jobs, "ulimit -c 0", |dir| {
        put(&dir.join("core"), good, 0o755);
        dir.join("core")
    })
}

fn all_mains(world: &World) -> BTreeMap<String, Pid> {
    eventually("the jobs run", || Some(mains(world)).filter(|mains| mains.len() == STEADY.len()))
}

/// It passes everything and then does not last: the second keeper in a row that ends while it is on
/// probation is followed by one of the binary before, with every service.
pub fn a_binary_whose_keepers_do_not_last_is_given_up_for_the_one_before() {
    let good = fs::read(env!("CARGO_BIN_EXE_upright-core")).unwrap();
    let mut world = start("upgrade-back", &good);
    let before = all_mains(&world);
    let runs = |world: &World| fs::metadata(format!("/proc/{}/exe", world.keeper())).unwrap().ino();
    // On a machine that stands still for long the probation is over too soon.
    let gone_back = (0..ROUNDS).any(|_| {
        let old = runs(&world);
        put(&world.dir.join("core"), &good, 0o755);
        assert_eq!(world.ask(Call::Upgrade).unwrap(), Answer::Done);
        assert_ne!(runs(&world), old, "it is another file");
        for _ in 0..2 {
            world.kill_keeper(|| ());
            world.ask(Call::Version).unwrap();
        }
        runs(&world) == old
    });
    assert!(gone_back, "{}", world.said());
    assert!(world.said().contains("going on in the one before"), "{}", world.said());
    let Ok(Answer::Version(version)) = world.ask(Call::Version) else { panic!("no version") };
    let why = version.given_up.unwrap_or_default();
    assert!(why.contains("it took the keeper's place and could not do its work"), "{why}");
    assert_eq!(mains(&world), before, "with every service");
    assert_eq!(world.end(), Some(0));
    assert_eq!(world.lines("doubled"), Vec::<String>::new());
}

/// All of them, then a good one.
pub fn a_binary_that_cannot_go_on_is_refused_and_the_old_one_goes_on() {
    let good = fs::read(env!("CARGO_BIN_EXE_upright-core")).unwrap();
    let mut world = start("upgrade", &good);
    let core = world.dir.join("core");
    let before = all_mains(&world);
    let daemon = world.other(crate::world::Role::Daemon, None);
    fs::remove_file(&core).unwrap();
    let said = refused(&world);
    assert!(said.contains("No such file") && said.contains("the old one goes on"), "{said}");
    for (text, mode, wanted) in BROKEN {
        put(&core, &text.bytes(), *mode);
        let said = refused(&world);
        assert!(said.contains(wanted), "{wanted}: {said}");
        assert!(said.contains("the old one goes on"), "{said}");
    }
    put(&core, &fs::read(std::env::current_exe().unwrap()).unwrap(), 0o755);
    let said = refused(&world);
    assert!(said.contains("take the keeper's place, and it was ended by ABRT signal"), "{said}");
    assert!(said.contains("the old one goes on"), "{said}");
    assert_eq!(world.other(crate::world::Role::Daemon, None), daemon, "nothing has changed");
    put(&core, &good, 0o755);
    assert_eq!(world.ask(Call::Upgrade).unwrap(), Answer::Done);
    assert_ne!(world.other(crate::world::Role::Daemon, None), daemon, "it went on in the new one");
    assert_eq!(mains(&world), before, "with every service");
    assert_eq!(world.end(), Some(0), "and is the process that was started");
    assert_eq!(world.lines("doubled"), Vec::<String>::new());
}
