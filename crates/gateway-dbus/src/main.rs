//! `upright-dbus`: answers D-Bus clients of Upstart, in a process of its own that has no rights.
//!
//! The daemon starts it as the job `upright/dbus` and gives it, over the channel at descriptor 0, what
//! it serves: for each client the client's socket, from which nothing has been read, and connections
//! to control that have the client's rights. What comes over D-Bus is said again in the words of
//! control; whether it may be done is decided there, as for everybody.
//!
//! ```text
//! link        the channel to the daemon           client   one client: its calls, its signals
//! socket      a client's socket, within bounds    router   what a call means
//! control     the words of control                faces    THE TABLE of interfaces
//! objects     paths                               signals  notices as signals
//! faults      refusals as errors                  bus      the same on a message bus
//! ```
#![forbid(unsafe_code)]

mod bus;
mod client;
mod control;
mod faces;
mod faults;
mod link;
mod objects;
mod router;
mod signals;
mod socket;
mod value;

use rustix::net::SocketType;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;

fn main() -> ExitCode {
    match std::env::args_os().nth(1) {
        Some(word) if word == "--version" => {
            println!("upright-dbus {}", env!("CARGO_PKG_VERSION"));
            return ExitCode::SUCCESS;
        }
        Some(_) | None => {}
    }
    let Some(channel) = channel() else {
        eprintln!("upright-dbus: is started by Upright's daemon only, as the job upright/dbus");
        return ExitCode::from(2);
    };
    match run(channel) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("upright-dbus: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns the channel to the daemon; nothing where this was not started by one.
fn channel() -> Option<OwnedFd> {
    let stdin = io::stdin();
    let kind = rustix::net::sockopt::socket_type(stdin.as_fd()).ok()?;
    (kind == SocketType::SEQPACKET).then(|| stdin.as_fd().try_clone_to_owned().ok()).flatten()
}

fn run(channel: OwnedFd) -> io::Result<()> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    runtime.block_on(link::serve(channel))
}
