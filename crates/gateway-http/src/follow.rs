//! A log as it grows, for who reads along.

use crate::logs::{elsewhere, open, piece};
use hyper::body::{Body, Bytes, Frame};
use std::convert::Infallible;
use std::os::unix::fs::MetadataExt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::mpsc::{channel, Receiver, Sender};
use tokio::time::sleep;

/// How much of what is there is sent first. Source: Supervisor 4.3.0, http.py, `tail_f_producer`.
const BEGIN: u64 = 1024;

/// How much is sent at once.
const PIECE: u64 = 64 * 1024;

/// How often it is looked for more. Nobody else looks: only while somebody reads along.
const PAUSE: Duration = Duration::from_millis(100);

/// What is said where the file has become shorter. Source: as above.
const TRUNCATED: &[u8] = b"==> File truncated <==\n";

/// How far a log has been read.
struct Place {
    path: String,
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

/// Follows a file that is there, from that byte on, else from a little before its end.
pub fn follow(path: String, from: Option<u64>) -> Following {
    let (sender, receiver) = channel(1);
    let place = Place { path, inode: 0, at: 0, from };
    tokio::task::spawn_local(pump(place, sender));
    Following(receiver)
}

async fn pump(mut place: Place, sender: Sender<Bytes>) {
    loop {
        let looked = elsewhere(move || {
            let more = place.more();
            Ok((place, more))
        });
        let Ok((now, more)) = looked.await else { return };
        place = now;
        if more.is_empty() {
            tokio::select! {
                () = sleep(PAUSE) => {}
                () = sender.closed() => return,
            }
        } else if sender.send(Bytes::from(more)).await.is_err() {
            return;
        }
    }
}

impl Place {
    /// Returns what is new. A file that has gone away is waited for.
    fn more(&mut self) -> Vec<u8> {
        let Ok((mut file, size)) = open(&self.path) else { return Vec::new() };
        let inode = file.metadata().map(|about| about.ino()).unwrap_or_default();
        let mut out = Vec::new();
        if self.inode == 0 {
            self.at = match self.from {
                Some(from) if from <= size => from,
                Some(_) => 0,
                None => size.saturating_sub(BEGIN),
            };
        } else if inode != self.inode {
            self.at = 0;
        } else if size < self.at {
            out.extend_from_slice(TRUNCATED);
            self.at = 0;
        }
        self.inode = inode;
        let new = piece(&mut file, self.at, PIECE).unwrap_or_default();
        self.at += new.len() as u64;
        out.extend(new);
        out
    }
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

    #[test]
    fn what_is_new_is_told_once_also_of_another_and_of_a_shorter_file() {
        let path = std::env::temp_dir().join(format!("upright-follow-{}", std::process::id()));
        let shown = path.display().to_string();
        let mut place = Place { path: shown.clone(), inode: 0, at: 0, from: None };
        assert_eq!(place.more(), b"");
        std::fs::write(&path, [&[b'x'; 2000][..], b"end"].concat()).unwrap();
        let first = place.more();
        assert!(first.len() == 1024 && first.ends_with(b"end"));
        assert_eq!(place.more(), b"");
        std::fs::write(&path, "new").unwrap();
        assert_eq!(place.more(), [TRUNCATED, b"new"].concat());
        let mut later = Place { path: shown.clone(), inode: 0, at: 0, from: Some(1) };
        assert_eq!(later.more(), b"ew");
        let mut too_late = Place { path: shown.clone(), inode: 0, at: 0, from: Some(100) };
        assert_eq!(too_late.more(), b"new");
        let other = format!("{shown}.new");
        std::fs::write(&other, "other file").unwrap();
        std::fs::rename(&other, &path).unwrap();
        assert_eq!(place.more(), b"other file");
        std::fs::remove_file(&path).unwrap();
    }
}
