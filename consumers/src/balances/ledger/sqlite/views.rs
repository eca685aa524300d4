//! What people and `reconcile` read. Each function runs inside one transaction of the caller.

use super::apply::{DEAD, E18, SKIPPED};
use super::rows::{Rows, ints};
use super::{failed, fit};
use penstock::ledger::{
    AdvertiserId, AdvertiserView, AuditEntry, Books, CampaignFilter, CampaignSums, CampaignView, Kpis, LedgerError,
    PartitionBooks, Reason, Status, Stop, StoppedCampaign, Sums, Tally, day_of, zone,
};
use penstock::log::LogId;
use penstock::money::Nanos;
use penstock::pricing::CampaignId;
use penstock::time::Micros;
use sqlx::{FromRow, SqliteConnection};
use std::collections::BTreeMap;
use std::sync::Arc;

const NANOS_PER_MICRO: i128 = 1_000;

#[derive(FromRow)]
struct CampaignRow {
    id: i64,
    name: String,
    advertiser_id: i64,
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

const CAMPAIGN_COLUMNS: &str = "SELECT c.id, c.name, c.advertiser_id, a.currency, c.time_zone,
    c.total_budget_micros, c.daily_budget_micros, a.balance_micros, c.spent_nanos, c.adjusted_nanos,
    coalesce(k.visits, 0) AS visits, coalesce(k.impressions, 0) AS impressions,
    coalesce(k.clicks, 0) AS clicks, coalesce(k.conversions, 0) AS conversions
    FROM campaigns c JOIN advertisers a ON a.id = c.advertiser_id
    LEFT JOIN campaign_kpis k ON k.campaign_id = c.id";

pub(super) async fn campaigns(
    tx: &mut SqliteConnection,
    filter: &CampaignFilter,
    now: Micros,
) -> Result<Vec<CampaignView>, LedgerError> {
    let rows: Vec<CampaignRow> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "{CAMPAIGN_COLUMNS} WHERE c.id > ?1 AND (NOT ?2 OR EXISTS (SELECT 1 FROM stops s WHERE s.campaign_id = c.id)
            OR EXISTS (SELECT 1 FROM stops s WHERE s.campaign_id = 0 AND s.advertiser_id = c.advertiser_id))
         ORDER BY c.id LIMIT ?3"
    )))
    .bind(filter.after.map_or(0, i64::from))
    .bind(filter.stopped)
    .bind(filter.limit)
    .fetch_all(&mut *tx)
    .await
    .map_err(failed)?;
    complete(tx, rows, now).await
}

pub(super) async fn campaign(
    tx: &mut SqliteConnection,
    id: CampaignId,
    now: Micros,
) -> Result<Option<CampaignView>, LedgerError> {
    let row: Option<CampaignRow> = sqlx::query_as(sqlx::AssertSqlSafe(format!("{CAMPAIGN_COLUMNS} WHERE c.id = ?1")))
        .bind(id)
        .fetch_optional(&mut *tx)
        .await
        .map_err(failed)?;
    Ok(complete(tx, row.into_iter().collect(), now).await?.pop())
}

/// Adds to the rows what lies in other tables: today's spending and the reasons.
async fn complete(
    tx: &mut SqliteConnection,
    rows: Vec<CampaignRow>,
    now: Micros,
) -> Result<Vec<CampaignView>, LedgerError> {
    let today = spent_today(tx, &rows, now).await?;
    let own = stops(tx, "campaign_id", rows.iter().map(|r| r.id)).await?;
    let payers = stops(tx, "advertiser_id", rows.iter().map(|r| r.advertiser_id)).await?;
    rows.into_iter()
        .map(|row| {
            let mut stops: Vec<Stop> =
                [own.get(&row.id), payers.get(&row.advertiser_id)].into_iter().flatten().flatten().cloned().collect();
            stops.sort_by_key(|s| s.reason);
            view(row, stops, &today)
        })
        .collect()
}

fn view(row: CampaignRow, stops: Vec<Stop>, today: &BTreeMap<i64, i64>) -> Result<CampaignView, LedgerError> {
    let spent_today = today.get(&row.id).copied().unwrap_or(0);
    let past = |spent: i64, budget: Option<i64>| {
        budget.map_or(0, |b| (i128::from(spent) - i128::from(b) * NANOS_PER_MICRO).max(0))
    };
    let overspend = past(row.spent_nanos, row.total_budget_micros).max(past(spent_today, row.daily_budget_micros));
    let reasons: Vec<Reason> = stops.iter().map(|s| s.reason).collect();
    Ok(CampaignView {
        campaign_id: fit(row.id, "campaign id")?,
        name: row.name,
        advertiser_id: fit(row.advertiser_id, "advertiser id")?,
        currency: row.currency,
        time_zone: row.time_zone,
        status: if reasons.is_empty() { Status::Serving } else { Status::Stopped },
        reason: reasons.first().copied(),
        reasons,
        stops,
        total_budget_micros: row.total_budget_micros,
        daily_budget_micros: row.daily_budget_micros,
        balance_micros: row.balance_micros,
        spent_nanos: Nanos(row.spent_nanos),
        spent_today_nanos: Nanos(spent_today),
        adjusted_nanos: Nanos(row.adjusted_nanos),
        overspend_nanos: Nanos(i64::try_from(overspend).unwrap_or(i64::MAX)),
        kpis: Kpis {
            visits: fit(row.visits, "visits")?,
            impressions: fit(row.impressions, "impressions")?,
            clicks: fit(row.clicks, "clicks")?,
            conversions: fit(row.conversions, "conversions")?,
        },
    })
}

