//! What people change, and the trace it leaves.

use crate::conformance::books_balance;
use crate::support::{Bench, NOON, batch, catalogue, who};
use penstock::ledger::{AdjustmentKind, AuditFilter, Budget, Change, Ledger, LedgerError, NewAdjustment, Reason};
use penstock::money::Nanos;

pub async fn resume_takes_away_the_operator_alone<L: Ledger>(bench: Bench<L>) {
    let mut catalogue = catalogue();
    catalogue.campaigns[0].total_budget_micros = Some(1);
    bench.import(&catalogue).await;
    bench.apply(0, &batch(&[(11, "visit", 1_000, NOON)])).await;
    let stopped = bench.ledger.stop(11, &who("ana")).await.unwrap();
    assert_eq!(stopped.reasons, vec![Reason::Operator, Reason::TotalBudget]);
    assert_eq!((stopped.stops[0].who.as_str(), stopped.stops[0].note.as_str()), ("ana", "a test"));
    // A second stop keeps the first one's name and time.
    bench.clock.advance(std::time::Duration::from_secs(5));
    let again = bench.ledger.stop(11, &who("ben")).await.unwrap();
    assert_eq!(again.stops, stopped.stops);
    let resumed = bench.ledger.resume(11, &who("ana")).await.unwrap();
    assert_eq!(resumed.reasons, vec![Reason::TotalBudget]);
    assert_eq!(bench.ledger.resume(11, &who("ana")).await.unwrap().reasons, vec![Reason::TotalBudget]);
    assert_eq!(bench.one("SELECT count(*) FROM audit WHERE action IN ('stop', 'resume')").await, 2);
}

pub async fn a_raised_budget_lets_the_campaign_serve_again<L: Ledger>(bench: Bench<L>) {
    let mut catalogue = catalogue();
    catalogue.campaigns[0].total_budget_micros = Some(5);
    catalogue.campaigns[0].daily_budget_micros = Some(5);
    bench.import(&catalogue).await;
    bench.apply(0, &batch(&[(11, "visit", 5_500, NOON)])).await;
    let set = |total, daily| Budget { total_budget_micros: total, daily_budget_micros: daily };
    let short = bench.ledger.set_budget(11, &set(Some(Some(6)), None), &who("ana")).await.unwrap();
    assert_eq!(short.reasons, vec![Reason::DailyBudget]);
    let free = bench.ledger.set_budget(11, &set(None, Some(None)), &who("ana")).await.unwrap();
    assert_eq!((free.reasons, free.daily_budget_micros, free.total_budget_micros), (vec![], None, Some(6)));
    let lowered = bench.ledger.set_budget(11, &set(Some(Some(5)), None), &who("ana")).await.unwrap();
    assert_eq!(lowered.reasons, vec![Reason::TotalBudget]);
    assert_eq!(lowered.overspend_nanos, Nanos(500));
}

pub async fn a_top_up_lets_all_campaigns_serve_again<L: Ledger>(bench: Bench<L>) {
    let mut catalogue = catalogue();
    catalogue.advertisers[0].balance_micros = Some(1);
    bench.import(&catalogue).await;
    bench.apply(0, &batch(&[(12, "visit", 1_200, NOON)])).await;
    let view = &bench.ledger.advertisers().await.unwrap()[0];
    assert_eq!((view.overspend_nanos, view.stopped_since), (Nanos(200), Some(NOON)));
    let view = bench.ledger.set_balance(1, Some(2), &who("ana")).await.unwrap();
    assert_eq!((view.overspend_nanos, view.stopped_since), (Nanos(0), None));
    assert_eq!(bench.ledger.stopped().await.unwrap(), vec![]);
    bench.ledger.set_balance(1, Some(0), &who("ana")).await.unwrap();
    assert_eq!(bench.ledger.stopped().await.unwrap().len(), 2);
}

