//! The web page in a browser: every action, with the script and without.

use crate::chromium::Browser;
use crate::world::{until, Client, World};
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpListener;

const WEB: (&str, &str) = (
    "web",
    "description \"the site\"\nstart on started db\nstop on stopping db\nrespawn\n\
     exec sh -c 'echo serving; exec sleep 1000'\n",
);
const DB: (&str, &str) = ("db", "respawn\nexec sh -c 'echo ready; exec sleep 1000'\n");
const MAILER: (&str, &str) = ("mailer", "start on started web or deploy\nexec /no/such/program\n");
const SCHEMA: (&str, &str) =
    ("migrate-the-database-schema", "start on (filesystem and net-up) or never\ntask\nexec true\n");
const SLOW: (&str, &str) = ("slow", "pre-start exec sleep 1000\nexec sleep 1000\n");
const TTY: (&str, &str) = ("getty", "instance $TTY\nrespawn\nexec sleep 1000\n");

/// A browser before an Upright of its own; nothing where one of them cannot be had.
struct Desk {
    browser: Browser,
    client: Client,
    address: String,
    pages: Pages,
    world: World,
}

/// Whether a page shows what happens after it was sent.
#[derive(Clone, Copy, PartialEq)]
enum Pages {
    Live,
    /// Without script: it is looked at again.
    Still,
}

impl Desk {
    fn new(jobs: &[(&str, &str)]) -> Option<Desk> {
        let browser = Browser::start()?;
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let unix = "[unix_http_server]\nfile = %(here)s/s.sock\n";
        let world = World::with(jobs, &format!("{unix}[inet_http_server]\nport = {free}\n"))?;
        until("the port is open", || std::net::TcpStream::connect(free).is_ok());
        let (client, address) = (world.client(), format!("http://{free}/"));
        Some(Desk { browser, client, address, pages: Pages::Live, world })
    }

    #[track_caller]
    fn go(&mut self, page: &str) {
        let address = format!("{}{page}", self.address);
        self.browser.go(&address);
    }

    /// Waits until a job's row shows this state.
    #[track_caller]
    fn row_is(&mut self, job: &str, state: &str) {
        let script =
            format!("document.querySelector('#row-{job} .state')?.textContent === '{state}'");
        let Desk { browser, pages, address, .. } = self;
        until(&script, || {
            let shown = browser.run(&script) == true;
            if !shown && *pages == Pages::Still {
                browser.go(address);
            }
            shown
        });
    }

    #[track_caller]
    fn said(&mut self, text: &str) {
        let script = "document.getElementById('message')?.textContent";
        self.browser.comes_to(script, &json!(text));
    }

    #[track_caller]
    fn press(&mut self, button: &str, said: &str) {
        self.browser.click(button);
        self.said(said);
    }

    #[track_caller]
    fn no_complaints(&self) {
        assert_eq!(self.browser.complaints, Vec::<String>::new());
    }
}

/// Every button once; what is said, and what the rows then show.
fn every_button(desk: &mut Desk) {
    desk.row_is("db", "stopped");
    desk.press("start-db", "Process db started");
    desk.row_is("db", "running");
    desk.row_is("web", "running");
    let pid = desk.client.of("getProcessInfo", "db").member("pid").cloned();
    desk.press("restart-db", "Process db restarted");
    assert_ne!(desk.client.of("getProcessInfo", "db").member("pid").cloned(), pid);
    desk.press("clearlog-db", "Log for db cleared");
    desk.press("stop-web", "Process web stopped");
    desk.row_is("web", "stopped");
    desk.press("startall", "All started");
    desk.row_is("web", "running");
    desk.press("restartall", "All restarted");
    desk.row_is("web", "running");
    desk.press("stopall", "All stopped");
    desk.row_is("db", "stopped");
    desk.row_is("web", "stopped");
}

#[test]
fn every_button_works_without_leaving_the_page() {
    let Some(mut desk) = Desk::new(&[WEB, DB]) else { return };
    desk.go("");
    desk.browser.run("window.stays = true");
    every_button(&mut desk);
    assert_eq!(desk.browser.run("window.stays"), true);
    desk.browser.click("refresh");
    desk.browser.until("window.stays === undefined && document.readyState === 'complete'");
    desk.row_is("db", "stopped");
    desk.no_complaints();
}

