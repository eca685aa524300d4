//! The `penstock` command: one binary for everything.
//!
//! Each command is a thin file over a crate. What needs a running system speaks to it through
//! the panel's API and the sidecar's routes only, so a command works the same on one machine and
//! beside a cluster. Data goes to stdout, logs and progress to stderr.

mod args;
mod commands;
mod exit;
mod memory;
mod output;
mod panel_api;
mod parts;
mod progress;
mod roles;
mod up;

use args::{Cli, Command};
use clap::Parser;
use exit::Verdict;
use std::process::ExitCode;

fn main() -> ExitCode {
    memory::keep_free_memory();
    let cli = Cli::parse();
    exit::report(run(cli))
}

fn run(cli: Cli) -> anyhow::Result<Verdict> {
    match cli.command {
        Command::Up(args) => up::run(args),
        Command::Engine(args) => commands::engine::run(&args),
        Command::Catalogue(args) => client(commands::catalogue::run(args)),
        Command::Seed(args) => client(commands::seed::run(args)),
        Command::Simulate(args) => client(commands::simulate::run(args)),
        Command::Ingest(args) => client(commands::ingest::run(args)),
        Command::Status(args) => client(commands::status::run(args)),
        Command::Reconcile(args) => client(commands::reconcile::run(args)),
        Command::Dead(args) => client(commands::dead::run(args)),
        Command::User(args) => client(commands::user::run(args)),
        Command::Token(args) => client(commands::token::run(args)),
        Command::Gap(args) => client(commands::gap::run(args)),
        #[cfg(feature = "cluster")]
        Command::Archive(args) => client(commands::archive::run(args)),
        Command::Topics(args) => client(commands::topics::run(args)),
        Command::Migrate(args) => client(commands::migrate::run(args)),
        Command::CheckConfig(args) => commands::check_config::run(&args),
        role @ (Command::Sidecar(_) | Command::Panel(_) | Command::Consume(_)) => roles::run(role),
    }
}

/// Runs a command that only talks to a running system.
fn client(command: impl Future<Output = anyhow::Result<Verdict>>) -> anyhow::Result<Verdict> {
    output::log_to_stderr("warn");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let verdict = runtime.block_on(command);
    // A thread that waits for a quiet standard input must not keep the process.
    runtime.shutdown_background();
    verdict
}
