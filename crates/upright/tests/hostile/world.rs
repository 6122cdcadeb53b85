//! An Upright of a test's own with one job that runs, and a look at whether it was disturbed.

use engine::control::answer::Answer;
use engine::control::call::{Call, Listed};
use engine::machine::request::{Target, Which};
use engine::names::InstanceName;
use engine::process::{Pid, Role};
use engine::signal::Signal;
use engine::text::Text;
use engine::view::InstanceView;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use upright::cli::client::{Client, Trouble};
use upright::cli::connect::Address;

/// How long a fact is waited for before the test gives up.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The job that nothing may disturb.
pub const STEADY: &str = "steady";

/// A running Upright in a directory of its own.
pub struct World {
    /// Where everything is: `conf`, `log`, `run`.
    pub dir: PathBuf,
    keeper: Child,
}

/// What must be the same after something bad as before.
#[derive(Debug)]
pub struct Before {
    daemon: Pid,
    steady: Pid,
    descriptors: usize,
}

/// Waits until `look` finds what is looked for.
pub fn eventually<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    within(PATIENCE, look).unwrap_or_else(|| panic!("did not come about: {what}"))
}

fn within<T>(patience: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let until = Instant::now() + patience;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if Instant::now() >= until {
            return None;
        }
        std::thread::sleep(Duration::from_micros(900));
    }
}

/// Names a job that has no instances.
pub fn target(job: &str) -> Target {
    Target { job: Text::from(job), which: Which::Env(Vec::new()) }
}

impl World {
    /// Starts Upright as the test's own user with the job files that `prepare` puts below the
    /// directory.
    pub fn start(name: &str, prepare: impl FnOnce(&Path)) -> World {
        World::start_as(name, None, prepare)
    }

    /// Starts Upright as a user.
    pub fn start_as(name: &str, uid: Option<u32>, prepare: impl FnOnce(&Path)) -> World {
        let mut command = Command::new(env!("CARGO_BIN_EXE_upright-core"));
        if let Some(uid) = uid {
            command.uid(uid).gid(uid);
        }
        World::start_by(name, command, prepare)
    }

    /// Starts Upright with no more than so many descriptors for each of its processes.
    pub fn start_limited(name: &str, descriptors: u32, prepare: impl FnOnce(&Path)) -> World {
        let mut command = Command::new("sh");
        let script = format!("ulimit -n {descriptors} && exec \"$@\"");
        command.args(["-c", &script, "sh", env!("CARGO_BIN_EXE_upright-core")]);
        World::start_by(name, command, prepare)
    }

    /// Starts Upright with more arguments.
    pub fn start_with(name: &str, arguments: &[&str], prepare: impl FnOnce(&Path)) -> World {
        let mut command = Command::new(env!("CARGO_BIN_EXE_upright-core"));
        command.args(arguments);
        World::start_by(name, command, prepare)
    }

