//! Measurements, not tests: run with `--release -- --ignored --nocapture speed`.

use crate::*;
use std::time::Instant;

const ROWS: u64 = 65_536;
const RANGES: u64 = 24;
/// Writers at once, on both sides.
const WRITERS: u64 = 4;

/// Records of a log as they come from Kafka → decoded, priced, inserted; against the same rows,
/// already encoded as ClickHouse's own format, posted by a client that does nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement, not a test"]
async fn records_to_rows_against_rows_that_are_encoded_already() {
    let (_, client) = sink("speed").await;
    let encoded = {
        let (mut sink, _) = sink("speed_native").await;
        let records = records(0, clicks(ROWS));
        let (range, batch, _) = prepare(&mut sink, &records);
        sink.write(&log(), range, &batch, &Held::Nothing).await.unwrap();
        let from = shared().client("speed_native");
        let rows = from.query("SELECT * FROM events").fetch_bytes("Native").unwrap().collect().await.unwrap();
        from.query("TRUNCATE TABLE events").execute().await.unwrap();
        rows
    };
    let began = Instant::now();
    let posts = (0..WRITERS).map(|_| {
        let (client, encoded) = (shared().client("speed_native"), encoded.clone());
        tokio::spawn(async move {
            for _ in 0..RANGES / WRITERS {
                let mut insert = client.insert_formatted_with("INSERT INTO events FORMAT Native");
                insert.send(encoded.clone()).await.unwrap();
                insert.end().await.unwrap();
            }
        })
    });
    for post in posts.collect::<Vec<_>>() {
        post.await.unwrap();
    }
    let native = began.elapsed();

    let began = Instant::now();
    let threads = (0..WRITERS).map(|partition| {
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let mut sink = sink_at(shared(), &settings("speed"));
            let log = LogId { partition: partition as u32, ..log() };
            let records = records(0, clicks(ROWS));
            let catalogue = catalogue();
            let began = Instant::now();
            runtime.block_on(async {
                for i in 0..RANGES / WRITERS {
                    let range = Range { from: i * ROWS, to: (i + 1) * ROWS };
                    let batch = sink.prepare(&log, range, &records, &catalogue, &mut Vec::new());
                    sink.write(&log, range, &batch, &Held::Nothing).await.unwrap();
                }
            });
            began.elapsed()
        })
    });
    // Making the records is the measurement's, not the sink's: each thread's clock begins behind it.
    let threads: Vec<_> = threads.collect();
    let ours = threads.into_iter().map(|t| t.join().unwrap()).max().unwrap();
    let _with_records = began.elapsed();
    let rows = RANGES * ROWS;
    assert_eq!(count(&client).await.0, rows);
    let rate = |took: Duration| rows as f64 / took.as_secs_f64();
    println!(
        "{rows} rows: encoded already {native:?} ({:.0}/s); from records {ours:?} ({:.0}/s); ratio {:.2}",
        rate(native),
        rate(ours),
        rate(ours) / rate(native)
    );
}
