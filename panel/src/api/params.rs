//! Query parameters: taken one by one, then [`Params::done`] refuses what is left.
//!
//! An empty value means the same as no parameter, so a form can send all its fields.

use super::problem::{Code, Problem};
use penstock::time::Micros;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// More parameters than any route has.
const MAX_PARAMETERS: usize = 32;
/// No value is longer.
const MAX_VALUE: usize = 512;
/// But for a filter, which is JSON.
const FILTER: &str = "filter";
const MAX_FILTER: usize = 8 << 10;

/// ClickHouse's `DateTime64(6)` reaches from 1900 to 2299; an event cannot lie outside.
const FIRST: Micros = Micros::from_secs(-2_208_988_800);
const LAST: Micros = Micros::from_secs(10_413_792_000);

/// The parameters of one request that were not taken yet.
#[derive(Debug)]
pub struct Params(BTreeMap<String, String>);

/// Event times from `start` (inclusive) to `end` (exclusive); `None` = open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// First moment.
    pub start: Option<Micros>,
    /// First moment behind it.
    pub end: Option<Micros>,
}

impl Params {
    /// Splits a query string. Errors: `unknown_parameter` for one that comes twice, `bad_parameter`.
    pub fn parse(query: &str) -> Result<Params, Problem> {
        let pairs = actix_web::web::Query::<Vec<(String, String)>>::from_query(query)
            .map_err(|e| Problem::new(Code::BadParameter, format!("the query string cannot be read: {e}")))?
            .into_inner();
        if pairs.len() > MAX_PARAMETERS {
            return Err(Problem::new(Code::UnknownParameter, "there are more parameters than any route has"));
        }
        let mut map = BTreeMap::new();
        for (name, value) in pairs {
            let most = if name == FILTER { MAX_FILTER } else { MAX_VALUE };
            if value.len() > most || value.contains('\u{fffd}') || value.contains('\0') {
                let rule = format!("a value is UTF-8 without NUL, at most {most} bytes");
                return Err(Problem::parameter(shown(&name), rule));
            }
            if map.insert(name.clone(), value).is_some() {
                return Err(Problem::new(Code::UnknownParameter, "the parameter is there twice").at(shown(&name)));
            }
        }
        Ok(Params(map))
    }

    /// Takes a parameter as it is.
    pub fn text(&mut self, name: &'static str) -> Option<String> {
        self.0.remove(name).filter(|v| !v.is_empty())
    }

    /// Takes one of a few words.
    pub fn word(&mut self, name: &'static str, words: &[&'static str]) -> Result<Option<&'static str>, Problem> {
        let Some(value) = self.text(name) else { return Ok(None) };
        match words.iter().find(|w| **w == value) {
            Some(word) => Ok(Some(word)),
            None => Err(Problem::parameter(name, format!("must be one of {}", words.join(", ")))),
        }
    }

    /// Takes words with commas between them, each looked up; nothing twice.
    pub fn list<T: PartialEq>(
        &mut self,
        name: &'static str,
        most: usize,
        find: impl Fn(&str) -> Option<T>,
        all: impl FnOnce() -> String,
    ) -> Result<Vec<T>, Problem> {
        let Some(value) = self.text(name) else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for word in value.split(',').map(str::trim) {
            match find(word) {
                Some(item) if !found.contains(&item) => found.push(item),
                Some(_) => return Err(Problem::parameter(name, "names something twice")),
                None => return Err(Problem::parameter(name, format!("must be of {}", all()))),
            }
        }
        if found.len() > most {
            return Err(Problem::parameter(name, format!("may name at most {most}")));
        }
        Ok(found)
    }

    /// Takes a whole number between `min` and `max`.
    pub fn number(&mut self, name: &'static str, min: u64, max: u64) -> Result<Option<u64>, Problem> {
        let Some(value) = self.text(name) else { return Ok(None) };
        let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
        match value.parse::<u64>() {
            Ok(n) if digits && (min..=max).contains(&n) => Ok(Some(n)),
            _ => Err(Problem::parameter(name, format!("must be a whole number from {min} to {max}"))),
        }
    }

    /// Takes a campaign's number.
    pub fn campaign(&mut self, name: &'static str) -> Result<Option<u32>, Problem> {
        let number = self.number(name, 0, u64::from(u32::MAX))?;
        Ok(number.and_then(|n| u32::try_from(n).ok()))
    }

    /// Takes a time.
    pub fn time(&mut self, name: &'static str) -> Result<Option<Micros>, Problem> {
        self.text(name).map(|value| time(name, &value)).transpose()
    }

    /// Takes `start_time` and `end_time`. Errors: `bad_range` when they are the wrong way round.
    pub fn span(&mut self) -> Result<Span, Problem> {
        let span = Span { start: self.time("start_time")?, end: self.time("end_time")? };
        match (span.start, span.end) {
            (Some(start), Some(end)) if start > end => {
                Err(Problem::new(Code::BadRange, "start_time lies behind end_time").at("start_time"))
            }
            _ => Ok(span),
        }
    }

    /// Takes a duration: seconds, or a number with `s`, `m`, `h` or `d`. Returns seconds, above 0.
    pub fn seconds(&mut self, name: &'static str) -> Result<Option<u64>, Problem> {
        let Some(value) = self.text(name) else { return Ok(None) };
        let bad =
            || Problem::parameter(name, "must be whole seconds, or a number with s, m, h or d, above 0: 60, 5m, 1h");
        let digits = value.trim_end_matches(|c: char| !c.is_ascii_digit());
        let unit = match &value[digits.len()..] {
            "" | "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            _ => return Err(bad()),
        };
        let number = if digits.bytes().all(|b| b.is_ascii_digit()) { digits.parse::<u64>().ok() } else { None };
        number.and_then(|n| n.checked_mul(unit)).filter(|n| *n > 0).map(Some).ok_or_else(bad)
    }

    /// Refuses what nobody took. Errors: `unknown_parameter`.
    pub fn done(self) -> Result<(), Problem> {
        match self.0.into_keys().next() {
            None => Ok(()),
            Some(name) => {
                Err(Problem::new(Code::UnknownParameter, "this route has no such parameter").at(shown(&name)))
            }
        }
    }
}

