//! Lines on our own standard output and error, with or without the label of their job before them.

use engine::logroute::Forward;
use engine::names::NAME_MAX;
use engine::process::Stream;
use engine::time::{Mono, Span};
use std::io::IsTerminal;
use sys::outlet::Outlet;
use sys::Errno;

/// How many bytes may wait for standard output; a line beyond is dropped and counted.
pub const WAITING_MAX: usize = 256 * 1024;

/// A line that is longer is broken there.
pub const LINE_MAX: usize = 64 * 1024;

/// Standard output that took nothing for so long is not read by anybody; until then the jobs wait.
pub const STUCK: Span = Span::secs(1);

/// Both of our own outputs.
pub struct Forwarders([Forwarder; Stream::ALL.len()]);

impl Forwarders {
    /// Takes both.
    pub fn new() -> Forwarders {
        Forwarders(Stream::ALL.map(Forwarder::new))
    }

    /// Returns the one that lines go to. Those that are not forwarded go to none, and have no
    /// unfinished line.
    pub fn of(&mut self, forward: Forward) -> &mut Forwarder {
        let Forwarders([stdout, stderr]) = self;
        match forward {
            Forward::No | Forward::Labelled | Forward::Bare(Stream::Stdout) => stdout,
            Forward::Bare(Stream::Stderr) => stderr,
        }
    }

    /// Returns both.
    pub fn all(&mut self) -> &mut [Forwarder; Stream::ALL.len()] {
        &mut self.0
    }

    /// Writes what there is room for; reports whether everything is written.
    pub fn flush(&mut self) -> bool {
        let Forwarders([stdout, stderr]) = self;
        // Both, whatever becomes of the first.
        let (out, errors) = (stdout.flush(), stderr.flush());
        out && errors
    }
}

/// One of our own outputs and what waits for it.
pub struct Forwarder {
    stream: Stream,
    /// Whether it is watched for room.
    pub watched: bool,
    outlet: Option<Outlet>,
    colour: bool,
    waiting: Vec<u8>,
    written: usize,
    missed: u64,
    /// When the loop last woke.
    pub now: Mono,
    /// When standard output last took something, or was first given something after it had all.
    progress: Mono,
}

/// The unfinished line of one pipe.
#[derive(Debug, Default)]
pub struct Partial {
    /// Its bytes so far, gone from the pipe.
    pub held: Vec<u8>,
    /// How many bytes at the front of the pipe were forwarded already.
    pub ahead: usize,
    /// The last bytes, where no file has them.
    pub last: Vec<u8>,
    /// Whether a timer runs for the unfinished line.
    pub timed: bool,
}

impl Forwarder {
    /// Takes an output. Colours only where it is a terminal and NO_COLOR is unset or empty.
    fn new(stream: Stream) -> Forwarder {
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let colour = !no_colour && std::io::stdout().is_terminal();
        let outlet = Outlet::open(stream).ok();
        Forwarder {
            stream,
            watched: false,
            outlet,
            colour,
            waiting: Vec::new(),
            written: 0,
            missed: 0,
            now: Mono(0),
            progress: Mono(0),
        }
    }

    /// Returns standard output where there is one that may have to be waited for.
    pub fn outlet(&self) -> Option<&Outlet> {
        self.outlet.as_ref()
    }

    /// Returns how many bytes wait.
    pub fn backlog(&self) -> usize {
        self.waiting.len() - self.written
    }

    /// Reports whether bytes wait and nobody has read any for a while.
    pub fn is_stuck(&self) -> bool {
        self.backlog() > 0 && self.now.since(self.progress) >= STUCK
    }

