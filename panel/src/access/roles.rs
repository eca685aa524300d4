//! One table: which role each route needs. What is not in it is refused, whoever asks.
//!
//! A new route gets its line here, or its first test fails: the guard answers 403 to a route
//! without a line and 405 to a method without one, in open mode too.

use actix_web::http::Method;
use penstock::accounts::Role;

/// What a route asks of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing: health, pages without data, the way to log in.
    Public,
    /// A caller on this machine, or a token.
    Metrics,
    /// Somebody who is logged in, also one who has to change the password first.
    Login,
    /// At least this role.
    Role(Role),
    /// At least viewer, or a WebSocket whose first message brings a token.
    Socket,
}

const PUBLIC: Need = Need::Public;
const VIEWER: Need = Need::Role(Role::Viewer);
const OPERATOR: Need = Need::Role(Role::Operator);
const ADMIN: Need = Need::Role(Role::Admin);

/// Method, pattern as it is registered, need. By path.
pub const TABLE: &[(&str, &str, Need)] = &[
    ("GET", "/", PUBLIC),
    ("GET", "/healthz", PUBLIC),
    ("GET", "/readyz", PUBLIC),
    ("GET", "/metrics", Need::Metrics),
    ("GET", "/assets/{path:.*}", PUBLIC),
    ("GET", "/graphql", Need::Socket),
    ("POST", "/graphql", VIEWER),
    ("GET", "/api/docs", VIEWER),
    ("GET", "/api/docs/{path:.*}", VIEWER),
    ("GET", "/api/v1/openapi.json", VIEWER),
    ("GET", "/api/v1/session", PUBLIC),
    ("POST", "/api/v1/session", PUBLIC),
    ("DELETE", "/api/v1/session", Need::Login),
    ("PUT", "/api/v1/session/password", Need::Login),
    ("GET", "/api/v1/session/oidc", PUBLIC),
    ("GET", "/api/v1/session/oidc/callback", PUBLIC),
    ("GET", "/api/v1/users", ADMIN),
    ("POST", "/api/v1/users", ADMIN),
    ("PUT", "/api/v1/users/{name}", ADMIN),
    ("DELETE", "/api/v1/users/{name}", ADMIN),
    ("GET", "/api/v1/tokens", ADMIN),
    ("POST", "/api/v1/tokens", ADMIN),
    ("DELETE", "/api/v1/tokens/{id}", ADMIN),
    ("GET", "/api/v1/now", VIEWER),
    ("GET", "/api/v1/windows", VIEWER),
    ("GET", "/api/v1/events", VIEWER),
    ("GET", "/api/v1/events/count", VIEWER),
    ("GET", "/api/v1/events/{id}", VIEWER),
    ("GET", "/api/v1/campaigns", VIEWER),
    ("GET", "/api/v1/campaigns/{id}", VIEWER),
    ("GET", "/api/v1/campaigns/{id}/timeseries", VIEWER),
    ("GET", "/api/v1/campaigns/{id}/ledger", VIEWER),
    ("GET", "/api/v1/campaigns/{id}/adjustments", VIEWER),
    ("GET", "/api/v1/campaigns/{id}/stops", VIEWER),
    ("POST", "/api/v1/campaigns/{id}/stop", OPERATOR),
    ("POST", "/api/v1/campaigns/{id}/resume", OPERATOR),
    ("PUT", "/api/v1/campaigns/{id}/budget", OPERATOR),
    ("GET", "/api/v1/explore", VIEWER),
    ("GET", "/api/v1/explore/export", VIEWER),
    ("GET", "/api/v1/dimensions/{dim}/values", VIEWER),
    ("GET", "/api/v1/analytics/users", VIEWER),
    ("GET", "/api/v1/analytics/funnel", VIEWER),
    ("GET", "/api/v1/analytics/retention", VIEWER),
    ("GET", "/api/v1/analytics/ab", VIEWER),
    ("GET", "/api/v1/analytics/top", VIEWER),
    ("GET", "/api/v1/quality", VIEWER),
    ("GET", "/api/v1/status", VIEWER),
    ("POST", "/api/v1/reconcile", OPERATOR),
    ("GET", "/api/v1/catalogue", VIEWER),
    ("PUT", "/api/v1/catalogue", ADMIN),
    ("POST", "/api/v1/catalogue", ADMIN),
    ("GET", "/api/v1/dead", VIEWER),
    ("POST", "/api/v1/dead/replay", OPERATOR),
    ("GET", "/api/v1/dead/{id}", VIEWER),
    ("GET", "/api/v1/gaps", VIEWER),
    ("POST", "/api/v1/gaps/skip", ADMIN),
    ("GET", "/api/v1/audit", VIEWER),
];

/// What the table says of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// It is there.
    Needs(Need),
    /// The pattern is there with these methods only.
    Methods(String),
    /// It is not.
    Nothing,
}

/// Looks a route up.
#[must_use]
pub fn look(method: &Method, pattern: &str) -> Found {
    let mut methods = Vec::new();
    for (name, known, need) in TABLE {
        if *known == pattern {
            if *name == method.as_str() {
                return Found::Needs(*need);
            }
            methods.push(*name);
        }
    }
    if methods.is_empty() { Found::Nothing } else { Found::Methods(methods.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    /// All sources of this crate, one after the other.
    fn sources(dir: &Path, text: &mut String) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, text);
            } else if path.extension().is_some_and(|e| e == "rs") {
                text.push_str(&std::fs::read_to_string(&path).unwrap());
            }
        }
    }

    #[test]
    fn every_route_in_the_sources_has_a_line() {
        let mut text = String::new();
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut text);
        let call = concat!("web::resource", "(\"");
        let patterns: BTreeSet<&str> = text.split(call).skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert!(patterns.len() > 10, "{patterns:?}");
        for pattern in patterns {
            assert_ne!(look(&Method::GET, pattern), Found::Nothing, "{pattern} has no line in access/roles.rs");
        }
    }

    #[test]
    fn a_route_has_one_line() {
        let lines: BTreeSet<_> = TABLE.iter().map(|(method, pattern, _)| (method, pattern)).collect();
        assert_eq!(lines.len(), TABLE.len());
    }

    #[test]
    fn what_changes_something_needs_more_than_a_viewer() {
        for (method, pattern, need) in TABLE.iter().filter(|(m, p, _)| *m != "GET" && *p != "/graphql") {
            let session = pattern.starts_with("/api/v1/session");
            assert!(session || matches!(need, Need::Role(Role::Operator | Role::Admin)), "{method} {pattern}");
        }
    }
}
