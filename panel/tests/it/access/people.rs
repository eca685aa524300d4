//! Users, tokens and the audit of who let whom in.

use super::gate::{Gate, Login, NOW, PASSWORD, as_user, code, get, login, secret_of, with_token};
use penstock::accounts::Accounts;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

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
async fn a_token_is_shown_once_and_ends_when_it_expires_or_is_revoked() {
    let gate = Gate::start().await;
    let expires = NOW.plus(Duration::from_secs(3_600)).to_string();
    let (id, token) = gate.token("ci", "viewer", json!(expires)).await;
    let status =
        async |token: &str| with_token(&gate.world, Method::GET, "/api/v1/status", token).await.status.as_u16();
    assert_eq!(status(&token).await, 200);
    let listed = get(&gate.world, &gate.admin, "/api/v1/tokens").await;
    assert!(!listed.text.contains(secret_of(&token)), "{}", listed.text);
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
