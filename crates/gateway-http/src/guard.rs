//! What a browser sends because a page of somebody else told it to, is not done.

use hyper::header::{self, HeaderMap, HeaderName};
use hyper::{Method, StatusCode};
use std::net::IpAddr;

/// Where a browser says a request comes from. Source: Fetch Metadata Request Headers (W3C).
const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// How a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// Through a socket of the file system, where no browser comes.
    Socket,
    /// Through a port, from another machine.
    Port,
    /// Through a port, from this machine.
    Loopback,
}

/// Refuses what changes something and comes from a page of another site. Programs say neither `Origin`
/// nor `Sec-Fetch-Site`, and are let through: nobody else tells them what to send.
pub fn same_site(method: &Method, headers: &HeaderMap) -> Result<(), StatusCode> {
    if method.is_safe() {
        return Ok(());
    }
    match text(headers, SITE) {
        // The browser knows best, also behind a server that passes requests on.
        Some("same-origin") => return Ok(()),
        Some(_) => return Err(StatusCode::FORBIDDEN),
        None => {}
    }
    let Some(origin) = text(headers, header::ORIGIN) else { return Ok(()) };
    let place = origin.split_once("://").map(|(_, place)| place);
    match (place, text(headers, header::HOST)) {
        (Some(place), Some(host)) if place.eq_ignore_ascii_case(host) => Ok(()),
        (Some(_) | None, Some(_) | None) => Err(StatusCode::FORBIDDEN),
    }
}

/// Refuses a name that somebody may have made to lead here, so that a browser takes our pages for
/// theirs. From this machine, where no password is asked for, the server is known by an address, as
/// `localhost` or by the machine's own name. Where a password is, a browser has it only for the name
/// that it was typed for.
pub fn known_host(via: Via, headers: &HeaderMap) -> Result<(), StatusCode> {
    match via {
        Via::Socket | Via::Port => return Ok(()),
        Via::Loopback => {}
    }
    let Some(host) = text(headers, header::HOST) else { return Ok(()) };
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or(rest, |(address, _)| address),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    // `127.1` and the like: no name ends in a number. Source: RFC 3696, section 2; inet(3), inet_aton.
    let number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let known = name.parse::<IpAddr>().is_ok()
        || name.split('.').all(number)
        || name == "localhost"
        || name.ends_with(".localhost")
        || (!name.is_empty() && name == machine());
    match known {
        true => Ok(()),
        false => Err(StatusCode::MISDIRECTED_REQUEST),
    }
}

/// Returns what this machine is called.
fn machine() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().to_ascii_lowercase()
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(rows: &[(&'static str, &str)]) -> HeaderMap {
        rows.iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn only_pages_of_our_own_and_programs_may_change_something() {
        for (rows, allowed) in [
            (&[("host", "h:1")][..], true),
            (&[("host", "h:1"), ("origin", "http://H:1")], true),
            (&[("host", "h:1"), ("origin", "http://evil")], false),
            (&[("host", "h:1"), ("origin", "http://h")], false),
            (&[("host", "h:1"), ("origin", "null")], false),
            (&[("origin", "http://h")], false),
            (
                &[("host", "h"), ("sec-fetch-site", "same-origin"), ("origin", "https://proxy")],
                true,
            ),
            (&[("host", "h"), ("sec-fetch-site", "same-site"), ("origin", "http://h")], false),
            (&[("host", "h"), ("sec-fetch-site", "cross-site")], false),
            (&[("host", "h"), ("sec-fetch-site", "none")], false),
        ] {
            let headers = headers(rows);
            assert_eq!(same_site(&Method::POST, &headers).is_ok(), allowed, "{rows:?}");
            assert!(same_site(&Method::GET, &headers).is_ok());
        }
    }

    #[test]
    fn on_this_machine_a_foreign_name_is_nobody_we_know() {
        let own = machine();
        for (host, known) in [
            ("127.0.0.1:9001", true),
            ("[::1]:9001", true),
            ("[::1]", true),
            ("10.1.2.3", true),
            ("127.1:9001", true),
            ("2130706433", true),
            ("1.evil", false),
            ("127..1", false),
            ("localhost", true),
            ("LOCALHOST.:80", true),
            ("app.localhost:80", true),
            (own.as_str(), true),
            ("evil.example:9001", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("", false),
        ] {
            let headers = headers(&[("host", host)]);
            assert_eq!(known_host(Via::Loopback, &headers).is_ok(), known, "{host}");
            assert!(known_host(Via::Port, &headers).is_ok());
            assert!(known_host(Via::Socket, &headers).is_ok());
        }
    }
}
