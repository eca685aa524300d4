//! Of those who came first in one period, how many come again in later ones.

use super::of_users;
use crate::api::params::Span;
use crate::api::types::{Cohort, RetentionReport};
use crate::explore::Filter;
use crate::statistics::{Question, Statistics, StatisticsError};
use serde::Deserialize;

/// Most cohorts of one answer.
const COHORTS: u64 = 1_000;

/// How long a period is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A UTC day.
    Day,
    /// From Monday.
    Week,
    /// A calendar month.
    Month,
}

impl Unit {
    /// As requests and answers name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Unit::Day => "day",
            Unit::Week => "week",
            Unit::Month => "month",
        }
    }

    /// Its begin, as a date.
    const fn begin(self) -> &'static str {
        match self {
            Unit::Day => "toDate(time, 'UTC') AS p",
            Unit::Week => "toMonday(time, 'UTC') AS p",
            Unit::Month => "toStartOfMonth(time, 'UTC') AS p",
        }
    }

    /// Periods from the first one to each later one.
    const fn apart(self) -> &'static str {
        match self {
            Unit::Day => "arrayMap(later -> dateDiff('day', c, later),",
            Unit::Week => "arrayMap(later -> dateDiff('week', c, later),",
            Unit::Month => "arrayMap(later -> dateDiff('month', c, later),",
        }
    }
}

/// A question about coming again.
#[derive(Clone, Debug)]
pub struct Retention {
    /// Times of the events.
    pub span: Span,
    /// Which events.
    pub filter: Filter,
    /// The type that makes somebody come for the first time.
    pub first: &'static str,
    /// The type that counts as coming again.
    pub again: &'static str,
    /// The length of a period.
    pub unit: Unit,
    /// Periods that are looked at, the first one included.
    pub periods: u64,
}

#[derive(Deserialize)]
struct Row {
    start: String,
    users: u64,
    returned: Vec<u64>,
}

impl Statistics {
    /// Cohorts by the period of their first event, the oldest first.
    pub async fn retention(&self, wanted: &Retention) -> Result<RetentionReport, StatisticsError> {
        let q = Question::new(
            "retention",
            "SELECT toString(c) AS start, count() AS users, \
             sumForEach(arrayMap(k -> toUInt64(has(ks, k)), range(toUInt64({periods: UInt64})))) AS returned FROM (\
             SELECT user_id, minIf(p, type = {first: String}) AS c,",
        )
        .and(wanted.unit.apart())
        .and("groupUniqArrayIf(p, type = {again: String})) AS ks FROM (SELECT user_id, type,")
        .and(wanted.unit.begin());
        let q = of_users(q, wanted.span, &wanted.filter)
            .and("AND type IN ({first: String}, {again: String})) GROUP BY user_id")
            .and("HAVING countIf(type = {first: String}) > 0) GROUP BY c ORDER BY c LIMIT {limit: UInt64}")
            .text("first", wanted.first)
            .text("again", wanted.again)
            .uint("periods", wanted.periods)
            .uint("limit", COHORTS);
        let rows = self.cached::<Row>(q).await?.rows.into_iter();
        let cohort = |r: Row| Cohort { start: r.start, users: r.users, returned: r.returned };
        Ok(RetentionReport { unit: wanted.unit.name().to_owned(), cohorts: rows.map(cohort).collect() })
    }
}
