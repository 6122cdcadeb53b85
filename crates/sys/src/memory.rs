//! How the allocator deals with the kernel: what a busy moment needed is given back.

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

/// Gives free memory back to the kernel, also from between what is in use. Takes time in proportion
/// to the heap: for quiet moments.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: a plain number; the allocator is the process's own and not in use elsewhere.
    unsafe {
        libc::malloc_trim(0);
    }
}
