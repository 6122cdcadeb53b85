//! The core: keeper, daemon and logger in one binary, and the init of a single process; the first
//! argument tells all but the first. Called `supervisord`, it stands in for Supervisor's daemon.
#![no_main]
#![deny(unsafe_code)]

use std::ffi::{c_int, CString};
use sys::entry::{enter, show_as, RawArguments};
use upright::options::{self, Asked, Mode};
use upright::supervisord::{self, front::Front};

#[global_allocator]
static HEAP: sys::heap::Heap = sys::heap::Heap;

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
            upright::logger::run()
        }
        Some(b"--role=keeper") => sys::first::end_instead(upright::keeper::go_on(&arguments)),
        Some(b"--role=rehearse") => upright::keeper::rehearse(&arguments),
        Some(b"--role=proof") => upright::keeper::be_proof(),
        Some(b"--role=try") => upright::trial::run(arguments.split_off(2)),
        Some(b"--role=run") => upright::run::run(arguments.split_off(2)),
        _ if is_supervisord(&arguments) => supervisord(arguments),
        Some(_) | None => {
            if sys::own::is_first() {
                sys::first::prepare();
            }
            sys::first::end_instead(keep(arguments))
        }
    }
}

fn is_supervisord(arguments: &[CString]) -> bool {
    arguments.first().is_some_and(|name| supervisord::options::is_meant(name.as_bytes()))
}

/// Runs the keeper in the place of Supervisor's daemon.
fn supervisord(arguments: Vec<CString>) -> i32 {
    match supervisord::front::prepare(arguments) {
        Front::Keep(arguments, read) => upright::keeper::run_with(arguments, read),
        Front::End(status) => status,
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
            if sys::own::is_first() && sys::first::in_machine() {
                // From the boot loader: a machine with a word too much should come up all the same.
                return upright::keeper::run(arguments.into_iter().take(1).collect());
            }
            1
        }
    }
}
