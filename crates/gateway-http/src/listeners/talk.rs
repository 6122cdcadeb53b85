//! What a listener says, as it comes: the protocol as a machine without sockets. Source: Supervisor
//! 4.3.0, dispatchers, PEventListenerDispatcher.

use serde::{Deserialize, Serialize};

/// What a listener says when it wants an event.
const READY: &[u8] = b"READY\n";

/// How many letters of a line of result stand before the number; nobody looks which.
const RESULT: usize = 7;

/// How long a line of result may be.
const LINE_MAX: usize = 1024;

/// The answer that takes an event off the buffer.
const OK: &[u8] = b"OK";

/// Where a listener is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// It has begun, or has answered, and is not ready yet.
    #[default]
    Acknowledged,
    /// It waits for an event.
    Ready,
    /// It has an event and owes an answer.
    Busy,
    /// It has said something that is none of the protocol: nobody listens any more until it is
    /// started again.
    Unknown,
}

impl State {
    /// Returns its name.
    pub fn name(self) -> &'static str {
        match self {
            State::Acknowledged => "ACKNOWLEDGED",
            State::Ready => "READY",
            State::Busy => "BUSY",
            State::Unknown => "UNKNOWN",
        }
    }
}

/// What came of what a listener said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It came from one state to another.
    Became(State, State),
    /// It has done with the event.
    Accepted,
    /// It does not want the event.
    Rejected,
    /// What should have been a line of result.
    BadResult(String),
}

/// The conversation with one listener.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Talk {
    state: State,
    /// The beginning of a token or of a line.
    part: Vec<u8>,
    /// The answer that is being given.
    answer: Option<Body>,
}

/// The answer to an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Body {
    /// How many bytes are still to come.
    left: u64,
    /// The first of those that came: enough to tell it from `OK`.
    begin: Vec<u8>,
}

impl Talk {
    /// Returns where the listener is.
    pub fn state(&self) -> State {
        self.state
    }

    /// The listener has been sent an event.
    pub fn sent(&mut self) {
        self.state = State::Busy;
    }

    /// Takes what the listener says. However much that is, a bounded part of it is kept.
    pub fn hear(&mut self, mut bytes: &[u8], heard: &mut Vec<Heard>) {
        while let Some((first, rest)) = bytes.split_first() {
            match (self.state, &mut self.answer) {
                (State::Unknown, _) => return,
                (State::Ready, _) => self.breaks(heard),
                (State::Acknowledged, _) => {
                    self.part.push(*first);
                    self.may_be_ready(heard);
                    bytes = rest;
                }
                (State::Busy, None) => {
                    if *first == b'\n' {
                        self.begin_answer(heard);
                    } else if self.part.len() == LINE_MAX {
                        self.bad_result(heard);
                    } else {
                        self.part.push(*first);
                    }
                    bytes = rest;
                }
                (State::Busy, Some(body)) => {
                    let here = usize::try_from(body.left).unwrap_or(usize::MAX).min(bytes.len());
                    let (now, later) = bytes.split_at(here);
                    let room = (OK.len() + 1).saturating_sub(body.begin.len());
                    body.begin.extend(now.iter().take(room));
                    body.left -= here as u64;
                    bytes = later;
                    self.may_be_answered(heard);
                }
            }
        }
    }

    /// The original waits for six bytes before it looks at them.
    fn may_be_ready(&mut self, heard: &mut Vec<Heard>) {
        if self.part.len() < READY.len() {
            return;
        }
        if std::mem::take(&mut self.part) == READY {
            self.become_state(State::Ready, heard);
        } else {
            self.breaks(heard);
        }
    }

    fn begin_answer(&mut self, heard: &mut Vec<Heard>) {
        let number = self.part.get(RESULT..).and_then(|rest| std::str::from_utf8(rest).ok());
        match number.and_then(integer) {
            Some(left) => {
                self.part.clear();
                self.answer = Some(Body { left, begin: Vec::new() });
                self.may_be_answered(heard);
            }
            None => self.bad_result(heard),
        }
    }

    fn may_be_answered(&mut self, heard: &mut Vec<Heard>) {
        let Some(body) = self.answer.take_if(|body| body.left == 0) else { return };
        heard.push(if body.begin == OK { Heard::Accepted } else { Heard::Rejected });
        self.become_state(State::Acknowledged, heard);
    }

    fn bad_result(&mut self, heard: &mut Vec<Heard>) {
        let line = String::from_utf8_lossy(&self.part).into_owned();
        heard.push(Heard::BadResult(line));
        self.breaks(heard);
    }

    fn breaks(&mut self, heard: &mut Vec<Heard>) {
        self.part = Vec::new();
        self.answer = None;
        self.become_state(State::Unknown, heard);
    }

    fn become_state(&mut self, state: State, heard: &mut Vec<Heard>) {
        let old = std::mem::replace(&mut self.state, state);
        heard.push(Heard::Became(old, state));
    }
}

