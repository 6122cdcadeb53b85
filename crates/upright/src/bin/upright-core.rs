//! The core: keeper, daemon and logger in one binary; the first argument tells the latter two.
#![no_main]
#![deny(unsafe_code)]

use std::ffi::{c_int, CString};
use sys::entry::{enter, show_as, RawArguments};

/// Where the C runtime begins. Not the standard library's start-up: it ends the process where
/// `/dev/null` is missing, which PID 1 must not.
#[allow(unsafe_code)] // The name, which the C runtime asks for, is all that is unsafe about it.
#[no_mangle]
extern "C" fn main(_count: c_int, arguments: RawArguments) -> c_int {
    enter(arguments, role)
}

/// Runs the role that the arguments ask for, on what is left of them.
fn role(mut arguments: Vec<CString>) -> i32 {
    let role = arguments.get(1).map(|role| role.as_bytes());
    match role {
        Some(b"--role=daemon") => {
            show_as(c"upright-daemon");
            sys::signals::ignore_pipe();
            upright::daemon::run(arguments.split_off(2))
        }
        Some(b"--role=logger") => {
            show_as(c"upright-logger");
            sys::signals::ignore_pipe();
            upright::logger::run(arguments.split_off(2))
        }
        Some(_) | None => upright::keeper::run(arguments),
    }
}
