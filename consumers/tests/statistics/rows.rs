//! What a range becomes in the table, when nothing fails.

use crate::*;

#[tokio::test]
async fn every_field_of_every_type_arrives_in_its_column() {
    let (mut sink, client) = sink("fields").await;
    let common = r#""variation_id":"v","site_id":"s","zone_id":"z","user_id":"u","ip":"10.1.2.3","country":"de","user_agent":"UA; x","device":"phone","os":"9","#;
    let events = [
        format!(r#"{{"type":"impression","id":"00000000-0000-4000-8000-000000000001","time":"2017-11-06T16:00:00.123456Z","server":"eu-1","payload":{{"tag":"t1",{common}"more":"x","n":4}}}}"#),
        r#"{"type":"visit","id":"00000000-0000-4000-8000-000000000002","time":0,"payload":{"tag":"nobody"}}"#.to_owned(),
        r#"{"type":"click","id":"00000000-0000-4000-8000-000000000003","time":1,"payload":{"campaign_id":7,"tag":"nobody","impression_id":"i-1"}}"#.to_owned(),
        r#"{"type":"click","id":"00000000-0000-4000-8000-000000000004","time":1,"payload":{"tag":"t0","price_micros":3}}"#.to_owned(),
        r#"{"type":"conversion","id":"00000000-0000-4000-8000-000000000005","time":1,"payload":{"tag":"t0","click_id":"c-1","goal":"sale","value_micros":0}}"#.to_owned(),
    ];
    let records = records(40, events);
    let (range, batch, bad) = prepare(&mut sink, &records);
    assert_eq!((bad.len(), batch.rows()), (0, 5));
    sink.write(&log(), range, &batch, &Held::Nothing).await.unwrap();
    let sql = "SELECT toString(id), type, toString(time), campaign_id, cost_nanos, log_offset FROM events ORDER BY log_offset";
    let rows: Vec<(String, String, String, u32, i64, u64)> = client.query(sql).fetch_all().await.unwrap();
    let id = |n| format!("00000000-0000-4000-8000-00000000000{n}");
    let row = |n: u64, kind: &str, time: &str, campaign, cost| {
        (id(n), kind.to_owned(), time.to_owned(), campaign, cost, 39 + n)
    };
    let epoch = "1970-01-01 00:00:00.001000";
    assert_eq!(
        rows,
        [
            row(1, "impression", "2017-11-06 16:00:00.123456", 7, 500),
            row(2, "visit", "1970-01-01 00:00:00.000000", 0, 0),
            row(3, "click", epoch, 7, 2_000_000),
            row(4, "click", epoch, 7, 3_000),
            row(5, "conversion", epoch, 7, 0),
        ]
    );
    let one: String = client
        .query("SELECT toString(tuple(server, tag, variation_id, site_id, zone_id, user_id, ip, country, user_agent, device, os, extra, \
                log_topic, log_partition, impression_id, value_micros)) FROM events WHERE log_offset = 40")
        .fetch_one().await.unwrap();
    assert_eq!(
        one,
        "('eu-1','t1','v','s','z','u','10.1.2.3','DE','UA; x','phone','9',{'more':'x','n':'4'},'spool-00000000000000aa',3,'',NULL)"
    );
    let five: String = client
        .query("SELECT toString(tuple(server, click_id, goal, value_micros, toUnixTimestamp64Micro(received))) FROM events WHERE log_offset = 44")
        .fetch_one().await.unwrap();
    assert_eq!(five, "('ad-1','c-1','sale',0,1700000000000000)");
    let click: String =
        client.query("SELECT impression_id FROM events WHERE log_offset = 42").fetch_one().await.unwrap();
    assert_eq!(click, "i-1");
}

/// More values than the table's own dictionaries take (`low_cardinality_max_dictionary_size`).
#[tokio::test]
async fn text_that_ought_to_repeat_may_differ_in_every_row() {
    let (mut sink, client) = sink("cardinality").await;
    let events = (0..20_000).map(|i| {
        let goal = if i % 3 == 0 { String::new() } else { format!(r#","goal":"g{i}""#) };
        format!(r#"{{"type":"conversion","time":1509984000000,"server":"s{}","payload":{{"tag":"t0"{goal}}}}}"#, i / 7)
    });
    let (range, batch, bad) = prepare(&mut sink, &records(0, events));
    assert_eq!(bad, []);
    sink.write(&log(), range, &batch, &Held::Nothing).await.unwrap();
    let sql = "SELECT countIf(goal = if(log_offset % 3 = 0, '', 'g' || toString(log_offset)) \
               AND server = 's' || toString(intDiv(log_offset, 7)) AND type = 'conversion' AND device = '') FROM events";
    assert_eq!(client.query(sql).fetch_one::<u64>().await.unwrap(), 20_000);
}

#[tokio::test]
async fn a_range_written_twice_counts_once() {
    let (mut sink, client) = sink("twice").await;
    let records = records(0, clicks(1000));
    let (range, batch, _) = prepare(&mut sink, &records);
    for _ in 0..3 {
        sink.write(&log(), range, &batch, &Held::Nothing).await.unwrap();
    }
    assert_eq!(count(&client).await, (1000, 1000));
    // A takeover asks first.
    let mut other = sink_at(shared(), &settings("twice"));
    assert_eq!(other.held(&log(), range, &batch).await.unwrap(), Held::All);
    other.write(&log(), range, &batch, &Held::All).await.unwrap();
    assert_eq!(count(&client).await, (1000, 1000));
}

#[tokio::test]
async fn a_range_is_one_block_and_one_part() {
    let (mut sink, client) = sink("block").await;
    client.query("SYSTEM STOP MERGES events").execute().await.unwrap();
    let records = records(0, clicks(65_536));
    let (range, batch, _) = prepare(&mut sink, &records);
    sink.write(&log(), range, &batch, &Held::Nothing).await.unwrap();
    let sql = "SELECT count(), sum(rows) FROM system.parts WHERE database = 'block' AND table = 'events' AND active";
    assert_eq!(client.query(sql).fetch_one::<(u64, u64)>().await.unwrap(), (1, 65_536));
}

#[tokio::test]
async fn late_events_of_many_months_go_in_at_once() {
    let (mut sink, client) = sink("months").await;
    let months = (0..240_u64).map(|m| {
        let time = 1_000_000_000_000 + m * 31 * 86_400_000;
        format!(r#"{{"type":"visit","time":{time},"payload":{{"tag":"t0"}}}}"#)
    });
    let records = records(
        0,
        months.filter(|json| {
            // Not later than the receive time.
            json.split("\"time\":").nth(1).unwrap().split(',').next().unwrap().parse::<i64>().unwrap()
                < RECEIVED.0 / 1000
        }),
    );
    let (range, batch, _) = prepare(&mut sink, &records);
    assert!(batch.rows() > 200, "{}", batch.rows());
    sink.write(&log(), range, &batch, &Held::Nothing).await.unwrap();
    let rows = batch.rows() as u64;
    assert_eq!(count(&client).await, (rows, rows));
    let months: u64 = client.query("SELECT uniqExact(toYYYYMM(time)) FROM events").fetch_one().await.unwrap();
    assert_eq!(months, rows);
}

#[tokio::test]
async fn poison_is_named_and_the_rest_goes_in() {
    let (mut sink, client) = sink("poison").await;
    let mut records = records(0, clicks(3));
    records.push(3, RECEIVED, b"no frame");
    records.push_corrupt(4, RECEIVED);
    let (range, batch, bad) = prepare(&mut sink, &records);
    assert_eq!(bad.iter().map(|p| (p.offset, p.code.name())).collect::<Vec<_>>(), [(3, "bad_frame"), (4, "corrupt")]);
    sink.write(&log(), range, &batch, &Held::Nothing).await.unwrap();
    assert_eq!(count(&client).await, (3, 3));
    assert_eq!(sink.held(&log(), range, &batch).await.unwrap(), Held::All);
}

#[tokio::test]
async fn the_projection_answers_stats_minute_and_agrees_with_the_rows() {
    let (mut sink, client) = sink("minutes").await;
    let records = records(0, clicks(10_000));
    let (range, batch, _) = prepare(&mut sink, &records);
    sink.write(&log(), range, &batch, &Held::Nothing).await.unwrap();
    let asked = [
        "SELECT sum(count), toInt64(sum(cost_nanos)) FROM stats_minute",
        "SELECT sum(count), toInt64(sum(cost_nanos)) FROM stats_minute WHERE campaign_id = 7 AND type = 'click' \
         AND minute >= toDateTime('2017-11-06 16:00:00', 'UTC') AND minute < toDateTime('2017-11-06 17:00:00', 'UTC')",
        "SELECT sum(count), toInt64(sum(cost_nanos)) FROM stats_minute WHERE country = 'FR'",
    ];
    let brute = [
        "1",
        "campaign_id = 7 AND type = 'click' AND time >= '2017-11-06 16:00:00' AND time < '2017-11-06 17:00:00'",
        "country = 'FR'",
    ];
    for (sql, condition) in asked.iter().zip(brute) {
        let forced =
            format!("{sql} SETTINGS force_optimize_projection = 1, force_optimize_projection_name = 'per_minute'");
        let answer: (u64, i64) = client.query(&forced).fetch_one().await.unwrap();
        let rows = format!(
            "SELECT count(), sum(cost_nanos) FROM events WHERE {condition} SETTINGS optimize_use_projections = 0"
        );
        let expected: (u64, i64) = client.query(&rows).fetch_one().await.unwrap();
        assert_eq!(answer, expected, "{sql}");
        assert!(expected.0 > 0);
        let plan: Vec<String> = client.query(&format!("EXPLAIN {sql}")).fetch_all().await.unwrap();
        assert!(plan.iter().any(|line| line.contains("per_minute")), "{plan:#?}");
    }
}

#[tokio::test]
async fn the_tables_are_made_once_and_kept() {
    let (mut sink, client) = sink("again").await;
    let records = records(0, clicks(5));
    let (range, batch, _) = prepare(&mut sink, &records);
    sink.write(&log(), range, &batch, &Held::Nothing).await.unwrap();
    let mut other = sink_at(shared(), &settings("again"));
    for _ in 0..2 {
        other.start(&log(), penstock::log::Position::default()).await.unwrap();
    }
    assert_eq!(count(&client).await, (5, 5));
    let layout = penstock_consumers::statistics::schema::Layout::of(&settings("again"));
    assert_eq!(penstock_consumers::statistics::schema::check(&client, &layout).await.unwrap(), []);
}
