//! Event listeners of a real `supervisord`: the suite that was recorded from the original, and what
//! happens to them when Upright's own processes are killed.

#[path = "../../sys/src/scratch.rs"]
mod scratch;

use scratch::Scratch;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use sys::procfs;

/// How long anything may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(60);

const GATEWAY: &str = env!("CARGO_BIN_EXE_upright-http");

/// Where the recorded suite is, in a workplace that has it.
const SUITE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/conformance/supervisor");

/// Where `scripts/install-test-needs.sh` puts Supervisor's clients and superlance.
const VENV: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/test-needs/supervisor/bin");

/// Answers each event, once there is no file `hold`, and writes it down before.
const LISTENER: &str = r#"
while echo READY && read -r head; do
    payload=$(dd bs=1 count="${head##*len:}" 2> /dev/null)
    serial=${head##* serial:}
    echo "${serial%% *} $payload" | tr '\n' ' ' >> "$0.events"
    echo >> "$0.events"
    while [ -e "$0.hold" ]; do sleep 0.01; done
    printf 'RESULT 2\nOK'
done
"#;

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

/// Makes a folder with a `supervisord` in it. Nothing where that was not built.
fn folder(name: &str) -> Option<Scratch> {
    let core = Path::new(GATEWAY).with_file_name("upright-core");
    if !core.exists() {
        println!("passed over: {} is not built", core.display());
        return None;
    }
    let folder = Scratch::directory(&format!("listeners-{name}"));
    symlink(core, folder.join("supervisord")).unwrap();
    Some(folder)
}

#[test]
fn listeners_do_in_the_recorded_suite_what_they_did_under_the_original() {
    let suite = Path::new(SUITE).join("listener_conformance.py");
    let (python, crashmail) = (Path::new(VENV).join("python3"), Path::new(VENV).join("crashmail"));
    if let Some(absent) = [&suite, &python, &crashmail].into_iter().find(|path| !path.exists()) {
        println!("passed over: {} is not there", absent.display());
        return;
    }
    let Some(folder) = folder("suite") else { return };
    let server = format!("{}/supervisord -n -c {{conf}}", folder.display());
    let told = Command::new(&python)
        .arg(&suite)
        .args(["--server-cmd", &server, "--superlance-bin", VENV])
        .arg("--golden")
        .arg(Path::new(SUITE).join("listener_golden.json"))
        .arg("--workdir")
        .arg(&*folder)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains("45/45 cases identical"), "{told}");
}

/// A `supervisord` with one listener.
struct World {
    folder: Scratch,
    server: Child,
}

impl World {
    fn start(name: &str) -> Option<World> {
        World::start_with(name, "REMOTE_COMMUNICATION", "")
    }

