//! Against a registry that misbehaves. The real one is in the whole-system tests.

mod fake;

use super::*;
use fake::{Fake, Mood};
use serde_json::json;

fn settings(urls: &[&str]) -> RegistrySettings {
    RegistrySettings {
        urls: urls.iter().map(|url| (*url).to_owned()).collect(),
        timeout: Duration::from_millis(300),
        retry: Duration::from_millis(20),
        ..RegistrySettings::default()
    }
}

fn start(settings: &RegistrySettings, file: Option<PathBuf>) -> Registry {
    let metrics = RegistryMetrics::default();
    Registry::start(settings, &KafkaSettings::default(), file, metrics, CancellationToken::new()).unwrap()
}

async fn complete(registry: &Registry) {
    tokio::time::timeout(Duration::from_secs(30), registry.complete()).await.expect("every schema gets an id");
}

/// Waits until the registry has been asked `n` more times.
async fn asked_again(fake: &Fake, n: usize) {
    let before = fake.asked();
    while fake.asked() < before + n {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn every_version_of_every_schema_is_registered_with_its_level() {
    let fake = Fake::start().await;
    let registry = start(&settings(&[&fake.url]), None);
    complete(&registry).await;
    for writer in writers() {
        let id = registry.id_of(writer.fingerprint).unwrap();
        assert_eq!(fake.state.lock().unwrap().schemas[id as usize - 1]["schema"], writer.json);
        assert_eq!(registry.known(id), Some(writer.fingerprint));
    }
    assert_eq!(fake.state.lock().unwrap().subjects["ads.click-penstock.ads.Click"].len(), 1);
    // The level is set behind the registration of the last type.
    asked_level(&fake, "ads.conversion-penstock.ads.Conversion").await;
}

async fn asked_level(fake: &Fake, subject: &str) {
    while fake.state.lock().unwrap().levels.get(subject).is_none_or(|level| level != "FULL_TRANSITIVE") {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn whatever_the_registry_does_it_is_asked_until_it_answers() {
    let moods = [
        Mood::Closes,
        Mood::Hangs,
        Mood::Says(500, "{}".to_owned()),
        Mood::Says(503, "<html>".to_owned()),
        Mood::Says(401, json!({"error_code": 401, "message": "who are you?"}).to_string()),
        Mood::Says(404, "not here".to_owned()),
        Mood::Says(200, "[]".to_owned()),
        Mood::Says(200, "{".to_owned()),
        Mood::Says(200, json!({"id": -1, "schema": 5, "compatibilityLevel": "FULL_TRANSITIVE"}).to_string()),
        Mood::Says(200, json!({"id": 1, "schema": "\"long\"", "compatibilityLevel": "FULL_TRANSITIVE"}).to_string()),
        Mood::Says(200, format!("{{\"schema\":\"{}\"}}", "x".repeat(2 << 20))),
    ];
    let fake = Fake::start().await;
    let foreign = fake.add(json!({"schema": "\"long\""}));
    for mood in moods {
        let shown = format!("{mood:.60?}");
        fake.mood(mood);
        let registry = start(&settings(&[&fake.url]), None);
        asked_again(&fake, 2).await;
        assert!(writers().iter().all(|w| registry.id_of(w.fingerprint).is_none()), "{shown}");
        // What becomes of a record is not decided by a registry that is out of order.
        match registry.look_up(77).await {
            Err(_) => assert_eq!(registry.known(77), None, "{shown}"),
            Ok(found) => assert!(shown.contains("long") && found.is_some(), "{shown}"),
        }
        fake.mood(Mood::Good);
        complete(&registry).await;
        assert!(registry.look_up(foreign).await.unwrap().is_some(), "{shown}");
    }
}

#[tokio::test]
async fn an_id_of_another_schema_is_never_written_under() {
    let fake = Fake::start().await;
    let other = fake.add(json!({"schema": "\"string\""}));
    fake.mood(Mood::GivesId(other));
    let registry = start(&settings(&[&fake.url]), None);
    asked_again(&fake, 20).await;
    assert!(writers().iter().all(|w| registry.id_of(w.fingerprint).is_none()));
    fake.mood(Mood::Good);
    complete(&registry).await;
    assert_ne!(registry.id_of(writers()[0].fingerprint), Some(other));
}

#[tokio::test]
async fn a_restart_without_the_registry_goes_on_with_the_ids_it_knew() {
    let fake = Fake::start().await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("registry.json");
    let registry = start(&settings(&[&fake.url]), Some(file.clone()));
    complete(&registry).await;
    let foreign = fake.add(json!({"schema": r#"{"type":"enum","name":"E","symbols":["A"]}"#}));
    let fingerprint = registry.look_up(foreign).await.unwrap().unwrap();
    fake.mood(Mood::Hangs);
    let again = start(&settings(&[&fake.url]), Some(file));
    complete(&again).await;
    for writer in writers() {
        assert_eq!(again.id_of(writer.fingerprint), registry.id_of(writer.fingerprint));
    }
    assert_eq!(again.known(foreign), Some(fingerprint));
}

#[tokio::test]
async fn a_registry_that_lost_its_content_does_not_change_what_records_mean() {
    let fake = Fake::start().await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("registry.json");
    let registry = start(&settings(&[&fake.url]), Some(file.clone()));
    complete(&registry).await;
    let first = writers()[0].fingerprint;
    let id = registry.id_of(first).unwrap();
    {
        let mut state = fake.state.lock().unwrap();
        let mut schemas = state.schemas.clone();
        schemas.reverse();
        state.schemas = schemas;
    }
    let metrics = RegistryMetrics::default();
    let kafka = KafkaSettings::default();
    let again = Registry::start(&settings(&[&fake.url]), &kafka, Some(file), metrics.clone(), CancellationToken::new())
        .unwrap();
    while metrics.conflicts.get() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!((again.known(id), again.id_of(first)), (Some(first), Some(id)));
}

#[tokio::test]
async fn an_id_is_looked_up_once_and_one_that_is_not_there_once_a_minute() {
    let fake = Fake::start().await;
    let registry = start(&settings(&[&fake.url]), None);
    complete(&registry).await;
    // Formatting and documentation are no part of a schema's fingerprint.
    let ours = &writers()[0];
    let text = serde_json::from_str::<serde_json::Value>(ours.json).unwrap().to_string();
    let id = fake.add(json!({"schema": text, "schemaType": "AVRO"}));
    let protobuf = fake.add(json!({"schema": "syntax = \"proto3\";", "schemaType": "PROTOBUF"}));
    asked_level(&fake, "ads.conversion-penstock.ads.Conversion").await;
    for _ in 0..3 {
        assert_eq!(registry.look_up(id).await.unwrap(), Some(ours.fingerprint));
        assert_eq!(registry.look_up(4_000_000).await.unwrap(), None);
        let unknown = registry.look_up(protobuf).await.unwrap().unwrap();
        assert!(crate::codec::registry::by_fingerprint(unknown).is_none());
    }
    let asked = |path: &str| fake.state.lock().unwrap().asked.iter().filter(|a| a.ends_with(path)).count();
    assert_eq!((asked(&format!("/{id}")), asked("/4000000"), asked(&format!("/{protobuf}"))), (1, 1, 1));
}

#[tokio::test]
async fn of_two_urls_the_one_that_answers_is_taken() {
    let (dead, fake) = (Fake::start().await, Fake::start().await);
    dead.mood(Mood::Hangs);
    let registry = start(&settings(&["http://127.0.0.1:1", &dead.url, &fake.url]), None);
    complete(&registry).await;
    asked_level(&fake, "ads.conversion-penstock.ads.Conversion").await;
    assert!(dead.asked() <= 1, "{} times", dead.asked());
}

#[tokio::test]
async fn a_level_that_does_not_hold_is_said_and_tried_again() {
    let fake = Fake::start().await;
    fake.mood(Mood::ForgetsLevels);
    let registry = start(&settings(&[&fake.url]), None);
    // Ids are good all the same: the level guards the next version, not these records.
    complete(&registry).await;
    asked_again(&fake, 40).await;
    fake.mood(Mood::Good);
    asked_level(&fake, "ads.click-penstock.ads.Click").await;
}

#[tokio::test]
async fn without_leave_to_register_ids_are_only_asked_for() {
    let fake = Fake::start().await;
    let asking = RegistrySettings { register: false, ..settings(&[&fake.url]) };
    let registry = start(&asking, None);
    asked_again(&fake, 4).await;
    assert!(fake.state.lock().unwrap().schemas.is_empty());
    complete(&start(&settings(&[&fake.url]), None)).await;
    complete(&registry).await;
    let asked = fake.state.lock().unwrap().asked.clone();
    assert!(asked.iter().any(|a| a == "POST /subjects/ads.click-penstock.ads.Click"), "{asked:?}");
}

#[tokio::test]
async fn a_lookup_asks_once_for_an_id_whether_it_is_answered_or_not() {
    let fake = Fake::start().await;
    let id = fake.add(json!({"schema": writers()[0].kind.schema_json}));
    let lookup = Lookup::new(&settings(&[&fake.url]), RegistryMetrics::default()).unwrap();
    for _ in 0..3 {
        assert_eq!(lookup.fingerprint(id).await.unwrap(), Some(writers()[0].kind.writer().fingerprint));
    }
    assert_eq!(fake.asked(), 1);
    fake.mood(Mood::Closes);
    for _ in 0..3 {
        assert!(matches!(lookup.fingerprint(id + 1).await, Err(RegistryError::Away { .. })));
    }
    assert_eq!(fake.asked(), 2, "whoever replays a thousand letters waits for it once");
}
