//! Imports: all or nothing, versioned, and the same again for nothing.

use crate::support::{Bench, LEAD, NOON, batch, catalogue, who};
use penstock::ledger::{Catalogue, Ledger, LedgerError, Reason};
use penstock::pricing::{Priced, PricedAs, Snapshot};
use penstock::time::Micros;
use std::time::Duration;

pub async fn an_import_comes_back_in_an_export<L: Ledger>(bench: Bench<L>) {
    assert_eq!(bench.ledger.export().await.unwrap(), Catalogue::default());
    let mut file = catalogue();
    file.campaigns[1].cpm_micros = None;
    file.campaigns[1].total_budget_micros = Some(0);
    file.campaigns[2].time_zone = "America/New_York".into();
    file.advertisers[1].balance_micros = Some(i64::MAX / 1_000);
    file.tags.insert("quote\" back\\slash é\n".into(), 11);
    bench.import(&file).await;
    assert_eq!(bench.ledger.export().await.unwrap(), file);
}

pub async fn the_same_import_again_changes_nothing<L: Ledger>(bench: Bench<L>) {
    bench.import(&catalogue()).await;
    let before = bench.ledger.load_catalogue().await.unwrap().0;
    let report = bench.ledger.import(&catalogue(), LEAD, &who("ana")).await.unwrap();
    assert!(!report.changed());
    assert_eq!((report.version, report.known_from), (before, None));
    assert_eq!(bench.one("SELECT count(*) FROM catalogue_versions").await, 1);
    assert_eq!(bench.one("SELECT count(*) FROM audit").await, 1);
    // A new budget is a change, yet no new price.
    let mut file = catalogue();
    file.campaigns[0].total_budget_micros = Some(1);
    let report = bench.ledger.import(&file, LEAD, &who("ana")).await.unwrap();
    assert_eq!((report.campaigns_changed, report.known_from), (1, None));
}

fn click(tag: &str, time: Micros, received: Micros) -> Priced<'_> {
    Priced { time, received, campaign_id: None, tag: Some(tag), priced_as: PricedAs::Click, price_micros: None }
}

pub async fn prices_hold_by_versions<L: Ledger>(bench: Bench<L>) {
    let first = bench.ledger.import(&catalogue(), LEAD, &who("ana")).await.unwrap();
    assert_eq!(first.known_from, Some(NOON.plus(LEAD)));
    bench.clock.advance(Duration::from_secs(100));
    let mut file = catalogue();
    file.campaigns[0].cpc_micros = Some(7);
    file.tags.remove("b");
    file.tags.insert("c".into(), 11);
    file.tags.insert("d".into(), 12);
    let second = bench.ledger.import(&file, LEAD, &who("ana")).await.unwrap();
    assert_eq!((second.rates_changed, second.tags_added, second.tags_moved, second.tags_closed), (1, 1, 1, 1));
    let known = second.known_from.unwrap();
    let (version, snapshot) = bench.ledger.load_catalogue().await.unwrap();
    assert_eq!((version, bench.ledger.catalogue_version().await.unwrap()), (2, 2));
    let price = |snapshot: &Snapshot, tag: &str, time, received| {
        let price = snapshot.price(&click(tag, time, received)).unwrap();
        (price.campaign, price.cost.0)
    };
    let before = known.minus(Duration::from_micros(1));
    assert_eq!(price(&snapshot, "a", NOON, NOON), (0, 0), "not known yet");
    assert_eq!(price(&snapshot, "a", before, before), (11, 3_000_000));
    assert_eq!(price(&snapshot, "a", known, known), (11, 7_000));
    assert_eq!(price(&snapshot, "a", before, known), (11, 3_000_000), "an old event keeps its old rate");
    assert_eq!(price(&snapshot, "b", known, known), (0, 0), "closed");
    assert_eq!(price(&snapshot, "b", before, known), (12, 3_000_000), "still open at its time");
    assert_eq!(price(&snapshot, "c", known, known), (11, 7_000), "moved");
    assert_eq!(price(&snapshot, "d", Micros(0), known), (12, 3_000_000), "a first version holds since ever");
    assert_eq!(bench.ledger.export().await.unwrap(), file);
    // A tag that was closed opens again, from then on.
    bench.clock.advance(Duration::from_secs(100));
    let third = bench.ledger.import(&catalogue(), LEAD, &who("ana")).await.unwrap();
    let (_, snapshot) = bench.ledger.load_catalogue().await.unwrap();
    let reopened = third.known_from.unwrap();
    assert_eq!(price(&snapshot, "b", reopened, reopened), (12, 3_000_000));
    assert_eq!(price(&snapshot, "b", known, reopened), (0, 0));
}

pub async fn a_refused_import_leaves_everything_as_it_was<L: Ledger>(bench: Bench<L>) {
    bench.import(&catalogue()).await;
    bench.apply(0, &batch(&[(11, "visit", 1, NOON)])).await;
    let mut currency = catalogue();
    currency.advertisers[0].name = "renamed".into();
    currency.advertisers[1].currency = "USD".into();
    let mut moved = catalogue();
    moved.advertisers[0].name = "renamed".into();
    moved.campaigns[0].advertiser_id = 2;
    let mut price = catalogue();
    price.advertisers[0].name = "renamed".into();
    price.campaigns[2].cpa_micros = Some(i64::MAX);
    for refused in [currency, moved, price] {
        let result = bench.ledger.import(&refused, LEAD, &who("ana")).await;
        assert!(matches!(result, Err(LedgerError::Refused(_))), "{result:?}");
        assert_eq!(bench.ledger.export().await.unwrap(), catalogue());
    }
    assert_eq!(bench.one("SELECT count(*) FROM audit").await, 1);
}

pub async fn an_import_applies_its_budgets_at_once<L: Ledger>(bench: Bench<L>) {
    bench.import(&catalogue()).await;
    bench.apply(0, &batch(&[(11, "visit", 1_000, NOON), (21, "visit", 1_000, NOON)])).await;
    let mut file = catalogue();
    file.campaigns[0].total_budget_micros = Some(1);
    file.advertisers[1].balance_micros = Some(1);
    bench.import(&file).await;
    let stopped = bench.ledger.stopped().await.unwrap();
    let reasons: Vec<_> = stopped.iter().map(|s| (s.campaign_id, s.stops[0].reason)).collect();
    assert_eq!(reasons, vec![(11, Reason::TotalBudget), (21, Reason::Balance)]);
    bench.import(&catalogue()).await;
    assert_eq!(bench.ledger.stopped().await.unwrap(), vec![]);
}