    fn start_by(name: &str, mut command: Command, prepare: impl FnOnce(&Path)) -> World {
        let dir = std::env::temp_dir().join(format!("upright-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        for part in ["conf", "log", "run"] {
            let path = dir.join(part);
            fs::create_dir_all(&path).unwrap();
            // A stranger must be able to come as far as the socket, and another user to write.
            fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
        }
        let steady = "start on startup\nkill timeout 1\nexec sleep 1000\n";
        fs::write(dir.join("conf").join(format!("{STEADY}.conf")), steady).unwrap();
        prepare(&dir.join("conf"));
        let said = fs::File::create(dir.join("said")).unwrap();
        command
            .args(["--user", "--verbose", "--confdir"])
            .arg(dir.join("conf"))
            .arg("--logdir")
            .arg(dir.join("log"))
            .arg("--socket")
            .arg(dir.join("run/control"))
            .env_remove("XDG_RUNTIME_DIR")
            .current_dir(&dir)
            .stdin(Stdio::null())
            .stdout(said.try_clone().unwrap())
            .stderr(said);
        let world = World { dir, keeper: command.spawn().unwrap() };
        eventually("Upright answers", || world.try_connect());
        eventually("the job runs", || world.main(STEADY));
        world
    }

    /// Returns the directory of job files.
    pub fn conf(&self) -> PathBuf {
        self.dir.join("conf")
    }

    /// Writes a job file at one go, as an editor that knows how does.
    pub fn write(&self, name: &str, text: &str) {
        let made = self.dir.join("made");
        fs::write(&made, text).unwrap();
        fs::rename(&made, self.conf().join(name)).unwrap();
    }

    /// Returns the daemon.
    pub fn daemon(&self) -> Pid {
        eventually("the daemon", || {
            let keeper = Pid::try_from(self.keeper.id()).ok()?;
            sys::procfs::children_of(keeper).into_iter().find(|pid| {
                let first = sys::procfs::arguments(*pid).and_then(|all| all.into_iter().next());
                first.is_some_and(|name| name.starts_with(b"upright-daemon"))
            })
        })
    }

    /// Returns the daemon and the logger.
    pub fn keeper_children(&self) -> Vec<Pid> {
        let keeper = Pid::try_from(self.keeper.id()).unwrap();
        let ours = |pid: &Pid| {
            let first = sys::procfs::arguments(*pid).and_then(|all| all.into_iter().next());
            let first = first.unwrap_or_default();
            first.starts_with(b"upright-daemon") || first.starts_with(b"upright-logger")
        };
        sys::procfs::children_of(keeper).into_iter().filter(ours).collect()
    }

    /// Returns where Upright listens.
    pub fn socket(&self) -> PathBuf {
        self.dir.join("run/control")
    }

    fn try_connect(&self) -> Option<UnixStream> {
        UnixStream::connect(self.socket()).ok()
    }

    /// Connects without a word.
    pub fn connect(&self) -> UnixStream {
        let stream = eventually("a connection", || self.try_connect());
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Returns a client with a connection of its own, which does not try again.
    pub fn client(&self) -> Client {
        let address = Address::Path(self.socket());
        let client = Client::new(self.connect(), address, sys::peer::own_uid());
        client.with_patience(Duration::ZERO)
    }

    /// Asks over a connection of its own. Not tried again: a refusal is an answer.
    pub fn ask(&self, call: Call) -> Result<Answer, Trouble> {
        self.client().ask(call)
    }

    /// Returns the state of a job without instances; nothing where it is not known.
    pub fn status(&self, job: &str) -> Option<InstanceView> {
        match self.ask(Call::Status(target(job))) {
            Ok(Answer::Instance(Some(view))) => Some(*view),
            Ok(_) | Err(Trouble::Fault(_)) => None,
            Err(trouble) => panic!("status of {job}: {trouble}"),
        }
    }

    /// Returns the names of all jobs.
    pub fn jobs(&self) -> Vec<String> {
        match self.ask(Call::List(None, Listed::Own)) {
            Ok(Answer::Instances(views)) => views.iter().map(|view| view.job.to_string()).collect(),
            other => panic!("list: {other:?}"),
        }
    }

    /// Returns the main process of a job where it runs.
    pub fn main(&self, job: &str) -> Option<Pid> {
        let view = self.status(job)?;
        assert_eq!(view.instance, InstanceName::default());
        view.processes.into_iter().find(|(role, _)| *role == Role::Main).map(|(_, pid)| pid)
    }

    /// Runs one of the command line's programs.
    pub fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let ran = Command::new(env!("CARGO_BIN_EXE_upright"))
            .arg0(arguments[0])
            .args(&arguments[1..])
            .env("UPRIGHT_SOCKET", self.socket())
            .env_remove("UPSTART_SESSION")
            .env_remove("UPSTART_JOB")
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (ran.status.code().unwrap_or(-1), text(&ran.stdout), text(&ran.stderr))
    }

    /// Returns what Upright said.
    pub fn said(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.dir.join("said")).unwrap_or_default()).into_owned()
    }

    /// Waits until Upright has said a line with these words.
    pub fn await_said(&self, words: &str) {
        eventually(&format!("it says {words:?}; it said:\n{}", self.said()), || {
            self.said().contains(words).then_some(())
        });
    }

    /// Signals the process that the user started.
    pub fn signal(&self, signal: Signal) {
        let keeper = Pid::try_from(self.keeper.id()).unwrap();
        sys::pidfd::send(sys::pidfd::open(keeper).unwrap(), signal).unwrap();
    }

    /// Looks at what must not change.
    pub fn before(&self) -> Before {
        let daemon = self.daemon();
        // The connection that found out the process may still be being closed.
        let mut last = usize::MAX;
        let steady = self.main(STEADY).unwrap();
        let descriptors = eventually("the daemon's descriptors are at rest", || {
            let now = descriptors(daemon);
            (std::mem::replace(&mut last, now) == now).then_some(now)
        });
        Before { daemon, steady, descriptors }
    }

    /// Checks that nothing was disturbed: asked by another client, it answers; the job and the
    /// daemon are the same processes, no descriptor is left over, and the daemon sleeps.
    pub fn check(&self, before: &Before) {
        self.check_while(before);
        eventually("no descriptor is left over", || {
            (descriptors(before.daemon) <= before.descriptors).then_some(())
        });
    }

    /// As [`World::check`], while the hostile client is still there.
    pub fn check_while(&self, before: &Before) {
        assert_eq!(self.main(STEADY), Some(before.steady), "the job was disturbed");
        assert_eq!(self.daemon(), before.daemon, "the daemon died; it said:\n{}", self.said());
        // Whoever spins is given the processor again and again in any tenth of a second.
        let (mut silence, _other) = UnixStream::pair().unwrap();
        silence.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        eventually("the daemon sleeps", || {
            let turns = switches(before.daemon);
            assert!(silence.read(&mut [0]).is_err(), "nobody speaks");
            (switches(before.daemon) == turns).then_some(())
        });
    }
}

