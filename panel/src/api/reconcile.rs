//! `POST /api/v1/reconcile`.

use super::body;
use super::problem::{Code, Problem};
use super::types::ReconcileRequest;
use super::{Outcome, Shared, json, no_params};
use crate::reconcile::{Sources, reconcile as compare};
use actix_web::{HttpRequest, web};
use penstock::ledger::Ledger;
use penstock::telemetry::panel::ReconcileLabel;
use std::time::Duration;

const DEFAULT_WAIT_S: u64 = 60;
const MAX_WAIT_S: u64 = 600;

/// Compares log, archive, statistics and ledger. It reads all of ClickHouse's rows, so two at most run at once.
pub async fn reconcile<L: Ledger>(app: Shared<L>, request: HttpRequest, payload: web::Payload) -> Outcome {
    no_params(&request)?;
    let asked: ReconcileRequest =
        if body::is_empty(&request) { ReconcileRequest::default() } else { body::json(&request, payload).await? };
    let wait_s = asked.wait_s.unwrap_or(DEFAULT_WAIT_S);
    if wait_s > MAX_WAIT_S {
        return Err(Problem::parameter("wait_s", format!("must be from 0 to {MAX_WAIT_S} seconds")));
    }
    let Ok(_permit) = app.reconciles.try_acquire() else {
        return Err(Problem::new(Code::ReconcileBusy, "two reconciles are under way; try again when they are done"));
    };
    let sources = Sources {
        progress: app.live.as_ref(),
        ledger: &app.ledger,
        archive: app.archive.as_ref(),
        dead: app.dead.as_ref(),
        pivot: &app.pivot,
        clock: app.clock.as_ref(),
    };
    let verdict = compare(sources, Duration::from_secs(wait_s)).await;
    let outcome = match &verdict {
        Ok(verdict) if verdict.equal => "equal",
        Ok(_) => "different",
        Err(_) => "failed",
    };
    app.metrics.reconciles.get_or_create(&ReconcileLabel { outcome }).inc();
    let verdict = verdict?;
    let found = verdict.differences.len() as u64 + verdict.differences_left_out;
    app.metrics.differences.set(i64::try_from(found).unwrap_or(i64::MAX));
    if !verdict.equal {
        tracing::error!(
            differences = found,
            first = verdict.differences.first().map(|d| d.message.as_str()),
            "reconcile found differences"
        );
    }
    json(&verdict)
}
