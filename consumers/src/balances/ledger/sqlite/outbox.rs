//! The outbox: what the publisher has to tell, and what it has told.
//!
//! A version is given in one transaction together with the state it stands for, so a version
//! means the same state for ever, however often a crash makes the publisher tell it again.

use super::{SqliteLedger, begin, failed, run, signed, told};
use crate::balances::ledger::rows::{Rows, ints};
use penstock::ledger::{KpiRecord, LedgerError, StateChange};
use penstock::time::Micros;
use sqlx::SqliteConnection;

pub(super) async fn claim(ledger: &SqliteLedger, limit: u32) -> Result<Vec<StateChange>, LedgerError> {
    let fresh = {
        let mut tx = ledger.read().await?;
        told::fresh(&mut tx).await?
    };
    if fresh {
        let now = ledger.now();
        let mut writer = ledger.writer().await;
        let mut tx = begin(&mut writer).await?;
        give_versions(&mut tx, now).await?;
        tx.commit().await.map_err(failed)?;
    }
    let mut tx = ledger.read().await?;
    told::untold(&mut tx, limit).await
}

async fn give_versions(tx: &mut SqliteConnection, now: Micros) -> Result<(), LedgerError> {
    let (seqs, pending) = told::pending(tx).await?;
    // Every row is marked, then the last one of each campaign comes back with its version.
    sqlx::query("UPDATE outbox SET published_at = ?2 WHERE seq IN (SELECT value FROM json_each(?1))")
        .bind(ints(seqs))
        .bind(now.0)
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
    let reasons = told::reasons(tx, pending.campaigns()).await?;
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
    told::keep_version(tx, version).await
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
