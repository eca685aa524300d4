//! Metrics of the pipelines. They count what happened: records a sink took and whose position is
//! stored, letters that are durable, never what was tried.

use crate::log::{FlushReason, LogId};
use crate::time::Micros;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

/// One pipeline.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Of {
    /// The sink's name.
    pub sink: &'static str,
    /// The log's name: a consumer reads several topics.
    pub log: Arc<str>,
    /// The partition.
    pub partition: u32,
}

/// One pipeline and a kind of thing that happened to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OfKind {
    /// The sink's name.
    pub sink: &'static str,
    /// The log's name.
    pub log: Arc<str>,
    /// The partition.
    pub partition: u32,
    /// What kind; see the metric.
    pub kind: &'static str,
}

type Histograms = Family<Of, Histogram, fn() -> Histogram>;

/// All pipelines of a process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct PipelineMetrics {
    written: Family<Of, Counter>,
    dead: Family<OfKind, Counter>,
    ranges: Family<OfKind, Counter>,
    retries: Family<OfKind, Counter>,
    gaps: Family<Of, Counter>,
    failures: Family<Of, Counter>,
    snapshot_alerts: Family<Of, Counter>,
    lag: Family<Of, Gauge>,
    fresh: Family<Of, Gauge<f64, AtomicU64>>,
    position: Family<Of, Gauge>,
    generation: Family<Of, Gauge>,
    write_seconds: Histograms,
}

impl PipelineMetrics {
    /// Declares the metrics in `registry`.
    pub fn register(registry: &mut Registry) -> Self {
        let m = Self::detached();
        let r = registry;
        r.register("penstock_pipeline_records", "Records a sink took, their position stored", m.written.clone());
        r.register("penstock_pipeline_dead", "Records that became dead letters; kind: the reason", m.dead.clone());
        r.register("penstock_pipeline_ranges", "Committed ranges; kind: why the range was closed", m.ranges.clone());
        r.register(
            "penstock_pipeline_retries",
            "Failed calls that are made again; kind: read, store, start, held, write, write_unknown, dead, gap",
            m.retries.clone(),
        );
        r.register("penstock_pipeline_gaps", "Times that retention had passed unread records: alert", m.gaps.clone());
        r.register("penstock_pipeline_failures", "Times that a pipeline ended by itself", m.failures.clone());
        r.register(
            "penstock_pipeline_snapshot_alerts",
            "Ranges that waited too long for a newer catalogue: alert",
            m.snapshot_alerts.clone(),
        );
        r.register("penstock_pipeline_lag_records", "Durable records that are not committed", m.lag.clone());
        // The lag in seconds is what lies between this and the time of whoever asks: so it grows also
        // while the pipeline stands still or its process is gone.
        r.register(
            "penstock_pipeline_fresh_timestamp_seconds",
            "Unix time up to which everything that was appended is in the sink",
            m.fresh.clone(),
        );
        r.register("penstock_pipeline_position", "First offset that is not committed", m.position.clone());
        r.register("penstock_pipeline_generation", "How often the pipeline was built anew", m.generation.clone());
        r.register(
            "penstock_pipeline_write_seconds",
            "Time of the write of a range that succeeded, retries included",
            m.write_seconds.clone(),
        );
        m
    }

    /// Metrics that nobody scrapes, for tests.
    #[must_use]
    pub fn detached() -> Self {
        PipelineMetrics {
            written: Family::default(),
            dead: Family::default(),
            ranges: Family::default(),
            retries: Family::default(),
            gaps: Family::default(),
            failures: Family::default(),
            snapshot_alerts: Family::default(),
            lag: Family::default(),
            fresh: Family::default(),
            position: Family::default(),
            generation: Family::default(),
            write_seconds: Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.001, 2.0, 18))),
        }
    }

    /// Takes the gauges of a pipeline that this process runs no more: its new owner shows them, and
    /// an old value would be taken for a lag that nobody works off. What was counted stays.
    pub fn forget(&self, sink: &'static str, log: &LogId) {
        let of = Of { sink, log: Arc::clone(&log.name), partition: log.partition };
        for gauges in [&self.lag, &self.position, &self.generation] {
            gauges.remove(&of);
        }
    }

    /// The metrics of one pipeline.
    #[must_use]
    pub fn of(&self, sink: &'static str, log: &LogId) -> OnePipeline {
        let of = Of { sink, log: Arc::clone(&log.name), partition: log.partition };
        OnePipeline {
            written: self.written.get_or_create_owned(&of),
            gaps: self.gaps.get_or_create_owned(&of),
            failures: self.failures.get_or_create_owned(&of),
            snapshot_alerts: self.snapshot_alerts.get_or_create_owned(&of),
            lag: self.lag.get_or_create_owned(&of),
            position: self.position.get_or_create_owned(&of),
            generation: self.generation.get_or_create_owned(&of),
            write_seconds: self.write_seconds.get_or_create_owned(&of),
            all: self.clone(),
            of,
        }
    }
}

/// The metrics of one pipeline; looked up once, updated once a range.
#[derive(Clone, Debug)]
pub struct OnePipeline {
    all: PipelineMetrics,
    of: Of,
    /// Records the sink took.
    pub written: Counter,
    /// Gaps met.
    pub gaps: Counter,
    /// Ends by itself.
    pub failures: Counter,
    /// Ranges that waited too long for a catalogue.
    pub snapshot_alerts: Counter,
    lag: Gauge,
    position: Gauge,
    generation: Gauge,
    write_seconds: Histogram,
}

impl OnePipeline {
    fn kind(&self, kind: &'static str) -> OfKind {
        OfKind { sink: self.of.sink, log: Arc::clone(&self.of.log), partition: self.of.partition, kind }
    }

    /// `n` records became dead letters with this code.
    pub fn dead(&self, code: &'static str, n: u64) {
        self.all.dead.get_or_create(&self.kind(code)).inc_by(n);
    }

    /// A range was committed that had been closed for this reason.
    pub fn range(&self, reason: FlushReason) {
        self.all.ranges.get_or_create(&self.kind(reason.name())).inc();
    }

    /// A call of this kind failed and will be made again.
    pub fn retry(&self, kind: &'static str) {
        self.all.retries.get_or_create(&self.kind(kind)).inc();
    }

    /// The sink took a range, `took` after the first attempt began.
    pub fn wrote(&self, took: Duration) {
        self.write_seconds.observe(took.as_secs_f64());
    }

    /// Where the pipeline stands. `fresh`: everything appended before is in the sink; `None` while
    /// there is a lag and nothing has been committed since the process started.
    pub fn stands(&self, next: u64, end: u64, generation: u64, fresh: Option<Micros>) {
        let gauge = |v: u64| i64::try_from(v).unwrap_or(i64::MAX);
        self.position.set(gauge(next));
        self.lag.set(gauge(end.saturating_sub(next)));
        self.generation.set(gauge(generation));
        if let Some(fresh) = fresh {
            // Not before it is known: 0 would be fifty years of lag.
            self.all.fresh.get_or_create(&self.of).set(seconds(fresh));
        }
    }
}

/// As Prometheus has times: seconds since the epoch.
pub(super) fn seconds(at: Micros) -> f64 {
    Duration::from_micros(u64::try_from(at.0).unwrap_or(0)).as_secs_f64()
}
