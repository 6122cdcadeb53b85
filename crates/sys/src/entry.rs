//! How a process of ours begins and how it shows itself, without the standard library's start-up:
//! that one ends the process where `/dev/null` is missing, which PID 1 must not.

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::ffi::{c_char, c_int, CStr, CString};
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

/// The argument list as the C runtime gives it to `main`. There is no other way to come by one.
#[repr(transparent)]
pub struct RawArguments(*mut *mut c_char);

/// Repairs descriptors 0 to 2, reads the arguments and runs `main`; returns the exit status.
pub fn enter(arguments: RawArguments, main: fn(Vec<CString>) -> i32) -> c_int {
    repair();
    main(read(&arguments))
}

/// Opens `/dev/null` at each of the descriptors 0 to 2 that is closed; the root directory where there
/// is none, so that no descriptor of ours is ever taken for standard output.
fn repair() {
    loop {
        let flags = OFlags::RDWR | OFlags::NOCTTY;
        let opened = rustix::fs::open(c"/dev/null", flags, Mode::empty())
            .or_else(|_| rustix::fs::open(c"/", OFlags::PATH, Mode::empty()));
        match opened {
            Ok(fd) if fd.as_raw_fd() <= 2 => {
                // Kept open for the life of the process.
                let _: RawFd = fd.into_raw_fd();
            }
            Ok(_) | Err(_) => return,
        }
    }
}

/// Opens `/dev/null` for reading and writing, close-on-exec; where there is none, a pipe that nobody
/// writes to: reading ends at once as there, writing is refused.
pub fn open_null() -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    rustix::fs::open(c"/dev/null", flags, Mode::empty()).or_else(|_| {
        let (read, _) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        Ok(read)
    })
}

/// Where the kernel shows our arguments: first byte and length of all of them together.
static SHOWN: AtomicPtr<u8> = AtomicPtr::new(ptr::null_mut());
static SHOWN_LENGTH: AtomicUsize = AtomicUsize::new(0);

fn read(RawArguments(argv): &RawArguments) -> Vec<CString> {
    let mut all = Vec::new();
    let mut end: *mut u8 = ptr::null_mut();
    // SAFETY: `argv` comes from the C runtime alone: a list of strings ended by a null, valid and
    // unchanged as long as the process lives. The first string is where the area begins; those that
    // do not follow each other without a gap are not counted into it.
    unsafe {
        let mut place = *argv;
        while !place.is_null() && !(*place).is_null() {
            let text = CStr::from_ptr(*place);
            let start = (*place).cast::<u8>();
            if end.is_null() {
                SHOWN.store(start, Ordering::Relaxed);
            }
            if end.is_null() || end == start {
                end = start.add(text.count_bytes() + 1);
                let first = SHOWN.load(Ordering::Relaxed);
                SHOWN_LENGTH.store(end.offset_from(first).unsigned_abs(), Ordering::Relaxed);
            }
            all.push(text.to_owned());
            place = place.add(1);
        }
    }
    all
}

/// Shows the process under this name, at most 15 bytes of it in `comm`; in `ps` as far as the
/// arguments that it was started with have room.
pub fn show_as(name: &CStr) {
    let _ = rustix::thread::set_name(name);
    let first = SHOWN.swap(ptr::null_mut(), Ordering::Relaxed);
    let room = SHOWN_LENGTH.load(Ordering::Relaxed);
    let name = name.to_bytes();
    if first.is_null() || room <= name.len() {
        return;
    }
    // SAFETY: the strings of `main`'s arguments are writable (C11 5.1.2.2.1), nobody of ours holds
    // on to them (`read` copied them), and the swap above lets one call pass only.
    unsafe {
        ptr::write_bytes(first, 0, room);
        ptr::copy_nonoverlapping(name.as_ptr(), first, name.len());
    }
}

/// Closes every descriptor from `first` on. To be called at the start: no owner of one may be alive.
pub fn close_from(first: u32) {
    // SAFETY: plain numbers. At the start of a process nobody owns what was inherited.
    if unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) } == 0 {
        return;
    }
    // Kernels before 5.9. The list itself has a descriptor, which is closed with the rest or not open
    // any more: reading it first keeps the two apart.
    let listed: Vec<RawFd> = std::fs::read_dir("/proc/self/fd")
        .map(|list| list.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()))
        .map(Iterator::collect)
        .unwrap_or_default();
    for fd in listed.into_iter().filter(|fd| u32::try_from(*fd).is_ok_and(|fd| fd >= first)) {
        // SAFETY: as above.
        unsafe { libc::close(fd) };
    }
}
