//! SQLite under the conformance suite.

use crate::support::{Bench, NOON, Oracle};
use penstock::time::ManualClock;
use penstock_consumers::balances::ledger::sqlite::SqliteLedger;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};
use sqlx::{AssertSqlSafe, Row};
use std::path::Path;
use std::sync::Arc;

struct SqliteOracle {
    pool: SqlitePool,
    _folder: Option<tempfile::TempDir>,
}

impl Oracle for SqliteOracle {
    fn ask<'a>(&'a self, sql: &'a str) -> std::pin::Pin<Box<dyn Future<Output = Vec<Vec<i64>>> + Send + 'a>> {
        Box::pin(async move {
            let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&self.pool).await.unwrap();
            rows.iter().map(|row| (0..row.len()).map(|i| row.get::<i64, _>(i)).collect()).collect()
        })
    }
}

pub async fn open(path: &Path, clock: &ManualClock) -> SqliteLedger {
    SqliteLedger::open(path, Arc::new(clock.clone())).await.unwrap()
}

/// A new ledger in a folder that goes with it; the clock stands at [`NOON`].
pub async fn bench() -> Bench<SqliteLedger> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let clock = ManualClock::at(NOON);
    let ledger = open(&path, &clock).await;
    let pool = SqlitePool::connect_lazy_with(SqliteConnectOptions::new().filename(&path).read_only(true));
    let reopen = {
        let (path, clock) = (path.clone(), clock.clone());
        Box::new(move || {
            let (path, clock) = (path.clone(), clock.clone());
            let opened: std::pin::Pin<Box<dyn Future<Output = SqliteLedger> + Send>> =
                Box::pin(async move { open(&path, &clock).await });
            opened
        })
    };
    Bench { ledger, clock, oracle: Box::new(SqliteOracle { pool, _folder: Some(folder) }), reopen }
}

/// Runs each function of the suite as a test of its own.
macro_rules! conforms {
    ($($module:ident :: $promise:ident),* $(,)?) => { $(
        #[tokio::test]
        async fn $promise() {
            crate::$module::$promise(bench().await).await;
        }
    )* };
}

conforms! {
    conformance::a_range_written_twice_counts_once,
    conformance::a_range_that_does_not_follow_is_fenced,
    conformance::an_id_is_charged_once_within_a_batch_and_over_batches,
    conformance::a_click_is_no_repeat_of_a_conversion,
    conformance::what_cannot_be_attributed_is_counted_as_such,
    conformance::poison_and_gaps_are_counted_by_their_ranges,
    conformance::an_overflow_stops_the_campaign_and_never_wraps,
    conformance::sums_past_64_bits_are_kept_exactly,
    conformance::a_range_may_hold_more_than_any_account,
    conformance::two_partitions_do_not_meet,
    conformance::folded_ranges_keep_their_sums,
    conformance::an_id_past_the_horizon_is_forgotten,
    budgets::a_total_budget_stops_when_spent_reaches_it,
    budgets::a_budget_of_nothing_is_reached_at_once,
    budgets::events_of_a_stopped_campaign_are_charged_as_overspend,
    budgets::an_advertisers_balance_stops_all_its_campaigns,
    budgets::a_daily_budget_is_over_at_the_campaigns_midnight,
    budgets::late_events_never_cause_a_daily_stop,
    budgets::a_day_that_was_used_up_ahead_stops_at_its_midnight,
    budgets::days_follow_the_zones_change_of_clocks,
    budgets::a_half_hour_zone_splits_its_hours_at_midnight,
    control::resume_takes_away_the_operator_alone,
    control::a_raised_budget_lets_the_campaign_serve_again,
    control::a_top_up_lets_all_campaigns_serve_again,
    control::adjustments_change_what_is_spent_and_are_never_changed,
    control::every_change_has_its_audit_row,
    control::what_breaks_a_rule_is_refused_and_changes_nothing,
    catalogue::an_import_comes_back_in_an_export,
    catalogue::the_same_import_again_changes_nothing,
    catalogue::prices_hold_by_versions,
    catalogue::a_refused_import_leaves_everything_as_it_was,
    catalogue::an_import_applies_its_budgets_at_once,
    publishing::the_outbox_says_what_the_ledger_says,
    publishing::a_version_means_one_state_for_ever,
    publishing::a_balance_is_told_for_every_campaign,
    publishing::kpis_are_told_once_per_change,
    publishing::old_outbox_rows_go_but_the_newest_state_stays,
}

#[tokio::test]
async fn a_ledger_opened_again_stands_where_it_stood() {
    use penstock::ledger::Ledger;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let clock = ManualClock::at(NOON);
    let ledger = open(&path, &clock).await;
    let range = penstock::log::Range { from: 0, to: 1 };
    let poison = penstock::ledger::Batch { poison: 1, ..Default::default() };
    ledger.apply(&crate::support::log(0), range, &poison).await.unwrap();
    ledger.close().await;
    drop(ledger);
    let again = open(&path, &clock).await;
    assert_eq!(again.position(&crate::support::log(0)).await.unwrap(), Some(1));
}

#[tokio::test]
async fn a_file_that_is_no_ledger_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    std::fs::write(&path, vec![7u8; 8_192]).unwrap();
    let opened = SqliteLedger::open(&path, Arc::new(ManualClock::at(NOON))).await;
    assert!(matches!(opened.err(), Some(penstock::ledger::LedgerError::Fatal(_))));
}

#[tokio::test]
async fn the_files_are_the_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let ledger = open(&folder.path().join("ledger.db"), &ManualClock::at(NOON)).await;
    let mut seen = 0;
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{}", file.path().display());
        seen += 1;
    }
    assert!(seen >= 2, "the database and its log");
    ledger.close().await;
}
