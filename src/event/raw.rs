//! The bytes of an event, before anything is known of them.

use super::Defaults;
use super::rejection::{Code, Rejection};

/// An event as it came.
#[derive(Clone, Copy, Debug)]
pub enum Raw<'a> {
    /// Whatever bytes they are.
    Bytes(&'a [u8]),
    /// Known to be UTF-8, as when all of a body was looked at at once.
    Text(&'a str),
}

impl<'a> Raw<'a> {
    /// Errors: `event_too_large`, `invalid_utf8`.
    pub(super) fn text(self, d: &Defaults<'_>) -> Result<&'a str, Rejection> {
        let len = match self {
            Raw::Bytes(bytes) => bytes.len(),
            Raw::Text(text) => text.len(),
        };
        if len > d.max_event_bytes {
            let message = format!("the event has {len} bytes, at most {} are taken", d.max_event_bytes);
            return Err(Rejection::whole(Code::EventTooLarge, message));
        }
        match self {
            Raw::Text(text) => Ok(text),
            Raw::Bytes(bytes) => simdutf8::basic::from_utf8(bytes).map_err(|_| {
                let valid = std::str::from_utf8(bytes).map_or_else(|e| e.valid_up_to(), str::len);
                Rejection::whole(Code::InvalidUtf8, format!("the event is not UTF-8 from byte {valid} on"))
            }),
        }
    }
}

impl<'a, B: AsRef<[u8]> + ?Sized> From<&'a B> for Raw<'a> {
    fn from(bytes: &'a B) -> Self {
        Raw::Bytes(bytes.as_ref())
    }
}
