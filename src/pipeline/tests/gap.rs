//! A pipeline before a gap: it waits for a person, and then holds what is left exactly once.

use super::{CancellationToken, RuntimeClock, id, limits};
use crate::log::{FlushReason, Limits, Log, LogError, LogId, Offset, Position, Range, Records};
use crate::pipeline::{
    DeadError, DeadTarget, GAP, GapAnswer, Held, Letter, Parts, Pipeline, PipelineError, PipelineHandle, Poison, Sink,
    SinkError, State,
};
use crate::pricing::Snapshot;
use crate::settings::PipelineSettings;
use crate::telemetry::pipeline::PipelineMetrics;
use crate::time::Micros;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// What outlives the pipeline.
struct World {
    /// Retention has taken everything before it.
    start: Offset,
    end: Offset,
    position: Position,
    held: BTreeMap<Offset, u32>,
    letters: Vec<(Offset, String)>,
    answer: GapAnswer,
}

type Shared = Rc<RefCell<World>>;

struct Cut(Shared, LogId);

impl Log for Cut {
    fn id(&self) -> &LogId {
        &self.1
    }
    async fn position(&mut self) -> Result<Option<Position>, LogError> {
        Ok(Some(self.0.borrow().position))
    }
    async fn read(&mut self, from: Offset, limits: &Limits, out: &mut Records) -> Result<FlushReason, LogError> {
        out.clear();
        let (start, end) = (self.0.borrow().start, self.0.borrow().end);
        if from < start {
            return Err(LogError::Gap { log: self.1.clone(), wanted: from, start });
        }
        let to = limits.end.unwrap_or(end).min(end);
        (from..to).take(limits.rows).for_each(|offset| out.push(offset, Micros(1), b"x"));
        if out.is_empty() {
            tokio::time::sleep(limits.idle).await;
        }
        Ok(if out.is_empty() { FlushReason::Idle } else { FlushReason::End })
    }
    async fn store(&mut self, position: Position) -> Result<(), LogError> {
        self.0.borrow_mut().position = position;
        Ok(())
    }
    fn end(&self) -> Offset {
        self.0.borrow().end
    }
}

struct Store(Shared);

impl Sink for Store {
    type Batch = Vec<Offset>;
    fn name(&self) -> &'static str {
        "store"
    }
    fn prepare(&mut self, _: &LogId, _: Range, records: &Records, _: &Snapshot, _: &mut Vec<Poison>) -> Vec<Offset> {
        records.iter().map(|r| r.offset).collect()
    }
    async fn held(&mut self, _: &LogId, range: Range, _: &Vec<Offset>) -> Result<Held, SinkError> {
        Ok(Held::Some(self.0.borrow().held.range(range.from..range.to).map(|(offset, _)| *offset).collect()))
    }
    async fn write(&mut self, _: &LogId, _: Range, batch: &Vec<Offset>, held: &Held) -> Result<(), SinkError> {
        let there: &[Offset] = if let Held::Some(offsets) = held { offsets } else { &[] };
        let mut world = self.0.borrow_mut();
        for offset in batch.iter().filter(|offset| !there.contains(offset)) {
            *world.held.entry(*offset).or_insert(0) += 1;
        }
        Ok(())
    }
}

struct Letters(Shared);

