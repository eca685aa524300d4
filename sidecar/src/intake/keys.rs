//! Write keys: who a request counts for, and what an `Idempotency-Key` is scoped to.

use super::rate::Bucket;
use crate::http::problem::Problem;
use penstock::settings::IntakeSettings;
use std::collections::HashMap;
use xxhash_rust::xxh3::Xxh3;

/// Longest `Idempotency-Key` in bytes.
pub const MAX_IDEMPOTENCY_KEY_BYTES: usize = 255;

/// A request's write key, once it is known to be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteKey<'a> {
    /// The header's value; `None` when there was none.
    pub name: Option<&'a [u8]>,
    /// The bucket its events are counted in.
    pub bucket: Bucket,
}

/// The configured write keys.
#[derive(Debug)]
pub struct Keys {
    configured: HashMap<Box<[u8]>, Bucket>,
    buckets: u32,
}

impl Keys {
    /// From the settings; no keys configured lets everybody in.
    #[must_use]
    pub fn new(settings: &IntakeSettings) -> Self {
        let configured = settings.keys.iter().zip(0..).map(|(key, i)| (Box::from(key.as_bytes()), i)).collect();
        Self { configured, buckets: u32::try_from(settings.rate.max_keys).unwrap_or(u32::MAX).max(1) }
    }

    /// Whether a request may write under the key of its `Penstock-Key` header.
    ///
    /// Errors: `unknown_key` (401) when keys are configured and this is none of them,
    /// `invalid_key` (400) when it cannot be one.
    pub fn check<'a>(&self, name: Option<&'a [u8]>) -> Result<WriteKey<'a>, Problem> {
        if !self.configured.is_empty() {
            let bucket = name.and_then(|name| self.configured.get(name));
            let bucket = bucket.ok_or_else(|| Problem::unauthorized("Penstock-Key is missing or not known here"))?;
            return Ok(WriteKey { name, bucket: *bucket });
        }
        let Some(key) = name else { return Ok(WriteKey { name, bucket: 0 }) };
        if key.is_empty() || key.len() > IntakeSettings::MAX_KEY_BYTES || !key.iter().all(u8::is_ascii_graphic) {
            return Err(Problem::bad_request("invalid_key", "Penstock-Key takes 1 to 128 visible ASCII characters"));
        }
        let hash = xxhash_rust::xxh3::xxh3_64(key);
        let bucket = u32::try_from(hash % u64::from(self.buckets)).unwrap_or(0);
        Ok(WriteKey { name, bucket })
    }
}

/// Checks an `Idempotency-Key`'s form. Errors: `invalid_idempotency_key` (400).
pub fn check_idempotency_key(key: &[u8]) -> Result<(), Problem> {
    if (1..=MAX_IDEMPOTENCY_KEY_BYTES).contains(&key.len()) && key.iter().all(|b| matches!(b, 0x20..=0x7e)) {
        return Ok(());
    }
    let detail = "Idempotency-Key takes 1 to 255 printable ASCII characters";
    Err(Problem::bad_request("invalid_idempotency_key", detail))
}

/// What the spool remembers a request by: its idempotency key within its write key.
#[must_use]
pub fn scoped(write_key: Option<&[u8]>, idempotency_key: &[u8]) -> [u8; 16] {
    hash(&[&[u8::from(write_key.is_some())], write_key.unwrap_or_default(), idempotency_key])
}

/// What the spool remembers a record by that came from inside the process: no request has it.
#[must_use]
pub fn inserted(key: &[u8]) -> [u8; 16] {
    hash(&[&[2], key])
}

/// What tells one body from another: the route and the decompressed bytes, so that a repeat may
/// be compressed another way.
#[must_use]
pub fn body_hash(route: &str, body: &[u8]) -> [u8; 16] {
    hash(&[route.as_bytes(), body])
}

fn hash(parts: &[&[u8]]) -> [u8; 16] {
    let mut state = Xxh3::new();
    for part in parts {
        // The length in front keeps ("ab", "c") and ("a", "bc") apart.
        state.update(&part.len().to_le_bytes());
        state.update(part);
    }
    state.digest128().to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configured_key_is_needed_and_has_its_own_bucket() {
        let settings = IntakeSettings { keys: vec!["a".into(), "b".into()], ..IntakeSettings::default() };
        let keys = Keys::new(&settings);
        assert_eq!(keys.check(Some(b"b")).map(|k| k.bucket).ok(), Some(1));
        for unknown in [None, Some(&b"c"[..]), Some(b"")] {
            assert_eq!(keys.check(unknown).map_err(|p| p.code()), Err("unknown_key"));
        }
    }

    #[test]
    fn without_configured_keys_made_up_ones_stay_within_the_buckets() {
        let mut settings = IntakeSettings::default();
        settings.rate.max_keys = 8;
        let keys = Keys::new(&settings);
        for i in 0..1_000 {
            let name = format!("key-{i}");
            assert!(keys.check(Some(name.as_bytes())).is_ok_and(|k| k.bucket < 8));
        }
        assert_eq!(keys.check(Some(&[b'x'; 129])).map_err(|p| p.code()), Err("invalid_key"));
    }

    #[test]
    fn a_key_is_scoped_to_its_write_key() {
        assert_ne!(scoped(Some(b"a"), b"1"), scoped(Some(b"b"), b"1"));
        assert_ne!(scoped(None, b"1"), scoped(Some(b""), b"1"));
        assert_ne!(scoped(Some(b"ab"), b"c"), scoped(Some(b"a"), b"bc"));
        assert_eq!(scoped(None, b"1"), scoped(None, b"1"));
        assert_ne!(inserted(b"1"), scoped(None, b"1"));
        assert_ne!(inserted(b"1"), scoped(Some(b""), b"1"));
    }
}
