//! What is done by buttons. Nothing is done by a link.

use crate::acts::{self, Wait};
use crate::call::Gateway;
use crate::instances::{self, Instance};
use crate::logs;
use crate::serve::{whole_body, Page};
use crate::web::pages::html::Html;
use crate::web::pages::{mistake, named, process};
use crate::web::query::{escaped, Query};
use engine::control::call::{Call, Listed};
use engine::control::{Request as Asked, Target};
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::{Request, Response, StatusCode};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::Read;
use std::rc::Rc;
use xmlrpc::{Code, Value};

/// How many messages are kept until the page that shows them is asked for.
const MESSAGES_MAX: usize = 64;

/// How many random bytes a token has.
const TOKEN: usize = 16;

/// What is said of what was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// How it went.
    pub tone: Tone,
    /// In words.
    pub text: String,
}

/// How something went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// As it should.
    Well,
    /// Not so.
    Badly,
}

/// What can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Refresh,
    StartAll,
    RestartAll,
    StopAll,
    Start,
    Stop,
    Restart,
    Clear,
}

/// Every act with its name in forms. Source: Supervisor 4.3.0, web.py; `startall` is ours.
const ACTS: &[(&str, Act)] = &[
    ("refresh", Act::Refresh),
    ("startall", Act::StartAll),
    ("restartall", Act::RestartAll),
    ("stopall", Act::StopAll),
    ("start", Act::Start),
    ("stop", Act::Stop),
    ("restart", Act::Restart),
    ("clearlog", Act::Clear),
];

/// What is kept from one form to the next.
pub struct Forms {
    /// What a form has to have: only our own pages know it. Nothing where no chance could be had.
    token: Option<String>,
    said: RefCell<VecDeque<(u64, Message)>>,
}

impl Default for Forms {
    fn default() -> Forms {
        Forms { token: random().ok(), said: RefCell::default() }
    }
}

