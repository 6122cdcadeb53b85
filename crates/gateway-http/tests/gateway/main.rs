//! The gateway before a real Upright that runs jobs.

mod browser;
mod chromium;
mod http;
mod pages;
mod programs;
mod rights;
#[path = "../../../sys/src/scratch.rs"]
mod scratch;
mod tokens;
mod web;
mod world;

use scratch::Scratch;
use world::{results, text, until, Client, World};
use xmlrpc::Value;

const WEB: (&str, &str) = ("web", "exec sh -c 'echo hello; exec sleep 1000'\n");
const PAIR: (&str, &str) = ("pair", "instance $N\nexec sleep 1000\n");
const BAD: (&str, &str) = ("bad", "exec /no/such/program\n");
const BROKEN: (&str, &str) = ("broken", "pre-start exec false\nexec sleep 1000\n");
const ONCE: (&str, &str) = ("once", "task\nexec true\n");

#[test]
fn a_process_is_started_seen_signalled_and_stopped() {
    let Some(world) = World::new(&[WEB]) else { return };
    let mut client = world.client();
    let never = client.of("getProcessInfo", "web");
    assert_eq!(text(&never, "description"), "Not started");
    assert_eq!(
        (client.state("web"), never.member("pid")),
        ("STOPPED".into(), Some(&Value::Int(0)))
    );
    assert_eq!(client.of("startProcess", "web"), Value::Bool(true));
    assert_eq!(client.refused("startProcess", &["web".into()]), "ALREADY_STARTED: web");
    let now = client.of("getProcessInfo", "web:web");
    assert_eq!(text(&now, "statename"), "RUNNING");
    let pid = now.member("pid").unwrap().int().unwrap();
    assert!(text(&now, "description").starts_with(&format!("pid {pid}, uptime 0:0")), "{now:?}");
    let signal = |word: &str| [Value::from("web"), word.into()];
    assert_eq!(client.refused("signalProcess", &signal("BOGUS")), "BAD_SIGNAL: BOGUS");
    assert_eq!(client.refused("signalProcess", &["no".into(), "BOGUS".into()]), "BAD_NAME: no");
    assert_eq!(client.refused("signalProcess", &["no:*".into(), "HUP".into()]), "BAD_NAME: no:*");
    let each = client.call("supervisor.signalAllProcesses", &["BOGUS".into()]).unwrap();
    assert_eq!(results(&each), ["web BAD_SIGNAL: BOGUS"]);
    for nothing in [Value::Int(0), "0".into()] {
        client.call("supervisor.signalProcess", &["web".into(), nothing]).unwrap();
    }
    client.call("supervisor.signalProcess", &signal("sigcont")).unwrap();
    client.call("supervisor.signalProcess", &["web".into(), Value::Int(9)]).unwrap();
    until("the signal has ended it", || client.state("web") == "STOPPED");
    assert_eq!(client.of("getProcessInfo", "web").member("exitstatus"), Some(&Value::Int(-1)));
    assert_eq!(client.refused("stopProcess", &["web".into()]), "NOT_RUNNING: web");
    assert_eq!(client.refused("signalProcess", &signal("HUP")), "NOT_RUNNING: web");
    client.call("supervisor.startProcess", &["web".into(), Value::Bool(false)]).unwrap();
    until("it runs", || client.state("web") == "RUNNING");
    assert_eq!(client.of("stopProcess", "web"), Value::Bool(true));
    assert_eq!(client.state("web"), "STOPPED");
}

#[test]
fn starts_that_fail_have_the_originals_faults() {
    let Some(world) = World::new(&[BAD, BROKEN, ONCE]) else { return };
    let mut client = world.client();
    assert_eq!(client.refused("startProcess", &["bad".into()]), "NO_FILE: bad");
    let failed = client.of("getProcessInfo", "bad");
    assert_eq!(text(&failed, "statename"), "FATAL");
    let why = "main process: unable to execute: No such file or directory";
    assert_eq!((text(&failed, "description"), text(&failed, "spawnerr")), (why.into(), why.into()));
    let broken = client.refused("startProcess", &["broken".into()]);
    assert_eq!(broken, "ABNORMAL_TERMINATION: broken");
    // A task is answered when it is done.
    client.of("startProcess", "once");
    assert_eq!(client.state("once"), "EXITED");
    for name in ["nosuch", "", "once:x", "once:*", "upright/http", "a:b:c"] {
        let told = client.refused("getProcessInfo", &[name.into()]);
        assert_eq!(told, format!("BAD_NAME: {name}"));
    }
}

