//! Control groups of jobs, and their security profiles, with the real binaries on the kernel's own hierarchy of version 2, where we
//! may write to it. Limits need controllers, which are another hierarchy's on many machines:
//! `make test-boot` tries those.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a fact is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// An Upright in a group of the test's own.
struct World {
    dir: PathBuf,
    group: PathBuf,
    keeper: Child,
}

impl World {
    fn start(name: &str, jobs: &[(&str, &str)], options: &[&str]) -> Option<World> {
        let own = sys::cgroup::own();
        let group = own.map(|own| own.join(format!("upright-{name}-{}", std::process::id())));
        let Some(group) = group.filter(|group| sys::cgroup::make(group).is_ok()) else {
            println!("passed over: there is no hierarchy of version 2 that we may write to");
            return None;
        };
        let dir = std::env::temp_dir().join(format!("upright-{name}-{}", std::process::id()));
        for part in ["conf", "log", "run"] {
            fs::create_dir_all(dir.join(part)).unwrap();
        }
        for (job, text) in jobs {
            let text = text.replace("DIR", &dir.display().to_string());
            fs::write(dir.join("conf").join(format!("{job}.conf")), text).unwrap();
        }
        let keeper = World::launch(&dir, &group, options);
        let world = World { dir, group, keeper };
        until("Upright answers", || world.ask(&["status"]).is_some());
        Some(world)
    }

    fn launch(dir: &Path, group: &Path, options: &[&str]) -> Child {
        let said = fs::File::create(dir.join("said")).unwrap();
        Command::new("/bin/sh")
            .args(["-c", "echo $$ > \"$GROUP/cgroup.procs\" && exec \"$0\" \"$@\""])
            .arg(env!("CARGO_BIN_EXE_upright-core"))
            .args(["--user", "--no-inherit-env", "--confdir"])
            .arg(dir.join("conf"))
            .arg("--logdir")
            .arg(dir.join("log"))
            .args(options)
            .env("XDG_RUNTIME_DIR", dir.join("run"))
            .env("GROUP", group)
            .stdin(Stdio::null())
            .stdout(said.try_clone().unwrap())
            .stderr(said)
            .spawn()
            .unwrap()
    }

    /// What the command line prints; nothing where it fails.
    fn ask(&self, words: &[&str]) -> Option<String> {
        self.answer(words).ok()
    }

    fn answer(&self, words: &[&str]) -> Result<String, String> {
        let uid = sys::own::ids().0;
        let session = upright::session::name(uid, self.keeper.id() as i32);
        let output = Command::new(env!("CARGO_BIN_EXE_upright"))
            .args(words)
            .env("XDG_RUNTIME_DIR", self.dir.join("run"))
            .env("UPSTART_SESSION", format!("unix:abstract={session}"))
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match output.status.success() {
            true => Ok(text(&output.stdout)),
            false => Err(text(&output.stderr)),
        }
    }

    fn must(&self, words: &[&str]) -> String {
        let answer = self.answer(words);
        answer.unwrap_or_else(|why| panic!("{words:?}: {why}: {}", self.said()))
    }

    fn said(&self) -> String {
        fs::read_to_string(self.dir.join("said")).unwrap_or_default()
    }

    fn at(&self, below: &str) -> PathBuf {
        self.group.join("upright").join(below)
    }

    fn main_of(&self, job: &str) -> i32 {
        let line = self.must(&["status", job]);
        let row = line.lines().nth(1);
        let number = row.and_then(|row| row.split_whitespace().nth(2));
        number.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{line}"))
    }

    fn child(&self, name: &str) -> i32 {
        let keeper = self.keeper.id() as i32;
        let all = sys::procfs::children_of(keeper).into_iter().filter_map(sys::procfs::stat);
        let mut named = all.filter(|stat| stat.comm == name.as_bytes() && stat.state != b'Z');
        named.next().map_or(0, |stat| stat.pid)
    }

