//! Events are answered ahead of the router.
//!
//! Nearly all requests of a sidecar are posts of events, and a good part of what such a request costs is
//! the web framework's way to a handler: a request object, extractors, three boxed futures. [`Front`] is the
//! service that the HTTP server calls: behind the gate, it hands what belongs to intake to one function, and
//! passes everything else on to the application with its router, as if it were not there.

use super::gate::{self, Passage, Rules};
use super::usage::{AnswerBody, Exchange, Usage};
use actix_http::{ConnectionType, Request};
use actix_web::Error;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{AppConfig, Response, Service, ServiceFactory, ServiceResponse, forward_ready};
use actix_web::http::Method;
use futures::future::{self, Either, LocalBoxFuture, Ready};
use penstock::event::{self, TypeInfo};
use pin_project_lite::pin_project;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// One of intake's routes, all of them `POST`.
#[derive(Clone, Copy, Debug)]
pub enum Route {
    /// `/v1/events`: whole events.
    Events,
    /// `/v1/{type}`: one payload.
    Payload(&'static TypeInfo),
}

impl Route {
    /// The route of a request, when it is one of intake's.
    #[must_use]
    pub fn of(method: &Method, path: &str) -> Option<Route> {
        if method != Method::POST {
            return None;
        }
        match path.strip_prefix("/v1/")? {
            "events" => Some(Route::Events),
            name => event::by_name(name).map(Route::Payload),
        }
    }
}

/// Makes a [`Fronted`] for each worker thread: `intake` in front of `app`.
#[derive(Clone, Debug)]
pub struct Front<I, A> {
    /// Who may come in.
    pub rules: Arc<Rules>,
    /// Answers requests of intake's routes.
    pub intake: I,
    /// Answers all others.
    pub app: A,
}

/// A worker thread's HTTP service.
#[derive(Debug)]
pub struct Fronted<I, S> {
    rules: Arc<Rules>,
    intake: I,
    app: S,
}

impl<I, F, A, B> ServiceFactory<Request> for Front<I, A>
where
    I: Fn(Route, Request) -> F + Clone + 'static,
    F: Future<Output = Response<BoxBody>>,
    A: ServiceFactory<Request, Config = AppConfig, Response = ServiceResponse<B>, Error = Error>,
    A::Future: 'static,
    B: MessageBody + 'static,
{
    type Response = Response<BoxBody>;
    type Error = Error;
    type Config = AppConfig;
    type Service = Fronted<I, A::Service>;
    type InitError = A::InitError;
    type Future = LocalBoxFuture<'static, Result<Self::Service, Self::InitError>>;

    fn new_service(&self, config: AppConfig) -> Self::Future {
        let (rules, intake, app) = (Arc::clone(&self.rules), self.intake.clone(), self.app.new_service(config));
        Box::pin(async move { Ok(Fronted { rules, intake, app: app.await? }) })
    }
}

impl<I, F, S, B> Service<Request> for Fronted<I, S>
where
    I: Fn(Route, Request) -> F,
    F: Future<Output = Response<BoxBody>>,
    S: Service<Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    type Response = Response<BoxBody>;
    type Error = Error;
    type Future = Either<Ready<Result<Self::Response, Error>>, Answering<F, S::Future>>;

    forward_ready!(app);

    fn call(&self, request: Request) -> Self::Future {
        let exchange = request.conn_data::<Rc<Usage>>().map(Usage::begin);
        let passage = match gate::enter(&self.rules, request.head()) {
            Ok(passage) => Some(passage),
            Err(answer) => return Either::Left(future::ready(Ok(answer))),
        };
        let by = match Route::of(request.method(), request.path()) {
            Some(route) => Either::Left((self.intake)(route, request)),
            None => Either::Right(self.app.call(request)),
        };
        Either::Right(Answering { by, passage, exchange })
    }
}

pin_project! {
    /// An answer under way, by intake or by the application. A future by name: intake's lies in its
    /// connection and not in a box.
    pub struct Answering<F, G> {
        #[pin]
        by: Either<F, G>,
        passage: Option<Passage>,
        exchange: Option<Exchange>,
    }
}

impl<F, G, B> Future for Answering<F, G>
where
    F: Future<Output = Response<BoxBody>>,
    G: Future<Output = Result<ServiceResponse<B>, Error>>,
    B: MessageBody + 'static,
{
    type Output = Result<Response<BoxBody>, Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let response = match this.by.as_pin_mut() {
            Either::Left(intake) => ready!(intake.poll(context)),
            Either::Right(app) => Response::from(ready!(app.poll(context))?).map_into_boxed_body(),
        };
        let exchange = this.exchange.take();
        let last = exchange.as_ref().is_some_and(Exchange::is_last);
        let mut response = response.map_body(|_, body| BoxBody::new(AnswerBody::new(body, exchange)));
        if last {
            response.head_mut().set_connection_type(ConnectionType::Close);
        }
        if let Some(passage) = this.passage.take() {
            passage.leave(&mut response);
        }
        Poll::Ready(Ok(response))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use penstock::event::TYPES;

    #[test]
    fn only_posts_of_known_types_are_intakes() {
        assert!(matches!(Route::of(&Method::POST, "/v1/events"), Some(Route::Events)));
        for &kind in TYPES {
            let route = Route::of(&Method::POST, &format!("/v1/{}", kind.name));
            assert!(matches!(route, Some(Route::Payload(k)) if std::ptr::eq(k, kind)), "{}", kind.name);
        }
        for (method, path) in [
            (Method::GET, "/v1/events"),
            (Method::OPTIONS, "/v1/events"),
            (Method::POST, "/v1/events/"),
            (Method::POST, "/v1/"),
            (Method::POST, "/v1/campaigns/7"),
            (Method::POST, "/events"),
        ] {
            assert!(Route::of(&method, path).is_none(), "{method} {path}");
        }
    }
}
