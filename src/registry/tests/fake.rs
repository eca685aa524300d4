//! A small registry of our own that can be made to misbehave.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How the next answers are.
#[derive(Clone, Debug, Default)]
pub enum Mood {
    /// As they should be.
    #[default]
    Good,
    /// The connection is closed without an answer.
    Closes,
    /// Nothing comes, the connection stays.
    Hangs,
    /// This status and this text, whatever was asked.
    Says(u16, String),
    /// Every registration gets this id.
    GivesId(u32),
    /// Forgets the compatibility level that is set.
    ForgetsLevels,
}

#[derive(Default)]
pub struct State {
    pub mood: Mood,
    /// Id n lies at n − 1.
    pub schemas: Vec<Value>,
    pub subjects: BTreeMap<String, Vec<u32>>,
    pub levels: BTreeMap<String, String>,
    pub asked: Vec<String>,
}

#[derive(Clone)]
pub struct Fake {
    pub url: String,
    pub state: Arc<Mutex<State>>,
}

impl Fake {
    pub async fn start() -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let fake = Fake { url, state: Arc::default() };
        let served = fake.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(served.clone().serve(stream));
            }
        });
        fake
    }

    pub fn mood(&self, mood: Mood) {
        self.state.lock().unwrap().mood = mood;
    }

    /// Adds a schema under the next id.
    pub fn add(&self, schema: Value) -> u32 {
        let mut state = self.state.lock().unwrap();
        state.schemas.push(schema);
        state.schemas.len() as u32
    }

    pub fn asked(&self) -> usize {
        self.state.lock().unwrap().asked.len()
    }

    async fn serve(self, mut stream: TcpStream) {
        let mut text = Vec::new();
        let (head, length) = loop {
            let mut chunk = [0; 4096];
            let n = stream.read(&mut chunk).await.unwrap_or(0);
            if n == 0 {
                return;
            }
            text.extend_from_slice(&chunk[..n]);
            let Some(end) = text.windows(4).position(|w| w == b"\r\n\r\n") else { continue };
            let head = String::from_utf8(text[..end].to_vec()).unwrap();
            let length = head.to_lowercase().lines().find_map(|l| l.strip_prefix("content-length: ")?.parse().ok());
            break (head, end + 4 + length.unwrap_or(0));
        };
        while text.len() < length {
            let mut chunk = [0; 4096];
            let n = stream.read(&mut chunk).await.unwrap_or(0);
            text.extend_from_slice(&chunk[..n]);
        }
        let body = serde_json::from_slice(&text[head.len() + 4..]).unwrap_or(Value::Null);
        let mut words = head.split(' ');
        let (method, path) = (words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
        let Some((status, answer)) = self.answer(&method, &path, &body) else {
            if matches!(self.state.lock().unwrap().mood, Mood::Closes) {
                return;
            }
            // Held open until the other side gives up.
            let _ = stream.read(&mut [0; 1]).await;
            return;
        };
        let answer =
            format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{answer}", answer.len());
        let _ = stream.write_all(answer.as_bytes()).await;
    }

    fn answer(&self, method: &str, path: &str, body: &Value) -> Option<(u16, String)> {
        let mut state = self.state.lock().unwrap();
        state.asked.push(format!("{method} {path}"));
        match &state.mood {
            Mood::Closes | Mood::Hangs => return None,
            Mood::Says(status, text) => return Some((*status, text.clone())),
            _ => {}
        }
        let path = path.split('?').next().unwrap();
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let not_found = |code: u32| (404, json!({"error_code": code, "message": "not found"}));
        let (status, answer) = match (method, &parts[..]) {
            ("GET", ["schemas", "ids", id]) => match state.schemas.get(id.parse::<usize>().unwrap() - 1) {
                Some(schema) => (200, schema.clone()),
                None => not_found(40_403),
            },
            ("POST", ["subjects", subject, "versions"]) => {
                let schema = json!({"schema": body["schema"]});
                let id = match (&state.mood, state.schemas.iter().position(|s| *s == schema)) {
                    (Mood::GivesId(id), _) => *id,
                    (_, Some(at)) => at as u32 + 1,
                    (_, None) => {
                        state.schemas.push(schema);
                        state.schemas.len() as u32
                    }
                };
                let versions = state.subjects.entry((*subject).to_owned()).or_default();
                if !versions.contains(&id) {
                    versions.push(id);
                }
                (200, json!({"id": id}))
            }
            ("POST", ["subjects", subject]) => {
                let schema = json!({"schema": body["schema"]});
                let at = state.schemas.iter().position(|s| *s == schema).map(|at| at as u32 + 1);
                match at.filter(|id| state.subjects.get(*subject).is_some_and(|s| s.contains(id))) {
                    Some(id) => (200, json!({"subject": subject, "id": id, "version": 1, "schema": body["schema"]})),
                    None => not_found(40_403),
                }
            }
            ("GET", ["config", subject]) => match state.levels.get(*subject) {
                Some(level) => (200, json!({"compatibilityLevel": level})),
                None => not_found(40_408),
            },
            ("PUT", ["config", subject]) => {
                // As Apicurio does: "done", and forgotten when the subject is not there.
                if state.subjects.contains_key(*subject) && !matches!(state.mood, Mood::ForgetsLevels) {
                    let level = body["compatibility"].as_str().unwrap().to_owned();
                    state.levels.insert((*subject).to_owned(), level);
                }
                (200, body.clone())
            }
            _ => (404, json!({"error_code": 404, "message": "no such route"})),
        };
        Some((status, answer.to_string()))
    }
}
