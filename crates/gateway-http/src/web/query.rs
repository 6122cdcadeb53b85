//! What a form or an address says: `name=value&name=value`, escaped.

use hyper::Uri;

/// How many names one may have.
const NAMES_MAX: usize = 1000;

/// The pairs of a query, in the order in which they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads that of an address.
    pub fn of(uri: &Uri) -> Query {
        Query::read(uri.query().unwrap_or_default())
    }

    /// Reads a text; what is not escaped as it should be stands for itself.
    pub fn read(text: &str) -> Query {
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).take(NAMES_MAX);
        let pairs = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (unescaped(name), unescaped(value))
        });
        Query(pairs.collect())
    }

    /// Returns the value of a name: the first, where there are several.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.pairs().find(|pair| pair.0 == name).map(|pair| pair.1)
    }

    /// Returns all pairs.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// Returns a text as it may stand in a query.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b':' | b'/' => {
                out.push(char::from(byte));
            }
            _ => out += &format!("%{byte:02X}"),
        }
    }
    out
}

fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let code = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (first, code) {
            (b'%', Some(code)) => {
                bytes.push(code);
                rest = after.get(2..).unwrap_or_default();
                continue;
            }
            (b'+', _) => bytes.push(b' '),
            (other, _) => bytes.push(*other),
        }
        rest = after;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_escaped_is_read_again_and_anything_else_stands_for_itself() {
        for text in ["", "a b", "group:web", "ä&=%+?#", "<script>"] {
            let query = Query::read(&format!("x={}&y", escaped(text)));
            assert_eq!(
                (query.value("x"), query.value("y"), query.value("z")),
                (Some(text), Some(""), None)
            );
        }
        let query = Query::read("a+b=%zz%4&&=x&a+b=2");
        assert_eq!(query.value("a b"), Some("%zz%4"));
        assert_eq!(query.pairs().count(), 3);
        assert_eq!(Query::read("a=%ff").value("a"), Some("\u{fffd}"));
    }
}
