//! What is not a call: who may ask, what is bounded, what sockets look like.

use crate::world::{until, Client, World, PATIENCE};
use crate::WEB;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixListener;
use std::path::Path;

#[test]
fn each_mistake_has_its_status_and_the_connection_stays() {
    let Some(world) = World::new(&[WEB]) else { return };
    let mut client = world.client();
    for (method, path, body, status) in [
        ("GET", "/RPC2", "", 400),
        ("POST", "/RPC2", "no xml", 400),
        ("POST", "/RPC2", "<methodCall/>", 400),
        ("POST", "/logtail/web", "", 400),
        ("GET", "/logtail/nosuch", "", 404),
        ("GET", "/logtail/%zz", "", 404),
        ("GET", "/mainlogtail", "", 404),
        ("GET", "/nosuch", "", 404),
        ("POST", "/nosuch", "", 400),
    ] {
        let (got, head, text) = client.ask(method, path, body);
        assert_eq!(got, status, "{method} {path}: {head}");
        assert!(text.contains(&format!("Error code {status}")), "{text}");
    }
    client.send("POST /RPC2 HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(client.answer().0, 411);
    let mut other = world.client();
    other.send("POST /RPC2 HTTP/1.1\r\nHost: x\r\nContent-Length: 1048577\r\n\r\n");
    assert_eq!(other.answer().0, 413);
}

#[test]
fn a_server_with_a_password_lets_in_who_knows_it() {
    // Of `sekrit`, and a password that none of argv, environment and files of the gateway has.
    let servers = "[unix_http_server]\nfile = %(here)s/s.sock\nusername = bob\n\
                   password = {SHA}8d42e738c7adee551324955458b5e2c0b49ee655\n\
                   [unix_http_server:other]\nfile = %(here)s/o.sock\nusername = al\n\
                   password = do:re:mi\n";
    let Some(world) = World::with(&[WEB], servers) else { return };
    let other = world.folder.join("o.sock").display().to_string();
    for (socket, login, status) in [
        (world.socket(), None, 401),
        (world.socket(), Some("bob:wrong"), 401),
        (world.socket(), Some("bob:sekrit"), 404),
        (world.socket(), Some("al:do:re:mi"), 401),
        (other, Some("al:do:re:mi"), 404),
    ] {
        let mut client = Client::new(&socket);
        let code = |login: &str| engine::text::base64_encode(login.as_bytes());
        client.authorization = login.map(|login| format!("Basic {}", code(login)));
        let (got, head, _) = client.ask("GET", "/nosuch", "");
        assert_eq!(got, status, "{socket} {login:?}");
        let asks = head.contains("www-authenticate: Basic realm=\"default\"");
        assert_eq!(asks, status == 401, "{head}");
    }
    let gateway = world.process("upright-http").unwrap();
    for file in ["cmdline", "environ"] {
        let bytes = std::fs::read(format!("/proc/{gateway}/{file}")).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("do:re:mi") && !text.contains("8d42e738"), "{file}: {text}");
    }
}

/// Python's client writes head and body apart, and reads no answer once it cannot write.
#[test]
fn who_is_refused_can_write_to_the_end_and_reads_why() {
    let servers = "[unix_http_server]\nfile = %(here)s/s.sock\nusername = bob\npassword = x\n";
    let Some(world) = World::with(&[WEB], servers) else { return };
    // More than a socket holds.
    let body = "x".repeat(1 << 20);
    let (status, ..) = Client::new(&world.socket()).ask("POST", "/RPC2", &body);
    assert_eq!(status, 401);
}

#[test]
fn a_socket_has_its_mode_replaces_what_is_stale_and_nothing_else() {
    let servers = "[unix_http_server]\nfile = %(here)s/s.sock\nchmod = 0770\n";
    let stale = |folder: &Path| drop(UnixListener::bind(folder.join("s.sock")).unwrap());
    let Some(world) = World::prepared(&[WEB], servers, stale) else { return };
    assert_eq!(world.client().state("web"), "STOPPED");
    assert_eq!(std::fs::metadata(world.socket()).unwrap().mode() & 0o7777, 0o770);
    assert!(world.said().contains("Unlinking stale socket"), "{}", world.said());

    let file = |folder: &Path| std::fs::write(folder.join("s.sock"), "precious").unwrap();
    let Some(world) = World::prepared(&[WEB], servers, file) else { return };
    until("it is said", || world.said().contains("which is no socket"));
    assert_eq!(std::fs::read_to_string(world.socket()).unwrap(), "precious");
    assert_eq!(world.process("upright-http"), None);
}

