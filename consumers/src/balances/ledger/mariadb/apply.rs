//! Books a range: the position locked and compared, ids taken, accounts locked, rows added, one
//! COMMIT.
//!
//! Where a crash can come, and what is so then:
//! - before COMMIT was sent: the server rolls back; the repeat finds the position at the range's
//!   start and books;
//! - after COMMIT was sent and before its answer: the repeat locks the position, which waits until
//!   the server has ended the first attempt, and finds it at the range's end (booked) or at its
//!   start (rolled back);
//! - between a position read and its COMMIT another owner cannot come: the row is locked.

use super::accounts::{Payers, accounts, payers};
use super::settle::write_stops;
use super::{MariaDbLedger, Tx, changes, failed, fit, run, signed};
use crate::balances::ledger::checks;
use crate::balances::ledger::posted::{self, SKIPPED};
use crate::balances::ledger::rows::{Rows, hexes};
use hashbrown::HashSet;
use penstock::ledger::{Applied, Batch, Change, LedgerError, Outcome, Posting, post};
use penstock::log::{LogId, Offset, Range};
use penstock::pricing::CampaignId;
use penstock::time::Micros;
use sqlx::MySqlConnection;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// Ids in one statement: 700 KB as its parameter.
const IDS: usize = 20_000;

pub(super) async fn position(tx: &mut MySqlConnection, log: &LogId) -> Result<Option<Offset>, LedgerError> {
    let next: Option<i64> =
        sqlx::query_scalar("SELECT next_offset FROM positions WHERE log_name = ? AND log_partition = ?")
            .bind(&*log.name)
            .bind(log.partition)
            .fetch_optional(tx)
            .await
            .map_err(failed)?;
    next.map(|next| fit(next, "next_offset")).transpose()
}

/// Locks the partition's position: its id and where it stands. A partition that was never booked
/// gets its row, at 0, in this transaction: there is no lock on what is not there.
async fn lock_position(tx: &mut MySqlConnection, log: &LogId, now: Micros) -> Result<(i64, Offset), LedgerError> {
    for _ in 0..2 {
        let row: Option<(i64, i64)> =
            sqlx::query_as("SELECT id, next_offset FROM positions WHERE log_name = ? AND log_partition = ? FOR UPDATE")
                .bind(&*log.name)
                .bind(log.partition)
                .fetch_optional(&mut *tx)
                .await
                .map_err(failed)?;
        if let Some((id, next)) = row {
            return Ok((id, fit(next, "next_offset")?));
        }
        sqlx::query(
            "INSERT IGNORE INTO positions (log_name, log_partition, next_offset, updated_at) VALUES (?, ?, 0, ?)",
        )
        .bind(&*log.name)
        .bind(log.partition)
        .bind(now.0)
        .execute(&mut *tx)
        .await
        .map_err(failed)?;
    }
    Err(LedgerError::Busy(format!("{log}: its position comes and goes")))
}

async fn move_position(tx: &mut MySqlConnection, id: i64, next: Offset, now: Micros) -> Result<(), LedgerError> {
    sqlx::query("UPDATE positions SET next_offset = ?, updated_at = ? WHERE id = ?")
        .bind(signed(next, "offset")?)
        .bind(now.0)
        .bind(id)
        .execute(tx)
        .await
        .map_err(failed)?;
    Ok(())
}

/// What an attempt had computed when its COMMIT was sent.
type Sent = Mutex<Option<Applied>>;

pub(super) async fn apply(
    ledger: &MariaDbLedger,
    log: &LogId,
    range: Range,
    batch: &Batch,
) -> Result<Applied, LedgerError> {
    if range.is_empty() {
        return Err(LedgerError::Refused(format!("{log}: the range {range} is empty")));
    }
    let sent = Sent::default();
    let applied = ledger.retried(|| attempt(ledger, log, range, batch, &sent)).await;
    let unanswered = sent.into_inner().unwrap_or_else(PoisonError::into_inner).is_some();
    match applied {
        Ok(applied) => {
            if !applied.stopped.is_empty() || !applied.exhausted.is_empty() {
                ledger.ring();
            }
            Ok(applied)
        }
        Err(LedgerError::Busy(why)) if unanswered => Err(LedgerError::Unknown(why)),
        Err(error) => Err(error),
    }
}

