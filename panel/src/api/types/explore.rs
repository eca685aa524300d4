//! Tables of `GET /api/v1/explore` and the lists around them.

use super::{Sum, Time};
use penstock::money::Nanos;
use serde::{Deserialize, Serialize};

/// A table: one array a row, its cells in the order of `columns`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Table {
    /// What the cells are.
    pub columns: Vec<Column>,
    /// Rows of cells: texts and amounts are strings, counts and ratios numbers. `null`: a ratio without
    /// a divisor, and an amount that would add different currencies.
    pub rows: Vec<Vec<serde_json::Value>>,
    /// There are more rows than `limit`.
    pub truncated: bool,
}

/// One column of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Column {
    /// Its name: a dimension's, a measure's, or `time`.
    pub name: String,
    /// `dimension`, `measure`, `time`.
    pub kind: String,
    /// Of a measure: `count`, `nanos`, `micros`, `ratio`.
    pub unit: Option<String>,
}

/// A value of a dimension and how often it is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DimensionValue {
    /// The value, as filters take it.
    pub value: String,
    /// Events with it.
    pub events: u64,
}

/// Events of one type in ten seconds of their own time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Window {
    /// Its begin.
    pub window_start: Time,
    /// The type.
    #[serde(rename = "type")]
    pub event_type: String,
    /// How many.
    pub count: u64,
}

/// What a campaign was charged in one hour for events of one type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LedgerLine {
    /// The hour's begin.
    pub hour: Time,
    /// The type.
    #[serde(rename = "type")]
    pub event_type: String,
    /// Charged events.
    pub events: u64,
    /// What they cost.
    #[schema(value_type = String, example = "3000000")]
    pub cost_nanos: Nanos,
}

/// A correction by hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AdjustmentLine {
    /// Its number.
    pub id: u64,
    /// When it was made.
    pub time: Time,
    /// `refund`, `reversal`, `correction`.
    pub kind: String,
    /// Added to what is spent; negative gives money back.
    #[schema(value_type = String, example = "3000000")]
    pub amount_nanos: Nanos,
    /// Who made it.
    pub who: String,
    /// Why.
    pub why: String,
    /// The day (of the campaign's zone) whose spending it changes too.
    pub day: Option<String>,
}

/// One state of a campaign as the ad servers were told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct StateLine {
    /// Ascends over all campaigns.
    pub version: u64,
    /// When it was decided.
    pub time: Time,
    /// Whether it serves.
    pub serving: bool,
    /// Why not.
    pub reasons: Vec<String>,
    /// When the event that caused it was received; `null` when none did.
    pub cause_received: Option<Time>,
}

/// Whether data can be trusted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Quality {
    /// Dead letters by sink and reason.
    pub dead: Vec<DeadCount>,
    /// All of them.
    pub dead_total: u64,
    /// Repeated clicks and conversions that were not charged again, by the ledger, over all time.
    pub duplicates: Vec<Booked>,
    /// Events that name no known campaign, by the ledger, over all time.
    pub unattributed: Vec<Booked>,
    /// How late events came, of those that happened in the range.
    pub late: Vec<Late>,
    /// Events of the range that were received before they happened.
    pub future_events: u64,
    /// Events of the range whose id was counted before; `null` when counting them needs more than
    /// a query may have.
    pub delivered_twice: Option<u64>,
}

/// Dead letters of one sink with one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DeadCount {
    /// The sink that refused them.
    pub sink: String,
    /// Why.
    pub code: String,
    /// How many.
    pub count: u64,
}

/// Events of one type and log that were booked in one way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Booked {
    /// Log or topic.
    pub log: String,
    /// The type.
    #[serde(rename = "type")]
    pub event_type: String,
    /// How many.
    pub events: u64,
    /// What they would have cost.
    pub nanos: Sum,
}

/// Events by the time from when they happened to when they were received.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Late {
    /// `<1m`, `1-10m`, `10-60m`, `1-24h`, `>24h`.
    pub bucket: String,
    /// How many.
    pub events: u64,
}
