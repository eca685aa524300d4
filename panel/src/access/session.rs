//! `/api/v1/session`: who am I, log in, log out, change the password.
//!
//! A login always gets a secret of its own, whatever cookie the browser came with, and the session
//! of that cookie ends: a session that somebody else planted is worth nothing. A wrong name and a
//! wrong password get the same words after the same work.

use super::caller::Credential;
use super::{Access, Caller, Via, cookie, password, secret};
use crate::api::body;
use crate::api::problem::{Code, Problem};
use crate::api::types::{Answer, Time};
use crate::api::{Outcome, no_params};
use actix_web::cookie::Cookie;
use actix_web::{HttpRequest, HttpResponse, web};
use penstock::accounts::{AccountsError, Role, UserChange, check_name};
use penstock::ledger::Change;
use penstock::settings::AccessMode;
use serde::{Deserialize, Serialize};

/// Who is logged in, and how to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Session {
    /// Everybody is let in.
    pub open: bool,
    /// Who it is; nobody when not logged in.
    pub user: Option<SessionUser>,
    /// To be sent as `X-CSRF-Token` with every change; none unless a cookie is what lets in.
    pub csrf: Option<String>,
    /// The identity provider, when there is one.
    pub oidc: Option<OidcLogin>,
    /// This program's version.
    pub version: String,
}

/// Who is logged in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SessionUser {
    /// The user's or token's name, or `local`.
    pub name: String,
    /// What they may do.
    #[schema(value_type = String, example = "viewer")]
    pub role: Role,
    /// How they came in.
    #[schema(value_type = String, example = "password")]
    pub via: Via,
    /// Only the password's route is open to them yet.
    pub must_change_password: bool,
}

