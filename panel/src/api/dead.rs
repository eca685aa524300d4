//! Dead letters: what a sink could not take, and why; and having them taken after all.

use super::body;
use super::params::Params;
use super::problem::{Code, Problem};
use super::types::ReplayRequest;
use super::{Outcome, Shared, bad_cursor, json, limit, no_params, now, page, params};
use crate::access::Caller;
use crate::app::{DeadFilter, DeadKey, DeadReplay};
use actix_web::{HttpRequest, web};
use penstock::ledger::Ledger;

/// Most letters of one replay.
const REPLAYED: usize = 1_000;
/// Room for their ids.
const REPLAY_BYTES: usize = 256 << 10;
/// Longest reason that is kept.
const REASON: usize = 500;

/// `GET /api/v1/dead`: by sink, log, partition and offset.
pub async fn list<L: Ledger>(app: Shared<L>, request: HttpRequest) -> Outcome {
    let mut params = params(&request)?;
    let limit = limit(&app, &mut params)?;
    let filter = DeadFilter {
        sink: plain(&mut params, "sink")?,
        code: plain(&mut params, "code")?,
        after: params.text("cursor").map(|c| DeadKey::parse(&c).ok_or_else(bad_cursor)).transpose()?,
        replayable: false,
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
    check(name, value.as_deref())?;
    Ok(value)
}

fn check(name: &'static str, value: Option<&str>) -> Result<(), Problem> {
    let fine = |v: &str| v.len() <= 64 && v.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    match value {
        Some(v) if !fine(v) => Err(Problem::parameter(name, "must be a name of small letters and _")),
        _ => Ok(()),
    }
}

/// `POST /api/v1/dead/replay`: appends the records of letters again, where nothing is counted twice.
pub async fn replay<L: Ledger>(app: Shared<L>, caller: Caller, request: HttpRequest, payload: web::Payload) -> Outcome {
    no_params(&request)?;
    let asked: ReplayRequest = body::json_within(&request, payload, REPLAY_BYTES).await?;
    check("to", asked.to.as_deref())?;
    let why = asked.reason.clone().unwrap_or_default();
    if why.len() > REASON {
        return Err(Problem::parameter("reason", format!("may have at most {REASON} bytes")));
    }
    let keys = match &asked.ids {
        Some(_) if asked.sink.is_some() || asked.code.is_some() || asked.limit.is_some() => {
            return Err(Problem::parameter("ids", "name the letters by ids, or by sink, code and limit, not both"));
        }
        Some(ids) if ids.is_empty() || ids.len() > REPLAYED => {
            return Err(Problem::parameter("ids", format!("takes 1 to {REPLAYED} ids")));
        }
        Some(ids) => {
            let bad = |id: &str| Problem::parameter("ids", format!("{id:?} is no id: sink:log:partition:offset"));
            ids.iter().map(|id| DeadKey::parse(id).ok_or_else(|| bad(id))).collect::<Result<Vec<_>, _>>()?
        }
        None => chosen(&app, &asked).await?,
    };
    let change = caller.change(why);
    if !asked.dry_run && !keys.is_empty() {
        // Before anything is done: a replay without its row in the audit does not begin.
        let ids: Vec<String> = keys.iter().map(DeadKey::id).collect();
        let after = match &asked.to {
            Some(to) => serde_json::json!({"ids": ids, "to": to}),
            None => serde_json::json!({"ids": ids}),
        };
        app.ledger.record_change("dead_replay", "dead letters", &after.to_string(), &change).await?;
    }
    let ReplayRequest { to, dry_run, .. } = asked;
    let wanted = DeadReplay { letters: keys, who: change.who, to, dry_run };
    json(&app.dead.replay(wanted).await?)
}

/// The letters that a sink, a code and a limit name.
async fn chosen<L: Ledger>(app: &Shared<L>, asked: &ReplayRequest) -> Result<Vec<DeadKey>, Problem> {
    check("sink", asked.sink.as_deref())?;
    check("code", asked.code.as_deref())?;
    let limit = asked.limit.unwrap_or(REPLAYED);
    if !(1..=REPLAYED).contains(&limit) {
        return Err(Problem::parameter("limit", format!("must be from 1 to {REPLAYED}")));
    }
    let (sink, code) = (asked.sink.clone().or_else(|| asked.to.clone()), asked.code.clone());
    let filter = DeadFilter { sink, code, replayable: true, after: None, limit };
    let letters = app.dead.list(&filter).await?;
    Ok(letters.iter().filter_map(|letter| DeadKey::parse(&letter.id)).collect())
}
