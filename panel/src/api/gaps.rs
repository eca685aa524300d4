//! Gaps: offsets that retention took before a sink had come to them, and letting it pass.

use super::body;
use super::problem::{Code, Problem};
use super::types::{Gap, GapSkipRequest};
use super::{Outcome, Shared, json, no_params, now, page};
use crate::access::Caller;
use crate::app::DeadKey;
use crate::reconcile::SinkName;
use actix_web::{HttpRequest, web};
use penstock::ledger::Ledger;

/// Longest reason that is kept.
const REASON: usize = 500;

/// `GET /api/v1/gaps`: by sink, log, partition and offset.
pub async fn list<L: Ledger>(app: Shared<L>, request: HttpRequest) -> Outcome {
    no_params(&request)?;
    page(gaps(&app).await?, None, now(&app))
}

/// `POST /api/v1/gaps/skip`: answers the gap. Asked again, the first answer holds.
pub async fn skip<L: Ledger>(app: Shared<L>, caller: Caller, request: HttpRequest, payload: web::Payload) -> Outcome {
    no_params(&request)?;
    let asked: GapSkipRequest = body::json(&request, payload).await?;
    if asked.reason.trim().is_empty() || asked.reason.len() > REASON {
        let detail = format!("say why the loss is accepted, for the audit: 1 to {REASON} bytes");
        return Err(Problem::parameter("reason", detail));
    }
    let Some(key) = DeadKey::parse(&asked.id) else {
        return Err(Problem::parameter("id", "an id is sink:log:partition:offset, as the list shows it"));
    };
    let found = one(&app, &key).await?;
    if found.skip.is_some() {
        return json(&found);
    }
    let change = caller.change(asked.reason);
    let after = serde_json::json!({"offset": key.offset, "message": found.message});
    app.ledger.record_change("gap_skip", &key.id(), &after.to_string(), &change).await?;
    app.dead.skip_gap(&key, &change).await?;
    json(&one(&app, &key).await?)
}

async fn one<L: Ledger>(app: &Shared<L>, key: &DeadKey) -> Result<Gap, Problem> {
    let id = key.id();
    let found = gaps(app).await?.into_iter().find(|gap| gap.id == id);
    found.ok_or_else(|| Problem::new(Code::GapNotFound, format!("there is no gap {id}; GET /api/v1/gaps lists them")))
}

async fn gaps<L: Ledger>(app: &Shared<L>) -> Result<Vec<Gap>, Problem> {
    let mut gaps = app.dead.gaps().await?;
    let positions = app.live.positions();
    for gap in &mut gaps {
        let Some(key) = DeadKey::parse(&gap.id) else { continue };
        let Some(sink) = SinkName::from_name(&gap.sink) else { continue };
        gap.passed = positions.get(&(sink, key.log)).map(|position| *position > gap.offset);
    }
    Ok(gaps)
}
