//! Sinks that lag, partitions that come and go, events that keep coming in.

use super::*;

#[tokio::test(start_paused = true)]
async fn lag_is_reported_and_is_no_difference() {
    for sink in SinkName::ALL {
        let mut world = World::with(100);
        world.append(50);
        for other in SinkName::ALL.into_iter().filter(|s| *s != sink) {
            world.take(other, 150);
            world.positions.insert(other, 150);
        }
        let r = verdict(world, 1).await;
        assert!(r.equal && !r.complete, "{sink:?}: {r:?}");
        let p = &r.partitions[0];
        let lag = [p.statistics.lag_events, p.balances.lag_events, p.archive.lag_events];
        assert_eq!(lag.iter().sum::<u64>(), 50, "{sink:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_has_not_read_its_position_is_lag() {
    let mut world = World::with(100);
    world.positions.remove(&SinkName::Archive);
    let r = verdict(world, 1).await;
    assert!(r.equal && !r.complete);
    assert_eq!(r.partitions[0].archive.lag_events, 100);
}

#[tokio::test(start_paused = true)]
async fn an_empty_partition_hides_nothing_while_its_sinks_start() {
    for starting in SinkName::ALL {
        let mut world = World::with(0);
        world.positions.remove(&starting);
        let r = verdict(world, 1).await;
        assert!(r.equal && r.complete, "{starting:?}: {r:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_log_that_nobody_reads_any_more_is_still_compared() {
    let gone = World { gone: true, ..World::with(100) };
    let r = verdict(gone.clone(), 1).await;
    assert!(r.equal && r.complete, "{r:?}");
    assert_eq!(r.partitions[0].balances.events, 100);
    let mut broken = gone;
    broken.statistics.remove(3);
    assert_eq!(checks(&verdict(broken, 1).await), ["balances_campaign"]);
}

#[tokio::test(start_paused = true)]
async fn the_verdict_stays_right_while_events_keep_coming_in() {
    for seed in 1..400_u64 {
        let random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let world = World { random, dead_types: seed % 2 == 0, ..World::with(seed % 50) };
        let mut world = world;
        world.dead.extend((0..5).map(|i| (SinkName::ALL[(i % 3) as usize], 60 + i * 7)));
        let model = Model(Arc::new(Mutex::new(world)));
        model.0.lock().unwrap().append(100); // so that the dead letters exist
        let clock = ManualClock::default();
        let sources =
            Sources { progress: &model, ledger: &model, archive: &model, dead: &model, pivot: &model, clock: &clock };
        let r = reconcile(sources, Duration::from_secs(60)).await.unwrap();
        assert!(r.equal && r.complete, "seed {seed}: {:?}", r.differences);
    }
}

#[tokio::test(start_paused = true)]
async fn a_difference_is_found_while_events_keep_coming_in() {
    for seed in 1..100_u64 {
        let random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut world = World { random, ..World::with(50) };
        let twice = world.statistics[9].clone();
        world.statistics.insert(0, twice);
        let r = verdict(world, 60).await;
        assert_eq!(r.differences[0].check, "statistics_doubled", "seed {seed}");
        assert_eq!(r.differences[0].offsets, [9]);
    }
}

#[tokio::test(start_paused = true)]
async fn only_the_sink_that_is_behind_is_asked_to_flush_and_asked_again() {
    let mut world = World::with(10);
    world.append(5);
    for sink in [SinkName::Statistics, SinkName::Balances] {
        world.take(sink, 15);
        world.positions.insert(sink, 15);
    }
    let model = Model(Arc::new(Mutex::new(world)));
    let clock = ManualClock::default();
    let sources =
        Sources { progress: &model, ledger: &model, archive: &model, dead: &model, pivot: &model, clock: &clock };
    let begun = Instant::now();
    reconcile(sources, Duration::from_secs(2)).await.unwrap();
    let flushed = model.0.lock().unwrap().flushed.clone();
    assert!(flushed.len() >= 3 && flushed.iter().all(|s| *s == SinkName::Archive), "{flushed:?}");
    assert!(begun.elapsed() < Duration::from_secs(12), "the wait has an end");
}
