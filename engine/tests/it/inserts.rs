//! What goes in: formats, compression, and bodies that end early.

use crate::*;
use std::io::Write;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

async fn table(name: &str) {
    write("CREATE DATABASE IF NOT EXISTS inserts").await;
    write(&format!("DROP TABLE IF EXISTS inserts.{name}")).await;
    write(&format!(
        "CREATE TABLE inserts.{name} (a UInt64, b String) ENGINE = MergeTree ORDER BY a SETTINGS non_replicated_deduplication_window = 100"
    ))
    .await;
}

async fn count(name: &str) -> u64 {
    write(&format!("SELECT count() FROM inserts.{name}")).await.trim().parse().unwrap()
}

fn rows(n: usize) -> String {
    (0..n).map(|i| format!("{i};\t{i} rows; and FORMAT words, ); --\n")).collect::<String>().replace(";\t", "\t")
}

#[tokio::test]
async fn data_comes_behind_the_query_in_the_body_or_from_the_url() {
    table("places").await;
    write("INSERT INTO inserts.places VALUES (1, 'a;b'), (2, 'c')").await;
    write("INSERT INTO inserts.places (a, b) FORMAT CSV\n3,\"x;y\"\n4,z\n").await;
    let url =
        writer().query(&[("query", "INSERT INTO inserts.places FORMAT JSONEachRow")]).body("{\"a\":5,\"b\":\"q\"}");
    let answer = url.send().await.unwrap();
    let summary: serde_json::Value =
        serde_json::from_str(answer.headers()["X-ClickHouse-Summary"].to_str().unwrap()).unwrap();
    assert_eq!(summary["written_rows"], "1");
    // Binary data in which every byte may look like SQL.
    let mut binary = b"INSERT INTO inserts.places FORMAT RowBinary\n".to_vec();
    for value in [b";\n--/*'".as_slice(), b"`\0\xff;"] {
        binary.extend_from_slice(&9_u64.to_le_bytes());
        binary.push(u8::try_from(value.len()).unwrap());
        binary.extend_from_slice(value);
    }
    assert_eq!(outcome(writer().body(binary)).await, (200, 0, String::new()));
    write("INSERT INTO inserts.places SELECT number, 's' FROM numbers(10)").await;
    let text = write("SELECT count(), countIf(b = ';\\n--/*\\''), countIf(b = 'a;b') FROM inserts.places").await;
    assert_eq!(text, "17\t1\t1\n");
    assert_eq!(outcome(writer().body("INSERT INTO inserts.places FORMAT CSV\nnonsense,1")).await.1, 27);
    assert_eq!(outcome(writer().body("INSERT INTO inserts.nowhere VALUES (1)")).await.1, 60);
    assert_eq!(count("places").await, 17);
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn lz4(data: &[u8]) -> Vec<u8> {
    let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn compressed_bodies_are_inserted_and_cut_ones_leave_nothing() {
    table("compressed").await;
    let body = format!("INSERT INTO inserts.compressed FORMAT TSV\n{}", rows(20_000));
    let zstd = zstd::stream::encode_all(body.as_bytes(), 1).unwrap();
    for (encoding, bytes) in [("gzip", gzip(body.as_bytes())), ("zstd", zstd), ("lz4", lz4(body.as_bytes()))] {
        let before = count("compressed").await;
        for cut in [bytes.len() / 2, bytes.len() - 1] {
            let cut = writer().header("content-encoding", encoding).body(bytes[..cut].to_vec());
            let (status, code, text) = outcome(cut).await;
            assert_eq!((status, code), (400, 33), "{encoding}: {text}");
        }
        assert_eq!(count("compressed").await, before, "{encoding}");
        let whole = writer()
            .query(&[("insert_deduplication_token", encoding)])
            .header("content-encoding", encoding)
            .body(bytes);
        assert_eq!(outcome(whole).await, (200, 0, String::new()), "{encoding}");
        assert_eq!(count("compressed").await, before + 20_000, "{encoding}");
    }
    assert_eq!(outcome(writer().header("content-encoding", "br").body("SELECT 1")).await.0, 415);
}

/// Sends the head and half of an INSERT's body by hand, then leaves.
async fn cut_off(head: &str, body: &[u8], answered: bool) {
    let address = shared().url.trim_start_matches("http://");
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nX-ClickHouse-User: penstock\r\nX-ClickHouse-Key: {}\r\n{head}\r\n\r\n",
        shared().secret
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    stream.flush().await.unwrap();
    if answered {
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        assert!(!answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    }
}

#[tokio::test]
async fn an_insert_whose_body_ends_early_leaves_nothing() {
    table("cut").await;
    let small = format!("INSERT INTO inserts.cut FORMAT TSV\n{}", rows(1000));
    // More than several of the engine's blocks, and more than is kept in memory.
    let large = format!("INSERT INTO inserts.cut SETTINGS max_insert_block_size = 1000 FORMAT TSV\n{}", rows(600_000));
    for body in [&small, &large] {
        for answered in [true, false] {
            let length = format!("Content-Length: {}", body.len() + 1);
            cut_off(&length, body.as_bytes(), answered).await;
            let chunk = format!("{:x}\r\n{body}\r\n", body.len());
            cut_off("Transfer-Encoding: chunked", chunk.as_bytes(), answered).await;
        }
    }
    until("no insert is under way", || async { metric("penstock_engine_queries_running").await == 0.0 }).await;
    assert_eq!(count("cut").await, 0);
    let whole = format!("{:x}\r\n{small}\r\n0\r\n\r\n", small.len());
    let address = shared().url.trim_start_matches("http://");
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nX-ClickHouse-Key: {}\r\nTransfer-Encoding: chunked\r\n\r\n{whole}",
        shared().secret
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    assert_eq!(count("cut").await, 1000);
}

#[tokio::test]
async fn the_same_token_twice_counts_once() {
    table("token").await;
    for _ in 0..3 {
        let insert = writer()
            .query(&[
                ("query", "INSERT INTO inserts.token FORMAT TSV"),
                ("insert_deduplication_token", "range-1"),
                ("async_insert", "0"),
            ])
            .body("1\ta\n2\tb\n");
        assert_eq!(outcome(insert).await.0, 200);
    }
    assert_eq!(count("token").await, 2);
}

#[tokio::test]
async fn a_body_longer_than_allowed_is_refused_whole() {
    table("long").await;
    let bomb = gzip(format!("INSERT INTO inserts.long FORMAT TSV\n{}", "1\tx\n".repeat(20_000_000)).as_bytes());
    assert!(bomb.len() < 1 << 20);
    let (status, code, text) = outcome(writer().header("content-encoding", "gzip").body(bomb)).await;
    assert_eq!((status, code), (413, 432), "{text}");
    assert_eq!(count("long").await, 0);
}

#[tokio::test]
async fn an_insert_that_its_client_gave_up_does_not_begin_any_more() {
    table("late").await;
    let insert = |by: &str| writer().header("X-Penstock-Begin-By", by).body("INSERT INTO inserts.late VALUES (1, 'a')");
    assert_eq!(outcome(insert("1000000")).await.1, 159);
    assert_eq!(count("late").await, 0);
    assert_eq!(outcome(insert("9000000000000000")).await.0, 200);
    assert_eq!(count("late").await, 1);
}

#[tokio::test]
async fn a_query_id_in_use_is_refused_until_its_request_has_ended() {
    table("id").await;
    let with_id = |sql: &'static str| writer().query(&[("query_id", "the-range")]).body(sql);
    let running = tokio::spawn(
        with_id("INSERT INTO inserts.id SELECT number, sleepEachRow(0.5) FROM numbers(4) SETTINGS max_block_size = 1")
            .send(),
    );
    let seen = "SELECT count() FROM system.processes WHERE Settings['log_comment'] = 'the-range'";
    until("the insert runs", || async { ask(seen).await.2 == "1\n" }).await;
    assert_eq!(outcome(with_id("SELECT 1")).await.1, 216);
    assert_eq!(running.await.unwrap().unwrap().status(), 200);
    assert_eq!(outcome(with_id("SELECT 1")).await.0, 200);
    assert_eq!(count("id").await, 4);
}
