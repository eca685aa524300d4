//! Rows as the databases give them, and what is made of them.

use super::posted::tally;
use super::{fit, rows::Rows};
use penstock::ledger::{
    Account, Adjustment, AdjustmentKind, AdvertiserView, CampaignSums, CampaignView, Change, DayAccount, KpiRecord,
    Kpis, LedgerError, LedgerLine, Listed, NewAdjustment, Reason, StateChange, Status, Stop, StoppedCampaign, Sums,
    day_of, zone,
};
use penstock::money::Nanos;
use penstock::pricing::CampaignId;
use penstock::time::Micros;
use sqlx::FromRow;
use std::collections::{BTreeMap, BTreeSet};

const NANOS_PER_MICRO: i128 = 1_000;

/// Amounts past a limit in micros.
fn past(spent: i64, limit: Option<i64>) -> Nanos {
    let past = limit.map_or(0, |l| (i128::from(spent) - i128::from(l) * NANOS_PER_MICRO).max(0));
    Nanos(i64::try_from(past).unwrap_or(i64::MAX))
}

/// id, advertiser, zone, charged, adjusted, total budget, daily budget.
pub(super) type AccountRow = (i64, i64, String, i64, i64, Option<i64>, Option<i64>);

/// The account of a row, without what lies in other tables; a row for `days` when it has a daily
/// budget (campaign, day).
pub(super) fn account(row: AccountRow, now: Micros, days: &mut Rows) -> Result<(CampaignId, Account), LedgerError> {
    let (id, advertiser, zone_name, charged, adjusted, total_budget, daily_budget) = row;
    let zone = zone(&zone_name).map_err(|e| LedgerError::Fatal(format!("campaign {id}: {e}")))?;
    if daily_budget.is_some() {
        days.push([id.into(), day_of(now, zone).to_string().as_str().into()]);
    }
    let account = Account {
        advertiser: fit(advertiser, "advertiser_id")?,
        zone,
        charged,
        adjusted,
        total_budget,
        daily_budget,
        today: DayAccount::default(),
        reasons: BTreeSet::new(),
    };
    Ok((fit(id, "campaign id")?, account))
}

/// A campaign with its advertiser's columns and its kpis.
#[derive(FromRow)]
pub(super) struct CampaignRow {
    pub(super) id: i64,
    name: String,
    pub(super) advertiser_id: i64,
    advertiser_name: String,
    advertiser_spent_nanos: i64,
    currency: String,
    time_zone: String,
    total_budget_micros: Option<i64>,
    daily_budget_micros: Option<i64>,
    balance_micros: Option<i64>,
    spent_nanos: i64,
    adjusted_nanos: i64,
    visits: i64,
    impressions: i64,
    clicks: i64,
    conversions: i64,
}

/// What [`CampaignRow`] is read by, up to WHERE.
pub(super) const CAMPAIGN_COLUMNS: &str = "SELECT c.id, c.name, c.advertiser_id, a.name AS advertiser_name,
    a.spent_nanos AS advertiser_spent_nanos, a.currency, c.time_zone,
    c.total_budget_micros, c.daily_budget_micros, a.balance_micros, c.spent_nanos, c.adjusted_nanos,
    coalesce(k.visits, 0) AS visits, coalesce(k.impressions, 0) AS impressions,
    coalesce(k.clicks, 0) AS clicks, coalesce(k.conversions, 0) AS conversions
    FROM campaigns c JOIN advertisers a ON a.id = c.advertiser_id
    LEFT JOIN campaign_kpis k ON k.campaign_id = c.id";

/// Campaign, day: the current days of campaigns.
pub(super) fn current_days(rows: &[CampaignRow], now: Micros) -> Result<Rows, LedgerError> {
    let mut days = Rows::default();
    for row in rows {
        let zone = zone(&row.time_zone).map_err(|e| LedgerError::Fatal(format!("campaign {}: {e}", row.id)))?;
        days.push([row.id.into(), day_of(now, zone).to_string().as_str().into()]);
    }
    Ok(days)
}

/// Stops by campaign or by advertiser.
pub(super) type Stops = BTreeMap<i64, Vec<Stop>>;

/// Id, reason, since, who, note.
pub(super) type StopRow = (i64, String, i64, String, String);

/// Stops by their ids.
pub(super) fn stops(rows: Vec<StopRow>) -> Stops {
    let mut stops = Stops::new();
    for (id, reason, since, who, note) in rows {
        let stop = Stop { reason: Reason::from_name(&reason), since: Micros(since), who, note };
        stops.entry(id).or_default().push(stop);
    }
    stops
}

/// Views of campaigns: `today` is what each spent today, `own` and `payers` their stops.
pub(super) fn views(
    rows: Vec<CampaignRow>,
    today: &BTreeMap<i64, i64>,
    own: &Stops,
    payers: &Stops,
) -> Result<Vec<CampaignView>, LedgerError> {
    rows.into_iter()
        .map(|row| {
            let mut stops: Vec<Stop> =
                [own.get(&row.id), payers.get(&row.advertiser_id)].into_iter().flatten().flatten().cloned().collect();
            stops.sort_by_key(|s| s.reason);
            view(row, stops, today)
        })
        .collect()
}

