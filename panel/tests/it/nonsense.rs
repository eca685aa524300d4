//! Nonsense on every route: a typed error, never a 500, never a panic, and the panel goes on.

use crate::support::World;
use penstock::settings::PanelSettings;
use reqwest::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const READS: [&str; 14] = [
    "/",
    "/healthz",
    "/readyz",
    "/metrics",
    "/api/v1/events/count",
    "/api/v1/events",
    "/api/v1/campaigns",
    "/api/v1/campaigns/1001",
    "/api/v1/campaigns/1001/timeseries",
    "/api/v1/status",
    "/api/v1/catalogue",
    "/api/v1/dead",
    "/api/v1/dead/statistics:spool-00:0:1",
    "/api/v1/audit",
];
const WRITES: [(&str, &str); 5] = [
    ("POST", "/api/v1/campaigns/1001/stop"),
    ("POST", "/api/v1/campaigns/1001/resume"),
    ("PUT", "/api/v1/campaigns/1001/budget"),
    ("POST", "/api/v1/reconcile"),
    ("PUT", "/api/v1/catalogue"),
];
const NAMES: [&str; 12] = [
    "event_type",
    "start_time",
    "end_time",
    "campaign_id",
    "limit",
    "cursor",
    "step",
    "status",
    "sink",
    "code",
    "wait_s",
    "nobody",
];
const VALUES: [&str; 21] = [
    "0",
    "-1",
    "99999999999999999999999999",
    "NaN",
    "1e400",
    "%00",
    "%ff%fe",
    "%F0%9F%92%A9",
    "'%20OR%201=1--",
    "%7Btype:String%7D",
    "../../etc/passwd",
    "null",
    "2017-13-45T99:99:99Z",
    "0000-00-00T00:00:00Z",
    "9999-12-31T23:59:60Z",
    "2017-11-06T16:00:00%2B99:99",
    "1d%20",
    "18446744073709551615d",
    "[]",
    "%25%25",
    "a=b",
];

#[actix_web::test]
async fn no_parameter_makes_a_500() {
    let world = World::start().await;
    world.import().await;
    for path in READS.iter().filter(|p| p.starts_with("/api")) {
        for name in NAMES {
            for value in VALUES {
                let reply = world.get(&format!("{path}?{name}={value}")).await;
                let status = reply.status.as_u16();
                if status != 200 {
                    let problem = reply.problem();
                    assert!(
                        matches!(status, 400 | 404) || problem.code == "statistics_error",
                        "{path}?{name}={value}: {problem:?}"
                    );
                    assert!(!problem.detail.is_empty());
                }
            }
        }
        let twice = world.get(&format!("{path}?limit=1&limit=2")).await;
        assert_eq!(twice.problem().code, "unknown_parameter", "{path}");
        let long = world.get(&format!("{path}?cursor={}", "a".repeat(5_000))).await;
        assert_eq!(long.status.as_u16(), 400, "{path}");
    }
}

