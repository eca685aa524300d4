//! The outbox: what the publisher has to tell, and what it has told.
//!
//! A version is given in one transaction together with the state it stands for, under the lock of
//! `state_version`: so a version means the same state for ever, and a higher one a later state,
//! however many publishers believe to be the one.

use super::{MariaDbLedger, Tx, failed, lock_counter, run, signed};
use crate::balances::ledger::found::{self, KpiRow, Pending, StateRow};
use crate::balances::ledger::rows::{Rows, ints};
use penstock::ledger::{KpiRecord, LedgerError, StateChange};
use penstock::pricing::CampaignId;
use penstock::time::Micros;
use sqlx::MySqlConnection;

/// Outbox rows that get their version in one transaction; an advertiser's row may be many campaigns.
const CLAIM_ROWS: u32 = 1_000;

pub(super) async fn claim(ledger: &MariaDbLedger, limit: u32) -> Result<Vec<StateChange>, LedgerError> {
    if ledger.retried(|| fresh(ledger)).await? {
        ledger.retried(|| give_versions(ledger)).await?;
    }
    ledger
        .retried(|| async {
            let mut tx = ledger.snapshot().await?;
            let rows: Vec<StateRow> = sqlx::query_as(
                "SELECT campaign_id, version, serving, reasons, created_at, cause_received FROM outbox
                 WHERE published_at IS NULL AND version IS NOT NULL ORDER BY version LIMIT ?",
            )
            .bind(limit)
            .fetch_all(&mut *tx)
            .await
            .map_err(failed)?;
            tx.rollback().await?;
            rows.into_iter().map(found::state).collect()
        })
        .await
}

/// Whether there is something without a version.
async fn fresh(ledger: &MariaDbLedger) -> Result<bool, LedgerError> {
    let mut tx = ledger.snapshot().await?;
    let fresh: i64 =
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM outbox WHERE published_at IS NULL AND version IS NULL)")
            .fetch_one(&mut *tx)
            .await
            .map_err(failed)?;
    tx.rollback().await?;
    Ok(fresh != 0)
}

async fn give_versions(ledger: &MariaDbLedger) -> Result<(), LedgerError> {
    let now = ledger.now();
    let mut tx = ledger.begin().await?;
    let version = lock_counter(&mut tx, "state_version").await?;
    let rows: Vec<(i64, i64, i64, Option<i64>)> = sqlx::query_as(
        "SELECT seq, campaign_id, advertiser_id, cause_received FROM outbox
         WHERE published_at IS NULL AND version IS NULL ORDER BY seq LIMIT ?",
    )
    .bind(CLAIM_ROWS)
    .fetch_all(&mut *tx)
    .await
    .map_err(failed)?;
    let mut pending = Pending::default();
    for (seq, campaign, advertiser, cause) in &rows {
        if *advertiser == 0 {
            pending.add(*campaign, Some(*seq), *cause);
            continue;
        }
        let campaigns: Vec<i64> = sqlx::query_scalar("SELECT id FROM campaigns WHERE advertiser_id = ?")
            .bind(advertiser)
            .fetch_all(&mut *tx)
            .await
            .map_err(failed)?;
        campaigns.into_iter().for_each(|id| pending.add(id, None, *cause));
    }
    // Every row is marked, then the last one of each campaign comes back with its version.
    sqlx::query(
        "UPDATE JSON_TABLE(?, '$[*]' COLUMNS (seq BIGINT PATH '$')) j
         STRAIGHT_JOIN outbox o FORCE INDEX (PRIMARY) ON o.seq = j.seq SET o.published_at = ?",
    )
    .bind(ints(rows.iter().map(|row| row.0)))
    .bind(now.0)
    .execute(&mut *tx)
    .await
    .map_err(failed)?;
    // Read after the rows that tell of it: a state may be newer than its row, never older.
    let reasons = reasons(&mut tx, pending.campaigns()).await?;
    let (kept, fresh, version) = pending.versions(reasons, version);
    write_versions(&mut tx, kept, fresh, now).await?;
    sqlx::query("UPDATE counters SET value = ? WHERE name = 'state_version'")
        .bind(version)
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
    tx.commit().await
}

async fn write_versions(tx: &mut Tx, kept: Rows, fresh: Rows, now: Micros) -> Result<(), LedgerError> {
    for part in kept.parts() {
        sqlx::query(
            "UPDATE JSON_TABLE(?, '$[*]' COLUMNS (seq BIGINT PATH '$[0]', version BIGINT PATH '$[1]',
                serving BIGINT PATH '$[2]', reasons VARCHAR(200) PATH '$[3]', cause BIGINT PATH '$[4]')) j
             STRAIGHT_JOIN outbox o FORCE INDEX (PRIMARY) ON o.seq = j.seq
             SET o.version = j.version, o.serving = j.serving, o.reasons = j.reasons, o.cause_received = j.cause,
                o.published_at = NULL, o.created_at = ?",
        )
        .bind(part)
        .bind(now.0)
        .execute(&mut **tx)
        .await
        .map_err(failed)?;
    }
    for part in fresh.parts() {
        sqlx::query(
            "INSERT INTO outbox (campaign_id, version, serving, reasons, cause_received, created_at)
             SELECT c0, c1, c2, c3, c4, ?
             FROM JSON_TABLE(?, '$[*]' COLUMNS (c0 BIGINT PATH '$[0]', c1 BIGINT PATH '$[1]', c2 BIGINT PATH '$[2]',
                c3 VARCHAR(200) PATH '$[3]', c4 BIGINT PATH '$[4]')) j",
        )
        .bind(now.0)
        .bind(part)
        .execute(&mut **tx)
        .await
        .map_err(failed)?;
    }
    Ok(())
}

