//! Request bodies: JSON only, bounded in bytes and in time, read to the end before parsing.

use super::problem::{Code, Problem};
use actix_web::http::header;
use actix_web::{HttpRequest, web};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// A body must be there within this time.
const DEADLINE: Duration = Duration::from_secs(30);
/// Enough for every body but a catalogue.
pub const SMALL: usize = 64 << 10;

/// Reads a body of at most `limit` bytes.
///
/// The content type must say JSON: a form of another site cannot send that without asking first
/// (CORS preflight), which we never answer.
///
/// Errors: `unsupported_media_type`, `body_too_large`, `body_timeout`, `bad_body`.
pub async fn bytes(request: &HttpRequest, payload: web::Payload, limit: usize) -> Result<Bytes, Problem> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
    let essence = kind.split(';').next().unwrap_or("").trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        return Err(Problem::new(Code::UnsupportedMediaType, "send the body as application/json"));
    }
    if request.headers().contains_key(header::CONTENT_ENCODING) {
        return Err(Problem::new(Code::UnsupportedMediaType, "send the body without a Content-Encoding"));
    }
    let too_large = || Problem::new(Code::BodyTooLarge, format!("the body may have at most {limit} bytes"));
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|n| n > limit) {
        return Err(too_large());
    }
    let read = async {
        let mut payload = payload.into_inner();
        let mut body = BytesMut::with_capacity(announced.unwrap_or(0).min(64 << 10));
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|e| Problem::new(Code::BadBody, format!("the body broke off: {e}")))?;
            if body.len() + chunk.len() > limit {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.freeze())
    };
    match tokio::time::timeout(DEADLINE, read).await {
        Ok(body) => body,
        Err(_) => {
            Err(Problem::new(Code::BodyTimeout, format!("the body did not arrive within {} s", DEADLINE.as_secs())))
        }
    }
}

/// Reads a small body as JSON. Errors: as [`bytes`], and `bad_body` when it has another shape.
pub async fn json<T: DeserializeOwned>(request: &HttpRequest, payload: web::Payload) -> Result<T, Problem> {
    json_within(request, payload, SMALL).await
}

/// Reads a body of at most `limit` bytes as JSON. Errors: as [`json`].
pub async fn json_within<T: DeserializeOwned>(
    request: &HttpRequest,
    payload: web::Payload,
    limit: usize,
) -> Result<T, Problem> {
    let body = bytes(request, payload, limit).await?;
    // A derived struct would also take an array of its fields.
    if body.iter().find(|b| !b.is_ascii_whitespace()) != Some(&b'{') {
        return Err(Problem::new(Code::BadBody, "the body must be a JSON object"));
    }
    serde_json::from_slice(&body)
        .map_err(|e| Problem::new(Code::BadBody, format!("the body is not what it must be: {e}")))
}

/// Whether the request announces no body at all.
#[must_use]
pub fn is_empty(request: &HttpRequest) -> bool {
    let headers = request.headers();
    let length = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok());
    !headers.contains_key(header::TRANSFER_ENCODING) && length.is_none_or(|v| v == "0")
}
