//! Repeats, partial writes, lost outcomes and killed engines: the rows come out exact.

use crate::*;
use penstock_engine::EngineState;
use rand::{RngExt, SeedableRng};
use rustix::process::{Pid, Signal, kill_process};

#[tokio::test]
async fn after_a_partial_write_only_what_is_missing_is_inserted() {
    let (mut sink, client) = sink("partial").await;
    let records = records(100, clicks(1000));
    let (range, batch, _) = prepare(&mut sink, &records);
    let absent: Vec<u64> = (100..1100).filter(|o| o % 3 == 0).collect();
    // Another life wrote the rest.
    sink.write(&log(), range, &batch, &Held::Some(absent.clone())).await.unwrap();
    let mut next = sink_at(shared(), &settings("partial"));
    let held = next.held(&log(), range, &batch).await.unwrap();
    assert_eq!(held, Held::Some((100..1100).filter(|o| o % 3 != 0).collect()));
    next.write(&log(), range, &batch, &held).await.unwrap();
    assert_eq!(count(&client).await, (1000, 1000));
    assert_eq!(next.held(&log(), range, &batch).await.unwrap(), Held::All);
    // Ranges of other logs and partitions are others.
    let elsewhere = LogId { partition: 4, ..log() };
    assert_eq!(next.held(&elsewhere, range, &batch).await.unwrap(), Held::Nothing);
}

#[tokio::test]
async fn a_token_without_its_rows_hides_nothing_after_a_crash() {
    let (mut sink, client) = sink("token").await;
    let records = records(0, clicks(100));
    let (range, batch, _) = prepare(&mut sink, &records);
    sink.write(&log(), range, &batch, &Held::Nothing).await.unwrap();
    // What a crash between the token's log and the part's rename leaves.
    client.query("ALTER TABLE events DELETE WHERE 1 SETTINGS mutations_sync = 1").execute().await.unwrap();
    sink.write(&log(), range, &batch, &Held::Nothing).await.unwrap();
    assert_eq!(count(&client).await, (0, 0), "the token alone would have lost the range");
    let mut next = sink_at(shared(), &settings("token"));
    let held = next.held(&log(), range, &batch).await.unwrap();
    assert_eq!(held, Held::Nothing);
    next.write(&log(), range, &batch, &held).await.unwrap();
    assert_eq!(count(&client).await, (100, 100));
}

