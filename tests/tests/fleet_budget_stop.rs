//! A campaign that has used up its budget stops, across processes: the click that exhausts it goes to
//! one sidecar, the other says that it is not served any more, and whoever watches the panel is told.
//!
//! It asserts that each of a hundred campaigns stops, and prints how long that took (`make bench-stop`
//! shows it in the release build).
#![cfg(feature = "cluster")]

use penstock_tests::budget;
use penstock_tests::fleet::{Addresses, Fleet, Shape};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_a_hundred_campaigns_that_another_sidecar_exhausted_stops_under_load() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("catalogue.json");
    std::fs::write(&file, budget::catalogue()).expect("the folder is writable");
    let mut fleet = Fleet::start(folder.path(), Addresses::of_environment(), Shape::new(), &file).await;

    let (panel, first, last) =
        (fleet.role("panel").address, fleet.role("sidecar-1").address, fleet.role("sidecar-2").address);
    let watching = budget::watch(panel).await;
    let mut load = budget::load(panel, last, 1_000, "25s");
    budget::exhaust_all(first, last).await;
    watching.told_of_all().await;
    let load = load.wait().await.expect("the simulator ends");
    assert!(load.success(), "the load ended with {load}");
    let _ = fleet.expect(&["reconcile", "--wait", "120s"], 0);
    fleet.end().await;
}