async fn spent_today(
    tx: &mut SqliteConnection,
    rows: &[CampaignRow],
    now: Micros,
) -> Result<BTreeMap<i64, i64>, LedgerError> {
    let mut days = Rows::default();
    for row in rows {
        let zone = zone(&row.time_zone).map_err(|e| LedgerError::Fatal(format!("campaign {}: {e}", row.id)))?;
        days.push([row.id.into(), day_of(now, zone).to_string().as_str().into()]);
    }
    let spent: Vec<(i64, i64, i64)> = sqlx::query_as(
        "SELECT d.campaign_id, d.charged_nanos, d.adjusted_nanos FROM json_each(?1) j CROSS JOIN campaign_days d
         ON d.campaign_id = j.value ->> 0 AND d.day = j.value ->> 1",
    )
    .bind(days.finish())
    .fetch_all(tx)
    .await
    .map_err(failed)?;
    Ok(spent.into_iter().map(|(id, charged, adjusted)| (id, charged.saturating_add(adjusted))).collect())
}

/// Reasons by campaign or by advertiser.
async fn stops(
    tx: &mut SqliteConnection,
    column: &'static str,
    ids: impl Iterator<Item = i64>,
) -> Result<BTreeMap<i64, Vec<Stop>>, LedgerError> {
    let rows: Vec<(i64, String, i64, String, String)> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "SELECT {column}, reason, since, who, note FROM stops
         WHERE {column} > 0 AND {column} IN (SELECT value FROM json_each(?1))"
    )))
    .bind(ints(ids))
    .fetch_all(tx)
    .await
    .map_err(failed)?;
    let mut stops: BTreeMap<i64, Vec<Stop>> = BTreeMap::new();
    for (id, reason, since, who, note) in rows {
        let stop = Stop { reason: Reason::from_name(&reason), since: Micros(since), who, note };
        stops.entry(id).or_default().push(stop);
    }
    Ok(stops)
}

