//! The panel's questions to the real engine; plain SQL in the same engine is the oracle.

mod analytics;
mod explores;
mod grafana;
mod reads;

use crate::support::World;
use penstock::settings::{EngineSettings, PanelSettings};
use penstock::telemetry::EngineSupervisorMetrics;
use penstock_consumers::statistics::schema;
use penstock_engine::{Parent, Program, Supervisor};
use std::path::Path;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(60);

#[test]
#[ignore = "the engine's process, started by the test"]
fn engine_child() {
    let data = std::env::var_os("PENSTOCK_TEST_DATA").unwrap();
    let settings = settings();
    let run = penstock_engine::run(&settings, Path::new(&data), Parent::Pipe, CancellationToken::new());
    tokio::runtime::Runtime::new().unwrap().block_on(run).unwrap();
}

fn settings() -> EngineSettings {
    EngineSettings { listen: ([127, 0, 0, 1], 0).into(), max_memory_bytes: 1 << 30, ..EngineSettings::default() }
}

struct Engine {
    url: String,
    supervisor: Supervisor,
    _dir: tempfile::TempDir,
}

impl Engine {
    async fn start() -> Engine {
        let dir = tempfile::tempdir().unwrap();
        let mut program =
            Program::current(["--exact", "real_engine::engine_child", "--ignored", "--nocapture", "--test-threads=2"])
                .unwrap();
        program.envs = vec![("PENSTOCK_TEST_DATA".into(), dir.path().into())];
        let supervisor =
            Supervisor::start(program, &settings(), EngineSupervisorMetrics::default(), CancellationToken::new());
        let url = supervisor.ready(PATIENCE).await.unwrap();
        Engine { url, supervisor, _dir: dir }
    }

    /// Runs SQL with the writers' rights.
    async fn sql(&self, sql: &str) -> String {
        let request = reqwest::Client::new().post(&self.url).body(sql.to_owned());
        let request =
            request.header("X-ClickHouse-User", "penstock").header("X-ClickHouse-Key", self.supervisor.secret());
        let answer = request.send().await.unwrap();
        let ok = answer.status().is_success();
        let text = answer.text().await.unwrap();
        assert!(ok, "{sql}: {text}");
        text.trim().to_owned()
    }

    async fn number(&self, sql: &str) -> i128 {
        self.sql(sql).await.parse().unwrap()
    }
}

/// 30 000 events over three days, many at one time, some with one time and one id.
const ROWS: &str = "INSERT INTO penstock.events (id, type, time, received, server, campaign_id, tag, country, \
     cost_nanos, value_micros, extra, log_topic, log_partition, log_offset) \
     SELECT if(number % 10 = 0, toUUID('00000000-0000-0000-0000-000000000007'), generateUUIDv4(number)), \
     ['impression','visit','click','conversion'][number % 4 + 1], \
     fromUnixTimestamp64Micro(1509984000000000 + toInt64(intDiv(number, 50) * 431999123), 'UTC'), \
     fromUnixTimestamp64Micro(1509984000000000 + toInt64(number), 'UTC'), 'ad-1', number % 7, \
     if(number % 3 = 0, 't', ''), 'DE', number * 1000, if(number % 5 = 0, toInt64(number), NULL), \
     if(number % 11 = 0, map('k', 'v'), map()), 'spool-00000000000000aa', 0, number FROM numbers(30000)";

#[actix_web::test]
async fn the_panel_answers_what_the_database_itself_answers() {
    let engine = Engine::start().await;
    let world =
        World::with(PanelSettings { max_limit: 10_000, ..PanelSettings::default() }, Some(engine.url.clone())).await;
    let empty = world.get("/api/v1/events/count").await;
    assert_eq!(empty.problem().code, "statistics_unavailable", "the tables are not there yet");
    let client = clickhouse::Client::default()
        .with_url(&engine.url)
        .with_user("penstock")
        .with_password(engine.supervisor.secret());
    schema::apply(&client, &schema::Layout::of(&penstock::settings::StatisticsSettings::default())).await.unwrap();
    assert_eq!(world.get("/api/v1/events/count").await.json()["result"], 0);
    engine.sql(ROWS).await;
    tokio::time::sleep(Duration::from_millis(1_100)).await; // an empty count may be kept for a second

    reads::counts(&engine, &world).await;
    reads::lists(&engine, &world).await;
    reads::series(&engine, &world).await;
    explores::explores(&engine, &world).await;
    explores::windows(&engine, &world).await;
    reads::searches(&world).await;
    reads::qualities(&engine, &world).await;
    analytics::analytics(&engine, &world).await;
    reads::tails(&engine).await;
    explores::pivot(&engine).await;

    engine.supervisor.stop().await;
    assert_eq!(world.get("/api/v1/events?limit=1").await.problem().code, "statistics_unavailable");
}
