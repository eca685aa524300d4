//! The data initializer: a made-up catalogue, the same for the same options.
//!
//! A tenth of the campaigns has a total budget, another tenth a daily budget of a few hundred
//! impressions, and one advertiser has nearly nothing paid in: in a demo of half a minute some
//! campaigns stop for each reason, while most run on.

use penstock::ledger::{Advertiser, Campaign, Catalogue};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;

/// How large the catalogue is, and which of the possible ones.
#[derive(Clone, Copy, Debug)]
pub struct SeedOptions {
    /// Number of campaigns, 1 to [`MAX_CAMPAIGNS`].
    pub campaigns: u32,
    /// Number of tags, 0 to [`MAX_TAGS`]; the first ones go to the campaigns in turn, so with as
    /// many tags as campaigns each has one.
    pub tags: u32,
    /// Number of advertisers, at least 1; absent = one for five campaigns.
    pub advertisers: Option<u32>,
    /// The same seed gives the same catalogue.
    pub seed: u64,
}

/// Most campaigns that [`make`] accepts: beyond, an import body would pass the usual limits.
pub const MAX_CAMPAIGNS: u32 = 100_000;
/// Most tags that [`make`] accepts.
pub const MAX_TAGS: u32 = 1_000_000;

/// Why no catalogue can be made.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// A number out of its bounds.
    #[error("{what} must be {least} to {most}, not {given}")]
    Bounds {
        /// Which option.
        what: &'static str,
        /// Smallest allowed value.
        least: u32,
        /// Largest allowed value.
        most: u32,
        /// What was given.
        given: u32,
    },
}

const SITES: [&str; 12] = [
    "news", "sport", "weather", "recipes", "travel", "cars", "games", "music", "finance", "garden", "movies", "science",
];
const ZONES: [&str; 5] = ["top", "side", "feed", "video", "foot"];
const BRANDS: [&str; 16] = [
    "Alder", "Birch", "Cobalt", "Dune", "Ember", "Fjord", "Granite", "Harbor", "Iris", "Juniper", "Kestrel", "Linden",
    "Marble", "Nimbus", "Opal", "Pine",
];
const PRODUCTS: [&str; 8] = ["Shoes", "Coffee", "Bikes", "Hotels", "Insurance", "Phones", "Books", "Games"];
const CURRENCIES: [&str; 3] = ["USD", "EUR", "GBP"];
const TIME_ZONES: [&str; 4] = ["Europe/Berlin", "America/New_York", "Asia/Tokyo", "Australia/Sydney"];
const FIRST_CAMPAIGN: u32 = 1001;

/// Makes a catalogue. Errors: [`SeedError::Bounds`].
pub fn make(options: &SeedOptions) -> Result<Catalogue, SeedError> {
    let default_advertisers = options.campaigns.div_ceil(5).max(1);
    let advertisers = options.advertisers.unwrap_or(default_advertisers);
    bounds("campaigns", 1, MAX_CAMPAIGNS, options.campaigns)?;
    bounds("tags", 0, MAX_TAGS, options.tags)?;
    bounds("advertisers", 1, MAX_CAMPAIGNS, advertisers)?;
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(options.seed);
    Ok(Catalogue {
        advertisers: (1..=advertisers).map(|id| advertiser(id, advertisers, &mut rng)).collect(),
        campaigns: (0..options.campaigns).map(|n| campaign(n, advertisers, &mut rng)).collect(),
        tags: tags(options, &mut rng),
    })
}

fn bounds(what: &'static str, least: u32, most: u32, given: u32) -> Result<(), SeedError> {
    if (least..=most).contains(&given) { Ok(()) } else { Err(SeedError::Bounds { what, least, most, given }) }
}

fn advertiser(id: u32, of: u32, rng: &mut Xoshiro256PlusPlus) -> Advertiser {
    // With several advertisers the last one is nearly broke: its campaigns stop with reason `balance`.
    let balance =
        if of > 1 && id == of { rng.random_range(50_000..250_000) } else { rng.random_range(500..5_000) * 1_000_000 };
    Advertiser {
        id,
        name: format!("{} {id}", pick(rng, &BRANDS)),
        currency: (*pick(rng, &CURRENCIES)).to_owned(),
        balance_micros: Some(balance),
    }
}

