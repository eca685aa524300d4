//! The routes over real HTTP: shapes, paging, changes, and what happens when a part is away.

use crate::support::{Answer, World, letter};
use penstock::settings::PanelSettings;
use penstock_panel::api::types::{
    AuditEntry, Campaign, CatalogueImported, DeadLetter, Gap, Health, Page, Reconciliation, ReplayReport, Status,
};
use reqwest::Method;
use std::time::Duration;

#[actix_web::test]
async fn a_count_has_the_contract_s_shape() {
    let world = World::start().await;
    world.stub.answers(Answer::Rows("{\"n\":20000}\n".to_owned()));
    let reply = world.get("/api/v1/events/count?event_type=click&start_time=&end_time=").await;
    let json = reply.json();
    assert_eq!((reply.status.as_u16(), &json["status"], &json["result"]), (200, &"ok".into(), &20_000.into()));
    assert!(json["timestamp"].as_str().unwrap().ends_with('Z'));
}

#[actix_web::test]
async fn every_query_is_bounded_and_text_from_outside_is_never_sql() {
    let world = World::start().await;
    world.get("/api/v1/events/count?event_type=click&campaign_id=77&start_time=2017-11-06T16:00:30Z").await;
    world.stub.answers(Answer::Rows(String::new()));
    world.get("/api/v1/events?campaign_id=77&limit=5").await;
    let asked = world.stub.asked();
    assert_eq!(asked.len(), 2);
    for request in &asked {
        let url = request.lines().next().unwrap();
        for bound in [
            "readonly=2",
            "max_execution_time=10",
            "max_memory_usage=1073741824",
            "max_result_rows=",
            "database=penstock",
        ] {
            assert!(url.contains(bound), "{bound} is not in {url}");
        }
        let sql = request.lines().find(|l| l.contains("SELECT")).unwrap();
        assert!(!sql.contains("77") && sql.contains("{campaign: UInt64}"), "{sql}");
    }
}

#[actix_web::test]
async fn an_equal_question_within_the_cache_s_time_is_asked_once() {
    let world =
        World::with(PanelSettings { cache_ttl: Duration::from_secs(600), ..PanelSettings::default() }, None).await;
    let first = world.get("/api/v1/events/count?event_type=click").await.json();
    assert_eq!(world.get("/api/v1/events/count?event_type=click&end_time=").await.json(), first, "the same moment too");
    assert_eq!(world.stub.asked().len(), 1);
    world.get("/api/v1/events/count?event_type=visit").await;
    assert_eq!(world.stub.asked().len(), 2);
}

#[actix_web::test]
async fn a_clickhouse_that_is_away_is_a_503_and_errors_are_not_kept() {
    let world = World::with(PanelSettings::default(), Some("http://127.0.0.1:1".to_owned())).await;
    for path in ["/api/v1/events/count", "/api/v1/events", "/api/v1/campaigns/0/timeseries"] {
        let reply = world.get(path).await;
        assert_eq!((reply.status.as_u16(), reply.problem().code.as_str()), (503, "statistics_unavailable"), "{path}");
        assert!(reply.headers.contains_key("retry-after"));
    }
    let ready = world.get("/readyz").await;
    assert_eq!(ready.status.as_u16(), 503);
    assert!(ready.json()["reasons"][0].as_str().unwrap().starts_with("engine: "));
    let status: Status = world.get("/api/v1/status").await.read();
    assert_eq!((status.health, status.engine.health), (Health::Down, Health::Down));
    assert_eq!(world.get("/healthz").await.status.as_u16(), 200);
}

#[actix_web::test]
async fn a_clickhouse_that_hangs_is_a_503_in_time() {
    let world =
        World::with(PanelSettings { query_timeout: Duration::from_secs(1), ..PanelSettings::default() }, None).await;
    world.stub.answers(Answer::Silence);
    let reply = world.get("/api/v1/events/count").await;
    assert_eq!(reply.problem().code, "statistics_unavailable");
}

#[actix_web::test]
async fn clickhouse_s_exceptions_have_codes_of_their_own() {
    let world = World::start().await;
    for (text, status, code) in [
        (
            "Code: 60. DB::Exception: Table penstock.events does not exist. (UNKNOWN_TABLE)",
            503,
            "statistics_unavailable",
        ),
        ("Code: 202. DB::Exception: Too many simultaneous queries.", 503, "statistics_unavailable"),
        ("Code: 159. DB::Exception: Timeout exceeded", 422, "query_too_expensive"),
        ("Code: 241. DB::Exception: Memory limit exceeded", 422, "query_too_expensive"),
        ("Code: 47. DB::Exception: Unknown identifier", 502, "statistics_error"),
    ] {
        world.stub.answers(Answer::Exception(text));
        let reply = world.get("/api/v1/events/count").await;
        assert_eq!((reply.status.as_u16(), reply.problem().code.as_str()), (status, code), "{text}");
    }
    world.stub.answers(Answer::Rows("{\"n\":\"many\"}\n".to_owned()));
    assert_eq!(world.get("/api/v1/events/count").await.problem().code, "statistics_error");
}

