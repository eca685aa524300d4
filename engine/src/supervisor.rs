//! The parent's side: starts the engine's process, restarts it with back-off, stops it.
//!
//! The writers' password is drawn here and handed to the child through its stdin, so it appears
//! neither in arguments nor in the environment. The same pipe is the child's sign of life of us.

use crate::parent::{Hello, MARK, Report, STOP};
use penstock::settings::EngineSettings;
use penstock::telemetry::EngineSupervisorMetrics;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// What is started: usually this very program with the arguments of its hidden subcommand.
#[derive(Clone, Debug)]
pub struct Program {
    /// The executable.
    pub path: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Variables set besides the inherited ones.
    pub envs: Vec<(OsString, OsString)>,
}

impl Program {
    /// This program itself. Errors: an [`io::Error`] when its path cannot be told.
    pub fn current(args: impl IntoIterator<Item = impl Into<OsString>>) -> io::Result<Program> {
        let path = std::env::current_exe()?;
        Ok(Program { path, args: args.into_iter().map(Into::into).collect(), envs: Vec::new() })
    }
}

/// Where the engine stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EngineState {
    /// The process runs and does not serve yet: what it is at.
    Starting(&'static str),
    /// It serves.
    Ready {
        /// `http://host:port`.
        url: String,
        /// ClickHouse's version.
        version: String,
        /// The process.
        pid: u32,
    },
    /// It died and is started again after a wait.
    Restarting {
        /// One sentence.
        why: String,
    },
    /// It was stopped and stays so.
    Stopped,
}

/// Why [`Supervisor::ready`] gave up.
#[derive(Debug, thiserror::Error)]
#[error("the ClickHouse engine is not ready after {waited:?}: {state:?}")]
pub struct NotReady {
    /// How long it was waited for.
    pub waited: Duration,
    /// Where it stood then.
    pub state: EngineState,
}

/// The running engine as its parent sees it. Dropping it without [`Supervisor::stop`] leaves the
/// task running until its shutdown token is cancelled.
#[derive(Debug)]
pub struct Supervisor {
    secret: Arc<str>,
    state: watch::Receiver<EngineState>,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

impl Supervisor {
    /// Starts the engine and keeps it running until `shutdown` is cancelled. Needs a tokio runtime.
    #[must_use]
    pub fn start(
        program: Program,
        settings: &EngineSettings,
        metrics: EngineSupervisorMetrics,
        shutdown: CancellationToken,
    ) -> Supervisor {
        let secret: Arc<str> = format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>()).into();
        let (report, state) = watch::channel(EngineState::Starting("the process"));
        let keeper = Keeper {
            program,
            settings: settings.clone(),
            metrics,
            secret: secret.clone(),
            report,
            shutdown: shutdown.clone(),
        };
        Supervisor { secret, state, shutdown, task: tokio::spawn(keeper.keep()) }
    }

    /// The password of the user [`crate::WRITER`]; the same over restarts.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// The engine's state and its changes.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<EngineState> {
        self.state.clone()
    }

    /// Waits until the engine serves; gives its URL.
    ///
    /// Errors: [`NotReady`] after `within`, or at once when it was stopped.
    pub async fn ready(&self, within: Duration) -> Result<String, NotReady> {
        let mut state = self.state.clone();
        let done = |s: &EngineState| matches!(s, EngineState::Ready { .. } | EngineState::Stopped);
        let seen = match timeout(within, state.wait_for(done)).await {
            Ok(Ok(seen)) => seen.clone(),
            _ => self.state.borrow().clone(),
        };
        match seen {
            EngineState::Ready { url, .. } => Ok(url),
            state => Err(NotReady { waited: within, state }),
        }
    }

    /// Stops the engine: running queries get `engine.stop_timeout`, then it is killed.
    pub async fn stop(self) {
        self.shutdown.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the engine's supervisor failed");
        }
    }
}

struct Keeper {
    program: Program,
    settings: EngineSettings,
    metrics: EngineSupervisorMetrics,
    secret: Arc<str>,
    report: watch::Sender<EngineState>,
    shutdown: CancellationToken,
}

/// Over what the child allows itself before it is taken for hung.
const SLACK: Duration = Duration::from_secs(5);

impl Keeper {
    async fn keep(self) {
        let mut wait = self.settings.restart_first;
        while !self.shutdown.is_cancelled() {
            self.report.send_replace(EngineState::Starting("the process"));
            let began = Instant::now();
            let why = match self.one_life().await {
                Ok(()) => break,
                Err(why) => why,
            };
            self.metrics.ready.set(0);
            self.metrics.restarts.inc();
            // A life that was long enough clears the record.
            if began.elapsed() > self.settings.restart_longest {
                wait = self.settings.restart_first;
            }
            tracing::error!(why, retry_in = ?wait, "the ClickHouse engine died");
            self.report.send_replace(EngineState::Restarting { why });
            tokio::select! {
                () = sleep(wait) => {}
                () = self.shutdown.cancelled() => {}
            }
            wait = (wait * 2).min(self.settings.restart_longest);
        }
        self.metrics.ready.set(0);
        self.report.send_replace(EngineState::Stopped);
    }

