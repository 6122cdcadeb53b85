//! The first page of a file in memory, shared: words that change by one atomic store.

use rustix::io::Errno;
use rustix::mm::{mmap, munmap, MapFlags, ProtFlags};
use std::os::fd::AsFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

/// The length of the page in bytes.
pub const PAGE: usize = 4096;

/// A mapped first page.
pub struct Page(NonNull<AtomicU64>);

impl Page {
    /// Maps the first page of a file of ours that is at least that long and never cut off.
    pub fn map(fd: impl AsFd) -> Result<Page, Errno> {
        let (protection, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory of ours.
        let mapped = unsafe { mmap(std::ptr::null_mut(), PAGE, protection, flags, fd, 0)? };
        NonNull::new(mapped.cast()).map(Page).ok_or(Errno::NOMEM)
    }

    /// Stores a word at a byte offset that is a multiple of eight and lies in the page; nothing
    /// happens elsewhere. What was written before is seen by whoever reads the word.
    pub fn store(&self, offset: usize, word: u64) {
        if !offset.is_multiple_of(8) || offset >= PAGE {
            return;
        }
        // SAFETY: aligned and inside the mapping, which lives as long as `self`; all bit patterns
        // are words.
        let place = unsafe { self.0.add(offset / 8).as_ref() };
        place.store(word, Ordering::Release);
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: mapped by `map` with this length, and nothing borrowed from it is left.
        let _ = unsafe { munmap(self.0.as_ptr().cast(), PAGE) };
    }
}

// SAFETY: the words are atomic, and the mapping belongs to the process, not to a thread.
unsafe impl Send for Page {}