fn view(row: CampaignRow, stops: Vec<Stop>, today: &BTreeMap<i64, i64>) -> Result<CampaignView, LedgerError> {
    let spent_today = today.get(&row.id).copied().unwrap_or(0);
    let overspend = past(row.spent_nanos, row.total_budget_micros).max(past(spent_today, row.daily_budget_micros));
    let reasons: Vec<Reason> = stops.iter().map(|s| s.reason).collect();
    Ok(CampaignView {
        campaign_id: fit(row.id, "campaign id")?,
        name: row.name,
        advertiser_id: fit(row.advertiser_id, "advertiser id")?,
        advertiser_name: row.advertiser_name,
        currency: row.currency,
        time_zone: row.time_zone,
        status: if reasons.is_empty() { Status::Serving } else { Status::Stopped },
        reason: reasons.first().copied(),
        reasons,
        stops,
        total_budget_micros: row.total_budget_micros,
        daily_budget_micros: row.daily_budget_micros,
        balance_micros: row.balance_micros,
        advertiser_spent_nanos: Nanos(row.advertiser_spent_nanos),
        spent_nanos: Nanos(row.spent_nanos),
        spent_today_nanos: Nanos(spent_today),
        adjusted_nanos: Nanos(row.adjusted_nanos),
        overspend_nanos: overspend,
        kpis: Kpis {
            visits: fit(row.visits, "visits")?,
            impressions: fit(row.impressions, "impressions")?,
            clicks: fit(row.clicks, "clicks")?,
            conversions: fit(row.conversions, "conversions")?,
        },
    })
}

/// What people can change of a campaign, for the audit.
pub(super) fn changeable(view: &CampaignView) -> String {
    serde_json::json!({
        "reasons": view.reasons,
        "total_budget_micros": view.total_budget_micros.map(|n| n.to_string()),
        "daily_budget_micros": view.daily_budget_micros.map(|n| n.to_string()),
    })
    .to_string()
}

/// A value as the audit keeps it.
pub(super) fn json<T: serde::Serialize>(value: &T) -> Result<String, LedgerError> {
    serde_json::to_string(value).map_err(|e| LedgerError::Fatal(e.to_string()))
}

/// Campaign, name, reason, since, who, note.
pub(super) type StoppedRow = (i64, String, String, i64, String, String);

/// Stopped campaigns by their numbers.
pub(super) fn stopped(rows: Vec<StoppedRow>) -> Result<Vec<StoppedCampaign>, LedgerError> {
    let mut campaigns: BTreeMap<i64, StoppedCampaign> = BTreeMap::new();
    for (id, name, reason, since, who, note) in rows {
        let campaign_id = fit(id, "campaign id")?;
        let campaign = campaigns.entry(id).or_insert_with(|| StoppedCampaign { campaign_id, name, stops: Vec::new() });
        campaign.stops.push(Stop { reason: Reason::from_name(&reason), since: Micros(since), who, note });
    }
    let mut campaigns: Vec<_> = campaigns.into_values().collect();
    campaigns.iter_mut().for_each(|c| c.stops.sort_by_key(|s| s.reason));
    Ok(campaigns)
}

/// Hour, type, events, nanos.
pub(super) type LineRow = (i64, String, i64, i64);

pub(super) fn line(row: LineRow) -> Result<LedgerLine, LedgerError> {
    let (hour, kind, events, cost) = row;
    Ok(LedgerLine { hour, kind, events: fit(events, "events")?, cost_nanos: Nanos(cost) })
}

/// Number, name, advertiser and currency of a campaign.
pub(super) type ListedRow = (i64, String, i64, String);

pub(super) fn listed((id, name, advertiser, currency): ListedRow) -> Result<Listed, LedgerError> {
    let advertiser_id = fit(advertiser, "advertiser id")?;
    Ok(Listed { campaign_id: fit(id, "campaign id")?, name, advertiser_id, currency })
}

/// Id, name, currency, balance, spent, stopped since.
pub(super) type AdvertiserRow = (i64, String, String, Option<i64>, i64, Option<i64>);

pub(super) fn advertiser(row: AdvertiserRow) -> Result<AdvertiserView, LedgerError> {
    let (id, name, currency, balance_micros, spent, since) = row;
    Ok(AdvertiserView {
        advertiser_id: fit(id, "advertiser id")?,
        name,
        currency,
        balance_micros,
        spent_nanos: Nanos(spent),
        overspend_nanos: past(spent, balance_micros),
        stopped_since: since.map(Micros),
    })
}

