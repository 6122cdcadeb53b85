//! An Upright of the test's own with a server, and a small client.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use xmlrpc::{Fault, Value};

/// How long anything may take before a test fails.
pub const PATIENCE: Duration = Duration::from_secs(60);

const GATEWAY: &str = env!("CARGO_BIN_EXE_upright-http");

/// What every configuration of a `supervisord` has.
const USUAL: &str = "[unix_http_server]\nfile = %(here)s/s.sock\n\
    [supervisorctl]\nserverurl = unix://%(here)s/s.sock\n\
    [rpcinterface:supervisor]\nsupervisor.rpcinterface_factory = \
    supervisor.rpcinterface:make_main_rpcinterface\n\
    [supervisord]\nnodaemon = true\nlogfile = %(here)s/log\npidfile = %(here)s/pid\n\
    childlogdir = %(here)s\nidentifier = tested\n";

pub struct World {
    pub folder: PathBuf,
    core: Child,
}

impl World {
    /// Starts an Upright with these jobs and a server at `s.sock`. Nothing where the core was not built
    /// with the gateway.
    pub fn new(jobs: &[(&str, &str)]) -> Option<World> {
        World::with(jobs, "[unix_http_server]\nfile = %(here)s/s.sock\n")
    }

    /// The same with these server sections.
    pub fn with(jobs: &[(&str, &str)], servers: &str) -> Option<World> {
        World::prepared(jobs, servers, |_| {})
    }

    /// The same after something has been done with the folder.
    pub fn prepared(
        jobs: &[(&str, &str)],
        servers: &str,
        prepare: impl FnOnce(&Path),
    ) -> Option<World> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let core = Path::new(GATEWAY).with_file_name("upright-core");
        if !core.exists() || !core.with_file_name("upright").exists() {
            println!("passed over: {} is not built", core.display());
            return None;
        }
        let folder = std::env::temp_dir().join(format!("uhttp{}-{number}", std::process::id()));
        for part in ["jobs", "run", "cache"] {
            std::fs::create_dir_all(folder.join(part)).unwrap();
        }
        for (name, text) in jobs {
            std::fs::write(folder.join("jobs").join(format!("{name}.conf")), text).unwrap();
        }
        let file = folder.join("servers.ini");
        std::fs::write(&file, format!("[supervisord]\n{servers}")).unwrap();
        prepare(&folder);
        let said = std::fs::File::create(folder.join("said")).unwrap();
        let core = Command::new(core)
            .arg("--up")
            .arg("--servers")
            .arg(file)
            .arg("--audit")
            .arg(folder.join("audit"))
            .arg("--statedir")
            .arg(folder.join("state"))
            .arg(folder.join("jobs"))
            .env("XDG_RUNTIME_DIR", folder.join("run"))
            .env("XDG_CACHE_HOME", folder.join("cache"))
            .env("HOME", &folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(said)
            .spawn()
            .unwrap();
        let world = World { folder, core };
        until("Upright listens", || UnixStream::connect(world.control()).is_ok());
        Some(world)
    }

