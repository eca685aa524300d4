//! Nonsense of every kind on every route: a typed error each, and the sidecar goes on.

use crate::intake::gzip;
use crate::support::{OK, Side, click, expected_ids, ids, send, start, start_with};
use reqwest::Method;

async fn problem(side: &Side, request: reqwest::RequestBuilder) -> (u16, String) {
    let got = send(request).await;
    let problem = got.problem();
    // Whatever was sent, the next one is served.
    assert_eq!(side.get("/healthz").await.status, 200);
    problem
}

fn is(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[actix_rt::test]
async fn broken_json_refuses_the_whole_and_keeps_nothing() {
    let side = start();
    let (good, deep) = (click(1).to_string(), "[".repeat(100_000));
    let bodies = [
        format!("[{good},{good}"),
        format!("[{good} {good}]"),
        format!("[{good},,{good}]"),
        format!("[{good},nope]"),
        format!("[{good}],"),
        format!("[{good},{{\"a\":\"x\n\"}}]"),
        format!("{good}{good}"),
        "{\"type\":".into(),
        "nonsense".into(),
        "\"text\"".into(),
        deep,
        "{\"a\":".repeat(100_000),
    ];
    for body in bodies {
        let start: String = body.chars().take(60).collect();
        assert_eq!(problem(&side, side.post("/v1/events", body)).await, is(400, "malformed_json"), "{start}");
    }
    for empty in ["", "  \n ", "\n\n"] {
        assert_eq!(problem(&side, side.post("/v1/events", empty)).await, is(400, "empty_body"));
        assert_eq!(problem(&side, side.lines(empty)).await, is(400, "empty_body"));
    }
    assert!(side.events().await.is_empty());
    side.stop().await;
}

#[actix_rt::test]
async fn deep_nesting_costs_its_own_event_only() {
    let side = start_with(|s| s.intake.max_event_bytes = 1 << 20);
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let body = format!(
        r#"[{deep},{{"type":"click","payload":{{"tag":"t","a":{deep}}}}},{{"type":"click","x":{deep},"payload":{{"tag":"t"}}}},{}]"#,
        click(1)
    );
    let (status, accepted, codes) = send(side.post("/v1/events", body.clone())).await.outcome();
    assert_eq!((status, accepted, codes.len()), (OK, 1, 3), "{codes:?}");
    let lines = body[1..body.len() - 1].replace("},{", "}\n{").replace("],{", "]\n{");
    let (status, accepted, codes) = send(side.lines(lines)).await.outcome();
    assert_eq!((status, accepted, codes.len()), (OK, 1, 3), "{codes:?}");
    side.stop().await;
}

#[actix_rt::test]
async fn packed_nonsense_is_told_apart() {
    let side = start_with(|s| s.intake.max_body_bytes = 1 << 20);
    let whole = gzip(click(1).to_string().as_bytes());
    let cases = [
        ("gzip", whole[..whole.len() - 5].to_vec(), is(400, "truncated_body")),
        ("gzip", Vec::new(), is(400, "truncated_body")),
        ("gzip", click(1).to_string().into_bytes(), is(400, "damaged_body")),
        ("zstd", click(1).to_string().into_bytes(), is(400, "damaged_body")),
        ("gzip", gzip(&vec![b' '; 200 << 20]), is(413, "body_too_large")),
        ("zstd", zstd::encode_all(&vec![b' '; 200 << 20][..], 1).unwrap(), is(413, "body_too_large")),
        ("br", b"x".to_vec(), is(415, "unsupported_encoding")),
    ];
    for (encoding, body, expected) in cases {
        let request = side.post("/v1/events", body).header("content-encoding", encoding);
        assert_eq!(problem(&side, request).await, expected, "{encoding}");
    }
    side.stop().await;
}

#[actix_rt::test]
async fn a_line_of_ten_megabytes_costs_itself_only() {
    let side = start();
    let long = format!(r#"{{"type":"click","payload":{{"tag":"{}"}}}}"#, "x".repeat(10 << 20));
    let got = send(side.lines(format!("{}\n{long}\n{}", click(1), click(2)))).await;
    assert_eq!(got.outcome(), (OK, 2, vec!["event_too_large".into()]));
    assert!(got.text.len() < 1_000, "the answer does not repeat what was sent");
    assert_eq!(ids(&side.events().await), expected_ids([1, 2]));
    side.stop().await;
}

#[actix_rt::test]
async fn what_is_too_much_is_413() {
    let side = start_with(|s| {
        s.intake.max_body_bytes = 4 << 10;
        s.intake.max_events = 3;
    });
    let large = "x".repeat(5 << 10);
    assert_eq!(problem(&side, side.post("/v1/events", large.clone())).await, is(413, "body_too_large"));
    let chunks = futures::stream::iter((0..50).map(|_| Ok::<_, std::io::Error>("y".repeat(1 << 10))));
    let streamed = side.post("/v1/events", reqwest::Body::wrap_stream(chunks)).send().await;
    // The connection may be cut while the rest is still being sent; an answer, if it came, is 413.
    assert!(streamed.is_err() || streamed.is_ok_and(|r| r.status() == 413));
    let four: Vec<_> = (0..4).map(|n| serde_json::json!({"type": "click", "id": crate::support::id(n)})).collect();
    let body = serde_json::to_string(&four).unwrap();
    assert_eq!(problem(&side, side.post("/v1/events", body)).await, is(413, "too_many_events"));
    assert!(side.events().await.is_empty());
    side.stop().await;
}

#[actix_rt::test]
async fn wrong_headers_are_named() {
    let side = start();
    let post = || side.request(Method::POST, "/v1/events").body(click(1).to_string());
    let cases = [
        (post().header("content-type", "text/plain"), is(415, "unsupported_content_type")),
        (post().header("content-type", "application/x-www-form-urlencoded"), is(415, "unsupported_content_type")),
        (post().header("penstock-durability", "kafka"), is(400, "durability_unavailable")),
        (post().header("penstock-durability", "paper"), is(400, "invalid_durability")),
        (post().header("idempotency-key", "k".repeat(256)), is(400, "invalid_idempotency_key")),
        (post().header("penstock-key", "k".repeat(129)), is(400, "invalid_key")),
        (
            side.lines("{}").header("penstock-durability", "a").header("penstock-durability", "b"),
            is(400, "invalid_header"),
        ),
        (side.request(Method::GET, "/v1/events"), is(405, "method_not_allowed")),
        (side.request(Method::DELETE, "/v1/click"), is(405, "method_not_allowed")),
        (side.request(Method::POST, "/v1/stopped"), is(405, "method_not_allowed")),
        (side.request(Method::POST, "/v1/pageview").body("{}"), is(404, "not_found")),
        (side.request(Method::POST, "/v1/%65vents").body("{}"), is(404, "not_found")),
        (side.request(Method::GET, "/"), is(404, "not_found")),
        (side.request(Method::GET, "/v1/campaigns/abc"), is(400, "invalid_campaign_id")),
        (side.request(Method::GET, "/v1/campaigns/0"), is(400, "invalid_campaign_id")),
        (side.request(Method::GET, "/v1/campaigns/4294967296"), is(400, "invalid_campaign_id")),
        (side.request(Method::GET, "/v1/stopped?after=-1"), is(400, "invalid_query")),
        (side.request(Method::GET, "/v1/stopped?after=1&wait=soon"), is(400, "invalid_query")),
        (side.request(Method::GET, "/v1/stopped?since=1"), is(400, "invalid_query")),
    ];
    for (request, expected) in cases {
        assert_eq!(problem(&side, request).await, expected);
    }
    let wrong = side.lines("{}").header("content-type", "text/csv");
    assert_eq!(problem(&side, wrong).await.0, 400, "two content types are one too many");
    assert_eq!(send(side.request(Method::GET, "/v1/events")).await.header("allow"), "POST");
    assert!(side.events().await.is_empty());
    side.stop().await;
}

#[actix_rt::test]
async fn strangers_hosts_and_origins_are_refused_on_every_route() {
    let side = start_with(|s| s.sidecar.allowed_origins = vec!["https://ads.example".into()]);
    for path in ["/v1/campaigns/1", "/v1/stopped", "/healthz", "/readyz", "/metrics"] {
        let request = side.request(Method::GET, path).header("host", "evil.example");
        assert_eq!(send(request).await.problem(), is(403, "host_not_allowed"), "{path}");
    }
    for path in ["/v1/events", "/v1/click"] {
        let request = side.post(path, click(1).to_string()).header("host", "evil.example:7070");
        assert_eq!(problem(&side, request).await, is(403, "host_not_allowed"));
        for origin in ["https://evil.example", "null", "http://127.0.0.1.evil.example"] {
            let request = side.post(path, click(1).to_string()).header("origin", origin);
            assert_eq!(problem(&side, request).await, is(403, "origin_not_allowed"), "{origin}");
        }
    }
    let got = send(side.post("/v1/events", click(1).to_string()).header("origin", "https://ads.example")).await;
    assert_eq!((got.status, got.header("access-control-allow-origin")), (OK, "https://ads.example"));
    let preflight = side
        .request(Method::OPTIONS, "/v1/events")
        .header("origin", "https://ads.example")
        .header("access-control-request-method", "POST");
    let got = send(preflight).await;
    assert_eq!((got.status, got.header("access-control-allow-origin")), (204, "https://ads.example"));
    assert_eq!(ids(&side.events().await), expected_ids([1]));
    side.stop().await;
}

#[actix_rt::test]
async fn bytes_that_are_no_http_are_answered_or_cut_and_cost_nothing() {
    let side = start();
    let host = side.running.addresses.http;
    let garbage: [&[u8]; 6] = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 not plain\r\n\r\n",
        b"\r\n\r\n\r\n\r\nnonsense nonsense\r\n\r\n",
        b"POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-length: -5\r\nconnection: close\r\n\r\n",
        b"POST /v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\nzz\r\n",
        b"POST /v1/events HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\nnot a size\r\n",
        b"GET /healthz HTTP/1.1\r\nconnection: close\r\n\r\n",
    ];
    for bytes in garbage {
        let answer = side.raw(bytes).await;
        let refused = answer.is_empty() || answer.starts_with("HTTP/1.1 4") || answer.starts_with("HTTP/1.0 4");
        assert!(refused, "{answer}");
    }
    let old = side.raw(b"GET /healthz HTTP/1.0\r\n\r\n").await;
    assert!(old.contains(" 200 "), "a health check of HTTP/1.0 has no Host: {old}");
    assert_eq!(side.get("/healthz").await.status, 200, "{host}");
    assert!(side.events().await.is_empty());
    side.stop().await;
}
