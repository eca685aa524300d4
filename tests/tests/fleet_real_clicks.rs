//! Real ad clicks through two sidecars, Kafka and a consumer a sink, each a process of its own, held
//! against totals counted by other code: in ClickHouse, MariaDB, and the archive on HDFS or S3.
#![cfg(feature = "cluster")]

use penstock_tests::fleet::{Addresses, Archive, Fleet, Shape};
use penstock_tests::oracle;
use tokio::sync::Mutex;

/// A fleet is many processes; one at a time.
static ONE: Mutex<()> = Mutex::const_new(());

async fn totals_equal_over(shape: Shape) {
    let _one = ONE.lock().await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let input = oracle::input(folder.path());
    let mut fleet = Fleet::start(folder.path(), Addresses::of_environment(), shape, &input.catalogue).await;

    let text = std::fs::read_to_string(&input.events).expect("the events can be read");
    let lines: Vec<&str> = text.lines().collect();
    let (first, second) = lines.split_at(lines.len() / 3);
    for (sidecar, part) in [("sidecar-1", first), ("sidecar-2", second)] {
        let file = folder.path().join(format!("{sidecar}.ndjson"));
        std::fs::write(&file, part.join("\n")).expect("the folder is writable");
        let to = format!("http://{}", fleet.role(sidecar).address);
        let _ = fleet.expect(&["ingest", &file.display().to_string(), "--to", &to], 0);
    }
    fleet.stores_equal(&input);

    // What stands must still stand after everything was stopped in order and started again.
    for name in ["sidecar-1", "sidecar-2", "statistics-1", "balances-1", "archive-1", "panel"] {
        assert_eq!(fleet.role(name).end().await, Some(0), "{name}:\n{}", fleet.role(name).log());
        fleet.role(name).start();
    }
    for name in ["sidecar-1", "sidecar-2", "statistics-1", "balances-1", "archive-1", "panel"] {
        fleet.ready(name).await;
    }
    fleet.stores_equal(&input);
    fleet.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clickhouse_mariadb_and_hdfs_each_equal_the_counted_totals() {
    totals_equal_over(Shape::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clickhouse_mariadb_and_s3_each_equal_the_counted_totals_without_a_registry() {
    totals_equal_over(Shape { archive: Archive::S3, registry: false, ..Shape::new() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn totals_equal_where_kafka_and_mariadb_want_tls_and_a_login() {
    totals_equal_over(Shape { secure: true, ..Shape::new() }).await;
}
