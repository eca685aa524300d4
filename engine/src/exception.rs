//! ClickHouse exceptions: their codes, their text, and the HTTP status that ClickHouse gives each.

use actix_web::http::StatusCode;
use std::fmt;

/// An error as ClickHouse words it: `Code: 60. DB::Exception: … (UNKNOWN_TABLE)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// ClickHouse's error code.
    pub code: i32,
    /// The whole text, without a final line break.
    pub text: String,
    /// Where the status differs from what the code alone would give.
    status: Option<StatusCode>,
}

/// Codes that this server answers with by itself: number and name as in ClickHouse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    BadArguments = 36,
    NotImplemented = 48,
    SyntaxError = 62,
    UnknownFormat = 73,
    CannotReadAllData = 33,
    TimeoutExceeded = 159,
    ReadOnly = 164,
    TooManySimultaneousQueries = 202,
    NetworkError = 210,
    SocketTimeout = 209,
    QueryIsTooLarge = 432,
    ChecksumDoesntMatch = 40,
    UnknownCompressionMethod = 89,
    TooLargeSizeCompressed = 271,
    AccessDenied = 497,
    AuthenticationFailed = 516,
    Aborted = 236,
    NotEnoughSpace = 243,
    QueryWithSameIdIsAlreadyRunning = 216,
    UnknownException = 1002,
}

impl Code {
    const fn name(self) -> &'static str {
        match self {
            Code::BadArguments => "BAD_ARGUMENTS",
            Code::NotImplemented => "NOT_IMPLEMENTED",
            Code::SyntaxError => "SYNTAX_ERROR",
            Code::UnknownFormat => "UNKNOWN_FORMAT",
            Code::CannotReadAllData => "CANNOT_READ_ALL_DATA",
            Code::TimeoutExceeded => "TIMEOUT_EXCEEDED",
            Code::ReadOnly => "READONLY",
            Code::QueryWithSameIdIsAlreadyRunning => "QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING",
            Code::TooManySimultaneousQueries => "TOO_MANY_SIMULTANEOUS_QUERIES",
            Code::NetworkError => "NETWORK_ERROR",
            Code::SocketTimeout => "SOCKET_TIMEOUT",
            Code::QueryIsTooLarge => "QUERY_IS_TOO_LARGE",
            Code::ChecksumDoesntMatch => "CHECKSUM_DOESNT_MATCH",
            Code::UnknownCompressionMethod => "UNKNOWN_COMPRESSION_METHOD",
            Code::TooLargeSizeCompressed => "TOO_LARGE_SIZE_COMPRESSED",
            Code::AccessDenied => "ACCESS_DENIED",
            Code::AuthenticationFailed => "AUTHENTICATION_FAILED",
            Code::Aborted => "ABORTED",
            Code::NotEnoughSpace => "NOT_ENOUGH_SPACE",
            Code::UnknownException => "UNKNOWN_EXCEPTION",
        }
    }
}

impl Exception {
    /// One of this server's own.
    pub fn new(code: Code, message: impl fmt::Display) -> Self {
        // The numbers are the enum's own.
        let number = code as i32;
        Exception {
            code: number,
            text: format!("Code: {number}. DB::Exception: {message} ({})", code.name()),
            status: None,
        }
    }

    /// The same with another HTTP status.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = Some(status);
        self
    }

    /// From the engine's error text. Text without a code becomes UNKNOWN_EXCEPTION (1002).
    #[must_use]
    pub fn from_engine(text: &str) -> Self {
        let text = text.trim_end();
        let code = text.strip_prefix("Code: ").and_then(|rest| rest.split('.').next()?.trim().parse().ok());
        match code {
            Some(code) => Exception { code, text: text.to_owned(), status: None },
            None => Exception::new(Code::UnknownException, text),
        }
    }

    /// The HTTP status (ClickHouse's `exceptionCodeToHTTPStatus`), and 503 for a full house.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        if let Some(status) = self.status {
            return status;
        }
        match self.code {
            194 => StatusCode::UNAUTHORIZED,
            192 | 193 | 497 | 512 | 516 => StatusCode::FORBIDDEN,
            // Arguments, syntax, and data that does not parse.
            6 | 8 | 15 | 25 | 26 | 27 | 36 | 38 | 41 | 43 | 44 | 53 | 62 | 69 | 72 | 117 | 125 | 167 | 168 | 223
            | 235 | 321 | 427 | 441 | 675 | 676 | 376 => StatusCode::BAD_REQUEST,
            // Unknown identifiers of every kind.
            46 | 47 | 50 | 56 | 60 | 63 | 73 | 78 | 81 | 115 | 119 | 133 | 511 => StatusCode::NOT_FOUND,
            432 => StatusCode::PAYLOAD_TOO_LARGE,
            48 => StatusCode::NOT_IMPLEMENTED,
            76 | 202 | 209 | 439 => StatusCode::SERVICE_UNAVAILABLE,
            381 => StatusCode::LENGTH_REQUIRED,
            159 => StatusCode::REQUEST_TIMEOUT,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The body of an answer: the text, the engine's version, a line break.
    #[must_use]
    pub fn body(&self, version: &str) -> String {
        format!("{} (version {version})\n", self.text)
    }
}

impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Marks an exception within a body (`X-ClickHouse-Exception-Tag`). ClickHouse draws it anew for
/// each answer, so that data cannot imitate it; so does this server, once a process.
#[must_use]
pub fn tag() -> &'static str {
    static TAG: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    TAG.get_or_init(|| (0..16).map(|_| char::from(b'a' + rand::random_range(0..26_u8))).collect())
}

/// An exception as it is written behind a result that has begun.
#[must_use]
pub fn in_body(exception: &Exception) -> Vec<u8> {
    let (tag, text) = (tag(), &exception.text);
    format!("\r\n__exception__\r\n{tag}\r\n{text}\n{} {tag}\r\n__exception__\r\n", text.len() + 1).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_read_from_the_engines_text() {
        let e =
            Exception::from_engine("Code: 60. DB::Exception: Unknown table expression identifier 'x'. (UNKNOWN_TABLE)");
        assert_eq!((e.code, e.status()), (60, StatusCode::NOT_FOUND));
        let e = Exception::from_engine("Another streaming query is active");
        assert_eq!((e.code, e.status()), (1002, StatusCode::INTERNAL_SERVER_ERROR));
    }
}
