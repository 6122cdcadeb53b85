//! Going on in another binary: the one that now stands where this one was started from is tried, and
//! where it can go on with what there is the keeper becomes it.

use super::connections::ConnectionId;
use super::link::Sent;
use super::{Daemon, TRIAL};
use crate::trial;
use engine::control::fault::Fault;
use engine::keeper::{NotUpgraded, ToKeeper};
use engine::machine::Level;
use engine::process::Exit;
use engine::signal::Signal;
use engine::time::{Mono, Span};
use shown::words::system as words;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use sys::epoll::Interest;
use sys::memfd;

/// How long a binary may take to say whether it can go on.
const PATIENCE: Span = Span::secs(30);

/// How many bytes of what it says are read.
const SAID_MAX: usize = 4096;

/// A binary that is being tried.
pub(super) struct Trial {
    child: Child,
    output: ChildStdout,
    binary: OwnedFd,
    path: PathBuf,
    asked: ConnectionId,
    until: Mono,
    said: Vec<u8>,
}

impl Trial {
    /// Returns when it has taken too long.
    pub(super) fn until(&self) -> Mono {
        self.until
    }

    /// Ends the trial; an error where the binary cannot go on.
    fn verdict(&mut self) -> Result<(), String> {
        // It has said all that it says, or too little in its time.
        let _ = self.child.kill();
        let ended = self.child.wait().map_err(|error| error.to_string())?;
        let said = String::from_utf8_lossy(&self.said);
        let said = said.trim();
        match trial::reads_ours(said) {
            true => Ok(()),
            false if said.is_empty() => {
                Err(format!("it does not say whether it can go on: {ended}"))
            }
            false => Err(format!("it says: {}", said.lines().next().unwrap_or_default())),
        }
    }
}

impl Daemon {
    /// Goes on in the binary that stands where this one was started from, once it was tried; whoever
    /// asked is answered where that cannot be.
    pub(super) fn upgrade(&mut self, asked: ConnectionId) {
        match self.begin_trial(asked) {
            Ok(()) => self.connections.await_upgrade(asked),
            Err(why) => self.connections.answer(asked, Err(Fault::Unavailable(why))),
        }
    }

    fn begin_trial(&mut self, asked: ConnectionId) -> Result<(), String> {
        if self.trial.is_some() {
            return Err(String::from("another binary is being tried already"));
        }
        let path =
            own_path().map_err(|error| format!("this binary's own place: {}", words(&error)))?;
        let shown = path.display().to_string();
        let failed =
            |error: std::io::Error| format!("{shown}: {}; the old one goes on", words(&error));
        let binary = OwnedFd::from(File::open(&path).map_err(failed)?);
        let Some(journal) = &self.journal else {
            return Err(String::from("there is no journal now; try again later"));
        };
        // As it is now: the turns go on meanwhile.
        let journal = memfd::read_all(journal.fd());
        let journal = journal.and_then(|bytes| memfd::sealed(c"upright-trial", &bytes));
        let journal = journal.map_err(|errno| format!("the journal: {errno}"))?;
        let mut child = Command::new(format!("/proc/self/fd/{}", binary.as_raw_fd()))
            .arg(trial::ROLE)
            .args(self.arguments.iter().map(|text| OsStr::from_bytes(text.as_bytes())))
            .stdin(Stdio::from(journal))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed)?;
        let output = child.stdout.take();
        let watched = output.as_ref().map(|out| self.epoll.add(out, TRIAL, Interest::Read));
        let (Some(output), Some(Ok(()))) = (output, watched) else {
            let _ = child.kill();
            let _ = child.wait();
            return Err(format!("{shown}: it cannot be heard; the old one goes on"));
        };
        let until = sys::clock::monotonic() + PATIENCE;
        let said = Vec::new();
        self.trial = Some(Trial { child, output, binary, path, asked, until, said });
        Ok(())
    }

    /// Hears what the binary says; once that is all, it is gone on in, or not.
    pub(super) fn hear_trial(&mut self) {
        let Some(trial) = &mut self.trial else { return };
        let mut buffer = [0; 512];
        match trial.output.read(&mut buffer) {
            Ok(length) if length > 0 && trial.said.len() < SAID_MAX => {
                trial.said.extend_from_slice(buffer.get(..length).unwrap_or(&[]));
            }
            Ok(_) | Err(_) => self.decide(),
        }
    }

    /// Gives up a binary that has taken too long.
    pub(super) fn give_up_trial(&mut self) {
        let late = |trial: &Trial| trial.until <= sys::clock::monotonic();
        if self.trial.as_ref().is_some_and(late) {
            self.decide();
        }
    }

    fn decide(&mut self) {
        let Some(trial) = &mut self.trial else { return };
        let _ = self.epoll.delete(&trial.output);
        let verdict = trial.verdict();
        if let Err(why) = verdict {
            return self.refuse_upgrade(why);
        }
        match self.link.send(&ToKeeper::Upgrade, &[trial.binary.as_fd()]) {
            // Nothing is to be done but to go on: this daemon is ended by what comes.
            Sent::Yes => {}
            Sent::Full => self.refuse_upgrade(String::from("the keeper is busy; try again")),
            Sent::Gone => self.standing = super::Standing::Lost,
        }
    }

    /// The other binary is not gone on in.
    pub(super) fn refuse_upgrade(&mut self, why: String) {
        let Some(trial) = self.trial.take() else { return };
        let why = format!("{}: {why}; the old one goes on", trial.path.display());
        self.say(Level::Error, &why);
        self.connections.answer(trial.asked, Err(Fault::Unavailable(why)));
        self.touched.insert(trial.asked);
    }
}

/// Returns why another binary is not gone on in, in words.
pub(super) fn not_upgraded(why: NotUpgraded) -> String {
    match why {
        NotUpgraded::Refused(errno) => {
            format!("it cannot be executed: {}", words(&std::io::Error::from_raw_os_error(errno)))
        }
        NotUpgraded::Died(exit) => {
            format!("it was to show that it can take the keeper's place, and {}", ended(exit))
        }
        // What a fault raises would have been its end; there is no other signal by which it is told.
        NotUpgraded::GivenUp(exit) => {
            format!("it took the keeper's place and could not do its work: {}", ended(exit))
        }
    }
}

/// Returns that another binary was gone on in and given up again, and why.
pub(super) fn given_up(why: NotUpgraded) -> String {
    let path =
        own_path().map_or_else(|_| String::from("upgrade"), |path| path.display().to_string());
    format!("{path}: {}; the old one goes on", not_upgraded(why))
}

fn ended(exit: Exit) -> String {
    match exit {
        Exit::Status(status) => format!("it ended with status {status}"),
        Exit::Signal { signal, .. } => match Signal::try_from(signal) {
            Ok(signal) => format!("it was ended by {signal} signal"),
            Err(_) => format!("it was ended by signal {signal}"),
        },
        Exit::Unknown | Exit::OutOfMemory => String::from("it ended"),
    }
}

/// Returns where this binary was, and another may be now.
fn own_path() -> std::io::Result<PathBuf> {
    let path = fs::read_link("/proc/self/exe")?.into_os_string().into_vec();
    let path = path.strip_suffix(b" (deleted)").map(<[u8]>::to_vec).unwrap_or(path);
    Ok(PathBuf::from(OsString::from_vec(path)))
}
