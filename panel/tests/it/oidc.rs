//! The login through an identity provider, with a provider played here: discovery, keys and tokens
//! over HTTP on loopback, signatures by `openssl`, tokens put together by hand.

use crate::support::{Reply, World};
use actix_web::{App, HttpResponse, HttpServer, web};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use penstock::accounts::{Accounts, LoginWay, NewUser, Proof, Role, UserChange};
use penstock::ledger::Change;
use penstock::settings::{AccessMode, OidcSettings, PanelSettings};
use penstock::time::{ManualClock, Micros};
use reqwest::Method;
use reqwest::redirect::Policy;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

const NOW: i64 = 1_767_268_800;
const SECRET: &str = "a secret of the client";

/// The provider: knows one client, signs what a test tells it to.
struct Provider {
    issuer: String,
    keys: tempfile::TempDir,
    /// What `/token` gives for a code, once: the challenge that must fit, and the ID token.
    codes: Mutex<HashMap<String, (String, String)>>,
    userinfo: Mutex<Value>,
    server: actix_web::dev::ServerHandle,
}

fn openssl(args: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new("openssl")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("openssl is not there; `make tools` names what is missing");
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "openssl {args:?}");
    output.stdout
}

impl Provider {
    async fn start() -> Arc<Provider> {
        let keys = tempfile::tempdir().unwrap();
        for name in ["right", "wrong"] {
            openssl(&["genrsa", "-out", keys.path().join(name).to_str().unwrap(), "2048"], b"");
        }
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(std::sync::OnceLock::<Arc<Provider>>::new());
        let state = shared.clone();
        let server = HttpServer::new(move || {
            App::new()
                .app_data(web::Data::from(state.clone()))
                .route("/.well-known/openid-configuration", web::get().to(discovery))
                .route("/keys", web::get().to(keys_of))
                .route("/token", web::post().to(token))
                .route("/userinfo", web::get().to(userinfo))
        })
        .workers(1)
        .disable_signals()
        .listen(listener)
        .unwrap()
        .run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        let provider = Arc::new(Provider {
            issuer,
            keys,
            codes: Mutex::default(),
            userinfo: Mutex::new(Value::Null),
            server: handle,
        });
        assert!(shared.set(provider.clone()).is_ok());
        provider
    }

    fn key(&self, name: &str) -> PathBuf {
        self.keys.path().join(name)
    }

    /// A JWT over these claims, signed with a key of ours.
    fn sign(&self, claims: &Value, key: &str) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", part(&json!({"alg": "RS256", "typ": "JWT", "kid": "k1"})), part(claims));
        let signature = openssl(&["dgst", "-sha256", "-sign", self.key(key).to_str().unwrap()], text.as_bytes());
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// What the provider's page does when somebody has logged in there: a code for the redirect.
    fn authorize(&self, location: &str, who: &Value, key: &str, tamper: impl FnOnce(&mut Value)) -> String {
        let asked = reqwest::Url::parse(location).unwrap();
        assert_eq!(asked.path(), "/authorize");
        let asked: HashMap<String, String> = asked.query_pairs().into_owned().collect();
        assert_eq!((asked["response_type"].as_str(), asked["client_id"].as_str()), ("code", "penstock"));
        assert_eq!(asked["code_challenge_method"], "S256");
        assert_eq!(asked["redirect_uri"], "http://ads.example/api/v1/session/oidc/callback");
        assert!(asked["scope"].split(' ').any(|s| s == "openid"));
        let mut claims = json!({
            "iss": self.issuer, "aud": "penstock", "iat": NOW, "exp": NOW + 300, "nonce": asked["nonce"],
        });
        for (name, value) in who.as_object().unwrap() {
            claims[name] = value.clone();
        }
        tamper(&mut claims);
        let mut codes = self.codes.lock().unwrap();
        let code = format!("code-{}", codes.len());
        codes.insert(code.clone(), (asked["code_challenge"].clone(), self.sign(&claims, key)));
        format!("code={code}&state={}", asked["state"])
    }
}

type State = web::Data<std::sync::OnceLock<Arc<Provider>>>;

async fn discovery(state: State) -> HttpResponse {
    let issuer = &state.get().unwrap().issuer;
    HttpResponse::Ok().json(json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "userinfo_endpoint": format!("{issuer}/userinfo"),
        "jwks_uri": format!("{issuer}/keys"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
    }))
}

