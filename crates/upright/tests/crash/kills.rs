//! Daemon and logger are killed at random moments, each alone and both together; or the keeper is,
//! alone and with either of them.

use crate::chance::Chance;
use crate::clients::{self, Clients};
use crate::jobs;
use crate::table::Table;
use crate::world::{descriptors, eventually, memory, target, within, Role, World, PATIENCE};
use engine::control::answer::Answer;
use engine::control::call::Call;
use engine::machine::request::{Request, Target, Wait, Which};
use engine::machine::state::{Goal, State};
use engine::process::Pid;
use engine::signal::Signal;
use engine::text::Text;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::time::{Duration, Instant};
use upright::cli::client::Trouble;
use upright::cli::connect;

/// How many kills of each there are unless `CRASH_KILLS` says otherwise.
const KILLS: usize = 40;

/// How many kills of the keeper, likewise.
const KEEPER_KILLS: usize = 15;

/// How many upgrades, likewise.
const UPGRADES: usize = 20;

/// Who is killed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Victims {
    /// Daemon and logger.
    Peers,
    /// The keeper. What ends before the next one looks is known to have ended, not how.
    Keeper,
    /// Nobody: it goes on in another binary, which is the same.
    Upgraded,
}

/// How many daemons in a row are killed before one has answered: at the third, Upright itself
/// distrusts what it finds, which is another test.
const UNREADY: u32 = 2;

/// How many descriptors more than before a process may have when it is looked at: what is just under
/// way.
const SLACK: usize = 4;

/// How much more memory a process may use after it all, in KiB.
const GROWTH: u64 = 2048;

/// The main test.
pub fn nothing_is_lost_and_nothing_doubled() {
    kill_and_count("crash", Victims::Peers, KILLS);
}

/// The same with the keeper.
pub fn no_service_and_no_line_is_lost_when_the_keeper_is_killed() {
    kill_and_count("crash-keeper", Victims::Keeper, KEEPER_KILLS);
}

/// The same with upgrades.
pub fn nothing_is_lost_and_nothing_doubled_by_upgrades() {
    kill_and_count("crash-upgrade", Victims::Upgraded, UPGRADES);
}

fn kill_and_count(name: &str, victims: Victims, usual: usize) {
    let kills = std::env::var("CRASH_KILLS").ok().and_then(|text| text.parse().ok());
    let kills = kills.unwrap_or(usual);
    let begun = Instant::now();
    let mut world = World::start(name, &jobs::files());
    let heard = clients::listen(world.address());
    for number in 0..jobs::INSTANCES {
        let which = Which::Env(vec![Text::from(format!("N={number}"))]);
        let target = Target { job: Text::from("inst"), which };
        world.ask(Call::Ask(Request::Start(target, Wait::Settled), None)).unwrap();
    }
    let mains = all_run(&world);
    // An event that half a condition waits for blocks whoever emits it, as one does that a task runs
    // for.
    let half = blocked(&world, "half-a");
    let gate = blocked(&world, "gate");
    eventually("the gate's job runs", || is_running(&world, "gate"));
    eventually("half a condition is met", || half_met(&world).then_some(()));
    // Of a job between two lives nobody has a pipe.
    calm(&world);
    let before = Usage::of(&world);
    std::fs::remove_file(world.dir.join("calm")).unwrap();
    std::fs::remove_file(world.dir.join("calmed")).unwrap();

    let clients = Clients::start(&world);
    let mut table = Table::default();
    let killer = Killer::new(&world, &clients);
    match victims {
        Victims::Peers => killer.kill(kills, &mut table),
        Victims::Keeper => killer.kill_keepers(kills, &mut table),
        Victims::Upgraded => killer.upgrade(kills, &mut table),
    }
    let mut books = clients.finish();
    let unknown = books.forgive_unknown(victims == Victims::Keeper);
    println!("tasks that ended while there was no keeper, status unknown: {unknown}");

    table.done("answers to clients", books.answers);
    table.lost("requests refused, lost or answered wrongly", books.wrong.clone());
    check_work(&world, &books, victims, &mut table);
    check_half(&world, &mut table);
    check_blocked(&world, vec![half, gate], &mut table);
    let ends = check_ends(&world, victims, &mut table);
    check_usage(&world, &before, victims, &mut table);
    check_services(&world, &mains, &mut table);
    world.ask(clients::emit("end-of-stream")).unwrap();
    let heard = heard.join().unwrap();
    check_heard(&ends, &heard, victims, &mut table);
    let status = world.end();
    table.lost(
        "keeper's end",
        status.filter(|s| *s != 0).map(|s| format!("{s}")).into_iter().collect(),
    );
    check_lines(&world, &mut table);
    check_hooks(&world, &mut table);
    println!("{:.1} s", begun.elapsed().as_secs_f64());
    table.check();
}

