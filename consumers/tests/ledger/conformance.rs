//! Booking ranges: once, exactly, and never lost between the three columns.

use crate::support::{Bench, NOON, batch, catalogue, click, clicks, log, who};
use penstock::ledger::{Batch, Grouper, Horizons, Ledger, LedgerError, Outcome, Reason, Sums, Unique};
use penstock::log::Range;
use penstock::money::Nanos;
use std::time::Duration;

/// What holds for every ledger at every moment, in the database's own words.
pub async fn books_balance<L: Ledger>(bench: &Bench<L>) {
    bench
        .none(
            "a campaign's charges = its hours",
            "SELECT c.id, c.charged_nanos, coalesce(sum(l.cost_nanos), 0) FROM campaigns c
             LEFT JOIN ledger l ON l.campaign_id = c.id GROUP BY c.id, c.charged_nanos
             HAVING c.charged_nanos <> coalesce(sum(l.cost_nanos), 0)",
        )
        .await;
    bench
        .none(
            "a campaign's charges = its days",
            "SELECT c.id FROM campaigns c LEFT JOIN campaign_days d ON d.campaign_id = c.id
             GROUP BY c.id, c.charged_nanos HAVING c.charged_nanos <> coalesce(sum(d.charged_nanos), 0)",
        )
        .await;
    bench
        .none(
            "a campaign's charges = its totals",
            "SELECT c.id FROM campaigns c LEFT JOIN campaign_totals t ON t.campaign_id = c.id
             GROUP BY c.id, c.charged_nanos HAVING c.charged_nanos <> coalesce(sum(t.charged_nanos), 0)",
        )
        .await;
    bench
        .none(
            "an advertiser has spent what its campaigns have",
            "SELECT a.id FROM advertisers a LEFT JOIN campaigns c ON c.advertiser_id = a.id
             GROUP BY a.id, a.spent_nanos
             HAVING a.spent_nanos <> coalesce(sum(c.charged_nanos + c.adjusted_nanos), 0)",
        )
        .await;
    bench
        .none(
            "the ranges count what the totals count",
            "SELECT p.id FROM positions p WHERE
             (SELECT coalesce(sum(charged_events), 0) FROM ranges r WHERE r.position_id = p.id) <>
             (SELECT coalesce(sum(charged_events), 0) FROM campaign_totals t WHERE t.position_id = p.id) OR
             (SELECT coalesce(sum(charged_nanos), 0) % 1000000000000000000 FROM ranges r WHERE r.position_id = p.id) <>
             (SELECT coalesce(sum(charged_nanos), 0) % 1000000000000000000
              FROM campaign_totals t WHERE t.position_id = p.id) OR
             (SELECT coalesce(sum(duplicate_events), 0) FROM ranges r WHERE r.position_id = p.id) <>
             (SELECT coalesce(sum(duplicate_events), 0) FROM campaign_totals t WHERE t.position_id = p.id) OR
             (SELECT coalesce(sum(unattributed_events), 0) FROM ranges r WHERE r.position_id = p.id) <>
             (SELECT coalesce(sum(unattributed_events), 0) FROM campaign_totals t WHERE t.position_id = p.id)",
        )
        .await;
    bench
        .none(
            "every offset before the position is an event, a dead letter or a gap",
            "SELECT p.id FROM positions p
             WHERE next_offset <> (SELECT coalesce(sum(events), 0) FROM ranges r WHERE r.position_id = p.id)",
        )
        .await;
    bench
        .none(
            "a click or conversion that was charged has its id kept",
            "SELECT 1 WHERE (SELECT count(*) FROM charges) <>
             (SELECT coalesce(sum(events), 0) FROM ledger WHERE type IN ('click', 'conversion'))",
        )
        .await;
    bench
        .none(
            "the kpis are the ledger's events",
            "SELECT k.campaign_id FROM campaign_kpis k WHERE k.visits + k.impressions + k.clicks + k.conversions <>
             (SELECT coalesce(sum(events), 0) FROM ledger l WHERE l.campaign_id = k.campaign_id)",
        )
        .await;
}

