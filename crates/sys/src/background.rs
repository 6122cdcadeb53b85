//! Going into the background: the process that was started waits until the one behind it is ready.

use crate::entry;
use crate::signals::last_error;
use crate::wait::exit_of;
use engine::process::{Exit, Pid};
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::pipe::{pipe_with, PipeFlags};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

/// What is written to standard error once all is well; no text has it.
const READY: u8 = 0;

/// Which of the two a process has become.
pub enum Side {
    /// The one that was started.
    Front(Behind),
    /// The one behind it: in a session of its own, without input and output; what it writes to
    /// standard error the front passes on until it is told [`tell_ready`], then nobody reads it.
    Back,
}

/// The process in the background, as the one in front knows it.
pub struct Behind {
    pid: Pid,
    said: OwnedFd,
}

/// Makes the process in the background. Only where this process has one thread.
pub fn split() -> Result<Side, Errno> {
    let (said, end) = pipe_with(PipeFlags::CLOEXEC)?;
    let null = entry::open_null()?;
    // SAFETY: the process has one thread, so that the new one is as whole as this one.
    match unsafe { libc::fork() } {
        0 => {
            drop(said);
            rustix::process::setsid()?;
            for (from, to) in [(&null, 0), (&null, 1), (&end, 2)] {
                stand_in(from, to)?;
            }
            Ok(Side::Back)
        }
        pid if pid > 0 => Ok(Side::Front(Behind { pid, said })),
        _ => Err(last_error()),
    }
}

/// Makes `to`, one of 0 to 2, the same as a descriptor.
fn stand_in(from: &OwnedFd, to: RawFd) -> Result<(), Errno> {
    // SAFETY: plain numbers; 0 to 2 are nobody's in particular.
    match unsafe { libc::dup2(from.as_raw_fd(), to) } {
        number if number == to => Ok(()),
        _ => Err(last_error()),
    }
}

impl Behind {
    /// Passes on what is said until the process in the background is ready, or has ended, or that long;
    /// returns the exit status that tells it: 0 where it lives.
    pub fn wait(self, patience: Duration) -> i32 {
        let until = Instant::now() + patience;
        let mut buffer = [0; 4096];
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let timeout = Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: left.subsec_nanos().into(),
            };
            let mut asked = [PollFd::new(&self.said, PollFlags::IN)];
            match poll(&mut asked, Some(&timeout)) {
                Ok(0) => return 0,
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(_) => return 1,
            }
            let length = match rustix::io::read(&self.said, &mut buffer) {
                Ok(0) => return self.ended(),
                Ok(length) => length,
                Err(Errno::INTR) => continue,
                Err(_) => return 1,
            };
            let said = buffer.get(..length).unwrap_or(&[]);
            let ready = said.iter().position(|byte| *byte == READY);
            let text = said.get(..ready.unwrap_or(length)).unwrap_or(&[]);
            let _ = rustix::io::write(rustix::stdio::stderr(), text);
            if ready.is_some() {
                return 0;
            }
        }
    }

    fn ended(self) -> i32 {
        match exit_of(self.pid) {
            Some(Exit::Status(status)) => i32::from(status),
            Some(Exit::Signal { signal, .. }) => 128 + i32::from(signal),
            Some(Exit::Unknown | Exit::OutOfMemory) | None => 1,
        }
    }
}

/// Tells the process in front that this one, or the one that it belongs to, is ready.
pub fn tell_ready() {
    // Nobody waits there any more: then nobody is to be told.
    let _ = rustix::io::write(rustix::stdio::stderr(), &[READY]);
}

/// Sets the file creation mask of this process.
pub fn set_mask(mask: u32) {
    rustix::process::umask(Mode::from_raw_mode(mask & 0o777));
}

/// Returns the file creation mask of this process, which has one thread: there is no other way to ask
/// than to set it.
pub fn mask() -> u32 {
    let mask = rustix::process::umask(Mode::from_raw_mode(0o077));
    rustix::process::umask(mask);
    mask.as_raw_mode() & 0o777
}
