//! Events in, rows out; the oracle counts the JSON itself.

use crate::support::{Desk, NOON, all_of, range};
use penstock::ledger::Ledger;
use penstock::log::{Position, Records};
use penstock::pipeline::{PoisonCode, Sink, SinkError};
use penstock_consumers::catalogue::parse;
use std::collections::{BTreeMap, BTreeSet};

const CATALOGUE: &str = r#"{
"advertisers": [{"id": 1, "name": "a", "currency": "EUR"}],
"campaigns": [
  {"id": 10, "name": "c", "advertiser_id": 1, "cpm_micros": 1500, "cpc_micros": 2000, "cpa_micros": 70000},
  {"id": 11, "name": "d", "advertiser_id": 1, "cpm_micros": 7, "total_budget_micros": 1}
],
"tags": {"x": 10, "y": 11}}"#;

/// A few thousand lines over two days, with repeated ids, unknown tags and explicit prices.
fn lines() -> Vec<String> {
    (0..3_000u64)
        .map(|n| {
            let kind = ["impression", "visit", "click", "conversion"][(n % 7 % 4) as usize];
            let who = match n % 11 {
                0 => r#""tag":"nobody""#.to_owned(),
                1 => r#""campaign_id":404"#.to_owned(),
                2 => r#""campaign_id":11,"tag":"x""#.to_owned(),
                k if k % 2 == 0 => r#""tag":"y""#.to_owned(),
                _ => r#""tag":"x""#.to_owned(),
            };
            let price = if n % 5 == 0 { format!(r#","price_micros":{}"#, n % 50) } else { String::new() };
            let ms = NOON.0 / 1_000 - (n * 57_000) as i64;
            // One id in seven comes twice.
            let id = format!("00000000-0000-4000-8000-{:012x}", if n % 7 == 6 { n - 4 } else { n });
            format!(r#"{{"type":"{kind}","id":"{id}","time":{ms},"payload":{{{who}{price}}}}}"#)
        })
        .collect()
}

#[derive(Default, Debug, PartialEq)]
struct Count {
    charged: BTreeMap<(u64, String), (u64, i64)>,
    duplicates: u64,
    unattributed: u64,
}

/// What the contract says the lines cost, read from the JSON and nothing else.
fn by_hand(lines: &[String]) -> Count {
    let mut count = Count::default();
    let mut ids = BTreeSet::new();
    for line in lines {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        let (kind, payload) = (event["type"].as_str().unwrap(), &event["payload"]);
        let campaign = match (payload["campaign_id"].as_u64(), payload["tag"].as_str()) {
            (Some(id), _) => id,
            (_, Some("x")) => 10,
            (_, Some("y")) => 11,
            _ => 0,
        };
        if campaign != 10 && campaign != 11 {
            count.unattributed += 1;
            continue;
        }
        if matches!(kind, "click" | "conversion") && !ids.insert((kind.to_owned(), event["id"].clone().to_string())) {
            count.duplicates += 1;
            continue;
        }
        let nanos = match (payload["price_micros"].as_i64(), kind, campaign) {
            (Some(micros), ..) => micros * 1_000,
            (_, "impression", 10) => 1_500,
            (_, "impression", 11) => 7,
            (_, "click", 10) => 2_000_000,
            (_, "conversion", 10) => 70_000_000,
            _ => 0,
        };
        let sum = count.charged.entry((campaign, kind.to_owned())).or_default();
        *sum = (sum.0 + 1, sum.1 + nanos);
    }
    count
}

async fn in_the_ledger(desk: &Desk) -> Count {
    let books = desk.ledger.books().await.unwrap();
    let mut count = Count::default();
    for sums in &books.partitions[0].by_campaign {
        let charged = sums.sums.charged;
        if charged.events > 0 {
            let nanos = i64::try_from(charged.nanos).unwrap();
            count.charged.insert((sums.campaign.into(), sums.kind.clone()), (charged.events, nanos));
        }
        count.duplicates += sums.sums.duplicate.events;
        count.unattributed += sums.sums.unattributed.events;
    }
    count
}

#[tokio::test]
async fn the_ledger_holds_what_a_count_of_the_json_gives() {
    let lines = lines();
    let mut desk = Desk::with(&parse(CATALOGUE).unwrap()).await;
    let mut from = 0;
    for part in lines.chunks(499) {
        let records = desk.records(from, part.iter().map(String::as_str));
        let mut bad = Vec::new();
        desk.write(&records, &mut bad).await;
        desk.write(&records, &mut bad).await; // every range twice
        assert_eq!(bad, vec![]);
        from += part.len() as u64;
    }
    let expected = by_hand(&lines);
    assert!(expected.duplicates > 50 && expected.unattributed > 100, "{expected:?}");
    assert_eq!(in_the_ledger(&desk).await, expected);
    assert_eq!(desk.position().await, 3_000);
    let stopped = desk.ledger.stopped().await.unwrap();
    assert_eq!(stopped.iter().map(|s| s.campaign_id).collect::<Vec<_>>(), vec![11]);
}

#[tokio::test]
async fn poison_is_split_off_and_the_rest_is_charged() {
    let mut desk = Desk::with(&parse(CATALOGUE).unwrap()).await;
    let good = desk.records(0, [r#"{"type":"click","payload":{"tag":"x"}}"#].into_iter());
    let frame = good.get(0).unwrap().body.unwrap().to_vec();
    let mut records = Records::new();
    records.push(0, NOON, &frame);
    records.push_corrupt(1, NOON);
    records.push(2, NOON, b"no frame at all");
    records.push(3, NOON, &frame[..frame.len() - 1]);
    let mut bad = Vec::new();
    desk.write(&records, &mut bad).await;
    assert_eq!(bad.iter().map(|p| p.offset).collect::<Vec<_>>(), vec![1, 2, 3]);
    assert_eq!(bad[0].code, PoisonCode::Corrupt);
    let books = desk.ledger.books().await.unwrap();
    assert_eq!((books.partitions[0].position, books.partitions[0].poison), (4, 3));
    assert_eq!(in_the_ledger(&desk).await.charged, BTreeMap::from([((10, "click".to_owned()), (1, 2_000_000))]));
}

#[tokio::test]
async fn the_ledgers_own_position_is_the_truth() {
    let mut desk = Desk::with(&parse(CATALOGUE).unwrap()).await;
    let log = desk.log.clone();
    let at = |next, pinned| Position { next, pinned, hint: 0 };
    assert_eq!(desk.sink.start(&log, at(0, Some(9))).await.unwrap(), at(0, Some(9)), "the pin is met again");
    assert_eq!(desk.sink.start(&log, at(70, None)).await.unwrap(), at(0, None), "the ledger never saw this log");
    let records = desk.records(0, [r#"{"type":"visit","payload":{"tag":"x"}}"#; 5].into_iter());
    desk.write(&records, &mut Vec::new()).await;
    assert_eq!(desk.sink.start(&log, at(0, Some(5))).await.unwrap(), at(5, None), "booked before the crash");
    assert_eq!(desk.sink.start(&log, at(5, Some(8))).await.unwrap(), at(5, Some(8)));
    let batch = Ok(penstock::ledger::Batch::default());
    assert!(all_of(&desk.sink.held(&log, range(0, 5), &batch).await.unwrap()));
    let fenced = desk.sink.held(&log, range(3, 9), &batch).await;
    assert!(matches!(fenced, Err(SinkError::Fenced(_))), "{fenced:?}");
}
