//! Letters against the Avro library and against reopened logs.

use super::record::{self, SCHEMA};
use super::{DeadLetter, DeadLetters, Filter, Key, RecordError};
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;
use apache_avro::{Schema, rabin::Rabin};
use penstock::codec::frame;
use penstock::log::LogId;
use penstock::log::spool::{RealDisk, Spool, SpoolOptions};
use penstock::pipeline::{DeadTarget as _, GAP, Letter};
use penstock::time::{ManualClock, Micros};
use proptest::prelude::*;
use std::path::Path;
use std::sync::Arc;

fn log() -> LogId {
    LogId { name: "spool-00ff".into(), partition: 2 }
}

fn letter<'a>(log: &'a LogId, sink: &'a str, offset: u64, body: &'a [u8]) -> Letter<'a> {
    Letter { sink, log, offset, code: "bad_body", field: Some("price_micros"), message: "cut short", body }
}

async fn open(dir: &Path) -> DeadLetters {
    let clock = Arc::new(ManualClock::at(Micros::from_secs(1_500_000_000)));
    let (spool, _) = Spool::open_with(RealDisk, dir, SpoolOptions::new(1, clock.clone())).unwrap();
    DeadLetters::open(spool, clock).await.unwrap()
}

fn key(sink: &str, offset: u64) -> Key {
    Key { sink: sink.into(), log: log(), offset }
}

#[tokio::test]
async fn letters_are_listed_shown_and_counted_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let log = log();
    let mut letters = open(dir.path()).await;
    for (sink, offset) in [("statistics", 7), ("archive", 7), ("archive", 3), ("archive", 9)] {
        letters.bury(&[letter(&log, sink, offset, b"not avro")]).await.unwrap();
    }
    drop(letters);
    let letters = open(dir.path()).await;
    let filter = Filter { sink: Some("archive".to_owned()), limit: 2, ..Filter::default() };
    let page = letters.list(&filter).await.unwrap();
    assert_eq!(page.iter().map(|l| l.key.offset).collect::<Vec<_>>(), [3, 7]);
    let next = letters.list(&Filter { after: Some(page[1].key.clone()), ..filter }).await.unwrap();
    assert_eq!(next.iter().map(|l| l.key.offset).collect::<Vec<_>>(), [9]);
    let shown = letters.show(&key("statistics", 7)).await.unwrap().unwrap();
    assert_eq!(
        (shown.code.as_str(), shown.field.as_deref(), shown.body.as_slice()),
        ("bad_body", Some("price_micros"), &b"not avro"[..])
    );
    assert_eq!((shown.at, shown.json(), shown.hex(3)), (Micros::from_secs(1_500_000_000), None, "6e6f74".to_owned()));
    assert_eq!(letters.show(&key("statistics", 8)).await.unwrap(), None);
    assert_eq!((letters.count("archive", &log, 9), letters.count("archive", &log, 10)), (2, 3));
    let summary = letters.summary();
    assert_eq!((summary.total, summary.by_sink["archive"], summary.by_code["bad_body"]), (4, 3, 4));
}

#[tokio::test]
async fn a_letter_that_is_written_again_counts_once() {
    let dir = tempfile::tempdir().unwrap();
    let log = log();
    let mut letters = open(dir.path()).await;
    let (first, second) = (letter(&log, "archive", 1, b"a"), letter(&log, "archive", 2, b"b"));
    letters.bury(&[first]).await.unwrap();
    letters.bury(&[first, second]).await.unwrap();
    // Behind the index's back, as a life before the crash could have done.
    letters.append(&[&first, &second]).unwrap();
    drop(letters);
    let letters = open(dir.path()).await;
    assert_eq!((letters.summary().total, letters.count("archive", &log, 10), letters.marks().len()), (2, 2, 2));
    let all = letters.list(&Filter { limit: 10, ..Filter::default() }).await.unwrap();
    assert_eq!(all.iter().map(|l| l.key.offset).collect::<Vec<_>>(), [1, 2]);
}

#[tokio::test]
async fn a_gap_is_recorded_and_counts_as_no_record() {
    let dir = tempfile::tempdir().unwrap();
    let log = log();
    let mut letters = open(dir.path()).await;
    letters.bury(&[Letter { code: GAP, body: &[], ..letter(&log, "archive", 5, b"") }]).await.unwrap();
    let summary = letters.summary();
    assert_eq!((summary.total, summary.gaps, letters.count("archive", &log, 10), letters.marks().len()), (0, 1, 0, 0));
    assert!(letters.show(&key("archive", 5)).await.unwrap().is_some());
}