pub async fn a_range_written_twice_counts_once<L: Ledger>(bench: Bench<L>) {
    bench.import(&catalogue()).await;
    let batch = batch(&[(11, "impression", 2_000, NOON), (11, "visit", 0, NOON), (21, "impression", 5, NOON)]);
    assert_eq!(bench.apply(0, &batch).await.outcome, Outcome::Booked);
    let again = bench.apply(0, &batch).await;
    assert_eq!((again.outcome, again.sums), (Outcome::AlreadyBooked, Sums::default()));
    let view = bench.ledger.campaign(11).await.unwrap().unwrap();
    assert_eq!((view.spent_nanos, view.kpis.impressions, view.kpis.visits), (Nanos(2_000), 1, 1));
    assert_eq!(bench.ledger.position(&log(0)).await.unwrap(), Some(3));
    assert_eq!(bench.one("SELECT sum(cost_nanos) FROM ledger").await, 2_005);
    books_balance(&bench).await;
}

pub async fn a_range_that_does_not_follow_is_fenced<L: Ledger>(bench: Bench<L>) {
    bench.import(&catalogue()).await;
    let one = batch(&[(11, "impression", 1, NOON)]);
    for (from, to) in [(1, 2), (5, 9)] {
        let fenced = bench.ledger.apply(&log(0), Range { from, to }, &one).await;
        assert!(matches!(fenced, Err(LedgerError::Fenced { held: 0, .. })), "{fenced:?}");
    }
    bench.apply(0, &one).await;
    bench.apply(1, &one).await;
    let behind = bench.ledger.apply(&log(0), Range { from: 0, to: 1 }, &one).await;
    assert!(matches!(behind, Err(LedgerError::Fenced { held: 2, .. })), "{behind:?}");
    let empty = bench.ledger.apply(&log(0), Range { from: 2, to: 2 }, &Batch::default()).await;
    assert!(matches!(empty, Err(LedgerError::Refused(_))));
    assert_eq!(bench.one("SELECT sum(events) FROM ledger").await, 2);
    books_balance(&bench).await;
}

pub async fn an_id_is_charged_once_within_a_batch_and_over_batches<L: Ledger>(bench: Bench<L>) {
    bench.import(&catalogue()).await;
    let first = bench.apply(0, &clicks(&[(11, 1, 10), (11, 1, 10), (12, 2, 20)], NOON)).await;
    assert_eq!((first.sums.charged.events, first.sums.charged.nanos), (2, 30));
    assert_eq!((first.sums.duplicate.events, first.sums.duplicate.nanos), (1, 10));
    // Another campaign and another time: the id decides.
    let later = NOON.plus(Duration::from_secs(86_400 * 3));
    let second = bench.apply(3, &clicks(&[(21, 1, 99), (21, 3, 7)], later)).await;
    assert_eq!((second.sums.charged.nanos, second.sums.duplicate.nanos), (7, 99));
    let books = bench.ledger.books().await.unwrap();
    let of_21 = books.partitions[0].by_campaign.iter().find(|s| s.campaign == 21).unwrap();
    assert_eq!((of_21.sums.duplicate.events, of_21.sums.duplicate.nanos), (1, 99));
    assert_eq!(bench.one("SELECT count(*) FROM charges").await, 3);
    books_balance(&bench).await;
}

pub async fn a_click_is_no_repeat_of_a_conversion<L: Ledger>(bench: Bench<L>) {
    bench.import(&catalogue()).await;
    let mut grouper = Grouper::new();
    grouper.add_unique(click(11, 1, 10, NOON));
    grouper.add_unique(penstock::ledger::Unique { kind: "conversion", ..click(11, 1, 50, NOON) });
    let applied = bench.apply(0, &grouper.finish(0)).await;
    assert_eq!((applied.sums.charged.events, applied.sums.charged.nanos), (2, 60));
    books_balance(&bench).await;
}

pub async fn what_cannot_be_attributed_is_counted_as_such<L: Ledger>(bench: Bench<L>) {
    bench.import(&catalogue()).await;
    let mut events = clicks(&[(404, 9, 4)], NOON);
    events.groups = batch(&[(0, "click", 0, NOON), (0, "visit", 0, NOON), (404, "impression", 3, NOON)]).groups;
    let applied = bench.apply(0, &events).await;
    assert_eq!((applied.sums.unattributed.events, applied.sums.unattributed.nanos), (4, 7));
    assert_eq!(applied.sums.charged.events, 0);
    // An id that was not charged can still be.
    let second = bench.apply(4, &clicks(&[(11, 9, 4)], NOON)).await;
    assert_eq!(second.sums.charged.events, 1);
    books_balance(&bench).await;
}

