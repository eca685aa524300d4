//! The outbox: what the publisher has to tell, and what it has told.
//!
//! A version is given in one transaction together with the state it stands for, under the lock of
//! `state_version`: so a version means the same state for ever, and a higher one a later state,
//! however many publishers believe to be the one.

use super::{MariaDbLedger, Tx, failed, lock_counter, run, signed, told};
use crate::balances::ledger::rows::{Rows, ints};
use penstock::ledger::{KpiRecord, LedgerError, StateChange};
use penstock::time::Micros;

pub(super) async fn claim(ledger: &MariaDbLedger, limit: u32) -> Result<Vec<StateChange>, LedgerError> {
    if ledger.retried(|| fresh(ledger)).await? {
        ledger.retried(|| give_versions(ledger)).await?;
    }
    ledger
        .retried(|| async {
            let mut tx = ledger.snapshot().await?;
            let untold = told::untold(&mut tx, limit).await?;
            tx.rollback().await?;
            Ok(untold)
        })
        .await
}

async fn fresh(ledger: &MariaDbLedger) -> Result<bool, LedgerError> {
    let mut tx = ledger.snapshot().await?;
    let fresh = told::fresh(&mut tx).await?;
    tx.rollback().await?;
    Ok(fresh)
}

async fn give_versions(ledger: &MariaDbLedger) -> Result<(), LedgerError> {
    let now = ledger.now();
    let mut tx = ledger.begin().await?;
    let version = lock_counter(&mut tx, "state_version").await?;
    let (seqs, pending) = told::pending(&mut tx).await?;
    // Every row is marked, then the last one of each campaign comes back with its version.
    sqlx::query(
        "UPDATE JSON_TABLE(?, '$[*]' COLUMNS (seq BIGINT PATH '$')) j
         STRAIGHT_JOIN outbox o FORCE INDEX (PRIMARY) ON o.seq = j.seq SET o.published_at = ?",
    )
    .bind(ints(seqs))
    .bind(now.0)
    .execute(&mut *tx)
    .await
    .map_err(failed)?;
    // Read after the rows that tell of it: a state may be newer than its row, never older.
    let reasons = told::reasons(&mut tx, pending.campaigns()).await?;
    let (kept, fresh, version) = pending.versions(reasons, version);
    write_versions(&mut tx, kept, fresh, now).await?;
    told::keep_version(&mut tx, version).await?;
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
