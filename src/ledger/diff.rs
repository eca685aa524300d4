//! What an import would change: the file compared with the catalogue as it stands.

use super::{Advertiser, Campaign, Catalogue, ImportReport, LedgerError};
use crate::pricing::{CampaignId, Rates};
use std::collections::BTreeMap;

/// The rows an import has to write, in ascending order of their keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CatalogueDiff {
    /// New advertisers.
    pub new_advertisers: Vec<Advertiser>,
    /// Advertisers whose name or balance differs.
    pub changed_advertisers: Vec<Advertiser>,
    /// New campaigns.
    pub new_campaigns: Vec<Campaign>,
    /// Campaigns that differ in anything but their rates.
    pub changed_campaigns: Vec<Campaign>,
    /// Campaigns, new ones too, that need a new version of their rates.
    pub rates: Vec<(CampaignId, Rates)>,
    /// Tags that need a new version, with their campaign (0: closed).
    pub tags: Vec<(String, CampaignId)>,
    /// Counts of the above; version and `known_from` are filled in by the import.
    pub report: ImportReport,
}

/// The rates in a campaign's row.
#[must_use]
pub const fn rates_of(campaign: &Campaign) -> Rates {
    Rates { cpm_micros: campaign.cpm_micros, cpc_micros: campaign.cpc_micros, cpa_micros: campaign.cpa_micros }
}

/// Compares `new` with what `current` holds.
///
/// Errors: [`LedgerError::Refused`] when an advertiser's currency would change: amounts of
/// different currencies are never added.
pub fn diff(current: &Catalogue, new: &Catalogue) -> Result<CatalogueDiff, LedgerError> {
    let mut diff = CatalogueDiff::default();
    let advertisers: BTreeMap<_, _> = current.advertisers.iter().map(|a| (a.id, a)).collect();
    let campaigns: BTreeMap<_, _> = current.campaigns.iter().map(|c| (c.id, c)).collect();
    for advertiser in &new.advertisers {
        match advertisers.get(&advertiser.id) {
            None => diff.new_advertisers.push(advertiser.clone()),
            Some(old) if old.currency != advertiser.currency => {
                return Err(LedgerError::Refused(format!(
                    "advertiser {} keeps its accounts in {}; a currency cannot change to {}, make a new advertiser",
                    old.id, old.currency, advertiser.currency
                )));
            }
            Some(old) if *old != advertiser => diff.changed_advertisers.push(advertiser.clone()),
            Some(_) => {}
        }
    }
    let mut kept = 0;
    for campaign in &new.campaigns {
        let Some(old) = campaigns.get(&campaign.id) else {
            diff.new_campaigns.push(campaign.clone());
            diff.rates.push((campaign.id, rates_of(campaign)));
            continue;
        };
        kept += 1;
        if rates_of(old) != rates_of(campaign) {
            diff.rates.push((campaign.id, rates_of(campaign)));
            diff.report.rates_changed += 1;
        }
        let Rates { cpm_micros, cpc_micros, cpa_micros } = rates_of(old);
        if **old != (Campaign { cpm_micros, cpc_micros, cpa_micros, ..campaign.clone() }) {
            diff.changed_campaigns.push(campaign.clone());
        }
    }
    for (tag, campaign) in &new.tags {
        match current.tags.get(tag) {
            Some(old) if old == campaign => continue,
            Some(_) => diff.report.tags_moved += 1,
            None => diff.report.tags_added += 1,
        }
        diff.tags.push((tag.clone(), *campaign));
    }
    for tag in current.tags.keys().filter(|tag| !new.tags.contains_key(*tag)) {
        diff.report.tags_closed += 1;
        diff.tags.push((tag.clone(), 0));
    }
    diff.new_advertisers.sort_by_key(|a| a.id);
    diff.changed_advertisers.sort_by_key(|a| a.id);
    diff.new_campaigns.sort_by_key(|c| c.id);
    diff.changed_campaigns.sort_by_key(|c| c.id);
    diff.rates.sort_by_key(|(id, _)| *id);
    diff.tags.sort();
    diff.report.advertisers_added = count(&diff.new_advertisers);
    diff.report.advertisers_changed = count(&diff.changed_advertisers);
    diff.report.campaigns_added = count(&diff.new_campaigns);
    diff.report.campaigns_changed = count(&diff.changed_campaigns);
    diff.report.campaigns_absent = count(&current.campaigns).saturating_sub(kept);
    Ok(diff)
}

fn count<T>(rows: &[T]) -> u32 {
    u32::try_from(rows.len()).unwrap_or(u32::MAX)
}
