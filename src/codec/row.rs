//! One datum as borrowed values, read by the steps of the schema it was written with.
//!
//! [`read`] and [`verify`] check everything, also what nobody asked for: whether a record is poison depends on
//! the record alone, so all sinks decide the same, whatever columns they want.

use super::registry::{ColumnKind, MAX_COLUMNS, Shape, Step, WriterSchema, columns};
use super::wire::{Cursor, WireError};
use crate::event::{MICROS_MAX, TIME_MAX, TIME_MIN};

/// The value of one column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Datum<'a> {
    #[default]
    Absent,
    Id(&'a [u8; 16]),
    Int(i64),
    Text(&'a str),
    Map(Pairs<'a>),
}

/// Values by column.
pub(crate) type Row<'a> = [Datum<'a>; MAX_COLUMNS];

/// Why a datum cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// The bytes do not follow the schema.
    #[error("{0}")]
    Wire(#[from] WireError),
    /// Bytes are left behind the last field.
    #[error("{0} bytes are left behind the last field")]
    Left(usize),
    /// A campaign's number, an amount or a time outside its bounds.
    #[error("the value {0} is out of its bounds")]
    Bounds(i64),
}

/// Reads `datum` into `row`, which holds nothing of an earlier datum afterwards.
///
/// Errors: the fault with the index of the field (in the writer's schema) it lies in.
pub(crate) fn read<'a>(schema: &WriterSchema, datum: &'a [u8], row: &mut Row<'a>) -> Result<(), (usize, BodyError)> {
    let columns = columns();
    row[..columns.len()].fill(Datum::Absent);
    let mut cursor = Cursor::new(datum);
    for (index, step) in schema.steps.iter().enumerate() {
        let value = value(step, &mut cursor).map_err(|e| (index, e.into()))?;
        if let Some(column) = step.column {
            if let Datum::Int(n) = value {
                bounds(columns[column].kind, n).map_err(|e| (index, e))?;
            }
            row[column] = value;
        }
    }
    ended(schema, cursor)
}

/// Checks `datum` as [`read`] does, and keeps nothing of it.
///
/// Errors: as of [`read`].
pub(crate) fn verify(schema: &WriterSchema, datum: &[u8]) -> Result<(), (usize, BodyError)> {
    let columns = columns();
    let mut cursor = Cursor::new(datum);
    for (index, step) in schema.steps.iter().enumerate() {
        let int = skip(step, &mut cursor).map_err(|e| (index, e.into()))?;
        if let (Some(n), Some(column)) = (int, step.column) {
            bounds(columns[column].kind, n).map_err(|e| (index, e))?;
        }
    }
    ended(schema, cursor)
}

fn ended(schema: &WriterSchema, cursor: Cursor<'_>) -> Result<(), (usize, BodyError)> {
    match cursor.rest().len() {
        0 => Ok(()),
        left => Err((schema.steps.len(), BodyError::Left(left))),
    }
}

/// Length of the datum that `bytes` begin with; what follows is not looked at.
///
/// Errors: the fault with the index of the field (in the writer's schema) it lies in.
pub(crate) fn length(schema: &WriterSchema, bytes: &[u8]) -> Result<usize, (usize, BodyError)> {
    let mut cursor = Cursor::new(bytes);
    for (index, step) in schema.steps.iter().enumerate() {
        value(step, &mut cursor).map_err(|e| (index, e.into()))?;
    }
    Ok(bytes.len() - cursor.rest().len())
}

#[inline]
fn value<'a>(step: &Step, cursor: &mut Cursor<'a>) -> Result<Datum<'a>, WireError> {
    if !present(step, cursor)? {
        return Ok(Datum::Absent);
    }
    match step.shape {
        Shape::Id => cursor.fixed().map(Datum::Id),
        Shape::Long => cursor.long().map(Datum::Int),
        Shape::Text => cursor.text().map(Datum::Text),
        Shape::Map => Pairs::read(cursor).map(Datum::Map),
    }
}

/// As [`value`], but gives integers alone.
#[inline]
fn skip(step: &Step, cursor: &mut Cursor<'_>) -> Result<Option<i64>, WireError> {
    if !present(step, cursor)? {
        return Ok(None);
    }
    match step.shape {
        Shape::Text => cursor.skip_text().map(|()| None),
        Shape::Long => cursor.long().map(Some),
        Shape::Id => cursor.fixed::<16>().map(|_| None),
        Shape::Map => Pairs::read(cursor).map(|_| None),
    }
}

/// Whether there is a value behind the branch of a union; always where there is no union.
#[inline]
fn present(step: &Step, cursor: &mut Cursor<'_>) -> Result<bool, WireError> {
    let Some(null) = step.null_branch else { return Ok(true) };
    match cursor.long()? {
        branch if branch == null => Ok(false),
        0 | 1 => Ok(true),
        _ => Err(WireError::Branch),
    }
}

/// Garbage that happens to decode must not reach the money or the tables.
#[inline]
fn bounds(kind: ColumnKind, n: i64) -> Result<(), BodyError> {
    let bounds = match kind {
        ColumnKind::Time => TIME_MIN.0..=TIME_MAX.0,
        ColumnKind::Campaign => 1..=i64::from(u32::MAX),
        ColumnKind::Micros => 0..=MICROS_MAX,
        ColumnKind::Id | ColumnKind::Text | ColumnKind::Extra => return Ok(()),
    };
    if bounds.contains(&n) { Ok(()) } else { Err(BodyError::Bounds(n)) }
}

/// A map of strings that was read once and found good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pairs<'a>(&'a [u8]);

impl<'a> Pairs<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Pairs<'a>, WireError> {
        let all = cursor.rest();
        loop {
            let count = cursor.block(2)?;
            if count == 0 {
                return Ok(Pairs(&all[..all.len() - cursor.rest().len()]));
            }
            for _ in 0..count {
                cursor.text()?;
                cursor.text()?;
            }
        }
    }

    /// Calls `each` with every key and value, in the order they were written.
    pub(crate) fn for_each(self, mut each: impl FnMut(&'a str, &'a str)) {
        let mut cursor = Cursor::new(self.0);
        // The bytes were read once, so the end of the last block is where reading stops.
        while let Ok(count @ 1..) = cursor.block(2) {
            for _ in 0..count {
                if let (Ok(key), Ok(value)) = (cursor.text(), cursor.text()) {
                    each(key, value);
                }
            }
        }
    }
}
