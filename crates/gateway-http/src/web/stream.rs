//! `/events`: what happens, as it happens, for who reads along. Source: HTML, server-sent events.

use crate::call::Gateway;
use crate::serve::Page;
use crate::web::query::Query;
use engine::control::answer::Answer;
use engine::control::call::Follow;
use engine::control::fault::Fault;
use engine::control::notice::Notice;
use engine::control::What;
use hyper::body::{Bytes, Incoming};
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Request, Response, StatusCode};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{channel, Sender};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// How many read along at once: each takes a connection to the daemon.
pub const STREAMS_MAX: usize = 32;

/// After so long without anything a word is sent that means nothing, so that what lies between keeps the
/// connection, and one whose client is gone is noticed.
const QUIET_MAX: Duration = Duration::from_secs(20);

/// By what a client says how far it came, when it comes again.
const LAST: HeaderName = HeaderName::from_static("last-event-id");

/// What is sent first: a client that loses the connection comes again after a second.
const HELLO: &str = "retry: 1000\n\n";

/// Begins a stream: after the notice that the client names, else with what happens from now on.
pub async fn answer(
    gateway: &Rc<Gateway>,
    room: &Arc<Semaphore>,
    request: &Request<Incoming>,
) -> Result<Response<Page>, StatusCode> {
    let last = request.headers().get(LAST).and_then(|value| value.to_str().ok()?.parse().ok());
    let query = Query::of(request.uri());
    let asked = match query.value("after") {
        Some(text) => Some(text.parse().map_err(|_| StatusCode::BAD_REQUEST)?),
        None => None,
    };
    let Ok(permit) = Arc::clone(room).try_acquire_owned() else {
        return Err(StatusCode::SERVICE_UNAVAILABLE);
    };
    let (sender, receiver) = channel(1);
    tokio::task::spawn_local(pump(Rc::clone(gateway), last.or(asked), sender, permit));
    let mut response = Response::new(Page::Following(receiver.into()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// Passes on what happens for as long as somebody reads it. What comes faster than it is read waits at the
/// daemon, which counts what it cannot keep: the next notice says how many were lost.
async fn pump(
    gateway: Rc<Gateway>,
    after: Option<u64>,
    sender: Sender<Bytes>,
    _permit: OwnedSemaphorePermit,
) {
    if sender.send(Bytes::from_static(HELLO.as_bytes())).await.is_err() {
        return;
    }
    let mut events = match gateway.control.events(after, Follow::On).await {
        Ok(events) => events,
        Err(fault) => {
            let _ = sender.send(Bytes::from(ended(&fault))).await;
            return;
        }
    };
    loop {
        let told = tokio::select! {
            told = timeout(QUIET_MAX, events.next()) => told,
            () = sender.closed() => return,
        };
        let text = match told {
            Ok(Ok(Some(notice))) => written(notice),
            Ok(Err(fault @ Fault::NotPermitted { .. })) => {
                // Who reads along is gone, or has been told.
                let _ = sender.send(Bytes::from(ended(&fault))).await;
                return;
            }
            // The client comes again, and then there may be a daemon.
            Ok(Ok(None) | Err(_)) => return,
            Err(_) => ":\n\n".to_owned(),
        };
        if sender.send(Bytes::from(text)).await.is_err() {
            return;
        }
    }
}

/// Returns the last event of a stream that may not be read any more.
fn ended(fault: &Fault) -> String {
    format!("event: end\ndata: {}\n\n", fault.to_json())
}

/// Returns a notice as an event of its kind.
fn written(notice: Notice) -> String {
    let kind = match &notice.what {
        What::Event { .. } => "event",
        What::State { .. } => "state",
        What::Goal { .. } => "goal",
        What::Failed { .. } => "failed",
        What::Job { .. } => "job",
        What::Program(_) => "program",
        What::Restarted => "restarted",
    };
    let sequence = notice.sequence;
    format!("id: {sequence}\nevent: {kind}\ndata: {}\n\n", Answer::Notice(notice).to_json())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_is_an_event_with_its_number_and_the_json_of_control() {
        let notice = Notice { sequence: 7, missed: 2, age: None, what: What::Restarted };
        assert_eq!(
            written(notice),
            "id: 7\nevent: restarted\ndata: {\"sequence\":7,\"missed\":2,\"restarted\":true}\n\n"
        );
    }
}
