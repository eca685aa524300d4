//! The pipelines of a sink over the partitions that the consumer group assigns to this process.

use super::Feed;
use crate::parts::Maker;
use crate::roles::{dead, registry};
use anyhow::Context;
use penstock::actors::{Life, group_child};
use penstock::log::Limits;
use penstock::log::kafka::{FetchOptions, Fetcher, GroupOptions, KafkaLog, KafkaLogParts, Member};
use penstock::pipeline::{Parts, Pipeline, Sink};
use penstock::pricing::Snapshot;
use penstock::telemetry::{KafkaLogMetrics, PipelineMetrics};
use std::sync::Arc;
use tokio::sync::watch;

/// Pipelines stop first.
const PIPELINES: u8 = 0;

impl Feed {
    /// Joins the group of `sink` and runs a pipeline for each partition while it is ours.
    ///
    /// Errors: the configuration cannot be used.
    pub async fn consume<S: Sink + 'static>(
        &self,
        sink: &'static str,
        limits: Limits,
        catalogue: Option<watch::Receiver<Arc<Snapshot>>>,
        make: impl Maker<S>,
    ) -> anyhow::Result<()> {
        let role = &self.role;
        let (kafka, consume) = (&role.settings.kafka, &role.settings.consume);
        let folder = role.settings.data_dir();
        let ids = registry::start(role, &folder)?;
        let log_metrics = role.registry.with(KafkaLogMetrics::register);
        let metrics = role.registry.with(PipelineMetrics::register);
        let gather = FetchOptions::gather_for(limits.age);
        let options = FetchOptions { group: consume.group(sink), ahead_bytes: consume.ahead_bytes, gather };
        let fetcher = Fetcher::new(kafka, &options).context("cannot read from Kafka")?;
        let letters = dead::answered(kafka, consume.group(sink), &role.clock).context("cannot write to Kafka")?;
        let options = GroupOptions {
            group: consume.group(sink),
            // Every type may carry a price and is a figure of its campaign, so every sink takes all.
            topics: kafka.event_topics(),
            instance: consume.instance(&folder),
            session_timeout: consume.session_timeout,
            commit_timeout: consume.commit_timeout,
        };
        let member = Arc::new(Member::join(kafka, &options, log_metrics.clone()).context("cannot read from Kafka")?);
        self.show(&member);
        let (settings, clock) = (role.settings.pipeline.clone(), role.clock.clone());
        let gauges = metrics.clone();
        let build = move |life: Life| {
            let (limits, catalogue, settings, clock) =
                (limits.clone(), catalogue.clone(), settings.clone(), clock.clone());
            let (letters, metrics, fetcher, ids) = (letters.clone(), metrics.clone(), fetcher.clone(), ids.clone());
            let log_metrics = log_metrics.clone();
            let made = make(life.stop.clone());
            async move {
                let id = life.owner.log().clone();
                let seed = clock.now().0.unsigned_abs() ^ id.seed();
                Ok(Pipeline::new(Parts {
                    sink: made.await?,
                    log: KafkaLog::new(KafkaLogParts {
                        metrics: log_metrics.of(&id),
                        id,
                        fetcher,
                        owner: Some(life.owner),
                        registry: ids,
                        clock: clock.clone(),
                    }),
                    dead: letters,
                    limits,
                    catalogue,
                    settings,
                    seed,
                    clock,
                    stop: life.stop,
                    handle: life.handle,
                    metrics,
                }))
            }
        };
        let (supervisor, pipelines) = (self.supervisor.clone(), self.pipelines.clone());
        let child = group_child(sink, PIPELINES, member, supervisor, pipelines, gauges, build);
        self.supervisor.add(child).await.context("the group's pipelines")
    }

    /// Readiness tells whether the group has us, and which pipelines are down.
    fn show(&self, member: &Arc<Member>) {
        let (assignment, pipelines) = (member.assignment(), self.pipelines.clone());
        self.role.board.look(move || {
            let now = assignment.borrow().clone();
            let mut reasons: Vec<(String, String)> = Vec::new();
            if let Some(why) = now.out {
                reasons.push(("kafka".to_owned(), why));
            } else if now.epoch == 0 {
                reasons.push(("kafka".to_owned(), "the consumer group has not answered yet".to_owned()));
            }
            for status in pipelines.all().iter().map(penstock::pipeline::PipelineHandle::status) {
                if let penstock::pipeline::State::Failed { reason } = status.state {
                    reasons.push((format!("{}/{}/{}", status.sink, status.log, status.partition), reason));
                }
            }
            reasons
        });
    }
}
