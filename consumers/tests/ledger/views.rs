//! What people read: every page of it in order, nothing left out between two pages, nothing else in it.

use crate::support::{Bench, NOON, batch, catalogue, who};
use penstock::ledger::{CampaignFilter, Ledger, LedgerLine, LineFilter, StateChange};
use penstock::money::Nanos;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);
const NOON_HOUR: i64 = 490_908; // NOON in hours since the epoch

async fn found<L: Ledger>(bench: &Bench<L>, filter: CampaignFilter) -> Vec<u32> {
    bench.ledger.campaigns(&filter).await.unwrap().iter().map(|c| c.campaign_id).collect()
}

pub async fn campaigns_are_found_by_name_payer_and_state<L: Ledger>(bench: Bench<L>) {
    let mut file = catalogue();
    "Summer 100% Sale_A".clone_into(&mut file.campaigns[0].name);
    "summer SALE B".clone_into(&mut file.campaigns[1].name);
    "Été".clone_into(&mut file.campaigns[2].name);
    bench.import(&file).await;
    let named = |text: &str| CampaignFilter { search: Some(text.to_owned()), ..CampaignFilter::default() };
    assert_eq!(found(&bench, CampaignFilter::default()).await, [11, 12, 21]);
    assert_eq!(found(&bench, named("SUMMER")).await, [11, 12]);
    assert_eq!(found(&bench, named("sale b")).await, [12]);
    // No wildcards, no escapes: they are letters of a name like others.
    assert_eq!(found(&bench, named("100%")).await, [11]);
    assert_eq!(found(&bench, named("%")).await, [11]);
    assert_eq!(found(&bench, named("_")).await, [11]);
    assert_eq!(found(&bench, named("'\\")).await, Vec::<u32>::new());
    assert_eq!(found(&bench, named("Été")).await, [21]);
    assert_eq!(found(&bench, CampaignFilter { advertiser: Some(2), ..named("") }).await, [21]);
    assert_eq!(found(&bench, CampaignFilter { advertiser: Some(2), ..named("summer") }).await, Vec::<u32>::new());
    bench.ledger.stop(12, &who("ana")).await.unwrap();
    assert_eq!(found(&bench, CampaignFilter { stopped: true, ..named("summer") }).await, [12]);
    // Page by page.
    let first = CampaignFilter { limit: 2, ..CampaignFilter::default() };
    assert_eq!(found(&bench, first.clone()).await, [11, 12]);
    assert_eq!(found(&bench, CampaignFilter { after: Some(12), ..first }).await, [21]);
}

pub async fn the_directory_has_every_campaign<L: Ledger>(bench: Bench<L>) {
    assert_eq!(bench.ledger.directory().await.unwrap(), []);
    let mut file = catalogue();
    "USD".clone_into(&mut file.advertisers[0].currency);
    bench.import(&file).await;
    let listed: Vec<_> = bench.ledger.directory().await.unwrap();
    let listed: Vec<_> =
        listed.iter().map(|c| (c.campaign_id, c.name.as_str(), c.advertiser_id, c.currency.as_str())).collect();
    let expected = [(11, "campaign 11", 1, "USD"), (12, "campaign 12", 1, "USD"), (21, "campaign 21", 2, "EUR")];
    assert_eq!(listed, expected);
}

pub async fn lines_say_what_was_charged_by_hour_and_type<L: Ledger>(bench: Bench<L>) {
    bench.import(&catalogue()).await;
    let (before, after) = (NOON.minus(HOUR), NOON.plus(HOUR));
    bench
        .apply(
            0,
            &batch(&[
                (11, "impression", 3, before),
                (11, "visit", 0, NOON),
                (11, "impression", 5, NOON),
                (11, "impression", 7, NOON),
                (11, "impression", 11, after),
                (12, "impression", 99, NOON),
            ]),
        )
        .await;
    let line =
        |hour, kind: &str, events, nanos| LedgerLine { hour, kind: kind.to_owned(), events, cost_nanos: Nanos(nanos) };
    let all = [
        line(NOON_HOUR + 1, "impression", 1, 11),
        line(NOON_HOUR, "impression", 2, 12),
        line(NOON_HOUR, "visit", 1, 0),
        line(NOON_HOUR - 1, "impression", 1, 3),
    ];
    let wide = LineFilter { from: 0, to: i64::from(u32::MAX), after: None, limit: 100 };
    assert_eq!(bench.ledger.lines(11, &wide).await.unwrap(), all, "the newest hour first, types by name");
    let narrow = LineFilter { from: NOON_HOUR, to: NOON_HOUR + 1, ..wide.clone() };
    assert_eq!(bench.ledger.lines(11, &narrow).await.unwrap(), all[1..3], "`to` is not in it");
    assert_eq!(bench.ledger.lines(21, &wide).await.unwrap(), []);
    // One at a time gives the same as all at once.
    let mut paged: Vec<LedgerLine> = Vec::new();
    loop {
        let after = paged.last().map(|l| (l.hour, l.kind.clone()));
        let page = bench.ledger.lines(11, &LineFilter { after, limit: 1, ..wide.clone() }).await.unwrap();
        if page.is_empty() {
            break;
        }
        paged.extend(page);
    }
    assert_eq!(paged, all);
    let sum = bench.one("SELECT CAST(sum(cost_nanos) AS SIGNED) FROM ledger WHERE campaign_id = 11").await;
    assert_eq!(sum, all.iter().map(|l| l.cost_nanos.0).sum::<i64>());
}

pub async fn a_history_lists_what_was_told_of_one_campaign<L: Ledger>(bench: Bench<L>) {
    bench.import(&catalogue()).await;
    let mut told: Vec<StateChange> = Vec::new();
    for step in 0..3 {
        if step == 1 {
            bench.ledger.stop(11, &who("ana")).await.unwrap();
            bench.ledger.stop(21, &who("ana")).await.unwrap();
        } else if step == 2 {
            bench.ledger.resume(11, &who("ana")).await.unwrap();
        }
        let claimed = bench.ledger.claim(100).await.unwrap();
        bench.ledger.published(&claimed.iter().map(|c| c.version).collect::<Vec<_>>()).await.unwrap();
        told.extend(claimed.into_iter().filter(|c| c.campaign_id == 11));
    }
    // Not told yet, so no part of the history.
    bench.ledger.stop(11, &who("ben")).await.unwrap();
    told.reverse();
    assert_eq!(told.iter().map(|c| c.serving).collect::<Vec<_>>(), [true, false, true]);
    assert_eq!(bench.ledger.history(11, None, 100).await.unwrap(), told, "the newest first");
    assert_eq!(bench.ledger.history(11, None, 2).await.unwrap(), told[..2]);
    assert_eq!(bench.ledger.history(11, Some(told[1].version), 100).await.unwrap(), told[2..]);
    assert_eq!(bench.ledger.history(99, None, 100).await.unwrap(), []);
}
