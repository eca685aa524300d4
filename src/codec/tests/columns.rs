//! Columns held against arrow-avro, and across versions of a schema.

use super::events::{Event, RECEIVED, of_type, records};
use crate::codec::columns::{ColumnDecoder, ColumnsError};
use crate::codec::fingerprint::fingerprint;
use crate::codec::json::to_json;
use crate::codec::registry::{by_fingerprint, columns, writers};
use crate::event::{TYPES, TypeInfo, page_view};
use apache_avro::Schema;
use apache_avro::types::Value as Avro;
use apache_avro::writer::datum::GenericDatumWriter;
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, TimestampMicrosecondType, UInt32Type};
use arrow_avro::reader::ReaderBuilder;
use arrow_avro::schema::{AvroSchema, SchemaStore};
use proptest::collection::vec;
use proptest::prelude::*;

fn arrow_avro(kind: &TypeInfo, frames: &[Vec<u8>]) -> RecordBatch {
    let mut store = SchemaStore::new();
    store.register(AvroSchema::new(kind.schema_json.to_owned())).unwrap();
    let builder = ReaderBuilder::new().with_writer_schema_store(store).with_batch_size(frames.len());
    let mut decoder = builder.build_decoder().unwrap();
    for frame in frames {
        assert_eq!(decoder.decode(frame).unwrap(), frame.len());
    }
    decoder.flush().unwrap().unwrap()
}

/// A column without its names and metadata: the map's entries are called differently.
fn plain(array: &dyn Array) -> String {
    match array.data_type() {
        DataType::Map(..) => {
            let map = array.as_map();
            let (keys, values) = (map.keys().as_string::<i32>(), map.values().as_string::<i32>());
            format!("{:?}", (map.value_offsets(), keys.iter().collect::<Vec<_>>(), values.iter().collect::<Vec<_>>()))
        }
        DataType::UInt32 => plain(&cast(array, &DataType::Int64).unwrap()),
        DataType::Timestamp(..) => {
            let times = array.as_primitive::<TimestampMicrosecondType>();
            format!("{:?}", times.iter().collect::<Vec<_>>())
        }
        DataType::Int64 => format!("{:?}", array.as_primitive::<Int64Type>().iter().collect::<Vec<_>>()),
        DataType::Utf8 => format!("{:?}", array.as_string::<i32>().iter().collect::<Vec<_>>()),
        DataType::FixedSizeBinary(16) => format!("{:?}", array.as_fixed_size_binary().iter().collect::<Vec<_>>()),
        other => panic!("no column has {other}"),
    }
}

fn batches() -> impl Strategy<Value = Vec<Event>> {
    (0..TYPES.len()).prop_flat_map(|i| vec(of_type(TYPES[i]), 1..8))
}

proptest! {
    #[test]
    fn columns_are_those_of_arrow_avro(events in batches()) {
        let frames: Vec<_> = events.iter().map(Event::frame).collect();
        let theirs = arrow_avro(events[0].kind, &frames);
        let names: Vec<&str> = columns().iter().map(|c| c.name).collect();
        let ours = ColumnDecoder::new(&names).unwrap().decode(&records(&frames), &mut Vec::new()).unwrap().batch;
        for (name, column) in names.iter().zip(ours.columns()) {
            match theirs.column_by_name(name) {
                Some(their) => prop_assert_eq!(plain(column), plain(their), "{}", name),
                None => prop_assert_eq!(column.null_count(), events.len(), "{} is no field of the type", name),
            }
        }
    }
}

proptest! {
    /// Batch after batch of one decoder, so that nothing of the first is left for the second.
    #[test]
    fn symbols_are_the_text_with_the_empty_one_for_none(batches in vec(batches(), 2)) {
        let names: Vec<&str> = ["type"].into_iter().chain(columns().iter().map(|c| c.name)).collect();
        let (mut plain, mut symbols) =
            (ColumnDecoder::new(&names).unwrap(), ColumnDecoder::with_symbols(&names, &names).unwrap());
        for events in batches {
            let frames: Vec<_> = events.iter().map(Event::frame).collect();
            let text = plain.decode(&records(&frames), &mut Vec::new()).unwrap().batch;
            let ours = symbols.decode(&records(&frames), &mut Vec::new()).unwrap().batch;
            for (ours, text) in ours.columns().iter().zip(text.columns()) {
                if text.data_type() != &DataType::Utf8 {
                    prop_assert_eq!(ours, text);
                    continue;
                }
                prop_assert!(matches!(ours.data_type(), DataType::Dictionary(..)) && ours.null_count() == 0);
                let ours = cast(ours, &DataType::Utf8).unwrap();
                let text: Vec<_> = text.as_string::<i32>().iter().map(Option::unwrap_or_default).collect();
                prop_assert_eq!(ours.as_string::<i32>().iter().flatten().collect::<Vec<_>>(), text);
            }
        }
    }
}

