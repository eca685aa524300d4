//! Events in windows of ten seconds of their own time: the micro-batches of the system's first days.

use super::{Question, Statistics, StatisticsError};
use crate::api::params::Span;
use crate::api::types::{Time, Window};
use crate::explore::within;
use penstock::time::Micros;
use serde::Deserialize;

/// Which windows.
#[derive(Clone, Debug)]
pub struct Windows {
    /// Times of the events.
    pub span: Span,
    /// Of this type only.
    pub event_type: Option<&'static str>,
    /// Behind this window and type.
    pub after: Option<(Micros, String)>,
}

impl Windows {
    /// Microseconds of a window.
    pub const WIDTH: i64 = 10_000_000;
}

#[derive(Deserialize)]
struct Row {
    w: i64,
    kind: String,
    n: u64,
}

impl Statistics {
    /// The windows that have events, the newest first, types by name.
    pub async fn windows(&self, wanted: &Windows, limit: u64) -> Result<Vec<Window>, StatisticsError> {
        let q = Question::new(
            "windows",
            "SELECT intDiv(toUnixTimestamp64Micro(time), 10000000) * 10000000 AS w, toString(type) AS kind, \
             count() AS n FROM events WHERE 1",
        );
        let mut q = within(q, wanted.span, "time");
        if let Some(kind) = wanted.event_type {
            q = q.and("AND type = {type: String}").text("type", kind);
        }
        q = q.and("GROUP BY w, kind");
        if let Some((at, kind)) = &wanted.after {
            q = q
                .and("HAVING w < {after: Int64} OR (w = {after: Int64} AND kind > {after_kind: String})")
                .int("after", at.0)
                .text("after_kind", kind);
        }
        let q = q.and("ORDER BY w DESC, kind LIMIT {limit: UInt64}").uint("limit", limit);
        let rows = self.cached::<Row>(q).await?.rows.into_iter();
        Ok(rows.map(|row| Window { window_start: Time(Micros(row.w)), event_type: row.kind, count: row.n }).collect())
    }
}
