//! System calls without `errno`: a child that shares its parent's memory shares that variable too.

use rustix::io::Errno;

/// Makes a system call.
///
/// # Safety
///
/// As that of the call itself.
#[cfg(target_arch = "x86_64")]
pub(crate) unsafe fn call(number: libc::c_long, arguments: [usize; 5]) -> Result<usize, Errno> {
    let [a, b, c, d, e] = arguments;
    let result: isize;
    // SAFETY: the kernel's convention: it changes rax, rcx and r11, and of memory what the call says.
    unsafe {
        core::arch::asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, in("r8") e,
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    outcome(result)
}

/// Makes a system call.
///
/// # Safety
///
/// As that of the call itself.
#[cfg(target_arch = "aarch64")]
pub(crate) unsafe fn call(number: libc::c_long, arguments: [usize; 5]) -> Result<usize, Errno> {
    let [a, b, c, d, e] = arguments;
    let result: isize;
    // SAFETY: the kernel's convention: it changes x0, and of memory what the call says.
    unsafe {
        core::arch::asm!(
            "svc 0",
            in("x8") number,
            inlateout("x0") a => result,
            in("x1") b, in("x2") c, in("x3") d, in("x4") e,
            options(nostack),
        );
    }
    outcome(result)
}

/// Makes a system call.
///
/// # Safety
///
/// As that of the call itself.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(crate) unsafe fn call(number: libc::c_long, arguments: [usize; 5]) -> Result<usize, Errno> {
    let [a, b, c, d, e] = arguments;
    // SAFETY: the caller's.
    match unsafe { libc::syscall(number, a, b, c, d, e) } {
        result if result >= 0 => Ok(result as usize),
        _ => Err(crate::signals::last_error()),
    }
}

/// Whether [`call`] keeps away from `errno` here.
pub(crate) const LEAVES_ERRNO_ALONE: bool =
    cfg!(any(target_arch = "x86_64", target_arch = "aarch64"));

/// The kernel returns an error as a small negative number.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn outcome(result: isize) -> Result<usize, Errno> {
    match result {
        -4095..=-1 => Err(Errno::from_raw_os_error(-result as i32)),
        result => Ok(result as usize),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_answers_is_returned_and_errno_stays_as_it_was() {
        // SAFETY: plain numbers; there is no such descriptor.
        let (pid, refused) = unsafe {
            *libc::__errno_location() = 77;
            (call(libc::SYS_getpid, [0; 5]), call(libc::SYS_close, [usize::MAX, 0, 0, 0, 0]))
        };
        assert_eq!(pid, Ok(std::process::id() as usize));
        assert_eq!(refused, Err(Errno::BADF));
        if LEAVES_ERRNO_ALONE {
            assert_eq!(std::io::Error::last_os_error().raw_os_error(), Some(77));
        }
    }
}
