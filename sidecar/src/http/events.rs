//! `POST /v1/events` and `POST /v1/{type}`, as [`Front`](super::front::Front) hands them over.

use super::front::Route;
use super::problem::Problem;
use crate::intake::body;
use crate::intake::promise::Withholds;
use crate::intake::request::{Durability, ask};
use crate::intake::split::Format;
use crate::intake::take::Content;
use crate::intake::worker::{Answered, Request as Asked, Worker};
use actix_http::Request;
use actix_web::ResponseError;
use actix_web::body::BoxBody;
use actix_web::dev::Response;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use penstock::event::PeerHints;
use std::rc::Rc;
use tokio::time::Instant;

/// Answers one request that the gate has let in.
pub async fn answer(worker: Rc<Worker>, route: Route, mut request: Request) -> Response<BoxBody> {
    match take(&worker, route, &mut request).await {
        Ok(Answered { status, body }) => {
            let mut response = Response::with_body(status, BoxBody::new(body));
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            response
        }
        Err(problem) => problem.error_response().into(),
    }
}

/// Takes a request's events: whole ones (one object, an array, or lines), or one payload whose type is
/// the route's name and whose peer fills what it lacks.
///
/// Errors: see the table in the sidecar's README.
async fn take(worker: &Worker, route: Route, request: &mut Request) -> Result<Answered, Problem> {
    let started = Instant::now();
    let mut payload = request.take_payload();
    let head = request.head();
    let shared = worker.intake();
    let asked = ask(head.headers(), shared.kafka_timeout.is_some())?;
    let write_key = shared.keys.check(asked.write_key)?;
    // Over the Unix socket there is no peer address.
    let ip = match route {
        Route::Events => None,
        Route::Payload(_) => head.peer_addr.map(|peer| peer.ip().to_canonical().to_string()),
    };
    let content = match route {
        Route::Events => Content::Events(asked.format),
        Route::Payload(_) if asked.format == Format::Ndjson => {
            let detail = "this route takes one payload as application/json; send lines to /v1/events";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_content_type", detail));
        }
        Route::Payload(kind) => {
            let user_agent = head.headers().get(header::USER_AGENT).and_then(|v| v.to_str().ok());
            Content::Payload(kind, PeerHints { ip: ip.as_deref(), user_agent })
        }
    };
    let max = shared.settings.max_body_bytes;
    let body = body::read(&mut payload, asked.length, max, shared.body_timeout, &shared.budget).await?;
    let wanted = Asked {
        route: request.path(),
        content,
        encoding: asked.encoding,
        durability: asked.durability,
        idempotency_key: asked.idempotency_key,
        write_key,
        started,
        connection: match asked.durability {
            Durability::Os => request.conn_data::<Rc<dyn Withholds>>(),
            Durability::Disk | Durability::Kafka => None,
        },
    };
    worker.accept(&wanted, body).await
}
