//! A seed replays a history: the pipeline lives, is killed and lives again until every record has
//! arrived, and then each is held exactly once.
//!
//! A failing seed is printed; `PENSTOCK_SEED=n` replays it with a trace (`--nocapture`), and
//! `PENSTOCK_SEEDS=n` runs more of them.

mod gap;
mod model;
mod spool;

use super::{Held, Parts, Pipeline, PipelineError, PipelineHandle, State};
use crate::log::{Limits, LogId, Position};
use crate::pricing::Snapshot;
use crate::settings::PipelineSettings;
use crate::telemetry::pipeline::PipelineMetrics;
use crate::time::Clock as _;
use model::{Kind, ModelDead, ModelLog, ModelSink, ModelSteps, RuntimeClock, Shared, World};
use rand::RngExt as _;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

type Model = Pipeline<ModelLog, ModelSink, ModelDead, ModelSteps>;

const SECOND: Duration = Duration::from_secs(1);

fn id() -> LogId {
    LogId { name: "model-0".into(), partition: 3 }
}

fn limits() -> Limits {
    let ms = Duration::from_millis;
    Limits { rows: 8, bytes: 1 << 20, age: ms(5), idle: ms(20), end: None }
}

struct Life {
    stop: CancellationToken,
    catalogue: watch::Sender<Arc<Snapshot>>,
    clock: RuntimeClock,
}

fn born(world: &Shared, handle: &PipelineHandle, clock: &RuntimeClock, limits: Limits) -> (Life, Model) {
    let stop = CancellationToken::new();
    let (catalogue, snapshots) = watch::channel(Arc::new(Snapshot::default()));
    let parts = Parts {
        log: ModelLog { world: Rc::clone(world), clock: clock.clone(), id: id() },
        sink: ModelSink(Rc::clone(world)),
        dead: ModelDead(Rc::clone(world)),
        limits,
        catalogue: Some(snapshots),
        settings: PipelineSettings::default(),
        clock: Arc::new(clock.clone()),
        seed: world.borrow_mut().random.random(),
        stop: stop.clone(),
        handle: handle.clone(),
        metrics: PipelineMetrics::detached(),
    };
    let life = Life { stop, catalogue, clock: clock.clone() };
    (life, Pipeline::watched(parts, ModelSteps(Rc::clone(world))))
}

/// Feeds the catalogue, plays the operator, and stops the pipeline when everything has arrived.
async fn surroundings(world: &Shared, handle: &PipelineHandle, life: &Life) {
    loop {
        tokio::time::sleep(Duration::from_millis(3)).await;
        let mut w = world.borrow_mut();
        let complete_through = life.clock.now();
        life.catalogue.send_replace(Arc::new(Snapshot { complete_through, ..Snapshot::default() }));
        match w.random.random_range(0..60) {
            0 => handle.pause(),
            1..10 => handle.resume(),
            10..13 => handle.flush(),
            13 if w.crash_at.is_none() => life.stop.cancel(),
            _ => {}
        }
        if w.position == (Position::at(w.kinds.len() as u64)) {
            life.stop.cancel();
        }
    }
}

/// Lives and dies until all has arrived, and checks the end.
async fn history(world: Shared) {
    let handle = PipelineHandle::new("model", id());
    let clock = RuntimeClock(Instant::now());
    for life in 1.. {
        if life == 60 {
            world.borrow_mut().faults = 0; // every history comes to an end
        }
        assert!(life < 200, "does not come to an end");
        world.borrow_mut().killed = false;
        world.borrow_mut().hint = None;
        handle.begin(life);
        // An upgrade may change the limits between a pin and the restart.
        let limits = Limits { rows: world.borrow_mut().random.random_range(1..10), ..limits() };
        let (life, pipeline) = born(&world, &handle, &clock, limits);
        let ended = tokio::select! {
            ended = pipeline.run() => ended,
            () = surroundings(&world, &handle, &life) => unreachable!(),
            () = tokio::time::sleep(3600 * SECOND) => panic!("stuck: {:?}", handle.status()),
        };
        world.borrow_mut().crash_at = None;
        match ended {
            Ok(()) | Err(PipelineError::Crashed(_)) => {}
            Err(error) => panic!("ended by itself: {error}"),
        }
        let w = world.borrow();
        let all = w.kinds.len() as u64;
        if w.position == (Position::at(all)) {
            w.check_passed(all);
            assert_eq!(w.held.len(), w.kinds.iter().filter(|k| **k == Kind::Good).count());
            return;
        }
    }
}

fn run(world: World) -> Shared {
    let world = Rc::new(RefCell::new(world));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(history(Rc::clone(&world)));
    world
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|v| v.parse().unwrap_or_else(|_| panic!("{name}={v} is no number")))
}

#[test]
fn each_acknowledged_event_is_held_once_whatever_a_seed_does() {
    if let Some(seed) = number("PENSTOCK_SEED") {
        run(World { trace: true, ..World::new(seed) });
        return;
    }
    let mut crashes: BTreeMap<String, u64> = BTreeMap::new();
    for seed in 0..number("PENSTOCK_SEEDS").unwrap_or(3_000) {
        match catch_unwind(AssertUnwindSafe(|| run(World::new(seed)))) {
            Ok(world) => world.borrow().crashes.iter().for_each(|(at, n)| *crashes.entry(at.clone()).or_insert(0) += n),
            Err(_) => panic!("seed {seed} failed; replay it with PENSTOCK_SEED={seed}"),
        }
    }
    println!("crashes by boundary: {crashes:?}");
    let boundaries =
        ["Started", "Collected", "Prepared", "Pinned", "Buried", "Asked", "Failed", "Written", "Committed"];
    for boundary in boundaries {
        assert!(crashes.get(boundary).is_some_and(|n| *n >= 10), "hardly ever crashed at {boundary}: {crashes:?}");
    }
}

