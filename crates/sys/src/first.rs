//! What only PID 1 of a machine does.

use rustix::fs::{Mode, OFlags};
use std::os::fd::AsRawFd;

/// KDSIGACCEPT of linux/kd.h.
const SIGACCEPT: libc::c_ulong = 0x4B4E;

/// Makes the kernel send SIGINT for Ctrl-Alt-Delete in place of a reboot, and SIGWINCH for the
/// keyboard's request key. Where there is no such thing (a container), nothing happens.
/// Source: main.c of Upstart 1.13.2.
pub fn take_keys() {
    // SAFETY: plain numbers.
    unsafe { libc::reboot(libc::RB_DISABLE_CAD) };
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    if let Ok(console) = rustix::fs::open(c"/dev/tty0", flags, Mode::empty()) {
        // SAFETY: takes a signal's number in place of a pointer.
        unsafe { libc::ioctl(console.as_raw_fd(), SIGACCEPT as _, libc::SIGWINCH) };
    }
}