async fn attempt(
    ledger: &MariaDbLedger,
    log: &LogId,
    range: Range,
    batch: &Batch,
    sent: &Sent,
) -> Result<Applied, LedgerError> {
    let now = ledger.now();
    let mut tx = ledger.begin().await?;
    let (position, stands) = lock_position(&mut tx, log, now).await?;
    let earlier = sent.lock().unwrap_or_else(PoisonError::into_inner).take();
    if stands == range.to {
        tx.rollback().await?;
        // An attempt of this very call, whose COMMIT was not answered, is what booked it.
        return Ok(earlier.unwrap_or_else(posted::already));
    }
    if stands != range.from {
        tx.rollback().await?;
        return Err(LedgerError::Fenced { log: log.clone(), range, held: stands });
    }
    let applied = write(&mut tx, position, range, batch, now).await?;
    *sent.lock().unwrap_or_else(PoisonError::into_inner) = Some(applied.clone());
    tx.commit().await?;
    sent.lock().unwrap_or_else(PoisonError::into_inner).take();
    Ok(applied)
}

async fn write(tx: &mut Tx, position: i64, range: Range, batch: &Batch, now: Micros) -> Result<Applied, LedgerError> {
    let named: BTreeSet<CampaignId> =
        batch.groups.iter().map(|g| g.campaign).chain(batch.uniques.iter().map(|u| u.campaign)).collect();
    let payers = payers(tx, &named).await?;
    // Ids first: they are the slow part, and partitions only meet there when they hold one id.
    let duplicate = take_ids(tx, batch, &payers).await?;
    let (accounts, advertisers) = accounts(tx, &payers, now).await?;
    let posting = post(batch, &duplicate, &accounts, &advertisers, now);
    give_back(tx, batch, &payers, &duplicate, &posting).await?;
    move_position(tx, position, range.to, now).await?;
    write_accounts(tx, &posting).await?;
    write_history(tx, &posting).await?;
    write_totals(tx, position, &posting).await?;
    write_ranges(tx, position, range, batch.poison, &posting, now).await?;
    write_stops(tx, batch, &posting, |id| payers.get(id).copied(), now).await?;
    Ok(Applied {
        outcome: Outcome::Booked,
        sums: posting.sums(),
        stopped: posting.stops.iter().map(|(id, reason, _)| (*id, *reason)).collect(),
        exhausted: posting.exhausted,
    })
}

/// Takes the batch's ids and tells which were charged before, or come twice in it. Of two
/// transactions with one id the second waits here until the first has ended. An id whose campaign
/// has no account is not charged, so it is not taken.
async fn take_ids(tx: &mut Tx, batch: &Batch, payers: &Payers) -> Result<Vec<bool>, LedgerError> {
    let mut duplicate = vec![false; batch.uniques.len()];
    let mut first: HashSet<(&str, [u8; 16])> = HashSet::new();
    let mut wanted = Vec::new();
    for (i, unique) in batch.uniques.iter().enumerate().filter(|(_, u)| payers.contains_key(&u.campaign)) {
        if first.insert((unique.kind, unique.id)) { wanted.push(i) } else { duplicate[i] = true }
    }
    for ((kind, day), indices) in posted::by_kind_and_day(batch, wanted.into_iter()) {
        for some in indices.chunks(IDS) {
            let taken: Vec<Vec<u8>> = sqlx::query_scalar(
                "INSERT IGNORE INTO charges (id, type, received_day)
                 SELECT UNHEX(j.id), ?, ? FROM JSON_TABLE(?, '$[*]' COLUMNS (id VARCHAR(32) PATH '$')) j
                 RETURNING id",
            )
            .bind(kind)
            .bind(day)
            .bind(hexes(some.iter().map(|i| &batch.uniques[*i].id)))
            .fetch_all(&mut **tx)
            .await
            .map_err(failed)?;
            let taken: HashSet<[u8; 16]> = taken.into_iter().filter_map(|id| id.try_into().ok()).collect();
            for i in some {
                duplicate[*i] = !taken.contains(&batch.uniques[*i].id);
            }
        }
    }
    Ok(duplicate)
}

