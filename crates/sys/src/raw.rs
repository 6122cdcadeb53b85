//! System calls without `errno`: a child that shares its parent's memory shares that variable too.

use rustix::io::Errno;
use std::ffi::{c_int, c_void};
use std::ptr;

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

/// What clone3 is told. Source: clone(2).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CloneArgs {
    pub flags: u64,
    pub pidfd: u64,
    pub child_tid: u64,
    pub parent_tid: u64,
    pub exit_signal: u64,
    pub stack: u64,
    pub stack_size: u64,
    pub tls: u64,
    pub set_tid: u64,
    pub set_tid_size: u64,
    pub cgroup: u64,
}

/// Makes a child that begins in `begin`, on the stack that `args` names, and ends with what that
/// returns. libc has a function for clone and none for clone3.
///
/// # Safety
///
/// As that of clone: the stack is the child's alone, its end aligned to 16 bytes.
#[cfg(target_arch = "x86_64")]
pub(crate) unsafe fn clone3(
    args: &CloneArgs,
    begin: extern "C" fn(*mut c_void) -> c_int,
    argument: *mut c_void,
) -> Result<usize, Errno> {
    let result: isize;
    // SAFETY: the kernel's convention. The child never comes out of it: it calls `begin` on its own
    // stack and exits; its registers are those of here but rax, rcx, r11 and the stack's.
    unsafe {
        core::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r12",
            "call r13",
            "mov edi, eax",
            "mov eax, {exit}",
            "syscall",
            "ud2",
            "2:",
            exit = const libc::SYS_exit,
            inlateout("rax") libc::SYS_clone3 as isize => result,
            in("rdi") ptr::from_ref(args), in("rsi") size_of::<CloneArgs>(),
            in("r12") argument, in("r13") begin,
            lateout("rcx") _, lateout("r11") _,
        );
    }
    outcome(result)
}

/// Makes a child that begins in `begin`, on the stack that `args` names, and ends with what that
/// returns. libc has a function for clone and none for clone3.
///
/// # Safety
///
/// As that of clone: the stack is the child's alone, its end aligned to 16 bytes.
#[cfg(target_arch = "aarch64")]
pub(crate) unsafe fn clone3(
    args: &CloneArgs,
    begin: extern "C" fn(*mut c_void) -> c_int,
    argument: *mut c_void,
) -> Result<usize, Errno> {
    let result: isize;
    // SAFETY: the kernel's convention. The child never comes out of it: it calls `begin` on its own
    // stack and exits; its registers are those of here but x0 and the stack's.
    unsafe {
        core::arch::asm!(
            "svc 0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x0, x20",
            "blr x21",
            "mov x8, {exit}",
            "svc 0",
            "brk 0",
            "2:",
            exit = const libc::SYS_exit,
            in("x8") libc::SYS_clone3,
            inlateout("x0") ptr::from_ref(args) => result,
            in("x1") size_of::<CloneArgs>(),
            in("x20") argument, in("x21") begin,
        );
    }
    outcome(result)
}

/// Makes no child: this processor's instructions for it are not known here.
///
/// # Safety
///
/// None is needed.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(crate) unsafe fn clone3(
    _: &CloneArgs,
    _: extern "C" fn(*mut c_void) -> c_int,
    _: *mut c_void,
) -> Result<usize, Errno> {
    Err(Errno::NOSYS)
}

/// Starts a child by clone(2) that runs `begin(argument)` on another stack, which ends at `stack`, and
/// ends with what that returns. The C libraries' own is not used: musl's refuses
/// CLONE_CHILD_CLEARTID, and both set `errno`.
///
/// # Safety
///
/// As for clone(2): the stack, a multiple of 16, and `cleared` are the child's as long as it shares our
/// memory, and `begin` does nothing to our memory beside them.
pub(crate) unsafe fn start(
    flags: c_int,
    stack: *mut c_void,
    cleared: *mut c_int,
    begin: extern "C" fn(*mut c_void) -> c_int,
    argument: *mut c_void,
) -> Result<usize, Errno> {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the kernel's convention. The child has our registers and its own stack, and never comes
    // out of the block.
    unsafe {
        let result: isize;
        core::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r9",
            "call r12",
            "mov edi, eax",
            "mov eax, {exit}",
            "syscall",
            "ud2",
            "2:",
            exit = const libc::SYS_exit,
            inlateout("rax") libc::SYS_clone as isize => result,
            in("rdi") flags as isize, in("rsi") stack, in("rdx") 0, in("r10") cleared, in("r8") 0,
            in("r9") argument, in("r12") begin,
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
        outcome(result)
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above.
    unsafe {
        let result: isize;
        core::arch::asm!(
            "svc 0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x0, x9",
            "blr x10",
            "mov x8, {exit}",
            "svc 0",
            "brk 1",
            "2:",
            exit = const libc::SYS_exit,
            in("x8") libc::SYS_clone,
            inlateout("x0") flags as isize => result,
            in("x1") stack, in("x2") 0, in("x3") 0, in("x4") cleared,
            in("x9") argument, in("x10") begin,
            options(nostack),
        );
        outcome(result)
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        // Nobody shares memory there: see `LEAVES_ERRNO_ALONE`.
        let _ = (flags, stack, cleared, begin, argument);
        Err(Errno::NOSYS)
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
