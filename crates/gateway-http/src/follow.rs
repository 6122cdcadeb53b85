//! A log as it grows, for who reads along.

use crate::call::Gateway;
use crate::logs::{elsewhere, piece, size, Found};
use engine::control::call::Log;
use engine::control::fault::Fault;
use hyper::body::{Body, Bytes, Frame};
use std::convert::Infallible;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::mpsc::{channel, Receiver, Sender};
use tokio::time::{sleep, Instant};

/// How much of what is there is sent first. Source: Supervisor 4.3.0, http.py, `tail_f_producer`.
const BEGIN: u64 = 1024;

/// How much is sent at once.
const PIECE: u64 = 64 * 1024;

/// How often it is looked for more. Nobody else looks: only while somebody reads along.
const PAUSE: Duration = Duration::from_millis(100);

/// What is said where the file has become shorter. Source: as above.
const TRUNCATED: &[u8] = b"==> File truncated <==\n";

/// How long it is waited before a file is asked for again: one that was not there, and every one, for who
/// may read it no longer is told then.
const AGAIN_MAX: Duration = Duration::from_secs(1);

/// How far a log has been read.
struct Place {
    /// Its file; none: there is none yet.
    file: Option<File>,
    /// What the file was called when it was opened.
    name: Option<PathBuf>,
    /// Which file it was.
    inode: u64,
    at: u64,
    /// Where it was to be begun. Where the file has become shorter since, another was begun.
    from: Option<u64>,
}

/// The body of an answer that goes on as long as somebody reads it.
pub struct Following(Receiver<Bytes>);

impl From<Receiver<Bytes>> for Following {
    fn from(pieces: Receiver<Bytes>) -> Following {
        Following(pieces)
    }
}

/// Follows a log as it was found, from that byte on, else from a little before its end.
pub fn follow(gateway: &Rc<Gateway>, log: Log, found: Found, from: Option<u64>) -> Following {
    let (sender, receiver) = channel(1);
    let place = Place::new(found.file, from);
    tokio::task::spawn_local(pump(Rc::clone(gateway), log, place, sender));
    Following(receiver)
}

async fn pump(gateway: Rc<Gateway>, log: Log, mut place: Place, sender: Sender<Bytes>) {
    let (mut wait, mut asked) = (PAUSE, Instant::now());
    loop {
        let looked = elsewhere(move || {
            let more = place.more();
            let stays = place.is_in_place();
            Ok((place, more, stays))
        });
        let Ok((now, more, stays)) = looked.await else { return };
        place = now;
        if !more.is_empty() {
            wait = PAUSE;
            if sender.send(Bytes::from(more)).await.is_err() {
                return;
            }
            continue;
        }
        tokio::select! {
            () = sleep(wait) => {}
            () = sender.closed() => return,
        }
        if stays && asked.elapsed() < AGAIN_MAX {
            wait = PAUSE;
            continue;
        }
        // Another one may have its place by now.
        wait = if stays { PAUSE } else { (wait * 2).min(AGAIN_MAX) };
        asked = Instant::now();
        match gateway.control.open_log(log.clone()).await {
            Ok((_, Some(file))) => place.go_on_in(file),
            Err(fault @ Fault::NotPermitted { .. }) => {
                // Whoever read along may be gone.
                let _ = sender.send(Bytes::from(format!("==> {fault} <==\n"))).await;
                return;
            }
            Ok((_, None)) | Err(_) => {}
        }
    }
}

impl Place {
    fn new(file: Option<File>, from: Option<u64>) -> Place {
        let mut place = Place { file: None, name: None, inode: 0, at: 0, from };
        if let Some(file) = file {
            place.go_on_in(file);
        }
        place
    }

    /// Reads another file from its beginning, or the same one on.
    fn go_on_in(&mut self, file: File) {
        let inode = file.metadata().map(|about| about.ino()).unwrap_or_default();
        if self.inode == 0 {
            let size = size(&file).unwrap_or_default();
            self.at = match self.from {
                Some(from) if from <= size => from,
                Some(_) => 0,
                None => size.saturating_sub(BEGIN),
            };
        } else if inode != self.inode {
            self.at = 0;
        }
        self.inode = inode;
        self.name = name(&file);
        self.file = Some(file);
    }

    /// Reports whether the file is still called what it was called.
    fn is_in_place(&self) -> bool {
        let now = self.file.as_ref().and_then(name);
        now.is_some() && now == self.name
    }

    /// Returns what is new.
    fn more(&mut self) -> Vec<u8> {
        let Some(file) = &self.file else { return Vec::new() };
        let mut out = Vec::new();
        if size(file).unwrap_or_default() < self.at {
            out.extend_from_slice(TRUNCATED);
            self.at = 0;
        }
        let new = piece(file, self.at, PIECE).unwrap_or_default();
        self.at += new.len() as u64;
        out.extend(new);
        out
    }
}

/// Returns what a file is called now: the kernel tells it of a descriptor.
fn name(file: &File) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).ok()
}

impl Body for Following {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn what_is_new_is_told_once_also_of_another_and_of_a_shorter_file() {
        let folder = Scratch::directory("follow");
        let path = folder.join("log");
        let open = || File::open(&path).unwrap();
        let mut place = Place::new(None, None);
        assert!(place.more().is_empty() && !place.is_in_place());
        std::fs::write(&path, [&[b'x'; 2000][..], b"end"].concat()).unwrap();
        place.go_on_in(open());
        let first = place.more();
        assert!(first.len() == 1024 && first.ends_with(b"end"));
        assert_eq!(place.more(), b"");
        std::fs::write(&path, "new").unwrap();
        assert_eq!(place.more(), [TRUNCATED, b"new"].concat());
        assert_eq!(Place::new(Some(open()), Some(1)).more(), b"ew");
        assert_eq!(Place::new(Some(open()), Some(100)).more(), b"new", "it came too late");
        assert!(place.is_in_place());
        place.go_on_in(open());
        assert_eq!(place.more(), b"", "it is the same");
        let other = path.with_extension("new");
        std::fs::write(&other, "other file").unwrap();
        std::fs::rename(&other, &path).unwrap();
        assert!(!place.is_in_place(), "another one has its name");
        place.go_on_in(open());
        assert_eq!(place.more(), b"other file");
        std::fs::rename(&path, &other).unwrap();
        assert!(!place.is_in_place(), "it was renamed");
    }
}
