//! Our own binary, held open, and the processes of ours that are started from it.

use crate::signals::{self, last_error, SignalSet};
use crate::spawn::{above, fork, out_of_the_way, place, Sharing, Side};
use engine::process::Pid;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::ffi::{c_char, CStr, CString, OsStr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

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
        let fd = opened
            .or_else(|errno| rustix::fs::open(executed_as().ok_or(errno)?, flags, Mode::empty()))?;
        out_of_the_way(fd).map(Binary)
    }

    /// Starts it in a session of its own with these arguments, our environment, and `channel` as
    /// descriptor [`CHANNEL`].
    pub fn start(&self, argv: &Argv, channel: impl AsFd) -> Result<Pid, Errno> {
        match fork(Sharing::Nothing)? {
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

impl Binary {
    /// Returns the descriptor, for another process of ours.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Takes a binary that somebody else has opened.
    pub fn of(fd: OwnedFd) -> Result<Binary, Errno> {
        out_of_the_way(fd).map(Binary)
    }

    /// Starts it in a session of its own with these arguments and our environment; it inherits
    /// `heirlooms` under their numbers.
    pub fn start_heir(&self, argv: &Argv, heirlooms: &[BorrowedFd<'_>]) -> Result<Pid, Errno> {
        match fork(Sharing::Nothing)? {
            Side::Child => {
                let ready = rustix::process::setsid().is_ok() && keep(heirlooms, Kept::Open);
                if ready {
                    execute(self.0.as_raw_fd(), argv.addresses());
                }
                // SAFETY: ends this process at once; nothing of it is to be torn down.
                unsafe { libc::_exit(255) }
            }
            Side::Parent(pid) => Ok(pid),
        }
    }

    /// Becomes it with what is open; returns where that is refused. Async-signal-safe. `argv` is a list
    /// of strings that ends with a null.
    pub(crate) fn execute(&self, argv: *const *const c_char) {
        execute(self.0.as_raw_fd(), argv);
    }

    /// Becomes it, with these arguments and our environment; it inherits `heirlooms` under their
    /// numbers. Returns only why not; nothing has changed then.
    pub fn become_it(&self, argv: &Argv, heirlooms: &[BorrowedFd<'_>]) -> Errno {
        if keep(heirlooms, Kept::Open) {
            execute(self.0.as_raw_fd(), argv.addresses());
        }
        let why = last_error();
        keep(heirlooms, Kept::Closed);
        why
    }
}

/// What an exec does to a descriptor.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    Open,
    Closed,
}

/// Says what an exec does to descriptors; async-signal-safe. Reports whether it could.
fn keep(fds: &[BorrowedFd<'_>], kept: Kept) -> bool {
    let flags = if kept == Kept::Open { 0 } else { libc::FD_CLOEXEC };
    // SAFETY: plain numbers of descriptors that are open.
    fds.iter().all(|fd| unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, flags) } == 0)
}

/// Executes; returns where that is refused. Async-signal-safe.
fn execute(binary: RawFd, argv: *const *const c_char) {
    let (empty, flags) = (c"".as_ptr(), libc::AT_EMPTY_PATH);
    // SAFETY: the path is empty, the lists end with a null, and all live until the call is over.
    unsafe { libc::syscall(libc::SYS_execveat, binary, empty, argv, environ, flags) };
}

/// The descriptors that a process of ours was started with, each to be taken by its number.
pub struct Heirlooms(Vec<Option<OwnedFd>>);

static INHERITED: AtomicBool = AtomicBool::new(false);

impl Heirlooms {
    /// Takes every descriptor from 3 to `highest` that is open. Once in a process, and before it has
    /// opened any by itself; empty the second time. What is not taken out is closed with it.
    pub fn inherit(highest: RawFd) -> Heirlooms {
        if INHERITED.swap(true, Ordering::Relaxed) {
            return Heirlooms(Vec::new());
        }
        let all = (CHANNEL..=highest.min(HIGHEST)).map(|number| {
            // SAFETY: plain numbers. What is open was left open for us by whoever executed us, so
            // nothing in this process owns it; the swap above makes that happen once.
            unsafe {
                let open = libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) == 0;
                open.then(|| OwnedFd::from_raw_fd(number))
            }
        });
        Heirlooms(all.collect())
    }

    /// As [`Heirlooms::inherit`], of copies; returns those that they are copies of, too. Without room for
    /// them there are none, and no copies.
    pub fn inherit_copies(highest: RawFd) -> (Heirlooms, Vec<OwnedFd>) {
        let all = Heirlooms::inherit(highest);
        let copies: Result<Vec<_>, Errno> = all.0.iter().map(copy).collect();
        match copies {
            Ok(copies) => (Heirlooms(copies), all.0.into_iter().flatten().collect()),
            Err(_) => (all, Vec::new()),
        }
    }

    /// Takes the descriptor of that number out.
    pub fn take(&mut self, number: RawFd) -> Option<OwnedFd> {
        let place = usize::try_from(number.checked_sub(CHANNEL)?).ok()?;
        self.0.get_mut(place)?.take()
    }
}

fn copy(fd: &Option<OwnedFd>) -> Result<Option<OwnedFd>, Errno> {
    fd.as_ref().map(|fd| rustix::io::fcntl_dupfd_cloexec(fd, CHANNEL)).transpose()
}

/// No descriptor of ours has a higher number.
const HIGHEST: RawFd = 1 << 20;

fn run(binary: RawFd, argv: &Argv, channel: RawFd) -> ! {
    let ready = rustix::process::setsid()
        .and_then(|_| above(channel))
        .and_then(|channel| place(channel, CHANNEL));
    if ready.is_ok() {
        signals::block(SignalSet::NONE);
        execute(binary, argv.addresses());
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

/// Returns where our binary is: by `/proc`, else the path that it was executed under.
pub fn path() -> Option<PathBuf> {
    std::env::current_exe()
        .ok()
        .or_else(|| executed_as().map(|path| PathBuf::from(OsStr::from_bytes(path.to_bytes()))))
}

/// Returns the path that we were executed under.
fn executed_as() -> Option<&'static CStr> {
    // SAFETY: the kernel puts a string there that lives as long as the process, or nothing.
    unsafe {
        let path = libc::getauxval(libc::AT_EXECFN) as *const c_char;
        (!path.is_null()).then(|| CStr::from_ptr(path))
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

/// Returns our own number.
pub fn pid() -> Pid {
    rustix::process::getpid().as_raw_nonzero().get()
}

/// Returns the number of our parent; 0 where it is not to be seen from here.
pub fn parent() -> Pid {
    rustix::process::getppid().map_or(0, |pid| pid.as_raw_nonzero().get())
}

/// Becomes another user for good, with this group and these groups.
pub fn become_user(uid: u32, gid: u32, groups: &[u32]) -> Result<(), Errno> {
    let done = |returned: i32| if returned == 0 { Ok(()) } else { Err(last_error()) };
    // SAFETY: plain numbers, and a list that lives here with its length.
    unsafe {
        done(libc::setgroups(groups.len(), groups.as_ptr()))?;
        done(libc::setgid(gid))?;
        done(libc::setuid(uid))?;
        // What the kernel shows of us below /proc is the new user's from now on, as after an exec: our
        // own binary and memory files are opened there.
        done(libc::prctl(libc::PR_SET_DUMPABLE, 1, 0, 0, 0))
    }
}

/// Returns the user and the group that we run as.
pub fn ids() -> (u32, u32) {
    (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
}
