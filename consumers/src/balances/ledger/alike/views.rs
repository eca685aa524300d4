//! What people and `reconcile` read, compiled once for each database. Each function runs inside one
//! transaction of the caller.
//!
//! Names that MariaDB reserves stand in grave accents; SQLite takes these too.

use super::dialect::{CHARGED_BY_CAMPAIGN, LISTED};
use super::{Connection, days, failed, fit};
use crate::balances::ledger::found::{
    self, AdvertiserRow, CAMPAIGN_COLUMNS, CampaignRow, LineRow, ListedRow, StopRow, StoppedRow, Stops, TotalsRow,
};
use crate::balances::ledger::posted::tally;
use crate::balances::ledger::ranges::{ByKind, RangeRow};
use crate::balances::ledger::rows::ints;
use penstock::ledger::{
    AdvertiserId, AdvertiserView, AuditEntry, AuditFilter, Books, CampaignFilter, CampaignSums, CampaignView,
    LedgerError, LedgerLine, LineFilter, Listed, PartitionBooks, StoppedCampaign,
};
use penstock::log::LogId;
use penstock::pricing::CampaignId;
use penstock::time::Micros;
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) async fn campaigns(
    tx: &mut Connection,
    filter: &CampaignFilter,
    now: Micros,
) -> Result<Vec<CampaignView>, LedgerError> {
    let rows: Vec<CampaignRow> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "{CAMPAIGN_COLUMNS} WHERE c.id > ? AND (? IS NULL OR c.advertiser_id = ?)
            AND (? IS NULL OR instr(lower(c.name), lower(?)) > 0) AND (NOT ? OR EXISTS (SELECT 1 FROM stops s WHERE s.campaign_id = c.id)
            OR EXISTS (SELECT 1 FROM stops s WHERE s.campaign_id = 0 AND s.advertiser_id = c.advertiser_id))
         ORDER BY c.id LIMIT ?"
    )))
    .bind(filter.after.map_or(0, i64::from))
    .bind(filter.advertiser)
    .bind(filter.advertiser)
    .bind(filter.search.as_deref())
    .bind(filter.search.as_deref())
    .bind(filter.stopped)
    .bind(filter.limit)
    .fetch_all(&mut *tx)
    .await
    .map_err(failed)?;
    complete(tx, rows, now).await
}

pub(super) async fn campaign(
    tx: &mut Connection,
    id: CampaignId,
    now: Micros,
) -> Result<Option<CampaignView>, LedgerError> {
    let row: Option<CampaignRow> = sqlx::query_as(sqlx::AssertSqlSafe(format!("{CAMPAIGN_COLUMNS} WHERE c.id = ?")))
        .bind(id)
        .fetch_optional(&mut *tx)
        .await
        .map_err(failed)?;
    Ok(complete(tx, row.into_iter().collect(), now).await?.pop())
}

/// Adds to the rows what lies in other tables: today's spending and the reasons.
async fn complete(tx: &mut Connection, rows: Vec<CampaignRow>, now: Micros) -> Result<Vec<CampaignView>, LedgerError> {
    let today = spent_today(tx, &rows, now).await?;
    let own = stops(tx, "campaign_id", rows.iter().map(|r| r.id)).await?;
    let payers = stops(tx, "advertiser_id", rows.iter().map(|r| r.advertiser_id)).await?;
    found::views(rows, &today, &own, &payers)
}

async fn spent_today(
    tx: &mut Connection,
    rows: &[CampaignRow],
    now: Micros,
) -> Result<BTreeMap<i64, i64>, LedgerError> {
    let spent = days::spent(tx, found::current_days(rows, now)?).await?;
    Ok(spent.into_iter().map(|(id, charged, adjusted)| (id, charged.saturating_add(adjusted))).collect())
}

/// Reasons by campaign or by advertiser.
async fn stops(
    tx: &mut Connection,
    column: &'static str,
    ids: impl Iterator<Item = i64>,
) -> Result<Stops, LedgerError> {
    let rows: Vec<StopRow> = sqlx::query_as(sqlx::AssertSqlSafe(format!(
        "SELECT {column}, reason, since, who, note FROM stops
         WHERE {column} > 0 AND {column} IN {LISTED}"
    )))
    .bind(ints(ids))
    .fetch_all(tx)
    .await
    .map_err(failed)?;
    Ok(found::stops(rows))
}

pub(super) async fn stopped(tx: &mut Connection) -> Result<Vec<StoppedCampaign>, LedgerError> {
    let rows: Vec<StoppedRow> = sqlx::query_as(
        "SELECT c.id, c.name, s.reason, s.since, s.who, s.note FROM stops s JOIN campaigns c ON c.id = s.campaign_id
         UNION ALL
         SELECT c.id, c.name, s.reason, s.since, s.who, s.note FROM stops s
         JOIN campaigns c ON c.advertiser_id = s.advertiser_id WHERE s.campaign_id = 0
         ORDER BY 1",
    )
    .fetch_all(tx)
    .await
    .map_err(failed)?;
    found::stopped(rows)
}

