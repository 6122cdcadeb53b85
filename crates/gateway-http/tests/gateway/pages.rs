//! The web page, as a browser without script uses it.

use crate::world::{until, Client, World};
use crate::{BAD, PAIR, WEB};

/// Asks for a page; returns it.
#[track_caller]
fn page(client: &mut Client, path: &str) -> String {
    let (status, head, body) = client.ask("GET", path, "");
    assert_eq!(status, 200, "{path}: {head}{body}");
    body
}

/// Returns the token that a page's forms have.
#[track_caller]
fn token(page: &str) -> String {
    let rest = page.split_once("name=\"token\" value=\"").unwrap().1;
    rest.split_once('"').unwrap().0.to_owned()
}

/// Presses a button; returns the status, and where it leads.
fn press(client: &mut Client, more: &str, form: &str) -> (u16, String) {
    client.send(&format!(
        "POST /index.html HTTP/1.1\r\nHost: x\r\n{more}\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    ));
    let (status, head, _) = client.answer();
    let place = head.lines().find_map(|line| line.strip_prefix("location: ").map(str::to_owned));
    (status, place.unwrap_or_default())
}

/// Presses a button of our own page; returns what is said then.
#[track_caller]
fn said(client: &mut Client, form: &str) -> String {
    let token = token(&page(client, "/"));
    let (status, place) = press(client, "", &format!("token={token}&{form}"));
    assert_eq!(status, 303, "{form}");
    let page = page(client, &format!("/{place}"));
    let message =
        page.split_once("aria-live=\"polite\">").unwrap().1.split_once("</div>").unwrap().0;
    message.to_owned()
}

#[test]
fn every_button_does_what_it_says_and_the_page_says_so() {
    let Some(world) = World::new(&[WEB, BAD, PAIR]) else { return };
    let mut client = world.client();
    let well = |text: &str| format!("<p class=\"well\">{text}</p>");
    assert_eq!(said(&mut client, "action=start&processname=web"), well("Process web started"));
    assert_eq!(client.state("web"), "RUNNING");
    let pid = client.of("getProcessInfo", "web").member("pid").cloned();
    assert_eq!(said(&mut client, "action=restart&processname=web"), well("Process web restarted"));
    assert_ne!(client.of("getProcessInfo", "web").member("pid").cloned(), pid);
    let log = |client: &mut Client| page(client, "/tail.html?processname=web");
    until("both runs have written", || log(&mut client).contains("hello\nhello\n</pre>"));
    assert_eq!(said(&mut client, "action=clearlog&processname=web"), well("Log for web cleared"));
    assert!(log(&mut client).contains("No file for web, or nothing in it"));
    assert_eq!(said(&mut client, "action=stop&processname=web"), well("Process web stopped"));
    assert_eq!(client.state("web"), "STOPPED");
    assert_eq!(said(&mut client, "action=startall"), well("All started"));
    assert_eq!(client.state("web"), "RUNNING");
    assert_eq!(said(&mut client, "action=restartall"), well("All restarted"));
    assert_eq!(said(&mut client, "action=stopall"), well("All stopped"));
    assert_eq!(client.state("web"), "STOPPED");
    assert_eq!(said(&mut client, "action=stopall"), well("Nothing was there to be stopped"));
    assert_eq!(said(&mut client, "action=refresh"), well("Page refreshed"));

    let badly = said(&mut client, "action=start&processname=bad");
    assert!(badly.starts_with("<p class=\"badly\">ERROR: Process bad: "), "{badly}");
    let badly = said(&mut client, "action=start&processname=%3Cb%3E");
    assert_eq!(badly, "<p class=\"badly\">ERROR: No such process named &lt;b&gt;</p>");
    let form = format!(
        "token={}&action=start&processname=web&back=job.html",
        token(&page(&mut client, "/"))
    );
    let (_, place) = press(&mut client, "", &form);
    assert!(place.starts_with("job.html?processname=web&said="), "{place}");
    assert!(page(&mut client, &format!("/{place}")).contains("Process web started"));
}

#[test]
fn nothing_is_done_by_a_link_without_the_token_or_for_another_site() {
    let Some(world) = World::new(&[WEB]) else { return };
    let mut client = world.client();
    let shown = page(&mut client, "/index.html?action=start&processname=web");
    assert!(shown.contains("a link does not act here"), "{shown}");
    let token = token(&shown);
    let form = "action=start&processname=web";
    let right = format!("token={token}&{form}");
    assert_eq!(press(&mut client, "", form).0, 403);
    assert_eq!(press(&mut client, "", &format!("token=0{token}&{form}")).0, 403);
    assert_eq!(press(&mut client, "", &format!("token=&{form}")).0, 403);
    for more in
        ["Origin: http://evil.example\r\n", "Origin: null\r\n", "Sec-Fetch-Site: same-site\r\n"]
    {
        assert_eq!(press(&mut client, more, &right).0, 403, "{more}");
    }
    assert_eq!(press(&mut client, "", &format!("token={token}&action=nosuch")).0, 400);
    assert_eq!(client.ask("PUT", "/index.html", "").0, 405);
    assert_eq!(client.ask("POST", "/job.html", "").0, 405);
    assert_eq!(client.state("web"), "STOPPED");
    let ours = "Origin: http://x\r\nSec-Fetch-Site: same-origin\r\n";
    assert_eq!(press(&mut client, ours, &right).0, 303);
    assert_eq!(client.state("web"), "RUNNING");
}

#[test]
fn every_page_is_there_and_lets_nothing_foreign_in() {
    let Some(world) = World::new(&[WEB, BAD, PAIR]) else { return };
    let mut client = world.client();
    client.of("startProcess", "web");
    client.refused("startProcess", &["bad".into()]);
    for (path, part) in [
        ("/", " href=\"job.html?processname=bad\">bad</a>"),
        ("/index.html", "<caption class=\"aside\">All jobs and programs</caption>"),
        ("/job.html?processname=bad", "unable to execute: No such file or directory"),
        ("/job.html?processname=web", "<svg "),
        ("/events.html", "job web start/running"),
        ("/graph.html", "<a href=\"job.html?processname=web\">"),
        ("/tail.html?processname=web&limit=5", "data-follow=\"logtail/web/stdout\""),
    ] {
        let (status, head, body) = client.ask("GET", path, "");
        assert!(status == 200 && body.contains(part), "{path}: {body}");
        for header in [
            "content-security-policy: default-src 'none'; style-src 'self'; script-src 'self';",
            "x-content-type-options: nosniff",
            "x-frame-options: DENY",
            "cache-control: no-store",
        ] {
            assert!(head.contains(header), "{path}: {header}: {head}");
        }
        // Each script is a file of ours, and no style stands in a page.
        assert_eq!(body.matches("<script").count(), 1, "{path}");
        assert!(!body.contains(" style=") && !body.contains(" onclick"), "{path}");
    }
    for (path, kind) in [
        ("/style.css", "text/css"),
        ("/script.js", "text/javascript"),
        ("/icon.svg", "image/svg+xml"),
        ("/stylesheets/supervisor.css", "text/css"),
        ("/ok.html", "text/plain"),
    ] {
        let (status, head, _) = client.ask("GET", path, "");
        assert!(status == 200 && head.contains(&format!("content-type: {kind}")), "{path}: {head}");
    }
    assert!(page(&mut client, "/tail.html").contains("No process name found"));
    for path in ["/tail.html?processname=no", "/job.html?processname=no", "/no.html"] {
        assert_eq!(client.ask("GET", path, "").0, 404, "{path}");
    }
}

#[test]
fn a_log_is_followed_from_the_byte_where_the_page_ended() {
    let Some(world) = World::new(&[WEB]) else { return };
    let mut client = world.client();
    client.of("startProcess", "web");
    let read = |from: &str| {
        let mut stream = world.client();
        stream.send(&format!("GET /logtail/web/stdout?from={from} HTTP/1.1\r\nHost: x\r\n\r\n"));
        stream
    };
    until("it has written", || {
        page(&mut client, "/tail.html?processname=web").contains("data-from=\"6\"")
    });
    let text = String::from_utf8(read("2").read_until(b"lo\n")).unwrap();
    assert!(!text.contains("hello"), "{text}");
    read("1000").read_until(b"hello\n");
    read("none").read_until(b"hello\n");
}

#[test]
fn who_may_only_look_is_told_so_by_the_page() {
    let servers = "[unix_http_server]\nfile = %(here)s/s.sock\naccess = read-only\n";
    let Some(world) = World::with(&[WEB], servers) else { return };
    let mut client = world.client();
    let badly = said(&mut client, "action=start&processname=web");
    assert!(
        badly.contains("class=\"badly\"") && badly.contains("permission to start jobs"),
        "{badly}"
    );
    assert!(badly.contains("access = read-only"), "{badly}");
}
