//! The event's way in numbers: JSON to a frame at the edge, frames to columns in the consumers.
//!
//! Each is measured beside the same work done through generic values, in the same run, so the
//! ratio can be read on any machine: `cargo bench -p penstock-benches`. Times are per batch of
//! [`EVENTS`] events; the throughput line is events a second.

#![allow(missing_docs, clippy::unwrap_used, reason = "a benchmark may fail loudly and has no users")]

use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;
use arrow_avro::reader::ReaderBuilder;
use arrow_avro::schema::{AvroSchema, SchemaStore};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use penstock::codec::columns::ColumnDecoder;
use penstock::codec::frame;
use penstock::event::{self, Defaults, IdSource};
use penstock::log::Records;
use penstock::time::Micros;
use serde_json::Value;
use std::hint::black_box;
use std::time::Duration;

/// Events in a batch.
const EVENTS: usize = 1000;
const RECEIVED: Micros = Micros(1_509_984_060_000_000);

/// Lines as ad servers write them: sparse ones as in the click logs, and full ones.
fn lines(full: bool) -> Vec<String> {
    let line = |i: usize| {
        let (minute, id) = (i / 60 % 60, 0x1ec7_62d4_u32.wrapping_add(i as u32));
        let envelope = format!(
            r#""type":"click","id":"{id:08x}-93b7-5f96-bff0-2d9429c4a055","time":"2017-11-06T15:{minute:02}:{:02}Z","server":"ad-eu-1""#,
            i % 60
        );
        let sparse = format!(
            r#""tag":"app{}-ch{}","site_id":"ch{}","user_id":"u{}","ip":"10.1.{}.{}","device":"1","os":"{}""#,
            i % 40,
            i % 377,
            i % 377,
            i * 7919 % 120_000,
            i % 250,
            i % 200,
            i % 30
        );
        let more = format!(
            r#","campaign_id":{},"variation_id":"v{}","zone_id":"z{}","country":"DE","user_agent":"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/119.0.0.0 Safari/537.36","price_micros":{},"impression_id":"{id:x}-77","section":"news","depth":{}"#,
            1000 + i % 100,
            i % 9,
            i % 17,
            3000 + i,
            i % 5
        );
        format!("{{{envelope},\"payload\":{{{sparse}{}}}}}", if full { more.as_str() } else { "" })
    };
    (0..EVENTS).map(line).collect()
}

fn frames(lines: &[String]) -> Vec<Vec<u8>> {
    let mut ids = IdSource::seeded(1);
    let frame = |line: &String| {
        let mut out = Vec::new();
        event::admit(line.as_bytes(), &defaults(), &mut ids, &mut out).unwrap();
        out
    };
    lines.iter().map(frame).collect()
}

fn defaults() -> Defaults<'static> {
    let max_future = Duration::from_secs(3600);
    Defaults { received: RECEIVED, server: "ad-eu-1", max_future, max_event_bytes: 64 << 10 }
}

/// The generic way in: serde_json to a `Value`, that to an Avro `Value`, that to bytes.
fn generic_encode(schema: &apache_avro::Schema, writer: &GenericDatumWriter<'_>, line: &str) -> Vec<u8> {
    use apache_avro::types::Value as Avro;
    let mut event: Value = serde_json::from_str(line).unwrap();
    let apache_avro::Schema::Record(record) = schema else { unreachable!() };
    let mut fields = vec![
        ("id".to_owned(), Avro::Fixed(16, event_id(&event["id"]))),
        ("time".to_owned(), Avro::TimestampMicros(RECEIVED.0)),
        ("received".to_owned(), Avro::TimestampMicros(RECEIVED.0)),
        ("server".to_owned(), Avro::String(event["server"].as_str().unwrap().to_owned())),
    ];
    let mut payload = std::mem::take(event["payload"].as_object_mut().unwrap());
    for field in &record.fields[4..record.fields.len() - 1] {
        let value = match payload.remove(&field.name) {
            Some(Value::String(text)) => Avro::Union(1, Box::new(Avro::String(text))),
            Some(Value::Number(n)) => Avro::Union(1, Box::new(Avro::Long(n.as_i64().unwrap()))),
            _ => Avro::Union(0, Box::new(Avro::Null)),
        };
        fields.push((field.name.clone(), value));
    }
    let extra = payload.into_iter().map(|(key, value)| (key, Avro::String(value.to_string()))).collect();
    fields.push(("extra".to_owned(), Avro::Map(extra)));
    writer.write_value_to_vec(Avro::Record(fields)).unwrap()
}

