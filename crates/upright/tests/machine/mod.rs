//! A machine for a test: Upright in namespaces of its own, on a throwaway copy of this machine's disk,
//! with a network, a `/dev` and a `/tmp` that nobody else sees. Job files run with the very paths, ports
//! and users that they name; nothing of it is left, and everything in it ends with the test.
#![allow(dead_code, reason = "three test targets use it, each a part")]

pub mod bench;

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How long a test waits for something that must happen before it fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long one command may take.
const COMMAND_SECONDS: &str = "30";

/// Where programs are in a machine.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Makes the machine within new namespaces and starts Upright there. `$1` is an empty directory, `$2`
/// what is laid over the disk, `$3` the core, `$4` the command line, `$5` what to prepare, `$6` whether
/// Upright is `first`.
const SETUP: &str = r#"
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
cp "$3" "$1/upright-core"
cp "$4" "$1/upright"
cp -a "$2" "$1/files"
cd "$1/root"
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mount -t tmpfs -o mode=755 tmpfs dev
mknod -m 666 dev/null c 1 3
mknod -m 666 dev/zero c 1 5
mknod -m 666 dev/full c 1 7
mknod -m 666 dev/random c 1 8
mknod -m 666 dev/urandom c 1 9
mknod -m 666 dev/tty c 5 0
mkdir -m 1777 dev/shm
ln -s /proc/self/fd dev/fd
mount -t proc proc proc
mv ../upright-core usr/local/sbin/init
mv ../upright usr/local/bin/upright
for name in initctl start stop restart reload status telinit runlevel shutdown halt poweroff reboot; do
    ln -sf upright "usr/local/bin/$name"
