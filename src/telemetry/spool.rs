//! Metrics of the spools.
//!
//! | name | kind | labels | counts |
//! |---|---|---|---|
//! | `penstock_spool_groups_total` | counter | `spool` | groups (requests) written |
//! | `penstock_spool_records_total` | counter | `spool` | records written |
//! | `penstock_spool_written_bytes_total` | counter | `spool` | bytes written to segments, frames included |
//! | `penstock_spool_writes_total` | counter | `spool` | write calls; groups per write is the group commit |
//! | `penstock_spool_sync_seconds` | histogram | `spool` | time of one fdatasync of a segment |
//! | `penstock_spool_failures_total` | counter | `spool`, `what` | failed writes, syncs, position stores |
//! | `penstock_spool_full_total` | counter | `spool` | groups refused at quota or reserve |
//! | `penstock_spool_corrupt_records_total` | counter | `spool` | holes handed to readers |
//! | `penstock_spool_cut_bytes_total` | counter | `spool` | torn tail cut at open |
//! | `penstock_spool_removed_segments_total` | counter | `spool` | segments that every reader has passed |
//! | `penstock_spool_bytes` | gauge | `spool` | bytes on disk, all partitions |
//! | `penstock_spool_quota_bytes` | gauge | `spool` | bytes at which appends are refused |
//! | `penstock_spool_free_bytes` | gauge | `spool` | free bytes of its device |
//! | `penstock_spool_reserve_bytes` | gauge | `spool` | free bytes below which appends are refused |
//! | `penstock_spool_depth_records` | gauge | `spool` | records behind the slowest registered reader, all partitions |
//! | `penstock_spool_idempotency_keys` | gauge | `spool` | keys remembered or under way |

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Label {
    spool: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FailureLabel {
    spool: String,
    what: &'static str,
}

type Syncs = Family<Label, Histogram, fn() -> Histogram>;

/// The spools' metric families; one per process.
#[derive(Clone, Debug)]
pub struct SpoolMetrics {
    groups: Family<Label, Counter>,
    records: Family<Label, Counter>,
    written: Family<Label, Counter>,
    writes: Family<Label, Counter>,
    syncs: Syncs,
    failures: Family<FailureLabel, Counter>,
    full: Family<Label, Counter>,
    corrupt: Family<Label, Counter>,
    cut: Family<Label, Counter>,
    removed: Family<Label, Counter>,
    bytes: Family<Label, Gauge>,
    quota: Family<Label, Gauge>,
    free: Family<Label, Gauge>,
    reserve: Family<Label, Gauge>,
    depth: Family<Label, Gauge>,
    keys: Family<Label, Gauge>,
}

/// What one spool counts; cheap to clone. `SpoolCounters::default()` counts for nobody.
#[derive(Clone, Debug)]
pub struct SpoolCounters {
    /// Groups written.
    pub groups: Counter,
    /// Records written.
    pub records: Counter,
    /// Bytes written to segments.
    pub written: Counter,
    /// Write calls.
    pub writes: Counter,
    /// Seconds of one fdatasync.
    pub syncs: Histogram,
    /// Failed writes.
    pub write_failures: Counter,
    /// Failed syncs.
    pub sync_failures: Counter,
    /// Failed stores of positions.
    pub position_failures: Counter,
    /// Groups refused for lack of space.
    pub full: Counter,
    /// Holes handed to readers.
    pub corrupt: Counter,
    /// Bytes of torn tails cut at open.
    pub cut: Counter,
    /// Segments removed by retention.
    pub removed: Counter,
    /// Bytes on disk.
    pub bytes: Gauge,
    /// Bytes at which appends are refused.
    pub quota: Gauge,
    /// Free bytes of the device.
    pub free: Gauge,
    /// Free bytes below which appends are refused.
    pub reserve: Gauge,
    /// Records behind the slowest reader.
    pub depth: Gauge,
    /// Idempotency keys in the table.
    pub keys: Gauge,
}

fn sync_buckets() -> Histogram {
    Histogram::new([0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0])
}

impl SpoolMetrics {
    /// Declares the families in `registry`.
    pub fn register(registry: &mut Registry) -> Self {
        let all = SpoolMetrics {
            groups: Family::default(),
            records: Family::default(),
            written: Family::default(),
            writes: Family::default(),
            syncs: Family::new_with_constructor(sync_buckets),
            failures: Family::default(),
            full: Family::default(),
            corrupt: Family::default(),
            cut: Family::default(),
            removed: Family::default(),
            bytes: Family::default(),
            quota: Family::default(),
            free: Family::default(),
            reserve: Family::default(),
            depth: Family::default(),
            keys: Family::default(),
        };
        registry.register("penstock_spool_groups", "Groups (requests) written", all.groups.clone());
        registry.register("penstock_spool_records", "Records written", all.records.clone());
        registry.register("penstock_spool_written_bytes", "Bytes written to segments", all.written.clone());
        registry.register("penstock_spool_writes", "Write calls", all.writes.clone());
        registry.register("penstock_spool_sync_seconds", "Time of one fdatasync of a segment", all.syncs.clone());
        registry.register("penstock_spool_failures", "Failed writes, syncs, position stores", all.failures.clone());
        registry.register("penstock_spool_full", "Groups refused at quota or reserve", all.full.clone());
        registry.register("penstock_spool_corrupt_records", "Holes handed to readers", all.corrupt.clone());
        registry.register("penstock_spool_cut_bytes", "Torn tail cut at open", all.cut.clone());
        registry.register("penstock_spool_removed_segments", "Segments that all readers passed", all.removed.clone());
        registry.register("penstock_spool_bytes", "Bytes on disk, all partitions", all.bytes.clone());
        registry.register("penstock_spool_quota_bytes", "Bytes at which appends are refused", all.quota.clone());
        registry.register("penstock_spool_free_bytes", "Free bytes of its device", all.free.clone());
        let help = "Free bytes below which appends are refused";
        registry.register("penstock_spool_reserve_bytes", help, all.reserve.clone());
        registry.register("penstock_spool_depth_records", "Records behind the slowest reader", all.depth.clone());
        registry.register("penstock_spool_idempotency_keys", "Keys remembered or under way", all.keys.clone());
        all
    }

    /// The counters of the spool called `name`: `events`, `dead`, `campaign-state`, ….
    #[must_use]
    pub fn of(&self, name: &str) -> SpoolCounters {
        let label = Label { spool: name.to_owned() };
        let failure = |what| self.failures.get_or_create_owned(&FailureLabel { spool: name.to_owned(), what });
        SpoolCounters {
            groups: self.groups.get_or_create_owned(&label),
            records: self.records.get_or_create_owned(&label),
            written: self.written.get_or_create_owned(&label),
            writes: self.writes.get_or_create_owned(&label),
            syncs: self.syncs.get_or_create_owned(&label),
            write_failures: failure("write"),
            sync_failures: failure("sync"),
            position_failures: failure("position"),
            full: self.full.get_or_create_owned(&label),
            corrupt: self.corrupt.get_or_create_owned(&label),
            cut: self.cut.get_or_create_owned(&label),
            removed: self.removed.get_or_create_owned(&label),
            bytes: self.bytes.get_or_create_owned(&label),
            quota: self.quota.get_or_create_owned(&label),
            free: self.free.get_or_create_owned(&label),
            reserve: self.reserve.get_or_create_owned(&label),
            depth: self.depth.get_or_create_owned(&label),
            keys: self.keys.get_or_create_owned(&label),
        }
    }
}

impl Default for SpoolCounters {
    fn default() -> Self {
        SpoolCounters {
            groups: Counter::default(),
            records: Counter::default(),
            written: Counter::default(),
            writes: Counter::default(),
            syncs: sync_buckets(),
            write_failures: Counter::default(),
            sync_failures: Counter::default(),
            position_failures: Counter::default(),
            full: Counter::default(),
            corrupt: Counter::default(),
            cut: Counter::default(),
            removed: Counter::default(),
            bytes: Gauge::default(),
            quota: Gauge::default(),
            free: Gauge::default(),
            reserve: Gauge::default(),
            depth: Gauge::default(),
            keys: Gauge::default(),
        }
    }
}

impl SpoolCounters {
    /// Records how long one sync took.
    pub fn synced_in(&self, took: Duration) {
        self.syncs.observe(took.as_secs_f64());
    }
}
