//! An Upright of a test's own, and clients that others have written.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// How long a fact is waited for before the test gives up.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The path and the interface of Upstart itself.
pub const ROOT: &str = "/com/ubuntu/Upstart";
pub const UPSTART: &str = "com.ubuntu.Upstart0_6";

/// A user who owns nothing here: `daemon`, as a bus serves only users that there are.
pub const STRANGER: u32 = 1;

/// Waits until `look` finds what is looked for.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "did not come about: {what}");
        std::thread::sleep(Duration::from_micros(900));
    }
}

/// Reports whether a program is there; says so where the test has to do without it.
pub fn has(program: &str) -> bool {
    let there = Command::new("sh").args(["-c", "command -v \"$0\" > /dev/null", program]).status();
    let there = there.is_ok_and(|status| status.success());
    if !there {
        println!("passed over: needs {program}");
    }
    there
}

/// Reports whether Python can import what its tests need; says so where it cannot.
pub fn has_python() -> bool {
    let there = python("import dbus, gi").output().is_ok_and(|output| output.status.success());
    if !there {
        println!("passed over: needs python3-dbus and python3-gi");
    }
    there
}

/// Reports whether this is root; says so where the test has to do without.
pub fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        println!("passed over: needs root");
    }
    root
}

/// Returns the system's Python with a program.
pub fn python(program: &str) -> Command {
    let mut command = Command::new("/usr/bin/python3");
    command.args(["-c", program]);
    command
}

/// Returns where our programs are; builds those of other packages.
pub fn programs() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let own = Path::new(env!("CARGO_BIN_EXE_upright-dbus"));
        let directory = own.parent().expect("it is in a directory");
        let target = directory.parent().expect("of the target directory");
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--package", "upright", "--bins", "--target-dir"]);
        build.arg(target);
        if directory.ends_with("release") {
            build.arg("--release");
        }
        assert!(build.status().expect("cargo runs").success(), "the other programs are built");
        directory.to_path_buf()
    })
}

/// A running Upright in a directory of its own.
pub struct World {
    /// Where everything is: `conf`, `log`, `run`, `said`.
    pub dir: PathBuf,
    programs: PathBuf,
    keeper: Child,
}

impl World {
    /// Starts Upright as a user's session with these job files.
    pub fn start(name: &str, jobs: &[(&str, &str)]) -> World {
        World::start_from(name, programs().to_path_buf(), jobs, "")
    }

    /// Starts one whose file of rights says this.
    pub fn start_granting(name: &str, jobs: &[(&str, &str)], rights: &str) -> World {
        World::start_from(name, programs().to_path_buf(), jobs, rights)
    }

    /// Starts an Upright beside which there is no gateway.
    pub fn start_alone(name: &str, jobs: &[(&str, &str)]) -> World {
        let alone =
            std::env::temp_dir().join(format!("upright-{name}-alone-{}", std::process::id()));
        fs::create_dir_all(&alone).unwrap();
        for program in ["upright-core", "upright"] {
            fs::copy(programs().join(program), alone.join(program)).unwrap();
        }
        World::start_from(name, alone, jobs, "")
    }