/// A client that emitted an event which does not finish for now.
struct Blocked {
    event: &'static str,
    thread: std::thread::JoinHandle<Result<Answer, Trouble>>,
}

fn blocked(world: &World, event: &'static str) -> Blocked {
    let address = world.address();
    let ask = move || clients::client(&address).ask(clients::emit(event));
    Blocked { event, thread: std::thread::spawn(ask) }
}

/// Reports whether `half` waits for its other half alone.
fn half_met(world: &World) -> bool {
    match world.ask(Call::Why(target("half"))) {
        Ok(Answer::Why(why)) => {
            let met = |event| why.start_on.iter().any(|row| row.words == event && row.met);
            met("half-a") != met("half-b")
        }
        other => panic!("why half: {other:?}"),
    }
}

fn is_running(world: &World, job: &str) -> Option<Pid> {
    let view = world.status(job);
    let runs = view.goal == Goal::Start && view.state == State::Running;
    view.processes.first().filter(|_| runs).map(|(_, pid)| *pid)
}

/// Waits until every writer runs and writes; returns their main processes.
fn all_run(world: &World) -> BTreeMap<String, Pid> {
    eventually("all jobs run", || {
        let running = running(world);
        let steady = jobs::steady();
        let wrote = |name: &String| !world.lines(&format!("count/{name}")).is_empty();
        // Only then has the logger opened everything that it will have open.
        let logged = |name: &String| !world.lines(&format!("log/{name}.log")).is_empty();
        let all = steady.iter().all(|name| running.contains_key(name) && wrote(name))
            && steady.iter().chain(&jobs::crashing()).all(logged);
        all.then(|| running.into_iter().filter(|(name, _)| steady.contains(name)).collect())
    })
}

/// Returns the main process of every instance that runs, `job-instance` where it has a name.
fn running(world: &World) -> BTreeMap<String, Pid> {
    let views = world.list().into_iter();
    let runs = views.filter(|view| view.goal == Goal::Start && view.state == State::Running);
    runs.filter_map(|view| {
        let (_, pid) = view.processes.first()?;
        let instance = String::from_utf8_lossy(view.instance.text().bytes()).into_owned();
        let name = match instance.as_str() {
            "" => view.job.to_string(),
            instance => format!("{}-{instance}", view.job),
        };
        Some((name, *pid))
    })
    .collect()
}

/// Kills, one after the other.
struct Killer<'a> {
    world: &'a World,
    clients: &'a Clients,
    chance: Chance,
    unready: u32,
    killed: BTreeMap<&'static str, u64>,
    works: u64,
}

/// What happens next.
#[derive(Clone, Copy, Debug)]
enum Blow {
    Daemon,
    Logger,
    Both,
    /// Right after a request was sent.
    Asked,
    /// Stopped for a while, then killed.
    Stopped,
    /// Stopped for a while, then let go on.
    Paused,
}