pub async fn poison_and_gaps_are_counted_by_their_ranges<L: Ledger>(bench: Bench<L>) {
    bench.import(&catalogue()).await;
    let mut events = batch(&[(11, "visit", 0, NOON)]);
    events.poison = 2;
    bench.apply(0, &events).await;
    bench.ledger.skip(&log(0), Range { from: 3, to: 10 }, &who("operator")).await.unwrap();
    bench.ledger.skip(&log(0), Range { from: 3, to: 10 }, &who("operator")).await.unwrap();
    let wrong = bench.ledger.skip(&log(0), Range { from: 3, to: 11 }, &who("operator")).await;
    assert!(matches!(wrong, Err(LedgerError::Fenced { held: 10, .. })));
    bench.apply(10, &Batch { poison: 1, ..Batch::default() }).await;
    let books = bench.ledger.books().await.unwrap();
    let partition = &books.partitions[0];
    assert_eq!((partition.position, partition.poison, partition.skipped), (11, 3, 7));
    assert_eq!(bench.one("SELECT count(*) FROM audit WHERE action = 'skip'").await, 1);
    books_balance(&bench).await;
}

pub async fn an_overflow_stops_the_campaign_and_never_wraps<L: Ledger>(bench: Bench<L>) {
    bench.import(&catalogue()).await;
    bench.apply(0, &batch(&[(11, "visit", i64::MAX - 5, NOON)])).await;
    let applied = bench.apply(1, &clicks(&[(11, 1, 6), (21, 2, 0)], NOON)).await;
    assert_eq!(applied.stopped, vec![(11, Reason::Overflow)]);
    assert_eq!((applied.sums.charged.events, applied.sums.unattributed.nanos), (1, 6));
    // Its advertiser's account is as full, so its sister cannot be charged either.
    let sister = bench.apply(3, &batch(&[(12, "impression", 6, NOON), (12, "visit", 0, NOON)])).await;
    assert_eq!(sister.stopped, vec![(12, Reason::Overflow)]);
    assert_eq!(sister.sums.unattributed.events, 2);
    let view = bench.ledger.campaign(11).await.unwrap().unwrap();
    assert_eq!((view.spent_nanos, view.reason), (Nanos(i64::MAX - 5), Some(Reason::Overflow)));
    // What still fits is charged.
    let fits = bench.apply(5, &batch(&[(11, "impression", 5, NOON)])).await;
    assert_eq!((fits.sums.charged.nanos, fits.stopped), (5, vec![]));
    books_balance(&bench).await;
}

pub async fn sums_past_64_bits_are_kept_exactly<L: Ledger>(bench: Bench<L>) {
    bench.import(&catalogue()).await;
    let huge = i64::MAX - 1;
    let mut from = 0;
    for id in 1..=5u8 {
        let mut events = batch(&[(11, "visit", huge, NOON)]);
        events.uniques = vec![click(21, 77, if id == 1 { 0 } else { huge }, NOON)];
        bench.apply(from, &events).await;
        from += 2;
    }
    let books = bench.ledger.books().await.unwrap();
    let find = |campaign| books.partitions[0].by_campaign.iter().find(|s| s.campaign == campaign).unwrap().sums;
    assert_eq!(find(11).unattributed.nanos, 4 * i128::from(huge));
    assert_eq!(find(21).duplicate.nanos, 4 * i128::from(huge));
    let by_range: i128 = books.partitions[0].by_range.iter().map(|(_, sums)| sums.all().nanos).sum();
    assert_eq!(by_range, 9 * i128::from(huge));
}

/// One range in which every campaign's share fits its account and their sum fits no 64 bits.
pub async fn a_range_may_hold_more_than_any_account<L: Ledger>(bench: Bench<L>) {
    bench.import(&catalogue()).await;
    let half = i64::MAX / 2;
    let events = [(11, "visit", half, NOON), (12, "visit", half, NOON), (21, "visit", i64::MAX, NOON)];
    let applied = bench.apply(0, &batch(&events)).await;
    let total = 2 * i128::from(half) + i128::from(i64::MAX);
    assert_eq!((applied.sums.charged.nanos, applied.stopped), (total, vec![]));
    let books = bench.ledger.books().await.unwrap();
    assert_eq!(books.partitions[0].by_range[0].1.charged.nanos, total);
}

