//! Whether one variation does better than another: rates with Wilson's interval, differences by
//! the test of two proportions (`proportionsZTest`, unpooled).

use crate::api::params::Span;
use crate::api::types::{AbComparison, AbReport, AbVariation};
use crate::explore::{Filter, within};
use crate::statistics::{Question, Statistics, StatisticsError};
use serde::Deserialize;

/// Variations that are compared, those with most trials.
const VARIATIONS: u64 = 50;

/// What counts as a trial, and what as a success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Impressions, and clicks.
    ClicksPerImpression,
    /// Clicks, and conversions.
    ConversionsPerClick,
    /// Users, and those of them with a conversion.
    ConversionsPerUser,
}

impl Metric {
    /// All of them by name.
    pub const ALL: [(&'static str, Metric); 3] = [
        ("clicks_per_impression", Metric::ClicksPerImpression),
        ("conversions_per_click", Metric::ConversionsPerClick),
        ("conversions_per_user", Metric::ConversionsPerUser),
    ];

    const fn counts(self) -> &'static str {
        match self {
            Metric::ClicksPerImpression => {
                "countIf(type = 'impression') AS trials, countIf(type = 'click') AS successes"
            }
            Metric::ConversionsPerClick => {
                "countIf(type = 'click') AS trials, countIf(type = 'conversion') AS successes"
            }
            Metric::ConversionsPerUser => {
                "uniqExactIf(user_id, user_id != '') AS trials, \
                 uniqExactIf(user_id, user_id != '' AND type = 'conversion') AS successes"
            }
        }
    }
}

/// Levels of confidence with the quantile of the normal distribution of each, two-sided.
pub const CONFIDENCES: [(&str, &str); 4] = [
    ("0.9", "1.6448536269514722"),
    ("0.95", "1.959963984540054"),
    ("0.99", "2.5758293035489004"),
    ("0.999", "3.2905267314918945"),
];

/// A comparison.
#[derive(Clone, Debug)]
pub struct Ab {
    /// Times of the events.
    pub span: Span,
    /// Which events; of one campaign, as a rule.
    pub filter: Filter,
    /// What is compared.
    pub metric: Metric,
    /// The variation that others are compared with; `None`: the one with most trials.
    pub control: Option<String>,
    /// One of [`CONFIDENCES`].
    pub confidence: (&'static str, &'static str),
}

#[derive(Deserialize)]
struct Counted {
    variation_id: String,
    trials: u64,
    successes: u64,
}

#[derive(Deserialize)]
struct Tested {
    rate: Option<f64>,
    low: Option<f64>,
    high: Option<f64>,
    difference: Option<f64>,
    relative: Option<f64>,
    z: Option<f64>,
    p_value: Option<f64>,
    from: Option<f64>,
    to: Option<f64>,
    significant: u8,
}

impl Statistics {
    /// Compares the variations of events that name one.
    pub async fn ab(&self, ab: &Ab) -> Result<AbReport, StatisticsError> {
        let q = Question::new("ab_counts", "SELECT variation_id,").and(ab.metric.counts());
        let q = within(q.and("FROM events WHERE variation_id != ''"), ab.span, "time");
        let q = ab
            .filter
            .apply(q)
            .and("GROUP BY variation_id ORDER BY trials DESC, variation_id LIMIT {limit: UInt64}")
            .uint("limit", VARIATIONS);
        let counted = self.cached::<Counted>(q).await?.rows;
        let control = match &ab.control {
            Some(name) => counted.iter().find(|c| c.variation_id == *name),
            None => counted.first(),
        };
        let tested = if counted.is_empty() { Vec::new() } else { self.tested(ab, &counted, control).await? };
        let mut report = AbReport {
            control: control.map(|c| c.variation_id.clone()),
            confidence: ab.confidence.0.to_owned(),
            variations: Vec::new(),
            comparisons: Vec::new(),
        };
        for (c, t) in counted.iter().zip(tested) {
            report.variations.push(AbVariation {
                variation_id: c.variation_id.clone(),
                trials: c.trials,
                successes: c.successes,
                rate: t.rate,
                interval: t.low.zip(t.high).map(|(low, high)| [low, high]),
            });
            if control.is_some_and(|control| control.variation_id != c.variation_id) {
                report.comparisons.push(AbComparison {
                    variation_id: c.variation_id.clone(),
                    difference: t.difference,
                    relative: t.relative,
                    interval: t.from.zip(t.to).map(|(from, to)| [from, to]),
                    z: t.z,
                    p_value: t.p_value,
                    significant: t.significant != 0,
                });
            }
        }
        Ok(report)
    }

    /// Rates, intervals and tests of all variations, in their order. More successes than trials
    /// (clicks whose impressions lie before the range) make no proportion, and nothing to test.
    async fn tested(
        &self,
        ab: &Ab,
        counted: &[Counted],
        control: Option<&Counted>,
    ) -> Result<Vec<Tested>, StatisticsError> {
        let trials: Vec<u64> = counted.iter().map(|c| c.trials).collect();
        let successes: Vec<u64> = counted.iter().map(|c| c.successes).collect();
        let q = Question::new(
            "ab_test",
            "SELECT if(sane, p, NULL) AS rate, \
             if(sane, greatest(0., (p + z2 / 2 / t - q * sqrt((p * (1 - p) + z2 / 4 / t) / t)) / (1 + z2 / t)), NULL) AS low, \
             if(sane, least(1., (p + z2 / 2 / t + q * sqrt((p * (1 - p) + z2 / 4 / t) / t)) / (1 + z2 / t)), NULL) AS high, \
             if(both, p - cp, NULL) AS difference, if(both AND cp > 0, (p - cp) / cp, NULL) AS relative, \
             if(both AND isFinite(r.1), r.1, NULL) AS z, if(both AND isFinite(r.2), r.2, NULL) AS p_value, \
             if(both AND isFinite(r.3), r.3, NULL) AS from, if(both AND isFinite(r.4), r.4, NULL) AS to, \
             ifNull(p_value < 1 - {confidence: Float64}, false) AS significant FROM (\
             SELECT n, s, t, s / t AS p, {cs: UInt64} AS cs, {ct: UInt64} AS ct, cs / ct AS cp, \
             {quantile: Float64} AS q, q * q AS z2, t > 0 AND s <= t AS sane, sane AND ct > 0 AND cs <= ct AS both, \
             proportionsZTest(if(both, s, 0), if(both, cs, 0), if(both, t, 1), if(both, ct, 1), \
             {confidence: Float64}, 'unpooled') AS r FROM (\
             SELECT x.1 AS n, x.2 AS s, x.3 AS t FROM (SELECT arrayJoin(arrayZip(\
             range(length({trials: Array(UInt64)})), {successes: Array(UInt64)}, {trials: Array(UInt64)})) AS x))) \
             ORDER BY n",
        )
        .uints("trials", &trials)
        .uints("successes", &successes)
        .uint("cs", control.map_or(0, |c| c.successes))
        .uint("ct", control.map_or(0, |c| c.trials))
        .text("confidence", ab.confidence.0)
        .text("quantile", ab.confidence.1);
        self.fresh(&q).await
    }
}
