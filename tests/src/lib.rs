//! Starts the real `penstock` for tests that cross components, and ends it in every way.
//!
//! The binary must have been built before (`cargo test --workspace --no-run`, which `make test` does)
//! and the ClickHouse engine fetched (`make parts`): what is missing fails the test with a
//! sentence that says so, it is never skipped.

#![allow(clippy::panic, reason = "a test ends by a panic that says what was seen")]

pub mod budget;
pub mod client;
#[cfg(feature = "cluster")]
pub mod fleet;
pub mod letters;
pub mod live;
pub mod oracle;

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;
use std::time::Duration;

/// The folder of the checkout.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The `penstock` binary beside this test binary's folder.
///
/// # Panics
/// When it was not built.
#[must_use]
pub fn penstock() -> PathBuf {
    let test = std::env::current_exe().expect("a running test has a path");
    let path = test.parent().and_then(Path::parent).map(|dir| dir.join("penstock")).unwrap_or_default();
    assert!(path.exists(), "{} is not there: run `cargo test --workspace --no-run` first", path.display());
    path
}

/// A running system on one data folder with addresses of its own, which stay the same over restarts.
pub struct System {
    child: Option<Child>,
    /// The data folder.
    pub data: PathBuf,
    config: PathBuf,
    /// Address of the sidecar.
    pub sidecar: SocketAddr,
    /// Address of the panel.
    pub panel: SocketAddr,
    /// Address of the ClickHouse engine.
    pub engine: SocketAddr,
}

/// A free port that this process has not been given before: what is let go may be given again at once.
fn free_address() -> SocketAddr {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        if GIVEN.lock().expect("nobody panics with the ports in hand").insert(address.port()) {
            return address;
        }
    }
}

impl System {
    /// Prepares a system below `folder` (configuration and data), not yet started. `extra` is
    /// appended to the configuration.
    #[must_use]
    pub fn prepare(folder: &Path, extra: &str) -> System {
        let (sidecar, panel, engine) = (free_address(), free_address(), free_address());
        let config = folder.join("penstock.toml");
        let text = format!(
            "[sidecar]\nlisten = \"{sidecar}\"\n\n[panel]\nlisten = \"{panel}\"\n\n[engine]\nlisten = \"{engine}\"\n\n{extra}"
        );
        std::fs::write(&config, text).expect("the test's folder is writable");
        System { child: None, data: folder.join("data"), config, sidecar, panel, engine }
    }

    /// A system below `folder` that runs and has taken in all of `input`: its sinks are equal.
    ///
    /// # Panics
    /// When it does not get there, with what it printed.
    pub async fn holding(folder: &Path, input: &oracle::Input) -> System {
        let mut system = System::prepare(folder, "");
        system.start();
        system.ready().await;
        let (catalogue, events) = (input.catalogue.display().to_string(), input.events.display().to_string());
        let _ = system.expect(&["catalogue", "import", &catalogue], 0);
        let _ = system.expect(&["ingest", &events], 0);
        let _ = system.expect(&["reconcile", "--wait", "60s"], 0);
        system
    }

    /// Starts the process; does not wait. Its output goes to `up.log` beside the configuration.
    pub fn start(&mut self) {
        assert!(self.child.is_none(), "already running");
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.config.with_file_name("up.log"))
            .expect("the log file opens");
        let child = Command::new(penstock())
            .args(["up", "--data"])
            .arg(&self.data)
            .arg("--config")
            .arg(&self.config)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file can be shared"))
            .stderr(log)
            .spawn()
            .expect("penstock starts");
        self.child = Some(child);
    }

    /// Kills the process with SIGKILL and reaps it.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("our own child can be killed");
            child.wait().expect("our own child can be reaped");
        }
    }

    /// Process id of the running system.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Asks for a drain with SIGTERM, waits, and returns the exit code.
    pub async fn stop(&mut self) -> Option<i32> {
        let mut child = self.child.take()?;
        let status = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
        assert!(status.is_ok_and(|s| s.success()), "SIGTERM could not be sent");
        tokio::task::spawn_blocking(move || child.wait()).await.ok()?.ok()?.code()
    }

    /// Waits until the path answers 200, for at most a minute. Waiting for a condition, not for time.
    pub async fn wait_for(&mut self, url: &str) {
        let client = reqwest::Client::new();
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        loop {
            if let Ok(answer) = client.get(url).send().await
                && answer.status().is_success()
            {
                return;
            }
            if let Some(status) = self.child.as_mut().and_then(|c| c.try_wait().ok().flatten()) {
                panic!("penstock ended with {status} while {url} was awaited:\n{}", self.log());
            }
            assert!(tokio::time::Instant::now() < deadline, "{url} did not become ready:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until sidecar and panel are ready.
    pub async fn ready(&mut self) {
        self.wait_for(&format!("http://{}/readyz", self.sidecar)).await;
        self.wait_for(&format!("http://{}/readyz", self.panel)).await;
    }

    /// The last lines of what the process printed, for failure messages.
    #[must_use]
    pub fn log(&self) -> String {
        let text = std::fs::read_to_string(self.config.with_file_name("up.log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    /// Runs a `penstock` command against this system and returns its output.
    #[must_use]
    pub fn run(&self, arguments: &[&str]) -> Output {
        Command::new(penstock())
            .args(arguments)
            .env("PENSTOCK_PANEL", format!("http://{}", self.panel))
            .env("PENSTOCK_SIDECAR", format!("http://{}", self.sidecar))
            .stdin(Stdio::null())
            .output()
            .expect("penstock runs")
    }

    /// Like [`System::run`], and fails the test unless the exit code is `code`.
    #[must_use]
    pub fn expect(&self, arguments: &[&str], code: i32) -> String {
        let output = self.run(arguments);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(
            output.status.code(),
            Some(code),
            "penstock {arguments:?}\n--- stdout\n{out}\n--- stderr\n{err}\n--- up\n{}",
            self.log()
        );
        out.into_owned()
    }
}

impl Drop for System {
    fn drop(&mut self) {
        self.kill();
    }
}
