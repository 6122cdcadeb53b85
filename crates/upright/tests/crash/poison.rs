//! Journals that cannot be believed: damaged ones, and such that daemons die of.

use crate::clients;
use crate::world::{eventually, target, within, Role, World};
use engine::control::answer::Answer;
use engine::control::call::Call;
use engine::journal::{self, Header, Record, COMMITTED_AT, RECORDS_AT, TICKED_AT};
use engine::machine::request::{Request, Wait};
use engine::machine::state::State;
use engine::process::Pid;
use engine::signal::Signal;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Command;

pub const STEADY: [&str; 3] = ["one", "two", "three"];

/// A journal of so many bytes takes a new daemon longer to read than it takes to be killed.
const SLOW: usize = 24 * 1024 * 1024;

/// A journal is begun anew when it is longer than this and than four times its snapshot.
const COMPACT_FROM: u64 = 512 * 1024;

pub fn world(name: &str) -> World {
    let mut jobs: Vec<(String, String)> = STEADY
        .iter()
        .map(|name| {
            let text = format!("start on startup\nexec PROGRAM steady DIR {name}\n");
            ((*name).to_owned(), text)
        })
        .collect();
    jobs.push((String::from("late"), String::from("exec PROGRAM steady DIR late\n")));
    let world = World::start(name, &jobs);
    eventually("the jobs run", || (mains(&world).len() == STEADY.len()).then_some(()));
    // So that the snapshot has them.
    restart(&world);
    world
}

pub fn mains(world: &World) -> BTreeMap<String, Pid> {
    let running = world.list().into_iter().filter(|view| view.state == State::Running);
    let mains = running.filter_map(|view| Some((view.job.to_string(), view.processes.first()?.1)));
    mains.filter(|(name, _)| !world.lines(&format!("count/{name}")).is_empty()).collect()
}

pub fn kill(world: &World) -> Pid {
    let daemon = world.other(Role::Daemon, None);
    world.signal(daemon, Signal::KILL);
    world.other(Role::Daemon, Some(daemon))
}

/// Kills the daemon and waits for the next one to answer.
fn restart(world: &World) {
    kill(world);
    world.ask(Call::Version).unwrap();
}

fn start_late(world: &World) {
    world.ask(Call::Ask(Request::Start(target("late"), Wait::Settled), None)).unwrap();
    eventually("the late job writes", || (!world.lines("count/late").is_empty()).then_some(()));
}

/// The keeper's copy of the journal.
struct Held(File);

impl Held {
    /// A daemon begins a journal of its own, and may answer before the keeper has let go of the one
    /// before: what is held must be what the daemon writes.
    fn of(world: &World) -> Held {
        let (path, _) = eventually("the keeper holds the daemon's journal", || {
            let (held, written) = (journals(world.keeper()), journals(world.find(Role::Daemon)?));
            let all = held.iter().chain(&written);
            // The daemon has a copy of what the keeper holds.
            let one = all.map(|journal| journal.1).collect::<BTreeSet<u64>>().len() == 1;
            held.first().filter(|_| one && !written.is_empty()).cloned()
        });
        Held(OpenOptions::new().read(true).write(true).open(path).unwrap())
    }

    fn read(&self) -> (Header, Vec<Record>) {
        let mut bytes = vec![0; self.0.metadata().unwrap().len() as usize];
        self.0.read_exact_at(&mut bytes, 0).unwrap();
        let (header, decoded) = journal::read(&bytes).unwrap();
        assert_eq!(decoded.fault, None);
        (header, decoded.records)
    }

    fn damage(&self, record_at: u64) {
        let at = RECORDS_AT as u64 + record_at + 40;
        self.0.write_all_at(b"\0damage\0", at).unwrap();
    }