#[actix_web::test]
async fn a_catalogue_comes_back_as_it_went_in() {
    let world = World::start().await;
    let done: CatalogueImported = world.import().await.read();
    assert_eq!((done.changed, done.advertisers, done.campaigns, done.tags), (true, 1, 3, 2));
    let exported = world.get("/api/v1/catalogue").await;
    assert_eq!(exported.json()["tags"]["t2"], 1002);
    let again: CatalogueImported = world.write(Method::POST, "/api/v1/catalogue", &exported.text).await.read();
    assert!(!again.changed);
    let broken = exported.text.replace("\"advertiser_id\":1", "\"advertiser_id\":9");
    let reply = world.write(Method::PUT, "/api/v1/catalogue", &broken).await;
    assert_eq!((reply.status.as_u16(), reply.problem().code.as_str()), (422, "catalogue_invalid"));
    assert_eq!(world.get("/api/v1/catalogue").await.text, exported.text, "nothing was imported");
}

#[actix_web::test]
async fn campaigns_are_paged_and_filtered() {
    let world = World::start().await;
    world.import().await;
    let ids = |page: &Page<Campaign>| page.result.iter().map(|c| c.campaign_id).collect::<Vec<_>>();
    let first: Page<Campaign> = world.get("/api/v1/campaigns?limit=2").await.read();
    assert_eq!(ids(&first), [1001, 1002]);
    let cursor = first.next_cursor.unwrap();
    let second: Page<Campaign> = world.get(&format!("/api/v1/campaigns?limit=2&cursor={cursor}")).await.read();
    assert_eq!((ids(&second), second.next_cursor), (vec![1003], None));
    world.write(Method::POST, "/api/v1/campaigns/1001/stop", r#"{"reason":"r"}"#).await;
    let stopped: Page<Campaign> = world.get("/api/v1/campaigns?status=stopped").await.read();
    assert_eq!(ids(&stopped), [1001]);
    let serving: Page<Campaign> = world.get("/api/v1/campaigns?status=serving&limit=1").await.read();
    assert_eq!(ids(&serving), [1002]);
    let cursor = serving.next_cursor.unwrap();
    let rest: Page<Campaign> = world.get(&format!("/api/v1/campaigns?status=serving&cursor={cursor}")).await.read();
    assert_eq!((ids(&rest), rest.next_cursor), (vec![1003], None));
}

#[actix_web::test]
async fn a_change_takes_effect_and_the_audit_says_who_and_when() {
    let world = World::start().await;
    world.import().await;
    let stopped: Campaign =
        world.write(Method::POST, "/api/v1/campaigns/1002/stop", r#"{"reason":"wrong landing page"}"#).await.read();
    assert_eq!((stopped.status.as_str(), stopped.reason.as_deref()), ("stopped", Some("operator")));
    assert_eq!((stopped.stops[0].who.as_str(), stopped.stops[0].note.as_str()), ("local", "wrong landing page"));
    let status: Status = world.get("/api/v1/status").await.read();
    assert_eq!((status.stopped[0].campaign_id, status.stopped[0].reason.as_str()), (1002, "operator"));
    let resumed: Campaign =
        world.write(Method::POST, "/api/v1/campaigns/1002/resume", r#"{"reason":"fixed"}"#).await.read();
    assert_eq!((resumed.status.as_str(), resumed.reason), ("serving", None));
    let body = r#"{"total_budget_micros":null,"daily_budget_micros":"5000000"}"#;
    let reply = world.write(Method::PUT, "/api/v1/campaigns/1002/budget", body).await;
    assert_eq!(
        (&reply.json()["total_budget_micros"], &reply.json()["daily_budget_micros"]),
        (&serde_json::Value::Null, &"5000000".into())
    );
    let kept: Campaign =
        world.write(Method::PUT, "/api/v1/campaigns/1002/budget", r#"{"total_budget_micros":7}"#).await.read();
    assert_eq!(kept.daily_budget_micros.unwrap().0, 5_000_000, "a field that is left out stays");
    let audit: Page<AuditEntry> = world.get("/api/v1/audit?limit=4").await.read();
    let actions: Vec<&str> = audit.result.iter().map(|a| a.action.as_str()).collect();
    assert_eq!(actions, ["set_budget", "set_budget", "resume", "stop"]);
    assert!(audit.result.iter().all(|a| a.who == "local" && a.subject == "campaign 1002"));
    assert_eq!(audit.result[3].why, "wrong landing page");
    let next: Page<AuditEntry> =
        world.get(&format!("/api/v1/audit?cursor={}", audit.next_cursor.unwrap())).await.read();
    assert_eq!(next.result[0].action, "import");
}

#[actix_web::test]
async fn a_replay_is_asked_for_in_one_way_and_stands_in_the_audit() {
    let world = World::start().await;
    let replay = async |body: String| world.write(Method::POST, "/api/v1/dead/replay", &body).await;
    let report: ReplayReport = replay(format!(r#"{{"ids":["{}"],"reason":"schema 2"}}"#, letter().id)).await.read();
    assert_eq!((report.replayed.len(), report.refused[0].code.as_str()), (0, "bad_body"));
    let by_code: ReplayReport = replay(r#"{"code":"bad_body","limit":5,"dry_run":true}"#.to_owned()).await.read();
    assert_eq!(by_code.refused.len(), 1);
    let rows: Page<AuditEntry> = world.get("/api/v1/audit").await.read();
    assert_eq!(rows.result.len(), 1, "a dry run changes nothing");
    let row = &rows.result[0];
    assert_eq!((row.action.as_str(), row.who.as_str(), row.why.as_str()), ("dead_replay", "local", "schema 2"));
    assert_eq!(row.after["ids"][0], letter().id);
    let to = r#"{"to":"statistics","reason":"an old consumer"}"#.to_owned();
    assert_eq!(replay(to).await.read::<ReplayReport>().refused.len(), 1, "those of the sink, when none are named");
    let rows: Page<AuditEntry> = world.get("/api/v1/audit").await.read();
    assert_eq!((&rows.result[0].after["to"], rows.result.len()), (&"statistics".into(), 2));
    let long = "x".repeat(501);
    for (body, code) in [
        (format!(r#"{{"ids":["{}"],"sink":"statistics"}}"#, letter().id), "bad_parameter"),
        (r#"{"ids":[]}"#.to_owned(), "bad_parameter"),
        (r#"{"ids":["nonsense"]}"#.to_owned(), "bad_parameter"),
        (r#"{"limit":1001}"#.to_owned(), "bad_parameter"),
        (r#"{"sink":"Robert'); --"}"#.to_owned(), "bad_parameter"),
        (r#"{"to":"all sinks"}"#.to_owned(), "bad_parameter"),
        (format!(r#"{{"reason":"{long}"}}"#), "bad_parameter"),
        (r#"{"all":true}"#.to_owned(), "bad_body"),
        (format!(r#"{{"ids":[{}]}}"#, vec![format!("{:?}", letter().id); 1_001].join(",")), "bad_parameter"),
    ] {
        assert_eq!(replay(body.clone()).await.problem().code, code, "{body:.80}");
    }
}

#[actix_web::test]
async fn a_gap_that_nobody_met_cannot_be_passed() {
    let world = World::start().await;
    let page: Page<Gap> = world.get("/api/v1/gaps").await.read();
    assert!(page.result.is_empty());
    let skip = async |body: &str| world.write(Method::POST, "/api/v1/gaps/skip", body).await.problem().code;
    assert_eq!(skip(r#"{"id":"statistics:ads.click:3:9","reason":"kept elsewhere"}"#).await, "gap_not_found");
    assert_eq!(skip(r#"{"id":"statistics:ads.click:3:9","reason":" "}"#).await, "bad_parameter");
    assert_eq!(skip(r#"{"id":"nine","reason":"x"}"#).await, "bad_parameter");
}

#[actix_web::test]
async fn dead_letters_are_listed_and_shown() {
    let world = World::start().await;
    let page: Page<DeadLetter> = world.get("/api/v1/dead?limit=1&code=bad_body").await.read();
    assert_eq!(page.result, [letter()]);
    let one: DeadLetter = world.get(&format!("/api/v1/dead/{}", letter().id)).await.read();
    assert_eq!(one, letter());
    assert_eq!(world.get("/api/v1/dead/statistics:spool-00:0:8").await.problem().code, "dead_letter_not_found");
}

#[actix_web::test]
async fn an_empty_system_is_equal() {
    let world = World::start().await;
    world.stub.answers(Answer::Rows(String::new()));
    for body in ["", "{}", "{\"wait_s\":0}"] {
        let reply = if body.is_empty() {
            world.send(world.request(Method::POST, "/api/v1/reconcile")).await
        } else {
            world.write(Method::POST, "/api/v1/reconcile", body).await
        };
        let verdict: Reconciliation = reply.read();
        assert!(verdict.equal && verdict.complete, "{verdict:?}");
        assert_eq!(verdict.partitions.len(), 1);
    }
}

#[actix_web::test]
async fn pages_metrics_and_health_are_there_and_shutdown_ends_the_server() {
    let world = World::start().await;
    let built = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/web/dist/index.html"));
    let index = world.get("/").await.text;
    assert!(built.map_or(index.contains("There are no web pages"), |built| index == built), "{index}");
    assert_eq!(world.get("/readyz").await.json()["ready"], true);
    let metrics = world.get("/metrics").await.text;
    assert!(metrics.contains("penstock_panel_request_seconds_count{route=\"/readyz\",status=\"200\"} 1"), "{metrics}");
    assert!(metrics.ends_with("# EOF\n"));
    world.shutdown.cancel();
    world.running.finished().await.unwrap();
}
