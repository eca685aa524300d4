//! Days as campaigns have them: from midnight to midnight in the campaign's own time zone.

use crate::time::Micros;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use chrono_tz::Tz;

/// A name that the IANA time zone database does not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no IANA time zone, such as `Europe/Berlin` or `UTC`")]
pub struct ZoneError(pub String);

/// The zone of that IANA name. Errors: [`ZoneError`].
pub fn zone(name: &str) -> Result<Tz, ZoneError> {
    name.parse().map_err(|_| ZoneError(name.to_owned()))
}

/// The day `time` lies in. Times that no calendar holds fall on its first or last day.
#[must_use]
pub fn day_of(time: Micros, zone: Tz) -> NaiveDate {
    // Two days short of the ends, so that the zone's offset cannot step over them.
    let clamp = |edge: DateTime<Utc>, days: i64| edge + TimeDelta::days(days);
    let utc = time.to_utc().unwrap_or(if time.0 < 0 { DateTime::<Utc>::MIN_UTC } else { DateTime::<Utc>::MAX_UTC });
    let utc = utc.clamp(clamp(DateTime::<Utc>::MIN_UTC, 2), clamp(DateTime::<Utc>::MAX_UTC, -2));
    utc.with_timezone(&zone).date_naive()
}

/// The first moment after `now` that lies on a later day, to the second.
///
/// Midnight itself may not exist (clocks put forward at 0:00), so the change of the date is
/// looked for, not a time of day. No day is longer than two.
#[must_use]
pub fn next_day(now: Micros, zone: Tz) -> Micros {
    let today = day_of(now, zone);
    let (mut before, mut after) = (now.0.div_euclid(1_000_000), now.0.div_euclid(1_000_000).saturating_add(2 * 86_400));
    while after - before > 1 {
        let middle = before + (after - before) / 2;
        if day_of(Micros::from_secs(middle), zone) > today { after = middle } else { before = middle }
    }
    Micros::from_secs(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Micros {
        Micros(DateTime::parse_from_rfc3339(text).unwrap().timestamp_micros())
    }

    // Expected moments are from the tz database itself (`zdump -v`), not from chrono.
    #[test]
    fn a_day_ends_at_the_zones_midnight_over_changes_of_the_clock() {
        for (zone_name, now, next) in [
            ("UTC", "2026-01-31T23:59:59Z", "2026-02-01T00:00:00Z"),
            ("Europe/Berlin", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"), // a day of 23 hours
            ("Europe/Berlin", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"), // of 25 hours
            ("America/New_York", "2026-03-08T05:00:00Z", "2026-03-09T04:00:00Z"),
            ("Asia/Kathmandu", "2026-05-01T12:00:00Z", "2026-05-01T18:15:00Z"),
            ("America/Sao_Paulo", "2018-11-03T12:00:00Z", "2018-11-04T03:00:00Z"), // 0:00 did not exist
            ("Pacific/Apia", "2011-12-30T09:00:00Z", "2011-12-30T10:00:00Z"),      // a whole day did not exist
        ] {
            assert_eq!(next_day(at(now), zone(zone_name).unwrap()), at(next), "{zone_name} {now}");
        }
    }

    #[test]
    fn every_time_has_a_day() {
        for time in [Micros::MIN, Micros::MAX, Micros(0)] {
            for name in ["Pacific/Kiritimati", "Pacific/Pago_Pago", "UTC"] {
                let _ = day_of(time, zone(name).unwrap());
                let _ = next_day(time, zone(name).unwrap());
            }
        }
        assert_eq!(zone("Mars/Olympus"), Err(ZoneError("Mars/Olympus".into())));
    }
}
