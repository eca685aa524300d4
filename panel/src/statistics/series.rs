//! Time series of one campaign, from the minutes' roll-up.

use super::{Counted, Question, Statistics, StatisticsError};
use crate::api::params::Span;
use crate::api::problem::{Code, Problem};
use crate::api::types::{Kpis, Sum, Time, TimeseriesPoint};
use penstock::time::Micros;
use serde::Deserialize;

/// Which series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Series {
    /// The campaign.
    pub campaign_id: u32,
    /// Cut to whole minutes, outwards.
    pub span: Span,
    /// Whole minutes in seconds.
    pub step: u64,
    /// Points above this are an error ([`StatisticsError::TooExpensive`]).
    pub limit: u64,
}

const MINUTE: i64 = 60_000_000;

impl Series {
    /// A series within its bounds: whole minutes, and no more steps than `limit`.
    ///
    /// Errors: `bad_parameter`, `bad_range`.
    pub fn within(campaign_id: u32, span: Span, step: u64, limit: u64) -> Result<Series, Problem> {
        if step == 0 || !step.is_multiple_of(60) || step > 366 * 86_400 {
            return Err(Problem::parameter("step", "must be whole minutes, at most 366d"));
        }
        if let (Some(start), Some(end)) = (span.start, span.end) {
            let steps = (end.0 - start.0) / 1_000_000 / i64::try_from(step).unwrap_or(i64::MAX);
            if u64::try_from(steps).unwrap_or(0) > limit {
                let detail = format!("more than {limit} steps: take a longer step");
                return Err(Problem::new(Code::BadRange, detail).at("step"));
            }
        }
        let span = Span {
            start: span.start.map(|t| Micros(t.0.div_euclid(MINUTE) * MINUTE)),
            end: span.end.map(|t| Micros((t.0 + MINUTE - 1).div_euclid(MINUTE) * MINUTE)),
        };
        Ok(Series { campaign_id, span, step, limit })
    }
}

#[derive(Deserialize)]
struct Row {
    at: i64,
    visits: u64,
    impressions: u64,
    clicks: u64,
    conversions: u64,
    cost: String,
}

impl Statistics {
    /// One point a step that has events, by time.
    pub async fn series(&self, series: &Series) -> Result<Counted<TimeseriesPoint>, StatisticsError> {
        let mut q = Question::new(
            "series",
            "SELECT intDiv(toInt64(toUnixTimestamp(minute)), {step: Int64}) * {step: Int64} AS at, \
             sumIf(count, type = 'visit') AS visits, sumIf(count, type = 'impression') AS impressions, \
             sumIf(count, type = 'click') AS clicks, sumIf(count, type = 'conversion') AS conversions, \
             toString(sum(toInt128(cost_nanos))) AS cost \
             FROM stats_minute WHERE campaign_id = {campaign: UInt64}",
        )
        .uint("campaign", u64::from(series.campaign_id))
        .int("step", i64::try_from(series.step).unwrap_or(i64::MAX));
        if let Some(start) = series.span.start {
            q = q.and("AND minute >= fromUnixTimestamp64Micro({start: Int64}, 'UTC')").int("start", start.0);
        }
        if let Some(end) = series.span.end {
            q = q.and("AND minute < fromUnixTimestamp64Micro({end: Int64}, 'UTC')").int("end", end.0);
        }
        let q = q.and("GROUP BY at ORDER BY at LIMIT {limit: UInt64}").uint("limit", series.limit.saturating_add(1));
        let counted = self.cached::<Row>(q).await?;
        if counted.rows.len() as u64 > series.limit {
            return Err(StatisticsError::TooExpensive(format!("the series has more than {} steps", series.limit)));
        }
        let points = counted.rows.into_iter().map(|row| {
            let cost = row.cost.parse().map_err(|_| StatisticsError::Refused(format!("{:?} is no sum", row.cost)))?;
            let kpis = Kpis {
                visits: row.visits,
                impressions: row.impressions,
                clicks: row.clicks,
                conversions: row.conversions,
            };
            Ok(TimeseriesPoint { time: Time(Micros::from_secs(row.at)), kpis, cost_nanos: Sum(cost) })
        });
        Ok(Counted { rows: points.collect::<Result<_, StatisticsError>>()?, at: counted.at })
    }
}
