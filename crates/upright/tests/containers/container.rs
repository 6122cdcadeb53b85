//! A container for a test, as an engine would make it: Upright is PID 1 in namespaces of its own, on a
//! root that cannot be written, without capabilities, with a pipe for its output and no terminal.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long a test waits for something that must happen before it fails.
const PATIENCE: Duration = Duration::from_secs(60);

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Makes the container in new namespaces. `$1` is an empty directory, `$2` what is laid over the disk,
/// `$3` the core, `$4` the command line, `$5` whether the root can be written, `$6` the user, `$7` which
/// errno calls get that older filters do not know, `$8` the terminal that is its console, if it has
/// one; then the command.
const SETUP: &str = r#"
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
root=$1/root
cp "$3" "$root/usr/local/bin/upright-core"
cp "$4" "$root/usr/local/bin/upright"
ln -sf upright-core "$root/usr/local/bin/init"
ln -sf upright-core "$root/usr/local/bin/supervisord"
for name in initctl tini; do ln -sf upright "$root/usr/local/bin/$name"; done
mkdir -p "$root/app"
rm -rf "$root/etc/init"
mkdir -m 755 "$root/etc/init"
for name in run tmp; do
    mount -t tmpfs tmpfs "$root/$name"
    [ "$5" = yes ] || mount -o remount,ro "$root/$name"
done
cp -a --no-preserve=ownership "$2/." "$root/"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for node in 'null c 1 3' 'zero c 1 5' 'full c 1 7' 'random c 1 8' 'urandom c 1 9' 'tty c 5 0'; do
    set -f; name=${node%% *}
    mknod -m 666 "$root/dev/$name" ${node#* }
done
ln -s /proc/self/fd "$root/dev/fd"
ln -s /proc/self/fd/1 "$root/dev/stdout"
[ -z "$8" ] || { : > "$root/dev/console"; mount --bind "$8" "$root/dev/console"; }
mount -t proc proc "$root/proc"
ip link set lo up
writable=$5 user=$6 errno=$7
shift 8
[ "$writable" = yes ] || mount -o remount,ro "$root"
cd "$root"
limits='setpriv --no-new-privs --bounding-set=-all --inh-caps=-all --clear-groups'
[ "$user" != privileged ] || { limits="setpriv --clear-groups" user=0; }
exec chroot . $limits --reuid "$user" --regid 0 \
    python3 -c 'import os, sys
exec(open("/app/filter.py").read())
os.execvp(sys.argv[2], sys.argv[2:])' "$errno" "$@"
"#;

/// Refuses every system call that is newer than Linux 5.0, and clone3 with it, as the filters of
/// container engines did and do for those that they do not know.
const FILTER: &str = r#"
import ctypes, struct
errno = int(sys.argv[1])
if errno:
    libc = ctypes.CDLL(None, use_errno=True)
    load, jump, answer = 0x20, 0x35, 0x06
    rows = [(load, 0, 0, 0), (jump, 0, 1, 424), (answer, 0, 0, 0x00050000 | errno), (answer, 0, 0, 0x7fff0000)]
    program = b"".join(struct.pack("HBBI", *row) for row in rows)
    code = ctypes.create_string_buffer(program)
    class Filter(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_void_p)]
    filter = Filter(len(rows), ctypes.addressof(code))
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.byref(filter), 0, 0):
        sys.exit("no filter: errno %d" % ctypes.get_errno())
"#;

/// How a container is limited, and what is in it.
#[derive(Clone)]
pub struct Image {
    files: Vec<(String, String)>,
    programs: Vec<&'static str>,
    writable: bool,
    user: Option<u32>,
    refused: i32,
    console: PathBuf,
    env: Vec<(&'static str, &'static str)>,
}

impl Image {
    /// Nothing but this machine's programs, read-only, as root without any capability.
    pub fn new() -> Image {
        let filter = (String::from("/app/filter.py"), String::from(FILTER));
        let (files, console, env) = (vec![filter], PathBuf::new(), Vec::new());
        let programs = Vec::new();
        Image { files, programs, writable: false, user: Some(0), refused: 0, console, env }
    }

    /// With a job file in `/app/jobs`.
    pub fn job(self, name: &str, text: &str) -> Image {
        self.file(&format!("/app/jobs/{name}.conf"), text)
    }

    pub fn file(mut self, path: &str, text: &str) -> Image {
        self.files.push((String::from(path), String::from(text)));
        self
    }

    /// With a program that was built beside Upright.
    pub fn program(mut self, name: &'static str) -> Image {
        self.programs.push(name);
        self
    }

    pub fn user(mut self, user: u32) -> Image {
        self.user = Some(user);
        self
    }

    /// With every capability.
    pub fn privileged(mut self) -> Image {
        self.user = None;
        self
    }

    /// Its root, `/run` and `/tmp` can be written.
    pub fn writable(mut self) -> Image {
        self.writable = true;
        self
    }

    /// Newer system calls end with this errno.
    pub fn refusing(mut self, errno: i32) -> Image {
        self.refused = errno;
        self
    }