impl<'a> Killer<'a> {
    fn new(world: &'a World, clients: &'a Clients) -> Killer<'a> {
        let chance = Chance::new();
        Killer { world, clients, chance, unready: 0, killed: BTreeMap::new(), works: 0 }
    }

    /// The first third of the daemons alone, then of the loggers alone, then mixed.
    fn kill(mut self, kills: usize, table: &mut Table) {
        let alone = kills / 3;
        for number in 0..alone {
            let blow = match number % 6 {
                3 => Blow::Asked,
                4 => Blow::Stopped,
                5 => Blow::Paused,
                _ => Blow::Daemon,
            };
            self.strike(blow);
        }
        (0..alone).for_each(|_| self.strike(Blow::Logger));
        let count = |killer: &Self, what| killer.killed.get(what).copied().unwrap_or(0);
        while count(&self, DAEMON) < kills as u64 || count(&self, LOGGER) < kills as u64 {
            let blow = match self.chance.below(8) {
                0 => Blow::Daemon,
                1..=3 => Blow::Logger,
                4 => Blow::Both,
                5 => Blow::Asked,
                6 => Blow::Stopped,
                _ => Blow::Paused,
            };
            self.strike(blow);
        }
        self.killed.iter().for_each(|(what, count)| table.done(what, *count));
        table.done("daemons in a row killed before they were ready", u64::from(UNREADY));
    }

    /// Goes on in another binary, over and over.
    fn upgrade(mut self, times: usize, table: &mut Table) {
        let daemon = || self.world.other(Role::Daemon, None);
        let mut before = daemon();
        for _ in 0..times {
            let answer = self.world.ask(Call::Upgrade).unwrap();
            assert_eq!(answer, Answer::Done);
            let after = daemon();
            assert_ne!(before, after, "the daemon is another");
            before = after;
            std::thread::sleep(self.chance.moment(60));
        }
        table.done("upgrades", times as u64);
    }

    /// Kills the keeper, every third time with its daemon or its logger.
    fn kill_keepers(mut self, kills: usize, table: &mut Table) {
        for number in 0..kills {
            self.be_fair();
            self.see_it_write();
            std::thread::sleep(self.chance.moment(60));
            let world = self.world;
            let daemon = world.other(Role::Daemon, None);
            let chance = &mut self.chance;
            let also = number % 3 == 2;
            world.kill_keeper(|| {
                if also {
                    std::thread::sleep(chance.moment(3));
                    world.signal(daemon, Signal::KILL);
                }
            });
            world.ask(Call::Version).unwrap();
            self.count(KEEPER);
            if also {
                self.count("of these, its daemon with it");
            }
        }
        self.killed.iter().for_each(|(what, count)| table.done(what, *count));
    }

    fn strike(&mut self, blow: Blow) {
        match blow {
            Blow::Daemon => self.kill_one(Role::Daemon),
            Blow::Logger => self.kill_one(Role::Logger),
            Blow::Both => {
                let logger = self.world.find(Role::Logger);
                self.kill_one(Role::Daemon);
                self.end(Role::Logger, logger);
            }
            Blow::Asked => self.ask_and_kill(),
            Blow::Stopped => {
                let daemon = self.stop(120);
                self.end(Role::Daemon, Some(daemon));
                self.count("daemons stopped, then killed");
            }
            Blow::Paused => {
                let daemon = self.stop(400);
                self.world.signal(daemon, Signal::CONT);
                self.count("daemons stopped, then let go on");
            }
        }
        std::thread::sleep(self.chance.moment(60));
    }

    fn count(&mut self, what: &'static str) {
        *self.killed.entry(what).or_default() += 1;
    }

    fn kill_one(&mut self, role: Role) {
        match role {
            Role::Daemon => self.be_fair(),
            Role::Logger if self.chance.below(4) != 0 => self.see_it_write(),
            Role::Logger => {}
        }
        let pid = self.world.other(role, None);
        std::thread::sleep(self.chance.moment(30));
        self.end(role, Some(pid));
    }

    /// Kills and waits until it is gone.
    fn end(&mut self, role: Role, pid: Option<Pid>) {
        let Some(pid) = pid else { return };
        self.world.signal(pid, Signal::KILL);
        let gone = || (self.world.find(role) != Some(pid)).then_some(());
        eventually("what was killed is reaped", gone);
        self.count(match role {
            Role::Daemon => DAEMON,
            Role::Logger => LOGGER,
        });
    }

    /// Lets a daemon come up where too many in a row have not.
    fn be_fair(&mut self) {
        self.unready += 1;
        if self.unready > UNREADY || self.chance.below(4) != 0 {
            self.world.ask(Call::Version).unwrap();
            self.unready = 0;
        }
    }

    /// Waits until a logger writes: one that is killed again and again before it does is started
    /// again only after seconds.
    fn see_it_write(&self) {
        let log = self.world.dir.join("log/plain-0.log");
        let length = || std::fs::metadata(&log).map_or(0, |file| file.len());
        let before = length();
        eventually("the logger writes", || (length() > before).then_some(()));
    }

    /// A request is sent and the daemon killed before it can have answered, perhaps before it has
    /// read; then the same request is asked for as a client does that lost its connection.
    fn ask_and_kill(&mut self) {
        self.be_fair();
        self.works += 1;
        let id = format!("k{}", self.works);
        let call = clients::work(&id, self.chance.below(30));
        let daemon = self.world.other(Role::Daemon, None);
        let address = self.world.address();
        let uid = sys::peer::own_uid();
        let mut stream = eventually("a connection", || connect::connect(&address, uid).ok());
        let mut wire = Vec::new();
        call.encode(&mut wire);
        stream.write_all(&wire).unwrap();
        std::thread::sleep(self.chance.moment(4));
        self.end(Role::Daemon, Some(daemon));
        self.count("daemons killed right after a request was sent");
        let answer = clients::client(&address).ask(call);
        self.clients.note(id, answer);
    }

    fn stop(&mut self, milliseconds: u64) -> Pid {
        self.be_fair();
        let daemon = self.world.other(Role::Daemon, None);
        self.world.signal(daemon, Signal::new(STOP).unwrap());
        std::thread::sleep(self.chance.moment(milliseconds));
        daemon
    }
}

