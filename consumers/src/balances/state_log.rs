//! Where the publisher writes: one partition of a log, in order, durable.

use penstock::ledger::{KpiRecord, StateChange, StateError, StateRecord};
use penstock::log::spool::{AppendError, Disk, Group, GroupBuf, RealDisk, Writer};
use penstock::pricing::CampaignId;

/// Records that go into one group of the spool; far below its size limit.
const GROUP_RECORDS: usize = 1_000;

/// Why records are not in the log for sure. They are written again; readers know them by version.
#[derive(Debug, thiserror::Error)]
pub enum StateLogError {
    /// May pass: a full disk, a slow device, brokers away.
    #[error("the log takes nothing at the moment: {0}")]
    Retry(String),
    /// The log has to be opened again.
    #[error("the log has failed: {0}")]
    Fatal(String),
}

/// One record with the key that compaction knows it by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The campaign it tells of; `None` for a heartbeat.
    pub campaign: Option<CampaignId>,
    /// Version of a state, sequence of figures: a reader drops lower ones.
    pub version: u64,
    /// The framed record.
    pub body: Vec<u8>,
}

impl Entry {
    /// A campaign's state. Errors: [`StateError`], a fault of ours.
    pub fn state(change: &StateChange) -> Result<Entry, StateError> {
        let mut body = Vec::new();
        StateRecord::Change(change.clone()).encode(&mut body)?;
        Ok(Entry { campaign: Some(change.campaign_id), version: change.version, body })
    }

    /// A heartbeat or a state. Errors: [`StateError`].
    pub fn record(record: &StateRecord) -> Result<Entry, StateError> {
        let mut body = Vec::new();
        record.encode(&mut body)?;
        let campaign = match record {
            StateRecord::Change(change) => Some(change.campaign_id),
            StateRecord::Heartbeat(_) => None,
        };
        Ok(Entry { campaign, version: record.version(), body })
    }

    /// A campaign's figures. Errors: [`StateError`].
    pub fn kpis(kpis: &KpiRecord) -> Result<Entry, StateError> {
        let mut body = Vec::new();
        kpis.encode(&mut body)?;
        Ok(Entry { campaign: Some(kpis.campaign_id), version: kpis.sequence, body })
    }
}

/// What has to be told again, because something older was written behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Overtaken {
    /// These campaigns' states.
    Campaigns(Vec<CampaignId>),
    /// All: the log has lost its past.
    Everything,
}

/// One partition of a log.
#[expect(async_fn_in_trait, reason = "one publisher on one thread, no Send bound is wanted")]
pub trait StateLog {
    /// Called when this process has become the publisher, before it tells everything again: what
    /// is written from here on is looked after.
    ///
    /// Errors: [`StateLogError`].
    async fn begin(&mut self) -> Result<(), StateLogError> {
        Ok(())
    }

    /// Appends the records in their order; they are durable when it returns. After an error any
    /// of them may be in the log.
    ///
    /// Errors: [`StateLogError`].
    async fn append(&mut self, records: &[Entry]) -> Result<(), StateLogError>;

    /// Returns when somebody else has written an older state behind a newer one, and whose. A log
    /// that has one writer never does. Cancel safe.
    ///
    /// Errors: [`StateLogError`].
    async fn overtaken(&mut self) -> Result<Overtaken, StateLogError> {
        std::future::pending().await
    }
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
    async fn append(&mut self, records: &[Entry]) -> Result<(), StateLogError> {
        for part in records.chunks(GROUP_RECORDS) {
            self.group.clear();
            part.iter().for_each(|record| self.group.push(&record.body));
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
