//! Records to Parquet columns, in parts of a target size.
//!
//! The columns are the type's fields in the newest schema, `type`, and where each record stood:
//! `log_topic`, `log_partition`, `log_offset`, under the names that ClickHouse has them.

use super::CompactError;
use crate::archive::manifest::{Part, part_name};
use arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use penstock::codec::columns::ColumnDecoder;
use penstock::event::TypeInfo;
use penstock::log::{LogId, Records};
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// Rows of one row group: what a reader holds at a time, and what we hold uncompressed.
const GROUP_ROWS: usize = 1 << 17;

/// The columns that say where a record stood, behind those of the event.
pub(in crate::archive) const PLACE: [&str; 3] = ["log_topic", "log_partition", "log_offset"];

/// Turns the records of one type into rows.
pub(super) struct Rows {
    decoder: ColumnDecoder,
    schema: SchemaRef,
}

impl Rows {
    /// Rows of this type. Errors: [`CompactError::Columns`].
    pub(super) fn of(kind: &'static TypeInfo) -> Result<Rows, CompactError> {
        let mut names = vec!["id", "time", "received", "type", "server"];
        names.extend(kind.fields.iter().map(|field| field.name));
        names.push("extra");
        let decoder = ColumnDecoder::new(&names)?;
        let mut fields: Vec<Arc<Field>> = decoder.schema().fields().iter().cloned().collect();
        let types = [DataType::Utf8, DataType::Int32, DataType::Int64];
        fields.extend(PLACE.iter().zip(types).map(|(name, of)| Arc::new(Field::new(*name, of, false))));
        Ok(Rows { decoder, schema: Arc::new(Schema::new(fields)) })
    }

    /// What all batches look like.
    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The rows of records of one partition, in their order.
    ///
    /// Errors: [`CompactError::Rows`] when one of them does not decode, which the archive never
    /// takes; [`CompactError::Columns`], [`CompactError::Parquet`].
    pub(super) fn decode(&mut self, log: &LogId, records: &Records) -> Result<RecordBatch, CompactError> {
        let mut bad = Vec::new();
        let decoded = self.decoder.decode(records, &mut bad)?;
        if let Some(poison) = bad.first() {
            return Err(CompactError::Rows(format!("{log} offset {}: {}", poison.offset, poison.message)));
        }
        let rows = decoded.batch.num_rows();
        let partition = i32::try_from(log.partition).unwrap_or(i32::MAX);
        let offsets = records.iter().map(|r| i64::try_from(r.offset).unwrap_or(i64::MAX));
        let mut columns: Vec<ArrayRef> = decoded.batch.columns().to_vec();
        columns.push(Arc::new(StringArray::from_iter_values(std::iter::repeat_n(&*log.name, rows))));
        columns.push(Arc::new(Int32Array::from_value(partition, rows)));
        columns.push(Arc::new(Int64Array::from_iter_values(offsets)));
        Ok(RecordBatch::try_new(self.schema.clone(), columns)?)
    }
}

/// A part that is finished, with its bytes.
pub(super) type Finished = (Part, Bytes);

/// Writes rows into parts; a part is closed when it reaches the target.
pub(super) struct Parts {
    schema: SchemaRef,
    properties: WriterProperties,
    target: usize,
    generation: u64,
    n: usize,
    rows: u64,
    writer: Option<ArrowWriter<Vec<u8>>>,
}

impl Parts {
    /// No part yet.
    ///
    /// Errors: [`CompactError::Parquet`]: a compression level out of its bounds.
    pub(super) fn new(
        schema: SchemaRef,
        target: usize,
        zstd_level: i32,
        generation: u64,
        about: &[(&str, String)],
    ) -> Result<Parts, CompactError> {
        let about = about.iter().map(|(key, value)| KeyValue::new(format!("penstock.{key}"), value.clone()));
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(zstd_level)?))
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .set_key_value_metadata(Some(about.collect()))
            .build();
        Ok(Parts { schema, properties, target, generation, n: 0, rows: 0, writer: None })
    }

    /// Adds rows; gives the part that they completed. Errors: [`CompactError::Parquet`].
    pub(super) fn push(&mut self, batch: &RecordBatch) -> Result<Option<Finished>, CompactError> {
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => none.insert(ArrowWriter::try_new(Vec::new(), self.schema.clone(), Some(self.properties.clone()))?),
        };
        writer.write(batch)?;
        self.rows += batch.num_rows() as u64;
        if writer.bytes_written() + writer.in_progress_size() >= self.target { self.finish() } else { Ok(None) }
    }

    /// Closes the part in hand, when there is one. Errors: [`CompactError::Parquet`].
    pub(super) fn finish(&mut self) -> Result<Option<Finished>, CompactError> {
        let Some(writer) = self.writer.take() else { return Ok(None) };
        let bytes = Bytes::from(writer.into_inner()?);
        let xxh3 = xxh3_64(&bytes);
        let part = Part {
            file: part_name(self.generation, self.n, xxh3),
            rows: std::mem::take(&mut self.rows),
            bytes: bytes.len() as u64,
            xxh3: format!("{xxh3:016x}"),
        };
        self.n += 1;
        Ok(Some((part, bytes)))
    }
}
