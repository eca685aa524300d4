//! Counting and listing events.

use super::{Counted, Question, Statistics, StatisticsError};
use crate::api::params::Span;
use crate::api::types::{Event, Time};
use penstock::money::Nanos;
use penstock::time::Micros;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Which events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Of this type.
    pub event_type: Option<&'static str>,
    /// Of this campaign; 0 = not attributed.
    pub campaign_id: Option<u32>,
    /// Within these times.
    pub span: Span,
    /// With this id.
    pub id: Option<uuid::Uuid>,
    /// With these values, by column of [`TEXTS`].
    pub texts: BTreeMap<&'static str, String>,
}

/// Columns of text that events can be looked for by, with their conditions.
pub const TEXTS: [(&str, &str); 7] = [
    ("user_id", "AND user_id = {user_id: String}"),
    ("tag", "AND tag = {tag: String}"),
    ("country", "AND country = {country: String}"),
    ("click_id", "AND click_id = {click_id: String}"),
    ("impression_id", "AND impression_id = {impression_id: String}"),
    ("server", "AND server = {server: String}"),
    ("site_id", "AND site_id = {site_id: String}"),
];

/// By which end of time a list begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The oldest first.
    #[default]
    Oldest,
    /// The newest first.
    Newest,
}

/// Where a page ended: its last event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Its time.
    pub time: Micros,
    /// Its id.
    pub id: uuid::Uuid,
    /// Its place in the log: a repeated event has the same time and id.
    pub place: (String, u32, u64),
}

const MINUTE: i64 = 60_000_000;

#[derive(Deserialize)]
struct Count {
    n: u64,
}

#[derive(Deserialize)]
struct Row {
    id: String,
    #[serde(rename = "type")]
    event_type: String,
    time_us: i64,
    received_us: i64,
    server: String,
    campaign_id: u32,
    cost: String,
    log_topic: String,
    log_partition: u32,
    log_offset: u64,
    #[serde(flatten)]
    payload: BTreeMap<String, serde_json::Value>,
}

impl Statistics {
    /// Counts events. Whole minutes come from `stats_minute`, which a projection answers, only
    /// the cut minutes at the two ends from the events themselves: exact, and cheap for any span.
    pub async fn count(&self, filter: &EventFilter) -> Result<Counted<u64>, StatisticsError> {
        let counted = self.cached::<Count>(count_question(filter)).await?;
        Ok(Counted { rows: counted.rows.into_iter().map(|c| c.n).collect(), at: counted.at })
    }

    /// The events behind `after`, at most `limit`, by time and id. Never cached: a page is asked once.
    pub async fn events(
        &self,
        filter: &EventFilter,
        order: Order,
        after: Option<&Cursor>,
        limit: u64,
    ) -> Result<Vec<Event>, StatisticsError> {
        let mut q = columns(Question::new("events", "")).and("FROM events WHERE 1");
        // Wide columns are read only where the page can lie: its last time is looked up first, in
        // the narrow ones.
        q = page(q, filter, order, after).and(match order {
            Order::Oldest => "AND events.time <= (SELECT max(time) FROM (SELECT time FROM events WHERE 1",
            Order::Newest => "AND events.time >= (SELECT min(time) FROM (SELECT time FROM events WHERE 1",
        });
        q = page(q, filter, order, after)
            .and(match order {
                Order::Oldest => {
                    "ORDER BY time LIMIT {limit: UInt64})) \
                     ORDER BY events.time, events.id, log_topic, log_partition, log_offset LIMIT {limit: UInt64}"
                }
                Order::Newest => {
                    "ORDER BY time DESC LIMIT {limit: UInt64})) \
                     ORDER BY events.time DESC, events.id DESC, log_topic DESC, log_partition DESC, log_offset DESC \
                     LIMIT {limit: UInt64}"
                }
            })
            .uint("limit", limit);
        q = values(q, filter);
        if let Some(after) = after {
            q = q
                .int("after", after.time.0)
                .text("after_id", after.id.to_string())
                .text("after_log", &after.place.0)
                .uint("after_partition", u64::from(after.place.1))
                .uint("after_offset", after.place.2);
        }
        self.rows(&q).await
    }

    /// Events, as [`columns`] reads them.
    pub(super) async fn rows(&self, q: &Question) -> Result<Vec<Event>, StatisticsError> {
        let rows = self.fresh::<Row>(q).await?;
        rows.into_iter().map(Event::try_from).collect()
    }
}

