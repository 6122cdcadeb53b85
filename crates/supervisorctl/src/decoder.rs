//! Answers of HTTP/1.1, from the bytes in which they come. Knows no socket.

/// How long a head may be.
const HEAD_MAX: usize = 64 * 1024;

/// How many header fields it may have.
const FIELDS_MAX: usize = 64;

/// How long the line before a chunk may be.
const CHUNK_LINE_MAX: usize = 4096;

/// The beginning of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The status, such as 200.
    pub status: u16,
    /// The status in words.
    pub reason: String,
    /// Whether the server keeps the connection.
    pub keeps: bool,
}

/// Reads one answer.
#[derive(Debug)]
pub struct Decoder {
    held: Vec<u8>,
    head: Option<Head>,
    state: State,
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
enum State {
    Head,
    Body(u64),
    UntilEnd,
    ChunkSize,
    Chunk(u64),
    ChunkEnd,
    Trailer,
    Done,
}

impl Default for Decoder {
    fn default() -> Decoder {
        Decoder { held: Vec::new(), head: None, state: State::Head }
    }
}

impl Decoder {
    /// Returns the head, once it is there.
    pub fn head(&self) -> Option<&Head> {
        self.head.as_ref()
    }

    /// Reports whether the answer is complete.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Takes what has come; appends what of it is the body.
    pub fn feed(&mut self, bytes: &[u8], body: &mut Vec<u8>) -> Result<(), String> {
        self.held.extend_from_slice(bytes);
        while self.step(body)? {}
        Ok(())
    }

    /// Takes the end of the connection; says whether the answer is complete with it.
    pub fn end(&mut self) -> bool {
        if self.state == State::UntilEnd {
            self.state = State::Done;
        }
        self.is_done()
    }

    /// Goes one part on; says whether there may be another.
    fn step(&mut self, body: &mut Vec<u8>) -> Result<bool, String> {
        match self.state {
            State::Head => self.read_head(),
            State::Body(left) => Ok(self.pass(left, body, State::Done, State::Body)),
            State::UntilEnd => {
                body.append(&mut self.held);
                Ok(false)
            }
            State::ChunkSize => match httparse::parse_chunk_size(&self.held) {
                Ok(httparse::Status::Complete((used, size))) => {
                    self.held.drain(..used);
                    self.state = if size == 0 { State::Trailer } else { State::Chunk(size) };
                    Ok(true)
                }
                Ok(httparse::Status::Partial) if self.held.len() < CHUNK_LINE_MAX => Ok(false),
                Ok(httparse::Status::Partial) | Err(_) => Err("a chunk without a size".into()),
            },
            State::Chunk(left) => Ok(self.pass(left, body, State::ChunkEnd, State::Chunk)),
            State::ChunkEnd => Ok(match self.held.iter().position(|byte| *byte == b'\n') {
                Some(place) => {
                    self.held.drain(..=place);
                    self.state = State::ChunkSize;
                    true
                }
                None => false,
            }),
            State::Trailer => match self.held.iter().position(|byte| *byte == b'\n') {
                Some(place) => {
                    let line: Vec<u8> = self.held.drain(..=place).collect();
                    if line.trim_ascii().is_empty() {
                        self.state = State::Done;
                    }
                    Ok(true)
                }
                None if self.held.len() < HEAD_MAX => Ok(false),
                None => Err("an endless trailer".into()),
            },
            State::Done => Ok(false),
        }
    }

    fn read_head(&mut self) -> Result<bool, String> {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
        let mut parsed = httparse::Response::new(&mut fields);
        let used = match parsed.parse(&self.held) {
            Ok(httparse::Status::Complete(used)) => used,
            Ok(httparse::Status::Partial) if self.held.len() < HEAD_MAX => return Ok(false),
            Ok(httparse::Status::Partial) => return Err("an endless head".into()),
            Err(error) => return Err(format!("no answer of HTTP: {error}")),
        };
        let status = parsed.code.unwrap_or_default();
        let field = |name: &str| {
            let found = parsed.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name));
            found.map(|field| String::from_utf8_lossy(field.value).trim().to_ascii_lowercase())
        };
        let length = field("content-length").map(|text| text.parse::<u64>());
        let connection = field("connection").unwrap_or_default();
        let new = parsed.version == Some(1);
        let state = if matches!(status, 100..=199) {
            State::Head
        } else if matches!(status, 204 | 304) {
            State::Done
        } else if field("transfer-encoding").is_some_and(|coding| coding.ends_with("chunked")) {
            State::ChunkSize
        } else {
            match length {
                Some(Ok(0)) => State::Done,
                Some(Ok(length)) => State::Body(length),
                Some(Err(_)) => return Err("a length that is no number".into()),
                None => State::UntilEnd,
            }
        };
        let keeps = if new { connection != "close" } else { connection == "keep-alive" };
        let reason = parsed.reason.unwrap_or_default().to_owned();
        self.held.drain(..used);
        if state != State::Head {
            self.head = Some(Head { status, reason, keeps: keeps && state != State::UntilEnd });
        }
        self.state = state;
        Ok(true)
    }

    /// Passes on what is there of the next `left` bytes.
    fn pass(&mut self, left: u64, body: &mut Vec<u8>, then: State, more: fn(u64) -> State) -> bool {
        let there = usize::try_from(left).unwrap_or(usize::MAX).min(self.held.len());
        body.extend(self.held.drain(..there));
        let left = left - there as u64;
        self.state = if left == 0 { then } else { more(left) };
        left == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds the whole, then byte by byte: both must come to the same.
    #[track_caller]
    fn check(text: &[u8], status: u16, body: &[u8], done: bool) {
        for size in [text.len(), 1] {
            let (mut decoder, mut got) = (Decoder::default(), Vec::new());
            for piece in text.chunks(size) {
                decoder.feed(piece, &mut got).unwrap();
            }
            assert_eq!(decoder.head().unwrap().status, status);
            assert_eq!((got.as_slice(), decoder.is_done()), (body, done));
        }
    }

    #[test]
    fn bodies_of_a_length_in_chunks_and_until_the_end_are_read() {
        check(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcd", 200, b"abc", true);
        check(b"HTTP/1.0 404 Not Found\r\ncontent-length: 0\r\n\r\n", 404, b"", true);
        let chunks =
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1;x\r\nd\r\n0\r\n\r\n";
        check(chunks, 200, b"abcd", true);
        check(&chunks[..chunks.len() - 2], 200, b"abcd", false);
        check(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 OK\r\n\r\nabc", 200, b"abc", false);
    }

    #[test]
    fn the_end_of_the_connection_ends_only_what_has_no_other_end() {
        let mut body = Vec::new();
        let mut decoder = Decoder::default();
        decoder.feed(b"HTTP/1.0 200 OK\r\n\r\nabc", &mut body).unwrap();
        assert!(decoder.end());
        let mut decoder = Decoder::default();
        decoder.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", &mut body).unwrap();
        assert!(!decoder.end());
    }

    #[test]
    fn what_is_no_answer_and_what_never_ends_is_refused() {
        let feed = |bytes: &[u8]| Decoder::default().feed(bytes, &mut Vec::new());
        assert!(feed(b"SSH-2.0-OpenSSH\r\n").is_err());
        assert!(feed(&[b"HTTP/1.1 200 OK\r\nA: ".as_slice(), &[b'x'; HEAD_MAX]].concat()).is_err());
        assert!(feed(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n").is_err());
        let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert!(feed(&[chunked.as_slice(), b"zz\r\n"].concat()).is_err());
    }
}
