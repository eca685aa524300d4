//! `GET /api/v1/quality`: whether data can be trusted.

use super::params::Span;
use super::{Outcome, Shared, answer, now};
use crate::quality;
use actix_web::HttpRequest;
use penstock::ledger::Ledger;

/// Of the last 24 hours unless times are given.
pub async fn quality<L: Ledger>(app: Shared<L>, request: HttpRequest) -> Outcome {
    let mut params = super::params(&request)?;
    let (start, end) = super::explore::closed(&app, &mut params)?;
    params.done()?;
    answer(quality::quality(&app, Span { start: Some(start), end: Some(end) }).await?, now(&app))
}
