//! `GET /api/v1/analytics/…`: users, funnels, cohorts, variations, top values.

use super::explore::{filter, known};
use super::params::{Params, Span};
use super::problem::{Code, Problem};
use super::types::TopRow;
use super::{Outcome, Shared, answer, limit, now, page};
use crate::analytics::{Ab, CONFIDENCES, Funnel, MOST_STEPS, Metric, Retention, Unit, Users};
use crate::explore::{Explore, Key, Owners, dimension, measure};
use actix_web::HttpRequest;
use penstock::ledger::Ledger;

/// The longest window of a funnel.
const LONGEST_WINDOW: u64 = 366 * 86_400;
/// Periods of a table of cohorts.
const MOST_PERIODS: u64 = 31;

/// `GET /api/v1/analytics/users`.
pub async fn users<L: Ledger>(app: Shared<L>, request: HttpRequest) -> Outcome {
    let mut params = super::params(&request)?;
    let (start, end) = super::explore::closed(&app, &mut params)?;
    let filter = filter(&app, &mut params).await?;
    let step = params.seconds("step")?.unwrap_or(3_600);
    params.done()?;
    let most = app.settings.max_points;
    if u64::try_from((end.0 - start.0) / 1_000_000).unwrap_or(0) / step > most {
        return Err(Problem::new(Code::BadRange, format!("more than {most} steps: take a longer step")).at("step"));
    }
    let span = Span { start: Some(start), end: Some(end) };
    answer(app.heavy.users(&Users { span, filter, step, limit: most }).await?, now(&app))
}

/// `GET /api/v1/analytics/funnel`.
pub async fn funnel<L: Ledger>(app: Shared<L>, request: HttpRequest) -> Outcome {
    let mut params = super::params(&request)?;
    let (start, end) = super::explore::closed(&app, &mut params)?;
    let filter = filter(&app, &mut params).await?;
    let steps = match params.text("steps") {
        None => vec!["impression", "click", "conversion"],
        Some(text) => steps(&text)?,
    };
    let window = params.seconds("window")?.unwrap_or(3_600);
    if window > LONGEST_WINDOW {
        return Err(Problem::parameter("window", "must be at most 366d"));
    }
    let by = match params.text("by") {
        None => None,
        Some(name) => {
            let found = dimension(&name).filter(|d| d.column().is_some() && d.name != "type" && d.name != "user_id");
            Some(
                found.ok_or_else(|| {
                    Problem::parameter("by", "must be a dimension other than type, user_id and times")
                })?,
            )
        }
    };
    params.done()?;
    let span = Span { start: Some(start), end: Some(end) };
    let funnel = Funnel { span, filter, steps, window_ms: window * 1_000, by };
    answer(app.heavy.funnel(&funnel).await?, now(&app))
}

/// `GET /api/v1/analytics/retention`.
pub async fn retention<L: Ledger>(app: Shared<L>, request: HttpRequest) -> Outcome {
    let mut params = super::params(&request)?;
    let (start, end) = super::explore::closed(&app, &mut params)?;
    let filter = filter(&app, &mut params).await?;
    let first = event_type(&mut params, "first")?.unwrap_or("visit");
    let again = event_type(&mut params, "return")?.unwrap_or("visit");
    let unit = match params.word("unit", &["day", "week", "month"])? {
        Some("week") => Unit::Week,
        Some("month") => Unit::Month,
        _ => Unit::Day,
    };
    let periods = params.number("periods", 1, MOST_PERIODS)?.unwrap_or(8);
    params.done()?;
    let span = Span { start: Some(start), end: Some(end) };
    let wanted = Retention { span, filter, first, again, unit, periods };
    answer(app.heavy.retention(&wanted).await?, now(&app))
}

/// `GET /api/v1/analytics/ab`.
pub async fn ab<L: Ledger>(app: Shared<L>, request: HttpRequest) -> Outcome {
    let mut params = super::params(&request)?;
    let (start, end) = super::explore::closed(&app, &mut params)?;
    let mut filter = filter(&app, &mut params).await?;
    if let Some(campaign) = params.campaign("campaign_id")? {
        filter = filter.of_campaign(campaign)?;
    }
    let names = Metric::ALL.map(|(name, _)| name);
    let metric = params.word("metric", &names)?.unwrap_or(names[0]);
    let metric = Metric::ALL.iter().find(|(name, _)| *name == metric).map_or(Metric::ClicksPerImpression, |(_, m)| *m);
    let control = params.text("control");
    let levels = CONFIDENCES.map(|(level, _)| level);
    let level = params.word("confidence", &levels)?.unwrap_or("0.95");
    let confidence = CONFIDENCES.iter().find(|(l, _)| *l == level).copied().unwrap_or(CONFIDENCES[1]);
    params.done()?;
    let span = Span { start: Some(start), end: Some(end) };
    let report = app.heavy.ab(&Ab { span, filter, metric, control: control.clone(), confidence }).await?;
    if control.is_some() && report.control.is_none() && !report.variations.is_empty() {
        return Err(Problem::parameter("control", "is none of the variations that have events"));
    }
    answer(report, now(&app))
}

/// `GET /api/v1/analytics/top`.
pub async fn top<L: Ledger>(app: Shared<L>, request: HttpRequest) -> Outcome {
    let mut params = super::params(&request)?;
    let span = super::explore::span(&app, &mut params)?;
    let filter = filter(&app, &mut params).await?;
    let given = params.text("dimension").unwrap_or_else(|| "campaign_id".to_owned());
    let dimension =
        dimension(&given).ok_or_else(|| Problem::parameter("dimension", "there is no dimension of that name"))?;
    let given = params.text("measure").unwrap_or_else(|| "events".to_owned());
    let measure = measure(&given).ok_or_else(|| Problem::parameter("measure", "there is no measure of that name"))?;
    let limit = limit(&app, &mut params)?;
    params.done()?;
    let explore = Explore {
        span,
        filter,
        dimensions: vec![dimension],
        step: None,
        measures: vec![measure],
        order: Some((Key::Measure(measure), true)),
        limit: limit as u64,
        owners: Owners::default(),
    };
    let explore = known(&app, explore).await?;
    let counted = app.heavy.explore(&explore).await?;
    let rows = counted.rows.into_iter().take(limit).map(|mut cells| TopRow {
        value: cells.remove(dimension.name).unwrap_or_default(),
        measure: cells.remove(measure.name).unwrap_or_default(),
    });
    page(rows.collect(), None, counted.at)
}

/// Types with commas between them; one may come twice, as in visit, click, visit.
fn steps(text: &str) -> Result<Vec<&'static str>, Problem> {
    let found: Option<Vec<&'static str>> =
        text.split(',').map(|name| penstock::event::by_name(name.trim()).map(|t| t.name)).collect();
    found.filter(|steps| (2..=MOST_STEPS).contains(&steps.len())).ok_or_else(|| {
        Problem::parameter(
            "steps",
            format!("must be 2 to {MOST_STEPS} event types, such as impression,click,conversion"),
        )
    })
}

fn event_type(params: &mut Params, name: &'static str) -> Result<Option<&'static str>, Problem> {
    let names: Vec<&'static str> = penstock::event::TYPES.iter().map(|t| t.name).collect();
    params.word(name, &names)
}
