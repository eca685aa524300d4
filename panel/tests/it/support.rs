//! A panel on a port of its own over a real SQLite ledger, with ClickHouse played by a stub.

use futures::FutureExt;
use penstock::ledger::{AuditFilter, Ledger};
use penstock::log::{LogId, Offset};
use penstock::settings::PanelSettings;
use penstock::telemetry::SharedRegistry;
use penstock::time::{Clock, Micros, SystemClock};
use penstock_consumers::balances::ledger::sqlite::SqliteLedger;
use penstock_panel::api::types::{
    ArchivePlace, DeadLetter, DeadSummary, Gap, ProblemBody, RefusedLetter, ReplayReport, SpoolPartition, SpoolStatus,
};
use penstock_panel::feed::Feed;
use penstock_panel::reconcile::{ArchiveCounts, ArchiveSource, Later, Mark, MarkSource};
use penstock_panel::{ClickHouse, DeadFilter, DeadKey, DeadReplay, DeadStore, Panel, PanelConfig, Running, SpoolView};
use reqwest::{Method, StatusCode};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// What the stub answers to the next queries.
#[derive(Clone, Debug)]
pub enum Answer {
    /// These rows (JSON, one a line).
    Rows(String),
    /// ClickHouse's exception.
    Exception(&'static str),
    /// Nothing, ever.
    Silence,
}

/// Plays ClickHouse: one answer for all queries but `version()`; keeps what it was asked.
#[derive(Clone)]
pub struct Stub {
    pub url: String,
    answer: Arc<Mutex<Answer>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Stub {
    async fn start() -> Stub {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stub = Stub {
            url: format!("http://{}", listener.local_addr().unwrap()),
            answer: Arc::new(Mutex::new(Answer::Rows("{\"n\":0}\n".to_owned()))),
            asked: Arc::default(),
        };
        let me = stub.clone();
        actix_web::rt::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                actix_web::rt::spawn(me.clone().serve(socket));
            }
        });
        stub
    }

    async fn serve(self, mut socket: tokio::net::TcpStream) {
        let mut request = Vec::new();
        let mut chunk = [0; 16 << 10];
        loop {
            let text = String::from_utf8_lossy(&request).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length =
                    head.lines().find_map(|l| l.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
                if body.len() >= length.unwrap_or(0) {
                    break;
                }
            }
            match socket.read(&mut chunk).await {
                Ok(n) if n > 0 => request.extend_from_slice(&chunk[..n]),
                _ => return,
            }
        }
        let request = String::from_utf8_lossy(&request).into_owned();
        let answer = if request.contains("version()") {
            Answer::Rows("{\"v\":\"26.7\"}\n".to_owned())
        } else {
            self.asked.lock().unwrap().push(request.clone());
            self.answer.lock().unwrap().clone()
        };
        let reply = match answer {
            Answer::Silence => return std::future::pending().await,
            Answer::Rows(body) => {
                format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
            }
            Answer::Exception(body) => {
                format!("HTTP/1.1 500 Error\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
            }
        };
        let _ = socket.write_all(reply.as_bytes()).await;
    }

    pub fn answers(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    /// Every query so far, head and body.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// Sinks that hold nothing, and one dead letter.
struct Nothing;

pub fn log() -> LogId {
    LogId { name: "spool-00000000000000aa".into(), partition: 0 }
}

pub fn letter() -> DeadLetter {
    DeadLetter {
        id: "statistics:spool-00000000000000aa:0:7".to_owned(),
        sink: "statistics".to_owned(),
        log: log().name.to_string(),
        partition: 0,
        offset: 7,
        code: "bad_body".to_owned(),
        field: None,
        message: "the body ends early".to_owned(),
        event_type: Some("click".to_owned()),
        time: None,
        bytes: 12,
        replayed: None,
        event: None,
        body_hex: None,
    }
}

impl ArchiveSource for Nothing {
    fn counts<'a>(&'a self, _: &'a BTreeMap<LogId, Offset>) -> Later<'a, ArchiveCounts> {
        futures::future::ready(Ok(ArchiveCounts::default())).boxed()
    }
    fn locate<'a>(&'a self, kind: &'a str, _: Micros, _: &'a LogId, offset: Offset) -> Later<'a, ArchivePlace> {
        let place = ArchivePlace { path: format!("{kind}/{offset}.avro"), found: true };
        futures::future::ready(Ok(place)).boxed()
    }
}

