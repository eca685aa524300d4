//! The outbox: what the publisher has to tell, and what it has told.
//!
//! A version is given in one transaction together with the state it stands for, so a version
//! means the same state for ever, however often a crash makes the publisher tell it again.

use super::{SqliteLedger, begin, failed, run, signed};
use crate::balances::ledger::found::{self, KpiRow, Pending, StateRow};
use crate::balances::ledger::rows::{Rows, ints};
use penstock::ledger::{KpiRecord, LedgerError, StateChange};
use penstock::pricing::CampaignId;
use penstock::time::Micros;
use sqlx::SqliteConnection;

/// Outbox rows that get their version in one transaction; an advertiser's row may be many campaigns.
const CLAIM_ROWS: u32 = 1_000;

pub(super) async fn claim(ledger: &SqliteLedger, limit: u32) -> Result<Vec<StateChange>, LedgerError> {
    let fresh: bool = {
        let mut tx = ledger.read().await?;
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM outbox WHERE published_at IS NULL AND version IS NULL)")
            .fetch_one(&mut *tx)
            .await
            .map_err(failed)?
    };
    if fresh {
        let now = ledger.now();
        let mut writer = ledger.writer().await;
        let mut tx = begin(&mut writer).await?;
        give_versions(&mut tx, now).await?;
        tx.commit().await.map_err(failed)?;
    }
    let mut tx = ledger.read().await?;
    let rows: Vec<StateRow> = sqlx::query_as(
        "SELECT campaign_id, version, serving, reasons, created_at, cause_received FROM outbox
         WHERE published_at IS NULL AND version IS NOT NULL ORDER BY version LIMIT ?1",
    )
    .bind(limit)
    .fetch_all(&mut *tx)
    .await
    .map_err(failed)?;
    rows.into_iter().map(found::state).collect()
}

async fn give_versions(tx: &mut SqliteConnection, now: Micros) -> Result<(), LedgerError> {
    let rows: Vec<(i64, i64, i64, Option<i64>)> = sqlx::query_as(
        "SELECT seq, campaign_id, advertiser_id, cause_received FROM outbox
         WHERE published_at IS NULL AND version IS NULL ORDER BY seq LIMIT ?1",
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
        let campaigns: Vec<i64> = sqlx::query_scalar("SELECT id FROM campaigns WHERE advertiser_id = ?1")
            .bind(advertiser)
            .fetch_all(&mut *tx)
            .await
            .map_err(failed)?;
        campaigns.into_iter().for_each(|id| pending.add(id, None, *cause));
    }
    // Every row is marked, then the last one of each campaign comes back with its version.
    sqlx::query("UPDATE outbox SET published_at = ?2 WHERE seq IN (SELECT value FROM json_each(?1))")
        .bind(ints(rows.iter().map(|row| row.0)))
        .bind(now.0)
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
    let reasons = reasons(tx, pending.campaigns()).await?;
    let version: i64 = sqlx::query_scalar("SELECT value FROM counters WHERE name = 'state_version'")
        .fetch_one(&mut *tx)
        .await
        .map_err(failed)?;
    let (kept, fresh, version) = pending.versions(reasons, version);
    for (statement, rows) in [
        (
            "UPDATE outbox SET version = j.value ->> 1, serving = j.value ->> 2, reasons = j.value ->> 3,
                cause_received = j.value ->> 4, published_at = NULL, created_at = ?2
             FROM json_each(?1) j WHERE outbox.seq = j.value ->> 0",
            kept,
        ),
        (
            "INSERT INTO outbox (campaign_id, version, serving, reasons, cause_received, created_at)
             SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, ?2 FROM json_each(?1)",
            fresh,
        ),
    ] {
        for part in rows.parts() {
            sqlx::query(statement).bind(part).bind(now.0).execute(&mut *tx).await.map_err(failed)?;
        }
    }
    sqlx::query("UPDATE counters SET value = ?1 WHERE name = 'state_version'")
        .bind(version)
        .execute(tx)
        .await
        .map_err(failed)?;
    Ok(())
}

