//! The command line as scripts see it: help with an example, exit codes, one-sentence errors.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests, where a failure is the test's")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};

fn penstock(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_penstock")).args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

const COMMANDS: [&[&str]; 20] = [
    &["up"],
    &["catalogue", "import"],
    &["catalogue", "export"],
    &["seed"],
    &["simulate"],
    &["ingest"],
    &["status"],
    &["reconcile"],
    &["dead", "list"],
    &["dead", "show"],
    &["user", "list"],
    &["user", "add"],
    &["user", "password"],
    &["token", "create"],
    &["token", "revoke"],
    &["check-config"],
    &["sidecar"],
    &["panel"],
    &["consume"],
    &[],
];

#[test]
fn every_command_has_help_with_an_example() {
    for command in COMMANDS {
        let output = penstock(&[command, &["--help"]].concat());
        assert_eq!(output.status.code(), Some(0), "{command:?}");
        let example = format!("Example: penstock {}", command.join(" "));
        assert!(stdout(&output).contains(example.trim_end()), "{command:?} shows no example:\n{}", stdout(&output));
    }
}

#[test]
fn wrong_usage_exits_with_2() {
    let wrong: [&[&str]; 9] = [
        &["no-such-command"],
        &["ingest"],
        &["simulate", "--rate", "0"],
        &["simulate", "--duration", "soon"],
        &["reconcile", "--wait", "11m"],
        &["status", "--panel", "localhost:7080"],
        &["seed", "--campaigns", "0"],
        &["consume", "everything"],
        &["consume", "balances", "--from", "x.ndjson"],
    ];
    for arguments in wrong {
        let output = penstock(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_role_that_this_build_does_not_have_says_so_in_one_sentence() {
    for arguments in [&["sidecar"][..], &["panel"], &["consume", "archive"]] {
        let output = penstock(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let text = stderr(&output);
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains("cluster profile") && text.contains("`penstock up`"), "{text}");
    }
}

#[test]
fn a_file_needs_a_clickhouse_that_takes_writes() {
    let config = tempfile::NamedTempFile::new().unwrap();
    let config = config.path().to_str().unwrap();
    for more in [&[][..], &["--config", config]] {
        let output = penstock(&[&["consume", "statistics", "--from", "x.ndjson"], more].concat());
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(stderr(&output).contains("`penstock ingest x.ndjson`"), "{}", stderr(&output));
    }
    let output = penstock(&["migrate", "statistics", "--yes", "--config", config]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(stderr(&output).contains("statistics.shards"), "{}", stderr(&output));
    assert_eq!(penstock(&["migrate", "statistics"]).status.code(), Some(2), "--check or --yes");
}

#[test]
fn a_system_that_is_not_there_is_named_with_what_to_do() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (url, file) = (format!("http://{port}"), tempfile::NamedTempFile::new().unwrap());
    let file = file.path().to_str().unwrap();
    let commands: [&[&str]; 5] = [
        &["status", "--panel", &url],
        &["reconcile", "--panel", &url],
        &["dead", "list", "--panel", &url],
        &["catalogue", "export", "--panel", &url],
        &["ingest", file, "--to", &url],
    ];
    for command in commands {
        let output = penstock(&[command, &["--ready-timeout", "200ms"]].concat());
        assert_eq!(output.status.code(), Some(1), "{command:?}");
        let text = stderr(&output);
        assert!(text.contains("penstock up") && text.contains(&port.to_string()), "{command:?}: {text}");
        assert_eq!(text.lines().count(), 1, "{text}");
    }
}

#[test]
fn check_config_shows_what_holds_and_names_a_bad_key_with_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let good = dir.path().join("good.toml");
    std::fs::write(&good, "[spool]\nsegment_bytes = 1048576\n").unwrap();
    let output = penstock(&["check-config", good.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let shown: toml::Table = toml::from_str(&stdout(&output)).unwrap();
    assert_eq!(shown["spool"]["segment_bytes"].as_integer(), Some(1_048_576));
    assert!(shown["intake"].get("max_body_bytes").is_some(), "defaults are shown too");
    let output = penstock(&["check-config", good.to_str().unwrap(), "--json"]);
    let shown: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(shown["spool"]["segment_bytes"], 1_048_576);

    let bad = dir.path().join("bad.toml");
    std::fs::write(&bad, "[spool]\n\nsegment_bites = 3\n").unwrap();
    let output = penstock(&["check-config", bad.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("segment_bites") && stderr(&output).contains("line 3"), "{}", stderr(&output));
    let output = penstock(&["check-config", "/nowhere/x.toml"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("/nowhere/x.toml"));
}

#[test]
fn the_configuration_in_the_tree_holds_the_defaults() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../config/embedded.toml");
    let empty = tempfile::NamedTempFile::new().unwrap();
    let shown = penstock(&["check-config", file]);
    assert_eq!(shown.status.code(), Some(0), "{}", stderr(&shown));
    assert_eq!(stdout(&shown), stdout(&penstock(&["check-config", empty.path().to_str().unwrap()])));
}

#[test]
fn a_made_up_catalogue_is_the_same_for_the_same_seed() {
    let seed = |n: &str| {
        let output = penstock(&["seed", "--campaigns", "10", "--tags", "20", "--seed", n, "--out", "-"]);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    let made = seed("4");
    assert_eq!(made["campaigns"].as_array().unwrap().len(), 10);
    assert_eq!(made["tags"].as_object().unwrap().len(), 20);
    assert_eq!(made, seed("4"));
    assert_ne!(made, seed("5"));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_penstock"))
        .args(["seed", "--campaigns", "2000", "--tags", "20000", "--out", "-"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()));
}

/// A server that is ready and answers each further request from `answers`.
fn server(answers: Vec<(&'static str, String)>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let mut answers = answers.into_iter();
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let (mut head, mut length) = (Vec::new(), 0);
            loop {
                let mut line = String::new();
                if stream.read_line(&mut line).unwrap_or(0) <= 2 {
                    break;
                }
                if let Some(n) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = n.trim().parse().unwrap();
                }
                head.push(line);
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body).unwrap();
            let (status, body) = match head.first() {
                Some(line) if line.starts_with("GET /readyz") => ("200 OK", String::new()),
                Some(_) => answers.next().unwrap_or(("500 Too Many", String::new())),
                None => continue,
            };
            let text =
                format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
            stream.get_mut().write_all(text.as_bytes()).unwrap();
        }
    });
    url
}

fn account(equal: bool, complete: bool) -> String {
    let time = "2026-01-01T00:00:00Z";
    let sink = serde_json::json!({"position": 5, "lag_events": 0, "events": 5, "dead": 0, "nanos": "7"});
    let totals = serde_json::json!({"log": "*", "partition": null, "acknowledged": 5, "statistics": sink,
        "balances": sink, "archive": sink, "equal": equal});
    serde_json::json!({"equal": equal, "complete": complete, "started": time, "finished": time,
        "partitions": [], "totals": totals, "differences": [], "differences_left_out": 0,
        "notes": ["a file is not ours"]})
    .to_string()
}

#[test]
fn reconcile_exits_with_4_on_a_difference_and_0_on_lag_alone() {
    for (equal, complete, code) in [(true, true, 0), (true, false, 0), (false, true, 4)] {
        for json in [&[][..], &["--json"]] {
            let url = server(vec![("200 OK", account(equal, complete))]);
            let output = penstock(&[&["reconcile", "--panel", &url][..], json].concat());
            assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
            assert_eq!(stderr(&output).contains("not all"), !complete);
            assert!(stdout(&output).contains("a file is not ours"));
        }
    }
}

#[test]
fn a_problem_of_the_panel_becomes_its_own_sentence() {
    let problem = r#"{"type":"urn:penstock:problem:invalid_catalogue","title":"Bad Request","status":400,
        "code":"invalid_catalogue","detail":"the catalogue has 1 error","errors":["campaigns[0]: no advertiser 9"]}"#;
    let url = server(vec![("400 Bad Request", problem.to_owned())]);
    let file = tempfile::NamedTempFile::new().unwrap();
    let output = penstock(&["catalogue", "import", file.path().to_str().unwrap(), "--panel", &url]);
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(
        text.contains("nothing was imported: the catalogue has 1 error\n  campaigns[0]: no advertiser 9"),
        "{text}"
    );
}

#[test]
fn ingest_lists_rejected_lines_and_exits_with_3() {
    let answer =
        r#"{"accepted":1,"rejected":[{"index":1,"code":"missing_field","field":"payload.tag","message":"no tag"}]}"#;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("two.ndjson");
    std::fs::write(&file, "{\"type\":\"click\"}\n\n{\"type\":\"visit\"}\n").unwrap();
    let file = file.to_str().unwrap();
    let url = server(vec![("202 Accepted", answer.to_owned())]);
    let output = penstock(&["ingest", file, "--to", &url]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert_eq!(stdout(&output), "line 3: missing_field (payload.tag): no tag\naccepted 1, rejected 1\n");
    let url = server(vec![("202 Accepted", answer.to_owned())]);
    let output = penstock(&["ingest", file, "--to", &url, "--json"]);
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((document["accepted"].as_u64(), document["rejected"].as_u64()), (Some(1), Some(1)));
    assert_eq!(document["rejected_lines"][0]["line"], 3);

    let url = server(vec![("202 Accepted", r#"{"accepted":2,"rejected":[]}"#.to_owned())]);
    let output = penstock(&["ingest", file, "--to", &url, "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((document["accepted"].as_u64(), &document["complete"]), (Some(2), &serde_json::Value::Bool(true)));

    let url = server(vec![(
        "401 Unauthorized",
        r#"{"title":"Unauthorized","detail":"the write key is unknown"}"#.to_owned(),
    )]);
    let output = penstock(&["ingest", file, "--to", &url]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("the write key is unknown"), "{}", stderr(&output));
}
