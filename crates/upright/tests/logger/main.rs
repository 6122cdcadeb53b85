//! The logger as a process, against the real kernel.

mod exactly_once;
mod faults;
mod files;
mod forwarding;
mod keeper;
mod life;
