//! Books a range: compare-and-set of the position, then rows in one global order, one COMMIT.

use super::account::Accounts;
use super::accounts::of_campaigns;
use super::settle::write_stops;
use super::{SqliteLedger, begin, changes, failed, fit, run, signed};
use crate::balances::ledger::checks;
use crate::balances::ledger::posted::{self, SKIPPED};
use crate::balances::ledger::rows::{Rows, hexes};
use hashbrown::HashSet;
use penstock::ledger::{Applied, Batch, Change, LedgerError, Outcome, Posting, post};
use penstock::log::{LogId, Offset, Range};
use penstock::pricing::CampaignId;
use penstock::time::Micros;
use sqlx::SqliteConnection;
use std::collections::{BTreeMap, BTreeSet};

pub(super) async fn position(ledger: &SqliteLedger, log: &LogId) -> Result<Option<Offset>, LedgerError> {
    let mut tx = ledger.read().await?;
    Ok(held(&mut tx, log).await?.map(|(_, next)| next))
}

async fn held(tx: &mut SqliteConnection, log: &LogId) -> Result<Option<(i64, Offset)>, LedgerError> {
    let row: Option<(i64, i64)> =
        sqlx::query_as("SELECT id, next_offset FROM positions WHERE log_name = ?1 AND log_partition = ?2")
            .bind(&*log.name)
            .bind(log.partition)
            .fetch_optional(tx)
            .await
            .map_err(failed)?;
    row.map(|(id, next)| Ok((id, fit(next, "next_offset")?))).transpose()
}

pub(super) async fn apply(
    ledger: &SqliteLedger,
    log: &LogId,
    range: Range,
    batch: &Batch,
) -> Result<Applied, LedgerError> {
    if range.is_empty() {
        return Err(LedgerError::Refused(format!("{log}: the range {range} is empty")));
    }
    let now = ledger.now();
    let mut writer = ledger.writer().await;
    let mut tx = begin(&mut writer).await?;
    let stands = held(&mut tx, log).await?.map_or(0, |(_, next)| next);
    if stands == range.to {
        return Ok(posted::already());
    }
    if stands != range.from {
        return Err(LedgerError::Fenced { log: log.clone(), range, held: stands });
    }
    let applied = write(&mut tx, log, range, batch, now).await?;
    if let Err(error) = tx.commit().await {
        // Neither yes nor no: the position that the database holds now decides.
        match held(&mut writer, log).await {
            Ok(row) if row.map_or(0, |(_, next)| next) == range.to => {}
            Ok(_) => return Err(failed(error)),
            Err(again) => {
                return Err(LedgerError::Unknown(format!("{error}; reading the position again: {again}")));
            }
        }
    }
    if !applied.stopped.is_empty() || !applied.exhausted.is_empty() {
        ledger.ring();
    }
    Ok(applied)
}

async fn write(
    tx: &mut SqliteConnection,
    log: &LogId,
    range: Range,
    batch: &Batch,
    now: Micros,
) -> Result<Applied, LedgerError> {
    let named: BTreeSet<CampaignId> =
        batch.groups.iter().map(|g| g.campaign).chain(batch.uniques.iter().map(|u| u.campaign)).collect();
    let (accounts, payers) = of_campaigns(tx, &named, now).await?;
    let duplicate = duplicates(tx, batch, &accounts).await?;
    let posting = post(batch, &duplicate, &accounts, &payers, now);
    let position = move_position(tx, log, range.to, now).await?;
    write_accounts(tx, &posting).await?;
    write_history(tx, &posting).await?;
    write_totals(tx, position, &posting).await?;
    write_charges(tx, batch, &posting).await?;
    write_ranges(tx, position, range, batch.poison, &posting, now).await?;
    let payer = |id: &CampaignId| accounts.get(id).map(|a| a.advertiser);
    write_stops(tx, batch, &posting, payer, now).await?;
    Ok(Applied {
        outcome: Outcome::Booked,
        sums: posting.sums(),
        stopped: posting.stops.iter().map(|(id, reason, _)| (*id, *reason)).collect(),
        exhausted: posting.exhausted,
    })
}

