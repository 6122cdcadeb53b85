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
