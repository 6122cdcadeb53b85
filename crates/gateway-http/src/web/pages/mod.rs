//! The web page: what the original's does, for programs and jobs alike, and why each is as it is.
//! Everything works without the script, which only spares reloading.

pub mod forms;
mod graph;
mod html;
mod job;
mod list;
mod log;
mod timeline;

pub use graph::graph;
pub use job::job;
pub use list::list;
pub use log::log;
pub use timeline::timeline;

use crate::call::Gateway;
use crate::instances::{Health, Instance};
use crate::processes::Process;
use crate::serve::Page;
use crate::web::query::escaped;
use engine::control::fault::Fault;
use engine::view::{LastExit, ProgramState as State};
use forms::{Message, Tone};
use html::Html;
use hyper::header::{self, HeaderValue};
use hyper::{Response, StatusCode};
use shown::words::{end, time};

/// What the pages look like.
pub const STYLE: &str = include_str!("style.css");

/// What spares reloading.
pub const SCRIPT: &str = include_str!("script.js");

/// What stands beside the address.
pub const ICON: &str = include_str!("icon.svg");

/// Nothing but what comes from here is loaded, run, sent to, or framed.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
                      img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The pages that one can go to from everywhere.
const PLACES: &[(&str, &str)] =
    &[("index.html", "Jobs"), ("events.html", "Events"), ("graph.html", "Graph")];

/// What every page has, before its own.
pub struct Frame<'a> {
    /// What the daemon is called.
    pub identifier: &'a str,
    /// The page's name.
    pub title: &'a str,
    /// Which of [`PLACES`] it is, or none.
    pub place: &'static str,
    /// What has just been done.
    pub message: Option<Message>,
}

impl<'a> Frame<'a> {
    /// Makes that of a page.
    pub fn new(gateway: &'a Gateway, title: &'a str, place: &'static str) -> Frame<'a> {
        Frame { identifier: &gateway.identifier, title, place, message: None }
    }

    /// Returns the whole page.
    pub fn page(self, fill: impl FnOnce(&mut Html)) -> Response<Page> {
        respond(StatusCode::OK, self.written(fill))
    }

    fn written(&self, fill: impl FnOnce(&mut Html)) -> String {
        let mut html = Html::default();
        html.raw("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">");
        html.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
        html.raw("<meta name=\"color-scheme\" content=\"light dark\">");
        html.element("title", &[], &format!("{} – {}", self.title, self.identifier));
        html.raw(
            "<link rel=\"icon\" href=\"icon.svg\"><link rel=\"stylesheet\" href=\"style.css\">",
        );
        html.raw("<script src=\"script.js\" defer></script></head>\n<body>");
        html.raw("<a class=\"skip\" href=\"#main\">Skip to the content</a>\n<header>");
        html.within("p", &[("class", "brand")], |html| {
            html.element("a", &[("href", "index.html")], self.identifier);
        });
        html.within("nav", &[("aria-label", "Pages")], |html| {
            for (path, name) in PLACES {
                let here: &[_] = &[("href", *path), ("aria-current", "page")];
                let elsewhere: &[_] = &[("href", *path)];
                html.element("a", if self.place == *path { here } else { elsewhere }, name);
            }
        });
        html.raw(
            "<p id=\"live\" role=\"status\"></p></header>\n<main id=\"main\" tabindex=\"-1\">",
        );
        html.raw("<div id=\"message\" role=\"status\" aria-live=\"polite\">");
        if let Some(Message { tone, text }) = &self.message {
            let class = match tone {
                Tone::Well => "well",
                Tone::Badly => "badly",
            };
            html.element("p", &[("class", class)], text);
        }
        html.raw("</div>\n");
        html.element("h1", &[], self.title);
        fill(&mut html);
        html.raw("</main>\n<footer><p>");
        html.text(concat!("Upright ", env!("CARGO_PKG_VERSION")));
        html.raw(" · <a href=\"metrics\">metrics</a> · <a href=\"api\">api</a></p></footer></body></html>\n");
        html.done()
    }
}

/// Returns a page that says why there is no other.
pub fn refused(gateway: &Gateway, title: &str, fault: &Fault) -> Response<Page> {
    mistake(gateway, crate::web::status(fault), title, &fault.to_string())
}

/// Returns a page that says what is wrong.
pub fn mistake(gateway: &Gateway, status: StatusCode, title: &str, why: &str) -> Response<Page> {
    let mut frame = Frame::new(gateway, title, "");
    frame.message = Some(Message { tone: Tone::Badly, text: why.to_owned() });
    let text = frame.written(|html| html.raw("<p><a href=\"index.html\">All jobs</a></p>"));
    respond(status, text)
}

fn respond(status: StatusCode, text: String) -> Response<Page> {
    let mut response = Response::new(Page::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html;charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        // Not `no-referrer`, under which a browser does not say where a form comes from.
        (header::REFERRER_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Adds what an instance is, as a coloured word.
fn state(html: &mut Html, instance: &Instance) {
    // What could not be executed has not exited.
    let never = matches!(&instance.view.last_exit, Some((LastExit::NotSpawned { .. }, _)));
    let word = match instance.state() {
        State::Exited if never => "failed".to_owned(),
        state => state.name().to_ascii_lowercase(),
    };
    let class = format!("state {}", health(instance.health()));
    html.element("span", &[("class", &class)], &word);
}

fn health(health: Health) -> &'static str {
    Health::TABLE.iter().find(|row| row.0 == health).map_or("", |row| row.1)
}

/// Adds what there is to say of it in half a line.
fn describe(html: &mut Html, instance: &Instance) {
    let view = &instance.view;
    let ended = view.last_exit.as_ref();
    match (instance.health(), instance.main()) {
        (Health::Running, Some(pid)) => {
            html.text(&format!("pid {pid}, up "));
            let seconds = view.since.as_secs().to_string();
            html.element("span", &[("data-up", &seconds)], &time(view.since));
        }
        (Health::Running, None) => html.text("no process of its own"),
        (Health::Starting | Health::Stopping, _) if !view.waits_for.is_empty() => {
            html.text(&format!("waits for {}", view.waits_for));
        }
        (Health::Starting | Health::Stopping, _) => html.text(&view.state.to_string()),
        (Health::Failed | Health::Stopped, _) => match ended {
            Some((last, ago)) => html.text(&format!("{}, {} ago", end(last), time(*ago))),
            None => html.text("not started"),
        },
    }
    match view.respawns {
        0 => {}
        1 => html.text(", restarted once"),
        times => html.text(&format!(", restarted {times} times")),
    }
    for warning in &view.warnings {
        html.element("span", &[("class", "warning")], warning);
    }
}

/// Returns the address of a page about an instance.
fn about(page: &str, instance: &Instance) -> String {
    format!("{page}?processname={}", escaped(&instance.name))
}

/// Returns the one that is called so; the first instance, where a job with several is named.
fn named(all: Vec<Instance>, name: &str) -> Option<Instance> {
    let of_job = |one: &Instance| one.view.job.text().lossy() == name;
    let place = all.iter().position(|one| one.name == name);
    let place = place.or_else(|| all.iter().position(of_job))?;
    all.into_iter().nth(place)
}

/// Returns what logs know an instance by.
fn process(instance: &Instance) -> Process {
    Process::new(instance.view.clone(), instance.program.clone())
}

#[cfg(test)]
mod tests;
