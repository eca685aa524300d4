//! What an account has in other tables, compiled once for each database. The account itself is read
//! (and locked, where there are locks) by its own `accounts`.

use super::{Connection, days, fit, stops};
use crate::balances::ledger::rows::Rows;
use penstock::ledger::{Account, AdvertiserAccount, AdvertiserId, DayAccount, LedgerError};
use penstock::pricing::CampaignId;
use std::collections::BTreeMap;

pub(super) type Accounts = BTreeMap<CampaignId, Account>;
pub(super) type AdvertiserAccounts = BTreeMap<AdvertiserId, AdvertiserAccount>;

/// Adds what was spent on the current days (campaign, day) and the reasons. `ids` are the campaigns
/// as a JSON list.
pub(super) async fn complete(
    tx: &mut Connection,
    accounts: &mut Accounts,
    days: Rows,
    ids: &str,
) -> Result<(), LedgerError> {
    for (id, charged, adjusted) in days::spent(tx, days).await? {
        if let Some(account) = accounts.get_mut(&fit(id, "campaign id")?) {
            account.today = DayAccount { charged, adjusted };
        }
    }
    for (id, reason) in stops::held(tx, ids).await? {
        if let Some(account) = accounts.get_mut(&id) {
            account.reasons.insert(reason);
        }
    }
    Ok(())
}
