//! The gate before all routes: Host and Origin, and counting what goes through. [`Gate`] stands before the
//! router; intake, which is answered ahead of it, asks the same [`Rules`].
//!
//! A browser can be made to send requests to loopback addresses. [`Guard`] says which of them are
//! refused with 403; pages of `sidecar.allowed_origins` get the CORS headers that let them in.

use super::problem::{Problem, ProblemCode};
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{RequestHead, Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode, Version};
use actix_web::{Error, HttpResponse, ResponseError};
use futures::future::{Either, Ready, ready};
use penstock::guard::{Guard, Refused};
use penstock::settings::SidecarSettings;
use penstock::telemetry::SidecarMetrics;
use penstock::telemetry::sidecar::CodeLabel;
use pin_project_lite::pin_project;
use prometheus_client::metrics::gauge::Gauge;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

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
    pub fn check(&self, request: &RequestHead) -> Result<(), Problem> {
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
    #[must_use]
    pub fn origin(&self, request: &RequestHead) -> Option<HeaderValue> {
        let origin = request.headers().get(header::ORIGIN)?;
        let text = origin.to_str().ok()?;
        self.origins.iter().any(|o| o.eq_ignore_ascii_case(text)).then(|| origin.clone())
    }

    /// Counts a request that was refused as a whole.
    pub fn count(&self, code: &'static str) {
        self.metrics.problems.get_or_create(&CodeLabel { code }).inc();
    }

    /// Counts a request as under way, until what is returned goes.
    #[must_use]
    pub fn under_way(&self) -> UnderWay {
        self.metrics.inflight_requests.inc();
        UnderWay(self.metrics.inflight_requests.clone())
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

/// The middleware.
#[derive(Clone, Debug)]
pub struct Gate(pub Arc<Rules>);

/// The gate in front of a service.
#[derive(Debug)]
pub struct Gated<S> {
    rules: Arc<Rules>,
    service: S,
}

impl<S, B> Transform<S, ServiceRequest> for Gate
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    S::Future: 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Transform = Gated<S>;
    type InitError = ();
    type Future = Ready<Result<Gated<S>, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(Gated { rules: Arc::clone(&self.0), service }))
    }
}

impl<S, B> Service<ServiceRequest> for Gated<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    S::Future: 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Future = Either<Ready<Result<Self::Response, Error>>, Answering<S::Future>>;

    forward_ready!(service);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let head = request.request().head();
        if let Err(problem) = self.rules.check(head) {
            self.rules.count(problem.code());
            let response = request.into_response(problem.error_response());
            return Either::Left(ready(Ok(response.map_into_right_body())));
        }
        let origin = self.rules.origin(head);
        if let Some(preflight) = self.rules.preflight(head, origin.as_ref()) {
            let mut response = request.into_response(preflight);
            allow(response.headers_mut(), origin);
            return Either::Left(ready(Ok(response.map_into_right_body())));
        }
        let rules = Arc::clone(&self.rules);
        let under_way = Some(rules.under_way());
        Either::Right(Answering { answer: self.service.call(request), rules, origin, under_way })
    }
}

pin_project! {
    /// A request that was let in. A future by name, so that it lies in its caller and not in a box.
    pub struct Answering<F> {
        #[pin]
        answer: F,
        rules: Arc<Rules>,
        origin: Option<HeaderValue>,
        under_way: Option<UnderWay>,
    }
}

impl<F, B> Future for Answering<F>
where
    F: Future<Output = Result<ServiceResponse<B>, Error>>,
    B: MessageBody,
{
    type Output = Result<ServiceResponse<EitherBody<B>>, Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = std::task::ready!(this.answer.poll(context));
        drop(this.under_way.take());
        let mut response = answer?;
        if response.status().as_u16() >= 400 {
            let code = response.response().extensions().get::<ProblemCode>().copied();
            if let Some(ProblemCode(code)) = code {
                this.rules.count(code);
            }
        }
        allow(response.headers_mut(), this.origin.take());
        Poll::Ready(Ok(response.map_into_left_body()))
    }
}

/// Lets a page of an allowed origin read the answer.
pub fn allow(answer: &mut HeaderMap, origin: Option<HeaderValue>) {
    if let Some(origin) = origin {
        answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        answer.append(header::VARY, HeaderValue::from_static("origin"));
    }
}

/// A request under way; also one whose client goes away ends.
#[derive(Debug)]
pub struct UnderWay(Gauge);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.dec();
    }
}
