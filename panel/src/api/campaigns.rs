//! Campaigns: what they have spent, and stopping, resuming and budgeting them.

use super::body;
use super::problem::{Code, Problem};
use super::types::{Amount, Budget, Change};
use super::{Outcome, Shared, bad_cursor, json, limit, no_params, now, number_cursor, page, params};
use crate::access::Caller;
use crate::app::App;
use crate::campaigns;
use actix_web::{HttpRequest, web};
use penstock::ledger::{self, CampaignView, Ledger, Status};
use penstock::pricing::CampaignId;

/// Longest reason that is kept.
const REASON: usize = 500;

/// `GET /api/v1/campaigns`.
pub async fn list<L: Ledger>(app: Shared<L>, request: HttpRequest) -> Outcome {
    let mut params = params(&request)?;
    let limit = limit(&app, &mut params)?;
    let status = params.word("status", &["serving", "stopped"])?;
    let after = number_cursor(&mut params)?.map(|n| CampaignId::try_from(n).map_err(|_| bad_cursor())).transpose()?;
    let wanted = campaigns::Wanted {
        after,
        status: status.map(|s| if s == "stopped" { Status::Stopped } else { Status::Serving }),
        advertiser: params.campaign("advertiser_id")?,
        search: params.text("search"),
    };
    params.done()?;
    let (found, more) = campaigns::list(&app, &wanted, limit).await?;
    let next = found.last().filter(|_| more).map(|c| c.campaign_id.to_string());
    page(found, next, now(&app))
}

/// `GET /api/v1/campaigns/{id}`.
pub async fn one<L: Ledger>(app: Shared<L>, request: HttpRequest, id: web::Path<String>) -> Outcome {
    let id = super::params::campaign_id(&id)?;
    no_params(&request)?;
    json(&campaigns::one(&app, id).await?.ok_or_else(|| not_found(id))?)
}

/// `POST /api/v1/campaigns/{id}/stop`.
pub async fn stop<L: Ledger>(
    app: Shared<L>,
    caller: Caller,
    request: HttpRequest,
    id: web::Path<String>,
    payload: web::Payload,
) -> Outcome {
    let (id, change) = change(&caller, &request, &id, payload).await?;
    let view = app.ledger.stop(id, &change).await.map_err(|e| campaign_error(id, e))?;
    changed(&app, view).await
}

/// `POST /api/v1/campaigns/{id}/resume`.
pub async fn resume<L: Ledger>(
    app: Shared<L>,
    caller: Caller,
    request: HttpRequest,
    id: web::Path<String>,
    payload: web::Payload,
) -> Outcome {
    let (id, change) = change(&caller, &request, &id, payload).await?;
    let view = app.ledger.resume(id, &change).await.map_err(|e| campaign_error(id, e))?;
    changed(&app, view).await
}

/// `PUT /api/v1/campaigns/{id}/budget`.
pub async fn budget<L: Ledger>(
    app: Shared<L>,
    caller: Caller,
    request: HttpRequest,
    id: web::Path<String>,
    payload: web::Payload,
) -> Outcome {
    let id = super::params::campaign_id(&id)?;
    no_params(&request)?;
    let wanted: Budget = body::json(&request, payload).await?;
    let budget = ledger::Budget {
        total_budget_micros: amount("total_budget_micros", wanted.total_budget_micros)?,
        daily_budget_micros: amount("daily_budget_micros", wanted.daily_budget_micros)?,
    };
    if budget == ledger::Budget::default() {
        let detail = "name total_budget_micros, daily_budget_micros or both; null takes a budget away";
        return Err(Problem::new(Code::BadBody, detail));
    }
    let why = wanted.reason.unwrap_or_default();
    if why.len() > REASON {
        return Err(too_long());
    }
    let change = caller.change(why);
    let view = app.ledger.set_budget(id, &budget, &change).await.map_err(|e| campaign_error(id, e))?;
    changed(&app, view).await
}

/// The campaign as it is after a change.
async fn changed<L: Ledger>(app: &App<L>, view: CampaignView) -> Outcome {
    match campaigns::shown(app, vec![view]).await.pop() {
        Some(campaign) => json(&campaign),
        None => Err(Problem::new(Code::NotFound, "the campaign is gone")),
    }
}

async fn change(
    caller: &Caller,
    request: &HttpRequest,
    id: &str,
    payload: web::Payload,
) -> Result<(CampaignId, ledger::Change), Problem> {
    let id = super::params::campaign_id(id)?;
    no_params(request)?;
    let Change { reason } = body::json(request, payload).await?;
    if reason.trim().is_empty() {
        return Err(Problem::parameter("reason", "say why, for the audit: 1 to 500 bytes"));
    }
    if reason.len() > REASON {
        return Err(too_long());
    }
    Ok((id, caller.change(reason)))
}

fn too_long() -> Problem {
    Problem::parameter("reason", format!("may have at most {REASON} bytes"))
}

/// A budget fits i64 nanos and is not negative.
fn amount(field: &'static str, wanted: Option<Option<Amount>>) -> Result<Option<Option<i64>>, Problem> {
    match wanted {
        Some(Some(Amount(micros))) if !(0..=i64::MAX / 1_000).contains(&micros) => {
            Err(Problem::parameter(field, format!("must be from 0 to {} micros", i64::MAX / 1_000)))
        }
        other => Ok(other.map(|budget| budget.map(|a| a.0))),
    }
}

/// No campaign of this number.
pub fn not_found(id: CampaignId) -> Problem {
    Problem::new(Code::CampaignNotFound, format!("there is no campaign {id}"))
}

fn campaign_error(id: CampaignId, error: ledger::LedgerError) -> Problem {
    match error {
        ledger::LedgerError::NotFound(_) => not_found(id),
        other => other.into(),
    }
}
