//! The core: keeper, daemon and logger in one binary, and the init of a single process; the first
//! argument tells all but the first.
#![no_main]
#![deny(unsafe_code)]

use std::ffi::{c_int, CString};
use sys::entry::{enter, show_as, RawArguments};
use upright::options::{self, Asked, Mode};

/// Where the C runtime begins. Not the standard library's start-up: it ends the process where
/// `/dev/null` is missing, which PID 1 must not.
#[allow(unsafe_code)] // The name, which the C runtime asks for, is all that is unsafe about it.
#[no_mangle]
extern "C" fn main(_count: c_int, arguments: RawArguments) -> c_int {
    enter(arguments, role)
}

/// Runs the role that the arguments ask for, on what is left of them.
fn role(mut arguments: Vec<CString>) -> i32 {
    sys::memory::settle();
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
            upright::logger::run()
        }
        Some(b"--role=keeper") => upright::keeper::go_on(&arguments),
        Some(b"--role=try") => upright::trial::run(arguments.split_off(2)),
        Some(b"--role=run") => upright::run::run(arguments.split_off(2)),
        Some(_) | None => keep(arguments),
    }
}

/// Runs the keeper, once the options are known to be right: a mistake is told here, where somebody
/// still looks.
fn keep(arguments: Vec<CString>) -> i32 {
    match options::read(&options::words(arguments.clone())) {
        Ok(Asked::Run(options)) if options.mode == Mode::System && !sys::own::is_first() => {
            if arguments.iter().any(|argument| argument.as_bytes() == b"--system") {
                return upright::keeper::run(arguments);
            }
            sys::say::line(format_args!(
                "init: not PID 1: say --user for a session, --system for a machine, or use `upright up'; \
                 another runlevel is telinit's"
            ));
            1
        }
        Ok(Asked::Run(_)) => upright::keeper::run(arguments),
        Ok(Asked::Print(text)) => {
            sys::say::text(&text);
            0
        }
        Err(mistake) => {
            mistake.lines().for_each(|line| sys::say::line(format_args!("{line}")));
            1
        }
    }
}
