//! Dead letters: what a sink could not take, and why.

use super::params::Params;
use super::problem::{Code, Problem};
use super::{Outcome, Shared, bad_cursor, json, limit, no_params, now, page, params};
use crate::app::{DeadFilter, DeadKey};
use actix_web::{HttpRequest, web};
use penstock::ledger::Ledger;

/// `GET /api/v1/dead`: by sink, log, partition and offset.
pub async fn list<L: Ledger>(app: Shared<L>, request: HttpRequest) -> Outcome {
    let mut params = params(&request)?;
    let limit = limit(&app, &mut params)?;
    let filter = DeadFilter {
        sink: plain(&mut params, "sink")?,
        code: plain(&mut params, "code")?,
        after: params.text("cursor").map(|c| DeadKey::parse(&c).ok_or_else(bad_cursor)).transpose()?,
        limit: limit + 1,
    };
    params.done()?;
    let mut letters = app.dead.list(&filter).await?;
    let more = letters.len() > limit;
    letters.truncate(limit);
    let next = letters.last().filter(|_| more).map(|l| l.id.clone());
    page(letters, next, now(&app))
}

/// `GET /api/v1/dead/{id}`: with the record.
pub async fn show<L: Ledger>(app: Shared<L>, request: HttpRequest, id: web::Path<String>) -> Outcome {
    no_params(&request)?;
    let Some(key) = DeadKey::parse(&id) else {
        return Err(Problem::parameter("id", "an id is sink:log:partition:offset, as the list shows it"));
    };
    match app.dead.show(&key).await? {
        Some(letter) => json(&letter),
        None => Err(Problem::new(Code::DeadLetterNotFound, format!("there is no dead letter {}", key.id()))),
    }
}

/// The name of a sink or of a reason.
fn plain(params: &mut Params, name: &'static str) -> Result<Option<String>, Problem> {
    let value = params.text(name);
    let fine = |v: &String| v.len() <= 64 && v.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    if value.as_ref().is_some_and(|v| !fine(v)) {
        return Err(Problem::parameter(name, "must be a name of small letters and _"));
    }
    Ok(value)
}
