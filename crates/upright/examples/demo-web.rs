//! The demonstration's web service where there is no node: one page, read anew for every request.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::ExitCode;

/// The most bytes of a request that are read.
const REQUEST_MAX: u64 = 64 * 1024;

fn main() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("demo-web: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Answers one client after the other, until the process is ended.
fn serve() -> Result<(), String> {
    let variable = |name: &str| std::env::var_os(name).ok_or(format!("{name} is not set"));
    let page = variable("PAGE")?;
    let port = variable("DEMO_PORT")?;
    let port = port.to_str().and_then(|port| port.parse::<u16>().ok());
    let port = port.ok_or("DEMO_PORT is no port: give 1 to 65535")?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .map_err(|error| format!("cannot listen on port {port}: {error}"))?;
    println!("demo-web listens on port {port}");
    for client in listener.incoming() {
        if let Err(error) = client.and_then(|client| answer(client, Path::new(&page))) {
            println!("a client was lost: {error}");
        }
    }
    Ok(())
}

fn answer(mut client: TcpStream, page: &Path) -> io::Result<()> {
    let mut request = BufReader::new(io::Read::take(client.try_clone()?, REQUEST_MAX));
    let mut first = String::new();
    request.read_line(&mut first)?;
    println!("{}", first.trim_end());
    let mut line = String::new();
    // Up to the empty line that ends the request; a client that stops early reads its end here.
    while request.read_line(&mut line)? > 2 {
        line.clear();
    }
    let text = std::fs::read_to_string(page)?;
    let body = format!("{text}Served by process {}.\n", std::process::id());
    write!(
        client,
        "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}
