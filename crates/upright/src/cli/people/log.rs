//! `upright log`: what a job wrote, read from its file.
//!
//! The daemon has the file opened and sends its descriptor: who is granted a look at a job needs no right
//! over the file. Where there is no daemon, it is opened by its path, as far as the user may.

use super::follower::{End, Follower};
use super::{target, About, Exit, Form, Session};
use crate::cli::client::{Client, Trouble};
use crate::cli::connect;
use crate::logplace;
use clap::ArgMatches;
use engine::control::answer::Answer;
use engine::control::call::{Back, Call, Log};
use engine::control::fault::Fault;
use engine::machine::request::{Target, Which};
use engine::process::Stream;
use engine::text::Text;
use engine::time::Span;
use shown::words::printable;
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How many bytes are read at once.
pub(super) const CHUNK: usize = 64 * 1024;

/// How many bytes from the end of a file are searched for the last lines.
const TAIL_MAX: u64 = 16 * 1024 * 1024;

/// How many bytes of output are quoted at most.
const QUOTED_MAX: usize = 8 * 1024;

pub(super) fn log(session: &mut Session<'_, '_>, matches: &ArgMatches) -> Result<(), Exit> {
    let target = target(session, matches)?;
    let name = printable(&target.job.lossy());
    let about = About::of(&Call::LogPath(target.clone(), Stream::Stdout));
    let mut files = files(session, target)?;
    let follow = matches.get_flag("follow");
    let lines = matches.get_one::<usize>("lines").copied().unwrap_or(10);
    let begun = match begin(&mut files, lines) {
        Ok(begun) => begun,
        Err(error) => return Err(failed(session, &name, &files.path, error, &about)),
    };
    if begun.file.is_none() && !follow {
        session.world.say(&format!("{name}: has written nothing yet ({})", files.path.display()));
        return Ok(());
    }
    let mut sink = Sink { form: session.form, out: session.world.out, line: Vec::new() };
    if sink.take(&begun.tail).is_err() {
        return Ok(());
    }
    if !follow {
        let _ = sink.finish();
        return Ok(());
    }
    let mut files = files.hastily();
    let mut follower = Follower::begin(begun.file, begun.end);
    let ended = follower.follow(&mut || files.open(Back(0)), &mut sink);
    match ended {
        // Nobody reads any more.
        End::Write => Ok(()),
        End::Open(error) => Err(failed(session, &name, &files.path, error, &about)),
        End::Read(error) => Err(failed(session, &name, &files.path, Unread::Kernel(error), &about)),
    }
}

fn failed(
    session: &mut Session<'_, '_>,
    name: &str,
    path: &Path,
    error: Unread,
    about: &About,
) -> Exit {
    match error {
        Unread::Daemon(trouble) => session.trouble(trouble, about),
        Unread::Kernel(error) => {
            let why = connect::words(&error);
            session.world.say(&format!("{name}: cannot read {}: {why}", path.display()));
            Exit::Failed
        }
    }
}

/// The last lines of what a job wrote.
pub(super) struct Last {
    pub(super) lines: Text,
    /// How long ago the last of it was written, where that is known.
    pub(super) ago: Option<Span>,
}

/// Returns the last lines of what a job wrote there; nothing where they are not ours to read, or where
/// that stream has no log of its own.
pub(super) fn last(client: Client, target: Target, of: Stream, lines: usize) -> Option<Last> {
    let mut files = Files { of, ..Files::of(client, target) };
    let Begun { tail, file, .. } = begin(&mut files, lines).ok()?;
    let written = file.and_then(|file| file.metadata().ok()?.modified().ok());
    let ago = written.and_then(|at| at.elapsed().ok());
    let ago = ago.map(|ago| Span::millis(u64::try_from(ago.as_millis()).unwrap_or(u64::MAX)));
    let lines = tail.get(tail.len().saturating_sub(QUOTED_MAX)..).unwrap_or_default();
    Some(Last { lines: Text::from(lines), ago })
}