pub async fn two_partitions_do_not_meet<L: Ledger>(bench: Bench<L>) {
    bench.import(&catalogue()).await;
    let one = batch(&[(11, "impression", 1, NOON)]);
    for partition in [0, 1] {
        bench.ledger.apply(&log(partition), Range { from: 0, to: 1 }, &one).await.unwrap();
    }
    let books = bench.ledger.books().await.unwrap();
    assert_eq!(books.partitions.iter().map(|p| p.log.partition).collect::<Vec<_>>(), vec![0, 1]);
    assert!(books.partitions.iter().all(|p| p.by_campaign[0].sums.charged.events == 1));
    assert_eq!(books.charged, vec![(11, penstock::ledger::Tally { events: 2, nanos: 2 })]);
    // An id is unique over all partitions.
    for (partition, from) in [(0, 1), (1, 1)] {
        let range = Range { from, to: from + 1 };
        bench.ledger.apply(&log(partition), range, &clicks(&[(11, 5, 3)], NOON)).await.unwrap();
    }
    assert_eq!(bench.one("SELECT sum(events) FROM ledger WHERE type = 'click'").await, 1);
    books_balance(&bench).await;
}

const HORIZONS: Horizons =
    Horizons { unique_days: 35, fold_after: Duration::from_secs(3_600), outbox: Duration::from_secs(3_600) };

pub async fn folded_ranges_keep_their_sums<L: Ledger>(bench: Bench<L>) {
    bench.import(&catalogue()).await;
    let huge = i64::MAX / 2;
    for from in 0..20 {
        let cost = if from < 3 { huge } else { 1 };
        bench.apply(from, &batch(&[(0, "visit", cost, NOON)])).await;
        bench.clock.advance(Duration::from_secs(600));
    }
    let before = bench.ledger.books().await.unwrap();
    let kept = bench.ledger.housekeep(&HORIZONS).await.unwrap();
    assert!(kept.ranges_folded > 10, "{kept:?}");
    assert_eq!(bench.ledger.books().await.unwrap(), before);
    assert_eq!(bench.one("SELECT count(*) FROM ranges WHERE merged > 1").await, 1);
    bench.clock.advance(Duration::from_secs(2 * 86_400));
    bench.ledger.housekeep(&HORIZONS).await.unwrap();
    assert_eq!(bench.ledger.books().await.unwrap(), before);
    assert_eq!(bench.ledger.housekeep(&HORIZONS).await.unwrap().ranges_folded, 0);
}

pub async fn an_id_past_the_horizon_is_forgotten<L: Ledger>(bench: Bench<L>) {
    bench.import(&catalogue()).await;
    bench.apply(0, &clicks(&[(11, 1, 10)], NOON)).await;
    bench.clock.advance(Duration::from_secs(35 * 86_400));
    assert_eq!(bench.ledger.housekeep(&HORIZONS).await.unwrap().ids_purged, 0);
    assert_eq!(bench.apply(1, &clicks(&[(11, 1, 10)], NOON)).await.sums.duplicate.events, 1);
    bench.clock.advance(Duration::from_secs(86_400));
    assert_eq!(bench.ledger.housekeep(&HORIZONS).await.unwrap().ids_purged, 1);
    assert_eq!(bench.apply(2, &clicks(&[(11, 1, 10)], NOON)).await.sums.charged.events, 1);
}

pub async fn ids_are_forgotten_slice_by_slice_and_none_that_is_young<L: Ledger>(bench: Bench<L>) {
    const DAY: Duration = Duration::from_secs(86_400);
    bench.import(&catalogue()).await;
    let many = |ids: std::ops::Range<u128>, received| {
        let mut grouper = Grouper::new();
        for n in ids {
            // All over the key, as random ids are.
            let id = n.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_0C83_5A81_2E15).to_be_bytes();
            grouper.add_unique(Unique { id, ..click(11, 1, 10, received) });
        }
        grouper.finish(0)
    };
    let later = NOON.plus(30 * DAY);
    bench.apply(0, &many(0..21_000, NOON)).await;
    bench.apply(21_000, &many(30_000..35_000, later)).await;
    assert_eq!(bench.one("SELECT count(*) FROM charges").await, 26_000);
    bench.clock.advance(36 * DAY);
    assert_eq!(bench.ledger.housekeep(&HORIZONS).await.unwrap().ids_purged, 21_000);
    assert_eq!(bench.one("SELECT count(*) FROM charges").await, 5_000);
    assert_eq!(bench.ledger.housekeep(&HORIZONS).await.unwrap().ids_purged, 0);
    assert_eq!(bench.apply(26_000, &many(30_000..35_000, later)).await.sums.duplicate.events, 5_000);
}