impl MarkSource for Nothing {
    fn marks(&self) -> Later<'_, Vec<Mark>> {
        futures::future::ready(Ok(Vec::new())).boxed()
    }
}

impl DeadStore for Nothing {
    fn summary(&self) -> Later<'_, DeadSummary> {
        futures::future::ready(Ok(DeadSummary { total: 1, ..DeadSummary::default() })).boxed()
    }
    fn counts(&self) -> Later<'_, BTreeMap<(String, String), u64>> {
        let counts = BTreeMap::from([(("statistics".to_owned(), "bad_body".to_owned()), 1)]);
        futures::future::ready(Ok(counts)).boxed()
    }
    fn list<'a>(&'a self, filter: &'a DeadFilter) -> Later<'a, Vec<DeadLetter>> {
        let fits = filter.after.is_none() && filter.code.as_deref().is_none_or(|c| c == "bad_body");
        futures::future::ready(Ok(if fits { vec![letter()] } else { Vec::new() })).boxed()
    }
    fn show<'a>(&'a self, key: &'a DeadKey) -> Later<'a, Option<DeadLetter>> {
        futures::future::ready(Ok((key.id() == letter().id).then(letter))).boxed()
    }
    fn replay(&self, asked: DeadReplay) -> Later<'static, ReplayReport> {
        let refused = asked.letters.iter().map(|key| RefusedLetter {
            id: key.id(),
            code: "bad_body".to_owned(),
            why: "it is still poison".to_owned(),
        });
        futures::future::ready(Ok(ReplayReport { replayed: Vec::new(), refused: refused.collect() })).boxed()
    }
    fn gaps(&self) -> Later<'_, Vec<Gap>> {
        futures::future::ready(Ok(Vec::new())).boxed()
    }
    fn skip_gap(&self, _: &DeadKey, _: &penstock::ledger::Change) -> Later<'static, ()> {
        futures::future::ready(Ok(())).boxed()
    }
}

impl SpoolView for Nothing {
    fn usage(&self) -> SpoolStatus {
        let partition = SpoolPartition { partition: 0, start: 0, end: 0, synced: 0, bytes: 0, depth: 0 };
        SpoolStatus { log: log().name.to_string(), bytes: 0, quota_bytes: 1 << 30, partitions: vec![partition] }
    }
}

/// A panel that runs.
pub struct World {
    pub base: String,
    pub stub: Stub,
    pub shutdown: CancellationToken,
    pub running: Running,
    pub ledger: SqliteLedger,
    pub feed: Feed,
    http: reqwest::Client,
    _dir: tempfile::TempDir,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Reply {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }

    pub fn read<T: serde::de::DeserializeOwned>(&self) -> T {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }

    /// The problem it must be.
    pub fn problem(&self) -> ProblemBody {
        assert_eq!(self.headers["content-type"], "application/problem+json", "{self:?}");
        let problem: ProblemBody = self.read();
        assert_eq!(problem.status, self.status.as_u16());
        assert_eq!(problem.kind, format!("urn:penstock:problem:{}", problem.code));
        problem
    }
}

impl World {
    pub async fn start() -> World {
        World::with(PanelSettings::default(), None).await
    }

    /// `clickhouse` in place of the stub.
    pub async fn with(settings: PanelSettings, clickhouse: Option<String>) -> World {
        World::with_clock(settings, clickhouse, Arc::new(SystemClock)).await
    }

