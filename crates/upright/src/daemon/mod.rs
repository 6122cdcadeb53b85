//! The daemon: the engine and its event loop.

use std::ffi::CString;

/// Runs the daemon with the arguments that the keeper was started with, its name first.
pub fn run(_arguments: Vec<CString>) -> i32 {
    1
}