    /// As `start`, with a listener to these events, and more sections.
    fn start_with(name: &str, events: &str, more: &str) -> Option<World> {
        let folder = folder(name)?;
        let text = format!(
            "[unix_http_server]\nfile = %(here)s/s\n[supervisord]\nnodaemon = true\nloglevel = debug\n\
             logfile = %(here)s/log\n\
             pidfile = %(here)s/pid\nchildlogdir = %(here)s\n\
             [rpcinterface:supervisor]\nsupervisor.rpcinterface_factory = \
             supervisor.rpcinterface:make_main_rpcinterface\n\
             [eventlistener:lis]\ncommand = /bin/sh {0}/lis\nevents = {events}\n\
             startsecs = 0\n{more}",
            folder.display()
        );
        fs::write(folder.join("conf"), text).unwrap();
        fs::write(folder.join("lis"), LISTENER).unwrap();
        let server = Command::new(folder.join("supervisord"))
            .arg("-n")
            .arg("-c")
            .arg(folder.join("conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let world = World { folder, server };
        until("it serves", || world.gateway(None).filter(|_| world.folder.join("s").exists()));
        Some(world)
    }

    /// Returns a child of the keeper that runs this, and is not `than`.
    fn child(&self, name: &str, than: Option<i32>) -> Option<i32> {
        let children = procfs::children_of(self.server.id() as i32);
        children.into_iter().filter(|pid| Some(*pid) != than).find(|pid| {
            let first = procfs::arguments(*pid).and_then(|all| all.into_iter().next());
            let first = first.unwrap_or_default();
            String::from_utf8_lossy(&first).contains(name)
        })
    }

    fn gateway(&self, than: Option<i32>) -> Option<i32> {
        self.child("upright-http", than)
    }

    /// Kills one and waits for the next.
    fn kill(&self, name: &str) {
        let pid = until(name, || self.child(name, None));
        let _ = sys::pidfd::send(sys::pidfd::open(pid).unwrap(), engine::signal::Signal::KILL);
        until("another one", || self.child(name, Some(pid)));
    }

    /// Sends an event. Asked again where whoever was asked has died.
    fn send(&self, data: &str) {
        let body = format!(
            "<methodCall><methodName>supervisor.sendRemoteCommEvent</methodName><params>\
             <param><value><string>t</string></value></param>\
             <param><value><string>{data}</string></value></param></params></methodCall>"
        );
        until("it is sent", || {
            self.call(&body).ok().filter(|answer| answer.contains("<boolean>1"))
        });
    }

    fn call(&self, body: &str) -> std::io::Result<String> {
        let mut stream = UnixStream::connect(self.folder.join("s"))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(
            stream,
            "POST /RPC2 HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\nConnection: close\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    /// Waits until the listener has said so often that it is ready.
    fn ready(&self, count: usize) {
        until("the listener is ready", || {
            let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            (log.matches("ACKNOWLEDGED -> READY").count() >= count).then_some(())
        });
    }

    /// Waits until the listener has been told so many events; returns them.
    fn told(&self, count: usize) -> Vec<String> {
        until("the listener is told", || {
            let text = fs::read_to_string(self.folder.join("lis.events")).unwrap_or_default();
            let lines: Vec<String> = text.lines().map(|line| line.trim().to_owned()).collect();
            (lines.len() >= count).then_some(lines)
        })
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.folder.join("lis.hold"));
        let pid = self.server.id() as i32;
        let _ = sys::pidfd::send(sys::pidfd::open(pid).unwrap(), engine::signal::Signal::TERM);
        let _ = self.server.wait();
    }
}

#[test]
fn a_listener_goes_on_where_it_was_whoever_of_upright_is_killed() {
    let Some(world) = World::start("kill") else { return };
    world.send("a");
    world.told(1);
    world.ready(2);
    // It has an event and owes an answer, and another one waits.
    fs::write(world.folder.join("lis.hold"), "").unwrap();
    world.send("b");
    world.told(2);
    world.send("c");
    world.kill("upright-http");
    world.send("d");
    fs::remove_file(world.folder.join("lis.hold")).unwrap();
    world.told(4);
    world.ready(5);
    // It is ready and waits.
    world.kill("upright-http");
    world.send("e");
    world.told(5);
    world.kill("upright-daemon");
    world.send("f");
    world.told(6);
    world.kill("upright-logger");
    world.send("g");
    let wanted =
        ["0 type:t a", "1 type:t b", "2 type:t c", "3 type:t d", "4 type:t e", "5 type:t f"];
    assert_eq!(world.told(7)[..6], wanted, "each once, in order");
    assert_eq!(world.told(7)[6], "6 type:t g");
}

#[test]
fn other_events_and_another_buffer_are_changes_of_a_listener_that_reread_tells() {
    let Some(world) = World::start("reread") else { return };
    let path = world.folder.join("conf");
    let text = fs::read_to_string(&path).unwrap();
    let reread = |text: &str| {
        fs::write(&path, text).unwrap();
        let body = "<methodCall><methodName>supervisor.reloadConfig</methodName></methodCall>";
        world.call(body).unwrap().contains("<string>lis</string>")
    };
    assert!(!reread(&text));
    let events = "events = REMOTE_COMMUNICATION";
    assert!(reread(&text.replace(events, &format!("{events},TICK_60"))));
    assert!(reread(&text.replace(events, &format!("{events}\nbuffer_size = 99"))));
    assert!(!reread(&text));
}

/// Of each output what is written and what stands between the signs, and these not in the file.
#[test]
fn a_listener_is_told_what_programs_write_and_what_they_say_for_it() {
    let program = "[program:talker]\nstdout_events_enabled = true\nstderr_events_enabled = true\n\
        stdout_capture_maxbytes = 1KB\nstderr_capture_maxbytes = 1KB\n\
        stdout_logfile = %(here)s/talker.out\nstderr_logfile = %(here)s/talker.err\nstartsecs = 0\n\
        command = /bin/sh -c 'while :; do echo plain; echo wrong >&2; \
        printf \"<!--XSUPERVISOR:BEGIN-->said<!--XSUPERVISOR:END-->\"; \
        printf \"<!--XSUPERVISOR:BEGIN-->sobbed<!--XSUPERVISOR:END-->\" >&2; sleep 0.05; done'\n";
    let events = "PROCESS_LOG,PROCESS_COMMUNICATION";
    let Some(world) = World::start_with("outs", events, program) else { return };
    let of = "processname:talker groupname:talker pid:";
    for (channel, said) in
        [(" channel:stdout", "plain"), (" channel:stderr", "wrong"), ("", "said"), ("", "sobbed")]
    {
        until(said, || {
            let told = world.told(1);
            let told = told.iter().find(|line| line.contains(of) && line.contains(said))?;
            assert_eq!(told.contains(" channel:"), !channel.is_empty(), "{told}");
            told.contains(channel).then_some(())
        });
    }
    let out = fs::read_to_string(world.folder.join("talker.out")).unwrap();
    assert!(out.contains("plain") && !out.contains("said"), "{out}");
}
