//! Imports and exports the catalogue, and reads all its versions into a snapshot.
//!
//! The promise of a snapshot read at time t is that it knows every version with a `known_from`
//! up to t + lead/2. An import keeps its side of it: `known_from` is its begin plus the lead,
//! and it is only good if its COMMIT came within half of the lead. One that took longer moves
//! its `known_from` on before that time has come, when no event can have been priced by it.

use super::control::audit;
use super::settle::{Told, announce, settle, settle_balances};
use super::{SqliteLedger, begin, failed, fit, run};
use crate::balances::ledger::rows::Rows;
use crate::balances::ledger::{checks, found};
use hashbrown::HashMap;
use penstock::ledger::{Advertiser, Campaign, Catalogue, CatalogueDiff, Change, ImportReport, LedgerError, diff};
use penstock::pricing::{CampaignId, Rates, Snapshot, Version, Versions};
use penstock::time::Micros;
use sqlx::SqliteConnection;
use std::collections::{BTreeMap, BTreeSet};
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
        let report = write(&mut tx, new, lead, change, began).await?;
        if !report.changed() {
            return Ok(report);
        }
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
                .bind(super::signed(report.version, "version")?)
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

async fn write(
    tx: &mut SqliteConnection,
    new: &Catalogue,
    lead: Duration,
    change: &Change,
    now: Micros,
) -> Result<ImportReport, LedgerError> {
    let current = export(tx).await?;
    let diff = diff(&current, new)?;
    let mut report = diff.report.clone();
    report.version = version(tx).await?;
    if !report.changed() {
        return Ok(report);
    }
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
    let after = found::json(&report)?;
    audit(tx, now, change, "import", "catalogue", "null", &after).await?;
    Ok(report)
}

async fn write_advertisers(tx: &mut SqliteConnection, diff: &CatalogueDiff) -> Result<(), LedgerError> {
    let mut rows = Rows::default();
    for a in diff.new_advertisers.iter().chain(&diff.changed_advertisers) {
        rows.push([a.id.into(), a.name.as_str().into(), a.currency.as_str().into(), a.balance_micros.into()]);
    }
    run(
        tx,
        "INSERT INTO advertisers (id, name, currency, balance_micros)
         SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(?1) WHERE true
         ON CONFLICT (id) DO UPDATE SET name = excluded.name, balance_micros = excluded.balance_micros",
        rows,
    )
    .await
}

async fn write_campaigns(
    tx: &mut SqliteConnection,
    current: &Catalogue,
    diff: &CatalogueDiff,
) -> Result<(), LedgerError> {
    let payer: BTreeMap<CampaignId, u32> = current.campaigns.iter().map(|c| (c.id, c.advertiser_id)).collect();
    for moved in diff.changed_campaigns.iter().filter(|c| payer.get(&c.id) != Some(&c.advertiser_id)) {
        let booked: bool = sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM ledger WHERE campaign_id = ?1)
                OR EXISTS (SELECT 1 FROM adjustments WHERE campaign_id = ?1)",
        )
        .bind(moved.id)
        .fetch_one(&mut *tx)
        .await
        .map_err(failed)?;
        if booked {
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
         SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5
         FROM json_each(?1) WHERE true
         ON CONFLICT (id) DO UPDATE SET name = excluded.name, advertiser_id = excluded.advertiser_id,
            time_zone = excluded.time_zone, total_budget_micros = excluded.total_budget_micros,
            daily_budget_micros = excluded.daily_budget_micros",
        rows,
    )
    .await
}

async fn write_version(
    tx: &mut SqliteConnection,
    report: &ImportReport,
    known_from: Micros,
    change: &Change,
    now: Micros,
) -> Result<(), LedgerError> {
    sqlx::query("INSERT INTO catalogue_versions (version, known_from, imported_at, who) VALUES (?1, ?2, ?3, ?4)")
        .bind(super::signed(report.version, "version")?)
        .bind(known_from.0)
        .bind(now.0)
        .bind(&change.who)
        .execute(tx)
        .await
        .map_err(failed)?;
    Ok(())
}

/// The first version of a campaign's rates or of a tag holds since ever, a later one from the
/// time on from which it is known.
async fn write_prices(
    tx: &mut SqliteConnection,
    current: &Catalogue,
    diff: &CatalogueDiff,
    report: &ImportReport,
    known_from: Micros,
) -> Result<(), LedgerError> {
    let version = super::signed(report.version, "version")?;
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
             SELECT value ->> 0, ?2, value ->> 1, ?3, value ->> 2, value ->> 3, value ->> 4 FROM json_each(?1)",
        )
        .bind(part)
        .bind(version)
        .bind(known_from.0)
        .execute(&mut *tx)
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
             SELECT value ->> 0, ?2, iif(EXISTS (SELECT 1 FROM tags t WHERE t.tag = value ->> 0), ?3, ?4), ?3,
                value ->> 1
             FROM json_each(?1)",
        )
        .bind(part)
        .bind(version)
        .bind(known_from.0)
        .bind(Micros::MIN.0)
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
    }
    Ok(())
}

