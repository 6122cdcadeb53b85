//! `reboot`, `halt`, `poweroff`: end the machine, where it is down already or that is insisted on;
//! else they have `shutdown` take it down first.

use super::level::{Level, Levels};
use super::{Failed, Tool};
use crate::cli::connect::words;
use std::ffi::CString;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use sys::power::Power;
use sys::utmp::{self, Kind, Record, UTMP, WTMP};

/// What takes the machine down. Source: spec 11.6.
const SHUTDOWN: &str = "/sbin/shutdown";

/// By which name it was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Halt,
    Off,
    Restart,
}

/// Runs it; returns only where the machine goes on.
pub(super) fn run(tool: &mut Tool<'_, '_>, args: &[Vec<u8>], asked: Asked) -> Result<(), Failed> {
    let power = power(asked, tool.said.off, args.first())
        .ok_or_else(|| tool.error("the reboot command has a byte of zero"))?;
    tool.need_root()?;
    let level = Levels::known(tool, Path::new(UTMP)).map(|levels| levels.now);
    let is_down = matches!(level, Some(Level::HALT | Level::REBOOT));
    if !(tool.said.force || tool.said.only_record || is_down) {
        return Err(shut_down(tool, &power));
    }
    // For people to look at later: where it cannot be written, the machine ends all the same.
    let _ = utmp::append(Path::new(WTMP), &Record::of_machine(Kind::Runlevel, 0, "shutdown"));
    if tool.said.only_record {
        return Ok(());
    }
    if !tool.said.no_sync {
        sys::power::sync();
    }
    let errno = sys::power::end(&power);
    let error = std::io::Error::from_raw_os_error(errno.raw_os_error());
    Err(tool.error(&format!("the kernel does not end the machine: {}", words(&error))))
}

fn power(asked: Asked, off: bool, command: Option<&Vec<u8>>) -> Option<Power> {
    Some(match (asked, command) {
        (Asked::Halt, _) if off => Power::Off,
        (Asked::Halt, _) => Power::Halt,
        (Asked::Off, _) => Power::Off,
        (Asked::Restart, None) => Power::Restart,
        (Asked::Restart, Some(word)) => Power::RestartWith(CString::new(word.clone()).ok()?),
    })
}

/// Becomes `shutdown`, so that everything is stopped first; returns where that cannot be.
fn shut_down(tool: &mut Tool<'_, '_>, power: &Power) -> Failed {
    let options: &[&str] = match power {
        Power::Restart | Power::RestartWith(_) => &["-r"],
        Power::Halt => &["-h", "-H"],
        Power::Off => &["-h", "-P"],
    };

    let error = Command::new(SHUTDOWN).args(options).arg("now").exec();
    tool.error(&format!("Unable to execute shutdown: {}", words(&error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_says_how_the_machine_ends_and_halt_can_be_told_to_switch_it_off() {
        let word = b"bootloader".to_vec();
        let table = [
            (Asked::Halt, false, None, Power::Halt),
            (Asked::Halt, true, None, Power::Off),
            (Asked::Off, false, None, Power::Off),
            (Asked::Restart, true, None, Power::Restart),
            (Asked::Restart, false, Some(&word), Power::RestartWith(c"bootloader".into())),
        ];
        for (asked, off, command, expected) in table {
            assert_eq!(power(asked, off, command), Some(expected));
        }
        assert_eq!(power(Asked::Restart, false, Some(&b"a\0b".to_vec())), None);
    }
}
