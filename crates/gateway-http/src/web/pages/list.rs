//! All of them: the page that one comes to first.

use crate::call::Gateway;
use crate::instances::{self, Instance};
use crate::serve::Page;
use crate::web::pages::forms::{buttons, Message, Tone};
use crate::web::pages::html::Html;
use crate::web::pages::{about, describe, refused, state, Frame};
use crate::web::query::Query;
use engine::control::call::Listed;
use hyper::Response;

/// The buttons for all: what each does, and its words.
const FOR_ALL: &[(&str, &str)] =
    &[("startall", "Start all"), ("restartall", "Restart all"), ("stopall", "Stop all")];

/// Returns the page.
pub async fn list(gateway: &Gateway, query: &Query) -> Response<Page> {
    let all = match instances::all(&gateway.control, Listed::Own).await {
        Ok(all) => all,
        Err(fault) => return refused(gateway, "Jobs", &fault),
    };
    let mut frame = Frame::new(gateway, "Jobs", "index.html");
    frame.message = gateway.web.forms.said(query);
    if query.value("action").is_some() {
        let text = "Nothing was done: a link does not act here. Press the button.".to_owned();
        frame.message = Some(Message { tone: Tone::Badly, text });
    }
    let token = gateway.web.forms.token();
    frame.page(|html| body(html, &all, token))
}

/// Adds what is below the head.
pub fn body(html: &mut Html, all: &[Instance], token: &str) {
    html.within("div", &[("class", "all")], |html| {
        html.raw("<form method=\"get\" action=\"index.html\"><button id=\"refresh\">Refresh</button></form>");
        html.within("form", &[("method", "post"), ("action", "index.html")], |html| {
            html.begin("input", &[("type", "hidden"), ("name", "token"), ("value", token)]);
            for (act, words) in FOR_ALL {
                let attributes = [("id", *act), ("name", "action"), ("value", *act)];
                html.element("button", &attributes, words);
            }
        });
    });
    if all.is_empty() {
        return html.raw("<p>No programs to manage</p>");
    }
    html.raw(
        "<table class=\"jobs\"><caption class=\"aside\">All jobs and programs</caption><thead><tr>",
    );
    for head in ["State", "Name", "Description", "Action"] {
        html.element("th", &[("scope", "col")], head);
    }
    html.raw("</tr></thead>\n<tbody id=\"rows\" data-live>\n");
    for instance in all {
        row(html, instance, token);
    }
    html.raw("</tbody></table>");
}

fn row(html: &mut Html, instance: &Instance, token: &str) {
    let id = format!("row {}", instance.name).replace(' ', "-");
    html.within("tr", &[("id", &id)], |html| {
        html.within("td", &[("class", "is")], |html| state(html, instance));
        html.within("th", &[("scope", "row")], |html| {
            let id = format!("about {}", instance.name).replace(' ', "-");
            let to = about("job.html", instance);
            html.element("a", &[("id", &id), ("href", &to)], &instance.name);
        });
        html.within("td", &[("class", "description")], |html| describe(html, instance));
        html.within("td", &[("class", "actions")], |html| {
            buttons(html, instance, token, "");
            let label = format!("Log of {}", instance.name);
            let id = format!("log {}", instance.name).replace(' ', "-");
            let to = about("tail.html", instance);
            html.element("a", &[("id", &id), ("href", &to), ("aria-label", &label)], "Log");
        });
    });
    html.raw("\n");
}
