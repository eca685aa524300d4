//! What stands in a topic: both framings, barriers, repeats.

use super::*;
use crate::codec::{confluent, frame, registry::writers};
use crate::kafka::key;
use crate::log::conformance::rows;
use crate::log::{Log as _, Records};
use crate::pipeline::PoisonCode;

#[tokio::test]
async fn a_topic_with_both_framings_and_barriers_reads_as_single_object_frames() {
    let topic = topic(1).await;
    let writer = &writers()[0];
    let single = [&confluent::single_header(writer.fingerprint)[..], b"datum"].concat();
    let ours = [&confluent::header(7)[..], b"datum"].concat();
    let strangers = [&confluent::header(8)[..], b"datum"].concat();
    let nobodys = [&confluent::header(9)[..], b"datum"].concat();
    let key = key::record(1, 0);
    let barrier = key::barrier(1, 99);
    let messages = [
        Message { key: &key, value: Some(&single) },
        Message { key: &key::record(1, 1), value: Some(&ours) },
        Message { key: &barrier, value: None },
        Message { key: &key::record(1, 2), value: Some(&strangers) },
        Message { key: &key::record(1, 3), value: Some(&nobodys) },
        Message { key: &key::record(1, 4), value: None },
    ];
    publisher(&topic, 0).append(&messages).await.unwrap();
    let registry = FixedIds::new([(writer.fingerprint, 7), (42, 8)]);
    let mut log = open(&fetcher(), log_id(&topic, 0), None, Some(registry));
    let mut out = Records::new();
    log.read(0, &rows(6), &mut out).await.unwrap();
    let body = |n: usize| out.get(n).unwrap().body.unwrap();
    assert_eq!((body(0), body(1), body(2)), (&single[..], &single[..], &frame::BARRIER[..]));
    let code = |n: usize| frame::split(body(n)).map(|_| ()).map_err(|e| e.code());
    assert_eq!(code(2), Err(PoisonCode::Barrier));
    assert_eq!(code(3), Err(PoisonCode::UnknownSchema), "the registry knows it, we do not");
    assert_eq!((code(4), body(4)), (Err(PoisonCode::BadFrame), &nobodys[..]), "the registry has no such id");
    assert_eq!(code(5), Err(PoisonCode::BadFrame));
}

#[tokio::test]
async fn a_record_that_comes_twice_is_counted_once_however_often_it_is_read() {
    let topic = topic(1).await;
    let keys = [(1, 0), (1, 1), (2, 0), (1, 1), (1, 2)].map(|(spool, n)| key::record(spool, n));
    let messages = keys.each_ref().map(|key| Message { key, value: Some(b"v") });
    publisher(&topic, 0).append(&messages).await.unwrap();
    let mut log = open(&fetcher(), log_id(&topic, 0), None, None);
    for from in [0, 2, 0] {
        log.read(from, &rows(5 - usize::try_from(from).unwrap()), &mut Records::new()).await.unwrap();
    }
    assert_eq!(log.parts.metrics.repeats(), 1);
}
