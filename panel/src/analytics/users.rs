//! How many different users there were.

use super::of_users;
use crate::api::params::Span;
use crate::api::types::{Time, UniqueUsers, UsersPoint};
use crate::explore::Filter;
use crate::statistics::{Question, Statistics, StatisticsError};
use penstock::time::Micros;
use serde::Deserialize;

/// Which users.
#[derive(Clone, Debug)]
pub struct Users {
    /// Times of their events.
    pub span: Span,
    /// Which events.
    pub filter: Filter,
    /// Steps of so many seconds.
    pub step: u64,
    /// Steps above this are an error.
    pub limit: u64,
}

#[derive(Deserialize)]
struct Row {
    t: i64,
    users: u64,
}

#[derive(Deserialize)]
struct Total {
    users: u64,
}

impl Statistics {
    /// Users of each step that has any, and of all of them together: who comes in two steps counts
    /// once in the total.
    pub async fn users(&self, wanted: &Users) -> Result<UniqueUsers, StatisticsError> {
        let q = Question::new(
            "users",
            "SELECT intDiv(toUnixTimestamp64Micro(time), {step: Int64} * 1000000) * {step: Int64} AS t, \
             uniqCombined64(20)(user_id) AS users",
        );
        let q = of_users(q, wanted.span, &wanted.filter)
            .and("GROUP BY t ORDER BY t LIMIT {limit: UInt64}")
            .int("step", i64::try_from(wanted.step).unwrap_or(i64::MAX))
            .uint("limit", wanted.limit.saturating_add(1));
        let all = Question::new("users_total", "SELECT uniqCombined64(20)(user_id) AS users");
        let all = of_users(all, wanted.span, &wanted.filter);
        let (rows, total) = futures::try_join!(self.cached::<Row>(q), self.cached::<Total>(all))?;
        if rows.rows.len() as u64 > wanted.limit {
            return Err(StatisticsError::TooExpensive(format!("there are more than {} steps", wanted.limit)));
        }
        let points = rows.rows.into_iter();
        Ok(UniqueUsers {
            rows: points.map(|r| UsersPoint { time: Time(Micros::from_secs(r.t)), users: r.users }).collect(),
            total: total.rows.first().map_or(0, |t| t.users),
        })
    }
}