#[test]
fn every_button_works_without_script() {
    let Some(mut desk) = Desk::new(&[WEB, DB]) else { return };
    desk.browser.ask("Emulation.setScriptExecutionDisabled", json!({ "value": true }));
    desk.pages = Pages::Still;
    desk.go("");
    assert_eq!(desk.browser.run("document.getElementById('live').textContent"), "");
    every_button(&mut desk);
    desk.browser.click("refresh");
    desk.said("");
    desk.row_is("db", "stopped");
    desk.no_complaints();
}

#[test]
fn what_happens_elsewhere_is_seen_without_reloading() {
    let Some(mut desk) = Desk::new(&[WEB, DB]) else { return };
    let live = "document.getElementById('live').textContent === 'live'";
    desk.go("");
    desk.browser.run("window.stays = true; document.getElementById('start-db').focus()");
    desk.browser.until(live);
    desk.client.of("startProcess", "db");
    desk.row_is("web", "running");
    desk.row_is("db", "running");
    desk.client.of("stopProcess", "db");
    desk.row_is("db", "stopped");
    desk.world.kill("daemon");
    desk.client.of("startProcess", "db");
    desk.row_is("db", "running");
    assert_eq!(desk.browser.run("window.stays"), true);

    desk.go("events.html");
    desk.browser.until(live);
    let length = "document.querySelectorAll('#timeline tr').length";
    let before = desk.browser.run(length).as_u64().unwrap();
    desk.client.of("stopProcess", "db");
    desk.browser.until(&format!("{length} > {before}"));
    let first = "document.querySelector('#timeline tr').textContent.includes('stop')";
    desk.browser.until(first);

    desk.go("graph.html");
    desk.browser.until(live);
    let shape = "document.querySelector('a[href$=\"processname=db\"] rect').classList";
    desk.browser.until(&format!("{shape}.contains('failed') || {shape}.contains('rest')"));
    desk.client.of("startProcess", "db");
    desk.browser.until(&format!("{shape}.contains('running')"));

    desk.go("job.html?processname=db");
    desk.browser.until(live);
    desk.press("stop-db", "Process db stopped");
    desk.browser.until("document.querySelector('.now .state').textContent === 'stopped'");
    desk.browser.until("document.getElementById('job').textContent.includes('goal stop')");
    desk.no_complaints();
}

#[test]
fn a_log_goes_on_by_itself() {
    let Some(mut desk) = Desk::new(&[WEB, DB]) else { return };
    desk.client.of("startProcess", "db");
    desk.go("tail.html?processname=db");
    let log = "document.getElementById('log').textContent";
    desk.browser.until(&format!("{log} === 'ready\\n'"));
    desk.client.of("stopProcess", "db");
    desk.client.of("startProcess", "db");
    desk.browser.until(&format!("{log} === 'ready\\nready\\n'"));
    desk.no_complaints();
}

#[test]
fn by_keyboard_one_gets_everywhere_and_sees_where_one_is() {
    let Some(mut desk) = Desk::new(&[DB]) else { return };
    desk.go("");
    let mut names = Vec::new();
    for _ in 0..11 {
        desk.browser.key("Tab", 9);
        let name = desk.browser.run("document.activeElement.textContent");
        names.push(name.as_str().unwrap_or_default().to_owned());
        let outline = "getComputedStyle(document.activeElement).outlineStyle";
        assert_eq!(desk.browser.run(outline), "solid", "{names:?}");
    }
    assert_eq!(
        names,
        [
            "Skip to the content",
            "supervisor",
            "Jobs",
            "Events",
            "Graph",
            "Refresh",
            "Start all",
            "Restart all",
            "Stop all",
            "db",
            "Start",
        ]
    );
    desk.browser.key("Enter", 13);
    desk.said("Process db started");
    desk.row_is("db", "running");
    for (what, wanted) in [
        ("document.documentElement.lang", "en"),
        ("document.querySelectorAll('main').length + ''", "1"),
        ("document.querySelector('nav').getAttribute('aria-label')", "Pages"),
        ("document.querySelector('[aria-current]').textContent", "Jobs"),
        ("document.getElementById('stop-db').getAttribute('aria-label')", "Stop db"),
    ] {
        assert_eq!(desk.browser.run(what), wanted, "{what}");
    }
    desk.no_complaints();
}

