//! What the plain parser takes is what serde_json's takes, with the same values.

use super::*;
use crate::codec::encode;
use crate::codec::tests::events::{RECEIVED, SERVER, any_event};
use crate::event::parse::{self, Source};
use crate::event::{Defaults, IdSource, Rejection, click};
use bumpalo::Bump;
use proptest::prelude::*;
use std::time::Duration;

fn frame(envelope: &Envelope<'_>) -> Result<Vec<u8>, Rejection> {
    let d = Defaults { received: RECEIVED, server: SERVER, max_future: Duration::ZERO, max_event_bytes: usize::MAX };
    let mut out = Vec::new();
    let kind = envelope.complete()?;
    envelope.payload.complete()?;
    encode::frame(kind.writer(), &envelope.head(&d, &mut IdSource::seeded(1))?, &envelope.payload, &mut out);
    Ok(out)
}

/// What both make of it; `None` when the plain one gives up.
fn both(text: &str) -> (Option<Result<Vec<u8>, Rejection>>, Result<Vec<u8>, Rejection>) {
    let arena = Bump::new();
    let (mut plain, mut full) = (Envelope::default(), Envelope::default());
    let taken = event(text, &mut plain).map(|()| frame(&plain));
    (taken, parse::event(Source { whole: text, arena: &arena }, &mut full).and_then(|()| frame(&full)))
}

#[track_caller]
fn agree(text: &str) -> bool {
    let (plain, full) = both(text);
    let Some(plain) = plain else { return false };
    assert_eq!(plain, full, "{text}");
    true
}

const USUAL: &str = r#"{"type":"click","id":"1ec762d4-93b7-5f96-bff0-2d9429c4a055","time":"2017-11-06T16:00:00Z","server":"ad-eu-1","payload":{"tag":"app2-ch377","site_id":"ch377","user_id":"ü95820","ip":"10.1.118.76","price_micros":3000,"country":null,"section":"news","depth":7,"first":true}}"#;

#[test]
fn usual_events_are_plain() {
    assert!(agree(USUAL));
    // As Go and Python's sort_keys order them, and as Python's json.dumps spaces them.
    assert!(agree(r#"{"payload": {"campaign_id": 7, "tag": "t"}, "server": "s", "time": 0, "type": "visit"}"#));
    assert!(agree("{\r\n\t\"type\":\"visit\",\n \"payload\" : { \"tag\"\t:\"t\" } }\n"));
    // A rule of a whole event that it breaks, it breaks for both.
    assert!(agree(r#"{"type":"visit","payload":{}}"#));
    assert!(agree(r#"{}"#));
}

#[test]
fn what_is_not_plain_is_left_alone() {
    for text in [
        "",
        "{",
        "[]",
        "{} {}",
        r#"{"type":"click","payload":{"tag":"t",}}"#,
        r#"{"type":"click","payload":{"tag":"t\n"}}"#,
        "{\"type\":\"click\",\"payload\":{\"tag\":\"t\n\"}}",
        r#"{"type":"click","payload":{"tag":"t","price_micros":01}}"#,
        r#"{"type":"click","payload":{"tag":"t","price_micros":-0}}"#,
        r#"{"type":"click","payload":{"tag":"t","price_micros":1.0}}"#,
        r#"{"type":"click","payload":{"tag":"t","x":1e5}}"#,
        r#"{"type":"click","payload":{"tag":"t","x":99999999999999999999}}"#,
        r#"{"type":"click","payload":{"tag":"t","x":{}}}"#,
        r#"{"type":"click","payload":{"tag":"t","x":nul}}"#,
        r#"{"type":"click","payload":{"tag":"t","tag":"t"}}"#,
        r#"{"type":"click","payload":null}"#,
        r#"{"type":"clack","payload":{"tag":"t"}}"#,
        r#"{"payload":{garbage},"type":null}"#,
        r#"{"payload":{garbage},"type":"click"}"#,
        r#"{"payload":{"x":[]},"type":"click"}"#,
    ] {
        assert_eq!(both(text).0, None, "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn what_is_taken_is_what_serde_json_takes(event in any_event()) {
        agree(&event.json());
    }

    #[test]
    fn damage_is_taken_only_where_serde_json_takes_it(
        event in any_event(), usual: bool, at: prop::sample::Index, cut in 0..4_usize,
        with in "[\\[\\]{}\",:\\\\0-9.eE +\t\n\u{1f}\u{7f}tfnul-]{0,3}",
    ) {
        let text = if usual { USUAL.to_owned() } else { event.json() };
        let at = crate::event::rejection::cut(&text, at.index(text.len())).len();
        let end = crate::event::rejection::cut(&text, (at + cut).min(text.len())).len().max(at);
        agree(&format!("{}{with}{}", &text[..at], &text[end..]));
    }

    #[test]
    fn a_payload_alone_is_taken_as_serde_json_takes_it(event in any_event(), at: prop::sample::Index, with in "[\\[\\]{}\",:0n ]{0,1}") {
        let text = event.json();
        let (from, to) = (text.find("\"payload\":").map_or(0, |i| i + 10), text.rfind('}').unwrap_or(0));
        let text = &text[from..to];
        let at = crate::event::rejection::cut(text, at.index(text.len() + 1)).len();
        let text = format!("{}{with}{}", &text[..at], &text[at..]);
        let arena = Bump::new();
        let (mut plain, mut full) = (Payload::default(), Payload::default());
        if payload(&click::TYPE, &text, &mut plain).is_some() {
            prop_assert!(parse::payload(&click::TYPE, Source { whole: &text, arena: &arena }, &text, &mut full).is_ok(), "{}", text);
            for index in 0..click::TYPE.fields.len() {
                prop_assert_eq!(plain.value(index), full.value(index));
            }
            prop_assert!(plain.extra().eq(full.extra()));
        }
    }
}
