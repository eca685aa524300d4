//! The REST API under `/api/v1`: one file a group of routes.
//!
//! Every answer is JSON, every error a [`problem::Problem`]. A handler takes its parameters one
//! by one and refuses the rest, asks one source, and maps the answer to a type of [`types`].
//! GraphQL, the live view and the web pages will sit beside this folder and ask the same sources.

mod analytics;
mod audit;
pub(crate) mod body;
mod campaigns;
mod catalogue;
mod dead;
mod docs;
mod events;
mod explore;
mod gaps;
mod graphql;
mod health;
mod lines;
pub(crate) mod params;
pub mod problem;
mod quality;
mod reconcile;
mod status;
pub mod types;

use crate::access;
use crate::app::App;
use crate::web as pages;
use actix_web::{HttpRequest, HttpResponse, web};
pub(crate) use events::narrow;
use params::Params;
use penstock::ledger::Ledger;
use penstock::time::{Clock, Micros};
use problem::{Code, Problem};
use serde::Serialize;
use types::{Answer, Page, Time};

/// What every handler gets.
type Shared<L> = web::Data<App<L>>;
/// What every handler returns.
pub(crate) type Outcome = Result<HttpResponse, Problem>;

/// Registers all routes. A known path with another method is 405, an unknown path 404.
pub fn routes<L: Ledger>(config: &mut web::ServiceConfig) {
    let only = |allow: &'static str| web::to(move || async move { Err::<HttpResponse, _>(Problem::method(allow)) });
    config
        .service(web::resource("/").get(pages::index).default_service(only("GET")))
        .service(web::resource("/healthz").get(health::healthz).default_service(only("GET")))
        .service(web::resource("/readyz").get(health::readyz::<L>).default_service(only("GET")))
        .service(web::resource("/metrics").get(health::metrics::<L>).default_service(only("GET")))
        .service(web::resource("/api/v1/events/count").get(events::count::<L>).default_service(only("GET")))
        .service(web::resource("/api/v1/events").get(events::list::<L>).default_service(only("GET")))
        .service(web::resource("/api/v1/events/{id}").get(events::one::<L>).default_service(only("GET")))
        .service(web::resource("/api/v1/campaigns").get(campaigns::list::<L>).default_service(only("GET")))
        .service(web::resource("/api/v1/campaigns/{id}").get(campaigns::one::<L>).default_service(only("GET")))
        .service(web::resource("/api/v1/campaigns/{id}/stop").post(campaigns::stop::<L>).default_service(only("POST")))
        .service(
            web::resource("/api/v1/campaigns/{id}/resume").post(campaigns::resume::<L>).default_service(only("POST")),
        )
        .service(
            web::resource("/api/v1/campaigns/{id}/budget").put(campaigns::budget::<L>).default_service(only("PUT")),
        )
        .service(
            web::resource("/api/v1/campaigns/{id}/timeseries").get(events::series::<L>).default_service(only("GET")),
        )
        .service(web::resource("/api/v1/campaigns/{id}/ledger").get(lines::ledger::<L>).default_service(only("GET")))
        .service(
            web::resource("/api/v1/campaigns/{id}/adjustments")
                .get(lines::adjustments::<L>)
                .default_service(only("GET")),
        )
        .service(web::resource("/api/v1/campaigns/{id}/stops").get(lines::stops::<L>).default_service(only("GET")))
        .service(web::resource("/api/v1/explore").get(explore::table::<L>).default_service(only("GET")))
        .service(web::resource("/api/v1/explore/export").get(explore::export::<L>).default_service(only("GET")))
        .service(
            web::resource("/api/v1/dimensions/{dim}/values").get(explore::values::<L>).default_service(only("GET")),
        )
        .service(web::resource("/api/v1/windows").get(explore::windows::<L>).default_service(only("GET")))
        .service(web::resource("/api/v1/analytics/users").get(analytics::users::<L>).default_service(only("GET")))
        .service(web::resource("/api/v1/analytics/funnel").get(analytics::funnel::<L>).default_service(only("GET")))
        .service(
            web::resource("/api/v1/analytics/retention").get(analytics::retention::<L>).default_service(only("GET")),
        )
        .service(web::resource("/api/v1/analytics/ab").get(analytics::ab::<L>).default_service(only("GET")))
        .service(web::resource("/api/v1/analytics/top").get(analytics::top::<L>).default_service(only("GET")))
        .service(web::resource("/api/v1/quality").get(quality::quality::<L>).default_service(only("GET")))
        .service(
            web::resource("/graphql")
                .get(graphql::open::<L>)
                .post(graphql::ask::<L>)
                .default_service(only("GET, POST")),
        )
        .service(web::resource("/api/v1/now").get(status::moment::<L>).default_service(only("GET")))
        .service(web::resource("/api/v1/status").get(status::status::<L>).default_service(only("GET")))
        .service(web::resource("/api/v1/reconcile").post(reconcile::reconcile::<L>).default_service(only("POST")))
        .service(
            web::resource("/api/v1/catalogue")
                .get(catalogue::export::<L>)
                .put(catalogue::import::<L>)
                .post(catalogue::import::<L>)
                .default_service(only("GET, PUT, POST")),
        )
        .service(web::resource("/api/v1/dead").get(dead::list::<L>).default_service(only("GET")))
        .service(web::resource("/api/v1/dead/replay").post(dead::replay::<L>).default_service(only("POST")))
        .service(web::resource("/api/v1/dead/{id}").get(dead::show::<L>).default_service(only("GET")))
        .service(web::resource("/api/v1/gaps").get(gaps::list::<L>).default_service(only("GET")))
        .service(web::resource("/api/v1/gaps/skip").post(gaps::skip::<L>).default_service(only("POST")))
        .service(web::resource("/api/v1/audit").get(audit::list::<L>).default_service(only("GET")))
        .service(web::resource("/api/v1/openapi.json").get(docs::document).default_service(only("GET")))
        .service(web::resource("/api/docs").get(docs::page).default_service(only("GET")))
        .service(web::resource("/api/docs/{path:.*}").get(docs::part).default_service(only("GET")))
        .configure(access::routes)
        .service(web::resource("/assets/{path:.*}").get(pages::asset).default_service(only("GET")))
        .default_service(web::to(pages::other));
}

