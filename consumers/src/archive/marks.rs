//! Empty files that say what no archive file can: below `_penstock`, which is no type's folder.

use super::name::log_name;
use penstock::log::{LogId, Range};

/// The folder of marks; query engines leave out names that begin with `_`.
pub(super) const FOLDER: &str = "_penstock";

/// Says that the partition has written here: set before its first file.
pub(super) fn touched(log: &LogId) -> String {
    format!("{FOLDER}/logs/{}-{}", log.name, log.partition)
}

/// Says that a range was taken and held nothing but poison.
pub(super) fn blank(log: &LogId, range: Range) -> String {
    format!("{FOLDER}/blank/{}-{}-{}-{}", log.name, log.partition, range.from, range.to)
}

/// The folder of [`blank`].
#[cfg_attr(not(feature = "cluster"), allow(dead_code, reason = "what compacts and verifies is of the cluster"))]
pub(super) const BLANKS: &str = "_penstock/blank";

/// Reads the path of a [`blank`].
#[cfg_attr(not(feature = "cluster"), allow(dead_code, reason = "what compacts and verifies is of the cluster"))]
pub(super) fn parse_blank(path: &str) -> Option<(LogId, Range)> {
    let (log, range) = log_name(path.strip_prefix(BLANKS)?.strip_prefix('/')?)?;
    (blank(&log, range) == path).then_some((log, range))
}
