//! `GET /api/v1/status`. It never fails: a part that does not answer is shown as down.

use super::types::{DeadSummary, EngineStatus, Health, RoleStatus, Status, StoppedCampaign, Time};
use super::{Outcome, Shared, json, no_params, now};
use crate::app::App;
use crate::live;
use actix_web::HttpRequest;
use penstock::ledger::{self, Ledger};

/// How everything stands.
pub async fn status<L: Ledger>(app: Shared<L>, request: HttpRequest) -> Outcome {
    no_params(&request)?;
    json(&take(&app).await)
}

/// Asks all parts at once.
async fn take<L: Ledger>(app: &App<L>) -> Status {
    let (engine, stopped, dead) = futures::join!(engine(app), app.ledger.stopped(), app.dead.summary());
    let now = now(app);
    let sinks = app.live.sinks(now);
    let mut roles = live::roles(&sinks);
    roles.extend(app.roles.iter().map(|probe| probe()));
    roles.push(role("engine", engine.error.clone()));
    roles.push(role("ledger", stopped.as_ref().err().map(ToString::to_string)));
    if let Err(error) = &dead {
        roles.push(role("dead_letters", Some(error.to_string())));
    }
    roles.push(role("panel", None));
    roles.sort_by(|a, b| a.name.cmp(&b.name));
    Status {
        health: roles.iter().map(|r| r.health).max().unwrap_or(Health::Ok),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        timestamp: Time(now),
        roles,
        spool: app.live.spool(),
        spools: app.live.spools(),
        sinks,
        stopped: stopped.unwrap_or_default().into_iter().map(StoppedCampaign::from).collect(),
        engine,
        dead: dead.unwrap_or_else(|_| DeadSummary::default()),
    }
}

fn role(name: &str, error: Option<String>) -> RoleStatus {
    let health = if error.is_some() { Health::Down } else { Health::Ok };
    RoleStatus { name: name.to_owned(), health, reason: error }
}

/// Whether ClickHouse answers.
pub async fn engine<L: Ledger>(app: &App<L>) -> EngineStatus {
    match app.statistics.version().await {
        Ok(version) => EngineStatus { health: Health::Ok, version: Some(version), error: None },
        Err(error) => EngineStatus { health: Health::Down, version: None, error: Some(error.to_string()) },
    }
}

impl From<ledger::StoppedCampaign> for StoppedCampaign {
    fn from(c: ledger::StoppedCampaign) -> StoppedCampaign {
        let reasons: Vec<String> = c.stops.iter().map(|s| s.reason.name().to_owned()).collect();
        StoppedCampaign {
            campaign_id: c.campaign_id,
            name: c.name,
            reason: reasons.first().cloned().unwrap_or_default(),
            reasons,
            since: c.stops.iter().map(|s| Time(s.since)).min(),
        }
    }
}
