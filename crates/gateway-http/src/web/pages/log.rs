//! A log: its end, and with the script how it goes on.

use crate::call::Gateway;
use crate::instances;
use crate::logs::{self, Channel};
use crate::serve::Page;
use crate::web::pages::job::text_of;
use crate::web::pages::{about, mistake, named, process, refused, Frame};
use crate::web::query::{escaped, Query};
use engine::control::call::Listed;
use hyper::{Response, StatusCode};

/// How many bytes are shown, unless another limit is said.
const LIMIT: i64 = 16 * 1024;

/// The least and the most. Source of the least: Supervisor 4.3.0, web.py.
const LIMITS: (i64, i64) = (1024, 1024 * 1024);

/// Returns the page.
pub async fn log(gateway: &Gateway, query: &Query) -> Response<Page> {
    let Some(name) = query.value("processname").filter(|name| !name.is_empty()) else {
        let why = "No process name found";
        // Source of the status: Supervisor 4.3.0, web.py.
        return mistake(gateway, StatusCode::OK, "Log", why);
    };
    let title = format!("Log of {name}");
    let found = match instances::all(&gateway.control, Listed::Own).await {
        Ok(all) => named(all, name),
        Err(fault) => return refused(gateway, &title, &fault),
    };
    let Some(instance) = found else {
        let why = format!("No such process named {name}");
        return mistake(gateway, StatusCode::NOT_FOUND, &title, &why);
    };
    let limit = query.value("limit").and_then(|text| text.parse().ok()).unwrap_or(LIMIT);
    let limit = limit.clamp(LIMITS.0, LIMITS.1);
    let (channel, stream) = match query.value("channel") {
        Some("stderr") => (Channel::Stderr, "stderr"),
        Some(_) | None => (Channel::Stdout, "stdout"),
    };
    let tail = logs::tail(&gateway.control, &process(&instance), channel, 0, limit).await;
    let tail = match tail.map(|tail| text_of(&tail)) {
        Ok(tail) => tail,
        Err(fault) => {
            let why = format!("ERROR: {name}: {}", fault.text);
            return mistake(gateway, StatusCode::FORBIDDEN, &title, &why);
        }
    };
    Frame::new(gateway, &title, "").page(|html| {
        html.within("p", &[("class", "all")], |html| {
            html.element("a", &[("href", &about("job.html", &instance))], &format!("About {name}"));
            for (other, words) in [("stdout", "Standard output"), ("stderr", "Standard error")] {
                let to = format!("{}&channel={other}", about("tail.html", &instance));
                let here: &[_] = &[("href", to.as_str()), ("aria-current", "page")];
                html.element("a", if other == stream { here } else { &here[..1] }, words);
            }
            let more = format!("{}&channel={stream}&limit=1048576", about("tail.html", &instance));
            html.element("a", &[("href", &more)], "More");
        });
        let (text, size) = tail.unwrap_or_default();
        if text.is_empty() {
            let why = format!("No file for {name}, or nothing in it");
            html.element("p", &[("id", "empty")], &why);
        }
        let from = size.to_string();
        let source = format!("logtail/{}/{stream}", escaped(&instance.name));
        let attributes = [
            ("id", "log"),
            ("class", "log"),
            ("tabindex", "0"),
            ("role", "log"),
            ("aria-label", title.as_str()),
            ("data-follow", source.as_str()),
            ("data-from", from.as_str()),
        ];
        html.element("pre", &attributes, &text);
    })
}
