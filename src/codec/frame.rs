//! A frame taken apart: which schema it was written with, its datum, and the envelope in front.
//!
//! Sinks that copy bodies without decoding them must call [`check`] all the same: it decides what
//! is poison, and reconciliation holds only when every sink decides alike.

use super::registry::{self, HEADER_LEN, MAGIC, WriterSchema};
use super::row::{self, BodyError};
use super::wire::{Cursor, put_bytes};
use crate::event::{TIME_MAX, TIME_MIN};
use crate::log::Record;
use crate::pipeline::{Poison, PoisonCode};
use crate::time::Micros;

pub use super::wire::WireError;

/// A record's bytes, taken apart; nothing of the datum has been read.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// What the datum was written with, and so its type.
    pub schema: &'static WriterSchema,
    /// The Avro datum.
    pub datum: &'a [u8],
}

/// Fingerprint of no schema: what stands in a log under it is a barrier.
const BARRIER_FINGERPRINT: u64 = u64::from_le_bytes(*b"PENSTOCK");

/// A barrier as it stands in [`Records`](crate::log::Records): a header without a datum.
///
/// The forwarder writes barriers into event topics to learn what had arrived before them. They
/// take offsets there, so every sink puts them aside as letters of the code `barrier`, and counts
/// add up; they stand for no event, so lists and alerts leave them out.
pub const BARRIER: [u8; HEADER_LEN] = *b"\xC3\x01PENSTOCK";

/// Fingerprint of no schema: behind it stand the name of a sink and a record for that sink alone.
const ADDRESSED_FINGERPRINT: u64 = u64::from_le_bytes(*b"PENS-FOR");
const ADDRESSED: [u8; HEADER_LEN] = *b"\xC3\x01PENS-FOR";

/// Appends `body` to `out` as a record for one sink alone.
///
/// So a record that one sink put aside and the others hold goes again: it takes an offset in the
/// log, at which that sink takes the record inside, and every other puts it aside as a letter of
/// the code `elsewhere`. Like a barrier it stands for no event there, and counts add up.
pub fn address(sink: &str, body: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&ADDRESSED);
    put_bytes(out, sink.as_bytes());
    out.extend_from_slice(body);
}

/// The sink's name and the record inside, when `body` is for one sink alone.
#[must_use]
pub fn addressed(body: &[u8]) -> Option<(&str, &[u8])> {
    let mut cursor = Cursor::new(body.strip_prefix(&ADDRESSED)?);
    let sink = cursor.text().ok()?;
    Some((sink, cursor.rest()))
}

/// The event's own record: what is inside one for a sink alone, and any other as it is.
#[must_use]
pub fn inside(body: &[u8]) -> &[u8] {
    addressed(body).map_or(body, |(_, inside)| inside)
}

/// The front of every datum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The event's UUID.
    pub id: [u8; 16],
    /// When it happened.
    pub time: Micros,
}

/// Why a record's bytes cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Not C3 01 and a fingerprint.
    #[error("the record of {len} bytes does not begin with the header of Avro single-object encoding")]
    Header {
        /// Length of the record in bytes.
        len: usize,
    },
    /// No event: the forwarder's mark in an event topic.
    #[error("a barrier of the forwarder, no event")]
    Barrier,
    /// No event to whoever reads it: see [`address`].
    #[error("a record for another sink alone")]
    Elsewhere,
    /// Nobody registered the schema.
    #[error("no schema has the fingerprint {0:016x}")]
    UnknownSchema(u64),
    /// The datum does not follow its schema, or a value is out of its bounds.
    #[error("field `{field}`: {error}")]
    Body {
        /// The field at fault.
        field: &'static str,
        /// The fault.
        error: BodyError,
    },
}

impl FrameError {
    /// The code under which the record becomes a dead letter.
    #[must_use]
    pub const fn code(&self) -> PoisonCode {
        match self {
            FrameError::Header { .. } => PoisonCode::BadFrame,
            FrameError::Barrier => PoisonCode::Barrier,
            FrameError::Elsewhere => PoisonCode::Elsewhere,
            FrameError::UnknownSchema(_) => PoisonCode::UnknownSchema,
            FrameError::Body { error: BodyError::Bounds(_), .. } => PoisonCode::Invalid,
            FrameError::Body { .. } => PoisonCode::BadBody,
        }
    }

