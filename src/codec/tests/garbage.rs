//! Bytes that are no records: answered with a code, in bounded time and memory, never a panic.

use super::events::{RECEIVED, any_event, any_events, records};
use crate::codec::columns::ColumnDecoder;
use crate::codec::frame::{self, FrameError};
use crate::codec::json::to_json;
use crate::codec::registry::{columns, writers};
use crate::codec::wire::put_long;
use crate::log::Records;
use crate::pipeline::{Poison, PoisonCode};
use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use proptest::collection::vec;
use proptest::prelude::*;
use std::sync::Once;

fn library_reads(body: &[u8]) -> bool {
    // The library allocates what a length claims, up to this bound.
    static BOUND: Once = Once::new();
    BOUND.call_once(|| {
        apache_avro::util::max_allocation_bytes(1 << 20);
    });
    let Ok(frame) = frame::split(body) else { return false };
    let schema = Schema::parse_str(frame.schema.json).unwrap();
    let mut rest = frame.datum;
    let read = GenericDatumReader::builder(&schema).build().unwrap().read_value(&mut rest);
    read.is_ok() && rest.is_empty()
}

fn all_columns() -> ColumnDecoder {
    let names: Vec<&str> = columns().iter().map(|c| c.name).chain(["type"]).collect();
    ColumnDecoder::new(&names).unwrap()
}

fn decode(frames: &[Vec<u8>]) -> (usize, Vec<Poison>) {
    let mut bad = Vec::new();
    let decoded = all_columns().decode(&records(frames), &mut bad).unwrap();
    assert_eq!(decoded.batch.num_rows() + bad.len(), frames.len());
    assert_eq!(decoded.batch.num_rows(), decoded.rows.len());
    (decoded.rows.len(), bad)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn any_bytes_behind_a_header_are_answered(which in 0..writers().len(), mut datum in vec(any::<u8>(), 0..300)) {
        let mut body = writers()[which].header.to_vec();
        body.append(&mut datum);
        prop_assert_eq!(frame::check(&body).is_ok(), to_json(&body).is_ok());
        if frame::check(&body).is_ok() {
            prop_assert!(library_reads(&body));
        }
        decode(&[body]);
    }

    #[test]
    fn a_damaged_frame_is_read_only_when_the_library_reads_it_too(
        event in any_event(), at in any::<prop::sample::Index>(), kind in 0..4_u8, byte: u8,
    ) {
        let mut body = event.frame();
        let at = at.index(body.len());
        match kind {
            0 => body[at] ^= byte,
            1 => body.truncate(at),
            2 => body.insert(at, byte),
            _ => { body.remove(at); }
        }
        let taken = frame::check(&body);
        if taken.is_ok() {
            prop_assert!(library_reads(&body));
        } else if library_reads(&body) {
            // The library knows no bounds of ours.
            prop_assert_eq!(taken.unwrap_err().code(), PoisonCode::Invalid);
        }
        prop_assert_eq!(decode(std::slice::from_ref(&body)).0 == 1, frame::check(&body).is_ok());
    }

    #[test]
    fn bad_records_leave_their_neighbours_whole(
        events in any_events(), junk in vec((any::<prop::sample::Index>(), vec(any::<u8>(), 0..40)), 0..6),
    ) {
        let good: Vec<_> = events.iter().map(|e| e.frame()).collect();
        let mut mixed: Vec<(Vec<u8>, bool)> = good.iter().map(|f| (f.clone(), true)).collect();
        for (at, bytes) in junk {
            mixed.insert(at.index(mixed.len() + 1), (bytes, false));
        }
        let mut bad = Vec::new();
        let frames: Vec<_> = mixed.iter().map(|m| m.0.clone()).collect();
        let with = all_columns().decode(&records(&frames), &mut bad).unwrap();
        let expected: Vec<usize> = (0..mixed.len()).filter(|&i| !mixed[i].1).collect();
        prop_assert_eq!(bad.iter().map(|p| p.index).collect::<Vec<_>>(), expected);
        let without = all_columns().decode(&records(&good), &mut Vec::new()).unwrap();
        prop_assert_eq!(with.batch, without.batch);
    }
}

