//! One process of the cluster profile: a sidecar, a consumer or the panel.

use crate::penstock;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A role with a configuration, a data folder and an address of its own, which stay over restarts.
pub struct Role {
    /// What tests call it: `sidecar-1`, `statistics-2`, `panel`.
    pub name: String,
    /// Where it serves.
    pub address: SocketAddr,
    arguments: Vec<String>,
    config: PathBuf,
    folder: PathBuf,
    child: Option<Child>,
}

impl Role {
    /// A role that is not started yet; `arguments` name it on the command line.
    #[must_use]
    pub fn prepare(name: &str, arguments: &[&str], address: SocketAddr, config: &Path, folder: &Path) -> Role {
        Role {
            name: name.to_owned(),
            address,
            arguments: arguments.iter().map(|&a| a.to_owned()).collect(),
            config: config.to_owned(),
            folder: folder.join(name),
            child: None,
        }
    }

    /// Starts it, and does not wait.
    ///
    /// # Panics
    /// When it runs already.
    pub fn start(&mut self) {
        assert!(self.child.is_none(), "{} runs already", self.name);
        std::fs::create_dir_all(&self.folder).expect("the test's folder is writable");
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.folder.join("log"));
        let log = log.expect("the log file opens");
        let child = Command::new(penstock())
            .args(&self.arguments)
            .arg("--config")
            .arg(&self.config)
            .arg("--data")
            .arg(self.folder.join("data"))
            .args(["--listen", &self.address.to_string()])
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file can be shared"))
            .stderr(log)
            .spawn()
            .expect("penstock starts");
        self.child = Some(child);
    }

    /// Whether it was started and neither killed nor ended by us since.
    #[must_use]
    pub const fn runs(&self) -> bool {
        self.child.is_some()
    }

    /// SIGKILL, and reaps it.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("our own child can be killed");
            child.wait().expect("our own child can be reaped");
        }
    }

    /// SIGSTOP.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// SIGCONT.
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    /// SIGTERM, waits, and gives the exit code.
    pub async fn end(&mut self) -> Option<i32> {
        self.signal("-TERM");
        let mut child = self.child.take()?;
        tokio::task::spawn_blocking(move || child.wait()).await.ok()?.ok()?.code()
    }

    /// Whether it has ended by itself, with what.
    pub fn ended(&mut self) -> Option<std::process::ExitStatus> {
        self.child.as_mut().and_then(|child| child.try_wait().ok().flatten())
    }

    fn signal(&self, signal: &str) {
        let Some(child) = &self.child else { return };
        let status = Command::new("kill").args([signal, &child.id().to_string()]).status();
        assert!(status.is_ok_and(|s| s.success()), "{signal} could not be sent to {}", self.name);
    }

    /// The last lines that it printed, for failure messages.
    #[must_use]
    pub fn log(&self) -> String {
        let text = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        self.kill();
    }
}
