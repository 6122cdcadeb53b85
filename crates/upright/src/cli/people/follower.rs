//! A log as it grows, in whatever file it is.

use super::log::{Sink, Unread, CHUNK};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How often a followed file is looked at: often enough for eyes, at three system calls a look.
const LOOK: Duration = Duration::from_millis(100);

/// How often it is asked for again, though it seems to be in its place: who may look no longer is told
/// then, and a link in its path may lead elsewhere.
const AGAIN: Duration = Duration::from_secs(1);

/// How often, while it is not in its place.
const SOON: Duration = Duration::from_millis(250);

/// Why following ends.
#[derive(Debug)]
pub(super) enum End {
    /// The file cannot be had any more.
    Open(Unread),
    /// The file that we have cannot be read.
    Read(io::Error),
    /// Nobody takes the lines.
    Write,
}

/// A file that is followed, through rotation and truncation.
pub(super) struct Follower {
    file: Option<File>,
    /// What it was called when it was opened.
    name: Option<PathBuf>,
    offset: u64,
}

impl Follower {
    /// Follows a file from that byte on; one that is not there yet from its beginning.
    pub(super) fn begin(file: Option<File>, offset: u64) -> Follower {
        let name = file.as_ref().and_then(name);
        Follower { file, name, offset }
    }

    /// Passes on what is written for as long as it can be read. `open` opens the file that has the log's
    /// place now.
    pub(super) fn follow(
        &mut self,
        open: &mut dyn FnMut() -> Result<Option<File>, Unread>,
        sink: &mut Sink<'_>,
    ) -> End {
        let mut asked = Instant::now();
        loop {
            let wait = if self.is_in_place() { AGAIN } else { SOON };
            let looked = match asked.elapsed() < wait {
                true => self.drain(sink),
                false => {
                    asked = Instant::now();
                    self.look(open, sink)
                }
            };
            match looked {
                Ok(()) => std::thread::sleep(LOOK),
                Err(end) => return end,
            }
        }
    }

    /// Passes on what was written since the last look. Another file in the place of ours is read from
    /// its beginning once ours is read to its end.
    fn look(
        &mut self,
        open: &mut dyn FnMut() -> Result<Option<File>, Unread>,
        sink: &mut Sink<'_>,
    ) -> Result<(), End> {
        self.drain(sink)?;
        let Some(file) = open().map_err(End::Open)? else { return Ok(()) };
        if let Some(own) = &self.file {
            let (own, other) =
                (own.metadata().map_err(End::Read)?, file.metadata().map_err(End::Read)?);
            if (own.dev(), own.ino()) == (other.dev(), other.ino()) {
                self.name = name(&file);
                return Ok(());
            }
        }
        // What came between the last read and the rotation.
        self.drain(sink)?;
        self.name = name(&file);
        (self.file, self.offset) = (Some(file), 0);
        self.drain(sink)
    }

    /// Reports whether the file is still called what it was called: the kernel tells it of a descriptor.
    fn is_in_place(&self) -> bool {
        let now = self.file.as_ref().and_then(name);
        now.is_some() && now == self.name
    }

    fn drain(&mut self, sink: &mut Sink<'_>) -> Result<(), End> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let length = file.metadata().map_err(End::Read)?.len();
        if length < self.offset {
            self.offset = 0;
        }
        file.seek(SeekFrom::Start(self.offset)).map_err(End::Read)?;
        let mut buffer = vec![0; CHUNK];
        loop {
            let read = file.read(&mut buffer).map_err(End::Read)?;
            if read == 0 {
                return Ok(());
            }
            self.offset += read as u64;
            sink.take(buffer.get(..read).unwrap_or_default()).map_err(|_| End::Write)?;
        }
    }
}

fn name(file: &File) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).ok()
}

#[cfg(test)]
mod tests {
    use super::super::Form;
    use super::*;
    use crate::scratch::Scratch;
    use std::fs;
    use std::io::Write;
    use std::path::Path;

    fn append(path: &Path, text: &str) {
        let mut file = fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    #[test]
    fn a_followed_file_is_followed_through_rename_truncation_and_absence() {
        let directory = Scratch::directory("follow");
        let path = directory.join("web.log");
        let mut follower = Follower::begin(None, 0);
        let mut open = || match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            opened => opened.map(Some).map_err(Unread::Kernel),
        };
        let mut out = Vec::new();
        let mut look = |follower: &mut Follower| {
            out.clear();
            let mut sink = Sink { form: Form::Words, out: &mut out, line: Vec::new() };
            follower.look(&mut open, &mut sink).unwrap();
            String::from_utf8(out.clone()).unwrap()
        };
        assert_eq!(look(&mut follower), "");
        append(&path, "a\n");
        assert_eq!(look(&mut follower), "a\n");
        assert!(follower.is_in_place());
        assert_eq!(look(&mut follower), "");
        append(&path, "b\n");
        let rotated = directory.join("web.log.1");
        fs::rename(&path, &rotated).unwrap();
        assert!(!follower.is_in_place());
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
        assert!(!follower.is_in_place());
    }
}
