//! What `alike` says in SQLite's own words. Each has a twin in MariaDB's `dialect` that is bound the
//! same and gives the same columns.

/// A list to be looked up by IN. Bound: integers.
pub(super) const LISTED: &str = "(SELECT value FROM json_each(?))";

/// Campaign, charged and adjusted nanos. Bound: rows of campaign and day.
pub(super) const SPENT_ON_DAYS: &str = "SELECT d.campaign_id, d.charged_nanos, d.adjusted_nanos
    FROM json_each(?) j CROSS JOIN campaign_days d ON d.campaign_id = j.value ->> 0 AND d.day = j.value ->> 1";

/// Campaign, events, nanos of the whole ledger.
pub(super) const CHARGED_BY_CAMPAIGN: &str =
    "SELECT campaign_id, sum(events), sum(cost_nanos) FROM ledger GROUP BY campaign_id";

/// Bound: rows of id, name, currency, balance. The currency of one that is there stays.
pub(super) const WRITE_ADVERTISERS: &str = "INSERT INTO advertisers (id, name, currency, balance_micros)
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM json_each(?) WHERE true
    ON CONFLICT (id) DO UPDATE SET name = excluded.name, balance_micros = excluded.balance_micros";

/// Bound: rows of id, name, advertiser, time zone, total budget, daily budget.
pub(super) const WRITE_CAMPAIGNS: &str = "INSERT INTO campaigns
        (id, name, advertiser_id, time_zone, total_budget_micros, daily_budget_micros)
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5
    FROM json_each(?) WHERE true
    ON CONFLICT (id) DO UPDATE SET name = excluded.name, advertiser_id = excluded.advertiser_id,
       time_zone = excluded.time_zone, total_budget_micros = excluded.total_budget_micros,
       daily_budget_micros = excluded.daily_budget_micros";

/// Bound: version, known from, rows of campaign, valid from, cpm, cpc, cpa.
pub(super) const WRITE_RATES: &str = "INSERT INTO rates
        (campaign_id, version, valid_from, known_from, cpm_micros, cpc_micros, cpa_micros)
    SELECT value ->> 0, ?, value ->> 1, ?, value ->> 2, value ->> 3, value ->> 4 FROM json_each(?)";

/// Bound: version, valid from (of a tag that is there, of a new one), known from, rows of tag and campaign.
pub(super) const WRITE_TAGS: &str = "INSERT INTO tags (tag, version, valid_from, known_from, campaign_id)
    SELECT value ->> 0, ?, iif(EXISTS (SELECT 1 FROM tags t WHERE t.tag = value ->> 0), ?, ?), ?,
       value ->> 1
    FROM json_each(?)";

/// Campaign, reason; without the reasons of advertisers. Bound: campaigns.
pub(super) const STOPS_OF_CAMPAIGNS: &str = "SELECT s.campaign_id, s.reason
    FROM json_each(?) j CROSS JOIN stops s ON s.campaign_id = j.value AND s.advertiser_id = 0";

/// Campaign, reason; those of advertisers included. Bound: campaigns, twice.
pub(super) const REASONS_OF_CAMPAIGNS: &str = "SELECT s.campaign_id, s.reason
    FROM json_each(?) j CROSS JOIN stops s ON s.campaign_id = j.value AND s.advertiser_id = 0
    UNION ALL
    SELECT c.id, s.reason FROM json_each(?) j CROSS JOIN campaigns c ON c.id = j.value
    CROSS JOIN stops s ON s.campaign_id = 0 AND s.advertiser_id = c.advertiser_id";

/// Campaign, sequence, visits, impressions, clicks, conversions, spent; each by the index of what is
/// to be published. Bound: limit.
pub(super) const CHANGED_KPIS: &str =
    "SELECT k.campaign_id, k.sequence, k.visits, k.impressions, k.clicks, k.conversions, c.spent_nanos
    FROM campaign_kpis k JOIN campaigns c ON c.id = k.campaign_id
    WHERE k.sequence > k.published_sequence ORDER BY k.campaign_id LIMIT ?";

/// Bound: campaign, day, nanos.
pub(super) const ADJUST_DAY: &str = "INSERT INTO campaign_days (campaign_id, day, adjusted_nanos) VALUES (?, ?, ?)
    ON CONFLICT (campaign_id, day) DO UPDATE SET adjusted_nanos = adjusted_nanos + excluded.adjusted_nanos";

/// Gives a campaign's kpis their next sequence. Bound: campaign.
pub(super) const COUNT_CHANGE: &str = "INSERT INTO campaign_kpis (campaign_id, sequence) VALUES (?, 1)
    ON CONFLICT (campaign_id) DO UPDATE SET sequence = sequence + 1";

/// Bound: first offsets, partition's number, type.
pub(super) const DELETE_RANGES: &str =
    "DELETE FROM ranges WHERE from_offset IN (SELECT value FROM json_each(?1)) AND position_id = ?2 AND type = ?3";

/// Horizon and how far; no other housekeeper sweeps until the transaction ends.
pub(super) const LOCK_SWEEP: &str = "SELECT horizon, reached FROM sweeps WHERE name = 'charges'";
