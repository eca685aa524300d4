//! Reads the catalogue, compiled once for each database: as an import would have to look, and all
//! versions of it as a snapshot.

use super::{Connection, failed, fit};
use hashbrown::HashMap;
use penstock::ledger::{Advertiser, Campaign, Catalogue, LedgerError};
use penstock::pricing::{CampaignId, Rates, Snapshot, Version, Versions};
use penstock::time::Micros;

pub(super) async fn version(tx: &mut Connection) -> Result<u64, LedgerError> {
    let version: i64 = sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM catalogue_versions")
        .fetch_one(tx)
        .await
        .map_err(failed)?;
    fit(version, "catalogue version")
}

type CampaignRow = (i64, String, i64, Option<i64>, Option<i64>, Option<i64>, Option<i64>, Option<i64>, String);

pub(super) async fn export(tx: &mut Connection) -> Result<Catalogue, LedgerError> {
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

pub(super) async fn load(tx: &mut Connection) -> Result<(u64, Snapshot), LedgerError> {
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
