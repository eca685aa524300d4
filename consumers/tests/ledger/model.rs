//! Random histories against a model of a few lines: duplicates, replays, writes that are cut
//! off between two steps, restarts, budgets, days, operators and a publisher that dies.
//!
//! The model knows nothing of SQL, of quarters or of time zone tables: its campaigns live at
//! +05:45 by arithmetic.

use crate::conformance::books_balance;
use crate::support::{Bench, NOON, catalogue, log, who};
use penstock::ledger::{Batch, Budget, Grouper, Ledger, Outcome, Reason, StateChange, Unique, quarter};
use penstock::log::Range;
use penstock::money::Nanos;
use penstock::time::{Clock, Micros};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

const CAMPAIGNS: [u32; 3] = [11, 12, 21];
const KINDS: [&str; 4] = ["impression", "visit", "click", "conversion"];
const DAY: i64 = 86_400_000_000;
const KATHMANDU: i64 = 20_700_000_000;

#[derive(Clone, Debug)]
struct Event {
    campaign: u32,
    kind: usize,
    id: u8,
    cost: i64,
    /// Minutes before or after the clock.
    minutes: i64,
}

#[derive(Clone, Debug)]
enum Op {
    /// A range; the write is dropped after so many polls first, when it has not ended by then.
    Write {
        events: Vec<Event>,
        poison: u8,
        cut: Option<u8>,
    },
    /// The last range once more.
    Again,
    Restart,
    Stop(usize),
    Resume(usize),
    Total(usize, Option<i64>),
    Daily(usize, Option<i64>),
    Balance(bool, Option<i64>),
    Hours(u8),
    /// The publisher claims and appends; `true`: it lives to mark.
    Publish(bool),
}

fn event() -> impl Strategy<Value = Event> {
    let campaign = prop_oneof![4 => Just(11), 4 => Just(12), 4 => Just(21), 1 => Just(0), 1 => Just(404)];
    (campaign, 0..KINDS.len(), 0..12u8, 0..3_000i64, -2_000..60i64).prop_map(|(campaign, kind, id, cost, minutes)| {
        // What names no campaign has no price.
        Event { campaign, kind, id, cost: if campaign == 0 { 0 } else { cost }, minutes }
    })
}

fn op() -> impl Strategy<Value = Op> {
    let micros = || prop::option::of(0..12i64);
    prop_oneof![
        6 => (prop::collection::vec(event(), 0..12), 0..2u8, prop::option::of(0..40u8))
            .prop_map(|(events, poison, cut)| Op::Write { events, poison, cut }),
        2 => Just(Op::Again),
        1 => Just(Op::Restart),
        1 => (0..3usize).prop_map(Op::Stop),
        1 => (0..3usize).prop_map(Op::Resume),
        1 => (0..3usize, micros()).prop_map(|(c, b)| Op::Total(c, b)),
        1 => (0..3usize, micros()).prop_map(|(c, b)| Op::Daily(c, b)),
        1 => (any::<bool>(), micros()).prop_map(|(a, b)| Op::Balance(a, b)),
        2 => (1..20u8).prop_map(Op::Hours),
        2 => any::<bool>().prop_map(Op::Publish),
    ]
}

