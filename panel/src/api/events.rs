//! Counting, listing and charting events.

use super::params::{self, Span};
use super::problem::{Code, Problem};
use super::types::Event;
use super::{Outcome, Shared, answer, bad_cursor, limit, now, page};
use crate::statistics::{Cursor, EventFilter, Series};
use actix_web::{HttpRequest, web};
use penstock::ledger::Ledger;
use penstock::time::Micros;

const DAY: i64 = 86_400_000_000;
const MINUTE: i64 = 60_000_000;

/// `GET /api/v1/events/count`.
pub async fn count<L: Ledger>(app: Shared<L>, request: HttpRequest) -> Outcome {
    let mut params = super::params(&request)?;
    let filter = filter(&mut params)?;
    params.done()?;
    let counted = app.statistics.count(&filter).await?;
    answer(counted.rows.first().copied().unwrap_or(0), counted.at)
}

/// `GET /api/v1/events`.
pub async fn list<L: Ledger>(app: Shared<L>, request: HttpRequest) -> Outcome {
    let mut params = super::params(&request)?;
    let filter = filter(&mut params)?;
    let limit = limit(&app, &mut params)?;
    let after = params.text("cursor").map(|c| Cursor::decode(&c).ok_or_else(bad_cursor)).transpose()?;
    params.done()?;
    narrow(filter.span, app.settings.max_range_days)?;
    // One row more than asked for tells whether there is another page.
    let mut events = app.statistics.events(&filter, after.as_ref(), limit as u64 + 1).await?;
    let more = events.len() > limit;
    events.truncate(limit);
    let next = events.last().filter(|_| more).and_then(|last: &Event| Cursor::behind(last)).map(|c| c.encode());
    page(events, next, now(&app))
}

/// `GET /api/v1/campaigns/{id}/timeseries`.
pub async fn series<L: Ledger>(app: Shared<L>, request: HttpRequest, id: web::Path<String>) -> Outcome {
    let campaign_id = params::campaign_id(&id)?;
    let mut params = super::params(&request)?;
    let span = params.span()?;
    let step = params.seconds("step")?.unwrap_or(3_600);
    params.done()?;
    if step % 60 != 0 || step > 366 * 86_400 {
        return Err(Problem::parameter("step", "must be whole minutes, at most 366d"));
    }
    if let (Some(start), Some(end)) = (span.start, span.end) {
        let steps = (end.0 - start.0) / 1_000_000 / i64::try_from(step).unwrap_or(i64::MAX);
        if u64::try_from(steps).unwrap_or(0) > app.settings.max_points {
            let most = app.settings.max_points;
            return Err(Problem::new(Code::BadRange, format!("more than {most} steps: take a longer step")).at("step"));
        }
    }
    if campaign_id != 0 && app.ledger.campaign(campaign_id).await?.is_none() {
        return Err(super::campaigns::not_found(campaign_id));
    }
    let whole = Span {
        start: span.start.map(|t| Micros(t.0.div_euclid(MINUTE) * MINUTE)),
        end: span.end.map(|t| Micros((t.0 + MINUTE - 1).div_euclid(MINUTE) * MINUTE)),
    };
    let series = Series { campaign_id, span: whole, step, limit: app.settings.max_points };
    let counted = app.statistics.series(&series).await?;
    page(counted.rows, None, counted.at)
}

fn filter(params: &mut params::Params) -> Result<EventFilter, Problem> {
    let event_type = match params.text("event_type") {
        None => None,
        Some(name) => Some(penstock::event::by_name(&name).map(|t| t.name).ok_or_else(|| {
            let names: Vec<&str> = penstock::event::TYPES.iter().map(|t| t.name).collect();
            Problem::parameter("event_type", format!("must be one of {}", names.join(", ")))
        })?),
    };
    Ok(EventFilter { event_type, campaign_id: params.campaign("campaign_id")?, span: params.span()? })
}

/// Events one by one are asked for in ranges that an index can serve. Without times a page is
/// bounded by its rows and by the query's seconds and memory.
fn narrow(span: Span, days: u32) -> Result<(), Problem> {
    match (span.start, span.end) {
        (Some(start), Some(end)) if end.0 - start.0 > i64::from(days) * DAY => {
            let detail = format!("the range is longer than {days} days (panel.max_range_days): ask in parts");
            Err(Problem::new(Code::RangeTooWide, detail).at("start_time"))
        }
        _ => Ok(()),
    }
}
