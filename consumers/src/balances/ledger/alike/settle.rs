//! Brings the budget reasons of campaigns and advertisers in line with their accounts, compiled once
//! for each database. The accounts come from its own `accounts`, locked where it locks.

use super::stops::{add_stop, exhaust, remove_stop, replenish};
use super::told::{Told, announce};
use super::{Connection, accounts};
use crate::balances::ledger::checks::{SELF, reached_note};
use penstock::ledger::{AdvertiserId, Batch, LedgerError, Posting, Reason};
use penstock::pricing::CampaignId;
use penstock::time::Micros;
use std::collections::BTreeSet;

/// Adds and takes away `total_budget` and `daily_budget` of these campaigns as their accounts
/// say now. `operator` and `overflow` are not touched. Returns how many reasons changed.
pub(super) async fn settle(
    tx: &mut Connection,
    campaigns: &BTreeSet<CampaignId>,
    now: Micros,
) -> Result<usize, LedgerError> {
    let (accounts, _) = accounts::of_campaigns(tx, campaigns, now).await?;
    let mut changes = 0;
    for (id, account) in &accounts {
        let due = account.due();
        let mut changed = false;
        for reason in [Reason::TotalBudget, Reason::DailyBudget] {
            match (due.contains(&reason), account.reasons.contains(&reason)) {
                (true, false) => add_stop(tx, *id, reason, now, SELF, reached_note(reason)).await?,
                (false, true) => remove_stop(tx, *id, reason).await?,
                _ => continue,
            }
            changed = true;
            changes += 1;
        }
        if changed {
            announce(tx, Told::Campaign(*id), None, now).await?;
        }
    }
    Ok(changes)
}

/// The same for the advertisers' `balance`.
pub(super) async fn settle_balances(
    tx: &mut Connection,
    ids: &BTreeSet<AdvertiserId>,
    now: Micros,
) -> Result<usize, LedgerError> {
    let mut changes = 0;
    for (id, account) in accounts::advertisers(tx, ids).await? {
        let due = account.exhausted();
        if due == account.stopped {
            continue;
        }
        if due {
            exhaust(tx, id, now).await?
        } else {
            replenish(tx, id).await?
        }
        announce(tx, Told::Advertiser(id), None, now).await?;
        changes += 1;
    }
    Ok(changes)
}

/// Stops what a booking has used up, and tells it. `payer` is who pays for a campaign.
pub(super) async fn write_stops(
    tx: &mut Connection,
    batch: &Batch,
    posting: &Posting,
    payer: impl Fn(&CampaignId) -> Option<AdvertiserId>,
    now: Micros,
) -> Result<(), LedgerError> {
    for id in &posting.exhausted {
        exhaust(tx, *id, now).await?;
        let cause = batch.received.iter().filter(|(c, _)| payer(c) == Some(*id)).map(|(_, t)| *t).min();
        announce(tx, Told::Advertiser(*id), cause, now).await?;
    }
    for (id, reason, _) in &posting.stops {
        add_stop(tx, *id, *reason, now, SELF, reached_note(*reason)).await?;
    }
    let announced: BTreeSet<CampaignId> = posting.stops.iter().map(|(id, ..)| *id).collect();
    for id in announced {
        let cause = batch.received.iter().find(|(c, _)| *c == id).map(|(_, t)| *t);
        announce(tx, Told::Campaign(id), cause, now).await?;
    }
    Ok(())
}
