//! Real ad clicks, where they lie beside the checkout: the totals were counted without this code.

use crate::support::Desk;
use penstock::ledger::{Ledger, Reason};
use penstock_consumers::catalogue::parse;
use std::path::{Path, PathBuf};

/// Beside the checkout, or beside the folder that holds its work trees.
fn folder() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    ["../shared/data", "../../shared/data"].iter().map(|p| root.join(p)).find(|p| p.join("expected.json").exists())
}

#[tokio::test]
async fn real_clicks_come_to_the_totals_that_others_counted() {
    let Some(folder) = folder() else { return };
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let catalogue = parse(&read("campaigns.json")).unwrap();
    let expected: serde_json::Value = serde_json::from_str(&read("expected.json")).unwrap();
    let events = read("events.ndjson");
    let lines: Vec<&str> = events.lines().collect();
    let mut desk = Desk::with(&catalogue).await;
    let mut from = 0;
    for part in lines.chunks(3_001) {
        let records = desk.records(from, part.iter().copied());
        let mut bad = Vec::new();
        desk.write(&records, &mut bad).await;
        desk.write(&records, &mut bad).await;
        assert_eq!(bad, vec![]);
        from += part.len() as u64;
    }
    let by_campaign = expected["by_campaign"].as_object().unwrap();
    assert_eq!(by_campaign.len(), 101);
    for (id, counted) in by_campaign {
        let view = desk.ledger.campaign(id.parse().unwrap()).await.unwrap().unwrap();
        assert_eq!(view.kpis.clicks, counted["clicks"].as_u64().unwrap(), "campaign {id}");
        assert_eq!(view.kpis.conversions, counted["conversions"].as_u64().unwrap(), "campaign {id}");
        assert_eq!(view.spent_nanos.0, counted["spent_nanos"].as_i64().unwrap(), "campaign {id}");
    }
    let books = desk.ledger.books().await.unwrap();
    let charged: i128 = books.charged.iter().map(|(_, tally)| tally.nanos).sum();
    let events: u64 = books.charged.iter().map(|(_, tally)| tally.events).sum();
    assert_eq!(charged, i128::from(expected["spent_nanos"].as_i64().unwrap()));
    assert_eq!(events, expected["events"].as_u64().unwrap());
    let stopped = desk.ledger.stopped().await.unwrap();
    let with_budget: Vec<u32> =
        catalogue.campaigns.iter().filter(|c| c.total_budget_micros.is_some()).map(|c| c.id).collect();
    assert_eq!(stopped.iter().map(|s| s.campaign_id).collect::<Vec<_>>(), with_budget);
    assert!(stopped.iter().all(|s| s.stops[0].reason == Reason::TotalBudget));
    // By hour and type: the keys are `click 2017-11-06 16`.
    let hours = desk.hours().await;
    let counted: std::collections::BTreeMap<String, u64> = expected["by_hour"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(hour, events)| (hour.clone(), events.as_u64().unwrap()))
        .collect();
    assert_eq!(hours, counted);
}
