//! `upright run`: the init of a single process, for containers whose image has its own way to start.
//! It does what tini does, with tini's flags: starts a program, passes signals on to it, reaps
//! everything, and exits as the program did. No job file is read, nothing is supervised.

mod options;

use engine::process::{Exit, Pid};
use engine::signal::Signal;
use options::{Asked, Options, Whom};
use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use sys::alone::{self, Before};
use sys::epoll::{Epoll, Interest};
use sys::signals::{SignalFd, SignalSet};
use sys::wait::{change, Change};
use sys::Errno;

/// SIGCHLD.
const CHILD: u8 = 17;

/// The code where the program cannot be found, cannot be executed, or we cannot start at all.
/// Source: POSIX, shell; tini.
const NOT_FOUND: i32 = 127;
const NOT_EXECUTED: i32 = 126;
const FAILED: i32 = 1;

/// Runs the program that the arguments name; returns the exit status.
pub fn run(arguments: Vec<CString>) -> i32 {
    let env = |name: &str| std::env::var_os(name);
    let arguments: Vec<&OsStr> =
        arguments.iter().map(|argument| OsStr::from_bytes(argument.as_bytes())).collect();
    match options::read(&arguments, &env) {
        Ok(Asked::Run(options)) => alone(&options),
        Ok(Asked::Print(text)) => {
            sys::say::text(&text);
            0
        }
        Err(mistake) => {
            say(&mistake);
            FAILED
        }
    }
}

fn alone(options: &Options) -> i32 {
    let (before, passed) = Before::block();
    if let Err(why) = prepare(options) {
        say(&why);
        return FAILED;
    }
    let watch = SignalFd::new(passed).and_then(|signals| {
        let epoll = Epoll::new(1)?;
        epoll.add(&signals, 0, Interest::Read)?;
        Ok((epoll, signals))
    });
    let (epoll, signals) = match watch {
        Ok(watch) => watch,
        Err(errno) => {
            say(&format!("cannot wait for signals: {}", words(errno)));
            return FAILED;
        }
    };
    let program = options.program.first().map(|program| program.to_string_lossy());
    let program = program.unwrap_or_default();
    let child = match alone::start(options.program.clone(), &before) {
        Ok(child) => child,
        Err(errno) => {
            say(&format!("cannot execute {program}: {}", words(errno)));
            return match errno {
                Errno::NOENT => NOT_FOUND,
                Errno::ACCESS | Errno::NOEXEC | Errno::ISDIR => NOT_EXECUTED,
                _ => FAILED,
            };
        }
    };
    options.tell(1, || format!("process {child} runs {program}"));
    serve(options, epoll, &signals, child)
}

/// Asks the kernel for what the flags want of it.
fn prepare(options: &Options) -> Result<(), String> {
    if let Some(signal) = options.parent_death {
        alone::die_with_parent(signal)
            .map_err(|errno| format!("-p {signal}: the kernel refuses: {}", words(errno)))?;
    }
    if options.subreaper {
        sys::own::become_subreaper()
            .map_err(|errno| format!("-s: cannot become a subreaper: {}", words(errno)))?;
    }
    if !sys::own::is_first() && !alone::is_subreaper() {
        options.tell(0, || {
            String::from(
                "not PID 1: orphans go elsewhere and are not reaped here; say -s to have them",
            )
        });
    }
    Ok(())
}

/// Passes signals on and reaps until the child has ended; returns what it ended with.
fn serve(options: &Options, mut epoll: Epoll, signals: &SignalFd, child: Pid) -> i32 {
    loop {
        // Interrupted or refused, the signals are looked at all the same.
        let _ = epoll.wait(None).map(Iterator::count);
        pass(options, signals.take(), child);
        if let Some(exit) = reap(options, child) {
            let code = match exit {
                Exit::Status(status) => i32::from(status),
                Exit::Signal { signal, .. } => 128 + i32::from(signal),
                Exit::Unknown | Exit::OutOfMemory => FAILED,
            };
            options.tell(1, || format!("process {child} has ended: exit code {code}"));
            return if options.is_fine(code) { 0 } else { code };
        }
    }
}

fn pass(options: &Options, mut taken: SignalSet, child: Pid) {
    while let Some(number) = taken.first() {
        taken = taken.without(number);
        let Some(signal) = Signal::new(number).filter(|_| number != CHILD) else { continue };
        options.tell(2, || format!("passing {signal} on"));
        let sent = match options.whom {
            Whom::Process => sys::signals::send(child, signal),
            Whom::Group => sys::signals::send_group(child, signal),
        };
        if let Err(errno) = sent {
            options.tell(0, || format!("{signal} cannot be passed on: {}", words(errno)));
        }
    }
}

/// Reaps whatever has ended; returns how the child did, once it has.
fn reap(options: &Options, child: Pid) -> Option<Exit> {
    let mut of_child = None;
    while let Some((pid, change)) = change(sys::wait::Whom::Any) {
        match change {
            Change::Exited(exit) if pid == child => of_child = Some(exit),
            Change::Exited(_) if options.warns_of_orphans => {
                say(&format!("process {pid} was nobody's child any more and has been reaped"));
            }
            Change::Exited(_) => options.tell(2, || format!("reaped process {pid}")),
            Change::Stopped(_) => {}
        }
    }
    of_child
}

fn words(errno: Errno) -> String {
    shown::words::system(&errno.into())
}

fn say(text: &str) {
    text.lines().for_each(|line| sys::say::line(format_args!("upright run: {line}")));
}
