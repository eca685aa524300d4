//! How errors of the sources become problems of the API.

use crate::api::problem::{Code, Problem};
use crate::reconcile::SourceError;
use crate::statistics::StatisticsError;
use penstock::ledger::LedgerError;

impl From<StatisticsError> for Problem {
    fn from(error: StatisticsError) -> Problem {
        let code = match error {
            StatisticsError::Unavailable(_) => Code::StatisticsUnavailable,
            StatisticsError::TooExpensive(_) => Code::QueryTooExpensive,
            StatisticsError::Busy(_) => Code::Busy,
            StatisticsError::Refused(_) => Code::StatisticsError,
        };
        Problem::new(code, error.to_string())
    }
}

impl From<LedgerError> for Problem {
    fn from(error: LedgerError) -> Problem {
        let code = match error {
            LedgerError::NotFound(_) => Code::NotFound,
            LedgerError::Refused(_) => Code::BadParameter,
            LedgerError::Fenced { .. } => Code::Conflict,
            LedgerError::Busy(_) | LedgerError::Unknown(_) | LedgerError::Fatal(_) => Code::LedgerUnavailable,
        };
        Problem::new(code, error.to_string())
    }
}

impl From<SourceError> for Problem {
    fn from(error: SourceError) -> Problem {
        let code = match error {
            SourceError::Statistics(error) => return error.into(),
            SourceError::Ledger(_) => Code::LedgerUnavailable,
            SourceError::Archive(_) => Code::ArchiveUnavailable,
            SourceError::Dead(_) => Code::DeadLettersUnavailable,
        };
        Problem::new(code, error.to_string())
    }
}
