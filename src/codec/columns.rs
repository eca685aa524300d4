//! Many records to Arrow columns: one pass, rows in the order of the log.
//!
//! A decoder of our own instead of arrow-avro's: a batch mixes types and versions, for which that
//! one needs a decoder a schema, a copy to bring the rows together and a second pass whenever
//! one record is bad (it stops midway with partial columns and checks UTF-8 only at the flush).
//! Here a record is read and checked as a whole before any of it reaches a column; arrow-avro is
//! the oracle in the tests.

use super::frame;
use super::registry::{ColumnKind, MAX_COLUMNS, columns};
use super::row::Datum;
use super::symbols::Symbols;
use crate::event::TypeInfo;
use crate::log::Records;
use crate::pipeline::Poison;
use arrow::array::{
    ArrayRef, AsArray as _, FixedSizeBinaryBuilder, Int64Builder, MapBuilder, RecordBatch, StringBuilder,
    TimestampMicrosecondBuilder, UInt32Builder,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use std::sync::Arc;

/// Why columns cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ColumnsError {
    /// No type has the field.
    #[error("no event type has a field `{0}`")]
    UnknownField(String),
    /// Arrow refused the columns.
    #[error("the columns do not make a batch: {0}")]
    Arrow(#[from] ArrowError),
}

/// The good records of a batch as columns.
#[derive(Debug)]
pub struct Decoded {
    /// The asked fields in the asked order; what a record lacks is null. See [`ColumnDecoder`].
    pub batch: RecordBatch,
    /// Row → index of its record in the [`Records`].
    pub rows: Vec<u32>,
    /// Row → type of its event.
    pub types: Vec<&'static TypeInfo>,
}

/// Decodes records into the columns it was made for; keep it, it keeps its memory's size.
///
/// Columns by what they hold: `id` `FixedSizeBinary(16)`; `time`, `received`
/// `Timestamp(Microsecond, "UTC")`; `server` and all text `Utf8`; `campaign_id` `UInt32`;
/// `price_micros`, `value_micros` `Int64`; `extra` `Map<Utf8, Utf8>` (empty, never null); and
/// `type`, the type's name as `Utf8`, which is no field of a record. The envelope, `type` and
/// `extra` are never null. Text that was asked for as symbols is `Dictionary<Int32, Utf8>` and
/// never null: what a record lacks is the empty text.
pub struct ColumnDecoder {
    schema: SchemaRef,
    columns: Vec<Column>,
}

struct Column {
    source: Source,
    kind: ColumnKind,
    /// Text that becomes a dictionary.
    symbols: bool,
    /// Bytes of the last batch's text: the next one will be much like it.
    text: usize,
}

/// Where a column comes from.
#[derive(Clone, Copy)]
enum Source {
    Type,
    Column(usize),
}

enum Builder {
    Id(FixedSizeBinaryBuilder),
    Time(TimestampMicrosecondBuilder),
    Text(StringBuilder),
    Symbols(Symbols),
    Campaign(UInt32Builder),
    Micros(Int64Builder),
    Extra(MapBuilder<StringBuilder, StringBuilder>),
}

impl ColumnDecoder {
    /// A decoder into these fields. Errors: [`ColumnsError::UnknownField`].
    pub fn new(fields: &[&str]) -> Result<ColumnDecoder, ColumnsError> {
        Self::with_symbols(fields, &[])
    }

    /// The same, with those of `fields` that `symbols` names as dictionaries: for text of few
    /// different values. Fields that hold no text stay what they are.
    ///
    /// Errors: [`ColumnsError::UnknownField`].
    pub fn with_symbols(fields: &[&str], symbols: &[&str]) -> Result<ColumnDecoder, ColumnsError> {
        let mut made = Vec::with_capacity(fields.len());
        let mut arrow = Vec::with_capacity(fields.len());
        for name in fields {
            let (source, kind) = match columns().iter().position(|c| c.name == *name) {
                Some(index) => (Source::Column(index), columns()[index].kind),
                None if *name == "type" => (Source::Type, ColumnKind::Text),
                None => return Err(ColumnsError::UnknownField((*name).to_owned())),
            };
            let symbols = kind == ColumnKind::Text && symbols.contains(name);
            let column = Column { source, kind, symbols, text: 0 };
            arrow.push(Field::new(*name, column.builder(0).data_type(), !symbols && nullable(name, kind)));
            made.push(column);
        }
        Ok(ColumnDecoder { schema: Arc::new(Schema::new(arrow)), columns: made })
    }

    /// The schema of every batch, also of an empty one.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Decodes a batch; what cannot be taken is added to `bad`, in the order of the log.
    ///
    /// What is poison depends on the record alone, never on the fields that were asked for.
    /// Bodies of a batch must come to less than 2 GiB (Arrow's offsets); the pipeline's limits
    /// are far below.
    /// Errors: [`ColumnsError::Arrow`].
    pub fn decode(&mut self, records: &Records, bad: &mut Vec<Poison>) -> Result<Decoded, ColumnsError> {
        let mut rows = Vec::with_capacity(records.len());
        let mut types = Vec::with_capacity(records.len());
        let mut builders: Vec<Builder> = self.columns.iter().map(|column| column.builder(records.len())).collect();
        let mut row = [Datum::Absent; MAX_COLUMNS];
        for (index, record) in records.iter().enumerate() {
            let Ok(body) = record.body else {
                bad.push(frame::hole(index, &record));
                continue;
            };
            let read = frame::split(body).and_then(|f| frame::read(&f, &mut row).map(|()| f.schema.kind));
            let kind = match read {
                Ok(kind) => kind,
                Err(error) => {
                    bad.push(error.poison(index, &record));
                    continue;
                }
            };
            for (column, builder) in self.columns.iter().zip(&mut builders) {
                match column.source {
                    Source::Column(column) => builder.push(row[column])?,
                    Source::Type => builder.push(Datum::Text(kind.name))?,
                }
            }
            rows.push(u32::try_from(index).unwrap_or(u32::MAX));
            types.push(kind);
        }
        let arrays = builders.into_iter().map(Builder::finish).collect::<Result<Vec<_>, _>>()?;
        for (column, array) in self.columns.iter_mut().zip(&arrays) {
            column.text = array.as_string_opt::<i32>().map_or(0, |text| text.values().len());
        }
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(rows.len()));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)?;
        Ok(Decoded { batch, rows, types })
    }
}