async fn keys_of(state: State) -> HttpResponse {
    let key = state.get().unwrap().key("right");
    let text = openssl(&["rsa", "-in", key.to_str().unwrap(), "-noout", "-modulus"], b"");
    let hex = String::from_utf8(text).unwrap().trim().trim_start_matches("Modulus=").to_owned();
    let modulus: Vec<u8> = (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect();
    let n = URL_SAFE_NO_PAD.encode(modulus);
    HttpResponse::Ok()
        .json(json!({"keys": [{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "k1", "n": n, "e": "AQAB"}]}))
}

/// Gives the ID token for a code, when client, redirect and verifier are the right ones.
async fn token(
    state: State,
    request: actix_web::HttpRequest,
    form: web::Form<HashMap<String, String>>,
) -> HttpResponse {
    let provider = state.get().unwrap();
    let basic = format!("Basic {}", STANDARD.encode(format!("penstock:{}", SECRET.replace(' ', "+"))));
    let known = request.headers().get("authorization").is_some_and(|v| v.to_str().unwrap() == basic);
    let found = provider.codes.lock().unwrap().remove(&form["code"]);
    let Some((challenge, id_token)) = found.filter(|_| known) else {
        return HttpResponse::BadRequest().json(json!({"error": "invalid_grant"}));
    };
    let sent = URL_SAFE_NO_PAD.encode(Sha256::digest(form["code_verifier"].as_bytes()));
    if sent != challenge || form["redirect_uri"] != "http://ads.example/api/v1/session/oidc/callback" {
        return HttpResponse::BadRequest().json(json!({"error": "invalid_grant"}));
    }
    HttpResponse::Ok().json(json!({"access_token": "access", "token_type": "Bearer", "id_token": id_token}))
}

async fn userinfo(state: State) -> HttpResponse {
    match &*state.get().unwrap().userinfo.lock().unwrap() {
        Value::Null => HttpResponse::NotFound().finish(),
        claims => HttpResponse::Ok().json(claims),
    }
}

/// A panel with that provider, and a browser.
struct Gate {
    world: World,
    provider: Arc<Provider>,
    browser: reqwest::Client,
    _secret: tempfile::NamedTempFile,
}

impl Gate {
    async fn start() -> Gate {
        let provider = Provider::start().await;
        let mut secret = tempfile::NamedTempFile::new().unwrap();
        writeln!(secret, "{SECRET}").unwrap();
        let mut oidc = OidcSettings {
            issuer: Some(provider.issuer.clone()),
            client_id: "penstock".to_owned(),
            roles: [("ops".to_owned(), Role::Operator), ("bosses".to_owned(), Role::Admin)].into(),
            ..OidcSettings::default()
        };
        oidc.client_secret.file = Some(secret.path().to_owned());
        let settings = PanelSettings {
            access: AccessMode::Login,
            public_url: Some("http://ads.example".to_owned()),
            oidc,
            ..PanelSettings::default()
        };
        let clock = ManualClock::at(Micros::from_secs(NOW));
        let world = World::with_clock(settings, None, Arc::new(clock)).await;
        let browser = reqwest::Client::builder().redirect(Policy::none()).build().unwrap();
        Gate { world, provider, browser, _secret: secret }
    }

    async fn get(&self, path: &str, cookie: Option<&str>) -> Reply {
        let request = self.browser.get(format!("{}{path}", self.world.base)).header("Host", "ads.example");
        let request = match cookie {
            Some(cookie) => request.header("Cookie", cookie),
            None => request,
        };
        self.world.send(request).await
    }

    /// Begins a login: where the browser is sent, and its cookie.
    async fn begin(&self) -> (String, String) {
        let reply = self.get("/api/v1/session/oidc", None).await;
        assert_eq!(reply.status, 303, "{reply:?}");
        let set = reply.headers["set-cookie"].to_str().unwrap();
        for part in ["HttpOnly", "SameSite=Lax", "Path=/api/v1/session/oidc", "Max-Age=600"] {
            assert!(set.contains(part), "{part} is not in {set}");
        }
        let cookie = set.split(';').next().unwrap().to_owned();
        (reply.headers["location"].to_str().unwrap().to_owned(), cookie)
    }

    async fn back(&self, query: &str, cookie: Option<&str>) -> (String, Option<String>) {
        let reply = self.get(&format!("/api/v1/session/oidc/callback?{query}"), cookie).await;
        assert_eq!(reply.status, 303, "{reply:?}");
        let session = reply.headers.get_all("set-cookie").iter().find_map(|v| {
            v.to_str().unwrap().split(';').next().filter(|c| c.starts_with("penstock_session=")).map(str::to_owned)
        });
        (reply.headers["location"].to_str().unwrap().to_owned(), session)
    }

    /// The whole way: where the browser ends, and its session.
    async fn log_in(&self, who: &Value) -> (String, Option<String>) {
        let (location, cookie) = self.begin().await;
        let query = self.provider.authorize(&location, who, "right", |_| {});
        self.back(&query, Some(&cookie)).await
    }

    async fn user(&self, session: &str) -> Value {
        self.get("/api/v1/session", Some(session)).await.json()["result"]["user"].clone()
    }
}

fn anna() -> Value {
    json!({"sub": "7", "preferred_username": "Anna", "email": "anna@example.org", "groups": ["staff", "ops"]})
}

fn ended(code: &str) -> (String, Option<String>) {
    (format!("/?login_error={code}"), None)
}

#[actix_web::test]
async fn somebody_whom_the_provider_knows_comes_in_with_the_role_of_their_groups() {
    let gate = Gate::start().await;
    let offered = gate.get("/api/v1/session", None).await.json();
    let want = json!({"label": "Single sign-on", "login_url": "/api/v1/session/oidc"});
    assert_eq!(offered["result"]["oidc"], want);
    let (end, session) = gate.log_in(&anna()).await;
    assert_eq!(end, "/");
    let session = session.unwrap();
    let user = json!({"name": "anna", "role": "operator", "via": "oidc", "must_change_password": false});
    assert_eq!(gate.user(&session).await, user);
    assert_eq!(gate.get("/api/v1/status", Some(&session)).await.status, 200);
    assert_eq!(gate.get("/api/v1/users", Some(&session)).await.status, 403);
    // The next time the provider says something else of the same person, by another name.
    let promoted = json!({"sub": "7", "preferred_username": "anna2", "groups": "bosses"});
    let (_, again) = gate.log_in(&promoted).await;
    assert_eq!(gate.user(&again.unwrap()).await["role"], "admin");
    assert_eq!(gate.user(&session).await["role"], "admin", "a role holds at once");
    let users = gate.world.ledger.users().await.unwrap();
    assert_eq!(users.len(), 1);
    assert_eq!((users[0].name.as_str(), users[0].via), ("anna", LoginWay::Oidc));
    let audit = gate.world.ledger_audit().await;
    let actions: Vec<_> = audit.iter().map(|r| (r.who.as_str(), r.action.as_str())).collect();
    assert_eq!(actions, [("anna", "login"), ("anna", "user_role"), ("anna", "login"), ("anna", "user_add")]);
}

#[actix_web::test]
async fn groups_may_come_from_the_provider_s_second_address() {
    let gate = Gate::start().await;
    *gate.provider.userinfo.lock().unwrap() = json!({"sub": "9", "groups": ["ops"], "email": "dora@example.org"});
    let (end, session) = gate.log_in(&json!({"sub": "9"})).await;
    assert_eq!(end, "/");
    let user = gate.user(&session.unwrap()).await;
    assert_eq!((&user["name"], &user["role"]), (&json!("dora@example.org"), &json!("operator")));
    // Somebody else's claims are nobody's.
    let (end, _) = gate.log_in(&json!({"sub": "10"})).await;
    assert_eq!(end, "/?login_error=oidc_failed");
}

#[actix_web::test]
async fn an_answer_that_does_not_belong_to_this_browser_s_attempt_lets_nobody_in() {
    let gate = Gate::start().await;
    let (location, cookie) = gate.begin().await;
    let (_, other) = gate.begin().await;
    let query = gate.provider.authorize(&location, &anna(), "right", |_| {});
    assert_eq!(gate.back(&query, None).await, ended("oidc_failed"), "no cookie");
    assert_eq!(gate.back(&query, Some(&other)).await, ended("oidc_failed"), "another attempt's cookie");
    let code = query.split('&').next().unwrap();
    assert_eq!(gate.back(code, Some(&cookie)).await, ended("oidc_failed"), "no state");
    assert_eq!(gate.back(&format!("{code}&state=x"), Some(&cookie)).await, ended("oidc_failed"));
    let mixed = format!("{query}&iss=http://evil.example");
    assert_eq!(gate.back(&mixed, Some(&cookie)).await, ended("oidc_failed"), "another issuer (RFC 9207)");
    assert_eq!(gate.back(&format!("{query}&{query}"), Some(&cookie)).await, ended("oidc_failed"));
    assert_eq!(gate.back(&query, Some(&cookie)).await.0, "/");
    assert_eq!(gate.back(&query, Some(&cookie)).await, ended("oidc_failed"), "a code is good once");
    let (location, cookie) = gate.begin().await;
    let state =
        reqwest::Url::parse(&location).unwrap().query_pairs().find(|(k, _)| k == "state").unwrap().1.into_owned();
    let denied = format!("error=access_denied&state={state}");
    assert_eq!(gate.back(&denied, Some(&cookie)).await, ended("oidc_denied"));
    for nonsense in ["", "code=&state=", "%ff", &"x=1&".repeat(3_000)] {
        assert_eq!(gate.back(nonsense, Some(&cookie)).await, ended("oidc_failed"), "{:.20}", nonsense);
    }
}

#[actix_web::test]
async fn an_id_token_that_does_not_hold_lets_nobody_in() {
    let gate = Gate::start().await;
    let tampered: [(&str, &str, fn(&mut Value)); 6] = [
        ("another nonce", "right", |c| c["nonce"] = json!("x")),
        ("for another client", "right", |c| c["aud"] = json!("somebody")),
        ("of another issuer", "right", |c| c["iss"] = json!("http://evil.example")),
        ("expired", "right", |c| c["exp"] = json!(NOW - 1)),
        ("without an end", "right", |c| {
            c.as_object_mut().unwrap().remove("exp");
        }),
        ("signed by somebody else", "wrong", |_| {}),
    ];
    for (what, key, tamper) in tampered {
        let (location, cookie) = gate.begin().await;
        let query = gate.provider.authorize(&location, &anna(), key, tamper);
        assert_eq!(gate.back(&query, Some(&cookie)).await, ended("oidc_failed"), "{what}");
    }
    // No signature at all.
    let (location, cookie) = gate.begin().await;
    let query = gate.provider.authorize(&location, &anna(), "right", |_| {});
    {
        let mut codes = gate.provider.codes.lock().unwrap();
        let code = codes.get_mut(&query["code=".len()..query.find('&').unwrap()]).unwrap();
        let claims = code.1.split('.').nth(1).unwrap().to_owned();
        code.1 = format!("{}.{claims}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#));
    }
    assert_eq!(gate.back(&query, Some(&cookie)).await, ended("oidc_failed"), "not signed");
    assert!(gate.world.ledger.users().await.unwrap().is_empty());
}

#[actix_web::test]
async fn who_has_no_role_or_is_disabled_or_takes_a_name_stays_out() {
    let gate = Gate::start().await;
    let change = Change { who: "x".to_owned(), why: String::new() };
    assert_eq!(
        gate.log_in(&json!({"sub": "1", "preferred_username": "eve", "groups": ["staff"]})).await,
        ended("no_role")
    );
    let local = NewUser {
        name: "anna".to_owned(),
        role: Role::Admin,
        proof: Proof::PasswordHash("$argon2id$".to_owned()),
        must_change_password: false,
    };
    gate.world.ledger.add_user(&local, &change).await.unwrap();
    assert_eq!(gate.log_in(&anna()).await, ended("name_taken"), "a local user's name is no way to their account");
    let bert = json!({"sub": "2", "preferred_username": "bert", "groups": ["ops"]});
    let session = gate.log_in(&bert).await.1.unwrap();
    let out = UserChange { disabled: Some(true), ..UserChange::default() };
    gate.world.ledger.change_user("bert", &out, &change).await.unwrap();
    assert_eq!(gate.user(&session).await, Value::Null);
    assert_eq!(gate.log_in(&bert).await, ended("disabled"));
    // A name that can be none here is made from the subject.
    let odd = json!({"sub": "3", "preferred_username": "penstock", "email": "Über Mich", "groups": ["ops"]});
    let session = gate.log_in(&odd).await.1.unwrap();
    assert!(gate.user(&session).await["name"].as_str().unwrap().starts_with("oidc-"));
    let request = gate.world.request(Method::POST, "/api/v1/session").header("Content-Type", "application/json");
    let by_password = gate.world.send(request.body(r#"{"name":"bert","password":"of nobody"}"#)).await;
    assert_eq!(by_password.status, 401, "there is no password of theirs");
}

#[actix_web::test]
async fn a_provider_that_is_away_ends_on_the_page_and_not_in_an_error() {
    let gate = Gate::start().await;
    gate.provider.server.stop(false).await;
    let reply = gate.get("/api/v1/session/oidc", None).await;
    assert_eq!(reply.headers["location"], "/?login_error=oidc_failed");
    assert_eq!(gate.get("/api/v1/session", None).await.status, 200);
}
