//! Numbers, signals and sizes as job files write them. Numbers are read as strtol(3) does.

use super::complaint::Complaint;
use super::lex::{Fault, Word};
use crate::signal::Signal;
use crate::time::Span;
use alloc::format;

/// The greatest number the original takes where it wants a count, an exit status or seconds.
pub const INT_MAX: u64 = i32::MAX as u64;

/// Returns a whole number in base 8 or 10, blanks and a sign before it allowed.
pub fn integer(word: &Word, radix: u32) -> Option<i128> {
    let text = core::str::from_utf8(&word.text).ok()?.trim_ascii_start();
    i128::from_str_radix(text, radix).ok()
}

/// Returns a number from 0 to `max`, or the complaint.
pub fn natural(word: &Word, max: u64, complaint: Complaint) -> Result<u64, Fault> {
    let number = integer(word, 10).and_then(|number| u64::try_from(number).ok());
    number
        .filter(|number| *number <= max)
        .ok_or_else(|| Fault::at(complaint, word).help(format!("a whole number from 0 to {max}")))
}

/// Returns a number of whole seconds.
pub fn seconds(word: &Word) -> Result<Span, Fault> {
    let seconds = natural(word, INT_MAX, Complaint::Interval).map(Span::secs);
    seconds.map_err(|fault| fault.help("a whole number of seconds"))
}

/// Returns a decimal number in thousandths, from 0 to a million: `0.25` is 250.
pub fn thousandths(word: &Word) -> Option<u64> {
    let text = core::str::from_utf8(&word.text).ok()?;
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(part) || part.len() > 3 {
        return None;
    }
    let whole: u64 = whole.parse().ok().filter(|whole| *whole <= 1_000_000)?;
    let part: u64 = part
        .bytes()
        .chain([b'0'; 3])
        .take(3)
        .fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    Some(whole * 1000 + part)
}

/// Returns the signal of a name.
pub fn signal_name(word: &Word) -> Option<Signal> {
    core::str::from_utf8(&word.text).ok().and_then(Signal::from_name)
}

/// Returns the signal of a name or number; none is the number 0, which signals nothing.
pub fn signal(word: &Word) -> Result<Option<Signal>, Fault> {
    let number = integer(word, 10).and_then(|number| u8::try_from(number).ok());
    match (signal_name(word), number) {
        (None, Some(0)) => Ok(None),
        (named, number) => match named.or_else(|| number.and_then(Signal::new)) {
            Some(signal) => Ok(Some(signal)),
            None => Err(Fault::at(Complaint::SignalStatus, word)
                .help("a name in capitals such as TERM or SIGTERM, or a number from 1 to 64")),
        },
    }
}

/// Returns a size in bytes: a number, with K, M or G for powers of 1024.
pub fn size(word: &Word) -> Result<u64, Fault> {
    let (digits, unit) = match word.text.split_last() {
        Some((b'K' | b'k', digits)) => (digits, 1 << 10),
        Some((b'M' | b'm', digits)) => (digits, 1 << 20),
        Some((b'G' | b'g', digits)) => (digits, 1 << 30),
        _ => (&word.text[..], 1u64),
    };
    let number = core::str::from_utf8(digits).ok().and_then(|text| text.parse::<u64>().ok());
    number.and_then(|number| number.checked_mul(unit)).ok_or_else(|| {
        Fault::at(Complaint::Size, word).help("for example 512K, 10M or 1G; 0 never rotates")
    })
}

/// Returns permission bits in base 8, at most 777.
pub fn permissions(word: &Word, complaint: Complaint) -> Result<u16, Fault> {
    let bits = integer(word, 8).and_then(|bits| u16::try_from(bits).ok());
    bits.filter(|bits| *bits <= 0o777).ok_or_else(|| {
        Fault::at(complaint, word).help("three octal digits, for example 022 or 640")
    })
}
