//! Turns a batch into the rows that one transaction adds: what is charged, to whom, and which
//! budgets that uses up.
//!
//! Pure, and the same for every database: the implementation reads the accounts and the ids
//! already charged, calls [`post`], and writes what comes back as relative updates. All sums
//! were checked here, under the same write lock, so the database's own `+` cannot overflow.

use super::{AdvertiserId, Batch, Kpis, Quarter, Reason, Sums, Tally, day_of, quarter_hour, quarter_start};
use crate::pricing::CampaignId;
use crate::time::Micros;
use chrono::NaiveDate;
use chrono_tz::Tz;
use std::collections::{BTreeMap, BTreeSet};

/// A campaign's account as the transaction found it.
#[derive(Clone, Debug)]
pub struct Account {
    /// Who pays.
    pub advertiser: AdvertiserId,
    /// Where its days begin.
    pub zone: Tz,
    /// Charged so far.
    pub charged: i64,
    /// Sum of its adjustments.
    pub adjusted: i64,
    /// In micros.
    pub total_budget: Option<i64>,
    /// In micros.
    pub daily_budget: Option<i64>,
    /// Charged and adjusted so far for the current day.
    pub today: DayAccount,
    /// Reasons it already has.
    pub reasons: BTreeSet<Reason>,
}

/// What a campaign has spent on the current day in its zone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DayAccount {
    /// Charged.
    pub charged: i64,
    /// Adjustments made for that day.
    pub adjusted: i64,
}

/// An advertiser's account as the transaction found it.
#[derive(Clone, Copy, Debug)]
pub struct AdvertiserAccount {
    /// Spent by all its campaigns, adjustments included.
    pub spent: i64,
    /// In micros.
    pub balance: Option<i64>,
    /// Whether its campaigns are stopped for it already.
    pub stopped: bool,
}

