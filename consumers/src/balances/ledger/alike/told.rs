//! The outbox, compiled once for each database: what is put there, and what is read of it. When a
//! version is given, and under which lock, is each database's own `outbox`.

use super::dialect::{CHANGED_KPIS, REASONS_OF_CAMPAIGNS};
use super::{Connection, failed};
use crate::balances::ledger::found::{self, KpiRow, Pending, StateRow};
use crate::balances::ledger::rows::ints;
use penstock::ledger::{AdvertiserId, KpiRecord, LedgerError, StateChange};
use penstock::pricing::CampaignId;
use penstock::time::Micros;

/// Outbox rows that get their version in one transaction; an advertiser's row may be many campaigns.
const CLAIM_ROWS: u32 = 1_000;

/// Whose state is told: one campaign's, or that of all campaigns of an advertiser, which is one
/// row that the publisher expands.
#[derive(Clone, Copy)]
pub(super) enum Told {
    Campaign(CampaignId),
    Advertiser(AdvertiserId),
}

/// Puts a state on the outbox. `cause` is when the exhausting event was received.
pub(super) async fn announce(
    tx: &mut Connection,
    told: Told,
    cause: Option<Micros>,
    now: Micros,
) -> Result<(), LedgerError> {
    let (campaign, advertiser) = match told {
        Told::Campaign(id) => (id, 0),
        Told::Advertiser(id) => (0, id),
    };
    sqlx::query("INSERT INTO outbox (campaign_id, advertiser_id, cause_received, created_at) VALUES (?, ?, ?, ?)")
        .bind(campaign)
        .bind(advertiser)
        .bind(cause.map(|t| t.0))
        .bind(now.0)
        .execute(tx)
        .await
        .map_err(failed)?;
    Ok(())
}

/// Whether there is something without a version.
pub(super) async fn fresh(tx: &mut Connection) -> Result<bool, LedgerError> {
    let fresh: i64 =
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM outbox WHERE published_at IS NULL AND version IS NULL)")
            .fetch_one(tx)
            .await
            .map_err(failed)?;
    Ok(fresh != 0)
}

/// The next rows without a version, and the campaigns that they tell of.
pub(super) async fn pending(tx: &mut Connection) -> Result<(Vec<i64>, Pending), LedgerError> {
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
    Ok((rows.iter().map(|row| row.0).collect(), pending))
}

/// The reasons of campaigns, their advertisers' included.
pub(super) async fn reasons(
    tx: &mut Connection,
    campaigns: impl Iterator<Item = i64>,
) -> Result<Vec<(i64, String)>, LedgerError> {
    let ids = ints(campaigns);
    sqlx::query_as(REASONS_OF_CAMPAIGNS).bind(&ids).bind(&ids).fetch_all(tx).await.map_err(failed)
}

/// Keeps the last version that was given.
pub(super) async fn keep_version(tx: &mut Connection, version: i64) -> Result<(), LedgerError> {
    sqlx::query("UPDATE counters SET value = ? WHERE name = 'state_version'")
        .bind(version)
        .execute(tx)
        .await
        .map_err(failed)?;
    Ok(())
}

/// What has a version and was not told, the oldest first.
pub(super) async fn untold(tx: &mut Connection, limit: u32) -> Result<Vec<StateChange>, LedgerError> {
    let rows: Vec<StateRow> = sqlx::query_as(
        "SELECT campaign_id, version, serving, reasons, created_at, cause_received FROM outbox
         WHERE published_at IS NULL AND version IS NOT NULL ORDER BY version LIMIT ?",
    )
    .bind(limit)
    .fetch_all(tx)
    .await
    .map_err(failed)?;
    rows.into_iter().map(found::state).collect()
}

pub(super) async fn states(tx: &mut Connection) -> Result<Vec<StateChange>, LedgerError> {
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
    tx: &mut Connection,
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

pub(super) async fn changed_kpis(tx: &mut Connection, limit: u32, now: Micros) -> Result<Vec<KpiRecord>, LedgerError> {
    let rows: Vec<KpiRow> = sqlx::query_as(CHANGED_KPIS).bind(limit).fetch_all(tx).await.map_err(failed)?;
    rows.into_iter().map(|row| found::kpis(row, now)).collect()
}
