//! The Unix socket.

use crate::support::{id, start_with};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

#[actix_rt::test]
async fn a_unix_socket_serves_the_same_without_a_peer_address() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sidecar.sock");
    let side = start_with(|s| s.sidecar.unix_socket = Some(path.clone()));
    assert_eq!(side.running.addresses.unix.as_deref(), Some(path.as_path()));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o660);
    let body = format!(r#"{{"tag":"t","user_id":"{}"}}"#, id(1));
    let mut stream = UnixStream::connect(&path).await.unwrap();
    let request = format!(
        "POST /v1/click HTTP/1.1\r\nhost: anything\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    let events = side.events().await;
    assert_eq!((&events[0]["payload"]["ip"], &events[0]["payload"]["user_id"]), (&Value::Null, &Value::from(id(1))));
    side.stop().await;
    assert!(!path.exists(), "the socket's file goes with the sidecar");
}
