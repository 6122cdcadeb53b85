//! Bytes that are text most of the time: names, arguments, environment, paths, log lines.
//!
//! Linux promises bytes, people write UTF-8. Inside Upright everything is bytes; where people may
//! read it a `Text` is a string where it is UTF-8 and `{"b64": "..."}` where it is not.

use alloc::{borrow::Cow, string::String, sync::Arc, vec::Vec};
use core::fmt;
use serde::{de, Deserialize, Deserializer, Serialize, Serializer};

/// An immutable byte string, cheap to clone. An empty one takes no memory and is always `None`.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Text(Option<Arc<[u8]>>);

impl Text {
    /// Returns the bytes.
    pub fn bytes(&self) -> &[u8] {
        self.0.as_deref().unwrap_or(&[])
    }

    /// Returns the text for a person: invalid UTF-8 becomes U+FFFD.
    pub fn lossy(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.bytes())
    }

    /// Returns the text where it is UTF-8.
    pub fn utf8(&self) -> Option<&str> {
        core::str::from_utf8(self.bytes()).ok()
    }

    /// Reports whether there is no byte.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Returns the number of bytes.
    pub fn len(&self) -> usize {
        self.bytes().len()
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Text::from(text.as_bytes())
    }
}

impl From<&[u8]> for Text {
    fn from(bytes: &[u8]) -> Self {
        Text((!bytes.is_empty()).then(|| Arc::from(bytes)))
    }
}

impl<const N: usize> From<&[u8; N]> for Text {
    fn from(bytes: &[u8; N]) -> Self {
        Text::from(&bytes[..])
    }
}

impl From<Vec<u8>> for Text {
    fn from(bytes: Vec<u8>) -> Self {
        Text((!bytes.is_empty()).then(|| Arc::from(bytes)))
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Text::from(text.into_bytes())
    }
}

impl core::hash::Hash for Text {
    /// As the bytes, which [`core::borrow::Borrow`] promises.
    fn hash<H: core::hash::Hasher>(&self, hasher: &mut H) {
        self.bytes().hash(hasher);
    }
}

impl core::borrow::Borrow<[u8]> for Text {
    fn borrow(&self) -> &[u8] {
        self.bytes()
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.bytes() == other.as_bytes()
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.bytes() == other.as_bytes()
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.lossy())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.lossy())
    }
}

#[derive(Serialize, Deserialize)]
struct Wrapped {
    b64: String,
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() {
            return serializer.serialize_bytes(self.bytes());
        }
        match self.utf8() {
            Some(text) => serializer.serialize_str(text),
            None => Wrapped { b64: base64_encode(self.bytes()) }.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Text;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, or {\"b64\": \"...\"} where it is not UTF-8")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text, E> {
                Ok(Text::from(text))
            }
            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Text, E> {
                Ok(Text::from(bytes))
            }
            fn visit_map<M: de::MapAccess<'de>>(self, map: M) -> Result<Text, M::Error> {
                let wrapped = Wrapped::deserialize(de::value::MapAccessDeserializer::new(map))?;
                base64_decode(&wrapped.b64)
                    .map(Text::from)
                    .ok_or_else(|| de::Error::custom("b64: not base64 (RFC 4648, padded)"))
            }
        }
        match deserializer.is_human_readable() {
            true => deserializer.deserialize_any(Visitor),
            false => deserializer.deserialize_bytes(Visitor),
        }
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Returns the RFC 4648 encoding, padded.
pub fn base64_encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word =
            chunk.iter().fold(0u32, |w, b| w << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            if place <= chunk.len() {
                out.push(char::from(ALPHABET[(word >> (18 - 6 * place) & 63) as usize]));
            } else {
                out.push('=');
            }
        }
    }
    out
}

/// Returns the bytes of padded RFC 4648 text, or nothing where it is malformed.
pub fn base64_decode(text: &str) -> Option<Vec<u8>> {
    let text = text.as_bytes();
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    for (index, chunk) in text.chunks(4).enumerate() {
        let last = (index + 1) * 4 == text.len();
        let digits = chunk.iter().take_while(|b| **b != b'=').count();
        if digits < 2 || (digits < 4 && !last) || chunk[digits..].iter().any(|b| *b != b'=') {
            return None;
        }
        let mut word = 0u32;
        for byte in &chunk[..digits] {
            word = word << 6 | ALPHABET.iter().position(|a| a == byte)? as u32;
        }
        word <<= 6 * (4 - digits);
        out.extend_from_slice(&word.to_be_bytes()[1..digits]);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_is_not_utf8_survives_the_wire() {
        for bytes in [&b"plain"[..], b"\xff", b"a\xffb", b"\xff\xfe\xfd\xfc", b""] {
            let text = Text::from(bytes);
            let wire = serde_json::to_string(&text).unwrap();
            assert_eq!(serde_json::from_str::<Text>(&wire).unwrap(), text, "{wire}");
        }
        assert_eq!(serde_json::to_string(&Text::from(b"\xff")).unwrap(), r#"{"b64":"/w=="}"#);
    }

    #[test]
    fn malformed_base64_is_refused() {
        for text in ["a", "====", "a===", "ab=c", "ab==ab==", "a b="] {
            assert_eq!(base64_decode(text), None, "{text}");
        }
    }
}