pub(super) async fn stopped(tx: &mut SqliteConnection) -> Result<Vec<StoppedCampaign>, LedgerError> {
    let rows: Vec<(i64, String, String, i64, String, String)> = sqlx::query_as(
        "SELECT c.id, c.name, s.reason, s.since, s.who, s.note FROM stops s JOIN campaigns c ON c.id = s.campaign_id
         UNION ALL
         SELECT c.id, c.name, s.reason, s.since, s.who, s.note FROM stops s
         JOIN campaigns c ON c.advertiser_id = s.advertiser_id WHERE s.campaign_id = 0
         ORDER BY 1",
    )
    .fetch_all(tx)
    .await
    .map_err(failed)?;
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

pub(super) async fn advertisers(
    tx: &mut SqliteConnection,
    only: Option<AdvertiserId>,
) -> Result<Vec<AdvertiserView>, LedgerError> {
    let rows: Vec<(i64, String, String, Option<i64>, i64, Option<i64>)> = sqlx::query_as(
        "SELECT a.id, a.name, a.currency, a.balance_micros, a.spent_nanos, s.since
         FROM advertisers a LEFT JOIN stops s ON s.campaign_id = 0 AND s.advertiser_id = a.id
         WHERE ?1 IS NULL OR a.id = ?1 ORDER BY a.id",
    )
    .bind(only)
    .fetch_all(tx)
    .await
    .map_err(failed)?;
    rows.into_iter()
        .map(|(id, name, currency, balance_micros, spent, since)| {
            let past = balance_micros.map_or(0, |b| (i128::from(spent) - i128::from(b) * NANOS_PER_MICRO).max(0));
            Ok(AdvertiserView {
                advertiser_id: fit(id, "advertiser id")?,
                name,
                currency,
                balance_micros,
                spent_nanos: Nanos(spent),
                overspend_nanos: Nanos(i64::try_from(past).unwrap_or(i64::MAX)),
                stopped_since: since.map(Micros),
            })
        })
        .collect()
}

pub(super) async fn audit(
    tx: &mut SqliteConnection,
    before: Option<u64>,
    limit: u32,
) -> Result<Vec<AuditEntry>, LedgerError> {
    let before = before.map_or(i64::MAX, |id| i64::try_from(id).unwrap_or(i64::MAX));
    let rows: Vec<(i64, i64, String, String, String, String, String, String)> = sqlx::query_as(
        "SELECT id, at, who, action, subject, before, after, why FROM audit WHERE id < ?1 ORDER BY id DESC LIMIT ?2",
    )
    .bind(before)
    .bind(limit)
    .fetch_all(tx)
    .await
    .map_err(failed)?;
    rows.into_iter()
        .map(|(id, at, who, action, subject, before, after, why)| {
            Ok(AuditEntry { id: fit(id, "audit id")?, at: Micros(at), who, action, subject, before, after, why })
        })
        .collect()
}

/// Positions, ranges, totals and the ledger's rows; sums are made here, where 128 bits hold them.
pub(super) async fn books(tx: &mut SqliteConnection) -> Result<Books, LedgerError> {
    let rows: Vec<(i64, String, i64, i64)> = sqlx::query_as(
        "SELECT id, log_name, log_partition, next_offset FROM positions ORDER BY log_name, log_partition",
    )
    .fetch_all(&mut *tx)
    .await
    .map_err(failed)?;
    let mut books = Books::default();
    for (id, name, partition, next) in rows {
        let log = LogId { name: Arc::from(name), partition: fit(partition, "log_partition")? };
        let position = fit(next, "next_offset")?;
        let (poison, skipped, by_range) = ranges(tx, id).await?;
        let by_campaign = totals(tx, id).await?;
        books.partitions.push(PartitionBooks { log, position, poison, skipped, by_range, by_campaign });
    }
    let rows: Vec<(i64, i64, i64)> =
        sqlx::query_as("SELECT campaign_id, sum(events), sum(cost_nanos) FROM ledger GROUP BY campaign_id")
            .fetch_all(tx)
            .await
            .map_err(failed)?;
    for (id, events, nanos) in rows {
        books.charged.push((fit(id, "campaign id")?, tally(events, nanos, 0)?));
    }
    Ok(books)
}

#[derive(FromRow)]
struct RangeRow {
    r#type: String,
    events: i64,
    charged_events: i64,
    charged_nanos: i64,
    charged_e18: i64,
    duplicate_events: i64,
    duplicate_nanos: i64,
    duplicate_e18: i64,
    unattributed_events: i64,
    unattributed_nanos: i64,
    unattributed_e18: i64,
}

type ByKind = Vec<(String, Sums)>;

async fn ranges(tx: &mut SqliteConnection, position: i64) -> Result<(u64, u64, ByKind), LedgerError> {
    use futures::TryStreamExt;
    let mut rows = sqlx::query_as::<_, RangeRow>(
        "SELECT type, events, charged_events, charged_nanos, charged_e18, duplicate_events, duplicate_nanos,
            duplicate_e18, unattributed_events, unattributed_nanos, unattributed_e18
         FROM ranges WHERE position_id = ?1",
    )
    .bind(position)
    .fetch(tx);
    let (mut poison, mut skipped) = (0, 0);
    let mut by_kind: BTreeMap<String, Sums> = BTreeMap::new();
    while let Some(row) = rows.try_next().await.map_err(failed)? {
        match row.r#type.as_str() {
            DEAD => poison += fit::<u64>(row.events, "events")?,
            SKIPPED => skipped += fit::<u64>(row.events, "events")?,
            _ => by_kind.entry(row.r#type).or_default().add(&Sums {
                charged: tally(row.charged_events, row.charged_nanos, row.charged_e18)?,
                duplicate: tally(row.duplicate_events, row.duplicate_nanos, row.duplicate_e18)?,
                unattributed: tally(row.unattributed_events, row.unattributed_nanos, row.unattributed_e18)?,
            }),
        }
    }
    Ok((poison, skipped, by_kind.into_iter().collect()))
}

#[derive(FromRow)]
struct TotalsRow {
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

async fn totals(tx: &mut SqliteConnection, position: i64) -> Result<Vec<CampaignSums>, LedgerError> {
    let rows: Vec<TotalsRow> =
        sqlx::query_as("SELECT * FROM campaign_totals WHERE position_id = ?1 ORDER BY campaign_id, type")
            .bind(position)
            .fetch_all(tx)
            .await
            .map_err(failed)?;
    rows.into_iter()
        .map(|row| {
            let sums = Sums {
                charged: tally(row.charged_events, row.charged_nanos, 0)?,
                duplicate: tally(row.duplicate_events, row.duplicate_nanos, row.duplicate_e18)?,
                unattributed: tally(row.unattributed_events, row.unattributed_nanos, row.unattributed_e18)?,
            };
            Ok(CampaignSums { campaign: fit(row.campaign_id, "campaign id")?, kind: row.r#type, sums })
        })
        .collect()
}

/// A tally from its columns: rest and carry.
pub(super) fn tally(events: i64, nanos: i64, e18: i64) -> Result<Tally, LedgerError> {
    Ok(Tally { events: fit(events, "events")?, nanos: i128::from(nanos) + i128::from(e18) * E18 })
}
