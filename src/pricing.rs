//! What an event costs and whose campaign it is: a function of the event alone.
//!
//! Every sink must come to the same nanos whenever it runs. So each version of a rate or a tag
//! has a `valid_from` (compared with the event's own time; the first version holds since ever)
//! and a `known_from` (compared with the time the event was received; an import sets it a little
//! ahead and returns when it has passed). Of the versions that were known when the event was
//! received and are valid at its time, the one known last decides. An immutable [`Snapshot`]
//! says through which time it is complete; a batch whose newest event is later waits for the
//! next snapshot.

use crate::money::Nanos;
use crate::time::Micros;
use hashbrown::HashMap;
use std::sync::Arc;

/// Highest price of one event, and highest rate, in micros: what has its like in 64 bits of nanos.
pub const MAX_PRICE_MICROS: i64 = i64::MAX / NANOS_PER_MICRO;

const NANOS_PER_MICRO: i64 = 1_000;

/// Number of a campaign; 0 means "not attributed".
pub type CampaignId = u32;

/// One version of something that changes over time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version<T> {
    /// From which event time on it holds.
    pub valid_from: Micros,
    /// From which receive time on it is known.
    pub known_from: Micros,
    /// What holds.
    pub value: T,
}

/// All versions of one thing, ascending by `known_from` (later imports come later).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versions<T>(Vec<Version<T>>);

impl<T> Versions<T> {
    /// Sorts by `known_from`, keeping the given order among equals.
    #[must_use]
    pub fn new(mut versions: Vec<Version<T>>) -> Self {
        versions.sort_by_key(|v| v.known_from);
        Versions(versions)
    }

    /// The version that decides for an event of `time` that came in at `received`.
    #[must_use]
    pub fn at(&self, time: Micros, received: Micros) -> Option<&T> {
        self.0.iter().rev().find(|v| v.known_from <= received && v.valid_from <= time).map(|v| &v.value)
    }
}

/// Prices of a campaign in integer micros, 0 to [`MAX_PRICE_MICROS`]; an absent one is free.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Per thousand impressions.
    pub cpm_micros: Option<i64>,
    /// Per click.
    pub cpc_micros: Option<i64>,
    /// Per conversion.
    pub cpa_micros: Option<i64>,
}

/// Which price of a campaign an event type is charged with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PricedAs {
    /// `cpm_micros` nanos each (a thousandth of the price per thousand).
    Impression,
    /// `cpc_micros` micros each.
    Click,
    /// `cpa_micros` micros each.
    Conversion,
    /// Only an explicit `price_micros` counts.
    Free,
}

/// The catalogue at one moment, immutable and shared by all sinks of a process.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Every version with `known_from` up to this time is in it.
    pub complete_through: Micros,
    /// Tag → campaign; campaign 0 in a version closes the tag. Shared, because the next snapshot
    /// mostly differs in `complete_through` alone.
    pub tags: Arc<HashMap<Box<str>, Versions<CampaignId>>>,
    /// Campaign → its rates. A campaign that is not here is unknown.
    pub rates: Arc<HashMap<CampaignId, Versions<Rates>>>,
}

impl Default for Snapshot {
    /// Knows nothing and is complete through no time.
    fn default() -> Self {
        Snapshot { complete_through: Micros::MIN, tags: Arc::default(), rates: Arc::default() }
    }
}

/// What an event is priced by; all of it comes from the event.
#[derive(Clone, Copy, Debug)]
pub struct Priced<'a> {
    /// The event's own time.
    pub time: Micros,
    /// When the sidecar received it.
    pub received: Micros,
    /// Beats `tag` when present.
    pub campaign_id: Option<u32>,
    /// Resolved to a campaign when `campaign_id` is absent.
    pub tag: Option<&'a str>,
    /// Which rate applies.
    pub priced_as: PricedAs,
    /// Explicit price of this one event; beats the rate.
    pub price_micros: Option<i64>,
}

/// Whose event it is and what it costs. Campaign 0 and cost 0 when it cannot be attributed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price {
    /// The campaign, 0 when unknown.
    pub campaign: CampaignId,
    /// What the advertiser pays.
    pub cost: Nanos,
}

/// An explicit price that no event can have. The event is poison, whatever the catalogue says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("price_micros = {0}: a price lies between 0 and {MAX_PRICE_MICROS}")]
pub struct PriceOutOfRange(pub i64);

impl Snapshot {
    /// A snapshot from its parts.
    #[must_use]
    pub fn new(
        complete_through: Micros,
        tags: HashMap<Box<str>, Versions<CampaignId>>,
        rates: HashMap<CampaignId, Versions<Rates>>,
    ) -> Snapshot {
        Snapshot { complete_through, tags: Arc::new(tags), rates: Arc::new(rates) }
    }