/// Which of the batch's ids were charged before, or come twice in it. An id whose campaign has no
/// account is not charged, so it makes no later one a duplicate.
async fn duplicates(tx: &mut SqliteConnection, batch: &Batch, accounts: &Accounts) -> Result<Vec<bool>, LedgerError> {
    let mut by_kind: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (i, unique) in batch.uniques.iter().enumerate().filter(|(_, u)| accounts.contains_key(&u.campaign)) {
        by_kind.entry(unique.kind).or_default().push(i);
    }
    let mut duplicate = vec![false; batch.uniques.len()];
    for (kind, indices) in by_kind {
        // CROSS JOIN keeps the order: the ids are looked up in the table, not the other way.
        let charged: Vec<Vec<u8>> = sqlx::query_scalar(
            "SELECT c.id FROM json_each(?1) j CROSS JOIN charges c ON c.id = unhex(j.value) AND c.type = ?2",
        )
        .bind(hexes(indices.iter().map(|i| &batch.uniques[*i].id)))
        .bind(kind)
        .fetch_all(&mut *tx)
        .await
        .map_err(failed)?;
        let mut seen: HashSet<[u8; 16]> = charged.into_iter().filter_map(|id| id.try_into().ok()).collect();
        for i in indices {
            duplicate[i] = !seen.insert(batch.uniques[i].id);
        }
    }
    Ok(duplicate)
}

async fn move_position(tx: &mut SqliteConnection, log: &LogId, next: Offset, now: Micros) -> Result<i64, LedgerError> {
    sqlx::query_scalar(
        "INSERT INTO positions (log_name, log_partition, next_offset, updated_at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (log_name, log_partition) DO UPDATE
         SET next_offset = excluded.next_offset, updated_at = excluded.updated_at
         RETURNING id",
    )
    .bind(&*log.name)
    .bind(log.partition)
    .bind(signed(next, "offset")?)
    .bind(now.0)
    .fetch_one(tx)
    .await
    .map_err(failed)
}

async fn write_accounts(tx: &mut SqliteConnection, posting: &Posting) -> Result<(), LedgerError> {
    run(
        tx,
        "UPDATE advertisers SET spent_nanos = spent_nanos + j.value ->> 1 FROM json_each(?1) j
         WHERE advertisers.id = j.value ->> 0",
        posted::advertisers(posting),
    )
    .await?;
    run(
        tx,
        "UPDATE campaigns SET charged_nanos = charged_nanos + j.value ->> 1 FROM json_each(?1) j
         WHERE campaigns.id = j.value ->> 0",
        posted::campaigns(posting),
    )
    .await
}

async fn write_history(tx: &mut SqliteConnection, posting: &Posting) -> Result<(), LedgerError> {
    run(
        tx,
        "INSERT INTO campaign_days (campaign_id, day, events, charged_nanos)
         SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(?1) WHERE true
         ON CONFLICT (campaign_id, day) DO UPDATE SET
         events = events + excluded.events, charged_nanos = charged_nanos + excluded.charged_nanos",
        posted::days(posting)?,
    )
    .await?;
    run(
        tx,
        "INSERT INTO ledger (campaign_id, hour, type, events, cost_nanos)
         SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 FROM json_each(?1) WHERE true
         ON CONFLICT (campaign_id, hour, type) DO UPDATE SET
         events = events + excluded.events, cost_nanos = cost_nanos + excluded.cost_nanos",
        posted::hours(posting)?,
    )
    .await?;
    run(
        tx,
        "INSERT INTO campaign_kpis (campaign_id, visits, impressions, clicks, conversions, sequence)
         SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, 1 FROM json_each(?1) WHERE true
         ON CONFLICT (campaign_id) DO UPDATE SET
         visits = visits + excluded.visits, impressions = impressions + excluded.impressions,
         clicks = clicks + excluded.clicks, conversions = conversions + excluded.conversions,
         sequence = sequence + 1",
        posted::kpis(posting)?,
    )
    .await
}

