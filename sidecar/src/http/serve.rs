//! From listening sockets to the HTTP service.
//!
//! actix-web's own server is tied to plain sockets, and ours lie below a [`Withheld`] each: so the same
//! parts that it is made of are put together here.

use super::usage::Connections;
use super::withheld::{TryWrite, Withheld};
use actix_http::error::DispatchError;
use actix_http::{HttpService, KeepAlive, Request};
use actix_service::{Service, ServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::Error;
use actix_web::body::BoxBody;
use actix_web::dev::{AppConfig, Response, Server};
use futures::future;
use penstock::settings::SidecarSettings;
use std::fmt::Debug;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream};
use tokio_util::sync::CancellationToken;

/// How long a connection that is being closed may take to notice.
const LINGER: Duration = Duration::from_secs(5);

/// A server of these listeners with `workers` threads, each of which makes a `front` for each listener.
/// Its connections end when `draining` is cancelled; whoever does that stops the server as well.
///
/// Errors: what the operating system says of the listeners.
pub fn server<M, S>(
    settings: &Arc<SidecarSettings>,
    draining: &CancellationToken,
    workers: usize,
    front: M,
    tcp: TcpListener,
    unix: Option<UnixListener>,
) -> io::Result<Server>
where
    M: Fn() -> S + Send + Clone + 'static,
    S: ServiceFactory<Request, Config = AppConfig, Response = Response<BoxBody>, Error = Error> + 'static,
    S: ServiceFactory<Request, Service: Service<Request, Future: 'static>, InitError: Debug>,
{
    let mut server = Server::build()
        .workers(workers)
        .max_concurrent_connections(settings.max_connections.div_ceil(workers))
        .shutdown_timeout(whole_seconds(settings.drain_timeout))
        .disable_signals();
    let made = (Arc::clone(settings), draining.clone(), front);
    if let Some(unix) = unix {
        let (settings, draining, front) = made.clone();
        server = server.listen_uds("unix", unix, move || {
            // There is no peer's address.
            fn_service(|io: UnixStream| future::ready(Ok((io, None)))).and_then(connections(
                &settings,
                draining.clone(),
                front(),
            ))
        })?;
    }
    let (settings, draining, front) = made;
    let server = server.listen("tcp", tcp, move || {
        fn_service(|io: TcpStream| {
            // Only a connection that is gone already has no address and takes no option.
            let _gone = io.set_nodelay(true);
            let peer = io.peer_addr().ok();
            future::ready(Ok((io, peer)))
        })
        .and_then(connections(&settings, draining.clone(), front()))
    })?;
    Ok(server.run())
}

/// Serves connections: sockets with their peer's address.
fn connections<T, S>(
    settings: &SidecarSettings,
    draining: CancellationToken,
    front: S,
) -> impl ServiceFactory<(T, Option<SocketAddr>), Config = (), Response = (), Error = DispatchError, InitError = ()>
+ use<T, S>
where
    T: TryWrite,
    S: ServiceFactory<Request, Config = AppConfig, Response = Response<BoxBody>, Error = Error> + 'static,
    S: ServiceFactory<Request, Service: Service<Request, Future: 'static>, InitError: Debug>,
{
    let all = Connections::default();
    actix_rt::spawn(all.clone().watch(settings.keep_alive, draining));
    let http = HttpService::build()
        // They end when `all` says so.
        .keep_alive(KeepAlive::Os)
        .client_request_timeout(settings.head_timeout)
        .client_disconnect_timeout(LINGER)
        .on_connect_ext(|io: &Withheld<T>, data| {
            data.insert(io.promises());
            data.insert(Rc::clone(io.usage()));
        })
        .h1(map_config(front.map_err(|error| error.error_response()), |()| AppConfig::default()));
    fn_service(move |(io, peer)| future::ready(Ok((Withheld::new(io, all.enter()), peer)))).and_then(http)
}

/// The server counts its deadline in whole seconds.
fn whole_seconds(d: Duration) -> u64 {
    d.as_secs() + u64::from(d.subsec_nanos() > 0)
}
