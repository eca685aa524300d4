//! Imports the catalogue, one import at a time.
//!
//! The promise of a snapshot read at time t is that it knows every version with a `known_from`
//! up to t + lead/2. An import keeps its side of it: `known_from` is its begin plus the lead,
//! and it is only good if its COMMIT came within half of the lead. One that took longer moves
//! its `known_from` on before that time has come, when no event can have been priced by it.

use super::accounts::advertisers;
use super::{MariaDbLedger, Tx, failed, imported, lock_counter, signed};
use crate::balances::ledger::checks;
use crate::balances::ledger::rows::ints;
use penstock::ledger::{Catalogue, CatalogueDiff, Change, ImportReport, LedgerError};
use penstock::pricing::CampaignId;
use penstock::time::Micros;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How often an import that was too slow tries again.
const TRIES: u32 = 5;

/// What an attempt had written when its COMMIT was sent, and when it began.
type Sent = Mutex<Option<(ImportReport, Micros)>>;

pub(super) async fn import(
    ledger: &MariaDbLedger,
    new: &Catalogue,
    lead: Duration,
    change: &Change,
) -> Result<ImportReport, LedgerError> {
    checks::change(change)?;
    checks::catalogue(new)?;
    let sent = Sent::default();
    for _ in 0..TRIES {
        let done = ledger.retried(|| attempt(ledger, new, lead, change, &sent)).await?;
        let Some((report, began)) = done else { continue };
        if report.changed() {
            ledger.ring();
        }
        return in_time(ledger, report, began, lead).await;
    }
    Err(LedgerError::Busy(format!("an import of {} campaigns takes longer than the lead allows", new.campaigns.len())))
}

/// One attempt; `None` when it was too slow to be committed.
async fn attempt(
    ledger: &MariaDbLedger,
    new: &Catalogue,
    lead: Duration,
    change: &Change,
    sent: &Sent,
) -> Result<Option<(ImportReport, Micros)>, LedgerError> {
    let mut tx = ledger.begin().await?;
    lock_counter(&mut tx, "import").await?;
    // Not before the lock is held: waiting for it must not eat up the lead.
    let began = ledger.now();
    let report = write(&mut tx, new, lead, change, began).await?;
    let earlier = sent.lock().unwrap_or_else(PoisonError::into_inner).take();
    if !report.changed() {
        tx.rollback().await?;
        // An attempt of this very call, whose COMMIT was not answered, is what made it so.
        return Ok(Some(earlier.unwrap_or((report, began))));
    }
    if report.known_from.is_some() && ledger.now().since(began) > lead / 4 {
        tracing::warn!("an import took more than a quarter of the lead and is tried again");
        tx.rollback().await?;
        return Ok(None);
    }
    *sent.lock().unwrap_or_else(PoisonError::into_inner) = Some((report.clone(), began));
    tx.commit().await?;
    Ok(Some((report, began)))
}

/// Moves `known_from` on when COMMIT came too late for it.
async fn in_time(
    ledger: &MariaDbLedger,
    mut report: ImportReport,
    began: Micros,
    lead: Duration,
) -> Result<ImportReport, LedgerError> {
    let mut began = began;
    while let Some(known_from) = report.known_from {
        if ledger.now().since(began) <= lead / 2 {
            break;
        }
        tracing::warn!(%known_from, "the catalogue was committed late; its prices will hold later");
        began = ledger.now();
        let later = began.plus(lead);
        ledger.retried(|| move_on(ledger, report.version, later)).await?;
        report.known_from = Some(later);
    }
    Ok(report)
}

async fn move_on(ledger: &MariaDbLedger, version: u64, later: Micros) -> Result<(), LedgerError> {
    let version = signed(version, "version")?;
    let mut tx = ledger.begin().await?;
    lock_counter(&mut tx, "import").await?;
    // Assigned from left to right: valid_from looks at known_from as it was.
    for statement in [
        "UPDATE rates SET valid_from = IF(valid_from = known_from, ?, valid_from), known_from = ? WHERE version = ?",
        "UPDATE tags SET valid_from = IF(valid_from = known_from, ?, valid_from), known_from = ? WHERE version = ?",
    ] {
        sqlx::query(statement).bind(later.0).bind(later.0).bind(version).execute(&mut *tx).await.map_err(failed)?;
    }
    sqlx::query("UPDATE catalogue_versions SET known_from = ? WHERE version = ?")
        .bind(later.0)
        .bind(version)
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
    tx.commit().await
}

async fn write(
    tx: &mut Tx,
    new: &Catalogue,
    lead: Duration,
    change: &Change,
    now: Micros,
) -> Result<ImportReport, LedgerError> {
    let plan = imported::plan(tx, new).await?;
    if !plan.report.changed() {
        return Ok(plan.report);
    }
    lock(tx, &plan.current, &plan.diff).await?;
    imported::write(tx, plan, lead, change, now).await
}

/// Locks all that the import changes, in the order of locks: the advertisers that change, that
/// campaigns leave or come to, then the campaigns.
async fn lock(tx: &mut Tx, current: &Catalogue, diff: &CatalogueDiff) -> Result<(), LedgerError> {
    let rates: BTreeSet<CampaignId> = diff.rates.iter().map(|(id, _)| *id).collect();
    let changed: BTreeSet<CampaignId> = diff.changed_campaigns.iter().map(|c| c.id).chain(rates).collect();
    let left = current.campaigns.iter().filter(|c| changed.contains(&c.id)).map(|c| c.advertiser_id);
    let joined = diff.new_campaigns.iter().chain(&diff.changed_campaigns).map(|c| c.advertiser_id);
    let payers = diff.changed_advertisers.iter().map(|a| a.id).chain(left).chain(joined).collect();
    advertisers(tx, &payers).await?;
    sqlx::query(
        "SELECT c.id FROM JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT PATH '$')) j
         STRAIGHT_JOIN campaigns c FORCE INDEX (PRIMARY) ON c.id = j.id FOR UPDATE",
    )
    .bind(ints(changed.iter().map(|id| i64::from(*id))))
    .fetch_all(&mut **tx)
    .await
    .map_err(failed)?;
    Ok(())
}
