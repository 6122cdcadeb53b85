//! Log files whose names are made up (`AUTO`): what they are called, and those that were left.
//!
//! A name is the original's, `PROCESS-CHANNEL---IDENTIFIER-` and eight letters: four of this daemon, four of
//! the job, so that a process has the same file however often it or the daemon is started again. The
//! daemon's four stand in the name of a lock file beside them, held as long as anybody of ours lives:
//! who begins removes what was left by others, and leaves alone what is of the living.
//! Source: Supervisor 4.3.0, `clear_autochildlogdir`, which also removes those of the living.

use super::Daemon;
use engine::dialect::supervisord;
use engine::keeper::held;
use engine::names::JobName;
use engine::process::Stream;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use sys::lock;

/// What the letters of a name are.
const LETTERS: &[u8; 37] = b"abcdefghijklmnopqrstuvwxyz0123456789_";

/// How many letters are the daemon's, and how many the job's.
const HALF: usize = 4;

/// How often other letters are tried where those are taken.
const TRIES: u64 = 64;

/// What log files are called that are named by nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AutoLogs {
    directory: PathBuf,
    identifier: String,
    /// The daemon's letters.
    own: String,
}

impl AutoLogs {
    /// Returns the file of an output.
    pub fn path(&self, job: &JobName, stream: Stream) -> PathBuf {
        let job = job.text().bytes();
        let process = job.rsplit(|byte| *byte == b':').next().unwrap_or(job);
        let process: Vec<u8> =
            process.iter().map(|byte| if *byte == b'/' { b'_' } else { *byte }).collect();
        let AutoLogs { identifier, own, .. } = self;
        let rest = format!("-{}---{identifier}-{own}{}.log", stream.name(), letters(sum(job)));
        self.directory.join(OsStr::from_bytes(&[&process, rest.as_bytes()].concat()))
    }

    fn lock(&self) -> PathBuf {
        lock_file(&self.directory, &self.identifier, &self.own)
    }

    /// Removes the files of those who live no more.
    fn clean(&self) {
        let Ok(entries) = fs::read_dir(&self.directory) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let Some(owner) = owner(&name.to_string_lossy(), &self.identifier) else { continue };
            let file = lock_file(&self.directory, &self.identifier, &owner);
            if owner != self.own && !lock::is_taken(&file) {
                // What is not ours to remove stays.
                let _ = fs::remove_file(entry.path());
                let _ = fs::remove_file(file);
            }
        }
    }
}

fn lock_file(directory: &Path, identifier: &str, own: &str) -> PathBuf {
    directory.join(format!(".{identifier}-{own}.lock"))
}

/// Returns the daemon's letters of a file's name; nothing where it is no such file of this identifier.
fn owner(name: &str, identifier: &str) -> Option<String> {
    let (_, rest) = name.split_once(&format!("---{identifier}-"))?;
    let (letters, number) = rest.split_once(".log")?;
    let number = number.strip_prefix('.').unwrap_or(number);
    let is_one = letters.len() == 2 * HALF
        && letters.bytes().all(|byte| LETTERS.contains(&byte))
        && number.bytes().all(|byte| byte.is_ascii_digit());
    is_one.then(|| letters.get(..HALF).map(String::from)).flatten()
}

fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn letters(mut number: u64) -> String {
    let mut text = String::new();
    for _ in 0..HALF {
        let letter = LETTERS.get((number % LETTERS.len() as u64) as usize);
        text.push(char::from(letter.copied().unwrap_or(b'_')));
        number /= LETTERS.len() as u64;
    }
    text
}

