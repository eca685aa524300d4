//! Campaigns as people see them: the ledger's money, with what the statistics say of the pace.
//!
//! The ledger alone decides; without ClickHouse everything is there but the pace and what is
//! foretold from it.

use crate::api::problem::Problem;
use crate::api::types::{Amount, Campaign, Kpis, Stop, Sum, Time};
use crate::app::App;
use crate::explore::Owners;
use penstock::ledger::{CampaignFilter, CampaignView, Ledger, Listed, Status, next_day, zone};
use penstock::pricing::CampaignId;
use penstock::time::Micros;
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

const HOUR: i128 = 3_600_000_000;
const MINUTE: i64 = 60_000_000;
/// How old the paces may be, and how long a list waits for them.
const PACE_AGE: Duration = Duration::from_secs(10);
const PACE_WAIT: Duration = Duration::from_secs(1);
/// How old the campaigns' names may be.
const NAMES_AGE: Duration = Duration::from_secs(15);
/// A stop's latency before one was measured: what the system promises.
const PROMISED: u64 = 1_000_000;

/// What one campaign spent in the last hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pace {
    /// All of it.
    pub(crate) hour: i128,
    /// In its dearest minute.
    pub(crate) peak: i128,
    /// When it began to.
    pub(crate) since: Micros,
}

/// Paces by campaign.
pub(crate) type Paces = HashMap<CampaignId, Pace>;

/// All campaigns' names.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    /// By number.
    pub(crate) campaigns: HashMap<CampaignId, Listed>,
}

/// Paces and names, kept for a few seconds.
pub(crate) struct Outlook {
    /// `None`: ClickHouse did not answer.
    paces: moka::future::Cache<(), Option<Arc<Paces>>>,
    names: moka::future::Cache<(), Arc<Directory>>,
}

impl Default for Outlook {
    fn default() -> Self {
        Outlook {
            paces: moka::future::Cache::builder().max_capacity(1).time_to_live(PACE_AGE).build(),
            names: moka::future::Cache::builder().max_capacity(1).time_to_live(NAMES_AGE).build(),
        }
    }
}

/// Which campaigns.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    /// Behind this one.
    pub(crate) after: Option<CampaignId>,
    /// Only with this status.
    pub(crate) status: Option<Status>,
    /// Only of this advertiser.
    pub(crate) advertiser: Option<u32>,
    /// Only with this in their names.
    pub(crate) search: Option<String>,
}

/// At most `limit` campaigns by number, and whether there are more.
pub(crate) async fn list<L: Ledger>(
    app: &App<L>,
    wanted: &Wanted,
    limit: usize,
) -> Result<(Vec<Campaign>, bool), Problem> {
    let mut found: Vec<CampaignView> = Vec::new();
    let mut after = wanted.after;
    // The ledger filters by "stopped" only; for "serving" its pages are gone through here.
    loop {
        let rows = u32::try_from(limit + 1 - found.len()).unwrap_or(u32::MAX);
        let filter = CampaignFilter {
            after,
            stopped: wanted.status == Some(Status::Stopped),
            advertiser: wanted.advertiser,
            search: wanted.search.clone(),
            limit: rows,
        };
        let some = app.ledger.campaigns(&filter).await?;
        let last_page = some.len() < rows as usize;
        after = some.last().map(|c| c.campaign_id).or(after);
        found.extend(some.into_iter().filter(|c| wanted.status.is_none_or(|s| c.status == s)));
        if last_page || found.len() > limit {
            break;
        }
    }
    let more = found.len() > limit;
    found.truncate(limit);
    Ok((shown(app, found).await, more))
}

/// One campaign; `None` when there is none of that number.
pub(crate) async fn one<L: Ledger>(app: &App<L>, id: CampaignId) -> Result<Option<Campaign>, Problem> {
    match app.ledger.campaign(id).await? {
        Some(view) => Ok(shown(app, vec![view]).await.pop()),
        None => Ok(None),
    }
}

/// All campaigns' names, a few seconds old. Errors: the ledger does not answer.
pub(crate) async fn directory<L: Ledger>(app: &App<L>) -> Result<Arc<Directory>, Problem> {
    let load = async {
        let listed = app.ledger.directory().await?;
        let campaigns = listed.into_iter().map(|c| (c.campaign_id, c)).collect();
        Ok::<_, Problem>(Arc::new(Directory { campaigns }))
    };
    app.outlook.names.try_get_with((), load).await.map_err(|e| (*e).clone())
}

/// Whose campaigns are. Errors: the ledger does not answer.
pub(crate) async fn owners<L: Ledger>(app: &App<L>) -> Result<Owners, Problem> {
    let directory = directory(app).await?;
    let mut listed: Vec<&Listed> = directory.campaigns.values().collect();
    // The same question in the same words is answered from memory.
    listed.sort_unstable_by_key(|c| c.campaign_id);
    Ok(Owners::of(listed.into_iter()))
}

