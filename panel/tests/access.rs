//! Who may come in, over HTTP with a real SQLite ledger: sessions, CSRF, tokens, roles, headers.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use penstock::accounts::{Accounts, Role};
use penstock::ledger::{Change, Ledger};
use penstock::settings::{AccessMode, LoginSettings, PanelSettings};
use penstock::time::{ManualClock, Micros};
use penstock_panel::Panel;
use penstock_panel::access::first_admin;
use penstock_panel::access::roles::{Need, TABLE};
use reqwest::Method;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use support::{Reply, World};

const NOW: Micros = Micros::from_secs(1_767_268_800);
const PASSWORD: &str = "correct horse battery";

/// A panel with logins whose first admin has changed the password to [`PASSWORD`].
struct Gate {
    world: World,
    clock: ManualClock,
    admin: Login,
}

/// What a browser holds after a login.
#[derive(Clone, Debug)]
struct Login {
    cookie: String,
    csrf: String,
}

fn settings() -> PanelSettings {
    PanelSettings { access: AccessMode::Login, ..PanelSettings::default() }
}

impl Login {
    fn of(reply: &Reply) -> Login {
        let set = reply.headers["set-cookie"].to_str().unwrap();
        let cookie = set.split(';').next().unwrap().to_owned();
        Login { cookie, csrf: reply.json()["result"]["csrf"].as_str().unwrap().to_owned() }
    }
}

impl Gate {
    async fn start() -> Gate {
        Gate::with(settings()).await
    }

    async fn with(settings: PanelSettings) -> Gate {
        let clock = ManualClock::at(NOW);
        let world = World::with_clock(settings, None, Arc::new(clock.clone())).await;
        let first = first_admin(&world.ledger).await.unwrap().unwrap();
        let reply = login(&world, "admin", &first.one_time_password).await;
        let body = json!({"current": first.one_time_password, "new": PASSWORD}).to_string();
        let changed = as_user(&world, &Login::of(&reply), Method::PUT, "/api/v1/session/password", &body).await;
        assert_eq!(changed.status, 200, "{changed:?}");
        let admin = Login::of(&changed);
        Gate { world, clock, admin }
    }

    async fn admin(&self, method: Method, path: &str, body: &Value) -> Reply {
        as_user(&self.world, &self.admin, method, path, &body.to_string()).await
    }

    /// Adds somebody and logs them in.
    async fn user(&self, name: &str, role: &str) -> Login {
        let body = json!({"name": name, "role": role, "password": PASSWORD});
        let added = self.admin(Method::POST, "/api/v1/users", &body).await;
        assert_eq!(added.status, 200, "{added:?}");
        Login::of(&login(&self.world, name, PASSWORD).await)
    }

    async fn token(&self, name: &str, role: &str, expires: Value) -> (String, String) {
        let body = json!({"name": name, "role": role, "expires": expires});
        let made = self.admin(Method::POST, "/api/v1/tokens", &body).await.json();
        let text = |key: &str| made["result"][key].as_str().unwrap().to_owned();
        (text("id"), text("token"))
    }

    async fn audit(&self) -> Vec<(String, String, String)> {
        let rows = self.world.ledger_audit().await;
        rows.into_iter().map(|r| (r.who, r.action, r.subject)).collect()
    }
}

async fn login(world: &World, name: &str, password: &str) -> Reply {
    world.write(Method::POST, "/api/v1/session", &json!({"name": name, "password": password}).to_string()).await
}

async fn as_user(world: &World, login: &Login, method: Method, path: &str, body: &str) -> Reply {
    let mut request = world.request(method.clone(), path).header("Cookie", &login.cookie);
    if method != Method::GET {
        request = request.header("X-CSRF-Token", &login.csrf).header("Content-Type", "application/json");
    }
    world.send(if body.is_empty() { request } else { request.body(body.to_owned()) }).await
}

async fn get(world: &World, login: &Login, path: &str) -> Reply {
    as_user(world, login, Method::GET, path, "").await
}

async fn with_token(world: &World, method: Method, path: &str, token: &str) -> Reply {
    world.send(world.request(method, path).header("Authorization", format!("Bearer {token}"))).await
}

fn code(reply: &Reply) -> (u16, String) {
    (reply.status.as_u16(), reply.problem().code)
}