#[derive(Default)]
struct Model {
    charged: Vec<(u32, &'static str, i64, Micros)>,
    duplicates: (u64, i64),
    unattributed: (u64, i64),
    poison: u64,
    ids: BTreeSet<(&'static str, u8)>,
    total: BTreeMap<u32, i64>,
    daily: BTreeMap<u32, i64>,
    balance: BTreeMap<u32, i64>,
    operator: BTreeSet<u32>,
    last: Option<(Range, Batch)>,
    next: u64,
}

impl Model {
    fn spent(&self, of: impl Fn(u32, Micros) -> bool) -> i64 {
        self.charged.iter().filter(|(c, _, _, t)| of(*c, *t)).map(|(_, _, cost, _)| cost).sum()
    }

    fn reasons(&self, campaign: u32, now: Micros) -> Vec<Reason> {
        let day = |t: Micros| (t.0 + KATHMANDU).div_euclid(DAY);
        let reached = |budget: Option<&i64>, spent: i64| budget.is_some_and(|b| spent >= b * 1_000);
        let total = self.spent(|c, _| c == campaign);
        let today = self.spent(|c, t| c == campaign && day(t) == day(now));
        let payer = campaign / 10;
        [
            (Reason::Operator, self.operator.contains(&campaign)),
            (Reason::TotalBudget, reached(self.total.get(&campaign), total)),
            (Reason::Balance, reached(self.balance.get(&payer), self.spent(|c, _| c / 10 == payer))),
            (Reason::DailyBudget, reached(self.daily.get(&campaign), today)),
        ]
        .into_iter()
        .filter_map(|(reason, holds)| holds.then_some(reason))
        .collect()
    }

    fn book(&mut self, events: &[Event], poison: u8, now: Micros) {
        for e in events {
            let (kind, time) = (KINDS[e.kind], at(e, now));
            if !CAMPAIGNS.contains(&e.campaign) {
                self.unattributed = (self.unattributed.0 + 1, self.unattributed.1 + e.cost);
            } else if e.kind >= 2 && !self.ids.insert((kind, e.id)) {
                self.duplicates = (self.duplicates.0 + 1, self.duplicates.1 + e.cost);
            } else {
                self.charged.push((e.campaign, kind, e.cost, time));
            }
        }
        self.poison += u64::from(poison);
    }
}

fn at(event: &Event, now: Micros) -> Micros {
    Micros(now.0 + event.minutes * 60_000_000)
}

fn batch(events: &[Event], poison: u8, now: Micros) -> Batch {
    let mut grouper = Grouper::new();
    for e in events {
        let (kind, time, cost) = (KINDS[e.kind], at(e, now), Nanos(e.cost));
        if e.kind >= 2 && e.campaign != 0 {
            let (id, campaign, quarter) = ([e.id; 16], e.campaign, quarter(time));
            grouper.add_unique(Unique { id, kind, campaign, quarter, received: now, cost });
        } else {
            grouper.add(e.campaign, time, kind, cost, now);
        }
    }
    grouper.finish(u64::from(poison))
}

/// Polls a future so often, then drops it: the process died between two of its steps.
async fn cut<F: Future>(after: u8, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = after;
    std::future::poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending if left == 0 => Poll::Ready(None),
        Poll::Pending => {
            left -= 1;
            Poll::Pending
        }
    })
    .await
}

/// Runs a history on a ledger and on the model, comparing them after every step.
async fn history<L: Ledger>(mut bench: Bench<L>, ops: &[Op]) {
    let mut file = catalogue();
    file.campaigns.iter_mut().for_each(|c| c.time_zone = "Asia/Kathmandu".into());
    bench.import(&file).await;
    bench.clock.set(NOON);
    let (mut model, mut told) = (Model::default(), Vec::<StateChange>::new());
    for op in ops {
        step(&mut bench, &mut model, &mut told, op).await;
        compare(&bench, &model).await;
    }
    publish(&bench, &mut told, true).await;
    compare_told(&bench, &told).await;
    books_balance(&bench).await;
}

async fn step<L: Ledger>(bench: &mut Bench<L>, model: &mut Model, told: &mut Vec<StateChange>, op: &Op) {
    let now = bench.clock.now();
    let ledger = bench.ledger.clone();
    let ana = who("ana");
    match op {
        Op::Write { events, poison, cut: after } => {
            let batch = batch(events, *poison, now);
            let range = Range { from: model.next, to: model.next + batch.events() + batch.poison };
            if range.is_empty() {
                return;
            }
            if let Some(after) = after {
                let _ = cut(*after, ledger.apply(&log(0), range, &batch)).await;
            }
            ledger.apply(&log(0), range, &batch).await.unwrap();
            model.book(events, *poison, now);
            (model.next, model.last) = (range.to, Some((range, batch)));
        }
        Op::Again => {
            if let Some((range, batch)) = &model.last {
                let again = ledger.apply(&log(0), *range, batch).await.unwrap();
                assert_eq!(again.outcome, Outcome::AlreadyBooked);
            }
        }
        Op::Restart => bench.ledger = (bench.reopen)().await,
        Op::Stop(c) => {
            ledger.stop(CAMPAIGNS[*c], &ana).await.unwrap();
            model.operator.insert(CAMPAIGNS[*c]);
        }
        Op::Resume(c) => {
            ledger.resume(CAMPAIGNS[*c], &ana).await.unwrap();
            model.operator.remove(&CAMPAIGNS[*c]);
        }
        Op::Total(c, budget) => {
            let change = Budget { total_budget_micros: Some(*budget), ..Budget::default() };
            ledger.set_budget(CAMPAIGNS[*c], &change, &ana).await.unwrap();
            set(&mut model.total, CAMPAIGNS[*c], *budget);
        }
        Op::Daily(c, budget) => {
            let change = Budget { daily_budget_micros: Some(*budget), ..Budget::default() };
            ledger.set_budget(CAMPAIGNS[*c], &change, &ana).await.unwrap();
            set(&mut model.daily, CAMPAIGNS[*c], *budget);
        }
        Op::Balance(second, balance) => {
            let advertiser = 1 + u32::from(*second);
            ledger.set_balance(advertiser, *balance, &ana).await.unwrap();
            set(&mut model.balance, advertiser, *balance);
        }
        Op::Hours(hours) => {
            bench.clock.advance(Duration::from_secs(u64::from(*hours) * 3_600));
            ledger.roll_days().await.unwrap();
        }
        Op::Publish(lives) => {
            publish(bench, told, *lives).await;
            compare_told(bench, told).await;
        }
    }
}

