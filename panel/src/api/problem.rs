//! Every error of the API: one enum, one stable code each, answered as RFC 9457 problem+json.
//!
//! Nothing a client can send ends in a 500: what is wrong with the request is a 4xx that names
//! the parameter, a part that does not answer is a 503 with `Retry-After`.

use super::types::ProblemBody;
use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, ResponseError};
use std::borrow::Cow;
use std::fmt;

/// Which error it is; [`Code::name`] is what programs compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// A parameter or a field of the body is not what it must be.
    BadParameter,
    /// A parameter that no route of this name has, or one that came twice.
    UnknownParameter,
    /// `start_time` is not before `end_time`, or there are more steps than a time series may have.
    BadRange,
    /// The range is longer than `panel.max_range_days`.
    RangeTooWide,
    /// The cursor was not made by this route.
    BadCursor,
    /// The body is no JSON of the expected shape.
    BadBody,
    /// The body is longer than the route takes.
    BodyTooLarge,
    /// The body did not arrive in time.
    BodyTimeout,
    /// A body must be `application/json`.
    UnsupportedMediaType,
    /// `Host` does not name this server.
    BadHost,
    /// A page of another origin sent this.
    BadOrigin,
    /// Nobody is logged in, or the session or token holds no longer.
    LoginRequired,
    /// Name and password do not belong together.
    BadCredentials,
    /// The caller's role is not enough.
    Forbidden,
    /// A change with a session's cookie, without that session's `X-CSRF-Token`.
    BadCsrf,
    /// The one-time password has to be changed before anything else.
    PasswordChangeRequired,
    /// Too many failed logins with this name or from this address.
    TooManyAttempts,
    /// No such route.
    NotFound,
    /// The route does not have this method.
    MethodNotAllowed,
    /// No campaign of this number.
    CampaignNotFound,
    /// No event of this id.
    EventNotFound,
    /// No dead letter of this id.
    DeadLetterNotFound,
    /// No gap of this id.
    GapNotFound,
    /// The catalogue breaks a rule; nothing was imported.
    CatalogueInvalid,
    /// The change contradicts what stands, or others were faster.
    Conflict,
    /// ClickHouse gave up on the query: too much memory or time.
    QueryTooExpensive,
    /// ClickHouse does not answer, or not yet.
    StatisticsUnavailable,
    /// The ledger does not answer.
    LedgerUnavailable,
    /// The archive cannot be read.
    ArchiveUnavailable,
    /// The dead-letter log cannot be read.
    DeadLettersUnavailable,
    /// As many expensive questions are being answered as may be at once.
    Busy,
    /// A reconcile is under way; one runs at a time.
    ReconcileBusy,
    /// ClickHouse refused a query of ours: a fault of this program or of its schema.
    StatisticsError,
}

