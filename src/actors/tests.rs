//! Supervision, on a runtime whose time is paused: children run on the test's own thread.

use super::{AddError, Child, ChildState, ChildStatus, Ended, Incarnation, Place, StopReport, Supervisor};
use crate::settings::PipelineSettings;
use std::cell::RefCell;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

fn paused<F: Future>(test: F) -> F::Output {
    let system = actix::System::with_tokio_rt(|| {
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
    });
    system.block_on(test)
}

async fn until(supervisor: &Supervisor, name: &str, reached: impl FnMut(&ChildStatus) -> bool) -> ChildStatus {
    let mut status = supervisor.follow(name).unwrap();
    let found = tokio::time::timeout(3600 * SECOND, status.wait_for(reached)).await;
    found.expect("never reached").expect("the child is gone").clone()
}

fn here<F, Fut>(name: &str, factory: F) -> Child
where
    F: Fn(Incarnation) -> Fut + Send + 'static,
    Fut: Future<Output = Ended> + 'static,
{
    Child::new(name, factory).place(Place::Here)
}

async fn until_stopped(incarnation: Incarnation) -> Ended {
    incarnation.stop.cancelled().await;
    Ended::Stopped
}

#[test]
fn failures_and_panics_build_the_child_anew_with_growing_waits() {
    paused(async {
        let supervisor = Supervisor::start(PipelineSettings::default(), 1);
        let births = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&births);
        let child = here("flaky", move |life| {
            seen.lock().unwrap().push(Instant::now());
            assert!(life.generation != 2, "the factory itself panics");
            async move {
                match life.generation {
                    1 => Ended::Failed("no table".to_owned()),
                    3 => panic!("in the pull loop"),
                    _ => until_stopped(life).await,
                }
            }
        });
        supervisor.add(child).await.unwrap();
        let status = until(&supervisor, "flaky", |s| s.generation == 4).await;
        assert_eq!((status.state, status.failures, status.panics), (ChildState::Running, 3, 2));
        let births = births.lock().unwrap().clone();
        let waits: Vec<Duration> = births.windows(2).map(|w| w[1] - w[0]).collect();
        for (wait, least) in waits.iter().zip([100, 200, 400]) {
            let least = Duration::from_millis(least);
            assert!(*wait >= least && *wait < least * 2 + Duration::from_millis(2), "{waits:?}");
        }
        assert_eq!(supervisor.stop(SECOND).await.clean, ["flaky"]);
    });
}

#[test]
fn a_child_that_failed_for_good_waits_for_an_operator() {
    paused(async {
        let supervisor = Supervisor::start(PipelineSettings::default(), 1);
        let child = here("gap", |life| async move {
            if life.generation == 1 { Ended::Final("a gap".to_owned()) } else { until_stopped(life).await }
        });
        supervisor.add(child).await.unwrap();
        until(&supervisor, "gap", |s| matches!(&s.state, ChildState::Failed { reason } if reason == "a gap")).await;
        tokio::time::sleep(1000 * SECOND).await;
        assert_eq!(supervisor.status()[0].generation, 1);
        assert_eq!(supervisor.restart("gap"), Ok(true));
        until(&supervisor, "gap", |s| s.generation == 2 && s.healthy()).await;
        // One that runs is ended first, then begins anew without a wait.
        let before = Instant::now();
        assert_eq!(supervisor.restart("gap"), Ok(true));
        until(&supervisor, "gap", |s| s.generation == 3 && s.healthy()).await;
        assert_eq!(before.elapsed(), Duration::ZERO);
        assert_eq!(supervisor.restart("nobody"), Ok(false));
    });
}