/// The rows to add, each list in ascending order of its key: one global order of locks.
#[derive(Clone, Debug, Default)]
pub struct Posting {
    /// Advertiser → nanos.
    pub advertisers: BTreeMap<AdvertiserId, i64>,
    /// Campaign → nanos.
    pub campaigns: BTreeMap<CampaignId, i64>,
    /// (campaign, day in its zone) → events and nanos.
    pub days: BTreeMap<(CampaignId, NaiveDate), (u64, i64)>,
    /// (campaign, UTC hour, type) → events and nanos.
    pub hours: BTreeMap<(CampaignId, i64, &'static str), (u64, i64)>,
    /// Campaign → counts.
    pub kpis: BTreeMap<CampaignId, Kpis>,
    /// (campaign, type) → how they were booked.
    pub totals: BTreeMap<(CampaignId, &'static str), Sums>,
    /// Type → how they were booked.
    pub by_kind: BTreeMap<&'static str, Sums>,
    /// Indices into [`Batch::uniques`] of the ids that are charged now.
    pub charges: Vec<usize>,
    /// New reasons; for `daily_budget` with the day it holds for.
    pub stops: Vec<(CampaignId, Reason, Option<NaiveDate>)>,
    /// Advertisers whose balance is used up now.
    pub exhausted: Vec<AdvertiserId>,
}

#[derive(Default)]
struct Share {
    cost: i128,
    rows: BTreeMap<(Quarter, &'static str), Tally>,
    charges: Vec<usize>,
}

/// Decides how every event of `batch` is booked.
///
/// `duplicate[i]` says that the id of `batch.uniques[i]` was charged before, or earlier in this
/// batch. Campaigns without an account are unattributed. `now` tells which day is the current.
#[must_use]
pub fn post(
    batch: &Batch,
    duplicate: &[bool],
    accounts: &BTreeMap<CampaignId, Account>,
    advertisers: &BTreeMap<AdvertiserId, AdvertiserAccount>,
    now: Micros,
) -> Posting {
    let mut posting = Posting::default();
    let mut shares: BTreeMap<CampaignId, Share> = BTreeMap::new();
    for group in &batch.groups {
        let tally = Tally { events: group.events, nanos: i128::from(group.cost.0) };
        if accounts.contains_key(&group.campaign) {
            shares.entry(group.campaign).or_default().add(group.quarter, group.kind, tally);
        } else {
            posting.book(group.campaign, group.kind, |sums| &mut sums.unattributed, tally);
        }
    }
    for (i, unique) in batch.uniques.iter().enumerate() {
        let tally = Tally { events: 1, nanos: i128::from(unique.cost.0) };
        if !accounts.contains_key(&unique.campaign) {
            posting.book(unique.campaign, unique.kind, |sums| &mut sums.unattributed, tally);
        } else if duplicate.get(i).copied().unwrap_or(false) {
            posting.book(unique.campaign, unique.kind, |sums| &mut sums.duplicate, tally);
        } else {
            let share = shares.entry(unique.campaign).or_default();
            share.add(unique.quarter, unique.kind, tally);
            share.charges.push(i);
        }
    }
    for (campaign, share) in shares {
        let Some(account) = accounts.get(&campaign) else { continue };
        match posting.room(account, advertisers, &share) {
            Some(cost) => posting.charge(campaign, account, share, cost, now),
            None => posting.overflow(campaign, account, &share),
        }
    }
    for (id, added) in &posting.advertisers {
        let Some(account) = advertisers.get(id) else { continue };
        let spent = i128::from(account.spent) + i128::from(*added);
        if !account.stopped && reached(spent, account.balance) {
            posting.exhausted.push(*id);
        }
    }
    posting.charges.sort_unstable();
    posting
}

/// Whether `spent` nanos have reached a limit in micros. A limit of 0 is reached at once.
fn reached(spent: i128, limit_micros: Option<i64>) -> bool {
    limit_micros.is_some_and(|limit| spent >= i128::from(limit) * 1_000)
}

impl AdvertiserAccount {
    /// Whether the balance is used up at this moment.
    #[must_use]
    pub fn exhausted(&self) -> bool {
        reached(i128::from(self.spent), self.balance)
    }
}

impl Account {
    /// Reasons that the budgets give at this moment, apart from those it has.
    #[must_use]
    pub fn due(&self) -> BTreeSet<Reason> {
        let mut due = BTreeSet::new();
        if reached(i128::from(self.charged) + i128::from(self.adjusted), self.total_budget) {
            due.insert(Reason::TotalBudget);
        }
        if reached(i128::from(self.today.charged) + i128::from(self.today.adjusted), self.daily_budget) {
            due.insert(Reason::DailyBudget);
        }
        due
    }
}

impl Share {
    fn add(&mut self, quarter: Quarter, kind: &'static str, tally: Tally) {
        self.cost += tally.nanos;
        self.rows.entry((quarter, kind)).or_default().add(tally);
    }
}

impl Posting {
    fn book(
        &mut self,
        campaign: CampaignId,
        kind: &'static str,
        column: impl Fn(&mut Sums) -> &mut Tally,
        tally: Tally,
    ) {
        column(self.totals.entry((campaign, kind)).or_default()).add(tally);
        column(self.by_kind.entry(kind).or_default()).add(tally);
    }

    /// The share's cost, when every account it touches has room for it.
    fn room(
        &self,
        account: &Account,
        advertisers: &BTreeMap<AdvertiserId, AdvertiserAccount>,
        share: &Share,
    ) -> Option<i64> {
        let cost = i64::try_from(share.cost).ok()?;
        let charged = account.charged.checked_add(cost)?;
        charged.checked_add(account.adjusted)?;
        let pending = self.advertisers.get(&account.advertiser).copied().unwrap_or(0).checked_add(cost)?;
        advertisers.get(&account.advertiser)?.spent.checked_add(pending)?;
        Some(cost)
    }

    fn charge(&mut self, campaign: CampaignId, account: &Account, share: Share, cost: i64, now: Micros) {
        *self.advertisers.entry(account.advertiser).or_default() += cost;
        self.campaigns.insert(campaign, cost);
        let kpis = self.kpis.entry(campaign).or_default();
        for ((_, kind), tally) in &share.rows {
            match *kind {
                "visit" => kpis.visits += tally.events,
                "impression" => kpis.impressions += tally.events,
                "click" => kpis.clicks += tally.events,
                "conversion" => kpis.conversions += tally.events,
                _ => {}
            }
        }
        for ((quarter, kind), tally) in share.rows {
            // Each is at most the share's cost, which fits.
            let nanos = i64::try_from(tally.nanos).unwrap_or(i64::MAX);
            let hour = self.hours.entry((campaign, quarter_hour(quarter), kind)).or_default();
            *hour = (hour.0 + tally.events, hour.1 + nanos);
            let day = self.days.entry((campaign, day_of(quarter_start(quarter), account.zone))).or_default();
            *day = (day.0 + tally.events, day.1 + nanos);
            self.book(campaign, kind, |sums| &mut sums.charged, tally);
        }
        self.charges.extend(share.charges);
        let today = day_of(now, account.zone);
        let mut after = account.clone();
        after.charged += cost;
        let added_today = self.days.get(&(campaign, today)).map_or(0, |day| day.1);
        after.today.charged = after.today.charged.saturating_add(added_today);
        for reason in after.due().difference(&account.reasons) {
            self.stops.push((campaign, *reason, (*reason == Reason::DailyBudget).then_some(today)));
        }
    }

    fn overflow(&mut self, campaign: CampaignId, account: &Account, share: &Share) {
        for ((_, kind), tally) in &share.rows {
            self.book(campaign, kind, |sums| &mut sums.unattributed, *tally);
        }
        if !account.reasons.contains(&Reason::Overflow) {
            self.stops.push((campaign, Reason::Overflow, None));
        }
    }

    /// All events of the range, however booked.
    #[must_use]
    pub fn sums(&self) -> Sums {
        let mut all = Sums::default();
        self.by_kind.values().for_each(|sums| all.add(sums));
        all
    }
}