pub async fn adjustments_change_what_is_spent_and_are_never_changed<L: Ledger>(bench: Bench<L>) {
    let mut catalogue = catalogue();
    catalogue.campaigns[0].total_budget_micros = Some(5);
    catalogue.campaigns[0].daily_budget_micros = Some(5);
    catalogue.advertisers[0].balance_micros = Some(5);
    bench.import(&catalogue).await;
    bench.apply(0, &batch(&[(11, "visit", 5_000, NOON)])).await;
    let day = chrono::NaiveDate::from_ymd_opt(2026, 1, 1);
    let refund = NewAdjustment {
        campaign_id: 11,
        kind: AdjustmentKind::Refund,
        amount_nanos: -1_000,
        day,
        key: "ticket 7".into(),
    };
    let first = bench.ledger.adjust(&refund, &who("ana")).await.unwrap();
    assert_eq!(bench.ledger.adjust(&refund, &who("ben")).await.unwrap(), first);
    let view = bench.ledger.campaign(11).await.unwrap().unwrap();
    assert_eq!(
        (view.spent_nanos, view.adjusted_nanos, view.spent_today_nanos),
        (Nanos(4_000), Nanos(-1_000), Nanos(4_000))
    );
    assert_eq!(view.reasons, vec![]);
    let other = NewAdjustment { amount_nanos: -2, ..refund.clone() };
    assert!(matches!(bench.ledger.adjust(&other, &who("ana")).await, Err(LedgerError::Refused(_))));
    let back =
        NewAdjustment { kind: AdjustmentKind::Correction, amount_nanos: 1_000, day: None, key: "k".into(), ..refund };
    bench.ledger.adjust(&back, &who("ana")).await.unwrap();
    let view = bench.ledger.campaign(11).await.unwrap().unwrap();
    assert_eq!(view.reasons, vec![Reason::TotalBudget, Reason::Balance]);
    let listed = bench.ledger.adjustments(11, 10).await.unwrap();
    assert_eq!(listed.iter().map(|a| a.made.amount_nanos).collect::<Vec<_>>(), vec![1_000, -1_000]);
    books_balance(&bench).await;
}

pub async fn every_change_has_its_audit_row<L: Ledger>(bench: Bench<L>) {
    bench.import(&catalogue()).await;
    bench.ledger.stop(11, &who("ana")).await.unwrap();
    bench.ledger.resume(11, &who("ben")).await.unwrap();
    let budget = Budget { total_budget_micros: Some(Some(7)), ..Budget::default() };
    bench.ledger.set_budget(11, &budget, &who("cem")).await.unwrap();
    bench.ledger.set_balance(1, Some(9), &who("dee")).await.unwrap();
    let rows = bench.ledger.audit(&AuditFilter::default()).await.unwrap();
    let trace: Vec<_> = rows.iter().map(|r| (r.who.as_str(), r.action.as_str(), r.subject.as_str())).collect();
    assert_eq!(
        trace,
        vec![
            ("dee", "set_balance", "advertiser 1"),
            ("cem", "set_budget", "campaign 11"),
            ("ben", "resume", "campaign 11"),
            ("ana", "stop", "campaign 11"),
            ("importer", "import", "catalogue"),
        ]
    );
    assert!(rows[1].before.contains("\"total_budget_micros\":null"), "{}", rows[1].before);
    assert!(rows[1].after.contains("\"total_budget_micros\":\"7\""), "{}", rows[1].after);
    let older = bench
        .ledger
        .audit(&AuditFilter { before: Some(rows[2].id), limit: 1, ..AuditFilter::default() })
        .await
        .unwrap();
    assert_eq!(older[0].action, "stop");
    let of =
        AuditFilter { subject: Some("campaign 11".to_owned()), who: Some("ben".to_owned()), ..AuditFilter::default() };
    let resumed = bench.ledger.audit(&of).await.unwrap();
    assert_eq!(resumed.iter().map(|r| r.action.as_str()).collect::<Vec<_>>(), ["resume"]);
    let none = AuditFilter { action: Some("stop".to_owned()), ..of };
    assert!(bench.ledger.audit(&none).await.unwrap().is_empty());
}

pub async fn what_breaks_a_rule_is_refused_and_changes_nothing<L: Ledger>(bench: Bench<L>) {
    bench.import(&catalogue()).await;
    let negative = Budget { total_budget_micros: Some(Some(-1)), ..Budget::default() };
    let nobody = Change { who: String::new(), why: String::new() };
    let positive =
        NewAdjustment { campaign_id: 11, kind: AdjustmentKind::Refund, amount_nanos: 1, day: None, key: "k".into() };
    let beyond = NewAdjustment { kind: AdjustmentKind::Correction, amount_nanos: i64::MAX, ..positive.clone() };
    bench.apply(0, &batch(&[(11, "visit", 1, NOON)])).await;
    assert!(matches!(bench.ledger.set_budget(11, &negative, &who("ana")).await, Err(LedgerError::Refused(_))));
    assert!(matches!(bench.ledger.stop(11, &nobody).await, Err(LedgerError::Refused(_))));
    assert!(matches!(bench.ledger.stop(99, &who("ana")).await, Err(LedgerError::NotFound(_))));
    assert!(matches!(bench.ledger.set_balance(99, None, &who("ana")).await, Err(LedgerError::NotFound(_))));
    assert!(matches!(bench.ledger.adjust(&positive, &who("ana")).await, Err(LedgerError::Refused(_))));
    assert!(matches!(bench.ledger.adjust(&beyond, &who("ana")).await, Err(LedgerError::Refused(_))));
    assert_eq!(bench.one("SELECT count(*) FROM audit WHERE action <> 'import'").await, 0);
    assert_eq!(bench.one("SELECT count(*) FROM adjustments").await, 0);
}
