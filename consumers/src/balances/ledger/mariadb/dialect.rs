//! What `alike` says in MariaDB's own words. Each has a twin in SQLite's `dialect` that is bound the
//! same and gives the same columns.

/// A list to be looked up by IN. Bound: integers.
pub(super) const LISTED: &str = "(SELECT id FROM JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT PATH '$')) j)";

/// Campaign, charged and adjusted nanos. Bound: rows of campaign and day.
pub(super) const SPENT_ON_DAYS: &str = "SELECT d.campaign_id, d.charged_nanos, d.adjusted_nanos
    FROM JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT PATH '$[0]', day VARCHAR(16) PATH '$[1]')) j
    STRAIGHT_JOIN campaign_days d FORCE INDEX (PRIMARY) ON d.campaign_id = j.id AND d.day = j.day";

/// Campaign, events, nanos of the whole ledger. A sum is a DECIMAL here.
pub(super) const CHARGED_BY_CAMPAIGN: &str =
    "SELECT campaign_id, CAST(sum(events) AS SIGNED), CAST(sum(cost_nanos) AS SIGNED) FROM ledger
    GROUP BY campaign_id ORDER BY campaign_id";

/// Bound: rows of id, name, currency, balance. The currency of one that is there stays.
pub(super) const WRITE_ADVERTISERS: &str = "INSERT INTO advertisers (id, name, currency, balance_micros)
    SELECT c0, c1, c2, c3 FROM JSON_TABLE(?, '$[*]' COLUMNS (c0 BIGINT PATH '$[0]', c1 VARCHAR(200) PATH '$[1]',
       c2 CHAR(3) PATH '$[2]', c3 BIGINT PATH '$[3]')) j
    ON DUPLICATE KEY UPDATE name = VALUES(name), balance_micros = VALUES(balance_micros)";

/// Bound: rows of id, name, advertiser, time zone, total budget, daily budget.
pub(super) const WRITE_CAMPAIGNS: &str = "INSERT INTO campaigns
        (id, name, advertiser_id, time_zone, total_budget_micros, daily_budget_micros)
    SELECT c0, c1, c2, c3, c4, c5 FROM JSON_TABLE(?, '$[*]' COLUMNS (c0 BIGINT PATH '$[0]',
       c1 VARCHAR(200) PATH '$[1]', c2 BIGINT PATH '$[2]', c3 VARCHAR(64) PATH '$[3]', c4 BIGINT PATH '$[4]',
       c5 BIGINT PATH '$[5]')) j
    ON DUPLICATE KEY UPDATE name = VALUES(name), advertiser_id = VALUES(advertiser_id),
       time_zone = VALUES(time_zone), total_budget_micros = VALUES(total_budget_micros),
       daily_budget_micros = VALUES(daily_budget_micros)";

/// Bound: version, known from, rows of campaign, valid from, cpm, cpc, cpa.
pub(super) const WRITE_RATES: &str = "INSERT INTO rates
        (campaign_id, version, valid_from, known_from, cpm_micros, cpc_micros, cpa_micros)
    SELECT c0, ?, c1, ?, c2, c3, c4 FROM JSON_TABLE(?, '$[*]' COLUMNS (c0 BIGINT PATH '$[0]',
       c1 BIGINT PATH '$[1]', c2 BIGINT PATH '$[2]', c3 BIGINT PATH '$[3]', c4 BIGINT PATH '$[4]')) j";

/// Bound: version, valid from (of a tag that is there, of a new one), known from, rows of tag and campaign.
pub(super) const WRITE_TAGS: &str = "INSERT INTO tags (tag, version, valid_from, known_from, campaign_id)
    SELECT c0, ?, IF(EXISTS (SELECT 1 FROM tags t WHERE t.tag = c0), ?, ?), ?, c1
    FROM JSON_TABLE(?, '$[*]' COLUMNS (c0 VARCHAR(200) PATH '$[0]', c1 BIGINT PATH '$[1]')) j";

/// Campaign, reason; without the reasons of advertisers. Bound: campaigns.
pub(super) const STOPS_OF_CAMPAIGNS: &str = "SELECT s.campaign_id, s.reason
    FROM JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT PATH '$')) j
    STRAIGHT_JOIN stops s FORCE INDEX (PRIMARY) ON s.campaign_id = j.id AND s.advertiser_id = 0";

/// Campaign, reason; those of advertisers included. Bound: campaigns, twice.
pub(super) const REASONS_OF_CAMPAIGNS: &str = "SELECT s.campaign_id, s.reason
    FROM JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT PATH '$')) j
    STRAIGHT_JOIN stops s FORCE INDEX (PRIMARY) ON s.campaign_id = j.id AND s.advertiser_id = 0
    UNION ALL
    SELECT c.id, s.reason FROM JSON_TABLE(?, '$[*]' COLUMNS (id BIGINT PATH '$')) j
    STRAIGHT_JOIN campaigns c FORCE INDEX (PRIMARY) ON c.id = j.id
    STRAIGHT_JOIN stops s FORCE INDEX (PRIMARY) ON s.campaign_id = 0 AND s.advertiser_id = c.advertiser_id";

/// Campaign, sequence, visits, impressions, clicks, conversions, spent; each by the index of what is
/// to be published. Bound: limit.
pub(super) const CHANGED_KPIS: &str =
    "SELECT k.campaign_id, k.sequence, k.visits, k.impressions, k.clicks, k.conversions, c.spent_nanos
    FROM campaign_kpis k JOIN campaigns c ON c.id = k.campaign_id
    WHERE k.to_publish = 1 ORDER BY k.campaign_id LIMIT ?";

/// Bound: campaign, day, nanos.
pub(super) const ADJUST_DAY: &str = "INSERT INTO campaign_days (campaign_id, day, adjusted_nanos) VALUES (?, ?, ?)
    ON DUPLICATE KEY UPDATE adjusted_nanos = adjusted_nanos + VALUES(adjusted_nanos)";

/// Gives a campaign's kpis their next sequence. Bound: campaign.
pub(super) const COUNT_CHANGE: &str = "INSERT INTO campaign_kpis (campaign_id, sequence) VALUES (?, 1)
    ON DUPLICATE KEY UPDATE sequence = sequence + 1";

/// Bound: first offsets, partition's number, type.
pub(super) const DELETE_RANGES: &str = "DELETE r FROM JSON_TABLE(?, '$[*]' COLUMNS (start BIGINT PATH '$')) j
    STRAIGHT_JOIN ranges r FORCE INDEX (PRIMARY) ON r.position_id = ? AND r.from_offset = j.start AND r.type = ?";

/// Horizon and how far; no other housekeeper sweeps until the transaction ends.
pub(super) const LOCK_SWEEP: &str = "SELECT horizon, reached FROM sweeps WHERE name = 'charges' FOR UPDATE";