done
mkdir -p etc/init var/log/upstart
rm -rf etc/init/* var/log/upstart/*
cp -a --no-preserve=ownership ../files/. .
ip link set lo up
chroot . sh -ec "$5"
[ "$6" = first ] || exec chroot . sh -c 'init --system --verbose & wait'
exec chroot . init --verbose
"#;

/// What is in a machine beside what is on this one.
pub struct Disk {
    files: Vec<(String, Vec<u8>, u32)>,
    prepare: String,
}

impl Disk {
    pub fn new() -> Disk {
        Disk { files: Vec::new(), prepare: String::new() }
    }

    pub fn file(mut self, path: &str, text: &str) -> Disk {
        self.files.push((String::from(path), text.as_bytes().to_vec(), 0o644));
        self
    }

    /// A program that was built beside Upright.
    pub fn built(mut self, name: &str, to: &str) -> Disk {
        let source = Path::new(env!("CARGO_BIN_EXE_upright")).with_file_name(name);
        let bytes = fs::read(&source).unwrap_or_else(|e| panic!("{}: {e}", source.display()));
        self.files.push((String::from(to), bytes, 0o755));
        self
    }

    pub fn job(self, name: &str, text: &str) -> Disk {
        self.file(&format!("/etc/init/{name}.conf"), text)
    }

    /// A file of `examples/`, as it is there.
    pub fn example(mut self, from: &str, to: &str) -> Disk {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(from);
        let bytes = fs::read(&source).unwrap_or_else(|e| panic!("{}: {e}", source.display()));
        let mode = fs::metadata(&source).unwrap().permissions().mode() & 0o777;
        self.files.push((String::from(to), bytes, mode));
        self
    }

    /// A job file of `examples/`, as it is there.
    pub fn example_job(self, from: &str) -> Disk {
        let name = from.rsplit('/').next().unwrap();
        self.example(from, &format!("/etc/init/{name}"))
    }

    /// Shell commands that run on the disk, as root, before Upright starts.
    pub fn prepare(mut self, commands: &str) -> Disk {
        self.prepare.push_str(commands);
        self.prepare.push('\n');
        self
    }
}

/// What Upright is in a machine.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum As {
    /// PID 1.
    First,
    /// The machine's, as a child of PID 1, as in a container with another entry point.
    Child,
}

/// A running machine.
pub struct Machine {
    dir: PathBuf,
    unshare: Child,
    /// The number of PID 1 out here.
    init: i32,
}

impl Machine {
    /// Starts a machine and waits until Upright answers.
    pub fn boot(disk: &Disk) -> Machine {
        Machine::boot_as(As::Child, disk)
    }

    /// As [`Machine::boot`], with Upright as PID 1 or not.
    pub fn boot_as(place: As, disk: &Disk) -> Machine {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("upright-machine-{}-{number}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        let files = dir.join("files");
        fs::create_dir_all(dir.join("disk")).unwrap();
        fs::create_dir(&files).unwrap();
        for (path, bytes, mode) in &disk.files {
            let path = files.join(path.trim_start_matches('/'));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, bytes).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).unwrap();
        }
        let console = File::create(dir.join("console")).unwrap();
        let unshare = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "unshare", "--mount", "--net", "--pid", "--ipc", "--uts"])
            .args(["--fork", "--kill-child", "sh", "-ec", SETUP, "setup"])
            .args([dir.join("disk"), files])
            .args([env!("CARGO_BIN_EXE_upright-core"), env!("CARGO_BIN_EXE_upright")])
            .args([disk.prepare.as_str(), if place == As::First { "first" } else { "child" }])
            .env_clear()
            .env("PATH", PATH)
            .env("TERM", "linux")
            .stdin(Stdio::null())
            .stdout(console.try_clone().unwrap())
            .stderr(console)
            .spawn()
            .unwrap();
        let mut machine = Machine { dir, unshare, init: 0 };
        machine.init = machine.find_init();
        machine.until("Upright answers", || {
            let ended = fs::metadata(format!("/proc/{}", machine.init)).is_err();
            assert!(!ended, "the machine did not come up");
            machine.run("initctl version").status.success().then_some(())
        });
        machine
    }

    fn find_init(&mut self) -> i32 {
        let id = self.unshare.id();
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
            let first = children.unwrap_or_default();
            if let Some(pid) = first.split_whitespace().next() {
                return pid.parse().unwrap();
            }
            if self.unshare.try_wait().unwrap().is_some() {
                break;
            }
            std::thread::sleep(Duration::from_micros(900));
        }
        panic!("no machine:\n{}", self.console());
    }

    /// Runs shell commands in the machine, as root.
    pub fn run(&self, commands: &str) -> Output {
        Command::new("timeout")
            .args([COMMAND_SECONDS, "nsenter", "--all", "--target", &self.init.to_string()])
            .args(["--root", "--wd", "sh", "-c", commands])
            .env_clear()
            .env("PATH", PATH)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Runs commands that must succeed; returns what they print.
    pub fn ok(&self, commands: &str) -> String {
        let output = self.run(commands);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(
            output.status.success(),
            "`{commands}` ended with {:?} (signal {:?})\n{out}{err}",
            output.status.code(),
            output.status.signal()
        );
        out
    }

    /// Runs commands that must fail; returns what they say.
    pub fn refused(&self, commands: &str) -> String {
        let output = self.run(commands);
        let said = text(&output.stdout) + &text(&output.stderr);
        assert!(output.status.code() == Some(1), "`{commands}`: {:?}\n{said}", output.status);
        said
    }

    /// Looks until the fact is there.
    pub fn until<T>(&self, fact: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(Instant::now() < end, "in {PATIENCE:?} it did not come about that {fact}");
            std::thread::sleep(Duration::from_micros(900));
        }
    }

    /// Returns the text of a file in the machine; empty where there is none.
    pub fn read(&self, path: &str) -> String {
        text(&fs::read(self.path(path)).unwrap_or_default())
    }

    /// Returns where a file of the machine is out here.
    pub fn path(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.init))
    }

    /// Waits until a file has a line with these words; returns the line.
    pub fn line(&self, path: &str, words: &str) -> String {
        self.until(&format!("{path} says `{words}`"), || {
            let text = self.read(path);
            text.lines().find(|line| line.contains(words)).map(String::from)
        })
    }

    /// Returns the number in a pid file, once it is there.
    pub fn pid_file(&self, path: &str) -> i32 {
        self.until(&format!("{path} has a number"), || self.read(path).trim().parse().ok())
    }

    /// Returns the main process of a job that runs.
    pub fn main_of(&self, job: &str) -> i32 {
        let line = self.ok(&format!("initctl status {job}"));
        pid_in(&line).unwrap_or_else(|| panic!("no process: {line}"))
    }

    /// Waits for a job to run as another process than this one; returns its number.
    pub fn another(&self, job: &str, than: i32) -> i32 {
        self.until(&format!("{job} has another process than {than}"), || {
            let line = self.ok(&format!("initctl status {job}"));
            let running = line.contains("start/running");
            pid_in(&line).filter(|pid| running && *pid != than)
        })
    }

    /// Reports whether there is a process of this number.
    pub fn lives(&self, pid: i32) -> bool {
        self.path(&format!("/proc/{pid}")).exists()
    }

    /// Returns a field of `/proc/PID/status`.
    pub fn status_field(&self, pid: i32, field: &str) -> String {
        let status = self.read(&format!("/proc/{pid}/status"));
        let row = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        row.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Waits for the machine to end by itself; returns how its init ended.
    pub fn end(&mut self) -> ExitStatus {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if let Some(status) = self.unshare.try_wait().unwrap() {
                return status;
            }
            std::thread::sleep(Duration::from_micros(900));
        }
        panic!("the machine did not end");
    }

    /// Returns what Upright itself said.
    pub fn console(&self) -> String {
        text(&fs::read(self.dir.join("console")).unwrap_or_default())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("---- what Upright said\n{}----", self.console());
        }
        // Its child, which is PID 1 in there, goes with it, and with that one everything.
        let _ = self.unshare.kill();
        let _ = self.unshare.wait();
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Returns the number in `JOB start/running, process PID`.
pub fn pid_in(line: &str) -> Option<i32> {
    line.lines().next()?.rsplit_once("process ")?.1.trim().parse().ok()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