/// The reasons of campaigns, their advertisers' included.
async fn reasons(
    tx: &mut MySqlConnection,
    campaigns: impl Iterator<Item = i64>,
) -> Result<Vec<(i64, String)>, LedgerError> {
    let ids = ints(campaigns);
    sqlx::query_as(
        "SELECT s.campaign_id, s.reason FROM JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT PATH '$')) j
         STRAIGHT_JOIN stops s FORCE INDEX (PRIMARY) ON s.campaign_id = j.id AND s.advertiser_id = 0
         UNION ALL
         SELECT c.id, s.reason FROM JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT PATH '$')) j
         STRAIGHT_JOIN campaigns c FORCE INDEX (PRIMARY) ON c.id = j.id
         STRAIGHT_JOIN stops s FORCE INDEX (PRIMARY) ON s.campaign_id = 0 AND s.advertiser_id = c.advertiser_id",
    )
    .bind(&ids)
    .bind(&ids)
    .fetch_all(tx)
    .await
    .map_err(failed)
}

pub(super) async fn published(ledger: &MariaDbLedger, versions: &[u64]) -> Result<(), LedgerError> {
    if versions.is_empty() {
        return Ok(());
    }
    let versions = versions.iter().map(|v| signed(*v, "version")).collect::<Result<Vec<_>, _>>()?;
    ledger
        .retried(|| async {
            let now = ledger.now();
            let mut tx = ledger.begin().await?;
            sqlx::query(
                "UPDATE JSON_TABLE(?, '$[*]' COLUMNS (version BIGINT PATH '$')) j
                 STRAIGHT_JOIN outbox o FORCE INDEX (version) ON o.version = j.version
                 SET o.published_at = ? WHERE o.published_at IS NULL",
            )
            .bind(ints(versions.iter().copied()))
            .bind(now.0)
            .execute(&mut *tx)
            .await
            .map_err(failed)?;
            tx.commit().await
        })
        .await
}

pub(super) async fn states(tx: &mut MySqlConnection) -> Result<Vec<StateChange>, LedgerError> {
    let rows: Vec<StateRow> = sqlx::query_as(
        "SELECT o.campaign_id, o.version, o.serving, o.reasons, o.created_at, o.cause_received
         FROM (SELECT campaign_id, max(version) AS version FROM outbox
               WHERE version IS NOT NULL AND published_at IS NOT NULL GROUP BY campaign_id) newest
         JOIN outbox o ON o.version = newest.version ORDER BY o.version",
    )
    .fetch_all(tx)
    .await
    .map_err(failed)?;
    rows.into_iter().map(found::state).collect()
}

pub(super) async fn history(
    tx: &mut MySqlConnection,
    id: CampaignId,
    before: Option<u64>,
    limit: u32,
) -> Result<Vec<StateChange>, LedgerError> {
    let before = before.map_or(i64::MAX, |version| i64::try_from(version).unwrap_or(i64::MAX));
    let rows: Vec<StateRow> = sqlx::query_as(
        "SELECT campaign_id, version, serving, reasons, created_at, cause_received FROM outbox
         WHERE campaign_id = ? AND version IS NOT NULL AND version < ? ORDER BY version DESC LIMIT ?",
    )
    .bind(id)
    .bind(before)
    .bind(limit)
    .fetch_all(tx)
    .await
    .map_err(failed)?;
    rows.into_iter().map(found::state).collect()
}

pub(super) async fn changed_kpis(
    tx: &mut MySqlConnection,
    limit: u32,
    now: Micros,
) -> Result<Vec<KpiRecord>, LedgerError> {
    let rows: Vec<KpiRow> = sqlx::query_as(
        "SELECT k.campaign_id, k.sequence, k.visits, k.impressions, k.clicks, k.conversions, c.spent_nanos
         FROM campaign_kpis k JOIN campaigns c ON c.id = k.campaign_id
         WHERE k.to_publish = 1 ORDER BY k.campaign_id LIMIT ?",
    )
    .bind(limit)
    .fetch_all(tx)
    .await
    .map_err(failed)?;
    rows.into_iter().map(|row| found::kpis(row, now)).collect()
}

pub(super) async fn kpis_published(ledger: &MariaDbLedger, records: &[KpiRecord]) -> Result<(), LedgerError> {
    if records.is_empty() {
        return Ok(());
    }
    ledger
        .retried(|| async {
            let mut rows = Rows::default();
            for record in records {
                rows.push([record.campaign_id.into(), signed(record.sequence, "sequence")?.into()]);
            }
            let mut tx = ledger.begin().await?;
            run(
                &mut tx,
                "UPDATE JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT PATH '$[0]', sequence BIGINT PATH '$[1]')) j
                 STRAIGHT_JOIN campaign_kpis k FORCE INDEX (PRIMARY) ON k.campaign_id = j.id
                 SET k.published_sequence = j.sequence WHERE k.published_sequence < j.sequence",
                rows,
            )
            .await?;
            tx.commit().await
        })
        .await
}
