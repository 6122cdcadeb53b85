//! What keeper, daemon, logger and gateway hold after many requests, restarts and changes of the
//! configuration is what they held before.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use sys::procfs;

/// How long anything may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(60);

const GATEWAY: &str = env!("CARGO_BIN_EXE_upright-http");

/// Those of Upright that are looked at, by what their arguments begin with.
const OURS: [&str; 4] = ["supervisord", "upright-daemon", "upright-logger", "upright-http"];

/// How many connections to control the gateway keeps for later: that many sockets come and go.
const KEPT_MAX: usize = 16;

/// How much memory one of them may have more of, in KiB: less than one in ten of the requests would
/// leave behind with a hundred bytes of each and a page for each restart.
const MORE_MAX: u64 = 2048;

/// Programs in a group, so that one call starts all of them.
const GROUP: usize = 10;

const REQUESTS: &[&str] = &[
    "supervisor.getAllProcessInfo",
    "supervisor.getState",
    "supervisor.getProcessInfo|talker",
    "supervisor.getProcessInfo|none",
    "supervisor.getAllConfigInfo",
    "supervisor.signalProcess|talker|CONT",
    "supervisor.sendProcessStdin|talker|line ",
    "supervisor.clearProcessLogs|talker",
    "supervisor.nothing",
    "GET /",
    "GET /metrics",
    "GET /job.html?processname=talker",
    "GET /api/List",
    "GET /api/Why?job=talker",
    "GET /nothing",
    "GET /graph.html",
];

/// What is not read to its end by who asked.
const LEFT: &[&str] = &[
    "GET /events",
    "GET /logtail/talker",
    "GET /mainlogtail",
    "GET /",
    "GET /metrics",
    "supervisor.getAllProcessInfo",
    "supervisor.startProcess|talker",
];

fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "did not come about: {what}");
        std::thread::sleep(Duration::from_millis(3));
    }
}

/// A `supervisord` that is asked.
struct World {
    folder: PathBuf,
    server: Child,
}

