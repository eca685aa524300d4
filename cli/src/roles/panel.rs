//! `penstock panel`: the API, in a process that runs no pipeline.

use super::health::{self, Pipelines, Serving, Shown};
use super::process::{Role, Running};

/// A panel that runs.
pub struct Panel {
    serving: Serving,
}

impl Panel {
    /// Starts it. Errors: the address is in use.
    pub async fn start(role: Role) -> anyhow::Result<Panel> {
        let Role { settings, listen, clock, registry, board, stop: _ } = role;
        let shown = Shown { role: "panel", board: board.clone(), pipelines: Pipelines::default(), registry, clock };
        let serving = health::serve(listen.unwrap_or(settings.panel.listen), &settings.panel.allowed_hosts, shown)?;
        board.waits("ledger", "this build has no MariaDB ledger yet");
        Ok(Panel { serving })
    }
}

impl Running for Panel {
    fn address(&self) -> String {
        format!("http://{}", self.serving.address)
    }

    async fn stop(self) {
        self.serving.stop().await;
    }
}