/// A name from outside, cut to what an error needs.
fn shown(name: &str) -> Cow<'static, str> {
    Cow::Owned(name.chars().filter(|c| !c.is_control()).take(64).collect())
}

/// An RFC 3339 time or integer milliseconds since 1970. A time that no event can have is moved
/// to the nearest end of ClickHouse's range, which asks the same question.
pub fn time(name: &'static str, value: &str) -> Result<Micros, Problem> {
    let micros = if let Ok(ms) = value.parse::<i64>() {
        Micros::from_millis(ms)
    } else {
        // A `+` that was not escaped in the URL arrives as a space.
        let text = match value.get(11..).and_then(|rest| rest.find(' ')) {
            Some(at) => Cow::Owned(format!("{}+{}", &value[..11 + at], &value[12 + at..])),
            None => Cow::Borrowed(value),
        };
        let parsed = chrono::DateTime::parse_from_rfc3339(&text).map_err(|_| {
            Problem::parameter(
                name,
                "must be an RFC 3339 time such as 2017-11-06T16:00:00Z, or integer milliseconds since 1970",
            )
        })?;
        Micros(parsed.timestamp_micros())
    };
    Ok(micros.clamp(FIRST, LAST))
}

/// A campaign's number from the path.
pub fn campaign_id(text: &str) -> Result<u32, Problem> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| digits).ok_or_else(|| {
        Problem::parameter("id", format!("a campaign's number is a whole number from 0 to {}", u32::MAX))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(query: &str) -> Params {
        Params::parse(query).unwrap()
    }

    #[test]
    fn times_are_rfc_3339_or_milliseconds() {
        let want = Some(Micros(1_509_984_000_000_000));
        for text in [
            "2017-11-06T16:00:00Z",
            "2017-11-06T18:00:00%2B02:00",
            "2017-11-06T18:00:00+02:00",
            "2017-11-06t16:00:00.000z",
            "1509984000000",
        ] {
            assert_eq!(params(&format!("start_time={text}")).time("start_time").unwrap(), want, "{text}");
        }
        assert_eq!(params("t=9999-12-31T23:59:59Z").time("t").unwrap(), Some(LAST));
        assert_eq!(params("t=-9223372036854775808").time("t").unwrap(), Some(FIRST));
        for text in [
            "now",
            "2017-11-06",
            "2017-11-06T16:00:00",
            "1e9",
            "NaN",
            "%F0%9F%98%80%20%F0%9F%98%80%20x",
            "é%20é%20é%20é%20",
        ] {
            let error = params(&format!("t={text}")).time("t").unwrap_err();
            assert_eq!((error.code, error.field.as_deref()), (Code::BadParameter, Some("t")), "{text}");
        }
    }

    #[test]
    fn an_empty_value_is_no_value() {
        let mut p = params("event_type=&start_time=&end_time=&limit=");
        assert_eq!(p.text("event_type"), None);
        assert_eq!(p.span().unwrap(), Span::default());
        assert_eq!(p.number("limit", 1, 9).unwrap(), None);
        p.done().unwrap();
    }

    #[test]
    fn what_no_route_has_is_named() {
        assert_eq!(params("colour=red").done().unwrap_err().field.as_deref(), Some("colour"));
        assert_eq!(Params::parse("a=1&a=2").unwrap_err().code, Code::UnknownParameter);
        assert_eq!(Params::parse("a=%ff").unwrap_err().code, Code::BadParameter);
    }

    #[test]
    fn numbers_and_durations_have_bounds() {
        for text in ["0", "11", "+5", "-1", "5.0", "18446744073709551616", " 5"] {
            assert!(params(&format!("n={}", text.replace('+', "%2B"))).number("n", 1, 10).is_err(), "{text}");
        }
        assert_eq!(params("step=5m").seconds("step").unwrap(), Some(300));
        assert_eq!(params("step=90").seconds("step").unwrap(), Some(90));
        for text in ["0", "m", "1w", "-5m", "5 m", "99999999999999999999", "18446744073709551615d", "é"] {
            assert!(params(&format!("step={text}")).seconds("step").is_err(), "{text}");
        }
        assert!(campaign_id("4294967296").is_err() && campaign_id("+1").is_err() && campaign_id("").is_err());
        assert_eq!(campaign_id("1002").unwrap(), 1002);
    }

    #[test]
    fn a_range_the_wrong_way_round_is_refused() {
        assert_eq!(params("start_time=2&end_time=1").span().unwrap_err().code, Code::BadRange);
    }
}
