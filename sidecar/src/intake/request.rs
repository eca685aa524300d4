//! What a request asks for, read from its headers before its body is.

use super::inflate::Encoding;
use super::keys::check_idempotency_key;
use super::split::Format;
use crate::http::problem::Problem;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName};

/// What an answer waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Durability {
    /// Written to the operating system; survives the death of the process.
    #[default]
    Os,
    /// Synced to the device.
    Disk,
    /// On all in-sync replicas of Kafka.
    Kafka,
}

impl Durability {
    /// As in the header and in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Durability::Os => "os",
            Durability::Disk => "disk",
            Durability::Kafka => "kafka",
        }
    }
}

const DURABILITY: HeaderName = HeaderName::from_static("penstock-durability");
const IDEMPOTENCY: HeaderName = HeaderName::from_static("idempotency-key");
const KEY: HeaderName = HeaderName::from_static("penstock-key");

/// A request's headers, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask<'a> {
    /// From `Content-Type`; absent = JSON.
    pub format: Format,
    /// From `Content-Encoding`.
    pub encoding: Option<Encoding>,
    /// From `Penstock-Durability`.
    pub durability: Durability,
    /// From `Idempotency-Key`.
    pub idempotency_key: Option<&'a [u8]>,
    /// From `Penstock-Key`, not yet looked up.
    pub write_key: Option<&'a [u8]>,
    /// From `Content-Length`.
    pub length: Option<usize>,
}

/// Reads the headers. `forwards`: there is a Kafka behind this sidecar.
///
/// Errors: `unsupported_content_type`, `unsupported_encoding` (415), `invalid_durability`,
/// `durability_unavailable`, `invalid_idempotency_key`, `invalid_header` (400).
pub fn ask(headers: &HeaderMap, forwards: bool) -> Result<Ask<'_>, Problem> {
    let idempotency_key = one(headers, &IDEMPOTENCY)?;
    if let Some(key) = idempotency_key {
        check_idempotency_key(key)?;
    }
    let length = one(headers, &header::CONTENT_LENGTH)?;
    Ok(Ask {
        durability: durability(one(headers, &DURABILITY)?, forwards)?,
        format: format(one(headers, &header::CONTENT_TYPE)?)?,
        encoding: encoding(headers)?,
        idempotency_key,
        write_key: one(headers, &KEY)?,
        length: length.and_then(|n| std::str::from_utf8(n).ok()?.parse().ok()),
    })
}

/// The header's value; several of one name would leave open which one holds.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a [u8]>, Problem> {
    let mut values = headers.get_all(name);
    let first = values.next().map(|v| v.as_bytes().trim_ascii());
    if values.next().is_some() {
        return Err(Problem::bad_request("invalid_header", format!("the header {name} comes twice")));
    }
    Ok(first)
}

fn durability(value: Option<&[u8]>, forwards: bool) -> Result<Durability, Problem> {
    let Some(value) = value else { return Ok(Durability::Os) };
    if value.eq_ignore_ascii_case(b"os") {
        Ok(Durability::Os)
    } else if value.eq_ignore_ascii_case(b"disk") {
        Ok(Durability::Disk)
    } else if value.eq_ignore_ascii_case(b"kafka") && forwards {
        Ok(Durability::Kafka)
    } else if value.eq_ignore_ascii_case(b"kafka") {
        let detail = "this sidecar has no Kafka behind it; `disk` is the strongest level here";
        Err(Problem::bad_request("durability_unavailable", detail))
    } else {
        Err(Problem::bad_request("invalid_durability", "Penstock-Durability takes `os`, `disk` or `kafka`"))
    }
}

