//! Exploring: tables over any dimension, the same as files, values of a dimension, windows.

use super::params::{Params, Span};
use super::problem::{Code, Problem};
use super::types::{Column, Table};
use super::{Outcome, Shared, answer, bad_cursor, limit, now, page};
use crate::app::App;
use crate::campaigns;
use crate::explore::{DIMENSIONS, Explore, Filter, Key, MEASURES, Owners, dimension, measure};
use crate::statistics::Windows;
use actix_web::{HttpRequest, HttpResponse, web};
use futures::StreamExt;
use penstock::ledger::Ledger;
use penstock::time::Micros;
use std::time::Duration;

/// Dimensions of one table, measures of one table.
const MOST_DIMENSIONS: usize = 3;
/// Steps of time that a day, an hour or a minute may be cut into.
const LONGEST_STEP: u64 = 366 * 86_400;
/// What windows are shown when no times are given.
const WINDOWS: Duration = Duration::from_secs(600);

/// `GET /api/v1/explore`.
pub async fn table<L: Ledger>(app: Shared<L>, request: HttpRequest) -> Outcome {
    let mut params = super::params(&request)?;
    let limit = limit(&app, &mut params)?;
    let explore = explore(&app, &mut params, limit as u64)?;
    params.done()?;
    let explore = known(&app, explore).await?;
    let counted = app.heavy.explore(&explore).await?;
    let at = counted.at;
    let columns = columns(&explore);
    let truncated = counted.rows.len() > limit;
    let rows =
        counted.rows.into_iter().take(limit).map(|mut cells| {
            columns.iter().map(|c| cells.remove(&c.name).unwrap_or(serde_json::Value::Null)).collect()
        });
    answer(Table { rows: rows.collect(), columns, truncated }, at)
}

/// `GET /api/v1/explore/export`: the same table with more rows, written by ClickHouse itself.
pub async fn export<L: Ledger>(app: Shared<L>, request: HttpRequest) -> Outcome {
    let mut params = super::params(&request)?;
    let format = params.word("format", &["csv", "parquet", "json"])?.unwrap_or("csv");
    let most = app.settings.max_export_rows;
    let limit = params.number("limit", 1, most)?.unwrap_or(most);
    let explore = explore(&app, &mut params, limit)?;
    params.done()?;
    let explore = known(&app, explore).await?;
    let (name, kind, suffix) = match format {
        "parquet" => ("Parquet", "application/vnd.apache.parquet", "parquet"),
        "json" => ("JSONEachRow", "application/x-ndjson", "ndjson"),
        _ => ("CSVWithNames", "text/csv; charset=utf-8", "csv"),
    };
    let stream = app.exports.stream(&explore.question(), name).await?;
    let file = format!("attachment; filename=\"penstock-{}.{suffix}\"", now(&app).0 / 1_000_000);
    Ok(HttpResponse::Ok()
        .insert_header(("Content-Type", kind))
        .insert_header(("Content-Disposition", file))
        .insert_header(("Cache-Control", "no-store"))
        // An error in the middle ends the connection early, which every client takes for what it is.
        .streaming(Box::pin(stream.map(|chunk| chunk.map_err(Problem::from)))))
}

/// `GET /api/v1/dimensions/{dim}/values`: the commonest values first.
pub async fn values<L: Ledger>(app: Shared<L>, request: HttpRequest, dim: web::Path<String>) -> Outcome {
    let wanted = dimension(&dim).ok_or_else(|| {
        Problem::new(Code::NotFound, format!("there is no dimension of that name; there are {}", dimensions()))
    })?;
    let mut params = super::params(&request)?;
    let span = span(&app, &mut params)?;
    let search = params.text("search");
    let limit = limit(&app, &mut params)?;
    params.done()?;
    let owners = if wanted.asks_owners() { campaigns::owners(&app).await? } else { Owners::default() };
    let counted = app.heavy.values(wanted, span, search.as_deref(), limit as u64, owners).await?;
    page(counted.rows, None, counted.at)
}

/// `GET /api/v1/windows`: events in windows of ten seconds of their own time, the newest first.
pub async fn windows<L: Ledger>(app: Shared<L>, request: HttpRequest) -> Outcome {
    let mut params = super::params(&request)?;
    let given = params.span()?;
    let end = given.end.unwrap_or_else(|| now(&app));
    let start = given.start.unwrap_or_else(|| end.minus(WINDOWS));
    if start > end {
        return Err(Problem::new(Code::BadRange, "start_time lies behind end_time").at("start_time"));
    }
    let most = app.settings.max_points;
    if u64::try_from((end.0 - start.0) / Windows::WIDTH).unwrap_or(0) > most {
        let detail = format!("the range has more than {most} windows of ten seconds: ask in parts");
        return Err(Problem::new(Code::RangeTooWide, detail).at("start_time"));
    }
    let event_type = super::events::event_type(&mut params)?;
    let limit = limit(&app, &mut params)?;
    let after = params.text("cursor").map(|c| window_cursor(&c).ok_or_else(bad_cursor)).transpose()?;
    params.done()?;
    let wanted = Windows { span: Span { start: Some(start), end: Some(end) }, event_type, after };
    let mut rows = app.heavy.windows(&wanted, limit as u64 + 1).await?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|w| format!("{}-{}", w.window_start.0.0, w.event_type));
    page(rows, next, now(&app))
}