    /// The dead letter for the record at `index` of its batch.
    #[must_use]
    pub fn poison(&self, index: usize, record: &Record<'_>) -> Poison {
        let field = match self {
            FrameError::Body { field, .. } => Some((*field).to_owned()),
            _ => None,
        };
        Poison { index, offset: record.offset, code: self.code(), field, message: self.to_string() }
    }
}

/// Takes a frame apart.
///
/// Errors: [`FrameError::Header`], [`FrameError::UnknownSchema`], [`FrameError::Barrier`],
/// [`FrameError::Elsewhere`].
pub fn split(body: &[u8]) -> Result<Frame<'_>, FrameError> {
    let no_header = FrameError::Header { len: body.len() };
    let Some((header, datum)) = body.split_first_chunk::<HEADER_LEN>() else { return Err(no_header) };
    let [m0, m1, crc @ ..] = *header;
    if [m0, m1] != MAGIC {
        return Err(no_header);
    }
    let fingerprint = u64::from_le_bytes(crc);
    let schema = registry::by_fingerprint(fingerprint).ok_or(match fingerprint {
        BARRIER_FINGERPRINT => FrameError::Barrier,
        ADDRESSED_FINGERPRINT => FrameError::Elsewhere,
        unknown => FrameError::UnknownSchema(unknown),
    })?;
    Ok(Frame { schema, datum })
}

/// Reads id and time from the front of a datum. Errors: [`FrameError::Body`].
pub fn envelope(datum: &[u8]) -> Result<Envelope, FrameError> {
    let mut cursor = Cursor::new(datum);
    let id = *cursor.fixed().map_err(|e| FrameError::Body { field: "id", error: e.into() })?;
    let bad_time = |error| FrameError::Body { field: "time", error };
    let time = Micros(cursor.long().map_err(|e| bad_time(e.into()))?);
    if !(TIME_MIN..=TIME_MAX).contains(&time) {
        return Err(bad_time(BodyError::Bounds(time.0)));
    }
    Ok(Envelope { id, time })
}

/// Length of the datum that `bytes` begin with, for where datums lie one behind the other.
///
/// Errors: [`FrameError::Body`].
pub fn datum_length(schema: &WriterSchema, bytes: &[u8]) -> Result<usize, FrameError> {
    row::length(schema, bytes).map_err(|(step, error)| FrameError::Body { field: schema.field_name(step), error })
}

/// Puts the header of a schema and a datum written with it into `body`, which is emptied first.
pub fn join(schema: &WriterSchema, datum: &[u8], body: &mut Vec<u8>) {
    body.clear();
    body.extend_from_slice(&schema.header);
    body.extend_from_slice(datum);
}

/// Takes a frame apart and checks all of its datum, as every sink does. Errors: [`FrameError`].
pub fn check(body: &[u8]) -> Result<(Frame<'_>, Envelope), FrameError> {
    let frame = split(body)?;
    row::verify(frame.schema, frame.datum).map_err(|fault| body_error(&frame, fault))?;
    Ok((frame, envelope(frame.datum)?))
}

/// Reads the datum of a frame into a row. Errors: [`FrameError::Body`].
pub(crate) fn read<'a>(frame: &Frame<'a>, row: &mut row::Row<'a>) -> Result<(), FrameError> {
    row::read(frame.schema, frame.datum, row).map_err(|fault| body_error(frame, fault))
}

fn body_error(frame: &Frame<'_>, (step, error): (usize, BodyError)) -> FrameError {
    FrameError::Body { field: frame.schema.field_name(step), error }
}

/// The dead letter for a hole in the log.
#[must_use]
pub fn hole(index: usize, record: &Record<'_>) -> Poison {
    let message = crate::log::Corrupt.to_string();
    Poison { index, offset: record.offset, code: PoisonCode::Corrupt, field: None, message }
}
