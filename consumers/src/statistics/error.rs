//! What an error of ClickHouse means for the pipeline.
//!
//! The safe answer is "unknown": the table is asked before anything is written again. Only errors
//! that ClickHouse raises before the first row is written may be retried or given up without.

use clickhouse::error::Error;
use penstock::pipeline::SinkError;
use std::error::Error as StdError;
use std::io;

/// Refused before anything was done; may pass.
const RETRY: &[i32] = &[
    202, // TOO_MANY_SIMULTANEOUS_QUERIES
    252, // TOO_MANY_PARTS
    242, // TABLE_IS_READ_ONLY: the server has lost its Keeper
    285, // TOO_FEW_LIVE_REPLICAS for the quorum, told before the insert
];

/// No retry can help: the table, the rights or the data's shape are wrong. Raised while the
/// statement is read or the block is converted, before a row is written.
const FATAL: &[i32] = &[
    8, 10, 16, 20, // columns that are not there or do not fit
    36, 47, 50, 53, 60, 62, 70, 73, 81, 115, 117, // arguments, names, types, formats, settings
    164, 192, 193, 194, 497, 516, // rights
    349, // null into a column that takes none
];

/// The exception code in a text of ClickHouse.
pub(super) fn code(text: &str) -> Option<i32> {
    let rest = &text[text.find("Code: ")? + "Code: ".len()..];
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// Whether the server was never reached.
fn refused(error: &(dyn StdError + 'static)) -> bool {
    let mut source = Some(error);
    while let Some(e) = source {
        if e.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::ConnectionRefused) {
            return true;
        }
        source = e.source();
    }
    false
}

/// The meaning of a failed INSERT.
pub(super) fn of_write(error: &Error) -> SinkError {
    let text = error.to_string();
    match error {
        Error::BadResponse(answer) => match code(answer) {
            Some(code) if RETRY.contains(&code) => SinkError::Retry(text),
            Some(code) if FATAL.contains(&code) => SinkError::Fatal(text),
            _ => SinkError::Unknown(text),
        },
        Error::InvalidParams(_) | Error::Compression(_) | Error::Unsupported(_) => SinkError::Fatal(text),
        Error::Network(_) if refused(error) => SinkError::Retry(text),
        _ => SinkError::Unknown(text),
    }
}

/// The meaning of a failed question: it changes nothing, so it may always be asked again, unless
/// what it asks for is not there or not allowed.
pub(super) fn of_read(what: &str, error: &Error) -> SinkError {
    let text = format!("{what}: {error}");
    match error {
        Error::BadResponse(answer) if code(answer).is_some_and(|c| FATAL.contains(&c)) => SinkError::Fatal(text),
        Error::InvalidParams(_) | Error::Unsupported(_) | Error::SchemaMismatch(_) => SinkError::Fatal(text),
        _ => SinkError::Retry(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bad(text: &str) -> Error {
        Error::BadResponse(text.to_owned())
    }

    #[test]
    fn what_may_have_written_is_unknown() {
        for text in [
            "Code: 241. DB::Exception: memory (MEMORY_LIMIT_EXCEEDED)",
            "Code: 394. DB::Exception: cancelled (QUERY_WAS_CANCELLED)",
            "Code: 243. DB::Exception: disk (NOT_ENOUGH_SPACE)",
            "Code: 216. DB::Exception: running (QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING)",
            "502 Bad Gateway",
            "",
        ] {
            assert!(matches!(of_write(&bad(text)), SinkError::Unknown(_)), "{text}");
        }
        assert!(matches!(of_write(&Error::TimedOut), SinkError::Unknown(_)));
        assert!(matches!(of_write(&bad("Code: 252. DB::Exception: parts (TOO_MANY_PARTS)")), SinkError::Retry(_)));
        assert!(matches!(of_write(&bad("Code: 60. DB::Exception: (UNKNOWN_TABLE)")), SinkError::Fatal(_)));
    }

    #[test]
    fn a_refused_connection_wrote_nothing() {
        let error = Error::Network(Box::new(io::Error::from(io::ErrorKind::ConnectionRefused)));
        assert!(matches!(of_write(&error), SinkError::Retry(_)));
        let error = Error::Network(Box::new(io::Error::from(io::ErrorKind::ConnectionReset)));
        assert!(matches!(of_write(&error), SinkError::Unknown(_)));
    }
}
