//! What a request asks for: its URL parameters and headers, sorted into settings and the rest.

use super::Service;
use crate::encoding::Encoding;
use crate::exception::{Code, Exception};
use crate::sql;
use crate::task::{Request, Role};
use actix_web::HttpRequest;
use actix_web::http::{Method, header};
use base64::Engine as _;
use penstock::time::Micros;

/// The user that may write, with the engine's secret as its password.
pub const WRITER: &str = "penstock";

/// Until when (microseconds since the epoch) an INSERT may begin. A client that gave up waiting can
/// so be sure that what still lies in a socket does nothing.
pub const BEGIN_BY: &str = "X-Penstock-Begin-By";

/// A request with what its connection needs to know.
pub struct Parsed {
    /// What the query's thread needs.
    pub request: Request,
    /// For `X-ClickHouse-Query-Id`.
    pub query_id: String,
    /// The request body's content encoding.
    pub body: Encoding,
    /// `decompress=1`: the body is native blocks.
    pub decompress: bool,
    /// The answer's content encoding.
    pub answer: Encoding,
    /// `compress=1`: the answer is native blocks.
    pub compress: bool,
}

struct Credentials {
    user: Option<String>,
    password: Option<String>,
}

/// Sorts a request's parameters. `form` are the fields of a multipart body, if it was one.
///
/// Errors: the [`Exception`] to answer with.
pub fn parse(http: &HttpRequest, service: &Service, form: Vec<(String, Vec<u8>)>) -> Result<Parsed, Exception> {
    let bad = |message: String| Exception::new(Code::BadArguments, message);
    let pairs = actix_web::web::Query::<Vec<(String, String)>>::from_query(http.query_string())
        .map_err(|e| bad(format!("the URL's parameters do not parse: {e}")))?
        .into_inner();
    let text = |name: &str, bytes: Vec<u8>| {
        String::from_utf8(bytes).map_err(|_| bad(format!("the form's field {name} is not UTF-8")))
    };
    let header = |name: &str| http.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);

    let mut query_sql = Vec::new();
    let mut credentials = Credentials { user: header("X-ClickHouse-User"), password: header("X-ClickHouse-Key") };
    basic(http, &mut credentials);
    let mut database = header("X-ClickHouse-Database");
    let mut format = header("X-ClickHouse-Format");
    let mut query_id = header("X-ClickHouse-Query-Id").unwrap_or_default();
    let (mut settings, mut params) = (Vec::new(), Vec::new());
    let (mut decompress, mut compress, mut wait_end, mut http_compression) = (false, false, false, true);

    let fields = form.into_iter().map(|(name, bytes)| text(&name, bytes).map(|value| (name, value)));
    for pair in pairs.into_iter().map(Ok).chain(fields) {
        let (name, value) = pair?;
        match name.as_str() {
            "query" => query_sql.extend_from_slice(value.as_bytes()),
            "database" => database = Some(value),
            "default_format" => format = Some(value),
            "query_id" => query_id = value,
            "user" => credentials.user = Some(value),
            "password" => credentials.password = Some(value),
            "compress" => compress = flag(&value),
            "decompress" => decompress = flag(&value),
            "wait_end_of_query" => wait_end = flag(&value),
            "enable_http_compression" => http_compression = flag(&value),
            // They tune what this server does not do (progress headers, CORS, its own buffers).
            "buffer_size"
            | "http_zlib_compression_level"
            | "send_progress_in_http_headers"
            | "quota_key"
            | "http_headers_progress_interval_ms"
            | "add_http_cors_header"
            | "stacktrace"
            | "close_session"
            | "client_protocol_version"
            | "http_response_buffer_size" => {}
            "session_id" | "session_timeout" | "session_check" | "role" => {
                return Err(Exception::new(Code::NotImplemented, format_args!("`{name}` is not served here")));
            }
            name if name.starts_with("param_") => {
                let name = name.trim_start_matches("param_");
                if !sql::is_name(name) {
                    return Err(bad(format!("{name:?} cannot be a parameter's name")));
                }
                params.push((name.to_owned(), value));
            }
            name if sql::is_name(name) => settings.push((name.to_owned(), value)),
            name => return Err(bad(format!("{name:?} cannot be a setting's name"))),
        }
    }
    let role = if http.method() == Method::POST {
        role(&credentials, service)?
    } else {
        role(&credentials, service)?;
        // As in ClickHouse, GET changes nothing, whoever asks.
        Role::Reader
    };
    let query_id = if query_id.is_empty() { uuid::Uuid::from_u128(rand::random()).to_string() } else { query_id };
    if query_id.len() > 256 || query_id.chars().any(char::is_control) {
        return Err(bad("a query id has at most 256 printable characters".to_owned()));
    }
    let comment = match role {
        // A reader's own choice could name somebody else's query, which is killed when it leaves.
        Role::Reader => format!("reader-{:032x}", rand::random::<u128>()),
        Role::Writer => query_id.clone(),
    };
    let encoding = header(header::CONTENT_ENCODING.as_str()).unwrap_or_default();
    let body = Encoding::named(&encoding).ok_or_else(|| {
        Exception::new(Code::UnknownCompressionMethod, format_args!("content encoding {encoding:?} is not served"))
            .with_status(actix_web::http::StatusCode::UNSUPPORTED_MEDIA_TYPE)
    })?;
    let answer = match header(header::ACCEPT_ENCODING.as_str()) {
        Some(accepted) if http_compression && !compress => Encoding::accepted(&accepted),
        _ => Encoding::Identity,
    };
    let begin_by = header(BEGIN_BY)
        .map(|text| {
            text.parse().map(Micros).map_err(|_| bad(format!("{BEGIN_BY}: {text:?} is no number of microseconds")))
        })
        .transpose()?;
    let database = database.filter(|d| !d.is_empty());
    let default_format = format.filter(|f| !f.is_empty()).unwrap_or_else(|| "TabSeparated".to_owned());
    if !sql::is_name(&default_format) {
        return Err(Exception::new(Code::UnknownFormat, format_args!("Unknown format {default_format}")));
    }
    let request =
        Request { comment, sql: query_sql, role, database, settings, params, default_format, begin_by, wait_end };
    Ok(Parsed { request, query_id, body, decompress, answer, compress })
}

