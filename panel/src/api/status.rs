//! `GET /api/v1/status` and `GET /api/v1/now`. Neither fails: a part that does not answer is shown
//! as down.

use super::types::{StoppedCampaign, Time};
use super::{Outcome, Shared, answer, json, no_params, now};
use crate::standing;
use actix_web::HttpRequest;
use penstock::ledger::{self, Ledger};

/// How everything stands.
pub async fn status<L: Ledger>(app: Shared<L>, request: HttpRequest) -> Outcome {
    no_params(&request)?;
    json(&standing::ask(&app).await.status())
}

/// What happens this second.
pub async fn moment<L: Ledger>(app: Shared<L>, request: HttpRequest) -> Outcome {
    no_params(&request)?;
    answer(&*standing::now(&app).await, now(&app))
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
