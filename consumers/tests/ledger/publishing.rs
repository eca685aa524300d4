//! The outbox: everything is told, in one order, and means the same when it is told again.

use crate::support::{Bench, NOON, batch, catalogue, who};
use penstock::ledger::{Horizons, Ledger, Reason, StateChange};
use std::collections::BTreeMap;
use std::time::Duration;

/// What a reader of the log would hold: the newest version of each campaign.
fn reader(log: &[StateChange]) -> BTreeMap<u32, Vec<Reason>> {
    let mut held: BTreeMap<u32, &StateChange> = BTreeMap::new();
    for change in log {
        let old = held.get(&change.campaign_id).map_or(0, |c| c.version);
        if change.version > old {
            held.insert(change.campaign_id, change);
        }
    }
    held.into_iter().filter(|(_, c)| !c.serving).map(|(id, c)| (id, c.reasons.clone())).collect()
}

async fn publish<L: Ledger>(bench: &Bench<L>, log: &mut Vec<StateChange>) {
    let claimed = bench.ledger.claim(100).await.unwrap();
    let versions: Vec<u64> = claimed.iter().map(|c| c.version).collect();
    log.extend(claimed);
    bench.ledger.published(&versions).await.unwrap();
}

async fn ledger_says<L: Ledger>(bench: &Bench<L>) -> BTreeMap<u32, Vec<Reason>> {
    let stopped = bench.ledger.stopped().await.unwrap();
    stopped.into_iter().map(|s| (s.campaign_id, s.stops.iter().map(|stop| stop.reason).collect())).collect()
}

pub async fn the_outbox_says_what_the_ledger_says<L: Ledger>(bench: Bench<L>) {
    let mut file = catalogue();
    file.campaigns[0].total_budget_micros = Some(1);
    bench.import(&file).await;
    let mut log = Vec::new();
    publish(&bench, &mut log).await;
    assert_eq!(
        log.iter().map(|c| (c.campaign_id, c.serving)).collect::<Vec<_>>(),
        vec![(11, true), (12, true), (21, true)]
    );
    let received = NOON.minus(Duration::from_millis(300));
    let mut events = batch(&[(11, "visit", 1_000, NOON)]);
    events.received = vec![(11, received)];
    bench.apply(0, &events).await;
    bench.ledger.stop(21, &who("ana")).await.unwrap();
    publish(&bench, &mut log).await;
    assert_eq!(reader(&log), ledger_says(&bench).await);
    let stop = log.iter().find(|c| c.campaign_id == 11 && !c.serving).unwrap();
    assert_eq!((stop.reasons.as_slice(), stop.cause_received), (&[Reason::TotalBudget][..], Some(received)));
    bench.ledger.stop(11, &who("ana")).await.unwrap();
    bench.ledger.resume(21, &who("ana")).await.unwrap();
    publish(&bench, &mut log).await;
    assert_eq!(reader(&log), ledger_says(&bench).await);
    assert_eq!(reader(&log), BTreeMap::from([(11, vec![Reason::Operator, Reason::TotalBudget])]));
    assert!(log.is_sorted_by_key(|c| c.version));
    assert_eq!(bench.ledger.claim(100).await.unwrap(), vec![]);
}

pub async fn a_version_means_one_state_for_ever<L: Ledger>(bench: Bench<L>) {
    bench.import(&catalogue()).await;
    bench.ledger.stop(11, &who("ana")).await.unwrap();
    // Claimed, perhaps appended, never marked: the publisher died.
    let first = bench.ledger.claim(100).await.unwrap();
    bench.ledger.resume(11, &who("ana")).await.unwrap();
    let mut log = first.clone();
    let second = bench.ledger.claim(100).await.unwrap();
    assert_eq!(second[..first.len()], first[..]);
    log.extend(second);
    assert_eq!(reader(&log), BTreeMap::new());
    assert_eq!(reader(&log), ledger_says(&bench).await);
    // Only part of it was marked.
    bench.ledger.published(&[first[0].version]).await.unwrap();
    let third = bench.ledger.claim(100).await.unwrap();
    assert_eq!(third.len(), log.len() - first.len() - 1);
}

pub async fn a_balance_is_told_for_every_campaign<L: Ledger>(bench: Bench<L>) {
    let mut file = catalogue();
    file.advertisers[0].balance_micros = Some(1);
    bench.import(&file).await;
    let mut log = Vec::new();
    publish(&bench, &mut log).await;
    bench.apply(0, &batch(&[(12, "visit", 1_000, NOON)])).await;
    assert_eq!(bench.one("SELECT count(*) FROM outbox WHERE published_at IS NULL").await, 1);
    publish(&bench, &mut log).await;
    assert_eq!(reader(&log), BTreeMap::from([(11, vec![Reason::Balance]), (12, vec![Reason::Balance])]));
    assert!(log.iter().filter(|c| !c.serving).all(|c| c.cause_received == Some(NOON)));
    bench.ledger.set_balance(1, None, &who("ana")).await.unwrap();
    publish(&bench, &mut log).await;
    assert_eq!(reader(&log), BTreeMap::new());
}

pub async fn kpis_are_told_once_per_change<L: Ledger>(bench: Bench<L>) {
    bench.import(&catalogue()).await;
    bench.apply(0, &batch(&[(11, "impression", 5, NOON), (12, "visit", 0, NOON)])).await;
    let told = bench.ledger.changed_kpis(10).await.unwrap();
    assert_eq!(
        told.iter().map(|k| (k.campaign_id, k.impressions, k.visits, k.spent_nanos)).collect::<Vec<_>>(),
        vec![(11, 1, 0, 5), (12, 0, 1, 0)]
    );
    // One of them changes between being read and being marked.
    bench.apply(2, &batch(&[(11, "impression", 5, NOON)])).await;
    bench.ledger.kpis_published(&told).await.unwrap();
    let left = bench.ledger.changed_kpis(10).await.unwrap();
    assert_eq!(
        left.iter().map(|k| (k.campaign_id, k.impressions, k.spent_nanos)).collect::<Vec<_>>(),
        vec![(11, 2, 10)]
    );
    bench.ledger.kpis_published(&left).await.unwrap();
    assert_eq!(bench.ledger.changed_kpis(10).await.unwrap(), vec![]);
}

pub async fn old_outbox_rows_go_but_the_newest_state_stays<L: Ledger>(bench: Bench<L>) {
    bench.import(&catalogue()).await;
    let mut log = Vec::new();
    publish(&bench, &mut log).await;
    for _ in 0..3 {
        bench.ledger.stop(11, &who("ana")).await.unwrap();
        publish(&bench, &mut log).await;
        bench.ledger.resume(11, &who("ana")).await.unwrap();
        bench.ledger.stop(11, &who("ana")).await.unwrap();
        publish(&bench, &mut log).await;
    }
    let before = bench.ledger.states().await.unwrap();
    assert_eq!(before.iter().map(|c| c.campaign_id).collect::<Vec<_>>(), vec![12, 21, 11]);
    bench.clock.advance(Duration::from_secs(7_200));
    let horizons =
        Horizons { unique_days: 35, fold_after: Duration::from_secs(60), outbox: Duration::from_secs(3_600) };
    assert!(bench.ledger.housekeep(&horizons).await.unwrap().outbox_purged > 0);
    assert_eq!(bench.ledger.states().await.unwrap(), before);
    assert_eq!(bench.one("SELECT count(*) FROM outbox").await, 3);
}
