//! The logger: reads the pipes that processes write to, writes files, rotates them, forwards lines.
//!
//! It exists so that neither the keeper nor the engine ever waits for a disk. It holds nothing that
//! would be missed: the keeper has every pipe, the pipes have every byte that is not in a file yet,
//! and what moves from one to the other moves in one system call. So it can be killed at any moment;
//! the next one is given the pipes again.
//!
//! ```text
//! run        the loop: wait, serve what is ready, fire timers
//! channel    messages to and from keeper and daemon
//! routes     which pipe goes to which file; pipes come and go
//! serve      bytes from one pipe, as many as are its turn
//! faults     files that cannot be written: keep, drop, try again
//! drain      the barrier, and the end
//! asked      files for readers, and how much came
//! succession when the keeper is killed
//! destination, cut, rotation, tail     one file
//! forward    standard output
//! pace       when a busy pipe is left alone for a moment
//! ```

mod asked;
mod channel;
mod cut;
mod destination;
mod drain;
mod faults;
mod forward;
mod pace;
mod rotation;
mod routes;
mod run;
mod serve;
mod slab;
mod source;
mod store;
mod succession;
mod tail;
mod treat;

pub use run::run;

use std::io::Write;
use sys::Errno;

/// Says something to whoever reads standard error; nothing can be done where nobody does.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "upright: {text}");
}

/// Returns what the kernel's number means, as `perror` would say it.
fn words(errno: Errno) -> String {
    shown::words::system(&errno.into())
}
