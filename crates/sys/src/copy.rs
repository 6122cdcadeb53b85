//! Copying and comparing bytes, in the place of musl's own: those move by one instruction that takes
//! 30 cycles to begin, and backwards many more, while most of what we copy is shorter than 64 bytes.

#![cfg(all(target_arch = "x86_64", any(test, target_env = "musl")))]

/// Bytes that are read at once from anywhere and written anywhere.
trait Piece: Copy {
    /// Reads from an address of any alignment.
    // SAFETY: to be called where as many bytes can be read.
    #[inline(always)]
    unsafe fn read(from: *const u8) -> Self {
        // SAFETY: the caller's promise; no alignment is asked for.
        unsafe { from.cast::<Self>().read_unaligned() }
    }

    /// Writes to an address of any alignment.
    // SAFETY: to be called where as many bytes can be written.
    #[inline(always)]
    unsafe fn write(self, to: *mut u8) {
        // SAFETY: the caller's promise; no alignment is asked for.
        unsafe { to.cast::<Self>().write_unaligned(self) }
    }
}

impl Piece for u16 {}
impl Piece for u32 {}
impl Piece for u64 {}
impl Piece for [u64; 2] {}
impl Piece for [u64; 4] {}

/// Copies by one piece at either end, which overlap; both are read before one is written.
// SAFETY: to be called where so many bytes, at least as many as a piece and at most twice as many, can
// be read and written.
#[inline(always)]
unsafe fn copy_ends<T: Piece>(to: *mut u8, from: *const u8, length: usize) {
    let rest = length - size_of::<T>();
    // SAFETY: the caller's promise.
    unsafe {
        let (first, last) = (T::read(from), T::read(from.add(rest)));
        first.write(to);
        last.write(to.add(rest));
    }
}

/// Copies up to 64 bytes, which may overlap.
// SAFETY: to be called where so many bytes can be read and written.
#[inline(always)]
unsafe fn copy_short(to: *mut u8, from: *const u8, length: usize) {
    // SAFETY: the caller's promise; each arm has the lengths that `copy_ends` wants.
    unsafe {
        match length {
            0 => {}
            1 => to.write(from.read()),
            2..=3 => copy_ends::<u16>(to, from, length),
            4..=7 => copy_ends::<u32>(to, from, length),
            8..=15 => copy_ends::<u64>(to, from, length),
            16..=31 => copy_ends::<[u64; 2]>(to, from, length),
            _ => copy_ends::<[u64; 4]>(to, from, length),
        }
    }
}

/// Lengths from which on a long copy is left to the processor's own instruction.
const LONG: usize = 2048;

/// Copies bytes that do not overlap, or of which the target comes first.
// SAFETY: to be called where so many bytes can be read and written.
#[inline(always)]
unsafe fn copy(to: *mut u8, from: *const u8, length: usize) {
    // SAFETY: the caller's promise; no piece goes beyond `length`. The last piece is read before
    // anything is written, since what is written may be what is read.
    unsafe {
        if length <= 64 {
            return copy_short(to, from, length);
        }
        if length >= LONG {
            std::arch::asm!("rep movsb", inout("rdi") to => _, inout("rsi") from => _,
                inout("rcx") length => _, options(nostack, preserves_flags));
            return;
        }
        let last = <[u64; 4]>::read(from.add(length - 32));
        let mut done = 0;
        while done < length - 32 {
            <[u64; 4]>::read(from.add(done)).write(to.add(done));
            done += 32;
            keep_loop();
        }
        last.write(to.add(length - 32));
    }
}

/// Copies bytes of which the source comes first, from their ends.
// SAFETY: as for `copy`.
#[inline(always)]
unsafe fn copy_back(to: *mut u8, from: *const u8, length: usize) {
    // SAFETY: as in `copy`; the first piece is read before anything is written.
    unsafe {
        if length <= 64 {
            return copy_short(to, from, length);
        }
        let first = <[u64; 4]>::read(from);
        let mut left = length;
        while left > 32 {
            left -= 32;
            <[u64; 4]>::read(from.add(left)).write(to.add(left));
            keep_loop();
        }
        first.write(to);
    }
}

