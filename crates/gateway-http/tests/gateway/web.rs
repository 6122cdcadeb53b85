//! What is for people and for collectors of numbers.

use crate::world::{until, World};
use crate::{BAD, PAIR, WEB};

const FRAGILE: (&str, &str) = ("fragile", "respawn\nexec sh -c 'echo up; sleep 1000 & wait'\n");

#[test]
fn metrics_tell_what_jobs_do_and_use() {
    let Some(world) = World::new(&[WEB, BAD, PAIR, FRAGILE]) else { return };
    let mut client = world.client();
    client.of("startProcess", "fragile");
    client.refused("startProcess", &["bad".into()]);
    until("the first run has written", || {
        let body = client.ask("GET", "/metrics", "").2;
        body.contains("upright_job_log_size_bytes{job=\"fragile\",instance=\"\"} 3\n")
    });
    client.call("supervisor.signalProcess", &["fragile".into(), "KILL".into()]).unwrap();
    let mut text = String::new();
    let mut value = |line: &str| {
        let (status, head, body) = client.ask("GET", "/metrics", "");
        assert_eq!(status, 200, "{head}{body}");
        assert!(head.contains("application/openmetrics-text; version=1.0.0"), "{head}");
        text = body;
        let found = text.lines().find_map(|other| other.strip_prefix(line));
        found.and_then(|value| value.trim().parse::<f64>().ok())
    };
    let restarts = r#"upright_job_restarts_total{job="fragile",instance="",reason="signal"}"#;
    until("it was started again", || value(restarts) == Some(1.0));
    let log = r#"upright_job_log_size_bytes{job="fragile",instance=""}"#;
    until("both runs have written", || value(log) == Some(6.0));
    let processes = r#"upright_job_processes{job="fragile",instance=""}"#;
    until("the child is counted, too", || value(processes) == Some(2.0));
    let mut is = |line: &str, wanted: &dyn Fn(f64) -> bool| {
        let number = value(line);
        assert!(number.is_some_and(wanted), "{line} {number:?}");
    };
    let one = |number: f64| number == 1.0;
    let some = |number: f64| number > 0.0;
    is(r#"upright_job_state{job="fragile",instance="",upright_job_state="running"}"#, &one);
    is(r#"upright_job_state{job="bad",instance="",upright_job_state="failed"}"#, &one);
    is(r#"upright_job_state{job="web",instance="",upright_job_state="stopped"}"#, &one);
    is(r#"upright_job_last_exit_signal{job="fragile",instance=""}"#, &|number| number == 9.0);
    is(r#"upright_job_resident_memory_bytes{job="fragile",instance=""}"#, &some);
    for role in ["keeper", "daemon", "logger", "http"] {
        is(&format!(r#"upright_process_resident_memory_bytes{{process="{role}"}}"#), &some);
    }
    let start = r#"upright_process_start_time_seconds{process="keeper"}"#;
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
    is(start, &|began| began > now - 3600.0 && began < now + 1.0);
    assert!(text.ends_with("# EOF\n"));
    assert_eq!(client.ask("POST", "/metrics", "").0, 405);
}

/// Sends a call as JSON; returns the status and the answer.
pub fn post(client: &mut crate::world::Client, method: &str, body: &str) -> (u16, String) {
    client.send(&format!(
        "POST /api/{method} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    let (status, _, body) = client.answer();
    (status, body)
}

#[test]
fn control_is_spoken_in_json_and_reading_alone_goes_by_get() {
    let Some(world) = World::new(&[WEB, PAIR]) else { return };
    let mut client = world.client();
    let (status, head, index) = client.ask("GET", "/api", "");
    assert_eq!(status, 200);
    assert!(head.contains("content-type: application/json"), "{head}");
    let index: serde_json::Value = serde_json::from_str(&index).unwrap();
    let method = |name: &str| {
        let all = index["methods"].as_array().unwrap();
        all.iter().find(|row| row["method"] == name).unwrap_or_else(|| panic!("{name}")).clone()
    };
    assert_eq!((&method("Why")["reads"], &method("Start")["reads"]), (&true.into(), &false.into()));

    assert_eq!(post(&mut client, "Start", r#"{"job":"web"}"#).0, 200);
    let started = post(&mut client, "Start", r#"{"job":"pair","env":["N=a b"]}"#);
    assert!(started.0 == 200 && started.1.contains(r#""instance":"a b""#), "{started:?}");
    let mut get = |path: &str| {
        let (status, _, body) = client.ask("GET", path, "");
        (status, serde_json::from_str::<serde_json::Value>(&body).unwrap_or_default())
    };
    let (status, seen) = get("/api/Status?job=pair&env=N=a%20b");
    assert_eq!((status, &seen["instance"]["state"]), (200, &"running".into()));
    let (_, list) = get("/api/List");
    assert_eq!(list["instances"].as_array().unwrap().len(), 2);
    let (_, events) = get("/api/Events");
    let notices = events["notices"].as_array().unwrap();
    assert!(notices.iter().any(|notice| notice["state"]["to"] == "running"), "{notices:?}");
    assert!(notices.iter().all(|notice| notice["age"].as_u64().is_some()), "{notices:?}");
    let (_, later) = get("/api/Events?after=3&job=");
    assert!(later["error"].as_str().unwrap().ends_with("InvalidParameter"), "{later}");
    let (_, later) = get("/api/Events?after=3");
    assert_eq!(later["notices"][0]["sequence"], 4);

    for (path, status) in [
        ("/api/Status?job=nosuch", 404),
        ("/api/Status", 400),
        ("/api/Status?all=maybe&job=web", 400),
        ("/api/Nosuch", 404),
        ("/api/EmitFile?event=x", 404),
        ("/api/Stop?job=web", 405),
    ] {
        assert_eq!(get(path).0, status, "{path}");
    }
    assert_eq!(post(&mut client, "Start", r#"{"job":"web"}"#).0, 409);
    assert_eq!(post(&mut client, "Start", r#"{"job":"#).0, 400);
    // What a form could send.
    assert_eq!(client.ask("POST", "/api/Stop", r#"{"job":"web"}"#).0, 415);
    assert_eq!(client.state("web"), "RUNNING");
}

#[test]
fn a_stream_of_events_is_resumed_where_it_was_left_also_after_the_daemon_died() {
    let Some(world) = World::new(&[WEB]) else { return };
    let mut client = world.client();
    let follow = |head: &str| {
        let mut stream = world.client();
        stream.send(&format!("GET /events HTTP/1.1\r\nHost: x\r\n{head}\r\n"));
        let begun = String::from_utf8(stream.read_until(b"retry: 1000\n\n")).unwrap();
        assert!(begun.contains("Content-Type: text/event-stream"), "{begun}");
        stream
    };
    let next = |stream: &mut crate::world::Client| {
        let text = loop {
            let text = String::from_utf8(stream.read_until(b"\n\n")).unwrap();
            // A comment is sent where nothing has happened for long.
            if !text.ends_with("\n:\n\n") {
                break text;
            }
        };
        let line = |name: &str| {
            let found = text.lines().find_map(|line| line.strip_prefix(name));
            found.unwrap_or_else(|| panic!("{text:?}")).to_owned()
        };
        let told: serde_json::Value = serde_json::from_str(&line("data: ")).unwrap();
        (line("id: ").parse::<u64>().unwrap(), line("event: "), told)
    };
    let mut stream = follow("Last-Event-ID: 0\r\n");
    client.of("startProcess", "web");
    let mut seen = 0;
    loop {
        let (id, kind, told) = next(&mut stream);
        let missed = told["missed"].as_u64().unwrap_or(0);
        assert_eq!((id, &told["sequence"]), (seen + missed + 1, &id.into()), "{told}");
        seen = id;
        if kind == "state" && told["state"]["to"] == "running" {
            break;
        }
    }
    world.kill("daemon");
    loop {
        let (id, kind, _) = next(&mut stream);
        assert!(id > seen, "{id} {seen}");
        seen = id;
        if kind == "restarted" {
            break;
        }
    }
    drop(stream);
    client.of("stopProcess", "web");
    let mut again = follow(&format!("Last-Event-ID: {seen}\r\n"));
    assert_eq!(next(&mut again).0, seen + 1);
    let mut asked = follow("");
    client.of("startProcess", "web");
    assert!(next(&mut asked).0 > seen + 1);
}

#[test]
fn there_is_room_for_so_many_streams_and_one_that_ends_makes_room() {
    let Some(world) = World::new(&[WEB]) else { return };
    let mut streams = Vec::new();
    for _ in 0..32 {
        let mut stream = world.client();
        stream.send("GET /events HTTP/1.1\r\nHost: x\r\n\r\n");
        stream.read_until(b"retry: 1000");
        streams.push(stream);
    }
    let begin = || world.client().ask("GET", "/events?after=x", "").0;
    assert_eq!(begin(), 400);
    assert_eq!(world.client().ask("GET", "/events", "").0, 503);
    assert_eq!(world.client().state("web"), "STOPPED");
    streams.pop();
    until("there is room again", || {
        let mut stream = world.client();
        stream.send("GET /events HTTP/1.1\r\nHost: x\r\n\r\n");
        stream.read_until(b"\r\n").starts_with(b"HTTP/1.1 200")
    });
}

#[test]
fn who_reads_too_slowly_is_told_how_much_was_lost() {
    let Some(world) = World::new(&[WEB]) else { return };
    let mut stream = world.client();
    stream.send("GET /events HTTP/1.1\r\nHost: x\r\n\r\n");
    stream.read_until(b"retry: 1000\n\n");
    let mut client = world.client();
    let long = "x".repeat(60_000);
    let event = format!(r#"{{"event":"noise","env":["A={long}"]}}"#);
    // As many as the sockets between hold, and more.
    for _ in 0..400 {
        assert_eq!(post(&mut client, "Emit", &event).0, 200);
    }
    assert_eq!(post(&mut client, "Emit", r#"{"event":"last"}"#).0, 200);
    let (mut seen, mut lost) = (None, 0);
    loop {
        let text = String::from_utf8(stream.read_until(b"\n\n")).unwrap();
        let data = text.lines().find_map(|line| line.strip_prefix("data: "));
        let Some(data) = data else {
            // It is quiet: what was to be the last was lost too, which only a later one tells.
            assert_eq!(post(&mut client, "Emit", r#"{"event":"last"}"#).0, 200);
            continue;
        };
        let told: serde_json::Value = serde_json::from_str(data).unwrap();
        let (sequence, missed) = (told["sequence"].as_u64().unwrap(), told["missed"].as_u64());
        let missed = missed.unwrap_or(0);
        if let Some(seen) = seen {
            assert_eq!(sequence, seen + missed + 1, "neither told nor counted as lost");
        }
        (seen, lost) = (Some(sequence), lost + missed);
        if told["event"]["name"] == "last" {
            break;
        }
    }
    assert!(lost > 0);
}
