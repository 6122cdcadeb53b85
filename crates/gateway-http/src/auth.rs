//! Who may ask: HTTP's basic authentication.

use engine::text::base64_decode;
use sha1::{Digest, Sha1};
use sha2::Sha256;

/// What begins a password that is a digest.
const SHA: &str = "{SHA}";

/// What every token begins with.
const TOKEN: &str = "upt_";

/// Returns the digest of the token that an `Authorization` shows, as a bearer or in the place of a
/// password.
pub fn token(authorization: &str) -> Option<engine::token::Digest> {
    let (scheme, rest) = authorization.split_once(' ')?;
    let shown = match scheme.to_ascii_lowercase().as_str() {
        "bearer" => rest.trim().to_owned(),
        "basic" => pair(rest)?.1,
        _ => return None,
    };
    let digest: [u8; 32] = Sha256::digest(shown.as_bytes()).into();
    shown.starts_with(TOKEN).then(|| digest.into())
}

/// Returns name and password. The first colon divides: a password may have others.
fn pair(code: &str) -> Option<(String, String)> {
    let decoded = String::from_utf8(base64_decode(code.trim())?).ok()?;
    let (name, password) = decoded.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}

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
        let Some((name, password)) = pair(rest) else { return false };
        let secret = match &self.secret {
            Secret::Plain(secret) => same(secret, &password),
            Secret::Sha(secret) => same(secret, &digest(&password)),
        };
        same(&self.name, &name) & secret
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
    fn a_token_is_known_as_a_bearer_and_in_the_place_of_a_password_by_its_digest() {
        // Of `upt_abc`, as sha256sum(1) says it.
        let digits = "a17ab4d7af379a47a40a10744268e6e5fb9a04bcadf17a9fe5179e74433f4458";
        let wanted = engine::token::Digest::try_from(digits.to_owned()).unwrap();
        for shown in ["Bearer upt_abc", "bearer  upt_abc ", &basic("any:upt_abc")] {
            assert_eq!(token(shown), Some(wanted), "{shown}");
        }
        for none in ["", "Bearer", "Bearer abc", "Digest upt_abc", &basic("upt_abc"), &basic("a:b")]
        {
            assert_eq!(token(none), None, "{none}");
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
