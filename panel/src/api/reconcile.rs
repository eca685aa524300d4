//! `POST /api/v1/reconcile`.

use super::body;
use super::problem::{Code, Problem};
use super::types::ReconcileRequest;
use super::{Outcome, Shared, json, no_params};
use crate::reconcile::judge;
use actix_web::{HttpRequest, web};
use penstock::ledger::Ledger;
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
    json(&judge(&app, Duration::from_secs(wait_s)).await?)
}
