//! The catalogue: advertisers, campaigns, rates and tags.

use super::body;
use super::problem::{Code, Problem};
use super::types::{CatalogueImported, Time};
use super::{Outcome, Shared, json, no_params, now};
use crate::access::Caller;
use actix_web::{HttpRequest, web};
use penstock::ledger::{Ledger, LedgerError};
use penstock_consumers::catalogue;

/// `GET /api/v1/catalogue`: in the form that an import takes.
pub async fn export<L: Ledger>(app: Shared<L>, request: HttpRequest) -> Outcome {
    no_params(&request)?;
    json(&app.ledger.export().await?)
}

/// `PUT` or `POST /api/v1/catalogue`: all or nothing; returns when it holds for new events.
pub async fn import<L: Ledger>(app: Shared<L>, caller: Caller, request: HttpRequest, payload: web::Payload) -> Outcome {
    no_params(&request)?;
    let bytes = body::bytes(&request, payload, app.settings.max_catalogue_bytes).await?;
    let invalid = |detail: String| Problem::new(Code::CatalogueInvalid, format!("nothing was imported: {detail}"));
    let text = std::str::from_utf8(&bytes).map_err(|e| invalid(format!("the body is not UTF-8: {e}")))?;
    let catalogue = catalogue::parse(text).map_err(|e| invalid(e.to_string()))?;
    let change = caller.change("catalogue import");
    let imported = catalogue::import(&app.ledger, &catalogue, app.known_lead, &change, app.clock.as_ref()).await;
    let report = imported.map_err(|error| match error {
        LedgerError::Refused(why) => invalid(why),
        other => other.into(),
    })?;
    json(&CatalogueImported {
        changed: report.changed(),
        advertisers: catalogue.advertisers.len() as u64,
        campaigns: catalogue.campaigns.len() as u64,
        tags: catalogue.tags.len() as u64,
        known_from: Time(report.known_from.unwrap_or_else(|| now(&app))),
        report,
    })
}
