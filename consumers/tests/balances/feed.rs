//! Snapshots: complete through a time that only goes forward, loaded anew when they must be.

use crate::support::{Desk, LEAD, NOON, who};
use penstock::ledger::Ledger;
use penstock::pricing::{Priced, PricedAs};
use penstock::settings::BalancesSettings;
use penstock::telemetry::BalancesMetrics;
use penstock::time::{Clock, Micros};
use penstock_consumers::catalogue::{SnapshotFeed, parse};
use std::sync::Arc;
use std::time::Duration;

const FILE: &str = r#"{"advertisers": [{"id": 1, "name": "a", "currency": "EUR"}],
"campaigns": [{"id": 10, "name": "c", "advertiser_id": 1, "cpc_micros": 2}], "tags": {"x": 10}}"#;

fn click(at: Micros) -> Priced<'static> {
    Priced { time: at, received: at, campaign_id: None, tag: Some("x"), priced_as: PricedAs::Click, price_micros: None }
}

#[tokio::test]
async fn a_snapshot_prices_everything_up_to_the_time_it_names() {
    let desk = Desk::with(&parse(FILE).unwrap()).await;
    let settings = BalancesSettings { known_lead: LEAD, ..BalancesSettings::default() };
    let mut feed =
        SnapshotFeed::new(desk.ledger.clone(), Arc::new(desk.clock.clone()), &settings, BalancesMetrics::default());
    let newest = feed.subscribe();
    assert_eq!(newest.borrow().complete_through, Micros::MIN);
    feed.refresh().await.unwrap();
    let first = Arc::clone(&newest.borrow());
    assert_eq!(first.complete_through, NOON.plus(LEAD / 2));
    // An import that this snapshot has not seen is known only after the time it names.
    let dearer = parse(&FILE.replace("\"cpc_micros\": 2", "\"cpc_micros\": 5")).unwrap();
    let report = desk.ledger.import(&dearer, LEAD, &who()).await.unwrap();
    let known = report.known_from.unwrap();
    assert!(known > first.complete_through);
    desk.clock.advance(Duration::from_millis(500));
    feed.refresh().await.unwrap();
    let second = Arc::clone(&newest.borrow());
    assert_eq!(second.complete_through, desk.clock.now().plus(LEAD / 2));
    let upto = first.complete_through;
    assert_eq!(first.price(&click(upto)), second.price(&click(upto)), "both price alike what both know");
    assert_eq!(second.price(&click(known)).unwrap().cost.0, 5_000);
    // Nothing has changed: the same maps, a later time. A clock set back moves nothing back.
    desk.clock.set(NOON);
    feed.refresh().await.unwrap();
    let third = Arc::clone(&newest.borrow());
    assert!(Arc::ptr_eq(&second.tags, &third.tags));
    assert_eq!(third.complete_through, second.complete_through);
}

/// Follows tokio's paused time.
struct Paused(tokio::time::Instant);

impl Clock for Paused {
    fn now(&self) -> Micros {
        NOON.plus(self.0.elapsed())
    }
}

#[tokio::test(start_paused = true)]
async fn an_import_returns_when_its_prices_hold() {
    let clock = Paused(tokio::time::Instant::now());
    let known_from = Some(NOON.plus(LEAD));
    let report = penstock::ledger::ImportReport { known_from, ..Default::default() };
    penstock_consumers::catalogue::wait_known(&report, &clock).await;
    assert!(clock.now() >= NOON.plus(LEAD) && clock.now() < NOON.plus(LEAD + Duration::from_millis(50)));
}