/// What an event is made of; conditions must name `events.id` and `events.time`, which mean others here.
pub(super) fn columns(q: Question) -> Question {
    q.and(
        "SELECT toString(id) AS id, type, toUnixTimestamp64Micro(time) AS time_us, \
         toUnixTimestamp64Micro(received) AS received_us, server, campaign_id, toString(cost_nanos) AS cost, \
         tag, variation_id, site_id, zone_id, user_id, ip, country, user_agent, device, os, \
         impression_id, click_id, goal, toString(value_micros) AS value_micros, extra, \
         log_topic, log_partition, log_offset",
    )
}

fn count_question(filter: &EventFilter) -> Question {
    let Span { start, end } = filter.span;
    // First and last whole minute.
    let first = start.map(|t| Micros((t.0.saturating_add(MINUTE - 1)).div_euclid(MINUTE) * MINUTE));
    let last = end.map(|t| Micros(t.0.div_euclid(MINUTE) * MINUTE));
    let question = values(Question::new("count", ""), filter);
    if let (Some(first), Some(last)) = (first, last)
        && first >= last
    {
        return bounds(conditions(question.and("SELECT count() AS n FROM events WHERE 1"), filter), filter.span);
    }
    let mut q = question.and("SELECT sum(c) AS n FROM (SELECT sum(count) AS c FROM stats_minute WHERE 1");
    q = conditions(q, filter);
    if let Some(first) = first {
        q = q.and("AND minute >= fromUnixTimestamp64Micro({first: Int64}, 'UTC')").int("first", first.0);
    }
    if let Some(last) = last {
        q = q.and("AND minute < fromUnixTimestamp64Micro({last: Int64}, 'UTC')").int("last", last.0);
    }
    if let (Some(start), Some(first)) = (start, first)
        && start < first
    {
        q = q
            .and("UNION ALL SELECT count() AS c FROM events")
            .and("WHERE time >= fromUnixTimestamp64Micro({start: Int64}, 'UTC')")
            .and("AND time < fromUnixTimestamp64Micro({first: Int64}, 'UTC')");
        q = conditions(q, filter);
    }
    if let (Some(last), Some(end)) = (last, end)
        && last < end
    {
        q = q
            .and("UNION ALL SELECT count() AS c FROM events")
            .and("WHERE time >= fromUnixTimestamp64Micro({last: Int64}, 'UTC')")
            .and("AND time < fromUnixTimestamp64Micro({end: Int64}, 'UTC')");
        q = conditions(q, filter);
    }
    q.and(")")
}

/// Conditions of a page, for values that are bound elsewhere.
fn page(q: Question, filter: &EventFilter, order: Order, after: Option<&Cursor>) -> Question {
    let q = bounds(conditions(q, filter), filter.span);
    if after.is_none() {
        return q;
    }
    // The first condition lets the index skip; the tuple is the exact one.
    let (first, behind) = match order {
        Order::Oldest => ("AND events.time >= fromUnixTimestamp64Micro({after: Int64}, 'UTC')", ">"),
        Order::Newest => ("AND events.time <= fromUnixTimestamp64Micro({after: Int64}, 'UTC')", "<"),
    };
    q.and(first)
        .and("AND (toUnixTimestamp64Micro(events.time), events.id, log_topic, log_partition, log_offset)")
        .and(behind)
        .and("({after: Int64}, toUUID({after_id: String}), {after_log: String},")
        .and("toUInt32({after_partition: UInt64}), {after_offset: UInt64})")
}

/// Type and campaign, for values that are bound elsewhere.
fn conditions(mut q: Question, filter: &EventFilter) -> Question {
    if filter.event_type.is_some() {
        q = q.and("AND type = {type: String}");
    }
    if filter.campaign_id.is_some() {
        q = q.and("AND campaign_id = {campaign: UInt64}");
    }
    if filter.id.is_some() {
        q = q.and("AND events.id = toUUID({id: String})");
    }
    for (_, condition) in TEXTS.iter().filter(|(name, _)| filter.texts.contains_key(name)) {
        q = q.and(condition);
    }
    q
}

/// First and last time, for values that are bound elsewhere.
fn bounds(mut q: Question, span: Span) -> Question {
    if span.start.is_some() {
        q = q.and("AND events.time >= fromUnixTimestamp64Micro({start: Int64}, 'UTC')");
    }
    if span.end.is_some() {
        q = q.and("AND events.time < fromUnixTimestamp64Micro({end: Int64}, 'UTC')");
    }
    q
}

