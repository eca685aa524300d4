//! Budgets: reached to the nano, by the day of the campaign's own zone.

use crate::conformance::books_balance;
use crate::support::{Bench, NOON, batch, catalogue};
use penstock::ledger::{Catalogue, Ledger, Reason, Status};
use penstock::money::Nanos;
use penstock::time::Micros;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);

fn with(change: impl Fn(&mut Catalogue)) -> Catalogue {
    let mut catalogue = catalogue();
    change(&mut catalogue);
    catalogue
}

async fn reasons<L: Ledger>(bench: &Bench<L>, id: u32) -> Vec<Reason> {
    bench.ledger.campaign(id).await.unwrap().unwrap().reasons
}

pub async fn a_total_budget_stops_when_spent_reaches_it<L: Ledger>(bench: Bench<L>) {
    bench.import(&with(|c| c.campaigns[0].total_budget_micros = Some(5))).await;
    let below = bench.apply(0, &batch(&[(11, "impression", 4_999, NOON)])).await;
    assert_eq!((below.stopped, reasons(&bench, 11).await), (vec![], vec![]));
    let at = bench.apply(1, &batch(&[(11, "impression", 1, NOON)])).await;
    assert_eq!(at.stopped, vec![(11, Reason::TotalBudget)]);
    let view = bench.ledger.campaign(11).await.unwrap().unwrap();
    assert_eq!((view.status, view.overspend_nanos), (Status::Stopped, Nanos::ZERO));
    assert_eq!(reasons(&bench, 12).await, vec![]);
    books_balance(&bench).await;
}

pub async fn a_budget_of_nothing_is_reached_at_once<L: Ledger>(bench: Bench<L>) {
    bench.import(&with(|c| c.campaigns[0].daily_budget_micros = Some(0))).await;
    assert_eq!(reasons(&bench, 11).await, vec![Reason::DailyBudget]);
}

pub async fn events_of_a_stopped_campaign_are_charged_as_overspend<L: Ledger>(bench: Bench<L>) {
    bench.import(&with(|c| c.campaigns[0].total_budget_micros = Some(5))).await;
    bench.apply(0, &batch(&[(11, "impression", 7_000, NOON)])).await;
    let more = bench.apply(1, &batch(&[(11, "impression", 1_500, NOON)])).await;
    assert_eq!((more.stopped, more.sums.charged.nanos), (vec![], 1_500));
    let view = bench.ledger.campaign(11).await.unwrap().unwrap();
    assert_eq!((view.spent_nanos, view.overspend_nanos), (Nanos(8_500), Nanos(3_500)));
    assert_eq!(bench.one("SELECT count(*) FROM stops").await, 1);
}

pub async fn an_advertisers_balance_stops_all_its_campaigns<L: Ledger>(bench: Bench<L>) {
    bench.import(&with(|c| c.advertisers[0].balance_micros = Some(10))).await;
    bench.apply(0, &batch(&[(11, "impression", 6_000, NOON)])).await;
    assert_eq!(reasons(&bench, 11).await, vec![]);
    let crossed = bench.apply(1, &batch(&[(12, "impression", 4_000, NOON), (21, "visit", 9_000_000, NOON)])).await;
    assert_eq!(crossed.exhausted, vec![1]);
    assert_eq!(reasons(&bench, 11).await, vec![Reason::Balance]);
    assert_eq!(reasons(&bench, 12).await, vec![Reason::Balance]);
    assert_eq!(reasons(&bench, 21).await, vec![]);
    let stopped = bench.ledger.stopped().await.unwrap();
    assert_eq!(stopped.iter().map(|s| s.campaign_id).collect::<Vec<_>>(), vec![11, 12]);
    assert_eq!(bench.one("SELECT count(*) FROM stops").await, 1);
    assert_eq!(bench.apply(3, &batch(&[(11, "visit", 1, NOON)])).await.exhausted, Vec::<u32>::new());
}

fn at(text: &str) -> Micros {
    Micros(chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp_micros())
}

fn daily(zone: &str, micros: i64) -> Catalogue {
    with(|c| {
        c.campaigns[0].daily_budget_micros = Some(micros);
        c.campaigns[0].time_zone = zone.to_owned();
    })
}

