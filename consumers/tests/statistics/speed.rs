//! Measurements, not tests: run with `--release -- --ignored --nocapture speed`.

use crate::*;
use bytes::Bytes;
use std::sync::Barrier;
use std::time::Instant;

const ROWS: u64 = 65_536;
const RANGES: u64 = 24;
/// Writers at once, on both sides.
const WRITERS: u64 = 4;
/// How often both are measured, in turn; an odd number has a median.
const ROUNDS: usize = 5;

/// Records of a log as they come from Kafka → decoded, priced, inserted; against the same rows,
/// already encoded as ClickHouse's own format, posted by a client that does nothing else.
///
/// Merges are stopped: how much of them falls into a round is chance, and both owe the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement, not a test"]
async fn records_to_rows_against_rows_that_are_encoded_already() {
    let (mut sink, client) = sink("speed").await;
    let first = records(0, clicks(ROWS));
    let (range, batch, _) = prepare(&mut sink, &first);
    sink.write(&log(), range, &batch, &Held::Nothing).await.unwrap();
    let native =
        client.query("SELECT * FROM events ORDER BY log_offset").with_setting("max_block_size", ROWS.to_string());
    let native = native.fetch_bytes("Native").unwrap().collect().await.unwrap();
    client.query("SYSTEM STOP MERGES events").execute().await.unwrap();
    let records = Arc::new(first);
    let mut took = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        empty(&client).await;
        took[0].push(post(&client, &native).await);
        empty(&client).await;
        let records = records.clone();
        took[1].push(tokio::task::spawn_blocking(|| consume(records)).await.unwrap());
        assert_eq!(count(&client).await.0, RANGES * ROWS);
    }
    println!("encoded already {:?}, from records {:?}", took[0], took[1]);
    let [encoded, ours] = took.map(|mut rounds| {
        rounds.sort();
        (RANGES * ROWS) as f64 / rounds[ROUNDS / 2].as_secs_f64()
    });
    println!(
        "medians: encoded already {encoded:.0} rows/s, from records {ours:.0} rows/s, ratio {:.2}",
        ours / encoded
    );
}

async fn empty(client: &Client) {
    client.query("TRUNCATE TABLE events").execute().await.unwrap();
}

async fn post(client: &Client, rows: &Bytes) -> Duration {
    let began = Instant::now();
    let posts = (0..WRITERS).map(|_| {
        let (client, rows) = (client.clone(), rows.clone());
        tokio::spawn(async move {
            for _ in 0..RANGES / WRITERS {
                let mut insert = client.insert_formatted_with("INSERT INTO events FORMAT Native");
                insert.send(rows.clone()).await.unwrap();
                insert.end().await.unwrap();
            }
        })
    });
    for post in posts.collect::<Vec<_>>() {
        post.await.unwrap();
    }
    began.elapsed()
}

/// A thread and a sink a partition, as the consumer has them.
fn consume(records: Arc<Records>) -> Duration {
    let ready = Arc::new(Barrier::new(WRITERS as usize));
    let threads = (0..WRITERS).map(|partition| {
        let (ready, records) = (ready.clone(), records.clone());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let mut sink = sink_at(shared(), &settings("speed"));
            // Tokens of a log are remembered, so each round has logs of its own.
            let name = format!("spool-{:016x}", rand::random::<u64>()).into();
            let log = LogId { partition: u32::try_from(partition).unwrap(), name };
            let catalogue = catalogue();
            ready.wait();
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
    let threads: Vec<_> = threads.collect();
    threads.into_iter().map(|t| t.join().unwrap()).max().unwrap()
}
