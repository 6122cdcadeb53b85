//! The allocator of our own programs: they live for years, have one thread and many small values.
//!
//! A value has no header: its layout tells its size when it is freed. Small ones lie in slabs of one
//! size, larger ones have pages of their own, the largest are mapped alone. Pages in which nothing is
//! left go back to the kernel when asked for ([`give_back`]). The C libraries' allocators were
//! rejected: glibc's takes 8 to 24 bytes more for each value and keeps what is between two others,
//! musl's takes twice the time.

use rustix::mm::{
    madvise, mmap_anonymous, mremap, munmap, Advice, MapFlags, MremapFlags, ProtFlags,
};
use std::alloc::{GlobalAlloc, Layout};
use std::cell::UnsafeCell;
use std::ptr::{self, null_mut};
use std::sync::atomic::{AtomicBool, Ordering};

/// The allocator, for `#[global_allocator]`. All of them are one.
pub struct Heap;

/// Gives pages in which nothing is left back to the kernel. Takes time in proportion to the heap: for
/// quiet moments.
pub fn give_back() {
    alone(State::give_back);
}

const PAGE: usize = 4096;

/// Pages come from the kernel in pieces of this many bytes, which begin at a multiple of it.
const CHUNK: usize = 1 << 20;

/// How many words have a bit for each page of a chunk.
const WORDS: usize = CHUNK / PAGE / 64;

/// The largest size that lies in a slab.
const SMALL_MAX: usize = 2048;

/// The largest number of pages that lie in a chunk; what is larger is mapped alone.
const RUN_MAX: usize = 15;

/// The largest alignment that the slots of a slab have; what wants more gets pages.
const SLOT_ALIGN: usize = 16;

/// Slabs of slots up to this size have one page, the others [`BROAD`].
const NARROW_MAX: usize = 512;

/// The pages of a slab of large slots. It begins at a multiple of that many, so that a slot finds it.
const BROAD: usize = 4;

/// How many sizes of slots there are.
const CLASSES: usize = 48;

/// Where the first slot of a slab begins.
const SLOTS: usize = size_of::<Slab>();

/// How a value of some layout is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    /// In a slot of this class.
    Slot(usize),
    /// In so many pages of a chunk.
    Run(usize),
    /// In a mapping of so many bytes.
    Mapped(usize),
    /// Not at all: no mapping is so large or so aligned.
    Never,
}

impl Kept {
    #[inline]
    fn of(size: usize, align: usize) -> Kept {
        if size <= SMALL_MAX && align <= SLOT_ALIGN {
            return Kept::Slot(class(size.next_multiple_of(align)));
        }
        if align > PAGE {
            Kept::Never
        } else if size <= RUN_MAX * PAGE {
            Kept::Run(size.div_ceil(PAGE))
        } else {
            size.checked_next_multiple_of(PAGE).map_or(Kept::Never, Kept::Mapped)
        }
    }
}

/// Returns the class of a size up to [`SMALL_MAX`]: steps of 8 bytes up to 128, from there on eight
/// steps for each doubling.
#[inline]
fn class(size: usize) -> usize {
    let last = size.max(1) - 1;
    if last < 128 {
        return last / 8;
    }
    let doubling = last.ilog2() as usize;
    16 + (doubling - 7) * 8 + (last >> (doubling - 3)) - 8
}

/// Returns the size of the slots of a class: the largest that has this class.
#[inline]
fn slot_size(class: usize) -> usize {
    match class.checked_sub(16) {
        None => (class + 1) * 8,
        Some(above) => (9 + above % 8) << (above / 8 + 4),
    }
}

/// Returns how many pages a slab of such slots has.
#[inline]
fn slab_pages(slot: usize) -> usize {
    if slot <= NARROW_MAX {
        1
    } else {
        BROAD
    }
}

/// The beginning of a slab; the slots follow.
#[repr(C, align(16))]
struct Slab {
    next: *mut Slab,
    previous: *mut Slab,
    /// Where the slot lies that was freed last, in bytes from here; it begins with where the one before
    /// lies. 0: none.
    freed: u16,
    /// Where the slots begin that were never used.
    fresh: u16,
    /// How many slots are in use.
    used: u16,
}

impl Slab {
    #[inline]
    fn full(&self, slot: usize) -> bool {
        self.freed == 0 && usize::from(self.fresh) + slot > slab_pages(slot) * PAGE
    }
}

