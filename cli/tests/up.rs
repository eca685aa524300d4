//! How `penstock up` refuses to start: exit code 1 and one sentence that names the part.
//!
//! What it does once it runs is shown by the end-to-end tests.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests, where a failure is the test's")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Starts `penstock up` in `folder`, with an engine library that is not there.
fn up(folder: &Path, sidecar: SocketAddr, panel: SocketAddr, extra: &str) -> Child {
    up_with(folder, sidecar, panel, extra, "")
}

/// The same with further keys of the panel.
fn up_with(folder: &Path, sidecar: SocketAddr, panel: SocketAddr, extra: &str, panel_extra: &str) -> Child {
    let config = folder.join("penstock.toml");
    let engine = free();
    let text = format!(
        "{extra}\n[sidecar]\nlisten = \"{sidecar}\"\nworkers = 1\n[panel]\nlisten = \"{panel}\"\n{panel_extra}\n[engine]\nlisten = \"{engine}\"\nlibrary = \"{}\"\n",
        folder.join("no-such-library.so").display()
    );
    std::fs::write(&config, text).unwrap();
    Command::new(env!("CARGO_BIN_EXE_penstock"))
        .args(["up", "--data"])
        .arg(folder.join("data"))
        .arg("--config")
        .arg(&config)
        .env("PENSTOCK_LOG", "off")
        .env_remove("PENSTOCK_LIBCHDB")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Its one sentence, when it exits with 1.
fn refusal(child: Child) -> String {
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(output.stdout.is_empty());
    assert_eq!(text.trim_end().lines().count(), 1, "more than a sentence:\n{text}");
    text
}

#[test]
fn a_port_that_is_taken_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let text = refusal(up(folder.path(), address, free(), ""));
    assert!(text.contains("sidecar") && text.contains(&address.to_string()), "{text}");
    let text = refusal(up(folder.path(), free(), address, ""));
    assert!(text.contains("panel") && text.contains(&address.to_string()), "{text}");
}

#[test]
fn an_engine_library_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let text = refusal(up(folder.path(), free(), free(), ""));
    assert!(text.contains("ClickHouse engine") && text.contains("no-such-library.so"), "{text}");
}

#[test]
fn a_data_folder_belongs_to_one_process() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("data")).unwrap();
    let lock = std::fs::File::create(folder.path().join("data/lock")).unwrap();
    lock.lock().unwrap();
    let text = refusal(up(folder.path(), free(), free(), ""));
    assert!(text.contains("another penstock runs on the data folder"), "{text}");
}

#[test]
fn an_address_beyond_loopback_needs_consent_and_a_wrong_setting_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let everywhere = SocketAddr::from(([0, 0, 0, 0], free().port()));
    let text = refusal(up(folder.path(), everywhere, free(), ""));
    assert!(text.contains("sidecar.listen") && text.contains("open_to_network = true"), "{text}");
    let mut child = up(folder.path(), free(), free(), "open_too_network = true");
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert!(text.contains("open_too_network") && text.contains("line 1"), "{text}");
    // An open panel stays on loopback, whatever else is said.
    let text = refusal(up(folder.path(), free(), everywhere, "open_to_network = true"));
    assert!(text.contains("panel.listen") && text.contains("panel.access"), "{text}");
}

#[test]
fn an_engine_that_has_worked_before_does_not_take_intake_down_with_it() {
    let folder = tempfile::tempdir().unwrap();
    // What the engine leaves once it has had tables.
    std::fs::create_dir_all(folder.path().join("data/clickhouse/store")).unwrap();
    let sidecar = free();
    let mut child = up(folder.path(), sidecar, free(), "");
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("penstock is ready"), "{line}");
    let mut connection = TcpStream::connect(sidecar).unwrap();
    let body = r#"{"type":"visit","payload":{"campaign_id":7}}"#;
    write!(
        connection,
        "POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    let stopped = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(stopped.success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// The answer to a GET, with a token when there is one.
fn get(address: SocketAddr, path: &str, token: Option<&str>) -> String {
    let mut connection = TcpStream::connect(address).unwrap();
    let token = token.map(|t| format!("Authorization: Bearer {t}\r\n")).unwrap_or_default();
    write!(connection, "GET {path} HTTP/1.1\r\nHost: localhost\r\n{token}Connection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn the_first_start_with_logins_tells_a_password_once_and_leaves_the_commands_a_token() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("data/clickhouse/store")).unwrap();
    let file = folder.path().join("data/panel.token");
    let mut tokens = Vec::<String>::new();
    for first in [true, false] {
        let panel = free();
        let mut child = up_with(folder.path(), free(), panel, "", "access = \"login\"");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let told: Vec<String> = lines.by_ref().take_while(|line| !line.contains("Ctrl-C")).collect();
        let password = told.iter().find(|line| line.contains("one-time password"));
        assert_eq!(password.is_some(), first, "{told:?}");
        let token = std::fs::read_to_string(&file).unwrap().trim().to_owned();
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(get(panel, "/api/v1/users", None).starts_with("HTTP/1.1 401"));
        let users = get(panel, "/api/v1/users", Some(&token));
        assert!(users.starts_with("HTTP/1.1 200") && users.contains("\"admin\""), "{users}");
        if let Some(before) = tokens.last() {
            assert!(get(panel, "/api/v1/users", Some(before)).starts_with("HTTP/1.1 401"), "a new one each start");
        }
        tokens.push(token);
        assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
}
