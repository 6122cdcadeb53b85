//! Processes of somebody else, named so that the number cannot become another's.

use crate::procfs;
use crate::signals::last_error;
use crate::wait::of_wait_status;
use engine::process::{Exit, Pid};
use engine::signal::Signal;
use rustix::io::Errno;
use rustix::process::{pidfd_open, Pid as Number, PidfdFlags};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// Opens a process; readable once it has ended.
pub fn open(pid: Pid) -> Result<OwnedFd, Errno> {
    pidfd_open(Number::from_raw(pid).ok_or(Errno::SRCH)?, PidfdFlags::empty())
}

/// Sends a signal to a process, if it then still is the one that is meant: it is opened first, so that
/// its number cannot become another's meanwhile. Where a container's filter refuses that call, which
/// needs no right, the number itself has to do.
pub fn signal(pid: Pid, signal: Signal, is_meant: impl Fn() -> bool) -> Result<(), Errno> {
    match open(pid) {
        Ok(opened) if is_meant() => match send(&opened, signal) {
            Err(Errno::NOSYS | Errno::PERM) => crate::signals::send(pid, signal),
            sent => sent,
        },
        Err(Errno::NOSYS | Errno::PERM) if is_meant() => crate::signals::send(pid, signal),
        Ok(_) => Err(Errno::SRCH),
        Err(errno) => Err(errno),
    }
}

/// Sends a signal to the process.
pub fn send(pidfd: impl AsFd, signal: Signal) -> Result<(), Errno> {
    let (fd, number) = (pidfd.as_fd().as_raw_fd(), i32::from(signal.number()));
    // SAFETY: plain numbers, and no further particulars of the signal.
    match unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, number, 0usize, 0usize) } {
        0 => Ok(()),
        _ => Err(last_error()),
    }
}

/// What the kernel says of a process. Source: linux/pidfd.h, the first version of the structure.
#[repr(C)]
#[derive(Default)]
struct Info {
    mask: u64,
    cgroup: u64,
    ids: [u32; 11],
    exit: i32,
}

/// The request: number 11 of group 0xff, which reads and writes a structure of 64 bytes. The same on
/// every architecture that Upright builds for.
const GET_INFO: u32 = 0xc040_ff0b;

/// The bit of the mask that asks for the exit, and that says that it is known. Linux 6.15.
const EXIT: u64 = 1 << 3;

/// What is known of the end of a process that is not a child of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It has ended like this.
    Over(Exit),
    /// It lives, or nobody has reaped it and how it ended is not ours to see.
    NotOver,
}

/// Returns how a process ended that somebody else reaps, or does not. Once it is reaped that is known from
/// Linux 6.15 on, where the descriptor was opened before; else it is `Exit::Unknown` then.
pub fn end(pidfd: impl AsFd, pid: Pid) -> End {
    let fd = pidfd.as_fd();
    if let Some(exit) = known_end(fd) {
        return End::Over(exit);
    }
    let unreaped = procfs::unreaped_end(pid);
    match is_there(fd) {
        // The number was its own when that was read.
        true => unreaped.map_or(End::NotOver, End::Over),
        // It may have been reaped between the questions: the kernel tells from then on.
        false => End::Over(known_end(fd).unwrap_or(Exit::Unknown)),
    }
}

/// Asks the kernel how a process ended; nothing where it does not tell, or not yet.
fn known_end(fd: BorrowedFd<'_>) -> Option<Exit> {
    let mut info = Info { mask: EXIT, ..Info::default() };
    // SAFETY: the kernel reads and writes 64 bytes at most, as the request says, which is how long the
    // structure is; it lives here, and any bytes are numbers.
    let returned = unsafe { libc::ioctl(fd.as_raw_fd(), GET_INFO as _, &raw mut info) };
    (returned == 0 && info.mask & EXIT != 0).then(|| of_wait_status(info.exit))
}

/// Reports whether the process has ended, reaped or not.
pub fn has_ended(pidfd: impl AsFd) -> bool {
    use rustix::event::{poll, PollFd, PollFlags, Timespec};
    let mut asked = [PollFd::new(&pidfd, PollFlags::IN)];
    poll(&mut asked, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok_and(|ready| ready > 0)
}

/// Reports whether the process lives or is not reaped.
fn is_there(fd: BorrowedFd<'_>) -> bool {
    // SAFETY: plain numbers; signal 0 is none.
    unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, fd.as_raw_fd(), 0, 0usize, 0usize) == 0
            || last_error() == Errno::PERM
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;
    use std::process::{Command, Stdio};

    /// Starts a shell that starts a process in the background and ends: an orphan, which PID 1 or
    /// another subreaper than we will reap.
    fn orphan(script: &str) -> (Orphan, Scratch) {
        let go = Scratch::path("pidfd");
        let made = Command::new("mkfifo").arg(&*go).status().unwrap();
        assert!(made.success());
        let shown = go.display();
        let background = format!("(read line < {shown}; {script}) > /dev/null & echo $!");
        let output =
            Command::new("sh").args(["-c", &background]).stderr(Stdio::null()).output().unwrap();
        let pid = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
        ((open(pid).unwrap(), pid), go)
    }

    type Orphan = (OwnedFd, Pid);

    fn ended((fd, pid): &Orphan, go: &Scratch) -> Exit {
        assert_eq!(end(fd, *pid), End::NotOver, "it waits for the word");
        std::fs::write(go, "go\n").unwrap();
        let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while std::time::Instant::now() < until {
            if let End::Over(exit) = end(fd, *pid) {
                return exit;
            }
            std::thread::sleep(std::time::Duration::from_micros(100));
        }
        panic!("it was not reaped in 60 s");
    }

    #[test]
    fn the_end_of_a_process_that_nobody_reaps_is_known_all_the_same() {
        let signalled = Exit::Signal { signal: 15, core: false };
        for (script, exit) in [("exit 7", Exit::Status(7)), ("kill $$", signalled)] {
            let mut child = Command::new("sh").args(["-c", script]).spawn().unwrap();
            let pid = Pid::try_from(child.id()).unwrap();
            let fd = open(pid).unwrap();
            let begun = std::time::Instant::now();
            while !has_ended(&fd) && begun.elapsed().as_secs() < 60 {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            assert_eq!(end(&fd, pid), End::Over(exit));
            child.wait().unwrap();
        }
    }

    #[test]
    fn the_end_of_a_process_that_somebody_else_reaps_is_known_where_the_kernel_tells() {
        let newer = |exit| [exit, Exit::Unknown];
        let (fd, go) = orphan("exit 7");
        assert!(newer(Exit::Status(7)).contains(&ended(&fd, &go)));
        let (fd, go) = orphan("kill -9 $(exec sh -c 'echo $PPID')");
        let killed = Exit::Signal { signal: 9, core: false };
        assert!(newer(killed).contains(&ended(&fd, &go)));
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        let parts: Vec<u32> = release.split('.').map_while(|part| part.parse().ok()).collect();
        if parts >= vec![6, 15] {
            let (fd, go) = orphan("exit 3");
            assert_eq!(ended(&fd, &go), Exit::Status(3), "{release} tells");
        } else {
            println!("passed over: the kernel is {release}, 6.15 and later tell how it ended");
        }
    }
}
