//! Messages to everybody who is logged in, on their terminals.

use super::Tool;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};
use sys::clock::Shown;
use sys::utmp::{self, Kind, Record, UTMP};

/// O_NONBLOCK and O_NOCTTY: a terminal that is held or hung must not hold the shutdown, and must not
/// become ours.
const FLAGS: i32 = 0o4000 | 0o400;

/// Shows a message, lines ended by CR LF, on every terminal where somebody is logged in.
pub(super) fn wall(tool: &Tool<'_, '_>, message: &str) {
    let text = format!("{}{message}", header(tool));
    for terminal in terminals(&utmp::read(Path::new(UTMP)).unwrap_or_default()) {
        let opened = OpenOptions::new().write(true).custom_flags(FLAGS).open(terminal);
        let Ok(mut file) = opened else { continue };
        if file.metadata().is_ok_and(|file| file.file_type().is_char_device()) {
            // Who does not read, is not told: nothing waits.
            let _ = file.write_all(text.as_bytes());
        }
    }
}

fn header(tool: &Tool<'_, '_>) -> String {
    let user = sys::users::user_by_id(Path::new("/"), tool.world.uid);
    let user = user.map_or_else(
        |_| tool.world.uid.to_string(),
        |user| String::from_utf8_lossy(&user.name).into_owned(),
    );
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let terminal = std::fs::read_link("/proc/self/fd/0").ok();
    let terminal =
        terminal.filter(|path| path.starts_with("/dev") && path != Path::new("/dev/null"));
    let Shown { hour, minute } = sys::clock::shown();
    let terminal = terminal.map_or(String::from("unknown"), |path| path.display().to_string());
    format!(
        "\x07\rBroadcast message from {user}@{}\r\n\t({terminal}) at {hour}:{minute:02} ...\r\n",
        host.trim_end()
    )
}

/// Returns the terminals of who is logged in. A line that leads out of `/dev` is somebody's mischief.
fn terminals(records: &[Record]) -> BTreeSet<PathBuf> {
    let lines = records.iter().filter(|record| record.kind == Kind::User);
    let paths = lines.map(|record| Path::new(OsStr::from_bytes(&record.line)));
    let inside = |path: &&Path| {
        let mut parts = path.components().peekable();
        parts.peek().is_some() && parts.all(|part| matches!(part, Component::Normal(_)))
    };
    paths.filter(inside).map(|path| Path::new("/dev").join(path)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_terminals_below_dev_are_written_to_and_each_once() {
        let lines = [
            (Kind::User, "tty1"),
            (Kind::User, "pts/0"),
            (Kind::User, "pts/0"),
            (Kind::User, "/etc/passwd"),
            (Kind::User, "../etc/passwd"),
            (Kind::User, ""),
            (Kind::Runlevel, "~"),
            (Kind::Other(6), "tty2"),
        ];
        let records = lines.map(|(kind, line)| Record {
            line: line.as_bytes().to_vec(),
            ..Record::of_machine(kind, 1, "ann")
        });
        let shown: Vec<_> = terminals(&records).into_iter().collect();
        assert_eq!(shown, [Path::new("/dev/pts/0"), Path::new("/dev/tty1")]);
    }
}
