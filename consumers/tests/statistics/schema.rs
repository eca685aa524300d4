//! What `penstock migrate statistics` compares and mends, on the real engine.

use crate::*;
use penstock_consumers::statistics::schema::{self, Layout};

async fn made(database: &str) -> (Client, Layout) {
    let target = tokio::task::spawn_blocking(|| shared().clone()).await.unwrap();
    (target.client(database), Layout::of(&settings(database)))
}

async fn run(client: &Client, sql: &str) {
    client.query_raw(sql).execute().await.unwrap_or_else(|e| panic!("{sql}: {e}"));
}

async fn mend(client: &Client, layout: &Layout) -> Vec<String> {
    let client = client.clone().with_database("default");
    let changes = schema::check(&client, layout).await.unwrap();
    for sql in changes.iter().flat_map(|change| &change.fix) {
        run(&client, sql).await;
    }
    changes.into_iter().map(|change| format!("{}: {}", change.object, change.what)).collect()
}

#[tokio::test]
async fn an_empty_server_is_made_right_and_then_nothing_differs() {
    let (client, layout) = made("migrate_empty").await;
    assert_eq!(mend(&client, &layout).await, ["events: is not there", "stats_minute: is not there"]);
    assert_eq!(schema::check(&client, &layout).await.unwrap(), []);
    // What a start makes is the same.
    let (client, layout) = made("migrate_start").await;
    schema::apply(&client, &layout).await.unwrap();
    assert_eq!(schema::check(&client, &layout).await.unwrap(), []);
}

#[tokio::test]
async fn drift_made_by_hand_is_named_and_mended() {
    let (client, layout) = made("migrate_drift").await;
    schema::apply(&client, &layout).await.unwrap();
    for (drift, named) in [
        ("ALTER TABLE events DROP COLUMN goal", "events: column goal is not there"),
        (
            "ALTER TABLE events MODIFY COLUMN tag String CODEC(LZ4)",
            "events: codec of column tag is LZ4, should be ZSTD(1)",
        ),
        (
            "ALTER TABLE events MODIFY SETTING fsync_after_insert = 0",
            "events: setting fsync_after_insert is 0, should be 1",
        ),
        (
            "ALTER TABLE events RESET SETTING fsync_part_directory",
            "events: setting fsync_part_directory is not set, should be 1",
        ),
        ("ALTER TABLE events DROP INDEX log_at", "events: index log_at is not there"),
        ("ALTER TABLE events DROP PROJECTION per_minute", "events: projection per_minute is not there"),
        (
            "ALTER TABLE events MODIFY TTL toDateTime(time) + toIntervalYear(500)",
            "events: has a TTL: rows that go by age are differences to reconcile",
        ),
        ("DROP VIEW stats_minute", "stats_minute: is not there"),
    ] {
        run(&client, drift).await;
        assert_eq!(mend(&client, &layout).await, [named], "{drift}");
        assert_eq!(schema::check(&client, &layout).await.unwrap(), [], "{drift}");
    }
    run(&client, "CREATE OR REPLACE VIEW stats_minute AS SELECT 1 AS minute").await;
    run(&client, "ALTER TABLE events DROP PROJECTION per_minute").await;
    run(&client, "ALTER TABLE events ADD PROJECTION per_minute (SELECT count() GROUP BY type)").await;
    let mended = mend(&client, &layout).await;
    assert_eq!(mended.len(), 2, "{mended:?}");
    assert_eq!(schema::check(&client, &layout).await.unwrap(), []);
}

#[tokio::test]
async fn what_holds_rows_is_left_to_a_person() {
    let (client, layout) = made("migrate_hand").await;
    run(&client.clone().with_database("default"), "CREATE DATABASE migrate_hand").await;
    run(&client, "CREATE TABLE events (id UUID, type String, mine UInt8) ENGINE = ReplacingMergeTree ORDER BY id")
        .await;
    let changes = schema::check(&client, &layout).await.unwrap();
    let by_hand: Vec<&str> = changes.iter().filter(|c| c.fix.is_empty()).map(|c| c.what.as_str()).collect();
    assert_eq!(
        by_hand,
        [
            "engine is ReplacingMergeTree, should be MergeTree",
            "partition key is , should be toYYYYMM(time)",
            "sorting key is id, should be campaign_id, type, time",
            "column type is String, should be LowCardinality(String)",
            "column mine is none of ours",
        ]
    );
}

#[tokio::test]
async fn the_clusters_statements_are_clickhouses() {
    let (client, _) = made("default").await;
    let settings = StatisticsSettings {
        shards: vec![vec!["http://a".to_owned()]],
        cluster: Some("main".to_owned()),
        ..StatisticsSettings::default()
    };
    let layout = Layout::of(&settings);
    let mut statements = vec![layout.create_database()];
    statements.extend(layout.wanted().into_iter().map(|wanted| wanted.create));
    statements.push("SYSTEM SYNC REPLICA events_local LIGHTWEIGHT".to_owned());
    for sql in statements {
        // The server's own parser; it would refuse to run them without a Keeper.
        let parsed: String = client.query("SELECT formatQuerySingleLine(?)").bind(&sql).fetch_one().await.unwrap();
        assert!(parsed.contains("ON CLUSTER main") || parsed.starts_with("SYSTEM SYNC"), "{parsed}");
    }
}