    /// Repeats the last record until reading them all takes long: they are whole, and change
    /// nothing any more.
    fn make_slow(&self) {
        let (header, records) = self.read();
        let last = records.last().unwrap();
        let effects = last.effects.len() as u64;
        let bytes = journal::encode(last);
        let times = (SLOW / bytes.len() + 1) as u64;
        let at = RECORDS_AT as u64 + header.committed;
        for time in 0..times {
            self.0.write_all_at(&bytes, at + time * bytes.len() as u64).unwrap();
        }
        let store = |at: usize, word: u64| self.0.write_all_at(&word.to_ne_bytes(), at as u64);
        store(TICKED_AT, header.ticked + effects * times).unwrap();
        store(COMMITTED_AT, header.committed + bytes.len() as u64 * times).unwrap();
    }
}

/// Returns the journals that a process has open, and their numbers.
fn journals(pid: Pid) -> Vec<(PathBuf, u64)> {
    let fds = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let journals = fds.map(|entry| entry.path()).filter(|path| {
        let to = fs::read_link(path).unwrap_or_default();
        to.to_string_lossy().starts_with("/memfd:upright-journal")
    });
    journals.filter_map(|path| Some((path.clone(), fs::metadata(path).ok()?.ino()))).collect()
}

fn warned(world: &World, job: &str) -> String {
    world.status(job).warnings.join("\n")
}

fn ended(world: &mut World) {
    assert_eq!(world.end(), Some(0));
    assert_eq!(world.lines("doubled"), Vec::<String>::new());
}

/// A snapshot that cannot be read: what runs is ended, and then everything begins as at the start.
pub fn a_journal_damaged_at_its_beginning_is_said_and_everything_begins_anew() {
    let mut world = world("damaged");
    let before = mains(&world);
    start_late(&world);
    Held::of(&world).damage(0);
    restart(&world);
    let after = eventually("the jobs run again", || {
        let mains = mains(&world);
        STEADY.iter().all(|name| mains.contains_key(*name)).then_some(mains)
    });
    for name in STEADY {
        assert_ne!(before[name], after[name], "{name} was ended and started again");
        // The program runs before it has said so.
        let starts = || world.lines(&format!("starts/{name}")).len();
        eventually("the new one says that it runs", || (starts() >= 2).then_some(()));
        assert_eq!(starts(), 2, "{name}");
        assert!(warned(&world, name).contains("Upright began anew"), "{}", warned(&world, name));
    }
    assert_eq!(world.status("late").state, State::Waiting, "nobody asked for it since");
    let said = world.said();
    assert!(said.contains("journal: the record at byte 0 is damaged"), "{said}");
    restart(&world);
    assert_eq!(mains(&world), after, "what began anew survives as ever");
    assert_eq!(warned(&world, "one"), "", "and nothing had to be given up for that");
    ended(&mut world);
}

/// A later record that cannot be read: what came before it is kept.
pub fn a_journal_damaged_later_keeps_what_came_before() {
    let mut world = world("torn");
    let before = mains(&world);
    let held = Held::of(&world);
    let (header, _) = held.read();
    start_late(&world);
    held.damage(header.committed);
    restart(&world);
    let said = world.said();
    assert!(said.contains("what happened after that is forgotten"), "{said}");
    assert_eq!(mains(&world), before, "what ran before goes on");
    let gone =
        || sys::procfs::all().into_iter().all(|pid| !runs(pid, &world, "late")).then_some(());
    eventually("what nobody knows any more is ended", gone);
    start_late(&world);
    ended(&mut world);
}

pub fn runs(pid: Pid, world: &World, name: &str) -> bool {
    let words = sys::procfs::arguments(pid).unwrap_or_default();
    let dir = world.dir.display().to_string();
    let has = |wanted: &str| words.iter().any(|word| word == wanted.as_bytes());
    has("job") && has(&dir) && has(name)
}

