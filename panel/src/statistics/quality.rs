//! How late events came and how often they came twice.

use super::{Question, Statistics, StatisticsError};
use crate::api::params::Span;
use crate::explore::within;
use serde::Deserialize;

/// Delays of a span's events: from when they happened to when they were received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Delivered {
    /// Less than a minute.
    pub minute: u64,
    /// Less than ten.
    pub ten: u64,
    /// Less than an hour.
    pub hour: u64,
    /// Less than a day.
    pub day: u64,
    /// A day and more.
    pub more: u64,
    /// Received before they happened; not among the others.
    pub future: u64,
}

#[derive(Deserialize)]
struct Twice {
    n: u64,
}

impl Statistics {
    /// Delays of the events that happened in `span`.
    pub async fn delays(&self, span: Span) -> Result<Delivered, StatisticsError> {
        let q = Question::new(
            "delays",
            "SELECT countIf(late >= 0 AND late < 60000000) AS minute, \
             countIf(late >= 60000000 AND late < 600000000) AS ten, \
             countIf(late >= 600000000 AND late < 3600000000) AS hour, \
             countIf(late >= 3600000000 AND late < 86400000000) AS day, \
             countIf(late >= 86400000000) AS more, countIf(late < 0) AS future FROM (\
             SELECT toUnixTimestamp64Micro(received) - toUnixTimestamp64Micro(time) AS late FROM events WHERE 1",
        );
        let q = within(q, span, "time").and(")");
        Ok(self.cached::<Delivered>(q).await?.rows.into_iter().next().unwrap_or_default())
    }

    /// Events of `span` whose id stands for an earlier row too.
    pub async fn delivered_twice(&self, span: Span) -> Result<u64, StatisticsError> {
        let q = Question::new("twice", "SELECT count() - uniqExact(events.id) AS n FROM events WHERE 1");
        Ok(self.cached::<Twice>(within(q, span, "time")).await?.rows.first().map_or(0, |t| t.n))
    }
}