fn window_cursor(text: &str) -> Option<(Micros, String)> {
    let (at, kind) = text.split_once('-')?;
    let known = penstock::event::by_name(kind)?;
    Some((Micros(at.parse().ok().filter(|at: &i64| *at >= 0)?), known.name.to_owned()))
}

/// Everything that a table is made of, but for its limit.
fn explore<L: Ledger>(app: &App<L>, params: &mut Params, limit: u64) -> Result<Explore, Problem> {
    let span = span(app, params)?;
    let dimensions = params.list("group_by", MOST_DIMENSIONS, dimension, self::dimensions)?;
    let mut measures = params
        .list("measures", MEASURES.len(), measure, || MEASURES.iter().map(|m| m.name).collect::<Vec<_>>().join(", "))?;
    if measures.is_empty() {
        measures.extend(measure("events"));
    }
    let filter = Filter::parse(params.text("filter").as_deref())?;
    let step = params.seconds("step")?;
    if step.is_some_and(|s| s > LONGEST_STEP) {
        return Err(Problem::parameter("step", "must be at most 366d"));
    }
    let owners = Owners::default();
    let mut explore = Explore { span, filter, dimensions, step, measures, order: None, limit, owners };
    explore.order = params.text("order_by").map(|text| order(&explore, &text)).transpose()?;
    Ok(explore)
}

/// The question by who knows whose campaigns are, if it asks. Errors: the ledger does not answer.
pub(super) async fn known<L: Ledger>(app: &App<L>, explore: Explore) -> Result<Explore, Problem> {
    if explore.asks_owners() { Ok(explore.by(campaigns::owners(app).await?)) } else { Ok(explore) }
}

/// A filter of other questions, likewise.
pub(super) async fn filter<L: Ledger>(app: &App<L>, params: &mut Params) -> Result<Filter, Problem> {
    let filter = Filter::parse(params.text("filter").as_deref())?;
    if filter.asks_owners() { Ok(filter.by(&campaigns::owners(app).await?)) } else { Ok(filter) }
}

/// `clicks`, `-clicks`: one of the table's columns.
fn order(explore: &Explore, text: &str) -> Result<(Key, bool), Problem> {
    let (name, descending) = match text.strip_prefix('-') {
        Some(name) => (name, true),
        None => (text, false),
    };
    let key = match name {
        "time" if explore.step.is_some() => Some(Key::Time),
        _ => {
            let dimension = explore.dimensions.iter().find(|d| d.name == name).map(|d| Key::Dimension(d));
            dimension.or_else(|| explore.measures.iter().find(|m| m.name == name).map(|m| Key::Measure(m)))
        }
    };
    match key {
        Some(key) => Ok((key, descending)),
        None => {
            Err(Problem::parameter("order_by", "must be one of the table's columns, with - in front to turn it round"))
        }
    }
}

fn columns(explore: &Explore) -> Vec<Column> {
    let column = |name: &str, kind: &str, unit: Option<&str>| Column {
        name: name.to_owned(),
        kind: kind.to_owned(),
        unit: unit.map(str::to_owned),
    };
    let time = explore.step.map(|_| column("time", "time", None));
    let dimensions = explore.dimensions.iter().map(|d| column(d.name, "dimension", None));
    let measures = explore.measures.iter().map(|m| column(m.name, "measure", Some(m.unit.name())));
    time.into_iter().chain(dimensions).chain(measures).collect()
}

fn dimensions() -> String {
    DIMENSIONS.iter().map(|d| d.name).collect::<Vec<_>>().join(", ")
}

/// Times of a question that may read events one by one.
pub(super) fn span<L: Ledger>(app: &App<L>, params: &mut Params) -> Result<Span, Problem> {
    let span = params.span()?;
    super::events::narrow(span, app.settings.max_range_days)?;
    Ok(span)
}

/// Both ends of a question that compares: the last 24 hours unless given.
pub(super) fn closed<L: Ledger>(app: &App<L>, params: &mut Params) -> Result<(Micros, Micros), Problem> {
    let span = span(app, params)?;
    let end = span.end.unwrap_or_else(|| now(app));
    let start = span.start.unwrap_or_else(|| end.minus(Duration::from_secs(86_400)));
    if start > end {
        return Err(Problem::new(Code::BadRange, "start_time lies behind end_time").at("start_time"));
    }
    super::events::narrow(Span { start: Some(start), end: Some(end) }, app.settings.max_range_days)?;
    Ok((start, end))
}
