//! Where the publisher writes: one partition of a log, in order, durable.

use penstock::log::spool::{AppendError, Disk, Group, GroupBuf, RealDisk, Writer};

/// Records that go into one group of the spool; far below its size limit.
const GROUP_RECORDS: usize = 1_000;

/// Why records are not in the log for sure. They are written again; readers know them by version.
#[derive(Debug, thiserror::Error)]
pub enum StateLogError {
    /// May pass: a full disk, a slow device.
    #[error("the log takes nothing at the moment: {0}")]
    Retry(String),
    /// The log has to be opened again.
    #[error("the log has failed: {0}")]
    Fatal(String),
}

/// One partition of a log with one writer.
#[expect(async_fn_in_trait, reason = "one publisher on one thread, no Send bound is wanted")]
pub trait StateLog {
    /// Appends the records in their order; they are durable when it returns. After an error any
    /// of them may be in the log.
    ///
    /// Errors: [`StateLogError`].
    async fn append(&mut self, records: &[Vec<u8>]) -> Result<(), StateLogError>;
}

/// A partition of a spool as a [`StateLog`].
pub struct SpoolStateLog<D: Disk = RealDisk> {
    writer: Writer<D>,
    group: GroupBuf,
}

impl<D: Disk> SpoolStateLog<D> {
    /// Takes the writer of the partition (0 of `campaign-state` and `campaign-kpis`).
    pub fn new(writer: Writer<D>) -> Self {
        SpoolStateLog { writer, group: GroupBuf::new() }
    }
}

impl<D: Disk> StateLog for SpoolStateLog<D> {
    async fn append(&mut self, records: &[Vec<u8>]) -> Result<(), StateLogError> {
        for part in records.chunks(GROUP_RECORDS) {
            self.group.clear();
            part.iter().for_each(|record| self.group.push(record));
            let range = self.writer.append(&Group::plain(&self.group)).map_err(|error| match error {
                AppendError::Full { .. } => StateLogError::Retry(error.to_string()),
                _ => StateLogError::Fatal(error.to_string()),
            })?;
            self.writer.flush().map_err(|error| match error.full {
                true => StateLogError::Retry(error.to_string()),
                false => StateLogError::Fatal(error.to_string()),
            })?;
            let durable = self.writer.watermarks().wait_synced(range.to).await;
            durable.map_err(|failed| StateLogError::Fatal(failed.to_string()))?;
        }
        Ok(())
    }
}