    /// Resolves the campaign and the price of one event.
    ///
    /// Errors: [`PriceOutOfRange`], decided by the event alone so that every sink and every
    /// replay calls the same events poison.
    pub fn price(&self, event: &Priced<'_>) -> Result<Price, PriceOutOfRange> {
        const UNATTRIBUTED: Price = Price { campaign: 0, cost: Nanos::ZERO };
        if let Some(price) = event.price_micros
            && !(0..=MAX_PRICE_MICROS).contains(&price)
        {
            return Err(PriceOutOfRange(price));
        }
        let campaign = match (event.campaign_id, event.tag) {
            (Some(id), _) => Some(id),
            (None, Some(tag)) => self.tags.get(tag).and_then(|v| v.at(event.time, event.received)).copied(),
            (None, None) => None,
        };
        let Some((campaign, versions)) = campaign.and_then(|c| Some((c, self.rates.get(&c)?))) else {
            return Ok(UNATTRIBUTED);
        };
        // A campaign that was imported only after the event came in was not known then.
        let Some(rates) = versions.at(event.time, event.received) else { return Ok(UNATTRIBUTED) };
        let cost = match (event.price_micros, event.priced_as) {
            (Some(price), _) => Nanos(price * NANOS_PER_MICRO),
            (None, PricedAs::Impression) => Nanos(rates.cpm_micros.unwrap_or(0)),
            (None, PricedAs::Click) => Nanos(rates.cpc_micros.unwrap_or(0) * NANOS_PER_MICRO),
            (None, PricedAs::Conversion) => Nanos(rates.cpa_micros.unwrap_or(0) * NANOS_PER_MICRO),
            (None, PricedAs::Free) => Nanos::ZERO,
        };
        Ok(Price { campaign, cost })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version<T>(valid_from: i64, known_from: i64, value: T) -> Version<T> {
        Version { valid_from: Micros(valid_from), known_from: Micros(known_from), value }
    }

    fn cpc(micros: i64) -> Rates {
        Rates { cpc_micros: Some(micros), ..Rates::default() }
    }

    fn snapshot() -> Snapshot {
        let rates = Versions::new(vec![version(i64::MIN, 100, cpc(2)), version(1_000, 1_000, cpc(3))]);
        let tags = Versions::new(vec![version(i64::MIN, 100, 7), version(2_000, 2_000, 0)]);
        Snapshot::new(Micros::MAX, HashMap::from_iter([("t".into(), tags)]), HashMap::from_iter([(7, rates)]))
    }

    fn click(time: i64, received: i64) -> Priced<'static> {
        Priced {
            time: Micros(time),
            received: Micros(received),
            campaign_id: None,
            tag: Some("t"),
            priced_as: PricedAs::Click,
            price_micros: None,
        }
    }

    #[test]
    fn a_price_depends_on_the_event_alone() {
        let s = snapshot();
        let price = |time, received| s.price(&click(time, received)).map(|p| (p.campaign, p.cost.0));
        assert_eq!(price(50, 99), Ok((0, 0)), "nothing was known when it came in");
        assert_eq!(price(50, 100), Ok((7, 2_000)), "the first version holds since ever");
        assert_eq!(price(1_500, 999), Ok((7, 2_000)), "the new rate was not known when it came in");
        assert_eq!(price(1_500, 1_500), Ok((7, 3_000)));
        assert_eq!(price(999, 5_000), Ok((7, 2_000)), "an old event keeps the old rate and the tag that was open");
        assert_eq!(price(2_000, 5_000), Ok((0, 0)), "the tag is closed");
    }

    #[test]
    fn a_campaign_id_beats_the_tag_and_a_price_beats_the_rate() {
        let s = snapshot();
        let unknown = Priced { campaign_id: Some(8), ..click(50, 100) };
        assert_eq!(s.price(&unknown).map(|p| p.campaign), Ok(0));
        let priced = Priced { campaign_id: Some(7), tag: None, price_micros: Some(11), ..click(50, 100) };
        assert_eq!(s.price(&priced).map(|p| p.cost), Ok(Nanos(11_000)));
        let view = Priced { priced_as: PricedAs::Impression, ..click(50, 100) };
        assert_eq!(s.price(&view).map(|p| p.cost), Ok(Nanos::ZERO), "an absent rate is free");
    }

    #[test]
    fn a_price_out_of_range_is_poison_whatever_the_catalogue_says() {
        for price in [-1, MAX_PRICE_MICROS + 1, i64::MAX, i64::MIN] {
            let event = Priced { price_micros: Some(price), ..click(50, 0) };
            assert_eq!(snapshot().price(&event), Err(PriceOutOfRange(price)));
            assert_eq!(Snapshot::default().price(&event), Err(PriceOutOfRange(price)));
        }
    }
}
