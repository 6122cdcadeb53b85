//! Tokens: made, shown, listed, revoked; what they give and what they leave behind.

use crate::world::{until, Client, World};
use crate::WEB;
use std::process::Command;

/// Runs `upright` against the world's Upright; returns its exit code, output and errors.
fn upright(world: &World, arguments: &[&str]) -> (i32, String, String) {
    let program =
        std::path::Path::new(env!("CARGO_BIN_EXE_upright-http")).with_file_name("upright");
    let ran = Command::new(program)
        .args(arguments)
        .env("UPRIGHT_SOCKET", world.control())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (ran.status.code().unwrap_or(-1), text(ran.stdout), text(ran.stderr))
}

fn made(world: &World, arguments: &[&str]) -> String {
    let (code, token, said) = upright(world, &[&["token-create"], arguments].concat());
    assert_eq!(code, 0, "{said}");
    token.trim().to_owned()
}

/// Asks at a path with an `Authorization`; returns the status and the text.
fn ask(world: &World, authorization: &str, method: &str, path: &str, body: &str) -> (u16, String) {
    let mut client = Client::new(&world.socket());
    client.send(&format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    let (status, _, text) = client.answer();
    (status, text)
}

const DB: (&str, &str) = ("db", "exec sleep 1000\n");

#[test]
fn a_token_gives_its_role_over_its_jobs_until_it_is_revoked_and_nothing_knows_it() {
    let servers = "[unix_http_server]\nfile = %(here)s/s.sock\nusername = al\npassword = sekrit\n";
    let Some(world) = World::with(&[WEB, DB], servers) else { return };
    let operator = made(&world, &["--role", "operate", "--expires", "1d", "ci", "web*"]);
    let looker = made(&world, &["--role=look", "eyes", "*"]);
    let bearer = |token: &str| format!("Bearer {token}");
    let basic = engine::text::base64_encode(format!("any:{operator}").as_bytes());
    for (authorization, path, status) in [
        (bearer(&looker), "/api/Status?job=db", 200),
        (format!("Basic {basic}"), "/api/Status?job=db", 200),
        (bearer(&operator[..operator.len() - 1]), "/api/Status?job=db", 401),
        (bearer("upt_"), "/api/Status?job=db", 401),
        (bearer("sekrit"), "/api/Status?job=db", 401),
        (bearer(&operator), "/api/Settings?job=web", 200),
        (bearer(&operator), "/api/Settings?job=db", 403),
        (bearer(&looker), "/api/Settings?job=db", 200),
        (bearer(&looker), "/api/ListEnv", 403),
        (bearer(&looker), "/api/ListTokens", 403),
    ] {
        let (got, text) = ask(&world, &authorization, "GET", path, "");
        assert_eq!(got, status, "{path}: {text}");
    }
    // Where a log is belongs to the jobs that may be looked at.
    for (token, job, told) in
        [(&operator, "web", true), (&operator, "db", false), (&looker, "db", true)]
    {
        let path = format!("/api/Programs?job={job}");
        let (status, text) = ask(&world, &bearer(token), "GET", &path, "");
        assert_eq!((status, text.contains("\"stdout_log\"")), (200, told), "{text}");
    }
    let post = |token: &str, method: &str, body: &str| {
        ask(&world, &bearer(token), "POST", &format!("/api/{method}"), body)
    };
    assert_eq!(post(&operator, "Start", r#"{"job":"web"}"#).0, 200);
    let (status, text) = post(&operator, "Start", r#"{"job":"db"}"#);
    assert_eq!(status, 403, "{text}");
    assert!(text.contains("you came with the token ci and it does not give `operate' over db"));
    let (status, text) = post(&looker, "Restart", r#"{"job":"web"}"#);
    assert!(status == 403 && text.contains("does not give `operate' over web"), "{text}");
    let listed = upright(&world, &["token-list"]).1;
    assert!(listed.starts_with("ci: operate web*, until ") && listed.contains("\neyes: look *,"));
    let stranger = made(&world, &["--role=operate", "late", "db"]);
    world.kill("upright-daemon");
    assert_eq!(post(&stranger, "Start", r#"{"job":"db"}"#).0, 200, "the next daemon knows it");
    assert_eq!(upright(&world, &["token-revoke", "ci"]).0, 0);
    assert_eq!(post(&operator, "Restart", r#"{"job":"web"}"#).0, 401);
    let (code, _, said) = upright(&world, &["token-revoke", "ci"]);
    assert!(code == 1 && said.contains("there is no such token"), "{said}");
    let audit = || std::fs::read_to_string(world.folder.join("audit")).unwrap_or_default();
    for words in [
        &["token=ci", "command=Start", "job=web", "client=uid:", "result=done"][..],
        &["token=ci", "command=Start", "job=db", "result=denied"],
        &["server=unix_http_server", "client=uid:", "result=denied", "there is no such token"],
        &["command=CreateToken", "name=eyes", "role=look", "jobs=\"*\"", "result=done"],
        &["command=RevokeToken", "name=ci", "result=done"],
    ] {
        until(&format!("a line with {words:?}"), || {
            audit().lines().any(|line| words.iter().all(|word| line.contains(word)))
        });
    }
    // What it says, writes and keeps has digests at most.
    let kept = std::fs::read(world.folder.join("state/tokens")).unwrap();
    let said = std::fs::read(world.folder.join("said")).unwrap();
    for text in [kept, said, audit().into_bytes()] {
        let text = String::from_utf8_lossy(&text).into_owned();
        for token in [&operator, &looker, &stranger] {
            assert!(!text.contains(&token[4..]), "{text}");
        }
    }
}

#[test]
fn a_token_gives_no_more_than_the_server_that_it_is_shown_to() {
    let servers = "[unix_http_server]\nfile = %(here)s/s.sock\naccess = read-only\n";
    let Some(world) = World::with(&[WEB], servers) else { return };
    let token = made(&world, &["--role=administer", "--expires=never", "all", "*"]);
    let ask = |method: &str, path: &str, body: &str| {
        ask(&world, &format!("Bearer {token}"), method, path, body)
    };
    assert_eq!(ask("GET", "/api/Status?job=web", "").0, 200);
    let (status, text) = ask("POST", "/api/Stop", r#"{"job":"web"}"#);
    assert!(status == 403 && text.contains("access = read-only"), "{text}");
    let (status, text) = ask("POST", "/api/SetLogPriority", r#"{"priority":"debug"}"#);
    assert!(status == 403 && text.contains("no server changes Upright itself"), "{text}");
}

/// Opens a stream with a token; nothing where the token has ended by now.
fn stream(world: &World, token: &str, path: &str) -> Option<Client> {
    let mut client = Client::new(&world.socket());
    client
        .send(&format!("GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"));
    let head = client.read_until(b"\r\n\r\n");
    let head = String::from_utf8_lossy(&head).into_owned();
    assert!(head.starts_with("HTTP/1.1 200 ") || head.starts_with("HTTP/1.1 401 "), "{head}");
    head.starts_with("HTTP/1.1 200 ").then_some(client)
}

#[track_caller]
fn ends_with(client: &mut Client, words: &str) {
    let text = client.read_until(b"\r\n0\r\n\r\n");
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(text.ends_with("\r\n0\r\n\r\n") && text.contains(words), "{words}: {text}");
}

#[test]
fn a_stream_ends_with_a_last_word_once_its_token_is_revoked_or_has_ended() {
    let servers = "[unix_http_server]\nfile = %(here)s/s.sock\nusername = al\npassword = sekrit\n";
    let talk = ("talk", "exec sh -c 'echo hello; exec sleep 1000'\n");
    let Some(world) = World::with(&[talk], servers) else { return };
    world.upright(&["start", "talk"]);
    until("it has written", || world.upright(&["log", "talk"]) == "hello\n");
    let told = "event: end\ndata: {\"error\":\"org.upright.control.NotPermitted\"";
    let shown = "==> You do not have permission ";
    let token = made(&world, &["--role=look", "eyes", "*"]);
    let mut events = stream(&world, &token, "/events").expect("the token holds");
    let mut log = stream(&world, &token, "/logtail/talk").expect("the token holds");
    log.read_until(b"hello\n");
    assert_eq!(upright(&world, &["token-revoke", "eyes"]).0, 0);
    ends_with(&mut events, told);
    ends_with(&mut log, shown);
    // A machine that stands still for a while may let it end before it is shown.
    for (name, lifetime) in [("a", "3s"), ("b", "15s"), ("c", "45s")] {
        let expires = format!("--expires={lifetime}");
        let token = made(&world, &["--role=look", &expires, name, "*"]);
        let Some(mut events) = stream(&world, &token, "/events") else { continue };
        let Some(mut log) = stream(&world, &token, "/logtail/talk") else { continue };
        ends_with(&mut events, told);
        ends_with(&mut log, shown);
        return;
    }
    panic!("every token had ended before it was shown");
}
