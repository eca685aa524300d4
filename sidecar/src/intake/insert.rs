//! Records that come from inside the process: dead letters that are replayed.
//!
//! They take the path of a request from its append on: a worker's write buffer, its group commit,
//! the table of idempotency keys. They are framed already and have been admitted once, so nothing
//! is parsed, and the rate of no key counts them.

use super::claim::claim;
use super::keys;
use super::turn::{FlushOnDrop, Turn, flush};
use super::worker::Worker;
use penstock::log::spool::{AppendError, Begin, Disk, Group, GroupBuf, Watermarks};
use penstock::log::{Offset, Range};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, mpsc, oneshot};

/// Records that wait for a worker.
const WAITING: usize = 64;

/// Where a record lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inserted {
    /// Partition of the spool.
    pub partition: u32,
    /// Its offset there.
    pub offset: Offset,
}

/// Why a record is not in the spool for sure.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InsertError {
    /// Nothing of it is there.
    #[error("{0}")]
    Refused(String),
    /// It may be there; the same call again tells, within `intake.idempotency_window`.
    #[error("{0}")]
    Unknown(String),
}

struct Job {
    key: Vec<u8>,
    body: Vec<u8>,
    done: oneshot::Sender<Result<Inserted, InsertError>>,
}

/// Hands records to the workers. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Inserter(mpsc::Sender<Job>);

/// The workers' end.
#[derive(Clone)]
pub(crate) struct Jobs(Arc<Mutex<mpsc::Receiver<Job>>>);

/// Both ends.
pub(crate) fn channel() -> (Inserter, Jobs) {
    let (sender, receiver) = mpsc::channel(WAITING);
    (Inserter(sender), Jobs(Arc::new(Mutex::new(receiver))))
}

impl Inserter {
    /// Appends a framed record and waits until it is on the device. The same key with the same
    /// record is appended once within `intake.idempotency_window`, also over a crash.
    ///
    /// Errors: [`InsertError`].
    pub async fn insert(&self, key: &[u8], body: &[u8]) -> Result<Inserted, InsertError> {
        let (done, heard) = oneshot::channel();
        let job = Job { key: key.to_vec(), body: body.to_vec(), done };
        let draining = || InsertError::Refused("the sidecar takes no more events".to_owned());
        self.0.send(job).await.map_err(|_| draining())?;
        heard.await.unwrap_or_else(|_| Err(InsertError::Unknown("the sidecar stopped meanwhile".to_owned())))
    }
}

/// Takes jobs as long as the worker lives.
pub(crate) async fn serve(worker: Weak<Worker>, jobs: Jobs) {
    loop {
        let Some(job) = jobs.0.lock().await.recv().await else { return };
        let Some(worker) = worker.upgrade() else {
            let _gone = job.done.send(Err(InsertError::Refused("the worker has ended".to_owned())));
            return;
        };
        // Side by side, so that many share a sync.
        actix_rt::spawn(async move {
            let inserted = worker.insert(&job.key, &job.body).await;
            let _gone = job.done.send(inserted);
        });
    }
}

/// A record in the write buffer.
struct Put {
    range: Range,
    partition: u32,
    turn: Rc<Turn>,
    marks: Arc<Watermarks>,
}

/// How the answer of a record's group begins; nobody is given it.
const ANSWER: &[u8] = b"inserted";

impl<D: Disk> Worker<D> {
    async fn insert(&self, key: &[u8], body: &[u8]) -> Result<Inserted, InsertError> {
        let intake = self.intake();
        let (key, hash) = (keys::inserted(key), keys::body_hash("insert", body));
        loop {
            let answer = match intake.spool.keys().begin(&key, &hash) {
                Err(full) => return Err(InsertError::Refused(full.to_string())),
                Ok(Begin::Conflict) => return Err(InsertError::Refused("its key has another record".to_owned())),
                Ok(Begin::Done(answer)) => answer,
                Ok(Begin::Wait(wait)) => match wait.answer().await {
                    Some(answer) => answer,
                    None => continue,
                },
                Ok(Begin::New(guard)) => {
                    let mut records = GroupBuf::new();
                    records.push(body);
                    let put = self.put(&Group { records: &records, key: Some(guard.key()), answer: ANSWER })?;
                    return self.written(put).await;
                }
            };
            if let Ok(marks) = intake.spool.watermarks(answer.partition) {
                on_device(&marks, answer.range.to, intake.sync_timeout).await?;
            }
            return Ok(Inserted { partition: answer.partition, offset: answer.range.from });
        }
    }

    fn put(&self, group: &Group<'_>) -> Result<Put, InsertError> {
        let refused = |why: String| InsertError::Refused(why);
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        let claimed = match &mut state.writer {
            Some(claimed) => claimed,
            none => {
                let claimed = claim(&self.intake().spool, &mut state.next_partition);
                none.insert(claimed.map_err(|problem| refused(problem.to_string()))?)
            }
        };
        match claimed.writer.append(group) {
            Ok(range) => {
                let turn = state.turn.get_or_insert_with(Rc::default);
                turn.join();
                let (turn, marks) = (Rc::clone(turn), Arc::clone(&claimed.marks));
                Ok(Put { range, partition: claimed.partition, turn, marks })
            }
            Err(error) => {
                if matches!(error, AppendError::Failed(_)) {
                    flush(state, &self.accounts);
                    state.writer = None;
                }
                Err(refused(error.to_string()))
            }
        }
    }

    async fn written(&self, put: Put) -> Result<Inserted, InsertError> {
        let Put { range, partition, turn, marks } = put;
        {
            let _flush = FlushOnDrop { worker: self, turn: &turn };
            tokio::task::yield_now().await;
        }
        if let Some(Err(_)) = turn.of(range.to) {
            return Err(InsertError::Refused("the spool did not take the write".to_owned()));
        }
        on_device(&marks, range.to, self.intake().sync_timeout).await?;
        Ok(Inserted { partition, offset: range.from })
    }
}

/// Waits until everything below `to` is on the device.
async fn on_device(marks: &Watermarks, to: Offset, longest: Duration) -> Result<(), InsertError> {
    match tokio::time::timeout(longest, marks.wait_synced(to)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(failed)) => Err(InsertError::Unknown(failed.to_string())),
        Err(_) => Err(InsertError::Unknown("the device did not sync in time".to_owned())),
    }
}
