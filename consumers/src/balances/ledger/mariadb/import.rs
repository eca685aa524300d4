//! Imports the catalogue, one import at a time.
//!
//! The promise of a snapshot read at time t is that it knows every version with a `known_from`
//! up to t + lead/2. An import keeps its side of it: `known_from` is its begin plus the lead,
//! and it is only good if its COMMIT came within half of the lead. One that took longer moves
//! its `known_from` on before that time has come, when no event can have been priced by it.

use super::control::audit;
use super::settle::{Told, advertisers, announce, settle, settle_balances};
use super::{MariaDbLedger, Tx, catalogue, failed, lock_counter, run, signed};
use crate::balances::ledger::rows::{Rows, ints};
use crate::balances::ledger::{checks, found};
use penstock::ledger::{Catalogue, CatalogueDiff, Change, ImportReport, LedgerError, diff};
use penstock::pricing::{CampaignId, Rates};
use penstock::time::Micros;
use std::collections::{BTreeMap, BTreeSet};
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
    let current = catalogue::export(tx).await?;
    let diff = diff(&current, new)?;
    let mut report = diff.report.clone();
    report.version = catalogue::version(tx).await?;
    if !report.changed() {
        return Ok(report);
    }
    lock(tx, &current, &diff).await?;
    write_advertisers(tx, &diff).await?;
    write_campaigns(tx, &current, &diff).await?;
    if !diff.rates.is_empty() || !diff.tags.is_empty() {
        let known_from = now.plus(lead);
        report.version += 1;
        report.known_from = Some(known_from);
        write_version(tx, &report, known_from, change, now).await?;
        write_prices(tx, &current, &diff, &report, known_from).await?;
    }
    let touched = diff.new_campaigns.iter().chain(&diff.changed_campaigns).map(|c| c.id).collect();
    // A reader of the campaign-state log knows a campaign from its first record on.
    for campaign in &diff.new_campaigns {
        announce(tx, Told::Campaign(campaign.id), None, now).await?;
    }
    settle(tx, &touched, now).await?;
    let payers: BTreeSet<u32> = diff.new_advertisers.iter().chain(&diff.changed_advertisers).map(|a| a.id).collect();
    settle_balances(tx, &payers, now).await?;
    audit(tx, now, change, "import", "catalogue", "null", &found::json(&report)?).await?;
    Ok(report)
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

async fn write_advertisers(tx: &mut Tx, diff: &CatalogueDiff) -> Result<(), LedgerError> {
    let mut rows = Rows::default();
    for a in diff.new_advertisers.iter().chain(&diff.changed_advertisers) {
        rows.push([a.id.into(), a.name.as_str().into(), a.currency.as_str().into(), a.balance_micros.into()]);
    }
    run(
        tx,
        "INSERT INTO advertisers (id, name, currency, balance_micros)
         SELECT c0, c1, c2, c3 FROM JSON_TABLE(?, '$[*]' COLUMNS (c0 BIGINT PATH '$[0]', c1 VARCHAR(200) PATH '$[1]',
            c2 CHAR(3) PATH '$[2]', c3 BIGINT PATH '$[3]')) j
         ON DUPLICATE KEY UPDATE name = VALUES(name), balance_micros = VALUES(balance_micros)",
        rows,
    )
    .await
}

