//! A sidecar on a folder of its own, a client, and a look into the spool.

use penstock::codec;
use penstock::log::spool::{RealDisk, Retention, Spool, SpoolLog};
use penstock::log::{Limits, Log, Records};
use penstock::settings::{IntakeSettings, SidecarSettings, SpoolSettings};
use penstock::telemetry::SharedRegistry;
use penstock::time::{Clock, SystemClock};
use penstock_sidecar::{Running, Sidecar, SidecarConfig};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

/// What a test may change before the start.
pub struct Setup {
    pub sidecar: SidecarSettings,
    pub intake: IntakeSettings,
    pub spool: SpoolSettings,
    pub clock: Arc<dyn Clock>,
    /// Follow a campaign-state log beside the events.
    pub follow: bool,
    /// Say that a forwarder is there; the test moves the watermark in its place.
    pub forwards: bool,
}

impl Default for Setup {
    fn default() -> Self {
        let listen = ([127, 0, 0, 1], 0).into();
        let sidecar =
            SidecarSettings { listen, workers: 2, server: Some("test-1".into()), ..SidecarSettings::default() };
        let spool = SpoolSettings { segment_bytes: 1 << 20, reserve_bytes: 1 << 20, ..SpoolSettings::default() };
        Setup {
            sidecar,
            intake: IntakeSettings::default(),
            spool,
            clock: Arc::new(SystemClock),
            follow: false,
            forwards: false,
        }
    }
}

/// A running sidecar.
pub struct Side {
    pub dir: Arc<TempDir>,
    pub spool: Spool,
    /// The campaign-state log, when followed.
    pub states: Option<Spool>,
    pub running: Running,
    pub shutdown: CancellationToken,
    pub client: reqwest::Client,
}

pub fn start() -> Side {
    start_with(|_| {})
}

pub fn start_with(change: impl FnOnce(&mut Setup)) -> Side {
    start_in(Arc::new(tempfile::tempdir().unwrap()), change)
}

pub fn start_in(dir: Arc<TempDir>, change: impl FnOnce(&mut Setup)) -> Side {
    let mut setup = Setup::default();
    change(&mut setup);
    let retention = Retention {
        keys_window: setup.intake.idempotency_window,
        max_keys: setup.intake.idempotency_max_keys,
        ..Retention::default()
    };
    let open = |name: &str, partitions: u32| {
        let path = dir.path().join(name);
        let opened =
            Spool::open(RealDisk, &path, partitions, &setup.spool, retention.clone(), Arc::clone(&setup.clock));
        opened.unwrap().0
    };
    let spool = open("events", u32::try_from(setup.sidecar.worker_count()).unwrap());
    let states = setup.follow.then(|| open("campaign-state", 1));
    let log: Option<SpoolLog<RealDisk>> = states.as_ref().map(|s| s.reader("stop-list", 0).unwrap());
    let shutdown = CancellationToken::new();
    let running = Sidecar::start(SidecarConfig {
        settings: setup.sidecar,
        intake: setup.intake,
        spool: spool.clone(),
        clock: setup.clock,
        forwards: setup.forwards,
        stop_list: log,
        snapshot: Some(dir.path().join("stop-list")),
        registry: SharedRegistry::new(),
        shutdown: shutdown.clone(),
    });
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    Side { dir, spool, states, running: running.unwrap(), shutdown, client }
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Got {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Got {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }

    /// Checks RFC 9457's form and returns the stable code.
    pub fn problem(&self) -> (u16, String) {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let body = self.json();
        assert_eq!(body["status"], json!(self.status), "{body}");
        for member in ["type", "title", "detail"] {
            assert!(body[member].as_str().is_some_and(|s| !s.is_empty()), "{body}");
        }
        (self.status, body["code"].as_str().unwrap().to_owned())
    }

    /// `accepted` and the codes of the rejected events.
    pub fn outcome(&self) -> (u16, u64, Vec<String>) {
        let body = self.json();
        let rejected = body["rejected"].as_array().unwrap_or_else(|| panic!("{body}"));
        let codes = rejected.iter().map(|r| r["code"].as_str().unwrap().to_owned()).collect();
        (self.status, body["accepted"].as_u64().unwrap(), codes)
    }
}

pub async fn send(request: RequestBuilder) -> Got {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Got { status, headers, text: response.text().await.unwrap() }
}

impl Side {
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.running.addresses.http)
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, self.url(path))
    }

    /// A request with a JSON body.
    pub fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> RequestBuilder {
        self.request(Method::POST, path).header("content-type", "application/json").body(body)
    }

    pub fn lines(&self, body: impl Into<reqwest::Body>) -> RequestBuilder {
        self.request(Method::POST, "/v1/events").header("content-type", "application/x-ndjson").body(body)
    }

    pub async fn get(&self, path: &str) -> Got {
        send(self.request(Method::GET, path)).await
    }

    /// The value of a metric's line, 0 when there is none.
    pub async fn metric(&self, line: &str) -> u64 {
        let text = self.get("/metrics").await.text;
        let found = text.lines().find_map(|l| l.strip_prefix(line)?.strip_prefix(' ')?.parse().ok());
        found.unwrap_or(0)
    }

    /// Every event in the spool, by our own decoder, ordered by id.
    pub async fn events(&self) -> Vec<Value> {
        self.frames().await.iter().map(|frame| codec::json::to_json(frame).unwrap()).collect()
    }

    /// Every record in the spool as it lies there.
    pub async fn frames(&self) -> Vec<Vec<u8>> {
        self.spool.sync_now().unwrap();
        let mut frames = Vec::new();
        for partition in self.spool.partitions() {
            let mut log = self.spool.viewer(partition).unwrap();
            let limits =
                Limits { rows: 1_000_000, bytes: 1 << 30, age: Duration::ZERO, idle: Duration::ZERO, end: None };
            let mut next = self.spool.start(partition).unwrap();
            let mut records = Records::new();
            while next < log.end() {
                log.read(next, &limits, &mut records).await.unwrap();
                frames.extend(records.iter().map(|r| r.body.unwrap().to_vec()));
                next = records.range().unwrap().to;
            }
        }
        frames
    }

    /// Sends raw bytes and reads until the peer closes.
    pub async fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.running.addresses.http).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Stops it and returns its folder for a successor.
    pub async fn stop(self) -> Arc<TempDir> {
        self.shutdown.cancel();
        self.running.handle.await.unwrap().unwrap();
        self.spool.close().unwrap();
        if let Some(states) = self.states {
            states.close().unwrap();
        }
        self.dir
    }
}

/// A valid click with this id.
pub fn click(n: u64) -> Value {
    json!({
        "type": "click",
        "id": id(n),
        "time": "2017-11-06T16:00:00Z",
        "payload": {"tag": "app2-ch377", "site_id": "ch377", "price_micros": n},
    })
}

pub fn id(n: u64) -> String {
    uuid::Uuid::from_u64_pair(0x1ec7_62d4_93b7_5f96, 0xbff0_0000_0000_0000 | n).to_string()
}

/// Ids of events, in order.
pub fn ids(events: &[Value]) -> Vec<String> {
    let mut ids: Vec<String> = events.iter().map(|e| e["id"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

pub fn expected_ids(numbers: impl IntoIterator<Item = u64>) -> Vec<String> {
    let mut ids: Vec<String> = numbers.into_iter().map(id).collect();
    ids.sort();
    ids
}

pub const OK: u16 = StatusCode::ACCEPTED.as_u16();
