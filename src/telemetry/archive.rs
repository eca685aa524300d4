//! Metrics of the archive sink.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

/// The archive sink's metrics. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct ArchiveMetrics {
    /// Files that were written; one written again counts again.
    pub files: Counter,
    /// Their bytes.
    pub bytes: Counter,
    /// Their records.
    pub records: Counter,
    /// Operations that did not end within `archive.timeout`.
    pub timeouts: Counter,
    /// Files of killed writes that were removed at start.
    pub swept: Counter,
    /// Files that a compaction took.
    pub compacted: Counter,
    /// Files that were removed because a compaction has replaced them.
    pub replaced: Counter,
    /// Files and hours that a compaction had to leave as they are.
    pub compaction_faults: Counter,
}

impl ArchiveMetrics {
    /// Declares the metrics in `registry`.
    pub fn register(registry: &mut Registry) -> Self {
        let m = Self::default();
        let r = registry;
        r.register("penstock_archive_files", "Files that are written and synced", m.files.clone());
        r.register("penstock_archive_bytes", "Bytes of these files", m.bytes.clone());
        r.register("penstock_archive_file_records", "Records in these files", m.records.clone());
        r.register("penstock_archive_timeouts", "File operations that did not end in time", m.timeouts.clone());
        r.register("penstock_archive_swept", "Files of killed writes that were removed at start", m.swept.clone());
        r.register("penstock_archive_compacted", "Files that a compaction took", m.compacted.clone());
        r.register("penstock_archive_replaced", "Files removed because compacted", m.replaced.clone());
        let faults = m.compaction_faults.clone();
        r.register("penstock_archive_compaction_faults", "Files and hours that a compaction had to leave", faults);
        m
    }

    /// A file was written.
    pub fn wrote(&self, bytes: usize, records: u64) {
        self.files.inc();
        self.bytes.inc_by(bytes as u64);
        self.records.inc_by(records);
    }
}