/// Compares; returns the difference of the first two bytes that differ.
// SAFETY: to be called where so many bytes can be read.
#[inline(always)]
unsafe fn compare(one: *const u8, other: *const u8, length: usize) -> i32 {
    // SAFETY: the caller's promise; no piece goes beyond `length`.
    unsafe {
        let mut done = 0;
        while length - done >= 8 {
            let (left, right) = (u64::read(one.add(done)), u64::read(other.add(done)));
            if left != right {
                return if u64::from_be(left) < u64::from_be(right) { -1 } else { 1 };
            }
            done += 8;
        }
        while done < length {
            let (left, right) = (one.add(done).read(), other.add(done).read());
            if left != right {
                return i32::from(left) - i32::from(right);
            }
            done += 1;
            keep_loop();
        }
        0
    }
}

/// Keeps the compiler from seeing that a loop is a copy and from calling us for it.
#[inline(always)]
fn keep_loop() {
    // SAFETY: no instruction at all.
    unsafe { std::arch::asm!("", options(nostack, preserves_flags)) };
}

/// The C library's names, which the compiler calls.
#[cfg(all(target_env = "musl", target_arch = "x86_64"))]
mod names {
    use std::ffi::c_int;

    #[no_mangle]
    // SAFETY: C's own rules.
    unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { super::copy(to, from, length) };
        to
    }

    #[no_mangle]
    // SAFETY: C's own rules.
    unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
        // SAFETY: the caller's promise. Where the target begins inside the source, its end goes first.
        unsafe {
            if to.addr().wrapping_sub(from.addr()) < length {
                super::copy_back(to, from, length);
            } else {
                super::copy(to, from, length);
            }
        }
        to
    }

    #[no_mangle]
    // SAFETY: C's own rules.
    unsafe extern "C" fn memcmp(one: *const u8, other: *const u8, length: usize) -> c_int {
        // SAFETY: the caller's promise.
        unsafe { super::compare(one, other, length) }
    }

    #[no_mangle]
    // SAFETY: C's own rules.
    unsafe extern "C" fn bcmp(one: *const u8, other: *const u8, length: usize) -> c_int {
        // SAFETY: the caller's promise.
        unsafe { super::compare(one, other, length) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_arrive_whole_whatever_their_number_and_however_they_overlap() {
        let original: Vec<u8> = (0..6000_usize).map(|place| (place % 251) as u8).collect();
        for length in (0..200).chain([255, 256, 257, 2047, 2048, 2049, 4000]) {
            for (from, to) in
                [(500, 500), (500, 501), (501, 500), (500, 533), (533, 500), (0, 1990)]
            {
                let (mut expected, mut bytes) = (original.clone(), original.clone());
                expected.copy_within(from..from + length, to);
                let start = bytes.as_mut_ptr();
                // SAFETY: both lie in `bytes`, which is that long.
                unsafe {
                    if from < to {
                        copy_back(start.add(to), start.add(from), length);
                    } else {
                        copy(start.add(to), start.add(from), length);
                    }
                }
                assert!(bytes == expected, "{length} bytes from {from} to {to}");
            }
        }
    }

    #[test]
    fn the_first_difference_decides() {
        for length in 0..40 {
            let one = vec![200; length];
            // SAFETY: both are that long.
            assert_eq!(unsafe { compare(one.as_ptr(), one.clone().as_ptr(), length) }, 0);
            for place in 0..length {
                let mut other = one.clone();
                other[place] = 3;
                other[place + 1..].fill(255);
                // SAFETY: both are that long.
                let order = |left: &[u8], right: &[u8]| unsafe {
                    compare(left.as_ptr(), right.as_ptr(), length)
                };
                assert!(order(&one, &other) > 0 && order(&other, &one) < 0, "{length} {place}");
            }
        }
    }
}
