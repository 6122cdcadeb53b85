//! Programs of a configuration, by XML-RPC and by `supervisorctl`: ours and the original's.

use crate::world::{results, text, until, World};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use xmlrpc::Value;

/// Where `scripts/install-test-needs.sh` puts Supervisor's clients.
const ORIGINAL: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/test-needs/supervisor/bin/supervisorctl");

const PROGRAMS: &str = "[program:web]\ncommand = sh -c 'echo out; echo err >&2; exec sleep 1000'\n\
    numprocs = 2\nprocess_name = %(program_name)s_%(process_num)02d\nstartsecs = 0\n\
    stdout_logfile = %(here)s/%(program_name)s_%(process_num)02d.out\n\
    [program:plain]\ncommand = cat\nstdout_logfile = %(here)s/plain.out\nredirect_stderr = true\n\
    startsecs = 0\n\
    [program:one]\ncommand = sleep 1000\nautostart = false\nstartsecs = 0\n\
    [program:two]\ncommand = sleep 1000\nautostart = false\nstartsecs = 0\npriority = 7\n\
    [program:bad]\ncommand = /no/such/program\nautostart = false\nstartretries = 0\n\
    [group:app]\nprograms = one,two\npriority = 5\n";

/// Returns the `supervisorctl`s that there are.
fn clients() -> Vec<PathBuf> {
    let ours = Path::new(env!("CARGO_BIN_EXE_upright-http")).with_file_name("supervisorctl");
    let (there, absent): (Vec<_>, Vec<_>) =
        [ours, PathBuf::from(ORIGINAL)].into_iter().partition(|path| path.exists());
    absent.iter().for_each(|path| println!("passed over: {} is not there", path.display()));
    there
}