#[test]
fn groups_are_jobs_with_instances_and_all_is_what_has_run_and_is_no_task() {
    let Some(world) = World::new(&[WEB, PAIR, ONCE, BAD]) else { return };
    let mut client = world.client();
    let start = |n: &str| world.upright(&["start", "pair", &format!("N={n}")]);
    start("a");
    start("b");
    assert_eq!(client.state("pair:a"), "RUNNING");
    assert_eq!(results(&client.of("stopProcessGroup", "pair")), ["a OK", "b OK"]);
    assert_eq!(client.refused("stopProcessGroup", &["nosuch".into()]), "BAD_NAME: nosuch");
    start("a");
    start("b");
    let hup = client.call("supervisor.signalProcess", &["pair:*".into(), "CONT".into()]).unwrap();
    assert_eq!(results(&hup), ["a OK", "b OK"]);
    // Nothing but what has run before is started by all: a job that never ran has its reasons.
    assert_eq!(results(&client.call("supervisor.startAllProcesses", &[]).unwrap()), [""; 0]);
    client.of("startProcess", "web");
    client.of("startProcess", "once");
    let stopped = client.call("supervisor.stopAllProcesses", &[]).unwrap();
    assert_eq!(results(&stopped), ["a OK", "b OK", "web OK"]);
    let started = client.call("supervisor.startAllProcesses", &[]).unwrap();
    assert_eq!(results(&started), ["web OK"]);
    let all = client.call("supervisor.signalAllProcesses", &["CONT".into()]).unwrap();
    assert_eq!(results(&all), ["web OK"]);
}

