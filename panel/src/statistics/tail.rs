//! Events as they come in, found by where the statistics stood a moment ago and stand now.

use super::events::columns;
use super::{Question, Statistics, StatisticsError};
use crate::api::types::Event;
use penstock::log::{LogId, Offset};
use std::collections::BTreeMap;

/// Partitions that are followed at once; of a larger fleet, the first ones.
const PARTITIONS: usize = 512;

/// Which new events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TailFilter {
    /// From and to (exclusive) in each partition.
    pub ranges: BTreeMap<LogId, (Offset, Offset)>,
    /// Of these types; none: of all.
    pub types: Vec<String>,
    /// Of this campaign.
    pub campaign_id: Option<u32>,
    /// With this in id, user, tag, country or site.
    pub search: Option<String>,
    /// The newest so many.
    pub limit: u64,
}

impl Statistics {
    /// The newest events of the ranges, the newest first. The index by log, partition and offset
    /// leaves little to read: what is new lies in the newest parts.
    pub async fn tail(&self, filter: &TailFilter) -> Result<Vec<Event>, StatisticsError> {
        let ranges: Vec<_> = filter.ranges.iter().filter(|(_, (from, to))| from < to).take(PARTITIONS).collect();
        let Some(least) = ranges.iter().map(|(_, (from, _))| *from).min() else { return Ok(Vec::new()) };
        let names = ranges.iter().map(|(log, _)| format!("{}/{}", log.name, log.partition)).collect();
        let from: Vec<u64> = ranges.iter().map(|(_, (from, _))| *from).collect();
        let to: Vec<u64> = ranges.iter().map(|(_, (_, to))| *to).collect();
        let mut q = columns(Question::new("tail", ""))
            .and("FROM events WHERE log_offset >= {least: UInt64}")
            .and("AND log_offset >= transform(concat(log_topic, '/', toString(log_partition)),")
            .and("{logs: Array(String)}, {from: Array(UInt64)}, toUInt64(18446744073709551615))")
            .and("AND log_offset < transform(concat(log_topic, '/', toString(log_partition)),")
            .and("{logs: Array(String)}, {to: Array(UInt64)}, toUInt64(0))")
            .uint("least", least)
            .texts("logs", names)
            .uints("from", &from)
            .uints("to", &to);
        if !filter.types.is_empty() {
            q = q.and("AND type IN {types: Array(String)}").texts("types", filter.types.clone());
        }
        if let Some(campaign) = filter.campaign_id {
            q = q.and("AND campaign_id = {campaign: UInt64}").uint("campaign", u64::from(campaign));
        }
        if let Some(search) = &filter.search {
            q = q
                .and("AND (positionCaseInsensitiveUTF8(toString(events.id), {search: String}) > 0")
                .and("OR positionCaseInsensitiveUTF8(user_id, {search: String}) > 0")
                .and("OR positionCaseInsensitiveUTF8(tag, {search: String}) > 0")
                .and("OR positionCaseInsensitiveUTF8(toString(country), {search: String}) > 0")
                .and("OR positionCaseInsensitiveUTF8(site_id, {search: String}) > 0)")
                .text("search", search);
        }
        let q = q
            .and("ORDER BY events.received DESC, log_topic, log_partition, log_offset DESC LIMIT {limit: UInt64}")
            .uint("limit", filter.limit);
        self.rows(&q).await
    }
}
