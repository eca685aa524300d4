//! Where log and sinks stand: of this process, from its pipelines' handles and its spool, or of
//! others, by whoever asks them.

use crate::api::types::{Health, RoleStatus, SinkStatus, SpoolStatus, Time};
use crate::app::SpoolView;
use crate::now::exposition::Counters;
use crate::reconcile::{Progress, SinkName};
use penstock::log::{LogId, Offset};
use penstock::pipeline::{PipelineHandle, State, Status};
use penstock::time::Micros;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where log and sinks stand.
pub trait Standing: Progress {
    /// One row per pipeline, by sink and partition.
    fn sinks(&self, now: Micros) -> Vec<SinkStatus>;
    /// The spool of this process, when it has one.
    fn spool(&self) -> Option<SpoolStatus>;
    /// The spools of other processes.
    fn spools(&self) -> Vec<SpoolStatus> {
        Vec::new()
    }
    /// What the sidecars of other processes have counted, by their addresses.
    fn counters(&self) -> Vec<(String, Counters)> {
        Vec::new()
    }
}

/// The pipelines and the spool of this process.
pub struct Live {
    pipelines: Vec<PipelineHandle>,
    spool: Option<Arc<dyn SpoolView>>,
}

impl Live {
    /// One handle per sink and log partition, and the log's spool.
    #[must_use]
    pub fn new(pipelines: Vec<PipelineHandle>, spool: Option<Arc<dyn SpoolView>>) -> Live {
        Live { pipelines, spool }
    }
}

impl Standing for Live {
    fn spool(&self) -> Option<SpoolStatus> {
        self.spool.as_ref().map(|s| s.usage())
    }

    fn sinks(&self, now: Micros) -> Vec<SinkStatus> {
        // A pipeline looks at the end of its log when it has read: one that fills a range for half a
        // minute would show no lag meanwhile. The spool knows its end now.
        let spool = self.spool();
        let synced = |status: &Status| {
            let spool = spool.as_ref().filter(|spool| spool.log == status.log)?;
            spool.partitions.iter().find(|p| p.partition == status.partition).map(|p| p.synced)
        };
        let row = |handle: &PipelineHandle| {
            let mut status = handle.status();
            status.end = status.end.max(synced(&status));
            shown(status, now)
        };
        let mut rows: Vec<SinkStatus> = self.pipelines.iter().map(row).collect();
        rows.sort_by(|a, b| (&a.sink, &a.log, a.partition).cmp(&(&b.sink, &b.log, b.partition)));
        rows
    }
}

/// One role a sink: as healthy as its worst partition.
pub(crate) fn roles(sinks: &[SinkStatus]) -> Vec<RoleStatus> {
    let mut roles = BTreeMap::<&str, RoleStatus>::new();
    for sink in sinks {
        let health = match sink.state.as_str() {
            "running" => Health::Ok,
            "failed" | "stopped" => Health::Down,
            _ => Health::Degraded,
        };
        let role = roles.entry(&sink.sink).or_insert_with(|| RoleStatus {
            name: sink.sink.clone(),
            health: Health::Ok,
            reason: None,
        });
        if health > role.health {
            role.health = health;
            let why = sink.error.as_deref().map(|e| format!(": {e}")).unwrap_or_default();
            role.reason = Some(format!("{}/{} is {}{why}", sink.log, sink.partition, sink.state));
        }
    }
    roles.into_values().collect()
}

/// How one pipeline stands at `now`, as the status shows it.
#[must_use]
pub fn sink_status(handle: &PipelineHandle, now: Micros) -> SinkStatus {
    shown(handle.status(), now)
}

fn shown(status: Status, now: Micros) -> SinkStatus {
    let (state, error) = match &status.state {
        State::Starting => ("starting", None),
        State::Running => ("running", None),
        State::Retrying { reason } => ("retrying", Some(reason.clone())),
        State::Paused => ("paused", None),
        State::Stopped => ("stopped", None),
        State::Failed { reason } => ("failed", Some(reason.clone())),
    };
    SinkStatus {
        sink: status.sink.to_owned(),
        partition: status.partition,
        state: state.to_owned(),
        position: status.next.unwrap_or(0),
        end: status.end.unwrap_or(0),
        lag_events: status.lag_events(),
        lag_seconds: status.lag(now).map(|lag| lag.as_secs()),
        last_commit: status.last_commit.map(Time),
        generation: status.generation,
        error,
        log: status.log,
    }
}

impl Progress for Live {
    fn acknowledged(&self) -> BTreeMap<LogId, Offset> {
        if let Some(spool) = self.spool() {
            let name: Arc<str> = spool.log.into();
            return spool
                .partitions
                .into_iter()
                .map(|p| (LogId { name: name.clone(), partition: p.partition }, p.end))
                .collect();
        }
        // Without the spool at hand, the newest end that a pipeline has seen.
        let mut ends = BTreeMap::<LogId, Offset>::new();
        for status in self.pipelines.iter().map(PipelineHandle::status) {
            let end = ends.entry(LogId { name: status.log.into(), partition: status.partition }).or_default();
            *end = (*end).max(status.end.unwrap_or(0));
        }
        ends
    }

    fn positions(&self) -> BTreeMap<(SinkName, LogId), Offset> {
        let statuses = self.pipelines.iter().map(PipelineHandle::status);
        statuses
            .filter_map(|s| {
                let log = LogId { name: s.log.into(), partition: s.partition };
                Some(((SinkName::from_name(s.sink)?, log), s.next?))
            })
            .collect()
    }

    fn flush(&self, sink: SinkName, log: &LogId) {
        let is_meant = |handle: &&PipelineHandle| {
            let status = handle.status();
            status.sink == sink.name() && status.log == *log.name && status.partition == log.partition
        };
        self.pipelines.iter().filter(is_meant).for_each(PipelineHandle::flush);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::types::SpoolPartition;

    struct Written;

    impl SpoolView for Written {
        fn usage(&self) -> SpoolStatus {
            let partition = SpoolPartition { partition: 0, start: 0, end: 9, synced: 7, bytes: 1, depth: 7 };
            SpoolStatus { log: "spool-1".to_owned(), bytes: 1, quota_bytes: 2, partitions: vec![partition] }
        }
    }

    #[test]
    fn what_is_in_the_spool_and_not_in_a_sink_is_a_lag_before_its_pipeline_has_looked() {
        let handle = |log: &str| PipelineHandle::new("archive", LogId { name: log.into(), partition: 0 });
        let live = Live::new(vec![handle("spool-1"), handle("another")], Some(Arc::new(Written)));
        let rows = live.sinks(Micros(0));
        let lags: Vec<(&str, u64)> = rows.iter().map(|r| (r.log.as_str(), r.lag_events)).collect();
        assert_eq!(lags, [("another", 0), ("spool-1", 7)]);
    }
}
