//! The gate before everything: Host and Origin, and counting what goes through.
//!
//! A browser can be made to send requests to loopback addresses. [`Guard`] says which of them are
//! refused with 403; pages of `sidecar.allowed_origins` get the CORS headers that let them in.

use super::problem::{Problem, ProblemCode};
use actix_web::body::BoxBody;
use actix_web::dev::{RequestHead, Response};
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode, Version};
use actix_web::{HttpResponse, ResponseError};
use penstock::guard::{Guard, Refused};
use penstock::settings::SidecarSettings;
use penstock::telemetry::SidecarMetrics;
use penstock::telemetry::sidecar::CodeLabel;
use prometheus_client::metrics::gauge::Gauge;
use std::net::SocketAddr;
use std::sync::Arc;

/// Which hosts and origins may speak to the sidecar.
#[derive(Debug)]
pub struct Rules {
    guard: Guard,
    origins: Vec<String>,
    metrics: SidecarMetrics,
}

impl Rules {
    /// From the settings and the address that was bound.
    #[must_use]
    pub fn new(settings: &SidecarSettings, bound: SocketAddr, metrics: SidecarMetrics) -> Self {
        let guard = Guard::new(bound, &settings.allowed_hosts, &settings.allowed_origins);
        Self { guard, origins: settings.allowed_origins.clone(), metrics }
    }

    /// Whether this request may come in. Errors: `host_not_allowed`, `origin_not_allowed` (403).
    fn check(&self, request: &RequestHead) -> Result<(), Problem> {
        let headers = request.headers();
        let text = |name: &HeaderName| match headers.get(name).map(HeaderValue::to_str) {
            Some(Ok(text)) => Some(text),
            Some(Err(_)) => Some(""),
            None => None,
        };
        let host = match text(&header::HOST) {
            // No browser comes over the Unix socket, and none speaks HTTP/1.0: health checks of old
            // load balancers do, without any Host.
            _ if request.peer_addr.is_none() => Some("localhost"),
            None if request.version == Version::HTTP_10 => Some("localhost"),
            host => host,
        };
        let reads = matches!(request.method, Method::GET | Method::HEAD | Method::OPTIONS);
        let allowed = if reads {
            self.guard.read(host)
        } else {
            self.guard.write(host, text(&header::ORIGIN), text(&FETCH_SITE))
        };
        allowed.map_err(|refused| {
            let code = match refused {
                Refused::Host => "host_not_allowed",
                Refused::Origin => "origin_not_allowed",
            };
            Problem::new(StatusCode::FORBIDDEN, code, refused.to_string())
        })
    }

    /// The request's origin, when pages from there may read answers.
    fn origin(&self, request: &RequestHead) -> Option<HeaderValue> {
        let origin = request.headers().get(header::ORIGIN)?;
        let text = origin.to_str().ok()?;
        self.origins.iter().any(|o| o.eq_ignore_ascii_case(text)).then(|| origin.clone())
    }

    /// Counts a request that was refused as a whole.
    fn count(&self, code: &'static str) {
        self.metrics.problems.get_or_create(&CodeLabel { code }).inc();
    }

    /// The answer to a browser that asks whether it may send (CORS), for allowed origins.
    fn preflight(&self, request: &RequestHead, origin: Option<&HeaderValue>) -> Option<HttpResponse> {
        let asks = request.method == Method::OPTIONS
            && origin.is_some()
            && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        asks.then(|| {
            HttpResponse::NoContent()
                .insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST"))
                .insert_header((
                    header::ACCESS_CONTROL_ALLOW_HEADERS,
                    "content-type, content-encoding, idempotency-key, penstock-key, penstock-durability",
                ))
                .insert_header((header::ACCESS_CONTROL_MAX_AGE, "600"))
                .finish()
        })
    }
}

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// A request that was let in, until its answer leaves. One whose client goes away leaves too.
#[derive(Debug)]
pub struct Passage {
    rules: Arc<Rules>,
    origin: Option<HeaderValue>,
    _under_way: UnderWay,
}

/// Lets a request in. Errors: the answer of one that stays outside, or that only asked whether it may come.
pub fn enter(rules: &Arc<Rules>, request: &RequestHead) -> Result<Passage, Response<BoxBody>> {
    if let Err(problem) = rules.check(request) {
        rules.count(problem.code());
        return Err(problem.error_response().into());
    }
    let origin = rules.origin(request);
    if let Some(preflight) = rules.preflight(request, origin.as_ref()) {
        let mut response = Response::from(preflight);
        allow(response.headers_mut(), origin);
        return Err(response);
    }
    let gauge = rules.metrics.inflight_requests.clone();
    gauge.inc();
    Ok(Passage { rules: Arc::clone(rules), origin, _under_way: UnderWay(gauge) })
}

impl Passage {
    /// Counts a problem, and lets a page of an allowed origin read the answer.
    pub fn leave(self, response: &mut Response<BoxBody>) {
        let code = response.extensions().get::<ProblemCode>().copied();
        if let Some(ProblemCode(code)) = code {
            self.rules.count(code);
        }
        allow(response.headers_mut(), self.origin);
    }
}

/// Lets a page of an allowed origin read the answer.
fn allow(answer: &mut HeaderMap, origin: Option<HeaderValue>) {
    if let Some(origin) = origin {
        answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        answer.append(header::VARY, HeaderValue::from_static("origin"));
    }
}

/// Counts a request while it is under way.
#[derive(Debug)]
struct UnderWay(Gauge);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.dec();
    }
}
