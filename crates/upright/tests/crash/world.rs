//! An Upright of the test's own, with its processes found and its answers asked for.

use engine::control::answer::Answer;
use engine::control::call::{Call, Listed};
use engine::machine::request::{Target, Which};
use engine::process::Pid;
use engine::signal::Signal;
use engine::text::Text;
use engine::view::InstanceView;
use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use upright::cli::client::{Client, Trouble};
use upright::cli::connect::{self, Address};

/// How long a fact is waited for before the test gives up.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A process of Upright's beside the keeper.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The engine.
    Daemon,
    /// The writer of logs.
    Logger,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Role::Daemon => "upright-daemon",
            Role::Logger => "upright-logger",
        }
    }
}

/// A running Upright in a directory of its own.
pub struct World {
    /// Where everything is: `conf`, `log`, `run`, and what the jobs' program writes.
    pub dir: PathBuf,
    /// The process that was started.
    keeper: Child,
    /// The keeper that has taken its place.
    now: Cell<Option<Pid>>,
}

fn lives(pid: Pid) -> bool {
    sys::procfs::stat(pid).is_some_and(|stat| stat.state != b'Z')
}

/// Waits until `look` finds what is looked for.
pub fn eventually<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    within(PATIENCE, look).unwrap_or_else(|| panic!("did not come about: {what}"))
}

/// How many lines of what Upright said are shown where a test fails.
const SHOWN: usize = 200;

