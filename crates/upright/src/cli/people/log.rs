//! `upright log`: what a job wrote, read from its file.

use super::{target, Exit, Form, Session};
use crate::cli::connect;
use clap::ArgMatches;
use engine::control::answer::Answer;
use engine::control::call::Call;
use engine::process::Stream;
use engine::text::Text;
use shown::words::printable;
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How many bytes are read at once.
const CHUNK: usize = 64 * 1024;

/// How many bytes from the end of a file are searched for the last lines.
const TAIL_MAX: u64 = 16 * 1024 * 1024;

/// How many bytes of output are quoted at most.
const QUOTED_MAX: usize = 8 * 1024;

/// How often a followed file is looked at: often enough for eyes, at two system calls a look.
const LOOK: Duration = Duration::from_millis(100);

pub(super) fn log(session: &mut Session<'_, '_>, matches: &ArgMatches) -> Result<(), Exit> {
    let target = target(session, matches)?;
    let name = printable(&target.job.lossy());
    let Answer::Path(path) = session.ask(Call::LogPath(target, Stream::Stdout))? else {
        return Ok(());
    };
    let path = PathBuf::from(OsStr::from_bytes(path.bytes()));
    let follow = matches.get_flag("follow");
    let lines = matches.get_one::<usize>("lines").copied().unwrap_or(10);
    let failed = |session: &mut Session<'_, '_>, error: &io::Error| {
        let why = connect::words(error);
        session.world.say(&format!("{name}: cannot read {}: {why}", path.display()));
        Exit::Failed
    };
    let begun = match begin(&path, lines) {
        Ok(begun) => begun,
        Err(error) => return Err(failed(session, &error)),
    };
    if begun.file.is_none() && !follow {
        session.world.say(&format!("{name}: has written nothing yet ({})", path.display()));
        return Ok(());
    }
    let mut follower = Follower { path: path.clone(), file: begun.file, offset: begun.end };
    let mut sink = Sink { form: session.form, out: session.world.out, line: Vec::new() };
    if sink.take(&begun.tail).is_err() {
        return Ok(());
    }
    if !follow {
        let _ = sink.finish();
        return Ok(());
    }
    loop {
        match follower.look(&mut sink) {
            Ok(()) => std::thread::sleep(LOOK),
            // Nobody reads any more.
            Err(Look::Write) => return Ok(()),
            Err(Look::Read(error)) => return Err(failed(session, &error)),
        }
    }
}

/// Returns the last lines of a file of output; nothing where it is not there or not ours to read.
pub(super) fn last(path: &Path, lines: usize) -> Option<Text> {
    let tail = begin(path, lines).ok()?.tail;
    Some(Text::from(tail.get(tail.len().saturating_sub(QUOTED_MAX)..).unwrap_or_default()))
}

/// The end of what was written before we looked.
struct Begun {
    tail: Vec<u8>,
    file: Option<File>,
    end: u64,
}

/// Reads the last lines of a file, and of the one before it where the file was begun anew.
fn begin(path: &Path, lines: usize) -> io::Result<Begun> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Begun { tail: Vec::new(), file: None, end: 0 })
        }
        Err(error) => return Err(error),
    };
    let end = file.metadata()?.len();
    let (mut tail, count) = last_lines(&mut file, end, lines)?;
    if count < lines {
        let mut before = OsString::from(path);
        before.push(".1");
        if let Ok(mut rotated) = File::open(before) {
            let length = rotated.metadata()?.len();
            let (mut earlier, _) = last_lines(&mut rotated, length, lines - count)?;
            earlier.append(&mut tail);
            tail = earlier;
        }
    }
    Ok(Begun { tail, file: Some(file), end })
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

/// Why following ends.
#[derive(Debug)]
enum Look {
    Read(io::Error),
    Write,
}

/// A file that is followed, through rotation and truncation.
struct Follower {
    path: PathBuf,
    file: Option<File>,
    offset: u64,
}

