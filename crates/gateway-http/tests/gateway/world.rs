//! An Upright of the test's own with a gateway before it, and a small client.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use xmlrpc::{Fault, Value};

/// How long anything may take before a test fails.
pub const PATIENCE: Duration = Duration::from_secs(60);

const GATEWAY: &str = env!("CARGO_BIN_EXE_upright-http");

/// Ends its process with itself.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub struct World {
    pub folder: PathBuf,
    upright: Child,
    gateways: Vec<Running>,
}

impl World {
    /// Starts an Upright with these jobs and a gateway at `s.sock`. Nothing where `upright` was not
    /// built with it.
    pub fn new(jobs: &[(&str, &str)]) -> Option<World> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let upright = Path::new(GATEWAY).with_file_name("upright");
        if !upright.exists() || !upright.with_file_name("upright-core").exists() {
            println!("passed over: {} is not built", upright.display());
            return None;
        }
        let folder = std::env::temp_dir().join(format!("uhttp{}-{number}", std::process::id()));
        for part in ["jobs", "run", "cache"] {
            std::fs::create_dir_all(folder.join(part)).unwrap();
        }
        for (name, text) in jobs {
            std::fs::write(folder.join("jobs").join(format!("{name}.conf")), text).unwrap();
        }
        let child = Command::new(upright)
            .arg("up")
            .arg(folder.join("jobs"))
            .env("XDG_RUNTIME_DIR", folder.join("run"))
            .env("XDG_CACHE_HOME", folder.join("cache"))
            .env("HOME", &folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut world = World { folder, upright: child, gateways: Vec::new() };
        let control = world.control();
        until("Upright listens", || UnixStream::connect(&control).is_ok());
        world.gateway(&["--unix", &world.socket()]);
        Some(world)
    }

    pub fn control(&self) -> String {
        self.folder.join("run/upright/control").display().to_string()
    }

    pub fn socket(&self) -> String {
        self.folder.join("s.sock").display().to_string()
    }

    /// Starts a gateway with these options, and waits until it listens at the socket among them.
    pub fn gateway(&mut self, options: &[&str]) {
        let mut command = Command::new(GATEWAY);
        command.args(["--control", &self.control()]).args(options).stderr(Stdio::null());
        self.gateways.push(Running(command.spawn().unwrap()));
        let socket = options.iter().skip_while(|option| **option != "--unix").nth(1);
        if let Some(socket) = socket {
            until("the gateway listens", || UnixStream::connect(socket).is_ok());
        }
    }

    /// The same as another user.
    pub fn gateway_as(&mut self, uid: u32, options: &[&str]) {
        let mut command = Command::new(GATEWAY);
        command.args(["--control", &self.control()]).args(options).uid(uid).gid(uid);
        self.gateways.push(Running(command.stderr(Stdio::null()).spawn().unwrap()));
    }

    /// Starts a gateway of somebody who has no rights; returns its socket.
    pub fn stranger(&mut self) -> String {
        use std::os::unix::fs::PermissionsExt;
        let open = |path: PathBuf, mode: u32| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        for folder in ["", "run", "run/upright"] {
            open(self.folder.join(folder), 0o755);
        }
        open(self.control().into(), 0o666);
        let place = self.folder.join("strange");
        std::fs::create_dir(&place).unwrap();
        open(place.clone(), 0o777);
        let socket = place.join("s.sock").display().to_string();
        self.gateway_as(23456, &["--unix", &socket]);
        until("the gateway listens", || UnixStream::connect(&socket).is_ok());
        socket
    }

    pub fn client(&self) -> Client {
        Client::new(&self.socket())
    }

    /// Kills the daemon, not the keeper. Returns whether there was one.
    pub fn kill_daemon(&self) -> bool {
        let keeper = i32::try_from(self.upright.id()).unwrap();
        let daemons = sys::procfs::children_of(keeper).into_iter().filter(|pid| {
            let arguments = sys::procfs::arguments(*pid).unwrap_or_default();
            arguments.first().is_some_and(|name| name.ends_with(b"daemon"))
        });
        let mut killed = false;
        for pid in daemons {
            let process = sys::pidfd::open(pid).unwrap();
            sys::pidfd::send(process, engine::signal::Signal::KILL).unwrap();
            killed = true;
        }
        killed
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.gateways.clear();
        let pid = i32::try_from(self.upright.id()).unwrap();
        let _ = sys::signals::send(pid, engine::signal::Signal::TERM);
        let _ = self.upright.wait();
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
        let lower = head.to_ascii_lowercase();
        let length = lower.lines().find_map(|line| line.strip_prefix("content-length: "));
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