impl World {
    fn start() -> Option<World> {
        let core = Path::new(GATEWAY).with_file_name("upright-core");
        if !core.exists() {
            println!("passed over: {} is not built", core.display());
            return None;
        }
        let folder = std::env::temp_dir().join(format!("uleak{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        symlink(core, folder.join("supervisord")).unwrap();
        let server = folder.join("supervisord");
        let world_of = |server| World { folder: folder.clone(), server };
        configure(&folder, "");
        let mut command = Command::new(server);
        command.arg("-n").arg("-c").arg(folder.join("conf")).stdin(Stdio::null());
        let world = world_of(command.stdout(Stdio::null()).spawn().unwrap());
        until("it serves", || UnixStream::connect(world.folder.join("s")).ok());
        until("it runs", || {
            world.call("supervisor.getProcessInfo|talker").contains("RUNNING").then_some(())
        });
        Some(world)
    }

    /// Sends a request over a connection of its own.
    fn send(&self, request: &str) -> UnixStream {
        let mut stream = UnixStream::connect(self.folder.join("s")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(&bytes(request)).unwrap();
        stream
    }

    /// Asks, and returns the answer.
    fn call(&self, request: &str) -> String {
        let mut answer = Vec::new();
        self.send(request).read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Carries out requests of every kind; some of those who ask go away in the middle.
    fn ask(&self, count: usize) {
        for number in 0..count {
            let of = |list: &[&'static str]| list[number / 2 % list.len()];
            match number % 8 {
                0 => drop(self.send(of(LEFT))),
                2 => {
                    let mut some = [0; 16];
                    let _ = self.send(of(LEFT)).read(&mut some).unwrap();
                }
                4 => {
                    let whole = bytes(of(REQUESTS));
                    let mut stream = UnixStream::connect(self.folder.join("s")).unwrap();
                    stream.write_all(&whole[..whole.len() / 2]).unwrap();
                }
                6 => {
                    let asked = "<value><array><data><value><struct><member><name>methodName</name>\
                        <value>supervisor.getState</value></member></struct></value></data></array></value>";
                    let answer = self.call(&format!("system.multicall|{asked}"));
                    assert!(answer.contains("statename"), "{answer}");
                }
                _ => assert!(self.call(of(REQUESTS)).starts_with("HTTP/1.1 ")),
            }
        }
    }

    /// Starts and stops each program of the group so often.
    fn restart(&self, count: usize) {
        for _ in 0..count {
            for act in ["startProcessGroup", "stopProcessGroup"] {
                let answer = self.call(&format!("supervisor.{act}|many"));
                assert_eq!(answer.matches("<name>status</name>").count(), GROUP, "{answer}");
            }
        }
    }

    /// Changes the configuration and back again, so often.
    fn change(&self, count: usize) {
        for _ in 0..count {
            configure(&self.folder, "[program:new]\ncommand=sleep 1000\nautostart=false\n");
            self.call("supervisor.reloadConfig");
            let added = self.call("supervisor.addProcessGroup|new");
            assert!(added.contains("<boolean>1"), "{added}");
            configure(&self.folder, "");
            self.call("supervisor.reloadConfig");
            let removed = self.call("supervisor.removeProcessGroup|new");
            assert!(removed.contains("<boolean>1"), "{removed}");
        }
    }

    fn pids(&self) -> BTreeMap<&'static str, i32> {
        let keeper = self.server.id() as i32;
        let mut pids = BTreeMap::from([(OURS[0], keeper)]);
        for pid in procfs::children_of(keeper) {
            let first = procfs::arguments(pid).and_then(|all| all.into_iter().next());
            let first = String::from_utf8_lossy(&first.unwrap_or_default()).into_owned();
            let ours = OURS.into_iter().skip(1).find(|name| first.contains(name));
            pids.extend(ours.map(|name| (name, pid)));
        }
        pids
    }

    /// Returns what each has open, by kind.
    fn open(&self) -> BTreeMap<(&'static str, String), usize> {
        let mut open = BTreeMap::new();
        for (name, pid) in self.pids() {
            for entry in fs::read_dir(format!("/proc/{pid}/fd")).unwrap() {
                // One may be closed while we look.
                let Ok(target) = fs::read_link(entry.unwrap().path()) else { continue };
                let target = target.to_string_lossy().into_owned();
                let kind = target.split(':').next().unwrap_or_default().to_owned();
                *open.entry((name, kind)).or_default() += 1;
            }
        }
        open
    }

    /// Returns the private memory of each in KiB.
    fn memory(&self) -> BTreeMap<&'static str, u64> {
        let private = |pid: i32| {
            let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
            let line = text.lines().find(|line| line.starts_with("Private_Dirty:"));
            line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap()
        };
        self.pids().into_iter().map(|(name, pid)| (name, private(pid))).collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let pid = self.server.id() as i32;
        let _ = sys::pidfd::send(sys::pidfd::open(pid).unwrap(), engine::signal::Signal::TERM);
        let _ = self.server.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn configure(folder: &Path, more: &str) {
    let many: Vec<String> = (0..GROUP).map(|number| format!("m{number}")).collect();
    let programs: String = many
        .iter()
        .map(|name| format!("[program:{name}]\ncommand=sleep 1000\nautostart=false\nstartsecs=0\n"))
        .collect();
    let text = format!(
        "[unix_http_server]\nfile={0}/s\n[supervisord]\nlogfile={0}/log\npidfile={0}/pid\nloglevel=error\n\
         childlogdir={0}\n[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory=\
         supervisor.rpcinterface:make_main_rpcinterface\n[program:talker]\ncommand=cat\nstartsecs=0\n\
         [group:many]\nprograms={1}\n{programs}{more}",
        folder.display(),
        many.join(",")
    );
    fs::write(folder.join("conf"), text).unwrap();
}

/// Returns the bytes of a request: a GET, or a method with its parameters behind bars.
fn bytes(request: &str) -> Vec<u8> {
    let head = "Host: localhost\r\nConnection: close\r\n";
    if request.starts_with("GET ") {
        return format!("{request} HTTP/1.1\r\n{head}\r\n").into_bytes();
    }
    let mut words = request.split('|');
    let method = words.next().unwrap_or_default();
    let value = |word: &str| match word.starts_with('<') {
        true => format!("<param>{word}</param>"),
        false => format!("<param><value><string>{word}</string></value></param>"),
    };
    let params: String = words.map(value).collect();
    let body = format!(
        "<methodCall><methodName>{method}</methodName><params>{params}</params></methodCall>"
    );
    let length = body.len();
    format!("POST /RPC2 HTTP/1.1\r\n{head}Content-Type: text/xml\r\nContent-Length: {length}\r\n\r\n{body}")
        .into_bytes()
}

#[test]
fn many_requests_restarts_and_changes_leave_no_descriptor_and_no_memory_behind() {
    let Some(world) = World::start() else { return };
    let all = |part: usize| {
        world.ask(2000 / part);
        world.restart(50 / part);
        world.change(100 / part);
    };
    all(10);
    let memory = world.memory();
    let open = world.open();
    let pids = world.pids();
    assert_eq!(pids.len(), OURS.len(), "{pids:?}");
    all(1);
    assert_eq!(world.pids(), pids, "none of them was started again");
    let same = |now: &BTreeMap<(&str, String), usize>| {
        now.keys().chain(open.keys()).all(|kind| {
            let (before, after) = (open.get(kind).unwrap_or(&0), now.get(kind).unwrap_or(&0));
            let spare = if kind.1 == "socket" { KEPT_MAX } else { 0 };
            after.abs_diff(*before) <= spare
        })
    };
    until("the descriptors are those of before", || same(&world.open()).then_some(()));
    // Quiet moments are used to give memory back.
    until("the memory is that of before", || {
        let now = world.memory();
        now.iter().all(|(name, now)| *now <= memory[name] + MORE_MAX).then_some(())
    });
}
