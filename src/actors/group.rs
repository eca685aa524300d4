//! The pipelines of one sink over what a consumer group gives this process.
//!
//! Each partition that was ever ours has a supervised child of its own. While the partition is
//! ours the child runs a pipeline; when it is revoked the pipeline is dropped where it stands, as a
//! crash would (never drained: the group waits for nobody), and the child waits to own it again.
//! What it had begun is found by the next owner's pin.

use super::{Child, Ended, Incarnation, Supervisor};
use crate::log::kafka::{Assignment, Member, Owner};
use crate::log::{Log, LogId};
use crate::pipeline::{DeadTarget, Pipeline, PipelineError, PipelineHandle, Sink};
use crate::telemetry::PipelineMetrics;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The pipelines that run in this process now; they come and go with the assignments. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Handles(Arc<Mutex<BTreeMap<LogId, PipelineHandle>>>);

impl Handles {
    /// All of them, by partition.
    #[must_use]
    pub fn all(&self) -> Vec<PipelineHandle> {
        self.lock().values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<LogId, PipelineHandle>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One ownership of one partition by one generation of its child: what a pipeline is built from.
#[derive(Clone)]
pub struct Life {
    /// The right to the partition, for its [`KafkaLog`](crate::log::kafka::KafkaLog).
    pub owner: Owner,
    /// The pipeline's outside.
    pub handle: PipelineHandle,
    /// Cancelled when the process stops.
    pub stop: CancellationToken,
    /// Of the child, from 1.
    pub generation: u64,
}

/// A child that follows the group's assignments and keeps a child for each partition under
/// `supervisor`; the gauges of partitions that go to others are taken from `metrics`. `build` makes
/// a pipeline anew for each life; its error is one sentence, and the next generation tries again.
pub fn group_child<F, Fut, L, S, D>(
    sink: &'static str,
    stage: u8,
    member: Arc<Member>,
    supervisor: Supervisor,
    handles: Handles,
    metrics: PipelineMetrics,
    build: F,
) -> Child
where
    F: Fn(Life) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Result<Pipeline<L, S, D>, String>> + 'static,
    L: Log + 'static,
    S: Sink + 'static,
    D: DeadTarget + 'static,
{
    Child::new(format!("{sink} group"), move |Incarnation { stop, .. }| {
        let (member, supervisor, handles, metrics, build) =
            (Arc::clone(&member), supervisor.clone(), handles.clone(), metrics.clone(), build.clone());
        async move {
            let mut assignment = member.assignment();
            let mut known = BTreeSet::new();
            loop {
                let now: Assignment = assignment.borrow_and_update().clone();
                handles.lock().retain(|log, _| now.partitions.contains(log));
                for log in now.partitions {
                    if !known.insert(log.clone()) {
                        continue;
                    }
                    let child = partition_child(
                        sink,
                        log,
                        Arc::clone(&member),
                        handles.clone(),
                        metrics.clone(),
                        build.clone(),
                    );
                    if let Err(error) = supervisor.add(child.stage(stage)).await {
                        match error {
                            super::AddError::Taken(_) => {} // by an earlier life of this child
                            other => return Ended::Failed(other.to_string()),
                        }
                    }
                }
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return Ended::Stopped,
                    changed = assignment.changed() => if changed.is_err() {
                        return Ended::Final("the group's thread has ended".to_owned());
                    },
                }
            }
        }
    })
    .stage(stage)
}

fn partition_child<F, Fut, L, S, D>(
    sink: &'static str,
    log: LogId,
    member: Arc<Member>,
    handles: Handles,
    metrics: PipelineMetrics,
    build: F,
) -> Child
where
    F: Fn(Life) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Result<Pipeline<L, S, D>, String>> + 'static,
    L: Log + 'static,
    S: Sink + 'static,
    D: DeadTarget + 'static,
{
    let handle = PipelineHandle::new(sink, log.clone());
    Child::new(format!("{sink}/{log}"), move |Incarnation { generation, stop }| {
        let (log, member, handles, metrics, build, handle) =
            (log.clone(), Arc::clone(&member), handles.clone(), metrics.clone(), build.clone(), handle.clone());
        async move {
            let mut assignment = member.assignment();
            loop {
                let Some(owner) = owned(&log, &member, &mut assignment, &stop).await else { return Ended::Stopped };
                handle.begin(generation);
                handles.lock().insert(log.clone(), handle.clone());
                let life = Life { owner: owner.clone(), handle: handle.clone(), stop: stop.clone(), generation };
                let fallen = super::pipeline::Fallen::new(handle.clone());
                let ended = tokio::select! {
                    biased;
                    () = owner.revoked() => None, // drops the pipeline
                    ended = run(build(life), &handle) => Some(ended),
                };
                fallen.defuse();
                match ended {
                    None => {
                        handle.fail("another process owns the partition");
                        metrics.forget(sink, &log);
                    }
                    // Refused by the broker: the group will say who owns it.
                    Some(Ended::Failed(_) | Ended::Final(_)) if !owner.is_current() => {}
                    Some(ended) => return ended,
                }
            }
        }
    })
}

/// Waits until the partition is ours; `None` when the process stops first.
async fn owned(
    log: &LogId,
    member: &Member,
    assignment: &mut watch::Receiver<Assignment>,
    stop: &CancellationToken,
) -> Option<Owner> {
    loop {
        assignment.mark_unchanged();
        if let Some(owner) = member.owner(log) {
            return Some(owner);
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return None,
            changed = assignment.changed() => if changed.is_err() {
                return None;
            },
        }
    }
}

async fn run<L: Log, S: Sink, D: DeadTarget>(
    build: impl Future<Output = Result<Pipeline<L, S, D>, String>>,
    handle: &PipelineHandle,
) -> Ended {
    match build.await {
        Err(reason) => {
            handle.fail(&reason);
            Ended::Failed(reason)
        }
        Ok(pipeline) => match pipeline.run().await {
            Ok(()) => Ended::Stopped,
            // The partition may be ours all the same: an earlier owner's last write can reach the
            // sink after we had asked it where it stands. A new life asks again.
            Err(error @ PipelineError::Fenced { .. }) => Ended::Failed(error.to_string()),
            Err(error) if error.may_pass() => Ended::Failed(error.to_string()),
            Err(error) => Ended::Final(error.to_string()),
        },
    }
}
