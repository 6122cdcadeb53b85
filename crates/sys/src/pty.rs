//! Pipes and pseudo terminals for the input and output of services.

use rustix::fs::{fchown, fcntl_setfl, Gid, OFlags, Uid};
use rustix::io::Errno;
use rustix::pipe::{pipe_with, PipeFlags};
use rustix::pty::{ioctl_tiocgptpeer, openpt, unlockpt, OpenptFlags};
use std::os::fd::{AsFd, OwnedFd};

/// Both ends of a way for output or input. Both are close-on-exec; the service's blocks, ours does not.
#[derive(Debug)]
pub struct Output {
    /// Where Upright reads, or the service, of an input.
    pub read: OwnedFd,
    /// What the service writes to, or Upright, of an input.
    pub write: OwnedFd,
}

/// Makes a pipe that belongs to a user and group, so that they can open `/dev/stderr` again.
pub fn pipe(owner: (u32, u32)) -> Result<Output, Errno> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
    fcntl_setfl(&read, OFlags::NONBLOCK)?;
    own(&write, owner);
    Ok(Output { read, write })
}

/// Makes a pipe for the input of a service, whose reading end belongs to a user and group. Reading
/// blocks, writing does not.
pub fn input(owner: (u32, u32)) -> Result<Output, Errno> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
    fcntl_setfl(&write, OFlags::NONBLOCK)?;
    own(&read, owner);
    Ok(Output { read, write })
}

/// Makes a pseudo terminal that belongs to a user and group. Newlines read as CR LF: it is for those
/// who ask for what Upstart did.
pub fn terminal(owner: (u32, u32)) -> Result<Output, Errno> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let read = openpt(flags)?;
    unlockpt(&read)?;
    let write = ioctl_tiocgptpeer(&read, flags)?;
    fcntl_setfl(&read, OFlags::RDWR | OFlags::NONBLOCK)?;
    own(&write, owner);
    Ok(Output { read, write })
}

/// Refused only where becoming that user is refused too, which says so; then nothing is lost here.
fn own(fd: impl AsFd, (uid, gid): (u32, u32)) {
    let ours = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    if (uid, gid) != ours {
        let _ = fchown(fd, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
    }
}
