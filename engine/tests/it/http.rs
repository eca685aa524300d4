//! Plain HTTP, as curl and any ClickHouse client speak it.

use crate::*;
use futures::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn a_query_in_the_url_or_the_body_is_answered() {
    let url = &shared().url;
    let answer = reqwest::get(format!("{url}/?query=SELECT%201%2B1")).await.unwrap();
    assert_eq!(answer.headers()["X-ClickHouse-Format"], "TabSeparated");
    assert!(!answer.headers()["X-ClickHouse-Query-Id"].is_empty());
    assert_eq!(answer.text().await.unwrap(), "2\n");
    assert_eq!(ask("SELECT 3;").await, (200, 0, "3\n".to_owned()));
    assert_eq!(ask("SELECT timezone()").await.2, "UTC\n");
    // The body goes on where the URL's query ends.
    let both = reader().query(&[("query", "SELECT 4 +")]).body("5");
    assert_eq!(outcome(both).await.2, "9\n");
    assert_eq!(reqwest::get(format!("{url}/ping")).await.unwrap().text().await.unwrap(), "Ok.\n");
    assert_eq!(reqwest::get(url).await.unwrap().text().await.unwrap(), "Ok.\n");
    for route in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(reqwest::get(format!("{url}{route}")).await.unwrap().status(), 200, "{route}");
    }
}

#[tokio::test]
async fn the_format_comes_from_the_query_then_the_url_then_the_header() {
    let sql = "SELECT number AS n FROM numbers(2)";
    let (_, _, json) = outcome(reader().body(format!("{sql} FORMAT JSONCompactEachRow"))).await;
    assert_eq!(json, "[0]\n[1]\n");
    let url = reader().query(&[("default_format", "CSVWithNames")]).header("X-ClickHouse-Format", "JSON").body(sql);
    assert_eq!(outcome(url).await.2, "\"n\"\n0\n1\n");
    let answer = reader().header("X-ClickHouse-Format", "JSON").body(sql).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/json; charset=UTF-8");
    let json: serde_json::Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert_eq!((json["rows"].as_u64(), json["data"][1]["n"].as_u64()), (Some(2), Some(1)));
    // Statements that are no SELECT come in the format asked for, too.
    assert_eq!(ask("SHOW DATABASES LIKE 'system' FORMAT TSVWithNames").await.2, "name\nsystem\n");
    assert_eq!(ask("SELECT 1 FORMAT Nonsense").await.1, 73);
}

#[tokio::test]
async fn a_result_in_many_blocks_is_one_document_in_every_format() {
    let rows = "SELECT number AS n, toString(number) AS `s\"\n`, toLowCardinality('x') AS l FROM numbers(5)";
    for format in [
        "RowBinary",
        "RowBinaryWithNames",
        "RowBinaryWithNamesAndTypes",
        "TSV",
        "TSVWithNames",
        "TabSeparatedWithNamesAndTypes",
        "TSVRaw",
        "CSV",
        "CSVWithNames",
        "CSVWithNamesAndTypes",
        "JSON",
        "JSONCompact",
        "JSONEachRow",
        "JSONCompactEachRowWithNamesAndTypes",
        "JSONColumns",
        "Values",
        "Vertical",
        "Pretty",
        "PrettyCompact",
        "XML",
        "Markdown",
        "MsgPack",
        "TSKV",
    ] {
        let bytes = |sql: String| async move { reader().body(sql).send().await.unwrap().bytes().await.unwrap() };
        let whole = bytes(format!("{rows} FORMAT {format}")).await;
        let pieces = bytes(format!("{rows} SETTINGS max_block_size = 1 FORMAT {format}")).await;
        let timeless = |b: &[u8]| {
            let text = String::from_utf8_lossy(b).into_owned();
            text.lines().filter(|l| !l.contains("elapsed")).collect::<Vec<_>>().join("\n")
        };
        assert_eq!(timeless(&whole), timeless(&pieces), "{format}");
        assert!(!whole.is_empty(), "{format}");
    }
    for format in ["ArrowStream", "Native", "Parquet", "Arrow", "Avro"] {
        // Read back by the engine itself: the bytes differ with the blocks, the rows do not.
        let data = reader()
            .body(format!("SELECT number AS n FROM numbers(5) SETTINGS max_block_size = 1 FORMAT {format}"))
            .send()
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap();
        write("CREATE DATABASE IF NOT EXISTS formats").await;
        write(&format!("CREATE OR REPLACE TABLE formats.t_{format} (n UInt64) ENGINE = Memory")).await;
        let insert = writer().query(&[("query", format!("INSERT INTO formats.t_{format} FORMAT {format}"))]).body(data);
        assert_eq!(outcome(insert).await.2, "", "{format}");
        assert_eq!(write(&format!("SELECT count(), sum(n) FROM formats.t_{format}")).await, "5\t10\n", "{format}");
    }
}

