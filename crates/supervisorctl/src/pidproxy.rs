//! `pidproxy PIDFILE COMMAND [ARGUMENT...]`: runs a command that makes a daemon, and passes signals
//! on to the process that the daemon's pid file names. Source: Supervisor 4.3.0, pidproxy.py.

use crate::python::words;
use engine::signal::Signal;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};
use sys::ready::{wait, Want};
use sys::signals::{block, blocked, SignalFd, SignalSet};

/// What is passed on, and whether the proxy ends with it.
const PASSED: [(Signal, bool); 6] = [
    (Signal::HUP, false),
    (Signal::USR1, false),
    (Signal::USR2, false),
    (Signal::TERM, true),
    (Signal::INT, true),
    (QUIT, true),
];

const QUIT: Signal = match Signal::new(3) {
    Some(signal) => signal,
    None => Signal::INT,
};

/// Signal 17: a child has ended.
const CHILD: u8 = 17;

/// Runs it; returns the exit code: 0 once the command has ended or the proxy was told to, whatever
/// became of the command; 127 where it cannot be run.
pub fn run(program: &OsStr, arguments: &[OsString]) -> u8 {
    let [pidfile, command, rest @ ..] = arguments else {
        println!(
            "pidproxy -- run a command and pass signals on to the process that a pid file names.\n\n\
             Usage: {} <pidfile name> <command> [<cmdarg1> ...]\n",
            program.to_string_lossy()
        );
        return 1;
    };
    let mut signals = SignalSet::NONE.with(CHILD);
    let mut mask = blocked().with(CHILD);
    for (signal, _) in PASSED {
        signals = signals.with(signal.number());
        mask = mask.with(signal.number());
    }
    block(mask);
    match attend(Path::new(pidfile), command, rest, signals) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("pidproxy: cannot run {}: {}", command.to_string_lossy(), words(&error));
            127
        }
    }
}

fn attend(
    pidfile: &Path,
    command: &OsStr,
    rest: &[OsString],
    signals: SignalSet,
) -> io::Result<()> {
    let arrived = SignalFd::new(signals)?;
    // No search in PATH: a name without a slash is in the working directory, as it was.
    let path = std::path::absolute(Path::new(command))?;
    let mut child = Command::new(path).arg0(command).args(rest).spawn()?;
    loop {
        wait(&[Want::Read(arrived.as_fd())], None)?;
        let came = arrived.take();
        for (signal, ends) in PASSED {
            if came.has(signal.number()) && pass(pidfile, signal) && ends {
                return Ok(());
            }
        }
        if has_ended(&mut child)? {
            return Ok(());
        }
    }
}

fn has_ended(child: &mut Child) -> io::Result<bool> {
    Ok(child.try_wait()?.is_some())
}

/// Sends a signal to the process that the file names; says so where it names none.
fn pass(pidfile: &Path, signal: Signal) -> bool {
    let text = std::fs::read_to_string(pidfile).unwrap_or_default();
    let Ok(pid) = text.trim().parse::<i32>() else {
        println!("Can't read child pidfile {}!", pidfile.display());
        return false;
    };
    match sys::pidfd::open(pid).and_then(|process| sys::pidfd::send(process, signal)) {
        Ok(()) => true,
        Err(errno) => {
            let error = io::Error::from(errno);
            eprintln!("pidproxy: signal {} to {pid}: {}", signal.number(), words(&error));
            true
        }
    }
}
