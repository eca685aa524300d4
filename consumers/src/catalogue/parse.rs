//! Reads a catalogue file and names the line of everything that is wrong with it.

use penstock::ledger::{Catalogue, Place, Problem, validate};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

/// Why a file is no catalogue. Shows one problem a line, each with its place and line.
#[derive(Debug)]
pub enum ParseError {
    /// No JSON, an unknown key or a value of the wrong kind; the message has line and column.
    Json(serde_json::Error),
    /// Rules are broken: the line and the problem.
    Rules(Vec<(Option<usize>, Problem)>),
}

impl std::error::Error for ParseError {}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ParseError::Json(error) => write!(f, "{error}"),
            ParseError::Rules(problems) => {
                for (i, (line, problem)) in problems.iter().enumerate() {
                    let newline = if i == 0 { "" } else { "\n" };
                    match line {
                        Some(line) => write!(f, "{newline}line {line}: {problem}")?,
                        None => write!(f, "{newline}{problem}")?,
                    }
                }
                Ok(())
            }
        }
    }
}

/// Reads and validates a catalogue. Errors: [`ParseError`] with every broken rule (up to a
/// hundred), so that a file is put right in one go.
pub fn parse(text: &str) -> Result<Catalogue, ParseError> {
    let catalogue: Catalogue = serde_json::from_str(text).map_err(ParseError::Json)?;
    let problems = validate(&catalogue);
    if problems.is_empty() {
        return Ok(catalogue);
    }
    // Only now is it worth to look where things stand.
    let places: Option<Places<'_>> = serde_json::from_str(text).ok();
    let line = |problem: &Problem| places.as_ref().and_then(|p| p.line(text, &problem.place));
    Err(ParseError::Rules(problems.into_iter().map(|p| (line(&p), p)).collect()))
}

#[derive(serde::Deserialize)]
struct Places<'a> {
    #[serde(borrow)]
    advertisers: Vec<&'a RawValue>,
    #[serde(borrow)]
    campaigns: Vec<&'a RawValue>,
    #[serde(borrow)]
    tags: HashMap<Cow<'a, str>, &'a RawValue>,
}

impl Places<'_> {
    fn line(&self, text: &str, place: &Place) -> Option<usize> {
        let (value, field) = match place {
            Place::Advertiser(index, field) => (self.advertisers.get(*index)?, Some(*field)),
            Place::Campaign(index, field) => (self.campaigns.get(*index)?, Some(*field)),
            Place::Tag(tag) => (self.tags.get(tag.as_str())?, None),
        };
        // The value is borrowed from the text, so its address says where it stands.
        let start = (value.get().as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
        let inside = field.and_then(|f| value.get().find(&format!("\"{f}\""))).unwrap_or(0);
        let before = text.as_bytes().get(..start + inside)?;
        Some(before.iter().filter(|b| **b == b'\n').count() + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{
"advertisers": [
  {"id": 1, "name": "a", "currency": "EUR", "balance_micros": 5}
],
"campaigns": [
  {"id": 10, "name": "c", "advertiser_id": 1, "cpc_micros": 2000},
  {
    "id": 11,
    "name": "d",
    "advertiser_id": 1,
    "time_zone": "Asia/Kathmandu"
  }
],
"tags": {
  "x": 10,
  "y": 11
}}"#;

    fn broken(from: &str, to: &str) -> String {
        assert!(GOOD.contains(from));
        parse(&GOOD.replace(from, to)).unwrap_err().to_string()
    }

    #[test]
    fn a_catalogue_comes_back_from_its_own_text() {
        let catalogue = parse(GOOD).unwrap();
        assert_eq!(catalogue.campaigns[0].time_zone, "UTC");
        let text = serde_json::to_string_pretty(&catalogue).unwrap();
        assert_eq!(parse(&text).unwrap(), catalogue);
    }

    #[test]
    fn every_error_names_its_line_and_field() {
        for (from, to, expected) in [
            (
                "\"advertiser_id\": 1,\n",
                "\"advertiser_id\": 9,\n",
                "line 10: campaigns[1].advertiser_id: there is no advertiser 9",
            ),
            ("\"id\": 11", "\"id\": 10", "line 8: campaigns[1].id: the id 10 is there twice"),
            ("Asia/Kathmandu", "Asia/Nowhere", "line 11: campaigns[1].time_zone: `Asia/Nowhere` is no IANA time zone"),
            ("\"EUR\"", "\"Euro\"", "line 3: advertisers[0].currency: \"Euro\" is no currency"),
            (
                "\"cpc_micros\": 2000",
                "\"cpc_micros\": -1",
                "line 6: campaigns[0].cpc_micros: -1 does not lie between 0",
            ),
            (
                "\"balance_micros\": 5",
                "\"balance_micros\": 9223372036854775807",
                "line 3: advertisers[0].balance_micros",
            ),
            ("\"y\": 11", "\"y\": 12", "line 16: tags[\"y\"]: there is no campaign 12"),
        ] {
            let message = broken(from, to);
            assert!(message.starts_with(expected), "{message}");
        }
    }

    #[test]
    fn what_is_no_catalogue_names_line_and_column() {
        for (from, to, expected) in [
            ("\"y\": 11", "\"x\": 11", "the tag \"x\" is there twice, first for campaign 10 at line 16"),
            ("\"name\": \"c\"", "\"nome\": \"c\"", "unknown field `nome`"),
            ("\"id\": 10,", "\"id\": -10,", "line 6"),
            ("\"id\": 10,", "\"id\": 10.5,", "line 6"),
            ("\"id\": 10,", "\"id\": 10, \"id\": 12,", "duplicate field `id` at line 6"),
            ("]", "", "line"),
        ] {
            let message = broken(from, to);
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn every_broken_rule_is_told_at_once() {
        let message =
            parse(&GOOD.replace("\"EUR\"", "\"eur\"").replace("\"y\": 11", "\"y\": 0")).unwrap_err().to_string();
        assert_eq!(message.lines().count(), 2, "{message}");
    }
}
