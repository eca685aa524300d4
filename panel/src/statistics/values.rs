//! The values that a dimension has, for whoever builds a filter.

use super::{Counted, Question, Statistics, StatisticsError};
use crate::api::params::Span;
use crate::api::types::DimensionValue;
use crate::explore::{Dimension, Explore, Filter, Key, Owners, measure, within};

impl Statistics {
    /// The commonest values, with how often they are there; with `search`, those that have it in them,
    /// in small or capital letters.
    pub async fn values(
        &self,
        dimension: &'static Dimension,
        span: Span,
        search: Option<&str>,
        limit: u64,
        owners: Owners,
    ) -> Result<Counted<DimensionValue>, StatisticsError> {
        let Some(events) = measure("events") else {
            return Err(StatisticsError::Refused("there is no measure of that name".to_owned()));
        };
        let explore = Explore {
            span,
            filter: Filter::default(),
            dimensions: vec![dimension],
            step: None,
            measures: vec![events],
            order: Some((Key::Measure(events), true)),
            limit: if search.is_some() { u64::from(u32::MAX) } else { limit },
            owners,
        };
        let q = match (search, dimension.column()) {
            (Some(search), Some(column)) => {
                let q = Question::new("values", "SELECT toString(").and(column).and(") AS value, count() AS events");
                within(
                    q.and("FROM events WHERE positionCaseInsensitiveUTF8(toString(")
                        .and(column)
                        .and("), {search: String}) > 0"),
                    span,
                    "time",
                )
                .and("GROUP BY value ORDER BY events DESC, value LIMIT {limit: UInt64}")
                .text("search", search)
                .uint("limit", limit)
            }
            // What no column holds is searched in the answer.
            _ => {
                let q =
                    Question::new("values", "SELECT toString(").and(dimension.name).and(") AS value, events FROM (");
                let q = q.also(explore.question()).and(")");
                let q = match search {
                    Some(search) => {
                        q.and("WHERE positionCaseInsensitiveUTF8(value, {search: String}) > 0").text("search", search)
                    }
                    None => q,
                };
                q.and("ORDER BY events DESC, value LIMIT {most: UInt64}").uint("most", limit)
            }
        };
        self.cached(q).await
    }
}
