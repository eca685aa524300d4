//! What is taken, what is refused and with which code and field.

use super::*;
use crate::codec::json::to_json;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

const NOW: Micros = Micros(1_509_984_000_000_000); // 2017-11-06T16:00:00Z

fn defaults() -> Defaults<'static> {
    let max_future = Duration::from_secs(3600);
    Defaults { received: NOW, server: "ad-eu-1", max_future, max_event_bytes: 64 << 10 }
}

fn admitted(raw: &[u8]) -> Result<Json, Rejection> {
    let mut out = b"before".to_vec();
    let result = admit(raw, &defaults(), &mut IdSource::seeded(1), &mut out);
    assert_eq!(&out[..6], b"before");
    match result {
        Ok(_) => Ok(to_json(&out[6..]).unwrap()),
        Err(rejection) => {
            assert_eq!(out.len(), 6, "a rejected event leaves nothing behind");
            assert!(rejection.message.len() < 400 && rejection.field.as_ref().is_none_or(|f| f.len() < 100));
            Err(rejection)
        }
    }
}

fn payload_of(payload: &str) -> Result<Json, Rejection> {
    admitted(format!(r#"{{"type":"conversion","payload":{payload}}}"#).as_bytes()).map(|e| e["payload"].clone())
}

#[track_caller]
fn refused(raw: impl AsRef<[u8]>, code: Code, field: Option<&str>) -> String {
    let shown = String::from_utf8_lossy(raw.as_ref()).chars().take(200).collect::<String>();
    let rejection = admitted(raw.as_ref()).expect_err(&shown);
    assert_eq!((rejection.code, rejection.field.as_deref()), (code, field), "{shown}: {}", rejection.message);
    rejection.message
}

#[track_caller]
fn payload_refused(payload: &str, code: Code, field: &str) {
    // The same whether the payload is parsed at once or kept until the type is known.
    refused(format!(r#"{{"type":"conversion","payload":{payload}}}"#), code, Some(field));
    refused(format!(r#"{{"payload":{payload},"type":"conversion"}}"#), code, Some(field));
}

#[test]
fn the_contracts_example_is_taken_as_it_stands() {
    let event = r#"{"type":"click","id":"1ec762d4-93b7-5f96-bff0-2d9429c4a055","time":"2017-11-06T16:00:00Z",
        "server":"ad-eu-7","payload":{"tag":"app2-ch377","site_id":"ch377","user_id":"u95820","ip":"10.1.118.76",
        "price_micros":3000}}"#;
    let expected = json!({"type":"click","id":"1ec762d4-93b7-5f96-bff0-2d9429c4a055","server":"ad-eu-7",
        "time":"2017-11-06T16:00:00.000000Z","received":"2017-11-06T16:00:00.000000Z",
        "payload":{"tag":"app2-ch377","site_id":"ch377","user_id":"u95820","ip":"10.1.118.76","price_micros":3000}});
    assert_eq!(admitted(event.as_bytes()).unwrap(), expected);
}

#[test]
fn what_is_absent_gets_its_default() {
    for event in [
        r#"{"type":"visit","payload":{"campaign_id":7}}"#,
        r#"{"payload":{"campaign_id":7,"tag":null},"id":null,"time":null,"server":null,"type":"visit"}"#,
    ] {
        let event = admitted(event.as_bytes()).unwrap();
        assert_eq!((&event["time"], &event["server"]), (&event["received"], &json!("ad-eu-1")));
        let id = uuid::Uuid::parse_str(event["id"].as_str().unwrap()).unwrap();
        assert_eq!(id.get_version_num(), 7);
        assert_eq!(event["payload"], json!({"campaign_id":7}));
    }
}

#[test]
fn a_time_may_be_text_with_any_offset_or_integer_milliseconds() {
    for time in [r#""2017-11-06T15:00:00.5Z""#, r#""2017-11-06T20:45:00.5+05:45""#, "1509980400500"] {
        let event = admitted(format!(r#"{{"type":"visit","time":{time},"payload":{{"tag":"t"}}}}"#).as_bytes());
        assert_eq!(event.unwrap()["time"], "2017-11-06T15:00:00.500000Z");
    }
}

#[test]
fn times_are_bounded_ahead_and_in_absurd_years() {
    let with = |time: &str| format!(r#"{{"type":"visit","time":{time},"payload":{{"tag":"t"}}}}"#);
    assert!(admitted(with(r#""2017-11-06T17:00:00Z""#).as_bytes()).is_ok());
    for ahead in [r#""2017-11-06T17:00:00.000001Z""#, r#""2299-01-01T00:00:00Z""#, "1509987600001"] {
        refused(with(ahead), Code::TimeInFuture, Some("time"));
    }
    assert!(admitted(with("0").as_bytes()).is_ok());
    for absurd in [
        r#""1969-12-31T23:59:59Z""#,
        r#""9999-01-01T00:00:00Z""#,
        "-1",
        "9223372036854775807",
        "1e400",
        "99999999999999999999",
    ] {
        refused(with(absurd), Code::OutOfRange, Some("time"));
    }
    for not_a_time in [r#""yesterday""#, r#""2017-02-30T00:00:00Z""#] {
        refused(with(not_a_time), Code::InvalidValue, Some("time"));
    }
    for wrong in ["1.5", "true", "[]", "{}"] {
        refused(with(wrong), Code::InvalidType, Some("time"));
    }
}

#[test]
fn the_envelope_is_strict() {
    refused(r#"{"payload":{"tag":"t"}}"#, Code::MissingField, Some("type"));
    refused(r#"{"type":null,"payload":{"tag":"t"}}"#, Code::MissingField, Some("type"));
    for missing in [r#"{"type":"click"}"#, r#"{"type":"click","payload":null}"#, r#"{"payload":null,"type":"click"}"#] {
        refused(missing, Code::MissingField, Some("payload"));
    }
    assert!(refused(r#"{"type":"clack","payload":{}}"#, Code::UnknownType, Some("type")).contains("conversion"));
    refused(r#"{"type":7,"payload":{}}"#, Code::InvalidType, Some("type"));
    refused(r#"{"type":"click","colour":"red"}"#, Code::UnknownField, Some("colour"));
    for (twice, key) in [
        (r#"{"type":"click","type":"click"}"#, "type"),
        (r#"{"id":null,"id":null}"#, "id"),
        (r#"{"type":"click","payload":{"tag":"t"},"payload":{"tag":"t"}}"#, "payload"),
        (r#"{"time":1,"t\u0069me":2}"#, "time"),
    ] {
        refused(twice, Code::DuplicateKey, Some(key));
    }
    for id in ["", "x", "1ec762d4-93b7-5f96-bff0-2d9429c4a05", "{1ec762d4-93b7-5f96-bff0-2d9429c4a055}"] {
        let event = format!(r#"{{"type":"click","id":"{id}","payload":{{"tag":"t"}}}}"#);
        if id.is_empty() {
            assert!(admitted(event.as_bytes()).is_ok())
        } else {
            refused(event, Code::InvalidValue, Some("id"));
        }
    }
    refused(r#"{"id":"00000000-0000-0000-0000-000000000000"}"#, Code::InvalidValue, Some("id"));
    refused(format!(r#"{{"server":"{}"}}"#, "s".repeat(257)), Code::TooLong, Some("server"));
}

#[test]
fn what_is_not_an_object_is_refused() {
    for other in ["[]", "7", "null", "\"text\"", "true"] {
        refused(other, Code::InvalidType, None);
    }
    for other in ["[]", "7", "\"text\"", "true"] {
        payload_refused(other, Code::InvalidType, "payload");
    }
}

#[test]
fn broken_json_is_refused_with_line_and_column() {
    let message = refused("{\"type\":\"click\",\n \"payload\":{\"tag\" \"t\"}}", Code::InvalidJson, None);
    assert!(message.contains("line 2 column 19"), "{message}");
    // A payload before the type is parsed on its own; the place is still the event's.
    for at in [r#"{"payload":{"tag":"\ud800"},"type":"click"}"#, r#"{"payload":{"x":"\ud800"},"type":"click"}"#] {
        let shifted = refused(at, Code::InvalidJson, None);
        let lined = refused(at.replace("{\"payload", "{\n\n\"payload"), Code::InvalidJson, None);
        let column = |m: &str| m.rsplit(' ').next().unwrap().parse::<usize>().unwrap();
        let quote = at.find("\\ud800").unwrap() + 7;
        assert!(shifted.contains("line 1 column") && column(&shifted).abs_diff(quote) <= 1, "{shifted}");
        assert!(lined.contains("line 3 column") && column(&lined) + 1 == column(&shifted), "{lined}");
    }
    for broken in [
        "",
        "{",
        "{\"type\":\"click\",}",
        "{} {}",
        "{\"type\":'click'}",
        "{\"type\":NaN}",
        "{type:1}",
        "\u{feff}{}",
        r#"{"type":"click","payload":{"tag":"t"}}x"#,
        "{\"type\":\"cl\nick\"}",
        r#"{"type":"click","payload":{"x":"\ud800"}}"#,
        r#"{"type":"click","payload":{"price_micros":NaN}}"#,
        r#"{"type":"click","payload":{"x":-}}"#,
        r#"{"server":"\x"}"#,
    ] {
        refused(broken, Code::InvalidJson, None);
    }
}

#[test]
fn bytes_that_are_not_utf_8_and_events_that_are_too_large_are_refused() {
    refused(b"{\"type\":\"\xff\"}", Code::InvalidUtf8, None);
    refused(b"\xff\xfe{\0}\0", Code::InvalidUtf8, None);
    refused(
        format!(r#"{{"type":"visit","payload":{{"tag":"t"}}}}{}"#, " ".repeat(64 << 10)),
        Code::EventTooLarge,
        None,
    );
}

#[test]
fn deep_nesting_is_refused_without_recursion() {
    let open = "[".repeat(60_000);
    refused(&open, Code::InvalidType, None);
    refused(format!(r#"{{"server":{open}"#), Code::InvalidJson, None);
    refused(format!(r#"{{"payload":{open}"#), Code::InvalidJson, None);
    refused(
        format!(r#"{{"payload":{{"x":{}{}}},"type":"click"}}"#, "[".repeat(20_000), "]".repeat(20_000)),
        Code::InvalidType,
        Some("payload.x"),
    );
    refused(
        format!(r#"{{"type":"click","payload":{{"tag":{}}}}}"#, r#"{"a":"#.repeat(10_000)),
        Code::InvalidJson,
        None,
    );
}

#[test]
fn amounts_and_campaigns_are_integers_within_bounds() {
    let with = |value: &str| format!(r#"{{"tag":"t","price_micros":{value}}}"#);
    assert_eq!(payload_of(&with("9223372036854775")).unwrap()["price_micros"], json!(MICROS_MAX));
    assert_eq!(payload_of(&with("0")).unwrap()["price_micros"], json!(0));
    for out in [
        "-1",
        "9223372036854776",
        "9223372036854775808",
        "99999999999999999999999",
        "-99999999999999999999999",
        "1e999",
    ] {
        payload_refused(&with(out), Code::OutOfRange, "payload.price_micros");
    }
    for wrong in ["1.5", "1e3", "3.0", "-0.5", "\"3000\"", "true", "[3]", "{}"] {
        payload_refused(&with(wrong), Code::InvalidType, "payload.price_micros");
    }
    payload_refused(r#"{"tag":"t","value_micros":-1}"#, Code::OutOfRange, "payload.value_micros");
    assert_eq!(payload_of(r#"{"campaign_id":4294967295}"#).unwrap(), json!({"campaign_id":4_294_967_295_u32}));
    for out in ["0", "-1", "4294967296"] {
        payload_refused(&format!(r#"{{"campaign_id":{out}}}"#), Code::OutOfRange, "payload.campaign_id");
    }
    payload_refused(r#"{"campaign_id":"1002"}"#, Code::InvalidType, "payload.campaign_id");
}

#[test]
fn texts_addresses_and_countries_follow_their_rules() {
    assert_eq!(payload_of(r#"{"tag":"t","country":"de"}"#).unwrap()["country"], "DE");
    for bad in ["D", "DEU", "D1", "ß", "日"] {
        payload_refused(&format!(r#"{{"tag":"t","country":"{bad}"}}"#), Code::InvalidValue, "payload.country");
    }
    for ip in ["10.1.118.76", "::1", "2001:db8::8a2e:370:7334", "::ffff:1.2.3.4"] {
        assert_eq!(payload_of(&format!(r#"{{"tag":"t","ip":"{ip}"}}"#)).unwrap()["ip"], ip);
    }
    for bad in ["10.1.118", "10.1.118.256", "1.2.3.4:80", "fe80::1%eth0", "localhost", "010.1.1.1"] {
        payload_refused(&format!(r#"{{"tag":"t","ip":"{bad}"}}"#), Code::InvalidValue, "payload.ip");
    }
    for (field, max) in [("tag", 256), ("click_id", 256), ("goal", 256), ("user_agent", 1024)] {
        let with = |n: usize| format!(r#"{{"campaign_id":1,"{field}":"{}"}}"#, "é".repeat(n));
        assert!(payload_of(&with(max / 2)).is_ok());
        payload_refused(&with(max / 2 + 1), Code::TooLong, &format!("payload.{field}"));
    }
    payload_refused(r#"{"tag":7}"#, Code::InvalidType, "payload.tag");
}

#[test]
fn a_campaign_or_a_tag_is_required_and_empty_text_is_absent() {
    for none in ["{}", r#"{"tag":null}"#, r#"{"tag":""}"#, r#"{"site_id":"s"}"#] {
        payload_refused(none, Code::MissingField, "payload.tag");
    }
    let empty = r#"{"campaign_id":1,"tag":"","country":"","ip":"","goal":""}"#;
    assert_eq!(payload_of(empty).unwrap(), json!({"campaign_id":1}));
}

#[test]
fn unknown_scalars_are_kept_as_text_and_numbers_as_their_json_text() {
    let given = r#"{"tag":"t","a":"x","b":1.50e3,"c":-0,"d":true,"e":null,"f":"","g":"q\"\u00e9","h":1e999,"\u0069":12345678901234567890123}"#;
    let kept = json!({"tag":"t","a":"x","b":"1.50e3","c":"-0","d":"true","f":"","g":"q\"é","h":"1e999","i":"12345678901234567890123"});
    assert_eq!(payload_of(given).unwrap(), kept);
    payload_refused(r#"{"tag":"t","x":{}}"#, Code::InvalidType, "payload.x");
    payload_refused(r#"{"tag":"t","x":[1]}"#, Code::InvalidType, "payload.x");
    // A field of another type is no field of this one.
    let click = admitted(br#"{"type":"click","payload":{"tag":"t","goal":"g"}}"#).unwrap();
    assert_eq!(click["payload"]["goal"], "g");
}

#[test]
fn unknown_keys_are_bounded_in_number_and_length() {
    let with = |n: usize, value: &str| {
        let keys: Vec<String> = (0..n).map(|i| format!(r#""k{i}":{value}"#)).collect();
        format!(r#"{{"tag":"t",{}}}"#, keys.join(","))
    };
    assert_eq!(payload_of(&with(32, "1")).unwrap().as_object().unwrap().len(), 33);
    assert!(payload_of(&with(64, "null")).is_ok());
    payload_refused(&with(33, "1"), Code::TooManyExtra, "payload");
    payload_refused(&with(65, "null"), Code::TooManyExtra, "payload");
    payload_refused(&with(5_000, "1"), Code::TooManyExtra, "payload");
    let long = "k".repeat(257);
    assert!(payload_of(&format!(r#"{{"tag":"t","{}":"{}"}}"#, &long[1..], &long[1..])).is_ok());
    payload_refused(&format!(r#"{{"tag":"t","{long}":1}}"#), Code::TooLong, &format!("payload.{}", &long[..64]));
    payload_refused(&format!(r#"{{"tag":"t","k":"{long}"}}"#), Code::TooLong, "payload.k");
}

#[test]
fn a_key_that_comes_twice_is_refused_wherever_it_is() {
    for twice in [r#"{"tag":"a","tag":"a"}"#, r#"{"tag":null,"tag":"a"}"#, r#"{"tag":"a","t\u0061g":"a"}"#] {
        payload_refused(twice, Code::DuplicateKey, "payload.tag");
    }
    for twice in
        [r#"{"x":1,"tag":"a","x":1}"#, r#"{"tag":"a","x":null,"x":1}"#, r#"{"tag":"a","x":null,"\u0078":null}"#]
    {
        payload_refused(twice, Code::DuplicateKey, "payload.x");
    }
}

#[test]
fn a_payload_alone_gets_address_and_user_agent_from_the_connection() {
    let long = "ü".repeat(1000);
    let take = |raw: &str, peer: PeerHints<'_>| {
        let mut out = Vec::new();
        admit_payload(&click::TYPE, raw.as_bytes(), &peer, &defaults(), &mut IdSource::seeded(1), &mut out)
            .map(|()| to_json(&out).unwrap()["payload"].clone())
    };
    let peer = PeerHints { ip: Some("192.0.2.1"), user_agent: Some("Mozilla/5.0") };
    assert_eq!(take(r#"{"tag":"t"}"#, peer).unwrap(), json!({"tag":"t","ip":"192.0.2.1","user_agent":"Mozilla/5.0"}));
    let own = r#"{"tag":"t","ip":"::2","user_agent":"own"}"#;
    assert_eq!(take(own, peer).unwrap(), json!({"tag":"t","ip":"::2","user_agent":"own"}));
    let odd = PeerHints { ip: Some("unix"), user_agent: Some(&long) };
    assert_eq!(take(r#"{"tag":"t"}"#, odd).unwrap(), json!({"tag":"t","user_agent":"ü".repeat(512)}));
    assert_eq!(take("[]", peer).unwrap_err().field.as_deref(), Some("payload"));
    assert_eq!(take(r#"{"tag":"t","tag":"t"}"#, peer).unwrap_err().code, Code::DuplicateKey);
    assert_eq!(take(r#"{"tag":"#, peer).unwrap_err().code, Code::InvalidJson);
}

#[test]
fn rejections_serialise_as_the_contract_shows_them() {
    let rejection = admitted(br#"{"type":"click","payload":{}}"#).unwrap_err();
    let message = "`payload.tag` is required when there is no `campaign_id`";
    assert_eq!(
        serde_json::to_value(&rejection).unwrap(),
        json!({"code":"missing_field","field":"payload.tag","message":message})
    );
    let names: std::collections::HashSet<_> = Code::ALL.iter().map(|c| c.name()).collect();
    assert_eq!(names.len(), Code::ALL.len());
}

#[test]
fn the_usual_event_costs_no_allocation() {
    let event = br#"{"type":"click","id":"1ec762d4-93b7-5f96-bff0-2d9429c4a055","time":"2017-11-06T16:00:00Z",
        "payload":{"tag":"t","site_id":"s","user_id":"u","ip":"10.1.118.76","country":"de","user_agent":"Mozilla/5.0 (X11)",
        "device":"1","os":"1","price_micros":3000,"impression_id":"i","a":1,"b":"x","c":true}}"#;
    let (defaults, mut ids, mut out) = (defaults(), IdSource::seeded(1), Vec::with_capacity(4096));
    admit(event, &defaults, &mut ids, &mut out).unwrap();
    let counted = allocation_counter::measure(|| {
        out.clear();
        admit(event, &defaults, &mut ids, &mut out).unwrap();
    });
    assert_eq!(counted.count_total, 0);
}

proptest! {
    #[test]
    fn any_bytes_are_answered_without_a_panic(bytes: Vec<u8>) {
        prop_assert!(admitted(&bytes).is_err());
    }

    #[test]
    fn a_damaged_event_is_taken_or_refused_never_a_panic(
        cut in 0..230_usize, at in 0..230_usize, with in "[\\PC\\[\\]{}\",:\\\\0-9]{0,4}",
    ) {
        let event = r#"{"payload":{"tag":"t\u0041","ip":"10.1.118.76","country":"de","price_micros":3000,"value_micros":1,"x":1.5,"y":"é"},"type":"conversion","id":"1ec762d4-93b7-5f96-bff0-2d9429c4a055","time":"2017-11-06T16:00:00Z"}"#;
        let at = rejection::cut(event, at).len();
        let end = rejection::cut(event, at + cut % 8).len();
        let _ = admitted(format!("{}{with}{}", &event[..at], &event[end..]).as_bytes());
        let _ = admitted(&event.as_bytes()[..cut.min(event.len())]);
    }
}
