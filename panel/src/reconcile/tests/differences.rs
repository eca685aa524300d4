//! Everything stands still: what differs is found and named, and nothing else is.

use super::*;

#[tokio::test(start_paused = true)]
async fn sinks_that_hold_every_event_are_equal() {
    let r = verdict(World::with(1_000), 0).await;
    assert!(r.equal && r.complete, "{r:?}");
    let p = &r.partitions[0];
    assert_eq!(
        (p.acknowledged, p.statistics.events, p.balances.events, p.archive.events),
        (1_000, 1_000, 1_000, 1_000)
    );
    assert_eq!(p.statistics.nanos, Some(Sum(250 * (5 + 3_000 + 250_000))));
    assert_eq!(p.balances.charged.unwrap().events, 750);
    assert_eq!(p.balances.unattributed.unwrap().events, 250);
    assert_eq!(r.totals.acknowledged, 1_000);
}

#[tokio::test(start_paused = true)]
async fn a_missing_row_is_found_and_named() {
    let mut world = World::with(100);
    world.statistics.retain(|r| r.offset != 41);
    let r = verdict(world, 0).await;
    assert!(!r.equal);
    assert_eq!(checks(&r), ["statistics_missing", "archive_type", "balances_campaign"]);
    assert_eq!(r.differences[0].offsets, [41]);
    assert_eq!((r.differences[0].left_figures.events, r.differences[0].right_figures.events), (100, 99));
    assert_eq!((r.differences[2].event_type.as_deref(), r.differences[2].campaign_id), (Some("click"), Some(2)));
    assert!(!r.partitions[0].equal);
}

#[tokio::test(start_paused = true)]
async fn a_doubled_row_is_found_even_when_another_is_missing() {
    let mut world = World::with(100);
    world.statistics.retain(|r| r.offset != 8);
    let twice = world.statistics.iter().find(|r| r.offset == 12).cloned().unwrap();
    world.statistics.push(twice); // same type, campaign and price as the missing one
    let r = verdict(world, 0).await;
    assert_eq!(checks(&r), ["statistics_doubled", "statistics_missing"]);
    assert_eq!((r.differences[0].offsets.as_slice(), r.differences[1].offsets.as_slice()), (&[12][..], &[8][..]));
}

#[tokio::test(start_paused = true)]
async fn one_nano_is_a_difference_and_names_campaign_and_type() {
    let mut world = World::with(100);
    world.books[7].nanos += 1;
    let r = verdict(world, 0).await;
    assert_eq!(checks(&r), ["balances_campaign"]);
    let d = &r.differences[0];
    assert_eq!((d.event_type.as_deref(), d.campaign_id), (Some("conversion"), Some(2)));
    assert_eq!(d.right_figures.nanos.0 - d.left_figures.nanos.0, 1);
}

#[tokio::test(start_paused = true)]
async fn a_charge_on_the_wrong_campaign_is_a_difference_though_the_sums_agree() {
    let mut world = World::with(100);
    world.books[0].campaign = 9;
    assert_eq!(checks(&verdict(world, 0).await), ["balances_campaign", "balances_campaign"]);
}

#[tokio::test(start_paused = true)]
async fn an_event_missing_in_the_ledger_or_the_archive_is_found() {
    let mut world = World::with(100);
    world.books.remove(5);
    assert_eq!(checks(&verdict(world, 0).await), ["balances_missing", "balances_campaign"]);
    let mut world = World::with(100);
    world.archive.remove(5);
    assert_eq!(checks(&verdict(world, 0).await), ["archive_missing", "archive_type"]);
    let mut world = World::with(100);
    let twice = world.archive[5].clone();
    world.archive.push(twice);
    assert_eq!(checks(&verdict(world, 0).await), ["archive_surplus", "archive_type"]);
}

#[tokio::test(start_paused = true)]
async fn hours_that_do_not_add_up_to_the_totals_are_found() {
    let world = World { hours_more: 1, ..World::with(100) };
    assert_eq!(checks(&verdict(world, 0).await), ["balances_hours"]);
}

fn world_with_dead(sinks: &[SinkName], types: bool) -> World {
    let mut world = World { dead_types: types, ..World::default() };
    world.append(100);
    for sink in sinks {
        world.dead.extend([(*sink, 10), (*sink, 11)]);
    }
    for sink in SinkName::ALL {
        world.take(sink, 100);
        world.positions.insert(sink, 100);
    }
    world
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_is_no_difference_whichever_sinks_refused_it() {
    use SinkName::{Archive, Balances, Statistics};
    let sets: [&[SinkName]; 7] = [
        &SinkName::ALL,
        &[Statistics],
        &[Balances],
        &[Archive],
        &[Statistics, Balances],
        &[Balances, Archive],
        &[Statistics, Archive],
    ];
    for sinks in sets {
        for types in [true, false] {
            let r = verdict(world_with_dead(sinks, types), 0).await;
            assert!(r.equal && r.complete, "{sinks:?} {types}: {:?}", r.differences);
        }
    }
    let r = verdict(world_with_dead(&[Statistics], true), 0).await;
    assert_eq!((r.partitions[0].statistics.dead, r.partitions[0].archive.dead), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_does_not_hide_what_is_missing() {
    for types in [true, false] {
        let mut world = world_with_dead(&[SinkName::Statistics], types);
        world.archive.retain(|r| r.offset != 50);
        assert!(checks(&verdict(world, 0).await).contains(&"archive_missing"));
        let mut world = world_with_dead(&[SinkName::Statistics], types);
        world.books[20].nanos += 1;
        assert_eq!(checks(&verdict(world, 0).await), ["balances_campaign"], "{types}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_that_is_dead_and_counted_is_a_surplus() {
    let mut world = World::with(100);
    world.dead.insert((SinkName::Statistics, 30));
    let r = verdict(world, 0).await;
    assert_eq!(r.differences[0].check, "statistics_surplus");
    assert_eq!(r.differences[0].offsets, [30]);
}

#[tokio::test(start_paused = true)]
async fn a_dead_record_that_is_counted_does_not_hide_a_missing_one() {
    let mut world = World::with(100);
    world.dead.extend(SinkName::ALL.map(|sink| (sink, 30)));
    world.archive.remove(30);
    world.books.remove(30);
    for sink in SinkName::ALL {
        world.held(sink).retain(|r| r.offset != 42); // nowhere: no two sinks differ
    }
    let r = verdict(world, 0).await;
    let named = |check: &str| r.differences.iter().find(|d| d.check == check).unwrap().offsets.clone();
    assert_eq!((named("statistics_surplus"), named("statistics_missing")), (vec![30], vec![42]));
}
