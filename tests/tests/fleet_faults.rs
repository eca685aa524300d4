//! Everything that a fleet is made of dies, hangs or goes away under load, and no total changes.
//!
//! Each test runs rounds of one fault (`PENSTOCK_ROUNDS`, `make faults` takes 30). In every round a
//! part of the input is sent to both sidecars by a client that repeats what is not acknowledged; the
//! fault strikes at a random moment; then `reconcile` must find all stores equal. At the end the
//! stores are held against the input by code that is not ours: nothing lost, nothing twice, money
//! right to the nano, and exactly those campaigns stopped whose budget is used up.
//!
//! The servers are this process's own, one fault at a time.
#![cfg(feature = "cluster")]

use penstock_tests::fleet::{Fleet, Load, Parts, Shape, rounds};
use penstock_tests::oracle;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::sleep;

/// Servers are hurt by one test at a time.
static ONE: Mutex<()> = Mutex::const_new(());

/// What a fault sees of the system.
struct Round<'a> {
    fleet: &'a mut Fleet,
    parts: &'a Parts,
    random: &'a mut StdRng,
    load: &'a mut Load,
    /// From 0.
    number: usize,
}

impl Round<'_> {
    /// A random part of a second: the moment at which something happens.
    async fn moment(&mut self) {
        sleep(Duration::from_millis(self.random.random_range(0..1_000))).await;
    }

    /// SIGKILL of one of our processes, and a new start a moment later.
    async fn kill_role(&mut self, name: &str) {
        self.moment().await;
        self.fleet.role(name).kill();
        self.moment().await;
        self.fleet.role(name).start();
    }

    /// SIGKILL of a server, and a new start a moment later.
    async fn kill_part(&mut self, part: &str) {
        self.moment().await;
        self.parts.kill(&[part]);
        self.moment().await;
        self.parts.restart(&[part]);
    }
}

async fn rounds_of(more: &[&str], fault: impl AsyncFn(&mut Round<'_>)) {
    let _one = ONE.lock().await;
    let parts: Arc<Parts> = Parts::of_this_process();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let input = oracle::input(folder.path());
    let mut fleet = Fleet::start(folder.path(), parts.addresses(), Shape::new(), &input.catalogue).await;
    for name in more {
        fleet.add(name);
        fleet.role(name).start();
        fleet.ready(name).await;
    }
    let seed = std::env::var("PENSTOCK_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(|| rand::rng().random());
    eprintln!("PENSTOCK_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let rounds = rounds();
    let mut load = Load::over(&input, rounds);
    for number in 0..rounds {
        let sending = load.send(&mut fleet, Duration::from_secs(4));
        fault(&mut Round { fleet: &mut fleet, parts: &parts, random: &mut random, load: &mut load, number }).await;
        sending.acknowledged().await;
        let _ = fleet.expect(&["reconcile", "--wait", "120s"], 0);
        eprintln!("round {} of {rounds}: equal", number + 1);
    }
    load.rest(&mut fleet).await;
    fleet.stores_equal(&input);
    fleet.end().await;
}

const SINKS: [&str; 3] = ["statistics-1", "balances-1", "archive-1"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "starts a whole fleet: make test-fleet"]
async fn a_broker_that_is_killed_changes_no_total() {
    rounds_of(&[], async |round| {
        let broker = ["kafka1", "kafka2", "kafka3"][round.random.random_range(0..3)];
        round.kill_part(broker).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "starts a whole fleet: make test-fleet"]
async fn brokers_that_are_all_away_delay_and_lose_nothing_and_intake_answers_meanwhile() {
    // A minute in `make faults`, less where only one round is run.
    let away = Duration::from_secs(if rounds() > 1 { 60 } else { 15 });
    rounds_of(&[], async |round| {
        round.moment().await;
        round.parts.kill(&["kafka"]);
        let (key, body) = round.load.spare();
        let sent = round.fleet.client("sidecar-1").deliver(&key, body).await;
        assert_eq!(sent, 1, "intake did not answer at once while all brokers were away");
        sleep(away).await;
        round.parts.restart(&["kafka"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "starts a whole fleet: make test-fleet"]
async fn a_sidecar_that_is_killed_changes_no_total() {
    rounds_of(&[], async |round| round.kill_role(["sidecar-1", "sidecar-2"][round.number % 2]).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "starts a whole fleet: make test-fleet"]
async fn consumers_that_are_killed_change_no_total() {
    rounds_of(&[], async |round| {
        for name in SINKS {
            round.kill_role(name).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "starts a whole fleet: make test-fleet"]
async fn a_ledger_server_that_is_killed_changes_no_total() {
    rounds_of(&[], async |round| round.kill_part("mariadb").await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "starts a whole fleet: make test-fleet"]
async fn a_datanode_that_is_killed_changes_no_total() {
    rounds_of(&[], async |round| round.kill_part("datanode").await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "starts a whole fleet: make test-fleet"]
async fn a_registry_that_is_killed_changes_no_total() {
    rounds_of(&[], async |round| {
        round.kill_part("registry").await;
        // Who starts while it is away works with the ids that it knows.
        round.parts.kill(&["registry"]);
        round.kill_role("sidecar-1").await;
        round.kill_role("statistics-1").await;
        round.fleet.ready("sidecar-1").await;
        round.fleet.ready("statistics-1").await;
        round.parts.restart(&["registry"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "starts a whole fleet: make test-fleet"]
async fn a_consumer_that_hangs_past_its_session_and_wakes_up_changes_no_total() {
    rounds_of(&["statistics-2", "balances-2", "archive-2"], async |round| {
        for name in SINKS {
            round.moment().await;
            round.fleet.role(name).pause();
        }
        // Longer than the session: the others have taken over and written when these wake up.
        sleep(Duration::from_secs(9)).await;
        for name in SINKS {
            round.fleet.role(name).resume();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "starts a whole fleet: make test-fleet"]
async fn consumers_that_come_and_go_change_no_total() {
    rounds_of(&[], async |round| {
        let (first, more) = (round.number == 0, ["statistics-2", "balances-2", "archive-2"]);
        let third = ["statistics-3", "balances-3", "archive-3"];
        for name in more.iter().chain(&third) {
            if first {
                round.fleet.add(name);
            }
            round.fleet.role(name).start();
        }
        // From one to three, …
        for name in more.iter().chain(&third) {
            round.fleet.ready(name).await;
        }
        round.moment().await;
        // … to two, one of them in order, …
        for name in third {
            assert_eq!(round.fleet.role(name).end().await, Some(0), "{name}:\n{}", round.fleet.role(name).log());
        }
        round.moment().await;
        // … and back to one, by death.
        for name in more {
            round.fleet.role(name).kill();
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "starts a whole fleet: make test-fleet"]
async fn partitions_that_are_added_while_running_change_no_total() {
    rounds_of(&[], async |round| {
        round.moment().await;
        round.fleet.partitions(12 + 2 * u32::try_from(round.number).unwrap_or(0));
    })
    .await;
}