fn nullable(name: &str, kind: ColumnKind) -> bool {
    !matches!(kind, ColumnKind::Id | ColumnKind::Time | ColumnKind::Extra) && !matches!(name, "server" | "type")
}

/// One half of a map's entry.
fn pair(name: &str) -> Field {
    Field::new(name, DataType::Utf8, false)
}

impl Column {
    /// With room for the rows of a batch: grown step by step, columns are copied over and over.
    fn builder(&self, rows: usize) -> Builder {
        match self.kind {
            ColumnKind::Id => Builder::Id(FixedSizeBinaryBuilder::with_capacity(rows, 16)),
            ColumnKind::Time => Builder::Time(TimestampMicrosecondBuilder::with_capacity(rows).with_timezone("UTC")),
            ColumnKind::Text if self.symbols => Builder::Symbols(Symbols::with_capacity(rows)),
            ColumnKind::Text => Builder::Text(StringBuilder::with_capacity(rows, self.text)),
            ColumnKind::Campaign => Builder::Campaign(UInt32Builder::with_capacity(rows)),
            ColumnKind::Micros => Builder::Micros(Int64Builder::with_capacity(rows)),
            // Most events have none, so it grows as they come.
            ColumnKind::Extra => {
                let (keys, values) = (StringBuilder::new(), StringBuilder::new());
                Builder::Extra(MapBuilder::new(None, keys, values).with_values_field(pair("value")))
            }
        }
    }
}

impl Builder {
    fn data_type(&self) -> DataType {
        match self {
            Builder::Id(_) => DataType::FixedSizeBinary(16),
            Builder::Time(_) => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Builder::Text(_) => DataType::Utf8,
            Builder::Symbols(_) => Symbols::data_type(),
            Builder::Campaign(_) => DataType::UInt32,
            Builder::Micros(_) => DataType::Int64,
            Builder::Extra(_) => {
                let entries = DataType::Struct(vec![pair("key"), pair("value")].into());
                DataType::Map(Arc::new(Field::new("entries", entries, false)), false)
            }
        }
    }

    /// Appends one value. The reader checked its kind and bounds, so what does not fit is absent.
    fn push(&mut self, datum: Datum<'_>) -> Result<(), ArrowError> {
        match (self, datum) {
            (Builder::Text(b), Datum::Text(text)) => b.append_value(text),
            (Builder::Text(b), _) => b.append_null(),
            (Builder::Symbols(b), Datum::Text(text)) => b.push(text)?,
            (Builder::Symbols(b), _) => b.push("")?,
            (Builder::Id(b), Datum::Id(id)) => b.append_value(id)?,
            (Builder::Id(b), _) => b.append_null(),
            (Builder::Time(b), Datum::Int(n)) => b.append_value(n),
            (Builder::Time(b), _) => b.append_null(),
            (Builder::Campaign(b), Datum::Int(n)) => b.append_option(u32::try_from(n).ok()),
            (Builder::Campaign(b), _) => b.append_null(),
            (Builder::Micros(b), Datum::Int(n)) => b.append_value(n),
            (Builder::Micros(b), _) => b.append_null(),
            (Builder::Extra(b), datum) => {
                if let Datum::Map(pairs) = datum {
                    pairs.for_each(|key, value| {
                        b.keys().append_value(key);
                        b.values().append_value(value);
                    });
                }
                b.append(true)?;
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Builder::Id(mut b) => Arc::new(b.finish()),
            Builder::Time(mut b) => Arc::new(b.finish()),
            Builder::Text(mut b) => Arc::new(b.finish()),
            Builder::Symbols(b) => Arc::new(b.finish()?),
            Builder::Campaign(mut b) => Arc::new(b.finish()),
            Builder::Micros(mut b) => Arc::new(b.finish()),
            Builder::Extra(mut b) => Arc::new(b.finish()),
        })
    }
}
