//! What is not a call: who may ask, what is bounded, what sockets look like.

use crate::world::{until, Client, World};
use crate::WEB;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Command;

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
        ("GET", "/logtail/%zz", "", 400),
        ("GET", "/mainlogtail", "", 404),
        ("GET", "/nosuch", "", 404),
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
    let Some(mut world) = World::new(&[WEB]) else { return };
    let folder = world.folder.clone();
    let secret = folder.join("secret").display().to_string();
    // Of `sekrit`.
    std::fs::write(&secret, "{SHA}8d42e738c7adee551324955458b5e2c0b49ee655\n").unwrap();
    let socket = folder.join("g.sock").display().to_string();
    world.gateway(&["--unix", &socket, "--username", "bob", "--password-file", &secret]);
    for (login, status) in [
        (None, 401),
        (Some("Ym9iOndyb25n"), 401), // bob:wrong
        (Some("Ym9iOnNla3JpdA=="), 404),
    ] {
        let mut client = Client::new(&socket);
        client.authorization = login.map(|login| format!("Basic {login}"));
        let (got, head, _) = client.ask("GET", "/nosuch", "");
        assert_eq!(got, status);
        let asks = head.contains("www-authenticate: Basic realm=\"default\"");
        assert_eq!(asks, status == 401, "{head}");
    }
}

#[test]
fn a_socket_has_its_mode_replaces_what_is_stale_and_nothing_else() {
    let Some(mut world) = World::new(&[WEB]) else { return };
    let mode = |path: &str| std::fs::metadata(path).unwrap().mode() & 0o7777;
    assert_eq!(mode(&world.socket()), 0o700);
    let path = world.folder.join("stale.sock").display().to_string();
    drop(UnixListener::bind(&path).unwrap());
    assert!(UnixStream::connect(&path).is_err());
    world.gateway(&["--unix", &path, "--chmod", "0770"]);
    assert_eq!(mode(&path), 0o770);
    let file = world.folder.join("file").display().to_string();
    std::fs::write(&file, "precious").unwrap();
    for (place, wanted) in [(&file, "no socket"), (&path, "somebody listens")] {
        let ran = Command::new(env!("CARGO_BIN_EXE_upright-http")).args(["--unix", place]).output();
        let ran = ran.unwrap();
        let said = String::from_utf8(ran.stderr).unwrap();
        assert!(!ran.status.success() && said.contains(wanted), "{said}");
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious");
    assert!(std::fs::metadata(&path).unwrap().file_type().is_socket());
}

#[test]
fn a_port_is_served_too() {
    let Some(mut world) = World::new(&[WEB]) else { return };
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    world.gateway(&["--inet", &free.to_string()]);
    until("the port is open", || TcpStream::connect(free).is_ok());
    let mut stream = TcpStream::connect(free).unwrap();
    let request = "GET /nosuch HTTP/1.0\r\n\r\n";
    std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut stream, &mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.0 404 Not Found\r\n"), "{answer}");
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
fn a_gateway_of_another_user_may_look_and_nothing_else() {
    if sys::peer::own_uid() != 0 {
        println!("passed over: only root can run a gateway as somebody else");
        return;
    }
    let Some(mut world) = World::new(&[WEB]) else { return };
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    // Somebody who may reach the control socket.
    for folder in ["", "run", "run/upright"] {
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(world.folder.join(folder), open).unwrap();
    }
    let control: std::fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    std::fs::set_permissions(world.control(), control).unwrap();
    world.gateway_as(23456, &["--inet", &free.to_string()]);
    until("the port is open", || TcpStream::connect(free).is_ok());
    let ask = |method: &str| {
        let body = xmlrpc::write::call(method, &["web".into()]);
        let mut stream = TcpStream::connect(free).unwrap();
        let head = format!("POST /RPC2 HTTP/1.0\r\nContent-Length: {}\r\n\r\n", body.len());
        std::io::Write::write_all(&mut stream, (head + &body).as_bytes()).unwrap();
        let mut answer = String::new();
        std::io::Read::read_to_string(&mut stream, &mut answer).unwrap();
        xmlrpc::read::answer(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    };
    assert!(ask("supervisor.getProcessInfo").is_ok());
    let refused = ask("supervisor.startProcess").unwrap_err();
    assert!(refused.text.contains("permission to start jobs"), "{}", refused.text);
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
    let Some(mut world) = World::new(&[WEB]) else { return };
    let secret = world.folder.join("secret").display().to_string();
    std::fs::write(&secret, "sekrit\n").unwrap();
    let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (open, closed) = (free(), free());
    world.gateway(&["--inet", &open.to_string()]);
    let guarded = ["--inet", &closed.to_string(), "--username", "bob", "--password-file", &secret];
    world.gateway(&guarded);
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
