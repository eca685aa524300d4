//! A file loaded straight into ClickHouse: once, however often and in whatever pieces.

use crate::*;
use penstock_consumers::statistics::load::{Line, LoadOptions, Loaded, Refused, load, log_name};

fn options(lines: &[String], rows: usize) -> LoadOptions {
    let name = log_name(lines.join("\n").as_bytes()).unwrap();
    LoadOptions {
        log: LogId { name: name.as_str().into(), partition: 0 },
        shard: 0,
        rows,
        bytes: 1 << 20,
        received: RECEIVED,
        server: "file".to_owned(),
        max_future: Duration::from_secs(3600),
        max_event_bytes: 1 << 16,
        tries: 3,
    }
}

async fn run(sink: &mut StatisticsSink, options: &LoadOptions, lines: &[String]) -> (Loaded, Vec<Refused>) {
    let (mut lines, mut refused) = (lines.iter(), Vec::new());
    let next = || {
        Ok(lines.next().map(|line| match line.as_str() {
            "" => Line::Blank,
            "long" => Line::TooLong(9_999_999),
            text => Line::Text(text.as_bytes().to_vec()),
        }))
    };
    let loaded = load(sink, options, &catalogue(), next, |r| refused.push(r)).await.unwrap();
    (loaded, refused)
}

#[tokio::test]
async fn a_file_loaded_again_in_other_pieces_adds_nothing() {
    let (mut sink, client) = sink("load").await;
    let mut lines: Vec<String> = clicks(1000).collect();
    // An event without a time gets that of the load, another one each time.
    lines[500] = r#"{"type":"click","payload":{"tag":"t1"}}"#.to_owned();
    lines[10] = String::new();
    lines[20] = r#"{"type":"clack"}"#.to_owned();
    lines[30] = "long".to_owned();
    let (loaded, refused) = run(&mut sink, &options(&lines, 300), &lines).await;
    assert_eq!(loaded, Loaded { lines: 999, added: 997, there: 0, rejected: 2 });
    let named: Vec<_> = refused.iter().map(|r| (r.line, r.code.as_str())).collect();
    assert_eq!(named, [(21, "unknown_type"), (31, "line_too_long")]);
    let later = LoadOptions { received: RECEIVED.plus(Duration::from_secs(86_400 * 60)), ..options(&lines, 170) };
    let (again, _) = run(&mut sink_at(shared(), &settings("load")), &later, &lines).await;
    assert_eq!(again, Loaded { lines: 999, added: 0, there: 997, rejected: 2 });
    assert_eq!(count(&client).await, (997, 997));
    // Lines are offsets, and rows are priced: 2000 micros a click.
    let last = "SELECT max(log_offset), sum(cost_nanos) = count() * 2000000, uniqExact(id) FROM events";
    assert_eq!(client.query(last).fetch_one::<(u64, bool, u64)>().await.unwrap(), (999, true, 997));
}

#[tokio::test]
async fn a_load_that_was_cut_off_goes_on_and_a_file_that_grew_adds_its_new_lines() {
    let (mut sink, client) = sink("load_cut").await;
    let lines: Vec<String> = clicks(500).collect();
    let named = LoadOptions { log: LogId { name: "backfill".into(), partition: 0 }, ..options(&lines, 100) };
    let (first, _) = run(&mut sink, &named, &lines[..250]).await;
    assert_eq!((first.added, first.there), (250, 0));
    let (rest, _) = run(&mut sink, &named, &lines).await;
    assert_eq!((rest.added, rest.there), (250, 250));
    assert_eq!(count(&client).await, (500, 500));
}
