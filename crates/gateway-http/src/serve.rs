//! Requests of HTTP: who asks, for what, and what is answered.

use crate::auth::{self, Login};
use crate::call::{carry_out, Gateway};
use crate::control::Control;
use crate::follow::{follow, Following};
use crate::guard::{self, Via};
use crate::logs::{self, Channel};
use crate::web::query::Query;
use crate::{processes, web};
use engine::control::audit::Origin;
use engine::control::call::Log;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use std::convert::Infallible;
use std::future::poll_fn;
use std::io::ErrorKind;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::timeout;
use xmlrpc::{write, Fault};

/// How long the body of a call may be.
const BODY_MAX: u64 = 1024 * 1024;

/// How long it may take to come.
const BODY_TIME: Duration = Duration::from_secs(30);

/// What this program calls itself.
const SERVER: &str = concat!("Upright/", env!("CARGO_PKG_VERSION"));

/// What is answered.
pub enum Page {
    /// All of it at once.
    Whole(Option<Bytes>),
    /// As it comes.
    Following(Following),
}

impl Page {
    /// Reports whether it ends by itself.
    pub fn is_whole(&self) -> bool {
        match self {
            Page::Whole(_) => true,
            Page::Following(_) => false,
        }
    }
}

impl From<String> for Page {
    fn from(text: String) -> Page {
        Page::Whole(Some(Bytes::from(text)))
    }
}

/// Answers a request.
pub async fn answer(
    gateway: Rc<Gateway>,
    login: Rc<Option<Login>>,
    (via, client): (Via, Option<String>),
    request: Request<Incoming>,
) -> Result<Response<Page>, Infallible> {
    let known = who(&gateway, &login, (via, client), &request).await;
    let let_in = known.and_then(|control| {
        guard::same_site(request.method(), request.headers()).map(|()| control)
    });
    let served = match let_in {
        Ok(control) => route(&Rc::new(gateway.of(control)), request).await,
        Err(status) => {
            drain(request.into_body()).await;
            Err(status)
        }
    };
    let mut response = served.unwrap_or_else(refused);
    response.headers_mut().insert(header::SERVER, HeaderValue::from_static(SERVER));
    Ok(response)
}

/// Finds out in whose name a request is: of the server where there is no password or it is known, of a
/// token where one is shown.
async fn who(
    gateway: &Gateway,
    login: &Option<Login>,
    (via, client): (Via, Option<String>),
    request: &Request<Incoming>,
) -> Result<Control, StatusCode> {
    let given = request.headers().get(header::AUTHORIZATION);
    let given = given.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let known = login.as_ref().filter(|login| login.allows(given));
    if let (Some(digest), None) = (auth::token(given), known) {
        let control = gateway.control.of_token(digest, Origin { client, user: None }).await;
        return control.map_err(|error| match error.kind() {
            ErrorKind::ConnectionRefused => StatusCode::UNAUTHORIZED,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        });
    }
    match (login, known) {
        (Some(_), None) => return Err(StatusCode::UNAUTHORIZED),
        (None, _) => guard::known_host(via, request.headers())?,
        (Some(_), Some(_)) => {}
    }
    let user = known.map(|login| login.name().to_owned());
    Ok(gateway.control.of(Origin { client, user }))
}

async fn route(
    gateway: &Rc<Gateway>,
    request: Request<Incoming>,
) -> Result<Response<Page>, StatusCode> {
    let path = request.uri().path().to_owned();
    if path.starts_with("/RPC2") {
        return match *request.method() {
            Method::POST => call(gateway, request).await,
            _ => Err(StatusCode::BAD_REQUEST),
        };
    }
    let log = path.strip_prefix("/logtail");
    if log.is_none() && !path.starts_with("/mainlogtail") {
        return web::answer(gateway, request).await;
    }
    if request.method() != Method::GET {
        return Err(StatusCode::BAD_REQUEST);
    }
    let from = Query::of(request.uri()).value("from").and_then(|text| text.parse().ok());
    match log {
        Some(log) => tail(gateway, log, from).await,
        None => followed(gateway, Log::Own, "log", from).await,
    }
}

/// Takes the body of a request that is refused, within the same bounds, and keeps nothing of it: whoever
/// still writes when the connection is closed would not read the answer.
async fn drain(mut body: Incoming) {
    let taken = async {
        let mut length = 0;
        while let Some(Ok(frame)) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await
        {
            length += frame.into_data().map_or(0, |data| data.len() as u64);
            if length > BODY_MAX {
                return;
            }
        }
    };
    // Who takes longer has waited long enough.
    let _ = timeout(BODY_TIME, taken).await;
}