#[test]
fn each_fault_has_its_code() {
    let body = r#"{"type":"click","payload":{"campaign_id":7,"tag":"tag","price_micros":5}}"#;
    let d = crate::event::Defaults {
        received: RECEIVED,
        server: "s",
        max_future: std::time::Duration::ZERO,
        max_event_bytes: 1000,
    };
    let mut good = Vec::new();
    crate::event::admit(body.as_bytes(), &d, &mut crate::event::IdSource::seeded(1), &mut good).unwrap();
    assert!(frame::check(&good).is_ok());

    let code = |body: &[u8]| frame::check(body).map(|_| ()).map_err(|e| e.code());
    assert_eq!(code(b""), Err(PoisonCode::BadFrame));
    assert_eq!(code(&good[..9]), Err(PoisonCode::BadFrame));
    assert_eq!(code(&[b"\xc3\x02", &good[2..]].concat()), Err(PoisonCode::BadFrame));
    assert_eq!(code(&[b"\xc3\x01", &[7; 8][..], &good[10..]].concat()), Err(PoisonCode::UnknownSchema));
    assert_eq!(code(&frame::BARRIER), Err(PoisonCode::Barrier));
    let mut addressed = Vec::new();
    frame::address("balances", &good, &mut addressed);
    assert_eq!(code(&addressed), Err(PoisonCode::Elsewhere));
    assert_eq!(frame::addressed(&addressed), Some(("balances", &good[..])));
    assert_eq!((frame::inside(&addressed), frame::inside(&good)), (&good[..], &good[..]));
    for cut in 0..addressed.len() - good.len() {
        assert_eq!(frame::addressed(&addressed[..cut]), None, "cut at {cut}");
    }
    assert_eq!(frame::addressed(&good), None);
    assert_eq!(code(&good[..good.len() - 1]), Err(PoisonCode::BadBody));
    assert_eq!(code(&[&good[..], b"\0"].concat()), Err(PoisonCode::BadBody));
    let mut time = Vec::new();
    put_long(&mut time, RECEIVED.0);
    let mut far = good[..26].to_vec();
    put_long(&mut far, i64::MAX);
    far.extend_from_slice(&good[26 + time.len()..]);
    assert_eq!(code(&far), Err(PoisonCode::Invalid));
    let at = good.windows(3).position(|w| w == b"tag").unwrap();
    let mut not_text = good.clone();
    not_text[at] = 0xff;
    assert_eq!(code(&not_text), Err(PoisonCode::BadBody));
    let error = frame::check(&not_text).map(|_| ()).unwrap_err();
    assert!(matches!(error, FrameError::Body { field: "tag", .. }), "{error}");
}

#[test]
fn what_is_poison_does_not_depend_on_the_columns_that_are_asked_for() {
    let body = br#"{"type":"click","payload":{"tag":"tag","x":"yz"}}"#;
    let d = crate::event::Defaults {
        received: RECEIVED,
        server: "s",
        max_future: std::time::Duration::ZERO,
        max_event_bytes: 1000,
    };
    let mut frame = Vec::new();
    crate::event::admit(body, &d, &mut crate::event::IdSource::seeded(1), &mut frame).unwrap();
    let at = frame.windows(2).position(|w| w == b"yz").unwrap();
    frame[at] = 0xff;
    for fields in [&["id"][..], &["extra"], &[]] {
        let mut bad = Vec::new();
        let decoded = ColumnDecoder::new(fields).unwrap().decode(&records(&[frame.clone()]), &mut bad).unwrap();
        assert_eq!((decoded.rows.len(), bad.len()), (0, 1));
        assert_eq!((bad[0].code, bad[0].field.as_deref()), (PoisonCode::BadBody, Some("extra")));
    }
}

#[test]
fn a_hole_in_the_log_is_poison_under_its_offset() {
    let mut holed = Records::new();
    holed.push_corrupt(41, RECEIVED);
    let mut bad = Vec::new();
    let decoded = all_columns().decode(&holed, &mut bad).unwrap();
    assert_eq!(decoded.batch.num_rows(), 0);
    assert_eq!((bad[0].index, bad[0].offset, bad[0].code), (0, 41, PoisonCode::Corrupt));
}

#[test]
fn lengths_that_garbage_claims_are_never_allocated() {
    for writer in writers() {
        for claim in [i64::MAX, 1 << 40, i64::MIN, -1] {
            let mut body = writer.header.to_vec();
            body.extend_from_slice(&[1; 16]);
            body.extend_from_slice(&[0, 0]);
            put_long(&mut body, claim);
            let counted = allocation_counter::measure(|| assert!(frame::check(&body).is_err()));
            assert!(counted.bytes_max < 1024, "{} bytes", counted.bytes_max);
        }
    }
}