/// Gives back the ids that were taken and then not charged, for want of room in an account.
async fn give_back(
    tx: &mut Tx,
    batch: &Batch,
    payers: &Payers,
    duplicate: &[bool],
    posting: &Posting,
) -> Result<(), LedgerError> {
    let charged: HashSet<usize> = posting.charges.iter().copied().collect();
    let taken = batch.uniques.iter().enumerate().filter(|(i, u)| payers.contains_key(&u.campaign) && !duplicate[*i]);
    let left = taken.map(|(i, _)| i).filter(|i| !charged.contains(i));
    for ((kind, _), indices) in posted::by_kind_and_day(batch, left) {
        for some in indices.chunks(IDS) {
            sqlx::query(
                "DELETE c FROM JSON_TABLE(?, '$[*]' COLUMNS (id VARCHAR(32) PATH '$')) j
                 STRAIGHT_JOIN charges c FORCE INDEX (PRIMARY) ON c.id = UNHEX(j.id) AND c.type = ?",
            )
            .bind(hexes(some.iter().map(|i| &batch.uniques[*i].id)))
            .bind(kind)
            .execute(&mut **tx)
            .await
            .map_err(failed)?;
        }
    }
    Ok(())
}

async fn write_accounts(tx: &mut Tx, posting: &Posting) -> Result<(), LedgerError> {
    run(
        tx,
        "UPDATE JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT PATH '$[0]', nanos BIGINT PATH '$[1]')) j
         STRAIGHT_JOIN advertisers a FORCE INDEX (PRIMARY) ON a.id = j.id
         SET a.spent_nanos = a.spent_nanos + j.nanos",
        posted::advertisers(posting),
    )
    .await?;
    run(
        tx,
        "UPDATE JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT PATH '$[0]', nanos BIGINT PATH '$[1]')) j
         STRAIGHT_JOIN campaigns c FORCE INDEX (PRIMARY) ON c.id = j.id
         SET c.charged_nanos = c.charged_nanos + j.nanos",
        posted::campaigns(posting),
    )
    .await
}

async fn write_history(tx: &mut Tx, posting: &Posting) -> Result<(), LedgerError> {
    run(
        tx,
        "INSERT INTO campaign_days (campaign_id, day, events, charged_nanos)
         SELECT c0, c1, c2, c3 FROM JSON_TABLE(?, '$[*]' COLUMNS (c0 BIGINT PATH '$[0]', c1 VARCHAR(16) PATH '$[1]',
            c2 BIGINT PATH '$[2]', c3 BIGINT PATH '$[3]')) j
         ON DUPLICATE KEY UPDATE events = events + VALUES(events),
            charged_nanos = charged_nanos + VALUES(charged_nanos)",
        posted::days(posting)?,
    )
    .await?;
    run(
        tx,
        "INSERT INTO ledger (campaign_id, hour, type, events, cost_nanos)
         SELECT c0, c1, c2, c3, c4 FROM JSON_TABLE(?, '$[*]' COLUMNS (c0 BIGINT PATH '$[0]', c1 BIGINT PATH '$[1]',
            c2 VARCHAR(32) PATH '$[2]', c3 BIGINT PATH '$[3]', c4 BIGINT PATH '$[4]')) j
         ON DUPLICATE KEY UPDATE events = events + VALUES(events), cost_nanos = cost_nanos + VALUES(cost_nanos)",
        posted::hours(posting)?,
    )
    .await?;
    run(
        tx,
        "INSERT INTO campaign_kpis (campaign_id, visits, impressions, clicks, conversions, sequence)
         SELECT c0, c1, c2, c3, c4, 1 FROM JSON_TABLE(?, '$[*]' COLUMNS (c0 BIGINT PATH '$[0]', c1 BIGINT PATH '$[1]',
            c2 BIGINT PATH '$[2]', c3 BIGINT PATH '$[3]', c4 BIGINT PATH '$[4]')) j
         ON DUPLICATE KEY UPDATE visits = visits + VALUES(visits), impressions = impressions + VALUES(impressions),
            clicks = clicks + VALUES(clicks), conversions = conversions + VALUES(conversions),
            sequence = sequence + 1",
        posted::kpis(posting)?,
    )
    .await
}

