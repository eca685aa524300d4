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
