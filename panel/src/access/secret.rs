//! Secrets that this program makes: sessions, tokens, one-time passwords, and what follows from them.
//!
//! Each has at least 100 bits from the operating system, so a plain SHA-256 is enough to keep: there
//! is nothing to guess. Passwords that people choose are hashed in [`super::password`] instead.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use penstock::accounts::SecretHash;
use rand::TryRng;
use rand::rngs::SysRng;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The operating system gives no random numbers.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gives no random numbers: {0}")]
pub struct NoRandom(String);

/// What tells a token from other secrets, for people and for scanners of repositories.
const TOKEN: &str = "pst";
/// No two of them are read as each other.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// Letters of a one-time password: 5 bits each.
const ONE_TIME: usize = 20;

/// 256 random bits as text: a session's secret.
pub fn random() -> Result<String, NoRandom> {
    Ok(URL_SAFE_NO_PAD.encode(bytes::<32>()?))
}

fn bytes<const N: usize>() -> Result<[u8; N], NoRandom> {
    let mut bytes = [0; N];
    SysRng.try_fill_bytes(&mut bytes).map_err(|e| NoRandom(e.to_string()))?;
    Ok(bytes)
}

/// A password for one login.
pub fn one_time_password() -> Result<String, NoRandom> {
    let random = bytes::<ONE_TIME>()?;
    Ok(random.iter().map(|b| char::from(LETTERS[usize::from(b % 32)])).collect())
}

/// What is kept of a secret.
#[must_use]
pub fn hash(secret: &str) -> SecretHash {
    Sha256::digest(secret.as_bytes()).into()
}

/// Compares without telling by the time it takes where two differ.
#[must_use]
pub fn same(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

/// The CSRF token of a session: follows from the secret, and the secret does not follow from it.
#[must_use]
pub fn csrf(session: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(b"penstock csrf\0");
    hash.update(session.as_bytes());
    URL_SAFE_NO_PAD.encode(hash.finalize())
}

/// A new token.
pub struct Made {
    /// What names it.
    pub id: String,
    /// What its owner gets to see, once.
    pub text: String,
    /// What is kept.
    pub hash: SecretHash,
}

/// Makes a token: `pst_{id}_{secret}`.
pub fn token() -> Result<Made, NoRandom> {
    let id = bytes::<8>()?.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let secret = random()?;
    Ok(Made { hash: hash(&secret), text: format!("{TOKEN}_{id}_{secret}"), id })
}

/// The id of a token and the hash of its secret; `None` when it is none.
#[must_use]
pub fn parse_token(text: &str) -> Option<(&str, SecretHash)> {
    let (id, secret) = text.strip_prefix(TOKEN)?.strip_prefix('_')?.split_once('_')?;
    let plain = id.len() == 16 && id.bytes().all(|b| b.is_ascii_hexdigit());
    (plain && (32..=64).contains(&secret.len())).then(|| (id, hash(secret)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_found_by_its_id_and_no_other_text_is_one() {
        for _ in 0..200 {
            let made = token().unwrap();
            assert_eq!(parse_token(&made.text), Some((made.id.as_str(), made.hash)));
            assert!(!made.text.contains(['+', '/', '=', ' ']));
        }
        for text in [
            "",
            "pst",
            "pst_",
            "pst_0123456789abcdef",
            "pst_0123456789abcdef_",
            "pst_x_y",
            "xyz_0123456789abcdef_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        ] {
            assert_eq!(parse_token(text), None, "{text}");
        }
    }

    #[test]
    fn secrets_do_not_repeat_and_do_not_show_in_what_follows_from_them() {
        let (a, b) = (random().unwrap(), random().unwrap());
        assert!(a != b && a.len() == 43);
        assert!(csrf(&a) != csrf(&b) && csrf(&a) != a && csrf(&a) == csrf(&a));
        assert_ne!(one_time_password().unwrap(), one_time_password().unwrap());
        // SHA-256 of "abc", FIPS 180-2 B.1.
        assert_eq!(hash("abc")[..4], [0xba, 0x78, 0x16, 0xbf]);
        assert!(same(b"x", b"x") && !same(b"x", b"y") && !same(b"x", b"xx"));
    }
}