async fn write_totals(tx: &mut SqliteConnection, position: i64, posting: &Posting) -> Result<(), LedgerError> {
    // Both rests are below 10¹⁸, so their sum fits and one carry is all that can come of it.
    run(
        tx,
        "INSERT INTO campaign_totals (position_id, campaign_id, type, charged_events, charged_nanos,
            duplicate_events, duplicate_nanos, duplicate_e18,
            unattributed_events, unattributed_nanos, unattributed_e18)
         SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6,
            value ->> 7, value ->> 8, value ->> 9, value ->> 10 FROM json_each(?1) WHERE true
         ON CONFLICT (position_id, campaign_id, type) DO UPDATE SET
            charged_events = charged_events + excluded.charged_events,
            charged_nanos = charged_nanos + excluded.charged_nanos,
            duplicate_events = duplicate_events + excluded.duplicate_events,
            duplicate_e18 = duplicate_e18 + excluded.duplicate_e18
                + (duplicate_nanos + excluded.duplicate_nanos) / 1000000000000000000,
            duplicate_nanos = (duplicate_nanos + excluded.duplicate_nanos) % 1000000000000000000,
            unattributed_events = unattributed_events + excluded.unattributed_events,
            unattributed_e18 = unattributed_e18 + excluded.unattributed_e18
                + (unattributed_nanos + excluded.unattributed_nanos) / 1000000000000000000,
            unattributed_nanos = (unattributed_nanos + excluded.unattributed_nanos) % 1000000000000000000",
        posted::totals(position, posting)?,
    )
    .await
}

async fn write_charges(tx: &mut SqliteConnection, batch: &Batch, posting: &Posting) -> Result<(), LedgerError> {
    for ((kind, day), indices) in posted::by_kind_and_day(batch, posting.charges.iter().copied()) {
        sqlx::query("INSERT INTO charges (id, type, received_day) SELECT unhex(value), ?2, ?3 FROM json_each(?1)")
            .bind(hexes(indices.iter().map(|i| &batch.uniques[*i].id)))
            .bind(kind)
            .bind(day)
            .execute(&mut *tx)
            .await
            .map_err(failed)?;
    }
    Ok(())
}

async fn write_ranges(
    tx: &mut SqliteConnection,
    position: i64,
    range: Range,
    poison: u64,
    posting: &Posting,
    now: Micros,
) -> Result<(), LedgerError> {
    run(
        tx,
        "INSERT INTO ranges (position_id, from_offset, to_offset, type, events,
            charged_events, charged_nanos, charged_e18, duplicate_events, duplicate_nanos, duplicate_e18,
            unattributed_events, unattributed_nanos, unattributed_e18, written_at)
         SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6,
            value ->> 7, value ->> 8, value ->> 9, value ->> 10, value ->> 11, value ->> 12, value ->> 13,
            value ->> 14 FROM json_each(?1)",
        posted::ranges(position, range, poison, posting, now)?,
    )
    .await
}

pub(super) async fn skip(ledger: &SqliteLedger, log: &LogId, gap: Range, change: &Change) -> Result<(), LedgerError> {
    checks::change(change)?;
    let now = ledger.now();
    let mut writer = ledger.writer().await;
    let mut tx = begin(&mut writer).await?;
    let stands = held(&mut tx, log).await?.map_or(0, |(_, next)| next);
    if stands == gap.to {
        return Ok(());
    }
    if stands != gap.from || gap.is_empty() {
        return Err(LedgerError::Fenced { log: log.clone(), range: gap, held: stands });
    }
    let position = move_position(&mut tx, log, gap.to, now).await?;
    let mut rows = Rows::default();
    let (from, to) = (signed(gap.from, "offset")?, signed(gap.to, "offset")?);
    rows.push([
        position.into(),
        from.into(),
        to.into(),
        SKIPPED.into(),
        signed(gap.len(), "a count")?.into(),
        now.0.into(),
    ]);
    run(
        &mut tx,
        "INSERT INTO ranges (position_id, from_offset, to_offset, type, events, written_at)
         SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5 FROM json_each(?1)",
        rows,
    )
    .await?;
    let after = serde_json::json!({ "from": gap.from, "to": gap.to });
    changes::audit(&mut tx, now, change, "skip", &log.to_string(), "null", &after.to_string()).await?;
    tx.commit().await.map_err(failed)
}
