//! Checked values to a frame, straight into the caller's buffer.
//!
//! The fields of a type are declared in the order of its schema (a test holds both together), so
//! one pass writes the datum: an optional field is branch 0 for null, branch 1 for its value.

use super::registry::WriterSchema;
use super::wire::{put_bytes, put_long};
use crate::event::{Head, Payload, Value};

/// Zigzag of 0: the null branch, the end of a map.
const ZERO: u8 = 0;
/// Zigzag of 1: the value branch.
const ONE: u8 = 2;

/// Appends the frame of one event to `out`.
pub(crate) fn frame(schema: &WriterSchema, head: &Head<'_>, payload: &Payload<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(&schema.header);
    out.extend_from_slice(&head.id);
    put_long(out, head.time.0);
    put_long(out, head.received.0);
    put_bytes(out, head.server.as_bytes());
    for index in 0..schema.kind.fields.len() {
        match payload.value(index) {
            Value::Absent => out.push(ZERO),
            Value::Int(n) => {
                out.push(ONE);
                put_long(out, *n);
            }
            Value::Text(text) => {
                out.push(ONE);
                put_bytes(out, text.as_bytes());
            }
            Value::Country(letters) => {
                out.push(ONE);
                put_bytes(out, letters);
            }
        }
    }
    let extra = payload.extra().count();
    if extra > 0 {
        put_long(out, extra.cast_signed() as i64);
        for (key, value) in payload.extra() {
            put_bytes(out, key.as_bytes());
            put_bytes(out, value.as_bytes());
        }
    }
    out.push(ZERO);
}
