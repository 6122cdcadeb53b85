//! What is for people and for collectors of numbers, by its path.

mod api;
mod pages;
pub mod query;
mod stream;

use crate::call::Gateway;
use crate::metrics::{self, Metrics};
use crate::serve::Page;
use engine::control::fault::Fault;
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use pages::forms::Forms;
use query::Query;
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// What is kept from one request to the next.
pub struct Web {
    metrics: Metrics,
    /// Buttons, and what is said of them.
    forms: Forms,
    /// Room for streams of events.
    streams: Arc<Semaphore>,
}

impl Default for Web {
    fn default() -> Web {
        let streams = Arc::new(Semaphore::new(stream::STREAMS_MAX));
        Web { metrics: Metrics::default(), forms: Forms::default(), streams }
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
    /// All jobs; by POST, what is done to them.
    List,
    /// One job.
    Job,
    /// A log.
    Log,
    /// What has happened.
    Timeline,
    /// The picture.
    Graph,
    /// That there is a server.
    Ok,
    /// What a page needs, with its kind.
    Part(&'static str, &'static str),
}

/// Every path.
/// Those that are known from Supervisor 4.3.0, web.py: `/`,
/// `/index.html`, `/tail.html`, `/ok.html`, `/stylesheets/supervisor.css`.
const ROUTES: &[(&str, Route)] = &[
    ("/metrics", Route::Metrics),
    ("/events", Route::Events),
    ("/api", Route::Api),
    ("/", Route::List),
    ("/index.html", Route::List),
    ("/job.html", Route::Job),
    ("/tail.html", Route::Log),
    ("/events.html", Route::Timeline),
    ("/graph.html", Route::Graph),
    ("/ok.html", Route::Ok),
    ("/style.css", Route::Part("text/css", pages::STYLE)),
    ("/stylesheets/supervisor.css", Route::Part("text/css", pages::STYLE)),
    ("/script.js", Route::Part("text/javascript; charset=utf-8", pages::SCRIPT)),
    ("/icon.svg", Route::Part("image/svg+xml", pages::ICON)),
];

/// What the path of a method of control begins with.
const METHOD: &str = "/api/";

/// Answers a request; `NOT_FOUND` where the path is none of ours, `BAD_REQUEST` where it was also not to
/// be read.
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
    let unknown = || match *request.method() {
        Method::GET | Method::HEAD => StatusCode::NOT_FOUND,
        // Source: Supervisor 4.3.0, medusa's default_handler.
        _ => StatusCode::BAD_REQUEST,
    };
    let route = route.ok_or_else(unknown)?;
    if route == Route::List && request.method() == Method::POST {
        return pages::forms::submit(gateway, request).await;
    }
    reads(&request)?;
    let query = Query::of(request.uri());
    match route {
        Route::Metrics => {
            let text = gateway.web.metrics.collect(&gateway.control).await;
            Ok(whole(metrics::CONTENT_TYPE, text.map_err(|fault| status(&fault))?))
        }
        Route::Events => stream::answer(gateway, &gateway.web.streams, &request).await,
        Route::Api => Ok(api::index()),
        Route::List => Ok(pages::list(gateway, &query).await),
        Route::Job => Ok(pages::job(gateway, &query).await),
        Route::Log => Ok(pages::log(gateway, &query).await),
        Route::Timeline => Ok(pages::timeline(gateway).await),
        Route::Graph => Ok(pages::graph(gateway).await),
        Route::Ok => Ok(whole("text/plain", "OK".to_owned())),
        Route::Part(kind, text) => Ok(whole(kind, text.to_owned())),
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