/// SIGSTOP.
const STOP: u8 = 19;

const KEEPER: &str = "SIGKILLs of the keeper";
const DAEMON: &str = "SIGKILLs of the daemon";
const LOGGER: &str = "SIGKILLs of the logger";

/// Returns what of `wanted` is not in `found`, and what of `found` is not in `wanted`.
fn differences(wanted: &[String], found: &[String], what: &str) -> (Vec<String>, Vec<String>) {
    let count = |of: &[String]| {
        let mut counted: BTreeMap<String, i64> = BTreeMap::new();
        of.iter().for_each(|one| *counted.entry(one.clone()).or_default() += 1);
        counted
    };
    let (wanted, found) = (count(wanted), count(found));
    let names: BTreeSet<&String> = wanted.keys().chain(found.keys()).collect();
    let (mut missing, mut extra) = (Vec::new(), Vec::new());
    for name in names {
        let of = |counted: &BTreeMap<String, i64>| counted.get(name).copied().unwrap_or(0);
        for _ in of(&found)..of(&wanted) {
            missing.push(format!("{what} {name}"));
        }
        for _ in of(&wanted)..of(&found) {
            extra.push(format!("{what} {name}"));
        }
    }
    (missing, extra)
}

/// Leaves out the ends of which nobody could say how they were: there was no keeper. Each is a number
/// of a process, then how it ended, where that is known.
fn known(ends: &[String], noted: Vec<String>, victims: Victims) -> (Vec<String>, Vec<String>) {
    let of = |end: &String| end.split(' ').next().unwrap_or_default().to_owned();
    let says = |end: &String| end.split(' ').filter(|word| !word.is_empty()).count() > 2;
    if victims != Victims::Keeper {
        return (ends.to_vec(), noted);
    }
    let unknown =
        |end: &&String| end.ends_with("status signal") || end.ends_with("unknown") || !says(end);
    let unknown: BTreeSet<String> = noted.iter().filter(unknown).map(of).collect();
    println!("ends of which it is not known how they were: {}", unknown.len());
    let keep =
        |all: Vec<String>| all.into_iter().filter(|end| !unknown.contains(&of(end))).collect();
    (keep(ends.to_vec()), keep(noted))
}

/// The same where the name of the job comes first.
fn known_of(ends: Vec<String>, told: Vec<String>, victims: Victims) -> (Vec<String>, Vec<String>) {
    if victims != Victims::Keeper {
        return (ends, told);
    }
    let of = |end: &String| end.split(' ').take(2).collect::<Vec<_>>().join(" ");
    let unknown: BTreeSet<String> =
        told.iter().filter(|end| end.ends_with(" unknown")).map(of).collect();
    let keep =
        |all: Vec<String>| all.into_iter().filter(|end| !unknown.contains(&of(end))).collect();
    (keep(ends), keep(told))
}

