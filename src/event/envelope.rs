//! The envelope of an event: `type`, `id`, `time`, `server` and `payload`.

use super::check::{self, Scalar};
use super::common::TEXT_MAX;
use super::kind::TypeInfo;
use super::payload::Payload;
use super::rejection::{Code, Rejection};
use super::written::WrittenKey;
use super::{Defaults, TIME_MAX, TIME_MIN, TYPES, by_name, ids::IdSource, parse, rfc3339};
use crate::time::Micros;
use serde_json::value::RawValue;

/// Keys of the envelope; their place is their bit in [`Envelope::seen`].
const KEYS: [&str; 5] = ["type", "id", "time", "server", "payload"];
/// The same as they are written.
pub(super) const WRITTEN: [WrittenKey; 5] = [
    WrittenKey::of(KEYS[0]),
    WrittenKey::of(KEYS[1]),
    WrittenKey::of(KEYS[2]),
    WrittenKey::of(KEYS[3]),
    WrittenKey::of(KEYS[4]),
];

/// An event as it is being parsed.
#[derive(Default)]
pub(super) struct Envelope<'a> {
    seen: u8,
    pub(super) kind: Option<&'static TypeInfo>,
    id: Option<[u8; 16]>,
    time: Option<Micros>,
    server: Option<&'a str>,
    pub(super) payload: Payload<'a>,
    pub(super) has_payload: bool,
    /// A payload that came before the type.
    pub(super) late_payload: Option<&'a RawValue>,
}

/// What every record begins with, complete.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head<'a> {
    pub(crate) id: [u8; 16],
    pub(crate) time: Micros,
    pub(crate) received: Micros,
    pub(crate) server: &'a str,
}

impl<'a> Envelope<'a> {
    /// The key as one of ours. Errors: `unknown_field`, `duplicate_key`.
    #[inline]
    pub(super) fn key(&mut self, key: &str) -> Result<&'static str, Rejection> {
        let index = KEYS.iter().position(|k| *k == key).ok_or_else(|| parse::unknown_key(key))?;
        self.key_at(index)
    }

    /// The same by its place in [`WRITTEN`]. Errors: `duplicate_key`.
    #[inline]
    pub(super) fn key_at(&mut self, index: usize) -> Result<&'static str, Rejection> {
        if self.seen & (1 << index) != 0 {
            return Err(Rejection::of(Code::DuplicateKey, KEYS[index], "comes twice"));
        }
        self.seen |= 1 << index;
        Ok(KEYS[index])
    }

    /// Takes the value of any key but `payload`; null is the same as absent.
    #[inline]
    pub(super) fn set(&mut self, key: &'static str, scalar: Scalar<'a>) -> Result<(), Rejection> {
        if key == "time" {
            self.time = time(scalar)?;
            return Ok(());
        }
        let text = check::text(scalar, TEXT_MAX).map_err(|(code, rule)| Rejection::of(code, key, &rule))?;
        let Some(text) = text else { return Ok(()) };
        match key {
            "type" => self.kind = Some(by_name(text.as_str()).ok_or_else(unknown_type)?),
            "id" => self.id = Some(id(text.as_str())?),
            _ => self.server = Some(text.as_str()),
        }
        Ok(())
    }

    /// The type, when everything required is there. Errors: `missing_field`.
    pub(super) fn complete(&self) -> Result<&'static TypeInfo, Rejection> {
        let kind = self.kind.ok_or_else(|| Rejection::of(Code::MissingField, "type", "is required"))?;
        if !self.has_payload {
            return Err(Rejection::of(Code::MissingField, "payload", "is required"));
        }
        Ok(kind)
    }

    /// Fills what is absent. Errors: `time_in_future`, `out_of_range`.
    #[inline(always)]
    pub(super) fn head<'h>(&'h self, d: &Defaults<'h>, ids: &mut IdSource) -> Result<Head<'h>, Rejection> {
        let time = self.time.unwrap_or(d.received);
        if time > d.received.plus(d.max_future) {
            let rule = format!("is {time}, too far ahead of the sidecar's clock ({})", d.received);
            return Err(Rejection::of(Code::TimeInFuture, "time", &rule));
        }
        let id = self.id.unwrap_or_else(|| ids.make(d.received));
        Ok(Head { id, time, received: d.received, server: self.server.unwrap_or(d.server) })
    }
}

fn unknown_type() -> Rejection {
    let names: Vec<&str> = TYPES.iter().map(|t| t.name).collect();
    Rejection::of(Code::UnknownType, "type", &format!("must be one of {}", names.join(", ")))
}

/// A UUID with or without hyphens. The nil UUID is what unset ids look like; as all of them are
/// the same id, they would be charged once together.
fn id(text: &str) -> Result<[u8; 16], Rejection> {
    match uuid::Uuid::try_parse(text) {
        Ok(id) if !id.is_nil() && matches!(text.len(), 32 | 36) => Ok(id.into_bytes()),
        Ok(id) if id.is_nil() => Err(Rejection::of(Code::InvalidValue, "id", "must not be the nil UUID")),
        _ => Err(Rejection::of(Code::InvalidValue, "id", "must be a UUID")),
    }
}

fn time(scalar: Scalar<'_>) -> Result<Option<Micros>, Rejection> {
    let fail = |code, rule: &str| Err(Rejection::of(code, "time", rule));
    let time = match scalar {
        Scalar::Null => return Ok(None),
        Scalar::Int(ms) => Some(Micros::from_millis(ms)),
        Scalar::Huge => None,
        Scalar::Text(text) => match rfc3339::parse(text.as_str()) {
            Some(time) => Some(time),
            None => return fail(Code::InvalidValue, "must be an RFC 3339 time such as 2017-11-06T16:00:00Z"),
        },
        _ => return fail(Code::InvalidType, "must be an RFC 3339 string or integer milliseconds since the epoch"),
    };
    match time {
        Some(time) if (TIME_MIN..=TIME_MAX).contains(&time) => Ok(Some(time)),
        _ => fail(Code::OutOfRange, &format!("must be from {TIME_MIN} to {TIME_MAX}")),
    }
}
