//! Tails the campaign-state log into the stop list and keeps the snapshot on disk.
//!
//! The snapshot is durable before the position is stored, so retention never passes what only
//! memory holds. The snapshot, not the stored position, says where reading goes on: without it,
//! the log is read from its start.

use super::board::StopList;
use super::snapshot::Snapshot;
use penstock::ledger::StateRecord;
use penstock::log::{Limits, Log, LogError, Offset, Position, Records};
use penstock::time::Micros;
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How the follower runs.
#[derive(Clone, Debug)]
pub struct Following {
    /// The snapshot's file; `None` keeps it in memory only.
    pub snapshot: Option<PathBuf>,
    /// How often a changed list is saved.
    pub interval: Duration,
}

/// One turn takes at most this much, so that a long backlog shows early and memory is bounded.
const LIMITS: Limits =
    Limits { rows: 10_000, bytes: 4 << 20, age: Duration::ZERO, idle: Duration::from_millis(500), end: None };
const BACK_OFF: [Duration; 4] =
    [Duration::from_millis(50), Duration::from_millis(250), Duration::from_secs(1), Duration::from_secs(5)];

/// What the log has lost before we could read it; until it is told again, answers are stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loss {
    Nothing,
    /// Something from before our start. A publisher tells every campaign's state again when it
    /// starts, and gives a sign of life after that: on the embedded profile it starts with us.
    BeforeStart,
    /// Something from while we ran: nobody will tell it before the next start.
    Since,
}

/// What one batch said besides the states.
struct Taken {
    next: Offset,
    /// When the newest damaged or unreadable record was appended.
    lost: Option<Micros>,
    /// When the newest heartbeat was appended.
    beat: Option<Micros>,
}

/// Follows `log` until `shutdown`; saves a last snapshot before it returns.
///
/// Nothing ends it before: an error of the log is reported and tried again, and shows as `stale`.
pub async fn follow<L: Log>(list: StopList, mut log: L, how: Following, shutdown: CancellationToken) {
    let started = list.now();
    let (mut next, mut loss) = start(&list, &log, &how).await;
    let (first, mut backlog) = (next, log.end());
    let mut records = Records::new();
    let mut saved = next;
    let mut save_at = Instant::now() + how.interval;
    let mut failures = 0;
    while !shutdown.is_cancelled() {
        let current = next >= backlog && loss == Loss::Nothing;
        if current != list.caught_up() {
            tracing::info!(next, backlog, ?loss, version = list.version(), current, "the stop list");
            list.set_caught_up(current);
        }
        let read = tokio::select! {
            () = shutdown.cancelled() => break,
            read = log.read(next, &LIMITS, &mut records) => read,
        };
        if backlog == Offset::MAX {
            // A log of servers knows its end only when they have answered.
            backlog = log.end();
        }
        match read {
            Ok(_) => {
                failures = 0;
                let taken = take(&list, &records, next);
                next = taken.next;
                match taken.lost {
                    Some(at) if at >= started => loss = Loss::Since,
                    Some(_) if loss == Loss::Nothing => loss = Loss::BeforeStart,
                    _ => {}
                }
                if loss == Loss::BeforeStart && taken.beat.is_some_and(|at| at >= started) {
                    loss = Loss::Nothing;
                }
            }
            Err(LogError::Gap { start, .. }) => {
                tracing::error!(next, start, "the campaign-state log has lost records; answers are stale");
                loss = if next == first && loss != Loss::Since { Loss::BeforeStart } else { Loss::Since };
                next = start;
            }
            Err(error) => {
                let wait = BACK_OFF[failures.min(BACK_OFF.len() - 1)];
                tracing::warn!(%error, ?wait, "the campaign-state log cannot be read");
                failures += 1;
                tokio::select! {
                    () = shutdown.cancelled() => break,
                    () = tokio::time::sleep(wait) => {}
                }
            }
        }
        if next != saved && Instant::now() >= save_at {
            if save(&list, &mut log, &how, next, loss).await {
                saved = next;
            }
            save_at = Instant::now() + how.interval;
        }
    }
    if next != saved {
        save(&list, &mut log, &how, next, loss).await;
    }
}

/// Restores the snapshot when it belongs to this log; returns where to read on.
async fn start<L: Log>(list: &StopList, log: &L, how: &Following) -> (Offset, Loss) {
    const FROM_THE_START: (Offset, Loss) = (0, Loss::Nothing);
    let Some(path) = how.snapshot.clone() else { return FROM_THE_START };
    let id = log.id();
    match blocking(move || Snapshot::read(&path)).await {
        Some(Ok(Some(snapshot))) if snapshot.log != *id.name || snapshot.partition != id.partition => {
            tracing::warn!(snapshot = snapshot.log, log = %id, "the stop list's snapshot is of another log; not used");
            FROM_THE_START
        }
        Some(Ok(Some(snapshot))) if snapshot.next > log.end() => {
            tracing::warn!(next = snapshot.next, end = log.end(), "the stop list's snapshot is ahead of its log");
            FROM_THE_START
        }
        Some(Ok(Some(snapshot))) => {
            list.restore(&snapshot);
            (snapshot.next, if snapshot.whole { Loss::Nothing } else { Loss::BeforeStart })
        }
        Some(Ok(None)) | None => FROM_THE_START,
        Some(Err(error)) => {
            tracing::warn!(%error, "the stop list's snapshot cannot be used; the log is read from its start");
            FROM_THE_START
        }
    }
}

/// Takes in one batch.
fn take(list: &StopList, records: &Records, next: Offset) -> Taken {
    let mut taken = Taken { next: records.range().map_or(next, |range| range.to), lost: None, beat: None };
    let mut states: Vec<StateRecord> = Vec::with_capacity(records.len());
    for record in records.iter() {
        let state =
            record.body.map_err(|e| e.to_string()).and_then(|b| StateRecord::decode(b).map_err(|e| e.to_string()));
        match state {
            Ok(state) => {
                if matches!(state, StateRecord::Heartbeat(_)) {
                    taken.beat = Some(record.appended);
                }
                states.push(state);
            }
            Err(error) => {
                tracing::error!(offset = record.offset, %error, "a record of the campaign-state log is lost");
                taken.lost = Some(record.appended);
            }
        }
    }
    list.apply(&states);
    if let Some(last) = records.len().checked_sub(1).and_then(|i| records.get(i)) {
        list.hear(last.appended);
    }
    taken
}

/// Saves the snapshot, then the position. Returns whether both stand.
///
/// Without a snapshot file no position is stored either: the next start needs the whole log.
async fn save<L: Log>(list: &StopList, log: &mut L, how: &Following, next: Offset, loss: Loss) -> bool {
    let Some(path) = how.snapshot.clone() else { return true };
    let snapshot = list.save(log.id().name.to_string(), log.id().partition, next, loss == Loss::Nothing);
    match blocking(move || snapshot.write(&path)).await {
        Some(Ok(())) => {}
        Some(Err(error)) => {
            tracing::warn!(%error, "the stop list could not be saved");
            return false;
        }
        None => return false,
    }
    match log.store(Position::at(next)).await {
        Ok(()) => true,
        Err(error) => {
            tracing::warn!(%error, "the stop list's position could not be stored");
            false
        }
    }
}

/// File work off the event loop; `None` when the runtime is going down.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}

#[cfg(test)]
#[path = "follow_tests.rs"]
mod tests;
