//! Who may do what: the caller of each request, roles, sessions, tokens, and each answer's headers.
//!
//! `panel.access = "open"` lets everybody on this machine be `local`, an admin; `"login"` asks for a
//! session's cookie or for a token. Handlers take [`Caller`] and need not know which it was. Nothing
//! about a session is kept in memory: each request asks the database, so that who is locked out is
//! out at once, on every panel of a fleet.

mod attempts;
mod caller;
mod cookie;
mod first;
pub(crate) mod guard;
pub(crate) mod headers;
#[cfg(feature = "cluster")]
mod oidc;
#[cfg(not(feature = "cluster"))]
#[path = "no_oidc.rs"]
mod oidc;
mod password;
pub mod roles;
mod secret;
pub mod session;
pub mod tokens;
pub mod users;

pub use caller::{Caller, Via, login_required};
pub use first::{FirstAdmin, FirstError, first_admin, machine_token, one_time_password};

use crate::api::problem::{Code, Problem};
use actix_web::http::header;
use actix_web::{HttpRequest, web};
use attempts::Attempts;
use caller::Credential;
use oidc::Oidc;
use password::Passwords;
use penstock::accounts::{Accounts, AccountsError, LoginWay, SecretHash};
use penstock::settings::{AccessMode, LoginSettings, PanelSettings, SettingsError};
use penstock::time::{Clock, Micros};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

/// Registers the routes of sessions, users and tokens.
pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(web::resource("/api/v1/session").get(session::show).post(session::begin).delete(session::end))
        .service(web::resource("/api/v1/session/password").put(session::change_password))
        .service(web::resource("/api/v1/session/oidc").get(oidc::begin))
        .service(web::resource("/api/v1/session/oidc/callback").get(oidc::callback))
        .service(web::resource("/api/v1/users").get(users::list).post(users::add))
        .service(web::resource("/api/v1/users/{name}").put(users::change).delete(users::remove))
        .service(web::resource("/api/v1/tokens").get(tokens::list).post(tokens::add))
        .service(web::resource("/api/v1/tokens/{id}").delete(tokens::remove));
}

/// What decides who may come in; one for all workers.
pub struct Access {
    mode: AccessMode,
    login: LoginSettings,
    https: bool,
    accounts: Arc<dyn Accounts>,
    clock: Arc<dyn Clock>,
    passwords: Passwords,
    attempts: Attempts,
    oidc: Option<Oidc>,
}

/// That a session or token was used is written at most so often.
const USED: Duration = Duration::from_secs(60);
const CSRF: &str = "x-csrf-token";

impl Access {
    /// Errors: the identity provider's settings cannot be used.
    pub(crate) fn new(
        settings: &PanelSettings,
        accounts: Arc<dyn Accounts>,
        clock: Arc<dyn Clock>,
    ) -> Result<Access, SettingsError> {
        Ok(Access {
            mode: settings.access,
            https: settings.public_url.as_deref().is_some_and(|url| url.starts_with("https://")),
            accounts,
            passwords: Passwords::default(),
            attempts: Attempts::new(&settings.login, clock.clone()),
            login: settings.login.clone(),
            // An open panel has nobody to log in.
            oidc: if settings.access == AccessMode::Login { Oidc::new(settings)? } else { None },
            clock,
        })
    }

    /// Whether pages are reached over https.
    pub(crate) fn https(&self) -> bool {
        self.https
    }

    /// Who sends this request; `None` when it brings nothing that holds. A token beats a cookie.
    pub(crate) async fn caller(&self, request: &HttpRequest) -> Result<Option<Caller>, Problem> {
        if self.mode == AccessMode::Open {
            return Ok(Some(Caller::local()));
        }
        if let Some(header) = request.headers().get(header::AUTHORIZATION) {
            let bearer = header.to_str().ok().and_then(|v| v.split_once(' '));
            return match bearer.filter(|(kind, _)| kind.eq_ignore_ascii_case("bearer")) {
                Some((_, token)) => self.of_token(token.trim()).await,
                None => Ok(None),
            };
        }
        match cookie::session(request) {
            Some(secret) => self.of_session(secret::hash(&secret)).await,
            None => Ok(None),
        }
    }

    /// Who a token is of, for a WebSocket whose first message brings one.
    ///
    /// Errors: `login_required` when it holds no longer, or never did.
    pub async fn token(&self, token: &str) -> Result<Caller, Problem> {
        match self.mode {
            AccessMode::Open => Ok(Caller::local()),
            AccessMode::Login => self.of_token(token).await?.ok_or_else(login_required),
        }
    }