fn campaign(n: u32, advertisers: u32, rng: &mut Xoshiro256PlusPlus) -> Campaign {
    // Cents per thousand: 0.50 to 8.00 of the currency.
    let cpm = rng.random_range(50..=800) * 10_000;
    let cpc = rng.random_ratio(3, 5).then(|| rng.random_range(5..=80) * 10_000);
    let cpa = rng.random_ratio(1, 4).then(|| rng.random_range(10..=200) * 100_000);
    let tight = cpm / 1_000 * rng.random_range(50..400);
    let ample = cpm * rng.random_range(10_000..100_000);
    let (total, daily) = match n % 10 {
        3 => (Some(tight), None),
        7 => (Some(ample), Some(tight)),
        0..=4 => (Some(ample), None),
        _ => (None, rng.random_ratio(1, 2).then_some(ample / 10)),
    };
    Campaign {
        id: FIRST_CAMPAIGN + n,
        name: format!("{} {} {}", pick(rng, &BRANDS), pick(rng, &PRODUCTS), n + 1),
        advertiser_id: n % advertisers + 1,
        cpm_micros: Some(cpm),
        cpc_micros: cpc,
        cpa_micros: cpa,
        total_budget_micros: total,
        daily_budget_micros: daily,
        time_zone: if rng.random_ratio(1, 2) { (*pick(rng, &TIME_ZONES)).to_owned() } else { "UTC".to_owned() },
    }
}

fn tags(options: &SeedOptions, rng: &mut Xoshiro256PlusPlus) -> BTreeMap<String, u32> {
    (0..options.tags)
        .map(|n| {
            let owner = if n < options.campaigns { n } else { rng.random_range(0..options.campaigns) };
            (format!("{}-{}-{n:04}", pick(rng, &SITES), pick(rng, &ZONES)), FIRST_CAMPAIGN + owner)
        })
        .collect()
}

fn pick<'a, T>(rng: &mut Xoshiro256PlusPlus, of: &'a [T]) -> &'a T {
    &of[rng.random_range(0..of.len())]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const DEMO: SeedOptions = SeedOptions { campaigns: 100, tags: 1000, advertisers: None, seed: 7 };

    #[test]
    fn the_same_seed_gives_the_same_catalogue_and_another_seed_another() {
        assert_eq!(make(&DEMO).unwrap(), make(&DEMO).unwrap());
        assert_ne!(make(&DEMO).unwrap(), make(&SeedOptions { seed: 8, ..DEMO }).unwrap());
    }

    #[test]
    fn a_made_up_catalogue_refers_only_to_what_it_holds() {
        let made = make(&DEMO).unwrap();
        assert_eq!((made.advertisers.len(), made.campaigns.len(), made.tags.len()), (20, 100, 1000));
        let advertisers: BTreeSet<u32> = made.advertisers.iter().map(|a| a.id).collect();
        let campaigns: BTreeSet<u32> = made.campaigns.iter().map(|c| c.id).collect();
        assert_eq!((advertisers.len(), campaigns.len()), (20, 100), "ids are unique");
        assert!(made.campaigns.iter().all(|c| advertisers.contains(&c.advertiser_id)));
        assert!(made.tags.values().all(|c| campaigns.contains(c)));
        let tagged: BTreeSet<u32> = made.tags.values().copied().collect();
        assert_eq!(tagged, campaigns, "every campaign has a tag");
    }

    #[test]
    fn rates_and_budgets_are_above_zero_and_some_stop_within_a_few_hundred_impressions() {
        let made = make(&DEMO).unwrap();
        let amounts =
            |c: &Campaign| [c.cpm_micros, c.cpc_micros, c.cpa_micros, c.total_budget_micros, c.daily_budget_micros];
        assert!(made.campaigns.iter().flat_map(amounts).flatten().all(|m| m > 0));
        let soon = |c: &&Campaign| {
            let budget = c.total_budget_micros.into_iter().chain(c.daily_budget_micros).min();
            budget.is_some_and(|b| b <= c.cpm_micros.unwrap() * 400 / 1_000)
        };
        assert_eq!(made.campaigns.iter().filter(soon).count(), 20);
    }

    #[test]
    fn sizes_out_of_bounds_are_named() {
        let error = make(&SeedOptions { campaigns: 0, ..DEMO }).unwrap_err().to_string();
        assert_eq!(error, "campaigns must be 1 to 100000, not 0");
    }
}
