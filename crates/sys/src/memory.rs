//! The pages of our own program: those that only a busy moment needed are unmapped.

use rustix::mm::{madvise, Advice};

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
