//! `upright-http`: answers Supervisor's clients (supervisorctl, XML-RPC, log tails) and those who collect
//! numbers, in a process of its own that has no rights.
//!
//! The daemon starts it as the job `upright/http` and gives it, over the channel at descriptor 0, what it
//! serves: for each server the socket that listens, and who is let in. What comes over HTTP is said again
//! in the words of control, over connections that have what the server's section grants; whether it may
//! be done is decided there, as for everybody. The daemon parses neither HTTP nor XML.
//!
//! ```text
//! link      the channel to the daemon       listen     sockets, connections, their bounds
//! serve     requests of HTTP                auth       who may ask
//! methods   THE TABLE of methods            call       what each of them does
//! acts      starts, stops, signals          processes  instances as Supervisor's processes
//! logs      files of output                 follow     a log as it grows
//! control   the words of control           guard      what browsers are told by others to send
//! web       what is for people             metrics    numbers
//! listeners programs that are told what happens
//! instances all of them, in both vocabularies
//! ```
#![forbid(unsafe_code)]

mod acts;
mod auth;
mod call;
mod control;
mod follow;
mod guard;
mod instances;
mod link;
mod listen;
mod listeners;
mod logs;
mod methods;
mod metrics;
mod processes;
#[cfg(test)]
#[path = "../../sys/src/scratch.rs"]
mod scratch;
mod serve;
mod web;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use tokio::task::LocalSet;

#[global_allocator]
static HEAP: sys::heap::Heap = sys::heap::Heap;

fn main() -> ExitCode {
    match std::env::args_os().nth(1) {
        Some(word) if word == "--version" => {
            println!("upright-http {}", env!("CARGO_PKG_VERSION"));
            return ExitCode::SUCCESS;
        }
        Some(_) | None => {}
    }
    let Some(channel) = channel() else {
        eprintln!("upright-http: is started by Upright's daemon only, as the job upright/http");
        return ExitCode::from(2);
    };
    match run(channel) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("upright-http: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns the channel to the daemon; nothing where this was not started by one.
fn channel() -> Option<OwnedFd> {
    let stdin = io::stdin();
    sys::seqpacket::is_one(stdin.as_fd()).then(|| stdin.as_fd().try_clone_to_owned().ok()).flatten()
}

fn run(channel: OwnedFd) -> io::Result<()> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    LocalSet::new().block_on(&runtime, link::serve(channel))
}