    /// Adds `bytes` of a job to its unfinished line and queues every line that is complete.
    pub fn feed(&mut self, label: &str, partial: &mut Partial, mut bytes: &[u8]) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = bytes.split_at(end);
            self.line(label, &partial.held, line);
            partial.held = Vec::new();
            bytes = rest.get(1..).unwrap_or_default();
        }
        partial.held.extend_from_slice(bytes);
        if partial.held.len() >= LINE_MAX {
            self.end(label, partial);
        }
    }

    /// Queues the unfinished line as it is.
    pub fn end(&mut self, label: &str, partial: &mut Partial) {
        if !partial.held.is_empty() {
            let held = std::mem::take(&mut partial.held);
            self.line(label, &held, b"");
        }
    }

    /// Writes what there is room for; reports whether everything is written.
    pub fn flush(&mut self) -> bool {
        loop {
            let Some(outlet) = &self.outlet else {
                self.clear();
                return true;
            };
            let rest = self.waiting.get(self.written..).unwrap_or_default();
            if rest.is_empty() {
                self.clear();
                if self.missed == 0 {
                    return true;
                }
                self.say_missed();
                continue;
            }
            match outlet.write(rest) {
                Ok(length) => {
                    self.written += length;
                    self.progress = self.now;
                }
                Err(Errno::AGAIN) => return false,
                Err(errno) => {
                    super::say(&format!(
                        "{}: {}; lines are not forwarded any more",
                        self.stream.name(),
                        super::words(errno)
                    ));
                    self.outlet = None;
                }
            }
        }
    }

    fn line(&mut self, label: &str, held: &[u8], line: &[u8]) {
        let length = held.len() + line.len() + label.len().min(NAME_MAX) + 16;
        if self.outlet.is_none() || self.backlog() + length > WAITING_MAX {
            self.missed += u64::from(self.outlet.is_some());
            return;
        }
        if self.backlog() == 0 {
            self.progress = self.now;
        }
        if self.written > 0 && self.waiting.len() + length > self.waiting.capacity() {
            self.waiting.drain(..self.written);
            self.written = 0;
        }
        let (before, after) = if self.colour { colours(label) } else { ("", "") };
        if !label.is_empty() {
            let parts = [before, label, " | ", after];
            parts.iter().for_each(|part| self.waiting.extend_from_slice(part.as_bytes()));
        }
        self.waiting.extend_from_slice(held);
        self.waiting.extend_from_slice(line);
        self.waiting.push(b'\n');
    }

    fn say_missed(&mut self) {
        let missed = std::mem::take(&mut self.missed);
        let lines = if missed == 1 { "line was" } else { "lines were" };
        let text = format!(
            "upright: {missed} {lines} dropped here: standard output was not read in time\n"
        );
        self.waiting.extend_from_slice(text.as_bytes());
    }

    fn clear(&mut self) {
        self.written = 0;
        if self.waiting.capacity() > 8 * 1024 {
            self.waiting = Vec::new();
        } else {
            self.waiting.clear();
        }
    }
}

/// Returns the same one of six colours for the same label, and what ends it.
fn colours(label: &str) -> (&'static str, &'static str) {
    const COLOURS: [&str; 6] =
        ["\x1b[36m", "\x1b[33m", "\x1b[32m", "\x1b[35m", "\x1b[34m", "\x1b[31m"];
    let sum = label.bytes().fold(7usize, |sum, byte| sum.wrapping_mul(31) ^ usize::from(byte));
    (COLOURS.get(sum % COLOURS.len()).copied().unwrap_or_default(), "\x1b[0m")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forwarder() -> Forwarder {
        let nobody = Mono(0);
        Forwarder {
            stream: Stream::Stdout,
            watched: false,
            outlet: Outlet::open(Stream::Stdout).ok(),
            colour: false,
            waiting: Vec::new(),
            written: 0,
            missed: 0,
            now: nobody,
            progress: nobody,
        }
    }

    #[test]
    fn a_line_is_queued_once_it_is_complete() {
        let (mut out, mut partial) = (forwarder(), Partial::default());
        out.feed("db", &mut partial, b"on");
        assert_eq!(out.waiting, b"");
        out.feed("db", &mut partial, b"e\ntwo\nthr");
        assert_eq!(out.waiting, b"db | one\ndb | two\n");
        out.end("db", &mut partial);
        out.feed("", &mut partial, b"bare\n");
        assert_eq!(out.waiting, b"db | one\ndb | two\ndb | thr\nbare\n");
    }

    #[test]
    fn a_line_that_is_too_long_is_broken() {
        let (mut out, mut partial) = (forwarder(), Partial::default());
        out.feed("db", &mut partial, &vec![b'x'; LINE_MAX]);
        assert_eq!(out.waiting.len(), LINE_MAX + "db | \n".len());
        assert!(partial.held.is_empty());
    }

    #[test]
    fn what_nobody_reads_is_counted() {
        let (mut out, mut partial) = (forwarder(), Partial::default());
        for _ in 0..WAITING_MAX {
            out.feed("db", &mut partial, b"\n");
        }
        assert!(out.missed > 0 && out.waiting.len() <= WAITING_MAX);
        out.clear();
        out.missed = 1;
        out.say_missed();
        assert_eq!(
            out.waiting,
            b"upright: 1 line was dropped here: standard output was not read in time\n"
        );
    }
}
