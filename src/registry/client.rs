//! Confluent's API, as much of it as we ask.
//!
//! Plain calls through reqwest. The crate `schema_registry_converter` knows the same API but not the
//! compatibility level of a subject, takes every 404 and 500 for final and answers of any length;
//! here "there is no such schema" decides what becomes of a record, so it must be told apart from
//! everything else that can go wrong. That crate is the oracle of the tests.

use super::RegistryError;
use crate::settings::{RegistrySettings, SettingsError};
use crate::telemetry::RegistryMetrics;
use reqwest::{Certificate, Method, Response, StatusCode};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Longest answer that is read; schemas are some KiB.
const MAX_ANSWER: usize = 1 << 20;
/// Confluent's codes: subject, version, schema not found; no level set for the subject.
const SUBJECT_NOT_FOUND: u32 = 40_401;
const SCHEMA_NOT_FOUND: u32 = 40_403;
const NO_LEVEL: u32 = 40_408;

/// Talks to one registry under one or several URLs.
pub(super) struct Client {
    http: reqwest::Client,
    urls: Vec<String>,
    login: Option<(String, Option<String>)>,
    /// The URL that answered last is asked first.
    last: AtomicUsize,
    metrics: RegistryMetrics,
}

impl Client {
    /// Errors: [`SettingsError::Value`]: the password or the authorities' file cannot be read.
    pub fn new(settings: &RegistrySettings, metrics: RegistryMetrics) -> Result<Client, SettingsError> {
        let mut http = reqwest::Client::builder()
            .timeout(settings.timeout)
            .connect_timeout(settings.timeout)
            // Questions are rare, and come from threads whose runtimes end before this does.
            .pool_max_idle_per_host(0)
            .redirect(reqwest::redirect::Policy::none());
        if let Some(file) = &settings.ca_file {
            let bad =
                |e: &dyn std::fmt::Display| SettingsError::value("registry.ca_file", file.display(), e.to_string());
            let pem = std::fs::read(file).map_err(|e| bad(&e))?;
            let authorities = Certificate::from_pem_bundle(&pem).map_err(|e| bad(&e))?;
            if authorities.is_empty() {
                return Err(bad(&"holds no certificate"));
            }
            http = http.tls_certs_only(authorities);
        }
        let http = http.build().map_err(|e| SettingsError::value("registry.urls", "", e.to_string()))?;
        let password = settings.password.read("registry.password")?;
        Ok(Client {
            http,
            urls: settings.urls.iter().map(|url| url.trim_end_matches('/').to_owned()).collect(),
            login: settings.user.clone().map(|user| (user, password)),
            last: AtomicUsize::new(0),
            metrics,
        })
    }

    /// Registers a schema under `subject`; gives its id, also when it was there before.
    pub async fn register(&self, subject: &str, schema: &str) -> Result<u32, RegistryError> {
        let body = json!({"schema": schema, "schemaType": "AVRO"});
        let (url, answer) = self.ask(Method::POST, &format!("/subjects/{subject}/versions"), Some(&body)).await?;
        id_in(url, &answer)
    }

    /// The id of a schema that somebody registered under `subject`.
    pub async fn find(&self, subject: &str, schema: &str) -> Result<u32, RegistryError> {
        let body = json!({"schema": schema, "schemaType": "AVRO"});
        let (url, answer) = self.ask(Method::POST, &format!("/subjects/{subject}"), Some(&body)).await?;
        id_in(url, &answer)
    }

    /// The schema with this id: its text, and whether it is Avro. `None`: every URL that answers
    /// says that there is none; one alone may be a replica that lags behind.
    pub async fn schema(&self, id: u32) -> Result<Option<(String, bool)>, RegistryError> {
        let path = format!("/schemas/ids/{id}");
        let (url, answer) = match self.ask(Method::GET, &path, None).await {
            Err(RegistryError::Refused { code: SCHEMA_NOT_FOUND, url, .. }) => match self.others(&url, &path).await {
                Some(found) => found,
                None => return Ok(None),
            },
            other => other?,
        };
        // The type is left out for Avro.
        let avro = answer.get("schemaType").is_none_or(|kind| kind.is_null() || kind == "AVRO");
        match answer.get("schema").and_then(Value::as_str) {
            Some(schema) => Ok(Some((schema.to_owned(), avro))),
            None => Err(nonsense(url, "a schema without its text")),
        }
    }

    /// The compatibility level of a subject, or the registry's own where it has none.
    pub async fn level(&self, subject: &str) -> Result<Option<String>, RegistryError> {
        let path = format!("/config/{subject}?defaultToGlobal=true");
        let (url, answer) = match self.ask(Method::GET, &path, None).await {
            Err(RegistryError::Refused { code: NO_LEVEL | SUBJECT_NOT_FOUND, .. }) => return Ok(None),
            other => other?,
        };
        match answer.get("compatibilityLevel").and_then(Value::as_str) {
            Some(level) => Ok(Some(level.to_owned())),
            None => Err(nonsense(url, "no compatibilityLevel")),
        }
    }

