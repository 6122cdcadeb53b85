//! Sockets that jobs share: whoever of Upright's processes is killed, a client waits at most.

use crate::world::{eventually, target, within, Role, World};
use engine::control::answer::Answer;
use engine::control::call::Call;
use engine::machine::request::{Request, Wait};
use engine::process::{Pid, Role as Of};
use engine::signal::Signal;
use std::collections::BTreeSet;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// Two jobs at one socket; one whose socket cannot be.
fn jobs() -> Vec<(String, String)> {
    let serving = "start on startup\nrespawn\nrespawn limit unlimited\nexec PROGRAM accept\n\
                   socket unix://DIR/s.sock mode 620 backlog 7\n";
    let bad = "exec PROGRAM accept\nsocket unix://DIR/none/s.sock\n";
    let all = [("one", serving), ("two", serving), ("bad", bad)];
    all.map(|(name, text)| (name.to_owned(), text.to_owned())).to_vec()
}

fn connect(world: &World) -> Option<UnixStream> {
    let stream = UnixStream::connect(world.dir.join("s.sock")).ok()?;
    stream.set_read_timeout(Some(crate::world::PATIENCE)).unwrap();
    Some(stream)
}

/// Returns who answers.
fn answer(mut stream: &UnixStream) -> Option<Pid> {
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn main_of(world: &World, job: &str) -> Pid {
    let all = world.status(job).processes;
    all.iter().find(|(role, _)| *role == Of::Main).map_or(0, |(_, pid)| *pid)
}

/// Both jobs answer at the socket that there was before.
fn both_answer(world: &World, inode: u64) {
    let mut seen = BTreeSet::new();
    eventually("both answer", || {
        let mains: BTreeSet<Pid> = ["one", "two"].map(|job| main_of(world, job)).into();
        seen.extend(connect(world).and_then(|stream| answer(&stream)));
        (seen.is_superset(&mains) && !mains.contains(&0)).then_some(())
    });
    assert_eq!(world.dir.join("s.sock").metadata().unwrap().ino(), inode, "it is the same socket");
}

/// Opened for the first, closed with the last, and there for all in between.
pub fn a_shared_socket_outlives_everybody_but_the_last_job() {
    let mut world = World::start("socket", &jobs());
    let file = world.dir.join("s.sock");
    let inode = eventually("the socket is there", || Some(file.metadata().ok()?.ino()));
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o620);
    both_answer(&world, inode);

    let daemon = world.other(Role::Daemon, None);
    world.signal(daemon, Signal::KILL);
    world.other(Role::Daemon, Some(daemon));
    both_answer(&world, inode);

    // Nobody accepts, nobody decides: who connects now is served later.
    let (one, two) = (world.other(Role::Daemon, None), world.other(Role::Logger, None));
    world.signal(one, Signal::new(19).unwrap());
    let children = sys::procfs::children_of(world.keeper());
    let services = children.into_iter().filter(|pid| ![one, two].contains(pid));
    for pid in services {
        world.signal(pid, Signal::KILL);
        let lives = || sys::procfs::stat(pid).is_some_and(|stat| stat.state != b'Z');
        eventually("a service has ended", || (!lives()).then_some(()));
    }
    let early = connect(&world).unwrap();
    world.signal(one, Signal::KILL);
    assert!(answer(&early).is_some(), "who came early is answered");
    both_answer(&world, inode);

    world.kill_keeper(|| ());
    both_answer(&world, inode);
    assert_eq!(world.ask(Call::Upgrade).unwrap(), Answer::Done);
    both_answer(&world, inode);

    let stop = |job: &str| world.ask(Call::Ask(Request::Stop(target(job), Wait::Settled), None));
    stop("one").unwrap();
    assert_eq!(connect(&world).and_then(|stream| answer(&stream)), Some(main_of(&world, "two")));
    stop("two").unwrap();
    eventually("nobody listens", || connect(&world).is_none().then_some(()));
    let start = |job: &str| world.ask(Call::Ask(Request::Start(target(job), Wait::Settled), None));
    start("one").unwrap();
    let found = within(Duration::from_secs(60), || connect(&world));
    assert_eq!(found.and_then(|stream| answer(&stream)), Some(main_of(&world, "one")));

    assert!(start("bad").is_err());
    let why = format!(
        "bad main process: cannot open unix://{0}/none/s.sock: No such file or directory\n\
         init: Failed to spawn bad main process: unable to open its socket: No such file or directory",
        world.dir.display()
    );
    eventually("it is said why", || said_without_states(&world).contains(&why).then_some(()));
    assert!(matches!(world.ask(Call::Version), Ok(Answer::Version(_))));
    assert_eq!(world.end(), Some(0));
}

/// What was said, without the states that jobs came to.
fn said_without_states(world: &World) -> String {
    let said = world.said();
    let lines = said.lines().filter(|line| !line.contains(" changed from "));
    lines.collect::<Vec<_>>().join("\n")
}