/// Views with what is foretold of them.
pub(crate) async fn shown<L: Ledger>(app: &App<L>, views: Vec<CampaignView>) -> Vec<Campaign> {
    if views.is_empty() {
        return Vec::new();
    }
    let now = app.clock.now();
    let paces = paces(app, now).await;
    let names = directory(app).await.ok();
    let mut payers: HashMap<u32, Pace> = HashMap::new();
    if let (Some(paces), Some(names)) = (&paces, &names) {
        for (id, pace) in paces.iter() {
            if let Some(listed) = names.campaigns.get(id) {
                let sum = payers.entry(listed.advertiser_id).or_insert(Pace { since: pace.since, ..Pace::default() });
                sum.hour = sum.hour.saturating_add(pace.hour);
                sum.since = sum.since.min(pace.since);
            }
        }
    }
    let delay = delay(app, now);
    views
        .into_iter()
        .map(|view| {
            let pace = paces.as_ref().map(|p| p.get(&view.campaign_id).copied().unwrap_or_default());
            let payer = payers.get(&view.advertiser_id).copied();
            let exhausted = pace.and_then(|pace| exhausted(&view, pace, payer.unwrap_or(pace), now));
            let mut campaign = Campaign::from(view);
            campaign.spend_per_hour_nanos = pace.map(|p| Sum(p.hour));
            campaign.exhausted_at = exhausted.map(Time);
            campaign.overspend_bound_nanos = pace.map(|p| Sum(bound(p.peak, delay)));
            campaign
        })
        .collect()
}

/// Microseconds from an event's receipt to the moment its stop is everywhere, at worst.
fn delay<L: Ledger>(app: &App<L>, now: Micros) -> u64 {
    let latency = app.sampler.tell().stop_latency.map_or(PROMISED, |(_, p99)| p99);
    let sinks = app.live.sinks(now);
    let lag = sinks.iter().filter(|s| s.sink == "balances").filter_map(|s| s.lag_seconds).max().unwrap_or(0);
    latency.saturating_add(lag.saturating_mul(1_000_000))
}

/// What `peak` nanos a minute make in `delay` microseconds, rounded up.
fn bound(peak: i128, delay: u64) -> i128 {
    let minute = i128::from(MINUTE);
    peak.saturating_mul(i128::from(delay)).saturating_add(minute - 1) / minute
}

/// When the first budget is used up at this pace.
fn exhausted(view: &CampaignView, own: Pace, payer: Pace, now: Micros) -> Option<Micros> {
    if view.status == Status::Stopped {
        return None;
    }
    let left = |limit: Option<i64>, spent: i64| Some(i128::from(limit?) * 1_000 - i128::from(spent));
    let total = left(view.total_budget_micros, view.spent_nanos.0).and_then(|l| when(l, own, now));
    let balance = left(view.balance_micros, view.advertiser_spent_nanos.0).and_then(|l| when(l, payer, now));
    let today = left(view.daily_budget_micros, view.spent_today_nanos.0).and_then(|l| when(l, own, now));
    let midnight = zone(&view.time_zone).ok().map(|zone| next_day(now, zone));
    let today = today.filter(|at| midnight.is_none_or(|midnight| *at < midnight));
    [total, balance, today].into_iter().flatten().min()
}

/// When `left` nanos are spent. The pace is what was spent since it began, at least a minute ago.
fn when(left: i128, pace: Pace, now: Micros) -> Option<Micros> {
    if left <= 0 {
        return Some(now);
    }
    if pace.hour <= 0 {
        return None;
    }
    let took = i128::from(now.0.saturating_sub(pace.since.0).max(MINUTE)).min(HOUR);
    let wait = left.saturating_mul(took) / pace.hour;
    // What lies further off than any calendar is never.
    let at = i64::try_from(i128::from(now.0).saturating_add(wait)).ok().map(Micros)?;
    at.to_utc().is_some_and(|t| chrono::Datelike::year(&t) <= 9_999).then_some(at)
}

#[derive(Deserialize)]
struct Row {
    campaign_id: u32,
    hour: String,
    peak: String,
    since: i64,
}

async fn paces<L: Ledger>(app: &App<L>, now: Micros) -> Option<Arc<Paces>> {
    let ask = async {
        match tokio::time::timeout(PACE_WAIT, app.statistics.paces::<Row>(now)).await {
            Ok(Ok(rows)) => Some(Arc::new(rows.iter().filter_map(pace).collect())),
            // The statistics' own log says why.
            Ok(Err(_)) | Err(_) => None,
        }
    };
    app.outlook.paces.get_with((), ask).await
}

fn pace(row: &Row) -> Option<(CampaignId, Pace)> {
    let (hour, peak) = (row.hour.parse().ok()?, row.peak.parse().ok()?);
    Some((row.campaign_id, Pace { hour, peak, since: Micros::from_secs(row.since) }))
}