impl Daemon {
    /// Makes up this daemon's letters and removes what was left in the directory.
    pub(super) fn begin_autologs(&mut self, own: &supervisord::Daemon) {
        let directory = self.settings.absolute(Path::new(&own.childlogdir));
        let seed = sys::clock::wall().0 ^ u64::from(std::process::id()) << 32;
        let tries = (0..TRIES).map(|try_| AutoLogs {
            directory: directory.clone(),
            identifier: own.identifier.clone(),
            own: letters(sum(&(seed + try_).to_le_bytes())),
        });
        let mut made = tries.map(|logs| (lock::make(&logs.lock()), logs));
        let Some((lock, logs)) = made.find(|(lock, _)| !matches!(lock, Err(sys::Errno::EXIST)))
        else {
            return;
        };
        match lock {
            Ok(lock) => self.hold(held::AUTO_LOCK, lock.as_fd()),
            // Where nothing can be written the logger says so for each file.
            Err(errno) => {
                let line = format!("{}: cannot be locked: {errno}", logs.directory.display());
                self.say(engine::machine::Level::Info, &line);
            }
        }
        if !own.nocleanup {
            logs.clean();
        }
        self.settings.autologs = Some(logs);
    }

    /// Goes on with the letters of the daemon before.
    pub(super) fn take_autologs(
        &mut self,
        own: &supervisord::Daemon,
        held: &mut BTreeMap<u32, OwnedFd>,
    ) {
        let lock = held.remove(&held::AUTO_LOCK);
        let path = lock
            .and_then(|fd| fs::read_link(format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd())).ok());
        let name = path.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy());
        let own_letters = name.as_deref().and_then(|name| {
            let letters = name.strip_prefix(&format!(".{}-", own.identifier))?;
            letters.get(..HALF).map(String::from)
        });
        self.settings.autologs = own_letters.map(|letters| AutoLogs {
            directory: self.settings.absolute(Path::new(&own.childlogdir)),
            identifier: own.identifier.clone(),
            own: letters,
        });
        if self.settings.autologs.is_none() {
            self.begin_autologs(own);
        }
    }

    /// Everything ends: what is left may be removed by whoever begins next.
    pub(super) fn end_autologs(&self) {
        if let Some(logs) = &self.settings.autologs {
            let _ = fs::remove_file(logs.lock());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    fn logs(directory: &Path) -> AutoLogs {
        AutoLogs {
            directory: directory.to_owned(),
            identifier: String::from("supervisor"),
            own: String::from("abc1"),
        }
    }

    #[test]
    fn names_are_as_the_originals_and_differ_from_job_to_job() {
        let logs = logs(Path::new("/tmp"));
        let path = |job: &str, stream| {
            let path = logs.path(&JobName::try_from(job).unwrap(), stream);
            path.to_string_lossy().into_owned()
        };
        let web = path("web", Stream::Stdout);
        assert!(web.starts_with("/tmp/web-stdout---supervisor-abc1"), "{web}");
        assert_eq!(owner(&web, "supervisor").as_deref(), Some("abc1"));
        assert!(path("group:web", Stream::Stderr).starts_with("/tmp/web-stderr---supervisor-abc1"));
        assert_ne!(path("a:web", Stream::Stdout), path("b:web", Stream::Stdout));
    }

    #[test]
    fn what_is_no_such_file_is_left_alone() {
        for name in [
            "web-stdout---other-abc1wxyz.log",
            "web-stdout---supervisor-abc1wxyz.txt",
            "web-stdout---supervisor-abc1.log",
            "web-stdout---supervisor-abc1wxyz.log.gz",
            "web.log",
        ] {
            assert_eq!(owner(name, "supervisor"), None, "{name}");
        }
        let old = owner("web-stdout---supervisor-abc1wxyz.log.12", "supervisor");
        assert_eq!(old.as_deref(), Some("abc1"));
    }

    #[test]
    fn what_is_left_is_removed_and_what_is_of_the_living_stays() {
        let directory = Scratch::directory("auto");
        let lock = lock::make(&lock_file(&directory, "supervisor", "live")).unwrap();
        let file = |letters: &str| directory.join(format!("x-stdout---supervisor-{letters}.log"));
        for letters in ["live0000", "dead0000", "abc10000"] {
            fs::write(file(letters), "").unwrap();
        }
        logs(&directory).clean();
        let there = ["live0000", "dead0000", "abc10000"].map(|letters| file(letters).exists());
        assert_eq!(there, [true, false, true]);
        drop(lock);
        logs(&directory).clean();
        assert!(!file("live0000").exists());
    }
}