/// Says when it is dropped.
struct Dropped(Arc<AtomicU64>);
impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_stop_goes_stage_by_stage_and_cuts_at_its_deadline() {
    paused(async {
        let supervisor = Supervisor::start(PipelineSettings::default(), 1);
        let ends = Arc::new(Mutex::new(Vec::new()));
        for (name, stage) in [("intake", 0), ("statistics", 1), ("panel", 2)] {
            let ends = Arc::clone(&ends);
            let child = here(name, move |life: Incarnation| {
                let ends = Arc::clone(&ends);
                async move {
                    life.stop.cancelled().await;
                    tokio::time::sleep(SECOND).await;
                    ends.lock().unwrap().push(name);
                    Ended::Stopped
                }
            });
            supervisor.add(child.stage(stage)).await.unwrap();
        }
        let dropped = Arc::new(AtomicU64::new(0));
        let told = Arc::clone(&dropped);
        let deaf = here("deaf", move |_| {
            let guard = Dropped(Arc::clone(&told));
            async move {
                std::future::pending::<()>().await;
                drop(guard);
                Ended::Stopped
            }
        });
        supervisor.add(deaf.stage(1)).await.unwrap();
        for name in ["intake", "statistics", "panel", "deaf"] {
            until(&supervisor, name, ChildStatus::healthy).await;
        }
        let began = Instant::now();
        let report = supervisor.stop(30 * SECOND).await;
        let clean = ["intake", "statistics", "panel"].map(str::to_owned).to_vec();
        assert_eq!(report, StopReport { clean, cut: vec!["deaf".to_owned()], stuck: vec![] });
        assert_eq!(*ends.lock().unwrap(), ["intake", "statistics", "panel"]);
        assert_eq!(dropped.load(Ordering::SeqCst), 1);
        assert!(began.elapsed() <= 30 * SECOND);
        let late = supervisor.add(here("late", until_stopped)).await;
        assert!(matches!(late, Err(AddError::Ask(_))), "{late:?}");
    });
}

#[test]
fn a_stop_ends_the_wait_of_a_failed_child() {
    paused(async {
        let supervisor = Supervisor::start(PipelineSettings::default(), 1);
        supervisor.add(here("flaky", |_| async { Ended::Failed("always".to_owned()) })).await.unwrap();
        until(&supervisor, "flaky", |s| s.failures >= 10 && matches!(s.state, ChildState::Waiting { .. })).await;
        let began = Instant::now();
        assert_eq!(supervisor.stop(60 * SECOND).await.clean, ["flaky"]);
        assert_eq!(began.elapsed(), Duration::ZERO);
    });
}

#[test]
fn two_children_cannot_share_a_name() {
    paused(async {
        let supervisor = Supervisor::start(PipelineSettings::default(), 1);
        supervisor.add(here("one", until_stopped)).await.unwrap();
        let again = supervisor.add(here("one", until_stopped)).await;
        assert!(matches!(again, Err(AddError::Taken(name)) if name == "one"));
    });
}

thread_local! {
    static LIVES_HERE: RefCell<u64> = const { RefCell::new(0) };
}

#[test]
fn children_share_a_bounded_number_of_threads_of_their_own() {
    actix::System::new().block_on(async {
        let settings = PipelineSettings { threads: 2, ..PipelineSettings::default() };
        let supervisor = Supervisor::start(settings, 1);
        let seen = Arc::new(Mutex::new(std::collections::BTreeMap::new()));
        for n in 0..6 {
            let seen = Arc::clone(&seen);
            let child = Child::new(format!("c{n}"), move |life| {
                let mine = LIVES_HERE.with_borrow_mut(|lives| {
                    *lives += 1;
                    *lives
                });
                seen.lock().unwrap().insert(format!("{:?}", std::thread::current().id()), mine);
                until_stopped(life)
            });
            supervisor.add(child).await.unwrap();
        }
        for n in 0..6 {
            until(&supervisor, &format!("c{n}"), ChildStatus::healthy).await;
        }
        assert_eq!(supervisor.stop(60 * SECOND).await.clean.len(), 6);
        let seen = seen.lock().unwrap().clone();
        let me = format!("{:?}", std::thread::current().id());
        assert!(!seen.contains_key(&me) && seen.values().copied().collect::<Vec<_>>() == [3, 3], "{seen:?}");
    });
}

mod piped {
    //! A pipeline as a child: a panic in its sink, a fence, and what its handle says meanwhile.

    use super::*;
    use crate::actors::pipeline_child;
    use crate::log::{FlushReason, Limits, Log, LogError, LogId, Offset, Position, Range, Records};
    use crate::pipeline::{
        DeadError, DeadTarget, Held, Letter, Parts, Pipeline, PipelineHandle, Poison, Sink, SinkError, State,
    };
    use crate::pricing::Snapshot;
    use crate::telemetry::pipeline::PipelineMetrics;
    use crate::time::{ManualClock, Micros};

