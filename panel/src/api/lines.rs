//! A campaign's books line by line: what it was charged, corrected and stopped for.

use super::params::Params;
use super::problem::Problem;
use super::types::{AdjustmentLine, LedgerLine, StateLine, Time};
use super::{Outcome, Shared, bad_cursor, limit, now, number_cursor, page, params};
use crate::app::App;
use actix_web::{HttpRequest, web};
use penstock::ledger::{self, Ledger, LineFilter, StateChange};
use penstock::money::Nanos;
use penstock::pricing::CampaignId;
use penstock::time::Micros;

const HOUR: i64 = 3_600_000_000;

/// `GET /api/v1/campaigns/{id}/ledger`: by hour and type, the newest hour first.
pub async fn ledger<L: Ledger>(app: Shared<L>, request: HttpRequest, id: web::Path<String>) -> Outcome {
    let id = known(&app, &id).await?;
    let mut params = params(&request)?;
    let limit = limit(&app, &mut params)?;
    let filter = line_filter(&mut params, limit)?;
    params.done()?;
    let mut rows = app.ledger.lines(id, &filter).await?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|l| format!("{}-{}", l.hour, l.kind));
    page(rows.into_iter().map(LedgerLine::from).collect(), next, now(&app))
}

/// `GET /api/v1/campaigns/{id}/adjustments`: the newest first.
pub async fn adjustments<L: Ledger>(app: Shared<L>, request: HttpRequest, id: web::Path<String>) -> Outcome {
    let id = known(&app, &id).await?;
    let mut params = params(&request)?;
    let limit = limit(&app, &mut params)?;
    params.done()?;
    let rows = app.ledger.adjustments(id, u32::try_from(limit).unwrap_or(u32::MAX)).await?;
    page(rows.into_iter().map(AdjustmentLine::from).collect(), None, now(&app))
}

/// `GET /api/v1/campaigns/{id}/stops`: what ad servers were told of it, the newest first.
pub async fn stops<L: Ledger>(app: Shared<L>, request: HttpRequest, id: web::Path<String>) -> Outcome {
    let id = known(&app, &id).await?;
    let mut params = params(&request)?;
    let limit = limit(&app, &mut params)?;
    let before = number_cursor(&mut params)?;
    params.done()?;
    let mut rows = app.ledger.history(id, before, u32::try_from(limit + 1).unwrap_or(u32::MAX)).await?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|s| s.version.to_string());
    page(rows.into_iter().map(StateLine::from).collect(), next, now(&app))
}

/// The campaign's number, when there is such a campaign.
async fn known<L: Ledger>(app: &App<L>, id: &str) -> Result<CampaignId, Problem> {
    let id = super::params::campaign_id(id)?;
    match app.ledger.campaign(id).await? {
        Some(_) => Ok(id),
        None => Err(super::campaigns::not_found(id)),
    }
}

/// Hours that begin within the times.
fn line_filter(params: &mut Params, limit: usize) -> Result<LineFilter, Problem> {
    let span = params.span()?;
    let hour = |t: Micros| t.0.saturating_add(HOUR - 1).div_euclid(HOUR);
    let after = params.text("cursor").map(|c| cursor(&c).ok_or_else(bad_cursor)).transpose()?;
    Ok(LineFilter {
        from: span.start.map_or(i64::MIN, hour),
        to: span.end.map_or(i64::MAX, hour),
        after,
        limit: u32::try_from(limit + 1).unwrap_or(u32::MAX),
    })
}

fn cursor(text: &str) -> Option<(i64, String)> {
    // Hours before 1970 have a sign of their own.
    let (hour, kind) = text.rsplit_once('-')?;
    let known = penstock::event::by_name(kind)?;
    Some((hour.parse().ok()?, known.name.to_owned()))
}

impl From<ledger::LedgerLine> for LedgerLine {
    fn from(line: ledger::LedgerLine) -> LedgerLine {
        LedgerLine {
            hour: Time(Micros::from_secs(line.hour.saturating_mul(3_600))),
            event_type: line.kind,
            events: line.events,
            cost_nanos: line.cost_nanos,
        }
    }
}

impl From<ledger::Adjustment> for AdjustmentLine {
    fn from(a: ledger::Adjustment) -> AdjustmentLine {
        AdjustmentLine {
            id: a.id,
            time: Time(a.at),
            kind: a.made.kind.name().to_owned(),
            amount_nanos: Nanos(a.made.amount_nanos),
            who: a.change.who,
            why: a.change.why,
            day: a.made.day.map(|d| d.to_string()),
        }
    }
}

impl From<StateChange> for StateLine {
    fn from(s: StateChange) -> StateLine {
        StateLine {
            version: s.version,
            time: Time(s.at),
            serving: s.serving,
            reasons: s.reasons.iter().map(|r| r.name().to_owned()).collect(),
            cause_received: s.cause_received.map(Time),
        }
    }
}
