//! What an archive file's path says: `{type}/year=YYYY/month=MM/day=DD/hour=HH/{log}-{partition}-{from}-{to}-{schema}.avro`.
//!
//! The folders are those that Hive, Spark and DuckDB read as columns; the hour is that of the
//! event's own time in UTC.

use penstock::log::{LogId, Range};
use penstock::time::Micros;
use std::fmt;

/// Everything a file's path says.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileName {
    /// The event type, e.g. `click`.
    pub kind: String,
    /// Hour of the events' time, counted from the epoch in UTC.
    pub hour: i64,
    /// The partition the records stood in.
    pub log: LogId,
    /// The range that was written; the file holds those of its records that belong here.
    pub range: Range,
    /// Fingerprint of the schema its records were written with.
    pub schema: u64,
}

impl fmt::Display for FileName {
    /// The path below the archive's root.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (folder, log, Range { from, to }) = (self.folder(), &self.log, self.range);
        write!(f, "{folder}/{}-{}-{from}-{to}-{:016x}.avro", log.name, log.partition, self.schema)
    }
}

impl FileName {
    /// Reads a path below the archive's root, with `/` between its parts; `None` when no archive
    /// file has such a path. Only the exact form is taken, so that no two paths say the same.
    #[must_use]
    pub fn parse(path: &str) -> Option<FileName> {
        let (kind, hour) = FileName::parse_folder(path)?;
        let (rest, schema) = path.rsplit('/').next()?.strip_suffix(".avro")?.rsplit_once('-')?;
        let schema = u64::from_str_radix(schema, 16).ok()?;
        let (log, range) = log_name(rest)?;
        let name = FileName { kind, hour, log, range, schema };
        (!name.range.is_empty() && name.to_string() == path).then_some(name)
    }

    /// The type and hour of a path that lies directly in an hour's folder, whatever its file is.
    pub(super) fn parse_folder(path: &str) -> Option<(String, i64)> {
        let mut parts = path.split('/');
        let kind = parts.next()?.to_owned();
        let mut part = |key: &str| parts.next()?.strip_prefix(key)?.strip_prefix('=')?.parse::<u32>().ok();
        let (year, month, day, hour) = (part("year")?, part("month")?, part("day")?, part("hour")?);
        let start = chrono::NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)?.and_hms_opt(hour, 0, 0)?;
        let hour = start.and_utc().timestamp().div_euclid(3_600);
        let file = path.strip_prefix(&hour_folder(&kind, hour))?.strip_prefix('/')?;
        (!file.contains('/')).then_some((kind, hour))
    }

    /// The folder of its hour.
    #[must_use]
    pub fn folder(&self) -> String {
        hour_folder(&self.kind, self.hour)
    }
}

/// The folder of a type's hour, below the archive's root.
pub(super) fn hour_folder(kind: &str, hour: i64) -> String {
    let start = Micros::from_secs(hour.saturating_mul(3_600)).to_utc().unwrap_or_default();
    format!("{kind}/{}", start.format("year=%Y/month=%m/day=%d/hour=%H"))
}

/// Reads `{log}-{partition}-{from}-{to}`.
pub(super) fn log_name(text: &str) -> Option<(LogId, Range)> {
    let mut fields = text.rsplitn(4, '-');
    let to = fields.next()?.parse().ok()?;
    let from = fields.next()?.parse().ok()?;
    let partition = fields.next()?.parse().ok()?;
    Some((LogId { name: fields.next()?.into(), partition }, Range { from, to }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_says_what_its_name_does_and_nothing_else_is_taken() {
        let path = "click/year=2017/month=11/day=06/hour=16/spool-00ff-3-10-20-0123456789abcdef.avro";
        let name = FileName::parse(path).unwrap();
        assert_eq!(name.to_string(), path);
        assert_eq!((&*name.log.name, name.log.partition), ("spool-00ff", 3));
        assert_eq!((name.range, name.schema), (Range { from: 10, to: 20 }, 0x0123_4567_89ab_cdef));
        assert_eq!(Micros::from_secs(name.hour * 3600).to_string(), "2017-11-06T16:00:00.000000Z");
        for wrong in [
            "click/year=2017/month=11/day=06/hour=16/spool-00ff-3-10-20-0123456789abcdef.avro#1",
            "click/year=2017/month=11/day=06/hour=16/spool-00ff-3-20-20-0123456789abcdef.avro",
            "click/year=2017/month=11/day=06/hour=16/spool-00ff-3-010-20-0123456789abcdef.avro",
            "click/year=2017/month=11/day=06/hour=24/spool-00ff-3-10-20-0123456789abcdef.avro",
            "click/year=2017/month=2/day=06/hour=16/spool-00ff-3-10-20-0123456789abcdef.avro",
            "click/spool-00ff-3-10-20-0123456789abcdef.avro",
            "",
        ] {
            assert_eq!(FileName::parse(wrong), None, "{wrong}");
        }
    }
}