impl From<CampaignView> for Campaign {
    /// Without what is foretold.
    fn from(v: CampaignView) -> Campaign {
        Campaign {
            campaign_id: v.campaign_id,
            name: v.name,
            advertiser_id: v.advertiser_id,
            advertiser_name: v.advertiser_name,
            currency: v.currency,
            time_zone: v.time_zone,
            status: match v.status {
                Status::Serving => "serving".to_owned(),
                Status::Stopped => "stopped".to_owned(),
            },
            reason: v.reason.map(|r| r.name().to_owned()),
            reasons: v.reasons.iter().map(|r| r.name().to_owned()).collect(),
            stops: v
                .stops
                .into_iter()
                .map(|s| Stop { reason: s.reason.name().to_owned(), since: Time(s.since), who: s.who, note: s.note })
                .collect(),
            total_budget_micros: v.total_budget_micros.map(Amount),
            daily_budget_micros: v.daily_budget_micros.map(Amount),
            balance_micros: v.balance_micros.map(Amount),
            spent_nanos: v.spent_nanos,
            spent_today_nanos: v.spent_today_nanos,
            adjusted_nanos: v.adjusted_nanos,
            overspend_nanos: v.overspend_nanos,
            kpis: Kpis {
                visits: v.kpis.visits,
                impressions: v.kpis.impressions,
                clicks: v.kpis.clicks,
                conversions: v.kpis.conversions,
            },
            spend_per_hour_nanos: None,
            exhausted_at: None,
            overspend_bound_nanos: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use penstock::money::Nanos;

    fn view() -> CampaignView {
        CampaignView {
            campaign_id: 1,
            name: String::new(),
            advertiser_id: 1,
            advertiser_name: String::new(),
            currency: "USD".to_owned(),
            time_zone: "UTC".to_owned(),
            status: Status::Serving,
            reason: None,
            reasons: Vec::new(),
            stops: Vec::new(),
            total_budget_micros: None,
            daily_budget_micros: None,
            balance_micros: None,
            advertiser_spent_nanos: Nanos(0),
            spent_nanos: Nanos(0),
            spent_today_nanos: Nanos(0),
            adjusted_nanos: Nanos(0),
            overspend_nanos: Nanos(0),
            kpis: penstock::ledger::Kpis::default(),
        }
    }

    /// 2017-11-06T16:00:00Z.
    const NOW: Micros = Micros(1_509_984_000_000_000);

    fn in_minutes(n: i64) -> Option<Micros> {
        Some(Micros(NOW.0 + n * MINUTE))
    }

    #[test]
    fn a_budget_ends_when_what_is_left_is_spent_at_the_last_hour_s_pace() {
        let hour = Pace { hour: 60_000, peak: 2_000, since: Micros(NOW.0 - 60 * MINUTE) };
        let with = |total, spent| CampaignView { total_budget_micros: total, spent_nanos: Nanos(spent), ..view() };
        assert_eq!(exhausted(&with(Some(100), 10_000), hour, hour, NOW), in_minutes(90));
        assert_eq!(exhausted(&with(None, 10_000), hour, hour, NOW), None);
        assert_eq!(exhausted(&with(Some(100), 10_000), Pace::default(), Pace::default(), NOW), None);
        // It began ten minutes ago, so it spends six times as fast.
        let young = Pace { since: Micros(NOW.0 - 10 * MINUTE), ..hour };
        assert_eq!(exhausted(&with(Some(100), 10_000), young, young, NOW), in_minutes(15));
        let stopped = CampaignView { status: Status::Stopped, ..with(Some(100), 10_000) };
        assert_eq!(exhausted(&stopped, hour, hour, NOW), None);
    }

    #[test]
    fn a_daily_budget_counts_before_its_midnight_and_a_balance_by_all_who_share_it() {
        let hour = Pace { hour: 60_000, peak: 2_000, since: Micros(NOW.0 - 60 * MINUTE) };
        let daily = |micros| CampaignView { daily_budget_micros: Some(micros), ..view() };
        assert_eq!(exhausted(&daily(400), hour, hour, NOW), in_minutes(400));
        assert_eq!(exhausted(&daily(500), hour, hour, NOW), None, "midnight comes first");
        let payer = Pace { hour: 600_000, ..hour };
        let shared = CampaignView { balance_micros: Some(100), advertiser_spent_nanos: Nanos(40_000), ..view() };
        assert_eq!(exhausted(&shared, hour, payer, NOW), in_minutes(6));
    }

    #[test]
    fn the_bound_is_the_dearest_minute_for_as_long_as_a_stop_takes_rounded_up() {
        assert_eq!(bound(60_000_000, 500_000), 500_000);
        assert_eq!(bound(1, 1), 1);
        assert_eq!(bound(0, 5), 0);
    }
}