#[test]
fn a_crash_at_every_single_boundary_of_a_calm_history_loses_and_doubles_nothing() {
    for seed in 0..20 {
        for at in 0.. {
            let world = run(World { faults: 0, crash_at: Some(at), ..World::new(seed) });
            if world.borrow().crashes.is_empty() {
                assert!(at > 5, "seed {seed} has only {at} boundaries");
                break;
            }
        }
    }
}

fn calm(kinds: Vec<Kind>) -> World {
    World { faults: 0, kinds, crash_at: Some(u64::MAX), ..World::new(0) }
}

/// Runs one life with `beside`, which must end it by the stop.
fn one_life<F: Future<Output = ()>>(
    world: World,
    limits: Limits,
    beside: impl FnOnce(Shared, PipelineHandle, Life) -> F,
) -> (Shared, PipelineHandle, Result<(), PipelineError>) {
    let world = Rc::new(RefCell::new(world));
    let handle = PipelineHandle::new("model", id());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let ended = runtime.block_on(async {
        let clock = RuntimeClock(Instant::now());
        let (life, pipeline) = born(&world, &handle, &clock, limits);
        let beside = beside(Rc::clone(&world), handle.clone(), life);
        let both = async { tokio::join!(pipeline.run(), beside).0 };
        tokio::time::timeout(3600 * SECOND, both).await.expect("stuck")
    });
    (world, handle, ended)
}

#[test]
fn a_flush_moves_what_is_there_without_waiting_for_the_age() {
    let day = Limits { rows: 1000, age: 86_400 * SECOND, ..limits() };
    let (world, handle, ended) = one_life(calm(vec![Kind::Good; 50]), day, |_, handle, life| async move {
        let complete_through = crate::time::Micros::MAX;
        life.catalogue.send_replace(Arc::new(Snapshot { complete_through, ..Snapshot::default() }));
        tokio::time::sleep(SECOND).await;
        assert_eq!(handle.status().next, Some(0), "still collecting");
        handle.flush();
        assert!(handle.passed(50, 60 * SECOND).await);
        assert_eq!(handle.status().lag_events(), 0);
        life.stop.cancel();
    });
    assert!(ended.is_ok());
    world.borrow().check_passed(50);
    assert_eq!((handle.status().written, handle.status().state), (50, State::Stopped));
}

#[test]
fn a_stop_closes_the_range_in_hand() {
    let day = Limits { rows: 1000, age: 86_400 * SECOND, ..limits() };
    let (world, ..) = one_life(calm(vec![Kind::Good; 50]), day, |_, _, life| async move {
        let complete_through = crate::time::Micros::MAX;
        life.catalogue.send_replace(Arc::new(Snapshot { complete_through, ..Snapshot::default() }));
        tokio::time::sleep(SECOND).await;
        life.stop.cancel();
    });
    assert_eq!(world.borrow().position, Position::at(50));
}

#[test]
fn a_paused_pipeline_takes_nothing_and_goes_on_after() {
    let (world, ..) = one_life(calm(vec![Kind::Good; 20]), limits(), |world, handle, life| async move {
        handle.pause();
        let complete_through = crate::time::Micros::MAX;
        life.catalogue.send_replace(Arc::new(Snapshot { complete_through, ..Snapshot::default() }));
        tokio::time::sleep(60 * SECOND).await;
        assert_eq!((handle.status().state, world.borrow().held.len()), (State::Paused, 0));
        handle.resume();
        assert!(handle.passed(20, 60 * SECOND).await);
        life.stop.cancel();
    });
    world.borrow().check_passed(20);
}

#[test]
fn a_lost_position_is_an_error_and_never_a_new_start() {
    let mut lost = calm(vec![Kind::Good; 20]);
    lost.held.insert(3, 1);
    let (world, handle, ended) = one_life(lost, limits(), |_, _, _| async {});
    let error = ended.unwrap_err();
    assert!(matches!(error, PipelineError::PositionLost { sink: "model", .. }) && !error.may_pass(), "{error}");
    assert!(matches!(handle.status().state, State::Failed { .. }));
    assert_eq!((world.borrow().stored, world.borrow().held.len()), (false, 1), "nothing was touched");
}

#[test]
fn a_late_catalogue_holds_the_range_back_and_says_so() {
    let (world, ..) = one_life(calm(vec![Kind::Good; 20]), limits(), |world, handle, life| async move {
        tokio::time::sleep(40 * SECOND).await;
        let State::Retrying { reason } = handle.status().state else { panic!("{:?}", handle.status()) };
        assert!(reason.contains("catalogue"), "{reason}");
        assert_eq!(world.borrow().position, Position::default(), "nothing is begun that cannot go on");
        let complete_through = crate::time::Micros::MAX;
        life.catalogue.send_replace(Arc::new(Snapshot { complete_through, ..Snapshot::default() }));
        assert!(handle.passed(20, 60 * SECOND).await);
        life.stop.cancel();
    });
    world.borrow().check_passed(20);
}