/// Finds the files of a log: by the daemon, or where there is none where they usually are.
fn files(session: &mut Session<'_, '_>, target: Target) -> Result<Files, Exit> {
    let places = connect::places(session.world, session.socket.as_deref());
    let usual = matches!(places, Ok(connect::Places::Usual(_)));
    let found = places.ok().and_then(|places| connect::find(places, session.world.uid).ok());
    if let Some((stream, address)) = found {
        return Ok(Files::of(Client::new(stream, address, session.world.uid), target));
    }
    match left(session, &target).filter(|_| usual) {
        Some(path) => {
            let shown = path.display();
            session.world.say(&format!("upright: no Upright answers; this is what {shown} has"));
            Ok(Files { source: Source::Path, of: Stream::Stdout, path })
        }
        // It says what was tried.
        None => session.client().map(|client| Files::of(client, target)),
    }
}

/// Returns the log that an Upright left which does not run any more, where it is where logs usually are.
fn left(session: &Session<'_, '_>, target: &Target) -> Option<PathBuf> {
    let variable = |name| session.world.variable(name).map(OsString::from_vec).map(PathBuf::from);
    let cache = || {
        let home = variable("HOME").map(|home| home.join(".cache"));
        variable("XDG_CACHE_HOME").or(home)
    };
    let directories = match session.world.uid {
        0 => vec![Some(PathBuf::from(logplace::SYSTEM))],
        _ => vec![cache().map(|cache| cache.join(logplace::SESSION))],
    };
    let up = cache().map(|cache| cache.join(logplace::UP));
    let said = variable("UPSTART_LOGDIR");
    let all = std::iter::once(said).chain(directories).chain([up]).flatten();
    let instance = match &target.which {
        Which::Named(name) => name.text().bytes(),
        Which::Env(_) => &[],
    };
    let file = |directory: PathBuf| logplace::file(&directory, target.job.bytes(), instance);
    all.map(file).find(|path| path.is_file())
}

/// Why a log cannot be read.
#[derive(Debug)]
pub(super) enum Unread {
    /// The daemon says so.
    Daemon(Trouble),
    /// The kernel says so.
    Kernel(io::Error),
}

/// The files of a log.
struct Files {
    source: Source,
    /// Which of its outputs.
    of: Stream,
    /// Where the one is that is written to.
    path: PathBuf,
}

/// Who opens them.
enum Source {
    /// The daemon.
    Daemon(Box<Client>, Target),
    /// We do.
    Path,
}

impl Files {
    fn of(client: Client, target: Target) -> Files {
        let source = Source::Daemon(Box::new(client), target);
        Files { source, of: Stream::Stdout, path: PathBuf::new() }
    }

    /// Opens the file that was written to so many rotations ago; nothing where there is none. What the
    /// daemon cannot do now is done by the path; what it refuses is refused.
    fn open(&mut self, back: Back) -> Result<Option<File>, Unread> {
        let Source::Daemon(client, target) = &mut self.source else { return self.by_path(back) };
        let log = Log::Of(target.clone(), self.of);
        match client.open_log(log, back) {
            Ok((view, file)) => {
                if back == Back(0) {
                    self.path = PathBuf::from(OsStr::from_bytes(view.path.bytes()));
                }
                Ok(file)
            }
            Err(trouble) if is_passing(&trouble) && self.finds_path() => self.by_path(back),
            Err(trouble) => Err(Unread::Daemon(trouble)),
        }
    }

    /// Reports whether it is known where the log is; the daemon may tell that still.
    fn finds_path(&mut self) -> bool {
        let Source::Daemon(client, target) = &mut self.source else { return true };
        if self.path.as_os_str().is_empty() {
            let asked = client.ask(Call::LogPath(target.clone(), self.of));
            if let Ok(Answer::Path(path)) = asked {
                self.path = PathBuf::from(OsStr::from_bytes(path.bytes()));
            }
        }
        !self.path.as_os_str().is_empty()
    }

