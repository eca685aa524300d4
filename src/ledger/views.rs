//! What people and commands see of the ledger. Amounts are strings in JSON.

use super::Reason;
use crate::log::{LogId, Offset};
use crate::money::{Nanos, text, text_option};
use crate::pricing::CampaignId;
use crate::time::Micros;
use serde::{Deserialize, Serialize};

/// Number of an advertiser.
pub type AdvertiserId = u32;

/// Who changes something by hand, and why. Kept in the audit table for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The person or the command, 1 to 200 bytes.
    pub who: String,
    /// Why, up to 2 000 bytes.
    pub why: String,
}

/// Whether a campaign is to be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It has no reason to be stopped.
    Serving,
    /// It has at least one.
    Stopped,
}

/// One reason in a campaign's set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// Which.
    pub reason: Reason,
    /// Since when, by the ledger's clock.
    pub since: Micros,
    /// The person, for `operator`; else `penstock`.
    pub who: String,
    /// The operator's words, or what was reached.
    pub note: String,
}

/// Counts of a campaign's charged events, each click and conversion id once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kpis {
    /// Visits.
    pub visits: u64,
    /// Impressions.
    pub impressions: u64,
    /// Clicks.
    pub clicks: u64,
    /// Conversions.
    pub conversions: u64,
}

/// A campaign with everything that the panel shows of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CampaignView {
    /// Its number.
    pub campaign_id: CampaignId,
    /// Its name.
    pub name: String,
    /// Who pays.
    pub advertiser_id: AdvertiserId,
    /// The payer's name.
    pub advertiser_name: String,
    /// ISO 4217 code of all its amounts.
    pub currency: String,
    /// IANA name of the zone its days begin in.
    pub time_zone: String,
    /// Whether it serves.
    pub status: Status,
    /// The weightiest reason, when stopped.
    pub reason: Option<Reason>,
    /// All reasons by weight.
    pub reasons: Vec<Reason>,
    /// The same with since when, who and why.
    pub stops: Vec<Stop>,
    /// Budget over all time in micros.
    #[serde(with = "text_option")]
    pub total_budget_micros: Option<i64>,
    /// Budget of a day in micros.
    #[serde(with = "text_option")]
    pub daily_budget_micros: Option<i64>,
    /// The advertiser's balance in micros.
    #[serde(with = "text_option")]
    pub balance_micros: Option<i64>,
    /// What all campaigns of the advertiser have spent; the balance is held against it.
    pub advertiser_spent_nanos: Nanos,
    /// Charged and adjusted over all time.
    pub spent_nanos: Nanos,
    /// Charged to the current day in the campaign's zone, with adjustments made for that day.
    pub spent_today_nanos: Nanos,
    /// Sum of the adjustments; negative when money was given back.
    pub adjusted_nanos: Nanos,
    /// What lies past the total budget or past today's, whichever is more; 0 within both.
    pub overspend_nanos: Nanos,
    /// Counts.
    pub kpis: Kpis,
}

/// Which campaigns to list, in ascending order of their numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CampaignFilter {
    /// Only campaigns with a higher number (the cursor of the next page).
    pub after: Option<CampaignId>,
    /// Only the stopped ones.
    pub stopped: bool,
    /// Only those of this advertiser.
    pub advertiser: Option<AdvertiserId>,
    /// Only those whose name has this in it, in small or capital letters (of ASCII).
    pub search: Option<String>,
    /// At most so many.
    pub limit: u32,
}

impl Default for CampaignFilter {
    /// The first thousand.
    fn default() -> Self {
        CampaignFilter { after: None, stopped: false, advertiser: None, search: None, limit: 1_000 }
    }
}

/// An advertiser's account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdvertiserView {
    /// Its number.
    pub advertiser_id: AdvertiserId,
    /// Its name.
    pub name: String,
    /// ISO 4217 code.
    pub currency: String,
    /// What its campaigns may spend together, in micros; absent: no limit.
    #[serde(with = "text_option")]
    pub balance_micros: Option<i64>,
    /// What they have spent.
    pub spent_nanos: Nanos,
    /// What lies past the balance; 0 within it.
    pub overspend_nanos: Nanos,
    /// Since when all its campaigns are stopped for the balance.
    pub stopped_since: Option<Micros>,
}

/// New budgets of a campaign; a budget that is left out stays, `Some(None)` takes it away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// Total budget in micros, not negative.
    pub total_budget_micros: Option<Option<i64>>,
    /// Daily budget in micros, not negative.
    pub daily_budget_micros: Option<Option<i64>>,
}

/// What an adjustment is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdjustmentKind {
    /// Money given back.
    Refund,
    /// Events that should not have been charged (fraud, a publisher's fault).
    Reversal,
    /// Anything else, such as events that could not be attributed when they came.
    Correction,
}

impl AdjustmentKind {
    /// The stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            AdjustmentKind::Refund => "refund",
            AdjustmentKind::Reversal => "reversal",
            AdjustmentKind::Correction => "correction",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<AdjustmentKind> {
        [Self::Refund, Self::Reversal, Self::Correction].into_iter().find(|k| k.name() == name)
    }
}

