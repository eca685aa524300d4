//! Our frames are the Avro library's, byte for byte, and are read back as what was sent.

use super::events::{any_event, any_events, of_type, records};
use crate::codec::columns::ColumnDecoder;
use crate::codec::frame::{self, Envelope};
use crate::codec::json::to_json;
use crate::event::{self, Defaults, IdSource, TYPES, page_view};
use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;
use proptest::prelude::*;
use std::time::Duration;

proptest! {
    #[test]
    fn our_frame_is_the_avro_librarys_byte_for_byte(event in any_event()) {
        let ours = event.frame();
        let schema = Schema::parse_str(event.kind.schema_json).unwrap();
        let value = event.clone().into_avro();
        let read = GenericDatumReader::builder(&schema).build().unwrap().read_value(&mut &ours[10..]).unwrap();
        prop_assert_eq!(&read, &value);
        // The order of a map's keys is the map's own, so the JSON must come from the one that is written.
        let ours = event.frame();
        let theirs = GenericDatumWriter::builder(&schema).build().unwrap().write_value_to_vec(event.into_avro()).unwrap();
        prop_assert_eq!(&ours[10..], &theirs[..]);
    }

    #[test]
    fn id_and_time_are_found_without_decoding(event in any_event()) {
        let body = event.frame();
        let frame = frame::split(&body).unwrap();
        prop_assert_eq!(frame.schema.kind, event.kind);
        let envelope = Envelope { id: event.id, time: event.time };
        prop_assert_eq!(frame::envelope(frame.datum).unwrap(), envelope);
        prop_assert_eq!(frame::check(&body).unwrap().1, envelope);
    }

    #[test]
    fn a_record_printed_as_json_is_taken_again_as_the_same_record(event in any_event()) {
        let body = event.frame();
        let mut json = to_json(&body).unwrap();
        json.as_object_mut().unwrap().remove("received");
        let d = Defaults {
            received: super::events::RECEIVED, server: "", max_future: Duration::ZERO, max_event_bytes: 1 << 20,
        };
        let mut again = Vec::new();
        event::admit(json.to_string().as_bytes(), &d, &mut IdSource::seeded(1), &mut again).unwrap();
        let mut twice = to_json(&again).unwrap();
        twice.as_object_mut().unwrap().remove("received");
        prop_assert_eq!(json, twice);
        prop_assert_eq!(body.len(), again.len());
    }

    #[test]
    fn a_batch_of_any_types_comes_back_whole_and_in_order(events in any_events()) {
        let frames: Vec<_> = events.iter().map(|e| e.frame()).collect();
        let mut bad = Vec::new();
        let decoded = ColumnDecoder::new(&["type", "id"]).unwrap().decode(&records(&frames), &mut bad).unwrap();
        prop_assert!(bad.is_empty());
        prop_assert_eq!(&decoded.types, &events.iter().map(|e| e.kind).collect::<Vec<_>>());
        prop_assert_eq!(decoded.rows, (0..events.len() as u32).collect::<Vec<_>>());
    }

    #[test]
    fn a_type_that_is_only_declared_goes_the_whole_way(event in of_type(&page_view::TYPE)) {
        let frame = event.frame();
        let printed = to_json(&frame).unwrap();
        prop_assert_eq!(&printed["type"], "page_view");
        let mut bad = Vec::new();
        let mut decoder = ColumnDecoder::new(&["page_url", "basket_micros"]).unwrap();
        let decoded = decoder.decode(&records(&[frame]), &mut bad).unwrap();
        for (field, column) in ["page_url", "basket_micros"].into_iter().zip(decoded.batch.columns()) {
            prop_assert_eq!(printed["payload"].get(field).is_none(), column.is_null(0));
        }
        prop_assert_eq!(decoded.types, vec![&page_view::TYPE]);
    }
}

#[test]
fn types_are_found_by_their_names() {
    for kind in TYPES {
        assert_eq!(event::by_name(kind.name), Some(*kind));
    }
    assert_eq!(event::by_name("Click"), None);
}
