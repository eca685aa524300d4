//! Every record once and in order, wherever the process ends.

use crate::support::{CrashAt, Stand, admin, brokers, make_topics, settings};
use penstock::log::Range;
use penstock::pipeline::{PipelineError, Step};
use rdkafka::admin::AdminOptions;
use rdkafka::{Offset, TopicPartitionList};
use std::time::Duration;

#[tokio::test]
async fn a_crash_at_any_step_neither_loses_nor_repeats() {
    let kafka = settings(&brokers());
    make_topics(&kafka, 3).await;
    let mut stand = Stand::new(kafka);
    let steps =
        [Step::Started, Step::Collected, Step::Prepared, Step::Pinned, Step::Buried, Step::Written, Step::Committed];
    let mut end = 0;
    for (round, step) in steps.into_iter().enumerate() {
        end = stand.append(1_000 + round).await;
        let ended = stand.live(end + 1, CrashAt(step, 1), std::future::pending()).await;
        assert!(matches!(ended, Some(Err(PipelineError::Crashed(_)))), "{step:?}: {ended:?}");
    }
    // Twice in a row at the same place, and once more when the barrier has been read.
    for step in [Step::Written, Step::Written, Step::Asked, Step::Pinned, Step::Asked] {
        let ten = stand.append(10).await;
        stand.live(ten, CrashAt(step, 1), std::future::pending()).await;
        end = stand.append(700).await;
    }
    stand.drain(end).await;
    stand.assert_whole(Range { from: 0, to: end });
    assert_eq!(stand.spool.watermarks(0).unwrap().replicated(), end);
    assert!(stand.metrics.found.get() > 0 && stand.metrics.barriers.get() > 0);
}

#[tokio::test]
async fn a_process_that_ends_amid_a_write_neither_loses_nor_repeats() {
    let kafka = settings(&brokers());
    make_topics(&kafka, 4).await;
    let mut stand = Stand::new(kafka);
    stand.forward.max_rows = 5_000;
    let end = stand.append(60_000).await;
    for round in 0..12u64 {
        // Dropped at some point of its life, with whatever librdkafka holds.
        let life = Duration::from_millis(200 + 37 * round);
        let ended = stand.live(end, (), Box::pin(tokio::time::sleep(life))).await;
        assert!(matches!(ended, None | Some(Ok(()))), "{ended:?}");
    }
    stand.drain(end).await;
    stand.assert_whole(Range { from: 0, to: end });
}

#[tokio::test]
async fn without_its_plan_every_partition_is_searched() {
    let kafka = settings(&brokers());
    make_topics(&kafka, 3).await;
    let mut stand = Stand::new(kafka);
    let end = stand.append(600).await;
    stand.live(end, CrashAt(Step::Written, 1), std::future::pending()).await;
    std::fs::remove_file(stand.plan()).unwrap();
    stand.drain(end).await;
    stand.assert_whole(Range { from: 0, to: end });
    assert_eq!(stand.metrics.found.get(), 600);
}

#[tokio::test]
async fn what_retention_has_passed_is_an_error_and_not_sent_again_unasked() {
    let kafka = settings(&brokers());
    make_topics(&kafka, 1).await;
    let mut stand = Stand::new(kafka);
    let end = stand.append(400).await;
    stand.live(end, CrashAt(Step::Written, 1), std::future::pending()).await;
    let mut upto = TopicPartitionList::new();
    for topic in stand.kafka.event_topics() {
        upto.add_partition_offset(&topic, 0, Offset::End).unwrap();
    }
    admin(&brokers()).delete_records(&upto, &AdminOptions::new()).await.unwrap();
    let ended = stand.live(end, (), std::future::pending()).await;
    let Some(Err(PipelineError::Fatal { why, .. })) = ended else { panic!("{ended:?}") };
    assert!(why.contains("forward.resend_lost"), "{why}");
    assert!(stand.held().is_empty());
    stand.forward.resend_lost = true;
    stand.drain(end).await;
    stand.assert_whole(Range { from: 0, to: end });
}