/// An adjustment to be made. Adjustments are never changed or deleted; a wrong one is answered
/// by another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewAdjustment {
    /// The campaign.
    pub campaign_id: CampaignId,
    /// What for.
    pub kind: AdjustmentKind,
    /// Added to what is spent: negative gives money back. Refunds and reversals are negative.
    #[serde(with = "text")]
    pub amount_nanos: i64,
    /// The day (in the campaign's zone, `YYYY-MM-DD`) whose spending it changes too, if any.
    pub day: Option<chrono::NaiveDate>,
    /// The caller's key: the same key again changes nothing and returns the first adjustment.
    pub key: String,
}

/// An adjustment that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adjustment {
    /// Its number.
    pub id: u64,
    /// What was asked for.
    #[serde(flatten)]
    pub made: NewAdjustment,
    /// When.
    pub at: Micros,
    /// Who and why.
    #[serde(flatten)]
    pub change: Change,
}

/// One row of the audit table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Ascending number; the cursor of the next page.
    pub id: u64,
    /// When.
    pub at: Micros,
    /// Who.
    pub who: String,
    /// What: `stop`, `resume`, `set_budget`, `set_balance`, `adjust`, `import`, `skip`.
    pub action: String,
    /// On what: `campaign 1002`, `advertiser 3`, `catalogue`, a log partition.
    pub subject: String,
    /// JSON of what was there before, `null` when nothing.
    pub before: String,
    /// JSON of what is there now.
    pub after: String,
    /// Why.
    pub why: String,
}

/// A campaign's names: whose it is and what it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its number.
    pub campaign_id: CampaignId,
    /// Its name.
    pub name: String,
    /// Who pays.
    pub advertiser_id: AdvertiserId,
    /// In which currency: three capital letters.
    pub currency: String,
}

/// Which rows of the audit to list, the newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditFilter {
    /// Only rows with a lower id (the cursor of the next page).
    pub before: Option<u64>,
    /// Only changes of this, e.g. `campaign 1002`.
    pub subject: Option<String>,
    /// Only changes by this person.
    pub who: Option<String>,
    /// Only changes of this kind.
    pub action: Option<String>,
    /// At most so many.
    pub limit: u32,
}

impl Default for AuditFilter {
    /// The newest hundred.
    fn default() -> Self {
        AuditFilter { before: None, subject: None, who: None, action: None, limit: 100 }
    }
}

/// Which of a campaign's lines to list, the newest hour first, types in the order of their names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineFilter {
    /// First hour, in hours since the epoch.
    pub from: i64,
    /// First hour behind it.
    pub to: i64,
    /// Only lines behind this one (the cursor of the next page).
    pub after: Option<(i64, String)>,
    /// At most so many.
    pub limit: u32,
}

/// What a campaign was charged in one hour for events of one type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerLine {
    /// UTC hour of the events' time, in hours since the epoch.
    pub hour: i64,
    /// Event type.
    pub kind: String,
    /// Charged events.
    pub events: u64,
    /// What they cost.
    pub cost_nanos: Nanos,
}

/// A number of events and their price. Sums over many ranges may pass 64 bits, these do not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many.
    pub events: u64,
    /// Their price in nanos.
    pub nanos: i128,
}

impl Tally {
    /// Adds another tally to this one.
    pub fn add(&mut self, other: Tally) {
        self.events += other.events;
        self.nanos += other.nanos;
    }
}

/// How the events of something were booked. Every event is in exactly one of the three.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// On a campaign's account.
    pub charged: Tally,
    /// An id already charged: not charged again.
    pub duplicate: Tally,
    /// No known campaign, or a campaign whose account would overflow.
    pub unattributed: Tally,
}

impl Sums {
    /// All three together.
    #[must_use]
    pub fn all(&self) -> Tally {
        let mut sum = self.charged;
        sum.add(self.duplicate);
        sum.add(self.unattributed);
        sum
    }

    /// Adds other sums to these.
    pub fn add(&mut self, other: &Sums) {
        self.charged.add(other.charged);
        self.duplicate.add(other.duplicate);
        self.unattributed.add(other.unattributed);
    }
}

/// How the events of one campaign and type were booked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CampaignSums {
    /// The campaign the event names, 0 when it named none that was known.
    pub campaign: CampaignId,
    /// Event type.
    pub kind: String,
    /// The sums.
    pub sums: Sums,
}

/// The books of one log partition up to its position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionBooks {
    /// The partition.
    pub log: LogId,
    /// Everything before it is booked.
    pub position: Offset,
    /// Records that went to the dead letters, by the ranges.
    pub poison: u64,
    /// Offsets that were skipped because retention had passed them.
    pub skipped: u64,
    /// By type, from the rows of the ranges.
    pub by_range: Vec<(String, Sums)>,
    /// By campaign and type, from the running totals.
    pub by_campaign: Vec<CampaignSums>,
}

/// Everything that `reconcile` asks of the ledger, from one read transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Books {
    /// Every partition that was ever booked.
    pub partitions: Vec<PartitionBooks>,
    /// Campaign → sum of its rows in `ledger` (what is charged by the hour).
    pub charged: Vec<(CampaignId, Tally)>,
}

/// A stopped campaign with its reasons.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoppedCampaign {
    /// The campaign.
    pub campaign_id: CampaignId,
    /// Its name.
    pub name: String,
    /// Its reasons by weight.
    pub stops: Vec<Stop>,
}