    const END: Offset = 30;

    struct Counted(LogId, Arc<Mutex<Position>>);
    impl Log for Counted {
        fn id(&self) -> &LogId {
            &self.0
        }
        async fn position(&mut self) -> Result<Option<Position>, LogError> {
            Ok(Some(*self.1.lock().unwrap()))
        }
        async fn read(&mut self, from: Offset, limits: &Limits, out: &mut Records) -> Result<FlushReason, LogError> {
            out.clear();
            let to = limits.end.unwrap_or(END).min(from.saturating_add(limits.rows as u64));
            (from..to).for_each(|offset| out.push(offset, Micros(0), b"x"));
            if out.is_empty() {
                tokio::time::sleep(limits.idle).await;
                return Ok(FlushReason::Idle);
            }
            Ok(FlushReason::Rows)
        }
        async fn store(&mut self, position: Position) -> Result<(), LogError> {
            *self.1.lock().unwrap() = position;
            Ok(())
        }
        fn end(&self) -> Offset {
            END
        }
    }

    struct Moody(u64);
    impl Sink for Moody {
        type Batch = ();
        fn name(&self) -> &'static str {
            "moody"
        }
        fn prepare(&mut self, _: &LogId, range: Range, _: &Records, _: &Snapshot, _: &mut Vec<Poison>) {
            assert!(self.0 != 1 || range.from == 0, "a bug in the first generation");
        }
        async fn held(&mut self, _: &LogId, _: Range, (): &()) -> Result<Held, SinkError> {
            Ok(Held::Nothing)
        }
        async fn write(&mut self, _: &LogId, range: Range, (): &(), _: &Held) -> Result<(), SinkError> {
            if self.0 == 2 && range.from > 10 { Err(SinkError::Fenced("another owner".to_owned())) } else { Ok(()) }
        }
    }

    struct Nobody;
    impl DeadTarget for Nobody {
        async fn bury(&mut self, _: &[Letter<'_>]) -> Result<(), DeadError> {
            Ok(())
        }
    }

    #[test]
    fn a_pipeline_that_panics_is_built_anew_and_one_that_is_fenced_is_not() {
        paused(async {
            let supervisor = Supervisor::start(PipelineSettings::default(), 1);
            let id = LogId { name: "spool-1".into(), partition: 0 };
            let handle = PipelineHandle::new("moody", id.clone());
            let (position, outside) = (Arc::new(Mutex::new(Position::default())), handle.clone());
            let build = move |life: Incarnation| {
                let parts = Parts {
                    log: Counted(id.clone(), Arc::clone(&position)),
                    sink: Moody(life.generation),
                    dead: Nobody,
                    limits: Limits { rows: 10, bytes: 1000, age: SECOND, idle: SECOND, end: None },
                    catalogue: None,
                    settings: PipelineSettings::default(),
                    clock: Arc::new(ManualClock::at(Micros(0))),
                    seed: life.generation,
                    stop: life.stop,
                    handle: outside.clone(),
                    metrics: PipelineMetrics::detached(),
                };
                async { Ok::<_, String>(Pipeline::new(parts)) }
            };
            supervisor.add(pipeline_child("moody", handle.clone(), build).place(Place::Here)).await.unwrap();

            let fenced =
                |s: &ChildStatus| matches!(&s.state, ChildState::Failed { reason } if reason.contains("owner"));
            let status = until(&supervisor, "moody", fenced).await;
            assert_eq!((status.generation, status.failures, status.panics), (2, 2, 1));
            let seen = handle.status();
            assert!(matches!(&seen.state, State::Failed { reason } if reason.contains("another owner")), "{seen:?}");
            assert_eq!((seen.next, seen.pinned, seen.written, seen.generation), (Some(20), Some(30), 20, 2));

            supervisor.restart("moody").unwrap();
            assert!(handle.passed(END, 60 * SECOND).await);
            assert_eq!(supervisor.stop(60 * SECOND).await.clean, ["moody"]);
            assert_eq!((handle.status().state, handle.status().written), (State::Stopped, 30));
        });
    }
}