#[tokio::test]
async fn a_barrier_accounts_for_its_offset_and_shows_nowhere_else() {
    let dir = tempfile::tempdir().unwrap();
    let log = log();
    let mut letters = open(dir.path()).await;
    letters.bury(&[Letter { code: "barrier", ..letter(&log, "archive", 5, &frame::BARRIER) }]).await.unwrap();
    assert_eq!((letters.summary().total, letters.summary().by_code.len()), (0, 0));
    assert!(letters.list(&Filter { limit: 10, ..Filter::default() }).await.unwrap().is_empty());
    assert_eq!((letters.count("archive", &log, 10), letters.marks().len()), (1, 1));
    let asked = Filter { code: Some("barrier".to_owned()), limit: 10, ..Filter::default() };
    assert_eq!(letters.list(&asked).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_body_that_no_log_could_hold_again_is_cut_and_its_reason_kept() {
    let dir = tempfile::tempdir().unwrap();
    let log = log();
    let huge = vec![7; 40 << 20];
    let mut letters = open(dir.path()).await;
    letters.bury(&[letter(&log, "archive", 1, &huge), letter(&log, "archive", 2, b"small")]).await.unwrap();
    let shown = letters.show(&key("archive", 1)).await.unwrap().unwrap();
    assert_eq!((shown.body_bytes, shown.body.len()), (40 << 20, record::BODY_MAX));
    assert_eq!(letters.show(&key("archive", 2)).await.unwrap().unwrap().body, b"small");
}

#[tokio::test]
async fn an_event_that_decodes_is_shown_as_json() {
    let dir = tempfile::tempdir().unwrap();
    let log = log();
    let event = br#"{"type":"click","time":"2017-11-06T16:00:00Z","payload":{"tag":"t1","price_micros":3000}}"#;
    let mut body = Vec::new();
    let defaults = penstock::event::Defaults {
        received: Micros::from_secs(1_510_000_000),
        server: "s1",
        max_future: std::time::Duration::from_secs(3600),
        max_event_bytes: 1 << 16,
    };
    penstock::event::admit(event, &defaults, &mut penstock::event::IdSource::seeded(1), &mut body).unwrap();
    let mut letters = open(dir.path()).await;
    letters.bury(&[letter(&log, "balances", 1, &body)]).await.unwrap();
    let shown = letters.show(&key("balances", 1)).await.unwrap().unwrap();
    assert_eq!((shown.event_type(), &shown.json().unwrap()["payload"]["tag"]), (Some("click"), &"t1".into()));
    assert_eq!(letters.marks()[0].event_type, Some("click"));
}

proptest! {
    #[test]
    fn a_record_is_what_the_avro_library_reads(
        sink in "[a-z]{1,10}", partition in 0u32..10_000, offset in 0..u64::MAX / 2,
        field in proptest::option::of("\\PC{0,20}"), message in "\\PC{0,80}",
        body in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let log = LogId { name: "spool-1".into(), partition };
        let letter = Letter {
            sink: &sink, log: &log, offset, code: "invalid", field: field.as_deref(), message: &message, body: &body,
        };
        let mut bytes = Vec::new();
        record::encode(&letter, Micros(-5), 100, &mut bytes);
        let schema = Schema::parse_str(SCHEMA).unwrap();
        prop_assert_eq!(&bytes[2..10], &schema.fingerprint::<Rabin>().bytes[..]);
        let read = GenericDatumReader::builder(&schema).build().unwrap().read_value(&mut &bytes[10..]).unwrap();
        let Value::Record(fields) = read else { panic!("no record") };
        let named: std::collections::BTreeMap<_, _> = fields.into_iter().collect();
        prop_assert_eq!(&named["offset"], &Value::Long(i64::try_from(offset).unwrap()));
        prop_assert_eq!(&named["partition"], &Value::Int(i32::try_from(partition).unwrap()));
        prop_assert_eq!(&named["message"], &Value::String(message.clone()));
        prop_assert_eq!(&named["body"], &Value::Bytes(body[..body.len().min(100)].to_vec()));
        let back = DeadLetter::decode(&bytes).unwrap();
        prop_assert_eq!((&back.field, back.body_bytes, &*back.key.sink), (&field, body.len() as u64, sink.as_str()));
    }

    #[test]
    fn garbage_is_no_letter_and_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(DeadLetter::decode(&bytes), Err(RecordError::Schema));
        let log = log();
        let mut whole = Vec::new();
        record::encode(&letter(&log, "archive", 1, b"x"), Micros(0), 10, &mut whole);
        whole.truncate(10);
        whole.extend_from_slice(&bytes);
        let _ = DeadLetter::decode(&whole);
    }
}
