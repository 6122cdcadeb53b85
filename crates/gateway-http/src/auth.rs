//! Who may ask: HTTP's basic authentication.

use engine::text::base64_decode;
use sha1::{Digest, Sha1};

/// What begins a password that is a digest.
const SHA: &str = "{SHA}";

/// The name and the password of a server.
pub struct Login {
    name: String,
    secret: Secret,
}

enum Secret {
    Plain(String),
    /// SHA-1 of the password, 40 hex digits in lower case; what is none is nobody's.
    Sha(String),
}

impl std::fmt::Debug for Login {
    /// Shows the name; a password has no place in a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Login").field(&self.name).finish()
    }
}

impl Login {
    /// Makes one of a name and a password, which may be `{SHA}` and a digest. What is no digest is
    /// nobody's, as with the original.
    pub fn new(name: &str, password: &str) -> Login {
        let secret = match password.strip_prefix(SHA) {
            None => Secret::Plain(password.to_owned()),
            Some(digits) => Secret::Sha(digits.to_ascii_lowercase()),
        };
        Login { name: name.to_owned(), secret }
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Reports whether this `Authorization` is the right one. The time that it takes tells nothing of
    /// how much of it is right.
    pub fn allows(&self, authorization: &str) -> bool {
        let Some((scheme, rest)) = authorization.split_once(' ') else { return false };
        if !scheme.eq_ignore_ascii_case("basic") {
            return false;
        }
        let decoded = base64_decode(rest.trim()).and_then(|bytes| String::from_utf8(bytes).ok());
        let Some(decoded) = decoded else { return false };
        // The first colon divides: a password may have others.
        let Some((name, password)) = decoded.split_once(':') else { return false };
        let secret = match &self.secret {
            Secret::Plain(secret) => same(secret, password),
            Secret::Sha(secret) => same(secret, &digest(password)),
        };
        same(&self.name, name) & secret
    }
}

fn digest(password: &str) -> String {
    Sha1::digest(password.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn same(known: &str, given: &str) -> bool {
    let differing = known.bytes().zip(given.bytes()).fold(0, |all, (a, b)| all | (a ^ b));
    known.len() == given.len() && differing == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::text::base64_encode;

    fn basic(text: &str) -> String {
        format!("Basic {}", base64_encode(text.as_bytes()))
    }

    #[test]
    fn only_the_right_name_and_password_are_let_in() {
        let plain = Login::new("al", "plain:colon");
        assert!(plain.allows(&basic("al:plain:colon")));
        assert!(plain.allows(&basic("al:plain:colon").replace("Basic", "bAsIc")));
        for wrong in ["al:", "al:plain", "bob:plain:colon", "al", ""] {
            assert!(!plain.allows(&basic(wrong)), "{wrong}");
        }
        for wrong in ["", "Basic", "Basic ???", "Digest x", &basic("al:plain:colon")[6..]] {
            assert!(!plain.allows(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_digest_stands_for_the_password_and_is_none_itself() {
        let text = "{SHA}a9993e364706816aba3e25717850c26c9cd0d89d"; // of abc
        let login = Login::new("al", text);
        assert!(login.allows(&basic("al:abc")));
        assert!(!login.allows(&basic(&format!("al:{text}"))));
        assert!(!Login::new("al", "{SHA}abc").allows(&basic("al:abc")));
        assert_eq!(format!("{login:?}"), "Login(\"al\")");
    }
}
