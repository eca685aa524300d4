//! `GET /api/v1/now`: what happens this second.

use super::{Health, RoleStatus, Time};
use serde::{Deserialize, Serialize};

/// The page *Now*.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Now {
    /// When this was taken.
    pub time: Time,
    /// The worst of the roles' healths.
    pub health: Health,
    /// Acknowledged events a second, by type, over the last second.
    pub rates: Rates,
    /// Refused events a second.
    pub rejected_per_second: f64,
    /// From a request's head to its acknowledgement over the last ten seconds; `null` without any.
    pub ack_ms: Option<Percentiles>,
    /// The last 300 seconds, oldest first.
    pub history: Vec<Moment>,
    /// The spools of all sidecars together; `null` when none is known.
    pub spool: Option<SpoolNow>,
    /// One row a sink.
    pub sinks: Vec<SinkNow>,
    /// The newest 20 reasons for which a campaign is stopped now, the newest first.
    pub stops: Vec<StopNow>,
    /// Roles and their health.
    pub roles: Vec<RoleStatus>,
    /// Dead letters.
    pub dead_total: u64,
    /// From the receipt of the event that used up a budget to the sidecar's changed answer, over
    /// all stops since the sidecars started; `null` without any.
    pub stop_latency_ms: Option<Percentiles>,
}

/// Events a second, rounded to a tenth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Rates {
    /// Impressions.
    pub impression: f64,
    /// Visits.
    pub visit: f64,
    /// Clicks.
    pub click: f64,
    /// Conversions.
    pub conversion: f64,
}

/// One second of the history.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Moment {
    /// Its end.
    pub time: Time,
    /// Events a second by type.
    #[serde(flatten)]
    pub rates: Rates,
}

/// Median and 99th percentile, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Percentiles {
    /// Half of all lie at or below.
    pub p50: f64,
    /// 99 of 100 lie at or below.
    pub p99: f64,
}

/// How full the spools are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SpoolNow {
    /// Bytes on disk.
    pub bytes: u64,
    /// Bytes at which appends are refused.
    pub quota_bytes: u64,
    /// Records that the slowest sink has not taken in.
    pub depth_events: u64,
    /// Seconds until the quota is reached at the last minute's growth; `null` while it does not grow.
    pub seconds_left: Option<u64>,
}

/// One sink over all its partitions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SinkNow {
    /// `statistics`, `balances`, `archive`.
    pub sink: String,
    /// The worst state of its partitions.
    pub state: String,
    /// Events that are not taken in, over all partitions.
    pub lag_events: u64,
    /// The longest lag of a partition; `null` when one does not know.
    pub lag_seconds: Option<u64>,
    /// How many partitions.
    pub partitions: u64,
}

/// A campaign that is stopped for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct StopNow {
    /// Its number.
    pub campaign_id: u32,
    /// Its name.
    pub name: String,
    /// `operator`, `total_budget`, `daily_budget`, `balance`, `overflow`.
    pub reason: String,
    /// Since when.
    pub since: Time,
    /// The person, for `operator`; else `penstock`.
    pub who: String,
    /// The operator's words, or what was reached.
    pub note: String,
}
