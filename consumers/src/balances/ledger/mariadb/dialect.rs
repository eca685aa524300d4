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
