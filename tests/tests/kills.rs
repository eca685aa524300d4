//! SIGKILL at random moments, while a client repeats each unanswered request under its key.

use penstock_tests::{System, client::Client, oracle};
use rand::{RngExt, SeedableRng};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// How often the process is killed.
const KILLS: usize = 50;
/// Events a request: about eight requests fall between two kills.
const BATCH: usize = 50;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_kills_at_random_moments_change_no_total() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let input = oracle::input(folder.path());
    // Small ranges and quick files put many steps of every pipeline within reach of a kill.
    let mut system = System::prepare(
        folder.path(),
        "[archive]\nmax_age = \"300ms\"\n\n[statistics]\nmax_age = \"100ms\"\n\n[spool]\nsegment_bytes = 1048576\n",
    );
    system.start();
    system.ready().await;
    let _ = system.expect(&["catalogue", "import", &input.catalogue.display().to_string()], 0);

    let text = std::fs::read_to_string(&input.events).expect("the events can be read");
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let batches: Vec<String> = lines.chunks(BATCH).map(|c| c.join("\n")).collect();
    let kills = Arc::new(AtomicUsize::new(0));

    let sender = tokio::spawn({
        let (client, kills) = (Client::new(system.sidecar), Arc::clone(&kills));
        async move {
            let mut repeats = 0;
            let total = batches.len();
            for (i, batch) in batches.into_iter().enumerate() {
                // Spread the requests over all the kills: each goes out around a kill of its own.
                while kills.load(Ordering::SeqCst) * total < i * KILLS {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                repeats += client.deliver(&format!("batch-{i}"), batch).await - 1;
            }
            repeats
        }
    });

    let seed = std::env::var("PENSTOCK_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(|| rand::rng().random());
    eprintln!("PENSTOCK_SEED={seed}");
    let mut random = rand::rngs::StdRng::seed_from_u64(seed);
    for kill in 0..KILLS {
        // Some kills fall into the start itself, some into work after it.
        if random.random_bool(0.7) {
            system.wait_for(&format!("http://{}/readyz", system.sidecar)).await;
        }
        tokio::time::sleep(Duration::from_millis(random.random_range(0..1_500))).await;
        system.kill();
        kills.store(kill + 1, Ordering::SeqCst);
        system.start();
    }

    system.ready().await;
    let repeats = sender.await.expect("the sender ends");
    eprintln!("{KILLS} kills, {repeats} requests repeated");
    let _ = system.expect(&["reconcile", "--wait", "60s"], 0);
    oracle::stores_equal(&system, &input);
    assert_eq!(system.stop().await, Some(0), "{}", system.log());
}