#[tokio::test]
async fn totals_are_the_same_in_many_blocks_and_in_one() {
    for format in ["TSV", "CSV", "JSONEachRow", "JSON"] {
        let sql = |block| {
            format!(
                "SELECT number % 3 AS n, count() AS c FROM numbers(30) GROUP BY n WITH TOTALS ORDER BY n SETTINGS max_block_size = {block} FORMAT {format}"
            )
        };
        let timeless = |text: String| text.lines().filter(|l| !l.contains("elapsed")).collect::<Vec<_>>().join("\n");
        assert_eq!(timeless(ask(&sql(1)).await.2), timeless(ask(&sql(65536)).await.2), "{format}");
    }
}

#[tokio::test]
async fn parameters_are_bound_and_never_become_sql() {
    let evil = "x'; DROP TABLE t; --\\";
    let escaped = evil.replace('\\', "\\\\");
    let url = reader()
        .query(&[("param_s", escaped.as_str()), ("param_n", "7")])
        .body("SELECT {s:String}, {n:UInt8} + 1 FORMAT RowBinary");
    let answer = url.send().await.unwrap().bytes().await.unwrap();
    assert_eq!(&answer[1..=evil.len()], evil.as_bytes());
    assert_eq!(u16::from_le_bytes(answer[evil.len() + 1..].try_into().unwrap()), 8);
    let form = "--b\r\nContent-Disposition: form-data; name=\"query\"\r\n\r\nSELECT {a:Array(UInt8)}[2]\r\n\
                --b\r\nContent-Disposition: form-data; name=\"param_a\"\r\n\r\n[4,5]\r\n--b--\r\n";
    let form = reader().header("content-type", "multipart/form-data; boundary=b").body(form);
    assert_eq!(outcome(form).await, (200, 0, "5\n".to_owned()));
    assert_eq!(ask("SELECT {missing:UInt8}").await.1, 456);
}

#[tokio::test]
async fn exceptions_carry_clickhouses_code_status_and_text() {
    for (sql, status, code, name) in [
        ("SELECT * FROM nowhere", 404, 60, "UNKNOWN_TABLE"),
        ("SELECT * FROM nowhere.t", 404, 81, "UNKNOWN_DATABASE"),
        ("SELECT nope", 404, 47, "UNKNOWN_IDENTIFIER"),
        ("SELEC 1", 400, 62, "SYNTAX_ERROR"),
        ("", 400, 62, "SYNTAX_ERROR"),
        ("SELECT 1; SELECT 2", 400, 62, "SYNTAX_ERROR"),
        ("SELECT 1; nonsense", 400, 62, "SYNTAX_ERROR"),
        ("SELECT throwIf(1)", 500, 395, "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO"),
    ] {
        let (got_status, got_code, text) = ask(sql).await;
        assert_eq!((got_status, got_code), (status, code), "{sql}: {text}");
        assert!(
            text.starts_with(&format!("Code: {code}. DB::Exception: ")) && text.contains(&format!("({name})")),
            "{text}"
        );
    }
    let unknown = reader().query(&[("nonsense_setting", "1")]).body("SELECT 1");
    assert_eq!(outcome(unknown).await.1, 115);
    let database = reader().query(&[("database", "nowhere")]).body("SELECT 1");
    assert_eq!(outcome(database).await.1, 81);
    let long = reader().body(format!("SELECT '{}'", "x".repeat(1 << 17)));
    assert_eq!(outcome(long).await.0, 413);
}

#[tokio::test]
async fn settings_hold_for_their_request_alone() {
    let sql = "SELECT getSetting('max_block_size')";
    let with = reader().query(&[("max_block_size", "1234"), ("log_comment", "it's mine")]).body(sql);
    assert_eq!(outcome(with).await.2, "1234\n");
    assert_ne!(ask(sql).await.2, "1234\n");
}

