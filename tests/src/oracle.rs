//! Asks Python (sqlite3, fastavro, Hadoop's shell, plain HTTP) what the stores hold; see `oracle/stores.py`.

use crate::{System, root};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Events, catalogue and, when somebody else counted them, totals.
pub struct Input {
    /// NDJSON file of events.
    pub events: PathBuf,
    /// Catalogue file.
    pub catalogue: PathBuf,
    /// Totals counted without the project's code.
    pub expected: Option<PathBuf>,
}

/// Real ad clicks when they lie beside the checkout, else events that `tests/oracle/made.py` makes.
///
/// # Panics
/// When neither can be had.
#[must_use]
pub fn input(folder: &Path) -> Input {
    let real = root().join("../shared/data");
    if real.join("events.ndjson").exists() {
        return Input {
            events: real.join("events.ndjson"),
            catalogue: real.join("campaigns.json"),
            expected: Some(real.join("expected.json")),
        };
    }
    let made = Command::new("python3").arg(root().join("tests/oracle/made.py")).arg(folder).status();
    assert!(made.is_ok_and(|s| s.success()), "python3 tests/oracle/made.py failed");
    Input { events: folder.join("events.ndjson"), catalogue: folder.join("campaigns.json"), expected: None }
}

/// Holds ClickHouse, ledger and archive of a running system against the input.
///
/// # Panics
/// With every difference, or when the Python environment is not there.
pub fn stores_equal(system: &System, input: &Input) {
    let (ledger, archive) = (system.data.join("ledger.db"), system.data.join("archive"));
    let clickhouse = format!("http://{}", system.engine);
    let (ledger, archive) = (ledger.display().to_string(), archive.display().to_string());
    let stores = Stores { clickhouse: &clickhouse, ledger: &ledger, archive: &archive, hadoop: None };
    compare(input, &stores, &system.log());
}

/// Where the stores are; see `oracle/stores.py` for the form of the addresses.
pub struct Stores<'a> {
    /// ClickHouse's HTTP address.
    pub clickhouse: &'a str,
    /// The ledger's database.
    pub ledger: &'a str,
    /// The archive's root.
    pub archive: &'a str,
    /// Class path of Hadoop's client, for an archive on HDFS.
    pub hadoop: Option<&'a str>,
}

/// Holds stores against the input, wherever they are. `logs` is shown with a failure.
///
/// # Panics
/// With every difference, or when the Python environment is not there.
pub fn compare(input: &Input, stores: &Stores<'_>, logs: &str) {
    let python = root().join(".parts/venv/bin/python");
    assert!(python.exists(), "{} is not there: run `make parts` first", python.display());
    let mut command = Command::new(python);
    command.arg(root().join("tests/oracle/stores.py"));
    command.arg("--events").arg(&input.events).arg("--catalogue").arg(&input.catalogue);
    command.args(["--clickhouse", stores.clickhouse, "--ledger", stores.ledger, "--archive", stores.archive]);
    if let Some(hadoop) = stores.hadoop {
        command.env("PENSTOCK_TEST_HDFS_CLASSPATH", hadoop);
    }
    if let Some(expected) = &input.expected {
        command.arg("--expected").arg(expected);
    }
    let output = command.output().expect("python runs");
    assert!(
        output.status.success(),
        "the stores differ from the input:\n{}{}\n{logs}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Holds the answers of a running system's panel against the input, counted by Python.
///
/// # Panics
/// With every difference, or when Python is not there.
pub fn panel_equals(system: &System, input: &Input) {
    let mut command = Command::new("python3");
    command.arg(root().join("tests/oracle/panel.py"));
    command.args(["--panel", &format!("http://{}", system.panel)]);
    command.arg("--events").arg(&input.events).arg("--catalogue").arg(&input.catalogue);
    if let Some(expected) = &input.expected {
        command.arg("--expected").arg(expected);
    }
    let output = command.output().expect("python runs");
    assert!(
        output.status.success(),
        "the panel's answers differ from the input:\n{}{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
        system.log()
    );
}

/// Sends the panel requests that schemathesis makes up from its OpenAPI document, valid and not.
///
/// # Panics
/// When one of them ends in a 5xx that is no promised 503, or the Python environment is not there.
pub fn schemathesis(system: &System, examples: u32) {
    let program = root().join(".parts/venv/bin/schemathesis");
    assert!(program.exists(), "{} is not there: run `make parts` first", program.display());
    let output = Command::new(program)
        .env("SCHEMATHESIS_HOOKS", "schemathesis_hooks")
        .env("PYTHONPATH", root().join("tests/oracle"))
        // It keeps its examples where it runs.
        .current_dir(&system.data)
        .args(["run", &format!("http://{}/api/v1/openapi.json", system.panel)])
        .args(["--checks", "no_server_fault", "--max-examples", &examples.to_string()])
        .args([
            "--phases",
            "examples,coverage,fuzzing",
            "--mode",
            "all",
            "--seed",
            "1",
            "--no-color",
            "--request-timeout",
            "60",
        ])
        .output()
        .expect("schemathesis runs");
    assert!(
        output.status.success(),
        "{}{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
        system.log()
    );
}
