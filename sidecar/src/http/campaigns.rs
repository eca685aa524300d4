//! `GET /v1/campaigns/{id}`: may it be served?

use super::Shared;
use super::problem::Problem;
use actix_web::http::header;
use actix_web::{HttpResponse, web};
use penstock::pricing::CampaignId;

/// The stop list's answer, without a lock.
///
/// Errors: `invalid_campaign_id` (400) when it is not an integer from 1 to 4 294 967 295.
pub async fn campaign(shared: web::Data<Shared>, id: web::Path<String>) -> Result<HttpResponse, Problem> {
    let digits = id.bytes().all(|b| b.is_ascii_digit());
    let id: Option<CampaignId> = digits.then(|| id.parse().ok()).flatten().filter(|&id| id > 0);
    let Some(id) = id else {
        let detail = "a campaign's id is an integer from 1 to 4294967295";
        return Err(Problem::bad_request("invalid_campaign_id", detail));
    };
    let no_store = (header::CACHE_CONTROL, "no-store");
    Ok(HttpResponse::Ok().insert_header(no_store).json(shared.stop_list.answer(id)))
}
