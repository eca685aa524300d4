//! How everything stands, asked of all parts at once: the status page and the page *Now*.
//!
//! It never fails: a part that does not answer is shown as down.

use crate::api::types::{
    DeadSummary, EngineStatus, Health, Moment, Now, Percentiles, Rates, RoleStatus, SinkNow, SinkStatus, SpoolNow,
    SpoolStatus, Status, StopNow, Time, fraction,
};
use crate::app::App;
use crate::live;
use crate::now::{Second, Told};
use penstock::ledger::{Ledger, StoppedCampaign};
use penstock::time::Micros;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Stops that *Now* shows.
const NEWEST_STOPS: usize = 20;

/// What all parts said.
pub(crate) struct Standing {
    at: Micros,
    roles: Vec<RoleStatus>,
    sinks: Vec<SinkStatus>,
    spool: Option<SpoolStatus>,
    spools: Vec<SpoolStatus>,
    stopped: Vec<StoppedCampaign>,
    engine: EngineStatus,
    dead: DeadSummary,
}

/// Asks all parts.
pub(crate) async fn ask<L: Ledger>(app: &App<L>) -> Standing {
    let (engine, stopped, dead) = futures::join!(engine(app), app.ledger.stopped(), app.dead.summary());
    let at = app.clock.now();
    let sinks = app.live.sinks(at);
    let mut roles = live::roles(&sinks);
    roles.extend(app.roles.iter().map(|probe| probe()));
    roles.push(role("engine", engine.error.clone()));
    roles.push(role("ledger", stopped.as_ref().err().map(ToString::to_string)));
    if let Err(error) = &dead {
        roles.push(role("dead_letters", Some(error.to_string())));
    }
    roles.push(role("panel", None));
    roles.sort_by(|a, b| a.name.cmp(&b.name));
    Standing {
        at,
        roles,
        sinks,
        spool: app.live.spool(),
        spools: app.live.spools(),
        stopped: stopped.unwrap_or_default(),
        engine,
        dead: dead.unwrap_or_default(),
    }
}

/// Whether ClickHouse answers.
pub(crate) async fn engine<L: Ledger>(app: &App<L>) -> EngineStatus {
    match app.statistics.version().await {
        Ok(version) => EngineStatus { health: Health::Ok, version: Some(version), error: None },
        Err(error) => EngineStatus { health: Health::Down, version: None, error: Some(error.to_string()) },
    }
}

/// The page *Now*, put together at most once a second however many look at it.
pub(crate) async fn now<L: Ledger>(app: &App<L>) -> Arc<Now> {
    app.now.get_with((), async { Arc::new(ask(app).await.now(&app.sampler.tell())) }).await
}

fn role(name: &str, error: Option<String>) -> RoleStatus {
    let health = if error.is_some() { Health::Down } else { Health::Ok };
    RoleStatus { name: name.to_owned(), health, reason: error }
}

impl Standing {
    fn health(&self) -> Health {
        self.roles.iter().map(|r| r.health).max().unwrap_or(Health::Ok)
    }

    /// As `GET /api/v1/status` tells it.
    pub(crate) fn status(self) -> Status {
        Status {
            health: self.health(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            timestamp: Time(self.at),
            roles: self.roles,
            spool: self.spool,
            spools: self.spools,
            sinks: self.sinks,
            stopped: self.stopped.into_iter().map(Into::into).collect(),
            engine: self.engine,
            dead: self.dead,
        }
    }

    /// As `GET /api/v1/now` tells it.
    fn now(self, told: &Told) -> Now {
        let history: Vec<Moment> = told.history.iter().map(moment).collect();
        Now {
            time: Time(self.at),
            health: self.health(),
            rates: history.last().map(|m| m.rates).unwrap_or_default(),
            rejected_per_second: fraction(told.rejected_tenths, 10),
            ack_ms: told.ack.map(percentiles),
            history,
            spool: spool(self.spool.iter().chain(&self.spools), told.growth),
            sinks: sinks(&self.sinks),
            stops: stops(self.stopped),
            roles: self.roles,
            dead_total: self.dead.total,
            stop_latency_ms: told.stop_latency.map(percentiles),
        }
    }
}

fn percentiles((p50, p99): (u64, u64)) -> Percentiles {
    // Microseconds, shown to a hundredth of a millisecond.
    Percentiles { p50: fraction(p50.div_ceil(10), 100), p99: fraction(p99.div_ceil(10), 100) }
}

fn moment(second: &Second) -> Moment {
    let of = |kind: &str| fraction(second.tenths.get(kind).copied().unwrap_or(0), 10);
    let rates =
        Rates { impression: of("impression"), visit: of("visit"), click: of("click"), conversion: of("conversion") };
    Moment { time: Time(second.at), rates }
}

fn spool<'a>(spools: impl Iterator<Item = &'a SpoolStatus>, growth: Option<i64>) -> Option<SpoolNow> {
    let mut sum: Option<SpoolNow> = None;
    for one in spools {
        let sum = sum.get_or_insert(SpoolNow { bytes: 0, quota_bytes: 0, depth_events: 0, seconds_left: None });
        sum.bytes = sum.bytes.saturating_add(one.bytes);
        sum.quota_bytes = sum.quota_bytes.saturating_add(one.quota_bytes);
        sum.depth_events += one.partitions.iter().map(|p| p.depth).sum::<u64>();
    }
    let mut sum = sum?;
    let grows = growth.and_then(|g| u64::try_from(g).ok()).filter(|g| *g > 0);
    sum.seconds_left = grows.map(|g| sum.quota_bytes.saturating_sub(sum.bytes) / g);
    Some(sum)
}

