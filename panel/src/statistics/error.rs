//! Why ClickHouse gave no answer.

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatisticsError {
    /// ClickHouse cannot be reached, is busy, or its tables are not there yet; may pass.
    #[error("ClickHouse does not answer now: {0}")]
    Unavailable(String),
    /// As many expensive queries are under way as may be at once.
    #[error("as many large questions are being answered as may be at once ({0}): ask again in a moment")]
    Busy(usize),
    /// The query needed more time, memory or rows than it may have.
    #[error("the query needs more than it may have: {0}")]
    TooExpensive(String),
    /// ClickHouse refused the query, or answered what we cannot read.
    #[error("ClickHouse refused the query: {0}")]
    Refused(String),
}

/// Sorts errors by ClickHouse's codes (`src/Common/ErrorCodes.cpp`).
pub(super) fn classify(error: clickhouse::error::Error) -> StatisticsError {
    use clickhouse::error::Error;
    let text = error.to_string();
    match error {
        Error::Network(_) | Error::TimedOut => StatisticsError::Unavailable(text),
        Error::BadResponse(_) => match code_of(&text) {
            // Too many simultaneous queries; unknown table or database: the schema is not there yet.
            Some(202 | 60 | 81) => StatisticsError::Unavailable(text),
            // Rows, time (two codes), memory, rows or bytes of the result.
            Some(158 | 159 | 160 | 241 | 307 | 396) => StatisticsError::TooExpensive(text),
            Some(_) => StatisticsError::Refused(text),
            // An answer without a code of ClickHouse's comes from something in between.
            None => StatisticsError::Unavailable(text),
        },
        _ => StatisticsError::Refused(text),
    }
}

/// The number in `Code: 60. DB::Exception: …`.
fn code_of(text: &str) -> Option<u32> {
    let rest = &text[text.find("Code: ")? + 6..];
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    rest[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clickhouse::error::Error;

    #[test]
    fn errors_are_sorted_by_clickhouse_s_codes() {
        let bad = |text: &str| classify(Error::BadResponse(text.to_owned()));
        assert!(matches!(bad("Code: 60. DB::Exception: Unknown table"), StatisticsError::Unavailable(_)));
        assert!(matches!(bad("Code: 241. DB::Exception: memory"), StatisticsError::TooExpensive(_)));
        assert!(matches!(bad("Code: 62. DB::Exception: Syntax error"), StatisticsError::Refused(_)));
        assert!(matches!(bad("<html>Bad Gateway</html>"), StatisticsError::Unavailable(_)));
        assert!(matches!(classify(Error::TimedOut), StatisticsError::Unavailable(_)));
    }
}
