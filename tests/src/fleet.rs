//! A whole system of the cluster profile: two sidecars, a consumer a sink and the panel, each a
//! process of its own, over real servers.
//!
//! Every fleet has names of its own for topics, groups, database and archive, so that many can use
//! one cluster, and a ClickHouse engine of its own.

mod config;
mod load;
mod parts;
mod role;

pub use config::{Archive, Shape};
pub use load::{Load, Sending};
pub use parts::{Addresses, Parts};
pub use role::Role;

use crate::{client::Client, free_address, oracle, penstock, root};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// The names of the roles that a fleet begins with.
const FIRST: [&str; 6] = ["panel", "sidecar-1", "sidecar-2", "statistics-1", "balances-1", "archive-1"];

/// A fleet that runs.
pub struct Fleet {
    /// Its processes, by name.
    roles: Vec<Role>,
    engine: Parts,
    shape: Shape,
    addresses: Addresses,
    folder: PathBuf,
    config: PathBuf,
}

impl Fleet {
    /// Makes topics, database and configuration below `folder` and starts all roles; they are ready
    /// when this returns, with the catalogue of `input`.
    ///
    /// # Panics
    /// When one of them does not become ready, with what it printed.
    pub async fn start(folder: &Path, addresses: Addresses, shape: Shape, catalogue: &Path) -> Fleet {
        let engine = Parts::start(&folder.join("engine"), &["engine"]);
        let addresses = addresses.with_engine(&engine.addresses());
        shape.make_places(&addresses);
        let config = folder.join("cluster.toml");
        let mut fleet = Fleet { roles: Vec::new(), engine, shape, addresses, folder: folder.to_owned(), config };
        for name in FIRST {
            fleet.add(name);
        }
        fleet.configure();
        fleet.partitions(fleet.shape.partitions);
        for name in FIRST {
            fleet.role(name).start();
        }
        for name in FIRST {
            fleet.ready(name).await;
        }
        let _ = fleet.expect(&["catalogue", "import", &catalogue.display().to_string()], 0);
        fleet
    }

    /// One more process of a role (`statistics-2`), not yet started. Its name says what it does.
    pub fn add(&mut self, name: &str) {
        let kind = name.split('-').next().unwrap_or(name);
        let arguments: &[&str] = match kind {
            "sidecar" => &["sidecar"],
            "panel" => &["panel"],
            "statistics" => &["consume", "statistics"],
            "balances" => &["consume", "balances"],
            "archive" => &["consume", "archive"],
            _ => panic!("there is no role {name}"),
        };
        let config = self.folder.join(format!("{name}.toml"));
        self.roles.push(Role::prepare(name, arguments, free_address(), &config, &self.folder));
        self.configure();
    }

    /// Writes each role's configuration anew.
    fn configure(&self) {
        let others: Vec<(&str, std::net::SocketAddr)> = self.roles.iter().map(|r| (&*r.name, r.address)).collect();
        replace(&self.config, &self.shape.config(&self.addresses, &others, ""));
        for role in &self.roles {
            let text = self.shape.config(&self.addresses, &others, &role.name);
            replace(&self.folder.join(format!("{}.toml", role.name)), &text);
        }
    }

    /// Gives every event topic so many partitions while everything runs.
    pub fn partitions(&mut self, partitions: u32) {
        self.shape.partitions = partitions;
        self.configure();
        let config = self.config.display().to_string();
        let _ = self.expect(&["topics", "apply", "--yes", "--config", &config], 0);
    }

    /// A role by its name.
    ///
    /// # Panics
    /// When there is none.
    pub fn role(&mut self, name: &str) -> &mut Role {
        let Some(role) = self.roles.iter_mut().find(|role| role.name == name) else { panic!("there is no {name}") };
        role
    }

    /// The ClickHouse engine of this fleet.
    #[must_use]
    pub const fn engine(&self) -> &Parts {
        &self.engine
    }

    /// A client of a sidecar.
    pub fn client(&mut self, sidecar: &str) -> Client {
        Client::new(self.role(sidecar).address)
    }