#[test]
fn a_record_of_an_earlier_version_is_read_into_todays_columns() {
    let earlier = page_view::TYPE.earlier[0];
    let text = |s: &str| Avro::Union(1, Box::new(Avro::String(s.to_owned())));
    let mut fields: Vec<(String, Avro)> = Vec::new();
    let Schema::Record(record) = Schema::parse_str(earlier).unwrap() else { panic!("not a record") };
    for field in &record.fields {
        let value = match field.name.as_str() {
            "id" => Avro::Fixed(16, vec![9; 16]),
            "time" | "received" => Avro::TimestampMicros(RECEIVED.0),
            "server" => Avro::String("old".to_owned()),
            "campaign_id" => Avro::Union(1, Box::new(Avro::Long(7))),
            "page_url" => text("/old"),
            "legacy" => text("nobody knows it any more"),
            "os" => text("OS/2"),
            "extra" => Avro::Map([("k".to_owned(), Avro::String("v".to_owned()))].into()),
            _ => Avro::Union(0, Box::new(Avro::Null)),
        };
        fields.push((field.name.clone(), value));
    }
    let schema = Schema::parse_str(earlier).unwrap();
    let mut old = [b"\xc3\x01", &fingerprint(&schema).to_le_bytes()[..]].concat();
    let writer = GenericDatumWriter::builder(&schema).build().unwrap();
    writer.write_value(&mut old, Avro::Record(fields)).unwrap();
    let new = {
        let event = br#"{"type":"page_view","payload":{"tag":"t","page_url":"/new","basket_micros":3}}"#;
        let max_future = std::time::Duration::ZERO;
        let d = crate::event::Defaults { received: RECEIVED, server: "new", max_future, max_event_bytes: 1000 };
        let mut out = Vec::new();
        crate::event::admit(event, &d, &mut crate::event::IdSource::seeded(1), &mut out).unwrap();
        out
    };
    let wanted = ["server", "page_url", "basket_micros", "os", "campaign_id", "extra"];
    let mut bad = Vec::new();
    let decoded = ColumnDecoder::new(&wanted).unwrap().decode(&records(&[old.clone(), new]), &mut bad).unwrap();
    assert_eq!(bad, []);
    let text = |i: usize| decoded.batch.column(i).as_string::<i32>().iter().collect::<Vec<_>>();
    assert_eq!(text(0), [Some("old"), Some("new")]);
    assert_eq!(text(1), [Some("/old"), Some("/new")]);
    assert_eq!(decoded.batch.column(2).as_primitive::<Int64Type>().iter().collect::<Vec<_>>(), [None, Some(3)]);
    assert_eq!(text(3), [Some("OS/2"), None]);
    assert_eq!(decoded.batch.column(4).as_primitive::<UInt32Type>().iter().collect::<Vec<_>>(), [Some(7), None]);
    assert_eq!(decoded.batch.column(5).as_map().value_offsets(), [0, 1, 1]);
    assert_eq!(to_json(&old).unwrap()["payload"]["page_url"], "/old");
    let crc: [u8; 8] = old[2..10].try_into().unwrap();
    assert_eq!(by_fingerprint(u64::from_le_bytes(crc)).map(|w| w.version), Some(1));
    assert_eq!(page_view::TYPE.writer().version, 2);
    assert_eq!(writers().iter().filter(|w| w.kind == &page_view::TYPE).count(), 2);
}

#[test]
fn an_empty_batch_has_the_schema_and_an_unknown_field_is_an_error() {
    let mut decoder = ColumnDecoder::new(&["type", "time", "extra"]).unwrap();
    let decoded = decoder.decode(&records(&[]), &mut Vec::new()).unwrap();
    assert_eq!((decoded.batch.num_rows(), decoded.batch.schema()), (0, decoder.schema().clone()));
    assert!(matches!(ColumnDecoder::new(&["tags"]), Err(ColumnsError::UnknownField(f)) if f == "tags"));
}

#[test]
fn a_decoder_is_used_batch_after_batch() {
    let event = br#"{"type":"visit","payload":{"tag":"t","x":1}}"#;
    let d = crate::event::Defaults {
        received: RECEIVED,
        server: "s",
        max_future: std::time::Duration::ZERO,
        max_event_bytes: 1000,
    };
    let mut frame = Vec::new();
    crate::event::admit(event, &d, &mut crate::event::IdSource::seeded(1), &mut frame).unwrap();
    let mut decoder = ColumnDecoder::new(&["id", "time", "tag", "extra", "price_micros", "campaign_id"]).unwrap();
    let first = decoder.decode(&records(&[frame.clone()]), &mut Vec::new()).unwrap().batch;
    let second = decoder.decode(&records(&[frame]), &mut Vec::new()).unwrap().batch;
    assert_eq!(first, second);
}
