//! The archive sink against the codec alone: `cargo bench -p penstock-benches --bench archive`.
//!
//! The sink checks every record, groups by type and hour, compresses, and writes files that are
//! synced under their final names. Beside it the Avro library's codec compresses the same datums in
//! blocks of the same size, and does nothing else. Rounds alternate; the median of each counts.

#![expect(clippy::unwrap_used, clippy::print_stdout, clippy::float_arithmetic, reason = "a measurement prints ratios")]

use apache_avro::{Codec, ZstandardSettings};
use penstock::codec::frame;
use penstock::event::{Defaults, IdSource, admit};
use penstock::log::{LogId, Range, Records};
use penstock::pipeline::{Held, Sink as _};
use penstock::pricing::Snapshot;
use penstock::settings::ArchiveSettings;
use penstock::telemetry::ArchiveMetrics;
use penstock::time::Micros;
use penstock_consumers::archive::{ArchiveSink, ArchiveStore};
use std::time::{Duration, Instant};

const EVENTS: u64 = 400_000;
const ROUNDS: u64 = 7;
/// As the sink closes its blocks.
const BLOCK_BYTES: usize = 256 << 10;

fn main() {
    let settings = ArchiveSettings::default();
    let folder = std::env::temp_dir().join(format!("penstock-bench-archive-{}", std::process::id()));
    let store = ArchiveStore::open(&folder, "bench", Duration::from_secs(60), ArchiveMetrics::default()).unwrap();
    let records = records();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let level = u8::try_from(settings.zstd_level).unwrap();
    let (mut alone, mut grouped, mut whole) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        alone.push(codec_alone(&records, level));

        let log = LogId { name: "bench".into(), partition: u32::try_from(round).unwrap() };
        let range = Range { from: 0, to: EVENTS };
        let mut sink = ArchiveSink::new(store.clone(), &settings).unwrap();
        let (snapshot, mut poison) = (Snapshot::default(), Vec::new());
        let began = Instant::now();
        let batch = sink.prepare(&log, range, &records, &snapshot, &mut poison);
        grouped.push(rate(began));
        runtime.block_on(sink.write(&log, range, &batch, &Held::Nothing)).unwrap();
        whole.push(rate(began));
        assert!(poison.is_empty(), "every event of this bench is good");
    }
    std::fs::remove_dir_all(&folder).unwrap();
    let (alone, grouped, whole) = (median(alone), median(grouped), median(whole));
    println!(r#"{{"measure":"avro_codec_alone","level":{level},"events_per_second":{alone:.0}}}"#);
    println!(
        r#"{{"measure":"archive_prepare","events_per_second":{grouped:.0},"ratio_to_codec":{:.2}}}"#,
        grouped / alone
    );
    println!(r#"{{"measure":"archive_sink","events_per_second":{whole:.0},"ratio_to_codec":{:.2}}}"#, whole / alone);
}

/// The Avro library's zstandard over the same datums: nothing is checked, grouped or written.
fn codec_alone(records: &Records, level: u8) -> f64 {
    let codec = Codec::Zstandard(ZstandardSettings::new(level));
    let began = Instant::now();
    let mut block = Vec::with_capacity(BLOCK_BYTES + (64 << 10));
    let mut compressed = 0;
    for record in records.iter() {
        block.extend_from_slice(frame::split(record.body.unwrap()).unwrap().datum);
        if block.len() >= BLOCK_BYTES {
            codec.compress(&mut block).unwrap();
            compressed += block.len();
            block.clear();
        }
    }
    codec.compress(&mut block).unwrap();
    assert!(compressed > 0);
    rate(began)
}

fn rate(began: Instant) -> f64 {
    EVENTS as f64 / began.elapsed().as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Four types over two hours, as ad servers write them.
fn records() -> Records {
    let mut ids = IdSource::seeded(1);
    let mut records = Records::new();
    let received = Micros::from_secs(1_510_000_000);
    let defaults =
        Defaults { received, server: "ad-1", max_future: Duration::from_secs(3600), max_event_bytes: 1 << 16 };
    let types = ["impression", "impression", "impression", "visit", "click", "conversion"];
    let mut body = Vec::new();
    for n in 0..EVENTS {
        // Any mixture of users and tags; a multiplier that repeats nothing soon.
        let mixed = n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
        let json = format!(
            r#"{{"type":"{}","time":"2017-11-06T1{}:{:02}:{:02}Z","payload":{{"tag":"app{}-ch{}","site_id":"ch{}","user_id":"u{}","ip":"10.{}.{}.{}","country":"DE","device":"{}","os":"{}"}}}}"#,
            types[(mixed % 6) as usize],
            n * 2 / EVENTS,
            n / 60 % 60,
            n % 60,
            mixed % 40,
            mixed % 377,
            mixed % 377,
            mixed % 120_000,
            mixed % 4,
            mixed % 250,
            mixed % 200,
            mixed % 3,
            mixed % 30
        );
        body.clear();
        admit(json.as_bytes(), &defaults, &mut ids, &mut body).unwrap();
        records.push(n, received, &body);
    }
    records
}
