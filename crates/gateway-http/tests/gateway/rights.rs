//! What the gateway may do: nothing by itself; and what its clients may.

use crate::scratch::Scratch;
use crate::world::{text, until, World, GATEWAY};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use xmlrpc::Value;

const TALKER: &str =
    "[program:talker]\ncommand = sh -c 'echo out; echo err >&2; exec cat'\nstartsecs = 0\n\
    stdout_logfile = %(here)s/out\nstderr_logfile = AUTO\n";

/// Whoever may do nothing.
fn is_nobody(world: &World) -> bool {
    let mut about = None;
    until("the gateway runs", || {
        let gateway = world.process("upright-http").or_else(|| world.process("/proc/self/fd/3"));
        about = gateway.and_then(|pid| std::fs::metadata(format!("/proc/{pid}")).ok());
        about.is_some()
    });
    about.is_some_and(|about| about.uid() != 0 && about.gid() != 0)
}

fn close_to_others(folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)).unwrap();
}

/// Says so where there are no rights that one could be without.
fn is_root() -> bool {
    let root = sys::peer::own_uid() == 0;
    if !root {
        println!("passed over: not root");
    }
    root
}

#[test]
fn the_gateway_has_no_rights_and_logs_that_only_root_may_read_are_served_all_the_same() {
    if !is_root() {
        return;
    }
    let Some(world) = World::supervisord(TALKER) else { return };
    close_to_others(&world.folder);
    assert!(is_nobody(&world));
    let mut client = world.client();
    client.call("supervisor.sendProcessStdin", &["talker".into(), "more\n".into()]).unwrap();
    let given = ["talker".into(), Value::Int(0), Value::Int(0)];
    let read = |client: &mut crate::Client, method: &str| {
        client.call(&format!("supervisor.{method}"), &given).unwrap()
    };
    until("it has written", || read(&mut client, "readProcessStdoutLog") == "out\nmore\n".into());
    until("of its errors too", || read(&mut client, "readProcessStderrLog") == "err\n".into());
    let mut follower = world.client();
    follower.send("GET /logtail/talker HTTP/1.1\r\nHost: x\r\n\r\n");
    follower.read_until(b"more\n");
    client.of("clearProcessLogs", "talker");
    assert_eq!(read(&mut client, "readProcessStdoutLog"), "".into());
    follower.read_until(b"==> File truncated <==\n");
    let main = client.call("supervisor.readLog", &[Value::Int(0), Value::Int(0)]).unwrap();
    assert!(main.text().unwrap().contains("spawned: 'talker'"), "{main:?}");
    // The next one too, whoever of Upright is another meanwhile.
    for name in ["upright-logger", "upright-http", "upright-daemon"] {
        let before = world.kill(name);
        until("another one", || world.process(name).is_some_and(|pid| pid != before));
        let mut client = world.client();
        client.call("supervisor.sendProcessStdin", &["talker".into(), "on\n".into()]).unwrap();
        until("it is read", || {
            let said = read(&mut client, "readProcessStdoutLog");
            said.text().is_some_and(|said| said.ends_with("on\n"))
        });
        client.of("clearProcessLogs", "talker");
        assert!(is_nobody(&world));
    }
    let mut client = world.client();
    let log = text(&client.of("getProcessInfo", "talker"), "stdout_logfile");
    assert_eq!(std::fs::metadata(log).unwrap().uid(), 0);
}

#[test]
fn a_gateway_that_is_installed_where_only_root_may_go_has_no_rights_either() {
    if !is_root() {
        return;
    }
    let folder = Scratch::path("private");
    close_to_others(&folder);
    let here = |name: &str| -> Option<PathBuf> {
        let (from, to) = (Path::new(GATEWAY).with_file_name(name), folder.join(name));
        std::fs::hard_link(&from, &to).or_else(|_| std::fs::copy(&from, &to).map(drop)).ok()?;
        Some(to)
    };
    let (Some(core), Some(_)) = (here("upright-core"), here("upright-http")) else {
        println!("passed over: upright-core is not built");
        return;
    };
    let Some(world) = World::supervisord_of(&core, TALKER) else { return };
    let mut client = world.client();
    until("it runs", || client.state("talker") == "RUNNING");
    assert!(is_nobody(&world));
}

#[test]
fn no_server_shows_the_environment_and_who_may_only_look_empties_no_log() {
    let servers = "[unix_http_server]\nfile = %(here)s/s.sock\n\
        [unix_http_server:look]\nfile = %(here)s/look.sock\naccess = read-only\n";
    let Some(world) = World::with(&[crate::WEB], servers) else { return };
    let look = world.folder.join("look.sock").display().to_string();
    for socket in [world.socket(), look.clone()] {
        let mut client = crate::Client::new(&socket);
        for path in ["/api/ListEnv", "/api/GetEnv?name=PATH", "/api/ListEnv?job=web"] {
            let (status, _, body) = client.ask("GET", path, "");
            let says = body.contains("no server shows the environment of jobs");
            assert!(status == 403 && says, "{path}: {status} {body}");
        }
    }
    let mut client = crate::Client::new(&look);
    for method in ["clearProcessLogs", "startProcess"] {
        let said = client.refused(method, &["web".into()]);
        assert!(said.contains("access = read-only"), "{method}: {said}");
    }
    let said = client.refused("clearLog", &[]);
    assert!(said.contains("access = read-only"), "{said}");
    let (status, body) = crate::web::post(&mut client, "ClearLog", r#"{"job":"web"}"#);
    assert_eq!(status, 403, "{body}");
    // To read is what it is for.
    let given = ["web".into(), Value::Int(0), Value::Int(100)];
    client.call("supervisor.tailProcessStdoutLog", &given).unwrap();
}
