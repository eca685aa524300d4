//! `POST /api/v1/reconcile`: whether log, archive, statistics and ledger tell the same story.

use super::{Sum, Time};
use serde::{Deserialize, Serialize};

/// Body of the request; an empty body asks with the defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReconcileRequest {
    /// Longest wait in seconds until every sink has taken in what was acknowledged when the
    /// call began. Default 60, at most 600.
    pub wait_s: Option<u64>,
}

/// The verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Reconciliation {
    /// No difference was found. Lag is no difference.
    pub equal: bool,
    /// Every sink had taken in all that was acknowledged when the call began, so the comparison
    /// covers all of it. `false`: the sinks with `lag_events` above 0 were compared up to where they stood.
    pub complete: bool,
    /// When the call began.
    pub started: Time,
    /// When the last count was taken.
    pub finished: Time,
    /// One row per log partition.
    pub partitions: Vec<PartitionReport>,
    /// The same over all partitions.
    pub totals: PartitionReport,
    /// What does not agree, at most 1 000.
    pub differences: Vec<Difference>,
    /// What was noticed on the way and may explain a difference: damaged files and the like.
    pub notes: Vec<String>,
    /// Differences that were found but are not listed.
    pub differences_left_out: u64,
}

/// A number of events and what they cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Figures {
    /// Events.
    pub events: u64,
    /// Their cost in nanos.
    pub nanos: Sum,
}

/// One log partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PartitionReport {
    /// Log; `*` in the totals.
    pub log: String,
    /// Partition; `null` in the totals.
    pub partition: Option<u32>,
    /// Events that were acknowledged when the call began.
    pub acknowledged: u64,
    /// ClickHouse.
    pub statistics: SinkReport,
    /// The ledger.
    pub balances: SinkReport,
    /// The archive.
    pub archive: SinkReport,
    /// Whether none of `differences` concerns this partition.
    pub equal: bool,
}

/// What one sink holds of one partition, below its position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SinkReport {
    /// Everything before this offset was written when the sink was looked at.
    pub position: u64,
    /// Acknowledged events that it had not taken in.
    pub lag_events: u64,
    /// Events it holds: rows, archived records, or charged + duplicates + unattributed.
    pub events: u64,
    /// Records of it in the dead letters.
    pub dead: u64,
    /// What the events cost; `null` for the archive, which prices nothing.
    pub nanos: Option<Sum>,
    /// Ledger only: events that were charged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charged: Option<Figures>,
    /// Ledger only: repeated clicks and conversions with what they would have cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duplicates: Option<Figures>,
    /// Ledger only: events without a known campaign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unattributed: Option<Figures>,
}

/// Two sides that should agree and do not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Difference {
    /// Which promise is broken, stable: `statistics_missing`, `statistics_surplus`,
    /// `statistics_doubled`, `archive_missing`, `archive_surplus`, `balances_missing`,
    /// `balances_surplus`, `archive_type`, `balances_campaign`.
    pub check: String,
    /// Log.
    pub log: String,
    /// Partition.
    pub partition: u32,
    /// The comparison covers offsets below this one.
    pub below: u64,
    /// Event type, when the comparison is by type.
    pub event_type: Option<String>,
    /// Campaign, when the comparison is by campaign (0 = not attributed).
    pub campaign_id: Option<u32>,
    /// Name of the left side: `acknowledged`, `statistics`.
    pub left: String,
    /// What it says.
    pub left_figures: Figures,
    /// Name of the right side: `statistics`, `archive`, `balances`.
    pub right: String,
    /// What it says.
    pub right_figures: Figures,
    /// Offsets at fault, when they could be named; the first few.
    pub offsets: Vec<u64>,
    /// The difference as one sentence.
    pub message: String,
}
