//! A dead letter as a record: Avro single-object encoding of `schemas/avro/dead.avsc`.

use super::index::Key;
use apache_avro::Schema;
use apache_avro::rabin::Rabin;
use penstock::codec::wire::{Cursor, WireError, put_bytes, put_long};
use penstock::codec::{frame, json};
use penstock::log::LogId;
use penstock::pipeline::Letter;
use penstock::time::Micros;
use std::sync::LazyLock;

/// The schema of a letter.
pub const SCHEMA: &str = include_str!("../../../schemas/avro/dead.avsc");
/// Longest body that is kept, in bytes; an event's JSON is no longer (`intake.max_event_bytes`).
pub const BODY_MAX: usize = 1 << 20;
/// Longest text of a reason, in bytes: a message may quote what a stranger sent.
const TEXT_MAX: usize = 4 << 10;

#[expect(clippy::expect_used, reason = "the schema is part of the binary and a test reads it")]
static HEADER: LazyLock<[u8; 10]> = LazyLock::new(|| {
    let schema = Schema::parse_str(SCHEMA).expect("the schema in the source tree parses");
    let mut header = [0xC3, 0x01, 0, 0, 0, 0, 0, 0, 0, 0];
    header[2..].copy_from_slice(&schema.fingerprint::<Rabin>().bytes);
    header
});

/// A record that a sink could not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Whose it is, and where the record stands.
    pub key: Key,
    /// When it was put away.
    pub at: Micros,
    /// Why; a stable name.
    pub code: String,
    /// The field at fault, when one is.
    pub field: Option<String>,
    /// One sentence for a person.
    pub message: String,
    /// Length of the record in the log, in bytes.
    pub body_bytes: u64,
    /// The record; shorter than `body_bytes` when it was too long to keep.
    pub body: Vec<u8>,
}

/// Why bytes are no letter.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Written with another schema.
    #[error("it was not written with the schema of dead letters")]
    Schema,
    /// A value that does not follow the schema.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// A number out of its bounds, or bytes behind the end.
    #[error("its {0} is out of bounds")]
    Bounds(&'static str),
}

/// Appends a letter's record to `out`, with at most `body_max` bytes of its body.
pub(super) fn encode(letter: &Letter<'_>, at: Micros, body_max: usize, out: &mut Vec<u8>) {
    let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    out.extend_from_slice(&*HEADER);
    put_long(out, at.0);
    put_bytes(out, letter.sink.as_bytes());
    put_bytes(out, letter.log.name.as_bytes());
    put_long(out, i64::from(letter.log.partition).min(i64::from(i32::MAX)));
    put_long(out, number(letter.offset));
    put_bytes(out, letter.code.as_bytes());
    match letter.field {
        None => put_long(out, 0),
        Some(field) => {
            put_long(out, 1);
            put_bytes(out, cut(field).as_bytes());
        }
    }
    put_bytes(out, cut(letter.message).as_bytes());
    put_long(out, number(letter.body.len() as u64));
    put_bytes(out, &letter.body[..letter.body.len().min(body_max)]);
}

fn cut(text: &str) -> &str {
    let mut end = text.len().min(TEXT_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Type of the event in a record, when its frame says so.
pub(super) fn event_type(body: &[u8]) -> Option<&'static str> {
    frame::split(frame::inside(body)).ok().map(|frame| frame.schema.kind.name)
}

impl DeadLetter {
    /// Reads a record. Errors: [`RecordError`].
    pub fn decode(bytes: &[u8]) -> Result<DeadLetter, RecordError> {
        let datum = bytes.strip_prefix(&HEADER[..]).ok_or(RecordError::Schema)?;
        let mut cursor = Cursor::new(datum);
        let at = Micros(cursor.long()?);
        let sink = cursor.text()?.to_owned();
        let name = cursor.text()?.into();
        let partition = u32::try_from(cursor.long()?).map_err(|_| RecordError::Bounds("partition"))?;
        let offset = u64::try_from(cursor.long()?).map_err(|_| RecordError::Bounds("offset"))?;
        let code = cursor.text()?.to_owned();
        let field = match cursor.long()? {
            0 => None,
            1 => Some(cursor.text()?.to_owned()),
            _ => return Err(WireError::Branch.into()),
        };
        let message = cursor.text()?.to_owned();
        let body_bytes = u64::try_from(cursor.long()?).map_err(|_| RecordError::Bounds("body_bytes"))?;
        let body = cursor.bytes()?.to_vec();
        if !cursor.rest().is_empty() {
            return Err(RecordError::Bounds("length"));
        }
        let key = Key { sink: sink.into(), log: LogId { name, partition }, offset };
        Ok(DeadLetter { key, at, code, field, message, body_bytes, body })
    }

    /// Type of the event, when the record's frame still says so.
    #[must_use]
    pub fn event_type(&self) -> Option<&'static str> {
        event_type(&self.body)
    }

    /// The event in the form it is posted in, when it decodes (the rule it breaks may be a sink's).
    #[must_use]
    pub fn json(&self) -> Option<serde_json::Value> {
        json::to_json(frame::inside(&self.body)).ok()
    }

    /// The first `max` bytes of the record in hexadecimal.
    #[must_use]
    pub fn hex(&self, max: usize) -> String {
        use std::fmt::Write as _;
        let mut hex = String::with_capacity(2 * self.body.len().min(max));
        for byte in self.body.iter().take(max) {
            // Writing into a String cannot fail.
            let _ = write!(hex, "{byte:02x}");
        }
        hex
    }
}