/// Where the login through the identity provider begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct OidcLogin {
    /// What stands on the button.
    pub label: String,
    /// Where it leads.
    pub login_url: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Login {
    name: String,
    password: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPassword {
    current: String,
    new: String,
}

/// `GET /api/v1/session`: never fails for want of a login.
pub async fn show(access: web::Data<Access>, request: HttpRequest) -> Outcome {
    no_params(&request)?;
    let caller = access.caller(&request).await?;
    let csrf = cookie::session(&request).map(|secret| secret::csrf(&secret));
    answer(&access, caller, csrf, None)
}

/// `POST /api/v1/session`: log in.
pub async fn begin(access: web::Data<Access>, request: HttpRequest, payload: web::Payload) -> Outcome {
    no_params(&request)?;
    let Login { name, password } = body::json(&request, payload).await?;
    if access.mode == AccessMode::Open {
        return Err(Problem::new(Code::Conflict, "the panel is open: everybody is let in without a login"));
    }
    let address = access.address(&request);
    access.attempt(&name, address)?;
    let bad = || Problem::new(Code::BadCredentials, "name and password do not belong together");
    let found = if check_name(&name) { access.accounts.user(&name).await? } else { None };
    let (user, stored) = found.unzip();
    let stored = stored.flatten();
    let fits = password.len() <= password::LONGEST;
    let password = if fits { password } else { String::new() };
    let good = access.passwords.verify(password, stored.clone()).await? && user.is_some_and(|u| !u.disabled);
    let (true, Some(stored)) = (good, stored) else {
        access.failed(&name, address).await;
        return Err(bad());
    };
    access.attempts.succeeded(&name, address);
    match access.open(&request, &name, Some(&stored), format!("from {address}")).await {
        // Changed or locked out since the password was read.
        Err(AccountsError::NotFound(_) | AccountsError::Disabled(_)) => Err(bad()),
        opened => {
            let (caller, cookie) = opened??;
            let csrf = secret::csrf(cookie.value());
            answer(&access, Some(caller), Some(csrf), Some(cookie))
        }
    }
}

/// `DELETE /api/v1/session`: log out.
pub async fn end(access: web::Data<Access>, caller: Caller, request: HttpRequest) -> Outcome {
    no_params(&request)?;
    match &caller.credential {
        Credential::Session(hash) => access.accounts.end_session(hash).await?,
        Credential::Nothing => {}
        Credential::Token(..) => return Err(Problem::new(Code::Forbidden, "a token has no session to end")),
    }
    answer(&access, None, None, Some(cookie::take(access.https)))
}

/// `PUT /api/v1/session/password`: one's own. Ends all one's sessions and begins a new one.
pub async fn change_password(
    access: web::Data<Access>,
    caller: Caller,
    request: HttpRequest,
    payload: web::Payload,
) -> Outcome {
    no_params(&request)?;
    let NewPassword { current, new } = body::json(&request, payload).await?;
    if caller.via != Via::Password {
        return Err(Problem::new(Code::Conflict, format!("{} has no password here", caller.who())));
    }
    password::check("new", &new, &caller.name)?;
    if new == current {
        return Err(Problem::parameter("new", "must be another one than the current password"));
    }
    let address = access.address(&request);
    access.attempt(&caller.name, address)?;
    let stored = access.accounts.user(&caller.name).await?.and_then(|(_, hash)| hash);
    if current.len() > password::LONGEST || !access.passwords.verify(current, stored).await? {
        access.failed(&caller.name, address).await;
        return Err(Problem::new(Code::BadCredentials, "the current password is another one").at("current"));
    }
    access.attempts.succeeded(&caller.name, address);
    let hash = access.passwords.hash(new).await?;
    let what = UserChange { password: Some((hash.clone(), false)), ..UserChange::default() };
    access.accounts.change_user(&caller.name, &what, &caller.change("their own password")).await?;
    let (caller, cookie) =
        access.open(&request, &caller.name, Some(&hash), "after a change of password".into()).await??;
    let csrf = secret::csrf(cookie.value());
    answer(&access, Some(caller), Some(csrf), Some(cookie))
}

impl Access {
    /// Counts an attempt to log in. Errors: `too_many_attempts`.
    pub(super) fn attempt(&self, name: &str, address: std::net::IpAddr) -> Result<(), Problem> {
        self.attempts.begin(name, address).map_err(|wait| {
            let detail = "too many failed logins with this name or from this address; wait";
            Problem::new(Code::TooManyAttempts, detail).retry_after(wait.as_secs() + 1)
        })
    }

    /// Keeps a failed login in the audit, as far as there is room, and in the log.
    pub(super) async fn failed(&self, name: &str, address: std::net::IpAddr) {
        let name: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
        tracing::warn!(name, %address, "a login failed");
        if self.attempts.noted() {
            let change = Change { who: "anonymous".to_owned(), why: format!("from {address}") };
            if let Err(error) = self.accounts.note("login_failed", &format!("user {name}"), &change).await {
                tracing::error!(%error, "a failed login could not be kept in the audit");
            }
        }
    }

    /// Opens a session for somebody who has shown who they are; ends the one that the request came with.
    pub(super) async fn open(
        &self,
        request: &HttpRequest,
        name: &str,
        password_hash: Option<&str>,
        why: String,
    ) -> Result<Result<(Caller, Cookie<'static>), Problem>, AccountsError> {
        let secret = match secret::random() {
            Ok(secret) => secret,
            Err(error) => return Ok(Err(error.into())),
        };
        let hash = secret::hash(&secret);
        let change = Change { who: name.to_owned(), why };
        let user = self.accounts.open_session(&hash, name, password_hash, &change).await?;
        if let Some(before) = cookie::session(request) {
            self.accounts.end_session(&secret::hash(&before)).await?;
        }
        let now = self.clock.now();
        self.accounts.forget_sessions(now.minus(self.login.max_age), now.minus(self.login.idle_timeout)).await?;
        let caller = Caller {
            name: user.name,
            role: user.role,
            via: if password_hash.is_some() { Via::Password } else { Via::Oidc },
            must_change_password: user.must_change_password,
            credential: Credential::Session(hash),
        };
        Ok(Ok((caller, cookie::give(&secret, self.login.max_age, self.https))))
    }
}

fn answer(access: &Access, caller: Option<Caller>, csrf: Option<String>, cookie: Option<Cookie<'static>>) -> Outcome {
    let by_cookie = caller.as_ref().is_some_and(|c| matches!(c.credential, Credential::Session(_)));
    let result = Session {
        open: access.mode == AccessMode::Open,
        user: caller.map(|c| SessionUser {
            name: c.name,
            role: c.role,
            via: c.via,
            must_change_password: c.must_change_password,
        }),
        csrf: csrf.filter(|_| by_cookie),
        oidc: access
            .oidc
            .as_ref()
            .map(|oidc| OidcLogin { label: oidc.label().to_owned(), login_url: "/api/v1/session/oidc".to_owned() }),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let mut response = HttpResponse::Ok();
    response.insert_header(("Cache-Control", "no-store"));
    if let Some(cookie) = cookie {
        response.cookie(cookie);
    }
    Ok(response.json(Answer { status: "ok".to_owned(), result, timestamp: Time(access.clock.now()) }))
}