fn params(request: &HttpRequest) -> Result<Params, Problem> {
    Params::parse(request.query_string())
}

/// For routes without parameters.
pub(crate) fn no_params(request: &HttpRequest) -> Result<(), Problem> {
    params(request)?.done()
}

pub(crate) fn json<T: Serialize>(value: &T) -> Outcome {
    Ok(HttpResponse::Ok().insert_header(("Cache-Control", "no-store")).json(value))
}

pub(crate) fn answer<T: Serialize>(result: T, at: Micros) -> Outcome {
    json(&Answer { status: "ok".to_owned(), result, timestamp: Time(at) })
}

fn page<T: Serialize>(result: Vec<T>, next_cursor: Option<String>, at: Micros) -> Outcome {
    json(&Page { status: "ok".to_owned(), result, next_cursor, timestamp: Time(at) })
}

/// `limit` between 1 and `panel.max_limit`; 100 unless given.
fn limit<L: Ledger>(app: &App<L>, params: &mut Params) -> Result<usize, Problem> {
    let most = app.settings.max_limit;
    let given = params.number("limit", 1, most as u64)?;
    Ok(given.and_then(|n| usize::try_from(n).ok()).unwrap_or(100.min(most)))
}

/// A cursor that is a number, such as the last id of a page.
fn number_cursor(params: &mut Params) -> Result<Option<u64>, Problem> {
    params.number("cursor", 0, u64::MAX).map_err(|_| bad_cursor())
}

fn bad_cursor() -> Problem {
    Problem::new(Code::BadCursor, "pass next_cursor of the page before, as it is").at("cursor")
}

fn now<L: Ledger>(app: &App<L>) -> Micros {
    app.clock.now()
}
