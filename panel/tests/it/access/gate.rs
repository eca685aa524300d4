//! A panel with logins, and who comes to it.

use crate::support::{Reply, World};
use penstock::settings::{AccessMode, PanelSettings};
use penstock::time::{ManualClock, Micros};
use penstock_panel::access::first_admin;
use reqwest::Method;
use serde_json::{Value, json};
use std::sync::Arc;

pub const NOW: Micros = Micros::from_secs(1_767_268_800);
pub const PASSWORD: &str = "correct horse battery";

/// A panel with logins whose first admin has changed the password to [`PASSWORD`].
pub struct Gate {
    pub world: World,
    pub clock: ManualClock,
    pub admin: Login,
}

/// What a browser holds after a login.
#[derive(Clone, Debug)]
pub struct Login {
    pub cookie: String,
    pub csrf: String,
}

pub fn settings() -> PanelSettings {
    PanelSettings { access: AccessMode::Login, ..PanelSettings::default() }
}

impl Login {
    pub fn of(reply: &Reply) -> Login {
        let set = reply.headers["set-cookie"].to_str().unwrap();
        let cookie = set.split(';').next().unwrap().to_owned();
        Login { cookie, csrf: reply.json()["result"]["csrf"].as_str().unwrap().to_owned() }
    }
}

impl Gate {
    pub async fn start() -> Gate {
        Gate::with(settings()).await
    }

    pub async fn with(settings: PanelSettings) -> Gate {
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

    pub async fn admin(&self, method: Method, path: &str, body: &Value) -> Reply {
        as_user(&self.world, &self.admin, method, path, &body.to_string()).await
    }

    /// Adds somebody and logs them in.
    pub async fn user(&self, name: &str, role: &str) -> Login {
        let body = json!({"name": name, "role": role, "password": PASSWORD});
        let added = self.admin(Method::POST, "/api/v1/users", &body).await;
        assert_eq!(added.status, 200, "{added:?}");
        Login::of(&login(&self.world, name, PASSWORD).await)
    }

    pub async fn token(&self, name: &str, role: &str, expires: Value) -> (String, String) {
        let body = json!({"name": name, "role": role, "expires": expires});
        let made = self.admin(Method::POST, "/api/v1/tokens", &body).await.json();
        let text = |key: &str| made["result"][key].as_str().unwrap().to_owned();
        (text("id"), text("token"))
    }

    pub async fn audit(&self) -> Vec<(String, String, String)> {
        let rows = self.world.ledger_audit().await;
        rows.into_iter().map(|r| (r.who, r.action, r.subject)).collect()
    }
}

pub async fn login(world: &World, name: &str, password: &str) -> Reply {
    world.write(Method::POST, "/api/v1/session", &json!({"name": name, "password": password}).to_string()).await
}

pub async fn as_user(world: &World, login: &Login, method: Method, path: &str, body: &str) -> Reply {
    let mut request = world.request(method.clone(), path).header("Cookie", &login.cookie);
    if method != Method::GET {
        request = request.header("X-CSRF-Token", &login.csrf).header("Content-Type", "application/json");
    }
    world.send(if body.is_empty() { request } else { request.body(body.to_owned()) }).await
}

pub async fn get(world: &World, login: &Login, path: &str) -> Reply {
    as_user(world, login, Method::GET, path, "").await
}

pub async fn with_token(world: &World, method: Method, path: &str, token: &str) -> Reply {
    world.send(world.request(method, path).header("Authorization", format!("Bearer {token}"))).await
}

pub fn code(reply: &Reply) -> (u16, String) {
    (reply.status.as_u16(), reply.problem().code)
}

/// What is secret in `pst_{id}_{secret}`; the secret may hold an underscore itself.
pub fn secret_of(token: &str) -> &str {
    token.splitn(3, '_').nth(2).unwrap()
}
