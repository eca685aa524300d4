//! Reads RFC 3339 times (`2017-11-06T16:00:00.25+01:00`) into microseconds, without allocation.
//!
//! A reader of our own because it runs once an event and chrono's costs as much as the rest of
//! the parsing; chrono is the oracle in its tests. Digits behind the microseconds are cut. A leap
//! second (`:60`) is the second after it, as in chrono.

use crate::time::Micros;

/// The time, or `None` when the text is not RFC 3339 or names a day or hour that does not exist.
pub(crate) fn parse(text: &str) -> Option<Micros> {
    let (head, rest) = text.as_bytes().split_at_checked(19)?;
    let separators = [(4, b"-" as &[u8]), (7, b"-"), (10, b"Tt "), (13, b":"), (16, b":")];
    if separators.iter().any(|&(at, allowed)| !allowed.contains(&head[at])) {
        return None;
    }
    let (year, month, day) = (number(&head[..4])?, number(&head[5..7])?, number(&head[8..10])?);
    let (hour, minute, second) = (number(&head[11..13])?, number(&head[14..16])?, number(&head[17..])?);
    if !(1..=12).contains(&month) || day < 1 || day > days_in(year, month) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (micros, zone) = fraction(rest)?;
    let seconds = days_since_epoch(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - offset(zone)?;
    Some(Micros(seconds * 1_000_000 + micros))
}

/// The fraction in microseconds, and what follows it.
fn fraction(rest: &[u8]) -> Option<(i64, &[u8])> {
    let Some((b'.', digits)) = rest.split_first() else { return Some((0, rest)) };
    let count = digits.iter().take_while(|d| d.is_ascii_digit()).count();
    if count == 0 {
        return None;
    }
    let (digits, zone) = digits.split_at(count);
    let micros = (0..6).fold(0, |micros, place| micros * 10 + digits.get(place).map_or(0, |d| i64::from(d - b'0')));
    Some((micros, zone))
}

/// Seconds that the zone is ahead of UTC.
fn offset(zone: &[u8]) -> Option<i64> {
    match *zone {
        [b'Z' | b'z'] => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (number(&[h1, h2])?, number(&[m1, m2])?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let seconds = hours * 3_600 + minutes * 60;
            Some(if sign == b'-' { -seconds } else { seconds })
        }
        _ => None,
    }
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |n, &d| d.is_ascii_digit().then(|| n * 10 + i64::from(d - b'0')))
}

const fn days_in(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days from 1970-01-01 in the proleptic Gregorian calendar: years start in March, so that the
/// leap day is the last of its year, and months follow a straight line (153 days in five).
const fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, month) = (year.div_euclid(400), (month + 9) % 12);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn chrono(text: &str) -> Option<i64> {
        chrono::DateTime::parse_from_rfc3339(text).ok().map(|t| t.timestamp_micros())
    }

    #[test]
    fn what_is_not_rfc_3339_is_refused() {
        let bad = "2017-11-06|2017-11-06T16:00:00|2017-11-06T16:00Z|2017-11-06T24:00:00Z|2017-02-29T00:00:00Z|\
            2017-13-01T00:00:00Z|2017-00-01T00:00:00Z|2017-11-00T00:00:00Z|2017-11-06T16:00:61Z|\
            2017-11-06T16:00:00.Z|2017-11-06T16:00:00+0100|2017-11-06T16:00:00+24:00|2017-11-06T16:00:00+01:60|\
            2017-11-06T16:00:00ZZ|+017-11-06T16:00:00Z|12017-11-06T16:00:00Z|2017-11-06T16:00:00.5|now|";
        for text in bad.split('|') {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn offsets_fractions_and_leap_seconds_are_understood() {
        let same = ["2017-11-06T16:00:00.25Z", "2017-11-06t17:00:00.250000999+01:00", "2017-11-06 07:30:00.25-08:30"];
        for text in same {
            assert_eq!(parse(text), Some(Micros(1_509_984_000_250_000)), "{text}");
        }
        assert_eq!(parse("2016-12-31T23:59:60Z"), parse("2017-01-01T00:00:00Z"));
        assert_eq!(parse("1969-12-31T23:59:59.999999Z"), Some(Micros(-1)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn it_reads_what_chrono_reads(
            (year, month, day) in (0..10_000, 0..14, 0..33),
            (hour, minute, second) in (0..25, 0..61, 0..62),
            fraction in "(\\.[0-9]{1,12})?", zone in "(Z|z|[+-][0-2][0-9]:[0-6][0-9])", separator in "[Tt ]",
        ) {
            let text = format!("{year:04}-{month:02}-{day:02}{separator}{hour:02}:{minute:02}:{second:02}{fraction}{zone}");
            prop_assert_eq!(parse(&text).map(|t| t.0), chrono(&text), "{}", text);
        }

        #[test]
        fn what_chrono_prints_is_read_back(micros in -62_167_219_200_000_000_i64..253_402_300_800_000_000) {
            let text = Micros(micros).to_utc().map(|t| t.to_rfc3339()).unwrap_or_default();
            prop_assert_eq!(parse(&text), Some(Micros(micros)));
        }

        #[test]
        fn any_text_is_answered_without_a_panic(text in ".{0,40}") {
            let _ = parse(&text);
        }
    }
}
