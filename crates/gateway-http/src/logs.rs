//! Files of output: where they are, and what is in them.

use crate::control::Control;
use crate::processes::{self, Process};
use engine::control::answer::Answer;
use engine::control::call::Call;
use engine::process::Stream;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use xmlrpc::{Code, Fault, Value};

/// How much of a log one answer has at most.
const PART_MAX: u64 = 16 * 1024 * 1024;

/// Which output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// Standard output, and of a job standard error with it.
    Stdout,
    /// Standard error, where it has a log of its own.
    Stderr,
}

impl Channel {
    fn stream(self) -> Stream {
        match self {
            Channel::Stdout => Stream::Stdout,
            Channel::Stderr => Stream::Stderr,
        }
    }
}

/// Where the output of a process is; nothing where it is in no file, or may not be known.
#[derive(Clone, Debug, Default)]
pub struct Paths {
    /// Standard output, of a job with standard error in it.
    pub stdout: Option<String>,
    /// Standard error, where it has a file of its own.
    pub stderr: Option<String>,
}

/// Returns where the output of each is.
pub async fn paths(control: &Control, all: &[Process]) -> Result<Vec<Paths>, Fault> {
    let streams = [Stream::Stdout, Stream::Stderr];
    let both = |process: &Process| streams.map(|stream| Call::LogPath(process.target(), stream));
    let calls: Vec<Call> = all.iter().flat_map(both).collect();
    let answers = control.ask_all(&calls).await;
    let answers = answers.map_err(|fault| processes::refusal(&fault, "log"))?;
    let path = |answer| match answer {
        Ok(Answer::Path(path)) => Some(String::from_utf8_lossy(path.bytes()).into_owned()),
        Ok(_) | Err(_) => None,
    };
    let mut paths = answers.into_iter().map(path);
    let pair = |_| Paths { stdout: paths.next().flatten(), stderr: paths.next().flatten() };
    Ok(all.iter().map(pair).collect())
}

/// Returns where an output is; `NO_FILE` where it is in none.
pub async fn path(control: &Control, process: &Process, channel: Channel) -> Result<String, Fault> {
    path_by(control, process, Call::LogPath(process.target(), channel.stream())).await
}

async fn path_by(control: &Control, process: &Process, call: Call) -> Result<String, Fault> {
    match control.ask(call).await {
        Ok(Answer::Path(path)) => Ok(String::from_utf8_lossy(path.bytes()).into_owned()),
        Ok(_) => Err(Code::NoFile.fault()),
        Err(engine::control::fault::Fault::Unavailable(_)) => Err(Code::NoFile.fault()),
        Err(fault) => Err(processes::refusal(&fault, &process.shown())),
    }
}

/// Returns a part of a log. Of a negative offset the last bytes, else from there on; no length is
/// until the end. Source: Supervisor 4.3.0, options.py, `readFile`.
pub async fn read(
    control: &Control,
    process: &Process,
    channel: Channel,
    offset: i64,
    length: i64,
) -> Result<Value, Fault> {
    if is_wrong(offset, length) {
        return Err(Code::BadArguments.fault());
    }
    let path = path(control, process, channel).await?;
    match part_of(path, offset, length).await {
        // A file is made by its first byte: what has run has written none.
        Err(fault) if fault.code() == Some(Code::NoFile) && process.has_begun() => Ok("".into()),
        told => told,
    }
}

/// Reports by a fault that a process's file cannot be read; one that runs may have written nothing yet.
pub async fn is_readable(process: &Process, path: &str) -> Result<(), Fault> {
    let (path, begun) = (path.to_owned(), process.has_begun());
    elsewhere(move || match open(&path) {
        Err(error) if begun && error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(no_file(&path, &error)),
        Ok(_) => Ok(()),
    })
    .await
}

/// Returns a part of the daemon's own log, as [`read`] does; `NO_FILE` where it has none.
pub async fn read_main(control: &Control, offset: i64, length: i64) -> Result<Value, Fault> {
    if is_wrong(offset, length) {
        return Err(Code::BadArguments.fault());
    }
    part_of(main_path(control).await?, offset, length).await
}

/// Returns where the daemon's own log is; `NO_FILE` where it has none.
pub async fn main_path(control: &Control) -> Result<String, Fault> {
    let none = || Code::NoFile.about("this Upright keeps no log of its own in a file");
    let path = match control.ask(Call::Supervisor).await {
        Ok(Answer::Supervisor(view)) => view.logfile.lossy().into_owned(),
        Ok(_) | Err(engine::control::fault::Fault::Unavailable(_)) => return Err(none()),
        Err(fault) => return Err(processes::refusal(&fault, "log")),
    };
    // It may be /dev/stdout: who reads from a pipe waits for ever.
    elsewhere(move || match std::fs::metadata(&path) {
        Ok(about) if about.is_file() => Ok(path),
        Ok(_) | Err(_) => Err(none()),
    })
    .await
}

