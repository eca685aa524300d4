//! `/healthz`, `/readyz` (with its reasons and how the sinks stand) and `/metrics` of a role
//! without an HTTP face of its own.

use super::board::Board;
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{Method, header};
use actix_web::middleware::{Next, from_fn};
use actix_web::{App, HttpResponse, HttpServer, web};
use anyhow::Context;
use penstock::guard::Guard;
use penstock::pipeline::PipelineHandle;
use penstock::telemetry::SharedRegistry;
use penstock::time::Clock;
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The pipelines that this process runs now; they come and go with the group's assignments.
pub type Pipelines = penstock::actors::Handles;

/// What the routes show.
#[derive(Clone)]
pub struct Shown {
    /// The role's name, as the status shows it.
    pub role: &'static str,
    pub board: Board,
    pub pipelines: Pipelines,
    pub registry: SharedRegistry,
    pub clock: Arc<dyn Clock>,
}

/// Longest time for a request's head, and for open requests at the end.
const HEAD: Duration = Duration::from_secs(5);
/// Who asks here is a probe or a scraper.
const CONNECTIONS: usize = 64;

/// A health server that runs.
pub struct Serving {
    /// Where it listens (with the port that was given for port 0).
    pub address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<std::io::Result<()>>,
}

impl Serving {
    /// Gives the address free.
    pub async fn stop(self) {
        self.stop.cancel();
        match self.task.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the health server ended badly"),
            Err(error) => tracing::warn!(%error, "the health server panicked"),
        }
    }
}

/// Binds and serves. Errors: the address cannot be bound.
pub fn serve(listen: SocketAddr, allowed_hosts: &[String], shown: Shown) -> anyhow::Result<Serving> {
    let stop = CancellationToken::new();
    let guard = Guard::new(listen, allowed_hosts, &[]);
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::new(shown.clone()))
            .app_data(web::Data::new(guard.clone()))
            .wrap(from_fn(guarded))
            .route("/healthz", web::get().to(healthz))
            .route("/readyz", web::get().to(readyz))
            .route("/metrics", web::get().to(metrics))
            .route("/v1/flush", web::post().to(flush))
    })
    .workers(1)
    .max_connections(CONNECTIONS)
    .client_request_timeout(HEAD)
    .shutdown_timeout(HEAD.as_secs())
    .disable_signals()
    .bind(listen)
    .with_context(|| format!("cannot listen on {listen}; give another address as --listen"))?;
    let address = server.addrs().first().copied().unwrap_or(listen);
    let server = server.run();
    let handle = server.handle();
    let stopping = stop.clone();
    actix_web::rt::spawn(async move {
        stopping.cancelled().await;
        handle.stop(true).await;
    });
    Ok(Serving { address, stop, task: actix_web::rt::spawn(server) })
}

/// The guard before every route.
async fn guarded<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, actix_web::Error> {
    let text = |name| request.headers().get(name).map(|v| v.to_str().unwrap_or("\0"));
    let (host, origin, site) = (text("host"), text("origin"), text("sec-fetch-site"));
    let allowed = request.app_data::<web::Data<Guard>>().map(|guard| match *request.method() {
        Method::GET | Method::HEAD => guard.read(host),
        _ => guard.write(host, origin, site),
    });
    match allowed {
        Some(Ok(())) => next.call(request).await.map(ServiceResponse::map_into_left_body),
        Some(Err(refused)) => {
            let body = json!({"type": "urn:penstock:problem:forbidden", "title": "Forbidden", "status": 403,
                "code": "forbidden", "detail": refused.to_string()});
            let answer = HttpResponse::Forbidden().content_type("application/problem+json").body(body.to_string());
            Ok(request.into_response(answer).map_into_right_body())
        }
        None => Ok(request.into_response(HttpResponse::InternalServerError().finish()).map_into_right_body()),
    }
}

async fn healthz() -> HttpResponse {
    HttpResponse::Ok().json(json!({"status": "ok"}))
}

async fn readyz(shown: web::Data<Shown>) -> HttpResponse {
    let reasons: Vec<_> =
        shown.board.reasons().into_iter().map(|(part, why)| json!({"code": part, "message": why})).collect();
    let now = shown.clock.now();
    let sinks: Vec<_> = shown.pipelines.all().iter().map(|h| penstock_panel::sink_status(h, now)).collect();
    let ready = reasons.is_empty();
    let mut answer = if ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    if !ready {
        answer.insert_header((header::RETRY_AFTER, "1"));
    }
    answer.json(json!({"ready": ready, "role": shown.role, "reasons": reasons, "sinks": sinks}))
}

async fn metrics(shown: web::Data<Shown>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/openmetrics-text; version=1.0.0; charset=utf-8")
        .body(shown.registry.encode())
}

/// Has every pipeline close its range early, so that `reconcile` need not wait for ranges to age.
async fn flush(shown: web::Data<Shown>) -> HttpResponse {
    let pipelines = shown.pipelines.all();
    pipelines.iter().for_each(PipelineHandle::flush);
    HttpResponse::Accepted().json(json!({"flushed": pipelines.len()}))
}
