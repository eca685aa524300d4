//! Campaigns: what they have spent, and stopping, resuming and budgeting them.

use super::body;
use super::problem::{Code, Problem};
use super::types::{Amount, Budget, Campaign, Change, Kpis, Stop, Time};
use super::{Outcome, Shared, bad_cursor, json, limit, no_params, now, number_cursor, page, params};
use crate::app::LOCAL;
use actix_web::{HttpRequest, web};
use penstock::ledger::{self, CampaignFilter, CampaignView, Ledger, Status};
use penstock::pricing::CampaignId;

/// Longest reason that is kept.
const REASON: usize = 500;

/// `GET /api/v1/campaigns`.
pub async fn list<L: Ledger>(app: Shared<L>, request: HttpRequest) -> Outcome {
    let mut params = params(&request)?;
    let limit = limit(&app, &mut params)?;
    let status = params.word("status", &["serving", "stopped"])?;
    let after = number_cursor(&mut params)?.map(|n| CampaignId::try_from(n).map_err(|_| bad_cursor())).transpose()?;
    params.done()?;
    let mut found: Vec<CampaignView> = Vec::new();
    let mut after = after;
    // The ledger filters by "stopped" only; for "serving" its pages are gone through here.
    loop {
        let wanted = u32::try_from(limit + 1 - found.len()).unwrap_or(u32::MAX);
        let filter = CampaignFilter { after, stopped: status == Some("stopped"), limit: wanted };
        let some = app.ledger.campaigns(&filter).await?;
        let last_page = some.len() < wanted as usize;
        after = some.last().map(|c| c.campaign_id).or(after);
        found.extend(some.into_iter().filter(|c| status != Some("serving") || c.status == Status::Serving));
        if last_page || found.len() > limit {
            break;
        }
    }
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|c| c.campaign_id.to_string());
    page(found.into_iter().map(Campaign::from).collect(), next, now(&app))
}

/// `GET /api/v1/campaigns/{id}`.
pub async fn one<L: Ledger>(app: Shared<L>, request: HttpRequest, id: web::Path<String>) -> Outcome {
    let id = super::params::campaign_id(&id)?;
    no_params(&request)?;
    let campaign = app.ledger.campaign(id).await?.ok_or_else(|| not_found(id))?;
    json(&Campaign::from(campaign))
}

/// `POST /api/v1/campaigns/{id}/stop`.
pub async fn stop<L: Ledger>(
    app: Shared<L>,
    request: HttpRequest,
    id: web::Path<String>,
    payload: web::Payload,
) -> Outcome {
    let (id, change) = change(&request, &id, payload).await?;
    let view = app.ledger.stop(id, &change).await.map_err(|e| campaign_error(id, e))?;
    json(&Campaign::from(view))
}

/// `POST /api/v1/campaigns/{id}/resume`.
pub async fn resume<L: Ledger>(
    app: Shared<L>,
    request: HttpRequest,
    id: web::Path<String>,
    payload: web::Payload,
) -> Outcome {
    let (id, change) = change(&request, &id, payload).await?;
    let view = app.ledger.resume(id, &change).await.map_err(|e| campaign_error(id, e))?;
    json(&Campaign::from(view))
}

/// `PUT /api/v1/campaigns/{id}/budget`.
pub async fn budget<L: Ledger>(
    app: Shared<L>,
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
    let change = ledger::Change { who: LOCAL.to_owned(), why };
    let view = app.ledger.set_budget(id, &budget, &change).await.map_err(|e| campaign_error(id, e))?;
    json(&Campaign::from(view))
}

async fn change(
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
    Ok((id, ledger::Change { who: LOCAL.to_owned(), why: reason }))
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

impl From<CampaignView> for Campaign {
    fn from(v: CampaignView) -> Campaign {
        Campaign {
            campaign_id: v.campaign_id,
            name: v.name,
            advertiser_id: v.advertiser_id,
            currency: v.currency,
            time_zone: v.time_zone,
            status: match v.status {
                Status::Serving => "serving".to_owned(),
                Status::Stopped => "stopped".to_owned(),
            },
            reason: v.reason.map(|r| r.name().to_owned()),
            reasons: v.reasons.iter().map(|r| r.name().to_owned()).collect(),
            stops: v
                .stops
                .into_iter()
                .map(|s| Stop { reason: s.reason.name().to_owned(), since: Time(s.since), who: s.who, note: s.note })
                .collect(),
            total_budget_micros: v.total_budget_micros.map(Amount),
            daily_budget_micros: v.daily_budget_micros.map(Amount),
            balance_micros: v.balance_micros.map(Amount),
            spent_nanos: v.spent_nanos,
            spent_today_nanos: v.spent_today_nanos,
            adjusted_nanos: v.adjusted_nanos,
            overspend_nanos: v.overspend_nanos,
            kpis: Kpis {
                visits: v.kpis.visits,
                impressions: v.kpis.impressions,
                clicks: v.kpis.clicks,
                conversions: v.kpis.conversions,
            },
        }
    }
}
