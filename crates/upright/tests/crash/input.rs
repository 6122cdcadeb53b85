//! What is written to a program's standard input while Upright's processes are killed.

use crate::world::{eventually, target, Role, World};
use engine::control::answer::Answer;
use engine::control::call::Call;
use engine::signal::Signal;
use engine::text::Text;
use std::fs;
use upright::cli::client::Trouble;

/// How often each of them is killed.
const ROUNDS: usize = 4;

/// How many bytes a pipe has room for that nobody reads.
const PIPE: u64 = 64 * 1024;

const READER: &str = "start on startup\ninput pipe\nscript\n\
     while read -r line; do echo \"$line\" >>DIR/count/input; done\n\
     echo end >>DIR/count/input\nexec sleep 1000\nend script\n";

fn send(world: &World, job: &str, text: &str) -> Result<u64, Trouble> {
    match world.ask(Call::SendInput(target(job), Text::from(text)))? {
        Answer::Taken(taken) => Ok(taken),
        other => panic!("{job}: {other:?}"),
    }
}

fn refusal(world: &World, job: &str, text: &str) -> (String, String) {
    match send(world, job, text) {
        Err(Trouble::Fault(engine::control::fault::Fault::Refused(refused))) => {
            (refused.code, refused.message)
        }
        other => panic!("{job}: {other:?}"),
    }
}

fn running(world: &World, job: &str) {
    eventually("it runs", || world.status(job).processes.first().map(|_| ()));
}

pub fn a_standard_input_stays_open_whoever_is_killed_and_gets_each_line_once() {
    let mut world = World::start("input", &[(String::from("reader"), String::from(READER))]);
    running(&world, "reader");
    let mut wanted = Vec::new();
    let mut write = |world: &World| {
        let line = format!("line {}", wanted.len());
        assert_eq!(send(world, "reader", &format!("{line}\n")).unwrap(), line.len() as u64 + 1);
        wanted.push(line);
    };
    write(&world);
    for _ in 0..ROUNDS {
        for role in [Role::Daemon, Role::Logger] {
            let pid = world.other(role, None);
            world.signal(pid, Signal::KILL);
            world.other(role, Some(pid));
            write(&world);
        }
        world.kill_keeper(|| {});
        world.other(Role::Logger, None);
        write(&world);
        world.ask(Call::Upgrade).unwrap();
        write(&world);
    }
    let there = eventually("every line", || {
        let there = world.lines("count/input");
        (there.len() >= wanted.len()).then_some(there)
    });
    assert_eq!(there, wanted, "and no end");
    assert_eq!(world.end(), Some(0));
}

pub fn a_standard_input_that_cannot_be_written_to_is_refused_with_the_reason() {
    let jobs = [
        ("none", "exec sleep 1000\n"),
        ("deaf", "input pipe\nexec sleep 1000\n"),
        ("shut", "input pipe\nscript\nexec sleep 1000 <&-\nend script\n"),
        ("ends", "input pipe\nscript\nread -r line\nend script\n"),
    ];
    let jobs = jobs.map(|(name, text)| (String::from(name), format!("start on startup\n{text}")));
    let mut world = World::start("no-input", &jobs);
    ["none", "deaf", "shut", "ends"].iter().for_each(|job| running(&world, job));
    let (code, message) = refusal(&world, "none", "x");
    assert_eq!(code, "no-input");
    assert!(message.starts_with("none: it reads from /dev/null; `input pipe`"), "{message}");
    let much = "x".repeat(2 * PIPE as usize);
    assert_eq!(send(&world, "deaf", &much).unwrap(), PIPE, "as much as there was room for");
    assert_eq!(refusal(&world, "deaf", "more").0, "input-full");
    let closed = eventually("it has closed it", || send(&world, "shut", "x").err());
    let Trouble::Fault(closed) = closed else { panic!("{closed:?}") };
    assert_eq!(closed.to_string(), "shut: it has closed its standard input");
    assert_eq!(send(&world, "ends", "a line\n").unwrap(), 7);
    eventually("it ends", || world.status("ends").processes.is_empty().then_some(()));
    assert_eq!(refusal(&world, "ends", "another").0, "not-running");
    assert_eq!(world.end(), Some(0));
    let _ = fs::remove_dir_all(&world.dir);
}