/// Looks again and again for at most that long.
pub fn within<T>(patience: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let until = Instant::now() + patience;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if Instant::now() >= until {
            return None;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

impl World {
    /// Starts Upright with these job files, each a name and a text, in which `PROGRAM` becomes what
    /// the jobs run and `DIR` the directory.
    pub fn start(name: &str, jobs: &[(String, String)]) -> World {
        World::start_with(name, jobs, "ulimit -c 0")
    }

    /// As [`World::start`], after a command of the shell.
    pub fn start_with(name: &str, jobs: &[(String, String)], before: &str) -> World {
        World::start_core(name, jobs, before, |_| PathBuf::from(env!("CARGO_BIN_EXE_upright-core")))
    }

    /// As [`World::start_with`], from the binary that `core` returns for the directory.
    pub fn start_core(
        name: &str,
        jobs: &[(String, String)],
        before: &str,
        core: impl FnOnce(&Path) -> PathBuf,
    ) -> World {
        let dir = std::env::temp_dir().join(format!("upright-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        for part in ["conf", "log", "run", "starts", "count", "ends"] {
            fs::create_dir_all(dir.join(part)).unwrap();
        }
        fs::write(dir.join("alive"), "").unwrap();
        let program = std::env::current_exe().unwrap();
        for (job, text) in jobs {
            let text = text.replace("PROGRAM", &format!("{} job", program.display()));
            let text = text.replace("DIR", &dir.display().to_string());
            fs::write(dir.join("conf").join(format!("{job}.conf")), text).unwrap();
        }
        let said = fs::File::create(dir.join("said")).unwrap();
        let keeper = Command::new("/bin/sh")
            .args(["-c", &format!("{before} && exec \"$0\" \"$@\"")])
            .arg(core(&dir))
            .args(["--user", "--verbose", "--confdir"])
            .arg(dir.join("conf"))
            .arg("--logdir")
            .arg(dir.join("log"))
            .env("XDG_RUNTIME_DIR", dir.join("run"))
            .current_dir(&dir)
            .stdin(Stdio::null())
            .stdout(said.try_clone().unwrap())
            .stderr(said)
            .spawn()
            .unwrap();
        let world = World { dir, keeper, now: Cell::new(None) };
        eventually("Upright answers", || world.try_client());
        world
    }

    /// Returns the process that was started.
    pub fn first(&self) -> Pid {
        Pid::try_from(self.keeper.id()).unwrap()
    }

    /// Returns the keeper. Of two that begin at the same time one ends at once, and was perhaps taken for
    /// the keeper.
    pub fn keeper(&self) -> Pid {
        let known = self.now.get().unwrap_or_else(|| self.first());
        if !lives(known) {
            self.now.set(self.other_keeper(known).or(self.now.get()));
        }
        self.now.get().unwrap_or(known)
    }

    /// Kills the keeper and waits for the next one; `meanwhile` is done right after the kill.
    pub fn kill_keeper(&self, meanwhile: impl FnOnce()) -> Pid {
        let before = self.keeper();
        self.signal(before, Signal::KILL);
        meanwhile();
        let next = eventually("another keeper", || self.other_keeper(before));
        self.now.set(Some(next));
        next
    }

    /// Finds a keeper of this directory that is not `than`: by its working directory and its name.
    fn other_keeper(&self, than: Pid) -> Option<Pid> {
        sys::procfs::all().into_iter().filter(|pid| *pid != than).find(|pid| {
            let name = sys::procfs::arguments(*pid).and_then(|all| all.into_iter().next());
            let there = fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == self.dir);
            there && lives(*pid) && name.is_some_and(|name| name.starts_with(b"upright-keeper"))
        })
    }

    /// Reports whether all daemons and loggers of this directory are the keeper's children.
    pub fn has_no_strays(&self) -> bool {
        let own = sys::procfs::children_of(self.keeper());
        sys::procfs::all().into_iter().filter(|pid| !own.contains(pid)).all(|pid| {
            let name = sys::procfs::arguments(pid).and_then(|all| all.into_iter().next());
            let there = fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == self.dir);
            let peer = |name: Vec<u8>| {
                [Role::Daemon, Role::Logger]
                    .iter()
                    .any(|one| name.starts_with(one.name().as_bytes()))
            };
            !there || !name.is_some_and(peer)
        })
    }

    /// Returns a process of Upright's where it has begun.
    pub fn find(&self, role: Role) -> Option<Pid> {
        let children = sys::procfs::children_of(self.keeper());
        children.into_iter().find(|pid| {
            let first = sys::procfs::arguments(*pid).and_then(|all| all.into_iter().next());
            first.is_some_and(|name| name.starts_with(role.name().as_bytes()))
        })
    }

    /// Waits for a process of Upright's that is not `than`.
    pub fn other(&self, role: Role, than: Option<Pid>) -> Pid {
        eventually(role.name(), || self.find(role).filter(|pid| Some(*pid) != than))
    }

    /// Signals a process of Upright's.
    pub fn signal(&self, pid: Pid, signal: Signal) {
        if let Ok(opened) = sys::pidfd::open(pid) {
            let _ = sys::pidfd::send(opened, signal);
        }
    }

    /// Returns where Upright listens.
    pub fn address(&self) -> Address {
        Address::Path(self.dir.join("run/upright/control"))
    }

    fn try_client(&self) -> Option<Client> {
        let address = self.address();
        let stream = connect::connect(&address, sys::peer::own_uid()).ok()?;
        Some(Client::new(stream, address, sys::peer::own_uid()).with_patience(PATIENCE))
    }

    /// Connects.
    pub fn client(&self) -> Client {
        eventually("a connection", || self.try_client())
    }

    /// Asks over a connection of its own.
    pub fn ask(&self, call: Call) -> Result<Answer, Trouble> {
        self.client().ask(call)
    }

    /// Returns the state of every instance.
    pub fn list(&self) -> Vec<InstanceView> {
        match self.ask(Call::List(None, Listed::Own)) {
            Ok(Answer::Instances(views)) => views,
            other => panic!("list: {other:?}"),
        }
    }

    /// Returns the state of a job without instances.
    pub fn status(&self, job: &str) -> InstanceView {
        match self.ask(Call::Status(target(job))) {
            Ok(Answer::Instance(Some(view))) => *view,
            other => panic!("status of {job}: {other:?}"),
        }
    }

    /// Returns the lines of a file that the jobs' program wrote; none where it is not there.
    pub fn lines(&self, file: &str) -> Vec<String> {
        let text = fs::read_to_string(self.dir.join(file)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Returns what Upright said.
    pub fn said(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.dir.join("said")).unwrap_or_default()).into_owned()
    }

    /// Asks Upright to end and waits until it has; returns its exit status.
    pub fn end(&mut self) -> Option<i32> {
        self.signal(self.keeper(), Signal::TERM);
        match self.now.get() {
            None => eventually("the keeper ends", || self.keeper.try_wait().unwrap()).code(),
            Some(pid) => {
                // Nobody can say how it ended, but it has, with its daemon and its logger.
                eventually("the keeper ends", || {
                    (!lives(pid) && self.other_keeper(0).is_none()).then_some(())
                });
                Some(0)
            }
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // The jobs' program ends by itself once this is gone, whoever is left.
        let _ = fs::remove_file(self.dir.join("alive"));
        if let Some(pid) = self.now.get() {
            self.signal(pid, Signal::TERM);
        }
        if let Ok(None) = self.keeper.try_wait() {
            self.signal(self.keeper(), Signal::TERM);
            let ended = within(Duration::from_secs(20), || self.keeper.try_wait().ok().flatten());
            if ended.is_none() {
                let _ = self.keeper.kill();
                let _ = self.keeper.wait();
            }
        }
        if std::thread::panicking() {
            let said = self.said();
            let lines: Vec<&str> = said.lines().collect();
            let last = lines.get(lines.len().saturating_sub(SHOWN)..).unwrap_or_default();
            println!("---- the last that Upright said\n{}\n----", last.join("\n"));
        }
        // What is just ending may still write a last line.
        within(Duration::from_secs(5), || fs::remove_dir_all(&self.dir).ok());
    }
}

/// Names a job that has no instances.
pub fn target(job: &str) -> Target {
    Target { job: Text::from(job), which: Which::Env(Vec::new()) }
}

/// Returns how many descriptors a process has.
pub fn descriptors(pid: Pid) -> usize {
    fs::read_dir(Path::new("/proc").join(pid.to_string()).join("fd")).map_or(0, Iterator::count)
}

/// Returns the memory that is a process's own and in no file, in KiB. What of its program is in
/// memory depends on who else runs it.
pub fn memory(pid: Pid) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Pss_Anon:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(0)
}
