//! The pipeline over the archive, killed between the files of a range.

use super::super::{ArchiveSink, ArchiveStore};
use super::{events, files, log, settings};
use penstock::log::{FlushReason, Limits, Log, LogError, LogId, Offset, Position, Records};
use penstock::pipeline::{DeadError, DeadTarget, Letter, Parts, Pipeline, PipelineHandle};
use penstock::settings::PipelineSettings;
use penstock::telemetry::{ArchiveMetrics, PipelineMetrics};
use penstock::time::{ManualClock, Micros};
use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Builder;
use tokio_util::sync::CancellationToken;

const EVENTS: u64 = 400;

/// All events at once, and a position that survives.
struct Memory {
    id: LogId,
    events: Rc<Records>,
    position: Rc<RefCell<Position>>,
}

impl Log for Memory {
    fn id(&self) -> &LogId {
        &self.id
    }

    async fn position(&mut self) -> Result<Option<Position>, LogError> {
        Ok(Some(*self.position.borrow()))
    }

    async fn read(&mut self, from: Offset, limits: &Limits, out: &mut Records) -> Result<FlushReason, LogError> {
        out.clear();
        for record in self.events.iter().skip(usize::try_from(from).unwrap()) {
            if limits.end == Some(record.offset) {
                return Ok(FlushReason::End);
            }
            if out.len() >= limits.rows {
                return Ok(FlushReason::Rows);
            }
            out.push(record.offset, record.appended, record.body.unwrap());
        }
        if limits.end == Some(EVENTS) {
            return Ok(FlushReason::End);
        }
        if out.is_empty() {
            tokio::time::sleep(limits.idle).await;
            return Ok(FlushReason::Idle);
        }
        Ok(FlushReason::Age)
    }

    async fn store(&mut self, position: Position) -> Result<(), LogError> {
        *self.position.borrow_mut() = position;
        Ok(())
    }

    fn end(&self) -> Offset {
        EVENTS
    }
}

struct NoPoison;

impl DeadTarget for NoPoison {
    async fn bury(&mut self, letters: &[Letter<'_>]) -> Result<(), DeadError> {
        panic!("{letters:?}");
    }
}

/// Runs one life of the pipeline over the archive in `root` until it has written `killed_after` files.
///
/// A life has a runtime of its own. Its end drops what waits and lets file operations that have
/// begun come to their end, so none of them reaches into the next life or under a later look.
fn life(root: &Path, events: &Rc<Records>, position: &Rc<RefCell<Position>>, killed_after: u64) {
    let runtime = Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(lived(counted(root), events, position, killed_after));
}

async fn lived(
    (store, metrics): (ArchiveStore, ArchiveMetrics),
    events: &Rc<Records>,
    position: &Rc<RefCell<Position>>,
    killed_after: u64,
) {
    let handle = PipelineHandle::new("archive", log());
    let stop = CancellationToken::new();
    let settings = settings(3);
    let parts = Parts {
        log: Memory { id: log(), events: Rc::clone(events), position: Rc::clone(position) },
        sink: ArchiveSink::new(store, &settings).unwrap(),
        dead: NoPoison,
        limits: Limits { rows: 100, ..ArchiveSink::limits(&settings) },
        catalogue: None,
        settings: PipelineSettings::default(),
        clock: Arc::new(ManualClock::at(Micros::from_secs(1_510_000_000))),
        seed: 1,
        stop: stop.clone(),
        handle: handle.clone(),
        metrics: PipelineMetrics::detached(),
    };
    tokio::select! {
        biased;
        () = async {
            while metrics.files.get() < killed_after {
                tokio::task::yield_now().await;
            }
        } => {} // dropped where it stands
        ended = Pipeline::new(parts).run() => ended.unwrap(),
        () = async {
            assert!(handle.passed(EVENTS, Duration::from_secs(3600)).await);
        } => {}
    }
}

/// The archive's folder, and what this life writes into it.
fn counted(root: &Path) -> (ArchiveStore, ArchiveMetrics) {
    let metrics = ArchiveMetrics::default();
    (ArchiveStore::open(root, "spool-00ff", Duration::from_secs(60), metrics.clone()).unwrap(), metrics)
}

#[test]
fn killed_between_the_files_of_a_range_it_ends_with_the_folder_of_a_calm_run() {
    let (calm, killed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let events = Rc::new(events(0, EVENTS));
    life(calm.path(), &events, &Rc::default(), u64::MAX);
    let calm = files(calm.path());
    assert_eq!(calm.len(), 4 * 20);

    // Twenty files a range and eight at once: a kill after a few leaves some of them.
    let position = Rc::new(RefCell::new(Position::default()));
    let mut partly = 0;
    for lives in 1.. {
        let few = if lives % 4 == 0 { 60 } else { 1 + lives % 11 };
        life(killed.path(), &events, &position, few);
        let found = files(killed.path()).keys().filter(|name| !name.contains('#')).count();
        partly += u64::from(found % 20 != 0);
        if position.borrow().next == EVENTS {
            break;
        }
        assert!(lives < 100, "does not come to an end");
    }
    // How often is the machine's affair; the cuts of the compaction's tests leave nothing to it.
    eprintln!("killed within a range {partly} times");
    assert_eq!(files(killed.path()), calm);
}
