//! The HTTP server: binds, guards every request, serves until it is told to stop.

use crate::access::{guard, headers};
use crate::api;
use crate::api::problem::Problem;
use crate::app::{App, PanelConfig};
use crate::reconcile::by_the_clock;
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServerHandle, ServiceRequest, ServiceResponse};
use actix_web::middleware::{Next, from_fn};
use actix_web::{HttpServer, ResponseError, web};
use penstock::accounts::Accounts;
use penstock::ledger::Ledger;
use penstock::niceness;
use penstock::telemetry::panel::RequestLabel;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Longest time for a request's head.
const HEAD: Duration = Duration::from_secs(10);
/// Idle connections are closed after this.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Starts the panel.
pub struct Panel;

/// A server that runs.
#[derive(Debug)]
pub struct Running {
    /// Where it listens (with the port that was given for port 0).
    pub address: SocketAddr,
    handle: ServerHandle,
    server: tokio::task::JoinHandle<io::Result<()>>,
}

impl Panel {
    /// Binds and serves; call it inside an actix system. Ends when `shutdown` is cancelled.
    ///
    /// Errors: the address cannot be bound, or the panel is open and others would reach it there.
    pub fn start<L: Ledger + Accounts>(config: PanelConfig<L>) -> io::Result<Running> {
        config.settings.access.check(config.settings.listen).map_err(io::Error::other)?;
        let shutdown = config.shutdown.clone();
        let app = web::Data::new(App::new(config).map_err(io::Error::other)?);
        let settings = app.settings.clone();
        let sampling =
            app.sampler.clone().run(app.registry.clone(), app.live.clone(), app.clock.clone(), shutdown.clone());
        actix_web::rt::spawn(sampling);
        let clockwork = settings.reconcile_every.map(|every| by_the_clock(app.clone(), every, shutdown.clone()));
        let per_worker = settings.max_connections.div_ceil(settings.workers).max(1);
        let nice = settings.nice;
        let server = HttpServer::new(move || {
            // Each worker makes its own service, on its own thread.
            if let Err(error) = niceness::step_back(nice) {
                tracing::warn!(%error, "the panel competes with intake for processors");
            }
            actix_web::App::new()
                .app_data(app.clone())
                .app_data(web::Data::from(app.access.clone()))
                .app_data(web::PathConfig::default().error_handler(|error, _| {
                    Problem::parameter("path", format!("the path cannot be read: {error}")).into()
                }))
                .wrap(from_fn(serve::<L, _>))
                .configure(api::routes::<L>)
        })
        .workers(settings.workers)
        .max_connections(per_worker)
        .client_request_timeout(HEAD)
        .keep_alive(KEEP_ALIVE)
        .shutdown_timeout(settings.drain_timeout.as_secs())
        .disable_signals()
        .bind(settings.listen)?;
        let address = server.addrs().first().copied().unwrap_or(settings.listen);
        let server = server.run();
        let handle = server.handle();
        let server = actix_web::rt::spawn(server);
        let stopping = handle.clone();
        actix_web::rt::spawn(async move {
            shutdown.cancelled().await;
            stopping.stop(true).await;
        });
        if let Some(clockwork) = clockwork {
            actix_web::rt::spawn(clockwork);
        }
        tracing::info!(%address, "the panel listens");
        Ok(Running { address, handle, server })
    }
}

impl Running {
    /// Stops taking connections, waits for open requests up to `panel.drain_timeout`.
    pub async fn stop(self) -> io::Result<()> {
        self.handle.stop(true).await;
        self.finished().await
    }

    /// Waits until the server has ended by itself or by `shutdown`.
    pub async fn finished(self) -> io::Result<()> {
        self.server.await.map_err(io::Error::other)?
    }
}

/// Around every request: the guard before, headers and metrics after.
async fn serve<L: Ledger, B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, actix_web::Error> {
    let begun = Instant::now();
    let Some(app) = request.app_data::<web::Data<App<L>>>().cloned() else {
        return next.call(request).await.map(ServiceResponse::map_into_left_body);
    };
    let mut response = match guard::admit(&app.access, &app.guard, &request).await {
        Err(problem) => request.into_response(problem.error_response()).map_into_right_body(),
        Ok(()) => next.call(request).await?.map_into_left_body(),
    };
    headers::set(response.headers_mut(), app.access.https());
    let route = response.request().match_pattern().unwrap_or_else(|| "other".to_owned());
    let label = RequestLabel { route, status: response.status().as_u16() };
    app.metrics.request_seconds.get_or_create(&label).observe(begun.elapsed().as_secs_f64());
    Ok(response)
}