    fn end(&mut self) {
        let pid = self.keeper.id() as i32;
        let _ = sys::signals::send(pid, engine::signal::Signal::TERM);
        let _ = self.keeper.wait();
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if matches!(self.keeper.try_wait(), Ok(None)) {
            self.end();
        }
        let _ = sys::cgroup::kill(&self.group);
        let until = Instant::now() + PATIENCE;
        while sys::cgroup::remove(&self.group).is_err()
            && self.group.exists()
            && Instant::now() < until
        {
            std::thread::yield_now();
        }
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn until(what: &str, mut is: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is() {
        assert!(Instant::now() < until, "did not come about: {what}");
        std::thread::yield_now();
    }
}

fn lives(pid: i32) -> bool {
    sys::procfs::stat(pid).is_some_and(|stat| stat.state != b'Z')
}

fn number(path: &Path) -> Option<i32> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// What it starts has neither its name, nor its session, nor a parent of its.
const TREE: &str = "kill mode tree\nkill timeout 1\nscript\n  env -i /bin/sh -c 'exec setsid /bin/sh -c \"echo \\$\\$ > DIR/stray; exec /bin/sleep 1000\"' &\n  while [ ! -s DIR/stray ]; do sleep 0.05; done\n  exec sleep 1000\nend script";

#[test]
fn each_instance_has_a_group_that_a_new_daemon_finds_again_and_that_goes_when_it_is_empty() {
    let jobs = [("web", "instance $PORT\nexec sleep 1000"), ("db", "exec sleep 1000")];
    let Some(mut world) = World::start("groups", &jobs, &[]) else { return };
    world.must(&["start", "web", "PORT=80"]);
    world.must(&["start", "db"]);
    let db = world.main_of("db");
    assert_eq!(sys::cgroup::members(&world.at("db.job")), [db]);
    assert_eq!(sys::cgroup::members(&world.at("web:80.job")).len(), 1);
    let daemon = world.child("upright-daemon");
    sys::signals::send(daemon, engine::signal::Signal::KILL).unwrap();
    until("there is another daemon", || ![0, daemon].contains(&world.child("upright-daemon")));
    until("it answers", || world.ask(&["status", "db"]).is_some());
    world.must(&["restart", "db"]);
    let again = world.main_of("db");
    assert_ne!(again, db);
    assert_eq!(sys::cgroup::members(&world.at("db.job")), [again]);
    assert!(!world.group.join("upright.2").exists(), "it goes on where the last one was");
    world.must(&["stop", "db"]);
    until("its group is gone", || !world.at("db.job").exists());
    assert!(world.at("web:80.job").exists());
    world.end();
    assert!(!world.group.join("upright").exists(), "nothing is left of it");
}

#[test]
fn kill_mode_tree_ends_what_is_told_by_its_group_alone() {
    let Some(world) = World::start("tree", &[("tree", TREE)], &[]) else { return };
    world.must(&["start", "tree"]);
    let stray = world.dir.join("stray");
    until("it has left something", || number(&stray).is_some());
    let stray = number(&stray).unwrap();
    assert!(sys::procfs::environ(stray)
        .is_some_and(|env| { env.iter().all(|row| !row.starts_with(b"UPSTART")) }));
    world.must(&["stop", "tree"]);
    assert!(!lives(stray), "{}", world.said());
    until("its group is gone", || !world.at("tree.job").exists());
}

#[test]
fn jobs_that_name_one_group_are_in_it_together_and_what_cannot_be_set_is_said() {
    let named = "cgroup cpu pool\ncgroup memory limit_in_bytes 64M\nexec sleep 1000";
    let Some(world) = World::start("shared", &[("a", named), ("b", named)], &[]) else { return };
    world.must(&["start", "a"]);
    world.must(&["start", "b"]);
    assert_eq!(sys::cgroup::members(&world.at("pool.group")).len(), 2);
    assert_eq!(sys::cgroup::members(&world.at("pool.group/a.job")), [world.main_of("a")]);
    let limit = world.at("pool.group/a.job/memory.max");
    match fs::read_to_string(&limit) {
        Ok(limit) => assert_eq!(limit.trim(), "67108864"),
        Err(_) => {
            let why = world.must(&["why", "a"]);
            assert!(why.contains("unable to enter control group"), "{why}");
            assert!(world.said().contains("there is no memory controller"), "{}", world.said());
        }
    }
    world.must(&["stop", "a"]);
    world.must(&["stop", "b"]);
    until("both groups are gone", || !world.at("pool.group").exists());
}

#[test]
fn without_groups_jobs_run_and_who_wants_one_is_told_once() {
    let jobs = [("a", "cgroup pids max 10\nexec sleep 1000"), ("b", "exec sleep 1000")];
    let Some(world) = World::start("none", &jobs, &["--no-cgroups"]) else { return };
    world.must(&["start", "a"]);
    world.must(&["restart", "a"]);
    world.must(&["start", "b"]);
    assert!(!world.group.join("upright").exists());
    assert_eq!(world.said().matches("--no-cgroups").count(), 1, "{}", world.said());
    assert!(!world.must(&["why", "b"]).contains("control group"));
}

#[test]
fn without_apparmor_a_profile_that_is_loaded_is_warned_of_and_one_that_is_switched_to_is_fatal() {
    if fs::read("/sys/module/apparmor/parameters/enabled").is_ok_and(|text| text.starts_with(b"Y"))
    {
        println!("passed over: this kernel has AppArmor");
        return;
    }
    let load = "apparmor load /etc/apparmor.d/usr.bin.x\nexec sleep 1000";
    let jobs = [("load", load), ("switch", "apparmor switch $JOB\nexec sleep 1000")];
    let Some(world) = World::start("profile", &jobs, &[]) else { return };
    world.must(&["start", "load"]);
    let said = world.said();
    let line =
        "load: `apparmor load` has no effect: this kernel has no AppArmor, or it is turned off";
    assert!(said.contains(line), "{said}");
    assert!(world.must(&["why", "load"]).contains("security process"));
    let refused = world.answer(&["start", "switch"]).unwrap_err();
    assert!(refused.contains("unable to switch security profile"), "{refused}");
    assert!(world.said().contains("switch: cannot start: `apparmor switch` wants a profile"));
}

#[test]
fn what_an_upright_left_that_was_killed_as_a_whole_is_named_and_left_alone() {
    let Some(mut world) = World::start("dead", &[("web", "exec sleep 1000")], &[]) else { return };
    world.must(&["start", "web"]);
    let web = world.main_of("web");
    let own =
        [world.keeper.id() as i32, world.child("upright-daemon"), world.child("upright-logger")];
    // None of them may take another's place.
    for name in ["STOP", "KILL"] {
        let signal = engine::signal::Signal::from_name(name).unwrap();
        own.iter().for_each(|pid| sys::signals::send(*pid, signal).unwrap());
    }
    world.keeper.wait().unwrap();
    until("all are gone", || own.iter().all(|pid| !lives(*pid)));
    world.keeper = World::launch(&world.dir, &world.group, &[]);
    until("the next one answers", || world.ask(&["status"]).is_some());
    world.must(&["start", "web"]);
    let said = world.said();
    let line = format!("an Upright that was killed has left processes: web ({web})");
    assert!(said.contains(&line), "{said}");
    assert!(lives(web), "it is left alone");
    assert!(world.group.join("upright.2/web.job").exists(), "the next one has its own");
    world.must(&["stop", "web"]);
    assert!(lives(web));
}
