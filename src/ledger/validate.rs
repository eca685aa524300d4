//! Rules of a catalogue that its types cannot express. Every problem names its place.

use super::{Catalogue, zone};
use crate::pricing::MAX_PRICE_MICROS;
use std::collections::BTreeSet;
use std::fmt;

/// Highest budget or balance in micros that has its like in nanos.
pub const MAX_AMOUNT_MICROS: i64 = i64::MAX / 1_000;
const MAX_NAME_BYTES: usize = 200;
const MAX_TAG_BYTES: usize = 200;
/// More problems than these help nobody.
const MAX_PROBLEMS: usize = 100;

/// Where in a catalogue a problem lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// `advertisers[index].field`
    Advertiser(usize, &'static str),
    /// `campaigns[index].field`
    Campaign(usize, &'static str),
    /// `tags["tag"]`
    Tag(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Advertiser(index, field) => write!(f, "advertisers[{index}].{field}"),
            Place::Campaign(index, field) => write!(f, "campaigns[{index}].{field}"),
            Place::Tag(tag) => write!(f, "tags[{tag:?}]"),
        }
    }
}

/// One broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What is wrong, with the value.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// All broken rules of a catalogue in the order of the file, at most a hundred.
#[must_use]
pub fn validate(catalogue: &Catalogue) -> Vec<Problem> {
    let mut problems = Problems(Vec::new());
    let mut advertisers = BTreeSet::new();
    for (i, a) in catalogue.advertisers.iter().enumerate() {
        let at = |field| Place::Advertiser(i, field);
        problems.id(at("id"), a.id, &mut advertisers);
        problems.name(at("name"), &a.name);
        problems.amount(at("balance_micros"), a.balance_micros, MAX_AMOUNT_MICROS);
        if a.currency.len() != 3 || !a.currency.bytes().all(|b| b.is_ascii_uppercase()) {
            problems
                .add(at("currency"), format!("{:?} is no currency: three capital letters, such as EUR", a.currency));
        }
    }
    let mut campaigns = BTreeSet::new();
    for (i, c) in catalogue.campaigns.iter().enumerate() {
        let at = |field| Place::Campaign(i, field);
        problems.id(at("id"), c.id, &mut campaigns);
        problems.name(at("name"), &c.name);
        if !advertisers.contains(&c.advertiser_id) {
            problems.add(at("advertiser_id"), format!("there is no advertiser {}", c.advertiser_id));
        }
        problems.amount(at("cpm_micros"), c.cpm_micros, MAX_PRICE_MICROS);
        problems.amount(at("cpc_micros"), c.cpc_micros, MAX_PRICE_MICROS);
        problems.amount(at("cpa_micros"), c.cpa_micros, MAX_PRICE_MICROS);
        problems.amount(at("total_budget_micros"), c.total_budget_micros, MAX_AMOUNT_MICROS);
        problems.amount(at("daily_budget_micros"), c.daily_budget_micros, MAX_AMOUNT_MICROS);
        if let Err(error) = zone(&c.time_zone) {
            problems.add(at("time_zone"), error.to_string());
        }
    }
    for (tag, campaign) in &catalogue.tags {
        if tag.is_empty() || tag.len() > MAX_TAG_BYTES {
            problems.add(Place::Tag(tag.clone()), format!("a tag takes 1 to {MAX_TAG_BYTES} bytes"));
        }
        if !campaigns.contains(campaign) {
            problems.add(Place::Tag(tag.clone()), format!("there is no campaign {campaign}"));
        }
    }
    problems.0
}

struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, place: Place, message: String) {
        if self.0.len() < MAX_PROBLEMS {
            self.0.push(Problem { place, message });
        }
    }

    fn id(&mut self, place: Place, id: u32, seen: &mut BTreeSet<u32>) {
        if id == 0 {
            self.add(place, "an id is above 0".to_owned());
        } else if !seen.insert(id) {
            self.add(place, format!("the id {id} is there twice"));
        }
    }

    fn name(&mut self, place: Place, name: &str) {
        if name.is_empty() || name.len() > MAX_NAME_BYTES {
            self.add(place, format!("a name takes 1 to {MAX_NAME_BYTES} bytes"));
        }
    }

    fn amount(&mut self, place: Place, amount: Option<i64>, most: i64) {
        if let Some(n) = amount.filter(|n| !(0..=most).contains(n)) {
            self.add(place, format!("{n} does not lie between 0 and {most}"));
        }
    }
}