    /// From one start of the process to its end. `Ok` when it was asked to stop.
    async fn one_life(&self) -> Result<(), String> {
        let (mut child, mut stdin, stdout) =
            self.spawn().map_err(|e| format!("{} cannot be started: {e}", self.program.path.display()))?;
        let hello = serde_json::to_string(&Hello { secret: self.secret.to_string() }).unwrap_or_default();
        if let Err(e) = stdin.write_all(format!("{hello}\n").as_bytes()).await {
            tracing::warn!(error = %e, "the engine's process does not take its first line");
        }
        let mut lines = BufReader::new(stdout).lines();
        let mut give_up = Instant::now() + self.settings.start_timeout + SLACK;
        let (mut ready, mut failed) = (false, None);
        loop {
            tokio::select! {
                // What it has said counts before the time that has passed: it may be us who slept.
                biased;
                () = self.shutdown.cancelled() => {
                    self.end(child, stdin).await;
                    return Ok(());
                }
                line = lines.next_line() => match line {
                    Ok(Some(line)) => match report(&line) {
                        Some(Report::Failed { why }) => failed = Some(why),
                        Some(report) => {
                            ready |= self.tell(report, child.id().unwrap_or(0));
                            if ready {
                                give_up = Instant::now() + self.settings.hang_timeout;
                            }
                        }
                        None => {}
                    },
                    Ok(None) | Err(_) => break,
                },
                () = tokio::time::sleep_until(give_up) => {
                    failed = Some(if ready {
                        "no query came through for engine.hang_timeout: it hangs".to_owned()
                    } else {
                        "it did not become ready in engine.start_timeout".to_owned()
                    });
                    break;
                }
            }
        }
        // Its stdout closed or it is taken for hung: either way this life is over.
        let status = match timeout(Duration::from_secs(1), child.wait()).await {
            Ok(status) => status,
            Err(_) => {
                if let Err(error) = child.start_kill() {
                    tracing::warn!(%error, "the engine's process cannot be killed");
                }
                child.wait().await
            }
        };
        Err(failed.unwrap_or_else(|| status.map_or_else(|e| e.to_string(), |s| s.to_string())))
    }

    fn spawn(&self) -> io::Result<(Child, ChildStdin, ChildStdout)> {
        let mut child = Command::new(&self.program.path)
            .args(&self.program.args)
            .envs(self.program.envs.iter().map(|(k, v)| (k, v)))
            // The zone of times that name none; the library takes it from nowhere else.
            .env("TZ", "UTC")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Ctrl-C reaches a terminal's whole foreground group; the engine must outlive the
            // sinks that drain into it, and is stopped by us.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let lost = || io::Error::other("a pipe to the process is missing");
        let stdin = child.stdin.take().ok_or_else(lost)?;
        let stdout = child.stdout.take().ok_or_else(lost)?;
        Ok((child, stdin, stdout))
    }

    /// Publishes a report; true when it says "ready".
    fn tell(&self, report: Report, pid: u32) -> bool {
        let state = match report {
            Report::WaitingForLock => EngineState::Starting("the data folder's lock"),
            Report::WaitingForPort => EngineState::Starting("the port"),
            Report::Loading => EngineState::Starting("loading"),
            Report::Ready { address, version } => EngineState::Ready { url: format!("http://{address}"), version, pid },
            Report::Failed { .. } | Report::Alive => return false,
        };
        let ready = matches!(state, EngineState::Ready { .. });
        self.metrics.ready.set(i64::from(ready));
        self.report.send_replace(state);
        ready
    }

    async fn end(&self, mut child: Child, mut stdin: ChildStdin) {
        // A failed write means that it is gone already.
        if stdin.write_all(format!("{STOP}\n").as_bytes()).await.is_ok() {
            let patience = self.settings.stop_timeout + SLACK;
            match timeout(patience, child.wait()).await {
                Ok(Ok(status)) if status.success() => return,
                Ok(status) => return tracing::warn!(?status, "the ClickHouse engine stopped badly"),
                Err(_) => tracing::warn!(?patience, "the ClickHouse engine does not stop and is killed"),
            }
        }
        if let Err(error) = child.kill().await {
            tracing::warn!(%error, "the engine's process cannot be killed");
        }
    }
}

fn report(line: &str) -> Option<Report> {
    serde_json::from_str(line.split_once(MARK)?.1).ok()
}
