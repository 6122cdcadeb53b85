//! The kernel's side of Upright: the only crate with `unsafe`, each block with its reason.
//!
//! Small wrappers that do what they say and decide nothing. They know data types of the engine and
//! never the engine itself.

pub mod alone;
pub mod background;
pub mod backlog;
pub mod cgroup;
mod child;
pub mod clock;
mod copy;
pub mod entry;
pub mod epoll;
pub mod first;
pub mod ground;
pub mod heap;
#[cfg(test)]
mod last;
pub mod lifeline;
pub mod limits;
pub mod lock;
pub mod logfile;
pub mod memfd;
pub mod memory;
pub mod outlet;
pub mod own;
pub mod page;
pub mod peer;
pub mod pidfd;
pub mod pipe;
pub mod plan;
mod port;
pub mod power;
pub mod procfs;
pub mod pty;
mod raw;
pub mod ready;
pub mod report;
pub mod say;
#[cfg(test)]
mod scratch;
pub mod seqpacket;
pub mod signals;
pub mod spawn;
pub mod start;
pub mod timer;
pub mod tty;
pub mod users;
pub mod utmp;
pub mod wait;
pub mod watch;

/// Why the kernel refused something.
pub use rustix::io::Errno;
