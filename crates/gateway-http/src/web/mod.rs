//! What is for people and for collectors of numbers, by its path.

mod api;
mod query;
mod stream;

use crate::call::Gateway;
use crate::metrics::{self, Metrics};
use crate::serve::Page;
use engine::control::fault::Fault;
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// What is kept from one request to the next.
pub struct Web {
    metrics: Metrics,
    /// Room for streams of events.
    streams: Arc<Semaphore>,
}

impl Default for Web {
    fn default() -> Web {
        let streams = Arc::new(Semaphore::new(stream::STREAMS_MAX));
        Web { metrics: Metrics::default(), streams }
    }
}

/// What there is to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    /// Numbers.
    Metrics,
    /// What happens.
    Events,
    /// What control can be asked.
    Api,
}

/// Every path.
const ROUTES: &[(&str, Route)] =
    &[("/metrics", Route::Metrics), ("/events", Route::Events), ("/api", Route::Api)];

/// What the path of a method of control begins with.
const METHOD: &str = "/api/";

/// Answers a request; `NOT_FOUND` where the path is none of ours.
pub async fn answer(
    gateway: &Rc<Gateway>,
    request: Request<Incoming>,
) -> Result<Response<Page>, StatusCode> {
    let path = request.uri().path();
    if let Some(method) = path.strip_prefix(METHOD) {
        let method = method.to_owned();
        return api::answer(&gateway.control, &method, request).await;
    }
    let route = ROUTES.iter().find(|row| row.0 == path).map(|row| row.1);
    let route = route.ok_or(StatusCode::NOT_FOUND)?;
    reads(&request)?;
    match route {
        Route::Metrics => {
            let text = gateway.web.metrics.collect(&gateway.control).await;
            Ok(whole(metrics::CONTENT_TYPE, text.map_err(|fault| status(&fault))?))
        }
        Route::Events => stream::answer(gateway, &gateway.web.streams, &request).await,
        Route::Api => Ok(api::index()),
    }
}

/// Lets only reading through.
fn reads(request: &Request<Incoming>) -> Result<(), StatusCode> {
    match *request.method() {
        Method::GET | Method::HEAD => Ok(()),
        _ => Err(StatusCode::METHOD_NOT_ALLOWED),
    }
}

/// Returns a page that says what it is, and is asked for anew each time.
fn whole(kind: &'static str, text: String) -> Response<Page> {
    let mut response = Response::new(Page::from(text));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Returns JSON.
fn json(status: StatusCode, text: String) -> Response<Page> {
    let mut response = whole("application/json", text + "\n");
    *response.status_mut() = status;
    response
}

/// Returns the status of a fault of control.
fn status(fault: &Fault) -> StatusCode {
    match fault {
        Fault::NotPermitted { .. } => StatusCode::FORBIDDEN,
        Fault::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        Fault::NoSuchVariable(_) | Fault::MethodNotFound(_) | Fault::InterfaceNotFound(_) => {
            StatusCode::NOT_FOUND
        }
        Fault::InvalidParameter { .. } | Fault::BadMessage(_) => StatusCode::BAD_REQUEST,
        Fault::Refused(refused) => match refused.code.as_str() {
            "unknown-job" | "unknown-instance" => StatusCode::NOT_FOUND,
            "shutting-down" => StatusCode::SERVICE_UNAVAILABLE,
            "bad-env" | "bad-name" | "empty-event-name" | "expansion" => StatusCode::BAD_REQUEST,
            _ => StatusCode::CONFLICT,
        },
        Fault::ExpectedMore | Fault::Other(..) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
