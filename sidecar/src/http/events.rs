//! `POST /v1/events` and `POST /v1/{type}`.

use super::problem::Problem;
use crate::intake::body;
use crate::intake::request::ask;
use crate::intake::split::Format;
use crate::intake::take::Content;
use crate::intake::worker::{Request, Worker};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use penstock::event::{PeerHints, TypeInfo};
use std::rc::Rc;
use tokio::time::Instant;

/// Whole events: one object, an array, or lines.
///
/// Errors: see the table in the sidecar's README.
pub async fn events(request: HttpRequest, payload: web::Payload) -> Result<HttpResponse, Problem> {
    intake(request, payload, None).await
}

/// One payload alone; its type is the route's name, and the peer fills what it lacks.
///
/// Errors: see the table in the sidecar's README.
pub async fn payload(
    kind: &'static TypeInfo,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    intake(request, payload, Some(kind)).await
}

async fn intake(
    request: HttpRequest,
    payload: web::Payload,
    alone: Option<&'static TypeInfo>,
) -> Result<HttpResponse, Problem> {
    let started = Instant::now();
    let worker = request.app_data::<Rc<Worker>>().ok_or_else(not_wired)?;
    let shared = worker.intake();
    let asked = ask(request.headers(), shared.kafka_timeout.is_some())?;
    let write_key = shared.keys.check(asked.write_key)?;
    let route = request.path();
    // Over the Unix socket there is no peer address.
    let ip = alone.and_then(|_| request.peer_addr()).map(|peer| peer.ip().to_canonical().to_string());
    let content = match alone {
        None => Content::Events(asked.format),
        Some(_) if asked.format == Format::Ndjson => {
            let detail = "this route takes one payload as application/json; send lines to /v1/events";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_content_type", detail));
        }
        Some(kind) => {
            let user_agent = request.headers().get(header::USER_AGENT).and_then(|v| v.to_str().ok());
            Content::Payload(kind, PeerHints { ip: ip.as_deref(), user_agent })
        }
    };
    let mut payload = payload.into_inner();
    let max = shared.settings.max_body_bytes;
    let body = body::read(&mut payload, asked.length, max, shared.body_timeout, &shared.budget).await?;
    let wanted = Request {
        route,
        content,
        encoding: asked.encoding,
        durability: asked.durability,
        idempotency_key: asked.idempotency_key,
        write_key,
        started,
    };
    let answered = worker.accept(&wanted, body).await?;
    let json = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(HttpResponse::build(answered.status).insert_header(json).body(answered.body))
}

fn not_wired() -> Problem {
    // Routes and workers are made in one place; this says that somebody has made them apart.
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "this route has no intake behind it")
}
