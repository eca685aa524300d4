//! Imports the catalogue.
//!
//! The promise of a snapshot read at time t is that it knows every version with a `known_from`
//! up to t + lead/2. An import keeps its side of it: `known_from` is its begin plus the lead,
//! and it is only good if its COMMIT came within half of the lead. One that took longer moves
//! its `known_from` on before that time has come, when no event can have been priced by it.

use super::{SqliteLedger, begin, failed, imported, signed};
use crate::balances::ledger::checks;
use penstock::ledger::{Catalogue, Change, ImportReport, LedgerError};
use penstock::time::Micros;
use std::time::Duration;

/// How often an import that was too slow tries again.
const TRIES: u32 = 5;

pub(super) async fn import(
    ledger: &SqliteLedger,
    new: &Catalogue,
    lead: Duration,
    change: &Change,
) -> Result<ImportReport, LedgerError> {
    checks::change(change)?;
    checks::catalogue(new)?;
    for _ in 0..TRIES {
        let mut writer = ledger.writer().await;
        let mut tx = begin(&mut writer).await?;
        // Not before the lock is held: waiting for it must not eat up the lead.
        let began = ledger.now();
        let plan = imported::plan(&mut tx, new).await?;
        if !plan.report.changed() {
            return Ok(plan.report);
        }
        let report = imported::write(&mut tx, plan, lead, change, began).await?;
        if report.known_from.is_some() && ledger.now().since(began) > lead / 4 {
            tracing::warn!("an import took more than a quarter of the lead and is tried again");
            continue;
        }
        tx.commit().await.map_err(failed)?;
        drop(writer);
        ledger.ring();
        return in_time(ledger, report, began, lead).await;
    }
    Err(LedgerError::Busy(format!("an import of {} campaigns takes longer than the lead allows", new.campaigns.len())))
}

/// Moves `known_from` on when COMMIT came too late for it.
async fn in_time(
    ledger: &SqliteLedger,
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
        let mut writer = ledger.writer().await;
        let mut tx = begin(&mut writer).await?;
        began = ledger.now();
        let later = began.plus(lead);
        for statement in [
            "UPDATE rates SET valid_from = iif(valid_from = known_from, ?2, valid_from), known_from = ?2 WHERE version = ?1",
            "UPDATE tags SET valid_from = iif(valid_from = known_from, ?2, valid_from), known_from = ?2 WHERE version = ?1",
            "UPDATE catalogue_versions SET known_from = ?2 WHERE version = ?1",
        ] {
            sqlx::query(statement)
                .bind(signed(report.version, "version")?)
                .bind(later.0)
                .execute(&mut *tx)
                .await
                .map_err(failed)?;
        }
        tx.commit().await.map_err(failed)?;
        report.known_from = Some(later);
    }
    Ok(report)
}