    /// This terminal is its console, as that of `docker run -t` is.
    pub fn console(mut self, terminal: PathBuf) -> Image {
        self.console = terminal;
        self
    }

    pub fn env(mut self, key: &'static str, value: &'static str) -> Image {
        self.env.push((key, value));
        self
    }

    /// Runs a command as PID 1.
    pub fn run(&self, command: &[&str]) -> Container {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("upright-container-{}-{number}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        fs::create_dir_all(dir.join("disk")).unwrap();
        for (path, text) in &self.files {
            let path = dir.join("files").join(path.trim_start_matches('/'));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
        }
        for name in &self.programs {
            let from = Path::new(env!("CARGO_BIN_EXE_upright")).with_file_name(name);
            let to = dir.join("files/usr/local/bin");
            fs::create_dir_all(&to).unwrap();
            let copied = fs::copy(&from, to.join(name));
            copied.unwrap_or_else(|error| panic!("{}: {error}", from.display()));
        }
        let mut unshare = Command::new("setpriv")
            .args([
                "--pdeathsig",
                "KILL",
                "setsid",
                "unshare",
                "--mount",
                "--net",
                "--pid",
                "--ipc",
            ])
            .args(["--uts", "--fork", "--kill-child", "sh", "-ec", SETUP, "setup"])
            .args([dir.join("disk"), dir.join("files")])
            .args([env!("CARGO_BIN_EXE_upright-core"), env!("CARGO_BIN_EXE_upright")])
            .arg(if self.writable { "yes" } else { "no" })
            .arg(self.user.map_or(String::from("privileged"), |user| user.to_string()))
            .arg(self.refused.to_string())
            .arg(&self.console)
            .args(command)
            .env_clear()
            .env("PATH", PATH)
            .envs(self.env.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let out = collect(unshare.stdout.take().unwrap());
        let err = collect(unshare.stderr.take().unwrap());
        Container { dir, unshare, user: self.user, out, err }
    }
}

fn collect(mut from: impl Read + Send + 'static) -> Arc<Mutex<Vec<u8>>> {
    let all = Arc::new(Mutex::new(Vec::new()));
    let to = Arc::clone(&all);
    std::thread::spawn(move || {
        let mut piece = [0; 4096];
        while let Ok(length) = from.read(&mut piece) {
            if length == 0 {
                return;
            }
            to.lock().unwrap().write_all(&piece[..length]).unwrap();
        }
    });
    all
}

/// A running container.
pub struct Container {
    dir: PathBuf,
    unshare: Child,
    user: Option<u32>,
    out: Arc<Mutex<Vec<u8>>>,
    err: Arc<Mutex<Vec<u8>>>,
}

impl Container {
    /// What PID 1 and the jobs wrote to standard output.
    pub fn out(&self) -> String {
        text(&self.out.lock().unwrap())
    }

    /// What Upright said itself.
    pub fn err(&self) -> String {
        text(&self.err.lock().unwrap())
    }

    /// Looks until the fact is there.
    pub fn until<T>(&self, fact: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(Instant::now() < end, "it did not come about that {fact}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits for a line of output with these words.
    pub fn line(&self, words: &str) -> String {
        self.until(&format!("output says `{words}`"), || {
            self.out().lines().find(|line| line.contains(words)).map(String::from)
        })
    }

    /// Waits for something that Upright itself says.
    pub fn says(&self, words: &str) -> String {
        self.until(&format!("Upright says `{words}`"), || {
            self.err().lines().find(|line| line.contains(words)).map(String::from)
        })
    }

    /// PID 1, out here.
    fn first(&self) -> i32 {
        let id = self.unshare.id();
        self.until("there is a PID 1", || {
            let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).ok()?;
            children.split_whitespace().next()?.parse().ok()
        })
    }

    /// Sends PID 1 a signal, as an engine does.
    pub fn signal(&self, name: &str) {
        let sent =
            Command::new("kill").args(["-s", name, &self.first().to_string()]).status().unwrap();
        assert!(sent.success(), "kill -s {name}");
    }

    /// Runs a command in the container, as `docker exec` does.
    pub fn exec(&self, command: &str) -> Output {
        Command::new("timeout")
            .args(["30", "nsenter", "--all", "--target", &self.first().to_string(), "--root"])
            .args(["--wd", "--setgid", "0", "--setuid"])
            .args([self.user.unwrap_or(0).to_string().as_str(), "sh", "-c", command])
            .env_clear()
            .env("PATH", PATH)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Waits for the end; returns the exit code.
    pub fn end(&mut self) -> i32 {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.unshare.try_wait().unwrap() {
                return status.code().unwrap_or_else(|| panic!("by signal {:?}", status.signal()));
            }
            assert!(Instant::now() < end, "it does not end");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("---- output\n{}---- Upright\n{}----", self.out(), self.err());
        }
        // PID 1 in there goes with it, and with that one everything.
        let _ = self.unshare.kill();
        let _ = self.unshare.wait();
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