impl Follower {
    /// Passes on what was written since the last look. A file of another identity at the path is
    /// read from its beginning once the old one is read to its end.
    fn look(&mut self, sink: &mut Sink<'_>) -> Result<(), Look> {
        self.drain(sink)?;
        let there = match std::fs::metadata(&self.path) {
            Ok(there) => there,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(Look::Read(error)),
        };
        let same = match &self.file {
            None => false,
            Some(file) => {
                let open = file.metadata().map_err(Look::Read)?;
                (open.dev(), open.ino()) == (there.dev(), there.ino())
            }
        };
        if same {
            return Ok(());
        }
        // What came between the last read and the rotation.
        self.drain(sink)?;
        match File::open(&self.path) {
            Ok(file) => (self.file, self.offset) = (Some(file), 0),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(Look::Read(error)),
        }
        self.drain(sink)
    }

    fn drain(&mut self, sink: &mut Sink<'_>) -> Result<(), Look> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let length = file.metadata().map_err(Look::Read)?.len();
        if length < self.offset {
            self.offset = 0;
        }
        file.seek(SeekFrom::Start(self.offset)).map_err(Look::Read)?;
        let mut buffer = vec![0; CHUNK];
        loop {
            let read = file.read(&mut buffer).map_err(Look::Read)?;
            if read == 0 {
                return Ok(());
            }
            self.offset += read as u64;
            sink.take(buffer.get(..read).unwrap_or_default()).map_err(|_| Look::Write)?;
        }
    }
}

/// Where lines go: as they are, or each as a JSON object.
struct Sink<'a> {
    form: Form,
    out: &'a mut dyn Write,
    /// The beginning of a line whose end has not come, in JSON.
    line: Vec<u8>,
}

/// A longer line is cut in JSON.
const LINE_MAX: usize = 1024 * 1024;

impl Sink<'_> {
    fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
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
    use std::fs;

    /// A directory of its own for one test.
    fn directory(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("upright-log-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        path
    }

    fn append(path: &Path, text: &str) {
        let mut file = fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    #[test]
    fn the_last_lines_are_found_also_in_the_file_before() {
        let directory = directory("tail");
        let path = directory.join("web.log");
        assert!(begin(&path, 3).unwrap().file.is_none());
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
            let tail = begin(&path, lines).unwrap().tail;
            assert_eq!(String::from_utf8(tail).unwrap(), expected, "{lines} of {text:?}");
        }
        let long: String = (0..30_000).map(|n| format!("line {n}\n")).collect();
        fs::write(&path, &long).unwrap();
        let tail = begin(&path, 20_000).unwrap().tail;
        assert_eq!(tail.iter().filter(|byte| **byte == b'\n').count(), 20_000);
        assert!(tail.starts_with(b"line 10000\n"));
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn a_followed_file_is_followed_through_rename_truncation_and_absence() {
        let directory = directory("follow");
        let path = directory.join("web.log");
        let mut follower = Follower { path: path.clone(), file: None, offset: 0 };
        let mut out = Vec::new();
        let mut look = |follower: &mut Follower| {
            out.clear();
            let mut sink = Sink { form: Form::Words, out: &mut out, line: Vec::new() };
            follower.look(&mut sink).unwrap();
            String::from_utf8(out.clone()).unwrap()
        };
        assert_eq!(look(&mut follower), "");
        append(&path, "a\n");
        assert_eq!(look(&mut follower), "a\n");
        assert_eq!(look(&mut follower), "");
        append(&path, "b\n");
        let rotated = directory.join("web.log.1");
        fs::rename(&path, &rotated).unwrap();
        append(&rotated, "late\n");
        append(&path, "c\n");
        assert_eq!(look(&mut follower), "b\nlate\nc\n");
        fs::write(&path, "").unwrap();
        append(&path, "d\n");
        append(&path, "e\n");
        fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(1).unwrap();
        assert_eq!(look(&mut follower), "d");
        fs::remove_file(&path).unwrap();
        assert_eq!(look(&mut follower), "");
        fs::remove_dir_all(&directory).unwrap();
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
