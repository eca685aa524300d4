//! What every campaign spent in the last hour, for what is foretold of it.

use super::{Bounds, Question, Statistics, StatisticsError};
use penstock::time::Micros;
use serde::de::DeserializeOwned;
use std::time::Duration;

const MINUTE: i64 = 60_000_000;
/// Campaigns that spend at once; more are not told of.
const CAMPAIGNS: u64 = 1_000_000;

impl Statistics {
    /// `campaign_id`, `hour` and `peak` (nanos as text, of all and of the dearest minute) and `since`
    /// (seconds since the epoch) of campaigns with costs in the last 60 whole minutes and this one.
    pub(crate) async fn paces<T: DeserializeOwned>(&self, now: Micros) -> Result<Vec<T>, StatisticsError> {
        let end = Micros(now.0.div_euclid(MINUTE).saturating_add(1).saturating_mul(MINUTE));
        let q = Question::new(
            "paces",
            "SELECT campaign_id, toString(sum(spent)) AS hour, toString(max(spent)) AS peak, \
             min(toInt64(toUnixTimestamp(minute))) AS since FROM (\
             SELECT campaign_id, minute, sum(cost_nanos) AS spent FROM stats_minute \
             WHERE minute >= fromUnixTimestamp64Micro({start: Int64}, 'UTC') \
             AND minute < fromUnixTimestamp64Micro({end: Int64}, 'UTC') \
             GROUP BY campaign_id, minute) WHERE spent > 0 GROUP BY campaign_id LIMIT {limit: UInt64}",
        )
        .int("start", end.minus(Duration::from_secs(61 * 60)).0)
        .int("end", end.0)
        .uint("limit", CAMPAIGNS);
        self.with_bounds(Bounds { rows: CAMPAIGNS, ..self.bounds() }).fresh(&q).await
    }
}
