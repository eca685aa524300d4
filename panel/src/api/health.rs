//! Health, readiness, metrics.

use super::{Outcome, Shared};
use actix_web::http::header;
use actix_web::{HttpResponse, Responder};
use penstock::ledger::Ledger;
use serde_json::json;

/// `GET /healthz`: the process answers.
pub async fn healthz() -> impl Responder {
    HttpResponse::Ok().json(json!({"status": "ok"}))
}

/// `GET /readyz`: ledger and ClickHouse answer; 503 says which does not, and why.
pub async fn readyz<L: Ledger>(app: Shared<L>) -> Outcome {
    let (engine, ledger) = futures::join!(crate::standing::engine(&app), app.ledger.catalogue_version());
    let mut reasons = Vec::new();
    if let Some(error) = engine.error {
        reasons.push(format!("engine: {error}"));
    }
    if let Err(error) = ledger {
        reasons.push(format!("ledger: {error}"));
    }
    if reasons.is_empty() {
        return Ok(HttpResponse::Ok().json(json!({"status": "ok", "ready": true})));
    }
    let body = json!({"status": "unavailable", "ready": false, "reasons": reasons});
    Ok(HttpResponse::ServiceUnavailable().insert_header((header::RETRY_AFTER, "1")).json(body))
}

/// `GET /metrics`: all components of this process.
pub async fn metrics<L: Ledger>(app: Shared<L>) -> impl Responder {
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8"))
        .body(app.registry.encode())
}
