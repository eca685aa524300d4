//! Checked values to a frame, straight into the caller's buffer.
//!
//! The fields of a type are declared in the order of its schema (a test holds both together), so
//! one pass writes the datum: an optional field is branch 0 for null, branch 1 for its value.

use super::registry::WriterSchema;
use super::wire::{put_bytes, put_long};
use crate::event::{Head, PIECE, Payload, Text, Value};

/// Zigzag of 0: the null branch, the end of a map.
const ZERO: u8 = 0;
/// Zigzag of 1: the value branch.
const ONE: u8 = 2;
/// Zigzag of 2: the length of a country.
const TWO: u8 = 4;

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
                put_long(out, n);
            }
            Value::Text(text) => put_text(out, text),
            Value::Country([a, b]) => out.extend_from_slice(&[ONE, TWO, a, b]),
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

/// The value branch and the text. A short one is written together with what stands behind it, which is taken back.
#[inline]
fn put_text(out: &mut Vec<u8>, text: Text<'_>) {
    let Some(piece) = text.piece() else {
        out.push(ONE);
        return put_bytes(out, text.as_bytes());
    };
    let end = out.len() + 2 + text.len();
    let mut written = [0; 2 + PIECE];
    // A length of at most PIECE is one byte.
    written[..2].copy_from_slice(&[ONE, 2 * text.len() as u8]);
    written[2..].copy_from_slice(piece);
    out.extend_from_slice(&written);
    out.truncate(end);
}