/// Three daemons that die before they are ready: the next one believes the snapshot alone; after six
/// nothing.
pub fn after_three_daemons_the_snapshot_is_believed_and_after_six_nothing() {
    let mut world = world("ladder");
    let before = mains(&world);
    for (deaths, said) in [
        (3, "3 daemons died in a row: what happened after the last snapshot is forgotten"),
        (6, "6 daemons died in a row: all services were ended and Upright began anew"),
    ] {
        start_late(&world);
        Held::of(&world).make_slow();
        // The first one was ready.
        for _ in 0..deaths + 1 {
            kill(&world);
        }
        world.ask(Call::Version).unwrap();
        assert!(world.said().contains(said), "{}", world.said());
        assert!(warned(&world, "one").contains(said), "{}", warned(&world, "one"));
        let gone =
            || sys::procfs::all().into_iter().all(|pid| !runs(pid, &world, "late")).then_some(());
        eventually("what nobody knows any more is ended", gone);
        let after = eventually("the jobs run", || {
            let mains = mains(&world);
            STEADY.iter().all(|name| mains.contains_key(*name)).then_some(mains)
        });
        match deaths {
            3 => assert_eq!(after, before, "what the snapshot has goes on"),
            _ => assert!(STEADY.iter().all(|name| before[*name] != after[*name]), "{after:?}"),
        }
    }
    ended(&mut world);
}

/// A busy daemon begins a new journal by itself before the old one is long.
pub fn a_journal_stays_short() {
    let mut world = world("short");
    let daemon = world.find(Role::Daemon);
    let file = || Held::of(&world).0.metadata().unwrap();
    let first = file().ino();
    let mut longest = 0;
    let mut client = world.client();
    for _ in 0..20_000 {
        let answer = client.ask(clients::emit("something-that-nobody-waits-for")).unwrap();
        assert_eq!(answer, Answer::Instance(None));
        let now = file();
        longest = longest.max(now.len());
        if now.ino() != first {
            break;
        }
    }
    assert_ne!(file().ino(), first, "no new journal after {longest} bytes");
    assert!(longest < COMPACT_FROM + 64 * 1024, "{longest} bytes");
    assert_eq!(world.find(Role::Daemon), daemon, "it was the same daemon all the time");
    let fds = fs::read_dir(format!("/proc/{}/fd", world.keeper())).unwrap().flatten();
    let journals = fds.filter(|entry| {
        let to = fs::read_link(entry.path()).unwrap_or_default();
        to.to_string_lossy().starts_with("/memfd:upright-journal")
    });
    assert_eq!(journals.count(), 1, "the old journal is let go of");
    ended(&mut world);
}

/// Services may use up the keeper's descriptors, but not those by which a journal is handed over: a
/// spawn needs more of them for a moment than it keeps.
pub fn where_descriptors_run_out_the_journal_is_still_handed_over() {
    let count = 70;
    let text = "start on startup\nexec PROGRAM steady DIR ";
    let jobs = (0..count).map(|number| (format!("n{number}"), format!("{text}n{number}\n")));
    let mut jobs: Vec<(String, String)> = jobs.collect();
    jobs.push((String::from("silent"), String::from("console none\nexec sleep 1000\n")));
    let mut world = World::start_with("few", &jobs, "ulimit -n 64");
    let running = eventually("as many jobs run as there is room for", || {
        let running = mains(&world);
        let refused = world.list().iter().filter(|view| !view.waits_for.is_empty()).count();
        (running.len() > 20 && running.len() + refused == count).then_some(running)
    });
    for _ in 0..2 {
        restart(&world);
        let now = mains(&world);
        let kept = running.iter().all(|(name, pid)| now.get(name) == Some(pid));
        assert!(kept, "the journal had them all: {running:?}, then {now:?}");
    }
    let start = Call::Ask(Request::Start(target("silent"), Wait::Settled), None);
    world.ask(start).unwrap();
    let silent = world.status("silent").processes;
    restart(&world);
    assert_eq!(world.status("silent").processes, silent, "and what came later");
    ended(&mut world);
}

/// What ends a daemon that spins.
pub fn a_turn_that_uses_up_its_processor_time_is_ended() {
    let mut spinning =
        Command::new(std::env::current_exe().unwrap()).args(["job", "spin", "50"]).spawn().unwrap();
    let ended = within(crate::world::PATIENCE, || spinning.try_wait().unwrap());
    let _ = spinning.kill();
    const PROF: i32 = 27;
    assert_eq!(ended.and_then(|status| status.signal()), Some(PROF));
}
