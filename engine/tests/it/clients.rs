//! The unmodified `clickhouse` crate, with its own compression.

use crate::*;
use arrow::array::{Int64Array, RecordBatch, StringArray};
use arrow::ipc::writer::StreamWriter;
use clickhouse::{Client, Compression, Row};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

#[derive(Clone, Debug, PartialEq, Row, Serialize, Deserialize)]
struct Event {
    id: u64,
    name: String,
    tags: Vec<String>,
    price: Option<i64>,
}

fn client(compression: Compression) -> Client {
    Client::default()
        .with_url(&shared().url)
        .with_user("penstock")
        .with_password(&shared().secret)
        .with_compression(compression)
}

async fn table(name: &str) {
    write("CREATE DATABASE IF NOT EXISTS clients").await;
    write(&format!("DROP TABLE IF EXISTS clients.{name}")).await;
    write(&format!(
        "CREATE TABLE clients.{name} (id UInt64, name String, tags Array(String), price Nullable(Int64)) ENGINE = MergeTree ORDER BY id"
    ))
    .await;
}

#[tokio::test]
async fn rows_go_in_and_come_out_with_and_without_lz4() {
    for (name, compression) in [("lz4", Compression::Lz4), ("plain", Compression::None)] {
        table(name).await;
        let client = client(compression).with_database("clients");
        let rows: Vec<Event> = (0..50_000)
            .map(|id| Event {
                id,
                name: format!("event {id}"),
                tags: vec!["a".into(), id.to_string()],
                price: (id % 3 == 0).then_some(-1),
            })
            .collect();
        let mut insert = client.insert::<Event>(name).await.unwrap();
        for row in &rows {
            insert.write(row).await.unwrap();
        }
        insert.end().await.unwrap();
        let back = client.query(&format!("SELECT ?fields FROM {name} ORDER BY id")).fetch_all::<Event>().await.unwrap();
        assert!(back == rows, "{name}");
        let one = client.query("SELECT {x:UInt64} + ?").bind(2).param("x", 40_u64).fetch_one::<u64>().await.unwrap();
        assert_eq!(one, 42);
    }
}

#[tokio::test]
async fn an_insert_that_is_dropped_leaves_nothing() {
    table("dropped").await;
    let client = client(Compression::Lz4).with_database("clients");
    let mut insert = client.insert::<Event>("dropped").await.unwrap();
    for id in 0..200_000 {
        insert.write(&Event { id, name: "x".repeat(100), tags: Vec::new(), price: None }).await.unwrap();
    }
    drop(insert);
    until("no insert is under way", || async { metric("penstock_engine_queries_running").await == 0.0 }).await;
    assert_eq!(client.query("SELECT count() FROM dropped").fetch_one::<u64>().await.unwrap(), 0);
}

#[tokio::test]
async fn an_arrow_stream_goes_in_column_by_column() {
    table("arrow").await;
    let batch = RecordBatch::try_from_iter([
        ("id", Arc::new(Int64Array::from(vec![1, 2, 3])) as Arc<dyn arrow::array::Array>),
        ("name", Arc::new(StringArray::from(vec!["a", "b", "c"]))),
    ])
    .unwrap();
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    let bytes = writer.into_inner().unwrap();
    let client = client(Compression::Lz4).with_database("clients");
    let mut insert = client
        .insert_formatted_with("INSERT INTO arrow (id, name) FORMAT ArrowStream")
        .with_setting("async_insert", "0");
    insert.send(bytes.into()).await.unwrap();
    insert.end().await.unwrap();
    assert_eq!(client.query("SELECT sum(id) FROM arrow WHERE name != ''").fetch_one::<u64>().await.unwrap(), 6);
}

#[tokio::test]
async fn its_errors_are_clickhouses() {
    let client = client(Compression::Lz4);
    let error = client.query("SELECT * FROM nowhere.t").fetch_one::<u64>().await.unwrap_err().to_string();
    assert!(error.contains("Code: 81. DB::Exception"), "{error}");
    let sql = "SELECT throwIf(number = 1500000) FROM numbers(2000000) SETTINGS max_block_size = 10000";
    let error = client.query(sql).fetch_all::<u8>().await.unwrap_err().to_string();
    assert!(error.contains("Code: 395"), "{error}");
}
