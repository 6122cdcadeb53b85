//! `shutdown`: warns, waits in the foreground, takes the machine down. Source: spec 11.6.

use super::level::{self, Level};
use super::{wall, when, Failed, How, Tool};
use crate::cli::connect::words;
use engine::process::Pid;
use engine::signal::Signal;
use std::fs;
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::path::Path;
use sys::epoll::{Epoll, Interest};
use sys::signals::{block, SignalFd, SignalSet};

/// Who waits. Source: libnih, nih_main_read_pidfile.
const PID_FILE: &str = "/var/run/shutdown.pid";

/// What keeps users from logging in. Source: nologin(5).
const NO_LOGIN: &str = "/etc/nologin";

const MINUTE: u64 = 60_000_000_000;

/// A shutdown that was asked for.
struct Plan {
    level: Level,
    how: Option<How>,
    message: String,
}

/// Whether the wait went through.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Waited {
    Through,
    Cancelled,
}

/// Runs it; returns when the machine is on its way down, or the shutdown was cancelled.
pub(super) fn run(tool: &mut Tool<'_, '_>, args: &[Vec<u8>]) -> Result<(), Failed> {
    let (level, how) = tool.said.down.unwrap_or((Level::SINGLE, None));
    let (time, message) = match (tool.said.cancel, tool.said.time.take(), args.split_first()) {
        (true, _, _) => (None, args),
        (false, Some(time), _) => (Some(time), args),
        (false, None, Some((time, message))) => (Some(time.clone()), message),
        (false, None, None) => return Err(tool.mistake("time expected")),
    };
    let left = match time {
        None => 0,
        Some(time) => {
            when::minutes(&time, sys::clock::shown()).map_err(|what| tool.mistake(what))?
        }
    };
    let plan = Plan { level, how, message: joined(message) };
    tool.need_root()?;
    if tool.said.cancel {
        return cancel(tool, &plan.message);
    }
    if running().is_some() {
        return Err(tool.error("Another shutdown is already running"));
    }
    let _ = std::env::set_current_dir("/");
    wall::wall(tool, &plan.warning(left));
    if left > 0 {
        match wait(tool, &plan, left)? {
            Waited::Through => {}
            Waited::Cancelled => {
                let _ = tool.error("Shutdown cancelled");
                return Ok(());
            }
        }
    }
    match tool.said.only_warn {
        true => Ok(()),
        false => level::change(tool, plan.level, plan.how),
    }
}

/// Ends the shutdown that waits.
fn cancel(tool: &mut Tool<'_, '_>, message: &str) -> Result<(), Failed> {
    if !Path::new(PID_FILE).exists() {
        return Err(tool.error("Cannot find pid of running shutdown"));
    }
    let told = running().is_some_and(|waiting| sys::pidfd::send(waiting, Signal::INT).is_ok());
    if !told {
        return Err(tool.error("Shutdown is not running"));
    }
    if !message.is_empty() {
        wall::wall(tool, message);
    }
    Ok(())
}

/// Returns the shutdown that waits. A number in the file that is another program's by now is none.
fn running() -> Option<OwnedFd> {
    let pid: Pid = fs::read_to_string(PID_FILE).ok()?.trim().parse().ok()?;
    let process = sys::pidfd::open(pid).ok()?;
    let name = sys::procfs::stat(pid)?.comm;
    (pid > 1 && name == b"shutdown").then_some(process)
}

