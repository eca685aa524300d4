//! What each part of intake refuses with, as the problem that the client is told.

use super::inflate::InflateError;
use super::rate::OverRate;
use super::turn::NotWritten;
use crate::http::problem::Problem;
use actix_web::http::StatusCode;
use penstock::log::spool::{AppendError, KeysFull};
use std::time::Duration;

/// When trying again makes sense, where nothing better is known.
pub const SHORTLY: Duration = Duration::from_secs(1);

impl From<InflateError> for Problem {
    fn from(error: InflateError) -> Self {
        let detail = error.to_string();
        match error {
            InflateError::TooLarge(_) => Problem::too_large("body_too_large", detail),
            InflateError::Truncated => Problem::bad_request("truncated_body", detail),
            InflateError::Damaged(_) => Problem::bad_request("damaged_body", detail),
        }
    }
}

impl From<OverRate> for Problem {
    fn from(over: OverRate) -> Self {
        let status = StatusCode::TOO_MANY_REQUESTS;
        match over {
            OverRate::Wait(wait) => {
                Problem::new(status, "rate_limited", "this write key is over its rate").retry_after(wait)
            }
            OverRate::TooMany(burst) => {
                let detail =
                    format!("more events than this write key may send at once: split it, at most {burst} each");
                Problem::new(status, "rate_limited", detail).retry_after(SHORTLY)
            }
        }
    }
}

impl From<AppendError> for Problem {
    fn from(error: AppendError) -> Self {
        let detail = error.to_string();
        match error {
            AppendError::Full { retry_after } => Problem::unavailable("spool_full", detail, retry_after),
            AppendError::TooLarge { .. } => Problem::too_large("body_too_large", detail),
            AppendError::Empty | AppendError::Failed(_) => Problem::unavailable("spool_unavailable", detail, SHORTLY),
        }
    }
}

impl From<NotWritten> for Problem {
    fn from(error: NotWritten) -> Self {
        if error.full {
            return Problem::unavailable("spool_full", "the disk is full; nothing of the request was kept", SHORTLY);
        }
        let detail = "the spool could not be written; nothing of the request was kept";
        Problem::unavailable("spool_unavailable", detail, SHORTLY)
    }
}

impl From<KeysFull> for Problem {
    fn from(full: KeysFull) -> Self {
        Problem::unavailable("too_many_keys", full.to_string(), full.retry_after)
    }
}
