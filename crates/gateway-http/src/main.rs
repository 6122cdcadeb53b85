//! `upright-http`: answers Supervisor's clients (supervisorctl, XML-RPC, log tails) for an Upright, and
//! those who collect numbers, in a process of its own that has no rights but those of the user it runs as.
//!
//! Whatever comes over HTTP is said again in the words of control, which decides whether it may be
//! done. The daemon parses neither HTTP nor XML.
//!
//! ```text
//! options   the command line            listen     sockets, connections, their bounds
//! serve     requests of HTTP            auth       who may ask
//! methods   THE TABLE of methods        call       what each of them does
//! acts      starts, stops, signals      processes  instances as Supervisor's processes
//! logs      files of output             follow     a log as it grows
//! control   the words of control       guard      what browsers are told by others to send
//! web       what is for people          metrics    numbers
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
mod listen;
mod logs;
mod methods;
mod metrics;
mod options;
mod processes;
mod serve;
mod web;

use std::process::ExitCode;

#[global_allocator]
static HEAP: sys::heap::Heap = sys::heap::Heap;

fn main() -> ExitCode {
    let arguments: Vec<String> =
        std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let options = match options::read(&arguments) {
        Ok(options) => options,
        Err(options::Instead::Text(text)) => {
            print!("{text}");
            return ExitCode::SUCCESS;
        }
        Err(options::Instead::Mistake(text)) => {
            eprintln!("upright-http: {text}\nFor help: upright-http --help");
            return ExitCode::from(2);
        }
    };
    match listen::run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("upright-http: {why}");
            ExitCode::FAILURE
        }
    }
}
