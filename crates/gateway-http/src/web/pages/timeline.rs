//! What has happened, the latest first.

use crate::call::Gateway;
use crate::serve::Page;
use crate::web::pages::html::Html;
use crate::web::pages::{refused, Frame};
use engine::control::call::Follow;
use engine::control::fault::Fault;
use engine::control::notice::Notice;
use engine::control::What;
use hyper::Response;
use shown::words::time;

/// Returns the page.
pub async fn timeline(gateway: &Gateway) -> Response<Page> {
    let notices = match kept(gateway).await {
        Ok(notices) => notices,
        Err(fault) => return refused(gateway, "Events", &fault),
    };
    Frame::new(gateway, "Events", "events.html").page(|html| body(html, &notices))
}

async fn kept(gateway: &Gateway) -> Result<Vec<Notice>, Fault> {
    let mut stream = gateway.control.events(None, Follow::Off).await?;
    let mut notices = Vec::new();
    // As many as the daemon keeps.
    while let Some(notice) = stream.next().await? {
        notices.push(notice);
    }
    Ok(notices)
}

/// Adds what is below the head.
pub fn body(html: &mut Html, notices: &[Notice]) {
    html.raw("<p>The latest first. Events, and what jobs do.</p>");
    html.raw("<table class=\"history\"><thead><tr><th scope=\"col\">Ago</th><th scope=\"col\">Number</th>");
    html.raw("<th scope=\"col\">What</th></tr></thead>\n<tbody id=\"timeline\" data-live>\n");
    for notice in notices.iter().rev() {
        let id = format!("event-{}", notice.sequence);
        html.within("tr", &[("id", &id), ("class", class(&notice.what))], |html| {
            match notice.age {
                Some(age) => {
                    let seconds = age.as_secs().to_string();
                    html.element("td", &[("class", "ago"), ("data-up", &seconds)], &time(age));
                }
                None => html.element("td", &[("class", "ago")], "earlier"),
            }
            html.element("td", &[("class", "ago")], &notice.sequence.to_string());
            html.within("td", &[], |html| {
                if notice.missed > 0 {
                    html.element("em", &[], &format!("({} are lost) ", notice.missed));
                }
                html.text(&shown::notice::words(&notice.what));
            });
        });
        html.raw("\n");
    }
    html.raw("</tbody></table>");
}

fn class(what: &What) -> &'static str {
    match what {
        What::Event { failed: false, .. } => "event",
        What::Event { failed: true, .. } | What::Failed { .. } => "failed",
        What::State { .. } | What::Goal { .. } | What::Program(_) => "change",
        What::Job { .. } | What::Restarted => "other",
    }
}