#[test]
fn a_port_is_served_too_and_strangers_without_a_password_are_warned_of() {
    let port = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (open, local) = (port(), port());
    let servers = format!(
        "[inet_http_server]\nport = *:{open}\naccess = read-only\n\
         [inet_http_server:local]\nport = *:{local}\naccess = local\n"
    );
    let Some(world) = World::with(&[WEB], &servers) else { return };
    let ask = |port: u16, request: &str| {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let call = |port: u16, method: &str| {
        let body = xmlrpc::write::call(method, &["web".into()]);
        let head = format!("POST /RPC2 HTTP/1.0\r\nContent-Length: {}\r\n\r\n", body.len());
        let answer = ask(port, &(head + &body));
        xmlrpc::read::answer(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    };
    let missing = ask(open, "GET /nosuch HTTP/1.0\r\n\r\n");
    assert!(missing.starts_with("HTTP/1.0 404 Not Found\r\n"), "{missing}");
    assert!(call(open, "supervisor.getProcessInfo").is_ok());
    let refused = call(open, "supervisor.startProcess").unwrap_err();
    assert!(refused.text.contains("`access = read-only'"), "{}", refused.text);
    assert!(call(local, "supervisor.startProcess").is_ok());
    let listens = |line: &str| world.said().contains(line);
    assert!(listens("[inet_http_server]: open to other machines without a password"));
    assert!(!listens("[inet_http_server:local]"), "{}", world.said());
    let shown = world.upright(&["status", "upright/http"]);
    assert!(shown.contains("open to other machines without a password"), "{shown}");
}

#[test]
fn a_crowd_garbage_and_those_who_never_finish_keep_nobody_out() {
    let Some(world) = World::new(&[WEB]) else { return };
    let mut kept = Vec::new();
    for number in 0..400 {
        let mut client = world.client();
        match number % 4 {
            0 => client.send("POST /RPC2 HTTP/1.1\r\nContent-Length: 100\r\n"),
            1 => client.send("\x16\x03\x01 what is this"),
            2 => client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\nGET"),
            _ => {}
        }
        kept.push(client);
    }
    let mut client = world.client();
    assert_eq!(client.call("supervisor.getVersion", &[]), Ok("3.0".into()));
    assert_eq!(client.state("web"), "STOPPED");
    drop(kept);
    assert_eq!(client.state("web"), "STOPPED");
}

#[test]
fn what_a_page_of_another_site_sends_is_not_done() {
    let Some(world) = World::new(&[WEB]) else { return };
    let call = xmlrpc::write::call("supervisor.startProcess", &["web".into()]);
    let post = |more: &str| {
        let mut client = world.client();
        let length = call.len();
        client.send(&format!(
            "POST /RPC2 HTTP/1.1\r\nHost: x\r\n{more}Content-Length: {length}\r\n\r\n{call}"
        ));
        client.answer().0
    };
    assert_eq!(post("Origin: http://evil.example\r\n"), 403);
    assert_eq!(post("Sec-Fetch-Site: cross-site\r\n"), 403);
    assert_eq!(world.client().state("web"), "STOPPED");
    assert_eq!(post("Origin: http://x\r\n"), 200);
    assert_eq!(world.client().state("web"), "RUNNING");
}

#[test]
fn a_name_that_was_made_to_lead_here_is_answered_only_where_a_password_is_asked_for() {
    let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (open, closed) = (free(), free());
    let servers = format!(
        "[inet_http_server]\nport = {open}\n\
         [inet_http_server:closed]\nport = {closed}\nusername = bob\npassword = sekrit\n"
    );
    let Some(_world) = World::with(&[WEB], &servers) else { return };
    let ask = |place: std::net::SocketAddr, host: &str| {
        until("the port is open", || TcpStream::connect(place).is_ok());
        let mut stream = TcpStream::connect(place).unwrap();
        let login = "Authorization: Basic Ym9iOnNla3JpdA==";
        let head = format!("GET /metrics HTTP/1.0\r\nHost: {host}\r\n{login}\r\n\r\n");
        std::io::Write::write_all(&mut stream, head.as_bytes()).unwrap();
        let mut answer = String::new();
        std::io::Read::read_to_string(&mut stream, &mut answer).unwrap();
        answer.split(' ').nth(1).unwrap().to_owned()
    };
    assert_eq!(ask(open, "evil.example"), "421");
    assert_eq!(ask(open, &open.to_string()), "200");
    assert_eq!(ask(open, "localhost"), "200");
    assert_eq!(ask(closed, "evil.example"), "200");
}
