//! How the allocator deals with the kernel: what a busy moment needed is given back.

use rustix::mm::{madvise, Advice};

/// Blocks of at least this many bytes are mapped by themselves and go back when they are freed.
/// glibc's own default moves with the largest block that was ever freed: after one large journal it
/// would keep megabytes.
#[cfg(target_env = "gnu")]
const MAPPED_FROM: libc::c_int = 64 * 1024;

/// So many free bytes may stay at the end of the heap.
#[cfg(target_env = "gnu")]
const KEPT: libc::c_int = 64 * 1024;

/// Settles the above, at the start of a process.
pub fn settle() {
    #[cfg(target_env = "gnu")]
    // SAFETY: plain numbers; called before there is a second thread.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_FROM);
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT);
    }
}

/// Unmaps the pages of our own program: those that only the start used stay unmapped, the others come
/// back one by one, from the page cache. They are clean and shared, so nothing is lost, and a
/// container that counts mapped pages counts those in use only.
#[inline(always)]
pub fn forget_code() {
    // SAFETY: the linker defines both; only their addresses are taken.
    unsafe extern "C" {
        static __executable_start: u8;
        static etext: u8;
    }
    const PAGE: usize = 4096;
    let start = (&raw const __executable_start).addr().next_multiple_of(PAGE);
    let end = (&raw const etext).addr() / PAGE * PAGE;
    if let Some(length) = end.checked_sub(start) {
        let start = std::ptr::without_provenance_mut(start);
        // SAFETY: from the linker's first symbol to the end of the code everything is read from the
        // program's file and never written after the start, so what is unmapped is read again as it
        // was. A gap in between is an error without effect.
        let _ = unsafe { madvise(start, length, Advice::LinuxDontNeed) };
    }
}

/// Gives free memory back to the kernel, also from between what is in use. Takes time in proportion
/// to the heap: for quiet moments.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: a plain number; the allocator is the process's own and not in use elsewhere.
    unsafe {
        libc::malloc_trim(0);
    }
}