/// How bad a state is.
fn weight(state: &str) -> u8 {
    match state {
        "failed" => 5,
        "stopped" => 4,
        "retrying" => 3,
        "paused" => 2,
        "starting" => 1,
        _ => 0,
    }
}

fn sinks(rows: &[SinkStatus]) -> Vec<SinkNow> {
    let mut sinks = BTreeMap::<&str, SinkNow>::new();
    for row in rows {
        let sink = sinks.entry(&row.sink).or_insert_with(|| SinkNow {
            sink: row.sink.clone(),
            state: row.state.clone(),
            lag_events: 0,
            lag_seconds: Some(0),
            partitions: 0,
        });
        if weight(&row.state) > weight(&sink.state) {
            sink.state.clone_from(&row.state);
        }
        sink.lag_events += row.lag_events;
        sink.lag_seconds = sink.lag_seconds.zip(row.lag_seconds).map(|(a, b)| a.max(b));
        sink.partitions += 1;
    }
    sinks.into_values().collect()
}

fn stops(stopped: Vec<StoppedCampaign>) -> Vec<StopNow> {
    let mut stops: Vec<StopNow> = Vec::new();
    for campaign in stopped {
        stops.extend(campaign.stops.into_iter().map(|stop| StopNow {
            campaign_id: campaign.campaign_id,
            name: campaign.name.clone(),
            reason: stop.reason.name().to_owned(),
            since: Time(stop.since),
            who: stop.who,
            note: stop.note,
        }));
    }
    stops.sort_by(|a, b| b.since.cmp(&a.since).then(a.campaign_id.cmp(&b.campaign_id)));
    stops.truncate(NEWEST_STOPS);
    stops
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(state: &str, lag_seconds: Option<u64>) -> SinkStatus {
        SinkStatus {
            sink: "archive".to_owned(),
            log: "l".to_owned(),
            partition: 0,
            state: state.to_owned(),
            position: 0,
            end: 5,
            lag_events: 5,
            lag_seconds,
            last_commit: None,
            generation: 0,
            error: None,
        }
    }

    #[test]
    fn a_sink_is_as_bad_as_its_worst_partition() {
        let rows = [partition("running", Some(3)), partition("failed", Some(9)), partition("retrying", Some(1))];
        let sink = &sinks(&rows)[0];
        assert_eq!(
            (sink.state.as_str(), sink.lag_events, sink.lag_seconds, sink.partitions),
            ("failed", 15, Some(9), 3)
        );
        assert_eq!(sinks(&[partition("running", Some(3)), partition("running", None)])[0].lag_seconds, None);
    }

    #[test]
    fn the_time_left_is_what_is_free_over_how_fast_it_fills() {
        let one = SpoolStatus { log: "l".to_owned(), bytes: 100, quota_bytes: 1_000, partitions: Vec::new() };
        assert_eq!(spool([&one, &one].into_iter(), Some(50)).unwrap().seconds_left, Some(36));
        assert_eq!(spool([&one].into_iter(), Some(-5)).unwrap().seconds_left, None);
        assert_eq!(spool(std::iter::empty(), Some(1)), None);
    }
}