/// The beginning of a chunk, in its first page; the others are given out.
struct Chunk {
    next: *mut Chunk,
    /// A bit for each page that is free.
    free: [u64; WORDS],
    /// A bit for each page that is free and has not gone back to the kernel.
    dirty: [u64; WORDS],
}

/// A chunk in which only the first page is in use.
const UNUSED: [u64; WORDS] = [!1, !0, !0, !0];

impl Chunk {
    /// Finds so many free pages, at most [`RUN_MAX`], in one word; returns the first one's number.
    fn find(&self, pages: usize) -> Option<usize> {
        let places: u64 = if pages == BROAD { 0x1111_1111_1111_1111 } else { !0 };
        self.free.iter().enumerate().find_map(|(number, word)| {
            let begins = (1..pages).fold(*word & places, |left, page| left & (word >> page));
            (begins != 0).then(|| number * 64 + begins.trailing_zeros() as usize)
        })
    }

    fn take(&mut self, first: usize, pages: usize) {
        let mask = run(first, pages);
        self.free[first / 64] &= !mask;
        self.dirty[first / 64] &= !mask;
    }

    fn put(&mut self, first: usize, pages: usize) {
        let mask = run(first, pages);
        self.free[first / 64] |= mask;
        self.dirty[first / 64] |= mask;
    }

    /// Takes the pages behind a run where they are free.
    fn extend(&mut self, first: usize, pages: usize, more: usize) -> bool {
        let fits = first % 64 + pages + more <= 64;
        let free =
            fits && self.free[first / 64] & run(first + pages, more) == run(first + pages, more);
        if free {
            self.take(first + pages, more);
        }
        free
    }
}

/// Returns the bits of a run in its word.
fn run(first: usize, pages: usize) -> u64 {
    ((1u64 << pages) - 1) << (first % 64)
}

struct State {
    /// For each class the slabs with room.
    roomy: [*mut Slab; CLASSES],
    /// In the order in which they came.
    chunks: *mut Chunk,
}

/// Who is in there is alone: see [`alone`].
struct Cell(UnsafeCell<State>);

// SAFETY: `alone` lets one at a time pass, and nothing else reaches the state.
unsafe impl Sync for Cell {}

static STATE: Cell =
    Cell(UnsafeCell::new(State { roomy: [null_mut(); CLASSES], chunks: null_mut() }));
static BUSY: AtomicBool = AtomicBool::new(false);

/// Runs `act` on the state, one at a time. Our programs have one thread, so that nobody waits here but
/// tests.
#[inline]
fn alone<T>(act: impl FnOnce(&mut State) -> T) -> T {
    while BUSY.swap(true, Ordering::Acquire) {
        std::thread::yield_now();
    }
    // SAFETY: `BUSY` was false, so that no other reference is left, and is true until this one is gone.
    // `act` is one of ours: it allocates nothing and does not panic.
    let done = act(unsafe { &mut *STATE.0.get() });
    BUSY.store(false, Ordering::Release);
    done
}

// SAFETY: every value has its own slot, run or mapping, as large and as aligned as its layout says, and
// keeps it until it is freed with the same layout. Nothing here panics or allocates.
unsafe impl GlobalAlloc for Heap {
    #[inline]
    // SAFETY: as for the whole.
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match Kept::of(layout.size(), layout.align()) {
            Kept::Slot(class) => alone(|state| state.take_slot(class)),
            Kept::Run(pages) => alone(|state| state.take_run(pages)),
            Kept::Mapped(length) => map(length),
            Kept::Never => null_mut(),
        }
    }

    #[inline]
    // SAFETY: as for the whole.
    unsafe fn dealloc(&self, value: *mut u8, layout: Layout) {
        match Kept::of(layout.size(), layout.align()) {
            // SAFETY: the caller's promise: `value` came from `alloc` with this layout, and so from a
            // slot of this class ...
            Kept::Slot(class) => alone(|state| unsafe { state.put_slot(value, class) }),
            // SAFETY: ... a run of so many pages ...
            Kept::Run(pages) => alone(|_| unsafe { put_run(value, pages) }),
            // SAFETY: ... or a mapping of this length.
            Kept::Mapped(length) => unsafe { unmap(value, length) },
            Kept::Never => {}
        }
    }

    // SAFETY: as for the whole.
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is that of `alloc`.
        let value = unsafe { self.alloc(layout) };
        if value.is_null() || matches!(Kept::of(layout.size(), layout.align()), Kept::Mapped(_)) {
            return value; // a new mapping is of zeros
        }
        // SAFETY: just allocated with that size.
        unsafe { ptr::write_bytes(value, 0, layout.size()) };
        value
    }

    // SAFETY: as for the whole.
    unsafe fn realloc(&self, value: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let (old, new) = (Kept::of(layout.size(), layout.align()), Kept::of(size, layout.align()));
        match (old, new) {
            _ if old == new => return value,
            (Kept::Mapped(old), Kept::Mapped(new)) => {
                // SAFETY: a mapping of ours of the old length, which nobody borrows from.
                let moved = unsafe { mremap(value.cast(), old, new, MremapFlags::MAYMOVE) };
                return moved.map_or(null_mut(), <*mut _>::cast);
            }
            // SAFETY: the caller's promise: a run of so many pages.
            (Kept::Run(old), Kept::Run(new)) if alone(|_| unsafe { resize(value, old, new) }) => {
                return value;
            }
            _ => {}
        }
        // SAFETY: the caller's promise: the new size with this alignment is a layout.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        // SAFETY: the new size is not zero, as the caller promised.
        let moved = unsafe { self.alloc(wanted) };
        if !moved.is_null() {
            // SAFETY: two values, each as long as the shorter of both sizes; the old one is the
            // caller's to give up.
            unsafe {
                ptr::copy_nonoverlapping(value, moved, layout.size().min(size));
                self.dealloc(value, layout);
            }
        }
        moved
    }
}

