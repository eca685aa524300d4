//! What is accepted, in every form the contract names, and what stands in the spool then.

use crate::support::{OK, click, expected_ids, id, ids, send, start};
use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value as Avro;
use penstock::event::TYPES;
use reqwest::Method;
use serde_json::{Value, json};
use std::io::Write;

pub fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

#[actix_rt::test]
async fn one_object_an_array_and_lines_are_taken_packed_and_plain() {
    let side = start();
    let one = click(1).to_string();
    assert_eq!(send(side.post("/v1/events", one)).await.outcome(), (OK, 1, vec![]));
    let array = Value::from(vec![click(2), click(3)]).to_string();
    assert_eq!(send(side.post("/v1/events", array)).await.outcome(), (OK, 2, vec![]));
    let lines = format!("{}\n\n{}\r\n", click(4), click(5));
    assert_eq!(send(side.lines(lines)).await.outcome(), (OK, 2, vec![]));
    let packed = gzip(click(6).to_string().as_bytes());
    let request = side.post("/v1/events", packed).header("content-encoding", "gzip");
    assert_eq!(send(request).await.outcome(), (OK, 1, vec![]));
    let packed = zstd::encode_all(format!("{}\n{}", click(7), click(8)).as_bytes(), 3).unwrap();
    let request = side.lines(packed).header("content-encoding", "zstd");
    assert_eq!(send(request).await.outcome(), (OK, 2, vec![]));
    let request = side.request(Method::POST, "/v1/events").body(click(9).to_string());
    assert_eq!(send(request).await.outcome(), (OK, 1, vec![]), "without Content-Type it is JSON");
    assert_eq!(ids(&side.events().await), expected_ids(1..=9));
    side.stop().await;
}

#[actix_rt::test]
async fn the_avro_library_reads_what_was_acknowledged() {
    let side = start();
    assert_eq!(send(side.post("/v1/events", click(77).to_string())).await.status, OK);
    let frames = side.frames().await;
    let schema = TYPES.iter().find(|t| t.name == "click").unwrap().schema_json;
    let schema = Schema::parse_str(schema).unwrap();
    let reader = GenericDatumReader::builder(&schema).build().unwrap();
    let Avro::Record(fields) = reader.read_value(&mut &frames[0][10..]).unwrap() else { panic!("no record") };
    let field = |name: &str| fields.iter().find(|(n, _)| n == name).unwrap().1.clone();
    let micros = 1_509_984_000_000_000;
    assert_eq!(field("time"), Avro::TimestampMicros(micros));
    assert_eq!(field("server"), Avro::String("test-1".into()));
    assert_eq!(field("tag"), Avro::Union(1, Box::new(Avro::String("app2-ch377".into()))));
    assert_eq!(field("price_micros"), Avro::Union(1, Box::new(Avro::Long(77))));
    side.stop().await;
}

