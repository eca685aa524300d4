//! Where the sinks of other processes stand.

use super::peers::Peers;
use penstock::log::{LogId, Offset};
use penstock::time::Micros;
use penstock_panel::Standing;
use penstock_panel::api::types::{SinkStatus, SpoolStatus};
use penstock_panel::reconcile::{Later, Progress, SinkName};
use std::collections::BTreeMap;
use tokio::time::Instant;

/// The other roles, as far as they are known.
pub struct Elsewhere {
    peers: Peers,
}

impl Elsewhere {
    /// By what `peers` say.
    pub fn new(peers: Peers) -> Elsewhere {
        Elsewhere { peers }
    }
}

impl Standing for Elsewhere {
    fn sinks(&self, _now: Micros) -> Vec<SinkStatus> {
        self.peers.sinks()
    }

    fn spool(&self) -> Option<SpoolStatus> {
        None
    }

    fn spools(&self) -> Vec<SpoolStatus> {
        self.peers.spools()
    }
}

impl Progress for Elsewhere {
    fn acknowledged(&self) -> BTreeMap<LogId, Offset> {
        let mut ends = BTreeMap::<LogId, Offset>::new();
        for sink in self.peers.sinks() {
            let end = ends.entry(LogId { name: sink.log.into(), partition: sink.partition }).or_default();
            *end = (*end).max(sink.end);
        }
        ends
    }

    fn positions(&self) -> BTreeMap<(SinkName, LogId), Offset> {
        let position = |sink: SinkStatus| {
            let log = LogId { name: sink.log.into(), partition: sink.partition };
            Some(((SinkName::from_name(&sink.sink)?, log), sink.position))
        };
        self.peers.sinks().into_iter().filter_map(position).collect()
    }

    fn flush(&self, _sink: SinkName, _log: &LogId) {
        self.peers.flush();
    }

    fn settle(&self, deadline: Instant) -> Later<'_, Vec<String>> {
        Box::pin(async move { Ok(self.peers.forwarded(deadline).await) })
    }
}