/// The reasons of campaigns, their advertisers' included.
async fn reasons(
    tx: &mut SqliteConnection,
    campaigns: impl Iterator<Item = i64>,
) -> Result<Vec<(i64, String)>, LedgerError> {
    sqlx::query_as(
        "SELECT s.campaign_id, s.reason FROM json_each(?1) j CROSS JOIN stops s
            ON s.campaign_id = j.value AND s.advertiser_id = 0
         UNION ALL
         SELECT c.id, s.reason FROM json_each(?1) j CROSS JOIN campaigns c ON c.id = j.value
         CROSS JOIN stops s ON s.campaign_id = 0 AND s.advertiser_id = c.advertiser_id",
    )
    .bind(ints(campaigns))
    .fetch_all(tx)
    .await
    .map_err(failed)
}

pub(super) async fn published(ledger: &SqliteLedger, versions: &[u64]) -> Result<(), LedgerError> {
    if versions.is_empty() {
        return Ok(());
    }
    let versions = versions.iter().map(|v| signed(*v, "version")).collect::<Result<Vec<_>, _>>()?;
    let now = ledger.now();
    let mut writer = ledger.writer().await;
    let mut tx = begin(&mut writer).await?;
    sqlx::query(
        "UPDATE outbox SET published_at = ?2
         WHERE version IN (SELECT value FROM json_each(?1)) AND published_at IS NULL",
    )
    .bind(ints(versions))
    .bind(now.0)
    .execute(&mut *tx)
    .await
    .map_err(failed)?;
    tx.commit().await.map_err(failed)
}

pub(super) async fn states(tx: &mut SqliteConnection) -> Result<Vec<StateChange>, LedgerError> {
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
    tx: &mut SqliteConnection,
    id: CampaignId,
    before: Option<u64>,
    limit: u32,
) -> Result<Vec<StateChange>, LedgerError> {
    let before = before.map_or(i64::MAX, |version| i64::try_from(version).unwrap_or(i64::MAX));
    let rows: Vec<StateRow> = sqlx::query_as(
        "SELECT campaign_id, version, serving, reasons, created_at, cause_received FROM outbox
         WHERE campaign_id = ?1 AND version IS NOT NULL AND version < ?2 ORDER BY version DESC LIMIT ?3",
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
    tx: &mut SqliteConnection,
    limit: u32,
    now: Micros,
) -> Result<Vec<KpiRecord>, LedgerError> {
    let rows: Vec<KpiRow> = sqlx::query_as(
        "SELECT k.campaign_id, k.sequence, k.visits, k.impressions, k.clicks, k.conversions, c.spent_nanos
         FROM campaign_kpis k JOIN campaigns c ON c.id = k.campaign_id
         WHERE k.sequence > k.published_sequence ORDER BY k.campaign_id LIMIT ?1",
    )
    .bind(limit)
    .fetch_all(tx)
    .await
    .map_err(failed)?;
    rows.into_iter().map(|row| found::kpis(row, now)).collect()
}

pub(super) async fn kpis_published(ledger: &SqliteLedger, records: &[KpiRecord]) -> Result<(), LedgerError> {
    let mut rows = Rows::default();
    for record in records {
        rows.push([record.campaign_id.into(), signed(record.sequence, "sequence")?.into()]);
    }
    if records.is_empty() {
        return Ok(());
    }
    let mut writer = ledger.writer().await;
    let mut tx = begin(&mut writer).await?;
    run(
        &mut tx,
        "UPDATE campaign_kpis SET published_sequence = j.value ->> 1 FROM json_each(?1) j
         WHERE campaign_kpis.campaign_id = j.value ->> 0 AND campaign_kpis.published_sequence < j.value ->> 1",
        rows,
    )
    .await?;
    tx.commit().await.map_err(failed)
}
