//! What only PID 1 of a machine does: the first mounts, the console, the keys, and never to end.

use crate::clock;
use crate::power::{self, Power};
use crate::say;
use crate::signals::{self, last_error, SignalSet};
use crate::wait::{change, Whom};
use engine::time::Span;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::ffi::CStr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr;
use std::time::Duration;

/// KDSIGACCEPT of linux/kd.h.
const SIGACCEPT: libc::c_ulong = 0x4B4E;

/// The number of the first namespace of processes: the machine's own. Source: PROC_PID_INIT_INO of
/// the kernel's proc_ns.h.
const FIRST_NAMESPACE: u64 = 0xEFFF_FFFC;

/// How long what still runs is waited for after KILL when the machine ends.
const LAST: Span = Span::secs(5);

/// Something that must be there before anything can be read or run.
struct Mount {
    at: &'static CStr,
    /// Where it is no mount of its own, it is the same device as this.
    above: &'static CStr,
    kind: &'static CStr,
    flags: libc::c_ulong,
    options: &'static CStr,
}

const QUIET: libc::c_ulong = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;

/// Where the kernel shows its processes; without it nothing can be told of a machine at all.
const PROC: Mount = Mount { at: c"/proc", above: c"/", kind: c"proc", flags: QUIET, options: c"" };

/// THE TABLE of the other first mounts. Source: spec 13, boot order; `/run` is added, where the control
/// socket is.
const MOUNTS: &[Mount] = &[
    Mount { at: c"/sys", above: c"/", kind: c"sysfs", flags: QUIET, options: c"" },
    Mount {
        at: c"/dev",
        above: c"/",
        kind: c"devtmpfs",
        flags: libc::MS_NOSUID,
        options: c"mode=0755",
    },
    Mount {
        at: c"/dev/pts",
        above: c"/dev",
        kind: c"devpts",
        flags: libc::MS_NOSUID | libc::MS_NOEXEC,
        options: c"mode=0620,gid=5,ptmxmode=0666",
    },
    Mount {
        at: c"/run",
        above: c"/",
        kind: c"tmpfs",
        flags: libc::MS_NOSUID | libc::MS_NODEV,
        options: c"mode=0755",
    },
];

/// THE TABLE of devices that must be there, where the kernel has not made them: path, mode, number.
/// Source: spec 13, boot order.
const NODES: &[(&CStr, u32, u32, u32)] = &[
    (c"/dev/null", 0o666, 1, 3),
    (c"/dev/tty", 0o666, 5, 0),
    (c"/dev/console", 0o600, 5, 1),
    (c"/dev/kmsg", 0o600, 1, 11),
    (c"/dev/ptmx", 0o666, 5, 2),
];

/// Reports whether we are in the machine's own namespace of processes, and not in a container.
pub fn in_machine() -> bool {
    rustix::fs::stat(c"/proc/self/ns/pid")
        .is_ok_and(|namespace| namespace.st_ino == FIRST_NAMESPACE)
}

/// Makes what a machine must have before anything else: the first mounts, devices, a console at the
/// descriptors 0 to 2. To be called as PID 1 and before anything is opened. In a container only `/proc`
/// is mounted, and that only where it is missing: the rest is the engine's.
/// Source: main.c of Upstart 1.13.2, its behaviour (spec 13).
pub fn prepare() {
    mount(&PROC);
    if !in_machine() {
        return;
    }
    let _ = rustix::process::setsid();
    let _ = rustix::process::chdir(c"/");
    MOUNTS.iter().for_each(mount);
    for (path, mode, major, minor) in NODES {
        let kind = rustix::fs::FileType::CharacterDevice;
        let device = rustix::fs::makedev(*major, *minor);
        let at = rustix::fs::CWD;
        // It is there already on all but the smallest systems.
        let _ = rustix::fs::mknodat(at, *path, kind, Mode::from_raw_mode(*mode), device);
    }
    take_console();
    // Else the kernel's log takes ten lines of ours in five seconds, and drops the rest.
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    if let Ok(setting) = rustix::fs::open(c"/proc/sys/kernel/printk_devkmsg", flags, Mode::empty())
    {
        let _ = rustix::io::write(setting, b"on\n");
    }
}

