//! One of them: how it is, and why.

use crate::call::Gateway;
use crate::instances::{self, Instance};
use crate::logs::{self, Channel};
use crate::serve::Page;
use crate::web::pages::forms::buttons;
use crate::web::pages::html::Html;
use crate::web::pages::{about, describe, graph, mistake, named, process, refused, state, Frame};
use crate::web::query::Query;
use engine::control::answer::Answer;
use engine::control::call::{Call, Listed};
use engine::control::fault::Fault;
use engine::view::{Need, RunView, WhyView};
use hyper::{Response, StatusCode};
use shown::words::{end, time};
use xmlrpc::Value;

/// How much of the log stands below.
const LOG: i64 = 2048;

/// Deeper lines of a condition stand no further right.
const DEPTH_MAX: u32 = 4;

/// Returns the page.
pub async fn job(gateway: &Gateway, query: &Query) -> Response<Page> {
    let name = query.value("processname").unwrap_or_default();
    let found = match instances::all(&gateway.control, Listed::Own).await {
        Ok(all) => named(all, name),
        Err(fault) => return refused(gateway, name, &fault),
    };
    let Some(instance) = found else {
        let why = format!("No such process named {name}");
        return mistake(gateway, StatusCode::NOT_FOUND, "No such job", &why);
    };
    let told = match why(gateway, &instance).await {
        Ok(told) => told,
        Err(fault) => return refused(gateway, name, &fault),
    };
    let log = logs::tail(&gateway.control, &process(&instance), Channel::Stdout, 0, LOG).await;
    let log = log.map(|tail| text_of(&tail).map(|(text, _)| text).unwrap_or_default());
    let picture = graph::picture(gateway, Some(&told.status.job.text().lossy())).await;
    let mut frame = Frame::new(gateway, &instance.name, "");
    frame.message = gateway.web.forms.said(query);
    let token = gateway.web.forms.token();
    frame.page(|html| {
        html.raw("<div id=\"job\" data-live>");
        body(html, &instance, &told, token);
        log_end(html, &instance, log.as_deref());
        if let Ok(picture) = picture {
            html.raw(
                "<section aria-labelledby=\"near\"><h2 id=\"near\">What starts and stops it</h2>",
            );
            html.within("div", &[("class", "graph"), ("tabindex", "0")], |html| {
                html.picture(&picture);
            });
            html.raw("</section>");
        }
        html.raw("</div>");
    })
}

async fn why(gateway: &Gateway, instance: &Instance) -> Result<WhyView, Fault> {
    match gateway.control.ask(Call::Why(instance.target())).await? {
        Answer::Why(told) => Ok(*told),
        _ => Err(Fault::Unavailable("Upright does not say why".to_owned())),
    }
}

/// Adds what is told of it.
pub fn body(html: &mut Html, instance: &Instance, told: &WhyView, token: &str) {
    html.within("div", &[("class", "now")], |html| {
        state(html, instance);
        html.within("p", &[], |html| {
            html.text(&format!("{}/{}: ", instance.view.goal, instance.view.state));
            describe(html, instance);
        });
        buttons(html, instance, token, "job.html");
    });
    html.raw("<section aria-labelledby=\"why\"><h2 id=\"why\">Why</h2>");
    html.element("p", &[("class", "verdict")], &told.verdict);
    if !instance.view.started_by.is_empty() {
        let by = instance.view.started_by.join(", ");
        html.element("p", &[], &format!("It was started by {by}."));
    }
    lines(html, "These wait for each other, and none goes on by itself", &told.ring);
    needs(html, "It starts by itself on", &told.start_on);
    needs(html, "It stops by itself on", &told.stop_on);
    lines(html, "Waiting for it", &told.waiters);
    runs(html, &told.runs);
    html.raw("<h3>What happened</h3>");
    match told.history.is_empty() {
        true => html.raw("<p>Nothing has happened to it yet.</p>"),
        false => history(html, told),
    }
    html.raw("</section>");
}

fn lines(html: &mut Html, head: &str, rows: &[String]) {
    if !rows.is_empty() {
        html.element("h3", &[], head);
        html.within("ul", &[], |html| rows.iter().for_each(|row| html.element("li", &[], row)));
    }
}

/// Adds a condition, each line as deep as it stands: what has come true is ticked.
fn needs(html: &mut Html, head: &str, rows: &[Need]) {
    if rows.is_empty() {
        return;
    }
    html.element("h3", &[], head);
    html.within("ul", &[("class", "needs")], |html| {
        for Need { depth, words, met, by, note } in rows {
            let (class, mark) = if *met { ("met", '✓') } else { ("open", '○') };
            let class = format!("{class} deep-{}", (*depth).min(DEPTH_MAX));
            html.within("li", &[("class", &class)], |html| {
                html.text(&format!("{mark} {words}"));
                for more in by.iter().chain([note]).filter(|more| !more.is_empty()) {
                    html.element("small", &[], &format!(" {more}"));
                }
            });
        }
    });
}

fn runs(html: &mut Html, runs: &[RunView]) {
    if runs.is_empty() {
        return;
    }
    html.raw("<h3>Its last runs</h3><ul>");
    for RunView { ago, lasted, exit, note } in runs.iter().rev() {
        let lasted = lasted.map_or_else(String::new, |lasted| format!(" after {}", time(lasted)));
        let note = if note.is_empty() { String::new() } else { format!(" ({note})") };
        let line = format!("{} ago: {}{lasted}{note}", time(*ago), end(exit));
        html.element("li", &[], &line);
    }
    html.raw("</ul>");
}

fn history(html: &mut Html, told: &WhyView) {
    html.raw("<table class=\"history\"><thead><tr><th scope=\"col\">Ago</th>");
    html.raw("<th scope=\"col\">What</th><th scope=\"col\">So</th></tr></thead><tbody>");
    for row in told.history.iter().rev() {
        html.within("tr", &[], |html| {
            let seconds = row.ago.as_secs().to_string();
            html.element("td", &[("class", "ago"), ("data-up", &seconds)], &time(row.ago));
            html.element("td", &[], &row.cause);
            html.element("td", &[], &row.decision);
        });
    }
    html.raw("</tbody></table>");
}

fn log_end(html: &mut Html, instance: &Instance, log: Result<&str, &xmlrpc::Fault>) {
    html.raw("<section aria-labelledby=\"log-end\"><h2 id=\"log-end\">End of its log</h2>");
    match log {
        Err(fault) => html.element("p", &[], &fault.text),
        Ok("") => html.raw("<p>Nothing has been written.</p>"),
        Ok(text) => {
            // The first line is seldom whole.
            let text = match text.split_once('\n') {
                Some((_, rest)) if text.len() >= LOG as usize => rest,
                Some(_) | None => text,
            };
            html.element("pre", &[("class", "log short"), ("tabindex", "0")], text);
        }
    }
    html.within("p", &[], |html| {
        html.element("a", &[("href", &about("tail.html", instance))], "Follow the log");
    });
    html.raw("</section>");
}

/// Reports what a tail says.
pub fn text_of(tail: &Value) -> Option<(String, i64)> {
    let list = tail.list()?;
    Some((list.first()?.text()?.to_owned(), list.get(1)?.int()?))
}