impl State {
    fn take_slot(&mut self, class: usize) -> *mut u8 {
        let slot = slot_size(class);
        let mut place = self.roomy[class];
        if place.is_null() {
            place = self.take_run(slab_pages(slot)).cast();
            if place.is_null() {
                return null_mut();
            }
            let slab = Slab {
                next: null_mut(),
                previous: null_mut(),
                freed: 0,
                fresh: SLOTS as u16,
                used: 0,
            };
            // SAFETY: a page of ours that nobody else has, aligned.
            unsafe { place.write(slab) };
            self.roomy[class] = place;
        }
        // SAFETY: slabs in the lists are ours, initialised, and referred to by nobody else.
        let slab = unsafe { &mut *place };
        let offset = if slab.freed == 0 {
            let fresh = slab.fresh;
            slab.fresh += slot as u16;
            fresh
        } else {
            let freed = slab.freed;
            // SAFETY: a free slot of this slab, aligned to eight, that `put_slot` wrote the next one's
            // place into.
            slab.freed = unsafe { place.cast::<u8>().add(usize::from(freed)).cast::<u16>().read() };
            freed
        };
        slab.used += 1;
        if slab.full(slot) {
            self.unlink(place, class);
        }
        // SAFETY: inside the slab.
        unsafe { place.cast::<u8>().add(usize::from(offset)) }
    }

    /// Frees a slot.
    // SAFETY: to be called with one of this class that was taken and not freed since.
    unsafe fn put_slot(&mut self, value: *mut u8, class: usize) {
        let slot = slot_size(class);
        let pages = slab_pages(slot);
        let place = value.map_addr(|address| address & !(pages * PAGE - 1)).cast::<Slab>();
        // SAFETY: a slab begins at a multiple of its length, and nobody else refers to it.
        let slab = unsafe { &mut *place };
        let full = slab.full(slot);
        // SAFETY: the slot is free now, and aligned to eight.
        unsafe { value.cast::<u16>().write(slab.freed) };
        slab.freed = (value.addr() - place.addr()) as u16;
        slab.used -= 1;
        match (slab.used, full) {
            (0, true) => {}
            (0, false) => self.unlink(place, class),
            (_, true) => self.link(place, class),
            (_, false) => {}
        }
        if slab.used == 0 {
            // SAFETY: a run of so many pages, in which nothing is left.
            unsafe { put_run(place.cast(), pages) };
        }
    }

    fn link(&mut self, place: *mut Slab, class: usize) {
        let next = self.roomy[class];
        // SAFETY: slabs of ours, initialised; nobody else refers to them.
        unsafe {
            (*place).previous = null_mut();
            (*place).next = next;
            if !next.is_null() {
                (*next).previous = place;
            }
        }
        self.roomy[class] = place;
    }

    fn unlink(&mut self, place: *mut Slab, class: usize) {
        // SAFETY: as above.
        unsafe {
            let (previous, next) = ((*place).previous, (*place).next);
            if previous.is_null() {
                self.roomy[class] = next;
            } else {
                (*previous).next = next;
            }
            if !next.is_null() {
                (*next).previous = previous;
            }
        }
    }

