//! A pipeline as a supervised child: built anew each generation, watched through one handle.

use super::{Child, Ended, Incarnation};
use crate::log::Log;
use crate::pipeline::{DeadTarget, Pipeline, PipelineHandle, Sink};
use std::future::Future;

/// A child that builds a pipeline and runs it.
///
/// `build` opens everything anew (reader, sink, dead letters) and passes on the incarnation's
/// `stop` and a clone of `handle`; its error is one sentence, and the next generation tries again.
/// A pipeline that was fenced or met a gap stays down until an operator restarts it.
pub fn pipeline_child<F, Fut, L, S, D>(name: impl Into<String>, handle: PipelineHandle, build: F) -> Child
where
    F: Fn(Incarnation) -> Fut + Send + 'static,
    Fut: Future<Output = Result<Pipeline<L, S, D>, String>> + 'static,
    L: Log + 'static,
    S: Sink + 'static,
    D: DeadTarget + 'static,
{
    Child::new(name, move |incarnation| {
        handle.begin(incarnation.generation);
        let fallen = Fallen::new(handle.clone());
        let built = build(incarnation);
        let handle = handle.clone();
        async move {
            let ended = match built.await {
                Err(reason) => {
                    handle.fail(&reason);
                    Ended::Failed(reason)
                }
                Ok(pipeline) => match pipeline.run().await {
                    Ok(()) => Ended::Stopped,
                    Err(error) if error.may_pass() => Ended::Failed(error.to_string()),
                    Err(error) => Ended::Final(error.to_string()),
                },
            };
            fallen.defuse();
            ended
        }
    })
}

/// Marks the pipeline as failed when its future is dropped before its end: a panic, or a cut.
pub(super) struct Fallen(Option<PipelineHandle>);

impl Fallen {
    pub fn new(handle: PipelineHandle) -> Self {
        Fallen(Some(handle))
    }

    pub fn defuse(mut self) {
        self.0 = None;
    }
}

impl Drop for Fallen {
    fn drop(&mut self) {
        if let Some(handle) = self.0.take() {
            handle.fail("it panicked, or was cut short");
        }
    }
}