/// A row of `campaign_totals`.
#[derive(FromRow)]
pub(super) struct TotalsRow {
    campaign_id: i64,
    r#type: String,
    charged_events: i64,
    charged_nanos: i64,
    duplicate_events: i64,
    duplicate_nanos: i64,
    duplicate_e18: i64,
    unattributed_events: i64,
    unattributed_nanos: i64,
    unattributed_e18: i64,
}

pub(super) fn totals(row: TotalsRow) -> Result<CampaignSums, LedgerError> {
    let sums = Sums {
        charged: tally(row.charged_events, row.charged_nanos, 0)?,
        duplicate: tally(row.duplicate_events, row.duplicate_nanos, row.duplicate_e18)?,
        unattributed: tally(row.unattributed_events, row.unattributed_nanos, row.unattributed_e18)?,
    };
    Ok(CampaignSums { campaign: fit(row.campaign_id, "campaign id")?, kind: row.r#type, sums })
}

/// Id, key, campaign, kind, nanos, day, at, who, why.
pub(super) type AdjustmentRow = (i64, String, i64, String, i64, Option<String>, i64, String, String);

pub(super) fn adjustment(row: AdjustmentRow) -> Result<Adjustment, LedgerError> {
    let (id, key, campaign, kind, amount_nanos, day, at, who, why) = row;
    let unreadable = |what: &str| LedgerError::Fatal(format!("adjustment {id}: the {what} is unreadable"));
    Ok(Adjustment {
        id: fit(id, "adjustment id")?,
        made: NewAdjustment {
            campaign_id: fit(campaign, "campaign id")?,
            kind: AdjustmentKind::from_name(&kind).ok_or_else(|| unreadable("kind"))?,
            amount_nanos,
            day: day.map(|d| d.parse()).transpose().map_err(|_| unreadable("day"))?,
            key,
        },
        at: Micros(at),
        change: Change { who, why },
    })
}

/// Campaign, version, serving, reasons, at, cause.
pub(super) type StateRow = (i64, i64, i64, String, i64, Option<i64>);

pub(super) fn state(row: StateRow) -> Result<StateChange, LedgerError> {
    let (campaign, version, serving, reasons, at, cause) = row;
    Ok(StateChange {
        campaign_id: fit::<CampaignId>(campaign, "campaign id")?,
        version: fit(version, "version")?,
        serving: serving != 0,
        reasons: reasons.split_whitespace().map(Reason::from_name).collect(),
        at: Micros(at),
        cause_received: cause.map(Micros),
    })
}

/// Campaign, sequence, visits, impressions, clicks, conversions, spent.
pub(super) type KpiRow = (i64, i64, i64, i64, i64, i64, i64);

pub(super) fn kpis(row: KpiRow, at: Micros) -> Result<KpiRecord, LedgerError> {
    let (id, sequence, visits, impressions, clicks, conversions, spent_nanos) = row;
    Ok(KpiRecord {
        campaign_id: fit(id, "campaign id")?,
        sequence: fit(sequence, "sequence")?,
        at,
        visits: fit(visits, "visits")?,
        impressions: fit(impressions, "impressions")?,
        clicks: fit(clicks, "clicks")?,
        conversions: fit(conversions, "conversions")?,
        spent_nanos,
    })
}

/// Campaigns that are to be told, each with the last row of its own and the earliest cause.
#[derive(Default)]
pub(super) struct Pending(BTreeMap<i64, (Option<i64>, Option<i64>)>);

impl Pending {
    pub(super) fn add(&mut self, campaign: i64, seq: Option<i64>, cause: Option<i64>) {
        let entry = self.0.entry(campaign).or_default();
        entry.0 = seq.or(entry.0);
        entry.1 = match (entry.1, cause) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }

    pub(super) fn campaigns(&self) -> impl Iterator<Item = i64> + '_ {
        self.0.keys().copied()
    }

    /// Gives each campaign the next version and its reasons. Returns the rows that come back
    /// (seq, version, serving, reasons, cause), the new ones (campaign first), the last version.
    pub(super) fn versions(self, reasons: Vec<(i64, String)>, mut version: i64) -> (Rows, Rows, i64) {
        let mut held: BTreeMap<i64, BTreeSet<Reason>> = BTreeMap::new();
        for (id, reason) in reasons {
            held.entry(id).or_default().insert(Reason::from_name(&reason));
        }
        let (mut kept, mut fresh) = (Rows::default(), Rows::default());
        for (campaign, (seq, cause)) in self.0 {
            version += 1;
            let names = held.remove(&campaign).unwrap_or_default();
            let serving = i64::from(names.is_empty());
            let names = names.iter().map(|r| r.name()).collect::<Vec<_>>().join(" ");
            let rows = if seq.is_some() { &mut kept } else { &mut fresh };
            rows.push([
                seq.unwrap_or(campaign).into(),
                version.into(),
                serving.into(),
                names.as_str().into(),
                cause.into(),
            ]);
        }
        (kept, fresh, version)
    }
}
