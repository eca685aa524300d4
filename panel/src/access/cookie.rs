//! The cookies: a session's, and the one that carries a login through the identity provider.
//!
//! The session's is `SameSite=Strict`: no other site's link or form ever sends it. The pages are
//! public and ask `GET /api/v1/session` themselves, so somebody who follows a link from elsewhere is
//! still logged in.

use actix_web::HttpRequest;
use actix_web::cookie::time::Duration as Age;
use actix_web::cookie::{Cookie, SameSite};
use std::time::Duration;

/// The session's cookie.
pub const SESSION: &str = "penstock_session";

/// The session's secret, as the browser sent it.
#[must_use]
pub fn session(request: &HttpRequest) -> Option<String> {
    let value = request.cookie(SESSION)?.value().to_owned();
    (value.len() <= 128).then_some(value)
}

/// Gives the browser a session for at most `age`.
#[must_use]
pub fn give(secret: &str, age: Duration, https: bool) -> Cookie<'static> {
    build(SESSION, secret.to_owned(), age, https, SameSite::Strict, "/")
}

/// Takes it away again.
#[must_use]
pub fn take(https: bool) -> Cookie<'static> {
    build(SESSION, String::new(), Duration::ZERO, https, SameSite::Strict, "/")
}

pub(super) fn build(
    name: &'static str,
    value: String,
    age: Duration,
    https: bool,
    same_site: SameSite,
    path: &'static str,
) -> Cookie<'static> {
    Cookie::build(name, value)
        .path(path)
        .http_only(true)
        .secure(https)
        .same_site(same_site)
        .max_age(Age::seconds(i64::try_from(age.as_secs()).unwrap_or(0)))
        .finish()
}