    fn by_path(&self, back: Back) -> Result<Option<File>, Unread> {
        let mut path = self.path.clone().into_os_string();
        if back != Back(0) {
            path.push(format!(".{}", back.0));
        }
        match File::open(path) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Unread::Kernel(error)),
        }
    }

    /// Returns the same, not waiting for a daemon that is away: who follows asks again soon.
    fn hastily(self) -> Files {
        let source = match self.source {
            Source::Daemon(client, target) => {
                Source::Daemon(Box::new(client.with_patience(Duration::ZERO)), target)
            }
            Source::Path => Source::Path,
        };
        Files { source, ..self }
    }
}

/// Reports whether the daemon could not answer, rather than would not.
fn is_passing(trouble: &Trouble) -> bool {
    match trouble {
        Trouble::Lost(_) | Trouble::Fault(Fault::Unavailable(_)) => true,
        Trouble::Fault(Fault::Refused(refused)) => refused.code == "unreadable-log",
        Trouble::Fault(_) => false,
    }
}

/// The end of what was written before we looked.
struct Begun {
    tail: Vec<u8>,
    file: Option<File>,
    end: u64,
}

/// Reads the last lines of a log, also of the file before it where that was begun anew.
fn begin(files: &mut Files, lines: usize) -> Result<Begun, Unread> {
    let Some(mut file) = files.open(Back(0))? else {
        return Ok(Begun { tail: Vec::new(), file: None, end: 0 });
    };
    let end = size(&file)?;
    let (mut tail, count) = last_lines(&mut file, end, lines).map_err(Unread::Kernel)?;
    if count < lines {
        if let Some(mut rotated) = before(files, &file) {
            let length = size(&rotated)?;
            let earlier = last_lines(&mut rotated, length, lines - count);
            let (mut earlier, _) = earlier.map_err(Unread::Kernel)?;
            earlier.append(&mut tail);
            tail = earlier;
        }
    }
    Ok(Begun { tail, file: Some(file), end })
}

/// Returns the file before this one, where there is one: this may be it by now.
fn before(files: &mut Files, file: &File) -> Option<File> {
    let rotated = files.open(Back(1)).ok().flatten()?;
    let (one, other) = (file.metadata().ok()?, rotated.metadata().ok()?);
    ((one.dev(), one.ino()) != (other.dev(), other.ino())).then_some(rotated)
}

fn size(file: &File) -> Result<u64, Unread> {
    file.metadata().map(|about| about.len()).map_err(Unread::Kernel)
}

/// Returns the last lines before `end`, and how many there are; at most [`TAIL_MAX`] bytes.
fn last_lines(file: &mut File, end: u64, lines: usize) -> io::Result<(Vec<u8>, usize)> {
    let mut pieces: VecDeque<Vec<u8>> = VecDeque::new();
    let mut found = 0;
    let mut at = end;
    while lines > 0 && at > 0 && end - at < TAIL_MAX {
        let length = at.min(CHUNK as u64);
        let mut piece = vec![0; length as usize];
        file.seek(SeekFrom::Start(at - length))?;
        file.read_exact(&mut piece)?;
        let last_is_open = at == end;
        at -= length;
        for place in (0..piece.len()).rev() {
            let ends_the_file = last_is_open && place + 1 == piece.len();
            if piece.get(place) == Some(&b'\n') && !ends_the_file {
                found += 1;
                if found == lines {
                    piece.drain(..=place);
                    pieces.push_front(piece);
                    return Ok((pieces.into_iter().flatten().collect(), lines));
                }
            }
        }
        pieces.push_front(piece);
    }
    let all: Vec<u8> = pieces.into_iter().flatten().collect();
    let count = if all.is_empty() { 0 } else { found + 1 };
    Ok((all, count))
}

/// Where lines go: as they are, or each as a JSON object.
pub(super) struct Sink<'a> {
    pub(super) form: Form,
    pub(super) out: &'a mut dyn Write,
    /// The beginning of a line whose end has not come, in JSON.
    pub(super) line: Vec<u8>,
}

