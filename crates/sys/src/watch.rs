//! Watching directories for changes (inotify).

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// How many bytes of events are taken at a time.
const BATCH: usize = 64 * 1024;

/// Names a watched directory. Two paths to one directory have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WatchId(i32);

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// An entry is new: a file that is not written yet, a link, a directory.
    Made,
    /// A file was written and closed, or its permissions were changed.
    Written,
    /// An entry was moved here.
    MovedIn,
    /// An entry is gone.
    Gone,
    /// The directory itself was deleted, and everything in it before.
    Deleted,
    /// The directory itself was moved.
    MovedAway,
    /// It is not watched any more.
    Ended,
    /// Events were lost: everything has to be looked at.
    Overflow,
}

/// An event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The directory; of an overflow none that is known.
    pub watch: WatchId,
    /// What happened.
    pub what: What,
    /// Whether the entry is a directory.
    pub directory: bool,
    /// The entry's name; empty where it is the directory itself.
    pub name: Vec<u8>,
}

/// A set of watched directories.
#[derive(Debug)]
pub struct Watch {
    fd: OwnedFd,
}

impl Watch {
    /// Makes an empty set.
    pub fn new() -> Result<Watch, Errno> {
        Ok(Watch { fd: inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)? })
    }

    /// Returns the descriptor to wait for.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Watches a directory, which a link may lead to.
    pub fn add(&self, directory: &Path) -> Result<WatchId, Errno> {
        let wanted = WatchFlags::CREATE
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::ATTRIB
            | WatchFlags::MOVED_TO
            | WatchFlags::MOVED_FROM
            | WatchFlags::DELETE
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR;
        inotify::add_watch(&self.fd, directory, wanted).map(WatchId)
    }

    /// Watches a directory no more.
    pub fn remove(&self, watch: WatchId) {
        // An error means that it has ended already.
        let _ = inotify::remove_watch(&self.fd, watch.0);
    }

    /// Takes some of the events that are there; none where there are none.
    pub fn take(&self) -> Result<Vec<Event>, Errno> {
        let mut buffer = vec![MaybeUninit::uninit(); BATCH];
        let mut reader = Reader::new(&self.fd, &mut buffer);
        let mut events = Vec::new();
        loop {
            match reader.next() {
                Ok(event) => {
                    let flags = event.events();
                    let name = event.file_name().map_or(&b""[..], |name| name.to_bytes());
                    events.extend(what(flags).map(|what| Event {
                        watch: WatchId(event.wd()),
                        what,
                        directory: flags.contains(ReadFlags::ISDIR),
                        name: name.to_vec(),
                    }));
                }
                Err(Errno::AGAIN) => return Ok(events),
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(errno),
            }
            // The rest of what was read is taken, and no more is read.
            if reader.is_buffer_empty() {
                return Ok(events);
            }
        }
    }
}

fn what(flags: ReadFlags) -> Option<What> {
    let table = [
        (ReadFlags::QUEUE_OVERFLOW, What::Overflow),
        (ReadFlags::IGNORED, What::Ended),
        (ReadFlags::DELETE_SELF, What::Deleted),
        (ReadFlags::MOVE_SELF, What::MovedAway),
        (ReadFlags::CREATE, What::Made),
        (ReadFlags::CLOSE_WRITE, What::Written),
        (ReadFlags::ATTRIB, What::Written),
        (ReadFlags::MOVED_TO, What::MovedIn),
        (ReadFlags::MOVED_FROM, What::Gone),
        (ReadFlags::DELETE, What::Gone),
    ];
    table.into_iter().find(|(flag, _)| flags.contains(*flag)).map(|(_, what)| what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;
    use std::fs;

    #[test]
    fn what_happens_in_a_directory_is_told_with_the_names() {
        let dir = Scratch::directory("watch");
        let watch = Watch::new().unwrap();
        let id = watch.add(&dir).unwrap();
        assert_eq!(watch.take().unwrap(), []);
        fs::write(dir.join("a"), "x").unwrap();
        fs::rename(dir.join("a"), dir.join("b")).unwrap();
        fs::create_dir(dir.join("c")).unwrap();
        fs::remove_file(dir.join("b")).unwrap();
        fs::remove_dir_all(&dir).unwrap();
        let told: Vec<(What, bool, String)> = watch
            .take()
            .unwrap()
            .into_iter()
            .inspect(|event| assert_eq!(event.watch, id))
            .map(|event| (event.what, event.directory, String::from_utf8(event.name).unwrap()))
            .collect();
        let expected = [
            (What::Made, false, "a"),
            (What::Written, false, "a"),
            (What::Gone, false, "a"),
            (What::MovedIn, false, "b"),
            (What::Made, true, "c"),
            (What::Gone, false, "b"),
            (What::Gone, true, "c"),
            (What::Deleted, false, ""),
            (What::Ended, false, ""),
        ];
        assert_eq!(told, expected.map(|(what, dir, name)| (what, dir, name.to_owned())));
    }
}