/// Runs a `supervisorctl` with these words; returns what it says, with single spaces.
fn control(client: &Path, world: &World, words: &str) -> String {
    let ran = Command::new(client)
        .arg("-c")
        .arg(world.folder.join("conf"))
        .args(words.split(' '))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = [ran.stdout, ran.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    let line = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    said.lines().map(line).collect::<Vec<_>>().join("\n").trim().to_owned()
}

fn is_up(world: &World) -> bool {
    let mut client = world.client();
    ["web:web_00", "web:web_01", "plain"].iter().all(|name| client.state(name) == "RUNNING")
}

#[test]
fn programs_are_called_by_group_and_name_in_their_states_with_their_logs() {
    let Some(world) = World::supervisord(PROGRAMS) else { return };
    let mut client = world.client();
    until("all run", || is_up(&world));
    let all = client.call("supervisor.getAllProcessInfo", &[]).unwrap();
    let shown: Vec<String> = all
        .list()
        .unwrap()
        .iter()
        .map(|one| format!("{}:{}", text(one, "group"), text(one, "name")))
        .collect();
    let wanted = ["app:one", "app:two", "bad:bad", "plain:plain", "web:web_00", "web:web_01"];
    assert_eq!(shown, wanted);
    let web = client.of("getProcessInfo", "web:web_00");
    let out = world.folder.join("web_00.out").display().to_string();
    assert_eq!((text(&web, "stdout_logfile"), text(&web, "logfile")), (out.clone(), out));
    let err = text(&web, "stderr_logfile");
    assert!(err.contains("web_00-stderr---tested-"), "{err}");
    assert!(web.member("start").unwrap().int().unwrap() > 0);
    let plain = client.of("getProcessInfo", "plain");
    assert_eq!(text(&plain, "stderr_logfile"), "");
    let tail = |client: &mut crate::Client, method: &str| {
        let given = ["web:web_00".into(), Value::Int(0), Value::Int(100)];
        text_of(&client.call(method, &given).unwrap())
    };
    until("it has said out", || tail(&mut client, "supervisor.tailProcessStdoutLog") == "out\n");
    until("it has said err", || tail(&mut client, "supervisor.tailProcessStderrLog") == "err\n");
    client.of("clearProcessLogs", "web:web_00");
    assert_eq!(tail(&mut client, "supervisor.tailProcessStderrLog"), "");
    for name in ["web", "web:web_02", "one", "two:two", "app:*"] {
        assert_eq!(client.refused("getProcessInfo", &[name.into()]), format!("BAD_NAME: {name}"));
    }
    let told = client.of("startProcessGroup", "app");
    assert_eq!(results(&told), ["one OK", "two OK"]);
    assert_eq!(client.state("app:two"), "RUNNING");
    assert_eq!(results(&client.of("stopProcess", "app:*")), ["one OK", "two OK"]);
    assert_eq!(client.state("app:two"), "STOPPED");
    let typed = ["plain".into(), "hello\n".into()];
    assert_eq!(client.call("supervisor.sendProcessStdin", &typed), Ok(true.into()));
    let said = || std::fs::read_to_string(world.folder.join("plain.out")).unwrap_or_default();
    until("it has read it", || said() == "hello\n");
    let rows = client.call("supervisor.getAllConfigInfo", &[]).unwrap();
    let two = rows.list().unwrap().iter().find(|row| text(row, "name") == "two").unwrap();
    let number = |name: &str| two.member(name).unwrap().int();
    assert_eq!((number("group_prio"), number("process_prio")), (Some(5), Some(7)));
    assert_eq!((text(two, "group"), text(two, "command")), ("app".into(), "sleep 1000".into()));
}

#[test]
fn the_daemons_own_log_is_read_and_followed() {
    let Some(world) = World::supervisord(PROGRAMS) else { return };
    until("all run", || is_up(&world));
    let mut client = world.client();
    let read = |client: &mut crate::Client, offset: i64, length: i64| {
        client.call("supervisor.readLog", &[Value::Int(offset), Value::Int(length)])
    };
    let all = read(&mut client, 0, 0).unwrap();
    assert!(all.text().unwrap().contains("supervisord started with pid"), "{all:?}");
    assert_eq!(read(&mut client, 0, 10).unwrap().text().unwrap().len(), 10);
    assert!(read(&mut client, -1, 1).unwrap_err().text.starts_with("BAD_ARGUMENTS"));
    let mut follower = world.client();
    follower.send("GET /mainlogtail HTTP/1.1\r\nHost: x\r\n\r\n");
    client.of("stopProcess", "plain");
    let said = String::from_utf8(follower.read_until(b"stopped: plain")).unwrap();
    assert!(said.starts_with("HTTP/1.1 200") && said.ends_with("stopped: plain"), "{said}");
    assert_eq!(client.call("supervisor.clearLog", &[]).unwrap(), Value::Bool(true));
    assert_eq!(read(&mut client, 0, 0).unwrap(), "".into());
    client.of("startProcess", "plain");
    until("what happens is written on", || {
        read(&mut client, 0, 0).unwrap().text().unwrap().contains("INFO spawned: 'plain'")
    });
}

#[test]
fn every_program_is_told_with_what_its_section_says() {
    let sections = "[program:web]\ncommand = sleep %(process_num)d\nnumprocs = 2\nautostart = false\n\
        process_name = %(program_name)s_%(process_num)02d\nstartsecs = 7\nstartretries = 9\n\
        exitcodes = 3,0\nstopsignal = QUIT\nstopwaitsecs = 11\nstopasgroup = true\ndirectory = /tmp\n\
        user = root\nserverurl = http://x.invalid/\npriority = 5\n\
        stdout_logfile = %(here)s/%(process_num)d.out\nstdout_logfile_maxbytes = 4KB\n\
        stdout_logfile_backups = 1\nstdout_capture_maxbytes = 2KB\nstdout_events_enabled = true\n\
        [program:plain]\ncommand = cat\nredirect_stderr = true\nstderr_logfile_maxbytes = 1KB\n\
        autostart = false\nstdout_logfile = NONE\n\
        [group:app]\nprograms = web\npriority = 4\n";
    let Some(world) = World::supervisord(sections) else { return };
    let mut client = world.client();
    let all = |client: &mut crate::Client| {
        let all = client.call("supervisor.getAllConfigInfo", &[]).unwrap();
        all.list().unwrap().to_vec()
    };
    let told = all(&mut client);
    let names: Vec<String> = told.iter().map(|one| text(one, "name")).collect();
    assert_eq!(names, ["plain", "web_00", "web_01"]);
    let shown = |one: &Value, name: &str| format!("{:?}", one.member(name).unwrap());
    for (name, wanted) in [
        ("group", Value::from("app")),
        ("autostart", Value::Bool(false)),
        ("directory", "/tmp".into()),
        ("uid", Value::Int(0)),
        ("command", "sleep 0".into()),
        ("exitcodes", Value::List(vec![Value::Int(3), Value::Int(0)])),
        ("group_prio", Value::Int(4)),
        ("process_prio", Value::Int(5)),
        ("inuse", Value::Bool(true)),
        ("killasgroup", Value::Bool(true)),
        ("redirect_stderr", Value::Bool(false)),
        ("startretries", Value::Int(9)),
        ("startsecs", Value::Int(7)),
        ("stopsignal", Value::Int(3)),
        ("stopwaitsecs", Value::Int(11)),
        ("serverurl", "http://x.invalid/".into()),
        ("stdout_logfile", world.folder.join("0.out").display().to_string().into()),
        ("stdout_logfile_maxbytes", Value::Int(4096)),
        ("stdout_logfile_backups", Value::Int(1)),
        ("stdout_capture_maxbytes", Value::Int(2048)),
        ("stdout_events_enabled", Value::Bool(true)),
        ("stdout_syslog", Value::Bool(false)),
        ("stderr_logfile_maxbytes", Value::Int(50 * 1024 * 1024)),
    ] {
        assert_eq!(shown(&told[1], name), format!("{wanted:?}"), "{name}");
    }
    for (name, wanted) in [
        ("uid", Value::from("none")),
        ("startretries", Value::Int(3)),
        ("startsecs", Value::Int(1)),
        ("redirect_stderr", Value::Bool(true)),
        ("stdout_logfile", "none".into()),
        ("stderr_logfile", "none".into()),
        ("stderr_logfile_maxbytes", Value::Int(1024)),
        ("serverurl", "none".into()),
    ] {
        assert_eq!(shown(&told[0], name), format!("{wanted:?}"), "{name}");
    }
    // What has been read and is not in force yet.
    world.configure(&format!("{sections}[program:later]\ncommand = cat\n"));
    assert_eq!(all(&mut client).len(), 3, "it has not been read");
    client.call("supervisor.reloadConfig", &[]).unwrap();
    let told = all(&mut client);
    assert_eq!(
        (text(&told[0], "name"), shown(&told[0], "inuse")),
        ("later".into(), "Bool(false)".into())
    );
    assert_eq!(text(&told[0], "stdout_logfile"), "auto");
}

#[test]
fn a_program_that_cannot_be_executed_is_refused_at_once_whether_or_not_it_is_waited_for() {
    // It stays between two tries for as long as the test takes.
    let row = "autostart = false\nbackoff_delay = 3600\nbackoff_cap = 3600\n";
    let programs = [
        ("none", "/no/such/program"),
        ("place", "/etc"),
        ("empty", ""),
        ("quote", "/bin/echo 'oops"),
    ];
    let section = |(name, command)| format!("[program:{name}]\ncommand = {command}\n{row}");
    let programs: String = programs.map(section).concat();
    let Some(world) = World::supervisord(&programs) else { return };
    let mut client = world.client();
    for (name, why) in [
        ("none", "NO_FILE: can't find command '/no/such/program'"),
        ("place", "NOT_EXECUTABLE: command at '/etc' is a directory"),
        ("empty", "NOT_EXECUTABLE: command is empty"),
        ("quote", "NOT_EXECUTABLE: can't parse command \"/bin/echo 'oops\": No closing quotation"),
    ] {
        for wait in [false, true, false] {
            let told = client.refused("startProcess", &[name.into(), Value::Bool(wait)]);
            assert_eq!(told, why, "{name} {wait}");
        }
        assert_eq!(client.state(name), "BACKOFF");
        client.of("stopProcess", name);
        let given = [name.into(), Value::Bool(false)];
        let told = client.call("supervisor.startProcessGroup", &given).unwrap();
        assert_eq!(text(&told.list().unwrap()[0], "description"), why);
    }
}

#[test]
fn a_log_is_followed_by_the_paths_that_the_original_knows() {
    let program = "[program:ok]\ncommand = cat\nstartsecs = 0\n";
    let Some(world) = World::supervisord(program) else { return };
    let mut client = world.client();
    until("it runs", || client.state("ok") == "RUNNING");
    for path in ["/ok", "/ok/stdout", "/ok/stderr", "/ok:ok", "/%6fk", "%2fok", "x/ok", "/ok;p?q"] {
        let mut follower = world.client();
        follower.send(&format!("GET /logtail{path} HTTP/1.1\r\nHost: x\r\n\r\n"));
        let head = follower.read_until(b"\r\n\r\n");
        assert!(head.starts_with(b"HTTP/1.1 200 OK\r\n"), "{path}");
    }
    for path in ["", "ok", "/", "//ok", "/ok/", "/ok/stdout/", "/ok/name", "/ok:*", "/%zz", "/%ff"]
    {
        let told = world.client().ask("GET", &format!("/logtail{path}"), "");
        assert_eq!(told.0, 404, "{path}");
    }
}

#[test]
fn a_program_that_is_being_stopped_is_not_started_meanwhile() {
    let program =
        "[program:slow]\ncommand = sh -c 'trap \"while [ -e hold ]; do sleep 0.01; done; exit 0\" \
        TERM; touch up; while :; do sleep 0.01; done'\ndirectory = %(here)s\nstartsecs = 0\n\
        stopwaitsecs = 600\n";
    let Some(world) = World::supervisord(program) else { return };
    until("it runs", || world.folder.join("up").exists());
    std::fs::write(world.folder.join("hold"), "").unwrap();
    let mut client = world.client();
    let given = ["slow".into(), Value::Bool(false)];
    client.call("supervisor.stopProcess", &given).unwrap();
    assert_eq!(client.state("slow"), "STOPPING");
    assert_eq!(client.refused("startProcess", &["slow".into()]), "ABNORMAL_TERMINATION: slow");
    assert_eq!(client.refused("stopProcess", &["slow".into()]), "NOT_RUNNING: slow");
    std::fs::remove_file(world.folder.join("hold")).unwrap();
    until("it has stopped", || client.state("slow") == "STOPPED");
    client.of("startProcess", "slow");
    assert_eq!(client.state("slow"), "RUNNING");
}

fn text_of(tail: &Value) -> String {
    tail.list().unwrap()[0].text().unwrap().to_owned()
}

#[test]
fn supervisorctl_shows_starts_stops_and_tails_programs() {
    for client in clients() {
        let Some(world) = World::supervisord(PROGRAMS) else { return };
        until("all run", || is_up(&world));
        let run = |words: &str| control(&client, &world, words);
        let status = run("status");
        let lines: Vec<&str> = status.lines().collect();
        assert_eq!(lines.len(), 6, "{status}");
        assert_eq!(lines[0], "app:one STOPPED Not started");
        assert!(lines[3].starts_with("plain RUNNING pid "), "{status}");
        assert!(lines[4].starts_with("web:web_00 RUNNING pid "), "{status}");
        assert_eq!(run("start app:*"), "app:two: started\napp:one: started");
        assert_eq!(run("start app:one"), "app:one: ERROR (already started)");
        assert_eq!(run("start bad"), "bad: ERROR (no such file)");
        assert_eq!(run("start nosuch"), "nosuch: ERROR (no such process)");
        assert_eq!(run("stop plain"), "plain: stopped");
        until("the log tells of it", || run("maintail").contains("stopped: plain"));
        assert_eq!(run("restart app:two"), "app:two: stopped\napp:two: started");
        assert_eq!(run("signal CONT app:two"), "app:two: signalled");
        until("it has said err", || run("tail web:web_01 stderr") == "err");
        assert_eq!(run("tail web:web_01"), "out");
        assert_eq!(run("pid"), world.pid().to_string());
        assert_ne!(run("pid web:web_01"), "0");
        let stopped = run("stop all");
        assert_eq!(stopped.lines().count(), 4, "{stopped}");
    }
}

#[test]
fn supervisorctl_rereads_updates_adds_removes_and_ends() {
    for client in clients() {
        let Some(mut world) = World::supervisord(PROGRAMS) else { return };
        until("all run", || is_up(&world));
        let run = |words: &str| control(&client, &world, words);
        assert_eq!(run("reread"), "No config updates to processes");
        let less =
            PROGRAMS.replace("numprocs = 2", "numprocs = 1").replace("program:bad", "program:new");
        world.configure(&less);
        assert_eq!(run("reread"), "bad: disappeared\nnew: available\nweb: changed");
        assert_eq!(run("add nosuch"), "ERROR: no such process/group: nosuch");
        assert_eq!(run("add plain"), "ERROR: process group already active");
        assert!(run("remove plain").starts_with("ERROR: process/group still running: plain"));
        let updated = run("update");
        for line in
            ["bad: removed process group", "web: updated process group", "new: added process group"]
        {
            assert!(updated.lines().any(|said| said == line), "{updated}");
        }
        assert_eq!(run("status web:*").lines().count(), 1);
        assert_eq!(run("remove new"), "new: removed process group");
        world.configure("[program:x]\n");
        assert!(run("reread").starts_with("ERROR: CANT_REREAD"), "{}", run("reread"));
        world.configure(PROGRAMS);
        let pid = run("pid plain");
        assert_eq!(run("reload"), "Restarted supervisord");
        until("it has begun anew", || {
            let told = run("pid plain");
            told != pid && told.parse().is_ok_and(|pid: u32| pid != 0)
        });
        assert_eq!(run("shutdown"), "Shut down");
        assert!(world.ends());
    }
}
