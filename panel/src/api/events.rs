//! Counting, listing and charting events.

use super::params::{self, Span};
use super::problem::{Code, Problem};
use super::types::Event;
use super::{Outcome, Shared, answer, bad_cursor, limit, now, page};
use crate::events;
use crate::statistics::{Cursor, EventFilter, Order, Series, TEXTS};
use actix_web::{HttpRequest, web};
use penstock::ledger::Ledger;

const DAY: i64 = 86_400_000_000;

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
    let mut filter = filter(&mut params)?;
    filter.id = params.text("id").map(|id| event_id("id", &id)).transpose()?;
    for (name, _) in TEXTS {
        filter.texts.extend(params.text(name).map(|value| (name, value)));
    }
    let order = match params.word("order", &["asc", "desc"])? {
        Some("desc") => Order::Newest,
        _ => Order::Oldest,
    };
    let limit = limit(&app, &mut params)?;
    let after = params.text("cursor").map(|c| Cursor::decode(&c).ok_or_else(bad_cursor)).transpose()?;
    params.done()?;
    narrow(filter.span, app.settings.max_range_days)?;
    // One row more than asked for tells whether there is another page.
    let mut events = app.statistics.events(&filter, order, after.as_ref(), limit as u64 + 1).await?;
    let more = events.len() > limit;
    events.truncate(limit);
    let next = events.last().filter(|_| more).and_then(|last: &Event| Cursor::behind(last)).map(|c| c.encode());
    page(events, next, now(&app))
}

/// `GET /api/v1/events/{id}`: everything that was delivered under this id, and where it lies.
pub async fn one<L: Ledger>(app: Shared<L>, request: HttpRequest, id: web::Path<String>) -> Outcome {
    let id = event_id("id", &id)?;
    let mut params = super::params(&request)?;
    let span = params.span()?;
    params.done()?;
    let found = events::by_id(&app, id, span).await?;
    if found.is_empty() {
        return Err(Problem::new(Code::EventNotFound, format!("no event {id} has been counted")));
    }
    answer(found, now(&app))
}

/// `GET /api/v1/campaigns/{id}/timeseries`.
pub async fn series<L: Ledger>(app: Shared<L>, request: HttpRequest, id: web::Path<String>) -> Outcome {
    let campaign_id = params::campaign_id(&id)?;
    let mut params = super::params(&request)?;
    let span = params.span()?;
    let step = params.seconds("step")?.unwrap_or(3_600);
    params.done()?;
    let series = Series::within(campaign_id, span, step, app.settings.max_points)?;
    if campaign_id != 0 && app.ledger.campaign(campaign_id).await?.is_none() {
        return Err(super::campaigns::not_found(campaign_id));
    }
    let counted = app.statistics.series(&series).await?;
    page(counted.rows, None, counted.at)
}

/// An event's id, in any of a UUID's forms.
fn event_id(field: &'static str, text: &str) -> Result<uuid::Uuid, Problem> {
    uuid::Uuid::try_parse(text)
        .map_err(|_| Problem::parameter(field, "must be a UUID such as 1ec762d4-93b7-5f96-bff0-2d9429c4a055"))
}

/// Takes `event_type`.
pub(super) fn event_type(params: &mut params::Params) -> Result<Option<&'static str>, Problem> {
    let Some(name) = params.text("event_type") else { return Ok(None) };
    match penstock::event::by_name(&name) {
        Some(found) => Ok(Some(found.name)),
        None => {
            let names: Vec<&str> = penstock::event::TYPES.iter().map(|t| t.name).collect();
            Err(Problem::parameter("event_type", format!("must be one of {}", names.join(", "))))
        }
    }
}

fn filter(params: &mut params::Params) -> Result<EventFilter, Problem> {
    let event_type = event_type(params)?;
    Ok(EventFilter {
        event_type,
        campaign_id: params.campaign("campaign_id")?,
        span: params.span()?,
        ..EventFilter::default()
    })
}

/// Events one by one are asked for in ranges that an index can serve. Without times a page is
/// bounded by its rows and by the query's seconds and memory.
pub(crate) fn narrow(span: Span, days: u32) -> Result<(), Problem> {
    match (span.start, span.end) {
        (Some(start), Some(end)) if end.0 - start.0 > i64::from(days) * DAY => {
            let detail = format!("the range is longer than {days} days (panel.max_range_days): ask in parts");
            Err(Problem::new(Code::RangeTooWide, detail).at("start_time"))
        }
        _ => Ok(()),
    }
}