impl Code {
    /// The stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Code::BadParameter => "bad_parameter",
            Code::UnknownParameter => "unknown_parameter",
            Code::BadRange => "bad_range",
            Code::RangeTooWide => "range_too_wide",
            Code::BadCursor => "bad_cursor",
            Code::BadBody => "bad_body",
            Code::BodyTooLarge => "body_too_large",
            Code::BodyTimeout => "body_timeout",
            Code::UnsupportedMediaType => "unsupported_media_type",
            Code::BadHost => "bad_host",
            Code::BadOrigin => "bad_origin",
            Code::LoginRequired => "login_required",
            Code::BadCredentials => "bad_credentials",
            Code::Forbidden => "forbidden",
            Code::BadCsrf => "bad_csrf",
            Code::PasswordChangeRequired => "password_change_required",
            Code::TooManyAttempts => "too_many_attempts",
            Code::NotFound => "not_found",
            Code::MethodNotAllowed => "method_not_allowed",
            Code::CampaignNotFound => "campaign_not_found",
            Code::EventNotFound => "event_not_found",
            Code::DeadLetterNotFound => "dead_letter_not_found",
            Code::GapNotFound => "gap_not_found",
            Code::CatalogueInvalid => "catalogue_invalid",
            Code::Conflict => "conflict",
            Code::QueryTooExpensive => "query_too_expensive",
            Code::StatisticsUnavailable => "statistics_unavailable",
            Code::LedgerUnavailable => "ledger_unavailable",
            Code::ArchiveUnavailable => "archive_unavailable",
            Code::DeadLettersUnavailable => "dead_letters_unavailable",
            Code::Busy => "busy",
            Code::ReconcileBusy => "reconcile_busy",
            Code::StatisticsError => "statistics_error",
        }
    }

    const fn status(self) -> StatusCode {
        match self {
            Code::BadParameter
            | Code::UnknownParameter
            | Code::BadRange
            | Code::RangeTooWide
            | Code::BadCursor
            | Code::BadBody => StatusCode::BAD_REQUEST,
            Code::NotFound
            | Code::CampaignNotFound
            | Code::EventNotFound
            | Code::DeadLetterNotFound
            | Code::GapNotFound => StatusCode::NOT_FOUND,
            Code::LoginRequired | Code::BadCredentials => StatusCode::UNAUTHORIZED,
            Code::BadHost | Code::BadOrigin | Code::Forbidden | Code::BadCsrf | Code::PasswordChangeRequired => {
                StatusCode::FORBIDDEN
            }
            Code::TooManyAttempts => StatusCode::TOO_MANY_REQUESTS,
            Code::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Code::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Code::Conflict | Code::ReconcileBusy => StatusCode::CONFLICT,
            Code::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Code::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Code::CatalogueInvalid | Code::QueryTooExpensive => StatusCode::UNPROCESSABLE_ENTITY,
            Code::StatisticsError => StatusCode::BAD_GATEWAY,
            Code::Busy
            | Code::StatisticsUnavailable
            | Code::LedgerUnavailable
            | Code::ArchiveUnavailable
            | Code::DeadLettersUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// An error on its way to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Which.
    pub code: Code,
    /// One sentence: what was wrong, and what to do.
    pub detail: String,
    /// The parameter or field at fault.
    pub field: Option<Cow<'static, str>>,
    /// The route's methods, for 405.
    allow: Option<Cow<'static, str>>,
    /// Seconds, for 429.
    retry_after: Option<u64>,
}

impl Problem {
    /// An error without a field.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<String>) -> Problem {
        Problem { code, detail: detail.into(), field: None, allow: None, retry_after: None }
    }

    /// The same, naming the parameter or field at fault.
    #[must_use]
    pub fn at(mut self, field: impl Into<Cow<'static, str>>) -> Problem {
        self.field = Some(field.into());
        self
    }

    /// A parameter that is not what it must be.
    #[must_use]
    pub fn parameter(field: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Problem {
        Problem::new(Code::BadParameter, detail).at(field)
    }

    /// The same, saying when to come again.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Problem {
        self.retry_after = Some(seconds);
        self
    }

    /// 405 with the methods the route has.
    #[must_use]
    pub fn method(allow: impl Into<Cow<'static, str>>) -> Problem {
        let allow = allow.into();
        let mut problem = Problem::new(Code::MethodNotAllowed, format!("this route takes {allow}"));
        problem.allow = Some(allow);
        problem
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.name(), self.detail)
    }
}

impl std::error::Error for Problem {}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.code.status()
    }

    fn error_response(&self) -> HttpResponse {
        let status = self.code.status();
        let body = ProblemBody {
            kind: format!("urn:penstock:problem:{}", self.code.name()),
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status: status.as_u16(),
            code: self.code.name().to_owned(),
            detail: self.detail.clone(),
            field: self.field.as_deref().map(str::to_owned),
        };
        let mut response = HttpResponse::build(status);
        response.insert_header((header::CONTENT_TYPE, "application/problem+json"));
        if status == StatusCode::SERVICE_UNAVAILABLE || self.code == Code::ReconcileBusy {
            response.insert_header((header::RETRY_AFTER, "1"));
        }
        if let Some(seconds) = self.retry_after {
            response.insert_header((header::RETRY_AFTER, seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer realm=\"penstock\""));
        }
        if let Some(allow) = &self.allow {
            response.insert_header((header::ALLOW, &**allow));
        }
        // A struct of strings and a number always has a JSON form.
        response.body(serde_json::to_vec(&body).unwrap_or_default())
    }
}