/// A longer line is cut in JSON.
const LINE_MAX: usize = 1024 * 1024;

impl Sink<'_> {
    pub(super) fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.form {
            Form::Words => self.out.write_all(bytes)?,
            Form::Json => {
                for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
                    self.line.extend_from_slice(piece);
                    if piece.ends_with(b"\n") || self.line.len() > LINE_MAX {
                        self.finish()?;
                    }
                }
            }
        }
        self.out.flush()
    }

    /// Writes a line that has no end.
    fn finish(&mut self) -> io::Result<()> {
        if self.line.is_empty() {
            return Ok(());
        }
        let line = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        let json = serde_json::json!({ "line": Text::from(line) });
        self.line.clear();
        writeln!(self.out, "{json}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Look, World};
    use crate::scratch::Scratch;
    use std::fs;

    #[test]
    fn the_last_lines_are_found_also_in_the_file_before() {
        let directory = Scratch::directory("tail");
        let path = directory.join("web.log");
        let mut files = Files { source: Source::Path, of: Stream::Stdout, path: path.clone() };
        assert!(begin(&mut files, 3).unwrap().file.is_none());
        for (rotated, text, lines, expected) in [
            ("", "", 3, ""),
            ("", "a\nb\nc\nd\n", 2, "c\nd\n"),
            ("", "a\nb\nc\nopen", 2, "c\nopen"),
            ("", "a\nb\n", 9, "a\nb\n"),
            ("x\ny\n", "a\n", 2, "y\na\n"),
            ("x\ny\n", "a\n", 1, "a\n"),
            ("x\ny\n", "", 5, "x\ny\n"),
            ("", "a\n", 0, ""),
        ] {
            fs::write(&path, text).unwrap();
            fs::write(directory.join("web.log.1"), rotated).unwrap();
            let tail = begin(&mut files, lines).unwrap().tail;
            assert_eq!(String::from_utf8(tail).unwrap(), expected, "{lines} of {text:?}");
        }
        let long: String = (0..30_000).map(|n| format!("line {n}\n")).collect();
        fs::write(&path, &long).unwrap();
        let tail = begin(&mut files, 20_000).unwrap().tail;
        assert_eq!(tail.iter().filter(|byte| **byte == b'\n').count(), 20_000);
        assert!(tail.starts_with(b"line 10000\n"));
    }

    #[test]
    fn what_an_upright_left_is_found_where_logs_usually_are() {
        let directory = Scratch::directory("left");
        let cache = directory.join("cache");
        let log = cache.join("upright/log/web-1.log");
        fs::create_dir_all(log.parent().unwrap()).unwrap();
        fs::write(&log, "a\n").unwrap();
        let home = cache.to_str().unwrap().as_bytes().to_vec();
        let env = |name: &str| (name == "XDG_CACHE_HOME").then(|| home.clone());
        let mut world = World {
            program: String::from("upright"),
            args: Vec::new(),
            env: &env,
            uid: 12345,
            out: &mut io::sink(),
            err: &mut io::sink(),
            look: Look::Plain,
        };
        let session = Session { world: &mut world, form: Form::Words, socket: None };
        let named = |job: &str, instance: &str| Target {
            job: Text::from(job),
            which: Which::Named(instance.try_into().unwrap()),
        };
        assert_eq!(left(&session, &named("web", "1")), Some(log));
        assert_eq!(left(&session, &named("web", "2")), None);
    }

    #[test]
    fn lines_in_json_are_whole_however_they_were_read() {
        let mut out = Vec::new();
        let mut sink = Sink { form: Form::Json, out: &mut out, line: Vec::new() };
        for piece in ["a\nb", "c", "d\n", "\n", "open"] {
            sink.take(piece.as_bytes()).unwrap();
        }
        sink.take(b"\xff\n").unwrap();
        sink.finish().unwrap();
        let expected =
            "{\"line\":\"a\"}\n{\"line\":\"bcd\"}\n{\"line\":\"\"}\n{\"line\":{\"b64\":\"b3Blbv8=\"}}\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
