//! How many users go through steps in their order within a time (`windowFunnel`).

use super::of_users;
use crate::api::params::Span;
use crate::api::types::{FunnelGroup, FunnelReport, FunnelStep, fraction};
use crate::explore::{Dimension, Filter};
use crate::statistics::{Question, Statistics, StatisticsError};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Steps of a funnel.
pub const MOST_STEPS: usize = 8;
/// Groups that are told of, the largest first.
const GROUPS: usize = 20;
/// Levels times groups that are read.
const ROWS: u64 = 5_000;

/// A funnel.
#[derive(Clone, Debug)]
pub struct Funnel {
    /// Times of the events.
    pub span: Span,
    /// Which events.
    pub filter: Filter,
    /// Types in their order.
    pub steps: Vec<&'static str>,
    /// From the first step to the last, in milliseconds.
    pub window_ms: u64,
    /// One funnel a value of this besides.
    pub by: Option<&'static Dimension>,
}

#[derive(Deserialize)]
struct Row {
    value: String,
    level: usize,
    users: u64,
}

const NAMES: [&str; MOST_STEPS] = ["s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7"];
const CONDITIONS: [&str; MOST_STEPS] = [
    ", type = {s0: String}",
    ", type = {s1: String}",
    ", type = {s2: String}",
    ", type = {s3: String}",
    ", type = {s4: String}",
    ", type = {s5: String}",
    ", type = {s6: String}",
    ", type = {s7: String}",
];

impl Statistics {
    /// Users that came as far as each step.
    pub async fn funnel(&self, funnel: &Funnel) -> Result<FunnelReport, StatisticsError> {
        let whole = self.levels(funnel, None);
        let groups = async {
            match funnel.by {
                Some(by) => self.levels(funnel, Some(by)).await.map(Some),
                None => Ok(None),
            }
        };
        let (mut whole, groups) = futures::try_join!(whole, groups)?;
        let levels = whole.pop_first().map(|(_, levels)| levels).unwrap_or_default();
        let groups = groups.map(|groups| {
            let mut groups: Vec<FunnelGroup> = groups
                .into_iter()
                .map(|(value, levels)| FunnelGroup { value, steps: steps(funnel, &levels) })
                .collect();
            groups.sort_by_key(|g| std::cmp::Reverse(g.steps.first().map_or(0, |s| s.users)));
            groups.truncate(GROUPS);
            groups
        });
        Ok(FunnelReport { steps: steps(funnel, &levels), groups })
    }

    /// Users by the furthest step they reached, by group.
    async fn levels(
        &self,
        funnel: &Funnel,
        by: Option<&'static Dimension>,
    ) -> Result<BTreeMap<String, BTreeMap<usize, u64>>, StatisticsError> {
        let mut q = Question::new("funnel", "SELECT value, level, count() AS users FROM (SELECT user_id,");
        q = match by.and_then(Dimension::column) {
            Some(column) => q.and("toString(").and(column).and(") AS value,"),
            None => q.and("'' AS value,"),
        };
        q = q.and("windowFunnel({window: UInt64})(toUInt64(toUnixTimestamp64Milli(time))");
        for (i, step) in funnel.steps.iter().enumerate().take(MOST_STEPS) {
            q = q.and(CONDITIONS[i]).text(NAMES[i], *step);
        }
        q = q.and(") AS level").uint("window", funnel.window_ms);
        let types = funnel.steps.iter().map(|s| (*s).to_owned()).collect();
        q = of_users(q, funnel.span, &funnel.filter).and("AND type IN {types: Array(String)}").texts("types", types);
        let q = q
            .and("GROUP BY user_id, value) WHERE level > 0 GROUP BY value, level ORDER BY users DESC, value, level")
            .and("LIMIT {limit: UInt64}")
            .uint("limit", ROWS);
        let mut groups = BTreeMap::<String, BTreeMap<usize, u64>>::new();
        for row in self.cached::<Row>(q).await?.rows {
            *groups.entry(row.value).or_default().entry(row.level).or_default() += row.users;
        }
        Ok(groups)
    }
}

/// Who reached a step has reached all before it.
fn steps(funnel: &Funnel, levels: &BTreeMap<usize, u64>) -> Vec<FunnelStep> {
    let reached = |step: usize| levels.range(step..).map(|(_, users)| users).sum::<u64>();
    let ratio = |part: u64, of: u64| (of > 0).then(|| fraction(part, of));
    let first = reached(1);
    let mut before = None;
    funnel
        .steps
        .iter()
        .enumerate()
        .map(|(i, event_type)| {
            let users = reached(i + 1);
            let from_previous = before.and_then(|before| ratio(users, before));
            before = Some(users);
            let from_first = if i == 0 { None } else { ratio(users, first) };
            let step = u32::try_from(i + 1).unwrap_or(u32::MAX);
            FunnelStep { step, event_type: (*event_type).to_owned(), users, from_previous, from_first }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_reached_a_step_counts_in_all_before_it() {
        let funnel = Funnel {
            span: Span::default(),
            filter: Filter::default(),
            steps: vec!["impression", "click", "conversion"],
            window_ms: 1,
            by: None,
        };
        let found = steps(&funnel, &BTreeMap::from([(1, 60), (2, 30), (3, 10)]));
        let users: Vec<u64> = found.iter().map(|s| s.users).collect();
        assert_eq!(users, [100, 40, 10]);
        assert_eq!((found[2].from_previous, found[2].from_first), (Some(0.25), Some(0.1)));
        assert_eq!((found[0].from_previous, found[0].from_first), (None, None));
        assert_eq!(steps(&funnel, &BTreeMap::new())[1].from_previous, None);
    }
}