fn event_id(text: &Value) -> Vec<u8> {
    let hex: Vec<u8> = text.as_str().unwrap().bytes().filter(|b| *b != b'-').collect();
    hex.chunks(2).map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap()).collect()
}

fn edge(c: &mut Criterion) {
    for (name, lines) in [("sparse", lines(false)), ("full", lines(true))] {
        let mut group = c.benchmark_group(format!("json_to_frame/{name}"));
        group.throughput(Throughput::Elements(EVENTS as u64));
        let (mut ids, mut out) = (IdSource::seeded(1), Vec::with_capacity(1 << 20));
        group.bench_function("penstock", |b| {
            b.iter(|| {
                out.clear();
                for line in &lines {
                    event::admit(line.as_bytes(), &defaults(), &mut ids, &mut out).unwrap();
                }
                black_box(out.len())
            });
        });
        group.bench_function("parse_to_value_alone", |b| {
            b.iter(|| {
                lines.iter().map(|l| serde_json::from_str::<Value>(l).unwrap().is_object() as usize).sum::<usize>()
            });
        });
        let schema = apache_avro::Schema::parse_str(event::click::TYPE.schema_json).unwrap();
        let writer = GenericDatumWriter::builder(&schema).build().unwrap();
        group.bench_function("value_and_apache_avro", |b| {
            b.iter(|| lines.iter().map(|l| generic_encode(&schema, &writer, l).len()).sum::<usize>());
        });
    }
}

/// What the statistics sink asks for.
const STATISTICS: [&str; 22] = [
    "id",
    "type",
    "time",
    "received",
    "server",
    "campaign_id",
    "tag",
    "variation_id",
    "site_id",
    "zone_id",
    "user_id",
    "ip",
    "country",
    "user_agent",
    "device",
    "os",
    "price_micros",
    "impression_id",
    "click_id",
    "goal",
    "value_micros",
    "extra",
];
/// Of those, what it asks for as dictionaries.
const SYMBOLS: [&str; 6] = ["type", "server", "country", "device", "os", "goal"];
/// What the balances sink asks for.
const BALANCES: [&str; 6] = ["id", "time", "received", "campaign_id", "tag", "price_micros"];

fn consumers(c: &mut Criterion) {
    for (name, frames) in [("sparse", frames(&lines(false))), ("full", frames(&lines(true)))] {
        let mut records = Records::new();
        for (offset, frame) in frames.iter().enumerate() {
            records.push(offset as u64, RECEIVED, frame);
        }
        let mut group = c.benchmark_group(format!("frames_to_columns/{name}"));
        group.throughput(Throughput::Elements(EVENTS as u64));
        for (sink, fields, symbols) in [("statistics", &STATISTICS[..], &SYMBOLS[..]), ("balances", &BALANCES, &[])] {
            let mut decoder = ColumnDecoder::with_symbols(fields, symbols).unwrap();
            let mut bad = Vec::new();
            group.bench_function(sink, |b| {
                b.iter(|| black_box(decoder.decode(&records, &mut bad).unwrap().batch.num_rows()));
            });
            assert!(bad.is_empty());
        }
        group.bench_function("check_alone", |b| {
            b.iter(|| frames.iter().filter(|f| frame::check(f).is_ok()).count());
        });
        let mut store = SchemaStore::new();
        store.register(AvroSchema::new(event::click::TYPE.schema_json.to_owned())).unwrap();
        let builder = ReaderBuilder::new().with_writer_schema_store(store).with_batch_size(EVENTS);
        let mut decoder = builder.build_decoder().unwrap();
        group.bench_function("arrow_avro_one_type", |b| {
            b.iter(|| {
                for frame in &frames {
                    decoder.decode(frame).unwrap();
                }
                black_box(decoder.flush().unwrap().unwrap().num_rows())
            });
        });
        let schema = apache_avro::Schema::parse_str(event::click::TYPE.schema_json).unwrap();
        let reader = GenericDatumReader::builder(&schema).build().unwrap();
        group.bench_function("apache_avro_values", |b| {
            b.iter(|| frames.iter().filter(|f| reader.read_value(&mut &f[10..]).is_ok()).count());
        });
    }
}

fn quick() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(20)
}

criterion_group! { name = hot_path; config = quick(); targets = edge, consumers }
criterion_main!(hot_path);