/// Binds what the filter says.
fn values(mut q: Question, filter: &EventFilter) -> Question {
    if let Some(kind) = filter.event_type {
        q = q.text("type", kind);
    }
    if let Some(campaign) = filter.campaign_id {
        q = q.uint("campaign", u64::from(campaign));
    }
    if let Some(id) = filter.id {
        q = q.text("id", id.to_string());
    }
    for (name, value) in &filter.texts {
        q = q.text(name, value);
    }
    if let Some(start) = filter.span.start {
        q = q.int("start", start.0);
    }
    if let Some(end) = filter.span.end {
        q = q.int("end", end.0);
    }
    q
}

impl TryFrom<Row> for Event {
    type Error = StatisticsError;

    fn try_from(row: Row) -> Result<Event, StatisticsError> {
        let cost = row.cost.parse().map_err(|_| {
            StatisticsError::Refused(format!("cost_nanos of event {} is {:?}, not a whole number", row.id, row.cost))
        })?;
        let mut payload = row.payload;
        payload.retain(|_, value| match value {
            serde_json::Value::Null => false,
            serde_json::Value::String(text) => !text.is_empty(),
            serde_json::Value::Object(map) => !map.is_empty(),
            _ => true,
        });
        Ok(Event {
            id: row.id,
            event_type: row.event_type,
            time: Time(Micros(row.time_us)),
            received: Time(Micros(row.received_us)),
            server: row.server,
            campaign_id: row.campaign_id,
            cost_nanos: Nanos(cost),
            payload,
            log: row.log_topic,
            partition: row.log_partition,
            offset: row.log_offset,
        })
    }
}

impl Cursor {
    /// Opaque text for `next_cursor`: hexadecimal, so it needs no escaping in a URL.
    #[must_use]
    pub fn encode(&self) -> String {
        let (log, partition, offset) = &self.place;
        let text = format!("1 {} {} {partition} {offset} {log}", self.time.0, self.id.simple());
        text.bytes().fold(String::with_capacity(text.len() * 2), |mut out, b| {
            out.push(char::from_digit(u32::from(b >> 4), 16).unwrap_or('0'));
            out.push(char::from_digit(u32::from(b & 15), 16).unwrap_or('0'));
            out
        })
    }

    /// Back from [`encode`](Self::encode); `None` for anything else.
    #[must_use]
    pub fn decode(text: &str) -> Option<Cursor> {
        let nibbles: Vec<u8> =
            text.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect::<Option<_>>()?;
        if !nibbles.len().is_multiple_of(2) {
            return None;
        }
        let plain = String::from_utf8(nibbles.chunks_exact(2).map(|p| p[0] << 4 | p[1]).collect()).ok()?;
        let mut parts = plain.splitn(6, ' ');
        if parts.next()? != "1" {
            return None;
        }
        Some(Cursor {
            time: Micros(parts.next()?.parse().ok()?),
            id: uuid::Uuid::try_parse(parts.next()?).ok()?,
            place: {
                let (partition, offset) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
                (parts.next()?.to_owned(), partition, offset)
            },
        })
    }

    /// Behind this event.
    #[must_use]
    pub fn behind(event: &Event) -> Option<Cursor> {
        Some(Cursor {
            time: event.time.0,
            id: uuid::Uuid::try_parse(&event.id).ok()?,
            place: (event.log.clone(), event.partition, event.offset),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_as_it_went_and_nonsense_is_none() {
        let cursor =
            Cursor { time: Micros(-5), id: uuid::Uuid::from_u128(7), place: ("spool-00ff".to_owned(), 3, u64::MAX) };
        assert_eq!(Cursor::decode(&cursor.encode()), Some(cursor));
        for text in ["", "0", "zz", "31", "3120", "é", "ffffffff"] {
            assert_eq!(Cursor::decode(text), None, "{text}");
        }
    }

    #[test]
    fn only_cut_minutes_are_counted_from_the_events() {
        let filter = |start, end| EventFilter {
            span: Span { start: Some(Micros(start)), end: Some(Micros(end)) },
            ..EventFilter::default()
        };
        let sql = |start, end| count_question(&filter(start, end)).sql;
        assert!(!sql(0, 10 * MINUTE).contains("FROM events"));
        assert_eq!(sql(1, 10 * MINUTE).matches("FROM events").count(), 1);
        assert_eq!(sql(1, 10 * MINUTE + 1).matches("FROM events").count(), 2);
        assert!(!sql(1, MINUTE + 1).contains("stats_minute"), "no whole minute inside");
        assert!(!count_question(&EventFilter::default()).sql.contains("FROM events"));
    }
}