#[test]
fn logs_are_read_tailed_cleared_and_followed() {
    let jobs =
        [WEB, ("quiet", "console none\nexec sleep 1000\n"), ("mute", "input pipe\nexec cat\n")];
    let Some(world) = World::new(&jobs) else { return };
    let mut client = world.client();
    client.of("startProcess", "web");
    let read = |client: &mut Client, offset: i64, length: i64| {
        let given = [Value::from("web"), Value::Int(offset), Value::Int(length)];
        client.call("supervisor.readProcessStdoutLog", &given)
    };
    until("it has said hello", || read(&mut client, 0, 0) == Ok("hello\n".into()));
    assert_eq!(read(&mut client, -3, 0).unwrap(), "lo\n".into());
    assert_eq!(read(&mut client, 1, 3).unwrap(), "ell".into());
    let written = ["web".into(), Value::from("1"), Value::from("3")];
    assert_eq!(client.call("supervisor.readProcessLog", &written).unwrap(), "ell".into());
    assert_eq!(read(&mut client, 100, 0).unwrap(), "".into());
    assert_eq!(read(&mut client, -3, 1).unwrap_err().text, "BAD_ARGUMENTS");
    assert_eq!(read(&mut client, 0, -1).unwrap_err().text, "BAD_ARGUMENTS");
    let tail = |client: &mut Client, method: &str| {
        client.call(method, &["web".into(), Value::Int(0), Value::Int(3)]).unwrap()
    };
    let end = Value::List(vec!["lo\n".into(), Value::Int(6), true.into()]);
    assert_eq!(tail(&mut client, "supervisor.tailProcessLog"), end);
    let none = Value::List(vec!["".into(), Value::Int(0), false.into()]);
    assert_eq!(tail(&mut client, "supervisor.tailProcessStderrLog"), none);
    let nothing = ["web".into(), Value::Int(0), Value::Int(0)];
    assert_eq!(client.refused("readProcessStderrLog", &nothing), "NO_FILE");

    let mut follower = world.client();
    follower.send("GET /logtail/web HTTP/1.1\r\nHost: x\r\n\r\n");
    let head = String::from_utf8(follower.read_until(b"hello\n")).unwrap().to_lowercase();
    assert!(head.contains("transfer-encoding: chunked"), "{head}");
    assert!(head.contains("content-type: text/plain;charset=utf-8"), "{head}");
    client.of("clearProcessLogs", "web");
    assert_eq!(read(&mut client, 0, 0).unwrap(), "".into());
    follower.read_until(b"==> File truncated <==\n");
    client.of("stopProcess", "web");
    client.of("startProcess", "web");
    follower.read_until(b"hello\n");
    let missing = world.client().ask("GET", "/logtail/quiet/stdout", "");
    assert_eq!(missing.0, 404);
    // It runs and has said nothing: the log is there as soon as it has.
    client.of("startProcess", "mute");
    let nothing = ["mute".into(), Value::Int(0), Value::Int(0)];
    assert_eq!(client.call("supervisor.readProcessLog", &nothing).unwrap(), "".into());
    let mut follower = world.client();
    follower.send("GET /logtail/mute HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(follower.read_until(b"\r\n\r\n").starts_with(b"HTTP/1.1 200 OK\r\n"));
    client.call("supervisor.sendProcessStdin", &["mute".into(), "at last\n".into()]).unwrap();
    follower.read_until(b"at last\n");
    // Another file gets its name: what is written to that is read on.
    let log = text(&client.of("getProcessInfo", "mute"), "logfile");
    std::fs::rename(&log, format!("{log}.old")).unwrap();
    client.call("supervisor.sendProcessStdin", &["mute".into(), "anew\n".into()]).unwrap();
    follower.read_until(b"anew\n");
}

#[test]
fn what_is_asked_about_the_daemon_and_the_interface_is_answered() {
    let Some(world) = World::new(&[WEB, BAD]) else { return };
    let mut client = world.client();
    let mut ask = |method: &str| client.call(method, &[]).unwrap();
    assert_eq!(ask("supervisor.getAPIVersion"), "3.0".into());
    assert_eq!(ask("supervisor.getIdentification"), "supervisor".into());
    assert_eq!(text(&ask("supervisor.getState"), "statename"), "RUNNING");
    assert!(ask("supervisor.getPID").int().unwrap() > 1);
    assert_eq!(ask("system.listMethods").list().unwrap().len(), 41);
    let none = || Value::List(Vec::new());
    let changes = Value::List(vec![Value::List(vec![none(), none(), none()])]);
    assert_eq!(ask("supervisor.reloadConfig"), changes);
    let rows = ask("supervisor.getAllConfigInfo");
    let row = &rows.list().unwrap()[1];
    assert_eq!(text(row, "command"), "sh -c 'echo hello; exec sleep 1000'");
    assert_eq!(
        (text(row, "name"), row.member("stopwaitsecs")),
        ("web".into(), Some(&Value::Int(5)))
    );
    let signature = client.call("system.methodSignature", &["supervisor.startProcess".into()]);
    assert_eq!(
        signature.unwrap(),
        Value::List(["boolean", "string", "boolean"].map(Value::from).into())
    );
    assert!(client
        .call("system.methodHelp", &["supervisor.getPID".into()])
        .unwrap()
        .text()
        .is_some());
    let unknown = client.call("system.methodHelp", &["nope".into()]).unwrap_err();
    assert_eq!((unknown.number, unknown.text.as_str()), (4, "SIGNATURE_UNSUPPORTED"));
    assert_eq!(client.refused("nope", &[]), "UNKNOWN_METHOD");
    assert_eq!(client.refused("getPID", &[Value::Int(1)]), "INCORRECT_PARAMETERS");
    assert_eq!(client.refused("startProcess", &[]), "INCORRECT_PARAMETERS");
    assert_eq!(client.refused("addProcessGroup", &["web".into()]), "ALREADY_ADDED: web");
    assert_eq!(client.refused("removeProcessGroup", &["no".into()]), "BAD_NAME: no");
    client.of("startProcess", "web");
    assert_eq!(client.refused("removeProcessGroup", &["web".into()]), "STILL_RUNNING: web");
    let typed = [Value::from("web"), "x\n".into()];
    assert!(client.refused("sendProcessStdin", &typed).starts_with("NO_FILE: web"));
}

#[test]
fn a_multicall_answers_each_call_with_a_bare_value_or_a_fault() {
    let Some(world) = World::new(&[WEB]) else { return };
    let mut client = world.client();
    let call = |name: &str, given: &[Value]| {
        let (name, given) = (Value::from(name), Value::List(given.to_vec()));
        Value::Record(vec![("methodName".into(), name), ("params".into(), given)])
    };
    let calls = Value::List(vec![
        call("supervisor.startProcess", &["web".into()]),
        call("supervisor.stopProcess", &["web".into()]),
        call("supervisor.stopProcess", &["web".into()]),
        call("system.multicall", &[]),
        Value::Record(Vec::new()),
        Value::Record(vec![("methodName".into(), "supervisor.getVersion".into())]),
    ]);
    let told = client.call("system.multicall", &[calls]).unwrap();
    let told = told.list().unwrap();
    assert_eq!((&told[0], &told[1]), (&true.into(), &true.into()));
    let fault = |value: &Value| text(value, "faultString");
    assert_eq!(fault(&told[2]), "NOT_RUNNING: web");
    assert_eq!(fault(&told[3]), "INCORRECT_PARAMETERS: Recursive system.multicall forbidden");
    assert_eq!(fault(&told[4]), "INCORRECT_PARAMETERS: No methodName");
    assert_eq!(told[5], "3.0".into());
}

#[test]
fn an_event_of_a_client_starts_a_job() {
    let job = "start on remote-communication TYPE=deploy\nexec sleep 1000\n";
    let Some(world) = World::new(&[("deploy", job)]) else { return };
    let mut client = world.client();
    let event = [Value::from("deploy"), "now\nor never".into()];
    assert_eq!(client.call("supervisor.sendRemoteCommEvent", &event), Ok(true.into()));
    until("the job runs", || client.state("deploy") == "RUNNING");
}

#[test]
fn a_daemon_that_is_killed_is_waited_for_and_a_shutdown_is_told() {
    let folder = Scratch::directory("gate");
    let gate = folder.join("open");
    let wait = format!("until [ -e {} ]; do sleep 0.02; done", gate.display());
    let slow = format!("exec sleep 1000\npost-stop exec sh -c '{wait}'\n");
    let Some(world) = World::new(&[("slow", &slow)]) else { return };
    let mut client = world.client();
    client.of("startProcess", "slow");
    let pid = client.of("getProcessInfo", "slow").member("pid").cloned();
    world.kill("daemon");
    assert_eq!(client.of("getProcessInfo", "slow").member("pid").cloned(), pid);
    assert_eq!(client.call("supervisor.shutdown", &[]), Ok(true.into()));
    assert_eq!(client.refused("getState", &[]), "SHUTDOWN_STATE");
    assert!(client.call("system.listMethods", &[]).is_ok());
    std::fs::write(&gate, "").unwrap();
    until("the socket is gone", || !std::path::Path::new(&world.socket()).exists());
}

#[test]
fn a_gateway_that_is_killed_comes_back_and_who_connects_meanwhile_waits() {
    let Some(world) = World::new(&[WEB]) else { return };
    world.client().of("startProcess", "web");
    let mut killed = Vec::new();
    for round in 0..3 {
        killed.push(world.kill("upright-http"));
        // Whether it is there again or not: the socket is open.
        assert_eq!(world.client().state("web"), "RUNNING", "round {round}");
        if round == 1 {
            // Of one that is gone, too.
            world.kill("daemon");
            assert_eq!(world.client().state("web"), "RUNNING", "round {round}");
        }
    }
    assert!(world.process("upright-http").is_some_and(|now| !killed.contains(&now)));
    let shown = world.upright(&["status", "upright/http"]);
    assert!(shown.contains("running"), "{shown}");
}
