//! The publisher: an endless, seeded stream of visits and what follows from them.
//!
//! A visitor comes to a page (visit), sees ads there (impressions), now and then clicks on one
//! and, rarer, buys something (conversion). A click names its impression and a conversion its
//! click, both sent before, with the same visitor, tag and place. The seed fixes everything but
//! the times, which are those of sending.

use super::people::{BROWSERS, Browser, COUNTRIES, Country, by_share};
use penstock::time::Micros;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use uuid::Uuid;

/// The types that are simulated, in the order of the arrays that count them.
pub const TYPES: [&str; 4] = ["visit", "impression", "click", "conversion"];

/// How many events of one type come on one of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mix {
    /// Impressions of one visit, on average. At least 1.
    pub impressions_per_visit: u32,
    /// One click comes on so many impressions; 0 = no clicks.
    pub impressions_per_click: u32,
    /// One conversion comes on so many clicks; 0 = no conversions.
    pub clicks_per_conversion: u32,
}

impl Default for Mix {
    fn default() -> Self {
        Mix { impressions_per_visit: 4, impressions_per_click: 1_000, clicks_per_conversion: 50 }
    }
}

/// Index into [`TYPES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A page was opened.
    Visit,
    /// An ad was shown.
    Impression,
    /// An ad was clicked on.
    Click,
    /// A click led to a purchase or a registration.
    Conversion,
}

/// The stream of one simulated publisher.
pub struct Publisher {
    rng: Xoshiro256PlusPlus,
    tags: Vec<String>,
    server: String,
    mix: Mix,
    sent: u64,
    visit: Option<(Arc<Visitor>, u32)>,
    /// What visitors are about to do, by the number of the event it is due at.
    pending: BinaryHeap<Reverse<Pending>>,
}

struct Visitor {
    user: String,
    site: String,
    ip: String,
    country: &'static Country,
    browser: &'static Browser,
    page_tag: usize,
}

/// A click or a conversion to come. Ordered by `due`, then by `id`, so that a seed replays it.
#[derive(Clone)]
struct Pending {
    due: u64,
    kind: Kind,
    /// The impression that is clicked on, or the click that converts.
    after: Uuid,
    tag: usize,
    visitor: Arc<Visitor>,
}

/// Longest way, in events of the stream, from an impression to its click and on to its conversion.
const LONGEST_DELAY: u64 = 200;

impl Publisher {
    /// A publisher whose ad slots carry `tags` (not empty), sending as server `server`.
    #[must_use]
    pub fn new(tags: Vec<String>, mix: Mix, server: String, seed: u64) -> Self {
        let rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        Publisher { rng, tags, server, mix, sent: 0, visit: None, pending: BinaryHeap::new() }
    }

    /// Appends the next event as one line of JSON, happening at `now`, and says what it is.
    ///
    /// Errors: none that writing to memory could have; serde's signature asks for it.
    pub fn next(&mut self, now: Micros, out: &mut Vec<u8>) -> Result<Kind, serde_json::Error> {
        let kind = if self.pending.peek().is_some_and(|Reverse(p)| p.due <= self.sent) {
            self.follow_up(now, out)?
        } else {
            match self.visit.take() {
                None => self.begin_visit(now, out)?,
                Some((visitor, left)) => self.show_ad(now, out, visitor, left)?,
            }
        };
        out.push(b'\n');
        self.sent += 1;
        Ok(kind)
    }

    fn begin_visit(&mut self, now: Micros, out: &mut Vec<u8>) -> Result<Kind, serde_json::Error> {
        let visitor = Arc::new(self.visitor());
        // 1 to 2n-1 ads are n on average.
        let ads = self.rng.random_range(1..self.mix.impressions_per_visit.clamp(1, u32::MAX / 2) * 2);
        let id = self.id(now);
        self.write(Kind::Visit, id, now, visitor.page_tag, &visitor, Refers::default(), out)?;
        self.visit = Some((visitor, ads));
        Ok(Kind::Visit)
    }

    fn show_ad(
        &mut self,
        now: Micros,
        out: &mut Vec<u8>,
        visitor: Arc<Visitor>,
        left: u32,
    ) -> Result<Kind, serde_json::Error> {
        let (id, tag) = (self.id(now), self.tag());
        self.write(Kind::Impression, id, now, tag, &visitor, Refers::default(), out)?;
        if self.one_in(self.mix.impressions_per_click) {
            self.expect(Kind::Click, id, tag, visitor.clone());
        }
        self.visit = (left > 1).then(|| (visitor, left - 1));
        Ok(Kind::Impression)
    }

