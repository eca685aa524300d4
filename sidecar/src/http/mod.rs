//! The HTTP face: connections and what they withhold, the gate, routes, and errors as problem+json.

pub mod campaigns;
pub mod events;
pub mod front;
pub mod gate;
pub mod health;
pub mod listen;
pub mod problem;
pub mod serve;
pub mod stopped;
pub mod usage;
pub mod withheld;

use crate::intake::worker::Intake;
use crate::stop_list::StopList;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, Resource, ResponseError, guard, web};
use penstock::event::TYPES;
use penstock::settings::SidecarSettings;
use penstock::telemetry::SharedRegistry;
use problem::Problem;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// What the handlers of all workers share, besides intake.
#[derive(Clone)]
pub struct Shared {
    /// Intake's shared half.
    pub intake: Arc<Intake>,
    /// The stop list; stale for ever when no campaign-state log is followed.
    pub stop_list: StopList,
    /// Whether a campaign-state log is followed.
    pub follows: bool,
    /// Settings of the front.
    pub settings: Arc<SidecarSettings>,
    /// What `/metrics` shows.
    pub registry: SharedRegistry,
    /// Cancelled when the drain begins.
    pub draining: CancellationToken,
}

/// All routes but intake's, which [`front`] answers: here it is only said that they take `POST`.
pub fn routes(config: &mut web::ServiceConfig) {
    for name in TYPES.iter().map(|kind| kind.name).chain(["events"]) {
        config.service(post(&format!("/v1/{name}")));
    }
    config
        .service(get("/v1/campaigns/{id}").route(reading().to(campaigns::campaign)))
        .service(get("/v1/stopped").route(web::get().to(stopped::stopped)))
        .service(get("/healthz").route(reading().to(health::healthz)))
        .service(get("/readyz").route(reading().to(health::readyz)))
        .service(get("/metrics").route(reading().to(health::metrics)))
        .default_service(web::to(not_found));
}

fn reading() -> actix_web::Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

fn get(path: &str) -> Resource {
    web::resource(path).default_service(web::to(|request: HttpRequest| wrong_method(request, "GET, HEAD")))
}

fn post(path: &str) -> Resource {
    // A path that only decoding makes equal (`/v1/%65vents`) is none of intake's.
    web::resource(path)
        .route(web::post().to(not_found))
        .default_service(web::to(|request: HttpRequest| wrong_method(request, "POST")))
}

async fn wrong_method(request: HttpRequest, allowed: &'static str) -> HttpResponse {
    let detail = format!("{} takes {allowed}", request.path());
    let mut response = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail).error_response();
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    response
}

async fn not_found() -> HttpResponse {
    let detail = "no such route; POST /v1/events takes events, the README lists the others";
    Problem::new(StatusCode::NOT_FOUND, "not_found", detail).error_response()
}