impl DeadTarget for Letters {
    async fn bury(&mut self, letters: &[Letter<'_>]) -> Result<(), DeadError> {
        let letters = letters.iter().map(|l| (l.offset, l.code.to_owned()));
        self.0.borrow_mut().letters.extend(letters);
        Ok(())
    }
    async fn answer(&mut self, sink: &str, log: &LogId, offset: Offset) -> Result<GapAnswer, DeadError> {
        assert_eq!((sink, log, offset), ("store", &id(), 3), "the letter's own key");
        Ok(self.0.borrow().answer.clone())
    }
}

fn world(position: Position, held: &[Offset]) -> Shared {
    let held = held.iter().map(|offset| (*offset, 1)).collect();
    let answer = GapAnswer::NotYet;
    Rc::new(RefCell::new(World { start: 10, end: 20, position, held, letters: Vec::new(), answer }))
}

fn pipeline(world: &Shared, handle: &PipelineHandle, stop: &CancellationToken) -> Pipeline<Cut, Store, Letters> {
    Pipeline::new(Parts {
        log: Cut(Rc::clone(world), id()),
        sink: Store(Rc::clone(world)),
        dead: Letters(Rc::clone(world)),
        limits: limits(),
        catalogue: None,
        settings: PipelineSettings::default(),
        clock: Arc::new(RuntimeClock(Instant::now())),
        seed: 1,
        stop: stop.clone(),
        handle: handle.clone(),
        metrics: PipelineMetrics::detached(),
    })
}

/// Lets the pipeline stand before the gap for a while, answers, and runs its next life to the end.
async fn passed(world: &Shared) {
    let (handle, stop) = (PipelineHandle::new("store", id()), CancellationToken::new());
    let answering = async {
        tokio::time::sleep(Duration::from_secs(60)).await;
        let State::Failed { reason } = handle.status().state else { panic!("{:?}", handle.status()) };
        assert!(reason.contains("[3, 10)") && reason.contains("gap list"), "{reason}");
        // Retention goes on while a person thinks.
        world.borrow_mut().start = 11;
        world.borrow_mut().answer = GapAnswer::Skip { who: "ann".to_owned(), why: "kept elsewhere".to_owned() };
    };
    let (ended, ()) = tokio::join!(pipeline(world, &handle, &stop).run(), answering);
    let error = ended.unwrap_err();
    assert!(matches!(&error, PipelineError::Passed { gap: Range { from: 3, to: 11 }, .. }), "{error}");
    assert!(error.may_pass(), "a new life begins behind it");
    let next = PipelineHandle::new("store", id());
    let stopping = async {
        assert!(next.passed(20, Duration::from_secs(60)).await);
        stop.cancel();
    };
    let (ended, ()) = tokio::join!(pipeline(world, &next, &stop).run(), stopping);
    ended.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_pipeline_stands_before_a_gap_until_a_person_lets_it_pass() {
    let world = world(Position::at(3), &[0, 1, 2]);
    passed(&world).await;
    let world = world.borrow();
    assert_eq!(world.letters, [(3, GAP.to_owned())], "the loss is written down once");
    let held: Vec<Offset> = world.held.keys().copied().collect();
    assert_eq!(held, (0..3).chain(11..20).collect::<Vec<_>>());
    assert!(world.held.values().all(|times| *times == 1));
}

#[tokio::test(start_paused = true)]
async fn what_is_left_of_a_pinned_range_is_asked_for_before_it_is_written() {
    // An earlier life pinned [3, 15) and had written 5, 12 and 13 of it.
    let world = world(Position { next: 3, pinned: Some(15), hint: 0 }, &[0, 1, 2, 5, 12, 13]);
    passed(&world).await;
    let world = world.borrow();
    assert_eq!(world.held.keys().copied().collect::<Vec<_>>(), (0..3).chain([5]).chain(11..20).collect::<Vec<_>>());
    assert!(world.held.values().all(|times| *times == 1), "{:?}", world.held);
}

#[tokio::test(start_paused = true)]
async fn without_anybody_to_ask_a_gap_ends_the_pipeline() {
    let world = world(Position::at(3), &[]);
    world.borrow_mut().answer = GapAnswer::Never;
    let handle = PipelineHandle::new("store", id());
    let ended = pipeline(&world, &handle, &CancellationToken::new()).run().await;
    let error = ended.unwrap_err();
    assert!(matches!(error, PipelineError::Gap { wanted: 3, start: 10, .. }) && !error.may_pass(), "{error}");
}
