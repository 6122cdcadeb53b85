//! The allocator, used by the test program itself and by hand.

use std::alloc::{GlobalAlloc, Layout};
use std::collections::BTreeMap;
use sys::heap::{give_back, Heap};

#[global_allocator]
static HEAP: Heap = Heap;

/// Numbers that look random and are the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }
}

/// A value by hand: where it is, how it was asked for, what it is filled with.
struct Value {
    place: *mut u8,
    layout: Layout,
    byte: u8,
}

impl Value {
    fn new(layout: Layout, byte: u8) -> Value {
        // SAFETY: no layout here is empty.
        let place = unsafe { Heap.alloc(layout) };
        assert!(!place.is_null() && place.addr().is_multiple_of(layout.align()), "{layout:?}");
        let value = Value { place, layout, byte };
        value.fill(0);
        value
    }

    /// Fills it from a byte on.
    fn fill(&self, from: usize) {
        let length = self.layout.size().saturating_sub(from);
        // SAFETY: `place` has as many bytes as the layout says, all of them ours.
        unsafe { self.place.wrapping_add(from).write_bytes(self.byte, length) };
    }

    fn check(&self, length: usize) {
        // SAFETY: as above; filled when it was made.
        let bytes = unsafe { std::slice::from_raw_parts(self.place, length) };
        assert!(bytes.iter().all(|byte| *byte == self.byte), "{:?} was written to", self.layout);
    }

    fn resize(&mut self, size: usize) {
        let kept = size.min(self.layout.size());
        // SAFETY: allocated with that layout; the new size is not zero.
        self.place = unsafe { Heap.realloc(self.place, self.layout, size) };
        assert!(!self.place.is_null() && self.place.addr().is_multiple_of(self.layout.align()));
        self.layout = Layout::from_size_align(size, self.layout.align()).unwrap();
        self.check(kept);
        self.fill(kept);
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        self.check(self.layout.size());
        // SAFETY: allocated with that layout, and nobody uses it any more.
        unsafe { Heap.dealloc(self.place, self.layout) };
    }
}

/// Returns a layout as programs ask for: mostly small, sometimes of every other kind.
fn layout(dice: &mut Dice) -> Layout {
    let size = match dice.below(20) {
        0..=13 => dice.below(256),
        14..=16 => dice.below(4096),
        17..=18 => dice.below(70_000),
        _ => dice.below(400_000),
    };
    let align = match dice.below(12) {
        0..=8 => 8,
        9 => 1,
        10 => 16,
        _ => 16 << dice.below(9),
    };
    Layout::from_size_align(size + 1, align).unwrap()
}

#[test]
fn no_value_is_written_to_by_another_whatever_is_taken_freed_and_resized() {
    let mut dice = Dice(1);
    let mut values: BTreeMap<usize, Value> = BTreeMap::new();
    for step in 0..60_000 {
        let key = dice.below(700);
        match (dice.below(3), values.get_mut(&key)) {
            (0, Some(value)) => value.resize(layout(&mut dice).size()),
            (_, Some(_)) => drop(values.remove(&key)),
            (_, None) => {
                values.insert(key, Value::new(layout(&mut dice), (step % 251) as u8));
            }
        }
        if step % 5000 == 0 {
            give_back();
        }
    }
    values.values().for_each(|value| value.check(value.layout.size()));
}

#[test]
fn every_size_is_kept_apart_from_its_neighbours() {
    let mut values = Vec::new();
    for size in 1..5000 {
        for byte in [1, 2] {
            values.push(Value::new(Layout::from_size_align(size, 1).unwrap(), byte));
        }
    }
    drop(values);
}

#[test]
fn what_is_asked_for_as_zeros_is_zeros_though_it_was_used_before() {
    for size in [1, 24, 2048, 2049, 40_000, 61_440, 61_441, 300_000] {
        let layout = Layout::from_size_align(size, 8).unwrap();
        for _ in 0..3 {
            // SAFETY: the layout is not empty.
            let place = unsafe { Heap.alloc_zeroed(layout) };
            // SAFETY: so many bytes are there, and they are ours.
            let bytes = unsafe { std::slice::from_raw_parts_mut(place, size) };
            assert!(bytes.iter().all(|byte| *byte == 0), "{size}");
            bytes.fill(7);
            // SAFETY: allocated with that layout, and nobody uses it any more.
            unsafe { Heap.dealloc(place, layout) };
        }
    }
}

#[test]
fn a_layout_that_no_memory_is_for_gets_none() {
    for (size, align) in [(1, 1 << 20), (isize::MAX as usize - 4095, 4096)] {
        // SAFETY: the layout is not empty.
        let place = unsafe { Heap.alloc(Layout::from_size_align(size, align).unwrap()) };
        assert!(place.is_null(), "{size} {align}");
    }
}

#[test]
fn threads_do_not_get_each_others_memory() {
    let work = |seed| {
        move || {
            let mut dice = Dice(seed);
            let values: Vec<Value> =
                (0..5000).map(|_| Value::new(layout(&mut dice), seed as u8)).collect();
            drop(values);
        }
    };
    let threads: Vec<_> = (1..5).map(|seed| std::thread::spawn(work(seed))).collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

/// How many bytes of the pages from a value's on are there, by the kernel's word.
fn resident(places: &[usize]) -> usize {
    let map = std::fs::File::open("/proc/self/pagemap").unwrap();
    let there = |page: &usize| {
        let mut word = [0; 8];
        let read = std::os::unix::fs::FileExt::read_exact_at(&map, &mut word, *page as u64 * 8);
        read.is_ok() && u64::from_le_bytes(word) >> 63 == 1
    };
    let pages: std::collections::BTreeSet<usize> =
        places.iter().map(|place| place / 4096).collect();
    pages.iter().filter(|page| there(page)).count()
}

#[test]
fn pages_in_which_nothing_is_left_go_back_to_the_kernel() {
    let layout = Layout::from_size_align(100, 8).unwrap();
    let values: Vec<Value> = (0..40_000).map(|_| Value::new(layout, 9)).collect();
    let places: Vec<usize> = values.iter().map(|value| value.place.addr()).collect();
    let before = resident(&places);
    assert!(before >= 1000, "{before} pages for 4 MB");
    drop(values);
    give_back();
    let after = resident(&places);
    // Other tests take memory meanwhile, some of it here.
    assert!(after < before / 2, "{after} of {before} pages are still there");
}