#[actix_web::test]
async fn the_first_start_makes_an_admin_who_must_change_the_one_time_password() {
    let world = World::with(settings(), None).await;
    let first = first_admin(&world.ledger).await.unwrap().unwrap();
    assert!(first_admin(&world.ledger).await.unwrap().is_none(), "only once");
    let reply = login(&world, "admin", &first.one_time_password).await;
    assert_eq!(reply.json()["result"]["user"]["must_change_password"], true);
    let session = Login::of(&reply);
    for path in ["/api/v1/status", "/api/v1/users"] {
        assert_eq!(code(&get(&world, &session, path).await), (403, "password_change_required".to_owned()));
    }
    let change = |new: &str| json!({"current": first.one_time_password, "new": new}).to_string();
    let put = |body: String| as_user_owned(&world, session.clone(), body);
    assert_eq!(put(change("elevenchars")).await.problem().field.as_deref(), Some("new"));
    assert_eq!(put(change(&first.one_time_password)).await.problem().field.as_deref(), Some("new"));
    let wrong = json!({"current": "something else", "new": PASSWORD}).to_string();
    assert_eq!(code(&put(wrong).await), (401, "bad_credentials".to_owned()));
    let changed = put(change(PASSWORD)).await;
    assert_eq!(changed.json()["result"]["user"]["must_change_password"], false);
    assert_eq!(get(&world, &Login::of(&changed), "/api/v1/users").await.status, 200);
    assert_eq!(get(&world, &session, "/api/v1/status").await.status, 401, "the session before is over");
    assert_eq!(login(&world, "admin", &first.one_time_password).await.status, 401);
}

async fn as_user_owned(world: &World, login: Login, body: String) -> Reply {
    as_user(world, &login, Method::PUT, "/api/v1/session/password", &body).await
}

#[actix_web::test]
async fn an_open_panel_lets_everybody_in_as_local_and_refuses_other_addresses() {
    let world = World::start().await;
    let session = world.get("/api/v1/session").await.json();
    let user = json!({"name": "local", "role": "admin", "via": "open", "must_change_password": false});
    assert_eq!((&session["result"]["open"], &session["result"]["user"]), (&json!(true), &user));
    assert_eq!(session["result"]["csrf"], Value::Null);
    assert_eq!(code(&login(&world, "admin", PASSWORD).await), (409, "conflict".to_owned()));
    let everywhere = PanelSettings { listen: "0.0.0.0:0".parse().unwrap(), ..PanelSettings::default() };
    let refused = Panel::start(world.config(everywhere)).unwrap_err().to_string();
    assert!(refused.contains("panel.access"), "{refused}");
}

#[actix_web::test]
async fn the_session_s_cookie_is_out_of_reach_of_scripts_and_of_other_sites() {
    let gate = Gate::start().await;
    let reply = login(&gate.world, "admin", PASSWORD).await;
    let set = reply.headers["set-cookie"].to_str().unwrap().to_owned();
    for part in ["penstock_session=", "HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=604800"] {
        assert!(set.contains(part), "{part} is not in {set}");
    }
    assert!(!set.contains("Secure") && !set.contains("Domain"), "{set}");
    assert_eq!(reply.headers["cache-control"], "no-store");
    let https = PanelSettings { public_url: Some("https://ads.example".to_owned()), ..settings() };
    let gate = Gate::with(https).await;
    let reply = login(&gate.world, "admin", PASSWORD).await;
    assert!(reply.headers["set-cookie"].to_str().unwrap().contains("Secure"));
    assert!(reply.headers.contains_key("strict-transport-security"));
}

#[actix_web::test]
async fn the_database_holds_no_secret_of_a_session_or_a_token() {
    let gate = Gate::start().await;
    let (_, token) = gate.token("ci", "viewer", Value::Null).await;
    gate.world.ledger.close().await;
    let mut text = String::new();
    for file in std::fs::read_dir(gate.world.folder()).unwrap() {
        text.push_str(&String::from_utf8_lossy(&std::fs::read(file.unwrap().path()).unwrap()));
    }
    assert!(text.contains("$argon2id$v=19$m=19456,t=2,p=1$"));
    let secret = gate.admin.cookie.split_once('=').unwrap().1;
    for secret in [secret, token.rsplit('_').next().unwrap(), PASSWORD] {
        assert!(secret.len() >= 10 && !text.contains(secret));
    }
}