async fn write_totals(tx: &mut Tx, position: i64, posting: &Posting) -> Result<(), LedgerError> {
    // Both rests are below 10¹⁸, so their sum fits and one carry is all that can come of it. MariaDB
    // assigns from left to right and reads what it has assigned: the carry comes before its rest.
    run(
        tx,
        "INSERT INTO campaign_totals (position_id, campaign_id, type, charged_events, charged_nanos,
            duplicate_events, duplicate_nanos, duplicate_e18,
            unattributed_events, unattributed_nanos, unattributed_e18)
         SELECT c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10
         FROM JSON_TABLE(?, '$[*]' COLUMNS (c0 BIGINT PATH '$[0]', c1 BIGINT PATH '$[1]', c2 VARCHAR(32) PATH '$[2]',
            c3 BIGINT PATH '$[3]', c4 BIGINT PATH '$[4]', c5 BIGINT PATH '$[5]', c6 BIGINT PATH '$[6]',
            c7 BIGINT PATH '$[7]', c8 BIGINT PATH '$[8]', c9 BIGINT PATH '$[9]', c10 BIGINT PATH '$[10]')) j
         ON DUPLICATE KEY UPDATE
            charged_events = charged_events + VALUES(charged_events),
            charged_nanos = charged_nanos + VALUES(charged_nanos),
            duplicate_events = duplicate_events + VALUES(duplicate_events),
            duplicate_e18 = duplicate_e18 + VALUES(duplicate_e18)
                + (duplicate_nanos + VALUES(duplicate_nanos)) DIV 1000000000000000000,
            duplicate_nanos = (duplicate_nanos + VALUES(duplicate_nanos)) MOD 1000000000000000000,
            unattributed_events = unattributed_events + VALUES(unattributed_events),
            unattributed_e18 = unattributed_e18 + VALUES(unattributed_e18)
                + (unattributed_nanos + VALUES(unattributed_nanos)) DIV 1000000000000000000,
            unattributed_nanos = (unattributed_nanos + VALUES(unattributed_nanos)) MOD 1000000000000000000",
        posted::totals(position, posting)?,
    )
    .await
}

async fn write_ranges(
    tx: &mut Tx,
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
         SELECT c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14
         FROM JSON_TABLE(?, '$[*]' COLUMNS (c0 BIGINT PATH '$[0]', c1 BIGINT PATH '$[1]', c2 BIGINT PATH '$[2]',
            c3 VARCHAR(32) PATH '$[3]', c4 BIGINT PATH '$[4]', c5 BIGINT PATH '$[5]', c6 BIGINT PATH '$[6]',
            c7 BIGINT PATH '$[7]', c8 BIGINT PATH '$[8]', c9 BIGINT PATH '$[9]', c10 BIGINT PATH '$[10]',
            c11 BIGINT PATH '$[11]', c12 BIGINT PATH '$[12]', c13 BIGINT PATH '$[13]', c14 BIGINT PATH '$[14]')) j",
        posted::ranges(position, range, poison, posting, now)?,
    )
    .await
}

pub(super) async fn skip(ledger: &MariaDbLedger, log: &LogId, gap: Range, change: &Change) -> Result<(), LedgerError> {
    checks::change(change)?;
    ledger
        .retried(|| async {
            let now = ledger.now();
            let mut tx = ledger.begin().await?;
            let (position, stands) = lock_position(&mut tx, log, now).await?;
            if stands == gap.to {
                return tx.rollback().await;
            }
            if stands != gap.from || gap.is_empty() {
                tx.rollback().await?;
                return Err(LedgerError::Fenced { log: log.clone(), range: gap, held: stands });
            }
            move_position(&mut tx, position, gap.to, now).await?;
            let (from, to) = (signed(gap.from, "offset")?, signed(gap.to, "offset")?);
            let mut rows = Rows::default();
            let gone = signed(gap.len(), "a count")?;
            rows.push([position.into(), from.into(), to.into(), SKIPPED.into(), gone.into(), now.0.into()]);
            run(
                &mut tx,
                "INSERT INTO ranges (position_id, from_offset, to_offset, type, events, written_at)
                 SELECT c0, c1, c2, c3, c4, c5
                 FROM JSON_TABLE(?, '$[*]' COLUMNS (c0 BIGINT PATH '$[0]', c1 BIGINT PATH '$[1]',
                    c2 BIGINT PATH '$[2]', c3 VARCHAR(32) PATH '$[3]', c4 BIGINT PATH '$[4]',
                    c5 BIGINT PATH '$[5]')) j",
                rows,
            )
            .await?;
            let after = serde_json::json!({ "from": gap.from, "to": gap.to });
            changes::audit(&mut tx, now, change, "skip", &log.to_string(), "null", &after.to_string()).await?;
            tx.commit().await
        })
        .await
}