/// A call of XML-RPC. One that is not understood is answered with 400, one that is refused with 200
/// and a fault.
async fn call(
    gateway: &Rc<Gateway>,
    request: Request<Incoming>,
) -> Result<Response<Page>, StatusCode> {
    let body = whole_body(request).await?;
    let text = String::from_utf8(body).map_err(|_| StatusCode::BAD_REQUEST)?;
    let call = xmlrpc::read::call(&text).map_err(|_| StatusCode::BAD_REQUEST)?;
    let told = carry_out(gateway, &call.method, &call.parameters).await;
    let document = match told {
        Ok(value) => write::result(&value),
        Err(fault) => write::fault(&fault),
    };
    let response = Response::builder().header(header::CONTENT_TYPE, "text/xml");
    response.body(document.into()).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

/// Returns the body of a request, within bounds of length and time.
pub async fn whole_body(request: Request<Incoming>) -> Result<Vec<u8>, StatusCode> {
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.ok_or(StatusCode::LENGTH_REQUIRED)? > BODY_MAX {
        return Err(StatusCode::PAYLOAD_TOO_LARGE);
    }
    let body = timeout(BODY_TIME, whole(request.into_body())).await;
    body.map_err(|_| StatusCode::REQUEST_TIMEOUT)?.ok_or(StatusCode::BAD_REQUEST)
}

/// Returns the whole body; nothing where it does not come whole.
async fn whole(mut body: Incoming) -> Option<Vec<u8>> {
    let mut all = Vec::new();
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        if let Ok(data) = frame.ok()?.into_data() {
            all.extend_from_slice(&data);
        }
        if all.len() as u64 > BODY_MAX {
            return None;
        }
    }
    Some(all)
}

/// A log as it grows: what stands before the first slash does not count, then `NAME` or `NAME/CHANNEL`.
/// Source: Supervisor 4.3.0, logtail_handler.
async fn tail(
    gateway: &Rc<Gateway>,
    path: &str,
    from: Option<u64>,
) -> Result<Response<Page>, StatusCode> {
    let path = unescaped(path.split(';').next().unwrap_or_default());
    let (_, path) = path.split_once('/').ok_or(StatusCode::NOT_FOUND)?;
    let (name, channel) = match path.rsplit_once('/') {
        Some((name, "stdout")) => (name, Channel::Stdout),
        Some((name, "stderr")) => (name, Channel::Stderr),
        // A job may have a slash in its name.
        Some(_) | None => (path, Channel::Stdout),
    };
    let process = processes::one(&gateway.control, name).await.map_err(status)?;
    let mut response = followed(gateway, logs::of(&process, channel), name, from).await?;
    response.headers_mut().insert("X-Accel-Buffering", HeaderValue::from_static("no"));
    Ok(response)
}

fn status(fault: Fault) -> StatusCode {
    match fault.code() {
        Some(xmlrpc::Code::BadName | xmlrpc::Code::NoFile) => StatusCode::NOT_FOUND,
        Some(xmlrpc::Code::ShutdownState) => StatusCode::SERVICE_UNAVAILABLE,
        Some(_) | None => StatusCode::FORBIDDEN,
    }
}

/// A log as it grows.
async fn followed(
    gateway: &Rc<Gateway>,
    log: Log,
    name: &str,
    from: Option<u64>,
) -> Result<Response<Page>, StatusCode> {
    let found = logs::open(&gateway.control, &log, name).await.map_err(status)?;
    let mut response = Response::new(Page::Following(follow(gateway, log, found, from)));
    let kind = HeaderValue::from_static("text/plain;charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}

/// Returns a path without its `%XX`; one that is none stays. Source: Python 3.11, urllib.parse.unquote.
fn unescaped(path: &str) -> String {
    let digit = |text: &str| u8::from_str_radix(text, 16).ok();
    let mut bytes = Vec::new();
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        bytes.extend_from_slice(before.as_bytes());
        let byte = after.get(..2).filter(|two| !two.starts_with('+')).and_then(digit);
        bytes.push(byte.unwrap_or(b'%'));
        rest = if byte.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A small page that says what is wrong.
fn refused(status: StatusCode) -> Response<Page> {
    let (number, reason) = (status.as_u16(), status.canonical_reason().unwrap_or_default());
    let text = format!(
        "<head>\r\n<title>Error response</title>\r\n</head>\r\n<body>\r\n<h1>Error response</h1>\r\n\
         <p>Error code {number}.\r\n<p>Message: {reason}.\r\n</body>\r\n"
    );
    let mut response = Response::new(Page::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
    if status == StatusCode::UNAUTHORIZED {
        let realm = HeaderValue::from_static("Basic realm=\"default\"");
        headers.insert(header::WWW_AUTHENTICATE, realm);
    }
    // What was sent with a request that is refused before it is read is not waited for.
    if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::PAYLOAD_TOO_LARGE) {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

impl Body for Page {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Page::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Page::Following(following) => Pin::new(following).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Page::Whole(bytes) => bytes.is_none(),
            Page::Following(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Page::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Page::Following(_) => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_paths_are_read_and_what_is_no_escape_stays() {
        for (path, read) in [
            ("/a%20b%2Fc", "/a b/c"),
            ("/%c3%a4", "/\u{e4}"),
            ("%", "%"),
            ("%1", "%1"),
            ("%zz%41", "%zzA"),
            ("%+1", "%+1"),
            ("%ff", "\u{fffd}"),
            ("%\u{e4}", "%\u{e4}"),
        ] {
            assert_eq!(unescaped(path), read, "{path}");
        }
    }
}
