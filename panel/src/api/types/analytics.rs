//! What `GET /api/v1/analytics/…` answers.

use super::Time;
use serde::{Deserialize, Serialize};

/// Different users.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct UniqueUsers {
    /// By step; steps without users are left out.
    pub rows: Vec<UsersPoint>,
    /// Of the whole range; who comes in two steps counts once.
    pub total: u64,
}

/// Users of one step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct UsersPoint {
    /// Its begin.
    pub time: Time,
    /// How many.
    pub users: u64,
}

/// A funnel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FunnelReport {
    /// Its steps.
    pub steps: Vec<FunnelStep>,
    /// The same by the values of `by`, the largest 20.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<FunnelGroup>>,
}

/// A funnel of those events that have one value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FunnelGroup {
    /// The value.
    pub value: String,
    /// Its steps.
    pub steps: Vec<FunnelStep>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FunnelStep {
    /// From 1.
    pub step: u32,
    /// The event that makes it.
    #[serde(rename = "type")]
    pub event_type: String,
    /// Users that came as far.
    pub users: u64,
    /// Of those of the step before; `null` for the first one, or without any.
    pub from_previous: Option<f64>,
    /// Of those of the first step.
    pub from_first: Option<f64>,
}

/// Who comes again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RetentionReport {
    /// `day`, `week`, `month`.
    pub unit: String,
    /// By the period of their first event, the oldest first.
    pub cohorts: Vec<Cohort>,
}

/// Users who came for the first time in one period.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Cohort {
    /// The period's first day.
    pub start: String,
    /// How many.
    pub users: u64,
    /// How many of them came (again) in that period, the next, and so on.
    pub returned: Vec<u64>,
}

/// Variations against each other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AbReport {
    /// What the others are compared with; `null` when there is nothing to compare.
    pub control: Option<String>,
    /// The level of all intervals and tests, e.g. `0.95`.
    pub confidence: String,
    /// By trials, the most first.
    pub variations: Vec<AbVariation>,
    /// All but the control against it.
    pub comparisons: Vec<AbComparison>,
}

/// One variation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AbVariation {
    /// Its id.
    pub variation_id: String,
    /// How often it was tried.
    pub trials: u64,
    /// How often it worked.
    pub successes: u64,
    /// Successes of trials; `null` when they make no proportion.
    pub rate: Option<f64>,
    /// Wilson's interval.
    pub interval: Option<[f64; 2]>,
}

/// One variation against the control.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AbComparison {
    /// Its id.
    pub variation_id: String,
    /// Its rate less the control's.
    pub difference: Option<f64>,
    /// The same as a part of the control's.
    pub relative: Option<f64>,
    /// Interval of the difference.
    pub interval: Option<[f64; 2]>,
    /// The test's figure; `null` when there is nothing to test.
    pub z: Option<f64>,
    /// How likely so large a difference is by chance alone.
    pub p_value: Option<f64>,
    /// Whether that is less likely than the level allows.
    pub significant: bool,
}

/// One value of a dimension with its figure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TopRow {
    /// The value.
    pub value: serde_json::Value,
    /// The figure: a string for amounts, else a number or `null`.
    pub measure: serde_json::Value,
}
