//! The keeper itself is killed: another one takes its place.

use crate::clients;
use crate::poison::{kill, mains, runs, world, STEADY};
use crate::world::{eventually, Role, World};
use engine::control::call::Call;
use engine::machine::state::State;
use engine::process::Pid;
use engine::signal::Signal;
use std::fs;

/// Every service is what it was, writes on into its log, and is stopped with the rest.
fn go_on(mut world: World, before: &std::collections::BTreeMap<String, Pid>) {
    let after = eventually("the services are known", || {
        let after = mains(&world);
        (after.len() >= before.len()).then_some(after)
    });
    assert_eq!(&after, before, "each is the process that it was");
    for name in STEADY {
        let written = || -> u64 {
            world.lines(&format!("count/{name}")).first().and_then(|n| n.parse().ok()).unwrap_or(0)
        };
        let wanted = format!("{name} {}", written() + 5);
        eventually("its lines are logged", || {
            world.lines(&format!("log/{name}.log")).contains(&wanted).then_some(())
        });
        assert_eq!(world.lines(&format!("starts/{name}")).len(), 1, "{name} was started once");
    }
    // It is looked after: an end is seen, how it ended too where the kernel tells, and it is stopped.
    world.signal(before["one"], Signal::KILL);
    eventually("an end is seen", || (world.status("one").state == State::Waiting).then_some(()));
    assert_eq!(world.end(), Some(0));
    for name in STEADY {
        assert!(!runs(before[name], &world, name), "{name} was ended with the rest");
        let lines = world.lines(&format!("log/{name}.log"));
        let numbers: Vec<u64> =
            lines.iter().filter_map(|l| l.split(' ').nth(1)?.parse().ok()).collect();
        assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>(), "no line is missing");
    }
    assert_eq!(world.lines("doubled"), Vec::<String>::new());
}

/// The keeper alone, twice in a row.
pub fn another_keeper_takes_the_place_of_one_that_is_killed() {
    let world = world("heir");
    let before = mains(&world);
    let first = world.keeper();
    let second = world.kill_keeper(|| ());
    assert_ne!(first, second);
    world.ask(Call::Version).unwrap();
    let said = world.said();
    assert!(said.contains(&format!("process {second} has taken its place")), "{said}");
    let third = world.kill_keeper(|| ());
    world.ask(Call::Version).unwrap();
    assert_ne!(second, third);
    go_on(world, &before);
}

/// With the daemon: the logger has what the keeper held.
pub fn keeper_and_daemon_killed_at_once_are_both_replaced() {
    let world = world("heir-daemon");
    let before = mains(&world);
    let daemon = world.other(Role::Daemon, None);
    world.kill_keeper(|| world.signal(daemon, Signal::KILL));
    go_on(world, &before);
}

/// The same where no service has an output that the logger would have to read.
pub fn keeper_and_daemon_killed_while_nothing_is_logged_are_both_replaced() {
    let text = "start on startup\nconsole none\nexec PROGRAM steady DIR quiet\n";
    let mut world = World::start("heir-quiet", &[(String::from("quiet"), String::from(text))]);
    let runs = || mains(&world).get("quiet").copied();
    let before = eventually("the job runs", runs);
    let daemon = world.other(Role::Daemon, None);
    world.kill_keeper(|| world.signal(daemon, Signal::KILL));
    assert_eq!(eventually("the job is known", runs), before);
    assert_eq!(world.lines("starts/quiet").len(), 1);
    assert_eq!(world.end(), Some(0));
}

/// With the logger: the daemon finds the pipes at their writers.
pub fn keeper_and_logger_killed_at_once_are_both_replaced() {
    let world = world("heir-logger");
    let before = mains(&world);
    let logger = world.other(Role::Logger, None);
    // First the logger, and both stopped until then: what is written while nobody can read a pipe at
    // all would end its writer.
    for pid in before.values() {
        world.signal(*pid, Signal::new(19).unwrap());
    }
    let daemon = world.other(Role::Daemon, None);
    world.signal(daemon, Signal::new(19).unwrap());
    world.signal(world.keeper(), Signal::new(19).unwrap());
    world.signal(logger, Signal::KILL);
    world.kill_keeper(|| world.signal(daemon, Signal::CONT));
    eventually("the daemon is another", || world.find(Role::Daemon).filter(|pid| *pid != daemon));
    eventually("the logger is another", || world.find(Role::Logger));
    world.ask(Call::Version).unwrap();
    for pid in before.values() {
        world.signal(*pid, Signal::CONT);
    }
    go_on(world, &before);
}

/// What was begun is finished: a client that waits for a start is answered though the keeper is killed
/// meanwhile, and a daemon that is killed right after too.
pub fn a_start_under_way_when_the_keeper_is_killed_is_finished() {
    let world = world("heir-start");
    let mut before = mains(&world);
    let address = world.address();
    let asks = std::thread::spawn(move || {
        let start = engine::machine::request::Request::Start(
            crate::world::target("late"),
            engine::machine::request::Wait::Settled,
        );
        let token = engine::control::call::Token::try_from(String::from("late")).ok();
        clients::client(&address).ask(Call::Ask(start, token))
    });
    world.kill_keeper(|| ());
    kill(&world);
    asks.join().unwrap().unwrap();
    let late = eventually("the late job runs", || mains(&world).get("late").copied());
    before.insert(String::from("late"), late);
    assert_eq!(world.lines("starts/late").len(), 1);
    let _ = fs::metadata(&world.dir);
    go_on(world, &before);
}

/// Each that follows is killed as soon as it is seen, before it can have anybody who would take its place.
pub fn keepers_killed_before_they_have_heirs_are_replaced() {
    let world = world("heir-early");
    let before = mains(&world);
    for _ in 0..3 {
        world.kill_keeper(|| ());
    }
    world.ask(Call::Version).unwrap();
    eventually("nobody is left of the others", || world.has_no_strays().then_some(()));
    go_on(world, &before);
}
