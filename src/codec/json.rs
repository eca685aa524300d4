//! One record as JSON, for people: dead letters, the panel, tests. Never on the event's way.

use super::frame::{self, FrameError};
use super::registry::{ColumnKind, MAX_COLUMNS, columns};
use super::row::Datum;
use crate::time::Micros;
use serde_json::{Map, Value, json};

/// The event in the form it is posted in, with `received` added; `extra` is back among the
/// payload's keys, its values as text.
///
/// Errors: [`FrameError`] when the record is poison.
pub fn to_json(body: &[u8]) -> Result<Value, FrameError> {
    let frame = frame::split(body)?;
    let mut row = [Datum::Absent; MAX_COLUMNS];
    frame::read(&frame, &mut row)?;
    let mut event = Map::new();
    let mut payload = Map::new();
    event.insert("type".into(), frame.schema.kind.name.into());
    for (column, datum) in columns().iter().zip(row) {
        let value = match datum {
            Datum::Absent => continue,
            Datum::Id(id) => uuid::Uuid::from_bytes(*id).to_string().into(),
            Datum::Int(micros) if column.kind == ColumnKind::Time => Micros(micros).to_string().into(),
            Datum::Int(n) => n.into(),
            Datum::Text(text) => text.into(),
            Datum::Map(pairs) => {
                pairs.for_each(|key, value| {
                    payload.insert(key.to_owned(), json!(value));
                });
                continue;
            }
        };
        let object =
            if matches!(column.name, "id" | "time" | "received" | "server") { &mut event } else { &mut payload };
        object.insert(column.name.to_owned(), value);
    }
    event.insert("payload".into(), payload.into());
    Ok(event.into())
}
