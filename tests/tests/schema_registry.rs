//! Our schemas in a real registry, and records as others read and write them.
#![cfg(feature = "cluster")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail like tests")]

use penstock::codec::{confluent, registry::writers};
use penstock::event::{self, Defaults, IdSource};
use penstock::registry::{Registry, SchemaIds};
use penstock::settings::{KafkaSettings, RegistrySettings};
use penstock::telemetry::RegistryMetrics;
use penstock::time::Micros;
use schema_registry_converter::async_impl::easy_avro::{EasyAvroDecoder, EasyAvroEncoder};
use schema_registry_converter::async_impl::schema_registry::{SrSettings, is_compatible_schema, post_schema};
use schema_registry_converter::schema_registry_common::{SchemaType, SubjectNameStrategy, SuppliedSchema};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

fn url() -> String {
    std::env::var("PENSTOCK_TEST_REGISTRY")
        .expect("PENSTOCK_TEST_REGISTRY is not set: start the servers with `make cluster`, or run `make test`")
}

/// Topics of this test alone: subjects are named after them.
fn topics() -> KafkaSettings {
    let suffix: u32 = rand::random();
    let topics = event::TYPES.iter().map(|t| (t.name.to_owned(), format!("ads.{}.{suffix:08x}", t.name)));
    KafkaSettings { topics: topics.collect(), ..KafkaSettings::default() }
}

async fn registered(kafka: &KafkaSettings) -> Registry {
    let settings = RegistrySettings { urls: vec![url()], ..RegistrySettings::default() };
    let registry =
        Registry::start(&settings, kafka, None, RegistryMetrics::default(), CancellationToken::new()).unwrap();
    tokio::time::timeout(Duration::from_secs(60), registry.complete()).await.expect("every schema is registered");
    registry
}

fn frame(json: &str) -> Vec<u8> {
    let received = Micros(1_700_000_000_000_000);
    let max_future = Duration::from_secs(3600);
    let defaults = Defaults { received, server: "ad-1", max_future, max_event_bytes: 1 << 16 };
    let mut frame = Vec::new();
    event::admit(json.as_bytes(), &defaults, &mut IdSource::seeded(1), &mut frame).unwrap();
    frame
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_reads_our_records_and_we_read_the_strangers() {
    let kafka = topics();
    let registry = registered(&kafka).await;
    let others = SrSettings::new(url());
    let (decoder, encoder) = (EasyAvroDecoder::new(others.clone()), EasyAvroEncoder::new(others));
    for (kind, record, payload) in [
        ("click", "Click", r#""tag":"t1","price_micros":3000,"impression_id":"i-1","more":"x""#),
        ("impression", "Impression", r#""campaign_id":7,"country":"de""#),
        ("conversion", "Conversion", r#""tag":"ä","goal":"g","value_micros":1"#),
        ("visit", "Visit", r#""tag":"t""#),
    ] {
        let single = frame(&format!(r#"{{"type":"{kind}","time":1509984000000,"payload":{{{payload}}}}}"#));
        let (fingerprint, datum) = confluent::split_single(&single).unwrap();
        let mut ours = single.clone();
        let ours = confluent::reframe(&mut ours, registry.id_of(fingerprint).unwrap()).unwrap();
        let read = decoder.decode(Some(ours)).await.unwrap();
        assert_eq!(read.name.unwrap().to_string(), format!("penstock.ads.{record}"));
        let subject =
            SubjectNameStrategy::TopicRecordNameStrategy(kafka.topic_of(kind), format!("penstock.ads.{record}"));
        let theirs = encoder.encode_value(read.value, &subject).await.unwrap();
        let (id, same) = confluent::split(&theirs).unwrap();
        assert_eq!((registry.look_up(id).await.unwrap(), same), (Some(fingerprint), datum), "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_that_does_not_fit_is_refused_by_the_registry() {
    let kafka = topics();
    registered(&kafka).await;
    let others = SrSettings::new(url());
    let subject = penstock::registry::subject(&kafka.topic_of("click"), "penstock.ads.Click");
    let click = writers().iter().find(|w| w.kind.name == "click").unwrap().json;
    let supplied = |text: String| SuppliedSchema::new(None, SchemaType::Avro, text);
    let misfit = click.replacen(r#""type": "string", "doc""#, r#""type": "int", "doc""#, 1);
    assert_ne!(misfit, click);
    assert!(!is_compatible_schema(&others, subject.clone(), supplied(misfit.clone())).await.unwrap());
    assert!(post_schema(&others, subject.clone(), supplied(misfit)).await.is_err());
    let grown = click.replacen(
        r#"{"name": "extra""#,
        r#"{"name": "colour", "type": ["null", "string"], "default": null}, {"name": "extra""#,
        1,
    );
    assert_ne!(grown, click);
    post_schema(&others, subject, supplied(grown)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_gets_the_same_ids_and_strangers_are_told_apart() {
    let kafka = topics();
    let (one, two) = (registered(&kafka).await, registered(&kafka).await);
    for writer in writers() {
        assert_eq!(one.id_of(writer.fingerprint), two.id_of(writer.fingerprint));
    }
    assert_eq!(one.look_up(2_000_000_000).await.unwrap(), None);
    let name = format!("S{:08x}", rand::random::<u32>());
    let text = format!(r#"{{"type":"record","name":"{name}","fields":[{{"name":"a","type":"long"}}]}}"#);
    let stranger = SuppliedSchema::new(None, SchemaType::Avro, text);
    let id = post_schema(&SrSettings::new(url()), name, stranger).await.unwrap().id;
    let fingerprint = one.look_up(id).await.unwrap().unwrap();
    assert!(writers().iter().all(|w| w.fingerprint != fingerprint));
    assert_eq!(two.look_up(id).await.unwrap(), Some(fingerprint));
}
