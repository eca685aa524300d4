//! What stands before every route: roles, CSRF, spellings of paths, headers.

use super::gate::{Gate, code, get, with_token};
use crate::support::World;
use penstock::accounts::Role;
use penstock::ledger::{Change, Ledger};
use penstock_panel::access::roles::{Need, TABLE};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

#[actix_web::test]
async fn a_change_with_a_cookie_needs_its_session_s_csrf_token() {
    let gate = Gate::start().await;
    // By the ledger itself: the route waits until the prices hold by the clock, which stands still here.
    let catalogue = penstock_consumers::catalogue::parse(&crate::support::catalogue()).unwrap();
    gate.world
        .ledger
        .import(&catalogue, Duration::ZERO, &Change { who: "x".into(), why: String::new() })
        .await
        .unwrap();
    let other = gate.user("anna", "admin").await;
    let stop = |csrf: Option<&str>| {
        let request = gate.world.request(Method::POST, "/api/v1/campaigns/1001/stop");
        let request = request.header("Cookie", &gate.admin.cookie).header("Content-Type", "application/json");
        let request = match csrf {
            Some(csrf) => request.header("X-CSRF-Token", csrf),
            None => request,
        };
        gate.world.send(request.body(r#"{"reason":"r"}"#))
    };
    for csrf in [None, Some(""), Some("x"), Some(other.csrf.as_str())] {
        assert_eq!(code(&stop(csrf).await), (403, "bad_csrf".to_owned()), "{csrf:?}");
    }
    let done = stop(Some(&gate.admin.csrf)).await;
    assert_eq!((done.status.as_u16(), &done.json()["stops"][0]["who"]), (200, &json!("admin")));
    // The token is of a page of ours: another origin is refused although it has both.
    let request =
        gate.world.request(Method::POST, "/api/v1/campaigns/1001/resume").header("Origin", "http://evil.example");
    let request = request.header("Cookie", &gate.admin.cookie).header("X-CSRF-Token", &gate.admin.csrf);
    assert_eq!(code(&gate.world.send(request).await), (403, "bad_origin".to_owned()));
    // A program's token needs none.
    let (_, token) = gate.token("ci", "operator", Value::Null).await;
    let request = gate.world.request(Method::POST, "/api/v1/campaigns/1001/resume").bearer_auth(token);
    let reply = gate.world.send(request.header("Content-Type", "application/json").body(r#"{"reason":"r"}"#)).await;
    assert_eq!(reply.status, 200);
    let audit = gate.audit().await;
    assert!(audit.contains(&("token:ci".to_owned(), "resume".to_owned(), "campaign 1001".to_owned())), "{audit:?}");
}

#[actix_web::test]
async fn every_route_asks_for_the_role_that_the_table_says() {
    let gate = Gate::start().await;
    let mut callers: Vec<(Option<Role>, Option<String>)> = vec![(None, None)];
    for role in ["viewer", "operator", "admin"] {
        callers.push((Some(role.parse().unwrap()), Some(gate.token(role, role, Value::Null).await.1)));
    }
    let mut asked = 0;
    for (method, pattern, need) in TABLE {
        let path = sample(pattern);
        let method: Method = method.parse().unwrap();
        let admin = with_token(&gate.world, method.clone(), &path, callers[3].1.as_ref().unwrap()).await;
        let absent = admin.status == 404 && admin.problem().detail.contains("no such route");
        if absent || admin.status == 405 {
            continue; // a line for a route that is not there yet
        }
        let Need::Role(least) = need else { continue };
        asked += 1;
        for (role, token) in &callers {
            let reply = match token {
                Some(token) => with_token(&gate.world, method.clone(), &path, token).await,
                None => gate.world.send(gate.world.request(method.clone(), &path)).await,
            };
            let status = reply.status.as_u16();
            match role {
                None => assert_eq!(code(&reply), (401, "login_required".to_owned()), "{method} {path}"),
                Some(role) if role < least => {
                    assert_eq!(code(&reply), (403, "forbidden".to_owned()), "{method} {path} {role}");
                    assert!(reply.problem().detail.contains(least.name()), "the role that it needs is named");
                }
                Some(role) => assert!(status != 401 && status != 403, "{method} {path} {role}: {reply:?}"),
            }
        }
    }
    assert!(asked >= 25, "{asked} routes");
}

/// A path that fits a pattern.
fn sample(pattern: &str) -> String {
    pattern.replace("{id}", "1001").replace("{name}", "nobody").replace("{dim}", "country").replace("{path:.*}", "x")
}

#[actix_web::test]
async fn no_spelling_of_a_path_gets_past_the_guard() {
    let gate = Gate::start().await;
    for path in [
        "/api/v1/%73tatus",
        "/api/v1/s%74atus",
        "/%61pi/v1/status",
        "/api%2fv1%2fstatus",
        "/api/v1//status",
        "//api/v1/status",
        "/api/v1/status/",
        "/api/v1/../v1/status",
        "/api/./v1/status",
        "/API/V1/status",
        "/api/v1/campaigns/1001%2fstop",
        "/api/v1/status;x=1",
        "/%2e%2e/api/v1/status",
    ] {
        let mut socket = tokio::net::TcpStream::connect(gate.world.base.trim_start_matches("http://")).await.unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/html\r\nConnection: close\r\n\r\n");
        let answer = crate::support::raw(&mut socket, &head).await;
        assert!(!answer.contains("\"sinks\"") && !answer.contains("\"health\""), "{path}: {answer}");
        let status: u16 = answer.split(' ').nth(1).unwrap().parse().unwrap();
        assert!(matches!(status, 200 | 400 | 401 | 404), "{path}: {answer}");
    }
    assert_eq!(gate.world.get("/api/v1/%73tatus").await.status, 401, "spelled otherwise, the same route");
}

#[actix_web::test]
async fn metrics_are_for_this_machine_or_for_a_token() {
    let gate = Gate::start().await;
    assert_eq!(gate.world.get("/metrics").await.status, 200);
    let through_a_proxy = || gate.world.request(Method::GET, "/metrics").header("X-Forwarded-For", "203.0.113.9");
    assert_eq!(gate.world.send(through_a_proxy()).await.status, 401);
    let (_, token) = gate.token("prometheus", "viewer", Value::Null).await;
    assert_eq!(gate.world.send(through_a_proxy().bearer_auth(token)).await.status, 200);
    for path in ["/healthz", "/readyz", "/"] {
        assert_eq!(gate.world.get(path).await.status, 200, "{path}");
    }
}

#[actix_web::test]
async fn every_answer_has_its_security_headers() {
    let gate = Gate::start().await;
    let world = &gate.world;
    let replies = [
        world.get("/").await,
        world.get("/healthz").await,
        world.get("/api/v1/session").await,
        world.get("/api/v1/status").await,
        world.get("/nothing").await,
        world.get("/assets/nothing.js").await,
        world.send(world.request(Method::GET, "/").header("Host", "evil.example")).await,
        world.send(world.request(Method::DELETE, "/api/v1/status")).await,
        world.send(world.request(Method::POST, "/api/v1/session").body("x")).await,
        get(world, &gate.admin, "/api/v1/users").await,
    ];
    for reply in replies {
        let header = |name: &str| reply.headers.get(name).map(|v| v.to_str().unwrap().to_owned());
        let csp = header("content-security-policy").unwrap();
        assert!(csp.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"), "{csp}");
        assert!(!csp.contains("unsafe") && csp.contains("frame-ancestors 'none'"), "{csp}");
        assert_eq!(header("x-content-type-options").as_deref(), Some("nosniff"));
        for name in ["referrer-policy", "permissions-policy", "cross-origin-opener-policy", "x-frame-options"] {
            assert!(header(name).is_some(), "{name} is not in {reply:?}");
        }
    }
}

#[actix_web::test]
async fn a_websocket_s_handshake_from_another_origin_is_refused_before_anything_else() {
    for world in [World::start().await, Gate::start().await.world] {
        let request = world.request(Method::GET, "/graphql").header("Upgrade", "websocket");
        let request = request.header("Connection", "Upgrade").header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
        let reply =
            world.send(request.header("Sec-WebSocket-Version", "13").header("Origin", "http://evil.example")).await;
        assert_eq!(code(&reply), (403, "bad_origin".to_owned()));
    }
}
