//! Writes what an import changes, compiled once for each database. What must be locked for it, and
//! whether it came in time, is each database's own `import`.

use super::dialect::{WRITE_ADVERTISERS, WRITE_CAMPAIGNS, WRITE_RATES, WRITE_TAGS};
use super::settle::{settle, settle_balances};
use super::told::{Told, announce};
use super::{Connection, catalogue, changes, failed, run, signed};
use crate::balances::ledger::found;
use crate::balances::ledger::rows::Rows;
use penstock::ledger::{Catalogue, CatalogueDiff, Change, ImportReport, LedgerError, diff};
use penstock::pricing::{CampaignId, Rates};
use penstock::time::Micros;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// An import that is to be written, if its report says that something changes.
pub(super) struct Planned {
    pub(super) current: Catalogue,
    pub(super) diff: CatalogueDiff,
    pub(super) report: ImportReport,
}

/// Compares the catalogue that is to be with the one that is.
pub(super) async fn plan(tx: &mut Connection, new: &Catalogue) -> Result<Planned, LedgerError> {
    let current = catalogue::export(tx).await?;
    let diff = diff(&current, new)?;
    let mut report = diff.report.clone();
    report.version = catalogue::version(tx).await?;
    Ok(Planned { current, diff, report })
}

/// Writes the plan, which must hold since it was made; `now` is when the import began.
pub(super) async fn write(
    tx: &mut Connection,
    plan: Planned,
    lead: Duration,
    change: &Change,
    now: Micros,
) -> Result<ImportReport, LedgerError> {
    let Planned { current, diff, mut report } = plan;
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
    changes::audit(tx, now, change, "import", "catalogue", "null", &found::json(&report)?).await?;
    Ok(report)
}

async fn write_advertisers(tx: &mut Connection, diff: &CatalogueDiff) -> Result<(), LedgerError> {
    let mut rows = Rows::default();
    for a in diff.new_advertisers.iter().chain(&diff.changed_advertisers) {
        rows.push([a.id.into(), a.name.as_str().into(), a.currency.as_str().into(), a.balance_micros.into()]);
    }
    run(tx, WRITE_ADVERTISERS, rows).await
}

async fn write_campaigns(tx: &mut Connection, current: &Catalogue, diff: &CatalogueDiff) -> Result<(), LedgerError> {
    let payer: BTreeMap<CampaignId, u32> = current.campaigns.iter().map(|c| (c.id, c.advertiser_id)).collect();
    for moved in diff.changed_campaigns.iter().filter(|c| payer.get(&c.id) != Some(&c.advertiser_id)) {
        let booked: i64 = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM ledger WHERE campaign_id = ?)
                OR EXISTS (SELECT 1 FROM adjustments WHERE campaign_id = ?)",
        )
        .bind(moved.id)
        .bind(moved.id)
        .fetch_one(&mut *tx)
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
    run(tx, WRITE_CAMPAIGNS, rows).await
}

async fn write_version(
    tx: &mut Connection,
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
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
    Ok(())
}

/// The first version of a campaign's rates or of a tag holds since ever, a later one from the
/// time on from which it is known.
async fn write_prices(
    tx: &mut Connection,
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
        sqlx::query(WRITE_RATES).bind(version).bind(known_from.0).bind(part).execute(&mut *tx).await.map_err(failed)?;
    }
    let mut rows = Rows::default();
    for (tag, campaign) in &diff.tags {
        rows.push([tag.as_str().into(), (*campaign).into()]);
    }
    for part in rows.parts() {
        sqlx::query(WRITE_TAGS)
            .bind(version)
            .bind(known_from.0)
            .bind(Micros::MIN.0)
            .bind(known_from.0)
            .bind(part)
            .execute(&mut *tx)
            .await
            .map_err(failed)?;
    }
    Ok(())
}
