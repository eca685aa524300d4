//! Where the roles put records that a sink cannot take: the topic `kafka.dead_topic`.

use super::sidecar::FORWARDER;
use crate::parts::views::{dead_error, filtered, gap, gaps, key, mark, replay, shown, skip_mark, summary};
use penstock::kafka::{ProducerError, ProducerOptions, Publisher, SharedProducer};
use penstock::ledger::Change;
use penstock::log::kafka::{FetchOptions, Fetcher};
use penstock::registry::Lookup;
use penstock::settings::KafkaSettings;
use penstock::telemetry::KafkaLogMetrics;
use penstock::time::Clock;
use penstock_consumers::dead::replay::Replayer;
use penstock_consumers::dead::{TopicBook, TopicLetters, TopicReplay, TopicTarget};
use penstock_panel::api::types::{DeadLetter, DeadSummary, Gap, ReplayReport};
use penstock_panel::reconcile::{Later, Mark, MarkSource, SinkName};
use penstock_panel::{DeadFilter, DeadKey, DeadReplay, DeadStore};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Bytes that are fetched ahead of whoever reads the letters.
const READ_AHEAD: usize = 4 << 20;
/// Longest wait for a dead letter's acknowledgement, before it is sent again.
const LETTER: Duration = Duration::from_secs(15);

/// Where pipelines put their letters. Errors: the settings make no producer.
pub fn target(kafka: &KafkaSettings, clock: &Arc<dyn Clock>) -> Result<TopicTarget, ProducerError> {
    let producer = SharedProducer::new(kafka, ProducerOptions::default())?;
    Ok(TopicTarget::new(Publisher::new(producer, &kafka.dead_topic, 0, LETTER), clock.clone()))
}

/// The same for consumers: a pipeline that stands before a gap reads there whether it may pass.
///
/// Errors: the settings make no producer.
pub fn answered(kafka: &KafkaSettings, group: String, clock: &Arc<dyn Clock>) -> Result<TopicTarget, ProducerError> {
    let (settings, of) = (kafka.clone(), clock.clone());
    let open = move || {
        let options = FetchOptions { group: group.clone(), ahead_bytes: READ_AHEAD, gather: Duration::ZERO };
        let fetcher = Fetcher::new(&settings, &options).map_err(|e| e.to_string())?;
        // Its own metrics: the dead-letter topic is none of the logs that are consumed.
        Ok(TopicLetters::new(fetcher, &settings.dead_topic, &KafkaLogMetrics::default(), of.clone()))
    };
    Ok(target(kafka, clock)?.answered_by(Box::new(open)))
}

/// The letters as the panel shows them.
pub struct View {
    letters: Arc<TopicLetters>,
    replayer: Arc<Replayer<TopicBook, TopicReplay>>,
    marks: Arc<TopicBook>,
}

impl View {
    /// Shows `letters`, and replays them into the event topics, in which ids of `registry` may stand.
    ///
    /// Errors: the settings make no producer.
    pub fn new(
        letters: TopicLetters,
        kafka: &KafkaSettings,
        registry: Option<Lookup>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, ProducerError> {
        let letters = Arc::new(letters);
        let (target, clock) = (target(kafka, clock)?, clock.clone());
        let marks = Arc::new(TopicBook::new(letters.clone(), target.clone()));
        let book = TopicBook::new(letters.clone(), target);
        let producer = SharedProducer::new(kafka, ProducerOptions::default())?;
        let sinks = SinkName::ALL.map(SinkName::name).to_vec();
        let target = TopicReplay::new(producer, sinks, FORWARDER).with_registry(registry);
        let replayer = Arc::new(Replayer::new(book, target, clock));
        Ok(View { letters, replayer, marks })
    }
}

impl MarkSource for View {
    fn marks(&self) -> Later<'_, Vec<Mark>> {
        Box::pin(async {
            let marks = self.letters.marks().await.map_err(dead_error)?;
            Ok(marks.into_iter().filter_map(mark).collect())
        })
    }
}

impl DeadStore for View {
    fn summary(&self) -> Later<'_, DeadSummary> {
        Box::pin(async { self.letters.summary().await.map(summary).map_err(dead_error) })
    }

    fn counts(&self) -> Later<'_, BTreeMap<(String, String), u64>> {
        Box::pin(async { Ok(self.letters.summary().await.map_err(dead_error)?.by_both) })
    }

    fn list<'a>(&'a self, filter: &'a DeadFilter) -> Later<'a, Vec<DeadLetter>> {
        Box::pin(async move {
            let letters = self.letters.list(&filtered(filter)).await.map_err(dead_error)?;
            let keys: Vec<_> = letters.iter().map(|letter| letter.key.clone()).collect();
            let replays = self.letters.replays(&keys).await.map_err(dead_error)?;
            Ok(letters.iter().zip(replays).map(|(letter, replay)| shown(letter, replay, false)).collect())
        })
    }

    fn show<'a>(&'a self, wanted: &'a DeadKey) -> Later<'a, Option<DeadLetter>> {
        Box::pin(async move {
            let wanted = key(wanted);
            let letter = self.letters.show(&wanted).await.map_err(dead_error)?;
            let replay = self.letters.replays(std::slice::from_ref(&wanted)).await.map_err(dead_error)?.pop();
            Ok(letter.map(|letter| shown(&letter, replay.flatten(), true)))
        })
    }

    fn replay(&self, asked: DeadReplay) -> Later<'static, ReplayReport> {
        replay(&self.replayer, asked)
    }

    fn gaps(&self) -> Later<'_, Vec<Gap>> {
        Box::pin(async {
            let letters = self.letters.list(&gaps()).await.map_err(dead_error)?;
            let keys: Vec<_> = letters.iter().map(|letter| letter.key.clone()).collect();
            let skips = self.letters.skips(&keys).await.map_err(dead_error)?;
            Ok(letters.iter().zip(skips).map(|(letter, skip)| gap(letter, skip)).collect())
        })
    }

    fn skip_gap(&self, wanted: &DeadKey, change: &Change) -> Later<'static, ()> {
        let (mark, marks) = (skip_mark(wanted, change), Arc::clone(&self.marks));
        Box::pin(async move { marks.mark(vec![mark]).await.map_err(dead_error) })
    }
}
