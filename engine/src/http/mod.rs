//! ClickHouse's HTTP protocol on actix-web: `/`, `/ping`, and the routes that every role has.
//!
//! A request is read by the connection's worker and run by a thread of its own
//! ([`crate::task`]); two bounded channels carry the body in and the result out.

mod form;
mod query;
mod request;

pub use request::WRITER;

use crate::engine::Engine;
use crate::exception::{Code, Exception};
use actix_web::dev::{Server, ServiceRequest, ServiceResponse};
use actix_web::http::{StatusCode, header};
use actix_web::middleware::Next;
use actix_web::{App, HttpResponse, HttpServer, web};
use penstock::guard::Guard;
use penstock::telemetry::SharedRegistry;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What every handler needs.
#[derive(Clone)]
pub struct Service {
    /// The engine.
    pub engine: Engine,
    /// What a writer presents.
    pub secret: Arc<str>,
    /// The process's metrics.
    pub registry: SharedRegistry,
    /// Set when the process is about to stop.
    pub stopping: Arc<AtomicBool>,
    /// Which names and origins are ours.
    pub guard: Guard,
}

/// Connections served at once, all of them, over all workers.
const CONNECTIONS: usize = 2048;
const WORKERS: usize = 2;

/// Serves on `listener` until the handle is stopped.
///
/// Errors: an [`std::io::Error`] when the socket cannot be used.
pub fn serve(service: Service, listener: TcpListener) -> std::io::Result<Server> {
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::new(service.clone()))
            .wrap(actix_web::middleware::from_fn(guard))
            .route("/", web::to(query::handle))
            .route("/ping", web::get().to(ok))
            .route("/replicas_status", web::get().to(ok))
            .route("/healthz", web::get().to(ok))
            .route("/readyz", web::get().to(ready))
            .route("/metrics", web::get().to(metrics))
            .default_service(web::to(unknown))
    })
    .workers(WORKERS)
    .max_connections(CONNECTIONS / WORKERS)
    .client_request_timeout(Duration::from_secs(10))
    .keep_alive(Duration::from_secs(30))
    // A client that has left is noticed at once, and its query ended.
    .h1_allow_half_closed(false)
    .disable_signals()
    .listen(listener)?
    .run();
    Ok(server)
}

async fn ok() -> &'static str {
    "Ok.\n"
}

async fn ready(service: web::Data<Service>) -> HttpResponse {
    if service.stopping.load(Ordering::SeqCst) {
        return HttpResponse::ServiceUnavailable().body("stopping\n");
    }
    HttpResponse::Ok().body("ready\n")
}

async fn metrics(service: web::Data<Service>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/openmetrics-text; version=1.0.0; charset=utf-8")
        .body(service.registry.encode())
}

async fn unknown(request: actix_web::HttpRequest) -> HttpResponse {
    let text = format!(
        "There is no handle {}\n\nUse / or /ping for health checks.\nSend queries from your program with POST method or GET /?query=...\n",
        request.path()
    );
    HttpResponse::NotFound().content_type("text/plain; charset=UTF-8").body(text)
}

/// The answer that an exception gives.
fn exception(service: &Service, exception: &Exception) -> HttpResponse {
    let mut response = HttpResponse::build(exception.status());
    response.insert_header(("X-ClickHouse-Exception-Code", exception.code.to_string()));
    response.content_type("text/plain; charset=UTF-8");
    if exception.status() == StatusCode::SERVICE_UNAVAILABLE {
        response.insert_header((header::RETRY_AFTER, "1"));
    }
    response.body(exception.body(service.engine.version()))
}

/// A page of a stranger must reach nothing here, neither by another name for this address (DNS
/// rebinding) nor from its own origin. Reading is guarded like writing: a query can be heavy.
async fn guard(
    request: ServiceRequest,
    next: Next<impl actix_web::body::MessageBody + 'static>,
) -> Result<ServiceResponse<impl actix_web::body::MessageBody>, actix_web::Error> {
    let Some(service) = request.app_data::<web::Data<Service>>().cloned() else {
        return Err(actix_web::error::ErrorInternalServerError("the service has no data"));
    };
    // Bytes that are no text are nobody's name.
    let header = |name: header::HeaderName| request.headers().get(name).map(|v| v.to_str().unwrap_or("?"));
    let site = header::HeaderName::from_static("sec-fetch-site");
    match service.guard.write(header(header::HOST), header(header::ORIGIN), header(site)) {
        Ok(()) => next.call(request).await.map(ServiceResponse::map_into_left_body),
        Err(refused) => {
            let response = exception(&service, &Exception::new(Code::AccessDenied, refused));
            Ok(request.into_response(response).map_into_right_body())
        }
    }
}