    fn take_run(&mut self, pages: usize) -> *mut u8 {
        let mut end: *mut *mut Chunk = &raw mut self.chunks;
        // SAFETY: `end` is the state's own link or that of a chunk; chunks in the list are ours,
        // initialised, and referred to by nobody else.
        unsafe {
            while !(*end).is_null() {
                let chunk = *end;
                if let Some(first) = (*chunk).find(pages) {
                    (*chunk).take(first, pages);
                    return chunk.cast::<u8>().add(first * PAGE);
                }
                end = &raw mut (*chunk).next;
            }
            let chunk = map_chunk();
            if chunk.is_null() {
                return null_mut();
            }
            chunk.write(Chunk { next: null_mut(), free: UNUSED, dirty: [0; WORDS] });
            *end = chunk;
        }
        self.take_run(pages)
    }

    fn give_back(&mut self) {
        let mut link: *mut *mut Chunk = &raw mut self.chunks;
        // SAFETY: as in `take_run`. What is given back is free: nobody has a reference to it, and it is
        // written before it is read.
        unsafe {
            while !(*link).is_null() {
                let chunk = *link;
                if (*chunk).free == UNUSED {
                    *link = (*chunk).next;
                    unmap(chunk.cast(), CHUNK);
                    continue;
                }
                for (word, dirty) in (*chunk).dirty.iter_mut().enumerate() {
                    while *dirty != 0 {
                        let first = dirty.trailing_zeros() as usize;
                        let pages = (*dirty >> first).trailing_ones() as usize;
                        let start = chunk.cast::<u8>().add((word * 64 + first) * PAGE);
                        let _ = madvise(start.cast(), pages * PAGE, Advice::LinuxDontNeed);
                        *dirty &= !(u64::MAX >> (64 - pages) << first);
                    }
                }
                link = &raw mut (*chunk).next;
            }
        }
    }
}

/// Returns the chunk of a page and the page's number.
fn chunk_of(run: *mut u8) -> (*mut Chunk, usize) {
    let chunk = run.map_addr(|address| address & !(CHUNK - 1)).cast::<Chunk>();
    (chunk, (run.addr() - chunk.addr()) / PAGE)
}

/// Frees a run.
// SAFETY: to be called by who is `alone`, with a run of so many pages that was taken.
unsafe fn put_run(run: *mut u8, pages: usize) {
    let (chunk, first) = chunk_of(run);
    // SAFETY: a chunk begins at a multiple of its length, and nobody else refers to it.
    unsafe { (*chunk).put(first, pages) };
}

/// Makes a run shorter or, where the pages behind it are free, longer; reports whether it is.
// SAFETY: to be called by who is `alone`, with a run of `old` pages that was taken.
unsafe fn resize(run: *mut u8, old: usize, new: usize) -> bool {
    let (chunk, first) = chunk_of(run);
    // SAFETY: as above.
    let chunk = unsafe { &mut *chunk };
    match new.checked_sub(old) {
        Some(more) => chunk.extend(first, old, more),
        None => {
            chunk.put(first + new, old - new);
            true
        }
    }
}

/// Maps so many bytes; null where the kernel has none.
fn map(length: usize) -> *mut u8 {
    let (protection, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
    // SAFETY: a new mapping at an address of the kernel's choice touches no memory of ours.
    let mapped = unsafe { mmap_anonymous(null_mut(), length, protection, flags) };
    mapped.map_or(null_mut(), <*mut _>::cast)
}

/// Unmaps.
// SAFETY: to be called with a mapping of ours that nobody refers to any more.
unsafe fn unmap(start: *mut u8, length: usize) {
    // SAFETY: the caller's promise.
    let _ = unsafe { munmap(start.cast(), length) };
}

/// Maps a chunk at a multiple of its length: twice as much, and what is around it goes back.
fn map_chunk() -> *mut Chunk {
    let start = map(2 * CHUNK);
    if start.is_null() {
        return null_mut();
    }
    let before = start.addr().next_multiple_of(CHUNK) - start.addr();
    // SAFETY: all of it lies in the new mapping, of which nobody knows yet.
    unsafe {
        let chunk = start.add(before);
        if before > 0 {
            unmap(start, before);
        }
        unmap(chunk.add(CHUNK), CHUNK - before);
        // Pages of two megabytes would never be given back.
        let _ = madvise(chunk.cast(), CHUNK, Advice::LinuxNoHugepage);
        chunk.cast()
    }
}