    /// The same with a clock that the test sets.
    pub async fn with_clock(settings: PanelSettings, clickhouse: Option<String>, clock: Arc<dyn Clock>) -> World {
        let dir = tempfile::tempdir().unwrap();
        let ledger = SqliteLedger::open(&dir.path().join("ledger.db"), clock.clone()).await.unwrap();
        let stub = Stub::start().await;
        let shutdown = CancellationToken::new();
        let settings = PanelSettings { listen: "127.0.0.1:0".parse().unwrap(), ..settings };
        let url = clickhouse.unwrap_or_else(|| stub.url.clone());
        let feed = Feed::default();
        let config = config(settings, url, ledger.clone(), clock, shutdown.clone());
        let running = Panel::start(PanelConfig { feed: feed.clone(), ..config }).unwrap();
        let base = format!("http://{}", running.address);
        let http = reqwest::Client::builder().timeout(Duration::from_secs(30)).build().unwrap();
        World { base, stub, shutdown, running, ledger, feed, http, _dir: dir }
    }

    /// What another panel over the same ledger would be started with.
    pub fn config(&self, settings: PanelSettings) -> PanelConfig<SqliteLedger> {
        let clock = Arc::new(SystemClock);
        config(settings, self.stub.url.clone(), self.ledger.clone(), clock, CancellationToken::new())
    }

    /// Where the ledger's file is.
    pub fn folder(&self) -> &std::path::Path {
        self._dir.path()
    }

    /// The whole audit, the newest first.
    pub async fn ledger_audit(&self) -> Vec<penstock::ledger::AuditEntry> {
        self.ledger.audit(&AuditFilter { limit: 1_000, ..AuditFilter::default() }).await.unwrap()
    }

    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    pub async fn send(&self, request: reqwest::RequestBuilder) -> Reply {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        Reply { status, headers, text: response.text().await.unwrap() }
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.send(self.request(Method::GET, path)).await
    }

    pub async fn write(&self, method: Method, path: &str, body: &str) -> Reply {
        let request = self.request(method, path).header("Content-Type", "application/json").body(body.to_owned());
        self.send(request).await
    }

    /// Three campaigns of one advertiser.
    pub async fn import(&self) -> Reply {
        self.write(Method::PUT, "/api/v1/catalogue", &catalogue()).await
    }
}

/// What [`World::import`] imports.
pub fn catalogue() -> String {
    serde_json::json!({
            "advertisers": [{"id": 1, "name": "one", "currency": "USD", "balance_micros": 1_000_000_000}],
            "campaigns": [
                {"id": 1001, "name": "a", "advertiser_id": 1, "cpc_micros": 2000},
                {"id": 1002, "name": "b", "advertiser_id": 1, "cpc_micros": 3000, "total_budget_micros": 3_504_000},
                {"id": 1003, "name": "c", "advertiser_id": 1, "cpm_micros": 500, "time_zone": "Europe/Berlin"}
            ],
            "tags": {"t1": 1001, "t2": 1002}
    })
    .to_string()
}

fn config(
    settings: PanelSettings,
    url: String,
    ledger: SqliteLedger,
    clock: Arc<dyn Clock>,
    shutdown: CancellationToken,
) -> PanelConfig<SqliteLedger> {
    let nothing = Arc::new(Nothing);
    PanelConfig {
        settings,
        clickhouse: ClickHouse { url, user: None, password: None, database: "penstock".to_owned() },
        ledger,
        known_lead: Duration::from_millis(20),
        live: Arc::new(penstock_panel::Live::new(Vec::new(), Some(nothing.clone()))),
        archive: nothing.clone(),
        dead: nothing,
        feed: Feed::default(),
        roles: Vec::new(),
        registry: SharedRegistry::new(),
        clock,
        shutdown,
    }
}

/// Sends a request as it is, and reads to the end.
pub async fn raw(socket: &mut tokio::net::TcpStream, request: &str) -> String {
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}
