//! Real servers below a folder, by `scripts/cluster`.

use crate::{penstock, root};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, OnceLock};

/// Servers that this process started and may hurt.
///
/// They end with this process, however it ends: a shell waits on a pipe that we hold, and takes
/// them down when it breaks.
pub struct Parts {
    dir: PathBuf,
    _holder: Holder,
}

struct Holder {
    /// Closed by our end, ours or by the death of the process.
    pipe: Option<ChildStdin>,
    shell: Child,
}

impl Drop for Holder {
    fn drop(&mut self) {
        drop(self.pipe.take());
        let ended = self.shell.wait();
        assert!(ended.is_ok(), "the servers' holder was not waited for: {ended:?}");
    }
}

fn cluster() -> PathBuf {
    root().join("scripts/cluster")
}

impl Parts {
    /// Starts `parts` (names of `scripts/cluster`) below `dir`, ready when this returns.
    ///
    /// # Panics
    /// With what the script says when one of them does not start.
    #[must_use]
    pub fn start(dir: &Path, parts: &[&str]) -> Parts {
        std::fs::create_dir_all(dir).expect("the servers' folder can be made");
        let mut shell = Command::new("setsid")
            .args([
                "sh",
                "-c",
                "cat >/dev/null; \"$1\" down \"$2\" --now; case \"$2\" in */penstock-parts-*) rm -rf \"$2\" ;; esac",
                "-",
            ])
            .arg(cluster())
            .arg(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell starts");
        let holder = Holder { pipe: shell.stdin.take(), shell };
        let this = Parts { dir: dir.to_owned(), _holder: holder };
        this.command("up", parts);
        this
    }

    /// Brokers, MariaDB, HDFS, registry and S3 that all tests of this process share, and may hurt
    /// one after the other.
    #[must_use]
    pub fn of_this_process() -> Arc<Parts> {
        static PARTS: OnceLock<Arc<Parts>> = OnceLock::new();
        let parts = PARTS.get_or_init(|| {
            let dir = std::env::temp_dir().join(format!("penstock-parts-{}", std::process::id()));
            Arc::new(Parts::start(&dir, &["kafka", "mariadb", "hdfs", "registry", "s3"]))
        });
        Arc::clone(parts)
    }

    /// SIGKILL.
    pub fn kill(&self, parts: &[&str]) {
        self.command("kill", parts);
    }

    /// SIGSTOP.
    pub fn stop(&self, parts: &[&str]) {
        self.command("stop", parts);
    }

    /// SIGCONT.
    pub fn cont(&self, parts: &[&str]) {
        self.command("cont", parts);
    }

    /// Starts what was killed, where it was, and waits until it serves.
    pub fn restart(&self, parts: &[&str]) {
        self.command("start", parts);
    }

    /// The addresses, by the names of the environment variables.
    ///
    /// # Panics
    /// When the servers were not started.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        let text = std::fs::read_to_string(self.dir.join("env")).expect("the servers' addresses are written");
        Addresses(text.lines().filter_map(|line| line.split_once('=')).map(|(k, v)| (k.into(), v.into())).collect())
    }

    fn command(&self, command: &str, parts: &[&str]) {
        let output = Command::new(cluster())
            .arg(command)
            .arg(&self.dir)
            .args(parts)
            .env("PENSTOCK_BINARY", penstock())
            .stdin(Stdio::null())
            .output()
            .expect("scripts/cluster runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "scripts/cluster {command} {parts:?}: {said}");
    }
}

/// Where the servers are.
#[derive(Clone, Debug)]
pub struct Addresses(BTreeMap<String, String>);

impl Addresses {
    /// Those of the servers that `make cluster` or `make test` started, by the environment.
    #[must_use]
    pub fn of_environment() -> Addresses {
        Addresses(std::env::vars().filter(|(name, _)| name.starts_with("PENSTOCK_TEST_")).collect())
    }

    /// The address of a server: `KAFKA`, `MARIADB`, `HDFS`, `HDFS_CLASSPATH`, `REGISTRY`, `S3`, `CLICKHOUSE`.
    ///
    /// # Panics
    /// When it is not running.
    #[must_use]
    pub fn of(&self, server: &str) -> &str {
        let name = format!("PENSTOCK_TEST_{server}");
        let Some(address) = self.0.get(&name) else {
            panic!("{name} is not set: run `make cluster`, then `set -a; . .parts/cluster/env`, or `make test`");
        };
        address
    }

    /// These, and the ClickHouse of `engine`, whose password is a file of its own.
    #[must_use]
    pub fn with_engine(mut self, engine: &Addresses) -> Addresses {
        for (name, of_engine) in [("CLICKHOUSE", "CLICKHOUSE"), ("CLICKHOUSE_PASSWORD_FILE", "PASSWORD_FILE")] {
            self.0.insert(format!("PENSTOCK_TEST_{name}"), engine.of(of_engine).to_owned());
        }
        self
    }
}
