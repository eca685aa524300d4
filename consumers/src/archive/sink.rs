//! Groups a range by type, hour and schema, and writes one file a group.

use super::container::{Codec, Container, Finished};
use super::marks;
use super::name::FileName;
use super::store::ArchiveStore;
use hashbrown::HashMap;
use penstock::codec::frame;
use penstock::log::{Limits, LogId, Position, Range, Records};
use penstock::pipeline::sink::behind;
use penstock::pipeline::{Held, Poison, Sink, SinkError};
use penstock::pricing::Snapshot;
use penstock::settings::ArchiveSettings;
use std::time::Duration;

/// One partition's archive sink.
pub struct ArchiveSink {
    store: ArchiveStore,
    codec: Codec,
    settings: ArchiveSettings,
    /// Whether the partition is known to be marked as one that has files here.
    marked: bool,
}

/// The files of a range.
#[derive(Debug)]
pub struct ArchiveBatch(Result<Vec<Finished>, std::io::Error>);

impl ArchiveBatch {
    /// The files; none when all of the range is poison.
    ///
    /// Errors: [`SinkError::Fatal`] when the codec had no memory while the batch was made: the
    /// pipeline is built anew.
    pub fn files(&self) -> Result<&[Finished], SinkError> {
        self.0.as_deref().map_err(|e| SinkError::Fatal(format!("compressing a block: {e}")))
    }
}

impl ArchiveSink {
    /// A sink for one partition. Errors: when zstd cannot allocate its context.
    pub fn new(store: ArchiveStore, settings: &ArchiveSettings) -> std::io::Result<Self> {
        Ok(ArchiveSink { store, codec: Codec::new(settings.zstd_level)?, settings: settings.clone(), marked: false })
    }

    /// When its ranges are closed. The age leaves time to write, so that a file is there
    /// [`ArchiveSettings::max_age`] after its first event.
    #[must_use]
    pub fn limits(settings: &ArchiveSettings) -> Limits {
        let to_write = (settings.max_age / 10).min(Duration::from_secs(2));
        Limits {
            rows: settings.max_rows,
            bytes: settings.max_bytes,
            age: settings.max_age.saturating_sub(to_write),
            idle: Duration::from_secs(1).min(settings.max_age),
            end: None,
        }
    }

    /// The settings it was made with.
    #[must_use]
    pub fn settings(&self) -> &ArchiveSettings {
        &self.settings
    }

    fn group(
        &mut self,
        log: &LogId,
        range: Range,
        records: &Records,
        bad: &mut Vec<Poison>,
    ) -> std::io::Result<Vec<Finished>> {
        let mut files: Vec<Container> = Vec::new();
        let mut places: HashMap<(u64, i64), usize> = HashMap::new();
        // Neighbours mostly share type and hour, so the last place is tried before the table.
        let mut last: Option<((u64, i64), usize)> = None;
        let mut good = 0u64;
        for (index, record) in records.iter().enumerate() {
            let Ok(body) = record.body else {
                bad.push(frame::hole(index, &record));
                continue;
            };
            // The whole datum is checked: all sinks must agree on what is poison.
            let (frame, envelope) = match frame::check(body) {
                Ok(checked) => checked,
                Err(error) => {
                    bad.push(error.poison(index, &record));
                    continue;
                }
            };
            let key = (frame.schema.fingerprint, envelope.time.hour());
            let place = match last {
                Some((same, place)) if same == key => place,
                _ => *places.entry(key).or_insert_with(|| {
                    let kind = frame.schema.kind.name.to_owned();
                    let name = FileName { kind, hour: key.1, log: log.clone(), range, schema: key.0 };
                    files.push(Container::new(name, frame.schema.json));
                    files.len() - 1
                }),
            };
            last = Some((key, place));
            files[place].push(record.offset, frame.datum, &mut self.codec)?;
            good += 1;
        }
        files.into_iter().map(|file| file.finish(good, &mut self.codec)).collect()
    }
}

impl Sink for ArchiveSink {
    type Batch = ArchiveBatch;

    fn name(&self) -> &'static str {
        "archive"
    }

    fn prepare(
        &mut self,
        log: &LogId,
        range: Range,
        records: &Records,
        _: &Snapshot,
        bad: &mut Vec<Poison>,
    ) -> ArchiveBatch {
        ArchiveBatch(self.group(log, range, records, bad))
    }

    /// All or nothing: a file appears whole, under a name that only this range uses, with bytes
    /// that only depend on the range. So one that is there with its length is there; and when one
    /// is missing (or was written by a version that compressed it otherwise), all are written
    /// again, which changes nothing about those that were there.
    async fn held(&mut self, log: &LogId, range: Range, batch: &ArchiveBatch) -> Result<Held, SinkError> {
        let files = batch.files()?;
        let holds = match files {
            [] => self.store.length(&marks::blank(log, range)).await?.is_some(),
            files => self.store.holds(files).await?,
        };
        Ok(if holds { Held::All } else { Held::Nothing })
    }

    /// The partition is marked before its first file, so that a lost position is noticed: see
    /// [`untouched`](Self::untouched). A range that is poison alone leaves a mark instead of files,
    /// so that `verify` can tell it from one that was lost.
    async fn write(&mut self, log: &LogId, range: Range, batch: &ArchiveBatch, _: &Held) -> Result<(), SinkError> {
        let files = batch.files()?;
        if !self.marked {
            self.store.create(&marks::touched(log), &[]).await?;
            self.marked = true;
        }
        match files {
            [] => self.store.publish(&marks::blank(log, range), &[]).await?,
            files => self.store.write(files).await?,
        }
        Ok(())
    }

    /// Files are named by their range, so what is left of a range that was pinned cannot be asked
    /// for under its name any more. Files of it that are there would be there twice: then all of it
    /// is passed, and what it lacks is missing. Without one, nothing of it was written.
    async fn skip(
        &mut self,
        log: &LogId,
        gap: Range,
        stored: Position,
        _who: &str,
        _why: &str,
    ) -> Result<Position, SinkError> {
        let rest = behind(gap, stored);
        let Some(to) = rest.pinned else { return Ok(rest) };
        let range = Range { from: stored.next, to };
        let written = self.store.has_files_of(log, range).await?;
        Ok(Position::at(if written { to } else { gap.to }))
    }

    /// By the mark that is written before a partition's first file: it stays when the files go.
    async fn untouched(&mut self, log: &LogId) -> Result<bool, SinkError> {
        self.marked = self.store.length(&marks::touched(log)).await?.is_some();
        Ok(!self.marked)
    }
}
