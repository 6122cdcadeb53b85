//! How many connections may wait at a socket that listens.

use rustix::io::Errno;
use std::os::fd::AsFd;

/// Sets how many connections may wait to be accepted; the kernel has a limit of its own
/// (`net.core.somaxconn`).
pub fn set(socket: impl AsFd, count: u16) -> Result<(), Errno> {
    // Said again of a socket that listens, it changes the number alone. Source: listen(2).
    rustix::net::listen(socket, i32::from(count))
}