#[tokio::test]
async fn readers_may_ask_anything_and_change_nothing() {
    write("CREATE DATABASE IF NOT EXISTS readers").await;
    write("CREATE TABLE IF NOT EXISTS readers.t (a UInt8) ENGINE = MergeTree ORDER BY a").await;
    let before = write("SELECT count() FROM readers.t").await;
    for sql in [
        "INSERT INTO readers.t VALUES (1)",
        "INSERT INTO readers.t SELECT 1",
        "CREATE TABLE readers.u (a UInt8) ENGINE = Memory",
        "DROP TABLE readers.t",
        "ALTER TABLE readers.t DELETE WHERE 1",
        "TRUNCATE TABLE readers.t",
        "SET readonly = 0",
        "SELECT 1 SETTINGS readonly = 0",
        "SYSTEM FLUSH LOGS",
        "KILL QUERY WHERE 1",
        "OPTIMIZE TABLE readers.t",
        "CREATE FUNCTION f AS x -> x",
        "ATTACH TABLE readers.x",
        "DETACH TABLE readers.t",
        "BACKUP DATABASE readers TO File('x')",
    ] {
        let (status, code, text) = ask(sql).await;
        assert!(matches!(code, 164 | 497), "{sql}: {status} {text}");
    }
    for value in ["0", "1"] {
        let (_, code, text) =
            outcome(reader().query(&[("readonly", value)]).body("INSERT INTO readers.t SELECT 1")).await;
        assert_eq!(code, 164, "{text}");
    }
    // Files, other servers, and the engine's output beside HTTP.
    for sql in [
        "SELECT * FROM file('/etc/hostname', 'LineAsString')",
        "SELECT file('/etc/hostname')",
        "SELECT * APPLY(`file`) FROM (SELECT '/etc/hostname')",
        "SELECT * FROM url('http://127.0.0.1:1/', 'CSV', 'a String')",
        "SELECT * FROM remote('127.0.0.1', 'system.one')",
        "SELECT 1 INTO OUTFILE '/tmp/x'",
        "SELECT * FROM `/etc/hostname`",
        "INSERT INTO FUNCTION file('/tmp/x.csv') SELECT 1",
        "SELECT * FROM mysql('127.0.0.1:1', 'a', 'b', 'c', 'd')",
        "SELECT * FROM s3('http://127.0.0.1:1/bucket/x', 'CSV', 'a String')",
    ] {
        let (_, code, text) = ask(sql).await;
        assert!(matches!(code, 164 | 497), "{sql}: {text}");
    }
    let get = reqwest::Client::new()
        .get(&shared().url)
        .query(&[("query", "INSERT INTO readers.t SELECT 1")])
        .header("X-ClickHouse-User", "penstock")
        .header("X-ClickHouse-Key", &shared().secret);
    assert_eq!(outcome(get).await.1, 164, "GET changes nothing, whoever asks");
    assert_eq!(write("SELECT count() FROM readers.t").await, before);
    assert_eq!(ask("SHOW TABLES FROM readers").await.2, "t\n");
}

#[tokio::test]
async fn a_wrong_password_is_refused_and_does_not_read_either() {
    for (user, key) in [("penstock", "wrong"), ("penstock", ""), ("default", "wrong"), ("somebody", "")] {
        let request = reader().header("X-ClickHouse-User", user).header("X-ClickHouse-Key", key).body("SELECT 1");
        let (status, code, _) = outcome(request).await;
        assert_eq!((status, code), (403, 516), "{user}/{key}");
    }
    let basic = reader().basic_auth("penstock", Some(&shared().secret)).body("CREATE DATABASE IF NOT EXISTS basic");
    assert_eq!(outcome(basic).await.0, 200);
    let in_url =
        reader().query(&[("user", "penstock"), ("password", &shared().secret)]).body("DROP DATABASE IF EXISTS basic");
    assert_eq!(outcome(in_url).await.0, 200);
}

#[tokio::test]
async fn other_names_for_this_address_and_foreign_origins_are_refused() {
    for (name, value) in [
        ("host", "evil.example"),
        ("host", "127.0.0.1.evil.example:8123"),
        ("origin", "http://evil.example"),
        ("origin", "null"),
    ] {
        assert_eq!(outcome(reader().header(name, value).body("SELECT 1")).await.0, 403, "{name}: {value}");
    }
    for (name, value) in [("host", "localhost:8123"), ("host", "[::1]:8123"), ("origin", shared().url.as_str())] {
        assert_eq!(outcome(reader().header(name, value).body("SELECT 1")).await.0, 200, "{name}: {value}");
    }
}