/// Returns how often a process was given the processor and left it again.
fn switches(pid: Pid) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let counts = text.lines().filter_map(|line| line.split_once("ctxt_switches:"));
    counts.map(|(_, count)| count.trim().parse::<u64>().unwrap()).sum()
}

/// Returns how many descriptors a process has.
pub fn descriptors(pid: Pid) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

/// Returns the resident memory of a process, in KiB.
pub fn memory(pid: Pid) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok()).unwrap()
}

/// Reads one frame, without its NUL; less where the other side closed before.
pub fn frame(stream: &mut UnixStream) -> String {
    let mut bytes = Vec::new();
    let mut one = [0];
    loop {
        match stream.read(&mut one) {
            Ok(1) if one[0] != 0 => bytes.push(one[0]),
            Ok(_) => break,
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
            Err(error) => panic!("no frame: {error}"),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Waits until the other side has closed; what it still says is passed over.
pub fn await_close(stream: &mut UnixStream) {
    let mut bytes = [0; 4096];
    loop {
        match stream.read(&mut bytes) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return,
            Err(error) => panic!("it was not closed: {error}"),
        }
    }
}

/// Sends bytes as far as the other side takes them; reports whether it took all.
pub fn send(stream: &mut UnixStream, bytes: &[u8]) -> bool {
    stream.write_all(bytes).is_ok()
}

impl Drop for World {
    fn drop(&mut self) {
        if let Ok(None) = self.keeper.try_wait() {
            self.signal(Signal::TERM);
            let ended = within(Duration::from_secs(20), || self.keeper.try_wait().ok().flatten());
            if ended.is_none() {
                let _ = self.keeper.kill();
                let _ = self.keeper.wait();
            }
        }
        if std::thread::panicking() {
            println!("---- what Upright said\n{}----", self.said());
        }
        let _ = fs::remove_dir_all(&self.dir);
    }
}