/// What was accepted was done, once.
fn check_work(world: &World, books: &clients::Books, victims: Victims, table: &mut Table) {
    let (missing, extra) = differences(&books.worked, &world.lines("tasks"), "work");
    table.done("requests for work accepted", books.worked.len() as u64);
    table.lost("accepted requests not carried out", missing);
    table.lost("requests carried out twice", extra);
    let begun = world.lines("begun");
    let odd = |job: &str, wanted: usize| {
        let starts = begun.iter().filter(|line| *line == job).count();
        // What prepares is done again where the keeper was killed and nobody can say how it ended.
        let right = starts == wanted || (victims == Victims::Keeper && starts > wanted);
        (!right).then(|| format!("{job}: {starts} starts, {wanted} asked for"))
    };
    let odd = [odd("toggled", books.toggled), odd("again", books.restarted + 1)];
    table.lost("starts and restarts not done once", odd.into_iter().flatten().collect());
    table.done("starts and restarts", (books.toggled + books.restarted) as u64);
}

/// Half of a condition was met before the kills.
fn check_half(world: &World, table: &mut Table) {
    let mut wrong = Vec::new();
    if world.status("half").state != State::Waiting || !half_met(world) {
        wrong.push(String::from("it is not half met any more"));
    }
    world.ask(clients::emit("half-b")).unwrap();
    if is_running(world, "half").is_none() {
        wrong.push(String::from("its other half did not start the job"));
    }
    table.lost("half-met conditions lost", wrong);
}

/// Clients that were blocked all the time are released: that of `half-a` just now, that of `gate`
/// when its task ends.
fn check_blocked(world: &World, blocked: Vec<Blocked>, table: &mut Table) {
    let mut wrong = Vec::new();
    for Blocked { event, thread } in blocked {
        if event == "gate" {
            if thread.is_finished() {
                wrong.push(String::from("gate: released too early"));
            }
            std::fs::write(world.dir.join("open"), "").unwrap();
        }
        if within(PATIENCE, || thread.is_finished().then_some(())).is_none() {
            wrong.push(format!("{event}: never released"));
            continue;
        }
        match thread.join() {
            Ok(Ok(Answer::Instance(None))) => {}
            other => {
                let said = world.said();
                let of_it: Vec<&str> = said.lines().filter(|l| l.contains(event)).collect();
                wrong.push(format!("{event}: {other:?}; said was {of_it:?}"));
            }
        }
    }
    table.lost("blocked clients not released properly", wrong);
}

/// Has the crashing jobs live on, and waits until each of them does.
fn calm(world: &World) {
    std::fs::write(world.dir.join("calm"), "").unwrap();
    eventually("the crashing jobs are calm", || {
        (world.lines("calmed").len() == jobs::CRASHING).then_some(())
    });
}

/// Every end that a job chose was told of, counted and answered by one respawn.
fn check_ends(world: &World, victims: Victims, table: &mut Table) -> Vec<(String, String)> {
    calm(world);
    let mut all = Vec::new();
    let mut wrong = Vec::new();
    for job in jobs::crashing() {
        let ends = world.lines(&format!("ends/{job}"));
        let counted = || world.status(&job).respawns;
        let agree =
            within(Duration::from_secs(60), || (counted() == ends.len() as u64).then_some(()));
        if agree.is_none() {
            wrong.push(format!("{job}: {} respawns after {} ends", counted(), ends.len()));
        }
        let starts = world.lines(&format!("starts/{job}")).len();
        if starts != ends.len() + 1 {
            wrong.push(format!("{job}: {starts} starts after {} ends", ends.len()));
        }
        all.extend(ends.into_iter().map(|end| (job.clone(), end)));
    }
    table.done("crashes of jobs", all.len() as u64);
    table.lost("exit statuses lost or doubled (respawns)", wrong);
    let (mut lost, mut doubled) = (Vec::new(), Vec::new());
    for number in 0..jobs::NOTED {
        let name = format!("noted-{number}");
        let ends = world.lines(&format!("ends/crashing-{number}"));
        within(Duration::from_secs(60), || (world.lines(&name).len() >= ends.len()).then_some(()));
        let noted = world.lines(&name).into_iter();
        // The end that was not has no word after its name.
        let noted: Vec<String> = noted
            .map(|line| {
                let words: Vec<&str> = line.split(' ').collect();
                match words.as_slice() {
                    [pid, "status", "signal", signal] => format!("{pid} signal {signal}"),
                    [pid, "status", status, "signal"] => format!("{pid} status {status}"),
                    _ => line.clone(),
                }
            })
            .collect();
        let (ends, noted) = known(&ends, noted, victims);
        let (missing, extra) = differences(&ends, &noted, &name);
        lost.extend(missing);
        doubled.extend(extra);
    }
    table.lost("exit statuses lost (jobs started by `exited`)", lost);
    table.lost("exit statuses doubled (jobs started by `exited`)", doubled);
    all
}

