//! Logs: where they are, and what is in them.

use crate::control::Control;
use crate::processes::{self, Process};
use engine::control::answer::Answer;
use engine::control::call::{Call, Log};
use engine::control::fault::Fault as Refusal;
use engine::machine::request::Target;
use engine::process::Stream;
use engine::text::Text;
use engine::view::{LogState, ProgramView};
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

impl Paths {
    /// Returns those that were told along with a job.
    pub fn of(program: &ProgramView) -> Paths {
        let shown = |path: &Option<Text>| path.as_ref().map(|path| path.lossy().into_owned());
        Paths { stdout: shown(&program.stdout_log), stderr: shown(&program.stderr_log) }
    }
}

/// Returns where the output of each is; only an instance is asked for by itself.
pub async fn paths(control: &Control, all: &[Process]) -> Result<Vec<Paths>, Fault> {
    let apart = all.iter().filter(|process| process.logs().is_none());
    let calls: Vec<Call> = apart.flat_map(|process| asked(&process.target())).collect();
    let answers = control.ask_all(&calls).await;
    let answers = answers.map_err(|fault| processes::refusal(&fault, "log"))?;
    let mut answers = answers.into_iter();
    let known = |process: &Process| process.logs().cloned();
    Ok(all.iter().map(|one| known(one).unwrap_or_else(|| told(&mut answers))).collect())
}

fn asked(target: &Target) -> [Call; 2] {
    [Stream::Stdout, Stream::Stderr].map(|stream| Call::LogPath(target.clone(), stream))
}

fn told(answers: &mut impl Iterator<Item = Result<Answer, Refusal>>) -> Paths {
    let mut path = || match answers.next() {
        Some(Ok(Answer::Path(path))) => Some(path.lossy().into_owned()),
        Some(Ok(_) | Err(_)) | None => None,
    };
    Paths { stdout: path(), stderr: path() }
}

/// A log as it was found.
pub struct Found {
    /// Where it is.
    pub path: String,
    /// Its file; none: it has not been made yet, and there is nothing in it.
    pub file: Option<File>,
}

/// Opens a log: the daemon hands it over, for nobody here may open files. `NO_FILE` where it is in none.
pub async fn open(control: &Control, log: &Log, name: &str) -> Result<Found, Fault> {
    let opened = control.open_log(log.clone()).await;
    let (view, file) = opened.map_err(|fault| refused(log, &fault, name))?;
    let path = view.path.lossy().into_owned();
    match view.state {
        LogState::Open => {
            let file = file.ok_or_else(|| Code::Failed.about("its descriptor was lost"))?;
            Ok(Found { path, file: Some(file) })
        }
        LogState::Empty => Ok(Found { path, file: None }),
        LogState::Missing => Err(Code::NoFile.about(path)),
    }
}

/// Returns which log of a process is meant.
pub fn of(process: &Process, channel: Channel) -> Log {
    Log::Of(process.target(), channel.stream())
}

fn refused(log: &Log, fault: &Refusal, name: &str) -> Fault {
    match (fault, log) {
        (Refusal::Refused(refused), Log::Own) if refused.code == "no-log" => {
            Code::NoFile.about(&refused.message)
        }
        (Refusal::Refused(refused), Log::Of(..)) if refused.code == "no-log" => {
            Code::NoFile.fault()
        }
        (fault, _) => processes::refusal(fault, name),
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
    part_of(control, &of(process, channel), &process.shown(), offset, length).await
}

/// Returns a part of the daemon's own log, as [`read`] does; `NO_FILE` where it has none.
pub async fn read_main(control: &Control, offset: i64, length: i64) -> Result<Value, Fault> {
    part_of(control, &Log::Own, "log", offset, length).await
}

async fn part_of(
    control: &Control,
    log: &Log,
    name: &str,
    offset: i64,
    length: i64,
) -> Result<Value, Fault> {
    if length < 0 || (offset < 0 && length != 0) {
        return Err(Code::BadArguments.fault());
    }
    let Found { path, file } = open(control, log, name).await?;
    let Some(file) = file else { return Ok("".into()) };
    let part = elsewhere(move || {
        let read = size(&file).and_then(|size| {
            let start = match u64::try_from(offset) {
                Ok(start) => start.min(size),
                Err(_) => size.saturating_sub(offset.unsigned_abs()),
            };
            let most = if length == 0 { PART_MAX } else { length.unsigned_abs().min(PART_MAX) };
            piece(&file, start, most)
        });
        read.map_err(|error| Code::Failed.about(format!("{path}: {error}")))
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
    let found = match open(control, &of(process, channel), &process.shown()).await {
        Ok(found) => found.file,
        Err(fault) if fault.code() == Some(Code::NoFile) => None,
        Err(fault) => return Err(fault),
    };
    let told = match found {
        Some(file) => {
            elsewhere(move || Ok(tail_of(&file, offset, length).unwrap_or_default())).await?
        }
        None => (Vec::new(), 0, false),
    };
    let (part, size, overflow) = told;
    let text = String::from_utf8_lossy(&part).into_owned();
    Ok(Value::List(vec![text.into(), size.into(), overflow.into()]))
}

fn tail_of(file: &File, offset: i64, length: i64) -> io::Result<(Vec<u8>, i64, bool)> {
    let size = i64::try_from(size(file)?).unwrap_or(i64::MAX);
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
    Ok((piece(file, start, most)?, size, overflow))
}

/// Empties both logs. The logger goes on writing at their new end. Source: docs/differences.md.
pub async fn clear(control: &Control, process: &Process) -> Result<(), Fault> {
    for channel in [Channel::Stdout, Channel::Stderr] {
        match cleared(control, &of(process, channel), &process.shown()).await {
            Ok(()) => {}
            // Nothing is kept: nothing is left to clear.
            Err(fault) if fault.code() == Some(Code::NoFile) => {}
            Err(fault) => return Err(fault),
        }
    }
    Ok(())
}

/// Empties the daemon's own log; `NO_FILE` where it has none.
pub async fn clear_main(control: &Control) -> Result<(), Fault> {
    cleared(control, &Log::Own, "log").await
}

async fn cleared(control: &Control, log: &Log, name: &str) -> Result<(), Fault> {
    let told = control.ask(Call::ClearLog(log.clone())).await;
    told.map(drop).map_err(|fault| refused(log, &fault, name))
}

/// Returns how long a file is.
pub fn size(file: &File) -> io::Result<u64> {
    Ok(file.metadata()?.len())
}

/// Reads from there on, so many bytes at most.
pub fn piece(file: &File, start: u64, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // A cursor of its own: nobody else has this descriptor.
    let mut file = file;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn a_tail_is_what_the_originals_is() {
        let path = Scratch::path("tail");
        std::fs::write(&path, "0123456789").unwrap();
        let file = File::open(&path).unwrap();
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
            let (part, size, over) = tail_of(&file, offset, length).unwrap();
            let shown = String::from_utf8(part).unwrap();
            assert_eq!((shown.as_str(), size, over), (text, 10, overflow), "{offset} {length}");
        }
    }
}