    /// Waits until a role says that it is ready, for at most a minute and a half.
    ///
    /// # Panics
    /// When it ends, or does not become ready.
    pub async fn ready(&mut self, name: &str) {
        let url = format!("http://{}/readyz", self.role(name).address);
        let deadline = tokio::time::Instant::now() + Duration::from_secs(90);
        let mut last = String::new();
        loop {
            if let Ok(answer) = reqwest::get(&url).await {
                if answer.status().is_success() {
                    return;
                }
                last = answer.text().await.unwrap_or_default();
            }
            if let Some(status) = self.role(name).ended() {
                panic!("{name} ended with {status} while it started:\n{}", self.role(name).log());
            }
            assert!(tokio::time::Instant::now() < deadline, "{name} is not ready: {last}\n{}", self.role(name).log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Runs a `penstock` command against this fleet's panel.
    #[must_use]
    pub fn run(&mut self, arguments: &[&str]) -> Output {
        let (panel, sidecar) = (self.role("panel").address, self.role("sidecar-1").address);
        Command::new(penstock())
            .args(arguments)
            .env("PENSTOCK_PANEL", format!("http://{panel}"))
            .env("PENSTOCK_SIDECAR", format!("http://{sidecar}"))
            .stdin(Stdio::null())
            .output()
            .expect("penstock runs")
    }

    /// Runs a command and fails the test unless it exits with `code`; gives its standard output.
    ///
    /// # Panics
    /// With what it and all roles printed.
    pub fn expect(&mut self, arguments: &[&str], code: i32) -> String {
        let output = self.run(arguments);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(
            output.status.code(),
            Some(code),
            "penstock {arguments:?}\n--- stdout\n{out}\n--- stderr\n{err}\n{}",
            self.logs()
        );
        out.into_owned()
    }

    /// What all roles printed last.
    #[must_use]
    pub fn logs(&self) -> String {
        let each = self.roles.iter().map(|role| format!("--- {}\n{}\n", role.name, role.log()));
        each.collect()
    }

    /// Holds ClickHouse, ledger and archive against the input, by tools that are not ours, after
    /// `reconcile` has found them equal among themselves.
    ///
    /// # Panics
    /// With every difference.
    pub fn stores_equal(&mut self, input: &oracle::Input) {
        let _ = self.expect(&["reconcile", "--wait", "120s"], 0);
        let (ledger, archive) = (self.shape.ledger(&self.addresses), self.shape.archive_for_oracle(&self.addresses));
        // The fleet's servers need not be those of the environment.
        let hadoop = archive.starts_with("hdfs").then(|| self.addresses.of("HDFS_CLASSPATH"));
        let clickhouse = self.addresses.of("CLICKHOUSE");
        let stores = oracle::Stores { clickhouse, ledger: &ledger, archive: &archive, hadoop };
        oracle::compare(input, &stores, &self.logs());
    }

    /// Ends every role that runs, in order, and asserts that each ended well.
    ///
    /// # Panics
    /// When one did not.
    pub async fn end(mut self) {
        // What a test has killed has ended already.
        for mut role in self.roles.drain(..).filter(Role::runs) {
            let code = role.end().await;
            assert_eq!(code, Some(0), "{} ended badly:\n{}", role.name, role.log());
        }
    }
}

/// Writes a file that is there whole at every moment: a role may be reading it.
fn replace(path: &Path, text: &str) {
    let aside = path.with_extension("new");
    std::fs::write(&aside, text).expect("the folder is writable");
    std::fs::rename(&aside, path).expect("a file can be put in another's place");
}

/// How often a fault is repeated: `PENSTOCK_ROUNDS`, or once.
#[must_use]
pub fn rounds() -> usize {
    std::env::var("PENSTOCK_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(1)
}

/// The SQL of `mariadb`, for what tests make and look at themselves.
///
/// # Panics
/// With what the server says.
pub fn sql(server: &str, statement: &str) -> String {
    let python = root().join(".parts/venv/bin/python");
    assert!(python.exists(), "{} is not there: run `make parts` first", python.display());
    let output = Command::new(python)
        .arg("-c")
        .arg("import sys, sources; print(sources.ledger(sys.argv[1])(sys.argv[2]))")
        .args([server, statement])
        .current_dir(root().join("tests/oracle"))
        .output()
        .expect("python runs");
    assert!(output.status.success(), "{statement}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