fn format(value: Option<&[u8]>) -> Result<Format, Problem> {
    let Some(value) = value else { return Ok(Format::Json) };
    let mut parts = value.split(|&b| b == b';').map(<[u8]>::trim_ascii);
    let media = parts.next().unwrap_or_default();
    let utf8 = parts.all(|parameter| match parameter.iter().position(|&b| b == b'=') {
        Some(at) if parameter[..at].eq_ignore_ascii_case(b"charset") => {
            let charset = parameter[at + 1..].trim_ascii();
            [&b"utf-8"[..], b"\"utf-8\"", b"utf8"].iter().any(|known| charset.eq_ignore_ascii_case(known))
        }
        _ => true,
    });
    let is = |name: &[u8]| media.eq_ignore_ascii_case(name);
    if utf8 && is(b"application/json") {
        return Ok(Format::Json);
    }
    if utf8 && (is(b"application/x-ndjson") || is(b"application/ndjson")) {
        return Ok(Format::Ndjson);
    }
    let detail = "Content-Type must be application/json or application/x-ndjson, in UTF-8";
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_content_type", detail))
}

fn encoding(headers: &HeaderMap) -> Result<Option<Encoding>, Problem> {
    let mut found = None;
    let mut number = 0;
    for value in headers.get_all(header::CONTENT_ENCODING) {
        for token in value.as_bytes().split(|&b| b == b',').map(<[u8]>::trim_ascii) {
            if token.is_empty() || token.eq_ignore_ascii_case(b"identity") {
                continue;
            }
            number += 1;
            found = if token.eq_ignore_ascii_case(b"gzip") || token.eq_ignore_ascii_case(b"x-gzip") {
                Some(Encoding::Gzip)
            } else if token.eq_ignore_ascii_case(b"zstd") {
                Some(Encoding::Zstd)
            } else {
                None
            };
            if found.is_none() || number > 1 {
                let detail = "Content-Encoding takes one of gzip, zstd";
                let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
                return Err(Problem::new(status, "unsupported_encoding", detail));
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in list {
            map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        map
    }

    fn code(list: &[(&'static str, &'static str)]) -> &'static str {
        ask(&headers(list), false).map_or_else(|p| p.code(), |_| "fine")
    }

    #[test]
    fn what_is_absent_has_its_default() {
        let map = headers(&[]);
        let ask = ask(&map, true).unwrap();
        assert_eq!((ask.format, ask.encoding, ask.durability), (Format::Json, None, Durability::Os));
    }

    #[test]
    fn content_types_and_encodings() {
        let map = headers(&[
            ("content-type", "Application/X-NDJSON; charset=UTF-8"),
            ("content-encoding", "identity, ZSTD"),
            ("penstock-durability", "Disk"),
        ]);
        let ask = ask(&map, true).unwrap();
        let expected = (Format::Ndjson, Some(Encoding::Zstd), Durability::Disk);
        assert_eq!((ask.format, ask.encoding, ask.durability), expected);
        assert_eq!(code(&[("content-type", "application/x-www-form-urlencoded")]), "unsupported_content_type");
        assert_eq!(code(&[("content-type", "application/json; charset=latin1")]), "unsupported_content_type");
        assert_eq!(code(&[("content-encoding", "br")]), "unsupported_encoding");
        assert_eq!(code(&[("content-encoding", "gzip, gzip")]), "unsupported_encoding");
        assert_eq!(code(&[("content-encoding", "gzip"), ("content-encoding", "zstd")]), "unsupported_encoding");
    }

    #[test]
    fn durability_and_keys() {
        assert_eq!(code(&[("penstock-durability", "kafka")]), "durability_unavailable");
        let map = headers(&[("penstock-durability", "Kafka")]);
        assert_eq!(ask(&map, true).unwrap().durability, Durability::Kafka);
        assert_eq!(code(&[("penstock-durability", "tape")]), "invalid_durability");
        assert_eq!(code(&[("penstock-durability", "")]), "invalid_durability");
        assert_eq!(code(&[("penstock-durability", "os"), ("penstock-durability", "disk")]), "invalid_header");
        assert_eq!(code(&[("idempotency-key", "")]), "invalid_idempotency_key");
        assert_eq!(code(&[("idempotency-key", "a b-1")]), "fine");
    }
}
