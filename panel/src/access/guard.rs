//! Before every handler: whose request it is, and whether they may.
//!
//! The order: the names and origins that are ours (`penstock::guard`), the route's line in
//! [`super::roles`], the caller, their role, and for a change that comes with a cookie the CSRF
//! token. The route is looked up by the path that the router itself will match, percent-decoded;
//! the raw one would let `/api/v1/%73tatus` pass as a page without data.

use super::Access;
use super::caller::{Caller, login_required};
use super::roles::{self, Found, Need};
use crate::api::problem::{Code, Problem};
use actix_web::HttpMessage;
use actix_web::dev::ServiceRequest;
use actix_web::http::{Method, header};
use penstock::accounts::Role;
use penstock::guard::{Guard, Refused};

/// Below these there are no pages, whatever a browser asks for.
const NO_PAGES: [&str; 5] = ["/api", "/graphql", "/metrics", "/healthz", "/readyz"];

/// Whether `path` belongs to the API.
#[must_use]
pub fn is_api(path: &str) -> bool {
    NO_PAGES.iter().any(|p| path.strip_prefix(p).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

/// Lets a request pass with its [`Caller`] among its extensions, or says why not.
pub async fn admit(access: &Access, names: &Guard, request: &ServiceRequest) -> Result<(), Problem> {
    addressed(names, request)?;
    let path = request.match_info().unprocessed();
    let need = match request.resource_map().match_pattern(path) {
        Some(pattern) => match roles::look(request.method(), &pattern) {
            Found::Needs(need) => need,
            Found::Methods(allow) => return Err(Problem::method(allow)),
            Found::Nothing => {
                tracing::error!(pattern, "a route has no line in access/roles.rs; it is refused");
                return Err(Problem::new(Code::Forbidden, format!("nobody may call {pattern}: it has no role")));
            }
        },
        None if is_api(path) => {
            return Err(Problem::new(Code::NotFound, "there is no such route; GET /api/v1/openapi.json names them"));
        }
        None => Need::Public,
    };
    let Some(caller) = allowed(access, need, request).await? else { return Ok(()) };
    request.extensions_mut().insert(caller);
    Ok(())
}

/// The guard against rebound names and against pages of other origins. A WebSocket's handshake is
/// a GET that no CORS rule holds back, so it is checked like a change.
fn addressed(names: &Guard, request: &ServiceRequest) -> Result<(), Problem> {
    let text = |name| request.headers().get(name).map(|v| v.to_str().unwrap_or("\0"));
    let host = text(header::HOST);
    let checked = if reads(request.method()) && !is_websocket(request) {
        names.read(host)
    } else {
        let site = request.headers().get("sec-fetch-site").map(|v| v.to_str().unwrap_or("\0"));
        names.write(host, text(header::ORIGIN), site)
    };
    checked.map_err(|refused| match refused {
        Refused::Host => Problem::new(Code::BadHost, refused.to_string()),
        Refused::Origin => Problem::new(Code::BadOrigin, refused.to_string()),
    })
}

/// Who it is, when they may. `None`: the route takes anybody.
async fn allowed(access: &Access, need: Need, request: &ServiceRequest) -> Result<Option<Caller>, Problem> {
    if need == Need::Public {
        return Ok(None);
    }
    if need == Need::Metrics && on_this_machine(request) {
        return Ok(None);
    }
    let Some(caller) = access.caller(request.request()).await? else {
        let may_follow = need == Need::Socket && is_websocket(request);
        return if may_follow { Ok(None) } else { Err(login_required()) };
    };
    match need {
        Need::Role(role) => caller.needs(role)?,
        Need::Socket | Need::Metrics => caller.needs(Role::Viewer)?,
        Need::Public | Need::Login => {}
    }
    if !reads(request.method()) {
        access.check_csrf(&caller, request.request())?;
    }
    Ok(Some(caller))
}

fn reads(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

fn is_websocket(request: &ServiceRequest) -> bool {
    request.headers().contains_key(header::UPGRADE) || request.headers().contains_key(header::SEC_WEBSOCKET_KEY)
}

/// A request of this machine itself, not one that a proxy on it carries on.
fn on_this_machine(request: &ServiceRequest) -> bool {
    let carried = [header::X_FORWARDED_FOR, header::FORWARDED].iter().any(|h| request.headers().contains_key(h));
    !carried && request.peer_addr().is_some_and(|peer| peer.ip().to_canonical().is_loopback())
}