    fn follow_up(&mut self, now: Micros, out: &mut Vec<u8>) -> Result<Kind, serde_json::Error> {
        let Some(Reverse(Pending { kind, after, tag, visitor, .. })) = self.pending.pop() else {
            return self.begin_visit(now, out);
        };
        let id = self.id(now);
        let refers = if kind == Kind::Click {
            Refers { impression_id: Some(after), ..Refers::default() }
        } else {
            let value = self.rng.random_range(5..=500_i64) * 1_000_000;
            Refers { click_id: Some(after), goal: Some("purchase"), value_micros: Some(value), ..Refers::default() }
        };
        self.write(kind, id, now, tag, &visitor, refers, out)?;
        if kind == Kind::Click && self.one_in(self.mix.clicks_per_conversion) {
            self.expect(Kind::Conversion, id, tag, visitor);
        }
        Ok(kind)
    }

    fn expect(&mut self, kind: Kind, after: Uuid, tag: usize, visitor: Arc<Visitor>) {
        let due = self.sent + self.rng.random_range(1..=LONGEST_DELAY);
        self.pending.push(Reverse(Pending { due, kind, after, tag, visitor }));
    }

    fn visitor(&mut self) -> Visitor {
        let country = by_share(&COUNTRIES, self.rng.random_range(0..100), |c| c.share);
        let browser = by_share(&BROWSERS, self.rng.random_range(0..100), |b| b.share);
        let page_tag = self.tag();
        Visitor {
            user: format!("u{}", self.rng.random_range(1..1_000_000)),
            site: self.tags[page_tag].split('-').next().unwrap_or_default().to_owned(),
            ip: format!("10.{}.{}.{}", country.net, self.rng.random_range(0..=255), self.rng.random_range(1..=254)),
            country,
            browser,
            page_tag,
        }
    }

    /// Slots at the front of the list are seen more: some pages are popular.
    fn tag(&mut self) -> usize {
        self.rng.random_range(0..self.tags.len()).min(self.rng.random_range(0..self.tags.len()))
    }

    fn one_in(&mut self, n: u32) -> bool {
        n > 0 && self.rng.random_ratio(1, n)
    }

    fn id(&mut self, now: Micros) -> Uuid {
        let millis = u64::try_from(now.0 / 1_000).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &self.rng.random()).into_uuid()
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one event, named at the one place that joins them")]
    fn write(
        &self,
        kind: Kind,
        id: Uuid,
        now: Micros,
        tag: usize,
        visitor: &Visitor,
        refers: Refers,
        out: &mut Vec<u8>,
    ) -> Result<(), serde_json::Error> {
        let tag = self.tags[tag].as_str();
        let payload = Payload {
            tag,
            site_id: &visitor.site,
            zone_id: tag.split('-').nth(1),
            user_id: &visitor.user,
            ip: &visitor.ip,
            country: visitor.country.code,
            user_agent: visitor.browser.user_agent,
            device: visitor.browser.device,
            os: visitor.browser.os,
            refers,
        };
        let event =
            Event { r#type: TYPES[kind as usize], id, time: now.0.div_euclid(1_000), server: &self.server, payload };
        serde_json::to_writer(out, &event)
    }
}

#[derive(Serialize)]
struct Event<'a> {
    r#type: &'static str,
    id: Uuid,
    /// Milliseconds since the epoch.
    time: i64,
    server: &'a str,
    payload: Payload<'a>,
}

#[derive(Serialize)]
struct Payload<'a> {
    tag: &'a str,
    site_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    zone_id: Option<&'a str>,
    user_id: &'a str,
    ip: &'a str,
    country: &'static str,
    user_agent: &'static str,
    device: &'static str,
    os: &'static str,
    #[serde(flatten)]
    refers: Refers,
}

/// What clicks and conversions have besides.
#[derive(Default, Serialize)]
struct Refers {
    #[serde(skip_serializing_if = "Option::is_none")]
    impression_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    click_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    goal: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_micros: Option<i64>,
}

impl PartialEq for Pending {
    fn eq(&self, other: &Self) -> bool {
        (self.due, self.after) == (other.due, other.after)
    }
}
impl Eq for Pending {}
impl PartialOrd for Pending {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Pending {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.after).cmp(&(other.due, other.after))
    }
}
