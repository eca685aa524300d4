//! Group by anything, measure anything: one question to ClickHouse out of fixed parts.
//!
//! A question that the minutes' roll-up can answer goes there, any other to the events. The same
//! question gives the table on the page and the file that is exported.

mod columns;
mod filter;
mod owners;

pub use columns::{DIMENSIONS, Dimension, MEASURES, Measure, dimension, measure};
pub use filter::Filter;
pub use owners::Owners;

use crate::api::params::Span;
use crate::statistics::{Counted, Question, Statistics, StatisticsError};
use columns::Base;
use std::collections::{BTreeMap, BTreeSet};

const MINUTE: i64 = 60_000_000;

/// What rows are ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// The time of the step.
    Time,
    /// A dimension.
    Dimension(&'static Dimension),
    /// A measure.
    Measure(&'static Measure),
}

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explore {
    /// Times of the events.
    pub span: Span,
    /// Which of them.
    pub filter: Filter,
    /// Grouped by these, in this order.
    pub dimensions: Vec<&'static Dimension>,
    /// And by steps of time of so many seconds.
    pub step: Option<u64>,
    /// Measured by these, in this order.
    pub measures: Vec<&'static Measure>,
    /// Ordered by this, `true` = descending; `None`: by time, else by the first measure descending.
    pub order: Option<(Key, bool)>,
    /// At most so many rows.
    pub limit: u64,
    /// Whose campaigns are; nobody's where the question [does not ask](Explore::asks_owners).
    pub owners: Owners,
}

/// A row's cells by the names of their columns.
pub type Cells = BTreeMap<String, serde_json::Value>;

impl Explore {
    /// The question in SQL. Each part of it is a constant of [`columns`].
    #[must_use]
    pub fn question(&self) -> Question {
        let rolled = self.rolls_up();
        let time = "formatDateTime(toDateTime64(t, 0, 'UTC'), '%Y-%m-%dT%H:%i:%SZ', 'UTC') AS time";
        let outer = self.step.map(|_| time).into_iter();
        let outer = outer.chain(self.dimensions.iter().map(|d| d.outer)).chain(self.measures.iter().map(|m| m.outer));
        let mut q = listed(Question::new(if rolled { "explore_minutes" } else { "explore" }, "SELECT"), outer);
        q = self.inner(q.and("FROM ("), rolled).and(")");
        self.ordered(q).and("LIMIT {limit: UInt64}").uint("limit", self.limit)
    }

    /// Whether the minutes' roll-up has everything that is asked for, to the minute.
    fn rolls_up(&self) -> bool {
        let whole = |t: Option<penstock::time::Micros>| t.is_none_or(|t| t.0.rem_euclid(MINUTE) == 0);
        whole(self.span.start)
            && whole(self.span.end)
            && self.step.is_none_or(|s| s % 60 == 0)
            && self.filter.rolls_up()
            && self.dimensions.iter().all(|d| d.rolled.is_some())
            && self.bases().iter().all(|b| b.rolled().is_some() || b.alike().is_some() && !self.owners.mixed())
    }

    /// Whether it can be answered only by who knows whose campaigns are: it is grouped or filtered by
    /// that, or it adds amounts, which must be of one currency.
    #[must_use]
    pub fn asks_owners(&self) -> bool {
        self.filter.asks_owners()
            || self.dimensions.iter().any(|d| d.owner)
            || self.bases().iter().any(|b| b.alike().is_some())
    }

    /// The same question by who knows it.
    #[must_use]
    pub fn by(self, owners: Owners) -> Explore {
        Explore { filter: self.filter.by(&owners), owners, ..self }
    }

    fn bases(&self) -> BTreeSet<Base> {
        self.measures.iter().flat_map(|m| m.bases).copied().collect()
    }

    fn inner(&self, mut q: Question, rolled: bool) -> Question {
        let mixed = self.owners.mixed();
        if self.dimensions.iter().any(|d| d.owner) || mixed && self.bases().iter().any(|b| b.alike().is_some()) {
            q = self.owners.define(q);
        }
        q = q.and("SELECT 1 AS nothing");
        if let Some(step) = self.step {
            let step = i64::try_from(step).unwrap_or(i64::MAX);
            q = q.and(if rolled {
                ", intDiv(toInt64(toUnixTimestamp(minute)), {step: Int64}) * {step: Int64} AS t"
            } else {
                ", intDiv(toUnixTimestamp64Micro(time), {step: Int64} * 1000000) * {step: Int64} AS t"
            });
            q = q.int("step", step);
        }
        for dimension in &self.dimensions {
            q = q.and(",").and(dimension.rolled.filter(|_| rolled).unwrap_or(dimension.inner));
        }
        for base in self.bases() {
            let counted = base.rolled().filter(|_| rolled).unwrap_or(base.inner());
            q = q.and(",").and(base.alike().filter(|_| !mixed).unwrap_or(counted));
        }
        q = q.and(if rolled { "FROM stats_minute WHERE 1" } else { "FROM events WHERE 1" });
        q = if rolled { within(q, self.span, "minute") } else { within(q, self.span, "time") };
        q = self.filter.apply(q);
        let mut groups = self.step.map(|_| "t").into_iter().chain(self.dimensions.iter().map(|d| d.alias)).peekable();
        if groups.peek().is_none() { q.and("HAVING 1") } else { listed(q.and("GROUP BY"), groups) }
    }

    fn ordered(&self, q: Question) -> Question {
        let (key, descending) = match self.order {
            Some(order) => order,
            None if self.step.is_some() => (Key::Time, false),
            None => match self.measures.first() {
                Some(measure) => (Key::Measure(measure), true),
                None => return self.ties(q.and("ORDER BY 1")),
            },
        };
        let by = match key {
            Key::Time => "t",
            Key::Dimension(dimension) => dimension.alias,
            Key::Measure(measure) => measure.order,
        };
        let q = q.and("ORDER BY").and(by).and(if descending { "DESC NULLS LAST" } else { "ASC NULLS LAST" });
        self.ties(q)
    }

    /// Rows that are equal in what they are ordered by have an order too, so that a cut is the same twice.
    fn ties(&self, q: Question) -> Question {
        let q = if self.step.is_some() { q.and(", t") } else { q };
        self.dimensions.iter().fold(q, |q, d| q.and(",").and(d.alias))
    }
}

/// Adds parts with commas between them.
fn listed(q: Question, parts: impl Iterator<Item = &'static str>) -> Question {
    parts.enumerate().fold(q, |q, (i, part)| if i == 0 { q.and(part) } else { q.and(",").and(part) })
}

/// Adds the bounds of `column`, with their values.
#[must_use]
pub fn within(mut q: Question, span: Span, column: &'static str) -> Question {
    if let Some(start) = span.start {
        q = q.and("AND").and(column).and(">= fromUnixTimestamp64Micro({start: Int64}, 'UTC')").int("start", start.0);
    }
    if let Some(end) = span.end {
        q = q.and("AND").and(column).and("< fromUnixTimestamp64Micro({end: Int64}, 'UTC')").int("end", end.0);
    }
    q
}

impl Statistics {
    /// Answers a question, with one row more than its limit when there are more.
    pub async fn explore(&self, explore: &Explore) -> Result<Counted<Cells>, StatisticsError> {
        let one_more = Explore { limit: explore.limit.saturating_add(1), ..explore.clone() };
        self.cached(one_more.question()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use penstock::time::Micros;

    fn explore(dimensions: &[&str], measures: &[&str]) -> Explore {
        Explore {
            span: Span { start: Some(Micros(0)), end: Some(Micros(10 * MINUTE)) },
            filter: Filter::default(),
            dimensions: dimensions.iter().map(|d| dimension(d).unwrap()).collect(),
            step: None,
            measures: measures.iter().map(|m| measure(m).unwrap()).collect(),
            order: None,
            limit: 10,
            owners: Owners::default(),
        }
    }

    #[test]
    fn the_roll_up_answers_what_it_has_and_only_that() {
        let rolled = |e: &Explore| e.question().sql().contains("FROM stats_minute");
        assert!(rolled(&explore(&["type", "country", "campaign_id"], &["events", "cost_nanos", "ctr"])));
        assert!(!rolled(&explore(&["type", "os"], &["events"])));
        assert!(!rolled(&explore(&["type"], &["users"])));
        let cut = Span { start: Some(Micros(1)), end: None };
        assert!(!rolled(&Explore { span: cut, ..explore(&["type"], &["events"]) }));
        assert!(!rolled(&Explore { step: Some(30), ..explore(&["type"], &["events"]) }));
        let filter = Filter::parse(Some(r#"[{"dim":"os","op":"in","values":["a"]}]"#)).unwrap();
        assert!(!rolled(&Explore { filter, ..explore(&["type"], &["events"]) }));
    }
}