async fn write_campaigns(tx: &mut Tx, current: &Catalogue, diff: &CatalogueDiff) -> Result<(), LedgerError> {
    let payer: BTreeMap<CampaignId, u32> = current.campaigns.iter().map(|c| (c.id, c.advertiser_id)).collect();
    for moved in diff.changed_campaigns.iter().filter(|c| payer.get(&c.id) != Some(&c.advertiser_id)) {
        let booked: i64 = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM ledger WHERE campaign_id = ?)
                OR EXISTS (SELECT 1 FROM adjustments WHERE campaign_id = ?)",
        )
        .bind(moved.id)
        .bind(moved.id)
        .fetch_one(&mut **tx)
        .await
        .map_err(failed)?;
        if booked != 0 {
            return Err(LedgerError::Refused(format!(
                "campaign {} has been charged to its advertiser and cannot move to advertiser {}",
                moved.id, moved.advertiser_id
            )));
        }
    }
    let mut rows = Rows::default();
    for c in diff.new_campaigns.iter().chain(&diff.changed_campaigns) {
        rows.push([
            c.id.into(),
            c.name.as_str().into(),
            c.advertiser_id.into(),
            c.time_zone.as_str().into(),
            c.total_budget_micros.into(),
            c.daily_budget_micros.into(),
        ]);
    }
    run(
        tx,
        "INSERT INTO campaigns (id, name, advertiser_id, time_zone, total_budget_micros, daily_budget_micros)
         SELECT c0, c1, c2, c3, c4, c5 FROM JSON_TABLE(?, '$[*]' COLUMNS (c0 BIGINT PATH '$[0]',
            c1 VARCHAR(200) PATH '$[1]', c2 BIGINT PATH '$[2]', c3 VARCHAR(64) PATH '$[3]', c4 BIGINT PATH '$[4]',
            c5 BIGINT PATH '$[5]')) j
         ON DUPLICATE KEY UPDATE name = VALUES(name), advertiser_id = VALUES(advertiser_id),
            time_zone = VALUES(time_zone), total_budget_micros = VALUES(total_budget_micros),
            daily_budget_micros = VALUES(daily_budget_micros)",
        rows,
    )
    .await
}

async fn write_version(
    tx: &mut Tx,
    report: &ImportReport,
    known_from: Micros,
    change: &Change,
    now: Micros,
) -> Result<(), LedgerError> {
    sqlx::query("INSERT INTO catalogue_versions (version, known_from, imported_at, who) VALUES (?, ?, ?, ?)")
        .bind(signed(report.version, "version")?)
        .bind(known_from.0)
        .bind(now.0)
        .bind(&change.who)
        .execute(&mut **tx)
        .await
        .map_err(failed)?;
    Ok(())
}

/// The first version of a campaign's rates or of a tag holds since ever, a later one from the
/// time on from which it is known.
async fn write_prices(
    tx: &mut Tx,
    current: &Catalogue,
    diff: &CatalogueDiff,
    report: &ImportReport,
    known_from: Micros,
) -> Result<(), LedgerError> {
    let version = signed(report.version, "version")?;
    let known: BTreeSet<CampaignId> = current.campaigns.iter().map(|c| c.id).collect();
    let mut rows = Rows::default();
    for (id, rates) in &diff.rates {
        let valid_from = if known.contains(id) { known_from } else { Micros::MIN };
        let Rates { cpm_micros, cpc_micros, cpa_micros } = *rates;
        rows.push([(*id).into(), valid_from.0.into(), cpm_micros.into(), cpc_micros.into(), cpa_micros.into()]);
    }
    for part in rows.parts() {
        sqlx::query(
            "INSERT INTO rates (campaign_id, version, valid_from, known_from, cpm_micros, cpc_micros, cpa_micros)
             SELECT c0, ?, c1, ?, c2, c3, c4 FROM JSON_TABLE(?, '$[*]' COLUMNS (c0 BIGINT PATH '$[0]',
                c1 BIGINT PATH '$[1]', c2 BIGINT PATH '$[2]', c3 BIGINT PATH '$[3]', c4 BIGINT PATH '$[4]')) j",
        )
        .bind(version)
        .bind(known_from.0)
        .bind(part)
        .execute(&mut **tx)
        .await
        .map_err(failed)?;
    }
    let mut rows = Rows::default();
    for (tag, campaign) in &diff.tags {
        rows.push([tag.as_str().into(), (*campaign).into()]);
    }
    for part in rows.parts() {
        sqlx::query(
            "INSERT INTO tags (tag, version, valid_from, known_from, campaign_id)
             SELECT c0, ?, IF(EXISTS (SELECT 1 FROM tags t WHERE t.tag = c0), ?, ?), ?, c1
             FROM JSON_TABLE(?, '$[*]' COLUMNS (c0 VARCHAR(200) PATH '$[0]', c1 BIGINT PATH '$[1]')) j",
        )
        .bind(version)
        .bind(known_from.0)
        .bind(Micros::MIN.0)
        .bind(known_from.0)
        .bind(part)
        .execute(&mut **tx)
        .await
        .map_err(failed)?;
    }
    Ok(())
}
