//! The web pages, inside the binary.
//!
//! `web/dist` is what the front end's build makes. Files below `/assets/` have a hash of their
//! content in their names and are kept by browsers for ever; everything else is asked for again,
//! by ETag. A `.br` or `.gz` beside a file is sent instead to who takes it. A path that nobody
//! knows is a page of the application when a browser asks for a page, else it is not there.

use crate::access::guard::is_api;
use crate::api::problem::{Code, Problem};
use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use rust_embed::{EmbeddedFile, RustEmbed};
use std::borrow::Cow;
use std::fmt::Write;

#[derive(RustEmbed)]
#[folder = "web/dist"]
struct Dist;

const INDEX: &str = "index.html";
const FOR_EVER: &str = "public, max-age=31536000, immutable";
const ASK_AGAIN: &str = "no-cache";
/// What is sent in place of a file: its ending, and what the header says.
const PACKED: [(&str, &str); 2] = [("br", "br"), ("gz", "gzip")];

/// `GET /`.
pub async fn index(request: HttpRequest) -> HttpResponse {
    match Dist::get(INDEX) {
        Some(file) => send(&request, INDEX, file, ASK_AGAIN),
        None => HttpResponse::Ok()
            .insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"))
            .insert_header((header::CACHE_CONTROL, ASK_AGAIN))
            .body(include_str!("api/index.html")),
    }
}

/// `GET /assets/…`.
pub async fn asset(request: HttpRequest, path: web::Path<String>) -> Result<HttpResponse, Problem> {
    let path = format!("assets/{path}");
    let file = get(&path).ok_or_else(|| Problem::new(Code::NotFound, "there is no such file"))?;
    Ok(send(&request, &path, file, FOR_EVER))
}

/// Everything else: a file of the pages, a page, or nothing.
pub async fn other(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let path = request.match_info().unprocessed();
    let path = if path.is_empty() { request.path() } else { path };
    if request.method() == Method::GET && !is_api(path) {
        if let Some(file) = get(path.trim_start_matches('/')) {
            return Ok(send(&request, path, file, ASK_AGAIN));
        }
        let accept = request.headers().get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or("");
        if accept.contains("text/html") {
            return Ok(index(request).await);
        }
    }
    Err(Problem::new(Code::NotFound, "there is no such route; GET / names them"))
}

/// A file by its path, none that leads elsewhere.
fn get(path: &str) -> Option<EmbeddedFile> {
    let plain = |part: &str| !part.is_empty() && !part.starts_with('.');
    let packed = PACKED.iter().any(|(ending, _)| path.strip_suffix(ending).is_some_and(|rest| rest.ends_with('.')));
    (path.split('/').all(plain) && !path.contains(['\\', '\0']) && !packed).then(|| Dist::get(path))?
}

fn send(request: &HttpRequest, path: &str, file: EmbeddedFile, caching: &'static str) -> HttpResponse {
    let path = path.trim_start_matches('/');
    let kind = HeaderValue::from_str(file.metadata.mimetype());
    let mut kind = kind.unwrap_or(HeaderValue::from_static("application/octet-stream"));
    // The type of text goes with its encoding, else a browser guesses it.
    if kind.to_str().is_ok_and(|k| k.starts_with("text/") || k == "application/javascript") {
        kind = HeaderValue::from_str(&format!("{}; charset=utf-8", file.metadata.mimetype())).unwrap_or(kind);
    }
    let (encoding, file) = pack(request, path, file);
    let tag = tag(&file);
    let mut response = HttpResponse::Ok();
    response
        .insert_header((header::CONTENT_TYPE, kind))
        .insert_header((header::CACHE_CONTROL, caching))
        .insert_header((header::VARY, "Accept-Encoding"))
        .insert_header((header::ETAG, tag.as_str()));
    if let Some(encoding) = encoding {
        response.insert_header((header::CONTENT_ENCODING, encoding));
    }
    let known = request.headers().get(header::IF_NONE_MATCH).and_then(|v| v.to_str().ok()).unwrap_or("");
    if known.split(',').any(|known| known.trim().trim_start_matches("W/") == tag) {
        return response.status(StatusCode::NOT_MODIFIED).finish();
    }
    response.body(match file.data {
        Cow::Borrowed(data) => Bytes::from_static(data),
        Cow::Owned(data) => Bytes::from(data),
    })
}

/// The packed file in place of the plain one, when there is one that the browser takes.
fn pack(request: &HttpRequest, path: &str, plain: EmbeddedFile) -> (Option<&'static str>, EmbeddedFile) {
    let taken = request.headers().get(header::ACCEPT_ENCODING).and_then(|v| v.to_str().ok()).unwrap_or("");
    for (ending, name) in PACKED {
        if takes(taken, name)
            && let Some(packed) = Dist::get(&format!("{path}.{ending}"))
        {
            return (Some(name), packed);
        }
    }
    (None, plain)
}

/// Whether `Accept-Encoding` names an encoding, and not to refuse it.
fn takes(header: &str, encoding: &str) -> bool {
    header.split(',').any(|part| {
        let (name, weight) = part.split_once(';').unwrap_or((part, ""));
        let refused = weight.trim().strip_prefix("q=0").is_some_and(|rest| rest.trim_matches(['.', '0']).is_empty());
        name.trim().eq_ignore_ascii_case(encoding) && !refused
    })
}

fn tag(file: &EmbeddedFile) -> String {
    let mut tag = String::from("\"");
    for byte in &file.metadata.sha256_hash()[..16] {
        // Writing to a String cannot fail.
        let _ = write!(tag, "{byte:02x}");
    }
    tag.push('"');
    tag
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoding_is_taken_when_it_is_named_and_not_refused() {
        for (header, br) in [
            ("gzip, deflate, br, zstd", true),
            ("br;q=1.0, gzip;q=0.5", true),
            ("br;q=0.1", true),
            ("br;q=0", false),
            ("br; q=0.0", false),
            ("gzip", false),
            ("", false),
            ("brotli", false),
        ] {
            assert_eq!(takes(header, "br"), br, "{header}");
        }
    }

    #[test]
    fn no_path_leads_out_of_the_pages() {
        for path in
            ["../Cargo.toml", "assets/../../Cargo.toml", "", "assets//x", ".hidden", "a\\..\\b", "assets/x.js.br"]
        {
            assert!(get(path).is_none(), "{path}");
        }
    }
}
