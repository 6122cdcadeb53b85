//! Children that ended or stopped.

use crate::signals::last_error;
use engine::process::{Exit, Pid};
use rustix::io::Errno;
use std::mem::MaybeUninit;

/// What has happened to a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It ended and is reaped.
    Exited(Exit),
    /// A signal stopped it.
    Stopped(u8),
}

/// Which child is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom {
    /// Any.
    Any,
    /// This one.
    Pid(Pid),
}

/// Returns one change that was not returned before, without waiting. An exit is returned once: the
/// child is gone with it.
pub fn change(whom: Whom) -> Option<(Pid, Change)> {
    let flags = libc::WEXITED | libc::WSTOPPED | libc::WNOHANG;
    wait(whom, flags).ok().flatten()
}

/// Waits for a child to end and reaps it; nothing where it is no child of ours.
pub fn exit_of(pid: Pid) -> Option<Exit> {
    match wait(Whom::Pid(pid), libc::WEXITED) {
        Ok(Some((_, Change::Exited(exit)))) => Some(exit),
        Ok(Some((_, Change::Stopped(_))) | None) | Err(_) => None,
    }
}

/// Reports whether this is a child of ours that is not reaped yet.
pub fn is_child(pid: Pid) -> bool {
    pid > 0 && wait(Whom::Pid(pid), libc::WEXITED | libc::WNOHANG | libc::WNOWAIT).is_ok()
}

fn wait(whom: Whom, flags: i32) -> Result<Option<(Pid, Change)>, Errno> {
    let (kind, id) = match whom {
        Whom::Any => (libc::P_ALL, 0),
        Whom::Pid(pid) => (libc::P_PID, libc::id_t::try_from(pid).map_err(|_| Errno::CHILD)?),
    };
    loop {
        let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
        // SAFETY: the kernel fills in the structure, which lives here; it is valid as zeroes too.
        let (returned, info) =
            unsafe { (libc::waitid(kind, id, info.as_mut_ptr(), flags), info.assume_init()) };
        match returned {
            // SAFETY: waitid fills in the fields of a child's signal, or leaves zeroes.
            0 => return Ok(unsafe { told(info.si_code, info.si_pid(), info.si_status()) }),
            _ => match last_error() {
                Errno::INTR => {}
                errno => return Err(errno),
            },
        }
    }
}

fn told(code: i32, pid: Pid, status: i32) -> Option<(Pid, Change)> {
    let number = (status & 0xff) as u8;
    let change = match code {
        libc::CLD_EXITED => Change::Exited(Exit::Status(number)),
        libc::CLD_KILLED => Change::Exited(Exit::Signal { signal: number, core: false }),
        libc::CLD_DUMPED => Change::Exited(Exit::Signal { signal: number, core: true }),
        libc::CLD_STOPPED | libc::CLD_TRAPPED => Change::Stopped(number),
        _ => return None,
    };
    (pid > 0).then_some((pid, change))
}

/// Returns what a status of wait(2) says.
pub(crate) fn of_wait_status(status: i32) -> Exit {
    let (signal, core) = ((status & 0x7f) as u8, status & 0x80 != 0);
    match signal {
        0 => Exit::Status((status >> 8 & 0xff) as u8),
        signal => Exit::Signal { signal, core },
    }
}
