//! Events: one file a type, from JSON to a valid, Avro-encoded record.
//!
//! [`admit`] is the whole way: it parses one JSON object, checks every value by the rule of its
//! field and appends the framed record ([`crate::codec::frame`]) to the caller's buffer, without
//! an allocation in the usual case. A new type is one file here that declares a [`TypeInfo`], one
//! schema in `schemas/avro`, and one line in [`TYPES`].
//!
//! What the rules leave open, decided here:
//! - null and empty text are the same as absent, so a log line that writes `"country":""` passes;
//! - a country in lower case is taken and kept in upper case; an address is kept as written;
//! - a UUID may be written without hyphens; the nil UUID is refused;
//! - times lie between [`TIME_MIN`] and [`TIME_MAX`], whatever `max_future` says;
//! - amounts lie between 0 and [`MICROS_MAX`], so that their nanos fit 64 bits;
//! - keys of the payload that the schema does not know are kept in `extra`, at most
//!   [`EXTRA_MAX`] of [`EXTRA_BYTES_MAX`] bytes each, numbers as their JSON text.

mod check;
pub mod click;
pub mod common;
pub mod conversion;
mod envelope;
mod ids;
pub mod impression;
pub mod kind;
#[cfg(test)]
pub(crate) mod page_view;
mod parse;
mod payload;
mod plain;
mod raw;
mod rejection;
mod rfc3339;
mod run;
#[cfg(test)]
mod tests;
mod text;
pub mod visit;
mod written;

pub(crate) use envelope::Head;
pub use ids::IdSource;
pub use kind::{Field, FieldKind, TypeInfo};
pub use payload::{EXTRA_BYTES_MAX, EXTRA_MAX};
pub(crate) use payload::{Payload, Value};
pub use raw::Raw;
pub use rejection::{Code, Rejection};
pub use run::plain_run;
pub(crate) use text::{PIECE, Text};

use crate::codec::encode;
use crate::time::Micros;
use bumpalo::Bump;
use envelope::Envelope;
use parse::Source;
use std::time::Duration;

/// Every event type. To add one, declare it in a file of its own and name it here;
/// `schemas/avro/README.md` has the steps.
pub static TYPES: &[&TypeInfo] = &[
    &impression::TYPE,
    &visit::TYPE,
    &click::TYPE,
    &conversion::TYPE,
    #[cfg(test)]
    &page_view::TYPE,
];

/// Earliest event time, 1970-01-01T00:00:00Z.
pub const TIME_MIN: Micros = Micros(0);
/// Latest event time, 2299-12-31T23:59:59.999999Z: the end of ClickHouse's DateTime64.
pub const TIME_MAX: Micros = Micros(10_413_791_999_999_999);
/// Largest amount in micros: its nanos still fit 64 bits.
pub const MICROS_MAX: i64 = i64::MAX / 1_000;

/// The event type of this name.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static TypeInfo> {
    TYPES.iter().copied().find(|t| t.name == name)
}

/// What an event gets when it does not say, and the bounds that come from the settings.
#[derive(Clone, Copy, Debug)]
pub struct Defaults<'a> {
    /// When the request came in; also the time of events without one.
    pub received: Micros,
    /// The configured server name, for events without one.
    pub server: &'a str,
    /// Events further ahead of `received` are rejected (`intake.max_future`).
    pub max_future: Duration,
    /// Longer events are rejected (`intake.max_event_bytes`).
    pub max_event_bytes: usize,
}

/// What the connection tells about the user, for payloads that do not say.
#[derive(Clone, Copy, Debug, Default)]
pub struct PeerHints<'a> {
    /// The peer's address in text form.
    pub ip: Option<&'a str>,
    /// The request's User-Agent header; cut to 1024 bytes.
    pub user_agent: Option<&'a str>,
}

/// Takes one event: `raw` is one JSON object with envelope and payload. Appends its frame to
/// `out`, which is untouched when the event is rejected.
///
/// Errors: the first [`Rejection`] that was found.
#[inline]
pub fn admit<'a>(
    raw: impl Into<Raw<'a>>,
    d: &Defaults<'_>,
    ids: &mut IdSource,
    out: &mut Vec<u8>,
) -> Result<&'static TypeInfo, Rejection> {
    admit_raw(raw.into(), d, ids, out)
}

fn admit_raw(
    raw: Raw<'_>,
    d: &Defaults<'_>,
    ids: &mut IdSource,
    out: &mut Vec<u8>,
) -> Result<&'static TypeInfo, Rejection> {
    let (text, arena) = (raw.text(d)?, Bump::new());
    let mut envelope = Envelope::default();
    if plain::event(text, &mut envelope).is_none() {
        envelope = Envelope::default();
        parse::event(Source { whole: text, arena: &arena }, &mut envelope)?;
    }
    let kind = envelope.complete()?;
    envelope.payload.complete()?;
    encode::frame(kind.writer(), &envelope.head(d, ids)?, &envelope.payload, out);
    Ok(kind)
}

/// Takes a payload that came alone on the route of its type; id and time are made, and `peer`
/// fills `ip` and `user_agent` when absent. Otherwise like [`admit`].
///
/// Errors: the first [`Rejection`] that was found; fields are named as in [`admit`].
pub fn admit_payload<'a>(
    kind: &'static TypeInfo,
    raw: impl Into<Raw<'a>>,
    peer: &PeerHints<'_>,
    d: &Defaults<'_>,
    ids: &mut IdSource,
    out: &mut Vec<u8>,
) -> Result<(), Rejection> {
    let (text, arena) = (raw.into().text(d)?, Bump::new());
    let mut payload = Payload::default();
    if plain::payload(kind, text, &mut payload).is_none() {
        payload = Payload::default();
        parse::payload(kind, Source { whole: text, arena: &arena }, text, &mut payload)?;
    }
    payload.complete()?;
    payload.fill(peer.ip, peer.user_agent);
    let head = Head { id: ids.make(d.received), time: d.received, received: d.received, server: d.server };
    encode::frame(kind.writer(), &head, &payload, out);
    Ok(())
}