#[test]
fn a_page_of_another_site_cannot_press_a_button() {
    let Some(mut desk) = Desk::new(&[DB]) else { return };
    // Even one that knows the token.
    let token = "document.querySelector('[name=token]').value";
    desk.go("");
    let token = desk.browser.run(token).as_str().unwrap().to_owned();
    let target = desk.address.clone();
    let page = format!(
        "<!doctype html><title>evil</title><form method=post action=\"{target}index.html\">\
         <input name=token value={token}><input name=action value=start>\
         <input name=processname value=db></form><img src=\"{target}index.html?action=start&processname=db\">"
    );
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().take(20) {
            let Ok(mut stream) = stream else { return };
            let mut bytes = [0; 4096];
            let _ = stream.read(&mut bytes);
            let length = page.len();
            let head = format!(
                "HTTP/1.0 200 OK\r\nContent-Type: text/html\r\nContent-Length: {length}\r\n\r\n"
            );
            let _ = stream.write_all((head + &page).as_bytes());
        }
    });
    desk.browser.go(&format!("http://{place}/"));
    // Neither by a form that leads here, nor by what a script sends.
    let body = format!("'token={token}&action=start&processname=db'");
    let sent = desk.browser.run(&format!(
        "fetch('{target}index.html', {{ method: 'POST', mode: 'no-cors', body: new URLSearchParams({body}) }})\
         .then(() => 'sent')"
    ));
    assert_eq!(sent, "sent");
    let call = xmlrpc::write::call("supervisor.startProcess", &["db".into()]);
    let sent = desk.browser.run(&format!(
        "fetch('{target}RPC2', {{ method: 'POST', mode: 'no-cors', body: {} }}).then(() => 'sent')",
        json!(call)
    ));
    assert_eq!(sent, "sent");
    desk.browser.run("window.leaving = true; document.forms[0].submit()");
    desk.browser.until("!window.leaving && document.body.textContent.includes('403')");
    assert_eq!(desk.client.state("db"), "STOPPED");
    desk.go("");
    desk.press("start-db", "Process db started");
}

/// Shows every page on a phone and on a desk, light and dark: nothing may stick out. With
/// `UPRIGHT_SCREENSHOTS` the pictures are there to be looked at.
#[test]
fn no_page_is_wider_than_the_window_on_a_phone_or_on_a_desk() {
    let Some(mut desk) = Desk::new(&[WEB, DB, MAILER, SCHEMA, SLOW, TTY]) else { return };
    desk.client.of("startProcess", "db");
    let start = "{\"job\":\"getty\",\"env\":[\"TTY=tty1\"]}";
    crate::web::post(&mut desk.client, "Start", start);
    crate::web::post(&mut desk.client, "Start", "{\"job\":\"slow\",\"wait\":false}");
    until("the mailer has failed", || desk.client.state("mailer") != "STOPPED");
    for (size, width, height) in [("phone", 390, 844), ("desk", 1280, 800)] {
        for scheme in ["light", "dark"] {
            desk.browser.show(width, height, scheme);
            for (name, page) in [
                ("jobs", ""),
                ("job", "job.html?processname=web"),
                ("failed", "job.html?processname=mailer"),
                ("log", "tail.html?processname=web"),
                ("events", "events.html"),
                ("graph", "graph.html"),
                ("missing", "job.html?processname=nosuch"),
            ] {
                desk.go(page);
                let wide = "document.documentElement.scrollWidth <= innerWidth";
                let what = format!("{name}-{size}-{scheme}");
                desk.browser.picture(&what);
                assert_eq!(desk.browser.run(wide), true, "{what}");
            }
        }
    }
}