#[tokio::test]
async fn an_insert_that_still_runs_is_ended_before_the_rows_are_counted() {
    let (mut sink, client) = sink("running").await;
    let records = records(0, clicks(10));
    let (range, batch, _) = prepare(&mut sink, &records);
    let id = format!("penstock-{}-{}-{}-{}", log().name, log().partition, range.from, range.to);
    let slow = "INSERT INTO events (log_topic, log_partition, log_offset, time) \
                SELECT 'spool-00000000000000aa', 3, number, toDateTime64('2017-11-06 16:00:00', 6, 'UTC') + toIntervalSecond(sleepEachRow(1)) \
                FROM numbers(1000) SETTINGS max_block_size = 1, min_insert_block_size_rows = 1, max_insert_threads = 1";
    let running = tokio::spawn(client.query(slow).with_setting("query_id", &id).execute());
    let seen = "SELECT count() FROM system.processes WHERE Settings['log_comment'] = ?";
    while client.query(seen).bind(&id).fetch_one::<u64>().await.unwrap() == 0 {
        assert!(!running.is_finished(), "{:?}", running.await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let held = sink.held(&log(), range, &batch).await.unwrap();
    assert!(running.await.unwrap().is_err(), "the insert was ended");
    sink.write(&log(), range, &batch, &held).await.unwrap();
    let distinct = "SELECT uniqExact(log_offset), max(log_offset) FROM events WHERE log_offset < 10";
    assert_eq!(client.query(distinct).fetch_one::<(u64, u64)>().await.unwrap(), (10, 9));
    assert_eq!(count(&client).await.0, count(&client).await.1);
}

#[tokio::test]
async fn an_absent_server_is_a_retry_and_an_absent_table_is_fatal() {
    let nobody = Target { url: "http://127.0.0.1:1".to_owned(), ..Target::default() };
    let mut sink = sink_at(&nobody, &settings("nobody"));
    let records = records(0, clicks(5));
    let (range, batch, _) = prepare(&mut sink, &records);
    assert!(matches!(sink.write(&log(), range, &batch, &Held::Nothing).await, Err(SinkError::Retry(_))));
    assert!(matches!(sink.held(&log(), range, &batch).await, Err(SinkError::Retry(_))));
    assert!(matches!(sink.start(&log(), penstock::log::Position::default()).await, Err(SinkError::Retry(_))));
    let mut sink = sink_at(shared(), &settings("never_made"));
    assert!(matches!(sink.write(&log(), range, &batch, &Held::Nothing).await, Err(SinkError::Fatal(_))));
    let stranger = Target { password: Some("wrong".to_owned()), ..shared().clone() };
    let mut sink = sink_at(&stranger, &settings("default"));
    assert!(matches!(sink.write(&log(), range, &batch, &Held::Nothing).await, Err(SinkError::Fatal(_))));
}

/// What the pipeline does with a range, until it is written.
pub async fn deliver(sink: &mut StatisticsSink, range: Range, batch: &Batch) {
    let mut held = Held::Nothing;
    while held != Held::All {
        match sink.write(&log(), range, batch, &held).await {
            Ok(()) => return,
            Err(SinkError::Retry(_)) => {}
            Err(SinkError::Unknown(_)) => loop {
                match sink.held(&log(), range, batch).await {
                    Ok(now) => break held = now,
                    Err(SinkError::Retry(_)) => tokio::time::sleep(Duration::from_millis(50)).await,
                    Err(e) => panic!("{e}"),
                }
            },
            Err(e) => panic!("{e}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn an_engine_killed_again_and_again_holds_each_row_once() {
    // A port of its own that stays the same over restarts.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let engine = start(&folder("killed"), &EngineSettings { listen: port, ..engine_settings() });
    let url = engine.ready(PATIENCE).await.unwrap();
    let target = target(&engine, url);
    let settings = StatisticsSettings { timeout: Duration::from_secs(2), ..settings("penstock") };
    let mut sink = sink_at(&target, &settings);
    sink.start(&log(), penstock::log::Position::default()).await.unwrap();
    let state = engine.state();
    let killer = tokio::spawn(async move {
        let mut random = rand::rngs::StdRng::seed_from_u64(7);
        let mut kills = 0;
        for _ in 0..6 {
            tokio::time::sleep(Duration::from_millis(random.random_range(0..400))).await;
            let pid = match &*state.clone().wait_for(|s| matches!(s, EngineState::Ready { .. })).await.unwrap() {
                EngineState::Ready { pid, .. } => *pid,
                _ => continue,
            };
            tokio::time::sleep(Duration::from_millis(random.random_range(0..300))).await;
            kills += usize::from(kill_process(Pid::from_raw(pid as i32).unwrap(), Signal::KILL).is_ok());
            // The supervisor notices before the next one is sought.
            state.clone().wait_for(|s| !matches!(s, EngineState::Ready { .. })).await.unwrap();
        }
        kills
    });
    let (mut from, rows) = (0, 2000);
    while !killer.is_finished() {
        let records = records(from, clicks(rows));
        let (range, batch, _) = prepare(&mut sink, &records);
        deliver(&mut sink, range, &batch).await;
        from += rows;
    }
    assert_eq!(killer.await.unwrap(), 6);
    engine.ready(PATIENCE).await.unwrap();
    let client = target.client("penstock");
    assert_eq!(count(&client).await, (from, from));
    engine.stop().await;
}