/// Makes the kernel send SIGINT for Ctrl-Alt-Delete in place of a reboot, and SIGWINCH for the
/// keyboard's request key. Not in a container, whose keyboard is somebody else's, though a privileged
/// one may see it. Source: main.c of Upstart 1.13.2.
pub fn take_keys() {
    if !in_machine() {
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

/// Ends the machine in place of the process, which the kernel would answer with a panic: after an
/// ordered end (`code` 0) what is left is killed, the disks are written, the machine is switched off.
/// After any other, and where that cannot be, a shell has the console. Never returns on a machine;
/// returns the code where we are no machine's PID 1.
pub fn end_instead(code: i32) -> i32 {
    if !crate::own::is_first() || !in_machine() {
        return code;
    }
    match code {
        0 => {
            say::line(format_args!("upright: everything has been stopped; switching off"));
            kill_all();
            power::sync();
            let flags = libc::MS_REMOUNT | libc::MS_RDONLY;
            // SAFETY: strings that live until the call is over, and nothing else to be read.
            unsafe { libc::mount(ptr::null(), c"/".as_ptr(), ptr::null(), flags, ptr::null()) };
            let why = say::Why(power::end(&Power::Off)).0;
            say::line(format_args!("upright: cannot switch off: {}", say::Why(why)));
        }
        code => say::line(format_args!(
            "upright: cannot go on (status {code}); here is a shell, `exec /sbin/init' tries again"
        )),
    }
    become_shell();
    loop {
        while change(Whom::Any).is_some() {}
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// Mounts what is not there; where that is refused, whoever needs it will say what is missing.
fn mount(row: &Mount) {
    let device = |path: &CStr| rustix::fs::stat(path).map(|found| found.st_dev);
    if device(row.at) == Err(Errno::NOENT) {
        let _ = rustix::fs::mkdir(row.at, Mode::from_raw_mode(0o755));
    }
    if device(row.at).is_ok_and(|at| device(row.above) != Ok(at)) {
        return;
    }
    let (kind, options) = (row.kind.as_ptr(), row.options.as_ptr());
    // SAFETY: strings that live until the call is over.
    unsafe { libc::mount(kind, row.at.as_ptr(), kind, row.flags, options.cast()) };
}

/// Puts the console at the descriptors 0 to 2, in a state that a person can type at.
fn take_console() {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let Ok(console) = rustix::fs::open(c"/dev/console", flags, Mode::empty()) else { return };
    reset(&console);
    // Opened without waiting for a line that is not there; written to as anything else.
    let _ = rustix::fs::fcntl_setfl(&console, OFlags::RDWR);
    for place in 0..=2 {
        // SAFETY: plain numbers; 0 to 2 are ours to replace for the life of the process.
        unsafe { libc::dup2(console.as_raw_fd(), place) };
    }
}

/// Source: sysvinit and Upstart, the settings that every init gives its console.
fn reset(console: &OwnedFd) {
    // SAFETY: the structure is plain numbers.
    let mut line: libc::termios = unsafe { std::mem::zeroed() };
    let fd = console.as_raw_fd();
    // SAFETY: fills the structure, which lives here.
    if unsafe { libc::tcgetattr(fd, &mut line) } != 0 {
        return;
    }
    let kept = libc::CBAUD | libc::CBAUDEX | libc::CSIZE | libc::CSTOPB;
    line.c_cflag &= kept | libc::PARENB | libc::PARODD;
    line.c_cflag |= libc::HUPCL | libc::CLOCAL | libc::CREAD;
    line.c_iflag = libc::IGNPAR | libc::ICRNL | libc::IXON | libc::IXANY;
    line.c_oflag = libc::OPOST | libc::ONLCR;
    line.c_lflag = libc::ISIG | libc::ICANON | libc::ECHO | libc::ECHOCTL | libc::ECHOE;
    line.c_lflag |= libc::ECHOK | libc::ECHOKE | libc::IEXTEN;
    let keys = [
        (libc::VINTR, 3),
        (libc::VQUIT, 28),
        (libc::VERASE, 127),
        (libc::VKILL, 21),
        (libc::VEOF, 4),
        (libc::VTIME, 0),
        (libc::VMIN, 1),
        (libc::VSTART, 17),
        (libc::VSTOP, 19),
        (libc::VSUSP, 26),
    ];
    for (key, value) in keys {
        if let Some(place) = line.c_cc.get_mut(key) {
            *place = value;
        }
    }
    // SAFETY: reads the structure, which lives here.
    unsafe { libc::tcsetattr(fd, libc::TCSANOW, &line) };
}

/// Kills every other process of the machine and waits for what the kernel can end.
fn kill_all() {
    // SAFETY: plain numbers: everybody but ourselves.
    unsafe { libc::kill(-1, libc::SIGKILL) };
    let began = clock::monotonic();
    while last_child() && clock::monotonic().since(began) < LAST {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Reaps what has ended; reports whether there may be more.
fn last_child() -> bool {
    while change(Whom::Any).is_some() {}
    // SAFETY: asks whether there is a child at all, and writes nothing.
    let asked = unsafe { libc::waitpid(-1, ptr::null_mut(), libc::WNOHANG) };
    asked >= 0 || last_error() != Errno::CHILD
}

fn become_shell() {
    signals::reset_dispositions();
    signals::block(SignalSet::NONE);
    // The console becomes the shell's terminal, so that Ctrl-C works.
    // SAFETY: plain numbers.
    unsafe { libc::ioctl(0, libc::TIOCSCTTY as _, 1) };
    let (shell, name) = (c"/bin/sh", c"-sh");
    let argv = [name.as_ptr(), ptr::null()];
    // SAFETY: strings and a list ended by null, all of which live until the call is over.
    unsafe { libc::execv(shell.as_ptr(), argv.as_ptr()) };
}
