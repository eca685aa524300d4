//! Where the roles put records that a sink cannot take: the topic `kafka.dead_topic`.

use crate::parts::views::{key, mark, shown};
use penstock::kafka::{ProducerError, ProducerOptions, Publisher, SharedProducer};
use penstock::settings::KafkaSettings;
use penstock::time::Clock;
use penstock_consumers::dead::{Filter, Summary, TopicLetters, TopicTarget};
use penstock_panel::api::types::{DeadLetter, DeadSummary};
use penstock_panel::reconcile::{Later, Mark, MarkSource, SourceError};
use penstock_panel::{DeadFilter, DeadKey, DeadStore};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Longest wait for a dead letter's acknowledgement, before it is sent again.
const LETTER: Duration = Duration::from_secs(15);

/// Where pipelines put their letters. Errors: the settings make no producer.
pub fn target(kafka: &KafkaSettings, clock: &Arc<dyn Clock>) -> Result<TopicTarget, ProducerError> {
    let producer = SharedProducer::new(kafka, ProducerOptions::default())?;
    Ok(TopicTarget::new(Publisher::new(producer, &kafka.dead_topic, 0, LETTER), clock.clone()))
}

/// The letters as the panel shows them.
pub struct View(pub TopicLetters);

fn failed(error: impl std::fmt::Display) -> SourceError {
    SourceError::Dead(error.to_string())
}

impl MarkSource for View {
    fn marks(&self) -> Later<'_, Vec<Mark>> {
        Box::pin(async {
            let marks = self.0.marks().await.map_err(failed)?;
            Ok(marks.into_iter().filter_map(mark).collect())
        })
    }
}

impl DeadStore for View {
    fn summary(&self) -> Later<'_, DeadSummary> {
        Box::pin(async {
            let Summary { total, by_code, by_sink, .. } = self.0.summary().await.map_err(failed)?;
            Ok(DeadSummary { total, by_code, by_sink })
        })
    }

    fn counts(&self) -> Later<'_, BTreeMap<(String, String), u64>> {
        Box::pin(async { Ok(self.0.summary().await.map_err(failed)?.by_both) })
    }

    fn list<'a>(&'a self, filter: &'a DeadFilter) -> Later<'a, Vec<DeadLetter>> {
        Box::pin(async move {
            let filter = Filter {
                sink: filter.sink.clone(),
                code: filter.code.clone(),
                after: filter.after.as_ref().map(key),
                limit: filter.limit,
            };
            let letters = self.0.list(&filter).await.map_err(failed)?;
            Ok(letters.iter().map(|letter| shown(letter, false)).collect())
        })
    }

    fn show<'a>(&'a self, wanted: &'a DeadKey) -> Later<'a, Option<DeadLetter>> {
        Box::pin(async move {
            let letter = self.0.show(&key(wanted)).await.map_err(failed)?;
            Ok(letter.map(|letter| shown(&letter, true)))
        })
    }
}
