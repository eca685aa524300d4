//! The catalogue as it is imported and exported: advertisers, campaigns and tags.

use super::AdvertiserId;
use crate::pricing::CampaignId;
use crate::time::Micros;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An advertiser: one account in one currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Advertiser {
    /// Its number, above 0.
    pub id: AdvertiserId,
    /// Its name, 1 to 200 bytes.
    pub name: String,
    /// ISO 4217 code, three capital letters.
    pub currency: String,
    /// What its campaigns may spend together, in micros; absent: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balance_micros: Option<i64>,
}

/// A campaign with its rates and budgets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Campaign {
    /// Its number, above 0.
    pub id: CampaignId,
    /// Its name, 1 to 200 bytes.
    pub name: String,
    /// Who pays; must be among the advertisers.
    pub advertiser_id: AdvertiserId,
    /// Price of a thousand impressions in micros; absent: free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpm_micros: Option<i64>,
    /// Price of a click in micros; absent: free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpc_micros: Option<i64>,
    /// Price of a conversion in micros; absent: free.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpa_micros: Option<i64>,
    /// Budget over all time in micros; absent: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_budget_micros: Option<i64>,
    /// Budget of a day in micros; absent: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daily_budget_micros: Option<i64>,
    /// IANA name of the zone its days begin in. Default `UTC`.
    #[serde(default = "utc", skip_serializing_if = "is_utc")]
    pub time_zone: String,
}

fn utc() -> String {
    "UTC".to_owned()
}

fn is_utc(zone: &str) -> bool {
    zone == "UTC"
}

/// Everything that can be imported; valid when it comes from the importer's parser.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalogue {
    /// By ascending id in an export.
    pub advertisers: Vec<Advertiser>,
    /// By ascending id in an export.
    pub campaigns: Vec<Campaign>,
    /// Tag → campaign. A tag that is there twice is an error, not the last one.
    #[serde(deserialize_with = "unique_tags")]
    pub tags: BTreeMap<String, CampaignId>,
}

fn unique_tags<'de, D: serde::Deserializer<'de>>(d: D) -> Result<BTreeMap<String, CampaignId>, D::Error> {
    struct Tags;

    impl<'de> serde::de::Visitor<'de> for Tags {
        type Value = BTreeMap<String, CampaignId>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object of tags, each with the number of its campaign")
        }

        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut tags = BTreeMap::new();
            // Before its value is read, so that the error names the line of the tag.
            while let Some(tag) = map.next_key::<String>()? {
                if let Some(first) = tags.get(&tag) {
                    let twice = format!("the tag {tag:?} is there twice, first for campaign {first}");
                    return Err(serde::de::Error::custom(twice));
                }
                tags.insert(tag, map.next_value()?);
            }
            Ok(tags)
        }
    }

    d.deserialize_map(Tags)
}

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportReport {
    /// Version of the catalogue after it.
    pub version: u64,
    /// Events received from this time on are priced by it; `None` when no price or tag changed.
    pub known_from: Option<Micros>,
    /// New advertisers.
    pub advertisers_added: u32,
    /// Advertisers whose name or balance changed.
    pub advertisers_changed: u32,
    /// New campaigns.
    pub campaigns_added: u32,
    /// Campaigns whose name, zone, advertiser or budgets changed.
    pub campaigns_changed: u32,
    /// Campaigns with a new version of their rates.
    pub rates_changed: u32,
    /// New tags, or tags that were closed before.
    pub tags_added: u32,
    /// Tags that belong to another campaign now.
    pub tags_moved: u32,
    /// Tags that were not in the file any more.
    pub tags_closed: u32,
    /// Campaigns that were not in the file; they stay as they are, for their money has a history.
    pub campaigns_absent: u32,
}

impl ImportReport {
    /// Whether anything was changed.
    #[must_use]
    pub const fn changed(&self) -> bool {
        self.advertisers_added
            + self.advertisers_changed
            + self.campaigns_added
            + self.campaigns_changed
            + self.rates_changed
            + self.tags_added
            + self.tags_moved
            + self.tags_closed
            > 0
    }
}