#[tokio::test]
async fn a_query_past_its_memory_limit_fails_with_241_and_the_engine_lives() {
    let hungry = "SELECT length(groupArray(toString(number))) FROM numbers(100000000)";
    let (status, code, text) = ask(hungry).await;
    assert_eq!((status, code), (500, 241), "{text}");
    let raised = reader().query(&[("max_memory_usage", "0")]).body(hungry);
    assert_eq!(outcome(raised).await.1, 452, "nobody raises the limit");
    assert_eq!(ask("SELECT 1").await.2, "1\n");
}

/// Kilobytes of memory that the engine's process holds in RAM.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_huge_result_streams_through_flat_memory() {
    let sql = "SELECT number, repeat('x', 100) FROM numbers(6000000) FORMAT TSV";
    let answer = reader().body(sql).send().await.unwrap();
    let mut body = answer.bytes_stream();
    let (mut bytes, mut peak) = (0_u64, 0);
    let before = resident(shared().pid);
    while let Some(piece) = body.next().await {
        bytes += piece.unwrap().len() as u64;
        peak = peak.max(resident(shared().pid));
    }
    assert!(bytes > 600_000_000, "{bytes}");
    assert!(peak < before + 300_000, "{before} kB before, {peak} kB at most, for {bytes} bytes");
}

#[tokio::test]
async fn an_error_after_the_first_rows_is_told_in_the_body_and_by_the_transfer() {
    let sql = "SELECT throwIf(number = 1500000) FROM numbers(2000000) SETTINGS max_block_size = 10000";
    let answer = reader().body(sql).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let tag = answer.headers()["X-ClickHouse-Exception-Tag"].to_str().unwrap().to_owned();
    let mut body = answer.bytes_stream();
    let (mut text, mut broken) = (Vec::new(), false);
    while let Some(piece) = body.next().await {
        match piece {
            Ok(piece) => text.extend_from_slice(&piece),
            Err(_) => broken = true,
        }
    }
    let text = String::from_utf8(text).unwrap();
    assert!(broken, "the transfer does not look whole");
    assert!(text.contains(&format!("__exception__\r\n{tag}\r\nCode: 395.")), "{}", &text[text.len() - 300..]);
    // Held back, the same query is a plain error.
    let held = reader().query(&[("wait_end_of_query", "1")]).body(sql);
    assert_eq!(outcome(held).await.1, 395);
}

#[tokio::test]
async fn results_are_compressed_as_asked() {
    let sql = "SELECT repeat('abc', 1000) FROM numbers(1000)";
    let plain = ask(sql).await.2;
    for encoding in ["gzip", "deflate", "zstd", "lz4"] {
        let answer = reader().header("accept-encoding", encoding).body(sql).send().await.unwrap();
        assert_eq!(answer.headers()["content-encoding"], encoding);
        let bytes = answer.bytes().await.unwrap();
        assert!(bytes.len() < plain.len() / 10, "{encoding}: {}", bytes.len());
        let mut text = String::new();
        use std::io::Read;
        match encoding {
            "gzip" => flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text),
            "deflate" => flate2::read::ZlibDecoder::new(&bytes[..]).read_to_string(&mut text),
            "zstd" => zstd::stream::read::Decoder::new(&bytes[..]).unwrap().read_to_string(&mut text),
            _ => lz4_flex::frame::FrameDecoder::new(&bytes[..]).read_to_string(&mut text),
        }
        .unwrap();
        assert!(text == plain, "{encoding}");
    }
    let off = reader().header("accept-encoding", "gzip").query(&[("enable_http_compression", "0")]).body("SELECT 1");
    assert_eq!(outcome(off).await.2, "1\n");
}

/// Sends a query by hand and gives the open connection.
async fn by_hand(sql: &str) -> tokio::net::TcpStream {
    let address = shared().url.trim_start_matches("http://");
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = format!("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{sql}", sql.len());
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn the_query_of_a_client_that_leaves_is_ended() {
    let marker = "SELECT count() FROM numbers(1000000000000) WHERE NOT ignore('the leaver')";
    let running = || async {
        ask("SELECT count() FROM system.processes WHERE query LIKE '%the leaver%' AND query NOT LIKE '%processes%'")
            .await
            .2
            == "1\n"
    };
    let stream = by_hand(marker).await;
    until("the query runs", running).await;
    drop(stream);
    until("the query is ended", || async { !running().await }).await;
}

#[tokio::test]
async fn a_body_that_stops_arriving_is_given_up() {
    let address = shared().url.trim_start_matches("http://");
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nSELECT").await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");
}
