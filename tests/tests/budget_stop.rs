//! A campaign that has used up its budget stops: seen from the ad server's side, under load, and told on
//! the panel.
//!
//! The test asserts that each of a hundred campaigns stops, and prints how long after the
//! acknowledgement of the exhausting event the sidecar said so (`make bench-stop` shows it in the
//! release build). It asserts no absolute time: machines are noisy.

use penstock_tests::{System, budget};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_a_hundred_exhausted_campaigns_stops_under_load() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("catalogue.json");
    std::fs::write(&file, budget::catalogue()).expect("the folder is writable");
    let mut system = System::prepare(folder.path(), "");
    system.start();
    system.ready().await;
    let _ = system.expect(&["catalogue", "import", &file.display().to_string()], 0);

    let watching = budget::watch(system.panel).await;
    let mut load = budget::load(system.panel, system.sidecar, 5_000, "25s");
    budget::exhaust_all(system.sidecar, system.sidecar).await;
    watching.told_of_all().await;
    let load = load.wait().await.expect("the simulator ends");
    assert!(load.success(), "the load ended with {load}");
    let _ = system.expect(&["reconcile", "--wait", "60s"], 0);
    assert_eq!(system.stop().await, Some(0), "{}", system.log());
}