    /// Asks again who `caller` is: what lives longer than a request does so every few seconds, and
    /// ends when it fails.
    ///
    /// Errors: `login_required` when session or token hold no longer.
    pub async fn still(&self, caller: &Caller) -> Result<Caller, Problem> {
        let again = match &caller.credential {
            Credential::Nothing => Some(caller.clone()),
            Credential::Session(hash) => self.of_session(*hash).await?,
            Credential::Token(id, hash) => self.of_token_parts(id, *hash).await?,
        };
        again.ok_or_else(login_required)
    }

    async fn of_token(&self, text: &str) -> Result<Option<Caller>, Problem> {
        match secret::parse_token(text) {
            Some((id, hash)) => self.of_token_parts(id, hash).await,
            None => Ok(None),
        }
    }

    async fn of_token_parts(&self, id: &str, hash: SecretHash) -> Result<Option<Caller>, Problem> {
        let now = self.clock.now();
        let found = self.accounts.token(id).await?;
        let holds = |expires: Option<Micros>| expires.is_none_or(|end| now < end);
        let Some((token, _)) = found.filter(|(t, kept)| secret::same(kept, &hash) && holds(t.expires)) else {
            return Ok(None);
        };
        if token.last_used.is_none_or(|used| now.since(used) >= USED) {
            self.accounts.use_token(&token.id).await?;
        }
        Ok(Some(Caller {
            name: token.name,
            role: token.role,
            via: Via::Token,
            must_change_password: false,
            credential: Credential::Token(token.id, hash),
        }))
    }

    async fn of_session(&self, hash: SecretHash) -> Result<Option<Caller>, Problem> {
        let now = self.clock.now();
        let Some(session) = self.accounts.session(&hash).await? else { return Ok(None) };
        let over =
            now.since(session.created) >= self.login.max_age || now.since(session.last_used) >= self.login.idle_timeout;
        if over || session.user.disabled {
            return Ok(None);
        }
        if now.since(session.last_used) >= USED {
            self.accounts.use_session(&hash).await?;
        }
        Ok(Some(Caller {
            name: session.user.name,
            role: session.user.role,
            via: match session.user.via {
                LoginWay::Password => Via::Password,
                LoginWay::Oidc => Via::Oidc,
            },
            must_change_password: session.user.must_change_password,
            credential: Credential::Session(hash),
        }))
    }

    /// Whether a change that came with a cookie was meant by a page of ours. Errors: `bad_csrf`.
    pub(crate) fn check_csrf(&self, caller: &Caller, request: &HttpRequest) -> Result<(), Problem> {
        if !matches!(caller.credential, Credential::Session(_)) {
            return Ok(());
        }
        let meant = cookie::session(request).map(|secret| secret::csrf(&secret)).unwrap_or_default();
        let sent = request.headers().get(CSRF).map_or(&b""[..], |v| v.as_bytes());
        if secret::same(meant.as_bytes(), sent) {
            return Ok(());
        }
        let detail = "send X-CSRF-Token with the value of `csrf` in GET /api/v1/session";
        Err(Problem::new(Code::BadCsrf, detail))
    }

    /// The address that a request comes from, past the proxies that are trusted to name it.
    fn address(&self, request: &HttpRequest) -> IpAddr {
        let trusted = |ip: &IpAddr| self.login.trusted_proxies.iter().any(|t| t.to_canonical() == *ip);
        let peer = request.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |a| a.ip().to_canonical());
        if !trusted(&peer) {
            return peer;
        }
        // Each proxy appends whom it heard it from, so the last one that is none of ours counts.
        let lines = request.headers().get_all(header::X_FORWARDED_FOR).filter_map(|v| v.to_str().ok());
        let named: Vec<&str> = lines.flat_map(|line| line.split(',')).collect();
        let named = named.iter().rev().map(|part| part.trim().parse::<IpAddr>().map(|ip| ip.to_canonical()));
        for ip in named {
            match ip {
                Ok(ip) if trusted(&ip) => {}
                Ok(ip) => return ip,
                Err(_) => break,
            }
        }
        peer
    }
}

impl From<AccountsError> for Problem {
    fn from(error: AccountsError) -> Problem {
        let code = match error {
            AccountsError::Store(error) => return error.into(),
            AccountsError::NotFound(_) => Code::NotFound,
            AccountsError::Exists(_)
            | AccountsError::LastAdmin(_)
            | AccountsError::NoPassword(_)
            | AccountsError::Disabled(_)
            | AccountsError::Full(_) => Code::Conflict,
        };
        Problem::new(code, error.to_string())
    }
}

impl From<secret::NoRandom> for Problem {
    fn from(error: secret::NoRandom) -> Problem {
        Problem::new(Code::LedgerUnavailable, error.to_string())
    }
}
