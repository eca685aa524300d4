//! `/healthz`, `/readyz` (with its reasons) and `/metrics`.

use super::Shared;
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use penstock::log::spool::{Spool, Usage};
use serde_json::json;

/// The process answers.
pub async fn healthz() -> HttpResponse {
    HttpResponse::Ok().json(json!({"status": "ok"}))
}

/// Whether this sidecar can take events and answer for campaigns; if not, why.
///
/// `reasons` make it 503: `draining`, `spool_failed`, `spool_full`, `stop_list_catching_up`.
/// `warnings` do not: a stale stop list says so in every answer, and intake goes on.
pub async fn readyz(shared: web::Data<Shared>) -> HttpResponse {
    let mut reasons = Vec::new();
    let mut warnings = Vec::new();
    if shared.draining.is_cancelled() {
        reasons.push(json!({"code": "draining", "message": "the sidecar is shutting down"}));
    }
    let usage = shared.intake.spool.usage();
    // The flag stays up until the next append; what retention has freed since counts at once.
    let tight = usage.bytes >= usage.max_bytes - usage.max_bytes / 8
        || usage.free_bytes.is_some_and(|free| free <= usage.reserve_bytes);
    if usage.full && tight {
        reasons.push(json!({"code": "spool_full", "message": "the spool's quota or the disk's reserve is reached"}));
    }
    let failed: Vec<u32> = usage.partitions.iter().filter(|p| p.failed.is_some()).map(|p| p.partition).collect();
    if !failed.is_empty() {
        let message = format!("a sync failed in partitions {failed:?}; look at the disk, then restart the sidecar");
        let entry = json!({"code": "spool_failed", "message": message});
        let left = usage.partitions.len() - failed.len();
        if left < shared.settings.worker_count() { reasons.push(entry) } else { warnings.push(entry) }
    }
    if shared.follows && !shared.stop_list.caught_up() {
        let message = "the campaign-state log has not been read to its end yet";
        reasons.push(json!({"code": "stop_list_catching_up", "message": message}));
    } else if shared.stop_list.stale() {
        let message = "no sign of life from the ledger's publisher: answers about campaigns say stale";
        warnings.push(json!({"code": "stop_list_stale", "message": message}));
    }
    let ready = reasons.is_empty();
    let mut response = if ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    let spool = spool(&shared.intake.spool, &usage);
    response.json(json!({"ready": ready, "role": "sidecar", "reasons": reasons, "warnings": warnings, "spool": spool}))
}

/// The spool's figures as the panel's status has them: `depth` is what its slowest reader has not passed.
fn spool(spool: &Spool, usage: &Usage) -> serde_json::Value {
    let partitions: Vec<_> = usage
        .partitions
        .iter()
        .map(|p| {
            let depth = p.readers.iter().map(|r| r.lag).max().unwrap_or(0);
            json!({"partition": p.partition, "start": p.start, "end": p.written, "synced": p.synced,
                "bytes": p.bytes, "depth": depth})
        })
        .collect();
    json!({"log": spool.log_name().to_string(), "bytes": usage.bytes, "quota_bytes": usage.max_bytes,
        "partitions": partitions})
}

/// All metrics of the process, as Prometheus scrapes them.
pub async fn metrics(request: HttpRequest, shared: web::Data<Shared>) -> HttpResponse {
    // The gauge is set by who asks; with nobody asking, a scrape does.
    let _ = shared.stop_list.stale();
    let accept = request.headers().get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let content_type = if accept.contains("application/openmetrics-text") {
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    } else {
        // The same text: what OpenMetrics adds are comments to a reader of the older format.
        "text/plain; version=0.0.4; charset=utf-8"
    };
    HttpResponse::Ok().content_type(content_type).body(shared.registry.encode())
}
