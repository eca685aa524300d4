//! `GET /api/v1/status`: how the system stands.

use super::Time;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How well something does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// Works.
    Ok,
    /// Works, but somebody should look (late, retrying, paused).
    Degraded,
    /// Does not work.
    Down,
}

/// Everything `penstock status` shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Status {
    /// The worst of the roles' healths.
    pub health: Health,
    /// Version of the panel's binary.
    pub version: String,
    /// When this was taken.
    pub timestamp: Time,
    /// Roles and their health: `sidecar`, `statistics`, `balances`, `archive`, `engine`, `panel`.
    pub roles: Vec<RoleStatus>,
    /// The spool, when this process can see it.
    pub spool: Option<SpoolStatus>,
    /// The spools of the sidecars, when they run elsewhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spools: Vec<SpoolStatus>,
    /// One row per sink and log partition.
    pub sinks: Vec<SinkStatus>,
    /// Campaigns that are stopped now, by id.
    pub stopped: Vec<StoppedCampaign>,
    /// The ClickHouse engine.
    pub engine: EngineStatus,
    /// Dead letters, each counted once.
    pub dead: DeadSummary,
}

/// One role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RoleStatus {
    /// Its name.
    pub name: String,
    /// How it does.
    pub health: Health,
    /// Why it is not `ok`.
    pub reason: Option<String>,
}

/// The log on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SpoolStatus {
    /// Name of the log, `spool-…`.
    pub log: String,
    /// Bytes on disk.
    pub bytes: u64,
    /// Bytes at which appends are refused.
    pub quota_bytes: u64,
    /// Its partitions.
    pub partitions: Vec<SpoolPartition>,
}

/// One partition of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SpoolPartition {
    /// Its number.
    pub partition: u32,
    /// First offset that is kept.
    pub start: u64,
    /// First offset behind the newest acknowledged record.
    pub end: u64,
    /// First offset behind the newest durable record; readers stop here.
    pub synced: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// Records that the slowest sink has not taken in.
    pub depth: u64,
}

/// Where one sink stands in one partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SinkStatus {
    /// `statistics`, `balances`, `archive`.
    pub sink: String,
    /// Log.
    pub log: String,
    /// Partition.
    pub partition: u32,
    /// `starting`, `running`, `paused`, `retrying`, `stopped`, `failed`.
    pub state: String,
    /// Everything before this offset is written.
    pub position: u64,
    /// First offset behind the newest durable record.
    pub end: u64,
    /// Events between the two.
    pub lag_events: u64,
    /// Seconds since the oldest event that is not written was appended; 0 without a lag, `null` when not known.
    pub lag_seconds: Option<u64>,
    /// When the sink last committed; `null` before its first commit since the start.
    pub last_commit: Option<Time>,
    /// How often the pipeline was built since the process started.
    pub generation: u64,
    /// The last error, while it is being retried.
    pub error: Option<String>,
}

/// A campaign that does not serve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct StoppedCampaign {
    /// Its number.
    pub campaign_id: u32,
    /// Its name.
    pub name: String,
    /// The first of `reasons`.
    pub reason: String,
    /// Why: `operator`, `total_budget`, `daily_budget`, `balance`, `overflow`.
    pub reasons: Vec<String>,
    /// Since when the oldest of the reasons holds.
    pub since: Option<Time>,
}

/// The ClickHouse engine as the panel sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct EngineStatus {
    /// Whether it answers.
    pub health: Health,
    /// Its version, when it answers.
    pub version: Option<String>,
    /// Why it does not.
    pub error: Option<String>,
}

/// How many dead letters there are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DeadSummary {
    /// All of them; a record that two sinks refuse counts twice.
    pub total: u64,
    /// By reason.
    pub by_code: BTreeMap<String, u64>,
    /// By sink.
    pub by_sink: BTreeMap<String, u64>,
    /// Records that were appended again; their letters are still among the others.
    #[serde(default)]
    pub replayed: u64,
}