#[actix_web::test]
async fn no_path_makes_a_500() {
    let world = World::start().await;
    let ids = [
        "-1",
        "x",
        "4294967296",
        "1001x",
        "%00",
        "%ff",
        "%2e%2e",
        "..%2f..",
        "%F0%9F%92%A9",
        "1001%2fstop",
        "::::",
        "a:b:c:d",
    ];
    for id in ids {
        for path in ["/api/v1/campaigns/{}", "/api/v1/campaigns/{}/timeseries", "/api/v1/dead/{}"] {
            let reply = world.get(&path.replace("{}", id)).await;
            assert!(matches!(reply.status.as_u16(), 400 | 404), "{path} {id}: {reply:?}");
            reply.problem();
        }
        for (method, path) in [("POST", "/api/v1/campaigns/{}/stop"), ("PUT", "/api/v1/campaigns/{}/budget")] {
            let reply = world.write(method.parse().unwrap(), &path.replace("{}", id), r#"{"reason":"r"}"#).await;
            assert!(matches!(reply.status.as_u16(), 400 | 404), "{path} {id}: {reply:?}");
            reply.problem();
        }
    }
    for path in ["/nothing", "/api", "/api/v2/status", "/api/v1/status/", "//", "/api/v1/campaigns/1/2/3"] {
        assert_eq!(world.get(path).await.problem().code, "not_found", "{path}");
    }
    for (method, path) in [("POST", "/api/v1/campaigns/7/stop"), ("POST", "/api/v1/campaigns/7/resume")] {
        let reply = world.write(method.parse().unwrap(), path, r#"{"reason":"r"}"#).await;
        assert_eq!(reply.problem().code, "campaign_not_found");
    }
    assert_eq!(world.get("/api/v1/campaigns/7").await.problem().code, "campaign_not_found");
    assert_eq!(world.get("/api/v1/campaigns/7/timeseries").await.problem().code, "campaign_not_found");
}

#[actix_web::test]
async fn no_body_makes_a_500() {
    let world = World::start().await;
    world.import().await;
    let deep = "[".repeat(100_000);
    let bodies: [&[u8]; 16] = [
        b"",
        b"{",
        b"null",
        b"[]",
        b"\"x\"",
        b"{\"reason\":5}",
        b"{\"reason\":\"\"}",
        b"{\"reason\":\"x\",\"reason\":\"y\"}",
        b"{\"reason\":\"x\",\"more\":1}",
        b"{\"total_budget_micros\":1.5}",
        b"{\"total_budget_micros\":-1}",
        b"{\"daily_budget_micros\":\"9223372036854775807\"}",
        b"{\"wait_s\":1e99}",
        b"{\"wait_s\":-1}",
        b"\xff\xfe\x00",
        b"{\"advertisers\":[],\"campaigns\":[{}],\"tags\":{}}",
    ];
    for (method, path) in WRITES {
        for body in bodies.into_iter().chain([deep.as_bytes()]) {
            if path.ends_with("reconcile") && body.is_empty() {
                continue; // allowed there
            }
            let method: Method = method.parse().unwrap();
            let request = world.request(method, path).header("Content-Type", "application/json").body(body.to_vec());
            let reply = world.send(request).await;
            let status = reply.status.as_u16();
            assert!(
                matches!(status, 400 | 413 | 422),
                "{path} {}: {reply:?}",
                String::from_utf8_lossy(&body[..body.len().min(60)])
            );
            reply.problem();
        }
    }
    assert_eq!(world.get("/readyz").await.status.as_u16(), 200);
}

#[actix_web::test]
async fn other_methods_and_content_types_are_refused_by_name() {
    let world = World::start().await;
    for path in READS {
        for method in [Method::DELETE, Method::PATCH] {
            let reply = world.send(world.request(method, path)).await;
            assert_eq!((reply.status.as_u16(), reply.problem().code.as_str()), (405, "method_not_allowed"), "{path}");
            assert!(reply.headers["allow"].to_str().unwrap().contains("GET"));
        }
    }
    for (method, path) in WRITES {
        for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""] {
            let request = world.request(method.parse().unwrap(), path).header("Content-Type", kind).body("{}");
            assert_eq!(world.send(request).await.problem().code, "unsupported_media_type", "{path} {kind}");
        }
        let request = world.request(method.parse().unwrap(), path).header("Content-Type", "application/json");
        let reply = world.send(request.header("Content-Encoding", "gzip").body("x")).await;
        assert_eq!(reply.problem().code, "unsupported_media_type");
    }
}

#[actix_web::test]
async fn strangers_and_pages_of_other_origins_are_refused() {
    let world = World::start().await;
    world.import().await;
    for path in READS {
        let reply = world.send(world.request(Method::GET, path).header("Host", "evil.example")).await;
        assert_eq!((reply.status.as_u16(), reply.problem().code.as_str()), (403, "bad_host"), "{path}");
    }
    let stop = || {
        let request =
            world.request(Method::POST, "/api/v1/campaigns/1001/stop").header("Content-Type", "application/json");
        request.body(r#"{"reason":"r"}"#)
    };
    for (name, value) in [("Origin", "http://evil.example"), ("Origin", "null"), ("Sec-Fetch-Site", "cross-site")] {
        let reply = world.send(stop().header(name, value)).await;
        assert_eq!((reply.status.as_u16(), reply.problem().code.as_str()), (403, "bad_origin"), "{name}: {value}");
    }
    assert_eq!(world.get("/api/v1/campaigns?status=stopped").await.json()["result"], serde_json::json!([]));
    assert_eq!(world.send(stop().header("Origin", &world.base)).await.status.as_u16(), 200);
}

#[actix_web::test]
async fn bounds_have_names() {
    let settings = PanelSettings { max_catalogue_bytes: 64 << 10, ..PanelSettings::default() };
    let world = World::with(settings, None).await;
    for (path, code) in [
        ("/api/v1/events?start_time=2000-01-01T00:00:00Z&end_time=2020-01-01T00:00:00Z", "range_too_wide"),
        ("/api/v1/events?start_time=2&end_time=1", "bad_range"),
        ("/api/v1/events?limit=1001", "bad_parameter"),
        ("/api/v1/events?cursor=00", "bad_cursor"),
        ("/api/v1/campaigns?cursor=x", "bad_cursor"),
        ("/api/v1/dead?cursor=x", "bad_cursor"),
        ("/api/v1/campaigns/0/timeseries?step=61", "bad_parameter"),
        (
            "/api/v1/campaigns/0/timeseries?step=1m&start_time=2017-01-01T00:00:00Z&end_time=2018-01-01T00:00:00Z",
            "bad_range",
        ),
    ] {
        assert_eq!(world.get(path).await.problem().code, code, "{path}");
    }
    let long = "x".repeat((64 << 10) + 1);
    for (method, path) in WRITES {
        let reply = world.write(method.parse().unwrap(), path, &long).await;
        assert_eq!((reply.status.as_u16(), reply.problem().code.as_str()), (413, "body_too_large"), "{path}");
    }
    let late = world.write(Method::POST, "/api/v1/reconcile", r#"{"wait_s":601}"#).await;
    assert_eq!(late.problem().field.as_deref(), Some("wait_s"));
}

#[actix_web::test]
async fn broken_http_ends_the_connection_and_nothing_else() {
    let world = World::start().await;
    let address = world.base.strip_prefix("http://").unwrap().to_owned();
    for bytes in [
        &b"\x00\x01\x02\r\n\r\n"[..],
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
        b"GET /%zz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    ] {
        let mut socket = tokio::net::TcpStream::connect(&address).await.unwrap();
        socket.write_all(bytes).await.unwrap();
        let mut answer = [0; 4096];
        let n = socket.read(&mut answer).await.unwrap_or(0);
        let head = String::from_utf8_lossy(&answer[..n]).into_owned();
        assert!(n == 0 || head.starts_with("HTTP/1.1 4"), "{head}");
    }
    assert_eq!(world.get("/healthz").await.status.as_u16(), 200);
}