    fn start_from(name: &str, programs: PathBuf, jobs: &[(&str, &str)], rights: &str) -> World {
        let dir = std::env::temp_dir().join(format!("upright-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        for part in ["conf", "log", "run"] {
            fs::create_dir_all(dir.join(part)).unwrap();
        }
        for (job, text) in jobs {
            fs::write(dir.join("conf").join(format!("{job}.conf")), text).unwrap();
        }
        fs::write(dir.join("rights"), rights).unwrap();
        let said = File::create(dir.join("said")).unwrap();
        let mut command = Command::new(programs.join("upright-core"));
        command
            .args(["--user", "--verbose", "--confdir"])
            .arg(dir.join("conf"))
            .arg("--logdir")
            .arg(dir.join("log"))
            .arg("--rights")
            .arg(dir.join("rights"))
            .env("XDG_RUNTIME_DIR", dir.join("run"))
            .current_dir(&dir)
            .stdin(Stdio::null())
            .stdout(said.try_clone().unwrap())
            .stderr(said);
        let world = World { dir, programs, keeper: command.spawn().unwrap() };
        eventually("Upright answers", || {
            world.initctl(&["version"]).status.success().then_some(())
        });
        world
    }

    /// Returns the session's address.
    pub fn address(&self) -> String {
        format!("unix:abstract={}", self.abstract_name())
    }

    fn abstract_name(&self) -> String {
        let uid = rustix::process::geteuid().as_raw();
        format!("/com/ubuntu/upstart-session/{uid}/{}", self.keeper.id())
    }

    /// Connects to the session's address without a word.
    pub fn connect(&self) -> UnixStream {
        let at = SocketAddr::from_abstract_name(self.abstract_name()).unwrap();
        let stream = eventually("a connection", || UnixStream::connect_addr(&at).ok());
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Runs `initctl` in the session.
    pub fn initctl(&self, words: &[&str]) -> Output {
        let mut command = Command::new(self.programs.join("upright"));
        command.arg0("initctl").args(words).env("UPSTART_SESSION", self.address());
        command.stdin(Stdio::null()).output().unwrap()
    }

    /// Returns what `initctl status` prints.
    pub fn status(&self, job: &str) -> String {
        String::from_utf8(self.initctl(&["status", job]).stdout).unwrap().trim().to_owned()
    }

    /// Calls a method with dbus-send.
    pub fn send(&self, path: &str, method: &str, arguments: &[&str]) -> String {
        self.send_as(None, path, method, arguments)
    }

    /// Calls a method with dbus-send, as a user; returns what it prints, without what is different
    /// every time.
    pub fn send_as(
        &self,
        uid: Option<u32>,
        path: &str,
        method: &str,
        arguments: &[&str],
    ) -> String {
        let mut command = Command::new("dbus-send");
        command.arg(format!("--address={}", self.address()));
        command.args(["--print-reply=literal", "--type=method_call", path, method]);
        command.args(arguments);
        if let Some(uid) = uid {
            command.uid(uid).gid(uid);
        }
        said(&command.output().unwrap())
    }

    /// Returns the gateway's process, once there is one.
    pub fn gateway(&self) -> i32 {
        eventually("a gateway", || {
            let status = self.status("upright/dbus");
            status.strip_prefix("upright/dbus start/running, process ")?.parse().ok()
        })
    }

    /// Returns the daemon's process.
    pub fn daemon(&self) -> i32 {
        let keeper = self.keeper.id();
        let children =
            fs::read_to_string(format!("/proc/{keeper}/task/{keeper}/children")).unwrap();
        let daemon = children.split_whitespace().find(|pid| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.starts_with(b"upright-daemon")
        });
        daemon.expect("there is a daemon").parse().unwrap()
    }

    /// Returns everything that Upright has said.
    pub fn said(&self) -> String {
        fs::read_to_string(self.dir.join("said")).unwrap()
    }

    /// Ends Upright and waits for it.
    pub fn end(mut self) {
        kill(self.keeper.id() as i32, rustix::process::Signal::TERM);
        let status = self.keeper.wait().unwrap();
        assert!(status.success(), "Upright ended with {status}: {}", self.said());
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
        let _ = fs::remove_dir_all(&self.dir);
        if self.programs != programs() {
            let _ = fs::remove_dir_all(&self.programs);
        }
    }
}

/// Returns what a program printed, in one line.
pub fn said(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr[..]].concat();
    let text = String::from_utf8_lossy(&both);
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ")
}

/// Signals a process.
pub fn kill(pid: i32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

/// A program that goes on while the test looks at what it prints; ended with the test.
pub struct Watcher {
    child: Child,
    said: PathBuf,
}

impl Watcher {
    /// Starts it; what it prints goes to a file.
    pub fn start(world: &World, name: &str, mut command: Command) -> Watcher {
        let said = world.dir.join(name);
        let file = File::create(&said).unwrap();
        command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        Watcher { child: command.spawn().unwrap(), said }
    }

    /// Waits until it has printed all of these.
    pub fn wait_for(&self, wanted: &[&str]) -> String {
        let text = || fs::read_to_string(&self.said).unwrap_or_default();
        let until = Instant::now() + PATIENCE;
        loop {
            let text = text();
            let missing: Vec<&&str> = wanted.iter().filter(|word| !text.contains(**word)).collect();
            if missing.is_empty() {
                return text;
            }
            assert!(Instant::now() < until, "{missing:?} is not in:\n{text}");
            std::thread::sleep(Duration::from_micros(900));
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Makes a directory that strangers may go through.
pub fn open_to_all(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Sends bytes and reads until the other side ends or says nothing more for now.
pub fn talk(mut stream: &UnixStream, bytes: &[u8]) -> Vec<u8> {
    // The other side may have ended already.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    answer
}

/// Returns how many descriptors a process has open.
pub fn descriptors(pid: i32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

/// Reports whether the other side has ended, without reading what it said.
pub fn has_ended(stream: &UnixStream) -> bool {
    use rustix::event::{poll, PollFd, PollFlags, Timespec};
    let mut fds = [PollFd::from_borrowed_fd(stream.as_fd(), PollFlags::RDHUP)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut fds, Some(&now)).is_ok()
        && fds[0].revents().intersects(PollFlags::RDHUP | PollFlags::HUP | PollFlags::ERR)
}
