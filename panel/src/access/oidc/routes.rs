//! The two routes of a login through an identity provider: away, and back.

use super::{Attempt, COOKIE, Oidc, OidcError, PATH, Person, QUERY, failed};
use crate::access::cookie::build;
use crate::access::{Access, secret};
use crate::api::Outcome;
use crate::api::problem::{Code, Problem};
use actix_web::cookie::{Cookie, SameSite};
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use penstock::accounts::{AccountsError, NewUser, Proof, User, UserChange};
use penstock::ledger::Change;
use std::time::Duration;

/// `GET /api/v1/session/oidc`: sends the browser to the provider.
pub async fn begin(access: web::Data<Access>, request: HttpRequest) -> Outcome {
    crate::api::no_params(&request)?;
    let oidc = access.oidc.as_ref().ok_or_else(none)?;
    Ok(match oidc.begin().await {
        Ok((url, attempt)) => redirect(&url, vec![attempt.cookie(access.https)]),
        Err(error) => refused(&access, &error),
    })
}

/// `GET /api/v1/session/oidc/callback`: takes the browser back.
pub async fn callback(access: web::Data<Access>, request: HttpRequest) -> Outcome {
    let oidc = access.oidc.as_ref().ok_or_else(none)?;
    Ok(match come_back(&access, oidc, &request).await {
        Ok(session) => redirect("/", vec![session, forget(&access)]),
        Err(error) => refused(&access, &error),
    })
}

async fn come_back(access: &Access, oidc: &Oidc, request: &HttpRequest) -> Result<Cookie<'static>, OidcError> {
    let query = request.query_string();
    if query.len() > QUERY {
        return Err(failed("the query string is too long"));
    }
    let pairs = web::Query::<Vec<(String, String)>>::from_query(query).map_err(failed)?.into_inner();
    let get = |name: &str| {
        let mut values = pairs.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let one = values.next();
        if values.next().is_some() { None } else { one }
    };
    let attempt = Attempt::of(request).ok_or_else(|| failed("this browser began no login, or too long ago"))?;
    if !secret::same(get("state").unwrap_or("").as_bytes(), attempt.state.as_bytes()) {
        return Err(failed("the state is another one"));
    }
    // RFC 9207: who answers is who was asked.
    if get("iss").is_some_and(|iss| iss != oidc.issuer.as_str()) {
        return Err(failed("the answer comes from another issuer"));
    }
    if let Some(error) = get("error") {
        let plain: String = error.chars().filter(|c| !c.is_control()).take(100).collect();
        return Err(OidcError::Denied(plain));
    }
    let code = get("code").ok_or_else(|| failed("there is no code"))?.to_owned();
    let now = access.clock.now().to_utc().ok_or_else(|| failed("the clock is out of its range"))?;
    let person = oidc.finish(code, attempt, now).await?;
    let user = admit(access, &person).await?;
    let why = format!("from {}, through {}", access.address(request), oidc.issuer.as_str());
    match access.open(request, &user.name, None, why).await {
        Ok(opened) => opened.map(|(_, cookie)| cookie).map_err(failed),
        Err(AccountsError::Disabled(name)) => Err(OidcError::Disabled(name)),
        Err(error) => Err(failed(error)),
    }
}

/// Finds the person, or adds them; their role is what the provider says now.
async fn admit(access: &Access, person: &Person) -> Result<User, OidcError> {
    let known = access.accounts.user_of_subject(&person.subject).await.map_err(failed)?;
    if let Some(user) = known.as_ref().filter(|user| user.disabled) {
        return Err(OidcError::Disabled(user.name.clone()));
    }
    let named = known.as_ref().map_or(&person.name, |user| &user.name);
    let role = person.role.ok_or_else(|| OidcError::NoRole(named.clone()))?;
    let change = Change { who: named.clone(), why: "as the identity provider says".to_owned() };
    match known {
        Some(user) if user.role == role => Ok(user),
        Some(user) => {
            let what = UserChange { role: Some(role), ..UserChange::default() };
            access.accounts.change_user(&user.name, &what, &change).await.map_err(failed)
        }
        None => {
            let new = NewUser {
                name: person.name.clone(),
                role,
                proof: Proof::Subject(person.subject.clone()),
                must_change_password: false,
            };
            access.accounts.add_user(&new, &change).await.map_err(|error| match error {
                AccountsError::Exists(_) => OidcError::NameTaken(person.name.clone()),
                other => failed(other),
            })
        }
    }
}

fn none() -> Problem {
    Problem::new(Code::NotFound, "no identity provider is configured (panel.oidc.issuer)")
}

fn refused(access: &Access, error: &OidcError) -> HttpResponse {
    tracing::warn!(%error, "a login through the identity provider did not succeed");
    redirect(&format!("/?login_error={}", error.code()), vec![forget(access)])
}

fn forget(access: &Access) -> Cookie<'static> {
    build(COOKIE, String::new(), Duration::ZERO, access.https, SameSite::Lax, PATH)
}

fn redirect(to: &str, cookies: Vec<Cookie<'static>>) -> HttpResponse {
    let mut response = HttpResponse::SeeOther();
    response.insert_header((header::LOCATION, to)).insert_header((header::CACHE_CONTROL, "no-store"));
    for cookie in cookies {
        response.cookie(cookie);
    }
    response.finish()
}