fn flag(value: &str) -> bool {
    matches!(value, "1" | "true")
}

fn basic(http: &HttpRequest, credentials: &mut Credentials) {
    let Some(header) = http.headers().get(header::AUTHORIZATION).and_then(|v| v.to_str().ok()) else { return };
    let Some(encoded) = header.strip_prefix("Basic ") else {
        // A scheme nobody here knows must not pass for nobody.
        credentials.password = Some(header.to_owned());
        return;
    };
    let decoded = base64::engine::general_purpose::STANDARD.decode(encoded.trim()).unwrap_or_default();
    let decoded = String::from_utf8_lossy(&decoded).into_owned();
    let (user, password) = decoded.split_once(':').unwrap_or((&decoded, ""));
    credentials.user = Some(user.to_owned());
    credentials.password = Some(password.to_owned());
}

/// Nobody in particular (or ClickHouse's `default` without a password) reads; the secret writes.
fn role(credentials: &Credentials, service: &Service) -> Result<Role, Exception> {
    let user = credentials.user.as_deref().filter(|u| !u.is_empty()).unwrap_or("default");
    let password = credentials.password.as_deref().unwrap_or("");
    let known = user == "default" || user == WRITER;
    if known && !password.is_empty() && same(password.as_bytes(), service.secret.as_bytes()) {
        return Ok(Role::Writer);
    }
    if user == "default" && password.is_empty() {
        return Ok(Role::Reader);
    }
    let message = format!("{user}: Authentication failed: password is incorrect, or there is no user with such name.");
    Err(Exception::new(Code::AuthenticationFailed, message))
}

/// Compares in a time that does not tell how much is right.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |diff, (x, y)| diff | (x ^ y)) == 0
}
