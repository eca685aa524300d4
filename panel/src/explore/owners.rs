//! Whose a campaign is, and in which currency it pays: the ledger knows it, the events do not.
//!
//! Questions that group by it get it as three arrays in front of the SQL; conditions on it become
//! conditions on campaigns. Campaign 0 stands for all that no campaign is known of.

use super::columns::{CURRENCY, Dimension};
use crate::statistics::Question;
use penstock::ledger::Listed;

/// Advertiser and currency of every campaign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owners {
    campaigns: Vec<u32>,
    /// Of each campaign, its advertiser.
    payers: Vec<u32>,
    /// Of each campaign, the place of its currency in `names`, from 1.
    moneys: Vec<u32>,
    /// The first is none.
    names: Vec<String>,
}

impl Default for Owners {
    fn default() -> Self {
        Owners { campaigns: vec![0], payers: vec![0], moneys: vec![1], names: vec![String::new()] }
    }
}

impl Owners {
    /// Those of these campaigns.
    pub fn of<'a>(listed: impl Iterator<Item = &'a Listed>) -> Owners {
        let mut owners = Owners::default();
        for campaign in listed {
            let at = owners.names.iter().position(|name| *name == campaign.currency).unwrap_or_else(|| {
                owners.names.push(campaign.currency.clone());
                owners.names.len() - 1
            });
            owners.campaigns.push(campaign.campaign_id);
            owners.payers.push(campaign.advertiser_id);
            owners.moneys.push(u32::try_from(at + 1).unwrap_or(u32::MAX));
        }
        owners
    }

    /// Whether amounts of different currencies may meet.
    #[must_use]
    pub const fn mixed(&self) -> bool {
        self.names.len() > 2
    }

    /// The campaigns whose value of `dimension` is wanted.
    pub(super) fn campaigns(&self, dimension: &Dimension, wanted: impl Fn(u32, &str) -> bool) -> Vec<u64> {
        let name = |money: u32| {
            let at = usize::try_from(money).unwrap_or(0).saturating_sub(1);
            self.names.get(at).map_or("", String::as_str)
        };
        let rows = self.campaigns.iter().zip(&self.payers).zip(&self.moneys);
        let kept = rows.filter(|((_, payer), money)| match dimension.name == CURRENCY {
            true => wanted(0, name(**money)),
            false => wanted(**payer, ""),
        });
        kept.map(|((campaign, _), _)| u64::from(*campaign)).collect()
    }

    /// What the dimensions' SQL takes campaigns for, in front of a `SELECT`.
    pub(super) fn define(&self, q: Question) -> Question {
        let q = q.and("WITH CAST([").numbers(&self.campaigns).and("], 'Array(UInt32)') AS owned, CAST([");
        let q = q.numbers(&self.payers).and("], 'Array(UInt32)') AS payers, CAST([").numbers(&self.moneys);
        q.and("], 'Array(UInt32)') AS moneys, {currencies: Array(String)} AS names")
            .texts("currencies", self.names.clone())
    }
}