/// What the stream of notices told, as far as it did not say itself that it had lost some.
fn check_heard(
    ends: &[(String, String)],
    heard: &clients::Heard,
    victims: Victims,
    table: &mut Table,
) {
    let words = |(job, end): &(String, String)| format!("{job} {end}");
    let ends: Vec<String> = ends.iter().map(words).collect();
    let told: Vec<String> = heard.exited.iter().map(words).collect();
    let (ends, told) = known_of(ends, told, victims);
    let chosen: BTreeSet<&String> = ends.iter().collect();
    let told: Vec<String> = told.into_iter().filter(|end| chosen.contains(end)).collect();
    let (missing, extra) = differences(&ends, &told, "the end of");
    table.done("ends of jobs in the stream of notices", told.len() as u64);
    println!("the stream said that it lost {} notices", heard.missed);
    // A daemon's end before Upright's own could see which process is the daemon: it is counted and
    // answered by a respawn as above, but nobody can say how it ended.
    let followed = [1, 2].map(|back| format!("the end of crashing-{} ", jobs::CRASHING - back));
    let (unfollowed, missing): (Vec<String>, Vec<String>) = missing
        .into_iter()
        .partition(|case| followed.iter().any(|name| case.starts_with(name.as_str())));
    println!("daemons that ended before they could be followed: {}", unfollowed.len());
    if heard.missed == 0 {
        table.lost("ends not in the stream, which told of no loss", missing);
    }
    table.lost("ends twice in the stream", extra);
    table.lost("notices out of order", heard.disorder.clone());
}

/// Every steady job still has the main process that it had, and had no other.
fn check_services(world: &World, mains: &BTreeMap<String, Pid>, table: &mut Table) {
    // A new life of what has crashed is known of a moment after it has begun.
    let all = || {
        let running = running(world);
        jobs::crashing().iter().all(|name| running.contains_key(name)).then_some(running)
    };
    let running = within(PATIENCE, all).unwrap_or_else(|| running(world));
    let mut lost = Vec::new();
    for (name, pid) in mains {
        let starts = world.lines(&format!("starts/{name}"));
        let now = running.get(name);
        if now != Some(pid) || starts.len() != 1 {
            lost.push(format!("{name}: was process {pid}, is {now:?}, started as {starts:?}"));
        }
    }
    for name in jobs::crashing() {
        if !running.contains_key(&name) {
            lost.push(format!("{name}: does not run"));
        }
    }
    table.done("services", (mains.len() + jobs::CRASHING) as u64);
    table.lost("services lost", lost);
    table.lost("services doubled", world.lines("doubled"));
}