/// Reads a number as Python's `int` does, as far as it can be a length.
fn integer(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.strip_prefix('+').unwrap_or(text);
    let parts: Vec<&str> = digits.split('_').collect();
    let good = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    parts.iter().all(good).then(|| parts.concat().parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use State::{Acknowledged, Busy, Ready, Unknown};

    fn talk(state: State) -> Talk {
        Talk { state, ..Talk::default() }
    }

    /// Checks what comes of what a listener says in a state, all at once and byte by byte.
    #[track_caller]
    fn check(state: State, said: &[u8], wanted: &[Heard], then: State) {
        let (mut whole, mut slow) = (talk(state), talk(state));
        let (mut at_once, mut in_parts) = (Vec::new(), Vec::new());
        whole.hear(said, &mut at_once);
        said.iter().for_each(|byte| slow.hear(&[*byte], &mut in_parts));
        assert_eq!((at_once.as_slice(), whole.state()), (wanted, then));
        assert_eq!((in_parts, slow), (at_once, whole));
    }

    fn became(from: State, to: State) -> Heard {
        Heard::Became(from, to)
    }

    #[test]
    fn a_listener_is_ready_when_it_says_so() {
        check(Acknowledged, b"READY\n", &[became(Acknowledged, Ready)], Ready);
        check(Acknowledged, b"READY", &[], Acknowledged);
        check(Acknowledged, b"ready", &[], Acknowledged);
        check(Acknowledged, b"ready\n", &[became(Acknowledged, Unknown)], Unknown);
        check(Acknowledged, b"READY!\n", &[became(Acknowledged, Unknown)], Unknown);
    }

    #[test]
    fn one_that_is_ready_has_nothing_to_say() {
        check(Ready, b"x", &[became(Ready, Unknown)], Unknown);
        check(
            Acknowledged,
            b"READY\nREADY\n",
            &[became(Acknowledged, Ready), became(Ready, Unknown)],
            Unknown,
        );
    }

    #[test]
    fn an_answer_is_ok_or_none() {
        let done = became(Busy, Acknowledged);
        let ready = became(Acknowledged, Ready);
        for (said, wanted) in [
            (&b"RESULT 2\nOK"[..], Heard::Accepted),
            (b"RESULT 4\nFAIL", Heard::Rejected),
            (b"RESULT 3\nOK\n", Heard::Rejected),
            (b"RESULT 0\n", Heard::Rejected),
            // The first seven letters are anybody's.
            (b"ANSWER:2\nOK", Heard::Accepted),
            (b"RESULT  +2 \nOK", Heard::Accepted),
            (b"RESULT 0_2\nOK", Heard::Accepted),
        ] {
            check(Busy, said, &[wanted, done.clone()], Acknowledged);
        }
        let said = b"RESULT 2\nOKREADY\n";
        check(Busy, said, &[Heard::Accepted, done, ready], Ready);
        check(Busy, b"RESULT 18446744073709551615\nOK", &[], Busy);
    }

    #[test]
    fn what_is_no_answer_ends_the_conversation() {
        let over = became(Busy, Unknown);
        for line in ["RESULT xx", "WHATEVER", "", "RESULT -1", "RESULT 1__0", "READY", "RESULT "] {
            let said = format!("{line}\nOK");
            let bad = Heard::BadResult(line.to_owned());
            check(Busy, said.as_bytes(), &[bad, over.clone()], Unknown);
        }
        let long = vec![b'x'; LINE_MAX + 1];
        let bad = Heard::BadResult("x".repeat(LINE_MAX));
        check(Busy, &long, &[bad, over.clone()], Unknown);
        let bad = Heard::BadResult("\u{fffd}".to_owned());
        check(Busy, b"\xff\n", &[bad, over], Unknown);
        check(Unknown, b"READY\nRESULT 2\nOK", &[], Unknown);
    }

    /// Numbers that look like chance. Source: Knuth, MMIX.
    fn next(seed: &mut u64) -> usize {
        *seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (*seed >> 33) as usize
    }

    #[test]
    fn whatever_is_said_in_whatever_pieces_comes_to_the_same_and_little_is_kept() {
        const WORDS: [&[u8]; 6] =
            [b"READY\n", b"RESULT 2\nOK", b"RESULT 3", b"\n", b"OKREADY\n", b"\xff\x00 -1"];
        for mut seed in 0..500 {
            let count = next(&mut seed) % 12;
            let mut said: Vec<u8> = Vec::new();
            for _ in 0..count {
                let word = WORDS.get(next(&mut seed) % 8).copied();
                said.extend(word.unwrap_or(&[b'z'; 700]));
            }
            for begin in [Acknowledged, Busy] {
                let (mut whole, mut parts) = (talk(begin), talk(begin));
                let (mut first, mut second) = (Vec::new(), Vec::new());
                whole.hear(&said, &mut first);
                let size = 1 + next(&mut seed) % 20;
                said.chunks(size).for_each(|piece| parts.hear(piece, &mut second));
                assert_eq!((&first, &whole), (&second, &parts), "{said:?} by {size}");
                assert!(whole.part.len() <= LINE_MAX);
                assert!(whole.answer.is_none_or(|body| body.begin.len() <= OK.len() + 1));
            }
        }
    }
}
