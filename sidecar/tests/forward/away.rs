//! Brokers that go away and come back, with librdkafka's mock.

use crate::support::{Stand, make_topics, settings};
use penstock::log::Range;
use penstock::pipeline::State;
use rdkafka::mocking::MockCluster;
use std::time::Duration;

#[tokio::test]
async fn an_outage_is_waited_out_and_costs_nothing() {
    let mock = MockCluster::new(3).unwrap();
    let kafka = settings(&mock.bootstrap_servers());
    for topic in kafka.event_topics() {
        mock.create_topic(&topic, 3, 3).unwrap();
    }
    let mut stand = Stand::new(kafka);
    stand.forward.ack_wait = Duration::from_millis(300);
    // Less room than the backlog needs, so that the buffer is full too.
    stand.forward.buffer_bytes = 1 << 20;
    stand.forward.max_rows = 20_000;
    let first = stand.append(1_000).await;
    stand.drain(first).await;
    (1..=3).for_each(|broker| mock.broker_down(broker).unwrap());
    let end = stand.append(30_000).await;
    let outage = async {
        let mut status = stand.handle.subscribe();
        let shown =
            status.wait_for(|s| matches!(&s.state, State::Retrying { reason } if reason.contains("acknowledged")));
        shown.await.unwrap();
        (1..=3).for_each(|broker| mock.broker_up(broker).unwrap());
        std::future::pending::<()>().await;
    };
    let ended = tokio::time::timeout(Duration::from_secs(120), stand.live(end, (), Box::pin(outage))).await;
    assert!(matches!(ended, Ok(Some(Ok(())))), "{ended:?}: {:?}", stand.handle.status());
    stand.assert_whole(Range { from: 0, to: end });
    assert_eq!(stand.metrics.barriers.get(), 0, "the process lived on and knew what it had sent");
}

#[tokio::test]
async fn a_missing_topic_is_named_and_waited_for() {
    let brokers = crate::support::brokers();
    let mut stand = Stand::new(settings(&brokers));
    stand.forward.ack_wait = Duration::from_millis(500);
    let end = stand.append(10).await;
    let made = async {
        let mut status = stand.handle.subscribe();
        let named =
            status.wait_for(|s| matches!(&s.state, State::Retrying { reason } if reason.contains("topics apply")));
        named.await.unwrap();
        make_topics(&stand.kafka, 2).await;
        std::future::pending::<()>().await;
    };
    let ended = tokio::time::timeout(Duration::from_secs(120), stand.live(end, (), Box::pin(made))).await;
    assert!(matches!(ended, Ok(Some(Ok(())))), "{ended:?}: {:?}", stand.handle.status());
    stand.assert_whole(Range { from: 0, to: end });
}
