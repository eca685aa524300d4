//! Events, campaigns, catalogue, dead letters and the audit.

use super::{Amount, Sum, Time};
use penstock::money::Nanos;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One event as ClickHouse holds it. Absent fields are `null`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Event {
    /// UUID.
    pub id: String,
    /// `impression`, `visit`, `click`, `conversion`.
    #[serde(rename = "type")]
    pub event_type: String,
    /// When it happened.
    pub time: Time,
    /// When the sidecar took it.
    pub received: Time,
    /// Ad server.
    pub server: String,
    /// Campaign it was attributed to; 0 = none.
    pub campaign_id: u32,
    /// What it cost.
    #[schema(value_type = String, example = "3000000")]
    pub cost_nanos: Nanos,
    /// Further columns that are not empty, by name.
    pub payload: BTreeMap<String, serde_json::Value>,
    /// Where it lies in the log.
    pub log: String,
    /// Partition of the log.
    pub partition: u32,
    /// Offset in the partition.
    pub offset: u64,
}

/// An event and where it lies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Placed {
    /// The event.
    #[serde(flatten)]
    pub event: Event,
    /// Where.
    pub place: Place,
}

/// Where an event lies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Place {
    /// Log or topic.
    pub log: String,
    /// Partition of the log.
    pub partition: u32,
    /// Offset in the partition.
    pub offset: u64,
    /// In the archive; `null` while the archive cannot be read.
    pub archive: Option<ArchivePlace>,
}

/// Where the archive has an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ArchivePlace {
    /// Path of the file below the archive's root; of the hour's folder when it is not there yet,
    /// or when several compacted files hold the hour.
    pub path: String,
    /// Whether the archive has it.
    pub found: bool,
}

/// How often each type of event was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Kpis {
    /// Visits.
    pub visits: u64,
    /// Impressions.
    pub impressions: u64,
    /// Clicks.
    pub clicks: u64,
    /// Conversions.
    pub conversions: u64,
}

/// A campaign with its money.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Campaign {
    /// Its number.
    pub campaign_id: u32,
    /// Its name.
    pub name: String,
    /// Who pays.
    pub advertiser_id: u32,
    /// The payer's name.
    pub advertiser_name: String,
    /// Currency of all amounts here.
    pub currency: String,
    /// Zone of its day.
    pub time_zone: String,
    /// `serving` or `stopped`.
    pub status: String,
    /// The weightiest of `reasons`; `null` while it serves.
    pub reason: Option<String>,
    /// Why it is stopped: `operator`, `total_budget`, `daily_budget`, `balance`, `overflow`.
    pub reasons: Vec<String>,
    /// The same with since when, who and why.
    pub stops: Vec<Stop>,
    /// Budget over its life; `null` = none.
    pub total_budget_micros: Option<Amount>,
    /// Budget a day; `null` = none.
    pub daily_budget_micros: Option<Amount>,
    /// What all campaigns of its advertiser may spend together; `null` = no limit.
    pub balance_micros: Option<Amount>,
    /// Charged over its life, adjustments included.
    #[schema(value_type = String, example = "3000000")]
    pub spent_nanos: Nanos,
    /// Charged for events of the current day in its zone.
    #[schema(value_type = String, example = "3000000")]
    pub spent_today_nanos: Nanos,
    /// Sum of its adjustments; negative when money was given back.
    #[schema(value_type = String, example = "3000000")]
    pub adjusted_nanos: Nanos,
    /// Charged past the budget.
    #[schema(value_type = String, example = "3000000")]
    pub overspend_nanos: Nanos,
    /// Charged events by type.
    pub kpis: Kpis,
    /// What events of the last 60 minutes cost, by the statistics; `null` while they do not answer.
    pub spend_per_hour_nanos: Option<Sum>,
    /// When the first of its budgets will be used up if it goes on like in the last hour; `null`
    /// when it is stopped, has none, or will not reach one (a daily budget before midnight).
    pub exhausted_at: Option<Time>,
    /// The most that may be charged past a budget before the stop is everywhere: the dearest
    /// minute of the last hour times the stop's latency and the ledger's lag.
    pub overspend_bound_nanos: Option<Sum>,
}

/// One reason why a campaign is stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Stop {
    /// Which.
    pub reason: String,
    /// Since when.
    pub since: Time,
    /// The person, for `operator`; else `penstock`.
    pub who: String,
    /// The operator's words, or what was reached.
    pub note: String,
}

/// One step of a time series. Steps without events are left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TimeseriesPoint {
    /// Start of the step.
    pub time: Time,
    /// Events by type.
    pub kpis: Kpis,
    /// What they cost.
    pub cost_nanos: Sum,
}

/// Body of `stop` and `resume`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// For the audit: 1 to 500 characters.
    pub reason: String,
}

/// Body of `PUT …/budget`. A field that is left out stays as it is; `null` takes the budget away.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Budget over the campaign's life.
    #[serde(default, with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub total_budget_micros: Option<Option<Amount>>,
    /// Budget a day.
    #[serde(default, with = "present", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub daily_budget_micros: Option<Option<Amount>>,
    /// For the audit, at most 500 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Tells `null` from "not there", which serde's own `Option` does not.
mod present {
    use super::Amount;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(value: &Option<Option<Amount>>, s: S) -> Result<S::Ok, S::Error> {
        value.flatten().serialize(s)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Option<Amount>>, D::Error> {
        Option::<Amount>::deserialize(d).map(Some)
    }
}

/// Answer of `PUT /api/v1/catalogue`. It comes when the new catalogue holds for new events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct CatalogueImported {
    /// Whether anything was changed.
    pub changed: bool,
    /// Advertisers in the file.
    pub advertisers: u64,
    /// Campaigns in the file.
    pub campaigns: u64,
    /// Tags in the file.
    pub tags: u64,
    /// Events received from this time on are priced by it.
    pub known_from: Time,
    /// What was new, changed, moved and closed.
    #[schema(value_type = Object)]
    pub report: penstock::ledger::ImportReport,
}

/// One change that somebody made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AuditEntry {
    /// Counts up.
    pub id: u64,
    /// When.
    pub time: Time,
    /// Who: `local` while the panel is open on loopback.
    pub who: String,
    /// What: `stop`, `resume`, `set_budget`, `set_balance`, `adjust`, `import`, `skip`,
    /// `dead_replay`, `gap_skip`.
    pub action: String,
    /// What it was done to, e.g. `campaign 1002`.
    pub subject: String,
    /// What was there before; `null` when nothing.
    pub before: serde_json::Value,
    /// What is there now.
    pub after: serde_json::Value,
    /// Why.
    pub why: String,
}
