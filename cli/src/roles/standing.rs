//! Where the sinks of other processes stand: their groups' positions and the topics' ends by the
//! brokers, how their pipelines do by themselves.

use super::peers::Peers;
use penstock::log::kafka::GroupsView;
use penstock::log::{LogId, Offset};
use penstock::settings::ConsumeSettings;
use penstock::time::Micros;
use penstock_panel::api::types::{SinkStatus, SpoolStatus};
use penstock_panel::reconcile::{Later, Progress, SinkName};
use penstock_panel::{Counters, Standing};
use std::collections::BTreeMap;
use tokio::time::Instant;

/// The other roles, as far as they are known.
pub struct Elsewhere {
    peers: Peers,
    groups: GroupsView,
    consume: ConsumeSettings,
}

impl Elsewhere {
    /// By what `peers` and the brokers say.
    pub fn new(peers: Peers, groups: GroupsView, consume: ConsumeSettings) -> Elsewhere {
        Elsewhere { peers, groups, consume }
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

    fn counters(&self) -> Vec<(String, Counters)> {
        self.peers.counters()
    }
}

impl Progress for Elsewhere {
    fn acknowledged(&self) -> BTreeMap<LogId, Offset> {
        self.groups.seen().ends
    }

    fn positions(&self) -> BTreeMap<(SinkName, LogId), Offset> {
        let seen = self.groups.seen();
        let mut positions = BTreeMap::new();
        for sink in SinkName::ALL {
            let stored = seen.positions.get(&self.consume.group(sink.name()));
            // A partition that nobody has stored a position of is at its beginning.
            for log in seen.ends.keys() {
                let next = stored.and_then(|s| s.get(log)).copied().unwrap_or(0);
                positions.insert((sink, log.clone()), next);
            }
        }
        positions
    }

    fn flush(&self, _sink: SinkName, _log: &LogId) {
        self.peers.flush();
    }

    fn settle(&self, deadline: Instant) -> Later<'_, Vec<String>> {
        Box::pin(async move {
            let mut late = self.peers.forwarded(deadline).await;
            self.groups.refresh().await;
            late.extend(self.groups.seen().error.map(|e| format!("the brokers do not say where topics end: {e}")));
            Ok(late)
        })
    }
}
