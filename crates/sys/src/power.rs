//! The end of the machine: reboot(2). In a PID namespace of its own it ends that namespace's init
//! instead, by SIGINT or SIGHUP. Source: reboot(2), pid_namespaces(7).

use crate::signals::last_error;
use rustix::io::Errno;
use std::ffi::{CStr, CString};
use std::ptr;

/// How the machine ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Power {
    /// It stands still.
    Halt,
    /// It is switched off.
    Off,
    /// It starts again.
    Restart,
    /// It starts again, and the firmware is told this.
    RestartWith(CString),
}

/// Writes what is in memory to the disks, and waits for that.
pub fn sync() {
    rustix::fs::sync();
}

/// Ends the machine at once: nothing is stopped, nothing is written. Returns only why it could not.
pub fn end(power: &Power) -> Errno {
    // Ctrl-Alt-Delete is the kernel's again: a machine that only stands still obeys it.
    let _ = call(libc::LINUX_REBOOT_CMD_CAD_ON, None);
    let refused = match power {
        Power::Halt => call(libc::LINUX_REBOOT_CMD_HALT, None),
        Power::Off => call(libc::LINUX_REBOOT_CMD_POWER_OFF, None),
        Power::Restart => call(libc::LINUX_REBOOT_CMD_RESTART, None),
        Power::RestartWith(word) => call(libc::LINUX_REBOOT_CMD_RESTART2, Some(word)),
    };
    refused.err().unwrap_or(Errno::IO)
}

fn call(command: libc::c_int, word: Option<&CStr>) -> Result<(), Errno> {
    let (first, second) = (libc::LINUX_REBOOT_MAGIC1, libc::LINUX_REBOOT_MAGIC2);
    let word = word.map_or(ptr::null(), CStr::as_ptr);
    // SAFETY: numbers, and a string that lives until the call is over, or null where none is read.
    match unsafe { libc::syscall(libc::SYS_reboot, first, second, command, word) } {
        0 => Ok(()),
        _ => Err(last_error()),
    }
}