pub(super) async fn advertisers(
    tx: &mut Connection,
    only: Option<AdvertiserId>,
) -> Result<Vec<AdvertiserView>, LedgerError> {
    let rows: Vec<AdvertiserRow> = sqlx::query_as(
        "SELECT a.id, a.name, a.currency, a.balance_micros, a.spent_nanos, s.since
         FROM advertisers a LEFT JOIN stops s ON s.campaign_id = 0 AND s.advertiser_id = a.id
         WHERE ? IS NULL OR a.id = ? ORDER BY a.id",
    )
    .bind(only)
    .bind(only)
    .fetch_all(tx)
    .await
    .map_err(failed)?;
    rows.into_iter().map(found::advertiser).collect()
}

pub(super) async fn directory(tx: &mut Connection) -> Result<Vec<Listed>, LedgerError> {
    let rows: Vec<ListedRow> = sqlx::query_as(
        "SELECT c.id, c.name, c.advertiser_id, a.currency FROM campaigns c
         JOIN advertisers a ON a.id = c.advertiser_id ORDER BY c.id",
    )
    .fetch_all(tx)
    .await
    .map_err(failed)?;
    rows.into_iter().map(found::listed).collect()
}

pub(super) async fn lines(
    tx: &mut Connection,
    id: CampaignId,
    filter: &LineFilter,
) -> Result<Vec<LedgerLine>, LedgerError> {
    let (hour, kind) = filter.after.as_ref().map_or((i64::MAX, ""), |(hour, kind)| (*hour, kind.as_str()));
    let rows: Vec<LineRow> = sqlx::query_as(
        "SELECT hour, type, events, cost_nanos FROM ledger WHERE campaign_id = ? AND hour >= ? AND hour < ?
            AND (hour < ? OR (hour = ? AND type > ?)) ORDER BY hour DESC, type LIMIT ?",
    )
    .bind(id)
    .bind(filter.from)
    .bind(filter.to)
    .bind(hour)
    .bind(hour)
    .bind(kind)
    .bind(filter.limit)
    .fetch_all(tx)
    .await
    .map_err(failed)?;
    rows.into_iter().map(found::line).collect()
}

pub(super) async fn audit(tx: &mut Connection, filter: &AuditFilter) -> Result<Vec<AuditEntry>, LedgerError> {
    let before = filter.before.map_or(i64::MAX, |id| i64::try_from(id).unwrap_or(i64::MAX));
    let rows: Vec<(i64, i64, String, String, String, String, String, String)> = sqlx::query_as(
        "SELECT id, at, who, action, subject, `before`, after, why FROM audit WHERE id < ?
            AND (? IS NULL OR subject = ?) AND (? IS NULL OR who = ?) AND (? IS NULL OR action = ?)
         ORDER BY id DESC LIMIT ?",
    )
    .bind(before)
    .bind(filter.subject.as_deref())
    .bind(filter.subject.as_deref())
    .bind(filter.who.as_deref())
    .bind(filter.who.as_deref())
    .bind(filter.action.as_deref())
    .bind(filter.action.as_deref())
    .bind(filter.limit)
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
pub(super) async fn books(tx: &mut Connection) -> Result<Books, LedgerError> {
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
        let ranges = ranges(tx, id).await?;
        let (poison, skipped, by_range) = (ranges.poison, ranges.skipped, ranges.sums());
        let by_campaign = totals(tx, id).await?;
        books.partitions.push(PartitionBooks { log, position, poison, skipped, by_range, by_campaign });
    }
    let rows: Vec<(i64, i64, i64)> = sqlx::query_as(CHARGED_BY_CAMPAIGN).fetch_all(tx).await.map_err(failed)?;
    for (id, events, nanos) in rows {
        books.charged.push((fit(id, "campaign id")?, tally(events, nanos, 0)?));
    }
    Ok(books)
}

async fn ranges(tx: &mut Connection, position: i64) -> Result<ByKind, LedgerError> {
    use futures::TryStreamExt;
    let mut rows = sqlx::query_as::<_, RangeRow>("SELECT * FROM ranges WHERE position_id = ?").bind(position).fetch(tx);
    let mut by_kind = ByKind::default();
    while let Some(row) = rows.try_next().await.map_err(failed)? {
        by_kind.add(row)?;
    }
    Ok(by_kind)
}

async fn totals(tx: &mut Connection, position: i64) -> Result<Vec<CampaignSums>, LedgerError> {
    let rows: Vec<TotalsRow> =
        sqlx::query_as("SELECT * FROM campaign_totals WHERE position_id = ? ORDER BY campaign_id, type")
            .bind(position)
            .fetch_all(tx)
            .await
            .map_err(failed)?;
    rows.into_iter().map(found::totals).collect()
}