/// Waits until the time has come, warning on the way. Everything but INT and TERM is left alone, as
/// who logs out must not take the shutdown with him.
fn wait(tool: &mut Tool<'_, '_>, plan: &Plan, minutes: u32) -> Result<Waited, Failed> {
    block(SignalSet::ALL);
    let (int, term) = (Signal::INT.number(), Signal::TERM.number());
    let opened = SignalFd::new(SignalSet::NONE.with(int).with(term)).and_then(|signals| {
        let epoll = Epoll::new(1)?;
        epoll.add(&signals, 0, Interest::Read)?;
        Ok((signals, epoll))
    });
    let (signals, mut epoll) = match opened {
        Ok(opened) => opened,
        Err(errno) => return Err(tool.error(&format!("cannot wait: {errno}"))),
    };
    if let Err(error) = write_pid() {
        tool.world.say(&format!(
            "{}: Unable to write pid file {PID_FILE}: {}; `shutdown -c' will not find this one",
            tool.world.program,
            words(&error)
        ));
    }
    let began = sys::clock::boot();
    let mut waited = Waited::Through;
    for left in (0..minutes).rev() {
        if left < when::NO_LOGINS && !tool.said.only_warn {
            refuse_logins(&plan.warning(left + 1));
        }
        let until = u64::from(minutes - left) * MINUTE;
        while waited == Waited::Through && sys::clock::boot().since(began).0 < until {
            let rest = until - sys::clock::boot().since(began).0;
            // The machine may sleep meanwhile, which this clock does not see by itself.
            let _ = epoll.wait(Some(rest.min(MINUTE / 6))).map(|ready| ready.for_each(drop));
            if !signals.take().is_empty() {
                waited = Waited::Cancelled;
            }
        }
        if waited == Waited::Cancelled {
            break;
        }
        if when::is_told(left) {
            wall::wall(tool, &plan.warning(left));
        }
    }
    let _ = fs::remove_file(PID_FILE);
    if !tool.said.only_warn {
        let _ = fs::remove_file(NO_LOGIN);
    }
    Ok(waited)
}

fn write_pid() -> std::io::Result<()> {
    match fs::remove_file(PID_FILE) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    // Made new: nothing that somebody left there is written through.
    let mut file = fs::File::create_new(PID_FILE)?;
    std::io::Write::write_all(&mut file, format!("{}\n", std::process::id()).as_bytes())
}

fn refuse_logins(message: &str) {
    let _ = fs::remove_file(NO_LOGIN);
    // On a disk that cannot be written users may log in: no reason not to shut down.
    if let Ok(mut file) = fs::File::create_new(NO_LOGIN) {
        let _ = std::io::Write::write_all(&mut file, message.replace('\r', "").as_bytes());
    }
}

impl Plan {
    /// Returns what users are told when so many minutes are left.
    fn warning(&self, left: u32) -> String {
        let what = match (self.level, self.how) {
            (Level::HALT, Some(How::Off)) => "power off",
            (Level::HALT, Some(How::Halt) | None) => "halt",
            (Level::REBOOT, _) => "reboot",
            (_, _) => "maintenance",
        };
        let time = match left {
            0 => String::from("NOW!"),
            1 => String::from("in 1 minute!"),
            _ => format!("in {left} minutes!"),
        };
        format!("\r\nThe system is going down for {what} {time}\r\n{}", self.message)
    }
}

/// Returns the message that the arguments are: nothing, or a line.
fn joined(args: &[Vec<u8>]) -> String {
    if args.is_empty() {
        return String::new();
    }
    let words: Vec<_> = args.iter().map(|word| String::from_utf8_lossy(word)).collect();
    // Nobody's terminal is to be told more than words.
    let line = words.join(" ").replace(|letter: char| letter.is_control() && letter != '\t', "?");
    line + "\r\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_says_what_happens_and_when_and_then_the_message() {
        let plan =
            |level, how| Plan { level, how, message: joined(&[b"be".into(), b"quick".into()]) };
        let table = [
            (Level::SINGLE, None, 0, "maintenance NOW!"),
            (Level::REBOOT, None, 1, "reboot in 1 minute!"),
            (Level::HALT, None, 2, "halt in 2 minutes!"),
            (Level::HALT, Some(How::Halt), 15, "halt in 15 minutes!"),
            (Level::HALT, Some(How::Off), 120, "power off in 120 minutes!"),
        ];
        for (level, how, left, expected) in table {
            let line = format!("\r\nThe system is going down for {expected}\r\nbe quick\r\n");
            assert_eq!(plan(level, how).warning(left), line);
        }
    }

    #[test]
    fn a_message_cannot_steer_a_terminal() {
        assert_eq!(joined(&[]), "");
        assert_eq!(joined(&[b"a\x1b[2J\nb\xff".to_vec()]), "a?[2J?b\u{fffd}\r\n");
    }
}
