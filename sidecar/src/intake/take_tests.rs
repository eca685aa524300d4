//! A body of one event is taken without being cut first. A space in front sends the same body the way of
//! all others, which is the oracle: what is kept, what is refused and why must be the same.

use super::*;
use proptest::prelude::*;
use std::time::Duration;

const EVENT: &str = r#"{"type":"impression","payload":{"tag":"a\u00e9","site_id":"s","user_id":"u","ip":"10.0.0.1"}}"#;

/// Everything that comes of a body, with the same ids each time.
fn taken(body: &[u8], format: Format, max_event_bytes: usize) -> String {
    let mut bench = Bench::new(IdSource::seeded(7));
    let defaults = Defaults {
        received: penstock::time::Micros::from_secs(1_700_000_000),
        server: "s",
        max_future: Duration::from_secs(3_600),
        max_event_bytes,
    };
    let tally = bench.take(body, Content::Events(format), &defaults, 10).map_err(|problem| problem.code());
    let answer = bench.rejections.answer(bench.records.count());
    match tally {
        Ok(tally) => format!("{tally:?} {:?} {answer:?}", bench.records),
        Err(code) => code.to_owned(),
    }
}

fn same_with_a_space_in_front(body: &[u8]) -> String {
    let spaced = [b" ", body].concat();
    let (at_once, cut) = (taken(body, Format::Json, 4_096), taken(&spaced, Format::Json, 4_096));
    assert_eq!(at_once, cut, "{}", String::from_utf8_lossy(body));
    at_once
}

#[test]
fn one_event_is_taken_as_it_is_among_others() {
    assert!(same_with_a_space_in_front(EVENT.as_bytes()).contains("accepted\\\":1"));
    for (body, code) in [
        (format!("{EVENT}{EVENT}"), "malformed_json"),
        (format!("{EVENT},{EVENT}"), "malformed_json"),
        (format!("{EVENT}}}"), "malformed_json"),
        (EVENT.replace("\"s\"", "\"s\n\""), "malformed_json"),
        (EVENT.replace("impression", "impulse"), "unknown_type"),
        (EVENT.replace("\"tag\":", "\"tag\":\"b\",\"tag\":"), "duplicate_key"),
        (EVENT.replace("\"u\"", &format!("\"{}\"", "u".repeat(5_000))), "event_too_large"),
        (EVENT.replace("\"u\"", "NaN"), "invalid_json"),
        ("{}".to_owned(), "missing_field"),
    ] {
        let came = same_with_a_space_in_front(body.as_bytes());
        assert!(came.contains(code), "{body}: {came}");
    }
    let not_text = [EVENT.as_bytes(), b"\xff}"].concat();
    same_with_a_space_in_front(&not_text);
}

proptest! {
    /// Bytes changed, put in and taken out of an event that is fine.
    #[test]
    fn whatever_is_done_to_an_event(
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..3_u8, any::<u8>()), 0..4),
    ) {
        let mut body = EVENT.as_bytes().to_vec();
        for (at, how, byte) in edits {
            let at = at.index(body.len());
            match how {
                0 => body[at] = byte,
                1 => body.insert(at, byte),
                _ => drop(body.remove(at)),
            }
        }
        same_with_a_space_in_front(&body);
    }
}