fn set(budgets: &mut BTreeMap<u32, i64>, id: u32, budget: Option<i64>) {
    match budget {
        Some(budget) => drop(budgets.insert(id, budget)),
        None => drop(budgets.remove(&id)),
    }
}

async fn publish<L: Ledger>(bench: &Bench<L>, told: &mut Vec<StateChange>, lives: bool) {
    let claimed = bench.ledger.claim(1_000).await.unwrap();
    let versions: Vec<u64> = claimed.iter().map(|c| c.version).collect();
    told.extend(claimed);
    if lives {
        bench.ledger.published(&versions).await.unwrap();
    }
}

/// A reader of the log knows exactly what the ledger says.
async fn compare_told<L: Ledger>(bench: &Bench<L>, told: &[StateChange]) {
    let mut held: BTreeMap<u32, &StateChange> = BTreeMap::new();
    for change in told {
        match held.get(&change.campaign_id) {
            Some(old) if old.version == change.version => assert_eq!(**old, *change),
            Some(old) if old.version > change.version => {}
            _ => drop(held.insert(change.campaign_id, change)),
        }
    }
    for id in CAMPAIGNS {
        let view = bench.ledger.campaign(id).await.unwrap().unwrap();
        assert_eq!(held[&id].reasons, view.reasons, "campaign {id}");
        assert_eq!(held[&id].serving, view.reasons.is_empty());
    }
}

async fn compare<L: Ledger>(bench: &Bench<L>, model: &Model) {
    let now = bench.clock.now();
    for id in CAMPAIGNS {
        let view = bench.ledger.campaign(id).await.unwrap().unwrap();
        assert_eq!(view.spent_nanos.0, model.spent(|c, _| c == id), "campaign {id}");
        assert_eq!(view.reasons, model.reasons(id, now), "campaign {id} at {now}");
        let count = |kind: &str| model.charged.iter().filter(|(c, k, ..)| *c == id && *k == kind).count() as u64;
        let kpis = [view.kpis.impressions, view.kpis.visits, view.kpis.clicks, view.kpis.conversions];
        assert_eq!(kpis, KINDS.map(count), "campaign {id}");
    }
    let books = bench.ledger.books().await.unwrap();
    let Some(partition) = books.partitions.first() else { return assert_eq!(model.next, 0) };
    let mut sums = penstock::ledger::Sums::default();
    partition.by_campaign.iter().for_each(|c| sums.add(&c.sums));
    assert_eq!((partition.position, partition.poison), (model.next, model.poison));
    assert_eq!(
        (sums.charged.events, sums.charged.nanos),
        (model.charged.len() as u64, model.spent(|_, _| true).into())
    );
    assert_eq!((sums.duplicate.events, sums.duplicate.nanos), (model.duplicates.0, model.duplicates.1.into()));
    assert_eq!(
        (sums.unattributed.events, sums.unattributed.nanos),
        (model.unattributed.0, model.unattributed.1.into())
    );
}

fn histories() -> impl Strategy<Value = Vec<Op>> {
    prop::collection::vec(op(), 1..24)
}

fn on<L: Ledger>(bench: impl Future<Output = Bench<L>>, ops: &[Op]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { history(bench.await, ops).await });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 200, ..ProptestConfig::default() })]
    #[test]
    fn a_random_history_ends_like_the_model(ops in histories()) {
        on(crate::sqlite::bench(), &ops);
    }
}

#[cfg(feature = "cluster")]
proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 50, ..ProptestConfig::default() })]
    #[test]
    fn a_random_history_on_mariadb_ends_like_the_model(ops in histories()) {
        on(crate::mariadb::bench(), &ops);
    }
}
