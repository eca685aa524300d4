//! `Idempotency-Key`: the same answer, and nothing appended twice.

use crate::intake::gzip;
use crate::support::{OK, Side, click, expected_ids, ids, send, start, start_in, start_with};
use futures::future::join_all;
use serde_json::{Value, json};

fn keyed(side: &Side, key: &str, body: impl Into<reqwest::Body>) -> reqwest::RequestBuilder {
    side.post("/v1/events", body).header("idempotency-key", key)
}

fn mixed() -> String {
    Value::from(vec![click(1), json!({"type": "click", "payload": {}}), click(2)]).to_string()
}

#[actix_rt::test]
async fn a_repeat_gets_the_same_answer_and_appends_nothing() {
    let side = start();
    let first = send(keyed(&side, "k1", mixed())).await;
    assert_eq!(first.outcome(), (OK, 2, vec!["missing_field".into()]));
    for durability in ["os", "disk"] {
        let again = send(keyed(&side, "k1", mixed()).header("penstock-durability", durability)).await;
        assert_eq!((again.status, &again.text), (first.status, &first.text));
    }
    let packed = send(keyed(&side, "k1", gzip(mixed().as_bytes())).header("content-encoding", "gzip")).await;
    assert_eq!(packed.text, first.text, "a repeat may be packed another way");
    assert_eq!(ids(&side.events().await), expected_ids([1, 2]));
    assert_eq!(side.metric(r#"penstock_intake_repeats_total{outcome="answered"}"#).await, 3);
    assert_eq!(side.metric(r#"penstock_intake_accepted_events_total{type="click"}"#).await, 2);
    side.stop().await;
}

#[actix_rt::test]
async fn a_repeat_after_a_restart_gets_the_same_answer() {
    let side = start();
    let first = send(keyed(&side, "k1", mixed())).await;
    let dir = side.stop().await;
    let side = start_in(dir, |_| {});
    let again = send(keyed(&side, "k1", mixed())).await;
    assert_eq!((again.status, &again.text), (OK, &first.text));
    assert_eq!(ids(&side.events().await), expected_ids([1, 2]));
    side.stop().await;
}

#[actix_rt::test]
async fn the_same_key_with_another_body_is_422() {
    let side = start();
    assert_eq!(send(keyed(&side, "k1", click(1).to_string())).await.status, OK);
    let other = send(keyed(&side, "k1", click(2).to_string())).await;
    assert_eq!(other.problem(), (422, "idempotency_key_reused".into()));
    let request = side.post("/v1/click", click(1)["payload"].to_string()).header("idempotency-key", "k1");
    assert_eq!(send(request).await.problem(), (422, "idempotency_key_reused".into()), "another route is another body");
    assert_eq!(ids(&side.events().await), expected_ids([1]));
    side.stop().await;
}

#[actix_rt::test]
async fn a_key_belongs_to_its_write_key() {
    let side = start();
    let of = |write: &'static str, n| keyed(&side, "k1", click(n).to_string()).header("penstock-key", write);
    assert_eq!(send(of("a", 1)).await.status, OK);
    assert_eq!(send(of("b", 2)).await.status, OK, "another sender's key is another key");
    assert_eq!(send(of("a", 2)).await.status, 422);
    side.stop().await;
}

#[actix_rt::test]
async fn repeats_at_the_same_time_wait_for_the_first() {
    let side = start();
    let body = Value::from((0..500).map(click).collect::<Vec<_>>()).to_string();
    for round in 0..5 {
        let key = format!("round-{round}");
        let all = join_all((0..20).map(|_| send(keyed(&side, &key, body.clone())))).await;
        assert!(all.iter().all(|got| got.status == OK && got.text == all[0].text));
    }
    assert_eq!(side.events().await.len(), 5 * 500, "each round once");
    side.stop().await;
}

#[actix_rt::test]
async fn a_request_that_kept_nothing_leaves_its_key_free() {
    let side = start();
    assert_eq!(send(keyed(&side, "k1", "[{}]")).await.status, 400);
    assert_eq!(send(keyed(&side, "k1", "[{")).await.status, 400);
    assert_eq!(send(keyed(&side, "k1", click(1).to_string())).await.status, OK, "the corrected body goes through");
    side.stop().await;
}

#[actix_rt::test]
async fn a_full_table_of_keys_says_so_and_others_go_on() {
    let side = start_with(|s| s.intake.idempotency_max_keys = 1);
    let mut refused = 0;
    for n in 0..100 {
        let got = send(keyed(&side, &format!("k{n}"), click(n).to_string())).await;
        if got.status != OK {
            assert_eq!(got.problem(), (503, "too_many_keys".into()));
            assert!(got.header("retry-after").parse::<u64>().is_ok_and(|s| s >= 1));
            refused += 1;
        }
    }
    assert!(refused > 0);
    assert_eq!(send(side.post("/v1/events", click(1_000).to_string())).await.status, OK);
    side.stop().await;
}