    /// Starts a `supervisord` with these sections beside the usual ones, with a server at `s.sock` and
    /// its configuration in `conf`. Nothing where it was not built.
    pub fn supervisord(sections: &str) -> Option<World> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let core = Path::new(GATEWAY).with_file_name("upright-core");
        if !core.exists() {
            println!("passed over: {} is not built", core.display());
            return None;
        }
        let folder = std::env::temp_dir().join(format!("usupd{}-{number}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(folder.join("run")).unwrap();
        std::os::unix::fs::symlink(core, folder.join("supervisord")).unwrap();
        std::fs::write(folder.join("conf"), format!("{USUAL}{sections}")).unwrap();
        let said = std::fs::File::create(folder.join("said")).unwrap();
        let core = Command::new(folder.join("supervisord"))
            .arg("-n")
            .arg("-c")
            .arg(folder.join("conf"))
            .env("XDG_RUNTIME_DIR", folder.join("run"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(said)
            .spawn()
            .unwrap();
        let world = World { folder, core };
        until("supervisord serves", || UnixStream::connect(world.socket()).is_ok());
        Some(world)
    }

    /// Writes other sections.
    pub fn configure(&self, sections: &str) {
        std::fs::write(self.folder.join("conf"), format!("{USUAL}{sections}")).unwrap();
    }

    pub fn pid(&self) -> u32 {
        self.core.id()
    }

    /// Waits for its end; reports whether that was one without a fault.
    pub fn ends(&mut self) -> bool {
        let mut status = None;
        until("supervisord ends", || {
            status = self.core.try_wait().unwrap();
            status.is_some()
        });
        status.is_some_and(|status| status.success())
    }

    pub fn control(&self) -> String {
        self.folder.join("run/upright/control").display().to_string()
    }

    pub fn socket(&self) -> String {
        self.folder.join("s.sock").display().to_string()
    }

    /// Returns what Upright has said.
    pub fn said(&self) -> String {
        std::fs::read_to_string(self.folder.join("said")).unwrap()
    }

    /// Runs `upright` with these words; returns what it says.
    pub fn upright(&self, words: &[&str]) -> String {
        let upright = Path::new(GATEWAY).with_file_name("upright");
        let ran = Command::new(upright).args(words).args(["--socket", &self.control()]).output();
        let ran = ran.unwrap();
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert!(ran.status.success(), "{words:?}: {said}");
        String::from_utf8_lossy(&ran.stdout).into_owned()
    }

    pub fn client(&self) -> Client {
        Client::new(&self.socket())
    }

    /// Kills the process of ours of this name; returns which it was.
    pub fn kill(&self, name: &str) -> i32 {
        let pid = self.process(name).expect("it runs");
        let process = sys::pidfd::open(pid).unwrap();
        sys::pidfd::send(process, engine::signal::Signal::KILL).unwrap();
        pid
    }

    /// Returns the process of ours whose program is called so.
    pub fn process(&self, name: &str) -> Option<i32> {
        let keeper = i32::try_from(self.core.id()).unwrap();
        sys::procfs::children_of(keeper).into_iter().find(|pid| {
            let arguments = sys::procfs::arguments(*pid).unwrap_or_default();
            arguments.first().is_some_and(|first| first.ends_with(name.as_bytes()))
        })
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let pid = i32::try_from(self.core.id()).unwrap();
        let _ = sys::signals::send(pid, engine::signal::Signal::TERM);
        let _ = self.core.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// One connection of HTTP, kept.
pub struct Client {
    stream: UnixStream,
    held: Vec<u8>,
    pub authorization: Option<String>,
}

impl Client {
    pub fn new(socket: &str) -> Client {
        let stream = UnixStream::connect(socket).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Client { stream, held: Vec::new(), authorization: None }
    }

    pub fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).unwrap();
    }

    /// Reads until this has come, or the end; returns what has.
    pub fn read_until(&mut self, end: &[u8]) -> Vec<u8> {
        let mut bytes = [0; 16 * 1024];
        loop {
            let found = self.held.windows(end.len()).position(|part| part == end);
            if let Some(place) = found {
                return self.held.drain(..place + end.len()).collect();
            }
            match self.stream.read(&mut bytes) {
                Ok(0) | Err(_) => return std::mem::take(&mut self.held),
                Ok(length) => self.held.extend(&bytes[..length]),
            }
        }
    }

    /// Sends a request; returns the status, the head and the body.
    pub fn ask(&mut self, method: &str, path: &str, body: &str) -> (u16, String, String) {
        let login = self.authorization.iter().map(|text| format!("Authorization: {text}\r\n"));
        let login: String = login.collect();
        self.send(&format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\n{login}Content-Length: {}\r\n\r\n{body}",
            body.len()
        ));
        self.answer()
    }

    pub fn answer(&mut self) -> (u16, String, String) {
        let head = String::from_utf8(self.read_until(b"\r\n\r\n")).unwrap();
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
        // What a field is called is written in one way here, whatever way came.
        let field = |line: &str| match line.split_once(": ") {
            Some((name, value)) => format!("{}: {value}\r\n", name.to_ascii_lowercase()),
            None => format!("{line}\r\n"),
        };
        let head: String = head.lines().map(field).collect();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.map_or(0, |text| text.parse().unwrap());
        let mut bytes = [0; 16 * 1024];
        while self.held.len() < length {
            match self.stream.read(&mut bytes).unwrap() {
                0 => break,
                read => self.held.extend(&bytes[..read]),
            }
        }
        let length = length.min(self.held.len());
        let body = String::from_utf8(self.held.drain(..length).collect()).unwrap();
        (status, head, body)
    }

    /// Calls a method.
    #[track_caller]
    pub fn call(&mut self, method: &str, given: &[Value]) -> Result<Value, Fault> {
        let (status, _, body) = self.ask("POST", "/RPC2", &xmlrpc::write::call(method, given));
        assert_eq!(status, 200, "{method}: {body}");
        xmlrpc::read::answer(&body).unwrap()
    }

    /// Calls a method of a process; returns the result.
    #[track_caller]
    pub fn of(&mut self, method: &str, name: &str) -> Value {
        self.call(&format!("supervisor.{method}"), &[name.into()]).unwrap()
    }

    #[track_caller]
    pub fn refused(&mut self, method: &str, given: &[Value]) -> String {
        self.call(&format!("supervisor.{method}"), given).unwrap_err().text
    }

    #[track_caller]
    pub fn state(&mut self, name: &str) -> String {
        text(&self.of("getProcessInfo", name), "statename")
    }
}

/// Returns a text member.
#[track_caller]
pub fn text(record: &Value, name: &str) -> String {
    record.member(name).and_then(Value::text).unwrap_or_else(|| panic!("{name}: {record:?}")).into()
}

/// Returns each result's process and what is said of it.
#[track_caller]
pub fn results(told: &Value) -> Vec<String> {
    let one = |result: &Value| format!("{} {}", text(result, "name"), text(result, "description"));
    let mut all: Vec<String> = told.list().unwrap().iter().map(one).collect();
    all.sort();
    all
}

/// Waits until it is so.
#[track_caller]
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(3));
    }
}
