//! Our own binary, held open, and the processes of ours that are started from it.

use crate::signals::{self, last_error, SignalSet};
use crate::spawn::{above, fork, out_of_the_way, place, Side};
use engine::process::Pid;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::ffi::{c_char, CStr, CString};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

/// The descriptor at which a process of ours finds its channel to the keeper.
pub const CHANNEL: RawFd = 3;

extern "C" {
    static environ: *const *const c_char;
}

/// Our own binary; stays what it is when the file is replaced.
pub struct Binary(OwnedFd);

impl Binary {
    /// Opens it: by `/proc`, else by the path that it was executed under.
    pub fn open() -> Result<Binary, Errno> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let opened = rustix::fs::open(c"/proc/self/exe", flags, Mode::empty());
        let fd = opened.or_else(|errno| {
            // SAFETY: the kernel puts a string there that lives as long as the process, or nothing.
            let path = unsafe {
                let path = libc::getauxval(libc::AT_EXECFN) as *const c_char;
                (!path.is_null()).then(|| CStr::from_ptr(path))
            };
            rustix::fs::open(path.ok_or(errno)?, flags, Mode::empty())
        })?;
        out_of_the_way(fd).map(Binary)
    }

    /// Starts it in a session of its own with these arguments, our environment, and `channel` as
    /// descriptor [`CHANNEL`].
    pub fn start(&self, argv: &Argv, channel: impl AsFd) -> Result<Pid, Errno> {
        match fork()? {
            Side::Child => run(self.0.as_raw_fd(), argv, channel.as_fd().as_raw_fd()),
            Side::Parent(pid) => Ok(pid),
        }
    }
}

/// Arguments with their addresses, made while memory may still be taken.
pub struct Argv {
    _strings: Vec<CString>,
    addresses: Vec<*const c_char>,
}

impl Argv {
    /// Keeps these arguments.
    pub fn new(strings: Vec<CString>) -> Argv {
        let addresses = strings.iter().map(|text| text.as_ptr());
        let addresses = addresses.chain([ptr::null()]).collect();
        Argv { _strings: strings, addresses }
    }

    /// Returns the list as execve(2) wants it; lives as long as this.
    pub(crate) fn addresses(&self) -> *const *const c_char {
        self.addresses.as_ptr()
    }
}

fn run(binary: RawFd, argv: &Argv, channel: RawFd) -> ! {
    let ready = rustix::process::setsid()
        .and_then(|_| above(channel))
        .and_then(|channel| place(channel, CHANNEL));
    if ready.is_ok() {
        signals::block(SignalSet::NONE);
        let empty = c"".as_ptr();
        let (argv, flags) = (argv.addresses.as_ptr(), libc::AT_EMPTY_PATH);
        // SAFETY: the path is empty, the lists end with a null, and all live until the call is over.
        unsafe { libc::syscall(libc::SYS_execveat, binary, empty, argv, environ, flags) };
    }
    // SAFETY: ends this process at once; nothing of it is to be torn down.
    unsafe { libc::_exit(255) }
}

/// Takes the channel that [`Binary::start`] left. Nothing where it is not there, or taken already.
pub fn channel() -> Option<OwnedFd> {
    // SAFETY: plain numbers.
    let flags = unsafe { libc::fcntl(CHANNEL, libc::F_GETFD) };
    // Left without close-on-exec by `start`; that it has it now shows that it was taken before.
    if flags < 0 || flags & libc::FD_CLOEXEC != 0 {
        return None;
    }
    // SAFETY: open, ours by agreement, and marked so that it is never handed out twice.
    unsafe {
        libc::fcntl(CHANNEL, libc::F_SETFD, libc::FD_CLOEXEC);
        Some(OwnedFd::from_raw_fd(CHANNEL))
    }
}

/// Makes orphans of our descendants ours in place of PID 1's.
pub fn become_subreaper() -> Result<(), Errno> {
    // SAFETY: plain numbers.
    match unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) } {
        0 => Ok(()),
        _ => Err(last_error()),
    }
}

/// Reports whether we are PID 1.
pub fn is_first() -> bool {
    rustix::process::getpid().as_raw_nonzero().get() == 1
}

/// Returns the process that started this one.
pub fn parent() -> Pid {
    rustix::process::getppid().map_or(0, |pid| pid.as_raw_nonzero().get())
}

/// Returns the user and the group that we run as.
pub fn ids() -> (u32, u32) {
    (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
}