fn is_wrong(offset: i64, length: i64) -> bool {
    length < 0 || (offset < 0 && length != 0)
}

async fn part_of(path: String, offset: i64, length: i64) -> Result<Value, Fault> {
    let part = elsewhere(move || {
        let (mut file, size) = open(&path).map_err(|error| no_file(&path, &error))?;
        let start = match u64::try_from(offset) {
            Ok(start) => start.min(size),
            Err(_) => size.saturating_sub(offset.unsigned_abs()),
        };
        let most = if length == 0 { PART_MAX } else { length.unsigned_abs().min(PART_MAX) };
        piece(&mut file, start, most)
            .map_err(|error| Code::Failed.about(format!("{path}: {error}")))
    });
    Ok(Value::Text(String::from_utf8_lossy(&part.await?).into_owned()))
}

/// Returns the end of a log, its size, and whether more was written than fits.
/// Source: Supervisor 4.3.0, options.py, `tailFile`.
pub async fn tail(
    control: &Control,
    process: &Process,
    channel: Channel,
    offset: i64,
    length: i64,
) -> Result<Value, Fault> {
    let told = match path(control, process, channel).await {
        Ok(path) => {
            elsewhere(move || Ok(tail_of(&path, offset, length).unwrap_or_default())).await?
        }
        Err(fault) if fault.code() == Some(Code::NoFile) => (Vec::new(), 0, false),
        Err(fault) => return Err(fault),
    };
    let (part, size, overflow) = told;
    let text = String::from_utf8_lossy(&part).into_owned();
    Ok(Value::List(vec![text.into(), size.into(), overflow.into()]))
}

fn tail_of(path: &str, offset: i64, length: i64) -> io::Result<(Vec<u8>, i64, bool)> {
    let (mut file, size) = open(path)?;
    let size = i64::try_from(size).unwrap_or(i64::MAX);
    let overflow = size > offset.saturating_add(length);
    let start = if overflow {
        size.saturating_sub(length)
    } else if offset >= size {
        size
    } else if size == offset.saturating_add(length) {
        offset
    } else {
        size.saturating_sub(length)
    };
    let most = u64::try_from(length).unwrap_or(0).min(PART_MAX);
    let start = u64::try_from(start.max(0)).unwrap_or(0);
    Ok((piece(&mut file, start, most)?, size, overflow))
}

/// Empties both logs. The logger goes on writing at their new end. Source: docs/differences.md.
pub async fn clear(control: &Control, process: &Process) -> Result<(), Fault> {
    clear_one(control, process, Channel::Stdout).await?;
    clear_one(control, process, Channel::Stderr).await
}

async fn clear_one(control: &Control, process: &Process, channel: Channel) -> Result<(), Fault> {
    let shown = process.shown();
    let call = Call::ClearLog(process.target(), channel.stream());
    let path = match path_by(control, process, call).await {
        Ok(path) => path,
        // Nothing is kept: nothing is left to clear.
        Err(fault) if fault.code() == Some(Code::NoFile) => return Ok(()),
        Err(fault) => return Err(fault),
    };
    elsewhere(move || match File::options().write(true).open(&path) {
        Ok(file) => {
            file.set_len(0).map_err(|error| Code::Failed.about(format!("{shown}: {path}: {error}")))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Code::Failed.about(format!("{shown}: {path}: {error}"))),
    })
    .await
}

/// Opens a file and returns its size.
pub fn open(path: &str) -> io::Result<(File, u64)> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    Ok((file, size))
}

/// Reads from there on, so many bytes at most.
pub fn piece(file: &mut File, start: u64, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(start))?;
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Does what may wait for a disk in a thread of its own.
pub async fn elsewhere<T: Send + 'static>(
    what: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    match tokio::task::spawn_blocking(what).await {
        Ok(told) => told,
        Err(error) => Err(Code::Failed.about(error)),
    }
}

fn no_file(path: &str, error: &io::Error) -> Fault {
    match error.kind() {
        io::ErrorKind::NotFound => Code::NoFile.about(path),
        _ => Code::Failed.about(format!("{path}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_is_what_the_originals_is() {
        let path = std::env::temp_dir().join(format!("upright-http-{}", std::process::id()));
        std::fs::write(&path, "0123456789").unwrap();
        let path = path.display().to_string();
        for (offset, length, text, overflow) in [
            (0, 4, "6789", true),
            (6, 4, "6789", false),
            (0, 10, "0123456789", false),
            (8, 5, "56789", false),
            (10, 5, "", false),
            (20, 5, "", false),
            (0, 100, "0123456789", false),
            (0, 0, "", true),
            (0, -5, "", true),
        ] {
            let (part, size, over) = tail_of(&path, offset, length).unwrap();
            let shown = String::from_utf8(part).unwrap();
            assert_eq!((shown.as_str(), size, over), (text, 10, overflow), "{offset} {length}");
        }
        std::fs::remove_file(&path).unwrap();
        assert!(tail_of(&path, 0, 1).is_err());
    }
}
