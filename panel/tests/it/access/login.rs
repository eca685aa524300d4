//! Logging in and out: the first admin, sessions and their cookies, failed attempts.

use super::gate::{Gate, Login, PASSWORD, as_user, code, get, login, secret_of, settings};
use crate::support::{Reply, World};
use penstock::settings::{LoginSettings, PanelSettings};
use penstock_panel::Panel;
use penstock_panel::access::first_admin;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

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
    for secret in [secret, secret_of(&token), PASSWORD] {
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