#[actix_web::test]
async fn a_planted_session_is_worth_nothing() {
    let gate = Gate::start().await;
    let planted = "penstock_session=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let body = json!({"name": "admin", "password": PASSWORD}).to_string();
    let request = gate.world.request(Method::POST, "/api/v1/session").header("Content-Type", "application/json");
    let reply = gate.world.send(request.header("Cookie", planted).body(body.clone())).await;
    let fresh = Login::of(&reply);
    assert_ne!(fresh.cookie, planted);
    // Nor does a session of one's own go on beside the one that takes its place.
    let request = gate.world.request(Method::POST, "/api/v1/session").header("Content-Type", "application/json");
    let next = Login::of(&gate.world.send(request.header("Cookie", &fresh.cookie).body(body)).await);
    assert_ne!(next.cookie, fresh.cookie);
    assert_eq!(get(&gate.world, &fresh, "/api/v1/status").await.status, 401);
    assert_eq!(get(&gate.world, &next, "/api/v1/status").await.status, 200);
}

#[actix_web::test]
async fn a_change_with_a_cookie_needs_its_session_s_csrf_token() {
    let gate = Gate::start().await;
    // By the ledger itself: the route waits until the prices hold by the clock, which stands still here.
    let catalogue = penstock_consumers::catalogue::parse(&support::catalogue()).unwrap();
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
        let answer = support::raw(&mut socket, &head).await;
        assert!(!answer.contains("\"sinks\"") && !answer.contains("\"health\""), "{path}: {answer}");
        let status: u16 = answer.split(' ').nth(1).unwrap().parse().unwrap();
        assert!(matches!(status, 200 | 400 | 401 | 404), "{path}: {answer}");
    }
    assert_eq!(gate.world.get("/api/v1/%73tatus").await.status, 401, "spelled otherwise, the same route");
}

#[actix_web::test]
async fn a_wrong_name_and_a_wrong_password_get_the_same_words() {
    let gate = Gate::start().await;
    gate.user("anna", "viewer").await;
    gate.admin(Method::PUT, "/api/v1/users/anna", &json!({"disabled": true})).await;
    let mut words = Vec::new();
    for (name, password) in [("admin", "wrong password"), ("nobody", PASSWORD), ("anna", PASSWORD), ("ünknown\n", "x")]
    {
        let reply = login(&gate.world, name, password).await;
        assert!(!reply.headers.contains_key("set-cookie"));
        words.push((reply.status, reply.text));
    }
    words.dedup();
    assert_eq!(words.len(), 1, "{words:?}");
    assert_eq!(words[0].0, 401);
}

#[actix_web::test]
async fn too_many_failed_logins_wait_and_the_audit_does_not_overflow() {
    let login_settings = LoginSettings { attempts: 3, ..LoginSettings::default() };
    let gate = Gate::with(PanelSettings { login: login_settings, ..settings() }).await;
    for _ in 0..3 {
        assert_eq!(login(&gate.world, "admin", "wrong password").await.status, 401);
    }
    let reply = login(&gate.world, "admin", PASSWORD).await;
    assert_eq!(code(&reply), (429, "too_many_attempts".to_owned()));
    assert_eq!(reply.headers["retry-after"], "901");
    assert_eq!(get(&gate.world, &gate.admin, "/api/v1/users").await.status, 200, "who is in stays in");
    gate.clock.advance(Duration::from_secs(900));
    assert_eq!(login(&gate.world, "admin", PASSWORD).await.status, 200);
    let failed = gate.audit().await.into_iter().filter(|(_, action, _)| action == "login_failed").collect::<Vec<_>>();
    let row = ("anonymous".to_owned(), "login_failed".to_owned(), "user admin".to_owned());
    assert_eq!(failed, vec![row; 3], "refused ones are not looked at and not kept");
}

