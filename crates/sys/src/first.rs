//! What only PID 1 of a machine does.

use rustix::fs::{Mode, OFlags};
use std::os::fd::AsRawFd;

/// KDSIGACCEPT of linux/kd.h.
const SIGACCEPT: libc::c_ulong = 0x4B4E;

/// The PID namespace of the machine itself, as `/proc` numbers it. Source: linux/proc_ns.h,
/// PROC_PID_INIT_INO.
const MACHINES: u64 = 0xEFFF_FFFC;

/// Reports whether this is a container: a PID namespace within the machine's. Where there is no
/// `/proc` yet it is a machine that boots.
fn is_container() -> bool {
    rustix::fs::stat(c"/proc/self/ns/pid").is_ok_and(|namespace| namespace.st_ino != MACHINES)
}

/// Makes the kernel send SIGINT for Ctrl-Alt-Delete in place of a reboot, and SIGWINCH for the
/// keyboard's request key. Not in a container, whose keyboard is somebody else's, though a privileged
/// one may see it. Source: main.c of Upstart 1.13.2.
pub fn take_keys() {
    if is_container() {
        return;
    }
    // SAFETY: plain numbers.
    unsafe { libc::reboot(libc::RB_DISABLE_CAD) };
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    if let Ok(console) = rustix::fs::open(c"/dev/tty0", flags, Mode::empty()) {
        // SAFETY: takes a signal's number in place of a pointer.
        unsafe { libc::ioctl(console.as_raw_fd(), SIGACCEPT as _, libc::SIGWINCH) };
    }
}
