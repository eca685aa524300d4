//! What a compaction takes, and in which order, so that the rows come out sorted.
//!
//! The records of one range are in several files when they were written with several schemas; all
//! files of a range are one run. Parts that an earlier generation left small are taken again, so
//! that late events do not leave a thousand of them. Runs are ordered by partition and offset, and
//! ranges of one partition do not overlap, so one run behind the other is sorted.

use super::CompactError;
use super::columns::PLACE;
use crate::archive::hour::Hour;
use crate::archive::manifest::Part;
use crate::archive::name::FileName;
use crate::archive::store::{ArchiveStore, Found};
use arrow::array::{Array, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use penstock::log::{LogId, Range};
use std::collections::BTreeMap;
use xxhash_rust::xxh3::xxh3_64;

/// Records that belong behind each other.
pub(super) struct Run {
    /// Their partition.
    pub log: LogId,
    /// Offsets that they lie within.
    pub range: Range,
    /// Where they are.
    pub from: Source,
}

/// Where a run's records are.
pub(super) enum Source {
    /// In Avro files, all of one range.
    Files(Vec<(FileName, Found)>),
    /// In memory, from a small part of an earlier generation.
    Rows(RecordBatch),
}

/// What is made of an hour.
pub(super) struct Plan {
    /// The runs in the order of the rows.
    pub runs: Vec<Run>,
    /// Parts of earlier generations that stay.
    pub kept: Vec<Part>,
}

/// Orders the files `due` of an hour, and takes its small parts with them.
///
/// Errors: [`CompactError::Overlap`] when two ranges of one partition overlap, which no pipeline
/// writes; what reading the small parts brings.
pub(super) async fn plan(
    store: &ArchiveStore,
    hour: &Hour,
    due: Vec<(FileName, Found)>,
    schema: &SchemaRef,
    target: usize,
) -> Result<Plan, CompactError> {
    let mut ranges: BTreeMap<(LogId, Range), Vec<(FileName, Found)>> = BTreeMap::new();
    for (name, found) in due {
        ranges.entry((name.log.clone(), name.range)).or_default().push((name, found));
    }
    let of_files = || {
        let run = |((log, range), files): (&(LogId, Range), &Vec<_>)| Run {
            log: log.clone(),
            range: *range,
            from: Source::Files(files.clone()),
        };
        ranges.iter().map(run).collect::<Vec<_>>()
    };
    let files = of_files();
    if let Some((a, b)) = overlap(&files) {
        return Err(CompactError::Overlap(format!("{} {} and {}", a.log, a.range, b.range)));
    }
    let parts = hour.manifest.as_ref().map_or(&[][..], |(manifest, _)| &manifest.files);
    let (mut runs, mut kept, mut room) = (files, Vec::new(), target as u64 / 2);
    for part in parts {
        let small = part.bytes < target as u64 / 8 && part.bytes <= room;
        let rows =
            if small { rows(store, &format!("{}/{}", hour.folder(), part.file), part, schema).await? } else { None };
        match rows {
            Some(rows) => {
                room -= part.bytes;
                runs.extend(rows);
            }
            None => kept.push(part.clone()),
        }
    }
    runs.sort_by(|a, b| (&a.log, a.range).cmp(&(&b.log, b.range)));
    if overlap(&runs).is_some() {
        // A file came to the hour after later ones had been taken: it gets parts of its own.
        return Ok(Plan { runs: of_files(), kept: parts.to_vec() });
    }
    Ok(Plan { runs, kept })
}

/// Two neighbours that overlap.
fn overlap(runs: &[Run]) -> Option<(&Run, &Run)> {
    let neighbours = runs.iter().zip(runs.iter().skip(1));
    neighbours.into_iter().find(|(a, b)| a.log == b.log && b.range.from < a.range.to)
}

/// The rows of a part, a run for each stretch of one partition; `None` when another version of the
/// program wrote it with other columns.
async fn rows(
    store: &ArchiveStore,
    path: &str,
    part: &Part,
    schema: &SchemaRef,
) -> Result<Option<Vec<Run>>, CompactError> {
    let wrong = |why: &str| CompactError::Part { path: path.to_owned(), why: why.to_owned() };
    let bytes = store.read(path).await?;
    if format!("{:016x}", xxh3_64(&bytes)) != part.xxh3 {
        return Err(wrong("its bytes are not those that were written"));
    }
    let mut runs: Vec<Run> = Vec::new();
    for batch in batches(bytes)? {
        let batch = batch?;
        if batch.schema().fields() != schema.fields() {
            return Ok(None);
        }
        let batch = RecordBatch::try_new(schema.clone(), batch.columns().to_vec())?;
        let places = Places::of(&batch).ok_or_else(|| wrong("it does not say where its rows stood"))?;
        let mut start = 0;
        for (log, range, end) in places.stretches() {
            runs.push(Run { log, range, from: Source::Rows(batch.slice(start, end - start)) });
            start = end;
        }
    }
    Ok(Some(runs))
}

/// The batches of a Parquet file. Errors: [`CompactError::Parquet`].
pub(in crate::archive) fn batches(
    bytes: Bytes,
) -> Result<impl Iterator<Item = Result<RecordBatch, arrow::error::ArrowError>>, parquet::errors::ParquetError> {
    ParquetRecordBatchReaderBuilder::try_new(bytes)?.with_batch_size(1 << 15).build()
}

/// The columns that say where rows stood.
pub(in crate::archive) struct Places<'a> {
    topics: &'a StringArray,
    partitions: &'a Int32Array,
    offsets: &'a Int64Array,
}

impl<'a> Places<'a> {
    /// Those of a batch; `None` when it has none.
    pub(in crate::archive) fn of(batch: &'a RecordBatch) -> Option<Places<'a>> {
        let column = |name| batch.column_by_name(name).filter(|c| c.null_count() == 0).map(|c| c.as_any());
        Some(Places {
            topics: column(PLACE[0])?.downcast_ref()?,
            partitions: column(PLACE[1])?.downcast_ref()?,
            offsets: column(PLACE[2])?.downcast_ref()?,
        })
    }

    /// Stretches of one partition: where it ends, and the offsets it lies within.
    pub(in crate::archive) fn stretches(&self) -> Vec<(LogId, Range, usize)> {
        let mut found: Vec<(LogId, Range, usize)> = Vec::new();
        for row in 0..self.offsets.len() {
            let (topic, partition) = (self.topics.value(row), self.partition(row));
            let offset = self.offset(row);
            match found.last_mut() {
                Some((log, range, end)) if &*log.name == topic && log.partition == partition && offset >= range.to => {
                    (range.to, *end) = (offset + 1, row + 1);
                }
                _ => {
                    let log = LogId { name: topic.into(), partition };
                    found.push((log, Range { from: offset, to: offset + 1 }, row + 1));
                }
            }
        }
        found
    }

    fn partition(&self, row: usize) -> u32 {
        self.partitions.value(row).unsigned_abs()
    }

    /// The offset of a row.
    pub(in crate::archive) fn offset(&self, row: usize) -> u64 {
        self.offsets.value(row).unsigned_abs()
    }
}