fn random() -> std::io::Result<String> {
    let mut bytes = [0; TOKEN];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

impl Forms {
    /// Returns the token for a form.
    pub fn token(&self) -> &str {
        self.token.as_deref().unwrap_or_default()
    }

    /// Keeps a message; returns its number.
    fn say(&self, message: Message) -> u64 {
        let mut said = self.said.borrow_mut();
        let number = said.back().map_or(1, |(last, _)| last + 1);
        said.push_back((number, message));
        if said.len() > MESSAGES_MAX {
            said.pop_front();
        }
        number
    }

    /// Returns what was said under a number. A text in the address itself would be anybody's.
    pub fn said(&self, query: &Query) -> Option<Message> {
        let number: u64 = query.value("said")?.parse().ok()?;
        let said = self.said.borrow();
        said.iter().find(|row| row.0 == number).map(|row| row.1.clone())
    }
}

/// Adds the buttons of one instance; `back` is the page to come back to, where it is not the list.
pub fn buttons(html: &mut Html, instance: &Instance, token: &str, back: &str) {
    use engine::view::ProgramState as State;
    let offered: &[(&str, &str)] = match instance.state() {
        State::Running => &[("restart", "Restart"), ("stop", "Stop")],
        State::Starting | State::Backoff => &[("stop", "Stop")],
        State::Stopped | State::Exited | State::Fatal => &[("start", "Start")],
        State::Stopping | State::Unknown => &[],
    };
    let name = instance.name.as_str();
    html.within("form", &[("method", "post"), ("action", "index.html")], |html| {
        for (field, value) in [("token", token), ("processname", name), ("back", back)] {
            if !value.is_empty() {
                html.begin("input", &[("type", "hidden"), ("name", field), ("value", value)]);
            }
        }
        for (act, words) in offered.iter().chain(&[("clearlog", "Clear log")]) {
            let (id, label) =
                (format!("{act} {name}").replace(' ', "-"), format!("{words} {name}"));
            let attributes =
                [("id", id.as_str()), ("name", "action"), ("value", act), ("aria-label", &label)];
            html.element("button", &attributes, words);
        }
    });
}

/// Does what a form says, then leads to a page that says how it went.
pub async fn submit(
    gateway: &Rc<Gateway>,
    request: Request<Incoming>,
) -> Result<Response<Page>, StatusCode> {
    let body = whole_body(request).await?;
    let form = Query::read(&String::from_utf8_lossy(&body));
    let forms = &gateway.web.forms;
    if forms.token.is_none() || form.value("token") != forms.token.as_deref() {
        let why =
            "Nothing was done: the page that the button is on was made by an earlier run of this \
                   server, or by somebody else. Load it again, then press the button.";
        return Ok(mistake(gateway, StatusCode::FORBIDDEN, "Not done", why));
    }
    let act = form.value("action").unwrap_or_default();
    let Some((_, act)) = ACTS.iter().find(|row| row.0 == act) else {
        return Err(StatusCode::BAD_REQUEST);
    };
    let name = form.value("processname").unwrap_or_default();
    let message = done(gateway, *act, name).await;
    let number = forms.say(message);
    let back = match form.value("back") {
        Some("job.html") => format!("job.html?processname={}&said={number}", escaped(name)),
        Some(_) | None => format!("index.html?said={number}"),
    };
    let mut response = Response::new(Page::from(String::new()));
    *response.status_mut() = StatusCode::SEE_OTHER;
    let back = HeaderValue::from_str(&back).map_err(|_| StatusCode::BAD_REQUEST)?;
    response.headers_mut().insert(header::LOCATION, back);
    Ok(response)
}

async fn done(gateway: &Rc<Gateway>, act: Act, name: &str) -> Message {
    let told = match act {
        Act::Refresh => Ok("Page refreshed".to_owned()),
        Act::StartAll => {
            all(acts::start_all(gateway, Wait::Settled).await, Code::AlreadyStarted, "started")
        }
        Act::StopAll => {
            all(acts::stop_all(gateway, Wait::Settled).await, Code::NotRunning, "stopped")
        }
        Act::RestartAll => {
            match all(acts::stop_all(gateway, Wait::Settled).await, Code::NotRunning, "stopped") {
                Ok(_) => all(
                    acts::start_all(gateway, Wait::Settled).await,
                    Code::AlreadyStarted,
                    "restarted",
                ),
                Err(why) => Err(why),
            }
        }
        Act::Start | Act::Stop | Act::Restart | Act::Clear => one(gateway, act, name).await,
    };
    match told {
        Ok(text) => Message { tone: Tone::Well, text },
        Err(why) => Message { tone: Tone::Badly, text: format!("ERROR: {why}") },
    }
}

/// Does something to one. The words are those of Supervisor 4.3.0, web.py.
async fn one(gateway: &Rc<Gateway>, act: Act, name: &str) -> Result<String, String> {
    let control = &gateway.control;
    let found = instances::all(control, Listed::Own).await.map_err(|fault| fault.to_string())?;
    let found = named(found, name).ok_or_else(|| format!("No such process named {name}"))?;
    let target: Target = found.target();
    let (asked, words) = match act {
        Act::Start => (Asked::Start(target, Wait::Settled), "started"),
        Act::Stop => (Asked::Stop(target, Wait::Settled), "stopped"),
        Act::Restart => (Asked::Restart(target, Wait::Settled), "restarted"),
        Act::Clear | Act::Refresh | Act::StartAll | Act::RestartAll | Act::StopAll => {
            let cleared = logs::clear(control, &process(&found)).await;
            return match cleared {
                Ok(()) => Ok(format!("Log for {name} cleared")),
                Err(fault) => Err(format!("Log for {name}: {}", fault.text)),
            };
        }
    };
    match control.ask(Call::Ask(asked, None)).await {
        Ok(_) => Ok(format!("Process {name} {words}")),
        Err(fault) => Err(format!("Process {name}: {fault}")),
    }
}

/// Reads what is said of many: those that failed are named. What another of them has brought about already
/// is no failure.
fn all(told: Result<Value, xmlrpc::Fault>, needless: Code, words: &str) -> Result<String, String> {
    let results = told.map_err(|fault| fault.text)?;
    let text = |row: &Value, name: &str| {
        row.member(name).and_then(Value::text).unwrap_or_default().to_owned()
    };
    let results = results.list().unwrap_or_default();
    let failed = results.iter().filter(|row| {
        let status = row.member("status").and_then(Value::int);
        status.is_some_and(|status| status != Code::Success.number() && status != needless.number())
    });
    let failed: Vec<String> = failed.map(|row| text(row, "description")).collect();
    match (failed.is_empty(), results.is_empty()) {
        (true, false) => Ok(format!("All {words}")),
        (true, true) => Ok(format!("Nothing was there to be {words}")),
        (false, _) => Err(failed.join("; ")),
    }
}