/// What processes of Upright's use.
struct Usage(Vec<(&'static str, usize, u64)>);

impl Usage {
    fn of(world: &World) -> Usage {
        let pids = [
            ("keeper", world.keeper()),
            ("daemon", world.other(Role::Daemon, None)),
            ("logger", world.other(Role::Logger, None)),
        ];
        Usage(pids.map(|(name, pid)| (name, descriptors(pid), memory(pid))).into())
    }
}

/// Nothing leaks.
fn check_usage(world: &World, before: &Usage, victims: Victims, table: &mut Table) {
    // A keeper that took the place of another has a descriptor for each process that is not its child.
    let fosters =
        if victims == Victims::Keeper { jobs::steady().len() + jobs::CRASHING } else { 0 };
    let slack = |name: &str| SLACK + if name == "keeper" { fosters } else { 0 };
    let leaks = || {
        let now = Usage::of(world);
        let pairs = before.0.iter().zip(&now.0);
        let leaks = pairs.filter(|((name, fds, _), (_, more, _))| *more > fds + slack(name));
        let leaks: Vec<String> = leaks
            .map(|((name, fds, _), (_, more, _))| format!("{name}: {fds} descriptors, then {more}"))
            .collect();
        leaks
    };
    within(Duration::from_secs(60), || leaks().is_empty().then_some(()));
    let now = Usage::of(world);
    table.lost("leaked descriptors", leaks());
    let mut grown = Vec::new();
    for ((name, fds, kib), (_, more, then)) in before.0.iter().zip(&now.0) {
        println!("{name}: {fds} descriptors and {kib} KiB before, {more} and {then} KiB after");
        if *then > kib + GROWTH {
            grown.push(format!("{name}: {kib} KiB, then {then} KiB"));
        }
    }
    table.lost("memory grown", grown);
}

/// Every line is in the log, once; those of one process in their order.
fn check_lines(world: &World, table: &mut Table) {
    let mut lines = 0;
    let (mut missing, mut doubled, mut order) = (Vec::new(), Vec::new(), Vec::new());
    let steady = jobs::steady();
    for name in steady.iter().cloned().chain(jobs::crashing()).chain([String::from("half")]) {
        let written = world.lines(&format!("count/{name}"));
        let written: u64 = written.first().and_then(|text| text.parse().ok()).unwrap_or_default();
        let mut seen = BTreeSet::new();
        let mut last = 0;
        for line in logged(world, &name) {
            lines += 1;
            let number = line.strip_prefix(&format!("{name} ")).and_then(|n| n.parse::<u64>().ok());
            let Some(number) = number else {
                missing.push(format!("{name}: torn after line {last}: {line:?}"));
                continue;
            };
            if !seen.insert(number) {
                doubled.push(format!("{name}: line {number}"));
            }
            if number < last {
                order.push(format!("{name}: line {number} after line {last}"));
            }
            last = number;
        }
        let most = seen.last().copied().unwrap_or(0).max(written);
        missing
            .extend((1..=most).filter(|n| !seen.contains(n)).map(|n| format!("{name}: line {n}")));
    }
    table.done("log lines", lines);
    table.lost("log lines missing", missing);
    table.lost("log lines doubled", doubled);
    table.lost("log lines after those of a later process, or out of order", order);
}

/// Returns the lines of a job's log, those of rotated files first.
fn logged(world: &World, name: &str) -> Vec<String> {
    let own = format!("{name}.log");
    let entries = std::fs::read_dir(world.dir.join("log")).unwrap();
    let mut parts: Vec<(u64, std::path::PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            let file = entry.file_name().into_string().ok()?;
            let rest = file.strip_prefix(&own)?;
            let number = if rest.is_empty() { 0 } else { rest.strip_prefix('.')?.parse().ok()? };
            Some((number, entry.path()))
        })
        .collect();
    parts.sort_by(|a, b| b.cmp(a));
    let text: Vec<u8> =
        parts.iter().flat_map(|(_, path)| std::fs::read(path).unwrap_or_default()).collect();
    String::from_utf8_lossy(&text).lines().map(str::to_owned).collect()
}

/// Every other process of the hooked jobs ran once.
fn check_hooks(world: &World, table: &mut Table) {
    let jobs = 0..jobs::HOOKED;
    let hooks = ["pre-start", "post-start", "pre-stop", "post-stop"];
    // Nothing stops by itself: pre-stop belongs to a client's stop, which the end is not.
    let wanted: Vec<String> =
        jobs.flat_map(|number| hooks.map(|hook| format!("hooked-{number} {hook}"))).collect();
    let (missing, extra) = differences(&wanted, &world.lines("hooks"), "process");
    table.lost("other processes of jobs lost", missing);
    table.lost("other processes of jobs doubled", extra);
}