pub async fn a_daily_budget_is_over_at_the_campaigns_midnight<L: Ledger>(bench: Bench<L>) {
    bench.import(&daily("Asia/Tokyo", 5)).await; // NOON is 21:00 there
    bench.apply(0, &batch(&[(11, "impression", 5_000, NOON)])).await;
    assert_eq!(reasons(&bench, 11).await, vec![Reason::DailyBudget]);
    let midnight = bench.ledger.roll_days().await.unwrap().unwrap();
    assert_eq!(midnight, NOON.plus(3 * HOUR));
    bench.clock.set(midnight.minus(Duration::from_micros(1)));
    bench.ledger.roll_days().await.unwrap();
    assert_eq!(reasons(&bench, 11).await, vec![Reason::DailyBudget]);
    bench.clock.set(midnight);
    bench.ledger.roll_days().await.unwrap();
    let view = bench.ledger.campaign(11).await.unwrap().unwrap();
    assert_eq!((view.status, view.spent_today_nanos, view.spent_nanos), (Status::Serving, Nanos(0), Nanos(5_000)));
    // A new day, a new budget.
    let again = bench.apply(1, &batch(&[(11, "impression", 5_000, midnight)])).await;
    assert_eq!(again.stopped, vec![(11, Reason::DailyBudget)]);
    books_balance(&bench).await;
}

pub async fn late_events_never_cause_a_daily_stop<L: Ledger>(bench: Bench<L>) {
    bench.import(&daily("UTC", 5)).await;
    let yesterday = NOON.minus(24 * HOUR);
    let late = bench.apply(0, &batch(&[(11, "impression", 9_000, yesterday)])).await;
    assert_eq!((late.stopped, reasons(&bench, 11).await), (vec![], vec![]));
    let both = bench.apply(1, &batch(&[(11, "impression", 4_000, yesterday), (11, "visit", 4_999, NOON)])).await;
    assert_eq!(both.stopped, vec![]);
    let view = bench.ledger.campaign(11).await.unwrap().unwrap();
    assert_eq!((view.spent_nanos, view.spent_today_nanos), (Nanos(17_999), Nanos(4_999)));
    assert_eq!(bench.apply(3, &batch(&[(11, "visit", 1, NOON)])).await.stopped, vec![(11, Reason::DailyBudget)]);
}

pub async fn a_day_that_was_used_up_ahead_stops_at_its_midnight<L: Ledger>(bench: Bench<L>) {
    bench.import(&daily("UTC", 5)).await;
    bench.clock.set(at("2026-01-01T23:30:00Z"));
    let tomorrow = at("2026-01-02T00:10:00Z"); // within the hour that an event may lie ahead
    let ahead = bench.apply(0, &batch(&[(11, "impression", 5_000, tomorrow)])).await;
    assert_eq!((ahead.stopped, reasons(&bench, 11).await), (vec![], vec![]));
    bench.clock.set(bench.ledger.roll_days().await.unwrap().unwrap());
    bench.ledger.roll_days().await.unwrap();
    assert_eq!(reasons(&bench, 11).await, vec![Reason::DailyBudget]);
}

pub async fn days_follow_the_zones_change_of_clocks<L: Ledger>(bench: Bench<L>) {
    bench.import(&daily("Europe/Berlin", 5)).await;
    // The 29th of March 2026 has 23 hours there: 23:00Z to 22:00Z.
    for (offset, time) in ["2026-03-28T22:59:59Z", "2026-03-28T23:00:00Z", "2026-03-29T21:59:59Z"].iter().enumerate() {
        bench.clock.set(at(time));
        bench.apply(offset as u64, &batch(&[(11, "impression", 2_000, at(time))])).await;
    }
    let day = |day: &str| format!("SELECT charged_nanos FROM campaign_days WHERE campaign_id = 11 AND day = '{day}'");
    assert_eq!(bench.one(&day("2026-03-28")).await, 2_000);
    assert_eq!(bench.one(&day("2026-03-29")).await, 4_000);
    bench.apply(3, &batch(&[(11, "visit", 1_000, at("2026-03-29T21:59:59Z"))])).await;
    assert_eq!(reasons(&bench, 11).await, vec![Reason::DailyBudget]);
    assert_eq!(bench.ledger.roll_days().await.unwrap(), Some(at("2026-03-29T22:00:00Z")));
    bench.clock.set(at("2026-03-29T22:00:00Z"));
    assert_eq!(bench.ledger.roll_days().await.unwrap(), Some(at("2026-03-30T22:00:00Z")));
    assert_eq!(reasons(&bench, 11).await, vec![]);
}

pub async fn a_half_hour_zone_splits_its_hours_at_midnight<L: Ledger>(bench: Bench<L>) {
    bench.import(&daily("Asia/Kathmandu", 5_000)).await; // midnight at 18:15Z
    let events = [(11, "visit", 1, at("2026-01-01T18:14:59Z")), (11, "visit", 10, at("2026-01-01T18:15:00Z"))];
    bench.apply(0, &batch(&events)).await;
    assert_eq!(bench.one("SELECT count(*) FROM ledger").await, 1);
    let days = bench.oracle.ask("SELECT charged_nanos FROM campaign_days ORDER BY day").await;
    assert_eq!(days, vec![vec![1], vec![10]]);
    books_balance(&bench).await;
}
