//! What an output becomes before it is written: colours are taken out of it, and what stands between the
//! signs of capture mode is taken aside. Source: Supervisor 4.3.0, `POutputDispatcher`.

use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// What a program writes before what is meant for listeners, and after it.
pub const BEGIN: &[u8] = b"<!--XSUPERVISOR:BEGIN-->";
/// See [`BEGIN`].
pub const END: &[u8] = b"<!--XSUPERVISOR:END-->";

/// The most that is taken aside of one such message, in bytes, whatever the job wants.
pub const CAPTURE_MAX: u64 = 512 * 1024;

/// A sequence of colours that is longer is none.
const SEQUENCE_MAX: usize = 64;

/// What ends such a sequence. Source: Supervisor 4.3.0, `ANSI_TERMINATORS`.
const ENDS: &[u8] = b"HfABCDRsuJKhlpm";

/// How an output is treated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Treatment {
    /// Whether sequences that colour a terminal are taken out.
    pub strip_ansi: bool,
    /// How many bytes of a message between the signs are kept, the last ones; 0: the signs mean nothing.
    pub capture: u64,
    /// Whether watchers are told of everything that is written.
    pub events: bool,
    /// Whether lines go to syslog too.
    pub syslog: bool,
}

impl Treatment {
    /// Reports whether the output is written as it is, and nobody else hears of it.
    pub fn is_none(&self) -> bool {
        *self == Treatment::default()
    }
}

/// What became of some bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Treated {
    /// What is to be written.
    pub log: Vec<u8>,
    /// Messages that are complete.
    pub captured: Vec<Vec<u8>>,
}

/// How far an output has come.
#[derive(Clone, Debug, Default)]
pub struct State {
    captures: bool,
    /// What may be the beginning of a sign.
    held: Vec<u8>,
    /// The message so far.
    message: Vec<u8>,
    /// What may be a sequence that colours.
    sequence: Vec<u8>,
}

impl State {
    /// Treats bytes that have come.
    pub fn feed(&mut self, how: &Treatment, bytes: &[u8]) -> Treated {
        let mut treated = Treated::default();
        if how.capture == 0 {
            self.log(how, bytes, &mut treated.log);
            return treated;
        }
        let mut rest = core::mem::take(&mut self.held);
        rest.extend_from_slice(bytes);
        let mut rest = &rest[..];
        loop {
            let sign = if self.captures { END } else { BEGIN };
            let found = rest.windows(sign.len()).position(|window| window == sign);
            let Some((before, after)) = found.and_then(|at| rest.split_at_checked(at)) else {
                let (said, held) = rest.split_at(rest.len() - begun(rest, sign));
                self.held = held.to_vec();
                self.take(how, said, &mut treated.log);
                return treated;
            };
            self.take(how, before, &mut treated.log);
            rest = after.get(sign.len()..).unwrap_or_default();
            if self.captures {
                treated.captured.push(core::mem::take(&mut self.message));
            }
            self.captures = !self.captures;
        }
    }

    /// The output has ended: returns what was held back. A message that was not finished is none.
    pub fn end(&mut self, how: &Treatment) -> Vec<u8> {
        let (mut log, held) = (Vec::new(), core::mem::take(&mut self.held));
        if !self.captures {
            self.log(how, &held, &mut log);
        }
        log.append(&mut self.sequence);
        log
    }

    fn take(&mut self, how: &Treatment, bytes: &[u8], log: &mut Vec<u8>) {
        if !self.captures {
            return self.log(how, bytes, log);
        }
        let most = usize::try_from(how.capture.min(CAPTURE_MAX)).unwrap_or(usize::MAX);
        // The oldest make room, as many as come, even where that is more than needed.
        if self.message.len() + bytes.len() > most {
            self.message.drain(..bytes.len().min(self.message.len()));
        }
        self.message.extend_from_slice(bytes);
        let over = self.message.len().saturating_sub(CAPTURE_MAX as usize);
        self.message.drain(..over);
    }

    fn log(&mut self, how: &Treatment, bytes: &[u8], log: &mut Vec<u8>) {
        if !how.strip_ansi {
            return log.extend_from_slice(bytes);
        }
        for byte in bytes {
            match (self.sequence.len(), byte) {
                (0, 0x1b) | (1, b'[') => self.sequence.push(*byte),
                (0, _) => log.push(*byte),
                (2.., byte) if ENDS.contains(byte) => self.sequence.clear(),
                (2..SEQUENCE_MAX, _) => self.sequence.push(*byte),
                (_, _) => {
                    log.append(&mut self.sequence);
                    match *byte {
                        0x1b => self.sequence.push(*byte),
                        byte => log.push(byte),
                    }
                }
            }
        }
    }
}

/// Returns how many bytes at the end may be the beginning of a sign.
fn begun(bytes: &[u8], sign: &[u8]) -> usize {
    let most = bytes.len().min(sign.len() - 1);
    (1..=most)
        .rev()
        .find(|length| bytes.ends_with(sign.get(..*length).unwrap_or_default()))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(how: &Treatment, text: &[u8], log: &[u8], captured: &[&[u8]]) {
        for size in [1, 2, 3, 7, 24, 1000] {
            let (mut state, mut all) = (State::default(), Treated::default());
            for part in text.chunks(size) {
                let treated = state.feed(how, part);
                all.log.extend(treated.log);
                all.captured.extend(treated.captured);
            }
            all.log.extend(state.end(how));
            let shown = |bytes: &[u8]| alloc::string::String::from_utf8_lossy(bytes).into_owned();
            assert_eq!(shown(&all.log), shown(log), "in pieces of {size}");
            assert_eq!(all.captured, captured, "in pieces of {size}");
        }
    }

    fn capture(most: u64) -> Treatment {
        Treatment { capture: most, ..Treatment::default() }
    }

    #[test]
    fn what_stands_between_the_signs_is_taken_aside_however_it_comes() {
        let text = b"a\n<!--XSUPERVISOR:BEGIN-->hello<!--XSUPERVISOR:END-->b\n\
            <!--XSUPERVISOR:BEGIN--><!--XSUPERVISOR:END--><!--XSUP";
        check(&capture(1000), text, b"a\nb\n<!--XSUP", &[b"hello", b""]);
        check(&Treatment::default(), text, text, &[]);
    }

    #[test]
    fn a_message_that_does_not_end_is_none_and_nothing_is_held_back_that_is_no_sign() {
        check(&capture(10), b"x<!--XSUPERVISOR:BEGIN-->lost<!--XSUPERVISOR", b"x", &[]);
        let mut state = State::default();
        assert_eq!(state.feed(&capture(10), b"short").log, b"short");
    }

    #[test]
    fn the_oldest_make_room_as_in_the_original() {
        let how = capture(12);
        let mut state = State::default();
        state.feed(&how, b"<!--XSUPERVISOR:BEGIN-->");
        state.feed(&how, b"0123456789");
        let treated = state.feed(&how, b"abcdefgh<!--XSUPERVISOR:END-->");
        assert_eq!(treated.captured, [b"89abcdefgh"]);
    }

    #[test]
    fn colours_are_taken_out_and_what_only_looks_like_them_is_not() {
        let how = Treatment { strip_ansi: true, ..Treatment::default() };
        check(&how, b"\x1b[1;31mred\x1b[0m \x1bX [m", b"red \x1bX [m", &[]);
        check(&how, b"\x1b\x1b[32mgreen\x1b[", b"\x1bgreen\x1b[", &[]);
        let long = [&b"\x1b["[..], &[b'1'; 100], b"m"].concat();
        check(&how, &long, &long, &[]);
    }
}