#[actix_rt::test]
async fn good_events_beside_bad_ones_are_kept_and_the_bad_ones_named() {
    let side = start();
    let mut negative = click(3);
    negative["payload"]["price_micros"] = json!(-1);
    let mut unknown = click(4);
    unknown["type"] = json!("sale");
    let nested =
        format!(r#"{{"type":"click","payload":{{"tag":"t","x":{}1{}}}}}"#, "[".repeat(9_000), "]".repeat(9_000));
    let parts = [
        click(1).to_string(),
        r#"{"type":"click","payload":{}}"#.to_owned(),
        negative.to_string(),
        unknown.to_string(),
        r#"{"type":"click","payload":{"tag":"t","price_micros":NaN}}"#.to_owned(),
        r#"{"type":"click","type":"visit","payload":{"tag":"t"}}"#.to_owned(),
        nested,
        "17".to_owned(),
        click(2).to_string(),
    ];
    let mut body = format!("[{}", parts.join(",")).into_bytes();
    body.extend(b",{\"type\":\"click\",\"payload\":{\"tag\":\"\xff\"}}]");
    let got = send(side.post("/v1/events", body)).await;
    assert_eq!((got.status, got.json()["accepted"].clone()), (OK, json!(2)));
    let rejected = got.json()["rejected"].clone();
    let seen: Vec<(u64, &str)> = rejected
        .as_array()
        .unwrap()
        .iter()
        .map(|r| (r["index"].as_u64().unwrap(), r["code"].as_str().unwrap()))
        .collect();
    let indexes: Vec<u64> = seen.iter().map(|s| s.0).collect();
    assert_eq!(indexes, [1, 2, 3, 4, 5, 6, 7, 9], "{seen:?}");
    let code = |index| seen.iter().find(|s| s.0 == index).unwrap().1;
    assert_eq!((code(1), code(2), code(3)), ("missing_field", "out_of_range", "unknown_type"));
    assert_eq!((code(4), code(5), code(9)), ("invalid_json", "duplicate_key", "invalid_utf8"));
    assert_eq!(rejected[1]["field"], "payload.price_micros");
    assert!(rejected.as_array().unwrap().iter().all(|r| r["message"].as_str().is_some_and(|m| !m.is_empty())));
    assert_eq!(ids(&side.events().await), expected_ids([1, 2]));
    side.stop().await;
}

#[actix_rt::test]
async fn a_bad_line_names_its_event_and_its_line() {
    let side = start();
    let got = send(side.lines(format!("\n{}\n\nnonsense\n{}\n", click(1), click(2)))).await;
    assert_eq!(got.outcome(), (OK, 2, vec!["invalid_json".into()]));
    let rejected = &got.json()["rejected"][0];
    assert_eq!((&rejected["index"], &rejected["line"]), (&json!(1), &json!(4)));
    side.stop().await;
}

#[actix_rt::test]
async fn nothing_acceptable_is_400_with_the_same_body() {
    let side = start();
    for body in [r#"{"type":"click","payload":{}}"#, "[]", "[{}]"] {
        let got = send(side.post("/v1/events", body)).await;
        let (status, accepted, _) = got.outcome();
        assert_eq!((status, accepted), (400, 0), "{body}");
        assert_eq!(got.header("content-type"), "application/json");
    }
    assert_eq!(side.events().await, Vec::<Value>::new());
    side.stop().await;
}

#[actix_rt::test]
async fn the_route_of_a_type_takes_the_payload_and_fills_address_and_agent() {
    let side = start();
    for kind in TYPES {
        let path = format!("/v1/{}", kind.name);
        let request = side.post(&path, r#"{"tag":"t1"}"#).header("user-agent", "Mozilla/5.0 (test)");
        assert_eq!(send(request).await.outcome(), (OK, 1, vec![]), "{path}");
    }
    let own = r#"{"tag":"t1","ip":"10.1.2.3","user_agent":"own"}"#;
    assert_eq!(send(side.post("/v1/click", own).header("user-agent", "Mozilla/5.0")).await.status, OK);
    let events = side.events().await;
    let of = |name: &str| events.iter().filter(|e| e["type"] == name).collect::<Vec<_>>();
    for name in ["impression", "visit", "conversion"] {
        assert_eq!(of(name)[0]["payload"]["ip"], "127.0.0.1");
        assert_eq!(of(name)[0]["payload"]["user_agent"], "Mozilla/5.0 (test)");
    }
    let mut agents: Vec<&Value> = of("click").iter().map(|e| &e["payload"]["user_agent"]).collect();
    agents.sort_by_key(|a| a.to_string());
    assert_eq!(agents, [&json!("Mozilla/5.0 (test)"), &json!("own")]);

    let got = send(side.post("/v1/click", r#"{"site_id":"x"}"#)).await;
    assert_eq!(got.outcome(), (400, 0, vec!["missing_field".into()]));
    assert_eq!(send(side.post("/v1/click", "[{}]")).await.problem(), (400, "malformed_json".into()));
    side.stop().await;
}

#[actix_rt::test]
async fn a_browsers_header_is_not_guessed_into_whole_events() {
    let side = start();
    let request = side.post("/v1/events", click(1).to_string()).header("user-agent", "Mozilla/5.0");
    assert_eq!(send(request).await.status, OK);
    let event = &side.events().await[0];
    assert_eq!((&event["payload"]["user_agent"], &event["payload"]["ip"]), (&Value::Null, &Value::Null));
    assert_eq!(event["id"], id(1));
    side.stop().await;
}

#[actix_rt::test]
async fn a_disk_answer_comes_when_the_device_has_it() {
    let side = start();
    for n in 0..5 {
        let request = side.post("/v1/events", click(n).to_string()).header("penstock-durability", "disk");
        assert_eq!(send(request).await.status, OK);
        let synced: u64 = side.spool.usage().partitions.iter().map(|p| p.synced).sum();
        assert!(synced > n, "{synced} synced after {} acknowledged", n + 1);
    }
    assert_eq!(side.metric(r#"penstock_intake_ack_seconds_count{durability="disk"}"#).await, 5);
    side.stop().await;
}

#[actix_rt::test]
async fn what_is_counted_is_what_was_answered() {
    let side = start();
    let body = Value::from(vec![click(1), json!({}), click(2)]).to_string();
    assert_eq!(send(side.post("/v1/events", body)).await.status, OK);
    assert_eq!(send(side.post("/v1/events", "[{},")).await.status, 400);
    assert_eq!(side.metric(r#"penstock_intake_accepted_events_total{type="click"}"#).await, 2);
    assert_eq!(side.metric(r#"penstock_intake_rejected_events_total{code="missing_field"}"#).await, 1);
    assert_eq!(side.metric(r#"penstock_sidecar_problems_total{code="malformed_json"}"#).await, 1);
    side.stop().await;
}
