//! Users, funnels, retention and comparisons, against SQL of another shape.

use super::Engine;
use crate::support::World;

/// People whose ways were drawn by hand: who did what, and what that makes.
pub async fn analytics(engine: &Engine, world: &World) {
    let mut rows = Vec::new();
    let mut row = |user: &str, kind: &str, time: &str, variation: &str| {
        rows.push(format!(
            "(generateUUIDv4(), '{kind}', '{time}', '{time}', 'ad', 900, '{user}', '{variation}', 'hand', 0, {})",
            rows.len()
        ));
    };
    // Four see the ad; `a` and `b` click within the hour, `c` after it; `a` buys, `d` clicked before.
    for (user, kind, time) in [
        ("a", "impression", "2020-05-04 10:00:00"),
        ("a", "click", "2020-05-04 10:30:00"),
        ("a", "conversion", "2020-05-04 10:59:59"),
        ("b", "impression", "2020-05-04 10:00:00"),
        ("b", "click", "2020-05-04 11:00:00"),
        ("c", "impression", "2020-05-04 10:00:00"),
        ("c", "click", "2020-05-04 11:00:01"),
        ("d", "click", "2020-05-04 09:00:00"),
        ("d", "impression", "2020-05-04 10:00:00"),
        ("", "impression", "2020-05-04 10:00:00"),
    ] {
        row(user, kind, time, "");
    }
    // Visits by day: a cohort of three on Monday, one on Tuesday.
    for (user, days) in [("a", &[4, 5, 7][..]), ("b", &[4, 5]), ("c", &[4]), ("d", &[5, 6])] {
        for day in days {
            row(user, "visit", &format!("2020-05-0{day} 12:00:00"), "");
        }
    }
    // 1 000 impressions each; 100 clicks and 140.
    for (variation, clicks) in [("A", 100), ("B", 140)] {
        for n in 0..1_000 + clicks {
            row("", if n < 1_000 { "impression" } else { "click" }, "2020-06-01 00:00:00", variation);
        }
    }
    let columns =
        "(id, type, time, received, server, campaign_id, user_id, variation_id, log_topic, log_partition, log_offset)";
    engine.sql(&format!("INSERT INTO penstock.events {columns} VALUES {}", rows.join(","))).await;

    let may = "start_time=2020-05-01T00:00:00Z&end_time=2020-05-31T00:00:00Z";
    let funnel = world
        .get(&format!("/api/v1/analytics/funnel?{may}&steps=impression,click,conversion&window=1h&by=server"))
        .await
        .json()["result"]
        .clone();
    let users = |steps: &serde_json::Value| {
        steps.as_array().unwrap().iter().map(|s| s["users"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(users(&funnel["steps"]), [4, 2, 1]);
    assert_eq!((&funnel["steps"][1]["from_first"], &funnel["steps"][2]["from_previous"]), (&0.5.into(), &0.5.into()));
    assert_eq!((&funnel["groups"][0]["value"], users(&funnel["groups"][0]["steps"])), (&"ad".into(), vec![4, 2, 1]));

    let cohorts = world
        .get(&format!("/api/v1/analytics/retention?{may}&first=visit&return=visit&unit=day&periods=4"))
        .await
        .json()["result"]["cohorts"]
        .clone();
    assert_eq!(
        cohorts,
        serde_json::json!([
            {"start": "2020-05-04", "users": 3, "returned": [3, 2, 0, 1]},
            {"start": "2020-05-05", "users": 1, "returned": [1, 1, 0, 0]}
        ])
    );
    for (unit, start) in [("week", "2020-05-04"), ("month", "2020-05-01")] {
        let cohorts = world.get(&format!("/api/v1/analytics/retention?{may}&unit={unit}&periods=1")).await.json()["result"]["cohorts"].clone();
        assert_eq!(cohorts, serde_json::json!([{"start": start, "users": 4, "returned": [4]}]), "{unit}");
    }

    let unique = world.get(&format!("/api/v1/analytics/users?{may}&step=1d")).await.json()["result"].clone();
    assert_eq!(unique["total"], 4);
    assert_eq!(
        unique["rows"].as_array().unwrap().iter().map(|r| r["users"].as_u64().unwrap()).collect::<Vec<_>>(),
        [4, 3, 1, 1]
    );

    // Computed with Python's math.erfc and the formulas of the textbook.
    let june = "start_time=2020-06-01T00:00:00Z&end_time=2020-06-02T00:00:00Z";
    let ab =
        world.get(&format!("/api/v1/analytics/ab?{june}&campaign_id=900&control=A")).await.json()["result"].clone();
    #[expect(clippy::float_arithmetic, reason = "ratios and their intervals, no money")]
    let near = |value: &serde_json::Value, want: f64| {
        assert!((value.as_f64().unwrap() - want).abs() < 1e-9, "{value} is not {want}")
    };
    let compared = &ab["comparisons"][0];
    assert_eq!(
        (&ab["control"], &compared["variation_id"], &compared["significant"]),
        (&"A".into(), &"B".into(), &true.into())
    );
    near(&compared["z"], 2.757_637_165_698_669);
    near(&compared["p_value"], 0.005_822_078_137_343_653);
    near(&compared["interval"][0], 0.011_570_386_286_936);
    near(&ab["variations"][0]["interval"][0], 0.082_909_443_593_096);
    near(&ab["variations"][1]["interval"][0], 0.119_868_574_625_977);
    let refused = world.get(&format!("/api/v1/analytics/ab?{june}&control=C")).await;
    assert_eq!(refused.problem().field.as_deref(), Some("control"));

    let top =
        world.get(&format!("/api/v1/analytics/top?{june}&dimension=variation_id&measure=clicks&limit=1")).await.json()
            ["result"]
            .clone();
    assert_eq!(top, serde_json::json!([{"value": "B", "measure": 140}]));
}