pub(super) async fn version(tx: &mut SqliteConnection) -> Result<u64, LedgerError> {
    let version: i64 = sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM catalogue_versions")
        .fetch_one(tx)
        .await
        .map_err(failed)?;
    fit(version, "catalogue version")
}

type CampaignRow = (i64, String, i64, Option<i64>, Option<i64>, Option<i64>, Option<i64>, Option<i64>, String);

pub(super) async fn export(tx: &mut SqliteConnection) -> Result<Catalogue, LedgerError> {
    let mut catalogue = Catalogue::default();
    let rows: Vec<(i64, String, String, Option<i64>)> =
        sqlx::query_as("SELECT id, name, currency, balance_micros FROM advertisers ORDER BY id")
            .fetch_all(&mut *tx)
            .await
            .map_err(failed)?;
    for (id, name, currency, balance_micros) in rows {
        catalogue.advertisers.push(Advertiser { id: fit(id, "advertiser id")?, name, currency, balance_micros });
    }
    let rows: Vec<CampaignRow> = sqlx::query_as(
        "SELECT c.id, c.name, c.advertiser_id, r.cpm_micros, r.cpc_micros, r.cpa_micros,
            c.total_budget_micros, c.daily_budget_micros, c.time_zone
         FROM campaigns c LEFT JOIN rates r ON r.campaign_id = c.id
            AND r.version = (SELECT max(version) FROM rates n WHERE n.campaign_id = c.id)
         ORDER BY c.id",
    )
    .fetch_all(&mut *tx)
    .await
    .map_err(failed)?;
    for (id, name, advertiser, cpm_micros, cpc_micros, cpa_micros, total, daily, time_zone) in rows {
        catalogue.campaigns.push(Campaign {
            id: fit(id, "campaign id")?,
            name,
            advertiser_id: fit(advertiser, "advertiser id")?,
            cpm_micros,
            cpc_micros,
            cpa_micros,
            total_budget_micros: total,
            daily_budget_micros: daily,
            time_zone,
        });
    }
    let rows: Vec<(String, i64)> = sqlx::query_as(
        "SELECT tag, campaign_id FROM tags t WHERE campaign_id > 0
            AND version = (SELECT max(version) FROM tags n WHERE n.tag = t.tag)",
    )
    .fetch_all(tx)
    .await
    .map_err(failed)?;
    for (tag, campaign) in rows {
        catalogue.tags.insert(tag, fit(campaign, "campaign id")?);
    }
    Ok(catalogue)
}

pub(super) async fn load(tx: &mut SqliteConnection) -> Result<(u64, Snapshot), LedgerError> {
    let version = version(tx).await?;
    let rows: Vec<(i64, i64, i64, Option<i64>, Option<i64>, Option<i64>)> = sqlx::query_as(
        "SELECT campaign_id, valid_from, known_from, cpm_micros, cpc_micros, cpa_micros FROM rates
         ORDER BY campaign_id, version",
    )
    .fetch_all(&mut *tx)
    .await
    .map_err(failed)?;
    let mut rates: HashMap<CampaignId, Vec<Version<Rates>>> = HashMap::new();
    for (id, valid_from, known_from, cpm_micros, cpc_micros, cpa_micros) in rows {
        let value = Rates { cpm_micros, cpc_micros, cpa_micros };
        let version = Version { valid_from: Micros(valid_from), known_from: Micros(known_from), value };
        rates.entry(fit(id, "campaign id")?).or_default().push(version);
    }
    let rows: Vec<(String, i64, i64, i64)> =
        sqlx::query_as("SELECT tag, valid_from, known_from, campaign_id FROM tags ORDER BY tag, version")
            .fetch_all(tx)
            .await
            .map_err(failed)?;
    let mut tags: HashMap<Box<str>, Vec<Version<CampaignId>>> = HashMap::new();
    for (tag, valid_from, known_from, campaign) in rows {
        let value = fit(campaign, "campaign id")?;
        let version = Version { valid_from: Micros(valid_from), known_from: Micros(known_from), value };
        tags.entry(tag.into_boxed_str()).or_default().push(version);
    }
    let tags = tags.into_iter().map(|(tag, versions)| (tag, Versions::new(versions))).collect();
    let rates = rates.into_iter().map(|(id, versions)| (id, Versions::new(versions))).collect();
    Ok((version, Snapshot::new(Micros::MIN, tags, rates)))
}