    /// Sets the compatibility level of a subject. Some registries answer "done" for a subject that
    /// is not there yet and forget it: read it again behind the first registration.
    pub async fn set_level(&self, subject: &str, level: &str) -> Result<(), RegistryError> {
        let body = json!({"compatibility": level});
        match self.ask(Method::PUT, &format!("/config/{subject}"), Some(&body)).await {
            Ok(_) | Err(RegistryError::Refused { code: SUBJECT_NOT_FOUND, .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Asks one URL after the other until one gives an answer, be it a refusal.
    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<(&str, Value), RegistryError> {
        let first = self.last.load(Ordering::Relaxed);
        let mut error = nonsense("", "no URL is configured");
        for at in (0..self.urls.len()).map(|n| (first + n) % self.urls.len()) {
            let Some(url) = self.urls.get(at) else { continue };
            let result = self.ask_one(url, method.clone(), path, body).await;
            if matches!(result, Ok(_) | Err(RegistryError::Refused { .. })) {
                self.last.store(at, Ordering::Relaxed);
                return result.map(|answer| (url.as_str(), answer));
            }
            error = result.err().unwrap_or(error);
        }
        Err(error)
    }

    /// What the URLs besides `but` know.
    async fn others(&self, but: &str, path: &str) -> Option<(&str, Value)> {
        for url in self.urls.iter().filter(|url| *url != but) {
            if let Ok(answer) = self.ask_one(url, Method::GET, path, None).await {
                return Some((url, answer));
            }
        }
        None
    }

    async fn ask_one(
        &self,
        url: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, RegistryError> {
        let mut request = self.http.request(method, format!("{url}{path}"));
        request = request.header("Accept", "application/vnd.schemaregistry.v1+json, application/json");
        if let Some((user, password)) = &self.login {
            request = request.basic_auth(user, password.as_deref());
        }
        if let Some(body) = body {
            request = request.header("Content-Type", "application/vnd.schemaregistry.v1+json").body(body.to_string());
        }
        let result = match request.send().await {
            Ok(response) => read(url, response).await,
            Err(error) => Err(away(url, &error)),
        };
        self.metrics.asked(match &result {
            Ok(_) => "ok",
            Err(RegistryError::Away { .. }) => "away",
            Err(RegistryError::Refused { .. }) => "refused",
            Err(RegistryError::Answer { .. }) => "nonsense",
        });
        result
    }
}

async fn read(url: &str, mut response: Response) -> Result<Value, RegistryError> {
    let status = response.status();
    let mut text = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| away(url, &e))? {
        if text.len() + chunk.len() > MAX_ANSWER {
            return Err(nonsense(url, "an answer of over 1 MiB"));
        }
        text.extend_from_slice(&chunk);
    }
    let answer: Option<Value> = serde_json::from_slice(&text).ok();
    if status.is_success() {
        return answer.filter(Value::is_object).ok_or_else(|| nonsense(url, "no JSON object"));
    }
    let field = |name: &str| answer.as_ref().and_then(|a| a.get(name));
    let code = field("error_code").and_then(Value::as_u64).and_then(|c| u32::try_from(c).ok()).unwrap_or(0);
    let message = field("message").and_then(Value::as_str).unwrap_or("no reason given");
    let message: String = message.chars().take(300).collect();
    let later = [StatusCode::TOO_MANY_REQUESTS, StatusCode::REQUEST_TIMEOUT].contains(&status);
    if status.is_server_error() || later {
        return Err(RegistryError::Away { url: url.to_owned(), why: format!("{status}: {message}") });
    }
    Err(RegistryError::Refused { url: url.to_owned(), status: status.as_u16(), code, message })
}

fn id_in(url: &str, answer: &Value) -> Result<u32, RegistryError> {
    let id = answer.get("id").and_then(Value::as_u64).and_then(|id| u32::try_from(id).ok());
    id.ok_or_else(|| nonsense(url, "no id that fits 32 bits"))
}

pub(super) fn nonsense(url: &str, why: impl Into<String>) -> RegistryError {
    RegistryError::Answer { url: url.to_owned(), why: why.into() }
}

/// reqwest's own text hides what happened in its sources.
fn away(url: &str, error: &reqwest::Error) -> RegistryError {
    let mut why = if error.is_timeout() { "no answer in registry.timeout".to_owned() } else { error.to_string() };
    let mut source = std::error::Error::source(error);
    while let Some(e) = source {
        why = e.to_string();
        source = e.source();
    }
    RegistryError::Away { url: url.to_owned(), why }
}
