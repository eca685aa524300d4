//! Real ad clicks through the whole embedded system, held against totals counted by other code.

use penstock_tests::{System, oracle};

#[tokio::test]
async fn clickhouse_ledger_and_archive_each_equal_the_counted_totals() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let input = oracle::input(folder.path());
    let mut system = System::holding(folder.path(), &input).await;
    oracle::stores_equal(&system, &input);
    oracle::panel_equals(&system, &input);

    // What stands must still stand after an orderly restart.
    assert_eq!(system.stop().await, Some(0), "{}", system.log());
    system.start();
    system.ready().await;
    let _ = system.expect(&["reconcile", "--wait", "60s"], 0);
    oracle::stores_equal(&system, &input);
    assert_eq!(system.stop().await, Some(0), "{}", system.log());
}
