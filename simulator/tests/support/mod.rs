//! A sidecar as small as can be, that answers badly on purpose: it keeps events under their
//! `Idempotency-Key`, and drops connections before or after it has kept them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What the server does with one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "each test binary uses some of them")]
pub enum Mood {
    /// Keeps and answers.
    Good,
    /// Drops the connection, nothing is kept.
    DropBefore,
    /// Keeps the events and drops the connection without an answer.
    DropAfter,
    /// Keeps the events and sends half an answer.
    HalfAnswer,
    /// Keeps nothing and answers 503.
    Full,
    /// Answers 413 when the body has more than so many bytes.
    AtMost(usize),
}

/// What the server has seen.
#[derive(Default)]
pub struct Seen {
    /// Requests in all.
    pub requests: usize,
    /// Kept events, as their lines, in the order they came.
    pub kept: Vec<String>,
    /// Key → body and answer.
    pub keys: HashMap<String, (Vec<u8>, String)>,
    /// Requests that repeated a key that was kept already.
    pub repeats: usize,
}

pub struct Sidecar {
    pub url: String,
    pub seen: Arc<Mutex<Seen>>,
}

/// Starts a server; `mood` decides by the number of the request, from 0.
pub async fn sidecar(mood: impl Fn(usize) -> Mood + Send + Sync + 'static) -> Sidecar {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (seen, mood) = (Arc::new(Mutex::new(Seen::default())), Arc::new(mood));
    let shared = seen.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (seen, mood) = (shared.clone(), mood.clone());
            tokio::spawn(async move { serve(stream, &seen, &*mood).await });
        }
    });
    Sidecar { url, seen }
}

async fn serve(stream: TcpStream, seen: &Mutex<Seen>, mood: &(impl Fn(usize) -> Mood + Sync)) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let (key, body) = request(&mut stream).await?;
        let mood = {
            let mut seen = seen.lock().unwrap();
            seen.requests += 1;
            mood(seen.requests - 1)
        };
        let (status, answer) = match mood {
            Mood::DropBefore => return None,
            Mood::Full => ("503 Service Unavailable\r\nRetry-After: 0", r#"{"code":"spool_full"}"#.to_owned()),
            Mood::AtMost(bytes) if body.len() > bytes => ("413 Payload Too Large", "{}".to_owned()),
            _ => keep(&mut seen.lock().unwrap(), &key, body),
        };
        let mut bytes = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{answer}", answer.len()).into_bytes();
        match mood {
            Mood::DropAfter => return None,
            Mood::HalfAnswer => bytes.truncate(bytes.len() - answer.len() / 2),
            _ => {}
        }
        stream.write_all(&bytes).await.ok()?;
        if mood == Mood::HalfAnswer {
            return None;
        }
    }
}

async fn request(stream: &mut BufReader<TcpStream>) -> Option<(String, Vec<u8>)> {
    let (mut key, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            match name.to_ascii_lowercase().as_str() {
                "idempotency-key" => key = value.trim().to_owned(),
                "content-length" => length = value.trim().parse().unwrap(),
                _ => {}
            }
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some((key, body))
}

/// Lines with `"bad"` in them are rejected, all others kept; a repeated key gets its old answer.
fn keep(seen: &mut Seen, key: &str, body: Vec<u8>) -> (&'static str, String) {
    if let Some((first, answer)) = seen.keys.get(key) {
        assert_eq!(*first, body, "the key {key} came with another body");
        let answer = answer.clone();
        seen.repeats += 1;
        return ("202 Accepted", answer);
    }
    let (mut accepted, mut rejected) = (0, Vec::new());
    for (index, line) in std::str::from_utf8(&body).unwrap().lines().enumerate() {
        if line.contains("\"bad\"") {
            rejected.push(format!(r#"{{"index":{index},"code":"invalid","field":"x","message":"it is bad"}}"#));
        } else {
            accepted += 1;
            seen.kept.push(line.to_owned());
        }
    }
    let answer = format!(r#"{{"accepted":{accepted},"rejected":[{}]}}"#, rejected.join(","));
    seen.keys.insert(key.to_owned(), (body, answer.clone()));
    (if accepted == 0 { "400 Bad Request" } else { "202 Accepted" }, answer)
}
