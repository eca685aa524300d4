//! GraphQL over real HTTP and WebSockets: the same figures as REST, bounds, and what is told live.

use crate::support::World;
use futures::{SinkExt, StreamExt};
use penstock::ledger::{Change, KpiRecord, Ledger, Reason, StateChange};
use penstock::time::{Clock, Micros, SystemClock};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;

const PATIENCE: Duration = Duration::from_secs(20);

async fn ask(world: &World, query: &str) -> Value {
    let reply = world.write(Method::POST, "/graphql", &json!({ "query": query }).to_string()).await;
    assert_eq!(reply.status.as_u16(), 200, "{reply:?}");
    reply.json()
}

/// The code of the first error.
fn code(answer: &Value) -> &str {
    answer["errors"][0]["extensions"]["code"].as_str().unwrap_or_else(|| panic!("{answer}"))
}

#[actix_web::test]
async fn a_campaign_is_the_same_over_graphql_and_over_rest() {
    let world = World::start().await;
    world.import().await;
    world.write(Method::POST, "/api/v1/campaigns/1002/stop", r#"{"reason":"a test"}"#).await;
    let rest = world.get("/api/v1/campaigns/1002").await.json();
    let query = "{ campaign(id: 1002) { campaignId name advertiserName status serving reasons totalBudgetMicros \
                 spentNanos kpis { clicks } stoppedBy { reason who note } audit { action who why } } }";
    let node = ask(&world, query).await["data"]["campaign"].clone();
    for (graphql, plain) in [
        ("campaignId", "campaign_id"),
        ("name", "name"),
        ("advertiserName", "advertiser_name"),
        ("status", "status"),
        ("reasons", "reasons"),
        ("totalBudgetMicros", "total_budget_micros"),
        ("spentNanos", "spent_nanos"),
    ] {
        assert_eq!(node[graphql], rest[plain], "{graphql}");
    }
    assert_eq!((&node["serving"], &node["kpis"]["clicks"]), (&json!(false), &rest["kpis"]["clicks"]));
    assert_eq!(node["stoppedBy"], json!([{"reason": "operator", "who": "local", "note": "a test"}]));
    assert_eq!(node["audit"][0], json!({"action": "stop", "who": "local", "why": "a test"}));
    assert_eq!(ask(&world, "{ campaign(id: 7) { name } }").await["data"]["campaign"], Value::Null);
    let page = ask(&world, r#"{ campaigns(first: 2, filter: {search: "B"}) { nodes { campaignId } next } }"#).await;
    assert_eq!(page["data"]["campaigns"], json!({"nodes": [{"campaignId": 1002}], "next": null}));
}

#[actix_web::test]
async fn a_question_has_bounds_in_depth_in_size_and_in_its_arguments() {
    let world = World::start().await;
    world.import().await;
    let deep = "{ events(first: 1) { nodes { campaign { stops(first: 1) { time } } } } }";
    assert!(!code_is_depth(&ask(&world, deep).await));
    let introspection =
        "{ __schema { types { fields { type { ofType { ofType { ofType { ofType { ofType { name } } } } } } } } } }";
    assert!(code_is_depth(&ask(&world, introspection).await));
    let wide = "{ events(first: 1000) { nodes { campaign { ledger(first: 200) { hour events } } } } }";
    assert!(ask(&world, wide).await["errors"][0]["message"].as_str().unwrap().contains("complex"));
    assert_eq!(code(&ask(&world, "{ campaigns(first: 0) { next } }").await), "bad_parameter");
    assert_eq!(code(&ask(&world, r#"{ campaigns(after: "x") { next } }"#).await), "bad_cursor");
    assert_eq!(code(&ask(&world, r#"{ events(filter: {id: "x"}) { next } }"#).await), "bad_parameter");
    assert_eq!(code(&ask(&world, r#"{ events(filter: {startTime: "now"}) { next } }"#).await), "bad_parameter");
    assert_eq!(code(&ask(&world, "{ timeseries(campaignId: 1002, step: 61) { time } }").await), "bad_parameter");
    assert_eq!(code(&ask(&world, "{ timeseries(campaignId: 7) { time } }").await), "campaign_not_found");
    let huge = json!({ "query": format!("{{ {} }}", "a ".repeat(40_000)) }).to_string();
    assert_eq!(world.write(Method::POST, "/graphql", &huge).await.problem().code, "body_too_large");
    assert_eq!(world.write(Method::POST, "/graphql", "[]").await.problem().code, "bad_body");
    assert!(world.get("/graphql").await.text.contains("type Campaign"));
}

fn code_is_depth(answer: &Value) -> bool {
    answer["errors"][0]["message"].as_str().is_some_and(|m| m.contains("deep"))
}

type Socket = tokio_tungstenite::WebSocketStream<tokio::net::TcpStream>;

async fn connect(world: &World, origin: Option<&str>) -> Result<Socket, tokio_tungstenite::tungstenite::Error> {
    let mut request = format!("{}/graphql", world.base.replace("http", "ws")).into_client_request()?;
    request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("graphql-transport-ws"));
    if let Some(origin) = origin {
        request.headers_mut().insert("origin", origin.parse().unwrap());
    }
    let stream = tokio::net::TcpStream::connect(world.running.address).await.unwrap();
    let (mut socket, _) = tokio_tungstenite::client_async(request, stream).await?;
    send(&mut socket, &json!({"type": "connection_init"})).await;
    assert_eq!(receive(&mut socket).await["type"], "connection_ack");
    Ok(socket)
}

async fn send(socket: &mut Socket, message: &Value) {
    socket.send(Message::text(message.to_string())).await.unwrap();
}

/// The next message that is no ping.
async fn receive(socket: &mut Socket) -> Value {
    loop {
        match tokio::time::timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap() {
            Message::Text(text) => return serde_json::from_str(&text).unwrap(),
            Message::Ping(_) | Message::Pong(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

async fn subscribe(socket: &mut Socket, id: &str, query: &str) {
    send(socket, &json!({"id": id, "type": "subscribe", "payload": {"query": query}})).await;
}

#[actix_web::test]
async fn a_campaign_s_figures_come_at_once_and_again_when_they_change() {
    let world = World::start().await;
    world.import().await;
    let mut socket = connect(&world, Some(&world.base)).await.unwrap();
    subscribe(&mut socket, "1", "subscription { campaignKpis(ids: [1002]) { campaignId serving reasons spentNanos } }")
        .await;
    let first = receive(&mut socket).await["payload"]["data"]["campaignKpis"].clone();
    assert_eq!(first, json!({"campaignId": 1002, "serving": true, "reasons": [], "spentNanos": "0"}));
    // The ledger decides, the log tells that it has.
    world.ledger.stop(1002, &Change { who: "ana".to_owned(), why: "a test".to_owned() }).await.unwrap();
    let now = SystemClock.now();
    world.feed.kpis(KpiRecord { campaign_id: 1001, ..figures(now) });
    world.feed.kpis(figures(now));
    let second = receive(&mut socket).await["payload"]["data"]["campaignKpis"].clone();
    assert_eq!((&second["serving"], &second["reasons"]), (&json!(false), &json!(["operator"])));
}

fn figures(at: Micros) -> KpiRecord {
    KpiRecord {
        campaign_id: 1002,
        sequence: 1,
        at,
        visits: 0,
        impressions: 0,
        clicks: 0,
        conversions: 0,
        spent_nanos: 0,
    }
}

#[actix_web::test]
async fn stops_are_told_with_the_campaign_s_name_and_those_of_long_ago_are_not() {
    let world = World::start().await;
    world.import().await;
    let mut socket = connect(&world, None).await.unwrap();
    subscribe(&mut socket, "1", "subscription { stops { campaignId name serving reasons } }").await;
    let state = |campaign_id, version, at| StateChange {
        campaign_id,
        version,
        serving: false,
        reasons: vec![Reason::TotalBudget],
        at,
        cause_received: None,
    };
    // Told anew until the subscription has begun; the old one must not be what comes.
    let mut version = 0;
    let told = loop {
        version += 2;
        world.feed.state(state(1001, version, Micros(0)));
        world.feed.state(state(1002, version + 1, SystemClock.now()));
        if let Ok(message) = tokio::time::timeout(Duration::from_millis(100), receive(&mut socket)).await {
            break message["payload"]["data"]["stops"].clone();
        }
        assert!(version < 400, "nothing was told");
    };
    assert_eq!(told, json!({"campaignId": 1002, "name": "b", "serving": false, "reasons": ["total_budget"]}));
}

#[actix_web::test]
async fn rates_come_once_a_second_and_subscriptions_have_bounds() {
    let world = World::start().await;
    let mut socket = connect(&world, None).await.unwrap();
    subscribe(&mut socket, "t", "subscription { throughput { time rates { click } deadTotal } }").await;
    let now = receive(&mut socket).await["payload"]["data"]["throughput"].clone();
    assert_eq!((&now["rates"]["click"], &now["deadTotal"]), (&json!(0.0), &json!(1)));
    send(&mut socket, &json!({"id": "t", "type": "complete"})).await;
    let many: Vec<u32> = (1..=101).collect();
    subscribe(&mut socket, "m", &format!("subscription {{ campaignKpis(ids: {many:?}) {{ campaignId }} }}")).await;
    let refused = loop {
        let message = receive(&mut socket).await;
        if message["id"] == "m" {
            break message;
        }
    };
    assert!(refused.to_string().contains("bad_parameter"), "{refused}");
}

#[actix_web::test]
async fn a_page_of_another_origin_gets_no_websocket() {
    let world = World::start().await;
    let error = connect(&world, Some("https://evil.example")).await.unwrap_err();
    assert!(error.to_string().contains("403"), "{error}");
}