#[actix_web::test]
async fn a_disabled_user_is_out_at_once_and_a_new_role_holds_at_once() {
    let gate = Gate::start().await;
    let anna = gate.user("anna", "operator").await;
    let bert = gate.user("bert", "viewer").await;
    assert_eq!(get(&gate.world, &anna, "/api/v1/status").await.status, 200);
    gate.admin(Method::PUT, "/api/v1/users/anna", &json!({"role": "viewer"})).await;
    let stopped = as_user(&gate.world, &anna, Method::POST, "/api/v1/campaigns/1/stop", r#"{"reason":"r"}"#).await;
    assert_eq!(code(&stopped), (403, "forbidden".to_owned()));
    gate.admin(Method::PUT, "/api/v1/users/anna", &json!({"disabled": true})).await;
    assert_eq!(code(&get(&gate.world, &anna, "/api/v1/status").await), (401, "login_required".to_owned()));
    gate.admin(Method::PUT, "/api/v1/users/anna", &json!({"disabled": false})).await;
    assert_eq!(get(&gate.world, &anna, "/api/v1/status").await.status, 401, "the session does not come back");
    gate.admin(Method::PUT, "/api/v1/users/bert", &json!({"password": "another password"})).await;
    assert_eq!(get(&gate.world, &bert, "/api/v1/status").await.status, 401, "nor does it outlive its password");
    assert_eq!(login(&gate.world, "bert", "another password").await.status, 200);
    assert_eq!(gate.admin(Method::DELETE, "/api/v1/users/bert", &json!({})).await.status, 200);
    assert_eq!(login(&gate.world, "bert", "another password").await.status, 401);
}

#[actix_web::test]
async fn the_last_admin_cannot_be_taken_away() {
    let gate = Gate::start().await;
    for (method, body) in [
        (Method::DELETE, json!({})),
        (Method::PUT, json!({"disabled": true})),
        (Method::PUT, json!({"role": "viewer"})),
    ] {
        let reply = gate.admin(method, "/api/v1/users/admin", &body).await;
        assert_eq!(code(&reply), (409, "conflict".to_owned()), "{body}");
    }
    let other = gate.user("anna", "admin").await;
    assert_eq!(gate.admin(Method::DELETE, "/api/v1/users/admin", &json!({})).await.status, 200);
    let refused = as_user(&gate.world, &other, Method::DELETE, "/api/v1/users/anna", "").await;
    assert_eq!(refused.status, 409);
}

#[actix_web::test]
async fn a_session_ends_when_it_is_idle_or_old_or_logged_out() {
    let gate = Gate::start().await;
    let hour = Duration::from_secs(3_600);
    for _ in 0..5 {
        gate.clock.advance(11 * hour);
        assert_eq!(get(&gate.world, &gate.admin, "/api/v1/users").await.status, 200, "used within 12 h");
    }
    let idle = Login::of(&login(&gate.world, "admin", PASSWORD).await);
    gate.clock.advance(12 * hour);
    assert_eq!(get(&gate.world, &idle, "/api/v1/users").await.status, 401);
    let old = Login::of(&login(&gate.world, "admin", PASSWORD).await);
    for _ in 0..15 {
        gate.clock.advance(11 * hour);
        assert_eq!(get(&gate.world, &old, "/api/v1/users").await.status, 200);
    }
    gate.clock.advance(3 * hour);
    assert_eq!(get(&gate.world, &old, "/api/v1/users").await.status, 401, "7 days");
    let last = Login::of(&login(&gate.world, "admin", PASSWORD).await);
    let out = as_user(&gate.world, &last, Method::DELETE, "/api/v1/session", "").await;
    assert!(out.headers["set-cookie"].to_str().unwrap().contains("Max-Age=0"), "{out:?}");
    assert_eq!(get(&gate.world, &last, "/api/v1/users").await.status, 401);
    assert_eq!(get(&gate.world, &last, "/api/v1/session").await.json()["result"]["user"], Value::Null);
}

#[actix_web::test]
async fn a_token_is_shown_once_and_ends_when_it_expires_or_is_revoked() {
    let gate = Gate::start().await;
    let expires = NOW.plus(Duration::from_secs(3_600)).to_string();
    let (id, token) = gate.token("ci", "viewer", json!(expires)).await;
    let status =
        async |token: &str| with_token(&gate.world, Method::GET, "/api/v1/status", token).await.status.as_u16();
    assert_eq!(status(&token).await, 200);
    let listed = get(&gate.world, &gate.admin, "/api/v1/tokens").await;
    assert!(!listed.text.contains(token.rsplit('_').next().unwrap()), "{}", listed.text);
    let row = &listed.json()["result"][0];
    assert_eq!((&row["name"], &row["created_by"], &row["id"]), (&json!("ci"), &json!("admin"), &json!(id)));
    assert!(row["last_used"].is_string());
    let wrong = format!("{}x", &token[..token.len() - 1]);
    for bad in [wrong.as_str(), "pst_0000000000000000_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "x", ""] {
        assert_eq!(status(bad).await, 401, "{bad}");
    }
    gate.clock.advance(Duration::from_secs(3_600));
    assert_eq!(status(&token).await, 401, "expired");
    let admin = Login::of(&login(&gate.world, "admin", PASSWORD).await);
    let (id, token) = gate.token("for-ever", "viewer", Value::Null).await;
    assert_eq!(status(&token).await, 200);
    let path = format!("/api/v1/tokens/{id}");
    assert_eq!(as_user(&gate.world, &admin, Method::DELETE, &path, "").await.status, 200);
    assert_eq!(status(&token).await, 401, "revoked");
    assert_eq!(as_user(&gate.world, &admin, Method::DELETE, &path, "").await.status, 404);
    let past = json!({"name": "late", "role": "viewer", "expires": "2020-01-01T00:00:00Z"});
    assert_eq!(gate.admin(Method::POST, "/api/v1/tokens", &past).await.problem().field.as_deref(), Some("expires"));
    let again = json!({"name": "ci", "role": "viewer"});
    assert_eq!(code(&gate.admin(Method::POST, "/api/v1/tokens", &again).await), (409, "conflict".to_owned()));
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

#[actix_web::test]
async fn the_audit_names_who_let_whom_in() {
    let gate = Gate::start().await;
    gate.user("anna", "viewer").await;
    gate.admin(Method::PUT, "/api/v1/users/anna", &json!({"role": "operator"})).await;
    gate.admin(Method::PUT, "/api/v1/users/anna", &json!({"disabled": true})).await;
    let (id, _) = gate.token("ci", "viewer", Value::Null).await;
    gate.admin(Method::DELETE, &format!("/api/v1/tokens/{id}"), &json!({})).await;
    gate.admin(Method::DELETE, "/api/v1/users/anna", &json!({})).await;
    let rows = gate.audit().await;
    let rows: Vec<(&str, &str, &str)> = rows.iter().map(|(a, b, c)| (a.as_str(), b.as_str(), c.as_str())).collect();
    assert_eq!(
        rows,
        [
            ("admin", "user_remove", "user anna"),
            ("admin", "token_remove", "token ci"),
            ("admin", "token_add", "token ci"),
            ("admin", "user_disable", "user anna"),
            ("admin", "user_role", "user anna"),
            ("anna", "login", "user anna"),
            ("admin", "user_add", "user anna"),
            ("admin", "login", "user admin"),
            ("admin", "user_password", "user admin"),
            ("admin", "login", "user admin"),
            ("local", "user_add", "user admin"),
        ]
    );
}

#[actix_web::test]
async fn nonsense_about_users_and_tokens_is_refused_by_name() {
    let gate = Gate::start().await;
    for (path, body, status) in [
        ("/api/v1/users", json!({"name": "Anna", "role": "viewer", "password": PASSWORD}), 400),
        ("/api/v1/users", json!({"name": "local", "role": "viewer", "password": PASSWORD}), 400),
        ("/api/v1/users", json!({"name": "anna", "role": "root", "password": PASSWORD}), 400),
        ("/api/v1/users", json!({"name": "anna", "role": "viewer", "password": "short"}), 400),
        ("/api/v1/users", json!({"name": "admin", "role": "viewer", "password": PASSWORD}), 409),
        ("/api/v1/users", json!({"name": "anna", "role": "viewer", "password": PASSWORD, "more": 1}), 400),
        ("/api/v1/tokens", json!({"name": "a b", "role": "viewer"}), 400),
        ("/api/v1/tokens", json!({"name": "a", "role": "viewer", "expires": "soon"}), 400),
        ("/api/v1/session", json!({"name": "admin"}), 400),
        ("/api/v1/session", json!({"name": "admin", "password": 5}), 400),
    ] {
        let reply = gate.admin(Method::POST, path, &body).await;
        assert_eq!(reply.status.as_u16(), status, "{path} {body}: {reply:?}");
        reply.problem();
    }
    let long = json!({"name": "x".repeat(10_000), "password": "y".repeat(10_000)});
    assert_eq!(gate.admin(Method::POST, "/api/v1/session", &long).await.status, 401);
    for path in ["/api/v1/users/nobody", "/api/v1/users/%00", "/api/v1/users/A%20B"] {
        let reply = gate.admin(Method::PUT, path, &json!({"disabled": true})).await;
        assert!(matches!(reply.status.as_u16(), 400 | 404), "{path}: {reply:?}");
    }
    assert_eq!(gate.admin(Method::PUT, "/api/v1/users/admin", &json!({})).await.problem().code, "bad_body");
    assert!(gate.world.ledger.users().await.unwrap().len() == 1);
}
